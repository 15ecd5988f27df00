"""Deployments of which nobody said how they went. Times are hours after `START`."""

import pytest

from imcm.domain.change_events import ChangeClosed, ChangeDeployed, ChangeFailed, CommitsRecorded
from imcm.domain.vocabulary import Commit, Outcome, Result
from imcm.projections.facts.fold import facts
from imcm.projections.figures.failures import change_failure_rate
from imcm.projections.figures.frequency import deployment_frequency
from imcm.projections.figures.lead_time import lead_time
from imcm.projections.figures.recovery import failed_deployment_recovery_time
from projections.log import at, change, deployment, log, planned

NOTE = "the outcome of 1 deployment is unknown: in production, and nobody said how it went"
MARCH = (at(-200), at(200))


def told(id, hours, *more, **fields):
    """Return a change that a source says is in production, and no more."""
    went_in = ChangeDeployed(at=at(hours), by="sn", imported=True)
    return change(id, planned(hours - 1, imported=True, **fields), went_in, *more)


def failed(id, hours):
    return change(
        id, planned(hours - 1), ChangeFailed(at=at(hours), by="ci", reached_production=True)
    )


ONE = facts(log(failed("CHG-1", 2), told("CHG-2", 4), deployment("CHG-3", 6)))


@pytest.mark.parametrize(
    ("denominator", "rate"),
    [("all", 1 / 3), ("successful", 0), ("successful_or_failed", 1 / 2), ("evaluated", 1)],
)
def test_it_is_in_no_count_of_successful_ones(denominator, rate):
    figure = change_failure_rate(ONE, denominator=denominator)
    assert rate == figure.value
    assert NOTE in figure.notes


@pytest.mark.parametrize(("count", "ids"), [("successful", ["CHG-3"]), ("not_failed", None)])
def test_frequency_of_successful_ones_says_how_many_are_unknown(count, ids):
    figure = deployment_frequency(ONE, count=count, per="window", window=MARCH)
    assert (ids or ["CHG-2", "CHG-3"]) == [one.id for one in figure.included]
    assert NOTE in figure.notes
    reasons = {one.id: one.reason for one in figure.left_out}
    assert reasons == (
        {"CHG-1": "not successful", "CHG-2": "outcome unknown"} if ids else {"CHG-1": "failed"}
    )


def test_where_nobody_asks_for_success_there_is_no_note():
    assert () == deployment_frequency(ONE, window=MARCH).notes
    assert () == lead_time(ONE, roll_forward=False).notes
    assert () == failed_deployment_recovery_time(ONE).notes


def test_a_window_without_any_has_no_note():
    assert () == change_failure_rate(ONE, window=(at(5), at(10))).notes
    assert (NOTE,) == change_failure_rate(ONE, window=(at(3), at(5))).notes


def test_several_are_counted():
    many = facts(log(told("CHG-1", 1), told("CHG-2", 2)))
    note = "the outcomes of 2 are unknown: in production, and nobody said how it went"
    assert (note,) == change_failure_rate(many).notes


def test_it_is_no_next_success():
    """Whoever failed before it recovers with the deployment that is known to have gone well."""
    figure = failed_deployment_recovery_time(ONE, recovered_by=("next_success",))
    assert 4 * 3600 == figure.value
    assert NOTE in figure.notes


def test_its_own_commits_arrive_with_it_and_those_of_a_failure_with_the_next_success():
    def with_commits(stream, name):
        id_, events = stream
        commits = CommitsRecorded(at=at(0), by="ci", commits=(Commit(id=name, committed_at=at(0)),))
        return id_, (*events, commits)

    story = log(
        with_commits(failed("CHG-1", 2), "a"),
        with_commits(told("CHG-2", 4), "b"),
        deployment("CHG-3", 6),
    )
    figure = lead_time(facts(story))
    assert [("b", 4 * 3600), ("a", 6 * 3600)] == [(one.id, one.value) for one in figure.included]
    assert NOTE in figure.notes


@pytest.mark.parametrize(
    ("result", "outcome"),
    [(Result.SUCCESSFUL, Outcome.COMPLETED), (Result.UNSUCCESSFUL, Outcome.FAILED)],
)
def test_a_close_settles_it(result, outcome):
    end = ChangeClosed(at=at(9), by="sn", result=result, imported=True)
    figure = change_failure_rate(facts(log(told("CHG-1", 4, end))))
    assert (outcome is Outcome.FAILED, ()) == (bool(figure.value), figure.notes)
