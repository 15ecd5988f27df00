"""Ways round the rules, each of which was open once: what is not refused is marked."""

from datetime import UTC, datetime, timedelta

import pytest

from imcm import (
    ApprovalRule,
    ApprovedTemplate,
    Between,
    CanaryPlan,
    ChangeType,
    Counts,
    Freeze,
    History,
    InvalidValue,
    Ledger,
    PlanRule,
    Policy,
    Risk,
    RolloutRule,
    StepRefused,
    Weekly,
    Window,
    change,
    facts,
)
from imcm.domain.change_events import (
    ChangeApprovedRetroactively,
    ChangeCancelled,
    ChangeClosed,
    ChangeCompleted,
    ChangeDeployed,
    ChangeObserved,
    ChangePlanned,
    ChangeScheduled,
    ChangeStarted,
    ChangeSubmitted,
    ChangeValidated,
    RolloutAdvanced,
    VoteGiven,
)
from imcm.domain.corrections import MomentCorrected

DAY = timedelta(days=1)


def at(day, hour=10, minute=0):
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


FRIDAY = at(6, 17)
WEEKENDS = Weekly(start="Fri 16:00", end="Mon 08:00")
WEEKEND = Freeze(name="weekend", times=WEEKENDS, override_by=["mia"])
TWO_OF_PAY = ApprovalRule(votes=2, services=["pay"])


class Story:
    def __init__(self, **rules):
        self.ledger = Ledger.in_memory(clock=lambda: at(28))
        self.adopt("1", **rules)

    def adopt(self, version, **rules):
        policy = Policy(name="s", version=version, stewards=["mia"], **rules)
        self.ledger.adopt(policy, by="mia")

    def do(self, step, on=2, by="lena", **arguments):
        moment = at(on) if isinstance(on, int) else on
        return self.ledger.record("CHG-1", step, by=by, at=moment, **arguments)

    def refused(self, guard, step, on=2, by="lena", **arguments):
        with pytest.raises(StepRefused) as no:
            self.do(step, on, by, **arguments)
        assert no.value.guard == guard, no.value

    def say(self, *events):
        """Bring in what a source says."""
        told = tuple((event, None) for event in events)
        self.ledger.bring_in([History(stream="change:CHG-1", events=told)])

    def plan(self, **fields):
        told = {"title": "x", "risk": "low", "rollback_plan": "x", "services": ["docs"]}
        self.do(change.plan, **{**told, **fields})

    def approve(self, *people, **fields):
        self.plan(**fields)
        self.do(change.submit)
        for person in people or ("bob",):
            self.do(change.approve, by=person)

    def went_in(self):
        [row] = facts(self.ledger.replay()).changes
        return row.authorisation, row.unauthorised

    @property
    def gate(self):
        return self.ledger.gate("CHG-1", at=at(3))


def test_content_corrected_while_cancelled():
    story = Story(rules=[TWO_OF_PAY])
    story.approve()
    story.do(change.cancel, why="x")
    was, now = ("docs",), ("pay",)
    story.do(change.correct, version=1, field="services", was=was, now=now, why="x")
    story.do(change.void, version=4, why="x")
    assert [guard for guard, _ in story.gate.refusals] == ["content as approved"]
    story.refused("content as approved", change.start, 3)
    story.do(change.revise, why="as it stands", services=["pay"])
    story.do(change.submit)
    story.do(change.approve, by="bob")
    story.do(change.approve, by="dan")
    assert story.gate.open


def test_content_that_a_source_moved():
    story = Story(rules=[TWO_OF_PAY])
    story.approve()
    story.say(ChangePlanned(at=at(2), by="x", type="normal", services=("pay",), imported=True))
    assert not story.gate.open
    story.refused("content as approved", change.start, 3)


def test_start_that_a_source_tells_of_a_frozen_weekend():
    story = Story(freezes=[WEEKEND], valid_for=DAY)
    story.approve(window=Window(start=at(2), end=at(3)))
    story.say(
        ChangeStarted(at=FRIDAY, by="x", imported=True),
        ChangeDeployed(at=at(6, 18), by="x", imported=True),
    )
    authorisation, unauthorised = story.went_in()
    assert (authorisation, len(unauthorised)) == ("outstanding", 1)
    assert set(unauthorised) <= {"vote lapsed", "freeze", "inside the window"}


def test_start_that_a_source_tells_of_what_was_cancelled():
    story = Story()
    story.approve()
    story.do(change.cancel, why="x")
    story.say(ChangeStarted(at=at(2), by="x", imported=True))
    authorisation, _ = story.went_in()
    assert authorisation == "outstanding"


def test_start_that_a_source_tells_as_it_was_approved():
    story = Story(freezes=[WEEKEND])
    story.approve(window=Window(start=at(2), end=at(3)))
    story.say(
        ChangeStarted(at=at(2, 12), by="x", imported=True),
        ChangeDeployed(at=at(2, 13), by="x", imported=True),
    )
    assert story.went_in() == ("approved", ())


def test_vote_of_a_group_voided_where_others_are_enough():
    groups = {"dba": ["sam"], "sec": ["ann"]}
    story = Story(groups=groups, rules=[ApprovalRule(votes=2, of={"dba": 1, "sec": 1})])
    story.approve("sam", "bob", "ann")
    story.refused("approval stands", change.void, by="zed", version=3, why="x")


def test_submission_that_a_source_tells_under_no_rules():
    story = Story(approvals=3)
    story.approve()
    story.adopt("2", approvals=1)
    story.say(ChangeSubmitted(at=at(2), by="x", imported=True))
    story.do(change.approve, by="sam")
    assert story.ledger.change("CHG-1").status == "submitted"
    story.do(change.approve, by="dan")
    assert story.gate.open


@pytest.mark.parametrize(
    ("rules", "fields"),
    [
        ({"plans": [PlanRule(needs=["test_plan"])]}, {}),
        ({"templates": [ApprovedTemplate(name="t", version="1")]}, {"type": "standard"}),
    ],
)
def test_submission_that_a_source_tells_of_a_draft(rules, fields):
    story = Story(**rules)
    story.plan(**fields)
    story.say(ChangeSubmitted(at=at(2), by="x", imported=True))
    assert story.ledger.change("CHG-1").status == "draft"
    story.refused("status", change.approve, by="bob")


def test_revision_voided_by_whoever_made_it():
    story = Story()
    story.plan()
    story.do(change.revise, by="mal", why="m", services=["pay"], rollback_plan="evil")
    story.do(change.revise, why="typo", test_plan="y")
    story.do(change.void, by="mal", version=2, why="x")
    story.do(change.submit)
    story.refused("separation of duties", change.approve, by="mal")


def test_plan_voided_and_planned_by_another():
    story = Story()
    story.plan(by="mal", requested_by="rob")
    story.do(change.void, by="mal", version=1, why="x")
    story.plan()
    story.do(change.submit)
    for person in ("mal", "rob"):
        story.refused("separation of duties", change.approve, by=person)


def test_start_that_may_have_been_before_the_freeze():
    story = Story(freezes=[WEEKEND])
    story.approve()
    story.refused("freeze", change.start, Between(earliest=at(2), latest=FRIDAY))


def test_window_that_a_source_schedules():
    story = Story()
    story.approve(window=Window(start=at(2, 9), end=at(2, 12)))
    later = Window(start=at(5), end=at(6))
    story.say(ChangeScheduled(at=at(2), by="x", window=later, imported=True))
    story.refused("inside the window", change.start, 5)


def test_steps_and_checks_that_a_source_tells_of_a_rollout():
    rule = RolloutRule(first=5, bake=timedelta(hours=1), checks=["smoke"], canary=CanaryPlan())
    story = Story(rollouts=[rule])
    story.approve()
    story.do(change.start, 3, rollout_plan=(5, 100))
    story.say(RolloutAdvanced(at=at(3), by="x", percent=100.0, imported=True))
    assert story.ledger.change("CHG-1").percent == 0
    story.do(change.advance_rollout, at(3, 10, 1), percent=5)
    checked = ChangeValidated(at=at(3, 10, 2), by="x", check="smoke", passed=True, imported=True)
    story.say(checked)
    assert story.ledger.change("CHG-1").checks == {}
    story.refused("bake time", change.advance_rollout, at(3, 10, 3), percent=100)


def test_vote_corrected_to_a_later_day():
    story = Story()
    story.approve()
    story.adopt("2", valid_for=3 * DAY)
    story.do(change.correct, 20, version=3, field="at", was=at(2), now=at(19), why="x")
    story.refused("vote lapsed", change.start, 20)


def test_override_of_a_freeze_of_other_rules_with_the_same_name():
    narrow = Freeze(name="w", times=WEEKENDS, services=["docs"], override_by=["sam"])
    story = Story(freezes=[narrow])
    story.approve()
    story.do(change.override_freeze, 6, by="sam", freeze="w", why="x")
    wide = Freeze(name="w", times=Window(start=at(1), end=at(27)), override_by=["sam"])
    story.adopt("2", freezes=[wide])
    story.refused("freeze", change.start, FRIDAY)


def test_risk_that_a_source_planned_before_it_was_submitted_here():
    story = Story()
    planned = ChangePlanned(
        at=at(2),
        by="x",
        type=ChangeType.NORMAL,
        risk=Risk.LOW,
        has_rollback_plan=True,
        imported=True,
    )
    story.say(planned)
    story.do(change.submit)
    story.say(
        ChangeStarted(at=at(3), by="z", imported=True),
        ChangeDeployed(at=at(3), by="z", imported=True),
    )
    assert story.went_in() == ("outstanding", ("approved",))


def test_failed_check_voided_by_whoever_told_it():
    story = Story(rollouts=[RolloutRule(first=5, checks=["smoke"])])
    story.approve()
    story.do(change.start, 3, rollout_plan=(5, 100))
    story.do(change.advance_rollout, 3, percent=5)
    story.do(change.validate, 3, check="smoke", passed=True)
    story.do(change.validate, 3, check="smoke", passed=False)
    story.refused("evidence stands", change.void, 3, version=7, why="x")
    story.refused("checks", change.advance_rollout, 3, percent=100)


# --- what was put up ------------------------------------------------------------------------------

PLANS = [PlanRule(needs=["test_plan"], risks=["high"])]


def test_risk_revised_after_it_was_submitted():
    story = Story(plans=PLANS)
    story.plan()
    story.do(change.submit)
    story.do(change.revise, why="x", risk="high")
    story.refused("plans", change.approve, by="bob")
    story.do(change.revise, why="x", test_plan="x")
    story.do(change.approve, by="bob")
    assert story.gate.open


def test_revision_voided_after_it_was_submitted():
    story = Story(plans=PLANS)
    story.plan(risk="high")
    story.do(change.revise, why="x", risk="low")
    story.do(change.submit)
    story.refused("content stands", change.void, version=2, why="x")
    story.do(change.approve, by="bob")
    story.refused("content stands", change.void, version=2, why="x")


def test_reference_voided_after_it_was_submitted():
    story = Story(plans=[PlanRule(references=["ticket"])])
    story.plan()
    story.do(change.refer, kind="ticket", address="OPS-7")
    story.do(change.submit)
    story.do(change.approve, by="bob")
    story.refused("content stands", change.void, version=2, why="x")


def test_one_half_of_a_revision_voided():
    """What a step revises of content and of scope are two events: a vote was for both."""
    story = Story(approvals=2)
    story.plan(services=["pay"])
    story.do(change.submit)
    story.do(change.revise, why="x", services=["docs"], environment="staging")
    story.do(change.approve, by="bob")
    story.refused("content stands", change.void, version=3, why="x")
    story.do(change.void, version=4, why="x")
    story.do(change.approve, by="eve")
    assert not story.gate.open


# --- what speaks against going on -----------------------------------------------------------------


def counted(requests, errors):
    return Counts(requests=requests, errors=errors)


BAD = {"canary": counted(1000, 450), "baseline": counted(1000, 10)}


def running(rule):
    story = Story(rollouts=[rule])
    story.approve()
    story.do(change.start, 3, rollout_plan=(5, 100))
    story.do(change.advance_rollout, 3, by="ci", percent=5)
    return story


def test_bad_counts_lost_with_the_step_they_were_told_of():
    story = running(RolloutRule(first=5, canary=CanaryPlan()))
    story.do(change.pause_rollout, 3, by="ci", **BAD)
    for version in (4, 5, 6):
        with pytest.raises(StepRefused):
            story.do(change.void, 3, by="ci", version=version, why="x")
    good = {"canary": counted(5000, 50), "baseline": counted(5000, 50)}
    story.refused("canary", change.advance_rollout, 4, by="ci", percent=100, **good)


def test_failed_check_lost_with_the_step_it_was_told_of():
    story = running(RolloutRule(first=5, checks=["smoke"]))
    story.do(change.validate, 3, by="ci", check="smoke", passed=True)
    story.do(change.validate, 3, by="ci", check="smoke", passed=False)
    story.refused("evidence stands", change.void, 3, by="bob", version=5, why="x")


def test_failures_voided_by_whoever_told_them():
    story = running(RolloutRule(first=5))
    story.do(change.fail, 3, by="ci", reached_production=True)
    story.refused("evidence stands", change.void, 3, by="ci", version=6, why="x")
    story.do(change.void, 3, by="bob", version=6, why="it did not")
    story.do(change.abort_rollout, 3, by="ci", **BAD)
    story.refused("evidence stands", change.void, 3, by="ci", version=8, why="x")


def test_refusal_voided():
    story = Story()
    story.ledger.close()
    with Ledger.in_memory(clock=lambda: at(28), record_refusals=True) as story.ledger:
        story.approve()
        story.refused("status", change.submit, 3)
        assert len(story.ledger.history("change:CHG-1")) == 4
        story.refused("evidence stands", change.void, 3, version=4, why="x")


def test_agent_that_edits_what_others_decided():
    story = Story(actors={"agent": ["bot-*"]})
    story.plan()
    story.do(change.submit)
    story.do(change.reject, by="bob", why="no")
    story.refused("actor", change.void, by="bot-1", version=3, why="x")
    story.do(change.submit)
    story.do(change.approve, by="bob")
    story.do(change.start, 3, by="bot-1")
    story.do(change.complete, 3, by="bot-1")
    story.do(change.close, 3, by="bot-1", result="unsuccessful")
    told = {"version": 8, "field": "result", "was": "unsuccessful", "now": "successful"}
    story.refused("actor", change.correct, 3, by="bot-1", why="x", **told)


def test_check_that_was_stale_and_is_corrected_to_a_later_time():
    story = running(RolloutRule(first=5, checks=["smoke"], fresh_for=timedelta(hours=1)))
    story.do(change.validate, 3, by="ci", check="smoke", passed=True)
    story.refused("checks", change.advance_rollout, 4, by="ci", percent=100)
    told = {"version": 6, "field": "at", "was": at(3), "now": at(4)}
    story.do(change.correct, 4, by="ci", why="x", **told)
    story.refused("checks", change.advance_rollout, 4, by="ci", percent=100)


# --- what a source says ---------------------------------------------------------------------------


def test_source_that_votes_rules_and_sets_a_status_back():
    story = Story(approvals=2)
    story.approve()
    story.say(
        VoteGiven(
            at=at(2), by="eve", authority="peer", content=1, votes=2, quorum=2, status="approved",
            imported=True,
        ),
        ChangeApprovedRetroactively(at=at(2), by="x", imported=True),
    )  # fmt: skip
    assert len(story.ledger.history("change:CHG-1")) == 3
    assert story.ledger.change("CHG-1").status == "submitted"


def test_source_that_found_it_in_production():
    story = Story(approvals=2)
    story.approve()
    found = ChangeObserved(at=at(3), by="x", type=ChangeType.EMERGENCY, imported=True)
    story.say(found)
    state = story.ledger.change("CHG-1")
    assert (state.type, state.outstanding) == ("normal", True)
    assert story.went_in()[0] == "outstanding"
    story.do(change.refuse_retroactively, 3, by="bob", why="nobody voted")


def test_source_that_found_what_is_outstanding():
    story = Story()
    story.plan(type="emergency", incident="INC-1")
    story.do(change.submit)
    story.do(change.start, 3)
    story.say(ChangeObserved(at=at(3), by="x", imported=True))
    assert story.ledger.change("CHG-1").outstanding
    assert story.went_in()[0] == "outstanding"


def test_source_that_says_that_a_rollout_is_over():
    story = running(RolloutRule(first=5))
    story.say(ChangeCompleted(at=at(4), by="x", imported=True))
    assert story.went_in()[1] == ("rolled out",)


def test_source_that_says_that_it_went_well_after_all():
    story = running(RolloutRule(first=5))
    story.do(change.fail, 3, by="ci", reached_production=True)
    story.say(ChangeCompleted(at=at(4), by="x", imported=True))
    assert story.ledger.change("CHG-1").outcome == "failed"


def test_source_that_corrects_what_was_told_here():
    story = Story()
    story.approve()
    moved = MomentCorrected(
        at=at(3), by="x", version=3, field="at", was=at(2), now=at(9), why="x", imported=True
    )
    story.say(moved)
    assert len(story.ledger.history("change:CHG-1")) == 3


# --- what a third attack found --------------------------------------------------------------------


def revised_in_two(story):
    """Put up content that came by two revisions, the earlier of which asks for less."""
    story.plan(services=["pay"], risk="high")
    story.do(change.revise, why="w", services=["docs"], risk="low", environment="staging")
    story.do(change.submit)
    story.do(change.approve, by="bob")


def test_half_of_what_was_put_up_voided_in_a_draft():
    story = Story(rules=[TWO_OF_PAY])
    revised_in_two(story)
    story.do(change.revise, why="w")
    story.refused("content stands", change.void, version=2, why="w")
    story.do(change.void, version=6, why="w")
    assert story.ledger.change("CHG-1").services == ("docs",)


def test_half_of_what_was_put_up_voided_under_a_voided_submission():
    story = Story(rules=[TWO_OF_PAY])
    revised_in_two(story)
    story.do(change.void, by="bob", version=5, why="w")
    story.do(change.void, version=4, why="w")
    for version in (2, 3):
        story.refused("content stands", change.void, version=version, why="w")


def test_reference_voided_in_a_draft_under_the_approval_that_it_took():
    story = Story(plans=[PlanRule(references=["ticket"])])
    story.plan()
    story.do(change.refer, kind="ticket", address="OPS-7")
    story.do(change.submit)
    story.do(change.approve, by="bob")
    story.do(change.revise, why="w")
    story.refused("content stands", change.void, version=2, why="w")


def test_deployment_that_a_source_tells_voided_by_anybody():
    from imcm import anomalies, duties

    story = Story(approvals=2)
    story.plan()
    story.do(change.submit)
    deployed = ChangeDeployed(at=at(3), by="x", imported=True)
    story.say(deployed)
    story.do(change.void, by="zoe", version=3, why="w")
    log = tuple(story.ledger.replay())
    [row] = duties(log).rows
    assert row.exceptions or row.unknown
    assert "decision or finding voided" in {each.oddity.value for each in anomalies(log)}
    story.say(deployed)
    assert story.ledger.change("CHG-1").status == "submitted"
    story.say(ChangeDeployed(at=at(4), by="x", imported=True))  # it says something else now
    assert story.went_in() == ("outstanding", ("approved",))
    story.say(ChangeDeployed(at=at(4), by="x", imported=True))
    assert len(story.ledger.change("CHG-1").past) == 5


def test_close_that_a_source_tells_before_the_deployment():
    story = Story(approvals=2)
    story.plan()
    story.do(change.submit)
    story.say(ChangeValidated(at=at(3), by="x", check="smoke", passed=True, imported=True))
    story.say(ChangeClosed(at=at(3), by="x", imported=True))
    assert story.ledger.change("CHG-1").status == "submitted"
    story.say(ChangeDeployed(at=at(3), by="x", imported=True))
    assert story.went_in() == ("outstanding", ("approved",))


@pytest.mark.parametrize(
    ("rules", "plan", "guard"),
    [
        ({"freezes": [WEEKEND]}, {}, "freeze"),
        ({"valid_for": DAY}, {}, "vote lapsed"),
        ({}, {"window": Window(start=at(2), end=at(3))}, "inside the window"),
        ({}, {}, None),
    ],
)
def test_deployment_at_a_moment_that_no_source_tells(rules, plan, guard):
    story = Story(**rules)
    story.approve(**plan)
    story.say(ChangeCompleted(at=None, by="x", imported=True))
    assert story.went_in()[1] == (() if guard is None else (guard,))


def test_deployment_that_a_source_moves_into_a_freeze():
    from imcm import duties

    story = Story(freezes=[WEEKEND])
    story.approve()
    story.say(ChangeDeployed(at=at(3), by="x", imported=True))
    assert story.went_in()[1] == ()
    story.say(ChangeDeployed(at=FRIDAY, by="x", imported=True))
    [row] = duties(story.ledger.replay()).rows
    assert "a source says that it was in weekend" in [each.reason for each in row.exceptions]


def test_rollout_that_a_source_tells_of_all_at_once():
    story = Story(rollouts=[RolloutRule(first=5)])
    story.approve()
    story.say(ChangeStarted(at=at(3), by="x", imported=True))
    assert story.went_in()[0] == "outstanding"


def test_change_of_a_source_that_is_voted_on_here_lives_here():
    story = Story(approvals=2)
    window = Window(start=at(5), end=at(6))
    planned = ChangePlanned(
        at=at(2),
        by="src",
        type=ChangeType.NORMAL,
        risk=Risk.LOW,
        has_rollback_plan=True,
        window=window,
        imported=True,
    )
    story.say(planned, ChangeSubmitted(at=at(2), by="src", imported=True))
    story.do(change.approve, by="bob")
    story.say(ChangeScheduled(at=at(2), by="src", window=Window(start=at(2), end=at(4)),
                              imported=True))  # fmt: skip
    story.do(change.approve, by="eve")
    assert not story.gate.open
    bare = Story()
    bare.say(ChangePlanned(at=at(2), by="src", type=ChangeType.NORMAL, imported=True),
             ChangeSubmitted(at=at(2), by="src", imported=True))  # fmt: skip
    bare.refused("plans", change.approve, by="bob")


@pytest.mark.parametrize("other", ["ana\u02d7b", "ana\u2043b", "ana - b", "ANA\u2013b"])
def test_second_vote_of_one_person_under_another_dash(other):
    story = Story(approvals=2)
    story.approve("ana-b", other)
    assert not story.gate.open


@pytest.mark.parametrize("sign", ["\U00016fe4", "\U0001d159", "\ufffc"])
def test_sign_that_nobody_sees_in_the_name_of_who_votes(sign):
    story = Story()
    story.plan()
    story.do(change.submit)
    with pytest.raises(InvalidValue):
        story.do(change.approve, by=f"len{sign}a")


def test_agent_under_another_spelling_of_its_pattern():
    story = Story(actors={"agent": ["bot-*"], "person": ["*"]})
    story.plan()
    story.do(change.submit)
    story.refused("actor", change.approve, by="bot -7")


def test_source_that_cancels_what_is_going_in():
    story = running(RolloutRule(first=5))
    story.say(ChangeCancelled(at=at(4), by="x", imported=True))
    assert story.ledger.change("CHG-1").status == "implementing"
    story.do(change.advance_rollout, 4, by="ci", percent=100)


def test_vote_of_who_revised_it_since_and_voided_that():
    story = Story()
    story.approve()
    story.do(change.revise, by="bob", why="w")
    story.do(change.void, by="bob", version=4, why="w")
    story.refused("vote lapsed", change.start, 3)
    assert not story.gate.open
    story.do(change.approve, by="eve")
    assert story.gate.open


@pytest.mark.parametrize(
    "rules",
    [
        {"authorities": ["cab"], "members": {"cab": ["mia"]}, "approvals": 2},
        {"authorities": ["cab"], "members": {"cab": ["mia", "MIA"]},
         "rules": [ApprovalRule(votes=2)]},
    ],
)  # fmt: skip
def test_quorum_that_nobody_can_reach(rules):
    with pytest.raises(InvalidValue, match="who are all that may vote"):
        Policy(name="x", **rules)


def test_vote_given_at_a_time_that_may_still_come():
    story = Story(valid_for=DAY)
    story.plan()
    story.do(change.submit)
    never = datetime(9999, 1, 1, tzinfo=UTC)
    story.do(change.approve, Between(earliest=at(2), latest=never), by="bob")
    assert story.gate.refusals
    story.do(change.approve, 3, by="eve")  # it does not lapse with that of bob
    assert story.gate.open


def test_policy_of_the_same_name_in_other_letters():
    story = Story()
    with pytest.raises(StepRefused) as no:
        story.ledger.adopt(Policy(name="S", version="1", approvals=2, stewards=["mia"]), by="mia")
    assert no.value.guard == "name"
