"""Words taken out for good, with every fact, figure and proof as it was; and append-only guards."""

import hashlib
import io
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from imcm import Ledger, LedgerReader, audit, change, dora_report, facts, incident
from imcm.codec.encoding import encode
from imcm.codec.rows import StoredEvent
from imcm.domain.corrections import EventVoided, WordsRedacted
from imcm.domain.incident_events import IncidentDetected
from imcm.domain.recorded import Source
from imcm.errors import InvalidValue, StepRefused, StoreError, UnknownIdError
from imcm.interchange import jsonl
from imcm.ledger import History, keys
from imcm.ledger.calls import call_of

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=3)
SECRET = "Zacharias Quittenbaum"
WHY = {"by": "dpo", "at": NOW, "reason": "a customer asked for it"}


@pytest.fixture(params=["in a file", "in PostgreSQL"])
def book(request, path):
    """A ledger that can be redacted, with a story in it that names somebody."""
    made = (
        Ledger(path, clock=lambda: NOW)
        if request.param == "in a file"
        else Ledger.configured(request.getfixturevalue("settings"), clock=lambda: NOW)
    )
    with made:
        tell(made)
        yield made


def tell(ledger):
    def record(id, step, hours, **more):
        ledger.record(id, step, by="ann", at=AT + timedelta(hours=hours), **more)

    record("CHG-1", change.plan, 0, title=f"for {SECRET}", services=("pay",), rollback_plan=SECRET)
    record("INC-1", incident.detect, 1, title=f"{SECRET} can't pay", services=("pay",))
    record("INC-1", incident.triage, 1.1, severity="P2")
    record("INC-1", incident.post_update, 1.2, audience="internal", text=f"called {SECRET}")
    record("INC-1", incident.link_change, 1.3, change="CHG-1", verdict="caused", why=SECRET)
    record("INC-1", incident.resolve, 2)
    record("INC-2", incident.detect, 2.5, title="another one", services=("pay",))


def table(settings):
    """Return the events table of a ledger in PostgreSQL."""
    return f"{settings['POSTGRES_SCHEMA']}.stored_events"


def anchored(ledger):
    return audit.checkpoint(ledger.rows(), anchors="", at=NOW)


class TestWordsTakenOut:
    def test_they_are_gone_and_everything_else_is_as_it_was(self, book):
        before = list(book.replay())
        known = facts(before, as_of=NOW)
        figures = dora_report(known).as_dict(population=True)
        state = book.incident("INC-1")
        anchors = anchored(book)
        proofs = audit.prove(book.rows(), "incident:INC-1", checkpoint=anchors)

        [said] = book.redact("incident:INC-1", **WHY)

        event = WordsRedacted(
            at=NOW, by="dpo", versions=(1, 3, 4), reason="a customer asked for it"
        )
        assert (event, 6, "incident:INC-1") == (said.event, said.version, said.stream)
        after = list(book.replay())
        assert said == after[-1]
        assert [1, 3, 4] == [
            r.version for r in after if r.stream == "incident:INC-1" and r.redacted
        ]
        assert not any(SECRET in str(r) for r in after if r.stream == "incident:INC-1")
        assert [r for r in before if r.stream != "incident:INC-1"] == [
            r for r in after if r.stream != "incident:INC-1"
        ]
        again = facts(after, as_of=NOW)
        assert (known.incidents, known.changes) == (again.incidents, again.changes)
        moved = {"log_position"}
        redacted = dora_report(again).as_dict(population=True)
        assert without(figures, moved) == without(redacted, moved)
        assert without_past(state) == without_past(book.incident("INC-1"))
        verdict = audit.verify(book.rows(), anchors)
        assert ("OK", 1, 3, ()) == (
            verdict.outcome,
            verdict.newer,
            verdict.redacted,
            verdict.unaccounted,
        )
        for proof in proofs:
            audit.check_proof(proof, anchors)

    def test_not_a_byte_of_them_is_left_in_the_file(self, path):
        with Ledger(path, clock=lambda: NOW) as ledger:
            tell(ledger)
            ledger.redact("incident:INC-1", **WHY)
            ledger.redact("change:CHG-1", **WHY)
            for file in path.parent.iterdir():
                assert SECRET.encode() not in file.read_bytes()
        assert SECRET.encode() not in path.read_bytes()

    def test_only_some_of_them(self, book):
        [said] = book.redact("incident:INC-1", **WHY, versions=[3])
        assert (3,) == said.event.versions
        told = [str(r.event) for r in book.history("incident:INC-1")]
        assert [1, 4] == [n for n, text in enumerate(told, start=1) if SECRET in text]

    def test_once_they_are_out_there_is_nothing_left_to_do(self, book):
        book.redact("incident:INC-1", **WHY)
        assert () == book.redact("incident:INC-1", **WHY)
        assert () == book.redact("incident:INC-1", **WHY, versions=[2])
        assert 6 == len(book.history("incident:INC-1"))

    def test_the_reason_of_a_redaction_goes_only_when_it_is_named(self, book):
        book.redact("incident:INC-1", **{**WHY, "reason": f"{SECRET} asked"})
        assert () == book.redact("incident:INC-1", **WHY)
        [said] = book.redact("incident:INC-1", **WHY, versions=[6])
        assert (6,) == said.event.versions
        assert not any(SECRET in str(r) for r in book.history("incident:INC-1"))

    def test_steps_go_on_and_a_void_can_not_bring_them_back(self, book):
        book.redact("incident:INC-1", **WHY)
        book.record("INC-1", incident.reopen, by="ann", at=NOW, why="again")
        with pytest.raises(StepRefused, match="words that were taken out are gone"):
            book.record("INC-1", incident.void, by="ann", at=NOW, version=6, why="a slip")
        assert not any(isinstance(r.event, EventVoided) for r in book.replay())

    def test_what_was_imported_is_not_brought_in_again(self, book):
        event = incident.IncidentDetected(
            at=AT, by="desk", title=SECRET, services=("pay",), imported=True
        )
        history = History(stream="incident:desk/1", events=((event, Source(name="desk")),))
        assert (1, 1) == book.bring_in([history])
        book.redact("incident:desk/1", **WHY)
        assert (1, 0) == book.bring_in([history])

    def test_an_export_without_words_has_the_same_leaves(self, book):
        anchors = anchored(book)
        exported = io.BytesIO()
        jsonl.write(book.rows(), exported, words=False)
        assert SECRET.encode() not in exported.getvalue()
        rows = list(jsonl.read(exported.getvalue().splitlines(keepends=True)))
        verdict = audit.verify(rows, anchors)
        # Nothing in the log says that they were taken out: they never were in this copy.
        assert ("OK", 5, 5) == (verdict.outcome, verdict.redacted, len(verdict.unaccounted))
        book.redact("incident:INC-1", **WHY)
        theirs = {(r.stream, r.version): r.state for r in rows}
        mine = {(r.stream, r.version): r.state for r in book.rows()}
        for version in range(1, 6):
            key = "incident:INC-1", version
            assert theirs[key] == mine[key]

    def test_a_writer_that_was_faster_is_no_matter(self, book):
        """Others record on the same stream again and again while words are taken out."""
        stop = threading.Event()
        posted = []

        def post():
            while not stop.is_set():
                posted.append(
                    book.record(
                        "INC-2",
                        incident.post_update,
                        by="ann",
                        at=NOW,
                        audience="internal",
                        text=SECRET,
                    )
                )

        writer = threading.Thread(target=post)
        writer.start()
        try:
            said = [book.redact("incident:INC-2", **WHY) for _ in range(5)]
        finally:
            stop.set()
            writer.join()
        log = book.history("incident:INC-2")
        assert list(range(1, len(log) + 1)) == [r.version for r in log]
        assert len(log) == 1 + len(posted) + sum(map(len, said))
        named = {v for [r] in filter(None, said) for v in r.event.versions}
        assert named == {r.version for r in log if r.redacted}
        assert "OK" == audit.verify(book.rows(), anchored(book)).outcome


def without(value, names):
    if isinstance(value, dict):
        return {key: without(item, names) for key, item in value.items() if key not in names}
    return [without(item, names) for item in value] if isinstance(value, list) else value


def without_past(state):
    return {
        name: getattr(state, name) for name in state._fields if name not in {"past", "__weakref__"}
    }


class TestRefusals:
    @pytest.mark.parametrize(
        ("stream", "more", "error", "told"),
        [
            ("incident:INC-9", {}, UnknownIdError, "INC-9"),
            ("INC-1", {}, InvalidValue, 'give "incident:<id>" or "change:<id>"'),
            ("ledger:self", {}, InvalidValue, "ledger:self"),
            ("incident:", {}, InvalidValue, "id"),
            ("incident:INC-1", {"versions": [1, 9]}, InvalidValue, r"\[9\].*1 to 5"),
            ("incident:INC-1", {"reason": " "}, InvalidValue, "reason"),
            ("incident:INC-1", {"by": ""}, InvalidValue, "by"),
            ("incident:INC-1", {"at": NOW + timedelta(days=1)}, StepRefused, "future"),
            ("incident:INC-1", {"at": NOW.replace(tzinfo=None)}, ValueError, "zone"),
        ],
    )
    def test_nothing_is_taken_out(self, book, stream, more, error, told):
        before = list(book.rows())
        with pytest.raises(error, match=told):
            book.redact(stream, **{**WHY, **more})
        assert before == list(book.rows())

    def test_a_ledger_in_memory_has_nothing_to_take_words_out_of(self):
        with Ledger.in_memory(clock=lambda: NOW) as ledger:
            tell(ledger)
            with pytest.raises(StoreError, match="SQLite and PostgreSQL"):
                ledger.redact("incident:INC-1", **WHY)
            with pytest.raises(StoreError, match="SQLite and PostgreSQL"):
                ledger.guard()
            assert not ledger.guarded

    def test_compressed_words_can_not_be_told_apart(self, path):
        settings = {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(path),
            "COMPRESSOR_TOPIC": "zlib",
        }
        with Ledger.configured(settings, clock=lambda: NOW) as ledger:
            tell(ledger)
            with pytest.raises(StoreError, match="compressed or encrypted"):
                ledger.redact("incident:INC-1", **WHY)


ATTACKS = [
    "UPDATE {} SET state = state",
    "UPDATE {} SET topic = 'x' WHERE originator_version = 1",
    "DELETE FROM {} WHERE originator_version = 1",
    "DELETE FROM {}",
]
SQLITE = [
    "INSERT OR REPLACE INTO {} SELECT originator_id, originator_version, 'x', state FROM {}",
    "REPLACE INTO {} (rowid, originator_id, originator_version, topic, state) "
    "VALUES (2, 'incident:x', 1, 'x', 'x')",
    "UPDATE OR REPLACE {} SET originator_version = 2",
    "INSERT INTO {} SELECT * FROM {} WHERE true ON CONFLICT DO UPDATE SET topic = 'x'",
]
POSTGRES = [
    "TRUNCATE {}",
    "INSERT INTO {} (originator_id, originator_version, topic, state) "
    "SELECT originator_id, originator_version, 'x', state FROM {} "
    "ON CONFLICT (originator_id, originator_version) DO UPDATE SET topic = 'x'",
    "SET session_replication_role = replica; UPDATE {} SET state = state",
    "SET session_replication_role = replica; TRUNCATE {}",
]


class TestGuardedFile:
    @pytest.mark.parametrize("attack", ATTACKS + SQLITE)
    @pytest.mark.parametrize("recursive", ["OFF", "ON"])
    def test_what_is_refused(self, path, attack, recursive):
        with Ledger(path, clock=lambda: NOW) as ledger:
            tell(ledger)
            rows = list(ledger.rows())
            ledger.guard()
            with closing(sqlite3.connect(path)) as connection:
                connection.execute(f"PRAGMA recursive_triggers = {recursive}")
                with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                    connection.execute(attack.format(*["stored_events"] * 2))
            assert rows == list(ledger.rows())

    def test_recording_redacting_and_reading_go_on(self, path):
        with Ledger(path, clock=lambda: NOW) as ledger:
            assert not ledger.guarded
            ledger.guard()
            ledger.guard()
            assert ledger.guarded
            tell(ledger)
            ledger.redact("incident:INC-1", **WHY)
            assert ledger.guarded
        with LedgerReader(path) as reader:
            assert 9 == len(list(reader.replay()))
        with Ledger(path) as ledger:
            ledger.guard(on=False)
            assert not ledger.guarded

    def test_two_writers_at_one_place_still_decide_again(self, path):
        with Ledger(path, clock=lambda: NOW) as one, Ledger(path, clock=lambda: NOW) as other:
            one.guard()
            tell(one)

            def posts(ledger):
                for _ in range(30):
                    ledger.record(
                        "INC-2",
                        incident.post_update,
                        by="ann",
                        at=NOW,
                        audience="internal",
                        text="on it",
                    )

            threads = [threading.Thread(target=posts, args=(ledger,)) for ledger in (one, other)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert 61 == len(one.history("incident:INC-2"))


class TestGuardedTable:
    @pytest.mark.parametrize("attack", ATTACKS + POSTGRES)
    def test_what_is_refused(self, settings, server, attack):
        with Ledger.configured(settings, clock=lambda: NOW) as ledger:
            tell(ledger)
            rows = list(ledger.rows())
            ledger.guard()
            with pytest.raises(psycopg.Error, match="append-only"):
                server.sql(attack.replace("{}", table(settings)))
            assert rows == list(ledger.rows())

    def test_recording_redacting_and_reading_go_on(self, settings, server):
        with Ledger.configured(settings, clock=lambda: NOW) as ledger:
            assert not ledger.guarded
            ledger.guard()
            ledger.guard()
            assert ledger.guarded
            tell(ledger)
            ledger.redact("incident:INC-1", **WHY)
            assert ledger.guarded
            assert 9 == len(list(ledger.replay()))
            ledger.guard(on=False)
            assert not ledger.guarded
            server.sql(f"DELETE FROM {table(settings)} WHERE originator_id = 'incident:INC-2'")
            assert 8 == len(list(ledger.replay()))


class TestWhatWasDoneIsLookedAt:
    """Not what was asked: triggers can do anything, and somebody may be reading."""

    def test_while_somebody_reads_it_stands_and_is_pending(self, path):
        with Ledger(path, clock=lambda: NOW) as book:
            tell(book)
            wal = path.with_name(path.name + "-wal")
            with closing(sqlite3.connect(path, isolation_level=None)) as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM stored_events").fetchone()
                said = book.redact("incident:INC-1", **WHY)
                assert 1 == len(said)
                assert "ask again when they are done" in said.pending
                assert SECRET.encode() in wal.read_bytes() + path.read_bytes()
                again = book.redact("incident:INC-1", **WHY)
                assert ((), said.pending) == (again, again.pending)
            done = book.redact("incident:INC-1", **WHY)
            assert ((), "") == (done, done.pending)
            book.redact("change:CHG-1", **WHY)
            left = path.read_bytes() + (wal.read_bytes() if wal.exists() else b"")
            assert SECRET.encode() not in left

    @pytest.mark.parametrize(
        "does",
        [
            "BEFORE UPDATE ON stored_events BEGIN SELECT RAISE(IGNORE); END",
            "AFTER UPDATE ON stored_events BEGIN UPDATE stored_events SET state = OLD.state "
            "WHERE rowid = NEW.rowid; END",
            "BEFORE INSERT ON stored_events BEGIN SELECT RAISE(IGNORE); END",
        ],
    )
    def test_a_trigger_that_keeps_words_is_told_and_nothing_is_done(self, path, sql, does):
        with Ledger(path, clock=lambda: NOW) as book:
            tell(book)
            before = list(book.rows())
            sql(path, f"CREATE TRIGGER keeps {does}")
            with pytest.raises(StoreError, match="triggers that are not the ledger's: 'keeps'"):
                book.redact("incident:INC-1", **WHY)
            assert before == list(book.rows())

    @pytest.mark.parametrize(
        "does",
        [
            "BEFORE INSERT ON stored_events BEGIN SELECT RAISE(IGNORE); END",
            "AFTER INSERT ON stored_events BEGIN DELETE FROM stored_events "
            "WHERE rowid = NEW.rowid; END",
            "AFTER INSERT ON stored_events BEGIN UPDATE stored_events SET topic = 'X' "
            "WHERE rowid = NEW.rowid; END",
        ],
    )
    def test_an_event_that_a_trigger_swallows_is_not_acknowledged(self, path, sql, does):
        with Ledger(path, clock=lambda: NOW) as book:
            tell(book)
            before = list(book.rows())
            sql(path, f"CREATE TRIGGER swallows {does}")
            with pytest.raises(StoreError, match="did something else"):
                book.record("INC-2", incident.declare, by="ann", at=NOW)
            with pytest.raises(StoreError, match="did something else"):
                book.merge("INC-2", into="INC-1", by="ann", at=NOW)
            assert before == list(book.rows())
            sql(path, "DROP TRIGGER swallows")
            assert 1 == len(book.record("INC-2", incident.declare, by="ann", at=NOW))

    def test_a_trigger_that_only_looks_is_no_matter(self, path, sql):
        with Ledger(path, clock=lambda: NOW) as book:
            tell(book)
            sql(path, "CREATE TABLE told (id TEXT)")
            sql(
                path,
                "CREATE TRIGGER tell AFTER INSERT ON stored_events "
                "BEGIN INSERT INTO told VALUES (NEW.originator_id); END",
            )
            [said] = book.record("INC-2", incident.declare, by="ann", at=NOW)
            assert said == list(book.replay())[-1]
        assert [("incident:INC-2",)] == sql(path, "SELECT id FROM told")

    @pytest.mark.parametrize("does", ["RETURN NULL;", "NEW.topic := 'X'; RETURN NEW;"])
    def test_in_postgres_too(self, server, settings, does):
        with Ledger.configured(settings, clock=lambda: NOW) as book:
            tell(book)
            before = list(book.rows())
            schema = settings["POSTGRES_SCHEMA"]
            server.sql(
                f"CREATE FUNCTION {schema}.other() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$BEGIN {does} END$$"
            )
            server.sql(
                f"CREATE TRIGGER swallows BEFORE INSERT OR UPDATE ON {table(settings)} "
                f"FOR EACH ROW EXECUTE FUNCTION {schema}.other()"
            )
            with pytest.raises(StoreError, match="did something else"):
                book.record("INC-2", incident.declare, by="ann", at=NOW)
            with pytest.raises(StoreError, match="did something else"):
                book.redact("incident:INC-1", **WHY)
            assert before == list(book.rows())

    def test_it_is_guarded_only_with_all_guards_as_they_were_made(self, path, sql):
        with Ledger(path, clock=lambda: NOW) as book:
            book.guard()
            assert book.guarded
            sql(path, "DROP TRIGGER imcm_no_delete")
            assert not book.guarded
            book.guard()
            assert book.guarded
            sql(path, "DROP TRIGGER imcm_no_update")
            sql(
                path,
                "CREATE TRIGGER imcm_no_update BEFORE UPDATE ON stored_events BEGIN SELECT 1; END",
            )
            assert not book.guarded

    @pytest.mark.parametrize(
        "statement",
        [
            "DROP TRIGGER imcm_no_truncate ON {}",
            "ALTER TABLE {} DISABLE TRIGGER imcm_no_change",
            "ALTER TABLE {} ENABLE TRIGGER imcm_no_change",
        ],
    )
    def test_in_postgres_only_when_all_always_fire(self, server, settings, statement):
        with Ledger.configured(settings, clock=lambda: NOW) as book:
            book.guard()
            assert book.guarded
            server.sql(statement.format(table(settings)))
            assert not book.guarded


class TestNothingComesBack:
    """A redaction is sticky, and nothing that is kept confirms what was taken out."""

    def test_importing_the_source_again_brings_no_words_back(self, path):
        source = Source(name="sn", id="1", sha256="ab" * 32)

        def histories(at=AT, title=SECRET):
            detected = IncidentDetected(at=at, by="sn", title=title, imported=True)
            return [History(stream="incident:sn/1", events=((detected, source),))]

        with Ledger(path, clock=lambda: NOW) as book:
            book.bring_in(histories())
            book.redact("incident:sn/1", **WHY)
            for again in (histories(), histories(at=AT - timedelta(hours=1)), histories(title="x")):
                book.bring_in(again)
            assert not any(SECRET.encode() in row.state for row in book.rows())
            [first, *_] = book.history("incident:sn/1")
            assert ("", True) == (first.event.title, first.redacted)

    def test_a_guessed_title_or_row_can_not_be_confirmed_afterwards(self, path):
        raw = f"1,{SECRET}".encode()
        payload = hashlib.sha256(raw).hexdigest()
        source = Source(name="pd", id="1", sha256=payload)
        with Ledger(path, clock=lambda: NOW) as book:
            book.once(source, "d-1").record("INC-1", incident.detect, by="pd", at=AT, title=SECRET)
            [row] = book.rows_of("incident:INC-1")
            assert audit.is_of_payload(row, raw) is True
            assert False is audit.is_of_payload(row, b"another")
            book.redact("incident:INC-1", **WHY)
            [row, _] = book.rows_of("incident:INC-1")
            assert None is audit.is_of_payload(row, raw)
            guesses = [payload, hashlib.sha256(SECRET.encode()).hexdigest()]
            with_title = {"by": "pd", "at": AT, "title": SECRET}
            guesses.append(keys._hash_of_old_claim([call_of("INC-1", incident.detect, with_title)]))
            everything = b"".join(one.state for one in book.rows())
            assert [] == [guess for guess in guesses if guess.encode() in everything]

    def test_appended_from_an_older_log_a_plain_hash_becomes_a_keyed_one(self, path, tmp_path):
        """And where the words are gone already, none at all."""
        raw = b"the row"
        payload = hashlib.sha256(raw).hexdigest()
        with Ledger(tmp_path / "old.db", clock=lambda: NOW) as old:
            for number, title in ((1, "some"), (2, ""), (3, "gone")):
                event = IncidentDetected(at=AT, by="sn", title=title, imported=True)
                name, state = encode(event, recorded_at=NOW, record="r", source=Source(name="sn"))
                state = state.replace(
                    b'"source":{"name":"sn"}',
                    b'"source":{"name":"sn","sha256":"%b"}' % payload.encode(),
                )
                old._writes.insert([StoredEvent(0, f"incident:{number}", 1, name, state)])
            old.redact("incident:3", **WHY)
            with Ledger(path, clock=lambda: NOW) as book:
                book.append_rows(old.rows())
                rows = [book.rows_of(f"incident:{number}")[0] for number in (1, 2, 3)]
        assert [True, True, None] == [audit.is_of_payload(row, raw) for row in rows]
        assert [] == [row for row in rows if payload.encode() in row.state]
