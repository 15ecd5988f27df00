"""
Tables for pandas, polars, duckdb and Spark, and the bare figures computed from them there.

    from imcm import frames

    table = frames.deployments(ledger.facts(), time_zone="Europe/London")
    frame = table.to_frame("polars")
    frames.figures(deployments=frame, by="month").to_frame()

What counts, which deployment failed and how long anything took is decided by the same figures
that `imcm` computes without frames; a table holds their answers, one row for each thing counted.
Days, weeks and months are told here as text, since engines disagree about time zones.

Needs `pip install 'imcm[frames]'`, but not for `rows()`, `columns()` and `_repr_html_`.
"""

from imcm.frames.engines import figures
from imcm.frames.populations import deployments, incidents, lead_times, links
from imcm.frames.results import facts, log, report, timeline
from imcm.frames.table import Table, Value

__all__ = [
    "Table",
    "Value",
    "deployments",
    "facts",
    "figures",
    "incidents",
    "lead_times",
    "links",
    "log",
    "report",
    "timeline",
]
