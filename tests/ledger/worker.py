"""
What the test processes run: `worker.py <what> <where> ...`. It is a script, not a test.

Where: the path of a ledger, or settings for `Ledger.configured` as JSON.

Each says on its standard output what the ledger has acknowledged, after the call returned.
"""

import itertools
import json
import os
import pwd
import random
import resource
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

from imcm import Ledger, LedgerReader, change, incident
from imcm.errors import ConflictError, ImcmError

AT = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)


def say(*words):
    # In one piece: who is killed must not leave half a line in front of another's.
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


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


def race(where, name, steps, streams, turn=0):
    """
    Record on streams that other processes record on too.

    After each *turn* steps, if it is given, all go on to the next streams: a step reads its whole
    stream, so that streams of thousands of events would measure reading.
    """
    chance = random.Random(name)
    with ledger_at(where) as ledger:
        say("ready")
        sys.stdin.readline()
        for number in range(int(steps)):
            first = number // int(turn) * int(streams) if turn else 0
            id = f"INC-{first + chance.randrange(int(streams))}"
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


def crowd(where, name, threads, steps):
    """Record on one stream from several threads at once, as others do in other processes."""
    with ledger_at(where) as ledger:
        say("ready")
        sys.stdin.readline()

        def many(thread):
            for number in range(int(steps)):
                person = f"{name}/{thread}/{number}"
                [recorded] = ledger.record(
                    "INC-0", incident.assign_role, by=name, at=AT, role="scribe", person=person
                )
                say(person, recorded.version)

        running = [threading.Thread(target=many, args=(n,)) for n in range(int(threads))]
        for one in running:
            one.start()
        for one in running:
            one.join()


def append(where, name, begun=""):
    """
    Record several events in each call, for ever: the test ends this process by force.

    With *begun* it says so before each call, so that who was killed in a call is known.
    """
    with ledger_at(where) as ledger:
        for number in range(1_000_000):
            id = f"{name}-{number}"
            if begun:
                say(begun, id)
            with ledger.transaction() as tx:
                at = AT + timedelta(seconds=number)
                tx.record(id, incident.detect, by=name, at=at, title="x" * 500)
                tx.record(id, incident.triage, by=name, at=at, severity="P1")
                tx.record(id, change.plan, by=name, at=at, title="repair", incident=id)
                tx.record(id, incident.resolve, by=name, at=at)
            say(tx.recorded[0].record, len(tx.recorded))


def imported(where):
    """Import what a ledger there needs, before there is one: a fork must not inherit a ledger."""
    import_module("eventsourcing.postgres" if where.startswith("{") else "eventsourcing.sqlite")


def appended(where, begun=""):
    """Fork a process that appends for each name that comes; starting Python takes far longer."""
    imported(where)
    for name in sys.stdin:
        child = os.fork()
        if not child:
            say("process", os.getpid())
            append(where, name.strip(), begun)
        os.waitpid(child, 0)
        say("ended")


def made(where):
    """Fork a process that makes a new ledger for each number that comes, and then does nothing."""
    imported(where)
    for number in sys.stdin:
        child = os.fork()
        if not child:
            say("process", os.getpid())
            with ledger_at(numbered(where, number.strip())):
                time.sleep(600)
        os.waitpid(child, 0)
        say("ended")


def patient(where):
    """Record once, however long others hold the ledger; tell how many seconds it took."""
    with ledger_at(where) as ledger:
        say("ready")
        sys.stdin.readline()
        before = time.monotonic()
        [recorded] = ledger.record("INC-1", incident.detect, by="ana", at=AT, title="down")
        say(recorded.version, time.monotonic() - before)


def crowded(where, ballast, backup):
    """
    Record until there is no room, go on reading, make room, and record again; then back it up.

    Args:
        ballast: A file to be deleted when there shall be room; "limit" for a limit to the size
            that files of this process may have.
    """
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ledger_at(where) as ledger:
        if ballast == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, most))
        for number in range(10_000):
            try:
                say("recorded", recorded_on(ledger, number))
            except ImcmError as error:
                say("refused", type(error).__name__, str(error))
                break
        for again in range(3):
            attempt(lambda n=number + again: recorded_on(ledger, n))
        say("read", len(list(ledger.replay())))
        with LedgerReader(where) as reader:
            say("read", len(list(reader.replay())))
        if ballast == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
        attempt(lambda: Ledger(f"{where}.new").close())
        attempt(lambda: ledger.backup(f"{where}.copy"))
        if ballast == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        else:
            Path(ballast).unlink()
        for more in range(5):
            say("recorded", recorded_on(ledger, number + more))
        Ledger(f"{where}.new").close()
        ledger.backup(backup)


def recorded_on(ledger, number):
    with ledger.transaction() as tx:
        tx.record(f"INC-{number}", incident.detect, by="ana", at=AT, title="x" * 1500)
        tx.record(f"INC-{number}", incident.resolve, by="ana", at=AT)
    return tx.recorded[0].record


def attempt(call):
    try:
        say("done", call())
    except ImcmError as error:
        say("refused", type(error).__name__, str(error))


def without_rights(where):
    """Read and record as somebody who may not write: as another user where this one is root."""
    with tempfile.TemporaryDirectory() as folder, Ledger(f"{folder}/l.db") as ledger:
        # All that is imported late is imported now: the other user may not reach these files.
        ledger.record("INC-1", incident.detect, by="ana", at=AT, title="down")
        list(ledger.replay())
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)

    def read():
        with LedgerReader(where) as reader:
            return len(list(reader.replay()))

    def record():
        with Ledger(where) as ledger:
            return ledger.record("INC-9", incident.detect, by="ana", at=AT, title="down")

    attempt(read)
    attempt(record)
    attempt(read)


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


def persistent(where, name, streams):
    """
    Record one event in each call until told to stop, each under a key of its own.

    What failed is asked again, the same call under the same key, until there is an answer.
    """
    told = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
    with ledger_at(where) as ledger:
        say("ready")
        for number in itertools.takewhile(lambda _: not told.is_set(), itertools.count()):
            id, person = f"INC-{number % int(streams)}", f"{name}/{number}"
            step = {"by": name, "at": AT, "role": "scribe", "person": person}
            while True:
                try:
                    [recorded] = ledger.once("pager", person).record(
                        id, incident.assign_role, **step
                    )
                except ImcmError as error:
                    say("again", person, type(error).__name__, str(error))
                    time.sleep(0.02)
                else:
                    say("recorded", person, recorded.stream, recorded.version)
                    break


def following(where):
    """Tell of every event as it is recorded; after a failure, go on behind the last one told."""
    last = 0
    with ledger_at(where) as ledger:
        say("ready")
        while True:
            try:
                for r in ledger.follow(after=last, every=0.02):
                    say("saw", r.position, r.stream, r.version, r.record)
                    last = r.position
            except ImcmError as error:
                say("again", type(error).__name__, str(error))
                time.sleep(0.02)


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
    what = (
        *(opened, race, crowd, append, appended, claim, steady, persistent, following),
        *(made, patient, crowded, without_rights),
    )
    {one.__name__: one for one in what}[sys.argv[1]](*sys.argv[2:])
