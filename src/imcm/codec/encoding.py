"""
Events to bytes.

One stored event is a type name of ours and `state`, one UTF-8 JSON object with these members in
this order: `format`, `record`, `recorded_at` (UTC, microseconds, Z), `source` (left out when
there is none), `event` (the facts; empty values left out), `words` (free text with a random
salt; left out when there is none). The members are described in docs/stored-format.md.
"""

from __future__ import annotations

import functools
import operator
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, date, datetime
from enum import Enum, EnumMeta
from types import UnionType
from typing import Any, Final, NamedTuple, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec

from imcm.codec.rows import EVENT_TYPES, FORMAT, SALT_BYTES, hints_of, keyed_hash, word_fields
from imcm.domain.recorded import KeyUsed, Source, Stored, Unread
from imcm.domain.vocabulary import is_list, offset_has_seconds
from imcm.errors import InvalidValue

_REQUIRED: Final = object()
"""The default of what has none: no value is this one, so the field is always written."""


def _default(attribute: Any) -> Any:
    default: Any = attribute.default
    if default is attrs.NOTHING:
        return _REQUIRED
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        # By its bare class: of dict[str, str], msgspec would leave no empty one out.
        made: Any = default.factory()
        return msgspec.field(default_factory=made.__class__)
    if isinstance(default, (Enum, int)) and default is not False:
        return _REQUIRED  # a status, a mode or a count is always written: the bytes say it
    return default


class _Field(NamedTuple):
    """
    What a field wants.

    Attributes:
        sure: Classes whose values can be read again: whatever they are, or where all of theirs can.
        items: The same of what its tuple holds.
        texts: Its mapping is one of texts to texts.
        whole: It may hold a whole number.
    """

    sure: frozenset[type]
    items: frozenset[type]
    texts: bool
    whole: bool


_SIMPLE: Final = frozenset({str, bool, type(None), datetime, date})


def _field(hint: Any) -> _Field:
    """
    Return of which classes values are certain to be read again as what a field wants.

    No numbers: some are too great to be read, and some are none; they are looked into.
    """
    choices = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    sure = {c for c in choices if c in _SIMPLE or isinstance(c, EnumMeta) or attrs.has(c)}
    items: set[type] = set()
    for choice in choices:
        if get_origin(choice) is tuple and get_args(choice)[-1] is ...:
            sure.add(tuple)
            items |= _field(get_args(choice)[0]).sure
    return _Field(frozenset(sure), frozenset(items), Mapping[str, str] in choices, int in choices)


def _whole_minutes(value: datetime) -> None:
    # A naive time has no offset: the TypeError says that it can't be stored.
    if offset_has_seconds(value):
        raise InvalidValue("at", value, "its UTC offset must be whole minutes")


def _tuple_written(items: frozenset[type], value: tuple[Any, ...]) -> tuple[Any, bool]:
    if not value or {str} == set(map(type, value)) <= items:
        return value, True  # an empty one can be the field's default, which is left out
    certain = True
    written: list[Any] = []
    for item in value:
        bare, sure = _bare(item)
        written.append(bare)
        certain = certain and sure and item.__class__ in items
    return written, certain


def _number_written(value: int) -> tuple[int, bool]:
    return value, _can_be_read(value)


def _can_be_read(number: int) -> bool:
    return -(1 << 63) <= number < 1 << 64


def _texts_written(value: dict[Any, Any]) -> tuple[Any, bool]:
    return value, not value or {*map(type, value), *map(type, value.values())} == {str}


class _Plan(NamedTuple):
    """
    How an object is written whose fields hold values of certain classes.

    Attributes:
        times: Indices of times, whose offsets are looked at.
        writers: What writes a value that is written as something else, or has to be looked into,
            with the value's index.
        certain: Whether everything else is certain to be read again.
    """

    times: tuple[int, ...]
    writers: tuple[tuple[int, Callable[[Any], tuple[Any, bool]]], ...]
    certain: bool


class _Layout:
    """
    How objects of one class are written: its facts in their order, without what is empty.

    Values come from an object and go into a struct of msgspec by two calls in C, and what
    has to be done with them is known once their classes are.
    """

    def __init__(self, cls: type, *, without: Collection[str] = ()) -> None:
        hints = get_type_hints(cls)
        words = word_fields(cls)
        facts = [a for a in attrs.fields(cls) if a.name not in (*words, *without)]
        self.name = cls.__name__
        self.fields = [_field(hints[a.name]) for a in facts]
        self.words = tuple((name, _field(hints[name])) for name in words)
        self.salted = cls is KeyUsed  # which holds a hash, so it has a salt and no words
        # Of a value inside an event, only what is not known is left out.
        is_event = cls in _EVENT_CLASSES
        defaults: list[Any] = [_default(a) if is_event else None for a in facts]
        members = [(a.name, Any, default) for a, default in zip(facts, defaults, strict=True)]
        self._values = _getter([a.name for a in facts])
        self._struct = msgspec.defstruct(self.name, members, omit_defaults=True, gc=False)
        self._plans: dict[tuple[type, ...], _Plan] = {}

    def written(self, value: Any) -> tuple[Any, bool]:
        """Return what msgspec is to write, and whether it is certain to be read again."""
        values: Any = self._values(value)
        kinds = tuple(map(type, values))
        plan = self._plans.get(kinds) or self._plan(kinds)
        for index in plan.times:
            at = values[index]
            if at.tzinfo is not UTC:
                _whole_minutes(at)
        certain = plan.certain
        if plan.writers:
            values = list(values)
            for index, write in plan.writers:
                values[index], sure = write(values[index])
                certain = certain and sure
        return self._struct(*values), certain

    def _plan(self, kinds: tuple[type, ...]) -> _Plan:
        times: list[int] = []
        writers: list[tuple[int, Any]] = []
        certain = True
        for index, (kind, field) in enumerate(zip(kinds, self.fields, strict=True)):
            if kind is datetime:
                times.append(index)
            if kind is dict and field.texts:
                writers.append((index, _texts_written))
                continue
            if kind is int and field.whole:
                writers.append((index, _number_written))
                continue
            if kind is tuple:
                writers.append((index, functools.partial(_tuple_written, field.items)))
            elif attrs.has(kind):
                writers.append((index, _layout(kind).written))
            certain = certain and kind in field.sure
        plan = _Plan(tuple(times), tuple(writers), certain)
        if len(self._plans) < _PLANS:
            self._plans[kinds] = plan
        return plan


_PLANS: Final = 1_000
"""Plans kept for one class: more than there are of right values; wrong ones may be of any class."""

_EVENT_CLASSES: Final = frozenset(EVENT_TYPES.values())


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


_LAYOUTS: Final[dict[type, _Layout]] = {}


def _layout(cls: type) -> _Layout:
    """Return how objects of a class are written, made when first needed."""
    layout = _LAYOUTS.get(cls)
    if layout is None:
        layout = _LAYOUTS[cls] = _Layout(cls)
    return layout


@functools.cache
def _keyed_source() -> _Layout:
    """Return how a source is written whose hash is keyed for each of its events."""
    return _Layout(Source, without=("sha256", "keyed"))


def _bare(value: Any) -> tuple[Any, bool]:
    """Return *value* with what is empty left out, and whether it can be read again as its class."""
    cls = value.__class__
    if cls is str:
        return value, True
    if cls is datetime:
        _whole_minutes(value)
    if cls is tuple:
        return _tuple_written(frozenset(), value)
    return _layout(cls).written(value) if attrs.has(cls) else (value, True)


def _words(event: Any, layout: _Layout) -> tuple[dict[str, Any], bool]:
    """Return the words of an event that are not empty, and whether they are what words can be."""
    words: dict[str, Any] = {}
    certain = True
    for name, field in layout.words:
        value = getattr(event, name)
        if value:
            words[name] = value
            if value.__class__ is not str or str not in field.sure:
                certain = certain and _are_texts(value, field)
    return words, certain


def _are_texts(value: Any, field: _Field) -> bool:
    return tuple in field.sure and value.__class__ is tuple and set(map(type, value)) == {str}


def wrong_words(event: Any, again: Any) -> Iterator[tuple[str, object]]:
    """
    Yield words that are of another type than their field's, by name: they are not read again.

    Args:
        again: The event as it is read again. Only it tells of a list what it comes back as; and
            only the event itself tells of bytes, which come back as some text.
    """
    hints = hints_of(event.__class__)
    for name in word_fields(event.__class__):
        value = getattr(event, name)
        read = value if hints[name] is str else getattr(again, name)
        if value and (not read or isinstance(read, str) is not (hints[name] is str)):
            yield name, value


def too_great(event: Any) -> Iterator[tuple[str, object]]:
    """Yield fields, with their values, that hold a number JSON has no exact reader for."""
    for a in attrs.fields(event.__class__):
        value = getattr(event, a.name)
        if not all(map(_can_be_read, _numbers(value))):
            yield a.name, value


def _numbers(value: Any) -> Iterator[int]:
    """Yield the whole numbers in a value."""
    if isinstance(value, int):
        yield value
    elif attrs.has(value.__class__):
        for a in attrs.fields(value.__class__):
            yield from _numbers(getattr(value, a.name))
    elif is_list(value):
        for item in value:
            yield from _numbers(item)


def stamp(moment: datetime) -> str:
    """Return *moment* in UTC with six decimals and Z, the one form in which stamps are stored."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    if type(moment) is not datetime:  # of pandas, for example, with parts of its own
        moment = datetime.combine(moment.date(), moment.time(), UTC)
    # Written so, a time takes a fifth of what isoformat takes.
    text = to_json(moment).decode()
    return text[1:-1] if moment.microsecond else f"{text[1:-2]}.000000Z"


to_json: Final = msgspec.json.Encoder().encode


def written_id(id_: str) -> bytes:
    """Return an id as it stands in the states that are written here, quotes included."""
    return to_json(id_)


class Head(NamedTuple):
    """
    The members of a state before `event`.

    Attributes:
        certain: Whether they are certain to be read again.
        payload: The hash of a raw payload that the source gave, to be keyed with an event's salt.
    """

    text: bytes
    certain: bool
    payload: str | None = None


class Heads:
    """
    The members before `event` of what one call records: they differ by the source alone.

    Args:
        recorded_at: The ledger's stamp, aware.
        record: Id of the call.
    """

    def __init__(self, recorded_at: datetime, record: str) -> None:
        members = {"format": FORMAT, "record": record, "recorded_at": stamp(recorded_at)}
        self._opening = to_json(members)[:-1]
        self._source: Source | None = None
        self._head = Head(self._opening, certain=True)

    def of(self, source: Source | None) -> Head:
        """Return those of events that a source told; of the same one again, what it had last."""
        if source is not self._source:
            self._head, self._source = self._head_of(source), source
        return self._head

    def instead_of(self, others: Heads, state: bytes) -> bytes:
        """Return a state that was made with other ones as these would have made it."""
        return self._opening + state[len(others._opening) :]

    def _head_of(self, source: Source | None) -> Head:
        if source is None:
            return Head(self._opening, certain=True)
        payload = source.sha256
        if payload is not None and payload.__class__ is not str:
            raise TypeError("sha256 of a source is text")
        layout = _layout(Source) if payload is None else _keyed_source()
        members, certain = layout.written(source)
        text = self._opening + b',"source":' + to_json(members)
        return Head(text, certain, payload)


def drawn() -> str:
    """Return a salt; see `encode`."""
    return os.urandom(SALT_BYTES).hex()


_DRAWN_AT_ONCE: Final = 64


def salts() -> Iterator[str]:
    """Yield salts for the events of one call, of which there are many; see `encode`."""
    while True:
        digits = os.urandom(16 * _DRAWN_AT_ONCE).hex()
        yield from (digits[begin : begin + 32] for begin in range(0, len(digits), 32))


def encode(
    event: Stored,
    *,
    recorded_at: datetime,
    record: str,
    source: Source | None = None,
    salt: Callable[[], str] = drawn,
) -> tuple[str, bytes]:
    """
    Return the stored type name and the stored state of *event*.

    Args:
        recorded_at: The ledger's stamp, aware.
        record: Id of the call that records it.
        salt: Draws 16 random bytes in hexadecimal, so that redacted words can't be guessed
            from their hash.
    """
    name, state, _ = encoded(event, Heads(recorded_at, record).of(source), salt)
    return name, state


def encoded(event: Stored, head: Head, salt: Callable[[], str] = drawn) -> tuple[str, bytes, bool]:
    """
    Return the stored type name and state of *event*, and whether it is certain to be read again.

    It is, where every field holds a value of its own class, and all values of that class can be
    read. Whatever else there is, only decoding it tells.
    """
    if isinstance(event, Unread):
        return event.type, event.state, True
    layout = _LAYOUTS.get(event.__class__) or _layout(event.__class__)
    facts, certain = layout.written(event)
    tail, text = b"}", head.text
    words: dict[str, Any] = {}
    if layout.words:
        words, are_words = _words(event, layout)
        certain = certain and are_words
    if words or layout.salted or head.payload is not None:
        drawn_ = salt()
        tail = b',"words":' + to_json({"salt": drawn_, **words}) + tail
        if head.payload is not None:
            text = with_payload(text, drawn_, head.payload)
    state = b"".join((text, b',"event":', to_json(facts), tail))
    return layout.name, state, certain and head.certain


def with_payload(text: bytes, salt: str, payload: str) -> bytes:
    """Return the members before `event`, with the keyed hash as the last of their source."""
    return b'%b,"keyed":"%b"}' % (text[:-1], keyed_hash(salt, payload).encode())
