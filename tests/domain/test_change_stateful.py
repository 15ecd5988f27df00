"""
Any sequence of steps of a change: what is accepted replays to the same state, and to the facts.

Steps are drawn from those that are possible, by weights set by hand, since most sequences drawn
blindly get stuck in the first statuses; the test at the end says that every step was accepted.
"""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from domain.examples import at, of
from domain.replay import check_edits, check_facts, check_state, check_step
from imcm.domain import change
from imcm.domain.change import Status
from imcm.domain.change_events import (
    ChangeApproved,
    ChangeApprovedRetroactively,
    ChangePlanned,
    ChangeRejected,
    ChangeRescoped,
    ChangeRevised,
    ChangeStarted,
    ChangeSubmitted,
    VoteGiven,
)
from imcm.domain.corrections import EventVoided, past_standing
from imcm.domain.policy import Policy
from imcm.domain.vocabulary import ChangeType, Kind, Outcome, earliest, folded, latest
from imcm.errors import InvalidValue, StepRefused
from imcm.projections.facts.fold import facts
from imcm.projections.histories.decisions import Question, Ruling, decision_trail
from imcm.testing import change_steps

WEIGHTS = {
    "plan": 1,
    "revise": 2,
    "reword": 1,
    "refer": 1,
    "submit": 24,
    "approve": 40,
    "reject": 24,
    "approve_retroactively": 3,
    "refuse_retroactively": 1,
    "schedule": 16,
    "override_freeze": 8,
    "hold": 1,
    "release": 2,
    "start": 60,
    "observe": 1,
    "advance_rollout": 16,
    "pause_rollout": 10,
    "abort_rollout": 14,
    "complete": 24,
    "fail": 12,
    "roll_back": 1,
    "recover": 1,
    "validate": 2,
    "close": 4,
    "cancel": 1,
    "correct": 3,
    "void": 3,
}
"""How often a step is drawn where it is possible, against the others that are."""
OFTEN = 4
ACCEPTED = Counter()

SAID = st.sampled_from(
    [
        ChangePlanned(
            at=at(1),
            by="sn",
            type=ChangeType.NORMAL,
            kind=Kind.SCHEMA,
            services=("search",),
            environment="staging",
            labels={"team": "sn"},
            imported=True,
        ),
        ChangeRevised(at=at(2), by="sn", kind=Kind.FIREWALL, services=("edge",), imported=True),
        ChangeRescoped(at=at(3), by="sn", environment="live", imported=True),
        ChangeApproved(at=at(4), by="sn", imported=True),
    ]
)


def content(state):
    return (
        *(state.kind, state.services, state.environment, state.labels, state.risk, state.window),
        *(state.has_rollback_plan, state.has_monitoring_plan, state.has_test_plan),
    )


def check_votes(before, events, arguments):
    """What starts as approved has the votes that it takes, of others, and none that has lapsed."""
    policies = [arguments.get("policy") or Policy(), arguments.get("also")]
    for started in events:
        if not isinstance(started, ChangeStarted) or started.outstanding:
            continue
        votes = {}
        for one in past_standing(before.past).values():
            if isinstance(one, ChangeRejected):
                votes = {}
            elif isinstance(one, VoteGiven) and one.content == before.content:
                votes[folded(one.by)] = one
        if before.type is ChangeType.STANDARD or not votes:
            continue  # approved by its template
        now = max([latest(started.at), *(latest(one.at) for one in votes.values())])
        for policy in filter(None, policies):
            counting, lapsed = 0, False
            for one in votes.values():
                ends = [one.valid_until] if one.valid_until is not None else []
                ends += [
                    earliest(one.at) + each.valid_for
                    for each in policies
                    if each is not None and each.valid_for is not None
                ]
                over = any(earliest(end) <= now for end in ends)
                lapsed, counting = lapsed or over, counting + (not over)
            # Only where a vote has lapsed is the quorum asked for again.
            if lapsed:
                assert counting >= policy.quorum(change.content_of(before)).votes
        assert not before.barred & votes.keys()


class Changes(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.state = change.INITIAL
        self.approved = []

    def take(self, event):
        self.state = change.evolve(self.state, event)
        live = not getattr(event, "imported", False)
        by_template = isinstance(event, ChangeSubmitted) and event.template is not None
        by_vote = isinstance(event, VoteGiven) and event.status is Status.APPROVED
        afterwards = isinstance(event, ChangeApprovedRetroactively)
        if live and (by_template or by_vote or afterwards):
            self.approved.append(content(self.state))

    def ask(self, step, arguments):
        before = self.state
        try:
            events = step(before, **arguments)
        except (StepRefused, InvalidValue):
            return
        ACCEPTED[step.__name__] += bool(events)
        for event in events:
            self.take(event)
        check_step(change, step, before, events)
        check_votes(before, events, arguments)
        for event in events:
            if isinstance(event, VoteGiven):
                assert folded(event.by) not in before.barred

    @initialize(drawn=change_steps(only=[*["plan"] * 19, "observe"]), begins=st.integers(0, 4))
    def begin(self, drawn, begins):
        if begins:
            self.ask(*drawn)
            return
        # A rollout is far from the beginning: what comes of it would hardly ever be drawn.
        told = {"title": "v2", "risk": "low", "rollback_plan": "v1"}
        self.ask(change.plan, {"by": "ann", "at": at(1), **told})
        self.ask(change.submit, {"by": "ann", "at": at(1)})
        self.ask(change.approve, {"by": "bea", "at": at(1)})
        self.ask(change.start, {"by": "ann", "at": at(1), "rollout_plan": (5, 25, 100)})
        self.ask(change.advance_rollout, {"by": "ann", "at": at(1), "percent": 5})

    @rule(data=st.data(), seldom=st.integers(0, 11))
    def step(self, data, seldom):
        if seldom == 11:
            self.ask(*data.draw(change_steps(change=self.state)))  # whether possible or not
        elif seldom == 10 and self.state.past:
            for _, new in change.bring_in(self.state, events=[data.draw(SAID)]):
                self.take(new)
        else:
            asked = change.next_steps(self.state)
            possible = [answer.step for answer in asked if answer.possible is not False]
            drawn = [step for step in possible for _ in range(WEIGHTS[step])]
            self.ask(*data.draw(change_steps(change=self.state, only=drawn)))

    @invariant()
    def replays_to_the_same_state(self):
        check_state(change, self.state)
        check_edits(self.state)

    @invariant()
    def agrees_with_the_facts(self):
        check_facts("change", self.state)
        if self.state.past:
            (row,) = facts(of("change:X-1", *self.state.past)).changes
            assert self.state.outcome == row.outcome
            assert self.state.type == row.type
            assert (self.state.kind, self.state.services) == (row.kind, row.services)
            assert (self.state.environment, self.state.labels) == (row.environment, row.labels)
            assert self.state.risk == row.risk
            assert self.state.outstanding == (row.authorisation == "outstanding")

    @invariant()
    def agrees_with_the_decisions(self):
        if self.state.outstanding and self.state.status not in {*change._BEFORE_START}:
            trail = decision_trail(of("change:X-1", *self.state.past), "X-1")
            assert trail.finding(Question.SETTLED).verdict is Ruling.BROKEN

    @invariant()
    def is_authorised_for_no_other_content_than_was_approved(self):
        # Voided from its beginning it has none, and what was cancelled is not to go in.
        if self.state.status not in {Status.NOTHING, Status.CANCELLED}:
            (row,) = facts(of("change:X-1", *self.state.past)).changes
            if row.authorisation in {"approved", "pre-approved", "approved afterwards"}:
                assert content(self.state) in self.approved

    @invariant()
    def only_emergencies_go_in_without_approval(self):
        state = self.state
        marked = any(getattr(event, "unauthorised", "") for event in state.past)
        # What a source says was approved goes in, and waits for somebody to rule on it.
        marked = marked or any(isinstance(e, ChangeApproved) and e.imported for e in state.past)
        if state.outstanding and state.status is Status.IMPLEMENTING and not marked:
            assert state.type is ChangeType.EMERGENCY

    @invariant()
    def outcomes_come_with_the_end_of_the_work(self):
        if any(isinstance(event, EventVoided) for event in self.state.past):
            return  # an event that only repeated the status keeps it when its cause is voided
        over = {Status.IMPLEMENTED, Status.VALIDATED, Status.CLOSED}
        assert (self.state.outcome in set(Outcome)) == (self.state.status in over)


def test_changes():
    """Whatever is called in whatever order; and every step was accepted often enough."""
    ACCEPTED.clear()
    seldom: dict[str, int] = {}
    for examples in (250, 300, 350):  # which are drawn is another matter with each Python
        run_state_machine_as_test(
            Changes,
            settings=settings(
                max_examples=examples, stateful_step_count=25, deadline=None, derandomize=True
            ),
        )
        seldom = {step: ACCEPTED[step] for step in WEIGHTS if ACCEPTED[step] < OFTEN}
        if not seldom:
            break
    assert set(change.STEPS) == set(WEIGHTS)
    assert {} == seldom
