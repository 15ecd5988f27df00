"""
What every figure carries, and what every definition of one has in common.

A *definition* is a value: all the choices behind a figure, with their defaults. It can be
compared, printed, written as JSON and read back. A *figure* is a number together with its
definition, its population, who was left out and why, and how sure it is.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time, timedelta
from inspect import Parameter, Signature, signature
from itertools import chain, pairwise
from typing import (
    Any,
    ClassVar,
    Concatenate,
    Final,
    Generic,
    NamedTuple,
    ParamSpec,
    Protocol,
    Self,
    TypeGuard,
    TypeVar,
    cast,
    overload,
)
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from imcm.collector import collector_paused
from imcm.domain.incident import IncidentStatus
from imcm.domain.recorded import LogMark, Recorded
from imcm.domain.vocabulary import (
    A_MARK,
    MARK,
    NONE_GIVEN,
    PRODUCTION,
    Between,
    Kind,
    Mode,
    Moment,
    Severity,
    checked_text,
    checked_time,
    is_among,
    is_list,
    is_mapping,
)
from imcm.errors import InvalidValue
from imcm.plain import joined
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts, facts
from imcm.projections.facts.instants import FIRST, LAST, MICROSECOND, instant
from imcm.projections.facts.tables import where, where_not
from imcm.projections.figures.excerpt import excerpt, named, near, one_of, short
from imcm.projections.figures.windows import (
    FORMS,
    Period,
    Relative,
    days_of,
    last_days,
    relative,
)
from imcm.projections.statistics.intervals import Interval
from imcm.projections.statistics.quantiles import mean

SECONDS: Final = "seconds"
SHARE: Final = "share"
COUNT: Final = "count"

ANY: Final = "*"
"""In a filter: everything, whatever its name."""

SHAPE: Final = 1
"""The version of the shape that results have as plain values: see docs/json.md."""

STILL_OPEN: Final = "still open"
"""In the counts of a figure: how many are not over."""


def microseconds(duration: timedelta) -> int:
    """Return a duration in whole microseconds, exactly."""
    return duration // MICROSECOND


def elapsed(start: datetime, end: datetime) -> int:
    """Return the time from one instant to another in whole microseconds, exactly."""
    if start.tzinfo is not UTC or end.tzinfo is not UTC:
        start, end = utc(start), utc(end)
    return (end - start) // MICROSECOND


def utc(moment: Moment) -> datetime:
    """
    Return the instant that stands for a moment, in UTC; of an uncertain one its midpoint.

    Of what lies before the year 1 or after the year 9999 in UTC, the first or the last instant.

    Every comparison and difference here is of such instants: two times of one zone are compared
    and subtracted by what their clocks show, which is an hour off over a change of clocks.
    """
    if isinstance(moment, Between):
        low, high = utc(moment.earliest), utc(moment.latest)
        # Whole microseconds, odd widths rounded down, as the domain does.
        return low + MICROSECOND * ((high - low) // MICROSECOND // 2)
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # the first or the last hours there are, told in another offset
        return FIRST if moment.year == FIRST.year else LAST


def instant_of(moment: Moment) -> int:
    """Return the instant that stands for a moment, in whole microseconds since 1970 in UTC."""
    return instant(utc(moment))


# --- the figure -----------------------------------------------------------------------------------

T = TypeVar("T")
Member = TypeVar("Member")
Counted = TypeVar("Counted", IncidentFacts, ChangeFacts)


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


class Listed(Sequence[T]):
    """
    A list that is made when somebody first looks at it, and equals the tuple of its members.

    A figure of a hundred thousand incidents would spend most of its time on telling who they are,
    which most readers ask of few figures. Its repr never makes it, and never shows the members.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Iterable[T]]) -> None:
        self._make: Callable[[], Iterable[T]] | None = make
        self._made: tuple[T, ...] = ()

    @staticmethod
    def of(members: Iterable[Member]) -> Listed[Member]:
        """Return the list of members that are there already."""
        made = Listed(lambda: members)
        made._all()
        return made

    def _all(self) -> tuple[T, ...]:
        if self._make is not None:
            with collector_paused():
                self._made = tuple(self._make())
            self._make = None
        return self._made

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        return self._all()[place]

    def __iter__(self) -> Iterator[T]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        return self._all() == (other[:] if isinstance(other, Listed) else other)

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        size = ", not made yet" if self._make is not None else f" of {len(self._made):,}"
        return f"<{type(self).__name__}{size}>"

    def __reduce__(self) -> tuple[Callable[..., Listed[Any]], tuple[tuple[T, ...]]]:
        return Listed.of, (self._all(),)  # a copy elsewhere holds what was counted, not how


class Population(Listed[Included]):
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


@attrs.frozen(kw_only=True)
class Figure:
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
        line = f"{self.name} {shown(self.value, self.unit)}"
        if self.group is not None:
            line = f"{self.name} ({short(self.group)}) {shown(self.value, self.unit)}"
        if self.reason is not None:
            line += f" ({self.reason})"
        if self.interval is not None and self.interval.low is not None:
            ends = (shown(end, self.unit) for end in (self.interval.low, self.interval.high))
            line += f" [{', '.join(ends)}]"
        statistic = getattr(self.definition, "statistic", None) if self.unit == SECONDS else None
        line += f", n = {self.n:,}" if statistic is None else f", {statistic} of {self.n:,}"
        if self.counts.get(STILL_OPEN):
            line += f", {self.counts[STILL_OPEN]:,} {STILL_OPEN}"
        if self.window is not None:
            home = zone(self.time_zone)
            line += ", " + " to ".join(_minute(time_, home) for time_ in self.window)
        if self.groups:
            line += f", {len(self.groups):,} groups"
        return f"{line}, {len(self.buckets):,} periods" if self.buckets else line

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
        return sorted(one.value for one in self.included)

    def why_left_out(self) -> dict[str, int]:
        """Return each reason for leaving something out with how often it applied, most first."""
        return {reason: len(some) for reason, some in by_reason(self.left_out).items()}

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
            start, end = self.window
            lines.append(f"  window: {start} up to {end} ({self.time_zone})")
        known_at = "the end of the log" if self.known_at is None else self.known_at
        whose = f" of {self.mark.ledger}" if self.mark else ""
        position = f"log position {self.log_position}{whose}"
        lines.append(f"  as of {self.as_of}; known at {known_at}; {position}")
        lines.append(f"  left out: {len(self.left_out):,}")
        lines += excerpt(
            list(by_reason(self.left_out).items()),
            lambda item: [f"    {len(item[1]):,} {item[0]}: {named([one.id for one in item[1]])}"],
            indent="    ",
            what="reasons",
        )
        lines.append("  definition:")
        chosen, default = self.definition.chosen(), self.definition.defaults()
        for key, value in self.definition.shown().items():
            mark = f" (default {json.dumps(_plain(default[key]))})" if key in chosen else ""
            lines.append(f"    {key} = {value}{mark}")
        lines += [f"  note: {note}" for note in self.notes]
        return joined(lines)

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
            "window": _plain(self.window),
            "time_zone": self.time_zone,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "known_at": _plain(self.known_at),
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


def _members(some: Iterable[Included | LeftOut]) -> list[dict[str, Any]]:
    return [one._asdict() | {"positions": list(one.positions)} for one in some]


def by_reason(some: Iterable[R]) -> dict[str, list[R]]:
    """Return those there are for each reason, the reason with most of them first."""
    found: dict[str, list[R]] = {}
    for one in some:
        found.setdefault(one.reason, []).append(one)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def _minute(moment: datetime, home: ZoneInfo) -> str:
    """Return a moment for a person, without the time of day where that is midnight."""
    if moment in (FIRST, LAST):
        return "the beginning" if moment == FIRST else "the end"
    if MINYEAR < moment.year < MAXYEAR:  # at either end of the calendar there may be no other zone
        moment = moment.astimezone(home)
    return f"{moment:%Y-%m-%d}" if moment.time() == time() else f"{moment:%Y-%m-%d %H:%M}"


def shown(value: float | None, unit: str) -> str:
    """Return *value* for a person: "2 h 5 min", "12.5 %", "7"."""
    if value is None:
        return "undefined"
    if unit == SECONDS:
        return _shown_seconds(value)
    if unit == SHARE:
        return f"{100 * value:.4g} %"
    return f"{value:g} {'' if unit == COUNT else unit}".rstrip()


def _shown_seconds(seconds: float) -> str:
    if seconds < 0:
        return f"-{_shown_seconds(-seconds)}"
    if seconds < 60:
        return f"{seconds:.3g} s"
    days, rest = divmod(round(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, left = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (left, "s"))
    told = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(told[:2])


def _plain(value: object) -> Any:
    as_dict = getattr(value, "as_dict", None)
    if as_dict is not None:
        return as_dict()
    if isinstance(value, (datetime, date)):
        return None if value in (FIRST, LAST) else value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if is_list(value) and not is_mapping(value):
        return [_plain(item) for item in value]
    if is_mapping(value):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


# --- definitions ----------------------------------------------------------------------------------


def names(value: Any) -> Any:
    """
    Return a name, or a list of them, as a tuple: the converter of every such argument.

    Anything else stays as it is, and is refused by the definition, which knows the name.
    """
    if isinstance(value, str):
        return (value,)
    return tuple(value) if is_list(value) else value


def _texts(value: Any) -> Any:
    given = (value,) if isinstance(value, str) else value
    if not is_list(given):
        return given
    # An enumeration's member as its text; what is none is refused, where the name is known.
    return tuple(str(item) if isinstance(item, str) else item for item in given)


def _window(value: object) -> Any:
    """Return a window as its two ends, one of which may be open; text stays as it is."""
    if value is None or isinstance(value, (str, Relative)):
        return value
    start, end = _two_ends("window", value, FORMS)
    if start is None and end is None:
        raise InvalidValue("window", value, "one end at least, or None for all time")
    # With a fixed offset it is compared as an instant, and equals itself when it is read back.
    first = FIRST if start is None else given_time("window start", start)
    return first, LAST if end is None else given_time("window end", end)


def checked_period(name: str, value: object) -> tuple[datetime, datetime] | None:
    """
    Return *value* as (start, end) with fixed offsets, None for None; times may be ISO 8601 text.

    Raises:
        NaiveTimeError: One of them has no zone.
        InvalidValue: It is none.
    """
    if value is None:
        return None
    start, end = _two_ends(name, value, "give (start, end), both aware")
    return given_time(f"{name} start", start), given_time(f"{name} end", end)


def _two_ends(name: str, value: object, allowed: str) -> tuple[object, object]:
    ends = tuple(value) if is_list(value) and not is_mapping(value) else ()
    if len(ends) != 2:
        raise InvalidValue(name, value, allowed)
    return ends[0], ends[1]


def _written(text: str, home: ZoneInfo) -> Period:
    """Return the window that a text means in a zone."""
    found = relative(text.strip())
    if found is not None:
        return found
    ends: list[datetime] = []
    parts = text.split("/")
    for part in parts:
        days = days_of(part.strip())
        if days is not None:
            ends += (midnight(day, home) for day in days)
        elif len(parts) == 2:
            ends += (given_time("window", part.strip()),) * 2
    if not ends or len(parts) > 2:
        raise InvalidValue("window", text, FORMS)
    return (ends[0], ends[1]) if len(parts) == 1 else (ends[0], ends[2])


def given_time(name: str, value: object) -> datetime:
    """Return a time given as such or as text, with a fixed offset; refuse one without a zone."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidValue(name, value, "an ISO 8601 time with its offset") from None
    return checked_time(name, value)


def _labels(value: object) -> Mapping[str, str] | None:
    if value is None:
        return None
    if not is_mapping(value):
        raise InvalidValue("labels", value, 'give a mapping, for example {"team": "core"}')
    return {
        checked_text("labels", name): checked_text("labels", text) for name, text in value.items()
    }


MOST_DAYS: Final = (date.max - date.min).days
MOST_BUCKETS: Final = 40_000
"""More periods than about this many are refused: one wrong date could ask for millions of days."""

BUCKETS: Final = ("day", "week", "month", "quarter", "year")
GROUPS: Final = (
    *("service", "severity", "severity_name", "cause_tag", "channel", "type", "kind", "risk"),
)
BOUNDS: Final = ("[)", "[]", "(]", "()")


@attrs.frozen(kw_only=True)
class Definition:
    """
    The choices every figure has. Each figure's own definition adds its own.

    Attributes:
        window: (start, end), both aware; None takes everything. One of the ends may be None: the
            start is then the first moment that the log tells of, and the end is `as_of`, both of
            them inside. As text: a period of the calendar in the time zone ("2026", "2026-Q1",
            "2026-03", "2026-W09", "2026-03-05"), from the start of one to that of another
            ("2026-03-05/2026-03-12"), or the last whole week, month, quarter or year before
            `as_of` ("last quarter"). A figure's own definition has the two ends that came of it.
        bounds: Which ends of the window belong to it, "[)" being the start only.
        time_zone: The IANA zone in which days, weeks, months and years begin.
        environments: Names that count; no name counts as production. "*" takes all.
        services, severities, kinds: Only these; None takes all.
        labels: Only what carries all of these labels.
        severity: Which of the severities an incident held counts: last, highest or first.
        group_by: "service", "severity", "severity_name" (what the team's own scale called it, else
            the rank), "cause_tag" (of reviews), "channel", "type", "kind", "risk", or
            "label:<name>".
        bucket_by: "day", "week" (ISO, from Monday), "month", "quarter", "year", or a number of
            days; empty ones are present.
        week_starts: "monday" or "sunday".
        anchor: For buckets of n days: whether they are counted from the window's "start" or "end".
        whole: What the figure of all groups together is: computed from the "rows" (default), or the
            "unweighted" mean of the group figures, which weighs a small group like a large one.
        empty: What nothing is: "none" (undefined, the default) or "zero".
        level: Confidence level of intervals.
    """

    NAME: ClassVar[str] = ""
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "bounds": BOUNDS,
        "severity": ("last", "highest", "first"),
        "week_starts": ("monday", "sunday"),
        "anchor": ("start", "end"),
        "whole": ("rows", "unweighted"),
        "empty": ("none", "zero"),
    }

    window: Period | None = attrs.field(default=None, converter=_window)
    bounds: str = "[)"
    time_zone: str = "UTC"
    environments: tuple[str, ...] | None = attrs.field(default=None, converter=_texts)
    services: tuple[str, ...] | None = attrs.field(default=None, converter=_texts)
    severities: tuple[str, ...] | None = attrs.field(default=None, converter=_texts)
    kinds: tuple[str, ...] | None = attrs.field(default=None, converter=_texts)
    labels: Mapping[str, str] | None = attrs.field(default=None, converter=_labels)
    severity: str = "last"
    group_by: str | None = None
    bucket_by: str | int | None = None
    week_starts: str = "monday"
    anchor: str = "start"
    whole: str = "rows"
    empty: str = "none"
    level: float = 0.95

    def __attrs_post_init__(self) -> None:
        self._check_choices()
        self._check_filters()
        self._check_parts()
        home, window = zone(self.time_zone), self.window
        if isinstance(window, str):
            object.__setattr__(self, "window", _written(window, home))
        if self.window is not None and not instants(self.window, self.bounds):
            allowed = 'its end must be after its start, or at it where bounds="[]"'
            raise InvalidValue("window", _plain(self.window), allowed)
        level: Any = self.level
        if not isinstance(level, (int, float)) or not 0 < level < 1:
            raise InvalidValue("level", level, "a confidence level lies between 0 and 1")

    def _check_choices(self) -> None:
        choices: dict[str, tuple[str, ...]] = {}
        for cls in reversed(type(self).__mro__):
            choices |= cls.__dict__.get("CHOICES", {})
        several = {a.name for a in attrs.fields(type(self)) if isinstance(a.default, tuple)}
        for name in (a.name for a in attrs.fields(type(self)) if isinstance(a.default, bool)):
            if not isinstance(getattr(self, name), bool):
                raise InvalidValue(name, getattr(self, name), "give True or False")
        for name, allowed in choices.items():
            value: Any = getattr(self, name)
            given: Iterable[Any] = value if name in several and is_list(value) else (value,)
            for one in given:
                if not is_among(one, allowed) and not (A_MARK in allowed and is_mark(one)):
                    raise InvalidValue(name, one, one_of(one, allowed))

    def _check_filters(self) -> None:
        for name in ("environments", "services", "severities", "kinds"):
            value: Any = getattr(self, name)
            if value is not None and not isinstance(value, tuple):
                raise InvalidValue(name, value, "give a list of names")
            for one in cast("tuple[object, ...]", value or ()):
                checked_text(name, one)
        closed: tuple[tuple[str, type[Severity] | type[Kind]], ...]
        closed = ("severities", Severity), ("kinds", Kind)
        for name, allowed in closed:
            for one in getattr(self, name) or ():
                if one not in list(allowed):
                    raise InvalidValue(name, one, one_of(one, allowed))

    def _check_parts(self) -> None:
        by: Any = self.bucket_by
        if isinstance(by, int) and (isinstance(by, bool) or not 1 <= by <= MOST_DAYS):
            raise InvalidValue(
                "bucket_by", by, f"a number of days is 1 or more, up to {MOST_DAYS:,}"
            )
        if by is not None and not isinstance(by, int) and not is_among(by, BUCKETS):
            allowed = f"one of {', '.join(BUCKETS)}, or a number of days"
            raise InvalidValue("bucket_by", by, allowed)
        group: Any = self.group_by
        if not is_among(group, (None, *GROUPS)) and not is_label(group):
            raise InvalidValue("group_by", group, one_of(group, (*GROUPS, "or label:<name>")))
        if self.whole == "unweighted" and group is None:
            raise InvalidValue("whole", self.whole, "it is the mean of groups: give group_by= too")

    def __repr__(self) -> str:
        """Return it as it is made, without what is left at its default."""
        told = ", ".join(f"{name}={short(value)}" for name, value in self.chosen().items())
        return f"{type(self).__name__}({told})"

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return every choice at its default, by name, as an instance would hold it."""
        return {
            a.name: a.default if a.converter is None else a.converter(a.default)
            for a in attrs.fields(cls)
        }

    def chosen(self) -> dict[str, Any]:
        """Return the choices that are not the default, by name."""
        given = ((name, getattr(self, name), value) for name, value in self.defaults().items())
        return {name: value for name, value, default in given if value != default}

    def _choices(self) -> dict[str, Any]:
        return {a.name: _plain(getattr(self, a.name)) for a in attrs.fields(type(self))}

    def as_dict(self) -> dict[str, Any]:
        """Return all choices as plain values; `from_dict` of the same class reads them back."""
        return {"figure": type(self).NAME, **self._choices()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """
        Return the definition that `as_dict` wrote.

        Raises:
            InvalidValue: It is of another figure, or holds an argument there is not.
        """
        if not is_mapping(plain):
            raise InvalidValue("definition", plain, "a mapping written by as_dict")
        given = dict(plain)
        figure = given.pop("figure", cls.NAME)
        if figure != cls.NAME:
            raise InvalidValue("figure", figure, f"this reads definitions of {cls.NAME!r}")
        names = [a.name for a in attrs.fields(cls)]
        for name, value in given.items():
            if name not in names:
                raise InvalidValue(str(name), value, f"an argument of it: {', '.join(names)}")
        return cls(**given)

    def to_json(self) -> str:
        """Return the definition as one line of JSON."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the definition that `to_json` wrote."""
        try:
            plain: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidValue("definition", text, f"JSON written by to_json: {error}") from None
        if not is_mapping(plain):
            raise InvalidValue("definition", text, "a JSON object written by to_json")
        return cls.from_dict(plain)

    def shown(self) -> dict[str, str]:
        """Return every choice as text, in the order of the documentation."""
        return {name: json.dumps(value) for name, value in self._choices().items()}


def choices(definition: Definition, cls: type[Definition]) -> Iterator[Hashable]:
    """Yield what a definition chooses of the arguments that *cls* has, to tell choices apart."""
    for field in attrs.fields(cls):
        value = getattr(definition, field.name)
        yield tuple(sorted(value.items())) if is_mapping(value) else value


LABEL: Final = "label:"


def is_label(value: object) -> TypeGuard[str]:
    """Say whether a choice is "label:" with the name of a label."""
    return isinstance(value, str) and value.startswith(LABEL) and value != LABEL


def is_mark(value: object) -> TypeGuard[str]:
    """Say whether a choice is "mark:" with the name of a milestone."""
    return isinstance(value, str) and value.startswith(MARK) and value != MARK


def zone(name: str) -> ZoneInfo:
    """
    Return the IANA zone of that name.

    Raises:
        InvalidValue: There is none, or this machine has no zone data (install tzdata).
    """
    if not isinstance(name, str):
        raise InvalidValue("time_zone", name, 'an IANA zone such as "Europe/London"')
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        allowed = 'an IANA zone such as "Europe/London" (the tzdata package brings the list)'
        raise InvalidValue("time_zone", name, allowed) from None


# --- functions from definitions -------------------------------------------------------------------

P = ParamSpec("P")
D = TypeVar("D", bound=Definition)


def figure_function(
    definition: Callable[P, D], compute: Callable[[Facts, D], T]
) -> Callable[Concatenate[Facts | Iterable[Recorded], P], T]:
    """
    Return the function that computes a figure: its arguments are those of the definition.

    It takes facts, or any log, which is then read to its end. To cut it in time or knowledge,
    give it `facts(log, as_of=..., known_at=...)`.
    """

    def function(log: Facts | Iterable[Recorded], /, *args: P.args, **arguments: P.kwargs) -> T:
        known = facts_of(log)
        with collector_paused():
            return compute(known, settled(known, definition(*args, **arguments)))

    # Editors and `help()` show what the definition takes, and the name it is called by.
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", getattr(definition, "__name__", "figure")).lower()
    first = Parameter("log", Parameter.POSITIONAL_ONLY, annotation="Facts | Iterable[Recorded]")
    # Of what is converted, the signature would tell what the converter takes: anything.
    told: Any = function
    types = {a.name: a.type for a in attrs.fields(cast("Any", definition))}
    given = [
        one.replace(annotation=types.get(one.name, one.annotation))
        for one in signature(definition).parameters.values()
    ]
    told.__signature__ = Signature([first, *given], return_annotation="Figure")
    function.__doc__ = definition.__doc__
    function.__name__ = function.__qualname__ = name
    function.__module__ = definition.__module__
    return function


def settled(facts: Facts, definition: D) -> D:
    """
    Return a definition whose window has two ends: what it left to the log is known from it.

    Where the log has nothing to settle it, an end stays the first or the last instant there is.
    """
    window, as_of = definition.window, facts.as_of
    if window is None or as_of is None or not {FIRST, LAST}.intersection(window):
        return definition
    start, end = window
    if isinstance(window, Relative):
        home = zone(definition.time_zone)
        days = last_days(window.unit, day_of(as_of, home), definition.week_starts)
        start, end = (midnight(day, home) for day in days)
    # The instants told are inside, whatever the bounds.
    if end == LAST and start < as_of:
        end = as_of if definition.bounds[1] == "]" else as_of + MICROSECOND
    told = began(facts)
    if start == FIRST and told is not None and told < end:
        start = told if definition.bounds[0] == "[" else told - MICROSECOND
    return attrs.evolve(definition, window=(start, end))


def began(facts: Facts) -> datetime | None:
    """Return the first moment that any incident or change tells of; None where there is none."""
    return facts.kept(("began",), lambda: _began(facts))


def _began(facts: Facts) -> datetime | None:
    rows: tuple[Iterable[IncidentFacts | ChangeFacts], ...] = facts.incidents, facts.changes
    return min(
        map(utc, chain.from_iterable(map(_moments, chain.from_iterable(rows)))), default=None
    )


def _moments(row: IncidentFacts | ChangeFacts) -> Iterator[Moment]:
    """Yield the moments of a row that can be its first."""
    if isinstance(row, IncidentFacts):
        told = [row.impact_started_at, row.detected_at, row.declared_at, row.acknowledged_at]
        told += (moment for spell in row.spells for moment in spell[:4])
    else:
        told = [row.planned_at, row.submitted_at, row.started_at, row.deployed_at, row.ended_at]
    return (moment for moment in told if moment is not None)


def facts_of(log: Facts | Iterable[Recorded]) -> Facts:
    """Return *log* itself where it is facts already, else the facts of the whole of it."""
    return log if isinstance(log, Facts) else facts(log)


def unread_notes(facts: Facts) -> tuple[str, ...]:
    """Return the note that every figure carries where events of newer versions were not read."""
    if not facts.unread:
        return ()
    names = ", ".join(f"{count} {name}" for name, count in facts.unread.items())
    return (f"events of a newer version were not read: {names}",)


class Bucket(Period):
    """A period that knows which of its ends belong to it: see `buckets`."""

    bounds: str

    @classmethod
    def of(cls, start: datetime, end: datetime, bounds: str) -> Self:
        """Return the bucket from *start* to *end*."""
        bucket = cls((start, end))
        bucket.bounds = bounds
        return bucket


class Members(Generic[T]):
    """The rows of a figure by group and by period, so that each part goes through its own only."""

    def __init__(
        self,
        rows: Sequence[T],
        groups: Callable[[T], Iterable[str]] | None,
        periods: Sequence[Period],
        times: Callable[[T], Iterable[int] | None],
    ) -> None:
        """
        Sort the rows once.

        Args:
            groups: The groups a row counts in; None where there are no groups.
            periods: As `buckets` gives them.
            times: The instants at which a row may count, or None where that may be in any period.
        """
        self._rows: dict[str | None, Sequence[T]] = {None: rows}
        if groups is not None:
            self._rows.update(by_group(rows, groups))
        self._parts = {
            name: _by_period(members, periods, times) for name, members in self._rows.items()
        }

    @property
    def names(self) -> list[str]:
        """The groups there are, in order."""
        return sorted(name for name in self._rows if name is not None)

    def of(self, name: str | None, window: Period | None) -> Sequence[T]:
        """Return the rows of a group (None: all of them) that may lie in a window."""
        empty: Mapping[Period | None, Sequence[T]] = {}
        return self._parts.get(name, empty).get(window, self._rows.get(name, ()))


def by_group(rows: Iterable[T], groups: Callable[[T], Iterable[str]]) -> dict[str, list[T]]:
    """Return the rows of each group."""
    shared: dict[str, list[T]] = {}
    for row in rows:
        for name in groups(row):
            shared.setdefault(name, []).append(row)
    return shared


def _by_period(
    rows: Iterable[T],
    periods: Sequence[Period],
    times: Callable[[T], Iterable[int] | None],
) -> Mapping[Period | None, Sequence[T]]:
    shared: list[list[T]] = [[] for _ in periods]
    if periods:
        starts = [instant(start) for start, _ in periods]
        anywhere = range(len(periods))
        for row in rows:
            given = times(row)
            places: Iterable[int] = anywhere
            if given is not None:
                places = {place for time_ in given for place in _places(starts, time_)}
            for place in places:
                shared[place].append(row)
    return dict(zip(periods, shared, strict=True))


def _places(starts: Sequence[int], at: int) -> range:
    """Return the places of the periods a time can lie in: two where it is an edge of both."""
    return range(max(0, bisect_left(starts, at) - 1), bisect_right(starts, at))


def with_groups(
    facts: Facts,
    whole: Figure,
    names: Iterable[str],
    periods: Sequence[Period],
    figure: Callable[[str | None, Period | None], Figure],
) -> Figure:
    """
    Return *whole* with its groups and its periods, each group with its periods, too.

    Groups that the definition asks for by name are there, whatever they hold, and names that no
    record has are said in a note.

    Args:
        names: The groups that hold something.
        figure: Gives the figure of one group (None: of all) in one period.
    """
    definition = whole.definition
    window = definition.window
    by = definition.group_by or ""
    unheard = {} if facts.empty else _unheard_of(facts, definition)
    groups: tuple[Figure, ...] = ()
    for name in sorted({*names, *_asked(definition)}):
        group = attrs.evolve(figure(name, window), buckets=tuple(figure(name, p) for p in periods))
        note = unheard.get((by, name))
        groups += (group if note is None else attrs.evolve(group, notes=(*group.notes, note)),)
    whole = attrs.evolve(whole, notes=(*whole.notes, *unheard.values()))
    parts = tuple(figure(None, period) for period in periods)
    if definition.whole == "unweighted":
        whole = _unweighted(whole, groups)
        parts = tuple(
            _unweighted(part, [group.buckets[place] for group in groups])
            for place, part in enumerate(parts)
        )
    return attrs.evolve(whole, groups=groups, buckets=parts)


def _asked(definition: Definition) -> Iterable[str]:
    """Return the groups that a definition asks for by their names."""
    by = definition.group_by or ""
    if is_label(by):
        value = (definition.labels or {}).get(by.removeprefix(LABEL))
        return () if value is None else (value,)
    filters = {
        "service": definition.services,
        "severity": definition.severities,
        "kind": definition.kinds,
    }
    return filters.get(by) or ()


class _Heard(NamedTuple):
    """The names that records have: of environments, and of labels with their values."""

    environments: frozenset[str]
    labels: Mapping[str, frozenset[str]]


def _services(facts: Facts) -> frozenset[str]:
    """Return the names of services that records have."""
    tables = facts.incidents, facts.changes
    used = (table.services[n] for table in tables for n in set(table.columns.services))
    return frozenset(chain.from_iterable(used))


def _milestones(facts: Facts) -> frozenset[str]:
    """Return the names of milestones of the team's own that incidents have."""
    return frozenset(chain.from_iterable(row.milestones for row in facts.incidents))


def _heard(facts: Facts) -> _Heard:
    environments = {*PRODUCTION, ANY}
    labels: dict[str, set[str]] = {}
    rows: tuple[Iterable[IncidentFacts | ChangeFacts], ...] = facts.incidents, facts.changes
    for row in chain.from_iterable(rows):
        if row.environment is not None:
            environments.add(row.environment.casefold())
        for name, value in row.labels.items():
            labels.setdefault(name, set()).add(value)
    values = {name: frozenset(told) for name, told in labels.items()}
    return _Heard(frozenset(environments), values)


def _unheard_of(facts: Facts, definition: Definition) -> dict[tuple[str, str], str]:
    """
    Return notes on names in the definition that no record has, with what is near or there is.

    Their keys are what the name is of, as `group_by` says it, and the name.
    """
    group, labels = definition.group_by or "", definition.labels or {}
    scope = getattr(definition, "scope", "")
    asked = [one.removeprefix(LABEL) for one in (group, scope) if is_label(one)]
    notes: dict[tuple[str, str], str] = {}

    def look(what: str, name: str, said: str, there_are: Iterable[str]) -> None:
        there = sorted(there_are)
        if name in there:
            return
        likest = near(name, there)
        if likest:
            said += f"; near: {', '.join(likest)}"
        elif there:
            said += f"; there are: {named(there)}"
        notes[what, name] = f"no record {said}"

    for name in sorted({*(definition.services or ())}):
        look("service", name, f"names the service {name}", _services(facts))
    marks = [*getattr(definition, "start", ()), *getattr(definition, "end", ())]
    for name in sorted({one.removeprefix(MARK) for one in marks if is_mark(one)}):
        there_are = facts.kept(("milestones",), lambda: _milestones(facts))
        base, _, number = name.rpartition("#")
        wanted = base if number.isdecimal() and base in there_are else name
        look(MARK, wanted, f"has the milestone {wanted}", there_are)
    if not asked and not labels and definition.environments is None:
        return notes
    heard = facts.kept(("heard",), lambda: _heard(facts))
    for name in dict.fromkeys(map(str.casefold, definition.environments or ())):
        look("environment", name, f"names the environment {name}", heard.environments)
    for name in dict.fromkeys([*labels, *asked]):
        look("label", name, f"has the label {name}", heard.labels)
    for name, value in labels.items():
        if name in heard.labels:
            said = f"has the label {name}={value}"
            look(f"{LABEL}{name}", value, said, heard.labels[name])
    return notes


def _unweighted(whole: Figure, groups: Iterable[Figure]) -> Figure:
    """Return a figure of all groups together as the mean of theirs."""
    value = mean([group.value for group in groups if group.value is not None])
    if value is None and whole.definition.empty == "zero":
        value = 0.0
    return attrs.evolve(
        whole,
        value=value,
        reason="no group has a value" if value is None else None,
        interval=None,
        bounds=None,
        beside={**whole.beside, "from the rows": whole.value},
    )


# --- populations ----------------------------------------------------------------------------------


def in_environment(environment: str | None, definition: Definition) -> bool:
    """Say whether an environment counts under the definition."""
    if definition.environments is None:
        return environment is None or environment.casefold() in PRODUCTION
    name = (environment or "production").casefold()
    return any(one in (ANY, name) for one in map(str.casefold, definition.environments))


def why_incident_out(row: IncidentFacts, definition: Definition) -> str | None:
    """Return why an incident does not count under the definition, or None where it does."""
    if row.status is IncidentStatus.NOTHING:
        return "never happened (voided, or later than as_of)"
    if row.mode is not Mode.REAL:
        return f"is a {row.mode.value}"
    if row.merged_into is not None:
        return f"merged into {row.merged_into}"
    if row.dismissed is not None:
        return f"dismissed ({row.dismissed.value})"
    if not in_environment(row.environment, definition):
        return f"environment {row.environment or 'production'}"
    return None


def incidents_of(
    facts: Facts, definition: Definition
) -> tuple[Sequence[IncidentFacts], Sequence[LeftOut]]:
    """
    Return the incidents that count under the definition, and which do not and why.

    Those its filters do not take are in neither: they are not in question. Merged and dismissed
    ones have no place in time, so every window names them.
    """
    places, out = places_of_incidents(facts, definition)
    if len(places) == len(facts.incidents):
        return facts.incidents, out
    return [facts.incidents[place] for place in places], out


def places_of_incidents(
    facts: Facts, definition: Definition
) -> tuple[Sequence[int], Sequence[LeftOut]]:
    """Return where the incidents that count stand among all, and which do not count and why."""
    return facts.kept(
        ("incidents", *choices(definition, Definition)),
        lambda: _places_of_incidents(facts, definition),
    )


def _places_of_incidents(
    facts: Facts, definition: Definition
) -> tuple[Sequence[int], list[LeftOut]]:
    filtered = {definition.services, definition.severities} != {None} or bool(definition.labels)

    def matches(row: IncidentFacts) -> bool:
        return not filtered or incident_matches(row, definition)

    def why(row: IncidentFacts) -> str | None:
        return why_incident_out(row, definition)

    plainly = in_environment(None, definition) and not filtered
    return sorted_out(facts.incidents, facts.incidents.columns.counted, plainly, matches, why)


def sorted_out(
    rows: Sequence[Counted],
    counted: bytearray,
    plainly: bool,
    matches: Callable[[Counted], bool],
    why: Callable[[Counted], str | None],
) -> tuple[Sequence[int], list[LeftOut]]:
    """
    Return the places of the rows that count, and which do not count and why.

    Args:
        counted: 1 for those that count where nothing but what is usual is asked.
        plainly: Whether that is so; the others are looked at one by one, or else all are.
        matches: Says which are in question.
        why: Says why one does not count; None where it does.
    """
    places: Sequence[int] = where(counted) if plainly else ()
    more: list[int] = []
    out: list[LeftOut] = []
    for place in where_not(counted) if plainly else range(len(rows)):
        row = rows[place]
        if not matches(row):
            continue
        reason = why(row)
        if reason is None:
            more.append(place)
        else:
            out.append(LeftOut(row.id, reason, row.positions))
    return sorted([*places, *more]) if more else places, out


def incident_matches(row: IncidentFacts, definition: Definition) -> bool:
    """Say whether the definition's filters take an incident; the others are not in question."""
    return (
        _common(row.services, definition.services)
        and severity_matches(row, definition)
        and _labelled(row.labels, definition.labels)
    )


def severity_matches(row: IncidentFacts, definition: Definition) -> bool:
    """Say whether the definition takes an incident of this severity."""
    return _one_of(severity_of(row, definition), definition.severities)


def change_matches(row: ChangeFacts, definition: Definition) -> bool:
    """Say whether the definition's filters take a change; the others are not in question."""
    return (
        _common(row.services, definition.services)
        and _one_of(row.kind, definition.kinds)
        and _labelled(row.labels, definition.labels)
    )


def _common(have: tuple[str, ...], wanted: tuple[str, ...] | None) -> bool:
    return wanted is None or not set(have).isdisjoint(wanted)


def _one_of(have: str | None, wanted: tuple[str, ...] | None) -> bool:
    return wanted is None or have in wanted


def _labelled(have: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    return wanted is None or all(have.get(name) == value for name, value in wanted.items())


def severity_of(row: IncidentFacts, definition: Definition) -> Severity | None:
    """Return the severity of an incident that counts under the definition."""
    if definition.severity == "last":
        return row.severity_last
    return row.severity_highest if definition.severity == "highest" else row.severity_first


def severity_name_of(row: IncidentFacts, definition: Definition) -> str | None:
    """Return what the severity is called that counts; where nobody named it, its rank."""
    name = {
        "last": row.severity_last_name,
        "highest": row.severity_highest_name,
        "first": row.severity_first_name,
    }[definition.severity]
    rank = severity_of(row, definition)
    return name or (None if rank is None else rank.value)


def groups_of(row: IncidentFacts | ChangeFacts, definition: Definition) -> tuple[str, ...]:
    """Return the groups a row counts in; several services, or tags, mean several groups."""
    by = definition.group_by
    if by is None:
        return ()
    if by == "service":
        return row.services or (NONE_GIVEN,)
    if by.startswith("label:"):
        return (row.labels.get(by.removeprefix("label:"), NONE_GIVEN),)
    if isinstance(row, IncidentFacts):
        if by == "cause_tag":
            return row.cause_tags or (NONE_GIVEN,)
        found: object = _OF_INCIDENT[by](row, definition) if by in _OF_INCIDENT else None
    else:
        found = {"type": row.type, "kind": row.kind, "risk": row.risk}.get(by)
    return (NONE_GIVEN if found is None else str(found),)


_OF_INCIDENT: Final[Mapping[str, Callable[[IncidentFacts, Definition], object]]] = {
    "severity": severity_of,
    "severity_name": severity_name_of,
    "channel": lambda row, _: row.channel,
}


# --- windows and buckets --------------------------------------------------------------------------


def inside(moment: Moment | None, window: Period | None, bounds: str) -> bool:
    """
    Say whether a moment lies in a window; an uncertain one is placed by its midpoint.

    Args:
        moment: None is in no window.
        window: None holds everything.
        bounds: Which ends of the window belong to it. A bucket knows its own.
    """
    if window is None:
        return True
    if moment is None:
        return False
    return instant_of(moment) in instants(window, bounds)


def instants(window: Period, bounds: str) -> range:
    """Return the instants that lie in a window, in microseconds since 1970."""
    ends = _bounds(window, bounds)
    return range(instant(window[0]) + (ends[0] == "("), instant(window[1]) + (ends[1] == "]"))


def begun(moment: Moment, window: Period, bounds: str) -> bool:
    """Say whether a moment lies before the end of a window, or on an end that belongs to it."""
    return instant_of(moment) < instants(window, bounds).stop


def _bounds(window: Period, bounds: str) -> str:
    return window.bounds if isinstance(window, Bucket) else bounds


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
        told = f"from {span[0]} to {span[1]} there are more than {MOST_BUCKETS:,} of them"
        raise InvalidValue("bucket_by", by, f"{told}; take longer ones, or give a shorter window")
    inner = "(]" if bounds == "(]" else "[)"
    one_more = bounds == "[]" and _on_edge(definition, by, span)
    for start, end in _edges(definition, by, span):
        opens = bounds[0] if start == span[0] else inner[0]
        closes = bounds[1] if end == span[1] and not one_more else inner[1]
        yield Bucket.of(start, end, opens + closes)
    if one_more:
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


def midnight(day: date, home: ZoneInfo) -> datetime:
    """Return the first instant of a day in a zone, in UTC (a day can begin at 1 o'clock)."""
    return utc(datetime.combine(day, time(), tzinfo=home))


def local(moment: datetime, home: ZoneInfo) -> datetime:
    """Return a moment as the clocks of a zone tell it; beyond the years 1 to 9999, as it is."""
    try:
        return moment.astimezone(home)
    except OverflowError:
        return moment


def day_of(moment: datetime, home: ZoneInfo) -> date:
    """Return the day of a zone on which a moment lies."""
    return local(moment, home).date()


def next_midnight(day: date, home: ZoneInfo) -> datetime:
    """Return the first instant after a day in a zone, in UTC; the last one there is after 9999."""
    return LAST if day == date.max else midnight(day + _DAY, home)


_DAY: Final = timedelta(days=1)


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
