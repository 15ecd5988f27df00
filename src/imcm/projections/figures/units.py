"""
Units of values, and how a value and a moment are shown to a person.

Every comparison and difference of moments is of whole microseconds in UTC: two times of one zone
are compared and subtracted by what their clocks show, which is an hour off over a change of clocks.
"""

from __future__ import annotations

from datetime import MAXYEAR, MINYEAR, UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from imcm.domain.vocabulary import Between, Moment
from imcm.domain.zones import known_zone
from imcm.errors import InvalidValue
from imcm.projections.facts.instants import FIRST, LAST, MICROSECOND, instant

SHAPE: Final = 1
"""The version of the shape that results have as plain values: see docs/json.md."""

SECONDS: Final = "seconds"
SHARE: Final = "share"
COUNT: Final = "count"


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


def minute(moment: datetime, home: ZoneInfo) -> str:
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


def brief(value: float | None, unit: str) -> str:
    """
    Return *value* as one line has it: as `shown`, but with three digits that count.

    Whole numbers are whole, and durations and shares as they are always shown.
    """
    if value is None or unit in {SECONDS, SHARE}:
        return shown(value, unit)
    # Above that a float has no digits behind its point; infinite ones are no whole numbers.
    whole = abs(value) < 1e15 and (float(value).is_integer() or abs(value) >= 999.5)
    number = f"{value:,.0f}" if whole else f"{value:.3g}"
    return f"{number} {'' if unit == COUNT else unit}".rstrip()


POINTS: Final = "points"
"""What the difference of two shares is counted in: percentage points, where a column is narrow."""


def apart(difference: float | None, unit: str) -> str:
    """Return a difference for a person; of two shares in percentage points."""
    if difference is None or unit != SHARE:
        return brief(difference, unit)
    return f"{100 * difference:.4g} percentage points"


def _shown_seconds(seconds: float) -> str:
    if seconds < 0:
        return f"-{_shown_seconds(-seconds)}"
    if seconds < 60:
        return f"{seconds:.3g} s"
    days, rest = divmod(round(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, left = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (left, "s"))
    texts = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(texts[:2])


def zone(name: str) -> ZoneInfo:
    """
    Return the IANA zone of that name.

    Raises:
        InvalidValue: There is none, or this machine has no zone data (install tzdata).
    """
    if not isinstance(name, str):
        raise InvalidValue("time_zone", name, 'an IANA zone such as "Europe/London"')
    known = known_zone(name)
    if known is None:
        allowed = 'an IANA zone such as "Europe/London" (the tzdata package brings the list)'
        raise InvalidValue("time_zone", name, allowed)
    return known
