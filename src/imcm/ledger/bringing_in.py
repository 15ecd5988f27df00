"""
History from elsewhere, and the rows of other ledgers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import attrs

from imcm.codec.decoding import decode, envelope_of
from imcm.codec.encoding import Heads, salts
from imcm.codec.renewal import as_imported
from imcm.codec.rows import StoredEvent, checked_rows
from imcm.domain.policy import DEFAULT_POLICY
from imcm.domain.recorded import CHANGE, Event, LedgerOpened, Source, kind_and_id
from imcm.domain.vocabulary import checked_id, is_list
from imcm.errors import (
    ConflictError,
    ImcmError,
    InvalidValue,
    LedgerNotEmptyError,
    NotALedgerError,
    StepRefused,
    StoreError,
)
from imcm.gc_pause import gc_paused
from imcm.ledger.rows import head_of, is_stored, readable_row
from imcm.ledger.rules import Rules, submitted_under
from imcm.ledger.store import ASKED_AT_ONCE, SELF, AppendConflict, Store
from imcm.ledger.streams import AGGREGATES, checked_stream, is_a_stream, state_of_rows, without_gaps
from imcm.plain import plain

__all__ = [
    "History",
    "Settled",
]


IMPORT_BATCH: Final = 5_000
"""Events that a bulk import appends in one transaction."""


@attrs.frozen(kw_only=True)
class History:
    """
    What another tool knows of one incident or change, for `Ledger.bring_in`.

    Attributes:
        stream: "incident:<id>" or "change:<id>".
        events: Imported events, each with where it comes from.
        decide: Asked instead of *events*, with what stands in the stream: what is to be added to
            it. So what is new of a source's statements is found where it is recorded, once.
        known: Asked before that, with the rows of a stream in which something stands: whether all
            of the history is there already, so that nothing is to be decided.
    """

    stream: str
    events: tuple[tuple[Event, Source | None], ...] = ()
    decide: Callable[[tuple[Pair, ...]], Sequence[Pair]] | None = None
    known: Callable[[Sequence[StoredEvent]], bool] | None = None

    def __repr__(self) -> str:
        """Return whose it is, and how many events there are."""
        many = "as decided" if self.decide is not None else f"{len(self.events):,} events"
        return f"<History of {self.stream!r}: {many}>"


class Settled(NamedTuple):
    """
    What becomes of histories once all of them are decided, for `Ledger.bring_in`.

    Attributes:
        left_out: Streams of which nothing is recorded after all.
        histories: Further ones: they see what was decided, and was not left out.
    """

    left_out: Collection[str] = ()
    histories: Iterable[History] = ()


Pair = tuple[Event, Source | None]
"""An event, and where it comes from."""


def _pairs(history: History, there: Sequence[StoredEvent]) -> Sequence[Pair]:
    """
    Return the events of a history with their sources.

    Raises:
        InvalidValue: It holds something else.
    """
    events: Sequence[Pair] = history.events
    if history.decide is not None:
        decoded = [decode(row) for row in there]
        stands: Any = tuple((each.event, each.source) for each in decoded)  # none of them is unread
        events = history.decide(stands)
    for pair in events:
        if pair.__class__ is tuple and len(pair) == 2 and pair[1].__class__ is Source:
            continue  # as nearly all are
        members: list[object] = [*pair] if is_list(pair) else []
        if len(members) != 2 or not _is_source(members[1]):
            allowed = "pairs of an event and its Source (or None): events=((event, source), ...)"
            raise InvalidValue("events", pair, allowed)
    return events


def _is_source(value: object) -> bool:
    return value is None or isinstance(value, Source)


def added_rows(
    history: History,
    there: list[StoredEvent],
    heads: Heads,
    salt: Callable[[], str],
    rules: Rules,
) -> list[StoredEvent]:
    """
    Return the rows of what a history adds to those that are there.

    Args:
        rules: Those in force, by which is marked what went in unasked for.
    """
    stream = history.stream
    kind = checked_stream(stream)
    if there and history.known is not None and history.known(there):
        return []
    state = state_of_rows(kind, without_gaps(there), words=False)
    going_by: dict[str, Any] = {}
    if kind == CHANGE and there:
        policy = rules.policy or DEFAULT_POLICY
        going_by = {"policy": policy, "also": submitted_under(state, rules)}
    pairs = _pairs(history, there)
    if history.decide is not None:
        going_by["decided"] = True
    try:
        additions = AGGREGATES[kind].bring_in(state, events=[e for e, _ in pairs], **going_by)
    except StepRefused as refused:
        raise refused.on(stream) from None
    if additions and not there:
        checked_id("id", kind_and_id(stream)[1])
    return [
        readable_row(stream, version, event, head_of(heads, pairs[index][1]), salt)
        for version, (index, event) in enumerate(additions, start=len(state.past) + 1)
    ]


def by_stream(histories: Iterable[History]) -> Iterator[dict[str, History]]:
    """Yield histories by stream, as many as are asked for at once and each stream once."""
    ahead: dict[str, History] = {}
    if not is_list(histories):
        raise InvalidValue("histories", histories, _HISTORIES)
    for history in histories:
        if not isinstance(history, History) or not isinstance(history.stream, str):
            raise InvalidValue("histories", history, _HISTORIES)
        if len(ahead) >= ASKED_AT_ONCE or history.stream in ahead:
            yield ahead
            ahead = {}
        ahead[history.stream] = history
    yield ahead


_HISTORIES: Final = "give a list of History(stream=..., events=...)"


def already_joined(stream: str) -> LedgerNotEmptyError:
    return LedgerNotEmptyError(
        f"{stream} exists here with events of its own; ledgers with the same ids can't be joined"
    )


def first_source(row: StoredEvent, origin: str) -> Source:
    """Return where an event of another ledger came from: its own source, or that ledger."""
    envelope = envelope_of(row)
    source = envelope.source or Source(name="ledger")
    stamp = source.recorded_at or envelope.recorded_at
    return attrs.evolve(source, recorded_at=stamp, ledger=source.ledger or origin)


def first_row(rows: Iterator[StoredEvent]) -> tuple[StoredEvent, LedgerOpened]:
    """
    Take the first row of a ledger's, and return it with what it says.

    Raises:
        NotALedgerError: It is not that of a ledger, or there is none.
    """
    for first in rows:
        opened = decode(first).event if (first.stream, first.version) == (SELF, 1) else None
        if isinstance(opened, LedgerOpened):
            return first, opened
        break
    raise NotALedgerError(f"a ledger's first row is {SELF}; this is no whole export")


def given_rows(rows: Iterable[StoredEvent]) -> Iterator[StoredEvent]:
    """
    Yield rows that somebody gave to be stored, as long as they are such.

    Raises:
        InvalidValue: One is no row.
        StoreError: Its version is none.
    """
    for row in checked_rows(rows):
        if row.version < 1:
            allowed = "give rows as ledger.rows() or jsonl.read does"
            named = f"version {row.version} of {plain(row.stream)}"
            raise StoreError(f"{named} is no stored event; {allowed}")
        yield row


def bring_in(
    store: Store,
    histories: Iterable[History],
    now: Callable[[], datetime],
    progress: Callable[[int], object] | None,
    rules: Rules,
    refused: Callable[[History, ImcmError], object] | None = None,
    *,
    dry_run: bool = False,
) -> tuple[int, int]:
    """Do what `Ledger.bring_in` says."""
    append = _counted if dry_run else _append
    record = os.urandom(16).hex()
    salt = salts().__next__
    count = recorded = 0
    batch: list[StoredEvent] = []
    pending: set[str] = set()
    for ahead in by_stream(histories):
        if not pending.isdisjoint(ahead):
            recorded += append(store, batch)
            batch, pending = [], set()
        there = store.streams([stream for stream in ahead if is_a_stream(stream)])
        heads: Heads | None = None
        with gc_paused():
            for history in ahead.values():
                if len(batch) >= IMPORT_BATCH:
                    recorded += append(store, batch)
                    batch, pending = [], set()
                try:
                    heads = heads or Heads(now(), record)
                    known = there.get(history.stream, [])
                    batch += added_rows(history, known, heads, salt, rules)
                except ImcmError as error:
                    if refused is None:
                        append(store, batch)
                        raise
                    refused(history, error)
                pending.add(history.stream)
                count += 1
                if progress is not None:
                    progress(count)
    return count, recorded + append(store, batch)


def bring_in_together(
    store: Store,
    histories: Iterable[History],
    now: Callable[[], datetime],
    progress: Callable[[int], object] | None,
    rules: Rules,
    refused: Callable[[History, ImcmError], object] | None = None,
    settle: Callable[[], Settled] | None = None,
    *,
    dry_run: bool = False,
) -> tuple[int, int]:
    """Do what `Ledger.bring_in` says, deciding all before anything is recorded."""
    gathered = _Gathered(store, now, rules, refused, progress)
    with gc_paused():  # what is gathered would be walked again and again
        gathered.take(histories)
        if settle is not None:
            settled = settle()
            if not isinstance(settled, Settled):
                raise InvalidValue("settle", settled, "a function that returns Settled(...)")
            for stream in settled.left_out:
                gathered.rows.pop(stream, None)
            gathered.take(settled.histories)
        return len(gathered.rows), gathered.count() if dry_run else gathered.append()


class _Gathered:
    """
    What is decided and not recorded yet.

    Attributes:
        rows: New ones by stream, in the order in which streams were given; none where nothing is
            new.
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], datetime],
        rules: Rules,
        refused: Callable[[History, ImcmError], object] | None,
        progress: Callable[[int], object] | None,
    ) -> None:
        self.rows: dict[str, Sequence[StoredEvent]] = {}
        self._store = store
        self._now = now
        self._rules = rules
        self._refused = refused
        self._progress = progress
        self._record = os.urandom(16).hex()
        self._heads = Heads(now(), self._record)
        self._salt = salts().__next__

    def take(self, histories: Iterable[History]) -> None:
        """Decide histories."""
        for ahead in by_stream(histories):
            there = self._store.streams([stream for stream in ahead if is_a_stream(stream)])
            for stream, history in ahead.items():
                is_first = stream not in self.rows
                before = self.rows.get(stream, ())
                known = there.get(stream, [])
                self.rows[stream] = before
                try:
                    new = added_rows(
                        history,
                        [*known, *before] if before else known,
                        self._heads,
                        self._salt,
                        self._rules,
                    )
                except ImcmError as error:
                    if self._refused is None:
                        raise
                    self._refused(history, error)
                else:
                    if new:
                        self.rows[stream] = [*before, *new] if before else new
                if is_first and self._progress is not None:
                    self._progress(len(self.rows))

    def count(self) -> int:
        """Return how many rows there are."""
        return sum(map(len, self.rows.values()))

    def append(self) -> int:
        """Record them, no stream in part, with the stamp of when that is."""
        batch: list[StoredEvent] = []
        count = 0
        for rows in self.rows.values():
            if len(batch) >= IMPORT_BATCH:
                count += _append(self._store, self._stamped(batch))
                batch = []
            batch += rows
        return count + _append(self._store, self._stamped(batch))

    def _stamped(self, rows: list[StoredEvent]) -> list[StoredEvent]:
        """Return rows that say they are recorded now: they were decided a while ago."""
        heads, begun = Heads(self._now(), self._record), self._heads
        return [
            StoredEvent(0, stream, version, name, heads.instead_of(begun, state))
            for _, stream, version, name, state in rows
        ]


def _counted(_: Store, rows: list[StoredEvent]) -> int:
    """Do nothing but count what would be appended."""
    return len(rows)


def append_rows(store: Store, rows: Iterable[StoredEvent], now: Callable[[], datetime]) -> int:
    """Do what `Ledger.append_rows` says."""
    given = given_rows(rows)
    _, opened = first_row(given)
    origin = opened.ledger_id
    record = os.urandom(16).hex()
    there: dict[str, tuple[int, int]] = {}
    batch: list[StoredEvent] = []
    count = 0
    for row in given:
        if kind_and_id(row.stream)[0] not in AGGREGATES:
            continue  # their keys and their identity are theirs
        if row.stream not in there:
            checked_stream(row.stream)  # what no ledger would have recorded comes from nowhere
            there[row.stream] = _count_from(store, row.stream, origin)
        theirs, all_ = there[row.stream]
        if row.version <= theirs:
            continue
        if all_ > theirs:
            raise already_joined(row.stream)
        if row.version != theirs + 1:
            message = f"{row.stream} has version {row.version} where {theirs + 1} belongs"
            raise StoreError(f"{message}; the export was altered or damaged")
        there[row.stream] = (row.version, row.version)
        source = first_source(row, origin)
        state = as_imported(row, recorded_at=now(), record=record, source=source)
        batch.append(StoredEvent(0, row.stream, row.version, row.type, state))
        if len(batch) >= IMPORT_BATCH:
            count += _append(store, batch)
            batch = []
    return count + _append(store, batch)


def _append(store: Store, rows: list[StoredEvent]) -> int:
    if not rows:
        return 0
    try:
        store.insert(rows)
    except AppendConflict as signal:
        if is_stored(store, rows[0], envelope_of(rows[0]).record):
            return len(rows)
        if signal.broken:
            raise StoreError(f"the store can't be reached: {signal}; run it again") from None
        raise ConflictError(
            "somebody recorded on the same streams during this import; what was imported "
            "before stands, run it again for the rest"
        ) from None
    return len(rows)


def _count_from(store: Store, stream: str, origin: str) -> tuple[int, int]:
    """Return how many events a stream begins with that came from *origin*, and has in all."""
    rows = without_gaps(store.stream(stream))
    theirs = 0
    for row in rows:
        source = envelope_of(row).source
        if source is None or source.ledger != origin:
            break
        theirs += 1
    if rows and not theirs:
        raise already_joined(stream)
    return theirs, len(rows)
