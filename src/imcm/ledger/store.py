"""
Where rows are kept. This package is the only place that knows the eventsourcing library.

A store takes rows and gives them back; it knows nothing of incidents or changes:
`RecorderStore` over any persistence module of eventsourcing, `SQLiteStore` and `PostgresStore`
for what these two databases need besides, and `SQLiteFile`, which reads a SQLite ledger without
changing a byte of it.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib import import_module
from inspect import unwrap
from pathlib import Path
from typing import Any, Final, LiteralString, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from imcm.codec import Row
from imcm.errors import (
    ForkedLedgerError,
    LedgerClosedError,
    LedgerMissingError,
    LedgerNotEmptyError,
    MissingExtraError,
    NotALedgerError,
    StoreError,
)

T = TypeVar("T")

SELF: Final = "ledger:self"
"""The stream whose first event says that a database is a ledger, and which."""

LOCK_WAIT_SECONDS: Final = 60
"""How long a write waits for others before it gives up."""

_BATCH: Final = 2_000
_NOTHING: Final = "nothing of this call was recorded"


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
    """
    Rows in any persistence module of eventsourcing, through its recorder interface.

    The module is imported in the methods and not above, so that reading a file never loads it.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        _refuse_unsafe(env)
        if not env.get("PERSISTENCE_MODULE"):
            raise StoreError("PERSISTENCE_MODULE is missing; name the module to keep the log in")
        # An empty setting means the default: ours, and not that of eventsourcing.
        given = {name: value for name, value in env.items() if value or name not in _DEFAULTS}
        self._settings = {**_DEFAULTS, **given}
        self._secrets = [
            value
            for name, value in env.items()
            if value and any(word in name.upper() for word in ("PASSWORD", "KEY", "SECRET"))
        ]
        self._opened_in = os.getpid()
        self._open = True
        with self._errors(), self._setting_up():
            self._factory, self._recorder = self._made()
            self._compressor: Any = self._factory.compressor()
            self._cipher: Any = self._factory.cipher()

    def _made(self) -> tuple[Any, Any]:
        """Return a new factory and its recorder."""
        factory = self._factory_of(self._settings)
        return factory, factory.application_recorder()

    @staticmethod
    def _factory_of(settings: Mapping[str, str]) -> Any:
        from eventsourcing.persistence import InfrastructureFactory
        from eventsourcing.utils import Environment

        # An Environment of our own: variables of the process must never move the log.
        return InfrastructureFactory.construct(Environment(env=dict(settings)))

    @contextmanager
    def _setting_up(self) -> Generator[None]:
        from eventsourcing.persistence import InfrastructureFactoryError
        from eventsourcing.utils import TopicError

        try:
            yield
        # A missing or a wrong setting is an OSError or a ValueError in eventsourcing.
        except (InfrastructureFactoryError, TopicError, OSError, ValueError) as error:
            message = f"the store can't be set up: {self._told(error)}"
            raise StoreError(message) from self._shown(error)

    @contextmanager
    def _errors(self) -> Generator[None]:
        from eventsourcing.persistence import PersistenceError

        try:
            yield
        except PersistenceError as error:
            raise self._failed(error) from self._shown(error)

    def _told(self, error: Exception) -> str:
        """Return the words of an error, in one line and without any password or key."""
        text = " ".join(str(error).split())
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _shown(self, error: Exception) -> Exception | None:
        """Return an error as the cause to be printed, unless it would give something away."""
        return None if any(secret in str(error) for secret in self._secrets) else error

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
        from eventsourcing.persistence import IntegrityError, PersistenceError, StoredEvent

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
            positions = self._inserted(stored)
        except IntegrityError as error:
            raise AlreadyThere(self._told(error), broken=False) from error
        except PersistenceError as error:
            if self._is_lost(error):
                # It may have stored them all the same; the caller looks.
                raise AlreadyThere(self._told(error), broken=True) from error
            raise self._failed(error) from error
        if positions is None:
            raise StoreError("this persistence module returns no positions; it can't hold a ledger")
        return list(positions)

    def _inserted(self, stored: Sequence[Any]) -> Sequence[int] | None:
        """Append events in one transaction."""
        positions: Sequence[int] | None = self._recorder.insert_events(stored)
        return positions

    def _is_lost(self, error: Exception) -> bool:
        """Say whether a call failed because the connection broke."""
        from eventsourcing.persistence import InterfaceError

        return isinstance(error, InterfaceError)

    def _failed(self, error: Exception) -> StoreError:
        cause = error.__cause__
        if isinstance(cause, sqlite3.Error):
            return _sqlite_failed(Path("the ledger"), cause)
        return StoreError(f"the store failed: {self._told(error)}; {_NOTHING}")

    def fill(self, rows: Iterable[Row]) -> None:
        """
        Append the rows of a whole log, all or none, where there are none yet.

        Raises:
            LedgerNotEmptyError: There are some.
            AlreadyThere: One (stream, version) pair comes twice.
        """
        if next(iter(self.rows()), None) is not None:
            raise _not_empty()
        self.insert(list(rows))

    def rows(self, *, after: int = 0, upto: int | None = None) -> Iterator[Row]:
        """Yield rows in log order, in batches."""
        self._usable()
        while True:
            with self._errors():
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
        with self._errors():
            return [
                Row(0, stream, e.originator_version, e.topic, self._unpacked(e.state))
                for e in self._recorder.select_events(stream)
            ]

    def positions(self, stream: str, rows: Sequence[Row]) -> list[int]:
        """Return the positions of a stream's rows, looking from the end of the log backwards."""
        found: dict[int, int] = {}
        with self._errors():
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
    "ORIGINATOR_ID_TYPE": "text",
    "SQLITE_LOCK_TIMEOUT": str(LOCK_WAIT_SECONDS),
    "POSTGRES_LOCK_TIMEOUT": "10",
    "POSTGRES_CONNECT_TIMEOUT": "5",
    "POSTGRES_POOL_SIZE": "1",  # it grows with the threads that record at the same moment
}


def _not_empty() -> LedgerNotEmptyError:
    return LedgerNotEmptyError("there are events already; restore where there are none")


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


_NOES: Final = frozenset({"n", "no", "f", "false", "off", "0"})


def _refuse_unsafe(env: Mapping[str, str]) -> None:
    given = env.get("POSTGRES_ENABLE_DB_FUNCTIONS", "").strip().lower()
    if given and given not in _NOES:
        raise StoreError(
            "POSTGRES_ENABLE_DB_FUNCTIONS loses events for readers that follow; leave it out"
        )


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


_LOST: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})
"""States in which PostgreSQL ends a session: shut down, crashed, starting, idle for too long."""

_LOCKED: Final = "55P03"
_MISSING: Final = frozenset({"42P01", "3F000"})
_MADE_BY_OTHERS: Final = frozenset({"23505", "42P07", "42710", "42723", "40P01", "XX000"})
"""What PostgreSQL says to one of two that make the same table at the same moment."""

_CONNECTION: Final[Mapping[str, object]] = {
    # Given here, PGHOSTADDR, PGOPTIONS and PGCLIENTENCODING of the process do not count.
    "hostaddr": "",
    "options": "",
    "client_encoding": "UTF8",
    # A host that is gone without a word is noticed after some seconds instead of two hours.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


class PostgresStore(RecorderStore):
    """
    Rows in PostgreSQL, written through the recorder and read by statements of our own.

    The recorder tells no positions of a stream, tries everything ten times, a lock that is held
    as well, and its pool waits ever longer for a server that was away. So here a call is tried
    anew for POSTGRES_CONNECT_TIMEOUT seconds, with new connections, when its own were lost. After
    that the server counts as away, and until it is back each call tries only once.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        try:
            import_module("psycopg_pool")
        except ImportError as error:
            raise MissingExtraError("PostgreSQL", "postgres") from error
        self._lost: Any = None  # the recorder whose connections are known to be lost
        self._away = False  # whether the server was away for longer than a call waits
        self._patience = 0.0
        self._making = threading.Lock()
        self._may_create = env.get("CREATE_TABLE", "").strip().lower() not in _NOES
        super().__init__(env)
        self._may_create = False  # a server that lost the table has lost the log

    def _made(self) -> tuple[Any, Any]:
        """Return a new factory and its recorder, with the table there."""
        # The table is made by `_provide` and only where it is missing: to make it "if it does not
        # exist" needs rights that recording does not, and waits for every writer.
        factory = self._factory_of({**self._settings, "CREATE_TABLE": "no"})
        _close_well(factory.datastore)
        pool = factory.datastore.pool
        self._patience = pool.timeout
        pool.kwargs.update(_CONNECTION, connect_timeout=max(2, round(self._patience)))
        try:
            _reach(pool)
            recorder = factory.application_recorder()
            self._provide(recorder)
        except BaseException:
            factory.close()
            raise
        return factory, recorder

    def _provide(self, recorder: Any) -> None:
        """Make the table where it is missing, also when others are making it."""
        from eventsourcing.persistence import DataError, PersistenceError

        for pause in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, None):
            try:
                _selected(recorder, "originator_id = %s LIMIT 1", (SELF,))
            except DataError as error:
                message = "the table of events there has no text ids, so it is not a ledger"
                raise NotALedgerError(message) from error
            except PersistenceError as error:
                if _state(error) not in _MISSING or not self._may_create:
                    raise
            else:
                # Its type may be newer than the connection that looked for it.
                recorder.datastore.register_type_adapters()
                return
            try:
                recorder.create_table()
            except PersistenceError as error:
                if _state(error) not in _MADE_BY_OTHERS or pause is None:
                    raise
                time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 (no secret)

    # --- calls that outlive a connection ----------------------------------------------------------

    def _tried(self, call: Callable[[Any], T]) -> T:
        """Call with the recorder, again when connections were lost, until patience ends."""
        from eventsourcing.persistence import PersistenceError

        give_up = time.monotonic() + (0 if self._away else self._patience)
        while True:
            self._usable()
            recorder = self._recorder
            try:
                if recorder is self._lost:
                    recorder = self._made_again(recorder)
                answer = call(recorder)
            except PersistenceError as error:
                if not self._is_lost(error):
                    raise
                self._lost = recorder
                if time.monotonic() > give_up:
                    self._away = True
                    raise
            else:
                self._away = False
                return answer
            time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 (no secret)

    def _made_again(self, lost: Any) -> Any:
        """Return a recorder with new connections; one thread makes it for all."""
        with self._making:
            if self._recorder is lost:
                factory, recorder = self._made()
                before, self._factory, self._recorder = self._factory, factory, recorder
                before.close()
            return self._recorder

    def _is_lost(self, error: Exception) -> bool:
        """Say whether a call failed because the connection broke."""
        from eventsourcing.persistence import InterfaceError, OperationalError

        if not isinstance(error, (InterfaceError, OperationalError)):
            return False
        state = _state(error)
        return state is None or state.startswith("08") or state in _LOST

    # --- rows -------------------------------------------------------------------------------------

    def _inserted(self, stored: Sequence[Any]) -> Sequence[int] | None:
        """Append events in one transaction; a second try of what was stored is refused."""

        def insert(recorder: Any) -> Sequence[int] | None:
            # Without the ten tries around it: they also repeat what can't succeed.
            plain: Any = unwrap(recorder.__class__.insert_events)
            positions: Sequence[int] | None = plain(recorder, stored)
            return positions

        return self._tried(insert)

    def rows(self, *, after: int = 0, upto: int | None = None) -> Iterator[Row]:
        """Yield rows in log order, in batches."""
        # The end is looked for here: given both ends of a range, a server that has not yet
        # counted the table may sort all that is left of it for each batch.
        where: Final = "notification_id > %s ORDER BY notification_id LIMIT %s"
        while upto is None or after < upto:
            batch = self._rows_where(where, (after, _BATCH))
            for row in batch:
                if upto is not None and row.position > upto:
                    return
                yield row
            if len(batch) < _BATCH:
                return
            after = batch[-1].position

    def stream(self, stream: str) -> list[Row]:
        """Return the rows of one stream, with their positions."""
        return self._rows_where("originator_id = %s ORDER BY originator_version", (stream,))

    def positions(self, stream: str, rows: Sequence[Row]) -> list[int]:
        """Return the positions of a stream's rows, which they know."""
        return [row.position for row in rows]

    def _rows_where(self, where: LiteralString, parameters: tuple[object, ...]) -> list[Row]:
        with self._errors():
            found = self._tried(lambda recorder: _selected(recorder, where, parameters))
        return [row._replace(state=self._unpacked(row.state)) for row in found]

    def fill(self, rows: Iterable[Row]) -> None:
        """Append the rows of a whole log in one transaction, which never holds them all."""
        from eventsourcing.persistence import IntegrityError
        from psycopg.sql import SQL

        self._usable()
        recorder = self._recorder
        copying = SQL(
            "COPY {} (originator_id, originator_version, topic, state) FROM STDIN (FORMAT BINARY)"
        ).format(_table(recorder))
        with self._errors():
            try:
                with recorder.datastore.transaction(commit=True) as at:
                    for statement in recorder.lock_table_statements:
                        at.execute(statement)
                    there = SQL("SELECT 1 FROM {} LIMIT 1").format(_table(recorder))
                    if at.execute(there).fetchone():
                        raise _not_empty()
                    with at.copy(copying) as copy:
                        copy.set_types(["text", "int8", "text", "bytea"])
                        for row in rows:
                            state = self._packed(row.state)
                            copy.write_row((row.stream, row.version, row.type, state))
            except IntegrityError as error:
                raise AlreadyThere(self._told(error), broken=False) from error

    def _failed(self, error: Exception) -> StoreError:
        told = self._told(error)
        if self._is_lost(error):
            return StoreError(f"PostgreSQL can't be reached: {told}")
        if _state(error) == _LOCKED:
            return StoreError(f"another process holds the log ({told}); try again, {_NOTHING}")
        return StoreError(f"PostgreSQL refuses: {told}; {_NOTHING}")


def _state(error: Exception) -> str | None:
    """Return the SQLSTATE that PostgreSQL gave an error, if it is PostgreSQL that gave it."""
    state: str | None = getattr(error.__cause__, "sqlstate", None)
    return state


def _table(recorder: Any) -> Any:
    from psycopg.sql import Identifier

    return Identifier(recorder.datastore.schema, recorder.events_table_name)


def _selected(recorder: Any, where: LiteralString, parameters: tuple[object, ...]) -> list[Row]:
    from psycopg.rows import tuple_row
    from psycopg.sql import SQL

    statement = SQL(
        "SELECT notification_id, originator_id, originator_version, topic, state FROM {} WHERE "
    ).format(_table(recorder))
    with (
        recorder.datastore.get_connection() as connection,
        connection.cursor(row_factory=tuple_row, binary=True) as cursor,
    ):
        found = cursor.execute(statement + SQL(where), parameters).fetchall()
    return [Row._make(row) for row in found]


def _reach(pool: Any) -> None:
    """
    Connect, once besides the pool to be told what is wrong: the pool only says that it waited.

    Raises:
        OperationalError: The server can't be reached, or does not let us in.
    """
    import psycopg
    from eventsourcing.persistence import OperationalError

    given = dict(pool.kwargs)
    if pool.get_password_func is not None:
        given["password"] = pool.get_password_func()
    try:
        psycopg.connect(**given).close()
        pool.open(wait=True, timeout=pool.timeout)  # asked before it is ready, it would grow
    except psycopg.Error as error:
        raise OperationalError(str(error)) from error


def _close_well(datastore: Any) -> None:
    """
    Have the connections closed when they are done with, at the end of the process at the latest.

    Only in the process that opened them: a forked child would end the sessions of its parent.
    """
    opened_in, pool = os.getpid(), datastore.pool

    def close() -> None:
        if os.getpid() == opened_in:
            pool.close(timeout=1)  # its threads may be waiting for a server that is gone

    datastore.close = close
    weakref.finalize(datastore, close)


def configured_store(settings: Mapping[str, str]) -> RecorderStore:
    """
    Return the store that the settings of a persistence module of eventsourcing tell.

    Raises:
        NotALedgerError: They name a SQLite database that is something else.
        StoreError: It can't be opened.
    """
    module = settings.get("PERSISTENCE_MODULE", "").partition(":")[0]
    if module == "eventsourcing.postgres":
        return PostgresStore(settings)
    name = settings.get("SQLITE_DBNAME", "")
    if module == "eventsourcing.sqlite" and name and "memory" not in name:
        file = urlsplit(name).path if name.startswith("file:") else name
        refuse_other_database(Path(unquote(file)))
    return RecorderStore(settings)
