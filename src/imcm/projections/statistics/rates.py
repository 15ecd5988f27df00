"""
Rates of things that happen: their limits, and how two of them compare.

All of it takes counts for Poisson counts: what happens does so independently of what else does.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import accumulate
from typing import Final

from imcm.projections.statistics.beta import beta_tails
from imcm.projections.statistics.intervals import Interval, clopper_pearson, critical_z
from imcm.projections.statistics.samples import check_between, check_count
from imcm.projections.statistics.two_samples import TestResult

_EXACT_BELOW: Final = 10  # from there on Byar's limits are within 0.2 % of the exact ones


def poisson_interval(n: int, time: float, *, level: float = 0.95) -> Interval:
    """
    Return the interval of a rate: *n* of them in so much time.

    Small counts get the exact limits (Garwood 1936), the others Byar's approximation to them
    (Breslow and Day 1987, section 2.3).

    Per the unit of *time*.

    Raises:
        InvalidValue: *n* is no whole number from 0 on, *time* is not above 0, or *level* is not
            strictly between 0 and 1.
    """
    check_count("n", n, 0)
    check_between("time", time, 0, math.inf)
    check_between("level", level, 0, 1)
    low, high, method = _limits(n, level)
    return Interval(low=low / time, high=high / time, level=level, method=method)


@lru_cache(maxsize=1024)
def _limits(n: int, level: float) -> tuple[float, float, str]:
    """Return confidence limits of the mean of a Poisson count."""
    if n < _EXACT_BELOW:
        tail = (1 - level) / 2
        low = _mean_of(n - 1, 1 - tail) if n else 0.0
        return low, _mean_of(n, tail), "exact Poisson limits (Garwood)"
    z = critical_z(level)
    m = n + 1
    low = n * (1 - 1 / (9 * n) - z / (3 * math.sqrt(n))) ** 3
    high = m * (1 - 1 / (9 * m) + z / (3 * math.sqrt(m))) ** 3
    return max(0.0, low), high, "Byar's approximation to the exact Poisson limits"


def _mean_of(k: int, share: float) -> float:
    """Return the mean of the Poisson counts of which that share is at most *k*."""

    def at_most(mean: float) -> float:
        terms = accumulate(range(1, k + 1), lambda term, i: term * mean / i, initial=1.0)
        return math.exp(-mean) * math.fsum(terms)

    low, high = 0.0, 1.0
    while at_most(high) > share:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if at_most(middle) > share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def rate_difference(
    n_a: int, time_a: float, n_b: int, time_b: float, *, level: float = 0.95
) -> Interval:
    """
    Return the interval of the difference of two rates, b - a.

    From the limits l and u of each rate r, from d - sqrt((r_b - l_b) ** 2 + (u_a - r_a) ** 2) to
    d + sqrt((u_b - r_b) ** 2 + (r_a - l_a) ** 2) (Zou and Donner, "Construction of confidence
    limits about effect measures: a general approach", 2008).

    Per the unit of the times.

    Raises:
        InvalidValue: As for `poisson_interval`.
    """
    of_a = poisson_interval(n_a, time_a, level=level)
    of_b = poisson_interval(n_b, time_b, level=level)
    a, b = n_a / time_a, n_b / time_b
    below_a, above_a, below_b, above_b = (
        abs(end - rate)
        for interval, rate in ((of_a, a), (of_b, b))
        for end in (interval.low or 0.0, interval.high or 0.0)
    )
    return Interval(
        low=b - a - math.hypot(below_b, above_a),
        high=b - a + math.hypot(above_b, below_a),
        level=level,
        method="Zou and Donner, from Poisson limits",
    )


def rate_ratio(
    n_a: int, time_a: float, n_b: int, time_b: float, *, level: float = 0.95
) -> Interval:
    """
    Return the exact interval of the ratio of two rates, b over a.

    Of both together, those of b are binomial with the share r time_b / (r time_b + time_a) if the
    ratio is r (Przyborowski and Wilenski 1940); its limits are those of Clopper and Pearson.

    Both bounds are None where nothing happened; the upper one, where nothing did in a.

    Raises:
        InvalidValue: As for `poisson_interval`.
    """
    _check(n_a, time_a, n_b, time_b)
    share = clopper_pearson(n_b, n_a + n_b, level=level)
    scale = time_a / time_b

    def ratio(bound: float | None) -> float | None:
        return None if bound is None or bound == 1 else bound / (1 - bound) * scale

    method = "exact, of one among both (Przyborowski and Wilenski)"
    return Interval(low=ratio(share.low), high=ratio(share.high), level=level, method=method)


def rate_test(n_a: int, time_a: float, n_b: int, time_b: float) -> TestResult:
    """
    Test whether two rates are the same, two-sided and exact for any counts.

    Of both together, those of b are binomial with the share of its time, if there is no difference
    (Przyborowski and Wilenski 1940). The p-value is twice the smaller tail, at most 1: it is at
    most 1 - level just where the interval of `rate_ratio` leaves 1 out.

    The statistic is the ratio of the rates, b over a; None where nothing happened in a. Both are
    None where nothing happened at all.

    Raises:
        InvalidValue: As for `poisson_interval`.
    """
    _check(n_a, time_a, n_b, time_b)
    method = "exact binomial test of two rates, two-sided"
    n = n_a + n_b
    if n == 0:
        return TestResult(statistic=None, p_value=None, method=method)
    x, y = time_b / (time_a + time_b), time_a / (time_a + time_b)
    at_least = beta_tails(n_b, n_a + 1, x, y)[0] if n_b else 1.0
    at_most = beta_tails(n_b + 1, n_a, x, y)[1] if n_a else 1.0
    ratio = n_b / time_b / (n_a / time_a) if n_a else None
    return TestResult(statistic=ratio, p_value=min(1.0, 2 * min(at_least, at_most)), method=method)


def _check(n_a: int, time_a: float, n_b: int, time_b: float) -> None:
    for name, count, time_name, time in (
        ("n_a", n_a, "time_a", time_a),
        ("n_b", n_b, "time_b", time_b),
    ):
        check_count(name, count, 0)
        check_between(time_name, time, 0, math.inf)
