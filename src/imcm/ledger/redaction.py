"""
Words taken out of a log.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Self

from imcm.codec.encoding import Heads
from imcm.codec.rows import StoredEvent
from imcm.domain.corrections import WordsRedacted
from imcm.domain.recorded import Recorded, checked_log, kind_and_id
from imcm.domain.vocabulary import (
    Moment,
    checked_id,
    checked_moment,
    checked_number,
    checked_words,
    is_list,
    required_words,
)
from imcm.errors import InvalidValue, StoreError, UnknownIdError
from imcm.ledger.calls import refuse_future
from imcm.ledger.rows import head_of, readable_row
from imcm.ledger.store import Store
from imcm.ledger.streams import checked_stream, without_gaps

__all__ = [
    "Redaction",
]


class Redaction(tuple[Recorded, ...]):
    """
    What `Ledger.redact` recorded: a tuple of events.

    Attributes:
        pending: What is still to be done so that overwritten words are gone from the file; "" when
            nothing is.
    """

    pending: str

    def __new__(cls, recorded: Iterable[Recorded] = (), *, pending: str = "") -> Self:
        """Return the events with what is pending."""
        made = super().__new__(cls, checked_log(recorded))
        made.pending = pending
        return made


def checked_versions(versions: object) -> frozenset[int]:
    if not is_list(versions):
        raise InvalidValue("versions", versions, "give a list of versions, for example [1, 2]")
    return frozenset(checked_number("versions", version) for version in versions)


def has_words(row: StoredEvent, wanted: frozenset[int] | None) -> bool:
    """Say whether an event has words that are to be taken out."""
    from imcm.verifier import redact

    if wanted is None:
        if row.type == WordsRedacted.__name__:
            return False
    elif row.version not in wanted:
        return False
    return redact(row.state) != row.state


def redact(
    store: Store,
    stream: str,
    *,
    by: str,
    at: Moment,
    reason: str,
    versions: Iterable[int] | None,
    now: Callable[[], datetime],
    near: Callable[[str], str],
) -> Redaction:
    """
    Do what `Ledger.redact` says.

    Args:
        near: Returns what is near a stream that is not there.
    """
    from imcm.verifier import redact as without_words

    checked_stream(checked_words("stream", stream))
    if not store.is_plain:
        raise StoreError("this ledger is compressed or encrypted; no words can be taken out")
    wanted = None if versions is None else checked_versions(versions)
    by, reason = checked_id("by", by), required_words("reason", reason)
    at = checked_moment("at", at)
    kind, id_ = kind_and_id(stream)
    name = stream
    made: list[Recorded] = []

    def choose(
        rows: list[StoredEvent],
    ) -> tuple[list[tuple[StoredEvent, bytes]], StoredEvent] | None:
        if not without_gaps(rows):
            raise UnknownIdError(kind, id_, near(name))
        unknown = (wanted or frozenset()) - {row.version for row in rows}
        if unknown:
            allowed = f"versions of {stream}: 1 to {len(rows)}"
            raise InvalidValue("versions", sorted(unknown), allowed)
        chosen = [row for row in rows if has_words(row, wanted)]
        if not chosen:
            return None
        stamp, record, version = now(), os.urandom(16).hex(), len(rows) + 1
        versions_ = tuple(row.version for row in chosen)
        event = WordsRedacted(at=at, by=by, versions=versions_, reason=reason)
        refuse_future("redact", stream, event, stamp)
        made.append(Recorded(name, version, 0, stamp, record, None, event))
        added = readable_row(name, version, event, head_of(Heads(stamp, record), None))
        return [(row, without_words(row.state)) for row in chosen], added

    # Nobody records meanwhile: on a stream that never rests every attempt would come too late.
    position = store.rewrite(name, choose)
    recorded = [event._replace(position=position) for event in made] if position else []
    return Redaction(recorded, pending=store.wiped())
