"""
Every step of a change: when it is allowed, what refuses it, and when nothing changes.
"""

import attrs
import pytest

from domain.examples import (
    IN_PRODUCTION,
    START,
    UNDER_WAY,
    VOTE,
    approved,
    at,
    completed,
    emergency,
    planned,
    said,
    started,
    started_unapproved,
    submitted,
    window,
)
from imcm.domain import change
from imcm.domain.change import Status
from imcm.domain.change_events import (
    ChangeApprovedRetroactively,
    ChangeCancelled,
    ChangeClosed,
    ChangeCompleted,
    ChangeFailed,
    ChangeHeld,
    ChangeObserved,
    ChangePlanned,
    ChangeRecovered,
    ChangeRejected,
    ChangeReleased,
    ChangeRevised,
    ChangeRolledBack,
    ChangeScheduled,
    ChangeStarted,
    ChangeSubmitted,
    ChangeValidated,
    CommitsRecorded,
    RetroactiveApprovalRefused,
    RolloutAborted,
    RolloutAdvanced,
    RolloutPaused,
    Template,
    VoteGiven,
)
from imcm.domain.corrections import EventVoided, ServicesCorrected
from imcm.domain.policy import Policy
from imcm.domain.vocabulary import (
    Authority,
    Between,
    ChangeType,
    Commit,
    Counts,
    HoldReason,
    Kind,
    Outcome,
    Result,
    Risk,
)
from imcm.testing import given

TEMPLATE = Template(name="restart", version="3", sha256="0" * 64)
TWO_VOTES = Policy(name="two votes", version="7", approvals=2)
HELD = ChangeHeld(at=at(2.5), by="ann", reason=HoldReason.VENDOR)
COMMIT = Commit(id="a1", authored_at=at(-9), committed_at=at(-8))
COUNTS = Counts(requests=900, errors=3)
FAILED = ChangeFailed(at=at(4), by="ann", reached_production=True)
ROLLED_BACK = ChangeRolledBack(at=at(5), by="ann", reached_production=True)
CLOSED = ChangeClosed(at=at(6), by="ann", result=Result.SUCCESSFUL)
CANCELLED = ChangeCancelled(at=at(3), by="ann", why="no longer needed")
REJECTED = ChangeRejected(at=at(2), by="bea", why="no test plan")
RULED = ChangeApprovedRetroactively(
    at=at(8), by="bea", authority=Authority.PEER, policy=said("approved afterwards")
)
REFUSED = RetroactiveApprovalRefused(
    at=at(8), by="bea", authority=Authority.PEER, policy=said("refused afterwards"), why="no"
)


def standard(hours=0, **fields):
    return planned(hours, **{"type": ChangeType.STANDARD, **fields})


def revised(hours=1.5, **fields):
    """The plan of `planned` revised by ann, with nothing changed."""
    return ChangeRevised(
        **{
            "at": at(hours),
            "by": "ann",
            "kind": Kind.DEPLOYMENT,
            "risk": Risk.LOW,
            "has_rollback_plan": True,
            "why": "as discussed",
            "status": Status.DRAFT,
            **fields,
        }
    )


def advanced(percent, hours=3.5, **fields):
    return RolloutAdvanced(
        **{
            "at": at(hours),
            "by": "ann",
            "percent": float(percent),
            "policy": said("may advance"),
            **fields,
        }
    )


def paused(percent, hours=3.6):
    return RolloutPaused(at=at(hours), by="ann", percent=float(percent))


def validated(check, passed, hours=5, status=Status.VALIDATED):
    return ChangeValidated(at=at(hours), by="ann", check=check, passed=passed, status=status)


class TestPlan:
    def test_keeps_everything_that_is_known_of_it(self):
        given().when(
            change.plan,
            by="ann",
            at=at(0),
            title="new checkout",
            type=ChangeType.NORMAL,
            kind=Kind.SCHEMA,
            services=["payments"],
            environment="live",
            labels={"team": "core"},
            risk=Risk.HIGH,
            window=window(24, 26),
            requested_by="dan",
            incident="INC-1",
            repairs="CHG-0",
            description="in two parts",
            rollback_plan="restore",
            monitoring_plan="watch errors",
            test_plan="in staging",
        ).then(
            ChangePlanned(
                at=at(0),
                by="ann",
                title="new checkout",
                type=ChangeType.NORMAL,
                kind=Kind.SCHEMA,
                services=("payments",),
                environment="live",
                labels={"team": "core"},
                risk=Risk.HIGH,
                window=window(24, 26),
                requested_by="dan",
                incident="INC-1",
                repairs="CHG-0",
                has_rollback_plan=True,
                has_monitoring_plan=True,
                has_test_plan=True,
                description="in two parts",
                rollback_plan="restore",
                monitoring_plan="watch errors",
                test_plan="in staging",
                status=Status.DRAFT,
            )
        )

    def test_asks_for_no_more_than_a_title(self):
        given().when(change.plan, by="ann", at=at(0), title="new checkout").then(
            ChangePlanned(
                at=at(0),
                by="ann",
                title="new checkout",
                type=ChangeType.NORMAL,
                kind=Kind.DEPLOYMENT,
            )
        )

    def test_blanks_are_no_plan(self):
        given().when(
            change.plan, by="ann", at=at(0), title="t", rollback_plan=" ", test_plan="\n"
        ).then(
            ChangePlanned(
                at=at(0),
                by="ann",
                title="t",
                type=ChangeType.NORMAL,
                kind=Kind.DEPLOYMENT,
                rollback_plan=" ",
                test_plan="\n",
            )
        )

    def test_what_was_found_in_production_is_not_planned(self):
        error = (
            given()
            .when(change.plan, by="ann", at=at(0), title="t", type=ChangeType.OBSERVED)
            .then_invalid("type")
        )

        assert "observe" in error.allowed

    def test_is_the_first_step_only(self):
        given(planned()).when(change.plan, by="ann", at=at(1), title="t").then_refused(
            guard="status"
        )

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("title", ""),
            ("type", "urgent"),
            ("kind", "magic"),
            ("risk", "none"),
            ("services", "payments"),
            ("labels", 3),
            ("window", (at(1), at(2))),
            ("requested_by", ""),
            ("incident", ""),
            ("repairs", ""),
            ("environment", ""),
            ("description", None),
            ("rollback_plan", "\x00"),
            ("monitoring_plan", "\ud800"),
            ("test_plan", "x" * 100_001),
        ],
    )
    def test_refuses_what_can_not_be_right(self, name, value):
        given().when(
            change.plan, **{"by": "ann", "at": at(0), "title": "t", name: value}
        ).then_invalid(name)


class TestRevise:
    @pytest.mark.parametrize(
        ("before", "status"),
        [
            ([], None),
            ([submitted()], None),
            ([submitted(), approved()], Status.DRAFT),
        ],
        ids=["draft", "submitted", "approved goes back to draft"],
    )
    def test_what_is_not_given_stays(self, before, status):
        given(planned(), *before).when(change.revise, by="ann", at=at(3), why="as discussed").then(
            revised(3, status=status)
        )

    def test_everything_can_be_another(self):
        given(planned()).when(
            change.revise,
            by="cem",
            at=at(3),
            why="as discussed",
            title="newer checkout",
            kind=Kind.CONFIGURATION,
            services=["search"],
            risk=Risk.HIGH,
            window=window(30, 31),
            incident="INC-2",
            description="d",
            rollback_plan="r",
            monitoring_plan="m",
            test_plan="t",
        ).then(
            ChangeRevised(
                at=at(3),
                by="cem",
                why="as discussed",
                title="newer checkout",
                kind=Kind.CONFIGURATION,
                services=("search",),
                risk=Risk.HIGH,
                window=window(30, 31),
                incident="INC-2",
                has_rollback_plan=True,
                has_monitoring_plan=True,
                has_test_plan=True,
                description="d",
                rollback_plan="r",
                monitoring_plan="m",
                test_plan="t",
                status=None,
            )
        )

    def test_voids_approvals(self):
        vote = approved(votes=1, quorum=2, policy=said("1 of 2 votes", TWO_VOTES), status=VOTE)
        given(planned(), submitted(), vote, revised(2.5, status=VOTE)).when(
            change.approve, by="bea", at=at(3), policy=TWO_VOTES
        ).then(
            approved(3, content=4, quorum=2, policy=said("1 of 2 votes", TWO_VOTES), status=VOTE)
        )

    def test_the_window_is_content_and_voids_the_schedule(self):
        scheduled = ChangeScheduled(at=at(2.5), by="ann", window=window(24, 25))
        state = change.fold(
            [planned(window=window(24, 26)), submitted(), scheduled, revised(window=window(30, 31))]
        )

        assert (window(30, 31), None) == (state.window, state.scheduled)

    def test_refused_once_it_is_under_way(self):
        given(*UNDER_WAY).when(change.revise, by="ann", at=at(4), why="x").then_refused(
            guard="status"
        )

    @pytest.mark.parametrize(
        ("name", "value"), [("why", ""), ("kind", "magic"), ("risk", "none"), ("window", 3)]
    )
    def test_refuses_what_can_not_be_right(self, name, value):
        given(planned()).when(
            change.revise, **{"by": "ann", "at": at(1), "why": "w", name: value}
        ).then_invalid(name)


class TestSubmit:
    def test_a_normal_change_with_its_plan_and_risk(self):
        given(planned()).when(change.submit, by="ann", at=at(1)).then(
            ChangeSubmitted(
                at=at(1), by="ann", policy=said("may be submitted"), status=Status.SUBMITTED
            )
        )

    @pytest.mark.parametrize(
        ("fields", "missing"),
        [
            ({"risk": None}, "risk"),
            ({"has_rollback_plan": False}, "rollback_plan"),
            ({"risk": None, "has_rollback_plan": False}, "rollback_plan and risk"),
        ],
    )
    def test_a_normal_change_needs_rollback_plan_and_risk(self, fields, missing):
        error = (
            given(planned(**fields))
            .when(change.submit, by="ann", at=at(1))
            .then_refused(guard="plans")
        )

        assert f"needs {missing};" in error.why

    def test_a_standard_change_is_approved_by_its_template(self):
        given(standard(risk=None, has_rollback_plan=False)).when(
            change.submit, by="ann", at=at(1), template=TEMPLATE
        ).then(
            ChangeSubmitted(
                at=at(1),
                by="ann",
                template=TEMPLATE,
                policy=said("approved by template"),
                status=Status.APPROVED,
            )
        )

    def test_a_standard_change_needs_its_template(self):
        given(standard()).when(change.submit, by="ann", at=at(1)).then_refused(guard="template")

    @pytest.mark.parametrize("event", [planned(), emergency()], ids=["normal", "emergency"])
    def test_only_a_standard_change_has_a_template(self, event):
        given(event).when(change.submit, by="ann", at=at(1), template=TEMPLATE).then_invalid(
            "template"
        )

    def test_a_template_is_a_template(self):
        given(standard()).when(change.submit, by="ann", at=at(1), template="restart").then_invalid(
            "template"
        )

    def test_an_emergency_needs_no_plans(self):
        given(emergency()).when(change.submit, by="ann", at=at(1)).then(submitted())

    def test_an_emergency_must_name_its_incident(self):
        given(emergency(incident=None)).when(change.submit, by="ann", at=at(1)).then_refused(
            guard="incident"
        )

    def test_a_hold_blocks_it(self):
        given(planned(), HELD).when(change.submit, by="ann", at=at(3)).then_refused(
            guard="not on hold"
        )

    def test_once_only(self):
        given(planned(), submitted()).when(change.submit, by="ann", at=at(2)).then_refused(
            guard="status"
        )

    def test_keeps_which_policy_was_asked(self):
        given(planned()).when(change.submit, by="ann", at=at(1), policy=TWO_VOTES).then(
            submitted(policy=said("may be submitted", TWO_VOTES))
        )


class TestApprove:
    def test_the_last_vote_it_needs_approves(self):
        given(planned(), submitted()).when(
            change.approve, by="bea", at=at(2), authority=Authority.CAB, why="fine"
        ).then(
            VoteGiven(
                at=at(2),
                by="bea",
                authority=Authority.CAB,
                content=1,
                votes=1,
                quorum=1,
                policy=said("1 of 1 votes"),
                why="fine",
                status=Status.APPROVED,
            )
        )

    def test_before_the_quorum_it_stays_submitted(self):
        first = approved(quorum=2, policy=said("1 of 2 votes", TWO_VOTES), status=VOTE)
        given(planned(), submitted()).when(
            change.approve, by="bea", at=at(2), policy=TWO_VOTES
        ).then(first)
        given(planned(), submitted(), first).when(
            change.approve, by="cem", at=at(3), policy=TWO_VOTES
        ).then(approved(3, by="cem", votes=2, quorum=2, policy=said("2 of 2 votes", TWO_VOTES)))

    @pytest.mark.parametrize("by", ["bea", "Bea", "BEA"])
    def test_one_vote_a_person_under_whatever_spelling(self, by):
        first = approved(quorum=2, policy=said("1 of 2 votes", TWO_VOTES), status=VOTE)
        given(planned(), submitted(), first).when(
            change.approve, by=by, at=at(3), policy=TWO_VOTES
        ).then_nothing()

    @pytest.mark.parametrize(
        ("events", "by"),
        [
            ([planned(requested_by="dan"), submitted()], "dan"),
            ([planned(by="ann"), submitted(by="cem")], "ann"),
            ([planned(), revised(0.5, by="eve"), submitted()], "eve"),
            ([planned(), submitted(by="cem")], "cem"),
            ([planned(by="stra\u00dfe"), submitted()], "STRASSE"),
            ([planned(by="Ren\u00e9"), submitted()], "ren\u00e9"),
        ],
        ids=["requested", "planned", "revised", "submitted", "folded", "case"],
    )
    def test_never_who_requested_planned_revised_or_submitted(self, events, by):
        error = (
            given(*events)
            .when(change.approve, by=by, at=at(2))
            .then_refused(guard="separation of duties")
        )

        assert by in error.why

    def test_an_emergency_takes_one_approver(self):
        given(emergency(), submitted()).when(
            change.approve, by="bea", at=at(2), policy=TWO_VOTES
        ).then(approved(policy=said("1 of 1 votes", TWO_VOTES)))

    def test_the_policy_says_whose_votes_count(self):
        policy = Policy(name="cab", version="1", authorities=frozenset({Authority.CAB}))
        error = (
            given(planned(), submitted())
            .when(change.approve, by="bea", at=at(2), authority="peer", policy=policy)
            .then_refused(guard="authority")
        )

        assert "votes count from: cab" in error.why

    def test_a_second_vote_changes_nothing_and_in_another_capacity_it_is_refused(self):
        policy = Policy(approvals=2)
        voted = approved(authority=Authority.CAB, votes=1, quorum=2, status=None)
        again = given(planned(), submitted(), voted)
        again.when(
            change.approve, by="BEA", at=at(3), authority="cab", policy=policy
        ).then_nothing()
        refused = again.when(change.approve, by="BEA", at=at(3), policy=policy)
        assert refused.then_refused(guard="authority").why == (
            "'BEA' has voted as cab (version 3), and a person has one vote; void that one to vote "
            "as peer"
        )
        lapsing = attrs.evolve(policy, valid_for="1 hour")
        lapsed = again.when(change.approve, by="bea", at=at(9), policy=lapsing)
        assert [event.authority for event in lapsed.events] == [Authority.PEER]

    def test_a_hold_blocks_it(self):
        given(planned(), submitted(), HELD).when(change.approve, by="bea", at=at(3)).then_refused(
            guard="not on hold"
        )

    def test_refused_before_it_is_submitted(self):
        given(planned()).when(change.approve, by="bea", at=at(3)).then_refused(guard="status")

    @pytest.mark.parametrize(("name", "value"), [("authority", "king"), ("by", ""), ("why", 3)])
    def test_refuses_what_can_not_be_right(self, name, value):
        given(planned(), submitted()).when(
            change.approve, **{"by": "bea", "at": at(2), name: value}
        ).then_invalid(name)

    def test_the_vote_names_the_content_it_is_for(self):
        given(planned(), revised(0.5), submitted()).when(change.approve, by="bea", at=at(2)).then(
            approved(content=2)
        )

    def test_voiding_the_content_voids_its_approval(self):
        voided = EventVoided(at=at(4), by="cem", version=3, status="submitted", why="not so")
        state = change.fold(
            [
                planned(window=window(24, 26)),
                submitted(),
                revised(window=window(90, 99), status=VOTE),
                approved(content=3),
                voided,
            ]
        )

        assert state.status is not Status.APPROVED


class TestReject:
    def test_sends_it_back_with_a_reason(self):
        given(planned(), submitted()).when(
            change.reject, by="bea", at=at(2), why="no test plan"
        ).then(ChangeRejected(at=at(2), by="bea", why="no test plan", status=Status.DRAFT))

    def test_voids_approvals(self):
        first = approved(quorum=2, policy=said("1 of 2 votes", TWO_VOTES), status=VOTE)

        assert change.fold([planned(), submitted(), first, REJECTED]).voters == frozenset()

    def test_refused_when_nobody_asked(self):
        given(planned()).when(change.reject, by="bea", at=at(2), why="no").then_refused(
            guard="status"
        )

    def test_a_hold_does_not_block_it(self):
        given(planned(), submitted(), HELD).when(
            change.reject, by="bea", at=at(3), why="no test plan"
        ).then(ChangeRejected(at=at(3), by="bea", why="no test plan"))

    def test_needs_a_reason(self):
        given(planned(), submitted()).when(change.reject, by="bea", at=at(2), why="").then_invalid(
            "why"
        )


UNAPPROVED = (emergency(), submitted(), started_unapproved())
OBSERVED = ChangeObserved(
    at=at(0), by="scanner", title="hotfix", unauthorised="requested", outstanding=True
)
RULINGS = [(change.approve_retroactively, RULED), (change.refuse_retroactively, REFUSED)]


@pytest.mark.parametrize(("step", "event"), RULINGS, ids=["approve", "refuse"])
class TestApproveAndRefuseRetroactively:
    def ask(self, step, *events, **arguments):
        why = {"why": "no"} if step is change.refuse_retroactively else {}
        return given(*events).when(step, **{"by": "bea", "at": at(8), **why, **arguments})

    @pytest.mark.parametrize(
        "events",
        [
            UNAPPROVED,
            (*UNAPPROVED, completed()),
            (*UNAPPROVED, completed(), validated("smoke", passed=True)),
            (*UNAPPROVED, completed(), CLOSED),
            (OBSERVED,),
        ],
        ids=["implementing", "implemented", "validated", "closed", "observed"],
    )
    def test_from_implementing_on(self, step, event, events):
        self.ask(step, *events).then(event)

    def test_either_ends_outstanding(self, step, event):
        assert change.fold([*UNAPPROVED, event]).outstanding is False

    @pytest.mark.parametrize("ruled", [RULED, REFUSED], ids=["approved", "refused"])
    def test_once_ruled_on_nothing_changes(self, step, event, ruled):
        self.ask(step, *UNAPPROVED, ruled, by="cem").then_nothing()

    def test_refused_for_what_went_in_with_approval(self, step, event):
        self.ask(step, *IN_PRODUCTION).then_refused(guard="approval outstanding")

    @pytest.mark.parametrize("by", ["ann", "ANN"])
    def test_the_same_persons_are_barred(self, step, event, by):
        self.ask(step, *UNAPPROVED, by=by).then_refused(guard="separation of duties")

    def test_refused_before_it_is_under_way(self, step, event):
        self.ask(step, emergency(), submitted()).then_refused(guard="status")

    @pytest.mark.parametrize(("name", "value"), [("authority", "king"), ("why", None)])
    def test_refuses_what_can_not_be_right(self, step, event, name, value):
        self.ask(step, *UNAPPROVED, **{name: value}).then_invalid(name)


class TestRefuseRetroactively:
    def test_needs_a_reason(self):
        given(*UNAPPROVED).when(
            change.refuse_retroactively, by="bea", at=at(8), why=""
        ).then_invalid("why")


class TestSchedule:
    before = (planned(window=window(24, 26)), submitted())

    @pytest.mark.parametrize("more", [[], [approved()]], ids=["submitted", "approved"])
    def test_a_window_inside_the_approved_one(self, more):
        given(*self.before, *more).when(
            change.schedule, by="ann", at=at(3), window=window(24, 25)
        ).then(
            ChangeScheduled(
                at=at(3), by="ann", window=window(24, 25), policy=said("may be scheduled")
            )
        )

    def test_any_window_where_none_was_planned(self):
        given(planned(), submitted()).when(
            change.schedule, by="ann", at=at(3), window=window(50, 51)
        ).then(
            ChangeScheduled(
                at=at(3), by="ann", window=window(50, 51), policy=said("may be scheduled")
            )
        )

    @pytest.mark.parametrize("other", [window(23, 25), window(25, 27), window(30, 31)])
    def test_refused_outside_of_it_else_use_revise(self, other):
        error = (
            given(*self.before)
            .when(change.schedule, by="ann", at=at(3), window=other)
            .then_refused(guard="inside the approved window")
        )

        assert "revise" in error.why

    def test_the_same_window_again_records_nothing(self):
        scheduled = ChangeScheduled(at=at(2), by="ann", window=window(24, 25))
        given(*self.before, scheduled).when(
            change.schedule, by="ann", at=at(3), window=window(24, 25)
        ).then_nothing()

    def test_a_hold_blocks_it(self):
        given(*self.before, HELD).when(
            change.schedule, by="ann", at=at(3), window=window(24, 25)
        ).then_refused(guard="not on hold")

    def test_refused_in_draft(self):
        given(planned()).when(
            change.schedule, by="ann", at=at(3), window=window(24, 25)
        ).then_refused(guard="status")

    @pytest.mark.parametrize("value", [None, (at(24), at(25))])
    def test_a_window_is_a_window(self, value):
        given(*self.before).when(change.schedule, by="ann", at=at(3), window=value).then_invalid(
            "window"
        )


class TestHold:
    @pytest.mark.parametrize(
        "events",
        [(planned(),), UNDER_WAY, IN_PRODUCTION],
        ids=["draft", "implementing", "implemented"],
    )
    def test_any_not_ended(self, events):
        given(*events).when(
            change.hold, by="ann", at=at(5), reason=HoldReason.CUSTOMER, why="asked to wait"
        ).then(ChangeHeld(at=at(5), by="ann", reason=HoldReason.CUSTOMER, why="asked to wait"))

    def test_the_same_reason_again_records_nothing(self):
        given(planned(), HELD).when(change.hold, by="bea", at=at(3), reason="vendor").then_nothing()

    def test_another_reason_is_another_hold(self):
        given(planned(), HELD).when(change.hold, by="bea", at=at(3), reason="problem").then(
            ChangeHeld(at=at(3), by="bea", reason=HoldReason.PROBLEM)
        )

    @pytest.mark.parametrize(
        "events", [(planned(), CANCELLED), (*IN_PRODUCTION, CLOSED)], ids=["cancelled", "closed"]
    )
    def test_refused_when_ended(self, events):
        given(*events).when(change.hold, by="ann", at=at(9), reason="vendor").then_refused(
            guard="status"
        )

    def test_the_reason_is_of_a_closed_list(self):
        given(planned()).when(change.hold, by="ann", at=at(1), reason="tea").then_invalid("reason")


class TestRelease:
    def test_ends_the_wait(self):
        given(planned(), HELD).when(change.release, by="ann", at=at(3)).then(
            ChangeReleased(at=at(3), by="ann")
        )

    @pytest.mark.parametrize(
        "more", [[], [HELD, ChangeReleased(at=at(3), by="ann")]], ids=["never", "no longer"]
    )
    def test_without_a_hold_nothing_changes(self, more):
        given(planned(), *more).when(change.release, by="ann", at=at(4)).then_nothing()

    def test_asking_steps_go_on_after_it(self):
        given(planned(), HELD, ChangeReleased(at=at(3), by="ann")).when(
            change.submit, by="ann", at=at(4)
        ).then(submitted(4))

    def test_refused_when_ended(self):
        given(planned(), CANCELLED).when(change.release, by="ann", at=at(4)).then_refused(
            guard="status"
        )


class TestStart:
    def test_what_is_approved(self):
        given(planned(), submitted(), approved()).when(
            change.start,
            by="pipeline",
            at=at(3),
            run="https://ci.example/7",
            version="v2",
            rollout_plan=[5, 25, 100],
        ).then(
            ChangeStarted(
                at=at(3),
                by="pipeline",
                run="https://ci.example/7",
                version="v2",
                rollout_plan=(5.0, 25.0, 100.0),
                outstanding=False,
                policy=said("may start"),
                status=Status.IMPLEMENTING,
            )
        )

    def test_commits_travel_with_it(self):
        given(planned(), submitted(), approved()).when(
            change.start, by="ann", at=at(3), commits=[COMMIT]
        ).then(started(), CommitsRecorded(at=at(3), by="ann", commits=(COMMIT,)))

    def test_an_emergency_may_start_before_it_is_approved(self):
        given(emergency(), submitted()).when(change.start, by="ann", at=at(3)).then(
            started_unapproved()
        )

    def test_an_approved_emergency_leaves_nothing_outstanding(self):
        given(emergency(), submitted(), approved()).when(change.start, by="ann", at=at(3)).then(
            started()
        )

    def test_a_normal_change_needs_approval(self):
        given(planned(), submitted()).when(change.start, by="ann", at=at(3)).then_refused(
            guard="approved"
        )

    def test_an_emergency_once_rejected_needs_approval(self):
        before = (emergency(), submitted(), REJECTED, submitted(2.5))
        given(*before).when(change.start, by="ann", at=at(3)).then_refused(guard="approved")
        given(*before, approved(2.7)).when(change.start, by="ann", at=at(3)).then(started())

    def test_an_emergency_once_rejected_needs_an_approval_that_stands(self):
        given(
            emergency(),
            submitted(),
            REJECTED,
            submitted(2.5),
            approved(2.7),
            revised(2.8, incident="INC-1", risk=None),
            submitted(2.9),
        ).when(change.start, by="ann", at=at(3)).then_refused(guard="approved")

    def test_a_hold_blocks_it(self):
        given(planned(), submitted(), approved(), HELD).when(
            change.start, by="ann", at=at(3)
        ).then_refused(guard="not on hold")

    def test_refused_in_draft(self):
        given(emergency()).when(change.start, by="ann", at=at(3)).then_refused(guard="status")

    @pytest.mark.parametrize(
        "plan",
        [[5, 25], [25, 5, 100], [5, 5, 100], [0, 100], [100, 101], [True, 100], ["5", 100]],
    )
    def test_a_rollout_plan_rises_to_100(self, plan):
        given(planned(), submitted(), approved()).when(
            change.start, by="ann", at=at(3), rollout_plan=plan
        ).then_invalid("rollout_plan")

    @pytest.mark.parametrize(("name", "value"), [("run", ""), ("version", ""), ("commits", "a1")])
    def test_refuses_what_can_not_be_right(self, name, value):
        given(planned(), submitted(), approved()).when(
            change.start, **{"by": "ann", "at": at(3), name: value}
        ).then_invalid(name)


class TestObserve:
    def test_found_in_production_without_a_request(self):
        given().when(
            change.observe,
            by="scanner",
            at=at(0),
            title="hotfix",
            kind=Kind.CONFIGURATION,
            services=["payments"],
            environment="live",
            labels={"team": "core"},
            version="v9",
        ).then(
            ChangeObserved(
                at=at(0),
                by="scanner",
                title="hotfix",
                kind=Kind.CONFIGURATION,
                services=("payments",),
                environment="live",
                labels={"team": "core"},
                version="v9",
                type=ChangeType.OBSERVED,
                unauthorised="requested",
                outstanding=True,
                status=Status.IMPLEMENTED,
            )
        )

    @pytest.mark.parametrize(
        ("before", "guard"),
        [
            ([], "approved"),
            ([submitted()], "approved"),
            ([submitted(), approved()], "started"),
            ([CANCELLED], "status"),
        ],
        ids=["draft", "submitted", "approved", "cancelled"],
    )
    def test_a_planned_change_keeps_its_type_and_names_what_said_no(self, before, guard):
        given(planned(), *before).when(change.observe, by="scanner", at=at(9), version="v9").then(
            ChangeObserved(
                at=at(9),
                by="scanner",
                version="v9",
                type=ChangeType.NORMAL,
                unauthorised=guard,
                outstanding=True,
                status=Status.IMPLEMENTED,
            )
        )

    def test_a_planned_change_keeps_its_content(self):
        state = change.fold(
            [
                planned(services=("payments",)),
                ChangeObserved(at=at(9), by="scanner", type=ChangeType.NORMAL, outstanding=True),
            ]
        )

        assert (
            state.kind,
            state.services,
            state.outcome,
        ) == (Kind.DEPLOYMENT, ("payments",), Outcome.UNKNOWN)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("title", "t"),
            ("kind", Kind.OTHER),
            ("services", ["payments"]),
            ("labels", {"team": "core"}),
            ("environment", "live"),
        ],
    )
    def test_content_only_for_what_was_never_planned(self, name, value):
        given(planned()).when(change.observe, by="scanner", at=at(9), **{name: value}).then_invalid(
            name
        )

    def test_what_was_never_planned_needs_a_title(self):
        given().when(change.observe, by="scanner", at=at(9)).then_invalid("title")

    def test_a_hold_does_not_refuse_it(self):
        given(planned(), HELD).when(change.observe, by="ann", at=at(9)).then(
            ChangeObserved(
                at=at(9),
                by="ann",
                type=ChangeType.NORMAL,
                unauthorised="approved",
                outstanding=True,
            )
        )

    def test_refused_once_it_is_under_way(self):
        given(*UNDER_WAY).when(change.observe, by="ann", at=at(9)).then_refused(guard="status")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("kind", "magic"), ("services", "payments"), ("labels", ["team"]), ("version", "")],
    )
    def test_refuses_what_can_not_be_right(self, name, value):
        given().when(
            change.observe, **{"by": "ann", "at": at(0), "title": "t", name: value}
        ).then_invalid(name)

    def test_services_may_be_any_iterable(self):
        given().when(
            change.observe, by="scanner", at=at(0), title="hotfix", services=iter(["payments"])
        ).then(
            ChangeObserved(
                at=at(0),
                by="scanner",
                title="hotfix",
                services=("payments",),
                unauthorised="requested",
                outstanding=True,
            )
        )


ROLLING = (planned(), submitted(), approved(), started(rollout_plan=(5.0, 100.0)))


class TestAdvanceRollout:
    def test_a_larger_share_judged_by_what_was_seen(self):
        given(*ROLLING).when(
            change.advance_rollout,
            by="ann",
            at=at(3.5),
            percent=5,
            canary=COUNTS,
            baseline=COUNTS,
            note="quiet",
        ).then(
            RolloutAdvanced(
                at=at(3.5),
                by="ann",
                percent=5.0,
                canary=COUNTS,
                baseline=COUNTS,
                policy=said("may advance"),
                note="quiet",
            )
        )

    def test_without_a_plan_too(self):
        given(*UNDER_WAY).when(change.advance_rollout, by="ann", at=at(3.5), percent=50).then(
            advanced(50)
        )

    @pytest.mark.parametrize("percent", [1, 5])
    def test_percent_only_goes_up(self, percent):
        given(*ROLLING, advanced(5)).when(
            change.advance_rollout, by="ann", at=at(3.7), percent=percent
        ).then_refused(guard="only up")

    def test_advancing_ends_a_pause(self):
        assert change.fold([*ROLLING, advanced(5), paused(5), advanced(25)]).paused is False

    def test_a_hold_blocks_it(self):
        given(*ROLLING, HELD).when(
            change.advance_rollout, by="ann", at=at(3.5), percent=5
        ).then_refused(guard="not on hold")

    def test_refused_when_the_work_is_over(self):
        given(*IN_PRODUCTION).when(
            change.advance_rollout, by="ann", at=at(5), percent=5
        ).then_refused(guard="status")

    @pytest.mark.parametrize("percent", [0, -1, 101, float("nan"), "5", True])
    def test_a_percentage_is_above_0_and_up_to_100(self, percent):
        given(*ROLLING).when(
            change.advance_rollout, by="ann", at=at(3.5), percent=percent
        ).then_invalid("percent")

    def test_counts_are_counts(self):
        given(*ROLLING).when(
            change.advance_rollout, by="ann", at=at(3.5), percent=5, canary={"errors": 3}
        ).then_invalid("canary")


class TestPauseRollout:
    def test_keeps_the_share_where_it_is(self):
        given(*ROLLING, advanced(5)).when(
            change.pause_rollout, by="ann", at=at(3.6), canary=COUNTS, baseline=COUNTS, note="odd"
        ).then(
            RolloutPaused(
                at=at(3.6), by="ann", percent=5.0, canary=COUNTS, baseline=COUNTS, note="odd"
            )
        )

    def test_before_the_first_share(self):
        given(*ROLLING).when(change.pause_rollout, by="ann", at=at(3.6)).then(paused(0))

    def test_pausing_again_records_nothing(self):
        given(*ROLLING, paused(0)).when(change.pause_rollout, by="ann", at=at(3.7)).then_nothing()

    def test_refused_where_nothing_is_rolled_out(self):
        given(*UNDER_WAY).when(change.pause_rollout, by="ann", at=at(3.6)).then_refused(
            guard="rollout"
        )

    def test_on_hold_it_is_told_and_unauthorised(self):
        given(*ROLLING, HELD).when(change.pause_rollout, by="ann", at=at(3.6)).then(
            RolloutPaused(at=at(3.6), by="ann", percent=0.0, unauthorised="not on hold")
        )


class TestAbortRollout:
    def test_goes_no_further_and_the_share_reached_is_kept(self):
        given(*ROLLING, advanced(5)).when(
            change.abort_rollout, by="ann", at=at(3.6), canary=COUNTS, baseline=COUNTS, note="bad"
        ).then(
            RolloutAborted(
                at=at(3.6),
                by="ann",
                percent=5.0,
                canary=COUNTS,
                baseline=COUNTS,
                note="bad",
                status=Status.IMPLEMENTED,
            )
        )

    def test_the_outcome_is_failed(self):
        aborted = RolloutAborted(at=at(3.6), by="ann", percent=5.0)

        assert change.fold([*ROLLING, advanced(5), aborted]).outcome is Outcome.FAILED

    def test_before_the_first_share(self):
        given(*ROLLING).when(change.abort_rollout, by="ann", at=at(3.6)).then(
            RolloutAborted(at=at(3.6), by="ann", percent=0.0)
        )

    def test_refused_where_nothing_is_rolled_out(self):
        given(*UNDER_WAY).when(change.abort_rollout, by="ann", at=at(3.6)).then_refused(
            guard="rollout"
        )

    def test_on_hold_it_is_told_and_unauthorised(self):
        given(*ROLLING, HELD).when(change.abort_rollout, by="ann", at=at(3.6)).then(
            RolloutAborted(at=at(3.6), by="ann", percent=0.0, unauthorised="not on hold")
        )


class TestComplete:
    def test_the_work_is_over_and_in_production(self):
        given(*UNDER_WAY).when(change.complete, by="ann", at=at(4), version="v2").then(
            ChangeCompleted(at=at(4), by="ann", version="v2", status=Status.IMPLEMENTED)
        )

    def test_new_commits_are_recorded_before_it(self):
        first = CommitsRecorded(at=at(3), by="ann", commits=(COMMIT,))
        other = Commit(id="b2")
        given(*UNDER_WAY, first).when(
            change.complete, by="ann", at=at(4), commits=[COMMIT, other]
        ).then(CommitsRecorded(at=at(4), by="ann", commits=(other,)), completed())

    def test_commits_known_already_record_nothing_of_their_own(self):
        first = CommitsRecorded(at=at(3), by="ann", commits=(COMMIT,))
        given(*UNDER_WAY, first).when(change.complete, by="ann", at=at(4), commits=[COMMIT]).then(
            completed()
        )

    @pytest.mark.parametrize(
        "events", [ROLLING, (*ROLLING, advanced(5)), (*UNDER_WAY, advanced(50))]
    )
    def test_refused_below_100_percent_of_a_rollout(self, events):
        given(*events).when(change.complete, by="ann", at=at(4)).then_refused(guard="rolled out")

    def test_allowed_at_100_percent(self):
        given(*ROLLING, advanced(100)).when(change.complete, by="ann", at=at(4)).then(completed())

    def test_on_hold_it_is_told_and_unauthorised(self):
        given(*UNDER_WAY, HELD).when(change.complete, by="ann", at=at(4)).then(
            completed(unauthorised="not on hold")
        )

    def test_once_only(self):
        given(*IN_PRODUCTION).when(change.complete, by="ann", at=at(5)).then_refused(guard="status")

    def test_the_version_is_an_id(self):
        given(*UNDER_WAY).when(change.complete, by="ann", at=at(4), version="").then_invalid(
            "version"
        )


class TestFail:
    @pytest.mark.parametrize("reached", [True, False])
    def test_says_whether_anything_reached_production(self, reached):
        given(*UNDER_WAY).when(
            change.fail, by="ann", at=at(4), reached_production=reached, why="build broke"
        ).then(
            ChangeFailed(
                at=at(4),
                by="ann",
                reached_production=reached,
                why="build broke",
                status=Status.IMPLEMENTED,
            )
        )

    def test_the_outcome_is_failed(self):
        assert change.fold([*UNDER_WAY, FAILED]).outcome is Outcome.FAILED

    def test_on_hold_it_is_told_and_unauthorised(self):
        given(*UNDER_WAY, HELD).when(change.fail, by="ann", at=at(4), reached_production=True).then(
            ChangeFailed(at=at(4), by="ann", reached_production=True, unauthorised="not on hold")
        )

    def test_refused_when_the_work_is_over(self):
        given(*IN_PRODUCTION).when(
            change.fail, by="ann", at=at(5), reached_production=True
        ).then_refused(guard="status")

    @pytest.mark.parametrize(("name", "value"), [("reached_production", 1), ("why", None)])
    def test_refuses_what_can_not_be_right(self, name, value):
        given(*UNDER_WAY).when(
            change.fail, **{"by": "ann", "at": at(4), "reached_production": True, name: value}
        ).then_invalid(name)


class TestRollBack:
    @pytest.mark.parametrize(
        "events",
        [
            UNDER_WAY,
            IN_PRODUCTION,
            (*IN_PRODUCTION, validated("smoke", passed=True)),
            (*IN_PRODUCTION, CLOSED),
        ],
        ids=["implementing", "implemented", "validated", "closed"],
    )
    def test_taken_out_again_at_its_own_time_with_the_incident(self, events):
        given(*events).when(
            change.roll_back, by="ann", at=at(7), incident="INC-1", why="errors"
        ).then(
            ChangeRolledBack(
                at=at(7),
                by="ann",
                incident="INC-1",
                reached_production=True,
                why="errors",
                status=None if events is IN_PRODUCTION else Status.IMPLEMENTED,
            )
        )

    def test_taken_back_before_anybody_got_it(self):
        given(*UNDER_WAY).when(change.roll_back, by="ann", at=at(5), reached_production=False).then(
            ChangeRolledBack(at=at(5), by="ann", reached_production=False)
        )

    def test_a_closed_change_must_be_closed_again_not_as_successful(self):
        before = (*IN_PRODUCTION, CLOSED, ROLLED_BACK)
        given(*before).when(
            change.close, by="ann", at=at(8), result=Result.SUCCESSFUL
        ).then_refused(guard="result fits the outcome")
        given(*before).when(change.close, by="ann", at=at(8), result=Result.UNSUCCESSFUL).then(
            ChangeClosed(at=at(8), by="ann", result=Result.UNSUCCESSFUL)
        )

    def test_on_hold_it_is_told_and_unauthorised(self):
        given(*IN_PRODUCTION, HELD).when(change.roll_back, by="ann", at=at(5)).then(
            ChangeRolledBack(
                at=at(5),
                by="ann",
                reached_production=True,
                unauthorised="not on hold",
                status=None,
            )
        )

    def test_refused_before_it_is_under_way(self):
        given(planned(), submitted()).when(change.roll_back, by="ann", at=at(5)).then_refused(
            guard="status"
        )

    @pytest.mark.parametrize(
        ("name", "value"), [("reached_production", "yes"), ("incident", ""), ("why", 3)]
    )
    def test_refuses_what_can_not_be_right(self, name, value):
        given(*UNDER_WAY).when(
            change.roll_back, **{"by": "ann", "at": at(5), name: value}
        ).then_invalid(name)


class TestRecover:
    recovered = ChangeRecovered(at=at(6), by="ann")

    @pytest.mark.parametrize(
        "events",
        [
            (*UNDER_WAY, FAILED),
            (*IN_PRODUCTION, validated("smoke", passed=True)),
            (*IN_PRODUCTION, CLOSED),
        ],
        ids=["implemented", "validated", "closed"],
    )
    def test_service_was_good_again(self, events):
        given(*events).when(change.recover, by="ann", at=at(6)).then(self.recovered)

    def test_the_first_time_counts(self):
        given(*UNDER_WAY, FAILED, self.recovered).when(
            change.recover, by="bea", at=at(7)
        ).then_nothing()

    def test_on_hold_it_is_told_and_unauthorised(self):
        given(*UNDER_WAY, FAILED, HELD).when(change.recover, by="ann", at=at(6)).then(
            ChangeRecovered(at=at(6), by="ann", unauthorised="not on hold")
        )

    def test_refused_while_the_work_goes_on(self):
        given(*UNDER_WAY).when(change.recover, by="ann", at=at(6)).then_refused(guard="status")


class TestValidate:
    def test_validated_if_every_check_passed(self):
        given(*IN_PRODUCTION).when(
            change.validate, by="ann", at=at(5), check="smoke", passed=True, evidence="log"
        ).then(
            ChangeValidated(
                at=at(5),
                by="ann",
                check="smoke",
                passed=True,
                evidence="log",
                status=Status.VALIDATED,
            )
        )

    def test_a_failed_check_leaves_it_implemented(self):
        given(*IN_PRODUCTION).when(
            change.validate, by="ann", at=at(5), check="smoke", passed=False
        ).then(validated("smoke", passed=False, status=None))

    def test_a_later_failure_takes_the_validation_back(self):
        given(*IN_PRODUCTION, validated("smoke", passed=True)).when(
            change.validate, by="ann", at=at(6), check="errors", passed=False
        ).then(validated("errors", passed=False, hours=6, status=Status.IMPLEMENTED))

    def test_the_latest_result_of_every_check_counts(self):
        failed = validated("smoke", passed=False, status=None)
        given(*IN_PRODUCTION, failed).when(
            change.validate, by="ann", at=at(6), check="errors", passed=True
        ).then(validated("errors", passed=True, hours=6, status=None))
        given(*IN_PRODUCTION, failed).when(
            change.validate, by="ann", at=at(6), check="smoke", passed=True
        ).then(validated("smoke", passed=True, hours=6))

    def test_on_hold_it_is_told_and_unauthorised(self):
        given(*IN_PRODUCTION, HELD).when(
            change.validate, by="ann", at=at(5), check="smoke", passed=True
        ).then(
            ChangeValidated(
                at=at(5), by="ann", check="smoke", passed=True, unauthorised="not on hold"
            )
        )

    def test_keeps_the_status_while_the_work_goes_on(self):
        told = ChangeValidated(at=at(5), by="ann", check="smoke", passed=True, status=None)
        given(*UNDER_WAY).when(
            change.validate, by="ann", at=at(5), check="smoke", passed=True
        ).then(told)
        state = change.fold((*UNDER_WAY, told))
        assert (state.status, state.outcome) == ("implementing", None)
        assert state.checks == {"smoke": change.Checked(True, at(5))}

    @pytest.mark.parametrize(
        ("name", "value"), [("check", ""), ("passed", "yes"), ("evidence", None)]
    )
    def test_refuses_what_can_not_be_right(self, name, value):
        given(*IN_PRODUCTION).when(
            change.validate,
            **{"by": "ann", "at": at(5), "check": "smoke", "passed": True, name: value},
        ).then_invalid(name)


class TestClose:
    @pytest.mark.parametrize("result", Result)
    def test_documents_the_result_with_notes(self, result):
        given(*IN_PRODUCTION).when(
            change.close, by="ann", at=at(6), result=result, notes="quiet"
        ).then(ChangeClosed(at=at(6), by="ann", result=result, notes="quiet", status=Status.CLOSED))

    def test_from_validated(self):
        given(*IN_PRODUCTION, validated("smoke", passed=True)).when(
            change.close, by="ann", at=at(6), result="successful"
        ).then(CLOSED)

    @pytest.mark.parametrize("end", [FAILED, ROLLED_BACK], ids=["failed", "rolled back"])
    @pytest.mark.parametrize("result", [Result.SUCCESSFUL, Result.SUCCESSFUL_WITH_ISSUES])
    def test_what_failed_or_was_rolled_back_is_not_successful(self, end, result):
        error = (
            given(*UNDER_WAY, end)
            .when(change.close, by="ann", at=at(6), result=result)
            .then_refused(guard="result fits the outcome")
        )

        assert "unsuccessful" in error.why

    def test_without_an_outcome_it_is_not_successful(self):
        started_so = started(status=Status.IMPLEMENTED, imported=True)
        error = (
            given(planned(), started_so)
            .when(change.close, by="ann", at=at(6), result=Result.SUCCESSFUL)
            .then_refused(guard="result fits the outcome")
        )

        assert "without outcome" in error.why

    def test_may_close_while_retroactive_approval_is_outstanding_which_stays_visible(self):
        before = (*UNAPPROVED, completed())
        given(*before).when(change.close, by="ann", at=at(6), result="successful").then(CLOSED)

        assert change.fold([*before, CLOSED]).outstanding is True

    def test_refused_while_the_work_goes_on(self):
        given(*UNDER_WAY).when(change.close, by="ann", at=at(6), result="successful").then_refused(
            guard="status"
        )

    @pytest.mark.parametrize(("name", "value"), [("result", "great"), ("notes", None)])
    def test_refuses_what_can_not_be_right(self, name, value):
        given(*IN_PRODUCTION).when(
            change.close, **{"by": "ann", "at": at(6), "result": "successful", name: value}
        ).then_invalid(name)


class TestCancel:
    @pytest.mark.parametrize(
        "more",
        [[], [submitted()], [submitted(), approved()]],
        ids=["draft", "submitted", "approved"],
    )
    def test_will_not_be_done_and_why(self, more):
        given(planned(), *more).when(
            change.cancel, by="ann", at=at(3), why="no longer needed"
        ).then(ChangeCancelled(at=at(3), by="ann", why="no longer needed", status=Status.CANCELLED))

    def test_refused_once_it_is_under_way(self):
        given(*UNDER_WAY).when(change.cancel, by="ann", at=at(4), why="x").then_refused(
            guard="status"
        )

    def test_needs_a_reason(self):
        given(planned()).when(change.cancel, by="ann", at=at(3), why=" ").then_invalid("why")


class TestCorrect:
    def ask(self, *events, **arguments):
        return given(*events).when(
            change.correct,
            **{
                "by": "bea",
                "at": at(9),
                "version": 1,
                "field": "services",
                "was": (),
                "now": ["payments"],
                "why": "forgotten",
                **arguments,
            },
        )

    def test_a_fact_was_recorded_wrongly(self):
        self.ask(planned(imported=True, status=Status.IMPLEMENTED)).then(
            ServicesCorrected(
                at=at(9),
                by="bea",
                version=1,
                field="services",
                was=(),
                now=("payments",),
                why="forgotten",
            )
        )

    @pytest.mark.parametrize("field", ["risk", "window", "requested_by", "type", "by", "title"])
    def test_content_and_who_decided_are_not_corrected(self, field):
        self.ask(planned(), field=field).then_refused(guard="correctable")

    def test_refused_before_there_is_anything(self):
        self.ask().then_refused(guard="status")

    def test_what_stands_already_records_nothing(self):
        self.ask(planned(services=("payments",))).then_nothing()

    def test_needs_a_reason(self):
        self.ask(planned(), why="").then_invalid("why")


class TestVoid:
    def ask(self, *events, version, why="wrong change"):
        return given(*events).when(change.void, by="bea", at=at(9), version=version, why=why)

    def voided(self, version, status):
        return EventVoided(at=at(9), by="bea", version=version, status=status, why="wrong change")

    def test_an_event_never_happened(self):
        self.ask(*IN_PRODUCTION, version=5).then(self.voided(5, "implementing"))

    def test_of_those_that_changed_the_status_only_the_last(self):
        self.ask(*IN_PRODUCTION, version=4).then_refused(guard="last change of status")

    def test_again_and_again(self):
        self.ask(*IN_PRODUCTION, self.voided(5, "implementing"), version=4).then(
            self.voided(4, "approved")
        )

    def test_a_vote_on_which_the_approval_rests_can_not_be(self):
        """Else it would start below its quorum, on the word of one."""
        first = approved(quorum=2, votes=1, policy=said("1 of 2 votes", TWO_VOTES), status=None)
        second = approved(by="cem", quorum=2, votes=2, policy=said("approved", TWO_VOTES))
        third = approved(
            by="dan", quorum=2, votes=3, policy=said("approved", TWO_VOTES), status=None
        )

        self.ask(planned(), submitted(), first, second, version=3).then_refused(
            guard="approval stands"
        )
        # Which votes the quorum took depends on the policy: it rests on all that counted.
        self.ask(planned(), submitted(), first, second, third, version=3).then_refused(
            guard="approval stands"
        )
        self.ask(planned(), submitted(), first, version=3).then(self.voided(3, "submitted"))

    def test_the_content_that_was_approved_can_not_be_either(self):
        """Nor what was submitted: who votes sees it as it was put up."""
        events = planned(), revised(0.5), submitted(), approved(content=2)
        for more in ((), (started(),)):
            self.ask(*events, *more, version=2).then_refused(guard="content stands")
        self.ask(*events[:3], version=2).then_refused(guard="content stands")
        self.ask(*events[:2], version=2).then(self.voided(2, "draft"))

    def test_what_is_void_already_records_nothing(self):
        self.ask(*IN_PRODUCTION, self.voided(5, "implementing"), version=5).then_nothing()

    def test_refused_before_there_is_anything(self):
        self.ask(version=1).then_refused(guard="status")

    def test_needs_a_reason(self):
        self.ask(planned(), version=1, why="").then_invalid("why")

    def test_without_its_observation_it_is_not_implemented(self):
        checked = validated("smoke", passed=False, status=None)
        state = change.fold([OBSERVED, checked, self.voided(1, "nothing")])

        assert state.status is Status.NOTHING


class TestBackdating:
    """A live step may be backdated freely, but not before the stream's first moment."""

    def test_refused_before_the_first_moment(self):
        error = (
            given(planned())
            .when(change.submit, by="ann", at=at(-1))
            .then_refused(guard="not before the first moment")
        )

        assert str(START) in error.why

    def test_what_breaks_order_with_earlier_steps_is_no_refusal(self):
        given(*UNDER_WAY).when(change.complete, by="ann", at=at(1)).then(completed(1))

    def test_an_uncertain_moment_is_before_it_only_when_all_of_it_is(self):
        around = Between(earliest=at(-1), latest=at(0))
        given(planned()).when(change.submit, by="ann", at=around).then(submitted(at=around))

    def test_history_without_moments_has_no_first_one(self):
        given(planned(at=None, imported=True)).when(change.submit, by="ann", at=at(-9)).then(
            submitted(-9)
        )
