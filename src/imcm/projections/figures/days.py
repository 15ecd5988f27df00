"""
Days by the clocks of a time zone.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from imcm.projections.facts.instants import LAST
from imcm.projections.figures.units import utc

_DAY: Final = timedelta(days=1)


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
