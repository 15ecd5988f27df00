"""
Two samples, compared by their ranks: do they differ, and by how much.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain, pairwise, repeat
from typing import Final, NamedTuple, cast

import attrs

from imcm.projections.statistics.beta import GOLDEN
from imcm.projections.statistics.intervals import Interval, critical_z
from imcm.projections.statistics.samples import SLACK, checked_sample

__all__ = ["Estimate", "TestResult", "hodges_lehmann", "mann_whitney"]


# Mann-Whitney is exact while both samples are smaller than this: beyond, the normal approximation
# is good to three digits and the exact count grows with the cube of the size.
EXACT_BELOW: Final = 50

# Up to this many pairwise differences are listed and sorted; more are narrowed down first.
LISTED_DIFFERENCES: Final = 4096

# How many of the differences are looked at to find pivots, and how many of these lie between a
# pivot and where the rank is expected.
PIVOT_SAMPLE: Final = 4096
PIVOT_MARGIN: Final = 16

# After so many steps from one row to the next it is quicker to halve what is left.
STEPS: Final = 8


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
    ordered_a, ordered_b = checked_sample("a", a), checked_sample("b", b)
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
    ordered_a, ordered_b = checked_sample("a", a), checked_sample("b", b)
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
    integers_a, integers_b, unit = _in_common_unit(a, b)
    rows = _Rows.of(integers_a, integers_b).narrowed(ranks[0], ranks[-1])
    differences: list[int] = []
    for before, rank in pairwise((0, *ranks)):
        # The two middle ones are neighbours: one is searched for, the other one lies next to it.
        following = (
            rows.following(differences[-1], rank) if differences and rank - before <= 1 else None
        )
        differences.append(rows.at(rank) if following is None else following)
    return [value if unit is None else value / unit for value in differences]


def _in_common_unit(
    a: Sequence[float], b: Sequence[float]
) -> tuple[Sequence[int], Sequence[int], int | None]:
    """
    Return both samples in whole numbers, and how many of these make 1; None if they were whole.

    A float is a whole number over a power of 2, so the largest of these makes all of them whole.
    """
    if isinstance(a[0], int) and isinstance(b[0], int):
        return cast("Sequence[int]", a), cast("Sequence[int]", b), None
    ratios_a, ratios_b = (
        [float(value).as_integer_ratio() for value in sample] for sample in (a, b)
    )
    unit = max(below for _, below in chain(ratios_a, ratios_b))
    integers_a, integers_b = (
        [above * (unit // below) for above, below in ratios] for ratios in (ratios_a, ratios_b)
    )
    return integers_a, integers_b, unit


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
        up_to = self._searchsorted(bisect_right, difference)
        if sum(up_to) >= rank:
            return difference
        n = len(self.b)
        return min(self.b[index] - x for x, index in zip(self.a, up_to, strict=True) if index < n)

    def narrowed(self, first: int, last: int) -> _Rows:
        """
        Return the rows without what lies below the rank *first* and above the rank *last*.

        Two pivots are taken on both sides of where these ranks are expected, and it is counted how
        many differences lie up to the one and below the other. Unless both ranks are within the
        pivots themselves, at least one of these is dropped, as a rule nearly everything.
        """
        low, high = self._pivots(first, last)
        left, right = self.left, self.right
        up_to = self._searchsorted(bisect_right, low)
        if sum(up_to) < first:
            left = up_to
        else:
            high = low
        smaller = self._searchsorted(bisect_left, high)
        if sum(smaller) >= last:
            right = smaller
        else:
            up_to = self._searchsorted(bisect_right, high)
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
            index = left[row] + int(part * (right[row] - left[row]))
            sample.append(b[index] - a[row])
        sample.sort()
        low, high = ((rank - below - 1) * PIVOT_SAMPLE // candidates for rank in (first, last))
        low, high = max(0, low - PIVOT_MARGIN), min(high + PIVOT_MARGIN, PIVOT_SAMPLE - 1)
        return sample[low], sample[high]

    def _searchsorted(self, bisect: Callable[..., int], pivot: int) -> list[int]:
        """
        Return for each row how many of its differences are below, or up to, *pivot*.

        Both samples rise, so no row has fewer than the one before it, and most a few more: they are
        counted up to there step by step, which takes half as long as halving the row would.
        """
        b = self.b
        if bisect is bisect_left:
            pivot -= 1  # what is below a whole number is up to the one before
        counts: list[int] = []
        count = 0
        for x, left, right in zip(self.a, self.left, self.right, strict=True):
            most = x + pivot
            # Calls of min and max would take as long as the steps.
            if count < left:  # noqa: PLR1730
                count = left
            near = count + STEPS
            if near > right:  # noqa: PLR1730
                near = right
            while count < near and b[count] <= most:
                count += 1
            if count == near < right:
                count = bisect_right(b, most, count, right)
            counts.append(count)
        return counts
