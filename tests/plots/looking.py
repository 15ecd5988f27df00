"""
What is in a picture, as a test reads it.
"""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Text


def read(text: Text) -> str:
    """Return a text without the places at which it is broken."""
    return text.get_text().replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")


def texts(axes: Axes) -> list[str]:
    return [read(text) for text in axes.texts]


def labels(axes: Axes, which: str) -> list[str]:
    return [text.get_text() for text in getattr(axes, f"get_{which}ticklabels")()]


def legend(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def line(axes: Axes, label: str) -> Line2D:
    """Return the line whose label begins so."""
    [found] = [each for each in axes.get_lines() if str(each.get_label()).startswith(label)]
    return found


def points(axes: Axes, *markers: str) -> list[Line2D]:
    return [each for each in axes.get_lines() if each.get_marker() in markers]


def luminance(colour: object) -> float:
    """Return the relative luminance of WCAG 2."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colors.to_rgb(colour)  # type: ignore[arg-type]
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: object, other: object) -> float:
    """Return the contrast of WCAG 2."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def written(axes: Axes) -> Iterator[Text]:
    """Yield each text of axes that can be read, those of its legend and its scale too."""
    for each in axes.findobj(Text):
        if isinstance(each, Text) and each.get_visible() and each.get_text().strip():
            yield each
