"""
Every step of an incident: when it is allowed, what refuses it, and when nothing changes.
"""

from datetime import UTC, date, datetime, timedelta

import attrs
import pytest

from domain.examples import (
    at,
    attempted,
    closed,
    detected,
    dismissed,
    merged,
    mitigated,
    of,
    reopened,
    resolved,
    reviewed,
    triaged,
)
from imcm.domain import incident
from imcm.domain.corrections import (
    EventVoided,
    MomentCorrected,
    ReferenceAdded,
    SeverityCorrected,
)
from imcm.domain.incident import INITIAL, Status
from imcm.domain.incident_events import (
    ActionAdded,
    ActionCompleted,
    ActionDropped,
    ActionRevised,
    AttemptConcluded,
    ImpactUpdated,
    IncidentAbsorbed,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentDeclared,
    IncidentDescribed,
    IncidentDetected,
    IncidentDismissed,
    IncidentHeld,
    IncidentMerged,
    IncidentMitigated,
    IncidentRelated,
    IncidentReleased,
    IncidentReopened,
    IncidentResolved,
    IncidentSeparated,
    IncidentUnmerged,
    IncidentUnrelated,
    MilestoneMarked,
    MitigationAttempted,
    ProblemLinked,
    ReviewRecorded,
    RoleAssigned,
    RoleReleased,
    SeverityChanged,
    SeverityInherited,
    UpdatePosted,
    VerdictGiven,
)
from imcm.domain.policy import Policy
from imcm.domain.vocabulary import (
    AttemptResult,
    Audience,
    Between,
    Channel,
    Degree,
    DismissalReason,
    HoldReason,
    Impact,
    MitigationKind,
    Mode,
    Relation,
    Role,
    ServiceImpact,
    Severity,
    Symptom,
    Verdict,
)
from imcm.errors import InvalidValue, NaiveTimeError, StepRefused
from imcm.projections.facts.fold import facts
from imcm.projections.histories.timeline import timeline
from imcm.testing import given

IMPACT = Impact(services=(ServiceImpact(service="payments", degree=Degree.DOWN),), customers=40)
UNMERGED = IncidentUnmerged(
    at=at(3), by="ann", out_of="INC-2", status=Status.TRIAGED, why="another cause"
)


def action(number=1, hours=5):
    return ActionAdded(at=at(hours), by="ann", number=number, text="add a canary")


class TestDetect:
    def test_keeps_everything_that_is_known_of_it(self):
        given().when(
            incident.detect,
            by="prometheus",
            at=at(0),
            title="payments down",
            services=["payments", "search", "payments"],
            symptom=Symptom.ERRORS,
            channel=Channel.MONITORING,
            monitor="splunk",
            mode=Mode.DRILL,
            environment="staging",
            labels={"team": "core", "project": "checkout"},
            impact_started_at=at(-1),
            declared_at=at(-0.5),
        ).then(
            IncidentDetected(
                at=at(0),
                by="prometheus",
                title="payments down",
                services=("payments", "search"),
                symptom=Symptom.ERRORS,
                channel=Channel.MONITORING,
                monitor="splunk",
                mode=Mode.DRILL,
                environment="staging",
                labels={"project": "checkout", "team": "core"},
                impact_started_at=at(-1),
                declared_at=at(-0.5),
                status=Status.DETECTED,
            )
        )

    def test_asks_for_no_more_than_a_title(self):
        given().when(incident.detect, by="ann", at=at(0), title="payments down").then(detected())

    def test_takes_the_stored_words_of_closed_lists(self):
        given().when(
            incident.detect, by="ann", at=at(0), title="slow", symptom="latency", channel="user"
        ).then(detected(title="slow", symptom=Symptom.LATENCY, channel=Channel.USER))

    def test_is_the_first_step_only(self):
        given(detected()).when(incident.detect, by="ann", at=at(1), title="again").then_refused(
            guard="status"
        )

    @pytest.mark.parametrize("title", ["", "  ", None, 7])
    def test_needs_a_title(self, title):
        given().when(incident.detect, by="ann", at=at(0), title=title).then_invalid("title")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("symptom", "itches"),
            ("channel", "telepathy"),
            ("mode", "pretend"),
            ("services", "payments"),
            ("labels", ["team"]),
            ("monitor", ""),
            ("environment", " prod"),
            ("impact_started_at", "yesterday"),
            ("declared_at", "yesterday"),
        ],
    )
    def test_refuses_what_can_not_be_right(self, name, value):
        given().when(
            incident.detect, by="ann", at=at(0), title="down", **{name: value}
        ).then_invalid(name)

    def test_tells_what_to_do_about_a_naive_time(self):
        error = (
            given()
            .when(incident.detect, by="ann", at=at(0).replace(tzinfo=None), title="down")
            .then_invalid("at")
        )

        assert isinstance(error, NaiveTimeError)
        assert "tzinfo" in str(error)


class TestDeclare:
    def test_says_that_this_is_an_incident(self):
        given(detected()).when(incident.declare, by="ann", at=at(1)).then(
            IncidentDeclared(at=at(1), by="ann")
        )

    def test_once_only(self):
        given(detected(), IncidentDeclared(at=at(1), by="ann")).when(
            incident.declare, by="bea", at=at(2)
        ).then_nothing()

    def test_nothing_to_say_where_detect_gave_it(self):
        given(detected(declared_at=at(0))).when(incident.declare, by="bea", at=at(2)).then_nothing()

    def test_refused_when_it_is_over(self):
        given(detected(), resolved()).when(incident.declare, by="ann", at=at(5)).then_refused(
            guard="status"
        )


class TestAcknowledge:
    def test_somebody_takes_it(self):
        given(detected()).when(incident.acknowledge, by="ann", at=at(1)).then(
            IncidentAcknowledged(at=at(1), by="ann")
        )

    def test_the_first_counts(self):
        given(detected(), IncidentAcknowledged(at=at(1), by="ann")).when(
            incident.acknowledge, by="bea", at=at(2)
        ).then_nothing()

    def test_again_after_a_reopening_records_nothing(self):
        given(
            detected(), IncidentAcknowledged(at=at(1), by="ann"), triaged(), resolved(), reopened()
        ).when(incident.acknowledge, by="bea", at=at(8)).then_nothing()

    def test_refused_when_it_is_over(self):
        given(detected(), dismissed()).when(incident.acknowledge, by="ann", at=at(3)).then_refused(
            guard="status"
        )


class TestTriage:
    def test_gives_severity_and_impact(self):
        given(detected()).when(
            incident.triage, by="ann", at=at(1), severity=Severity.P1, impact=IMPACT
        ).then(triaged(severity=Severity.P1, impact=IMPACT, status=Status.TRIAGED))

    @pytest.mark.parametrize(
        ("before", "status"),
        [
            ([attempted()], Status.MITIGATING),
            ([mitigated()], Status.MITIGATED),
            ([resolved()], Status.RESOLVED),
        ],
        ids=["mitigating", "mitigated", "resolved"],
    )
    def test_later_up_to_resolved_it_keeps_the_status(self, before, status):
        given(detected(), *before).when(
            incident.triage, by="ann", at=at(5), severity=Severity.P2
        ).then(triaged(5, severity=Severity.P2, status=None))

        assert status is incident.fold([detected(), *before, triaged(5, status=None)]).status

    @pytest.mark.parametrize(
        ("after", "guard"),
        [
            ([], "never triaged"),
            ([attempted()], "never triaged"),
            ([mitigated()], "never triaged"),
            ([resolved()], "never triaged"),
        ],
        ids=["triaged", "mitigating", "mitigated", "resolved"],
    )
    def test_once_only(self, after, guard):
        given(detected(), triaged(), *after).when(
            incident.triage, by="ann", at=at(5), severity=Severity.P2
        ).then_refused(guard=guard)

    def test_says_what_to_use_instead(self):
        error = (
            given(detected(), triaged(), mitigated())
            .when(incident.triage, by="ann", at=at(5), severity=Severity.P2)
            .then_refused(guard="never triaged")
        )

        assert "change_severity" in error.why

    @pytest.mark.parametrize(
        ("name", "value"), [("severity", "P9"), ("severity", None), ("impact", "all of them")]
    )
    def test_refuses_what_can_not_be_right(self, name, value):
        given(detected()).when(
            incident.triage, by="ann", at=at(1), **{"severity": "P1", name: value}
        ).then_invalid(name)

    def test_without_impact_it_keeps_the_one_known(self):
        given(detected(), ImpactUpdated(at=at(0.5), by="ann", impact=IMPACT), triaged()).when(
            incident.update_impact, by="ann", at=at(2), impact=IMPACT
        ).then_nothing()


class TestDismiss:
    @pytest.mark.parametrize(
        "before",
        [
            [],
            [triaged()],
            [attempted()],
            [mitigated()],
            [resolved()],
            [triaged(), resolved(), closed()],
        ],
        ids=["detected", "triaged", "mitigating", "mitigated", "resolved", "closed"],
    )
    def test_open_resolved_or_closed(self, before):
        given(detected(), *before).when(
            incident.dismiss,
            by="bea",
            at=at(9),
            reason=DismissalReason.EXPECTED,
            why="planned load test",
        ).then(
            IncidentDismissed(
                at=at(9),
                by="bea",
                reason=DismissalReason.EXPECTED,
                why="planned load test",
                status=Status.DISMISSED,
            )
        )

    def test_only_once(self):
        given(detected(), dismissed()).when(
            incident.dismiss, by="bea", at=at(9), reason=DismissalReason.EXTERNAL
        ).then_refused(guard="status")

    def test_refused_for_what_was_merged(self):
        given(detected(), merged()).when(
            incident.dismiss, by="bea", at=at(9), reason=DismissalReason.EXTERNAL
        ).then_refused(guard="status")

    def test_the_reason_is_of_a_closed_list(self):
        given(detected()).when(incident.dismiss, by="bea", at=at(9), reason="boring").then_invalid(
            "reason"
        )

    def test_ends_a_hold(self):
        held = IncidentHeld(at=at(1), by="ann", reason=HoldReason.VENDOR)

        assert incident.fold([detected(), held, dismissed()]).on_hold is None


class TestAttemptMitigation:
    def test_several_may_be_tried_each_with_its_number(self):
        given(detected(), attempted(number=1)).when(
            incident.attempt_mitigation,
            by="bea",
            at=at(3),
            kind=MitigationKind.ROLL_BACK,
            change="CHG-7",
            note="of the morning's release",
        ).then(
            MitigationAttempted(
                at=at(3),
                by="bea",
                number=2,
                kind=MitigationKind.ROLL_BACK,
                change="CHG-7",
                note="of the morning's release",
                status=None,
            )
        )

    @pytest.mark.parametrize("before", [[], [triaged()]], ids=["detected", "triaged"])
    def test_the_first_begins_the_mitigation(self, before):
        given(detected(), *before).when(
            incident.attempt_mitigation, by="ann", at=at(2), kind=MitigationKind.RESTART
        ).then(attempted())

    @pytest.mark.parametrize("before", [[mitigated()], [resolved()]], ids=["mitigated", "resolved"])
    def test_refused_once_users_are_no_longer_hurt(self, before):
        given(detected(), *before).when(
            incident.attempt_mitigation, by="ann", at=at(9), kind=MitigationKind.RESTART
        ).then_refused(guard="status")

    @pytest.mark.parametrize(("name", "value"), [("kind", "prayer"), ("change", ""), ("note", 3)])
    def test_refuses_what_can_not_be_right(self, name, value):
        given(detected()).when(
            incident.attempt_mitigation, by="ann", at=at(9), **{"kind": "restart", name: value}
        ).then_invalid(name)


class TestConcludeAttempt:
    concluded = AttemptConcluded(at=at(3), by="ann", number=1, result=AttemptResult.NO_EFFECT)

    @pytest.mark.parametrize("result", AttemptResult)
    def test_says_what_the_attempt_did(self, result):
        given(detected(), attempted()).when(
            incident.conclude_attempt, by="bea", at=at(3), number=1, result=result, evidence="graph"
        ).then(AttemptConcluded(at=at(3), by="bea", number=1, result=result, evidence="graph"))

    def test_a_result_can_turn_out_otherwise(self):
        given(detected(), attempted(), self.concluded).when(
            incident.conclude_attempt, by="ann", at=at(4), number=1, result=AttemptResult.WORSE
        ).then(AttemptConcluded(at=at(4), by="ann", number=1, result=AttemptResult.WORSE))

    def test_the_same_again_records_nothing(self):
        given(detected(), attempted(), self.concluded).when(
            incident.conclude_attempt, by="bea", at=at(4), number=1, result="no_effect"
        ).then_nothing()

    @pytest.mark.parametrize("number", [0, 2, -1])
    def test_refused_for_an_attempt_that_was_not_made(self, number):
        given(detected(), attempted()).when(
            incident.conclude_attempt, by="ann", at=at(3), number=number, result="worked"
        ).then_refused(guard="attempt exists")

    def test_allowed_after_the_end(self):
        given(detected(), attempted(), dismissed(3)).when(
            incident.conclude_attempt, by="ann", at=at(4), number=1, result="worked"
        ).then(AttemptConcluded(at=at(4), by="ann", number=1, result=AttemptResult.WORKED))

    def test_refused_for_what_was_merged(self):
        given(detected(), attempted(), merged(3)).when(
            incident.conclude_attempt, by="ann", at=at(4), number=1, result="worked"
        ).then_refused(guard="status")

    @pytest.mark.parametrize(("name", "value"), [("result", "miracle"), ("evidence", b"graph")])
    def test_refuses_what_can_not_be_right(self, name, value):
        given(detected(), attempted()).when(
            incident.conclude_attempt,
            **{"by": "ann", "at": at(3), "number": 1, "result": "worked", name: value},
        ).then_invalid(name)

    @pytest.mark.parametrize("number", [True, 1.0, 1.5])
    def test_the_number_is_a_whole_number(self, number):
        given(detected(), attempted(), attempted(number=2)).when(
            incident.conclude_attempt, by="ann", at=at(3), number=number, result="worked"
        ).then_invalid("number")

    def test_the_conclusion_of_a_voided_attempt_does_not_pass_to_the_next(self):
        given(
            detected(),
            attempted(number=1),
            attempted(number=2),
            AttemptConcluded(at=at(3), by="ann", number=2, result=AttemptResult.WORKED),
            EventVoided(at=at(4), by="ann", version=3, status="mitigating", why="not done"),
        ).when(incident.attempt_mitigation, by="ann", at=at(6), kind=MitigationKind.RESTART).then(
            MitigationAttempted(
                at=at(6), by="ann", number=3, kind=MitigationKind.RESTART, status=None
            )
        )


class TestMitigate:
    @pytest.mark.parametrize(
        "before", [[], [triaged()], [attempted()]], ids=["detected", "triaged", "mitigating"]
    )
    def test_users_are_no_longer_hurt(self, before):
        given(detected(), *before).when(incident.mitigate, by="bea", at=at(3)).then(
            IncidentMitigated(at=at(3), by="bea", status=Status.MITIGATED)
        )

    @pytest.mark.parametrize(
        "before",
        [[mitigated()], [resolved()], [dismissed()]],
        ids=["done", "resolved", "dismissed"],
    )
    def test_refused_when_they_are_not_hurt(self, before):
        given(detected(), *before).when(incident.mitigate, by="bea", at=at(9)).then_refused(
            guard="status"
        )


class TestResolve:
    @pytest.mark.parametrize(
        "before",
        [[triaged()], [attempted()], [mitigated()]],
        ids=["triaged", "mitigating", "mitigated"],
    )
    def test_from_open(self, before):
        given(detected(), *before).when(incident.resolve, by="bea", at=at(4)).then(
            IncidentResolved(at=at(4), by="bea", status=Status.RESOLVED)
        )

    def test_straight_from_detected_what_was_skipped_is_absent(self):
        given(detected()).when(incident.resolve, by="alertmanager", at=at(4)).then(
            IncidentResolved(at=at(4), by="alertmanager", status=Status.RESOLVED)
        )

    def test_refused_when_resolved(self):
        given(detected(), resolved()).when(incident.resolve, by="ann", at=at(5)).then_refused(
            guard="status"
        )

    def test_ends_a_hold(self):
        held = IncidentHeld(at=at(1), by="ann", reason=HoldReason.VENDOR)

        assert incident.fold([detected(), held, resolved()]).on_hold is None


class TestReopen:
    def test_from_resolved_it_is_numbered(self):
        given(detected(), resolved()).when(
            incident.reopen, by="ann", at=at(7), why="errors are back"
        ).then(
            IncidentReopened(
                at=at(7),
                by="ann",
                began=Status.RESOLVED,
                number=1,
                relapse=0,
                why="errors are back",
                status=Status.MITIGATING,
            )
        )

    def test_from_closed_it_is_numbered_on(self):
        given(detected(), triaged(), resolved(), reopened(), resolved(8), closed(9)).when(
            incident.reopen, by="ann", at=at(10), why="errors are back"
        ).then(reopened(10, began=Status.CLOSED, number=2))

    def test_from_mitigated_it_is_a_relapse_counted_apart(self):
        relapsed = reopened(4, began=Status.MITIGATED, number=0, relapse=1)
        given(detected(), mitigated(), relapsed, mitigated(5)).when(
            incident.reopen, by="ann", at=at(7), why="errors are back"
        ).then(reopened(7, began=Status.MITIGATED, number=0, relapse=2))

    @pytest.mark.parametrize(
        ("before", "status"),
        [
            ([], Status.DETECTED),
            ([triaged()], Status.TRIAGED),
            ([triaged(), attempted()], Status.TRIAGED),
            ([attempted()], Status.DETECTED),
        ],
        ids=["detected", "triaged", "triaged and tried", "tried"],
    )
    def test_from_dismissed_triaged_if_it_was_else_detected(self, before, status):
        given(detected(), *before, dismissed()).when(
            incident.reopen, by="ann", at=at(7), why="it is real"
        ).then(
            IncidentReopened(
                at=at(7),
                by="ann",
                began=Status.DISMISSED,
                number=0,
                relapse=0,
                why="it is real",
                status=status,
            )
        )

    def test_earlier_resolutions_stay_in_the_record(self):
        assert incident.fold([detected(), resolved(), reopened()]).resolutions == 1

    def test_refused_while_it_is_going_on(self):
        given(detected(), triaged()).when(
            incident.reopen, by="ann", at=at(2), why="why not"
        ).then_refused(guard="status")

    @pytest.mark.parametrize("why", ["", "\n"])
    def test_needs_a_reason(self, why):
        given(detected(), resolved()).when(
            incident.reopen, by="ann", at=at(7), why=why
        ).then_invalid("why")


class TestHold:
    held = IncidentHeld(at=at(1), by="ann", reason=HoldReason.VENDOR, why="ticket 7")

    def test_waits_for_somebody_else(self):
        given(detected()).when(
            incident.hold, by="ann", at=at(1), reason=HoldReason.VENDOR, why="ticket 7"
        ).then(self.held)

    def test_another_reason_is_another_hold(self):
        given(detected(), self.held).when(
            incident.hold, by="ann", at=at(2), reason=HoldReason.CUSTOMER
        ).then(IncidentHeld(at=at(2), by="ann", reason=HoldReason.CUSTOMER))

    def test_the_same_reason_again_records_nothing(self):
        given(detected(), self.held).when(
            incident.hold, by="bea", at=at(2), reason="vendor"
        ).then_nothing()

    def test_a_flag_only_the_status_stays(self):
        assert incident.fold([detected(), self.held]).status is Status.DETECTED

    def test_refused_when_it_is_over(self):
        given(detected(), resolved()).when(
            incident.hold, by="ann", at=at(5), reason=HoldReason.VENDOR
        ).then_refused(guard="status")

    def test_the_reason_is_of_a_closed_list(self):
        given(detected()).when(incident.hold, by="ann", at=at(1), reason="tea").then_invalid(
            "reason"
        )


class TestRelease:
    def test_ends_the_wait(self):
        given(detected(), TestHold.held).when(incident.release, by="bea", at=at(2)).then(
            IncidentReleased(at=at(2), by="bea")
        )

    def test_without_a_hold_nothing_changes(self):
        given(detected()).when(incident.release, by="bea", at=at(2)).then_nothing()

    def test_once_only(self):
        given(detected(), TestHold.held, IncidentReleased(at=at(2), by="bea")).when(
            incident.release, by="bea", at=at(3)
        ).then_nothing()

    def test_refused_when_it_is_over(self):
        given(detected(), dismissed()).when(incident.release, by="ann", at=at(5)).then_refused(
            guard="status"
        )


class TestChangeSeverity:
    @pytest.mark.parametrize("severity", [Severity.P1, Severity.P4], ids=["up", "down"])
    def test_up_or_down_with_a_reason(self, severity):
        given(detected(), triaged(severity=Severity.P3)).when(
            incident.change_severity, by="ann", at=at(2), severity=severity, why="all users"
        ).then(SeverityChanged(at=at(2), by="ann", severity=severity, why="all users"))

    def test_the_same_severity_records_nothing(self):
        given(detected(), triaged(severity=Severity.P3)).when(
            incident.change_severity, by="ann", at=at(2), severity="P3", why="still"
        ).then_nothing()

    def test_refused_before_triage(self):
        given(detected()).when(
            incident.change_severity, by="ann", at=at(2), severity="P1", why="all users"
        ).then_refused(guard="triaged before")

    def test_refused_when_it_is_over(self):
        given(detected(), triaged(), resolved()).when(
            incident.change_severity, by="ann", at=at(5), severity="P1", why="all users"
        ).then_refused(guard="status")

    @pytest.mark.parametrize(("name", "value"), [("severity", "sev1"), ("why", " ")])
    def test_refuses_what_can_not_be_right(self, name, value):
        given(detected(), triaged()).when(
            incident.change_severity,
            **{"by": "ann", "at": at(2), "severity": "P1", "why": "all users", name: value},
        ).then_invalid(name)

    def test_the_highest_is_the_worst_it_ever_held(self):
        state = incident.fold(
            [
                detected(),
                triaged(severity=Severity.P3),
                SeverityChanged(at=at(2), by="ann", severity=Severity.P1),
                SeverityChanged(at=at(3), by="ann", severity=Severity.P4),
            ]
        )

        assert (state.severity, state.highest) == (Severity.P4, Severity.P1)


class TestAssignRole:
    taken = RoleAssigned(at=at(1), by="ann", role=Role.SCRIBE, person="bea")

    def test_a_person_takes_a_role(self):
        given(detected()).when(
            incident.assign_role, by="ann", at=at(1), role=Role.SCRIBE, person="bea"
        ).then(self.taken)

    def test_two_people_may_hold_it(self):
        given(detected(), self.taken).when(
            incident.assign_role, by="ann", at=at(2), role=Role.SCRIBE, person="cem"
        ).then(RoleAssigned(at=at(2), by="ann", role=Role.SCRIBE, person="cem"))

    def test_who_holds_it_already_changes_nothing(self):
        given(detected(), self.taken).when(
            incident.assign_role, by="ann", at=at(2), role="scribe", person="bea"
        ).then_nothing()

    def test_allowed_after_the_end(self):
        given(detected(), dismissed()).when(
            incident.assign_role, by="ann", at=at(3), role=Role.SCRIBE, person="bea"
        ).then(RoleAssigned(at=at(3), by="ann", role=Role.SCRIBE, person="bea"))

    def test_refused_for_what_was_merged(self):
        given(detected(), merged()).when(
            incident.assign_role, by="ann", at=at(3), role=Role.SCRIBE, person="bea"
        ).then_refused(guard="status")

    @pytest.mark.parametrize(("name", "value"), [("role", "hero"), ("person", "")])
    def test_refuses_what_can_not_be_right(self, name, value):
        given(detected()).when(
            incident.assign_role,
            **{"by": "ann", "at": at(1), "role": "scribe", "person": "bea", name: value},
        ).then_invalid(name)

    def test_another_spelling_is_the_same_person(self):
        given(detected(), self.taken).when(
            incident.assign_role, by="ann", at=at(2), role=Role.SCRIBE, person="BEA"
        ).then_nothing()


class TestReleaseRole:
    def test_a_person_gives_it_up(self):
        given(detected(), TestAssignRole.taken).when(
            incident.release_role, by="bea", at=at(2), role=Role.SCRIBE, person="bea"
        ).then(RoleReleased(at=at(2), by="bea", role=Role.SCRIBE, person="bea"))

    @pytest.mark.parametrize(
        ("role", "person"), [("scribe", "cem"), ("operations", "bea")], ids=["person", "role"]
    )
    def test_who_does_not_hold_it_changes_nothing(self, role, person):
        given(detected(), TestAssignRole.taken).when(
            incident.release_role, by="ann", at=at(2), role=role, person=person
        ).then_nothing()

    def test_it_can_be_taken_again(self):
        released = RoleReleased(at=at(2), by="bea", role=Role.SCRIBE, person="bea")
        given(detected(), TestAssignRole.taken, released).when(
            incident.assign_role, by="ann", at=at(3), role=Role.SCRIBE, person="bea"
        ).then(RoleAssigned(at=at(3), by="ann", role=Role.SCRIBE, person="bea"))

    def test_refused_for_what_was_merged(self):
        given(detected(), TestAssignRole.taken, merged()).when(
            incident.release_role, by="ann", at=at(3), role=Role.SCRIBE, person="bea"
        ).then_refused(guard="status")


class TestUpdateImpact:
    def test_says_who_is_hit_as_known_now(self):
        given(detected()).when(incident.update_impact, by="ann", at=at(1), impact=IMPACT).then(
            ImpactUpdated(at=at(1), by="ann", impact=IMPACT)
        )

    def test_says_since_when_where_that_was_not_known(self):
        given(detected()).when(
            incident.update_impact, by="ann", at=at(1), impact_started_at=at(-2)
        ).then(ImpactUpdated(at=at(1), by="ann", impact_started_at=at(-2)))

    def test_the_same_impact_records_nothing(self):
        given(detected(), triaged(impact=IMPACT)).when(
            incident.update_impact, by="ann", at=at(2), impact=IMPACT
        ).then_nothing()

    @pytest.mark.parametrize(
        "before",
        [
            [detected(impact_started_at=at(-1))],
            [detected(), ImpactUpdated(at=at(1), by="ann", impact_started_at=at(-1))],
        ],
        ids=["by detect", "by an update"],
    )
    def test_a_start_that_is_known_is_corrected_not_updated(self, before):
        error = (
            given(*before)
            .when(incident.update_impact, by="ann", at=at(2), impact_started_at=at(-2))
            .then_invalid("impact_started_at")
        )

        assert "correct" in error.allowed

    def test_needs_one_of_the_two(self):
        given(detected()).when(incident.update_impact, by="ann", at=at(1)).then_invalid("impact")

    def test_refuses_what_is_no_impact(self):
        given(detected()).when(
            incident.update_impact, by="ann", at=at(1), impact={"customers": 3}
        ).then_invalid("impact")

    def test_refused_for_what_was_merged(self):
        given(detected(), merged()).when(
            incident.update_impact, by="ann", at=at(3), impact=IMPACT
        ).then_refused(guard="status")


class TestPostUpdate:
    @pytest.mark.parametrize("audience", Audience)
    def test_updates_are_internal_or_public(self, audience):
        given(detected()).when(
            incident.post_update, by="ann", at=at(1), text="we are on it", audience=audience
        ).then(UpdatePosted(at=at(1), by="ann", audience=audience, text="we are on it"))

    def test_internal_unless_told_otherwise(self):
        given(detected()).when(incident.post_update, by="ann", at=at(1), text="on it").then(
            UpdatePosted(at=at(1), by="ann", audience=Audience.INTERNAL, text="on it")
        )

    def test_refused_for_what_was_merged(self):
        given(detected(), merged()).when(
            incident.post_update, by="ann", at=at(3), text="on it"
        ).then_refused(guard="status")

    @pytest.mark.parametrize(("name", "value"), [("text", ""), ("audience", "press")])
    def test_refuses_what_can_not_be_right(self, name, value):
        given(detected()).when(
            incident.post_update, **{"by": "ann", "at": at(1), "text": "on it", name: value}
        ).then_invalid(name)


class TestLinkProblem:
    linked = ProblemLinked(at=at(1), by="ann", problem="PRB-1")

    def test_refers_to_the_record_elsewhere(self):
        given(detected()).when(incident.link_problem, by="ann", at=at(1), problem="PRB-1").then(
            self.linked
        )

    def test_linking_it_again_changes_nothing(self):
        given(detected(), self.linked).when(
            incident.link_problem, by="ann", at=at(2), problem="PRB-1"
        ).then_nothing()

    def test_refused_for_what_was_merged(self):
        given(detected(), merged()).when(
            incident.link_problem, by="ann", at=at(3), problem="PRB-1"
        ).then_refused(guard="status")

    def test_the_problem_has_an_id(self):
        given(detected()).when(incident.link_problem, by="ann", at=at(1), problem=7).then_invalid(
            "problem"
        )


class TestLinkChange:
    suspected = VerdictGiven(at=at(1), by="ann", change="CHG-1", verdict=Verdict.SUSPECTED)

    @pytest.mark.parametrize("verdict", [Verdict.CAUSED, Verdict.FIXED, Verdict.SUSPECTED])
    def test_states_what_a_change_has_to_do_with_it(self, verdict):
        given(detected()).when(
            incident.link_change, by="ann", at=at(1), change="CHG-1", verdict=verdict, why="diff"
        ).then(VerdictGiven(at=at(1), by="ann", change="CHG-1", verdict=verdict, why="diff"))

    def test_later_verdicts_replace_earlier_ones(self):
        given(detected(), self.suspected).when(
            incident.link_change, by="bea", at=at(2), change="CHG-1", verdict="caused"
        ).then(VerdictGiven(at=at(2), by="bea", change="CHG-1", verdict=Verdict.CAUSED))

    def test_the_history_of_verdicts_is_kept(self):
        caused = VerdictGiven(at=at(2), by="bea", change="CHG-1", verdict=Verdict.CAUSED)
        state = incident.fold([detected(), self.suspected, caused])

        assert state.verdicts == {"CHG-1": Verdict.CAUSED}
        assert (detected(), self.suspected, caused) == state.past

    def test_the_verdict_that_stands_again_records_nothing(self):
        given(detected(), self.suspected).when(
            incident.link_change, by="bea", at=at(2), change="CHG-1", verdict="suspected"
        ).then_nothing()

    def test_dismissing_has_a_step_of_its_own(self):
        error = (
            given(detected())
            .when(incident.link_change, by="ann", at=at(1), change="C", verdict=Verdict.DISMISSED)
            .then_invalid("verdict")
        )

        assert "dismiss_link" in error.allowed

    def test_refused_for_what_was_merged(self):
        given(detected(), merged()).when(
            incident.link_change, by="ann", at=at(3), change="CHG-1", verdict="caused"
        ).then_refused(guard="status")

    @pytest.mark.parametrize(("name", "value"), [("change", ""), ("verdict", "guilty"), ("why", 1)])
    def test_refuses_what_can_not_be_right(self, name, value):
        given(detected()).when(
            incident.link_change,
            **{"by": "ann", "at": at(1), "change": "CHG-1", "verdict": "caused", name: value},
        ).then_invalid(name)


class TestDismissLink:
    said = VerdictGiven(
        at=at(2), by="ann", change="CHG-1", verdict=Verdict.DISMISSED, why="other host"
    )

    @pytest.mark.parametrize("before", [[], [TestLinkChange.suspected]], ids=["first", "later"])
    def test_states_that_a_change_has_nothing_to_do_with_it(self, before):
        given(detected(), *before).when(
            incident.dismiss_link, by="ann", at=at(2), change="CHG-1", why="other host"
        ).then(self.said)

    def test_again_records_nothing(self):
        given(detected(), self.said).when(
            incident.dismiss_link, by="bea", at=at(3), change="CHG-1", why="still"
        ).then_nothing()

    def test_needs_a_reason(self):
        given(detected()).when(
            incident.dismiss_link, by="ann", at=at(2), change="CHG-1", why=""
        ).then_invalid("why")

    def test_refused_for_what_was_merged(self):
        given(detected(), merged()).when(
            incident.dismiss_link, by="ann", at=at(3), change="CHG-1", why="other host"
        ).then_refused(guard="status")


class TestRecordReview:
    def test_is_numbered_and_covers_the_resolutions_before_it(self):
        given(detected(), resolved(), reviewed(), reopened(), resolved(8)).when(
            incident.record_review,
            by="bea",
            at=at(9),
            what_happened="again",
            causes=["no canary", "no alert"],
        ).then(
            ReviewRecorded(
                at=at(9),
                by="bea",
                number=2,
                covers=2,
                what_happened="again",
                causes=("no canary", "no alert"),
            )
        )

    def test_allowed_after_the_close(self):
        given(detected(), triaged(), resolved(), closed()).when(
            incident.record_review, by="ann", at=at(9), what_happened="a table was locked"
        ).then(reviewed(9))

    def test_refused_before_it_is_resolved(self):
        given(detected(), mitigated()).when(
            incident.record_review, by="ann", at=at(5), what_happened="locked"
        ).then_refused(guard="status")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("what_happened", ""), ("causes", "no canary"), ("causes", [""]), ("causes", [3])],
    )
    def test_refuses_what_can_not_be_right(self, name, value):
        given(detected(), resolved()).when(
            incident.record_review,
            **{"by": "ann", "at": at(5), "what_happened": "locked", name: value},
        ).then_invalid(name)


class TestAddAction:
    def test_has_owner_and_due_day(self):
        given(detected()).when(
            incident.add_action,
            by="ann",
            at=at(5),
            text="add a canary",
            owner="bea",
            due=date(2026, 3, 31),
        ).then(
            ActionAdded(
                at=at(5),
                by="ann",
                number=1,
                owner="bea",
                due=date(2026, 3, 31),
                text="add a canary",
            )
        )

    def test_is_numbered_on(self):
        given(detected(), action(1), action(2)).when(
            incident.add_action, by="ann", at=at(5), text="add a canary"
        ).then(action(3))

    def test_refused_for_what_was_merged(self):
        given(detected(), merged()).when(
            incident.add_action, by="ann", at=at(5), text="add a canary"
        ).then_refused(guard="status")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("text", ""), ("owner", " bea"), ("due", at(3)), ("due", "2026-03-31")],
    )
    def test_refuses_what_can_not_be_right(self, name, value):
        given(detected()).when(
            incident.add_action, **{"by": "ann", "at": at(1), "text": "add", name: value}
        ).then_invalid(name)


class TestCompleteAction:
    def test_may_name_the_change_that_did_it(self):
        given(detected(), action()).when(
            incident.complete_action, by="bea", at=at(9), number=1, change="CHG-9"
        ).then(ActionCompleted(at=at(9), by="bea", number=1, change="CHG-9"))

    def test_any_status_once_it_exists(self):
        given(detected(), action(), merged(6)).when(
            incident.complete_action, by="bea", at=at(9), number=1
        ).then(ActionCompleted(at=at(9), by="bea", number=1))

    @pytest.mark.parametrize(
        "ended",
        [ActionCompleted(at=at(6), by="b", number=1), ActionDropped(at=at(6), by="b", number=1)],
        ids=["done", "dropped"],
    )
    def test_an_ended_action_changes_nothing(self, ended):
        given(detected(), action(), ended).when(
            incident.complete_action, by="bea", at=at(9), number=1
        ).then_nothing()

    @pytest.mark.parametrize("before", [[], [action(1)]], ids=["none", "another"])
    def test_refused_for_an_action_that_does_not_exist(self, before):
        error = (
            given(detected(), *before)
            .when(incident.complete_action, by="bea", at=at(9), number=2)
            .then_refused(guard="action exists")
        )

        assert ("1" if before else "none") in error.why

    def test_the_change_is_an_id(self):
        given(detected(), action()).when(
            incident.complete_action, by="bea", at=at(9), number=1, change=""
        ).then_invalid("change")

    @pytest.mark.parametrize("number", [True, 1.0])
    def test_the_number_is_a_whole_number(self, number):
        given(detected(), action()).when(
            incident.complete_action, by="bea", at=at(9), number=number
        ).then_invalid("number")


class TestDropAction:
    def test_will_not_be_done_and_why(self):
        given(detected(), action()).when(
            incident.drop_action, by="bea", at=at(9), number=1, why="replaced", change="CHG-9"
        ).then(ActionDropped(at=at(9), by="bea", number=1, change="CHG-9", why="replaced"))

    def test_an_ended_action_changes_nothing(self):
        given(detected(), action(), ActionCompleted(at=at(6), by="b", number=1)).when(
            incident.drop_action, by="bea", at=at(9), number=1, why="replaced"
        ).then_nothing()

    def test_refused_for_an_action_that_does_not_exist(self):
        given(detected()).when(
            incident.drop_action, by="bea", at=at(9), number=1, why="replaced"
        ).then_refused(guard="action exists")

    def test_needs_a_reason(self):
        given(detected(), action()).when(
            incident.drop_action, by="bea", at=at(9), number=1, why=""
        ).then_invalid("why")


class TestClose:
    def test_from_resolved(self):
        given(detected(), triaged(), resolved()).when(incident.close, by="ann", at=at(6)).then(
            IncidentClosed(at=at(6), by="ann", status=Status.CLOSED)
        )

    def test_refused_while_never_triaged(self):
        given(detected(), resolved()).when(incident.close, by="ann", at=at(6)).then_refused(
            guard="triaged before"
        )

    def test_allowed_once_triaged_after_the_resolution(self):
        given(detected(), resolved(), triaged(5, status=Status.RESOLVED)).when(
            incident.close, by="ann", at=at(6)
        ).then(closed())

    @pytest.mark.parametrize("severity", [Severity.P1, Severity.P2])
    def test_refused_while_the_review_is_missing(self, severity):
        error = (
            given(detected(), triaged(severity=severity), resolved())
            .when(incident.close, by="ann", at=at(6))
            .then_refused(guard="reviewed")
        )

        assert severity in error.why

    def test_the_highest_severity_held_counts_not_the_last(self):
        given(
            detected(),
            triaged(severity=Severity.P1),
            SeverityChanged(at=at(2), by="ann", severity=Severity.P4),
            resolved(),
        ).when(incident.close, by="ann", at=at(6)).then_refused(guard="reviewed")

    def test_a_severity_that_was_recorded_wrongly_does_not_count(self):
        corrected = SeverityCorrected(
            at=at(5), by="ann", version=2, field="severity", was=Severity.P1, now=Severity.P3
        )
        given(detected(), triaged(severity=Severity.P1), resolved(), corrected).when(
            incident.close, by="ann", at=at(6)
        ).then(closed())

    def test_allowed_with_the_review(self):
        given(detected(), triaged(severity=Severity.P1), resolved(), reviewed()).when(
            incident.close, by="ann", at=at(6)
        ).then(closed())

    def test_after_a_reopening_a_review_of_its_own(self):
        before = (
            detected(),
            triaged(severity=Severity.P1),
            resolved(),
            reviewed(),
            reopened(),
            resolved(8),
        )
        error = (
            given(*before).when(incident.close, by="ann", at=at(9)).then_refused(guard="reviewed")
        )

        assert "reopened after its review" in error.why
        given(*before, reviewed(9, number=2, covers=2, what_happened="the same")).when(
            incident.close, by="ann", at=at(10)
        ).then(closed(10))

    def test_the_policy_says_which_severities_need_one(self):
        policy = Policy(name="strict", version="2", review_for=frozenset(Severity))
        given(detected(), triaged(severity=Severity.P4), resolved()).when(
            incident.close, by="ann", at=at(6), policy=policy
        ).then_refused(guard="reviewed")

    def test_only_once(self):
        given(detected(), triaged(), resolved(), closed()).when(
            incident.close, by="ann", at=at(7)
        ).then_refused(guard="status")


class TestMerge:
    target = incident.fold([detected()])

    def ask(self, *events, **arguments):
        return given(*events).when(
            incident.merge,
            **{
                "by": "ann",
                "at": at(2),
                "id": "INC-1",
                "into": "INC-2",
                "into_state": self.target,
                **arguments,
            },
        )

    @pytest.mark.parametrize(
        "before",
        [[], [triaged()], [resolved()], [triaged(), resolved(), closed()], [dismissed()]],
        ids=["detected", "triaged", "resolved", "closed", "dismissed"],
    )
    def test_any_not_merged(self, before):
        self.ask(detected(), *before, why="one cause").then(
            IncidentMerged(at=at(2), by="ann", into="INC-2", why="one cause", status=Status.MERGED)
        )

    def test_only_once(self):
        self.ask(detected(), merged()).then_refused(guard="status")

    def test_refused_into_itself(self):
        self.ask(detected(), into="INC-1").then_refused(guard="target is another")

    def test_refused_into_what_does_not_exist(self):
        error = self.ask(detected(), into_state=INITIAL).then_refused(guard="target stands")

        assert "INC-2 does not exist" in error.why

    @pytest.mark.parametrize(
        "end", [merged(into="INC-3"), dismissed()], ids=["merged", "dismissed"]
    )
    def test_refused_into_what_is_merged_or_dismissed(self, end):
        state = incident.fold([detected(), end])

        error = self.ask(detected(), into_state=state).then_refused(guard="target stands")

        assert state.status in error.why

    @pytest.mark.parametrize("name", ["id", "into"])
    def test_both_are_ids(self, name):
        self.ask(detected(), **{name: ""}).then_invalid(name)


def inherited(severity, hours=2, merged="INC-1"):
    return SeverityInherited(at=at(hours), by="ann", severity=severity, merged=merged)


class TestAbsorb:
    separated = IncidentSeparated(at=at(3), by="ann", merged="INC-1")
    absorbed = IncidentAbsorbed(at=at(2), by="ann", merged="INC-1")

    def test_is_the_targets_side_of_a_merge(self):
        given(detected()).when(incident.absorb, by="ann", at=at(2), merged="INC-1").then(
            self.absorbed
        )

    def test_once_only(self):
        given(detected(), self.absorbed).when(
            incident.absorb, by="ann", at=at(3), merged="INC-1"
        ).then_nothing()

    def test_the_merged_is_an_id(self):
        given(detected()).when(incident.absorb, by="ann", at=at(2), merged=None).then_invalid(
            "merged"
        )

    @pytest.mark.parametrize(
        ("before", "brought", "follows"),
        [
            ((), (triaged(severity="P3"),), "P3"),
            ((triaged(severity="P4"),), (triaged(severity="P1"),), "P1"),
            ((triaged(severity="P1"),), (triaged(severity="P1"),), None),
            ((triaged(severity="P1"),), (triaged(severity="P2"),), None),
            ((triaged(severity="P4"),), (triaged(severity="P1"), dismissed()), None),
            (
                (triaged(severity="P4"), inherited("P2", merged="INC-9")),
                (triaged(severity="P3"),),
                None,
            ),
        ],
        ids=["none held", "higher", "the same", "lower", "of a dismissed one", "inherited before"],
    )
    def test_a_higher_severity_is_inherited(self, before, brought, follows):
        """So the review it asks for is asked of the target; in the same record."""
        of_it = incident.fold([detected(), *brought])
        for state in (of_it, incident.evolve(of_it, merged(2))):
            more = [] if follows is None else [inherited(follows)]
            given(detected(), *before).when(
                incident.absorb, by="ann", at=at(2), merged="INC-1", merged_state=state
            ).then(self.absorbed, *more)

    def test_the_highest_follows_and_the_own_severity_stays(self):
        found = incident.fold([detected(), triaged(severity="P4"), self.absorbed, inherited("P1")])

        assert ("P4", "P4", "P1") == (found.severity, found.held, found.highest)

    def test_the_review_that_it_asks_for_is_asked(self):
        story = [detected(), triaged(severity="P4"), self.absorbed, inherited("P1"), resolved()]
        ask = {"by": "ann", "at": at(9)}
        given(*story).when(incident.close, **ask).then_refused(guard="reviewed")
        given(*story, self.separated, inherited("P4", 3)).when(incident.close, **ask).then(
            closed(9)
        )

    def test_a_severity_of_its_own_that_is_corrected_up_is_not_hidden_by_it(self):
        corrected = SeverityCorrected(
            at=at(5), by="ann", version=2, field="severity", was="P4", now="P1", why="x"
        )
        found = incident.fold([detected(), triaged(severity="P4"), inherited("P3"), corrected])

        assert "P1" == found.highest


class TestUnmerge:
    def test_is_again_what_it_was(self):
        given(detected(), triaged(), merged()).when(
            incident.unmerge, by="ann", at=at(3), why="another cause"
        ).then(UNMERGED)

    def test_out_of_the_incident_it_is_in(self):
        given(detected(), triaged(), merged()).when(
            incident.unmerge, by="ann", at=at(3), why="another cause", out_of="INC-2"
        ).then(UNMERGED)

    def test_refused_out_of_an_incident_it_is_not_in(self):
        error = (
            given(detected(), triaged(), merged())
            .when(incident.unmerge, by="ann", at=at(3), why="another cause", out_of="INC-3")
            .then_refused(guard="out of what it is in")
        )

        assert "merged into INC-2, not INC-3" in error.why

    def test_goes_on_as_if_never_merged(self):
        before, after = (
            incident.fold([detected(), triaged()]),
            incident.fold([detected(), triaged(), merged(), UNMERGED]),
        )

        assert (before.status, before.merged_into) == (after.status, after.merged_into)
        given(*after.past).when(incident.mitigate, by="ann", at=at(4)).then(mitigated(4))

    def test_can_be_merged_again(self):
        given(detected(), triaged(), merged(), UNMERGED).when(
            incident.merge,
            by="ann",
            at=at(4),
            id="INC-1",
            into="INC-3",
            into_state=TestMerge.target,
        ).then(merged(4, into="INC-3"))

    def test_refused_when_it_is_not_merged(self):
        given(detected()).when(incident.unmerge, by="ann", at=at(3), why="x").then_refused(
            guard="status"
        )

    def test_needs_a_reason(self):
        given(detected(), merged()).when(incident.unmerge, by="ann", at=at(3), why="").then_invalid(
            "why"
        )


class TestSeparate:
    separated = IncidentSeparated(at=at(3), by="ann", merged="INC-1")

    def test_is_the_targets_side_of_an_unmerge(self):
        given(detected(), TestAbsorb.absorbed).when(
            incident.separate, by="ann", at=at(3), merged="INC-1"
        ).then(self.separated)

    @pytest.mark.parametrize(
        "before", [[], [TestAbsorb.absorbed, separated]], ids=["never", "no longer"]
    )
    def test_what_it_does_not_hold_changes_nothing(self, before):
        given(detected(), *before).when(
            incident.separate, by="ann", at=at(4), merged="INC-1"
        ).then_nothing()

    @pytest.mark.parametrize(
        ("own", "members", "stands"),
        [
            ((triaged(severity="P4"),), {}, "P4"),
            ((), {}, None),
            ((triaged(severity="P4"),), {"INC-9": "P2"}, "P2"),
            ((triaged(severity="P4"),), {"INC-9": "P1"}, "P1"),
        ],
        ids=["its own", "none", "another's", "another has the same"],
    )
    def test_the_highest_that_stands_without_it_follows(self, own, members, stands):
        states = {
            id_: incident.fold([detected(), triaged(severity=severity), merged(2)])
            for id_, severity in members.items()
        }
        more = [] if stands == "P1" else [inherited(stands, 3)]
        given(detected(), *own, TestAbsorb.absorbed, inherited("P1")).when(
            incident.separate, by="ann", at=at(3), merged="INC-1", members=states
        ).then(self.separated, *more)


class TestCorrect:
    def ask(self, *events, **arguments):
        return given(*events).when(
            incident.correct,
            **{
                "by": "bea",
                "at": at(9),
                "version": 1,
                "field": "at",
                "was": at(0),
                "now": at(-1),
                "why": "the clock was wrong",
                **arguments,
            },
        )

    def test_a_fact_was_recorded_wrongly(self):
        self.ask(detected(), dismissed()).then(
            MomentCorrected(
                at=at(9),
                by="bea",
                version=1,
                field="at",
                was=at(0),
                now=at(-1),
                why="the clock was wrong",
            )
        )

    def test_refused_when_was_is_not_what_stands(self):
        error = self.ask(detected(), was=at(5)).then_refused(guard="was is what stands")

        assert str(at(0)) in error.why

    def test_refused_before_there_is_anything(self):
        self.ask().then_refused(guard="status")

    def test_what_stands_already_records_nothing(self):
        self.ask(detected(), now=at(0)).then_nothing()

    def test_needs_a_reason(self):
        self.ask(detected(), why="").then_invalid("why")

    def test_a_later_step_is_judged_by_the_corrected_moment(self):
        early = MomentCorrected(
            at=at(9), by="bea", version=1, field="at", was=at(0), now=at(-3), why="clock"
        )
        given(detected()).when(incident.acknowledge, by="ann", at=at(-2)).then_refused(
            guard="not before the first moment"
        )
        given(detected(), early).when(incident.acknowledge, by="ann", at=at(-2)).then(
            IncidentAcknowledged(at=at(-2), by="ann")
        )


class TestVoid:
    def ask(self, *events, version):
        return given(*events).when(
            incident.void, by="bea", at=at(9), version=version, why="wrong incident"
        )

    def voided(self, version, status):
        return EventVoided(at=at(9), by="bea", version=version, status=status, why="wrong incident")

    def test_an_event_never_happened(self):
        self.ask(detected(), resolved(), version=2).then(self.voided(2, "detected"))

    def test_what_did_not_change_the_status_can_be_voided_at_any_time(self):
        self.ask(detected(), IncidentAcknowledged(at=at(1), by="ann"), resolved(), version=2).then(
            self.voided(2, "resolved")
        )

    def test_of_those_that_changed_the_status_only_the_last(self):
        error = self.ask(detected(), triaged(), resolved(), version=2).then_refused(
            guard="last change of status"
        )

        assert "version 3" in error.why

    def test_again_and_again(self):
        self.ask(detected(), triaged(), resolved(), self.voided(3, "triaged"), version=2).then(
            self.voided(2, "detected")
        )

    def test_even_the_first_event(self):
        self.ask(detected(), version=1).then(self.voided(1, "nothing"))

    def test_what_is_void_already_records_nothing(self):
        self.ask(detected(), resolved(), self.voided(2, "detected"), version=2).then_nothing()

    @pytest.mark.parametrize(
        "event",
        [merged(), TestAbsorb.absorbed, UNMERGED, TestSeparate.separated, inherited("P1")],
        ids=["merged", "absorbed", "unmerged", "separated", "inherited"],
    )
    def test_refused_for_what_stands_in_two_streams(self, event):
        self.ask(detected(), event, version=2).then_refused(guard="is one stream's")

    @pytest.mark.parametrize("version", ["2", True, 1.0])
    def test_the_version_is_a_whole_number(self, version):
        self.ask(detected(), triaged(), version=version).then_invalid("version")

    @pytest.mark.parametrize("version", [0, 3, -1])
    def test_refused_for_an_event_that_does_not_exist(self, version):
        self.ask(detected(), triaged(), version=version).then_refused(guard="event exists")

    def test_refused_for_a_correction(self):
        corrected = MomentCorrected(at=at(2), by="a", version=1, field="at", was=at(0), now=at(1))
        self.ask(detected(), corrected, version=2).then_refused(guard="is a fact")

    def test_refused_before_there_is_anything(self):
        self.ask(version=1).then_refused(guard="status")

    def test_needs_a_reason(self):
        given(detected()).when(incident.void, by="bea", at=at(9), version=1, why="").then_invalid(
            "why"
        )

    def test_without_its_mitigation_it_is_not_mitigated(self):
        state = incident.fold(
            [
                detected(),
                mitigated(3),
                triaged(4, status=None),
                self.voided(2, "triaged"),
            ]
        )

        assert state.status is Status.TRIAGED

    def test_without_its_triage_it_can_be_triaged(self):
        given(
            detected(),
            mitigated(),
            triaged(4, status=None),
            dismissed(5),
            reopened(6, began=Status.DISMISSED, number=0, status=Status.TRIAGED),
            self.voided(3, "triaged"),
        ).when(incident.triage, by="ann", at=at(10), severity=Severity.P1).then(
            triaged(10, severity=Severity.P1, status=None)
        )


class TestBackdating:
    """A live step may be backdated freely, but not before the stream's first moment."""

    def test_the_first_moment_itself_is_allowed(self):
        given(detected()).when(incident.acknowledge, by="ann", at=at(0)).then(
            IncidentAcknowledged(at=at(0), by="ann")
        )

    def test_refused_before_the_first_moment(self):
        error = (
            given(detected())
            .when(incident.resolve, by="ann", at=at(-1))
            .then_refused(guard="not before the first moment")
        )

        assert "correct it first" in error.why

    def test_the_start_of_the_impact_is_a_moment(self):
        given(detected(impact_started_at=at(-2))).when(
            incident.acknowledge, by="ann", at=at(-1)
        ).then(IncidentAcknowledged(at=at(-1), by="ann"))

    def test_the_declaration_is_a_moment(self):
        given(detected(declared_at=at(-2))).when(incident.acknowledge, by="ann", at=at(-1)).then(
            IncidentAcknowledged(at=at(-1), by="ann")
        )

    def test_what_breaks_order_with_earlier_steps_is_no_refusal(self):
        given(detected(), triaged(1), mitigated(3)).when(
            incident.resolve, by="ann", at=at(0.5)
        ).then(resolved(0.5))

    def test_an_uncertain_moment_is_before_it_only_when_all_of_it_is(self):
        around = Between(earliest=at(-1), latest=at(1))
        before = Between(earliest=at(-2), latest=at(-1))
        given(detected()).when(incident.acknowledge, by="ann", at=around).then(
            IncidentAcknowledged(at=around, by="ann")
        )
        given(detected()).when(incident.acknowledge, by="ann", at=before).then_refused(
            guard="not before the first moment"
        )

    def test_history_without_moments_has_no_first_one(self):
        given(detected(at=None, imported=True)).when(
            incident.acknowledge, by="ann", at=at(-99)
        ).then(IncidentAcknowledged(at=at(-99), by="ann"))


class TestWhoAndWhen:
    """Every step checks who does it and when, the same way."""

    @pytest.mark.parametrize("by", ["", " ann", "ann\x00", 7, None, "a" * 201, "e\u0301"])
    def test_by_is_an_id(self, by):
        given(detected()).when(incident.resolve, by=by, at=at(4)).then_invalid("by")

    @pytest.mark.parametrize("moment", [None, "2026-03-02", 5, date(2026, 3, 2)])
    def test_at_is_a_moment(self, moment):
        given(detected()).when(incident.resolve, by="ann", at=moment).then_invalid("at")

    def test_a_naive_moment_is_refused_with_what_to_do(self):
        naive = at(4).replace(tzinfo=None)
        error = given(detected()).when(incident.resolve, by="ann", at=naive).then_invalid("at")

        assert isinstance(error, NaiveTimeError)


class TestEvolve:
    def test_a_triage_from_a_source_without_severity_keeps_the_worst(self):
        state = incident.fold([detected(), triaged(severity=None, imported=True)])

        assert (state.severity, state.highest, state.triaged) == (None, None, True)

    def test_a_value_error_is_what_invalid_values_are(self):
        with pytest.raises(ValueError, match="severity"):
            incident.triage(incident.fold([detected()]), by="ann", at=at(1), severity="P0")

        assert issubclass(InvalidValue, ValueError)


class TestClocksDiffer:
    """Many tools stamp whole seconds: up to a minute before the first event is taken as given."""

    def detected(self, moment):
        [event] = incident.detect(incident.INITIAL, by="a", at=moment, title="x")
        return incident.evolve(incident.INITIAL, event)

    @pytest.mark.parametrize("earlier", [0.7, 1, 59.999999, 60])
    def test_so_much_is_no_reason_to_refuse(self, earlier):
        begun = datetime(2026, 3, 2, 12, 0, 0, 700_000, tzinfo=UTC)
        moment = begun - timedelta(seconds=earlier)
        [event] = incident.acknowledge(self.detected(begun), by="a", at=moment)
        assert moment == event.at

    def test_more_is(self):
        begun = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
        moment = begun - timedelta(seconds=60, microseconds=1)
        with pytest.raises(StepRefused, match="not before the first moment"):
            incident.acknowledge(self.detected(begun), by="a", at=moment)

    def test_an_uncertain_moment_is_refused_only_where_all_of_it_lies_before(self):
        begun = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
        minutes = timedelta(minutes=1)
        partly = Between(earliest=begun - 9 * minutes, latest=begun - minutes / 2)
        assert incident.acknowledge(self.detected(begun), by="a", at=partly)
        wholly = Between(earliest=begun - 9 * minutes, latest=begun - 2 * minutes)
        with pytest.raises(StepRefused, match="not before the first moment"):
            incident.acknowledge(self.detected(begun), by="a", at=wholly)


def describe(*events, **more):
    return given(*events).when(incident.describe, by="ann", at=at(2), **more)


def described(hours=2, **fields):
    return IncidentDescribed(at=at(hours), by="ann", **fields)


class TestDescribe:
    """What is learned after detection; what is not given stays."""

    FIRST = detected(title="down?", services=("pay",), labels={"team": "web", "tier": "1"})

    @pytest.mark.parametrize(
        ("given_", "said"),
        [
            ({"title": "cards fail"}, {"title": "cards fail"}),
            ({"services": ["pay", "web"]}, {"services": ("pay", "web")}),
            ({"symptom": "latency"}, {"symptom": Symptom.LATENCY}),
            ({"labels": {"team": "pay"}}, {"labels": {"team": "pay"}}),
            ({"labels": {"tier": None}}, {"labels": {"tier": None}}),
            # What stands already is not said again.
            ({"title": "cards fail", "services": ["pay"]}, {"title": "cards fail"}),
            ({"labels": {"team": "web", "zone": "a"}}, {"labels": {"zone": "a"}}),
        ],
    )
    def test_says_what_is_other_now(self, given_, said):
        describe(self.FIRST, **given_).then(described(**said))

    @pytest.mark.parametrize(
        "more",
        [
            {"title": "down?"},
            {"services": ["pay"], "labels": {"team": "web"}},
            {"labels": {"zone": None}},
        ],
    )
    def test_what_stands_already_records_nothing(self, more):
        describe(self.FIRST, **more).then_nothing()

    def test_said_again_it_records_nothing(self):
        before = (self.FIRST, described(1, title="cards fail", labels={"tier": None}))
        describe(*before, title="cards fail", labels={"tier": None}).then_nothing()
        describe(*before, title="down?", labels={"tier": "1"}).then(
            described(title="down?", labels={"tier": "1"})
        )

    @pytest.mark.parametrize(
        ("more", "name"),
        [
            ({}, "title"),
            ({"title": " "}, "title"),
            ({"title": 7}, "title"),
            ({"services": "pay"}, "services"),
            ({"symptom": "odd"}, "symptom"),
            ({"labels": {"team": 7}}, "labels['team']"),
            ({"labels": {7: None}}, "labels"),
            ({"labels": 7}, "labels"),
        ],
    )
    def test_refuses_what_says_nothing_or_can_not_be_right(self, more, name):
        describe(self.FIRST, **more).then_invalid(name)

    def test_facts_follow_it_whatever_time_is_asked_for(self):
        """It is a statement: learned later, true from the start."""
        later = described(
            50, services=("web",), symptom=Symptom.LATENCY, labels={"tier": None, "a": "b"}
        )
        for cut in (1, 99):
            [row] = facts(of("incident:INC-1", self.FIRST, later), as_of=at(cut)).incidents
            assert (("web",), Symptom.LATENCY) == (row.services, row.symptom)
            assert {"a": "b", "team": "web"} == row.labels

    def test_a_correction_of_what_was_said_anew_is_refused(self):
        """It would stand in the log and change nothing."""
        before = (self.FIRST, described(1, services=("web",)))

        def ask(version, field, was, now):
            return given(*before).when(
                incident.correct,
                by="ann",
                at=at(3),
                version=version,
                field=field,
                was=was,
                now=now,
                why="a slip",
            )

        error = ask(1, "services", ("pay",), ("edge",)).then_refused(guard="said last")
        assert "version 2 says its services since" in error.why
        assert len(ask(2, "services", ("web",), ("edge",)).events) == 1
        labels = self.FIRST.labels
        assert len(ask(1, "labels", labels, {"team": "edge"}).events) == 1

    def test_a_timeline_of_a_service_follows_it(self):
        story = of("incident:INC-1", self.FIRST, described(1, title="cards fail"))
        assert len(timeline(story, service="pay")) == 2
        story = of("incident:INC-1", self.FIRST, described(1, services=("web",)))
        assert (0, 2) == (len(timeline(story, service="pay")), len(timeline(story, service="web")))


class TestRefer:
    def ask(self, *events, **more):
        told = {"kind": "ticket", "address": "https://t.example/7", **more}
        return given(*events).when(incident.refer, by="ann", at=at(2), **told)

    def test_the_same_address_again_changes_nothing(self):
        added = ReferenceAdded(
            at=at(2), by="ann", kind="ticket", address="https://t.example/7", title="cards"
        )
        self.ask(detected(), title="cards").then(added)
        self.ask(detected(), added, kind="board").then_nothing()
        other = attrs.evolve(added, address="OPS-8", title="")
        self.ask(detected(), added, address="OPS-8").then(other)

    @pytest.mark.parametrize(
        "address", ["", "  ", "a\nb", "x\u202ey", "h" * 2_001, 7, None, "\x1b[2J"]
    )
    def test_refuses_what_is_no_address(self, address):
        self.ask(detected(), address=address).then_invalid("address")


class TestReviseAction:
    ADDED = ActionAdded(at=at(1), by="ann", number=1, owner="ben", text="an alarm")

    def ask(self, *events, **more):
        return given(detected(), self.ADDED, *events).when(
            incident.revise_action, by="ann", at=at(2), **{"number": 1, **more}
        )

    def revised(self, **fields):
        return ActionRevised(at=at(2), by="ann", number=1, **fields)

    def test_says_what_is_other_now(self):
        self.ask(owner="eva").then(self.revised(owner="eva"))
        self.ask(owner="ben", text="two alarms").then(self.revised(text="two alarms"))
        self.ask(due=date(2026, 3, 1)).then(self.revised(due=date(2026, 3, 1)))

    def test_what_stands_already_records_nothing(self):
        self.ask(owner="ben", text="an alarm").then_nothing()
        self.ask(self.revised(owner="eva"), owner="eva").then_nothing()
        self.ask(self.revised(owner="eva"), owner="ben").then(self.revised(owner="ben"))

    def test_refused_without_such_an_action(self):
        self.ask(number=2, owner="eva").then_refused(guard="action exists")

    @pytest.mark.parametrize(
        ("more", "name"),
        [({}, "owner"), ({"owner": ""}, "owner"), ({"due": "today"}, "due"), ({"text": 7}, "text")],
    )
    def test_refuses_what_says_nothing_or_can_not_be_right(self, more, name):
        self.ask(**more).then_invalid(name)


class TestOneCommander:
    TOOK = RoleAssigned(at=at(1), by="ann", role=Role.INCIDENT_COMMANDER, person="Eva")

    def take(self, *events, person="ben", role="incident_commander"):
        return given(detected(), *events).when(
            incident.assign_role, by="ann", at=at(2), role=role, person=person
        )

    def test_who_takes_over_ends_it_for_whoever_had_it(self):
        taken = RoleAssigned(at=at(2), by="ann", role=Role.INCIDENT_COMMANDER, person="ben")
        passed = RoleReleased(at=at(2), by="ann", role=Role.INCIDENT_COMMANDER, person="Eva")
        found = self.take(self.TOOK)
        found.then(passed, taken)
        state = incident.fold((detected(), self.TOOK, *found.events))
        assert {(Role.INCIDENT_COMMANDER, "ben")} == state.roles
        self.take(self.TOOK, passed).then(taken)

    def test_of_other_roles_there_may_be_several(self):
        scribe = RoleAssigned(at=at(1), by="ann", role=Role.SCRIBE, person="eva")
        assert len(self.take(scribe, role="scribe").events) == 1

    def test_a_step_of_ones_own_can_not_leave_two(self):
        state = incident.fold((detected(), self.TOOK))
        alone = RoleAssigned(at=at(2), by="ann", role=Role.INCIDENT_COMMANDER, person="ben")
        with pytest.raises(StepRefused, match="gives it up first"):
            incident.confirm(state, alone)


class TestMark:
    def ask(self, *events, hours=2, name="vendor called"):
        return given(*events).when(incident.mark, by="ann", at=at(hours), name=name)

    def marked(self, hours=2, number=1, name="vendor called"):
        return MilestoneMarked(at=at(hours), by="ann", number=number, name=name)

    def test_is_numbered_where_it_comes_again(self):
        self.ask(detected()).then(self.marked())
        self.ask(detected(), self.marked(1)).then(self.marked(2, 2))
        self.ask(detected(), self.marked(1), name="root cause known").then(
            self.marked(name="root cause known")
        )

    def test_at_the_same_moment_it_changes_nothing(self):
        self.ask(detected(), self.marked(2)).then_nothing()
        moved = MomentCorrected(
            at=at(3), by="ann", version=2, field="at", was=at(1), now=at(2), why="late"
        )
        self.ask(detected(), self.marked(1), moved).then_nothing()

    def test_the_number_of_a_voided_one_is_not_given_again(self):
        gone = EventVoided(at=at(3), by="ann", version=2, status="detected", why="nobody called")
        self.ask(detected(), self.marked(2), gone).then(self.marked(2, 2))

    @pytest.mark.parametrize(
        "name",
        [
            *("", " x", "a\nb", 7, None, "resolved", "Impact started", "IMPACT_STARTED", "x" * 201),
            *("detected_at", "mark:vendor called", "ticket#2"),
        ],
    )
    def test_refuses_what_is_no_name_of_its_own(self, name):
        self.ask(detected(), name=name).then_invalid("name")


class TestRelate:
    def ask(self, *events, id="INC-2", to="INC-1", kind="child_of", above=()):
        told = {"id": id, "to": to, "kind": kind, "above": above}
        return given(*events).when(incident.relate, by="ann", at=at(2), **told)

    def related(self, other="INC-1", kind=Relation.CHILD_OF, hours=2):
        return IncidentRelated(at=at(hours), by="ann", other=other, kind=kind)

    @pytest.mark.parametrize("kind", Relation)
    def test_says_what_it_is_to_the_other(self, kind):
        self.ask(detected(), kind=kind.value).then(self.related(kind=kind))

    def test_the_last_of_each_stands(self):
        before = detected(), self.related()
        self.ask(*before).then_nothing()
        other = self.related(kind=Relation.RECURRENCE_OF)
        self.ask(*before, kind="recurrence_of").then(other)
        self.ask(*before, other).then(self.related())

    def test_is_the_child_of_one_alone(self):
        before = detected(), self.related()
        error = self.ask(*before, to="INC-3").then_refused(guard="one parent")
        assert "it is a child of INC-1 already; unrelate that first" in error.why
        self.ask(*before, to="INC-3", kind="related").then(self.related("INC-3", Relation.RELATED))

    def test_no_circle(self):
        error = self.ask(detected(), above=("INC-5", "INC-2")).then_refused(guard="no circle")
        assert "INC-1 is itself part of INC-2" in error.why
        self.ask(detected(), above=("INC-5",)).then(self.related())
        recurs = self.related(kind=Relation.RECURRENCE_OF)
        self.ask(detected(), above=("INC-2",), kind="recurrence_of").then(recurs)

    def test_not_to_itself(self):
        self.ask(detected(), to="INC-2", kind="related").then_refused(guard="another incident")

    @pytest.mark.parametrize(
        ("more", "name"),
        [
            ({"to": ""}, "to"),
            ({"id": 7}, "id"),
            ({"kind": "friend of"}, "kind"),
            ({"kind": None}, "kind"),
            ({"above": "INC-2"}, "above"),
            ({"above": {"INC-2": 1}}, "above"),
            ({"above": [7]}, "above"),
        ],
    )
    def test_refuses_what_can_not_be_right(self, more, name):
        self.ask(detected(), **more).then_invalid(name)

    def test_next_steps_say_what_it_depends_on(self):
        [answer] = [
            one for one in incident.next_steps(incident.fold([detected()])) if one.step == "relate"
        ]
        assert (None, "another incident", "depends on id, to") == (
            answer.possible,
            answer.guard,
            answer.why,
        )

    def test_unrelate_says_what_it_was(self):
        def ask(*events, to="INC-1"):
            return given(*events).when(incident.unrelate, by="ann", at=at(3), to=to)

        before = detected(), self.related()
        gone = IncidentUnrelated(at=at(3), by="ann", other="INC-1", kind=Relation.CHILD_OF)
        ask(*before).then(gone)
        ask(*before, to="INC-9").then_nothing()
        ask(*before, gone).then_nothing()
        ask(*before, to=" ").then_invalid("to")
        self.ask(*before, gone, to="INC-3").then(self.related("INC-3"))
        assert incident.fold([detected()]) == incident.fold((*before, gone))._replace(
            past=(detected(),)
        )

    def test_a_void_does_not_bring_a_parent_back(self):
        """What stands above it by now, only relate asks."""
        child, other = self.related(hours=1), self.related("INC-3", hours=3)
        gone = IncidentUnrelated(at=at(2), by="ann", other="INC-1", kind=Relation.CHILD_OF)

        def void(version, *events):
            told = {"by": "ann", "at": at(9), "version": version, "why": "a slip"}
            return given(detected(), *events).when(incident.void, **told)

        error = void(3, child, gone).then_refused(guard="brings no parent")
        assert "it would be a child of INC-1 again; use relate" in error.why
        assert void(3, child, gone, other).events  # INC-3 is its parent, before and after
        weaker = self.related(kind=Relation.RELATED)
        void(3, child, weaker).then_refused(guard="brings no parent")
        assert void(2, child).events
        assert void(2, child, gone).events
        assert void(3, child, self.related("INC-3", Relation.RELATED)).events

    def test_of_which_it_is_a_child(self):
        assert "INC-1" == incident.fold([detected(), self.related()]).parent
        other = self.related(kind=Relation.RELATED)
        assert incident.fold([detected(), other]).parent is None
        assert incident.fold([detected(), self.related(), other]).parent is None


class TestCauseTags:
    def ask(self, tags):
        return given(detected(), triaged(), resolved()).when(
            incident.record_review, by="ann", at=at(5), what_happened="a lock", cause_tags=tags
        )

    def test_each_once_in_the_order_given(self):
        [review] = self.ask(["no canary", "configuration", "no canary"]).events
        assert ("no canary", "configuration") == review.cause_tags

    @pytest.mark.parametrize("tags", ["config", {"a": 1}, [""], [7], None, ["a\nb"], ["(none)"]])
    def test_refuses_what_are_no_tags(self, tags):
        self.ask(tags).then_invalid("cause_tags")
