"""Ledgers to test on: in memory, in a file, in PostgreSQL, and ways to look beneath them."""

import hashlib
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

import imcm
from imcm import Ledger
from imcm.codec.encoding import encode

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    """Where a ledger file goes."""
    return tmp_path / "ledger.db"


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server of this test process. Where there is none, that is an error."""
    try:
        import postgres

        made = postgres.Server()
    except ImportError as error:
        pytest.fail(f"{error}; pip install 'imcm[test]' brings what the tests need")
    except postgres.NoServer as error:
        pytest.fail(str(error))
    yield made
    made.remove()


@pytest.fixture
def settings(server):
    """Settings of a ledger in PostgreSQL, in a new schema."""
    return server.new_schema()


@pytest.fixture(params=["in memory", "in a file", "in PostgreSQL"])
def ledger(request, path):
    """A new ledger whose clock stands still."""
    match request.param:
        case "in memory":
            made = Ledger.in_memory(clock=lambda: NOW)
        case "in a file":
            made = Ledger(path, clock=lambda: NOW)
        case _:
            made = Ledger.configured(request.getfixturevalue("settings"), clock=lambda: NOW)
    with made:
        yield made


@pytest.fixture
def in_file(path):
    """A new ledger in a file, whose clock stands still."""
    with Ledger(path, clock=lambda: NOW) as made:
        yield made


@pytest.fixture
def sql():
    """Change a database behind the ledger's back."""

    def run(path, statement, *values):
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    return run


@pytest.fixture
def put(sql):
    """Write one row behind the ledger's back: an event, or a type name and bytes."""

    def write(path, stream, version, event, state=None, record="r", source=None):
        name = event
        if state is None:
            name, state = encode(event, recorded_at=NOW, record=record, source=source)
        sql(path, "INSERT INTO stored_events VALUES (?, ?, ?, ?)", stream, version, name, state)

    return write


@pytest.fixture
def digest():
    """Tell the bytes of a file, so that a changed one is noticed."""
    return lambda path: hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture
def process():
    """Start Python processes that can import imcm; what still runs at the end is killed."""
    started = []
    home = str(Path(imcm.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": home}

    def start(*arguments, **more):
        one = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env={**environment, **more},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill()
        one.wait()
        for pipe in (one.stdin, one.stdout, one.stderr):
            pipe.close()


def elsewhere(call):
    """Let somebody else do something, in a thread of their own, and wait until it is done."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
