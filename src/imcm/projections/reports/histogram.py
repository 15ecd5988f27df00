"""
Distributions in one line of block characters.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from imcm.projections.figures.units import SECONDS

if TYPE_CHECKING:
    from imcm.projections.figures.figure import Figure

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_BINS: Final = 12


def bar(share: float) -> str:
    """Return a share as a bar; more than 1 is a full one."""
    full = round(min(share, 1.0) * _BINS)
    return "█" * full + "░" * (_BINS - full)


def histogram(figure: Figure) -> str:
    """
    Return how the durations of a figure lie on a log scale, short ones first.

    "" where they are no durations, or fewer than two are longer than nothing.
    """
    if figure.unit != SECONDS:
        return ""
    values = figure.values()
    first = bisect_right(values, 0)
    if len(values) - first < 2:
        return ""
    low, high = math.log(values[first]), math.log(values[-1])

    def bin_of(value: float) -> int:
        offset = 0.0 if high == low else (math.log(value) - low) / (high - low) * _BINS
        return min(int(offset), _BINS - 1)

    # The values rise, so each bin is one stretch of them.
    edges = [bisect_left(values, number, lo=first, key=bin_of) for number in range(_BINS)]
    counts = [end - start for start, end in pairwise([*edges, len(values)])]
    top = max(counts)
    return "".join(" " if not c else _BLOCKS[math.ceil(c / top * 8) - 1] for c in counts)
