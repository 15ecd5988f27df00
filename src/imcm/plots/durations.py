"""
How long it takes: survival curves, with what is still open counted for as long as it is known.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from imcm.errors import InvalidValue
from imcm.plots.canvas import axes_for, finished, headed, key, said, spread, words
from imcm.plots.captions import about, statistic_of, titled
from imcm.plots.inks import MOST_CURVES, Ink, palette_of
from imcm.plots.scales import reach, with_unit
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.units import SECONDS, shown
from imcm.projections.statistics.survival import KaplanMeier, curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS: Final = 1_500
"""Of a longer curve this many points are drawn: more than a picture has columns."""

MOST_BANDS: Final = 3
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
    there are at most three curves. What is still open counts for as long as it is known to last,
    and is marked with a "+" there. A thin line goes down from the value of the figure, which is the
    number in the legend: a median, a mean, or what else it is, of what is over. Where some are
    still open and it is a median, the median of the curve, which counts them, stands behind it. Of
    a figure with groups, the curves of the five with most values are drawn.

    Durations are in seconds; the axis is logarithmic where the longest is fifty times the shortest
    above 0, and then begins with a linear part where some are 0.

    Args:
        figure: Of durations, such as `time_to_restore` returns.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: The figure is not of durations, or counts some below 0.
        MissingExtraError: The extra `plot` is not installed.
    """
    return of_preset(figure, None, ax=ax)


def of_preset(figure: Figure, preset: str | None, /, *, ax: Axes | None = None) -> Axes:
    """Draw survival curves of durations; the picture names the *preset* of their definition."""
    if not isinstance(figure, Figure) or not is_of_durations(figure):
        raise InvalidValue("figure", figure, "a figure of durations, as time_to_restore gives")
    counted = [each for each in figure.groups if each.n or each.censored]
    largest = sorted(counted, key=lambda each: (-each.n, each.group or ""))[:MOST_CURVES]
    drawn = [each for each in counted if each in largest] or [figure]
    lines = [about(figure, preset)]
    if len(counted) > len(drawn):
        lines.append(f"the {len(drawn)} groups with most of {len(counted):,}")
    names = [words(each.group, 30) if figure.groups else "" for each in drawn]
    return curves(
        list(zip(names, drawn, strict=True)),
        title=titled(figure, words(figure.name)),
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
    keyed_below: bool = False,
) -> Axes:
    """
    Draw the survival curves of some figures.

    Args:
        named: Each with its name in the legend, made by `words`.
        figure: Gives the name and the level, and the reason where nothing is counted.
        keyed_below: Puts the legend below the axes, where it needs much room.
    """
    columns = [(list(each.values()), [one.value for one in each.censored]) for _, each in named]
    values = sorted(value for pair in columns for part in pair for value in part)
    axes = axes_for(ax, height=4.5 + (0.35 if keyed_below else 0))
    if not values:
        return said(axes, title, words(figure.reason or "nothing to count", 200))
    if values[0] < 0:
        allowed = "durations of 0 or more: a survival curve knows no others"
        raise InvalidValue("figure", values[0], allowed)
    goes, palette = reach(SECONDS, values, room=0.04), palette_of(axes)
    # On dark paper, as much of a colour is seen less.
    alpha = (0.15 if len(named) == 1 else 0.1) * (1 if palette.is_light else 2)
    for (name, each), (ended, open_), ink in zip(named, columns, palette.inks, strict=False):
        whole = curve(ended, open_, level=figure.definition.level)
        label = _label(f"{name}:{chr(10) if keyed_below else ' '}" if name else "", each, whole)
        _draw(axes, whole, ink, label, left=goes.low)
        _mark(axes, whole, ink, each.value)
        if len(named) <= MOST_BANDS:
            _band(axes, whole, ink, left=goes.low, alpha=alpha)
    unit = goes.on(axes, "x")
    axes.axhline(0.5, color=palette.pale, linewidth=1, zorder=0)
    axes.set_ylim(0, 1.03)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100"])
    axes.set_xlabel(with_unit(words(figure.name), unit))
    axes.set_ylabel("not over yet (%)")
    if keyed_below:
        key(axes, below=0.45, ncols=1, fontsize=9)
    else:
        axes.legend(frameon=False, loc="best", fontsize=9, labelcolor=palette.strong)
    headed(axes, title, *lines, _notes(named, figure))
    return finished(axes)


def _notes(named: Sequence[tuple[str, Figure]], figure: Figure) -> str:
    notes = ["the curve is that of Kaplan and Meier; thin line down: the figure's own value"]
    if any(each.censored for _, each in named):
        notes.append("+: still open")
    if len(named) <= MOST_BANDS:
        notes.append(f"bands: {100 * figure.definition.level:g} % intervals")
    else:
        notes.append(f"no bands: of more than {MOST_BANDS} curves they lie on each other")
    return "; ".join(notes)


def _label(name: str, figure: Figure, whole: KaplanMeier) -> str:
    count = f"n = {figure.n:,}"
    if figure.censored:
        count += f", {len(figure.censored):,} still open"
    statistic = statistic_of(figure) or "value"
    text = f"{name}{statistic} {shown(figure.value, SECONDS)}, {count}"
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
    """Draw a thin line at the value of a figure, from its curve down to the axis."""
    if value is None:
        return
    height = whole.survival_at(value) or 0.0
    axes.plot([value, value], [0, height], color=ink.colour, linewidth=0.8, linestyle="-")
    axes.plot([value], [height], linestyle="none", marker=ink.marker, markersize=5,
              color=ink.colour)  # fmt: skip


def _band(axes: Axes, whole: KaplanMeier, ink: Ink, *, left: float, alpha: float) -> None:
    rows = spread(len(whole.times), MOST_POINTS)
    low, high = ([1.0, *(bound[row] for row in rows)] for bound in (whole.low, whole.high))
    nan = float("nan")
    axes.fill_between(
        [left, *(whole.times[row] for row in rows)],
        [nan if bound is None else bound for bound in low],
        [nan if bound is None else bound for bound in high],
        step="post",
        color=ink.colour,
        alpha=alpha,
        linewidth=0,
    )
