"""
What the rows, the anomalies and the trail say of what was approved and what was then done.
"""

import attrs
import pytest

from domain.examples import (
    approved,
    at,
    completed,
    log,
    mark,
    of,
    planned,
    started,
    submitted,
    window,
)
from imcm.domain.change import fold
from imcm.domain.change_events import (
    ChangeApprovedRetroactively,
    ChangeDeployed,
    ChangeHeld,
    ChangeObserved,
    ChangeRejected,
    ChangeRescoped,
    ChangeRevised,
    ChangeReworded,
    ChangeStatus,
)
from imcm.domain.corrections import EventVoided, ServicesCorrected
from imcm.domain.vocabulary import Between, ChangeType, HoldReason, Kind, Risk
from imcm.projections.facts.fold import facts
from imcm.projections.histories.anomalies import Oddity, anomalies
from imcm.projections.histories.decisions import Altered, Question, Ruling, decision_trail

NIGHT = window(24, 30)
APPROVED = (planned(window=NIGHT), submitted(), approved())


def recorded(*events, hours):
    """Return a log in which the last event was recorded at a time of its own."""
    *before, last = [("change:CHG-1", event) for event in events]
    return log(*((*one, at(9)) for one in before), (*last, at(hours)))


def details(story, oddity):
    return [one.detail for one in anomalies(story) if one.oddity is oddity]


def row_of(*events):
    (row,) = facts(of("change:CHG-1", *events)).changes
    return row


class TestOutsideItsWindow:
    @pytest.mark.parametrize("hours", [9, 31])
    def test_names_a_start_of_an_old_log(self, hours):
        found = details(of("change:CHG-1", *APPROVED, started(hours)), Oddity.OUTSIDE_WINDOW)

        assert [
            f"started at {at(hours)}, the window is {at(24)} to {at(30)}",
        ] == found

    def test_names_a_completion_that_was_marked(self):
        late = completed(31, unauthorised="inside the window")

        found = details(of("change:CHG-1", *APPROVED, started(25), late), Oddity.OUTSIDE_WINDOW)

        assert ["told after it, and marked so"] == found

    @pytest.mark.parametrize(
        "events",
        [
            (*APPROVED, started(25), completed(30)),
            (planned(), submitted(), approved(), started(9)),
            (planned(window=NIGHT), submitted(), started(9, outstanding=True)),
            (planned(window=NIGHT, imported=True), completed(9, imported=True)),
        ],
        ids=["inside", "no window", "not approved", "imported"],
    )
    def test_names_nothing_else(self, events):
        assert [] == details(of("change:CHG-1", *events), Oddity.OUTSIDE_WINDOW)


class TestBackdatedIntoAWindow:
    @pytest.mark.parametrize(
        ("event", "hours", "expected"),
        [
            (started(29.5), 30.6, ["version 4"]),
            (started(29.5), 30.5, []),  # an hour later
            (started(25), 29.9, []),  # in the window
            (started(31), 40, []),  # not told to be in it
            (started(9), 40, []),
            (completed(29.5), 31, ["version 4"]),
            (completed(29.5, imported=True), 31, []),
            (completed(0, at=None), 31, []),
            (completed(0, at=Between(earliest=at(28), latest=at(29))), 31, ["version 4"]),
            (
                ChangeObserved(at=at(29), by="scanner", type=ChangeType.NORMAL, outstanding=True),
                31,
                ["version 4"],
            ),
        ],
    )
    def test_names_what_was_recorded_after_it(self, event, hours, expected):
        story = recorded(*APPROVED, event, hours=hours)

        assert expected == details(story, Oddity.BACKDATED)

    def test_a_change_without_a_window_has_none(self):
        story = recorded(planned(), submitted(), approved(), started(9), hours=99)

        assert [] == details(story, Oddity.BACKDATED)


def moved(hours=9, **fields):
    return ServicesCorrected(
        at=at(hours), by="ann", version=1, field="services", was=(), now=("pay",), **fields
    )


VOTED = (planned(), submitted(), approved())
BEGUN = (*VOTED, started())
RULED = ChangeApprovedRetroactively(at=at(10), by="bea")
RESCOPED = ChangeRescoped(
    at=at(8), by="cem", environment="live", labels={"team": "web"}, why="as agreed"
)


class TestTheRow:
    def test_follows_a_rescope(self):
        row = row_of(*VOTED, RESCOPED)

        assert ("live", {"team": "web"}, "not asked", (), None) == (
            row.environment,
            row.labels,
            row.authorisation,
            row.approved_by,
            row.approved_at,
        )
        assert ChangeStatus.DRAFT is row.status

    def test_is_the_same_in_other_words(self):
        reworded = ChangeReworded(at=at(9), by="ann", title="t")

        assert row_of(*BEGUN) == row_of(*BEGUN, reworded)

    @pytest.mark.parametrize(
        ("events", "expected"),
        [
            ((*BEGUN, mark(6), moved()), "outstanding"),
            ((*BEGUN, mark(6), moved(), RULED), "approved afterwards"),
            ((planned(), mark(3), moved(), submitted(), approved()), "outstanding"),
            ((*VOTED, mark(5), moved(), RESCOPED), "not asked"),
            (
                (*VOTED[:2], mark(4), moved(), ChangeRejected(at=at(9), by="bea", why="no")),
                "outstanding",
            ),
        ],
        ids=["marked", "ruled on", "before the votes", "revised", "rejected"],
    )
    def test_says_what_was_corrected_after_approval(self, events, expected):
        row = row_of(*events)

        assert (expected, ("content as approved",)) == (row.authorisation, row.unauthorised)

    def test_agrees_with_the_state_on_what_ended_on_hold(self):
        """A completion on hold is marked with the guard that said no, and waits for a ruling."""
        held = ChangeHeld(at=at(3.5), by="ann", reason=HoldReason.VENDOR)
        events = (*BEGUN, held, completed(unauthorised="not on hold"))
        trail = decision_trail(of("change:CHG-1", *events), "CHG-1")

        assert fold(events).outstanding
        assert "outstanding" == row_of(*events).authorisation
        assert Ruling.BROKEN is trail.finding(Question.SETTLED).verdict
        assert "approved afterwards" == row_of(*events, RULED).authorisation


class TestContentCorrectedAfterApproval:
    def test_is_an_anomaly_with_what_became_of_it(self):
        story = of("change:CHG-1", *BEGUN, mark(6), moved(), RULED)

        assert ["approved afterwards"] == details(story, Oddity.CONTENT_CORRECTED)

    def test_before_the_start_nothing_is_in_production(self):
        story = of("change:CHG-1", *VOTED, mark(5), moved())

        assert ["outstanding"] == details(story, Oddity.CONTENT_CORRECTED)
        assert [] == details(story, Oddity.UNAPPROVED)


class TestTheTrail:
    def trail(self, *events):
        return decision_trail(of("change:CHG-1", *events), "CHG-1")

    def test_a_rescope_voids_votes_and_says_what_it_changed(self):
        found = self.trail(*VOTED, RESCOPED)

        (revision,) = found.revisions
        assert ("rescoped", (3,), 4, "as agreed") == (
            revision.what,
            revision.voids,
            revision.content,
            revision.why,
        )
        assert (
            Altered(field="environment", was=None, now="live"),
            Altered(field="labels", was={}, now={"team": "web"}),
        ) == revision.altered
        assert ("ann", "cem") == found.planned_by
        assert (False, 4) == (found.decisions[2].counts, found.decisions[2].lapsed_by)

    def test_is_compared_with_the_scope_and_the_plan_that_stood(self):
        revised = ChangeRevised(at=at(9), by="ann", kind=Kind.SCHEMA, risk=Risk.LOW)
        again = ChangeRescoped(at=at(10), by="ann", environment="test", labels={"team": "web"})
        plan = planned(has_rollback_plan=False)

        found = self.trail(plan, RESCOPED, revised, again)

        assert [
            (Altered(field="kind", was=Kind.DEPLOYMENT, now=Kind.SCHEMA),),
            (Altered(field="environment", was="live", now="test"),),
        ] == [one.altered for one in found.revisions[1:]]

    def test_other_words_keep_votes(self):
        found = self.trail(*VOTED, ChangeReworded(at=at(9), by="ann", title="other"))

        last = found.decisions[-1]
        assert ("reworded", ()) == (last.what, last.voids)
        assert (Altered(field="title", was="new checkout", now="other"),) == last.altered
        assert ("bea",) == found.approved_by

    def test_a_void_of_a_rescope_counts_the_votes_again(self):
        void = EventVoided(at=at(9), by="dan", version=4, status="approved")

        assert ("bea",) == self.trail(*VOTED, RESCOPED, void).approved_by

    @pytest.mark.parametrize(
        ("events", "expected"),
        [
            ((*BEGUN, mark(6), moved()), Ruling.BROKEN),
            ((*BEGUN, mark(6), moved(), RULED), Ruling.HELD),
            ((*VOTED, mark(5), moved(), RESCOPED), Ruling.NOTHING),
        ],
    )
    def test_what_was_marked_is_to_be_settled(self, events, expected):
        found = self.trail(*events)

        assert expected is found.finding(Question.SETTLED).verdict
        assert Ruling.BROKEN is found.finding(Question.ALLOWED).verdict
        assert "content as approved" in found.finding(Question.ALLOWED).reason


def test_a_deployment_that_a_source_tells_before_the_approval_here_says_which_guard_said_no():
    told = ChangeDeployed(at=at(4), by="sn", unauthorised="approved", imported=True)
    [row] = facts(of("change:CHG-1", planned(), submitted(), told)).changes
    assert row.unauthorised == ("approved",)
    assert row.authorisation == "outstanding"


def test_a_ruling_from_elsewhere_ends_nothing_that_began_here():
    ruling = ChangeApprovedRetroactively(at=at(6), by="ann", authority="peer", imported=True)
    events = (planned(), submitted(), ChangeDeployed(at=at(4), by="q", unauthorised="approved",
                                                     imported=True), ruling)  # fmt: skip
    [row] = facts(of("change:CHG-1", *events)).changes
    assert row.authorisation == "outstanding"
    live = attrs.evolve(ruling, imported=False)
    [row] = facts(of("change:CHG-1", *events, live)).changes
    assert row.authorisation == "approved afterwards"
