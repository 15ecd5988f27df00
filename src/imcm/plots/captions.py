"""
What stands above and beside a picture: of what it is, of which time, by which definition, how sure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from imcm.domain.vocabulary import MARK, is_list, is_mapping
from imcm.plots.bars import bar_of, ends
from imcm.plots.canvas import words
from imcm.projections.facts.instants import FIRST, LAST
from imcm.projections.figures.days import day_of, local, midnight
from imcm.projections.figures.definition import json_value
from imcm.projections.figures.figure import STILL_OPEN, Figure
from imcm.projections.figures.units import SECONDS, minute, utc, zone

# --- of what --------------------------------------------------------------------------------------


def statistic_of(figure: Figure) -> str:
    """Return which one number of many durations a figure is; "" of what is none."""
    statistic = getattr(figure.definition, "statistic", None) if figure.unit == SECONDS else None
    return "" if statistic is None else str(statistic).replace("_", " ")


def measured(figure: Figure) -> str:
    """Return what a figure measures, with its statistic where that is not the median."""
    statistic = statistic_of(figure)
    name = words(figure.name)
    return name if statistic in {"", "median"} else f"{name}, {words(statistic)}"


def titled(figure: Figure, name: str | None = None) -> str:
    """Return what a figure is of, as a title; *name* in place of what it measures."""
    name = measured(figure) if name is None else name
    name = name[:1].upper() + name[1:]
    return name if figure.group is None else f"{name}, {words(figure.group, 40)}"


def of_how_many(figure: Figure) -> str:
    """Return how a number came about: the statistic, of how many, and what is still open."""
    statistic = statistic_of(figure)
    text = f"{statistic} of {figure.n:,}" if statistic else f"n = {figure.n:,}"
    open_ = figure.counts.get(STILL_OPEN, 0)
    return f"{text}, {open_:,} still open" if open_ else text


# --- by which definition --------------------------------------------------------------------------

_SAID_ELSEWHERE: Final = frozenset(
    {"window", "time_zone", "group_by", "bucket_by", "statistic", "level"}
)
"""Choices that a picture shows in other ways."""


def chosen(figure: Figure, preset: str | None = None) -> str:
    """Return by which preset, where one is given, and what differs from the defaults."""
    choices = [
        f"{name.replace('_', ' ')} {_plainly(value)}"
        for name, value in figure.definition.chosen().items()
        if name not in _SAID_ELSEWHERE
    ]
    by = "" if preset is None else f"preset {words(preset, 30)}"
    return "; ".join(filter(None, [by, words(", ".join(choices), 110)]))


def _plainly(value: object) -> str:
    value = json_value(value)
    if is_mapping(value):
        parts = [f"{key}={each}" for key, each in value.items() if isinstance(each, str)]
        return " ".join(parts) or "as given"
    return "/".join(map(str, value)) if is_list(value) else str(value)


def about(figure: Figure, preset: str | None = None) -> str:
    """Return of which time a figure is, and by which definition, as a line."""
    return "; ".join(filter(None, [period_of(figure), chosen(figure, preset)]))


# --- of which time --------------------------------------------------------------------------------

_DAY: Final = timedelta(days=1)


def period_of(figure: Figure) -> str:
    """Return the time that a figure speaks of, in words."""
    home = zone(figure.time_zone)
    if figure.window is not None:
        return f"{span_name(figure.window, home)} ({figure.time_zone})"
    if figure.as_of is None:
        return "all time"
    return f"all time, as of {minute(figure.as_of, home)} ({figure.time_zone})"


def span_name(window: tuple[datetime, datetime], home: ZoneInfo) -> str:
    """Return a stretch of time in words: the year, quarter, month or days it is, else its ends."""
    start, end = map(utc, window)
    if start in (FIRST, LAST) or end in (FIRST, LAST) or not _are_days((start, end), home):
        return " to ".join(minute(moment, home) for moment in (start, end))
    first, last = day_of(start, home), day_of(end, home) - _DAY
    months = 12 * (last.year - first.year) + last.month - first.month + 1
    if first.day == 1 and (last + _DAY).day == 1:
        if months == 12 and first.month == 1:
            return f"{first:%Y}"
        if months == 3 and first.month % 3 == 1:
            return f"{first:%Y}-Q{(first.month + 2) // 3}"
        return f"{first:%Y-%m}" if months == 1 else f"{first:%Y-%m} to {last:%Y-%m}"
    return f"{first}" if first == last else f"{first} to {last}"


def _are_days(window: tuple[datetime, datetime], home: ZoneInfo) -> bool:
    return window[0] < window[1] and all(is_midnight(moment, home) for moment in window)


def is_midnight(moment: datetime, home: ZoneInfo) -> bool:
    """Say whether a moment is the first instant of a day in a zone."""
    try:
        return midnight(day_of(moment, home), home) == utc(moment)
    except OverflowError:
        return False


# --- periods --------------------------------------------------------------------------------------


def period_name(part: Figure) -> str:
    """Return the name of a period: its month, quarter or year, else the day it begins."""
    assert part.window is not None  # each period has one
    by, start = part.definition.bucket_by, part.window[0]
    if start.year not in {1, 9999}:  # at either end of the calendar there may be no other zone
        start = start.astimezone(zone(part.time_zone))
    if by == "year":
        return f"{start:%Y}"
    if by == "quarter":
        return f"{start:%Y}-Q{(start.month + 2) // 3}"
    return f"{start:%Y-%m}" if by == "month" else f"{start:%Y-%m-%d}"


def in_part(parts: Sequence[Figure]) -> list[bool]:
    """
    Say of each period whether it is covered only in part.

    That is what the window, or without one the first and the last moment there is, cuts at its
    start or its end, and what ends after the data does.
    """
    return [
        _is_after_data(part)
        or (number == 0 and _is_cut(part, 0))
        or (number == len(parts) - 1 and _is_cut(part, 1))
        for number, part in enumerate(parts)
    ]


def _is_after_data(part: Figure) -> bool:
    assert part.window is not None
    return part.as_of is not None and utc(part.as_of) < utc(part.window[1])


def _is_cut(part: Figure, end: int) -> bool:
    """Say whether one end of a period is none by the calendar."""
    assert part.window is not None
    home, by = zone(part.time_zone), part.definition.bucket_by
    start, stop = map(utc, part.window)
    moment = (start, stop)[end]
    if isinstance(by, int):
        counted_from = 0 if part.definition.anchor == "start" else 1
        return end != counted_from and local(stop, home) - local(start, home) < _DAY * by
    if start == stop or not is_midnight(moment, home):
        return True
    day = day_of(moment, home)
    if by == "week":
        return day.weekday() != (0 if part.definition.week_starts == "monday" else 6)
    months = {"month": 1, "quarter": 3, "year": 12}.get(str(by))
    return months is not None and (day.day != 1 or (day.month - 1) % months != 0)


_MOMENTS: Final = {
    "impact_started": "in which the impact started",
    **{
        each: f"in which it was {each}"
        for each in (
            *("detected", "declared", "acknowledged", "triaged", "mitigated", "resolved"),
            *("closed", "reviewed"),
        )
    },
}
_OF_DEPLOYMENT: Final = "of deployment"
_BY_DEPLOYMENT: Final = frozenset(
    {"change failure rate", "deployment frequency", "lead time for changes", "rework rate"}
)


def placed(figure: Figure) -> str:
    """Return how periods are called on an axis: "month in which it was resolved (UTC)"."""
    by = figure.definition.bucket_by
    length = f"{by} days" if isinstance(by, int) else str(by)
    return " ".join(filter(None, [length, _by_which_moment(figure), f"({figure.time_zone})"]))


def _by_which_moment(figure: Figure) -> str:
    """Return which moment places something in a period; "" where that is no moment of its own."""
    definition = figure.definition
    if definition.NAME in _BY_DEPLOYMENT:
        return _OF_DEPLOYMENT
    place = getattr(definition, "in_window", "")
    if place in {"either", "both"}:
        return f"in which it began {'or' if place == 'either' else 'and'} ended"
    if definition.NAME == "failed deployment recovery time":
        return _OF_DEPLOYMENT if place == "start" else "in which it recovered"
    if getattr(definition, "source", "moments") == "stated":
        return ""
    moments: Any = getattr(definition, place, ()) if place else ()
    first = moments if isinstance(moments, str) else next(iter(moments), "")
    if not first:
        return ""
    if first.startswith(MARK):
        return f"of {words(first.removeprefix(MARK), 30)}"
    if first.startswith("cause_deployed"):
        return "in which the cause was deployed"
    return _MOMENTS.get(first, f"of {words(first.replace('_', ' '), 30)}")


# --- how sure -------------------------------------------------------------------------------------


def level_of(figures: Iterable[Figure]) -> str:
    """Return what the bars of figures are, in words, and what it means where there is none."""
    methods: dict[str, set[str]] = {}
    level, bare, is_open = "", False, False
    for figure in figures:
        low, high = ends(figure)
        is_open |= bar_of(0, figure).is_open
        if low is None and high is None:
            bare |= figure.value is not None
        elif figure.interval is not None:
            level = level or f"{100 * figure.interval.level:g} %"
            methods.setdefault(figure.interval.method, set()).add(statistic_of(figure))
    if not methods:
        return "no value has an interval" if bare else ""
    text = f"bars: {level} intervals ({_each_by_its(methods)})"
    if is_open:
        text += "; dashed: no bound"
    return f"{text}; none: no interval" if bare else text


def _each_by_its(methods: dict[str, set[str]]) -> str:
    if len(methods) == 1:
        return words(next(iter(methods)))
    return ", ".join(
        f"{words(method)} of {'/'.join(sorted(filter(None, of)))}" if any(of) else words(method)
        for method, of in methods.items()
    )
