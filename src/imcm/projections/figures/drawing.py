"""
The pictures of results, drawn by a room above this one.

A result knows its numbers and nothing of how they are drawn, and its room may import no room above
it. So it asks for that room by its name, when somebody draws. Who only computes never loads it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from matplotlib import axes, figure

    Axes: TypeAlias = axes.Axes
    Picture: TypeAlias = figure.Figure | figure.SubFigure


def drawn(
    result: object,
    kind: str | None = None,
    *,
    metric: str | None = None,
    time_zone: str | None = None,
    ax: Axes | Picture | None = None,
) -> Axes:
    """Return the Axes with a picture of a result; see `imcm.plots.plot`."""
    plot = import_module("imcm.plots").plot
    picture: Axes = plot(result, kind, metric=metric, time_zone=time_zone, ax=ax)
    return picture


def all_drawn(
    result: object, *, metric: str | None = None, ax: Axes | Picture | None = None
) -> tuple[Axes, ...]:
    """Return the Axes of a picture of all there is in a result, such as each metric of a report."""
    pictures: tuple[Axes, ...] = import_module("imcm.plots").plot(
        result, "all", metric=metric, ax=ax
    )
    return pictures
