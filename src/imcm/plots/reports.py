"""
All metrics of a report in one picture: a panel for each.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from imcm.errors import InvalidValue
from imcm.plots.bars import bar_of
from imcm.plots.canvas import axes_for, finished, headed, lines_of, loaded, said, words
from imcm.plots.captions import chosen, period_of, titled
from imcm.plots.forests import draw_figures, drawn_groups
from imcm.plots.inks import palette_of
from imcm.plots.periods import MOST_BARS, by_group, draw_periods, has_values, whole_of
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.units import minute, zone
from imcm.projections.reports.dora import DoraReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture
    from matplotlib.figure import SubFigure

COLUMNS: Final = 2
MOST_GROUPS: Final = 8
"""In a panel, of more groups those with most values are drawn."""


def metrics(report: DoraReport, /, *, ax: Picture | SubFigure | None = None) -> tuple[Axes, ...]:
    """
    Draw all metrics of a report in one picture, a panel for each.

    Where the report has periods each panel is the metric over time, as `over_time` draws it, else
    its groups, where it has some, and its value, each with its interval. Above all of it stand the
    period, the preset, and the day as of which it is; above each panel its value and of how many.

    Args:
        report: As `imcm.dora_report` returns it.
        ax: A figure of matplotlib to draw into, or a part of one (`figure.subfigures()`), both best
            made with `layout="constrained"`; None makes a new one. One Axes has no room for it.

    Returns:
        The Axes of the panels, in the order of `report.figures`. The whole picture is the figure of
        any of them.

    Raises:
        InvalidValue: It is no report, or *ax* is neither a figure nor a part of one.
        MissingExtraError: The extra `plot` is not installed.
    """
    if not isinstance(report, DoraReport):
        raise InvalidValue("report", report, "what dora_report(...) returns")
    figures = report.figures
    rows = -(-len(figures) // COLUMNS)
    picture = _picture(ax, 12.0, 1.0 + rows * _panel_height(report))
    panels = picture.subplots(rows, COLUMNS, squeeze=False).flat
    drawn = tuple(
        _panel(axes, figure) for axes, figure in zip(panels, figures.values(), strict=False)
    )
    for axes in list(panels)[len(drawn) :]:
        axes.remove()
    _key(picture, drawn)
    _heading(picture, drawn[0], report)
    return drawn


def _picture(ax: object, width: float, height: float) -> Any:
    """Return the figure to draw into: that given, or a new one of pyplot."""
    pyplot = loaded()
    from matplotlib.figure import Figure as Picture
    from matplotlib.figure import FigureBase

    if ax is None:
        return pyplot.figure(figsize=(width, height), layout="constrained")
    if not isinstance(ax, FigureBase):
        allowed = (
            'None, or a Figure or SubFigure for kind="all": it has a panel for each metric; one '
            "metric, metric=..., fits into Axes"
        )
        raise InvalidValue("ax", ax, allowed)
    if isinstance(ax, Picture) and ax.get_layout_engine() is None:
        ax.set_layout_engine("constrained")
    return ax


def _panel_height(report: DoraReport) -> float:
    rows = max((len(each.groups) for each in report.figures.values()), default=0)
    has_periods = any(figure.buckets for figure in report.figures.values())
    return 2.9 if has_periods else 1.7 + 0.3 * min(rows, MOST_GROUPS)


def _panel(axes: Axes, figure: Figure) -> Axes:
    axes_for(axes)
    has_periods = figure.definition.bucket_by is not None
    if figure.value is None and not (has_periods and has_values(figure)):
        return said(axes, titled(figure), words(figure.reason or "nothing to count", 200))
    lines = [whole_of(figure)]
    if has_periods:
        draw_periods(axes, figure, named=False)  # its name stands above
    else:
        groups = drawn_groups(figure, MOST_GROUPS)
        if len(figure.groups) > len(groups):
            lines.append(f"the {len(groups)} groups with most of {len(figure.groups):,}")
        rows = [(words(each.group, 24), each) for each in groups]
        unit = draw_figures(axes, rows, figure)
        axes.set_xlabel(unit)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_fontsize(8)
    axes.tick_params(labelsize=8)
    headed(axes, titled(figure), *lines)
    return finished(axes)


def _key(picture: Any, drawn: tuple[Axes, ...]) -> None:
    """Say once for all panels what is what."""
    found: dict[str, Any] = {}
    for axes in drawn:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        picture.legend(
            list(found.values()),
            list(found),
            loc="outside lower center",
            ncols=4,
            frameon=False,
            fontsize=8,
            labelcolor=palette_of(drawn[0]).title,
        )


def _heading(picture: Any, axes: Axes, report: DoraReport) -> None:
    from matplotlib.text import Annotation

    wide = round(picture.bbox.width / picture.get_figure(root=True).dpi * 14)
    lines = [part for line in _lines(report) if line for part in lines_of(line, wide)]
    palette = palette_of(axes)
    # The blank lines are the room that small ones stand in.
    title = picture.suptitle(
        "DORA metrics" + "\n" * len(lines),
        x=0.012,
        ha="left",
        fontsize=12,
        fontweight="bold",
        color=palette.title,
    )
    small = Annotation(
        "\n".join(lines),
        xy=(0, 0),
        xycoords=title,
        va="bottom",
        fontsize=9.5,
        linespacing=1.45,
        color=palette.note,
    )
    small.set_in_layout(False)
    picture.add_artist(small)
    for text in (title, small):
        text.set_usetex(False)
        text.set_parse_math(True)


def _lines(report: DoraReport) -> list[str]:
    """Return of which time, by which preset and as of when it is, and how to read the panels."""
    figures = list(report.figures.values())
    figure = report.change_failure_rate
    as_of = ""
    if figure.window is not None and figure.as_of is not None:
        as_of = f"as of {minute(figure.as_of, zone(figure.time_zone))}"
    about = [period_of(figure), as_of, f"preset {report.preset}"]
    reading = [f"bars: {100 * figure.definition.level:g} % intervals; none: too few for one"]
    if any(each.buckets for each in figures):
        if any(len(each.buckets) > MOST_BARS for each in figures):
            reading = [reading[0].replace("bars", "bands")]
        reading.append("dotted: the whole")
        if figure.groups:
            reading.append(f"all together; {by_group(figure)}")
    if any(bar_of(0, part).is_open for each in figures for part in (*each.buckets, *each.groups)):
        reading.insert(1, "dashed: no bound")
    return ["; ".join(filter(None, about)), chosen(figure), "; ".join(reading)]
