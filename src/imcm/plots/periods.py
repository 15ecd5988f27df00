"""
A figure over time: its value in each period, with its interval, and of how many it is.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from imcm.errors import InvalidValue
from imcm.plots.bars import bar_of, draw_bars, ends
from imcm.plots.canvas import axes_for, finished, grid, headed, key, said, words
from imcm.plots.captions import (
    about,
    in_part,
    level_of,
    measured,
    of_how_many,
    period_name,
    placed,
    titled,
)
from imcm.plots.inks import palette_of
from imcm.plots.scales import Reach, reach, ticks_read, with_unit
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.units import brief

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS: Final = 60
"""With more periods than this, intervals are a band instead of bars."""

IN_PART: Final = "period in part"
UNDEFINED: Final = "undefined"
_NAN: Final = float("nan")


def over_time(figure: Figure, /, *, group: str | None = None, ax: Axes | None = None) -> Axes:
    """
    Draw a figure over time: its value in each period, with its interval and of how many it is.

    A period in which it is undefined leaves a gap in the line and has a cross on the axis: nothing
    is not zero. A period that is covered only in part, because the window or the data begins or
    ends in it, is a hollow point that no line joins. Where one end of an interval has no bound, a
    dashed line goes on to the edge. The figure of the whole window is a dotted line. Durations that
    are wide apart are on a logarithmic axis.

    Args:
        figure: With periods: computed with `bucket_by`.
        group: Draws that one of its groups; None all together.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: The figure has no periods, or no group of that name.
        MissingExtraError: The extra `plot` is not installed.
    """
    return of_preset(figure, None, group=group, ax=ax)


def of_preset(
    figure: Figure, preset: str | None, /, *, group: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a figure over time; the picture names the *preset* whose definition it is."""
    if not isinstance(figure, Figure) or figure.definition.bucket_by is None:
        raise InvalidValue("figure", figure, 'a figure with periods: bucket_by="month"')
    if group is not None:
        figure = _group_of(figure, group)
    axes = axes_for(ax)
    if not has_values(figure):
        return said(axes, titled(figure), words(figure.reason or "no period has a value", 200))
    draw_periods(axes, figure)
    key(axes)
    headed(axes, titled(figure), about(figure, preset), *notes_of(figure))
    return finished(axes)


def has_values(figure: Figure) -> bool:
    """Say whether any period of a figure has a value."""
    return any(part.value is not None for part in figure.buckets)


def _group_of(figure: Figure, name: str) -> Figure:
    for group in figure.groups:
        if group.group == name:
            return group
    there_are = ", ".join(str(group.group) for group in figure.groups[:10])
    raise InvalidValue("group", name, f"one of its groups: {there_are or 'it has none'}")


def notes_of(figure: Figure) -> list[str]:
    """Return what to know of the bars, the dotted line, and what is not drawn."""
    parts = figure.buckets
    bars = level_of(parts)
    if len(parts) > MOST_BARS:
        bars = "; ".join(filter(None, [bars.replace("bars", "band"), "gaps: undefined"]))
    notes = [bars, f"dotted: the whole, {whole_of(figure)}"]
    if figure.groups:
        notes.append(f"all together; {by_group(figure)}")
    return notes


def by_group(figure: Figure) -> str:
    """Return of what a figure has groups, which are not in a picture of all together."""
    return f"its groups by {words(str(figure.definition.group_by), 30)} are another picture"


def whole_of(figure: Figure) -> str:
    """Return the value of the whole, and of how many it is."""
    return f"{brief(figure.value, figure.unit)}, {of_how_many(figure)}"


def draw_periods(axes: Axes, figure: Figure, *, named: bool = True) -> None:
    """Draw the periods of a figure that has values, and its axes; unnamed ones say the unit."""
    parts = figure.buckets
    known = [part.value for part in (*parts, figure) if part.value is not None]
    bounds = [bound for part in parts for bound in ends(part) if bound is not None]
    goes = reach(figure.unit, known, bounds, room=0.08)
    unit = goes.on(axes, "y", most=8)
    _intervals(axes, parts, goes)
    _values(axes, parts, words(figure.name))
    if figure.value is not None:
        axes.axhline(figure.value, color=palette_of(axes).strong, linewidth=1, linestyle=":")
    axes.set_ylabel(with_unit(measured(figure), unit) if named else unit)
    _labels(axes, parts)
    axes.set_xlabel(placed(figure))
    grid(axes, "y")


def _values(axes: Axes, parts: Sequence[Figure], name: str) -> None:
    palette, many = palette_of(axes), len(parts) > MOST_BARS
    partly = in_part(parts)
    values = [_NAN if part.value is None else part.value for part in parts]
    axes.plot(
        range(len(parts)),
        [_NAN if cut else value for value, cut in zip(values, partly, strict=True)],
        color=palette.blue,
        linewidth=1.4,
        marker="" if many else "o",
        markersize=5,
        label=f"_{name}",
    )
    cut = [n for n, part in enumerate(parts) if partly[n] and part.value is not None]
    if cut:
        axes.plot(
            cut,
            [values[number] for number in cut],
            linestyle="none",
            marker="o",
            markersize=6,
            markerfacecolor=palette.paper,
            markeredgecolor=palette.blue,
            markeredgewidth=1.3,
            color=palette.blue,
            label=IN_PART,
        )
    # Crosses side by side would be a line: where there are many, gaps have to do.
    empty = [number for number, part in enumerate(parts) if part.value is None and not many]
    if empty:  # a line without points would take up room in the corner of the whole picture
        axes.plot(
            empty,
            [0.0] * len(empty),
            transform=axes.get_xaxis_transform(),
            linestyle="none",
            marker="x",
            color=palette.soft,
            clip_on=False,
            label=UNDEFINED,
        )


def _intervals(axes: Axes, parts: Sequence[Figure], goes: Reach) -> None:
    blue = palette_of(axes).blue
    if len(parts) <= MOST_BARS:
        bars = [bar_of(number, part) for number, part in enumerate(parts)]
        draw_bars(axes, bars, blue, (goes.low, goes.high), upright=True)
        return
    bounds = [[_NAN if end is None else end for end in ends(part)] for part in parts]
    lows, highs = ([pair[end] for pair in bounds] for end in (0, 1))
    axes.fill_between(range(len(parts)), lows, highs, color=blue, alpha=0.18, linewidth=0)


def _labels(axes: Axes, parts: Sequence[Figure]) -> None:
    """Name each period, with how many it has, or as many as fit side by side."""
    from imcm.plots.fitted import TICK_SIZE, PeriodTicks

    names = [f"{period_name(part)}\nn = {part.n:,}" for part in parts]
    longest = max(len(line) for name in names for line in name.split("\n"))
    axes.xaxis.set_major_locator(PeriodTicks(len(parts), longest))
    ticks_read(axes.xaxis, lambda at: names[round(at)] if 0 <= round(at) < len(names) else "")
    axes.tick_params(axis="x", labelsize=TICK_SIZE)
    axes.set_xlim(-0.6, len(parts) - 0.4)
