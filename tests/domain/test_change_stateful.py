"""
Any sequence of steps of a change: what is accepted replays to the same state, and to the facts.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.examples import of
from domain.replay import check_edits, check_facts, check_state, check_step
from imcm.domain import change
from imcm.domain.change import ChangeApproved, Status
from imcm.domain.corrections import EventVoided
from imcm.domain.vocabulary import ChangeType, Outcome, folded
from imcm.errors import InvalidValue, StepRefused
from imcm.projections.facts import facts
from imcm.testing import change_steps

USUAL = (
    "submit",
    "approve",
    "start",
    "advance_rollout",
    "complete",
    "fail",
    "roll_back",
    "validate",
    "close",
    "approve_retroactively",
)


class Changes(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.state = change.INITIAL

    def ask(self, step, arguments):
        before = self.state
        try:
            events = step(before, **arguments)
        except (StepRefused, InvalidValue):
            return
        for event in events:
            self.state = change.evolve(self.state, event)
        check_step(change, step, before, events)
        for event in events:
            if isinstance(event, ChangeApproved):
                assert folded(event.by) not in before.barred | before.voters

    @initialize(drawn=change_steps(only=["plan", "plan", "plan", "observe"]))
    def begin(self, drawn):
        self.ask(*drawn)

    @rule(data=st.data())
    def usual(self, data):
        self.ask(*data.draw(change_steps(change=self.state, only=USUAL)))

    @rule(data=st.data())
    def any_step(self, data):
        self.ask(*data.draw(change_steps(change=self.state)))

    @rule(data=st.data())
    def edit(self, data):
        self.ask(*data.draw(change_steps(change=self.state, only=["correct", "void"])))

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
            assert self.state.risk == row.risk
            assert self.state.outstanding == (row.authorisation == "outstanding")

    @invariant()
    def only_emergencies_go_in_without_approval(self):
        state = self.state
        if state.outstanding and state.status is Status.IMPLEMENTING:
            assert state.type is ChangeType.EMERGENCY

    @invariant()
    def outcomes_come_with_the_end_of_the_work(self):
        if any(isinstance(event, EventVoided) for event in self.state.past):
            return  # an event that only repeated the status keeps it when its cause is voided
        over = {Status.IMPLEMENTED, Status.VALIDATED, Status.CLOSED}
        assert (self.state.outcome in set(Outcome)) == (self.state.status in over)


TestChanges = Changes.TestCase
TestChanges.settings = settings(
    max_examples=30, stateful_step_count=18, deadline=None, derandomize=True
)
