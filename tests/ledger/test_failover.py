"""
A PostgreSQL server that is lost for good, and the standby that takes its place.

The servers are real: a primary, a standby that repeats its write-ahead log, every process of the
primary killed at one moment, the standby promoted, and processes that record and read meanwhile.
"""

import contextlib
import json
import random
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from imcm import Ledger, LedgerReader, audit, incident
from imcm.domain.recorded import KeyUsed, Unread
from imcm.errors import StoreError

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=1)
WORKER = Path(__file__).with_name("worker.py")
STREAMS = 12
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def opened(settings):
    return Ledger.configured(settings, clock=lambda: NOW)


def detected(ledger, id):
    return ledger.record(id, incident.detect, by="ana", at=AT, title="down")


def ids(ledger):
    return [r.id for r in ledger.replay()][1:]


def anchored(settings, anchors=""):
    """Return the anchors with one more, after the log was compared with all before it."""
    with opened(settings) as ledger:
        return audit.checkpoint(ledger.rows(), anchors=anchors, at=NOW)


def until(true, why):
    give_up = time.monotonic() + 30
    while not true():
        assert time.monotonic() < give_up, why()
        time.sleep(0.01)


@contextlib.contextmanager
def made_servers():
    import postgres

    with contextlib.ExitStack() as made:

        def make(standby_of=None):
            one = postgres.Server() if standby_of is None else postgres.Standby(standby_of)
            made.callback(one.remove)
            return one

        yield make


@pytest.fixture
def servers():
    """Make primaries and standbys that a test may lose; nothing is left of them at the end."""
    with made_servers() as make:
        yield make


@pytest.fixture(scope="module")
def pair():
    """A primary with a synchronous standby, for tests that lose neither for good."""
    with made_servers() as make:
        primary = make()
        standby = make(standby_of=primary)
        primary.wait_for_standby(always=True)
        yield primary, standby


class Address:
    """
    Where clients find the server, whichever it is now: a link to the folder of its socket.

    It stands for the name or the address that moves with the primary in a real installation.
    """

    def __init__(self, folder, server):
        self.path = Path(folder, "primary")
        self.leads_to(server)

    def leads_to(self, server):
        new = self.path.with_name("new")
        new.symlink_to(server.folder)
        new.replace(self.path)


@pytest.fixture
def folder():
    """A folder with a path short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="imcm-at-") as made:
        yield made


class Spoken:
    """A process and the lines it has said so far, split into words."""

    def __init__(self, process):
        self.process = process
        self.lines = []
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip().split(maxsplit=4))

    def that(self, word):
        return [line[1:] for line in self.lines if line[0] == word]

    def finish(self):
        """Tell it to stop, and wait for its last word."""
        self.process.stdin.close()
        self.ended()
        assert (0, "") == (self.process.wait(), self.process.stderr.read())

    def ended(self):
        self._thread.join(timeout=30)
        assert not self._thread.is_alive(), self.lines[-3:]


@pytest.fixture
def spoken(process):
    """Start processes that run one of the things in worker.py, and listen to them."""
    listening = []

    def start(what, settings, *more):
        one = Spoken(process(WORKER, what, json.dumps(settings), *more))
        listening.append(one)
        return one

    yield start
    for one in listening:
        one.process.kill()
        one.ended()


class TestSynchronous:
    @pytest.mark.parametrize(
        ("failovers", "writers"),
        [
            pytest.param(1, 2, id="short"),
            pytest.param(6, 4, id="long", marks=pytest.mark.slow),
        ],
    )
    def test_nothing_acknowledged_is_lost_and_nothing_is_recorded_twice(
        self, servers, folder, spoken, failovers, writers
    ):
        """
        Given writers and a follower on a primary, which gets a synchronous standby,
        when every process of the primary is killed and the standby promoted, again and again,
        every second time after the standby was cut off for a while,
        then all go on, and the log is what was acknowledged, in order, and what was anchored.
        """
        chance = random.Random(20260302)
        primary = servers()
        settings = primary.new_schema()
        address = Address(folder, primary)
        there = {**settings, "POSTGRES_HOST": str(address.path)}
        with opened(there) as ledger, ledger.transaction() as tx:
            for number in range(STREAMS):
                tx.record(f"INC-{number}", incident.detect, by="ana", at=AT, title="down")
        says = [spoken("persistent", there, f"w{n}", STREAMS) for n in range(writers)]
        follower = spoken("following", there)
        anchors, before = "", []

        def recorded():
            return [len(one.that("recorded")) for one in says]

        def go_on():
            begun = recorded()
            until(
                lambda: all(now >= then + 15 for now, then in zip(recorded(), begun, strict=True)),
                lambda: [one.lines[-2:] for one in says],
            )

        for number in range(failovers):
            standby = servers(standby_of=primary)
            primary.wait_for_standby(always=True)
            go_on()
            anchors = anchored(there, anchors)
            until(lambda: len(follower.that("saw")) > sum(recorded()) // 2, lambda: follower.lines)
            if number % 2:
                standby.stop("immediate")  # what the primary still takes, the standby can't know
            time.sleep(chance.uniform(0.1, 0.3))
            primary.kill()
            standby.start()
            before.append(recorded())
            time.sleep(chance.uniform(0, 0.3))
            standby.promote()
            address.leads_to(standby)
            primary = standby
            go_on()
        for one in says:
            one.finish()

        with opened(there) as ledger:
            log = list(ledger.replay())
            verdict = audit.verify(ledger.rows(), anchors)
            for number in range(STREAMS):
                stream = f"incident:INC-{number}"
                assert [r for r in log if r.stream == stream] == ledger.history(stream)
        # Every call was asked until it was answered: what is stored is what was acknowledged.
        acknowledged = sorted(tuple(words) for one in says for words in one.that("recorded"))
        stored = [r for r in log if r.stream.startswith("incident:") and r.version > 1]
        assert acknowledged == sorted((r.event.person, r.stream, str(r.version)) for r in stored)
        assert len(stored) == len({r.event.person for r in stored})
        assert len(stored) == len([r for r in log if isinstance(r.event, KeyUsed)])
        assert [] == [r for r in log if isinstance(r.event, Unread)]
        for stream in {r.stream for r in log}:
            versions = [r.version for r in log if r.stream == stream]
            assert list(range(1, len(versions) + 1)) == versions
        # Positions only grow; a promoted server leaves some out.
        steps = [b.position - a.position for a, b in pairwise(log)]
        assert min(steps) > 0
        # The follower saw each event once, in order, also those from before.
        whole = [[str(r.position), r.stream, str(r.version), r.record] for r in log]
        until(lambda: len(follower.that("saw")) >= len(whole), lambda: follower.lines[-2:])
        assert whole == follower.that("saw")
        # What was anchored on servers that are gone holds, and the log goes on behind it.
        assert ("OK", failovers, True) == (verdict.outcome, verdict.matched, verdict.newer > 0)
        assert anchors.count("imcm/") < anchored(there, anchors).count("imcm/")
        assert [True] * failovers == [min(counts) >= 15 for counts in before]

    @pytest.mark.slow
    def test_two_hosts_lead_to_the_one_that_is_left(self, servers, spoken):
        """
        Given a writer that knows the primary and the standby, in this order,
        when the primary is gone, then it is refused by the standby until that is promoted.
        """
        primary = servers()
        settings = primary.new_schema()
        with opened(settings) as ledger:
            detected(ledger, "INC-0")
        standby = servers(standby_of=primary)
        primary.wait_for_standby(always=True)
        both = {**settings, "POSTGRES_HOST": f"{primary.folder},{standby.folder}"}
        writer = spoken("persistent", both, "w", 1)
        until(lambda: len(writer.that("recorded")) > 5, lambda: writer.lines)
        primary.kill()
        until(lambda: writer.that("again"), lambda: writer.lines[-2:])
        standby.promote()
        begun = len(writer.that("recorded"))
        until(lambda: len(writer.that("recorded")) > begun + 5, lambda: writer.lines[-2:])
        writer.finish()
        with opened({**settings, "POSTGRES_HOST": str(standby.folder)}) as ledger:
            stored = [r.event.person for r in ledger.history("incident:INC-0")[1:]]
        assert [f"w/{number}" for number in range(len(stored))] == stored
        assert stored == [person for person, *_ in writer.that("recorded")]
        refused = " ".join(" ".join(words) for words in writer.that("again"))
        assert "nothing of this call was recorded" in refused

    def test_a_standby_can_be_read_and_does_not_record(self, pair):
        primary, standby = pair
        settings = primary.new_schema()
        there = "SELECT 1 FROM pg_tables WHERE schemaname = %s"
        with opened(settings) as ledger:
            detected(ledger, "INC-0")
            until(
                lambda: standby.sql(there, settings["POSTGRES_SCHEMA"]),
                lambda: standby.sql("SELECT * FROM pg_stat_wal_receiver"),
            )
            with opened({**settings, "POSTGRES_HOST": str(standby.folder)}) as reader:
                detected(ledger, "INC-1")
                # It has written all that was acknowledged, and shows it a little later.
                until(lambda: len(ids(reader)) == 2, lambda: ids(reader))
                assert list(ledger.rows()) == list(reader.rows())
                assert ledger.ledger_id == reader.ledger_id
                with pytest.raises(StoreError, match=r"during recovery; nothing of this call"):
                    detected(reader, "INC-2")
            assert ["INC-0", "INC-1"] == ids(ledger)


class TestStandbyAway:
    """What a lost standby means: synchronous, the primary waits; asynchronous, it may lose."""

    def test_nothing_is_acknowledged_while_the_synchronous_standby_is_away(self, pair):
        primary, standby = pair
        settings = primary.new_schema()
        with opened(settings) as ledger, opened(settings) as other:
            detected(ledger, "INC-0")
            standby.stop()
            answers = []
            thread = threading.Thread(target=lambda: answers.append(detected(ledger, "INC-1")))
            thread.start()
            until(lambda: primary.sql(WAITING), lambda: answers)
            assert ["INC-0"] == ids(other)  # what is not safe is not shown either
            with (
                opened({**settings, "POSTGRES_LOCK_TIMEOUT": "1"}) as next_one,
                pytest.raises(StoreError, match="another process holds the log"),
            ):
                detected(next_one, "INC-2")
            assert [] == answers
            standby.start()
            thread.join(timeout=30)
            assert ["INC-0", "INC-1"] == ids(other)
            assert 1 == len(answers)

    def test_ledgers_side_by_side_wait_for_the_standby_together(self, pair):
        """A notification in their transactions would have each wait for the one before."""
        primary, standby = pair
        with opened(primary.new_schema()) as one, opened(primary.new_schema()) as two:
            standby.stop()
            threads = [
                threading.Thread(target=detected, args=(ledger, "INC-1")) for ledger in (one, two)
            ]
            for thread in threads:
                thread.start()
            until(lambda: len(primary.sql(WAITING)) == 2, lambda: primary.sql(WAITING))
            standby.start()
            for thread in threads:
                thread.join(timeout=30)
            assert [["INC-1"], ["INC-1"]] == [ids(one), ids(two)]

    def test_a_follower_of_a_standby_looks_by_itself_since_no_standby_can_listen(self, pair):
        primary, standby = pair
        settings = primary.new_schema()
        with opened(settings) as ledger:
            detected(ledger, "INC-0")
            there = {**settings, "POSTGRES_HOST": str(standby.folder)}
            seen, stop = [], threading.Event()

            def follow():
                with LedgerReader.configured(there) as reader:
                    seen.extend(r.id for r in reader.follow(every=0.05, stop=stop) if see(r))

            def see(recorded):
                if recorded.id == "INC-1":
                    stop.set()
                begun.set()
                return True

            begun = threading.Event()
            primary_has = primary.sql("SELECT pg_current_wal_lsn()")[0][0]
            replayed = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
            until(lambda: standby.sql(replayed, primary_has) == [(True,)], lambda: primary_has)
            thread = threading.Thread(target=follow)
            thread.start()
            assert begun.wait(30)
            detected(ledger, "INC-1")
            thread.join(timeout=30)
        assert ["INC-0", "INC-1"] == seen[1:]

    def test_asynchronous_replication_loses_what_the_standby_had_not_received(self, servers):
        """
        Given a standby nobody waits for, which is behind when the primary is lost,
        when it is promoted, then acknowledged records are gone, and an anchor tells;
        positions are given again, so a follower would pass over what is recorded next.
        """
        primary = servers()
        settings = primary.new_schema()
        standby = servers(standby_of=primary)
        primary.wait_for_standby()
        with opened(settings) as ledger:
            detected(ledger, "INC-0")
            received = "SELECT count(*) FROM pg_stat_replication WHERE flush_lsn = "
            until(
                lambda: [(1,)] == primary.sql(f"{received} pg_current_wal_lsn()"),
                lambda: primary.sql("SELECT * FROM pg_stat_replication"),
            )
            standby.stop()
            lost = [detected(ledger, f"INC-{number}")[0].position for number in range(1, 61)]
        anchors = anchored(settings)
        primary.kill()
        standby.start()
        standby.promote()
        with opened({**settings, "POSTGRES_HOST": str(standby.folder)}) as ledger:
            assert ["INC-0"] == ids(ledger)
            assert "TRUNCATED" == audit.verify(ledger.rows(), anchors).outcome
            [new] = detected(ledger, "INC-61")
            assert lost[0] < new.position < lost[-1]
            assert [] == list(ledger.replay(after=lost[-1]))

    @pytest.mark.slow
    def test_what_is_found_after_a_broken_wait_is_not_acknowledged_alone(self, servers):
        """
        Given a call that waits for a standby that is away,
        when its session is ended, so that the record is stored on the primary only,
        then the call must not be answered as if both had it.
        """
        primary = servers()
        settings = primary.new_schema()
        with opened(settings) as ledger:
            detected(ledger, "INC-0")
            standby = servers(standby_of=primary)
            primary.wait_for_standby(always=True)
            standby.stop()
            answers = []

            def ask():
                with contextlib.suppress(StoreError):
                    answers.append(detected(ledger, "INC-1"))

            thread = threading.Thread(target=ask)
            thread.start()
            until(lambda: primary.sql(WAITING), lambda: answers)
            primary.sql(f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS waiting")
            thread.join(timeout=3)
            primary.kill()
            thread.join(timeout=30)
        standby.start()
        standby.promote()
        with opened({**settings, "POSTGRES_HOST": str(standby.folder)}) as ledger:
            assert len(answers) == len(ids(ledger)) - 1

    @pytest.mark.slow
    def test_a_step_decided_on_lost_events_is_decided_again(self, servers, folder):
        """
        Given a step that has read events which the standby never received,
        when the standby takes over before the step's event is inserted,
        then it is decided again on what stands there, and the stream has no gap.
        """
        primary = servers()
        settings = primary.new_schema()
        address = Address(folder, primary)
        with opened(settings) as ledger:
            detected(ledger, "INC-0")
        standby = servers(standby_of=primary)
        primary.wait_for_standby()

        def while_all_is_lost(state: incident.Incident, *, by, at):
            if len(state.past) == 3:
                primary.kill()
                standby.start()
                standby.promote()
                address.leads_to(standby)
            return incident.post_update(state, by=by, at=at, audience="internal", text="looking")

        with opened({**settings, "POSTGRES_HOST": str(address.path)}) as ledger:
            standby.stop()
            for person in ("ana", "ben"):
                step = {"role": "scribe", "person": person}
                ledger.record("INC-0", incident.assign_role, by="ana", at=AT, **step)
            ledger.record("INC-0", while_all_is_lost, by="ana", at=AT)
            versions = [r.version for r in ledger.replay() if r.stream == "incident:INC-0"]
        assert [1, 2] == versions
