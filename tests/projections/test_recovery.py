"""Failed deployment recovery time, against worked examples. Times are hours after `START`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.domain.change_events import (
    ChangeCompleted,
    ChangeFailed,
    ChangeRecovered,
    ChangeRolledBack,
)
from imcm.domain.incident_events import IncidentClosed, IncidentDetected, VerdictGiven
from imcm.domain.vocabulary import Mode, Severity, Verdict
from imcm.errors import InvalidValue
from imcm.projections.figures.failures import change_failure_rate
from imcm.projections.figures.recovery import FailedDeploymentRecovery
from imcm.projections.figures.recovery import failed_deployment_recovery_time as recovery
from projections.log import (
    HOUR,
    at,
    between,
    caused_by,
    change,
    deployment,
    detected,
    imported,
    incident,
    log,
    planned,
    resolved,
    triaged,
)


def rolled_back(hours):
    return ChangeRolledBack(at=at(hours), by="ci", reached_production=True)


def failed(hours):
    return ChangeFailed(at=at(hours), by="ci", reached_production=True)


def recovered(hours):
    return ChangeRecovered(at=at(hours), by="ci")


def caused(id, change_, start, end=None, **fields):
    """Return an incident caused by that change, resolved at *end* or still open."""
    steps = [detected(start, **fields), caused_by(change_, start)]
    return incident(id, *steps, *([] if end is None else [resolved(end)]))


def hours(figure):
    """Return what was counted, in hours."""
    return {one.id: one.value / HOUR for one in figure.included}


def left_out(figure):
    return [(one.id, one.reason) for one in figure.left_out]


# --- what ends it ---------------------------------------------------------------------------------


def test_it_runs_from_the_deployment_to_the_last_resolution_of_all_incidents():
    story = log(
        deployment("CHG-1", 1), caused("INC-1", "CHG-1", 2, 4), caused("INC-2", "CHG-1", 3, 9)
    )

    figure = recovery(story)

    assert (8 * HOUR, 1, "seconds") == (figure.value, figure.n, figure.unit)
    assert ["incident INC-1; incident INC-2"] == [one.why for one in figure.included]


ALL_WAYS = log(
    deployment("CHG-1", 1, rolled_back(3), recovered(4)),
    caused("INC-1", "CHG-1", 2, 7),
    deployment("CHG-2", 11),
)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (("incident", "rolled_back", "recorded"), 6),
        (("rolled_back", "incident"), 2),
        ("rolled_back", 2),
        (("recorded", "incident"), 3),
        (("next_success", "incident"), 10),
    ],
)
def test_the_first_way_to_recover_that_is_present_ends_it(order, expected):
    assert {"CHG-1": expected} == hours(recovery(ALL_WAYS, recovered_by=order))


def test_an_absent_way_to_recover_gives_way_to_the_next():
    story = log(
        deployment("CHG-1", 1, rolled_back(3)),
        change("CHG-2", planned(5, services=("search",)), failed(6), recovered(11)),
    )

    assert {"CHG-1": 2.0, "CHG-2": 5.0} == hours(recovery(story))


def test_time_to_roll_back_leaves_out_what_was_repaired_forward():
    story = log(
        deployment("CHG-1", 1, rolled_back(3)),
        deployment("CHG-2", 4),
        caused("INC-1", "CHG-2", 5, 6),
    )

    figure = recovery(story, recovered_by=("rolled_back",))

    assert {"CHG-1": 2.0} == hours(figure)
    assert [("CHG-2", "missing(recovery)")] == left_out(figure)


def test_the_next_success_is_completed_has_not_failed_and_is_of_the_same_service():
    story = log(
        deployment("CHG-1", 1, rolled_back(2)),
        deployment("CHG-2", 3, services=("search",)),
        deployment("CHG-3", 4),
        caused("INC-1", "CHG-3", 5, 6),
        deployment("CHG-4", 9),
    )

    figure = recovery(story, recovered_by="next_success")

    assert {"CHG-1": 8.0, "CHG-3": 5.0} == hours(figure)


def test_every_service_of_a_failed_deployment_must_be_deployed_well_again():
    both = deployment("CHG-1", 0, rolled_back(1), services=("pay", "search"))
    pay, search = deployment("CHG-2", 2), deployment("CHG-3", 5, services=("search",))

    assert {"CHG-1": 5.0} == hours(recovery(log(both, pay, search), recovered_by="next_success"))
    half = recovery(log(both, pay), recovered_by="next_success")
    assert [("CHG-1", "missing(recovery)")] == left_out(half)


def test_what_did_not_complete_is_no_success_even_where_it_is_no_failure():
    story = log(
        deployment("CHG-1", 1),
        caused("INC-1", "CHG-1", 1, 2),
        deployment("CHG-2", 3, rolled_back(4)),
        deployment("CHG-3", 5),
    )

    figure = recovery(story, failed_by="incident", recovered_by="next_success")

    assert {"CHG-1": 4.0} == hours(figure)


def test_deployments_without_a_service_follow_each_other():
    story = log(
        deployment("CHG-1", 1, rolled_back(2), services=()), deployment("CHG-2", 4, services=())
    )

    assert {"CHG-1": 3.0} == hours(recovery(story, recovered_by="next_success"))


def test_the_last_resolution_counts_whatever_else_is_taken_as_a_failure():
    figure = recovery(ALL_WAYS, failed_by="rolled_back")

    assert ({"CHG-1": 6.0}, ["rolled back"]) == (hours(figure), [i.why for i in figure.included])


# --- not recovered, undefined ---------------------------------------------------------------------


def test_while_one_incident_is_open_it_is_censored():
    story = log(
        deployment("CHG-1", 1),
        caused("INC-1", "CHG-1", 2, 4),
        caused("INC-2", "CHG-1", 3),
        now=11,
    )

    figure = recovery(story)

    assert (None, "all are still open", 0) == (figure.value, figure.reason, figure.n)
    assert [("CHG-1", 10 * HOUR)] == [(one.id, one.value) for one in figure.censored]
    assert [("CHG-1", "pending")] == left_out(figure)


def test_what_never_recovered_misses_its_recovery():
    closed = imported(
        "INC-1",
        IncidentDetected(at=at(7), by="desk"),
        VerdictGiven(at=None, by="desk", change="CHG-2", verdict=Verdict.CAUSED),
        IncidentClosed(at=at(8), by="desk"),
    )
    story = log(change("CHG-1", planned(1), failed(2)), deployment("CHG-2", 6), closed)

    figure = recovery(story)

    reason = "nothing to count, 2 left out: 2 missing(recovery)"
    assert (None, reason) == (figure.value, figure.reason)
    assert [("CHG-1", "missing(recovery)"), ("CHG-2", "missing(recovery)")] == left_out(figure)


def test_without_failures_it_is_undefined_unless_nothing_is_zero():
    assert (None, "nothing to count") == (recovery(log()).value, recovery(log()).reason)
    story = log(deployment("CHG-1", 1))
    assert (None, 0, ()) == (recovery(story).value, recovery(story).n, recovery(story).left_out)
    assert 0.0 == recovery(story, empty="zero").value


def test_a_recovery_before_the_deployment_is_left_out_as_negative():
    story = log(deployment("CHG-1", 5), caused("INC-1", "CHG-1", 2, 4))

    assert [("CHG-1", "negative")] == left_out(recovery(story))


def test_incidents_that_do_not_count_are_listed():
    story = log(deployment("CHG-1", 1), caused("INC-1", "CHG-1", 2, 4, mode=Mode.DRILL))

    assert [("INC-1", "is a drill")] == left_out(recovery(story))


@pytest.mark.parametrize(
    "arguments",
    [
        {"recovered_by": ()},
        {"recovered_by": "luck"},
        {"per": "day"},
        {"failures": "last"},
        {"look_back": "ever"},
    ],
)
def test_choices_that_there_are_not_are_refused(arguments):
    with pytest.raises(InvalidValue):
        FailedDeploymentRecovery(**arguments)


def test_no_look_back_is_none_and_says_so():
    assert FailedDeploymentRecovery() == FailedDeploymentRecovery(look_back=None)
    assert "null" == FailedDeploymentRecovery().shown()["look_back"]
    with pytest.raises(InvalidValue, match="None \\(from the failed deployment\\) or last_success"):
        FailedDeploymentRecovery(look_back="none")


# --- per incident ---------------------------------------------------------------------------------


def test_per_incident_each_has_its_own_resolution_and_its_own_id():
    story = log(
        deployment("CHG-1", 1),
        caused("INC-1", "CHG-1", 2, 4),
        caused("INC-2", "CHG-1", 3, 9),
        caused("INC-3", "CHG-1", 3),
        deployment("CHG-2", 10, rolled_back(11)),
        now=21,
    )

    figure = recovery(story, per="incident")

    assert {"INC-1": 3.0, "INC-2": 8.0} == hours(figure)
    assert [("INC-3", 20 * HOUR)] == [(one.id, one.value) for one in figure.censored]
    assert [("CHG-2", "no incident"), ("INC-3", "pending")] == left_out(figure)
    assert (1, 2, 3, 4, 5) == figure.included[0].positions


def test_an_incident_of_two_changes_counts_once_from_the_first():
    both = incident("INC-1", detected(3), caused_by("CHG-2", 3), caused_by("CHG-1", 3), resolved(6))
    story = log(deployment("CHG-1", 1), deployment("CHG-2", 2), both)

    assert {"INC-1": 5.0} == hours(recovery(story, per="incident"))
    assert {"CHG-1": 5.0, "CHG-2": 4.0} == hours(recovery(story))


def test_per_incident_it_can_be_grouped_by_what_incidents_have():
    story = log(
        deployment("CHG-1", 1),
        incident("INC-1", detected(2), triaged(2, Severity.P1), caused_by("CHG-1", 2), resolved(3)),
        incident("INC-2", detected(2), triaged(2, Severity.P3), caused_by("CHG-1", 2), resolved(7)),
    )

    figure = recovery(story, per="incident", group_by="severity")

    assert {"P1": 2 * HOUR, "P3": 6 * HOUR} == {g.group: g.value for g in figure.groups}


# --- runs and looking back ------------------------------------------------------------------------

RUNS = log(
    deployment("P-1", 1),
    deployment("S-1", 2, services=("search",)),
    deployment("P-2", 3, rolled_back(4)),
    deployment("S-2", 5, rolled_back(6), services=("search",)),
    deployment("P-3", 7, rolled_back(8)),
    deployment("S-3", 9, services=("search",)),
    deployment("P-4", 11),
    deployment("S-4", 12, rolled_back(15), services=("search",)),
)


def test_of_a_run_of_failures_in_one_service_only_the_first_counts():
    """P-3 follows P-2 in pay, although search failed and recovered in between."""
    figure = recovery(RUNS, failures="first_of_run", recovered_by="next_success")

    assert {"P-2": 8.0, "S-2": 4.0} == hours(figure)
    assert [
        ("P-3", "failed again, in a run that counts once"),
        ("S-4", "missing(recovery)"),
    ] == left_out(figure)


def test_each_failure_counts_by_default():
    assert {"P-2": 1.0, "P-3": 1.0, "S-2": 1.0, "S-4": 3.0} == hours(recovery(RUNS))


def test_it_can_begin_with_the_last_success_of_the_service():
    figure = recovery(RUNS, look_back="last_success")

    # P-1 at 1 to 4 and to 8; S-1 at 2 to 6; S-3 at 9 to 15.
    assert {"P-2": 3.0, "P-3": 7.0, "S-2": 4.0, "S-4": 6.0} == hours(figure)


def test_without_a_success_before_it_begins_with_its_own_deployment():
    story = log(deployment("CHG-1", 1, rolled_back(3)))

    assert {"CHG-1": 2.0} == hours(recovery(story, look_back="last_success"))


def test_its_own_deployment_places_it_in_a_window_also_where_it_looks_back():
    figure = recovery(RUNS, look_back="last_success", window=(at(3), at(4)))

    assert {"P-2": 3.0} == hours(figure)


def test_a_failure_of_two_services_is_left_out_where_both_were_failing():
    story = log(
        deployment("CHG-1", 1, rolled_back(2)),
        deployment("CHG-2", 3, rolled_back(4), services=("pay", "search")),
        deployment("CHG-3", 5, rolled_back(6), services=("pay", "search")),
    )

    assert ["CHG-1", "CHG-2"] == sorted(hours(recovery(story, failures="first_of_run")))


# --- time, windows, groups ------------------------------------------------------------------------

WINDOWED = log(
    deployment("CHG-1", 1, rolled_back(30)),
    deployment("CHG-2", 25, rolled_back(27), services=("search",)),
    deployment("CHG-3", 26, rolled_back(60)),
)


@pytest.mark.parametrize(
    ("in_window", "ids"),
    [
        ("start", ["CHG-2", "CHG-3"]),
        ("end", ["CHG-1", "CHG-2"]),
        ("either", ["CHG-1", "CHG-2", "CHG-3"]),
    ],
)
def test_the_deployment_or_the_recovery_places_it(in_window, ids):
    figure = recovery(WINDOWED, in_window=in_window, window=(at(24), at(48)))

    assert ids == sorted(hours(figure))


def test_by_default_its_population_is_that_of_the_change_failure_rate():
    window = (at(24), at(48))
    rate = change_failure_rate(WINDOWED, window=window)

    assert [i.id for i in rate.included if i.value] == sorted(
        hours(recovery(WINDOWED, window=window))
    )


def test_groups_and_buckets_have_their_own_values():
    figure = recovery(WINDOWED, group_by="service", bucket_by="day", statistic="mean")

    # 29, 2 and 34 hours; the days are 2 and 3 March.
    assert pytest.approx(65 / 3 * HOUR) == figure.value
    assert {"pay": 31.5 * HOUR, "search": 2 * HOUR} == {g.group: g.value for g in figure.groups}
    assert [29 * HOUR, 18 * HOUR] == [bucket.value for bucket in figure.buckets]
    assert [None, 2 * HOUR] == [bucket.value for bucket in figure.groups[1].buckets]


def test_readings_of_uncertain_moments_give_bounds_also_through_other_deployments():
    """Failed somewhere from 10 to 12, well again from 14 to 18, well before from 4 to 6."""
    story = log(
        deployment("CHG-0", between(4, 6)),
        deployment("CHG-1", between(10, 12), failed(13)),
        deployment("CHG-2", between(14, 18)),
    )

    after = recovery(story, recovered_by="next_success")
    assert (5 * HOUR, (2 * HOUR, 8 * HOUR), 1) == (after.value, after.bounds, after.uncertain)
    back = recovery(story, recovered_by="next_success", look_back="last_success")
    assert (11 * HOUR, (8 * HOUR, 14 * HOUR)) == (back.value, back.bounds)


def test_each_can_be_rounded():
    story = log(deployment("CHG-1", 1, rolled_back(2.75)))

    assert HOUR == recovery(story, round_each="hour_down").value


def test_inferred_causes_are_marked_and_counted_apart():
    story = log(
        deployment("CHG-1", 1),
        incident("INC-1", detected(2), resolved(5)),
        deployment("CHG-2", 6, rolled_back(7)),
    )

    figure = recovery(story, attribution="latest_before", group_by="service")

    assert {"CHG-1": 4.0, "CHG-2": 1.0} == hours(figure)
    assert {"failed by inferred cause only": 1} == figure.counts == figure.groups[0].counts
    assert ["rolled back", "incident INC-1 (inferred)"] == [one.why for one in figure.included]


# --- properties -----------------------------------------------------------------------------------

FAILURES = st.lists(
    st.tuples(st.integers(0, 90), st.integers(1, 40), st.booleans(), st.sampled_from(["a", "b"])),
    max_size=8,
)
MODERATE = settings(max_examples=40, deadline=None, derandomize=True)
WAYS = {"recovered_by": ("rolled_back", "next_success"), "failures": "first_of_run"}


def streams(drawn):
    return [
        deployment(
            f"CHG-{n}", start, *([rolled_back(start + took)] if bad else []), services=(name,)
        )
        for n, (start, took, bad, name) in enumerate(drawn)
    ]


def numbers(figure):
    return figure.value, sorted(hours(figure).items()), left_out(figure)


@MODERATE
@given(FAILURES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_never_matters(drawn, random):
    shuffled = random.sample(streams(drawn), k=len(drawn))

    assert numbers(recovery(log(*streams(drawn)), **WAYS)) == numbers(
        recovery(log(*shuffled), **WAYS)
    )


@MODERATE
@given(FAILURES)
def test_buckets_add_up_and_an_unrelated_service_changes_nothing(drawn):
    figure = recovery(log(*streams(drawn)), **WAYS, bucket_by="day")
    other = deployment("other", 20, rolled_back(30), services=("c",))
    own = recovery(log(*streams(drawn)), **WAYS, services=("a", "b"))
    with_other = recovery(log(*streams(drawn), other), **WAYS, services=("a", "b"))

    assert figure.n == sum(bucket.n for bucket in figure.buckets)
    assert numbers(own) == numbers(with_other)


@MODERATE
@given(FAILURES)
def test_the_mean_is_that_of_what_was_included(drawn):
    figure = recovery(log(*streams(drawn)), statistic="mean")
    values = [one.value for one in figure.included]

    assert (sum(values) / len(values) if values else None) == figure.value


def test_a_completion_at_the_same_instant_is_ordered_by_id():
    """CHG-2 comes after CHG-1 where both are told of the same instant."""
    same = change("CHG-2", planned(0), ChangeCompleted(at=at(1), by="ci"))
    story = log(deployment("CHG-1", 1, rolled_back(2)), same)

    assert {"CHG-1": 0.0} == hours(recovery(story, recovered_by="next_success"))


def test_what_recovered_up_to_a_minute_before_it_was_deployed_counts_as_nothing():
    ends = {"CHG-1": 60, "CHG-2": 1, "CHG-3": 61}
    story = log(
        *(
            change(id_, planned(1), ChangeCompleted(at=at(5), by="ci"), rolled_back(5 - s / HOUR))
            for id_, s in ends.items()
        )
    )
    figure = recovery(story)
    assert {"CHG-1": 0.0, "CHG-2": 0.0} == hours(figure)
    assert [("CHG-3", "negative")] == left_out(figure)
    assert ("2 end up to 60 s before the start, and count as 0",) == figure.notes
