"""
Boards of real runs: what was recorded, what is asked, what is there.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import imcm
from imcm import (
    Between,
    ChangeStatus,
    DismissalReason,
    History,
    HoldReason,
    IncidentStatus,
    Ledger,
    LedgerReader,
    MitigationKind,
    Mode,
    Role,
    Severity,
    Verdict,
    Window,
    change,
    incident,
)
from imcm.domain.change_events import ChangeCompleted, ChangePlanned
from imcm.domain.incident_events import IncidentDetected, IncidentResolved
from imcm.domain.policy import Policy
from imcm.domain.vocabulary import Authority, ChangeType, Outcome
from imcm.errors import InvalidValue, NaiveTimeError, StepRefused, StoreError, UnknownIdError
from imcm.projections.boards.assembly import read_stream, view_of_stream, views_of
from imcm.readmodel import boards as boards_model
from imcm.testing import change_steps, incident_steps

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def hours(number):
    """Return the time so many hours after NOW."""
    return NOW + timedelta(hours=number)


class Book:
    """A ledger whose clock is set by the test, and steps in few words."""

    def __init__(self, path=None):
        self.now = NOW
        clock = self.clock
        self.ledger = Ledger.in_memory(clock=clock) if path is None else Ledger(path, clock=clock)

    def clock(self):
        return self.now

    def take(self, id, step, at=0, by="ana", **more):
        moment = hours(at) if isinstance(at, (int, float)) else at
        return self.ledger.record(id, step, by=by, at=moment, **more)

    def detect(self, id, at=-2, severity=None, **more):
        self.take(id, incident.detect, at, **{"title": f"title of {id}", **more})
        if severity is not None:
            self.take(id, incident.triage, at, severity=severity)

    def plan(self, id, at=-9, by="dev", **more):
        told = {"title": f"title of {id}", "services": ["pay"], "risk": "low", **more}
        self.take(id, change.plan, at, by=by, rollback_plan="switch it off", **told)

    def submit(self, id, at=-8, **more):
        self.plan(id, **more)
        self.take(id, change.submit, at, by="dev")

    def deploy(self, id, at, version=None, **more):
        self.submit(id, **more)
        self.take(id, change.approve, -7, by="mia")
        self.take(id, change.start, at, by="dev")
        self.take(id, change.complete, at, by="dev", version=version)


def told(board, **more):
    """Return what views say, in two lists by their kinds, each in the order of ids."""
    asked = {"status": "all", "order": "id", **more}
    return [*board.incidents(**asked)], [*board.changes(**asked)]


def replayed(log):
    """Return what a replay says, as `told` does; what never was is in neither."""
    views = sorted(views_of(log), key=lambda view: view.id)
    return tuple(
        [view for view in views if isinstance(view, cls) and view.status != "nothing"]
        for cls in (imcm.IncidentView, imcm.ChangeView)
    )


def ids(page):
    return [view.id for view in page]


def put(path, stream, version, type_, event):
    """Store an event of somebody's own, as a later version of imcm might."""
    state = (
        f'{{"format":1,"record":"r","recorded_at":"2026-03-02T12:00:00.000000Z","event":{event}}}'
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO stored_events (originator_id, originator_version, topic, state) "
            "VALUES (?, ?, ?, ?)",
            (stream, version, type_, state.encode()),
        )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def model(tmp_path):
    return tmp_path / "ledger.views"


@pytest.fixture
def book(path):
    made = Book(path)
    with made.ledger:
        yield made


@pytest.fixture
def board(book, model):
    with imcm.views(book.ledger, model, clock=book.clock) as made:
        yield made


# --- incidents ------------------------------------------------------------------------------------


class TestIncidents:
    def test_are_open_ones_the_worst_first(self, book, board):
        book.detect("INC-1", -5, Severity.P3)
        book.detect("INC-2", -1, Severity.P1)
        book.detect("INC-3", -4, Severity.P1)
        book.detect("INC-4", -9)
        book.detect("INC-5", -3, Severity.P1)
        book.take("INC-5", incident.resolve)
        page = board.incidents()
        assert ["INC-3", "INC-2", "INC-1", "INC-4"] == ids(page)
        assert (4, 11) == (page.total, page.position)

    @pytest.mark.parametrize(
        ("order", "wanted"),
        [
            ("oldest", ["INC-2", "INC-3", "INC-1"]),
            ("newest", ["INC-1", "INC-3", "INC-2"]),
            ("recent", ["INC-2", "INC-3", "INC-1"]),
            ("id", ["INC-1", "INC-2", "INC-3"]),
        ],
    )
    def test_come_in_the_order_asked_for(self, book, board, order, wanted):
        book.detect("INC-1", -1)
        book.detect("INC-3", Between(earliest=hours(-6), latest=hours(-4)))
        book.detect("INC-2", -7)
        assert wanted == ids(board.incidents(order=order))

    def test_come_page_by_page_with_how_many_there_are(self, book, board):
        for number in range(7):
            book.detect(f"INC-{number}")
        pages = [board.incidents(order="id", limit=3, offset=offset) for offset in (0, 3, 6, 9)]
        assert [3, 3, 1, 0] == list(map(len, pages))
        assert [f"INC-{number}" for number in range(7)] == [i for page in pages for i in ids(page)]
        assert {7} == {page.total for page in pages}
        assert (0, 7) == (len(none := board.incidents(limit=0)), none.total)

    def test_of_one_status_or_several(self, book, board):
        book.detect("INC-1")
        book.detect("INC-2")
        book.take("INC-2", incident.resolve)
        book.detect("INC-3")
        book.take("INC-3", incident.dismiss, reason=DismissalReason.FALSE_POSITIVE)
        given = IncidentStatus.RESOLVED
        assert ["INC-2"] == ids(board.incidents(status=given))
        assert ["INC-2"] == ids(board.incidents(status="resolved"))
        both = board.incidents(status=[given, IncidentStatus.DISMISSED], order="id")
        assert ["INC-2", "INC-3"] == ids(both)
        assert "false_positive" == both[1].dismissed
        assert 3 == board.incidents(status="all").total
        with pytest.raises(InvalidValue, match="near it: open"):
            board.incidents(status="opn")

    def test_of_a_severity_a_service_labels_and_people(self, book, board):
        book.detect("INC-1", severity=Severity.P1, services=["pay", "a%b"])
        book.detect("INC-2", severity=Severity.P2, labels={"team": "core", "x": 'a"b'})
        book.detect("INC-3", services=["payments"], labels={"team": "web"})
        book.take("INC-1", incident.assign_role, role=Role.INCIDENT_COMMANDER, person="Jo  Müller")
        book.take("INC-2", incident.assign_role, role=Role.SCRIBE, person="Jo")
        book.take("INC-3", incident.hold, reason=HoldReason.VENDOR)
        asked = [
            ({"severity": "P1"}, ["INC-1"]),
            ({"severity": [Severity.P1, Severity.P2]}, ["INC-1", "INC-2"]),
            ({"service": "pay"}, ["INC-1"]),
            ({"service": "a%b"}, ["INC-1"]),
            ({"service": "a%"}, []),
            ({"labels": {"team": "core"}}, ["INC-2"]),
            ({"labels": {"team": "core", "x": 'a"b'}}, ["INC-2"]),
            ({"labels": {"team": "core", "x": "other"}}, []),
            ({"labels": {}}, ["INC-1", "INC-2", "INC-3"]),
            ({"person": "Jo"}, ["INC-2"]),
            ({"person": "JO MÜLLER"}, ["INC-1"]),
            ({"person": "%"}, []),
            ({"commander": "jo müller"}, ["INC-1"]),
            ({"commander": "Jo"}, []),
            ({"on_hold": True}, ["INC-3"]),
            ({"on_hold": False}, ["INC-1", "INC-2"]),
        ]
        assert [wanted for _, wanted in asked] == [
            ids(board.incidents(order="id", **one)) for one, _ in asked
        ]

    def test_say_who_holds_which_role_now(self, book, board):
        book.detect("INC-1")
        commander = {"role": Role.INCIDENT_COMMANDER}
        book.take("INC-1", incident.assign_role, -1.9, person="ana", **commander)
        book.take("INC-1", incident.assign_role, -1.8, role=Role.SCRIBE, person="ben")
        book.take("INC-1", incident.assign_role, -1.7, person="cem", **commander)
        [view] = board.incidents(person="cem")
        assert ["ben", "cem"] == [held.person for held in view.roles]
        assert ("cem", hours(-1.7)) == (view.commander, view.roles[1].since)
        book.take("INC-1", incident.void, version=5, why="a slip")
        [view] = board.incidents()
        assert ["ben"] == [held.person for held in view.roles]
        book.take("INC-1", incident.release_role, role=Role.SCRIBE, person="BEN")
        assert () == board.incident("INC-1").roles
        assert () == board.incidents(person="ben")

    def test_say_what_was_told_last_and_what_was_tried(self, book, board):
        book.detect("INC-1")
        book.take("INC-1", incident.post_update, -1.5, text="we look")
        book.take("INC-1", incident.post_update, -1, text="Wir suchen\nweiter ❤")
        book.take("INC-1", incident.attempt_mitigation, -0.9, kind=MitigationKind.RESTART)
        book.take(
            "INC-1",
            incident.attempt_mitigation,
            -0.8,
            kind=MitigationKind.ROLL_BACK,
            change="CHG-1",
        )
        book.take("INC-1", incident.conclude_attempt, -0.5, number=2, result="worked")
        [view] = board.incidents()
        assert (2, "Wir suchen\nweiter ❤") == (view.updates, view.last_update.text)
        assert [(1, None), (2, "worked")] == [(one.number, one.result) for one in view.attempts]
        assert "CHG-1" == view.attempts[1].change
        book.take("INC-1", incident.void, version=3, why="of another one")
        [view] = board.incidents()
        assert (1, "we look") == (view.updates, view.last_update.text)

    def test_that_are_merged_are_found_there(self, book, board):
        book.detect("INC-1")
        book.detect("INC-2")
        book.ledger.merge("INC-2", into="INC-1", by="ana", at=NOW)
        [one] = board.incidents()
        assert ("INC-1", ("INC-2",)) == (one.id, one.merged)
        [other] = board.incidents(status="merged")
        assert "INC-1" == other.merged_into
        book.ledger.unmerge("INC-2", by="ana", at=NOW, why="two things")
        assert [(), ()] == [view.merged for view in board.incidents()]
        assert {None} == {view.merged_into for view in board.incidents()}

    def test_that_were_voided_are_in_no_list(self, book, board):
        book.detect("INC-1")
        book.take("INC-1", incident.void, version=1, why="a slip")
        assert () == board.incidents(status="all")
        assert IncidentStatus.NOTHING is board.incident("INC-1").status

    def test_say_what_is_corrected(self, book, board):
        book.detect("INC-1", services=["pay"])
        correct = {"version": 1, "why": "misread"}
        book.take("INC-1", incident.correct, field="services", was=["pay"], now=["web"], **correct)
        assert () == board.incidents(service="pay")
        assert ["INC-1"] == ids(board.incidents(service="web"))
        assert ["INC-1"] == ids(board.incidents(service="pay", known_at=2))

    def test_from_elsewhere_and_drills_say_so(self, book, board):
        events = (
            IncidentDetected(at=None, by="x", title="old", imported=True),
            IncidentResolved(at=hours(-5), by="x", imported=True),
        )
        history = History(stream="incident:OLD-1", events=tuple((one, None) for one in events))
        book.ledger.bring_in([history])
        book.detect("INC-1", mode=Mode.DRILL)
        old, drill = board.incidents(status="all", order="newest")[::-1]
        assert (True, None, hours(-5)) == (old.imported, old.detected_at, old.resolved_at)
        assert None is old.age(NOW)
        assert Mode.DRILL is drill.mode
        assert timedelta(hours=2) == drill.age(NOW)
        assert [drill.id, old.id] == ids(board.incidents(status="all", order="oldest"))

    def test_say_of_what_was_resolved_whether_it_was_reviewed(self, book, board):
        book.detect("INC-1")
        assert not board.incident("INC-1").reviewed
        book.take("INC-1", incident.resolve, -1)
        told = {"what_happened": "a table was locked", "causes": ["no limit", "no test"]}
        book.take("INC-1", incident.record_review, -0.5, cause_tags=["config"], **told)
        view = board.incidents(status="all")[0]
        assert (True, hours(-0.5)) == (view.reviewed, view.reviewed_at)
        assert (("no limit", "no test"), ("config",)) == (view.causes, view.cause_tags)
        book.take("INC-1", incident.reopen, -0.4, why="again")
        book.take("INC-1", incident.resolve, -0.3)
        view = board.incidents(status="all")[0]
        assert (False, 1) == (view.reviewed, view.reopenings)

    def test_that_are_said_to_happen_a_little_later_are_there(self, book, board):
        book.detect("INC-1", 1 / 60, declared_at=hours(2 / 60))
        [view] = board.incidents()
        assert (hours(1 / 60), hours(2 / 60)) == (view.detected_at, view.declared_at)
        book.take("INC-1", incident.post_update, 3 / 60, text="soon")
        assert 1 == board.incidents()[0].updates
        assert told(board) == replayed(book.ledger.replay())

    def test_of_names_in_any_script(self, book, board):
        name = 'Оплата "не" идёт\nשלום \u202e%_\\ 支払い'
        book.detect("ИНЦ-1", title=name, services=["支払い"], labels={"команда": "ядро"})
        [view] = board.incidents(service="支払い", labels={"команда": "ядро"})
        assert ("ИНЦ-1", name) == (view.id, view.title)


class TestOne:
    def test_is_what_stands_with_all_its_words(self, book, board):
        book.detect("INC-1", services=["pay"])
        book.take("INC-1", incident.refer, kind="ticket", address="T-1")
        book.take("INC-1", incident.link_problem, problem="PRB-1")
        book.take("INC-1", incident.mark, name="vendor called")
        book.take("INC-1", incident.link_change, change="CHG-1", verdict=Verdict.CAUSED)
        view = board.incident("INC-1")
        assert [view] == [*board.incidents()]
        assert (("PRB-1",), ("CHG-1",)) == (view.problems, view.suspected)
        assert [("ticket", "T-1")] == [(one.kind, one.address) for one in view.references]
        assert {"vendor called": (NOW,)} == view.milestones

    def test_is_what_stood_when_less_was_known(self, book, board):
        book.detect("INC-1")
        book.plan("CHG-1")
        book.now = hours(1)
        book.take("INC-1", incident.resolve)
        book.take("CHG-1", change.submit)
        for known_at in (2, hours(0.5)):
            assert IncidentStatus.DETECTED is board.incident("INC-1", known_at=known_at).status
        assert ChangeStatus.DRAFT is board.change("CHG-1", known_at=hours(0.5)).status
        assert ChangeStatus.SUBMITTED is board.change("CHG-1", known_at=hours(1)).status

    def test_is_unknown_where_it_is_not_or_was_not_known(self, book, board):
        book.detect("INC-100")
        book.plan("CHG-7")
        with pytest.raises(UnknownIdError, match="near: INC-100"):
            board.incident("INC-101")
        with pytest.raises(UnknownIdError):
            board.incident("CHG-7")
        with pytest.raises(UnknownIdError):
            board.change("INC-100")
        for known_at in (0, 1, hours(-1)):
            with pytest.raises(UnknownIdError):
                board.incident("INC-100", known_at=known_at)


# --- changes --------------------------------------------------------------------------------------


class TestChanges:
    def test_are_those_that_are_not_over_the_oldest_first(self, book, board):
        book.plan("CHG-1", -3)
        book.plan("CHG-2", -5)
        book.plan("CHG-3", -4)
        book.take("CHG-3", change.cancel, why="no")
        book.deploy("CHG-4", -1)
        book.take("CHG-4", change.close, result="successful")
        assert ["CHG-2", "CHG-1"] == ids(board.changes())
        everything = board.changes(status="all", order="id")
        assert ["CHG-1", "CHG-2", "CHG-3", "CHG-4"] == ids(everything)
        assert [False, False, True, True] == [view.is_ended for view in everything]
        assert ["CHG-3"] == ids(board.changes(status=ChangeStatus.CANCELLED))
        assert ["CHG-4", "CHG-3"] == ids(
            board.changes(status=["closed", "cancelled"], order="recent")
        )

    def test_that_are_deploying_say_how_far(self, book, board):
        book.submit("CHG-1")
        book.take("CHG-1", change.approve, -7, by="mia")
        book.take("CHG-1", change.start, -2, by="dev", rollout_plan=(5.0, 50.0, 100.0))
        book.take("CHG-1", change.advance_rollout, -1.5, by="dev", percent=5.0)
        book.take("CHG-1", change.advance_rollout, -1, by="dev", percent=50.0)
        book.take("CHG-1", change.pause_rollout, -0.5, by="dev")
        [view] = board.changes(status="deploying")
        assert (50.0, hours(-1), True) == (view.percent, view.percent_since, view.paused)
        book.take("CHG-1", change.advance_rollout, -0.2, by="dev", percent=100.0)
        [view] = board.changes(status="deploying")
        assert (100.0, False, 3) == (view.percent, view.paused, len(view.rollout))
        book.take("CHG-1", change.complete, -0.1, by="dev", version="2.0")
        assert () == board.changes(status="deploying")
        assert "2.0" == board.change("CHG-1").deployed_version

    def test_of_people_services_and_labels(self, book, board):
        book.plan("CHG-1", by="Dev  One", labels={"team": "core"})
        book.plan("CHG-2", requested_by="ÉVA", services=["web"])
        book.take("CHG-2", change.hold, reason=HoldReason.OTHER)
        assert ["CHG-1"] == ids(board.changes(person="dev one"))
        assert ["CHG-2"] == ids(board.changes(person="éva"))
        assert ["CHG-2"] == ids(board.changes(service="web", on_hold=True))
        assert ["CHG-1"] == ids(board.changes(labels={"team": "core"}, on_hold=False))

    def test_say_whose_votes_stand(self, book, board):
        book.submit("CHG-1")
        book.take("CHG-1", change.reject, -7, by="mia", why="too soon")
        view = board.change("CHG-1")
        assert ((), "too soon") == (view.votes, view.rejected_why)
        book.take("CHG-1", change.submit, -6, by="dev")
        book.take("CHG-1", change.approve, -5, by="mia", why="fine")
        [vote] = board.change("CHG-1").votes
        assert ("mia", "fine", hours(-5)) == (vote.by, vote.why, vote.at)
        book.take("CHG-1", change.revise, -4, by="dev", why="more", title="other", services=["a"])
        view = board.change("CHG-1")
        assert ("other", ()) == (view.title, view.votes)
        assert told(board) == replayed(book.ledger.replay())

    def test_that_are_reworded_keep_what_is_not_given(self, book, board):
        book.plan("CHG-1", description="long")
        book.take("CHG-1", change.reword, title="other")
        view = board.changes()[0]
        assert ("other", "long", "switch it off") == (
            view.title, view.description, view.rollback_plan,
        )  # fmt: skip
        book.take("CHG-1", change.void, version=2, why="a slip")
        assert "title of CHG-1" == board.changes()[0].title

    def test_that_were_voided_are_in_no_list(self, book, board):
        book.plan("CHG-1")
        book.take("CHG-1", change.void, version=1, why="a slip")
        assert () == board.changes(status="all")
        assert () == board.changes()
        assert ChangeStatus.NOTHING is board.change("CHG-1").status

    def test_from_elsewhere_say_so(self, book, board):
        events = (
            ChangePlanned(at=None, by="x", type=ChangeType.NORMAL, imported=True),
            ChangeCompleted(at=hours(-3), by="x", version="v2", imported=True),
        )
        history = History(stream="change:OLD", events=tuple((one, None) for one in events))
        book.ledger.bring_in([history])
        [view] = board.changes()
        assert (True, None, Outcome.COMPLETED) == (view.imported, view.planned_at, view.outcome)


# --- action items ---------------------------------------------------------------------------------


class TestActions:
    @pytest.fixture
    def items(self, book):
        for id, services in (("INC-1", ["pay"]), ("INC-2", ["web"])):
            book.detect(id, services=services)
        add = incident.add_action
        book.take("INC-1", add, -1.9, text="a test", owner="Ben", due=date(2026, 3, 9))
        book.take("INC-1", add, -1.8, text="a limit", owner="cem", due=date(2026, 3, 1))
        book.take("INC-1", add, -1.7, text="some day")
        book.take("INC-2", add, -1.6, text="a runbook", owner="ben", due=date(2026, 3, 2))

    def asked(self, board, **asked):
        return [(one.incident, one.number) for one in board.actions(**asked)]

    @pytest.mark.usefixtures("items")
    def test_are_the_open_ones_the_most_urgent_first(self, board):
        wanted = [("INC-1", 2), ("INC-2", 1), ("INC-1", 1), ("INC-1", 3)]
        assert wanted == self.asked(board)
        assert [("INC-1", 2)] == self.asked(board, status="overdue")
        later = {"status": "overdue", "today": date(2026, 3, 3)}
        assert [("INC-1", 2), ("INC-2", 1)] == self.asked(board, **later)
        assert [("INC-2", 1), ("INC-1", 1)] == self.asked(board, owner="BEN")
        assert [("INC-2", 1)] == self.asked(board, service="web")
        assert [("INC-1", 1), ("INC-1", 2), ("INC-1", 3)] == self.asked(
            board, incident="INC-1", order="oldest"
        )
        assert [("INC-2", 1)] == self.asked(board, order="newest", limit=1)
        assert 4 == board.actions(limit=1).total
        assert {("pay",), ("web",)} == {one.services for one in board.actions()}

    @pytest.mark.usefixtures("items")
    def test_are_revised_done_and_dropped(self, book, board):
        book.take("INC-1", incident.revise_action, number=1, due=date(2026, 2, 1))
        book.take("INC-1", incident.complete_action, number=2, change="CHG-9")
        book.take("INC-1", incident.drop_action, number=3, why="no use")
        first, second, third = board.incident("INC-1").actions
        assert (date(2026, 2, 1), "a test", "Ben") == (first.due, first.text, first.owner)
        assert ("done", "CHG-9", NOW) == (second.status, second.change, second.completed_at)
        assert ("dropped", NOW) == (third.status, third.dropped_at)
        assert [("INC-1", 2)] == self.asked(board, status="done")
        assert [("INC-1", 3)] == self.asked(board, status="dropped")
        assert 4 == board.actions(status="all").total
        history = book.ledger.history("incident:INC-1")
        done = next(r.version for r in history if type(r.event).__name__ == "ActionCompleted")
        book.take("INC-1", incident.void, version=done, why="it is not")
        assert [("INC-1", 1), ("INC-2", 1), ("INC-1", 2)][:1] == self.asked(board)[:1]
        assert "open" == board.incident("INC-1").actions[1].status
        book.take("INC-1", incident.void, version=2, why="of another one")
        assert [2, 3] == [one.number for one in board.incident("INC-1").actions]
        assert [2, 3] == [one.number for one in board.actions(status="all", incident="INC-1")]

    @pytest.mark.usefixtures("items")
    def test_are_those_of_then(self, book, board):
        book.take("INC-1", incident.complete_action, number=2)
        position = board.actions().position
        assert 4 == board.actions(known_at=position - 1).total
        assert [("INC-2", 1)] == self.asked(board, service="web", known_at=position - 1)
        assert 1 == board.actions(known_at=4).total
        assert board.actions(known_at=0) == ()


# --- approvals ------------------------------------------------------------------------------------


class TestApprovals:
    def test_are_what_waits_for_a_vote_the_longest_first(self, book, board):
        book.submit("CHG-1", -5)
        book.submit("CHG-2", -7)
        book.plan("CHG-3")
        book.deploy("CHG-4", -1)
        page = board.approvals()
        assert ["CHG-2", "CHG-1"] == [one.change.id for one in page]
        assert {("approval", None)} == {(one.waits_for, one.possible) for one in page}
        assert timedelta(hours=7) == page[0].age(NOW)
        assert (1, 2) == (len(one := board.approvals(limit=1)), one.total)
        assert () == board.approvals(service="web")

    def test_say_whether_somebody_may_vote(self, book, board):
        book.submit("CHG-1", requested_by="Lena")
        [mine] = board.approvals(by="DEV")
        assert (False, "separation of duties") == (mine.possible, mine.guard)
        assert "somebody else must decide" in mine.why
        assert [False] == [one.possible for one in board.approvals(by="lena")]
        assert [True] == [one.possible for one in board.approvals(by="mia")]

    def test_are_told_by_the_policy(self, book, board):
        book.submit("CHG-1")
        [authority, *_] = Authority
        strict = Policy(name="strict", version="1", authorities=frozenset({authority}))
        [waits] = board.approvals(by="mia", policy=strict)
        assert (waits.possible, waits.capacities) == (True, (authority,))
        nobody = Policy(name="closed", version="1", members={each: ["zoe"] for each in Authority})
        [waits] = board.approvals(by="mia", policy=nobody)
        assert (waits.possible, waits.capacities) == (False, ())
        assert "'mia' may not vote as peer" in waits.why

    def test_are_rulings_where_it_went_in_without(self, book, board):
        book.detect("INC-1")
        book.plan("CHG-1", type=ChangeType.EMERGENCY, incident="INC-1")
        book.take("CHG-1", change.submit, -3, by="dev")
        book.take("CHG-1", change.start, -2, by="dev")
        [waits] = board.approvals(by="mia")
        assert ("ruling", hours(-2), True) == (waits.waits_for, waits.since, waits.possible)
        book.take("CHG-1", change.complete, -1, by="dev")
        [waits] = board.approvals(by="mia")
        assert ("ruling", hours(-1), True) == (waits.waits_for, waits.since, waits.possible)
        assert [False] == [one.possible for one in board.approvals(by="dev")]
        book.take("CHG-1", change.approve_retroactively, by="mia")
        assert () == board.approvals()
        assert 1 == board.approvals(known_at=board.approvals().position - 1).total

    def test_are_told_of_then_by_what_was_known_then(self, book, board):
        book.submit("CHG-1")
        before = board.approvals().position
        book.take("CHG-1", change.approve, -1, by="mia")
        [waits] = board.approvals(by="mia", known_at=before)
        assert waits.possible

    def test_of_what_can_not_be_read_nobody_may_give(self, book, board, path):
        book.submit("CHG-1")
        book.submit("CHG-2")
        put(path, "change:CHG-1", 3, "ChangeDreamt", '{"at":"2026-03-02T12:00:00Z","by":"x"}')
        first, second = board.approvals(by="mia")
        assert (False, "unread", 1) == (first.possible, first.guard, first.change.unread)
        assert "update imcm" in first.why
        assert second.possible


# --- calendar -------------------------------------------------------------------------------------


class TestCalendar:
    def test_is_what_is_planned_in_a_period(self, book, board):
        for id, start, end in (
            ("CHG-1", 1, 2), ("CHG-2", 2, 3), ("CHG-3", 3, 4), ("CHG-4", 0, 9), ("CHG-5", 4, 5),
        ):  # fmt: skip
            book.plan(id, window=Window(start=hours(start), end=hours(end)))
        book.plan("CHG-6")
        assert ["CHG-4", "CHG-2", "CHG-3"] == ids(board.calendar(hours(2), hours(4)))
        assert ["CHG-4"] == ids(board.calendar(hours(8), hours(10)))
        assert () == board.calendar(hours(9), hours(10))
        assert () == board.calendar(hours(2), hours(4), service="web")
        book.take("CHG-2", change.cancel, why="no")
        assert ["CHG-4", "CHG-3"] == ids(board.calendar(hours(2), hours(4)))

    def test_is_told_in_any_zone(self, book, board):
        from zoneinfo import ZoneInfo

        zone = ZoneInfo("America/New_York")
        window = Window(start=hours(1).astimezone(zone), end=hours(2).astimezone(zone))
        book.plan("CHG-1", window=window)
        assert ["CHG-1"] == ids(board.calendar(hours(1).astimezone(zone), hours(1.5)))
        assert () == board.calendar(hours(2), hours(3).astimezone(zone))

    def test_shows_where_something_was_moved_to(self, book, board):
        book.submit("CHG-1", window=Window(start=hours(1), end=hours(9)))
        book.take("CHG-1", change.approve, -7, by="mia")
        window = Window(start=hours(4), end=hours(5))
        book.take("CHG-1", change.schedule, -1, by="dev", window=window)
        assert () == board.calendar(hours(1), hours(4))
        assert [window] == [view.window for view in board.calendar(hours(4), hours(5))]
        known = board.changes().position - 1
        assert ["CHG-1"] == ids(board.calendar(hours(1), hours(4), known_at=known))

    def test_asks_for_a_period(self, board):
        with pytest.raises(InvalidValue, match="after the start"):
            board.calendar(hours(1), hours(1))
        with pytest.raises(NaiveTimeError):
            board.calendar(hours(1).replace(tzinfo=None), hours(2))


# --- what is live ---------------------------------------------------------------------------------


class TestServices:
    def test_are_those_that_anything_names(self, book, board):
        assert () == board.services()
        book.detect("INC-1", services=("pay", "cart"))
        book.deploy("CHG-1", -5, "1.0", services=["pay", "shop"])
        assert ("cart", "pay", "shop") == board.services()


class TestLive:
    def one(self, board, **asked):
        [live] = board.live(**asked)
        return live.change, live.version, live.since, live.by_rollback_of, live.replaced

    def test_is_what_was_deployed_last(self, book, board):
        assert () == board.live()
        book.deploy("CHG-1", -5, "1.0")
        assert ("CHG-1", "1.0", hours(-5), None, None) == self.one(board)
        book.deploy("CHG-2", -4, "1.1", services=["pay", "web"])
        pay, web = board.live()
        assert ("pay", "CHG-2", "1.0") == (pay.service, pay.change, pay.replaced_version)
        assert ("web", "CHG-2", None) == (web.service, web.change, web.replaced)
        assert ["web"] == [live.service for live in board.live(service="web")]
        assert ("CHG-1", "1.0", hours(-5), None, None) == self.one(board, at=hours(-4.5))
        assert () == board.live(at=hours(-6))

    def test_is_brought_back_by_a_roll_back(self, book, board):
        book.deploy("CHG-1", -6, "1")
        book.deploy("CHG-2", -5, "2")
        book.deploy("CHG-3", -4, "3")
        book.take("CHG-3", change.roll_back, -3, by="dev")
        assert ("CHG-2", "2", hours(-3), "CHG-3", "CHG-3") == self.one(board)
        book.take("CHG-2", change.roll_back, -2, by="dev")
        assert ("CHG-1", "1", hours(-2), "CHG-2", "CHG-2") == self.one(board)
        assert ("CHG-2", "2", hours(-3), "CHG-3", "CHG-3") == self.one(board, at=hours(-2.5))
        book.deploy("CHG-4", -1, "2")
        assert ("CHG-4", "2", hours(-1), None, "CHG-1") == self.one(board)
        for id in ("CHG-4", "CHG-1"):
            book.take(id, change.roll_back, -0.5, by="dev")
        assert () == board.live()

    def test_is_not_moved_by_the_roll_back_of_what_was_replaced(self, book, board):
        book.deploy("CHG-1", -6, "1")
        book.deploy("CHG-2", -5, "2")
        book.deploy("CHG-3", -4, "3")
        book.take("CHG-2", change.roll_back, -3, by="dev")
        assert ("CHG-3", "3", hours(-4), None, "CHG-2") == self.one(board)
        book.take("CHG-3", change.roll_back, -2, by="dev")
        assert ("CHG-1", "1", hours(-2), "CHG-3", "CHG-3") == self.one(board)

    def test_is_production_unless_asked_otherwise(self, book, board):
        book.deploy("CHG-1", -5, "1", environment="Prod")
        book.deploy("CHG-2", -4, "2", environment="staging")
        book.deploy("CHG-3", -3, "3", environment="Тест")
        assert "CHG-1" == self.one(board)[0]
        assert "CHG-2" == self.one(board, environment="STAGING")[0]
        assert "CHG-3" == self.one(board, environment="ТЕСТ")[0]
        assert () == board.live(environment="nowhere")
        book.deploy("CHG-4", -2, "4")
        assert ("CHG-4", "4", hours(-2), None, "CHG-1") == self.one(board)

    def test_says_how_far_a_rollout_is(self, book, board):
        book.deploy("CHG-1", -5, "1")
        book.submit("CHG-2")
        book.take("CHG-2", change.approve, -7, by="mia")
        book.take("CHG-2", change.start, -2, by="dev")
        assert "CHG-1" == self.one(board)[0]
        book.take("CHG-2", change.advance_rollout, -1, by="dev", percent=5.0)
        [live] = board.live()
        assert ("CHG-2", 5.0, ChangeStatus.IMPLEMENTING) == (live.change, live.percent, live.status)

    def test_is_told_by_the_midpoint_of_what_is_uncertain(self, book, board):
        book.deploy("CHG-1", -6, "1")
        book.deploy("CHG-2", Between(earliest=hours(-5), latest=hours(-3)), "2")
        assert "CHG-1" == self.one(board, at=hours(-4.1))[0]
        assert "CHG-2" == self.one(board, at=hours(-4))[0]

    def test_is_told_of_what_was_known(self, book, board):
        book.deploy("CHG-1", -6, "1")
        known = board.live().position
        book.deploy("CHG-2", -5, "2")
        assert "CHG-1" == self.one(board, known_at=known)[0]
        assert "CHG-2" == self.one(board)[0]


# --- search ---------------------------------------------------------------------------------------


class TestSearch:
    def found(self, board, text, **asked):
        return [match.id for match in board.search(text, **asked)]

    def test_finds_all_of_several_words_in_any_case(self, book, board):
        book.detect("INC-1", title="Payments FAIL in Straße 5", labels={"team": "Core"})
        book.detect("INC-2", title="Search fails")
        book.plan("CHG-1", description="no more payments")
        assert ["INC-1"] == self.found(board, "fail  PAYMENTS")
        assert ["INC-2", "INC-1"] == self.found(board, "fail")
        assert {"INC-1", "CHG-1"} == {*self.found(board, "payment")}
        assert ["INC-1"] == self.found(board, "core STRASSE")
        assert [] == self.found(board, "payments search")
        with pytest.raises(InvalidValue, match="at least one word"):
            board.search(" \n ")

    def test_finds_the_id_first_then_what_is_open(self, book, board):
        book.detect("INC-1", title="first")
        book.detect("INC-11", title="like INC-1")
        book.detect("INC-12")
        book.take("INC-1", incident.resolve)
        book.take("INC-11", incident.resolve)
        assert ["INC-1", "INC-12", "INC-11"] == self.found(board, " inc-1 ")
        assert ["INC-12", "INC-11", "INC-1"][:1] == self.found(board, "inc", limit=1)
        page = board.search("inc", limit=1, offset=1)
        assert (1, 3) == (len(page), page.total)
        book.detect("ПРИВ-1")
        book.detect("ПРИВ-10")
        assert ["ПРИВ-1", "ПРИВ-10"] == self.found(board, "прив-1")

    def test_takes_signs_as_they_are(self, book, board):
        book.detect("INC-1", title="100% of 'a_b' \"c\" \\d")
        book.detect("INC-2", title="100 of axb")
        for text in ("100%", "'a_b'", '"c"', "\\d", "a_b"):
            assert ["INC-1"] == self.found(board, text)
        assert [] == self.found(board, "%of%")

    def test_finds_letters_however_they_are_composed(self, book, board):
        book.detect("INC-1", title="Cafe\u0301 zu")
        book.detect("INC-2", title="Caf\u00e9 auf")
        assert {"INC-1", "INC-2"} == {*self.found(board, "caf\u00e9")}
        assert {"INC-1", "INC-2"} == {*self.found(board, "CAFE\u0301")}

    def test_finds_people_versions_references_and_items(self, book, board):
        book.detect("INC-1")
        book.take("INC-1", incident.assign_role, role=Role.SCRIBE, person="Zoë")
        book.take("INC-1", incident.refer, kind="ticket", address="T-4711", title="the ticket")
        book.take("INC-1", incident.add_action, text="write a runbook", owner="Kim")
        book.take("INC-1", incident.post_update, text="a vendor looks")
        book.deploy("CHG-1", -1, "4.2-rc")
        for text in ("zoë", "t-4711", "runbook", "kim", "vendor"):
            assert ["INC-1"] == self.found(board, text)
        assert ["CHG-1"] == self.found(board, "4.2-RC")
        assert ["CHG-1"] == self.found(board, "mia")

    def test_finds_what_never_was_behind_what_is(self, book, board):
        book.plan("CHG-1")
        book.plan("CHG-2")
        book.take("CHG-2", change.void, version=1, why="a slip")
        assert ["CHG-1", "CHG-2"] == self.found(board, "chg")

    def test_finds_what_was_known(self, book, board):
        book.detect("INC-1", title="old words")
        book.take("INC-1", incident.describe, title="new words")
        assert [] == self.found(board, "old")
        assert ["INC-1"] == self.found(board, "old", known_at=2)
        assert [] == self.found(board, "words", known_at=1)

    def test_finds_no_words_that_were_taken_out(self, book, board):
        book.detect("INC-1", title="Frau Schmidt", labels={"team": "core"})
        assert ["INC-1"] == self.found(board, "schmidt")
        book.ledger.redact("incident:INC-1", by="dpo", at=NOW, reason="asked for")
        assert [] == self.found(board, "schmidt")
        assert [] == self.found(board, "schmidt", known_at=2)
        assert ["INC-1"] == self.found(board, "core")
        assert "" == board.incident("INC-1").title


# --- events that can't be read --------------------------------------------------------------------


class TestEventsThatCanNotBeRead:
    EVENT = '{"at":"2026-03-02T12:00:00Z","by":"x"}'

    def test_are_counted_and_the_rest_stands(self, book, board, path, model):
        book.detect("INC-1")
        assert 0 == board.incidents()[0].unread
        put(path, "incident:INC-1", 2, "IncidentDreamt", self.EVENT)
        assert 1 == board.incidents()[0].unread
        put(path, "incident:INC-1", 3, "IncidentDreamt", self.EVENT)
        put(path, "incident:INC-1", 4, "UpdatePosted", self.EVENT[:-1] + ',"audience":"internal"}')
        [view] = board.incidents()
        assert (2, 4, 1) == (view.unread, view.version, view.updates)
        with imcm.views(book.ledger, model) as anew:
            assert told(board) == told(anew) == replayed(book.ledger.replay())

    def test_may_be_all_there_is(self, book, board, path):
        put(path, "incident:INC-1", 1, "IncidentDreamt", self.EVENT)
        put(path, "change:CHG-1", 1, "ChangeDreamt", self.EVENT)
        book.detect("INC-2")
        assert ["INC-2"] == ids(board.incidents(status="all"))
        assert () == board.changes(status="all")
        assert {"INC-1", "INC-2", "CHG-1"} == {view.id for view in views_of(book.ledger.replay())}
        assert 1 == board.incident("INC-1").unread


# --- what is held between questions ---------------------------------------------------------------


class TestTheNextEvent:
    def reads(self, monkeypatch):
        asked = []
        events_of = LedgerReader.events_of

        def counted(self, streams, *, upto):
            asked.extend(streams)
            return events_of(self, streams, upto=upto)

        monkeypatch.setattr(LedgerReader, "events_of", counted)
        return asked

    @pytest.mark.parametrize("before", ["opened anew", "corrected"])
    def test_of_a_stream_reads_it_once_and_not_each_time(self, book, model, monkeypatch, before):
        with imcm.views(book.ledger, model) as first:
            book.detect("INC-1", services=["pay"])
            first.catch_up()
        asked = self.reads(monkeypatch)
        with imcm.views(book.ledger, model) as board:
            if before == "corrected":
                board.catch_up()
                fix = {"field": "services", "was": ["pay"], "now": ["web"], "why": "misread"}
                book.take("INC-1", incident.correct, version=1, **fix)
            for number in range(20):
                book.take("INC-1", incident.post_update, text=f"update {number}")
                assert number + 1 == board.incidents()[0].updates
            assert told(board) == replayed(book.ledger.replay())
        assert 1 == len(asked)

    def test_of_many_streams_goes_on_from_what_is_held_of_a_few(self, book, board, monkeypatch):
        monkeypatch.setattr(boards_model, "HELD", 3)
        for number in range(9):
            book.detect(f"INC-{number}")
            board.catch_up()
        for number in range(9):
            book.take(f"INC-{number}", incident.post_update, text="so far")
            assert told(board) == replayed(book.ledger.replay())


# --- the file -------------------------------------------------------------------------------------


def leftovers(model, *words):
    """Return which words stand, in any case, in the bytes of a model's files."""
    files = [model, *(model.with_name(model.name + end) for end in ("-wal", "-journal"))]
    held = b"".join(one.read_bytes() for one in files if one.exists()).lower()
    return [word for word in words if word.lower().encode() in held]


class TestTheFile:
    def test_is_its_owners_alone(self, book, model):
        book.detect("INC-1")
        with imcm.views(book.ledger, model) as board:
            board.incidents()
            for one in model.parent.glob("ledger.views*"):
                if not one.name.endswith("-shm"):
                    assert 0o600 == stat.S_IMODE(one.stat().st_mode)

    @pytest.mark.parametrize("seed", range(3))
    def test_holds_no_byte_of_words_that_were_taken_out(self, book, board, model, seed):
        chance = random.Random(seed)
        for number in range(60):
            title = f"Frau Schmidt {number} " + "x" * chance.randrange(900)
            book.detect(f"INC-{number}", title=title)
            if chance.random() < 0.4:
                board.catch_up()
            text = "Herrn Meier" + " y" * chance.randrange(2000)
            book.take(f"INC-{chance.randrange(number + 1)}", incident.post_update, text=text)
        book.take("INC-5", incident.add_action, text="call Frau Schmidt", owner="Kim")
        board.incidents(known_at=20)
        assert ["Schmidt", "Meier"] == leftovers(model, "Schmidt", "Meier")
        for number in range(60):
            name = f"incident:INC-{number}"
            book.ledger.redact(name, by="dpo", at=NOW, reason="asked for")
            if chance.random() < 0.2:
                board.search("schmidt")
        assert () == board.search("schmidt")
        assert [] == leftovers(model, "Schmidt", "Meier")
        assert told(board) == replayed(book.ledger.replay())
        assert {""} == {view.title for view in board.incidents(known_at=30)}
        assert [] == leftovers(model, "Schmidt", "Meier")

    def test_that_somebody_reads_is_wiped_by_the_next_question(self, book, board, model):
        book.detect("INC-1", title="Frau Schmidt")
        board.incidents()
        with closing(sqlite3.connect(model, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            assert 1 == len(reader.execute("SELECT title FROM incident").fetchall())
            book.ledger.redact("incident:INC-1", by="dpo", at=NOW, reason="asked for")
            assert "" == board.incidents()[0].title
            assert ["Schmidt"] == leftovers(model, "Schmidt")
            reader.execute("COMMIT")
            board.incidents()
            assert [] == leftovers(model, "Schmidt")

    def test_of_another_form_is_made_again(self, book, model, monkeypatch):
        book.detect("INC-1")
        with imcm.views(book.ledger, model) as board:
            board.incidents()
        with closing(sqlite3.connect(model)) as connection, connection:
            connection.execute("UPDATE imcm_follower SET model = 'views 1'")
        with imcm.views(book.ledger, model) as board:
            assert ["INC-1"] == ids(board.incidents())
            assert 1 == board.rebuilt

    def test_is_derived_and_made_again_where_the_log_is_another(self, book, board, path):
        book.detect("INC-1", title="one")
        book.detect("INC-2", title="two")
        book.detect("INC-3", title="three")
        assert 1 == board.incidents(known_at=2).total
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DELETE FROM stored_events WHERE rowid = 4")
        assert ["INC-1", "INC-2"] == ids(board.incidents(order="id"))
        assert 2 == board.rebuilt


QUESTIONS = {
    "incidents": lambda board: board.incidents(order="id"),
    "all incidents": lambda board: board.incidents(status="all", order="severity"),
    "of a service": lambda board: board.incidents(service="pay", person="ben"),
    "changes": lambda board: board.changes(status="all", order="id"),
    "actions": lambda board: board.actions(status="all", order="incident"),
    "approvals": lambda board: board.approvals(by="mia"),
    "calendar": lambda board: board.calendar(NOW, hours(24)),
    "live": lambda board: board.live(),
    "search": lambda board: board.search("title"),
    "then": lambda board: board.incidents(known_at=9, order="id"),
}


class TestDamage:
    @pytest.fixture
    def sound(self, book, model):
        for number in range(12):
            book.detect(f"INC-{number}", services=["pay"], severity=Severity.P2)
            book.take(f"INC-{number}", incident.assign_role, role=Role.SCRIBE, person="ben")
            book.take(f"INC-{number}", incident.add_action, text="write a test", owner="kim")
        for number in range(4):
            book.deploy(f"CHG-{number}", -4 + number, f"{number}.0")
        book.submit("CHG-9", window=Window(start=hours(1), end=hours(2)))
        with imcm.views(book.ledger, model, clock=book.clock) as board:
            answers = {name: ask(board) for name, ask in QUESTIONS.items()}
        return model.read_bytes(), answers

    def test_of_any_bits_gives_an_error_that_says_what_to_do_or_true_rows(self, book, model, sound):
        """No row is another one. One that is not found any more may be missing from a board."""
        data, truth = sound
        chance = random.Random(11)
        refused = right = 0
        for _ in range(250):
            bad = bytearray(data)
            for _ in range(chance.choice((1, 1, 4, 40))):
                bad[chance.randrange(100, len(bad))] ^= 1 << chance.randrange(8)
            for end in ("-wal", "-shm"):
                model.with_name(model.name + end).unlink(missing_ok=True)
            model.write_bytes(bad)
            for name, ask in QUESTIONS.items():
                try:
                    with imcm.views(book.ledger, model, clock=book.clock) as board:
                        answer = ask(board)
                except StoreError:
                    refused += 1
                else:
                    right += 1
                    if name not in {"live", "approvals"}:
                        assert {*map(repr, answer)} <= {*map(repr, truth[name])}
        assert refused > 100
        assert right > 100

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE incident SET title = 'other' WHERE id = 'INC-1'",
            "UPDATE incident SET title = x'ff' WHERE id = 'INC-1'",
            "UPDATE incident SET services = '[\"web\"]' WHERE id = 'INC-1'",
            "UPDATE incident SET severity = 'P7' WHERE id = 'INC-1'",
            "UPDATE incident SET detected_at = 'soon' WHERE id = 'INC-1'",
            "UPDATE incident SET seal = NULL WHERE id = 'INC-1'",
            "UPDATE action SET text = 'other' WHERE incident = 'INC-1'",
        ],
    )
    def test_of_a_row_is_told(self, book, model, sound, statement):
        with closing(sqlite3.connect(model)) as connection, connection:
            connection.execute(statement)
        with imcm.views(book.ledger, model) as board:
            for ask in (board.incidents, board.actions):
                with pytest.raises(StoreError, match="delete it, and it is made again"):
                    ask()

    def test_that_took_rows_away_is_told_where_others_need_them(self, book, model, sound):
        with closing(sqlite3.connect(model)) as connection, connection:
            connection.execute("DELETE FROM incident WHERE id = 'INC-1'")
        with (
            imcm.views(book.ledger, model) as board,
            pytest.raises(StoreError, match="rows are missing"),
        ):
            board.actions()

    @pytest.mark.parametrize("table", ["incident", "change", "action"])
    def test_that_took_tables_away_is_told(self, book, model, sound, table):
        with closing(sqlite3.connect(model)) as connection, connection:
            connection.execute(f"DROP TABLE {table}")
        with imcm.views(book.ledger, model) as board, pytest.raises(StoreError, match="delete it"):
            [board.incidents(), board.changes()]


# --- several at once ------------------------------------------------------------------------------


ASKING = textwrap.dedent(
    """
    import sys
    import imcm
    with imcm.LedgerReader(sys.argv[1]) as ledger, imcm.views(ledger, sys.argv[2]) as board:
        print("ready", flush=True)
        while True:
            board.incidents(limit=3)
            board.search("title", known_at=5)
    """
)


class TestSeveralAtOnce:
    @pytest.mark.parametrize(
        "kills", [pytest.param(4, id="short"), pytest.param(40, id="long", marks=pytest.mark.slow)]
    )
    def test_processes_are_killed_in_the_middle_and_the_next_is_right(
        self, book, path, model, kills
    ):
        chance = random.Random(3)
        words = [sys.executable, "-c", ASKING, str(path), str(model)]
        home = Path(imcm.__file__).parents[1]

        def start():
            environment = {**os.environ, "PYTHONPATH": str(home)}
            return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)

        running = [start() for _ in range(2)]
        try:
            for number in range(kills):
                for one in range(chance.randrange(1, 12)):
                    id = f"INC-{number}-{one}"
                    book.detect(id, title=f"title {number}")
                    book.take(id, incident.add_action, text="a test")
                book.ledger.redact(f"incident:INC-{number}-0", by="dpo", at=NOW, reason="asked")
                victim = running.pop(0)
                assert "ready\n" == victim.stdout.readline()
                time.sleep(chance.uniform(0, 0.05))
                os.kill(victim.pid, signal.SIGKILL)
                victim.wait()
                victim.stdout.close()
                running.append(start())
        finally:
            for one in running:
                one.kill()
                one.wait()
                one.stdout.close()
        with imcm.views(book.ledger, model) as board:
            assert told(board) == replayed(book.ledger.replay())
            assert board.actions(status="all").total == board.incidents(status="all").total
            assert 0 == board.rebuilt

    def test_threads_take_turns(self, book, board):
        book.detect("INC-0")
        failed = []

        def ask(known_at):
            try:
                for _ in range(25):
                    rows = board.incidents(known_at=known_at, order="id")
                    assert rows.total == len(rows)
                    assert known_at is None or 1 == len(rows)
                    assert board.position > 0
            except BaseException as error:  # told by the thread that asks
                failed.append(error)

        threads = [threading.Thread(target=ask, args=(one,)) for one in (None, 2, None, 2)]
        for thread in threads:
            thread.start()
        for number in range(1, 20):
            book.detect(f"INC-{number}")
        for thread in threads:
            thread.join()
        assert [] == failed
        assert 20 == board.incidents().total


# --- any steps ------------------------------------------------------------------------------------


class TestAnySteps:
    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(data=st.data())
    def test_say_what_a_replay_says_now_and_then(self, data):
        with tempfile.TemporaryDirectory() as folder:
            clock = [hours(24 * 365)]
            model = Path(folder) / "views"
            with (
                Ledger(Path(folder) / "l", clock=lambda: clock[0]) as ledger,
                imcm.views(ledger, model) as stays,
            ):
                for _ in range(data.draw(st.integers(1, 4))):
                    for _ in range(data.draw(st.integers(1, 8))):
                        self.step(ledger, data)
                    clock[0] += timedelta(minutes=1)
                    self.check(ledger, stays, model, data)

    def step(self, ledger, data):
        id, module, drawn = data.draw(
            st.sampled_from(
                [
                    ("INC-1", incident, incident_steps),
                    ("INC-2", incident, incident_steps),
                    ("CHG-1", change, change_steps),
                    ("CHG-2", change, change_steps),
                ]
            )
        )
        kind = "incident" if module is incident else "change"
        try:
            state = getattr(ledger, kind)(id)
        except UnknownIdError:
            state = module.INITIAL
        only = [*(module.STEPS.keys() - {"merge", "unmerge", "relate", "unrelate"})]
        if state is module.INITIAL:
            only = ["detect"] if module is incident else ["plan"]
        step, arguments = data.draw(drawn(**{kind: state, "only": sorted(only)}))
        with contextlib.suppress(StepRefused, InvalidValue):
            ledger.record(id, step, **arguments)
        if kind == "incident" and data.draw(st.integers(0, 15)) == 0:
            at = hours(24 * 300)
            with contextlib.suppress(StepRefused, UnknownIdError):
                ledger.merge("INC-2", into="INC-1", by="ann", at=at)
        if data.draw(st.integers(0, 20)) == 0:
            with contextlib.suppress(UnknownIdError):
                ledger.redact(f"{kind}:{id}", by="dpo", at=hours(24 * 300), reason="asked for")

    def check(self, ledger, stays, model, data):
        last = ledger.position_at()
        at = data.draw(st.integers(1, last))
        now, then = replayed(ledger.replay()), replayed(ledger.replay(upto=at))
        with imcm.views(ledger, model) as anew:
            for board in (stays, anew):
                assert now == told(board)
                assert then == told(board, known_at=at)
                assert now == told(board)
                for view in now[0]:
                    assert view == board.incident(view.id)
        with imcm.views(ledger) as from_nothing:
            assert now == told(from_nothing)


# --- what rows are made of ------------------------------------------------------------------------


def test_values_of_a_view_stand_in_the_order_of_its_fields(book):
    """Told by what facts and details call the same: no value may stand at the place of another."""
    book.detect("INC-1", severity=Severity.P1, services=["pay"], environment="live")
    book.take("INC-1", incident.assign_role, role=Role.INCIDENT_COMMANDER, person="mia")
    book.take("INC-1", incident.post_update, text="Looking at it")
    book.take("INC-1", incident.link_change, change="CHG-1", verdict=Verdict.SUSPECTED)
    book.take("INC-1", incident.hold, reason=HoldReason.VENDOR)
    book.deploy("CHG-1", 0, version="1.2", labels={"team": "pay"}, description="It is better")
    log = list(book.ledger.replay())
    for stream, least in (("incident:INC-1", 15), ("change:CHG-1", 25)):
        events = [recorded for recorded in log if recorded.stream == stream]
        view, (facts, details, extent) = view_of_stream(events), read_stream(events)
        compared = 0
        for name in attrs.fields_dict(type(view)):
            for source in (facts, details):
                value = getattr(source, name, None)
                if not isinstance(value, (type(None), dict)) and name != "version":
                    assert getattr(view, name) == value
                    compared += 1
        assert compared >= least
        assert (view.first_position, view.last_position) == (extent.first, extent.last)
        assert (view.version, view.last_recorded_at) == (extent.version, extent.recorded_at)
        assert (view.unread, view.imported) == (0, False)


def test_words_that_cannot_be_read_leave_the_rest_as_it_is(path, book, board):
    book.detect("INC-1", services=["pay"])
    book.detect("INC-2", services=["basket"])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE stored_events SET state = replace(CAST(state AS TEXT), ?, ?) "
            "WHERE originator_id = 'incident:INC-1' AND originator_version = 1",
            ('"title of INC-1"', "7"),
        )
        connection.execute("UPDATE stored_events SET state = CAST(state AS BLOB)")
    book.take("INC-1", incident.post_update, text="Still there")
    assert told(board) == replayed(book.ledger.replay())
    one, two = board.incidents(order="id")
    assert (one.title, one.services, one.last_update.text) == ("", ("pay",), "Still there")
    assert two.title == "title of INC-2"
