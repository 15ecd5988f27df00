"""Read models that stay current: exactly once, by whatever process, and the same as made anew."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import imcm
from imcm import Ledger, LedgerReader, change, facts, incident
from imcm.errors import InvalidValue, StoreError
from imcm.interchange import jsonl
from imcm.readmodel import facts as kept_facts
from imcm.readmodel.delivery import deliver
from imcm.readmodel.follower import Follower
from imcm.readmodel.views import views
from ledger.conftest import ledger, path, server, settings, sql

__all__ = ["ledger", "path", "server", "settings", "sql"]

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "golden"


def golden_rows(name="v0.1.jsonl"):
    with (GOLDEN / name).open("rb") as lines:
        return list(jsonl.read(lines))


def detect(ledger, id, hours=-2, **more):
    at = NOW + timedelta(hours=hours)
    return ledger.record(id, incident.detect, by="a", at=at, title="t", services=["pay"], **more)


@contextmanager
def packed(model, ledger):
    """Give kept facts of forty incidents that are packed, and what comes after them is not."""
    with pytest.MonkeyPatch().context() as monkey:
        monkey.setattr(kept_facts, "LOOSE", 10)
        for number in range(40):
            detect(ledger, f"INC-{number}")
        with views(ledger, model) as kept:
            kept.facts()
            yield kept


def equal(kept, ledger):
    mine, anew = kept.facts(), facts(ledger.replay())
    assert [row.id for row in anew.incidents] == [row.id for row in mine.incidents]
    for one, other in zip(mine.incidents, anew.incidents, strict=True):
        assert other == one
    assert anew == mine
    for one, other in ((mine.incidents, anew.incidents), (mine.changes, anew.changes)):
        *columns, numbers = one.columns
        *others, _ = other.columns
        assert others == columns
        assert [row.services for row in other] == [one.services[number] for number in numbers]
    return mine


@pytest.fixture(params=["row by row", "packed"])
def packing(request, monkeypatch):
    """Rows stand by themselves, or are packed in small pieces whenever something was recorded."""
    if request.param == "packed":
        monkeypatch.setattr(kept_facts, "LOOSE", -1)
        monkeypatch.setattr(kept_facts, "PIECE", 2)


@pytest.fixture
def book(path):
    with Ledger(path, clock=lambda: NOW) as made:
        yield made


@pytest.fixture
def model(tmp_path):
    """Where a read model is kept."""
    return tmp_path / "model.db"


@pytest.mark.usefixtures("packing")
class TestLiveIsRebuilt:
    @pytest.mark.parametrize(
        "name", [f"v0.1{name}.jsonl" for name in ("", "-merges", "-described", "-named")]
    )
    @pytest.mark.parametrize("seed", range(4))
    def test_at_every_stage_of_a_log_with_every_event(self, path, model, seed, name):
        """In batches of any size, looked at by one object all along and by new ones between."""
        chance = random.Random(seed)
        first, *rest = golden_rows(name)
        Ledger.restored(path, [first]).close()
        with LedgerReader(path) as reader, views(reader, model) as along:
            equal(along, reader)
            while rest:
                size = chance.choice((1, 2, 7, 40))
                batch, rest = rest[:size], rest[size:]
                with closing(sqlite3.connect(path)) as connection, connection:
                    connection.executemany(
                        "INSERT INTO stored_events VALUES (?, ?, ?, ?)", [row[1:] for row in batch]
                    )
                if chance.random() < 0.5:
                    equal(along, reader)
                if chance.random() < 0.3:
                    with views(reader, model) as other:
                        equal(other, reader)
                        assert 0 == other.rebuilt
            equal(along, reader)
            assert 1 == along.rebuilt

    def test_on_every_store(self, ledger, model):
        with views(ledger, model) as kept:
            assert () == equal(kept, ledger).incidents
            detect(ledger, "INC-1")
            detect(ledger, "INC-2")
            equal(kept, ledger)
            ledger.merge("INC-2", into="INC-1", by="a", at=NOW)
            equal(kept, ledger)
            ledger.record("INC-1", incident.resolve, by="a", at=NOW)
            assert 2 == len(equal(kept, ledger).incidents)
        with views(ledger, model) as again:
            ledger.unmerge("INC-2", by="a", at=NOW, why="another one")
            equal(again, ledger)
            assert 0 == again.rebuilt

    def test_what_had_not_happened_yet_is_there_once_it_has(self, path, model):
        """A row cut at the newest stamp is made again when later events move that on."""
        now = [NOW]
        with Ledger(path, clock=lambda: now[0]) as book:
            detect(book, "INC-1", hours=-1, declared_at=NOW + timedelta(minutes=4))
            with views(book, model) as kept:
                assert equal(kept, book).incidents[0].declared_at is None
                now[0] += timedelta(minutes=10)
                detect(book, "INC-2")
                assert equal(kept, book).incidents[0].declared_at is not None
            with views(book, model) as again:
                assert equal(again, book).incidents[0].declared_at is not None

    def test_events_that_can_not_be_read_are_counted_on(self, book, path, model, sql):
        detect(book, "INC-1")
        with views(book, model) as kept:
            equal(kept, book)
            detect(book, "INC-2")
            sql(path, "UPDATE stored_events SET topic = 'IncidentDreamt' WHERE rowid = 3")
            assert {"IncidentDreamt": 1} == equal(kept, book).unread
        with views(book, model) as again:
            assert {"IncidentDreamt": 1} == equal(again, book).unread

    def test_nothing_new_costs_no_event(self, book, model):
        detect(book, "INC-1")
        with views(book, model) as kept:
            assert (2, 0) == (kept.catch_up(), kept.catch_up())
            detect(book, "INC-2")
            assert 1 == kept.catch_up()


class TestTheLogIsAnother:
    def made(self, book, model, count=5):
        for number in range(count):
            detect(book, f"INC-{number}")
        with views(book, model) as kept:
            equal(kept, book)

    def rebuilt(self, path, model):
        with LedgerReader(path) as reader, views(reader, model) as kept:
            equal(kept, reader)
            return kept.rebuilt

    def test_nothing_is_made_again_where_it_fits(self, book, path, model):
        self.made(book, model)
        assert 0 == self.rebuilt(path, model)

    @pytest.mark.parametrize(
        "statement",
        [
            pytest.param("DELETE FROM stored_events WHERE rowid = 6", id="cut"),
            pytest.param("UPDATE stored_events SET rowid = rowid + 7 WHERE rowid > 3", id="moved"),
            pytest.param(
                'UPDATE stored_events SET state = replace(CAST(state AS TEXT), \'"by":"a"\', '
                '\'"by":"b"\') WHERE rowid = 6',
                id="altered",
            ),
        ],
    )
    def test_it_is_noticed_and_made_again(self, book, path, model, sql, statement):
        self.made(book, model)
        sql(
            path,
            statement.replace("replace(", "CAST(replace(").replace("') WHERE", "') AS BLOB) WHERE"),
        )
        assert 1 == self.rebuilt(path, model)

    def test_another_ledger(self, book, path, model, tmp_path):
        self.made(book, model)
        other = tmp_path / "other.db"
        with Ledger(other, clock=lambda: NOW) as another:
            for number in range(9):
                detect(another, f"INC-{number}")
        assert 1 == self.rebuilt(other, model)
        assert 1 == self.rebuilt(path, model)

    def test_an_object_that_lives_on_notices_as_well(self, book, path, model, sql):
        self.made(book, model)
        with views(book, model) as kept:
            equal(kept, book)
            sql(path, "DELETE FROM stored_events WHERE rowid > 4")
            assert 3 == len(equal(kept, book).incidents)
            assert 1 == kept.rebuilt

    def test_words_taken_out_change_nothing(self, book, path, model):
        self.made(book, model)
        book.redact("incident:INC-4", by="dpo", at=NOW, reason="asked for")
        assert 0 == self.rebuilt(path, model)

    def test_progress_is_told(self, book, model):
        for number in range(5):
            detect(book, f"INC-{number}")
        told = []
        with views(book, model, progress=told.append) as kept:
            kept.facts()
        assert [6] == told


class TestTheFile:
    def test_another_database_is_refused_and_stays(self, book, tmp_path):
        other = tmp_path / "other.db"
        with closing(sqlite3.connect(other)) as connection, connection:
            connection.execute("CREATE TABLE mine (x)")
        before = other.read_bytes()
        with pytest.raises(StoreError, match="something else"):
            views(book, other)
        assert before == other.read_bytes()

    def test_the_ledger_itself_is_refused(self, book, path):
        detect(book, "INC-1")
        with pytest.raises(StoreError, match="something else"):
            views(book, path)

    def test_a_damaged_one_says_what_to_do(self, book, model):
        detect(book, "INC-1")
        with views(book, model) as kept:
            kept.facts()
        data = bytearray(model.read_bytes())
        half = len(data) // 2
        data[half:] = bytes(len(data) - half)  # the schema stays: it is known to be ours
        model.write_bytes(data)
        with pytest.raises(StoreError, match="delete it, and"), views(book, model) as kept:
            kept.facts()

    def test_nobody_is_told_to_delete_what_may_be_their_only_one(self, book, model):
        """A file that is none of ours, and one that says how far deliveries are."""
        detect(book, "INC-1")
        model.write_bytes(b"no database " * 1000)
        with pytest.raises(StoreError, match="no file of a follower") as no:
            views(book, model)
        assert "delete it" not in str(no.value)
        posted = model.with_name("posted.db")
        stop = threading.Event()
        deliver(book, posted, lambda _: stop.set(), stop=stop)
        data = bytearray(posted.read_bytes())
        data[4096:] = bytes(len(data) - 4096)
        posted.write_bytes(data)
        with pytest.raises(StoreError, match="restore it, or name a new file") as no:
            deliver(book, posted, lambda _: None)
        assert "delete it" not in str(no.value)

    def test_no_damage_ever_reads_as_other_facts(self, book, model):
        """Whatever bytes change: the facts are right, or it is said that they can't be read."""
        with packed(model, book) as kept:
            for number in range(40, 45):
                detect(book, f"INC-{number}")
            truth = kept.facts()
        sound = model.read_bytes()
        chance = random.Random(7)
        silent = refused = 0
        for _ in range(400):
            data = bytearray(sound)
            for _ in range(chance.choice((1, 1, 1, 8))):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            for beside in ("-wal", "-shm"):
                model.with_name(model.name + beside).unlink(missing_ok=True)
            model.write_bytes(data)
            try:
                with views(book, model) as kept:
                    found = kept.facts()
                    assert list(truth.incidents) == list(found.incidents)
                    assert truth == found
            except StoreError:
                refused += 1
            else:
                silent += 1
        assert refused > 20
        assert silent > 20

    def test_a_row_that_seems_to_be_older_than_what_is_packed_is_missed(self, book, model):
        with packed(model, book) as kept:
            detect(book, "INC-40")
            kept.facts()
        with closing(sqlite3.connect(model)) as connection, connection:
            connection.execute("UPDATE facts SET position = 2 WHERE id = 'INC-40'")
        with (
            pytest.raises(StoreError, match="0 rows are newer than what is packed, not 1"),
            views(book, model) as kept,
        ):
            kept.facts()

    @pytest.mark.parametrize(
        ("statement", "why"),
        [
            ("DELETE FROM read", "how far the log was read does not stand there"),
            ("DELETE FROM packed", "0 rows are packed, where 40 belong"),
        ],
    )
    def test_what_else_is_missing_is_missed(self, book, model, statement, why):
        with packed(model, book):
            pass
        with closing(sqlite3.connect(model)) as connection, connection:
            connection.execute(statement)
        with pytest.raises(StoreError, match=why), views(book, model) as kept:
            kept.facts()

    def test_names_of_tables_that_are_no_text(self, book, model):
        detect(book, "INC-1")
        with views(book, model) as kept:
            kept.facts()
        with closing(sqlite3.connect(model)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        data = model.read_bytes()
        assert 1 < data.count(b"imcm_follower")
        model.write_bytes(data.replace(b"imcm_follower", b"imcm_\xa0ollower"))
        with pytest.raises(StoreError):
            views(book, model)

    def test_rows_that_are_missing_are_missed(self, book, model):
        detect(book, "INC-1")
        detect(book, "INC-2")
        with views(book, model) as kept:
            kept.facts()
        with closing(sqlite3.connect(model)) as connection, connection:
            connection.execute("DELETE FROM facts WHERE id = 'INC-1'")
        with pytest.raises(StoreError, match="1 rows stand beside"), views(book, model) as kept:
            kept.facts()

    def test_a_new_file_that_another_is_making_is_waited_for(self, book, model):
        detect(book, "INC-1")
        other = sqlite3.connect(model, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        done = threading.Timer(0.3, other.execute, ["COMMIT"])
        done.start()
        with views(book, model) as kept:
            assert not done.is_alive()
            assert 1 == len(kept.facts().incidents)
        other.close()

    @pytest.mark.parametrize(
        ("number", "column", "damage"),
        [
            (0, "told", lambda told: b""),
            (1, "told", lambda told: told[:40]),
            (1, "told", lambda told: bytes(len(told))),
            (1, "told", lambda told: told.replace(b"INC-1", b"INC-2")),
            (1, "kept", lambda kept: kept.replace(b"detected", b"detectad")),
            (1, "kept", lambda kept: kept[:-1]),
        ],
    )
    def test_damaged_facts_say_what_to_do(self, book, model, monkeypatch, number, column, damage):
        """Also where the damage shows only once somebody looks at a row."""
        monkeypatch.setattr(kept_facts, "LOOSE", -1)
        detect(book, "INC-1")
        with views(book, model) as kept:
            kept.facts()
        with closing(sqlite3.connect(model)) as connection, connection:
            which = ("incident", number)
            select = f"SELECT {column} FROM packed WHERE kind = ? AND number = ?"
            (told,) = connection.execute(select, which).fetchone()
            update = f"UPDATE packed SET {column} = ? WHERE kind = ? AND number = ?"
            connection.execute(update, (damage(told), *which))
        with views(book, model) as kept, pytest.raises(StoreError, match="delete it, and they"):
            kept.facts().incidents[0].detected_at.isoformat()

    def test_a_folder_that_is_not_there(self, book, tmp_path):
        with pytest.raises(StoreError, match="nowhere"):
            views(book, tmp_path / "nowhere" / "facts.db")


class Counting:
    """A model of one's own: how many events there are of each type."""

    name = "counts 1"

    def create(self, connection):
        connection.execute("CREATE TABLE counts (type TEXT PRIMARY KEY, n INTEGER)")

    def resume(self, connection, position):
        pass

    def apply(self, connection, rows):
        for row in rows:
            connection.execute(
                "INSERT INTO counts VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1", (row.type,)
            )

    def save(self, connection, *, more):
        pass


def counted(model):
    with closing(sqlite3.connect(model)) as connection:
        return dict(connection.execute("SELECT type, n FROM counts").fetchall())


class TestAModelOfOnesOwn:
    def test_every_event_is_applied_once(self, book, model):
        for number in range(25):
            detect(book, f"INC-{number}")
        one = Follower(model, book, Counting(), batch=4)
        other = Follower(model, book, Counting(), batch=3)
        with one, other:
            assert 26 == one.catch_up() + other.catch_up()
            detect(book, "INC-99")
            assert 1 == other.catch_up() + one.catch_up()
        assert {"LedgerOpened": 1, "IncidentDetected": 26} == counted(model)

    def test_an_error_applies_nothing_and_it_goes_on_from_there(self, book, model):
        for number in range(10):
            detect(book, f"INC-{number}")

        class Failing(Counting):
            left = 2

            def apply(self, connection, rows):
                super().apply(connection, rows)
                self.left -= 1
                if not self.left:
                    raise ValueError("an error of one's own")

        with Follower(model, book, Failing(), batch=4) as follower:
            with pytest.raises(ValueError, match="one's own"):
                follower.catch_up()
            assert {"LedgerOpened": 1, "IncidentDetected": 3} == counted(model)
            follower.catch_up()
        assert {"LedgerOpened": 1, "IncidentDetected": 10} == counted(model)

    def test_another_name_makes_it_again(self, book, model):
        detect(book, "INC-1")
        with Follower(model, book, Counting()) as follower:
            follower.catch_up()
        renamed = Counting()
        renamed.name = "counts 2"
        with Follower(model, book, renamed) as follower:
            assert 0 == follower.position
            assert 2 == follower.catch_up()
        assert {"LedgerOpened": 1, "IncidentDetected": 1} == counted(model)

    def test_it_holds_up_no_writer(self, book, model):
        """While a follower is in the middle of its work, others record."""

        class Recording(Counting):
            def apply(self, connection, rows):
                super().apply(connection, rows)
                if len(list(book.rows())) < 4:
                    detect(book, f"INC-{len(list(book.rows()))}")

        with Follower(model, book, Recording(), batch=1) as follower:
            assert 4 == follower.catch_up()
        assert {"LedgerOpened": 1, "IncidentDetected": 3} == counted(model)

    def test_it_runs_until_it_is_stopped(self, book, model):
        stop, seen = threading.Event(), []
        with Follower(model, book, Counting()) as follower:
            for applied in follower.run(every=0.01, stop=stop):
                seen.append(applied)
                if len(seen) < 3:
                    detect(book, f"INC-{len(seen)}")
                else:
                    stop.set()
        assert [1, 1, 1] == seen

    def test_facts_follow_until_they_are_stopped(self, book, model):
        stop, seen = threading.Event(), []
        with views(book, model) as kept:
            for known in kept.follow(every=0.01, stop=stop):
                seen.append(len(known.incidents))
                if len(seen) < 3:
                    detect(book, f"INC-{len(seen)}")
                else:
                    stop.set()
        assert [0, 1, 2] == seen


FOLLOWING = textwrap.dedent(
    """
    import sys
    from imcm import LedgerReader
    from imcm.readmodel.follower import (Follower)
    from imcm.readmodel.views import views
    sys.path.insert(0, sys.argv[4])
    from test_follower import Counting
    with LedgerReader(sys.argv[1]) as ledger:
        with Follower(sys.argv[3], ledger, Counting(), batch=3) as counts:
            with views(ledger, sys.argv[2]) as kept:
                print("ready", flush=True)
                while True:
                    kept.facts()
                    counts.catch_up()
    """
)


class TestKilled:
    @pytest.mark.parametrize(
        "kills", [pytest.param(4, id="short"), pytest.param(60, id="long", marks=pytest.mark.slow)]
    )
    def test_a_follower_killed_again_and_again_is_where_a_new_one_would_be(
        self, book, path, model, tmp_path, kills
    ):
        """Three followers at once, killed at random moments, while events are recorded."""
        counts, chance = tmp_path / "counts.db", random.Random(5)
        home, tests = Path(imcm.__file__).parents[1], Path(__file__).parent
        words = [sys.executable, "-c", FOLLOWING, str(path), str(model), str(counts), str(tests)]

        def start():
            environment = {**os.environ, "PYTHONPATH": str(home)}
            return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)

        running = [start() for _ in range(3)]
        try:
            for number in range(kills):
                for one in range(chance.randrange(1, 12)):
                    detect(book, f"INC-{number}-{one}")
                victim = running.pop(0)
                assert "ready\n" == victim.stdout.readline()
                time.sleep(chance.uniform(0, 0.05))
                os.kill(victim.pid, signal.SIGKILL)
                victim.wait()
                victim.stdout.close()
                running.append(start())
        finally:
            for one in running:
                one.kill()
                one.wait()
                one.stdout.close()
        with views(book, model) as kept:
            equal(kept, book)
            assert 0 == kept.rebuilt
        with Follower(counts, book, Counting()) as follower:
            follower.catch_up()
        total = len(list(book.rows()))
        assert {"LedgerOpened": 1, "IncidentDetected": total - 1} == counted(counts)


class TestDeliver:
    def test_each_event_in_order_with_its_position_and_record(self, book, model):
        stop, seen = threading.Event(), []
        [detected] = detect(book, "INC-1")

        def post(recorded):
            seen.append((recorded.position, recorded.record, recorded.id))
            stop.set()

        deliver(book, model, post, every=0.01, stop=stop)
        assert [(2, detected.record, "INC-1")] == seen

    def test_those_of_the_ledger_itself_are_none(self, book, model):
        """Who announces incidents is not told of keys, nor of the identity of the ledger."""
        book.once("pd", "k").record("INC-1", incident.detect, by="pd", at=NOW, title="x")
        detect(book, "INC-2")
        stop, seen = threading.Event(), []

        def post(recorded):
            seen.append(recorded.stream)
            if len(seen) == 2:
                stop.set()

        deliver(book, model, post, every=0.01, stop=stop)
        assert ["incident:INC-1", "incident:INC-2"] == seen

    def test_only_the_kinds_that_are_asked_for(self, book, model):
        detect(book, "INC-1")
        book.record("CHG-1", change.plan, by="lena", at=NOW, title="x", services=("a",))
        stop, seen = threading.Event(), []

        def post(recorded):
            seen.append(recorded.id)
            stop.set()

        deliver(book, model, post, kinds=["change"], every=0.01, stop=stop)
        assert ["CHG-1"] == seen

    def test_an_effect_that_is_not_done_when_it_returns_is_refused(self, book, model):
        """It would count as delivered, and never run."""

        async def post(recorded):
            raise AssertionError

        with pytest.raises(InvalidValue, match="adeliver"):
            deliver(book, model, post)

    @pytest.mark.parametrize("kinds", ["incident", [], ["incidents"], [7], None])
    def test_other_kinds_there_are_none(self, book, model, kinds):
        with pytest.raises(InvalidValue, match="kinds"):
            deliver(book, model, print, kinds=kinds)

    @pytest.mark.parametrize(("begin", "first"), [("now", "INC-9"), (3, "INC-2"), (0, "INC-0")])
    def test_a_new_file_begins_where_it_is_told(self, book, model, begin, first):
        for number in range(4):
            detect(book, f"INC-{number}")
        seen, stop = [], threading.Event()

        def post(recorded):
            seen.append(recorded.id)
            stop.set()

        if begin == "now":
            threading.Timer(0.3, detect, (book, "INC-9")).start()
        deliver(book, model, post, begin=begin, every=0.01, stop=stop)
        assert [first] == seen
        stop.clear()
        detect(book, "INC-10")
        deliver(book, model, post, begin="now", every=0.01, stop=stop)
        assert seen[1] == {"INC-9": "INC-10", "INC-2": "INC-3", "INC-0": "INC-1"}[first]

    @pytest.mark.parametrize("begin", [99, -1, "later", None, True])
    def test_where_nothing_stands_nothing_begins(self, book, model, begin):
        with pytest.raises(InvalidValue):
            deliver(book, model, print, begin=begin)

    def test_it_goes_on_where_it_was_and_repeats_what_failed(self, book, model):
        for number in range(4):
            detect(book, f"INC-{number}")
        seen = []

        def post(recorded):
            seen.append(recorded.position)
            if len(seen) == 2:
                raise ConnectionError("the chat is away")

        with pytest.raises(ConnectionError):
            deliver(book, model, post, every=0.01)
        stop = threading.Event()

        def again(recorded):
            seen.append(recorded.position)
            if recorded.position == 5:
                stop.set()

        deliver(book, model, again, every=0.01, stop=stop)
        assert [2, 3, 3, 4, 5] == seen

    def test_it_stops_between_two_events(self, book, model):
        for number in range(4):
            detect(book, f"INC-{number}")
        stop, seen = threading.Event(), []

        def post(recorded):
            seen.append(recorded.position)
            stop.set()

        deliver(book, model, post, stop=stop)
        assert [2] == seen
        with Follower(model, book, Delivered(), rebuild=False) as follower:
            assert 2 == follower.position

    def test_another_log_is_an_error_and_nothing_is_delivered_again(self, book, path, model, sql):
        for number in range(3):
            detect(book, f"INC-{number}")
        stop, seen = threading.Event(), []

        def post(recorded):
            seen.append(recorded.position)
            if recorded.position == 4:
                stop.set()

        deliver(book, model, post, stop=stop)
        sql(path, "DELETE FROM stored_events WHERE rowid = 4")
        with pytest.raises(StoreError, match="position 4 is not the one"):
            deliver(book, model, post)
        assert [2, 3, 4] == seen


class TestSeveralWithOneFile:
    """One delivers, the others wait however long it takes, and can be stopped meanwhile."""

    @pytest.fixture
    def busy(self, book, model):
        """A delivery that holds the file, until it is told to go on."""
        for number in range(3):
            detect(book, f"INC-{number}")
        holds, go_on, seen = threading.Event(), threading.Event(), []
        stop = threading.Event()

        def post(recorded):
            seen.append(recorded.id)
            holds.set()
            go_on.wait(60)
            if len(seen) == 3:
                stop.set()

        told = {"every": 0.01, "stop": stop}
        thread = threading.Thread(target=deliver, args=(book, model, post), kwargs=told)
        thread.start()
        assert holds.wait(30)
        yield seen
        go_on.set()
        thread.join()
        assert ["INC-0", "INC-1", "INC-2"] == seen

    def test_who_waits_stops_at_once(self, book, model, busy):
        stop = threading.Event()
        waiting = threading.Thread(
            target=deliver, args=(book, model, print), kwargs={"every": 0.01, "stop": stop}
        )
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        stop.set()
        waiting.join(10)
        assert not waiting.is_alive()
        assert ["INC-0"] == busy

    def test_who_waits_with_asyncio_is_cancelled_at_once(self, book, model, busy, caplog):
        async def post(recorded):
            raise AssertionError

        async def main():
            task = asyncio.create_task(imcm.adeliver(book, model, post))
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 10)

        asyncio.run(main())
        assert not caplog.records

    def test_who_does_not_wait_is_told_so_and_not_to_begin_anew(self, book, model, busy):
        with Follower(model, book, Delivered(), rebuild=False) as follower:
            with pytest.raises(StoreError, match="another process holds it; ask again") as error:
                follower.catch_up(patience=0.2)
            assert "new file" not in str(error.value)


class TestDeliverWithAsyncio:
    def run(self, book, model, effect, **told):
        asyncio.run(imcm.adeliver(book, model, effect, every=0.01, **told))

    def test_each_event_in_order_in_the_loop_one_at_a_time(self, book, model):
        for number in range(5):
            detect(book, f"INC-{number}")
        seen, running = [], []

        async def post(recorded):
            running.append(recorded.position)
            await asyncio.sleep(0)
            assert [recorded.position] == running
            running.clear()
            seen.append((recorded.id, threading.current_thread() is threading.main_thread()))
            if len(seen) == 5:
                raise ConnectionError

        with pytest.raises(ConnectionError):
            self.run(book, model, post)
        assert [(f"INC-{number}", True) for number in range(5)] == seen

    def test_it_goes_on_where_it_was_and_repeats_what_failed(self, book, model):
        for number in range(4):
            detect(book, f"INC-{number}")
        seen = []

        async def post(recorded):
            seen.append(recorded.position)
            if len(seen) in {2, 5}:
                raise ConnectionError("the chat is away")

        for _ in range(2):
            with pytest.raises(ConnectionError):
                self.run(book, model, post)
        assert [2, 3, 3, 4, 5] == seen

    def test_an_effect_that_runs_when_it_is_cancelled_is_waited_for(self, book, model):
        detect(book, "INC-1")
        detect(book, "INC-2")
        seen = []

        async def main():
            begun = asyncio.Event()

            async def post(recorded):
                begun.set()
                await asyncio.sleep(0.1)
                seen.append(recorded.id)

            task = asyncio.create_task(imcm.adeliver(book, model, post))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        asyncio.run(main())
        assert ["INC-1", "INC-2"] == seen

    def test_what_is_recorded_while_it_waits_comes_soon(self, book, model):
        async def main():
            seen = asyncio.Queue()
            task = asyncio.create_task(
                imcm.adeliver(book, model, seen.put, begin="now", every=0.01)
            )
            await asyncio.sleep(0.1)
            await asyncio.to_thread(detect, book, "INC-9")
            recorded = await asyncio.wait_for(seen.get(), 30)
            task.cancel()
            await asyncio.wait([task])
            return recorded.id

        assert asyncio.run(main()) == "INC-9"

    @pytest.mark.parametrize("effect", [print, lambda recorded: 7])
    def test_an_effect_that_can_not_be_awaited_is_refused(self, book, model, effect):
        detect(book, "INC-1")
        with pytest.raises(InvalidValue, match="an async function"):
            self.run(book, model, effect)

    @pytest.mark.parametrize("told", [{"begin": 99}, {"kinds": "incident"}, {"begin": "later"}])
    def test_what_deliver_refuses_is_refused(self, book, model, told):
        async def post(recorded):
            raise AssertionError

        with pytest.raises(InvalidValue):
            self.run(book, model, post, **told)


class Delivered(Counting):
    name = "delivered 1"


def test_deliveries_fetch_the_log_once_and_not_for_each_event(book, model, monkeypatch):
    """Each is committed alone, and rows are fetched some hundred at a time."""
    for number in range(60):
        detect(book, f"INC-{number}")
    asked = []
    rows = type(book).rows

    def counted(self, **options):
        asked.append(options)
        return rows(self, **options)

    monkeypatch.setattr(LedgerReader, "rows", counted)
    stop, seen = threading.Event(), []

    def effect(recorded):
        seen.append(recorded.position)
        if len(seen) == 60:
            stop.set()

    deliver(book, model, effect, stop=stop)
    assert list(range(2, 62)) == seen
    assert len(asked) <= 4


def test_two_that_deliver_by_turns_leave_nothing_out_and_repeat_nothing(book, model):
    for number in range(30):
        detect(book, f"INC-{number}")
    seen, lock, stop = [], threading.Lock(), threading.Event()

    def effect(recorded):
        with lock:
            seen.append(recorded.position)
            if len(seen) == 30:
                stop.set()

    with LedgerReader(book._store.reader.path) as other:
        threads = [
            threading.Thread(target=deliver, args=(one, model, effect), kwargs={"stop": stop})
            for one in (book, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert list(range(2, 32)) == seen
