"""History from elsewhere: imports that can be run again, restores to the byte, joined ledgers."""

import threading
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from imcm import History, InvalidValue, Ledger, LedgerReader, Source, StepRefused, change, incident
from imcm.codec.rows import StoredEvent
from imcm.domain.change_events import ChangeCompleted, ChangePlanned, ChangeStatus
from imcm.domain.corrections import MomentCorrected
from imcm.domain.incident_events import (
    ActionCompleted,
    ImpactUpdated,
    IncidentDetected,
    IncidentResolved,
    IncidentStatus,
    IncidentTriaged,
    ReviewRecorded,
    UpdatePosted,
)
from imcm.domain.recorded import KeyClaimed, LedgerOpened, Unread
from imcm.domain.vocabulary import ChangeType, Impact, Severity
from imcm.errors import ConflictError, ImcmError, LedgerNotEmptyError, NotALedgerError, StoreError

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(days=400)


def source(number):
    return Source(name="servicenow", id=f"INC{number}", recorded_at=AT + timedelta(days=1))


def history(number, *, resolved_at=AT + timedelta(hours=2)):
    told = (
        IncidentDetected(at=AT, by="servicenow", title=f"down {number}", imported=True),
        IncidentTriaged(at=None, by="servicenow", severity=Severity.P2, imported=True),
        IncidentResolved(at=resolved_at, by="servicenow", imported=True),
    )
    return History(
        stream=f"incident:servicenow/INC{number}",
        events=tuple((event, source(number)) for event in told),
    )


def planned(id="CHG1"):
    told = (
        ChangePlanned(at=AT, by="x", type=ChangeType.NORMAL, imported=True),
        ChangeCompleted(at=AT, by="x", version="v2", imported=True),
    )
    return History(stream=f"change:{id}", events=tuple((event, None) for event in told))


def some_ledger(path):
    """Return a ledger of a few streams, a merge, a key, and a transaction."""
    ledger = Ledger(path, clock=lambda: NOW)
    at = NOW - timedelta(hours=1)
    for id in ("INC-1", "INC-2"):
        ledger.record(id, incident.detect, by="ana", at=at, title=f"{id} is down")
    ledger.merge("INC-2", into="INC-1", by="ana", at=at, why="same")
    ledger.once("pagerduty", "k").record("INC-1", incident.resolve, by="pd", at=at)
    with ledger.transaction() as tx:
        tx.record("CHG-1", change.plan, by="dev", at=at, title="v2")
        tx.record("CHG-2", change.plan, by="dev", at=at, title="v3", description="more")
    return ledger


class TestBringIn:
    def test_events_keep_their_source_and_get_their_status(self, ledger):
        assert (2, 5) == ledger.bring_in([history(1), planned()])
        recorded = ledger.history("incident:servicenow/INC1")
        assert [source(1)] * 3 == [r.source for r in recorded]
        assert ([1, 2, 3], {NOW}) == (
            [r.version for r in recorded],
            {r.recorded_at for r in recorded},
        )
        assert IncidentStatus.RESOLVED is ledger.incident("servicenow/INC1").status
        assert ChangeStatus.IMPLEMENTED is ledger.change("CHG1").status

    def test_running_it_again_records_nothing(self, ledger):
        histories = [history(number) for number in range(5)]
        assert (5, 15) == ledger.bring_in(histories)
        before = list(ledger.rows())
        assert (5, 0) == ledger.bring_in(histories)
        assert before == list(ledger.rows())

    def test_what_changed_in_the_source_becomes_a_correction(self, ledger):
        ledger.bring_in([history(1)])
        later = AT + timedelta(hours=3)
        assert (1, 1) == ledger.bring_in([history(1, resolved_at=later)])
        last = ledger.history("incident:servicenow/INC1")[-1]
        assert (MomentCorrected, 3, "at", later) == (
            type(last.event),
            last.event.version,
            last.event.field,
            last.event.now,
        )
        assert source(1) == last.source
        assert (1, 0) == ledger.bring_in([history(1, resolved_at=later)])

    def test_one_that_was_interrupted_is_finished_by_running_it_again(self, ledger):
        def interrupted():
            yield from (history(number) for number in range(3))
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            ledger.bring_in(interrupted())
        ledger.bring_in([history(number) for number in range(6)])
        versions = [r.version for r in ledger.replay() if r.kind == "incident"]
        assert [1, 2, 3] * 6 == versions

    def test_the_histories_before_one_that_is_refused_are_recorded(self, ledger):
        bad = History(stream="incident:bad", events=history(9).events[1:])
        with pytest.raises(StepRefused, match="incident:bad"):
            ledger.bring_in([history(1), bad, history(2)])
        assert IncidentStatus.RESOLVED is ledger.incident("servicenow/INC1").status

    def test_nothing_of_a_refused_history_is_recorded(self, ledger):
        live = attrs.evolve(history(1).events[2][0], imported=False)
        bad = History(stream="incident:bad", events=(*history(1).events[:2], (live, None)))
        with pytest.raises(InvalidValue, match="imported"):
            ledger.bring_in([bad])
        assert [] == ledger.history("incident:bad")

    @pytest.mark.parametrize("stream", ["problem:1", "INC-1", "key:x/1", "ledger:self", ":x"])
    def test_a_stream_of_another_kind_is_refused(self, ledger, stream):
        with pytest.raises(InvalidValue, match="incident:<id>"):
            ledger.bring_in([attrs.evolve(history(1), stream=stream)])

    @pytest.mark.parametrize("id", ["", " 1", "a\nb"])
    def test_an_id_that_can_not_be_one_is_refused(self, ledger, id):
        with pytest.raises(InvalidValue):
            ledger.bring_in([attrs.evolve(history(1), stream=f"incident:{id}")])

    @pytest.mark.parametrize("title", [5, b"down", ("down",), {"a": "b"}, True, object()])
    def test_words_of_a_wrong_type_are_refused(self, ledger, title):
        """They would be stored, and the event would come back as one that can't be read."""
        bad = IncidentDetected(at=AT, by="x", title=title, imported=True)
        with pytest.raises(InvalidValue):
            ledger.bring_in([History(stream="incident:bad", events=((bad, None),))])
        assert [] == ledger.history("incident:bad")

    @pytest.mark.parametrize("causes", ["disk", (5,), ("disk", None), {"a": "b"}])
    def test_causes_that_are_no_texts_are_refused(self, ledger, causes):
        bad = ReviewRecorded(at=AT, by="x", number=1, causes=causes, imported=True)
        events = (history(1).events[0], (bad, None))
        with pytest.raises(InvalidValue):
            ledger.bring_in([History(stream="incident:bad", events=events)])
        assert [] == ledger.history("incident:bad")

    def test_words_that_are_read_as_what_they_are_come_in(self, ledger):
        """A list of texts, or a member of a closed list, is read again as texts."""
        told = (
            IncidentDetected(at=AT, by="x", title=Severity.P2, imported=True),
            ReviewRecorded(at=AT, by="x", number=1, causes=["disk", "cpu"], imported=True),
        )
        events = tuple((event, None) for event in told)
        ledger.bring_in([History(stream="incident:INC-1", events=events)])
        detected, reviewed = (recorded.event for recorded in ledger.history("incident:INC-1"))
        assert ("P2", ("disk", "cpu")) == (detected.title, reviewed.causes)

    @pytest.mark.parametrize(
        ("field", "event"),
        [
            ("number", lambda: ActionCompleted(at=AT, by="x", number=10**30, imported=True)),
            (
                "customers",
                lambda: ImpactUpdated(
                    at=AT, by="x", impact=Impact(customers=10**30), imported=True
                ),
            ),
            (
                "text",
                lambda: UpdatePosted(at=AT, by="x", audience="public", text=10**30, imported=True),
            ),
        ],
    )
    def test_a_number_above_64_bits_is_refused_by_the_name_of_its_field(self, ledger, field, event):
        def bring_in():
            told = (history(1).events[0], (event(), None))
            ledger.bring_in([History(stream="incident:bad", events=told)])

        with pytest.raises(InvalidValue, match=rf"{field}.*{10**30}"):
            bring_in()
        assert [] == ledger.history("incident:bad")

    @pytest.mark.parametrize("id", [5, 10**30, "\ud800"])
    def test_a_source_that_could_not_be_read_again_is_refused(self, ledger, id):
        told = ((history(1).events[0][0], Source(name="x", id=id)),)
        with pytest.raises(InvalidValue, match="source"):
            ledger.bring_in([History(stream="incident:bad", events=told)])
        assert [] == ledger.history("incident:bad")

    def test_the_same_stream_may_come_twice_in_one_import(self, ledger):
        whole = history(1)
        parts = [attrs.evolve(whole, events=whole.events[:2]), whole]
        assert (2, 3) == ledger.bring_in(parts)
        assert 3 == len(ledger.history(whole.stream))

    def test_events_of_another_kind_are_refused_before_anything_is_recorded(self, ledger):
        """They would close the stream for ever: no step could be decided on it."""
        planned = ChangePlanned(at=AT, by="x", type=ChangeType.NORMAL, imported=True)
        bad = attrs.evolve(history(1), events=(*history(1).events, (planned, None)))
        with pytest.raises(InvalidValue, match="'ChangePlanned' is not allowed"):
            ledger.bring_in([bad])
        assert [] == ledger.history(bad.stream)

    def test_what_came_before_a_clock_that_fails_is_recorded(self):
        times = iter([NOW, NOW, NOW.replace(tzinfo=None)])
        with Ledger.in_memory(clock=lambda: next(times)) as ledger:
            twice = [history(1), history(2), history(1)]  # which comes in a lot of its own
            with pytest.raises(InvalidValue, match="clock"):
                ledger.bring_in(twice)
            assert 3 == len(ledger.history(history(2).stream))

    def test_progress_is_told(self, ledger):
        told = []
        ledger.bring_in([history(number) for number in range(3)], progress=told.append)
        assert [1, 2, 3] == told

    def test_nothing_to_bring_in_is_nothing(self, ledger):
        assert (0, 0) == ledger.bring_in([])

    def test_more_than_one_batch_comes_in_whole(self):
        with Ledger.in_memory(clock=lambda: NOW) as ledger:
            assert ledger.bring_in(history(number) for number in range(1_800)) == (1_800, 5_400)
            assert [1, 2, 3] * 1_800 == [r.version for r in ledger.replay(after=1, words=False)]
            assert ledger.bring_in(history(number) for number in range(1_800)) == (1_800, 0)

    def test_somebody_recording_on_the_same_stream_meanwhile_is_a_conflict(self, ledger):
        ledger.bring_in([history(1)])

        def meanwhile(done):
            if done == 1:
                ledger.record("servicenow/INC1", incident.reopen, by="ana", at=NOW, why="again")

        later = [history(1, resolved_at=AT + timedelta(hours=3)), history(2)]
        with pytest.raises(ConflictError, match="run it again"):
            ledger.bring_in(later, progress=meanwhile)
        assert (2, 4) == ledger.bring_in(
            [history(1, resolved_at=AT + timedelta(hours=3)), history(2)]
        )

    def test_future_moments_of_a_source_are_kept_as_they_are(self, ledger):
        tomorrow = NOW + timedelta(days=1)
        ledger.bring_in([history(1, resolved_at=tomorrow)])
        assert tomorrow == ledger.history("incident:servicenow/INC1")[-1].event.at

    def test_steps_go_on_where_history_ends(self, ledger):
        ledger.bring_in([history(1)])
        [recorded] = ledger.record(
            "servicenow/INC1", incident.reopen, by="ana", at=NOW, why="it is back"
        )
        assert (4, 1) == (recorded.version, recorded.event.number)


class TestRestored:
    def test_every_byte_the_order_and_the_identity_are_kept(self, path, tmp_path):
        with some_ledger(path) as ledger:
            expected = list(ledger.rows())
            with Ledger.restored(tmp_path / "copy.db", ledger.rows()) as copy:
                assert expected == list(copy.rows())
                assert ledger.ledger_id == copy.ledger_id

    def test_it_can_be_recorded_in_and_remembers_keys(self, path, tmp_path):
        with some_ledger(path) as ledger:
            rows = list(ledger.rows())
        at = NOW - timedelta(hours=1)
        with Ledger.restored(tmp_path / "copy.db", rows, clock=lambda: NOW) as copy:
            copy.once("pagerduty", "k").record("INC-1", incident.resolve, by="pd", at=at)
            assert rows == list(copy.rows())
            copy.record("INC-1", incident.reopen, by="ana", at=NOW, why="again")
            assert len(rows) + 1 == len(list(copy.rows()))

    def test_what_can_not_be_read_is_restored_as_it_is(self, path, tmp_path):
        with some_ledger(path) as ledger:
            rows = list(ledger.rows())
        newer = b'{"format":7, "record":"r","recorded_at":"2026-03-02T12:00:00Z","event":{"x":1}}'
        rows += [StoredEvent(99, "incident:NEW", 1, "IncidentTeleported", newer)]
        rows += [StoredEvent(100, "problem:P-1", 1, "ProblemOpened", b"\x00\x01")]
        with Ledger.restored(tmp_path / "copy.db", rows) as copy:
            assert [row[1:] for row in rows] == [row[1:] for row in copy.rows()]

    @pytest.mark.parametrize("make", [lambda path: path.write_text("precious"), some_ledger])
    def test_it_never_writes_over_a_file(self, path, tmp_path, make):
        with some_ledger(tmp_path / "other.db") as other:
            rows = list(other.rows())
        made = make(path)
        if isinstance(made, Ledger):
            made.close()
        before = path.read_bytes()
        with pytest.raises(LedgerNotEmptyError, match="new file"):
            Ledger.restored(path, rows)
        assert before == path.read_bytes()

    def test_what_is_no_whole_export_is_refused_and_makes_no_file(self, path, tmp_path):
        with some_ledger(tmp_path / "other.db") as other:
            rows = list(other.rows())
        for given in ([], rows[1:]):
            with pytest.raises(NotALedgerError, match="no whole export"):
                Ledger.restored(path, given)
        assert not path.exists()

    def test_a_restore_that_fails_leaves_no_file(self, path, tmp_path):
        with some_ledger(tmp_path / "other.db") as other:
            rows = list(other.rows())
        with pytest.raises(StoreError, match="twice"):
            Ledger.restored(path, [*rows, rows[1]])
        assert not path.exists()

    def test_a_restore_that_is_interrupted_leaves_nothing_that_looks_whole(self, path):
        def broken():
            with some_ledger(path.with_name("other.db")) as other:
                first, second = list(other.rows())[:2]
            yield first
            for number in range(6_000):
                yield second._replace(stream=f"incident:{number}")
            raise OSError

        with pytest.raises(OSError):
            Ledger.restored(path, broken())
        with pytest.raises(StoreError):
            LedgerReader(path)


class TestRestoredAgain:
    """A restore that was killed, that is under way, or that somebody would lead astray."""

    def rows(self, path):
        with some_ledger(path) as other:
            return list(other.rows())

    def test_what_a_killed_one_left_is_no_hindrance(self, path, tmp_path, process):
        rows = self.rows(tmp_path / "other.db")
        code = (
            "import os, sys; from imcm import Ledger, LedgerReader\n"
            "def rows():\n"
            "    with LedgerReader(sys.argv[1]) as reader:\n"
            "        first, second = list(reader.rows())[:2]\n"
            "    yield first\n"
            "    for number in range(12_000):\n"
            "        yield second._replace(stream=f'incident:{number}')\n"
            "    os.kill(os.getpid(), 9)\n"
            "Ledger.restored(sys.argv[2], rows())\n"
        )
        killed = process("-c", code, tmp_path / "other.db", path)
        assert -9 == killed.wait()
        assert path.with_name("ledger.db.restoring").exists()
        with Ledger.restored(path, rows) as ledger:
            assert [row.state for row in rows] == [row.state for row in ledger.rows()]
        assert ["ledger.db", "other.db"] == sorted(
            one.name for one in tmp_path.iterdir() if one.suffix == ".db" or "restor" in one.name
        )

    def test_two_at_once_one_does_it_and_the_other_is_told(self, path, tmp_path):
        rows = self.rows(tmp_path / "other.db")
        inside, go_on = threading.Event(), threading.Event()

        def slowly():
            yield rows[0]
            inside.set()
            go_on.wait()
            yield from rows[1:]

        thread = threading.Thread(target=lambda: Ledger.restored(path, slowly()).close())
        thread.start()
        inside.wait()
        with pytest.raises(StoreError, match="somebody else is writing"):
            Ledger.restored(path, rows)
        go_on.set()
        thread.join()
        with LedgerReader(path) as reader:
            assert len(rows) == len(list(reader.rows()))

    @pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
    def test_what_an_older_ledger_left_beside_is_not_taken_for_a_part_of_it(
        self, path, tmp_path, end
    ):
        rows = self.rows(tmp_path / "other.db")
        path.with_name(path.name + end).write_bytes(b"of another one")
        with pytest.raises(LedgerNotEmptyError, match=f"ledger.db{end} exists already"):
            Ledger.restored(path, rows)

    def test_a_first_row_that_opens_nothing_leaves_nothing(self, path, tmp_path):
        first, *others = self.rows(tmp_path / "other.db")
        with pytest.raises(ImcmError):
            Ledger.restored(path, [first._replace(state=b"junk"), *others])
        for wrong in (None, (), "row", first._replace(state="text"), first._replace(version=0)):
            with pytest.raises(ImcmError):
                Ledger.restored(path, [first, wrong])
        assert [] == [one.name for one in tmp_path.iterdir() if one.name.startswith("ledger.db")]

    def test_a_stream_that_no_ledger_would_have_made_is_not_appended(self, path, tmp_path):
        first, second, *_ = self.rows(tmp_path / "other.db")
        for id in ("a\0b", "cafe\u0301", " x", "x\u2028y"):
            crafted = [first, second._replace(stream=f"incident:{id}", version=1)]
            with some_ledger(path.with_name("into.db")) as book, pytest.raises(InvalidValue):
                book.append_rows(crafted)
            path.with_name("into.db").unlink()

    @pytest.mark.parametrize("name", ["ledger.db", "ledger.db.restoring"])
    def test_a_link_in_the_way_is_never_followed(self, path, tmp_path, name):
        rows = self.rows(tmp_path / "other.db")
        victim = tmp_path / "victim"
        path.with_name(name).symlink_to(victim)
        if name == "ledger.db":
            with pytest.raises(LedgerNotEmptyError, match="exists already"):
                Ledger.restored(path, rows)
        else:
            Ledger.restored(path, rows).close()
        assert not victim.exists()

    def test_a_backup_follows_none_either(self, path, tmp_path):
        victim, target = tmp_path / "victim", tmp_path / "copy.db"
        target.symlink_to(victim)
        with some_ledger(path) as ledger, pytest.raises(StoreError, match="exists already"):
            ledger.backup(target)
        assert not victim.exists()


class TestAppended:
    def test_events_are_imported_and_keep_their_old_stamp(self, path, tmp_path):
        with (
            some_ledger(path) as theirs,
            Ledger(tmp_path / "ours.db", clock=lambda: NOW + timedelta(days=1)) as ours,
        ):
            added = ours.append_rows(theirs.rows())
            expected = [r for r in theirs.replay() if r.kind in {"incident", "change"}]
            found = list(ours.replay(after=1))
            assert (len(expected), len(expected)) == (added, len(found))
            for old, new in zip(expected, found, strict=True):
                assert (old.stream, old.version) == (new.stream, new.version)
                assert attrs.evolve(old.event, imported=True) == new.event
                own = old.source or Source(name="ledger")
                origin = attrs.evolve(own, recorded_at=NOW, ledger=theirs.ledger_id)
                assert (origin, NOW + timedelta(days=1)) == (new.source, new.recorded_at)
            assert theirs.ledger_id != ours.ledger_id

    def test_their_keys_and_their_identity_stay_theirs(self, path, tmp_path):
        with some_ledger(path) as theirs, Ledger(tmp_path / "ours.db") as ours:
            ours.append_rows(theirs.rows())
            assert 1 == sum(isinstance(r.event, LedgerOpened) for r in ours.replay())
            assert 0 == sum(isinstance(r.event, KeyClaimed) for r in ours.replay())

    def test_running_it_again_adds_only_what_is_missing(self, path, tmp_path):
        with some_ledger(path) as theirs, Ledger(tmp_path / "ours.db") as ours:
            first = ours.append_rows(theirs.rows())
            assert 0 == ours.append_rows(theirs.rows())
            theirs.record("INC-1", incident.reopen, by="ana", at=NOW, why="it is back")
            assert 1 == ours.append_rows(theirs.rows())
            assert first + 2 == len(list(ours.rows()))
            assert IncidentStatus.MITIGATING is ours.incident("INC-1").status

    def test_two_ledgers_with_the_same_ids_can_not_be_joined(self, path, tmp_path):
        with some_ledger(path) as theirs, Ledger(tmp_path / "ours.db") as ours:
            ours.record("INC-1", incident.detect, by="ana", at=NOW, title="another")
            before = list(ours.rows())
            with pytest.raises(LedgerNotEmptyError, match="incident:INC-1"):
                ours.append_rows(theirs.rows())
            assert before == list(ours.rows())

    def test_two_ledgers_with_other_ids_are_joined(self, path, tmp_path):
        with some_ledger(path) as theirs, Ledger(tmp_path / "ours.db") as ours:
            ours.record("INC-9", incident.detect, by="ana", at=NOW, title="another")
            ours.append_rows(theirs.rows())
            streams = {r.stream for r in ours.replay()}
        assert {"incident:INC-1", "incident:INC-2", "incident:INC-9"} < streams

    def test_a_ledger_is_not_joined_with_itself(self, path):
        with some_ledger(path) as ledger:
            before = list(ledger.rows())
            with pytest.raises(LedgerNotEmptyError):
                ledger.append_rows(before)
            assert before == list(ledger.rows())

    def test_what_is_no_whole_export_is_refused(self, path, tmp_path):
        with some_ledger(path) as theirs, Ledger(tmp_path / "ours.db") as ours:
            for given in ([], list(theirs.rows())[1:]):
                with pytest.raises(NotALedgerError, match="no whole export"):
                    ours.append_rows(given)
            assert 1 == len(list(ours.rows()))

    def test_what_can_not_be_read_is_taken_with_its_facts_as_they_stand(self, path, tmp_path):
        with some_ledger(path) as theirs, Ledger(tmp_path / "ours.db") as ours:
            state = (
                b'{"format":1,"record":"r","recorded_at":"2026-03-02T12:00:00.000000Z",'
                b'"event":{"to": "mars","by":"ana"}}'
            )
            newer = StoredEvent(99, "incident:NEW", 1, "IncidentTeleported", state)
            ours.append_rows([*theirs.rows(), newer])
            [recorded] = ours.history("incident:NEW")
        assert ("IncidentTeleported", Unread) == (recorded.event.type, type(recorded.event))
        assert b'"event":{"to": "mars","by":"ana"}' in recorded.event.state
        assert NOW == recorded.source.recorded_at

    def test_a_field_that_a_newer_version_added_is_not_lost(self, path, tmp_path):
        with some_ledger(path) as theirs, Ledger(tmp_path / "ours.db") as ours:
            state = (
                b'{"format":1,"record":"r","recorded_at":"2026-03-02T12:00:00.000000Z",'
                b'"event":{"at":"2026-03-02T11:00:00Z","by":"ana","mode":"real","mood":"calm",'
                b'"status":"detected"}}'
            )
            newer = StoredEvent(99, "incident:NEW", 1, "IncidentDetected", state)
            ours.append_rows([*theirs.rows(), newer])
            [*_, row] = ours.rows()
        assert b'"mood":"calm"' in row.state

    def test_a_log_with_a_gap_is_refused(self, path, tmp_path):
        with some_ledger(path) as theirs, Ledger(tmp_path / "ours.db") as ours:
            holed = [r for r in theirs.rows() if (r.stream, r.version) != ("incident:INC-1", 2)]
            with pytest.raises(StoreError, match="where 2 belongs"):
                ours.append_rows(holed)
            assert 1 == len(list(ours.rows()))

    def test_where_an_event_came_from_first_is_not_lost(self, path, tmp_path):
        with Ledger(path) as theirs, Ledger(tmp_path / "ours.db") as ours:
            theirs.bring_in([history(1)])
            ours.append_rows(theirs.rows())
            states = b"".join(row.state for row in ours.rows())
        assert b"servicenow" in states.replace(b"servicenow/INC1", b"").replace(
            b'"by":"servicenow"', b""
        )

    def test_redacted_words_stay_redacted(self, path, tmp_path):
        with some_ledger(path) as theirs, Ledger(tmp_path / "ours.db") as ours:
            rows = list(theirs.rows())
            whole = rows[1].state
            bare = whole[: whole.index(b',"words"')] + b',"words":{"redacted":"ab12"}}'
            rows[1] = rows[1]._replace(state=bare)
            ours.append_rows(rows)
            first = ours.history("incident:INC-1")[0]
        assert (True, "") == (first.redacted, first.event.title)
