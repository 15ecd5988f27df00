"""
Survival curves and the log-rank test: a textbook trial, other libraries, properties.

The other libraries are oracles only; where one is not installed its tests are skipped.
"""

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcm.errors import InvalidValue
from imcm.projections.statistics.intervals import Interval
from imcm.projections.statistics.survival import RestrictedMean, kaplan_meier, log_rank

DATA_SETS = 200

# Importing and calling the oracles raises warnings of their own, which are not our business.
oracle = pytest.mark.filterwarnings("ignore")

# Weeks of remission of 21 leukaemia patients under treatment and 21 under placebo (Freireich and
# others 1963), the example of most textbooks. A minus sign marks a censored duration.
TREATED = [6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]

rows = st.lists(
    st.tuples(st.integers(min_value=0, max_value=30), st.booleans()), min_size=1, max_size=40
)
float_rows = st.lists(
    st.tuples(st.floats(min_value=0, max_value=1e12), st.booleans()), min_size=1, max_size=40
)


def close(value):
    return pytest.approx(value, rel=1e-9, abs=1e-12)


def library(name):
    return pytest.importorskip(name, reason=f"{name} is only an oracle and is not installed")


def columns(marked):
    return [abs(weeks) for weeks in marked], [weeks > 0 for weeks in marked]


def random_columns(random, n):
    largest = random.choice([8, 40, 10**6])
    censoring = random.choice([0.0, 0.2, 0.6])
    durations = [random.randint(1, largest) for _ in range(n)]
    observed = [random.random() >= censoring for _ in range(n)]
    # One end at least, or there is nothing to compare.
    observed[0] = True
    return durations, observed


def first_down_to(share, times, curve):
    return next((t for t, height in zip(times, curve, strict=True) if height <= share), None)


def is_near(share, curve):
    return any(abs(height - share) < 1e-9 for height in curve)


class TestCurve:
    def test_the_textbook_curve(self):
        """The published survival of the treated, at each duration with an end."""
        curve = kaplan_meier(*columns(TREATED))
        shares = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
        for weeks, share in shares.items():
            assert round(curve.survival_at(weeks), 3) == share
        assert curve.times[:3] == (6.0, 7.0, 9.0)
        assert curve.at_risk[:3] == (21, 17, 16)
        assert curve.events[:3] == (3, 1, 0)
        assert curve.censored[:3] == (1, 0, 1)

    def test_the_textbook_medians(self):
        """Medians and intervals as published: 23 (13, none) and 8 (4, 11)."""
        treated, placebo = kaplan_meier(*columns(TREATED)), kaplan_meier(*columns(PLACEBO))
        method = "Brookmeyer-Crowley, log-log"
        assert (treated.median, placebo.median) == (23.0, 8.0)
        assert treated.median_interval() == Interval(low=13.0, high=None, level=0.95, method=method)
        assert placebo.median_interval() == Interval(low=4.0, high=11.0, level=0.95, method=method)

    def test_three_rows_by_hand(self):
        """One ends at 1, one is censored at 2, one ends at 3."""
        curve = kaplan_meier([1, 2, 3], [True, False, True], level=0.9)
        share = 2 / 3
        factor = math.exp(1.6448536269514722 * math.sqrt(1 / 6) / -math.log(share))
        bounds = (close(share**factor), close(share ** (1 / factor)))
        assert (1.0, 2.0, 3.0) == curve.times
        assert (3, 2, 1) == curve.at_risk
        assert (1, 0, 1) == curve.events
        assert (0, 1, 0) == curve.censored
        assert (share, share, 0.0) == curve.survival
        assert (bounds[0], bounds[0], None) == curve.low
        assert (bounds[1], bounds[1], None) == curve.high

    @given(rows)
    def test_the_median_and_the_area_are_those_of_the_columns(self, sample):
        """Both are found without the columns, from the stretches between censored durations."""
        curve = kaplan_meier(*zip(*sample, strict=True))
        heights = zip(curve.times, curve.survival, strict=True)
        assert curve.median == next((t for t, s in heights if s <= 0.5 * (1 + 1e-12)), None)
        for horizon in (0.5, 3.0, 7.0, 40.0):
            expected = curve.restricted_mean(horizon).value
            assert curve.area(horizon) == (None if expected is None else close(expected))

    def test_censored_ones_last_longer_than_those_that_end_at_the_same_time(self):
        """A censored one is still at risk when others end at its duration."""
        curve = kaplan_meier([5, 5, 5, 5], [True, False, True, False])
        assert (curve.at_risk, curve.survival) == ((4,), (0.5,))

    def test_before_the_first_end_all_last(self):
        """While only censored durations have passed the share and its bounds are 1."""
        curve = kaplan_meier([1, 2, 3], [False, True, True])
        assert (curve.survival[0], curve.low[0], curve.high[0]) == (1.0, 1.0, 1.0)

    def test_the_share_between_and_beyond(self):
        """It is 1 before the first row, holds between rows, and stays 0 once it is 0."""
        curve = kaplan_meier([2, 4], [True, True])
        assert [curve.survival_at(t) for t in (-1, 0, 1.9, 2, 3, 4, 99)] == [
            1,
            1,
            1,
            0.5,
            0.5,
            0,
            0,
        ]

    def test_the_share_is_unknown_beyond_what_was_followed(self):
        """After the last duration, if that was censored, nothing is known."""
        curve = kaplan_meier([2, 4], [True, False])
        assert (curve.survival_at(4), curve.survival_at(4.1)) == (0.5, None)

    def test_without_rows_nothing_is_known(self):
        """An empty sample has a curve without rows, and everything of it is undefined."""
        curve = kaplan_meier([], [])
        assert curve.times == ()
        assert curve.survival_at(0) is None
        assert (curve.median, curve.quantile(0.9)) == (None, None)
        interval = curve.median_interval()
        assert (interval.low, interval.high) == (None, None)
        assert curve.restricted_mean(1).value is None

    def test_a_median_that_is_never_reached(self):
        """While more than half are still open there is no median."""
        curve = kaplan_meier([1, 2, 3], [True, False, False])
        assert (curve.median, curve.quantile(0.25)) == (None, 1.0)

    def test_a_share_reached_by_way_of_products_counts_as_reached(self):
        """4/5 times 5/8 is a half on paper, whatever floats make of it."""
        durations = [1, 1, 2, 3, 3, 3, 4, 4, 4, 4, 4]
        observed = [True, True, False, True, True, True, False, False, False, False, False]
        curve = kaplan_meier(durations, observed)
        assert curve.survival[2] == pytest.approx(9 / 11 * 5 / 8, rel=1e-15)
        assert curve.quantile(1 - 9 / 11 * 5 / 8) == 3.0

    @oracle
    def test_agrees_with_lifelines(self):
        """Curve, counts, bands, medians and areas are those of lifelines."""
        lifelines, utils = library("lifelines"), library("lifelines.utils")
        random = Random(1)
        compared = 0
        for _ in range(DATA_SETS):
            durations, observed = random_columns(random, random.randint(2, 60))
            level = random.choice([0.8, 0.9, 0.95, 0.99])
            curve = kaplan_meier(durations, observed, level=level)
            fitted = lifelines.KaplanMeierFitter(alpha=1 - level).fit(durations, observed)
            table = fitted.event_table.iloc[1:]
            assert curve.times == tuple(table.index)
            assert curve.at_risk == tuple(table["at_risk"])
            assert curve.events == tuple(table["observed"])
            assert curve.censored == tuple(table["censored"])
            survival = [float(height) for height in fitted.survival_function_.to_numpy()[1:, 0]]
            assert curve.survival == close(tuple(survival))
            lows, highs = fitted.confidence_interval_.iloc[1:].to_numpy().T.tolist()
            # At 0 lifelines prints a band from 0 to 0; it is undefined there.
            inside = [row for row, height in enumerate(survival) if height > 0]
            times, lows, highs = (
                tuple(column[row] for row in inside) for column in (curve.times, lows, highs)
            )
            assert tuple(curve.low[row] for row in inside) == close(lows)
            assert tuple(curve.high[row] for row in inside) == close(highs)
            if not is_near(0.5, survival):
                median = fitted.median_survival_time_
                assert curve.median == (None if math.isinf(median) else median)
                interval = curve.median_interval()
                assert interval.low == first_down_to(0.5, times, lows)
                assert interval.high == first_down_to(0.5, times, highs)
                compared += 1
            horizon = random.uniform(0.1, 1) * max(durations)
            area = utils.restricted_mean_survival_time(fitted, t=horizon)
            assert curve.restricted_mean(horizon).value == close(float(area))
        assert compared > DATA_SETS / 2

    @oracle
    def test_agrees_with_statsmodels(self):
        """Curve, counts at ends, and Greenwood's error as the bands imply it, are its own."""
        duration_module = library("statsmodels.duration.survfunc")
        random = Random(2)
        for _ in range(DATA_SETS):
            durations, observed = random_columns(random, random.randint(2, 60))
            curve = kaplan_meier(durations, observed)
            fitted = duration_module.SurvfuncRight(durations, observed)
            ends = [row for row, events in enumerate(curve.events) if events]
            assert [curve.times[row] for row in ends] == list(fitted.surv_times)
            assert [curve.at_risk[row] for row in ends] == list(fitted.n_risk)
            assert [curve.survival[row] for row in ends] == close(list(fitted.surv_prob))
            for row, error in zip(ends, fitted.surv_prob_se, strict=True):
                height = curve.survival[row]
                if height > 0:
                    ratio = math.log(math.log(curve.low[row]) / math.log(height))
                    implied = ratio * -math.log(height) * height / 1.959963984540054
                    assert implied == pytest.approx(float(error), rel=1e-9)

    @given(durations=st.lists(st.integers(0, 20), min_size=1, max_size=60))
    def test_without_censoring_it_is_the_share_that_lasts_longer(self, durations):
        """To the last digit, at every duration."""
        curve = kaplan_meier(durations, [True] * len(durations))
        for t in range(-1, 22):
            longer = sum(duration > t for duration in durations)
            assert curve.survival_at(t) == longer / len(durations)

    @given(table=rows | float_rows, random=st.randoms(use_true_random=False))
    def test_order_does_not_matter(self, table, random):
        """Shuffled rows give the same curve to the last digit."""
        shuffled = list(table)
        random.shuffle(shuffled)
        assert kaplan_meier(*zip(*shuffled, strict=True)) == kaplan_meier(*zip(*table, strict=True))

    @given(table=rows | float_rows, level=st.sampled_from([0.5, 0.95, 0.999]))
    def test_it_falls_from_1_within_its_bands(self, table, level):
        """The share never rises, stays within 0 and 1, and the bands lie around it."""
        curve = kaplan_meier(*zip(*table, strict=True), level=level)
        assert list(curve.survival) == sorted(curve.survival, reverse=True)
        assert curve.at_risk[0] == len(table)
        assert sum(curve.events) + sum(curve.censored) == len(table)
        for low, share, high in zip(curve.low, curve.survival, curve.high, strict=True):
            if low is None:
                assert (share, high) == (0.0, None)
            else:
                assert 0 <= low <= share * (1 + 1e-15)
                assert share * (1 - 1e-15) <= high <= 1

    @given(table=rows | float_rows, p=st.sampled_from([0.1, 0.5, 0.9]))
    def test_the_interval_holds_the_quantile(self, table, p):
        """The quantile lies between its bounds, where it and they exist."""
        curve = kaplan_meier(*zip(*table, strict=True))
        value, interval = curve.quantile(p), curve.quantile_interval(p)
        if value is not None and interval.low is not None:
            assert interval.low <= value
        if interval.high is not None:
            assert value <= interval.high

    @given(table=rows)
    def test_what_is_still_open_never_shortens(self, table):
        """Reading every open one as ended gives a curve that is nowhere higher."""
        durations, observed = zip(*table, strict=True)
        curve = kaplan_meier(durations, observed)
        naive = kaplan_meier(durations, [True] * len(durations))
        for share, lower in zip(curve.survival, naive.survival, strict=True):
            assert lower <= share * (1 + 1e-12)


class TestRestrictedMean:
    def test_without_censoring_it_is_the_mean_of_what_is_cut_off(self):
        """Of 1, 2, 6 cut off at 4 the mean is 7/3, and the variance that of the three over 3."""
        result = kaplan_meier([1, 2, 6], [True] * 3).restricted_mean(4)
        mean = 7 / 3
        variance = ((1 - mean) ** 2 + (2 - mean) ** 2 + (4 - mean) ** 2) / 9
        half = 1.959963984540054 * math.sqrt(variance)
        assert (result.value, result.variance) == (close(mean), close(variance))
        assert result.interval.low == close(mean - half)
        assert result.interval.high == close(mean + half)
        assert result.interval.method == "normal, Greenwood variance"

    def test_the_interval_stays_from_0_to_the_horizon(self):
        """No duration cut off at the horizon is longer than it or negative."""
        high = kaplan_meier([1, 9, 9, 9], [True] * 4).restricted_mean(8).interval
        low = kaplan_meier([1, 1, 9], [True] * 3).restricted_mean(8).interval
        assert (high.high, low.low) == (8.0, 0.0)

    def test_beyond_what_was_followed_it_is_unknown(self):
        """After the last duration, if that was censored, the area is not known."""
        curve = kaplan_meier([2, 4], [True, False])
        nothing = Interval(low=None, high=None, level=0.95, method="normal, Greenwood variance")
        assert curve.restricted_mean(5) == RestrictedMean(
            value=None, variance=None, interval=nothing, horizon=5.0
        )
        assert curve.restricted_mean(4).value == 3.0

    def test_beyond_the_last_end_nothing_is_added(self):
        """Once all have ended the horizon does not matter."""
        curve = kaplan_meier([2, 4], [True, True])
        assert curve.restricted_mean(4).value == curve.restricted_mean(400).value == 3.0

    @pytest.mark.parametrize("horizon", [1, 2])
    def test_without_an_end_before_the_horizon_there_is_no_interval(self, horizon):
        """All last to the horizon, and nothing tells how that varies."""
        result = kaplan_meier([2, 4], [True, True]).restricted_mean(horizon)
        assert (result.value, result.variance) == (horizon, 0.0)
        assert (result.interval.low, result.interval.high) == (None, None)

    def test_the_variance_by_its_formula(self):
        """On the treated, the sum over ends of area squared times d / (n (n - d))."""
        curve = kaplan_meier(*columns(TREATED))
        horizon = 30
        edges = [*[t for t in curve.times if t < horizon], horizon]
        expected = 0.0
        for row, start in enumerate(edges[:-1]):
            area = sum(
                (end - begin) * curve.survival_at(begin)
                for begin, end in pairwise(edges)
                if begin >= start
            )
            n, d = curve.at_risk[row], curve.events[row]
            expected += area**2 * d / (n * (n - d))
        assert curve.restricted_mean(horizon).variance == close(expected)

    @given(
        durations=st.lists(st.integers(0, 30), min_size=2, max_size=40), horizon=st.floats(1, 40)
    )
    def test_it_is_the_mean_and_its_variance_where_nothing_is_censored(self, durations, horizon):
        """Without censoring: the mean of min(duration, horizon), and its variance over n."""
        result = kaplan_meier(durations, [True] * len(durations)).restricted_mean(horizon)
        cut = [min(duration, horizon) for duration in durations]
        mean = sum(cut) / len(cut)
        variance = sum((duration - mean) ** 2 for duration in cut) / len(cut) ** 2
        assert result.value == pytest.approx(mean, rel=1e-9, abs=1e-9)
        assert result.variance == pytest.approx(variance, rel=1e-9, abs=1e-9)


class TestLogRank:
    def test_the_textbook_statistic(self):
        """Treated against placebo gives the published 16.79."""
        result = log_rank(*columns(TREATED), *columns(PLACEBO))
        assert round(result.statistic, 2) == 16.79
        assert result.p_value == pytest.approx(4.17e-5, rel=1e-2)
        assert result.method == "log-rank"

    @pytest.mark.parametrize(
        ("a", "b"),
        [
            ([], [1]),
            ([1], []),
            ([], []),
            ([-1, -2], [-3]),
            # Sample a is gone before anything ends in b.
            ([-1, -2], [3, 4]),
            # All end together.
            ([5], [5, 5]),
        ],
    )
    def test_without_ends_to_compare_it_is_undefined(self, a, b):
        """Where nothing ends while both samples are followed there is no test."""
        result = log_rank(*columns(a), *columns(b))
        assert (result.statistic, result.p_value) == (None, None)

    def test_equal_samples_do_not_differ(self):
        """A sample against itself has the statistic 0 and p 1."""
        result = log_rank(*columns(TREATED), *columns(TREATED))
        assert (result.statistic, result.p_value) == (close(0), close(1))

    @oracle
    def test_agrees_with_lifelines_and_statsmodels(self):
        """Statistic and p-value are those of both, with ties and censoring."""
        lifelines = library("lifelines.statistics")
        survfunc, numpy = library("statsmodels.duration.survfunc"), library("numpy")
        random = Random(3)
        compared = 0
        while compared < DATA_SETS:
            a = random_columns(random, random.randint(3, 50))
            b = random_columns(random, random.randint(3, 50))
            result = log_rank(*a, *b)
            if result.statistic is None:
                continue
            compared += 1
            one = lifelines.logrank_test(a[0], b[0], a[1], b[1])
            assert result.statistic == close(float(one.test_statistic))
            assert result.p_value == close(float(one.p_value))
            statistic, p_value = survfunc.survdiff(
                numpy.array(a[0] + b[0]),
                numpy.array(a[1] + b[1]),
                numpy.array([0] * len(a[0]) + [1] * len(b[0])),
            )
            assert result.statistic == close(float(statistic))
            assert result.p_value == close(float(p_value))

    @given(a=rows | float_rows, b=rows | float_rows)
    def test_neither_sides_nor_order_matter(self, a, b):
        """Swapped samples and turned rows have the same statistic, and p is a probability."""
        first, second = tuple(zip(*a, strict=True)), tuple(zip(*b, strict=True))
        turned = tuple(zip(*a[::-1], strict=True))
        result = log_rank(*first, *second)
        assert log_rank(*turned, *second) == result
        other = log_rank(*second, *first)
        if result.statistic is None:
            assert other.statistic is None
        else:
            assert other.statistic == close(result.statistic)
            assert 0 <= result.p_value <= 1


class TestBadInput:
    @pytest.mark.parametrize("bad", [math.nan, math.inf, -1, True, "5", None, 10**400])
    def test_durations_are_numbers_from_0(self, bad):
        """A duration that is no number, not finite or negative is refused by name."""
        with pytest.raises(InvalidValue, match="durations") as caught:
            kaplan_meier([1, bad], [True, True])
        assert caught.value.name == "durations"
        with pytest.raises(InvalidValue) as caught:
            log_rank([1], [True], [bad], [True])
        assert caught.value.name == "b_durations"

    @pytest.mark.parametrize("bad", [1, 0, None, "True", math.nan])
    def test_observed_is_true_or_false(self, bad):
        """Anything but True and False is refused by name."""
        with pytest.raises(InvalidValue) as caught:
            kaplan_meier([1, 2], [True, bad])
        assert caught.value.name == "observed"
        with pytest.raises(InvalidValue) as caught:
            log_rank([1, 2], [True, bad], [1], [True])
        assert caught.value.name == "a_observed"

    @pytest.mark.parametrize("flags", [[], [True], [True, False, True]])
    def test_columns_are_equally_long(self, flags):
        """A flag too few or too many is refused, and both lengths are told."""
        with pytest.raises(InvalidValue, match=f"{len(flags)} flags.*one for each of the 2"):
            kaplan_meier([1, 2], flags)

    @pytest.mark.parametrize("bad", [0, 1, 95, math.nan, True, None])
    def test_level_lies_between_0_and_1(self, bad):
        """A level of 0, of 1 or in percent is refused."""
        with pytest.raises(InvalidValue, match="level"):
            kaplan_meier([1], [True], level=bad)

    @pytest.mark.parametrize("bad", [0, 1, -0.5, math.nan, True, None])
    def test_p_lies_between_0_and_1(self, bad):
        """A quantile at 0 or 1 is refused."""
        curve = kaplan_meier([1], [True])
        for method in (curve.quantile, curve.quantile_interval):
            with pytest.raises(InvalidValue, match="p: "):
                method(bad)

    @pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, True, None])
    def test_a_horizon_is_positive(self, bad):
        """A horizon that is not a positive finite number is refused."""
        with pytest.raises(InvalidValue, match="horizon"):
            kaplan_meier([1], [True]).restricted_mean(bad)

    @pytest.mark.parametrize("bad", [math.nan, math.inf, True, None])
    def test_t_is_a_number(self, bad):
        """The curve is asked at a finite number."""
        with pytest.raises(InvalidValue, match="t: "):
            kaplan_meier([1], [True]).survival_at(bad)
