"""
Intervals as bars: to a cap where there is a bound, open to the edge where there is none.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from imcm.projections.figures.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAN: Final = float("nan")


class Bar(NamedTuple):
    """
    An interval and the value in it.

    Attributes:
        place: Where it stands on the other axis.
        value: None draws nothing.
        low, high: None for an end that has no bound.
    """

    place: float
    value: float | None
    low: float | None
    high: float | None

    @property
    def is_open(self) -> bool:
        """Whether it has a bound at one end only."""
        return self.value is not None and (self.low is None) is not (self.high is None)


def bar_of(place: float, figure: Figure) -> Bar:
    """Return the bar of a figure's interval."""
    low, high = ends(figure)
    return Bar(place, figure.value, low, high)


def ends(figure: Figure) -> tuple[float | None, float | None]:
    """Return the bounds of a figure's interval, None for each that it does not have."""
    interval = figure.interval
    return (None, None) if interval is None else (interval.low, interval.high)


def draw_bars(
    axes: Axes,
    bars: Sequence[Bar],
    colour: Any,
    edges: tuple[float, float],
    *,
    upright: bool,
    width: float = 1.2,
) -> None:
    """
    Draw bars, upright or lying.

    Where one end alone has no bound, a dashed line goes on to the edge of the axes, and ends in an
    arrow head. A bound beyond the edge, such as one of a duration below 0, has the arrow head too.

    Args:
        colour: Of all of them.
        edges: From where to where the axis of values goes.
    """
    across: Any = getattr(axes, "vlines" if upright else "hlines")
    drawn = [bar for bar in bars if bar.value is not None]
    if drawn:
        across(
            [bar.place for bar in drawn],
            [max(_first(bar.low, bar.value), edges[0]) for bar in drawn],
            [min(_first(bar.high, bar.value), edges[1]) for bar in drawn],
            color=colour,
            linewidth=width,
        )
    for end in (0, 1):
        _caps(axes, drawn, end, colour, edges, upright=upright)
        _open(axes, [bar for bar in drawn if bar.is_open], end, colour, edges, upright=upright)


def _first(bound: float | None, value: float | None) -> float:
    found = value if bound is None else bound
    return _NAN if found is None else found


def _caps(
    axes: Axes,
    bars: Sequence[Bar],
    end: int,
    colour: Any,
    edges: tuple[float, float],
    *,
    upright: bool,
) -> None:
    places = [bar.place for bar in bars]
    bounds = [_first((bar.low, bar.high)[end], _NAN) for bar in bars]
    caps = [bound if edges[0] <= bound <= edges[1] else _NAN for bound in bounds]
    _points(axes, places, caps, "_" if upright else "|", colour, upright=upright)
    beyond = [
        place
        for place, bound in zip(places, bounds, strict=True)
        if (bound < edges[0] if end == 0 else bound > edges[1])
    ]
    if beyond:
        _heads(axes, beyond, end, colour, edges, upright=upright)


def _open(
    axes: Axes,
    bars: Sequence[Bar],
    end: int,
    colour: Any,
    edges: tuple[float, float],
    *,
    upright: bool,
) -> None:
    without = [bar for bar in bars if (bar.low, bar.high)[end] is None]
    if not without:
        return
    places = [bar.place for bar in without]
    across: Any = getattr(axes, "vlines" if upright else "hlines")
    values = [_first(bar.value, None) for bar in without]
    across(places, values, [edges[end]] * len(without), color=colour, linewidth=0.9,
           linestyle=(0, (3, 3)))  # fmt: skip
    _heads(axes, places, end, colour, edges, upright=upright)


def _heads(
    axes: Axes,
    places: Sequence[float],
    end: int,
    colour: Any,
    edges: tuple[float, float],
    *,
    upright: bool,
) -> None:
    marker = ("v^" if upright else "<>")[end]
    at = [edges[end]] * len(places)
    _points(axes, places, at, marker, colour, upright=upright, size=5)


def _points(
    axes: Axes,
    places: Sequence[float],
    values: Sequence[float],
    marker: str,
    colour: Any,
    *,
    upright: bool,
    size: float = 7,
) -> None:
    x, y = (places, values) if upright else (values, places)
    axes.plot(x, y, linestyle="none", marker=marker, markersize=size, color=colour, clip_on=False)
