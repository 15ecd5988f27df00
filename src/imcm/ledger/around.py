"""
One incident or change of a ledger, with what it names and what names it.

Answering for one of them by reading the whole log takes many times as long as looking through the
stored bytes: those tell, undecoded, in which streams an id stands, and what was known when. Only
the streams that are needed are decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from imcm.codec.decoding import decode, stamp_of
from imcm.codec.encoding import written_id
from imcm.codec.rows import StoredEvent
from imcm.domain.recorded import (
    CHANGE,
    INCIDENT,
    Recorded,
    checked_known_at,
    kind_and_id,
    stream_of,
)
from imcm.domain.vocabulary import Between
from imcm.ledger.store import ReadStore
from imcm.projections.figures.units import utc
from imcm.projections.figures.windows import Period
from imcm.projections.histories.timeline import Timeline, named_by, timeline

if TYPE_CHECKING:
    from imcm.ledger.reading import LedgerReader

_PREFIXES: Final = (stream_of(INCIDENT, ""), stream_of(CHANGE, ""))
_ESCAPE: Final = rb"\u"
"""Rows that came from elsewhere may write any letter of an id by its number."""

_POSITION: Final = attrgetter("position")


def position_at(store: ReadStore, known_at: int | datetime | None) -> int:
    """Return the position of the last event that was known, 0 where none was; see `known`."""
    known_at = checked_known_at(known_at)
    if not isinstance(known_at, datetime):
        return store.newest(known_at)
    last, until = 0, stamp_of(known_at)
    for row in store.tuples():
        if stamp_of(row) > until:
            break
        last = row[0]
    return last


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


def naming(store: ReadStore, stream: str, upto: int) -> set[str]:
    """Return the streams that may name this one, up to a position."""
    _, id_ = kind_and_id(stream)
    return store.holding((written_id(id_), _ESCAPE), upto)


def timeline_of(
    ledger: LedgerReader,
    stream: str,
    *,
    upto: int,
    naming: Iterable[str] | None,
    window: Period | str | None,
    as_of: datetime | None,
) -> Timeline:
    """
    Return what `imcm.timeline` says of one stream, of which only some of the log is decoded.

    Args:
        upto: The position of the last event that was known.
        naming: The streams that may name it; None leaves out all others, those it names too.
        window, as_of: See `imcm.timeline`.
    """
    log = ledger.events_of([stream], upto=upto)
    if not log:
        raise ledger.unknown(stream)
    if naming is not None:
        named = {other for recorded in log for other in named_by(recorded.event)}
        others = sorted(named.union(naming) - {stream})
        log = sorted(log + ledger.events_of(others, upto=upto), key=_POSITION)
    kind, id_ = kind_and_id(stream)
    whose: dict[str, Any] = {kind: id_}
    if as_of is None and _is_ahead(log):
        as_of = datetime.fromisoformat(_newest_stamp(ledger, upto))
    linked = naming is not None
    return timeline(log, **whose, window=window, linked=linked, as_of=as_of)


def _is_ahead(log: Sequence[Recorded]) -> bool:
    """
    Say whether some of it may lie behind the newest of its own stamps.

    By default a timeline ends at the newest stamp of the whole log. Where nothing lies behind that
    of a few streams, theirs ends there as well, and the rest need not be looked through.
    """
    newest = max(recorded.recorded_at for recorded in log)
    return any(
        utc(moment) > newest
        for recorded in log
        for moment in (getattr(recorded.event, field, None) for field in ("at", "now"))
        if isinstance(moment, (datetime, Between))
    )


def _newest_stamp(ledger: LedgerReader, upto: int) -> str:
    """Return the newest stamp that an incident or a change has up to a position."""
    rows = ledger.rows(upto=upto)
    return max((stamp_of(row) for row in rows if row[1].startswith(_PREFIXES)), default="")
