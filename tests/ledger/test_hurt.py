"""What can happen to a file: the disk is full, rights are missing, pages are damaged."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

import imcm.ledger.store
from imcm import Ledger, LedgerReader, audit, incident
from imcm.errors import NotALedgerError, StoreError, UnknownIdError, UnreadEventError
from imcm.projections.facts.fold import facts

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=1)
WORKER = Path(__file__).with_name("worker.py")
PAGE = 4096


def detected(ledger, id, title="down"):
    return ledger.record(id, incident.detect, by="ana", at=AT, title=title)


def checked(path):
    """Return the log after checking that every stream is whole."""
    with LedgerReader(path) as reader:
        log = list(reader.replay())
        for stream, count in Counter(r.stream for r in log).items():
            assert list(range(1, count + 1)) == [r.version for r in reader.history(stream)]
    return log


@pytest.fixture
def ran():
    """Run one thing in worker.py to its end, and return its lines, each cut at its first blank."""

    def run(*arguments, command=()):
        home = str(Path(imcm.__file__).parents[1])
        one = subprocess.run(
            [*command, sys.executable, WORKER, *arguments],
            env={**os.environ, "PYTHONPATH": home},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ("", 0) == (one.stderr, one.returncode)
        return [tuple(line.split(" ", 1)) for line in one.stdout.splitlines()]

    return run


# --- lack -----------------------------------------------------------------------------------------

# A file system of 700 kB for one process, gone when the process is: nobody else sees it.
SMALL = """
mount -t tmpfs -o size=700k tmpfs "$1" && head -c 300000 /dev/zero > "$1/ballast" && shift &&
exec "$@"
"""


def small_disk(folder):
    """Return the command that runs another on a small file system there, or skip the test."""
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", SMALL, "sh", str(folder)]
    try:
        tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(f"no small file system can be made: {error}")
    if tried.returncode:
        pytest.skip(f"no small file system can be made: {tried.stderr.strip()}")
    return command


class TestFull:
    def test_a_full_disk_is_told_and_room_is_all_that_is_needed(self, ran, tmp_path):
        room = tmp_path / "small"
        room.mkdir()
        command = small_disk(room)
        path, backup = room / "ledger.db", tmp_path / "backup.db"
        said = ran("crowded", path, room / "ballast", backup, command=command)
        self.check(said, backup, "the disk is full; free some space")

    def test_a_limit_to_the_size_of_a_file_is_told_as_one(self, ran, path, tmp_path):
        backup = tmp_path / "backup.db"
        said = ran("crowded", path, "limit", backup)
        self.check(said, backup, "the disk is full, at a limit or failing; free some space")
        with LedgerReader(path) as reader, LedgerReader(backup) as copy:
            assert list(reader.rows()) == list(copy.rows())

    def check(self, said, backup, hint):
        words = [word for word, _ in said]
        until = words.index("refused")
        acknowledged = [record for word, record in said if word == "recorded"]
        # When recording was refused, so was all else that needs room; what is there was read.
        assert until > 5
        assert ["refused"] * 4 + ["read"] * 2 + ["refused"] * 2 == words[until : until + 8]
        assert [str(1 + 2 * until)] * 2 == [count for word, count in said if word == "read"]
        for word, message in said:
            assert word != "refused" or (message.startswith("StoreError") and hint in message)
        for _, message in said[until : until + 4]:
            assert message.endswith("nothing of this call was recorded")
        # Once there was room, all went on.
        assert ["recorded"] * 5 == words[until + 8 :]
        stored = Counter(r.record for r in checked(backup) if r.stream != "ledger:self")
        assert dict.fromkeys(acknowledged, 2) == stored


class TestReadOnly:
    """Rights are taken from somebody who is not root, or from another user where it is."""

    @pytest.fixture
    def open_folder(self):
        """A folder that any user can get to; those of pytest are for one user only."""
        folder = Path(tempfile.mkdtemp(prefix="imcm-hurt-"))
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)
        shutil.rmtree(folder)

    def filled(self, path):
        ledger = Ledger(path, clock=lambda: NOW)
        detected(ledger, "INC-1")
        return ledger

    @pytest.mark.parametrize(
        ("file", "folder"),
        [
            pytest.param(0o444, 0o555, id="file and folder"),
            pytest.param(0o666, 0o555, id="folder"),
            pytest.param(0o444, 0o777, id="file"),
        ],
    )
    def test_what_can_not_be_written_can_be_read(self, ran, open_folder, file, folder):
        path = open_folder / "ledger.db"
        self.filled(path).close()
        path.chmod(file)
        open_folder.chmod(folder)
        read, refused, again = ran("without_rights", path)
        assert (("done", "2"), ("done", "2")) == (read, again)
        assert (0, "refused") == (refused[1].find("StoreError"), refused[0])
        assert "is read-only; open it with LedgerReader" in refused[1]

    def test_the_newest_events_are_read_beside_a_writer(self, ran, open_folder):
        """They are in the write-ahead file; what is read must not be the file without them."""
        path = open_folder / "ledger.db"
        with self.filled(path):
            path.chmod(0o444)
            open_folder.chmod(0o555)
            assert path.with_name("ledger.db-wal").stat().st_size
            read, refused, again = ran("without_rights", path)
            assert (("done", "2"), ("done", "2")) == (read, again)
            assert "open it with LedgerReader" in refused[1]

    def test_a_write_ahead_file_that_was_left_is_not_passed_over(self, ran, open_folder):
        """Who may not write can't read it; the file without it would lack the newest events."""
        path = open_folder / "ledger.db"
        with self.filled(open_folder / "theirs.db"):
            for end in ("", "-wal"):
                shutil.copy(open_folder / f"theirs.db{end}", f"{path}{end}")
        open_folder.chmod(0o555)
        said = ran("without_rights", path)
        assert ["refused"] * 3 == [word for word, _ in said]
        for _, message in said:
            assert message.startswith("StoreError")
            assert "check who may read it, and write to its folder" in message
        open_folder.chmod(0o755)
        assert len(checked(path)) == 2

    def test_a_file_that_can_not_be_read_is_an_error_of_ours(self, ran, open_folder):
        path = open_folder / "ledger.db"
        self.filled(path).close()
        path.chmod(0)
        said = ran("without_rights", path)
        assert ["refused"] * 3 == [word for word, _ in said]
        assert [m for _, m in said if "StoreError" in m and "check who may read it" in m] == [
            message for _, message in said
        ]

    def test_a_link_to_where_nobody_may_look_is_an_error_of_ours(self, ran, open_folder):
        path = open_folder / "ledger.db"
        (open_folder / "hidden").mkdir()
        path.symlink_to(open_folder / "hidden" / "ledger.db")
        self.filled(path).close()
        (open_folder / "hidden").chmod(0)
        try:
            assert ["refused"] * 3 == [word for word, _ in ran("without_rights", path)]
        finally:
            (open_folder / "hidden").chmod(0o755)

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
            detected(ledger, "INC-1")


class TestBackup:
    def test_one_that_failed_leaves_nothing_and_can_be_made_again(self, ran, path, tmp_path):
        ran("crowded", path, "limit", tmp_path / "backup.db")
        assert not path.with_name("ledger.db.copy").exists()


# --- a write that was cut off ---------------------------------------------------------------------


def with_a_journal(path):
    """Make a ledger that another tool took out of the write-ahead mode."""
    with Ledger(path, clock=lambda: NOW) as ledger:
        for number in range(50):
            detected(ledger, f"INC-{number}", title="x" * 500)
    with closing(sqlite3.connect(path)) as connection:
        assert [("delete",)] == connection.execute("PRAGMA journal_mode=DELETE").fetchall()


def half_deleted(path, copy):
    """Copy a ledger and its journal in the middle of a transaction that takes all events out."""
    with_a_journal(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size=1")  # so that changed pages are in the file already
        connection.execute("BEGIN")
        connection.execute("DELETE FROM stored_events WHERE rowid > 1")
        assert path.with_name(path.name + "-journal").stat().st_size > PAGE
        for end in ("", "-journal"):
            shutil.copy(f"{path}{end}", f"{copy}{end}")


class TestCutOff:
    def test_a_locked_file_is_not_read_past_its_lock(self, path, monkeypatch):
        """What a writer has half written would be read."""
        with_a_journal(path)
        monkeypatch.setattr(imcm.ledger.store, "LOCK_WAIT_SECONDS", 0)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreError, match="another process holds it; try again"):
                LedgerReader(path)
            other.execute("ROLLBACK")
            with LedgerReader(path) as reader:
                assert len(list(reader.replay())) == 51

    def test_a_journal_that_was_left_is_not_passed_over(self, path, tmp_path, digest):
        """The file without it is half of what was, and half of what was to be."""
        copy = tmp_path / "copy.db"
        half_deleted(path, copy)
        before = digest(copy)
        with pytest.raises(StoreError, match="a write to it was cut off") as caught:
            LedgerReader(copy)
        assert not isinstance(caught.value, NotALedgerError)
        assert before == digest(copy)

    def test_once_its_journal_was_taken_back_it_is_whole(self, path, tmp_path):
        copy = tmp_path / "copy.db"
        half_deleted(path, copy)
        with closing(sqlite3.connect(copy)) as connection:  # any program that may write does it
            connection.execute("SELECT 1 FROM sqlite_master").fetchall()
        assert len(checked(copy)) == 51

    def test_who_opens_it_for_writing_takes_its_journal_back(self, path, tmp_path):
        copy = tmp_path / "copy.db"
        half_deleted(path, copy)
        with Ledger(copy, clock=lambda: NOW) as ledger:
            assert len(list(ledger.replay())) == 51


# --- damage ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The bytes of a ledger of many pages, its rows, its streams, and an anchor of it."""
    path = tmp_path_factory.mktemp("sound") / "ledger.db"
    with Ledger(path, clock=lambda: NOW) as ledger:
        for number in range(60):
            id = f"INC-{number}-{'x' * 60}"
            detected(ledger, id, title="t" * 400)
            for step in (incident.declare, incident.acknowledge, incident.mitigate):
                ledger.record(id, step, by="ana", at=AT)
        rows = list(ledger.rows())
        anchors = audit.checkpoint(rows, anchors="", at=NOW)
    return Sound(path.read_bytes(), rows, anchors)


class Sound:
    def __init__(self, data, rows, anchors):
        self.data, self.rows, self.anchors = data, rows, anchors
        self.streams = {}
        for row in rows:
            self.streams.setdefault(row.stream, []).append(row)
        self.pages = len(data) // PAGE

    def kind(self, page):
        """Return what a page holds, as its first byte says."""
        kinds = {2: "index", 5: "table", 10: "index", 13: "table"}
        return "header" if not page else kinds.get(self.data[page * PAGE], "other")

    def all_of(self, kind):
        return [page for page in range(self.pages) if self.kind(page) == kind]

    def with_page(self, page, content):
        begin = page * PAGE
        assert len(content) == PAGE
        return self.data[:begin] + content + self.data[begin + PAGE :]

    def page(self, page):
        return self.data[page * PAGE : (page + 1) * PAGE]


def told(ask):
    """Return what a question answers, or that it was refused in our words."""
    try:
        return ask()
    except (StoreError, UnreadEventError):
        return "told"
    except UnknownIdError:
        return "not there"


def what_is_read(path, sound):
    """Return the answers of a reader to all that can be asked, each "told", "same" or "other"."""

    def against(expected, ask):
        answer = told(ask)
        return answer if answer == "told" else "same" if answer == expected else "other"

    reader = told(lambda: LedgerReader(path))
    if reader == "told":
        return Counter(["told"])
    with reader:
        streams = [row.stream for row in sound.rows]
        most = 20 * len(streams)  # damage can lead back to what was read: it must be told, too
        found = [
            against(sound.rows, lambda: list(islice(reader.rows(), most))),
            against(streams, lambda: [r.stream for r in islice(reader.replay(), most)]),
            against(len(streams), lambda: facts(islice(reader.replay(), most)).events),
        ]
        for stream, rows in sound.streams.items():
            versions = [row.version for row in rows]
            found.append(against(versions, lambda s=stream: [r.version for r in reader.history(s)]))
            if stream != "ledger:self":
                id = stream.partition(":")[2]
                found.append(against(len(rows), lambda i=id: len(reader.incident(i).past)))
    return Counter(found)


def verdict(path, sound):
    return told(lambda: audit.verify_file(path, sound.anchors).outcome)


def recorded_on(path):
    """Open a ledger and record in it; return "told" or how many events there are now."""

    def ask():
        with Ledger(path, clock=lambda: NOW) as ledger:
            detected(ledger, "INC-NEW")
            return len(ledger.history("incident:INC-NEW"))

    return told(ask)


def check_damaged(path, data, sound):
    """
    Check that whatever is read of a damaged file is told, or right, or found by its anchor.

    Returns:
        "told": Reading it was refused somewhere.
        "found": What was read is not what was written, and the anchor says so.
        "sound": All of it was read as it was written.
    """
    path.write_bytes(data)
    answers = what_is_read(path, sound)
    judged = verdict(path, sound)
    assert path.read_bytes() == data
    assert not (answers["other"] and judged == "OK"), answers
    for beside in ("-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)
    assert recorded_on(path) in {"told", 1}
    return "told" if answers["told"] else "found" if answers["other"] else "sound"


def damaged(sound, chance):
    """Return a copy with one page damaged, in one of the ways in which disks and people do it."""
    page = chance.randrange(sound.pages)
    there = sound.page(page)
    match chance.choice(["zeros", "ones", "noise", "byte", "bit", "some", "another", "torn"]):
        case "zeros":
            new = bytes(PAGE)
        case "ones":
            new = b"\xff" * PAGE
        case "noise":
            new = chance.randbytes(PAGE)
        case "byte":
            at = chance.randrange(PAGE)
            new = there[:at] + bytes([there[at] ^ chance.randrange(1, 256)]) + there[at + 1 :]
        case "bit":  # near the front, where the page says what it holds
            at = chance.randrange(100)
            new = there[:at] + bytes([there[at] ^ 1 << chance.randrange(8)]) + there[at + 1 :]
        case "some":
            at = chance.randrange(PAGE - 16)
            new = there[:at] + chance.randbytes(16) + there[at + 16 :]
        case "another":
            new = sound.page(chance.randrange(sound.pages))
        case _:  # a write that ended at a sector
            new = there[:512] + bytes(PAGE - 512)
    return sound.with_page(page, new)


class TestDamage:
    """
    What is read of a damaged file is told in our words, or right, or found by its anchor.

    SQLite has no checksums: a changed letter is read as it stands. An anchor is there for that.
    """

    def test_there_are_pages_of_every_kind(self, sound):
        assert sound.data.startswith(b"SQLite format 3")
        assert (1, 0) == (len(sound.all_of("header")), len(sound.data) % PAGE)
        assert (len(sound.all_of("table")) > 10, len(sound.all_of("index")) > 4) == (True, True)

    def test_what_is_sound_is_read(self, sound, path):
        assert "sound" == check_damaged(path, sound.data, sound)

    def test_the_header(self, sound, path):
        data = b"\0" * 16 + sound.data[16:]
        assert "told" == check_damaged(path, data, sound)
        with pytest.raises(NotALedgerError, match="is not an SQLite database"):
            LedgerReader(path)

    @pytest.mark.parametrize("fill", [b"\0", b"\xff"])
    def test_what_follows_the_header_on_the_first_page(self, sound, path, fill):
        data = sound.data[:100] + fill * (PAGE - 100) + sound.data[PAGE:]
        assert "told" == check_damaged(path, data, sound)

    @pytest.mark.parametrize("fill", [b"\0", b"\xff"])
    def test_each_page_of_the_table(self, sound, path, fill):
        """Events are on it that can't be read: nothing is left out in silence."""
        for page in sound.all_of("table"):
            assert "told" == check_damaged(path, sound.with_page(page, fill * PAGE), sound)

    @pytest.mark.parametrize("fill", [b"\0", b"\xff"])
    def test_each_page_of_the_index(self, sound, path, fill):
        """The events are there, in the order they were recorded in; their streams are not."""
        for page in sound.all_of("index"):
            path.write_bytes(sound.with_page(page, fill * PAGE))
            assert "told" == check_damaged(path, path.read_bytes(), sound)
            assert "OK" != verdict(path, sound)

    def test_pages_of_the_index_that_lack_their_last_entries(self, sound, path):
        """A stream without its newest events looks like a shorter one: only the anchor tells."""
        found = Counter()
        for page in sound.all_of("index"):
            there = bytearray(sound.page(page))
            entries = int.from_bytes(there[3:5], "big")
            for lost in (1, 2, 3) if there[0] == 10 else ():
                there[3:5] = (entries - lost).to_bytes(2, "big")
                found[check_damaged(path, sound.with_page(page, bytes(there)), sound)] += 1
                assert "DIFFERS" == verdict(path, sound)
        assert (found["found"] > 0, found["sound"]) == (True, 0)

    def test_a_page_of_the_table_that_lacks_its_last_entries(self, sound, path):
        """SQLite reads on and says nothing."""
        page = [page for page in sound.all_of("table") if sound.page(page)[0] == 13][4]
        there = bytearray(sound.page(page))
        entries = int.from_bytes(there[3:5], "big")
        there[3:5] = (entries - 1).to_bytes(2, "big")
        path.write_bytes(sound.with_page(page, bytes(there)))
        with LedgerReader(path) as reader:
            assert len(sound.rows) - 1 == len(list(reader.rows()))
        assert "DIFFERS" == verdict(path, sound)

    def test_a_letter(self, sound, path):
        data = sound.data.replace(b'"by":"ana"', b'"by":"bob"', 1)
        assert "found" == check_damaged(path, data, sound)
        assert "DIFFERS" == verdict(path, sound)

    def test_the_last_page(self, sound, path):
        data = sound.with_page(sound.pages - 1, bytes(PAGE))
        assert "told" == check_damaged(path, data, sound)

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_a_file_that_ends_in_the_middle_of_a_page(self, sound, path, share):
        data = sound.data[: int(sound.pages * share) * PAGE - PAGE // 3]
        assert "told" == check_damaged(path, data, sound)

    def test_a_file_whose_last_page_is_cut(self, sound, path):
        """SQLite takes what is missing for zeros: rows come back with no values in them."""
        assert "told" == check_damaged(path, sound.data[: -PAGE // 3], sound)

    @pytest.mark.parametrize("value", [None, b"bytes"])
    def test_a_type_that_is_no_text_is_told(self, sound, path, sql, value):
        path.write_bytes(sound.data)
        sql(path, "UPDATE stored_events SET topic = ? WHERE rowid = 9", value)
        assert "told" == check_damaged(path, path.read_bytes(), sound)

    @pytest.mark.parametrize("length", [1, 15, 100, 512, PAGE - 1, PAGE])
    def test_a_file_of_which_only_its_beginning_is_left(self, sound, path, length):
        assert "told" == check_damaged(path, sound.data[:length], sound)

    def test_a_page_that_leads_back_to_those_before_it(self, sound, path):
        """SQLite goes round and round; a log of some length is then read for ever."""
        [top] = [page for page in sound.all_of("table") if sound.page(page)[0] == 5]
        last = int.from_bytes(sound.page(top)[8:12], "big") - 1
        path.write_bytes(sound.with_page(last, sound.page(top)))
        read = []
        with LedgerReader(path) as reader, pytest.raises(StoreError):
            read.extend(islice(reader.rows(), 5_000))
        assert [row for row in sound.rows if row in read] == read

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            *(("originator_id", value) for value in (None, b"bytes")),
            *(("originator_version", value) for value in (None, 1.5, "text", b"bytes")),
            *(("state", value) for value in (None, 1.5)),
        ],
    )
    def test_values_of_other_types_are_an_error_of_ours(self, sound, path, sql, column, value):
        """Damage in the head of a record makes a NULL of a text, and a number of bytes."""
        path.write_bytes(sound.data)
        sql(path, f"UPDATE stored_events SET {column} = ? WHERE rowid = 9", value)
        assert "told" == check_damaged(path, path.read_bytes(), sound)

    @pytest.mark.parametrize(
        ("times", "seed", "least"),
        [
            pytest.param(20, 2, 1, id="short"),
            pytest.param(400, 2, 10, id="long", marks=pytest.mark.slow),
        ],
    )
    def test_pages_at_random(self, sound, path, times, seed, least):
        chance = random.Random(seed)
        found = Counter(check_damaged(path, damaged(sound, chance), sound) for _ in range(times))
        assert [how for how in ("told", "found", "sound") if found[how] < least] == []
