"""
What all figures made of durations share: rounding, statistics, censoring, groups and periods.

A duration is a `Span` of whole microseconds, observed or still going on; what has no duration is
`Missing`, with the reason. `with_parts` turns both into a figure in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import attrs

from imcm.domain.vocabulary import Between, Moment, earliest, latest
from imcm.projections import statistics
from imcm.projections.facts import Facts
from imcm.projections.figure import (
    SECONDS,
    Definition,
    Figure,
    Included,
    LeftOut,
    Members,
    Period,
    begun,
    buckets,
    inside,
    microseconds,
    unread_notes,
    utc,
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

    *observed* is False for one of which only the least is known. It has no *end* while it is not
    over, and one where something else ended it; *why* says which.
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
    why: str = "pending"


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
    value = microseconds(utc(end) - utc(start))
    if not isinstance(start, Between) and not isinstance(end, Between):
        return value, value, value
    low = microseconds(utc(earliest(end)) - utc(latest(start)))
    high = microseconds(utc(latest(end)) - utc(earliest(start)))
    return value, max(0, low), high


def _places(one: Span | Missing, shape: Shape) -> tuple[Moment, ...]:
    """Return the moments that place a duration in a period; where one is not known, the other."""
    moments = (one.end, one.start) if shape.in_window == "end" else (one.start, one.end)
    known = tuple(moment for moment in moments if moment is not None)
    return known if shape.in_window == "either" else known[:1]


def _goes_on(one: Span | Missing, shape: Shape) -> bool:
    """Say whether a duration is in every period from its start on, since it is not over."""
    ongoing = isinstance(one, Span) and not one.observed and one.end is None
    return ongoing and shape.in_window != "start"


def _in(one: Span | Missing, window: Period | None, definition: Definition, shape: Shape) -> bool:
    """Say whether a duration is in question in a window; one without any moment is in each."""
    if window is None:
        return True
    places = _places(one, shape)
    if _goes_on(one, shape):
        return all(begun(moment, window, definition.bounds) for moment in places)
    return not places or any(inside(moment, window, definition.bounds) for moment in places)


def with_parts(
    found: Sequence[Span | Missing],
    out: Sequence[LeftOut],
    facts: Facts,
    definition: Definition,
    shape: Shape,
) -> Figure:
    """Return the figure of all durations, with its groups and periods."""
    moments = (utc(moment) for one in found for moment in _places(one, shape))
    periods = list(buckets(definition, moments))

    def placed(one: Span | Missing) -> tuple[Moment, ...] | None:
        return None if _goes_on(one, shape) else _places(one, shape) or None

    members = Members(found, lambda one: one.groups, periods, placed)

    def figure(name: str | None, window: Period | None) -> Figure:
        part = _summary(members.of(name, window), (), facts, definition, shape, window)
        return attrs.evolve(part, group=name)

    whole = _summary(found, out, facts, definition, shape, definition.window)
    return with_groups(whole, members.names, periods, figure)


def _summary(
    found: Iterable[Span | Missing],
    out: Iterable[LeftOut],
    facts: Facts,
    definition: Definition,
    shape: Shape,
    window: Period | None,
) -> Figure:
    spans: list[Span] = []
    waiting: list[Span] = []
    left_out = list(out)
    for one in found:
        if not _in(one, window, definition, shape):
            continue
        if isinstance(one, Missing):
            reason = one.reason
        elif window is not None and not _places(one, shape):
            reason = "no known moment places it in a period"
        elif one.observed:
            spans.append(one)
            continue
        else:
            waiting.append(one)
            reason = one.why
        left_out.append(LeftOut(id=one.id, reason=reason, positions=one.positions))
    spans.sort(key=lambda one: (one.value, one.id))
    waiting.sort(key=lambda one: (one.value, one.id))
    values = [one.value for one in spans]
    statistic = STATISTICS[shape.statistic]
    value = _seconds(statistic(values))
    if value is None and definition.empty == "zero":
        value = 0.0
    uncertain = sum(one.uncertain for one in spans)
    return Figure(
        name=type(definition).NAME,
        value=value,
        reason=_why_none(values, waiting) if value is None else None,
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
        included=tuple(Included(one.id, one.value / 1e6, "", one.positions) for one in spans),
        censored=tuple(Included(one.id, one.value / 1e6, "", one.positions) for one in waiting),
        left_out=tuple(sorted(left_out, key=lambda one: one.id)),
        beside=_beside(values, waiting, shape.statistic, definition.level),
        notes=unread_notes(facts),
    )


def _why_none(values: Sequence[int], waiting: Sequence[Span]) -> str:
    if values:
        return "a geometric mean needs durations above 0"
    if not waiting:
        return "nothing to count"
    return "all are still open" if all(one.end is None for one in waiting) else "all are censored"


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
    # A survival curve knows no negative durations; where a definition counts them it has none.
    if (values or waiting) and not any(value < 0 for value in values[:1]):
        durations = [*values, *(one.value for one in waiting)]
        observed = [True] * len(values) + [False] * len(waiting)
        curve = kaplan_meier(durations, observed, level=level)
        beside["Kaplan-Meier median, open ones censored"] = _seconds(curve.median)
        horizon = max(durations)
        if horizon > 0:
            name = "restricted mean up to the longest, open ones censored"
            beside[name] = _seconds(curve.restricted_mean(horizon).value)
    return beside
