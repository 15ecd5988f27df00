"""
What every figure carries, and what every definition of one has in common.

A *definition* is a value: all the choices behind a figure, with their defaults. It can be
compared, printed, written as JSON and read back. A *figure* is a number together with its
definition, its population, who was left out and why, and how sure it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, ClassVar, Concatenate, Final, ParamSpec, Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from imcm.domain.incident import IncidentStatus
from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import (
    PRODUCTION,
    Mode,
    Moment,
    Severity,
    is_list,
    is_mapping,
    midpoint,
)
from imcm.errors import InvalidValue, NaiveTimeError
from imcm.projections.facts import ChangeFacts, Facts, IncidentFacts, facts
from imcm.projections.statistics import Interval, mean

MICROSECOND: Final = timedelta(microseconds=1)
SECONDS: Final = "seconds"
SHARE: Final = "share"
COUNT: Final = "count"

ANY: Final = "*"
"""In a filter: everything, whatever its name."""


def microseconds(duration: timedelta) -> int:
    """Return a duration in whole microseconds, exactly."""
    return duration // MICROSECOND


# --- the figure -----------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Included:
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


@attrs.frozen(kw_only=True)
class LeftOut:
    """One thing that was not counted, and why."""

    id: str
    reason: str
    positions: tuple[int, ...] = ()


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
        as_of, known_at, log_position: What it was computed from; see `Facts`.
        interval: Confidence bounds and their method's name; None where there is none.
        bounds: The smallest and the largest value over all readings of uncertain moments; None
            where every moment is exact or the statistic has none.
        uncertain: How many values were placed by the midpoint of an uncertain moment.
        included, left_out: Who was counted and who was not; those outside the window are neither.
        censored: What is not over, with what it came to so far; these are in `left_out` too.
        beside: Other figures of the same values, by name, in the same unit.
        counts: What was counted on the way, by name.
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
    interval: Interval | None = None
    bounds: tuple[float, float] | None = None
    uncertain: int = 0
    included: tuple[Included, ...] = attrs.field(default=(), repr=False)
    left_out: tuple[LeftOut, ...] = attrs.field(default=(), repr=False)
    censored: tuple[Included, ...] = attrs.field(default=(), repr=False)
    beside: Mapping[str, float | None] = attrs.field(factory=dict[str, float | None])
    counts: Mapping[str, int] = attrs.field(factory=dict[str, int])
    group: str | None = None
    groups: tuple[Figure, ...] = attrs.field(default=(), repr=False)
    buckets: tuple[Figure, ...] = attrs.field(default=(), repr=False)
    notes: tuple[str, ...] = ()

    @property
    def time_zone(self) -> str:
        """The IANA zone in which days, weeks and months are told."""
        return self.definition.time_zone

    def why_left_out(self) -> dict[str, int]:
        """Return each reason for leaving something out with how often it applied, most first."""
        counts: dict[str, int] = {}
        for one in self.left_out:
            counts[one.reason] = counts.get(one.reason, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def explain(self) -> str:
        """Return, for a person, what the number is, what it counts, and what it leaves out."""
        lines = [f"{self.name}: {shown(self.value, self.unit)}"]
        if self.reason is not None:
            lines[0] += f" ({self.reason})"
        lines.append(f"  n = {self.n}")
        if self.interval is not None and self.interval.low is not None:
            low = shown(self.interval.low, self.unit)
            high = shown(self.interval.high, self.unit)
            share = f"{100 * self.interval.level:g} %"
            lines.append(f"  {share} interval: {low} to {high} ({self.interval.method})")
        if self.bounds is not None:
            low, high = (shown(bound, self.unit) for bound in self.bounds)
            lines.append(f"  over all readings of {self.uncertain} uncertain: {low} to {high}")
        lines += [f"  {name}: {shown(value, self.unit)}" for name, value in self.beside.items()]
        lines += [f"  {name}: {count:,}" for name, count in self.counts.items()]
        if self.window is None:
            lines.append("  window: all time")
        else:
            start, end = self.window
            lines.append(f"  window: {start} up to {end} ({self.time_zone})")
        known_at = "the end of the log" if self.known_at is None else self.known_at
        lines.append(f"  as of {self.as_of}; known at {known_at}; log position {self.log_position}")
        reasons = self.why_left_out()
        lines.append(f"  left out: {len(self.left_out)}")
        lines += [f"    {count} {reason}" for reason, count in reasons.items()]
        lines.append("  definition:")
        lines += [f"    {key} = {value}" for key, value in self.definition.shown().items()]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def as_dict(self, *, population: bool = True) -> dict[str, Any]:
        """
        Return the figure as plain values for JSON.

        Args:
            population: False leaves out the lists of who was counted and who was not.
        """
        plain: dict[str, Any] = {
            "name": self.name,
            "value": self.value,
            "reason": self.reason,
            "unit": self.unit,
            "n": self.n,
            "interval": None if self.interval is None else attrs.asdict(self.interval),
            "bounds": self.bounds,
            "uncertain": self.uncertain,
            "beside": dict(self.beside),
            "counts": dict(self.counts),
            "group": self.group,
            "window": None if self.window is None else [t.isoformat() for t in self.window],
            "time_zone": self.time_zone,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "known_at": _plain(self.known_at),
            "log_position": self.log_position,
            "why_left_out": self.why_left_out(),
            "definition": self.definition.as_dict(),
            "notes": list(self.notes),
            "groups": [g.as_dict(population=population) for g in self.groups],
            "buckets": [b.as_dict(population=population) for b in self.buckets],
        }
        if population:
            plain["included"] = [attrs.asdict(one) for one in self.included]
            plain["censored"] = [attrs.asdict(one) for one in self.censored]
            plain["left_out"] = [attrs.asdict(one) for one in self.left_out]
        return plain


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
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if is_list(value) and not is_mapping(value):
        return [_plain(item) for item in value]
    if is_mapping(value):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Definition):
        return {a.name: _plain(getattr(value, a.name)) for a in attrs.fields(type(value))}
    return value


# --- definitions ----------------------------------------------------------------------------------


def _texts(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return (value,)
    if is_list(value):
        return tuple(str(item) for item in value)
    raise InvalidValue("definition", value, "give a list of names")


def _window(value: Any) -> tuple[datetime, datetime] | None:
    if value is None:
        return None
    try:
        start, end = value
    except (TypeError, ValueError):
        raise InvalidValue("window", value, "give (start, end), both aware") from None
    return _time("window start", start), _time("window end", end)


def _time(name: str, value: object) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidValue(name, value, "an ISO 8601 time with its offset") from None
    if not isinstance(value, datetime):
        raise InvalidValue(name, value, "give an aware datetime")
    if value.utcoffset() is None:
        raise NaiveTimeError(name, value)
    return value


def _labels(value: object) -> Mapping[str, str] | None:
    if value is None:
        return None
    if is_mapping(value):
        return {str(name): str(text) for name, text in value.items()}
    raise InvalidValue("labels", value, 'give a mapping, for example {"team": "core"}')


BUCKETS: Final = ("day", "week", "month", "quarter", "year")
GROUPS: Final = ("service", "severity", "channel", "type", "kind", "risk")
BOUNDS: Final = ("[)", "[]", "(]", "()")


@attrs.frozen(kw_only=True)
class Definition:
    """
    The choices every figure has. Each figure's own definition adds its own.

    Attributes:
        window: (start, end), both aware; None takes everything.
        bounds: Which ends of the window belong to it, "[)" being the start only.
        time_zone: The IANA zone in which days, weeks, months and years begin.
        environments: Names that count; no name counts as production. "*" takes all.
        services, severities, kinds: Only these; None takes all.
        labels: Only what carries all of these labels.
        severity: Which of the severities an incident held counts: last, highest or first.
        group_by: "service", "severity", "channel", "type", "kind", "risk", or "label:<name>".
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

    window: tuple[datetime, datetime] | None = attrs.field(default=None, converter=_window)
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
        zone(self.time_zone)
        if self.window is not None and self.window[1] <= self.window[0]:
            raise InvalidValue("window", _plain(self.window), "its end must be after its start")
        if isinstance(self.bucket_by, bool) or (
            isinstance(self.bucket_by, int) and self.bucket_by < 1
        ):
            raise InvalidValue("bucket_by", self.bucket_by, "a number of days is 1 or more")
        if isinstance(self.bucket_by, str) and self.bucket_by not in BUCKETS:
            allowed = f"one of {', '.join(BUCKETS)}, or a number of days"
            raise InvalidValue("bucket_by", self.bucket_by, allowed)
        group = self.group_by
        if group is not None and group not in GROUPS and not group.startswith("label:"):
            raise InvalidValue("group_by", group, f"one of {', '.join(GROUPS)}, or label:<name>")
        if self.whole == "unweighted" and group is None:
            raise InvalidValue("whole", self.whole, "it is the mean of groups: give group_by= too")
        for name in self.severities or ():
            if name not in list(Severity):
                raise InvalidValue("severities", name, f"one of {', '.join(Severity)}")
        if not 0 < self.level < 1:
            raise InvalidValue("level", self.level, "a confidence level lies between 0 and 1")

    def _check_choices(self) -> None:
        choices: dict[str, tuple[str, ...]] = {}
        for cls in reversed(type(self).__mro__):
            choices |= cls.__dict__.get("CHOICES", {})
        for name, allowed in choices.items():
            value: Any = getattr(self, name)
            given: Iterable[Any] = value if is_list(value) else (value,)
            for one in given:
                if one not in allowed:
                    raise InvalidValue(name, one, f"one of {', '.join(map(str, allowed))}")

    def as_dict(self) -> dict[str, Any]:
        """Return all choices as plain values; `from_dict` of the same class reads them back."""
        return {"figure": type(self).NAME, **_plain(self)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """
        Return the definition that `as_dict` wrote.

        Raises:
            InvalidValue: It is of another figure, or holds an argument there is not.
        """
        given = dict(plain)
        figure = given.pop("figure", cls.NAME)
        if figure != cls.NAME:
            raise InvalidValue("figure", figure, f"this reads definitions of {cls.NAME!r}")
        names = [a.name for a in attrs.fields(cls)]
        for name, value in given.items():
            if name not in names:
                raise InvalidValue(name, value, f"an argument of it: {', '.join(names)}")
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
        return {name: json.dumps(value) for name, value in _plain(self).items()}


def zone(name: str) -> ZoneInfo:
    """
    Return the IANA zone of that name.

    Raises:
        InvalidValue: There is none, or this machine has no zone data (install tzdata).
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        allowed = 'an IANA zone such as "Europe/London" (the tzdata package brings the list)'
        raise InvalidValue("time_zone", name, allowed) from None


# --- functions from definitions -------------------------------------------------------------------

P = ParamSpec("P")
D = TypeVar("D", bound=Definition)


def figure_function(
    definition: Callable[P, D], compute: Callable[[Facts, D], Figure]
) -> Callable[Concatenate[Facts | Iterable[Recorded], P], Figure]:
    """
    Return the function that computes a figure: its arguments are those of the definition.

    It takes facts, or any log, which is then read to its end. To cut it in time or knowledge,
    give it `facts(log, as_of=..., known_at=...)`.
    """

    def function(
        log: Facts | Iterable[Recorded], /, *args: P.args, **arguments: P.kwargs
    ) -> Figure:
        return compute(facts_of(log), definition(*args, **arguments))

    function.__doc__ = definition.__doc__
    return function


def facts_of(log: Facts | Iterable[Recorded]) -> Facts:
    """Return *log* itself where it is facts already, else the facts of the whole of it."""
    return log if isinstance(log, Facts) else facts(log)


def unread_notes(facts: Facts) -> tuple[str, ...]:
    """Return the note that every figure carries where events of newer versions were not read."""
    if not facts.unread:
        return ()
    names = ", ".join(f"{count} {name}" for name, count in facts.unread.items())
    return (f"events of a newer version were not read: {names}",)


Period = tuple[datetime, datetime]


def with_groups(
    whole: Figure,
    names: Iterable[str],
    periods: Sequence[Period],
    figure: Callable[[str | None, Period | None], Figure],
) -> Figure:
    """
    Return *whole* with its groups and its periods, each group with its periods, too.

    Args:
        names: The groups.
        figure: Gives the figure of one group (None: of all) in one period.
    """
    window = whole.definition.window
    groups = tuple(
        attrs.evolve(figure(name, window), buckets=tuple(figure(name, p) for p in periods))
        for name in names
    )
    parts = tuple(figure(None, period) for period in periods)
    whole = attrs.evolve(whole, groups=groups, buckets=parts)
    if whole.definition.whole == "rows":
        return whole
    values = [group.value for group in groups if group.value is not None]
    return attrs.evolve(
        whole,
        value=mean(values),
        reason=None if values else "no group has a value",
        interval=None,
        bounds=None,
        beside={**whole.beside, "from the rows": whole.value},
    )


# --- populations ----------------------------------------------------------------------------------


def in_environment(environment: str | None, definition: Definition) -> bool:
    """Say whether an environment counts under the definition."""
    if definition.environments is None:
        return environment is None or environment.casefold() in PRODUCTION
    return (
        ANY in definition.environments or (environment or "production") in definition.environments
    )


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


def incident_matches(row: IncidentFacts, definition: Definition) -> bool:
    """Say whether the definition's filters take an incident; the others are not in question."""
    return (
        _common(row.services, definition.services)
        and _one_of(severity_of(row, definition), definition.severities)
        and _labelled(row.labels, definition.labels)
    )


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
    severities = {
        "last": row.severity_last,
        "highest": row.severity_highest,
        "first": row.severity_first,
    }
    return severities[definition.severity]


NONE_GIVEN: Final = "(none)"


def groups_of(row: IncidentFacts | ChangeFacts, definition: Definition) -> tuple[str, ...]:
    """Return the groups a row counts in; several services mean several groups."""
    by = definition.group_by
    if by is None:
        return ()
    if by == "service":
        return row.services or (NONE_GIVEN,)
    if by.startswith("label:"):
        return (row.labels.get(by.removeprefix("label:"), NONE_GIVEN),)
    if isinstance(row, IncidentFacts):
        found: object = {"severity": severity_of(row, definition), "channel": row.channel}.get(by)
    else:
        found = {"type": row.type, "kind": row.kind, "risk": row.risk}.get(by)
    return (NONE_GIVEN if found is None else str(found),)


# --- windows and buckets --------------------------------------------------------------------------


def inside(moment: Moment | None, window: tuple[datetime, datetime] | None, bounds: str) -> bool:
    """Say whether a moment lies in a window; an uncertain one is placed by its midpoint."""
    if window is None:
        return True
    if moment is None:
        return False
    time_ = midpoint(moment)
    start, end = window
    after = start <= time_ if bounds[0] == "[" else start < time_
    before = time_ <= end if bounds[1] == "]" else time_ < end
    return after and before


def buckets(
    definition: Definition, moments: Iterable[datetime]
) -> Iterator[tuple[datetime, datetime]]:
    """
    Yield the periods of a figure in order, empty ones too, cut to its window.

    Without a window they run from the first moment given to the last.
    """
    by = definition.bucket_by
    if by is None:
        return
    span = definition.window
    if span is None:
        placed = sorted(moments)
        if not placed:
            return
        span = (placed[0], placed[-1] + MICROSECOND)
    home = zone(definition.time_zone)
    if isinstance(by, int):
        yield from _fixed(span, by, home, from_end=definition.anchor == "end")
        return
    day = _bucket_start(span[0].astimezone(home).date(), by, definition.week_starts)
    while True:
        following = _bucket_after(day, by)
        start, end = _midnight(day, home), _midnight(following, home)
        if start >= span[1]:
            return
        yield max(start, span[0]), min(end, span[1])
        day = following


def _fixed(
    span: tuple[datetime, datetime], days: int, home: ZoneInfo, *, from_end: bool
) -> Iterator[tuple[datetime, datetime]]:
    """Yield stretches of *days* calendar days, counted in the zone from one end of the span."""
    edges = [span[1] if from_end else span[0]]
    step = timedelta(days=-days if from_end else days)
    while (edges[-1] > span[0]) if from_end else (edges[-1] < span[1]):
        edges.append((edges[0].astimezone(home) + step * len(edges)).astimezone(UTC))
    edges.sort()
    for start, end in pairwise(edges):
        yield max(start, span[0]), min(end, span[1])


def _midnight(day: date, home: ZoneInfo) -> datetime:
    """Return the first instant of a day in a zone, in UTC (a day can begin at 1 o'clock)."""
    return datetime.combine(day, time(), tzinfo=home).astimezone(UTC)


def _bucket_start(day: date, by: str, week_starts: str) -> date:
    if by == "week":
        offset = day.weekday() if week_starts == "monday" else (day.weekday() + 1) % 7
        return day - timedelta(days=offset)
    if by == "month":
        return day.replace(day=1)
    if by == "quarter":
        return day.replace(month=3 * ((day.month - 1) // 3) + 1, day=1)
    if by == "year":
        return day.replace(month=1, day=1)
    return day


def _bucket_after(day: date, by: str) -> date:
    if by in {"day", "week"}:
        return day + timedelta(days=1 if by == "day" else 7)
    months = {"month": 1, "quarter": 3, "year": 12}[by]
    month = day.month - 1 + months
    return day.replace(year=day.year + month // 12, month=month % 12 + 1)
