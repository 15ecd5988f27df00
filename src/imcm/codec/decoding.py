"""
Bytes to events: what this version can't read is kept as it is.
"""

from __future__ import annotations

import functools
from datetime import datetime
from typing import Any, Final

import attrs
import msgspec

from imcm.codec.encoding import stamp
from imcm.codec.rows import (
    EVENT_TYPES,
    FORMAT,
    SALT_BYTES,
    UNREADABLE,
    StoredEvent,
    StoredTuple,
    checked_row,
    damaged_row,
    hints_of,
    keyed_hash,
    word_fields,
)
from imcm.domain.recorded import Recorded, Source, Stored, Unread
from imcm.domain.vocabulary import is_aware
from imcm.errors import InvalidValue, StoreError

_BEFORE_STAMP: Final = b'","recorded_at":"'
_STAMP: Final = slice(71, 98)
"""Where the stamp stands in a state that begins as those written here do."""


def stamp_of(of: StoredTuple | datetime) -> str:
    """
    Return a stamp as it is stored, which sorts as time does.

    Args:
        of: A row, of which nothing else is decoded; or a time, to be compared with stamps.
    """
    if isinstance(of, datetime):
        return stamp(of)
    state = of[4]
    if state[54:71] == _BEFORE_STAMP and state[97:99] == b'Z"':
        return state[_STAMP].decode("latin-1")  # which reads any byte: they are digits and signs
    row = StoredEvent._make(of)
    try:
        return stamp(envelope_of(row).recorded_at)
    except OverflowError:
        raise damaged_row(row, "recorded_at can't be told in UTC") from None


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
    decoder = cache.get(name)
    if decoder is None and name in EVENT_TYPES:
        cls = EVENT_TYPES[name]
        decoder = cache[name] = _decoder(cls, words=words and bool(word_fields(cls)))
    return decoder


def event_of(row: StoredEvent) -> Stored:
    """
    Return the event of one stored row, without its words: what `decode` gives of it, in less time.

    Raises:
        StoreError: The state is not a stored event at all.
    """
    decoder = _WITHOUT_WORDS.get(row.type) or _decoder_for(row.type, words=False)
    if decoder is not None:
        try:
            state = decoder.decode(row.state)
        except UNREADABLE:
            return decode(row, words=False).event  # which says what is wrong
        if state.format <= FORMAT and is_aware(state.recorded_at):
            event: Stored = state.event
            return event
    return decode(row, words=False).event


def decode(row: StoredEvent, *, words: bool = True) -> Recorded:
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
    if row.__class__ is not StoredEvent or row.state.__class__ is not bytes:
        checked_row(row)
    made = _WITH_WORDS if words else _WITHOUT_WORDS
    decoder = made.get(row.type) or _decoder_for(row.type, words=words)
    if decoder is None:
        return unread_row(row, f"{row.type} is not known to this version")
    try:
        state = decoder.decode(row.state)
    except UNREADABLE as error:
        # Words that can't be read leave the facts as they are, whoever reads them.
        return decode(row, words=False) if words else unread_row(row, str(error))
    if state.format > FORMAT:
        return unread_row(row, f"format {state.format} is newer than {FORMAT}")
    if not is_aware(state.recorded_at):
        raise _naive_stamp(row)
    event = state.event
    redacted = False
    if words:
        written: dict[str, Any] | None = getattr(state, "words", None)
        if written:
            redacted = "redacted" in written
            known = _word_kinds(event.__class__)
            fits = {n: written[n] for n, kind in known if isinstance(written.get(n), kind)}
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
    hints = hints_of(cls)
    return tuple((name, str if hints[name] is str else tuple) for name in word_fields(cls))


def unread_row(row: StoredEvent, why: str) -> Recorded:
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


def envelope_of(row: StoredEvent) -> _Envelope:
    """
    Return what every stored event has, with the facts and the words as raw bytes.

    Raises:
        StoreError: The state is not a stored event at all.
    """
    checked_row(row)
    try:
        envelope = _envelope.decode(row.state)
    except UNREADABLE as error:
        raise damaged_row(row, str(error)) from None
    if not is_aware(envelope.recorded_at):
        raise _naive_stamp(row)
    return envelope


def _naive_stamp(row: StoredEvent) -> StoreError:
    return damaged_row(row, "recorded_at has no time zone")


def salt_of(row: StoredEvent) -> str | None:
    """Return the salt of a row's words; None where it has none, or they were taken out."""
    return _salt_in(envelope_of(row))


_words: Final = msgspec.json.Decoder(dict[str, str | tuple[str, ...]])


def _salt_in(envelope: _Envelope) -> str | None:
    words = bytes(envelope.words)
    try:
        members = _words.decode(words) if words else {}
        salt = members.get("salt")
        return salt if isinstance(salt, str) and len(bytes.fromhex(salt)) == SALT_BYTES else None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None


def is_of_payload(row: StoredEvent, payload: bytes) -> bool | None:
    """
    Say whether a row was recorded from a raw payload; None where that can't be said any more.

    It can't be where no hash was kept, or its salt went with the words that were taken out.

    Raises:
        StoreError: The state is not a stored event at all.
    """
    if not isinstance(payload, bytes):
        raise InvalidValue("payload", payload, "give the bytes of the payload")
    import hashlib

    return is_of_hash(envelope_of(row), hashlib.sha256(payload).hexdigest())


def is_of_hash(envelope: _Envelope, sha256: str) -> bool | None:
    """Say of what `envelope_of` gave whether its payload had this hash; None as `is_of_payload`."""
    import hmac

    source = envelope.source
    if source is None:
        return None
    if source.keyed is None:
        return None if source.sha256 is None else hmac.compare_digest(source.sha256, sha256)
    salt = _salt_in(envelope)
    return None if salt is None else hmac.compare_digest(source.keyed, keyed_hash(salt, sha256))
