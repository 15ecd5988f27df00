"""
The bare figures of frames, computed by the engine that they are of.

One definition for all engines: expressions of narwhals over what the tables hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from importlib import import_module
from math import isnan
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from imcm.domain.vocabulary import checked_text, is_list, is_mapping
from imcm.errors import InvalidValue
from imcm.frames.days import PERIODS, Span, days_of_period
from imcm.frames.table import Table, Type, Value, narwhals
from imcm.projections.figures.durations import SLACK

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoFrame

_ENGINES: Final = ("pandas", "polars", "duckdb", "pyspark")
"""Where the median is exact, and where tests hold that figures agree."""

_REFUSED: Final = {
    "pyarrow": "that of its groups is: polars.from_arrow(table) is one step",
    "dask": "its own is",
    "sqlframe": "give a frame of the engine behind it",
    "ibis": "give a frame of the engine behind it",
}
_UNTRIED: Final = "it was never compared with the core's"
_EXACT_SPARK: Final = (3, 4)
"""Older ones have no exact median, only percentile_approx."""

_ASKED: Final = {
    "deployments": (
        ("deployments", "failed", "count"),
        ("failed", "failed", "sum"),
        ("rework", "rework", "sum"),
        ("median_recovery_seconds", "recovery_seconds", "median"),
    ),
    "lead_times": (
        ("lead_times", "lead_time_seconds", "count"),
        ("median_lead_time_seconds", "lead_time_seconds", "median"),
    ),
    "incidents": (
        ("restored", "restore_seconds", "count"),
        ("median_restore_seconds", "restore_seconds", "median"),
    ),
}
"""The figures: of each table, what an engine is asked for: its name, its column, and how."""

_SPAN: Final = (("first", "day_number", "min"), ("last", "day_number", "max"))
_SHARES: Final = {"change_failure_rate": "failed", "rework_rate": "rework"}
_MICROSECONDS: Final = 1_000_000
_NEEDED: Final = {
    "deployments": ("day_number",),
    "links": ("change", "fails", "recovers", "reworks", "resolved_us"),
}
"""The columns that are needed besides."""

_LINKED: Final = ("id", "deployed_us", "own_recovery_seconds")
"""Those of deployments that links are joined to."""

_TYPES: Final[Mapping[str, Type]] = {
    "deployments": "whole",
    "lead_times": "whole",
    "restored": "whole",
    "deployments_per_day": "number",
    "change_failure_rate": "number",
    "rework_rate": "number",
    "median_recovery_seconds": "number",
    "median_lead_time_seconds": "number",
    "median_restore_seconds": "number",
}

_Group: TypeAlias = tuple[str, ...]
# Any: what an engine computed, of a type of its own.
_GroupValues: TypeAlias = Mapping[_Group, Mapping[str, Any]]


def figures(
    deployments: IntoFrame | None = None,
    lead_times: IntoFrame | None = None,
    incidents: IntoFrame | None = None,
    *,
    links: IntoFrame | None = None,
    by: str | Sequence[str] | None = None,
    days: tuple[date, date] | None = None,
) -> Table:
    """
    Return the bare figures of frames, computed by their own engine: one row, or one for each group.

    They are the numbers the core computes from the same facts, without their intervals, reasons
    and populations. The columns, as far as their frames are given:
        deployments, lead_times, restored: How many were counted.
        deployments_per_day: Over whole days, from that of the first deployment to that of the
            last, for every group alike; a day, week, month, quarter or year is taken as far as it
            lies in them. A column of your own is never taken for a time.
        change_failure_rate, rework_rate: Shares from 0 to 1.
        median_recovery_seconds, median_lead_time_seconds, median_restore_seconds: In seconds.
    Undefined figures are None: there is nothing they could be computed from.

    Args:
        deployments, lead_times, incidents: Frames of the tables of these names, or what is left
            of them after filtering: pandas, polars (lazy and streaming, too), duckdb or pyspark.
            Those of several ledgers may stand below each other.
        links: A frame of the table of that name, of the same engine as *deployments*, and of all
            the ledgers that these are of. What it says of a deployment is joined to it: an
            incident of one ledger can fail a deployment of another. None leaves `failed`, `rework`
            and `recovery_seconds` as each ledger knows them.
        by: A column of text that all frames given have: "service" (of tables made `by_service`),
            "day", "week", "month", "quarter", "year", "severity", or one of your own; or several.
            Rows without a
            value in it, such as the month of what is not resolved, are in no group; groups come
            in order of their names, and one without any row is not there.
        days: The first and the last day that are looked at, both included; rows of other days,
            by the column `day`, are passed over. None takes all there are.

    Raises:
        InvalidValue: No frame; what is no frame; a frame of another engine, with the reason;
            links without deployments; a column that is not there; days that are none.
        MissingExtraError: narwhals is not installed.
    """
    nw = narwhals("figures")
    span, groups_of = _checked_days(days), _checked_by(by)
    given = {"deployments": deployments, "lead_times": lead_times, "incidents": incidents}
    frames = {
        name: _in_days(nw, _frame(nw, name, frame, _columns(name, groups_of, span)), span)
        for name, frame in given.items()
        if frame is not None
    }
    if not frames:
        raise InvalidValue("deployments", None, "give at least one frame")
    ends = frames.get("deployments")
    if links is not None:
        frames["deployments"] = _linked(nw, frames.get("deployments"), links)
    computed = {name: _computed(nw, f, _ASKED[name], groups_of) for name, f in frames.items()}
    if span is None and ends is not None:
        span = _days_of(_computed(nw, ends, _SPAN, ())[()])
    groups = sorted({group for rows in computed.values() for group in rows})
    rows = [_figures_of(group, computed, _length(groups_of, group, span)) for group in groups]
    columns: dict[str, Sequence[Value]] = {
        name: [group[index] for group in groups] for index, name in enumerate(groups_of)
    }
    for name in _names(frames):
        columns[name] = [row[name] for row in rows]
    return Table(columns, _TYPES)


def _names(frames: Iterable[str]) -> Iterator[str]:
    """Yield the names of the figures that these frames give, in order."""
    for table in frames:
        counted, *_, median = (name for name, _, _ in _ASKED[table])
        yield counted
        if table == "deployments":
            yield "deployments_per_day"
            yield from _SHARES
        yield median


def _checked_days(days: Any) -> Span | None:
    # Any: what was given may be anything.
    if days is None:
        return None
    allowed = "a tuple of two dates, the first and the last day"
    try:
        first, last = days
    except (TypeError, ValueError):
        raise InvalidValue("days", days, allowed) from None
    # A datetime is a date, too, and would be compared as a text that no day has.
    if type(first) is not date or type(last) is not date:
        raise InvalidValue("days", days, allowed)
    if last < first:
        raise InvalidValue("days", days, "the first day comes first")
    return first, last


def _checked_by(by: Any) -> tuple[str, ...]:
    # Any: what was given may be anything.
    several = is_list(by) and not is_mapping(by)
    names = tuple(
        checked_text("by", name) for name in (by if several else (by,)) if name is not None
    )
    if len(set(names)) < len(names):
        raise InvalidValue("by", by, "each column once")
    for name in names:
        if name in _TYPES:
            raise InvalidValue("by", name, "a column of text that has not the name of a figure")
    return names


def _columns(table: str, by: Iterable[str], days: Span | None) -> list[str]:
    """Return the columns that a frame must have."""
    asked = [column for _, column, _ in _ASKED[table]]
    return [*asked, *_NEEDED.get(table, ()), *by, *(() if days is None else ("day",))]


# Any, from here on: narwhals is loaded when it is needed, and its frames come from any engine.


def _frame(nw: Any, name: str, given: object, needed: Iterable[str]) -> Any:
    """Return a frame as narwhals sees it, checked."""
    try:
        frame = nw.from_native(given)
    except TypeError:
        allowed = f"a frame of {', '.join(_ENGINES)}, as Table.to_frame makes it"
        raise InvalidValue(name, given, allowed) from None
    engine = frame.implementation.value
    if engine not in _ENGINES:
        why = _REFUSED.get(engine, _UNTRIED)
        allowed = f"a frame of {', '.join(_ENGINES)}: medians of others may be approximate ({why})"
        raise InvalidValue(name, engine, allowed)
    if engine == "pyspark":
        version = import_module("pyspark").__version__
        if tuple(map(int, version.split(".")[:2])) < _EXACT_SPARK:
            raise InvalidValue(name, f"pyspark {version}", "3.4 or newer: it has an exact median")
    _require(nw, name, frame, needed)
    return frame


def _require(nw: Any, name: str, frame: Any, needed: Iterable[str]) -> None:
    """Refuse a frame that lacks a column."""
    # The schema of an eager frame of pandas would be guessed from all its texts.
    there = frame.collect_schema().names() if _is_lazy(nw, frame) else frame.columns
    for column in needed:
        if column not in there:
            raise InvalidValue(name, there, f"a frame with the column {column!r}")


def _is_lazy(nw: Any, frame: Any) -> bool:
    return isinstance(frame, nw.LazyFrame)


def _in_days(nw: Any, frame: Any, days: Span | None) -> Any:
    if days is None:
        return frame
    first, last = (day.isoformat() for day in days)
    # What has no day must go before it is compared: pandas compares no None with a text.
    known = frame.filter(~nw.col("day").is_null())
    return known.filter(nw.col("day") >= first, nw.col("day") <= last)


# --- what links say -------------------------------------------------------------------------------


def _linked(nw: Any, deployments: Any, given: object) -> Any:
    """Return deployments with what links say of each: whether it failed, and how it recovered."""
    if deployments is None:
        raise InvalidValue("links", None, "give deployments, too: links say something of them")
    links = _frame(nw, "links", given, _NEEDED["links"])
    if (type(links), links.implementation) != (type(deployments), deployments.implementation):
        raise InvalidValue("links", links.implementation.value, "a frame as deployments is one")
    _require(nw, "deployments", deployments, _LINKED)
    ended = nw.col("recovers") & ~nw.col("resolved_us").is_null()
    of_changes = (
        links.with_columns(
            nw.col("fails").cast(nw.Int64).alias("fails there"),
            nw.col("reworks").cast(nw.Int64).alias("reworks there"),
            nw.col("recovers").cast(nw.Int64).alias("ends there"),
            ended.cast(nw.Int64).alias("ended there"),
        )
        .group_by("change", drop_null_keys=True)
        .agg(
            nw.col("fails there").sum(),
            nw.col("reworks there").sum(),
            nw.col("ends there").sum(),
            nw.col("ended there").sum(),
            nw.col("resolved_us").max().alias("resolved there"),
        )
    )
    joined = deployments.join(of_changes, how="left", left_on="id", right_on="change")
    said = {
        name: nw.col(f"{name} there").fill_null(0) for name in ("fails", "reworks", "ends", "ended")
    }
    failed = nw.col("failed") | (said["fails"] > 0)
    all_over = (said["ends"] > 0) & (said["ends"] == said["ended"])
    # Whole microseconds until the last division, as in the core.
    took = nw.col("resolved there") - nw.col("deployed_us")
    nothing = nw.lit(None, dtype=nw.Float64)
    by_incident = (
        nw.when(took >= 0)
        .then(took / _MICROSECONDS)
        .otherwise(nw.when(took >= -SLACK).then(nw.lit(0.0)).otherwise(nothing))
    )
    ending = nw.when(all_over).then(by_incident).otherwise(nw.col("own_recovery_seconds"))
    return joined.with_columns(
        failed.alias("failed"),
        (nw.col("rework") | (said["reworks"] > 0)).alias("rework"),
        nw.when(failed).then(ending).otherwise(nothing).alias("recovery_seconds"),
    )


# --- what an engine is asked for ------------------------------------------------------------------


def _computed(
    nw: Any, frame: Any, asked: Iterable[tuple[str, str, str]], by: Sequence[str]
) -> _GroupValues:
    """Return what the engine computes of each group; without groups, of the one that is ()."""
    asked = tuple(asked)
    lazy = _is_lazy(nw, frame)
    if not by and not lazy:
        # The same by columns: through expressions pandas takes as long again to make a frame.
        return {(): _of_columns(frame, asked)}

    def expression(name: str, column: str, how: str) -> Any:
        told = nw.col(column)
        if lazy and how == "sum":
            told = told.cast(nw.Int64)  # Spark adds up no flags
        # Under another name, so that none is that of a column of groups.
        return getattr(told, how)().alias(f"{name} of it")

    figures_ = [expression(*one) for one in asked]
    if by:
        frame = frame.group_by(*by, drop_null_keys=True).agg(*figures_)
    else:
        frame = frame.select(*figures_)
    rows = (frame.collect() if lazy else frame).rows(named=True)
    return {
        tuple(str(row[name]) for name in by): {name: row[f"{name} of it"] for name, _, _ in asked}
        for row in rows
    }


def _of_columns(frame: Any, asked: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    columns = {column: frame[column] for column in {column for _, column, _ in asked}}
    counts: dict[str, int] = {}
    values: dict[str, Any] = {}
    for name, column, how in asked:
        if how in {"count", "median"} and column not in counts:
            counts[column] = columns[column].count()
        if how == "count":
            values[name] = counts[column]
        elif how == "median" and not counts[column]:
            values[name] = None  # of nothing, pandas has no median but a warning
        else:
            values[name] = getattr(columns[column], how)()
    return values


def _days_of(ordinals: Mapping[str, Any]) -> Span | None:
    """Return the days of the first deployment and of the last; None without any."""
    first, last = (_number(ordinals[name]) for name in ("first", "last"))
    if first is None or last is None:
        return None
    return date.fromordinal(int(first)), date.fromordinal(int(last))


def _number(value: Any) -> float | None:
    """Return a number as Python has it; what an engine writes for none, NaN too, is None."""
    try:
        number = float(value)
    except TypeError:  # None, and pandas' own
        return None
    return None if isnan(number) else number


def _length(by: Sequence[str], group: _Group, span: Span | None) -> int | None:
    """Return how many days deployments of a group are counted over; None where there are none."""
    if span is None:
        return None
    first, last = span
    for name, text in zip(by, group, strict=True):
        if name in PERIODS:
            begins, ends = days_of_period(name, text)
            first, last = max(first, begins), min(last, ends)
    return (last - first).days + 1 if first <= last else None


def _figures_of(
    group: _Group, computed: Mapping[str, _GroupValues], days: int | None
) -> dict[str, Value]:
    cells: dict[str, Value] = {}
    for table, rows in computed.items():
        row = rows.get(group, {})
        counted, *_, median = (name for name, _, _ in _ASKED[table])
        n = int(row.get(counted, 0))
        cells[counted] = n
        cells[median] = _number(row.get(median))
        if table == "deployments":
            cells["deployments_per_day"] = None if days is None else n / days
            for share, part in _SHARES.items():
                cells[share] = int(row[part]) / n if n else None
    return cells
