"""Deployment frequency and rework rate, against worked examples. Times are hours after `START`."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.domain.change_events import ChangeFailed, ChangeRolledBack
from imcm.domain.vocabulary import ChangeType, Mode, Verdict
from imcm.errors import InvalidValue
from imcm.projections.facts.fold import facts
from imcm.projections.figures.frequency import deployment_frequency as frequency
from imcm.projections.figures.frequency import rework_rate
from projections.log import (
    at,
    between,
    caused_by,
    change,
    deployment,
    detected,
    dismissed,
    incident,
    log,
    merged_into,
    planned,
    take,
)


def day(month, day, hour=0, year=2026):
    return datetime(year, month, day, hour, tzinfo=UTC)


def rolled_back(hours):
    return ChangeRolledBack(at=at(hours), by="ci", reached_production=True)


def ids(figure):
    return [one.id for one in figure.included]


def left_out(figure):
    return [(one.id, one.reason) for one in figure.left_out]


def deployed(*times, **fields):
    """Return a log of deployments at these times, recorded long afterwards."""
    return log(*(deployment(f"CHG-{n}", time, **fields) for n, time in enumerate(times, start=1)))


def told(figure):
    return figure.value, figure.n, figure.reason


# Monday 2 March 12:00 and 18:00, Wednesday 4 March, Tuesday 10 March, all of 2026.
FOUR = deployed(day(3, 2, 12), day(3, 2, 18), day(3, 4, 12), day(3, 10, 12))
TWO_WEEKS = (day(3, 2), day(3, 16))


@pytest.mark.parametrize("bounds", ["[)", "(]", "[]"])
def test_what_lies_on_an_edge_between_two_periods_is_in_one_of_them(bounds):
    known = facts(deployed(day(3, 2, 12), day(3, 3), day(3, 3, 12)))
    figure = frequency(known, window=(day(3, 2), day(3, 4)), bucket_by="day", bounds=bounds)

    assert (figure.n, sum(bucket.n for bucket in figure.buckets)) == (3, 3)


# --- per what -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "value", "unit"),
    [
        ({}, 4 / 14, "per day"),
        ({"per": "week"}, 2.0, "per week"),
        ({"per": "window"}, 4.0, "count"),
        ({"per": "deployment_day"}, 1.5, "deployment days per week"),  # two days, then one
        ({"per": "floor_of_bucket_mean", "bucket_by": "week"}, 2.0, "per bucket"),
        ({"per": "floor_of_bucket_mean", "bucket_by": 3}, 0.0, "per bucket"),  # 4 in 5 buckets
        ({"per": "floor_of_bucket_mean", "bucket_by": "month"}, 4.0, "per bucket"),
    ],
)
def test_deployments_are_spread_over_what_is_asked_for(definition, value, unit):
    figure = frequency(FOUR, window=TWO_WEEKS, **definition)

    assert (value, 4, unit) == (figure.value, figure.n, figure.unit)


def test_other_rates_are_told_beside_it():
    figure = frequency(FOUR, window=TWO_WEEKS)

    # Between them lie 6 hours, 42 hours and 6 days: the middle is 1.75 days.
    assert {
        "deployments per day": 4 / 14,
        "deployments per week": 2.0,
        "days with a deployment per week": 1.5,
        "median days between deployments": 1.75,
    } == figure.beside
    assert {"days with a deployment": 3} == figure.counts


@pytest.mark.parametrize(
    ("statistic", "week_starts", "value"),
    [
        # Weeks from Monday: 3 days, 0, 1 day, 0. From Sunday: 2, 1, 1, 0.
        ("mean", "monday", 1.0),
        ("median", "monday", 0.5),
        ("mean", "sunday", 1.0),
        ("median", "sunday", 1.0),
    ],
)
def test_deployment_days_are_counted_in_calendar_weeks(statistic, week_starts, value):
    """Monday 2, Wednesday 4, Sunday 8 and Tuesday 17 March, over four weeks from the 2nd."""
    story = deployed(day(3, 2), day(3, 4), day(3, 8), day(3, 17))
    window = (day(3, 2), day(3, 28)) if week_starts == "sunday" else (day(3, 2), day(3, 30))

    figure = frequency(
        story, per="deployment_day", statistic=statistic, week_starts=week_starts, window=window
    )

    assert value == figure.value


def test_a_deployment_on_a_closed_end_reaches_into_one_more_week():
    story = deployed(day(3, 2), day(3, 9))
    window = (day(3, 2), day(3, 9))

    assert 1.0 == frequency(story, per="deployment_day", window=window, bounds="[]").value
    assert 1.0 == frequency(story, per="deployment_day", window=window).value


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [("[)", ["CHG-1", "CHG-2"]), ("(]", ["CHG-2", "CHG-3"]), ("()", ["CHG-2"])],
)
def test_deployments_on_the_edges_of_the_window(bounds, expected):
    story = deployed(day(3, 2), day(3, 5), day(3, 9))

    assert expected == ids(frequency(story, window=(day(3, 2), day(3, 9)), bounds=bounds))


def test_a_mean_over_buckets_needs_buckets():
    with pytest.raises(InvalidValue, match="give bucket_by= too"):
        frequency(log(), per="floor_of_bucket_mean")


# --- which deployments ----------------------------------------------------------------------------

SOME_BAD = log(
    deployment("CHG-1", 1),
    deployment("CHG-2", 2, rolled_back(3)),
    deployment("CHG-3", 4),
    change("CHG-4", planned(4), ChangeFailed(at=at(5), by="ci", reached_production=True)),
    incident("INC-1", detected(5), caused_by("CHG-3", 6)),
    deployment("CHG-5", 40, rolled_back(41), services=("search",)),
)


@pytest.mark.parametrize(
    ("count", "expected", "out"),
    [
        ("all", ["CHG-1", "CHG-2", "CHG-3", "CHG-4"], []),
        (
            "successful",
            ["CHG-1", "CHG-3"],
            [("CHG-2", "not successful"), ("CHG-4", "not successful")],
        ),
        ("not_failed", ["CHG-1"], [("CHG-2", "failed"), ("CHG-3", "failed"), ("CHG-4", "failed")]),
    ],
)
def test_all_or_only_good_deployments_count_and_only_those_of_the_window_are_listed(
    count, expected, out
):
    figure = frequency(SOME_BAD, count=count, per="window", window=(at(0), at(24)))

    assert (expected, out) == (ids(figure), left_out(figure))


def test_a_service_without_a_good_deployment_has_a_measured_zero():
    figure = frequency(SOME_BAD, count="successful", per="window", group_by="service")

    assert [("pay", 2.0), ("search", 0.0)] == [(g.group, g.value) for g in figure.groups]


def test_what_is_no_deployment_is_listed():
    story = log(change("CHG-1", planned(1)))

    assert [("CHG-1", "not deployed (draft)")] == left_out(frequency(story))


# --- windows --------------------------------------------------------------------------------------


def test_a_year_without_deployments_is_a_measured_zero():
    story = log(deployment("CHG-1", day(6, 1, year=2025)), now=day(6, 1, year=2027))

    figure = frequency(story, window=(day(1, 1), day(1, 1, year=2027)))

    assert (0.0, 0, None) == told(figure)
    assert 0.0 == figure.interval.low
    # The exact upper limit of a count of 0 is -ln(0.025) = 3.68888.
    assert pytest.approx(3.68888 / 365, rel=1e-5) == figure.interval.high


def test_without_a_window_the_days_from_the_first_deployment_to_the_last_are_taken():
    assert (4 / 9, 4, None) == told(frequency(FOUR))  # 2 to 10 March
    assert 1.0 == frequency(deployed(day(3, 2, 23))).value


def test_without_a_window_groups_are_spread_over_the_same_days():
    story = log(
        deployment("CHG-1", day(3, 2)),
        deployment("CHG-2", day(3, 11)),
        deployment("CHG-3", day(3, 5), services=("search",)),
    )

    figure = frequency(story, group_by="service")

    assert pytest.approx(0.3) == figure.value
    assert [("pay", 0.2), ("search", 0.1)] == [(g.group, g.value) for g in figure.groups]


def test_without_a_window_the_first_and_the_last_bucket_hold_whole_days():
    story = deployed(day(3, 2, 12), day(3, 4))

    figure = frequency(story, bucket_by="day")

    assert [1.0, 0.0, 1.0] == [bucket.value for bucket in figure.buckets]
    assert (day(3, 2), day(3, 3)) == figure.buckets[0].window
    assert 2 / 3 == figure.value


def test_a_window_that_is_not_over_is_taken_up_to_as_of():
    rows = facts(FOUR, as_of=day(3, 6))

    figure = frequency(rows, window=TWO_WEEKS)

    assert 3 / 4 == figure.value  # CHG-1 to CHG-3 in four days
    assert ("the window is not over: taken up to 2026-03-06 00:00:00+00:00",) == figure.notes
    assert TWO_WEEKS == figure.window


def test_a_deployment_at_the_very_instant_of_as_of_counts_on_its_day():
    rows = facts(FOUR, as_of=day(3, 10, 12))

    assert 1.5 == frequency(rows, window=TWO_WEEKS, per="deployment_day").value


@pytest.mark.parametrize("per", ["day", "window"])
def test_a_window_that_has_not_begun_measures_nothing(per):
    rows = facts(FOUR, as_of=day(3, 2))

    figure = frequency(rows, window=TWO_WEEKS, per=per)

    assert (None, 0, "the window has not begun") == told(figure)
    assert 0.0 == frequency(rows, window=TWO_WEEKS, per=per, empty="zero").value


def test_buckets_that_have_not_begun_are_present_and_undefined():
    rows = facts(FOUR, as_of=day(3, 9))

    figure = frequency(rows, window=TWO_WEEKS, bucket_by="week")

    assert [(3 / 7, 3, None), (None, 0, "the window has not begun")] == [
        told(bucket) for bucket in figure.buckets
    ]


def test_without_window_and_deployments_a_rate_is_undefined_and_a_count_is_zero():
    story = log(change("CHG-1", planned(1)))

    assert (None, 0, "no deployments") == told(frequency(story))
    assert (0.0, 0, None) == told(frequency(story, per="window"))
    assert (0.0, 0, None) == told(frequency(story, empty="zero"))
    assert () == frequency(story, bucket_by="day").buckets


@pytest.mark.parametrize("per", ["day", "window"])
@pytest.mark.parametrize("window", [None, TWO_WEEKS])
def test_an_empty_log_measures_nothing(per, window):
    assert (None, 0, "no deployments") == told(frequency(log(), per=per, window=window))


# --- zones ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        ("UTC", 2),
        ("Pacific/Kiritimati", 1),  # UTC+14: 12:00 and 15:00 on 3 March
        ("Pacific/Pago_Pago", 1),  # UTC-11: 11:00 and 14:00 on 2 March
    ],
)
def test_days_are_those_of_the_zone(zone, days):
    """Deployed two hours before midnight UTC and one hour after it."""
    figure = frequency(deployed(day(3, 2, 22), day(3, 3, 1)), time_zone=zone)

    assert {"days with a deployment": days} == figure.counts
    assert 2 / days == figure.value


@pytest.mark.parametrize(("month", "first"), [(3, 28), (10, 24)])
def test_a_day_of_23_or_25_hours_is_one_day(month, first):
    """The clocks of Berlin change on 29 March and on 25 October 2026."""
    noons = [day(month, first + n, 11) for n in range(3)]
    story = deployed(*noons)
    zone = "Europe/Berlin"

    without = frequency(story, time_zone=zone, bucket_by="day")

    assert 1.0 == without.value
    assert [1.0, 1.0, 1.0] == [bucket.value for bucket in without.buckets]
    window = tuple(bucket.window[0] for bucket in without.buckets[:2])
    two = (window[0], without.buckets[1].window[1])
    assert 1.0 == frequency(story, time_zone=zone, window=two).value


def test_parts_of_days_count_as_such():
    figure = frequency(deployed(day(3, 2, 7)), window=(day(3, 2, 6), day(3, 3, 12)))

    assert 1 / 1.25 == figure.value


def test_an_uncertain_deployment_is_placed_by_its_midpoint_and_counted():
    story = log(deployment("CHG-1", between(0, 4)), deployment("CHG-2", 5))

    figure = frequency(story, window=(at(0), at(3)))

    assert (["CHG-1"], 1) == (ids(figure), figure.uncertain)


# --- how sure -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 9, 10, 30, 400])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_limits_are_those_of_a_poisson_count(n, level):
    chi2 = pytest.importorskip("scipy.stats").chi2
    story = deployed(*(day(3, 2) + timedelta(minutes=minute) for minute in range(n)))

    interval = frequency(story, level=level).interval  # on one day

    tail = (1 - level) / 2
    assert pytest.approx(chi2.ppf(tail, 2 * n) / 2, rel=0.01) == interval.low
    assert pytest.approx(chi2.ppf(1 - tail, 2 * n + 2) / 2, rel=0.01) == interval.high
    assert level == interval.level


def test_the_limits_of_a_rate_per_week_are_seven_times_those_per_day():
    daily = frequency(FOUR, window=TWO_WEEKS).interval
    weekly = frequency(FOUR, window=TWO_WEEKS, per="week").interval

    assert pytest.approx((7 * daily.low, 7 * daily.high)) == (weekly.low, weekly.high)
    assert "exact Poisson limits (Garwood)" == weekly.method


# --- rework rate ----------------------------------------------------------------------------------


def fixed(change_, hours=3):
    return take("link_change", hours, change=change_, verdict=Verdict.FIXED)


REWORK = log(
    deployment("CHG-1", 1),
    deployment("CHG-2", 2, type=ChangeType.EMERGENCY, incident="INC-9"),
    deployment("CHG-3", 3),
    deployment("CHG-4", 4, services=("search",)),
    deployment("CHG-5", 5, unplanned=True),
    deployment("CHG-6", 6, type=ChangeType.EMERGENCY),
    incident("INC-1", detected(2), fixed("CHG-3"), fixed("CHG-4")),
    incident("INC-2", detected(2), fixed("CHG-3"), caused_by("CHG-1", 3)),
)


@pytest.mark.parametrize(
    ("rework_by", "expected"),
    [
        (("emergency", "fixed"), ["CHG-2", "CHG-3", "CHG-4", "CHG-6"]),
        ("emergency", ["CHG-2", "CHG-6"]),
        ("fixed", ["CHG-3", "CHG-4"]),
        ("unplanned", ["CHG-5"]),
        ((), []),
    ],
)
def test_what_makes_a_deployment_rework_is_a_choice(rework_by, expected):
    figure = rework_rate(REWORK, rework_by=rework_by)

    assert expected == [one.id for one in figure.included if one.value]
    assert (len(expected) / 6, 6, len(expected)) == (
        figure.value,
        figure.n,
        figure.counts["rework"],
    )


def test_why_a_deployment_is_rework_is_told():
    figure = rework_rate(REWORK, rework_by=("emergency", "fixed", "unplanned"))

    assert [
        "",
        "emergency for INC-9",
        "fixed INC-1; fixed INC-2",
        "fixed INC-1",
        "unplanned",
        "emergency",
    ] == [one.why for one in figure.included]


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ((detected(2), fixed("CHG-1"), dismissed(4)), "dismissed (false_positive)"),
        ((detected(2, mode=Mode.DRILL), fixed("CHG-1")), "is a drill"),
        ((detected(2), fixed("CHG-1"), merged_into("INC-2", 4)), "merged into INC-2"),
    ],
)
def test_verdicts_of_incidents_that_do_not_count_make_no_rework(steps, reason):
    story = log(
        deployment("CHG-1", 1),
        incident("INC-1", *steps),
        incident("INC-3", detected(1, mode=Mode.DRILL), caused_by("CHG-1")),
        incident("INC-4", detected(1, mode=Mode.DRILL), fixed("CHG-9")),
    )

    figure = rework_rate(story)

    assert (0.0, [("INC-1", reason)]) == (figure.value, left_out(figure))


def test_without_deployments_the_rework_rate_is_undefined():
    assert (None, 0, "no deployments") == told(rework_rate(log()))
    assert (0.0, 0, None) == told(rework_rate(log(), empty="zero"))
    assert rework_rate(log()).interval is None


def test_the_rework_rate_has_windows_groups_and_buckets():
    figure = rework_rate(REWORK, window=(at(2), at(50)), group_by="service", bucket_by="day")

    # 2 March holds five, four of them rework; 3 March and the two hours of the 4th hold none.
    assert (0.8, 5) == (figure.value, figure.n)
    assert [("pay", 0.75, 4), ("search", 1.0, 1)] == [
        (g.group, g.value, g.n) for g in figure.groups
    ]
    assert [(0.8, 5), (None, 0), (None, 0)] == [(b.value, b.n) for b in figure.buckets]
    assert "Wilson score" == figure.interval.method


# --- properties -----------------------------------------------------------------------------------

DEPLOYED = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.booleans(),
        st.sampled_from([ChangeType.NORMAL, ChangeType.EMERGENCY]),
        st.sampled_from(["a", "b"]),
    ),
    max_size=8,
)
MODERATE = settings(max_examples=40, deadline=None, derandomize=True)
PER = st.sampled_from(["day", "week", "window", "deployment_day"])


def streams(drawn):
    return [
        deployment(
            f"CHG-{n}",
            start,
            *([rolled_back(start + 1)] if bad else []),
            type=type,
            services=(name,),
        )
        for n, (start, bad, type, name) in enumerate(drawn)
    ]


@MODERATE
@given(DEPLOYED, st.randoms(use_true_random=False), PER)
def test_the_order_of_arrival_never_matters(drawn, random, per):
    shuffled = random.sample(streams(drawn), k=len(drawn))
    one, other = log(*streams(drawn)), log(*shuffled)

    assert told(frequency(one, per=per)) == told(frequency(other, per=per))
    assert ids(frequency(one)) == ids(frequency(other))
    assert told(rework_rate(one)) == told(rework_rate(other))


@MODERATE
@given(DEPLOYED, PER, st.sampled_from(["day", "week", "month", 5]))
def test_the_counts_of_buckets_and_of_groups_add_up_to_the_whole(drawn, per, by):
    for function, more in ((frequency, {"per": per}), (rework_rate, {})):
        figure = function(log(*streams(drawn)), **more, bucket_by=by, group_by="service")
        assert len(drawn) == figure.n
        assert figure.n == sum(bucket.n for bucket in figure.buckets)
        assert figure.n == sum(group.n for group in figure.groups)


@MODERATE
@given(DEPLOYED)
def test_a_rate_is_a_share_and_both_follow_from_what_was_included(drawn):
    story = log(*streams(drawn))
    rework = rework_rate(story)
    values = [one.value for one in rework.included]
    count = frequency(story, per="window")

    assert rework.value is None or 0 <= rework.value <= 1
    assert (sum(values) / len(values) if values else None) == rework.value
    assert sum(one.value for one in count.included) == (count.value or 0)


@MODERATE
@given(DEPLOYED, PER)
def test_an_unrelated_service_changes_nothing(drawn, per):
    other = deployment("other", 500, type=ChangeType.EMERGENCY, services=("c",))
    alone, joined = log(*streams(drawn)), log(*streams(drawn), other)

    for function, more in ((frequency, {"per": per}), (rework_rate, {})):
        one, two = (function(story, **more, services=("a", "b")) for story in (alone, joined))
        if drawn:
            assert told(one) == told(two)
