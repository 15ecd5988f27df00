"""
What every figure carries: a number together with its definition, its population, who was left out
and why, and how sure it is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

import attrs

from imcm.documents.shown import Shown, checked_most
from imcm.domain.recorded import LogMark
from imcm.plain import count_of, joined
from imcm.projections.figures.days import local
from imcm.projections.figures.definition import Definition, json_value
from imcm.projections.figures.drawing import drawn
from imcm.projections.figures.excerpt import excerpt, named, short
from imcm.projections.figures.lazy import LazySequence
from imcm.projections.figures.units import (
    COUNT,
    SECONDS,
    SHAPE,
    SHARE,
    brief,
    minute,
    shown,
    zone,
)
from imcm.projections.statistics.intervals import Interval

if TYPE_CHECKING:
    from imcm.documents.structure import Document
    from imcm.projections.figures.drawing import Axes

STILL_OPEN: Final = "still open"
"""In the counts of a figure: how many are not over."""


class _HasReason(Protocol):
    @property
    def reason(self) -> str: ...


R = TypeVar("R", bound=_HasReason)


class Included(NamedTuple):
    """
    One thing that was counted.

    Attributes:
        id: The incident or the change.
        value: What it contributed: seconds for durations, 1 or 0 for a share.
        why: What made it count as it does, where that is not plain from the value.
        positions: Log positions of the events behind it.
    """

    id: str
    value: float
    why: str = ""
    positions: tuple[int, ...] = ()


class LeftOut(NamedTuple):
    """One thing that was not counted, and why."""

    id: str
    reason: str
    positions: tuple[int, ...] = ()


class Population(LazySequence[Included]):
    """
    Those counted, whose values are known before who they are.

    Attributes:
        values: Gives their values, the smallest first.
    """

    __slots__ = ("values",)

    def __init__(
        self, make: Callable[[], Iterable[Included]], values: Callable[[], Sequence[float]]
    ) -> None:
        super().__init__(make)
        self.values = values


class Exclusions(LazySequence[LeftOut]):
    """
    Those left out, of whom it is known how many there are before who they are.

    Attributes:
        counts: Gives how many there are for each reason.
    """

    __slots__ = ("counts",)

    def __init__(
        self, make: Callable[[], Iterable[LeftOut]], counts: Callable[[], Mapping[str, int]]
    ) -> None:
        super().__init__(make)
        self.counts = counts

    def __len__(self) -> int:
        return sum(self.counts().values())


@attrs.frozen(kw_only=True)
class Figure(Shown):
    """
    A number that can be explained.

    Attributes:
        name: The question it answers.
        value: The number in *unit*; None where it is undefined, with the *reason*.
        unit: "seconds", "share" (0 to 1), "count", or what is counted per what.
        n: How many values it was computed from.
        definition: All choices behind it.
        window: The half-open stretch of time it speaks of; None = all time.
        as_of, known_at, log_position, mark: What it was computed from; see `Facts`.
        interval: Confidence bounds and their method's name; None where there is none.
        bounds: The smallest and the largest value over all readings of uncertain moments; None
            where every moment is exact or the statistic has none.
        uncertain: How many values were placed by the midpoint of an uncertain moment.
        included, left_out: Who was counted and who was not; those outside the window are neither.
        censored: What is not over, with what it came to so far; these are in `left_out` too.
        beside: Other figures of the same values, by name, in the same unit.
        counts: What was counted on the way, by name; "still open" is how many are not over.
        groups, buckets: The same figure of each group and of each period.
        notes: What a reader should know before trusting it.
        group: Which group it is of; None of all together.
    """

    name: str
    value: float | None
    unit: str
    n: int
    definition: Definition
    reason: str | None = None
    window: tuple[datetime, datetime] | None = None
    as_of: datetime | None = None
    known_at: int | datetime | None = None
    log_position: int = 0
    mark: LogMark | None = attrs.field(default=None, eq=False)
    interval: Interval | None = None
    bounds: tuple[float, float] | None = None
    uncertain: int = 0
    included: Sequence[Included] = ()
    left_out: Sequence[LeftOut] = ()
    censored: Sequence[Included] = ()
    beside: Mapping[str, float | None] = attrs.field(factory=dict[str, float | None])
    counts: Mapping[str, int] = attrs.field(factory=dict[str, int])
    group: str | None = None
    groups: tuple[Figure, ...] = ()
    buckets: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return it in one line: the value with its bounds, of how many, and what is not over."""
        line = f"{self.name} {brief(self.value, self.unit)}"
        if self.group is not None:
            line = f"{self.name} ({short(self.group)}) {brief(self.value, self.unit)}"
        if self.reason is not None:
            line += f" ({self.reason})"
        if self.interval is not None and self.interval.low is not None:
            ends = (brief(end, self.unit) for end in (self.interval.low, self.interval.high))
            line += f" [{', '.join(ends)}]"
        from imcm.projections.figures.display import statistic_of  # which knows this class, too

        statistic = statistic_of(self)
        line += f", n = {self.n:,}" if statistic is None else f", {statistic} of {self.n:,}"
        if self.counts.get(STILL_OPEN):
            line += f", {self.counts[STILL_OPEN]:,} {STILL_OPEN}"
        if self.window is not None:
            home = zone(self.time_zone)
            line += ", " + " to ".join(minute(time_, home) for time_ in self.window)
        if self.groups:
            line += f", {count_of(len(self.groups), 'group')}"
        return f"{line}, {count_of(len(self.buckets), 'period')}" if self.buckets else line

    def document(self, *, most: int | None = None) -> Document:
        """Return it as a document; see `imcm.documents`. *most* rows a table; None for all."""
        from imcm.projections.figures.display import figure_document  # which knows this class, too

        return figure_document(self, most=checked_most(most))

    @property
    def time_zone(self) -> str:
        """The IANA zone in which days, weeks and months are told."""
        return self.definition.time_zone

    def values(self) -> Sequence[float]:
        """
        Return what each of those included contributed, the smallest first.

        Unlike `included` this does not tell who they are, where that is not known yet: of
        durations it costs no more than sorting them.
        """
        if isinstance(self.included, Population):
            return self.included.values()
        return sorted(entry.value for entry in self.included)

    def why_left_out(self) -> dict[str, int]:
        """Return each reason for leaving something out with how often it applied, most first."""
        return counts_by_reason(self.left_out)

    def explain(self) -> str:
        """
        Return, for a person, what the number is, what it counts, and what it leaves out.

        A few ids stand for each reason, and every choice that is not the default says so. All of
        it is in `included`, `left_out` and `definition`.
        """
        lines = [f"{self.name}: {shown(self.value, self.unit)}"]
        if self.reason is not None:
            lines[0] += f" ({self.reason})"
        lines.append(f"  n = {self.n:,}")
        if self.interval is not None and self.interval.low is not None:
            low = shown(self.interval.low, self.unit)
            high = shown(self.interval.high, self.unit)
            share = f"{100 * self.interval.level:g} %"
            lines.append(f"  {share} interval: {low} to {high} ({self.interval.method})")
        if self.bounds is not None:
            low, high = (shown(bound, self.unit) for bound in self.bounds)
            lines.append(f"  over all readings of {self.uncertain} uncertain: {low} to {high}")
        # What stands beside a count per something says in its name what it counts.
        unit = self.unit if self.unit in {SECONDS, SHARE} else COUNT
        lines += [f"  {name}: {shown(value, unit)}" for name, value in self.beside.items()]
        lines += [f"  {name}: {count:,}" for name, count in self.counts.items()]
        if self.window is None:
            lines.append("  window: all time")
        else:
            start, end = window_in_zone(self)
            lines.append(f"  window: {start} up to {end} ({self.time_zone})")
        known_at = "the end of the log" if self.known_at is None else self.known_at
        whose = f" of {self.mark.ledger}" if self.mark else ""
        position = f"log position {self.log_position}{whose}"
        lines.append(f"  as of {self.as_of}; known at {known_at}; {position}")
        lines.append(f"  left out: {len(self.left_out):,}")
        lines += excerpt(
            list(by_reason(self.left_out).items()),
            lambda item: [f"    {len(item[1]):,} {item[0]}: {named([row.id for row in item[1]])}"],
            indent="    ",
            what="reasons",
        )
        lines.append("  definition:")
        chosen, default = self.definition.chosen(), self.definition.defaults()
        for key, value in self.definition.shown().items():
            mark = f" (default {json.dumps(json_value(default[key]))})" if key in chosen else ""
            lines.append(f"    {key} = {value}{mark}")
        lines += [f"  note: {note}" for note in self.notes]
        return joined(lines)

    def plot(self, kind: str | None = None, *, ax: Axes | None = None) -> Axes:
        """
        Draw it; see `imcm.plots`.

        Args:
            kind: "over_time" where it has periods, "groups", or "survival" where it is of
                durations. None takes the first of these that it has.
            ax: Axes of matplotlib to draw into; None makes new ones.

        Raises:
            InvalidValue: It has no such picture.
            MissingExtraError: The extra `plot` is not installed.
        """
        return drawn(self, kind, ax=ax)

    def as_dict(self, *, population: bool = False) -> dict[str, Any]:
        """
        Return the figure as plain values for JSON; docs/json.md says what its keys mean.

        Args:
            population: True gives the lists of who was counted and who was not, which are None
                otherwise.
        """
        return {
            "shape": SHAPE,
            "name": self.name,
            "value": self.value,
            "reason": self.reason,
            "unit": self.unit,
            "n": self.n,
            "interval": None if self.interval is None else attrs.asdict(self.interval),
            "bounds": None if self.bounds is None else list(self.bounds),
            "uncertain": self.uncertain,
            "beside": dict(self.beside),
            "counts": dict(self.counts),
            "group": self.group,
            "window": json_value(self.window),
            "time_zone": self.time_zone,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "known_at": json_value(self.known_at),
            "log_position": self.log_position,
            "mark": None if self.mark is None else self.mark._asdict(),
            "why_left_out": self.why_left_out(),
            "definition": self.definition.as_dict(),
            "notes": list(self.notes),
            "groups": [g.as_dict(population=population) for g in self.groups],
            "buckets": [b.as_dict(population=population) for b in self.buckets],
            "included": _members(self.included) if population else None,
            "left_out": _members(self.left_out) if population else None,
            "censored": _members(self.censored) if population else None,
        }


def window_in_zone(figure: Figure) -> tuple[datetime, datetime]:
    """Return the ends of a figure's window by the clocks of its own zone."""
    assert figure.window is not None
    home = zone(figure.time_zone)
    start, end = (local(moment, home) for moment in figure.window)
    return start, end


def _members(entries: Iterable[Included | LeftOut]) -> list[dict[str, Any]]:
    return [entry._asdict() | {"positions": list(entry.positions)} for entry in entries]


def counts_by_reason(left_out: Sequence[LeftOut]) -> dict[str, int]:
    """Return how many are left out for each reason, that with most of them first."""
    if isinstance(left_out, Exclusions):
        counts = left_out.counts()
    else:
        counts = Counter(entry.reason for entry in left_out)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def by_reason(entries: Iterable[R]) -> dict[str, list[R]]:
    """Return those there are for each reason, the reason with most of them first."""
    groups: dict[str, list[R]] = {}
    for entry in entries:
        groups.setdefault(entry.reason, []).append(entry)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))
