"""
Performance bands: elite, high, medium and low, as the yearly DORA reports drew them.

The reports describe clusters of answers in words ("between once per day and once per week"), not
limits, and the clusters overlap and leave gaps. These rules make limits of the words:

- A week is 7 days and a month 30. "Less than" an hour or a day is strict; the far end of a range
  is included. On demand is more often than once per day.
- A level has one bound, its worse end. A value has the best level whose bound it meets, so a value
  in a gap belongs to the worse neighbour.
- Nothing says that the levels get looser one by one. Where a worse level has an equal or tighter
  bound that the value meets too, both are named, the best first.
- Worse than the bound of low is "worse than low"; where low has no bound, everything meets it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from imcm.errors import InvalidValue
from imcm.projections.figures.excerpt import one_of

__all__ = ["BANDS", "LEVELS", "WORSE_THAN_LOW", "Band", "band", "spanned"]

LEVELS: Final = ("elite", "high", "medium", "low")
"""Best first."""

WORSE_THAN_LOW: Final = "worse than low"

HOUR: Final = 3_600.0
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY
MONTH: Final = 30 * DAY
HALF_YEAR: Final = 6 * MONTH

MORE_IS_BETTER: Final = frozenset({"deployment_frequency"})


@attrs.frozen(kw_only=True)
class Band:
    """
    One level of one metric in one year.

    Attributes:
        level: "elite", "high", "medium" or "low".
        bound: Its worse end: deployments per day, seconds, or a share; None where it has none.
        strict: Whether the bound itself is not in it.
        words: How the report put it.
    """

    level: str
    bound: float | None
    words: str
    strict: bool = False

    def holds(self, value: float, *, more_is_better: bool) -> bool:
        """Say whether a value meets the bound."""
        if self.bound is None:
            return True
        if value == self.bound:
            return not self.strict
        return (value > self.bound) is more_is_better

    def looser_than(self, other: Band, *, more_is_better: bool) -> bool:
        """Say whether this bound lets in a value that the other one keeps out."""
        if self.bound is None or other.bound is None:
            return self.bound is None and other.bound is not None
        if self.bound == other.bound:
            return other.strict and not self.strict
        return (self.bound < other.bound) is more_is_better


def _levels(*limits: tuple[float | None, str] | tuple[float | None, str, bool]) -> tuple[Band, ...]:
    return tuple(
        Band(level=level, bound=limit[0], words=limit[1], strict=len(limit) == 3)
        for level, limit in zip(LEVELS, limits, strict=True)
    )


_ON_DEMAND: Final = (1.0, "on demand", True)
_HOURLY: Final = (1.0, "between once per hour and once per day")
_DAILY: Final = (1 / 7, "between once per day and once per week")
_WEEKLY: Final = (1 / 30, "between once per week and once per month")
_MONTHLY: Final = (1 / 180, "between once per month and once per six months")

_WITHIN_HOUR: Final = (HOUR, "less than one hour", True)
_WITHIN_DAY: Final = (DAY, "less than one day", True)
_UP_TO_WEEK: Final = (WEEK, "between one day and one week")
_UP_TO_MONTH: Final = (MONTH, "between one week and one month")
_UP_TO_HALF_YEAR: Final = (HALF_YEAR, "between one month and six months")
_LONGER: Final = (None, "more than six months")


def _shares(*percents: str) -> tuple[Band, ...]:
    """Return levels from percentages, written as the end or as both ends of a range."""
    return _levels(*((int(percent.split("-")[-1]) / 100, f"{percent} %") for percent in percents))


BANDS: Final[Mapping[int, Mapping[str, tuple[Band, ...]]]] = MappingProxyType(
    {
        2018: MappingProxyType(
            {
                "deployment_frequency": _levels(_ON_DEMAND, _HOURLY, _WEEKLY, _WEEKLY),
                "lead_time": _levels(_WITHIN_HOUR, _UP_TO_WEEK, _UP_TO_MONTH, _UP_TO_HALF_YEAR),
                "restore": _levels(_WITHIN_HOUR, _WITHIN_DAY, _WITHIN_DAY, _UP_TO_MONTH),
                "change_failure_rate": _shares("0-15", "0-15", "0-15", "46-60"),
            }
        ),
        2019: MappingProxyType(
            {
                "deployment_frequency": _levels(_ON_DEMAND, _DAILY, _WEEKLY, _MONTHLY),
                "lead_time": _levels(_WITHIN_DAY, _UP_TO_WEEK, _UP_TO_MONTH, _UP_TO_HALF_YEAR),
                "restore": _levels(_WITHIN_HOUR, _WITHIN_DAY, _WITHIN_DAY, _UP_TO_MONTH),
                "change_failure_rate": _shares("0-15", "0-15", "0-15", "46-60"),
            }
        ),
        2021: MappingProxyType(
            {
                "deployment_frequency": _levels(
                    _ON_DEMAND, _WEEKLY, _MONTHLY, (None, "less than once per six months")
                ),
                "lead_time": _levels(
                    _WITHIN_HOUR,
                    _UP_TO_WEEK,
                    (HALF_YEAR, "between one month and six months"),
                    _LONGER,
                ),
                "restore": _levels(_WITHIN_HOUR, _WITHIN_DAY, _UP_TO_WEEK, _LONGER),
                "change_failure_rate": _shares("0-15", "16-30", "16-30", "16-30"),
            }
        ),
        2023: MappingProxyType(
            {
                "deployment_frequency": _levels(_ON_DEMAND, _DAILY, _WEEKLY, _WEEKLY),
                "lead_time": _levels(_WITHIN_DAY, _UP_TO_WEEK, _UP_TO_MONTH, _UP_TO_MONTH),
                "restore": _levels(_WITHIN_HOUR, _WITHIN_DAY, _UP_TO_WEEK, _UP_TO_HALF_YEAR),
                "change_failure_rate": _shares("5", "10", "15", "64"),
            }
        ),
        2024: MappingProxyType(
            {
                "deployment_frequency": _levels(_ON_DEMAND, _DAILY, _WEEKLY, _MONTHLY),
                "lead_time": _levels(_WITHIN_DAY, _UP_TO_WEEK, _UP_TO_MONTH, _UP_TO_HALF_YEAR),
                "restore": _levels(_WITHIN_HOUR, _WITHIN_DAY, _WITHIN_DAY, _UP_TO_MONTH),
                "change_failure_rate": _shares("5", "20", "10", "40"),
            }
        ),
    }
)
"""Year of the report, then metric, then its four levels, best first."""


def bands_of(year: int) -> Mapping[str, tuple[Band, ...]]:
    """
    Return the levels of all metrics in one report.

    Raises:
        InvalidValue: That year's report has no bands; the message names the years that have.
    """
    known = isinstance(year, int) and not isinstance(year, bool)
    levels = BANDS.get(year) if known else None
    if levels is None:
        years = ", ".join(map(str, BANDS))
        raise InvalidValue("year", year, f"there are bands for {years}")
    return levels


def band(metric: str, value: float | None, *, year: int) -> tuple[str, ...]:
    """
    Return the level of a value in a year's report; both levels where two hold, the best first.

    Args:
        metric: "deployment_frequency" (deployments per day), "lead_time" or "restore" (seconds),
            or "change_failure_rate" (a share: 0.05 is 5 %).
        value: In that unit; None (undefined) has no level: ().
        year: Of the report. From 2023 on "restore" is the recovery from a failed deployment.

    Raises:
        InvalidValue: A year or a metric without bands, or a value below 0 or not finite.
    """
    levels = bands_of(year).get(metric)
    if levels is None:
        raise InvalidValue("metric", metric, one_of(metric, bands_of(year)))
    if value is None:
        return ()
    if not _is_measure(value):
        raise InvalidValue("value", value, "a finite number, 0 or more, or None")
    more = metric in MORE_IS_BETTER
    holding = [entry for entry in levels if entry.holds(value, more_is_better=more)]
    if not holding:
        return (WORSE_THAN_LOW,)
    best = holding[0]
    return tuple(
        entry.level for entry in holding if not entry.looser_than(best, more_is_better=more)
    )


def spanned(metric: str, low: float, high: float, *, year: int) -> tuple[str, ...]:
    """
    Return all levels that a value from *low* to *high* can have, the best first.

    Args:
        metric, year: As in `band`.
        low, high: The ends of an interval, both in it, in the unit of the metric.
    """
    edges = [bound for entry in bands_of(year)[metric] if (bound := entry.bound) is not None]
    beside = (math.nextafter(edge, side) for edge in edges for side in (-math.inf, math.inf))
    inside = [low, high, *(value for value in (*edges, *beside) if low < value < high)]
    levels = {level for value in inside for level in band(metric, value, year=year)}
    return tuple(level for level in (*LEVELS, WORSE_THAN_LOW) if level in levels)


def without_gaps(levels: Collection[str]) -> tuple[str, ...]:
    """
    Return all levels from the best to the worst of some, the best first.

    In some reports a worse level has the tighter bound, and then no value may have it alone. In
    words every level between the first and the last is named, so that none seems to be missing.
    """
    order = (*LEVELS, WORSE_THAN_LOW)
    ranks = [order.index(level) for level in levels]
    return order[min(ranks) : max(ranks) + 1] if ranks else ()


def level_text(levels: Collection[str], reached: Collection[str]) -> str:
    """
    Return a performance level in words: "performance level: low; its interval reaches medium, low".

    Args:
        levels: Those of the value, as `band` returns them; none gives "".
        reached: Those of its interval, as `spanned` returns them. They are named where they are
            more than those of the value.
    """
    if not levels:
        return ""
    text = f"performance level: {' and '.join(levels)}"
    if set(reached) > set(levels):
        text += f"; its interval reaches {', '.join(without_gaps(reached))}"
    return text


def _is_measure(value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value >= 0
    )
