"""
Windows as people write them: "2026-Q1", "2026-03", "2026-W09", "last quarter".

A text is a period of the calendar, as days; in which zone they begin, the definition says. What is
relative to the end of the log is settled once that is known; no clock is read.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from imcm.errors import InvalidValue
from imcm.projections.facts.instants import FIRST, LAST
from imcm.projections.figures.days import local, midnight

Period = tuple[datetime, datetime]

FORMS: Final = (
    'give (start, end), both aware, or None for one of them; or text: "2026", "2026-Q1", '
    '"2026-03", "2026-W09", "2026-03-05", two of these as in "2026-03-05/2026-03-12" (up to the '
    'start of the second), or "last week", "last month", "last quarter", "last year"'
)
"""What a window can be, in words."""

_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
_DAY: Final = timedelta(days=1)
_FORM: Final = re.compile(r"(\d{4})(?:-Q([1-4])|-W(\d\d)|-(\d\d)(?:-(\d\d))?)?")


class Relative(Period):
    """The last whole week, month, quarter or year before `as_of`; until that is known, all time."""

    unit: str

    @classmethod
    def of(cls, unit: str) -> Relative:
        """Return the last whole one of such a unit."""
        made = cls((FIRST, LAST))
        made.unit = unit
        return made

    def as_dict(self) -> str:
        """Return it as it is written."""
        return f"last {self.unit}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Relative) and self.unit == other.unit

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.as_dict())

    def __reduce__(self) -> tuple[Any, ...]:
        return Relative.of, (self.unit,)

    def __repr__(self) -> str:
        """Return it as it is written."""
        return repr(self.as_dict())


def relative(text: str) -> Relative | None:
    """Return the window of a text such as "last quarter"; None where it is no such text."""
    word, _, unit = text.casefold().partition(" ")
    return Relative.of(unit) if word == "last" and unit in {"week", *_MONTHS} else None


def days_of(text: str) -> tuple[date, date] | None:
    """
    Return the first day of a period of the calendar, and the first one after it.

    None where the text is no period. A week is that of ISO 8601, from Monday.
    """
    match = _FORM.fullmatch(text.upper())
    if match is None:
        return None
    year, (quarter, week, month, day) = int(match[1]), match.groups()[1:]
    try:
        if week:
            first = date.fromisocalendar(year, int(week), 1)
            return first, first + 7 * _DAY
        if day:
            first = date(year, int(month), int(day))
            return first, first + _DAY
        if month:
            return date(year, int(month), 1), months_later(date(year, int(month), 1), 1)
        first = date(year, 3 * int(quarter) - 2 if quarter else 1, 1)
        return first, months_later(first, 3 if quarter else 12)
    except (ValueError, OverflowError):
        return None  # a month 13, a week 60, or a day beyond the year 9999


def months_later(first: date, months: int) -> date:
    """Return the first of the month so many months after, or before, the month of a date."""
    month = 12 * first.year + first.month - 1 + months
    return date(month // 12, month % 12 + 1, 1)


def period_before(window: tuple[datetime, datetime], home: ZoneInfo) -> tuple[datetime, datetime]:
    """
    Return the period of the same kind before one: of whole months as many, else as long a time.

    Days are those of the zone, so that the week before one in which clocks change has seven days.

    Raises:
        InvalidValue: There is none, since calendars begin with the year 1.
    """
    start, end = (local(moment, home) for moment in window)
    try:
        if any(moment != midnight(moment.date(), home) for moment in (start, end)):
            return window[0] - (window[1] - window[0]), window[0]
        first, last = start.date(), end.date()
        if first.day == last.day == 1:
            months = 12 * (last.year - first.year) + last.month - first.month
            return midnight(months_later(first, -months), home), window[0]
        return midnight(first - (last - first), home), window[0]
    except (ValueError, OverflowError):
        raise InvalidValue("window", window, "a period with another one before it") from None


def last_days(unit: str, today: date, week_starts: str) -> tuple[date, date]:
    """
    Return the first day of the last whole week, month, quarter or year, and the first one after.

    Args:
        today: The day up to which there is something; what it lies in is not over.
        week_starts: "monday" or "sunday".
    """
    if unit == "week":
        end = today - _DAY * ((today.weekday() + (week_starts == "sunday")) % 7)
        return end - 7 * _DAY, end
    months = _MONTHS[unit]
    end = date(today.year, (today.month - 1) // months * months + 1, 1)
    return months_later(end, -months), end
