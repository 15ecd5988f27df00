"""
Corrections and voids: what they apply to, what refuses them, and what stands after them.
"""

from datetime import timedelta, timezone

import pytest

from domain.examples import (
    IN_PRODUCTION,
    at,
    attempted,
    closed,
    detected,
    dismissed,
    merged,
    mitigated,
    planned,
    resolved,
    triaged,
)
from imcm.domain import change, incident
from imcm.domain.change_events import ChangeClosed, ChangeObserved, CommitsRecorded
from imcm.domain.corrections import (
    CORRECTIONS,
    EDITS,
    CommitsCorrected,
    DismissalReasonCorrected,
    EnvironmentCorrected,
    EventVoided,
    ImpactCorrected,
    KindCorrected,
    LabelsCorrected,
    ModeCorrected,
    MomentCorrected,
    ResultCorrected,
    ServicesCorrected,
    SeverityCorrected,
    SymptomCorrected,
    WordsRedacted,
    past_standing,
    standing,
)
from imcm.domain.incident_events import (
    ImpactUpdated,
    IncidentAcknowledged,
    SeverityChanged,
    VerdictGiven,
)
from imcm.domain.vocabulary import (
    Between,
    Commit,
    DismissalReason,
    Impact,
    Kind,
    Mode,
    Result,
    Severity,
    Symptom,
    Verdict,
)
from imcm.errors import InvalidValue, StepRefused
from imcm.testing import given

FEW, MANY = Impact(customers=4), Impact(customers=4000)
ONE, OTHER = Commit(id="a1"), Commit(id="a1", committed_at=at(-8))
CLOSED = ChangeClosed(at=at(6), by="ann", result=Result.SUCCESSFUL)
COMMITS = CommitsRecorded(at=at(3), by="ann", commits=(ONE,))
PLANNED = planned(imported=True, status=change.Status.IMPLEMENTED)
"""Content that nobody was asked to approve here, of work that began."""
OBSERVED = ChangeObserved(at=at(0), by="scanner", title="hotfix")
ACKNOWLEDGED = IncidentAcknowledged(at=at(1), by="ann")


def moment(version, was, now, field="at", **fields):
    return MomentCorrected(
        **{
            "at": at(90),
            "by": "bea",
            "version": version,
            "field": field,
            "was": was,
            "now": now,
            "why": "as the log shows",
            **fields,
        }
    )


def voided(version, status):
    return EventVoided(at=at(91), by="bea", version=version, status=status, why="never happened")


def ask(module, events, **arguments):
    return given(*events).when(
        module.correct, by="bea", at=at(90), why="as the log shows", **arguments
    )


class TestWhatCanBeCorrected:
    """Any moment; severity; impact; services, symptom or kind, labels, environment; and so on."""

    @pytest.mark.parametrize(
        ("module", "events", "version", "field", "was", "now", "kind"),
        [
            (incident, [detected()], 1, "at", at(0), at(-1), MomentCorrected),
            (incident, [detected()], 1, "impact_started_at", None, at(-1), MomentCorrected),
            (incident, [detected()], 1, "declared_at", None, at(1), MomentCorrected),
            (incident, [detected()], 1, "services", (), ("search",), ServicesCorrected),
            (incident, [detected()], 1, "symptom", None, Symptom.CPU, SymptomCorrected),
            (incident, [detected()], 1, "mode", Mode.REAL, Mode.DRILL, ModeCorrected),
            (incident, [detected()], 1, "environment", None, "staging", EnvironmentCorrected),
            (incident, [detected()], 1, "labels", {}, {"team": "core"}, LabelsCorrected),
            (
                incident,
                [detected(), triaged()],
                2,
                "severity",
                Severity.P3,
                Severity.P1,
                SeverityCorrected,
            ),
            (incident, [detected(), triaged(impact=FEW)], 2, "impact", FEW, MANY, ImpactCorrected),
            (
                incident,
                [detected(), SeverityChanged(at=at(2), by="ann", severity=Severity.P3)],
                2,
                "severity",
                Severity.P3,
                Severity.P2,
                SeverityCorrected,
            ),
            (
                incident,
                [detected(), ImpactUpdated(at=at(2), by="ann", impact=MANY)],
                2,
                "impact",
                MANY,
                FEW,
                ImpactCorrected,
            ),
            (
                incident,
                [detected(), dismissed()],
                2,
                "reason",
                DismissalReason.FALSE_POSITIVE,
                DismissalReason.EXPECTED,
                DismissalReasonCorrected,
            ),
            (change, [PLANNED], 1, "kind", Kind.DEPLOYMENT, Kind.SCHEMA, KindCorrected),
            (change, [PLANNED], 1, "services", (), ("search",), ServicesCorrected),
            (change, [PLANNED], 1, "labels", {}, {"team": "core"}, LabelsCorrected),
            (change, [PLANNED], 1, "environment", None, "staging", EnvironmentCorrected),
            (change, [OBSERVED], 1, "services", (), ("search",), ServicesCorrected),
            (
                change,
                [*IN_PRODUCTION, CLOSED],
                6,
                "result",
                Result.SUCCESSFUL,
                Result.UNSUCCESSFUL,
                ResultCorrected,
            ),
            (change, [planned(), COMMITS], 2, "commits", (ONE,), (OTHER,), CommitsCorrected),
        ],
    )
    def test_carries_was_now_who_and_why(self, module, events, version, field, was, now, kind):
        ask(module, events, version=version, field=field, was=was, now=now).then(
            kind(
                at=at(90),
                by="bea",
                version=version,
                field=field,
                was=was,
                now=now,
                why="as the log shows",
            )
        )

    @pytest.mark.parametrize(
        ("module", "without"),
        [
            (
                incident,
                {
                    "DurationStated",
                    *("SourceSaid", "SourceWithdrew", "SourceReinstated"),
                    "EventVoided",
                    "WordsRedacted",
                    # They stand in two streams.
                    "IncidentMerged",
                    "IncidentAbsorbed",
                    "IncidentUnmerged",
                    "IncidentSeparated",
                    "SeverityInherited",
                },
            ),
            (
                change,
                {
                    *("DurationStated", "EventVoided", "WordsRedacted", "CommitsRecorded"),
                    *("SourceSaid", "SourceWithdrew", "SourceReinstated"),
                },
            ),
        ],
    )
    def test_every_moment_but_those_named_here(self, module, without):
        """A new event fails here until somebody decides whether its moment can be corrected."""
        kind = module.IncidentEvent if module is incident else module.ChangeEvent
        fixed = {
            event.__name__
            for event in kind.__args__
            if event not in CORRECTIONS and "at" not in module.CORRECTABLE.get(event, {})
        }

        assert without == fixed

    @pytest.mark.parametrize(
        ("module", "events", "field"),
        [
            (incident, [detected()], "title"),
            (incident, [detected()], "by"),
            (incident, [detected()], "status"),
            (incident, [detected()], "channel"),
            (incident, [detected()], "no_such_field"),
            (change, [planned()], "risk"),
            (change, [planned()], "requested_by"),
            (change, [planned()], "window"),
        ],
    )
    def test_nothing_else(self, module, events, field):
        error = ask(module, events, version=1, field=field, was=None, now=None).then_refused(
            guard="correctable"
        )

        assert "of this event: at" in error.why
        # Who would correct a title is told by which step it is another one.
        assert (field == "title") == ("incident.describe, change.reword" in error.why)

    def test_of_some_events_nothing(self):
        error = ask(
            incident, [detected(), merged()], version=2, field="at", was=at(2), now=at(1)
        ).then_refused(guard="correctable")

        assert error.why.endswith("of this event: nothing")

    def test_an_unknown_moment_can_be_told_later(self):
        imported = resolved(at=None, imported=True)
        ask(incident, [detected(), imported], version=2, field="at", was=None, now=at(4)).then(
            moment(2, None, at(4))
        )

    def test_an_imported_moment_can_turn_out_to_be_unknown(self):
        imported = resolved(imported=True)
        ask(incident, [detected(), imported], version=2, field="at", was=at(4), now=None).then(
            moment(2, at(4), None)
        )

    def test_a_live_moment_can_not(self):
        ask(
            incident, [detected(), resolved()], version=2, field="at", was=at(4), now=None
        ).then_invalid("now")

    @pytest.mark.parametrize(
        ("field", "now", "name"),
        [
            ("at", "yesterday", "now"),
            ("symptom", "itches", "now"),
            ("mode", None, "now"),
            ("environment", "", "now"),
            ("services", "search", "services"),
            ("labels", ["team"], "labels"),
        ],
    )
    def test_a_value_is_checked_as_the_step_checks_it(self, field, now, name):
        was = getattr(detected(), field)
        ask(incident, [detected()], version=1, field=field, was=was, now=now).then_invalid(name)


class TestWasIsWhatStands:
    def test_refused_when_something_else_stands(self):
        error = ask(
            incident, [detected()], version=1, field="labels", was={"team": "x"}, now={"team": "y"}
        ).then_refused(guard="was is what stands")

        assert "stands at {}, not {'team': 'x'}" in error.why

    def test_the_same_instant_under_another_offset_is_the_same(self):
        was = at(0).astimezone(timezone(timedelta(hours=2)))
        ask(incident, [detected()], version=1, field="at", was=was, now=at(-1)).then(
            moment(1, at(0), at(-1))
        )

    def test_the_stored_word_and_a_list_are_taken_too(self):
        ask(
            incident, [detected(services=("a",))], version=1, field="services", was=["a"], now=["b"]
        ).then(
            ServicesCorrected(
                at=at(90),
                by="bea",
                version=1,
                field="services",
                was=("a",),
                now=("b",),
                why="as the log shows",
            )
        )

    def test_what_stands_already_records_nothing(self):
        ask(incident, [detected()], version=1, field="at", was=at(5), now=at(0)).then_nothing()

    def test_a_was_of_none_is_refused_like_any_other(self):
        ask(
            incident,
            [detected(symptom=Symptom.CPU)],
            version=1,
            field="symptom",
            was=None,
            now=Symptom.DISK,
        ).then_refused(guard="was is what stands")


class TestFactExists:
    @pytest.mark.parametrize("version", [0, 2, -1, 99])
    def test_refused_where_there_is_no_such_event(self, version):
        ask(
            incident, [detected()], version=version, field="at", was=at(0), now=at(-1)
        ).then_refused(guard="fact exists")

    def test_refused_for_what_was_voided(self):
        events = [detected(), ACKNOWLEDGED, voided(2, "detected")]
        ask(incident, events, version=2, field="at", was=at(1), now=at(2)).then_refused(
            guard="fact exists"
        )

    def test_refused_for_a_correction_which_is_corrected_by_correcting_the_fact_again(self):
        events = [detected(), moment(1, at(0), at(-1))]
        error = ask(incident, events, version=2, field="now", was=at(-1), now=at(-2)).then_refused(
            guard="fact exists"
        )
        assert "correct the same fact again" in error.why

        ask(incident, events, version=1, field="at", was=at(-1), now=at(-2)).then(
            moment(1, at(-1), at(-2))
        )

    @pytest.mark.parametrize("version", [True, 1.0])
    def test_the_version_is_a_whole_number(self, version):
        with pytest.raises((InvalidValue, StepRefused)):
            incident.correct(
                incident.fold([detected()]),
                by="bea",
                at=at(90),
                version=version,
                field="at",
                was=at(0),
                now=at(-1),
                why="clock",
            )


class TestStanding:
    def test_the_last_correction_in_log_order_stands(self):
        past = [detected(), moment(1, at(0), at(-1)), moment(1, at(-1), at(-2))]

        assert {1: detected(-2)} == past_standing(past)

    def test_an_event_that_was_voided_is_gone(self):
        assert {1: detected()} == past_standing([detected(), ACKNOWLEDGED, voided(2, "detected")])

    def test_voided_stays_voided_whatever_is_corrected_later(self):
        past = [detected(), ACKNOWLEDGED, voided(2, "detected"), moment(2, at(1), at(2))]

        assert {1: detected()} == past_standing(past)

    def test_a_correction_whose_target_is_not_there_has_no_effect(self):
        assert {1: detected()} == standing({1: detected()}, [moment(7, at(0), at(1))])

    def test_a_field_the_target_does_not_have_has_no_effect(self):
        edits = [moment(2, at(0), at(1), field="impact_started_at")]

        assert {2: ACKNOWLEDGED} == standing({2: ACKNOWLEDGED}, edits)

    def test_a_void_whose_target_is_not_there_has_no_effect(self):
        assert {1: detected()} == standing({1: detected()}, [voided(7, "detected")])

    def test_what_is_neither_correction_nor_void_is_passed_over(self):
        assert {1: detected()} == standing({1: detected()}, [ACKNOWLEDGED])

    def test_the_events_given_are_left_as_they_are(self):
        events = {1: detected()}
        standing(events, [moment(1, at(0), at(-1)), voided(1, "nothing")])

        assert {1: detected()} == events

    def test_versions_stay_what_they_were(self):
        past = [detected(), moment(1, at(0), at(-1)), ACKNOWLEDGED]

        assert [1, 3] == list(past_standing(past))

    def test_a_correction_can_state_an_uncertain_moment(self):
        around = Between(earliest=at(-2), latest=at(-1))

        assert {1: detected(at=around)} == past_standing([detected(), moment(1, at(0), around)])


class TestState:
    def test_a_corrected_severity_changes_the_highest(self):
        corrected = SeverityCorrected(
            at=at(9), by="b", version=2, field="severity", was=Severity.P1, now=Severity.P4
        )
        state = incident.fold([detected(), triaged(severity=Severity.P1), corrected])

        assert (Severity.P4, Severity.P4) == (state.severity, state.highest)

    def test_a_voided_resolution_never_counted(self):
        state = incident.fold([detected(), resolved(), voided(2, "detected")])

        assert ("detected", 0) == (state.status, state.resolutions)

    def test_a_voided_resolution_is_no_reopening(self):
        state = incident.fold([detected(), resolved(), voided(2, "detected"), resolved(5)])

        assert (1, 0) == (state.resolutions, state.reopenings)

    def test_a_voided_hold_was_none(self):
        held = incident.IncidentHeld(at=at(1), by="ann", reason="vendor")

        assert incident.fold([detected(), held, voided(2, "detected")]).on_hold is None

    def test_corrected_commits_are_the_ones_it_has(self):
        corrected = CommitsCorrected(
            at=at(9), by="b", version=2, field="commits", was=(ONE,), now=(Commit(id="c3"),)
        )

        assert frozenset({"c3"}) == change.fold([planned(), COMMITS, corrected]).commits


class TestVoidingTheLastChangeOfStatus:
    """Of the events that changed the status only the last can be voided, again and again."""

    def test_down_to_nothing(self):
        state = incident.fold(
            [detected(), triaged(), attempted(), mitigated(), resolved(), closed()]
        )
        for version in range(1, 6):
            with pytest.raises(StepRefused, match="void that first"):
                incident.void(state, by="bea", at=at(91), version=version, why="never happened")

        for version, status in (
            (6, "resolved"),
            (5, "mitigated"),
            (4, "mitigating"),
            (3, "triaged"),
            (2, "detected"),
            (1, "nothing"),
        ):
            (event,) = incident.void(
                state, by="bea", at=at(91), version=version, why="never happened"
            )
            state = incident.evolve(state, event)

            assert voided(version, status) == event
            assert status == state.status

    def test_a_step_that_kept_the_status_does_not_stand_in_the_way(self):
        given(detected(), attempted(), attempted(3, number=2)).when(
            incident.void, by="bea", at=at(91), version=2, why="never happened"
        ).then(voided(2, "mitigating"))

    def test_edits_are_all_kinds_of_correction_and_the_void(self):
        assert (*CORRECTIONS, EventVoided) == EDITS


@pytest.mark.parametrize("module", [incident, change])
def test_words_that_were_taken_out_can_not_be_brought_back(module):
    """They are gone; voiding what says so would only hide it."""
    first = detected() if module is incident else planned()
    taken = WordsRedacted(at=at(1), by="dpo", versions=(1,), reason="asked for")
    given(first, taken).when(module.void, by="bea", at=at(2), version=2, why="a slip").then_refused(
        guard="can be undone"
    )


@pytest.mark.parametrize("module", [incident, change])
def test_a_state_shows_what_stands_and_only_how_long_its_past_is(module):
    first = detected() if module is incident else planned()
    told = repr(module.fold([first]))
    assert "past=<1 events>" in told
    assert f"status={module.fold([first]).status!r}" in told
    assert "by=" not in told


def test_an_event_shows_its_class_and_every_field():
    told = repr(VerdictGiven(at=None, by="bea", change="CHG-3", verdict=Verdict.CAUSED, why="log"))
    assert told == (
        "VerdictGiven(at=None, by='bea', change='CHG-3', verdict=<Verdict.CAUSED: 'caused'>, "
        "why='log', imported=False)"
    )
