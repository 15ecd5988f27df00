"""
What the ledger knows of the two aggregates, and streams as rows and as states.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, get_args

import attrs

from imcm.codec.decoding import decode, event_of
from imcm.codec.rows import StoredEvent
from imcm.domain import change, incident
from imcm.domain.change import Change
from imcm.domain.change_events import ChangeEvent
from imcm.domain.incident import Incident
from imcm.domain.incident_events import IncidentEvent
from imcm.domain.recorded import CHANGE, INCIDENT, Unread, kind_and_id
from imcm.domain.vocabulary import known_id
from imcm.errors import InvalidValue, StoreError, UnreadEventError
from imcm.ledger.store import ASKED_AT_ONCE


@attrs.frozen(kw_only=True)
class Aggregate:
    """What the ledger needs to know of an aggregate."""

    initial: Any
    evolve: Callable[[Any, Any], Any]
    fold: Callable[[Iterable[Any]], Any]
    bring_in: Callable[..., tuple[tuple[int, Any], ...]]
    confirm: Callable[..., None]
    steps: frozenset[int]
    events: frozenset[type]


def _identities(module: object, names: Iterable[str]) -> frozenset[int]:
    """Return which functions the steps of a module are: an object that equals one is none."""
    return frozenset(id(getattr(module, name)) for name in names)


AGGREGATES: Final[Mapping[str, Aggregate]] = {
    INCIDENT: Aggregate(
        initial=incident.INITIAL,
        evolve=incident.evolve,
        fold=incident.fold,
        bring_in=incident.bring_in,
        confirm=incident.confirm,
        steps=_identities(incident, (*incident.STEPS, "absorb", "separate", "inherit")),
        events=frozenset(get_args(IncidentEvent)),
    ),
    CHANGE: Aggregate(
        initial=change.INITIAL,
        evolve=change.evolve,
        fold=change.fold,
        bring_in=change.bring_in,
        confirm=change.confirm,
        steps=_identities(change, change.STEPS),
        events=frozenset(get_args(ChangeEvent)),
    ),
}


@functools.lru_cache(maxsize=1024)
def _kind_of_function(step: Callable[..., object]) -> str:
    try:
        hints = typing.get_type_hints(step)
        first = next(iter(inspect.signature(step).parameters))
    except (TypeError, ValueError, StopIteration, NameError, AttributeError, SyntaxError):
        hints, first = {}, ""
    kinds = {Incident: INCIDENT, Change: CHANGE}
    kind = kinds.get(hints.get(first))  # type: ignore[arg-type]
    if kind is None:
        raise InvalidValue(
            "step",
            step,
            "give a step such as incident.resolve or change.start; a step of your own takes the "
            "state first, annotated as Incident or Change",
        )
    return kind


def kind_of_step(step: Callable[..., object]) -> str:
    """Return whose step it is, told by the annotation of its first parameter."""
    message = "give a step such as incident.resolve or change.start"
    if not callable(step):
        raise InvalidValue("step", step, message)
    try:
        return _kind_of_function(step)
    except TypeError:  # it can't be hashed, so it is no function
        raise InvalidValue("step", step, message) from None


def without_gaps(rows: list[StoredEvent]) -> list[StoredEvent]:
    """
    Return the rows of one stream.

    Raises:
        StoreError: A version is missing.
    """
    for expected, row in enumerate(rows, start=1):
        if row.version != expected:
            message = f"{row.stream} has version {row.version} where {expected} belongs"
            raise StoreError(f"{message}; the log was altered or damaged")
    return rows


def state_of_rows(kind: str, rows: Iterable[StoredEvent], *, words: bool) -> Any:
    """
    Return an incident or a change as its rows tell it.

    Raises:
        UnreadEventError: One of them can't be read by this version.
    """
    events: list[Any] = []
    for row in rows:
        event = decode(row).event if words else event_of(row)
        if isinstance(event, Unread):
            raise UnreadEventError(
                f"{row.stream} version {row.version} can't be read ({event.why}); "
                "half a state must not decide: update imcm"
            )
        if event.__class__ not in AGGREGATES[kind].events:
            raise UnreadEventError(
                f"{row.stream} version {row.version} is a {type(event).__name__}, which is no "
                f"event of {'an' if kind == INCIDENT else 'a'} {kind}; the log was altered or "
                "damaged"
            )
        events.append(event)
    return AGGREGATES[kind].fold(events) if events else AGGREGATES[kind].initial


@functools.lru_cache(maxsize=2 * ASKED_AT_ONCE)  # asked when histories are looked up, and again
def checked_stream(stream: str) -> str:
    """
    Return of which kind a stream is.

    Raises:
        InvalidValue: It is none of an incident or a change.
    """
    kind, id_ = kind_and_id(stream)
    if kind not in AGGREGATES:
        raise InvalidValue("stream", stream, 'give "incident:<id>" or "change:<id>"')
    known_id("id", id_)
    return kind


def is_a_stream(stream: str) -> bool:
    try:
        checked_stream(stream)
    except InvalidValue:
        return False  # which is said when its turn comes
    return True
