"""
Logs to measure on: seeded, decided by the real steps, with corrections, links and words.

One change and one incident in ten events: a change is planned, submitted, approved, started with a
commit, and completed; an incident is detected, acknowledged, triaged, updated and resolved. Every
fifth incident names the change that caused it, every twentieth change is rolled back, every
fiftieth incident is reopened, and every hundredth moment is corrected.

`lived` tells the same in the order of time, as a log of a year and more is: streams that are over
for months are touched again, by what is learned late.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from imcm.codec.encoding import encode
from imcm.codec.rows import StoredEvent
from imcm.domain import change, incident
from imcm.domain.vocabulary import Audience, Commit, Risk, Severity, Verdict
from imcm.ledger.recording import Ledger

START = datetime(2024, 1, 1, tzinfo=UTC)

MILLION = 1_000_000

EVERY = timedelta(minutes=7)
"""How long after one change and one incident the next begin."""

SPAN = timedelta(days=480)
"""How long a log lasts that is told in the order of time, whatever its size."""

LATER = (60, 240)
"""After how many days a stream is touched again: from, and before."""

TOUCHED = 0.075
"""The share of streams that are, sooner or later; 5 % have been when the log ends."""

LONG = "INC-LONG"
"""The incident that has about one in two hundred events of the whole log."""

Told = tuple[str, int, Any]


def change_told(number: int, chance: random.Random, *, every: timedelta = EVERY) -> Iterator[Told]:
    """Yield the events of one change."""
    at = START + every * number
    told = change.plan(
        change.INITIAL,
        by=f"dev-{number % 40}",
        at=at,
        title="Another version of the basket",
        services=(f"service-{number % 50}",),
        risk=Risk.LOW,
        rollback_plan="redeploy the version before",
    )
    state = change.INITIAL
    version = 0

    def took(events: Iterable[Any]) -> Iterator[Told]:
        nonlocal state, version
        for event in events:
            state = change.evolve(state, event)
            version += 1
            yield f"change:CHG-{number}", version, event

    yield from took(told)
    yield from took(change.submit(state, by=f"dev-{number % 40}", at=at))
    later = at + timedelta(minutes=chance.randrange(1, 90))
    yield from took(change.approve(state, by="lead-mia", at=later))
    commit = Commit(
        id=f"{number:040x}", committed_at=at - timedelta(minutes=chance.randrange(9000))
    )
    later += timedelta(minutes=1)
    yield from took(change.start(state, by="pipeline", at=later, commits=(commit,)))
    later += timedelta(minutes=chance.randrange(1, 20))
    yield from took(change.complete(state, by="pipeline", at=later))
    if number % 20 == 0:
        later += timedelta(minutes=chance.randrange(5, 60))
        yield from took(change.roll_back(state, by="pipeline", at=later, reached_production=True))


def incident_told(
    number: int, chance: random.Random, *, every: timedelta = EVERY
) -> Iterator[Told]:
    """Yield the events of one incident."""
    at = START + every * number + timedelta(minutes=100)
    state = incident.INITIAL
    version = 0

    def took(events: Iterable[Any]) -> Iterator[Told]:
        nonlocal state, version
        for event in events:
            state = incident.evolve(state, event)
            version += 1
            yield f"incident:INC-{number}", version, event

    found = incident.detect(
        state, by="monitor", at=at, title="Errors above 5 %", services=(f"service-{number % 50}",)
    )
    yield from took(found)
    yield from took(incident.acknowledge(state, by="ana", at=at + timedelta(minutes=2)))
    severity = list(Severity)[number % 4]
    if number % 5:
        yield from took(
            incident.triage(state, by="ana", at=at + timedelta(minutes=4), severity=severity)
        )
        yield from took(
            incident.post_update(
                state,
                by="ana",
                at=at + timedelta(minutes=5),
                audience=Audience.INTERNAL,
                text="We are looking at it; the rate is falling.",
            )
        )
    else:
        yield from took(
            incident.link_change(
                state,
                by="ana",
                at=at + timedelta(minutes=5),
                change=f"CHG-{max(0, number - 3)}",
                verdict=Verdict.CAUSED,
                why="it began with the deployment",
            )
        )
    end = at + timedelta(minutes=6, seconds=int(chance.lognormvariate(7.5, 1.2)))
    yield from took(incident.resolve(state, by="ana", at=end))
    if number % 50 == 0:
        again = end + timedelta(minutes=30)
        yield from took(incident.reopen(state, by="ana", at=again, why="it came back"))
        yield from took(incident.resolve(state, by="ana", at=again + timedelta(minutes=20)))
    if number % 20 == 0:
        yield from took(
            incident.correct(
                state,
                by="ben",
                at=end + timedelta(hours=5),
                version=1,
                field="at",
                was=at,
                now=at - timedelta(minutes=3),
                why="the graphs show it began earlier",
            )
        )


def history(events: int) -> Iterator[Told]:
    """Yield about *events* events, incidents and changes in turn; streams are interleaved."""
    chance = random.Random(7)
    pending: list[Iterator[Told]] = []
    made = number = 0
    while made < events:
        while len(pending) < 40:
            pending += [change_told(number, chance), incident_told(number, chance)]
            number += 1
        place = chance.randrange(len(pending))
        told = next(pending[place], None)
        if told is None:
            pending.pop(place)
            continue
        made += 1
        yield told


def rows(events: int) -> Iterator[StoredEvent]:
    """
    Yield the rows of a log of about *events* events, as they would have been recorded.

    A log of more than a million tells the first million again and again, of others: their ids,
    and those of their commits, begin with the number of the time.
    """
    first = _rows(min(events, MILLION))
    if events <= MILLION:
        yield from first
        return
    kept = list(first)
    yield from kept
    for time in range(2, -(-events // MILLION) + 1):
        mark = b"%d" % time
        for row in kept[: events - (time - 1) * MILLION]:
            state = row.state.replace(b'"id":"0', b'"id":"%b' % mark)
            state = state.replace(b'"CHG-', b'"%bCHG-' % mark)
            kind, _, id_ = row.stream.partition(":")
            yield row._replace(stream=f"{kind}:{time}{id_}", state=state)


def _rows(events: int) -> Iterator[StoredEvent]:
    chance = random.Random(8)
    for number, told in enumerate(history(events)):
        yield _row(chance, *told, START + timedelta(days=3650, microseconds=number))


def _row(
    chance: random.Random, stream: str, version: int, event: Any, stamp: datetime
) -> StoredEvent:
    record = f"{chance.getrandbits(128):032x}"
    salt = f"{chance.getrandbits(128):032x}"
    name, state = encode(event, recorded_at=stamp, record=record, salt=lambda: salt)
    return StoredEvent(0, stream, version, name, state)


def build(path: Path, events: int) -> None:
    """Write a SQLite ledger of about *events* events."""
    with Ledger(path) as ledger:
        given = rows(events)
        while batch := list(islice(given, 10_000)):
            ledger._writes.insert(batch)


# --- in the order of time, with what is learned late ----------------------------------------------


def lived(events: int) -> Iterator[Told]:
    """
    Yield *events* events in the order of their time, over `SPAN`.

    A share of the streams, `TOUCHED`, is touched again months after it was over: moments and
    services are corrected, incidents reopened and resolved again, reviews and actions recorded,
    verdicts given, checks run, changes rolled back, events voided. One incident, `LONG`, is updated
    all the time. What would come after the last event is never told: so it is when a log is read.
    """
    chance = random.Random(9)
    every = SPAN * 11 / events  # a change and an incident have some eleven
    order = itertools.count()
    waiting: list[tuple[datetime, int, Told]] = []

    def put(told: Iterable[Told]) -> None:
        for one in told:
            heapq.heappush(waiting, (one[2].at, next(order), one))

    put(long_told(max(10, events // 200)))
    made = 0
    for number in itertools.count():
        # Nothing of this number or a later one begins before this moment.
        while waiting and waiting[0][0] < START + every * number:
            yield heapq.heappop(waiting)[2]
            made += 1
            if made == events:
                return
        for first, later in ((change_told, change_later), (incident_told, incident_later)):
            told = list(first(number, chance, every=every))
            put(told)
            if chance.random() < TOUCHED:
                put(later(told, chance))


def long_told(updates: int) -> Iterator[Told]:
    """Yield the events of an incident that many people write to, as long as the log lasts."""
    stream = f"incident:{LONG}"
    services = ("service-1",)
    (found,) = incident.detect(
        incident.INITIAL, by="monitor", at=START, title="Slow for some", services=services
    )
    yield stream, 1, found
    state = incident.evolve(incident.INITIAL, found)
    for number in range(updates):
        # What a step decides here depends on the first event alone, so the state stays small.
        (update,) = incident.post_update(
            state,
            by=f"dev-{number % 40}",
            at=START + SPAN * (number + 1) / (updates + 1),
            audience=Audience.INTERNAL,
            text="We are looking at it; some are slow still.",
        )
        yield stream, number + 2, update


def _after(told: list[Told], chance: random.Random) -> datetime:
    last = max(event.at for _, _, event in told)
    return last + timedelta(days=chance.randrange(*LATER), minutes=chance.randrange(1440))


def _of_the_shared_part(first: Any) -> dict[str, Any]:
    """Return what corrects the services of the event that began a stream."""
    return {
        "version": 1,
        "field": "services",
        "was": first.services,
        "now": (*first.services, "service-shared"),
        "why": "it was the shared part, too",
    }


def incident_later(told: list[Told], chance: random.Random) -> Iterator[Told]:
    """Yield what is told of an incident months after *told*."""
    stream, version, _ = told[-1]
    state = incident.fold(event for _, _, event in told)
    at = _after(told, chance)
    hour = timedelta(hours=1)
    found: Any = told[0][2]
    by = "ben"
    match chance.randrange(6):
        case 0:
            steps: list[Any] = [
                lambda state: incident.correct(state, by=by, at=at, **_of_the_shared_part(found))
            ]
        case 1:
            resolved = next(v for _, v, e in told if isinstance(e, incident.IncidentResolved))
            was = told[resolved - 1][2].at
            steps = [
                lambda state: incident.correct(
                    state,
                    by=by,
                    at=at,
                    version=resolved,
                    field="at",
                    was=was,
                    now=was + timedelta(minutes=9),
                    why="the last errors came later",
                )
            ]
        case 2:
            steps = [
                lambda state: incident.reopen(state, by=by, at=at, why="it came back"),
                lambda state: incident.resolve(state, by=by, at=at + hour),
            ]
        case 3:
            steps = [
                lambda state: incident.record_review(
                    state, by=by, at=at, what_happened="A queue was full and nobody saw it."
                ),
                lambda state: incident.add_action(state, by=by, at=at, text="watch the queue"),
                lambda state: incident.complete_action(state, by=by, at=at + hour, number=1),
            ]
        case 4:
            number = int(stream.partition("-")[2])
            steps = [
                lambda state: incident.link_change(
                    state,
                    by=by,
                    at=at,
                    change=f"CHG-{number}",
                    verdict=Verdict.CAUSED,
                    why="found in the review",
                )
            ]
        case _:
            steps = [
                lambda state: incident.void(
                    state, by=by, at=at, version=2, why="that was another incident"
                )
            ]
    for step in steps:
        for event in step(state):
            state = incident.evolve(state, event)
            version += 1
            yield stream, version, event


def change_later(told: list[Told], chance: random.Random) -> Iterator[Told]:
    """Yield what is told of a change months after *told*."""
    stream, version, _ = told[-1]
    state = change.fold(event for _, _, event in told)
    at = _after(told, chance)
    planned: Any = told[0][2]
    by = "ben"
    which = chance.randrange(3)
    if which and state.status is change.ChangeStatus.IMPLEMENTED:
        if which == 1:
            events = change.roll_back(state, by=by, at=at, reached_production=True)
        else:
            events = change.validate(state, by=by, at=at, check="yearly", passed=True)
    else:
        events = change.correct(state, by=by, at=at, **_of_the_shared_part(planned))
    for event in events:
        version += 1
        yield stream, version, event


def lived_rows(events: int) -> Iterator[StoredEvent]:
    """Yield the rows of `lived`, each recorded a moment after its event's time."""
    chance = random.Random(8)
    for number, told in enumerate(lived(events)):
        stamp = told[2].at + timedelta(seconds=1, microseconds=number)
        yield _row(chance, *told, stamp)
