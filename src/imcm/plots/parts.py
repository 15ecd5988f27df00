"""
A figure in parts: over time, by group, by preset. Each part has its interval and says of how many.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from imcm.errors import InvalidValue
from imcm.plots.canvas import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    axes_for,
    ends,
    finished,
    headed,
    is_wide,
    level_of,
    of_how_many,
    said,
    scaled,
    titled,
    with_unit,
    words,
)
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.units import COUNT, SECONDS, shown, zone
from imcm.projections.reports.dora import SideBySide

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS: Final = 60
"""With more periods than this, intervals are a band instead of bars."""

MOST_TICKS: Final = 12
MOST_LONG_TICKS: Final = 8
MOST_ROWS: Final = 30
"""Of more groups, those with most values are drawn."""

# --- over time ------------------------------------------------------------------------------------


def over_time(figure: Figure, /, *, group: str | None = None, ax: Axes | None = None) -> Axes:
    """
    Draw a figure over time: its value in each period, with its interval and of how many it is.

    A period in which it is undefined leaves a gap in the line and has a cross on the axis: nothing
    is not zero. The figure of the whole window is a dotted line.

    Args:
        figure: With periods: computed with `bucket_by`.
        group: Draws that one of its groups; None all together.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: The figure has no periods, or no group of that name.
        MissingExtraError: The extra `plot` is not installed.
    """
    if not isinstance(figure, Figure) or figure.definition.bucket_by is None:
        raise InvalidValue("figure", figure, 'a figure with periods: bucket_by="month"')
    if group is not None:
        figure = _group_of(figure, group)
    axes = axes_for(ax)
    parts = figure.buckets
    if all(part.value is None for part in parts):
        return said(axes, titled(figure), words(figure.reason or "no period has a value", 200))
    nan = float("nan")
    numbers = range(len(parts))
    values = [nan if part.value is None else part.value for part in parts]
    _intervals(axes, parts)
    many = len(parts) > MOST_BARS
    axes.plot(
        numbers,
        values,
        color=BLUE,
        linewidth=1.4,
        marker="" if many else "o",
        markersize=5,
        label=words(figure.name),
    )
    # Crosses side by side would be a line: where there are many, gaps have to do.
    empty = [number for number in numbers if parts[number].value is None and not many]
    if empty:  # a line without points would take up room in the corner of the whole picture
        axes.plot(
            empty,
            [0.0] * len(empty),
            transform=axes.get_xaxis_transform(),
            linestyle="none",
            marker="x",
            color=GREY,
            clip_on=False,
            label="undefined",
        )
    known = [value for part in parts for value in (part.value, *ends(part)) if value is not None]
    if figure.value is not None:
        known.append(figure.value)
        axes.axhline(figure.value, color=BLACK, linewidth=1, linestyle=":")
    least, most = min(0.0, *known), max(known)
    axes.set_ylim(least * 1.06, most * 1.08 or 1.0)
    unit = scaled(axes.yaxis, figure.unit, least, most * 1.08)
    axes.set_ylabel(with_unit(words(figure.name), unit))
    short = figure.definition.bucket_by in {"month", "quarter", "year"}
    every = -(-len(parts) // (MOST_TICKS if short else MOST_LONG_TICKS))
    ticks = list(numbers)[::every]
    axes.set_xticks(ticks, labels=[f"{_period(parts[n])}\nn = {parts[n].n:,}" for n in ticks])
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlim(-0.6, len(parts) - 0.4)
    axes.set_xlabel(f"{_period_name(figure)} ({figure.time_zone})")
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    whole = f"dotted: the whole, {shown(figure.value, figure.unit)}, {of_how_many(figure)}"
    undefined = "x: undefined" if empty else "gaps: undefined" if many else ""
    bars = level_of(parts).replace("bars", "band") if many else level_of(parts)
    headed(axes, titled(figure), "; ".join(filter(None, [bars, undefined])), whole)
    return finished(axes)


def _group_of(figure: Figure, name: str) -> Figure:
    for group in figure.groups:
        if group.group == name:
            return group
    there_are = ", ".join(str(group.group) for group in figure.groups[:10])
    raise InvalidValue("group", name, f"one of its groups: {there_are or 'it has none'}")


def _intervals(axes: Axes, parts: Sequence[Figure]) -> None:
    numbers = range(len(parts))
    bounds = list(map(_bounds, parts))
    if len(parts) > MOST_BARS:
        lows, highs = ([pair[end] for pair in bounds] for end in (0, 1))
        axes.fill_between(numbers, lows, highs, color=BLUE, alpha=0.18, linewidth=0)
        return
    bars = list(map(_bar, parts))
    axes.vlines(
        numbers, [low for low, _ in bars], [high for _, high in bars], color=BLUE, linewidth=1.2
    )
    for end in (0, 1):
        caps = [pair[end] for pair in bounds]
        axes.plot(numbers, caps, linestyle="none", marker="_", markersize=7, color=BLUE)


def _bounds(figure: Figure) -> tuple[float, float]:
    """Return where the bar of a figure begins and ends; not a number where there is no bound."""
    low, high = ends(figure)
    nan = float("nan")
    return nan if low is None else low, nan if high is None else high


def _bar(figure: Figure) -> tuple[float, float]:
    """Return from where to where the bar of a figure is drawn: to its value where no bound is."""
    low, high = ends(figure)
    nan = float("nan")
    middle = nan if figure.value is None else figure.value
    return middle if low is None else low, middle if high is None else high


def _period_name(figure: Figure) -> str:
    by = figure.definition.bucket_by
    return f"{by} days" if isinstance(by, int) else str(by)


def _period(part: Figure) -> str:
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


# --- by group -------------------------------------------------------------------------------------


def groups(figure: Figure, /, *, ax: Axes | None = None) -> Axes:
    """
    Draw a figure by group: a point with its interval for each, and the whole below.

    The highest stands first. Of more than thirty groups those with most values are drawn, and the
    picture says so. A group in which the figure is undefined is there, with the reason.

    Args:
        figure: As a rule with groups: computed with `group_by`.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: It is no figure.
        MissingExtraError: The extra `plot` is not installed.
    """
    if not isinstance(figure, Figure):
        raise InvalidValue("figure", figure, "a figure, such as change_failure_rate returns")
    kept = sorted(figure.groups, key=lambda each: (-each.n, each.group or ""))[:MOST_ROWS]
    kept.sort(key=lambda each: (each.value is None, -(each.value or 0), each.group or ""))
    lines = [level_of([*kept, figure])]
    if len(figure.groups) > len(kept):
        lines.append(f"the {len(kept)} groups with most of {len(figure.groups):,}")
    rows = [(words(each.group, 32), each) for each in kept]
    return _forest(rows, figure, titled(figure), lines, ax)


def side_by_side(result: SideBySide, /, *, ax: Axes | None = None) -> Axes:
    """
    Draw one metric by several presets: the numbers that other tools print of the same log.

    Args:
        result: As `imcm.side_by_side` returns it.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: It is no such result.
        MissingExtraError: The extra `plot` is not installed.
    """
    if not isinstance(result, SideBySide):
        raise InvalidValue("result", result, "what side_by_side(...) returns")
    rows = [(words(name, 32), figure) for name, figure in result.figures.items()]
    name = words(next((each.name for each in result.figures.values()), result.metric))
    lines = ["the same log, as each tool counts it", level_of(result.figures.values())]
    return _forest(rows, None, f"{name[:1].upper()}{name[1:]} side by side", lines, ax)


def _forest(
    rows: Sequence[tuple[str, Figure]],
    whole: Figure | None,
    title: str,
    lines: Sequence[str],
    ax: Axes | None,
) -> Axes:
    every = [*rows, *([] if whole is None else [("all together", whole)])]
    axes = axes_for(ax, height=1.7 + 0.32 * len(every))
    units = Counter(figure.unit for _, figure in every if figure.value is not None)
    if not units:
        reason = whole.reason if whole is not None else "no preset has a value"
        return said(axes, title, words(reason or "nothing to count", 200))
    [(unit, _)] = units.most_common(1)
    drawn = [figure for _, figure in every if figure.value is not None and figure.unit == unit]
    numbers = sorted(
        end for figure in drawn for end in (figure.value, *ends(figure)) if end is not None
    )
    log = unit == SECONDS and is_wide(numbers)
    for row, (_, figure) in enumerate(every):
        _row(axes, row, figure, unit, is_whole=figure is whole)
    if whole is not None and whole.value is not None and rows:
        axes.axvline(whole.value, color=BLACK, linewidth=1, linestyle=":", zorder=0)
    if log:
        axes.set_xscale("log")
        axes.set_xlim(numbers[0] * 0.8, numbers[-1] * 1.25)
    else:
        axes.set_xlim(min(0.0, numbers[0] * 1.06), numbers[-1] * 1.06 or 1.0)
    words_of_unit = scaled(axes.xaxis, unit, numbers[0] if log else 0.0, numbers[-1], log=log)
    axes.set_yticks(range(len(every)), labels=[label for label, _ in every])
    axes.set_ylim(len(every) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    name = words(drawn[0].name)
    what = words_of_unit if unit != COUNT else "number"
    axes.set_xlabel(with_unit(name, what))
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    if len(units) > 1:
        lines = [*lines, "without a point: in another unit"]
    headed(axes, title, *lines)
    return finished(axes)


def _row(axes: Axes, row: int, figure: Figure, unit: str, *, is_whole: bool) -> None:
    text = f"{shown(figure.value, figure.unit)}   {of_how_many(figure)}"
    if figure.value is None:
        text = f"undefined: {words(figure.reason or '', 40)}"
    elif figure.unit == unit:
        low, high = _bar(figure)
        ink = BLACK if is_whole else BLUE
        axes.hlines([row], [low], [high], color=ink, linewidth=1.6)
        axes.plot(
            _bounds(figure), [row, row], linestyle="none", marker="|", markersize=7, color=ink
        )
        axes.plot(
            [figure.value],
            [row],
            linestyle="none",
            marker="D" if is_whole else "o",
            markersize=7,
            color=ink,
        )
    axes.annotate(
        text,
        xy=(1, row),
        xycoords=axes.get_yaxis_transform(),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=BLACK if figure.value is not None and figure.unit == unit else GREY,
        annotation_clip=False,
    )
