"""
Inks: colours that can be told apart, and read on the paper that they are drawn on.

The colours are those of Okabe and Ito, which people of all kinds of colour vision tell apart. None
of them stands alone: a line has its dashes, a point its shape, an area its hatching. The paper is
that of the axes, as the style in force made them; where a colour would vanish on it, it is mixed
with black or white until it does not (the contrast of WCAG 2: 3 for marks, 4.5 for text).
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RGB: TypeAlias = tuple[float, float, float]
"""Red, green and blue, each from 0 to 1."""

MARK: Final = 3.0
"""The contrast that points, lines and edges of areas have at least."""

TEXT: Final = 4.5
"""The contrast that text has at least."""

_BLACK: Final[RGB] = (0.0, 0.0, 0.0)
_WHITE: Final[RGB] = (1.0, 1.0, 1.0)
_BLUE: Final = "#0072B2"
_VERMILLION: Final = "#D55E00"
_GREEN: Final = "#009E73"
_ORANGE: Final = "#E69F00"
_PURPLE: Final = "#CC79A7"

# --- colours --------------------------------------------------------------------------------------


def contrast(one: RGB, other: RGB) -> float:
    """Return the contrast of two colours as WCAG 2 has it, from 1 to 21."""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: RGB) -> float:
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def mixed(one: RGB, other: RGB, share: float) -> RGB:
    """Return a colour with so large a share (0 to 1) of another one."""
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return red, green, blue


def legible(colour: RGB, papers: tuple[RGB, ...], least: float) -> RGB:
    """Return a colour that has at least such a contrast with all of some papers, if one has."""
    towards = max((_BLACK, _WHITE), key=lambda end: min(contrast(end, p) for p in papers))
    for step in range(51):
        tried = mixed(colour, towards, step / 50)
        if min(contrast(tried, paper) for paper in papers) >= least:
            return tried
    return towards


# --- the palette of a picture ---------------------------------------------------------------------


class Ink(NamedTuple):
    """How one of several curves is drawn: its colour, dashes and points."""

    colour: RGB
    dashes: str | tuple[int, tuple[int, ...]]
    marker: str


MOST_CURVES: Final = 5
"""As many curves as can be told apart in one picture."""


class Palette(NamedTuple):
    """
    The colours of a picture.

    Attributes:
        paper: What is below all that is drawn in the axes.
        around: What is below the labels around them.
        strong, soft: Of text and marks in the axes, and of what is less important there.
        pale: Of the grid, and of lines that only lead the eye.
        title, note: Of text around the axes, and of what is less important there.
        blue, vermillion, green, purple: Of marks.
        orange: Of areas, whose edge has another colour.
    """

    paper: RGB
    around: RGB
    strong: RGB
    soft: RGB
    pale: RGB
    title: RGB
    note: RGB
    blue: RGB
    vermillion: RGB
    green: RGB
    purple: RGB
    orange: RGB

    @property
    def inks(self) -> tuple[Ink, ...]:
        """As many curves as can be told apart, also without colour."""
        return (
            Ink(self.blue, "-", "o"),
            Ink(self.vermillion, (0, (5, 2)), "s"),
            Ink(self.green, (0, (1, 1)), "^"),
            Ink(self.strong, (0, (6, 2, 1, 2)), "D"),
            Ink(self.purple, (0, (9, 3)), "v"),
        )

    @property
    def is_light(self) -> bool:
        """Whether the paper is lighter than what is written on it."""
        return _luminance(self.paper) > _luminance(self.strong)

    def tint(self, colour: RGB, share: float) -> RGB:
        """Return the paper with so large a share (0 to 1) of a colour in it."""
        return mixed(self.paper, colour, share)


def palette_of(axes: Axes) -> Palette:
    """
    Return the colours in which to draw on axes.

    Text has the colour of the style in force. Where axes or their figure are transparent, the paper
    below is taken to be what such text is meant for: white below dark text, black below light.
    """
    from matplotlib import colors, rcParams

    written = colors.to_rgb(rcParams["text.color"])
    below = max((_WHITE, _BLACK), key=lambda paper: contrast(paper, written))
    faces = [axes.get_facecolor()]
    figure = axes.get_figure()
    while figure is not None:
        faces.append(figure.get_facecolor())
        parent = figure.get_figure(root=False)
        figure = None if parent is figure else parent
    papers = [below]
    for face in reversed(faces):
        red, green, blue, alpha = colors.to_rgba(face)
        papers.append(mixed(papers[-1], (red, green, blue), alpha))
    return _palette(papers[-1], papers[-2], written)


@lru_cache(maxsize=64)
def _palette(paper: RGB, around: RGB, written: RGB) -> Palette:
    from matplotlib import colors

    strong, title = (legible(written, (below,), TEXT) for below in (paper, around))

    def mark(name: str) -> RGB:
        return legible(colors.to_rgb(name), (paper,), MARK)

    return Palette(
        paper=paper,
        around=around,
        strong=strong,
        soft=legible(mixed(paper, strong, 0.65), (paper,), TEXT),
        pale=mixed(paper, strong, 0.15),
        title=title,
        note=legible(mixed(around, title, 0.65), (around,), TEXT),
        blue=mark(_BLUE),
        vermillion=mark(_VERMILLION),
        green=mark(_GREEN),
        purple=mark(_PURPLE),
        orange=colors.to_rgb(_ORANGE),
    )
