"""
A ledger in PostgreSQL: written through the recorder, read and filled by statements of our own.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, LiteralString, TypeVar

from imcm.codec.rows import StoredEvent
from imcm.domain.recorded import LARGEST
from imcm.errors import MissingExtraError, NotALedgerError, StoreError
from imcm.ledger.notifications import Listener
from imcm.ledger.store import (
    ASKED_AT_ONCE,
    BATCH,
    FARTHEST,
    NOES,
    NOTHING,
    SELF,
    AppendConflict,
    RecorderStore,
    Rewriting,
    greatest_number,
    not_empty,
)

if TYPE_CHECKING:
    from psycopg.sql import Composed

T = TypeVar("T")

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
        self._may_create = env.get("CREATE_TABLE", "").strip().lower() not in NOES
        super().__init__(env)
        self._may_create = False  # a server that lost the table has lost the log
        self._listener = _listener(self._recorder)

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
                _refuse_extraordinary(recorder)
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
                self._listener.renew()  # what it is connected to may be a server that was replaced
            return self._recorder

    def _is_lost(self, error: Exception) -> bool:
        """Say whether a call failed because the connection broke."""
        from eventsourcing.persistence import InterfaceError, OperationalError

        if not isinstance(error, (InterfaceError, OperationalError)):
            return False
        state = _state(error)
        return state is None or state.startswith("08") or state in _LOST

    @property
    def listener(self) -> Listener:
        """What tells of rows as they are appended, by any process."""
        return self._listener

    def close(self) -> None:
        """Close every connection."""
        if os.getpid() == self._opened_in:
            super().close()
            self._listener.close()

    # --- rows -------------------------------------------------------------------------------------

    def _inserted(self, stored: Sequence[Any]) -> Sequence[int] | None:
        """Append events in one transaction; a second try of what was stored is refused."""
        firsts: dict[str, int] = {}
        for event in stored:
            firsts.setdefault(event.originator_id, event.originator_version)
        # What each stream must hold for these events to follow: a server that took over may have
        # lost what they were decided on.
        before = [(stream, first - 1) for stream, first in firsts.items() if first > 1]
        values = [(e.originator_id, e.originator_version, e.topic, e.state) for e in stored]

        def insert(recorder: Any) -> Sequence[int]:
            from psycopg.sql import SQL

            table = _table(recorder)
            there = SQL(
                "SELECT 1 AS there FROM {} WHERE originator_id = %s AND originator_version = %s"
            ).format(table)
            append = SQL(
                "INSERT INTO {} (originator_id, originator_version, topic, state) "
                "VALUES (%s, %s, %s, %s) RETURNING notification_id"
            ).format(table)
            positions: list[int] = []
            with _appending(recorder) as at:
                for stream, version in before:
                    if at.execute(there, (stream, version)).fetchone() is None:
                        raise AppendConflict(f"{stream} has no version {version}", broken=True)
                at.executemany(append, values, returning=True)
                while True:
                    # What a trigger or a rule swallowed returns nothing.
                    returned = at.fetchone()
                    positions += [] if returned is None else returned.values()
                    if not at.nextset():
                        break
                _refuse_disobedience(at, recorder, positions, values)
            return positions

        return self._tried(insert)

    def rows(self, *, after: int = 0, upto: int | None = None) -> Iterator[StoredEvent]:
        """Yield rows in log order, in batches."""
        # The end is looked for here: given both ends of a range, a server that has not yet
        # counted the table may sort all that is left of it for each batch.
        where: Final = "notification_id > %s ORDER BY notification_id LIMIT %s"
        after, last = max(after, 0), LARGEST if upto is None else min(upto, LARGEST)
        self._refuse_begin()
        while after < last:
            batch = self._rows_where(where, (after, BATCH))
            for row in batch:
                if row.position > last:
                    return
                yield row
            if len(batch) < BATCH:
                return
            after = batch[-1].position

    def stream(self, stream: str) -> list[StoredEvent]:
        """Return the rows of one stream, with their positions."""
        return self._rows_where("originator_id = %s ORDER BY originator_version", (stream,))

    def streams(self, streams: Sequence[str]) -> dict[str, list[StoredEvent]]:
        """Return the rows of those of these streams that have any, asking for many at a time."""
        by_stream: dict[str, list[StoredEvent]] = {}
        where: Final = "originator_id = ANY(%s) ORDER BY originator_id, originator_version"
        for begin in range(0, len(streams), ASKED_AT_ONCE):
            for row in self._rows_where(where, (list(streams[begin : begin + ASKED_AT_ONCE]),)):
                by_stream.setdefault(row.stream, []).append(row)
        return by_stream

    def count(self, upto: int) -> int:
        """Return how many rows there are up to a position, included."""
        counting: Final = "SELECT count(*) FROM {} WHERE notification_id <= %s"
        [(count,)] = self._answers(counting, (min(upto, LARGEST),))
        return int(count)

    def newest(self, upto: int | None) -> int:
        """Return the position of the newest row up to a position; 0 where there is none."""
        # Rows are appended under a lock of the table, so none comes in front of one that is seen.
        where: Final = "notification_id <= %s ORDER BY notification_id DESC LIMIT 1"
        self._refuse_begin()
        rows = self._rows_where(where, (LARGEST if upto is None else min(upto, LARGEST),))
        return rows[0].position if rows else 0

    def holding(self, texts: Sequence[bytes], upto: int) -> set[str]:
        """Return the streams that have a state, up to a position, in which one of these stands."""
        if not self.is_plain:
            return super().holding(texts, upto)
        self._refuse_begin()
        asking: Final = (
            "SELECT DISTINCT originator_id FROM {} "
            "WHERE notification_id <= %s AND position(%s::bytea IN state) > 0"
        )
        asked = [self._answers(asking, (min(upto, LARGEST), text)) for text in texts]
        return {stream for answers in asked for (stream,) in answers}

    def _answers(
        self, statement: LiteralString, parameters: tuple[object, ...]
    ) -> list[tuple[Any, ...]]:
        """Return what a statement that names the table of events as {} answers."""
        from psycopg.sql import SQL

        asking = SQL(statement).format(_table(self._recorder))
        with self._errors():
            return self._tried(partial(_asked, statement=asking, parameters=parameters))

    def _refuse_begin(self) -> None:
        """Refuse a row in front of the log, which reading in its order would pass over."""
        self._rows_where("notification_id < 1 LIMIT 1", ())

    def beside(self, stream: str, most: int) -> list[str]:
        """Return at most so many streams on each side of one, in the order of their names."""
        behind: Final = (
            "SELECT DISTINCT originator_id FROM {} WHERE originator_id > %s "
            "ORDER BY originator_id ASC LIMIT %s"
        )
        before: Final = (
            "SELECT DISTINCT originator_id FROM {} WHERE originator_id < %s "
            "ORDER BY originator_id DESC LIMIT %s"
        )
        asked = [self._answers(asking, (stream, most)) for asking in (behind, before)]
        return [name for answers in asked for (name,) in answers]

    def greatest(self, prefix: str) -> int:
        """Return the greatest number that follows a prefix in the name of a stream; 0 if none."""
        asking: Final = (
            "SELECT originator_id FROM {} "
            "WHERE originator_version = 1 AND starts_with(originator_id, %s)"
        )
        return greatest_number(prefix, (name for (name,) in self._answers(asking, (prefix,))))

    def positions(self, stream: str, rows: Sequence[StoredEvent]) -> list[int]:
        """Return the positions of a stream's rows, which they know."""
        return [row.position for row in rows]

    def _rows_where(
        self, where: LiteralString, parameters: tuple[object, ...]
    ) -> list[StoredEvent]:
        with self._errors():
            rows = self._tried(lambda recorder: _selected(recorder, where, parameters))
        for row in rows:
            if not 1 <= row.position <= FARTHEST or None in row:
                raise NotALedgerError(
                    f"position {row.position} ({row.stream} version {row.version}) is no stored "
                    "event of a log, which begins at 1; the table was damaged or altered, restore "
                    "a backup"
                )
        if self.is_plain:
            return rows
        return [row._replace(state=self._unpacked(row.state)) for row in rows]

    def fill(self, rows: Iterable[StoredEvent]) -> None:
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
                with _appending(recorder) as at:
                    there = SQL("SELECT 1 FROM {} LIMIT 1").format(_table(recorder))
                    if at.execute(there).fetchone():
                        raise not_empty()
                    count = 0
                    with at.copy(copying) as copy:
                        copy.set_types(["text", "int8", "text", "bytea"])
                        for row in rows:
                            state = self._packed(row.state)
                            copy.write_row((row.stream, row.version, row.type, state))
                            count += 1
                    if at.rowcount != count:
                        raise _disobeyed()
            except IntegrityError as error:
                raise AppendConflict(self._without_secrets(error), broken=False) from error

    def wait_until_durable(self) -> None:
        """Return when what was read is as safe as what is committed now, standbys included."""
        from psycopg.sql import SQL

        # A session that is ended while it waits for its standby leaves what it committed visible.
        # A commit of anything waits behind it.
        emit = SQL("SELECT pg_logical_emit_message(true, 'imcm', '')")

        def commit(recorder: Any) -> None:
            with recorder.datastore.transaction(commit=True) as at:
                at.execute(emit)

        with self._errors():
            self._tried(commit)

    # --- what an append-only log needs besides ----------------------------------------------------

    def rewrite(self, stream: str, choose: Rewriting) -> int | None:
        """Replace states of a stream and append a row that says so, in one transaction."""
        from psycopg.sql import SQL

        self._usable()
        recorder = self._recorder
        table = _table(recorder)
        select = _select(recorder, "originator_id = %s ORDER BY originator_version")
        update = SQL(
            "UPDATE {} SET state = %s WHERE originator_id = %s AND originator_version = %s"
        ).format(table)
        insert = SQL(
            "INSERT INTO {} (originator_id, originator_version, topic, state) "
            "VALUES (%s, %s, %s, %s) RETURNING notification_id"
        ).format(table)
        with self._errors(), _appending(recorder) as at:
            at.execute(select, (stream,))
            wanted = choose([StoredEvent._make(row.values()) for row in at.fetchall()])
            if wanted is None:
                return None
            changed, added = wanted
            guarded = _has_guards(at, recorder)
            if guarded:
                _guard(at, recorder, on=False)
            for row, state in changed:
                at.execute(update, (state, row.stream, row.version))
            at.execute(insert, tuple(added[1:]))
            returned = at.fetchone()
            positions = [] if returned is None else list(returned.values())
            # What was done is looked at, and not what was asked: triggers can do anything.
            after = [(row.stream, row.version, row.type, state) for row, state in changed]
            _refuse_disobedience(
                at,
                recorder,
                [*(row.position for row, _ in changed), *positions],
                [*after, tuple(added[1:])],
            )
            if guarded:
                _guard(at, recorder, on=True)
        return int(positions[0])

    @property
    def guarded(self) -> bool:
        """Whether the database itself refuses to change, delete or truncate rows."""
        self._usable()
        with self._errors(), self._recorder.datastore.transaction(commit=False) as at:
            return _is_guarded(at, self._recorder)

    def guard(self, *, on: bool) -> None:
        """Have the database refuse to change, delete or truncate rows, or let it again."""
        self._usable()
        with self._errors(), self._recorder.datastore.transaction(commit=True) as at:
            _guard(at, self._recorder, on=False)
            if on:
                _guard(at, self._recorder, on=True)

    def _failed(self, error: Exception) -> StoreError:
        message = self._without_secrets(error)
        if self._is_lost(error):
            return StoreError(f"PostgreSQL can't be reached: {message}")
        if _state(error) == _LOCKED:
            return StoreError(f"another process holds the log ({message}); try again, {NOTHING}")
        return StoreError(f"PostgreSQL refuses: {message}; {NOTHING}")


def _state(error: Exception) -> str | None:
    """Return the SQLSTATE that PostgreSQL gave an error, if it is PostgreSQL that gave it."""
    state: str | None = getattr(error.__cause__, "sqlstate", None)
    return state


def _table(recorder: Any) -> Any:
    from psycopg.sql import Identifier

    return Identifier(recorder.datastore.schema, recorder.events_table_name)


def _select(recorder: Any, where: LiteralString) -> Composed:
    """Return the statement that selects rows, with their fields in the order of `StoredEvent`."""
    from psycopg.sql import SQL

    statement = SQL(
        "SELECT notification_id, originator_id, originator_version, topic, state FROM {} WHERE "
    ).format(_table(recorder))
    return statement + SQL(where)


def _selected(
    recorder: Any, where: LiteralString, parameters: tuple[object, ...]
) -> list[StoredEvent]:
    from psycopg.rows import tuple_row

    with (
        recorder.datastore.get_connection() as connection,
        connection.cursor(row_factory=tuple_row, binary=True) as cursor,
    ):
        rows = cursor.execute(_select(recorder, where), parameters).fetchall()
    return [StoredEvent._make(row) for row in rows]


def _asked(recorder: Any, statement: Any, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
    from psycopg.rows import tuple_row

    with (
        recorder.datastore.get_connection() as connection,
        connection.cursor(row_factory=tuple_row) as cursor,
    ):
        answer: list[tuple[Any, ...]] = cursor.execute(statement, parameters).fetchall()
    return answer


def _reach(pool: Any) -> None:
    """
    Connect, once besides the pool to be told what is wrong: the pool only says that it waited.

    Raises:
        OperationalError: The server can't be reached, or does not let us in.
    """
    import psycopg
    from eventsourcing.persistence import OperationalError

    try:
        _connected(pool).close()
        pool.open(wait=True, timeout=pool.timeout)  # asked before it is ready, it would grow
    except psycopg.Error as error:
        raise OperationalError(str(error)) from error


def _connected(pool: Any) -> Any:
    """Return a connection as the pool would make it, which is not the pool's."""
    import psycopg

    given = dict(pool.kwargs)
    if pool.get_password_func is not None:
        given["password"] = pool.get_password_func()
    return psycopg.connect(**given, autocommit=True)


@contextmanager
def _appending(recorder: Any) -> Generator[Any]:
    """
    Give a transaction that has the turn to append, and notify those who follow after its commit.

    In the transaction NOTIFY would hold a lock of the whole server until the commit is on disk and
    on the standby, so that ledgers side by side would record one after the other. A notification
    that is lost, since this process ends in between, is one that nobody depends on.

    The channel is that of the recorder, on which its own subscriptions listen. It is one for the
    whole database, so the schema is said, and who follows a ledger in another one sleeps on.
    """
    import psycopg
    from psycopg.sql import SQL, Identifier, Literal

    channel, schema = Identifier(recorder.channel_name), Literal(recorder.datastore.schema)
    with recorder.datastore.get_connection() as connection:
        with connection.transaction():
            at = connection.cursor()
            # In one trip to the server, as notifying is one more; several can't be prepared.
            at.execute(SQL("; ").join(recorder.lock_table_statements), prepare=False)
            yield at
        with suppress(psycopg.Error):  # what was appended is there all the same
            connection.execute(SQL("NOTIFY {}, {}").format(channel, schema))


def _listener(recorder: Any) -> Listener:
    """Return what is notified of appends; it connects when somebody follows."""
    from psycopg.sql import SQL, Identifier

    datastore = recorder.datastore
    pool = datastore.pool
    listen = SQL("LISTEN {}").format(Identifier(recorder.channel_name))

    def connect() -> Any:
        connection = _connected(pool)
        try:
            connection.execute(listen)
        except BaseException:
            connection.close()
            raise
        return connection

    # The recorder itself, where somebody uses it beside us, says nothing of the schema.
    return Listener(connect, frozenset({b"", datastore.schema.encode()}))


def _close_well(datastore: Any) -> None:
    """
    Have the connections closed when they are done with, at the end of the process at the latest.

    Only in the process that opened them: a forked child would end the sessions of its parent.
    """
    # Bound here: when the interpreter ends, modules may be emptied before this is called.
    getpid, opened_in, pool = os.getpid, os.getpid(), datastore.pool

    def close() -> None:
        if getpid() == opened_in:
            pool.close(timeout=1)  # its threads may be waiting for a server that is gone

    datastore.close = close
    weakref.finalize(datastore, close)


_GUARDS: Final[Mapping[LiteralString, LiteralString]] = {
    "imcm_no_change": "BEFORE UPDATE OR DELETE ON {} FOR EACH ROW",
    "imcm_no_truncate": "BEFORE TRUNCATE ON {} FOR EACH STATEMENT",
}
"""Triggers that make a PostgreSQL ledger append-only. A belt: who owns the table can drop it."""


def _refuse_extraordinary(recorder: Any) -> None:
    """
    Refuse a table of events that shows something else than the rows that were put in.

    Raises:
        NotALedgerError: It is a view, a partitioned or inherited table, has rules, or row-level
            security.
    """
    from psycopg.rows import tuple_row

    datastore = recorder.datastore
    with (
        datastore.get_connection() as connection,
        connection.cursor(row_factory=tuple_row) as cursor,
    ):
        relation = cursor.execute(
            "SELECT c.relkind::text, c.relrowsecurity, c.relispartition, "
            "EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.ev_class = c.oid), "
            "EXISTS (SELECT 1 FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)) "
            "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relname = %s",
            (datastore.schema, recorder.events_table_name),
        ).fetchone()
    if relation is None:
        return  # which selecting from it says
    kind, *oddities = relation
    words = ("has row-level security", "is a partition", "has rules", "inherits")
    odd = [word for word, is_so in zip(words, oddities, strict=True) if is_so]
    if kind != "r":
        odd.insert(0, f"is a {_RELATIONS.get(kind, kind)}")
    if odd:
        raise NotALedgerError(
            f"the table of events {' and '.join(odd)}, so what it shows can change without an "
            "event; a ledger has one ordinary table"
        )


_RELATIONS: Final = {
    "v": "view",
    "m": "materialized view",
    "p": "partitioned table",
    "f": "foreign table",
}


def _refuse_disobedience(
    at: Any, recorder: Any, positions: Sequence[int], values: Sequence[tuple[Any, ...]]
) -> None:
    """
    Refuse that rows of this transaction are not there as they were given.

    Raises:
        StoreError: They are not.
    """
    from psycopg.sql import SQL

    select = SQL(
        "SELECT originator_id, originator_version, topic, sha256(state) AS hash FROM {} "
        "WHERE notification_id = ANY(%s)"
    ).format(_table(recorder))
    at.execute(select, (list(positions),))
    there = {tuple(row.values()) for row in at.fetchall()}
    wanted = {(*names, hashlib.sha256(state).digest()) for *names, state in values}
    if there != wanted:
        raise _disobeyed()


def _disobeyed() -> StoreError:
    return StoreError(
        "the database did something else with what was to be stored; look at its triggers, "
        f"{NOTHING}"
    )


_REFUSING: Final = "BEGIN RAISE EXCEPTION 'the log is append-only'; END"


def _has_guards(at: Any, recorder: Any) -> bool:
    """Say whether any of our triggers is there."""
    return bool(_guards_in(at, recorder))


def _is_guarded(at: Any, recorder: Any) -> bool:
    """Say whether all of our triggers are there, always fire, and refuse."""
    guards = _guards_in(at, recorder)
    return guards == dict.fromkeys(_GUARDS, ("A", _REFUSING))


def _guards_in(at: Any, recorder: Any) -> dict[str, tuple[str, str]]:
    """Return our triggers by name: when they fire, and what they do."""
    from psycopg.sql import SQL

    datastore = recorder.datastore
    triggers = at.execute(
        SQL(
            "SELECT t.tgname AS name, t.tgenabled::text AS enabled, p.prosrc AS does "
            "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_proc p ON p.oid = t.tgfoid "
            "WHERE n.nspname = %s AND c.relname = %s AND t.tgname = ANY(%s)"
        ),
        (datastore.schema, recorder.events_table_name, list(_GUARDS)),
    )
    return {row["name"]: (row["enabled"], row["does"]) for row in triggers.fetchall()}


def _guard(at: Any, recorder: Any, *, on: bool) -> None:
    from psycopg.sql import SQL, Identifier

    table = _table(recorder)
    refuse = Identifier(recorder.datastore.schema, "imcm_refuse_change")
    if on:
        at.execute(
            SQL(
                "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS "
                "$$" + _REFUSING + "$$"
            ).format(refuse)
        )
    for name, when in _GUARDS.items():
        if on:
            create = SQL("CREATE TRIGGER {} " + when + " EXECUTE FUNCTION {}()")
            at.execute(create.format(Identifier(name), table, refuse))
            # Else a session that plays a replica would pass by.
            always = SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}")
            at.execute(always.format(table, Identifier(name)))
        else:
            at.execute(SQL("DROP TRIGGER IF EXISTS {} ON {}").format(Identifier(name), table))
    if not on:
        at.execute(SQL("DROP FUNCTION IF EXISTS {}()").format(refuse))
