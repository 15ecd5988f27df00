"""
Is the failure model any good? Judged on the log itself, each part predicted from what came before.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import attrs

from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import checked_number, is_among
from imcm.errors import InvalidValue
from imcm.gc_pause import gc_paused
from imcm.plain import joined
from imcm.projections.facts.fold import Facts
from imcm.projections.facts.instants import MICROSECOND, instant, moment_of
from imcm.projections.figures.days import midnight
from imcm.projections.figures.drawing import drawn
from imcm.projections.figures.excerpt import one_of
from imcm.projections.figures.failures import FAILED_BY
from imcm.projections.figures.function import facts_of
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.figures.units import SHAPE, SHARE, shown, zone
from imcm.projections.reports.failure_history import (
    FACTORS,
    NEVER,
    FailureHistory,
    checked_factors,
    failure_history,
)
from imcm.projections.reports.failure_model import (
    HALF_LIFE,
    bounds_shown,
    checked_half_life,
    definition_of,
    plain_rate,
    trained_model,
)
from imcm.projections.statistics.intervals import Interval, critical_z, wilson

if TYPE_CHECKING:
    from imcm.projections.figures.drawing import Axes

__all__ = ["Bin", "Calibration", "Score", "calibration"]

_MONTHS: Final = {"year": 12, "quarter": 3, "month": 1}
_DAY: Final = timedelta(days=1) // MICROSECOND
_YEAR: Final = timedelta(days=365) // MICROSECOND
_METHOD: Final = "normal, of days as clusters"


@attrs.frozen(kw_only=True)
class Score:
    """
    How well the failures of a year were predicted.

    A Brier score is the mean of (predicted - what happened) squared: 0 is perfect, and less is
    better (Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950).

    Attributes:
        name: The year; "all" of all of them.
        n, failed: Its deployments that were predicted, and how many failed, as known now.
        observed, predicted: The share that failed, and the mean of what was predicted.
        plain: The mean of the plain rates that it is compared with.
        brier: The score of the model.
        brier_plain: That of the trailing year's plain rate, as known when the model was trained.
        brier_rolling: That of the trailing year's plain rate at each deployment's own time.
        difference: *brier* - *brier_plain*: below 0 the model is better. *interval* is of it.
        difference_rolling: *brier* - *brier_rolling*, with *interval_rolling*.
    """

    name: str
    n: int
    failed: int
    observed: float
    predicted: float
    plain: float
    brier: float
    brier_plain: float
    brier_rolling: float
    difference: float
    interval: Interval
    difference_rolling: float
    interval_rolling: Interval


@attrs.frozen(kw_only=True)
class Bin:
    """
    What became of the deployments of which about the same was predicted.

    Attributes:
        low, high: The least and the most that was predicted of any of them.
        n, failed: How many they are, and how many failed.
        predicted, observed: The mean of what was predicted, and the share that failed.
        interval: Wilson's, of the share that failed.
    """

    low: float
    high: float
    n: int
    failed: int
    predicted: float
    observed: float
    interval: Interval


@attrs.frozen(kw_only=True, repr=False)
class Calibration:
    """
    How well failures were predicted, each year by what was known before.

    Attributes:
        every: How often the model was trained anew: "year", "quarter" or "month".
        factors, half_life, time_zone: Those of the model.
        years: The score of each year, in order; years without deployments are not there.
        whole: The score of all of them; None where nothing could be predicted.
        bins: Deciles of what was predicted, the least first: predicted against observed.
        not_predicted: How many deployments came before there was anything to learn from.
    """

    every: str
    factors: tuple[str, ...]
    half_life: timedelta
    time_zone: str
    years: tuple[Score, ...]
    whole: Score | None
    bins: tuple[Bin, ...]
    not_predicted: int

    def __repr__(self) -> str:
        """Return the whole score in one line."""
        whole = self.whole
        if whole is None:
            return "calibration undefined: nothing to learn from before any deployment"
        return (
            f"Brier score {whole.brier:.5f} of {whole.n:,} deployments, {whole.brier_plain:.5f} "
            f"by the trailing year's plain rate: {_difference(whole.difference, whole.interval)}"
        )

    def explain(self) -> str:
        """Return the scores by year and the deciles as tables for a person."""
        lines = [repr(self)]
        if self.whole is not None:
            lines.append(f"  trained anew every {self.every} on what was known before")
            head = f"  {'':6}{'n':>7}{'failed':>9}{'predicted':>11}{'Brier':>9}{'plain':>9}"
            lines.append(f"{head}{'rolling':>9}  difference to plain")
            lines += [
                f"  {score.name:6}{score.n:7,}{100 * score.observed:8.2f}%"
                f"{100 * score.predicted:10.2f}%{score.brier:9.5f}{score.brier_plain:9.5f}"
                f"{score.brier_rolling:9.5f}  {_difference(score.difference, score.interval)}"
                for score in (*self.years, self.whole)
            ]
            lines.append("  predicted against observed, by deciles of what was predicted")
            lines += [
                f"    {shown(each.predicted, SHARE)}: {shown(each.observed, SHARE)} "
                f"{bounds_shown(each.interval)} of {each.n:,}"
                for each in self.bins
            ]
        if self.not_predicted:
            lines.append(f"  {self.not_predicted:,} came before there was anything to learn from")
        return joined(lines)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """
        Draw predicted against observed failures; see `imcm.plots.calibration`.

        Args:
            ax: Axes of matplotlib to draw into; None makes new ones.

        Raises:
            MissingExtraError: The extra `plot` is not installed.
        """
        return drawn(self, ax=ax)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON; the keys are always there."""
        return {"shape": SHAPE, **jsonable(self)}


def _difference(value: float, interval: Interval) -> str:
    if interval.low is None:
        return f"{value:+.5f}"
    return f"{value:+.5f} [{interval.low:+.5f}, {interval.high:+.5f}]"


def calibration(
    log: Facts | Iterable[Recorded],
    /,
    *,
    every: str = "year",
    bins: int = 10,
    factors: Sequence[str] = FACTORS,
    half_life: timedelta | float = HALF_LIFE,
    time_zone: str = "UTC",
    environments: Sequence[str] | None = None,
    failed_by: Sequence[str] = FAILED_BY,
    attribution: str = "stated",
    max_age: timedelta | float | None = None,
    level: float = 0.95,
) -> Calibration:
    """
    Judge the failure model on a log: each part is predicted by what was known before it.

    A model is trained at the beginning of each year (quarter, month) and asked about all its
    deployments. What is asked of a deployment, how the service failed of late included, is as it
    was at its own time. What it is judged by is whether it failed as is known now. It is compared
    with the plain rate of the 365 days before: as it was when the model was trained, and as it was
    at each deployment's own time.

    Failures come in bursts, so intervals of differences take days, not deployments, as what was
    drawn by chance: the mean is normal, with the variance of the sums of days.

    Args:
        log: Facts, or a log such as `ledger.replay()`, which is then read to its end.
        every: How often the model is trained anew: "year", "quarter" or "month".
        bins: Into how many parts of the same size deployments go by what was predicted, 1 to 1,000.
        factors, half_life, time_zone, environments, failed_by, attribution, max_age: As of
            `failure_model`. Years begin in that zone.
        level: Confidence level of intervals, above 0 and below 1.

    Raises:
        InvalidValue: One of them is not as described.
    """
    known = facts_of(log)
    definition = definition_of(
        environments=environments,
        failed_by=failed_by,
        attribution=attribution,
        max_age=max_age,
        time_zone=time_zone,
        level=level,
    )
    if not is_among(every, tuple(_MONTHS)):
        raise InvalidValue("every", every, one_of(every, _MONTHS))
    if not 1 <= checked_number("bins", bins) <= 1_000:
        raise InvalidValue("bins", bins, "a number from 1 to 1,000")
    names, life = checked_factors(factors), checked_half_life(half_life)
    with gc_paused():
        history = failure_history(known, definition)
        predicted = _Predicted(history)
        for start, first, last in _periods(history, every, time_zone):
            plain = plain_rate(history, instant(start))
            model = trained_model(known, definition, start, names, life)
            if plain is None or not model.n:
                continue
            predicted.take(range(first, last), model.rates_of(range(first, last)), plain)
        every_one = range(len(predicted.indices))
        return Calibration(
            every=every,
            factors=names,
            half_life=life,
            time_zone=time_zone,
            years=tuple(predicted.years(time_zone, level)),
            whole=predicted.score("all", every_one, level) if every_one else None,
            bins=tuple(predicted.bins(bins, level)),
            not_predicted=len(history.deployed) - len(predicted.indices),
        )


def _periods(
    history: FailureHistory, every: str, time_zone: str
) -> Iterator[tuple[datetime, int, int]]:
    """Yield when each period began, and which deployments are in it; those that have some."""
    at, home, months = history.deployed.at, zone(time_zone), _MONTHS[every]
    first = 0
    while first < len(at):
        local = moment_of(at[first]).astimezone(home)
        month = (local.month - 1) // months * months
        begins = date(local.year, month + 1, 1)
        year, later = divmod(local.year * 12 + month + months, 12)
        ends = instant(midnight(date(year, later + 1, 1), home))
        last = bisect_left(at, ends, first)
        yield midnight(begins, home), first, last
        first = last


class _Predicted:
    """
    What was predicted of deployments, by the indices of these, in order of time.

    Attributes:
        indices: The deployments.
        rates, plain: What was predicted of each: by the model, and by the plain rate.
    """

    def __init__(self, history: FailureHistory) -> None:
        self._history = history
        self.indices: list[int] = []
        self.rates: list[float] = []
        self.plain: list[float] = []

    def take(self, indices: Sequence[int], rates: Iterable[float], plain: float) -> None:
        """Take what was predicted of some deployments."""
        self.indices += indices
        self.rates += rates
        self.plain += [plain] * len(indices)

    @cached_property
    def rolling(self) -> Sequence[float]:
        """The plain rate of the year before each deployment."""
        return list(_rolling(self._history, self.indices, self.plain))

    def _failed(self, each: int) -> bool:
        return self._history.failed_at[self.indices[each]] != NEVER

    def years(self, time_zone: str, level: float) -> Iterator[Score]:
        """Yield the score of each year."""
        home, at = zone(time_zone), self._history.deployed.at
        years: dict[int, list[int]] = {}
        for each, index in enumerate(self.indices):
            years.setdefault(moment_of(at[index]).astimezone(home).year, []).append(each)
        for year, members in years.items():
            yield self.score(str(year), members, level)

    def score(self, name: str, members: Sequence[int], level: float) -> Score:
        """Return the score of some; there is at least one."""
        n = len(members)
        happened = [self._failed(each) for each in members]
        model, plain, rolling = (
            [(column[each] - failed) ** 2 for each, failed in zip(members, happened, strict=True)]
            for column in (self.rates, self.plain, self.rolling)
        )
        days = [self._history.deployed.at[self.indices[each]] // _DAY for each in members]
        difference, interval = _paired(model, plain, days, level)
        difference_rolling, interval_rolling = _paired(model, rolling, days, level)
        return Score(
            name=name,
            n=n,
            failed=sum(happened),
            observed=sum(happened) / n,
            predicted=math.fsum(self.rates[each] for each in members) / n,
            plain=math.fsum(self.plain[each] for each in members) / n,
            brier=math.fsum(model) / n,
            brier_plain=math.fsum(plain) / n,
            brier_rolling=math.fsum(rolling) / n,
            difference=difference,
            interval=interval,
            difference_rolling=difference_rolling,
            interval_rolling=interval_rolling,
        )

    def bins(self, count: int, level: float) -> Iterator[Bin]:
        """Yield what became of those of which about the same was predicted."""
        order = sorted(range(len(self.rates)), key=self.rates.__getitem__)
        edges = [len(order) * edge // count for edge in range(count + 1)]
        for first, last in pairwise(edges):
            members = order[first:last]
            if not members:
                continue
            failed, n = sum(map(self._failed, members)), len(members)
            yield Bin(
                low=self.rates[members[0]],
                high=self.rates[members[-1]],
                n=n,
                failed=failed,
                predicted=math.fsum(self.rates[each] for each in members) / n,
                observed=failed / n,
                interval=wilson(failed, n, level=level),
            )


def _rolling(
    history: FailureHistory, indices: Iterable[int], otherwise: Iterable[float]
) -> Iterator[float]:
    """
    Yield the share known to have failed in the year before each deployment, in order of time.

    A failure is known from its own time on, and counts while its deployment is in that year.

    Args:
        otherwise: What it is where there was no deployment in that year.
    """
    at, failed_at = history.deployed.at, history.failed_at
    failures = sorted((time, index) for index, time in enumerate(failed_at) if time != NEVER)
    first = last = known = 0
    failed: set[int] = set()
    for index, else_ in zip(indices, otherwise, strict=True):
        now = at[index]
        last = bisect_left(at, now, last)
        while first < last and at[first] < now - _YEAR:
            failed.discard(first)
            first += 1
        while known < len(failures) and failures[known][0] < now:
            if failures[known][1] >= first:
                failed.add(failures[known][1])
            known += 1
        yield len(failed) / (last - first) if first < last else else_


def _paired(
    ours: Sequence[float], theirs: Sequence[float], days: Sequence[int], level: float
) -> tuple[float, Interval]:
    """
    Return the mean difference of two scores of the same deployments, with its interval.

    The variance is that of a mean of clusters of different sizes (Cochran, "Sampling Techniques",
    1977, section 9A): of each day, how much its sum differs from its share of the mean.
    """
    n = len(ours)
    mean = math.fsum(a - b for a, b in zip(ours, theirs, strict=True)) / n
    excess: dict[int, float] = {}
    for a, b, day in zip(ours, theirs, days, strict=True):
        excess[day] = excess.get(day, 0.0) + (a - b) - mean
    count = len(excess)
    if count < 2:
        return mean, Interval(low=None, high=None, level=level, method=_METHOD)
    squares = math.fsum(value * value for value in excess.values())
    half = critical_z(level) * math.sqrt(squares * count / (count - 1)) / n
    return mean, Interval(low=mean - half, high=mean + half, level=level, method=_METHOD)
