"""
The pictures of results, drawn by a room above this one.

A result knows its numbers and nothing of how they are drawn, and its room may import no room above
it. So it asks for that room by its name, when somebody draws. Who only computes never loads it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from matplotlib import axes

    Axes: TypeAlias = axes.Axes


def drawn(
    result: object, kind: str | None = None, *, metric: str | None = None, ax: Axes | None = None
) -> Axes:
    """Return the Axes with a picture of a result; see `imcm.plots.plot`."""
    picture: Axes = import_module("imcm.plots").plot(result, kind, metric=metric, ax=ax)
    return picture
