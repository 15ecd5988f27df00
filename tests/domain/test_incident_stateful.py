"""
Any sequence of steps of an incident: what is accepted replays to the same state, and to the facts.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.examples import of
from domain.replay import check_edits, check_facts, check_state, check_step
from imcm.domain import incident
from imcm.domain.vocabulary import SEVERITY_RANK
from imcm.errors import InvalidValue, StepRefused
from imcm.projections.facts.fold import facts
from imcm.testing import incident_steps

USUAL = (
    "triage",
    "attempt_mitigation",
    "mitigate",
    "resolve",
    "reopen",
    "close",
    "record_review",
    "dismiss",
)


class Incidents(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.state = incident.INITIAL

    def ask(self, step, arguments):
        before = self.state
        try:
            events = step(before, **arguments)
        except (StepRefused, InvalidValue):
            return
        for event in events:
            self.state = incident.evolve(self.state, event)
        check_step(incident, step, before, events)

    @initialize(drawn=incident_steps(only=["detect"]))
    def detect(self, drawn):
        self.ask(*drawn)

    @rule(data=st.data())
    def usual(self, data):
        self.ask(*data.draw(incident_steps(incident=self.state, only=USUAL)))

    @rule(data=st.data())
    def any_step(self, data):
        self.ask(*data.draw(incident_steps(incident=self.state)))

    @rule(data=st.data())
    def edit(self, data):
        self.ask(*data.draw(incident_steps(incident=self.state, only=["correct", "void"])))

    @invariant()
    def replays_to_the_same_state(self):
        check_state(incident, self.state)
        check_edits(self.state)

    @invariant()
    def agrees_with_the_facts(self):
        check_facts("incident", self.state)

    @invariant()
    def counts_what_it_counts(self):
        state = self.state
        severities = [s for s in (state.severity, state.highest) if s is not None]
        assert severities in ([], sorted(severities, key=SEVERITY_RANK.__getitem__, reverse=True))
        assert state.reviewed <= len(state.past)
        assert set(state.concluded) <= set(range(1, len(state.past) + 1))
        if state.past:
            (row,) = facts(of("incident:X-1", *state.past)).incidents
            assert state.verdicts == row.verdicts
            assert state.severity == row.severity_last
            assert state.highest == row.severity_highest
            assert (state.merged_into, state.relapses) == (row.merged_into, row.relapses)


TestIncidents = Incidents.TestCase
TestIncidents.settings = settings(
    max_examples=30, stateful_step_count=18, deadline=None, derandomize=True
)
