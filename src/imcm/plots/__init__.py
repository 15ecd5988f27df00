"""
Pictures of figures, reports and timelines, drawn by matplotlib.

    from imcm import plots, time_to_restore

    plots.survival(time_to_restore(ledger.replay()))

Each function takes what the library computed, draws its numbers and computes none of its own,
returns the Axes, and takes `ax=` to draw into. Colours of text and paper are those of the style
that is in force, light or dark. None changes settings of matplotlib or shows
anything. Needs `pip install 'imcm[plot]'`; importing this module does not load matplotlib.
"""

from imcm.plots.calendars import calendar
from imcm.plots.choosing import plot
from imcm.plots.differences import before_and_after, restatement
from imcm.plots.durations import survival
from imcm.plots.forests import groups, side_by_side, what_if
from imcm.plots.judgements import calibration, canary
from imcm.plots.periods import over_time
from imcm.plots.reports import metrics
from imcm.plots.timelines import lanes, timeline

__all__ = [
    "before_and_after",
    "calendar",
    "calibration",
    "canary",
    "groups",
    "lanes",
    "metrics",
    "over_time",
    "plot",
    "restatement",
    "side_by_side",
    "survival",
    "timeline",
    "what_if",
]
