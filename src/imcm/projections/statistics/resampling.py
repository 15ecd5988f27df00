"""
Intervals and tests by resampling, where no closed form exists.

What is drawn is what is needed of a resample, not the resample: of a percentile the one or two
values it is made of, by their exact distribution; of a sum of many about 400 of its terms. What
each does is said beside it, and in the method of an interval.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from imcm.projections.statistics.beta import NEVER
from imcm.projections.statistics.intervals import Interval
from imcm.projections.statistics.quantiles import (
    Percentile,
    Statistic,
    geometric_mean,
    interpolated,
    mean,
    median,
    median_low,
    percentile,
    total,
    virtual_index,
)
from imcm.projections.statistics.samples import (
    SLACK,
    center_of,
    check_between,
    check_count,
    checked_sample,
    finite_numbers,
    variance,
)

__all__ = ["bootstrap", "bootstrap_difference", "permutation_p_value"]


# Of the terms of a resampled sum about so many are drawn one by one, the farthest from the median.
DRAWN_TERMS: Final = 400

# The binomial distribution of so many tosses of a coin stands for the normal one: its distribution
# function differs by less than 1e-5.
TOSSES: Final = 1 << 16


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
    ordered = checked_sample("values", values)
    draw = random_numbers(seed)
    check_count("resamples", resamples, 1)
    check_between("level", level, 0, 1)
    drawn = draws(statistic, ordered, len(ordered), draw)
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
    ordered_a, ordered_b = checked_sample("a", a), checked_sample("b", b)
    draw = random_numbers(seed)
    check_count("resamples", resamples, 1)
    check_between("level", level, 0, 1)
    of_a, of_b = (draws(statistic, sample, len(sample), draw) for sample in (ordered_a, ordered_b))
    outcomes = differences(of_a, of_b, resamples)
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
    ordered_a, ordered_b = checked_sample("a", a), checked_sample("b", b)
    draw = random_numbers(seed)
    check_count("resamples", resamples, 1)
    observed = _difference(statistic, ordered_a, ordered_b)
    if observed is None:
        return None
    pool = sorted(ordered_a + ordered_b)
    n, n_a = len(pool), len(ordered_a)
    bound = abs(observed) * (1 - SLACK)
    as_far = 1
    for _ in range(resamples):
        # Fisher and Yates' shuffle of only the first n_a values: all that a deal needs.
        for index in range(n_a):
            other = index + int(draw() * (n - index))
            pool[index], pool[other] = pool[other], pool[index]
        dealt = _difference(statistic, sorted(pool[:n_a]), sorted(pool[n_a:]))
        if dealt is None:
            return None
        as_far += abs(dealt) >= bound
    return as_far / (resamples + 1)


# Draws. All of them, and nothing else, come from `Random.random()`, in an order that depends on
# the sorted values alone.


def random_numbers(seed: int) -> Callable[[], float]:
    """
    Return a source of numbers from 0 up to and without 1.

    Only `random()` itself is promised to repeat in every version of Python; what is built on it
    (`choices`, `shuffle`) is not. Negative seeds are refused since they repeat the positive ones.
    """
    check_count("seed", seed, 0)
    return Random(seed).random  # noqa: S311 - it must repeat, and guards no secret


class _Draws(NamedTuple):
    """What draws the statistic of one resample, and in which way, for the name of the method."""

    once: Callable[[], float | None]
    way: str


def draws(
    statistic: Statistic, ordered: Sequence[float], n: int, draw: Callable[[], float]
) -> _Draws:
    """Return what draws the statistic of *n* values, drawn with replacement from *ordered*."""
    if ordered:
        index = _virtual_index_in(statistic, n)
        if index is not None:
            return _Draws(_ranked(ordered, n, index, draw), " by exact order statistics")
        summed = _summed(statistic, ordered, n, draw) if n > DRAWN_TERMS else None
        if summed is not None:
            return _Draws(summed, f" by sums of about {DRAWN_TERMS} draws and a normal rest")
    size = len(ordered)

    def resampled() -> float | None:
        sample = [ordered[int(draw() * size)] for _ in range(n if size else 0)]
        return statistic(sample) if sample else None

    return _Draws(resampled, "")


def _virtual_index_in(statistic: Statistic, n: int) -> Fraction | None:
    """Return the index among *n* sorted values that *statistic* is the value at, if it is one."""
    if isinstance(statistic, Percentile):
        return virtual_index(statistic.q, n)
    if statistic is median:
        return Fraction(n - 1, 2)
    if statistic is median_low:
        return Fraction((n - 1) // 2)
    if statistic is min:
        return Fraction(0)
    return Fraction(n - 1) if statistic is max else None


def _ranked(
    ordered: Sequence[float], n: int, index: Fraction, draw: Callable[[], float]
) -> Callable[[], float]:
    """
    Return what draws the value at an *index*, numbered from 0, among *n* resampled and sorted ones.

    A resample takes the values numbered floor(size * U), for n independent U, uniform from 0 to 1.
    That grows with U, so its k-th smallest value is the one numbered floor(size * U(k)), U(k) being
    the k-th smallest of the n (David and Nagaraja, "Order Statistics", section 2.1; of the
    bootstrap Efron, "Bootstrap Methods", 1979, section 3). Nothing is approximated. Between two
    neighbours, U(k + 1) is the least of the n - k that are above U(k), uniform from there to 1.
    """
    size, below = len(ordered), math.floor(index)
    part = index - below
    first = _uniform_rank(below + 1, n, draw)
    if part == 0:
        return lambda: float(ordered[int(first() * size)])
    least = _uniform_rank(1, n - below - 1, draw)

    def between() -> float:
        low = first()
        high = low + (1 - low) * least()
        # Rounding may carry it up to 1.
        return interpolated(
            ordered[int(low * size)], ordered[min(int(high * size), size - 1)], part
        )

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
    middle = center_of(near)
    deviation = math.sqrt(variance(near) * (len(near) - 1) / len(near)) if near[1:] else 0.0
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
    of_a, of_b = (_checked(statistic(sample)) if sample else None for sample in (a, b))
    return None if of_a is None or of_b is None else of_b - of_a


def differences(a: _Draws, b: _Draws, runs: int) -> Iterator[float | None]:
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


def share(outcomes: Iterable[float | None], counts: Callable[[float], bool]) -> float | None:
    """Return the share of the outcomes that count; None if one is undefined."""
    runs = counted = 0
    for outcome in outcomes:
        if outcome is None:
            return None
        runs += 1
        counted += counts(outcome)
    return counted / runs
