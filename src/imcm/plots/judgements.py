"""
How good a judgement is: predicted against what happened, and the evidence on a canary over time.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import attrs

from imcm.domain.policy.judging import CanaryPlan, CanaryVerdict, Look, evidence_path, judge
from imcm.domain.vocabulary import is_list, is_mapping
from imcm.errors import InvalidValue
from imcm.plots.bars import Bar, draw_bars
from imcm.plots.canvas import axes_for, finished, grid, headed, lines_of, said, spread, words
from imcm.plots.inks import MOST_CURVES, palette_of
from imcm.plots.scales import scaled, ticks_read, with_unit
from imcm.projections.figures.units import SHARE
from imcm.projections.reports.calibration import Calibration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# --- calibration ----------------------------------------------------------------------------------


def calibration(result: Calibration, /, *, ax: Axes | None = None) -> Axes:
    """
    Draw how well failures were predicted: what was predicted against what happened, by deciles.

    Each point is a tenth of the deployments, with the Wilson interval of the share that failed. On
    the dashed line predictions are right; above it more failed than was predicted.

    Args:
        result: As `imcm.calibration` returns it.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: It is no calibration.
        MissingExtraError: The extra `plot` is not installed.
    """
    if not isinstance(result, Calibration):
        raise InvalidValue("result", result, "what calibration(...) returns")
    title = "Predicted and observed failures"
    axes = axes_for(ax, width=6.0, height=5.2)
    bins = result.bins
    if not bins or result.whole is None:
        return said(axes, title, "nothing to learn from before any deployment")
    x, y = [each.predicted for each in bins], [each.observed for each in bins]
    highs = [high for each in bins if (high := each.interval.high) is not None]
    most = max(*x, *y, *highs, 1e-6)
    palette = palette_of(axes)
    axes.plot([0, most], [0, most], color=palette.soft, linestyle="--", linewidth=1)
    bars = [
        Bar(each.predicted, each.observed, each.interval.low, each.interval.high) for each in bins
    ]
    draw_bars(axes, bars, palette.blue, (0.0, 1.0), upright=True, width=1.4)
    axes.plot(
        x,
        y,
        color=palette.blue,
        linestyle="none",
        marker="o",
        markersize=7,
    )
    for axis in (axes.xaxis, axes.yaxis):
        scaled(axis, SHARE, 0.0, most)
    axes.set_xlim(-0.02 * most, most * 1.05)
    axes.set_ylim(-0.02 * most, most * 1.05)
    axes.set_xlabel("predicted failures (%)")
    axes.set_ylabel("observed failures (%)")
    grid(axes, "both")
    counts = sorted({each.n for each in bins})
    size = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    level = 100 * bins[0].interval.level
    headed(
        axes,
        title,
        f"{len(bins)} parts of {size} deployments each, by what was predicted",
        f"dashed: as predicted; bars: {level:g} % intervals ({bins[0].interval.method})",
        *lines_of(result, 400, most=1),
    )
    return finished(axes)


# --- canary ---------------------------------------------------------------------------------------

MOST_LOOKS: Final = 2_000


def canary(
    looks: Iterable[Look] | Mapping[str, Iterable[Look]],
    plan: CanaryPlan,
    /,
    *,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw the evidence on a canary after each look, up to where it is enough to abort.

    The evidence says how much likelier what was seen is if the canary fails more often than its
    baseline; 1 is neither way. With several metrics there is a line for each, and one for all,
    which decides. Stages of the rollout are shaded in turn and labelled with their share of users.

    Args:
        looks, plan: As `imcm.judge` takes them.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: As of `judge`.
        MissingExtraError: The extra `plot` is not installed.
    """
    kept: Any = (
        {name: _kept(each) for name, each in looks.items()} if is_mapping(looks) else _kept(looks)
    )
    verdict, path = judge(kept, plan), evidence_path(kept, plan)
    names = list(plan.metrics)
    of_one: Sequence[Look] = () if is_mapping(kept) else kept
    looks_of: Mapping[str, Sequence[Look]] = (
        kept if is_mapping(kept) else dict.fromkeys(names, of_one)
    )
    axes = axes_for(ax)
    palette = palette_of(axes)
    title = f"Canary: {verdict.decision.value}"
    if not path:
        return said(axes, title, "no looks yet")
    threshold = -math.log10(plan.alpha)
    lines = {"all metrics" if len(names) > 1 else words(names[0], 30): path}
    for name in names[: MOST_CURVES - 1] if len(names) > 1 else ():
        alone = evidence_path({name: looks_of[name]}, attrs.evolve(plan, metrics=(name,)))
        lines[words(name, 30)] = alone
    for number, ((name, each), ink) in enumerate(zip(lines.items(), palette.inks, strict=False)):
        rows = spread(len(each), MOST_LOOKS)
        axes.plot(
            [row + 1 for row in rows],
            [each[row] / math.log(10) for row in rows],
            color=ink.colour,
            linestyle=ink.dashes,
            linewidth=1.4 if number else 2.0,
            marker=ink.marker if len(each) <= 60 else "",
            markersize=5,
            label=name,
        )
    axes.axhline(threshold, color=palette.vermillion, linestyle="--", linewidth=1.2)
    axes.axhline(0, color=palette.soft, linewidth=0.7)
    if verdict.passed_at is not None:
        at = verdict.passed_at
        axes.plot(
            [at],
            [path[at - 1] / math.log(10)],
            linestyle="none",
            marker="X",
            markersize=12,
            color=palette.vermillion,
            markeredgecolor=palette.strong,
            label=f"enough to abort, look {at:,}",
        )
    _finish_canary(axes, threshold, [value for each in lines.values() for value in each])
    _stages(axes, [look.percent for look in looks_of[names[0]]])
    headed(axes, title, *lines_of(verdict.reason, 300, most=1), _rest(verdict, plan))
    return finished(axes)


# Any: what is no list of looks is refused by `judge`, which says so.
def _kept(value: object) -> Any:
    """Return a list that can be gone through more than once; what is none as it is."""
    return tuple(value) if is_list(value) and not is_mapping(value) else value


def _rest(verdict: CanaryVerdict, plan: CanaryPlan) -> str:
    return (
        f"dashed: {1 / plan.alpha:.4g} aborts, however often one looks "
        f"(alpha {100 * plan.alpha:.3g} %); p-value {verdict.p_value:.3g}"
    )


def _finish_canary(axes: Axes, threshold: float, values: Sequence[float]) -> None:
    from matplotlib.ticker import MaxNLocator

    low = min([0.0, *values]) / math.log(10)
    high = max(threshold, *(value / math.log(10) for value in values))
    room = 0.12 * (high - low)
    axes.set_ylim(low - room, high + 1.6 * room)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    ticks_read(axes.yaxis, lambda value: _power(round(value)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))
    axes.set_xlabel("look (number)")
    axes.set_ylabel(with_unit("evidence of failing more", "times as likely"))
    axes.legend(frameon=False, loc="best", fontsize=9, labelcolor=palette_of(axes).strong)


def _power(exponent: int) -> str:
    if abs(exponent) > 4:
        return f"1e{exponent}"
    return f"{10**exponent:,}" if exponent >= 0 else f"{10.0**exponent:.{-exponent}f}"


def _stages(axes: Axes, percents: Sequence[float | None]) -> None:
    """Shade every other stage, and write above each which share of users it had."""
    palette = palette_of(axes)
    stages: list[tuple[float | None, int, int]] = []
    for percent, some in groupby(enumerate(percents, start=1), key=lambda pair: pair[1]):
        numbers = [number for number, _ in some]
        stages.append((percent, numbers[0], numbers[-1]))
    for index, (percent, first, last) in enumerate(stages):
        if index % 2:
            axes.axvspan(
                first - 0.5,
                last + 0.5,
                color=palette.tint(palette.strong, 0.08),
                zorder=0,
                linewidth=0,
            )
        # In a stretch narrower than its label there is no room for one.
        if percent is not None and (last - first + 1) / len(percents) >= 0.04:
            axes.text(
                (first + last) / 2,
                0.99,
                f"{percent:g} %",
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="top",
                fontsize=9,
                color=palette.soft,
            )
    axes.set_xlim(0.5, len(percents) + 0.5)
