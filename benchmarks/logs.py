"""
Logs to measure on: seeded, decided by the real steps, with corrections, links and words.

One change and one incident in ten events: a change is planned, submitted, approved, started with a
commit, and completed; an incident is detected, acknowledged, triaged, updated and resolved. Every
fifth incident names the change that caused it, every twentieth change is rolled back, every
fiftieth incident is reopened, and every hundredth moment is corrected.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from imcm.codec import Row, encode
from imcm.domain import change, incident
from imcm.domain.vocabulary import Audience, Commit, Risk, Severity, Verdict
from imcm.ledger import Ledger

START = datetime(2024, 1, 1, tzinfo=UTC)

MILLION = 1_000_000

Told = tuple[str, int, Any]


def change_told(number: int, chance: random.Random) -> Iterator[Told]:
    """Yield the events of one change."""
    at = START + timedelta(minutes=7 * number)
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


def incident_told(number: int, chance: random.Random) -> Iterator[Told]:
    """Yield the events of one incident."""
    at = START + timedelta(minutes=7 * number + 100)
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


def rows(events: int) -> Iterator[Row]:
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


def _rows(events: int) -> Iterator[Row]:
    chance = random.Random(8)
    for number, (stream, version, event) in enumerate(history(events)):
        stamp = START + timedelta(days=3650, microseconds=number)
        record = f"{chance.getrandbits(128):032x}"
        salt = f"{chance.getrandbits(128):032x}"
        name, state = encode(event, recorded_at=stamp, record=record, salt=lambda s=salt: s)
        yield Row(0, stream, version, name, state)


def build(path: Path, events: int) -> None:
    """Write a SQLite ledger of about *events* events."""
    with Ledger(path) as ledger:
        given = rows(events)
        while batch := list(islice(given, 10_000)):
            ledger._writes.insert(batch)
