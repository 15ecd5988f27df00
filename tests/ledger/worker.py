"""
What the test processes run: `worker.py <what> <path> ...`. It is a script, not a test.

Each says on its standard output what the ledger has acknowledged, after the call returned.
"""

import random
import sys
import time
from datetime import UTC, datetime, timedelta

from imcm import Ledger, change, incident
from imcm.errors import ConflictError, ImcmError

AT = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)


def say(*words):
    print(*words, flush=True)


def opened(folder, rounds):
    """Open one new ledger after the other, each at its moment, and tell their identities."""
    say("ready")
    begin = float(sys.stdin.readline())
    for number in range(int(rounds)):
        time.sleep(max(0, begin + 0.05 * number - time.time()))
        try:
            with Ledger(f"{folder}/{number}.db") as ledger:
                say(number, ledger.ledger_id)
        except ImcmError as error:
            say(number, type(error).__name__, str(error))


def race(path, name, steps, streams):
    """Record on streams that other processes record on too."""
    chance = random.Random(name)
    with Ledger(path) as ledger:
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


def append(path, name):
    """Record several events in each call, for ever: the test ends this process by force."""
    with Ledger(path) as ledger:
        for number in range(1_000_000):
            id = f"{name}-{number}"
            with ledger.transaction() as tx:
                at = AT + timedelta(seconds=number)
                tx.record(id, incident.detect, by=name, at=at, title="x" * 500)
                tx.record(id, incident.triage, by=name, at=at, severity="P1")
                tx.record(id, change.plan, by=name, at=at, title="repair", incident=id)
                tx.record(id, incident.resolve, by=name, at=at)
            say(tx.recorded[0].record, len(tx.recorded))


def claim(path, name, keys):
    """Deliver what other processes deliver too, each under its key."""
    with Ledger(path) as ledger:
        say("ready")
        sys.stdin.readline()
        for number in range(int(keys)):
            [recorded] = ledger.once("pagerduty", f"d-{number}").record(
                "INC-0", incident.assign_role, by="pd", at=AT, role="scribe", person=f"p-{number}"
            )
            say(number, recorded.version)


if __name__ == "__main__":
    {"opened": opened, "race": race, "append": append, "claim": claim}[sys.argv[1]](*sys.argv[2:])
