"""
How long it takes: survival curves, with what is still open counted for as long as it is known.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from imcm.errors import InvalidValue
from imcm.plots.canvas import (
    GREY,
    INKS,
    Ink,
    axes_for,
    finished,
    headed,
    is_wide,
    said,
    scaled,
    spread,
    titled,
    with_unit,
    words,
)
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.units import SECONDS, shown
from imcm.projections.statistics.survival import KaplanMeier, curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS: Final = 1_500
"""Of a longer curve this many points are drawn: more than a picture has columns."""

LEAST: Final = 1e-6
"""What is shorter than this part of the longest is drawn as next to nothing."""

MOST_BANDS: Final = 2
"""More bands than these lie on each other and say nothing."""

MOST_MARKS: Final = 300
"""How many of those still open are marked on one curve."""


def is_of_durations(figure: Figure) -> bool:
    """Say whether a figure is one number of many durations, each of which began and ended."""
    return figure.unit == SECONDS and hasattr(figure.definition, "in_window")


def survival(figure: Figure, /, *, ax: Axes | None = None) -> Axes:
    """
    Draw how long it takes: the share that is not over yet, for each duration.

    The curve is that of Kaplan and Meier, and its band the pointwise confidence interval, where
    there are at most two curves. What is still open counts for as long as it is known to last, and
    is marked with a "+" there. A dotted line goes to the value of the figure, which is the number
    in the legend: a median, a mean, or what else it is, of what is over. Where some are still open
    and it is a median, the median of the curve, which counts them, stands behind it. Of a figure
    with groups, the curves of the five with most values are drawn.

    Durations are in seconds; the axis is logarithmic where the longest is a hundred times the
    shortest above 0, and then begins with a linear part where some are 0.

    Args:
        figure: Of durations, such as `time_to_restore` returns.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: The figure is not of durations, or counts some below 0.
        MissingExtraError: The extra `plot` is not installed.
    """
    if not isinstance(figure, Figure) or not is_of_durations(figure):
        raise InvalidValue("figure", figure, "a figure of durations, as time_to_restore gives")
    counted = [each for each in figure.groups if each.n or each.censored]
    largest = sorted(counted, key=lambda each: (-each.n, each.group or ""))[: len(INKS)]
    drawn = [each for each in counted if each in largest] or [figure]
    lines: list[str] = []
    if len(counted) > len(drawn):
        lines.append(f"the {len(drawn)} groups with most of {len(counted):,}")
    names = [words(each.group, 30) if figure.groups else "" for each in drawn]
    return curves(
        list(zip(names, drawn, strict=True)),
        title=titled(figure),
        lines=lines,
        figure=figure,
        ax=ax,
    )


def curves(
    named: Sequence[tuple[str, Figure]],
    *,
    title: str,
    lines: Sequence[str],
    figure: Figure,
    ax: Axes | None,
) -> Axes:
    """
    Draw the survival curves of some figures.

    Args:
        named: Each with its name in the legend, made by `words`.
        figure: Gives the name and the level, and the reason where nothing is counted.
    """
    columns = [(list(each.values()), [one.value for one in each.censored]) for _, each in named]
    values = sorted(value for pair in columns for part in pair for value in part)
    axes = axes_for(ax)
    if not values:
        return said(axes, title, words(figure.reason or "nothing to count", 200))
    if values[0] < 0:
        allowed = "durations of 0 or more: a survival curve knows no others"
        raise InvalidValue("figure", values[0], allowed)
    positive = values[bisect_right(values, 0.0) :]
    log = is_wide(positive)
    # What is 0, or next to it, has no place on a logarithmic axis: up to *least* it is linear.
    least = max(positive[0], values[-1] * LEAST) if log else 0.0
    linear = log and values[0] < least
    left = 0.0 if linear else least * 0.8
    for (name, each), (ended, open_), ink in zip(named, columns, INKS, strict=False):
        whole = curve(ended, open_, level=figure.definition.level)
        _draw(axes, whole, ink, _label(name, each, whole), left=left)
        _mark(axes, whole, ink, each.value)
        if len(named) <= MOST_BANDS:
            _band(axes, whole, ink, left=left)
    if linear:
        axes.set_xscale("symlog", linthresh=least, linscale=0.4)
    elif log:
        axes.set_xscale("log")
    unit = scaled(axes.xaxis, SECONDS, least, values[-1], log=log)
    if linear:
        unit += f" from {shown(least, SECONDS)} on"
    axes.set_xlim(left, values[-1] * (1.25 if log else 1.04) or 1.0)
    axes.axhline(0.5, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    axes.set_ylim(0, 1.03)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100"])
    axes.set_xlabel(with_unit(words(figure.name), unit))
    axes.set_ylabel("not over yet (%)")
    axes.legend(frameon=False, loc="best", fontsize=9)
    notes = ["the curve is that of Kaplan and Meier; dotted: the figure's own value"]
    if any(each.censored for _, each in named):
        notes.append("+: still open")
    if len(named) <= MOST_BANDS:
        notes.append(f"bands: {100 * figure.definition.level:g} % intervals")
    headed(axes, title, *lines, "; ".join(notes))
    return finished(axes)


def _label(name: str, figure: Figure, whole: KaplanMeier) -> str:
    count = f"n = {figure.n:,}"
    if figure.censored:
        count += f", {len(figure.censored):,} still open"
    statistic = str(getattr(figure.definition, "statistic", "value")).replace("_", " ")
    text = f"{name + ': ' if name else ''}{statistic} {shown(figure.value, SECONDS)}, {count}"
    if figure.censored and statistic == "median":
        median = "not reached" if whole.median is None else shown(whole.median, SECONDS)
        text += f" (with them {median})"
    return text


def _draw(axes: Axes, whole: KaplanMeier, ink: Ink, label: str, *, left: float) -> None:
    rows = spread(len(whole.times), MOST_POINTS)
    x = [left, *(whole.times[row] for row in rows)]
    axes.step(
        x,
        [1.0, *(whole.survival[row] for row in rows)],
        where="post",
        color=ink.colour,
        linestyle=ink.dashes,
        linewidth=1.8,
        label=label,
    )
    open_ = [float(whole.open[index]) for index in spread(len(whole.open), MOST_MARKS)]
    axes.plot(
        open_,
        [whole.survival_at(time) or 0.0 for time in open_],
        linestyle="none",
        marker="+",
        markersize=8,
        markeredgewidth=1.2,
        color=ink.colour,
    )


def _mark(axes: Axes, whole: KaplanMeier, ink: Ink, value: float | None) -> None:
    """Draw a dotted line at the value of a figure, from the axis up to its curve."""
    if value is None:
        return
    height = whole.survival_at(value) or 0.0
    axes.plot([value, value], [0, height], color=ink.colour, linewidth=1.1, linestyle=":")
    axes.plot([value], [height], linestyle="none", marker=ink.marker, markersize=5,
              color=ink.colour)  # fmt: skip


def _band(axes: Axes, whole: KaplanMeier, ink: Ink, *, left: float) -> None:
    rows = spread(len(whole.times), MOST_POINTS)
    low, high = ([1.0, *(bound[row] for row in rows)] for bound in (whole.low, whole.high))
    nan = float("nan")
    axes.fill_between(
        [left, *(whole.times[row] for row in rows)],
        [nan if bound is None else bound for bound in low],
        [nan if bound is None else bound for bound in high],
        step="post",
        color=ink.colour,
        alpha=0.15,
        linewidth=0,
    )
