"""
Averages, their uncertainty, and the question whether two periods really differ.

Four parts, in this order:

- one number for many: `percentile`, `median`, `median_low`, `mean`, `total`, `geometric_mean`,
  `log_sigma`;
- how far to trust it: `quantile_interval`, `median_interval`, `mean_interval`, and for rates
  `wilson`, `clopper_pearson`, `jeffreys`;
- two samples: `mann_whitney`, `hodges_lehmann`, and by resampling `bootstrap`,
  `bootstrap_difference`, `permutation_p_value`;
- planning and honesty: `sample_size_for_ratio`, `power_for_ratio`, `simulate_no_change`,
  `simulate_shortening`.

Survival curves, for incidents that are still open, are in `imcm.projections.statistics.survival`.

Resampling and simulations draw what they need of a resample, not the resample: of a percentile the
one or two values it is made of, by their exact distribution; of a sum of many about 400 of its
terms. What each does is said under "Draws" below, and in the method of an interval.

Everything here is a pure function of its arguments. The order of the input never matters: values
are sorted before anything is computed or drawn, which costs next to nothing where they are sorted
already. Integers (durations are whole microseconds) are summed exactly, floats with `math.fsum`,
and a sample that mixes both is read as floats. Undefined is None, never 0. A value that is not a
number, not finite, or beyond 1e100 in size is refused with `InvalidValue`, which names the
argument; so is every other argument out of its range.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import accumulate, chain, pairwise, repeat
from random import Random
from statistics import NormalDist
from typing import Final, NamedTuple, TypeAlias, cast

import attrs

from imcm.errors import InvalidValue

__all__ = [
    "Estimate",
    "Interval",
    "Percentile",
    "Statistic",
    "TestResult",
    "bootstrap",
    "bootstrap_difference",
    "clopper_pearson",
    "geometric_mean",
    "hodges_lehmann",
    "jeffreys",
    "log_sigma",
    "mann_whitney",
    "mean",
    "mean_interval",
    "median",
    "median_interval",
    "median_low",
    "percentile",
    "permutation_p_value",
    "power_for_ratio",
    "quantile_interval",
    "sample_size_for_ratio",
    "simulate_no_change",
    "simulate_shortening",
    "total",
    "wilson",
]

Statistic: TypeAlias = Callable[[Sequence[float]], float | None]
"""What turns a sample into one number, such as `median`; None where it is undefined."""

# Beyond this size squares and sums could leave the range of floats. In microseconds it is longer
# than any incident.
LARGEST: Final = 1e100

# Logarithms of floats up to 1e100 cannot spread by more.
LARGEST_SIGMA: Final = 1000

# Mann-Whitney is exact while both samples are smaller than this: beyond, the normal approximation
# is good to three digits and the exact count grows with the cube of the size.
EXACT_BELOW: Final = 50

# Up to this many pairwise differences are listed and sorted; more are narrowed down first.
LISTED_DIFFERENCES: Final = 4096

# How many of the differences are looked at to find pivots, and how many of these lie between a
# pivot and where the rank is expected.
PIVOT_SAMPLE: Final = 4096
PIVOT_MARGIN: Final = 16

GOLDEN: Final = 0.6180339887498949
"""The golden ratio less 1, whose multiples fill the range from 0 to 1 evenly."""

# Of the terms of a resampled sum about so many are drawn one by one, the farthest from the median.
DRAWN_TERMS: Final = 400

# The binomial distribution of so many tosses of a coin stands for the normal one: its distribution
# function differs by less than 1e-5.
TOSSES: Final = 1 << 16

# What is less likely than the likeliest number by this factor is never drawn.
NEVER: Final = 1e-20

# Two numbers that are equal on paper may differ in the last digits when reached on two ways.
SLACK: Final = 1e-12


@attrs.frozen(kw_only=True)
class Interval:
    """
    A confidence interval, closed at both ends.

    Attributes:
        low: The lower bound; None if there is none, or none can be computed from so little.
        high: The upper bound; None likewise.
        level: The confidence level asked for, such as 0.95.
        method: The name of the method, to be printed with the figure.
    """

    low: float | None
    high: float | None
    level: float
    method: str


@attrs.frozen(kw_only=True)
class TestResult:
    """
    The answer of a test of "there is no difference".

    Attributes:
        statistic: The test statistic; None where the test is undefined.
        p_value: The two-sided p-value: how likely a difference at least this large is where there
            is none. None where the test is undefined.
        method: The name of the test and of the way its p-value was found.
    """

    # Not a test to be run, although its name begins like one: pytest reads this.
    __test__ = False

    statistic: float | None
    p_value: float | None
    method: str


@attrs.frozen(kw_only=True)
class Estimate:
    """A value with its confidence interval; the value is None where it is undefined."""

    value: float | None
    interval: Interval


# Checks, shared with the survival curves.


class Ordered(list[float]):
    """A sample that has been checked and sorted, so that no statistic does it again."""

    __slots__ = ()

    @classmethod
    def of(cls, values: Iterable[float], name: str = "values") -> Ordered:
        """
        Return *values* checked and sorted.

        Raises:
            InvalidValue: As `finite_numbers`.
        """
        if isinstance(values, Ordered):
            return values
        made = cls(finite_numbers(name, values))
        sort(made)
        return made

    def __repr__(self) -> str:
        return f"<Ordered of {len(self):,}>"


_FLOATS: Final = 1 << 53
"""Up to here a float holds every whole number."""


def are_floats(numbers: Sequence[float]) -> bool:
    """Say whether a float holds each of these numbers; large whole ones sort faster as floats."""
    return bool(numbers) and min(numbers) >= -_FLOATS and max(numbers) <= _FLOATS


def sort(numbers: list[int] | list[float]) -> None:
    """Sort finite numbers in place; of large whole numbers as floats, which takes half as long."""
    whole = bool(numbers) and isinstance(numbers[0], int)
    numbers.sort(key=float if whole and are_floats(numbers) else None)


def finite_numbers(name: str, values: Iterable[float]) -> list[float]:
    """
    Return *values* as a list, in their order, either all int or all float.

    Raises:
        InvalidValue: One is not an int or float, is NaN or infinite, or is larger than 1e100.
    """
    if isinstance(values, Ordered):
        return values
    numbers = list(values)
    kinds = set(map(type, numbers))
    if not all(map(_is_numeric, kinds)):
        first = next(number for number in numbers if not _is_numeric(type(number)))
        raise InvalidValue(name, first, "give ints or floats")
    # Plain columns are looked through at the speed of C, mixed ones and those with a culprit one
    # by one. NaN fails every comparison, so it must be ruled out before min and max are asked.
    plain = kinds <= {int} or (kinds == {float} and all(map(math.isfinite, numbers)))
    if not plain or (numbers and not -LARGEST <= min(numbers) <= max(numbers) <= LARGEST):
        for number in numbers:
            if not -LARGEST <= number <= LARGEST:
                raise InvalidValue(name, number, "give finite numbers from -1e100 to 1e100")
    if all(issubclass(kind, int) for kind in kinds):
        return numbers
    # Adding zero turns -0.0 into 0.0: two zeros would make the order of the input visible.
    return [float(number) + 0.0 for number in numbers]


def _is_numeric(kind: type[object]) -> bool:
    """Return whether instances of *kind* are numbers; True and False are answers, not numbers."""
    return issubclass(kind, (int, float)) and kind is not bool


def check_between(name: str, value: object, low: float, high: float) -> None:
    """
    Refuse *value* unless it is a number above *low* and below *high*.

    Raises:
        InvalidValue: It is not; NaN never is.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low < value < high:
        raise InvalidValue(name, value, f"give a number above {low:g} and below {high:g}")


def check_from_to(name: str, value: object, low: float, high: float) -> None:
    """
    Refuse *value* unless it is a number from *low* to *high*, both allowed.

    Raises:
        InvalidValue: It is not; NaN never is.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise InvalidValue(name, value, f"give a number from {low:g} to {high:g}")


def critical_z(level: float) -> float:
    """
    Return z so that a standard normal value lies within -z and z with probability *level*.

    Raises:
        InvalidValue: *level* is not strictly between 0 and 1.
    """
    check_between("level", level, 0, 1)
    # Taken from the lower tail, where a level close to 1 keeps its digits.
    return -NormalDist().inv_cdf((1 - level) / 2)


def _ordered(name: str, values: Iterable[float]) -> list[float]:
    """Return *values*, checked and sorted."""
    return Ordered.of(values, name)


def _check_count(name: str, value: object, least: int) -> None:
    """Refuse *value* unless it is an int of at least *least*."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidValue(name, value, f"give an int of at least {least}")


def _check_ratio(ratio: float) -> None:
    """Refuse *ratio* unless it is a positive number other than 1."""
    check_between("ratio", ratio, 0, math.inf)
    if ratio == 1:
        raise InvalidValue("ratio", ratio, "give another ratio than 1: no change is never seen")


# One number for many.


def percentile(values: Iterable[float], q: float) -> float | None:
    """
    Return the value below which the share *q* of *values* lies, by linear interpolation.

    Type 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages" (1996): with the n values
    sorted and numbered from 0, the value at the place (n - 1) * q. It is what numpy, pandas and
    spreadsheets give by default. *q* is read as the decimal number it prints as, so that 0.29 of
    101 values is exactly the one numbered 29, and the result is rounded once.

    In the unit of the values. None if there are none.

    Raises:
        InvalidValue: *q* is not from 0 to 1, or a value is not a finite number.
    """
    check_from_to("q", q, 0, 1)
    ordered = _ordered("values", values)
    if not ordered:
        return None
    place = _place_of(q, len(ordered))
    below = math.floor(place)
    part = place - below
    if part == 0:
        return float(ordered[below])
    return _between(ordered[below], ordered[below + 1], part)


@attrs.frozen
class Percentile:
    """
    `percentile` at one *q* from 0 to 1 as a `Statistic`: 0.9 is p90, 0 the minimum, 1 the maximum.

    What resamples can see from it which values it is made of; of another function it cannot.

    Raises:
        InvalidValue: *q* is not from 0 to 1.
    """

    q: float

    def __attrs_post_init__(self) -> None:
        check_from_to("q", self.q, 0, 1)

    def __call__(self, values: Iterable[float]) -> float | None:
        """Return the percentile of *values*; None if there are none."""
        return percentile(values, self.q)


def _place_of(q: float, n: int) -> Fraction:
    """Return the place of a percentile among *n* sorted values, numbered from 0."""
    return Fraction(repr(float(q))) * (n - 1)


def _between(low: float, high: float, part: Fraction) -> float:
    """Return what lies the share *part* of the way from *low* to *high*, rounded once."""
    start, end = Fraction(low), Fraction(high)
    return float(start + part * (end - start))


def median(values: Iterable[float]) -> float | None:
    """
    Return the middle of *values*, or halfway between the two middle ones.

    In the unit of the values. None if there are none.

    Raises:
        InvalidValue: A value is not a finite number.
    """
    ordered = _ordered("values", values)
    if not ordered:
        return None
    middle = len(ordered) // 2
    if len(ordered) % 2 == 1:
        return float(ordered[middle])
    return (ordered[middle - 1] + ordered[middle]) / 2


def median_low(values: Iterable[float]) -> float | None:
    """
    Return the middle of *values*, or the lower of the two middle ones.

    Some tools call this the median; unlike it, this is always one of the values.

    In the unit of the values. None if there are none.

    Raises:
        InvalidValue: A value is not a finite number.
    """
    ordered = _ordered("values", values)
    if not ordered:
        return None
    return float(ordered[(len(ordered) - 1) // 2])


def mean(values: Iterable[float]) -> float | None:
    """
    Return the sum of *values* divided by how many there are.

    The sum is exact and rounded only in the division; of floats it is rounded once before it.

    In the unit of the values. None if there are none.

    Raises:
        InvalidValue: A value is not a finite number.
    """
    numbers = finite_numbers("values", values)
    if not numbers:
        return None
    return _center(numbers)


def total(values: Iterable[float]) -> float | None:
    """
    Return the sum of *values*; of whole numbers it is whole and exact, of floats rounded once.

    In the unit of the values. None if there are none.

    Raises:
        InvalidValue: A value is not a finite number.
    """
    numbers = finite_numbers("values", values)
    if not numbers:
        return None
    return sum(numbers) if isinstance(numbers[0], int) else math.fsum(numbers)


def geometric_mean(values: Iterable[float]) -> float | None:
    """
    Return the n-th root of the product of the n *values*: exp(mean of the logarithms).

    For durations, whose logarithms are close to normal, it is close to the median and steadier.

    In the unit of the values. None if there are none, or if one is zero or negative: then it
    is not defined, and leaving such values out would be a choice that belongs to the caller.

    Raises:
        InvalidValue: A value is not a finite number.
    """
    numbers = finite_numbers("values", values)
    if not numbers or min(numbers) <= 0:
        return None
    root = math.exp(math.fsum(map(math.log, numbers)) / len(numbers))
    # Rounding must not carry it out of the range of the values.
    return float(min(max(root, min(numbers)), max(numbers)))


def log_sigma(values: Iterable[float]) -> float | None:
    """
    Return the standard deviation of the natural logarithms of *values* (divisor n - 1).

    The sigma that `sample_size_for_ratio` and `power_for_ratio` ask for. Without a unit: it does
    not change when the values are given in minutes instead of hours.

    None with fewer than two values, or if one is zero or negative.

    Raises:
        InvalidValue: A value is not a finite number.
    """
    numbers = finite_numbers("values", values)
    if len(numbers) < 2 or min(numbers) <= 0:
        return None
    return math.sqrt(_variance([math.log(number) for number in numbers]))


# How far to trust it.


def quantile_interval(values: Iterable[float], q: float, *, level: float = 0.95) -> Interval:
    """
    Return the interval between two of *values* that holds the quantile *q* of their population.

    Assumes nothing but that the values are independent and from one population. How many of n
    values lie below the quantile is binomial(n, q); the bounds are the innermost values that leave
    at most (1 - level) / 2 on each side, so the coverage is at least *level* whatever the
    distribution, ties included (Thompson 1936; Conover, "Practical Nonparametric Statistics",
    section 3.2).

    In the unit of the values. A bound is None if n is too small to have one on that side: for the
    median at 95 % that is n < 6, for the 90th percentile n < 36 above and n < 2 below.

    Raises:
        InvalidValue: *q* or *level* is not strictly between 0 and 1, or a value is not a finite
            number.
    """
    check_between("q", q, 0, 1)
    check_between("level", level, 0, 1)
    ordered = _ordered("values", values)
    n = len(ordered)
    tail = (1 - level) / 2
    from_low = _binomial_rank(n, q, tail)
    from_high = _binomial_rank(n, 1 - q, tail)
    return Interval(
        low=float(ordered[from_low - 1]) if from_low else None,
        high=float(ordered[n - from_high]) if from_high else None,
        level=level,
        method="exact order statistics",
    )


def median_interval(values: Iterable[float], *, level: float = 0.95) -> Interval:
    """
    Return the exact order-statistic interval of the median.

    `quantile_interval` for q = 1/2: the k-th smallest and k-th largest value with the largest k
    whose coverage, from binomial(n, 1/2), is at least *level*. Both bounds are None if even the
    smallest and largest value cover less, at 95 % for n < 6.

    Raises:
        InvalidValue: *level* is not strictly between 0 and 1, or a value is not a finite number.
    """
    return quantile_interval(values, 0.5, level=level)


def mean_interval(values: Iterable[float], *, level: float = 0.95) -> Interval:
    """
    Return Student's t interval of the mean: mean -+ t(level, n - 1) * s / sqrt(n).

    Exact for a normal population (Student 1908). Durations are skewed: with few of them it
    covers less than *level*, and the median with its interval says more.

    In the unit of the values. Both bounds are None with fewer than two values.

    Raises:
        InvalidValue: *level* is not strictly between 0 and 1, or a value is not a finite number.
    """
    check_between("level", level, 0, 1)
    numbers = finite_numbers("values", values)
    n = len(numbers)
    method = "Student t"
    if n < 2:
        return Interval(low=None, high=None, level=level, method=method)
    center = _center(numbers)
    half = _critical_t(level, n - 1) * math.sqrt(_variance(numbers) / n)
    return Interval(low=center - half, high=center + half, level=level, method=method)


def wilson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """
    Return Wilson's score interval of a rate of *successes* in *n*.

    The rates p that a score test does not reject: |successes / n - p| <= z * sqrt(p (1 - p) / n)
    (Wilson, "Probable Inference", 1927). Its coverage is close to *level* on average, also for
    rates near 0 and 1 and for small n (Brown, Cai and DasGupta 2001), hence the default for rates.

    A share from 0 to 1. Both bounds are None if *n* is 0.

    Raises:
        InvalidValue: *successes* is not an int from 0 to *n*, *n* is not an int of at least 0, or
            *level* is not strictly between 0 and 1.
    """
    _check_successes(successes, n)
    z = critical_z(level)
    method = "Wilson score"
    if n == 0:
        return Interval(low=None, high=None, level=level, method=method)
    return Interval(
        low=_wilson_low(successes, n, z),
        high=1 - _wilson_low(n - successes, n, z),
        level=level,
        method=method,
    )


def clopper_pearson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """
    Return the exact interval of a rate of *successes* in *n*.

    The rates at which so many successes or more, and so many or fewer, each have a probability
    of at least (1 - level) / 2: quantiles of beta(k, n - k + 1) and beta(k + 1, n - k) (Clopper
    and Pearson 1934). Covers at least *level* whatever the rate, at the price of being wide.

    A share from 0 to 1. Both bounds are None if *n* is 0.

    Raises:
        InvalidValue: As for `wilson`.
    """
    _check_successes(successes, n)
    check_between("level", level, 0, 1)
    failures = n - successes
    return _beta_interval(
        n,
        low=(successes, failures + 1) if successes else None,
        high=(successes + 1, failures) if failures else None,
        level=level,
        method="Clopper-Pearson",
    )


def jeffreys(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """
    Return the equal-tailed Bayesian interval of a rate under Jeffreys' prior beta(1/2, 1/2).

    Quantiles of beta(k + 1/2, n - k + 1/2), with the lower bound 0 if there was no success and the
    upper bound 1 if there was nothing else, as Brown, Cai and DasGupta, "Interval Estimation for a
    Binomial Proportion" (2001), advise.

    A share from 0 to 1. Both bounds are None if *n* is 0.

    Raises:
        InvalidValue: As for `wilson`.
    """
    _check_successes(successes, n)
    check_between("level", level, 0, 1)
    failures = n - successes
    shape = (successes + 0.5, failures + 0.5)
    return _beta_interval(
        n,
        low=shape if successes else None,
        high=shape if failures else None,
        level=level,
        method="Jeffreys",
    )


# Two samples.


def mann_whitney(a: Iterable[float], b: Iterable[float]) -> TestResult:
    """
    Test whether values of one sample tend to be larger than those of the other, two-sided.

    The statistic is U of *a*: the number of pairs in which the value of *a* is the larger, a tie
    counting one half (Mann and Whitney 1947). The p-value is exact, counted over all orders, if no
    two of all the values are equal and both samples have fewer than 50. Otherwise it comes from
    the normal approximation with the variance corrected for ties and a continuity correction of
    1/2. Where all values are equal every order gives the same U, and p is 1.

    Both None if a sample is empty.

    Raises:
        InvalidValue: A value is not a finite number.
    """
    ordered_a, ordered_b = _ordered("a", a), _ordered("b", b)
    n_a, n_b = len(ordered_a), len(ordered_b)
    if n_a == 0 or n_b == 0:
        return TestResult(statistic=None, p_value=None, method="Mann-Whitney")
    # In halves, so that ties stay whole numbers.
    halves = sum(map(bisect_left, repeat(ordered_b), ordered_a))
    halves += sum(map(bisect_right, repeat(ordered_b), ordered_a))
    statistic = halves / 2
    pairs = n_a * n_b
    # How often each value occurs, in both samples together.
    repeats = Counter(chain(ordered_a, ordered_b)).values()
    if len(repeats) == n_a + n_b and max(n_a, n_b) < EXACT_BELOW:
        least = min(halves, 2 * pairs - halves) // 2
        tail = sum(_rank_counts(n_a, n_b, least)) / math.comb(n_a + n_b, n_a)
        return TestResult(
            statistic=statistic, p_value=min(1.0, 2 * tail), method="Mann-Whitney, exact"
        )
    n = n_a + n_b
    ties = sum(count**3 - count for count in repeats)
    # 12 n (n - 1) times the variance, a whole number.
    spread = pairs * ((n + 1) * n * (n - 1) - ties)
    p_value = 1.0
    if spread > 0:
        distance = (abs(halves - pairs) - 1) / 2
        z = distance / math.sqrt(spread / (12 * n * (n - 1)))
        p_value = min(1.0, math.erfc(z / math.sqrt(2)))
    return TestResult(
        statistic=statistic,
        p_value=p_value,
        method="Mann-Whitney, normal approximation with ties and continuity correction",
    )


def hodges_lehmann(a: Iterable[float], b: Iterable[float], *, level: float = 0.95) -> Estimate:
    """
    Return by how much *b* is shifted against *a*: the median of all differences b - a.

    Hodges and Lehmann, "Estimates of Location Based on Rank Tests" (1963). The interval is Moses'
    (Hollander, Wolfe and Chicken, "Nonparametric Statistical Methods", section 4.3): the k-th
    smallest and k-th largest difference, with the largest k for which the Mann-Whitney U is below
    k with a probability of at most (1 - level) / 2. That probability is exact while both samples
    have fewer than 50 values (with ties the interval then covers more, not less), a normal
    approximation beyond. It assumes that *b* is distributed like *a*, only shifted.

    Up to 4,096 differences are sorted. Of more, each rank asked for is found by counting, in time
    and memory that grow with the number of values and not of pairs.

    In the unit of the values. The value and both bounds are None if a sample is empty; the bounds
    are None if the samples are too small for *level*.

    Raises:
        InvalidValue: A value is not a finite number, or *level* is not strictly between 0 and 1.
    """
    z = critical_z(level)
    ordered_a, ordered_b = _ordered("a", a), _ordered("b", b)
    n_a, n_b = len(ordered_a), len(ordered_b)
    pairs = n_a * n_b
    if max(n_a, n_b) < EXACT_BELOW:
        method = "Moses, exact"
        total = math.comb(n_a + n_b, n_a)
        tails = [count / total for count in accumulate(_rank_counts(n_a, n_b, pairs // 2))]
        rank = bisect_right(tails, (1 - level) / 2 * (1 + SLACK))
    else:
        method = "Moses, normal approximation"
        rank = math.floor(pairs / 2 - z * math.sqrt(pairs * (n_a + n_b + 1) / 12))
    if pairs == 0:
        nothing = Interval(low=None, high=None, level=level, method=method)
        return Estimate(value=None, interval=nothing)
    middle = ((pairs + 1) // 2, pairs // 2 + 1)
    interval = Interval(low=None, high=None, level=level, method=method)
    if rank <= 0:
        lower, upper = _ranked_differences(ordered_a, ordered_b, middle)
    else:
        ranks = (rank, *middle, pairs + 1 - rank)
        low, lower, upper, high = _ranked_differences(ordered_a, ordered_b, ranks)
        interval = attrs.evolve(interval, low=float(low), high=float(high))
    return Estimate(value=(lower + upper) / 2, interval=interval)


def bootstrap(
    values: Iterable[float],
    statistic: Statistic,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """
    Return the percentile bootstrap interval of *statistic*.

    Draws as many values as there are, with replacement, *resamples* times, and takes the
    percentiles (1 -+ level) / 2 of what *statistic* makes of them (Efron 1979). For statistics
    that have no interval of their own; with few values it is too narrow.

    What is drawn depends on *statistic*, and the interval's method says what it was:

    - `median`, `median_low`, a `Percentile`, `min` and `max`: the one or two values they are made
      of, by their exact distribution among resamples, in a time that does not depend on how many
      values there are ("by exact order statistics");
    - `mean`, `total`, and `geometric_mean` of what is above 0, of more than 400 values: about 400
      of the terms, and the others by their mean and variance, in a time that does not depend on
      it either ("by sums of about 400 draws and a normal rest");
    - anything else: every value.

    A sum drawn so has the mean and variance of a resampled one exactly, and nearly its
    distribution: see `_sums`. The same values, seed and resamples give the same interval, in every
    version of Python and on every machine, but for the last digits of logarithms.

    In the unit of the statistic. Both bounds are None if there are no values, or if the statistic
    is None for one of the resamples.

    Raises:
        InvalidValue: A value or a result of *statistic* is not a finite number, *seed* is not an
            int of at least 0, *resamples* not one of at least 1, or *level* not strictly between
            0 and 1.
    """
    ordered = _ordered("values", values)
    draw = _generator(seed)
    _check_count("resamples", resamples, 1)
    check_between("level", level, 0, 1)
    drawn = _draws(statistic, ordered, len(ordered), draw)
    outcomes = (_checked(drawn.once()) for _ in range(resamples))
    method = f"percentile bootstrap{drawn.way}, {resamples}, seed {seed}"
    return _bootstrap_interval(outcomes, level, method)


def bootstrap_difference(
    a: Iterable[float],
    b: Iterable[float],
    statistic: Statistic,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """
    Return the percentile bootstrap interval of statistic(b) - statistic(a).

    Each sample is resampled on its own; otherwise as `bootstrap`.

    In the unit of the statistic. Both bounds are None if a sample is empty, or if the statistic
    is None for one of the resamples.

    Raises:
        InvalidValue: As for `bootstrap`.
    """
    ordered_a, ordered_b = _ordered("a", a), _ordered("b", b)
    draw = _generator(seed)
    _check_count("resamples", resamples, 1)
    check_between("level", level, 0, 1)
    of_a, of_b = (_draws(statistic, one, len(one), draw) for one in (ordered_a, ordered_b))
    outcomes = _differences(of_a, of_b, resamples)
    way = of_a.way or of_b.way
    method = f"percentile bootstrap of the difference{way}, {resamples}, seed {seed}"
    return _bootstrap_interval(outcomes, level, method)


def permutation_p_value(
    a: Iterable[float],
    b: Iterable[float],
    statistic: Statistic,
    *,
    seed: int,
    resamples: int = 2000,
) -> float | None:
    """
    Return how likely statistic(b) - statistic(a) is as far from 0 if the labels mean nothing.

    Deals all values anew into two samples of the same sizes, *resamples* times: p = (1 + those at
    least as far from 0) / (1 + resamples), two-sided. The added 1 is the deal that was observed;
    without it p could be 0, which no number of deals can show (Phipson and Smyth 2010).

    A probability, never below 1 / (1 + resamples). None if a sample is empty, or if the statistic
    is None for the samples or for one of the deals.

    Raises:
        InvalidValue: A value or a result of *statistic* is not a finite number, *seed* is not an
            int of at least 0, or *resamples* not one of at least 1.
    """
    ordered_a, ordered_b = _ordered("a", a), _ordered("b", b)
    draw = _generator(seed)
    _check_count("resamples", resamples, 1)
    observed = _difference(statistic, ordered_a, ordered_b)
    if observed is None:
        return None
    pool = sorted(ordered_a + ordered_b)
    n, n_a = len(pool), len(ordered_a)
    bound = abs(observed) * (1 - SLACK)
    as_far = 1
    for _ in range(resamples):
        # Fisher and Yates' shuffle of only the first n_a places: all that a deal needs.
        for place in range(n_a):
            other = place + int(draw() * (n - place))
            pool[place], pool[other] = pool[other], pool[place]
        dealt = _difference(statistic, sorted(pool[:n_a]), sorted(pool[n_a:]))
        if dealt is None:
            return None
        as_far += abs(dealt) >= bound
    return as_far / (resamples + 1)


# Planning and honesty.


def sample_size_for_ratio(
    ratio: float, *, sigma: float, level: float = 0.95, power: float = 0.8
) -> int:
    """
    Return how many incidents per period it takes to see durations change by *ratio*.

    n = 2 * ((z(1 - (1 - level) / 2) + z(power)) * sigma / ln(ratio)) ** 2, rounded up: the usual
    two-sample size for means (Chow, Shao and Wang, "Sample Size Calculations in Clinical
    Research", section 3.2), on the logarithms of the durations, where a ratio of medians is a
    difference of means. *sigma* is the standard deviation of those logarithms (`log_sigma`),
    usually 1.1 to 1.2: to see 10 % less, *ratio* 0.9, it then takes about 1,700 to 2,100 incidents
    in each of two periods of equal size. *level* is one minus the two-sided false alarm rate.

    Raises:
        InvalidValue: *ratio* is not positive or is 1, *sigma* is not positive, *level* is not
            strictly between 0 and 1, or *power* not strictly between 1 - *level* and 1 (below, it
            is no more than the rate of false alarms).
    """
    _check_ratio(ratio)
    check_between("sigma", sigma, 0, LARGEST_SIGMA)
    z = critical_z(level)
    check_between("power", power, 1 - level, 1)
    effect = math.log(ratio) / sigma
    return max(1, math.ceil(2 * ((z + NormalDist().inv_cdf(power)) / effect) ** 2))


def power_for_ratio(ratio: float, *, n: int, sigma: float, level: float = 0.95) -> float:
    """
    Return the probability of seeing durations change by *ratio* with *n* incidents per period.

    `sample_size_for_ratio` solved for the power: Phi(|ln ratio| / sigma * sqrt(n / 2) - z). The
    probability of seeing a change in the wrong direction is not counted in.

    Raises:
        InvalidValue: *ratio* is not positive or is 1, *n* is not an int of at least 1, *sigma* is
            not positive, or *level* is not strictly between 0 and 1.
    """
    _check_ratio(ratio)
    _check_count("n", n, 1)
    check_between("sigma", sigma, 0, LARGEST_SIGMA)
    effect = abs(math.log(ratio)) / sigma
    return NormalDist().cdf(effect * math.sqrt(n / 2) - critical_z(level))


def simulate_no_change(
    values: Iterable[float],
    *,
    n_a: int,
    n_b: int,
    difference: float,
    statistic: Statistic,
    seed: int,
    runs: int = 1000,
) -> float | None:
    """
    Return how often a difference appears where nothing has changed.

    Draws two periods of *n_a* and *n_b* incidents, both from *values* with replacement, and counts
    the share of runs in which the statistic differs by *difference* or more, in either direction.
    A large share means that a difference of this size is no evidence. After Davidovic, "Incident
    Metrics in SRE" (2021). What is drawn of a period depends on the statistic, as in `bootstrap`.

    A share from 0 to 1, uncertain by at most about 1 / sqrt(runs). *difference* is in the unit of
    the statistic. None if there are no values, or if the statistic is None in one of the runs.

    Raises:
        InvalidValue: A value or a result of *statistic* is not a finite number, *n_a*, *n_b* or
            *runs* is not an int of at least 1, *difference* is negative or not finite, or *seed*
            is not an int of at least 0.
    """
    check_from_to("difference", difference, 0, LARGEST)
    outcomes = _simulated(
        values, n_a=n_a, n_b=n_b, ratio=1, statistic=statistic, seed=seed, runs=runs
    )
    bound = difference * (1 - SLACK)
    return _share(outcomes, lambda outcome: abs(outcome) >= bound)


def simulate_shortening(
    values: Iterable[float],
    *,
    n_a: int,
    n_b: int,
    ratio: float,
    statistic: Statistic,
    seed: int,
    runs: int = 1000,
) -> float | None:
    """
    Return how often a true shortening looks like no improvement, or like the opposite.

    Draws two periods from *values* with replacement, multiplies every duration of the second by
    *ratio*, and counts the share of runs in which the statistic of the second is not below that of
    the first. For a ratio of 0.9 and the mean, Davidovic, "Incident Metrics in SRE" (2021), found
    38, 40 and 20 % for three companies. What is drawn of a period depends on the statistic, as in
    `bootstrap`.

    A share from 0 to 1, uncertain by at most about 1 / sqrt(runs). None if there are no values, or
    if the statistic is None in one of the runs.

    Raises:
        InvalidValue: *ratio* is not above 0 and below 1; otherwise as for `simulate_no_change`.
    """
    check_between("ratio", ratio, 0, 1)
    outcomes = _simulated(
        values, n_a=n_a, n_b=n_b, ratio=ratio, statistic=statistic, seed=seed, runs=runs
    )
    return _share(outcomes, lambda outcome: outcome >= 0)


# Sums and spreads.


def _center(numbers: Sequence[float]) -> float:
    """Return the mean of at least one number, all int or all float."""
    if isinstance(numbers[0], int):
        return sum(numbers) / len(numbers)
    # A float sum is rounded once more than an int sum: keep it from leaving the values by that.
    return min(max(math.fsum(numbers) / len(numbers), min(numbers)), max(numbers))


def _variance(numbers: Sequence[float]) -> float:
    """Return the variance with divisor n - 1 of at least two numbers, all int or all float."""
    n = len(numbers)
    if isinstance(numbers[0], int):
        # All whole numbers up to the one division.
        squares = sum(number * number for number in numbers)
        return (n * squares - sum(numbers) ** 2) / (n * (n - 1))
    center = _center(numbers)
    return math.fsum((number - center) ** 2 for number in numbers) / (n - 1)


# Rates.


def _check_successes(successes: int, n: int) -> None:
    """Refuse anything but whole numbers with 0 <= successes <= n."""
    _check_count("n", n, 0)
    _check_count("successes", successes, 0)
    if successes > n:
        raise InvalidValue("successes", successes, f"give at most n, which is {n}")


def _wilson_low(successes: int, n: int, z: float) -> float:
    """Return Wilson's lower bound; the upper one is that of the failures, taken from 1."""
    rate = successes / n
    shrink = 1 + z * z / n
    half = z * math.sqrt(rate * (1 - rate) / n + (z / n) ** 2 / 4)
    high = (rate + z * z / n / 2 + half) / shrink
    # The bounds are the two roots of a quadratic whose product is rate ** 2 / shrink. Dividing
    # instead of subtracting keeps the digits of small rates, and 0 is 0 exactly.
    return rate * rate / shrink / high


def _beta_interval(
    n: int,
    *,
    low: tuple[float, float] | None,
    high: tuple[float, float] | None,
    level: float,
    method: str,
) -> Interval:
    """Return the outer quantiles of two beta distributions; None is a bound at 0 or 1."""
    if n == 0:
        return Interval(low=None, high=None, level=level, method=method)
    tail = (1 - level) / 2
    return Interval(
        low=_beta_quantile(*low, tail, 1 - tail)[0] if low else 0.0,
        high=_beta_quantile(*high, 1 - tail, tail)[0] if high else 1.0,
        level=level,
        method=method,
    )


# Ranks.


def _binomial_rank(n: int, p: float, tail: float) -> int:
    """
    Return the largest rank k with P(binomial(n, p) < k) <= *tail*, 0 if there is none.

    The slack makes a level that is met exactly, such as 0.75 by 3 values, count as met.
    """

    def cumulative(k: int) -> float:
        return _beta_tails(n - k, k + 1, 1 - p, p)[0]

    return bisect_right(range(n), tail * (1 + SLACK), key=cumulative)


def _rank_counts(n_a: int, n_b: int, largest: int) -> list[int]:
    """
    Return how many orders of two samples without ties have U = 0, 1, ... *largest*.

    The coefficients of the Gaussian binomial: the product of (1 - x ** (n_b + i)) / (1 - x ** i)
    for i from 1 to n_a (Mann and Whitney 1947 give them as a recurrence).
    """
    small, large = sorted((n_a, n_b))
    counts = [1] + [0] * largest
    for i in range(1, small + 1):
        # Times 1 - x ** shift, in slices since this is where the time goes.
        shift = large + i
        counts[shift:] = [
            later - earlier for later, earlier in zip(counts[shift:], counts, strict=False)
        ]
        # Divided by 1 - x ** i: running sums over every i-th count.
        for start in range(i):
            counts[start::i] = accumulate(counts[start::i])
    return counts


def _ranked_differences(
    a: Sequence[float], b: Sequence[float], ranks: Sequence[int]
) -> list[float]:
    """
    Return the differences b - a at *ranks*, rising and counted from 1; both samples are sorted.

    Few are listed. Of many the search is among exact differences, as whole numbers of a unit: what
    is found is rounded once, which is what sorting the rounded ones would give, since rounding
    keeps the order.
    """
    if len(a) * len(b) <= LISTED_DIFFERENCES:
        listed = sorted(y - x for x in a for y in b)
        return [listed[rank - 1] for rank in ranks]
    whole_a, whole_b, unit = _in_one_unit(a, b)
    rows = _Rows.of(whole_a, whole_b).narrowed(ranks[0], ranks[-1])
    found: list[int] = []
    for before, rank in pairwise((0, *ranks)):
        # The two middle ones are neighbours: one is searched for, the other one lies next to it.
        following = rows.following(found[-1], rank) if found and rank - before <= 1 else None
        found.append(rows.at(rank) if following is None else following)
    return [value if unit is None else value / unit for value in found]


def _in_one_unit(
    a: Sequence[float], b: Sequence[float]
) -> tuple[Sequence[int], Sequence[int], int | None]:
    """
    Return both samples in whole numbers, and how many of these make 1; None if they were whole.

    A float is a whole number over a power of 2, so the largest of these makes all of them whole.
    """
    if isinstance(a[0], int) and isinstance(b[0], int):
        return cast("Sequence[int]", a), cast("Sequence[int]", b), None
    ratios_a, ratios_b = ([float(value).as_integer_ratio() for value in one] for one in (a, b))
    unit = max(below for _, below in chain(ratios_a, ratios_b))
    whole_a, whole_b = (
        [above * (unit // below) for above, below in ratios] for ratios in (ratios_a, ratios_b)
    )
    return whole_a, whole_b, unit


class _Rows(NamedTuple):
    """
    All differences b - a of two sorted samples, and which of them can still be those asked for.

    Each x of *a* has a row of differences y - x, sorted because *b* is. The candidates of a row
    are those of the slice left:right of *b* (Johnson and Mizoguchi 1978).
    """

    a: Sequence[int]
    b: Sequence[int]
    left: list[int]
    right: list[int]

    @classmethod
    def of(cls, a: Sequence[int], b: Sequence[int]) -> _Rows:
        """Return the rows of two samples, with every difference as a candidate."""
        return cls(a, b, [0] * len(a), [len(b)] * len(a))

    def at(self, rank: int) -> int:
        """Return the difference at *rank* of all differences, which must be a candidate."""
        rows = self
        while True:
            below = sum(rows.left)
            if sum(rows.right) - below <= max(LISTED_DIFFERENCES, len(self.a)):
                break
            narrower = rows.narrowed(rank, rank)
            if narrower is rows:
                # No pivot could be dropped: the difference at the rank is at most the lower one
                # and at least the lower one.
                return rows._pivots(rank, rank)[0]
            rows = narrower
        slices = zip(rows.a, rows.left, rows.right, strict=True)
        listed = sorted(y - x for x, start, end in slices for y in rows.b[start:end])
        return listed[rank - below - 1]

    def following(self, difference: int, rank: int) -> int:
        """Return the difference at *rank*, given the one at this rank or at the rank before."""
        up_to = self._places(bisect_right, difference)
        if sum(up_to) >= rank:
            return difference
        n = len(self.b)
        return min(self.b[place] - x for x, place in zip(self.a, up_to, strict=True) if place < n)

    def narrowed(self, first: int, last: int) -> _Rows:
        """
        Return the rows without what lies below the rank *first* and above the rank *last*.

        Two pivots are taken on both sides of where these ranks are expected, and it is counted how
        many differences lie up to the one and below the other. Unless both ranks are within the
        pivots themselves, at least one of these is dropped, as a rule nearly everything.
        """
        low, high = self._pivots(first, last)
        left, right = self.left, self.right
        up_to = self._places(bisect_right, low)
        if sum(up_to) < first:
            left = up_to
        else:
            high = low
        smaller = self._places(bisect_left, high)
        if sum(smaller) >= last:
            right = smaller
        else:
            up_to = self._places(bisect_right, high)
            if sum(up_to) < first:
                left = up_to
        if left is self.left and right is self.right:
            return self
        return self._replace(left=left, right=right)

    def _pivots(self, first: int, last: int) -> tuple[int, int]:
        """
        Return a candidate that is likely below the rank *first*, and one likely above *last*.

        Evenly spaced ones of all candidates are sorted. Which one of its row is taken steps on by
        the golden ratio from row to row: that fills the rows evenly however long they are.
        """
        a, b, left, right = self
        ends = list(accumulate(map(operator.sub, right, left)))
        candidates, below = ends[-1], sum(left)
        sample: list[int] = []
        part = 0.0
        for number in range(PIVOT_SAMPLE):
            row = bisect_right(ends, (2 * number + 1) * candidates // (2 * PIVOT_SAMPLE))
            part = (part + GOLDEN) % 1
            place = left[row] + int(part * (right[row] - left[row]))
            sample.append(b[place] - a[row])
        sample.sort()
        low, high = ((rank - below - 1) * PIVOT_SAMPLE // candidates for rank in (first, last))
        low, high = max(0, low - PIVOT_MARGIN), min(high + PIVOT_MARGIN, PIVOT_SAMPLE - 1)
        return sample[low], sample[high]

    def _places(self, bisect: Callable[..., int], pivot: int) -> list[int]:
        """Return for each row how many of its differences are below, or up to, *pivot*."""
        bounds = [x + pivot for x in self.a]
        return list(map(bisect, repeat(self.b), bounds, self.left, self.right))


# Draws. All of them, and nothing else, come from `Random.random()`, in an order that depends on
# the sorted values alone.


def _generator(seed: int) -> Callable[[], float]:
    """
    Return a source of numbers from 0 up to and without 1.

    Only `random()` itself is promised to repeat in every version of Python; what is built on it
    (`choices`, `shuffle`) is not. Negative seeds are refused since they repeat the positive ones.
    """
    _check_count("seed", seed, 0)
    return Random(seed).random  # noqa: S311 - it must repeat, and guards no secret


class _Draws(NamedTuple):
    """What draws the statistic of one resample, and in which way, for the name of the method."""

    once: Callable[[], float | None]
    way: str


def _draws(
    statistic: Statistic, ordered: Sequence[float], n: int, draw: Callable[[], float]
) -> _Draws:
    """Return what draws the statistic of *n* values, drawn with replacement from *ordered*."""
    if ordered:
        place = _place_in(statistic, n)
        if place is not None:
            return _Draws(_ranked(ordered, n, place, draw), " by exact order statistics")
        summed = _summed(statistic, ordered, n, draw) if n > DRAWN_TERMS else None
        if summed is not None:
            return _Draws(summed, f" by sums of about {DRAWN_TERMS} draws and a normal rest")
    size = len(ordered)

    def resampled() -> float | None:
        sample = [ordered[int(draw() * size)] for _ in range(n if size else 0)]
        return statistic(sample) if sample else None

    return _Draws(resampled, "")


def _place_in(statistic: Statistic, n: int) -> Fraction | None:
    """Return the place among *n* sorted values that *statistic* is the value at, if it is one."""
    if isinstance(statistic, Percentile):
        return _place_of(statistic.q, n)
    if statistic is median:
        return Fraction(n - 1, 2)
    if statistic is median_low:
        return Fraction((n - 1) // 2)
    if statistic is min:
        return Fraction(0)
    return Fraction(n - 1) if statistic is max else None


def _ranked(
    ordered: Sequence[float], n: int, place: Fraction, draw: Callable[[], float]
) -> Callable[[], float]:
    """
    Return what draws the value at a *place*, numbered from 0, among *n* resampled and sorted ones.

    A resample takes the values numbered floor(size * U), for n independent U, uniform from 0 to 1.
    That grows with U, so its k-th smallest value is the one numbered floor(size * U(k)), U(k) being
    the k-th smallest of the n (David and Nagaraja, "Order Statistics", section 2.1; of the
    bootstrap Efron, "Bootstrap Methods", 1979, section 3). Nothing is approximated. Between two
    neighbours, U(k + 1) is the least of the n - k that are above U(k), uniform from there to 1.
    """
    size, below = len(ordered), math.floor(place)
    part = place - below
    first = _uniform_rank(below + 1, n, draw)
    if part == 0:
        return lambda: float(ordered[int(first() * size)])
    least = _uniform_rank(1, n - below - 1, draw)

    def between() -> float:
        low = first()
        high = low + (1 - low) * least()
        # Rounding may carry it up to 1.
        return _between(ordered[int(low * size)], ordered[min(int(high * size), size - 1)], part)

    return between


def _uniform_rank(k: int, n: int, draw: Callable[[], float]) -> Callable[[], float]:
    """
    Return what draws the *k*-th smallest of *n* uniform numbers from 0 up to and without 1.

    It is distributed as Beta(k, n + 1 - k), with a density f in proportion to
    x ** (k - 1) * (1 - x) ** (n - k), here scaled to 1 at its mode. By the ratio of uniforms
    (Kinderman and Monahan 1977; Devroye, "Non-Uniform Random Variate Generation", section IV.7):
    with (u, v) uniform in the region 0 < u <= sqrt(f(mode + v / u)), mode + v / u is distributed
    so. The region is narrowest in the rectangle 0 < u <= 1, and v between the extremes of
    (x - mode) * sqrt(f(x)), which are where 2 x (1 - x) = (n - 1) * (x - mode) ** 2. About seven
    pairs of ten lie in the region.

    Only sums, products, quotients and a square root are used, which are the same to the last bit
    on every machine; logarithms and powers of other libraries are not.
    """
    below, above = k - 1, n - k
    mode = below / max(n - 1, 1)
    bits = range(max(below, above).bit_length() - 1, -1, -1)
    steps = [(below >> bit & 1) + 2 * (above >> bit & 1) for bit in bits]

    def density(x: float) -> float:
        rising = x / mode if below else 1.0
        falling = (1 - x) / (1 - mode) if above else 1.0
        factors = (1.0, rising, falling, rising * falling)
        power = 1.0
        # Both powers at once, since one alone could be too large for a float.
        for step in steps:
            power = power * power * factors[step]
        return power

    root = math.sqrt(1 + 2 * below * above / max(n - 1, 1))
    ends = [(k + sign * root) / (n + 1) for sign in (-1, 1)]
    # A little more on both sides, where rounding could have cut off what belongs to it.
    low, high = ((x - mode) * math.sqrt(density(x)) * (1 + 1e-9) for x in ends)

    def once() -> float:
        while True:
            u = 1 - draw()
            x = mode + (low + (high - low) * draw()) / u
            if 0 <= x < 1 and u * u <= density(x):
                return x

    return once


def _summed(
    statistic: Statistic, ordered: Sequence[float], n: int, draw: Callable[[], float]
) -> Callable[[], float] | None:
    """Return what draws a statistic of *n* values that is made of their sum; None if it is not."""
    least, most = ordered[0], ordered[-1]
    if statistic is total:
        return _sums(ordered, n, draw)
    if statistic is mean:
        sums = _sums(ordered, n, draw)
        return lambda: min(max(sums() / n, least), most)
    # A resample with a value of 0 or less has no geometric mean, and the first one that is drawn
    # ends all: there is nothing to speed up.
    if statistic is geometric_mean and least > 0:
        logs = _sums(list(map(math.log, ordered)), n, draw)
        return lambda: min(max(math.exp(logs() / n), least), most)
    return None


def _sums(ordered: Sequence[float], n: int, draw: Callable[[], float]) -> Callable[[], float]:
    """
    Return what draws the sum of *n* values, drawn with replacement from *ordered*.

    The values are parted into those far from the median and those near it, so that 400 of the n
    draws are expected to be far. How many are is drawn from its binomial distribution, and each of
    them one by one. The others are many and of a narrow range, and their sum is taken as normal,
    with their exact mean and variance (central limit theorem; nearer to the sum the smaller the
    largest of its terms is beside its deviation, as Berry and Esseen's bound says). So the tail,
    which makes the resampled sum of durations skewed, is drawn as it is.

    The mean and the variance of the sum are exact. How far its distribution function is off, as
    the tests compute it: of log-normal durations (sigma 0.5 to 2) less than 0.0005; of values that
    are all equal but for some hundreds, where the exact one goes up in steps, less than 0.015. A
    share of 1,000 runs is itself uncertain by 0.016 (one standard error, at one half).
    """
    far, near = _far_and_near(ordered, n)
    middle = _center(near)
    deviation = math.sqrt(_variance(near) * (len(near) - 1) / len(near)) if near[1:] else 0.0
    how_many = _binomial(n, len(far), len(ordered), draw)
    tossed = _binomial(TOSSES, 1, 2, draw)

    def once() -> float:
        count = how_many()
        # `sum` of floats is rounded in another way since Python 3.12.
        drawn = math.fsum(far[int(draw() * len(far))] for _ in range(count))
        # Heads of so many tosses, spread over the step between two numbers of them.
        normal = (tossed() + draw() - (TOSSES + 1) / 2) / math.sqrt(TOSSES / 4)
        rest = n - count
        others = rest * middle + math.sqrt(rest) * deviation * normal
        return drawn + min(max(others, rest * near[0]), rest * near[-1])

    return once


def _far_and_near(ordered: Sequence[float], n: int) -> tuple[list[float], Sequence[float]]:
    """
    Return the values farthest from the median, of which 400 of *n* draws are, and the others.

    There are always others, since *n* is more than 400; of two equally far the larger one is far.
    """
    low, high, center = 0, len(ordered), ordered[len(ordered) // 2]
    for _ in range(DRAWN_TERMS * len(ordered) // n):
        if center - ordered[low] > ordered[high - 1] - center:
            low += 1
        else:
            high -= 1
    return [*ordered[:low], *ordered[high:]], ordered[low:high]


def _binomial(n: int, hits: int, of: int, draw: Callable[[], float]) -> Callable[[], int]:
    """
    Return what draws how many of *n* draws hit, with a probability of hits / of below 1.

    By inversion: the weights go up and down from the likeliest number, which is 1, by the ratios
    of neighbours, as far as they count.
    """
    likeliest = (n + 1) * hits // of
    misses = of - hits
    first, weights = likeliest, [1.0]
    while first > 0 and weights[-1] > NEVER:
        weights.append(weights[-1] * (first * misses) / ((n - first + 1) * hits))
        first -= 1
    weights.reverse()
    last = likeliest
    while last < n and weights[-1] > NEVER:
        weights.append(weights[-1] * ((n - last) * hits) / ((last + 1) * misses))
        last += 1
    up_to = list(accumulate(weights))
    return lambda: first + bisect_right(up_to, draw() * up_to[-1])


def _checked(result: float | None) -> float | None:
    """Return the result of a statistic, checked."""
    return None if result is None else finite_numbers("statistic", (result,))[0]


def _difference(statistic: Statistic, a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return statistic(b) - statistic(a), None where one of them is or a sample is empty."""
    of_a, of_b = (_checked(statistic(one)) if one else None for one in (a, b))
    return None if of_a is None or of_b is None else of_b - of_a


def _differences(a: _Draws, b: _Draws, runs: int) -> Iterator[float | None]:
    """Draw what the statistic of b is more than that of a; None where one is undefined."""
    for _ in range(runs):
        of_a, of_b = _checked(a.once()), _checked(b.once())
        yield None if of_a is None or of_b is None else of_b - of_a


def _bootstrap_interval(outcomes: Iterable[float | None], level: float, method: str) -> Interval:
    """Return the middle *level* of *outcomes*; no bounds if one of them is undefined."""
    defined: list[float] = []
    for outcome in outcomes:
        if outcome is None:
            return Interval(low=None, high=None, level=level, method=method)
        defined.append(outcome)
    defined.sort()
    tail = (1 - level) / 2
    return Interval(
        low=percentile(defined, tail),
        high=percentile(defined, 1 - tail),
        level=level,
        method=method,
    )


def _simulated(
    values: Iterable[float],
    *,
    n_a: int,
    n_b: int,
    ratio: float,
    statistic: Statistic,
    seed: int,
    runs: int,
) -> Iterator[float | None]:
    """Return the differences of *runs* pairs of periods, the second one scaled by *ratio*."""
    ordered = _ordered("values", values)
    _check_count("n_a", n_a, 1)
    _check_count("n_b", n_b, 1)
    draw = _generator(seed)
    _check_count("runs", runs, 1)
    scaled = [value * ratio for value in ordered]
    of_a, of_b = _draws(statistic, ordered, n_a, draw), _draws(statistic, scaled, n_b, draw)
    return _differences(of_a, of_b, runs)


def _share(outcomes: Iterable[float | None], counts: Callable[[float], bool]) -> float | None:
    """Return the share of the outcomes that count; None if one is undefined."""
    runs = counted = 0
    for outcome in outcomes:
        if outcome is None:
            return None
        runs += 1
        counted += counts(outcome)
    return counted / runs


# Special functions: the regularized incomplete beta function and its inverse.


def _critical_t(level: float, freedom: int) -> float:
    """
    Return t so that Student's t with *freedom* degrees lies within -t and t with *level*.

    freedom / (freedom + t ** 2) is distributed as beta(freedom / 2, 1 / 2).
    """
    x, y = _beta_quantile(freedom / 2, 0.5, 1 - level, level)
    return math.sqrt(freedom * y / x)


def _beta_tails(a: float, b: float, x: float, y: float) -> tuple[float, float]:
    """
    Return the regularized incomplete beta function I_x(a, b) and 1 - I_x(a, b).

    *y* is 1 - x, given apart so that neither loses digits near 0. By the continued fraction of
    NIST's Digital Library of Mathematical Functions, 8.17.22, on the side where it converges fast.
    """
    if x * (a + b + 2) < a + 1:
        lower = _beta_front(a, b, x, y) / _beta_fraction(a, b, x, y)
        return lower, 1 - lower
    upper = _beta_front(b, a, y, x) / _beta_fraction(b, a, y, x)
    return 1 - upper, upper


def _beta_front(a: float, b: float, x: float, y: float) -> float:
    """
    Return x ** a * y ** b / B(a, b).

    In the saddle-point form of Loader, "Fast and Accurate Computation of Binomial Probabilities"
    (2000): differences of log-gamma functions lose ten digits once a or b is in the thousands.
    """
    n = a + b
    exponent = _stirling_error(n) - _stirling_error(a) - _stirling_error(b)
    exponent -= _deviance(a, n * x) + _deviance(b, n * y)
    return math.sqrt(a * b / (math.tau * n)) * math.exp(exponent)


def _stirling_error(z: float) -> float:
    """Return the logarithm of z! over Stirling's sqrt(2 pi z) * (z / e) ** z."""
    if z < 16:
        return math.lgamma(z + 1) - (z + 0.5) * math.log(z) + z - math.log(math.tau) / 2
    s = 1 / (z * z)
    tail = 1 / 1680 - (1 / 1188 - 691 / 360360 * s) * s
    return (1 / 12 - (1 / 360 - (1 / 1260 - tail * s) * s) * s) / z


def _deviance(x: float, center: float) -> float:
    """Return x * log(x / center) + center - x, without cancellation where they are close."""
    v = (x - center) / (x + center)
    if abs(v) > 0.1:
        return x * math.log(x / center) + center - x
    # log(x / center) = 2 * (v + v ** 3 / 3 + v ** 5 / 5 + ...); 10 terms are good to 1e-20.
    series = math.fsum(v ** (2 * j + 1) / (2 * j + 1) for j in range(1, 11))
    return (x - center) * v + 2 * x * series


def _beta_fraction(a: float, b: float, x: float, y: float) -> float:
    """
    Return the continued fraction that divides `_beta_front`, by Lentz's method.

    Two steps of the Library's fraction in one (its even part): a * y - b * x is formed once, so
    nothing cancels later where a or b is large.
    """
    ahead = a * y - b * x + 1
    fraction = c = a * ahead / (a + 1)
    change, d, m = 0.0, 0.0, 0
    # It takes about sqrt(max(a, b)) rounds. The end of the count is there so that rounding can
    # never make it an endless loop.
    while abs(change - 1) > 1e-15 and m < 100_000:
        m += 1
        before, after = a + 2 * m - 1, a + 2 * m + 1
        part = m * (b - m) * x / before
        numerator = (a + m - 1) * (a + b + m - 1) * x / before * part
        denominator = m + part + (a + m) * (ahead + m * (1 + y)) / after
        d = 1 / (denominator + numerator * d)
        c = denominator + numerator / c
        change = c * d
        fraction *= change
    return fraction


def _beta_quantile(a: float, b: float, lower: float, upper: float) -> tuple[float, float]:
    """
    Return x and 1 - x so that beta(a, b) is below x with probability *lower*.

    *upper* is 1 - lower, given apart for its digits. Newton's method on the half of (0, 1) that
    holds the solution, kept in a shrinking bracket and halving it where a step would leave it.
    """
    swapped = _beta_tails(a, b, 0.5, 0.5)[0] < lower
    if swapped:
        a, b, lower, upper = b, a, upper, lower
    low, high = 0.0, 0.5
    x, step, rounds = min(a / (a + b), 0.5), 1.0, 0
    while abs(step) > 1e-14 * x and rounds < 100:
        rounds += 1
        tails = _beta_tails(a, b, x, 1 - x)
        # Far below the solution both are too small for a float: no slope, so halve.
        slope = _beta_front(a, b, x, 1 - x) / (x * (1 - x))
        excess = tails[0] - lower if lower < 0.5 else upper - tails[1]
        low, high = (low, x) if excess > 0 else (x, high)
        target = x - excess / slope if slope > 0 else low
        if not low < target < high:
            target = (low + high) / 2
        step, x = target - x, target
    return (1 - x, x) if swapped else (x, 1 - x)
