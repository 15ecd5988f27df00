"""
A year at a glance: each day with its changes, its incidents and what was frozen.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from imcm import frames
from imcm.domain.policy import Policy
from imcm.domain.policy.freezes import Freeze, listed
from imcm.domain.recorded import Recorded
from imcm.plain import count_of
from imcm.plots.canvas import axes_for, finished, headed, key, said
from imcm.plots.inks import MARK, RGB, Palette, legible, mixed, palette_of
from imcm.projections.facts.fold import Facts
from imcm.projections.figures.days import day_of, midnight, next_midnight
from imcm.projections.figures.definition import checked_period
from imcm.projections.figures.function import facts_of
from imcm.projections.figures.units import zone

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from matplotlib.axes import Axes

MOST_WEEKS: Final = 53
"""Of a longer time the last so many weeks are drawn."""

MOST_DOTS: Final = 4
"""From so many incidents of one day on, dots grow no more."""

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

    The part of a day in which something was frozen is hatched, a day running from the top of its
    square to the bottom. Larger dots are more incidents of one day. Deployments are those that
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
    title = "Deployments, incidents and freezes" if given else "Deployments and incidents"
    if asked is not None:
        first, last = day_of(asked[0], home), day_of(asked[1] - timedelta(microseconds=1), home)
    elif deployed or detected:
        days = [*deployed, *detected]
        first, last = min(days), max(days)
    else:
        axes = axes_for(ax, width=10.0, height=3.2)
        return said(axes, title, "there is neither a deployment nor an incident")
    whole = (last - first).days // 7 + 1
    monday = first - _DAY * first.weekday()
    weeks = (last - monday).days // 7 + 1
    if weeks > MOST_WEEKS:
        monday += _DAY * 7 * (weeks - MOST_WEEKS)
        weeks, first = MOST_WEEKS, max(first, monday)
    days = [first + _DAY * number for number in range((last - first).days + 1)]
    axes = axes_for(ax, width=max(LEAST_WIDTH, 1.6 + 0.17 * weeks), height=3.2)
    frozen = _frozen(given, first, last, home)
    most = max((deployed[day] for day in days), default=0)
    _squares(axes, days, monday, weeks, deployed, most)
    _hatched(axes, frozen, monday)
    _dots(axes, [(day, detected[day]) for day in days if detected[day]], monday)
    _labels(axes, monday, weeks, last)
    cut = f"the last {weeks} weeks of {whole:,}; " if whole > weeks else ""
    counts = [
        count_of(sum(deployed[day] for day in days), "deployment"),
        f"{count_of(sum(detected[day] for day in days), 'incident')} detected",
    ]
    if given:
        count = len({part.day for part in frozen})
        counts.append(f"{count_of(count, 'day')} with a freeze, all of it or a part")
    headed(axes, title, f"{cut}{first} to {last} ({time_zone}): {', '.join(counts)}")
    return finished(axes)


LEAST_WIDTH: Final = 5.5
"""So wide is a new figure at least, in inches."""


def _per_day(days: Iterable[object]) -> Counter[date]:
    return Counter(date.fromisoformat(day) for day in days if isinstance(day, str))


class _Part(NamedTuple):
    """The part of a day that is frozen, from 0 to 1, as the clocks of the zone tell it."""

    day: date
    start: float
    end: float


def _frozen(freezes: Iterable[Freeze], first: date, last: date, home: ZoneInfo) -> list[_Part]:
    """Return what is frozen of each day, each stretch once, in order."""
    stretches = sorted(
        stretch
        for freeze in freezes
        for stretch in freeze.stretches(midnight(first, home), next_midnight(last, home))
    )
    together: list[tuple[datetime, datetime]] = []
    for start, end in stretches:
        if together and start <= together[-1][1]:
            together[-1] = together[-1][0], max(end, together[-1][1])
        else:
            together.append((start, end))
    return [
        part
        for start, end in together
        for part in _parts_of(start.astimezone(home), end.astimezone(home))
        if first <= part.day <= last
    ]


def _parts_of(start: datetime, end: datetime) -> Iterable[_Part]:
    day = start.date()
    while day <= end.date():
        since = _share(start) if day == start.date() else 0.0
        until = _share(end) if day == end.date() else 1.0
        if until > since:
            yield _Part(day, since, until)
        day += _DAY


def _share(moment: datetime) -> float:
    """Return which part of a day is over by the clock."""
    clock = timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)
    return clock / _DAY


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
    palette = palette_of(axes)
    ramp = LinearSegmentedColormap.from_list("days", _ramp(palette))
    mesh = axes.pcolormesh(
        cells, cmap=ramp, vmin=0, vmax=max(most, 1), edgecolors=[palette.paper], linewidth=1.2
    )
    axes.set_aspect("equal", anchor="W")
    # In the axes' own coordinates, so that it stands beside them however wide they come out.
    bar = axes.figure.colorbar(mesh, cax=axes.inset_axes((1 + 0.6 / weeks, 0.1, 0.8 / weeks, 0.8)))
    bar.set_label("deployments per day", fontsize=8, color=palette.title)
    bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4, min_n_ticks=1))
    bar.ax.tick_params(labelsize=8, labelcolor=palette.title, color=palette.title)
    bar.outline.set_edgecolor(palette.note)


def _ramp(palette: Palette) -> list[RGB]:
    """Return colours from nearly the paper to its opposite: in greyscale the order stays."""
    return [
        palette.tint(palette.strong, 0.07),
        palette.tint(palette.blue, 0.4 if palette.is_light else 0.55),
        palette.blue if palette.is_light else mixed(palette.blue, palette.strong, 0.35),
        mixed(palette.blue, palette.strong, 0.65 if palette.is_light else 0.8),
    ]


def _hatched(axes: Axes, parts: Sequence[_Part], monday: date) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    if not parts:
        return
    palette = palette_of(axes)
    places = [_column_row(part.day, monday) for part in parts]
    look: dict[str, Any] = {
        "facecolor": "none",
        "edgecolor": legible(mixed(palette.paper, palette.strong, 0.4), (palette.paper,), MARK),
        "hatch": "////",
        "linewidth": 0,
    }
    squares = [
        Rectangle((column, row + part.start), 1, part.end - part.start)
        for (column, row), part in zip(places, parts, strict=True)
    ]
    axes.add_collection(PatchCollection(squares, **look))
    axes.add_patch(Rectangle((-9, -9), 1, 1, label="frozen", **look))


def _dots(axes: Axes, days: Sequence[tuple[date, int]], monday: date) -> None:
    palette = palette_of(axes)
    for count in range(1, MOST_DOTS + 1):
        places = [_column_row(day, monday) for day, each in days if min(each, MOST_DOTS) == count]
        if not places:
            continue
        more = " or more" if count == MOST_DOTS else ""
        axes.scatter(
            [column + 0.5 for column, _ in places],
            [row + 0.5 for _, row in places],
            s=32 + 24 * (count - 1),
            color=[palette.vermillion],
            edgecolors=[palette.paper],
            linewidths=0.8,
            zorder=3,
            label=f"{count}{more} incident{'' if count == 1 else 's'}",
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
    key(axes, ncols=5)
