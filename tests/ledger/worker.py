"""
What the test processes run: `worker.py <what> <where> ...`. It is a script, not a test.

Where: the path of a ledger, or settings for `Ledger.configured` as JSON.

Each says on its standard output what the ledger has acknowledged, after the call returned.
"""

import itertools
import json
import os
import random
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

from imcm import Ledger, change, incident
from imcm.errors import ConflictError, ImcmError

AT = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)


def say(*words):
    print(*words, flush=True)


def ledger_at(where):
    return Ledger.configured(json.loads(where)) if where.startswith("{") else Ledger(where)


def numbered(where, number):
    """Return the place of one of many ledgers: a file in a folder, or a schema."""
    if not where.startswith("{"):
        return f"{where}/{number}.db"
    settings = json.loads(where)
    return json.dumps({**settings, "POSTGRES_SCHEMA": f"{settings['POSTGRES_SCHEMA']}_{number}"})


def opened(where, rounds):
    """Open one new ledger after the other, each at its moment, and tell their identities."""
    if where.startswith("{"):
        import eventsourcing.postgres  # noqa: F401 (importing it takes longer than a round)
    say("ready")
    begin = float(sys.stdin.readline())
    for number in range(int(rounds)):
        time.sleep(max(0, begin + 0.05 * number - time.time()))
        try:
            with ledger_at(numbered(where, number)) as ledger:
                say(number, ledger.ledger_id)
        except ImcmError as error:
            say(number, type(error).__name__, str(error))


def race(where, name, steps, streams):
    """Record on streams that other processes record on too."""
    chance = random.Random(name)
    with ledger_at(where) as ledger:
        say("ready")
        sys.stdin.readline()
        for number in range(int(steps)):
            id = f"INC-{chance.randrange(int(streams))}"
            try:
                [recorded] = ledger.record(
                    id,
                    incident.assign_role,
                    by=name,
                    at=AT,
                    role="scribe",
                    person=f"{name}/{number}",
                )
            except ConflictError:
                say("conflict", id, 0)
            else:
                say(f"{name}/{number}", recorded.stream, recorded.version)


def append(where, name):
    """Record several events in each call, for ever: the test ends this process by force."""
    with ledger_at(where) as ledger:
        for number in range(1_000_000):
            id = f"{name}-{number}"
            with ledger.transaction() as tx:
                at = AT + timedelta(seconds=number)
                tx.record(id, incident.detect, by=name, at=at, title="x" * 500)
                tx.record(id, incident.triage, by=name, at=at, severity="P1")
                tx.record(id, change.plan, by=name, at=at, title="repair", incident=id)
                tx.record(id, incident.resolve, by=name, at=at)
            say(tx.recorded[0].record, len(tx.recorded))


def appended(where):
    """Fork a process that appends for each name that comes; starting Python takes far longer."""
    import eventsourcing.postgres  # noqa: F401 (imported once for all of them)

    for name in sys.stdin:
        child = os.fork()
        if not child:
            say("process", os.getpid())
            append(where, name.strip())
        os.waitpid(child, 0)
        say("ended")


def steady(where, name, streams):
    """Record one event in each call until told to stop, whatever happens to the store beneath."""
    told = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
    with ledger_at(where) as ledger:
        say("ready")
        for number in itertools.takewhile(lambda _: not told.is_set(), itertools.count()):
            id, person = f"INC-{number % int(streams)}", f"{name}/{number}"
            try:
                [recorded] = ledger.record(
                    id, incident.assign_role, by=name, at=AT, role="scribe", person=person
                )
            except ImcmError as error:
                say("failed", person, type(error).__name__, str(error))
            else:
                say("recorded", person, recorded.stream, recorded.version)


def claim(where, name, keys):
    """Deliver what other processes deliver too, each under its key."""
    with ledger_at(where) as ledger:
        say("ready")
        sys.stdin.readline()
        for number in range(int(keys)):
            [recorded] = ledger.once("pagerduty", f"d-{number}").record(
                "INC-0", incident.assign_role, by="pd", at=AT, role="scribe", person=f"p-{number}"
            )
            say(number, recorded.version)


if __name__ == "__main__":
    what = (opened, race, append, appended, claim, steady)
    {one.__name__: one for one in what}[sys.argv[1]](*sys.argv[2:])
