"""
What differs: before and after, and what moved a figure since it was published.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from imcm.domain.recorded import kind_and_id
from imcm.errors import InvalidValue
from imcm.plain import count_of
from imcm.plots.canvas import (
    BLACK,
    BLUE,
    GREY,
    INKS,
    PALE,
    VERMILLION,
    axes_for,
    finished,
    headed,
    lines_of,
    said,
    scaled,
    with_unit,
    words,
)
from imcm.plots.durations import curves
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.units import SECONDS, minute, shown, zone
from imcm.projections.reports.compare import Comparison, difference_text
from imcm.projections.reports.restated import Effect, Restatement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# --- before and after -----------------------------------------------------------------------------


def before_and_after(comparison: Comparison, /, *, ax: Axes | None = None) -> Axes:
    """
    Draw a comparison: both survival curves of durations, or both shares with their intervals.

    Above it stands the verdict of the tests, and the difference with its interval: two curves that
    look apart may well be one. The numbers of both sides are those that were compared. Below two
    shares their difference is drawn with its interval, in percentage points.

    Args:
        comparison: As `imcm.compare` returns it.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: It is no comparison, or one of durations below 0.
        MissingExtraError: The extra `plot` is not installed.
    """
    if not isinstance(comparison, Comparison):
        raise InvalidValue("comparison", comparison, "what compare(...) returns")
    title = words(comparison.name[:1].upper() + comparison.name[1:]) + ", before and after"
    lines = lines_of(comparison.verdict, most=4)
    if comparison.difference is not None:
        apart = difference_text(comparison.difference, comparison.interval, comparison.unit)
        if apart not in comparison.verdict:
            lines.append(words(f"difference b - a: {apart}", 95))
    for warning in comparison.warnings[:2]:
        lines += lines_of(f"warning: {warning}", most=2)
    if more := len(comparison.warnings[2:]):
        lines.append(f"{count_of(more, 'more warning')}: explain() has all")
    sides = [(f"{name}, {_side(each)}", each) for name, each in _sides(comparison)]
    if comparison.unit == SECONDS:
        return curves(sides, title=title, lines=lines, figure=comparison.b, ax=ax)
    return _shares(comparison, sides, title, lines, ax)


def _sides(comparison: Comparison) -> list[tuple[str, Figure]]:
    return [("a", comparison.a), ("b", comparison.b)]


def _side(figure: Figure) -> str:
    """Return what one of two figures is of: its window, and its group."""
    parts = [] if figure.group is None else [words(figure.group, 24)]
    if figure.window is not None:
        home = zone(figure.time_zone)
        parts.append(" to ".join(minute(time, home) for time in figure.window))
    return ", ".join(parts) or "all time"


def _shares(
    comparison: Comparison,
    sides: Sequence[tuple[str, Figure]],
    title: str,
    lines: Sequence[str],
    ax: Axes | None,
) -> Axes:
    axes = axes_for(ax, height=3.6)
    drawn = [figure for _, figure in sides if figure.value is not None]
    if not drawn:
        return said(axes, title, words(comparison.reason or "nothing to count", 200))
    least = most = 0.0
    for row, ((_, figure), ink) in enumerate(zip(sides, INKS, strict=False)):
        if figure.value is None:
            continue
        interval = figure.interval
        low = high = figure.value
        if interval is not None and interval.low is not None and interval.high is not None:
            low, high = interval.low, interval.high
        axes.hlines([row], [low], [high], color=ink.colour, linewidth=1.8)
        axes.plot([figure.value], [row], marker=ink.marker, markersize=8, color=ink.colour)
        text = f"{shown(figure.value, figure.unit)}, n = {figure.n:,}"
        axes.annotate(
            text, (figure.value, row), (0, 9), textcoords="offset points", ha="center", fontsize=9
        )
        most = max(most, high)
    names = [name.replace(", ", "\n", 1) for name, _ in sides]
    if comparison.difference is not None:
        names.append("difference b - a\n(percentage points)")
        low, high = _difference(axes, len(sides), comparison, comparison.difference)
        least, most = min(least, low), max(most, high)
    unit = scaled(axes.xaxis, comparison.unit, least, most)
    axes.set_xlim(least * 1.1, most * 1.1 or 1.0)
    axes.set_yticks(range(len(names)), labels=names)
    axes.set_ylim(len(names) - 0.5, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(with_unit(words(comparison.name), unit))
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    headed(axes, title, *lines)
    return finished(axes)


def _difference(
    axes: Axes, row: int, comparison: Comparison, difference: float
) -> tuple[float, float]:
    """Draw the difference of two shares with its interval; return from where to where it is."""
    interval = comparison.interval
    low = difference if interval.low is None else interval.low
    high = difference if interval.high is None else interval.high
    axes.axvline(0.0, color=GREY, linewidth=0.8, linestyle=":", zorder=0)
    axes.axhline(row - 0.5, color=PALE, linewidth=0.8)
    axes.hlines([row], [low], [high], color=BLACK, linewidth=1.8)
    axes.plot([difference], [row], linestyle="none", marker="D", markersize=7, color=BLACK)
    axes.annotate(
        f"{100 * difference:+.3g}, {100 * interval.level:g} % interval "
        f"{100 * low:+.3g} to {100 * high:+.3g}",
        (difference, row),
        (0, 9),
        textcoords="offset points",
        ha="center",
        fontsize=9,
    )
    return low, high


# --- restatement ----------------------------------------------------------------------------------

MOST_EFFECTS: Final = 12
"""How many records are drawn: of more, those that moved the figure most."""


def restatement(result: Restatement, /, *, ax: Axes | None = None) -> Axes:
    """
    Draw what moved a figure since it was published: both values, and each record between them.

    A bar goes from the value without a record to the value with it, up or down. Of more than twelve
    records those that moved it most are drawn, and a line says how many others there are. The axis
    does not begin at 0: what is small beside the value is what one wants to see.

    Args:
        result: As `imcm.restated` returns it.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: It is no restatement.
        MissingExtraError: The extra `plot` is not installed.
    """
    if not isinstance(result, Restatement):
        raise InvalidValue("result", result, "what restated(...) returns")
    unit, name = result.after.unit, words(result.after.name)
    title = f"{name[:1].upper()}{name[1:]} since it was published"
    effects = _largest(result.changes)
    axes = axes_for(ax, height=2.2 + 0.36 * len(effects))
    values = [result.before.value, result.after.value]
    values += [end for each in effects for end in (each.value_before, each.value_after)]
    known = [value for value in values if value is not None]
    if not known:
        return said(axes, title, words(result.after.reason or "undefined at both points", 200))
    rows = ["as published"]
    _total(axes, 0, result.before)
    for row, effect in enumerate(effects, start=1):
        _bar(axes, row, effect, unit)
        if effect.value_before is not None:
            # From the row above, where the value came from.
            axes.vlines(
                [effect.value_before], [row - 1], [row], color=GREY, linewidth=0.7, zorder=0
            )
        rows.append(_record(result.after, effect))
    more = len(result.changes) - len(effects)
    if more:
        shown_ones = {id(each) for each in effects}
        others = [each.effect for each in result.changes if id(each) not in shown_ones]
        together = float(sum((each for each in others if each is not None), Fraction()))
        rows.append(f"{more:,} more records, which moved it less")
        _beside(axes, len(rows) - 1, f"together {_signed(together, unit)}")
    _total(axes, len(rows), result.after)
    rows.append("as known now")
    low, high = min(known), max(known)
    room = (high - low) * 0.12 or abs(high) * 0.1 or 1.0
    axes.set_xlim(low - room, high + room)
    axes.set_yticks(range(len(rows)), labels=rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    axes.set_xlabel(with_unit(name, scaled(axes.xaxis, unit, low, high)))
    moved = f"{shown(result.before.value, unit)} became {shown(result.after.value, unit)}"
    known_since = f"{count_of(result.events, 'event')} became known since"
    headed(axes, title, moved, f"{known_since}, {result.without_effect:,} of them without effect")
    return finished(axes)


def _largest(changes: Sequence[Effect]) -> list[Effect]:
    """Return the records that moved it most, in log order; first of all to or from undefined."""

    def size(index: int) -> tuple[bool, Fraction]:
        effect = changes[index].effect
        return effect is None, Fraction() if effect is None else abs(effect)

    largest = sorted(range(len(changes)), key=size, reverse=True)[:MOST_EFFECTS]
    return [changes[index] for index in sorted(largest)]


def _total(axes: Axes, row: int, figure: Figure) -> None:
    text = f"{shown(figure.value, figure.unit)}   n = {figure.n:,}"
    if figure.value is None:
        text = f"undefined: {words(figure.reason or '', 40)}"
    else:
        axes.axvline(figure.value, color=GREY, linewidth=0.7, linestyle=":", zorder=0)
        axes.plot([figure.value], [row], marker="D", markersize=8, color=BLACK)
    _beside(axes, row, text)


def _bar(axes: Axes, row: int, effect: Effect, unit: str) -> None:
    before, after = effect.value_before, effect.value_after
    if before is None or after is None:
        end = after if before is None else before
        if end is not None:
            axes.plot([end], [row], marker="x", markersize=8, color=GREY)
        _beside(axes, row, f"{'from' if before is None else 'to'} undefined")
        return
    up = after > before
    axes.barh(
        [row],
        [after - before],
        left=[before],
        height=0.55,
        color=VERMILLION if up else BLUE,
        hatch="////" if up else "",
        edgecolor="white" if up else BLUE,
        linewidth=0.8,
    )
    axes.plot(
        [after], [row], marker=">" if up else "<", markersize=6, color=BLACK, linestyle="none"
    )
    change = 0.0 if effect.effect is None else float(effect.effect)
    _beside(axes, row, _signed(change, unit))


def _signed(value: float, unit: str) -> str:
    return ("+" if value > 0 else "") + shown(value, unit)


def _beside(axes: Axes, row: int, text: str) -> None:
    axes.annotate(
        text,
        xy=(1, row),
        xycoords=axes.get_yaxis_transform(),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        annotation_clip=False,
    )


def _record(figure: Figure, effect: Effect) -> str:
    """Return what a record is, as the label of its row: its first event, of what, and when."""
    first = effect.events[0]
    what = re.sub(r"(?<!^)(?=[A-Z])", " ", first.type).lower()
    _, id_ = kind_and_id(first.stream)
    more = f" and {len(effect.events) - 1:,} more" if len(effect.events) > 1 else ""
    day = f"{effect.recorded_at.astimezone(zone(figure.time_zone)):%Y-%m-%d}"
    return f"{day}  {words(id_, 16)}: {words(what, 30)}{more}"
