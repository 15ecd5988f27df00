"""
One incident or change of a ledger, with what it names and what names it.

Answering for one of them by reading the whole log takes many times as long as going through the
stored bytes: those tell, undecoded, in which streams an id stands, and what was known when. Only
the streams that are needed are decoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from imcm.codec.decoding import decode, stamp_of
from imcm.codec.encoding import written_id
from imcm.codec.rows import StoredEvent
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, checked_known_at, stream_of
from imcm.ledger.store import ReadStore
from imcm.projections.histories.timeline import named_by

_PREFIXES: Final = (stream_of(INCIDENT, ""), stream_of(CHANGE, ""))


class Extent(NamedTuple):
    """
    How far a log was read.

    Attributes:
        position: Of the last event that was known; 0 where none was.
        newest: The newest stamp of an incident or a change up to it, as `codec.stamp_of` gives it;
            empty where there is none.
        naming: The streams in which the id that was asked for may be named.
    """

    position: int
    newest: str
    naming: tuple[str, ...]


def extent_of(store: ReadStore, known_at: int | datetime | None, id_: str | None = None) -> Extent:
    """
    Go through the stored bytes of a log, up to what was known; see `recorded.known`.

    Args:
        id_: The id of which is asked where it may be named; None asks of none.
    """
    known_at = checked_known_at(known_at)
    upto = known_at if isinstance(known_at, int) else None
    until = stamp_of(known_at) if isinstance(known_at, datetime) else None
    needle = b"" if id_ is None else written_id(id_)
    naming: dict[str, None] = {}
    last, newest = 0, ""
    for row in store.tuples(upto=upto):
        stamp = stamp_of(row)
        if until is not None and stamp > until:
            break
        last = row[0]
        if row[1].startswith(_PREFIXES):
            newest = max(newest, stamp)
        # Rows that came from elsewhere may write any letter by its number.
        if needle and (needle in row[4] or b"\\u" in row[4]):
            naming[row[1]] = None
    return Extent(last, newest, tuple(naming))


def events_of(store: ReadStore, streams: Iterable[str], upto: int) -> list[Recorded]:
    """Return the events of some streams up to a position, in log order."""
    known: list[StoredEvent] = []
    for stream, rows in store.streams(list(dict.fromkeys(streams))).items():
        positions = store.positions(stream, rows)
        known += [
            row._replace(position=at) for row, at in zip(rows, positions, strict=True) if at <= upto
        ]
    known.sort(key=lambda row: row.position)
    return [decode(row) for row in known]


def around(store: ReadStore, stream: str, extent: Extent) -> list[Recorded]:
    """Return the events of a stream, of those it names and of those that may name it."""
    own = events_of(store, [stream], extent.position)
    named = {other for recorded in own for other in named_by(recorded.event)}
    return events_of(store, [stream, *sorted(named), *extent.naming], extent.position)
