"""
What all figures made of durations share: rounding, statistics, censoring, groups and periods.

A duration is a `Span` of whole microseconds, observed or still going on; what has no duration is
`Missing`, with the reason. `with_parts` turns both into a figure in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import attrs

from imcm.domain.vocabulary import Between, Moment, earliest, latest, midpoint
from imcm.projections import statistics
from imcm.projections.facts import Facts
from imcm.projections.figure import (
    SECONDS,
    Definition,
    Figure,
    Included,
    LeftOut,
    Period,
    buckets,
    inside,
    microseconds,
    unread_notes,
    with_groups,
)
from imcm.projections.survival import kaplan_meier

Values = Sequence[float]
STATISTICS: Final[Mapping[str, Callable[[Values], float | None]]] = {
    "median": statistics.median,
    "median_low": statistics.median_low,
    "mean": statistics.mean,
    "p90": lambda values: statistics.percentile(values, 0.9),
    "p95": lambda values: statistics.percentile(values, 0.95),
    "max": lambda values: max(values, default=None),
    "geometric_mean": statistics.geometric_mean,
    "sum": lambda values: sum(values) if values else None,
}

_HOUR, _MINUTE = 3_600_000_000, 60_000_000
ROUNDINGS: Final[Mapping[str, Callable[[int], int]]] = {
    "none": lambda value: value,
    "hour_down": lambda value: value // _HOUR * _HOUR,
    "minute_down": lambda value: value // _MINUTE * _MINUTE,
    "minute_up": lambda value: -(-value // _MINUTE) * _MINUTE,
}


@attrs.frozen(kw_only=True)
class Shape:
    """How durations become one number; every definition of a duration has these arguments."""

    statistic: str = "median"
    in_window: str = "end"
    round_each: str = "none"


IN_WINDOW: Final = ("end", "start", "either")


class Span(NamedTuple):
    """
    One duration as it counts: microseconds, and how it is read at its shortest and longest.

    *observed* is False for one that is not over: it lasted at least so long.
    """

    id: str
    value: int
    low: int
    high: int
    observed: bool
    uncertain: bool
    start: Moment | None
    end: Moment | None
    groups: tuple[str, ...]
    positions: tuple[int, ...]


class Missing(NamedTuple):
    """An incident without the duration asked for."""

    id: str
    reason: str
    start: Moment | None
    end: Moment | None
    groups: tuple[str, ...]
    positions: tuple[int, ...]


def difference(start: Moment, end: Moment) -> tuple[int, int, int]:
    """Return the duration between two moments, and its shortest and longest reading."""
    value = microseconds(midpoint(end) - midpoint(start))
    if not isinstance(start, Between) and not isinstance(end, Between):
        return value, value, value
    low = microseconds(earliest(end) - latest(start))
    high = microseconds(latest(end) - earliest(start))
    return value, max(0, low), high


def _placed(one: Span | Missing, shape: Shape) -> Moment | None:
    """Return the moment that places a duration in a period; what is open has no end."""
    return one.start if shape.in_window == "start" else one.end or one.start


def _in(
    one: Span | Missing,
    window: tuple[datetime, datetime] | None,
    definition: Definition,
    shape: Shape,
) -> bool:
    if window is None:
        return True
    bounds = definition.bounds
    if isinstance(one, Span) and not one.observed and shape.in_window != "start":
        # Not over: it belongs to every period that it has begun before the end of.
        return one.start is not None and midpoint(one.start) < window[1]
    if shape.in_window == "either":
        return inside(one.start, window, bounds) or inside(one.end, window, bounds)
    return inside(_placed(one, shape), window, bounds)


def with_parts(
    found: Sequence[Span | Missing],
    out: Sequence[LeftOut],
    facts: Facts,
    definition: Definition,
    shape: Shape,
) -> Figure:
    """Return the figure of all durations, with its groups and periods."""
    placed = [midpoint(m) for one in found if (m := _placed(one, shape)) is not None]
    periods = list(buckets(definition, placed))
    names = sorted({name for one in found for name in one.groups})

    def figure(name: str | None, window: Period | None) -> Figure:
        members = found if name is None else [one for one in found if name in one.groups]
        return attrs.evolve(_summary(members, (), facts, definition, shape, window), group=name)

    whole = _summary(found, out, facts, definition, shape, definition.window)
    return with_groups(whole, names, periods, figure)


def _summary(
    found: Iterable[Span | Missing],
    out: Iterable[LeftOut],
    facts: Facts,
    definition: Definition,
    shape: Shape,
    window: Period | None,
) -> Figure:
    inside_ = [one for one in found if _in(one, window, definition, shape)]
    spans = sorted(
        (one for one in inside_ if isinstance(one, Span) and one.observed),
        key=lambda one: (one.value, one.id),
    )
    waiting = [one for one in inside_ if isinstance(one, Span) and not one.observed]
    left_out = [
        *out,
        *(
            LeftOut(id=one.id, reason=one.reason, positions=one.positions)
            for one in inside_
            if isinstance(one, Missing)
        ),
        *(LeftOut(id=one.id, reason="pending", positions=one.positions) for one in waiting),
    ]
    values = [one.value for one in spans]
    statistic = STATISTICS[shape.statistic]
    value = _seconds(statistic(values))
    reason = None
    if value is None:
        if definition.empty == "zero":
            value = 0.0
        else:
            reason = _why_none(values, waiting)
    uncertain = sum(one.uncertain for one in spans)
    return Figure(
        name=type(definition).NAME,
        value=value,
        reason=reason,
        unit=SECONDS,
        n=len(values),
        definition=definition,
        window=window,
        as_of=facts.as_of,
        known_at=facts.known_at,
        log_position=facts.log_position,
        interval=_interval(values, shape.statistic, definition.level),
        bounds=_bounds(spans, statistic) if uncertain else None,
        uncertain=uncertain,
        included=tuple(
            Included(id=one.id, value=one.value / 1e6, positions=one.positions) for one in spans
        ),
        censored=tuple(
            Included(id=one.id, value=one.value / 1e6, positions=one.positions)
            for one in sorted(waiting, key=lambda one: (one.value, one.id))
        ),
        left_out=tuple(sorted(left_out, key=lambda one: one.id)),
        beside=_beside(values, waiting, shape.statistic, definition.level),
        notes=unread_notes(facts),
    )


def _why_none(values: Sequence[int], waiting: Sequence[Span]) -> str:
    if values:
        return "a geometric mean needs durations above 0"
    return "all are still open" if waiting else "nothing to count"


def _seconds(microseconds_: float | None) -> float | None:
    return None if microseconds_ is None else microseconds_ / 1e6


def _interval(values: Sequence[int], statistic: str, level: float) -> statistics.Interval | None:
    if statistic in {"median", "median_low"}:
        found = statistics.median_interval(values, level=level)
    elif statistic in {"p90", "p95"}:
        q = 0.9 if statistic == "p90" else 0.95
        found = statistics.quantile_interval(values, q, level=level)
    elif statistic == "mean":
        found = statistics.mean_interval(values, level=level)
    else:
        return None
    return attrs.evolve(found, low=_seconds(found.low), high=_seconds(found.high))


def _bounds(
    spans: Sequence[Span], statistic: Callable[[Values], float | None]
) -> tuple[float, float] | None:
    """Every statistic here grows with each duration, so the extremes are at all lows, all highs."""
    low = _seconds(statistic(sorted(one.low for one in spans)))
    high = _seconds(statistic(sorted(one.high for one in spans)))
    return None if low is None or high is None else (low, high)


def _beside(
    values: Sequence[int], waiting: Sequence[Span], statistic: str, level: float
) -> dict[str, float | None]:
    beside: dict[str, float | None] = {
        name: _seconds(STATISTICS[name](values))
        for name in ("median", "mean", "p90", "p95", "max")
        if name != statistic
    }
    if values or waiting:
        durations = [*values, *(one.value for one in waiting)]
        observed = [True] * len(values) + [False] * len(waiting)
        curve = kaplan_meier(durations, observed, level=level)
        beside["Kaplan-Meier median, open ones censored"] = _seconds(curve.median)
        horizon = max(durations)
        if horizon > 0:
            name = "restricted mean up to the longest, open ones censored"
            beside[name] = _seconds(curve.restricted_mean(horizon).value)
    return beside
