"""
What all figures made of durations share: rounding, statistics, censoring, groups and periods.

A duration is a `Span` of whole microseconds, observed or still going on; what has no duration is
`Missing`, with the reason. `with_parts` turns the `Durations` of both into a figure in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import attrs

from imcm.domain.vocabulary import Between, Moment, earliest, latest
from imcm.projections.facts.fold import Facts
from imcm.projections.facts.instants import moment_of
from imcm.projections.figures.bounds import before_end, inside, instants
from imcm.projections.figures.definition import Definition
from imcm.projections.figures.excerpt import SOME
from imcm.projections.figures.figure import (
    STILL_OPEN,
    Figure,
    Included,
    LeftOut,
    Population,
    by_reason,
)
from imcm.projections.figures.function import unread_notes
from imcm.projections.figures.groups import Members, with_groups
from imcm.projections.figures.lazy import LazySequence
from imcm.projections.figures.periods import buckets
from imcm.projections.figures.units import SECONDS, elapsed, instant_of, utc
from imcm.projections.figures.windows import Period
from imcm.projections.statistics import intervals, quantiles
from imcm.projections.statistics.samples import Ordered
from imcm.projections.statistics.survival import curve

Values = Sequence[float]
STATISTICS: Final[Mapping[str, Callable[[Values], float | None]]] = {
    "median": quantiles.median,
    "median_low": quantiles.median_low,
    "mean": quantiles.mean,
    "p90": quantiles.Percentile(0.9),
    "p95": quantiles.Percentile(0.95),
    "max": quantiles.Percentile(1),
    "min": quantiles.Percentile(0),
    "geometric_mean": quantiles.geometric_mean,
    "sum": quantiles.total,
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


IN_WINDOW: Final = ("end", "start", "either", "both")

PENDING: Final = "pending"
"""Why what is still open has no duration yet."""


class Span(NamedTuple):
    """
    One duration as it counts: microseconds, and how it is read at its shortest and longest.

    *observed* is False for one of which only the least is known. It has no *end* while it is not
    over, and one where something else ended it; *why* says which. An *early* one was below 0, and
    counts as 0.
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
    why: str = PENDING
    early: bool = False


class Missing(NamedTuple):
    """An incident without the duration asked for."""

    id: str
    reason: str
    start: Moment | None
    end: Moment | None
    groups: tuple[str, ...]
    positions: tuple[int, ...]


Who = tuple[str, tuple[int, ...]]
"""What was counted: its id, and the log positions of the events behind it."""


class Exact(NamedTuple):
    """One duration that is exact and over: microseconds, and the instants it is between."""

    value: int
    start: int
    end: int
    who: Callable[[], Who]
    groups: tuple[str, ...]


@attrs.frozen(repr=False)
class Columns:
    """
    Durations that are exact and over, field by field.

    Attributes:
        values: Microseconds.
        starts, ends: The instants they are between, in microseconds since 1970.
        who: Tells by its index what had a duration.
        groups: Tells by its index what groups it counts in.
    """

    values: Sequence[int]
    starts: Sequence[int]
    ends: Sequence[int]
    who: Callable[[int], Who]
    groups: Callable[[int], tuple[str, ...]]

    def placing_instants(self, shape: Shape) -> Sequence[Sequence[int]]:
        """Return the columns of instants that place a duration in a period; see `placed`."""
        by = {"end": (self.ends,), "start": (self.starts,)}
        return by.get(shape.in_window, (self.starts, self.ends))


class Durations:
    """
    The durations of a figure: those that are exact and over, and the others.

    Attributes:
        bulk: Those that are exact and over, as nearly all are, and came as columns.
        exact: Where those go that are exact and over, and come one by one.
        others: Where the rest goes.
    """

    __slots__ = ("bulk", "exact", "others")

    def __init__(self, bulk: Columns | None = None) -> None:
        self.bulk = bulk
        self.exact: list[Exact] = []
        self.others: list[Span | Missing] = []

    def columns(self) -> Columns:
        """Return those that are exact and over as columns."""
        bulk, exact = self.bulk, self.exact
        first = 0 if bulk is None else len(bulk.values)

        def who(index: int) -> Who:
            if bulk is not None and index < first:
                return bulk.who(index)
            return exact[index - first].who()

        def groups(index: int) -> tuple[str, ...]:
            if bulk is not None and index < first:
                return bulk.groups(index)
            return exact[index - first].groups

        if bulk is not None and not exact:
            return bulk
        before: Sequence[Sequence[int]] = ((), (), ())
        if bulk is not None:
            before = bulk.values, bulk.starts, bulk.ends
        values, starts, ends = before
        return Columns(
            values=[*values, *(duration.value for duration in exact)],
            starts=[*starts, *(duration.start for duration in exact)],
            ends=[*ends, *(duration.end for duration in exact)],
            who=who,
            groups=groups,
        )


def difference(start: Moment, end: Moment) -> tuple[int, int, int]:
    """Return the duration between two moments, and its shortest and longest reading."""
    if not isinstance(start, Between) and not isinstance(end, Between):
        value = elapsed(start, end)
        return value, value, value
    value = elapsed(utc(start), utc(end))
    low = elapsed(latest(start), earliest(end))
    high = elapsed(earliest(start), latest(end))
    return value, max(0, low), high


SLACK: Final = _MINUTE
"""
How far an end may lie before its start and still count as the same moment, in microseconds.

Two clocks differ by seconds, and a tool that tells whole seconds, or whole minutes, cuts them off.
"""


def early(value: int) -> bool:
    """Say whether a duration is below 0 by so little that it counts as 0."""
    return -SLACK <= value < 0


def early_notes(count: int) -> tuple[str, ...]:
    """Return the note on durations that count as 0 for that reason; none where there are none."""
    if not count:
        return ()
    ends, counts = ("ends", "counts") if count == 1 else ("end", "count")
    text = f"{count:,} {ends} up to {SLACK // 1_000_000} s before the start"
    return (f"{text}, and {counts} as 0",)


def _placing_moments(duration: Span | Missing, shape: Shape) -> tuple[Moment, ...]:
    """Return the moments that place a duration in a period; where one is not known, the other."""
    moments = (
        (duration.end, duration.start)
        if shape.in_window == "end"
        else (duration.start, duration.end)
    )
    known = tuple(moment for moment in moments if moment is not None)
    return known if shape.in_window in {"either", "both"} else known[:1]


def placed(shape: Shape) -> Callable[[Iterable[bool]], bool]:
    """Return what says, of the moments that lie in a window, whether the duration does."""
    return all if shape.in_window == "both" else any


def _goes_on(duration: Span | Missing, shape: Shape) -> bool:
    """Say whether a duration is in every period from its start on, since it is not over."""
    ongoing = isinstance(duration, Span) and not duration.observed and duration.end is None
    return ongoing and shape.in_window in {"end", "either"}


def _in(
    duration: Span | Missing, window: Period | None, definition: Definition, shape: Shape
) -> bool:
    """Say whether a duration is in question in a window; one without any moment is in each."""
    if window is None:
        return True
    moments = _placing_moments(duration, shape)
    if _goes_on(duration, shape):
        return all(before_end(moment, window, definition.bounds) for moment in moments)
    return not moments or placed(shape)(inside(m, window, definition.bounds) for m in moments)


def with_parts(
    durations: Durations,
    out: Sequence[LeftOut],
    facts: Facts,
    definition: Definition,
    shape: Shape,
) -> Figure:
    """Return the figure of all durations, with its groups and periods."""
    columns = durations.columns()
    placing = columns.placing_instants(shape)
    periods: list[Period] = []
    if definition.bucket_by is not None:
        times = [end for column in placing if column for end in (min(column), max(column))]
        times += (
            instant_of(moment)
            for duration in durations.others
            for moment in _placing_moments(duration, shape)
        )
        periods = list(buckets(definition, map(moment_of, times)))

    def times_of(duration: Span | Missing) -> Sequence[int] | None:
        return (
            None
            if _goes_on(duration, shape)
            else list(map(instant_of, _placing_moments(duration, shape))) or None
        )

    grouped = definition.group_by is not None
    every = range(len(columns.values))
    exact = Members(
        every,
        columns.groups if grouped else None,
        periods,
        lambda index: [column[index] for column in placing],
    )
    others = Members(
        durations.others, (lambda duration: duration.groups) if grouped else None, periods, times_of
    )

    def figure(name: str | None, window: Period | None) -> Figure:
        some, rest = exact.of(name, window), others.of(name, window)
        part = _summary(columns, some, rest, (), facts, definition, shape, window)
        return attrs.evolve(part, group=name)

    window = definition.window
    whole = _summary(columns, every, durations.others, out, facts, definition, shape, window)
    return with_groups(facts, whole, sorted({*exact.names, *others.names}), periods, figure)


def _summary(
    columns: Columns,
    exact: Sequence[int],
    others: Iterable[Span | Missing],
    out: Iterable[LeftOut],
    facts: Facts,
    definition: Definition,
    shape: Shape,
    window: Period | None,
) -> Figure:
    if window is not None:
        within, placing = instants(window, definition.bounds), columns.placing_instants(shape)
        lies = placed(shape)
        exact = [index for index in exact if lies(column[index] in within for column in placing)]
    spans: list[Span] = []
    waiting: list[Span] = []
    left_out = list(out)
    for duration in others:
        if not _in(duration, window, definition, shape):
            continue
        if isinstance(duration, Missing):
            reason = duration.reason
        elif window is not None and not _placing_moments(duration, shape):
            reason = "no known moment places it in a period"
        elif duration.observed:
            spans.append(duration)
            continue
        else:
            waiting.append(duration)
            reason = duration.why
        left_out.append(LeftOut(duration.id, reason, duration.positions))
    sure = (
        columns.values if len(exact) == len(columns.values) else [columns.values[i] for i in exact]
    )
    values = Ordered.of([*sure, *(span.value for span in spans)])
    still_open = sum(span.end is None for span in waiting)
    statistic = STATISTICS[shape.statistic]
    value = _seconds(statistic(values))
    if value is None and definition.empty == "zero":
        value = 0.0
    uncertain = sum(span.uncertain for span in spans)
    extremes = _extremes(sure, spans, statistic) if uncertain else None
    return Figure(
        name=type(definition).NAME,
        value=value,
        reason=_why_none(values, waiting, left_out) if value is None else None,
        unit=SECONDS,
        n=len(values),
        definition=definition,
        window=window,
        as_of=facts.as_of,
        known_at=facts.known_at,
        log_position=facts.log_position,
        mark=facts.mark,
        interval=_interval(values, shape.statistic, definition.level),
        bounds=extremes,
        uncertain=uncertain,
        included=Population(lambda: _included(columns, exact, spans), lambda: _in_seconds(values)),
        censored=LazySequence(lambda: sorted(map(_as_included, waiting), key=_rank)),
        left_out=LazySequence(lambda: sorted(left_out, key=lambda entry: entry.id)),
        beside=_beside(values, waiting, shape.statistic, definition.level),
        counts={STILL_OPEN: still_open} if still_open else {},
        notes=(*unread_notes(facts), *early_notes(sum(span.early for span in spans))),
    )


def _included(columns: Columns, exact: Iterable[int], spans: Iterable[Span]) -> list[Included]:
    """Return the durations as they are counted, the shortest first."""
    included: list[Included] = []
    for index in exact:
        id_, positions = columns.who(index)
        included.append(Included(id_, columns.values[index] / 1e6, "", positions))
    return sorted([*included, *map(_as_included, spans)], key=_rank)


def _in_seconds(values: Sequence[float]) -> list[float]:
    return [value / 1e6 for value in values]


def _as_included(span: Span) -> Included:
    return Included(span.id, span.value / 1e6, "", span.positions)


def _rank(entry: Included) -> tuple[float, str]:
    return entry.value, entry.id


def _why_none(values: Sequence[float], waiting: Sequence[Span], left_out: Sequence[LeftOut]) -> str:
    """Return why there is no number, which is true of all that was left out."""
    if values:
        return "a geometric mean needs durations above 0"
    if not left_out:
        return "nothing to count"
    if len(waiting) == len(left_out):
        if all(span.end is None for span in waiting):
            return f"all are {STILL_OPEN}"
        return "all are censored"
    return f"nothing to count, {len(left_out):,} left out: {_most(left_out)}"


def _most(left_out: Iterable[LeftOut]) -> str:
    """Return the reasons for which most were left out, with how many each."""
    counts = {
        STILL_OPEN if reason == PENDING else reason: len(some)
        for reason, some in by_reason(left_out).items()
    }
    lines = [f"{count:,} {reason}" for reason, count in counts.items()]
    if len(lines) > SOME:
        lines[SOME:] = [f"{sum(list(counts.values())[SOME:]):,} for other reasons"]
    return ", ".join(lines)


def _seconds(microseconds_: float | None) -> float | None:
    return None if microseconds_ is None else microseconds_ / 1e6


def _interval(values: Ordered, statistic: str, level: float) -> intervals.Interval | None:
    if statistic in {"median", "median_low"}:
        interval = intervals.median_interval(values, level=level)
    elif statistic in {"p90", "p95"}:
        q = 0.9 if statistic == "p90" else 0.95
        interval = intervals.quantile_interval(values, q, level=level)
    elif statistic == "mean":
        interval = intervals.mean_interval(values, level=level)
    else:
        return None
    return attrs.evolve(interval, low=_seconds(interval.low), high=_seconds(interval.high))


def _extremes(
    exact: Sequence[int], spans: Sequence[Span], statistic: Callable[[Values], float | None]
) -> tuple[float, float] | None:
    """Every statistic here grows with each duration, so the extremes are at all lows, all highs."""
    low = _seconds(statistic([*exact, *(span.low for span in spans)]))
    high = _seconds(statistic([*exact, *(span.high for span in spans)]))
    return None if low is None or high is None else (low, high)


def _beside(
    values: Ordered, waiting: Sequence[Span], statistic: str, level: float
) -> dict[str, float | None]:
    beside: dict[str, float | None] = {
        name: _seconds(STATISTICS[name](values))
        for name in ("median", "mean", "p90", "p95", "max")
        if name != statistic
    }
    # A survival curve knows no negative durations; where a definition counts them it has none.
    if (values or waiting) and not any(value < 0 for value in values[:1]):
        still = Ordered.of([span.value for span in waiting])
        over_time = curve(values, still, level=level)
        beside["Kaplan-Meier median, open ones censored"] = _seconds(over_time.median)
        horizon = max([*values[-1:], *still[-1:]])
        if horizon > 0:
            name = "restricted mean up to the longest, open ones censored"
            beside[name] = _seconds(over_time.area(horizon))
    return beside
