"""
A year at a glance: each day with its changes, its incidents and what was frozen.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from imcm import frames
from imcm.domain.policy import Policy
from imcm.domain.policy.freezes import Freeze, listed
from imcm.domain.recorded import Recorded
from imcm.plain import count_of
from imcm.plots.canvas import BLACK, VERMILLION, axes_for, finished, headed, said
from imcm.projections.facts.fold import Facts
from imcm.projections.figures.days import day_of, midnight, next_midnight
from imcm.projections.figures.definition import checked_period
from imcm.projections.figures.function import facts_of
from imcm.projections.figures.units import zone

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_WEEKS: Final = 53
"""Of a longer time the last so many weeks are drawn."""

HATCHED: Final = "#8C8C8C"
_DAY: Final = timedelta(days=1)


def calendar(
    log: Facts | Iterable[Recorded],
    /,
    *,
    window: tuple[datetime, datetime] | None = None,
    time_zone: str = "UTC",
    services: Sequence[str] | None = None,
    freezes: Policy | Iterable[Freeze] = (),
    ax: Axes | None = None,
) -> Axes:
    """
    Draw a calendar: a square for each day, darker with more deployments; dots are incidents.

    A day on which something was frozen is hatched. Deployments are those that
    `deployment_frequency` counts, incidents those that `time_to_restore` knows, on the day they
    were detected. Weeks are columns and begin on Monday.

    Args:
        log: Facts, or a log such as `ledger.replay()`, which is then read to its end.
        window: The days to draw; None those from the first to the last of the log. Of more than 53
            weeks the last 53 are drawn, and the picture says so.
        time_zone: The IANA zone whose days they are.
        services: Only what is of one of these; freezes are drawn whatever they are about.
        freezes: A policy, or freezes.
        ax: Axes to draw into; None makes new ones. Beside them a scale is drawn.

    Raises:
        InvalidValue: One of them is not as described.
        MissingExtraError: The extra `plot` is not installed.
    """
    home, known = zone(time_zone), facts_of(log)
    given = listed("freezes", freezes.freezes if isinstance(freezes, Policy) else freezes, Freeze)
    asked = checked_period("window", window)
    chosen: dict[str, Any] = {"time_zone": time_zone, "services": services}
    deployed = _per_day(frames.deployments(known, **chosen).columns()["day"])
    detected = _per_day(frames.incidents(known, **chosen).columns()["detected_day"])
    axes = axes_for(ax, width=10.0, height=3.2)
    title = "Deployments, incidents and freezes"
    if asked is not None:
        first, last = day_of(asked[0], home), day_of(asked[1] - timedelta(microseconds=1), home)
    elif deployed or detected:
        days = [*deployed, *detected]
        first, last = min(days), max(days)
    else:
        return said(axes, title, "there is neither a deployment nor an incident")
    whole = (last - first).days // 7 + 1
    monday = first - _DAY * first.weekday()
    weeks = (last - monday).days // 7 + 1
    if weeks > MOST_WEEKS:
        monday += _DAY * 7 * (weeks - MOST_WEEKS)
        weeks, first = MOST_WEEKS, max(first, monday)
    days = [first + _DAY * number for number in range((last - first).days + 1)]
    frozen = {
        day
        for freeze in given
        for start, end in freeze.stretches(midnight(first, home), next_midnight(last, home))
        for day in _days_of(start.astimezone(home), end.astimezone(home))
        if first <= day <= last
    }
    most = max((deployed[day] for day in days), default=0)
    _squares(axes, days, monday, weeks, deployed, most)
    _frozen(axes, sorted(frozen), monday)
    _dots(axes, [(day, detected[day]) for day in days if detected[day]], monday)
    _labels(axes, monday, weeks, last)
    cut = f"the last {weeks} weeks of {whole:,}; " if whole > weeks else ""
    counts = (
        f"{count_of(sum(deployed[day] for day in days), 'deployment')}, "
        f"{count_of(sum(detected[day] for day in days), 'incident')} detected, "
        f"{count_of(len(frozen), 'day')} with a freeze"
    )
    headed(axes, title, f"{cut}{first} to {last} ({time_zone}): {counts}")
    return finished(axes)


def _per_day(days: Iterable[object]) -> Counter[date]:
    return Counter(date.fromisoformat(day) for day in days if isinstance(day, str))


def _days_of(start: datetime, end: datetime) -> Iterable[date]:
    day = start.date()
    while day < end.date() or (day == end.date() and end.time() > time()):
        yield day
        day += _DAY


def _column_row(day: date, monday: date) -> tuple[int, int]:
    return (day - monday).days // 7, day.weekday()


def _squares(
    axes: Axes, days: Sequence[date], monday: date, weeks: int, counts: Counter[date], most: int
) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator

    nan = float("nan")
    cells = [[nan] * weeks for _ in range(7)]
    for day in days:
        column, row = _column_row(day, monday)
        cells[row][column] = float(counts[day])
    # From nearly white to dark: in greyscale the order stays.
    ramp = LinearSegmentedColormap.from_list("days", ["#F2F2F2", "#9CC9E3", "#0072B2", "#00304D"])
    mesh = axes.pcolormesh(
        cells, cmap=ramp, vmin=0, vmax=max(most, 1), edgecolors="white", linewidth=1.2
    )
    axes.set_aspect("equal")
    bar = axes.figure.colorbar(mesh, ax=axes, shrink=0.6, pad=0.015, aspect=12)
    bar.set_label("deployments per day", fontsize=8)
    bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4, min_n_ticks=1))
    bar.ax.tick_params(labelsize=8)


def _frozen(axes: Axes, days: Sequence[date], monday: date) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    if not days:
        return
    squares = [Rectangle(_column_row(day, monday), 1, 1) for day in days]
    axes.add_collection(
        PatchCollection(
            squares,
            facecolor="none",
            edgecolor=HATCHED,
            hatch="////",
            linewidth=0,
            label="frozen",
        )
    )
    axes.add_patch(
        Rectangle((-9, -9), 1, 1, facecolor="none", edgecolor=HATCHED, hatch="////", label="freeze")
    )


def _dots(axes: Axes, days: Sequence[tuple[date, int]], monday: date) -> None:
    if not days:
        return
    places = [_column_row(day, monday) for day, _ in days]
    axes.scatter(
        [column + 0.5 for column, _ in places],
        [row + 0.5 for _, row in places],
        s=[min(32 + 24 * (count - 1), 104) for _, count in days],
        color=VERMILLION,
        edgecolors="white",
        linewidths=0.8,
        zorder=3,
        label="incidents (larger: more)",
    )


def _labels(axes: Axes, monday: date, weeks: int, last: date) -> None:
    axes.set_xlim(0, weeks)
    axes.set_ylim(7, 0)
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    axes.set_yticks([row + 0.5 for row in range(7)], labels=names, fontsize=8)
    ticks: dict[int, str] = {}
    for week in range(weeks):
        for offset in range(min(7, (last - monday).days - 7 * week + 1)):
            day = monday + _DAY * (7 * week + offset)
            if day.day == 1:
                ticks[week] = f"{day:%b\n%Y}" if day.month == 1 or not ticks else f"{day:%b}"
    if not ticks or min(ticks) > 2:
        ticks[0] = f"{monday:%d %b\n%Y}"
    axes.set_xticks([week + 0.5 for week in ticks], labels=list(ticks.values()), fontsize=8)
    axes.set_xlabel("week", fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    kept = [pair for pair in zip(handles, labels, strict=True) if pair[1] != "frozen"]
    if kept:
        axes.legend(
            [handle for handle, _ in kept],
            [label for _, label in kept],
            loc="upper left",
            bbox_to_anchor=(0, -0.28),
            ncols=2,
            frameon=False,
            fontsize=8,
            labelcolor=BLACK,
        )
