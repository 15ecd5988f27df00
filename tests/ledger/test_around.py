"""Questions about one incident or change read its streams, and answer as the whole log does."""

import functools
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import imcm
from imcm import (
    InvalidValue,
    Ledger,
    LedgerReader,
    NaiveTimeError,
    UnknownIdError,
    change,
    decision_trail,
    incident,
    timeline,
)
from imcm.codec.decoding import stamp_of
from imcm.codec.encoding import stamp
from imcm.codec.rows import StoredEvent
from imcm.demo import StoryClock, tell
from imcm.interchange import jsonl

GOLDEN = Path(__file__).parents[1] / "golden"
LOGS = sorted(path.name for path in GOLDEN.glob("*.jsonl"))
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@functools.cache
def golden(name):
    with (GOLDEN / name).open("rb") as file:
        return tuple(jsonl.read(file))


@pytest.fixture(params=LOGS)
def whole(request, path):
    with Ledger.restored(path, golden(request.param)) as ledger:
        yield ledger


def things(ledger):
    """Yield every incident and change of a ledger."""
    for stream in dict.fromkeys(row.stream for row in ledger.rows()):
        kind, _, id_ = stream.partition(":")
        if kind in {"incident", "change"}:
            yield stream, kind, id_


def answer(ask):
    """Return what a question gives, an error as its class."""
    try:
        return ask()
    except UnknownIdError:
        return UnknownIdError


class TestTheSameAsOfTheWholeLog:
    def test_a_timeline(self, whole):
        log = list(whole.replay())
        for stream, kind, id_ in things(whole):
            for linked in (True, False):
                told = {kind: id_, "linked": linked}
                assert timeline(log, **told) == whole.timeline(stream, linked=linked)

    def test_a_trail(self, whole):
        log = list(whole.replay())
        for _, kind, id_ in things(whole):
            if kind == "change":
                assert decision_trail(log, id_) == whole.trail(id_) == whole.trail(f"change:{id_}")

    def test_at_every_point_that_something_was_known(self, whole):
        log = list(whole.replay())
        points = [one.position for one in log] + [one.recorded_at for one in log[::3]]
        for stream, kind, id_ in [*things(whole)][:4]:
            for at in points:
                told = {kind: id_, "known_at": at}
                expected = answer(functools.partial(timeline, log, **told))
                assert expected == answer(functools.partial(whole.timeline, stream, known_at=at))
                if kind == "change":
                    expected = answer(lambda: decision_trail(log, id_, known_at=at))  # noqa: B023
                    assert expected == answer(lambda: whole.trail(id_, known_at=at))  # noqa: B023

    def test_in_every_kind_of_store(self, ledger):
        """The clock stands still, in memory, in a file and in PostgreSQL."""
        for id_ in ("INC-1", 'INC "2"', "Störung ü"):
            ledger.record(id_, incident.detect, by="ann", at=START, title=id_)
        told = {"by": "ann", "at": START, "title": "v2"}
        for id_, more in (("CHG-1", {}), ("CHG-2", {"repairs": "CHG-1"})):
            ledger.record(id_, change.plan, **told, **more)
        for id_ in ("INC-1", 'INC "2"', "Störung ü"):
            ledger.record(
                id_, incident.link_change, by="ann", at=START, change="CHG-1", verdict="caused"
            )
        ledger.relate("INC-1", to="Störung ü", kind="related", by="ann", at=START)
        log = list(ledger.replay())
        for stream, kind, id_ in things(ledger):
            found = ledger.timeline(stream)
            assert timeline(log, **{kind: id_}) == found
            assert len({entry.id for entry in found}) > 1
        assert {"INC-1", "Störung ü", "CHG-1"} == {
            entry.id for entry in ledger.timeline("Störung ü")
        }

    def test_where_the_clock_went_back(self, path):
        stamps = iter(START + timedelta(hours=n) for n in (0, 1, 5, 2, 3, 9))
        with Ledger(path, clock=lambda: next(stamps)) as ledger:
            for number in range(5):
                ledger.record(
                    f"INC-{number % 2}",
                    incident.detect if number < 2 else incident.post_update,
                    by="ann",
                    at=START,
                    **({"title": "down"} if number < 2 else {"text": f"update {number}"}),
                )
            log = list(ledger.replay())
            for hours in range(-1, 10):
                at = START + timedelta(hours=hours)
                for id_ in ("INC-0", "INC-1"):
                    expected = answer(lambda: timeline(log, incident=id_, known_at=at))  # noqa: B023
                    assert expected == answer(
                        lambda: ledger.timeline(id_, known_at=at)  # noqa: B023
                    )

    def test_rows_that_write_letters_by_their_numbers(self, path):
        """As another tool may write the same JSON."""
        with Ledger.in_memory() as made:
            made.record("INC-1", incident.detect, by="ann", at=START, title="down")
            made.record("CHG-1", change.plan, by="ann", at=START, title="v2")
            told = {"by": "ann", "at": START, "change": "CHG-1", "verdict": "caused"}
            made.record("INC-1", incident.link_change, **told)
            rows = [
                row._replace(state=row.state.replace(b'"CHG-1"', b'"C\\u0048G-1"'))
                for row in made.rows()
            ]
        with Ledger.restored(path, rows) as ledger:
            log = list(ledger.replay())
            assert timeline(log, change="CHG-1") == ledger.timeline("CHG-1")
            assert {"INC-1", "CHG-1"} == {entry.id for entry in ledger.timeline("CHG-1")}

    def test_what_lies_ahead_of_all_stamps(self, path):
        """A row of the ledger's own is no knowledge of the world, however new it is."""
        stamps = iter(START + timedelta(minutes=n) for n in (0, 0, 60, 120))
        with Ledger(path, clock=lambda: next(stamps)) as ledger:
            ahead = START + timedelta(minutes=4)
            ledger.record("INC-1", incident.detect, by="ann", at=ahead, title="down")
            told = {"by": "ann", "at": ahead, "to": "INC-2"}
            assert not ledger.once("bot", "1").record("INC-1", incident.unrelate, **told)
            log = list(ledger.replay())
            assert timeline(log, incident="INC-1") == ledger.timeline("INC-1") == ()

    def test_what_lies_ahead_of_the_stamps_of_its_own_stream(self, path):
        """Others were recorded later, and by then it had happened."""
        stamps = iter(START + timedelta(minutes=n) for n in (0, 0, 5, 60))
        with Ledger(path, clock=lambda: next(stamps)) as ledger:
            ahead = {"by": "ann", "at": START + timedelta(minutes=4)}
            ledger.record("INC-1", incident.detect, title="down", **ahead)
            assert ledger.timeline("INC-1") == ()
            for id_ in ("INC-2", "INC-3"):
                ledger.record(id_, incident.detect, by="ann", at=START, title="up")
                assert len(ledger.timeline("INC-1")) == 1
                assert timeline(ledger.replay(), incident="INC-1") == ledger.timeline("INC-1")
            assert ledger.timeline("INC-1", known_at=2) == ()

    @pytest.mark.parametrize("more", [{}, {"COMPRESSOR_TOPIC": "zlib"}])
    def test_in_a_store_that_only_eventsourcing_knows(self, more):
        settings = {"PERSISTENCE_MODULE": "eventsourcing.popo", **more}
        with Ledger.configured(settings) as ledger:
            told = {"by": "ann", "at": START}
            ledger.record("CHG-1", change.plan, title="v2", **told)
            ledger.record("INC-1", incident.detect, title="down", **told)
            ledger.record("INC-1", incident.link_change, change="CHG-1", verdict="caused", **told)
            log = list(ledger.replay())
            assert timeline(log, change="CHG-1") == ledger.timeline("CHG-1")
            assert len(ledger.timeline("CHG-1")) == 3
            assert [ledger.position_at(at) for at in (None, 0, 1, 3, 99)] == [4, 0, 1, 3, 4]

    def test_where_a_position_is_given_that_no_event_has(self, path):
        with Ledger(path) as ledger:
            for number in range(4):
                ledger.record(f"INC-{number}", incident.detect, by="a", at=START, title="down")
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("UPDATE stored_events SET rowid = rowid + 10 WHERE rowid > 3")
        with LedgerReader(path) as reader:
            assert [reader.position_at(at) for at in (2, 3, 9, 14, 15, 99)] == [2, 3, 3, 14, 15, 15]
            assert reader.position_at() == 15

    def test_what_was_not_known_by_then_says_since_when_it_is(self, ledger):
        told = {"by": "ann", "at": START}
        ledger.record("CHG-1", change.plan, title="v2", **told)
        ledger.record("INC-1", incident.detect, title="down", **told)
        asked = (ledger.incident, ledger.timeline, imcm.views(ledger).incident)
        for ask in (*asked, imcm.views(ledger).timeline):
            with pytest.raises(UnknownIdError, match=r"known by then; .* position 3"):
                ask("INC-1", known_at=2)
        with pytest.raises(UnknownIdError, match="no change 'CHG-1' was known by then"):
            ledger.trail("CHG-1", known_at=1)
        for ask in asked:
            with pytest.raises(UnknownIdError, match="in this log; near: INC-1"):
                ask("INC-2")

    def test_a_window(self, path):
        clock = StoryClock()
        with Ledger(path, clock=clock) as ledger:
            tell(ledger, clock)
            log = list(ledger.replay())
            days = {entry.at.date() for entry in ledger.timeline("INC-204")}
            first = datetime.combine(min(days), datetime.min.time(), UTC)
            window = (first, first + timedelta(days=1))
            found = ledger.timeline("INC-204", window=window, as_of=first + timedelta(hours=19))
            told = {"window": window, "as_of": first + timedelta(hours=19)}
            assert timeline(log, incident="INC-204", **told) == found
            assert 0 < len(found) < len(ledger.timeline("INC-204"))


class TestAsItStood:
    def test_an_incident_and_a_change(self, whole):
        log = list(whole.replay())
        for stream, kind, id_ in things(whole):
            module = incident if kind == "incident" else change
            ask = getattr(whole, kind)
            for last in [one for one in log if one.stream == stream]:
                state = ask(id_, known_at=last.position)
                events = [
                    one.event
                    for one in log
                    if one.stream == stream and one.position <= last.position
                ]
                assert module.fold(events) == state

    def test_before_it_was_known_there_is_none(self, ledger):
        ledger.record("INC-1", incident.detect, by="ann", at=START, title="down")
        with pytest.raises(UnknownIdError, match="no incident 'INC-1'"):
            ledger.incident("INC-1", known_at=1)
        with pytest.raises(UnknownIdError):
            ledger.timeline("INC-1", known_at=START)


class TestPosition:
    def test_is_the_last_that_was_known(self, whole):
        log = list(whole.replay())
        assert log[-1].position == whole.position_at()
        assert 0 == whole.position_at(0) == whole.position_at(START - timedelta(days=9999))
        for one in log:
            assert one.position == whole.position_at(one.position)
        assert log[-1].position == whole.position_at(log[-1].recorded_at + timedelta(days=9999))

    @pytest.mark.parametrize(
        ("at", "error"),
        [("now", InvalidValue), (datetime(2026, 1, 1), NaiveTimeError)],  # noqa: DTZ001
    )
    def test_refuses_what_is_no_point(self, ledger, at, error):
        with pytest.raises(error):
            ledger.position_at(at)


class TestStreamOf:
    def test_names_the_kind(self, ledger):
        ledger.record("X-1", incident.detect, by="ann", at=START, title="down")
        ledger.record("X-2", change.plan, by="ann", at=START, title="v2")
        assert "incident:X-1" == ledger.stream_of("X-1") == ledger.stream_of("incident:X-1")
        assert "change:X-2" == ledger.stream_of("X-2") == ledger.stream_of("change:X-2")
        ledger.record("X-1", change.plan, by="ann", at=START, title="v2")
        with pytest.raises(InvalidValue, match="incident:X-1 or change:X-1, since there are both"):
            ledger.stream_of("X-1")
        assert "X-1" == ledger.trail("X-1").change  # only a change has one

    def test_an_id_that_begins_like_a_stream(self, ledger):
        for id_ in ("a", "incident:a"):
            ledger.record(id_, incident.detect, by="ann", at=START, title="down")
        assert "incident:incident:a" == ledger.stream_of("incident:a")
        assert "incident:a" == ledger.stream_of("a")
        assert {"incident:a"} == {entry.id for entry in ledger.timeline("incident:a")}

    def test_an_id_as_long_as_one_can_be(self, ledger):
        longest = "x" * 200
        ledger.record(longest, incident.detect, by="ann", at=START, title="down")
        ledger.record(longest, change.plan, by="ann", at=START, title="v2")
        assert f"change:{longest}" == ledger.stream_of(f"change:{longest}")
        assert 1 == len(ledger.timeline(f"incident:{longest}", linked=False))
        for wrong in (longest + "x", f"change:{longest}x"):
            with pytest.raises(InvalidValue, match="1 to 200 characters"):
                ledger.stream_of(wrong)

    def test_says_what_is_near(self, ledger):
        ledger.record("INC-17", incident.detect, by="ann", at=START, title="down")
        with pytest.raises(UnknownIdError, match="near: INC-17"):
            ledger.timeline("INC-71")
        with pytest.raises(InvalidValue, match="this is an incident, which has a timeline"):
            ledger.trail("INC-17")
        with pytest.raises(InvalidValue, match="give text"):
            ledger.stream_of(7)


def test_a_reader_asks_too(path):
    with Ledger(path) as ledger:
        ledger.record("INC-1", incident.detect, by="ann", at=START, title="down")
        with LedgerReader(path) as reader:
            assert ledger.timeline("INC-1") == reader.timeline("INC-1")
            assert 2 == reader.position_at()


def test_a_stamp_is_read_whatever_stands_before_it():
    state = {
        "recorded_at": "2026-03-06T13:00:00.000000+01:00",
        "format": 1,
        "record": "r",
        "event": {"ledger_id": "imcm/1", "format": 1},
    }
    row = StoredEvent(1, "ledger:self", 1, "LedgerOpened", json.dumps(state).encode())
    assert "2026-03-06T12:00:00.000000Z" == stamp_of(row)


@given(st.datetimes(timezones=st.timezones()))
def test_a_stamp_is_a_time_in_utc_with_six_decimals(moment):
    """As isoformat writes it, which takes five times as long."""
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        with pytest.raises(OverflowError):
            stamp(moment)
        return
    assert stamp(moment) == f"{utc.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def test_a_stamp_of_another_library_is_one(path):
    """Who analyses has times of pandas, which are times and more."""
    pandas = pytest.importorskip("pandas")
    moment = pandas.Timestamp("2026-03-02T10:00:01.5+01:00")
    assert stamp(moment) == "2026-03-02T09:00:01.500000Z"
    with Ledger(path, clock=lambda: moment) as ledger:
        ledger.record("INC-1", incident.detect, by="ann", at=START, title="down")
        assert len(ledger.timeline("INC-1", known_at=moment)) == 1
        assert len(imcm.views(ledger).incidents(known_at=moment)) == 1
