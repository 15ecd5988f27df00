"""PostgreSQL: opened, refused, raced upon, cut off, restarted, and moved to and from."""

import json
import os
import random
import signal
import socket
import threading
import time
import traceback
from collections import Counter
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest

from imcm import Ledger, LedgerReader, change, incident
from imcm.codec.rows import StoredEvent
from imcm.domain.recorded import KeyUsed, Unread
from imcm.errors import (
    LedgerNotEmptyError,
    MalformedLineError,
    MissingExtraError,
    NotALedgerError,
    StoreError,
)
from imcm.interchange import jsonl
from ledger.conftest import elsewhere

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=1)
WORKER = Path(__file__).with_name("worker.py")
SECRET = "hunter2-and-more"
END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


def opened(settings, **more):
    return Ledger.configured({**settings, **more}, clock=lambda: NOW)


def detected(ledger, id, title="down"):
    return ledger.record(id, incident.detect, by="ana", at=AT, title=title)


def assigned(ledger, person):
    [recorded] = ledger.record(
        "INC-0", incident.assign_role, by="ana", at=AT, role="scribe", person=person
    )
    return recorded


def table(settings):
    return f"{settings['POSTGRES_SCHEMA']}.stored_events"


def skip_numbers(server, settings, count=1):
    """Use positions up without storing anything, as an insert does that is rolled back."""
    name = f"{table(settings)}_notification_id_seq"
    server.sql("SELECT nextval(%s) FROM generate_series(1, %s)", name, count)


def checked(settings):
    """Return the log after checking what must hold of every log."""
    versions = {}
    with opened(settings, CREATE_TABLE="no") as ledger:
        log = list(ledger.replay())
        for recorded in log:
            expected = versions[recorded.stream] = versions.get(recorded.stream, 0) + 1
            assert (recorded.stream, expected) == (recorded.stream, recorded.version)
            assert not isinstance(recorded.event, Unread)
        for stream in versions:
            assert [r for r in log if r.stream == stream] == ledger.history(stream)
    assert sorted({r.position for r in log}) == [r.position for r in log]
    return log


@pytest.fixture
def worker(process):
    """Start a process that runs one of the things in worker.py on a ledger in PostgreSQL."""
    return lambda what, settings, *more: process(WORKER, what, json.dumps(settings), *more)


def go(workers, word="go"):
    """Let all begin at once, and return the lines that each said afterwards."""
    for one in workers:
        assert one.stdout.readline() == "ready\n", one.stderr.read()
    for one in workers:
        one.stdin.write(f"{word}\n")
        one.stdin.flush()
    lines = [one.stdout.read().splitlines() for one in workers]
    assert [""] * len(workers) == [one.stderr.read() for one in workers]
    assert [0] * len(workers) == [one.wait() for one in workers]
    return lines


class TestOpening:
    def test_a_new_one_and_the_same_again(self, settings):
        with opened(settings) as ledger:
            detected(ledger, "INC-1")
            first = ledger.ledger_id, list(ledger.rows())
        with opened(settings) as ledger:
            assert first == (ledger.ledger_id, list(ledger.rows()))
            assert [1, 2] == [row.position for row in first[1]]

    def test_all_processes_agree_on_one_identity(self, server, settings, worker):
        """Many new schemas, one after the other, each opened by all processes at one moment."""
        rounds = 8
        schemas = [f"{settings['POSTGRES_SCHEMA']}_{number}" for number in range(rounds)]
        for schema in schemas:
            server.sql(f"CREATE SCHEMA {schema}")
        workers = [worker("opened", settings, rounds) for _ in range(4)]
        first, *others = go(workers, f"{time.time() + 0.2}")
        assert [first] * 3 == others
        assert rounds == len(first)
        for schema in schemas:
            assert [(1,)] == server.sql(f"SELECT count(*) FROM {schema}.stored_events")

    def test_threads_of_one_process_agree_too(self, settings):
        ids, barrier = [], threading.Barrier(6)

        def open_it():
            barrier.wait()
            with opened(settings) as ledger:
                ids.append(ledger.ledger_id)

        threads = [threading.Thread(target=open_it) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (6, 1) == (len(ids), len(set(ids)))

    def test_opening_what_is_there_does_not_wait_for_a_writer(self, server, settings):
        opened(settings).close()
        with server.connection() as other:
            other.execute("BEGIN")
            other.execute(f"LOCK TABLE {table(settings)} IN EXCLUSIVE MODE")
            before = time.monotonic()
            with opened(settings) as ledger:
                assert 1 == len(list(ledger.replay()))
            assert time.monotonic() - before < 5

    def test_who_may_only_read_reads(self, server, settings):
        with opened(settings) as ledger:
            detected(ledger, "INC-1")
        schema = settings["POSTGRES_SCHEMA"]
        server.sql(f"CREATE USER reads_{schema}")
        server.sql(f"GRANT USAGE ON SCHEMA {schema} TO reads_{schema}")
        server.sql(f"GRANT SELECT ON {table(settings)} TO reads_{schema}")
        with opened(settings, POSTGRES_USER=f"reads_{schema}") as ledger:
            assert ["INC-1"] == [r.id for r in ledger.history("incident:INC-1")]
            with pytest.raises(StoreError, match=r"permission denied.*nothing of this call"):
                detected(ledger, "INC-2")
            assert 2 == len(list(ledger.replay()))

    def test_a_schema_that_is_not_there_is_named(self, settings):
        with pytest.raises(StoreError, match='"nowhere" does not exist'):
            opened(settings, POSTGRES_SCHEMA="nowhere")

    def test_no_table_is_made_where_that_is_not_wanted(self, server, settings):
        with pytest.raises(StoreError, match="stored_events"):
            opened(settings, CREATE_TABLE="no")
        found = "SELECT * FROM information_schema.tables WHERE table_schema = %s"
        assert [] == server.sql(found, settings["POSTGRES_SCHEMA"])

    def test_events_of_another_kind_are_left_alone(self, server, settings):
        opened(settings).close()
        server.sql(f"UPDATE {table(settings)} SET originator_id = 'order-1'")
        with pytest.raises(NotALedgerError, match="ledger:self"):
            opened(settings)
        assert [("order-1",)] == server.sql(f"SELECT originator_id FROM {table(settings)}")

    def test_events_of_an_application_with_other_ids_are_left_alone(self, server, settings):
        schema = settings["POSTGRES_SCHEMA"]
        server.sql(
            f"CREATE TABLE {table(settings)} (originator_id uuid, originator_version bigint, "
            "topic text, state bytea, notification_id bigserial)"
        )
        with pytest.raises(NotALedgerError, match="no text ids"):
            opened(settings)
        made = "SELECT 1 FROM pg_type JOIN pg_namespace n ON n.oid = typnamespace "
        made += "WHERE nspname = %s AND typname = 'stored_event_text'"
        assert [] == server.sql(made, schema)

    def test_text_of_all_scripts_is_kept_in_a_database_without_an_encoding(self, server):
        server.sql("DROP DATABASE IF EXISTS plain")
        server.sql("CREATE DATABASE plain TEMPLATE template0 ENCODING 'SQL_ASCII'")
        with opened(server.settings(POSTGRES_DBNAME="plain")) as ledger:
            detected(ledger, "日本語🎉é", title="落ちた")
            assert "落ちた" == ledger.incident("日本語🎉é").past[0].title
            assert ["ledger:self", "incident:日本語🎉é"] == [r.stream for r in ledger.replay()]

    def test_a_compressor_comes_back(self, settings):
        with opened(settings, COMPRESSOR_TOPIC="zlib") as ledger:
            detected(ledger, "INC-1", title="down " * 100)
            expected = list(ledger.rows())
        with opened(settings, COMPRESSOR_TOPIC="zlib") as ledger:
            assert expected == list(ledger.rows())
            assert ["INC-1"] == [r.id for r in ledger.history("incident:INC-1")]


class TestSettings:
    @pytest.mark.parametrize("value", ["yes", "Y", " true ", "on", "1", "perhaps"])
    def test_database_functions_are_refused_before_anything_is_made(self, server, settings, value):
        with pytest.raises(StoreError, match="POSTGRES_ENABLE_DB_FUNCTIONS"):
            opened(settings, POSTGRES_ENABLE_DB_FUNCTIONS=value)
        found = "SELECT * FROM information_schema.tables WHERE table_schema = %s"
        assert [] == server.sql(found, settings["POSTGRES_SCHEMA"])

    @pytest.mark.parametrize("value", ["no", "OFF", "0", ""])
    def test_no_is_taken_for_no(self, settings, value):
        opened(settings, POSTGRES_ENABLE_DB_FUNCTIONS=value).close()

    @pytest.mark.parametrize("name", ["DBNAME", "HOST", "USER", "PASSWORD"])
    def test_one_that_is_missing_is_named(self, settings, name):
        del settings[f"POSTGRES_{name}"]
        with pytest.raises(StoreError, match=f"POSTGRES_{name}"):
            opened(settings)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("POSTGRES_LOCK_TIMEOUT", "soon"),
            ("POSTGRES_CONNECT_TIMEOUT", "1.5"),
            ("POSTGRES_PRE_PING", "perhaps"),
            ("POSTGRES_PORT", "x"),
        ],
    )
    def test_a_value_that_can_not_be_is_an_error_of_ours(self, settings, name, value):
        with pytest.raises(StoreError):
            opened(settings, **{name: value})

    def test_variables_of_the_process_neither_move_nor_stop_it(
        self, server, settings, process, tmp_path
    ):
        """What libpq reads from its environment would send the log to another host."""
        services = tmp_path / "services"
        services.write_text("[other]\nhostaddr=192.0.2.1\nport=1\ndbname=template1\n")
        variables = {
            "PGSERVICE": "other",
            "PGSERVICEFILE": str(services),
            "PGHOST": "/nowhere",
            "PGHOSTADDR": "192.0.2.1",
            "PGPORT": "1",
            "PGDATABASE": "template1",
            "PGUSER": "nobody_at_all",
            "PGPASSWORD": "wrong",
            "PGOPTIONS": "-c default_transaction_read_only=on",
            "PGCLIENTENCODING": "LATIN1",
            "POSTGRES_SCHEMA": "elsewhere",
            "POSTGRES_ENABLE_DB_FUNCTIONS": "yes",
            "PERSISTENCE_MODULE": "eventsourcing.popo",
            "CREATE_TABLE": "no",
        }
        script = (
            "import json, sys; from datetime import UTC, datetime; from imcm import *\n"
            "ledger = Ledger.configured(json.loads(sys.argv[1]))\n"
            "at = datetime(2026, 3, 1, tzinfo=UTC)\n"
            "ledger.record('日本', incident.detect, by='a', at=at, title='x')\n"
        )
        one = process("-c", script, json.dumps(settings), **variables)
        assert ("", "") == one.communicate(timeout=60)
        streams = server.sql(f"SELECT originator_id FROM {table(settings)} ORDER BY 1")
        assert [("incident:日本",), ("ledger:self",)] == streams

    def test_without_the_extra_it_is_named(self, process, settings):
        script = (
            "import json, sys; sys.modules['psycopg_pool'] = None; from imcm import Ledger\n"
            "Ledger.configured(json.loads(sys.argv[1]))\n"
        )
        _, said = process("-c", script, json.dumps(settings)).communicate(timeout=60)
        assert MissingExtraError.__name__ in said
        assert "imcm[postgres]" in said


class TestOutOfReach:
    """Each is told within the time to connect, in words that say why and give nothing away."""

    def refused(self, settings, *words, seconds=3.5):
        before = time.monotonic()
        with pytest.raises(StoreError) as caught:
            opened(settings)
        assert time.monotonic() - before < seconds
        assert [] == [word for word in words if word not in str(caught.value)]
        # Neither in the error nor in what is printed or logged of what led to it.
        told = [repr(caught.value), *traceback.format_exception(caught.value)]
        assert [] == [text for text in told if SECRET in text]

    @pytest.fixture
    def settings(self, server):
        return server.settings(POSTGRES_PASSWORD=SECRET, POSTGRES_CONNECT_TIMEOUT="2")

    def test_a_wrong_password(self, settings):
        self.refused({**settings, "POSTGRES_USER": "locked"}, "password authentication failed")

    def test_the_right_password_opens_it(self, server, settings):
        """So that what is refused above is refused for its password."""
        schema = server.new_schema()["POSTGRES_SCHEMA"]
        server.sql(f"GRANT ALL ON SCHEMA {schema} TO locked")
        right = {"POSTGRES_USER": "locked", "POSTGRES_PASSWORD": server.password}
        with opened(settings, **right, POSTGRES_SCHEMA=schema) as ledger:
            assert 1 == len(list(ledger.replay()))
            assert server.password not in repr(ledger)

    def test_a_password_that_ends_up_in_a_message_is_struck_out(self, settings):
        self.refused({**settings, "POSTGRES_DBNAME": SECRET}, "***", "does not exist")

    def test_a_database_that_is_not_there(self, settings):
        self.refused({**settings, "POSTGRES_DBNAME": "nowhere"}, '"nowhere" does not exist')

    def test_a_user_who_is_not_there(self, settings):
        self.refused({**settings, "POSTGRES_USER": "stranger"}, '"stranger" does not exist')

    def test_a_folder_without_a_server(self, settings, tmp_path):
        self.refused({**settings, "POSTGRES_HOST": str(tmp_path)}, "No such file")

    def test_a_port_without_a_server(self, settings):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        there = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": port}
        self.refused({**settings, **there}, "refused", port)

    @pytest.mark.parametrize(
        ("timeout", "least", "most"),
        [
            pytest.param("2", 1.5, 3.5, id="short"),
            pytest.param("", 4.5, 7, id="by default", marks=pytest.mark.slow),
        ],
    )
    def test_a_server_that_never_answers(self, settings, timeout, least, most):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(50)
            there = {
                "POSTGRES_HOST": "127.0.0.1",
                "POSTGRES_PORT": str(silent.getsockname()[1]),
                "POSTGRES_CONNECT_TIMEOUT": timeout,
            }
            before = time.monotonic()
            self.refused({**settings, **there}, "timeout", seconds=most)
            assert time.monotonic() - before > least

    def test_a_host_of_no_name(self, settings):
        there = {"POSTGRES_HOST": "no.such.host.invalid"}
        self.refused({**settings, **there}, "can't be reached", seconds=30)

    def test_a_server_that_is_gone_while_the_ledger_is_open(self, server):
        """The first call waits for it to come back, those after it fail at once, then all works."""
        settings = {**server.new_schema(), "POSTGRES_CONNECT_TIMEOUT": "2"}
        with opened(settings) as ledger:
            detected(ledger, "INC-0")
            server.stop("immediate")
            for most in (4, 1):
                before = time.monotonic()
                with pytest.raises(StoreError, match="can't be reached"):
                    list(ledger.replay())
                assert time.monotonic() - before < most
            before = time.monotonic()
            with pytest.raises(StoreError, match="can't be reached"):
                detected(ledger, "INC-1")
            assert time.monotonic() - before < 1
            server.start()
            detected(ledger, "INC-2")
            assert ["INC-0", "INC-2"] == [r.id for r in ledger.replay(after=1)]

    def test_when_nobody_can_tell_whether_it_was_recorded_the_error_says_so(self, server):
        settings = {**server.new_schema(), "POSTGRES_CONNECT_TIMEOUT": "2"}

        def stops(state: incident.Incident, *, by, at):
            server.stop("immediate")
            return incident.detect(state, by=by, at=at, title="down")

        with opened(settings) as ledger:
            with pytest.raises(StoreError, match="whether it was recorded is not known"):
                ledger.record("INC-0", stops, by="ana", at=AT)
            server.start()
            assert 1 == len(list(ledger.replay()))


class TestLocked:
    def test_a_writer_that_waited_in_vain_is_told_in_time(self, server, settings):
        with opened(settings, POSTGRES_LOCK_TIMEOUT="1") as ledger, server.connection() as other:
            other.execute("BEGIN")
            other.execute(f"LOCK TABLE {table(settings)} IN EXCLUSIVE MODE")
            before = time.monotonic()
            with pytest.raises(StoreError, match=r"another process holds the log.*try again"):
                detected(ledger, "INC-1")
            assert time.monotonic() - before < 3
            assert 1 == len(list(ledger.replay()))  # readers do not wait
            other.execute("ROLLBACK")
            detected(ledger, "INC-1")
            assert 2 == len(list(ledger.replay()))

    @pytest.mark.parametrize("given", [{}, {"POSTGRES_LOCK_TIMEOUT": ""}], ids=["none", "empty"])
    def test_by_default_it_waits_ten_seconds_and_not_for_ever(self, server, settings, given):
        """The seconds are read from the recorder: waiting for them would take ten seconds."""
        with opened(settings, **given) as ledger, server.connection() as other:
            other.execute("BEGIN")
            other.execute(f"LOCK TABLE {table(settings)} IN EXCLUSIVE MODE")
            thread = threading.Thread(target=detected, args=(ledger, "INC-1"))
            thread.start()
            sent = []
            while not sent and thread.is_alive():
                sent = server.sql("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
                time.sleep(0.01)
            seconds = ledger._store._recorder.datastore.lock_timeout
            other.execute("ROLLBACK")
            thread.join()
        assert 10 == seconds
        assert 2 == len(checked(settings))


class TestGaps:
    """Positions are numbers of a sequence: what is rolled back has used them up."""

    @pytest.fixture
    def holed(self, server, settings):
        """A ledger of ten events with gaps between them, one of them longer than a batch."""
        with opened(settings) as ledger:
            detected(ledger, "INC-0")
            for number in range(8):
                skip_numbers(server, settings, 5_000 if number == 4 else 1)
                assigned(ledger, f"p-{number}")
            yield ledger

    def test_an_insert_that_is_refused_leaves_one(self, settings):
        with opened(settings) as one, opened(settings) as other:
            detected(one, "INC-0")

            def late(state: incident.Incident, *, by, at):
                if len(state.past) == 1:
                    elsewhere(lambda: assigned(other, "faster"))
                return incident.assign_role(state, by=by, at=at, role="scribe", person="slower")

            one.record("INC-0", late, by="ana", at=AT)
            assert ["faster", "slower"] == [r.event.person for r in one.replay(after=2)]
            assert [1, 2, 3, 5] == [r.position for r in one.replay()]

    def test_replay_begins_and_ends_with_positions_that_may_be_in_a_gap(self, holed):
        log = list(holed.replay())
        positions = [r.position for r in log]
        assert 10 == len(log)
        assert max(b - a for a, b in pairwise(positions)) > 2_000
        for position in [*positions, *(p - 1 for p in positions), *(p + 1 for p in positions)]:
            assert [r for r in log if r.position > position] == list(holed.replay(after=position))
            assert [r for r in log if r.position <= position] == list(holed.replay(upto=position))

    def test_history_and_what_a_call_returns_have_the_positions_of_the_log(self, server, holed):
        log = list(holed.replay())
        assert log[1:] == holed.history("incident:INC-0")
        assert list(holed.replay(after=log[-1].position)) == []
        last = assigned(holed, "last")
        assert [last] == list(holed.replay(after=log[-1].position))

    def test_follow_gives_each_event_once_and_in_order(self, server, settings):
        stop, seen = threading.Event(), []
        with opened(settings) as writer, opened(settings) as reader:
            detected(writer, "INC-0")
            follower = threading.Thread(
                target=lambda: seen.extend(reader.follow(every=0.005, stop=stop))
            )
            follower.start()
            for number in range(30):
                if number % 3 == 0:
                    skip_numbers(server, settings, 3)
                assigned(writer, f"p-{number}")
            log = list(writer.replay())
            give_up = time.monotonic() + 20
            while len(seen) < len(log) and time.monotonic() < give_up:
                time.sleep(0.01)
            stop.set()
            follower.join()
        assert log == seen

    def test_a_log_of_several_batches_is_read_whole(self, server, settings):
        with opened(settings) as ledger:
            state = next(iter(ledger.rows())).state
            server.sql(
                f"INSERT INTO {table(settings)} (originator_id, originator_version, topic, state) "
                "SELECT 'key:x/' || n, 1, 'LedgerOpened', %s FROM generate_series(1, 4500) n",
                state,
            )
            server.sql(f"DELETE FROM {table(settings)} WHERE notification_id % 7 = 0")
            stored = server.sql(
                "SELECT notification_id, originator_id, originator_version, topic, state "
                f"FROM {table(settings)} ORDER BY 1"
            )
            assert [StoredEvent(*row) for row in stored] == list(ledger.rows())
            assert 3_000 < len(stored)


class TestRacing:
    @pytest.mark.parametrize(
        ("processes", "steps", "streams"),
        [
            pytest.param(4, 40, 3, id="short"),
            pytest.param(8, 60, 3, id="long", marks=pytest.mark.slow),
        ],
    )
    def test_nothing_is_lost_and_nothing_is_twice(
        self, settings, worker, processes, steps, streams
    ):
        with opened(settings) as ledger:
            for number in range(streams):
                detected(ledger, f"INC-{number}")
        workers = [worker("race", settings, f"w{n}", steps, streams) for n in range(processes)]
        acknowledged = sorted(tuple(line.split()) for lines in go(workers) for line in lines)
        conflicts = [line for line in acknowledged if line[0] == "conflict"]
        stored = sorted(
            (r.event.person, r.stream, str(r.version)) for r in checked(settings) if r.version > 1
        )
        assert processes * steps == len(acknowledged)
        assert len(conflicts) <= processes * steps // 100
        assert [line for line in acknowledged if line[0] != "conflict"] == stored

    def test_a_delivery_that_reaches_every_process_is_recorded_once(self, settings, worker):
        with opened(settings) as ledger:
            detected(ledger, "INC-0")
        answers = go([worker("claim", settings, f"w{n}", 15) for n in range(3)])
        assert [answers[0]] * 3 == answers
        log = checked(settings)
        assert 15 == len([r for r in log if isinstance(r.event, KeyUsed)])
        assert 16 == len([r for r in log if r.stream == "incident:INC-0"])

    def test_a_follower_misses_nothing_of_what_processes_record_at_once(self, settings, worker):
        stop, seen = threading.Event(), []
        with opened(settings) as ledger:
            for number in range(3):
                detected(ledger, f"INC-{number}")
            follower = threading.Thread(
                target=lambda: seen.extend(ledger.follow(every=0.001, stop=stop))
            )
            follower.start()
            go([worker("race", settings, f"w{n}", 60, 3) for n in range(2)])
            log = list(ledger.replay())
            give_up = time.monotonic() + 20
            while len(seen) < len(log) and time.monotonic() < give_up:
                time.sleep(0.01)
            stop.set()
            follower.join()
        assert log == seen
        assert len(log) > 100


class TestKilled:
    @pytest.mark.parametrize(
        "kills",
        [pytest.param(15, id="short"), pytest.param(60, id="long", marks=pytest.mark.slow)],
    )
    def test_a_killed_process_leaves_whole_records_and_all_it_acknowledged(
        self, settings, worker, kills
    ):
        opened(settings).close()
        chance = random.Random(20260302)
        acknowledged = {}
        parent = worker("appended", settings)
        for number in range(kills):
            parent.stdin.write(f"w{number}\n")
            parent.stdin.flush()
            _, pid = parent.stdout.readline().split()
            lines = [parent.stdout.readline()]
            time.sleep(chance.uniform(0, 0.04))
            os.kill(int(pid), signal.SIGKILL)
            while lines[-1] != "ended\n":
                lines.append(parent.stdout.readline())
            for record, count in map(str.split, lines[:-1]):
                acknowledged[record] = int(count)
        stored = Counter(r.record for r in checked(settings) if r.stream != "ledger:self")
        assert {4} == set(stored.values())
        assert {} == {r: n for r, n in acknowledged.items() if stored[r] != n}
        assert len(acknowledged) >= kills
        assert len(stored) - len(acknowledged) <= kills


class TestCutOff:
    def test_recording_goes_on_when_the_server_was_restarted(self, server, settings):
        with opened(settings) as ledger:
            detected(ledger, "INC-0")
            for number in range(4):
                server.stop("immediate" if number % 2 else "fast")
                server.start()
                assert number + 2 == assigned(ledger, f"p-{number}").version
        persons = [r.event.person for r in checked(settings)[2:]]
        assert [f"p-{number}" for number in range(4)] == persons

    def test_reading_goes_on_when_the_server_was_restarted(self, server, settings):
        with opened(settings) as ledger:
            detected(ledger, "INC-0")
            replay = ledger.replay()
            next(replay)
            server.stop("immediate")
            server.start()
            assert ["INC-0"] == [r.id for r in replay]
            assert ["INC-0"] == [r.id for r in ledger.history("incident:INC-0")]

    @pytest.mark.parametrize(
        "crashes",
        [pytest.param(2, id="short"), pytest.param(20, id="long", marks=pytest.mark.slow)],
    )
    def test_a_server_that_crashes_under_processes_loses_and_doubles_nothing(
        self, server, settings, worker, crashes
    ):
        workers = self.steady(settings, worker, 2)
        chance = random.Random(7)
        for _ in range(crashes):
            time.sleep(chance.uniform(0.1, 0.3))
            server.stop("immediate")
            server.start()
        self.nothing_is_lost_or_twice(settings, workers)

    @pytest.mark.parametrize(
        "times",
        [pytest.param(10, id="short"), pytest.param(150, id="long", marks=pytest.mark.slow)],
    )
    def test_sessions_that_are_ended_while_they_record_lose_and_double_nothing(
        self, server, settings, worker, times
    ):
        workers = self.steady(settings, worker, 1)
        ended, give_up = 0, time.monotonic() + 60
        with server.connection() as other:
            while ended < times:
                ended += other.execute(END_SESSIONS).rowcount
                time.sleep(0.05)
                assert time.monotonic() < give_up
        time.sleep(0.5)  # left in peace, it goes on
        self.nothing_is_lost_or_twice(settings, workers)

    def steady(self, settings, worker, count, streams=20):
        """Start processes that record until they are told to stop."""
        with opened(settings) as ledger, ledger.transaction() as tx:
            for number in range(streams):
                tx.record(f"INC-{number}", incident.detect, by="ana", at=AT, title="down")
        workers = [worker("steady", settings, f"w{n}", streams) for n in range(count)]
        for one in workers:
            assert one.stdout.readline() == "ready\n", one.stderr.read()
        return workers

    def nothing_is_lost_or_twice(self, settings, workers):
        said = []
        for one in workers:
            one.stdin.close()
            lines = [line.rstrip("\n").split(maxsplit=3) for line in one.stdout]
            assert "" == one.stderr.read()
            assert list(range(len(lines))) == [int(line[1].split("/")[1]) for line in lines]
            said += lines
        log = [r for r in checked(settings) if r.version > 1]
        stored = {(r.event.person, r.stream, str(r.version)) for r in log}
        assert len(log) == len({r.event.person for r in log})
        recorded = {tuple(words[1:]) for words in said if words[0] == "recorded"}
        assert recorded <= stored
        # Whoever was told of a failure was told as well where nobody could know how it ended.
        failed = [words for words in said if words[0] == "failed"]
        unknown = {words[1] for words in failed if "is not known" in words[3]}
        assert {person for person, *_ in stored - recorded} <= unknown
        assert len(failed) <= 1 + len(said) // 20
        assert len(recorded) > 10

    def test_a_server_that_lost_the_table_gets_no_empty_one_instead(self, server, settings):
        with opened(settings) as ledger:
            detected(ledger, "INC-0")
            server.sql(f"DROP TABLE {table(settings)}")
            server.stop()
            server.start()
            for use in (lambda: assigned(ledger, "p"), lambda: list(ledger.replay())):
                with pytest.raises(StoreError, match="does not exist"):
                    use()
        found = "SELECT * FROM information_schema.tables WHERE table_schema = %s"
        assert [] == server.sql(found, settings["POSTGRES_SCHEMA"])

    def test_an_import_goes_on_too(self, server, settings, tmp_path):
        """A bulk insert whose session is gone is tried again, and is there once."""
        with Ledger(tmp_path / "theirs.db", clock=lambda: NOW) as theirs:
            for number in range(20):
                detected(theirs, f"INC-{number}")
            with opened(settings) as ours:
                assert server.sql(END_SESSIONS)
                assert 20 == ours.append_rows(theirs.rows())
                assert 0 == ours.append_rows(theirs.rows())
        assert 21 == len(checked(settings))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
class TestForked:
    def test_a_child_that_ends_does_not_end_its_parents_sessions(self, server, settings, process):
        script = (
            "import json, os, sys; from datetime import UTC, datetime; from imcm import *\n"
            "ledger = Ledger.configured(json.loads(sys.argv[1]))\n"
            "at = datetime(2026, 3, 1, tzinfo=UTC)\n"
            "session = lambda: ledger._store._recorder.datastore.pool._pool[0].info.backend_pid\n"
            "ledger.record('INC-1', incident.detect, by='a', at=at, title='x')\n"
            "before = session()\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    del ledger\n"
            "    sys.exit()\n"
            "os.waitpid(child, 0)\n"
            "ledger.record('INC-2', incident.detect, by='a', at=at, title='x')\n"
            "print(before == session())\n"
        )
        one = process("-W", "ignore::DeprecationWarning", "-c", script, json.dumps(settings))
        assert ("True\n", "") == one.communicate(timeout=60)


class TestClosing:
    def test_it_leaves_no_session(self, server, settings):
        name = f"closing_{settings['POSTGRES_SCHEMA']}"
        server.sql(f"CREATE USER {name} SUPERUSER")

        def sessions_become(expected):
            give_up = time.monotonic() + 5
            count = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s"
            while [(expected,)] != server.sql(count, name):
                assert time.monotonic() < give_up
                time.sleep(0.01)

        with opened(settings, POSTGRES_USER=name):
            sessions_become(1)
        sessions_become(0)

    def test_a_process_that_never_closes_it_ends_without_a_word(self, settings, process):
        script = (
            "import json, sys; from imcm import *\n"
            "ledger = Ledger.configured(json.loads(sys.argv[1]))\n"
            "print(len(list(ledger.replay())))\n"
        )
        one = process("-c", script, json.dumps(settings))
        assert ("1\n", "") == one.communicate(timeout=60)


def some_ledger(ledger):
    """Record what is not only plain: words, a key, two streams at once, text of all scripts."""
    detected(ledger, "INC-1", title="Kasse fällt aus 🎉")
    ledger.once("pagerduty", "d-1").record("INC-1", incident.declare, by="ben", at=AT)
    detected(ledger, "INC-2")
    ledger.merge("INC-2", into="INC-1", by="ana", at=AT, why="the same")
    ledger.record("CHG-1", change.plan, by="lena", at=AT, title="Basket 5.4")
    ledger.record("INC-1", incident.resolve, by="ana", at=AT)


def plain(rows):
    return [row[1:] for row in rows]


class TestMoving:
    def exported(self, ledger):
        file = BytesIO()
        jsonl.write(ledger.rows(), file)
        return file.getvalue()

    def test_there_and_back_keeps_every_byte_and_the_order(self, server, settings, tmp_path):
        with opened(settings) as ledger:
            some_ledger(ledger)
            skip_numbers(server, settings)
            detected(ledger, "INC-3")
            first, identity = self.exported(ledger), ledger.ledger_id
        with Ledger.restored(tmp_path / "copy.db", jsonl.read(BytesIO(first))) as copy:
            assert (identity, first) == (copy.ledger_id, self.exported(copy))
            second = self.exported(copy)
        with Ledger.restored(server.new_schema(), jsonl.read(BytesIO(second))) as again:
            assert (identity, first) == (again.ledger_id, self.exported(again))
            detected(again, "INC-4")
            assert "INC-4" == list(again.replay())[-1].id
            assert 1 == len(again.history("incident:INC-3"))

    def test_unknown_events_and_bytes_that_are_no_text_are_kept(self, server, settings):
        with Ledger.in_memory(clock=lambda: NOW) as ledger:
            some_ledger(ledger)
            rows = list(ledger.rows())
        rows.append(StoredEvent(99, "incident:NEW", 1, "IncidentTeleported", bytes(range(256))))
        with Ledger.restored(settings, rows) as restored:
            assert plain(rows) == plain(restored.rows())

    @pytest.mark.parametrize(
        "more", [{}, {"COMPRESSOR_TOPIC": "zlib"}], ids=["plain", "compressed"]
    )
    def test_a_long_log_is_moved_whole(self, settings, more):
        with Ledger.in_memory(clock=lambda: NOW) as ledger:
            [first] = ledger.rows()
        rows = [first]
        rows += [StoredEvent(0, f"key:x/{n}", 1, "KeyClaimed", first.state) for n in range(5_000)]
        with Ledger.restored({**settings, **more}, iter(rows)) as restored:
            assert plain(rows) == plain(restored.rows())

    def test_a_store_that_holds_something_is_left_alone(self, settings):
        with opened(settings) as ledger:
            some_ledger(ledger)
            rows = list(ledger.rows())
        with pytest.raises(LedgerNotEmptyError):
            Ledger.restored(settings, rows)
        with opened(settings) as ledger:
            assert rows == list(ledger.rows())

    @pytest.mark.parametrize("broken", ["twice", "no first row", "cut off", "a damaged line"])
    def test_a_broken_export_leaves_nothing_behind(self, server, settings, broken):
        with Ledger.in_memory(clock=lambda: NOW) as ledger:
            some_ledger(ledger)
            rows, lines = list(ledger.rows()), self.exported(ledger)

        def cut_off():
            yield from rows[:5]
            raise OSError("the disk is gone")

        given, error = {
            "twice": ([*rows, rows[3]], StoreError),
            "no first row": (rows[1:], NotALedgerError),
            "cut off": (cut_off(), OSError),
            "a damaged line": (jsonl.read(BytesIO(lines[:-9])), MalformedLineError),
        }[broken]
        with pytest.raises(error):
            Ledger.restored(settings, given)
        with Ledger.restored(settings, rows) as restored:
            assert plain(rows) == plain(restored.rows())

    def test_settings_of_other_stores_do_as_well(self, tmp_path):
        with Ledger.in_memory(clock=lambda: NOW) as ledger:
            some_ledger(ledger)
            rows = list(ledger.rows())
        for settings in (
            {"PERSISTENCE_MODULE": "eventsourcing.popo"},
            {
                "PERSISTENCE_MODULE": "eventsourcing.sqlite",
                "SQLITE_DBNAME": str(tmp_path / "copy.db"),
                "COMPRESSOR_TOPIC": "zlib",
            },
        ):
            with Ledger.restored(settings, rows) as restored:
                assert rows == list(restored.rows())


class TestReadingOnly:
    def test_a_reader_makes_nothing_and_needs_only_to_select(self, settings, server):
        name = settings["POSTGRES_SCHEMA"]
        with Ledger.configured(settings, clock=lambda: NOW) as ledger:
            ledger.record("INC-1", incident.detect, by="a", at=AT, title="down")
        server.sql(f"CREATE ROLE reading_{name} LOGIN")
        server.sql(f"GRANT USAGE ON SCHEMA {name} TO reading_{name}")
        server.sql(f"GRANT SELECT ON {table(settings)} TO reading_{name}")
        with LedgerReader.configured({**settings, "POSTGRES_USER": f"reading_{name}"}) as reader:
            assert 2 == len(list(reader.replay()))
            assert 1 == len(reader.facts().incidents)
            assert not hasattr(reader, "record")

    def test_an_empty_schema_stays_empty(self, settings, server):
        with pytest.raises(StoreError):
            LedgerReader.configured(settings)
        asked = "SELECT count(*) FROM pg_tables WHERE schemaname = %s"
        assert [(0,)] == server.sql(asked, settings["POSTGRES_SCHEMA"])


class TestContention:
    """Where others may be faster, a step decides again until a stated time has passed."""

    @pytest.mark.parametrize(
        ("processes", "threads", "steps"),
        [
            pytest.param(3, 2, 20, id="short"),
            pytest.param(4, 2, 125, id="long", marks=pytest.mark.slow),
        ],
    )
    def test_contending_steps_all_get_through(self, settings, process, processes, threads, steps):
        with opened(settings) as ledger:
            detected(ledger, "INC-0")
        where = json.dumps(settings)
        workers = [
            process(WORKER, "crowd", where, f"w{n}", threads, steps) for n in range(processes)
        ]
        answers = go(workers)
        versions = sorted(int(line.split()[1]) for lines in answers for line in lines)
        assert list(range(2, 2 + processes * threads * steps)) == versions
