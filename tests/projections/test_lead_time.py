"""Lead time for changes, against worked examples. Times are hours after `START`."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.domain.change_events import (
    ChangeCancelled,
    ChangeCompleted,
    ChangeFailed,
    ChangeRolledBack,
    CommitsRecorded,
    RolloutAdvanced,
)
from imcm.domain.vocabulary import Commit, Kind
from imcm.projections.figures.lead_time import lead_time
from projections.log import HOUR, at, between, change, deployment, log, planned


def commit(id, committed=None, **fields):
    times = {name: at(value) for name, value in fields.items() if name != "pull_request"}
    request = fields.get("pull_request")
    return Commit(id=id, committed_at=at(committed), pull_request=request, **times)


def brought(id, hours, *commits, outcome=None, **fields):
    """Return a deployment that brought these commits, and how it went on."""
    more = [] if outcome is None else [outcome]
    return deployment(id, hours, with_(*commits), *more, **fields)


def with_(*commits):
    return CommitsRecorded(at=at(-100), by="ci", commits=commits)


def rolled_back(hours):
    return ChangeRolledBack(at=at(hours), by="ci", reached_production=True)


def failed(hours):
    return ChangeFailed(at=at(hours), by="ci", reached_production=True)


def hours(figure):
    """Return what was counted, in hours."""
    return {one.id: one.value / HOUR for one in figure.included}


def left_out(figure):
    return [(one.id, one.reason) for one in figure.left_out]


# --- units and starts -----------------------------------------------------------------------------

UNITS = log(
    brought(
        "CHG-1",
        10,
        commit("a", 2, pull_request="7"),
        commit("b", 4, pull_request="7"),
        commit("c", 9, pull_request="8"),
        commit("d", 6),
    ),
    brought("CHG-2", 20, commit("e", 19, pull_request="7")),
)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("commit", {"a": 8, "b": 6, "c": 1, "d": 4, "e": 1}),
        ("change", {"CHG-1": 8, "CHG-2": 1}),
        ("pull_request", {"7": 8, "8": 1}),
    ],
)
def test_what_counts_is_a_commit_a_change_or_a_pull_request(unit, expected):
    assert expected == hours(lead_time(UNITS, unit=unit))


def test_a_pull_request_counts_once_and_commits_without_one_are_left_out():
    figure = lead_time(UNITS, unit="pull_request")

    assert [("7", "brought by CHG-1 before"), ("d", "no pull request")] == left_out(figure)


def test_the_median_of_an_even_count_lies_between_the_middle_two():
    story = log(brought("CHG-1", 10, *(commit(f"{n}", 10 - n) for n in (1, 2, 4, 8))))

    figure = lead_time(story)

    assert (3 * HOUR, 4, "seconds") == (figure.value, figure.n, figure.unit)
    assert 2 * HOUR == lead_time(story, statistic="median_low").value


@pytest.mark.parametrize(
    ("start", "expected"), [("committed", 6), ("authored", 9), ("opened", 5), ("merged", 2)]
)
def test_it_starts_with_one_of_four_moments(start, expected):
    one = commit("a", 4, authored_at=1, opened_at=5, merged_at=8, pull_request="7")

    assert expected * HOUR == lead_time(log(brought("CHG-1", 10, one)), start=start).value


def test_a_commit_without_the_moment_is_left_out():
    story = log(brought("CHG-1", 10, commit("a", 4), commit("b")))

    assert [("b", "missing(committed)")] == left_out(lead_time(story))
    assert {"CHG-1": 6.0} == hours(lead_time(story, unit="change"))
    assert (None, "nothing to count, 2 left out: 2 missing(merged)") == (
        lead_time(story, start="merged").value,
        lead_time(story, start="merged").reason,
    )


def test_changes_without_commits_are_left_out():
    story = log(
        deployment("CHG-1", 1),
        deployment("CHG-2", 2, rolled_back(3)),
        brought("CHG-3", 4, commit("a", 3)),
    )

    for unit in ("commit", "change", "pull_request"):
        out = left_out(lead_time(story, unit=unit))
        assert [("CHG-1", "no commits"), ("CHG-2", "no commits")] == out[:2]


def test_an_empty_log_has_no_lead_time():
    assert (None, 0) == (lead_time(log()).value, lead_time(log()).n)
    assert 0.0 == lead_time(log(), empty="zero").value


# --- rolling forward ------------------------------------------------------------------------------

FORWARD = log(
    brought("CHG-1", 10, commit("a", 8), outcome=rolled_back(11)),
    change("CHG-2", planned(11), with_(commit("b", 9)), failed(12)),
    brought("CHG-3", 13, commit("s", 12), services=("search",)),
    brought("CHG-4", 20, commit("a", 8), commit("c", 18)),
)


def test_commits_of_failed_deployments_roll_forward_to_the_next_success_of_the_service():
    figure = lead_time(FORWARD)

    assert {"a": 12.0, "b": 11.0, "c": 2.0, "s": 1.0} == hours(figure)
    assert [] == left_out(figure)


def test_a_success_brings_what_failed_before_it_as_one_change():
    assert {"CHG-3": 1.0, "CHG-4": 12.0} == hours(lead_time(FORWARD, unit="change"))


def aborted(id, hours, *commits, reached=False, **fields):
    """Return a change that was given up before anything of it came into production."""
    ended = ChangeFailed(at=at(hours), by="ci", reached_production=reached)
    return change(id, planned(0, **fields), with_(*commits), ended)


def cancelled(id, hours, *commits, **fields):
    ended = ChangeCancelled(at=at(hours), by="ann")
    return change(id, planned(0, **fields), with_(*commits), ended)


def test_commits_of_what_never_came_into_production_roll_forward():
    """Aborted, rolled back before anything was out, or cancelled: they come with what follows."""
    nothing_out = ChangeRolledBack(at=at(8), by="ci", reached_production=False)
    story = log(
        aborted("CHG-1", 5, commit("a", 1)),
        change("CHG-2", planned(0), with_(commit("b", 2)), nothing_out),
        cancelled("CHG-3", 9, commit("c", 3)),
        brought("CHG-4", 20, commit("d", 18)),
        aborted("CHG-5", 30, commit("e", 29)),
        change("CHG-6", planned(0), with_(commit("f", 1))),
        aborted("CHG-7", 5, commit("g", 1), kind=Kind.ROLLBACK),
        aborted("CHG-8", 5, commit("h", 1), environment="staging"),
        aborted("CHG-9", None, commit("i", 1)),
    )

    assert {"a": 19.0, "b": 18.0, "c": 17.0, "d": 2.0, "i": 19.0} == hours(lead_time(story))
    assert {"CHG-4": 19.0} == hours(lead_time(story, unit="change"))
    assert {"d": 2.0} == hours(lead_time(story, roll_forward=False))
    assert {} == hours(lead_time(story, kinds=["schema"]))
    whose = {one.id: one.positions for one in lead_time(story).included}
    assert (*range(1, 13), 24, 25, 26) == whose["a"]


def test_what_never_came_into_production_lands_in_its_own_service_by_time_and_id():
    story = log(
        aborted("CHG-2", 10, commit("a", 1), commit("x", 0)),
        brought("CHG-1", 10, commit("b", 9)),
        brought("CHG-3", 12, commit("s", 11), services=("search",)),
        change("CHG-4", planned(11), with_(commit("d", 9)), failed(13)),
        brought("CHG-5", 20, commit("x", 19), outcome=None, services=("pay", "search")),
        brought("CHG-6", 30, commit("a", 1)),
    )

    found = {"a": 19.0, "b": 1.0, "s": 1.0, "d": 11.0, "x": 1.0}
    assert found == hours(lead_time(story))
    out = [("CHG-2", "reached nothing"), ("a", "brought by CHG-5 before")]
    assert out == left_out(lead_time(story))


def test_without_rolling_forward_commits_count_where_they_were_first_tried():
    figure = lead_time(FORWARD, roll_forward=False)

    assert {"a": 2.0, "b": 3.0, "c": 2.0, "s": 1.0} == hours(figure)
    assert [("a", "brought by CHG-1 before")] == left_out(figure)


def test_without_a_success_that_follows_commits_are_not_in_production():
    story = log(
        brought("CHG-1", 10, commit("a", 8)),
        brought("CHG-2", 20, commit("b", 8), outcome=rolled_back(21)),
        brought("CHG-3", 30, commit("c", 29), services=("search",)),
    )

    figure = lead_time(story)

    assert {"a": 2.0, "c": 1.0} == hours(figure)
    assert [("CHG-2", "failed, and no successful deployment followed")] == left_out(figure)


def test_a_success_without_commits_of_its_own_brings_those_that_failed():
    story = log(
        brought("CHG-1", 10, commit("a", 8), outcome=rolled_back(11)), deployment("CHG-2", 15)
    )

    for unit, id in (("commit", "a"), ("change", "CHG-2")):
        figure = lead_time(story, unit=unit)
        assert ({id: 7.0}, []) == (hours(figure), left_out(figure))


def test_a_roll_back_counted_as_a_deployment_brings_no_commits_in():
    story = log(
        brought("CHG-1", 10, commit("a", 8), outcome=rolled_back(11)),
        deployment("CHG-2", 11, kind=Kind.ROLLBACK),
        deployment("CHG-3", 15),
    )

    assert {"a": 7.0} == hours(lead_time(story, rollbacks="count"))


def test_deployments_without_a_service_and_of_several_roll_forward_to_the_first_that_follows():
    nameless = [
        brought("CHG-1", 1, commit("a", 0), outcome=rolled_back(2), services=()),
        deployment("CHG-2", 4, services=()),
    ]
    several = [
        brought("CHG-3", 1, commit("b", 0), outcome=rolled_back(2), services=("pay", "search")),
        deployment("CHG-4", 6, services=("search",)),
        deployment("CHG-5", 8),
    ]

    assert {"a": 4.0, "b": 6.0} == hours(lead_time(log(*nameless, *several)))


def test_the_same_commit_counts_at_its_first_deployment_only():
    story = log(brought("CHG-1", 10, commit("a", 8)), brought("CHG-2", 20, commit("a", 8)))

    figure = lead_time(story)

    assert ({"a": 2.0}, [("a", "brought by CHG-1 before")]) == (hours(figure), left_out(figure))
    assert {"CHG-1": 2.0} == hours(lead_time(story, unit="change"))


def test_a_commit_that_failed_in_one_service_counts_where_another_brought_it_first():
    """It failed in pay at 10 and came back there at 30, but search had it at 20."""
    story = log(
        brought("CHG-1", 10, commit("a", 8), outcome=rolled_back(11)),
        brought("CHG-2", 20, commit("a", 8), services=("search",)),
        deployment("CHG-3", 30),
    )

    assert {"a": 12.0} == hours(lead_time(story))


def test_the_same_instant_is_ordered_by_id():
    story = log(
        brought("CHG-1", 10, commit("a", 8), outcome=rolled_back(11)),
        change("CHG-2", planned(9), ChangeCompleted(at=at(10), by="ci")),
    )

    assert {"a": 2.0} == hours(lead_time(story))


# --- clocks that were wrong -----------------------------------------------------------------------

WRONG = log(brought("CHG-1", 10, commit("a", 12), commit("b", 10), commit("c", 7)))


@pytest.mark.parametrize(
    ("negative", "expected", "out"),
    [
        ("leave_out", {"b": 0, "c": 3}, [("a", "negative")]),
        ("leave_out_zero_too", {"c": 3}, [("a", "negative"), ("b", "zero")]),
    ],
)
def test_negative_and_zero_are_counted_or_listed(negative, expected, out):
    figure = lead_time(WRONG, negative=negative)

    assert (expected, out) == (hours(figure), left_out(figure))


def test_what_is_still_rolled_out_brings_its_own_commits_and_no_others():
    """How a rollout ends is not known yet: what failed before it waits for a success."""
    rollout = RolloutAdvanced(at=at(12), by="ci", percent=5.0)
    story = log(
        brought("CHG-1", 10, commit("a", 8), outcome=failed(11)),
        change("CHG-2", planned(9), with_(commit("b", 9)), rollout),
    )

    figure = lead_time(story)

    assert {"b": 3.0} == hours(figure)
    assert [("CHG-1", "failed, and no successful deployment followed")] == left_out(figure)


def test_of_deployments_of_one_commit_each_the_negative_one_is_listed():
    story = log(
        brought("CHG-1", 10, commit("a", 12)),
        brought("CHG-2", 20, commit("b", 18)),
        brought("CHG-3", 20, commit("c")),
    )

    figure = lead_time(story)

    assert {"b": 2.0} == hours(figure)
    assert [("a", "negative"), ("c", "missing(committed)")] == left_out(figure)


def test_a_single_commit_made_after_its_deployment_is_listed_and_counts_as_brought():
    story = log(brought("CHG-1", 10, commit("a", 12)), brought("CHG-2", 20, commit("a", 12)))

    figure = lead_time(story)

    assert (0, [("a", "negative"), ("a", "brought by CHG-1 before")]) == (
        figure.n,
        [(one.id, one.reason) for one in figure.left_out],
    )


def test_zero_is_included_with_the_negative():
    story = log(brought("CHG-1", 10, commit("b", 10), commit("c", 8)))

    assert HOUR == lead_time(story, negative="include").value


def test_negative_ones_can_be_included():
    figure = lead_time(WRONG, negative="include", statistic="mean")

    assert {"a": -2.0, "b": 0.0, "c": 3.0} == hours(figure)
    assert HOUR / 3 == pytest.approx(figure.value)


# --- offsets and daylight saving ------------------------------------------------------------------


def test_commits_of_several_offsets_are_compared_as_instants():
    """10:00 in New York is 15:00 in London: of the change the commit in Kolkata is the first."""
    kolkata = timezone(timedelta(hours=5, minutes=30))
    story = log(
        brought(
            "CHG-1",
            datetime(2026, 3, 2, 18, 0, tzinfo=UTC),
            commit("k", datetime(2026, 3, 2, 19, 30, tzinfo=kolkata)),  # 14:00 UTC
            commit("n", datetime(2026, 3, 2, 10, 0, tzinfo=timezone(timedelta(hours=-5)))),
            commit("u", datetime(2026, 3, 2, 16, 0, tzinfo=UTC)),
        )
    )

    assert {"k": 4.0, "n": 3.0, "u": 2.0} == hours(lead_time(story))
    assert {"CHG-1": 4.0} == hours(lead_time(story, unit="change"))


@pytest.mark.parametrize(("month", "day", "expected"), [(3, 29, 23.0), (10, 25, 25.0)])
def test_a_night_in_which_clocks_change_is_an_hour_shorter_or_longer(month, day, expected):
    berlin = ZoneInfo("Europe/Berlin")
    noon = datetime(2026, month, day, 12, tzinfo=berlin)
    before = datetime(2026, month, day - 1, 12, tzinfo=berlin)

    story = log(brought("CHG-1", noon, commit("a", before)))

    assert {"a": expected} == hours(lead_time(story))


def test_an_uncertain_deployment_gives_bounds():
    story = log(brought("CHG-1", between(10, 14), commit("a", 11)))

    figure = lead_time(story)

    # From 11 to 12, the midpoint; at the earliest it was not yet made: 0; at the latest 3 hours.
    assert (HOUR, (0.0, 3 * HOUR), 1) == (figure.value, figure.bounds, figure.uncertain)
    # Where what is negative counts, too, so does the reading in which it came before its commit.
    assert (-HOUR, 3 * HOUR) == lead_time(story, negative="include").bounds


def test_each_can_be_rounded():
    story = log(brought("CHG-1", 10, commit("a", 7.25)))

    assert 2 * HOUR == lead_time(story, round_each="hour_down").value


# --- groups and periods ---------------------------------------------------------------------------


def test_the_deployment_places_a_commit_in_a_period():
    story = log(brought("CHG-1", 10, commit("a", 1)), brought("CHG-2", 20, commit("b", 9)))

    assert {"a": 9.0} == hours(lead_time(story, window=(at(10), at(20))))
    assert {} == hours(lead_time(story, window=(at(0), at(10))))


def test_what_is_left_out_of_another_period_is_not_listed_here():
    story = log(deployment("CHG-1", 5), deployment("CHG-2", 15))

    assert [("CHG-2", "no commits")] == left_out(lead_time(story, window=(at(10), at(20))))


def test_groups_have_their_own_values():
    story = log(
        brought("CHG-1", 10, commit("a", 8), commit("b", 4)),
        brought("CHG-2", 20, commit("c", 19), services=("pay", "search")),
    )

    figure = lead_time(story, group_by="service")

    assert 2 * HOUR == figure.value
    assert {"pay": (2 * HOUR, 3), "search": (HOUR, 1)} == {
        group.group: (group.value, group.n) for group in figure.groups
    }


def test_months_without_deployments_are_present_and_undefined():
    """Deployed on 2 March and, 60 days later, on 1 May."""
    story = log(brought("CHG-1", 10, commit("a", 8)), brought("CHG-2", 1440, commit("b", 1439)))

    figure = lead_time(story, bucket_by="month")

    assert [(2 * HOUR, 1), (None, 0), (HOUR, 1)] == [(b.value, b.n) for b in figure.buckets]


# --- properties -----------------------------------------------------------------------------------

DEPLOYED = st.lists(
    st.tuples(
        st.integers(0, 90),
        st.lists(st.integers(0, 9), max_size=3, unique=True),
        st.booleans(),
        st.sampled_from(["a", "b"]),
    ),
    max_size=7,
)
MODERATE = settings(max_examples=40, deadline=None, derandomize=True)


def streams(drawn):
    return [
        brought(
            f"CHG-{n}",
            start,
            *(commit(f"{name}{i}", i) for i in ids),
            outcome=rolled_back(start + 1) if bad else None,
            services=(name,),
        )
        for n, (start, ids, bad, name) in enumerate(drawn)
    ]


def numbers(figure):
    return figure.value, sorted(hours(figure).items()), sorted(left_out(figure))


@MODERATE
@given(DEPLOYED, st.randoms(use_true_random=False), st.sampled_from(["commit", "change"]))
def test_the_order_of_arrival_never_matters(drawn, random, unit):
    shuffled = random.sample(streams(drawn), k=len(drawn))

    assert numbers(lead_time(log(*streams(drawn)), unit=unit)) == numbers(
        lead_time(log(*shuffled), unit=unit)
    )


@MODERATE
@given(DEPLOYED)
def test_buckets_add_up_and_an_unrelated_service_changes_nothing(drawn):
    figure = lead_time(log(*streams(drawn)), bucket_by="day")
    other = brought("other", 50, commit("o", 1), services=("c",))
    own = lead_time(log(*streams(drawn)), services=("a", "b"))
    with_other = lead_time(log(*streams(drawn), other), services=("a", "b"))

    assert figure.n == sum(bucket.n for bucket in figure.buckets)
    assert numbers(own) == numbers(with_other)


@MODERATE
@given(DEPLOYED)
def test_each_commit_counts_once_and_the_mean_is_that_of_what_was_included(drawn):
    figure = lead_time(log(*streams(drawn)), statistic="mean")
    values = [one.value for one in figure.included]

    assert len(values) == len({one.id for one in figure.included})
    assert (sum(values) / len(values) if values else None) == figure.value


@pytest.mark.parametrize(
    ("negative", "expected", "out"),
    [
        ("leave_out", {"a": 0.0, "b": 0.0, "d": 1.0}, [("c", "negative")]),
        ("leave_out_zero_too", {"d": 1.0}, [("a", "zero"), ("b", "zero"), ("c", "negative")]),
        ("include", {"a": -60 / HOUR, "b": -1 / HOUR, "c": -61 / HOUR, "d": 1.0}, []),
    ],
)
def test_a_commit_up_to_a_minute_after_its_deployment_counts_as_nothing(negative, expected, out):
    late = {"a": 60, "b": 1, "c": 61}
    story = log(
        *(brought(f"CHG-{id_}", 4, commit(id_, 4 + s / HOUR)) for id_, s in late.items()),
        brought("CHG-d", 4, commit("d", 3)),
    )
    for unit in ("commit", "change"):
        figure = lead_time(story, negative=negative, unit=unit)
        names = {
            id_ if unit == "commit" else f"CHG-{id_}": value for id_, value in expected.items()
        }
        assert names == pytest.approx(hours(figure))
        assert [why for _, why in out] == [why for _, why in left_out(figure)]
        told = ("2 end up to 60 s before the start, and count as 0",)
        assert figure.notes == (told if negative == "leave_out" else ())


def test_an_uncertain_deployment_a_little_before_its_commit_counts_as_nothing():
    rough = between(4 - 40 / HOUR, 4 + 20 / HOUR)
    story = log(brought("CHG-1", rough, commit("a", 4)))
    figure = lead_time(story)
    assert (0.0, 1, 1) == (figure.value, figure.uncertain, len(figure.notes))
    assert pytest.approx((0.0, 20.0)) == figure.bounds


def test_commits_of_what_was_cancelled_roll_forward_from_the_latest_moment_known_of_it():
    """Nobody says when it was cancelled: then from when it was planned, or from its last commit."""
    given_up = ChangeCancelled(at=None, by="ann", imported=True)
    for planned_at in (None, 1):
        story = log(
            brought("CHG-1", 1, commit("a", 0)),
            change("CHG-2", planned(planned_at), with_(commit("b", 2)), given_up),
            brought("CHG-3", 9, commit("c", 8)),
        )
        assert hours(lead_time(story)) == {"a": 1, "b": 7, "c": 1}
