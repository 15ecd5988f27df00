"""
Where rows are kept. This package is the only place that knows the eventsourcing library.

A store takes rows and gives them back; it knows nothing of incidents or changes. Two kinds:
`RecorderStore` over any persistence module of eventsourcing, and `SQLiteFile`, which reads a
SQLite ledger without changing a byte of it.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from imcm.codec import Row
from imcm.errors import (
    ForkedLedgerError,
    LedgerClosedError,
    LedgerMissingError,
    NotALedgerError,
    StoreError,
)

SELF: Final = "ledger:self"
"""The stream whose first event says that a database is a ledger, and which."""

LOCK_WAIT_SECONDS: Final = 60
"""How long a write waits for others before it gives up."""

_BATCH: Final = 2_000


class AlreadyThere(Exception):
    """
    Another writer holds one of these (stream, version) pairs, or the connection broke.

    A signal between the files of this package; callers of the library never see it.

    Attributes:
        broken: It was the connection, and not another writer.
    """

    def __init__(self, message: str, *, broken: bool) -> None:
        super().__init__(message)
        self.broken = broken


class Reading(Protocol):
    """What reading a log needs of a store."""

    def rows(self, *, after: int = 0, upto: int | None = None) -> Iterator[Row]:
        """Yield rows in log order, from behind position *after* up to *upto*, included."""
        ...

    def stream(self, stream: str) -> list[Row]:
        """Return the rows of one stream in the order of their versions (positions are 0)."""
        ...

    def positions(self, stream: str, rows: Sequence[Row]) -> list[int]:
        """Return the positions of the rows that `stream` gave."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class Store(Reading, Protocol):
    """What recording needs besides."""

    def insert(self, rows: Sequence[Row]) -> list[int]:
        """
        Append rows in one transaction and return their positions.

        Raises:
            AlreadyThere: One of the (stream, version) pairs is taken; nothing was written.
        """
        ...


@contextmanager
def _sqlite_errors(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _sqlite_failed(path, error) from error


def _sqlite_failed(path: Path, error: Exception) -> StoreError:
    text = str(error)
    if "locked" in text or "busy" in text:
        hint = "another process holds it; try again"
    elif "readonly" in text or "read-only" in text:
        hint = "the file or its folder is read-only; open it with LedgerReader"
    elif "full" in text:
        hint = "the disk is full; free some space, nothing of this call was recorded"
    elif "not a database" in text:
        return NotALedgerError(f"{path} is not an SQLite database, so it is not a ledger")
    elif "no such table" in text or "malformed" in text:
        return NotALedgerError(f"{path} is not a readable ledger: {text}")
    else:
        hint = "nothing of this call was recorded"
    return StoreError(f"{path}: {text}; {hint}")


class SQLiteFile:
    """
    A SQLite ledger, read through connections that can't write.

    Each thread has a connection of its own, so any number of them may read at once. No
    transaction is open between two batches, so readers never hold up a writer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._check()
        self._local = threading.local()
        self._held: weakref.WeakSet[_Connection] = weakref.WeakSet()

    def _check(self) -> None:
        path = self.path
        _refuse_path(path)
        if path.is_dir():
            raise NotALedgerError(f"{path} is a directory; give the path of a ledger file")
        if not path.exists():
            raise LedgerMissingError(
                f"there is no ledger at {path}; check the path, or make one with "
                "Ledger(path) or an import"
            )
        # The file itself is never opened here: closing it would drop every lock that SQLite
        # holds on it for this process. Whether it is a database, its first query tells.
        if not path.stat().st_size:
            raise NotALedgerError(f"{path} is empty, so it is not a ledger")

    def _select(self, statement: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        with _sqlite_errors(self.path):
            return self._connection().execute(statement, parameters).fetchall()

    def _connection(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        mine: _Connection | None = getattr(self._local, "mine", None)
        if mine is not None and mine.pid == os.getpid():
            return mine.connection
        try:
            connection = self._open("mode=ro")
        except sqlite3.OperationalError:
            # Reading a write-ahead log needs its shared memory file. Where the folder is
            # read-only and nobody writes, the file is as it is: SQLite calls that immutable.
            # Only there: closing such a connection drops this process's locks on the file.
            if self.path.with_name(self.path.name + "-wal").exists() or not self.path.exists():
                raise
            connection = self._open("mode=ro&immutable=1")
        self._local.mine = held = _Connection(connection)
        self._held.add(held)
        return connection

    def is_unused(self) -> bool:
        """Say whether it is a database with nothing in it but, perhaps, our empty table."""
        names = {name for (name,) in self._select("SELECT name FROM sqlite_master")}
        if {name for name in names if not name.startswith("sqlite_")} - {"stored_events"}:
            return False
        return not names or not self._select("SELECT 1 FROM stored_events LIMIT 1")

    def _open(self, query: str) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?{query}"
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=LOCK_WAIT_SECONDS, check_same_thread=False
        )
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def rows(self, *, after: int = 0, upto: int | None = None) -> Iterator[Row]:
        """Yield rows in log order, in batches, so that no lock is held while they are used."""
        last = (1 << 63) - 1 if upto is None else upto
        statement = (
            "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events "
            "WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?"
        )
        while True:
            batch = self._select(statement, (after, last, _BATCH))
            for row in batch:
                yield Row._make(row)
            if len(batch) < _BATCH:
                return
            after = batch[-1][0]

    def stream(self, stream: str) -> list[Row]:
        """Return the rows of one stream, with their positions."""
        statement = (
            "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events "
            "WHERE originator_id = ? ORDER BY originator_version"
        )
        return [Row._make(row) for row in self._select(statement, (stream,))]

    def positions(self, stream: str, rows: Sequence[Row]) -> list[int]:
        """Return the positions of a stream's rows, which they know."""
        return [row.position for row in rows]

    def backup(self, target: Path) -> None:
        """Copy the whole ledger, its newest events included, into a new file."""
        with _sqlite_errors(target), closing(sqlite3.connect(target)) as copy:
            self._connection().backup(copy)

    def close(self) -> None:
        """Close the connections of all threads; a later call opens a new one."""
        held, self._local = list(self._held), threading.local()
        for one in held:
            one.close()


class _Connection:
    """A connection that is closed when its thread ends, since only the thread holds it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.pid = os.getpid()

    def close(self) -> None:
        if self.pid == os.getpid():  # a child of a fork must not touch its parent's
            self.connection.close()

    def __del__(self) -> None:
        self.close()


class RecorderStore:
    """Rows in any persistence module of eventsourcing, through its recorder interface."""

    def __init__(self, env: Mapping[str, str]) -> None:
        # Imported here and not above, so that reading a file never loads it.
        from eventsourcing.persistence import InfrastructureFactory
        from eventsourcing.utils import Environment

        _refuse_unsafe(env)
        if not env.get("PERSISTENCE_MODULE"):
            raise StoreError("PERSISTENCE_MODULE is missing; name the module to keep the log in")
        settings = {"ORIGINATOR_ID_TYPE": "text", **_DEFAULTS, **env}
        with _recorder_errors():
            # An Environment of our own: variables of the process must never move the log.
            self._factory: Any = InfrastructureFactory.construct(Environment(env=settings))
            self._recorder: Any = self._factory.application_recorder()
            self._compressor: Any = self._factory.compressor()
            self._cipher: Any = self._factory.cipher()
        self._opened_in = os.getpid()
        self._open = True

    @property
    def is_plain(self) -> bool:
        """Whether stored bytes are the state as it is, neither compressed nor encrypted."""
        return self._compressor is None and self._cipher is None

    def _usable(self) -> None:
        if not self._open:
            raise LedgerClosedError("the ledger is closed; open it again")
        if os.getpid() != self._opened_in:
            raise ForkedLedgerError(
                "this ledger was opened before the process forked; open it again in the child"
            )

    def insert(self, rows: Sequence[Row]) -> list[int]:
        """Append rows in one transaction and return their positions."""
        from eventsourcing.persistence import (
            IntegrityError,
            InterfaceError,
            PersistenceError,
            StoredEvent,
        )

        self._usable()
        stored = [
            StoredEvent(
                originator_id=row.stream,
                originator_version=row.version,
                topic=row.type,
                state=self._packed(row.state),
            )
            for row in rows
        ]
        try:
            positions: Sequence[int] | None = self._recorder.insert_events(stored)
        except (IntegrityError, InterfaceError) as error:
            # A connection that broke may have stored them all the same; the caller looks.
            broken = not isinstance(error, IntegrityError)
            raise AlreadyThere(str(error), broken=broken) from error
        except PersistenceError as error:
            raise _persistence_failed(error) from error
        if positions is None:
            raise StoreError("this persistence module returns no positions; it can't hold a ledger")
        return list(positions)

    def rows(self, *, after: int = 0, upto: int | None = None) -> Iterator[Row]:
        """Yield rows in log order, in batches."""
        self._usable()
        while True:
            with _recorder_errors():
                batch = self._recorder.select_notifications(
                    after, _BATCH, stop=upto, inclusive_of_start=False
                )
            for n in batch:
                yield Row(
                    n.id, n.originator_id, n.originator_version, n.topic, self._unpacked(n.state)
                )
            if len(batch) < _BATCH:
                return
            after = batch[-1].id

    def stream(self, stream: str) -> list[Row]:
        """Return the rows of one stream; the recorder interface does not tell their positions."""
        self._usable()
        with _recorder_errors():
            return [
                Row(0, stream, e.originator_version, e.topic, self._unpacked(e.state))
                for e in self._recorder.select_events(stream)
            ]

    def positions(self, stream: str, rows: Sequence[Row]) -> list[int]:
        """Return the positions of a stream's rows, looking from the end of the log backwards."""
        found: dict[int, int] = {}
        with _recorder_errors():
            last = self._recorder.max_notification_id() or 0
            while len(found) < len(rows) and last > 0:
                first = max(1, last - _BATCH + 1)
                for n in self._recorder.select_notifications(first, _BATCH, stop=last):
                    if n.originator_id == stream:
                        found[n.originator_version] = n.id
                last = first - 1
        return [found.get(row.version, 0) for row in rows]

    def _packed(self, state: bytes) -> bytes:
        if self._compressor is not None:
            state = self._compressor.compress(state)
        return self._cipher.encrypt(state) if self._cipher is not None else state

    def _unpacked(self, state: bytes) -> bytes:
        if self._cipher is not None:
            state = self._cipher.decrypt(bytes(state))
        if self._compressor is not None:
            state = self._compressor.decompress(state)
        return bytes(state)

    def close(self) -> None:
        """Close every connection."""
        if self._open and os.getpid() == self._opened_in:
            self._open = False
            self._factory.close()


_DEFAULTS: Final[Mapping[str, str]] = {
    "SQLITE_LOCK_TIMEOUT": str(LOCK_WAIT_SECONDS),
    "POSTGRES_LOCK_TIMEOUT": "10",
    "POSTGRES_CONNECT_TIMEOUT": "5",
}


def _refuse_path(path: Path) -> None:
    if "\x00" in str(path):
        raise StoreError(f"{str(path)!r} is no path: it holds a NUL")
    try:
        path.lstat()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} can't be opened: {error}") from None


def refuse_other_database(path: Path) -> None:
    """
    Let a path be opened for writing, or refuse it: eventsourcing adds a table to any database.

    What is not there yet, is empty, or was left by a process that died before it wrote the first
    row, may become a ledger.

    Raises:
        NotALedgerError: It is something else.
        StoreError: Its folder is not there.
    """
    _refuse_path(path)
    if not path.parent.is_dir():
        raise StoreError(f"the folder {path.parent} does not exist; make it first")
    if not path.is_dir() and (not path.exists() or not path.stat().st_size):
        return
    reader = SQLiteFile(path)
    try:
        if not reader.is_unused() and not reader.stream(SELF):
            raise NotALedgerError(f"{path} is a database, but not a ledger: it has no {SELF}")
    finally:
        reader.close()


def _refuse_unsafe(env: Mapping[str, str]) -> None:
    if env.get("POSTGRES_ENABLE_DB_FUNCTIONS", "").strip().lower() in {
        "y",
        "yes",
        "t",
        "true",
        "on",
        "1",
    }:
        raise StoreError(
            "POSTGRES_ENABLE_DB_FUNCTIONS loses events for readers that follow; leave it out"
        )


@contextmanager
def _recorder_errors() -> Generator[None]:
    from eventsourcing.persistence import InfrastructureFactoryError, PersistenceError
    from eventsourcing.utils import TopicError

    try:
        yield
    except (InfrastructureFactoryError, TopicError) as error:
        raise StoreError(f"the store can't be set up: {error}") from error
    except PersistenceError as error:
        raise _persistence_failed(error) from error
    except OSError as error:  # how eventsourcing reports a missing or wrong setting
        raise StoreError(f"the store can't be set up: {error}") from error


def _persistence_failed(error: Exception) -> StoreError:
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return _sqlite_failed(Path("the ledger"), cause)
    return StoreError(f"the store failed: {error}; nothing of this call was recorded")


class SQLiteStore(RecorderStore):
    """A SQLite file that is written through the recorder and read through `SQLiteFile`."""

    def __init__(self, path: Path) -> None:
        refuse_other_database(path)
        # The name goes in as a URI, so that no character of a path means anything to SQLite.
        uri = f"{path.absolute().as_uri()}?mode=rwc"
        settings = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": uri}
        give_up = time.monotonic() + LOCK_WAIT_SECONDS
        while True:
            try:
                super().__init__(settings)
                break
            except sqlite3.OperationalError as error:
                # Switching a new file to a write-ahead log does not wait for others doing the same.
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise _sqlite_failed(path, error) from error
                time.sleep(random.uniform(0.005, 0.05))  # noqa: S311 (no secret)
        self._reader = SQLiteFile(path)

    def rows(self, *, after: int = 0, upto: int | None = None) -> Iterator[Row]:
        """Yield rows in log order, in batches."""
        self._usable()
        return self._reader.rows(after=after, upto=upto)

    def stream(self, stream: str) -> list[Row]:
        """Return the rows of one stream, with their positions."""
        self._usable()
        return self._reader.stream(stream)

    def positions(self, stream: str, rows: Sequence[Row]) -> list[int]:
        """Return the positions of a stream's rows, which they know."""
        return self._reader.positions(stream, rows)

    def close(self) -> None:
        """Close every connection, for reading and for writing."""
        self._reader.close()
        super().close()

    def backup(self, target: Path) -> None:
        """Copy the whole ledger, its newest events included, into a new file."""
        self._usable()
        self._reader.backup(target)
