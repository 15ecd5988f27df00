"""Real processes on one file: they race, they open it together, they are killed while writing."""

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from imcm import Ledger, LedgerReader, incident
from imcm.domain.recorded import KeyUsed, Unread
from imcm.errors import StoreError

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=1)
WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture
def worker(process):
    """Start a process that runs one of the things in worker.py."""
    return lambda *arguments: process(WORKER, *arguments)


class Killed(NamedTuple):
    """What a process had said when it was killed; in flight: it was in a call."""

    name: str
    acknowledged: list
    in_flight: bool


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
        ("processes", "steps", "streams", "turn"),
        [
            pytest.param(4, 150, 3, 150, id="short"),
            pytest.param(8, 1_250, 3, 50, id="long", marks=pytest.mark.slow),
        ],
    )
    def test_nothing_is_lost_and_nothing_is_twice(
        self, tmp_path, worker, processes, steps, streams, turn
    ):
        for again in range(6):
            path = tmp_path / f"ledger-{again}.db"
            if self.raced(path, worker, processes, steps, streams, turn):
                return
        pytest.fail("they never got into each other's way, so nothing was tried")

    def raced(self, path, worker, processes, steps, streams, turn):
        """Check what must hold in any case, and say whether they did race."""
        turns = -(-steps // turn)
        with Ledger(path, clock=lambda: NOW) as ledger, ledger.transaction() as tx:
            for number in range(turns * streams):
                tx.record(f"INC-{number}", incident.detect, by="a", at=AT, title="down")
        workers = [worker("race", path, f"w{n}", steps, streams, turn) for n in range(processes)]
        acknowledged = sorted(tuple(line.split()) for lines in go(workers) for line in lines)
        log = [r for r in checked(path) if r.version > 1]
        stored = sorted((r.event.person, r.stream, str(r.version)) for r in log)
        # Each decides once, in its turn: there is nobody to give up.
        assert processes * steps == len(acknowledged)
        assert acknowledged == stored
        # One stream's next event was often another process's.
        streams_of = {}
        for r in log:
            streams_of.setdefault(r.stream, []).append(r.event.by)
        changed = sum(a != b for by in streams_of.values() for a, b in pairwise(by))
        return changed > len(log) // 20

    def test_twelve_threads_in_three_processes_all_get_through(self, path, worker):
        """On one incident: nobody gives up, and nobody waits for ever."""
        with Ledger(path, clock=lambda: NOW) as ledger:
            ledger.record("INC-0", incident.detect, by="a", at=AT, title="down")
        answers = go([worker("crowd", path, f"w{n}", 4, 50) for n in range(3)])
        assert [200, 200, 200] == [len(lines) for lines in answers]
        versions = sorted(int(line.split()[1]) for lines in answers for line in lines)
        assert list(range(2, 602)) == versions
        assert 601 == len([r for r in checked(path) if r.stream == "incident:INC-0"])

    def test_a_delivery_that_reaches_every_process_is_recorded_once(self, path, worker):
        with Ledger(path, clock=lambda: NOW) as ledger:
            ledger.record("INC-0", incident.detect, by="a", at=AT, title="down")
        answers = go([worker("claim", path, f"w{n}", 15) for n in range(4)])
        assert [answers[0]] * 4 == answers
        log = checked(path)
        assert len([r for r in log if isinstance(r.event, KeyUsed)]) == 15
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
        ("kills", "parents"),
        [
            pytest.param(20, 2, id="short"),
            pytest.param(510, 3, id="long", marks=pytest.mark.slow),
        ],
    )
    def test_killed_processes_leave_whole_records_and_all_they_acknowledged(
        self, path, worker, kills, parents
    ):
        """Several write at a time; each is killed at a moment of its own."""
        Ledger(path).close()
        each = kills // parents
        started = [worker("appended", path, "begun") for _ in range(parents)]
        with ThreadPoolExecutor(parents) as threads:
            killed = [
                one
                for found in threads.map(self.kill, started, range(parents), [each] * parents)
                for one in found
            ]
        acknowledged = {record: int(count) for one in killed for record, count in one.acknowledged}
        log = [r for r in checked(path) if r.stream != "ledger:self"]
        stored = Counter(r.record for r in log)
        assert each * parents == len(killed)
        # Each had acknowledged something, and nearly all were killed inside of a call.
        assert [one.name for one in killed if not one.acknowledged] == []
        assert sum(one.in_flight for one in killed) > 0.9 * len(killed)
        # Every record is whole, and all that was acknowledged is there.
        assert {4} == set(stored.values())
        assert {} == {r: n for r, n in acknowledged.items() if stored[r] != n}
        # At most one call of each was stored without its answer: the one that was in flight.
        unanswered = Counter(
            r.stream.partition(":")[2].partition("-")[0]
            for r in log
            if r.record not in acknowledged and isinstance(r.event, incident.IncidentDetected)
        )
        in_flight = {one.name for one in killed if one.in_flight}
        assert {1} >= set(unanswered.values())
        assert unanswered.keys() <= in_flight
        # Some of these there must be, or none was killed while it wrote.
        assert len(unanswered) > 0 or kills < 100
        with Ledger(path, clock=lambda: NOW) as ledger:
            [r] = ledger.record("INC-1", incident.detect, by="a", at=AT, title="down")
            assert (1, log[-1].position + 1) == (r.version, r.position)

    @staticmethod
    def kill(parent, number, times):
        """Let one process after the other write, kill each, and tell how it went."""
        chance = random.Random(number)
        killed = []
        for turn in range(times):
            name = f"w{number}x{turn}"
            parent.stdin.write(f"{name}\n")
            parent.stdin.flush()
            _, pid = parent.stdout.readline().split()
            lines = [parent.stdout.readline(), parent.stdout.readline()]
            time.sleep(chance.uniform(0, 0.04))
            os.kill(int(pid), signal.SIGKILL)
            while lines[-1] != "ended\n":
                lines.append(parent.stdout.readline())
                assert lines[-1], parent.stderr.read()
            told = [tuple(line.split()) for line in lines[:-1]]
            acknowledged = [line for line in told if line[0] != "begun"]
            killed.append(Killed(name, acknowledged, in_flight=told[-1][0] == "begun"))
        return killed

    @pytest.mark.parametrize(
        "kills",
        [pytest.param(15, id="short"), pytest.param(300, id="long", marks=pytest.mark.slow)],
    )
    def test_a_ledger_whose_making_was_cut_off_is_made_by_the_next(self, tmp_path, worker, kills):
        parent, chance, left = worker("made", tmp_path), random.Random(3), Counter()
        for number in range(kills):
            path = tmp_path / f"{number}.db"
            parent.stdin.write(f"{number}\n")
            parent.stdin.flush()
            _, pid = parent.stdout.readline().split()
            time.sleep(chance.choice((0.002, 0.02, 0.1)) * chance.random())
            os.kill(int(pid), signal.SIGKILL)
            assert parent.stdout.readline() == "ended\n"
            left[path.exists(), path.exists() and path.stat().st_size > 0] += 1
            with Ledger(path, clock=lambda: NOW) as ledger:
                ledger.record("INC-1", incident.detect, by="a", at=AT, title="down")
            assert [1, 2] == [r.position for r in checked(path)]
        assert left[True, True] > 0

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

    def test_a_writer_that_waits_goes_on_the_moment_the_lock_goes(self, path, worker):
        Ledger(path).close()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            one = worker("patient", path)
            assert one.stdout.readline() == "ready\n", one.stderr.read()
            other.execute("BEGIN EXCLUSIVE")
            one.stdin.write("go\n")
            one.stdin.flush()
            time.sleep(1)
            # Others read on meanwhile, and see that nothing was recorded yet.
            with LedgerReader(path) as reader:
                assert len(list(reader.replay())) == 1
            other.execute("ROLLBACK")
            version, seconds = one.stdout.readline().split()
        assert "1" == version
        assert 0.5 < float(seconds) < 5
        assert len(checked(path)) == 2

    @pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
    def test_a_reader_does_not_wait_for_a_writer(self, path, lock):
        with Ledger(path, clock=lambda: NOW) as ledger:
            ledger.record("INC-1", incident.detect, by="a", at=AT, title="down")
        with (
            closing(sqlite3.connect(path, isolation_level=None)) as other,
            LedgerReader(path) as reader,
        ):
            other.execute(f"BEGIN {lock}")
            other.execute("DELETE FROM stored_events WHERE rowid = 2")
            before = time.monotonic()
            assert len(list(reader.replay())) == 2
            with LedgerReader(path) as another:
                assert len(list(another.replay())) == 2
            assert time.monotonic() - before < 5
            other.execute("ROLLBACK")

    def test_a_writer_does_not_wait_for_a_reader_that_stopped_halfway(self, path):
        with Ledger(path, clock=lambda: NOW) as ledger, LedgerReader(path) as reader:
            replay = reader.replay()
            next(replay)
            before = time.monotonic()
            ledger.record("INC-1", incident.detect, by="a", at=AT, title="down")
            assert time.monotonic() - before < 5
