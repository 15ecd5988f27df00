"""
What the rows, the anomalies and the trail say of what was approved and what was then done.
"""

import pytest

from domain.examples import approved, at, completed, log, of, planned, started, submitted, window
from imcm.domain.change import ChangeObserved
from imcm.domain.vocabulary import Between, ChangeType
from imcm.projections.anomalies import Oddity, anomalies
from imcm.projections.facts import facts

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
