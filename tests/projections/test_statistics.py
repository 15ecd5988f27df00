"""
Averages, intervals, tests and resampling: against hand-worked cases, other libraries, properties.

The other libraries are oracles only; where one is not installed its tests are skipped.
"""

import cmath
import math
from collections import Counter
from fractions import Fraction
from itertools import accumulate, product
from random import Random
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.errors import InvalidValue
from imcm.projections.statistics import beta, resampling, two_samples
from imcm.projections.statistics.intervals import (
    Interval,
    clopper_pearson,
    jeffreys,
    mean_interval,
    median_interval,
    quantile_interval,
    wilson,
)
from imcm.projections.statistics.planning import (
    power_for_ratio,
    sample_size_for_ratio,
    simulate_no_change,
    simulate_shortening,
)
from imcm.projections.statistics.quantiles import (
    Percentile,
    geometric_mean,
    log_sigma,
    mean,
    median,
    median_low,
    percentile,
    total,
)
from imcm.projections.statistics.resampling import (
    bootstrap,
    bootstrap_difference,
    permutation_p_value,
)
from imcm.projections.statistics.samples import Ordered
from imcm.projections.statistics.two_samples import Estimate, hodges_lehmann, mann_whitney

DATA_SETS = 200
NAN, INFINITY = math.nan, math.inf

# Importing and calling the oracles raises warnings of their own, which are not our business.
oracle = pytest.mark.filterwarnings("ignore")

ints = st.integers(min_value=-(10**15), max_value=10**15)
floats = st.floats(min_value=-1e15, max_value=1e15)
samples = st.one_of(
    st.lists(ints, max_size=40), st.lists(floats, max_size=40), st.lists(ints | floats, max_size=40)
)
durations = st.lists(st.integers(min_value=1, max_value=10**12), min_size=1, max_size=40)
levels = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999])


def close(value):
    return pytest.approx(value, rel=1e-9, abs=1e-12)


def library(name):
    return pytest.importorskip(name, reason=f"{name} is only an oracle and is not installed")


def random_sample(random, n, *, ties):
    if ties:
        return [random.randint(1, 12) for _ in range(n)]
    return [int(random.lognormvariate(20, 1.2)) for _ in range(n)]


class TestOneNumberForMany:
    def test_percentile_interpolates_between_neighbours(self):
        """Type 7 by hand: the place of 0.25 among four values is 0.75."""
        assert percentile([4, 1, 3, 2], 0.25) == 1.75

    def test_percentile_reads_q_as_a_decimal(self):
        """0.29 of 101 values is the one numbered 29, although 0.29 * 100 is below 29 in floats."""
        assert percentile(range(101), 0.29) == 29.0

    @pytest.mark.parametrize(("q", "value"), [(0, 10.0), (1, 30.0), (0.5, 20.0)])
    def test_percentile_reaches_both_ends(self, q, value):
        """Percentile 0 is the smallest value and percentile 1 the largest."""
        assert percentile([10, 20, 30], q) == value

    def test_median_of_an_even_number_is_halfway(self):
        """The median lies between the two middle values, the low median is the lower of them."""
        assert (median([4, 1, 3, 2]), median_low([4, 1, 3, 2])) == (2.5, 2.0)

    def test_median_of_an_odd_number_is_the_middle_one(self):
        """With a middle value both medians are that value."""
        assert (median([9, 1, 5]), median_low([9, 1, 5])) == (5.0, 5.0)

    @pytest.mark.parametrize("values", [[2**60, 1, -(2**60)], [1e16, 1.0, -1e16], [1, 1e16, -1e16]])
    def test_mean_loses_nothing_before_the_division(self, values):
        """Large values that cancel leave the small one whole, for ints, floats and both."""
        assert mean(values) == 1 / 3

    @pytest.mark.parametrize("value", [0.1, 0.7, 1 / 3])
    def test_mean_of_equal_values_is_the_value(self, value):
        """Rounding cannot push the mean of equal floats off them, nor give them a spread."""
        for n in range(1, 60):
            assert mean([value] * n) == value
            assert n == 1 or mean_interval([value] * n).low == value

    def test_geometric_mean_is_the_root_of_the_product(self):
        """The geometric mean of 1 and 100 is 10."""
        assert geometric_mean([1, 100]) == pytest.approx(10, rel=1e-15)

    def test_geometric_mean_stays_within_the_values(self):
        """Rounding cannot push the geometric mean of equal values off that value."""
        assert geometric_mean([10**9] * 7) == 10**9

    @pytest.mark.parametrize("values", [[0, 5], [-1, 5]])
    def test_logarithms_need_positive_values(self, values):
        """With a zero or negative value there is no geometric mean and no sigma of logarithms."""
        assert (geometric_mean(values), log_sigma(values)) == (None, None)

    def test_log_sigma_of_two_values(self):
        """The logarithms of 1 and e**2 lie 2 apart, so their deviation is the root of 2."""
        assert log_sigma([1, math.exp(2)]) == pytest.approx(math.sqrt(2), rel=1e-15)

    def test_a_sum_loses_nothing(self):
        """Whole numbers add up to a whole number, floats are rounded once."""
        assert total([2**60, 1, -(2**60)]) == 1
        assert total([0.1] * 10) == 1.0
        assert isinstance(total([1, 2]), int)

    @pytest.mark.parametrize("q", [0, 0.25, 0.9, 1])
    def test_a_percentile_can_be_handed_on_as_a_statistic(self, q):
        """It gives what the function gives, and of nothing nothing."""
        assert percentile([4, 1, 3, 2], q) == Percentile(q)([4, 1, 3, 2])
        assert Percentile(q)([]) is None

    @pytest.mark.parametrize(
        "function", [median, median_low, mean, total, geometric_mean, log_sigma]
    )
    def test_nothing_has_no_average(self, function):
        """Of no values every average is undefined, not 0."""
        assert function([]) is None

    def test_nothing_has_no_percentile(self):
        """Of no values every percentile is undefined."""
        assert percentile([], 0.9) is None

    def test_one_value_does_not_spread(self):
        """A single value has no sigma."""
        assert log_sigma([5]) is None

    def test_subclasses_of_numbers_are_numbers(self):
        """A float of another class, as arrays hold them, is read as the float it is."""

        class Hours(float):
            pass

        result = mean([Hours(1.5), Hours(2.5)])
        assert (result, type(result)) == (2.0, float)

    @oracle
    def test_percentiles_agree_with_numpy(self):
        """Type 7 is numpy's default."""
        numpy = library("numpy")
        random = Random(1)
        for _ in range(DATA_SETS):
            values = random_sample(random, random.randint(1, 60), ties=random.random() < 0.5)
            q = random.random()
            assert percentile(values, q) == close(float(numpy.percentile(values, 100 * q)))
            assert median(values) == close(float(numpy.median(values)))

    @oracle
    def test_means_agree_with_scipy(self):
        """The averages and the sigma of logarithms are those of numpy and scipy."""
        numpy, scipy_stats = library("numpy"), library("scipy.stats")
        random = Random(2)
        for _ in range(DATA_SETS):
            values = random_sample(random, random.randint(2, 60), ties=random.random() < 0.5)
            assert mean(values) == close(float(numpy.mean(values)))
            assert geometric_mean(values) == close(float(scipy_stats.gmean(values)))
            assert log_sigma(values) == close(float(numpy.std(numpy.log(values), ddof=1)))

    @given(values=samples, q=st.floats(0, 1), random=st.randoms(use_true_random=False))
    def test_order_does_not_matter(self, values, q, random):
        """Shuffled values have the same averages to the last digit."""
        shuffled = list(values)
        random.shuffle(shuffled)
        for function in (median, median_low, mean, geometric_mean, log_sigma):
            assert function(shuffled) == function(values)
        assert percentile(shuffled, q) == percentile(values, q)

    @given(values=samples.filter(bool), q=st.floats(0, 1), r=st.floats(0, 1))
    def test_averages_lie_within_the_values(self, values, q, r):
        """No average leaves the range of the values, and percentiles rise with q."""
        least, largest = float(min(values)), float(max(values))
        low, high = sorted((q, r))
        assert least <= percentile(values, low) <= percentile(values, high) <= largest
        assert least <= median_low(values) <= median(values) <= largest
        assert least <= mean(values) <= largest

    @given(values=samples)
    def test_the_median_is_a_percentile(self, values):
        """Percentile 0.5 and the median are the same number, to the last digit."""
        assert percentile(values, 0.5) == median(values)

    @given(values=durations, factor=st.integers(min_value=2, max_value=1000))
    def test_a_unit_scales_averages_and_leaves_sigma(self, values, factor):
        """In a smaller unit every average grows by the factor, and sigma stays."""
        scaled = [value * factor for value in values]
        for function in (median, mean, geometric_mean):
            assert function(scaled) == pytest.approx(function(values) * factor, rel=1e-12)
        if len(values) > 1:
            assert log_sigma(scaled) == pytest.approx(log_sigma(values), rel=1e-9, abs=1e-9)


class TestQuantileIntervals:
    @pytest.mark.parametrize(
        ("n", "ranks"), [(6, (1, 6)), (10, (2, 9)), (20, (6, 15)), (25, (8, 18)), (100, (40, 61))]
    )
    def test_median_ranks_are_those_of_the_tables(self, n, ranks):
        """At 95 % the ranks are the ones printed in tables of the sign test."""
        interval = median_interval(range(1, n + 1))
        assert (interval.low, interval.high) == ranks
        assert (interval.level, interval.method) == (0.95, "exact order statistics")

    @pytest.mark.parametrize("n", range(6))
    def test_five_values_do_not_bound_a_median(self, n):
        """With fewer than six values even their range covers the median less than 95 %."""
        interval = median_interval(range(n))
        assert (interval.low, interval.high) == (None, None)

    def test_a_level_met_exactly_is_met(self):
        """Three values cover the median with exactly 3/4."""
        interval = median_interval([1, 2, 3], level=0.75)
        assert (interval.low, interval.high) == (1.0, 3.0)

    def test_a_high_percentile_needs_many_values_above(self):
        """The 90th percentile has no upper bound with 35 values and one with 36."""
        few, enough = quantile_interval(range(35), 0.9), quantile_interval(range(36), 0.9)
        assert few.high is None
        assert few.low is not None
        assert enough.high == 35.0

    @pytest.mark.parametrize(("n", "q"), [(7, 0.5), (40, 0.9), (90, 0.25), (61, 0.95), (700, 0.5)])
    def test_ranks_are_the_innermost_with_the_coverage(self, n, q):
        """Counted with exact fractions, one rank further in leaves too much outside."""
        share = Fraction(repr(q))
        tail = Fraction(25, 1000)

        def below(rank, share):
            terms = (
                math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(max(rank, 0))
            )
            return sum(terms, Fraction(0))

        interval = quantile_interval(range(1, n + 1), q)
        low = int(interval.low or 0)
        from_high = n + 1 - int(interval.high or n + 1)
        assert below(low, share) <= tail < below(low + 1, share)
        assert below(from_high, 1 - share) <= tail < below(from_high + 1, 1 - share)

    @oracle
    def test_quantile_ranks_agree_with_scipy(self):
        """The ranks follow from scipy's binomial distribution, for any quantile and level."""
        scipy_stats = library("scipy.stats")
        random = Random(3)
        for _ in range(DATA_SETS):
            n, q = random.randint(1, 3000), random.random()
            level = random.choice([0.5, 0.8, 0.9, 0.95, 0.99])
            binomial = scipy_stats.binom(n, q)
            tail = (1 - level) / 2
            low = int(binomial.ppf(tail))
            low -= int(low > 0 and binomial.cdf(low - 1) > tail)
            high = int(binomial.isf(tail)) + 1
            interval = quantile_interval(range(1, n + 1), q, level=level)
            assert (interval.low or 0, interval.high or n + 1) == (low, high)

    @given(values=samples, level=levels, random=st.randoms(use_true_random=False))
    def test_the_interval_holds_the_median(self, values, level, random):
        """The bounds are values around the median, in any order of the input."""
        shuffled = list(values)
        random.shuffle(shuffled)
        interval = median_interval(values, level=level)
        assert median_interval(shuffled, level=level) == interval
        if interval.low is None or interval.high is None:
            assert interval.low is interval.high
        else:
            assert interval.low <= median(values) <= interval.high
            assert {interval.low, interval.high} <= set(map(float, values))

    @given(
        n=st.integers(min_value=0, max_value=300),
        q=st.sampled_from([0.1, 0.25, 0.5, 0.9, 0.95, 0.99]),
    )
    def test_a_higher_level_is_never_narrower(self, n, q):
        """At 99 % each bound lies at or outside the one at 90 %, a missing one beyond all."""
        inner, outer = (quantile_interval(range(n), q, level=level) for level in (0.9, 0.99))
        assert outer.low is None or (inner.low is not None and outer.low <= inner.low)
        assert outer.high is None or (inner.high is not None and outer.high >= inner.high)

    def test_coverage_is_at_least_the_level(self):
        """Of 2,000 samples with a known median the intervals hold it in 95 % or more."""
        random = Random(4)
        held = 0
        for _ in range(2000):
            interval = median_interval([random.expovariate(math.log(2)) for _ in range(17)])
            held += interval.low <= 1 <= interval.high
        assert held / 2000 > 0.94


class TestMeanInterval:
    def test_three_values_by_hand(self):
        """Around the mean of 1, 2, 3 with the tabulated t of 2 degrees, 4.3027."""
        interval = mean_interval([1, 2, 3])
        half = 4.302652729911275 / math.sqrt(3)
        assert (interval.low, interval.high) == (close(2 - half), close(2 + half))
        assert interval.method == "Student t"

    @pytest.mark.parametrize("values", [[], [7]])
    def test_one_value_has_no_interval(self, values):
        """The spread of fewer than two values is unknown."""
        assert mean_interval(values) == Interval(
            low=None, high=None, level=0.95, method="Student t"
        )

    def test_equal_values_leave_no_room(self):
        """Values without spread have an interval of width 0."""
        interval = mean_interval([5, 5, 5])
        assert (interval.low, interval.high) == (5.0, 5.0)

    @oracle
    def test_agrees_with_scipy(self):
        """The interval is that of scipy's t distribution, for ints and floats."""
        scipy_stats, numpy = library("scipy.stats"), library("numpy")
        random = Random(5)
        for _ in range(DATA_SETS):
            values = random_sample(random, random.randint(2, 60), ties=random.random() < 0.3)
            if random.random() < 0.5:
                values = [value / 7 for value in values]
            if len(set(values)) == 1:
                values.append(values[0] + 1)
            level = random.uniform(0.01, 0.999)
            low, high = scipy_stats.t.interval(
                level, len(values) - 1, numpy.mean(values), scipy_stats.sem(values)
            )
            interval = mean_interval(values, level=level)
            scale = max(map(abs, values))
            assert interval.low == pytest.approx(low, rel=1e-9, abs=1e-9 * scale)
            assert interval.high == pytest.approx(high, rel=1e-9, abs=1e-9 * scale)

    @given(values=samples.filter(lambda values: len(values) > 1), level=levels)
    def test_holds_the_mean(self, values, level):
        """The mean lies in its interval, and the order of the values does not matter."""
        interval = mean_interval(values, level=level)
        assert interval.low <= mean(values) <= interval.high
        assert mean_interval(values[::-1], level=level) == interval


class TestRates:
    def test_wilson_by_hand(self):
        """Half of ten, from the closed formula with z = 1.959964."""
        interval = wilson(5, 10)
        z2 = 1.959963984540054**2
        half = math.sqrt(z2 / 40 + z2 * z2 / 400) / (1 + z2 / 10)
        assert (interval.low, interval.high) == (close(0.5 - half), close(0.5 + half))

    def test_clopper_pearson_without_successes(self):
        """Zero of ten has the closed upper bound 1 - 0.025 ** (1 / 10)."""
        interval = clopper_pearson(0, 10)
        assert (interval.low, interval.high) == (0.0, pytest.approx(1 - 0.025**0.1, rel=1e-13))

    def test_clopper_pearson_solves_its_equations(self):
        """Summed with exact fractions, each bound leaves 2.5 % on its side to twelve digits."""
        for n, k in [(1, 1), (10, 3), (40, 39), (40, 20), (200, 1)]:
            interval = clopper_pearson(k, n)
            low, high = Fraction(interval.low), Fraction(interval.high)
            as_many = sum(math.comb(n, i) * low**i * (1 - low) ** (n - i) for i in range(k, n + 1))
            as_few = sum(math.comb(n, i) * high**i * (1 - high) ** (n - i) for i in range(k + 1))
            assert float(as_many) == pytest.approx(0.025, rel=1e-12)
            assert k == n or float(as_few) == pytest.approx(0.025, rel=1e-12)

    @pytest.mark.parametrize("function", [wilson, clopper_pearson, jeffreys])
    def test_none_and_all_are_bounded_by_the_ends(self, function):
        """Without a success the lower bound is exactly 0, with nothing else the upper exactly 1."""
        assert function(0, 7).low == 0.0
        assert function(7, 7).high == 1.0
        assert function(0, 7).high == pytest.approx(1 - function(7, 7).low, rel=1e-12)

    @pytest.mark.parametrize(
        ("function", "method"),
        [(wilson, "Wilson score"), (clopper_pearson, "Clopper-Pearson"), (jeffreys, "Jeffreys")],
    )
    def test_of_nothing_there_is_no_rate(self, function, method):
        """With n = 0 both bounds are undefined."""
        assert function(0, 0, level=0.9) == Interval(low=None, high=None, level=0.9, method=method)

    @oracle
    @pytest.mark.parametrize(
        ("function", "method"),
        [(wilson, "wilson"), (clopper_pearson, "beta"), (jeffreys, "jeffreys")],
    )
    def test_agrees_with_statsmodels(self, function, method):
        """All three methods are those of statsmodels, off the edges that Jeffreys' rule moves."""
        proportion = library("statsmodels.stats.proportion")
        random = Random(6)
        for _ in range(DATA_SETS):
            n = random.choice([random.randint(2, 50), random.randint(2, 5000), 10**6])
            k = random.randint(1, n - 1)
            level = random.choice([0.5, 0.9, 0.95, 0.999])
            low, high = proportion.proportion_confint(k, n, alpha=1 - level, method=method)
            interval = function(k, n, level=level)
            assert (interval.low, interval.high) == (close(float(low)), close(float(high)))

    @oracle
    def test_the_incomplete_beta_function_agrees_with_scipy(self):
        """Beta quantiles from 1/2 to a hundred thousand agree to 1e-11, relative."""
        special = library("scipy.special")
        random = Random(7)
        for _ in range(DATA_SETS):
            n = int(10 ** random.uniform(0, 5))
            k = random.choice([0, 1, n, random.randint(0, n)])
            interval = jeffreys(k, n)
            if k > 0:
                low = special.betaincinv(k + 0.5, n - k + 0.5, 0.025)
                assert interval.low == pytest.approx(float(low), rel=1e-11)
            if k < n:
                high = special.betaincinv(k + 0.5, n - k + 0.5, 0.975)
                assert interval.high == pytest.approx(float(high), rel=1e-11)

    @given(data=st.data(), n=st.integers(min_value=1, max_value=2000), level=levels)
    @settings(max_examples=50)
    def test_intervals_hold_the_rate(self, data, n, level):
        """Every interval lies within 0 and 1, holds the rate, and mirrors that of the failures."""
        k = data.draw(st.integers(min_value=0, max_value=n))
        for function in (wilson, clopper_pearson, jeffreys):
            interval = function(k, n, level=level)
            mirrored = function(n - k, n, level=level)
            assert 0 <= interval.low <= k / n <= interval.high <= 1
            assert interval.low == pytest.approx(1 - mirrored.high, rel=1e-9, abs=1e-12)

    @given(data=st.data(), n=st.integers(min_value=1, max_value=500))
    @settings(max_examples=50)
    def test_a_higher_level_is_never_narrower(self, data, n):
        """At 99 % every interval holds the one at 90 %."""
        k = data.draw(st.integers(min_value=0, max_value=n))
        for function in (wilson, clopper_pearson, jeffreys):
            inner, outer = function(k, n, level=0.9), function(k, n, level=0.99)
            assert outer.low <= inner.low <= inner.high <= outer.high

    @pytest.mark.parametrize("level", [1e-17, 1e-6, 1 - 1e-12])
    def test_extreme_levels_end(self, level):
        """Levels near 0 and 1 give an interval around the rate, too."""
        for function in (clopper_pearson, jeffreys):
            interval = function(50, 100, level=level)
            assert 0 < interval.low <= interval.high < 1


class TestMannWhitney:
    def test_complete_separation_by_hand(self):
        """Two of the twenty orders of three and three are as far apart: p is 0.1."""
        result = mann_whitney([1, 2, 3], [4, 5, 6])
        assert (result.statistic, result.p_value) == (0.0, pytest.approx(0.1, rel=1e-15))
        assert result.method == "Mann-Whitney, exact"

    def test_ties_count_one_half(self):
        """A pair of equal values counts one half to each side, and the p-value is approximate."""
        result = mann_whitney([1, 2], [2, 3])
        assert result.statistic == 0.5
        assert "normal approximation" in result.method

    def test_equal_values_are_no_evidence(self):
        """Where all values are equal p is 1."""
        assert mann_whitney([5, 5], [5, 5, 5]).p_value == 1.0

    @pytest.mark.parametrize(("a", "b"), [([], [1]), ([1], []), ([], [])])
    def test_an_empty_sample_decides_nothing(self, a, b):
        """Without values in both samples the test is undefined."""
        result = mann_whitney(a, b)
        assert (result.statistic, result.p_value) == (None, None)

    def test_large_samples_are_approximated(self):
        """From fifty values on the p-value is no longer counted."""
        small, large = list(range(49)), [value + 0.5 for value in range(50)]
        assert mann_whitney(small, large[:49]).method.endswith("exact")
        assert "normal approximation" in mann_whitney(small, large).method

    @oracle
    def test_exact_agrees_with_scipy(self):
        """Without ties the p-value is that of scipy's exact method."""
        scipy_stats = library("scipy.stats")
        random = Random(8)
        for _ in range(DATA_SETS):
            a = [random.random() for _ in range(random.randint(1, 20))]
            b = [random.random() + 0.2 for _ in range(random.randint(1, 20))]
            expected = scipy_stats.mannwhitneyu(a, b, method="exact")
            result = mann_whitney(a, b)
            assert result.statistic == expected.statistic
            assert result.p_value == close(expected.pvalue)

    @oracle
    def test_approximation_agrees_with_scipy(self):
        """With ties, or many values, the p-value is that of scipy's asymptotic method."""
        scipy_stats = library("scipy.stats")
        random = Random(9)
        for round_ in range(DATA_SETS):
            ties = round_ % 4 > 0
            n = random.randint(2, 40) if ties else random.randint(50, 90)
            a = [*random_sample(random, n, ties=ties), 3, 4]
            b = [*random_sample(random, random.randint(1, 40), ties=ties), 4]
            expected = scipy_stats.mannwhitneyu(a, b, method="asymptotic")
            result = mann_whitney(a, b)
            assert result.statistic == expected.statistic
            assert result.p_value == close(expected.pvalue)

    @given(a=samples.filter(bool), b=samples.filter(bool))
    def test_swapping_the_samples_changes_sides_only(self, a, b):
        """The two U add up to the number of pairs, and p is the same, in any order."""
        one, other = mann_whitney(a, b[::-1]), mann_whitney(b, a[::-1])
        assert one.statistic + other.statistic == len(a) * len(b)
        assert one.p_value == other.p_value
        assert 0 <= one.p_value <= 1


class TestHodgesLehmann:
    def test_by_hand(self):
        """The nine differences of 4, 6, 8 and 1, 2, 3 have the median 4."""
        estimate = hodges_lehmann([1, 2, 3], [4, 6, 8], level=0.9)
        assert estimate.value == 4.0
        # P(U < 1) = 1 / 20 on each side: the range of all differences, and no more.
        assert (estimate.interval.low, estimate.interval.high) == (1.0, 7.0)
        assert estimate.interval.method == "Moses, exact"

    def test_too_few_values_have_no_interval(self):
        """Three and three values cannot show anything at 95 %."""
        estimate = hodges_lehmann([1, 2, 3], [4, 6, 8])
        assert (estimate.interval.low, estimate.interval.high) == (None, None)

    @pytest.mark.parametrize(("a", "b"), [([], [1]), ([1], []), ([], range(60))])
    def test_an_empty_sample_has_no_shift(self, a, b):
        """Without values in both samples there is no shift and no interval."""
        estimate = hodges_lehmann(a, b)
        assert estimate.value is None
        assert (estimate.interval.low, estimate.interval.high) == (None, None)

    def test_many_against_one_have_no_interval(self):
        """Where the approximation leaves no rank there are no bounds."""
        estimate = hodges_lehmann([1], range(60))
        assert estimate.value == 28.5
        assert estimate.interval == Interval(
            low=None, high=None, level=0.95, method="Moses, normal approximation"
        )

    @oracle
    def test_the_interval_is_what_the_test_does_not_reject(self):
        """A shift just inside the bounds is not rejected by scipy's exact test, outside it is."""
        scipy_stats = library("scipy.stats")
        random = Random(10)
        for _ in range(DATA_SETS):
            a = [random.random() for _ in range(random.randint(4, 9))]
            b = [random.random() + 0.3 for _ in range(random.randint(4, 9))]
            estimate = hodges_lehmann(a, b)

            def p_value(shift, a=a, b=b):
                moved = [value - shift for value in b]
                return scipy_stats.mannwhitneyu(a, moved, method="exact").pvalue

            low, high = estimate.interval.low, estimate.interval.high
            assert p_value(low - 1e-9) <= 0.05 < p_value(low + 1e-9)
            assert p_value(high + 1e-9) <= 0.05 < p_value(high - 1e-9)

    @pytest.mark.parametrize("spread", [5, 10**12])
    def test_counting_finds_what_listing_finds(self, spread):
        """Of more differences than are listed the same ones are found, ties included."""
        random = Random(11)
        for n_a, n_b in [(70, 300), (300, 70), (600, 150)]:
            a = [random.randint(0, spread) for _ in range(n_a)]
            b = [random.randint(0, spread) for _ in range(n_b)]
            differences = sorted(y - x for x in a for y in b)
            pairs = n_a * n_b
            middle = (differences[(pairs - 1) // 2] + differences[pairs // 2]) / 2
            rank = math.floor(
                pairs / 2 - 1.959963984540054 * math.sqrt(pairs * (n_a + n_b + 1) / 12)
            )
            estimate = hodges_lehmann(a, b)
            assert estimate.value == middle
            assert estimate.interval.low == differences[rank - 1]
            assert estimate.interval.high == differences[pairs - rank]

    def test_floats_are_ranked_as_they_are_rounded(self):
        """A sum of thirds and tenths is found to the last digit, whatever its size."""
        random = Random(20)
        for choices in ([0.1, 0.2, 1 / 3, 7], [1e100, -1e100, 1e-300, 5], [2**60 + 1, 0.5, 3]):
            a, b = ([random.choice(choices) for _ in range(n)] for n in (70, 90))
            differences = sorted(float(y) - float(x) for x in a for y in b)
            estimate = hodges_lehmann(a, b)
            assert estimate.value == (differences[3149] + differences[3150]) / 2
            assert estimate.interval.low in differences

    @pytest.mark.parametrize("spread", [3, 10**12])
    def test_how_often_all_rows_are_counted_does_not_grow(self, spread, monkeypatch):
        """A few times for each rank, of four million differences as of four hundred million."""
        counted = Counter()
        searchsorted = two_samples._Rows._searchsorted

        def count(rows, bisect, pivot):
            counted[len(rows.a)] += 1
            return searchsorted(rows, bisect, pivot)

        monkeypatch.setattr(two_samples._Rows, "_searchsorted", count)
        random = Random(21)
        for n in (2_000, 20_000):
            a, b = ([random.randint(0, spread) for _ in range(n)] for _ in range(2))
            hodges_lehmann(a, b)
            assert counted[n] <= 24

    @given(
        a=st.lists(ints | floats | st.integers(0, 3), min_size=1, max_size=20),
        b=st.lists(ints | floats | st.integers(0, 3), min_size=1, max_size=20),
        level=levels,
    )
    def test_counting_never_differs_from_listing(self, a, b, level):
        """With a limit of four listed differences every estimate is the same to the last digit."""
        listed = hodges_lehmann(a, b, level=level)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(two_samples, "LISTED_DIFFERENCES", 4)
            patch.setattr(two_samples, "PIVOT_SAMPLE", 3)
            patch.setattr(two_samples, "PIVOT_MARGIN", 0)
            assert hodges_lehmann(a[::-1], b[::-1], level=level) == listed

    @given(
        a=st.lists(ints, min_size=1, max_size=20),
        b=st.lists(ints, min_size=1, max_size=20),
        shift=ints,
        level=levels,
    )
    def test_a_shift_moves_everything_by_itself(self, a, b, shift, level):
        """Shifting b moves the estimate and its bounds, and swapping turns them round."""
        plain = hodges_lehmann(a, b, level=level)
        moved = hodges_lehmann(a, [value + shift for value in b], level=level)
        turned = hodges_lehmann(b, a, level=level)
        assert moved.value == pytest.approx(plain.value + shift, rel=1e-12, abs=1)
        assert turned.value == -plain.value
        if plain.interval.low is None:
            assert plain.interval.high is None
        else:
            assert plain.interval.low <= plain.value <= plain.interval.high
            assert moved.interval.low == plain.interval.low + shift
            assert turned.interval.low == -plain.interval.high


class TestBootstrap:
    VALUES = tuple(random_sample(Random(12), 60, ties=False))

    def test_the_draws_are_pinned(self):
        """The numbers that an audit must reproduce, in every version of Python."""
        interval = bootstrap([1, 2, 3, 5, 8, 13], mean, seed=7, resamples=50)
        assert (interval.low, interval.high) == (2.0375, 8.629166666666666)
        assert interval.method == "percentile bootstrap, 50, seed 7"
        interval = bootstrap_difference([1, 2, 3], [5, 8, 13], median, seed=7, resamples=50)
        assert (interval.low, interval.high) == (2.0, 11.775)
        assert interval.method == (
            "percentile bootstrap of the difference by exact order statistics, 50, seed 7"
        )
        assert permutation_p_value([1, 2, 3], [2, 4, 6], mean, seed=7, resamples=99) == 0.32

    def test_values_without_spread_leave_no_room(self):
        """Every resample of equal values is the same."""
        interval = bootstrap([5] * 10, median, seed=1, resamples=20)
        assert (interval.low, interval.high) == (5.0, 5.0)

    def test_it_is_close_to_the_closed_form(self):
        """For the mean of many values without long tails it comes close to Student's interval."""
        random = Random(13)
        values = [random.gauss(100, 10) for _ in range(300)]
        drawn, exact = bootstrap(values, mean, seed=1), mean_interval(values)
        assert drawn.low == pytest.approx(exact.low, abs=0.2)
        assert drawn.high == pytest.approx(exact.high, abs=0.2)

    def test_the_difference_is_second_minus_first(self):
        """A second sample that is larger has an interval above 0."""
        interval = bootstrap_difference([1, 2, 3], [101, 102, 103], mean, seed=1, resamples=100)
        assert 95 < interval.low <= interval.high < 105

    @given(random=st.randoms(use_true_random=False), seed=st.integers(0, 10**6))
    @settings(max_examples=20)
    def test_order_does_not_matter(self, random, seed):
        """Shuffled values and the same seed give the same results to the last digit."""
        a, b = list(self.VALUES[:20]), list(self.VALUES[20:])
        shuffled_a, shuffled_b = list(a), list(b)
        random.shuffle(shuffled_a)
        random.shuffle(shuffled_b)
        once = {"seed": seed, "resamples": 20}
        assert bootstrap(shuffled_a, mean, **once) == bootstrap(a, mean, **once)
        for function in (bootstrap_difference, permutation_p_value):
            assert function(shuffled_a, shuffled_b, mean, **once) == function(a, b, mean, **once)

    def test_another_seed_gives_other_draws(self):
        """The seed matters."""
        one, other = (bootstrap(self.VALUES, mean, seed=seed, resamples=50) for seed in (1, 2))
        assert (one.low, one.high) != (other.low, other.high)

    def test_of_nothing_there_is_nothing(self):
        """Without values there are no bounds and no p-value."""
        one = bootstrap([], mean, seed=1, resamples=5)
        two = bootstrap_difference([], [1, 2], mean, seed=1, resamples=5)
        assert (one.low, one.high, two.low, two.high) == (None, None, None, None)
        assert permutation_p_value([1], [], mean, seed=1, resamples=5) is None

    def test_a_statistic_that_is_undefined_for_a_draw_has_no_interval(self):
        """A resample without a geometric mean takes the bounds away."""
        interval = bootstrap([0, 1, 2], geometric_mean, seed=1, resamples=50)
        assert (interval.low, interval.high) == (None, None)

    def test_a_statistic_that_is_undefined_for_a_deal_has_no_p_value(self):
        """A statistic of the lowest value only, which a deal can move, is undefined there."""

        def lowest(sample):
            return min(sample) if len(set(sample)) == len(sample) else None

        assert permutation_p_value([1, 2], [1, 3], lowest, seed=1, resamples=50) is None


class Looked(Ordered):
    """A sorted sample that counts how often one of its values is looked at."""

    __slots__ = ("times",)

    def __getitem__(self, place):
        self.times = getattr(self, "times", 0) + 1
        return super().__getitem__(place)

    def __iter__(self):
        self.times = getattr(self, "times", 0) + len(self)
        return super().__iter__()


ORDER_STATISTICS = [median, median_low, Percentile(0.9), Percentile(0.3), min, max]
SUMS = [mean, total, geometric_mean]


@pytest.fixture
def draws(monkeypatch):
    """Return a counter of the numbers that are drawn."""
    counted = Counter()
    generator = resampling.random_numbers

    def counting(seed):
        draw = generator(seed)

        def count():
            counted["drawn"] += 1
            return draw()

        return count

    monkeypatch.setattr(resampling, "random_numbers", counting)
    return counted


def expected_within_chance(expected, drawn):
    """Say whether so many draws of each outcome are within 4.5 standard errors of their shares."""
    runs = sum(drawn.values())
    assert drawn.keys() <= expected.keys()
    for outcome, share in expected.items():
        error = math.sqrt(share * (1 - share) / runs)
        assert share == pytest.approx(drawn[outcome] / runs, abs=4.5 * error + 1e-12)


class TestOrderStatisticsOfResamples:
    RUNS = 20_000

    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
    def test_the_rank_of_a_resample_is_a_beta_quantile(self, size, n):
        """Of all resamples so many have their k-th among the first j: I(j / m; k, n + 1 - k)."""
        resamples = [sorted(places) for places in product(range(size), repeat=n)]
        for k in range(1, n + 1):
            for j in range(1, size):
                count = sum(places[k - 1] < j for places in resamples)
                below = beta.beta_tails(k, n + 1 - k, j / size, 1 - j / size)[0]
                assert close(count / len(resamples)) == below

    @pytest.mark.parametrize("statistic", ORDER_STATISTICS)
    @pytest.mark.parametrize(("size", "n"), [(1, 1), (3, 1), (5, 2), (2, 5), (4, 4), (5, 5)])
    def test_what_is_drawn_is_distributed_as_in_all_resamples(self, statistic, size, n):
        """Also of two neighbours at once, between which a median or a percentile lies."""
        values = [1, 2, 4, 8, 16][:size]
        every = Counter(statistic(sample) for sample in product(values, repeat=n))
        draw = resampling.random_numbers(1)
        once, way = resampling.draws(statistic, values, n, draw)
        drawn = Counter(once() for _ in range(self.RUNS))
        expected_within_chance({key: count / size**n for key, count in every.items()}, drawn)
        assert way == " by exact order statistics"

    @pytest.mark.parametrize(
        ("k", "n"), [(1, 1), (1, 2), (2, 2), (1, 9), (5, 9), (9, 9), (1, 45_000), (450, 900)]
    )
    def test_uniform_ranks_follow_their_distribution(self, k, n):
        """Ten equally likely cells are met equally often."""
        edges = [beta.beta_quantile(k, n + 1 - k, i / 10, 1 - i / 10)[0] for i in range(1, 10)]
        once = resampling._uniform_rank(k, n, resampling.random_numbers(2))
        drawn = Counter(
            sum(x >= edge for edge in edges) for x in (once() for _ in range(self.RUNS))
        )
        expected_within_chance(dict.fromkeys(range(10), 0.1), drawn)

    def test_uniform_ranks_are_pinned(self):
        """To the last bit, on every machine and in every version of Python."""
        draw = resampling.random_numbers(7)
        for k, n, expected in (
            (3, 5, 0.30125003289133256),
            (45_000, 90_000, 0.4991670169998535),
            (90_000, 90_000, 0.9999975403159514),
        ):
            assert expected == resampling._uniform_rank(k, n, draw)()

    def test_a_neighbour_at_the_very_end_is_the_last_value(self):
        """A second neighbour that rounding carries up to 1 still is within the values."""
        almost = 1 - 2**-53
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(resampling, "_uniform_rank", lambda _k, _n, _draw: lambda: almost)
            between = resampling._ranked([1, 2], 2, Fraction(1, 2), lambda: 0.0)
        assert 2.0 == between()

    @oracle
    @pytest.mark.parametrize("q", [0.5, 0.9])
    def test_agrees_with_resampling(self, q):
        """The middle 80 % of resampled percentiles, by numpy, are the middle 80 % of the drawn."""
        numpy = library("numpy")
        values = sorted(random_sample(Random(22), 300, ties=False))
        generator = numpy.random.default_rng(5)
        resampled = numpy.percentile(
            generator.choice(numpy.array(values), (20_000, 300)), 100 * q, axis=1
        )
        found = bootstrap(values, Percentile(q), seed=1, resamples=self.RUNS, level=0.8)
        assert 0.1 == pytest.approx((resampled < found.low).mean(), abs=0.015)
        assert 0.9 == pytest.approx((resampled <= found.high).mean(), abs=0.015)

    @pytest.mark.parametrize("statistic", ORDER_STATISTICS)
    def test_the_cost_does_not_grow_with_the_values(self, statistic, draws):
        """A run looks at no more than two values, and draws a handful of numbers."""
        runs = 200
        for n in (100, 10_000):
            values = Looked.of(range(n))
            values = Looked(values)
            draws.clear()
            bootstrap(values, statistic, seed=1, resamples=runs)
            assert values.times <= 2 * runs
            assert draws["drawn"] <= 10 * runs


class TestSumsOfResamples:
    def test_few_are_resampled_as_they_are(self):
        """Of 400 every term is drawn, of 401 nearly every one."""
        found = [bootstrap(range(n), mean, seed=1, resamples=9).method for n in (400, 401)]
        assert "percentile bootstrap, 9, seed 1" == found[0]
        rest = "percentile bootstrap by sums of about 400 draws and a normal rest, 9, seed 1"
        assert rest == found[1]

    def test_one_large_sample_of_two_is_said(self):
        """The method is named after the way that is not exact."""
        for a, b in ((range(5), range(500)), (range(500), range(5))):
            found = bootstrap_difference(a, b, mean, seed=1, resamples=9)
            assert "by sums of about 400 draws" in found.method

    @pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
    @pytest.mark.parametrize("n", [500, 4000])
    def test_durations_are_nearly_as_resampled(self, sigma, n):
        """
        The distribution functions differ by less than 0.0005 anywhere.

        Of both sums the characteristic function is known exactly, and their difference is inverted
        (Gil-Pelaez 1951).
        """
        random = Random(23)
        ordered = sorted(random.lognormvariate(0, sigma) for _ in range(1000))
        far, near = resampling._far_and_near(ordered, n)
        center = mean(ordered)
        of_near = NormalDist(mean(near) - center, math.sqrt(variance(near)))
        deviation = math.sqrt(n * variance(ordered))
        share = len(far) / len(ordered)
        steps = [(i + 0.5) / 40 for i in range(480)]
        terms = []
        for step in steps:
            t = step / deviation
            exact = math.fsum(math.cos(t * (x - center)) for x in ordered) / len(ordered)
            exact += 1j * math.fsum(math.sin(t * (x - center)) for x in ordered) / len(ordered)
            drawn = (1 - share) * cmath.exp(1j * t * of_near.mean - t * t * of_near.variance / 2)
            drawn += sum(cmath.exp(1j * t * (x - center)) for x in far) / len(ordered)
            terms.append((exact**n - drawn**n) / step)
        for i in range(-40, 41):
            apart = math.fsum(
                (cmath.exp(-1j * step * i / 10) * term).imag
                for step, term in zip(steps, terms, strict=True)
            )
            assert abs(apart) / 40 / math.pi < 0.0005

    @pytest.mark.parametrize("ones", [405, 500, 1000, 1999])
    def test_at_worst_the_steps_are_smoothed(self, ones):
        """With all but some hundreds equal, the sum is binomial, and off by less than 0.015."""
        n = 4000
        far, near = resampling._far_and_near([0] * (n - ones) + [1] * ones, n)
        assert ([1] * 400, ones - 400) == (far, sum(near))
        drawn = binomial(n, 0.1)
        exact = list(accumulate(binomial(n, ones / n)))
        part = (ones - 400) / len(near)
        for hits in range(max(1, ones - 100), ones + 101, 4):
            below = math.fsum(
                weight
                * NormalDist((n - count) * part, math.sqrt((n - count) * part * (1 - part))).cdf(
                    hits - count
                )
                for count, weight in enumerate(drawn)
                if weight > 1e-9
            )
            assert abs(below - exact[hits]) < 0.015
            assert abs(below - exact[hits - 1]) < 0.015

    def test_mean_and_variance_are_those_of_a_resampled_sum(self):
        """Within 4.5 standard errors, of values with a tail on both sides."""
        random = Random(24)
        values = sorted(random.choice((-1, 1)) * random.lognormvariate(0, 1) for _ in range(3000))
        once = resampling._sums(values, 3000, resampling.random_numbers(1))
        runs = 10_000
        sums = [once() for _ in range(runs)]
        spread = 3000 * variance(values)
        assert sum(values) == pytest.approx(mean(sums), abs=4.5 * math.sqrt(spread / runs))
        assert spread == pytest.approx(variance(sums), rel=4.5 * math.sqrt(2.1 / runs))

    @oracle
    @pytest.mark.parametrize("statistic", SUMS)
    def test_agrees_with_resampling(self, statistic):
        """The middle 80 % of means resampled by numpy are the middle 80 % of the drawn ones."""
        numpy = library("numpy")
        values = sorted(random_sample(Random(25), 1000, ties=False))
        array = numpy.array(values, dtype=float)
        if statistic is geometric_mean:
            array = numpy.log(array)
        generator = numpy.random.default_rng(5)
        resampled = generator.choice(array, (20_000, 1000)).mean(axis=1)
        found = bootstrap(values, statistic, seed=1, resamples=10_000, level=0.8)
        scale = {mean: float, total: lambda x: x / 1000, geometric_mean: math.log}[statistic]
        assert 0.1 == pytest.approx((resampled < scale(found.low)).mean(), abs=0.015)
        assert 0.9 == pytest.approx((resampled < scale(found.high)).mean(), abs=0.015)

    @pytest.mark.parametrize("statistic", [mean, geometric_mean])
    @pytest.mark.parametrize("value", [7, 0.1, 1 / 3])
    def test_values_without_spread_leave_no_room(self, statistic, value):
        """Every resample of equal values is the same, to the last digit."""
        found = bootstrap([value] * 1000, statistic, seed=1, resamples=20)
        assert (value, value) == (found.low, found.high)

    def test_a_large_sample_of_few_values_draws_them(self):
        """Of two values one is near and exact; of a single one there is nothing to draw."""
        once = resampling._sums([0, 1000], 600, resampling.random_numbers(1))
        assert all(once() % 1000 == 0 for _ in range(20))
        assert 9000 == resampling._sums([3], 3000, resampling.random_numbers(1))()

    @pytest.mark.parametrize("statistic", SUMS)
    def test_the_cost_does_not_grow_with_the_values(self, statistic, draws):
        """A run draws about 400 numbers, of how many values it may be."""
        runs = 20
        for n in (1_000, 20_000):
            draws.clear()
            bootstrap(range(1, n + 1), statistic, seed=1, resamples=runs)
            assert 350 * runs < draws["drawn"] < 450 * runs

    def test_an_undefined_resample_ends_all(self, draws):
        """With one zero among many, about every second resample has no geometric mean."""
        found = bootstrap(range(1000), geometric_mean, seed=1, resamples=1000)
        assert (None, None) == (found.low, found.high)
        common = {"n_a": 1000, "n_b": 1000, "statistic": geometric_mean, "seed": 1}
        assert simulate_no_change(range(1000), difference=1, **common) is None
        assert draws["drawn"] < 20_000


def variance(values):
    """Return the variance with divisor n."""
    center = mean(values)
    return math.fsum((x - center) ** 2 for x in values) / len(values)


def binomial(n, p):
    """Return the probability of each number of hits."""
    logs = [
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(p)
        + (n - k) * math.log(1 - p)
        for k in range(n + 1)
    ]
    return list(map(math.exp, logs))


class TestPermutation:
    def test_complete_separation(self):
        """Two of twenty deals of three and three are as far apart: p is close to 0.1."""
        p = permutation_p_value([1, 2, 3], [4, 5, 6], mean, seed=1, resamples=10_000)
        assert p == pytest.approx(0.1, abs=0.01)

    def test_no_difference_is_never_far(self):
        """Every deal is at least as far from 0 as samples with the same mean."""
        assert permutation_p_value([1, 3], [1, 3], mean, seed=1, resamples=100) == 1.0

    def test_it_is_never_zero(self):
        """The deal that was observed counts as one."""
        p = permutation_p_value(range(50), range(1000, 1050), mean, seed=1, resamples=99)
        assert p == 1 / 100

    @oracle
    def test_agrees_with_all_deals(self):
        """It comes close to the p-value of scipy's permutation test over all deals."""
        scipy_stats, numpy = library("scipy.stats"), library("numpy")
        random = Random(14)
        for _ in range(5):
            a, b = random_sample(random, 5, ties=True), random_sample(random, 6, ties=True)
            exact = scipy_stats.permutation_test(
                (a, b), lambda x, y: abs(numpy.mean(y) - numpy.mean(x)), alternative="greater"
            )
            p = permutation_p_value(a, b, mean, seed=1, resamples=4000)
            assert p == pytest.approx(exact.pvalue, abs=0.03)


class TestPlanning:
    @pytest.mark.parametrize(("sigma", "n"), [(1.1, 1712), (1.2, 2037)])
    def test_ten_percent_takes_about_two_thousand(self, sigma, n):
        """By the formula with z = 1.96 and 0.8416, for the usual spread of durations."""
        assert sample_size_for_ratio(0.9, sigma=sigma) == n

    def test_a_ratio_and_its_inverse_take_as_many(self):
        """Twice as long is as easy to see as half as long."""
        assert sample_size_for_ratio(2.0, sigma=1.0) == sample_size_for_ratio(0.5, sigma=1.0)

    def test_it_takes_at_least_one(self):
        """However large the effect, nothing is seen without an incident."""
        assert sample_size_for_ratio(0.001, sigma=1e-300) == 1

    @given(
        ratio=st.floats(0.1, 0.98) | st.floats(1.02, 5),
        sigma=st.floats(0.1, 3),
        level=levels,
        power=st.floats(0.55, 0.99),
    )
    def test_power_and_size_are_inverse(self, ratio, sigma, level, power):
        """The size reaches the power, and one incident fewer does not."""
        n = sample_size_for_ratio(ratio, sigma=sigma, level=level, power=power)
        assert power_for_ratio(ratio, n=n, sigma=sigma, level=level) >= power - 1e-9
        if n > 1:
            assert power_for_ratio(ratio, n=n - 1, sigma=sigma, level=level) < power + 1e-9

    @oracle
    def test_size_agrees_with_statsmodels(self):
        """It is the normal two-sample size of the difference of logarithms."""
        power_module = library("statsmodels.stats.power")
        solver = power_module.NormalIndPower()
        random = Random(15)
        for _ in range(DATA_SETS):
            ratio, sigma = random.uniform(0.3, 0.95), random.uniform(0.3, 2)
            effect = abs(math.log(ratio)) / sigma
            n = random.randint(20, 3000)
            # Without the wrong tail, as documented.
            expected = solver.power(effect, n, 0.025, alternative="larger")
            assert power_for_ratio(ratio, n=n, sigma=sigma) == close(float(expected))


class TestSimulations:
    VALUES = tuple(random_sample(Random(16), 500, ties=False))

    def test_no_difference_is_always_reached(self):
        """Every pair of periods differs by 0 or more."""
        share = simulate_no_change(
            self.VALUES, n_a=5, n_b=5, difference=0, statistic=median, seed=1, runs=20
        )
        assert share == 1.0

    def test_a_difference_wider_than_the_values_is_never_reached(self):
        """No two medians are farther apart than the values."""
        share = simulate_no_change(
            [1, 2, 3], n_a=5, n_b=5, difference=2.5, statistic=median, seed=1, runs=20
        )
        assert share == 0.0

    def test_one_of_two_values_each(self):
        """Two draws of one value from two differ in half of the runs."""
        share = simulate_no_change(
            [0, 1], n_a=1, n_b=1, difference=1, statistic=mean, seed=1, runs=4000
        )
        assert share == pytest.approx(0.5, abs=0.03)

    def test_a_true_shortening_often_looks_like_none(self):
        """With thirty incidents a period, ten percent less is hidden in a third of the runs."""
        share = simulate_shortening(
            self.VALUES, n_a=30, n_b=30, ratio=0.9, statistic=mean, seed=1, runs=400
        )
        assert 0.25 < share < 0.5

    def test_a_large_shortening_is_seen(self):
        """A tenth of the duration with many incidents never looks like no improvement."""
        share = simulate_shortening(
            self.VALUES, n_a=100, n_b=100, ratio=0.1, statistic=median, seed=1, runs=50
        )
        assert share == 0.0

    @pytest.mark.parametrize(("values", "statistic"), [([], mean), ([0, 1], geometric_mean)])
    def test_an_undefined_statistic_has_no_share(self, values, statistic):
        """Without values, or where the statistic is undefined in a run, there is no answer."""
        common = {"n_a": 3, "n_b": 3, "statistic": statistic, "seed": 1, "runs": 30}
        assert simulate_no_change(values, difference=1, **common) is None
        assert simulate_shortening(values, ratio=0.9, **common) is None

    @given(random=st.randoms(use_true_random=False))
    @settings(max_examples=10)
    def test_order_does_not_matter(self, random):
        """Shuffled values and the same seed give the same share."""
        shuffled = list(self.VALUES)
        random.shuffle(shuffled)
        common = {"n_a": 10, "n_b": 10, "statistic": median, "seed": 3, "runs": 10}
        for function, argument in (
            (simulate_no_change, {"difference": 1e8}),
            (simulate_shortening, {"ratio": 0.8}),
        ):
            assert function(shuffled, **argument, **common) == function(
                self.VALUES, **argument, **common
            )


def constant(value):
    return lambda _sample: value


class TestBadInput:
    @pytest.mark.parametrize("bad", [NAN, INFINITY, -INFINITY, 10**400, -2e100, True, "5", None])
    @pytest.mark.parametrize("good", [[], [1, 2], [1.5, 2.5], [1, 2.5]])
    def test_only_finite_numbers_are_values(self, good, bad):
        """A value that is no number, not finite or beyond all measure is named and refused."""
        for function in (median, mean, mean_interval, median_interval, log_sigma):
            with pytest.raises(InvalidValue) as caught:
                function([*good, bad])
            assert caught.value.name == "values"
            assert caught.value.value is bad
        for function in (mann_whitney, hodges_lehmann):
            with pytest.raises(InvalidValue) as caught:
                function([1], [*good, bad])
            assert caught.value.name == "b"

    @pytest.mark.parametrize("bad", [-0.1, 1.1, NAN, True, "0.5", None])
    def test_q_is_a_share(self, bad):
        """A percentile is from 0 to 1."""
        with pytest.raises(InvalidValue, match=r"q: .* give a number from 0 to 1"):
            percentile([1], bad)

    @pytest.mark.parametrize("bad", [0, 1, -0.1, 1.1, 95, NAN, True, "0.95", None])
    def test_level_lies_between_0_and_1(self, bad):
        """A level of 0, of 1 or in percent is refused by every interval, with data or without."""
        calls = [
            lambda: quantile_interval([], 0.5, level=bad),
            lambda: median_interval([1], level=bad),
            lambda: mean_interval([], level=bad),
            lambda: wilson(0, 0, level=bad),
            lambda: clopper_pearson(0, 0, level=bad),
            lambda: jeffreys(0, 0, level=bad),
            lambda: hodges_lehmann([], [], level=bad),
            lambda: bootstrap([], mean, seed=1, level=bad),
            lambda: bootstrap_difference([], [], mean, seed=1, level=bad),
            lambda: sample_size_for_ratio(0.9, sigma=1, level=bad),
            lambda: power_for_ratio(0.9, sigma=1, n=5, level=bad),
        ]
        for call in calls:
            with pytest.raises(InvalidValue, match=r"level: .* above 0 and below 1"):
                call()

    @pytest.mark.parametrize("function", [wilson, clopper_pearson, jeffreys])
    @pytest.mark.parametrize(
        ("successes", "n", "name"),
        [
            (3, 2, "successes"),
            (-1, 2, "successes"),
            (1.0, 2, "successes"),
            (True, 2, "successes"),
            (0, -1, "n"),
            (0, 2.0, "n"),
            (0, False, "n"),
        ],
    )
    def test_rates_are_of_whole_numbers(self, function, successes, n, name):
        """More successes than tries, negative or broken numbers are refused."""
        with pytest.raises(InvalidValue) as caught:
            function(successes, n)
        assert caught.value.name == name

    @pytest.mark.parametrize(
        ("name", "call"),
        [
            ("q", lambda: quantile_interval([1], 0)),
            ("q", lambda: quantile_interval([1], 1)),
            ("q", lambda: Percentile(1.5)),
            ("seed", lambda: bootstrap([1], mean, seed=-1)),
            ("seed", lambda: bootstrap([1], mean, seed=1.0)),
            ("seed", lambda: bootstrap_difference([1], [1], mean, seed="1")),
            ("seed", lambda: permutation_p_value([1], [1], mean, seed=None)),
            ("resamples", lambda: bootstrap([1], mean, seed=1, resamples=0)),
            ("resamples", lambda: bootstrap_difference([1], [1], mean, seed=1, resamples=0)),
            ("resamples", lambda: permutation_p_value([1], [1], mean, seed=1, resamples=0)),
            ("statistic", lambda: bootstrap([1], constant(NAN), seed=1)),
            ("statistic", lambda: permutation_p_value([1], [1], constant("x"), seed=1)),
            ("ratio", lambda: sample_size_for_ratio(1, sigma=1)),
            ("ratio", lambda: sample_size_for_ratio(0, sigma=1)),
            ("ratio", lambda: power_for_ratio(-2, sigma=1, n=5)),
            ("ratio", lambda: power_for_ratio(1.0, sigma=1, n=5)),
            ("sigma", lambda: sample_size_for_ratio(0.9, sigma=0)),
            ("sigma", lambda: sample_size_for_ratio(0.9, sigma=NAN)),
            ("sigma", lambda: power_for_ratio(0.9, sigma=INFINITY, n=5)),
            ("power", lambda: sample_size_for_ratio(0.9, sigma=1, power=1)),
            ("power", lambda: sample_size_for_ratio(0.9, sigma=1, power=0.05)),
            ("n", lambda: power_for_ratio(0.9, sigma=1, n=0)),
        ],
    )
    def test_the_argument_at_fault_is_named(self, name, call):
        """An argument out of its range is refused by its name."""
        with pytest.raises(InvalidValue) as caught:
            call()
        assert caught.value.name == name

    @pytest.mark.parametrize(
        ("name", "bad"),
        [("n_a", 0), ("n_b", 0), ("runs", 0), ("seed", -1), ("n_a", 2.0), ("values", [NAN])],
    )
    def test_simulations_name_the_argument_at_fault(self, name, bad):
        """Both simulations refuse what they cannot draw."""
        good = {"values": [1], "n_a": 1, "n_b": 1, "statistic": mean, "seed": 1, "runs": 1}
        for function, argument in (
            (simulate_no_change, {"difference": 1}),
            (simulate_shortening, {"ratio": 0.5}),
        ):
            with pytest.raises(InvalidValue) as caught:
                function(**{**good, **argument, name: bad})
            assert caught.value.name == name

    @pytest.mark.parametrize("bad", [-1, NAN, INFINITY, True])
    def test_a_difference_is_a_size(self, bad):
        """The difference to be simulated has no sign."""
        with pytest.raises(InvalidValue, match="difference"):
            simulate_no_change([1], n_a=1, n_b=1, difference=bad, statistic=mean, seed=1)

    @pytest.mark.parametrize("bad", [0, 1, 1.1, -0.5, NAN])
    def test_a_shortening_shortens(self, bad):
        """A ratio that does not shorten is refused."""
        with pytest.raises(InvalidValue, match="ratio"):
            simulate_shortening([1], n_a=1, n_b=1, ratio=bad, statistic=mean, seed=1)


def test_results_are_values():
    """Results are frozen, compare by content, and say what they are."""
    interval = Interval(low=1.0, high=2.0, level=0.9, method="by hand")
    assert Estimate(value=1.5, interval=interval) == Estimate(value=1.5, interval=interval)
    with pytest.raises(AttributeError):
        interval.low = 0.0
