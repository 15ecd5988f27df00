"""Facts straight from the stored rows are those of the replayed events, whatever is in the log."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from imcm import Ledger, change, facts, incident
from imcm.errors import InvalidValue, NaiveTimeError, StoreError
from imcm.interchange import jsonl
from imcm.ledger.lean import take_facts
from imcm.projections.facts.fold import FactsFold

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(params=[f"v0.1{name}.jsonl" for name in ("", "-merges", "-described", "-named")])
def golden(tmp_path, request):
    """Every event there is, from the golden logs."""
    with (GOLDEN / request.param).open("rb") as lines:
        restored = Ledger.restored(tmp_path / "golden.db", jsonl.read(lines))
    with restored:
        yield restored


def same(ledger, **cut):
    mine, theirs = ledger.facts(**cut), facts(ledger.replay(), **cut)
    for one, other in zip(mine.incidents, theirs.incidents, strict=True):
        assert other == one
    for one, other in zip(mine.changes, theirs.changes, strict=True):
        assert other == one
    assert theirs == mine
    return mine


class TestOfEveryEvent:
    def test_the_whole_log(self, golden):
        assert same(golden).incidents

    def test_at_every_position(self, golden):
        for row in list(golden.rows()):
            same(golden, known_at=row.position)

    def test_at_every_time_it_was_known_and_as_of_every_moment(self, golden):
        stamps = sorted({r.recorded_at for r in golden.replay()})
        for stamp in stamps:
            same(golden, known_at=stamp)
            same(golden, as_of=stamp)
            same(golden, known_at=stamp - timedelta(microseconds=1), as_of=stamp)

    def test_what_is_damaged_behind_the_time_asked_for_is_not_looked_at(self, golden):
        rows = list(golden.rows())
        stamps = [r.recorded_at for r in golden.replay()]
        last = max(at for at, stamp in enumerate(stamps) if stamp < stamps[-1])
        assert stamps[: last + 1] == sorted(stamps[: last + 1])
        whole, part, damaged = FactsFold(), FactsFold(), rows[-1]._replace(state=b"{}")

        take_facts(rows[: last + 1], whole)
        take_facts([*rows[: last + 2], damaged], part, stamps[last])

        assert whole.facts() == part.facts()
        with pytest.raises(StoreError, match="is not a stored event"):
            take_facts([*rows[: last + 2], damaged], FactsFold())

    def test_what_is_behind_the_time_asked_for_is_not_even_fetched(self, golden):
        rows, stamps = list(golden.rows()), [r.recorded_at for r in golden.replay()]
        last = next(at for at, stamp in enumerate(stamps) if stamp > stamps[0])

        def fetched():
            yield from rows[: last + 1]
            raise AssertionError("fetched too much")

        fold = FactsFold()
        take_facts(fetched(), fold, stamps[0])
        assert last == fold.cursor.events

    def test_a_state_without_its_record_is_damaged_whatever_its_type(self, golden):
        for row in golden.rows():
            told = json.loads(row.state)
            if told.pop("record", None) is None:
                continue  # of a later version, which may have no such thing
            with pytest.raises(StoreError, match="record"):
                take_facts([row._replace(state=json.dumps(told).encode())], FactsFold())


class TestOfALedger:
    def test_on_every_store(self, ledger):
        at = NOW - timedelta(hours=4)
        ledger.record("CHG-1", change.plan, by="a", at=at, title="t", services=["pay"])
        ledger.record("INC-1", incident.detect, by="a", at=at, title="t", services=["pay"])
        ledger.record("INC-1", incident.resolve, by="a", at=NOW)
        ledger.record(
            "INC-1", incident.correct, by="b", at=NOW, version=1, field="at", was=at,
            now=at - timedelta(hours=1), why="the graphs",
        )  # fmt: skip
        ledger.record("INC-2", incident.detect, by="a", at=at, title="t")
        ledger.merge("INC-2", into="INC-1", by="a", at=NOW)
        found = same(ledger)
        assert at - timedelta(hours=1) == found.incidents[0].detected_at
        assert ("INC-2",) == found.incidents[0].merged

    def test_an_empty_one(self, ledger):
        assert () == same(ledger).incidents

    @pytest.mark.parametrize("cut", ["noon", True, 1.5])
    def test_what_is_no_position_and_no_time_is_refused(self, ledger, cut):
        with pytest.raises(InvalidValue, match="known_at"):
            ledger.facts(known_at=cut)

    def test_times_need_a_zone(self, ledger):
        for name in ("known_at", "as_of"):
            with pytest.raises(NaiveTimeError, match=name):
                ledger.facts(**{name: NOW.replace(tzinfo=None)})


class TestOfWhatCanNotBeRead:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b'"format":1', b'"format":2'),
            (b'"by":"a"', b'"by":1'),
            (b'"at":"2026-03-02T08:00:00Z"', b'"at":"2026-03-02T08:00:00"'),
            (b'"at":"2026-03-02T08:00:00Z"', b'"at":{"earliest":1}'),
            (b'"by":"a"', b'"by":"a","new":{"x":[1]}'),
            (b'"services":["pay"]', b'"services":"pay"'),
            (b'"mode":"real"', b'"mode":"exercise"'),
        ],
    )
    def test_it_is_unread_in_both(self, in_file, path, sql, old, new):
        at = NOW - timedelta(hours=4)
        in_file.record("INC-1", incident.detect, by="a", at=at, title="t", services=["pay"])
        in_file.record("INC-1", incident.resolve, by="a", at=NOW)
        [(state,)] = sql(path, "SELECT state FROM stored_events WHERE rowid = 2")
        assert old in state
        sql(path, "UPDATE stored_events SET state = ? WHERE rowid = 2", state.replace(old, new))
        found = same(in_file)
        assert ({} if b'"new"' in new else {"IncidentDetected": 1}) == found.unread

    def test_of_an_unknown_type(self, in_file, path, sql):
        in_file.record("INC-1", incident.detect, by="a", at=NOW, title="t")
        sql(path, "UPDATE stored_events SET topic = 'IncidentDreamt' WHERE rowid = 2")
        assert {"IncidentDreamt": 1} == same(in_file).unread
