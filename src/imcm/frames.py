"""
Tables of facts for pandas, polars and duckdb, and the bare figures computed from them there.

    from imcm import frames

    table = frames.deployments(ledger.facts(), time_zone="Europe/London")
    frame = table.to_frame("polars")
    frames.figures(deployments=frame, by="month").to_frame()

What counts, which deployment failed and how long anything took is decided by the same figures
that `imcm` computes without frames; a table holds their answers, one row for each thing counted.
Days, weeks and months are told here as text, since engines disagree about time zones.

Needs `pip install 'imcm[frames]'`, but not for `rows()`, `columns()` and `_repr_html_`.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from html import escape
from importlib import import_module
from math import isnan
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeAlias, TypeVar

import attrs

from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import NONE_GIVEN, checked_text, is_among
from imcm.errors import InvalidValue, MissingExtraError, MissingPackageError
from imcm.gc_pause import gc_paused
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts
from imcm.projections.facts.instants import moment_of
from imcm.projections.figures.bounds import inside
from imcm.projections.figures.days import midnight
from imcm.projections.figures.definition import Definition
from imcm.projections.figures.deployments import Deployments as DeploymentChoices
from imcm.projections.figures.deployments import deployments as deployments_of
from imcm.projections.figures.failures import ChangeFailureRate, FailedBy, change_failures
from imcm.projections.figures.figure import Included
from imcm.projections.figures.frequency import ReworkRate, measure_rework
from imcm.projections.figures.function import facts_of, settled
from imcm.projections.figures.lead_time import LeadTime, measure_lead_time
from imcm.projections.figures.population import incidents_of, severity_name_of, severity_of
from imcm.projections.figures.recovery import FailedDeploymentRecovery, recover
from imcm.projections.figures.restore import TimeToRestore, measure
from imcm.projections.figures.units import utc, zone

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoFrame

__all__ = ["Table", "Value", "deployments", "figures", "incidents", "lead_times"]

Value: TypeAlias = str | float | int | bool | datetime | None
"""What a cell holds. Times are in UTC, durations are seconds, None is what is not there."""

_TYPES: Final = {
    "deployed_at": "time",
    "detected_at": "time",
    "resolved_at": "time",
    "acknowledged_at": "time",
    "failed": "truth",
    "observed": "truth",
    "rework": "truth",
    "day_number": "count",
    "deployments": "count",
    "lead_times": "count",
    "restored": "count",
    "recovery_seconds": "number",
    "lead_time_seconds": "number",
    "restore_seconds": "number",
    "open_seconds": "number",
    "deployments_per_day": "number",
    "change_failure_rate": "number",
    "rework_rate": "number",
    "median_recovery_seconds": "number",
    "median_lead_time_seconds": "number",
    "median_restore_seconds": "number",
}
"""The columns that are not text; also a table without rows has its types."""

_SHOWN: Final = 10
_BACKENDS: Final = ("pandas", "polars", "pyarrow", "duckdb")
_MADE_IN: Final = {"duckdb": ("duckdb", "pyarrow")}
"""A relation of duckdb is made from a table of pyarrow."""


# --- the table ------------------------------------------------------------------------------------


class Table:
    """
    Rows with names and types, to be taken to an engine of one's choice.

    Made by `deployments`, `lead_times`, `incidents` and `figures`. It never changes.
    """

    def __init__(
        self,
        columns: Mapping[str, Sequence[Value]],
        services: Sequence[tuple[str, ...]] | None = None,
    ) -> None:
        self._columns = columns
        self._services = services

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def __repr__(self) -> str:
        return f"<Table of {len(self)} rows: {', '.join(self._columns)}>"

    def rows(self) -> list[dict[str, Value]]:
        """Return each row as a mapping of its own, in the order of the table."""
        names = tuple(self._columns)
        cells = zip(*self._columns.values(), strict=True)
        return [dict(zip(names, row, strict=True)) for row in cells]

    def columns(self) -> dict[str, list[Value]]:
        """Return each column as a list of its own."""
        return {name: list(cells) for name, cells in self._columns.items()}

    def by_service(self) -> Table:
        """
        Return the table with a row for each service of each row, named in `service`.

        What is of several services stands there several times, so figures of its whole count it
        several times; `figures(..., by="service")` counts as the core does with
        `group_by="service"`.

        Raises:
            InvalidValue: It has no services: it is of figures.
        """
        if self._services is None:
            raise InvalidValue("table", self, "a table of deployments, lead times or incidents")
        indices = [index for index, names in enumerate(self._services) for _ in names]
        columns: dict[str, Sequence[Value]] = {
            name: [cells[index] for index in indices] for name, cells in self._columns.items()
        }
        each = [name for names in self._services for name in names]
        columns["service"] = each
        return Table(columns, [(name,) for name in each])

    # Any: which class it is depends on the backend, none of which need be installed.
    def to_frame(self, backend: str = "pandas", *, aware: bool = True) -> Any:
        """
        Return the table as a frame of that library.

        Times have the zone UTC and microseconds; what is not there is the library's own missing
        value.

        Args:
            aware: False gives times in UTC that do not say so: spreadsheets know no zones, and
                `DataFrame.to_excel` refuses them.

            backend: "pandas", "polars", "pyarrow" (a Table), or "duckdb" (a relation on its
                default connection, made by way of pyarrow).

        Raises:
            InvalidValue: Another backend.
            MissingExtraError, MissingPackageError: What it needs is not installed.
        """
        # Compared, not looked up: what was given may be anything.
        if not is_among(backend, _BACKENDS):
            raise InvalidValue("backend", backend, f"one of {', '.join(_BACKENDS)}")
        if not isinstance(aware, bool):
            raise InvalidValue("aware", aware, "True or False")
        what = f"to_frame({backend!r})"
        nw = _narwhals(what)
        for package in _MADE_IN.get(backend, (backend,)):
            try:
                import_module(package)
            except ImportError:
                if package == "pandas":
                    raise MissingExtraError(what, "frames") from None
                raise MissingPackageError(what, package) from None
        cells = self._columns if aware else self._without_zones()
        if backend == "pandas":
            return self._in_pandas(cells, aware=aware)
        types = {
            "time": nw.Datetime("us", "UTC") if aware else nw.Datetime("us"),
            "truth": nw.Boolean(),
            "count": nw.Int64(),
            "number": nw.Float64(),
        }
        schema = {name: types.get(_TYPES.get(name, ""), nw.String()) for name in self._columns}
        made_in = "pyarrow" if backend == "duckdb" else backend
        frame = nw.from_dict(cells, schema=schema, backend=made_in)
        return frame.lazy("duckdb").to_native() if backend == "duckdb" else frame.to_native()

    def _without_zones(self) -> Mapping[str, Sequence[Value]]:
        return {
            name: [
                cell.replace(tzinfo=None) if isinstance(cell, datetime) else cell for cell in cells
            ]
            for name, cells in self._columns.items()
        }

    def _in_pandas(self, columns: Mapping[str, Sequence[Value]], *, aware: bool) -> Any:
        # Not by narwhals: as a text, its pandas has "None" for what is not there.
        pandas = import_module("pandas")
        types = {
            "time": "datetime64[us, UTC]" if aware else "datetime64[us]",
            "truth": "bool",
            "count": "int64",
            "number": "float64",
        }
        series = {
            name: pandas.Series(cells, dtype=types.get(_TYPES.get(name, ""), _text_type(cells)))
            for name, cells in columns.items()
        }
        return pandas.DataFrame(series)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """
        Return an Arrow stream: what takes one (`polars.DataFrame(table)`) needs no `to_frame`.

        Raises:
            MissingExtraError, MissingPackageError: narwhals or pyarrow is not installed.
        """
        stream: object = self.to_frame("pyarrow").__arrow_c_stream__(requested_schema)
        return stream

    def _repr_html_(self) -> str:
        """Return the first rows for a notebook, every text escaped."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self._columns)
        first = zip(*(cells[:_SHOWN] for cells in self._columns.values()), strict=True)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(_shown(cell))}</td>' for cell in row)}</tr>"
            for row in first
        )
        more = len(self) - _SHOWN
        note = f"<p>and {more:,} more</p>" if more > 0 else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def _text_type(cells: Sequence[Value]) -> str | None:
    """Return what pandas is to make of a column of texts: its own choice, where there are any."""
    return None if any(cell is not None for cell in cells) else "object"


def _shown(cell: Value) -> str:
    if cell is None:
        return ""
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def _narwhals(what: str) -> Any:
    # Any: a module that need not be installed.
    try:
        return import_module("narwhals.stable.v2")
    except ImportError:
        raise MissingExtraError(what, "frames") from None


# --- days, weeks and months -----------------------------------------------------------------------


class _Days:
    """The days of a zone on which moments lie, each with its week and its month as text."""

    def __init__(self, time_zone: str) -> None:
        self._home = zone(time_zone)
        self._edges: dict[date, tuple[datetime, datetime]] = {}
        self._period_texts: dict[date, tuple[str, str, str]] = {}
        self._day = date.min
        self._from = self._to = datetime.min.replace(tzinfo=UTC)

    def of(self, at: datetime) -> date:
        """Return the day that an instant counts in, by the edges that figures use."""
        # Most rows come in order of time, many on one day.
        if self._from <= at < self._to:
            return self._day
        day = at.astimezone(self._home).date()
        begins, ends = self._edges_of(day)
        if at >= ends:
            # Where clocks go back over midnight a date comes twice, and its second part is past it.
            day += timedelta(days=1)
            begins, ends = self._edges_of(day)
        self._day, self._from, self._to = day, begins, ends
        return day

    def _edges_of(self, day: date) -> tuple[datetime, datetime]:
        edges = self._edges.get(day)
        if edges is None:
            following = day + timedelta(days=1)
            edges = midnight(day, self._home), midnight(following, self._home)
            self._edges[day] = edges
        return edges

    def period_columns(
        self, moments: Iterable[datetime | None], prefix: str = ""
    ) -> dict[str, list[Value]]:
        """Return the columns `day`, `week` and `month` of some moments; None has none of them."""
        periods: list[tuple[Value, Value, Value]] = []
        for at in moments:
            if at is None:
                periods.append((None, None, None))
                continue
            day = self.of(at)
            texts = self._period_texts.get(day)
            if texts is None:
                texts = self._period_texts[day] = _texts(day)
            periods.append(texts)
        return {
            f"{prefix}{name}": [texts[index] for texts in periods]
            for index, name in enumerate(("day", "week", "month"))
        }


def _texts(day: date) -> tuple[str, str, str]:
    year, week, _ = day.isocalendar()
    return day.isoformat(), f"{year:04}-W{week:02}", f"{day.year:04}-{day.month:02}"


# --- tables out of facts --------------------------------------------------------------------------

P = ParamSpec("P")
D = TypeVar("D", bound=Definition)


def _table_function(
    definition: Callable[P, D], make: Callable[[Facts, D], Table]
) -> Callable[Concatenate[Facts | Iterable[Recorded], P], Table]:
    """Return the function that makes a table: its arguments are those of the definition."""

    def function(log: Facts | Iterable[Recorded], /, *args: P.args, **arguments: P.kwargs) -> Table:
        known, chosen = facts_of(log), definition(*args, **arguments)
        for name in ("group_by", "bucket_by"):
            if getattr(chosen, name) is not None:
                allowed = "a table has no groups: give by= to figures"
                raise InvalidValue(name, getattr(chosen, name), allowed)
        with gc_paused():
            return make(known, chosen)

    function.__doc__ = make.__doc__
    return function


def _same(cls: Callable[..., D], shared: type[Definition], chosen: Definition) -> D:
    """Return the definition of another figure that chooses the same of what both have."""
    return cls(**{field.name: getattr(chosen, field.name) for field in attrs.fields(shared)})


def _joined(services: Iterable[tuple[str, ...]]) -> list[Value]:
    return [", ".join(names) for names in services]


def _labels_of(rows: Sequence[IncidentFacts | ChangeFacts]) -> dict[str, Sequence[Value]]:
    """Return a column for each label that one of them has, in the order of their names."""
    names = sorted({name for row in rows for name in row.labels})
    return {f"label:{name}": [row.labels.get(name) for row in rows] for name in names}


def _deployments(facts: Facts, asked: FailedDeploymentRecovery) -> Table:
    """
    Return one row for each deployment, in order of time and id.

    Arguments are those of `failed_deployment_recovery_time`, which holds all that decides which
    changes are deployments, which of them failed, and what ended a failure. Deployments outside
    the window are not in the table.

    The columns:
        id: The change.
        service: Its services, joined by ", "; "(none)" without any. See `Table.by_service`.
        deployed_at: When it came into production, in UTC; of an uncertain moment the midpoint.
        day, week, month: Of deployed_at in `time_zone`: 2026-03-06, 2026-W10, 2026-03.
        day_number: The day as a number, counted as `date.toordinal` does.
        failed: Whether it failed, as `change_failure_rate` judges.
        rework: Whether it is rework, as `rework_rate` judges.
        recovery_seconds: From deployed_at to recovery, as `failed_deployment_recovery_time`
            measures it; None where it did not fail, has not recovered, or is left out there.
        failed_because: What says that it failed, in words; None where nothing does.
        label:<name>: A column for each label that a row has; None where one does not.

    Raises:
        InvalidValue: An argument that is not allowed; groups or buckets, which `figures` has;
            values for each incident, or a window that holds recoveries and not deployments,
            since a row is a deployment.
    """
    definition = settled(facts, asked)
    if definition.per != "change":
        raise InvalidValue("per", definition.per, '"change": a row is a deployment')
    if definition.window is not None and definition.in_window != "start":
        allowed = '"start": a window holds deployments, each with its recovery'
        raise InvalidValue("in_window", definition.in_window, allowed)
    deployed, _ = deployments_of(facts, definition)
    judged = change_failures(facts, _same(ChangeFailureRate, FailedBy, definition)).included
    reworked = measure_rework(facts, _same(ReworkRate, DeploymentChoices, definition)).included
    recovered = {member.id: member.value for member in recover(facts, definition).included}
    index_of = {deployed.id(index): index for index in range(len(deployed))}
    indices = [index_of[member.id] for member in judged]
    # Both are told in order of time and have the same window.
    rework = {member.id for member in reworked if member.value}
    at = [moment_of(deployed.at[index]) for index in indices]
    ids = [member.id for member in judged]
    services = [deployed.change(index).services or (NONE_GIVEN,) for index in indices]
    days = _Days(definition.time_zone)
    columns: dict[str, Sequence[Value]] = {
        "id": ids,
        "service": _joined(services),
        "deployed_at": at,
        **days.period_columns(at),
        "day_number": [days.of(moment).toordinal() for moment in at],
        "failed": [member.value > 0 for member in judged],
        "rework": [id_ in rework for id_ in ids],
        "recovery_seconds": [recovered.get(id_) for id_ in ids],
        "failed_because": [member.why or None if member.value > 0 else None for member in judged],
        **_labels_of([deployed.change(index) for index in indices]),
    }
    return Table(columns, services)


def _lead_times(facts: Facts, asked: LeadTime) -> Table:
    """
    Return one row for each lead time, in order of deployment: a commit that came into production.

    Arguments are those of `lead_time`, and the rows are exactly what it counts.

    The columns:
        id: The commit; with `unit` the change or the pull request.
        deployment: The change that brought it into production.
        service: The services of that change, joined by ", "; "(none)" without any.
        deployed_at: When it did, in UTC; of an uncertain moment the midpoint.
        day, week, month: Of deployed_at in `time_zone`: 2026-03-06, 2026-W10, 2026-03.
        lead_time_seconds: From the commit (or what `start` says) to deployed_at.

    Raises:
        InvalidValue: An argument that is not allowed; groups or buckets, which `figures` has.
    """
    definition = settled(facts, asked)
    deployed, _ = deployments_of(facts, definition)
    # A figure tells the events behind each value; the last deployment among them brought it.
    of_position = {
        position: index
        for index in range(len(deployed))
        for position in deployed.change(index).positions
    }

    def brought_by(member: Included) -> int:
        return max(of_position[position] for position in member.positions)

    pairs = [
        (brought_by(member), member) for member in measure_lead_time(facts, definition).included
    ]
    pairs.sort(key=lambda pair: (pair[0], pair[1].id))
    at = [moment_of(deployed.at[index]) for index, _ in pairs]
    services = [deployed.change(index).services or (NONE_GIVEN,) for index, _ in pairs]
    columns: dict[str, Sequence[Value]] = {
        "id": [member.id for _, member in pairs],
        "deployment": [deployed.id(index) for index, _ in pairs],
        "service": _joined(services),
        "deployed_at": at,
        **_Days(definition.time_zone).period_columns(at),
        "lead_time_seconds": [member.value for _, member in pairs],
    }
    return Table(columns, services)


def _incidents(facts: Facts, asked: TimeToRestore) -> Table:
    """
    Return one row for each incident that counts, in order of id.

    Arguments are those of `time_to_restore`. With a window these are the incidents detected in
    it, and those whose time to restore counts there.

    The columns:
        id: The incident.
        service: Its services, joined by ", "; "(none)" without any. See `Table.by_service`.
        severity: That which `severity` chooses; "(none)" where there is none. severity_name: what
            the team's own scale calls it, else the same.
        detected_at, resolved_at: In UTC; of an uncertain moment the midpoint. None where unknown
            or not yet; after reopenings the last resolution.
        day, week, month: Of resolved_at in `time_zone` (2026-03-06, 2026-W10, 2026-03): a time
            to restore is counted when it ends. None where resolved_at is.
        detected_day, detected_week, detected_month: The same of detected_at.
        restore_seconds: As `time_to_restore` measures it; None where that leaves it out, as it
            does with what is still open.
        acknowledged_at: In UTC; of an uncertain moment the midpoint. None where nobody said.
        open_seconds: Of what is not over, how long it has lasted so far; else None.
        observed: Whether its end was seen. Survival libraries take `restore_seconds` where it was
            and `open_seconds` where it was not.
        cause_tags: Of its reviews, joined by ", "; "(none)" without any.
        mark:<name>: A column for each milestone of the team's own that a row has: when it was first
            reached, in UTC; None where it was not.
        label:<name>: A column for each label that a row has; None where one does not.

    Raises:
        InvalidValue: An argument that is not allowed; groups or buckets, which `figures` has;
            a value for each spell, since a row is an incident; another moment than the last
            resolution to place it, since `day` is that of this one.
    """
    definition = settled(facts, asked)
    if definition.reopened in {"each", "first"}:
        allowed = "last or open_time: a row is an incident, on the day it was last resolved"
        raise InvalidValue("reopened", definition.reopened, allowed)
    if definition.in_window != "end":
        allowed = '"end": an incident has the day it was resolved'
        raise InvalidValue("in_window", definition.in_window, allowed)
    measured = measure(facts, definition)
    restored = {member.id: member.value for member in measured.included}
    waiting = {member.id: member.value for member in measured.censored}
    counted, _ = incidents_of(facts, definition)
    window, bounds = definition.window, definition.bounds
    rows = [row for row in counted if row.id in restored or inside(row.detected_at, window, bounds)]
    detected = [None if row.detected_at is None else utc(row.detected_at) for row in rows]
    resolved = [None if (at := row.resolved_at) is None else utc(at) for row in rows]
    services = [row.services or (NONE_GIVEN,) for row in rows]
    severities = (severity_of(row, definition) for row in rows)
    named = (severity_name_of(row, definition) for row in rows)
    days = _Days(definition.time_zone)
    columns: dict[str, Sequence[Value]] = {
        "id": [row.id for row in rows],
        "service": _joined(services),
        "severity": [NONE_GIVEN if severity is None else severity.value for severity in severities],
        "severity_name": [NONE_GIVEN if name is None else name for name in named],
        "detected_at": detected,
        "resolved_at": resolved,
        **days.period_columns(resolved),
        **days.period_columns(detected, "detected_"),
        "restore_seconds": [restored.get(row.id) for row in rows],
        "acknowledged_at": [
            None if (at := row.acknowledged_at) is None else utc(at) for row in rows
        ],
        "open_seconds": [waiting.get(row.id) for row in rows],
        "observed": [row.id in restored for row in rows],
        "cause_tags": _joined([row.cause_tags or (NONE_GIVEN,) for row in rows]),
        **_marks_of(rows),
        **_labels_of(rows),
    }
    return Table(columns, services)


def _marks_of(rows: Sequence[IncidentFacts]) -> dict[str, Sequence[Value]]:
    """Return, for each milestone of the team's own, when each row first reached it."""
    names = sorted({name for row in rows for name in row.milestones})

    def first(row: IncidentFacts, name: str) -> datetime | None:
        at = next(iter(row.milestones.get(name, ())), None)
        return None if at is None else utc(at)

    return {f"mark:{name}": [first(row, name) for row in rows] for name in names}


deployments = _table_function(FailedDeploymentRecovery, _deployments)
lead_times = _table_function(LeadTime, _lead_times)
incidents = _table_function(TimeToRestore, _incidents)


# --- figures out of frames ------------------------------------------------------------------------

_ENGINES: Final = ("pandas", "polars", "duckdb")
"""Where the median is exact, and where tests hold that figures agree."""

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
_PERIODS: Final = ("day", "week", "month")

_Span: TypeAlias = tuple[date, date]
# Any: what an engine computed, of a type of its own.
_GroupValues: TypeAlias = Mapping[str | None, Mapping[str, Any]]


def figures(
    deployments: IntoFrame | None = None,
    lead_times: IntoFrame | None = None,
    incidents: IntoFrame | None = None,
    *,
    by: str | None = None,
    days: tuple[date, date] | None = None,
) -> Table:
    """
    Return the bare figures of frames, computed by their own engine: one row, or one for each group.

    They are the numbers the core computes from the same facts, without their intervals, reasons
    and populations. The columns, as far as their frames are given:
        deployments, lead_times, restored: How many were counted.
        deployments_per_day: Over whole days, from that of the first deployment to that of the
            last, for every group alike; a day, week or month is taken as far as it lies in them.
        change_failure_rate, rework_rate: Shares from 0 to 1.
        median_recovery_seconds, median_lead_time_seconds, median_restore_seconds: In seconds.
    Undefined figures are None: there is nothing they could be computed from.

    Args:
        deployments, lead_times, incidents: Frames of the tables of these names, or what is left
            of them after filtering: pandas, polars (lazy, too) or duckdb.
        by: A column of text that all frames given have: "service" (of tables made `by_service`),
            "day", "week", "month", "severity", or one of your own. Rows without a value in it,
            such as the month of what is not resolved, are in no group; groups come in order of
            their names, and one without any row is not there.
        days: The first and the last day that are looked at, both included; rows of other days,
            by the column `day`, are passed over. None takes all there are.

    Raises:
        InvalidValue: No frame; what is no frame; a frame of another engine, since the median of
            pyarrow is approximate; a column that is not there; days that are none.
        MissingExtraError: narwhals is not installed.
    """
    nw = _narwhals("figures")
    span = _checked(days)
    by = None if by is None else checked_text("by", by)
    given = {"deployments": deployments, "lead_times": lead_times, "incidents": incidents}
    frames = {
        name: _frame(nw, name, frame, by, span)
        for name, frame in given.items()
        if frame is not None
    }
    if not frames:
        raise InvalidValue("deployments", None, "give at least one frame")
    computed = {name: _computed(nw, frame, _ASKED[name], by) for name, frame in frames.items()}
    if span is None and "deployments" in frames:
        span = _days_of(_computed(nw, frames["deployments"], _SPAN, None)[None])
    groups = sorted({group for rows in computed.values() for group in rows}, key=str)
    rows = [_figures_of(group, computed, _length(by, group, span)) for group in groups]
    columns: dict[str, Sequence[Value]] = {} if by is None else {by: groups}
    for name in _names(frames):
        columns[name] = [row[name] for row in rows]
    return Table(columns)


def _names(frames: Iterable[str]) -> Iterator[str]:
    """Yield the names of the figures that these frames give, in order."""
    for table in frames:
        counted, *_, median = (name for name, _, _ in _ASKED[table])
        yield counted
        if table == "deployments":
            yield "deployments_per_day"
            yield from _SHARES
        yield median


def _checked(days: Any) -> _Span | None:
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


# Any, from here on: narwhals is loaded when it is needed, and its frames come from any engine.


def _frame(nw: Any, name: str, given: object, by: str | None, days: _Span | None) -> Any:
    """Return a frame as narwhals sees it, checked and cut to the days."""
    try:
        frame = nw.from_native(given)
    except TypeError:
        allowed = f"a frame of {', '.join(_ENGINES)}, as Table.to_frame makes it"
        raise InvalidValue(name, given, allowed) from None
    engine = frame.implementation.value
    if engine not in _ENGINES:
        allowed = f"a frame of {', '.join(_ENGINES)}: medians of others may be approximate"
        raise InvalidValue(name, engine, allowed)
    # The schema of an eager frame of pandas would be guessed from all its texts.
    lazy = isinstance(frame, nw.LazyFrame)
    there = frame.collect_schema().names() if lazy else frame.columns
    needed = [column for _, column, _ in _ASKED[name]]
    needed += ["day_number"] if name == "deployments" else []
    needed += [] if by is None else [by]
    needed += [] if days is None else ["day"]
    for column in needed:
        if column not in there:
            raise InvalidValue(name, there, f"a frame with the column {column!r}")
    if days is None:
        return frame
    first, last = (day.isoformat() for day in days)
    # What has no day must go before it is compared: pandas compares no None with a text.
    known = frame.filter(~nw.col("day").is_null())
    return known.filter(nw.col("day") >= first, nw.col("day") <= last)


def _computed(
    nw: Any, frame: Any, asked: Iterable[tuple[str, str, str]], by: str | None
) -> _GroupValues:
    """Return what the engine computes of each group; without groups, of the one that is None."""
    lazy = isinstance(frame, nw.LazyFrame)
    if by is None and not lazy:
        # The same by columns: through expressions pandas takes as long again to make a frame.
        return {None: _of_columns(frame, asked)}
    # Under other names, so that none of them is that of the column of groups.
    figures_ = [
        getattr(nw.col(column), how)().alias(f"{name} of it") for name, column, how in asked
    ]
    if by is None:
        frame = frame.select(*figures_)
    else:
        frame = frame.group_by(by, drop_null_keys=True).agg(*figures_)
    rows = (frame.collect() if lazy else frame).rows(named=True)
    return {
        None if by is None else str(row[by]): {name: row[f"{name} of it"] for name, _, _ in asked}
        for row in rows
    }


def _of_columns(frame: Any, asked: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    asked = tuple(asked)
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


def _days_of(ordinals: Mapping[str, Any]) -> _Span | None:
    """Return the days of the first deployment and of the last; None without any."""
    first, last = (_number(ordinals[name]) for name in ("first", "last"))
    if first is None or last is None:
        return None
    return date.fromordinal(int(first)), date.fromordinal(int(last))


def _number(value: Any) -> float | None:
    """Return a number as Python has it; what an engine writes for none, NaN too, is None."""
    if value is None:
        return None
    number = float(value)
    return None if isnan(number) else number


def _length(by: str | None, group: str | None, span: _Span | None) -> int | None:
    """Return how many days deployments of a group are counted over; None where there are none."""
    if span is None:
        return None
    first, last = span
    if by in _PERIODS:
        begins, ends = _period(by, str(group))
        first, last = max(first, begins), min(last, ends)
    return (last - first).days + 1 if first <= last else None


def _period(by: str, text: str) -> _Span:
    """Return the first and the last day of a day, week or month told as a text."""
    try:
        first = date.fromisoformat(text + {"day": "", "week": "-1", "month": "-01"}[by])
    except ValueError:
        raise InvalidValue(by, text, "a text as the tables have it, such as 2026-W10") from None
    if by == "month":
        return first, first.replace(day=monthrange(first.year, first.month)[1])
    return first, first + timedelta(days=6 if by == "week" else 0)


def _figures_of(
    group: str | None, computed: Mapping[str, _GroupValues], days: int | None
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
