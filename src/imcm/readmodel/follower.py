"""
Followers: what stays current as events are recorded, by whatever process.

A read model is kept in a SQLite file of its own, never in the ledger's. Rows and the position they
are made up to are committed together, so every event is applied exactly once, whoever is killed
when. The position carries the leaf of the event at it: where the log is another one, was cut,
renumbered or damaged there, the model is thrown away and made again. It is derived, and can be
deleted at any time.
"""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from imcm import verifier
from imcm.codec.rows import StoredEvent
from imcm.domain.recorded import checked_position
from imcm.domain.vocabulary import checked_function, checked_number, is_among
from imcm.errors import InvalidValue, StoreError
from imcm.files import checked_path, made_private
from imcm.ledger.reading import LedgerReader, waiter_of
from imcm.ledger.store import LOCK_WAIT_SECONDS, TUPLES
from imcm.ledger.waiting import checked_seconds, checked_stop, is_busy, once_free

__all__ = [
    "Follower",
    "Model",
]


BATCH: Final = 20_000
"""Events that are applied at once."""

BATCHES: Final = 25
"""So many batches are one transaction: what changes in several of them is written once."""

APPLICATION_ID: Final = int.from_bytes(b"imcm", "big")
"""What SQLite keeps in the head of a file to say whose it is."""

IN_MEMORY: Final = ":memory:"
"""The path of a model that lives as long as its follower."""


class Model(Protocol):
    """
    What a follower keeps.

    Attributes:
        name: Says what is kept and in which form; another name makes it again.
    """

    name: str

    def create(self, connection: sqlite3.Connection) -> None:
        """Make the empty tables, inside a transaction; those that are there were dropped."""
        ...

    def resume(self, connection: sqlite3.Connection, position: int) -> None:
        """
        Go on from what is kept up to *position*, perhaps by another process.

        Called before the first events of a transaction are applied.
        """
        ...

    def apply(self, connection: sqlite3.Connection, rows: Sequence[StoredEvent]) -> None:
        """Apply the next events, in log order, inside the transaction that moves the position."""
        ...

    def save(self, connection: sqlite3.Connection, *, more: bool) -> None:
        """
        Write what was applied and is not written yet, before the transaction ends.

        Args:
            more: Whether more is to come at once.
        """
        ...


_OWN: Final = """
    CREATE TABLE IF NOT EXISTS imcm_follower (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        model TEXT NOT NULL, ledger TEXT NOT NULL, position INTEGER NOT NULL, leaf BLOB NOT NULL
    )
"""


_MOMENT: Final = 0.1
"""Seconds that SQLite itself waits for others; all else is waited for here, to be interrupted."""

_PAUSE: Final = 0.005, 0.05
"""Seconds between two looks at a file that others hold, at least and at most."""


class FileHeld(StoreError):
    """Another process holds the file of a model, and goes on doing so."""


def caught_up(
    ledger: LedgerReader, catch_up: Callable[[], int], every: float, stop: threading.Event | None
) -> Iterator[int]:
    """
    Yield how many events were applied each time, without end; see `Follower.run`.

    Args:
        ledger: What is followed.
        catch_up: Applies what is new and says how much that was, without waiting for others.
    """
    every, stop = checked_seconds("every", every), checked_stop(stop)
    is_new = False
    with waiter_of(ledger, every) as waiter:
        while not stop.is_set():
            try:
                applied = catch_up()
            except FileHeld:
                stop.wait(random.uniform(*_PAUSE))  # noqa: S311 (no secret)
                continue
            yield applied
            is_new = is_new or applied > 0
            if not applied:
                waiter.wait(stop, is_new=is_new)
                is_new = False


class Follower:
    """
    Keeps a model current with a ledger, exactly once for each event.

    Any number of processes may follow with the same file: they take turns, and none applies what
    another has applied.

    Args:
        path: The file of the model; made where it is not there. Never the ledger's own.
        ledger: What to follow. It is only read, and no writer ever waits for a follower.
        model: What to keep.
        progress: Is told, batch by batch, how many events were applied since it began to catch up.
        batch: Events applied at once.
        batches: Of these, how many make one transaction.
        rebuild: Whether a model that does not fit the log is made again; else that is an error.
        begin: Where a new model begins: behind the event at this position, or "now", behind what
            there is. Default: with the first event.

    Raises:
        StoreError: The file can't be opened, or is another database.
    """

    def __init__(
        self,
        path: str | Path,
        ledger: LedgerReader,
        model: Model,
        *,
        progress: Callable[[int], object] | None = None,
        batch: int = BATCH,
        batches: int = 1,
        rebuild: bool = True,
        begin: int | Literal["now"] = 0,
    ) -> None:
        if checked_number("batch", batch) < 1:
            raise InvalidValue("batch", batch, "at least one event in a transaction")
        if checked_number("batches", batches) < 1:
            raise InvalidValue("batches", batches, "at least one batch in a transaction")
        if not isinstance(ledger, LedgerReader):
            raise InvalidValue("ledger", ledger, "give a Ledger or a LedgerReader")
        if progress is not None:
            checked_function("progress", progress)
        self._batch = batch
        self._batches = batches
        self._rebuild = rebuild
        now = is_among(begin, {"now"})
        self._start: int | Literal["now"] = "now" if now else checked_position("begin", begin)
        self._ours = False  # whether the file is known to be one of ours
        self._ahead: list[StoredEvent] = []
        self._before = 0
        self._path = checked_path("path", path)
        self._ledger = ledger
        self._model = model
        self._progress = progress
        self.rebuilt = 0
        """How many times this object had to make the model again from nothing."""
        if str(self._path) != IN_MEMORY:
            made_private(self._path)
        with self.errors():
            self.connection = sqlite3.connect(
                self._path,
                isolation_level=None,
                timeout=_MOMENT,
                check_same_thread=False,
            )
            try:
                self._begin()
            except BaseException:
                self.connection.close()
                raise

    def _begin(self) -> None:
        run = self.connection.execute
        # It stands in the head of the file, and is read even where all else is damaged.
        [application] = run("PRAGMA application_id").fetchone()
        self._ours = application == APPLICATION_ID
        try:
            names = set(once_free(self._names, seconds=LOCK_WAIT_SECONDS, pause=_PAUSE))
        except UnicodeDecodeError as error:
            why = "it is damaged, or no file of a follower; name a new file"
            raise StoreError(f"{self._path}: {error}; {why}") from None
        if names and "imcm_follower" not in names:
            raise StoreError(f"{self._path} is a database of something else; name a new file")
        self._ours = self._ours or bool(names)
        self._write_ahead()
        # What is lost with the power is derived, and followed again from the position before.
        run("PRAGMA synchronous = NORMAL")

    def _names(self) -> list[str]:
        """Return the names of what is in the file, which another process may just be making."""
        found = self.connection.execute("SELECT name FROM sqlite_master").fetchall()
        return [name for (name,) in found]

    def _write_ahead(self) -> None:
        """Choose the journal in which readers and one writer don't wait for each other."""
        choose = partial(self.connection.execute, "PRAGMA journal_mode = WAL")
        # In a new file SQLite does not wait for others who do the same.
        once_free(choose, seconds=LOCK_WAIT_SECONDS, pause=(0.005, 0.05))

    @contextmanager
    def errors(self) -> Generator[None]:
        """Say of errors of the file what to do."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if isinstance(error, sqlite3.OperationalError) and is_busy(error):
                message = f"{self._path}: another process holds it; ask again when that is done"
                raise FileHeld(message) from error
            # Never told of a file that may be somebody's only one.
            if self._ours and self._rebuild:
                advice = "it is derived: delete it, and it is made again"
            elif self._ours:
                advice = "it says how far deliveries are: restore it, or name a new file"
            else:
                advice = "it is no file of a follower; name a new file"
            raise StoreError(f"{self._path}: {error}; {advice}") from error

    @contextmanager
    def _transaction(self, patience: float) -> Generator[sqlite3.Connection]:
        run = self.connection.execute
        with self.errors():
            begin = partial(run, "BEGIN IMMEDIATE")
            once_free(begin, seconds=patience, pause=_PAUSE)
            try:
                yield self.connection
                run("COMMIT")
            except BaseException:
                if self.connection.in_transaction:  # a full disk ends it by itself
                    run("ROLLBACK")
                raise

    @property
    def position(self) -> int:
        """The log position up to which everything is applied; 0 where nothing is yet."""
        with self.errors():
            return self._stand()[0]

    @contextmanager
    def snapshot(self) -> Generator[int]:
        """Give the position up to which everything is applied that is read within the block."""
        run = self.connection.execute
        with self.errors():
            run("BEGIN")
            try:
                yield self._stand()[0]
                run("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    run("ROLLBACK")
                raise

    def _stand(self) -> tuple[int, bytes]:
        run = self.connection.execute
        if not run("SELECT 1 FROM sqlite_master WHERE name = 'imcm_follower'").fetchone():
            return 0, b""
        kept = run(
            "SELECT position, leaf FROM imcm_follower WHERE model = ? AND ledger = ?",
            (self._model.name, self._ledger.ledger_id),
        ).fetchone()
        return (0, b"") if kept is None else (kept[0], kept[1])

    def _next(self, position: int) -> list[StoredEvent]:
        """Return the next rows behind a position; small batches are fetched several at once."""
        if not self._ahead or self._before != position:
            # What was fetched before stays right: rows are only ever added behind it.
            fetched = max(self._batch, TUPLES)
            self._ahead = list(islice(self._ledger.rows(after=position), fetched))
        batch, self._ahead = self._ahead[: self._batch], self._ahead[self._batch :]
        self._before = batch[-1].position if batch else position
        return batch

    def _fits(self, position: int, leaf: bytes) -> bool:
        """Say whether the event at a position is still the one that was applied last."""
        rows = list(self._ledger.rows(after=position - 1, upto=position))
        return [leaf] == [_leaf(row) for row in rows]

    def catch_up(self, *, patience: float = LOCK_WAIT_SECONDS) -> int:
        """
        Apply what was recorded since, and return how many events that were.

        Args:
            patience: How many seconds to wait for another process that holds the model's file.

        Raises:
            StoreError: The ledger or the model's file can't be read or written, or another process
                holds the file for longer than that.
        """
        patience = checked_seconds("patience", patience)
        applied = 0
        checked = False
        while True:
            with self._transaction(patience) as connection:
                position, leaf = self._stand()
                if not checked and not (position and self._fits(position, leaf)):
                    if position and not self._rebuild:
                        raise StoreError(
                            f"{self._path}: the event at position {position} is not the one that "
                            "was there before; the log is another one, or was altered"
                        )
                    position = self._empty(connection)
                checked = True
                more, moved = True, False
                for _ in range(self._batches):
                    batch = self._next(position)
                    if batch:
                        if not moved:  # where nothing is new, nothing of the model need be read
                            self._model.resume(connection, position)
                        moved = True
                        self._model.apply(connection, batch)
                        position, leaf = batch[-1].position, _leaf(batch[-1])
                        applied += len(batch)
                        if self._progress is not None:
                            self._progress(applied)
                    more = len(batch) == self._batch
                    if not more:
                        break
                if moved:
                    self._model.save(connection, more=more)
                    connection.execute(
                        "UPDATE imcm_follower SET position = ?, leaf = ?", (position, leaf)
                    )
            if not more:
                self._ahead = []
                return applied

    def _empty(self, connection: sqlite3.Connection) -> int:
        self.rebuilt += 1
        self._ours = True
        things = connection.execute(
            "SELECT type, name FROM sqlite_master "
            "WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY type DESC"
        ).fetchall()
        for type_, name in things:
            quoted = name.replace('"', '""')
            connection.execute(f'DROP {type_.upper()} "{quoted}"')
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
        connection.execute(_OWN)
        connection.execute(
            "INSERT INTO imcm_follower VALUES (1, ?, ?, 0, x'')",
            (self._model.name, self._ledger.ledger_id),
        )
        self._model.create(connection)
        begin = self._ledger.begin_after(self._start)
        if begin:
            rows = list(self._ledger.rows(after=begin - 1, upto=begin))
            if not rows:
                raise InvalidValue("begin", begin, 'the position of an event, or "now"')
            connection.execute(
                "UPDATE imcm_follower SET position = ?, leaf = ?", (begin, _leaf(rows[0]))
            )
        return begin

    def run(self, *, every: float = 1.0, stop: threading.Event | None = None) -> Iterator[int]:
        """
        Catch up again and again, without end; yield how many events were applied each time.

        Another process that holds the model's file is waited for, however long that takes.

        Args:
            every: Seconds to wait before looking again when there was nothing new. In PostgreSQL an
                append wakes it, and it looks by itself after a minute, or after *every* if longer.
            stop: Set it, from any thread, to end the iteration.
        """
        return filter(None, caught_up(self._ledger, lambda: self.catch_up(patience=0), every, stop))

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()


def _leaf(row: StoredEvent) -> bytes:
    return verifier.leaf_hash(row.stream, row.version, row.type, row.state)
