"""
Files that read otherwise than they verify: what is verified must be what is read.

Each attack is made by whoever owns the file: on the schema, on pages, on positions.
"""

import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from imcm import (
    History,
    Ledger,
    LedgerReader,
    StepRefused,
    audit,
    change,
    incident,
    verifier,
)
from imcm.codec.encoding import encode
from imcm.domain.change import Change
from imcm.domain.change_events import ChangeApproved
from imcm.errors import ImcmError, InvalidValue, NotALedgerError, StoreError

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=2)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A ledger large enough for pages of every kind, and its anchors."""
    path = tmp_path_factory.mktemp("sound") / "ledger.db"
    with Ledger(path, clock=lambda: NOW) as ledger:
        for number in range(120):
            with ledger.transaction() as tx:
                id = f"INC-{number:03}"
                tx.record(id, incident.detect, by="ana", at=AT, title="x" * 900)
                tx.record(id, incident.acknowledge, by="ana", at=AT)
                tx.record(id, incident.resolve, by="ana", at=AT)
        ledger.record("CHG-1", change.plan, by="lena", at=AT, title="v2", rollback_plan="v1")
        anchors = audit.checkpoint(ledger.rows(), anchors="", at=NOW)
    return path, anchors


@pytest.fixture
def copy(sound, tmp_path):
    """A copy to be attacked, with its anchors."""
    path, anchors = sound
    target = tmp_path / "ledger.db"
    with LedgerReader(path) as reader:
        reader.backup(target)
    return target, anchors


def run(path, *statements):
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def verdict(path, anchors, **options):
    return audit.verify_file(path, anchors, **options)


class TestTheTable:
    RENAMED = "ALTER TABLE stored_events RENAME TO hidden"

    @pytest.mark.parametrize(
        "view",
        [
            "CREATE VIEW stored_events AS SELECT rowid, * FROM hidden",
            "CREATE VIEW stored_events AS SELECT rowid, * FROM hidden "
            "WHERE strftime('%H', 'now') < '25'",
            "CREATE VIEW Stored_Events AS WITH RECURSIVE n(rowid) AS (SELECT 1 UNION ALL "
            "SELECT rowid + 1 FROM n) SELECT rowid, 'incident:x' AS originator_id, "
            "rowid AS originator_version, 'T' AS topic, x'7b7d' AS state FROM n",
        ],
    )
    def test_a_view_is_no_ledger_to_anybody(self, copy, view):
        path, anchors = copy
        run(path, self.RENAMED, view)
        with pytest.raises(StoreError, match="stored_events is there as a view"):
            verdict(path, anchors)
        with pytest.raises(NotALedgerError, match="no ordinary table"):
            LedgerReader(path)
        with pytest.raises(NotALedgerError, match="no ordinary table"):
            Ledger(path)

    def test_a_virtual_table_is_none(self, copy):
        path, anchors = copy
        run(
            path,
            self.RENAMED,
            "CREATE VIRTUAL TABLE stored_events USING fts5(originator_id, originator_version, "
            "topic, state)",
        )
        with pytest.raises(StoreError, match="not made like that of a ledger"):
            verdict(path, anchors)
        with pytest.raises(NotALedgerError, match="no ordinary table"):
            LedgerReader(path)

    def test_the_copied_verifier_says_the_same(self, copy, tmp_path):
        path, anchors = copy
        alone = shutil.copy(verifier.__file__, tmp_path / "v.py")
        notes = tmp_path / "anchors.txt"
        notes.write_text(anchors)
        run(path, self.RENAMED, "CREATE VIEW stored_events AS SELECT rowid, * FROM hidden")
        ran = subprocess.run(
            [sys.executable, alone, path, notes], capture_output=True, text=True, check=False
        )
        assert (2, "") == (ran.returncode, ran.stdout)
        assert "as a view" in ran.stderr


class TestWhatWasAdded:
    def test_our_own_triggers_are_ours(self, copy):
        path, anchors = copy
        with Ledger(path) as ledger:
            ledger.guard()
            assert ledger.guarded
        found = verdict(path, anchors)
        assert ("OK", ()) == (found.outcome, found.added)

    @pytest.mark.parametrize(
        ("statement", "name"),
        [
            ("CREATE INDEX by_topic ON stored_events (topic)", "index by_topic"),
            (
                "CREATE TRIGGER tell AFTER INSERT ON stored_events BEGIN SELECT 1; END",
                "trigger tell",
            ),
            (
                "CREATE TRIGGER imcm_no_update BEFORE UPDATE ON Stored_Events BEGIN SELECT 1; END",
                "trigger imcm_no_update",
            ),
        ],
    )
    def test_somebodys_own_get_a_verdict_of_their_own(self, copy, statement, name):
        path, anchors = copy
        run(path, statement)
        found = verdict(path, anchors)
        assert ("ADDED", (name,), 1) == (found.outcome, found.added, found.matched)
        assert any(name in line for line in found.describe())
        allowed = verdict(path, anchors, allow=[name.partition(" ")[2]])
        assert ("OK", (name,)) == (allowed.outcome, allowed.added)

    def test_a_single_name_is_given_as_a_list(self, copy):
        """A text would allow every name that is a part of it."""
        path, anchors = copy
        run(path, "CREATE INDEX by_topic ON stored_events (topic)")
        with pytest.raises(InvalidValue, match="give a list of names"):
            verdict(path, anchors, allow="xby_topicx")

    def test_a_difference_is_worth_more_than_what_was_added(self, copy):
        path, anchors = copy
        run(
            path,
            "CREATE INDEX by_topic ON stored_events (topic)",
            "UPDATE stored_events SET topic = 'IncidentMitigated' WHERE rowid = 4",
        )
        assert "DIFFERS" == verdict(path, anchors).outcome

    def test_a_planted_index_with_other_contents(self, copy):
        """A covering index that names another person: no reader uses it, and it is found."""
        path, anchors = copy
        honest = state_of(path, "incident:INC-007", 2)
        forged = honest.replace(b'"by":"ana"', b'"by":"eve"')
        columns = "originator_id, originator_version, topic, state"
        run(path, f"CREATE INDEX planted ON stored_events ({columns})")
        data = path.read_bytes()
        places = [n for n in range(len(data)) if data.startswith(honest, n)]
        assert len(places) == 2
        planted = None
        for place in places:
            path.write_bytes(data[:place] + forged + data[place + len(forged) :])
            if state_of(path, "incident:INC-007", 2, "NOT INDEXED") == honest:
                planted = place
                break
        assert planted is not None
        assert forged == state_of(path, "incident:INC-007", 2, "INDEXED BY planted")
        with LedgerReader(path) as reader:
            [row] = [r for r in reader.rows_of("incident:INC-007") if r.version == 2]
            assert (honest, honest) == (row.state, next(reader.rows(after=row.position - 1)).state)
        found = verdict(path, anchors, allow=["planted"])
        assert "DIFFERS" == found.outcome
        assert "SQLite finds the file damaged or edited" in found.why[0]


def state_of(path, stream, version, how=""):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            f"SELECT state FROM stored_events {how} WHERE originator_id = ? "
            "AND originator_version = ?",
            (stream, version),
        ).fetchone()[0]


class TestPages:
    def test_a_key_inside_the_tree_made_smaller(self, copy):
        """A scan sees every row, and a seek misses some: that is found, however it is read."""
        path, anchors = copy
        with closing(sqlite3.connect(path)) as connection:
            [root] = connection.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'stored_events'"
            ).fetchone()
            [size] = connection.execute("PRAGMA page_size").fetchone()
            rows = connection.execute("SELECT rowid FROM stored_events ORDER BY rowid").fetchall()
        data = bytearray(path.read_bytes())
        page = (root - 1) * size
        assert data[page] == 5  # an interior page of a table
        cells = struct.unpack(">H", data[page + 3 : page + 5])[0]
        first = struct.unpack(">H", data[page + 12 : page + 14])[0]
        key = page + first + 4
        assert cells > 3
        assert 5 < data[key] < 128  # a key of one byte
        data[key] -= 4
        path.write_bytes(data)
        with closing(sqlite3.connect(path)) as connection:
            every = connection.execute("SELECT rowid FROM stored_events ORDER BY rowid").fetchall()
            missed = [
                at
                for (at,) in rows
                if not connection.execute(
                    "SELECT 1 FROM stored_events WHERE rowid = ?", (at,)
                ).fetchone()
            ]
        assert rows == every
        assert len(missed) >= 1
        assert "DIFFERS" == verdict(path, anchors).outcome

    def test_the_verdict_says_what_was_checked(self, copy):
        path, anchors = copy
        found = verdict(path, anchors)
        assert found.checked == (
            "events lie in the one ordinary table of a ledger",
            "SQLite's integrity check of it and its indexes",
            "every event read in log order and a second time by its stream",
        )
        assert list(found.checked) == found.as_json()["checked"]
        assert any(line.startswith("checked: ") for line in found.describe())


class TestPositions:
    """The log begins at 1: what stands in front of it, some readers would pass over."""

    @pytest.mark.parametrize("position", [0, -1, -(2**40)])
    def test_a_forged_approval_there_is_obeyed_by_nobody(self, copy, position):
        path, anchors = copy
        with Ledger(path, clock=lambda: NOW) as ledger:
            ledger.record("CHG-1", change.revise, by="lena", at=AT, why="risk", risk="low")
            ledger.record("CHG-1", change.submit, by="lena", at=AT)
        forged = ChangeApproved(
            at=AT, by="mia", content=2, votes=1, quorum=1, status="approved", imported=False
        )
        name, state = encode(forged, recorded_at=NOW, record="r")
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(
                "INSERT INTO stored_events (rowid, originator_id, originator_version, topic, state)"
                " VALUES (?, 'change:CHG-1', 4, ?, ?)",
                (position, name, state),
            )
        found = verdict(path, anchors)
        assert "DIFFERS" == found.outcome
        assert any(f"position {position} is no place in a log" in why for why in found.why)
        with Ledger(path, clock=lambda: NOW) as ledger:
            before = path.read_bytes()
            for ask in (
                lambda: list(ledger.rows()),
                lambda: list(ledger.replay()),
                ledger.facts,
                lambda: ledger.change("CHG-1"),
                lambda: ledger.history("change:CHG-1"),
                lambda: ledger.record("CHG-1", change.start, by="ci", at=AT),
                lambda: ledger.once("x", "k").record("CHG-1", change.start, by="ci", at=AT),
            ):
                with pytest.raises(ImcmError, match=f"position {position}"):
                    ask()
        assert before == path.read_bytes()

    def test_in_postgres_too(self, server, settings):
        table = f"{settings['POSTGRES_SCHEMA']}.stored_events"
        with Ledger.configured(settings, clock=lambda: NOW) as ledger:
            ledger.record("INC-1", incident.detect, by="ana", at=AT, title="x")
            [row] = ledger.rows_of("incident:INC-1")
            server.sql(
                f"INSERT INTO {table} (notification_id, originator_id, originator_version, topic, "
                "state) VALUES (-3, 'incident:INC-1', 2, 'IncidentDeclared', %s)",
                row.state,
            )
            for ask in (
                lambda: list(ledger.rows()),
                lambda: ledger.incident("INC-1"),
                lambda: ledger.record("INC-1", incident.resolve, by="ana", at=AT),
            ):
                with pytest.raises(NotALedgerError, match="position -3"):
                    ask()


class TestOtherRelationsInPostgres:
    @pytest.mark.parametrize(
        ("statements", "word"),
        [
            (
                ["ALTER TABLE {0} RENAME TO hidden", "CREATE VIEW {0} AS SELECT * FROM {1}.hidden"],
                "is a view",
            ),
            (["CREATE RULE r AS ON UPDATE TO {0} DO INSTEAD NOTHING"], "has rules"),
            (["ALTER TABLE {0} ENABLE ROW LEVEL SECURITY"], "has row-level security"),
            (["CREATE TABLE {1}.child () INHERITS ({0})"], "inherits"),
            (
                [
                    "ALTER TABLE {0} RENAME TO hidden",
                    "CREATE TABLE {0} (LIKE {1}.hidden) PARTITION BY LIST (topic)",
                ],
                "is a partitioned table",
            ),
        ],
    )
    def test_are_refused_by_whoever_opens_it(self, server, settings, statements, word):
        schema = settings["POSTGRES_SCHEMA"]
        with Ledger.configured(settings, clock=lambda: NOW) as ledger:
            ledger.record("INC-1", incident.detect, by="ana", at=AT, title="x")
        for statement in statements:
            server.sql(statement.format(f"{schema}.stored_events", schema))
        for opened in (Ledger.configured, LedgerReader.configured):
            with pytest.raises(NotALedgerError, match=word):
                opened(settings)


def hidden(path, *statements):
    """Change the schema where SQLite keeps it, so that names beside a statement say otherwise."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        [version] = connection.execute("PRAGMA schema_version").fetchone()
        connection.execute("PRAGMA writable_schema = 1")
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA schema_version = {version + 1}")


SWALLOWS = (
    "CREATE TRIGGER swallows BEFORE INSERT ON stored_events BEGIN "
    "INSERT INTO aside VALUES (1); SELECT RAISE(IGNORE); END"
)


class TestWhatHides:
    """SQLite goes by the statement of an entry; its name and its table may say anything."""

    @pytest.mark.parametrize(
        ("lie", "why"),
        [
            (
                "UPDATE sqlite_master SET tbl_name = 'stored_events' || char(0) "
                "WHERE type = 'trigger'",
                "hides what it does",
            ),
            ("UPDATE sqlite_master SET name = 'x' || char(0) WHERE type = 'trigger'", "malformed"),
            ("UPDATE sqlite_master SET tbl_name = 'aside' WHERE type = 'trigger'", "malformed"),
            ("UPDATE sqlite_master SET tbl_name = x'00' WHERE type = 'trigger'", "malformed"),
        ],
    )
    def test_a_trigger_whose_entry_says_otherwise_is_refused(self, copy, lie, why):
        path, anchors = copy
        run(path, "CREATE TABLE aside (n INTEGER)", SWALLOWS)
        hidden(path, lie)
        with pytest.raises(StoreError, match=why):
            verdict(path, anchors)

    def test_nothing_is_recorded_past_a_hidden_one(self, copy):
        path, _ = copy
        run(path, "CREATE TABLE aside (n INTEGER)", SWALLOWS)
        hidden(
            path,
            "UPDATE sqlite_master SET tbl_name = tbl_name || char(0) WHERE name = 'swallows'",
        )
        with Ledger(path, clock=lambda: NOW) as ledger:
            before = list(ledger.rows())
            with pytest.raises(StoreError, match="hides what it does"):
                ledger.record("INC-001", incident.reopen, by="ana", at=AT, why="x")
            assert before == list(ledger.rows())

    def test_guards_that_only_look_like_ours(self, copy):
        """Between double quotes a statement is a text to SQLite, and refuses nothing."""
        path, anchors = copy
        for name, sql in verifier.APPEND_ONLY.items():
            told = sql.replace("SELECT RAISE(ABORT, 'the log is append-only')", "SELECT 'x'")
            assert told != sql
            run(path, told)
            assert name
        with Ledger(path) as ledger:
            assert not ledger.guarded
        found = verdict(path, anchors)
        assert ("ADDED", 3) == (found.outcome, len(found.added))

    def test_words_are_not_taken_out_while_a_trigger_may_put_them_aside(self, copy):
        path, _ = copy
        run(
            path,
            "CREATE TABLE stash (state BLOB)",
            "CREATE TRIGGER keeps AFTER UPDATE ON stored_events "
            "BEGIN INSERT INTO stash VALUES (OLD.state); END",
        )
        with Ledger(path, clock=lambda: NOW) as ledger:
            before = list(ledger.rows())
            with pytest.raises(StoreError, match="triggers that are not the ledger's: 'keeps'"):
                ledger.redact("incident:INC-001", by="dpo", at=AT, reason="asked for")
            assert before == list(ledger.rows())

    def test_texts_in_utf_16_are_refused(self, sound, tmp_path):
        """In which half a character is there to one reader and not to another."""
        path, anchors = sound
        other = tmp_path / "other.db"
        with closing(sqlite3.connect(other)) as target, target:
            target.execute("PRAGMA encoding = 'UTF-16le'")
            target.execute(verifier._TABLE)
            with LedgerReader(path) as reader:
                target.executemany(
                    "INSERT INTO stored_events (rowid, originator_id, originator_version, topic, "
                    "state) VALUES (?, ?, ?, ?, ?)",
                    reader.rows(),
                )
        with pytest.raises(StoreError, match="UTF-8"):
            verdict(other, anchors)
        for opened in (LedgerReader, Ledger):
            with pytest.raises(NotALedgerError, match="UTF-16le"):
                opened(other)

    def test_the_last_position_there_is_is_none(self, copy):
        """Behind it SQLite gives out places at random."""
        path, anchors = copy
        run(
            path,
            f"UPDATE stored_events SET rowid = {(1 << 63) - 1} "
            "WHERE rowid = (SELECT max(rowid) FROM stored_events)",
        )
        found = verdict(path, anchors)
        assert "DIFFERS" == found.outcome
        assert f"position {(1 << 63) - 1} is no place in a log" in found.why[0]
        with Ledger(path) as ledger, pytest.raises(NotALedgerError, match="no place in a log"):
            list(ledger.rows())

    def test_a_version_that_only_its_index_tells_as_another_number(self):
        """3.0 equals 3 and hashes like it, and who looks for the stream reads no whole number."""
        rows = [(1, "ledger:self", 1, "LedgerOpened", b'{"event":{"ledger_id":"x"}}')]
        with pytest.raises(verifier.Unreadable, match="no whole number"):
            verifier.verify(rows, [], streams=[("ledger:self", 1.0, 1)])


class TestItEnds:
    @pytest.mark.parametrize("end", ["-journal", "-wal", "-shm"])
    def test_what_is_no_file_beside_it_is_refused(self, copy, end):
        path, anchors = copy
        path.with_name(path.name + end).unlink(missing_ok=True)
        os.mkfifo(path.with_name(path.name + end))
        with pytest.raises(StoreError, match="is no ordinary file"):
            verdict(path, anchors)
        with pytest.raises(NotALedgerError, match="is no ordinary file"):
            LedgerReader(path)

    def test_an_index_that_leads_to_one_page_by_very_many_ways(self, copy):
        """Sixteen floors, on each of which every door leads to the same room below."""
        path, anchors = copy
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            [root] = connection.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = ?", (verifier._AUTOINDEX,)
            ).fetchone()
            [size] = connection.execute("PRAGMA page_size").fetchone()
        data = bytearray(path.read_bytes())
        begin = (root - 1) * size
        child = struct.unpack(">I", data[begin + 8 : begin + 12])[0]
        leaf = bytes(data[(child - 1) * size : child * size])
        assert leaf[0] == 10
        at = struct.unpack(">H", leaf[8:10])[0]
        payload = leaf[at : at + 1 + leaf[at]]
        first = len(data) // size + 1

        def floor(below):
            page = bytearray(size)
            page[0] = 2
            end, places = size, []
            for _ in range(60):
                cell = struct.pack(">I", below) + payload
                end -= len(cell)
                page[end : end + len(cell)] = cell
                places.append(end)
            page[3:5], page[5:7] = struct.pack(">H", 60), struct.pack(">H", end)
            page[8:12] = struct.pack(">I", below)
            for number, place in enumerate(places):
                page[12 + 2 * number : 14 + 2 * number] = struct.pack(">H", place)
            return bytes(page)

        floors = [floor(first + number + 1) for number in range(15)]
        data[begin : begin + size] = floor(first)
        data += b"".join(floors) + leaf
        data[28:32] = struct.pack(">I", len(data) // size)
        path.write_bytes(data)
        assert "DIFFERS" == verdict(path, anchors).outcome


class TestASecondDoor:
    def test_what_only_equals_a_step_is_a_step_of_ones_own(self, tmp_path):
        class Vote:
            __name__ = "approve"

            def __call__(self, state: Change, *, by, at):
                told = {"votes": 1, "quorum": 1, "content": 1, "authority": "peer"}
                return (ChangeApproved(by=by, at=at, status="approved", **told),)

            def __eq__(self, other):
                return other is change.approve

            def __hash__(self):
                return hash(change.approve)

        with Ledger(tmp_path / "l.db", clock=lambda: NOW) as ledger:
            plan = {"title": "v2", "rollback_plan": "v1", "risk": "low"}
            ledger.record("CHG-1", change.plan, by="lena", at=AT, **plan)
            ledger.record("CHG-1", change.submit, by="lena", at=AT)
            with pytest.raises(ImcmError):
                ledger.record("CHG-1", Vote(), by="lena", at=AT)
            assert not ledger.change("CHG-1").voters

    def test_an_imported_approval_opens_nothing_that_is_live(self, tmp_path):
        with Ledger(tmp_path / "l.db", clock=lambda: NOW) as ledger:
            plan = {"title": "v2", "rollback_plan": "v1", "risk": "low"}
            ledger.record("CHG-1", change.plan, by="lena", at=AT, **plan)
            ledger.record("CHG-1", change.submit, by="lena", at=AT)
            told = ChangeApproved(at=AT, by="lena", imported=True, status="approved")
            ledger.bring_in([History(stream="change:CHG-1", events=((told, None),))])
            assert change.Status.SUBMITTED is ledger.change("CHG-1").status
            with pytest.raises(StepRefused, match="approved"):
                ledger.record("CHG-1", change.start, by="ci", at=AT)

    @pytest.mark.parametrize("by", ["LENA", "\uff4c\uff45\uff4e\uff41", "\U0001d425ena"])
    def test_another_style_of_letters_is_no_other_person(self, tmp_path, by):
        with Ledger(tmp_path / "l.db", clock=lambda: NOW) as ledger:
            plan = {"title": "v2", "rollback_plan": "v1", "risk": "low"}
            ledger.record("CHG-1", change.plan, by="lena", at=AT, **plan)
            ledger.record("CHG-1", change.submit, by="lena", at=AT)
            with pytest.raises(StepRefused, match="separation of duties"):
                ledger.record("CHG-1", change.approve, by=by, at=AT)
