"""
What was approved, and what is then done: windows, content, words, and who may void what.
"""

import pytest

from domain.examples import (
    approved,
    at,
    completed,
    emergency,
    mark,
    planned,
    started,
    started_unapproved,
    submitted,
    window,
)
from imcm.domain import change
from imcm.domain.change import Status
from imcm.domain.change_events import (
    ChangeApprovedRetroactively,
    ChangeHeld,
    ChangeObserved,
    ChangeRescoped,
    ChangeReworded,
    ChangeScheduled,
    ContentCorrectedAfterApproval,
    RetroactiveApprovalRefused,
    Template,
)
from imcm.domain.corrections import EnvironmentCorrected, ServicesCorrected
from imcm.domain.policy import DEFAULT_POLICY
from imcm.domain.vocabulary import Between, ChangeType, HoldReason, Kind
from imcm.errors import StepRefused
from imcm.testing import given

TEMPLATE = Template(name="restart", version="3", sha256="0" * 64)
NIGHT = window(24, 30)
APPROVED = (planned(window=NIGHT), submitted(), approved())
SCHEDULED = (*APPROVED, ChangeScheduled(at=at(3), by="ann", window=window(25, 26)))
HELD = ChangeHeld(at=at(3.5), by="ann", reason=HoldReason.VENDOR)


class TestWindow:
    @pytest.mark.parametrize("hours", [3, 23.9, 30, 240])
    def test_a_start_outside_the_approved_one_is_refused(self, hours):
        found = given(*APPROVED).when(change.start, by="ann", at=at(hours))

        refused = found.then_refused(guard="inside the window")

        assert "use revise" in refused.why

    @pytest.mark.parametrize("hours", [24, 29.9])
    def test_a_start_inside_it_is_not(self, hours):
        given(*APPROVED).when(change.start, by="ann", at=at(hours)).then(started(hours))

    @pytest.mark.parametrize(
        ("earliest", "latest", "refused"),
        [(22, 23, True), (30, 31, True), (23, 24, True), (29, 31, True), (24, 29.9, False)],
    )
    def test_an_uncertain_start_is_refused_where_it_may_lie_outside(
        self, earliest, latest, refused
    ):
        moment = Between(earliest=at(earliest), latest=at(latest))
        found = given(*APPROVED).when(change.start, by="ann", at=moment)

        if refused:
            found.then_refused(guard="inside the window")
        else:
            assert len(found.events) == 1

    @pytest.mark.parametrize(("hours", "inside"), [(24.5, False), (25, True), (26, False)])
    def test_the_scheduled_one_counts_where_there_is_one(self, hours, inside):
        found = given(*SCHEDULED).when(change.start, by="ann", at=at(hours))

        if inside:
            found.then(started(hours))
        else:
            found.then_refused(guard="inside the window")

    def test_a_template_approves_a_window_too(self):
        standard = planned(type=ChangeType.STANDARD, window=NIGHT)
        by_template = submitted(template=TEMPLATE, status=change.Status.APPROVED)

        found = given(standard, by_template).when(change.start, by="ann", at=at(9))

        found.then_refused(guard="inside the window")

    def test_an_emergency_that_is_not_approved_has_none(self):
        before = (emergency(window=NIGHT), submitted())

        given(*before).when(change.start, by="ann", at=at(9)).then(started_unapproved(9))

    def test_an_emergency_that_is_approved_has_one(self):
        before = (emergency(window=NIGHT), submitted(), approved())

        given(*before).when(change.start, by="ann", at=at(9)).then_refused(
            guard="inside the window"
        )

    def test_next_steps_say_so(self):
        state = change.fold(APPROVED)
        of = {
            moment: next(a for a in change.next_steps(state, at=moment) if a.step == "start")
            for moment in (None, at(9), at(25))
        }

        assert [None, False, True] == [answer.possible for answer in of.values()]
        assert ["inside the window"] * 2 + [""] == [answer.guard for answer in of.values()]
        assert "depends on at" == of[None].why

    def test_a_start_of_a_step_of_ones_own_is_asked(self):
        with pytest.raises(StepRefused, match="outside the approved window"):
            change.confirm(change.fold(APPROVED), started(9), policy=DEFAULT_POLICY)

    @pytest.mark.parametrize(("hours", "guard"), [(29, ""), (30, ""), (30.1, "inside the window")])
    def test_a_completion_after_its_end_is_marked(self, hours, guard):
        before = (*APPROVED, started(24.5))

        given(*before).when(change.complete, by="ann", at=at(hours)).then(
            completed(hours, unauthorised=guard)
        )

    def test_a_completion_of_what_began_unapproved_has_none(self):
        before = (emergency(window=NIGHT), submitted(), started_unapproved(9))

        given(*before).when(change.complete, by="ann", at=at(99)).then(completed(99))

    @pytest.mark.parametrize(
        ("more", "hours", "guard"),
        [
            ((), 9, "inside the window"),
            ((), 25, "started"),
            ((HELD,), 25, "not on hold"),
            ((HELD,), 9, "inside the window"),
        ],
    )
    def test_what_is_found_outside_it_is_marked(self, more, hours, guard):
        found = given(*APPROVED, *more).when(change.observe, by="scanner", at=at(hours))

        found.then(
            ChangeObserved(
                at=at(hours),
                by="scanner",
                type=ChangeType.NORMAL,
                unauthorised=guard,
                outstanding=True,
            )
        )


STAGING = planned(environment="staging", services=("shop",), labels={"team": "web"})
VOTED = (STAGING, submitted(), approved())
BEGUN = (*VOTED, started())


def correct(*events, field="environment", was="staging", now="production", **more):
    arguments = {"by": "ann", "at": at(9), "version": 1, "why": "a slip", **more}
    return given(*events).when(change.correct, field=field, was=was, now=now, **arguments)


def moved(version=1, hours=9, **fields):
    return EnvironmentCorrected(
        **{
            "at": at(hours),
            "by": "ann",
            "version": version,
            "field": "environment",
            "was": "staging",
            "now": "production",
            "why": "a slip",
            **fields,
        }
    )


def rescoped(hours=9, **fields):
    return ChangeRescoped(
        **{
            "at": at(hours),
            "by": "cem",
            "environment": "production",
            "labels": {"team": "web"},
            "why": "as agreed",
            "status": None,
            **fields,
        }
    )


class TestContentBeforeTheStart:
    @pytest.mark.parametrize("events", [VOTED[:1], VOTED[:2], VOTED])
    @pytest.mark.parametrize(
        ("field", "was", "now"),
        [
            ("environment", "staging", "production"),
            ("services", ("shop",), ("payments",)),
            ("kind", Kind.DEPLOYMENT, Kind.SCHEMA),
            ("labels", {"team": "web"}, {}),
        ],
    )
    def test_is_not_corrected_but_revised(self, events, field, was, now):
        refused = correct(*events, field=field, was=was, now=now).then_refused(guard="started")

        assert f"use revise with {field}=" in refused.why

    @pytest.mark.parametrize("version", [2, 3])
    def test_of_a_revision_neither(self, version):
        events = (
            STAGING,
            change.ChangeRevised(at=at(1), by="ann", kind=Kind.SCHEMA, status=None),
            rescoped(2),
        )
        field, was = {2: ("kind", Kind.SCHEMA), 3: ("environment", "production")}[version]
        now = {2: Kind.DEPLOYMENT, 3: "test"}[version]

        correct(*events, version=version, field=field, was=was, now=now).then_refused(
            guard="started"
        )

    def test_what_is_no_content_can_be_corrected(self):
        assert len(correct(*VOTED, field="at", was=at(0), now=at(0.5)).events) == 1

    def test_what_stands_already_records_nothing(self):
        correct(*VOTED, now="staging").then_nothing()

    def test_what_was_found_is_no_content_that_was_put_up(self):
        """As in a log of an earlier version, in which a source planned it afterwards."""
        found = ChangeObserved(at=at(0), by="x", environment="staging", outstanding=True)
        events = (found, planned(imported=True, environment="test"))

        correct(*events).then(moved())

    def test_of_what_was_cancelled_is_marked(self):
        """Voided again, the cancellation brings back a change whose content nobody approved."""
        cancelled = change.ChangeCancelled(at=at(3), by="ann", why="no")

        mark, correction = correct(*VOTED, cancelled).events
        assert (mark.unauthorised, correction) == ("content as approved", moved())


class TestRevise:
    def ask(self, *events, **more):
        return given(*events).when(change.revise, by="cem", at=at(9), why="as agreed", **more)

    def test_takes_another_environment_and_voids_approvals(self):
        found = self.ask(*VOTED, environment="production")

        found.then(rescoped(status=Status.DRAFT))
        after = change.fold((*VOTED, *found.events))
        assert (frozenset(), "draft", 4) == (after.voters, after.status, after.content)
        assert "cem" in after.barred

    def test_takes_other_labels(self):
        self.ask(*VOTED[:2], labels={}).then(rescoped(environment="staging", labels={}))

    def test_takes_both_kinds_of_content_in_one_record(self):
        found = self.ask(*VOTED, environment="production", kind=Kind.SCHEMA, title="new")

        assert [
            ("ChangeRevised", Status.DRAFT, "new"),
            ("ChangeRescoped", None, ""),
        ] == [(type(e).__name__, e.status, getattr(e, "title", "")) for e in found.events]

    @pytest.mark.parametrize("more", [{"environment": "staging"}, {"labels": {"team": "web"}}])
    def test_to_what_it_is_records_nothing(self, more):
        self.ask(*VOTED, **more).then_nothing()

    @pytest.mark.parametrize("words", [{"title": "new"}, {"description": "new"}])
    def test_of_words_alone_rewords_and_keeps_votes(self, words):
        found = self.ask(*VOTED, **words)

        found.then(ChangeReworded(at=at(9), by="cem", **words))
        after = change.fold((*VOTED, *found.events))
        assert ({"bea"}, "approved") == (after.voters, after.status)

    def test_of_words_and_scope_records_both(self):
        self.ask(*VOTED, title="new", environment="production").then(
            ChangeReworded(at=at(9), by="cem", title="new"), rescoped(status=Status.DRAFT)
        )

    def test_a_vote_for_what_was_before_does_not_count(self):
        events = (*VOTED, rescoped(status=Status.DRAFT), submitted(10))
        found = given(*events).when(change.approve, by="bea", at=at(11))

        assert [(4, 1)] == [(vote.content, vote.votes) for vote in found.events]


class TestReword:
    @pytest.mark.parametrize("events", [VOTED[:1], VOTED, BEGUN, (*BEGUN, completed())])
    def test_keeps_what_stands(self, events):
        found = given(*events).when(change.reword, by="ann", at=at(9), description="d")

        found.then(ChangeReworded(at=at(9), by="ann", description="d"))
        before, after = change.fold(events), change.fold((*events, *found.events))
        assert before._replace(past=()) == after._replace(past=())

    def test_refused_once_it_has_ended(self):
        cancelled = change.ChangeCancelled(at=at(3), by="ann", why="no")

        given(*VOTED, cancelled).when(change.reword, by="ann", at=at(9), title="t").then_refused(
            guard="status"
        )

    def test_needs_words(self):
        given(*VOTED).when(change.reword, by="ann", at=at(9)).then_invalid("title")


class TestContentAfterTheStart:
    @pytest.mark.parametrize("events", [BEGUN, (*BEGUN, completed())])
    def test_is_corrected_and_marked(self, events):
        found = correct(*events)
        version = len(events) + 2

        found.then(mark(version), moved())
        after = change.fold((*events, *found.events))
        assert ("production", True) == (after.environment, after.outstanding)

    def test_can_be_ruled_on(self):
        events = (*BEGUN, mark(6), moved())
        found = given(*events).when(change.approve_retroactively, by="bea", at=at(10))

        assert not change.fold((*events, *found.events)).outstanding

    def test_that_a_later_revision_told_otherwise_is_not_marked(self):
        events = (STAGING, rescoped(0.5), submitted(), approved(content=2), started())

        correct(*events, now="test").then(moved(now="test"))

    def test_that_nobody_was_asked_for_is_not_marked_until_it_is_ruled_on(self):
        found = ChangeObserved(at=at(0), by="x", environment="staging", outstanding=True)
        ruling = ChangeApprovedRetroactively(at=at(1), by="bea")

        correct(found).then(moved())
        correct(found, ruling).then(mark(4), moved())

    def test_that_was_imported_has_no_approval_to_end(self):
        told = (
            planned(environment="staging", imported=True),
            approved(imported=True),
            completed(imported=True),
        )

        correct(*told).then(moved())

    def test_a_step_of_ones_own_can_not_leave_the_mark_out(self):
        state = change.fold(BEGUN)

        with pytest.raises(StepRefused, match="return all that correct returns"):
            change.confirm(state, moved())
        with pytest.raises(StepRefused, match="not ContentCorrectedAfterApproval"):
            change.confirm(state, mark(7))
        with pytest.raises(StepRefused, match="nothing follows"):
            change.confirm(change.fold(VOTED), mark(5))
        change.confirm(state, mark(6))
        change.confirm(change.evolve(state, mark(6)), moved())
        with pytest.raises(StepRefused, match="return all that correct returns"):
            change.confirm(change.evolve(state, mark(9)), moved())

    def test_a_vote_does_not_settle_what_was_marked_before_it(self):
        events = (STAGING, mark(3), moved(), submitted(), approved(), started())

        assert change.fold(events).outstanding

    def test_a_revision_does(self):
        revised = rescoped(10, status=Status.DRAFT)

        assert change.fold((*VOTED, mark(5), moved())).outstanding
        assert not change.fold((*VOTED, mark(5), moved(), revised)).outstanding


def bring_in(*events, past):
    return [event for _, event in change.bring_in(change.fold(past), events=events)]


class TestAnImport:
    @pytest.mark.parametrize("past", [VOTED, BEGUN])
    def test_never_plans_a_live_change_anew(self, past):
        told = planned(
            5, by="sn", environment="production", services=("shop", "pay"), imported=True
        )
        expected = [
            mark(len(past) + 2, 5, by="sn", imported=True),
            moved(1, 5, by="sn", why="the source has it otherwise", imported=True),
            mark(len(past) + 4, 5, by="sn", imported=True),
            ServicesCorrected(
                at=at(5),
                by="sn",
                version=1,
                field="services",
                was=("shop",),
                now=("shop", "pay"),
                why="the source has it otherwise",
                imported=True,
            ),
        ]

        found = bring_in(told, past=past)

        assert expected == found
        assert [] == bring_in(told, past=(*past, *found))
        assert change.fold((*past, *found)).outstanding

    def test_never_revises_a_live_change(self):
        told = change.ChangeRevised(at=None, by="sn", kind=Kind.SCHEMA, imported=True)

        found = bring_in(told, past=VOTED)

        assert ["ContentCorrectedAfterApproval", "KindCorrected"] == [
            type(e).__name__ for e in found
        ]
        assert at(0) == found[1].at
        assert {"bea"} == change.fold((*VOTED, *found)).voters

    def test_that_says_the_same_says_nothing(self):
        told = planned(5, environment="staging", services=("shop",), imported=True)

        assert [] == bring_in(told, past=VOTED)

    def test_a_correction_of_the_source_is_marked_too(self):
        one = moved(1, 5, imported=True)

        assert [mark(6, 5, imported=True), one] == bring_in(one, past=BEGUN)

    def test_of_imported_content_goes_on_as_before(self):
        past = (planned(environment="staging", imported=True),)
        told = (planned(environment="production", imported=True), completed(imported=True))

        found = bring_in(*told, past=past)

        assert ["EnvironmentCorrected", "ChangeCompleted"] == [type(e).__name__ for e in found]

    @pytest.mark.parametrize(
        "told",
        [
            rescoped(5, by="sn", status=Status.DRAFT, imported=True),
            change.ChangeRevised(at=at(5), by="sn", kind=Kind.SCHEMA, imported=True),
        ],
    )
    def test_never_revises_what_was_ruled_on_live(self, told):
        """Whoever ruled, ruled on what the source said then."""
        source = planned(by="sn", environment="staging", imported=True)
        ruled = ChangeApprovedRetroactively(at=at(3), by="bea", why="ok")
        past = (source, ChangeObserved(at=at(1), by="x", type=source.type, outstanding=True), ruled)

        found = bring_in(told, past=past)

        assert isinstance(found[0], ContentCorrectedAfterApproval)
        after = change.fold((*past, *found))
        assert (Status.IMPLEMENTED, True) == (after.status, after.outstanding)

    def test_of_an_approval_opens_no_gate(self):
        """Work may go on from where a source left it, and is outstanding: nobody voted here."""
        past = (planned(imported=True), approved(imported=True, content=0, votes=0, quorum=0))

        found = given(*past).when(change.start, by="lena", at=at(4))

        [started] = found.events
        assert (started.outstanding, started.policy.said) == (
            True,
            "approved elsewhere, by no vote of this ledger",
        )
        after = change.fold((*past, started))
        [ruled] = change.approve_retroactively(after, by="bea", at=at(5), why="as there")
        assert not change.fold((*past, started, ruled)).outstanding
        # Whoever voted live has voted, also on what a source planned.
        voted = (planned(imported=True), submitted(), approved())
        [started] = given(*voted).when(change.start, by="lena", at=at(4)).events
        assert not started.outstanding

    def test_revises_what_nobody_decided_on_live(self):
        """Somebody put it on hold; that is no vote on what the source says of it."""
        held = ChangeHeld(at=at(2), by="ann", reason=HoldReason.VENDOR)
        past = (planned(environment="staging", imported=True), held)

        [found] = bring_in(rescoped(5, environment="live", imported=True), past=past)

        assert isinstance(found, ChangeRescoped)
        assert change.fold((*past, found)).environment == "live"

    def test_never_sets_back_what_went_on(self):
        """A scope told late is told of a change that is long over."""
        past = (planned(imported=True), completed(imported=True))

        [found] = bring_in(rescoped(5, status=Status.DRAFT, imported=True), past=past)

        assert change.fold((*past, found)).status is Status.IMPLEMENTED

    def test_does_not_plan_afterwards_what_was_observed(self):
        """Else it would be a draft again, which nobody has to rule on."""
        observed = ChangeObserved(at=at(0), by="x", outstanding=True)

        found = bring_in(planned(imported=True), past=(observed,))

        assert ["KindCorrected"] == [type(event).__name__ for event in found]
        assert change.fold((observed, *found)).outstanding


class TestVoid:
    def ask(self, *events, version, by):
        return given(*events).when(change.void, by=by, at=at(9), version=version, why="wrong")

    def test_what_a_source_revised_stands_under_its_approval(self):
        revised = change.ChangeRevised(at=at(1), by="sn", kind=Kind.SCHEMA, imported=True)
        events = (planned(imported=True), revised, approved(imported=True))
        self.ask(*events, version=2, by="dan").then_refused(guard="approval stands")

    UNAPPROVED = (emergency(), submitted(), started_unapproved())
    OVER = (*UNAPPROVED, HELD, completed(unauthorised="not on hold"))
    RULED = (*OVER, RetroactiveApprovalRefused(at=at(8), by="bea", why="no"))

    @pytest.mark.parametrize(
        ("events", "version"),
        [
            (VOTED, 3),
            ((*VOTED[:2], change.ChangeRejected(at=at(2), by="bea", why="no")), 3),
            (UNAPPROVED, 3),
            (OVER, 5),
            (RULED, 6),
        ],
        ids=["vote", "rejection", "unapproved start", "mark", "ruling"],
    )
    def test_whoever_may_not_vote_may_not_void(self, events, version):
        self.ask(*events, version=version, by="ANN").then_refused(guard="separation of duties")
        assert self.ask(*events, version=version, by="dan").events

    def test_whoever_may_not_vote_may_void_the_rest(self):
        assert self.ask(*VOTED, HELD, version=4, by="ann").events
        assert self.ask(*BEGUN, version=4, by="ann").events

    @pytest.mark.parametrize("by", ["dan", "eva"])
    def test_the_mark_of_a_correction_stands(self, by):
        self.ask(*BEGUN, mark(6), moved(), version=5, by=by).then_refused(guard="mark stands")

    def test_content_under_which_it_started_stands(self):
        """Also where no vote was needed: it was approved by its template."""
        events = (
            planned(type=ChangeType.STANDARD, environment="staging"),
            rescoped(0.5),
            submitted(template=TEMPLATE, status=Status.APPROVED),
        )
        self.ask(*events, version=2, by="dan").then_refused(guard="content stands")
        self.ask(*events, started(), version=2, by="dan").then_refused(guard="content stands")
        assert self.ask(*events[:2], version=2, by="dan").events
