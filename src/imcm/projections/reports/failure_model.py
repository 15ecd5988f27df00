"""
How likely a change is to fail, from how changes like it went.

    model = failure_model(known, before=monday)
    print(model.rate_of(ProposedChange(services=["pay"], kind="deployment", at=tuesday)).explain())

The model is trained on what was known before a time and on nothing later. Its rate is that of all
changes, moved by what is asked of one (service, kind, type, risk, size, hour, weekday, and how the
service has failed of late), each as far as the data ask for: see `statistics.shrinkage`. Who wrote
or asked for a change is not asked: the question is what went in, when and where.

Practices change, so what is old counts for less: half as much for each `half_life`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

import attrs

from imcm.domain.change import Change
from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import checked_time, is_number, optional_time
from imcm.errors import InvalidValue
from imcm.gc_pause import gc_paused
from imcm.plain import joined
from imcm.projections.facts.fold import ChangeFacts, Facts
from imcm.projections.facts.instants import instant
from imcm.projections.figures.excerpt import one_of
from imcm.projections.figures.failures import FAILED_BY, FailedBy
from imcm.projections.figures.function import facts_of
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.figures.units import SHAPE, SHARE, minute, shown, utc, zone
from imcm.projections.reports.failure_history import (
    FACTORS,
    LIKE,
    FailureHistory,
    Trained,
    checked_factors,
    failure_history,
    levels_of,
    levels_of_all,
)
from imcm.projections.reports.proposed import ProposedChange, proposed
from imcm.projections.statistics.intervals import Interval, wilson
from imcm.projections.statistics.shrinkage import Effect, ShrunkRates, shrunk_rates

__all__ = ["HALF_LIFE", "FailureModel", "FailureRate", "failure_model"]

HALF_LIFE: Final = timedelta(days=180)
"""After how long a deployment counts for half as much, unless told otherwise."""

_OLDEST: Final = 10  # half-lives, after which a deployment counts for a thousandth
_YEAR: Final = timedelta(days=365)


@attrs.frozen(kw_only=True, repr=False)
class FailureRate:
    """
    How likely a change is to fail.

    Attributes:
        rate: The estimated probability, a share; None where nothing is known, with the *reason*.
        interval: Of the rate; None where there is none.
        at: When the change goes in.
        before: What was known before this time was used.
        whole: The rate of a typical change, a share, from which the effects move it.
        effects: How each factor moved it, in the order of the factors.
        n, failed: The deployments the model was trained on, and how many were known to have failed.
        like: In which factors a change is like this one; *n_like* and *failed_like* count those,
            and *interval_like* is Wilson's of their plain rate.
    """

    rate: float | None
    reason: str | None = None
    interval: Interval | None = None
    at: datetime
    before: datetime
    whole: float | None = None
    effects: tuple[Effect, ...] = ()
    n: int = 0
    failed: int = 0
    like: tuple[str, ...] = ()
    n_like: int = 0
    failed_like: int = 0
    interval_like: Interval | None = None

    def __repr__(self) -> str:
        """Return the rate in one line."""
        if self.rate is None:
            return f"failure rate undefined: {self.reason}"
        return (
            f"failure rate {shown(self.rate, SHARE)} {bounds_shown(self.interval)}, "
            f"from {self.n:,} deployments"
        )

    def explain(self) -> str:
        """Return the rate for a person: where it comes from, and what moved it most."""
        lines = [repr(self)]
        if self.rate is not None:
            lines.append(f"  known before {minute(self.before, zone('UTC'))} UTC")
            lines.append(f"  a typical change: {shown(self.whole, SHARE)}")
            for effect in sorted(self.effects, key=lambda e: (-abs(math.log(e.odds)), e.factor)):
                moved = f"odds x {effect.odds:.2f}" if effect.known else "nothing known of it"
                lines.append(f"    {effect.factor} {effect.level}: {moved}")
            if self.like:
                plain = f"{self.failed_like:,} of {self.n_like:,} failed"
                interval = bounds_shown(self.interval_like) if self.n_like else ""
                lines.append(f"  alike in {', '.join(self.like)}: {plain} {interval}".rstrip())
        return joined(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON; the keys are always there."""
        return {"shape": SHAPE, **jsonable(self)}


def bounds_shown(interval: Interval | None) -> str:
    """Return an interval of a share for a person; "" where there is none."""
    if interval is None or interval.low is None:
        return ""
    return f"[{shown(interval.low, SHARE)}, {shown(interval.high, SHARE)}]"


@attrs.frozen(kw_only=True, repr=False)
class FailureModel:
    """
    What was known of failures before a time, to tell how likely a later change is to fail.

    Attributes:
        before: The time: what went in then or later, and what failed then or later, is not known.
        factors: What is asked of a change.
        half_life: After how long a deployment counts for half as much.
        time_zone: In which hours and weekdays are told.
        n, failed: The deployments it was trained on, and how many were known to have failed.
        rates: The rates of all combinations of levels, with the effects.
        history: All deployments of the log with when each was known to have failed, later ones
            included: what is asked of a change at some time looks at nothing from then on.
    """

    before: datetime
    factors: tuple[str, ...]
    half_life: timedelta
    time_zone: str
    n: int
    failed: int
    rates: ShrunkRates
    history: FailureHistory = attrs.field(eq=False)
    _lookup: _Lookup = attrs.field(alias="lookup", eq=False)

    def __repr__(self) -> str:
        """Return in one line what it was trained on."""
        return (
            f"failure model of {self.n:,} deployments before "
            f"{minute(self.before, zone('UTC'))} UTC, {self.failed:,} failed"
        )

    def rate_of(
        self, change: ProposedChange | ChangeFacts | Change, *, at: datetime | None = None
    ) -> FailureRate:
        """
        Return how likely a change is to fail.

        How the service failed of late is asked as of the time at which the change goes in, which
        should not lie before the time of the model.

        Args:
            change: A change to come, or one of the log: its row or its state.
            at: When it goes in; None is when the change itself says.

        Raises:
            InvalidValue: It is no change, or neither says when it goes in.
            NaiveTimeError: *at* has no time zone.
        """
        asked = proposed(change)
        when = optional_time("at", at) or asked.at
        if when is None:
            raise InvalidValue("at", None, "give at=: the change does not say when it goes in")
        if not self.n:
            reason = "no deployment was known before"
            return FailureRate(rate=None, reason=reason, at=when, before=self.before)
        combinations = self._lookup.levels(asked, instant(utc(when)))
        estimate = self.rates.rate(*combinations)
        like, alike = self._lookup.alike(combinations)
        before = instant(utc(self.before))
        failed = sum(self.history.failed_at[index] < before for index in alike)
        return FailureRate(
            rate=estimate.rate,
            interval=estimate.interval,
            at=when,
            before=self.before,
            whole=self.rates.whole,
            effects=estimate.effects,
            n=self.n,
            failed=self.failed,
            like=like,
            n_like=len(alike),
            failed_like=failed,
            interval_like=wilson(failed, len(alike), level=self.rates.level),
        )

    def rates_of(self, deployments: Iterable[int]) -> list[float]:
        """Return the rates alone, of deployments by their indices in order of time."""
        return [self._lookup.rate(index) for index in deployments]

    def explain(self) -> str:
        """Return for a person which factors matter, and the levels that move most."""
        lines = [repr(self)]
        if self.n:
            recent = self.rates.successes / self.rates.weight
            lines.append(f"  all, the recent ones counting more: {shown(recent, SHARE)} failed")
            lines.append(f"  a typical change: {shown(self.rates.whole, SHARE)}")
        rates = self.rates
        spreads = zip(self.factors, rates.variances, rates.effects, strict=True)
        for name, variance, effects in sorted(spreads, key=lambda each: -each[1]):
            lines.append(f"  {name}: odds spread by x {math.exp(math.sqrt(variance)):.2f}")
            most = sorted(effects.items(), key=lambda each: (-abs(each[1]), each[0]))[:3]
            lines += [f"    {level}: odds x {math.exp(effect):.2f}" for level, effect in most]
        return joined(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON; effects are what is added to the log-odds."""
        rates = self.rates
        known = {"variance": rates.variances, "effects": rates.effects}
        return {
            "shape": SHAPE,
            "before": self.before.isoformat(),
            "half_life": self.half_life.total_seconds(),
            "time_zone": self.time_zone,
            "n": self.n,
            "failed": self.failed,
            "whole": rates.whole if self.n else None,
            "factors": {
                name: {key: jsonable(values[at]) for key, values in known.items()}
                for at, name in enumerate(self.factors)
            },
        }


class _Lookup:
    """What a model looks up, made when it is first asked for."""

    def __init__(
        self,
        history: FailureHistory,
        trained: Trained,
        rows: range,
        factors: Sequence[str],
        time_zone: str,
        rates: ShrunkRates,
    ) -> None:
        """
        Take what a model knows.

        Args:
            rows: Those of *trained* that it was trained on.
        """
        self._trained = trained
        self._rows = rows
        self._factors = factors
        self._rates = rates
        self._known: dict[int, float] = {}
        self.levels = levels_of(history, factors, time_zone)
        self._like = tuple(at for at, name in enumerate(factors) if name in LIKE)

    @cached_property
    def _alike(self) -> Mapping[tuple[str, ...], set[int]]:
        trained = self._trained
        alike: dict[tuple[str, ...], set[int]] = {}
        for row in self._rows:
            levels = trained.combinations[trained.rows[row]]
            key = tuple(levels[at] for at in self._like)
            alike.setdefault(key, set()).add(trained.deployments[row])
        return alike

    def alike(self, combinations: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], set[int]]:
        """Return in what others are like a change, and the indices of those that are."""
        keys = [tuple(levels[at] for at in self._like) for levels in combinations]
        names = tuple(self._factors[at] for at in self._like)
        return names, set[int]().union(*(self._alike.get(key, ()) for key in keys))

    def rate(self, deployment: int) -> float:
        """Return the rate of a deployment; many have the same levels."""
        trained = self._trained
        first = bisect_left(trained.deployments, deployment)
        last = bisect_left(trained.deployments, deployment + 1, first)
        numbers = trained.rows[first:last]
        if len(numbers) > 1:
            return self._rates.rate(*(trained.combinations[number] for number in numbers)).rate
        number = numbers[0]
        rate = self._known.get(number)
        if rate is None:
            rate = self._rates.rate(trained.combinations[number]).rate
            self._known[number] = rate
        return rate


def failure_model(
    log: Facts | Iterable[Recorded],
    /,
    *,
    before: datetime | None = None,
    factors: Sequence[str] = FACTORS,
    half_life: timedelta | float = HALF_LIFE,
    time_zone: str = "UTC",
    environments: Sequence[str] | None = None,
    failed_by: Sequence[str] = FAILED_BY,
    attribution: str = "stated",
    max_age: timedelta | float | None = None,
    level: float = 0.95,
) -> FailureModel:
    """
    Return how failures depend on what is known of a change, from what was known before a time.

    A deployment is one before that time, and failed if that showed itself before it. What is
    stated of a cause later than its incident was detected, or corrected later, is in the facts as
    they stand: give facts that are cut with `known_at=` to have none of it.

    Args:
        log: Facts, or a log such as `ledger.replay()`, which is then read to its end.
        before: Nothing from this time on is used; None is `as_of`.
        factors: What is asked of a change: "service", "kind", "type", "risk", "size" (commits),
            "hour" (of the day, three together), "weekday", "last_failure" (how long ago the service
            last failed), "last_50" (how many of its last 50 deployments failed), "label:<name>".
        half_life: After how long a deployment counts for half as much; ten of them later it does
            not count. Seconds or timedelta.
        time_zone: The IANA zone of hours and weekdays.
        environments: Whose deployments count; None is production.
        failed_by: The signs of failure that count, as of the change failure rate, but for
            "version_returned", of which nobody knows when it was seen.
        attribution, max_age: How causes are inferred, as of the change failure rate.
        level: Confidence level of intervals, above 0 and below 1.

    Raises:
        InvalidValue: One of them is not as described.
        NaiveTimeError: *before* has no time zone.
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
    names, life = checked_factors(factors), checked_half_life(half_life)
    given = known.as_of if before is None else checked_time("before", before)
    if given is None:
        raise InvalidValue("before", None, "give a time: the log is empty, and has none")
    with gc_paused():
        return trained_model(known, definition, given, names, life)


def definition_of(**choices: Any) -> FailedBy:
    """Return the definition of what failed; Any: it checks what it is given."""
    definition = FailedBy(**choices)
    for sign in definition.failed_by:
        if sign not in FAILED_BY:
            raise InvalidValue("failed_by", sign, one_of(sign, FAILED_BY))
    return definition


def checked_half_life(value: object) -> timedelta:
    """
    Return a half-life as a duration; a number is in seconds.

    Raises:
        InvalidValue: It is none, or not from an hour to a thousand years.
    """
    low, high = timedelta(hours=1), timedelta(days=365_000)
    given = value
    if is_number(value) and low.total_seconds() <= value <= high.total_seconds():
        given = timedelta(seconds=value)
    if not isinstance(given, timedelta) or not low <= given <= high:
        raise InvalidValue("half_life", value, "seconds or timedelta, an hour to 1,000 years")
    return given


def trained_model(
    facts: Facts,
    definition: FailedBy,
    before: datetime,
    factors: tuple[str, ...],
    half_life: timedelta,
) -> FailureModel:
    """Return the model of what was known before a time; the arguments are checked already."""
    history = failure_history(facts, definition)
    trained = levels_of_all(facts, definition, factors, definition.time_zone)
    at, failed_at = history.deployed.at, history.failed_at
    end, life = instant(utc(before)), half_life // timedelta(microseconds=1)
    first = bisect_left(at, end - _OLDEST * life)
    last = bisect_left(at, end)
    rows = [bisect_left(trained.deployments, index) for index in (first, last)]
    weights = [0.0] * len(trained.combinations)
    successes = [0.0] * len(trained.combinations)
    halves = [math.exp2((time - end) / life) for time in at[first:last]]
    for row in range(*rows):
        deployment, combination = trained.deployments[row], trained.rows[row]
        weight = trained.shares[row] * halves[deployment - first]
        weights[combination] += weight
        if failed_at[deployment] < end:
            successes[combination] += weight
    cells = {
        levels: (weight, min(of, weight))
        for levels, weight, of in zip(trained.combinations, weights, successes, strict=True)
        if weight
    }
    rates = shrunk_rates(cells, factors=factors, level=definition.level)
    time_zone = definition.time_zone
    lookup = _Lookup(history, trained, range(*rows), factors, time_zone, rates)
    return FailureModel(
        before=before,
        factors=factors,
        half_life=half_life,
        time_zone=time_zone,
        n=last - first,
        failed=sum(time < end for time in failed_at[first:last]),
        rates=rates,
        history=history,
        lookup=lookup,
    )


def plain_rate(history: FailureHistory, before: int, window: timedelta = _YEAR) -> float | None:
    """Return the share known to have failed of the deployments of a time before an instant."""
    at, failed_at = history.deployed.at, history.failed_at
    last = bisect_left(at, before)
    first = bisect_left(at, before - window // timedelta(microseconds=1))
    if first == last:
        return None
    return sum(time < before for time in failed_at[first:last]) / (last - first)
