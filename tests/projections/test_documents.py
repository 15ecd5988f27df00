"""
Results as documents, where what a notebook shows depends on what there is to show.
"""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from imcm import (
    Ledger,
    change_failure_rate,
    compare,
    deployment_frequency,
    incident,
    restated,
    rework_rate,
    time_to_restore,
)
from imcm.demo import StoryClock, tell
from imcm.documents.structure import Items, Word, cell_text
from imcm.domain.change import Refusal
from imcm.errors import InvalidValue
from imcm.projections.boards.display import page_document, view_line
from imcm.projections.boards.views import Approval, ChangeView, IncidentView, Ready
from imcm.projections.facts.rows import ChangeFacts, IncidentFacts
from imcm.projections.figures.display import bucket_text, scale_of, with_statistic
from imcm.projections.figures.units import COUNT, SECONDS, SHARE, zone
from imcm.projections.figures.windows import period_before
from imcm.projections.histories.duties import duties
from imcm.projections.reports.display import Levels, comparison_document, figures_document
from projections.log import deployment, log

NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def ledger():
    clock = StoryClock()
    with Ledger.in_memory(clock=clock) as made:
        tell(made, clock, lambda _: None)
        yield made


def rows(table):
    return [tuple(map(cell_text, row)) for row in table.rows]


@pytest.mark.parametrize(
    ("values", "unit", "name", "first"),
    [
        ([90.0], SECONDS, "s", 90.0),
        ([150.0], SECONDS, "min", 2.5),
        ([7200.0, None], SECONDS, "h", 2.0),
        ([86_400.0 * 3], SECONDS, "d", 3.0),
        ([60.0, 7200.0, 9000.0], SECONDS, "h", 1 / 60),
        ([], SECONDS, "s", None),
        ([0.25], SHARE, "%", 25.0),
        ([3.0], COUNT, "", 3.0),
        ([0.5], "deployments per day", "/day", 0.5),
        ([0.5], "per week", "/week", 0.5),
    ],
)
def test_a_column_has_one_unit(values, unit, name, first):
    """Durations have the unit in which the middle one reads best."""
    scale = scale_of(values, unit)
    assert scale.unit == name
    assert scale.of(values[0] if values else None) == pytest.approx(first)


def test_a_figure_says_its_interval_groups_and_periods(ledger):
    """Of groups, of periods, and of both: a column for each, "all" where it is the whole."""
    facts = ledger.facts()
    [own] = change_failure_rate(facts).document().tables
    assert "95 % interval" in dict(rows(own))
    for given, head in (
        ({"group_by": "service"}, ["group"]),
        ({"bucket_by": "month"}, ["period"]),
        ({"group_by": "service", "bucket_by": "month"}, ["group", "period"]),
    ):
        _, parts = deployment_frequency(facts, **given).document().tables
        assert [c.name for c in parts.columns if c.kind == "text"] == head
        assert parts.columns[-4].unit == "/day"
    cut = deployment_frequency(facts, bucket_by="day").document(most=2).tables[1]
    assert len(cut.rows) == 2
    assert cut.more > 5


def test_a_figure_of_all_time_has_no_period(ledger):
    figure = time_to_restore(ledger.facts())
    assert figure.window is None
    assert bucket_text(figure) == ""
    assert (
        bucket_text(attrs.evolve(figure, window=(NOON, NOON + timedelta(days=1)))) == "2026-03-06"
    )


def test_levels_say_what_the_interval_reaches():
    """One level, two that hold, and those that the interval reaches besides."""
    assert Levels().word() is None
    assert Levels(("high",), ("high",)).text() == "high"
    assert Levels(("high", "medium"), ("high", "medium")).text() == "high/medium"
    word = Levels(("worse than low",), ("low", "worse than low")).word()
    assert word == Word("below low, low to below low", "bad")


@pytest.mark.parametrize(
    ("start", "end", "before"),
    [
        ("2026-04-01", "2026-07-01", "2026-01-01"),
        ("2026-03-02", "2026-03-09", "2026-02-23"),
        ("2026-03-30", "2026-04-06", "2026-03-23"),
    ],
)
def test_the_period_before(start, end, before):
    """Months before months, days before days, by the clocks of the zone."""
    home = zone("Europe/Berlin")

    def at(day):
        return datetime.fromisoformat(day).replace(tzinfo=home)

    first, last = period_before((at(start), at(end)), home)
    assert (first.astimezone(home), last) == (at(before), at(start))


def test_the_period_before_a_stretch_of_hours():
    """Where it does not begin and end with a day, the period before is as long."""
    end = NOON + timedelta(hours=5)
    assert period_before((NOON, end), zone("UTC")) == (NOON - timedelta(hours=5), NOON)
    first = datetime(1, 1, 1, 5, tzinfo=UTC)
    with pytest.raises(InvalidValue, match="another one before it"):
        period_before((first, first + timedelta(days=2)), zone("UTC"))


def test_a_voided_decision_is_struck(ledger):
    """What was voided stands in a trail, struck through."""
    trail = ledger.trail("CHG-1042")
    struck = attrs.evolve(trail.decisions[0], voided_by=99)
    _, table = attrs.evolve(trail, decisions=(struck,)).document().tables
    assert isinstance(table.rows[0][4], Word)
    assert table.rows[0][4].tone == "struck"


def test_duties_of_a_period_say_which(ledger):
    """The window is told, and only so many rows are shown."""
    log = list(ledger.replay())
    made = duties(log, window="2026-03").document(most=1)
    assert "2026-03-01 00:00+00:00 up to 2026-04-01 00:00+00:00" in made.blocks[0].text
    assert made.tables[0].more > 0
    assert "all time" in duties(log).document().blocks[0].text


def test_a_record_of_many_events_names_a_few():
    """Of the events of one record that moved a figure the first are named."""
    at = NOON + timedelta(days=1)
    with Ledger.in_memory(clock=lambda: at) as ledger:
        ledger.record("INC-0", incident.detect, by="ana", at=NOON, title="Down")
        ledger.record("INC-0", incident.resolve, by="ana", at=NOON + timedelta(hours=1))
        position = ledger.position_at()
        with ledger.transaction() as together:
            for number in range(1, 8):
                id = f"INC-{number}"
                together.record(id, incident.detect, by="ana", at=NOON, title="Down")
                end = NOON + timedelta(hours=5)
                together.record(id, incident.resolve, by="ana", at=end)
        made = restated(ledger.replay(), time_to_restore, known_at_a=position).document()
    [table] = made.tables
    assert len(table.rows) == 1
    assert "... and 4 more" in table.rows[0][2]


def test_what_differs_by_nothing_known_says_why(ledger):
    """A comparison of what is undefined has its reason."""
    from imcm import compare

    facts = ledger.facts()
    empty, full = (time_to_restore(facts, window=window) for window in ("2025-01", "2026-03"))
    comparison = compare(empty, full)
    assert comparison.reason is not None
    texts = comparison_document(comparison).blocks[1].texts
    assert any(text.startswith("the difference is undefined: ") for text in texts)


def test_one_line_says_what_stands():
    """Rows and views in one line, with what there is."""
    status = IncidentView(id="x").status
    assert view_line(IncidentView(id="INC-1")) == f"incident INC-1 {status.value}"
    assert view_line(ChangeView(id="C-1", services=("pay",))).startswith("change C-1 ")
    assert repr(IncidentFacts("INC-1", status)) == f"<incident INC-1 {status.value}; 0 events>"
    assert "on pay" in repr(ChangeFacts("C-1", ChangeView(id="x").status, services=("pay",)))
    assert page_document(["x"], total=1).tables[0].rows == [("x",)]


def test_what_waits_says_what_for():
    """A page of approvals says what is missing, one of approved changes why they may not start."""
    view = ChangeView(id="C-1", title="Basket")
    waiting = Approval(change=view, waits_for="approval", since=NOON, missing="1 more")
    [table] = page_document([waiting], total=9, most=1).tables
    assert rows(table) == [
        ("C-1", "approval", "2026-03-06 12:00Z", "1 more", "", "", "Basket"),
    ]  # fmt: skip
    assert table.more == 8
    ready = Ready(change=view, refusals=(Refusal("window", "it is not open"),))
    [table] = page_document([ready], total=1).tables
    assert rows(table) == [("C-1", "no", "window: it is not open", "", "Basket")]


def test_what_is_to_be_known_of_figures_stands_once_with_their_names():
    events = log(deployment("CHG-1", 1), deployment("CHG-2", 2))
    told = figures_document(
        [
            change_failure_rate(events, group_by="label:Team"),
            rework_rate(events, group_by="label:Team"),
        ],
        title="both",
    )
    [said] = [block.texts for block in told.blocks if isinstance(block, Items)][:1]
    assert said[0] == "no record has the label Team"
    assert said[1].startswith("rework rate: no deployment of the whole log is an emergency")


@pytest.mark.parametrize(
    ("statistic", "name"),
    [
        ("median", "time to restore"),
        ("mean", "time to restore, mean"),
        ("p90", "time to restore, p90"),
    ],
)
def test_another_statistic_than_the_median_stands_in_the_name(ledger, statistic, name):
    figure = time_to_restore(ledger.facts(), statistic=statistic)
    [table] = [
        each for each in figures_document([figure], title="x").tables if each.title == "figures"
    ]
    assert rows(table)[0][0] == name
    assert with_statistic("mean time to restore", attrs.evolve(figure)) in {
        "mean time to restore",
        f"mean time to restore, {statistic}",
    }


def test_what_all_comparisons_warn_of_is_said_once(ledger):
    """Windows of unequal length are the same warning of each metric; one alone says its own."""
    facts = ledger.facts()
    of_all = "the windows are not of one length: 28 and 90 days"
    restored, failed = (
        compare(metric(facts, window="2026-02"), metric(facts, window="2026-Q1"))
        for metric in (time_to_restore, change_failure_rate)
    )
    assert of_all in restored.warnings
    assert of_all in failed.warnings

    def says(*comparisons):
        blocks = figures_document(
            [each.b for each in comparisons], title="Figures", comparisons=comparisons
        ).blocks
        lines = [line for block in blocks if isinstance(block, Items) for line in block.texts]
        return [line for line in lines if of_all in line]

    assert says(restored, failed) == [f"of all comparisons: {of_all}"]
    assert says(restored) == [f"warning: {of_all}"]
