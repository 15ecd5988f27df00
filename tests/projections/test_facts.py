"""
Facts: the rows of both kinds, what the two times cut, and where merges lead.
"""

from types import SimpleNamespace

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.examples import (
    IN_PRODUCTION,
    LATER,
    UNDER_WAY,
    VOTE,
    approved,
    at,
    attempted,
    closed,
    completed,
    detected,
    dismissed,
    emergency,
    log,
    merged,
    mitigated,
    of,
    planned,
    reopened,
    resolved,
    reviewed,
    started,
    started_unapproved,
    submitted,
    triaged,
    window,
)
from imcm.domain import change, incident
from imcm.domain.change_events import (
    ChangeApprovedRetroactively,
    ChangeCancelled,
    ChangeClosed,
    ChangeFailed,
    ChangeHeld,
    ChangeObserved,
    ChangeRecovered,
    ChangeRejected,
    ChangeReleased,
    ChangeRevised,
    ChangeRolledBack,
    ChangeScheduled,
    ChangeStatus,
    ChangeValidated,
    CommitsRecorded,
    RetroactiveApprovalRefused,
    RolloutAborted,
    RolloutAdvanced,
    RolloutPaused,
    Template,
)
from imcm.domain.corrections import (
    DurationStated,
    EventVoided,
    MomentCorrected,
    SeverityCorrected,
)
from imcm.domain.incident_events import (
    ImpactUpdated,
    IncidentAbsorbed,
    IncidentAcknowledged,
    IncidentDeclared,
    IncidentHeld,
    IncidentReleased,
    IncidentReopened,
    IncidentSeparated,
    IncidentStatus,
    IncidentTriaged,
    IncidentUnmerged,
    SeverityChanged,
    UpdatePosted,
    VerdictGiven,
)
from imcm.domain.recorded import LedgerOpened, Source, Unread, known
from imcm.domain.vocabulary import (
    Between,
    ChangeType,
    Channel,
    Commit,
    DismissalReason,
    HoldReason,
    Impact,
    Kind,
    Mode,
    Outcome,
    Result,
    Risk,
    Severity,
    StatedDuration,
    Symptom,
    Verdict,
)
from imcm.errors import InvalidValue, NaiveTimeError, StepRefused
from imcm.projections.facts.fold import (
    ChangeFacts,
    Facts,
    FactsFold,
    Hold,
    IncidentFacts,
    RolloutStep,
    Spell,
    facts,
)
from imcm.testing import change_steps, incident_steps

A, B, C, D = (f"incident:{name}" for name in "ABCD")
FEW, MANY = Impact(customers=4), Impact(customers=4000)
HELD = IncidentHeld(at=at(1.2), by="ann", reason=HoldReason.VENDOR)
RELEASED = IncidentReleased(at=at(1.4), by="ann")


def row(*events, as_of=None):
    """Return the one row of an incident with these events."""
    (found,) = facts(of(A, *events), as_of=as_of).incidents
    return found


def change_row(*events, as_of=None):
    (found,) = facts(of("change:C", *events), as_of=as_of).changes
    return found


def moment(version, now, field="at", was=None):
    return MomentCorrected(at=at(90), by="bea", version=version, field=field, was=was, now=now)


def voided(version, status="detected"):
    return EventVoided(at=at(91), by="bea", version=version, status=status)


def verdict(change_id, said, hours=5):
    return VerdictGiven(at=at(hours), by="ann", change=change_id, verdict=said)


def unmerged(status=IncidentStatus.DETECTED, hours=9, out_of="B"):
    return IncidentUnmerged(at=at(hours), by="ann", out_of=out_of, status=status, why="no")


def advanced(percent, hours=3.5):
    return RolloutAdvanced(at=at(hours), by="ann", percent=float(percent))


class TestIncidentRow:
    def test_says_what_stands(self):
        events = [
            detected(
                services=("payments",),
                symptom=Symptom.ERRORS,
                channel=Channel.MONITORING,
                monitor="splunk",
                mode=Mode.DRILL,
                environment="live",
                labels={"team": "core"},
            ),
            IncidentDeclared(at=at(0.2), by="ann"),
            IncidentAcknowledged(at=at(0.5), by="ann"),
            triaged(severity=Severity.P3, impact=FEW),
            HELD,
            RELEASED,
            SeverityChanged(at=at(1.5), by="ann", severity=Severity.P1),
            ImpactUpdated(at=at(1.6), by="ann", impact=MANY, impact_started_at=at(-1)),
            attempted(),
            UpdatePosted(at=at(2.5), by="ann", audience="public", text="working on it"),
            mitigated(),
            resolved(),
            verdict("CHG-1", Verdict.CAUSED),
            reviewed(),
            closed(),
            reopened(7, began=IncidentStatus.CLOSED),
            resolved(8),
        ]

        assert row(*events) == IncidentFacts(
            id="A",
            status=IncidentStatus.RESOLVED,
            services=("payments",),
            environment="live",
            labels={"team": "core"},
            symptom=Symptom.ERRORS,
            channel=Channel.MONITORING,
            monitor="splunk",
            mode=Mode.DRILL,
            impact_started_at=at(-1),
            detected_at=at(0),
            declared_at=at(0.2),
            acknowledged_at=at(0.5),
            triaged_at=at(1),
            triaged=True,
            spells=(
                Spell(started=at(0), mitigated=at(3), resolved=at(4), closed=at(6), over=True),
                Spell(started=at(7), resolved=at(8), over=True),
            ),
            holds=(Hold(held=at(1.2), released=at(1.4), reason=HoldReason.VENDOR),),
            severity_first=Severity.P3,
            severity_last=Severity.P1,
            severity_highest=Severity.P1,
            impact=MANY,
            verdicts={"CHG-1": Verdict.CAUSED},
            reviewed=1,
            # All but the update, which no row needs.
            positions=(*range(1, 10), *range(11, 18)),
        )

    def test_the_last_spell_tells_the_moments(self):
        found = row(detected(), mitigated(), resolved(), reopened(7), mitigated(8))

        assert (at(8), None, None, 1) == (
            found.mitigated_at,
            found.resolved_at,
            found.closed_at,
            found.reopenings,
        )

    def test_without_a_spell_there_are_no_moments(self):
        found = row(detected(), voided(1, "nothing"))

        assert (IncidentStatus.NOTHING, (), 0) == (found.status, found.spells, found.reopenings)
        assert (None, None, None) == (found.mitigated_at, found.resolved_at, found.closed_at)

    def test_a_relapse_is_counted_and_ends_the_mitigation(self):
        relapsed = reopened(5, began=IncidentStatus.MITIGATED, number=0, relapse=1)
        found = row(detected(), mitigated(), relapsed)

        assert (1, None, 1) == (found.relapses, found.mitigated_at, len(found.spells))

    def test_the_first_acknowledgement_counts(self):
        again = IncidentAcknowledged(at=at(3), by="bea", imported=True)

        assert (
            at(1)
            == row(detected(), IncidentAcknowledged(at=at(1), by="ann"), again).acknowledged_at
        )

    def test_a_dismissal_gives_its_reason_until_it_is_taken_back(self):
        back = reopened(5, began=IncidentStatus.DISMISSED, number=0, status="detected")

        assert row(detected(), dismissed()).dismissed is DismissalReason.FALSE_POSITIVE
        assert row(detected(), dismissed(), back).dismissed is None
        assert len(row(detected(), dismissed(), back).spells) == 1

    def test_durations_a_source_states_are_kept_the_last_standing(self):
        stated = [
            DurationStated(at=None, by="x", what=what, microseconds=n, imported=True)
            for what, n in (
                (StatedDuration.TIME_TO_RESTORE, 5),
                (StatedDuration.TIME_TO_REPAIR, 3),
                (StatedDuration.TIME_TO_RESTORE, 7),
            )
        ]

        expected = {StatedDuration.TIME_TO_RESTORE: 7, StatedDuration.TIME_TO_REPAIR: 3}
        assert expected == row(detected(), *stated).stated

    def test_a_severity_a_source_does_not_give_is_none(self):
        found = row(detected(), triaged(severity=None, imported=True))

        assert (True, None, None) == (found.triaged, found.severity_first, found.severity_highest)

    def test_moments_in_any_order_without_a_detection(self):
        found = row(detected(), voided(1), resolved(imported=True), closed(imported=True))

        assert (None, at(4), at(6)) == (found.detected_at, found.resolved_at, found.closed_at)

    def test_triage_without_impact_keeps_the_one_known(self):
        found = row(detected(), ImpactUpdated(at=at(0.5), by="ann", impact=FEW), triaged())

        assert found.impact == FEW

    def test_impact_started_is_told_once(self):
        later = ImpactUpdated(at=at(2), by="ann", impact_started_at=at(-9), imported=True)

        assert at(-1) == row(detected(impact_started_at=at(-1)), later).impact_started_at


class TestHolds:
    def test_a_second_reason_ends_the_first(self):
        other = IncidentHeld(at=at(2), by="ann", reason=HoldReason.CUSTOMER)

        assert (
            Hold(held=at(1.2), released=at(2), reason=HoldReason.VENDOR),
            Hold(held=at(2), released=None, reason=HoldReason.CUSTOMER),
        ) == row(detected(), HELD, other).holds

    @pytest.mark.parametrize("end", [resolved(4), dismissed(4)], ids=["resolved", "dismissed"])
    def test_the_end_of_an_incident_ends_its_hold(self, end):
        assert (Hold(held=at(1.2), released=at(4), reason=HoldReason.VENDOR),) == row(
            detected(), HELD, end
        ).holds

    def test_a_release_without_a_hold_is_nothing(self):
        assert row(detected(), RELEASED).holds == ()

    def test_an_imported_hold_may_be_told_after_the_resolution(self):
        history = [attrs.evolve(e, imported=True) for e in (detected(), resolved(), HELD, RELEASED)]
        told = [event for _, event in incident.bring_in(incident.INITIAL, events=history)]

        assert (Hold(held=at(1.2), released=at(1.4), reason=HoldReason.VENDOR),) == row(*told).holds


class TestChangeRow:
    def test_says_what_stands(self):
        commit = Commit(id="a1", committed_at=at(-8))
        events = [
            planned(
                services=("payments",),
                environment="live",
                labels={"team": "core"},
                window=window(2, 9),
                requested_by="dan",
                incident="INC-1",
                repairs="CHG-0",
                version="v1",
                unplanned=True,
                has_monitoring_plan=True,
                has_test_plan=True,
            ),
            submitted(),
            approved(),
            ChangeScheduled(at=at(2.2), by="ann", window=window(3, 5)),
            ChangeHeld(at=at(2.3), by="ann", reason=HoldReason.VENDOR),
            ChangeReleased(at=at(2.4), by="ann"),
            started(version="v2", rollout_plan=(5.0, 100.0)),
            CommitsRecorded(at=at(3), by="ann", commits=(commit,)),
            advanced(5),
            RolloutPaused(at=at(3.6), by="ann", percent=5.0),
            advanced(100, 3.7),
            completed(),
            ChangeValidated(at=at(5), by="ann", check="smoke", passed=True),
            ChangeRecovered(at=at(5.5), by="ann"),
            ChangeRecovered(at=at(5.8), by="ann", imported=True),
            ChangeClosed(at=at(6), by="ann", result=Result.SUCCESSFUL),
        ]

        assert change_row(*events) == ChangeFacts(
            id="C",
            status=ChangeStatus.CLOSED,
            type=ChangeType.NORMAL,
            kind=Kind.DEPLOYMENT,
            services=("payments",),
            environment="live",
            labels={"team": "core"},
            risk=Risk.LOW,
            version="v2",
            window=window(3, 5),
            unplanned=True,
            has_rollback_plan=True,
            has_monitoring_plan=True,
            has_test_plan=True,
            requested_by="dan",
            approved_by=("bea",),
            incident="INC-1",
            repairs="CHG-0",
            planned_at=at(0),
            submitted_at=at(1),
            approved_at=at(2),
            started_at=at(3),
            deployed_at=at(4),
            ended_at=at(4),
            recovered_at=at(5.5),
            validated_at=at(5),
            closed_at=at(6),
            reached_production=True,
            rollout=(RolloutStep(at=at(3.5), percent=5.0), RolloutStep(at=at(3.7), percent=100.0)),
            holds=(Hold(held=at(2.3), released=at(2.4), reason=HoldReason.VENDOR),),
            commits=(commit,),
            outcome=Outcome.COMPLETED,
            result=Result.SUCCESSFUL,
            authorisation="approved",
            backdated=(7, 12),  # the start and the completion: both were recorded weeks later
            # All but the pause, which no row needs.
            positions=(*range(1, 10), *range(11, 17)),
        )

    def test_who_planned_asks_for_it_where_nobody_else_does(self):
        assert change_row(planned()).requested_by == "ann"

    def test_a_failed_check_takes_the_validation_back(self):
        passed = ChangeValidated(at=at(5), by="ann", check="smoke", passed=True)
        failed = ChangeValidated(
            at=at(6), by="ann", check="smoke", passed=False, status=ChangeStatus.IMPLEMENTED
        )

        assert change_row(*IN_PRODUCTION, passed).validated_at == at(5)
        assert change_row(*IN_PRODUCTION, passed, failed).validated_at is None

    def test_a_cancelled_change_ends_then(self):
        found = change_row(planned(), ChangeCancelled(at=at(3), by="ann", why="no"))

        assert (ChangeStatus.CANCELLED, at(3), None) == (
            found.status,
            found.closed_at,
            found.deployed_at,
        )

    def test_a_revision_is_the_whole_content_and_voids_approval(self):
        revised = ChangeRevised(
            at=at(2.5), by="ann", kind=Kind.SCHEMA, services=("search",), risk=Risk.HIGH
        )

        found = change_row(planned(), submitted(), approved(), revised)

        assert (Kind.SCHEMA, ("search",), Risk.HIGH, False) == (
            found.kind,
            found.services,
            found.risk,
            found.has_rollback_plan,
        )
        assert (None, "not asked", ()) == (
            found.approved_at,
            found.authorisation,
            found.approved_by,
        )

    def test_commits_are_told_once_the_last_word_standing(self):
        first = CommitsRecorded(at=at(3), by="a", commits=(Commit(id="a1"), Commit(id="b2")))
        again = CommitsRecorded(at=at(3), by="a", commits=(Commit(id="a1", committed_at=at(0)),))

        assert (Commit(id="a1", committed_at=at(0)), Commit(id="b2")) == change_row(
            planned(), first, again
        ).commits

    def test_durations_a_source_states_are_kept(self):
        stated = DurationStated(
            at=None, by="x", what=StatedDuration.TIME_TO_REPAIR, microseconds=3, imported=True
        )

        assert {StatedDuration.TIME_TO_REPAIR: 3} == change_row(planned(), stated).stated

    def test_each_guard_that_would_have_said_no_once(self):
        held = ChangeHeld(at=at(3.5), by="ann", reason=HoldReason.VENDOR)
        found = change_row(
            *UNDER_WAY,
            held,
            completed(unauthorised="not on hold"),
            ChangeRolledBack(at=at(5), by="ann", unauthorised="not on hold"),
        )

        assert found.unauthorised == ("not on hold",)

    def test_a_pause_on_hold_is_unauthorised_too(self):
        rolling = (*UNDER_WAY[:-1], started(rollout_plan=(5.0, 100.0)))
        held = ChangeHeld(at=at(3.1), by="ann", reason=HoldReason.VENDOR)
        state = change.fold([*rolling, held])
        paused = change.pause_rollout(state, by="ann", at=at(3.6))

        assert change_row(*rolling, held, *paused).unauthorised == ("not on hold",)


class TestAuthorisation:
    template = Template(name="restart", version="3", sha256="0" * 64)

    @pytest.mark.parametrize(
        ("events", "expected"),
        [
            ([planned()], "not asked"),
            ([planned(), submitted()], "not asked"),
            ([planned(), submitted(), approved(quorum=2, status=VOTE)], "not asked"),
            ([planned(), submitted(), approved()], "approved"),
            (
                [planned(), submitted(), approved(), ChangeRejected(at=at(3), by="bea")],
                "not asked",
            ),
            (
                [
                    planned(type=ChangeType.STANDARD),
                    submitted(template=template, status=ChangeStatus.APPROVED),
                ],
                "pre-approved",
            ),
            ([emergency(), submitted(), started_unapproved()], "outstanding"),
            (
                [
                    emergency(),
                    submitted(),
                    started_unapproved(),
                    ChangeApprovedRetroactively(at=at(8), by="bea"),
                ],
                "approved afterwards",
            ),
            (
                [
                    emergency(),
                    submitted(),
                    started_unapproved(),
                    RetroactiveApprovalRefused(at=at(8), by="bea"),
                ],
                "refused afterwards",
            ),
            ([ChangeObserved(at=at(0), by="x", outstanding=True)], "outstanding"),
            ([planned(imported=True)], "unknown"),
            ([planned(imported=True), approved(imported=True)], "unknown"),
            ([planned(imported=True), submitted(), approved()], "approved"),
        ],
    )
    def test_says_how_it_came_to_be_allowed(self, events, expected):
        assert expected == change_row(*events).authorisation

    def test_several_votes_name_several_people(self):
        found = change_row(
            planned(), submitted(), approved(), approved(by="cy"), approved(by="bea")
        )

        assert ("bea", "cy", "bea") == found.approved_by

    def test_commits_come_in_several_times(self):
        """None at all, then one, then others and that one once more: each id once."""
        one, other = Commit(id="a"), Commit(id="b")
        again = Commit(id="a", committed_at=at(1))

        def told(*commits):
            return CommitsRecorded(at=at(1), by="ci", commits=commits)

        found = change_row(planned(), told(), told(one), told(other, again))

        assert (again, other) == found.commits

    def test_an_imported_approval_still_has_its_moment_and_person(self):
        found = change_row(planned(imported=True), approved(imported=True))

        assert (at(2), ("bea",)) == (found.approved_at, found.approved_by)

    @pytest.mark.parametrize(
        "event",
        [
            ChangeRevised(at=at(1), by="ann", imported=True),
            ChangeRejected(at=at(1), by="ann", imported=True),
            submitted(template=template, imported=True),
        ],
        ids=["revised", "rejected", "submitted by template"],
    )
    def test_of_imported_changes_it_is_unknown(self, event):
        assert change_row(planned(imported=True), event).authorisation == "unknown"

    def test_what_a_source_says_of_a_live_change_takes_no_approval_away(self):
        told = ChangeRejected(at=at(3), by="sn", imported=True)
        before = planned(), submitted(), approved()
        assert "approved" == change_row(*before).authorisation
        assert "approved" == change_row(*before, told).authorisation


def test_commits_may_be_told_leaner_than_they_are():
    """What is stored is read without checking it again; a row has the real ones."""
    commit = Commit(id="c1", committed_at=at(1), pull_request="PR-1", merged_at=at(2))
    lean = SimpleNamespace(**attrs.asdict(commit))
    told = CommitsRecorded(at=at(3), by="ci", commits=(commit,))
    object.__setattr__(told, "commits", (lean,))
    (found,) = change_row(planned(), told).commits

    assert found == commit
    assert isinstance(found, Commit)


class TestDeployedAt:
    """The time of complete; else of the first step above 0 %; else of what reached production."""

    failed = ChangeFailed(at=at(4), by="ann", reached_production=True)
    back = ChangeRolledBack(at=at(5), by="ann", reached_production=True)
    nowhere = ChangeFailed(at=at(4), by="ann", reached_production=False)
    rolling = (planned(), submitted(), approved(), started(rollout_plan=(5.0, 100.0)))

    @pytest.mark.parametrize(
        ("events", "expected", "reached"),
        [
            (UNDER_WAY, None, None),
            (IN_PRODUCTION, at(4), True),
            ((*rolling, advanced(5), advanced(100, 3.9), completed()), at(4), True),
            (
                (*rolling, advanced(5), RolloutAborted(at=at(3.9), by="ann", percent=5.0)),
                at(3.5),
                True,
            ),
            ((*rolling, RolloutAborted(at=at(3.9), by="ann", percent=0.0)), None, False),
            ((*UNDER_WAY, failed), at(4), True),
            ((*UNDER_WAY, nowhere), None, False),
            ((*UNDER_WAY, back), at(5), True),
            ((*UNDER_WAY, attrs.evolve(back, reached_production=False)), None, False),
            ((*IN_PRODUCTION, back), at(4), True),
            ((*IN_PRODUCTION, attrs.evolve(back, reached_production=False)), at(4), True),
            ((*UNDER_WAY, failed, back), at(4), True),
            ((*rolling, advanced(5), failed), at(3.5), True),
            ((ChangeObserved(at=at(7), by="scanner"),), at(7), True),
            ((*UNDER_WAY, ChangeFailed(at=at(4), by="x", imported=True)), None, None),
        ],
        ids=[
            "under way",
            "complete",
            "complete after a rollout",
            "aborted at 5 %",
            "aborted at 0 %",
            "failed in production",
            "failed before",
            "rolled back in production",
            "rolled back before",
            "rolled back after",
            "once there it has been there",
            "failed, then rolled back",
            "failed in a rollout",
            "observed",
            "a source does not say",
        ],
    )
    def test_follows_the_order_of_what_is_known(self, events, expected, reached):
        found = change_row(*events)

        assert (expected, reached) == (found.deployed_at, found.reached_production)

    def test_a_completion_without_a_moment_leaves_it_to_the_rollout(self):
        found = change_row(*self.rolling, advanced(5), completed(at=None, imported=True))

        assert at(3.5) == found.deployed_at

    def test_the_outcome_and_its_own_time(self):
        found = change_row(*IN_PRODUCTION, self.back)

        assert (Outcome.ROLLED_BACK, at(5), at(5)) == (
            found.outcome,
            found.rolled_back_at,
            found.ended_at,
        )

    def test_a_planned_change_that_was_observed_keeps_its_content(self):
        found = change_row(
            planned(services=("payments",)),
            ChangeObserved(
                at=at(7),
                by="scanner",
                type=ChangeType.NORMAL,
                version="v9",
                unauthorised="approved",
                outstanding=True,
            ),
        )

        assert (ChangeType.NORMAL, ("payments",), "v9", ("approved",)) == (
            found.type,
            found.services,
            found.version,
            found.unauthorised,
        )

    def test_what_a_rollout_brought_to_users_has_reached_production(self):
        found = change_row(*self.rolling, advanced(5), self.nowhere)

        assert (at(3.5), True) == (found.deployed_at, found.reached_production)


class TestAsOf:
    """World facts are cut by their time as corrected; statements always hold."""

    @pytest.mark.parametrize(
        ("hours", "status"),
        [
            (-0.1, IncidentStatus.NOTHING),
            (0, IncidentStatus.DETECTED),
            (0.9, IncidentStatus.DETECTED),
            (1, IncidentStatus.TRIAGED),
            (4, IncidentStatus.RESOLVED),
            (99, IncidentStatus.RESOLVED),
        ],
    )
    def test_its_own_instant_is_in(self, hours, status):
        assert status is row(detected(), triaged(), resolved(), as_of=at(hours)).status

    def test_cuts_by_the_time_as_corrected(self):
        events = (detected(), resolved(4), moment(2, at(2)))

        assert row(*events, as_of=at(3)).resolved_at == at(2)
        assert row(*events, as_of=at(1)).resolved_at is None

    def test_cuts_moments_within_an_event_too(self):
        events = (
            detected(impact_started_at=at(-2), declared_at=at(3)),
            ImpactUpdated(at=at(1), by="ann", impact=FEW),
        )

        found = row(*events, as_of=at(2))

        assert (at(-2), None) == (found.impact_started_at, found.declared_at)
        late = row(detected(impact_started_at=at(3)), as_of=at(2))
        assert late.impact_started_at is None
        updated = ImpactUpdated(at=at(1), by="ann", impact_started_at=at(3))
        assert row(detected(), updated, as_of=at(2)).impact_started_at is None

    @pytest.mark.parametrize(("hours", "there"), [(3.9, False), (4, True)])
    def test_an_uncertain_moment_is_placed_by_its_midpoint(self, hours, there):
        around = resolved(at=Between(earliest=at(2), latest=at(6)))

        assert there is (row(detected(), around, as_of=at(hours)).resolved_at is not None)

    def test_an_unknown_moment_is_never_cut(self):
        assert (
            row(detected(), resolved(at=None, imported=True), as_of=at(0)).status
            is IncidentStatus.RESOLVED
        )

    def test_statements_hold_for_every_as_of(self):
        corrected = SeverityCorrected(
            at=at(50), by="b", version=2, field="severity", was=Severity.P3, now=Severity.P1
        )
        stated = DurationStated(
            at=at(50), by="x", what=StatedDuration.TIME_TO_RESTORE, microseconds=5, imported=True
        )
        found = row(
            detected(),
            triaged(),
            corrected,
            verdict("CHG-1", Verdict.CAUSED, 50),
            reviewed(50),
            stated,
            resolved(4),
            voided(7),
            as_of=at(9),
        )

        assert (Severity.P1, {"CHG-1": Verdict.CAUSED}, 1, None) == (
            found.severity_last,
            found.verdicts,
            found.reviewed,
            found.resolved_at,
        )
        assert {StatedDuration.TIME_TO_RESTORE: 5} == found.stated

    def test_a_dismissal_and_a_merge_hold_for_every_as_of(self):
        assert row(detected(), dismissed(50), as_of=at(1)).dismissed is not None
        assert row(detected(), merged(50), as_of=at(1)).merged_into == "INC-2"
        assert row(detected(), merged(50), unmerged(hours=60), as_of=at(1)).merged_into is None

    def test_changes_are_cut_too(self):
        assert [None, at(4)] == [
            change_row(*IN_PRODUCTION, as_of=at(hours)).deployed_at for hours in (3.9, 4)
        ]

    def test_a_naive_time_is_refused(self):
        with pytest.raises(NaiveTimeError, match="as_of: "):
            facts([], as_of=at(0).replace(tzinfo=None))

    def test_is_the_newest_stamp_unless_told_otherwise(self):
        entries = log((A, detected(), at(5)), (B, detected(), at(9)), (C, detected(), at(7)))

        assert at(9) == facts(entries).as_of
        assert at(5) == facts(entries, known_at=1).as_of

    def test_what_lies_after_the_newest_stamp_is_cut(self):
        entries = log((A, detected(), at(0)), (A, resolved(4), at(3)))

        assert facts(entries).incidents[0].status is IncidentStatus.DETECTED

    def test_an_unmerge_gives_back_what_it_was_then(self):
        found = row(
            detected(),
            resolved(4),
            merged(5),
            unmerged(IncidentStatus.RESOLVED),
            as_of=at(1),
        )

        assert row(detected(), resolved(4), as_of=at(1)).status is found.status

    def test_before_its_detection_it_is_nothing(self):
        assert row(detected(), dismissed(), as_of=at(-1)).status is IncidentStatus.NOTHING

    def test_a_dismissal_that_was_taken_back_does_not_hold(self):
        back = reopened(50, began=IncidentStatus.DISMISSED, number=0, status="detected")

        assert row(detected(), dismissed(2), back, as_of=at(10)).dismissed is None

    def test_what_is_open_again_is_not_resolved(self):
        back = reopened(9, began=IncidentStatus.DISMISSED, number=0, status="detected")

        assert row(detected(), resolved(4), dismissed(8), back).resolved_at is None


# --- the order of knowledge -----------------------------------------------------------------------


@st.composite
def histories(draw, kind):
    """Draw the events of one stream, each made by a real step."""
    module, steps = (incident, incident_steps) if kind == "incident" else (change, change_steps)
    state = module.INITIAL
    only = ["detect"] if kind == "incident" else ["plan"]
    for _ in range(draw(st.integers(1, 7))):
        step, arguments = draw(steps(only=only, **{kind: state}))
        only = tuple(module.STEPS)
        try:
            events = step(state, **arguments)
        except (StepRefused, InvalidValue):
            continue
        for event in events:
            state = module.evolve(state, event)
    return state.past


logs = st.tuples(histories("incident"), histories("incident"), histories("change")).map(
    lambda streams: log(
        *(
            (stream, event)
            for stream, events in zip((A, B, "change:C"), streams, strict=True)
            for event in events
        )
    )
)


def without_positions(rows):
    return tuple(found._replace(positions=()) for found in rows)


class TestKnownAt:
    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(logs, st.data())
    def test_the_past_stays_what_it_was_whatever_is_recorded_later(self, entries, data):
        cut = data.draw(st.integers(0, len(entries)))
        before = entries[:cut]
        then = facts(before)

        by_position = facts(entries, known_at=cut)
        assert attrs.evolve(then, known_at=cut) == by_position
        if before:
            moment_then = before[-1].recorded_at
            by_time = facts(entries, known_at=moment_then)
            assert attrs.evolve(then, known_at=moment_then) == by_time

    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(logs)
    def test_one_fold_gives_the_same_at_any_time(self, entries):
        fold = FactsFold()
        for cut, recorded in enumerate(entries, start=1):
            fold.add(recorded)
            assert facts(entries[:cut]) == fold.facts()

    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(logs, st.data())
    def test_the_order_in_which_streams_arrive_changes_no_row(self, entries, data):
        order = data.draw(st.permutations([recorded.stream for recorded in entries]))
        waiting = {
            stream: iter([r for r in entries if r.stream == stream]) for stream in set(order)
        }
        other = [
            next(waiting[stream])._replace(position=position)
            for position, stream in enumerate(order, start=1)
        ]

        one, two = facts(entries, as_of=LATER), facts(other, as_of=LATER)

        assert without_positions(one.incidents) == without_positions(two.incidents)
        assert without_positions(one.changes) == without_positions(two.changes)

    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(logs)
    def test_positions_name_events_of_their_own_streams(self, entries):
        streams = {recorded.position: recorded.stream for recorded in entries}
        found = facts(entries)

        for kind, rows in (("incident", found.incidents), ("change", found.changes)):
            for one in rows:
                members = {member.id for member in getattr(one, "members", ())} or {one.id}
                named = {f"{kind}:{id_}" for id_ in members}
                assert named == {streams[position] for position in one.positions}

    def test_an_empty_log_has_no_rows(self):
        assert Facts() == facts([])

    def test_says_how_far_it_read(self):
        entries = of(A, detected(), resolved())

        found = facts(entries, known_at=1)

        assert (1, 1, 1) == (found.known_at, found.log_position, found.events)
        assert [entries[0]] == list(known(entries, 1))

    def test_a_correction_is_not_known_before_it_is_recorded(self):
        entries = of(A, detected(), resolved(4), moment(2, at(2)))

        assert [at(4), at(2)] == [
            facts(entries, known_at=position).incidents[0].resolved_at for position in (2, 3)
        ]


class TestMerges:
    absorbed = IncidentAbsorbed(at=at(2), by="ann", merged="A")

    def rows(self, *entries, **more):
        return {found.id: found for found in facts(log(*entries), **more).incidents}

    def test_the_merged_are_listed_with_the_target(self):
        rows = self.rows(
            (A, detected()), (B, detected(1)), (A, merged(into="B")), (B, self.absorbed)
        )

        assert ("B", ()) == (rows["A"].merged_into, rows["A"].merged)
        assert (None, ("A",)) == (rows["B"].merged_into, rows["B"].merged)
        assert (at(0), at(0)) == (rows["A"].detected_at, rows["B"].detected_at)
        assert at(1) == rows["B"].alone.detected_at

    def test_chains_are_followed_to_the_last_target(self):
        rows = self.rows(
            *((stream, detected()) for stream in (A, B, C, D)),
            (A, merged(into="B")),
            (B, merged(into="C")),
            (D, merged(into="C")),
        )

        assert {"A": "C", "B": "C", "C": None, "D": "C"} == {
            name: found.merged_into for name, found in rows.items()
        }
        assert [(), (), ("A", "B", "D"), ()] == [found.merged for found in rows.values()]

    def test_verdicts_pass_to_the_last_target_whose_own_win(self):
        rows = self.rows(
            *((stream, detected()) for stream in (A, B, C)),
            (A, verdict("CHG-1", Verdict.CAUSED)),
            (A, verdict("CHG-2", Verdict.CAUSED)),
            (C, verdict("CHG-2", Verdict.DISMISSED)),
            (A, merged(into="B")),
            (B, merged(into="C")),
        )

        assert {"CHG-1": Verdict.CAUSED, "CHG-2": Verdict.DISMISSED} == rows["C"].verdicts
        assert {"CHG-1": Verdict.CAUSED, "CHG-2": Verdict.CAUSED} == rows["A"].verdicts
        assert {} == rows["B"].verdicts

    def test_a_dismissed_target_names_those_merged_into_it(self):
        rows = self.rows((A, detected()), (B, detected()), (A, merged(into="B")), (B, dismissed(5)))

        assert (DismissalReason.FALSE_POSITIVE, ("A",)) == (rows["B"].dismissed, rows["B"].merged)
        assert ("B", None) == (rows["A"].merged_into, rows["A"].dismissed)

    def test_unmerging_puts_everything_back(self):
        before = [(A, detected()), (A, triaged()), (B, detected())]
        given_ = (A, verdict("CHG-1", Verdict.CAUSED))
        there_and_back = [
            (A, merged(into="B")),
            (B, self.absorbed),
            (A, unmerged(IncidentStatus.TRIAGED)),
            (B, IncidentSeparated(at=at(9), by="ann", merged="A")),
        ]

        plain = self.rows(*before, given_)
        rows = self.rows(*before, given_, *there_and_back)

        assert without_positions(plain.values()) == without_positions(rows.values())

    def test_unmerging_one_link_leaves_the_rest_of_the_chain(self):
        rows = self.rows(
            *((stream, detected()) for stream in (A, B, C)),
            (A, merged(into="B")),
            (B, merged(into="C")),
            (B, unmerged(out_of="C")),
        )

        assert ["B", None, None] == [found.merged_into for found in rows.values()]
        assert [(), ("A",), ()] == [found.merged for found in rows.values()]

    def test_a_target_that_is_not_in_the_log_is_named(self):
        rows = self.rows((A, detected()), (A, merged(into="ELSEWHERE", imported=True)))

        assert rows["A"].merged_into == "ELSEWHERE"

    def test_a_circle_in_imported_history_ends(self):
        rows = self.rows(
            (A, detected()),
            (B, detected()),
            (A, merged(into="B", imported=True)),
            (B, merged(into="A", imported=True)),
        )

        assert {"A", "B"} == {rows["A"].merged_into, rows["B"].merged_into}

    def test_unmerging_puts_a_hold_back(self):
        before = [detected(), HELD]

        assert row(*before).holds == row(*before, merged(), unmerged()).holds


class TestUnfounded:
    """A correction whose target is not in the prefix has no effect and is listed."""

    @pytest.mark.parametrize("edit", [moment(7, at(-1)), voided(7)], ids=["correction", "void"])
    def test_a_target_that_does_not_come_is_listed(self, edit):
        entries = of(A, detected(), edit)

        found = facts(entries)

        assert found.unfounded == (2,)
        assert at(0) == found.incidents[0].detected_at

    def test_a_target_that_is_there_is_not(self):
        posted = UpdatePosted(at=at(1), by="ann", audience="internal", text="no fact")

        assert facts(of(A, detected(), posted, voided(2), moment(1, at(1)))).unfounded == ()

    @pytest.mark.parametrize("version", [0, -1])
    def test_there_is_no_version_below_one(self, version):
        assert facts(of(A, detected(), moment(version, at(1)))).unfounded == (2,)

    def test_an_earlier_target_that_is_missing_is_listed(self):
        first, correction, other = of(A, detected(), moment(1, at(-1)), triaged())

        assert first.version == 1
        assert facts([correction, other]).unfounded == (2,)

    def test_a_target_that_can_not_be_read_is_listed(self):
        unread = Unread(type="IncidentPraised", state=b"{}", why="unknown type")

        assert facts(of(A, detected(), unread, moment(2, at(1)))).unfounded == (3,)


class TestWhatElseIsRead:
    def test_events_that_can_not_be_read_are_counted_by_type(self):
        unread = Unread(type="IncidentPraised", state=b"{}", why="unknown type")
        other = Unread(type="ChangeSung", state=b"{}", why="unknown type")

        found = facts(log((A, detected()), (A, unread), ("change:C", other), (A, unread)))

        assert {"ChangeSung": 1, "IncidentPraised": 2} == found.unread
        assert ["ChangeSung", "IncidentPraised"] == list(found.unread)
        assert (4, (1,)) == (found.events, found.incidents[0].positions)

    def test_the_ledgers_own_rows_are_no_facts(self):
        opened = LedgerOpened(ledger_id="1", format=1)

        found = facts(log(("ledger:1", opened), (A, detected())))

        assert (2, ["A"], ()) == (found.events, [r.id for r in found.incidents], found.changes)

    def test_rows_are_sorted_by_id(self):
        found = facts(
            log((C, detected()), (A, detected()), ("change:Y", planned()), ("change:X", planned()))
        )

        assert ["A", "C"] == [r.id for r in found.incidents]
        assert ["X", "Y"] == [r.id for r in found.changes]

    def test_stamps_that_went_back_are_listed(self):
        entries = log((A, detected(), at(5)), (B, detected(), at(4)), (C, detected(), at(4.5)))

        assert facts(entries).clock_back == (2,)

    @pytest.mark.parametrize(
        ("versions", "gaps"),
        [
            ((1, 2, 3, 4), ()),
            ((1, 3, 4, 5), (2,)),  # only where it skips, not all that follows
            ((2, 3, 4, 5), (1,)),
            ((1, 2, 2, 3), (3,)),
            ((1, 2, 4, 3), (3, 4)),
        ],
    )
    def test_versions_that_skip_a_number_or_repeat_are_listed(self, versions, gaps):
        events = (
            detected(),
            moment(1, at(-1)),
            UpdatePosted(at=at(1), by="ann", audience="public"),
        )
        newer = Unread(type="IncidentSung", state=b"{}", why="unknown type")
        told = of(A, *events, newer)

        entries = [one._replace(version=v) for one, v in zip(told, versions, strict=True)]

        assert facts(entries).gaps == gaps

    def test_each_stream_counts_its_own_versions_and_the_ledgers_own_rows_none(self):
        opened = LedgerOpened(ledger_id="1", format=1)
        entries = log(("ledger:1", opened), (A, detected()), (B, detected()), (A, triaged()))

        assert facts([entries[0]._replace(version=7), *entries[1:]]).gaps == ()

    def test_moments_after_they_were_recorded_are_listed(self):
        around = Between(earliest=at(1), latest=at(9))
        entries = log(
            (A, detected(), at(0)),
            (A, mitigated(at=around), at(5)),
            (A, resolved(5), at(5)),
            (A, closed(6), at(5.5)),
        )

        assert facts(entries).incidents[0].late == (2, 4)


class TestSources:
    def sourced(self, *entries):
        """Return a log of one stream from (event, source, hours at which the source took it)."""
        return [
            recorded._replace(
                source=source
                and Source(name=source, recorded_at=None if hours is None else at(hours))
            )
            for recorded, (_, source, hours) in zip(
                of(A, *(event for event, _, _ in entries)), entries, strict=True
            )
        ]

    @pytest.mark.parametrize(
        ("hours", "back"), [((1, 2, 3), False), ((1, 3, 2), True), ((1, None, 1), False)]
    )
    def test_whose_clock_went_back_is_marked(self, hours, back):
        events = zip((detected(), triaged(), resolved()), ("jira",) * 3, hours, strict=True)

        assert back is facts(self.sourced(*events)).incidents[0].source_clock_back

    @pytest.mark.parametrize(
        ("other", "disagree"), [("jira", False), ("statuspage", True), (None, False)]
    )
    def test_a_second_one_that_corrects_the_first_disagrees(self, other, disagree):
        entries = self.sourced((detected(), "jira", 1), (moment(1, at(-1)), other, None))

        assert disagree is facts(entries).incidents[0].sources_disagree

    def test_a_second_one_that_adds_something_does_not(self):
        entries = self.sourced((detected(), "jira", 1), (resolved(), "statuspage", 2))

        assert facts(entries).incidents[0].sources_disagree is False

    def test_what_was_imported_is_marked(self):
        assert row(detected(imported=True)).imported is True
        assert change_row(planned(imported=True)).imported is True
        assert change_row(ChangeObserved(at=at(0), by="x", imported=True)).imported is True


class TestEveryPrefix:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(histories("incident"))
    def test_of_an_incident_has_the_status_of_the_state(self, events):
        for cut in range(1, len(events) + 1):
            assert incident.fold(events[:cut]).status is row(*events[:cut]).status

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(histories("change"))
    def test_of_a_change_has_the_status_of_the_state(self, events):
        for cut in range(1, len(events) + 1):
            assert change.fold(events[:cut]).status is change_row(*events[:cut]).status


class TestToldTwice:
    def test_the_first_triage_is_the_moment_and_the_last_one_the_severity(self):
        told = [
            IncidentTriaged(at=at(hour), by="ann", severity=severity)
            for hour, severity in ((1, Severity.P3), (2, Severity.P1))
        ]
        found = row(detected(), *told)
        assert (at(1), Severity.P3, Severity.P1) == (
            found.triaged_at,
            found.severity_first,
            found.severity_last,
        )

    def test_what_was_never_over_is_not_opened_twice(self):
        again = IncidentReopened(at=at(2), by="ann", began=IncidentStatus.DETECTED)
        found = row(detected(), again)
        assert (1, IncidentStatus.MITIGATING) == (len(found.spells), found.status)

    def test_the_first_declaration_counts(self):
        found = row(detected(declared_at=at(1)), IncidentDeclared(at=at(2), by="ann"))
        assert at(1) == found.declared_at
