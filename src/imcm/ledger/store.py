"""
Where rows are kept. This package is the only place that knows the eventsourcing library.

A store takes rows and gives them back; it knows nothing of incidents or changes:
`RecorderStore` over any persistence module of eventsourcing, `SQLiteStore` and `PostgresStore`
for what these two databases need besides, and `SQLiteFile`, which reads a SQLite ledger without
changing a byte of it.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import weakref
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from itertools import chain
from operator import itemgetter, lt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from imcm.codec.rows import StoredEvent, StoredTuple
from imcm.domain.recorded import LARGEST
from imcm.errors import (
    ForkedLedgerError,
    LedgerClosedError,
    LedgerMissingError,
    LedgerNotEmptyError,
    NotALedgerError,
    StoreError,
)
from imcm.files import reserved
from imcm.ledger.waiting import once_free

if TYPE_CHECKING:
    from imcm.ledger.notifications import Listener

T = TypeVar("T")

SELF: Final = "ledger:self"
"""The stream whose first event says that a database is a ledger, and which."""

LOCK_WAIT_SECONDS: Final = 60
"""How long a write waits for others before it gives up."""

BATCH: Final = 2_000
TUPLES: Final = 250
"""Rows fetched at a time where they are taken one by one: what stays in a processor's cache."""

FARTHEST: Final = 1 << 62
"""No log reaches this position."""

ASKED_AT_ONCE: Final = 500
"""Streams named in one statement; some builds of SQLite take no more than 999 values."""
NOTHING: Final = "nothing of this call was recorded"


_KINDS: Final = (int, str, int, str, bytes)

Rewriting = Callable[
    [list[StoredEvent]], tuple[Sequence[tuple[StoredEvent, bytes]], StoredEvent] | None
]
"""Of the rows of a stream, says which get another state, and which row is appended."""


class AppendConflict(Exception):
    """
    Another writer holds one of these (stream, version) pairs, or the connection broke.

    A signal between the files of this package; callers of the library never see it.

    Attributes:
        broken: It was the connection, and not another writer.
    """

    def __init__(self, message: str, *, broken: bool) -> None:
        super().__init__(message)
        self.broken = broken


class ReadStore(Protocol):
    """What reading a log needs of a store."""

    def rows(self, *, after: int = 0, upto: int | None = None) -> Iterator[StoredEvent]:
        """Yield rows in log order, from behind position *after* up to *upto*, included."""
        ...

    def tuples(self, *, after: int = 0, upto: int | None = None) -> Iterator[StoredTuple]:
        """Yield the same rows as plain tuples, where that is faster."""
        ...

    def count(self, upto: int) -> int:
        """Return how many rows there are up to a position, included."""
        ...

    def newest(self, upto: int | None) -> int:
        """Return the position of the newest row up to a position; 0 where there is none."""
        ...

    def holding(self, texts: Sequence[bytes], upto: int) -> set[str]:
        """Return the streams that have a state, up to a position, in which one of these stands."""
        ...

    def beside(self, stream: str, most: int) -> list[str]:
        """Return at most so many streams on each side of one, in the order of their names."""
        ...

    def greatest(self, prefix: str) -> int:
        """Return the greatest number that follows a prefix in the name of a stream; 0 if none."""
        ...

    def stream(self, stream: str) -> list[StoredEvent]:
        """Return the rows of one stream in the order of their versions (positions are 0)."""
        ...

    def streams(self, streams: Sequence[str]) -> dict[str, list[StoredEvent]]:
        """Return the rows of those of these streams that have any, each as `stream` does."""
        ...

    def positions(self, stream: str, rows: Sequence[StoredEvent]) -> list[int]:
        """Return the positions of the rows that `stream` gave."""
        ...

    @property
    def listener(self) -> Listener | None:
        """What tells of rows as they are appended, by any process; None where nothing does."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class Turn(Protocol):
    """What one decision reads and appends."""

    def stream(self, stream: str) -> list[StoredEvent]:
        """Return the rows of one stream, as it stands for this decision."""
        ...

    def streams(self, streams: Sequence[str]) -> dict[str, list[StoredEvent]]:
        """Return the rows of those of these streams that have any, as they stand for it."""
        ...

    def insert(self, rows: Sequence[StoredEvent]) -> list[int]:
        """Append rows, all or none, and return their positions; see `Store.insert`."""
        ...


class Store(ReadStore, Protocol):
    """What recording needs besides."""

    def turn(self) -> AbstractContextManager[Turn]:
        """
        Give what a decision is made with; what it appends is recorded when the block ends.

        Where a store has one writer at a time, nobody else writes in between: a decision is made
        once. Elsewhere somebody may be faster, and appending raises AppendConflict.
        """
        ...

    def wait_until_durable(self) -> None:
        """Return when what was read is as safe as what is committed now."""
        ...

    @property
    def is_plain(self) -> bool:
        """Whether stored bytes are the state as it is, neither compressed nor encrypted."""
        ...

    @property
    def guarded(self) -> bool:
        """Whether the database itself refuses to change or delete rows."""
        ...

    def guard(self, *, on: bool) -> None:
        """Have the database refuse to change or delete rows, or let it again."""
        ...

    def rewrite(self, stream: str, choose: Rewriting) -> int | None:
        """
        Replace states of a stream and append a row that says so, in one transaction.

        Args:
            choose: Is given the rows of the stream as they stand while nobody else can write, and
                says which get another state and what is appended; None where nothing is to do.

        Returns:
            The position of the row that was appended.

        Raises:
            StoreError: The database did something else than it was told, so nothing was done.
        """
        ...

    def wiped(self) -> str:
        """Let go of what was overwritten, and return why some of it is still there; else ""."""
        ...

    def insert(self, rows: Sequence[StoredEvent]) -> list[int]:
        """
        Append rows in one transaction and return their positions.

        Raises:
            AppendConflict: One of the (stream, version) pairs is taken; nothing was written.
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
    name: str = getattr(error, "sqlite_errorname", "")  # Python raises some without one
    if "locked" in text or "busy" in text:
        hint = "another process holds it; try again"
    elif name == "SQLITE_READONLY_ROLLBACK":
        hint = "a write to it was cut off and has to be undone; open it once with Ledger"
    elif "readonly" in text or "read-only" in text:
        hint = "the file or its folder is read-only; open it with LedgerReader"
    elif name == "SQLITE_FULL":
        hint = f"the disk is full; free some space, {NOTHING}"
    elif name.startswith("SQLITE_IOERR"):
        # So it says of a quota and of a limit to the size of a file, too.
        hint = f"the disk is full, at a limit or failing; free some space or look at it, {NOTHING}"
    elif name.startswith("SQLITE_CANTOPEN"):
        hint = "check who may read it, and write to its folder where a -wal or -journal is left"
    elif "not a database" in text:
        return NotALedgerError(f"{path} is not an SQLite database, so it is not a ledger")
    elif "no such" in text or name.startswith("SQLITE_CORRUPT") or "decode" in text:
        why = ascii(text)[1:-1] if "decode" in text else text  # it quotes what is damaged
        return NotALedgerError(f"{path} is not a readable ledger: {why}; restore it from a backup")
    else:
        hint = NOTHING
    return StoreError(f"{path}: {text}; {hint}")


_COLUMNS: Final = "rowid, originator_id, originator_version, topic, state"
# By which way rows are reached is said here: an index that somebody added, perhaps with other
# contents, is never used.
_BY_POSITION: Final = f"SELECT {_COLUMNS} FROM stored_events NOT INDEXED WHERE rowid "  # noqa: S608
_BY_STREAM: Final = (
    f"SELECT {_COLUMNS} FROM stored_events INDEXED BY sqlite_autoindex_stored_events_1 "  # noqa: S608
    "WHERE originator_id "
)


def greatest_number(prefix: str, names: Iterable[str]) -> int:
    """Return the greatest plain number that follows a prefix in any of these names; 0 if none."""
    rests = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return max((int(rest) for rest in rests if _NUMBER.fullmatch(rest)), default=0)


_NUMBER: Final = re.compile(r"[0-9]{1,18}")


class SQLiteFile:
    """
    A SQLite ledger, read through connections that can't write.

    Each thread has a connection of its own, so any number of them may read at once. No
    transaction is open between two batches, so readers never hold up a writer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._real = Path(os.path.realpath(path)) if "\0" not in str(path) else path
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
        for end in ("-wal", "-journal", "-shm"):
            beside = self._real.with_name(self._real.name + end)
            if beside.exists() and not beside.is_file():
                raise NotALedgerError(f"{beside} is no ordinary file, so {path} can't be read")
        # The file itself is never opened here: closing it would drop every lock that SQLite
        # holds on it for this process. Whether it is a database, its first query tells.
        if not path.stat().st_size:
            raise NotALedgerError(f"{path} is empty, so it is not a ledger")

    def _select(
        self,
        statement: str,
        parameters: tuple[object, ...] = (),
        connection: sqlite3.Connection | None = None,
    ) -> list[Any]:
        try:
            return (connection or self._connection()).execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            raise _sqlite_failed(self.path, error) from error

    def _connection(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        mine: _Connection | None = getattr(self._local, "mine", None)
        if mine is not None and mine.pid == os.getpid():
            return mine.connection
        try:
            connection = self._open("mode=ro")
        except sqlite3.OperationalError as error:
            # Reading a write-ahead log needs its shared memory file. Where the folder is
            # read-only and nobody writes, the file is as it is: SQLite calls that immutable.
            # Only there: closing such a connection drops this process's locks on the file, and
            # what is in a log or a journal beside it would be missed. A lock stays a lock.
            unwritable = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
            beside = [self._real.with_name(self._real.name + end) for end in ("-wal", "-journal")]
            if not unwritable or not self.path.exists() or any(file.exists() for file in beside):
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
        uri = f"{self._real.as_uri()}?{query}"
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=LOCK_WAIT_SECONDS, check_same_thread=False
        )
        try:
            self._refuse_views(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _refuse_views(self, connection: sqlite3.Connection) -> None:
        """Refuse what is called like the table of events and is something else."""
        relations = connection.execute(
            "SELECT type, rootpage FROM sqlite_master WHERE lower(name) = 'stored_events'"
        ).fetchall()
        [encoding] = connection.execute("PRAGMA encoding").fetchone()
        if relations and encoding != "UTF-8":
            raise NotALedgerError(
                f"{self.path}: its texts are stored in {encoding}, in which one reader can see "
                "what another does not; a ledger is in UTF-8"
            )
        if relations[1:] or any(type != "table" or not root for type, root in relations):
            raise NotALedgerError(
                f"{self.path}: stored_events is no ordinary table there, so what it shows can "
                "change without an event; it is not a ledger"
            )

    def rows(self, *, after: int = 0, upto: int | None = None) -> Iterator[StoredEvent]:
        """Yield rows in log order, in batches, so that no lock is held while they are used."""
        return map(StoredEvent._make, self.tuples(after=after, upto=upto))

    def tuples(self, *, after: int = 0, upto: int | None = None) -> Iterator[StoredTuple]:
        """Yield rows in log order as plain tuples, which is faster."""
        after, last = max(after, 0), LARGEST if upto is None else min(upto, LARGEST)
        self._refuse_ends()
        statement = f"{_BY_POSITION} > ? AND rowid <= ? ORDER BY rowid LIMIT ?"
        while after < last:
            batch = self._checked(self._select(statement, (after, last, TUPLES)))
            positions = [after, *(row[0] for row in batch)]
            if not all(map(lt, positions, positions[1:])):
                # A damaged page may lead back to one before it: reading would never end.
                raise self._damaged(f"positions behind {after} come twice")
            yield from batch
            if len(batch) < TUPLES:
                return
            after = batch[-1][0]

    def count(self, upto: int) -> int:
        """Return how many rows there are up to a position, included."""
        counting = "SELECT count(*) FROM stored_events NOT INDEXED WHERE rowid <= ?"
        [(count,)] = self._select(counting, (min(upto, LARGEST),))
        return int(count)

    def beside(self, stream: str, most: int) -> list[str]:
        """Return at most so many streams on each side of one, in the order of their names."""
        names: list[str] = []
        for way, order in ((">", "ASC"), ("<", "DESC")):
            # Only words of ours go in.
            statement = (
                "SELECT DISTINCT originator_id FROM stored_events "  # noqa: S608
                "INDEXED BY sqlite_autoindex_stored_events_1 "
                f"WHERE originator_id {way} ? ORDER BY originator_id {order} LIMIT ?"
            )
            names += [name for (name,) in self._select(statement, (stream, most))]
        return names

    def greatest(self, prefix: str) -> int:
        """Return the greatest number that follows a prefix in the name of a stream; 0 if none."""
        asking = (
            "SELECT originator_id FROM stored_events "
            "INDEXED BY sqlite_autoindex_stored_events_1 "
            "WHERE originator_id >= ? AND originator_id < ? AND originator_version = 1"
        )
        # Behind every digit, and so behind all that is asked for.
        rows = self._select(asking, (prefix, f"{prefix}:"))
        return greatest_number(prefix, (name for (name,) in rows))

    def newest(self, upto: int | None) -> int:
        """Return the position of the newest row up to a position; 0 where there is none."""
        self._refuse_ends()
        last = LARGEST if upto is None else min(upto, LARGEST)
        asking = "SELECT max(rowid) FROM stored_events WHERE rowid <= ?"
        [(position,)] = self._select(asking, (last,))
        return position or 0

    def holding(self, texts: Sequence[bytes], upto: int) -> set[str]:
        """Return the streams that have a state, up to a position, in which one of these stands."""
        self._refuse_ends()
        any_of_them = " OR ".join(["instr(state, ?)"] * len(texts))
        # Only question marks go in.
        asking = (
            "SELECT DISTINCT originator_id FROM stored_events NOT INDEXED "  # noqa: S608
            f"WHERE rowid <= ? AND ({any_of_them})"
        )
        return {stream for (stream,) in self._select(asking, (min(upto, LARGEST), *texts))}

    def _refuse_ends(self) -> None:
        """Refuse a log whose first or last row stands where none can."""
        for end in ("min", "max"):
            [(position,)] = self._select(f"SELECT {end}(rowid) FROM stored_events")  # noqa: S608
            if position is not None:
                self._refuse_position(position)

    def _refuse_position(self, position: object) -> None:
        """
        Refuse a row that who reads in log order would pass over: the log begins at 1.

        Behind the greatest number there is, SQLite gives out places at random.
        """
        if not isinstance(position, int) or not 1 <= position <= FARTHEST:
            raise self._damaged(
                f"an event stands at position {position}, which is no place in a log"
            )

    def _checked(self, batch: list[Any]) -> list[Any]:
        """Return rows whose values are of their types; in a damaged file they may be anything."""
        # Many at once by their columns is faster; a few, row by row.
        columns = zip(*batch, strict=True) if len(batch) > 20 else ()
        if columns and all(set(map(type, c)) == {k} for c, k in zip(columns, _KINDS, strict=True)):
            return batch
        for row in batch:
            if tuple(map(type, row)) != _KINDS:
                raise self._damaged(f"position {row[0]} is not a stored event, by its types")
        return batch

    def _damaged(self, why: str) -> NotALedgerError:
        return NotALedgerError(f"{self.path}: {why}; it was damaged or altered, restore a backup")

    def stream(
        self, stream: str, connection: sqlite3.Connection | None = None
    ) -> list[StoredEvent]:
        """Return the rows of one stream, with their positions; by a connection that is free."""
        statement = f"{_BY_STREAM} = ? ORDER BY originator_version"
        return self._of_streams(self._select(statement, (stream,), connection))

    def _of_streams(self, fetched: list[Any]) -> list[StoredEvent]:
        rows = list(map(StoredEvent._make, self._checked(fetched)))
        if rows:
            positions = [row.position for row in rows]
            self._refuse_position(min(positions))
            self._refuse_position(max(positions))
        return rows

    def streams(
        self, streams: Sequence[str], connection: sqlite3.Connection | None = None
    ) -> dict[str, list[StoredEvent]]:
        """Return the rows of those of these streams that have any, asking for many at a time."""
        by_stream: dict[str, list[StoredEvent]] = {}
        for begin in range(0, len(streams), ASKED_AT_ONCE):
            asked = tuple(streams[begin : begin + ASKED_AT_ONCE])
            marks = ", ".join("?" * len(asked))
            # Only question marks go in.
            statement = f"{_BY_STREAM} IN ({marks}) ORDER BY originator_id, originator_version"
            for row in self._of_streams(self._select(statement, asked, connection)):
                by_stream.setdefault(row.stream, []).append(row)
        return by_stream

    def positions(self, stream: str, rows: Sequence[StoredEvent]) -> list[int]:
        """Return the positions of a stream's rows, which they know."""
        return [row.position for row in rows]

    def backup(self, target: Path) -> None:
        """Copy the whole ledger, its newest events included, into a new file."""
        reserved(target)
        try:
            with _sqlite_errors(target), closing(sqlite3.connect(target)) as copy:
                self._connection().backup(copy)
        except BaseException:
            target.unlink(missing_ok=True)  # half a copy is none, and would be in the way
            raise

    @property
    def listener(self) -> None:
        """Nothing: SQLite tells no other process of what is appended."""

    def is_guarded(self) -> bool:
        """Say whether the file has all triggers that make it append-only, as we make them."""
        from imcm.verifier import APPEND_ONLY, same_statement

        with _sqlite_errors(self.path):
            there = dict(_triggers_in(self._connection()))
        return all(same_statement(there.get(name), sql) for name, sql in APPEND_ONLY.items())

    def close(self) -> None:
        """Close the connections of all threads; a later call opens a new one."""
        held, self._local = list(self._held), threading.local()
        for connection in held:
            connection.close()


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
            message = f"the store can't be set up: {self._without_secrets(error)}"
            raise StoreError(message) from self._shown(error)

    @contextmanager
    def _errors(self) -> Generator[None]:
        from eventsourcing.persistence import PersistenceError

        try:
            yield
        except PersistenceError as error:
            raise self._failed(error) from self._shown(error)

    def _without_secrets(self, error: Exception) -> str:
        """Return the words of an error, in one line and without any password or key."""
        text = " ".join(str(error).split())
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _shown(self, error: Exception) -> Exception | None:
        """Return an error as the cause to be printed, unless it would give something away."""
        return None if any(secret in str(error) for secret in self._secrets) else error

    @property
    def listener(self) -> Listener | None:
        """What tells of rows as they are appended: nothing that recorders have in common."""
        return None

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

    @contextmanager
    def turn(self) -> Generator[Turn]:
        """Give this store itself: somebody else may be faster between reading and appending."""
        yield self

    def insert(self, rows: Sequence[StoredEvent]) -> list[int]:
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
            raise AppendConflict(self._without_secrets(error), broken=False) from error
        except PersistenceError as error:
            if self._is_lost(error):
                # It may have stored them all the same; the caller looks.
                raise AppendConflict(self._without_secrets(error), broken=True) from error
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
        return StoreError(f"the store failed: {self._without_secrets(error)}; {NOTHING}")

    def fill(self, rows: Iterable[StoredEvent]) -> None:
        """
        Append the rows of a whole log, all or none, where there are none yet.

        Raises:
            LedgerNotEmptyError: There are some.
            AppendConflict: One (stream, version) pair comes twice.
        """
        if next(iter(self.rows()), None) is not None:
            raise not_empty()
        self.insert(list(rows))

    def rows(self, *, after: int = 0, upto: int | None = None) -> Iterator[StoredEvent]:
        """Yield rows in log order, in batches."""
        self._usable()
        while True:
            with self._errors():
                batch = self._recorder.select_notifications(
                    max(after, 0), BATCH, stop=upto, inclusive_of_start=False
                )
            for n in batch:
                yield StoredEvent(
                    n.id, n.originator_id, n.originator_version, n.topic, self._unpacked(n.state)
                )
            if len(batch) < BATCH:
                return
            after = batch[-1].id

    def tuples(self, *, after: int = 0, upto: int | None = None) -> Iterator[StoredTuple]:
        """Yield the same rows; here they are no faster without their name."""
        return self.rows(after=after, upto=upto)

    def count(self, upto: int) -> int:
        """Return how many rows there are up to a position, included, by going through them."""
        return sum(1 for _ in self.rows(upto=upto))

    def newest(self, upto: int | None) -> int:
        """Return the position of the newest row up to a position, looking backwards from there."""
        self._usable()
        with self._errors():
            last = self._recorder.max_notification_id() or 0
            last = last if upto is None else min(last, upto)
            while last > 0:
                first = max(1, last - BATCH + 1)
                batch = self._recorder.select_notifications(first, BATCH, stop=last)
                if batch:
                    return int(batch[-1].id)
                last = first - 1
        return 0

    def holding(self, texts: Sequence[bytes], upto: int) -> set[str]:
        """Return the streams that have such a state, by looking at each: it may be packed."""
        return {
            row.stream for row in self.rows(upto=upto) if any(text in row.state for text in texts)
        }

    def beside(self, stream: str, most: int) -> list[str]:
        """Return at most so many streams on each side of one, in the order of their names."""
        names = sorted({row.stream for row in self.rows()})
        at = bisect_left(names, stream)
        return names[max(0, at - most) : at + most]

    def greatest(self, prefix: str) -> int:
        """Return the greatest number that follows a prefix in the name of a stream; 0 if none."""
        return greatest_number(prefix, (row.stream for row in self.rows() if row.version == 1))

    def stream(self, stream: str) -> list[StoredEvent]:
        """Return the rows of one stream; the recorder interface does not tell their positions."""
        self._usable()
        with self._errors():
            return [
                StoredEvent(0, stream, e.originator_version, e.topic, self._unpacked(e.state))
                for e in self._recorder.select_events(stream)
            ]

    def streams(self, streams: Sequence[str]) -> dict[str, list[StoredEvent]]:
        """Return the rows of those of these streams that have any."""
        return {stream: rows for stream in streams if (rows := self.stream(stream))}

    def positions(self, stream: str, rows: Sequence[StoredEvent]) -> list[int]:
        """Return the positions of a stream's rows, looking from the end of the log backwards."""
        positions: dict[int, int] = {}
        with self._errors():
            last = self._recorder.max_notification_id() or 0
            while len(positions) < len(rows) and last > 0:
                first = max(1, last - BATCH + 1)
                for n in self._recorder.select_notifications(first, BATCH, stop=last):
                    if n.originator_id == stream:
                        positions[n.originator_version] = n.id
                last = first - 1
        return [positions.get(row.version, 0) for row in rows]

    def wait_until_durable(self) -> None:
        """Return at once: here nothing can be read that is not committed for good."""

    @property
    def guarded(self) -> bool:
        """Whether the database itself refuses to change or delete rows."""
        return False

    def guard(self, *, on: bool) -> None:
        """Refuse: only the databases that imcm knows itself can guard their rows."""
        raise StoreError("only SQLite and PostgreSQL ledgers can be guarded against changes")

    def rewrite(self, stream: str, choose: Rewriting) -> int | None:
        """Refuse: recorders of eventsourcing only append."""
        raise StoreError("only in SQLite and PostgreSQL ledgers can words be taken out")

    def wiped(self) -> str:
        """Return nothing: what was overwritten is in no place of ours."""
        return ""

    def _packed(self, state: bytes) -> bytes:
        if self._compressor is not None:
            state = self._compressor.compress(state)
        return self._cipher.encrypt(state) if self._cipher is not None else state

    def _unpacked(self, state: object) -> bytes:
        """
        Return a state as it was stored.

        Raises:
            NotALedgerError: What is there is none.
        """
        if not isinstance(state, (bytes, memoryview)):
            raise _no_state(f"a {type(state).__name__} and no bytes")
        stored = bytes(cast("bytes", state))
        try:
            if self._cipher is not None:
                stored = self._cipher.decrypt(stored)
            if self._compressor is not None:
                stored = self._compressor.decompress(stored)
        except Exception as error:  # which ones there are is for the cipher and compressor to say
            message = self._without_secrets(error) or type(error).__name__
            raise _no_state(f"not what was stored ({message})") from self._shown(error)
        return stored

    def close(self) -> None:
        """Close every connection."""
        if self._open and os.getpid() == self._opened_in:
            self._open = False
            self._factory.close()


def _no_state(why: str) -> NotALedgerError:
    message = f"a stored state is {why}; the log was damaged or altered, restore a backup"
    return NotALedgerError(message)


_DEFAULTS: Final[Mapping[str, str]] = {
    "ORIGINATOR_ID_TYPE": "text",
    "SQLITE_LOCK_TIMEOUT": str(LOCK_WAIT_SECONDS),
    "POSTGRES_LOCK_TIMEOUT": "10",
    "POSTGRES_CONNECT_TIMEOUT": "5",
    "POSTGRES_POOL_SIZE": "1",  # it grows with the threads that record at the same moment
}


def not_empty() -> LedgerNotEmptyError:
    return LedgerNotEmptyError("there are events already; restore where there are none")


def _refuse_path(path: Path) -> None:
    if "\x00" in str(path):
        raise StoreError(f"{str(path)!r} is no path: it holds a NUL")
    try:
        path.stat()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} can't be opened: {error}") from None


def _undo_cut_off(path: Path) -> None:
    """Have SQLite undo a write that was cut off, as whoever opens a file for writing does."""
    if path.with_name(path.name + "-journal").exists():
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with (
            _sqlite_errors(path),
            closing(sqlite3.connect(uri, uri=True, timeout=LOCK_WAIT_SECONDS)) as connection,
        ):
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()


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
    if path.is_file():
        _undo_cut_off(path)  # what is left may be an empty file
    if not path.is_dir() and (not path.exists() or not path.stat().st_size):
        return
    reader = SQLiteFile(path)
    try:
        if not reader.is_unused() and not reader.stream(SELF):
            raise NotALedgerError(f"{path} is a database, but not a ledger: it has no {SELF}")
    finally:
        reader.close()


NOES: Final = frozenset({"n", "no", "f", "false", "off", "0"})


def _refuse_unsafe(env: Mapping[str, str]) -> None:
    given = env.get("POSTGRES_ENABLE_DB_FUNCTIONS", "").strip().lower()
    if given and given not in NOES:
        raise StoreError(
            "POSTGRES_ENABLE_DB_FUNCTIONS loses events for readers that follow; leave it out"
        )


_INSERT: Final = (
    "INSERT INTO stored_events (originator_id, originator_version, topic, state) "
    "VALUES (?, ?, ?, ?)"
)
_TOGETHER: Final = 50
_INSERT_TOGETHER: Final = _INSERT + ", (?, ?, ?, ?)" * (_TOGETHER - 1)
"""One statement for several rows takes a seventh less time than several for one."""

_VALUES: Final = itemgetter(1, 2, 3, 4)
"""What is inserted of a row: all but its position, which the database gives."""


class _Queue:
    """
    A lock that threads get in the order in which they came.

    With Python's own lock, a thread that gives it back and asks again mostly gets it again.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, *, wait: bool = True) -> bool:
        """Take the lock; say whether it was had, which without waiting it may not be."""
        with self._guard:
            if not self._held:
                self._held = True
                return True
            if not wait:
                return False
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        try:
            mine.acquire()  # until whoever is in front gives it on
        except BaseException:
            with self._guard:
                if mine in self._waiting:
                    self._waiting.remove(mine)
                    raise
            self.release()  # it was given on in this very moment
            raise
        return True

    def release(self) -> None:
        """Give the lock to whoever waits longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Generator[sqlite3.Connection]:
    """Wait for the turn to write, and give a connection in a transaction that ends it."""
    begin = partial(connection.execute, "BEGIN IMMEDIATE")
    once_free(begin, seconds=LOCK_WAIT_SECONDS, pause=(0.0002, 0.002))
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it by itself
            connection.execute("ROLLBACK")
        raise


class _SQLiteTurn:
    """What one decision reads and appends, in a transaction in which nobody else writes."""

    def __init__(self, store: SQLiteStore, connection: sqlite3.Connection) -> None:
        self._store = store
        self._connection = connection

    def stream(self, stream: str) -> list[StoredEvent]:
        """Return the rows of one stream."""
        return self._store.reader.stream(stream, self._connection)

    def streams(self, streams: Sequence[str]) -> dict[str, list[StoredEvent]]:
        """Return the rows of those of these streams that have any."""
        return self._store.reader.streams(streams, self._connection)

    def insert(self, rows: Sequence[StoredEvent]) -> list[int]:
        """Append rows and return their positions."""
        return self._store.appended(rows, self._connection)


class SQLiteStore(RecorderStore):
    """
    A SQLite file: made by the recorder's factory, written by statements, read by `SQLiteFile`.

    The statements are the recorder's own. Its pool, cursors and transactions, which serve any
    database, take longer than SQLite does, so rows go to a connection that is kept for them.
    """

    def __init__(self, path: Path) -> None:
        refuse_other_database(path)
        # The name goes in as a URI, so that no character of a path means anything to SQLite.
        uri = f"{path.absolute().as_uri()}?mode=rwc"
        settings = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": uri}
        make = partial(super().__init__, settings)
        try:
            # Switching a new file to a write-ahead log does not wait for others doing the same.
            once_free(make, seconds=LOCK_WAIT_SECONDS, pause=(0.005, 0.05))
        except sqlite3.OperationalError as error:
            raise _sqlite_failed(path, error) from error
        self.reader = SQLiteFile(path)
        self._writing = _Queue()
        self._writer: sqlite3.Connection | None = None
        self._triggers = (-1, False)

    # --- writing ----------------------------------------------------------------------------------

    @contextmanager
    def turn(self) -> Generator[Turn]:
        """
        Give a transaction in which nobody else writes, from before its first read to its end.

        SQLite has one writer at a time. Whoever reads first and takes the turn afterwards may have
        decided on what does not stand any more, again and again where there are many.
        """
        with self._writing:
            self._usable()
            try:
                with _transaction(self._own_writer()) as connection:
                    yield _SQLiteTurn(self, connection)
            except sqlite3.IntegrityError as error:
                raise AppendConflict(str(error), broken=False) from error
            except sqlite3.Error as error:
                raise _sqlite_failed(self.reader.path, error) from error

    def insert(self, rows: Sequence[StoredEvent]) -> list[int]:
        """Append rows in one transaction and return their positions."""
        with self.turn() as turn:
            return turn.insert(rows)

    def _own_writer(self) -> sqlite3.Connection:
        """Return the connection that is kept for writing."""
        if self._writer is None:
            self._writer = self._writable(wait=0)
        return self._writer

    def appended(self, rows: Sequence[StoredEvent], connection: sqlite3.Connection) -> list[int]:
        """
        Append rows by a connection that is in a transaction, and return their positions.

        Raises:
            StoreError: The database did something else with them.
        """
        before = connection.total_changes
        if len(rows) == 1:
            last = connection.execute(_INSERT, _VALUES(rows[0])).lastrowid or 0
        else:
            values = list(map(_VALUES, rows))
            alone = len(rows) % _TOGETHER
            connection.executemany(_INSERT, values[:alone])
            for begin in range(alone, len(rows), _TOGETHER):
                several = values[begin : begin + _TOGETHER]
                connection.execute(_INSERT_TOGETHER, tuple(chain.from_iterable(several)))
            [last] = connection.execute("SELECT last_insert_rowid()").fetchone()
        if self._has_other_triggers(connection):
            return [self._stored(row, connection) for row in rows]
        if connection.total_changes - before != len(rows):
            raise self._disobeyed()
        # Nobody else writes meanwhile, so the positions of one transaction have no gaps.
        return list(range(last - len(rows) + 1, last + 1))

    def _has_other_triggers(self, connection: sqlite3.Connection) -> bool:
        """Say whether triggers that are not ours may do something else with a row."""
        [version] = connection.execute("PRAGMA schema_version").fetchone()
        if version != self._triggers[0]:
            others = any(kind != "index" for kind, _ in self._extras(connection))
            self._triggers = (version, others)
        return self._triggers[1]

    def _extras(self, connection: sqlite3.Connection) -> list[tuple[str, str]]:
        """Return what touches the table of events and is not a ledger's own."""
        from imcm.verifier import Unreadable, extras

        try:
            return extras(connection)
        except Unreadable as error:
            raise NotALedgerError(f"{self.reader.path}: {error}; {NOTHING}") from None

    def _stored(self, row: StoredEvent, connection: sqlite3.Connection) -> int:
        """Return where a row was stored, which is certain to be there as it was given."""
        statement = f"{_BY_STREAM} = ? AND originator_version = ?"
        there = connection.execute(statement, (row.stream, row.version)).fetchall()
        if [stored[1:] for stored in there] != [row[1:]]:
            raise self._disobeyed()
        position: int = there[0][0]
        return position

    def _disobeyed(self) -> StoreError:
        return StoreError(
            f"{self.reader.path}: the database did something else with what was to be stored; "
            f"look at its triggers (`imcm audit verify` names those that are not ours), {NOTHING}"
        )

    def _writable(self, *, wait: float) -> sqlite3.Connection:
        """Return a new connection that writes."""
        connection = sqlite3.connect(
            f"{self.reader.path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            timeout=wait,
            check_same_thread=False,
        )
        # What moves to another page leaves nothing behind: words may be taken out later.
        connection.execute("PRAGMA secure_delete = ON")
        return connection

    # --- reading ----------------------------------------------------------------------------------

    def rows(self, *, after: int = 0, upto: int | None = None) -> Iterator[StoredEvent]:
        """Yield rows in log order, in batches."""
        self._usable()
        return self.reader.rows(after=after, upto=upto)

    def tuples(self, *, after: int = 0, upto: int | None = None) -> Iterator[StoredTuple]:
        """Yield rows in log order as plain tuples, which is faster."""
        self._usable()
        return self.reader.tuples(after=after, upto=upto)

    def count(self, upto: int) -> int:
        """Return how many rows there are up to a position, included."""
        self._usable()
        return self.reader.count(upto)

    def newest(self, upto: int | None) -> int:
        """Return the position of the newest row up to a position; 0 where there is none."""
        self._usable()
        return self.reader.newest(upto)

    def holding(self, texts: Sequence[bytes], upto: int) -> set[str]:
        """Return the streams that have a state, up to a position, in which one of these stands."""
        self._usable()
        return self.reader.holding(texts, upto)

    def beside(self, stream: str, most: int) -> list[str]:
        """Return at most so many streams on each side of one, in the order of their names."""
        self._usable()
        return self.reader.beside(stream, most)

    def greatest(self, prefix: str) -> int:
        """Return the greatest number that follows a prefix in the name of a stream; 0 if none."""
        self._usable()
        return self.reader.greatest(prefix)

    def stream(self, stream: str) -> list[StoredEvent]:
        """Return the rows of one stream, with their positions."""
        self._usable()
        return self.reader.stream(stream)

    def streams(self, streams: Sequence[str]) -> dict[str, list[StoredEvent]]:
        """
        Return the rows of those of these streams that have any, with their positions.

        They are read by the connection that writes, where nobody writes: what it wrote leaves the
        pages it holds, while others have to read theirs again.
        """
        self._usable()
        if not self._writing.acquire(wait=False):
            return self.reader.streams(streams)
        try:
            return self.reader.streams(streams, self._writer)
        finally:
            self._writing.release()

    def positions(self, stream: str, rows: Sequence[StoredEvent]) -> list[int]:
        """Return the positions of a stream's rows, which they know."""
        return self.reader.positions(stream, rows)

    def close(self) -> None:
        """Close every connection, for reading and for writing."""
        self.reader.close()
        if os.getpid() != self._opened_in:
            return  # a child of a fork must not touch its parent's
        with self._writing:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            super().close()

    def backup(self, target: Path) -> None:
        """Copy the whole ledger, its newest events included, into a new file."""
        self._usable()
        self.reader.backup(target)

    # --- what an append-only log needs besides ----------------------------------------------------

    def rewrite(self, stream: str, choose: Rewriting) -> int | None:
        """Replace states of a stream and append a row that says so, in one transaction."""
        with self._changing() as connection:
            wanted = choose(self.reader.stream(stream, connection))
            if wanted is None:
                return None
            others = [name for kind, name in self._extras(connection) if kind != "index"]
            if others:
                # It may put words aside where nobody looks for them.
                raise StoreError(
                    f"{self.reader.path} has triggers that are not the ledger's: "
                    f"{', '.join(map(repr, others))}; drop them first, {NOTHING}"
                )
            changed, added = wanted
            guarded = self._unguarded(connection)
            for row, state in changed:
                connection.execute(
                    "UPDATE stored_events SET state = ? "
                    "WHERE originator_id = ? AND originator_version = ?",
                    (state, row.stream, row.version),
                )
            [position] = self.appended([added], connection)
            # What was done is looked at, and not what was asked: triggers can do anything.
            for row, state in changed:
                self._stored(row._replace(state=state), connection)
            self._stored(added, connection)
            self._guard_again(connection, guarded)
        return position

    def wiped(self) -> str:
        """
        Empty the write-ahead log, in which words stand until its pages are in the file.

        Somebody who has been reading since before keeps that from being done.
        """
        self._usable()
        path = self.reader.path
        with (
            self._writing,
            _sqlite_errors(path),
            closing(self._writable(wait=_WIPING)) as connection,
        ):
            [busy, *_] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return ""
        return (
            "words may still stand in the -wal file beside the ledger, since somebody is reading "
            "it; ask again when they are done"
        )

    @property
    def guarded(self) -> bool:
        """Whether the database itself refuses to change or delete rows."""
        return self.reader.is_guarded()

    def guard(self, *, on: bool) -> None:
        """Have the database refuse to change or delete rows, or let it again."""
        from imcm.verifier import APPEND_ONLY

        with self._changing() as connection:
            self._unguarded(connection)
            self._guard_again(connection, list(APPEND_ONLY) if on else [])

    @staticmethod
    def _unguarded(connection: sqlite3.Connection) -> list[str]:
        """Take away the triggers that make the file append-only, and return which there were."""
        from imcm.verifier import APPEND_ONLY

        there = [name for name, _ in _triggers_in(connection) if name in APPEND_ONLY]
        for name in there:
            connection.execute(f"DROP TRIGGER {name}")
        return there

    @staticmethod
    def _guard_again(connection: sqlite3.Connection, names: Iterable[str]) -> None:
        from imcm.verifier import APPEND_ONLY

        for name in names:
            connection.execute(APPEND_ONLY[name])

    @contextmanager
    def _changing(self) -> Generator[sqlite3.Connection]:
        """Give a connection in a transaction of its own; what it overwrites is wiped."""
        self._usable()
        path = self.reader.path
        with (
            self._writing,
            _sqlite_errors(path),
            closing(self._writable(wait=0)) as connection,
            _transaction(connection),
        ):
            yield connection


_WIPING: Final = 2
"""Seconds that emptying the write-ahead log waits for readers."""


def _triggers_in(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return the names and statements of the triggers on the table of events."""
    return connection.execute(
        "SELECT name, sql FROM sqlite_master "
        "WHERE type = 'trigger' AND lower(tbl_name) = 'stored_events'"
    ).fetchall()
