"""
What all pictures share: axes, inks that differ without colour, text that nothing obeys, units.

matplotlib is loaded by `axes_for`, which every picture calls first, so that `import imcm.plots`
costs nothing and what is missing is said by name.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Final, NamedTuple

from imcm.errors import InvalidValue, MissingExtraError
from imcm.plain import plain
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.units import SECONDS, SHARE, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# --- inks -----------------------------------------------------------------------------------------
# The colours of Okabe and Ito, which people of all kinds of colour vision tell apart. None of them
# stands alone: a line has its dashes, a point its shape, an area its hatching.

BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
GREEN: Final = "#009E73"
ORANGE: Final = "#E69F00"
PURPLE: Final = "#CC79A7"
BLACK: Final = "#000000"
GREY: Final = "#595959"
PALE: Final = "#D9D9D9"


class Ink(NamedTuple):
    """How one of several curves is drawn: its colour, dashes and points."""

    colour: str
    dashes: str | tuple[int, tuple[int, ...]]
    marker: str


INKS: Final = (
    Ink(BLUE, "-", "o"),
    Ink(VERMILLION, (0, (5, 2)), "s"),
    Ink(GREEN, (0, (1, 1)), "^"),
    Ink(BLACK, (0, (6, 2, 1, 2)), "D"),
    Ink(PURPLE, (0, (9, 3)), "v"),
)
"""As many curves as can be told apart in one picture."""

# --- axes -----------------------------------------------------------------------------------------


def axes_for(ax: Axes | None, *, width: float = 8.0, height: float = 4.5) -> Axes:
    """
    Return the axes to draw into: those given, or the only ones of a new figure of pyplot.

    A notebook shows figures of pyplot by itself, and no others.

    Args:
        width, height: Of a new figure, in inches.

    Raises:
        MissingExtraError: The extra `plot` is not installed.
        InvalidValue: *ax* is no Axes.
    """
    try:
        from matplotlib import pyplot
        from matplotlib.axes import Axes
    except ImportError:
        raise MissingExtraError("drawing", "plot") from None
    if ax is None:
        _, ax = pyplot.subplots(figsize=(width, height), layout="constrained")
    elif not isinstance(ax, Axes):
        raise InvalidValue("ax", ax, "Axes of matplotlib, or None for new ones")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    return ax


def words(text: object, longest: int = 60) -> str:
    """
    Return text from outside as it can stand in a picture: one line, which nothing obeys.

    matplotlib reads what stands between two dollar signs as a formula; here they are signs.
    """
    line = plain(text)
    if len(line) > longest:
        line = line[: longest - 1].rstrip() + "…"
    return line.replace("$", r"\$")


def headed(ax: Axes, title: str, *lines: str) -> None:
    """
    Write a title, and smaller lines below it; each was made by `words` or holds none.

    They are wrapped to the width of the axes, as far as it is known before all is laid out.
    """
    wide = _characters(ax)
    title = "\n".join(_wrapped(title, max(14, round(wide * 0.72))))
    said = [part for line in lines if line for part in _wrapped(line, wide)]
    ax.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=7 + 13 * len(said))
    for number, line in zip(reversed(range(len(said))), said, strict=True):
        written = ax.annotate(
            line,
            xy=(0, 1),
            xycoords="axes fraction",
            xytext=(0, 6 + 13 * number),
            textcoords="offset points",
            fontsize=9,
            color=GREY,
        )
        # The title, which stands above, makes room for it. If it took part in the layout itself,
        # a line longer than its axes are wide would leave nothing for the axes of a grid.
        written.set_in_layout(False)


def _characters(ax: Axes) -> int:
    """Return about how many characters of the small lines fit side by side above the axes."""
    figure = ax.get_figure(root=True)
    inches = 0.0 if figure is None else ax.get_window_extent().width / figure.dpi
    return max(20, round(inches * 15.5))


def _wrapped(text: str, width: int) -> list[str]:
    """Return text made by `words` as lines, in which signs are still no formulas."""
    return [words(line, width) for line in wrap(text.replace(r"\$", "$"), width)]


def finished(ax: Axes) -> Axes:
    """Return the axes, all of whose text is read as `words` wrote it, whatever the settings."""
    from matplotlib.text import Text

    for text in ax.findobj(Text):
        if isinstance(text, Text):
            text.set_usetex(False)
            text.set_parse_math(True)
    return ax


def said(ax: Axes, title: str, reason: str) -> Axes:
    """Say in words why there is nothing to draw, in place of an empty picture."""
    ax.set_axis_off()
    ax.set_title(title, loc="left", fontsize=11, fontweight="bold")
    ax.text(
        0.5,
        0.5,
        reason,
        transform=ax.transAxes,
        ha="center",
        va="center",
        wrap=True,
        color=GREY,
    )
    return finished(ax)


def titled(figure: Figure) -> str:
    """Return what a figure is of, as a title."""
    name = words(figure.name[:1].upper() + figure.name[1:])
    return name if figure.group is None else f"{name}, {words(figure.group, 40)}"


def of_how_many(figure: Figure) -> str:
    """Return how a number came about: the statistic, of how many, and what is still open."""
    statistic = getattr(figure.definition, "statistic", None) if figure.unit == SECONDS else None
    statistic = None if statistic is None else str(statistic).replace("_", " ")
    text = f"n = {figure.n:,}" if statistic is None else f"{statistic} of {figure.n:,}"
    open_ = figure.counts.get("still open", 0)
    return f"{text}, {open_:,} still open" if open_ else text


def level_of(figures: Iterable[Figure]) -> str:
    """Return what the bars of figures are, in words, and what it means where there is none."""
    text, bare = "", False
    for figure in figures:
        low, high = ends(figure)
        if low is None and high is None:
            bare |= figure.value is not None
        elif not text and figure.interval is not None:
            level = f"{100 * figure.interval.level:g} %"
            text = f"bars: {level} intervals ({figure.interval.method})"
    if not bare:
        return text
    return f"{text}; none: no interval" if text else "no value has an interval"


def ends(figure: Figure) -> tuple[float | None, float | None]:
    """Return the bounds of a figure's interval, None for each that it does not have."""
    interval = figure.interval
    return (None, None) if interval is None else (interval.low, interval.high)


def lines_of(text: object, width: int = 95, most: int = 3) -> list[str]:
    """
    Return a sentence from outside as a few lines, each as `words` makes it.

    What does not fit is cut behind a word, with an ellipsis.
    """
    lines = wrap(plain(text), width, max_lines=most, placeholder=" …")
    return [words(line, width) for line in lines]


# --- scales ---------------------------------------------------------------------------------------

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

_WIDE: Final = 100
"""From this ratio of the longest to the shortest on, durations are drawn on a logarithmic axis."""


def is_wide(values: Sequence[float]) -> bool:
    """Say whether durations, the smallest first, are drawn on a logarithmic axis."""
    return bool(values) and values[0] > 0 and values[-1] / values[0] >= _WIDE


def scaled(axis: Axis, unit: str, low: float, high: float, *, log: bool = False) -> str:
    """
    Give an axis the ticks of a unit, for values between *low* and *high*; return the unit in words.

    The values drawn are those of the figure, in its unit: only the ticks are in hours, or in %.
    """
    from matplotlib.ticker import FixedLocator, MultipleLocator, NullLocator

    if unit == SHARE:
        ticks_read(axis, lambda value: f"{round(100 * value, 6):g}")
        return "%"
    if unit != SECONDS:
        return unit
    if log:
        inside = [mark for mark in _MARKS if low * 0.8 <= mark <= high * 1.2]
        axis.set_major_locator(FixedLocator(inside[:: 1 + (len(inside) - 1) // 10] or [high]))
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


def spread(count: int, most: int) -> list[int]:
    """Return at most so many indices out of *count*, evenly spread from the first to the last."""
    if count <= most:
        return list(range(count))
    return sorted({round(index * (count - 1) / (most - 1)) for index in range(most)})
