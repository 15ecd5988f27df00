"""
Events as rows that are certain to be read again.
"""

from __future__ import annotations

from collections.abc import Callable

from imcm.codec.decoding import decode, envelope_of
from imcm.codec.encoding import Head, Heads, drawn, encoded, too_great, wrong_words
from imcm.codec.rows import StoredEvent
from imcm.domain.recorded import Source, Stored, Unread
from imcm.errors import InvalidValue, StoreError
from imcm.ledger.store import Store


def head_of(heads: Heads, source: Source | None) -> Head:
    """
    Return what the rows of one call begin with.

    Raises:
        InvalidValue: What is said of the source can't be written.
    """
    try:
        head = heads.of(source)
        if not head.certain:
            envelope_of(StoredEvent(0, "", 0, "", head.text + b',"event":{}}'))
    except (TypeError, UnicodeEncodeError, StoreError) as error:
        raise InvalidValue("source", source, f"values that can be stored: {error}") from None
    return head


def readable_row(
    stream: str, version: int, event: Stored, head: Head, salt: Callable[[], str] = drawn
) -> StoredEvent:
    """
    Return the row of an event, which is certain to be read again.

    Raises:
        InvalidValue: An argument of another type than its field's got into the event.
    """
    try:
        name, state, certain = encoded(event, head, salt)
    except (TypeError, UnicodeEncodeError) as error:
        raise InvalidValue(
            type(event).__name__, event, f"values that can be stored: {error}"
        ) from None
    row = StoredEvent(0, stream, version, name, state)
    if not certain:
        _refuse_unreadable(event, row)
    return row


def _refuse_unreadable(event: Stored, row: StoredEvent) -> None:
    for field, value in too_great(event):
        raise InvalidValue(field, value, "numbers of at most 64 bits; others are read as another")
    again = decode(row).event
    if isinstance(again, Unread):
        # Stored like this it could never be read, and would close the stream for ever.
        why = f"arguments of the right type: {again.why}"
        raise InvalidValue(type(event).__name__, event, why)
    for field, value in wrong_words(event, again):
        raise InvalidValue(field, value, "give text, or texts where there may be several")


def is_stored(store: Store, row: StoredEvent, record: str) -> bool:
    """Say whether a failed insert of *record* was stored after all: its answer was lost."""
    mine = any(
        stored.version == row.version and envelope_of(stored).record == record
        for stored in store.stream(row.stream)
    )
    if mine:
        store.wait_until_durable()
    return mine
