"""A fold that goes on from rows made before gives what a fold of the whole log gives."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcm.domain.change_events import (
    ChangeClosed,
    ChangeRolledBack,
    ChangeStarted,
    ChangeStatus,
    CommitsRecorded,
)
from imcm.domain.corrections import EventVoided, MomentCorrected
from imcm.domain.incident_events import (
    IncidentAbsorbed,
    IncidentAcknowledged,
    IncidentDetected,
    UpdatePosted,
)
from imcm.domain.recorded import LedgerOpened, Recorded, Unread
from imcm.domain.vocabulary import Audience, Commit, Outcome, Result, Window
from imcm.errors import StoreError
from imcm.projections.facts.change_rows import ChangeSoFar
from imcm.projections.facts.fold import FactsFold, Notes, StoredRows, facts
from imcm.projections.facts.incident_rows import IncidentSoFar
from long_streams import STREAMS, stream
from projections.log import (
    START,
    acknowledged,
    at,
    change,
    corrected,
    deployment,
    detected,
    incident,
    log,
    merged_into,
    planned,
    resolved,
)


def loader(story):
    """Return what loads some streams of a log, each up to a version."""

    def load(streams):
        fold = FactsFold()
        fold.add_all(r for r in story if r.version <= streams.get(r.stream, 0))
        return fold

    return load


def shuffled(story):
    """Return the streams of a log in turns, as several people would have recorded them."""
    turns = {}
    for recorded in story:
        turns.setdefault(recorded.version, []).append(recorded)
    rows = [recorded for version in sorted(turns) for recorded in turns[version]]
    return [r._replace(position=n) for n, r in enumerate(rows, start=1)]


STORY = shuffled(
    [
        Recorded("ledger:self", 1, 0, START, "r", None, LedgerOpened(ledger_id="x", format=1)),
        *log(
            incident(
                "INC-1",
                detected(0),
                acknowledged(1),
                resolved(2),
                corrected(3, 1, "at", at(0), at(-1)),
            ),
            incident("INC-2", detected(0, declared_at=at(20_000)), merged_into("INC-1", 3)),
            (
                "incident:INC-3",
                [IncidentDetected(at=at(1), by="a"), Unread(type="X", state=b"", why="")],
            ),
            (
                "incident:INC-4",
                [
                    IncidentDetected(at=at(1), by="a"),
                    MomentCorrected(at=at(2), by="a", version=4, field="at", was=at(1), now=at(2)),
                    EventVoided(at=at(2), by="a", version=9, status=""),
                    UpdatePosted(at=at(3), by="a", audience=Audience.INTERNAL),
                    IncidentAcknowledged(at=at(4), by="a"),
                ],
            ),
            # Of one nobody knows how it was planned, and one takes in another and is corrected.
            (
                "change:CHG-3",
                [Unread(type="X", state=b"", why=""), ChangeStarted(at=at(2), by="ci")],
            ),
            (
                "incident:INC-5",
                [
                    IncidentDetected(at=at(1), by="a"),
                    IncidentAbsorbed(at=at(3), by="a", merged="INC-2"),
                    MomentCorrected(at=at(4), by="a", version=1, field="at", was=at(1), now=at(0)),
                ],
            ),
            deployment("CHG-1", 5),
            change("CHG-2", planned(1)),
            # Told to have happened in its window, long after it was over.
            deployment("CHG-4", 5, window=Window(start=at(1), end=at(9))),
        ),
    ]
)


@given(st.lists(st.integers(0, len(STORY)), max_size=6), st.booleans())
def test_at_every_stage_and_however_often_it_goes_on(cuts, looked):
    """Each part is taken by a fold of its own, from what the one before had made."""
    made, read, done = {}, None, 0
    for cut in [*sorted(cuts), len(STORY)]:
        fold = FactsFold(loader(STORY), snapshots=True)
        if read is not None:
            fold.restore(read, made.values())
        fold.add_all(STORY[done:cut])
        done = cut
        made |= {(type(one.row), one.row.id): one for one in fold.changed()}
        read = fold.cursor
        if looked:
            assert facts(STORY[:cut]) == fold.facts()
            assert facts(STORY[:cut], as_of=at(2)) == fold.facts(as_of=at(2))
    assert facts(STORY) == fold.facts()


def packed(table, notes, kept):
    """Return what is packed of one kind: nothing of it is unpacked before somebody looks."""
    kepts = [kept[type(table).row, id_] for id_ in table.ids]
    columns = type(table.columns)._make(column[:] for column in table.columns)
    made = type(table)(
        list(table.ids),
        list(range(len(kepts))),
        lambda place: kepts[place].row,
        columns,
        list(table.services),
    )
    cut, unfounded, merged = notes
    return StoredRows(made, Notes(dict(cut), dict(unfounded), merged), kepts.__getitem__)


@given(st.lists(st.integers(0, len(STORY)), max_size=6), st.booleans())
def test_at_every_stage_and_however_often_it_was_packed(cuts, looked):
    """Each part is taken by a fold of its own, from what the one before had put together."""
    made, together, read, done = {}, None, None, 0
    for cut in [*sorted(cuts), len(STORY)]:
        fold = FactsFold(loader(STORY), snapshots=True)
        if together is not None:
            given_ = {kind: packed(*one, made) for kind, one in together.items()}
            fold.start(read, given_)
        fold.add_all(STORY[done:cut])
        done = cut
        together, renewed = {}, fold.changed()
        made |= {(type(one.row), one.row.id): one for one in renewed}
        together, renewed = fold.to_store(renewed)
        made |= {(type(one.row), one.row.id): one for one in renewed}
        read = fold.cursor
        if looked:
            assert facts(STORY[:cut]) == fold.facts()
            assert facts(STORY[:cut], as_of=at(2)) == fold.facts(as_of=at(2))
            together, _ = fold.to_store()
    assert facts(STORY) == fold.facts()


def test_one_told_anew_by_another_is_not_unpacked_again():
    first = FactsFold(loader(STORY), snapshots=True)
    first.add_all(STORY[:9])
    made = {(type(one.row), one.row.id): one for one in first.changed()}
    together, _ = first.to_store()
    second = FactsFold(loader(STORY), snapshots=True)
    second.start(first.cursor, {kind: packed(*one, made) for kind, one in together.items()})
    first.add_all(STORY[9:20])
    second.restore(first.cursor, first.changed())
    for fold in (first, second):
        fold.add_all(STORY[20:])

    assert facts(STORY) == first.facts() == second.facts()


@given(st.lists(st.integers(0, len(STORY)), min_size=2, max_size=6))
def test_two_that_take_turns_stay_the_same(cuts):
    """One takes over what the other made, while it still holds events of its own."""
    folds = [FactsFold(loader(STORY), snapshots=True), FactsFold(loader(STORY), snapshots=True)]
    made, read, done = {}, None, 0
    for turn, cut in enumerate([*sorted(cuts), len(STORY)]):
        fold = folds[turn % 2]
        if read is not None and fold.position != read.position:
            fold.restore(read, made.values())
        fold.add_all(STORY[done:cut])
        done = cut
        made |= {(type(one.row), one.row.id): one for one in fold.changed()}
        read = fold.cursor
        assert facts(STORY[:cut]) == fold.facts()


def test_many_new_ones_at_once_are_put_in_order():
    fold = FactsFold()
    for number in (5, 3):
        for recorded in log(*(incident(f"{number}-{n}", detected(0)) for n in range(150))):
            fold.add(recorded)
        ids = [row.id for row in fold.facts().incidents]
        assert sorted(ids) == ids


def test_without_a_loader_a_kept_row_can_not_be_made_anew():
    first = FactsFold(loader(STORY), snapshots=True)
    first.add_all(STORY)
    second = FactsFold()
    second.restore(first.cursor, first.changed())
    assert facts(STORY) == second.facts()
    with pytest.raises(StoreError, match="nothing loads them"):
        second.facts(as_of=at(1))


def test_a_stream_that_is_not_in_the_log_any_more_is_an_error():
    first = FactsFold(loader(STORY), snapshots=True)
    first.add_all(STORY)
    second = FactsFold(lambda streams: FactsFold())
    second.restore(first.cursor, first.changed())
    with pytest.raises(StoreError, match="not in the log any more"):
        second.facts(as_of=at(1))


@given(st.lists(st.integers(0, len(STORY)), min_size=1, max_size=6), st.booleans())
def test_a_fold_that_holds_no_events_is_one_that_holds_them(cuts, looked):
    """What is told from event to event is what is told of all of them, at every stage."""
    lean, done = FactsFold(loader(STORY)), 0
    for cut in [*sorted(cuts), len(STORY)]:
        lean.add_all(STORY[done:cut])
        done = cut
        assert facts(STORY[:cut]) == lean.facts()
        if looked:
            for moment in (at(2), at(1), at(30_000)):
                assert facts(STORY[:cut], as_of=moment) == lean.facts(as_of=moment)


def test_what_was_read_before_an_error_is_taken():
    def broken():
        yield from STORY[:4]
        raise StoreError("the fifth is damaged")

    fold = FactsFold()
    with pytest.raises(StoreError, match="the fifth"):
        fold.add_all(broken())
    assert facts(STORY[:4]) == fold.facts()
    fold.add_all(STORY[4:])
    assert facts(STORY) == fold.facts()


@pytest.mark.parametrize("so_far", [IncidentSoFar, ChangeSoFar])
def test_each_field_of_a_row_in_progress_is_the_one_of_the_row(so_far):
    """A row is made of their values in order; here no two fields have the same one."""
    row = so_far("X", array("q", [7]))
    fields = row.facts()._asdict()
    mappings = {"verdicts", "related", "milestones"} & fields.keys()
    lists = {name for name, value in fields.items() if value == ()}
    fields |= {name: name for name in fields} | {name: (name,) for name in lists}
    fields |= {name: {name: (at(1),)} for name in mappings}
    fields |= {"id": "X", "imported": True, "positions": (7,)}
    if "commits" in fields:
        fields["commits"] = (Commit(id="c"),)
    for name in fields.keys() - {"positions"}:
        setattr(row, name, fields[name])

    assert fields == row.facts()._asdict()


def test_an_event_that_tells_two_moments_too_early_is_late_once():
    """Both were recorded before they were; the event is named, and not each of its moments."""
    story = log(incident("INC-1", detected(2, declared_at=at(3))), now=1)

    (row,) = facts(story, as_of=at(4)).incidents

    assert (1,) == row.late


def test_an_end_that_tells_no_status_leaves_it_as_it_was():
    closed = ChangeClosed(at=at(2), by="ci", result=Result.SUCCESSFUL)
    back = ChangeRolledBack(at=at(3), by="ci", reached_production=True, status=None)

    (row,) = facts(log(deployment("CHG-1", 1, closed, back))).changes

    assert (ChangeStatus.CLOSED, Outcome.ROLLED_BACK) == (row.status, row.outcome)


def row_of(fold):
    found = fold.facts()
    return (*found.incidents, *found.changes)


def check_rows_stay(story):
    """Each row says later what it said when it was made, and what the log up to there says."""
    fold, seen = FactsFold(loader(story)), []
    for recorded in story:
        fold.add(recorded)
        rows = row_of(fold)
        seen.append((rows, repr(rows)))
    assert [said for _, said in seen] == [repr(rows) for rows, _ in seen]
    for end, (rows, _) in enumerate(seen, start=1):
        found = facts(story[:end])
        assert (*found.incidents, *found.changes) == rows


@pytest.mark.parametrize(("kind", "name"), STREAMS)
def test_rows_stay_as_they_are_whatever_comes_after(kind, name):
    check_rows_stay(stream(kind, name, 6))


def test_rows_stay_where_commits_came_that_were_none():
    one, other = Commit(id="a"), Commit(id="b")
    told = [CommitsRecorded(at=at(1), by="ci", commits=some) for some in ((), (one,), (other, one))]
    check_rows_stay(log(change("CHG-1", planned(), *told)))
