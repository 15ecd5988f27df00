"""
What somebody can do to a log behind its back, on every store, and what an audit says to it.

An attack is a function from the rows to other rows: the table is emptied and filled with what it
returns, as whoever owns the database can do.
"""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from imcm import Ledger, audit, incident
from imcm.codec.rows import StoredEvent
from imcm.errors import LogDiffersError

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BEFORE, ANCHORED, ALL = 9, 25, 31  # rows at the first anchor, at the last one, and at the end


def tell(ledger, first, last):
    for number in range(first, last):
        at = NOW - timedelta(hours=100 - number)
        id = f"INC-{number}"
        ledger.record(id, incident.detect, by="ann", at=at, title=f"number {number}")
        ledger.record(id, incident.resolve, by="ann", at=at + timedelta(minutes=30))


class File:
    """A ledger in a SQLite file."""

    def __init__(self, path):
        self.path = path

    def ledger(self):
        return Ledger(self.path, clock=lambda: NOW)

    def rows(self):
        with closing(sqlite3.connect(self.path)) as connection:
            found = connection.execute(
                "SELECT rowid, originator_id, originator_version, topic, state "
                "FROM stored_events ORDER BY rowid"
            )
            return [StoredEvent._make(row) for row in found]

    def put(self, rows):
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("DELETE FROM stored_events")
            connection.executemany(
                "INSERT INTO stored_events (rowid, originator_id, originator_version, topic, state)"
                " VALUES (?, ?, ?, ?, ?)",
                rows,
            )

    def verdict(self, anchors, keys=()):
        """By the file, with its index, and by its rows alone: both must say the same."""
        by_file = audit.verify_file(self.path, anchors, keys=keys)
        assert by_file.outcome == audit.verify(self.rows(), anchors, keys=keys).outcome
        return by_file


class Table:
    """A ledger in PostgreSQL."""

    def __init__(self, server, settings):
        self.server = server
        self.settings = settings
        self.table = f"{settings['POSTGRES_SCHEMA']}.stored_events"

    def ledger(self):
        return Ledger.configured(self.settings, clock=lambda: NOW)

    def rows(self):
        return [
            StoredEvent._make(row)
            for row in self.server.sql(
                "SELECT notification_id, originator_id, originator_version, topic, state "
                f"FROM {self.table} ORDER BY notification_id"
            )
        ]

    def put(self, rows):
        with self.server.connection() as connection, connection.transaction():
            connection.execute(f"DELETE FROM {self.table}")
            connection.cursor().executemany(
                f"INSERT INTO {self.table} "
                "(notification_id, originator_id, originator_version, topic, state) "
                "VALUES (%s, %s, %s, %s, %s)",
                rows,
            )

    def verdict(self, anchors, keys=()):
        with self.ledger() as ledger:
            return audit.verify(ledger.rows(), anchors, keys=keys)


@pytest.fixture(scope="module")
def key():
    pem, vkey = audit.new_key("example.org/audit")
    return audit.Signer.from_pem(pem, name="example.org/audit"), vkey


@pytest.fixture(params=["in a file", "in PostgreSQL"])
def victim(request, path):
    if request.param == "in a file":
        return File(path)
    server, settings = (request.getfixturevalue(name) for name in ("server", "settings"))
    return Table(server, settings)


@pytest.fixture
def anchored(victim, key):
    """A log with two anchors, signed, and some events that are newer than both."""
    signer, _ = key
    with victim.ledger() as ledger:
        tell(ledger, 0, 4)
        anchors = audit.checkpoint(ledger.rows(), anchors="", at=NOW, signer=signer)
        tell(ledger, 4, 12)
        anchors = audit.checkpoint(ledger.rows(), anchors=anchors, at=NOW, signer=signer)
        tell(ledger, 12, 15)
    assert ALL == len(victim.rows())
    return anchors


def edit(place, **fields):
    """Return the attack that changes one row."""

    def attack(rows):
        return [r._replace(**fields) if n == place else r for n, r in enumerate(rows)]

    return attack


def flip(place, byte, bit=1):
    def attack(rows):
        state = bytearray(rows[place].state)
        state[byte] ^= bit
        return edit(place, state=bytes(state))(rows)

    return attack


def without(*places):
    return lambda rows: [r for n, r in enumerate(rows) if n not in places]


def swapped(a, b):
    """Two rows change places in the log, with all that is in them."""

    def attack(rows):
        rows = list(rows)
        rows[a], rows[b] = (
            rows[b]._replace(position=rows[a].position),
            rows[a]._replace(position=rows[b].position),
        )
        return rows

    return attack


def inserted(place):
    """A row of a new stream comes between two others."""

    def attack(rows):
        moved = [r._replace(position=r.position * 10) for r in rows]
        new = moved[place]._replace(
            position=moved[place].position - 5, stream="incident:INC-X", version=1
        )
        return sorted([*moved, new])

    return attack


ATTACKS = {
    "flip the first byte of a state": flip(5, 0),
    "flip a byte in the middle": flip(5, 60),
    "flip the last byte": flip(5, -1, 2),
    "flip a byte of words": flip(5, -6),
    "change a type": edit(6, type="IncidentClosed"),
    "change an id": edit(6, stream="incident:INC-99"),
    "change a version": edit(6, version=7),
    "cut a state": lambda rows: edit(6, state=rows[6].state[:-1])(rows),
    "add a blank to a state": lambda rows: edit(6, state=rows[6].state + b" ")(rows),
    "delete one": without(6),
    "delete a whole stream": without(5, 6),
    "delete many": without(*range(2, 20)),
    "swap two of one stream": swapped(5, 6),
    "swap two streams": swapped(5, 7),
    "insert": inserted(8),
    "another ledger's identity": lambda rows: edit(
        0, state=rows[0].state.replace(b'"imcm/', b'"imcm/0')
    )(rows),
}


class TestBeforeTheLastAnchor:
    @pytest.mark.parametrize("name", ATTACKS)
    def test_is_found(self, victim, anchored, name):
        victim.put(ATTACKS[name](victim.rows()))
        verdict = victim.verdict(anchored)
        assert verdict.outcome in {"DIFFERS", "WRONG LEDGER"}
        if verdict.outcome == "DIFFERS":
            # It lies before the first anchor, so that is as near as an outsider can tell.
            assert (0, BEFORE) == verdict.differs[:2]

    def test_a_difference_between_two_anchors_is_told_to_lie_there(self, victim, anchored):
        victim.put(flip(15, 80)(victim.rows()))
        verdict = victim.verdict(anchored)
        assert ("DIFFERS", 1, (BEFORE, ANCHORED)) == (
            verdict.outcome,
            verdict.matched,
            verdict.differs[:2],
        )

    def test_no_checkpoint_is_made_of_what_was_altered(self, victim, anchored, key):
        victim.put(flip(15, 80)(victim.rows()))
        with victim.ledger() as ledger, pytest.raises(LogDiffersError) as refused:
            audit.checkpoint(ledger.rows(), anchors=anchored, at=NOW, signer=key[0])
        assert "DIFFERS" == refused.value.outcome

    def test_a_log_that_was_cut_is_truncated(self, victim, anchored):
        victim.put(victim.rows()[: ANCHORED - 2])
        verdict = victim.verdict(anchored)
        assert ("TRUNCATED", 1) == (verdict.outcome, verdict.matched)

    def test_a_log_that_was_cut_and_filled_up_again_differs(self, victim, anchored):
        victim.put(victim.rows()[: ANCHORED - 4])
        with victim.ledger() as ledger:
            tell(ledger, 50, 55)
        verdict = victim.verdict(anchored)
        assert ("DIFFERS", (BEFORE, ANCHORED)) == (verdict.outcome, verdict.differs[:2])

    def test_an_old_copy_of_the_database_is_truncated(self, victim, anchored):
        """Whoever restores a backup in silence loses what came after it."""
        victim.put(victim.rows()[: BEFORE + 2])
        assert "TRUNCATED" == victim.verdict(anchored).outcome

    def test_renumbered_positions_are_no_tampering(self, victim, anchored):
        victim.put([r._replace(position=100 + 7 * r.position) for r in victim.rows()])
        assert "OK" == victim.verdict(anchored).outcome


class TestAfterTheLastAnchor:
    @pytest.mark.parametrize(
        "attack",
        [
            pytest.param(edit(ANCHORED + 2, type="IncidentClosed"), id="change a type"),
            pytest.param(without(ALL - 1), id="delete the last"),
            pytest.param(lambda rows: rows[:ANCHORED], id="delete all of them"),
        ],
    )
    def test_nothing_can_be_found_and_the_verdict_says_so(self, victim, anchored, attack):
        """This is what anchors can't do. Make them often, and keep them elsewhere."""
        victim.put(attack(victim.rows()))
        verdict = victim.verdict(anchored)
        assert "OK" == verdict.outcome
        newer = len(victim.rows()) - ANCHORED
        assert newer == verdict.newer
        told = "changes among them can't be detected" in " ".join(verdict.describe())
        assert (newer > 0) == told

    def test_only_a_gap_in_a_stream_can_be_seen_there(self, victim, anchored):
        victim.put(edit(ALL - 1, version=3)(victim.rows()))
        verdict = victim.verdict(anchored)
        assert ("GAPS", 1) == (verdict.outcome, verdict.gaps_total)


class TestAReplacedAnchor:
    """Whoever can write the anchors file replaces the last anchor by one of the altered log."""

    def replaced(self, victim, anchored, signer=None):
        first = anchored[: len(anchored) // 2]
        assert len(audit_notes(first)) == 1
        victim.put(flip(15, 80)(victim.rows()))
        with victim.ledger() as ledger:
            return audit.checkpoint(ledger.rows(), anchors=first, at=NOW, signer=signer)

    def test_is_found_when_anchors_are_signed(self, victim, anchored, key):
        forged = self.replaced(victim, anchored)
        verdict = victim.verdict(forged, keys=[key[1]])
        assert "NOT SIGNED" == verdict.outcome
        other = audit.Signer.from_pem(
            audit.new_key("example.org/audit")[0], name="example.org/audit"
        )
        with victim.ledger() as ledger:
            resigned = audit.checkpoint(ledger.rows(), anchors="", at=NOW, signer=other)
        assert "NOT SIGNED" == victim.verdict(resigned, keys=[key[1]]).outcome

    def test_unsigned_only_what_lies_before_the_anchor_before_it_is_protected(
        self, victim, anchored
    ):
        forged = self.replaced(victim, anchored)
        assert "OK" == victim.verdict(forged).outcome  # the edit lies behind the first anchor
        victim.put(flip(5, 60)(victim.rows()))
        assert "DIFFERS" == victim.verdict(forged).outcome  # this one lies before it


def audit_notes(text):
    from imcm.verifier import read_anchors

    return read_anchors(text)
