"""
Time zones by their names, and local times as instants. Who only records never loads zone data.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_SECOND: Final = timedelta(seconds=1)


def known_zone(name: str) -> ZoneInfo | None:
    """Return the IANA zone of that name; None where this machine knows none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def local_instant(day: date, at: time | None, home: ZoneInfo, *, last: bool) -> datetime:
    """
    Return a local time of a day as an instant, in UTC.

    A time that the clock skips is the first instant after the gap.

    Args:
        at: The time; None is the end of the day, which is the first instant of the next one.
        last: Whether a time that comes twice is its second occurrence, not its first.
    """
    if at is None:
        day, at, last = day + timedelta(days=1), time(), False
    early, late = (
        datetime.combine(day, at.replace(fold=fold), tzinfo=home).astimezone(UTC) for fold in (0, 1)
    )
    if early <= late:
        return late if last else early
    return _after_gap(late, early, home)  # skipped: read by the offset after it, it comes first


def _after_gap(before: datetime, after: datetime, home: ZoneInfo) -> datetime:
    """Return when a zone's clock jumped, somewhere after *before* and not after *after*."""
    offset = before.astimezone(home).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // (2 * _SECOND) * _SECOND
        if middle.astimezone(home).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
