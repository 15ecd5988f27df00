"""
The ledger: record steps, load what stands, replay the log, follow it.

    ledger = Ledger("ledger.db")
    ledger.record("INC-7", incident.detect, by="ana", at=now, title="checkout is down")

A step is given as the function itself; the ledger loads the incident or the change, lets the
step decide, and appends what follows, all or nothing. When somebody else was faster the step
decides again on what stands then.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
import inspect
import itertools
import os
import random
import secrets
import threading
import time
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    NamedTuple,
    ParamSpec,
    Self,
    TypeVar,
    get_args,
)
from urllib.parse import unquote, urlsplit

import attrs
import msgspec

from imcm.codec.decoding import decode, envelope_of, event_of, salt_of
from imcm.codec.encoding import Head, Heads, drawn, encode, encoded, salts, too_great, wrong_words
from imcm.codec.renewal import as_imported
from imcm.codec.rows import FORMAT, StoredEvent, checked_rows
from imcm.collector import collector_paused
from imcm.domain import change, incident
from imcm.domain.change import Change, ChangeEvent
from imcm.domain.corrections import WordsRedacted
from imcm.domain.incident import (
    Incident,
    IncidentAbsorbed,
    IncidentEvent,
    IncidentMerged,
    IncidentSeparated,
    IncidentUnmerged,
    SeverityInherited,
)
from imcm.domain.lifecycle import parameters
from imcm.domain.policy import DEFAULT_POLICY, Policy
from imcm.domain.recorded import (
    CHANGE,
    INCIDENT,
    Event,
    KeyClaimed,
    KeyUsed,
    LedgerOpened,
    LogMark,
    Recorded,
    Recording,
    Source,
    Stored,
    Unread,
    checked_log,
    checked_position,
)
from imcm.domain.severity import SeverityScale, checked_scale
from imcm.domain.vocabulary import (
    LONGEST_ID,
    Between,
    Moment,
    Relation,
    checked_function,
    checked_id,
    checked_member,
    checked_moment,
    checked_number,
    checked_text,
    checked_time,
    checked_words,
    earliest,
    highest,
    is_list,
    is_mapping,
    known_id,
    required_words,
)
from imcm.errors import (
    ConflictError,
    ImcmError,
    InvalidValue,
    KeyReusedError,
    LedgerNotEmptyError,
    NotALedgerError,
    StepRefused,
    StoreError,
    TransactionOverError,
    UnknownIdError,
    UnreadEventError,
)
from imcm.files import checked_path, locked, reserved
from imcm.ledger.store import (
    ASKED_AT_ONCE,
    SELF,
    AlreadyThere,
    Reading,
    RecorderStore,
    SQLiteFile,
    SQLiteStore,
    Store,
    Turn,
    refuse_other_database,
)
from imcm.ledger.waiting import checked_seconds, checked_stop
from imcm.plain import plain

if TYPE_CHECKING:
    from imcm.projections.facts.fold import Facts
    from imcm.projections.figures.windows import Period
    from imcm.projections.histories.decisions import DecisionTrail
    from imcm.projections.histories.timeline import Entry

__all__ = ["History", "Ledger", "LedgerReader", "Once", "Redaction", "Replay", "Transaction"]

P = ParamSpec("P")
State = TypeVar("State", Incident, Change)

PATIENCE_SECONDS: Final = 30
"""How long a step decides anew when others were faster, before it gives up."""

NEAR: Final = 200
"""Streams looked at on each side of an id that is not there, to find what may be meant."""

LONGEST_PAUSE: Final = 0.25
"""Seconds between two attempts, at most."""

AHEAD: Final = timedelta(minutes=5)
"""How far the moment of a live step may lie after the ledger's own clock."""

IMPORT_BATCH: Final = 5_000
"""Events that a bulk import appends in one transaction."""


def utc_now() -> datetime:
    """Return the time now, in UTC: the ledger's clock unless it is given another."""
    return datetime.now(UTC)


@attrs.frozen(kw_only=True)
class History:
    """
    What another tool knows of one incident or change, for `Ledger.bring_in`.

    Attributes:
        stream: "incident:<id>" or "change:<id>".
        events: Imported events, each with where it comes from.
    """

    stream: str
    events: tuple[tuple[Event, Source | None], ...]

    def __repr__(self) -> str:
        """Return whose it is, and how many events there are."""
        return f"<History of {self.stream!r}: {len(self.events):,} events>"


class Call(NamedTuple):
    """
    One step asked for: of which stream, with which arguments, needing which other states.

    Attributes:
        others: Arguments that are the state of another stream, or the states of several by their
            ids, which are asked of the state of this one.
        then: Gives the other side's call, of what this one made follow and of the state after it;
            None where there is no other side.
    """

    stream: str
    step: Callable[..., tuple[Any, ...]]
    arguments: Mapping[str, Any]
    others: Mapping[str, str | Callable[[Any, Callable[[str], Any]], Any]]
    then: Callable[[Sequence[Event], Any], Call | None] | None = None


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


@attrs.frozen(kw_only=True)
class _Kind:
    """What the ledger needs to know of an aggregate."""

    initial: Any
    evolve: Callable[[Any, Any], Any]
    fold: Callable[[Iterable[Any]], Any]
    bring_in: Callable[..., tuple[tuple[int, Any], ...]]
    confirm: Callable[..., None]
    steps: frozenset[int]
    events: frozenset[type]


def _identities(module: object, names: Iterable[str]) -> frozenset[int]:
    """Return which functions the steps of a module are: an object that equals one is none."""
    return frozenset(id(getattr(module, name)) for name in names)


_KINDS: Final[Mapping[str, _Kind]] = {
    INCIDENT: _Kind(
        initial=incident.INITIAL,
        evolve=incident.evolve,
        fold=incident.fold,
        bring_in=incident.bring_in,
        confirm=incident.confirm,
        steps=_identities(incident, (*incident.STEPS, "absorb", "separate", "inherit")),
        events=frozenset(get_args(IncidentEvent)),
    ),
    CHANGE: _Kind(
        initial=change.INITIAL,
        evolve=change.evolve,
        fold=change.fold,
        bring_in=change.bring_in,
        confirm=change.confirm,
        steps=_identities(change, change.STEPS),
        events=frozenset(get_args(ChangeEvent)),
    ),
}


@functools.lru_cache(maxsize=1024)
def _kind_of_function(step: Callable[..., object]) -> str:
    try:
        hints = typing.get_type_hints(step)
        first = next(iter(inspect.signature(step).parameters))
    except (TypeError, ValueError, StopIteration, NameError, AttributeError, SyntaxError):
        hints, first = {}, ""
    kinds = {Incident: INCIDENT, Change: CHANGE}
    found = kinds.get(hints.get(first))  # type: ignore[arg-type]
    if found is None:
        raise InvalidValue(
            "step",
            step,
            "give a step such as incident.resolve or change.start; a step of your own takes the "
            "state first, annotated as Incident or Change",
        )
    return found


def _kind_of(step: Callable[..., object]) -> str:
    """Return whose step it is, told by the annotation of its first parameter."""
    message = "give a step such as incident.resolve or change.start"
    if not callable(step):
        raise InvalidValue("step", step, message)
    try:
        return _kind_of_function(step)
    except TypeError:  # it can't be hashed, so it is no function
        raise InvalidValue("step", step, message) from None


def _without_gaps(rows: list[StoredEvent]) -> list[StoredEvent]:
    """
    Return the rows of one stream.

    Raises:
        StoreError: A version is missing.
    """
    for expected, row in enumerate(rows, start=1):
        if row.version != expected:
            message = f"{row.stream} has version {row.version} where {expected} belongs"
            raise StoreError(f"{message}; the log was altered or damaged")
    return rows


def _folded(kind: str, rows: Iterable[StoredEvent], *, words: bool) -> Any:
    """
    Return an incident or a change as its rows tell it.

    Raises:
        UnreadEventError: One of them can't be read by this version.
    """
    events: list[Any] = []
    for row in rows:
        event = decode(row).event if words else event_of(row)
        if isinstance(event, Unread):
            raise UnreadEventError(
                f"{row.stream} version {row.version} can't be read ({event.why}); "
                "half a state must not decide: update imcm"
            )
        if event.__class__ not in _KINDS[kind].events:
            raise UnreadEventError(
                f"{row.stream} version {row.version} is a {type(event).__name__}, which is no "
                f"event of a {kind}; the log was altered or damaged"
            )
        events.append(event)
    return _KINDS[kind].fold(events) if events else _KINDS[kind].initial


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
        reader._begin(_configured(settings, make=False))
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
        """Yield the stored rows in log order, with their exact bytes, nothing decoded."""
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

        Raises:
            UnknownIdError: There is none with this id, or it was not known by then.
            UnreadEventError: Its stream holds an event this version can't read.
        """
        state: Incident = self._existing(INCIDENT, id, known_at)
        return state

    def change(self, id: str, *, known_at: int | datetime | None = None) -> Change:
        """Return a change as it stands, or as it stood. Raises as `incident` does."""
        state: Change = self._existing(CHANGE, id, known_at)
        return state

    def _existing(self, kind: str, id: str, known_at: int | datetime | None) -> Any:
        stream = f"{kind}:{known_id('id', id)}"
        if known_at is None:
            state = self._load(stream, kind)
        else:
            upto = self.position_at(known_at)
            rows = [row for row in self.rows_of(stream) if row.position <= upto]
            state = _folded(kind, rows, words=True)
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

        Raises:
            InvalidValue: *stream* names no kind.
        """
        return [decode(row) for row in self.rows_of(stream)]

    def rows_of(self, stream: str) -> list[StoredEvent]:
        """Return the stored rows of one stream, oldest first, nothing decoded."""
        if ":" not in checked_words("stream", stream):
            raise InvalidValue("stream", stream, f'give "incident:{stream}" or "change:{stream}"')
        rows = self._contiguous(stream)
        positions = self._store.positions(stream, rows)
        return [row._replace(position=at) for row, at in zip(rows, positions, strict=True)]

    def _contiguous(self, stream: str) -> list[StoredEvent]:
        return _without_gaps(self._store.stream(stream))

    def _load(self, stream: str, kind: str, *, words: bool = True) -> Any:
        return _folded(kind, self._contiguous(stream), words=words)

    def backup(self, target: str | Path) -> None:
        """
        Copy a SQLite ledger, its newest events included, into a new file.

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


class Ledger(LedgerReader):
    """
    A ledger to record in. Safe to share between threads, and the file between processes.

    Args:
        path: A SQLite file; made when it is not there.
        clock: Gives the stamp of each record; must return an aware time.
        scale: The team's own names for severities: steps that take a severity then take one of
            them. It is not kept in the ledger; the names that are recorded are.

    Raises:
        NotALedgerError: What is at *path* is something else.
        StoreError: It can't be opened for writing.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], datetime] = utc_now,
        scale: SeverityScale | None = None,
    ) -> None:
        checked_function("clock", clock)
        scale = checked_scale(scale)
        self._start(SQLiteStore(checked_path("path", path)), clock, scale)

    @classmethod
    def in_memory(
        cls,
        *,
        clock: Callable[[], datetime] = utc_now,
        scale: SeverityScale | None = None,
    ) -> Self:
        """Return a new ledger that lives as long as the process."""
        settings = {"PERSISTENCE_MODULE": "eventsourcing.popo"}
        return cls.configured(settings, clock=clock, scale=scale)

    @classmethod
    def configured(
        cls,
        settings: Mapping[str, str],
        *,
        clock: Callable[[], datetime] = utc_now,
        scale: SeverityScale | None = None,
    ) -> Self:
        """
        Return a ledger on any persistence module of eventsourcing.

        Args:
            settings: That module's settings, for example PERSISTENCE_MODULE, POSTGRES_DBNAME,
                CIPHER_TOPIC. Only these count: the process's environment is never read.
        """
        checked_function("clock", clock)
        scale = checked_scale(scale)
        ledger = cls.__new__(cls)
        ledger._start(_configured(settings), clock, scale)
        return ledger

    @classmethod
    def restored(
        cls,
        target: str | Path | Mapping[str, str],
        rows: Iterable[StoredEvent],
        *,
        clock: Callable[[], datetime] = utc_now,
        scale: SeverityScale | None = None,
    ) -> Self:
        """
        Return a ledger filled with the rows of another: stamps, order and identity kept.

        Args:
            target: A new SQLite file, or settings as `configured` takes them, of a store in
                which there is nothing yet.

        Raises:
            LedgerNotEmptyError: There is something already.
            NotALedgerError: The first row is not that of a ledger.
        """
        checked_function("clock", clock)
        if not isinstance(target, Mapping):
            target = checked_path("target", target)
            _refuse_existing(target)
        given = _given_rows(rows)
        first, _ = _begun(given)
        whole = itertools.chain([first], given)
        if isinstance(target, Mapping):
            return cls._filled(target, whole, clock, scale)
        with locked(target, wait=0):
            _refuse_existing(target)
            _restored(target, whole)
        return cls(target, clock=clock, scale=scale)

    @classmethod
    def _filled(
        cls,
        settings: Mapping[str, str],
        rows: Iterator[StoredEvent],
        clock: Callable[[], datetime],
        scale: SeverityScale | None,
    ) -> Self:
        store = _configured(settings)
        try:
            store.fill(rows)
        except AlreadyThere as error:
            store.close()
            raise _twice(error) from None
        except BaseException:
            store.close()
            raise
        ledger = cls.__new__(cls)
        ledger._start(store, clock, scale)
        return ledger

    def _start(
        self, store: Store, clock: Callable[[], datetime], scale: SeverityScale | None
    ) -> None:
        self._clock = clock
        self._scale = scale
        self._writes = store
        try:
            self._open(store)
        except ImcmError:
            store.close()
            raise
        self._begin(store)

    def _open(self, store: Store) -> None:
        """Say in a new ledger which it is."""
        if not store.stream(SELF):
            first = next(iter(store.rows()), None)
            if first is not None and first.stream != SELF:
                raise NotALedgerError(f"there are events of another kind: no {SELF} comes first")
            ledger_id = f"imcm/{secrets.token_hex(16)}"
            opened = LedgerOpened(ledger_id=ledger_id, format=FORMAT)
            name, state = encode(opened, recorded_at=self._now(), record=secrets.token_hex(16))
            # Where another process opened it first, its identity is the ledger's.
            with contextlib.suppress(AlreadyThere):
                store.insert([StoredEvent(0, SELF, 1, name, state)])

    def _now(self) -> datetime:
        return checked_time("clock", self._clock()).astimezone(UTC)

    # --- one step ---------------------------------------------------------------------------------

    def record(
        self,
        id: str,
        step: Callable[Concatenate[State, P], tuple[IncidentEvent, ...] | tuple[ChangeEvent, ...]],
        /,
        *args: P.args,
        **arguments: P.kwargs,
    ) -> Recording:
        """
        Load, let *step* decide, append what follows, durably; decide again if others were faster.

        Args:
            id: The incident or the change, "INC-7"; whose step it is tells which of the two.
            step: For example `incident.resolve`; *arguments* are its own.

        Returns:
            What was recorded; () where nothing needed to change.

        Raises:
            StepRefused: A guard said no, or the step lies in the future.
            InvalidValue: An argument can't be right.
            ConflictError: Others kept recording on the same stream; nothing was recorded.
            UnreadEventError: The stream holds an event this version can't read.
        """
        if args:
            raise InvalidValue("arguments", args, "give them by name, as in by=..., at=...")
        return self.commit([_call(id, step, arguments)], source=None, key=None)

    def once(self, source: str | Source, key: str, *, strict: bool = False) -> Once:
        """
        Return a door that records under an idempotency key: a retried delivery records nothing.

            ledger.once("pagerduty", delivery_id).record("INC-7", incident.acknowledge, ...)

        The same step on the same id is a repeat, whatever else differs: a retry computes its `at`
        anew. It returns what the key recorded, `repeated` being True. Another step or another id
        under the key is an error.

        Args:
            source: Where the delivery comes from; kept with the events.
            key: What is the same whenever it is delivered again.
            strict: Whether a repeat must have the same arguments, too, but for words.
        """
        return Once(self, _source(source), required_words("key", key), strict=strict)

    def transaction(
        self,
        *,
        source: str | Source | None = None,
        key: str | None = None,
        strict: bool = False,
    ) -> Transaction:
        """
        Return a block that records several steps, on one stream or on many, all or none.

            with ledger.transaction() as tx:
                tx.record("CHG-9", change.plan, type=ChangeType.EMERGENCY, incident="INC-7", ...)
                tx.record("INC-7", incident.link_change, change="CHG-9", ...)

        The block only collects the calls; they decide and are recorded at its end.

        Args:
            source: Where the facts come from; kept with the events.
            key: With a source: an idempotency key, as in `once`; so is *strict*.
        """
        if key is not None and source is None:
            raise InvalidValue("key", key, "a key belongs to a source; give source= too")
        text = None if key is None else required_words("key", key)
        told = None if source is None else _source(source)
        return Transaction(self, told, text, strict=strict)

    def merge(
        self,
        id: str,
        *,
        into: str,
        by: str,
        at: Moment,
        why: str = "",
    ) -> Recording:
        """
        Merge one incident into another: one record on both streams.

        Under a key: `ledger.once(source, key).merge(...)`.
        """
        with self.transaction() as tx:
            tx.merge(id, into=into, by=by, at=at, why=why)
        return tx.recorded

    def relate(self, id: str, *, to: str, kind: Relation, by: str, at: Moment) -> Recording:
        """
        Say what an incident is to another: child of it, a recurrence of it, or related to it.

        It is taken back by `ledger.record(id, incident.unrelate, to=...)`. Under a key:
        `ledger.once(source, key).relate(...)`.

        Raises:
            StepRefused: It is the same, is a child of another already, or the other is part of it.
                Where somebody relates the other way round at the same moment, in a PostgreSQL
                store, both may be recorded: no figure follows relations.
        """
        with self.transaction() as tx:
            tx.relate(id, to=to, kind=kind, by=by, at=at)
        return tx.recorded

    def unmerge(
        self,
        id: str,
        *,
        by: str,
        at: Moment,
        why: str,
    ) -> Recording:
        """
        Take a merge back: one record on both streams.

        Raises:
            UnknownIdError: There is no such incident.
            StepRefused: It is not merged.
        """
        self.incident(id)  # which says what is near, where it is mistyped
        with self.transaction() as tx:
            tx.unmerge(id, by=by, at=at, why=why)
        return tx.recorded

    # --- deciding and appending -------------------------------------------------------------------

    def commit(
        self,
        calls: Sequence[Call],
        *,
        source: Source | None,
        key: str | None,
        strict: bool = False,
    ) -> Recording:
        """Decide and append collected calls as one record; `record` and `transaction` do this."""
        record = os.urandom(16).hex()  # drawn once: a repeated insert can be recognised by it
        claim = "" if key is None or source is None else _claim_stream(source, key)
        _refuse_inside_a_step(calls)
        give_up = time.monotonic() + PATIENCE_SECONDS
        attempt = 0
        while True:
            rows: list[StoredEvent] = []
            try:
                with self._writes.turn() as turn:
                    if source is not None and key is not None:
                        earlier = self._claimed(source, key, calls, turn, strict=strict)
                        if earlier is not None:
                            return earlier
                    now = self._now()
                    events = self._decide(calls, now, turn)
                    head = _head(Heads(now, record), source)
                    rows = [_readable(*event, head) for event in events]
                    if claim:
                        rows.append(_claim(claim, calls, events, head))
                    positions = turn.insert(rows) if rows else []
            except AlreadyThere as signal:
                if self._was_stored(rows, signal):
                    return Recording(self._by_pairs((row.stream, row.version) for row in rows))
                if time.monotonic() > give_up:
                    raise self._gave_up(calls, signal) from None
                pause = min(LONGEST_PAUSE, 0.002 * 1.5 ** min(attempt, 20))
                time.sleep(random.uniform(0, pause))  # noqa: S311 (no secret)
                attempt += 1
            else:
                told = source if not rows or source is None else envelope_of(rows[0]).source
                return Recording(
                    (
                        Recorded(stream, version, position, now, record, told, event)
                        for (stream, version, event), position in zip(
                            events, positions, strict=False
                        )
                    ),
                    notes=self._unknown_named(events),
                )

    def _gave_up(self, calls: Sequence[Call], signal: AlreadyThere) -> ImcmError:
        if signal.broken:
            return StoreError(f"the store can't be reached: {signal}; nothing was recorded")
        streams = ", ".join(dict.fromkeys(call.stream for call in calls))
        return ConflictError(
            f"others kept recording on {streams} for {PATIENCE_SECONDS} seconds; nothing was "
            "recorded, try again later"
        )

    def _decide(
        self, calls: Sequence[Call], now: datetime, turn: Turn
    ) -> list[tuple[str, int, Event]]:
        states: dict[str, Any] = {}
        events: list[tuple[str, int, Event]] = []

        def state_of(stream: str) -> Any:
            if stream not in states:
                # No guard reads words: they may have been taken out.
                rows = _without_gaps(turn.stream(stream))
                states[stream] = _folded(stream.partition(":")[0], rows, words=False)
            return states[stream]

        def decide(call: Call) -> None:
            kind = call.stream.partition(":")[0]
            state = state_of(call.stream)
            others = {
                name: state_of(of) if isinstance(of, str) else of(state, state_of)
                for name, of in call.others.items()
            }
            follows: list[Event] = []
            try:
                made = _follows(call, state, {**others, **self._rules_for(call)})
            except StepRefused as refused:
                if refused.guard != "status" or state.past:
                    raise
                # Mistyped, as a rule: it is refused for being nothing yet.
                hint = f"there is no {kind} {plain(call.stream.partition(':')[2])!r}"
                near = self._near(call.stream)
                raise refused.on(call.stream, f"{hint}, {near}" if near else hint) from None
            own = None if id(call.step) in _KINDS[kind].steps else _rules_of(call, self._scale)
            if made and not state.past:
                checked_id("id", call.stream.partition(":")[2])  # a new id is asked more
            for event in made:
                if own is not None:
                    _confirm(call, state, event, own)
                _refuse_future(_name_of(call.step), call.stream, event, now)
                events.append((call.stream, len(state.past) + 1, event))
                state = _KINDS[kind].evolve(state, event)
                follows.append(event)
            states[call.stream] = state
            following = call.then(follows, state) if call.then is not None and follows else None
            if following is not None:
                decide(following)

        for call in calls:
            decide(call)
        for stream, _, event in events:
            _refuse_one_side(stream, event, state_of)
        return events

    def _rules_for(self, call: Call) -> Mapping[str, object]:
        """
        Return the rules of this ledger that a step takes and was not given.

        Raises:
            InvalidValue: It was given others than those that the ledger has.
        """
        if self._scale is None:
            return {}
        if "scale" in call.arguments:
            given = call.arguments["scale"]
            if not isinstance(given, SeverityScale) or given != self._scale:
                allowed = f"the scale of the ledger, {self._scale.name}, which needs not be given"
                raise InvalidValue("scale", given, allowed)
            return {}
        return {"scale": self._scale} if "scale" in parameters(call.step) else {}

    def _unknown_named(self, events: Sequence[tuple[str, int, Event]]) -> Iterator[str]:
        """Yield what is to be said of ids that events name and that are not in the ledger."""
        named = dict.fromkeys(name for _, _, event in events for name in _named_by(event))
        if not named:
            return
        there = self._store.streams(list(named))
        for name in named:
            if name not in there:
                kind, _, id_ = name.partition(":")
                near = self._near(name)
                told = f"there is no {kind} {plain(id_)!r} in this ledger yet"
                yield f"{told}; {near}" if near else told

    def _is_mine(self, row: StoredEvent, record: str) -> bool:
        """Say whether a failed insert of *record* was stored after all: its answer was lost."""
        mine = any(
            stored.version == row.version and envelope_of(stored).record == record
            for stored in self._store.stream(row.stream)
        )
        if mine:
            self._writes.settle()
        return mine

    def _was_stored(self, rows: Sequence[StoredEvent], signal: AlreadyThere) -> bool:
        try:
            return self._is_mine(rows[0], envelope_of(rows[0]).record)
        except StoreError as error:
            if not signal.broken:
                raise
            raise StoreError(
                f"the connection broke while this was recorded ({signal}), and looking failed: "
                f"{error}; whether it was recorded is not known, all or nothing of it was: look "
                "when the store is back, or ask again under a key"
            ) from error

    def _claimed(
        self, source: Source, key: str, calls: Sequence[Call], turn: Turn, *, strict: bool
    ) -> Recording | None:
        """Return what was recorded under a key; None where it was not used yet."""
        claim = _claim_stream(source, key)
        rows = turn.stream(claim)
        if not rows:
            return None
        recorded = self._recorded_under(rows[0])
        why = _why_another(rows[0], calls, strict=strict)
        if why:
            raise KeyReusedError(
                f"the key {plain(key)!r} of {plain(source.name)} was used before for {why}; what "
                f"it recorded is in `recorded` of this error ({claim})",
                recorded,
            )
        return recorded

    def _recorded_under(self, row: StoredEvent) -> Recording:
        event = decode(row).event
        if not isinstance(event, (KeyUsed, KeyClaimed)):
            raise UnreadEventError(f"{row.stream} can't be read by this version; update imcm")
        self._writes.settle()  # whoever claimed it may not have had its answer yet
        return Recording(self._by_pairs(event.recorded), repeated=True)

    def recorded_under(self, source: str | Source, key: str) -> Recording | None:
        """
        Return what was recorded under an idempotency key; None where it was never used.

        Args:
            source, key: As for `once`.
        """
        claim = _claim_stream(_source(source), required_words("key", key))
        rows = self._store.stream(claim)
        return self._recorded_under(rows[0]) if rows else None

    def _by_pairs(self, pairs: Iterable[tuple[str, int]]) -> tuple[Recorded, ...]:
        wanted = list(pairs)
        streams = {
            stream: {r.version: r for r in self.history(stream)}
            for stream in dict.fromkeys(stream for stream, _ in wanted)
            if not stream.startswith("key:")
        }
        return tuple(streams[s][version] for s, version in wanted if s in streams)

    # --- words taken out, and rows that can't be changed ------------------------------------------

    def redact(
        self,
        stream: str,
        *,
        by: str,
        at: Moment,
        reason: str,
        versions: Iterable[int] | None = None,
    ) -> Redaction:
        """
        Take the words of events out of the log, for good, and record who did it and why.

        Free text and names go, facts stay byte for byte. In their place stands their SHA-256, so
        that every proof and checkpoint still holds. It is one transaction with the event that
        says so; append-only guards are lifted inside it. Copies and exports made earlier, and
        backups of the database, still hold the words: they are out of reach from here. So may be
        free pages of PostgreSQL until it vacuums the table.

        Args:
            stream: "incident:INC-7" or "change:CHG-3".
            versions: Of which events; None is all that have words, except the reasons of earlier
                redactions.
            reason: Why; it must not repeat what is taken out.

        Returns:
            The event that was recorded; empty where there were no words to take out. `pending`
            says what keeps overwritten words from being gone from the file, "" where they are:
            somebody who is reading a SQLite ledger holds its write-ahead log. Ask again then, by
            the same call or another one: that finishes it.

        Raises:
            UnknownIdError: There is no such incident or change.
            InvalidValue: One of *versions* is not in the stream.
            StepRefused: *at* lies in the future.
            StoreError: The store can't: it compresses or encrypts, or is neither SQLite nor
                PostgreSQL.
        """
        from imcm.verifier import redact

        _checked_stream(checked_words("stream", stream))
        if not self._writes.is_plain:
            raise StoreError("this ledger is compressed or encrypted; no words can be taken out")
        wanted = None if versions is None else _versions(versions)
        by, reason = checked_id("by", by), required_words("reason", reason)
        at = checked_moment("at", at)
        kind, _, id_ = stream.partition(":")
        name = stream
        made: list[Recorded] = []

        def told(
            rows: list[StoredEvent],
        ) -> tuple[list[tuple[StoredEvent, bytes]], StoredEvent] | None:
            if not _without_gaps(rows):
                raise UnknownIdError(kind, id_, self._near(name))
            unknown = (wanted or frozenset()) - {row.version for row in rows}
            if unknown:
                allowed = f"versions of {stream}: 1 to {len(rows)}"
                raise InvalidValue("versions", sorted(unknown), allowed)
            chosen = [row for row in rows if _has_words(row, wanted)]
            if not chosen:
                return None
            now, record, version = self._now(), secrets.token_hex(16), len(rows) + 1
            versions_ = tuple(row.version for row in chosen)
            event = WordsRedacted(at=at, by=by, versions=versions_, reason=reason)
            _refuse_future("redact", stream, event, now)
            made.append(Recorded(name, version, 0, now, record, None, event))
            added = _readable(name, version, event, _head(Heads(now, record), None))
            return [(row, redact(row.state)) for row in chosen], added

        # Nobody records meanwhile: on a stream that never rests every attempt would come too late.
        position = self._writes.rewrite(name, told)
        recorded = [one._replace(position=position) for one in made] if position else []
        return Redaction(recorded, pending=self._writes.wiped())

    @property
    def guarded(self) -> bool:
        """Whether the database itself refuses to change or delete events."""
        return self._writes.guarded

    def guard(self, *, on: bool = True) -> None:
        """
        Have the database refuse to change, replace, delete or truncate events, or let it again.

        A belt against slips and careless scripts, not the promise: whoever owns the database can
        drop the triggers. What shows that nothing was altered are checkpoints kept elsewhere.

        Raises:
            StoreError: The store is neither SQLite nor PostgreSQL, or its user may not do this.
        """
        self._writes.guard(on=on)

    # --- history ----------------------------------------------------------------------------------

    def bring_in(
        self,
        histories: Iterable[History],
        *,
        progress: Callable[[int], object] | None = None,
    ) -> tuple[int, int]:
        """
        Record history from elsewhere, in bulk.

        What stands already is not recorded again, so an interrupted import can be run again.
        One history is never split: it is recorded whole or not at all.

        Args:
            histories: Taken a few hundred at a time, so that what stands of them is asked at once.
                Those taken together share the ledger's stamp.
            progress: Called with the number of histories done so far.

        Returns:
            How many histories were given, and how many events were recorded.

        Raises:
            StepRefused, InvalidValue: A history can't be recorded; those before it are.
        """
        record = secrets.token_hex(16)
        salt = salts().__next__
        count = recorded = 0
        batch: list[StoredEvent] = []
        pending: set[str] = set()
        for ahead in _ahead(histories):
            if not pending.isdisjoint(ahead):
                recorded += self._append(batch)
                batch, pending = [], set()
            there = self._writes.streams([stream for stream in ahead if _is_a_stream(stream)])
            heads: Heads | None = None
            with collector_paused():
                for history in ahead.values():
                    if len(batch) >= IMPORT_BATCH:
                        recorded += self._append(batch)
                        batch, pending = [], set()
                    try:
                        heads = heads or Heads(self._now(), record)
                        batch += _rows_of(history, there.get(history.stream, []), heads, salt)
                    except ImcmError:
                        self._append(batch)
                        raise
                    pending.add(history.stream)
                    count += 1
                    if progress is not None:
                        progress(count)
        return count, recorded + self._append(batch)

    def _append(self, rows: list[StoredEvent]) -> int:
        if not rows:
            return 0
        try:
            self._writes.insert(rows)
        except AlreadyThere as signal:
            if self._is_mine(rows[0], envelope_of(rows[0]).record):
                return len(rows)
            if signal.broken:
                raise StoreError(f"the store can't be reached: {signal}; run it again") from None
            raise ConflictError(
                "somebody recorded on the same streams during this import; what was imported "
                "before stands, run it again for the rest"
            ) from None
        return len(rows)

    def append_rows(self, rows: Iterable[StoredEvent]) -> int:
        """
        Record the rows of another ledger in this one, as imported history.

        Each event keeps its old stamp as `source.recorded_at`. Events this version can't read
        are taken with their facts as they stand. Running it again adds only what is missing.

        Returns:
            How many events were recorded.

        Raises:
            LedgerNotEmptyError: A stream of theirs exists here with other events.
        """
        given = _given_rows(rows)
        _, opened = _begun(given)
        origin = opened.ledger_id
        record = secrets.token_hex(16)
        there: dict[str, tuple[int, int]] = {}
        batch: list[StoredEvent] = []
        count = 0
        for row in given:
            if row.stream.partition(":")[0] not in _KINDS:
                continue  # their keys and their identity are theirs
            if row.stream not in there:
                _checked_stream(row.stream)  # what no ledger would have recorded comes from nowhere
                there[row.stream] = self._count_from(row.stream, origin)
            theirs, all_ = there[row.stream]
            if row.version <= theirs:
                continue
            if all_ > theirs:
                raise _joined(row.stream)
            if row.version != theirs + 1:
                message = f"{row.stream} has version {row.version} where {theirs + 1} belongs"
                raise StoreError(f"{message}; the export was altered or damaged")
            there[row.stream] = (row.version, row.version)
            now, source = self._now(), _first_source(row, origin)
            state = as_imported(row, recorded_at=now, record=record, source=source)
            batch.append(StoredEvent(0, row.stream, row.version, row.type, state))
            if len(batch) >= IMPORT_BATCH:
                count += self._append(batch)
                batch = []
        return count + self._append(batch)

    def _count_from(self, stream: str, origin: str) -> tuple[int, int]:
        """Return how many events a stream begins with that came from *origin*, and has in all."""
        rows = self._contiguous(stream)
        theirs = 0
        for row in rows:
            source = envelope_of(row).source
            if source is None or source.ledger != origin:
                break
            theirs += 1
        if rows and not theirs:
            raise _joined(stream)
        return theirs, len(rows)


@functools.lru_cache(maxsize=2 * ASKED_AT_ONCE)  # asked when histories are looked up, and again
def _checked_stream(stream: str) -> str:
    """
    Return of which kind a stream is.

    Raises:
        InvalidValue: It is none of an incident or a change.
    """
    kind, _, id_ = stream.partition(":")
    if kind not in _KINDS:
        raise InvalidValue("stream", stream, 'give "incident:<id>" or "change:<id>"')
    known_id("id", id_)
    return kind


def _versions(versions: object) -> frozenset[int]:
    if not is_list(versions):
        raise InvalidValue("versions", versions, "give a list of versions, for example [1, 2]")
    return frozenset(checked_number("versions", one) for one in versions)


def _is_a_stream(stream: str) -> bool:
    try:
        _checked_stream(stream)
    except InvalidValue:
        return False  # which is said when its turn comes
    return True


def _pairs(history: History) -> Sequence[tuple[Event, Source | None]]:
    """
    Return the events of a history with their sources.

    Raises:
        InvalidValue: It holds something else.
    """
    for one in history.events:
        told: list[object] = [*one] if is_list(one) else []
        if len(told) != 2 or not _is_source(told[1]):
            allowed = "pairs of an event and its Source (or None): events=((event, source), ...)"
            raise InvalidValue("events", one, allowed)
    return history.events


def _is_source(value: object) -> bool:
    return value is None or isinstance(value, Source)


def _rows_of(
    history: History, there: list[StoredEvent], heads: Heads, salt: Callable[[], str]
) -> list[StoredEvent]:
    """Return the rows of what a history adds to those that are there."""
    stream = history.stream
    kind = _checked_stream(stream)
    state = _folded(kind, _without_gaps(there), words=False)
    try:
        found = _KINDS[kind].bring_in(state, events=[event for event, _ in _pairs(history)])
    except StepRefused as refused:
        raise refused.on(stream) from None
    if found and not there:
        checked_id("id", stream.partition(":")[2])
    return [
        _readable(stream, version, event, _head(heads, history.events[place][1]), salt)
        for version, (place, event) in enumerate(found, start=len(state.past) + 1)
    ]


def _ahead(histories: Iterable[History]) -> Iterator[dict[str, History]]:
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


def _configured(settings: Mapping[str, str], *, make: bool = True) -> RecorderStore:
    """
    Return the store that the settings of a persistence module of eventsourcing tell.

    Raises:
        NotALedgerError: They name a SQLite database that is something else.
        StoreError: It can't be opened.
    """
    if not is_mapping(settings):
        allowed = 'give a mapping, for example {"PERSISTENCE_MODULE": "eventsourcing.popo"}'
        raise InvalidValue("settings", settings, allowed)
    settings = {
        checked_words("settings", name): checked_words(f"settings[{name!r}]", value)
        for name, value in settings.items()
    }
    if not make:
        settings["CREATE_TABLE"] = "no"
    module = settings.get("PERSISTENCE_MODULE", "").partition(":")[0]
    if module == "eventsourcing.postgres":
        from imcm.ledger.postgres import PostgresStore

        return PostgresStore(settings)
    name = settings.get("SQLITE_DBNAME", "")
    if module == "eventsourcing.sqlite" and name and "memory" not in name:
        file = urlsplit(name).path if name.startswith("file:") else name
        refuse_other_database(Path(unquote(file)))
    return RecorderStore(settings)


def _joined(stream: str) -> LedgerNotEmptyError:
    return LedgerNotEmptyError(
        f"{stream} exists here with events of its own; ledgers with the same ids can't be joined"
    )


def _has_words(row: StoredEvent, wanted: frozenset[int] | None) -> bool:
    """Say whether an event has words that are to be taken out."""
    from imcm.verifier import redact

    if wanted is None:
        if row.type == WordsRedacted.__name__:
            return False
    elif row.version not in wanted:
        return False
    return redact(row.state) != row.state


def _first_source(row: StoredEvent, origin: str) -> Source:
    """Return where an event of another ledger came from: its own source, or that ledger."""
    envelope = envelope_of(row)
    source = envelope.source or Source(name="ledger")
    stamp = source.recorded_at or envelope.recorded_at
    return attrs.evolve(source, recorded_at=stamp, ledger=source.ledger or origin)


def _head(heads: Heads, source: Source | None) -> Head:
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


def _readable(
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


def _begun(rows: Iterator[StoredEvent]) -> tuple[StoredEvent, LedgerOpened]:
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


def _given_rows(rows: Iterable[StoredEvent]) -> Iterator[StoredEvent]:
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


def _refuse_existing(path: Path) -> None:
    """
    Refuse what is there; a link is something, also one that leads nowhere.

    What SQLite left beside a file that is gone would be read as the newest part of the new one.
    """
    for suffix in ("", *_BESIDE):
        one = path.with_name(path.name + suffix)
        if os.path.lexists(one):
            raise LedgerNotEmptyError(f"{one} exists already; restore into a new file")


def _restored(path: Path, rows: Iterator[StoredEvent]) -> None:
    """
    Make a ledger of rows, which is there whole or not at all.

    Only with the turn to write *path*: then what an earlier try left behind is nobody's.
    """
    filling = path.with_name(f"{path.name}.restoring")
    _unlinked(filling)
    reserved(filling)
    try:
        store = SQLiteStore(filling)
        try:
            _restore(store, rows)
        finally:
            store.close()
        _refuse_existing(path)
        try:
            filling.rename(path)
        except OSError as error:
            raise StoreError(f"{path} can't be restored: {error.strerror}") from None
    finally:
        _unlinked(filling)


_BESIDE: Final = ("-wal", "-shm", "-journal")


def _unlinked(path: Path) -> None:
    for suffix in ("", *_BESIDE):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _restore(store: Store, rows: Iterator[StoredEvent]) -> None:
    while batch := list(itertools.islice(rows, IMPORT_BATCH)):
        try:
            store.insert(batch)
        except AlreadyThere as error:
            raise _twice(error) from None


def _twice(error: AlreadyThere) -> StoreError:
    return StoreError(f"the export holds the same version of a stream twice: {error}")


def _source(source: str | Source) -> Source:
    if isinstance(source, Source):
        checked_id("source", source.name)
        return source
    return Source(name=checked_id("source", source))


def _claim_stream(source: Source, key: str) -> str:
    return f"key:{source.name}/{hashlib.sha256(key.encode()).hexdigest()}"


def _asked_before(calls: Sequence[Call]) -> str:
    """Return the hash of steps and arguments that `KeyClaimed` holds, which is written no more."""
    sides = [call for one in calls for call in _both_sides(one)]
    told = [
        (c.stream, _name_of(c.step), sorted(c.arguments.items()), sorted(c.others.items()))
        for c in sides
    ]
    return hashlib.sha256(_written(told)).hexdigest()


def _both_sides(call: Call) -> Iterator[Call]:
    yield call
    if call.then is not None and call.step is incident.merge:
        other = call.then((), None)
        if other is not None:
            yield other._replace(others={})  # it had none while such hashes were made


_WORDS: Final[Mapping[str, frozenset[str]]] = {
    kind: frozenset(name for cls in get_args(events) for name in getattr(cls, "WORDS", ()))
    for kind, events in ((INCIDENT, IncidentEvent), (CHANGE, ChangeEvent))
}
"""Names of arguments that become words, which may be taken out: no hash is made of them."""


def _steps(calls: Sequence[Call]) -> tuple[tuple[str, str], ...]:
    return tuple((call.stream, _name_of(call.step)) for call in calls)


def _arguments(calls: Sequence[Call], salt: str) -> str:
    """Return a hash of all arguments but words, which nobody can guess against without the salt."""
    told = [
        sorted(
            (name, value)
            for name, value in call.arguments.items()
            if name not in _WORDS[call.stream.partition(":")[0]]
        )
        for call in calls
    ]
    return hmac.digest(bytes.fromhex(salt), _written(told), "sha256").hex()


def _written(told: object) -> bytes:
    try:
        return _asking.encode(told)
    except (UnicodeEncodeError, TypeError, OverflowError):
        allowed = "under a key, values that can be written as JSON, without lone surrogates"
        raise InvalidValue("arguments", told, allowed) from None


def _claim(
    claim: str, calls: Sequence[Call], events: Sequence[tuple[str, int, Event]], head: Head
) -> StoredEvent:
    """Return the row that says what was recorded under a key."""
    salt = drawn()
    event = KeyUsed(
        steps=_steps(calls),
        arguments=_arguments(calls, salt),
        recorded=tuple((stream, version) for stream, version, _ in events),
    )
    return _readable(claim, 1, event, head, lambda: salt)


def _why_another(row: StoredEvent, calls: Sequence[Call], *, strict: bool) -> str:
    """Return in what a key was used otherwise than it is asked for now; empty where it was not."""
    event = decode(row).event
    if isinstance(event, KeyClaimed):
        return "" if event.asked == _asked_before(calls) else "another step or other arguments"
    if isinstance(event, KeyUsed):
        if event.steps != _steps(calls):
            return ", ".join(f"{step} of {stream}" for stream, step in event.steps)
        salt = salt_of(row)
        if strict and salt and not hmac.compare_digest(event.arguments, _arguments(calls, salt)):
            return "the same step with other arguments"
    return ""


def _name_of(step: Callable[..., object]) -> str:
    return str(getattr(step, "__name__", step))


def _hashable(value: object) -> object:
    if is_mapping(value):
        return sorted(value.items())
    if is_list(value):
        return list(value)
    raise InvalidValue("arguments", value, "under a key, values that can be written as JSON")


_asking: Final = msgspec.json.Encoder(order="deterministic", enc_hook=_hashable)
"""Sets come in another order in each process; what is asked must not."""


def _call(
    id: str,
    step: Callable[..., tuple[Any, ...]],
    arguments: Mapping[str, Any],
    *,
    asked: bool = False,
) -> Call:
    """
    Return the call as it can be decided again and again: nothing in it is used up.

    Args:
        asked: Whether what the step needs of other streams is asked of the ledger.
    """
    given: dict[str, Any] = dict(arguments)
    while isinstance(step, functools.partial):
        bound: dict[str, Any] = step.keywords
        if step.args:
            allowed = "give a step such as incident.resolve; bind arguments by name, as policy=..."
            raise InvalidValue("step", step.args, allowed)
        given = {**bound, **given}
        step = step.func
    if step is incident.relate and not asked:
        allowed = "use ledger.relate(...), which knows what the other incident is part of"
        raise InvalidValue("step", _name_of(step), allowed)
    stream = f"{_kind_of(step)}:{known_id('id', id)}"
    for name, value in given.items():
        if is_list(value) and not isinstance(value, Collection):
            given[name] = tuple(value)  # what can be read only once is read once
    return Call(stream=stream, step=step, arguments=given, others={})


_deciding: Final = threading.local()
"""Whether a step of this thread is deciding."""


def _follows(call: Call, state: Any, others: Mapping[str, Any]) -> tuple[Event, ...]:
    """
    Return what a step makes follow.

    Raises:
        StepRefused: A guard said no.
        InvalidValue: It gave something else than events that may be recorded here.
    """
    _deciding.step = _name_of(call.step)
    try:
        follows: object = call.step(state, **call.arguments, **others)
        if is_list(follows):
            return tuple(follows)
    except StepRefused as refused:
        raise refused.on(call.stream) from None
    finally:
        _deciding.step = None
    allowed = "a step returns a tuple of events, () where nothing needs to change"
    raise InvalidValue(_name_of(call.step), follows, allowed)


def _rules_of(call: Call, scale: SeverityScale | None) -> dict[str, object]:
    """Return the rules that a call goes by: those it was given, else those of the ledger."""
    policy: object = call.arguments.get("policy", DEFAULT_POLICY)
    rules: dict[str, object] = {"policy": policy if isinstance(policy, Policy) else DEFAULT_POLICY}
    if call.stream.startswith(f"{INCIDENT}:"):
        given: object = call.arguments.get("scale", scale)
        rules["scale"] = given if isinstance(given, SeverityScale) else None
    return rules


def _confirm(call: Call, state: Any, event: Event, rules: Mapping[str, object]) -> None:
    """Ask an event of a step of somebody's own what its kind is always asked."""
    try:
        _KINDS[call.stream.partition(":")[0]].confirm(state, event, **rules)
    except StepRefused as refused:
        raise refused.on(call.stream) from None


_NAMES: Final[Mapping[str, str]] = {
    "change": CHANGE,
    "incident": INCIDENT,
    "repairs": CHANGE,
    "other": INCIDENT,
}
"""Fields of events that name an incident or a change."""


def _named_by(event: object) -> Iterator[str]:
    for field, kind in _NAMES.items():
        id_ = getattr(event, field, None)
        if isinstance(id_, str) and id_:
            yield f"{kind}:{id_}"


def _refuse_inside_a_step(calls: Sequence[Call]) -> None:
    """Refuse to record while a step of this thread decides: it would wait for itself."""
    step: str | None = getattr(_deciding, "step", None)
    if step is not None:
        message = "a step only decides; record after it, or both in one transaction"
        raise StepRefused(step, "decides and does nothing", message, stream=calls[0].stream)


def _refuse_one_side(stream: str, event: Event, state_of: Callable[[str], Any]) -> None:
    """
    Refuse one side of a merge without the other: both streams say it, in one record.

    Raises:
        StepRefused: The other side says something else.
    """
    mine = stream.partition(":")[2]
    match event:
        case IncidentMerged():
            told = mine in state_of(f"{INCIDENT}:{event.into}").absorbed
        case IncidentUnmerged():
            told = mine not in state_of(f"{INCIDENT}:{event.out_of}").absorbed
        case IncidentAbsorbed():
            merged, target = state_of(f"{INCIDENT}:{event.merged}"), state_of(stream)
            held = highest(target.highest, incident.highest_held(target, [merged]))
            told = merged.merged_into == mine and held == target.highest
        case IncidentSeparated():
            told = state_of(f"{INCIDENT}:{event.merged}").merged_into != mine
        case SeverityInherited():
            target = state_of(stream)
            members = [state_of(f"{INCIDENT}:{id_}") for id_ in sorted(target.absorbed)]
            told = target.highest == incident.highest_held(target, members)
        case _:
            return
    if not told:
        raise StepRefused(
            "merge", "both sides", "use ledger.merge or ledger.unmerge: both incidents say it",
            stream=stream,
        )  # fmt: skip


_MOMENTS: Final = ("at", "impact_started_at", "declared_at", "now")


def _refuse_future(step: str, stream: str, event: Any, now: datetime) -> None:
    for name in _MOMENTS:
        moment = getattr(event, name, None)
        if isinstance(moment, (datetime, Between)) and earliest(moment) > now + AHEAD:
            raise StepRefused(
                step,
                "not in the future",
                f"{name}={moment} lies after the ledger's clock, {now}, by more than 5 minutes; "
                "record it once it has happened",
                stream=stream,
            )


def _of_members(
    id: str, step: Callable[..., tuple[Any, ...]], *, by: str, at: Moment, merged: str
) -> Call:
    """Return the call of a step that may change the highest severity, here and further on."""

    def members(state: Incident, state_of: Callable[[str], Any]) -> Mapping[str, Incident]:
        if state.highest == state.held:
            return {}  # they brought nothing, and need not be read
        left = state.absorbed - {merged} if step is incident.separate else state.absorbed
        return {one: state_of(f"{INCIDENT}:{one}") for one in left}

    def further(follows: Sequence[Event], state: Incident) -> Call | None:
        into = state.merged_into
        if into is None or not any(isinstance(event, SeverityInherited) for event in follows):
            return None
        return _of_members(into, incident.inherit, by=by, at=at, merged=id)

    told = _call(id, step, {"by": by, "at": at, "merged": merged})
    return told._replace(others={"members": members}, then=further)


def _relating(id: str, *, to: str, kind: Relation, by: str, at: Moment) -> Call:
    """Return the call that relates an incident to another, which it knows what is above."""
    kind = checked_member("kind", kind, Relation)

    def above(_: Incident, state_of: Callable[[str], Any]) -> tuple[str, ...]:
        if kind is not Relation.CHILD_OF:
            return ()
        found: dict[str, None] = {}  # imported history may go in a circle
        one: str | None = to
        while one is not None and one not in found:
            found[one] = None
            one = state_of(f"{INCIDENT}:{one}").parent
        return tuple(found)[1:]

    told = {"id": id, "to": known_id("to", to), "kind": kind, "by": by, "at": at}
    return _call(id, incident.relate, told, asked=True)._replace(others={"above": above})


class Once:
    """A door that records under an idempotency key. Made by `Ledger.once`."""

    def __init__(self, ledger: Ledger, source: Source, key: str, *, strict: bool) -> None:
        self._ledger = ledger
        self._source = source
        self._key = key
        self._strict = strict

    def _transaction(self) -> Transaction:
        return Transaction(self._ledger, self._source, self._key, strict=self._strict)

    def record(
        self,
        id: str,
        step: Callable[Concatenate[State, P], tuple[IncidentEvent, ...] | tuple[ChangeEvent, ...]],
        /,
        *args: P.args,
        **arguments: P.kwargs,
    ) -> Recording:
        """
        Record as `Ledger.record` does, once: a repeat returns what was recorded the first time.

        Raises:
            KeyReusedError: The key came before with another step or id.
        """
        with self._transaction() as tx:
            tx.record(id, step, *args, **arguments)
        return tx.recorded

    def merge(self, id: str, *, into: str, by: str, at: Moment, why: str = "") -> Recording:
        """Merge as `Ledger.merge` does, once."""
        with self._transaction() as tx:
            tx.merge(id, into=into, by=by, at=at, why=why)
        return tx.recorded

    def relate(self, id: str, *, to: str, kind: Relation, by: str, at: Moment) -> Recording:
        """Relate as `Ledger.relate` does, once."""
        with self._transaction() as tx:
            tx.relate(id, to=to, kind=kind, by=by, at=at)
        return tx.recorded

    def unmerge(self, id: str, *, by: str, at: Moment, why: str) -> Recording:
        """Take a merge back as `Ledger.unmerge` does, once."""
        with self._transaction() as tx:
            tx.unmerge(id, by=by, at=at, why=why)
        return tx.recorded


class Transaction:
    """
    Several steps as one record: all of them, or none. Made by `Ledger.transaction`, used once.

    Attributes:
        recorded: What was recorded, readable after the block.
    """

    def __init__(
        self, ledger: Ledger, source: Source | None, key: str | None, *, strict: bool
    ) -> None:
        self._ledger = ledger
        self._source = source
        self._key = key
        self._strict = strict
        self._calls: list[Call] = []
        self._begun = self._over = False
        self.recorded = Recording()

    def _collect(self, call: Call) -> None:
        if self._over:
            raise TransactionOverError(
                "the block of this transaction has ended, and what it collected was decided on; "
                "begin another one with ledger.transaction()"
            )
        self._calls.append(call)

    def record(
        self,
        id: str,
        step: Callable[Concatenate[State, P], tuple[IncidentEvent, ...] | tuple[ChangeEvent, ...]],
        /,
        *args: P.args,
        **arguments: P.kwargs,
    ) -> None:
        """Collect one call; it decides at the end of the block."""
        if args:
            raise InvalidValue("arguments", args, "give them by name, as in by=..., at=...")
        self._collect(_call(id, step, arguments))

    def merge(
        self,
        id: str,
        *,
        into: str,
        by: str,
        at: Moment,
        why: str = "",
    ) -> None:
        """Collect both sides of a merge of two incidents."""
        told = _call(id, incident.merge, {"id": id, "into": into, "by": by, "at": at, "why": why})
        absorbed = _call(into, incident.absorb, {"by": by, "at": at, "merged": id})
        absorbed = absorbed._replace(others={"merged_state": told.stream})
        others = {"into_state": absorbed.stream}

        def other_side(_follows: Sequence[Event], _: object) -> Call:
            return absorbed

        self._collect(told._replace(others=others, then=other_side))

    def relate(self, id: str, *, to: str, kind: Relation, by: str, at: Moment) -> None:
        """Collect what one incident is to another."""
        self._collect(_relating(id, to=to, kind=kind, by=by, at=at))

    def unmerge(self, id: str, *, by: str, at: Moment, why: str) -> None:
        """Collect both sides of taking a merge back."""

        def separated(follows: Sequence[Event], _: object) -> Call:
            [unmerged] = follows
            out_of: str = getattr(unmerged, "out_of")  # noqa: B009 (of this event alone)
            return _of_members(out_of, incident.separate, by=by, at=at, merged=id)

        told = _call(id, incident.unmerge, {"by": by, "at": at, "why": why})
        self._collect(told._replace(then=separated))

    def __enter__(self) -> Self:
        if self._begun:
            raise TransactionOverError(
                "a transaction is one block and one record; begin another one with "
                "ledger.transaction()"
            )
        self._begun = True
        return self

    def __exit__(
        self,
        error: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._over = True
        if error is None:
            self.recorded = self._ledger.commit(
                self._calls, source=self._source, key=self._key, strict=self._strict
            )
