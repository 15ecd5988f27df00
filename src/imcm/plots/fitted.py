"""
What is fitted to the size of its axes each time they are drawn: headings, and ticks of periods.

How wide axes are is known when all is laid out, and changes with the window that shows them. This
module needs matplotlib, and is imported by what draws, when it draws.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false, reportUnknownParameterType=false
# pyright: reportMissingParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap
from typing import Any, Final

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.ticker import Locator
from matplotlib.transforms import Bbox

TITLE_SIZE: Final = 11
LINE_SIZE: Final = 9
TICK_SIZE: Final = 8
LEADING: Final = 13
"""How far small lines are apart, in points."""

HAIR: Final = 0.04
"""By less than this part of its width a change of axes breaks no line elsewhere."""

NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_UNIT: Final = re.compile(r"(?<=\d) (?=(?:%|d|h|min|s)(?!\w))")
_OF_HOW_MANY: Final = re.compile(r"\bn = ")


def kept_together(line: str) -> str:
    """Return a line that does not end between a number and its unit."""
    return _UNIT.sub(NO_BREAK, _OF_HOW_MANY.sub(f"n{NO_BREAK}={NO_BREAK}", line))


class Heading(Artist):
    """
    A title of axes with smaller lines below it, all wrapped to the room above the axes.

    It draws nothing itself: before the axes are measured or drawn, it breaks the lines and makes
    room for them. A title that somebody else has written since stays as it is, above the lines.
    """

    def __init__(self, axes: Axes, title: str, lines: Sequence[str], *, ink: Any, soft: Any):
        """Write a title and lines, each as `words` made them, in two colours."""
        super().__init__()
        self._title_was = title
        self._lines: list[tuple[Annotation, str]] = []
        self._title = axes.set_title(
            title, loc="left", fontsize=TITLE_SIZE, fontweight="bold", color=ink, usetex=False
        )
        for line in lines:
            written = axes.annotate(
                line,
                xy=(0, 1),
                xycoords="axes fraction",
                xytext=(0, 6),
                textcoords="offset points",
                fontsize=LINE_SIZE,
                color=soft,
                linespacing=LEADING / LINE_SIZE / 1.2,
                usetex=False,
            )
            # The title, which stands above, makes room for it.
            written.set_in_layout(False)
            self._lines.append((written, line))
        self._fitted: tuple[float, float, str] = (0.0, 0.0, "")
        self._written = title
        self.height = 0.0  # in points, above the axes
        self.set_clip_on(False)
        self.set_zorder(-100)  # before all that it moves
        axes.add_artist(self)
        self.fit()

    def fit(self) -> None:
        """Break all lines so that they are as wide as the room above the axes at most."""
        axes = self.axes
        if not isinstance(axes, Axes):  # it was removed from them
            return
        left, right = _between(axes)
        wide = right - left
        figure = axes.get_figure(root=True)
        inches = wide / figure.dpi if figure is not None else 0.0
        box = axes.get_window_extent()
        start = (left - box.x0) / box.width if box.width else 0.0
        is_ours = self._title.get_text() == self._written
        now = inches, round(start, 3), "" if is_ours else self._title.get_text()
        # What moves by a hair as the layout settles must not break lines again and again.
        if abs(inches - self._fitted[0]) <= HAIR * inches and now[1:] == self._fitted[1:]:
            return
        self._fitted = now
        if is_ours:
            self._written = "\n".join(_broken(self._title, self._title_was, wide))
        above = 0
        for text, line in reversed(self._lines):
            parts = _broken(text, line, wide)
            text.set_text("\n".join(parts))
            text.xyann = (0, 6 + LEADING * above)
            text.xy = (start, 1)
            above += len(parts)
        pad = 7 + LEADING * above
        axes.set_title(
            self._written if is_ours else self._title.get_text(),
            loc="left",
            pad=pad,
            # What it has, which would else become what it is by default.
            fontsize=self._title.get_fontsize(),
            fontweight=self._title.get_fontweight(),
            color=self._title.get_color(),
        )
        self._title.set_x(start)
        self.height = pad + 1.2 * TITLE_SIZE * (self._title.get_text().count("\n") + 1)

    def get_tightbbox(self, renderer: Any = None) -> Any:
        """Fit before all is laid out, and return the room that it takes above the axes."""
        self.fit()
        axes, figure = self.axes, self.get_figure(root=True)
        if not isinstance(axes, Axes) or figure is None:
            return None
        box = axes.get_window_extent()
        return Bbox.from_bounds(box.x0, box.y1, box.width, self.height * figure.dpi / 72)

    def draw(self, renderer: Any) -> None:
        """Fit to the axes as they are drawn."""
        self.fit()


def _between(axes: Axes) -> tuple[float, float]:
    """
    Return from where to where there is room above axes, in pixels.

    That is their own width. Where rows are labelled by name it begins above these labels, and it
    goes on above what stands beside the rows; alone in a figure, to its edge.
    """
    box = axes.get_window_extent()
    left, right = box.x0, box.x1
    if not axes.axison:
        return left, right
    if not axes.spines["left"].get_visible():
        labels = axes.yaxis.get_tightbbox()
        left = left if labels is None else min(left, labels.x0)
    beside = [text.get_window_extent().x1 for text in axes.texts if text.get_in_layout()]
    figure = axes.get_figure(root=True)
    if figure is not None and figure.get_axes() == [axes]:
        beside.append(figure.bbox.x1 - EDGE * figure.dpi)
    return left, max([right, *beside])


EDGE: Final = 0.08
"""How far a heading stays away from the edge of a figure, in inches."""


def _broken(text: Text, line: str, wide: float) -> list[str]:
    """Return a line, made by `words`, as lines that are at most so many pixels wide."""
    whole = kept_together(line)
    text.set_text(whole)
    length = text.get_window_extent().width
    if length <= wide:
        return [whole]
    signs = whole.replace(r"\$", "$")
    characters = max(12, int(len(signs) * wide / length))
    while True:
        parts = [
            part.replace("$", r"\$") for part in wrap(signs, characters, break_on_hyphens=False)
        ]
        text.set_text("\n".join(parts))
        if text.get_window_extent().width <= wide or characters <= 12:
            return parts
        characters -= 1


class PeriodTicks(Locator):
    """Ticks at whole numbers: at each where labels fit side by side, else at every second ..."""

    def __init__(self, count: int, characters: int) -> None:
        """Take how many periods there are, and how many characters the longest label has."""
        self._count = count
        self._inches = (characters + 2) * 0.62 * TICK_SIZE / 72

    def __call__(self) -> list[int]:
        """Return where ticks are, as the axis is now."""
        low, high = self.axis.get_view_interval()  # type: ignore[union-attr]
        return self.tick_values(low, high)

    def tick_values(self, vmin: float, vmax: float) -> list[int]:
        """Return where ticks are between two numbers."""
        axes: Any = self.axis.axes  # type: ignore[union-attr]
        inches: float = axes.get_window_extent().width / axes.get_figure(root=True).dpi
        fit = max(1, int(inches / self._inches))
        seen = [number for number in range(self._count) if vmin <= number <= vmax]
        return seen[:: -(-len(seen) // fit) or 1]
