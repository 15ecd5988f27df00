"""
Which picture a result has: what the methods `plot` of results ask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from imcm.errors import InvalidValue
from imcm.plots import durations, forests, periods
from imcm.plots.differences import before_and_after, restatement
from imcm.plots.durations import is_of_durations
from imcm.plots.forests import side_by_side, what_if
from imcm.plots.judgements import calibration
from imcm.plots.reports import metrics
from imcm.plots.timelines import lanes, timeline
from imcm.projections.figures.excerpt import one_of
from imcm.projections.figures.figure import Figure
from imcm.projections.histories.timeline import Timeline
from imcm.projections.reports.calibration import Calibration
from imcm.projections.reports.compare import Comparison
from imcm.projections.reports.dora import DoraReport, SideBySide
from imcm.projections.reports.restated import Restatement
from imcm.projections.reports.what_if import WhatIf

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture
    from matplotlib.figure import SubFigure

ALL: Final = "all"
OF_FIGURES: Final[Mapping[str, Callable[..., Axes]]] = {
    "over_time": periods.of_preset,
    "groups": forests.of_preset,
    "survival": durations.of_preset,
}
OF_TIMELINES: Final[Mapping[str, Callable[..., Axes]]] = {"events": timeline, "lanes": lanes}


@overload
def plot(  # type: ignore[overload-overlap]  # a kind that is any text is one of the others
    result: DoraReport, /, kind: Literal["all"], *, ax: Picture | SubFigure | None = None
) -> tuple[Axes, ...]: ...
@overload
def plot(
    result: object,
    /,
    kind: str | None = None,
    *,
    metric: str | None = None,
    time_zone: str | None = None,
    ax: Axes | None = None,
) -> Axes: ...
def plot(
    result: object,
    /,
    kind: str | None = None,
    *,
    metric: str | None = None,
    time_zone: str | None = None,
    ax: Axes | Picture | SubFigure | None = None,
) -> Axes | tuple[Axes, ...]:
    """
    Draw a result as its method `plot` does, and return the Axes.

    Args:
        result: A figure, a DORA report, a comparison, a restatement, a calibration, presets side by
            side, what a policy would have stopped, or a timeline.
        kind: Of a figure and a report "over_time" (where it has periods), "groups" or "survival";
            None takes the first of them that it has. Of a report also "all", a panel for each
            metric, which returns a tuple of Axes. Of a timeline "events" or "lanes"; None takes
            events where it has at most four incidents and changes. Others have one picture.
        metric: Of a report: which of its figures; None takes the change failure rate, for
            "survival" time to restore.
        time_zone: Of a timeline: the IANA zone in which times are labelled, UTC for None. All else
            is labelled in the zone that it was computed in.
        ax: Axes to draw into; for "all" a Figure or SubFigure; None makes new ones.

    Raises:
        InvalidValue: There is no picture of it, or none of that kind, or no such metric.
        MissingExtraError: The extra `plot` is not installed.
    """
    if not isinstance(result, DoraReport) and metric is not None:
        raise InvalidValue("metric", metric, "None: only a report has several")
    if isinstance(result, Timeline):
        if kind is None:
            kind = "events" if len({(each.kind, each.id) for each in result}) <= 4 else "lanes"
        return _chosen(kind, OF_TIMELINES)(result, time_zone=time_zone or "UTC", ax=ax)
    if time_zone is not None:
        allowed = "None: it is labelled in the zone that it was computed in"
        raise InvalidValue("time_zone", time_zone, allowed)
    if isinstance(result, DoraReport):
        return _report(result, kind, metric, ax)
    if isinstance(result, Figure):
        return _figure(result, kind, None, ax)
    if kind is not None:
        raise InvalidValue("kind", kind, "None: there is one picture of it")
    for of, draw in OF_OTHERS.items():
        if isinstance(result, of):
            return draw(result, ax=ax)
    allowed = "a figure, a report, a comparison, a restatement or a timeline"
    raise InvalidValue("result", result, allowed)


OF_OTHERS: Final[Mapping[type, Callable[..., Axes]]] = {
    Comparison: before_and_after,
    Restatement: restatement,
    Calibration: calibration,
    SideBySide: side_by_side,
    WhatIf: what_if,
}
"""What there is one picture of."""


# Any: where it is neither Axes nor a figure, the picture says so.
def _report(
    report: DoraReport, kind: str | None, metric: str | None, ax: Any
) -> Axes | tuple[Axes, ...]:
    if kind == ALL:
        if metric is not None:
            raise InvalidValue("metric", metric, 'None: "all" draws each of them')
        return metrics(report, ax=ax)
    if metric is None:
        metric = "restore" if kind == "survival" else "change_failure_rate"
    figures = report.figures
    if not isinstance(metric, str) or metric not in figures:
        raise InvalidValue("metric", metric, one_of(metric, figures))
    if kind is not None and kind not in OF_FIGURES:
        raise InvalidValue("kind", kind, one_of(kind, [*OF_FIGURES, ALL]))
    return _figure(figures[metric], kind, report.preset, ax)


def _figure(figure: Figure, kind: str | None, preset: str | None, ax: Any) -> Axes:
    if kind is None:
        kind = "groups"
        if figure.buckets:
            kind = "over_time"
        elif not figure.groups and is_of_durations(figure):
            kind = "survival"
    return _chosen(kind, OF_FIGURES)(figure, preset, ax=ax)


def _chosen(kind: object, pictures: Mapping[str, Callable[..., Axes]]) -> Callable[..., Axes]:
    if not isinstance(kind, str) or kind not in pictures:
        raise InvalidValue("kind", kind, one_of(kind, pictures))
    return pictures[kind]
