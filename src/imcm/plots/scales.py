"""
Axes of values: how far they go, whether they are logarithmic, and ticks in units that people read.

The values drawn are those of the figure, in its unit: only the ticks are in hours, or in %.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from imcm.projections.figures.units import SECONDS, SHARE, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0
_UNITS: Final = ((_DAY, "days"), (_HOUR, "hours"), (_MINUTE, "minutes"), (1.0, "seconds"))
_STEPS: Final = (
    *(step * 1.0 for step in (1, 2, 5, 10, 15, 30)),
    *(step * _MINUTE for step in (1, 2, 5, 10, 15, 30)),
    *(step * _HOUR for step in (1, 2, 3, 4, 6, 12)),
    *(step * _DAY for step in (1, 2, 3, 5, 7, 14, 30, 60, 90, 180, 365, 730, 1_825, 3_650)),
)
_MARKS: Final = (
    *(1.0, 10.0, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 4 * _HOUR, 12 * _HOUR),
    *(_DAY, 3 * _DAY, 7 * _DAY, 30 * _DAY, 90 * _DAY, 365 * _DAY, 3_650 * _DAY),
)
"""Where a logarithmic axis of durations is labelled, in seconds."""

_WIDE: Final = 50
"""From this ratio of the longest to the shortest on, durations are drawn on a logarithmic axis."""

LEAST: Final = 1e-6
"""What is shorter than this part of the longest is drawn as next to nothing."""

# --- how far an axis goes -------------------------------------------------------------------------


class Reach(NamedTuple):
    """
    From where to where an axis of values goes.

    Attributes:
        low, high: Its ends, in the unit of the values.
        log: Whether it is logarithmic; then from *least* on, and linear below where *linear*.
    """

    unit: str
    low: float
    high: float
    log: bool = False
    least: float = 0.0
    linear: bool = False

    def on(self, axes: Axes, which: str, *, most: int = 10) -> str:
        """
        Give the axis "x" or "y" this scale, and ticks; return its unit in words.

        Args:
            most: How many labels a logarithmic axis has at most.
        """
        scale: Any = getattr(axes, f"set_{which}scale")
        if self.linear:
            scale("symlog", linthresh=self.least, linscale=0.4)
        elif self.log:
            scale("log")
        axis = axes.xaxis if which == "x" else axes.yaxis
        low = self.least if self.log else self.low
        unit = scaled(axis, self.unit, low, self.high, log=self.log, most=most)
        getattr(axes, f"set_{which}lim")(self.low, self.high)
        return f"{unit} from {shown(self.least, SECONDS)} on" if self.linear else unit


def reach(
    unit: str, values: Iterable[float], bounds: Iterable[float] = (), *, room: float = 0.06
) -> Reach:
    """
    Return how far an axis goes on which some values and the bounds of their intervals are drawn.

    It begins at 0, or below where a value does. No duration is below 0 because the bound of its
    interval is, so that such a bound moves nothing. Durations that are wide apart are on a
    logarithmic axis, which begins with a linear part where some are 0 or next to it.

    Args:
        room: Which part of the longest is left free beyond it.
    """
    points = sorted(values)
    others = list(bounds)
    if unit == SECONDS and (not points or points[0] >= 0):
        others = [bound for bound in others if bound > 0]
    numbers = sorted([*points, *others])
    if not numbers:
        return Reach(unit, 0.0, 1.0)
    most = numbers[-1]
    positive = numbers[bisect_right(numbers, 0.0) :]
    if unit == SECONDS and numbers[0] >= 0 and is_wide(positive):
        least = max(positive[0], most * LEAST)
        linear = numbers[0] < least
        return Reach(unit, 0.0 if linear else least * 0.8, most * 1.25, True, least, linear)
    low = min(0.0, numbers[0])
    return Reach(unit, low * (1 + room), max(most, 0.0) * (1 + room) or (0.0 if low else 1.0))


def is_wide(values: Sequence[float]) -> bool:
    """Say whether durations, the smallest first, are drawn on a logarithmic axis."""
    return bool(values) and values[0] > 0 and values[-1] / values[0] >= _WIDE


# --- ticks ----------------------------------------------------------------------------------------


def scaled(
    axis: Axis, unit: str, low: float, high: float, *, log: bool = False, most: int = 10
) -> str:
    """
    Give an axis the ticks of a unit, for values between *low* and *high*; return the unit in words.

    Args:
        log: Whether the axis is logarithmic; then it has *most* labels at most.
    """
    from matplotlib.ticker import FixedLocator, MultipleLocator, NullLocator

    if unit == SHARE:
        ticks_read(axis, lambda value: f"{round(100 * value, 6):g}")
        return "%"
    if unit != SECONDS:
        return unit
    if log:
        inside = [mark for mark in _MARKS if low * 0.8 <= mark <= high * 1.2]
        axis.set_major_locator(FixedLocator(inside[:: 1 + (len(inside) - 1) // most] or [high]))
        axis.set_minor_locator(NullLocator())
        ticks_read(axis, lambda value: shown(value, SECONDS))
        return "logarithmic"
    size, name, step = _ticks_of(low, high)
    if step is not None:
        axis.set_major_locator(MultipleLocator(step))
    ticks_read(axis, lambda value: f"{round(value / size, 6):g}")
    return name


def _ticks_of(low: float, high: float) -> tuple[float, str, float | None]:
    """Return the unit in which durations read best, its name, and how far ticks are apart."""
    longest, span = max(abs(low), abs(high)), high - low
    for size, name in _UNITS:
        parts = () if size == 1 else (size / 4, size / 2)
        steps = (*parts, *(step for step in _STEPS if step >= size and step % size == 0))
        step = next((step for step in steps if span / step <= 7), None)
        # Two labels at least, and none like 3.1667.
        if longest >= 2 * size and (step is None or span / step >= 1.5):
            return size, name, step
    return 1.0, "seconds", None


def ticks_read(axis: Axis, text_of: Callable[[float], str]) -> None:
    """Write at each tick of an axis what a function says of its value."""
    from matplotlib.ticker import FuncFormatter

    def text(value: float, _: int | None) -> str:
        return text_of(value)

    axis.set_major_formatter(FuncFormatter(text))


def with_unit(name: str, unit: str) -> str:
    """Return the label of an axis: what it has, and in which unit."""
    return f"{name} ({unit})"
