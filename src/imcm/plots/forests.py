"""
A point with its interval for each of several: groups, presets, two sides, rules of a policy.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from imcm.domain.vocabulary import Risk, Severity
from imcm.errors import InvalidValue
from imcm.plain import count_of
from imcm.plots.bars import Bar, draw_bars, ends
from imcm.plots.canvas import axes_for, beside, finished, grid, headed, rows_named, said, words
from imcm.plots.captions import about, level_of, measured, of_how_many, titled
from imcm.plots.inks import palette_of
from imcm.plots.scales import reach, with_unit
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.units import COUNT, SHARE, brief, shown
from imcm.projections.reports.dora import SideBySide
from imcm.projections.reports.what_if import Share, WhatIf

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS: Final = 30
"""Of more groups, those with most values are drawn."""

# --- rows -----------------------------------------------------------------------------------------


class Row(NamedTuple):
    """
    One row: its name, its value with an interval, and what stands beside it.

    Attributes:
        value: In the unit of the axis; None draws no point.
        ink: The name of its colour in the palette.
        marker: The shape of its point.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    text: str
    ink: str = "blue"
    marker: str = "o"


def row_of(name: str, figure: Figure, unit: str, *, is_whole: bool = False) -> Row:
    """Return the row of a figure; without a point where it is undefined or in another unit."""
    look = ("strong", "D") if is_whole else ("blue", "o")
    if figure.value is None:
        reason = f"undefined: {words(figure.reason or '', 40)}"
        return Row(name, None, None, None, reason, *look)
    text = f"{brief(figure.value, figure.unit)}   {of_how_many(figure)}"
    if figure.unit != unit:
        return Row(name, None, None, None, text, *look)
    return Row(name, figure.value, *ends(figure), text, *look)


def draw_rows(axes: Axes, rows: Sequence[Row], unit: str, *, whole: float | None = None) -> str:
    """
    Draw rows, with a dotted line at *whole*; return the unit of the axis in words.

    Of the rows at least one has a value.
    """
    palette = palette_of(axes)
    values = [row.value for row in rows if row.value is not None]
    bounds = [end for row in rows for end in (row.low, row.high) if end is not None]
    goes = reach(unit, values, bounds)
    for number, row in enumerate(rows):
        ink: Any = getattr(palette, row.ink)
        if row.value is not None:
            bar = Bar(number, row.value, row.low, row.high)
            draw_bars(axes, [bar], ink, (goes.low, goes.high), upright=False, width=1.6)
            axes.plot([row.value], [number], linestyle="none", marker=row.marker, markersize=7,
                      color=ink)  # fmt: skip
        beside(axes, number, row.text, palette.note if row.value is None else palette.title)
    if whole is not None:
        axes.axvline(whole, color=palette.strong, linewidth=1, linestyle=":", zorder=0)
    words_of_unit = goes.on(axes, "x", most=6)
    rows_named(axes, [row.name for row in rows])
    grid(axes, "x")
    return words_of_unit if unit != COUNT else "number"


def height_of(rows: int) -> float:
    """Return how high a new figure with so many rows is, in inches."""
    return 1.9 + 0.32 * rows


# --- by group -------------------------------------------------------------------------------------


def groups(figure: Figure, /, *, ax: Axes | None = None) -> Axes:
    """
    Draw a figure by group: a point with its interval for each, and the whole below.

    Severities and risks stand in their own order, the worst severity and the lowest risk first; of
    others the highest value stands first. Of more than thirty groups those with most values are
    drawn, and the picture says so. A group in which the figure is undefined is there, with the
    reason. Where one end of an interval has no bound, a dashed line goes on to the edge.

    Args:
        figure: As a rule with groups: computed with `group_by`.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: It is no figure.
        MissingExtraError: The extra `plot` is not installed.
    """
    return of_preset(figure, None, ax=ax)


def of_preset(figure: Figure, preset: str | None, /, *, ax: Axes | None = None) -> Axes:
    """Draw a figure by group; the picture names the *preset* whose definition it is."""
    if not isinstance(figure, Figure):
        raise InvalidValue("figure", figure, "a figure, such as change_failure_rate returns")
    kept = drawn_groups(figure, MOST_ROWS)
    lines = [about(figure, preset), level_of([*kept, figure])]
    if len(figure.groups) > len(kept):
        lines.append(f"the {len(kept)} groups with most of {len(figure.groups):,}")
    rows = [(words(each.group, 32), each) for each in kept]
    return _forest(rows, figure, titled(figure), lines, ax)


def drawn_groups(figure: Figure, most: int) -> list[Figure]:
    """Return at most so many groups of a figure, those with most values, as they are drawn."""
    kept = sorted(figure.groups, key=lambda each: (-each.n, each.group or ""))[:most]
    order = _order_of(figure.definition.group_by, [each.group or "" for each in kept])

    def place(each: Figure) -> tuple[int, bool, float, str]:
        name = each.group or ""
        # What has a place of its own keeps it, whatever its value is.
        value = 0.0 if name in order else -(each.value or 0)
        return order.get(name, len(order)), each.value is None and not order, value, name

    return sorted(kept, key=place)


def _order_of(group_by: str | None, names: Sequence[str]) -> dict[str, int]:
    """Return the place of each group that has one of its own: severities and risks."""
    natural: Sequence[str] = ()
    if group_by in {"severity", "severity_name"}:
        natural = tuple(map(str, Severity))
        if group_by == "severity_name" and all(re.search(r"\d", name) for name in names):
            natural = sorted(names, key=lambda name: (int(re.findall(r"\d+", name)[0]), name))
    elif group_by == "risk":
        natural = tuple(map(str, Risk))
    return {name: place for place, name in enumerate(natural)}


# --- by preset ------------------------------------------------------------------------------------


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
    figures = list(result.figures.values())
    rows = [(words(name, 32), figure) for name, figure in result.figures.items()]
    name = words(next((each.name for each in figures), result.metric))
    when = about(figures[0]).partition(";")[0] if figures else ""
    lines = [f"{when}; the same log, as each tool counts it", level_of(figures)]
    return _forest(rows, None, f"{name[:1].upper()}{name[1:]} side by side", lines, ax)


def _forest(
    named: Sequence[tuple[str, Figure]],
    whole: Figure | None,
    title: str,
    lines: Sequence[str],
    ax: Axes | None,
) -> Axes:
    every = [*named, *([] if whole is None else [("all together", whole)])]
    axes = axes_for(ax, height=height_of(len(every)))
    units = Counter(figure.unit for _, figure in every if figure.value is not None)
    if not units:
        reason = whole.reason if whole is not None else "no preset has a value"
        return said(axes, title, words(reason or "nothing to count", 200))
    unit = draw_figures(axes, named, whole)
    if len(units) > 1:
        lines = [*lines, "without a point: in another unit"]
    drawn = next(figure for _, figure in every if figure.value is not None)
    name = measured(drawn) if whole is not None else words(drawn.name)
    axes.set_xlabel(with_unit(name, unit))
    headed(axes, title, *lines)
    return finished(axes)


def draw_figures(axes: Axes, named: Sequence[tuple[str, Figure]], whole: Figure | None) -> str:
    """Draw figures, and the whole below, in the unit that most have; return it in words."""
    every = [*named, *([] if whole is None else [("all together", whole)])]
    units = Counter(figure.unit for _, figure in every if figure.value is not None)
    [(unit, _)] = units.most_common(1)
    rows = [row_of(name, figure, unit, is_whole=figure is whole) for name, figure in every]
    return draw_rows(axes, rows, unit, whole=whole.value if whole and named else None)


# --- by rule --------------------------------------------------------------------------------------


def what_if(result: WhatIf, /, *, ax: Axes | None = None) -> Axes:
    """
    Draw what a policy would have stopped: of that, and of what it would let in, the share that
    failed.

    There is a row for each guard, for all that it would have stopped, and for what it would have
    let in, each with its Wilson interval. The dotted line is the share of what it would have let
    in: a policy that picks out what fails stands to the right of it. What several guards would have
    stopped counts for each of them. The picture says what the policy meets, and not what it would
    have prevented.

    Args:
        result: As `imcm.what_if` returns it.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: It is no such result.
        MissingExtraError: The extra `plot` is not installed.
    """
    if not isinstance(result, WhatIf):
        raise InvalidValue("result", result, "what what_if(...) returns")
    title = f"What if {words(result.policy, 40)}, version {words(result.version, 20)}"
    by_guard = sorted(result.by_guard.items(), key=lambda item: (-item[1].of, item[0]))
    rows = [_row_of_share(words(guard, 32), share) for guard, share in by_guard[:MOST_ROWS]]
    whole = _row_of_share("all it would stop", result.share_of_stopped)
    others = _row_of_share("let in", result.share_of_passed)
    rows += [
        whole._replace(ink="vermillion", marker="s"),
        others._replace(ink="strong", marker="D"),
    ]
    axes = axes_for(ax, height=height_of(len(rows)) + 0.4)
    if not result.deployments:
        return said(axes, title, "there is no deployment to ask it of")
    unit = draw_rows(axes, rows, SHARE, whole=result.share_of_passed.value)
    axes.set_xlabel(with_unit("of these deployments, failed", unit))
    headed(axes, title, *_said_of(result))
    return finished(axes)


def _row_of_share(name: str, share: Share) -> Row:
    if share.value is None:
        return Row(name, None, None, None, "none")
    text = f"{shown(share.value, SHARE)}   {share.failed:,} of {share.of:,} failed"
    return Row(name, share.value, share.interval.low, share.interval.high, text)


def _said_of(result: WhatIf) -> list[str]:
    held = f"{len(result.stopped):,} of {count_of(result.deployments, 'deployment')}"
    lines = [f"{held} stopped or delayed; bars: 95 % intervals (Wilson score)"]
    between = result.difference
    if between.low is not None and between.high is not None:
        points = f"{100 * between.low:+.1f} to {100 * between.high:+.1f} percentage points"
        shows = "no difference is shown" if between.low <= 0 <= between.high else "0 is not in it"
        lines.append(f"stopped less let in: {points} at 95 % (Newcombe): {shows}")
    return [*lines, "it says what the policy meets, and not what it would have prevented"]
