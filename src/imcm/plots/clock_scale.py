"""
World time as an axis on which long stretches without anything are cut short.

An incident takes two hours and its review follows a week later: drawn to scale, the two hours
would be one line. So a stretch in which nothing happens and which is longer than all else together
is drawn short, marked, and labelled with how long it is.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

from imcm.plots.inks import palette_of
from imcm.projections.figures.units import SECONDS, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CUTS: Final = 6
LONG: Final = 0.6
"""What takes a larger part of all time than this, with nothing in it, is cut short."""

CUT: Final = 0.07
"""How wide a cut is drawn, as a part of all that is drawn to scale."""

GOES_ON: Final = 0.07
"""How far what is not over goes on beyond the last moment, as a part of the whole width."""

APART: Final = 0.085
"""How far labels are apart at least, as a part of the whole width."""

_TICKS: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(60 * step for step in (1, 2, 5, 10, 15, 30)),
    *(3_600 * step for step in (1, 2, 3, 6, 12)),
    *(86_400 * step for step in (1, 2, 7, 14, 30, 91, 182, 365, 1_825, 3_650, 36_500, 365_000)),
)
_DAY: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Segment(NamedTuple):
    """A stretch drawn to scale: from and to which second since 1970, and where it begins."""

    start: float
    end: float
    x: float


class ClockScale:
    """
    Where moments stand on the axis, in seconds that are drawn.

    Attributes:
        segments: The stretches drawn to scale, in order; between them lie the cuts.
        width: How wide all of it is.
    """

    def __init__(self, moments: Iterable[datetime], home: ZoneInfo) -> None:
        self._home = home
        times = sorted({(moment - _EPOCH).total_seconds() for moment in moments})
        edges = [-1, *sorted(_cuts(times)), len(times) - 1]
        kept = [(times[a + 1], times[b]) for a, b in pairwise(edges)]
        to_scale = sum(end - start for start, end in kept)
        self._cut = CUT * to_scale or 1.0
        self.segments: list[Segment] = []
        x = 0.0
        for start, end in kept:
            self.segments.append(Segment(start, end, x))
            x += end - start + self._cut
        self.width = max(x - self._cut, 1.0)
        self._starts = [segment.start for segment in self.segments]

    def x(self, moment: datetime) -> float:
        """Return where a moment stands; one in a cut stands in it by its share of it."""
        time = (moment - _EPOCH).total_seconds()
        index = max(0, bisect_right(self._starts, time) - 1)
        segment = self.segments[index]
        if time <= segment.end or index + 1 == len(self.segments):
            return segment.x + time - segment.start
        following = self.segments[index + 1]
        share = (time - segment.end) / (following.start - segment.end)
        return segment.x + segment.end - segment.start + share * self._cut

    @property
    def edge(self) -> float:
        """Where what is not over ends, to the right of all that happened."""
        return self.width * (1 + GOES_ON)

    def on(self, axes: Axes, *, goes_on: bool = False) -> None:
        """
        Give the axis below its ticks, mark the cuts, and say in which zone times are.

        Args:
            goes_on: Leaves room at the right for what is not over.
        """
        palette = palette_of(axes)
        ticks = self._ticks()
        axes.set_xticks([x for x, _ in ticks], labels=[label for _, label in ticks], fontsize=8)
        room = 0.02 * self.width or 1.0
        axes.set_xlim(-room, self.edge if goes_on else self.width + room)
        axes.set_xlabel(f"time ({self._home.key})")
        for before, after in pairwise(self.segments):
            left = before.x + before.end - before.start
            axes.axvspan(
                left + 0.2 * self._cut,
                left + 0.8 * self._cut,
                facecolor=palette.paper,
                edgecolor=palette.tint(palette.strong, 0.3),
                hatch="xxx",
                linewidth=0,
                zorder=2.5,
            )
            axes.text(
                left + self._cut / 2,
                0.5,
                f"{shown(after.start - before.end, SECONDS)} without events",
                transform=axes.get_xaxis_transform(),
                rotation=90,
                ha="center",
                va="center",
                fontsize=8,
                color=palette.soft,
                zorder=4,
                bbox={"facecolor": palette.paper, "edgecolor": "none", "pad": 1.5},
            )

    def _ticks(self) -> list[tuple[float, str]]:
        """Return where the axis is labelled: where each segment begins, and at round times."""
        step = next((step for step in _TICKS if step >= self.width / 8), _TICKS[-1])
        ticks: list[tuple[float, float]] = []
        for segment in self.segments:
            if ticks and segment.x - ticks[-1][0] < APART * self.width:
                ticks.pop()  # where a segment begins is told rather than a round time before it
            ticks.append((segment.x, segment.start))
            for time in self._round_times(segment, step):
                x = segment.x + time - segment.start
                if x - ticks[-1][0] >= APART * self.width:
                    ticks.append((x, time))
        labels: list[tuple[float, str]] = []
        day = None
        for x, time in ticks:
            moment = self._local(time)
            labels.append((x, _tick(moment, step, new_day=moment.date() != day)))
            day = moment.date()
        return labels

    def _round_times(self, segment: Segment, step: int) -> Iterator[float]:
        """Yield the times of a segment that are round by the clock of the zone."""
        offset = self._local(segment.start).utcoffset() or timedelta()
        shift = offset.total_seconds()
        time = -(-(segment.start + shift) // step) * step - shift
        while time <= segment.end:
            if time > segment.start:
                yield time
            time += step

    def _local(self, time: float) -> datetime:
        moment = _EPOCH + timedelta(seconds=time)
        return moment.astimezone(self._home) if 1 < moment.year < 9999 else moment


def _tick(moment: datetime, step: int, *, new_day: bool) -> str:
    if step >= _DAY:
        return f"{moment:%Y-%m-%d}"
    clock = f"{moment:%H:%M:%S}" if step < 60 else f"{moment:%H:%M}"
    return f"{clock}\n{moment:%Y-%m-%d}" if new_day else clock


def _cuts(times: list[float]) -> set[int]:
    """Return the indices after which a stretch is cut short, the longest first."""
    gaps = sorted(((b - a, index) for index, (a, b) in enumerate(pairwise(times))), reverse=True)
    left = sum(gap for gap, _ in gaps)
    cuts: set[int] = set()
    for gap, index in gaps[:MOST_CUTS]:
        rest = left - gap
        # Something must be left that is drawn to scale.
        if rest <= 0 or gap < LONG * left:
            break
        cuts.add(index)
        left = rest
    return cuts
