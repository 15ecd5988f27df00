"""
Events to bytes and back: the stored format.

One stored event is a type name of ours and `state`, one UTF-8 JSON object with these members in
this order: `format`, `record`, `recorded_at` (UTC, microseconds, Z), `source` (left out when
there is none), `event` (the facts; empty values left out), `words` (free text with a random
salt; left out when there is none). The members are described in docs/stored-format.md.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import itertools
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import Enum, EnumMeta
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    NamedTuple,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs
import msgspec

from imcm.domain.change import ChangeEvent
from imcm.domain.corrections import EDITS
from imcm.domain.incident import IncidentEvent
from imcm.domain.recorded import (
    KeyClaimed,
    KeyUsed,
    LedgerOpened,
    Recorded,
    Source,
    Stored,
    Unread,
)
from imcm.domain.vocabulary import Commit, PolicyRef, is_aware, is_list
from imcm.errors import ImcmError, InvalidValue, StoreError

if TYPE_CHECKING:
    from imcm.projections.facts.fold import FactsFold, Taken

FORMAT: Final = 1
"""The version of the stored format this release writes, and the newest it reads."""


class Row(NamedTuple):
    """One event as a store keeps it; *state* is the exact bytes."""

    position: int
    stream: str
    version: int
    type: str
    state: bytes


RowTuple = tuple[int, str, int, str, bytes]
"""The same as a plain tuple, which is made faster."""


def checked_rows(rows: object) -> Iterator[Row]:
    """
    Yield stored rows: what every call asks that is given the rows of a log.

    Raises:
        InvalidValue: They are no rows, or one holds something else than a row does.
    """
    if not is_list(rows):
        raise InvalidValue("rows", rows, _ROWS)
    for row in rows:
        yield checked_row(row)


def checked_row(row: object) -> Row:
    """Return *row* if it is one, with values of the right types."""
    if not isinstance(row, Row) or tuple(map(type, row)) != _ROW_TYPES:
        raise InvalidValue("row", row, _ROWS)
    return row


_ROW_TYPES: Final = (int, str, int, str, bytes)
_ROWS: Final = "give stored rows, such as ledger.rows()"


_LEDGERS: Final = (LedgerOpened, KeyClaimed, KeyUsed)
"""Events that are neither of incidents nor of changes."""

EVENT_TYPES: Final[Mapping[str, type]] = {
    cls.__name__: cls for cls in (*get_args(IncidentEvent), *get_args(ChangeEvent), *_LEDGERS)
}
"""Every stored type name this release can read. Names are ours: files can move."""


# --- encoding -------------------------------------------------------------------------------------


def _words_of(cls: type) -> tuple[str, ...]:
    return getattr(cls, "WORDS", ())


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
    """

    sure: frozenset[type]
    items: frozenset[type]
    texts: bool


_SIMPLE: Final = frozenset({str, bool, type(None), datetime, date})


def _field(hint: Any) -> _Field:
    """
    Return of which classes values are certain to be read again as what a field wants.

    No numbers: some are too great to be read, and some are none.
    """
    choices = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    sure = {c for c in choices if c in _SIMPLE or isinstance(c, EnumMeta) or attrs.has(c)}
    items: set[type] = set()
    for choice in choices:
        if get_origin(choice) is tuple and get_args(choice)[-1] is ...:
            sure.add(tuple)
            items |= _field(get_args(choice)[0]).sure
    return _Field(frozenset(sure), frozenset(items), Mapping[str, str] in choices)


_MINUTE: Final = timedelta(minutes=1)


def _whole_minutes(value: datetime) -> None:
    # A naive time has no offset: the TypeError says that it can't be stored.
    if value.tzinfo is not UTC and value.utcoffset() % _MINUTE:  # type: ignore[operator]
        # RFC 3339 has no seconds in an offset; writing it would move the instant.
        raise InvalidValue("at", value, "its UTC offset must be whole minutes")


def _seen_tuple(items: frozenset[type], value: tuple[Any, ...]) -> tuple[Any, bool]:
    if not value or {str} == set(map(type, value)) <= items:
        return value, True  # an empty one can be the field's default, which is left out
    certain = True
    written: list[Any] = []
    for item in value:
        bare, sure = _bare(item)
        written.append(bare)
        certain = certain and sure and item.__class__ in items
    return written, certain


def _seen_texts(value: dict[Any, Any]) -> tuple[Any, bool]:
    return value, not value or {*map(type, value), *map(type, value.values())} == {str}


class _Way(NamedTuple):
    """
    How an object is written whose fields hold values of certain classes.

    Attributes:
        times: Places of times, whose offsets are looked at.
        seen: Places of what is written as something else, or has to be looked into.
        certain: Whether everything else is certain to be read again.
    """

    times: tuple[int, ...]
    seen: tuple[tuple[int, Callable[[Any], tuple[Any, bool]]], ...]
    certain: bool


class _Form:
    """
    How objects of one class are written: its facts in their order, without what is empty.

    Values come from an object and go into a struct of msgspec by two calls in C, and what
    has to be done with them is known once their classes are.
    """

    def __init__(self, cls: type) -> None:
        hints = get_type_hints(cls)
        words = _words_of(cls)
        facts = [a for a in attrs.fields(cls) if a.name not in words]
        self.name = cls.__name__
        self.fields = [_field(hints[a.name]) for a in facts]
        self.words = tuple((name, _field(hints[name])) for name in words)
        self.salted = cls is KeyUsed  # which holds a hash, so it has a salt and no words
        # Of a value inside an event, only what is not known is left out.
        is_event = cls in _EVENT_CLASSES
        defaults: list[Any] = [_default(a) if is_event else None for a in facts]
        told = [(a.name, Any, default) for a, default in zip(facts, defaults, strict=True)]
        self._values = _getter([a.name for a in facts])
        self._struct = msgspec.defstruct(self.name, told, omit_defaults=True, gc=False)
        self._ways: dict[tuple[type, ...], _Way] = {}

    def written(self, value: Any) -> tuple[Any, bool]:
        """Return what msgspec is to write, and whether it is certain to be read again."""
        values: Any = self._values(value)
        kinds = tuple(map(type, values))
        way = self._ways.get(kinds) or self._way(kinds)
        for place in way.times:
            at = values[place]
            if at.tzinfo is not UTC:
                _whole_minutes(at)
        certain = way.certain
        if way.seen:
            values = list(values)
            for place, seen in way.seen:
                values[place], sure = seen(values[place])
                certain = certain and sure
        return self._struct(*values), certain

    def _way(self, kinds: tuple[type, ...]) -> _Way:
        times: list[int] = []
        seen: list[tuple[int, Any]] = []
        certain = True
        for place, (kind, field) in enumerate(zip(kinds, self.fields, strict=True)):
            if kind is datetime:
                times.append(place)
            if kind is dict and field.texts:
                seen.append((place, _seen_texts))
                continue
            if kind is tuple:
                seen.append((place, functools.partial(_seen_tuple, field.items)))
            elif attrs.has(kind):
                seen.append((place, _form(kind).written))
            certain = certain and kind in field.sure
        way = _Way(tuple(times), tuple(seen), certain)
        if len(self._ways) < _WAYS:
            self._ways[kinds] = way
        return way


_WAYS: Final = 1_000
"""Ways kept for one class: more than there are of right values; wrong ones may be of any class."""

_EVENT_CLASSES: Final = frozenset(EVENT_TYPES.values())


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


_FORMS: Final[dict[type, _Form]] = {}


def _form(cls: type) -> _Form:
    """Return how objects of a class are written, made when first needed."""
    found = _FORMS.get(cls)
    if found is None:
        found = _FORMS[cls] = _Form(cls)
    return found


def _bare(value: Any) -> tuple[Any, bool]:
    """Return *value* with what is empty left out, and whether it can be read again as its class."""
    cls = value.__class__
    if cls is str:
        return value, True
    if cls is datetime:
        _whole_minutes(value)
    if cls is tuple:
        return _seen_tuple(frozenset(), value)
    return _form(cls).written(value) if attrs.has(cls) else (value, True)


def _words(event: Any, form: _Form) -> tuple[dict[str, Any], bool]:
    """Return the words of an event that are not empty, and whether they are what words can be."""
    words: dict[str, Any] = {}
    certain = True
    for name, field in form.words:
        value = getattr(event, name)
        if value:
            words[name] = value
            if value.__class__ is not str or str not in field.sure:
                certain = certain and _are_texts(value, field)
    return words, certain


def _are_texts(value: Any, field: _Field) -> bool:
    return tuple in field.sure and value.__class__ is tuple and set(map(type, value)) == {str}


_hints: Final = functools.cache(get_type_hints)
"""What the fields of a class want, which takes long to find out."""


def wrong_words(event: Any, again: Any) -> Iterator[tuple[str, object]]:
    """
    Yield words that are of another type than their field's, by name: they are not read again.

    Args:
        again: The event as it is read again. Only it tells of a list what it comes back as; and
            only the event itself tells of bytes, which come back as some text.
    """
    hints = _hints(event.__class__)
    for name in _words_of(event.__class__):
        value = getattr(event, name)
        told = value if hints[name] is str else getattr(again, name)
        if value and (not told or isinstance(told, str) is not (hints[name] is str)):
            yield name, value


def too_great(event: Any) -> Iterator[tuple[str, object]]:
    """Yield fields, with their values, that hold a number JSON has no exact reader for."""
    for a in attrs.fields(event.__class__):
        value = getattr(event, a.name)
        if any(not -(1 << 63) <= number < 1 << 64 for number in _numbers(value)):
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


def _stamp(moment: datetime) -> str:
    """Return *moment* in UTC with six decimals and Z, the one form in which stamps are stored."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


_to_json: Final = msgspec.json.Encoder().encode

_BEFORE_STAMP: Final = b'","recorded_at":"'
_STAMP: Final = slice(71, 98)
"""Where the stamp stands in a state that begins as those written here do."""


def stamp_of(of: RowTuple | datetime) -> str:
    """
    Return a stamp as it is stored, which sorts as time does.

    Args:
        of: A row, of which nothing else is decoded; or a time, to be compared with stamps.
    """
    if isinstance(of, datetime):
        return _stamp(of)
    state = of[4]
    if state[54:71] == _BEFORE_STAMP and state[97:99] == b'Z"':
        return state[_STAMP].decode("latin-1")  # which reads any byte: they are digits and signs
    return _stamp(envelope_of(Row._make(of)).recorded_at)


def written_id(id_: str) -> bytes:
    """Return an id as it stands in the states that are written here, quotes included."""
    return _to_json(id_)


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
        members = {"format": FORMAT, "record": record, "recorded_at": _stamp(recorded_at)}
        self._opening = _to_json(members)[:-1]
        self._source: Source | None = None
        self._head = Head(self._opening, certain=True)

    def of(self, source: Source | None) -> Head:
        """Return those of events that a source told; of the same one again, what it had last."""
        if source is not self._source:
            self._head, self._source = self._told(source), source
        return self._head

    def _told(self, source: Source | None) -> Head:
        if source is None:
            return Head(self._opening, certain=True)
        payload, bare = source.sha256, source
        if payload is not None:
            if payload.__class__ is not str:
                raise TypeError("sha256 of a source is text")
            bare = attrs.evolve(source, sha256=None, keyed=None)
        told, certain = _form(Source).written(bare)
        text = self._opening + b',"source":' + _to_json(told)
        return Head(text, certain, payload)


def _keyed(salt: str, payload: str) -> str:
    return hmac.digest(bytes.fromhex(salt), payload.encode(), "sha256").hex()


_SALT_BYTES: Final = 16


def drawn() -> str:
    """Return a salt; see `encode`."""
    return os.urandom(_SALT_BYTES).hex()


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
    form = _FORMS.get(event.__class__) or _form(event.__class__)
    facts, certain = form.written(event)
    tail, text = b"}", head.text
    words: dict[str, Any] = {}
    if form.words:
        words, are_words = _words(event, form)
        certain = certain and are_words
    if words or form.salted or head.payload is not None:
        drawn_ = salt()
        tail = b',"words":' + _to_json({"salt": drawn_, **words}) + tail
        if head.payload is not None:
            text = _with_payload(text, drawn_, head.payload)
    state = b"".join((text, b',"event":', _to_json(facts), tail))
    return form.name, state, certain and head.certain


def _with_payload(text: bytes, salt: str, payload: str) -> bytes:
    """Return the members before `event`, with the keyed hash as the last of their source."""
    return b'%b,"keyed":"%b"}' % (text[:-1], _keyed(salt, payload).encode())


# --- decoding -------------------------------------------------------------------------------------

_CANNOT: Final = (msgspec.DecodeError, ImcmError, UnicodeDecodeError, RecursionError)
"""What decoding raises of what this version can't read, its bytes being ours or not."""


class _Envelope(msgspec.Struct):
    """What every stored event has, whatever its type."""

    format: int
    record: str
    recorded_at: datetime
    event: msgspec.Raw
    source: Source | None = None
    words: msgspec.Raw = msgspec.Raw()  # Raw can stand in no union; empty means none


def _decoder(cls: type, *, words: bool) -> msgspec.json.Decoder[Any]:
    fields: list[Any] = [
        ("format", int),
        ("record", str),
        ("recorded_at", datetime),
        ("event", cls),
        ("source", Source | None, None),
    ]
    if words:
        fields.append(("words", dict[str, str | tuple[str, ...]] | None, None))
    return msgspec.json.Decoder(msgspec.defstruct(f"Stored{cls.__name__}", fields))


_WITH_WORDS: Final[dict[str, msgspec.json.Decoder[Any]]] = {}
_WITHOUT_WORDS: Final[dict[str, msgspec.json.Decoder[Any]]] = {}
_envelope: Final = msgspec.json.Decoder(_Envelope)


def _decoder_for(name: str, *, words: bool) -> msgspec.json.Decoder[Any] | None:
    """Return the decoder of one type, made when first needed."""
    cache = _WITH_WORDS if words else _WITHOUT_WORDS
    found = cache.get(name)
    if found is None and name in EVENT_TYPES:
        cls = EVENT_TYPES[name]
        found = cache[name] = _decoder(cls, words=words and bool(_words_of(cls)))
    return found


def event_of(row: Row) -> Stored:
    """
    Return the event of one stored row, without its words: what `decode` gives of it, in less time.

    Raises:
        StoreError: The state is not a stored event at all.
    """
    decoder = _WITHOUT_WORDS.get(row.type) or _decoder_for(row.type, words=False)
    if decoder is not None:
        try:
            state = decoder.decode(row.state)
        except _CANNOT:
            return decode(row, words=False).event  # which says what is wrong
        if state.format <= FORMAT and state.recorded_at.tzinfo is not None:
            event: Stored = state.event
            return event
    return decode(row, words=False).event


def decode(row: Row, *, words: bool = True) -> Recorded:
    """
    Return the event of one stored row.

    An event of an unknown type, or one of a shape this version can't read, comes back as
    `Unread` with its bytes.

    Args:
        words: False leaves free text and names out, which is faster; their fields are empty. So
            are those of words that can't be read.

    Raises:
        StoreError: The state is not a stored event at all (damaged, or not ours).
    """
    if row.__class__ is not Row or row.state.__class__ is not bytes:
        checked_row(row)
    made = _WITH_WORDS if words else _WITHOUT_WORDS
    decoder = made.get(row.type) or _decoder_for(row.type, words=words)
    if decoder is None:
        return _unread(row, f"{row.type} is not known to this version")
    try:
        state = decoder.decode(row.state)
    except _CANNOT as error:
        # Words that can't be read leave the facts as they are, whoever reads them.
        return decode(row, words=False) if words else _unread(row, str(error))
    if state.format > FORMAT:
        return _unread(row, f"format {state.format} is newer than {FORMAT}")
    if not is_aware(state.recorded_at):
        raise _damaged(row, "recorded_at has no time zone")
    event = state.event
    redacted = False
    if words:
        told: dict[str, Any] | None = getattr(state, "words", None)
        if told:
            redacted = "redacted" in told
            known = _word_kinds(event.__class__)
            fits = {n: told[n] for n, kind in known if isinstance(told.get(n), kind)}
            event = attrs.evolve(event, **fits)
    return Recorded(
        row.stream,
        row.version,
        row.position,
        state.recorded_at,
        state.record,
        state.source,
        event,
        redacted,
    )


@functools.cache
def _word_kinds(cls: type) -> tuple[tuple[str, type], ...]:
    """Return the names of an event's words, each with whether it is a text or several."""
    hints = _hints(cls)
    return tuple((name, str if hints[name] is str else tuple) for name in _words_of(cls))


# --- facts alone ----------------------------------------------------------------------------------

_AWARE: Final = Annotated[datetime, msgspec.Meta(tz=True)]


def _hint(hint: Any) -> Any:
    """
    Return a type hint with every time aware, which the decoder then checks by itself.

    What stands in very many events, and checks nothing but that, is made as lean as they are.
    """
    if hint is datetime:
        return _AWARE
    if hint in (Commit, PolicyRef):
        return _struct(hint)
    if get_origin(hint) in {Union, UnionType}:
        return Union[tuple(map(_hint, get_args(hint)))]  # noqa: UP007 (made of what is given)
    if get_origin(hint) is tuple:
        return tuple[tuple(map(_hint, get_args(hint)))]  # type: ignore[misc]  # as above
    return hint


def _replaced(event: Any, /, **changes: Any) -> Any:
    return msgspec.structs.replace(event, **changes)


def _lean(cls: type) -> Callable[[bytes], Any]:
    """Return what decodes the facts of an event, with its stamp and its source."""
    # Of what is told of other events there is little, and it is wanted as it is.
    is_fact = cls not in {*EDITS, *_LEDGERS}
    members: list[Any] = [
        # A newer format is refused here, and told as what can't be read.
        ("format", Annotated[int, msgspec.Meta(le=FORMAT)]),
        ("record", str),
        ("recorded_at", _AWARE),
        ("event", _struct(cls) if is_fact else cls),
        ("source", Source | None, None),
    ]
    return msgspec.json.Decoder(msgspec.defstruct(f"Lean{cls.__name__}", members, gc=False)).decode


@functools.cache
def _struct(cls: type) -> Any:
    """
    Return a class that holds the facts of another, under the same name, and nothing else.

    The decoder fills it four times as fast, and the collector never walks it.
    """
    hints = get_type_hints(cls)
    fields: list[Any] = []
    for a in attrs.fields(cls):
        if a.name in _words_of(cls):
            continue
        field = [a.name, _hint(hints[a.name])]
        if isinstance(a.default, attrs.Factory):  # type: ignore[arg-type]
            field.append(msgspec.field(default_factory=a.default.factory))
        elif a.default is not attrs.NOTHING:
            field.append(a.default)
        fields.append(tuple(field))
    return msgspec.defstruct(
        cls.__name__, fields, gc=False, kw_only=True, namespace={"__replace__": _replaced}
    )


class _Lean(dict[str, tuple[str, Callable[[bytes], Any]]]):
    """By the names of types: the name, and what decodes the facts; made when first needed."""

    def __missing__(self, name: str) -> tuple[str, Callable[[bytes], Any]]:
        cls = EVENT_TYPES.get(name)
        if cls is None:
            return name, _not_known  # not kept: of names that are not ours there may be very many
        # The one name of each type is told, which is found faster than others equal to it.
        found = self[name] = cls.__name__, _lean(cls)
        return found


def _not_known(_: bytes) -> Any:
    raise msgspec.ValidationError("not a type of this version")


_LEAN: Final = _Lean()

TAKEN_AT_ONCE: Final = 250
"""So few that they stay in a processor's cache from one step to the next."""


def _taken(rows: Sequence[RowTuple]) -> Iterable[Taken]:
    """Return what rows tell of facts; one that can not be read has all of them looked at alone."""
    positions, streams, versions, types, states = zip(*rows, strict=True)
    names, decoders = zip(*map(_LEAN.__getitem__, types), strict=True)
    try:
        facts = [decoded(state) for decoded, state in zip(decoders, states, strict=True)]
    except _CANNOT:
        return map(_taken_alone, rows)
    return zip(streams, versions, positions, names, facts, strict=True)


def _taken_alone(row: RowTuple) -> Taken:
    position, stream, version, name, state = row
    facts: Any
    try:
        facts = _LEAN[name][1](state)
    except _CANNOT:
        facts = decode(Row._make(row), words=False)  # which says what can't be read, and why
    return stream, version, position, facts.event.__class__.__name__, facts


def take_facts(rows: Iterable[RowTuple], fold: FactsFold, until: datetime | None = None) -> None:
    """
    Give the facts of stored rows to a fold, as `decode` and `FactsFold.add` would, but faster.

    Args:
        rows: In log order, behind those the fold has; as `Row`, or plain tuples like it.
        until: Stop before the first event recorded after this time.

    Raises:
        StoreError: A state is not a stored event at all (damaged, or not ours).
    """
    rows = iter(rows)
    if until is None:
        pieces = iter(lambda: list(itertools.islice(rows, TAKEN_AT_ONCE)), [])
        fold.take(itertools.chain.from_iterable(map(_taken, pieces)))
    else:  # one by one: what lies behind that time is not even fetched
        alone = map(_taken_alone, rows)
        fold.take(itertools.takewhile(lambda one: one[-1].recorded_at <= until, alone))


def _unread(row: Row, why: str) -> Recorded:
    envelope = envelope_of(row)
    return Recorded(
        row.stream,
        row.version,
        row.position,
        envelope.recorded_at,
        envelope.record,
        envelope.source,
        Unread(type=row.type, state=row.state, why=why),
    )


def envelope_of(row: Row) -> _Envelope:
    """
    Return what every stored event has, with the facts and the words as raw bytes.

    Raises:
        StoreError: The state is not a stored event at all.
    """
    checked_row(row)
    try:
        envelope = _envelope.decode(row.state)
    except _CANNOT as error:
        raise _damaged(row, str(error)) from None
    if not is_aware(envelope.recorded_at):
        raise _damaged(row, "recorded_at has no time zone")
    return envelope


def _damaged(row: Row, why: str) -> StoreError:
    return StoreError(
        f"position {row.position} ({row.stream} version {row.version}, {row.type}) is not a "
        f"stored event: {why}"
    )


def salt_of(row: Row) -> str | None:
    """Return the salt of a row's words; None where it has none, or they were taken out."""
    words = bytes(envelope_of(row).words)
    try:
        told = msgspec.json.decode(words, type=dict[str, str | tuple[str, ...]]) if words else {}
        salt = told.get("salt")
        return salt if isinstance(salt, str) and len(bytes.fromhex(salt)) == _SALT_BYTES else None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None


def is_of_payload(row: Row, payload: bytes) -> bool | None:
    """
    Say whether a row was recorded from a raw payload; None where that can't be said any more.

    It can't be where no hash was kept, or its salt went with the words that were taken out.

    Raises:
        StoreError: The state is not a stored event at all.
    """
    source = envelope_of(row).source
    if not isinstance(payload, bytes):
        raise InvalidValue("payload", payload, "give the bytes of the payload")
    if source is None:
        return None
    digest = hashlib.sha256(payload).hexdigest()
    if source.keyed is None:
        return None if source.sha256 is None else hmac.compare_digest(source.sha256, digest)
    salt = salt_of(row)
    return None if salt is None else hmac.compare_digest(source.keyed, _keyed(salt, digest))


def as_imported(row: Row, *, recorded_at: datetime, record: str, source: Source) -> bytes:
    """
    Return a stored state in another envelope, its facts marked as imported.

    Everything else stays as it was: fields this version does not know, words with their salt.
    """
    envelope = envelope_of(row)
    facts = bytes(envelope.event)
    cls = EVENT_TYPES.get(row.type)
    if cls is not None and any(a.name == "imported" for a in attrs.fields(cls)):
        try:
            told: object = msgspec.json.decode(facts)
        except _CANNOT as error:
            told = str(error)
        if not isinstance(told, dict):
            where = f"{row.stream} version {row.version}"
            raise StoreError(f"{where} is damaged: its event is no object")
        facts = _to_json({**told, "imported": True})
    words = bytes(envelope.words)
    payload, bare = source.sha256, attrs.evolve(source, sha256=None)
    text = Heads(recorded_at, record).of(bare).text
    if payload is not None:
        # A hash that anybody can guess against is not written again: only with a salt beside it.
        salt = salt_of(row) if words else drawn()
        if salt is not None:
            words = words or _to_json({"salt": salt})
            text = _with_payload(text, salt, payload)
    tail = b',"words":' + words if words else b""
    return b"".join((text, b',"event":', facts, tail, b"}"))
