"""
How results show themselves: a line for a repr, a few ids for an explanation, one shape for JSON.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

import attrs
import pytest

import imcm
from imcm.domain.change_events import (
    ChangePlanned,
    ChangeRevised,
    ChangeRolledBack,
    CommitsRecorded,
)
from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import ChangeType, Commit
from imcm.interchange.csv_check import ImportReport
from imcm.projections.facts import tables
from imcm.projections.facts.columns import ChangeColumns, IncidentColumns
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts
from imcm.projections.facts.tables import ChangeTable, IncidentTable
from imcm.projections.figures.clock import BusinessHours
from imcm.projections.figures.definition import Definition
from imcm.projections.figures.durations import Columns
from imcm.projections.figures.excerpt import FEW, SOME, excerpt, named, short
from imcm.projections.figures.figure import Figure, LeftOut, Population
from imcm.projections.figures.lazy import LazySequence
from imcm.projections.figures.restore import TimeToRestore, time_to_restore
from imcm.projections.histories import decisions
from imcm.projections.histories.anomalies import Anomaly
from imcm.projections.histories.decisions import Decision, DecisionTrail
from imcm.projections.histories.learned import Learned, Learnt, Moved
from imcm.projections.histories.timeline import Entry, Timeline
from imcm.projections.reports.compare import Comparison
from imcm.projections.reports.dora import Difference, DoraReport, SideBySide
from imcm.projections.reports.presets import PRESETS, Preset
from imcm.projections.reports.restated import Added, Effect, Restatement
from imcm.projections.statistics.intervals import Interval
from imcm.projections.statistics.survival import KaplanMeier, kaplan_meier
from projections.log import (
    at,
    caused_by,
    change,
    corrected,
    deployment,
    detected,
    dismissed,
    incident,
    log,
    merged_into,
    planned,
    resolved,
)

ROOT = Path(__file__).parents[2]
LONGEST = 300
HOSTILE = "\x1b[2J\r\nteam\u202e"
"""Clears a terminal, begins another line, and turns around what follows."""


def many(count):
    """Return a log of so many incidents and changes, of several kinds each."""
    streams = []
    for n in range(count):
        brought = CommitsRecorded(
            at=at(n), by="ci", commits=(Commit(id=f"c{n}", committed_at=at(n - 5)),)
        )
        plan = planned(n - 1, labels={"team": f"{HOSTILE}{n % 5}"})
        back = [ChangeRolledBack(at=at(n + 1), by="ci", reached_production=True)] * (n % 10 == 3)
        deployed = deployment(f"CHG-{n}", n, brought, *back)
        streams.append(deployed if n % 2 else change(f"CHG-{n}", plan))
        steps = [detected(n, labels={"team": f"{HOSTILE}{n % 5}"})]
        if n % 4 == 1:
            steps.append(caused_by(f"CHG-{n}", n))
        ends = (resolved(n + 2 + n % 7), dismissed(n), merged_into("INC-0", n), None)
        end = ends[0] if n % 2 == 0 else ends[n % 4]
        steps += [end] if end is not None else []
        if n % 6 == 0:
            steps.append(corrected(n + 20, 1, "at", at(n), at(n - 0.5)))
        streams.append(incident(f"INC-{n}", *steps))
    return log(*streams)


FIGURES = (
    "availability", "change_failure_rate", "deployment_frequency", "downtime",
    "failed_deployment_recovery_time", "lead_time", "mean_time_to_restore", "rework_rate",
    "time_between_failures", "time_to_acknowledge", "time_to_detect", "time_to_mitigate",
    "time_to_restore", "user_impact",
)  # fmt: skip

WINDOW = (at(-24), at(9_999))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_of_which_facts_it_is(name):
    """The whole, each of its groups and each of its periods: from which log, read how far."""
    story = many(6)
    with imcm.Ledger.in_memory() as ledger:
        mark = ledger.mark_at(1)
    known = attrs.evolve(imcm.facts(story, known_at=len(story) - 1, as_of=at(99)), mark=mark)
    parts = {"window": WINDOW, "bucket_by": "year", "group_by": "label:team"}
    figure = getattr(imcm, name)(known, **parts)
    every = [figure, *figure.groups, *figure.buckets]
    every += [bucket for group in figure.groups for bucket in group.buckets]
    assert len(every) > 3
    for one in every:
        assert (at(99), len(story) - 1, known.log_position, mark) == (
            one.as_of,
            one.known_at,
            one.log_position,
            one.mark,
        )
        assert figure.definition == one.definition


def results(count):
    """Return what every public question to a log answers."""
    story = many(count)
    known = imcm.facts(story)
    middle = len(story) // 2
    parts = {"window": WINDOW, "bucket_by": "year", "group_by": "label:team"}
    figures = {name: getattr(imcm, name)(known, **parts) for name in FIGURES}
    halves = [
        time_to_restore(known, window=(at(a), at(b)))
        for a, b in ((0, count // 2), (count // 2, 9999))
    ]
    return {
        **figures,
        "facts": known,
        "dora_report": imcm.dora_report(known, **parts),
        "side_by_side": imcm.side_by_side(known),
        "compare": imcm.compare(*halves, runs=10),
        "restated": imcm.restated(story, imcm.mean_time_to_restore, known_at_a=len(story) - 12),
        "learned": imcm.learned(story, known_at_a=middle),
        "decision_trail": imcm.decision_trail(story, "CHG-1"),
        "timeline": imcm.timeline(story, incident="INC-1"),
        "anomalies": imcm.anomalies(known),
        "PRESETS": tuple(PRESETS.values()),
        "kaplan_meier": kaplan_meier([float(n) for n in range(count)], [True] * count),
    }


ROWS = (IncidentFacts, ChangeFacts, Entry, Learnt, Decision, Anomaly, Recorded)
"""What stands for one thing shows its fields, however many."""

SHOWN = {
    ChangeColumns, ChangeTable, Comparison, DecisionTrail, Difference, DoraReport, Effect, Facts,
    Figure, IncidentColumns, IncidentTable, KaplanMeier, Learned, LazySequence, Moved, Population,
    Preset, Restatement, SideBySide, TimeToRestore, Timeline,
}  # fmt: skip


def walk(thing, depth):
    """Yield a result and what it holds, a few of each list; rows are not gone into."""
    yield thing
    inner = []
    if isinstance(thing, ROWS) or not depth:
        inner = []
    elif attrs.has(type(thing)):
        inner = [getattr(thing, a.name) for a in attrs.fields(type(thing)) if a.name[0] != "_"]
    elif isinstance(thing, (IncidentTable, ChangeTable)):
        inner = [thing.columns]
    elif isinstance(thing, dict):
        inner = list(thing.values())
    elif type(thing) is tuple or (isinstance(thing, LazySequence) and thing._make is None):
        inner = list(thing[:3])
    for one in inner:
        yield from walk(one, depth - 1)


def is_ours(thing):
    return type(thing).__module__.startswith("imcm.")


class TestRepr:
    def test_every_result_is_one_short_line_and_makes_nobody(self, monkeypatch):
        """Of 300 incidents and changes: no list is made and no row is looked at for a repr."""
        found = results(300).values()
        told = [one for result in found for one in walk(result, 6) if is_ours(one)]
        made = []
        make, look = LazySequence._all, tables.Table._item

        def noted(self):
            if self._make is not None:
                made.append(self)
            return make(self)

        def looked(self, place):
            made.append(place)
            return look(self, place)

        monkeypatch.setattr(LazySequence, "_all", noted)
        monkeypatch.setattr(tables.Table, "_item", looked)
        for one in told:
            line = repr(one)
            assert line.isprintable()
            assert isinstance(one, ROWS) or len(line) <= LONGEST, line
            assert isinstance(one, StrEnum) or str(one) == line
        assert [] == made
        assert set() == SHOWN - {type(one) for one in told}

    def test_a_tuple_of_figures_stays_small(self):
        groups = results(50)["time_to_restore"].groups
        assert 5 == len(groups)
        assert len(repr(groups)) < 5 * LONGEST

    @pytest.mark.parametrize(
        ("result", "line"),
        [
            (
                Figure(
                    name="time to restore",
                    value=5460.0,
                    unit="seconds",
                    n=196,
                    definition=TimeToRestore(),
                    interval=Interval(low=4500.0, high=7260.0, level=0.95, method="order"),
                    counts={"still open": 29},
                ),
                "time to restore 1 h 31 min [1 h 15 min, 2 h 1 min], median of 196, 29 still open",
            ),
            (
                Figure(
                    name="change failure rate",
                    value=None,
                    unit="share",
                    n=0,
                    reason="no deployments",
                    definition=Definition(time_zone="Europe/Berlin"),
                    window=(
                        datetime(2026, 3, 1, 23, tzinfo=UTC),
                        datetime(2026, 3, 2, 11, 30, tzinfo=UTC),
                    ),
                    group=HOSTILE,
                ),
                "change failure rate ('\\x1b[2J\\r\\nteam\\u202e') undefined (no deployments), "
                "n = 0, 2026-03-02 to 2026-03-02 12:30",
            ),
            (
                Figure(
                    name="n",
                    value=1.0,
                    unit="count",
                    n=1,
                    definition=Definition(time_zone="Asia/Tokyo"),
                    window=(
                        datetime.min.replace(tzinfo=UTC),
                        datetime.max.replace(tzinfo=UTC),
                    ),
                ),
                "n 1, n = 1, the beginning to the end",
            ),
            (
                imcm.facts(many(2)),
                "facts of 2 incidents and 2 changes as of 2027-04-23 01:00:00+00:00, "
                "log position 10",
            ),
            (TimeToRestore(), "TimeToRestore()"),
            (
                TimeToRestore(statistic="mean", services=["pay"], labels={"team": HOSTILE}),
                "TimeToRestore(services=('pay',), labels={'team': '\\x1b[2J\\r\\nteam\\u202e'}, "
                "statistic='mean')",
            ),
            (PRESETS["dora"], "<Preset 'dora': 0 arguments other than the defaults>"),
            (
                BusinessHours(hours={0: [("09:00", "17:00")]}, holidays=["2026-12-25"]),
                "<BusinessHours 'business hours' in UTC: 1 ranges a week, 1 holidays>",
            ),
            (
                DecisionTrail(change=HOSTILE),
                "decisions on change '\\x1b[2J\\r\\nteam\\u202e': 0 decisions; "
                "questions: 0 held, 0 broken, 0 unknown, 0 nothing to judge",
            ),
            (
                ImportReport(
                    histories=1,
                    events=2,
                    rows_read=3,
                    rows_imported=1,
                    rows_refused=2,
                    problems=(),
                    problems_found=2,
                ),
                "<ImportReport: 1 of 3 rows imported, 1 histories, 2 events, 2 problems>",
            ),
            (
                imcm.History(stream=f"incident:{HOSTILE}", events=()),
                "<History of 'incident:\\x1b[2J\\r\\nteam\\u202e': 0 events>",
            ),
        ],
        ids=lambda one: type(one).__name__,
    )
    def test_the_line(self, result, line):
        assert (line, line) == (repr(result), str(result))

    def test_figures_with_parts_say_how_many(self):
        found = results(50)["time_to_restore"]
        assert repr(found).endswith(
            ", 12 still open, 2026-03-01 09:00 to 2027-04-23, 5 groups, 2 periods"
        )

    @pytest.mark.parametrize(
        ("value", "unit", "text"),
        [
            (1.655555, "per day", "1.66 per day"),
            (0.214286, "per day", "0.214 per day"),
            (1234.56, "per day", "1,235 per day"),
            (2.0, "per day", "2 per day"),
            (1234567.0, "count", "1,234,567"),
            (1 / 6, "share", "16.67 %"),
            (-0.00012345, "count", "-0.000123"),
            (1e300, "count", "1e+300"),
            (None, "per day", "undefined"),
        ],
    )
    def test_a_line_has_three_digits_that_count(self, value, unit, text):
        """A rate is not known to a millionth; what is whole is whole."""
        figure = Figure(name="n", value=value, unit=unit, n=1, definition=Definition())
        assert repr(figure) == f"n {text}, n = 1"

    def test_one_is_no_plural(self):
        part = Figure(name="n", value=1.0, unit="count", n=1, definition=Definition(), group="a")
        whole = attrs.evolve(part, group=None, groups=(part,), buckets=(part,))
        assert repr(whole) == "n 1, n = 1, 1 group, 1 period"
        assert "facts of 1 incident and 1 change as of" in repr(imcm.facts(many(1)))

    def test_facts_say_what_was_not_read(self):
        assert repr(attrs.evolve(imcm.facts([]), unread={"Sung": 2})) == (
            "facts of 0 incidents and 0 changes as of None, log position 0, 2 events not read"
        )

    def test_moved_and_restated(self):
        figure = Figure(
            name="n", value=1.0, unit="count", n=1, definition=Definition(), log_position=3
        )
        more = attrs.evolve(figure, value=2.0)
        assert "n of mine: 1, as before" == repr(
            Moved(name="n of mine", before=figure, after=figure)
        )
        assert "n of mine: 1 became 2" == repr(Moved(name="n of mine", before=figure, after=more))
        effect = effect_of(1, [])
        assert "n, restated: 1 became 2; 1 records changed it, 5 events between" == repr(
            Restatement(before=figure, after=more, changes=(effect,), events=5)
        )
        assert "<Effect of record 'r1', 0 events: 0.0 to 1.0>" == repr(effect)

    def test_columns_show_nobody(self):
        columns = Columns(
            count=1,
            starts=lambda: [0],
            ends=lambda: [1],
            who=lambda _: ("INC-1", ()),
            groups=lambda _: (),
            values=[1],
        )
        assert repr(columns).startswith("<imcm.projections.figures.durations.Columns object at ")


class TestExcerpt:
    def test_names(self):
        assert ["", "a", "a, b, c"] == [named(""), named("a"), named("abc")]
        assert "a, b, c, ... and 1 more" == named("abcd")
        assert "0, 1, 2, ... and 1,203 more" == named([str(n) for n in range(1_206)])

    def test_lines(self):
        def twice(text):
            return [text, text]

        assert ["a", "a"] == list(excerpt("a", twice))
        assert ["a", "a", "  ... and 2 reasons"] == list(
            excerpt("abc", twice, indent="  ", most=1, what="reasons")
        )

    def test_values_are_short_and_escaped(self):
        assert len(short("x" * 1_000)) < 70
        assert "'\\x1b[2J\\r\\nteam\\u202e'" == short(HOSTILE)
        assert "(0, 1, 2, 3, 4, 5, ...)" == short(tuple(range(1_000)))


def effect_of(size, events, number=1):
    return Effect(
        record=f"r{number}",
        recorded_at=at(0),
        events=events,
        value_before=0.0,
        value_after=None if size is None else float(size),
        effect=None if size is None else Fraction(size),
    )


def restatement(count):
    figure = Figure(name="n", value=1.0, unit="count", n=1, definition=Definition())
    events = [Added(position=n, stream="incident:I", version=n, type="T") for n in range(count)]
    changes = [effect_of(-n, events, n) for n in range(count)]
    return Restatement(before=figure, after=figure, changes=changes, events=count)


def trail(count):
    """Return the trail of a change that was revised so many times, each time by somebody else."""
    planning = ChangePlanned(at=at(0), by="ann", type=ChangeType.NORMAL)
    revisions = [ChangeRevised(at=at(n), by=f"p{n}", why="again") for n in range(count)]
    return imcm.decision_trail(log(change("CHG-1", planning, *revisions)), "CHG-1")


def left_out(count):
    """Return a figure in which everybody was left out for a reason of his own, or for one."""
    out = [LeftOut(f"INC-{n}", f"merged into INC-{n}") for n in range(count)]
    out += [LeftOut(f"INC-{n}", "pending") for n in range(count)]
    return Figure(
        name="n", value=1.0, unit="count", n=1, definition=Definition(), left_out=tuple(out)
    )


def lines(result):
    return len(result.explain().splitlines())


EXPLAINED = (
    *FIGURES, "dora_report", "side_by_side", "compare", "restated", "learned", "decision_trail"
)  # fmt: skip


@pytest.fixture(scope="module")
def few_and_many():
    return results(10), results(1_000)


class TestExplain:
    @pytest.mark.parametrize("name", EXPLAINED)
    def test_it_does_not_grow_with_the_log(self, few_and_many, name):
        few, much = (found[name] for found in few_and_many)
        # Seven presets, with six pairs of which each lists two sides by reason, and the changed.
        most = 6 * 2 * (SOME + 1) * (FEW + 2) if name == "side_by_side" else 9 * (SOME + 1)
        assert lines(much) <= lines(few) + most
        assert lines(much) < 1_000

    @pytest.mark.parametrize("make", [restatement, left_out])
    def test_what_grows_record_by_record_is_cut(self, make):
        assert lines(make(1_000)) == lines(make(100))

    def test_a_trail_of_very_many_decisions_is_cut(self):
        found = trail(1_000)
        assert lines(trail(200)) == lines(found)
        assert f"  ... and {1_001 - decisions.MANY} more decisions" in found.explain()
        assert "  planned by ann, p0, p1, p2, p3, p4, p5, p6, p7, p8, ... and 991 more" in (
            found.explain()
        )

    def test_a_reason_has_a_few_ids_and_there_are_a_few_reasons(self):
        text = left_out(30).explain().splitlines()
        assert "    30 pending: INC-0, INC-1, INC-2, ... and 27 more" in text
        assert "    1 merged into INC-0: INC-0" in text
        assert f"    ... and {31 - SOME} reasons" in text

    def test_of_a_restatement_the_records_that_matter_most_are_told(self):
        text = restatement(30).explain().splitlines()
        told = [line for line in text if line.startswith("  from ")]
        # They took 20 to 29 away, and are told in log order.
        assert [f"effect -{n}: record r{n} of" for n in range(20, 30)] == [
            re.search(r"effect .* of", line)[0] for line in told
        ]
        assert "  ... and 20 more records, which changed it less" in text
        assert "    ... and 20 more" in text

    def test_of_a_restatement_what_made_it_undefined_is_told_first(self):
        found = restatement(30)
        found = attrs.evolve(found, changes=[effect_of(None, [], 99), *found.changes])
        assert "effect undefined: record r99 of" in found.explain()

    def test_choices_that_are_not_the_default_say_so(self):
        text = time_to_restore([], statistic="mean", services=["pay"]).explain().splitlines()
        assert '    statistic = "mean" (default "median")' in text
        assert '    services = ["pay"] (default null)' in text
        assert '    start = ["detected"]' in text
        assert 2 == sum("(default " in line for line in text)

    def test_all_of_a_difference_is_in_its_lists(self):
        difference = results(300)["side_by_side"].between("dora", "devlake")
        assert "  only in " in difference.explain()
        assert len(difference.only_one) > FEW

    def test_values_that_are_very_many_are_cut(self):
        told = Difference(one="a", other="b", unit="count")._values([1.0] * 12, "links")
        assert " + ".join(["1"] * 10) + " + ... 2 more (links)" == told


# --- plain values ---------------------------------------------------------------------------------


def documented():
    """Return the keys that docs/json.md has for each shape."""
    found = {}
    page = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    for section in page.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        found[title] = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    return found


KEYS = documented()


def shapes(plain):
    """Yield each document in plain values that has a version of its shape."""
    if isinstance(plain, dict):
        if "shape" in plain:
            yield plain
        for value in plain.values():
            yield from shapes(value)
    elif isinstance(plain, list):
        for value in plain:
            yield from shapes(value)


@pytest.fixture(scope="module")
def found():
    return results(30)


class TestPlainValues:
    @pytest.mark.parametrize("population", [False, True])
    @pytest.mark.parametrize("name", EXPLAINED)
    def test_the_keys_are_those_of_the_page_and_always_there(self, found, name, population):
        result = found[name]
        given = {"population": True} if population and name != "decision_trail" else {}
        plain = result.as_dict(**given)
        assert plain == json.loads(json.dumps(plain, allow_nan=False))
        assert KEYS[type(result).__name__] == list(plain)
        for one in shapes(plain):
            assert 1 == one["shape"]
            assert list(one) in KEYS.values()
            for key in ("included", "left_out", "censored", "only_one", "only_other", "changed"):
                if key in one:
                    assert population is isinstance(one[key], list)

    def test_the_parts_are_those_of_the_page(self, found):
        plain = found["time_to_restore"].as_dict(population=True)
        assert KEYS["Interval"] == list(plain["interval"])
        assert KEYS["Included"] == list(plain["included"][0]) == list(plain["censored"][0])
        assert KEYS["LeftOut"] == list(plain["left_out"][0])
        side = found["side_by_side"].as_dict(population=True)
        assert KEYS["OneSided"] == next(
            list(one["only_one"][0]) for one in side["differences"] if one["only_one"]
        )
        assert KEYS["Changed"] == next(
            list(one["changed"][0]) for one in side["differences"] if one["changed"]
        )
        learned = found["learned"].as_dict()
        assert KEYS["Learnt"] == list(learned["incidents"][0])
        assert KEYS["Moved"] == list(learned["figures"][0])
        effects = restatement(1).as_dict()["changes"]
        assert KEYS["Effect"] == list(effects[0])
        names = ["position", "stream", "version", "type", "by", "why", "field", "was", "now"]
        assert names == list(effects[0]["events"][0])
        trail_ = found["decision_trail"].as_dict()
        fields = [field.name for field in attrs.fields(Decision) if field.name != "event"]
        assert fields == list(trail_["decisions"][0])

    def test_every_class_that_has_plain_values_of_a_shape_is_on_the_page(self):
        classes = (
            Comparison, DecisionTrail, Difference, DoraReport, Figure, Learned, Restatement,
            SideBySide,
        )  # fmt: skip
        assert all(KEYS[cls.__name__][0] == "shape" for cls in classes)


# --- values without who they are ------------------------------------------------------------------


def test_values_of_durations_are_known_before_who_they_are():
    """Exactly those of the members, in their order, without making them."""
    figure = time_to_restore(many(40))
    values = figure.values()
    assert "<Population, not made yet>" == repr(figure.included)
    assert [one.value for one in figure.included] == list(values)
    assert figure.n == len(values)
    recovery = imcm.failed_deployment_recovery_time(many(40))
    assert isinstance(recovery.included, Population)
    assert list(recovery.values()) == [one.value for one in recovery.included]


def test_values_of_other_figures_are_those_of_their_members():
    rate = imcm.change_failure_rate(many(8))
    assert sorted(one.value for one in rate.included) == list(rate.values())
