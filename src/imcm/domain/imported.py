"""
History from elsewhere: what of it is new, what changed, and the status that results.

Shared by both aggregates' `bring_in`. Nothing is invented, dropped or fixed here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeVar

import attrs

from imcm.domain.corrections import (
    CORRECTIONS,
    EDITS,
    Correctable,
    Correction,
    LabelsCorrected,
    SeverityCorrected,
    correction,
    past_standing,
    replaced,
)
from imcm.domain.vocabulary import Relation, is_mapping
from imcm.errors import InvalidValue, StepRefused

Ev = TypeVar("Ev")
St = TypeVar("St")

SAID_AGAIN: Final = {
    "verdict": ("verdict",),
    "what": ("microseconds",),
    "other": ("other", "kind"),
}
"""Facts that are replaced by being given again: the field that tells them, and their value."""

_NAMED_BY: Final = (
    *("change", "what", "problem", "check", "merged", "into", "role", "person"),
    *("name", "other"),
)
"""Fields that say which of several events of one type it is; the rest is told apart by order."""

# Set by `bring_in` or naming the event; a difference in them is no difference in the facts.
# Labels are facts one by one: see `_relabelled`.
_NOT_COMPARED: Final = frozenset(
    {"labels"}
    | {"status", "number", "relapse", "began", "covers", "by", "imported"}
    # A severity's name is compared with it (`_said`), and what was proposed decided nothing.
    | {"severity_name", "severity_proposed"}
)


@cache
def _named_by(kind: type) -> tuple[str, ...]:
    """Return which of those fields the events of a class have; most have none."""
    return tuple(a.name for a in attrs.fields(kind) if a.name in _NAMED_BY)


def name_of(event: object) -> tuple[object, ...]:
    """Return which of the events of its type it is, by what it is about."""
    kind: type = type(event)
    if getattr(event, "kind", None) is Relation.CHILD_OF:
        return (kind, Relation.CHILD_OF)  # of one alone, whichever that is now
    return (kind, *(getattr(event, field) for field in _named_by(kind)))


def _numbered(events: Iterable[Ev]) -> Iterator[tuple[tuple[object, ...], Ev]]:
    """Yield each event with a key that is the same for the same fact in every import."""
    seen: Counter[tuple[object, ...]] = Counter()
    for event in events:
        name = name_of(event)
        seen[name] += 1
        yield (*name, seen[name]), event


def news(
    past: Sequence[Ev],
    given: Sequence[Ev],
    correctable: Correctable,
    *,
    first: tuple[type, ...],
    known: frozenset[type],
    mine: Collection[int] | None = None,
    hears_again: bool = False,
) -> Iterator[tuple[int, Ev]]:
    """
    Yield what *given* history adds to the stream: events not there yet, and corrections.

    Each comes with the place in *given* of the event it comes from.

    A value counts as changed when it differs from what the last import gave, so that a
    correction somebody made by hand is not undone by importing the same file again.

    Args:
        first: The classes of events a stream can begin with.
        known: The classes of all events it can hold.
        mine: Versions of what this source told; None for all that any source did.
        hears_again: What was voided is told anew where the source says it otherwise now.

    Raises:
        InvalidValue: An event is of another class, or not marked as imported.
        StepRefused: The stream would not begin with *first*, or a fact changed that no
            correction can change.
    """
    for event in given:
        if not getattr(event, "imported", False):
            raise InvalidValue(type(event).__name__, "imported=False", "history is imported=True")
    if not past and not (given and isinstance(given[0], first)):
        raise StepRefused("bring_in", "begins", f"imported history begins with {first[0].__name__}")
    for event in given:
        if event.__class__ not in known:
            allowed = f"events of one stream, which begins with {first[0].__name__}"
            raise InvalidValue("events", type(event).__name__, allowed)
    if not past:
        yield from enumerate(given)
        return
    stands = past_standing(past)
    told = [
        (version, event)
        for version, event in enumerate(past, start=1)
        if getattr(event, "imported", False) and not isinstance(event, EDITS)
        if mine is None or version in mine
    ]
    voided = [event for version, event in told if version not in stands]
    facts = [(version, event) for version, event in told if version in stands]
    held = {
        key: version
        for (key, _), (version, _) in zip(
            _numbered(event for _, event in facts), facts, strict=True
        )
    }
    last_given = _last_given(past)
    by_edits = _last_given(given).keys()
    # What the source corrects itself is told by that correction, not by the fact it speaks of.
    # One that speaks of nothing there is has no effect, as everywhere.
    last_given |= {
        (version, field): _said(past[version - 1], field)
        for version, field in by_edits
        if 1 <= version <= len(past) and hasattr(past[version - 1], field)
    }
    last_place = {name_of(event): place for place, event in enumerate(given)}
    last_told = {name_of(event): event for _, event in facts}
    edited = {_values(event) for event in past if isinstance(event, EDITS)}
    for place, (key, event) in enumerate(_numbered(given)):
        version = held.get(key)
        if isinstance(event, EDITS):
            if _values(event) not in edited:  # a correction the source itself made
                yield place, event
        elif version is None:
            if not any(
                _tells_the_same(event, each) if hears_again else name_of(event) == name_of(each)
                for each in voided
            ):
                yield place, event
        elif any(hasattr(event, field) for field in SAID_AGAIN):
            name = name_of(event)
            if last_place[name] == place and _said_anew(last_told[name], event):
                yield place, event
        else:
            written = past[version - 1]
            if getattr(event, "labels", None) and (version, "labels") not in by_edits:
                yield from (
                    (place, change)
                    for change in _relabelled(past, stands, version, event, correctable)
                )
            for change in _changes(written, stands, version, last_given, event, correctable):
                yield place, change


def _tells_the_same(given: Any, told: Any) -> bool:
    """Say whether an event of a source tells what it told before, in all that is compared."""
    if name_of(given) != name_of(told):
        return False
    return all(
        value == default or value in (None, (), {}) or value == getattr(told, field)
        for field, default in compared(given.__class__)
        for value in (getattr(given, field),)
    )


def decided_before(given: Sequence[Ev], known: frozenset[type]) -> Iterator[tuple[int, Ev]]:
    """
    Yield history of which somebody found before what is new, as `news` does.

    Raises:
        InvalidValue: An event is of another class, or not marked as imported.
    """
    for place, event in enumerate(given):
        if event.__class__ not in known or not getattr(event, "imported", False):
            allowed = "events of one stream, each imported=True"
            raise InvalidValue("events", type(event).__name__, allowed)
        yield place, event


def _values(event: object) -> tuple[object, ...]:
    """Return what makes an event equal to another one, to be looked up."""
    kind: type = event.__class__
    return (kind, *(_compared_by(getattr(event, a.name)) for a in attrs.fields(kind)))


def _compared_by(value: object) -> Hashable:
    try:
        found = frozenset(value.items()) if is_mapping(value) else value
        hash(found)
    except TypeError:
        return repr(value)  # of a type that no fact has: it is refused when it is recorded
    return found


def _said_anew(told: Any, given: Any) -> bool:
    """Say whether a fact that is replaced by being given again was last given otherwise."""
    fields = next(fields for field, fields in SAID_AGAIN.items() if hasattr(given, field))
    return any(getattr(told, field) != getattr(given, field) for field in fields)


def _last_given(past: Sequence[Any]) -> dict[tuple[int, str], object]:
    """Return the value that the last import gave each fact it corrected, by version and field."""
    corrections: list[Any] = [event for event in past if isinstance(event, CORRECTIONS)]
    return {
        (event.version, event.field): (event.now, event.severity_name)
        if isinstance(event, SeverityCorrected)
        else event.now
        for event in corrections
        if event.imported
    }


def _said(event: Any, field: str) -> Any:
    """Return what an event says in a field: of a severity also its name, which goes with it."""
    value = getattr(event, field)
    return (value, getattr(event, "severity_name", None)) if field == "severity" else value


def _says_the_same(given: Any, told: Any, field: str) -> bool:
    """Say whether a source says what it said; one that does not name the severity says no other."""
    if field == "severity" and given[1] is None:
        return bool(given[0] == told[0])
    return bool(given == told)


@cache
def compared(kind: type) -> tuple[tuple[str, object], ...]:
    """Return the fields of a class in which a difference is one in the facts, with defaults."""
    left_out = _NOT_COMPARED.union(getattr(kind, "WORDS", ()))  # words are no facts
    return tuple((a.name, a.default) for a in attrs.fields(kind) if a.name not in left_out)


def _changes(
    written: Any,
    stands: Mapping[int, Any],
    version: int,
    last_given: Mapping[tuple[int, str], object],
    given: Any,
    correctable: Correctable,
) -> Iterator[Any]:
    """Yield what an event that is there already tells now and did not tell before."""
    kind: type = given.__class__
    fields = correctable.get(kind, {})
    for field, default in compared(kind):
        value = getattr(given, field)
        if value == default or value in (None, (), {}):
            continue  # it says nothing
        before = last_given.get((version, field), _said(written, field))
        if _says_the_same(_said(given, field), before, field):
            continue
        if field not in fields:
            raise StepRefused(
                "bring_in",
                "correctable",
                f"{field} was {getattr(written, field)} when first imported and is {value} now, "
                "which no correction can change",
            )
        yield from corrected(
            stands,
            correctable,
            version=version,
            field=field,
            written=written,
            given=given,
            why="changed in the source",
        )


def labels_said(past: Sequence[Any], version: int) -> dict[str, str | None]:
    """
    Return what a source last said of each label of an event; None where it took one away.

    Of a correction only what it changed is of the source: the rest is what stood then, by whomever.
    """
    said: dict[str, str | None] = {}
    written: Any = past[version - 1]
    if written.imported:
        said |= written.labels
    for event in past:
        if isinstance(event, LabelsCorrected) and event.imported and event.version == version:
            for name in {**event.was, **event.now}:
                if event.was.get(name) != event.now.get(name):
                    said[name] = event.now.get(name)
    return said


def relabelled(
    past: Sequence[Any], stands: Mapping[int, Any], version: int, given: Any
) -> dict[str, str] | None:
    """
    Return the labels that stand once a source has said what it says now; None where it says no
    other than it said.

    A label that it does not name stays as it is, and so does one that somebody corrected by hand
    since, unless the source itself says another than it said before.
    """
    before = labels_said(past, version)
    changed = {name: text for name, text in given.labels.items() if before.get(name) != text}
    return {**stands[version].labels, **changed} if changed else None


def _relabelled(
    past: Sequence[Any],
    stands: Mapping[int, Any],
    version: int,
    given: Any,
    correctable: Correctable,
) -> Iterator[Any]:
    labels = relabelled(past, stands, version, given)
    if labels is not None:
        yield from corrected(
            stands,
            correctable,
            version=version,
            field="labels",
            written=past[version - 1],
            given=replaced(given, labels=labels),
            why="changed in the source",
        )


def corrected(
    stands: Mapping[int, Any],
    correctable: Correctable,
    *,
    version: int,
    field: str,
    written: Any,
    given: Any,
    why: str,
) -> tuple[Correction, ...]:
    """
    Return the correction of what stands to what a source says, or nothing where that stands.

    Args:
        written: The event of that version as it was recorded; *given*, as the source tells it.
    """
    return correction(
        stands,
        correctable,
        version=version,
        field=field,
        now=getattr(given, field),
        at=given.at or written.at,  # imported statements may have no moment of their own
        by=given.by,
        why=why,
        imported=True,
        severity_name=getattr(given, "severity_name", None),
    )


def with_status(event: Ev, status: object) -> Ev:
    """Return an event with the status it gets: mostly the one it came with."""
    # Any: which events have a status is for the aggregate to know.
    given: Any = event
    settled: Ev = given if given.status is status else attrs.evolve(given, status=status)
    return settled


def status_after(status: St, event: object) -> St:
    """Return the status after an event that was given its own, where it tells one."""
    told: St | None = getattr(event, "status", None)
    return told or status


def place_after(status: St, milestone: St, progress: Mapping[St, int]) -> St:
    """Return the further of the two: a milestone told late does not take progress back."""
    return status if progress[status] >= progress[milestone] else milestone
