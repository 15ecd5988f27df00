"""
The ledger: record steps, load what stands.

    ledger = Ledger("ledger.db")
    ledger.record("INC-7", incident.detect, by="ana", at=now, title="checkout is down")

A step is given as the function itself; the ledger loads the incident or the change, lets the
step decide, and appends what follows, all or nothing. When somebody else was faster the step
decides again on what stands then.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Self, TypeVar

from imcm.codec.decoding import decode, envelope_of
from imcm.codec.encoding import Heads, encode
from imcm.codec.rows import FORMAT, StoredEvent
from imcm.domain.change import Change
from imcm.domain.change_events import ChangeEvent
from imcm.domain.incident import Incident
from imcm.domain.incident_events import IncidentEvent
from imcm.domain.policy import Policy, checked_policy
from imcm.domain.policy.context import Context
from imcm.domain.recorded import (
    INCIDENT,
    Event,
    KeyClaimed,
    KeyUsed,
    LedgerOpened,
    Recorded,
    Recording,
    RulesAdopted,
    Source,
    kind_and_id,
    stream_of,
)
from imcm.domain.severity import SeverityScale, checked_scale
from imcm.domain.vocabulary import (
    Moment,
    Relation,
    checked_flag,
    checked_function,
    checked_id,
    checked_text,
    checked_time,
    known_id,
    required_words,
)
from imcm.errors import (
    ConflictError,
    ImcmError,
    InvalidValue,
    KeyReusedError,
    LedgerMissingError,
    NotALedgerError,
    StepRefused,
    StoreError,
    UnreadEventError,
)
from imcm.files import checked_path, locked
from imcm.ledger.bringing_in import (
    History,
    Settled,
    append_rows,
    bring_in,
    bring_in_together,
    first_row,
    given_rows,
)
from imcm.ledger.calls import (
    Call,
    call_of,
    confirm_event,
    name_of,
    refuse_future,
    refuse_inside_a_step,
    refuse_one_side,
    streams_named,
    what_follows,
)
from imcm.ledger.keys import claim_row, claim_stream, source_of, why_another
from imcm.ledger.reading import LedgerReader
from imcm.ledger.redaction import Redaction, redact
from imcm.ledger.refusals import refusal_of
from imcm.ledger.restoring import refuse_existing, restore_file, stored_twice
from imcm.ledger.rows import head_of, is_stored, readable_row
from imcm.ledger.rules import (
    JUDGING,
    STREAMS,
    Rules,
    adopted,
    adoption,
    given_to,
    in_force,
    kind_of,
    refuse_adoption,
    rules_of,
)
from imcm.ledger.settings import store_of
from imcm.ledger.store import SELF, AppendConflict, SQLiteStore, Store, Turn
from imcm.ledger.streams import AGGREGATES, kind_of_step, state_of_rows, without_gaps
from imcm.ledger.transactions import Once, Transaction
from imcm.plain import plain

if TYPE_CHECKING:
    from imcm.domain.policy.conflicts import Dependencies

__all__ = [
    "Ledger",
]

P = ParamSpec("P")
State = TypeVar("State", Incident, Change)


A_KEY: Final = "give what is the same whenever it is delivered again, and no other delivery has"

_COLLECTS: Final = "a plain function that collects the first step of the id it is given: tx.record"

PATIENCE_SECONDS: Final = 30
"""How long a step decides anew when others were faster, before it gives up."""

LONGEST_PAUSE: Final = 0.25
"""Seconds between two attempts, at most."""


def utc_now() -> datetime:
    """Return the time now, in UTC: the ledger's clock unless it is given another."""
    return datetime.now(UTC)


def _new_in(recorded: Sequence[Recorded], prefix: str) -> str:
    """Return the id that was new in what a key recorded; that of the first event if none was."""
    new = (each.id for each in recorded if each.version == 1 and each.id.startswith(prefix))
    return next(new, recorded[0].id)


def _given(policy: Policy | None, scale: SeverityScale | None) -> Rules:
    return Rules(None if policy is None else checked_policy(policy), checked_scale(scale))


class Ledger(LedgerReader):
    """
    A ledger to record in. Safe to share between threads, and the file between processes.

    Args:
        path: A SQLite file; made when it is not there.
        clock: Gives the stamp of each record; must return an aware time.
        scale: The team's own names for severities: steps that take a severity then take one of
            them. What is given here is not kept in the ledger; see `adopt`.
        policy: The rules by which steps are judged, where none were adopted; where some were, it
            is what they are expected to be.
        must_exist: Whether a file that is not there is an error, and not made.
        record_refusals: Whether a step of a change that is refused is kept in its history: who
            asked, when, and which guard said no. The same one of the same person is, once an hour.

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
        policy: Policy | None = None,
        must_exist: bool = False,
        record_refusals: bool = False,
    ) -> None:
        checked_function("clock", clock)
        given = _given(policy, scale)
        self._record_refusals = checked_flag("record_refusals", record_refusals)
        path = checked_path("path", path)
        if must_exist and not path.exists():
            raise LedgerMissingError(f"there is no ledger at {path}; check the path")
        self._start(SQLiteStore(path), clock, given)

    @classmethod
    def in_memory(
        cls,
        *,
        clock: Callable[[], datetime] = utc_now,
        scale: SeverityScale | None = None,
        policy: Policy | None = None,
        record_refusals: bool = False,
    ) -> Self:
        """
        Return a new ledger that lives as long as the process.

        Args:
            clock, scale, policy, record_refusals: As of `Ledger`.
        """
        return cls.configured(
            {"PERSISTENCE_MODULE": "eventsourcing.popo"},
            clock=clock,
            scale=scale,
            policy=policy,
            record_refusals=record_refusals,
        )

    @classmethod
    def configured(
        cls,
        settings: Mapping[str, str],
        *,
        clock: Callable[[], datetime] = utc_now,
        scale: SeverityScale | None = None,
        policy: Policy | None = None,
        record_refusals: bool = False,
    ) -> Self:
        """
        Return a ledger on any persistence module of eventsourcing.

        Args:
            settings: That module's settings, for example PERSISTENCE_MODULE, POSTGRES_DBNAME,
                CIPHER_TOPIC. Only these count: the process's environment is never read.
            clock, scale, policy, record_refusals: As of `Ledger`.
        """
        checked_function("clock", clock)
        given = _given(policy, scale)
        ledger = cls.__new__(cls)
        ledger._record_refusals = checked_flag("record_refusals", record_refusals)
        ledger._start(store_of(settings), clock, given)
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
            rows: Those of the other one, in log order, as its `rows()` gives them.
            clock, scale: As of `Ledger`.

        Raises:
            LedgerNotEmptyError: There is something already.
            NotALedgerError: The first row is not that of a ledger.
        """
        checked_function("clock", clock)
        if not isinstance(target, Mapping):
            target = checked_path("target", target)
            refuse_existing(target)
        given = given_rows(rows)
        first, _ = first_row(given)
        whole = itertools.chain([first], given)
        if isinstance(target, Mapping):
            return cls._filled(target, whole, clock, scale)
        with locked(target, wait=0):
            refuse_existing(target)
            restore_file(target, whole)
        return cls(target, clock=clock, scale=scale)

    @classmethod
    def _filled(
        cls,
        settings: Mapping[str, str],
        rows: Iterator[StoredEvent],
        clock: Callable[[], datetime],
        scale: SeverityScale | None,
    ) -> Self:
        store = store_of(settings)
        try:
            store.fill(rows)
        except AppendConflict as error:
            store.close()
            raise stored_twice(error) from None
        except BaseException:
            store.close()
            raise
        ledger = cls.__new__(cls)
        ledger._start(store, clock, Rules(scale=scale))
        return ledger

    def _start(self, store: Store, clock: Callable[[], datetime], given: Rules) -> None:
        self._clock = clock
        self._given = given
        self._numbers: dict[str, int] = {}
        self._writes = store
        try:
            self._open(store)
        except ImcmError:
            store.close()
            raise
        self._begin(store)

    _record_refusals = False

    def _open(self, store: Store) -> None:
        """Say in a new ledger which it is."""
        if not store.stream(SELF):
            first = next(iter(store.rows()), None)
            if first is not None and first.stream != SELF:
                raise NotALedgerError(f"there are events of another kind: no {SELF} comes first")
            ledger_id = f"imcm/{os.urandom(16).hex()}"
            opened = LedgerOpened(ledger_id=ledger_id, format=FORMAT)
            name, state = encode(opened, recorded_at=self.now(), record=os.urandom(16).hex())
            # Where another process opened it first, its identity is the ledger's.
            with contextlib.suppress(AppendConflict):
                store.insert([StoredEvent(0, SELF, 1, name, state)])

    def now(self) -> datetime:
        """Return the time now, in UTC, by the ledger's clock."""
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
        return self.commit([call_of(id, step, arguments)], source=None, key=None)

    def record_new(
        self,
        prefix: str,
        step: Callable[Concatenate[State, P], tuple[IncidentEvent, ...] | tuple[ChangeEvent, ...]],
        /,
        *args: P.args,
        **arguments: P.kwargs,
    ) -> Recording:
        """
        Record the first step of a new incident or change, under the next number behind a prefix.

            [detected] = ledger.record_new("INC-", incident.detect, by="ana", at=now, title="...")
            print(detected.id)  # INC-205

        Processes that do this at once get numbers of their own. Numbers that are not used remain
        where an import brought greater ones. Under a key: `ledger.once(source, key).record_new`,
        which gives a delivery that comes again the id it was given first.

        Args:
            prefix: What stands before the number: "INC-".
            step: `incident.detect`, `change.plan` or `change.observe`, or one like them of your
                own; *arguments* are its own.

        Raises:
            As `record`.
        """

        def collect(tx: Transaction, id_: str) -> None:
            tx.record(id_, step, *args, **arguments)

        return self.transaction_new(prefix, step, collect)

    def transaction_new(
        self,
        prefix: str,
        step: Callable[..., object],
        collect: Callable[[Transaction, str], object],
        *,
        source: str | Source | None = None,
        key: str | None = None,
        strict: bool = False,
    ) -> Recording:
        """
        Record several steps as one, under the next number that is free; see `record_new`.

            def opened(tx, id):
                tx.record(id, incident.detect, by="ana", at=now, title="Payments fail")
                tx.record(id, incident.triage, by="ana", at=now, severity=Severity.P2)

            recorded = ledger.transaction_new("INC-", incident.detect, opened)

        Args:
            prefix: What stands before the number.
            step: The first of them, which tells whether it is an incident or a change.
            collect: Collects the steps, as in a block of `transaction`; called again with another
                number where another process was faster, so it does nothing else. A plain function
                that collects at least the first step of that id.
            source, key, strict: As for `transaction`. A delivery that comes again under its key
                has the id that was given first.

        Raises:
            As `record`; and KeyReusedError where the key came before with other steps.
        """
        if iscoroutinefunction(checked_function("collect", collect)):
            raise InvalidValue("collect", collect, _COLLECTS)
        while isinstance(step, functools.partial):
            step = step.func
        kind = kind_of_step(step)

        def committed(id_: str) -> Recording:
            with self.transaction(source=source, key=key, strict=strict) as tx:
                collect(tx, id_)
                if not tx.collected(f"{kind}:{id_}"):
                    raise InvalidValue("collect", collect, _COLLECTS)
            return tx.recorded

        known_id("prefix", f"{checked_text('prefix', prefix)}1")  # what can begin no id is refused
        start = stream_of(kind, prefix)
        earlier = None if source is None or key is None else self.recorded_under(source, key)
        if earlier:
            return committed(_new_in(earlier, prefix))
        number = self._numbers.get(start) or self._store.greatest(start)
        while True:
            number += 1
            self._numbers[start] = number
            id_ = f"{prefix}{number}"
            if self._store.stream(f"{start}{number}"):
                continue
            try:
                return committed(id_)
            except KeyReusedError as reused:
                # The same delivery came to somebody else, who was faster with another number.
                self._numbers[start] = number - 1
                return committed(_new_in(reused.recorded, prefix))
            except ImcmError as error:
                refused = isinstance(error, StepRefused) and error.guard == "status"
                if refused and self._store.stream(f"{start}{number}"):
                    continue  # somebody was faster, and has this number
                self._numbers[start] = number - 1
                raise

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
        return Once(self, source_of(source), required_words("key", key, A_KEY), strict=strict)

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
        text = None if key is None else required_words("key", key, A_KEY)
        given = None if source is None else source_of(source)
        return Transaction(self, given, text, strict=strict)

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

        Args:
            id: The incident that ends as merged; its moments, verdicts and severity count for the
                other from then on.
            into: The incident that goes on for both.
            by, at: As of every step.
            why: What shows that they are the same, in words.

        Raises:
            StepRefused: It is the same one, is merged already, or the other is merged or dismissed.
        """
        with self.transaction() as tx:
            tx.merge(id, into=into, by=by, at=at, why=why)
        return tx.recorded

    def relate(self, id: str, *, to: str, kind: Relation, by: str, at: Moment) -> Recording:
        """
        Say what an incident is to another: child of it, a recurrence of it, or related to it.

        It is taken back by `ledger.record(id, incident.unrelate, to=...)`. Under a key:
        `ledger.once(source, key).relate(...)`.

        Args:
            id: The incident.
            to: The other one.
            kind: What it is to the other.
            by, at: As of every step.

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

        Args:
            id: The incident that was merged; it is again what it was.
            by, at: As of every step.
            why: Why it is another one after all, in words.

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
        claim = "" if key is None or source is None else claim_stream(source, key)
        refuse_inside_a_step(calls)
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
                    now = self.now()
                    events = self._decide(calls, now, turn)
                    head = head_of(Heads(now, record), source)
                    rows = [readable_row(*event, head) for event in events]
                    if claim:
                        rows.append(claim_row(claim, calls, events, head))
                    positions = turn.insert(rows) if rows else []
            except StepRefused as refused:
                if self._record_refusals:
                    self._keep(refused, calls, source)
                raise
            except AppendConflict as signal:
                if self._was_stored(rows, signal):
                    return Recording(self._by_pairs((row.stream, row.version) for row in rows))
                if time.monotonic() > give_up:
                    raise self._gave_up(calls, signal) from None
                pause = min(LONGEST_PAUSE, 0.002 * 1.5 ** min(attempt, 20))
                time.sleep(random.uniform(0, pause))  # noqa: S311 (no secret)
                attempt += 1
            else:
                as_stored = source if not rows or source is None else envelope_of(rows[0]).source
                return Recording(
                    (
                        Recorded(stream, version, position, now, record, as_stored, event)
                        for (stream, version, event), position in zip(
                            events, positions, strict=False
                        )
                    ),
                    notes=self._unknown_named(event for _, _, event in events),
                )

    def _keep(self, refused: StepRefused, calls: Sequence[Call], source: Source | None) -> None:
        """Keep a refusal in the history of its change; what is in the way of that is a note."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while refused.stream:
            try:
                with self._writes.turn() as turn:
                    now, rows = self.now(), without_gaps(turn.stream(refused.stream))
                    event = refusal_of(refused, calls, rows, self._rules(turn), now)
                    if event is not None:
                        head = head_of(Heads(now, os.urandom(16).hex()), source)
                        turn.insert([readable_row(refused.stream, len(rows) + 1, event, head)])
            except AppendConflict as signal:
                if not signal.broken and time.monotonic() < give_up:
                    continue
                refused.add_note(f"the refusal could not be kept: {signal}")
            except ImcmError as error:
                refused.add_note(f"the refusal could not be kept: {error}")
            return

    def _gave_up(self, calls: Sequence[Call], signal: AppendConflict) -> ImcmError:
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
        rules = self._rules(turn)

        def state_of(stream: str) -> Any:
            if stream not in states:
                # No guard reads words: they may have been taken out.
                rows = without_gaps(turn.stream(stream))
                states[stream] = state_of_rows(kind_and_id(stream)[0], rows, words=False)
            return states[stream]

        def decide(call: Call) -> None:
            kind, id_ = kind_and_id(call.stream)
            state = state_of(call.stream)
            others = {
                name: state_of(of) if isinstance(of, str) else of(state, state_of)
                for name, of in call.others.items()
            }
            follows: list[Event] = []
            self._refuse_foreign(call, id_)
            try:
                given = given_to(call.step, call.arguments, rules, state)
                made = what_follows(call, state, {**others, **given})
            except StepRefused as refused:
                if refused.guard != "status" or state.past:
                    raise
                # Mistyped, as a rule: it is refused for being nothing yet.
                hint = f"there is no {kind} {plain(id_)!r}"
                near = self.near(call.stream)
                raise refused.on(call.stream, f"{hint}, {near}" if near else hint) from None
            scaled = kind == INCIDENT
            own = None
            if id(call.step) not in AGGREGATES[kind].steps:
                own = rules_of(call.arguments, rules, state, scaled=scaled)
            if made and not state.past:
                checked_id("id", id_)  # a new id is asked more
            for event in made:
                if own is not None:
                    confirm_event(call, state, event, own)
                refuse_future(name_of(call.step), call.stream, event, now)
                events.append((call.stream, len(state.past) + 1, event))
                state = AGGREGATES[kind].evolve(state, event)
                follows.append(event)
            states[call.stream] = state
            following = call.then(follows, state) if call.then is not None and follows else None
            if following is not None:
                decide(following)

        for call in calls:
            decide(call)
        for stream, _, event in events:
            refuse_one_side(stream, event, state_of)
        return events

    def _refuse_foreign(self, call: Call, id_: str) -> None:
        """Refuse a context of another change, or of a log that is not this one."""
        context = call.arguments.get("context")
        if not isinstance(context, Context):
            return
        allowed = "what views.context(id) gathers of this ledger for this change"
        if context.change not in {"", id_} or context.position > self._store.newest(None):
            raise InvalidValue("context", context, allowed)

    def _rules(self, turn: Turn | Store) -> Rules:
        """
        Return the rules that decisions go by: those adopted, else those this object was given.

        Raises:
            InvalidValue: It was given others than those adopted.
        """
        standing = in_force(turn.streams(JUDGING))
        mine = self._given
        for name, given, adopted_ in (
            ("policy", mine.policy, standing.policy),
            ("scale", mine.scale, standing.scale),
        ):
            if given is not None and adopted_ is not None and given != adopted_:
                allowed = f"what the ledger has adopted, {adopted_.name} {adopted_.version}"
                raise InvalidValue(name, given, allowed)
        return standing._replace(
            policy=standing.policy or mine.policy, scale=standing.scale or mine.scale
        )

    def adopt(
        self, rules: Policy | SeverityScale | Dependencies, *, by: str
    ) -> RulesAdopted | None:
        """
        Put rules in force, for every process that records in this ledger from now on.

            ledger.adopt(imcm.read_policy("strict.toml"), by="mia")

        Steps are judged by the policy in force, whoever takes them; a `policy=` or `scale=` given
        to a step, or to the ledger, only says what is expected, and another one is refused. Which
        rules stood when is in the log: `ledger.history("rules:policy")`.

        Args:
            rules: A policy, a severity scale or dependencies, in the place of those before.
            by: Who adopts it; the policy in force may name who may (`stewards`).

        Returns:
            What was recorded; None where it is in force already.

        Raises:
            StepRefused: Somebody may not ("stewards"), or its name and version mean other content
                already ("name").
            InvalidValue: It is none of them.
            UnreadEventError: What is in force can't be read by this version.
            ConflictError: Others kept adopting; nothing was recorded.
        """
        kind_of(rules)
        event = adoption(rules, checked_id("by", by))
        stream = f"rules:{event.kind}"
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with self._writes.turn() as turn:
                    there = turn.streams(STREAMS)
                    rows = there.get(stream, [])
                    before = adopted(rows)
                    if before and before[-1].sha256 == event.sha256:
                        return None
                    refuse_adoption(event, before, in_force(there))
                    head = head_of(Heads(self.now(), os.urandom(16).hex()), None)
                    turn.insert([readable_row(stream, len(rows) + 1, event, head)])
                    return event
            except AppendConflict as signal:
                if time.monotonic() > give_up or signal.broken:
                    message = f"others kept adopting rules ({signal}); look, then try again"
                    raise ConflictError(message) from None

    def _unknown_named(self, events: Iterable[object]) -> Iterator[str]:
        """Yield what is to be said of ids that events name and that are not in the ledger."""
        named = dict.fromkeys(name for event in events for name in streams_named(event))
        if not named:
            return
        there = self._store.streams(list(named))
        for name in named:
            if name not in there:
                kind, id_ = kind_and_id(name)
                near = self.near(name)
                note = f"there is no {kind} {plain(id_)!r} in this ledger yet"
                yield f"{note}; {near}" if near else note

    def _was_stored(self, rows: Sequence[StoredEvent], signal: AppendConflict) -> bool:
        try:
            return is_stored(self._writes, rows[0], envelope_of(rows[0]).record)
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
        claim = claim_stream(source, key)
        rows = turn.stream(claim)
        if not rows:
            return None
        recorded = self._recorded_under(rows[0])
        why = why_another(rows[0], calls, strict=strict)
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
        self._writes.wait_until_durable()  # whoever claimed it may not have had its answer yet
        recorded = self._by_pairs(event.recorded)
        notes = self._unknown_named(event.event for event in recorded)
        return Recording(recorded, repeated=True, notes=notes)

    def recorded_under(self, source: str | Source, key: str) -> Recording | None:
        """
        Return what was recorded under an idempotency key; None where it was never used.

        Args:
            source, key: As for `once`.
        """
        claim = claim_stream(source_of(source), required_words("key", key, A_KEY))
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
            by, at: Who takes them out, and when they do.

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
        return redact(
            self._writes,
            stream,
            by=by,
            at=at,
            reason=reason,
            versions=versions,
            now=self.now,
            near=self.near,
        )

    @property
    def guarded(self) -> bool:
        """Whether the database itself refuses to change or delete events."""
        return self._writes.guarded

    def guard(self, *, on: bool = True) -> None:
        """
        Have the database refuse to change, replace, delete or truncate events, or let it again.

        A belt against slips and careless scripts, not the promise: whoever owns the database can
        drop the triggers. What shows that nothing was altered are checkpoints kept elsewhere.

        Args:
            on: False lets it change them again.

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
        refused: Callable[[History, ImcmError], object] | None = None,
        dry_run: bool = False,
        together: bool = False,
        settle: Callable[[], Settled] | None = None,
    ) -> tuple[int, int]:
        """
        Record history from elsewhere, in bulk.

        What stands already is not recorded again, so an interrupted import can be run again.
        One history is never split: it is recorded whole or not at all.

        Args:
            histories: Taken a few hundred at a time, so that what stands of them is asked at once.
                Those taken together share the ledger's stamp.
            progress: Called with the number of histories done so far.
            refused: Called with a history that can't be recorded, and why; the others are. None
                ends the import there.
            dry_run: Decide all of it and record nothing.
            together: Decide all of it before anything is recorded: what is new is held in memory,
                and of a stream that is given twice the second history sees what the first added.
                What ends the import, ends it with nothing recorded. Streams are counted, each once.
            settle: Only with *together*: called when all is decided. It says what is left out after
                all, and may give further histories; what it raises ends the import.

        Returns:
            How many histories were given, and how many events were recorded.

        Raises:
            StepRefused, InvalidValue: A history can't be recorded; those before it are, but
                *together*.
        """
        rules = self._rules(self._writes)
        if settle is not None:
            checked_function("settle", settle)
            if not together:
                raise InvalidValue("settle", settle, "None, but where together=True")
        if together:
            return bring_in_together(
                self._writes, histories, self.now, progress, rules, refused, settle, dry_run=dry_run
            )
        return bring_in(
            self._writes, histories, self.now, progress, rules, refused, dry_run=dry_run
        )

    def append_rows(self, rows: Iterable[StoredEvent]) -> int:
        """
        Record the rows of another ledger in this one, as imported history.

        Each event keeps its old stamp as `source.recorded_at`. Events this version can't read
        are taken with their facts as they stand. Running it again adds only what is missing.

        Args:
            rows: Those of the other one, in log order, as its `rows()` gives them.

        Returns:
            How many events were recorded.

        Raises:
            LedgerNotEmptyError: A stream of theirs exists here with other events.
        """
        return append_rows(self._writes, rows, self.now)
