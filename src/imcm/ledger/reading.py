"""
Reading a ledger: replay, facts, following, questions about one thing, backups.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from imcm.codec.decoding import decode
from imcm.codec.rows import StoredEvent
from imcm.domain.change import Change
from imcm.domain.incident import Incident
from imcm.domain.recorded import CHANGE, INCIDENT, LedgerOpened, LogMark, Recorded, checked_position
from imcm.domain.vocabulary import LONGEST_ID, checked_number, checked_text, checked_words, known_id
from imcm.errors import ImcmError, InvalidValue, NotALedgerError, StoreError, UnknownIdError
from imcm.files import checked_path
from imcm.ledger.settings import store_of
from imcm.ledger.store import SELF, Reading, SQLiteFile, SQLiteStore
from imcm.ledger.streams import state_of_rows, without_gaps
from imcm.ledger.waiting import checked_seconds, checked_stop
from imcm.plain import plain

if TYPE_CHECKING:
    from imcm.projections.facts.fold import Facts
    from imcm.projections.figures.windows import Period
    from imcm.projections.histories.decisions import DecisionTrail
    from imcm.projections.histories.timeline import Entry

__all__ = [
    "LedgerReader",
    "Replay",
]


NEAR: Final = 200
"""Streams looked at on each side of an id that is not there, to find what may be meant."""


class Replay(Iterator[Recorded]):
    """
    The events of a ledger in log order, each as it is asked for. Made by `LedgerReader.replay`.

    It knows which log it is of, so that what is computed from it can say so.
    """

    def __init__(self, reader: LedgerReader, events: Iterator[Recorded], *, whole: bool) -> None:
        self._reader = reader
        self._events = events
        self._whole = whole

    def __next__(self) -> Recorded:
        """Return the next event."""
        return next(self._events)

    def mark_at(self, position: int, *, events: int | None = None) -> LogMark | None:
        """
        Return which event stands at a position of the log.

        None where there is none, and where this does not begin with the first event.

        Args:
            events: How many there are up to it, where that is known; else they are counted.
            position: The position asked about.
        """
        return self._reader.mark_at(position, events=events) if self._whole else None


class LedgerReader:
    """
    A ledger opened for reading: it creates no table and changes no byte.

    Args:
        path: A SQLite ledger file.

    Raises:
        LedgerMissingError: There is nothing at *path*.
        NotALedgerError: What is there is not a ledger.
    """

    def __init__(self, path: str | Path) -> None:
        self._begin(SQLiteFile(checked_path("path", path)))

    @classmethod
    def configured(cls, settings: Mapping[str, str]) -> Self:
        """
        Return a reader of a ledger on any persistence module of eventsourcing.

        It makes nothing, and a role that may only select will do.

        Args:
            settings: That module's settings, as `Ledger.configured` takes them.

        Raises:
            NotALedgerError: There is no ledger there.
        """
        reader = cls.__new__(cls)
        reader._begin(store_of(settings, make=False))
        return reader

    def _begin(self, store: Reading) -> None:
        self._store: Reading = store
        try:
            self.ledger_id = self._identity()
        except ImcmError:
            store.close()
            raise

    def _identity(self) -> str:
        rows = self._store.stream(SELF)
        event = decode(rows[0]).event if rows else None
        if not isinstance(event, LedgerOpened):
            raise NotALedgerError(f"the database is not a ledger: it has no {SELF}")
        return event.ledger_id

    def replay(self, *, after: int = 0, upto: int | None = None, words: bool = True) -> Replay:
        """
        Return the recorded events in log order, to be gone through once.

        Args:
            after: Begin behind this position.
            upto: End with this position.
            words: False leaves free text and names out, which is faster.
        """
        rows = self.rows(after=after, upto=upto)
        return Replay(self, (decode(row, words=words) for row in rows), whole=after <= 0)

    def rows(self, *, after: int = 0, upto: int | None = None) -> Iterator[StoredEvent]:
        """
        Yield the stored rows in log order, with their exact bytes, nothing decoded.

        Args:
            after: Begin behind this position.
            upto: End with this position.
        """
        upto = None if upto is None else checked_position("upto", upto)
        return self._store.rows(after=checked_position("after", after), upto=upto)

    def facts(
        self, *, as_of: datetime | None = None, known_at: int | datetime | None = None
    ) -> Facts:
        """
        Return one row per incident and per change, as they stand: what figures are computed from.

        The same as `imcm.facts(ledger.replay(), ...)`, several times as fast: of each event only
        the facts are decoded.

        Args:
            as_of: World facts later than this are cut; see `imcm.facts`.
            known_at: A position, or a time T for the longest prefix in which nothing was recorded
                after T. Default: the whole log.

        Raises:
            NaiveTimeError: A time without a zone.
            StoreError: An event is damaged.
        """
        from imcm.ledger.facts import facts_of

        return facts_of(self._store, self.ledger_id, as_of, known_at)

    def mark_at(self, position: int, *, events: int | None = None) -> LogMark | None:
        """
        Return which event stands at a position of the log; None where there is none.

        Args:
            events: How many there are up to it, where that is known; else they are counted.
            position: The position asked about.
        """
        from imcm.ledger.facts import mark_at

        position = checked_position("position", position)
        events = None if events is None else checked_number("events", events)
        return mark_at(self._store, self.ledger_id, position, events=events)

    def follow(
        self,
        *,
        after: int = 0,
        words: bool = True,
        every: float = 1.0,
        stop: threading.Event | None = None,
    ) -> Iterator[Recorded]:
        """
        Yield events as they are recorded, by any process, without end.

        Args:
            after: Begin behind this position.
            every: Seconds to wait before looking again when there was nothing new.
            stop: Set it, from any thread, to end the iteration.
            words: False leaves free text and names out, which is faster.
        """
        every, stop = checked_seconds("every", every), checked_stop(stop)
        while not stop.is_set():
            for recorded in self.replay(after=after, words=words):
                after = recorded.position
                yield recorded
                if stop.is_set():
                    return
            stop.wait(every)

    def incident(self, id: str, *, known_at: int | datetime | None = None) -> Incident:
        """
        Return an incident as it stands, or as it stood when less was known.

        Args:
            known_at: See `facts`.
            id: Its id, such as "INC-7".

        Raises:
            UnknownIdError: There is none with this id, or it was not known by then.
            UnreadEventError: Its stream holds an event this version can't read.
        """
        state: Incident = self._existing(INCIDENT, id, known_at)
        return state

    def change(self, id: str, *, known_at: int | datetime | None = None) -> Change:
        """
        Return a change as it stands, or as it stood. Raises as `incident` does.

        Args:
            id: Its id, such as "CHG-3".
            known_at: See `facts`.
        """
        state: Change = self._existing(CHANGE, id, known_at)
        return state

    def _existing(self, kind: str, id: str, known_at: int | datetime | None) -> Any:
        stream = f"{kind}:{known_id('id', id)}"
        if known_at is None:
            state = self._load(stream, kind)
        else:
            upto = self.position_at(known_at)
            rows = [row for row in self.rows_of(stream) if row.position <= upto]
            state = state_of_rows(kind, rows, words=True)
        if not state.past:
            raise UnknownIdError(kind, id, self._near(stream))
        return state

    def position_at(self, known_at: int | datetime | None = None) -> int:
        """
        Return the position of the last event that was known; 0 where none was.

        Args:
            known_at: A position, or a time T for the longest prefix in which nothing was recorded
                after T. Default: the whole log.

        Raises:
            NaiveTimeError: A time without a zone.
        """
        from imcm.ledger.around import extent_of

        return extent_of(self._store, known_at).position

    def stream_of(self, id: str) -> str:
        """
        Return the name of the stream of an incident or a change: "INC-7" is "incident:INC-7".

        Args:
            id: Its id; with its kind in front where there is an incident and a change of that id.

        Raises:
            UnknownIdError: There is none.
            InvalidValue: There are both, or it can be no id.
        """
        kind, _, name = checked_text("id", id).partition(":")
        prefixed = kind in {INCIDENT, CHANGE} and bool(name)
        if not (prefixed and len(id) > LONGEST_ID):
            known_id("id", id)
        found = [
            f"{kind}:{id}" for kind in (INCIDENT, CHANGE) if self._store.stream(f"{kind}:{id}")
        ]
        if not found and prefixed and self._store.stream(f"{kind}:{known_id('id', name)}"):
            return id
        if not found:
            near = self._near(f"{INCIDENT}:{id}") or self._near(f"{CHANGE}:{id}")
            raise UnknownIdError("incident or change", id, near)
        if len(found) > 1:
            raise InvalidValue("id", id, f"{' or '.join(found)}, since there are both")
        return found[0]

    def timeline(
        self,
        id: str,
        *,
        window: Period | None = None,
        linked: bool = True,
        as_of: datetime | None = None,
        known_at: int | datetime | None = None,
    ) -> tuple[Entry, ...]:
        """
        Return what happened to one incident or change, in order of time.

        The same as `imcm.timeline(ledger.replay(), incident=...)`, many times as fast: only the
        streams that it names, or that name it, are decoded.

        Args:
            id: Its id; see `stream_of`.
            linked: Whether those that it names, or that name it, are told, too.
            window, as_of, known_at: See `imcm.timeline`.

        Raises:
            UnknownIdError: There is none with this id, or it was not known by then.
            NaiveTimeError: A time without a zone.
        """
        from imcm.ledger.around import around, events_of, extent_of
        from imcm.projections.histories.timeline import timeline

        stream = self.stream_of(id)
        kind, _, name = stream.partition(":")
        extent = extent_of(self._store, known_at, name if linked else None)
        if linked:
            log = around(self._store, stream, extent)
        else:
            log = events_of(self._store, [stream], extent.position)
        cut = as_of
        if as_of is None and extent.newest:
            cut = datetime.fromisoformat(extent.newest)
        one: dict[str, Any] = {kind: name}
        return timeline(log, **one, window=window, linked=linked, as_of=cut)

    def trail(self, id: str, *, known_at: int | datetime | None = None) -> DecisionTrail:
        """
        Return who decided what on one change, and whether the rules of deciding held.

        The same as `imcm.decision_trail(ledger.replay(), id)`, many times as fast.

        Args:
            id: Of the change, with or without "change:" in front.
            known_at: See `imcm.decision_trail`.

        Raises:
            UnknownIdError: There is no such change, or it was not known by then.
            InvalidValue: It is an incident, or can be no id.
            NaiveTimeError: A time without a zone.
        """
        from imcm.ledger.around import events_of, extent_of
        from imcm.projections.histories.decisions import decision_trail

        stream = f"{CHANGE}:{known_id('id', id)}"
        if not self._store.stream(stream):
            stream = self.stream_of(id)
        kind, _, name = stream.partition(":")
        if kind != CHANGE:
            raise InvalidValue("id", id, "a change; this is an incident, which has a timeline")
        extent = extent_of(self._store, known_at)
        found = decision_trail(events_of(self._store, [stream], extent.position), name)
        return attrs.evolve(found, known_at=known_at, log_position=extent.position)

    def _near(self, stream: str) -> str:
        """Return which ids of the same kind look like one that is not there; empty where none."""
        kind, _, id_ = stream.partition(":")
        theirs = [name.partition(":") for name in self._store.beside(stream, NEAR)]
        ids = [name for kind_, _, name in theirs if kind_ == kind]
        found = get_close_matches(id_, ids, n=3, cutoff=0.7)
        return f"near: {', '.join(map(plain, found))}" if found else ""

    def history(self, stream: str) -> list[Recorded]:
        """
        Return all events of one stream ("incident:INC-7"), oldest first; none where it is not.

        Args:
            stream: Its kind and id, as `stream_of` gives them.

        Raises:
            InvalidValue: *stream* names no kind.
        """
        return [decode(row) for row in self.rows_of(stream)]

    def rows_of(self, stream: str) -> list[StoredEvent]:
        """
        Return the stored rows of one stream, oldest first, nothing decoded.

        Args:
            stream: Its kind and id, as `stream_of` gives them.
        """
        if ":" not in checked_words("stream", stream):
            raise InvalidValue("stream", stream, f'give "incident:{stream}" or "change:{stream}"')
        rows = self._contiguous(stream)
        positions = self._store.positions(stream, rows)
        return [row._replace(position=at) for row, at in zip(rows, positions, strict=True)]

    def _contiguous(self, stream: str) -> list[StoredEvent]:
        return without_gaps(self._store.stream(stream))

    def _load(self, stream: str, kind: str, *, words: bool = True) -> Any:
        return state_of_rows(kind, self._contiguous(stream), words=words)

    def backup(self, target: str | Path) -> None:
        """
        Copy a SQLite ledger, its newest events included, into a new file.

        Args:
            target: The new file.

        Raises:
            StoreError: There is a file at *target* already, or the ledger is no file.
        """
        target = checked_path("target", target)
        store = self._store
        if not isinstance(store, (SQLiteFile, SQLiteStore)):
            raise StoreError("only a SQLite ledger is backed up here; export it as JSONL instead")
        store.backup(target)

    def close(self) -> None:
        """Let go of files and connections."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<imcm.{type(self).__name__} {self.ledger_id}>"
