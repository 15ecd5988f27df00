"""
History from elsewhere: any subset of the moments, in any order, again and again.
"""

from itertools import permutations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.examples import (
    approved,
    at,
    attempted,
    closed,
    completed,
    detected,
    dismissed,
    mitigated,
    of,
    planned,
    reopened,
    resolved,
    reviewed,
    said,
    started,
    submitted,
    triaged,
)
from imcm.domain import change, incident
from imcm.domain.change_events import (
    ChangeCancelled,
    ChangeClosed,
    ChangeCompleted,
    ChangeDeployed,
    ChangeFailed,
    ChangeObserved,
    ChangeRejected,
    ChangeRevised,
    ChangeRolledBack,
    ChangeStatus,
    ChangeValidated,
    ContentCorrectedAfterApproval,
    RolloutAborted,
)
from imcm.domain.corrections import (
    DurationStated,
    EnvironmentCorrected,
    EventVoided,
    MomentCorrected,
    SeverityCorrected,
    past_standing,
)
from imcm.domain.incident_events import (
    ActionAdded,
    ActionCompleted,
    AttemptConcluded,
    IncidentAcknowledged,
    IncidentRelated,
    IncidentStatus,
    MilestoneMarked,
    VerdictGiven,
)
from imcm.domain.policy import Policy
from imcm.domain.vocabulary import (
    AttemptResult,
    Kind,
    Outcome,
    Relation,
    Result,
    Risk,
    Severity,
    StatedDuration,
    Verdict,
)
from imcm.errors import InvalidValue, StepRefused
from imcm.projections.facts.fold import facts


def imported(*events):
    return [attrs.evolve(event, imported=True) for event in events]


def bring_in(module, state, events):
    """Return the state after bringing *events* in, and what that recorded."""
    recorded = [event for _, event in module.bring_in(state, events=events)]
    for event in recorded:
        state = module.evolve(state, event)
    return state, recorded


def lasted(microseconds, what=StatedDuration.TIME_TO_RESTORE):
    return DurationStated(at=at(9), by="jira", what=what, microseconds=microseconds, imported=True)


ACKNOWLEDGED = IncidentAcknowledged(at=at(0.5), by="ann")
CAUSED = VerdictGiven(at=at(5), by="ann", change="CHG-1", verdict=Verdict.CAUSED)
HISTORY = imported(detected(), ACKNOWLEDGED, triaged(), mitigated(), resolved(), CAUSED)
MILESTONES = imported(triaged(), attempted(), mitigated(), resolved(), closed())
CHANGE_HISTORY = imported(planned(), submitted(), approved(), started(), completed())


class TestStatus:
    """The status that results is the furthest milestone given."""

    @pytest.mark.parametrize("order", tuple(permutations(range(5))), ids=str)
    def test_whatever_the_order(self, order):
        events = [*imported(detected()), *(MILESTONES[place] for place in order)]

        state, recorded = bring_in(incident, incident.INITIAL, events)

        assert state.status is IncidentStatus.CLOSED
        assert len(events) == len(recorded)

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.lists(st.sampled_from(MILESTONES), unique_by=type))
    def test_skipped_steps_stay_absent(self, milestones):
        events = [*imported(detected()), *milestones]

        state, recorded = bring_in(incident, incident.INITIAL, events)

        assert [type(event) for event in events] == [type(event) for event in recorded]
        furthest = max(
            (IncidentStatus.DETECTED, *(event.status for event in milestones)),
            key=list(IncidentStatus).index,
        )
        assert furthest is state.status

    def test_no_detection_but_the_first_is_needed(self):
        state, recorded = bring_in(incident, incident.INITIAL, imported(detected(at=None)))

        assert imported(detected(at=None)) == recorded
        assert state.status is IncidentStatus.DETECTED

    def test_of_a_change_too(self):
        ends = imported(
            completed(),
            ChangeValidated(at=at(5), by="ann", check="smoke", passed=True),
            ChangeClosed(at=at(6), by="ann", result=Result.SUCCESSFUL),
        )
        for order in permutations(ends):
            state, _ = bring_in(change, change.INITIAL, [*imported(planned()), *order])

            assert state.status is ChangeStatus.CLOSED

    @pytest.mark.parametrize(
        "end",
        [
            ChangeFailed(at=at(4), by="ann"),
            ChangeRolledBack(at=at(4), by="ann"),
            RolloutAborted(at=at(4), by="ann", percent=5.0),
            ChangeObserved(at=at(4), by="ann"),
        ],
        ids=lambda event: type(event).__name__,
    )
    def test_every_end_of_the_work_is_a_milestone(self, end):
        state, _ = bring_in(change, change.INITIAL, imported(planned(), end, submitted()))

        assert state.status is ChangeStatus.IMPLEMENTED

    def test_a_dismissed_incident_stays_so(self):
        events = imported(detected(), dismissed(), resolved())

        assert bring_in(incident, incident.INITIAL, events)[0].status is IncidentStatus.DISMISSED

    def test_a_cancelled_change_stays_so(self):
        events = imported(planned(), ChangeCancelled(at=at(1), by="ann", why="no"), submitted())

        assert bring_in(change, change.INITIAL, events)[0].status is ChangeStatus.CANCELLED

    def test_a_later_live_step_goes_on_from_what_stands(self):
        state, _ = bring_in(incident, incident.INITIAL, HISTORY)

        (event,) = incident.close(state, by="ann", at=at(9))

        assert closed(9) == event

    @pytest.mark.parametrize(
        "late",
        [
            ChangeRevised(at=at(1), by="ann"),
            ChangeRejected(at=at(1), by="ann"),
            ChangeObserved(at=at(4), by="ann"),
        ],
        ids=["revised", "rejected", "observed"],
    )
    def test_what_is_told_late_does_not_take_progress_back(self, late):
        done = ChangeClosed(at=at(6), by="ann", result=Result.SUCCESSFUL)

        state, _ = bring_in(change, change.INITIAL, imported(planned(), completed(), done, late))

        assert state.status is ChangeStatus.CLOSED


def deployed(hours=4, **fields):
    return ChangeDeployed(at=at(hours), by="ci", imported=True, **fields)


def told(kind, **fields):
    return kind(at=at(5), by="ci", imported=True, **fields)


class TestOutcomeUnknown:
    """A source that says when it went in, and not how it went."""

    PLANNED, COMPLETED = imported(planned(), completed(4))

    @pytest.mark.parametrize(
        ("later", "outcome"),
        [
            (None, Outcome.UNKNOWN),
            (told(ChangeCompleted), Outcome.COMPLETED),
            (told(ChangeFailed), Outcome.FAILED),
            (told(ChangeRolledBack), Outcome.ROLLED_BACK),
            (told(ChangeClosed), Outcome.UNKNOWN),
            (told(ChangeClosed, result=Result.SUCCESSFUL), Outcome.COMPLETED),
            (told(ChangeClosed, result=Result.SUCCESSFUL_WITH_ISSUES), Outcome.COMPLETED),
            (told(ChangeClosed, result=Result.UNSUCCESSFUL), Outcome.FAILED),
            (told(ChangeValidated, check="smoke", passed=True), Outcome.COMPLETED),
            (told(ChangeValidated, check="smoke", passed=False), Outcome.UNKNOWN),
        ],
    )
    @pytest.mark.parametrize(
        "went_in",
        [
            (planned(imported=True), deployed()),
            (told(ChangeObserved),),
            (ChangeObserved(at=at(4), by="scanner", outstanding=True),),
        ],
        ids=["deployed", "observed", "observed live"],
    )
    def test_until_something_settles_it(self, went_in, later, outcome):
        events = (*went_in, *([later] if later else []))
        state = change.fold(events)
        [row] = facts(of("change:CHG-1", *events)).changes
        assert (outcome, outcome) == (state.outcome, row.outcome)
        assert row.reached_production
        assert row.deployed_at is not None

    def test_a_known_one_stays(self):
        """A result does not overrule what the work was said to have ended as."""
        for end in (told(ChangeFailed), told(ChangeRolledBack), told(ChangeCompleted)):
            before = change.fold((planned(imported=True), end))
            for later in (deployed(6), told(ChangeClosed, result=Result.SUCCESSFUL)):
                after = change.evolve(before, later)
                [row] = facts(of("change:CHG-1", *after.past)).changes
                assert before.outcome == after.outcome == row.outcome

    @pytest.mark.parametrize("result", list(Result))
    def test_it_may_be_closed_with_any_result(self, result):
        state = change.fold((planned(imported=True), deployed()))
        [event] = change.close(state, by="ann", at=at(6), result=result)
        settled = Outcome.FAILED if result is Result.UNSUCCESSFUL else Outcome.COMPLETED
        assert settled == change.evolve(state, event).outcome

    def test_of_its_own_moment(self):
        """Where a completion is told as well, that says when it came into production."""
        events = (planned(imported=True), deployed(4), told(ChangeCompleted))
        assert [at(5)] == [row.deployed_at for row in facts(of("change:CHG-1", *events)).changes]
        assert [at(4)] == [
            row.deployed_at for row in facts(of("change:CHG-1", *events[:2])).changes
        ]

    def test_what_an_earlier_import_said_stands(self):
        before, _ = bring_in(change, change.INITIAL, [self.PLANNED, self.COMPLETED])
        after, recorded = bring_in(change, before, [self.PLANNED, deployed(4)])
        assert (before, []) == (after, recorded)
        after, recorded = bring_in(change, before, [self.PLANNED, deployed(6)])
        assert ["MomentCorrected"] == [type(event).__name__ for event in recorded]
        assert after.outcome is Outcome.COMPLETED
        [row] = facts(of("change:CHG-1", *after.past)).changes
        assert at(6) == row.deployed_at

    def test_told_again_it_says_nothing_new(self):
        before, _ = bring_in(change, change.INITIAL, [self.PLANNED, deployed()])
        assert [] == bring_in(change, before, [self.PLANNED, deployed()])[1]
        [moved] = bring_in(change, before, [self.PLANNED, deployed(6)])[1]
        assert (moved.field, moved.now) == ("at", at(6))

    def test_no_step_leaves_it_open(self):
        state = change.fold((planned(), submitted(), approved(), started()))
        with pytest.raises(InvalidValue, match=r"Ledger\.bring_in.*else complete"):
            change.confirm(state, ChangeDeployed(at=at(5), by="ann"))


class TestCorrectionsOfTheSource:
    def test_are_recorded_once(self):
        """What a source corrected itself comes in as a correction, and only once."""
        end = attrs.evolve(resolved(), imported=True)
        corrected = MomentCorrected(
            at=at(9), by="x", version=2, field="at", was=end.at, now=at(8), imported=True
        )
        events = [*imported(detected()), end, corrected]

        state, recorded = bring_in(incident, incident.INITIAL, events)
        _, again = bring_in(incident, state, events)

        assert (3, []) == (len(recorded), list(again))

    def test_come_in_also_when_the_rest_is_there_already(self):
        end = attrs.evolve(resolved(), imported=True)
        corrected = MomentCorrected(
            at=at(9), by="x", version=2, field="at", was=end.at, now=at(8), imported=True
        )
        state, _ = bring_in(incident, incident.INITIAL, [*imported(detected()), end])

        _, recorded = bring_in(incident, state, [*imported(detected()), end, corrected])

        assert [corrected] == list(recorded)

    def test_of_what_no_step_corrects_have_no_effect(self):
        """A row may hold such a correction all the same."""
        back = EnvironmentCorrected(
            at=at(9), by="x", version=2, field="status", now=ChangeStatus.DRAFT, imported=True
        )
        told = imported(started(3), submitted(4))
        events = [*imported(planned()), told[0], back, told[1]]
        state, recorded = bring_in(change, change.INITIAL, events)

        assert back in recorded
        assert recorded[-1].status is None
        assert ChangeStatus.IMPLEMENTING is state.status

    def test_with_values_of_no_type_that_a_fact_has_are_compared_all_the_same(self):
        odd = EnvironmentCorrected(
            at=at(9), by="x", version=1, field="environment", now=["live"], imported=True
        )
        state, recorded = bring_in(incident, incident.INITIAL, [*imported(detected()), odd])
        _, again = bring_in(incident, state, [*imported(detected()), odd])

        assert (odd, ()) == (recorded[-1], tuple(again))

    @pytest.mark.parametrize(
        ("version", "field"),
        [(1, "severity"), (1, "no such field"), (0, "at"), (-1, "at"), (9, "at")],
    )
    def test_of_what_is_not_there_have_no_effect(self, version, field):
        (nothing,) = imported(attrs.evolve(CORRECTED, version=version, field=field))
        history = [*imported(detected()), nothing]

        state, recorded = bring_in(incident, incident.INITIAL, history)
        _, again = bring_in(incident, state, history)

        assert (history, []) == (recorded, again)


class TestNumbers:
    def test_what_was_done_goes_with_its_action(self):
        """An action that gets another number here takes along what speaks of it."""
        added = ActionAdded(at=at(3), by="x", number=7, imported=True)
        done = ActionCompleted(at=at(4), by="x", number=7, imported=True)

        state, recorded = bring_in(incident, incident.INITIAL, [*imported(detected()), added, done])

        assert [1, 1] == [event.number for event in recorded[1:]]
        assert {1: False} == state.actions

    def test_are_set_here(self):
        events = imported(
            detected(),
            attempted(number=7),
            attempted(number=7),
            resolved(),
            reviewed(number=9, covers=0),
            reopened(number=4, began=IncidentStatus.NOTHING),
        )

        state, recorded = bring_in(incident, incident.INITIAL, events)

        assert [1, 2] == [event.number for event in recorded[1:3]]
        assert (1, 1) == (recorded[4].number, recorded[4].covers)
        assert (IncidentStatus.RESOLVED, 1, 0, IncidentStatus.MITIGATING, True) == (
            recorded[5].began,
            recorded[5].number,
            recorded[5].relapse,
            recorded[5].status,
            recorded[5].imported,
        )
        assert (frozenset({1, 2}), 1, 1) == (state.attempts, state.reopenings, state.reviews)

    def test_a_relapse_and_a_return_from_dismissal_are_told_apart(self):
        back = reopened(5)
        _, relapsed = bring_in(incident, incident.INITIAL, imported(detected(), mitigated(), back))
        _, real_after_all = bring_in(
            incident, incident.INITIAL, imported(detected(), dismissed(), back)
        )

        assert (0, 1) == (relapsed[-1].number, relapsed[-1].relapse)
        assert (0, 0, "detected") == (
            real_after_all[-1].number,
            real_after_all[-1].relapse,
            real_after_all[-1].status,
        )

    def test_actions_are_numbered_here_too(self):
        add = ActionAdded(at=at(5), by="ann", number=1, text="add a canary")

        state, _ = bring_in(
            incident, incident.INITIAL, imported(detected(), add, attrs.evolve(add, text="alert"))
        )

        assert [1, 2] == list(state.actions)

    def test_a_conclusion_goes_with_its_attempt(self):
        live = incident.fold([detected(), attempted()])
        told = AttemptConcluded(at=at(4), by="x", number=1, result=AttemptResult.WORKED)

        state, _ = bring_in(incident, live, imported(attempted(3, by="x"), told))

        assert {2: AttemptResult.WORKED} == state.concluded


CORRECTED = MomentCorrected(at=at(9), by="x", version=1, field="at", was=at(0), now=at(0.1))
TOLD = imported(
    ACKNOWLEDGED,
    triaged(),
    triaged(status=None),
    triaged(status=IncidentStatus.DETECTED),
    attempted(),
    mitigated(),
    resolved(),
    closed(),
    reopened(),
    dismissed(),
    reviewed(),
    lasted(5),
    CORRECTED,
)
CHANGE_TOLD = imported(
    submitted(),
    approved(),
    started(),
    completed(),
    ChangeRejected(at=at(2), by="bea"),
    ChangeCancelled(at=at(5), by="ann"),
    CORRECTED,
)


class TestAllAtOnce:
    """History that comes all at once is recorded as it is where it comes bit by bit."""

    @pytest.mark.parametrize(
        ("module", "first", "told"),
        [(incident, detected(), TOLD), (change, planned(), CHANGE_TOLD)],
        ids=["incident", "change"],
    )
    @given(data=st.data())
    @settings(deadline=None)
    def test_is_the_same_as_bit_by_bit(self, module, first, told, data):
        several = data.draw(st.lists(st.sampled_from(told), max_size=10))
        (edit,) = imported(CORRECTED)
        once = [e for at_, e in enumerate(several) if e != edit or several.index(e) == at_]
        history = [*imported(first), *once]

        state, recorded = bring_in(module, module.INITIAL, history)
        other, bit_by_bit = module.INITIAL, []
        for known in range(1, len(history) + 1):
            other, more = bring_in(module, other, history[:known])
            bit_by_bit += more

        assert recorded == bit_by_bit
        assert state == other

    @pytest.mark.parametrize("told", [None, IncidentStatus.DETECTED])
    def test_a_triage_without_a_new_status_stays_one(self, told):
        """What it says is recorded as it was given; that it was triaged, its type says."""
        history = imported(detected(), triaged(status=told), attempted(status=None))

        state, recorded = bring_in(incident, incident.INITIAL, history)

        assert [None, None] == [event.status for event in recorded[1:]]
        assert IncidentStatus.TRIAGED is state.status

    @pytest.mark.parametrize(
        ("module", "history"),
        [
            (incident, imported(detected(), started())),
            (change, imported(planned(), ACKNOWLEDGED)),
            (change, imported(planned(), detected())),
        ],
    )
    def test_what_is_of_another_stream_is_refused(self, module, history):
        name = type(history[-1]).__name__
        state, _ = bring_in(module, module.INITIAL, history[:-1])
        with pytest.raises(InvalidValue, match=name):
            module.bring_in(state, events=history)
        with pytest.raises(InvalidValue, match=f"'{name}'.*events of one stream, which begins"):
            module.bring_in(module.INITIAL, events=history)


class TestAgainAndAgain:
    @pytest.mark.parametrize(
        ("module", "history"),
        [(incident, HISTORY), (change, CHANGE_HISTORY), (incident, [*HISTORY, lasted(5)])],
        ids=["incident", "change", "with a stated duration"],
    )
    def test_the_same_history_adds_nothing(self, module, history):
        state, first = bring_in(module, module.INITIAL, history)

        again, second = bring_in(module, state, history)

        assert len(history) == len(first)
        assert [] == second
        assert state == again

    def test_what_is_new_is_added_with_its_place(self):
        state, _ = bring_in(incident, incident.INITIAL, HISTORY[:2])

        added = incident.bring_in(state, events=HISTORY)

        assert [2, 3, 4, 5] == [place for place, _ in added]

    def test_a_second_event_of_a_type_is_another_one(self):
        state, _ = bring_in(incident, incident.INITIAL, imported(detected(), attempted()))

        _, added = bring_in(incident, state, imported(detected(), attempted(), attempted(3)))

        assert [(3, 2)] == [((event.at - at(0)).seconds // 3600, event.number) for event in added]

    def test_a_verdict_on_another_change_is_another_one(self):
        other = attrs.evolve(HISTORY[-1], change="CHG-2")
        state, _ = bring_in(incident, incident.INITIAL, HISTORY)

        assert [other] == bring_in(incident, state, [*HISTORY, other])[1]

    def test_what_was_recorded_live_is_not_taken_for_it(self):
        live = incident.fold([detected(), resolved()])

        _, added = bring_in(incident, live, imported(detected(), resolved(5)))

        assert 2 == len(added)


class TestChangedInTheSource:
    def test_becomes_a_correction(self):
        state, _ = bring_in(incident, incident.INITIAL, HISTORY)
        later = [*HISTORY[:4], attrs.evolve(HISTORY[4], at=at(4.5), by="jira"), HISTORY[5]]

        _, recorded = bring_in(incident, state, later)

        assert [
            MomentCorrected(
                at=at(4.5),
                by="jira",
                version=5,
                field="at",
                was=at(4),
                now=at(4.5),
                why="changed in the source",
                imported=True,
            )
        ] == recorded
        assert [] == bring_in(incident, incident.fold([*state.past, *recorded]), later)[1]

    def test_several_values_of_one_event_are_several_corrections(self):
        state, _ = bring_in(incident, incident.INITIAL, imported(detected(environment="qa")))
        later = imported(detected(1, environment="live"))

        places = incident.bring_in(state, events=later)

        assert [(0, "at"), (0, "environment")] == [(place, event.field) for place, event in places]

    def test_and_back_again(self):
        first, second = imported(detected()), imported(detected(1))
        state, _ = bring_in(incident, incident.INITIAL, first)
        state, _ = bring_in(incident, state, second)

        state, recorded = bring_in(incident, state, first)

        assert [(at(1), at(0))] == [(event.was, event.now) for event in recorded]
        assert [] == bring_in(incident, state, first)[1]

    def test_an_empty_value_says_nothing(self):
        state, _ = bring_in(
            incident, incident.INITIAL, imported(detected(environment="qa", services=("a",)))
        )

        assert [] == bring_in(incident, state, imported(detected(at=None, title="")))[1]

    def test_words_are_no_facts(self):
        state, _ = bring_in(incident, incident.INITIAL, imported(detected()))

        assert [] == bring_in(incident, state, imported(detected(title="payments are down")))[1]

    def test_who_told_it_is_no_fact(self):
        state, _ = bring_in(incident, incident.INITIAL, imported(detected()))

        assert [] == bring_in(incident, state, imported(detected(by="servicenow")))[1]

    def test_a_correction_has_the_moment_of_the_fact_where_the_source_gives_none(self):
        state, _ = bring_in(incident, incident.INITIAL, imported(detected(environment="qa")))

        _, recorded = bring_in(incident, state, imported(detected(at=None, environment="live")))

        assert [
            EnvironmentCorrected(
                at=at(0),
                by="ann",
                version=1,
                field="environment",
                was="qa",
                now="live",
                why="changed in the source",
                imported=True,
            )
        ] == recorded

    def test_what_no_correction_can_change_is_refused(self):
        state, _ = bring_in(change, change.INITIAL, imported(planned(risk=Risk.LOW)))

        with pytest.raises(StepRefused, match="risk was low") as refused:
            change.bring_in(state, events=imported(planned(risk=Risk.HIGH)))

        assert ("bring_in", "correctable") == (refused.value.step, refused.value.guard)

    def test_a_check_that_failed_after_all_is_a_change(self):
        check = ChangeValidated(at=at(5), by="ann", check="smoke", passed=True)
        state, _ = bring_in(change, change.INITIAL, imported(planned(), check))

        with pytest.raises(StepRefused):
            change.bring_in(state, events=imported(planned(), attrs.evolve(check, passed=False)))

    def test_a_kind_can_be_another(self):
        state, _ = bring_in(change, change.INITIAL, imported(planned()))

        state, recorded = bring_in(change, state, imported(planned(kind=Kind.SCHEMA)))

        assert ["kind"] == [event.field for event in recorded]
        assert state.kind is Kind.SCHEMA


class TestByHand:
    corrected = SeverityCorrected(
        at=at(9), by="bea", version=3, field="severity", was=Severity.P3, now=Severity.P1, why="all"
    )

    def test_a_correction_made_by_hand_is_not_undone(self):
        state, _ = bring_in(incident, incident.INITIAL, HISTORY)
        state = incident.evolve(state, self.corrected)

        assert [] == bring_in(incident, state, HISTORY)[1]

    def test_a_new_value_of_the_source_corrects_what_stands(self):
        state, _ = bring_in(incident, incident.INITIAL, HISTORY)
        state = incident.evolve(state, self.corrected)
        later = [*HISTORY[:2], attrs.evolve(HISTORY[2], severity=Severity.P2), *HISTORY[3:]]

        _, recorded = bring_in(incident, state, later)

        assert [(Severity.P1, Severity.P2)] == [(event.was, event.now) for event in recorded]

    def test_the_source_agreeing_with_the_hand_records_nothing(self):
        state, _ = bring_in(incident, incident.INITIAL, HISTORY)
        state = incident.evolve(state, self.corrected)
        later = [*HISTORY[:2], attrs.evolve(HISTORY[2], severity=Severity.P1), *HISTORY[3:]]

        assert [] == bring_in(incident, state, later)[1]

    def test_voided_stays_voided(self):
        state, _ = bring_in(incident, incident.INITIAL, HISTORY)
        (void,) = incident.void(state, by="bea", at=at(9), version=5, why="not resolved")
        state = incident.evolve(state, void)
        later = [*HISTORY[:4], attrs.evolve(HISTORY[4], at=at(4.5)), HISTORY[5]]

        assert [] == bring_in(incident, state, HISTORY)[1]
        assert [] == bring_in(incident, state, later)[1]
        assert EventVoided in {type(event) for event in state.past}

    def test_of_a_change_that_lives_here_another_word_is_heard_behind_a_void(self):
        lived = change.fold([planned(), submitted()])
        deployed = ChangeDeployed(at=at(4), by="snow", imported=True)
        state, _ = bring_in(change, lived, [deployed])
        (void,) = change.void(state, by="bea", at=at(9), version=3, why="it never came there")
        state = change.evolve(state, void)
        failed = ChangeFailed(at=at(5), by="snow", imported=True)

        [told] = bring_in(change, state, [failed, deployed])[1]

        assert (told.at, told.unauthorised) == (at(5), "approved")
        assert isinstance(told, ChangeFailed)


class TestVerdicts:
    def test_are_replaced_by_being_given_again(self):
        state, _ = bring_in(incident, incident.INITIAL, HISTORY)
        later = [*HISTORY[:-1], attrs.evolve(HISTORY[-1], verdict=Verdict.DISMISSED)]

        state, recorded = bring_in(incident, state, later)

        assert later[-1:] == recorded
        assert [] == bring_in(incident, state, later)[1]
        assert {"CHG-1": Verdict.DISMISSED} == state.verdicts

    @pytest.mark.parametrize("told", [{"by": "jira"}, {"why": "the diff"}], ids=["who", "words"])
    def test_who_told_it_and_its_words_are_no_facts(self, told):
        state, _ = bring_in(incident, incident.INITIAL, HISTORY)
        later = [*HISTORY[:-1], attrs.evolve(HISTORY[-1], **told)]

        assert [] == bring_in(incident, state, later)[1]

    def test_one_given_by_hand_is_not_undone(self):
        state, _ = bring_in(incident, incident.INITIAL, HISTORY)
        by_hand = attrs.evolve(CAUSED, verdict=Verdict.DISMISSED, by="bea")
        state = incident.evolve(state, by_hand)

        assert [] == bring_in(incident, state, HISTORY)[1]


class TestStatedDurations:
    def test_of_a_change_are_kept_too(self):
        state, recorded = bring_in(change, change.INITIAL, [*imported(planned()), lasted(5)])

        assert (lasted(5), ChangeStatus.DRAFT) == (recorded[-1], state.status)

    def test_are_replaced_by_stating_them_again(self):
        state, _ = bring_in(incident, incident.INITIAL, [*imported(detected()), lasted(5)])

        state, recorded = bring_in(incident, state, [*imported(detected()), lasted(7)])

        assert [lasted(7)] == recorded
        assert [] == bring_in(incident, state, [*imported(detected()), lasted(7)])[1]

    def test_two_kinds_are_kept_apart(self):
        repair = lasted(3, StatedDuration.TIME_TO_REPAIR)
        history = [*imported(detected()), lasted(5), repair]
        state, recorded = bring_in(incident, incident.INITIAL, history)

        assert history == recorded
        assert [] == bring_in(incident, state, history)[1]

    def test_the_same_kind_twice_settles_too(self):
        history = [*imported(detected()), lasted(5), lasted(7)]
        state, _ = bring_in(incident, incident.INITIAL, history)

        assert [] == bring_in(incident, state, history)[1]


class TestRefusals:
    @pytest.mark.parametrize("events", [[], imported(resolved())], ids=["none", "another"])
    @pytest.mark.parametrize("module", [incident, change])
    def test_history_begins_with_its_first_event(self, module, events):
        with pytest.raises(StepRefused, match="begins with") as refused:
            module.bring_in(module.INITIAL, events=events)

        assert refused.value.guard == "begins"

    def test_a_stream_that_has_begun_needs_no_first_event(self):
        assert [resolved(imported=True)] == bring_in(
            incident, incident.fold([detected()]), imported(resolved())
        )[1]

    def test_every_event_is_marked_as_imported(self):
        with pytest.raises(InvalidValue, match="IncidentResolved"):
            incident.bring_in(incident.INITIAL, events=[*imported(detected()), resolved()])

    def test_a_found_change_may_be_the_first(self):
        found = ChangeObserved(at=at(0), by="scanner", title="hotfix", imported=True)

        assert [found] == bring_in(change, change.INITIAL, [found])[1]

    def test_a_label_of_a_live_change_is_told_once(self):
        lived = change.fold([planned(labels={"team": "core", "tier": "1"}), submitted()])
        says = planned(labels={"tier": "2"}, imported=True)

        state, (after_approval, corrected) = bring_in(change, lived, [says])
        assert ("labels", {"team": "core", "tier": "2"}) == (corrected.field, corrected.now)
        assert isinstance(after_approval, ContentCorrectedAfterApproval)
        assert [] == bring_in(change, state, [says])[1]


class TestApprovals:
    def test_an_imported_approval_is_not_given_by_the_tool(self):
        state, _ = bring_in(change, change.INITIAL, CHANGE_HISTORY[:3])

        assert state.status is ChangeStatus.APPROVED

    def test_an_imported_approval_is_a_moment_not_a_vote(self):
        two_votes = Policy(name="two votes", version="7", approvals=2)
        vote = approved(by="dan", status=ChangeStatus.SUBMITTED)
        state, _ = bring_in(change, change.INITIAL, imported(planned(), submitted(), vote))

        (event,) = change.approve(state, by="bea", at=at(9), policy=two_votes)

        assert (1, said("1 of 2 votes", two_votes)) == (event.votes, event.policy)


class TestNames:
    """A severity's name goes with its rank; what a source does not name is no other."""

    def triage(self, severity, name):
        return imported(detected(), triaged(severity=severity, severity_name=name))

    def again(self, first, second):
        state, _ = bring_in(incident, incident.INITIAL, self.triage(*first))
        return incident.bring_in(state, events=self.triage(*second))

    @pytest.mark.parametrize(
        ("first", "second", "now", "name"),
        [
            ((Severity.P1, "SEV0"), (Severity.P1, "SEV1"), Severity.P1, "SEV1"),
            ((Severity.P1, "SEV0"), (Severity.P2, "SEV2"), Severity.P2, "SEV2"),
            ((Severity.P1, None), (Severity.P1, "SEV1"), Severity.P1, "SEV1"),
            ((Severity.P1, "SEV0"), (Severity.P2, None), Severity.P2, None),
        ],
    )
    def test_what_changed_in_the_source_is_corrected(self, first, second, now, name):
        [(place, event)] = self.again(first, second)
        assert (1, Severity.P1, now, name) == (place, event.was, event.now, event.severity_name)

    @pytest.mark.parametrize("name", ["SEV0", None])
    def test_what_is_said_again_is_nothing(self, name):
        assert () == self.again((Severity.P1, "SEV0"), (Severity.P1, name))

    def test_once_corrected_it_is_known(self):
        state, _ = bring_in(incident, incident.INITIAL, self.triage(Severity.P1, "SEV0"))
        state, _ = bring_in(incident, state, self.triage(Severity.P1, "SEV1"))
        for name in ("SEV1", None):
            told = self.triage(Severity.P1, name)
            assert () == incident.bring_in(state, events=told)

    def test_milestones_are_numbered_here(self):
        def marks(*hours):
            return [
                MilestoneMarked(at=at(one), by="sn", number=9, name="called", imported=True)
                for one in hours
            ]

        told = [*imported(detected()), *marks(1, 2)]
        state, _ = bring_in(incident, incident.INITIAL, told)
        assert [1, 2] == [event.number for event in state.past[1:]]
        assert () == incident.bring_in(state, events=told)
        [(_, moved)] = incident.bring_in(state, events=[*imported(detected()), *marks(1, 3)])
        assert (3, at(2), at(3)) == (moved.version, moved.was, moved.now)
        [(_, third)] = incident.bring_in(state, events=[*told, *marks(5)])
        assert 3 == third.number

    def test_the_last_parent_that_a_source_says_stands(self):
        def child(other):
            told = {"at": None, "by": "sn", "kind": Relation.CHILD_OF, "imported": True}
            return [*imported(detected()), IncidentRelated(other=other, **told)]

        state = incident.INITIAL
        for other in ("INC-1", "INC-4", "INC-1"):
            state, recorded = bring_in(incident, state, child(other))
            assert other == recorded[-1].other
            assert {other: Relation.CHILD_OF} == state.relations
            [row] = facts(of("incident:INC-9", *state.past)).incidents
            assert state.relations == row.related
            assert () == incident.bring_in(state, events=child(other))

    def test_a_relation_told_again_otherwise_is_another(self):
        def relation(kind):
            return IncidentRelated(at=None, by="sn", other="INC-1", kind=kind, imported=True)

        told = [*imported(detected()), relation(Relation.CHILD_OF)]
        state, _ = bring_in(incident, incident.INITIAL, told)
        assert () == incident.bring_in(state, events=told)
        other = [*imported(detected()), relation(Relation.RELATED)]
        assert ((1, other[1]),) == incident.bring_in(state, events=other)


class TestLabelsAreFactsOfTheirOwn:
    """What a source does not name stays, and a hand's correction of one is not undone by others."""

    @staticmethod
    def say(state, module, event, **labels):
        told = [attrs.evolve(event, labels=labels, imported=True)]
        if module is change:  # its content is corrected once it went in
            told.append(attrs.evolve(completed(), imported=True))
        for _, new in module.bring_in(state, events=told):
            state = module.evolve(state, new)
        return state

    @staticmethod
    def correct(state, module, labels):
        now = module.fold(state.past)
        version, stands = 1, dict(past_standing(now.past)[1].labels)
        for event in module.correct(
            now, by="zoe", at=at(50), version=version, field="labels", was=stands, now=labels,
            why="by hand",
        ):  # fmt: skip
            now = module.evolve(now, event)
        return now

    @staticmethod
    def labels(state):
        return dict(past_standing(state.past)[1].labels)

    @pytest.mark.parametrize("module", [incident, change])
    def test_a_story(self, module):
        event = detected() if module is incident else planned()
        say, correct, labels = self.say, self.correct, self.labels
        state = say(module.INITIAL, module, event, team="core", tier="1")
        state = say(state, module, event, team="core")  # a file without the other column
        assert labels(state) == {"team": "core", "tier": "1"}
        state = say(state, module, event, team="core", tier="2")
        assert labels(state) == {"team": "core", "tier": "2"}
        state = correct(state, module, {"team": "platform", "tier": "2", "by hand": "yes"})
        before = len(state.past)
        state = say(state, module, event, team="core", tier="2")  # the same file again
        assert len(state.past) == before
        state = say(state, module, event, team="core", tier="3")  # another label changed
        assert labels(state) == {"team": "platform", "tier": "3", "by hand": "yes"}
        state = say(state, module, event, team="search", tier="3")  # it says another team now
        assert labels(state) == {"team": "search", "tier": "3", "by hand": "yes"}
        state = say(state, module, event, team="search", tier="3", new="x")
        assert labels(state) == {"team": "search", "tier": "3", "by hand": "yes", "new": "x"}

    @given(
        st.lists(
            st.tuples(
                st.booleans(),
                st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3),
            ),
            max_size=8,
        )
    )
    @settings(deadline=None)
    def test_an_independent_book_of_each_label_says_the_same(self, steps):
        """A label is what was told last of it: by hand, or by the source where it changed."""
        event = detected()
        state = self.say(incident.INITIAL, incident, event, a="1")
        stands, source = {"a": "1"}, {"a": "1"}
        for by_hand, labels in steps:
            if by_hand:
                if labels == stands:
                    continue
                state, stands = self.correct(state, incident, labels), dict(labels)
                continue
            state = self.say(state, incident, event, **labels)
            for name, text in labels.items():
                if source.get(name) != text:
                    # What the source says already stands by hand: it is as if it had said it.
                    if stands.get(name) != text:
                        source[name] = text
                    stands[name] = text
            assert self.labels(state) == stands
