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
from imcm.plots.bars import ends
from imcm.plots.canvas import (
    axes_for,
    beside,
    finished,
    grid,
    headed,
    lines_of,
    rows_named,
    said,
    words,
)
from imcm.plots.captions import measured, span_name, titled
from imcm.plots.durations import curves
from imcm.plots.forests import Row, draw_rows, height_of
from imcm.plots.inks import palette_of
from imcm.plots.scales import scaled, with_unit
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.units import SECONDS, SHARE, brief, shown, zone
from imcm.projections.reports.compare import Comparison, difference_text
from imcm.projections.reports.restated import Effect, Restatement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# --- before and after -----------------------------------------------------------------------------


def before_and_after(comparison: Comparison, /, *, ax: Axes | None = None) -> Axes:
    """
    Draw a comparison: both survival curves of durations, or both shares with their intervals.

    Above it stands the verdict of the tests, and the difference with its interval: two curves that
    look apart may well be one. The numbers of both sides are those that were compared, and each is
    called by its time and group. Below two shares their difference is drawn with its interval, in
    percentage points.

    Args:
        comparison: As `imcm.compare` returns it.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: It is no comparison, or one of durations below 0.
        MissingExtraError: The extra `plot` is not installed.
    """
    if not isinstance(comparison, Comparison):
        raise InvalidValue("comparison", comparison, "what compare(...) returns")
    names = _names(comparison)
    title = f"{words(comparison.name[:1].upper() + comparison.name[1:])}, {_apart(comparison)}"
    lines = lines_of(comparison.verdict, 400, most=1)
    if comparison.difference is not None:
        apart = difference_text(comparison.difference, comparison.interval, comparison.unit)
        if apart not in comparison.verdict:
            lines.append(words(f"difference b - a: {apart}", 200))
    lines += [words(f"warning: {warning}", 160) for warning in comparison.warnings[:MOST_WARNINGS]]
    if more := len(comparison.warnings[MOST_WARNINGS:]):
        lines.append(f"{count_of(more, 'more warning')}: explain() has all")
    sides = list(zip(names, (comparison.a, comparison.b), strict=True))
    if comparison.unit == SECONDS:
        return curves(sides, title=title, lines=lines, figure=comparison.b, ax=ax, keyed_below=True)
    return _side_by_side(comparison, sides, title, lines, ax)


MOST_WARNINGS: Final = 2
"""Of more warnings the first stand above the picture."""


def _apart(comparison: Comparison) -> str:
    """Return what tells the two sides apart: time, or groups."""
    a, b = comparison.a, comparison.b
    if a.window != b.window:
        return "before and after"
    if a.group is None or b.group is None or a.group == b.group:
        return "a and b"
    return f"{words(a.group, 30)} and {words(b.group, 30)}"


def _names(comparison: Comparison) -> list[str]:
    """Return what both sides are of: their times and their groups, and which is a and which b."""
    return [
        f"{_side(figure)} ({letter})"
        for letter, figure in (("a", comparison.a), ("b", comparison.b))
    ]


def _side(figure: Figure) -> str:
    """Return what one of two figures is of: its group and its time."""
    parts = [] if figure.group is None else [words(figure.group, 24)]
    if figure.window is not None:
        parts.append(span_name(figure.window, zone(figure.time_zone)))
    return ", ".join(parts) or "all time"


def _side_by_side(
    comparison: Comparison,
    sides: Sequence[tuple[str, Figure]],
    title: str,
    lines: Sequence[str],
    ax: Axes | None,
) -> Axes:
    axes = axes_for(ax, height=height_of(3) + 0.8)
    if all(figure.value is None for _, figure in sides):
        return said(axes, title, words(comparison.reason or "nothing to count", 200))
    looks = (("blue", "o"), ("vermillion", "s"))
    rows = [
        Row(name.replace(" to ", "\nto "), figure.value, *ends(figure), _value(figure), *look)
        for (name, figure), look in zip(sides, looks, strict=True)
    ]
    if comparison.difference is not None:
        rows.append(_difference(comparison, comparison.difference))
        palette = palette_of(axes)
        axes.axvline(0.0, color=palette.soft, linewidth=0.8, linestyle=":", zorder=0)
        axes.axhline(len(sides) - 0.5, color=palette.pale, linewidth=0.8, zorder=0)
    unit = draw_rows(axes, rows, comparison.unit)
    axes.set_xlabel(with_unit(words(comparison.name), unit))
    headed(axes, title, *lines)
    return finished(axes)


def _value(figure: Figure) -> str:
    if figure.value is None:
        return f"undefined: {words(figure.reason or '', 40)}"
    return f"{brief(figure.value, figure.unit)}   n = {figure.n:,}"


def _difference(comparison: Comparison, difference: float) -> Row:
    """Return the row of the difference: of shares in percentage points, of rates in their unit."""
    low, high = comparison.interval.low, comparison.interval.high
    unit, scale = comparison.unit, 1
    if unit == SHARE:
        unit, scale = "percentage points", 100
    text = f"{scale * difference:+.3g}"
    if low is not None and high is not None:
        text += f"   {scale * low:+.3g} to {scale * high:+.3g}"
    name = f"difference b - a\n({unit})"
    return Row(name, difference, low, high, text, "strong", "D")


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
    unit, name = result.after.unit, measured(result.after)
    title = titled(result.after)
    title += f"{',' if ',' in title else ''} since it was published"
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
            soft = palette_of(axes).soft
            axes.vlines(
                [effect.value_before], [row - 1], [row], color=soft, linewidth=0.7, zorder=0
            )
        rows.append(_record(result.after, effect))
    more = len(result.changes) - len(effects)
    if more:
        shown_ones = {id(each) for each in effects}
        others = [each.effect for each in result.changes if id(each) not in shown_ones]
        together = float(sum((each for each in others if each is not None), Fraction()))
        rows.append(f"{more:,} more records, which moved it less")
        colour = palette_of(axes).title
        beside(axes, len(rows) - 1, f"together {_signed(together, unit)}", colour)
    _total(axes, len(rows), result.after)
    rows.append("as known now")
    low, high = min(known), max(known)
    room = (high - low) * 0.12 or abs(high) * 0.1 or 1.0
    axes.set_xlim(low - room, high + room)
    rows_named(axes, rows)
    grid(axes, "x")
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
    palette = palette_of(axes)
    text = f"{shown(figure.value, figure.unit)}   n = {figure.n:,}"
    if figure.value is None:
        text = f"undefined: {words(figure.reason or '', 40)}"
    else:
        axes.axvline(figure.value, color=palette.soft, linewidth=0.7, linestyle=":", zorder=0)
        axes.plot([figure.value], [row], marker="D", markersize=8, color=palette.strong)
    beside(axes, row, text, palette.title)


def _bar(axes: Axes, row: int, effect: Effect, unit: str) -> None:
    palette = palette_of(axes)
    before, after = effect.value_before, effect.value_after
    if before is None or after is None:
        end = after if before is None else before
        if end is not None:
            axes.plot([end], [row], marker="x", markersize=8, color=palette.soft)
        beside(axes, row, f"{'from' if before is None else 'to'} undefined", palette.title)
        return
    up = after > before
    axes.barh(
        [row],
        [after - before],
        left=[before],
        height=0.55,
        color=palette.vermillion if up else palette.blue,
        hatch="////" if up else "",
        edgecolor=palette.paper if up else palette.blue,
        linewidth=0.8,
    )
    axes.plot([after], [row], marker=">" if up else "<", markersize=6, color=palette.strong,
              linestyle="none")  # fmt: skip
    change = 0.0 if effect.effect is None else float(effect.effect)
    beside(axes, row, _signed(change, unit), palette.title)


def _signed(value: float, unit: str) -> str:
    return ("+" if value > 0 else "") + shown(value, unit)


def _record(figure: Figure, effect: Effect) -> str:
    """Return what a record is, as the label of its row: its first event, of what, and when."""
    first = effect.events[0]
    what = re.sub(r"(?<!^)(?=[A-Z])", " ", first.type).lower()
    _, id_ = kind_and_id(first.stream)
    more = f" and {len(effect.events) - 1:,} more" if len(effect.events) > 1 else ""
    day = f"{effect.recorded_at.astimezone(zone(figure.time_zone)):%Y-%m-%d}"
    return f"{day}  {words(id_, 16)}: {words(what, 30)}{more}"
