"""
What recording, replaying, reporting and importing cost, each against a baseline of the same run.

    python benchmarks/run.py [--json FILE] [--quick] [--only KEY ...] [--events N] [--large]
                             [--folder DIR]

Every figure is a ratio of two things measured on the same machine within the same minutes, in
turn: baseline, subject, baseline, subject. Seconds are printed beside it and hold for this machine
only. What does not wait for a disk is measured in CPU seconds, of which the fewest of a few runs
count; what does is measured by the wall clock, single steps by their median. Measurements run in
processes of their own, so that none finds what another one left in memory.

Baselines are plain `sqlite3`, `eventsourcing` used as its documentation shows, and the library
itself doing the whole work anew.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import importlib.metadata
import importlib.util
import itertools
import json
import os
import pickle
import platform
import random
import shutil
import sqlite3
import statistics as bare
import subprocess
import sys
import tempfile
import time
import uuid
import zoneinfo
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import control
import git_history
import logs
import metrics
import msgspec
import receiving
import tables
import whole

from imcm import (
    History,
    Ledger,
    LedgerReader,
    Source,
    change_failure_rate,
    deployment_frequency,
    dora_report,
    facts,
    failed_deployment_recovery_time,
    incident,
    lead_time,
    rework_rate,
    time_to_restore,
    what_if,
)
from imcm.codec.encoding import encode
from imcm.codec.rows import EVENT_TYPES, StoredEvent
from imcm.domain.change_events import (
    ChangeApproved,
    ChangeCompleted,
    ChangePlanned,
    ChangeStarted,
    ChangeSubmitted,
    CommitsRecorded,
)
from imcm.domain.incident_events import (
    IncidentAcknowledged,
    IncidentDetected,
    IncidentResolved,
    IncidentTriaged,
    UpdatePosted,
)
from imcm.domain.policy.conflicts import Dependencies, Planned, conflicts, next_free
from imcm.domain.policy.scope import Content
from imcm.domain.vocabulary import Audience, ChangeType, Commit, Kind, Severity, Window
from imcm.gc_pause import gc_paused
from imcm.ledger import lean
from imcm.ledger.bringing_in import IMPORT_BATCH
from imcm.ledger.facts import loaded
from imcm.projections.facts.fold import Facts, FactsFold
from imcm.projections.reports.failure_model import failure_model
from imcm.projections.reports.risk import risk_of

FULL = 1_000_000
QUICK = 50_000
LARGE = 10_000_000

WHOLE = "whole_commands"
"""The key of a group of command lines, which have a baseline and no goals: see whole.py."""

NEW = 1_000
"""Events that are new when kept facts are brought up to date."""

ROUNDS = 5
"""How often they are."""

STOCK_SAMPLE = 200_000
"""Events of the same history that stock eventsourcing decodes; its seconds are scaled from them."""

SERVICES = 20
MONTHS = 24
"""What a report is asked for by service and by month."""

STEPS = 300
IMPORTED = 200_000

TEXT = "We are looking at it; the rate is falling."

SELECT = (
    "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events "
    "ORDER BY rowid"
)


class Goal(NamedTuple):
    """
    What is to be reached.

    Attributes:
        limit: In *unit*: "times" the baseline, "times as fast" than it, "s" or "MB".
    """

    what: str
    baseline: str
    limit: float
    unit: str = "times"

    @property
    def least(self) -> bool:
        """Whether more is better."""
        return self.unit == "times as fast"

    def told(self) -> str:
        """Return the goal as it is read."""
        return f"{'at least' if self.least else 'at most'} {amount(self.limit, self.unit)}"


GOALS: dict[str, Goal] = {
    "replay_vs_fetch": Goal(
        "the whole log to facts, time to restore, change failure rate and the DORA report",
        "fetching the same rows with plain sqlite3",
        2.5,
    ),
    "replay_vs_stock": Goal(
        "the whole log to facts, time to restore, change failure rate and the DORA report",
        "stock eventsourcing only decoding the same history (JSON transcoder)",
        3,
        "times as fast",
    ),
    "record_vs_insert": Goal(
        "one recorded step on a stream of five events: load, decide, append, durable",
        "BEGIN IMMEDIATE, INSERT of one row, COMMIT in a copy of the same file",
        2,
    ),
    "record_vs_stock": Goal(
        "one recorded step on a stream of five events: load, decide, append, durable",
        "stock eventsourcing: repository.get, a method, save, on an aggregate of five events",
        1.3,
        "times as fast",
    ),
    "import_vs_insert": Goal(
        "bulk import through the domain",
        "executemany of the same rows in transactions of the same size",
        3,
    ),
    "csv_vs_bring_in": Goal(
        "CSV files of incidents and changes of another tool, by a mapping, all rules included",
        "bringing in the events that they make",
        1.4,
    ),
    "log_vs_bring_in": Goal(
        "an audit log with one row for each state of an incident, by a mapping",
        "bringing in the events that it makes",
        1.4,
    ),
    "csv_again": Goal(
        f"a file of {tables.AGAIN:,} incidents once more, in which nothing is new",
        "its first import",
        1,
        "s",
    ),
    "follow_catch_up": Goal(
        f"kept facts brought up to date after {NEW:,} new events",
        "facts from a replay of the whole log",
        1 / 200,
    ),
    "first_build": Goal(
        "views of the whole log made for the first time: facts, columns, boards, SQL tables",
        "facts from a replay of the whole log",
        1.4,
    ),
    "board": Goal(
        "the slowest of three boards of a running process: open incidents, overdue actions, "
        "changes that wait for one person",
        "views of a whole replay, gone through",
        0.01,
        "s",
    ),
    "known_before": Goal(
        "open incidents as they were known when the last 5 % of the log were not there",
        "a bare fetch of the log",
        0.5,
    ),
    "cold_open": Goal(
        "the first DORA report of a new process, where facts are kept",
        "the same report from a replay of the whole log, in a new process",
        1 / 10,
    ),
    "metrics_100k": Goal(
        "the five DORA figures with populations and intervals, from facts already held",
        "a median, a share and a count per day of the same rows with the standard library",
        0.5,
        "s",
    ),
    "report_by_month": Goal(
        f"a DORA report of {SERVICES} services by {MONTHS} months, from facts already held",
        "the same report without groups and periods",
        1,
        "s",
    ),
    "attribution_100k": Goal(
        "inferring which change caused which incident",
        "the change failure rate without inference",
        0.15,
        "s",
    ),
    "conflicts_100k": Goal(
        "which of as many scheduled changes conflict, where every service depends on others",
        "sorting the starts and the ends of the same windows",
        15,
    ),
    "what_if_100k": Goal(
        "what another policy (a freeze, votes, plans) would have said of each change of a log",
        "the same events, already read, into facts",
        15,
        "s",
    ),
    "frozen_100k": Goal(
        "whether the window of each change meets a freeze: one of every week in a zone with clock "
        "changes, one that comes once, holidays, an iCalendar file with rules that recur",
        "the starts and the ends of the same windows in that zone, by zoneinfo",
        5,
        "s",
    ),
    "next_free_100k": Goal(
        "the next window without a freeze of these from each start on",
        "the starts and the ends of the same windows in that zone, by zoneinfo",
        10,
        "s",
    ),
    "risk_100k": Goal(
        "training the failure model on all changes, from facts already held",
        "the change failure rate of the same facts",
        2.5,
        "s",
    ),
    "git_100k": Goal(
        "all commits of a git repository to changes, the slowest of by tags, merges and commits",
        "git log alone printing the same",
        60,
        "s",
    ),
    "receiver": Goal(
        "one delivery to a receiver of webhooks, of 32 senders at once, durable when answered",
        "one step recorded in a loop",
        2,
    ),
    "memory": Goal(
        "the most memory held while a whole log becomes a report",
        "the same incidents and changes with fewer events each",
        400,
        "MB",
    ),
    "import_time": Goal(
        "from imcm import Ledger, incident, change",
        "import eventsourcing.application",
        3,
    ),
    "growth": Goal(
        "replay of the largest log, per event",
        "replay of a log a hundredth as long, per event",
        1.5,
    ),
}


def amount(value: float, unit: str) -> str:
    """Return a value with its unit, in as many digits as it deserves."""
    if unit == "MB":
        return f"{value:,.0f} MB"
    if unit == "times" and value < 0.5:
        return f"1/{1 / value:,.0f}"
    number = f"{value:.2g}" if abs(value) < 0.1 else f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{number} {unit}"


def say(*words: object) -> None:
    """Tell how far it is, beside the results."""
    print(*words, file=sys.stderr, flush=True)


# --- what is measured most often ------------------------------------------------------------------


def held(ledger: LedgerReader) -> Facts:
    """Return the facts of a whole log, in the fastest public way. All replays here are this one."""
    return ledger.facts()


def figures(path: Path) -> tuple[float | None, float | None, object]:
    """Return time to restore, change failure rate and the DORA report of a whole log."""
    with LedgerReader(path) as ledger:
        known = held(ledger)
    return time_to_restore(known).value, change_failure_rate(known).value, dora_report(known)


def fetched(path: Path) -> int:
    """Fetch every row with plain sqlite3 and return how many there are."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    count = 0
    for _ in connection.execute(SELECT):
        count += 1
    connection.close()
    return count


def timed(what: Callable[[], object], clock: Callable[[], float]) -> float:
    """Return the seconds of one run; what earlier ones left is cleared away before it."""
    gc.collect()
    begin = clock()
    what()
    return clock() - begin


def in_turn(
    *whats: Callable[[], object],
    clock: Callable[[], float] = time.process_time,
    runs: int = 3,
) -> list[float]:
    """Return the fastest of a few runs of each, run in turn so that a busy minute hits all."""
    best = [float("inf")] * len(whats)
    for _ in range(runs):
        for place, what in enumerate(whats):
            best[place] = min(best[place], timed(what, clock))
    return best


# --- logs to measure on ---------------------------------------------------------------------------


def batched(given: Iterable[StoredEvent], size: int) -> Iterator[list[StoredEvent]]:
    """Yield rows in lists of at most *size*."""
    source = iter(given)
    while batch := list(itertools.islice(source, size)):
        yield batch


def write(path: Path, given: Iterable[StoredEvent]) -> None:
    """Write a ledger of these rows."""
    with Ledger(path) as ledger:
        for count, batch in enumerate(batched(given, 10_000), start=1):
            ledger._writes.insert(batch)
            if count % 10 == 0:
                say(f"  {path.name}: {count * 10_000:,} rows")


def build(folder: Path, events: int) -> None:
    """Write the log most measurements read, and beside it the rows that follow it."""
    given = logs.rows(events + NEW * ROUNDS)
    write(folder / "ledger.db", itertools.islice(given, events))
    (folder / "news").write_bytes(pickle.dumps(list(given)))


LEFT_OUT = (IncidentAcknowledged, IncidentTriaged, UpdatePosted, ChangeSubmitted, ChangeApproved)
"""Events without which an incident or a change still has its row."""

MORE = 5
"""Updates that are added to each incident to see whether memory grows with them."""


def same_rows(events: int, *, more: bool) -> Iterator[StoredEvent]:
    """Yield a log of the same incidents and changes, with more or with fewer events each."""
    versions: Counter[str] = Counter()
    for stream, _, event in logs.history(events):
        if not more and isinstance(event, LEFT_OUT):
            continue
        told = [event]
        if more and isinstance(event, IncidentAcknowledged):
            update = UpdatePosted(at=event.at, by="ana", audience=Audience.INTERNAL, text=TEXT)
            told += [update] * MORE
        for one in told:
            versions[stream] += 1
            # Their times and ids weigh nothing here, so all may have the same.
            name, state = encode(one, recorded_at=logs.START + timedelta(days=3650), record="r")
            yield StoredEvent(0, stream, versions[stream], name, state)


# --- replay ---------------------------------------------------------------------------------------


def measure_replay(folder: Path, events: int) -> dict[str, Any]:
    """Replay against fetching."""
    path = folder / "ledger.db"
    rows = fetched(path)  # the file is in memory from here on
    fetch, replay = in_turn(lambda: fetched(path), lambda: figures(path), runs=runs_for(events))
    beside: dict[str, Any] = {"events": rows, "replayed events per second": round(rows / replay)}
    if events <= FULL:
        each = {name: round(seconds / rows * 1e6, 2) for name, seconds in parts(path).items()}
        beside |= {f"microseconds an event, {name}": value for name, value in each.items()}
    return {
        "ratio": replay / fetch,
        "seconds": replay,
        "baseline_seconds": fetch,
        "beside": beside,
    }


class _Times(msgspec.Struct, gc=False):
    """The least that anything in time needs of an event."""

    at: datetime | None


class _Stamped(msgspec.Struct, gc=False):
    recorded_at: datetime
    event: _Times


def parts(path: Path) -> dict[str, float]:
    """Return the CPU seconds of the parts of a replay, one after the other, and of two floors."""
    with LedgerReader(path) as ledger, gc_paused():
        fetching = timed(lambda: deque(ledger._store.tuples(), maxlen=0), time.process_time)
        decoding = timed(lambda: deque(decoded(ledger), maxlen=0), time.process_time)
        looking = timed(lambda: looked_at(ledger), time.process_time)
        fold = FactsFold(
            lambda streams: loaded(itertools.chain(*map(ledger.rows_of, streams)), streams)
        )
        telling = timed(lambda: lean.take_facts(ledger._store.tuples(), fold), time.process_time)
        begin = time.process_time()
        known = fold.closed()
        making = time.process_time() - begin
        begin = time.process_time()
        time_to_restore(known), change_failure_rate(known), dora_report(known)
        counting = time.process_time() - begin
        states = [row[4] for row in itertools.islice(ledger._store.tuples(), 1, 100_000)]
        times = msgspec.json.Decoder(_Stamped).decode
        least = timed(lambda: deque(map(times, states), maxlen=0), time.process_time)
        return {
            "fetching and checking rows": fetching,
            "decoding what rows of facts need": decoding - fetching,
            "telling it": telling - decoding,
            "making rows": making,
            "eight figures": counting,
            "a floor: decoding nothing but two times": least / len(states) * known.events,
            "a floor: fetching, decoding, looking at versions and times, making nothing": looking,
        }


def decoded(ledger: LedgerReader) -> Iterator[tuple[Any, ...]]:
    """Yield what rows tell of facts, as a fold takes it."""
    rows = ledger._store.tuples()
    while some := list(itertools.islice(rows, lean.TAKEN_AT_ONCE)):
        yield from lean._taken(some)


def looked_at(ledger: LedgerReader) -> int:
    """Return how many events are out of order or later than they were recorded: the least to do."""
    last: dict[str, int] = {}
    odd = 0
    for stream, version, _, _, one in decoded(ledger):
        at = getattr(one.event, "at", None)
        if version != last.get(stream, 0) + 1 or (
            at is not None and at.__class__ is datetime and at > one.recorded_at
        ):
            odd += 1
        last[stream] = version
    return odd


def runs_for(events: int) -> int:
    """Return how many runs are worth their time: small logs are measured more often."""
    if events > FULL:
        return 1
    return 3 if events >= FULL // 2 else 5


# --- stock eventsourcing --------------------------------------------------------------------------


@functools.cache
def stock() -> Any:
    """
    Return an aggregate class as eventsourcing's documentation has them, and one of our events.

    Made in a function, since only the measurements against it may load eventsourcing.
    """
    from eventsourcing.domain import Aggregate, event
    from eventsourcing.utils import get_topic

    class Outage(Aggregate):
        @event("Detected")
        def __init__(self, *, at: datetime, by: str, title: str, services: list[str]) -> None:
            self.detected_at, self.by, self.title, self.services = at, by, title, services
            self.status = "detected"
            self.updates: list[str] = []

        @event("Acknowledged")
        def acknowledge(self, at: datetime, by: str) -> None:
            self.status, self.acknowledged_at = "acknowledged", at

        @event("Triaged")
        def triage(self, at: datetime, by: str, severity: str) -> None:
            self.status, self.severity = "triaged", severity

        @event("UpdatePosted")
        def post_update(self, at: datetime, by: str, audience: str, text: str) -> None:
            self.updates.append(text)

        @event("Resolved")
        def resolve(self, at: datetime, by: str) -> None:
            self.status, self.resolved_at = "resolved", at

    class Told(Aggregate):
        """The history of the log, event by event."""

    for name in EVENT_TYPES:
        place = {"__module__": Told.__module__, "__qualname__": f"{Told.__qualname__}.{name}"}
        setattr(Told, name, type(name, (Aggregate.Event,), place))
    for one in (Outage, Told):
        get_topic(one)  # from here on the topics of its events can be resolved
    return Outage, Told


def stock_application(path: Path) -> Any:
    """Return a stock application on a SQLite file."""
    from eventsourcing.application import Application

    stock()
    return Application(
        env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)}
    )


def as_json(value: Any) -> Any:
    """Return a value of an event as stock eventsourcing can store it."""
    if isinstance(value, tuple):
        return [as_json(item) for item in value]
    if isinstance(value, Commit):
        return {"id": value.id, "committed_at": value.committed_at}
    return attrs.asdict(value) if attrs.has(type(value)) else value


def stock_event(stream: str, version: int, event: Any, stamp: datetime) -> Any:
    """Return an event of the log as one of stock eventsourcing: the same fields, empty ones out."""
    made = object.__new__(getattr(stock()[1], type(event).__name__))  # as its mapper makes them
    fields = {a.name: getattr(event, a.name) for a in attrs.fields(type(event))}
    made.__dict__.update(
        originator_id=uuid.uuid5(uuid.NAMESPACE_URL, stream),
        originator_version=version,
        timestamp=stamp,
        **{name: as_json(value) for name, value in fields.items() if value},
    )
    return made


def stock_log(folder: Path, events: int) -> Path:
    """Return a stock application's file with the same history, made once."""
    path = folder / "stock.db"
    if not path.exists():
        application = stock_application(path)
        write_stock(application, events)
        application.close()
    return path


def write_stock(application: Any, events: int) -> None:
    """Write the same history through a stock application's mapper."""
    told = logs.history(events)
    number = 0
    while batch := list(itertools.islice(told, 10_000)):
        stored = []
        for stream, version, event in batch:
            stamp = logs.START + timedelta(days=3650, microseconds=number)
            one = stock_event(stream, version, event, stamp)
            stored.append(application.mapper.to_stored_event(one))
            number += 1
        application.recorder.insert_events(stored)


def decoded_by_stock(application: Any, count: int) -> None:
    """Let stock eventsourcing decode the first events of its log."""
    select = application.recorder.select_notifications
    decode = application.mapper.to_domain_event
    after = 0
    while after < count:
        batch = select(after, min(2_000, count - after), inclusive_of_start=False)
        for notification in batch:
            decode(notification)
        after = batch[-1].id


def measure_stock(folder: Path, events: int) -> dict[str, Any]:
    """Replay to figures against stock eventsourcing's decoding alone."""
    sample = min(events, STOCK_SAMPLE)
    path = folder / "ledger.db"
    application = stock_application(stock_log(folder, events))
    decoded_by_stock(application, sample)  # what is read is in memory from here on
    decoding, replay = in_turn(
        lambda: decoded_by_stock(application, sample),
        lambda: figures(path),
        runs=runs_for(events),
    )
    application.close()
    whole = decoding * events / sample
    beside: dict[str, Any] = {
        "microseconds per event, stock decoding": round(decoding / sample * 1e6, 2),
        "microseconds per event, replay to figures": round(replay / events * 1e6, 2),
    }
    if sample < events:
        beside["baseline scaled from a sample of"] = sample
    return {
        "ratio": whole / replay,
        "seconds": replay,
        "baseline_seconds": whole,
        "beside": beside,
    }


# --- recording ------------------------------------------------------------------------------------


def measure_recording(folder: Path, events: int) -> dict[str, Any]:
    """One durable step, against a bare insert and against stock eventsourcing."""
    for name in ("recorded.db", "bare.db"):
        shutil.copyfile(folder / "ledger.db", folder / name)
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None, timeout=60)
    connection.execute("PRAGMA journal_mode=WAL")  # eventsourcing sets this and nothing else
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    shutil.copyfile(stock_log(folder, events), folder / "stock_recorded.db")
    application = stock_application(folder / "stock_recorded.db")
    # What is stepped on was just recorded, by the same objects, here and there.
    aggregates = [stock_outage(application) for _ in range(STEPS)]
    at = datetime.now(UTC)
    commits: list[float] = []

    def inserted(id_: str) -> None:
        told = UpdatePosted(at=at, by="ana", audience=Audience.INTERNAL, text=TEXT)
        name, state = encode(told, recorded_at=at, record=uuid.uuid4().hex)
        begin = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT INTO stored_events VALUES (?, ?, ?, ?)", (f"incident:{id_}", 6, name, state)
        )
        ending = time.perf_counter()
        connection.execute("COMMIT")
        end = time.perf_counter()
        inserts.append(end - begin)
        commits.append(end - ending)

    def by_stock(id_: uuid.UUID) -> None:
        begin = time.perf_counter()
        outage = application.repository.get(id_)
        outage.post_update(at=at, by="ana", audience="internal", text=TEXT)
        application.save(outage)
        stocks.append(time.perf_counter() - begin)

    def recorded(ledger: Ledger, id_: str) -> None:
        begin = time.perf_counter()
        ledger.record(id_, incident.post_update, by="ana", at=at, text=TEXT)
        records.append(time.perf_counter() - begin)

    inserts: list[float] = []
    stocks: list[float] = []
    records: list[float] = []
    with Ledger(folder / "recorded.db") as ledger:
        outages = [outage(ledger, f"NEW-{number}") for number in range(STEPS)]
        # The same rows, so that no write-ahead log is newer than another: while one still grows,
        # each commit takes longer.
        for row in (row for id_ in outages for row in ledger.rows_of(f"incident:{id_}")):
            connection.execute("INSERT INTO stored_events VALUES (?, ?, ?, ?)", row[1:])
        at = datetime.now(UTC)
        for ours, theirs in zip(outages, aggregates, strict=True):
            inserted(ours)
            recorded(ledger, ours)
            by_stock(theirs)
    connection.close()
    application.close()
    # The first few open files and make decoders; a median is not moved by a slow disk's moments.
    insert, record, stocked, commit = (
        bare.median(each[len(each) // 10 :]) for each in (inserts, records, stocks, commits)
    )
    told = {
        "milliseconds, the COMMIT of the bare insert alone": round(commit * 1e3, 3),
        "steps": STEPS,
        "PRAGMA synchronous": {2: "FULL", 1: "NORMAL"}.get(synchronous, str(synchronous)),
    }
    return {
        "record_vs_insert": {
            "ratio": record / insert,
            "seconds": record,
            "baseline_seconds": insert,
            "beside": {**told, "recorded events per second": round(1 / record)},
        },
        "record_vs_stock": {
            "ratio": stocked / record,
            "seconds": record,
            "baseline_seconds": stocked,
            "beside": told,
        },
    }


def outage(ledger: Ledger, id_: str) -> str:
    """Record an incident of five events and return its id."""
    at = datetime.now(UTC)
    told: dict[str, Any] = {"by": "ana", "at": at}
    ledger.record(id_, incident.detect, title="Errors above 5 %", services=("service-1",), **told)
    ledger.record(id_, incident.acknowledge, **told)
    ledger.record(id_, incident.triage, severity=Severity.P2, **told)
    ledger.record(id_, incident.post_update, audience=Audience.INTERNAL, text=TEXT, **told)
    ledger.record(id_, incident.resolve, **told)
    return id_


def stock_outage(application: Any) -> uuid.UUID:
    """Save a stock aggregate of five events and return its id."""
    at = datetime.now(UTC)
    outage = stock()[0](at=at, by="monitor", title="Errors above 5 %", services=["service-1"])
    outage.acknowledge(at=at, by="ana")
    outage.triage(at=at, by="ana", severity="p2")
    outage.post_update(at=at, by="ana", audience="internal", text=TEXT)
    outage.resolve(at=at, by="ana")
    application.save(outage)
    found: uuid.UUID = outage.id
    return found


# --- import ---------------------------------------------------------------------------------------


def imported(number: int) -> Iterator[History]:
    """Yield one change and one incident as another tool would tell them."""
    at = logs.START + timedelta(minutes=7 * number)
    service = (f"service-{number % 50}",)
    commit = Commit(id=f"{number:040x}", committed_at=at - timedelta(hours=number % 99))
    told = {"by": "tool", "imported": True}
    source = Source(name="tool", id=str(number), recorded_at=at + timedelta(days=1))
    begun, done = at + timedelta(minutes=5), at + timedelta(minutes=12)
    change_events = (
        ChangePlanned(
            at=at,
            type=ChangeType.NORMAL,
            kind=Kind.DEPLOYMENT,
            services=service,
            title="Another version",
            **told,
        ),
        ChangeStarted(at=begun, **told),
        CommitsRecorded(at=begun, commits=(commit,), **told),
        ChangeCompleted(at=done, **told),
    )
    found = at + timedelta(minutes=20)
    incident_events = (
        IncidentDetected(at=found, services=service, title="Errors above 5 %", **told),
        IncidentAcknowledged(at=found + timedelta(minutes=2), **told),
        IncidentTriaged(at=found + timedelta(minutes=4), severity=Severity.P2, **told),
        IncidentResolved(at=found + timedelta(minutes=30 + number % 99), **told),
    )
    for stream, given in (
        (f"change:tool/CHG-{number}", change_events),
        (f"incident:tool/INC-{number}", incident_events),
    ):
        yield History(stream=stream, events=tuple((event, source) for event in given))


def measure_import(folder: Path, events: int) -> dict[str, Any]:
    """Bulk import through the domain against executemany of the rows it makes."""
    count = min(events, IMPORTED)
    histories = [one for number in range(max(1, count // 8)) for one in imported(number)]
    fresh = (folder / f"imported-{number}.db" for number in itertools.count())
    with Ledger(next(fresh)) as ledger:
        ledger.bring_in(histories)
        rows = [row[1:] for row in ledger.rows()][1:]
    path = folder / "imported-0.db"
    with sqlite3.connect(path) as connection:
        (table,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'stored_events'"
        ).fetchone()
    connection.close()

    def brought_in() -> float:
        with Ledger(next(fresh)) as ledger:
            return timed(lambda: ledger.bring_in(histories), time.perf_counter)

    def inserted() -> float:
        connection = sqlite3.connect(next(fresh), isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(table)

        def all_of_them() -> None:
            for begin in range(0, len(rows), IMPORT_BATCH):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    "INSERT INTO stored_events VALUES (?, ?, ?, ?)",
                    rows[begin : begin + IMPORT_BATCH],
                )
                connection.execute("COMMIT")

        seconds = timed(all_of_them, time.perf_counter)
        connection.close()
        return seconds

    pairs = [(inserted(), brought_in()) for _ in range(3)]
    insert, brought = (min(each) for each in zip(*pairs, strict=True))
    return {
        "ratio": brought / insert,
        "seconds": brought,
        "baseline_seconds": insert,
        "beside": {
            "events": len(rows),
            "rows a transaction": IMPORT_BATCH,
            "imported events per second": round(len(rows) / brought),
            "bytes a row in the file": round(path.stat().st_size / len(rows)),
        },
    }


# --- facts that are kept --------------------------------------------------------------------------


def kept_facts(path: Path, ledger: LedgerReader) -> Any:
    """Return facts kept in a file beside the ledger."""
    from imcm.readmodel.views import views

    return views(ledger, path)


def are_kept() -> bool:
    """Say whether this version can keep facts at all."""
    return importlib.util.find_spec("imcm.readmodel.facts") is not None


def measure_follow(folder: Path, events: int) -> dict[str, Any]:
    """Facts brought up to date against facts from the whole log."""
    path = folder / "followed.db"
    shutil.copyfile(folder / "ledger.db", path)
    news: list[StoredEvent] = pickle.loads((folder / "news").read_bytes())
    replays: list[float] = []
    catching_up: list[float] = []
    with LedgerReader(path) as ledger, kept_facts(folder / "followed.facts", ledger) as kept:
        first = timed(kept.facts, time.perf_counter)
        for batch in batched(news, NEW):
            with Ledger(path) as writer:
                writer._writes.insert(batch)
            catching_up.append(timed(kept.facts, time.perf_counter))
            if len(replays) < runs_for(events):
                replays.append(timed(lambda: held(ledger), time.perf_counter))
        assert kept.facts() == held(ledger)
    return {
        "ratio": min(catching_up) / min(replays),
        "seconds": min(catching_up),
        "baseline_seconds": min(replays),
        "beside": {
            "seconds, slowest of them": round(max(catching_up), 4),
            "seconds, first time, when there are none yet": round(first, 2),
            "bytes of kept facts": (folder / "followed.facts").stat().st_size,
        },
    }


def measure_views(folder: Path, events: int) -> dict[str, Any]:
    """Views made for the first time against facts from the whole log."""
    path, builds, replays = folder / "ledger.db", [], []
    for number in range(runs_for(events)):
        kept = folder / f"built-{number}.views"
        with LedgerReader(path) as ledger:
            replays.append(timed(lambda: held(ledger), time.perf_counter))
            with kept_facts(kept, ledger) as views:
                builds.append(timed(views.catch_up, time.perf_counter))
    return {
        "ratio": min(builds) / min(replays),
        "seconds": min(builds),
        "baseline_seconds": min(replays),
        "beside": {
            "bytes of the views": (folder / "built-0.views").stat().st_size,
            "bytes of the ledger": path.stat().st_size,
        },
    }


def measure_boards(folder: Path, events: int) -> dict[str, Any]:
    """Boards of a running process, against going through the views of a whole replay."""
    from imcm.projections.boards.assembly import views_of

    runs = runs_for(events)
    with (
        LedgerReader(folder / "ledger.db") as ledger,
        kept_facts(folder / "boards.views", ledger) as views,
    ):
        views.catch_up()
        boards: dict[str, Callable[[], Any]] = {
            "open incidents": lambda: views.incidents(limit=50),
            "overdue actions": lambda: views.actions(status="overdue", limit=50),
            "waiting for one person": lambda: views.approvals(by="ana", limit=50),
            "found by a word": lambda: views.search("checkout", limit=50),
            "live": views.live,
        }
        seconds = {
            name: min(timed(ask, time.perf_counter) for _ in range(5 * runs))
            for name, ask in boards.items()
        }
        begin = time.perf_counter()
        replayed = sum(getattr(view, "is_open", False) for view in views_of(ledger.replay()))
        baseline = time.perf_counter() - begin
        assert replayed == views.incidents().total
    slowest = max(list(seconds)[:3], key=seconds.__getitem__)
    return {
        "ratio": seconds[slowest] / baseline,
        "seconds": seconds[slowest],
        "baseline_seconds": baseline,
        "beside": {name: round(took, 5) for name, took in seconds.items()},
    }


def measure_known_before(folder: Path, events: int) -> dict[str, Any]:
    """A board of what was known earlier against a bare fetch of the log."""
    path = folder / "ledger.db"
    with (
        LedgerReader(path) as ledger,
        kept_facts(folder / "before.views", ledger) as views,
    ):
        views.catch_up()
        at = int(views.position * 0.95)
        fetches, asks = [], []
        for number in range(runs_for(events)):
            fetches.append(timed(lambda: fetched(path), time.perf_counter))
            # Another position each time: what was prepared for one is not asked again.
            before = at - number
            asks.append(timed(lambda at=before: views.incidents(known_at=at), time.perf_counter))
        open_then = views.incidents(known_at=at).total
    return {
        "ratio": min(asks) / min(fetches),
        "seconds": min(asks),
        "baseline_seconds": min(fetches),
        "beside": {"incidents open then": open_then},
    }


def measure_keep(folder: Path, events: int) -> dict[str, Any]:
    """Keep the facts of the log, for `cold_open`."""
    with (
        LedgerReader(folder / "ledger.db") as ledger,
        kept_facts(folder / "ledger.facts", ledger) as kept,
    ):
        kept.facts()
    return {}


def measure_cold_kept(folder: Path, events: int) -> dict[str, Any]:
    """Return the wall seconds of the first report of this process, from kept facts."""
    importlib.import_module(
        "imcm.readmodel.facts"
    )  # imports belong to the start, as those above do
    begin = time.perf_counter()
    with (
        LedgerReader(folder / "ledger.db") as ledger,
        kept_facts(folder / "ledger.facts", ledger) as kept,
    ):
        dora_report(kept.facts())
        return {"seconds": time.perf_counter() - begin}


def measure_cold_replay(folder: Path, events: int) -> dict[str, Any]:
    """Return the wall seconds of the first report of this process, from the whole log."""
    begin = time.perf_counter()
    with LedgerReader(folder / "ledger.db") as ledger:
        dora_report(held(ledger))
        return {"seconds": time.perf_counter() - begin}


def measure_cold(folder: Path, events: int) -> dict[str, Any]:
    """Return the first report of new processes, in turn."""
    asked(folder, events, "keep")
    seconds: dict[str, list[float]] = {"cold_replay": [], "cold_kept": []}
    starts: list[float] = []
    for _ in range(runs_for(events)):
        for name, found in seconds.items():
            begin = time.perf_counter()
            inside = asked(folder, events, name)["seconds"]
            starts.append(time.perf_counter() - begin - inside)
            found.append(inside)
    replay, kept = min(seconds["cold_replay"]), min(seconds["cold_kept"])
    return {
        "ratio": kept / replay,
        "seconds": kept,
        "baseline_seconds": replay,
        "beside": {
            "seconds, start of a process with its imports, in neither": round(min(starts), 3)
        },
    }


# --- figures --------------------------------------------------------------------------------------

FIVE: dict[str, Callable[[Facts], Any]] = {
    "deployment frequency": deployment_frequency,
    "lead time": lead_time,
    "change failure rate": change_failure_rate,
    "recovery": failed_deployment_recovery_time,
    "rework rate": rework_rate,
}


def five(known: Facts) -> list[float | None]:
    """Return the values of the five DORA figures."""
    return [figure(known).value for figure in FIVE.values()]


def filled_columns(*rows: Any) -> object:
    """Fill the columns that figures are made of, as is done when facts are made."""
    incidents, changes = rows
    known = Facts(incidents=incidents, changes=changes, as_of=datetime.now(UTC))
    return known.incidents.columns, known.changes.columns


def columns(known: Facts) -> dict[str, list[Any]]:
    """Return the same rows as bare columns."""
    return {
        "begun": [row.planned_at for row in known.changes],
        "lead": [
            (row.deployed_at - row.commits[0].committed_at).total_seconds() for row in known.changes
        ],
        "failed": [bool(row.rolled_back_at) for row in known.changes],
        "found": [row.detected_at for row in known.incidents],
        "restore": [(row.resolved_at - row.detected_at).total_seconds() for row in known.incidents],
    }


def bare_numbers(rows: dict[str, list[Any]]) -> object:
    """Return the numbers alone: no population, no interval, nothing left out or explained."""
    days = Counter(moment.date() for moment in rows["begun"])
    share = sum(rows["failed"]) / len(rows["failed"])
    return (
        bare.median(rows["lead"]),
        bare.median(rows["restore"]),
        share,
        bare.median(days.values()),
    )


def measure_metrics(folder: Path, events: int) -> dict[str, Any]:
    """All five DORA figures from facts already held."""
    known = metrics.held(max(100, events // 10))
    rows = columns(known)
    numbers: list[float] = []
    whole: list[float] = []
    for _ in range(5):
        numbers.append(timed(lambda: bare_numbers(rows), time.process_time))
        whole.append(metrics.fastest(five, known, times=1))
    beside: dict[str, Any] = {"incidents and as many changes": len(known.incidents)}
    rows_of = known.incidents[:], known.changes[:]
    filled = timed(lambda: filled_columns(*rows_of), time.process_time)
    beside["seconds, filling columns, part of making facts"] = round(filled, 4)
    for name, figure in {**FIVE, "dora_report": dora_report}.items():
        beside[f"seconds, {name} alone"] = round(metrics.fastest(figure, known), 4)
    if importlib.util.find_spec("pandas"):
        beside["seconds, pandas' bare numbers"] = round(by_pandas(rows), 4)
    if all(map(importlib.util.find_spec, ("imcm.frames", "narwhals", "pandas"))):
        beside["frames path, times pandas' bare numbers"] = round(by_frames(known), 2)
    return {
        "ratio": min(whole) / min(numbers),
        "measured": min(whole),
        "seconds": min(whole),
        "baseline_seconds": min(numbers),
        "beside": beside,
    }


def by_pandas(rows: dict[str, list[Any]]) -> float:
    """Return the CPU seconds that pandas takes for the bare numbers of the same rows."""
    import pandas as pd

    changes = pd.DataFrame({name: rows[name] for name in ("begun", "lead", "failed")})
    incidents = pd.DataFrame({name: rows[name] for name in ("found", "restore")})

    def numbers() -> object:
        days = changes["begun"].dt.floor("D").value_counts()
        lead, restore = changes["lead"].median(), incidents["restore"].median()
        return lead, restore, changes["failed"].mean(), days.median()

    return in_turn(numbers, runs=5)[0]


def by_frames(known: Facts) -> float:
    """
    Return the CPU time of the frames path as a ratio to pandas' own for the same six numbers.

    Both begin with the same frames, already there; each is the fastest of several runs in turn.
    """
    from imcm import frames

    changes = frames.deployments(known).to_frame("pandas")
    commits = frames.lead_times(known).to_frame("pandas")
    incidents = frames.incidents(known).to_frame("pandas")

    def numbers() -> object:
        days = changes["day_number"].max() - changes["day_number"].min() + 1
        return (
            len(changes) / days,
            changes["failed"].mean(),
            changes["rework"].mean(),
            changes["recovery_seconds"].median(),
            commits["lead_time_seconds"].median(),
            incidents["restore_seconds"].median(),
        )

    own, ours = in_turn(numbers, lambda: frames.figures(changes, commits, incidents), runs=15)
    return ours / own


def measure_by_month(folder: Path, events: int) -> dict[str, Any]:
    """A DORA report by service and by month, against the whole one of the same facts."""
    rows = max(100, events // 10)
    every = timedelta(days=365.25 / 12 * MONTHS) / rows
    known = metrics.held(rows, services=SERVICES, every=every)
    by_month = functools.partial(dora_report, group_by="service", bucket_by="month")
    pairs = [
        (
            metrics.fastest(dora_report, known, times=1),
            metrics.fastest(by_month, known, times=1),
        )
        for _ in range(5)
    ]
    whole, parts = (min(each) for each in zip(*pairs, strict=True))
    lines = by_month(known).rows()
    return {
        "ratio": parts / whole,
        "measured": parts,
        "seconds": parts,
        "baseline_seconds": whole,
        "beside": {"incidents and as many changes": rows, "figures in the report": len(lines)},
    }


def measure_attribution(folder: Path, events: int) -> dict[str, Any]:
    """What it costs to infer causes, and how that grows."""
    rows = max(100, events // 10)
    with_, without = inference(rows)
    twice_with, twice_without = inference(2 * rows)
    return {
        "ratio": with_ / without,
        "measured": with_ - without,
        "seconds": with_,
        "baseline_seconds": without,
        "beside": {
            "incidents and as many changes": rows,
            f"seconds, inference at {2 * rows:,}": round(twice_with - twice_without, 4),
        },
    }


def inference(rows: int) -> tuple[float, float]:
    """Return the CPU seconds of the change failure rate with causes inferred, and without."""
    known = metrics.held(rows)
    inferred = functools.partial(change_failure_rate, attribution="latest_before")
    pairs = [
        (
            metrics.fastest(change_failure_rate, known, times=1),
            metrics.fastest(inferred, known, times=1),
        )
        for _ in range(7)
    ]
    without, with_ = (min(each) for each in zip(*pairs, strict=True))
    return with_, without


# --- conflicts ------------------------------------------------------------------------------------

CHANGES_OF_A_SERVICE = 200
CALENDAR_DAYS = 730


def measure_conflicts(folder: Path, events: int) -> dict[str, Any]:
    """Conflicts of two years of scheduled changes, against sorting both ends of their windows."""
    rows = max(100, events // 10)
    chance = random.Random(7)
    names = [f"service-{n}" for n in range(max(4, rows // CHANGES_OF_A_SERVICE))]
    # Each depends on the database, and on the one that branches into it and two others.
    depends_on = {names[n]: [names[0], names[(n - 1) // 3]] for n in range(1, len(names))}
    dependencies = Dependencies(depends_on=depends_on)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    planned: list[Planned] = []
    for n in range(rows):
        start = begin + timedelta(minutes=15) * chance.randrange(CALENDAR_DAYS * 96)
        window = Window(start=start, end=start + timedelta(hours=chance.choice((1, 4))))
        touched = chance.sample(names, chance.choice((1, 1, 2)))
        planned.append(Planned(id=f"CHG-{n}", window=window, services=tuple(touched)))
    windows = [each.window for each in planned]

    def both_ends() -> object:
        return sorted(each.start for each in windows), sorted(each.end for each in windows)

    content = Content(services=(names[0],))
    free = functools.partial(
        next_free, timedelta(days=1), content=content, after=begin, until=windows[0].end
    )
    sorting, ours, alone, slot = in_turn(
        both_ends,
        lambda: conflicts(planned, dependencies),
        lambda: conflicts(planned),
        lambda: free(planned=planned, dependencies=dependencies),
        runs=5,
    )
    return {
        "ratio": ours / sorting,
        "seconds": ours,
        "baseline_seconds": sorting,
        "beside": {
            "scheduled changes": rows,
            "services": len(names),
            "conflicts": len(conflicts(planned, dependencies)),
            "conflicts without dependencies": len(conflicts(planned)),
            "seconds, without dependencies": round(alone, 4),
            "seconds, the next free day of the database": round(slot, 4),
        },
    }


# --- another policy, and calendars ----------------------------------------------------------------


def measure_what_if(folder: Path, events: int) -> dict[str, Any]:
    """What another policy would have said of a log, against facts of the same events."""
    rows = max(100, events // 10)
    log = control.recorded(rows)
    replay, ours = in_turn(lambda: facts(log), lambda: what_if(log, control.STRICTER))
    known = facts(log)
    times_alone = in_turn(lambda: what_if(known, control.STRICTER))[0]
    found = what_if(log, control.STRICTER)
    return {
        "ratio": ours / replay,
        "measured": ours,
        "seconds": ours,
        "baseline_seconds": replay,
        "beside": {
            "changes": rows,
            "events": len(log),
            "stopped or delayed": len(found.stopped),
            **{f"of them by {guard}": share.of for guard, share in found.by_guard.items()},
            "seconds, of facts already held: times alone": round(times_alone, 4),
        },
    }


def measure_calendars(folder: Path, events: int) -> dict[str, Any]:
    """Freezes asked of the windows of changes, against zoneinfo's conversion of their ends."""
    rows = max(100, events // 10)
    home = zoneinfo.ZoneInfo(control.LONDON)
    begin = time.process_time()
    freezes = control.freezes()
    reading = time.process_time() - begin
    windows = control.windows(rows)
    until = control.END + timedelta(days=30)
    content = Content(services=("service-1",))

    def converted() -> object:
        return [(each.start.astimezone(home), each.end.astimezone(home)) for each in windows]

    def looked_for() -> None:
        for each in windows:
            next_free(
                each.end - each.start,
                content=content,
                after=each.start,
                until=until,
                freezes=freezes.values(),
            )

    conversion, asking, looking, *alone = in_turn(
        converted,
        lambda: control.frozen(windows, freezes.values()),
        looked_for,
        *(functools.partial(control.frozen, windows, [each]) for each in freezes.values()),
    )
    beside: dict[str, Any] = {"changes": rows}
    for (name, freeze), seconds in zip(freezes.items(), alone, strict=True):
        stretches = len(freeze.windows(control.BEGIN, control.END))
        beside[f"seconds, {name} alone, {stretches:,} stretches"] = round(seconds, 4)
    if len(freezes) < 4:
        beside["holidays and the iCalendar file"] = "left out: the extra calendars is not installed"
    asked_of = {
        "frozen": control.frozen(windows, freezes.values()),
        "seconds, reading holidays and the iCalendar file once, in neither": round(reading, 4),
    }
    return {
        "frozen_100k": {
            "ratio": asking / conversion,
            "measured": asking,
            "seconds": asking,
            "baseline_seconds": conversion,
            "beside": beside | asked_of,
        },
        "next_free_100k": {
            "ratio": looking / conversion,
            "measured": looking,
            "seconds": looking,
            "baseline_seconds": conversion,
            "beside": {"changes": rows, "milliseconds, each": round(1_000 * looking / rows, 4)},
        },
    }


# --- risk -----------------------------------------------------------------------------------------


def measure_risk(folder: Path, events: int) -> dict[str, Any]:
    """What it costs to train a failure model, and what each question costs afterwards."""
    known = metrics.held(max(100, events // 10))
    rows = list(known.changes[-100:])
    trained, rate = (
        metrics.fastest(what, known, times=3) for what in (failure_model, change_failure_rate)
    )
    model = failure_model(known)

    def rates() -> None:
        for row in rows:
            model.rate_of(row)

    def risks() -> None:
        for row in rows:
            risk_of(known, row, model=model)

    asked, judged = in_turn(rates, risks)
    return {
        "ratio": trained / rate,
        "measured": trained,
        "seconds": trained,
        "baseline_seconds": rate,
        "beside": {
            "changes": len(known.changes),
            "milliseconds, the rate of a change": round(1_000 * asked / len(rows), 4),
            "milliseconds, its rate and its flags": round(1_000 * judged / len(rows), 4),
        },
    }


# --- memory and imports ---------------------------------------------------------------------------


def most_held() -> int:
    """Return the most bytes this process has held so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: there a child begins with what its parent held.
        told = status.read_text(encoding="ascii").partition("VmHWM:")[2]
        return int(told.split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure_peak(folder: Path, events: int) -> dict[str, Any]:
    """Return the most bytes this process held before and after a replay to figures."""
    path = folder / "ledger.db"
    before = most_held()
    seconds = timed(lambda: figures(path), time.process_time)
    peak = most_held()
    count = "SELECT COUNT(*), COUNT(DISTINCT originator_id) FROM stored_events"
    connection = sqlite3.connect(path)
    rows, streams = connection.execute(count).fetchone()
    connection.close()
    # The first row says only which ledger it is.
    return {
        "before": before,
        "bytes": peak,
        "seconds": seconds,
        "events": rows - 1,
        "streams": streams - 1,
    }


def measure_memory(folder: Path, events: int) -> dict[str, Any]:
    """The most a replay holds, and the same with fewer and with more events for the same rows."""
    found = {"whole": asked(folder, events, "peak")}
    for name, more in (("fewer", False), ("more", True)):
        place = folder / name
        place.mkdir()
        write(place / "ledger.db", same_rows(events, more=more))
        found[name] = asked(place, events, "peak")
        shutil.rmtree(place)
    whole, fewer, more_ = found["whole"], found["fewer"], found["more"]
    assert whole["streams"] == fewer["streams"] == more_["streams"]
    return {
        "ratio": whole["bytes"] / fewer["bytes"],
        "measured": whole["bytes"] / 1e6,
        "seconds": whole["seconds"],
        "baseline_seconds": fewer["seconds"],
        "beside": {
            "incidents and changes": whole["streams"],
            "MB before the replay": round(whole["before"] / 1e6),
            "events": whole["events"],
            "fewer events": fewer["events"],
            "MB with fewer": round(fewer["bytes"] / 1e6),
            f"events, with {MORE} updates more for each incident": more_["events"],
            "MB with more": round(more_["bytes"] / 1e6),
        },
    }


IMPORTS = {
    "bare": "pass",
    "eventsourcing": "import eventsourcing.application",
    "imcm": "from imcm import Ledger, incident, change; Ledger, incident.detect, change.plan",
}
PURE = (
    "import sys, imcm.domain.incident, imcm.projections.facts.fold; "
    "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'eventsourcing','msgspec'}))"
)


def measure_imports(folder: Path, events: int) -> dict[str, Any]:
    """Wall time of importing in new processes, over that of a bare interpreter."""
    # Compiled files of its own, so that neither side compiles and the tree stays as it is.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")

    def wall(code: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, env=environment)
        return time.perf_counter() - begin

    for code in IMPORTS.values():
        wall(code)  # the compiled files are there from here on
    rounds = [{name: wall(code) for name, code in IMPORTS.items()} for _ in range(15)]
    start, theirs, ours = (bare.median(each[name] for each in rounds) for name in IMPORTS)
    loads = subprocess.run(
        [sys.executable, "-c", PURE], check=True, capture_output=True, text=True, cwd=folder
    ).stdout.split()
    assert not loads, f"the pure rooms load {loads}"
    return {
        "ratio": (ours - start) / (theirs - start),
        "seconds": ours - start,
        "baseline_seconds": theirs - start,
        "beside": {
            "seconds, bare interpreter, in neither": round(start, 4),
            "imcm.domain and imcm.projections load eventsourcing or msgspec": "no",
        },
    }


# --- growth ---------------------------------------------------------------------------------------


def measure_growth(folder: Path, events: int) -> dict[str, Any]:
    """Replay and fetch of logs of growing length. *events* is the longest."""
    sizes = [size for size in (events // 100, events // 10, events) if size]
    if events > FULL:
        sizes.insert(0, events // 1000)
    points: list[dict[str, float]] = []
    for size in sizes:
        place = folder / f"growth-{size}"
        if size == events and (folder / "ledger.db").exists() and events <= FULL:
            place = folder
        else:
            place.mkdir()
            write(place / "ledger.db", logs.rows(size))
        found = asked(place, size, "replay")
        points.append(
            {"events": size, "replay": found["seconds"], "fetch": found["baseline_seconds"]}
        )
        say(f"  {size:,} events: replay {found['seconds']:.2f} s")
        if place != folder:
            shutil.rmtree(place)
    first, last = points[max(0, len(points) - 3)], points[-1]
    each, each_at_first = last["replay"] / last["events"], first["replay"] / first["events"]
    return {
        "ratio": each / each_at_first,
        "seconds": each,
        "baseline_seconds": each_at_first,
        "beside": {
            "events, the longer log": last["events"],
            "events, the shorter": first["events"],
        },
        "points": points,
    }


# --- running them ---------------------------------------------------------------------------------

# Each measurement and the keys it answers. The long ones that write most come last.
MEASUREMENTS: dict[str, tuple[str, ...]] = {
    "imports": ("import_time",),
    "replay": ("replay_vs_fetch",),
    "stock": ("replay_vs_stock",),
    "metrics": ("metrics_100k",),
    "by_month": ("report_by_month",),
    "attribution": ("attribution_100k",),
    "conflicts": ("conflicts_100k",),
    "what_if": ("what_if_100k",),
    "calendars": ("frozen_100k", "next_free_100k"),
    "risk": ("risk_100k",),
    "cold": ("cold_open",),
    "follow": ("follow_catch_up",),
    "views": ("first_build",),
    "boards": ("board",),
    "known_before": ("known_before",),
    "recording": ("record_vs_insert", "record_vs_stock"),
    "import": ("import_vs_insert",),
    "tables": ("csv_vs_bring_in", "log_vs_bring_in", "csv_again"),
    "git": ("git_100k",),
    "receiver": ("receiver",),
    "memory": ("memory",),
    "growth": ("growth",),
}

WITHIN: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "attribution": measure_attribution,
    "calendars": measure_calendars,
    "what_if": measure_what_if,
    "risk": measure_risk,
    "compare": whole.measure_compare,
    "conflicts": measure_conflicts,
    "contention": whole.measure_contention,
    "cold_kept": measure_cold_kept,
    "cold_replay": measure_cold_replay,
    "follow": measure_follow,
    "views": measure_views,
    "boards": measure_boards,
    "known_before": measure_known_before,
    "git": git_history.measure_git,
    "receiver": receiving.measure_receiver,
    "import": measure_import,
    "tables": tables.measure_tables,
    "keep": measure_keep,
    "metrics": measure_metrics,
    "by_month": measure_by_month,
    "peak": measure_peak,
    "recording": measure_recording,
    "replay": measure_replay,
    "stock": measure_stock,
}
"""What is run in a process of its own."""

AROUND: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "cold": measure_cold,
    "growth": measure_growth,
    "imports": measure_imports,
    "memory": measure_memory,
}
"""What starts such processes itself."""


def asked(folder: Path, events: int, name: str) -> dict[str, Any]:
    """Return what a measurement found in a process of its own."""
    ran = subprocess.run(
        [sys.executable, __file__, "--measure", name, str(folder), "--events", str(events)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise SystemExit(f"measuring {name} failed")
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def finished(key: str, found: dict[str, Any], events: int) -> dict[str, Any]:
    """Return a result with what it is measured against, and whether it reaches its goal."""
    goal = GOALS[key]
    measured = found.get("measured", found["ratio"])
    met: bool | None = measured >= goal.limit if goal.least else measured <= goal.limit
    if goal.unit in ("s", "MB") and events < FULL:
        met = None  # such a goal is for the full size only
    return {
        "what": goal.what,
        "baseline": goal.baseline,
        "goal": goal.told(),
        "unit": goal.unit,
        "measured": measured,
        "met": met,
        **found,
    }


def verdict(met: bool | None) -> str:
    """Return whether a goal is reached, in words."""
    return {True: "met", False: "not met", None: "not judged at this size"}[met]


def shown(key: str, result: dict[str, Any]) -> str:
    """Return a result as lines to read."""
    measured = amount(result["measured"], result["unit"])
    head = f"{key:18}{measured:>20}   goal: {result['goal']}; {verdict(result['met'])}"
    lines = [
        head,
        f"    {result['seconds']:.4g} s: {result['what']}",
        f"    {result['baseline_seconds']:.4g} s: {result['baseline']}",
    ]
    if result["unit"] in ("s", "MB"):
        lines.insert(1, f"    {amount(result['ratio'], 'times')} the baseline")
    lines += [f"        {name}: {value}" for name, value in result["beside"].items()]
    for point in result.get("points", ()):
        told = f"replay {point['replay']:.3f} s, fetch {point['fetch']:.3f} s"
        lines.append(f"        {point['events']:,} events: {told}")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Return what the seconds were measured on."""
    cpu = platform.processor() or platform.machine()
    told = Path("/proc/cpuinfo")
    if told.exists():
        for line in told.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
    packages = {}
    for name in ("imcm", "eventsourcing", "attrs", "msgspec", "pandas"):
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": packages,
        "date": datetime.now(UTC).date().isoformat(),
    }


def size_of(path: Path) -> dict[str, float]:
    """Return how many bytes an event takes."""
    connection = sqlite3.connect(path)
    rows, stated = connection.execute(
        "SELECT COUNT(*), SUM(LENGTH(state)) FROM stored_events"
    ).fetchone()
    connection.close()
    return {
        "bytes per event in the file": round(path.stat().st_size / rows),
        "bytes per event, its state alone": round(stated / rows),
    }


def speeds(results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return the events per second that the results tell."""
    return {
        name: value
        for result in results.values()
        for name, value in result["beside"].items()
        if name.endswith("events per second")
    }


def run(keys: Sequence[str], events: int, longest: int, place: Path | None) -> dict[str, Any]:
    """Measure everything asked for, and print it as it comes."""
    told: dict[str, Any] = {**machine(), "events": events, "results": {}, "missing": {}}
    if goals := [key for key in keys if key != WHOLE]:
        told |= run_goals(goals, events, longest, place)
    if WHOLE in keys:
        say("measuring whole commands")
        with tempfile.TemporaryDirectory(prefix="imcm-bench-", dir=place) as name:
            told[WHOLE] = whole.measured(Path(name), events, say)
            beside = [asked(Path(name), events, each) for each in ("compare", "contention")]
            told[WHOLE]["beside"] = beside
        print(*whole.shown(told[WHOLE]), sep="\n", flush=True)
    return told


def run_goals(keys: Sequence[str], events: int, longest: int, place: Path | None) -> dict[str, Any]:
    """Measure what has a goal."""
    results: dict[str, dict[str, Any]] = {}
    told: dict[str, Any] = {"missing": {}}
    with tempfile.TemporaryDirectory(prefix="imcm-bench-", dir=place) as name:
        folder = Path(name)
        say(f"writing a log of {events:,} events")
        build(folder, events)
        told["beside"] = size_of(folder / "ledger.db")
        for measurement, answers in MEASUREMENTS.items():
            wanted = [key for key in answers if key in keys]
            if not wanted:
                continue
            if measurement in ("cold", "follow") and not are_kept():
                for key in wanted:
                    told["missing"][key] = "imcm.readmodel.facts is not there"
                    print(f"{key:18}not there: this version keeps no facts\n")
                continue
            say(f"measuring {', '.join(wanted)}")
            size = longest if measurement == "growth" else events
            around = AROUND.get(measurement)
            found = around(folder, size) if around else asked(folder, size, measurement)
            each = found if len(answers) > 1 else {answers[0]: found}
            for key in wanted:
                results[key] = finished(key, each[key], events)
                print(shown(key, results[key]), end="\n\n", flush=True)
    told["results"] = {key: results[key] for key in GOALS if key in results}
    told["beside"] |= speeds(results)
    for what, value in told["beside"].items():
        print(f"{what}: {value:,}")
    return told


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0].strip())
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} events")
    parser.add_argument("--events", type=int, help=f"how many events; {FULL:,} unless told")
    parser.add_argument("--large", action="store_true", help=f"growth up to {LARGE:,} events")
    parser.add_argument("--folder", type=Path, help="where logs are written: the disk measured")
    parser.add_argument("--only", nargs="+", choices=[*GOALS, WHOLE], metavar="KEY")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    told = parser.parse_args()
    events = told.events or (QUICK if told.quick else FULL)
    if told.measure:
        name, folder = told.measure
        print(json.dumps(WITHIN[name](Path(folder), events)))
        return
    longest = LARGE if told.large else events
    results = run(told.only or [*GOALS, WHOLE], events, longest, told.folder)
    if told.json:
        told.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
