"""
Steps asked for: each with its stream, its arguments, and what it needs of other streams.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from imcm.domain import incident
from imcm.domain.incident import Incident
from imcm.domain.incident_events import (
    IncidentAbsorbed,
    IncidentMerged,
    IncidentSeparated,
    IncidentUnmerged,
    SeverityInherited,
)
from imcm.domain.lifecycle import parameters, required, takes_any
from imcm.domain.recorded import CHANGE, INCIDENT, Event, kind_and_id, stream_of
from imcm.domain.vocabulary import (
    Between,
    Moment,
    Relation,
    checked_member,
    earliest,
    highest,
    is_list,
    known_id,
)
from imcm.errors import InvalidValue, StepRefused
from imcm.ledger.streams import AGGREGATES, kind_of_step

AHEAD: Final = timedelta(minutes=5)
"""How far the moment of a live step may lie after the ledger's own clock."""


class Call(NamedTuple):
    """
    One step asked for: of which stream, with which arguments, needing which other states.

    Attributes:
        others: Arguments that are the state of another stream, or the states of several by their
            ids, which are asked of the state of this one.
        then: Gives the other side's call, of what this one made follow and of the state after it;
            None where there is no other side.
    """

    stream: str
    step: Callable[..., tuple[Any, ...]]
    arguments: Mapping[str, Any]
    others: Mapping[str, str | Callable[[Any, Callable[[str], Any]], Any]]
    then: Callable[[Sequence[Event], Any], Call | None] | None = None


def name_of(step: Callable[..., object]) -> str:
    return str(getattr(step, "__name__", step))


def call_of(
    id: str,
    step: Callable[..., tuple[Any, ...]],
    arguments: Mapping[str, Any],
    *,
    asked: bool = False,
) -> Call:
    """
    Return the call as it can be decided again and again: nothing in it is used up.

    Args:
        asked: Whether what the step needs of other streams is asked of the ledger.
    """
    given: dict[str, Any] = dict(arguments)
    while isinstance(step, functools.partial):
        bound: dict[str, Any] = step.keywords
        if step.args:
            allowed = "give a step such as incident.resolve; bind arguments by name, as policy=..."
            raise InvalidValue("step", step.args, allowed)
        given = {**bound, **given}
        step = step.func
    if step is incident.relate and not asked:
        allowed = "use ledger.relate(...), which knows what the other incident is part of"
        raise InvalidValue("step", name_of(step), allowed)
    stream = stream_of(kind_of_step(step), known_id("id", id))
    for name, value in given.items():
        if is_list(value) and not isinstance(value, Collection):
            given[name] = tuple(value)  # what can be read only once is read once
    return Call(stream=stream, step=step, arguments=given, others={})


_deciding: Final = threading.local()
"""Whether a step of this thread is deciding."""


def what_follows(call: Call, state: Any, others: Mapping[str, Any]) -> tuple[Event, ...]:
    """
    Return what a step makes follow.

    Raises:
        StepRefused: A guard said no.
        InvalidValue: It gave something else than events that may be recorded here.
    """
    _refuse_other_arguments(call, others)
    _deciding.step = name_of(call.step)
    try:
        follows: object = call.step(state, **call.arguments, **others)
        if is_list(follows):
            return tuple(follows)
    except StepRefused as refused:
        raise refused.on(call.stream) from None
    finally:
        _deciding.step = None
    allowed = "a step returns a tuple of events, () where nothing needs to change"
    raise InvalidValue(name_of(call.step), follows, allowed)


def _refuse_other_arguments(call: Call, others: Mapping[str, Any]) -> None:
    """
    Refuse a call whose arguments are not those of its step.

    Raises:
        InvalidValue: One is missing, or there is one that the step does not take.
    """
    takes = parameters(call.step)
    given = call.arguments.keys() | others.keys()
    step = name_of(call.step)
    for name in given - set(takes):
        if takes_any(call.step):
            break
        value = call.arguments.get(name)
        raise InvalidValue(name, value, f"{step} takes {', '.join(takes)}")
    for name in required(call.step):
        if name not in given:
            raise InvalidValue(
                name, None, f"give it: {step} needs {', '.join(required(call.step))}"
            )


def confirm_event(call: Call, state: Any, event: Event, rules: Mapping[str, object]) -> None:
    """Ask an event of a step of somebody's own what its kind is always asked."""
    try:
        AGGREGATES[kind_and_id(call.stream)[0]].confirm(state, event, **rules)
    except StepRefused as refused:
        raise refused.on(call.stream) from None


_NAMES: Final[Mapping[str, str]] = {
    "change": CHANGE,
    "incident": INCIDENT,
    "repairs": CHANGE,
    "other": INCIDENT,
}
"""Fields of events that name an incident or a change."""


def streams_named(event: object) -> Iterator[str]:
    for field, kind in _NAMES.items():
        id_ = getattr(event, field, None)
        if isinstance(id_, str) and id_:
            yield stream_of(kind, id_)


def refuse_inside_a_step(calls: Sequence[Call]) -> None:
    """Refuse to record while a step of this thread decides: it would wait for itself."""
    step: str | None = getattr(_deciding, "step", None)
    if step is not None:
        message = "a step only decides; record after it, or both in one transaction"
        raise StepRefused(step, "decides and does nothing", message, stream=calls[0].stream)


def refuse_one_side(stream: str, event: Event, state_of: Callable[[str], Any]) -> None:
    """
    Refuse one side of a merge without the other: both streams say it, in one record.

    Raises:
        StepRefused: The other side says something else.
    """
    _, mine = kind_and_id(stream)
    match event:
        case IncidentMerged():
            agrees = mine in state_of(stream_of(INCIDENT, event.into)).absorbed
        case IncidentUnmerged():
            agrees = mine not in state_of(stream_of(INCIDENT, event.out_of)).absorbed
        case IncidentAbsorbed():
            merged, target = state_of(stream_of(INCIDENT, event.merged)), state_of(stream)
            held = highest(target.highest, incident.highest_held(target, [merged]))
            agrees = merged.merged_into == mine and held == target.highest
        case IncidentSeparated():
            agrees = state_of(stream_of(INCIDENT, event.merged)).merged_into != mine
        case SeverityInherited():
            target = state_of(stream)
            members = [state_of(stream_of(INCIDENT, id_)) for id_ in sorted(target.absorbed)]
            agrees = target.highest == incident.highest_held(target, members)
        case _:
            return
    if not agrees:
        raise StepRefused(
            "merge", "both sides", "use ledger.merge or ledger.unmerge: both incidents say it",
            stream=stream,
        )  # fmt: skip


_MOMENTS: Final = ("at", "impact_started_at", "declared_at", "now")


def refuse_future(step: str, stream: str, event: Any, now: datetime) -> None:
    for name in _MOMENTS:
        moment = getattr(event, name, None)
        # Of the two, what is subtracted can't be beyond all times.
        if isinstance(moment, (datetime, Between)) and earliest(moment) - now > AHEAD:
            raise StepRefused(
                step,
                "not in the future",
                f"{name}={moment} lies after the ledger's clock, {now}, by more than 5 minutes; "
                "record it once it has happened",
                stream=stream,
            )


def of_members(
    id: str, step: Callable[..., tuple[Any, ...]], *, by: str, at: Moment, merged: str
) -> Call:
    """Return the call of a step that may change the highest severity, here and further on."""

    def members(state: Incident, state_of: Callable[[str], Any]) -> Mapping[str, Incident]:
        if state.highest == state.held:
            return {}  # they brought nothing, and need not be read
        left = state.absorbed - {merged} if step is incident.separate else state.absorbed
        return {id_: state_of(stream_of(INCIDENT, id_)) for id_ in left}

    def further(follows: Sequence[Event], state: Incident) -> Call | None:
        into = state.merged_into
        if into is None or not any(isinstance(event, SeverityInherited) for event in follows):
            return None
        return of_members(into, incident.inherit, by=by, at=at, merged=id)

    call = call_of(id, step, {"by": by, "at": at, "merged": merged})
    return call._replace(others={"members": members}, then=further)


def relating(id: str, *, to: str, kind: Relation, by: str, at: Moment) -> Call:
    """Return the call that relates an incident to another, which it knows what is above."""
    kind = checked_member("kind", kind, Relation)

    def above(_: Incident, state_of: Callable[[str], Any]) -> tuple[str, ...]:
        if kind is not Relation.CHILD_OF:
            return ()
        ancestors: dict[str, None] = {}  # imported history may go in a circle
        ancestor: str | None = to
        while ancestor is not None and ancestor not in ancestors:
            ancestors[ancestor] = None
            ancestor = state_of(stream_of(INCIDENT, ancestor)).parent
        return tuple(ancestors)[1:]

    arguments = {"id": id, "to": known_id("to", to), "kind": kind, "by": by, "at": at}
    return call_of(id, incident.relate, arguments, asked=True)._replace(others={"above": above})
