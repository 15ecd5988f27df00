"""
What every sequence of accepted steps must keep, whichever aggregate it is of.

A second, slower way to tell what stands: corrections and voids are carried out one by one on a
list, and what is left is folded as if it had been recorded so from the start.
"""

import attrs

from domain.examples import of
from imcm.domain.change_events import (
    ChangePlanned,
    ChangeRescoped,
    ChangeRevised,
    ChangeSubmitted,
)
from imcm.domain.corrections import CORRECTIONS, DurationStated, EventVoided
from imcm.domain.vocabulary import StatedDuration, earliest, folded, latest
from imcm.projections.facts.fold import facts

NOTHING_HAPPENED = DurationStated(
    at=None, by="x", what=StatedDuration.TIME_TO_REPAIR, microseconds=0, imported=True
)
"""It changes no state; in place of what never happened it keeps the numbers of the others."""


def rewritten(past):
    """Return the stream that would have been recorded, had nobody been wrong."""
    events = dict(enumerate(past, start=1))
    for version, event in list(events.items()):
        if isinstance(event, CORRECTIONS):
            if events[event.version] is not NOTHING_HAPPENED:
                fact = events[event.version]
                events[event.version] = attrs.evolve(fact, **{event.field: event.now})
            events[version] = NOTHING_HAPPENED
        elif isinstance(event, EventVoided):
            events[event.version] = events[version] = NOTHING_HAPPENED
    return tuple(events.values())


def without_past(state):
    return state._replace(past=())


def check_what_edits_keep(never_wrong, state):
    """Who ever put a change up stays barred, and no step of a rollout began before it was said."""
    put_up = ChangePlanned | ChangeRevised | ChangeRescoped | ChangeSubmitted
    stood = [e for e in state.past if isinstance(e, put_up) and not e.imported]
    people = {e.by for e in stood} | {getattr(e, "requested_by", None) for e in stood} - {None}
    for check, now in never_wrong.checks.items():
        was = state.checks[check]
        assert was.passed is now.passed
        assert was.at is now.at is None or earliest(was.at) <= earliest(now.at)
    assert state.barred == never_wrong.barred | {folded(person) for person in people}
    if state.stage_since is None:
        assert never_wrong.stage_since is None
    elif never_wrong.stage_since is not None:
        assert latest(state.stage_since) >= latest(never_wrong.stage_since)


def check_state(module, state):
    """The state is what its events say, however they are told again."""
    one_by_one = module.INITIAL
    for event in state.past:
        one_by_one = module.evolve(one_by_one, event)
    assert one_by_one == state
    assert module.fold(state.past) == state
    never_wrong = module.fold(rewritten(state.past))
    if hasattr(state, "barred"):
        check_what_edits_keep(never_wrong, state)
        kept = {name: getattr(state, name) for name in ("barred", "stage_since", "checks")}
        never_wrong = never_wrong._replace(**kept)
    assert without_past(never_wrong) == without_past(state)
    assert state.status in set(module.Status)


def check_edits(state):
    """Every void says what stands after it, and every correction what stood before it."""
    if state.past and isinstance(state.past[-1], EventVoided):
        assert state.past[-1].status == state.status


def check_facts(kind, state):
    """The row of the facts has the status of the state."""
    if state.past:
        found = facts(of(f"{kind}:X-1", *state.past))
        (row,) = found.incidents or found.changes
        assert row.status is state.status
        assert found.unfounded == ()


def check_step(module, step, before, events):
    """An accepted step leads from a status its row names, and next_steps said that it may."""
    name = step.__name__
    if not events:
        return
    assert before.status in module.STEPS[name].begins
    answers = {answer.step: answer for answer in module.next_steps(before)}
    # A standard change is told apart: its template can't be given to next_steps, see there.
    assert answers[name].possible is not False or answers[name].guard == "template"
