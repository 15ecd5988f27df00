"""Followers of a ledger in PostgreSQL: asleep until something is appended, and no longer."""

import asyncio
import json
import os
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

import imcm
from imcm import Follower, Ledger, LedgerReader, deliver, incident
from imcm.errors import LedgerClosedError, StoreError
from imcm.ledger import notifications, waiting

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=1)
NEVER = 1_000_000  # seconds: who is to look again so late is only ever woken

OTHER_PROCESS = """
import json, sys
from datetime import UTC, datetime
from imcm import Ledger, incident
with Ledger.configured(json.loads(sys.argv[1])) as ledger:
    print("ready", flush=True)
    for id in sys.stdin:
        at = datetime(2026, 3, 1, tzinfo=UTC)
        ledger.record(id.strip(), incident.detect, by="a", at=at, title="down")
        print("recorded", flush=True)
"""


def opened(settings, **more):
    return Ledger.configured({**settings, **more}, clock=lambda: NOW)


def detected(ledger, id):
    [recorded] = ledger.record(id, incident.detect, by="ana", at=AT, title="down")
    return recorded


def until(true, seconds=30):
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def listening(server):
    """The sessions that listen: they ask nothing else."""
    found = server.sql("SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    return [pid for (pid,) in found]


def threads():
    return [one for one in threading.enumerate() if one.name == "imcm-listener"]


def silent(server, seconds):
    """Say whether no session asks the server for anything meanwhile; only its own word counts."""
    [(begin,)] = server.sql("SELECT clock_timestamp()")
    time.sleep(seconds)
    asked = "SELECT query FROM pg_stat_activity WHERE query_start > %s AND pid <> pg_backend_pid()"
    return not server.sql(asked, begin)


def until_silent(server):
    """Wait until all that follow have looked and gone to sleep."""
    until(lambda: listening(server) and silent(server, 0.3))


def put_in(server, settings, id):
    """Put an event into the table as somebody does who notifies nobody."""
    table = f"{settings['POSTGRES_SCHEMA']}.stored_events"
    server.sql(
        f"INSERT INTO {table} (originator_id, originator_version, topic, state) "
        f"SELECT 'incident:' || %s, 1, topic, state FROM {table} "
        "WHERE topic = 'IncidentDetected' ORDER BY notification_id LIMIT 1",
        id,
    )


class Followed:
    """Somebody who follows in a thread, what they saw, and what ended them."""

    def __init__(self, ledger, follow=None, **more):
        self.ids, self.error, self.stop = [], None, threading.Event()
        more = {"every": NEVER, **more}
        self._thread = threading.Thread(target=self._run, args=(ledger, follow, more))
        self._thread.start()

    def _run(self, ledger, follow, more):
        try:
            if follow is not None:
                follow(self)
                return
            for recorded in ledger.follow(stop=self.stop, **more):
                self.ids.append(recorded.id)
        except StoreError as error:
            self.error = error

    def saw(self, id):
        until(lambda: id in self.ids or self.error)
        assert self.error is None

    def ended(self):
        self._thread.join(10)
        return not self._thread.is_alive()


@contextmanager
def follows(ledger, follow=None, **more):
    followed = Followed(ledger, follow, **more)
    try:
        yield followed
    finally:
        followed.stop.set()
        assert followed.ended()


@pytest.fixture
def book(settings):
    with opened(settings) as ledger:
        detected(ledger, "INC-1")
        yield ledger


@pytest.fixture(autouse=True)
def nothing_is_left(server):
    """After every test there is neither a thread that listens nor a session."""
    yield
    until(lambda: not threads())
    server.start()
    until(lambda: not listening(server))


class Ids:
    """A model that keeps the streams it saw."""

    name = "ids"

    def __init__(self, followed):
        self._followed = followed

    def create(self, connection):
        pass

    def resume(self, connection, position):
        pass

    def apply(self, connection, rows):
        self._followed.ids.extend(row.stream.partition(":")[2] for row in rows)

    def save(self, connection, *, more):
        pass


def by_follow(reader, folder, followed):
    for recorded in reader.follow(stop=followed.stop):
        followed.ids.append(recorded.id)


def by_afollow(reader, folder, followed):
    async def see():
        async for recorded in reader.afollow():
            followed.ids.append(recorded.id)

    async def main():
        task = asyncio.create_task(see())
        await asyncio.to_thread(followed.stop.wait)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())


def by_deliver(reader, folder, followed):
    def see(recorded):
        followed.ids.append(recorded.id)

    deliver(reader, folder / "delivered.db", see, stop=followed.stop)


def by_adeliver(reader, folder, followed):
    async def see(recorded):
        followed.ids.append(recorded.id)

    async def main():
        task = asyncio.create_task(imcm.adeliver(reader, folder / "adelivered.db", see))
        await asyncio.to_thread(followed.stop.wait)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())


def by_follower(reader, folder, followed):
    with Follower(folder / "model.db", reader, Ids(followed)) as follower:
        for _ in follower.run(stop=followed.stop):
            pass


def by_views(reader, folder, followed):
    with imcm.views(reader, folder / "views.db") as views:
        for _ in views.run(stop=followed.stop):
            followed.ids[:] = [one.id for one in views.incidents()]


ALL = [by_follow, by_afollow, by_deliver, by_adeliver, by_follower, by_views]


class TestAsleep:
    def test_nobody_asks_for_anything_until_another_process_appends(
        self, server, settings, book, process, tmp_path
    ):
        """All ways to follow, as they are by default, in one process: one session listens."""
        other = process("-c", OTHER_PROCESS, json.dumps(settings))
        assert other.stdout.readline() == "ready\n"
        with LedgerReader.configured(settings) as reader:
            all_ = [Followed(reader, lambda me, way=way: way(reader, tmp_path, me)) for way in ALL]
            try:
                for one in all_:
                    one.saw("INC-1")
                until_silent(server)
                assert silent(server, 3)
                assert 1 == len(listening(server)) == len(threads())
                for id in ("INC-2", "INC-3"):
                    other.stdin.write(f"{id}\n")
                    other.stdin.flush()
                    for one in all_:
                        one.saw(id)
                assert ["recorded\n"] * 2 == [other.stdout.readline() for _ in range(2)]
                until_silent(server)
                assert silent(server, 2)
            finally:
                for one in all_:
                    one.stop.set()
                assert all(one.ended() for one in all_)
            assert [] == threads()
            until(lambda: not listening(server))

    def test_followers_of_several_processes_are_all_woken(self, settings, book, process):
        script = (
            "import json, sys; from imcm import LedgerReader\n"
            "with LedgerReader.configured(json.loads(sys.argv[1])) as reader:\n"
            f"    for recorded in reader.follow(every={NEVER}):\n"
            "        print(recorded.id, flush=True)\n"
            "        if recorded.id == 'INC-9':\n"
            "            break\n"
        )
        others = [process("-c", script, json.dumps(settings)) for _ in range(2)]
        for one in others:
            assert ["\n", "INC-1\n"] == [one.stdout.readline()[-1:], one.stdout.readline()]
        for id in ("INC-2", "INC-9"):
            detected(book, id)
            assert [f"{id}\n"] * 2 == [one.stdout.readline() for one in others]
        assert [("", "")] * 2 == [one.communicate(timeout=30) for one in others]

    def test_an_append_to_another_schema_wakes_nobody(self, server, settings, book, monkeypatch):
        looks, rows = [], LedgerReader.rows

        def counted(self, **options):
            looks.append(options)
            return rows(self, **options)

        with (
            opened(server.new_schema()) as another,
            LedgerReader.configured(settings) as reader,
            follows(reader) as followed,
        ):
            followed.saw("INC-1")
            until_silent(server)
            monkeypatch.setattr(LedgerReader, "rows", counted)
            for number in range(5):
                detected(another, f"INC-{number}")
            time.sleep(0.5)
            assert [] == looks
            detected(book, "INC-2")
            followed.saw("INC-2")
            assert looks

    def test_a_redaction_wakes_too(self, server, settings, book):
        with LedgerReader.configured(settings) as reader, follows(reader) as followed:
            followed.saw("INC-1")
            until_silent(server)
            book.redact("incident:INC-1", by="lea", at=AT, reason="a name")
            until(lambda: len(followed.ids) == 3)

    def test_who_may_only_select_is_woken(self, server, settings, book):
        schema = settings["POSTGRES_SCHEMA"]
        server.sql(f"CREATE USER follows_{schema}")
        server.sql(f"GRANT USAGE ON SCHEMA {schema} TO follows_{schema}")
        server.sql(f"GRANT SELECT ON {schema}.stored_events TO follows_{schema}")
        reading = {**settings, "POSTGRES_USER": f"follows_{schema}"}
        with LedgerReader.configured(reading) as reader, follows(reader) as followed:
            followed.saw("INC-1")
            until_silent(server)
            detected(book, "INC-2")
            followed.saw("INC-2")

    def test_many_tasks_follow_with_one_session_and_hold_no_threads(self, server, settings, book):
        """There are more of them than a loop has threads and a pool has connections."""

        async def main(reader):
            seen = [[] for _ in range(60)]

            async def see(ids):
                async for recorded in reader.afollow(every=NEVER):
                    ids.append(recorded.id)

            tasks = [asyncio.create_task(see(ids)) for ids in seen]
            await asyncio.to_thread(until, lambda: all(seen))
            await asyncio.to_thread(until_silent, server)
            assert 1 == len(listening(server)) == len(threads())
            await asyncio.to_thread(detected, book, "INC-2")
            await asyncio.to_thread(until, lambda: all(len(ids) == 2 for ids in seen))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert [["INC-1", "INC-2"]] * 60 == seen

        with LedgerReader.configured(settings) as reader:
            asyncio.run(main(reader))
            until(lambda: not threads())


class TestLost:
    def test_a_session_that_is_ended_is_replaced_and_nothing_is_missed(
        self, server, settings, book
    ):
        with LedgerReader.configured(settings) as reader, follows(reader) as followed:
            followed.saw("INC-1")
            for number in range(2, 8):
                until(lambda: listening(server))
                [before] = listening(server)
                server.sql("SELECT pg_terminate_backend(%s)", before)
                detected(book, f"INC-{number}")  # while nobody listens
                followed.saw(f"INC-{number}")
                until(lambda before=before: listening(server) not in ([], [before]))
            assert [f"INC-{number}" for number in range(1, 8)] == followed.ids[1:]

    @pytest.mark.parametrize("mode", ["fast", "immediate"])
    def test_a_restarted_server_is_listened_to_again(self, server, settings, book, mode):
        with LedgerReader.configured(settings) as reader, follows(reader) as followed:
            followed.saw("INC-1")
            until_silent(server)
            for number in range(2, 5):
                server.stop(mode)
                server.start()
                detected(book, f"INC-{number}")
                followed.saw(f"INC-{number}")
            until_silent(server)
            detected(book, "INC-9")
            followed.saw("INC-9")
            assert ["INC-1", "INC-2", "INC-3", "INC-4", "INC-9"] == followed.ids[1:]

    def test_a_server_that_stays_away_is_an_error_as_without_listening(self, server, settings):
        settings = {**settings, "POSTGRES_CONNECT_TIMEOUT": "2"}
        with opened(settings) as book, follows(book) as followed:
            detected(book, "INC-1")
            followed.saw("INC-1")
            until_silent(server)
            server.stop("immediate")
            assert followed.ended()
            assert "can't be reached" in str(followed.error)
            server.start()

    def test_who_finds_what_nothing_told_of_looks_often_until_something_is_told(
        self, server, settings, book, monkeypatch
    ):
        """A row may be put in by somebody who notifies nobody; a pool may swallow notifications."""
        monkeypatch.setattr(waiting, "LOOK_ANYWAY", 2.0)
        with LedgerReader.configured(settings) as reader, follows(reader, every=0.05) as followed:
            followed.saw("INC-1")
            until(lambda: silent(server, 1))
            put_in(server, settings, "INC-2")
            followed.saw("INC-2")
            assert not silent(server, 1)  # it looks twenty times a second
            put_in(server, settings, "INC-3")
            followed.saw("INC-3")
            assert not silent(server, 1)
            detected(book, "INC-4")
            followed.saw("INC-4")
            until(lambda: silent(server, 1))
            assert ["INC-1", "INC-2", "INC-3", "INC-4"] == followed.ids[1:]

    def test_where_nobody_can_listen_they_look(self, server, settings, book, monkeypatch):
        def refuse(*_):
            raise OSError("no more connections")

        with LedgerReader.configured(settings) as reader:
            monkeypatch.setattr(reader._store.listener, "_connect", refuse)
            with follows(reader, every=0.05) as followed:
                followed.saw("INC-1")
                assert [] == listening(server)
                detected(book, "INC-2")
                followed.saw("INC-2")

    def test_connecting_is_not_tried_all_the_time(self, settings, book, monkeypatch):
        tries = []

        def refuse():
            tries.append(time.monotonic())
            raise OSError("no more connections")

        with LedgerReader.configured(settings) as reader:
            monkeypatch.setattr(reader._store.listener, "_connect", refuse)
            with follows(reader, every=0.05) as followed:
                followed.saw("INC-1")
                time.sleep(2)
        assert 2 <= len(tries) <= 6


class TestEnded:
    def test_a_generator_that_is_closed_or_dropped_leaves_nothing(self, server, settings, book):
        for end in ("close", "drop"):
            stop = threading.Event()
            following = book.follow(every=0.2, stop=stop)
            assert ["", "INC-1"] == [next(following).id.strip("self"), next(following).id]
            threading.Timer(0.5, detected, (book, f"INC-{end}")).start()
            assert f"INC-{end}" == next(r.id for r in following if r.id == f"INC-{end}")
            assert 1 == len(listening(server)) == len(threads())
            if end == "close":
                following.close()
            del following
            assert [] == threads()
            until(lambda: not listening(server))

    def test_the_last_who_ends_ends_the_listening_and_the_next_begins_it_again(
        self, server, settings, book
    ):
        with follows(book) as first:
            with follows(book) as second:
                for one in (first, second):
                    one.saw("INC-1")
                until_silent(server)
                before = listening(server)
            assert before == listening(server)
            assert 1 == len(threads())
        assert [] == threads()
        with follows(book) as third:
            third.saw("INC-1")
            until_silent(server)
            assert [before] != [listening(server)]
            detected(book, "INC-2")
            third.saw("INC-2")

    def test_who_waits_is_told_when_the_ledger_is_closed(self, server, settings, book):
        reader = LedgerReader.configured(settings)
        followed = Followed(reader)
        followed.saw("INC-1")
        until_silent(server)
        reader.close()
        assert [] == threads()
        assert followed.ended()
        assert isinstance(followed.error, LedgerClosedError)

    def test_a_task_that_waits_is_told_so_too(self, server, settings, book):
        async def main(reader):
            async def see():
                async for _ in reader.afollow(every=NEVER):
                    pass

            task = asyncio.create_task(see())
            await asyncio.to_thread(until_silent, server)
            await asyncio.to_thread(reader.close)
            with pytest.raises(LedgerClosedError):
                await asyncio.wait_for(task, 30)

        asyncio.run(main(LedgerReader.configured(settings)))

    def test_stop_ends_the_waiting(self, server, book):
        followed = Followed(book)
        followed.saw("INC-1")
        until_silent(server)
        followed.stop.set()
        assert followed.ended()
        assert followed.error is None

    def test_a_process_ends_though_somebody_follows(self, server, settings, book, process):
        script = (
            "import json, sys, threading, time; from imcm import LedgerReader\n"
            "reader = LedgerReader.configured(json.loads(sys.argv[1]))\n"
            f"following = reader.follow(every={NEVER})\n"
            "threading.Thread(target=lambda: list(following), daemon=True).start()\n"
            "while not reader._store.listener.listening:\n"
            "    time.sleep(0.01)\n"
        )
        one = process("-W", "error", "-c", script, json.dumps(settings))
        assert ("", "") == one.communicate(timeout=60)
        assert 0 == one.returncode

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_a_forked_child_that_ends_leaves_its_parent_listening(
        self, server, settings, book, process
    ):
        script = (
            "import json, os, sys, threading, time; from imcm import LedgerReader\n"
            "reader = LedgerReader.configured(json.loads(sys.argv[1]))\n"
            "def follow():\n"
            f"    for recorded in reader.follow(every={NEVER}):\n"
            "        print(recorded.id, flush=True)\n"
            "threading.Thread(target=follow, daemon=True).start()\n"
            "while not reader._store.listener.listening:\n"
            "    time.sleep(0.01)\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    reader.close()\n"
            "    sys.exit()\n"
            "os.waitpid(child, 0)\n"
            "print('forked', flush=True)\n"
            "sys.stdin.read()\n"
        )
        one = process("-W", "ignore::DeprecationWarning", "-c", script, json.dumps(settings))
        while one.stdout.readline() != "forked\n":
            pass
        before = listening(server)
        detected(book, "INC-2")
        assert "INC-2\n" == one.stdout.readline()
        assert before == listening(server)
        assert 1 == len(before)
        assert ("", "") == one.communicate(timeout=60)


def test_a_channel_that_tells_of_others_only_wakes_nobody(server):
    """The channel is one for the whole database; what it says tells ledgers apart."""
    told, connected = [], threading.Event()

    def connect():
        connection = server.connection()
        connection.execute('LISTEN "some"')
        connected.set()
        return connection

    listener = notifications.Listener(connect, frozenset({b"", b"mine"}))
    listener.add(told.append)
    until(lambda: told == [False])
    # What arrives together wakes once, so each of ours is waited for; the other goes before it.
    for count, payloads in enumerate((("theirs", "mine"), ("min", "")), start=2):
        for payload in payloads:
            server.sql("SELECT pg_notify('some', %s)", payload)
        until(lambda count=count: len(told) == count)
    listener.remove(told.append)
    assert [False, True, True] == told
