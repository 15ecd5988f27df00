"""
Boards: they answer what a fresh replay of the log would, at every moment, and for every prefix.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import imcm
from imcm import Ledger, LedgerReader, change, incident
from imcm.codec.rows import EVENT_TYPES
from imcm.interchange import jsonl
from imcm.ledger.store import SQLiteStore
from imcm.projections.boards.assembly import views_of

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.jsonl"))
AT = datetime(2026, 3, 6, 18, 0, tzinfo=UTC)


def rows_of(path):
    with path.open("rb") as file:
        return list(jsonl.read(file))


class Replayed:
    """What a board is to say, found by going through the views of a whole replay."""

    def __init__(self, events):
        self.all = {(type(view).__name__, view.id): view for view in views_of(events)}

    def incidents(self, wanted=lambda view: view.status != "nothing"):
        return self.some("IncidentView", wanted)

    def changes(self, wanted=lambda view: view.status != "nothing"):
        return self.some("ChangeView", wanted)

    def some(self, kind, wanted):
        views = [view for (name, _), view in self.all.items() if name == kind and wanted(view)]
        return sorted(views, key=lambda view: view.id)

    def actions(self, wanted=lambda _: True):
        return [
            item
            for view in self.some("IncidentView", lambda _: True)
            for item in view.actions
            if wanted(item)
        ]


def check(views, replayed, known_at=None):
    asked = {"order": "id", "known_at": known_at}
    assert list(views.incidents(status="all", **asked)) == replayed.incidents()
    assert list(views.incidents(**asked)) == replayed.incidents(lambda view: view.is_open)
    assert list(views.changes(status="all", **asked)) == replayed.changes()
    assert list(views.changes(**asked)) == replayed.changes(
        lambda view: view.status != "nothing" and not view.is_ended
    )
    by_incident = {"order": "incident", "known_at": known_at}
    assert list(views.actions(status="all", **by_incident)) == replayed.actions()
    assert list(views.actions(**by_incident)) == replayed.actions(
        lambda item: item.status == "open"
    )
    waiting = replayed.changes(
        lambda view: view.status == "submitted" or view.authorisation == "outstanding"
    )
    found = sorted(views.approvals(known_at=known_at), key=lambda one: one.change.id)
    assert [one.change for one in found] == waiting


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
class TestEveryPrefix:
    def test_of_every_log_ever_written_is_as_a_replay_of_it(self, path, tmp_path):
        """What was known at each position, asked of a read model of the whole log."""
        rows = rows_of(path)
        with (
            Ledger.restored(tmp_path / "ledger.db", rows) as ledger,
            imcm.views(ledger, tmp_path / "views") as views,
        ):
            check(views, Replayed(ledger.replay()))
            for at in range(1, len(rows) + 1):
                check(views, Replayed(ledger.replay(upto=at)), known_at=at)

    def test_is_followed_event_by_event(self, path, tmp_path):
        """One follower that stays, one that is opened anew for each event."""
        rows = rows_of(path)
        ledger = Ledger.restored(tmp_path / "ledger.db", rows[:1])
        store = SQLiteStore(tmp_path / "ledger.db")
        with ledger, imcm.views(ledger, tmp_path / "stays") as stays:
            stays.catch_up()
            for row in rows[1:]:
                store.insert([row])
                assert stays.catch_up() == 1
                replayed = Replayed(ledger.replay())
                check(stays, replayed)
                with imcm.views(ledger, tmp_path / "anew") as anew:
                    check(anew, replayed)
                    assert anew.rebuilt == (row is rows[1])
            assert stays.facts() == ledger.facts()
        store.close()

    def test_tells_timelines_as_the_whole_log_does(self, path, tmp_path):
        """By what names what, noted as it was followed; each third is followed by another."""
        rows = rows_of(path)
        store = None
        for at in sorted({len(rows) // 3 or 1, 2 * len(rows) // 3 or 1, len(rows)}):
            if store is None:
                Ledger.restored(tmp_path / "ledger.db", rows[:at]).close()
                store = SQLiteStore(tmp_path / "ledger.db")
            else:
                store.insert(rows[store.newest(None) : at])
            with (
                LedgerReader(tmp_path / "ledger.db") as ledger,
                imcm.views(ledger, tmp_path / "views") as views,
            ):
                log = list(ledger.replay())
                kinds = {
                    one.stream: {one.kind: one.id}
                    for one in log
                    if one.kind in ("incident", "change")
                }
                for stream, told in kinds.items():
                    assert views.timeline(stream) == imcm.timeline(log, **told)
                    alone = views.timeline(stream, linked=False, known_at=at)
                    assert alone == imcm.timeline(log, **told, linked=False)
                first = next(iter(kinds))
                begun = next(one.position for one in log if one.stream == first)
                then = max(begun, at // 2 + 1)
                known = imcm.timeline(log, **kinds[first], known_at=then)
                assert views.timeline(first, known_at=then) == known
        store.close()


class TestWhatNeverReachedProduction:
    """A board of changes that failed before anything of them was live."""

    def started(self, ledger, id_):
        lena, at = {"by": "lena"}, AT
        told = {"title": "x", "services": ("shop",), "rollback_plan": "back", "risk": "low"}
        ledger.record(id_, change.plan, at=at, **told, **lena)
        ledger.record(id_, change.submit, at=at, **lena)
        ledger.record(id_, change.approve, by="mia", at=at)
        ledger.record(id_, change.start, at=at, rollout_plan=(5, 100), **lena)

    @pytest.mark.parametrize("path", [None, "kept"])
    @pytest.mark.parametrize(
        ("step", "told"),
        [
            (change.fail, {"reached_production": False, "why": "broken"}),
            (change.roll_back, {"reached_production": False, "why": "broken"}),
            (change.abort_rollout, {}),
        ],
    )
    def test_is_told_as_it_is_and_is_no_deployment(self, step, told, path, tmp_path):
        with Ledger.in_memory(clock=lambda: AT) as ledger:
            self.started(ledger, "CHG-1")
            ledger.record("CHG-1", step, by="lena", at=AT, **told)
            ledger.record("INC-1", incident.detect, by="ana", at=AT, title="x")
            with imcm.views(ledger, path and tmp_path / path) as views:
                check(views, Replayed(ledger.replay()))
                [one] = views.changes(status="all")
                assert one.reached_production is False
                assert ["INC-1"] == [view.id for view in views.incidents()]
                assert () == views.live()


def test_the_logs_that_are_gone_through_hold_every_type_of_event():
    """Else a new type could break a board unseen."""
    types = {row.type for path in GOLDEN for row in rows_of(path)}
    assert set(EVENT_TYPES) - types <= {"LedgerOpened"}


def test_views_say_in_one_line_what_they_are():
    """Of which ledger, and how far they have read."""
    with imcm.Ledger.in_memory() as ledger, imcm.views(ledger) as kept:
        line = f"<Views of ledger {ledger.ledger_id}, log position"
        assert repr(kept).startswith(line)
        ledger.record(
            "INC-1",
            imcm.incident.detect,
            by="ana",
            at=datetime(2026, 3, 2, tzinfo=UTC),
            title="Slow",
        )
        kept.catch_up()
        assert repr(kept) == f"{line} {kept.position:,}>"
