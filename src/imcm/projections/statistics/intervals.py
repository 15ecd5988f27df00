"""
How far to trust a number: intervals of a quantile, of a mean, and of a rate.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from statistics import NormalDist

import attrs

from imcm.errors import InvalidValue
from imcm.projections.statistics.beta import beta_quantile, beta_tails
from imcm.projections.statistics.samples import (
    SLACK,
    center_of,
    check_between,
    check_count,
    checked_sample,
    finite_numbers,
    variance,
)

__all__ = [
    "Interval",
    "clopper_pearson",
    "jeffreys",
    "mean_interval",
    "median_interval",
    "quantile_interval",
    "wilson",
]


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


def critical_z(level: float) -> float:
    """
    Return z so that a standard normal value lies within -z and z with probability *level*.

    Raises:
        InvalidValue: *level* is not strictly between 0 and 1.
    """
    check_between("level", level, 0, 1)
    # Taken from the lower tail, where a level close to 1 keeps its digits.
    return -NormalDist().inv_cdf((1 - level) / 2)


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
    ordered = checked_sample("values", values)
    n = len(ordered)
    tail = (1 - level) / 2
    from_low = binomial_rank(n, q, tail)
    from_high = binomial_rank(n, 1 - q, tail)
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
    center = center_of(numbers)
    half = _critical_t(level, n - 1) * math.sqrt(variance(numbers) / n)
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


# Rates.


def _check_successes(successes: int, n: int) -> None:
    """Refuse anything but whole numbers with 0 <= successes <= n."""
    check_count("n", n, 0)
    check_count("successes", successes, 0)
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
        low=beta_quantile(*low, tail, 1 - tail)[0] if low else 0.0,
        high=beta_quantile(*high, 1 - tail, tail)[0] if high else 1.0,
        level=level,
        method=method,
    )


# Ranks.


@lru_cache(maxsize=1024)
def binomial_rank(n: int, p: float, tail: float) -> int:
    """
    Return the largest rank k with P(binomial(n, p) < k) <= *tail*, 0 if there is none.

    The slack makes a level that is met exactly, such as 0.75 by 3 values, count as met. It is
    looked for near where the normal approximation has it, since each probability takes a time
    that grows with n; and the last ones are kept, since the parts of one figure are often alike.
    """
    most = tail * (1 + SLACK)

    def cumulative(k: int) -> float:
        return beta_tails(n - k, k + 1, 1 - p, p)[0]

    near = round(n * p + NormalDist().inv_cdf(tail) * math.sqrt(n * p * (1 - p)))
    low = high = min(max(near, 0), n)
    step = 1
    while low > 0 and cumulative(low - 1) > most:
        low, step = max(low - step, 0), 2 * step
    while high < n and cumulative(high) <= most:
        high, step = min(high + step, n), 2 * step
    return bisect_right(range(n), most, low, high, key=cumulative)


# Special functions: the regularized incomplete beta function and its inverse.


def _critical_t(level: float, freedom: int) -> float:
    """
    Return t so that Student's t with *freedom* degrees lies within -t and t with *level*.

    freedom / (freedom + t ** 2) is distributed as beta(freedom / 2, 1 / 2).
    """
    x, y = beta_quantile(freedom / 2, 0.5, 1 - level, level)
    return math.sqrt(freedom * y / x)
