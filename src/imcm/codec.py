"""
Events to bytes and back: the stored format.

One stored event is a type name of ours and `state`, one UTF-8 JSON object with these members in
this order: `format`, `record`, `recorded_at` (UTC, microseconds, Z), `source` (left out when
there is none), `event` (the facts; empty values left out), `words` (free text with a random
salt; left out when there is none). The members are described in docs/stored-format.md.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from imcm.domain.recorded import KeyClaimed, LedgerOpened, Recorded, Source, Stored, Unread
from imcm.errors import ImcmError, InvalidValue, StoreError

if TYPE_CHECKING:
    from imcm.projections.facts import FactsFold, Taken

FORMAT: Final = 1
"""The version of the stored format this release writes, and the newest it reads."""


class Row(NamedTuple):
    """One event as a store keeps it; *state* is the exact bytes."""

    position: int
    stream: str
    version: int
    type: str
    state: bytes


EVENT_TYPES: Final[Mapping[str, type]] = {
    cls.__name__: cls
    for cls in (*get_args(IncidentEvent), *get_args(ChangeEvent), LedgerOpened, KeyClaimed)
}
"""Every stored type name this release can read. Names are ours: files can move."""


# --- encoding -------------------------------------------------------------------------------------


def _words_of(cls: type) -> tuple[str, ...]:
    return getattr(cls, "WORDS", ())


_REQUIRED: Final = object()


def _default(attribute: Any) -> object:
    default = attribute.default
    if default is attrs.NOTHING:
        return _REQUIRED  # equal to no value, so the field is always written
    if isinstance(default, (Enum, int)) and default is not False:
        return _REQUIRED  # a status, a mode or a count is always written: the bytes say it
    return default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]


class _Fact(NamedTuple):
    """
    A field of an event that tells a fact.

    Attributes:
        default: The value that is left out.
        kind: Its class. 0 is no False.
        sure: Classes whose values can be read again whatever they are; others are tried.
    """

    name: str
    default: object
    kind: type
    sure: frozenset[type]


_TEXTS: Final = tuple[str, ...]


def _sure(hint: Any) -> frozenset[type]:
    """
    Return the classes whose values are certain to be read again as what a field wants.

    No numbers: some are too great to be read, and some are none. No values with fields of their
    own: theirs may be anything.
    """
    choices = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    simple = {str, bool, type(None), datetime, date}
    return frozenset(
        tuple if choice == _TEXTS else choice
        for choice in choices
        if choice == _TEXTS or choice in simple or (isinstance(choice, EnumMeta))
    )


@functools.cache
def _facts_of(cls: type) -> tuple[_Fact, ...]:
    hints = get_type_hints(cls)
    words = _words_of(cls)
    facts = ((a.name, _default(a)) for a in attrs.fields(cls) if a.name not in words)
    return tuple(
        _Fact(name, default, default.__class__, _sure(hints[name])) for name, default in facts
    )


_MINUTE: Final = timedelta(minutes=1)


def _bare_time(value: datetime) -> datetime:
    # A naive time has no offset: the TypeError says that it can't be stored.
    if value.tzinfo is not UTC and value.utcoffset() % _MINUTE:  # type: ignore[operator]
        # RFC 3339 has no seconds in an offset; writing it would move the instant.
        raise InvalidValue("at", value, "its UTC offset must be whole minutes")
    return value


def _bare_tuple(value: tuple[Any, ...]) -> list[Any]:
    return [_bare(item) for item in value]


def _bare_fields(names: tuple[str, ...], value: Any) -> dict[str, Any]:
    pairs = ((name, getattr(value, name)) for name in names)
    return {name: _bare(item) for name, item in pairs if item is not None}


_BARE: Final[dict[type, Callable[[Any], Any] | None]] = {
    **dict.fromkeys((str, int, float, bool, type(None))),
    datetime: _bare_time,
    tuple: _bare_tuple,
}
"""How a value of each class is made bare; None where it is so. Other classes are added when met."""


def _bare(value: Any) -> Any:
    """Return *value* with what is empty left out, for msgspec to write."""
    cls = value.__class__
    if cls not in _BARE:
        names = tuple(a.name for a in attrs.fields(cls)) if attrs.has(cls) else ()
        _BARE[cls] = functools.partial(_bare_fields, names) if names else None
    bare = _BARE[cls]
    return value if bare is None else bare(value)


def _facts(event: Any) -> tuple[dict[str, Any], bool]:
    """Return what is written of an event, and whether it is certain to be read again."""
    facts: dict[str, Any] = {}
    certain = True
    for name, default, default_kind, sure in _facts_of(event.__class__):
        value = getattr(event, name)
        kind = value.__class__
        if value is default or (kind is default_kind and value == default):
            continue
        bare = _BARE.get(kind, _bare)
        facts[name] = value if bare is None else bare(value)
        if kind not in sure or (kind is tuple and not all(item.__class__ is str for item in value)):
            certain = False
    return facts, certain


def _stamp(moment: datetime) -> str:
    """Return *moment* in UTC with six decimals and Z, the one form in which stamps are stored."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


_to_json: Final = msgspec.json.Encoder().encode


class Head(NamedTuple):
    """
    The members of a state before `event`; the events of one call share them.

    Attributes:
        certain: Whether they are certain to be read again.
    """

    text: bytes
    certain: bool


_SAID_OF_A_SOURCE: Final = frozenset({str, type(None)})


def head_of(recorded_at: datetime, record: str, source: Source | None) -> Head:
    """Return the members before `event`, from the ledger's stamp, the call's id and the source."""
    members: dict[str, Any] = {
        "format": FORMAT,
        "record": record,
        "recorded_at": _stamp(recorded_at),
    }
    certain = True
    if source is not None:
        members["source"] = _bare(source)
        said = {source.id.__class__, source.status.__class__, source.sha256.__class__}
        said |= {source.ledger.__class__}
        certain = source.name.__class__ is str and said <= _SAID_OF_A_SOURCE
        certain = certain and source.recorded_at.__class__ in {datetime, type(None)}
    return Head(_to_json(members)[:-1], certain)


def _drawn() -> str:
    return os.urandom(16).hex()


def encode(
    event: Stored,
    *,
    recorded_at: datetime,
    record: str,
    source: Source | None = None,
    salt: Callable[[], str] = _drawn,
) -> tuple[str, bytes]:
    """
    Return the stored type name and the stored state of *event*.

    Args:
        recorded_at: The ledger's stamp, aware.
        record: Id of the call that records it.
        salt: Draws 16 random bytes in hexadecimal, so that redacted words can't be guessed
            from their hash.
    """
    name, state, _ = encoded(event, head_of(recorded_at, record, source), salt)
    return name, state


def encoded(event: Stored, head: Head, salt: Callable[[], str] = _drawn) -> tuple[str, bytes, bool]:
    """
    Return the stored type name and state of *event*, and whether it is certain to be read again.

    It is, where every fact is of its field's own class, and all values of that class can be read.
    Whatever else there is, only decoding it tells.
    """
    if isinstance(event, Unread):
        return event.type, event.state, True
    cls = event.__class__
    facts, certain = _facts(event)
    words = {name: value for name in _words_of(cls) if (value := getattr(event, name))}
    tail = b',"words":' + _to_json({"salt": salt(), **words}) if words else b""
    state = b"".join((head.text, b',"event":', _to_json(facts), tail, b"}"))
    return cls.__name__, state, certain and head.certain


# --- decoding -------------------------------------------------------------------------------------


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


def decode(row: Row, *, words: bool = True) -> Recorded:
    """
    Return the event of one stored row.

    An event of an unknown type, or one of a shape this version can't read, comes back as
    `Unread` with its bytes.

    Args:
        words: False leaves free text and names out, which is faster; their fields are empty.

    Raises:
        StoreError: The state is not a stored event at all (damaged, or not ours).
    """
    made = _WITH_WORDS if words else _WITHOUT_WORDS
    decoder = made.get(row.type) or _decoder_for(row.type, words=words)
    if decoder is None:
        return _unread(row, f"{row.type} is not known to this version")
    try:
        state = decoder.decode(row.state)
    except (msgspec.DecodeError, ImcmError, UnicodeDecodeError) as error:
        return _unread(row, str(error))
    if state.format > FORMAT:
        return _unread(row, f"format {state.format} is newer than {FORMAT}")
    if state.recorded_at.tzinfo is None:
        raise _damaged(row, "recorded_at has no time zone")
    event = state.event
    redacted = False
    if words:
        told: dict[str, Any] | None = getattr(state, "words", None)
        if told:
            redacted = "redacted" in told
            known = _words_of(event.__class__)
            event = attrs.evolve(event, **{name: told[name] for name in known if name in told})
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


# --- facts alone ----------------------------------------------------------------------------------

_AWARE: Final = Annotated[datetime, msgspec.Meta(tz=True)]


def _hint(hint: Any) -> Any:
    """Return a type hint with every time aware, which the decoder then checks by itself."""
    if hint is datetime:
        return _AWARE
    if get_origin(hint) in {Union, UnionType}:
        return Union[tuple(map(_hint, get_args(hint)))]  # noqa: UP007 (made of what is given)
    return hint


def _replaced(event: Any, /, **changes: Any) -> Any:
    return msgspec.structs.replace(event, **changes)


def _lean(cls: type) -> Any:
    """
    Return a class that holds the facts of an event, under the same name, and nothing else.

    The decoder fills it four times as fast as the event class, and the collector never walks it.
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
    lean = msgspec.defstruct(
        cls.__name__, fields, gc=False, kw_only=True, namespace={"__replace__": _replaced}
    )
    members: list[Any] = [
        # A newer format is refused here, and told as what can't be read.
        ("format", Annotated[int, msgspec.Meta(le=FORMAT)]),
        ("recorded_at", _AWARE),
        ("event", lean),
        ("source", Source | None, None),
    ]
    return msgspec.json.Decoder(msgspec.defstruct(f"Lean{cls.__name__}", members, gc=False)).decode


_LEAN: Final[dict[str, tuple[str, Any]]] = {}


def _lean_decoder(name: str) -> tuple[str, Any]:
    """Return a type's name, and what decodes its facts: None where only the event itself will."""
    found = _LEAN.get(name)
    if found is None:
        cls = EVENT_TYPES.get(name)
        of_a_stream = cls is not None and cls not in {*EDITS, LedgerOpened, KeyClaimed}
        found = name, _lean(cls) if cls is not None and of_a_stream else None
        if cls is not None:
            _LEAN[name] = found  # of names that are not ours there may be very many
    return found


def _told(
    rows: Iterable[tuple[int, str, int, str, bytes]], until: datetime | None
) -> Iterator[Taken]:
    """Yield what stored rows tell of facts, up to the first event recorded after a time."""
    decoders = _LEAN.get
    for row in rows:
        position, stream, version, name, state = row
        # The one name of each type is told, which is found faster than others equal to it.
        name, decoder = decoders(name) or _lean_decoder(name)
        if decoder is not None:
            try:
                told = decoder(state)
            except (msgspec.DecodeError, ImcmError, UnicodeDecodeError):
                told = None  # the event itself says what is wrong
            if told is not None:
                stamp = told.recorded_at
                if until is not None and stamp > until:
                    return
                yield stream, version, position, stamp, told.source, name, told.event
                continue
        recorded = decode(Row._make(row), words=False)
        if until is not None and recorded.recorded_at > until:
            return
        _, _, _, stamp, _, source, event, _ = recorded
        yield stream, version, position, stamp, source, event.__class__.__name__, event


def take_facts(
    rows: Iterable[tuple[int, str, int, str, bytes]],
    fold: FactsFold,
    until: datetime | None = None,
) -> None:
    """
    Give the facts of stored rows to a fold, as `decode` and `FactsFold.add` would, but faster.

    Args:
        rows: In log order, behind those the fold has; as `Row`, or plain tuples like it.
        until: Stop before the first event recorded after this time.

    Raises:
        StoreError: A state is not a stored event at all (damaged, or not ours).
    """
    fold.take(_told(rows, until))


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
    try:
        envelope = _envelope.decode(row.state)
    except (msgspec.DecodeError, ImcmError, UnicodeDecodeError) as error:
        raise _damaged(row, str(error)) from None
    if envelope.recorded_at.tzinfo is None:
        raise _damaged(row, "recorded_at has no time zone")
    return envelope


def _damaged(row: Row, why: str) -> StoreError:
    return StoreError(
        f"position {row.position} ({row.stream} version {row.version}, {row.type}) is not a "
        f"stored event: {why}"
    )


def as_imported(row: Row, *, recorded_at: datetime, record: str, source: Source) -> bytes:
    """
    Return a stored state in another envelope, its facts marked as imported.

    Everything else stays as it was: fields this version does not know, words with their salt.
    """
    envelope = envelope_of(row)
    facts = bytes(envelope.event)
    cls = EVENT_TYPES.get(row.type)
    if cls is not None and any(a.name == "imported" for a in attrs.fields(cls)):
        facts = _to_json({**msgspec.json.decode(facts), "imported": True})
    words = bytes(envelope.words)
    tail = b',"words":' + words if words else b""
    head = head_of(recorded_at, record, source).text
    return b"".join((head, b',"event":', facts, tail, b"}"))
