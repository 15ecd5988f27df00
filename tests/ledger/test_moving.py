"""
A ledger moved from store to store: SQLite, PostgreSQL, SQLite, JSON lines, PostgreSQL.

What is moved are rows, with their order. So checkpoints, keys and redactions go with them; the
positions are the new store's own, and guards are of a database and not of a log: they stay behind.
"""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import NamedTuple

import pytest

from imcm import Ledger, audit, incident
from imcm.codec.rows import StoredEvent
from imcm.errors import MalformedLineError, StoreError
from imcm.interchange import jsonl

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=1)
MANY = 2_100  # incidents of three events each: more rows than any batch of reading or filling
NAME = "Ms Lindqvist"  # to be taken out
STOPS = ("a file", "PostgreSQL", "a file again", "JSON lines", "PostgreSQL again")


def clock():
    return NOW


def plain(rows):
    return [row[1:] for row in rows]


def filled(ledger):
    """Record more than any batch holds, streams interleaved, and some things besides."""
    with ledger.transaction() as tx:
        for number in range(MANY):
            tx.record(f"INC-{number}", incident.detect, by="ana", at=AT, title="Kasse fällt aus 🎉")
        for number in range(MANY):
            tx.record(f"INC-{number}", incident.acknowledge, by="ben", at=AT)
            tx.record(f"INC-{number}", incident.resolve, by="ana", at=AT)


def delivered(ledger, stop, by="pager"):
    """Deliver what was recorded at a stop under its key; the first time it is recorded there."""
    return ledger.once("pager", f"delivery at {stop}").record(
        f"INC-at-{stop}", incident.detect, by=by, at=AT, title=f"{NAME} can't pay"
    )


def lived(ledger, stop):
    """Have a ledger's life go on: something new, under a key, and its words taken out again."""
    delivered(ledger, stop)
    ledger.redact(f"incident:INC-at-{stop}", by="dpo", at=AT, reason="asked for")
    ledger.record(f"INC-at-{stop}", incident.acknowledge, by="ana", at=AT)


def anchored(ledger, anchors):
    return audit.checkpoint(ledger.rows(), anchors=anchors, at=NOW)


class Stop(NamedTuple):
    """A ledger where it has arrived: the rows that were sent, and the anchors they had."""

    name: str
    ledger: Ledger
    identity: str
    sent: list[StoredEvent]
    arrived: list[StoredEvent]
    guarded: bool
    anchors: str


@pytest.fixture(scope="module")
def journey(server, tmp_path_factory):
    """
    The stops of one ledger; each was recorded in, anchored and guarded before it went on.

    At the last stop it has only arrived.
    """
    folder = tmp_path_factory.mktemp("journey")
    settings = server.new_schema()
    stops = []

    def arrive(name, ledger, sent, anchors):
        arrived = list(ledger.rows())
        stops.append(Stop(name, ledger, ledger.ledger_id, sent, arrived, ledger.guarded, anchors))
        return ledger

    def live(ledger, name, anchors):
        lived(ledger, name)
        ledger.guard(on=True)
        return anchored(ledger, anchors)

    first, second, third, fourth, fifth = STOPS
    here = Ledger(folder / "first.db", clock=clock)
    filled(here)
    anchors = anchored(here, "")
    here.merge("INC-8", into="INC-9", by="ana", at=AT, why="the same")
    anchors = anchored(here, anchors)
    arrive(first, here, list(here.rows()), anchors)
    anchors = live(here, first, anchors)

    there = Ledger.restored(settings, here.rows(), clock=clock)
    arrive(second, there, list(here.rows()), anchors)
    for number in range(3):
        # Positions that hold no event, as an insert leaves them that is rolled back.
        table = f"{settings['POSTGRES_SCHEMA']}.stored_events"
        server.sql(f"SELECT nextval('{table}_notification_id_seq') FROM generate_series(1, 3000)")
        there.record(f"INC-{number}", incident.reopen, by="ana", at=AT, why="it is back")
    anchors = live(there, second, anchors)

    again = Ledger.restored(folder / "third.db", there.rows(), clock=clock)
    arrive(third, again, list(there.rows()), anchors)
    anchors = live(again, third, anchors)

    with (folder / "log.jsonl").open("wb") as file:
        jsonl.write(again.rows(), file)
    with (folder / "log.jsonl").open("rb") as file:
        copy = Ledger.restored(folder / "fourth.db", jsonl.read(file), clock=clock)
    arrive(fourth, copy, list(again.rows()), anchors)
    anchors = live(copy, fourth, anchors)

    with (folder / "more.jsonl").open("wb") as file:
        jsonl.write(copy.rows(), file)
    with (folder / "more.jsonl").open("rb") as file:
        last = Ledger.restored(server.new_schema(), jsonl.read(file), clock=clock)
    arrive(fifth, last, list(copy.rows()), anchors)
    yield stops
    for stop in stops:
        stop.ledger.close()


class TestJourney:
    def test_every_byte_and_the_order_are_kept(self, journey):
        assert list(STOPS) == [stop.name for stop in journey]
        for stop in journey:
            assert len(stop.sent) > 6_000
            assert plain(stop.sent) == plain(stop.arrived)
            assert all(a.position < b.position for a, b in pairwise(stop.arrived))

    def test_some_of_it_was_sent_from_behind_gaps(self, journey):
        """So that what is said of the order is said of positions with holes, too."""
        third = journey[2]
        gaps = [b.position - a.position for a, b in pairwise(third.sent)]
        assert 3 == len([gap for gap in gaps if gap > 3_000])
        assert {1} == {b.position - a.position for a, b in pairwise(third.arrived)}

    def test_it_is_the_same_ledger_everywhere(self, journey):
        assert {journey[0].identity} == {stop.identity for stop in journey}

    def test_every_anchor_holds_at_every_stop(self, journey):
        """Those made before the first move, and those made on the way, which continue them."""
        for moves, stop in enumerate(journey):
            verdict = audit.verify(stop.arrived, stop.anchors)
            assert ("OK", 2 + moves, 2 + moves) == (
                verdict.outcome,
                verdict.anchors,
                verdict.matched,
            )
            assert (len(stop.arrived), 0) == (verdict.size, verdict.newer)

    def test_a_proof_made_at_the_first_stop_is_the_proof_at_the_last(self, journey):
        first, last = journey[0], journey[-1]
        note = audit.checkpoint(first.arrived, anchors="", at=NOW)
        proofs = audit.prove(first.arrived, "incident:INC-7", checkpoint=note)
        assert proofs == audit.prove(last.arrived, "incident:INC-7", checkpoint=note)
        assert 3 == len(proofs)

    def test_a_byte_changed_on_the_way_is_noticed(self, journey):
        """So that anchors which hold say something."""
        last = journey[-1]
        [title] = [row for row in last.arrived if row[1:3] == ("incident:INC-7", 1)]
        other = title._replace(state=title.state.replace(b"Kasse", b"Tasse"))
        rows = [other if row is title else row for row in last.arrived]
        assert "DIFFERS" == audit.verify(rows, last.anchors).outcome

    def test_a_key_claimed_before_a_move_holds_after_it(self, journey):
        for number, stop in enumerate(journey[1:], start=1):
            before = list(stop.ledger.rows())
            for earlier in STOPS[:number]:
                [recorded] = delivered(stop.ledger, earlier)
                assert (f"INC-at-{earlier}", 1) == (recorded.id, recorded.version)
                # Its salt went with its words: whether it was asked for the same can't be said.
                assert [recorded] == [*delivered(stop.ledger, earlier, by="somebody else")]
            assert before == list(stop.ledger.rows())

    def test_what_was_redacted_stays_redacted_and_accounted_for(self, journey):
        for moves, stop in enumerate(journey):
            verdict = audit.verify(stop.arrived, stop.anchors)
            assert (moves, ()) == (verdict.redacted, verdict.unaccounted)
            assert [] == [row for row in stop.arrived if NAME.encode() in row.state]
            for earlier in STOPS[:moves]:
                detected, redacted, _ = stop.ledger.history(f"incident:INC-at-{earlier}")
                assert (True, (1,)) == (detected.redacted, redacted.event.versions)

    def test_guards_stay_behind_and_can_be_put_up_again(self, journey):
        """They are triggers of a database. Whoever moves a guarded ledger guards it again."""
        assert [False] * 5 == [stop.guarded for stop in journey]
        assert [True] * 4 == [stop.ledger.guarded for stop in journey[:-1]]

    def test_states_and_positions_are_those_of_the_log_it_has_become(self, journey):
        for stop in journey:
            expected = [r for r in stop.ledger.replay() if r.stream == "incident:INC-2"]
            assert expected == stop.ledger.history("incident:INC-2")
            assert len(expected) == len(stop.ledger.incident("INC-2").past)


@pytest.fixture(scope="module")
def rows():
    """The rows of a ledger, more than any batch holds."""
    with Ledger.in_memory(clock=clock) as ledger:
        filled(ledger)
        return list(ledger.rows())


class TestBroken:
    """A restore that fails behind the first batches leaves nothing behind on either store."""

    @pytest.fixture(params=["a file", "PostgreSQL"])
    def target(self, request, tmp_path):
        """Where to restore to, and a way to tell what is there."""
        if request.param == "a file":
            return tmp_path / "copy.db", lambda: sorted(tmp_path.iterdir())
        server = request.getfixturevalue("server")
        settings = server.new_schema()
        return settings, lambda: server.sql(
            f"SELECT * FROM {settings['POSTGRES_SCHEMA']}.stored_events"
        )

    @pytest.mark.parametrize("broken", ["cut off", "twice", "half a line"])
    def test_nothing_is_left_and_the_next_one_succeeds(self, target, rows, tmp_path, broken):
        where, there = target

        def cut_off():
            yield from islice(rows, 6_200)
            raise OSError("the network is gone")

        with (tmp_path / "log.jsonl").open("wb") as file:
            jsonl.write(rows, file)
            file.truncate(file.tell() - 9)
        lines = (tmp_path / "log.jsonl").read_bytes().splitlines(keepends=True)
        (tmp_path / "log.jsonl").unlink()
        given, error = {
            "cut off": (cut_off(), OSError),
            "twice": ([*rows, rows[5]], StoreError),
            "half a line": (jsonl.read(lines), MalformedLineError),
        }[broken]
        with pytest.raises(error):
            Ledger.restored(where, given, clock=clock)
        assert [] == there()
        with Ledger.restored(where, iter(rows), clock=clock) as restored:
            assert plain(rows) == plain(restored.rows())
            positions = [row.position for row in restored.rows()]
            assert sorted(set(positions)) == positions

    def test_an_export_that_ends_too_early_between_two_lines_is_told_by_its_anchors(
        self, target, rows
    ):
        """Nothing in such a file says that more was to come; it is restored as it is."""
        anchors = audit.checkpoint(rows, anchors="", at=NOW)
        where, _ = target
        with Ledger.restored(where, rows[:-1], clock=clock) as restored:
            assert "TRUNCATED" == audit.verify(restored.rows(), anchors).outcome
