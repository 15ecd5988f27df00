"""
Periods of a time zone as text: engines disagree about zones, so they are told here.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, TypeAlias

from imcm.errors import InvalidValue
from imcm.projections.figures.days import midnight
from imcm.projections.figures.units import zone

PERIODS: Final = ("day", "week", "month", "quarter", "year")
"""The columns that tell a period of the calendar."""

Span: TypeAlias = tuple[date, date]
"""The first and the last of some days."""


class Days:
    """The days of a zone on which moments lie, each with the periods it is in as text."""

    def __init__(self, time_zone: str) -> None:
        self._home = zone(time_zone)
        self._edges: dict[date, tuple[datetime, datetime]] = {}
        self._period_texts: dict[date, tuple[str, ...]] = {}
        self._day = date.min
        self._from = self._to = datetime.min.replace(tzinfo=UTC)

    def of(self, at: datetime) -> date:
        """Return the day that an instant counts in, by the edges that figures use."""
        # Most rows come in order of time, many on one day.
        if self._from <= at < self._to:
            return self._day
        day = at.astimezone(self._home).date()
        begins, ends = self._edges_of(day)
        if at >= ends:
            # Where clocks go back over midnight a date comes twice, and its second part is past it.
            day += timedelta(days=1)
            begins, ends = self._edges_of(day)
        self._day, self._from, self._to = day, begins, ends
        return day

    def _edges_of(self, day: date) -> tuple[datetime, datetime]:
        edges = self._edges.get(day)
        if edges is None:
            following = day + timedelta(days=1)
            edges = midnight(day, self._home), midnight(following, self._home)
            self._edges[day] = edges
        return edges

    def period_columns(
        self, moments: Iterable[datetime | None], prefix: str = ""
    ) -> dict[str, Sequence[str | None]]:
        """Return the columns of `PERIODS` of some moments; None has none of them."""
        periods: list[tuple[str | None, ...]] = []
        for at in moments:
            if at is None:
                periods.append((None,) * len(PERIODS))
                continue
            day = self.of(at)
            texts = self._period_texts.get(day)
            if texts is None:
                texts = self._period_texts[day] = _texts(day)
            periods.append(texts)
        return {
            f"{prefix}{name}": [texts[index] for texts in periods]
            for index, name in enumerate(PERIODS)
        }


def _texts(day: date) -> tuple[str, ...]:
    week_year, week, _ = day.isocalendar()
    year = f"{day.year:04}"
    return (
        *(day.isoformat(), f"{week_year:04}-W{week:02}", f"{year}-{day.month:02}"),
        *(f"{year}-Q{_quarter(day)}", year),
    )


def _quarter(day: date) -> int:
    return (day.month + 2) // 3


_FIRST_DAY: Final[Mapping[str, str]] = {"day": "", "week": "-1", "month": "-01", "year": "-01-01"}
"""What follows the text of a period in that of its first day."""

_QUARTERS: Final = {f"Q{number}": f"{3 * number - 2:02}-01" for number in (1, 2, 3, 4)}
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}


def days_of_period(name: str, text: str) -> Span:
    """
    Return the first and the last day of one of `PERIODS` that is told as a text.

    Raises:
        InvalidValue: It is not told as the tables tell it.
    """
    try:
        if name == "quarter":
            year, _, quarter = text.partition("-")
            first = date.fromisoformat(f"{year}-{_QUARTERS[quarter]}")
        else:
            first = date.fromisoformat(text + _FIRST_DAY[name])
    except (ValueError, KeyError):
        allowed = "a text as the tables have it, such as 2026-W10 or 2026-Q1"
        raise InvalidValue(name, text, allowed) from None
    if name in _MONTHS:
        month = first.month + _MONTHS[name] - 1
        return first, date(first.year, month, monthrange(first.year, month)[1])
    return first, first + timedelta(days=6 if name == "week" else 0)
