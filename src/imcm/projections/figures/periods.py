"""
The periods a window is split into, by the clocks of a time zone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final, overload
from zoneinfo import ZoneInfo

from imcm.errors import InvalidValue
from imcm.projections.facts.instants import LAST, MICROSECOND
from imcm.projections.figures.bounds import Bucket, instants
from imcm.projections.figures.days import day_of, local, midnight, next_midnight
from imcm.projections.figures.definition import MOST_BUCKETS, Definition
from imcm.projections.figures.units import utc, zone
from imcm.projections.figures.windows import Period

_DAY: Final = timedelta(days=1)


class Periods(Sequence[Period]):
    """Periods in order, such as `buckets` gives, and which of them an instant lies in."""

    def __init__(self, periods: Iterable[Period], bounds: str) -> None:
        """
        Take periods that meet and do not overlap, so that their edges say it all.

        Args:
            bounds: Which ends of a period belong to it that does not know its own.
        """
        self._periods = tuple(periods)
        spans = [instants(period, bounds) for period in self._periods]
        self._edges = [span.start for span in spans] + [span.stop for span in spans[-1:]]
        # Before the first edge and from the last one on there is none: at -1, and at the end.
        self._numbers: list[tuple[int, ...]] = [*((n,) for n in range(len(spans))), ()]

    def numbers(self, times: Iterable[int]) -> list[tuple[int, ...]]:
        """Return, for each instant, the number of the period in which it lies; () for none."""
        numbers, edges = self._numbers, self._edges
        return [numbers[bisect_right(edges, at) - 1] for at in times]

    def up_from(self, at: int) -> range:
        """Return the numbers of all periods but those that are over at an instant."""
        return range(max(0, bisect_right(self._edges, at) - 1), len(self))

    @overload
    def __getitem__(self, index: int) -> Period: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Period, ...]: ...
    def __getitem__(self, index: int | slice) -> Period | tuple[Period, ...]:
        return self._periods[index]

    def __len__(self) -> int:
        return len(self._periods)


def buckets(definition: Definition, moments: Iterable[datetime]) -> Iterator[Period]:
    """
    Yield the periods of a figure in order, empty ones too, cut to its window.

    Without a window they run from the first moment given to the last. Between them edges are
    half-open, so that every moment lies in one: each holds its start and not its end, or the
    other way round where `bounds` are "(]". Only the two ends of the window itself are both open
    or both closed where `bounds` say so. Where they are "[]" and the window ends on the edge of a
    bucket, that instant is the first of one more bucket, which is nothing but this instant;
    stretches of days that are counted from the end (`anchor="end"`) hold it in the last one.

    Raises:
        InvalidValue: There would be more than about `MOST_BUCKETS`.
    """
    span = definition.window
    bounds = definition.bounds
    by = definition.bucket_by
    if by is None:
        return
    if span is None:
        placed = sorted(map(utc, moments))
        if not placed:
            return
        span, bounds = (placed[0], min(placed[-1], LAST - MICROSECOND) + MICROSECOND), "[)"
    if span[0] == span[1]:
        yield Bucket.of(*span, bounds)
        return
    days = by if isinstance(by, int) else _SHORTEST[by]
    if (span[1] - span[0]) // timedelta(days=days) > MOST_BUCKETS:
        excess = f"from {span[0]} to {span[1]} there are more than {MOST_BUCKETS:,} of them"
        raise InvalidValue("bucket_by", by, f"{excess}; take longer ones, or give a shorter window")
    inner = "(]" if bounds == "(]" else "[)"
    ends_on_edge = bounds == "[]" and _on_edge(definition, by, span)
    for start, end in _edges(definition, by, span):
        opens = bounds[0] if start == span[0] else inner[0]
        closes = bounds[1] if end == span[1] and not ends_on_edge else inner[1]
        yield Bucket.of(start, end, opens + closes)
    if ends_on_edge:
        yield Bucket.of(span[1], span[1], "[]")


def _on_edge(definition: Definition, by: str | int, span: Period) -> bool:
    """Say whether the last instant of a window is the first one of a bucket."""
    home = zone(definition.time_zone)
    if isinstance(by, int):
        edges = _fixed_edges(span, by, home, from_end=False)
        return definition.anchor == "start" and span[1] in edges
    day = day_of(span[1], home)
    begins = _bucket_start(day, by, definition.week_starts)
    return begins == day and midnight(day, home) == span[1]


_SHORTEST: Final = {"day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365}


def _edges(definition: Definition, by: str | int, span: Period) -> Iterator[Period]:
    home = zone(definition.time_zone)
    if isinstance(by, int):
        yield from _fixed(span, by, home, from_end=definition.anchor == "end")
        return
    day = _bucket_start(day_of(span[0], home), by, definition.week_starts)
    start = min(midnight(day, home), span[0])
    while start < span[1]:
        day = _bucket_end(day, by)
        end = next_midnight(day, home)
        yield max(start, span[0]), min(end, span[1])
        if end == LAST:
            return
        day, start = day + _DAY, end


def _fixed(
    span: tuple[datetime, datetime], days: int, home: ZoneInfo, *, from_end: bool
) -> Iterator[tuple[datetime, datetime]]:
    """Yield stretches of *days* calendar days, counted in the zone from one end of the span."""
    for start, end in pairwise(_fixed_edges(span, days, home, from_end=from_end)):
        yield max(start, span[0]), min(end, span[1])


def _fixed_edges(
    span: tuple[datetime, datetime], days: int, home: ZoneInfo, *, from_end: bool
) -> list[datetime]:
    """Return the edges of those stretches in order, up to the first that is not in the span."""
    edges = [span[1] if from_end else span[0]]
    step = timedelta(days=-days if from_end else days)
    while (edges[-1] > span[0]) if from_end else (edges[-1] < span[1]):
        try:
            edge = utc(local(edges[0], home) + step * len(edges))
        except OverflowError:  # beyond all time there is, so beyond the span
            edge = span[0] if from_end else span[1]
        edges.append(edge)
    return sorted(edges)


def _bucket_start(day: date, by: str, week_starts: str) -> date:
    if by == "week":
        offset = day.weekday() if week_starts == "monday" else (day.weekday() + 1) % 7
        return date.fromordinal(max(day.toordinal() - offset, 1))
    if by == "month":
        return day.replace(day=1)
    if by == "quarter":
        return day.replace(month=3 * ((day.month - 1) // 3) + 1, day=1)
    if by == "year":
        return day.replace(month=1, day=1)
    return day


def _bucket_end(day: date, by: str) -> date:
    """Return the last day of the bucket that begins on *day*, or the last day there is."""
    if by in {"day", "week"}:
        return date.fromordinal(min(day.toordinal() + (by == "week") * 6, date.max.toordinal()))
    months = {"month": 1, "quarter": 3, "year": 12}[by]
    month = day.month - 1 + months
    year = day.year + month // 12
    return date.max if year > date.max.year else date(year, month % 12 + 1, 1) - _DAY
