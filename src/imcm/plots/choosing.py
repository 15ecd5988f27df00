"""
Which picture a result has: what the methods `plot` of results ask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from imcm.errors import InvalidValue
from imcm.plots.differences import before_and_after, restatement
from imcm.plots.durations import is_of_durations, survival
from imcm.plots.judgements import calibration
from imcm.plots.parts import groups, over_time, side_by_side
from imcm.plots.timelines import lanes, timeline
from imcm.projections.figures.excerpt import one_of
from imcm.projections.figures.figure import Figure
from imcm.projections.histories.timeline import Timeline
from imcm.projections.reports.calibration import Calibration
from imcm.projections.reports.compare import Comparison
from imcm.projections.reports.dora import DoraReport, SideBySide
from imcm.projections.reports.restated import Restatement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OF_FIGURES: Final[Mapping[str, Callable[..., Axes]]] = {
    "over_time": over_time,
    "groups": groups,
    "survival": survival,
}
OF_TIMELINES: Final[Mapping[str, Callable[..., Axes]]] = {"events": timeline, "lanes": lanes}


def plot(
    result: object,
    /,
    kind: str | None = None,
    *,
    metric: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw a result as its method `plot` does.

    Args:
        result: A figure, a DORA report, a comparison, a restatement, a calibration, presets side by
            side, or a timeline.
        kind: Of a figure and a report "over_time" (where it has periods), "groups" or "survival";
            None takes the first of them that it has. Of a timeline "events" or "lanes"; None takes
            events where it has at most four incidents and changes. Others have one picture.
        metric: Of a report: which of its figures; None takes the change failure rate, for
            "survival" time to restore.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: There is no picture of it, or none of that kind, or no such metric.
        MissingExtraError: The extra `plot` is not installed.
    """
    if isinstance(result, DoraReport):
        return _figure(_of_report(result, kind, metric), kind, ax)
    if metric is not None:
        raise InvalidValue("metric", metric, "None: only a report has several")
    if isinstance(result, Figure):
        return _figure(result, kind, ax)
    if isinstance(result, Timeline):
        if kind is None:
            kind = "events" if len({(each.kind, each.id) for each in result}) <= 4 else "lanes"
        return _chosen(kind, OF_TIMELINES)(result, ax=ax)
    if kind is not None:
        raise InvalidValue("kind", kind, "None: there is one picture of it")
    match result:
        case Comparison():
            return before_and_after(result, ax=ax)
        case Restatement():
            return restatement(result, ax=ax)
        case Calibration():
            return calibration(result, ax=ax)
        case SideBySide():
            return side_by_side(result, ax=ax)
        case _:
            allowed = "a figure, a report, a comparison, a restatement or a timeline"
            raise InvalidValue("result", result, allowed)


def _of_report(report: DoraReport, kind: str | None, metric: str | None) -> Figure:
    if metric is None:
        metric = "restore" if kind == "survival" else "change_failure_rate"
    figures = report.figures
    if not isinstance(metric, str) or metric not in figures:
        raise InvalidValue("metric", metric, one_of(metric, figures))
    return figures[metric]


def _figure(figure: Figure, kind: str | None, ax: Axes | None) -> Axes:
    if kind is None:
        kind = "groups"
        if figure.buckets:
            kind = "over_time"
        elif not figure.groups and is_of_durations(figure):
            kind = "survival"
    return _chosen(kind, OF_FIGURES)(figure, ax=ax)


def _chosen(kind: object, pictures: Mapping[str, Callable[..., Axes]]) -> Callable[..., Axes]:
    if not isinstance(kind, str) or kind not in pictures:
        raise InvalidValue("kind", kind, one_of(kind, pictures))
    return pictures[kind]
