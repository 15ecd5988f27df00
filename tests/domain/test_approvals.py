"""
What was approved, and what is then done: windows, content, words, and who may void what.
"""

import pytest

from domain.examples import (
    approved,
    at,
    completed,
    emergency,
    planned,
    started,
    started_unapproved,
    submitted,
    window,
)
from imcm.domain import change
from imcm.domain.change import ChangeHeld, ChangeObserved, ChangeScheduled, Template
from imcm.domain.policy import DEFAULT_POLICY
from imcm.domain.vocabulary import Between, ChangeType, HoldReason
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
        [(22, 23, True), (30, 31, True), (23, 24, False), (29, 31, False)],
    )
    def test_an_uncertain_start_is_refused_where_it_is_surely_outside(
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
