"""
Working time: hours per weekday, holidays and waits, measured between two instants.

A calendar says when people work, in the local time of one zone. Measuring goes through UTC: each
local range of each day is turned into two instants, and what lies between two moments is the
exact length of the instants they share. So a range that spans a change of daylight saving has its
real length: 00:00 to 24:00 comes to 23 or 25 hours on such days, 09:00 to 17:00 to 8 hours.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple, Self, TypeAlias

import attrs

from imcm.domain.vocabulary import checked_time, is_list, is_mapping, midpoint
from imcm.domain.zones import local_instant
from imcm.errors import InvalidValue
from imcm.projections.facts.fold import Hold
from imcm.projections.facts.instants import instant, moment_of
from imcm.projections.figures.excerpt import short
from imcm.projections.figures.units import zone

FIRST_YEAR: Final = 3
LAST_YEAR: Final = 9997


# --- what is given, made plain --------------------------------------------------------------------

Range: TypeAlias = tuple[str, str]
Hours: TypeAlias = tuple[tuple[Range, ...], ...]

_TIME: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?|24:00(?::00)?")
_MIDNIGHT: Final = "24:00"
_ALLOWED_HOURS: Final = (
    'for each weekday, 0 (Monday) to 6, ranges such as ("09:00", "17:00"): a mapping, or seven'
)


def _time(name: str, value: object) -> str:
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise InvalidValue(name, value, 'a local time, "00:00" to "24:00", seconds if needed')
    return value.removesuffix(":00") if value.count(":") == 2 else value


def _range(name: str, value: object) -> Range:
    pair: list[object] = list(value) if is_list(value) else []
    if len(pair) != 2:
        raise InvalidValue(name, value, 'a range is a start and an end: ("09:00", "17:00")')
    start, end = (_time(name, edge) for edge in pair)
    if end <= start:  # as text these times sort as times do
        raise InvalidValue(
            name, (start, end), "a range ends after its start; split one that goes over midnight"
        )
    return start, end


def _ranges(name: str, value: object) -> tuple[Range, ...]:
    if not is_list(value):
        raise InvalidValue(name, value, _ALLOWED_HOURS)
    given: list[object] = list(value)
    if given and all(isinstance(item, str) for item in given):
        given = [given]  # a single range
    ranges = sorted(_range(name, item) for item in given)
    for before, after in pairwise(ranges):
        if after[0] < before[1]:
            raise InvalidValue(name, (before, after), "ranges of one day must not overlap")
    return tuple(ranges)


_WEEKDAYS: Final[Mapping[object, int]] = {name: day for day in range(7) for name in (day, str(day))}


def _hours(value: object) -> Hours:
    days: dict[int, tuple[Range, ...]] = {}
    if is_mapping(value):
        for key, given in value.items():
            day = _WEEKDAYS.get(key)
            if day is None or day in days:
                raise InvalidValue("hours", key, "each weekday once: 0 (Monday) to 6 (Sunday)")
            days[day] = _ranges(f"hours[{day}]", given)
    elif is_list(value):
        week: list[object] = list(value)
        if len(week) != 7:
            raise InvalidValue("hours", value, _ALLOWED_HOURS)
        days = {day: _ranges(f"hours[{day}]", given) for day, given in enumerate(week)}
    else:
        raise InvalidValue("hours", value, _ALLOWED_HOURS)
    if not any(days.values()):
        raise InvalidValue("hours", value, "at least one range in the week")
    return tuple(days.get(day, ()) for day in range(7))


def _holiday(value: object) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise InvalidValue("holidays", value, "a day such as 2026-12-25") from None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise InvalidValue("holidays", value, "a date, or text such as 2026-12-25")
    return value


def _holidays(value: object) -> tuple[date, ...]:
    if not is_list(value):
        raise InvalidValue("holidays", value, "give a list of dates")
    return tuple(sorted({_holiday(day) for day in value}))


# --- the calendar ---------------------------------------------------------------------------------


@attrs.frozen(kw_only=True, cache_hash=True)
class BusinessHours:
    """
    When people work: ranges of local time on each weekday, without the holidays, in one zone.

    It is a plain value: equal where its parts are, whatever order they were given in, hashable,
    and written as JSON by `as_dict`.

    How local times become instants:

    - A time that the clock skips is taken at the first instant after the gap. A range that lies
      wholly in a gap is empty; so is a day that a zone left out.
    - A time that comes twice is taken at its first occurrence where a range starts, and at its
      second where one ends.
    - "24:00" is the first instant of the next day, so full days follow each other without gap or
      overlap.
    - What two ranges share after that (both sides of a repeated hour) counts once.

    Attributes:
        hours: Seven entries, Monday first, each with its (start, end) ranges as text. A mapping
            from weekday (0 to 6, or the same as text) is taken, too; what it does not name is
            free. Times are "09:00" or "09:00:30"; an end may be "24:00". Ranges of a day must not
            overlap; one that goes over midnight is given as two.
        holidays: Local days without work; dates, or text such as "2026-12-25".
        time_zone: The IANA zone in which hours and holidays are told.
        name: What people call it.

    Raises:
        InvalidValue: One of them is not as described.
    """

    hours: Hours = attrs.field(converter=_hours)
    holidays: tuple[date, ...] = attrs.field(default=(), converter=_holidays)
    time_zone: str = "UTC"
    name: str = "business hours"

    def __attrs_post_init__(self) -> None:
        zone(self.time_zone)
        if not isinstance(self.name, str):
            raise InvalidValue("name", self.name, "give text")

    def __repr__(self) -> str:
        """Return what it is called, its zone, and how many ranges and holidays it has."""
        ranges = sum(map(len, self.hours))
        contents = f"{ranges} ranges a week, {len(self.holidays):,} holidays"
        return f"<BusinessHours {short(self.name)} in {self.time_zone}: {contents}>"

    def as_dict(self) -> dict[str, Any]:
        """Return the calendar as plain values for JSON; `from_dict` reads them back."""
        return {
            "name": self.name,
            "time_zone": self.time_zone,
            "hours": [[list(range_) for range_ in day] for day in self.hours],
            "holidays": [day.isoformat() for day in self.holidays],
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """
        Return the calendar that `as_dict` wrote.

        Raises:
            InvalidValue: A part is missing, unknown, or not as described.
        """
        if not is_mapping(plain):
            raise InvalidValue("calendar", plain, "a mapping written by as_dict")
        names = [a.name for a in attrs.fields(cls)]
        for name, value in plain.items():
            if name not in names:
                raise InvalidValue(str(name), value, f"a part of it: {', '.join(names)}")
        if "hours" not in plain:
            raise InvalidValue("hours", None, _ALLOWED_HOURS)
        return cls(**plain)

    def microseconds(self, start: datetime, end: datetime) -> int:
        """
        Return the working time from *start* up to *end*, in whole microseconds, exactly.

        Stretches add up: from a to b and from b to c is from a to c, in whatever order the three
        come; where *end* is before *start* the result is the negative of the other way round.

        Raises:
            NaiveTimeError: A time without a zone.
            InvalidValue: No time, or one outside the years 3 to 9997.
        """
        from_, to = _utc("start", start), _utc("end", end)
        low, high = instant(from_), instant(to)
        if high < low:
            return -self.microseconds(end, start)
        table = _table(self, from_.year)
        if from_.year == to.year:
            return table.before(high) - table.before(low)
        between = sum(_table(self, year).total for year in range(from_.year + 1, to.year))
        return table.total - table.before(low) + between + _table(self, to.year).before(high)

    def intervals(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """
        Yield the stretches of work from *start* up to *end* as (start, end) in UTC, in order.

        Touching ones are one stretch. There are none where *end* is not after *start*.

        Raises:
            NaiveTimeError: A time without a zone.
            InvalidValue: No time, or one outside the years 3 to 9997.
        """
        from_, to = _utc("start", start), _utc("end", end)
        low, high = instant(from_), instant(to)
        opened = reached = low  # the stretch that may still grow
        for year in range(from_.year, to.year + 1):
            table = _table(self, year)
            for opens, closes in zip(table.starts, table.ends, strict=True):
                first, last = max(opens, low), min(closes, high)
                if last <= first:
                    continue
                if first > reached:
                    if opened < reached:
                        yield moment_of(opened), moment_of(reached)
                    opened = first
                reached = last
        if opened < reached:
            yield moment_of(opened), moment_of(reached)


def _utc(name: str, value: object) -> datetime:
    time = checked_time(name, value)
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise InvalidValue(name, value, f"a time in the years {FIRST_YEAR} to {LAST_YEAR}")
    return time.astimezone(UTC)


# --- one year of it -------------------------------------------------------------------------------


class _Table(NamedTuple):
    """The stretches of work in one year of UTC, with the work done before each; microseconds."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    done: tuple[int, ...]
    total: int

    def before(self, at: int) -> int:
        """Return the work in this year before an instant of it."""
        index = bisect_right(self.starts, at) - 1
        if index < 0:
            return 0
        return self.done[index] + min(at, self.ends[index]) - self.starts[index]


@lru_cache(maxsize=512)
def _table(calendar: BusinessHours, year: int) -> _Table:
    """
    Return one UTC year of a calendar.

    Years of UTC part time without a seam, so they add up whatever the zone does at its own new
    year; days of the zone are read a little beyond both ends and cut.
    """
    home = zone(calendar.time_zone)
    low, high = (instant(datetime(y, 1, 1, tzinfo=UTC)) for y in (year, year + 1))
    week = [[(_parts(start), _parts(end)) for start, end in day] for day in calendar.hours]
    holidays = {day.toordinal() for day in calendar.holidays}
    starts: list[int] = []
    ends: list[int] = []
    for ordinal in range(date(year, 1, 1).toordinal() - 2, date(year + 1, 1, 1).toordinal() + 2):
        if ordinal in holidays:
            continue
        day = date.fromordinal(ordinal)
        for opens, closes in week[day.weekday()]:
            start = max(instant(local_instant(day, opens, home, last=False)), low)
            end = min(instant(local_instant(day, closes, home, last=True)), high)
            if end <= start:
                continue
            if ends and start <= ends[-1]:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(start)
                ends.append(end)
    done = [0]
    for start, end in zip(starts, ends, strict=True):
        done.append(done[-1] + end - start)
    return _Table(tuple(starts), tuple(ends), tuple(done[:-1]), done[-1])


def _parts(text: str) -> time | None:
    """Return a local time; None is the end of the day."""
    return None if text == _MIDNIGHT else time.fromisoformat(text)


# --- the clock of an incident ---------------------------------------------------------------------


def running(
    start: datetime, end: datetime, holds: Iterable[Hold], calendar: BusinessHours | None
) -> int:
    """
    Return how long the clock of an incident or a change ran, in whole microseconds.

    Args:
        start, end: Aware times; where *end* is before *start* the result is the negative of the
            other way round.
        holds: When it waited for somebody else. A hold stops the clock of a calendar only: a wall
            clock runs on. What several holds share is taken off once, and what of them lies
            outside the stretch not at all. A hold without release lasts to *end*; one whose own
            beginning is not known is passed over, and the caller should say how many were. An
            uncertain moment is placed at its midpoint; a release before its hold takes nothing.
        calendar: The working hours that count, or None for the wall clock.

    Raises:
        NaiveTimeError: A time without a zone.
        InvalidValue: With a calendar: no time, or one outside the years 3 to 9997.
    """
    if calendar is None:
        return instant(checked_time("end", end)) - instant(checked_time("start", start))
    if not isinstance(calendar, BusinessHours):
        raise InvalidValue("calendar", calendar, "give BusinessHours(...), or None")
    from_, to = _utc("start", start), _utc("end", end)
    if to < from_:
        return -running(to, from_, holds, calendar)
    total = calendar.microseconds(from_, to)
    reached = from_
    for held, released in sorted(_waits(holds, to)):
        paused, resumed = max(held, reached), min(released, to)
        if paused < resumed:
            total -= calendar.microseconds(paused, resumed)
            reached = resumed
    return total


def _waits(holds: Iterable[Hold], end: datetime) -> Iterator[tuple[datetime, datetime]]:
    for hold in holds if is_list(holds) else [holds]:
        if not isinstance(hold, Hold):
            raise InvalidValue("holds", hold, "give the holds of a row of facts")
        if hold.held is not None:
            over = end if hold.released is None else midpoint(hold.released).astimezone(UTC)
            yield midpoint(hold.held).astimezone(UTC), over
