"""
Figures as tables for people: one unit for a column, and what the number is of beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from imcm.documents.structure import Cell, Column, Document, Items, Table
from imcm.projections.figures.days import day_of
from imcm.projections.figures.definition import json_value
from imcm.projections.figures.excerpt import SOME, named
from imcm.projections.figures.units import COUNT, SECONDS, SHARE, minute, shown, zone

if TYPE_CHECKING:
    from imcm.projections.figures.figure import Figure

_CLOCK: Final = (("s", 1.0), ("min", 60.0), ("h", 3_600.0), ("d", 86_400.0))


class Scale(NamedTuple):
    """In which unit values are shown, and how much of their own unit that is."""

    unit: str
    size: float

    def of(self, value: float | None) -> float | None:
        """Return a value in this unit; None stays None."""
        return None if value is None else value / self.size


def scale_of(values: Iterable[float | None], unit: str) -> Scale:
    """
    Return the unit in which values of one column are shown: of durations the one in which the
    middle one of them reads best, of shares per cent.
    """
    if unit == SHARE:
        return Scale("%", 0.01)
    if unit != SECONDS:
        name = "" if unit == COUNT else unit.removeprefix("deployments ").replace("per ", "/")
        return Scale(name, 1.0)
    sizes = sorted(abs(value) for value in values if value is not None)
    middle = sizes[len(sizes) // 2] if sizes else 0.0
    fitting = [Scale(name, size) for name, size in _CLOCK if middle >= 2 * size]
    return fitting[-1] if fitting else Scale(*_CLOCK[0])


def period_text(figure: Figure) -> str:
    """Return the window of a figure in its own zone: "2026-01-01 to 2026-04-01"; "" for none."""
    if figure.window is None:
        return ""
    home = zone(figure.time_zone)
    return " to ".join(minute(moment, home) for moment in figure.window)


def bucket_text(bucket: Figure) -> str:
    """
    Return which period a figure is of, as windows are written: "2026-03", "2026-W09", "2026-Q1".

    A period that the window or the end of the log cuts has the name of the whole one; of a number
    of days it is the first one.
    """
    if bucket.window is None:
        return ""
    home = zone(bucket.time_zone)
    day = day_of(bucket.window[0], home)
    match bucket.definition.bucket_by:
        case "week" if getattr(bucket.definition, "week_starts", "monday") == "monday":
            year, week, _ = day.isocalendar()
            return f"{year}-W{week:02}"
        case "month":
            return f"{day:%Y-%m}"
        case "quarter":
            return f"{day.year}-Q{(day.month + 2) // 3}"
        case "year":
            return str(day.year)
        case _:
            return f"{day}"


def statistic_of(figure: Figure) -> str | None:
    """Return which statistic of durations a figure is, such as "median"; None of all else."""
    statistic = getattr(figure.definition, "statistic", None) if figure.unit == SECONDS else None
    return statistic if isinstance(statistic, str) else None


def with_statistic(name: str, figure: Figure) -> str:
    """Return a name of a figure with its statistic, where that is not the median one expects."""
    statistic = statistic_of(figure)
    if statistic is None or statistic in {"median", *name.split()}:
        return name
    return f"{name}, {statistic}"


def bounds_of(figure: Figure) -> tuple[float | None, float | None]:
    """Return the ends of the interval of a figure; None where there is none."""
    interval = figure.interval
    return (None, None) if interval is None else (interval.low, interval.high)


def level_of(figures: Iterable[Figure]) -> str:
    """Return at which level intervals are: "95 %"; "" where there are none."""
    levels = {f.interval.level for f in figures if f.interval is not None}
    return f"{100 * min(levels):g} %" if levels else ""


def figure_document(figure: Figure, *, most: int | None = None) -> Document:
    """Return a figure as a small table, and one of its groups and periods."""
    rows: list[tuple[str, str]] = []
    value = shown(figure.value, figure.unit)
    rows.append(("value", f"{value} ({figure.reason})" if figure.reason else value))
    low, high = bounds_of(figure)
    if figure.interval is not None and low is not None:
        ends = f"{shown(low, figure.unit)} to {shown(high, figure.unit)}"
        level = f"{100 * figure.interval.level:g} % interval"
        rows.append((level, f"{ends} ({figure.interval.method})"))
    rows.append(("n", f"{figure.n:,}"))
    unit = figure.unit if figure.unit in {SECONDS, SHARE} else COUNT
    rows += [(name, shown(beside, unit)) for name, beside in figure.beside.items()]
    rows += [(name, f"{count:,}") for name, count in figure.counts.items()]
    rows.append(("window", period_text(figure) or "all time"))
    rows.append(("log position", f"{figure.log_position:,}"))
    why = figure.why_left_out()
    reasons = [f"{count:,} {reason}" for reason, count in why.items()]
    rows.append(("left out", named(reasons, SOME) or "none"))
    chosen = figure.definition.chosen()
    given = figure.definition.shown()
    defaults = figure.definition.defaults()
    rows += [
        (name, f"{given[name]} (default {json.dumps(json_value(defaults[name]))})")
        for name in chosen
        if name in given
    ]
    own = Table(
        title=figure.name,
        columns=(Column(name="what"), Column(name="value")),
        rows=rows,
    )
    parts = parts_of(figure)
    beside = (parts_table(figure, parts, most=most),) if parts else ()
    notes = (Items(tuple(f"note: {note}" for note in figure.notes)),) if figure.notes else ()
    return Document(title=repr(figure), blocks=(own, *beside, *notes))


class Part(NamedTuple):
    """A figure of one group, one period, or both; "" for all groups, or all periods."""

    group: str
    period: str
    figure: Figure


def parts_of(figure: Figure) -> list[Part]:
    """Return the periods, the groups, and the periods of each group."""
    parts = [Part("", bucket_text(bucket), bucket) for bucket in figure.buckets]
    for group in figure.groups:
        parts.append(Part(str(group.group), "", group))
        parts += [Part(str(group.group), bucket_text(bucket), bucket) for bucket in group.buckets]
    return parts


def parts_table(figure: Figure, parts: Sequence[Part], *, most: int | None = None) -> Table:
    """Return the groups and periods of a figure, a row each."""
    shown_parts = parts[:most]
    scale = scale_of((part.figure.value for part in shown_parts), figure.unit)
    level = level_of(part.figure for part in shown_parts)
    end = f"{scale.unit}, {level}" if level and scale.unit else scale.unit or level
    columns: list[Column] = []
    if figure.groups:
        columns.append(Column(name="group"))
    if figure.buckets:
        columns.append(Column(name="period"))
    columns += [
        Column(name="value", kind="number", unit=scale.unit),
        Column(name="low", kind="number", unit=end),
        Column(name="high", kind="number", unit=end),
        Column(name="n", kind="number"),
    ]
    rows: list[tuple[Cell, ...]] = []
    for part in shown_parts:
        low, high = map(scale.of, bounds_of(part.figure))
        head = (part.group or "all",) if figure.groups else ()
        begun = (part.period or "all",) if figure.buckets else ()
        rows.append((*head, *begun, scale.of(part.figure.value), low, high, part.figure.n))
    return Table(
        title="groups and periods",
        columns=tuple(columns),
        rows=rows,
        more=len(parts) - len(shown_parts),
    )
