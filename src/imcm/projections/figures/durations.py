"""
What all figures made of durations share: rounding, statistics, censoring, groups and periods.

A duration is a `Span` of whole microseconds, observed or still going on; what has no duration is
`Missing`, with the reason. `with_parts` turns the `Durations` of both into a figure in seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, compress
from operator import attrgetter
from typing import Final, NamedTuple

import attrs
from attrs.converters import optional

from imcm.domain.vocabulary import Between, Moment, earliest, latest
from imcm.projections.facts.columns import argsort, take
from imcm.projections.facts.fold import Facts
from imcm.projections.facts.instants import moment_of
from imcm.projections.figures.definition import Definition
from imcm.projections.figures.excerpt import SOME
from imcm.projections.figures.figure import (
    STILL_OPEN,
    Exclusions,
    Figure,
    Included,
    LeftOut,
    Population,
    counts_by_reason,
)
from imcm.projections.figures.function import unread_notes
from imcm.projections.figures.groups import Members, names_of, with_groups
from imcm.projections.figures.lazy import LazySequence
from imcm.projections.figures.periods import Periods, buckets
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


def _once(column: Callable[[], Sequence[int]]) -> Callable[[], Sequence[int]]:
    """Return what gives a column and makes it once, however often it is placed in periods."""
    return cache(column)


@attrs.frozen(kw_only=True, repr=False)
class Stretches:
    """
    Stretches of time between exact instants, field by field.

    Attributes:
        count: How many there are.
        starts, ends: Give the instants they are between, in microseconds since 1970; None for ends
            of which nobody knows. Only what is placed in periods needs them.
        who: Tells by its index what it is a stretch of.
        groups: Tells by its index what groups it counts in.
    """

    count: int
    starts: Callable[[], Sequence[int]] = attrs.field(converter=_once)
    ends: Callable[[], Sequence[int]] | None = attrs.field(converter=optional(_once))
    who: Callable[[int], Who]
    groups: Callable[[int], tuple[str, ...]]

    def placing_instants(self, shape: Shape) -> Sequence[Sequence[int]]:
        """Return the columns of instants that place a stretch in a period; see `_placed`."""
        if self.ends is None:
            return (self.starts(),)
        by = {"end": (self.ends,), "start": (self.starts,)}
        return [column() for column in by.get(shape.in_window, (self.starts, self.ends))]


@attrs.frozen(kw_only=True, repr=False)
class Columns(Stretches):
    """
    Durations that are exact and over, field by field.

    Attributes:
        values: Microseconds.
    """

    values: Sequence[int]
    ends: Callable[[], Sequence[int]] = attrs.field(converter=_once)


@attrs.frozen(kw_only=True, repr=False)
class MissingColumns(Stretches):
    """
    What has no duration for one reason, field by field.

    Attributes:
        reason: Why they have none.
    """

    reason: str


class Durations:
    """
    The durations of a figure: those that are exact and over, and the others.

    Attributes:
        bulk: Those that are exact and over, as nearly all are, and came as columns.
        missing: What plainly has none, and came as columns.
        exact: Where those go that are exact and over, and come one by one.
        others: Where the rest goes.
    """

    __slots__ = ("bulk", "exact", "missing", "others")

    def __init__(self, bulk: Columns | None = None, missing: Sequence[MissingColumns] = ()) -> None:
        self.bulk = bulk
        self.missing = missing
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
            before = bulk.values, bulk.starts(), bulk.ends()
        starts = [*before[1], *(duration.start for duration in exact)]
        ends = [*before[2], *(duration.end for duration in exact)]
        return Columns(
            count=first + len(exact),
            values=[*before[0], *(duration.value for duration in exact)],
            starts=lambda: starts,
            ends=lambda: ends,
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


def _placed(shape: Shape, numbers: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the periods, by number, that a duration is in, from those of its moments."""
    first, *others = numbers
    if shape.in_window == "both":
        return first if all(number == first for number in others) else ()
    return tuple(dict.fromkeys(chain(first, *others)))


def _periods_of(some: Stretches, periods: Periods, shape: Shape) -> list[tuple[int, ...]]:
    """Return the periods, by number, that each stretch is in."""
    numbers = list(map(periods.numbers, some.placing_instants(shape)))
    if len(numbers) == 1:
        return numbers[0]
    return [_placed(shape, pair) for pair in zip(*numbers, strict=True)]


def _periods_of_other(duration: Span | Missing, periods: Periods, shape: Shape) -> tuple[int, ...]:
    """
    Return the periods, by number, in which another duration is in question.

    One that is not over is so in every period from its start on, one without any moment in each.
    """
    moments = list(map(instant_of, _placing_moments(duration, shape)))
    if not moments:
        return tuple(range(len(periods)))
    ongoing = isinstance(duration, Span) and not duration.observed and duration.end is None
    if ongoing and shape.in_window in {"end", "either"}:
        return tuple(periods.up_from(max(moments)))
    return _placed(shape, periods.numbers(moments))


def _periods(
    stretches: Iterable[Stretches],
    others: Iterable[Span | Missing],
    definition: Definition,
    shape: Shape,
) -> Periods:
    """Return the periods that are asked for."""
    if definition.bucket_by is None:
        return Periods((), definition.bounds)
    placing = chain.from_iterable(some.placing_instants(shape) for some in stretches)
    times = [end for column in placing if column for end in (min(column), max(column))]
    for duration in others:
        times += map(instant_of, _placing_moments(duration, shape))
    return Periods(buckets(definition, map(moment_of, times)), definition.bounds)


def _members(
    some: Stretches,
    indices: Sequence[int],
    periods: Periods,
    definition: Definition,
    shape: Shape,
) -> Members:
    """Return which of the stretches at some indices are in each group and in each period."""
    return Members(
        len(indices),
        list(map(some.groups, indices)) if definition.group_by is not None else (),
        take(_periods_of(some, periods, shape), indices) if periods else (),
    )


def _in_window(some: Stretches, definition: Definition, shape: Shape) -> Sequence[int]:
    """Return the indices of the stretches that are in the window."""
    every = range(some.count)
    if definition.window is None:
        return every
    window = Periods((definition.window,), definition.bounds)
    return list(compress(every, _periods_of(some, window, shape)))


def with_parts(
    durations: Durations,
    out: Sequence[LeftOut],
    facts: Facts,
    definition: Definition,
    shape: Shape,
) -> Figure:
    """Return the figure of all durations, with its groups and periods."""
    columns, others = durations.columns(), durations.others
    stretches = columns, *durations.missing
    periods = _periods(stretches, others, definition, shape)
    grouped = definition.group_by is not None
    names: list[str] = []
    if grouped:
        theirs = (map(some.groups, range(some.count)) for some in stretches)
        names = names_of(chain(*theirs, (other.groups for other in others)))
    window = definition.window
    indices, *of_missing = (_in_window(some, definition, shape) for some in stretches)
    if window is not None:
        in_window = Periods((window,), definition.bounds)
        others = [other for other in others if _periods_of_other(other, in_window, shape)]
    if grouped or periods:
        # In the order of their lengths, which those of each part then have, too.
        indices = take(indices, argsort(take(columns.values, indices)))
    every = len(indices) == len(columns.values) and not grouped and not periods
    values = Ordered.of(columns.values if every else take(columns.values, indices))
    exact = _members(columns, indices, periods, definition, shape)
    missing = [
        (some, mine, _members(some, mine, periods, definition, shape))
        for some, mine in zip(durations.missing, of_missing, strict=True)
    ]
    rest = Members(
        len(others),
        [other.groups for other in others] if grouped else (),
        [_periods_of_other(other, periods, shape) for other in others] if periods else (),
    )

    def figure(name: str | None, number: int | None) -> Figure:
        some = exact.of(name, number)
        return _summary(
            values if len(some) == len(values) else values.at(some),
            lambda: _included(columns, (indices[index] for index in some)),
            take(others, rest.of(name, number)),
            [(some, take(mine, members.of(name, number))) for some, mine, members in missing],
            out if name is None and number is None else (),
            facts,
            definition,
            shape,
            window if number is None else periods[number],
            name,
        )

    return with_groups(facts, figure(None, None), names, periods, figure)


def _summary(
    exact: Ordered,
    included: Callable[[], Iterable[Included]],
    others: Sequence[Span | Missing],
    missing: Sequence[tuple[MissingColumns, Sequence[int]]],
    out: Sequence[LeftOut],
    facts: Facts,
    definition: Definition,
    shape: Shape,
    window: Period | None,
    group: str | None,
) -> Figure:
    """
    Return the figure of one part.

    Args:
        exact: The durations that are exact and over; *included* tells of each.
        others: Those that are not, and what has none.
        missing: What plainly has none, with the indices of those of this part.
        out: What else is left out.
    """
    spans: list[Span] = []
    waiting: list[Span] = []
    for duration in others:
        if isinstance(duration, Span) and not _lies_nowhere(duration, window, shape):
            (spans if duration.observed else waiting).append(duration)
    values = Ordered.of([*exact, *(span.value for span in spans)]) if spans else exact
    few = LazySequence(lambda: _left_out(others, out, window, shape))
    left_out = Exclusions(
        lambda: sorted(chain(few, _without(missing)), key=attrgetter("id")),
        lambda: _counts(few, missing),
    )
    still_open = sum(span.end is None for span in waiting)
    statistic = STATISTICS[shape.statistic]
    value = _seconds(statistic(values))
    if value is None and definition.empty == "zero":
        value = 0.0
    uncertain = sum(span.uncertain for span in spans)
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
        bounds=_extremes(exact, spans, statistic) if uncertain else None,
        uncertain=uncertain,
        included=Population(
            lambda: sorted([*included(), *map(_as_included, spans)], key=_rank),
            lambda: _in_seconds(values),
        ),
        censored=LazySequence(lambda: sorted(map(_as_included, waiting), key=_rank)),
        left_out=left_out,
        beside=_beside(values, waiting, shape.statistic, definition.level),
        counts={STILL_OPEN: still_open} if still_open else {},
        notes=(*unread_notes(facts), *early_notes(sum(span.early for span in spans))),
        group=group,
    )


def _lies_nowhere(span: Span, window: Period | None, shape: Shape) -> bool:
    """Say whether nothing tells in which period a duration lies, where one is asked for."""
    return window is not None and not _placing_moments(span, shape)


def _left_out(
    others: Iterable[Span | Missing],
    out: Iterable[LeftOut],
    window: Period | None,
    shape: Shape,
) -> Iterator[LeftOut]:
    """Yield what has no duration, or none that can be counted, and why."""
    yield from out
    for duration in others:
        if isinstance(duration, Missing):
            reason = duration.reason
        elif _lies_nowhere(duration, window, shape):
            reason = "no known moment places it in a period"
        elif not duration.observed:
            reason = duration.why
        else:
            continue
        yield LeftOut(duration.id, reason, duration.positions)


def _without(missing: Iterable[tuple[MissingColumns, Sequence[int]]]) -> Iterator[LeftOut]:
    """Yield what plainly has no duration, and why."""
    for some, indices in missing:
        for id_, positions in map(some.who, indices):
            yield LeftOut(id_, some.reason, positions)


def _counts(
    few: Iterable[LeftOut], missing: Iterable[tuple[MissingColumns, Sequence[int]]]
) -> Counter[str]:
    """Return how many are left out for each reason: of what is plain nobody needs to know who."""
    counts = Counter(entry.reason for entry in few)
    counts.update({some.reason: len(indices) for some, indices in missing if indices})
    return counts


def _included(columns: Columns, indices: Iterable[int]) -> Iterator[Included]:
    """Yield those that are exact and over as they are counted."""
    for index in indices:
        id_, positions = columns.who(index)
        yield Included(id_, columns.values[index] / 1e6, "", positions)


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


def _most(left_out: Sequence[LeftOut]) -> str:
    """Return the reasons for which most were left out, with how many each."""
    counts = {
        STILL_OPEN if reason == PENDING else reason: count
        for reason, count in counts_by_reason(left_out).items()
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
        if interval.low is not None and values[0] >= 0:
            # The method knows no bound, and nothing lasts less than no time.
            interval = attrs.evolve(interval, low=max(0.0, interval.low))
    else:
        return None
    return attrs.evolve(interval, low=_seconds(interval.low), high=_seconds(interval.high))


def _extremes(
    exact: Sequence[float], spans: Sequence[Span], statistic: Callable[[Values], float | None]
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
