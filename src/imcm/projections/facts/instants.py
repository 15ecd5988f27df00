"""Instants: times in whole microseconds since 1970-01-01 00:00 UTC, for exact arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
FIRST: Final = datetime.min.replace(tzinfo=UTC)
LAST: Final = datetime.max.replace(tzinfo=UTC)
"""The first and the last time that can be told in UTC."""


def instant(moment: datetime) -> int:
    """
    Return a time as whole microseconds since 1970-01-01 00:00 UTC, exactly.

    Two times of one zone are subtracted by what their clocks show, which is an hour off over a
    change of daylight saving; the difference of their instants is not.
    """
    return (moment - EPOCH) // MICROSECOND


def moment_of(at: int) -> datetime:
    """
    Return the time that `instant` gave, in UTC.

    Of what UTC can't tell, which an old log may hold, it is the first or the last that it can.
    """
    try:
        return EPOCH + timedelta(microseconds=at)
    except OverflowError:
        return LAST if at > 0 else FIRST
