"""
Timelines as pictures: bars are the statuses as events say them, arrows what was stated.
"""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcm import (
    Between,
    InvalidValue,
    Ledger,
    Risk,
    Severity,
    Timeline,
    Verdict,
    change,
    incident,
    plots,
    timeline,
)
from imcm.demo import StoryClock, tell
from imcm.interchange.csv_files import import_csv
from imcm.plots.clock_scale import ClockScale
from imcm.plots.timelines import MOST_BARS, MOST_EVENTS, MOST_LANES, lanes_of, links_between
from plots.logs import NOON, deployed, restored
from plots.looking import texts


@pytest.fixture(scope="module")
def story() -> Ledger:
    """Return the ledger of the demo: one bad Friday evening."""
    clock = StoryClock()
    ledger = Ledger.in_memory(clock=clock)
    tell(ledger, clock, heard=lambda _: None)
    return ledger


def y_labels(axes: object) -> list[str]:
    return [text.get_text() for text in axes.get_yticklabels()]


def legend(axes: object) -> set[str]:
    return {text.get_text() for text in axes.get_legend().get_texts()}


# --- statuses and links ---------------------------------------------------------------------------


def test_bands_are_the_statuses_that_events_say(story: Ledger) -> None:
    """Each band begins with an event and ends with the next that changes the status."""
    [lane] = lanes_of(story.timeline("INC-204", linked=False))
    bands = list(lane.bands())
    assert [band.status for band in bands] == [
        *("detected", "triaged", "mitigating", "mitigated", "resolved", "closed")
    ]
    assert [band.end for band in bands] == [*(band.start for band in bands[1:]), None]
    row = next(row for row in story.facts().incidents if row.id == "INC-204")
    assert bands[4].start == row.resolved_at


def test_a_rollout_is_a_staircase(story: Ledger) -> None:
    """Its steps are those of the facts, and each share of users is labelled."""
    entries = story.timeline("CHG-1050", linked=False)
    [lane] = lanes_of(entries)
    row = next(row for row in story.facts().changes if row.id == "CHG-1050")
    assert lane.rollout() == [(step.at, step.percent) for step in row.rollout]
    axes = entries.plot("lanes")
    assert [text.get_text() for text in axes.texts][:4] == ["5 %", "25 %", "50 %", "100 %"]
    assert "share of users in a rollout" in legend(axes)


def test_an_aborted_rollout_comes_down() -> None:
    """After the abort nobody has it."""
    ledger = Ledger.in_memory()
    by = {"by": "ana"}
    plan = {"rollback_plan": "back", "services": ["a"], "risk": Risk.LOW}
    ledger.record("CHG-1", change.plan, at=NOON, title="v", **plan, **by)
    ledger.record("CHG-1", change.submit, at=NOON, **by)
    ledger.record("CHG-1", change.approve, at=NOON, by="mia")
    ledger.record("CHG-1", change.start, at=NOON, rollout_plan=(5, 100), **by)
    ledger.record("CHG-1", change.advance_rollout, at=NOON, percent=5, **by)
    later = NOON + timedelta(hours=1)
    ledger.record("CHG-1", change.abort_rollout, at=later, **by)
    [lane] = lanes_of(ledger.timeline("CHG-1"))
    assert lane.rollout() == [(NOON, 5.0), (later, 0.0)]
    assert "share of users in a rollout" in legend(ledger.timeline("CHG-1").plot())


def test_arrows_are_what_was_stated_last(story: Ledger) -> None:
    """What caused and what ended an incident; what was dismissed has no arrow."""
    lanes = lanes_of(timeline(story.replay(), service="checkout"))
    stated = {(link.change, link.incident): link.verdict for link in links_between(lanes)}
    assert stated == {
        ("CHG-1041", "INC-204"): Verdict.CAUSED,
        ("CHG-1042", "INC-204"): Verdict.FIXED,
    }
    axes = timeline(story.replay(), service="checkout").plot("lanes")
    assert {"arrow: caused", "arrow: ended"} <= legend(axes)
    ledger = deployed([("a", True)])
    assert len(links_between(lanes_of(ledger.timeline("INC-0")))) == 1
    ledger.record("INC-0", incident.dismiss_link, by="ana", at=NOON, change="CHG-0", why="no")
    assert not links_between(lanes_of(ledger.timeline("INC-0")))


def test_what_was_voided_is_a_cross_and_no_status() -> None:
    """A void takes its bar away, and its row is still there."""
    ledger = restored(2)
    ledger.record(
        "INC-0", incident.void, by="ben", at=NOON + timedelta(days=1), version=2, why="no"
    )
    [lane] = lanes_of(ledger.timeline("INC-0"))
    assert [band.status for band in lane.bands()] == ["detected"]
    axes = ledger.timeline("INC-0").plot("events")
    assert [each.get_marker() for each in axes.get_lines()].count("x") == 1


def test_what_is_resolved_or_done_is_over_though_nobody_closed_it() -> None:
    """Many sources close nothing: no bar goes on to the right edge then, and arrows stay."""
    ledger = deployed([("a", True), ("a", False)])
    axes = timeline(ledger.replay(), service="a").plot("lanes")
    assert legend(axes) == {"incident open", "arrow: caused"}
    last = max(entry.at for entry in ledger.timeline("INC-0") if entry.at is not None)
    assert last == NOON + timedelta(hours=1)
    bars = [each.get_width() for each in axes.patches if each.get_label() == "incident open"]
    assert sum(bars) <= 3_600
    [tall] = [each for each in axes.patches if round(each.get_height(), 2) == 0.56]
    assert tall.get_width() == 3_600
    ledger = Ledger.in_memory()
    ledger.record("INC-0", incident.detect, by="ana", at=NOON, title="Slow", services=["a"])
    ledger.record("INC-0", incident.triage, by="ana", at=NOON, severity=Severity.P3)
    ledger.record("INC-0", incident.resolve, by="ana", at=NOON + timedelta(hours=1))
    ledger.record("INC-0", incident.close, by="ana", at=NOON + timedelta(hours=5))
    assert "incident resolved, until closed" in legend(ledger.timeline("INC-0").plot("lanes"))


# --- pictures -------------------------------------------------------------------------------------


def test_a_timeline_has_a_row_for_each_event(story: Ledger) -> None:
    """What it is about stands first, its events by themselves, others by their ids."""
    entries = story.timeline("INC-204")
    axes = entries.plot()
    labels = y_labels(axes)
    assert labels[0] == "INC-204  Customers cannot pay"
    assert len(labels) == 4 + len(entries)
    assert axes.get_title(loc="left") == "Timeline of INC-204  Customers cannot pay"
    assert "acknowledged" in labels
    assert any(label.startswith("CHG-1041: ") for label in labels)
    assert axes.get_xlabel() == "time (UTC)"


def test_kinds_of_pictures_of_a_timeline(story: Ledger) -> None:
    """A few incidents and changes are events, many are lanes; others are refused."""
    whole = timeline(story.replay())
    assert whole.plot().get_title(loc="left") == "Incidents and changes of checkout"
    assert whole.plot("events").get_title(loc="left").startswith("Timeline of INC-204")
    with pytest.raises(InvalidValue, match="one of events, lanes"):
        whole.plot("gantt")
    for draw in (plots.timeline, plots.lanes):
        for wrong in ("INC-204", {"id": 1}, [1], 7):
            with pytest.raises(InvalidValue, match="what timeline"):
                draw(wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidValue, match="an IANA zone"):
            draw(whole, time_zone="Utopia")
        assert draw(whole, time_zone="Asia/Tokyo").get_xlabel() == "time (Asia/Tokyo)"


def test_a_timeline_is_a_tuple_of_its_entries(story: Ledger) -> None:
    """As before it could be drawn: equal, sliced, pickled."""
    entries = story.timeline("INC-204")
    assert isinstance(entries, Timeline)
    assert entries == tuple(entries)
    assert entries[:2] == tuple(entries)[:2]
    assert pickle.loads(pickle.dumps(entries)) == entries
    assert isinstance(timeline(story.replay(), incident="INC-204"), Timeline)


def test_uncertain_and_unknown_times_are_drawn() -> None:
    """Between two moments there is a line, and what has no time stands at the left edge."""
    ledger = Ledger.in_memory()
    between = Between(earliest=NOON, latest=NOON + timedelta(hours=2))
    ledger.record("INC-1", incident.detect, by="ana", at=between, title="Slow")
    ledger.record("INC-1", incident.resolve, by="ana", at=NOON + timedelta(hours=5))
    axes = ledger.timeline("INC-1").plot("events")
    [line] = [each for each in axes.get_lines() if each.get_marker() == "|"]
    assert list(line.get_xdata()) == [0.0, 7_200.0]


def test_history_without_times_is_drawn() -> None:
    """Of what was imported, some moments nobody knows: a row at the left edge, and no bar."""
    rows = [{"id": "INC-1", "detected_at": str(NOON), "severity": "P2", "resolved_at": ""}]
    ledger = Ledger.in_memory()
    import_csv(ledger, incidents=rows)
    entries = timeline(ledger.replay())
    assert entries[0].at is None
    axes = entries.plot("events")
    assert [each.get_marker() for each in axes.get_lines()].count("<") == 1
    assert timeline(ledger.replay()).plot("lanes").patches
    nowhere = Timeline(entry for entry in entries if entry.at is None)
    for kind in ("events", "lanes"):
        [reason] = [text.get_text() for text in nowhere.plot(kind).texts]
        assert "as far as anybody knows" in reason or "of which anybody knows" in reason


def test_verdicts_are_taken_in_the_order_of_the_log() -> None:
    """What was stated last counts, and no arrow goes to what is not there."""
    ledger = deployed([("a", True)])
    later = {"change": "CHG-0", "verdict": Verdict.SUSPECTED}
    ledger.record("INC-0", incident.link_change, by="ana", at=NOON, **later)
    entries = ledger.timeline("INC-0")
    lanes = lanes_of(entries)
    assert [link.verdict for link in links_between(lanes)] == [Verdict.SUSPECTED]
    assert [link.verdict for link in links_between(lanes_of(reversed(entries)))] == [
        Verdict.SUSPECTED
    ]
    alone = ledger.timeline("INC-0", linked=False).plot("lanes")
    assert not any(label.startswith("arrow") for label in legend(alone))


def test_a_hundred_thousand_events_are_a_light_picture() -> None:
    """Both pictures of a long log are drawn from a few of its entries."""
    first = list(timeline(deployed([("a", n % 50 == 0) for n in range(400)]).replay()))
    many = Timeline(first * 250)
    assert len(many) >= 100_000
    for kind in ("events", "lanes"):
        axes = many.plot(kind)
        assert len(axes.get_lines()) + len(axes.patches) < 1_500


def test_of_many_statuses_those_that_stood_longest_are_drawn() -> None:
    """An incident that came again a hundred times has thirty bars, the last of them."""
    ledger = restored(-1)
    with ledger.transaction() as tx:
        for hour in range(1, 101):
            at = NOON + timedelta(hours=hour)
            tx.record("INC-0", incident.resolve, by="ana", at=at)
            again = at + timedelta(minutes=hour // 2)
            tx.record("INC-0", incident.reopen, by="ana", at=again, why="again")
    axes = ledger.timeline("INC-0").plot("lanes")
    assert len(axes.patches) == MOST_BARS
    assert max(bar.get_x() + bar.get_width() for bar in axes.patches) > 360_000


def test_of_many_lanes_incidents_and_what_caused_them_are_drawn() -> None:
    """Forty fit; the picture says of how many they are."""
    ledger = deployed([("a", n % 20 == 7) for n in range(200)])
    axes = timeline(ledger.replay()).plot("lanes")
    labels = y_labels(axes)
    assert len(labels) == MOST_LANES
    failed = range(7, 200, 20)
    assert {f"INC-{n}  It fails" for n in failed} <= set(labels)
    assert {f"CHG-{n}  v" for n in failed} <= set(labels)
    assert "10 incidents and 30 of 200 changes; drawn are the newest, what is linked first" in (
        texts(axes)
    )


def test_of_many_events_those_that_change_a_status_are_drawn() -> None:
    """Sixty rows fit; the picture says of how many they are."""
    ledger = restored(-1)
    with ledger.transaction() as tx:
        for n in range(500):
            at = NOON + timedelta(minutes=n)
            tx.record("INC-0", incident.mark, name=f"step {n}", by="ana", at=at)
        tx.record("INC-0", incident.resolve, by="ana", at=NOON + timedelta(days=1))
    axes = ledger.timeline("INC-0").plot("events")
    assert len(y_labels(axes)) == MOST_EVENTS + 1
    assert y_labels(axes)[-1].startswith("resolved")
    assert f"{MOST_EVENTS} of 502 events" in [text.get_text() for text in axes.texts]


def test_what_is_open_goes_on_to_the_edge() -> None:
    """One event is a picture, too: an open incident from then on."""
    axes = restored(-1).timeline("INC-0").plot("lanes")
    [bar] = axes.patches
    assert bar.get_x() == 0.0
    assert bar.get_x() + bar.get_width() >= axes.get_xlim()[1] * 0.999
    assert "incident open" in legend(axes)


def test_what_is_open_says_so_at_the_edge() -> None:
    """The bar goes on beyond the last event, with an arrow head and the word; else neither."""
    for kind in ("events", "lanes"):
        ledger = restored(-1)
        ledger.record("INC-0", incident.mark, name="x", by="ana", at=NOON + timedelta(hours=2))
        axes = ledger.timeline("INC-0").plot(kind)
        [bar] = axes.patches
        end = bar.get_x() + bar.get_width()
        assert end > 1.05 * 7_200
        assert end == pytest.approx(axes.get_xlim()[1])
        [head] = [each for each in axes.get_lines() if each.get_marker() == ">"]
        assert list(head.get_xdata()) == [pytest.approx(end)]
        assert "open" in texts(axes)
        over = restored(2).timeline("INC-0").plot(kind)
        assert "open" not in texts(over)
        assert not [each for each in over.get_lines() if each.get_marker() == ">"]


def test_what_nobody_knows_the_time_of_stands_apart() -> None:
    """Below all others, under its own heading, and in the key."""
    rows = [{"id": "INC-1", "detected_at": str(NOON), "severity": "P2", "resolved_at": ""}]
    ledger = Ledger.in_memory()
    import_csv(ledger, incidents=rows)
    axes = timeline(ledger.replay()).plot("events")
    [mark] = [each for each in axes.get_lines() if each.get_marker() == "<"]
    dots = [each for each in axes.get_lines() if each.get_marker() == "o"]
    assert mark.get_ydata()[0] > max(each.get_ydata()[0] for each in dots) + 1
    assert "time not known" in texts(axes)
    assert "time not known" in legend(axes)
    [heading] = [text for text in axes.texts if text.get_text() == "time not known"]
    assert heading.get_position()[1] < mark.get_ydata()[0]
    assert y_labels(axes)[-1].startswith("triaged as P2")
    assert "time not known" not in legend(restored(-1).timeline("INC-0").plot("events"))


def test_of_many_lanes_both_kinds_are_drawn() -> None:
    """Linked pairs first, then as many of one kind as of the other, and how many of how many."""
    ledger = deployed([("search", n in {3, 50}) for n in range(73)])
    with ledger.transaction() as tx:
        for number in range(60):
            at = NOON + timedelta(days=number, hours=1)
            mine = {"by": "ana", "at": at, "title": "Slow", "services": ["search", "login"]}
            tx.record(f"INC-9{number:02}", incident.detect, **mine)
    axes = timeline(ledger.replay(), service="search").plot("lanes")
    names = {name.split()[0] for name in y_labels(axes)}
    assert {"INC-3", "CHG-3", "INC-50", "CHG-50"} <= names
    assert sum(name.startswith("INC") for name in names) == MOST_LANES / 2
    [said] = [text for text in texts(axes) if text.startswith("20 of ")]
    assert said.startswith("20 of 62 incidents and 20 of 73 changes; drawn are the newest")
    assert axes.get_title(loc="left") == "Incidents and changes of search"


def test_lanes_name_their_services() -> None:
    """Those that all have, else all where they are few, else how many."""
    for services, said in (("ab", "a, b"), ("abcd", "4 services")):
        ledger = deployed([(name, False) for name in services])
        axes = timeline(ledger.replay()).plot("lanes")
        assert axes.get_title(loc="left") == f"Incidents and changes of {said}"
    ledger = Ledger.in_memory()
    ledger.record("INC-1", incident.detect, by="ana", at=NOON, title="Slow")
    assert ledger.timeline("INC-1").plot("lanes").get_title(loc="left") == "Incidents and changes"


# --- the scale ------------------------------------------------------------------------------------

MOMENTS = st.lists(
    st.integers(-2_000_000_000, 4_000_000_000).map(lambda n: datetime.fromtimestamp(n, UTC)),
    min_size=1,
    max_size=30,
)


@given(MOMENTS, st.sampled_from(["UTC", "Asia/Kolkata", "America/St_Johns"]))
def test_the_scale_keeps_the_order_of_time(moments: list[datetime], home: str) -> None:
    """Later is never further left, all is inside, and labels are apart and in order."""
    scale = ClockScale(moments, ZoneInfo(home))
    places = [scale.x(moment) for moment in sorted(moments)]
    assert places == sorted(places)
    assert places[0] == 0.0
    assert places[-1] <= scale.width * (1 + 1e-6)
    ticks = [x for x, _ in scale._ticks()]
    assert ticks == sorted(ticks)
    assert 1 <= len(ticks) < 30


def test_a_long_stretch_without_events_is_cut_short() -> None:
    """Two hours, a week of nothing, one hour: the hours are to scale, and the cut says so."""
    minutes = [*range(0, 120, 10), *range(10_080, 10_140, 10)]
    moments = [NOON + timedelta(minutes=minute) for minute in minutes]
    scale = ClockScale(moments, ZoneInfo("UTC"))
    assert len(scale.segments) == 2
    assert scale.x(moments[5]) == 3_000.0
    assert scale.width == pytest.approx(9_600 * 1.07)
    assert 6_600.0 < scale.x(NOON + timedelta(days=3)) < 6_600 + 9_600 * 0.07
    ledger = Ledger.in_memory()
    ledger.record("INC-1", incident.detect, by="ana", at=NOON, title="Slow")
    with ledger.transaction() as tx:
        for number, moment in enumerate(moments[1:]):
            tx.record("INC-1", incident.mark, name=f"step {number}", by="ana", at=moment)
    axes = ledger.timeline("INC-1").plot()
    assert "6 d 22 h without events" in [text.get_text() for text in axes.texts]
