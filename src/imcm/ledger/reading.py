"""
Reading a ledger: replay, facts, following, questions about one thing, backups.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import attrs

from imcm.codec.decoding import decode, stamp_of
from imcm.codec.rows import StoredEvent
from imcm.domain import change, incident
from imcm.domain.change import Change
from imcm.domain.incident import Incident
from imcm.domain.lifecycle import Answers
from imcm.domain.policy import DEFAULT_POLICY, Policy
from imcm.domain.recorded import (
    CHANGE,
    INCIDENT,
    LedgerOpened,
    LogMark,
    Recorded,
    checked_position,
    kind_and_id,
    stream_of,
)
from imcm.domain.vocabulary import (
    LONGEST_ID,
    Authority,
    Moment,
    checked_number,
    checked_text,
    checked_words,
    is_among,
    is_list,
    known_id,
)
from imcm.errors import ImcmError, InvalidValue, NotALedgerError, StoreError, UnknownIdError
from imcm.files import checked_path
from imcm.ledger.gates import Gate
from imcm.ledger.rules import STREAMS, Rules, in_force, submitted_under
from imcm.ledger.settings import store_of
from imcm.ledger.store import SELF, ReadStore, SQLiteFile, SQLiteStore
from imcm.ledger.streams import state_of_rows, without_gaps
from imcm.ledger.waiting import (
    AsyncWaiter,
    Waiter,
    checked_kinds,
    checked_seconds,
    checked_stop,
)
from imcm.plain import plain

if TYPE_CHECKING:
    from imcm.domain.policy.context import Context
    from imcm.projections.facts.fold import Facts
    from imcm.projections.figures.windows import Period
    from imcm.projections.histories.decisions import DecisionTrail
    from imcm.projections.histories.timeline import Timeline

__all__ = [
    "LedgerReader",
    "Replay",
]


ASYNC_BATCH: Final = 500
"""Events that are fetched at once for somebody who follows with asyncio."""

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

    def _begin(self, store: ReadStore) -> None:
        self._store: ReadStore = store
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
            every: Seconds to wait before looking again when there was nothing new. In PostgreSQL an
                append wakes it, and it looks by itself after a minute, or after *every* if longer.
            stop: Set it, from any thread, to end the iteration.
            words: False leaves free text and names out, which is faster.
        """
        every, stop = checked_seconds("every", every), checked_stop(stop)
        with Waiter(self._store.listener, every) as waiter:
            while not stop.is_set():
                is_new = False
                for recorded in self.replay(after=after, words=words):
                    after, is_new = recorded.position, True
                    yield recorded
                    if stop.is_set():
                        return
                waiter.wait(stop, is_new=is_new)

    async def afollow(
        self,
        *,
        after: int | Literal["now"] = 0,
        words: bool = True,
        kinds: Iterable[str] = (INCIDENT, CHANGE),
        every: float = 1.0,
    ) -> AsyncIterator[Recorded]:
        """
        Yield events as they are recorded, by any process, without end: `follow` for asyncio.

        The log is read in a thread, so nothing else waits for it. It ends with the task.

            async for recorded in ledger.afollow(after="now"):
                ...

        Args:
            after: Begin behind this position; "now" is behind what there is when it begins.
            words: False leaves free text and names out, which is faster.
            kinds: "incident", "change", or both; events of the ledger itself are in neither.
            every: Seconds to wait before looking again when there was nothing new. In PostgreSQL an
                append wakes it, and it looks by itself after a minute, or after *every* if longer.
        """
        import asyncio  # who does not follow so does not load it

        every, wanted = checked_seconds("every", every), checked_kinds(kinds)
        position = await asyncio.to_thread(self.begin_after, after)
        is_new = False
        with AsyncWaiter(self._store.listener, every) as waiter:
            while True:
                batch = await asyncio.to_thread(self._some, position, words)
                for recorded in batch:
                    position, is_new = recorded.position, True
                    if recorded.kind in wanted:
                        yield recorded
                if not batch:
                    await waiter.wait(is_new=is_new)
                    is_new = False

    def begin_after(self, begin: int | Literal["now"]) -> int:
        """
        Return the position behind which somebody begins who asks for it, or for "now".

        Raises:
            InvalidValue: It is neither a position nor "now".
        """
        if is_among(begin, {"now"}):
            return self.position_at()
        return checked_position("after", begin)

    def _some(self, after: int, words: bool) -> list[Recorded]:
        return list(islice(self.replay(after=after, words=words), ASYNC_BATCH))

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
        stream = stream_of(kind, known_id("id", id))
        if known_at is None:
            state = self._load(stream, kind)
        else:
            upto = self.position_at(known_at)
            rows = [row for row in self.rows_of(stream) if row.position <= upto]
            state = state_of_rows(kind, rows, words=True)
        if not state.past:
            raise self.unknown(stream)
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
        from imcm.ledger.around import position_at

        return position_at(self._store, known_at)

    def stream_of(self, id: str) -> str:
        """
        Return the name of the stream of an incident or a change: "INC-7" is "incident:INC-7".

        Args:
            id: Its id; with its kind in front where there is an incident and a change of that id.

        Raises:
            UnknownIdError: There is none.
            InvalidValue: There are both, or it can be no id.
        """
        kind, name = kind_and_id(checked_text("id", id))
        prefixed = kind in {INCIDENT, CHANGE} and bool(name)
        if not (prefixed and len(id) > LONGEST_ID):
            known_id("id", id)
        both = stream_of(INCIDENT, id), stream_of(CHANGE, id)
        streams = [stream for stream in both if self._store.stream(stream)]
        if not streams and prefixed and self._store.stream(stream_of(kind, known_id("id", name))):
            return id
        if not streams:
            near = self.near(both[0]) or self.near(both[1])
            raise UnknownIdError("incident or change", id, near)
        if len(streams) > 1:
            raise InvalidValue("id", id, f"{' or '.join(streams)}, since there are both")
        return streams[0]

    def timeline(
        self,
        id: str,
        *,
        window: Period | str | None = None,
        linked: bool = True,
        as_of: datetime | None = None,
        known_at: int | datetime | None = None,
    ) -> Timeline:
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
        from imcm.ledger.around import naming, timeline_of

        stream = self.stream_of(id)
        upto = self.position_at(known_at)
        names = naming(self._store, stream, upto) if linked else None
        return timeline_of(self, stream, upto=upto, naming=names, window=window, as_of=as_of)

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
        from imcm.ledger.around import events_of
        from imcm.projections.histories.decisions import decision_trail

        stream = stream_of(CHANGE, known_id("id", id))
        if not self._store.stream(stream):
            stream = self.stream_of(id)
        kind, name = kind_and_id(stream)
        if kind != CHANGE:
            raise InvalidValue("id", id, "a change; this is an incident, which has a timeline")
        upto = self.position_at(known_at)
        log = events_of(self._store, [stream], upto)
        if not log:
            raise self.unknown(stream)
        trail = decision_trail(log, name)
        return attrs.evolve(trail, known_at=known_at, log_position=upto)

    def rules(self, *, known_at: int | datetime | None = None) -> Rules:
        """
        Return the rules in force: `.policy` and `.scale`, each None where none was adopted.

        Args:
            known_at: See `facts`: those that were in force by then.

        Raises:
            UnreadEventError: This version can't read them.
        """
        there = self._store.streams(STREAMS)
        if known_at is not None and there:
            upto = self.position_at(known_at)
            there = {
                stream: [row for row in self.rows_of(stream) if row.position <= upto]
                for stream in there
            }
        return in_force(there)

    def next_steps(
        self,
        id: str,
        *,
        by: str | None = None,
        at: Moment | None = None,
        policy: Policy | None = None,
        authority: Authority | None = None,
        context: Context | None = None,
    ) -> Answers:
        """
        Return what can be done next with an incident or a change, and of what can't be, why not.

        Args:
            id: Its id; see `stream_of`.
            by: Who would do it; without that, steps for which it matters depend on it.
            at: When; by default now, by the ledger's clock.
            policy: Under which rules; by default those in force.
            authority: In which capacity they would vote on a change.
            context: What other streams say of a change; see `views.context`.

        Raises:
            UnknownIdError: There is none with this id.
            UnreadEventError: Its stream holds an event this version can't read.
        """
        stream = self.stream_of(id)
        kind, _, name = stream.partition(":")
        moment = self.now() if at is None else at
        rules = self.rules() if policy is None else Rules(policy=policy)
        policy = rules.policy or DEFAULT_POLICY
        if kind == INCIDENT:
            state = self.incident(name)
            return incident.next_steps(state, by=by, at=moment, policy=policy)
        mine = self.change(name)
        also = submitted_under(mine, rules)
        return change.next_steps(
            mine,
            by=by,
            at=moment,
            authority=authority,
            policy=policy,
            also=also,
            context=context,
        )

    def gate(
        self,
        id: str,
        *,
        by: str | None = None,
        at: Moment | None = None,
        context: Context | None = None,
        rollout_plan: Sequence[float] | None = None,
    ) -> Gate:
        """
        Return whether a change may start at one moment, and every reason why it may not.

        It asks what `change.start` would be asked, under the rules in force, and records nothing.

        Args:
            id: Its id.
            by: Who would start it; without that, nobody is asked whether they may.
            at: When; by default now, by the ledger's clock.
            context: What other streams say, where the policy asks for it; see `views.context`.
            rollout_plan: The steps it would go up by, () for at once; where it is not given and the
                policy asks for one, the answer says so (`first_share`).

        Raises:
            UnknownIdError: There is no such change.
            UnreadEventError: Its stream holds an event this version can't read.
        """
        moment = self.now() if at is None else at
        mine, rules = self.change(id), self.rules()
        policy, also = rules.policy or DEFAULT_POLICY, submitted_under(mine, rules)
        refusals = change.start_refusals(
            mine,
            by=by,
            at=moment,
            policy=policy,
            also=also,
            context=context,
            rollout_plan=rollout_plan,
        )
        return Gate(
            change=id,
            at=moment,
            refusals=refusals,
            policy=policy.name,
            version=policy.version,
            context=context,
            first_share=change.first_share(mine, policy=policy),
            opens_at=change.opens_at(mine, moment, refusals=refusals, policy=policy, also=also),
        )

    def now(self) -> datetime:
        """Return the time now, in UTC, by the machine's clock."""
        return datetime.now(UTC)

    def unknown(self, stream: str) -> UnknownIdError:
        """
        Return the error that says why nothing is known of a stream: it is not there, or not yet.

        Args:
            stream: Its kind and id, as `stream_of` gives them.
        """
        kind, id_ = kind_and_id(checked_words("stream", stream))
        rows = self.rows_of(stream)
        if not rows:
            return UnknownIdError(kind, id_, self.near(stream))
        since = f"{stamp_of(rows[0])}, position {rows[0].position}"
        hint = f"the first that was recorded of it is of {since}"
        return UnknownIdError(kind, id_, hint, where="was known by then")

    def empty_streams(self, streams: Iterable[str]) -> tuple[str, ...]:
        """
        Return those of some streams in which nothing stands, in their order.

        Args:
            streams: Kinds and ids, "change:CHG-3".
        """
        if not is_list(streams):
            raise InvalidValue("streams", streams, 'a list such as ["change:CHG-3"]')
        asked = [checked_words("streams", stream) for stream in streams]
        there: set[str] = set()
        for begin in range(0, len(asked), NEAR):
            there.update(self._store.streams(asked[begin : begin + NEAR]))
        return tuple(sorted(set(asked) - there))

    def near(self, stream: str) -> str:
        """Return which ids of the same kind look like one that is not there; empty where none."""
        kind, id_ = kind_and_id(checked_words("stream", stream))
        theirs = map(kind_and_id, self._store.beside(stream, NEAR))
        ids = [name for kind_, name in theirs if kind_ == kind]
        # Another case sorts far from it, and is what people mistype first.
        cased = [stream_of(kind, other) for other in (id_.upper(), id_.lower(), id_.title())]
        there = [kind_and_id(name)[1] for name in self._store.streams(cased)]
        near = there or get_close_matches(id_, ids, n=3, cutoff=0.7)
        return f"near: {', '.join(map(plain, near))}" if near else ""

    def history(self, stream: str) -> list[Recorded]:
        """
        Return all events of one stream ("incident:INC-7"), oldest first; none where it is not.

        Args:
            stream: Its kind and id, as `stream_of` gives them.

        Raises:
            InvalidValue: *stream* names no kind.
        """
        return [decode(row) for row in self.rows_of(stream)]

    def events_of(self, streams: Iterable[str], *, upto: int) -> list[Recorded]:
        """
        Return the events of some streams up to a position, in log order; see `history`.

        Args:
            streams: "incident:INC-7", "change:CHG-3"; those that are not there have none.
            upto: Up to this position of the log.
        """
        from imcm.ledger.around import events_of

        if isinstance(streams, str) or not is_list(streams):
            raise InvalidValue("streams", streams, 'a list, such as ["incident:INC-7"]')
        names = [checked_words("streams", stream) for stream in streams]
        return events_of(self._store, names, checked_position("upto", upto))

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


def waiter_of(reader: LedgerReader, every: float) -> Waiter:
    """
    Return what waits for what is recorded next, for read models that follow by a reader.

    It is no method, since readers promise to yield events and not how they wait for them.
    """
    store: ReadStore = reader._store  # pyright: ignore[reportPrivateUsage]
    return Waiter(store.listener, every)
