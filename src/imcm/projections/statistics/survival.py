"""
Survival curves: how long incidents last when some of them are still open.

An incident that is open has lasted *at least* so long. Leaving such incidents out flatters, since
the long ones are the ones still open; counting them as ended flatters too. `kaplan_meier` uses
what is known of them: they are at risk of ending up to the last moment they were seen open
(censored there) and count no further. `log_rank` compares two such samples.

A sample is given as two columns of equal length: the durations, in any unit, and for each one
whether its end was observed (True) or the incident was still open then (False). As everywhere in
`imcm.projections.statistics`, whose checks and conventions hold here, the order of the rows never
matters and undefined is None.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import accumulate, pairwise, repeat, zip_longest
from operator import add
from typing import NamedTuple

import attrs

from imcm.errors import InvalidValue
from imcm.projections.statistics.intervals import Interval, critical_z
from imcm.projections.statistics.samples import (
    LARGEST,
    SLACK,
    Ordered,
    check_between,
    finite_numbers,
)
from imcm.projections.statistics.two_samples import TestResult

__all__ = ["KaplanMeier", "RestrictedMean", "kaplan_meier", "log_rank"]


@attrs.frozen(kw_only=True)
class RestrictedMean:
    """
    The mean duration when every duration is cut off at a horizon.

    Attributes:
        value: The area under the survival curve from 0 to the horizon, in the unit of the
            durations. None if the curve is not known that far: there is no data, or the horizon
            lies beyond the last duration, where the curve is still above 0.
        variance: Greenwood's estimate of the variance of the value, in that unit squared; None
            where the value is.
        interval: The normal approximation, value -+ z * sqrt(variance), kept from 0 to the
            horizon. No bounds where the value is None or the variance 0: then no end, or only
            a common end of all, was seen before the horizon, and nothing tells how it varies.
        horizon: Where durations are cut off.
    """

    value: float | None
    variance: float | None
    interval: Interval
    horizon: float


class _Run(NamedTuple):
    """
    A stretch of a curve without censoring, in which it comes down by the same step for each end.

    After *i* of the ends from index *first* on, the share that lasts longer is exactly
    `share * ((at_risk - i) / at_risk)`: the product of Kaplan and Meier telescopes.
    """

    first: int
    share: float
    at_risk: int
    start: float

    def after(self, i: int) -> float:
        """Return the share that lasts longer than *i* of its ends."""
        return self.share * ((self.at_risk - i) / self.at_risk) if self.at_risk else 0.0


@attrs.frozen(kw_only=True, slots=False)
class KaplanMeier:
    """
    A Kaplan-Meier curve: the share that lasts longer than t, for each t.

    The columns `times` to `high` have one row for each distinct duration, ended or censored, in
    rising order. They are made when they are first asked for.

    Attributes:
        ended: The durations whose end was observed, in rising order.
        open: Those that were still going on when last seen, in rising order.
        level: The confidence level of the bounds.
    """

    ended: Sequence[float]
    open: Sequence[float]
    level: float

    def __repr__(self) -> str:
        """Return of how many it is, in one line."""
        return f"Kaplan-Meier curve of {len(self.ended):,} ended and {len(self.open):,} open"

    @cached_property
    def _runs(self) -> list[_Run]:
        """The stretches between censored durations; a censored one lasts longer than its like."""
        left = len(self.ended) + len(self.open)
        runs = [_Run(0, 1.0, left, 0.0)]
        for lost, t in enumerate(self.open, start=1):
            run = runs[-1]
            index = bisect_right(self.ended, t, lo=run.first)
            runs.append(_Run(index, run.after(index - run.first), left - index - lost, t))
        return runs

    @cached_property
    def times(self) -> tuple[float, ...]:
        """The durations."""
        return tuple(map(float, sorted({*self.ended, *self.open})))

    @cached_property
    def at_risk(self) -> tuple[int, ...]:
        """How many lasted at least so long, and were still followed."""
        before = accumulate(map(add, self.events, self.censored), initial=0)
        n = len(self.ended) + len(self.open)
        return tuple(n - gone for gone, _ in zip(before, self.times, strict=False))

    @cached_property
    def events(self) -> tuple[int, ...]:
        """How many ended at exactly this duration."""
        counts = Counter(self.ended)
        return tuple(counts[t] for t in self.times)

    @cached_property
    def censored(self) -> tuple[int, ...]:
        """
        How many were last seen, still open, at exactly this duration.

        They count as lasting longer than those that ended at it.
        """
        counts = Counter(self.open)
        return tuple(counts[t] for t in self.times)

    @cached_property
    def survival(self) -> tuple[float, ...]:
        """The share that lasts longer than this."""
        share, run_at_risk, height = 1.0, len(self.ended) + len(self.open), 1.0
        column: list[float] = []
        for n, d, c in zip(self.at_risk, self.events, self.censored, strict=True):
            if d:
                height = share * ((n - d) / run_at_risk)
            column.append(height)
            if c:
                share, run_at_risk = height, n - d - c
        return tuple(column)

    @property
    def low(self) -> tuple[float | None, ...]:
        """The lower confidence bound of that share, point by point; None where the share is 0."""
        return self._bands[0]

    @property
    def high(self) -> tuple[float | None, ...]:
        """The upper confidence bound, None likewise."""
        return self._bands[1]

    @cached_property
    def _bands(self) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
        z = critical_z(self.level)
        greenwood = 0.0
        bottom: float | None = 1.0
        top: float | None = 1.0
        low: list[float | None] = []
        high: list[float | None] = []
        for n, d, height in zip(self.at_risk, self.events, self.survival, strict=True):
            if d == n:
                bottom, top = None, None
            elif d > 0:
                greenwood += d / (n * (n - d))
                hazard = -math.log(height)
                factor = math.exp(z * math.sqrt(greenwood) / hazard)
                bottom, top = math.exp(-hazard * factor), math.exp(-hazard / factor)
            low.append(bottom)
            high.append(top)
        return tuple(low), tuple(high)

    def survival_at(self, t: float) -> float | None:
        """
        Return the share that lasts longer than *t*.

        1 before the first duration. None where it is not known: without data, and beyond the last
        duration unless the curve has reached 0 there.

        Raises:
            InvalidValue: *t* is not a finite number.
        """
        (t,) = finite_numbers("t", (t,))
        if not self._known_at(t):
            return None
        row = bisect_right(self.times, t)
        return self.survival[row - 1] if row else 1.0

    def quantile(self, p: float) -> float | None:
        """
        Return the shortest duration within which the share *p* has ended.

        The smallest t with S(t) <= 1 - p (Kalbfleisch and Prentice, "The Statistical Analysis of
        Failure Time Data"). It is always an observed duration: where nothing is censored and the
        plain median lies between two values, this is the lower of them. A product of shares rarely
        meets 1 - p to the last digit, so equality is taken with a slack of 1e-12.

        In the unit of the durations. None if the curve never comes down so far.

        Raises:
            InvalidValue: *p* is not strictly between 0 and 1.
        """
        check_between("p", p, 0, 1)
        bound = (1 - p) * (1 + SLACK)
        for run, following in zip_longest(self._runs, self._runs[1:]):
            if following is not None and following.share > bound:
                continue
            ends = (len(self.ended) if following is None else following.first) - run.first
            # The share after i ends falls with i, so its index can be searched for.
            i = bisect_left(range(ends + 1), True, key=lambda i: run.after(i) <= bound)
            if 0 < i <= ends:
                return float(self.ended[run.first + i - 1])
        return None

    def quantile_interval(self, p: float) -> Interval:
        """
        Return the confidence interval of `quantile`, at the level of the curve.

        From where the lower band first comes down to 1 - p to where the upper one does: the
        durations at which the share 1 - p is not rejected (Brookmeyer and Crowley 1982, with the
        log-log transformation). A bound is None if its band never comes down so far; the upper
        one often does not.

        In the unit of the durations.

        Raises:
            InvalidValue: *p* is not strictly between 0 and 1.
        """
        check_between("p", p, 0, 1)
        return Interval(
            low=self._first_down_to(1 - p, self.low),
            high=self._first_down_to(1 - p, self.high),
            level=self.level,
            method="Brookmeyer-Crowley, log-log",
        )

    @property
    def median(self) -> float | None:
        """The shortest duration within which half have ended; None if fewer ever did."""
        return self.quantile(0.5)

    def median_interval(self) -> Interval:
        """Return the confidence interval of the median; see `quantile_interval`."""
        return self.quantile_interval(0.5)

    def area(self, horizon: float) -> float | None:
        """
        Return the area under the curve from 0 to *horizon*: the value of `restricted_mean` alone.

        In the unit of the durations. None where the curve is not known so far.

        Raises:
            InvalidValue: *horizon* is not a positive number of at most 1e100.
        """
        check_between("horizon", horizon, 0, LARGEST)
        if not self._known_at(horizon):
            return None
        parts: list[float] = []
        for run, following in zip_longest(self._runs, self._runs[1:]):
            end = horizon if following is None else min(following.start, horizon)
            if run.at_risk == 0 or end <= run.start:
                continue
            last = bisect_left(self.ended, end, lo=run.first)
            ended = self.ended[run.first : last]
            # Those that ended lived for a part of the stretch, the others for all of it.
            lived = sum(ended) - len(ended) * run.start
            lived += (run.at_risk - len(ended)) * (end - run.start)
            parts.append(run.share * (lived / run.at_risk))
        return math.fsum(parts)

    def restricted_mean(self, horizon: float) -> RestrictedMean:
        """
        Return the mean duration with all durations cut off at *horizon*.

        The area under the curve from 0 to the horizon. Its variance is the sum over the events
        before it of A(t) ** 2 * d / (n * (n - d)), with A(t) the area from t to the horizon, d
        events and n at risk (Klein and Moeschberger, "Survival Analysis", section 4.5). Unlike the
        mean it needs no guess about what lies beyond the last duration.

        Raises:
            InvalidValue: *horizon* is not a positive number of at most 1e100.
        """
        check_between("horizon", horizon, 0, LARGEST)
        nothing = Interval(
            low=None, high=None, level=self.level, method="normal, Greenwood variance"
        )
        if not self._known_at(horizon):
            return RestrictedMean(
                value=None, variance=None, interval=nothing, horizon=float(horizon)
            )
        rows = bisect_left(self.times, horizon)
        edges = [0.0, *self.times[:rows], float(horizon)]
        heights = [1.0, *self.survival[:rows]]
        areas = [
            (end - start) * height
            for (start, end), height in zip(pairwise(edges), heights, strict=True)
        ]
        area, terms = 0.0, [0.0]
        # From the horizon backwards, so that the area is the one that lies after each duration.
        for row in range(rows - 1, -1, -1):
            area += areas[row + 1]
            n, d = self.at_risk[row], self.events[row]
            # Where all that are left end, the area after it is 0, and so is its term.
            terms.append(area * area * d / (n * (n - d)) if d < n else 0.0)
        value, variance = math.fsum(areas), math.fsum(terms)
        interval = nothing
        if variance > 0:
            half = critical_z(self.level) * math.sqrt(variance)
            interval = attrs.evolve(
                nothing, low=max(0.0, value - half), high=min(float(horizon), value + half)
            )
        return RestrictedMean(
            value=value, variance=variance, interval=interval, horizon=float(horizon)
        )

    def _known_at(self, t: float) -> bool:
        """Return whether the curve is known at *t*: up to the last one, or where it came to 0."""
        last_open = self.open[-1] if self.open else -1.0
        if self.ended and self.ended[-1] > last_open:
            return True  # at the last end none were left, and the curve has come down to 0
        return bool(self.open) and t <= last_open

    def _first_down_to(self, share: float, curve: tuple[float | None, ...]) -> float | None:
        """Return the first duration at which *curve* is at most *share*."""
        bound = share * (1 + SLACK)
        for t, height in zip(self.times, curve, strict=True):
            if height is not None and height <= bound:
                return t
        return None


def kaplan_meier(
    durations: Iterable[float], observed: Iterable[bool], *, level: float = 0.95
) -> KaplanMeier:
    """
    Return the survival curve of durations of which some had not ended when last seen.

    S(t) is the product over the durations up to t of 1 - d / n, with d that ended and n at risk
    (Kaplan and Meier 1958). Without censoring it is the share of the durations longer than t, to
    the last digit. The bounds are S ** exp(+- z * sqrt(G) / ln S), with Greenwood's sum G of
    d / (n * (n - d)) (Kalbfleisch and Prentice 1980, log-log transformation): they stay within 0
    and 1. They are 1 before the first event, and undefined, None, once the share is 0.

    Empty columns give a curve without rows, of which everything is None.

    Args:
        durations: How long each one lasted, or had lasted when last seen; from 0, in any unit.
        observed: Whether that was its end (True), or it was still open (False, censored).
        level: The confidence level of the bounds.

    Raises:
        InvalidValue: A duration is negative or not a finite number, *observed* holds anything but
            True and False or has another length, or *level* is not strictly between 0 and 1.
    """
    critical_z(level)  # checked now, used when the bounds are asked for
    ended, open_ = _ended_and_open("durations", durations, "observed", observed)
    return curve(ended, open_, level=level)


def curve(ended: Iterable[float], open_: Iterable[float], *, level: float = 0.95) -> KaplanMeier:
    """Return the curve of durations that ended and of those that are open, both checked."""
    return KaplanMeier(ended=Ordered.of(ended), open=Ordered.of(open_), level=level)


def log_rank(
    a_durations: Iterable[float],
    a_observed: Iterable[bool],
    b_durations: Iterable[float],
    b_observed: Iterable[bool],
) -> TestResult:
    """
    Test whether two samples have the same survival curve, censored durations included.

    At each duration at which any ended, d of the n at risk did; if the curves are the same, of
    these d * n_a / n are expected in sample a, with the hypergeometric variance
    d * (n_a / n) * (n_b / n) * (n - d) / (n - 1). The statistic is the square of the sum of
    observed minus expected over the sum of variances, chi-squared with one degree of freedom
    (Mantel 1966; Peto and Peto 1972). It sees best a difference that is the same factor at all
    times, and little of curves that cross.

    Both None if a sample is empty, or if the variance is 0: no end was seen while both samples
    were followed.

    Raises:
        InvalidValue: A duration is negative or not a finite number, or a column of observed holds
            anything but True and False or has another length.
    """
    a_ended, a_open = _ended_and_open("a_durations", a_durations, "a_observed", a_observed)
    b_ended, b_open = _ended_and_open("b_durations", b_durations, "b_observed", b_observed)
    a_all, b_all = sorted(a_ended + a_open), sorted(b_ended + b_open)
    a_ends, b_ends = Counter(a_ended), Counter(b_ended)
    surplus: list[float] = []
    variances: list[float] = []
    ends = sorted(a_ends.keys() | b_ends.keys())
    gone_a, gone_b = (map(bisect_left, repeat(sample), ends) for sample in (a_all, b_all))
    for t, before_a, before_b in zip(ends, gone_a, gone_b, strict=True):
        n_a, n_b = len(a_all) - before_a, len(b_all) - before_b
        if n_a == 0 or n_b == 0:
            # All at risk are of one sample, here and from here on: nothing left to compare.
            break
        n, of_a = n_a + n_b, a_ends.get(t, 0)
        d = of_a + b_ends.get(t, 0)
        surplus.append((of_a * n - d * n_a) / n)
        variances.append(d * n_a * n_b * (n - d) / (n * n * (n - 1)))
    variance = math.fsum(variances)
    if variance == 0:
        return TestResult(statistic=None, p_value=None, method="log-rank")
    statistic = math.fsum(surplus) ** 2 / variance
    # The upper tail of chi-squared with one degree of freedom is that of a normal square.
    return TestResult(
        statistic=statistic, p_value=math.erfc(math.sqrt(statistic / 2)), method="log-rank"
    )


def _ended_and_open(
    name: str, durations: Iterable[float], flags_name: str, observed: Iterable[bool]
) -> tuple[list[float], list[float]]:
    """Return the durations that ended and those that were censored, checked."""
    numbers = finite_numbers(name, durations)
    flags = list(observed)
    others = set(map(type, flags)) - {bool}
    if others:
        first = next(flag for flag in flags if type(flag) in others)
        raise InvalidValue(flags_name, first, "give True (its end was seen) or False for each")
    if len(flags) != len(numbers):
        raise InvalidValue(
            flags_name, f"{len(flags)} flags", f"give one for each of the {len(numbers)} {name}"
        )
    if numbers and min(numbers) < 0:
        raise InvalidValue(name, min(numbers), "give durations of at least 0")
    pairs = zip(numbers, flags, strict=True)
    ended: list[float] = []
    open_: list[float] = []
    for number, flag in pairs:
        (ended if flag else open_).append(number)
    return ended, open_
