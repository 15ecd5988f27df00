"""
Which instants lie in a window: its two ends, and which of them belong to it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Self

from imcm.domain.vocabulary import Moment
from imcm.projections.facts.instants import instant
from imcm.projections.figures.units import instant_of
from imcm.projections.figures.windows import Period


class Bucket(Period):
    """A period that knows which of its ends belong to it: see `buckets`."""

    bounds: str

    @classmethod
    def of(cls, start: datetime, end: datetime, bounds: str) -> Self:
        """Return the bucket from *start* to *end*."""
        bucket = cls((start, end))
        bucket.bounds = bounds
        return bucket


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


def _bounds(window: Period, bounds: str) -> str:
    return window.bounds if isinstance(window, Bucket) else bounds
