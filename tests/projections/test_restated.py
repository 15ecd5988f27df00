"""A published figure and what is known of it later: which events changed it, and by how much."""

import json
from datetime import UTC, datetime
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcm.domain.corrections import MomentCorrected
from imcm.domain.incident_events import IncidentDetected, IncidentResolved
from imcm.domain.recorded import LedgerOpened, Recorded, Unread, known
from imcm.errors import InvalidValue, NaiveTimeError
from imcm.projections.facts.fold import facts
from imcm.projections.figures.failures import change_failure_rate
from imcm.projections.figures.restore import mean_time_to_restore, time_to_restore
from imcm.projections.reports.restated import Added, Restatement, restated
from projections.log import (
    START,
    at,
    caused_by,
    corrected,
    deployment,
    detected,
    incident,
    resolved,
    seconds,
    voided,
)

NEWER = Unread(type="IncidentSung", state=b"{}", why="unknown type")


def in_order(*rows):
    """
    Return a log of (stream, event) or (stream, event, record), one a minute after START.

    Versions are counted by stream; without a record each event has its own.
    """
    versions = {}
    result = []
    for position, (stream, event, *record) in enumerate(rows, start=1):
        versions[stream] = versions.get(stream, 0) + 1
        name = record[0] if record else f"record {position}"
        stamp = at(position / 60)
        result.append(Recorded(stream, versions[stream], position, stamp, name, None, event))
    return result


def story(*parts):
    """Return (stream, event) pairs of whole streams, one after the other."""
    return [(stream, event) for stream, events in parts for event in events]


def restore_of(**arguments):
    return lambda facts: time_to_restore(facts, **arguments)


def mean_of(**arguments):
    return lambda facts: mean_time_to_restore(facts, **arguments)


def steps(id, *taken):
    """Return (stream, event) pairs of an incident that took these steps."""
    stream, events = incident(id, *taken)
    return [(stream, event) for event in events]


# Two incidents of 2 h and 4 h; then the first is corrected to 1 h, a third of 9 h becomes known,
# and the second turns out to be a false alarm. The mean: 3 h, 2.5 h, 14/3 h, 5 h.
ONE = steps("INC-1", detected(-20), resolved(-18), corrected(-1, 2, "at", at(-18), at(-19)))
TWO = steps("INC-2", detected(-20), resolved(-16))
THREE = steps("INC-3", detected(-20), resolved(-11))
VOIDED = steps("INC-2", detected(-20), resolved(-16), voided(-1, 2))[2:]
QUARTER = in_order(*ONE[:2], *TWO, ONE[2], *THREE, *VOIDED)


class TestWorkedExample:
    def test_every_event_that_changed_the_mean_is_listed_with_its_effect(self):
        """3 h as published; the correction, the late incident and the void make it 5 h."""
        found = restated(QUARTER, mean_of(), known_at_a=4)
        assert (seconds(3), seconds(5)) == (found.before.value, found.after.value)
        values = [(one.value_before, one.value_after) for one in found.changes]
        assert [
            (seconds(3), seconds(2.5)),
            (seconds(2.5), seconds(14 / 3)),
            (seconds(14 / 3), seconds(5)),
        ] == values
        assert [(5,), (7,), (8,)] == [one.positions for one in found.changes]
        assert seconds(-0.5) == found.changes[0].effect
        assert seconds(2) == found.difference
        assert seconds(2) == sum(one.effect for one in found.changes)
        assert found.across_undefined == 0

    def test_the_events_are_named(self):
        found = restated(QUARTER, mean_of(), known_at_a=4, known_at_b=5)
        (one,) = found.changes
        assert one.events == (
            Added(
                position=5,
                stream="incident:INC-1",
                version=3,
                type="MomentCorrected",
                by="ann",
                why="misread",
                field="at",
                was=datetime(2026, 3, 1, 15, tzinfo=UTC),
                now=datetime(2026, 3, 1, 14, tzinfo=UTC),
            ),
        )
        assert one.record == "record 5"
        assert at(5 / 60) == one.recorded_at

    def test_events_without_effect_are_counted_and_not_listed(self):
        """The detection of a third incident alone moves no mean of what is over."""
        found = restated(QUARTER, mean_of(), known_at_a=4)
        assert found.events == 4
        assert found.without_effect == 1

    def test_both_figures_carry_what_they_know(self):
        found = restated(QUARTER, mean_of(), known_at_a=4, known_at_b=7)
        assert (4, 4) == (found.before.known_at, found.before.log_position)
        assert (7, 7) == (found.after.known_at, found.after.log_position)

    def test_the_end_of_the_log_is_the_default(self):
        found = restated(QUARTER, mean_of(), known_at_a=4)
        assert found.after.known_at is None
        assert found.after.log_position == 8

    def test_the_same_point_twice_changes_nothing(self):
        found = restated(QUARTER, mean_of(), known_at_a=5, known_at_b=5)
        assert found.difference == 0
        assert (0, 0, ()) == (found.events, found.without_effect, found.changes)

    def test_the_published_figure_comes_out_again(self):
        """Given its own as_of, the earlier side is the published figure, whole and to the digit."""
        published = mean_time_to_restore(facts(QUARTER, known_at=4))
        found = restated(QUARTER, mean_of(), known_at_a=4, as_of=published.as_of)
        assert published == found.before

    def test_the_published_figure_says_itself_how_far_it_read(self):
        """A list of events can't tell whose log it is: then the figure is taken at its word."""
        published = mean_time_to_restore(facts(QUARTER, known_at=4))
        found = restated(QUARTER, mean_of(), known_at_a=published)
        assert published == found.before

    def test_a_share_is_restated_as_well(self):
        """An incident after the quarter fails a change in it."""
        events = in_order(
            *story(deployment("CHG-1", -9), deployment("CHG-2", -8)),
            *steps("INC-1", detected(-5), caused_by("CHG-2", -4)),
        )
        found = restated(events, change_failure_rate, known_at_a=4)
        assert (0, 0.5) == (found.before.value, found.after.value)
        assert [(6,)] == [one.positions for one in found.changes]


class TestRecords:
    def test_events_of_one_call_have_one_effect(self):
        """Detection and resolution told in one call are added together."""
        together = [(*pair, "one call") for pair in THREE]
        found = restated(in_order(*ONE[:2], *together), mean_of(), known_at_a=2)
        (one,) = found.changes
        assert (3, 4) == one.positions
        assert ["IncidentDetected", "IncidentResolved"] == [e.type for e in one.events]
        assert found.without_effect == 0

    def test_a_call_without_effect_counts_all_its_events(self):
        row = ("ledger:self", LedgerOpened(ledger_id="x", format=1), "one call")
        unread = ("incident:INC-9", NEWER, "one call")
        found = restated(in_order(*ONE[:2], row, unread), mean_of(), known_at_a=2)
        assert (2, 2) == (found.events, found.without_effect)

    def test_a_call_that_was_known_in_part_has_the_rest(self):
        together = [(*pair, "one call") for pair in THREE]
        found = restated(in_order(*ONE[:2], *together), mean_of(), known_at_a=3)
        assert [(4,)] == [one.positions for one in found.changes]

    def test_an_unread_event_in_such_a_call_keeps_its_stored_name(self):
        together = [(*pair, "one call") for pair in (*THREE, ("incident:INC-3", NEWER))]
        found = restated(in_order(*ONE[:2], *together), mean_of(), known_at_a=2)
        assert found.changes[0].events[-1].type == "IncidentSung"
        assert found.after.notes != ()


class TestUndefined:
    def test_from_undefined_there_is_no_effect(self):
        """Before the first resolution there is no mean; both values are listed all the same."""
        found = restated(in_order(*ONE[:2]), mean_of(), known_at_a=1)
        (one,) = found.changes
        assert (None, seconds(2), None) == (one.value_before, one.value_after, one.effect)
        assert found.difference is None
        assert found.exact_difference is None
        assert found.across_undefined is None

    def test_undefined_in_between_is_kept_apart(self):
        """2 h, then voided and undefined, then another of 4 h: neither step has the difference."""
        void = steps("INC-1", detected(-20), resolved(-18), voided(-1, 2))[2]
        found = restated(in_order(*ONE[:2], void, *TWO), mean_of(), known_at_a=2)
        assert [None, None] == [one.effect for one in found.changes]
        assert seconds(2) == found.difference
        assert seconds(2) == found.across_undefined
        assert "\n  across undefined values: 2 h" in found.explain()

    def test_nothing_known_before_is_undefined(self):
        found = restated(QUARTER, mean_of(), known_at_a=0)
        assert found.before.value is None
        assert found.before.n == 0
        assert found.events == 8

    def test_an_empty_log_has_nothing(self):
        found = restated([], mean_of(), known_at_a=0)
        assert (None, None) == (found.before.as_of, found.difference)
        assert found.events == 0


class TestTwoTimes:
    def test_only_knowledge_differs(self):
        """Both sides are as of the newest stamp known at b."""
        found = restated(QUARTER, mean_of(), known_at_a=4, known_at_b=7)
        assert at(7 / 60) == found.before.as_of
        assert at(7 / 60) == found.after.as_of

    def test_the_newest_stamp_need_not_be_the_last(self):
        """A stamp can go back; the default is still the newest of them."""
        events = [*QUARTER[:7], QUARTER[7]._replace(recorded_at=START)]
        assert at(7 / 60) == restated(events, mean_of(), known_at_a=4).after.as_of

    def test_world_facts_after_as_of_are_cut_on_both_sides(self):
        """As of 15 h before, only the correction, which holds for every as_of, has an effect."""
        found = restated(QUARTER, mean_of(), known_at_a=4, as_of=at(-15))
        assert (seconds(3), seconds(1)) == (found.before.value, found.after.value)
        assert [(5,), (8,)] == [one.positions for one in found.changes]

    def test_points_can_be_times(self):
        """A time means the longest part in which no event was recorded after it."""
        found = restated(QUARTER, mean_of(), known_at_a=at(4 / 60), known_at_b=at(5.5 / 60))
        assert (4, 5) == (found.before.log_position, found.after.log_position)
        assert seconds(-0.5) == found.difference

    def test_a_position_and_a_time_can_be_mixed(self):
        found = restated(QUARTER, mean_of(), known_at_a=at(4 / 60), known_at_b=5)
        assert found.events == 1
        assert restated(QUARTER, mean_of(), known_at_a=4, known_at_b=at(1)).events == 4

    @pytest.mark.parametrize(
        ("a", "b"),
        [
            (5, 4),
            (200, 100),
            (at(5 / 60), at(4 / 60)),
            (at(200), at(100)),
            (5, at(4 / 60)),
            (at(5 / 60), 4),
        ],
    )
    def test_the_later_point_must_not_be_the_earlier(self, a, b):
        """Refused also where the log ends before both."""
        with pytest.raises(InvalidValue, match="must not lie before the earlier") as refused:
            restated(QUARTER, mean_of(), known_at_a=a, known_at_b=b)
        assert refused.value.name == "known_at_b"

    def test_a_time_without_a_zone_is_refused(self):
        naive = datetime(2026, 1, 1)  # noqa: DTZ001 - the very mistake
        with pytest.raises(NaiveTimeError):
            restated(QUARTER, mean_of(), known_at_a=naive)
        with pytest.raises(NaiveTimeError):
            restated(QUARTER, mean_of(), known_at_a=1, known_at_b=naive)
        with pytest.raises(NaiveTimeError):
            restated(QUARTER, mean_of(), known_at_a=1, as_of=naive)

    def test_what_is_no_point_is_refused(self):
        with pytest.raises(InvalidValue, match="known_at"):
            restated(QUARTER, mean_of(), known_at_a="yesterday")


class TestTold:
    def test_a_restatement_is_explained_in_full(self):
        text = restated(QUARTER, mean_of(), known_at_a=4).explain()
        assert text.splitlines() == [
            "mean time to restore, restated: 3 h became 5 h",
            "  before: 3 h, n = 2, known at 4 (log position 4)",
            "  after: 5 h, n = 2, known at the end of the log (log position 8)",
            "  as of 2026-03-02 09:08:00+00:00",
            "  difference: 2 h",
            "  events between: 4; without effect: 1",
            "  from 3 h to 2 h 30 min, effect -30 min: record record 5 of "
            "2026-03-02 09:05:00+00:00",
            "    position 5: MomentCorrected of incident:INC-1, ann: "
            "at was 2026-03-01T15:00:00+00:00, is 2026-03-01T14:00:00+00:00 (misread)",
            "  from 2 h 30 min to 4 h 40 min, effect 2 h 10 min: record record 7 of "
            "2026-03-02 09:07:00+00:00",
            "    position 7: IncidentResolved of incident:INC-3, ann",
            "  from 4 h 40 min to 5 h, effect 20 min: record record 8 of 2026-03-02 09:08:00+00:00",
            "    position 8: EventVoided of incident:INC-2, ann: a slip",
        ]

    def test_undefined_effects_are_said_to_be(self):
        text = restated(in_order(*ONE[:2]), mean_of(), known_at_a=1).explain()
        assert "  difference: undefined\n" in text
        assert "  from undefined to 2 h, effect undefined: record record 2 of" in text

    def test_every_part_goes_to_json(self):
        """Plain values that JSON gives back as they were; effects also as exact fractions."""
        found = restated(QUARTER, mean_of(), known_at_a=4)
        plain = found.as_dict()
        assert plain == json.loads(json.dumps(plain, allow_nan=False))
        assert seconds(2) == plain["difference"]
        exact = [Fraction(one["exact_effect"]) for one in plain["changes"]]
        assert Fraction(plain["exact_difference"]) == sum(exact)
        assert [{"position": 5, "stream": "incident:INC-1", "version": 3}] == [
            {name: event[name] for name in ("position", "stream", "version")}
            for event in plain["changes"][0]["events"]
        ]
        assert plain["before"]["included"] is None
        assert len(found.after.included) == len(found.as_dict(population=True)["after"]["included"])

    def test_what_is_undefined_is_null_in_json(self):
        plain = restated(in_order(*ONE[:2]), mean_of(), known_at_a=1).as_dict()
        assert plain["difference"] is None
        assert plain["exact_difference"] is None
        assert plain["across_undefined"] is None
        assert plain["changes"][0]["effect"] is None


class TestCost:
    def test_facts_are_added_and_never_read_from_the_start(self):
        """A log can be read only once, and one figure is computed for each record and side."""
        asked = []

        def counted(found):
            asked.append(found.events)
            return mean_time_to_restore(found)

        restated(iter(QUARTER), counted, known_at_a=4)
        assert asked == [4, 5, 6, 7, 8, 8]


# --- properties -----------------------------------------------------------------------------------


@st.composite
def logs(draw):
    """Draw a log of incidents told in any order, corrected and taken back, some in one call."""
    rows = []
    seen = {}
    for number in range(draw(st.integers(0, 14))):
        id_ = draw(st.sampled_from("ABC"))
        stream = f"incident:{id_}"
        past = seen.setdefault(stream, [])
        if not past:
            event = IncidentDetected(
                at=at(-100), by="ann", title="down", services=("pay",), imported=True
            )
        else:
            moment = at(draw(st.integers(-99, -1)) / 7)
            event = IncidentResolved(at=moment, by="ann")
            old = [i for i, e in enumerate(past, start=1) if isinstance(e, IncidentResolved)]
            if old and draw(st.booleans()):
                event = MomentCorrected(
                    at=None,
                    by="ann",
                    version=draw(st.sampled_from(old)),
                    field="at",
                    was=None,
                    now=moment,
                    why="misread",
                )
        past.append(event)
        rows.append((stream, event, f"call {number // draw(st.integers(1, 3))}"))
    return in_order(*rows)


FIGURES = st.sampled_from([mean_of(), restore_of(), restore_of(statistic="p90")])


class TestAlways:
    @given(logs(), FIGURES, st.integers(0, 15), st.integers(0, 15))
    def test_effects_add_up_exactly(self, events, figure_of, one, other):
        """From value to value without a gap, and in sum the difference, as fractions."""
        a, b = sorted((one, other))
        found = restated(events, figure_of, known_at_a=a, known_at_b=b)
        path = [found.before.value, *(change.value_after for change in found.changes)]
        assert path[:-1] == [change.value_before for change in found.changes]
        assert path[-1] == found.after.value
        effects = [change.effect for change in found.changes]
        if None not in path:
            assert found.across_undefined == 0
            steps_ = accumulate(effects, initial=Fraction(found.before.value))
            assert [Fraction(value) for value in path] == list(steps_)
            assert found.after.value - found.before.value == found.difference
        if found.exact_difference is not None:
            defined = sum(effect for effect in effects if effect is not None)
            assert found.exact_difference == defined + found.across_undefined

    @given(logs(), FIGURES, st.integers(0, 15), st.integers(0, 15))
    def test_it_is_what_a_replay_from_the_start_gives(self, events, figure_of, one, other):
        a, b = sorted((one, other))
        found = restated(events, figure_of, known_at_a=a, known_at_b=b)
        as_of = max((r.recorded_at for r in known(events, b)), default=None)
        assert figure_of(facts(events, known_at=a, as_of=as_of)) == found.before
        assert figure_of(facts(events, known_at=b, as_of=as_of)) == found.after
        listed = sum(len(change.events) for change in found.changes)
        assert len(list(known(events, b))) - len(list(known(events, a))) == found.events
        assert found.events == listed + found.without_effect
        assert isinstance(found, Restatement)
