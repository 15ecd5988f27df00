"""A long stream folded at once gives the state that it gives event by event."""

import pytest

from imcm.domain import change, incident
from imcm.domain.growing import FEW
from long_streams import CHANGES, INCIDENTS, MODULES, STREAMS, readable


@pytest.mark.parametrize(("kind", "name"), STREAMS)
def test_a_fold_is_what_evolving_gives(kind, name):
    module = MODULES[kind]
    events = readable(kind, name, FEW)
    state = module.INITIAL
    for event in events:
        state = module.evolve(state, event)
    found = module.fold(events)
    assert state == found
    assert list(map(type, state)) == list(map(type, found))


@pytest.mark.parametrize(
    ("module", "events"),
    [
        (incident, INCIDENTS["links"](FEW)),
        (incident, INCIDENTS["roles"](FEW)),
        (change, CHANGES["voters"](FEW)),
    ],
)
def test_a_state_stays_as_it_is_whatever_comes_after(module, events):
    """What a fold gives is its own no more: evolving it changes another state."""
    state, same = module.fold(events[:-1]), module.fold(events[:-1])
    assert module.fold(events) == module.evolve(state, events[-1])
    assert same == state
