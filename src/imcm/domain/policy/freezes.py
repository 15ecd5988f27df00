"""
When changes may not go in: freezes, and maintenance windows outside of which nothing goes in.

Both are stretches of time: of every week, in the local time of a zone, or once. What a calendar
file or a holiday calendar says is given as stretches that come once.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate
from operator import attrgetter
from typing import Any, Final, NamedTuple, Self, TypeVar

import attrs

from imcm.domain.policy.scope import (
    NO_GROUPS,
    Content,
    checked_environments,
    checked_people,
    concerns,
    is_named,
)
from imcm.domain.policy.tables import made, refuse_others, tables
from imcm.domain.vocabulary import (
    Window,
    checked_id,
    checked_labels,
    checked_services,
    checked_text,
    checked_time,
    is_list,
    is_mapping,
)
from imcm.domain.zones import known_zone, local_instant
from imcm.errors import InvalidValue

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_POINT: Final = re.compile(r"([A-Z][a-z]{2}) ((?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)")
_POINT_ALLOWED: Final = 'a weekday and a local time: "Fri 16:00"; "Sun 24:00" is its end'
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
_BEFORE: Final = timedelta(days=10)
"""A week, the day at whose end it may end, one that a zone left out, and one that it is behind."""


_FIRST_TOLD: Final = datetime(3, 1, 1, tzinfo=UTC)
_LAST_TOLD: Final = datetime(9991, 1, 1, tzinfo=UTC)
"""Between them, stretches of weeks are told: there is room around them to look at."""


def _is_told(moment: datetime) -> bool:
    """Say whether a time is far enough from the ends of all times to look around it."""
    return 3 <= moment.year <= 9990


class _Point(NamedTuple):
    """A weekday, 0 for Monday, and a local time; None is the end of the day."""

    day: int
    at: time | None

    @property
    def order(self) -> tuple[int, time]:
        """What sorts as the points of a week do."""
        return (self.day + 1, time()) if self.at is None else (self.day, self.at)


def _point(name: str, text: object) -> _Point:
    match = _POINT.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[1] not in _DAYS:
        raise InvalidValue(name, text, _POINT_ALLOWED)
    at = None if match[2] == "24:00" else time.fromisoformat(match[2])
    return _Point(_DAYS.index(match[1]), at)


@attrs.frozen(kw_only=True)
class Weekly:
    """
    A stretch of every week: "Fri 16:00" to "Mon 08:00", in the local time of a zone.

    It begins at the first occurrence of a time that comes twice and ends at the second; a time that
    the clock skips is the first instant after the gap.

    Attributes:
        start, end: A weekday and a local time. Where the end comes before the start in a week, it
            is that of the next one; the same for both is the whole week.
        time_zone: The IANA zone that they are told in.

    Raises:
        InvalidValue: One of them is not as described.
    """

    start: str
    end: str
    time_zone: str = "UTC"

    def __attrs_post_init__(self) -> None:
        _point("start", self.start)
        _point("end", self.end)
        if not isinstance(self.time_zone, str) or known_zone(self.time_zone) is None:
            allowed = 'an IANA zone that this machine knows, such as "Europe/London"'
            raise InvalidValue("time_zone", self.time_zone, allowed)

    def windows(self, start: datetime, end: datetime) -> Iterator[Window]:
        """
        Yield the stretches that meet [*start*, *end*), in order, whole and in UTC.

        Args:
            start, end: Aware times.
        """
        start = max(checked_time("start", start), _FIRST_TOLD)
        end = min(checked_time("end", end), _LAST_TOLD)
        if start >= end:
            return
        first = _DAYS.index(self.start[:3])
        day = start.astimezone(UTC).date() - _BEFORE
        day += timedelta(days=(first - day.weekday()) % 7)
        until = end.astimezone(UTC).date() + _DAY
        while day <= until:
            begins, ends = _stretch(self.start, self.end, self.time_zone, day)
            if begins < end and start < ends and begins < ends:
                yield Window(start=begins, end=ends)
            day += _WEEK

    def __str__(self) -> str:
        return f"{self.start} to {self.end} {self.time_zone}"


@lru_cache(maxsize=4096)
def _stretch(start: str, end: str, time_zone: str, day: date) -> tuple[datetime, datetime]:
    """Return the stretch of a `Weekly` that begins on a day, in UTC: the same weeks come often."""
    home = known_zone(time_zone)
    assert home is not None
    first, last = _point("start", start), _point("end", end)
    days = (last.day - first.day) % 7
    if days == 0 and last.order <= first.order:
        days = 7
    begins = local_instant(day, first.at, home, last=False)
    return begins, local_instant(day + timedelta(days=days), last.at, home, last=True)


def _times(value: object) -> tuple[Weekly | Window, ...]:
    given: list[object] = list(value) if is_list(value) else [value]
    times: list[Weekly | Window] = []
    for each in given:
        if isinstance(each, Weekly):
            times.append(each)
        elif isinstance(each, Window):
            times.append(Window(start=_utc(each.start), end=_utc(each.end)))
        else:
            allowed = 'Weekly(start="Fri 16:00", end="Mon 08:00", time_zone=...) or a Window'
            raise InvalidValue("times", each, allowed)
    if not times:
        raise InvalidValue("times", value, "at least one stretch of time")
    return tuple(times)


def _utc(moment: datetime) -> datetime:
    return checked_time("times", moment).astimezone(UTC)


class _InOrder(NamedTuple):
    """
    The stretches of a rule, looked up by time: a calendar gives thousands that come once.

    Attributes:
        weekly: Those of every week.
        once: Those that come once, in the order of their starts.
        starts: When each of these starts.
        reach: The last end of each and of all before it.
    """

    weekly: tuple[Weekly, ...]
    once: tuple[Window, ...]
    starts: tuple[datetime, ...]
    reach: tuple[datetime, ...]

    def once_in(self, start: datetime, end: datetime) -> Iterator[Window]:
        """Yield those that come once and meet [*start*, *end*), in order."""
        for place in range(bisect_right(self.reach, start), bisect_left(self.starts, end)):
            if start < self.once[place].end:
                yield self.once[place]


def _sorted_stretches(rule: _During) -> _InOrder:
    once = [each for each in rule.times if isinstance(each, Window)]
    once.sort(key=attrgetter("start"))
    return _InOrder(
        weekly=tuple(each for each in rule.times if isinstance(each, Weekly)),
        once=tuple(once),
        starts=tuple(each.start for each in once),
        reach=tuple(accumulate((each.end for each in once), max)),
    )


@attrs.frozen(kw_only=True)
class _During:
    """
    Stretches of time, and what they are about: everything, where nothing is named.

    The attributes are those of `Freeze`.
    """

    name: str
    times: tuple[Weekly | Window, ...] = attrs.field(converter=_times)
    services: tuple[str, ...] = attrs.field(default=(), converter=checked_services)
    environments: tuple[str, ...] = attrs.field(default=(), converter=checked_environments)
    labels: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=checked_labels)
    _in_order: _InOrder = attrs.field(
        default=attrs.Factory(_sorted_stretches, takes_self=True), init=False, eq=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        checked_id("name", self.name)

    def __hash__(self) -> int:
        """Hash what people call it, and when it is."""
        return hash((self.name, self.times))

    def is_about(self, content: Content) -> bool:
        """Say whether it is about such a change; see the attributes."""
        return concerns(self, content)

    def windows(self, start: datetime, end: datetime) -> list[Window]:
        """
        Return the stretches that meet [*start*, *end*), in order; those that touch are one.

        Args:
            start, end: Aware times.
        """
        return [Window(start=each[0], end=each[1]) for each in self.stretches(start, end)]

    def stretches(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """
        Yield what `windows` returns, as pairs of times: each is looked for as it is asked for.

        Args:
            start, end: Aware times.
        """
        start, end = checked_time("start", start), checked_time("end", end)
        known = self._in_order
        streams: list[Iterable[Window]] = [each.windows(start, end) for each in known.weekly]
        if known.once:
            streams.append(known.once_in(start, end))
        only = len(streams) == 1
        since: datetime | None = None
        to = start
        for window in streams[0] if only else heapq.merge(*streams, key=attrgetter("start")):
            if since is None or to < window.start:
                if since is not None:
                    yield since, to
                since, to = window.start, window.end
            else:
                to = max(to, window.end)
        if since is not None:
            yield since, to

    def window_at(self, at: datetime) -> Window | None:
        """
        Return the stretch in which a time lies; None where it lies in none.

        Before the year 3 and after 9990 there is none.
        """
        at = checked_time("at", at)
        met = self.windows(at, at + _INSTANT) if _is_told(at) else []
        if not met:
            return None
        [window] = met
        # What begins where it ends goes on with it; what goes on for ever is told for a year.
        while window.end < at + _YEAR and (more := self.windows(window.end, window.end + _INSTANT)):
            window = Window(start=window.start, end=more[-1].end)
        return window

    def met_by(self, start: datetime, end: datetime) -> Window | None:
        """
        Return the first stretch that [*start*, *end*) meets, to its end; None where there is none.

        Args:
            start, end: Aware times, however far apart.
        """
        start, end = checked_time("start", start), checked_time("end", end)
        # What comes every week comes within two, or never.
        begin = max(start, _FIRST_TOLD)
        soon = min(end, begin + 2 * _WEEK) if begin < _LAST_TOLD else end
        known = self._in_order
        found = [next(each.windows(start, soon), None) for each in known.weekly]
        found.append(next(known.once_in(start, end), None))
        met = [window for window in found if window is not None]
        if not met:
            return None
        window = min(met, key=attrgetter("start"))
        return self.window_at(max(start, window.start)) or window

    def holds_throughout(self, start: datetime, end: datetime) -> bool:
        """
        Say whether one stretch has all of [*start*, *end*).

        Args:
            start, end: Aware times, however far apart.
        """
        window = self.window_at(start)
        return window is not None and checked_time("end", end) <= window.end

    def next_window(self, at: datetime) -> Window | None:
        """Return the stretch in which a time lies, or the next one within a year."""
        at = checked_time("at", at)
        first = next(self.stretches(at, at + _YEAR), None) if _is_told(at) else None
        return None if first is None else Window(start=first[0], end=first[1])

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON and TOML; `from_dict` reads them back."""
        plain: dict[str, Any] = {"name": self.name}
        weekly = [each for each in self.times if isinstance(each, Weekly)]
        once = [each for each in self.times if isinstance(each, Window)]
        if weekly:
            plain["weekly"] = [attrs.asdict(each) for each in weekly]
        if once:
            plain["windows"] = [
                {"start": each.start.isoformat(), "end": each.end.isoformat()} for each in once
            ]
        for field in ("services", "environments", "override_by"):
            if getattr(self, field, ()):
                plain[field] = list(getattr(self, field))
        if self.labels:
            plain["labels"] = dict(self.labels)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], name: str = "freeze") -> Self:
        """
        Return what `as_dict` wrote.

        Args:
            plain: It has `weekly`, `windows` or both in the place of `times`.
            name: How errors call it.

        Raises:
            InvalidValue: A part is missing, unknown, or not as described.
        """
        name = checked_text("name", name)
        given = dict(plain) if is_mapping(plain) else {}
        fields = [each.name for each in attrs.fields(cls) if each.init and each.name != "times"]
        refuse_others(name, given, ("weekly", "windows", *fields))
        if not given.get("weekly") and not given.get("windows"):
            raise InvalidValue(f"{name}.weekly", None, "give weekly, windows or both: when it is")
        weekly = tables(f"{name}.weekly", given.pop("weekly", ()))
        once = tables(f"{name}.windows", given.pop("windows", ()))
        times = [made(Weekly, f"{name}.weekly", each) for each in weekly]
        windows = [_once(f"{name}.windows", each) for each in once]
        return made(cls, name, {**given, "times": [*times, *windows]})


def _once(name: str, plain: Mapping[str, Any]) -> Window:
    """Return a window that TOML or JSON tells, in which a time may be text."""
    return made(Window, name, {key: _time(f"{name}.{key}", each) for key, each in plain.items()})


def _time(name: str, told: object) -> datetime:
    """Return a time with its offset, which may be told as text."""
    allowed = "a time with its offset, such as 2026-12-21T00:00:00+01:00"
    moment = told
    if isinstance(told, str):
        try:
            moment = datetime.fromisoformat(told)
        except ValueError:
            raise InvalidValue(name, told, allowed) from None
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise InvalidValue(name, told, allowed)
    return moment


_YEAR: Final = timedelta(days=366)
_INSTANT: Final = timedelta(microseconds=1)


def _overriding(value: object) -> tuple[str, ...]:
    return checked_people("override_by", value)


@attrs.frozen(kw_only=True)
class Freeze(_During):
    """
    When nothing may start, approved or not: "Fri 16:00" to "Mon 08:00", or a week of December.

    A change that runs when it begins may finish. An emergency may start; that it did is told. Who
    may override it can, with a reason, which is kept.

    Attributes:
        name: What people call it.
        times: When: `Weekly` stretches, and windows that come once.
        services: Only changes that touch one of these.
        environments: Only changes in one of these; production by any of its names, or none.
        labels: Only changes with all of these.
        override_by: Who may, people or groups of the policy; nobody named means anybody.

    Raises:
        InvalidValue: One of them is not as described.
    """

    override_by: tuple[str, ...] = attrs.field(default=(), converter=_overriding)

    __hash__ = _During.__hash__

    def may_override(self, person: str, groups: Mapping[str, Collection[str]] = NO_GROUPS) -> bool:
        """
        Say whether somebody may let a change start in it.

        Args:
            groups: Those of the policy, by name: `policy.groups`.
        """
        if not is_mapping(groups) or not all(map(is_list, groups.values())):
            raise InvalidValue("groups", groups, "names of groups and their people: policy.groups")
        return not self.override_by or is_named(
            checked_id("person", person), self.override_by, groups
        )


@attrs.frozen(kw_only=True)
class MaintenanceWindow(_During):
    """
    When changes may start: those that it is about start in one such window, or not at all.

    An emergency starts at any time.

    Attributes:
        name: What people call it.
        times: When: `Weekly` stretches, and windows that come once.
        services, environments, labels: Which changes it is about, as for `Freeze`.

    Raises:
        InvalidValue: One of them is not as described.
    """

    __hash__ = _During.__hash__


D = TypeVar("D", Freeze, MaintenanceWindow)


def listed(name: str, value: object, kind: type[D]) -> tuple[D, ...]:
    """
    Return a list of freezes, or of maintenance windows, as a tuple; no two have one name.

    Args:
        name: How errors call the list.
    """
    given: list[object] = list(value) if is_list(value) else [value]
    found: dict[str, D] = {}
    for each in given:
        if not isinstance(each, kind):
            raise InvalidValue(name, each, f"a list of {kind.__name__}(name=..., times=...)")
        if each.name.casefold() in found:
            raise InvalidValue(name, each.name, "each name once")
        found[each.name.casefold()] = each
    return tuple(found.values())
