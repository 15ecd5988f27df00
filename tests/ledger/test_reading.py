"""Reading changes nothing, what is no ledger is refused as it is, and settings can't move a log."""

import os
import shutil
import sqlite3
import textwrap
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from imcm import Ledger, LedgerReader, incident
from imcm.domain.incident_events import IncidentDetected, IncidentResolved
from imcm.errors import (
    ForkedLedgerError,
    InvalidValue,
    LedgerClosedError,
    LedgerMissingError,
    NotALedgerError,
    StoreError,
    UnknownIdError,
    UnreadEventError,
)

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=1)


def detected(ledger, id):
    return ledger.record(id, incident.detect, by="ana", at=AT, title=f"{id} is down")


def filled(path, count=5):
    with Ledger(path, clock=lambda: NOW) as ledger:
        for number in range(1, count + 1):
            detected(ledger, f"INC-{number}")


def beside(path):
    """Return the names of all files in the folder."""
    return sorted(p.name for p in path.parent.iterdir())


def other_database(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE invoices (id INTEGER PRIMARY KEY, total INTEGER)")
        connection.execute("INSERT INTO invoices VALUES (1, 100)")


def table_only(path):
    """Make what the event store makes before its first event."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE stored_events (originator_id TEXT, originator_version INTEGER, "
            "topic TEXT, state BLOB, PRIMARY KEY (originator_id, originator_version))"
        )


class TestChangesNothing:
    def test_reading_everything_leaves_the_file_as_it_is(self, path, digest):
        filled(path)
        before = digest(path)
        with LedgerReader(path) as reader:
            assert 6 == len(list(reader.replay())) == len(list(reader.rows()))
            assert reader.history("incident:INC-1")[0].id == "INC-1"
            assert len(reader.incident("INC-1").past) == 1
            with pytest.raises(UnknownIdError):
                reader.change("CHG-1")
        assert before == digest(path)

    def test_reading_leaves_at_most_the_files_that_sqlite_keeps_beside_a_log(self, path):
        """An empty write-ahead file and its index may stay: SQLite does not let readers delete."""
        filled(path)
        before = beside(path)
        with LedgerReader(path) as reader:
            list(reader.replay())
        new = set(beside(path)) - set(before)
        assert new <= {"ledger.db-wal", "ledger.db-shm"}
        assert not path.with_name("ledger.db-wal").stat().st_size

    def test_a_log_that_is_being_written_stays_as_its_writer_left_it(self, path, digest, process):
        """Its newest events are in the write-ahead file, which readers leave alone too."""
        filled(path, 1)
        writer = process("-c", KEEPS_WRITING, path)
        assert writer.stdout.readline() == "INC-100\n"
        wal = path.with_name(path.name + "-wal")
        before = digest(path), digest(wal)
        for _ in range(3):
            with LedgerReader(path) as reader:
                assert len(list(reader.replay())) == 102
        assert before == (digest(path), digest(wal))

    def test_a_log_that_is_only_read_may_lie_in_a_folder_of_its_own(self, path, tmp_path):
        """The main file of a closed ledger alone is the whole ledger."""
        filled(path)
        (tmp_path / "copy").mkdir()
        shutil.copy(path, tmp_path / "copy" / "ledger.db")
        with LedgerReader(tmp_path / "copy" / "ledger.db") as reader:
            assert len(list(reader.replay())) == 6

    def test_a_reader_can_not_record(self, path):
        filled(path)
        with LedgerReader(path) as reader:
            assert not hasattr(reader, "record")
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                reader._store._connection().execute("DELETE FROM stored_events")

    def test_a_damaged_log_is_read_up_to_the_damage(self, path, put):
        filled(path, 1)
        put(path, "incident:INC-1", 2, "IncidentResolved", b"{")
        with LedgerReader(path) as reader:
            assert len(list(reader.rows())) == 3
            with pytest.raises(StoreError, match="position 3"):
                list(reader.replay())

    def test_an_event_of_a_newer_version_is_listed(self, path, put):
        filled(path, 1)
        put(path, "incident:INC-1", 2, IncidentResolved(at=AT, by="ana"))
        with closing(sqlite3.connect(path)) as c, c:
            c.execute("UPDATE stored_events SET topic = 'IncidentSolved' WHERE rowid = 3")
        with LedgerReader(path) as reader:
            assert list(reader.replay())[-1].event.type == "IncidentSolved"
            with pytest.raises(UnreadEventError):
                reader.incident("INC-1")


KEEPS_WRITING = textwrap.dedent(
    """
    import sys
    from datetime import UTC, datetime
    from imcm import Ledger, incident

    ledger = Ledger(sys.argv[1])
    for number in range(100):
        ledger.record(f"INC-{number + 2}", incident.detect, by="ana",
                      at=datetime(2026, 3, 1, tzinfo=UTC), title="down")
    print("INC-100", flush=True)
    sys.stdin.readline()
    """
)


class TestWhatIsNoLedger:
    """Each is refused with an error that says what it is, and nothing is made or changed."""

    def refused(self, path, error, *words):
        before = snapshot(path.parent)
        with pytest.raises(error) as caught:
            LedgerReader(path)
        assert before == snapshot(path.parent)
        assert [word for word in (str(path), *words) if word not in str(caught.value)] == []

    def test_nothing(self, path):
        self.refused(path, LedgerMissingError, "no ledger", "check the path")

    def test_nothing_in_no_folder(self, path):
        with pytest.raises(LedgerMissingError, match="check the path"):
            LedgerReader(path / "ledger.db")

    def test_a_directory(self, path):
        path.mkdir()
        self.refused(path, NotALedgerError, "directory", "give the path of a ledger file")

    def test_an_empty_file(self, path):
        path.touch()
        self.refused(path, NotALedgerError, "empty")

    def test_a_text_file(self, path):
        path.write_text("SQLite is mentioned, but this is a note\n")
        self.refused(path, NotALedgerError, "not an SQLite database")

    def test_another_database(self, path):
        other_database(path)
        self.refused(path, NotALedgerError)

    def test_a_database_of_events_that_does_not_say_that_it_is_a_ledger(self, path):
        table_only(path)
        with pytest.raises(NotALedgerError, match="ledger:self"):
            LedgerReader(path)

    def test_a_database_that_was_cut_off(self, path):
        filled(path, 200)
        whole = path.read_bytes()
        path.write_bytes(whole[:5000])
        before = path.read_bytes()
        with pytest.raises(StoreError), LedgerReader(path) as reader:
            list(reader.replay())
        assert before == path.read_bytes()

    @pytest.mark.parametrize("make", [other_database, lambda path: path.write_text("a note")])
    def test_opening_it_for_writing_is_refused_without_altering_it(self, path, make):
        make(path)
        before = snapshot(path.parent)
        with pytest.raises(NotALedgerError):
            Ledger(path)
        assert before == snapshot(path.parent)

    def test_a_directory_is_refused_for_writing_too(self, path):
        path.mkdir()
        with pytest.raises(NotALedgerError, match="directory"):
            Ledger(path)

    def test_a_folder_that_is_missing_is_not_made(self, path):
        with pytest.raises(StoreError, match="make it first"):
            Ledger(path / "ledger.db")
        assert not path.exists()

    def test_an_empty_file_becomes_a_ledger_when_opened_for_writing(self, path):
        path.touch()
        with Ledger(path) as ledger:
            assert len(list(ledger.replay())) == 1

    def test_a_ledger_whose_first_event_was_not_written_yet_is_opened(self, path):
        """Another process may be between making its table and writing its first row."""
        table_only(path)
        with Ledger(path) as ledger:
            assert len(list(ledger.replay())) == 1

    def test_a_name_too_long_for_the_system_is_an_error_of_ours(self, path):
        with pytest.raises(StoreError):
            LedgerReader(path.with_name("x" * 300))

    def test_a_name_that_holds_a_nul_makes_nothing(self, path):
        before = snapshot(path.parent)
        with pytest.raises(InvalidValue, match="a path holds no NUL"):
            Ledger(f"{path}\0.db")
        assert before == snapshot(path.parent)


def snapshot(folder):
    """Return names and bytes of all files in a folder."""
    return {p.name: p.read_bytes() if p.is_file() else None for p in sorted(folder.iterdir())}


class TestPaths:
    @pytest.mark.parametrize(
        "name",
        ["a b.db", "a?mode=ro.db", "a#b.db", "a%20b.db", "é🎉.db", ":memory:", "mode=memory", "'"],
    )
    def test_any_name_of_a_file_is_just_a_name(self, tmp_path, name):
        with Ledger(tmp_path / name, clock=lambda: NOW) as ledger:
            detected(ledger, "INC-1")
        assert [name] == [p.name for p in tmp_path.iterdir()]
        with LedgerReader(tmp_path / name) as reader:
            assert len(list(reader.replay())) == 2

    def test_a_path_may_be_text_and_relative(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with Ledger("ledger.db") as ledger:
            ledger_id = ledger.ledger_id
        with LedgerReader("ledger.db") as reader:
            assert ledger_id == reader.ledger_id


class TestReplay:
    def test_it_begins_behind_and_ends_with_a_position(self, ledger):
        for number in range(1, 6):
            detected(ledger, f"INC-{number}")
        assert [r.position for r in ledger.replay()] == [1, 2, 3, 4, 5, 6]
        assert [r.position for r in ledger.replay(after=3)] == [4, 5, 6]
        assert [r.position for r in ledger.replay(upto=3)] == [1, 2, 3]
        assert [r.position for r in ledger.replay(after=2, upto=4)] == [3, 4]
        assert list(ledger.replay(after=6)) == []
        assert list(ledger.replay(after=4, upto=3)) == []
        assert list(ledger.replay(upto=0)) == []

    def test_it_goes_on_through_more_than_one_batch(self, in_file, path):
        with closing(sqlite3.connect(path)) as connection, connection:
            state = b'{"format":1,"record":"r","recorded_at":"2026-03-02T12:00:00.000000Z",'
            state += b'"event":{"at":null,"by":"a","mode":"real","status":"detected"}}'
            connection.executemany(
                "INSERT INTO stored_events VALUES (?, 1, 'IncidentDetected', ?)",
                ((f"incident:{number}", state) for number in range(4_500)),
            )
        assert list(range(1, 4_502)) == [r.position for r in in_file.replay()]
        assert list(range(1_999, 4_003)) == [
            r.position for r in in_file.replay(after=1_998, upto=4_002)
        ]

    def test_words_are_left_out_when_not_asked_for(self, ledger):
        detected(ledger, "INC-1")
        [_, recorded] = ledger.replay(words=False)
        assert IncidentDetected(at=AT, by="ana") == recorded.event

    def test_rows_have_the_exact_bytes(self, in_file, path):
        detected(in_file, "INC-1")
        with closing(sqlite3.connect(path)) as connection:
            stored = connection.execute("SELECT rowid, * FROM stored_events").fetchall()
        assert stored == [tuple(row) for row in in_file.rows()]

    def test_it_can_be_read_while_it_is_recorded_upon(self, ledger):
        detected(ledger, "INC-1")
        seen = 0
        for recorded in ledger.replay():
            seen = recorded.position
            if seen < 5:
                detected(ledger, f"INC-{seen + 100}")
        assert seen <= 6

    def test_another_thread_may_go_on_with_it(self, in_file):
        for number in range(3):
            detected(in_file, f"INC-{number}")
        replay = in_file.replay()
        first, rest = next(replay), []
        thread = threading.Thread(target=lambda: rest.extend(replay))
        thread.start()
        thread.join()
        assert (first.position, [r.position for r in rest]) == (1, [2, 3, 4])


class TestFollow:
    def test_it_sees_what_another_process_records_and_stops(self, path, process):
        filled(path, 1)
        stop = threading.Event()
        seen = []
        with LedgerReader(path) as reader:
            writer = process("-c", KEEPS_WRITING, path)
            for recorded in reader.follow(after=2, every=0.01, stop=stop):
                seen.append(recorded.id)
                if len(seen) == 100:
                    writer.stdin.close()
                    stop.set()
        assert [f"INC-{number + 2}" for number in range(100)] == seen

    def test_it_stops_while_it_waits(self, ledger):
        detected(ledger, "INC-1")
        stop, seen = threading.Event(), []
        thread = threading.Thread(
            target=lambda: seen.extend(ledger.follow(every=30, stop=stop)), daemon=True
        )
        thread.start()
        while len(seen) < 2 and thread.is_alive():
            threading.Event().wait(0.01)
        stop.set()
        thread.join(5)
        assert (thread.is_alive(), [r.position for r in seen]) == (False, [1, 2])

    def test_it_gives_each_event_once(self, ledger):
        stop, positions = threading.Event(), []
        for recorded in ledger.follow(every=0, stop=stop):
            positions.append(recorded.position)
            if len(positions) < 10:
                detected(ledger, f"INC-{len(positions)}")
            else:
                stop.set()
        assert list(range(1, 11)) == positions

    def test_one_that_was_stopped_before_gives_nothing(self, ledger):
        stop = threading.Event()
        stop.set()
        assert list(ledger.follow(stop=stop)) == []


class TestBackup:
    def test_it_includes_what_is_still_in_the_write_ahead_file(self, path, tmp_path):
        with Ledger(path, clock=lambda: NOW) as ledger:
            detected(ledger, "INC-1")
            main_file_alone = path.read_bytes()
            detected(ledger, "INC-2")
            assert main_file_alone == path.read_bytes()  # the newest is not in it
            ledger.backup(tmp_path / "backup.db")
            expected = list(ledger.rows())
        with LedgerReader(tmp_path / "backup.db") as copy:
            assert expected == list(copy.rows())
            assert len(expected) == 3

    def test_a_reader_makes_one_too_while_another_process_writes(self, path, tmp_path, process):
        filled(path, 1)
        writer = process("-c", KEEPS_WRITING, path)
        assert writer.stdout.readline() == "INC-100\n"
        with LedgerReader(path) as reader:
            reader.backup(tmp_path / "backup.db")
            assert list(reader.rows()) == list(Ledger(tmp_path / "backup.db").rows())

    def test_it_never_overwrites(self, in_file, tmp_path):
        target = tmp_path / "backup.db"
        target.write_text("precious")
        with pytest.raises(StoreError, match="exists"):
            in_file.backup(target)
        assert target.read_text() == "precious"

    def test_a_folder_that_is_missing_is_an_error_of_ours(self, in_file, tmp_path):
        with pytest.raises(StoreError):
            in_file.backup(tmp_path / "nowhere" / "backup.db")

    def test_a_ledger_that_is_no_file_says_what_to_do_instead(self, tmp_path):
        with Ledger.in_memory() as ledger, pytest.raises(StoreError, match="JSONL"):
            ledger.backup(tmp_path / "backup.db")
        assert list(tmp_path.iterdir()) == []


class TestClosed:
    def test_a_closed_ledger_says_so(self, ledger):
        detected(ledger, "INC-1")
        ledger.close()
        for use in (
            lambda: detected(ledger, "INC-2"),
            lambda: list(ledger.replay()),
            lambda: list(ledger.rows()),
            lambda: ledger.incident("INC-1"),
            lambda: ledger.history("incident:INC-1"),
        ):
            with pytest.raises(LedgerClosedError, match="open it again"):
                use()

    def test_it_may_be_closed_twice(self, ledger):
        ledger.close()
        ledger.close()
        with pytest.raises(LedgerClosedError):
            list(ledger.replay())

    def test_closing_leaves_one_whole_file(self, path, tmp_path):
        filled(path)
        assert [path.name] == [p.name for p in tmp_path.iterdir()]

    def test_the_end_of_a_block_closes_it(self, path):
        with Ledger(path) as ledger:
            pass
        with pytest.raises(LedgerClosedError):
            list(ledger.replay())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # it is what is tried
class TestForked:
    def in_child(self, use):
        """Run *use* in a forked child and return what it wrote."""
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            answer = b"nothing"
            try:
                answer = repr(use()).encode()
            except BaseException as error:
                answer = type(error).__name__.encode()
            finally:
                os.write(into, answer)
                os._exit(0)
        os.close(into)
        with os.fdopen(out, "rb") as pipe:
            answer = pipe.read().decode()
        os.waitpid(child, 0)
        return answer

    def test_a_ledger_refuses_in_the_child_and_goes_on_in_the_parent(self, ledger):
        detected(ledger, "INC-1")
        expected = ForkedLedgerError.__name__
        assert expected == self.in_child(lambda: detected(ledger, "INC-2"))
        assert expected == self.in_child(lambda: list(ledger.replay()))
        assert expected == self.in_child(lambda: ledger.incident("INC-1"))
        detected(ledger, "INC-3")
        assert len(list(ledger.replay())) == 3

    def test_closing_it_in_the_child_does_not_close_the_parents(self, ledger):
        detected(ledger, "INC-1")
        assert self.in_child(ledger.close) == "None"
        detected(ledger, "INC-2")
        assert len(list(ledger.replay())) == 3

    def test_a_reader_works_on_in_the_child(self, path):
        filled(path)
        with LedgerReader(path) as reader:
            assert self.in_child(lambda: len(list(reader.replay()))) == "6"
            assert len(list(reader.replay())) == 6

    def test_a_ledger_opened_in_the_child_works(self, path):
        filled(path, 1)

        def record():
            with Ledger(path) as ledger:
                return detected(ledger, "INC-2")[0].version

        assert self.in_child(record) == "1"
        with LedgerReader(path) as reader:
            assert len(list(reader.replay())) == 3


class Reversed:
    """A cipher good enough for tests: what is stored is not what was written."""

    def __init__(self, environment):
        self.key = int(environment.get("TEST_KEY"))

    def encrypt(self, plaintext):
        return bytes(byte ^ self.key for byte in plaintext)

    def decrypt(self, ciphertext):
        return self.encrypt(ciphertext)


class TestSettings:
    @pytest.mark.parametrize("prefix", ["", "LEDGER_", "Ledger_", "IMCM_", "Application_"])
    def test_variables_of_the_process_neither_move_nor_change_the_log(
        self, path, tmp_path, process, prefix
    ):
        elsewhere = tmp_path / "elsewhere.db"
        variables = {
            "PERSISTENCE_MODULE": "eventsourcing.popo",
            "SQLITE_DBNAME": str(elsewhere),
            "COMPRESSOR_TOPIC": "zlib",
            "CIPHER_TOPIC": "eventsourcing.cipher:AESCipher",
            "CIPHER_KEY": "nonsense",
            "ORIGINATOR_ID_TYPE": "uuid",
            "CREATE_TABLE": "no",
            "SQLITE_APPLICATION_RECORDER_TOPIC": "nowhere:Nothing",
        }
        script = (
            "import sys; from datetime import UTC, datetime; from imcm import Ledger, incident\n"
            "with Ledger(sys.argv[1]) as ledger:\n"
            "    ledger.record('INC-1', incident.detect, by='a', title='x',"
            " at=datetime(2026, 3, 1, tzinfo=UTC))\n"
            "Ledger.in_memory().record('INC-1', incident.detect, by='a', title='x',"
            " at=datetime(2026, 3, 1, tzinfo=UTC))\n"
        )
        one = process("-c", script, path, **{prefix + k: v for k, v in variables.items()})
        assert one.communicate() == ("", "")
        assert [p.name for p in tmp_path.iterdir()] == ["ledger.db"]
        with LedgerReader(path) as reader:
            rows = list(reader.rows())
        assert [row.state[:12] for row in rows] == [b'{"format":1,'] * 2

    @pytest.mark.parametrize(
        "more",
        [
            {"COMPRESSOR_TOPIC": "zlib"},
            {"COMPRESSOR_TOPIC": "eventsourcing.compressor:ZlibCompressor"},
            {"CIPHER_TOPIC": f"{__name__}:Reversed", "TEST_KEY": "90"},
            {"CIPHER_TOPIC": f"{__name__}:Reversed", "TEST_KEY": "7", "COMPRESSOR_TOPIC": "zlib"},
        ],
        ids=["zlib", "its own compressor", "cipher", "both"],
    )
    def test_a_compressor_and_a_cipher_come_back(self, path, more):

        settings = {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(path),
            **more,
        }
        with Ledger.configured(settings, clock=lambda: NOW) as ledger:
            detected(ledger, "INC-1")
            expected = list(ledger.replay())
        assert b"INC-1 is down" not in path.read_bytes()
        with Ledger.configured(settings, clock=lambda: NOW) as ledger:
            assert expected == list(ledger.replay())
            ledger.record("INC-1", incident.resolve, by="ana", at=AT)
            assert [r.version for r in ledger.history("incident:INC-1")] == [1, 2]
        with pytest.raises(StoreError):
            LedgerReader(path)
        with pytest.raises(StoreError):
            Ledger(path)

    @pytest.mark.parametrize("word", ["yes", "y", "TRUE", " 1 ", "t", "on"])
    def test_functions_in_the_database_are_refused(self, word):
        settings = {
            "PERSISTENCE_MODULE": "eventsourcing.popo",
            "POSTGRES_ENABLE_DB_FUNCTIONS": word,
        }
        with pytest.raises(StoreError, match="leave it out"):
            Ledger.configured(settings)

    @pytest.mark.parametrize(
        "settings",
        [
            {"PERSISTENCE_MODULE": "no.such.module"},
            {"PERSISTENCE_MODULE": "json"},
            {"PERSISTENCE_MODULE": ""},
            {"PERSISTENCE_MODULE": "eventsourcing.sqlite"},
            {"PERSISTENCE_MODULE": "eventsourcing.postgres"},
            {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": "/no/such/folder/x"},
            {"PERSISTENCE_MODULE": "eventsourcing.popo", "COMPRESSOR_TOPIC": "no.such:Thing"},
            {"PERSISTENCE_MODULE": "eventsourcing.popo", "CIPHER_TOPIC": "no.such:Thing"},
            {
                "PERSISTENCE_MODULE": "eventsourcing.sqlite",
                "SQLITE_DBNAME": ":memory:",
                "SQLITE_LOCK_TIMEOUT": "soon",
            },
        ],
        ids=lambda settings: " ".join(settings.values()) or "nothing",
    )
    def test_what_can_not_be_set_up_is_an_error_of_ours(self, settings):
        with pytest.raises(StoreError):
            Ledger.configured(settings)

    def test_settings_without_a_persistence_module_are_refused(self):
        """Else a forgotten name would give a ledger that is gone with its process."""
        with pytest.raises(StoreError):
            Ledger.configured({"SQLITE_DBNAME": "ledger.db"})

    def test_another_database_is_refused_without_altering_it(self, path):
        other_database(path)
        before = snapshot(path.parent)
        settings = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)}
        with pytest.raises(NotALedgerError):
            Ledger.configured(settings)
        assert before == snapshot(path.parent)


def test_two_ledgers_have_two_identities(tmp_path):
    with Ledger(tmp_path / "a.db") as a, Ledger(tmp_path / "b.db") as b, Ledger.in_memory() as c:
        assert len({a.ledger_id, b.ledger_id, c.ledger_id}) == 3


def test_opening_it_again_keeps_its_identity(path):
    with Ledger(path) as first:
        ledger_id = first.ledger_id
    with Ledger(path) as again:
        assert ledger_id == again.ledger_id
        assert len(list(again.rows())) == 1
    assert f"<imcm.LedgerReader {ledger_id}>" == repr(LedgerReader(path))
