"""What was learned between two moments of knowledge, and which published figures that moved."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcm.domain.change_events import ChangeCompleted, ChangePlanned
from imcm.domain.corrections import EventVoided, MomentCorrected, WordsRedacted
from imcm.domain.incident_events import (
    IncidentAbsorbed,
    IncidentDetected,
    IncidentStatus,
    UpdatePosted,
)
from imcm.domain.recorded import LedgerOpened, Recorded, Unread
from imcm.domain.vocabulary import Audience, ChangeType, Verdict
from imcm.errors import InvalidValue, NaiveTimeError
from imcm.projections.facts.fold import facts
from imcm.projections.figures.restore import mean_time_to_restore, time_to_restore
from imcm.projections.histories.learned import (
    FIGURES,
    Corrected,
    Judged,
    Late,
    Learnt,
    Merged,
    Moved,
    Redacted,
    Reopened,
    Voided,
    learned,
)
from imcm.projections.reports.restated import restated
from projections.log import (
    at,
    between,
    caused_by,
    cleared_of,
    corrected,
    deployment,
    detected,
    dismissed,
    incident,
    merged_into,
    mitigated,
    reopened,
    resolved,
    seconds,
    unmerged,
    voided,
)

NEWER = Unread(type="IncidentSung", state=b"{}", why="unknown type")
PIECES = (
    "incidents",
    "changes",
    "corrections",
    "voids",
    "merges",
    "verdicts",
    "reopenings",
    "redactions",
)


def in_order(*rows, stamps=None):
    """Return a log of (stream, event) pairs, recorded one an hour or at the times given."""
    versions = {}
    result = []
    for position, (stream, event) in enumerate(rows, start=1):
        versions[stream] = versions.get(stream, 0) + 1
        stamp = at((stamps or {}).get(position, position))
        record = f"record {position}"
        result.append(Recorded(stream, versions[stream], position, stamp, record, None, event))
    return result


def steps(id, *taken):
    """Return (stream, event) pairs of an incident that took these steps."""
    stream, events = incident(id, *taken)
    return [(stream, event) for event in events]


def deployed(id, hours, **fields):
    stream, events = deployment(id, hours, **fields)
    return [(stream, event) for event in events]


def told(recorded, of=Learnt, **more):
    """Return what is said of one event of a log."""
    event = recorded.event
    return of(
        kind=recorded.kind,
        id=recorded.id,
        type=type(event).__name__,
        at=event.at,
        by=event.by,
        recorded_at=recorded.recorded_at,
        position=recorded.position,
        version=recorded.version,
        record=recorded.record,
        **more,
    )


class TestNews:
    def test_incidents_and_changes_that_were_not_known_before(self):
        story = in_order(
            *steps("INC-1", detected(0)),
            *deployed("CHG-1", 1),
            *steps("INC-1", detected(0), mitigated(1))[1:],
            *steps("INC-2", detected(3), resolved(4)),
            *deployed("CHG-2", 4),
        )

        found = learned(story, known_at_a=3)

        assert (told(story[4]),) == found.incidents
        assert (told(story[6]),) == found.changes
        assert (5, 3, 8) == (found.events, found.position_a, found.position_b)
        assert {
            "ChangeCompleted": 1,
            "ChangePlanned": 1,
            "IncidentDetected": 1,
            "IncidentMitigated": 1,
            "IncidentResolved": 1,
        } == found.types

    def test_nothing_is_learned_between_a_point_and_itself(self):
        story = in_order(*steps("INC-1", detected(0), resolved(1)))

        found = learned(story, known_at_a=2)

        assert (0, {}, ()) == (found.events, found.types, found.late)
        assert () == tuple(piece for name in PIECES for piece in getattr(found, name))
        assert () == found.moved

    def test_of_an_empty_log_nothing_can_be_learned(self):
        found = learned([], known_at_a=0)

        assert (0, 0, 0, None, None) == (
            found.events,
            found.position_a,
            found.position_b,
            found.moment_a,
            found.as_of,
        )

    def test_everything_is_new_to_who_knew_nothing(self):
        story = in_order(*steps("INC-1", detected(-5)), *deployed("CHG-1", -3))

        found = learned(story, known_at_a=0)

        assert ["INC-1", "CHG-1"] == [one.id for one in (*found.incidents, *found.changes)]
        assert () == found.late  # there was no point for it to lie before

    def test_what_this_version_can_not_read_is_counted(self):
        story = in_order(
            ("incident:INC-1", NEWER), ("ledger:1", LedgerOpened(ledger_id="1", format=1))
        )

        found = learned(story, known_at_a=0)

        assert {"IncidentSung": 1, "LedgerOpened": 1} == found.types
        (one,) = found.incidents
        assert ("IncidentSung", None, "") == (one.type, one.at, one.by)

    def test_the_ledgers_own_rows_teach_nothing(self):
        opened = ("ledger:1", LedgerOpened(ledger_id="1", format=1))

        found = learned(in_order(opened, opened), known_at_a=1)

        assert (1, ()) == (found.events, found.incidents)


class TestLate:
    def late(self, *moments, known_at_a=1, stamp=9):
        """Return what is late of events at these moments, told at *stamp*, of a log known at 5."""
        events = [UpdatePosted(at=m, by="ann", audience=Audience.PUBLIC) for m in moments]
        first = steps("INC-1", detected(0))
        rows = [("incident:INC-1", event) for event in events]
        stamps = {1: 5, **dict.fromkeys(range(2, 2 + len(rows)), stamp)}
        return learned(in_order(*first, *rows, stamps=stamps), known_at_a=known_at_a).late

    def test_what_had_happened_before_the_first_point_and_by_how_much(self):
        assert [(at(3), timedelta(hours=6))] == [
            (one.at, one.late) for one in self.late(at(3), at(6))
        ]

    def test_the_point_itself_is_not_before_it(self):
        assert () == self.late(at(5))

    def test_a_time_asked_for_is_the_point(self):
        assert [at(6)] == [one.at for one in self.late(at(6), at(8), known_at_a=at(7))]

    def test_an_uncertain_moment_is_late_only_where_every_reading_is(self):
        (one,) = self.late(between(2, 4), between(3, 6))

        assert (between(2, 4), timedelta(hours=6)) == (one.at, one.late)

    def test_what_has_no_known_moment_is_not_late(self):
        assert () == self.late(None)

    def test_what_speaks_of_other_events_is_never_late(self):
        story = in_order(
            *steps(
                "INC-1", detected(0), resolved(1), corrected(2, 2, "at", at(1), at(2)), voided(3, 2)
            ),
            ("incident:INC-1", WordsRedacted(at=at(3), by="ann", versions=(1,), reason="a name")),
            stamps={1: 20, 2: 20},
        )

        assert () == learned(story, known_at_a=2).late

    def test_a_verdict_can_be_late_as_well(self):
        story = in_order(*steps("INC-1", detected(0), caused_by("CHG-1", 1)), stamps={1: 4, 2: 9})

        found = learned(story, known_at_a=1)

        assert (told(story[1], Late, late=timedelta(hours=8)),) == found.late
        assert 1 == len(found.verdicts)

    def test_the_newest_stamp_is_the_moment_of_a_position(self):
        """The ledger's clock went back: what was known at 2 was known at 9 o'clock."""
        story = in_order(
            *steps("INC-1", detected(0), resolved(1)),
            *steps("INC-2", detected(8)),
            stamps={1: 9, 2: 7, 3: 10},
        )

        found = learned(story, known_at_a=2)

        assert (at(9), ["INC-2"]) == (found.moment_a, [one.id for one in found.late])


class TestCorrections:
    def test_what_was_and_what_is_and_who_said_so(self):
        story = in_order(
            *steps("INC-1", detected(0), resolved(2), corrected(3, 2, "at", at(2), at(1)))
        )

        (one,) = learned(story, known_at_a=2).corrections

        assert (
            told(
                story[2],
                Corrected,
                of_version=2,
                of_type="IncidentResolved",
                of_position=2,
                field="at",
                was=at(2),
                now=at(1),
                why="misread",
            )
            == one
        )

    def test_a_fact_of_the_same_stretch_can_be_corrected_too(self):
        story = in_order(*steps("INC-1", detected(0), corrected(3, 1, "at", at(0), at(1))))

        (one,) = learned(story, known_at_a=0).corrections

        assert ("IncidentDetected", 1) == (one.of_type, one.of_position)

    def test_of_what_is_not_in_the_log_only_the_version_is_told(self):
        moved = MomentCorrected(at=at(1), by="ann", version=7, field="at", was=at(0), now=at(1))
        gone = EventVoided(at=at(2), by="ann", version=8, status="detected")
        story = in_order(("incident:INC-1", moved), ("incident:INC-1", gone))

        found = learned(story, known_at_a=0)

        assert [(7, None, None), (8, None, None)] == [
            (one.of_version, one.of_type, one.of_position)
            for one in (*found.corrections, *found.voids)
        ]

    def test_voids(self):
        story = in_order(*steps("INC-1", detected(0), resolved(2), voided(3, 2)))

        (one,) = learned(story, known_at_a=2).voids

        assert (
            told(
                story[2],
                Voided,
                of_version=2,
                of_type="IncidentResolved",
                of_position=2,
                why="a slip",
            )
            == one
        )

    def test_words_taken_out(self):
        gone = WordsRedacted(at=at(3), by="ann", versions=(1, 2), reason="a name")
        story = in_order(*steps("INC-1", detected(0), resolved(2)), ("incident:INC-1", gone))

        assert (told(story[2], Redacted, versions=(1, 2), reason="a name"),) == (
            learned(story, known_at_a=2).redactions
        )


class TestStatements:
    def test_merges_and_their_taking_back(self):
        story = in_order(
            *steps("INC-1", detected(0), merged_into("INC-2", 1), unmerged(2)),
            ("incident:INC-2", IncidentAbsorbed(at=at(1), by="ann", merged="INC-1")),
        )

        found = learned(story, known_at_a=1)

        assert (
            told(story[1], Merged, other="INC-2", merged=True, why=""),
            told(story[2], Merged, other="INC-2", merged=False, why="two things after all"),
        ) == found.merges
        assert 1 == found.types["IncidentAbsorbed"]

    def test_verdicts_given_and_changed(self):
        story = in_order(
            *steps(
                "INC-1",
                detected(0),
                caused_by("CHG-1"),
                caused_by("CHG-2"),
                cleared_of("CHG-1", 2),
            ),
            *steps("INC-2", detected(0), caused_by("CHG-1")),
        )

        first, second, third = learned(story, known_at_a=2).verdicts

        assert ("CHG-2", None, Verdict.CAUSED) == (first.change, first.was, first.now)
        assert (
            told(
                story[3],
                Judged,
                change="CHG-1",
                was=Verdict.CAUSED,
                now=Verdict.DISMISSED,
                why="it was the disk",
            )
            == second
        )
        assert None is third.was  # each incident has its own

    def test_a_verdict_that_was_voided_is_not_what_was(self):
        story = in_order(
            *steps(
                "INC-1",
                detected(0),
                caused_by("CHG-1"),
                cleared_of("CHG-1", 2),
                voided(3, 3),
                cleared_of("CHG-1", 4),
            )
        )

        (one,) = learned(story, known_at_a=4).verdicts

        assert (Verdict.CAUSED, Verdict.DISMISSED) == (one.was, one.now)

    def test_the_void_of_anything_else_leaves_verdicts_alone(self):
        story = in_order(*steps("INC-1", detected(0), resolved(1), voided(2, 2), caused_by("C", 3)))

        assert [None] == [one.was for one in learned(story, known_at_a=3).verdicts]

    def test_reopenings_and_relapses(self):
        story = in_order(
            *steps("INC-1", detected(0), mitigated(1), reopened(2), resolved(3), reopened(4))
        )

        relapse, reopening = learned(story, known_at_a=2).reopenings

        assert (
            told(
                story[2],
                Reopened,
                began=IncidentStatus.MITIGATED.value,
                number=0,
                relapse=1,
                why="it came back",
            )
            == relapse
        )
        assert ("resolved", 1, 0) == (reopening.began, reopening.number, reopening.relapse)


# Two incidents of 2 h and 4 h; later the first is corrected to 1 h, and a third of 9 h is learned.
STORY = in_order(
    *steps("INC-1", detected(-20), resolved(-18)),
    *steps("INC-2", detected(-20), resolved(-16)),
    *steps("INC-1", detected(-20), resolved(-18), corrected(-1, 2, "at", at(-18), at(-19)))[2:],
    *steps("INC-3", detected(-20), resolved(-11)),
)
MEAN = {"mean": mean_time_to_restore}


class TestFigures:
    def test_the_usual_ones_unless_told_otherwise(self):
        found = learned(STORY, known_at_a=4)

        assert [
            "time to restore",
            "change failure rate",
            "deployment frequency",
            "lead time",
            "failed deployment recovery time",
            "rework rate",
        ] == [one.name for one in found.figures]
        assert ["time to restore"] == [one.name for one in found.moved]
        assert (seconds(3), seconds(4), seconds(1)) == (
            (one := found.moved[0]).before.value,
            one.after.value,
            one.difference,
        )

    def test_both_sides_are_cut_at_the_same_time(self):
        found = learned(STORY, known_at_a=4)

        (one,) = found.moved
        assert {at(7)} == {one.before.as_of, one.after.as_of, found.as_of}
        assert (4, None) == (one.before.known_at, one.after.known_at)

    def test_they_are_those_of_the_facts_at_both_points(self):
        (one,) = learned(STORY, known_at_a=4, known_at_b=5, as_of=at(-12), figures=MEAN).figures

        assert mean_time_to_restore(facts(STORY, known_at=4, as_of=at(-12))) == one.before
        assert mean_time_to_restore(facts(STORY, known_at=5, as_of=at(-12))) == one.after

    def test_none_where_none_is_asked_for(self):
        assert () == learned(STORY, known_at_a=4, figures={}).figures

    def test_what_was_undefined_has_moved_without_a_difference(self):
        (one,) = learned(STORY, known_at_a=0, figures=MEAN).figures

        assert (True, None, None) == (one.moved, one.before.value, one.difference)
        assert isinstance(one, Moved)
        assert None is learned(STORY[:1], known_at_a=0, figures=MEAN).figures[0].difference

    def test_becoming_undefined_is_moving_as_well(self):
        story = in_order(*steps("INC-1", detected(-20), resolved(-18), dismissed(-1)))

        (one,) = learned(story, known_at_a=2, figures=MEAN).moved

        assert (seconds(2), None, None) == (one.before.value, one.after.value, one.difference)

    def test_details_say_which_records_moved_it(self):
        figures = {**MEAN, "rework rate": FIGURES["rework rate"]}

        mean, rework = learned(STORY, known_at_a=4, figures=figures, details=True).figures

        assert restated(STORY, MEAN["mean"], known_at_a=4) == mean.restatement
        assert 2 == len(mean.restatement.changes)
        assert None is rework.restatement
        assert None is learned(STORY, known_at_a=4, figures=MEAN).figures[0].restatement

    def test_details_are_as_of_the_time_that_is_asked_for(self):
        cut = at(9)
        [moved] = learned(STORY, known_at_a=4, figures=MEAN, as_of=cut, details=True).moved
        assert restated(STORY, MEAN["mean"], known_at_a=4, as_of=cut) == moved.restatement
        assert cut == moved.restatement.after.as_of


class TestPoints:
    def test_a_time_is_the_longest_prefix_in_which_nothing_was_recorded_after_it(self):
        found = learned(STORY, known_at_a=at(4), known_at_b=at(5))

        assert (4, 5, 1) == (found.position_a, found.position_b, found.events)
        assert (at(4), at(5), at(4)) == (found.known_at_a, found.known_at_b, found.moment_a)

    @pytest.mark.parametrize(
        ("a", "b"), [(4, 3), (9, 8), (at(4), at(3)), (at(90), at(80)), (4, at(2)), (at(4), 2)]
    )
    def test_the_later_point_must_not_lie_before_the_earlier(self, a, b):
        with pytest.raises(InvalidValue, match="must not lie before the earlier"):
            learned(STORY, known_at_a=a, known_at_b=b)

    def test_points_of_both_kinds_can_be_mixed(self):
        assert 1 == learned(STORY, known_at_a=4, known_at_b=at(5)).events

    @pytest.mark.parametrize(
        "asked",
        [
            {"known_at_a": at(1).replace(tzinfo=None)},
            {"known_at_a": 1, "known_at_b": at(1).replace(tzinfo=None)},
            {"known_at_a": 1, "as_of": at(1).replace(tzinfo=None)},
        ],
    )
    def test_naive_times_are_refused(self, asked):
        with pytest.raises(NaiveTimeError):
            learned(STORY, **asked)

    def test_what_is_no_point_is_refused(self):
        with pytest.raises(InvalidValue):
            learned(STORY, known_at_a="yesterday")

    def test_a_log_can_be_read_once_from_a_stream(self):
        asked = {"known_at_a": 2, "figures": MEAN, "details": True}

        assert learned(STORY, **asked) == learned(iter(STORY), **asked)


EVERYTHING = in_order(
    *steps("INC-1", detected(-9)),
    *steps(
        "INC-1",
        detected(-9),
        caused_by("CHG-1", -8),
        cleared_of("CHG-1", -7),
        resolved(-6),
        reopened(-5),
        corrected(-4, 1, "at", at(-9), at(-8.5)),
        voided(-3, 5),
        merged_into("INC-2", -2),
        unmerged(-1),
    )[1:],
    ("incident:INC-1", WordsRedacted(at=at(0), by="ann", versions=(1,), reason="a name")),
    ("incident:INC-9", EventVoided(at=at(0), by="ann", version=8, status="detected")),
    ("incident:INC-8", NEWER),
    ("change:CHG-1", ChangePlanned(at=at(9), by="cia", type=ChangeType.NORMAL, imported=True)),
    ("change:CHG-1", ChangeCompleted(at=at(10), by="ci")),
    *steps("INC-2", detected(5), resolved(6)),
)


class TestTold:
    def test_for_a_person(self):
        text = learned(EVERYTHING, known_at_a=1, figures=MEAN).explain()

        for line in (
            f"learned between 1 (log position 1) and the end of the log (log position "
            f"{len(EVERYTHING)})",
            f"  events between: {len(EVERYTHING) - 1}",
            "  incidents: 3",
            "    position 12: incident INC-8: IncidentSung by nobody named",
            "  changes: 1",
            "    position 13: change CHG-1: ChangePlanned by cia",
            "    position 2: incident INC-1: VerdictGiven, told 10 h late",
            f"    position 6: incident INC-1: at of version 1 was {at(-9).isoformat()}, "
            f"is {at(-8.5).isoformat()}, says ann: misread",
            "    position 7: incident INC-1: version 5 (IncidentReopened) never happened, "
            "says ann: a slip",
            "    position 11: incident INC-9: version 8 (not in this log) never happened, says ann",
            "    position 8: incident INC-1 is the same as INC-2, says ann",
            "    position 9: incident INC-1 is not the same as INC-2, says ann: "
            "two things after all",
            "    position 2: incident INC-1: verdict on change CHG-1 is caused, says ann",
            "    position 3: incident INC-1: verdict on change CHG-1 is dismissed, was caused, "
            "says ann: it was the disk",
            "    position 5: incident INC-1: reopened from resolved by ann: it came back",
            "    position 10: incident INC-1: words of version 1 taken out by ann: a name",
            "    mean: undefined became 1 h 45 min, difference undefined",
        ):
            assert line in text.splitlines()

    def test_a_list_without_anything_in_it_is_not_named(self):
        text = learned(STORY, known_at_a=4, figures={"rework": FIGURES["rework rate"]}).explain()

        assert "voids" not in text
        assert "    rework: undefined, as before" in text.splitlines()

    def test_details_for_a_person(self):
        text = learned(STORY, known_at_a=4, figures=MEAN, details=True).explain()

        assert "    mean: 3 h became 4 h 40 min, difference 1 h 40 min" in text.splitlines()
        assert "        position 5: MomentCorrected of incident:INC-1" not in text.splitlines()
        assert any(
            line.startswith("          position 5: MomentCorrected of incident:INC-1, ann: at was ")
            for line in text.splitlines()
        )

    def test_as_plain_values(self):
        found = learned(EVERYTHING, known_at_a=at(1), figures=MEAN, details=True)

        plain = json.loads(json.dumps(found.as_dict()))

        assert (at(1).isoformat(), None) == (plain["known_at_a"], plain["known_at_b"])
        assert 36_000.0 == plain["late"][0]["late"]
        assert (at(-9).isoformat(), at(-8.5).isoformat()) == (
            plain["corrections"][0]["was"],
            plain["corrections"][0]["now"],
        )
        assert set(PIECES) <= set(plain)
        assert {"mean"} == {one["name"] for one in plain["figures"]}
        assert plain["figures"][0]["before"]["included"] is None
        assert plain["figures"][0]["moved"] is True
        assert plain["figures"][0]["restatement"] is not None

    def test_as_plain_values_with_everybody_counted(self):
        found = learned(STORY, known_at_a=4, figures=MEAN)

        (plain,) = found.as_dict(population=True)["figures"]

        assert ["INC-1", "INC-2"] == [one["id"] for one in plain["before"]["included"]]
        assert None is plain["restatement"]

    def test_a_moment_of_a_time_is_told_in_its_own_offset(self):
        one = IncidentDetected(at=at(0), by="ann")

        assert at(0) == learned(in_order(("incident:I", one)), known_at_a=0).incidents[0].at


# --- laws -----------------------------------------------------------------------------------------

POINTS = st.lists(st.integers(0, len(EVERYTHING) + 1), min_size=3, max_size=3).map(sorted)


@given(POINTS)
def test_what_is_learned_in_two_stretches_is_what_is_learned_in_both(points):
    a, b, c = points
    first = learned(EVERYTHING, known_at_a=a, known_at_b=b, figures={})
    second = learned(EVERYTHING, known_at_a=b, known_at_b=c, figures={})

    both = learned(EVERYTHING, known_at_a=a, known_at_b=c, figures={})

    assert both.events == first.events + second.events
    for name in PIECES:
        assert getattr(both, name) == (*getattr(first, name), *getattr(second, name))
    assert both.types == {
        name: first.types.get(name, 0) + second.types.get(name, 0)
        for name in {*first.types, *second.types}
    }
    # What is late for the first point is late for every later one, so it is in one of the two.
    late = {one.position for one in (*first.late, *second.late)}
    assert {one.position for one in both.late} <= late


@given(POINTS)
def test_figures_move_from_what_they_were_to_what_they_are(points):
    a, b, c = points
    cut = {"as_of": at(99), "figures": {"restore": time_to_restore}}
    values = [
        [one.before.value, one.after.value]
        for first, second in ((a, b), (b, c), (a, c))
        for one in learned(EVERYTHING, known_at_a=first, known_at_b=second, **cut).figures
    ]

    assert values[0][1] == values[1][0]
    assert [values[0][0], values[1][1]] == values[2]


@given(POINTS)
def test_only_what_lies_between_the_points_is_in_it(points):
    a, _, c = points

    found = learned(EVERYTHING, known_at_a=a, known_at_b=c, figures={})

    pieces = [one for name in (*PIECES, "late") for one in getattr(found, name)]
    assert all(a < one.position <= c for one in pieces)
    assert sum(found.types.values()) == found.events
