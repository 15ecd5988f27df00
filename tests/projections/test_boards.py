"""
Views of incidents and changes, made of lists of recorded events, agree with what steps decide by.
"""

from datetime import UTC, date, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from imcm.domain import change as changes
from imcm.domain import incident as incidents
from imcm.domain.change import Refusal
from imcm.domain.change_events import ChangeStatus
from imcm.domain.incident_events import SeverityInherited
from imcm.domain.policy import Policy
from imcm.domain.recorded import Unread
from imcm.domain.vocabulary import (
    AttemptResult,
    HoldReason,
    MitigationKind,
    Risk,
    Role,
    Severity,
    Verdict,
    Window,
    folded,
)
from imcm.errors import InvalidValue, NaiveTimeError, StepRefused
from imcm.projections.boards.assembly import view_of_stream, views_of
from imcm.projections.boards.live import Deployed, live_version
from imcm.projections.boards.views import (
    ActionItem,
    Approval,
    ChangeView,
    LiveVersion,
    Match,
    Ready,
)
from imcm.testing import change_steps, incident_steps
from projections.log import (
    at,
    between,
    change,
    deployment,
    detected,
    incident,
    log,
    planned,
    resolved,
    take,
    voided,
)


def view(*steps, id="INC-1"):
    """Return the view of an incident that took these steps."""
    return view_of_stream(log(incident(id, *steps)))


def changed(*steps, id="CHG-1"):
    """Return the view of a change after steps, each a name, a time and arguments."""
    state = changes.INITIAL
    for name, hours, arguments in steps:
        for event in getattr(changes, name)(state, **{"by": "dev", "at": at(hours), **arguments}):
            state = changes.evolve(state, event)
    return view_of_stream(log(change(id, *state.past)))


PLAN = (
    "plan", 0, {"title": "Basket", "services": ["pay"], "risk": Risk.LOW, "rollback_plan": "off"},
)  # fmt: skip
SUBMIT = ("submit", 1, {})


class TestAnyIncident(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.state = incidents.INITIAL

    def ask(self, step, arguments):
        try:
            events = step(self.state, **arguments)
        except (StepRefused, InvalidValue):
            return
        for event in events:
            self.state = incidents.evolve(self.state, event)

    @initialize(drawn=incident_steps(only=["detect"]))
    def detect(self, drawn):
        self.ask(*drawn)

    @rule(data=st.data())
    def any_step(self, data):
        self.ask(*data.draw(incident_steps(incident=self.state)))

    @rule(data=st.data())
    def edit(self, data):
        self.ask(*data.draw(incident_steps(incident=self.state, only=["correct", "void"])))

    @invariant()
    def is_shown_as_it_stands(self):
        state = self.state
        if not state.past:
            return
        told = view_of_stream(log(("incident:INC-1", state.past)))
        assert state.roles == {(held.role, folded(held.person)) for held in told.roles}
        assert set(state.references) == {one.address for one in told.references}
        assert state.problems == {*told.problems}
        assert state.attempts == {one.number for one in told.attempts}
        assert state.concluded == {
            one.number: one.result for one in told.attempts if one.result is not None
        }
        assert state.actions == {one.number: one.status == "open" for one in told.actions}
        assert state.absorbed == {*told.merged}
        assert state.verdicts == told.verdicts
        assert (state.status, state.on_hold) == (told.status, told.on_hold)
        assert (0 < state.resolutions <= state.reviewed) == told.reviewed
        assert (state.severity, state.parent) == (told.severity, told.parent)
        assert len(state.past) == told.version
        assert told.open_actions == sum(state.actions.values())


class TestAnyChange(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.state = changes.INITIAL

    def ask(self, step, arguments):
        try:
            events = step(self.state, **arguments)
        except (StepRefused, InvalidValue):
            return
        for event in events:
            self.state = changes.evolve(self.state, event)

    @initialize(drawn=change_steps(only=["plan"]))
    def plan(self, drawn):
        self.ask(*drawn)

    @rule(data=st.data())
    def any_step(self, data):
        self.ask(*data.draw(change_steps(change=self.state)))

    @rule(data=st.data())
    def decide(self, data):
        only = ["submit", "approve", "revise", "void"]
        self.ask(*data.draw(change_steps(change=self.state, only=only)))

    @invariant()
    def is_shown_as_it_stands(self):
        state = self.state
        if not state.past:
            return
        told = view_of_stream(log(("change:CHG-1", state.past)))
        assert state.voters == {folded(vote.by) for vote in told.votes}
        assert set(state.references) == {one.address for one in told.references}
        assert (state.status, state.on_hold) == (told.status, told.on_hold)
        assert (state.scheduled or state.window) == told.window
        assert state.outstanding == (told.authorisation == "outstanding")
        assert (state.percent or None) == told.percent  # one that was begun reached nobody
        assert len(state.past) == told.version


for machine in (TestAnyIncident, TestAnyChange):
    machine.TestCase.settings = settings(
        max_examples=30, stateful_step_count=18, deadline=None, derandomize=True
    )
TestIncidents = TestAnyIncident.TestCase
TestChanges = TestAnyChange.TestCase
del TestAnyIncident, TestAnyChange, machine


class TestAnIncident:
    def test_has_a_commander_roles_and_ages(self):
        lead = {"role": Role.INCIDENT_COMMANDER}
        told = view(
            detected(0),
            take("assign_role", 1, person="Ann", **lead),
            take("assign_role", 2, role=Role.SCRIBE, person="bea"),
            take("release_role", 3, person="ANN", **lead),
        )
        assert (None, ["bea"]) == (told.commander, [held.person for held in told.roles])
        assert (True, timedelta(hours=5)) == (told.is_open, told.age(at(5)))
        with pytest.raises(NaiveTimeError):
            told.age(at(5).replace(tzinfo=None))
        again = view(detected(0), take("assign_role", 1, person="Ann", **lead))
        assert ("Ann", "Ann") == (again.commander, again.as_dict()["commander"])

    def test_is_told_by_the_midpoint_where_it_is_uncertain(self):
        assert timedelta(hours=3) == view(detected(between(0, 4))).age(at(5))

    def test_has_attempts_updates_and_what_belongs_to_it(self):
        told = view(
            detected(0),
            take("describe", 1, title="better title"),
            take("attempt_mitigation", 1, kind=MitigationKind.RESTART),
            take("conclude_attempt", 2, number=1, result=AttemptResult.WORKED),
            take("post_update", 2, text="it is well"),
            take("refer", 2, kind="ticket", address="T-1", title="a ticket"),
            take("link_problem", 2, problem="PRB-1"),
            take("link_change", 2, change="CHG-1", verdict=Verdict.SUSPECTED),
            take("dismiss_link", 2, change="CHG-2", why="it was the disk"),
            take("hold", 2, reason=HoldReason.VENDOR),
        )
        assert ("better title", 1, "it is well") == (
            told.title, told.updates, told.last_update.text,
        )  # fmt: skip
        assert [AttemptResult.WORKED] == [one.result for one in told.attempts]
        assert ("a ticket",) == tuple(one.title for one in told.references)
        assert (("PRB-1",), ("CHG-1",)) == (told.problems, told.suspected)
        assert (HoldReason.VENDOR, at(2)) == (told.on_hold, told.held_since)

    def test_has_action_items_until_they_are_over(self):
        told = view(
            detected(0),
            take("add_action", 1, text="a test", owner="ben", due=date(2026, 3, 5)),
            take("add_action", 1, text="a limit"),
            take("add_action", 1, text="a page"),
            take("revise_action", 2, number=1, due=date(2026, 3, 4)),
            take("complete_action", 2, number=2, change="CHG-1"),
            take("drop_action", 2, number=3, why="no use"),
        )
        first, second, third = told.actions
        assert (1, True, False) == (
            told.open_actions, first.overdue(date(2026, 3, 5)), first.overdue(date(2026, 3, 4)),
        )  # fmt: skip
        assert ("a test", "ben", at(1)) == (first.text, first.owner, first.added_at)
        assert ("done", "CHG-1", at(2)) == (second.status, second.change, second.completed_at)
        assert ("dropped", at(2), ("pay",)) == (third.status, third.dropped_at, third.services)
        assert "2026-03-04" == first.as_dict()["due"]
        assert not ActionItem(incident="I", number=1).overdue(date(2026, 3, 5))

    def test_is_told_without_what_was_voided(self):
        steps = (detected(0), take("add_action", 1, text="a test"))
        over = (
            take("revise_action", 2, number=1, text="two"),
            take("complete_action", 3, number=1),
        )
        assert () == view(*steps, voided(4, 2)).actions
        assert "open" == view(*steps, *over, voided(4, 4)).actions[0].status
        assert "a test" == view(*steps, *over, voided(4, 3)).actions[0].text

    def test_is_reviewed_where_a_review_covers_its_last_resolution(self):
        review = {"what_happened": "a lock", "causes": ["no limit"]}
        told = view(detected(0), resolved(1), take("record_review", 2, **review))
        assert (True, at(2), ("no limit",)) == (told.reviewed, told.reviewed_at, told.causes)
        again = take("reopen", 3, why="it came back"), resolved(4)
        told = view(detected(0), resolved(1), take("record_review", 2, **review), *again)
        assert (False, at(2)) == (told.reviewed, told.reviewed_at)
        assert not view(detected(0)).reviewed

    def test_is_what_others_are_merged_into(self):
        from imcm.domain.incident_events import IncidentAbsorbed, IncidentSeparated

        name, events = incident("INC-1", detected(0))
        absorbed = IncidentAbsorbed(at=at(1), by="a", merged="INC-2")
        separated = IncidentSeparated(at=at(2), by="a", merged="INC-2")
        assert ("INC-2",) == view_of_stream(log((name, (*events, absorbed)))).merged
        assert () == view_of_stream(log((name, (*events, absorbed, separated)))).merged

    def test_has_the_worst_severity_of_those_merged_into_it(self):
        """The one it has stays its own; what asks for the highest follows the merge."""
        name, events = incident("INC-1", detected(0), take("triage", 1, severity=Severity.P3))
        inherited = SeverityInherited(at=at(2), by="a", severity=Severity.P1, merged="INC-2")
        given_back = SeverityInherited(at=at(3), by="a", severity=Severity.P3, merged="INC-2")
        told = view_of_stream(log((name, (*events, inherited))))
        assert (Severity.P3, Severity.P1) == (told.severity, told.severity_highest)
        told = view_of_stream(log((name, (*events, inherited, given_back))))
        assert (Severity.P3, Severity.P3) == (told.severity, told.severity_highest)


class TestWhatIsOverBefore:
    """Logs that were cut or damaged: an end without its beginning changes nothing."""

    def test_items_and_attempts_that_never_began_are_not_there(self):
        name, events = incident(
            "INC-1",
            detected(0),
            take("add_action", 1, text="a test"),
            take("revise_action", 2, number=1, text="two"),
            take("complete_action", 2, number=1),
            take("attempt_mitigation", 1, kind=MitigationKind.RESTART),
            take("conclude_attempt", 2, number=1, result=AttemptResult.WORKED),
        )
        told = view_of_stream(
            log(
                (name, [e for e in events if not type(e).__name__.endswith(("Added", "Attempted"))])
            )
        )
        assert ((), ()) == (told.actions, told.attempts)


class TestAChange:
    def test_has_the_votes_for_its_content_as_it_stands(self):
        vote = ("approve", 2, {"by": "Mia", "why": "fine"})
        told = changed(PLAN, SUBMIT, vote)
        assert [("Mia", "fine", at(2))] == [(one.by, one.why, one.at) for one in told.votes]
        assert (1, False, "approved") == (told.quorum, told.is_ended, told.authorisation)
        for void in (
            ("revise", 3, {"why": "more", "services": ["web"]}),
            ("revise", 3, {"why": "there", "environment": "staging"}),
        ):
            assert () == changed(PLAN, SUBMIT, vote, void).votes
        told = changed(PLAN, SUBMIT, ("reject", 2, {"by": "mia", "why": "too soon"}))
        assert ((), "too soon") == (told.votes, told.rejected_why)

    def test_has_no_votes_for_content_that_was_voided(self):
        two = {"policy": Policy(name="two", version="1", approvals=2)}
        steps = (
            PLAN,
            SUBMIT,
            ("revise", 2, {"why": "more", "services": ["web"]}),
            ("approve", 3, {"by": "mia", **two}),
        )
        assert ["mia"] == [vote.by for vote in changed(*steps).votes]
        void = ("void", 4, {"version": 3, "why": "a slip"})
        assert () == changed(*steps, void).votes
        told = changed(*steps, void, ("approve", 5, {"by": "kim", **two}))
        assert ["kim"] == [vote.by for vote in told.votes]

    def test_has_its_words_until_they_are_others(self):
        told = changed(PLAN, ("reword", 1, {"description": "long"}))
        assert ("Basket", "long", "off") == (told.title, told.description, told.rollback_plan)
        assert "dev" == told.planned_by
        assert timedelta(hours=1) == told.age(at(1))
        assert "draft" == told.as_dict()["status"]

    def test_says_how_far_its_rollout_is(self):
        begun = (
            PLAN, SUBMIT, ("approve", 2, {"by": "mia"}), ("start", 3, {}),
            ("advance_rollout", 4, {"percent": 5.0}), ("pause_rollout", 5, {}),
        )  # fmt: skip
        told = changed(*begun)
        assert (5.0, at(4), True) == (told.percent, told.percent_since, told.paused)
        assert not changed(*begun, ("advance_rollout", 6, {"percent": 50.0})).paused

    def test_names_its_template_and_what_belongs_to_it(self):
        from imcm.domain.change_events import Template

        template = Template(name="restart", version="3", sha256="0" * 64)
        plan = ("plan", 0, {"title": "again", "type": "standard"})
        refer = ("refer", 0, {"kind": "ticket", "address": "T-1"})
        told = changed(plan, refer, ("submit", 1, {"template": template}))
        assert ("restart", "T-1") == (told.template, told.references[0].address)

    def test_that_nobody_planned_has_the_title_it_was_seen_with(self):
        from imcm.domain.change_events import ChangeObserved

        seen = ChangeObserved(at=at(1), by="ci", title="seen", type="normal")
        assert "seen" == view_of_stream(log(change("CHG-1", seen))).title

    def test_that_was_cancelled_is_ended(self):
        assert changed(PLAN, ("cancel", 1, {"why": "no"})).is_ended


class TestViewsOf:
    def test_come_in_the_order_of_the_log(self):
        told = log(
            incident("INC-2", detected(0)), deployment("CHG-1", 1), incident("INC-1", detected())
        )
        views = list(views_of(told))
        assert ["INC-2", "CHG-1", "INC-1"] == [one.id for one in views]
        assert [(1, 1, 1), (2, 3, 2), (4, 4, 1)] == [
            (one.first_position, one.last_position, one.version) for one in views
        ]
        assert at(10_000) == views[0].last_recorded_at

    def test_leave_out_what_the_ledger_says_of_itself(self):
        assert [] == list(views_of(log(("ledger:self", ()), ("key:a", (detected,)))))

    def test_count_what_can_not_be_read(self):
        unread = Unread(type="IncidentDreamt", state=b"", why="new")
        name, events = incident("INC-1", detected(0))
        assert 1 == view_of_stream(log((name, (*events, unread)))).unread
        [alone] = views_of(log(("incident:INC-9", (unread,))))
        assert ("INC-9", 1, "nothing") == (alone.id, alone.unread, alone.status)

    def test_show_what_is_said_to_happen_later(self):
        told = log(incident("INC-1", detected(9)), now=8)
        assert at(9) == view_of_stream(told).detected_at

    @pytest.mark.parametrize(
        "events", [[], log(incident("INC-1", detected()), incident("INC-2", detected()))]
    )
    def test_are_of_one_stream_each(self, events):
        with pytest.raises(InvalidValue, match="one stream"):
            view_of_stream(events)


class TestLive:
    def row(self, id, begun, back=None):
        return Deployed(
            change=id, environment=None, version=f"v{id}", deployed_at=at(begun),
            rolled_back_at=None if back is None else at(back), status=ChangeStatus.IMPLEMENTED,
            percent=None,
        )  # fmt: skip

    def live(self, hours, *rows):
        found = live_version("pay", rows, at(hours))
        return found and (found.change, found.since, found.by_rollback_of, found.replaced)

    def test_is_what_came_last_and_was_not_taken_back(self):
        rows = self.row("2", 2, 4), self.row("1", 1), self.row("3", 3, 5)
        assert None is self.live(0, *rows)
        assert ("1", at(1), None, None) == self.live(1, *rows)
        assert ("2", at(2), None, "1") == self.live(2.5, *rows)
        assert ("3", at(3), None, "2") == self.live(4.5, *rows)
        assert ("1", at(5), "3", "3") == self.live(5, *rows)
        assert ("4", at(6), None, "1") == self.live(6, *rows, self.row("4", 6))
        assert None is self.live(9, self.row("1", 1, 2))

    def test_is_told_as_plain_values(self):
        plain = LiveVersion(
            service="pay", environment=None, version="1", change="C", since=at(0).astimezone(UTC)
        ).as_dict()
        assert ("pay", "nothing", None) == (plain["service"], plain["status"], plain["percent"])
        assert "C" == Match(kind="change", id="C").as_dict()["id"]
        waits = Approval(change=ChangeView(id="C"), waits_for="approval", since=at(0))
        assert ("approval", timedelta(hours=1)) == (waits.as_dict()["waits_for"], waits.age(at(1)))
        assert None is Approval(change=ChangeView(id="C"), waits_for="ruling").age(at(1))


def test_windows_are_those_of_the_schedule():
    window = Window(start=at(5), end=at(9))
    told = view_of_stream(log(change("CHG-1", planned(0, window=window))))
    assert window == told.window


def test_what_is_ready_says_whether_it_may_start():
    no = Ready(change=ChangeView(id="C"), refusals=(Refusal("freeze", "until Monday"),))
    assert (no.may_start, Ready(change=ChangeView(id="C")).may_start) == (False, True)
    assert no.as_dict()["may_start"] is False
    assert no.as_dict()["change"]["id"] == "C"
