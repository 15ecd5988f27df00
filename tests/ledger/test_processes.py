"""Real processes on one file: they race, they open it together, they are killed while writing."""

import os
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from imcm import Ledger, LedgerReader, incident
from imcm.domain.recorded import KeyClaimed, Unread
from imcm.errors import NotALedgerError, StoreError

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=1)
WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture
def worker(process):
    """Start a process that runs one of the things in worker.py."""
    return lambda *arguments: process(WORKER, *arguments)


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


def checked(path):
    """Return the log after checking what must hold of every log."""
    versions = {}
    with LedgerReader(path) as reader:
        log = list(reader.replay())
        for recorded in log:
            expected = versions[recorded.stream] = versions.get(recorded.stream, 0) + 1
            assert (recorded.stream, expected) == (recorded.stream, recorded.version)
            assert not isinstance(recorded.event, Unread)
        for stream, version in versions.items():
            kind, _, id = stream.partition(":")
            if kind in {"incident", "change"}:
                state = reader.incident(id) if kind == "incident" else reader.change(id)
                assert version == len(state.past)
    assert sorted(r.position for r in log) == [r.position for r in log]
    return log


class TestRacing:
    @pytest.mark.parametrize(
        ("processes", "steps", "streams"),
        [
            pytest.param(4, 60, 3, id="short"),
            pytest.param(8, 200, 3, id="long", marks=pytest.mark.slow),
        ],
    )
    def test_nothing_is_lost_and_nothing_is_twice(self, path, worker, processes, steps, streams):
        with Ledger(path, clock=lambda: NOW) as ledger:
            for number in range(streams):
                ledger.record(f"INC-{number}", incident.detect, by="a", at=AT, title="down")
        workers = [worker("race", path, f"w{n}", steps, streams) for n in range(processes)]
        acknowledged = sorted(tuple(line.split()) for lines in go(workers) for line in lines)
        conflicts = [line for line in acknowledged if line[0] == "conflict"]
        stored = sorted(
            (r.event.person, r.stream, str(r.version)) for r in checked(path) if r.version > 1
        )
        assert processes * steps == len(acknowledged)
        assert len(conflicts) <= processes * steps // 100
        assert [line for line in acknowledged if line[0] != "conflict"] == stored

    def test_a_delivery_that_reaches_every_process_is_recorded_once(self, path, worker):
        with Ledger(path, clock=lambda: NOW) as ledger:
            ledger.record("INC-0", incident.detect, by="a", at=AT, title="down")
        answers = go([worker("claim", path, f"w{n}", 15) for n in range(4)])
        assert [answers[0]] * 4 == answers
        log = checked(path)
        assert len([r for r in log if isinstance(r.event, KeyClaimed)]) == 15
        assert len([r for r in log if r.stream == "incident:INC-0"]) == 16


class TestOpeningTogether:
    def test_all_agree_on_one_identity(self, tmp_path, worker):
        """Many new files, one after the other, each opened by all processes at one moment."""
        workers = [worker("opened", tmp_path, 30) for _ in range(4)]
        first, *others = go(workers, f"{time.time() + 0.2}")
        assert [first] * 3 == others
        assert [len(checked(tmp_path / f"{n}.db")) for n in range(30)] == [1] * 30


class TestKilled:
    @pytest.mark.parametrize(
        "kills",
        [pytest.param(20, id="short"), pytest.param(100, id="long", marks=pytest.mark.slow)],
    )
    def test_a_killed_process_leaves_whole_records_and_all_it_acknowledged(
        self, path, worker, kills
    ):
        Ledger(path).close()
        chance = random.Random(20260302)
        acknowledged = {}
        for number in range(kills):
            one = worker("append", path, f"w{number}")
            first = one.stdout.readline()
            time.sleep(chance.uniform(0, 0.04))
            one.kill()
            said = first + one.stdout.read()
            # A line that was cut off was still acknowledged, but does not tell of what.
            for line in said.splitlines(keepends=True):
                if line.endswith("\n"):
                    record, count = line.split()
                    acknowledged[record] = int(count)
        stored = Counter(r.record for r in checked(path) if r.stream != "ledger:self")
        assert {4} == set(stored.values())
        assert {r: n for r, n in acknowledged.items() if stored[r] != n} == {}
        assert len(acknowledged) >= kills
        assert len(stored) - len(acknowledged) <= kills

    def test_the_next_process_goes_on_where_it_was_killed(self, path, worker):
        one = worker("append", path, "w")
        one.stdout.readline()
        one.kill()
        one.wait()
        with Ledger(path, clock=lambda: NOW) as ledger:
            before = len(list(ledger.replay()))
            ledger.record("INC-1", incident.detect, by="a", at=AT, title="down")
            assert before + 1 == len(list(ledger.replay()))
        checked(path)


class TestLocked:
    def test_a_writer_that_waited_in_vain_is_told(self, path):
        settings = {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(path),
            "SQLITE_LOCK_TIMEOUT": "1",
        }
        with (
            Ledger.configured(settings, clock=lambda: NOW) as ledger,
            closing(sqlite3.connect(path, isolation_level=None)) as other,
        ):
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="another process holds it; try again"):
                ledger.record("INC-1", incident.detect, by="a", at=AT, title="down")
            assert len(list(ledger.replay())) == 1
            other.execute("ROLLBACK")
            ledger.record("INC-1", incident.detect, by="a", at=AT, title="down")
            assert len(list(ledger.replay())) == 2

    def test_a_reader_does_not_wait_for_a_writer(self, path):
        Ledger(path).close()
        with (
            closing(sqlite3.connect(path, isolation_level=None)) as other,
            LedgerReader(path) as reader,
        ):
            other.execute("BEGIN IMMEDIATE")
            before = time.monotonic()
            assert len(list(reader.replay())) == 1
            assert time.monotonic() - before < 5

    def test_a_writer_does_not_wait_for_a_reader_that_stopped_halfway(self, path):
        with Ledger(path, clock=lambda: NOW) as ledger, LedgerReader(path) as reader:
            replay = reader.replay()
            next(replay)
            before = time.monotonic()
            ledger.record("INC-1", incident.detect, by="a", at=AT, title="down")
            assert time.monotonic() - before < 5


class TestReadOnly:
    def test_a_database_opened_for_reading_only_is_an_error_of_ours(self, path):
        Ledger(path).close()
        settings = {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": f"{path.as_uri()}?mode=ro",
            "CREATE_TABLE": "no",
        }
        with (
            Ledger.configured(settings, clock=lambda: NOW) as ledger,
            pytest.raises(StoreError, match="read-only"),
        ):
            ledger.record("INC-1", incident.detect, by="a", at=AT, title="down")

    @pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not count for this user")
    def test_a_folder_that_can_not_be_written_can_be_read_from(self, path):
        with Ledger(path, clock=lambda: NOW) as ledger:
            ledger.record("INC-1", incident.detect, by="a", at=AT, title="down")
        path.chmod(0o444)
        path.parent.chmod(0o555)
        try:
            with LedgerReader(path) as reader:
                assert len(list(reader.replay())) == 2
            with pytest.raises(StoreError, match="read-only"):
                Ledger(path)
        finally:
            path.parent.chmod(0o755)

    @pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not count for this user")
    def test_a_file_that_can_not_be_read_is_an_error_of_ours(self, path):
        Ledger(path).close()
        path.chmod(0)
        with pytest.raises((StoreError, NotALedgerError)):
            LedgerReader(path)
