"""
Tables out of facts: a row for each deployment, lead time, incident and link.

What counts, what failed and how long it took is what the figures of `imcm` say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, ParamSpec, Protocol, TypeAlias, TypeVar, cast, overload

import attrs

from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import NONE_GIVEN, Moment, checked_text, is_list, is_mapping
from imcm.errors import InvalidValue
from imcm.frames.days import Days
from imcm.frames.table import LABEL, Table, Type, Value
from imcm.gc_pause import gc_paused
from imcm.projections.facts.columns import NO_TIME
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts
from imcm.projections.facts.instants import moment_of
from imcm.projections.figures.attribution import causes_of
from imcm.projections.figures.bounds import inside
from imcm.projections.figures.definition import Definition
from imcm.projections.figures.deployments import Deployments as DeploymentChoices
from imcm.projections.figures.deployments import deployments as deployments_of
from imcm.projections.figures.durations import ROUNDINGS, difference, early
from imcm.projections.figures.failures import (
    ChangeFailureRate,
    FailedBy,
    change_failures,
    repairs_of,
)
from imcm.projections.figures.figure import Included
from imcm.projections.figures.frequency import ReworkRate, fixes_of, measure_rework
from imcm.projections.figures.function import facts_of, settled
from imcm.projections.figures.lead_time import LeadTime, measure_lead_time
from imcm.projections.figures.population import incidents_of, severity_name_of, severity_of
from imcm.projections.figures.recovery import FailedDeploymentRecovery, recover
from imcm.projections.figures.restore import TimeToRestore, measure
from imcm.projections.figures.units import instant_of, utc

P = ParamSpec("P")
D = TypeVar("D", bound=Definition)

_Columns: TypeAlias = dict[str, Sequence[Value]]
_Names: TypeAlias = Sequence[str] | None
"""Of labels: those whose columns are asked for; None for all there are."""

_MICROSECONDS: Final = 1_000_000


class TableFunction(Protocol[P]):
    """
    Makes a table: its arguments are those of a definition.

    `labels` is either the filter of the definition, a mapping, or the names of labels, each of
    which becomes a column whether a row has it or not.
    """

    @overload
    def __call__(
        self, log: Facts | Iterable[Recorded], /, *args: P.args, **arguments: P.kwargs
    ) -> Table: ...
    @overload
    def __call__(
        self, log: Facts | Iterable[Recorded], /, *, labels: Sequence[str], **arguments: object
    ) -> Table: ...


def _table_function(
    definition: Callable[P, D], make: Callable[[Facts, D, _Names], Table]
) -> TableFunction[P]:
    """Return the function that makes a table: its arguments are those of the definition."""

    # Any: which arguments there may be is what the definition says, and the protocol repeats.
    def function(log: Facts | Iterable[Recorded], /, **arguments: Any) -> Table:
        names: _Names = None
        labels = arguments.get("labels")
        if is_list(labels) and not is_mapping(labels):
            names = label_names(arguments.pop("labels"))
        known, chosen = facts_of(log), cast("Any", definition)(**arguments)
        for name in ("group_by", "bucket_by"):
            if getattr(chosen, name) is not None:
                allowed = "a table has no groups: give by= to figures"
                raise InvalidValue(name, getattr(chosen, name), allowed)
        with gc_paused():
            return make(known, settled(known, chosen), names)

    function.__doc__ = make.__doc__
    return cast("TableFunction[P]", function)


def label_names(given: Iterable[object]) -> tuple[str, ...]:
    """Return the names of labels whose columns are asked for, each once."""
    return tuple(dict.fromkeys(checked_text("labels", name) for name in given))


def label_columns(
    rows: Sequence[IncidentFacts | ChangeFacts], names: _Names
) -> dict[str, Sequence[str | None]]:
    """Return a column for each of these labels, or else for each that one of the rows has."""
    if names is None:
        names = sorted({name for row in rows for name in row.labels})
    return {f"{LABEL}{name}": [row.labels.get(name) for row in rows] for name in names}


def _same(cls: Callable[..., D], shared: type[Definition], chosen: Definition) -> D:
    """Return the definition of another figure that chooses the same of what both have."""
    return cls(**{field.name: getattr(chosen, field.name) for field in attrs.fields(shared)})


def joined_texts(texts: Iterable[Sequence[str]]) -> list[str]:
    """Return several texts of each row as one."""
    return [", ".join(several) for several in texts]


# --- deployments ----------------------------------------------------------------------------------

_OF_DEPLOYMENTS: Final[dict[str, Type]] = {
    "deployed_at": "time",
    "day_number": "whole",
    "failed": "truth",
    "rework": "truth",
    "recovery_seconds": "number",
    "own_recovery_seconds": "number",
    "deployed_us": "whole",
}


def _deployments(facts: Facts, definition: FailedDeploymentRecovery, labels: _Names) -> Table:
    """
    Return one row for each deployment, in order of time and id.

    Arguments are those of `failed_deployment_recovery_time`, which holds all that decides which
    changes are deployments, which of them failed, and what ended a failure. Deployments outside
    the window are not in the table.

    The columns:
        id: The change.
        service: Its services, joined by ", "; "(none)" without any. See `Table.by_service`.
        deployed_at: When it came into production, in UTC; of an uncertain moment the midpoint.
        day, week, month, quarter, year: Of deployed_at in `time_zone`: 2026-03-06, 2026-W10,
            2026-03, 2026-Q1, 2026.
        day_number: The day as a number, counted as `date.toordinal` does.
        failed: Whether it failed, as `change_failure_rate` judges.
        rework: Whether it is rework, as `rework_rate` judges.
        recovery_seconds: From deployed_at to recovery, as `failed_deployment_recovery_time`
            measures it; None where it did not fail, has not recovered, or is left out there.
        failed_because: What says that it failed, in words; None where nothing does.
        deployed_us: deployed_at in whole microseconds since 1970, for differences that are exact
            in every engine.
        own_recovery_seconds: From deployed_at to the roll back or the recovery that the change
            itself tells, in the order of `recovered_by`, failed or not; None where it tells none.
            What `figures` falls back to where no incident ended a failure.
        label:<name>: A column for each label that a row has; None where one does not. With
            `labels=("team", "tier")` for these labels and no others, in this order, so that the
            columns are the same whatever the log holds.

    Raises:
        InvalidValue: An argument that is not allowed; groups or buckets, which `figures` has;
            values for each incident, or a window that holds recoveries and not deployments,
            since a row is a deployment.
    """
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
    days = Days(definition.time_zone)
    columns: _Columns = {
        "id": ids,
        "service": joined_texts(services),
        "deployed_at": at,
        **days.period_columns(at),
        "day_number": [days.of(moment).toordinal() for moment in at],
        "failed": [member.value > 0 for member in judged],
        "rework": [id_ in rework for id_ in ids],
        "recovery_seconds": [recovered.get(id_) for id_ in ids],
        "failed_because": [member.why or None if member.value > 0 else None for member in judged],
        "deployed_us": [deployed.at[index] for index in indices],
        "own_recovery_seconds": list(_own_recoveries(facts, definition, indices)),
        **label_columns([deployed.change(index) for index in indices], labels),
    }
    return Table(columns, _OF_DEPLOYMENTS, services)


def _own_recoveries(
    facts: Facts, definition: FailedDeploymentRecovery, indices: Iterable[int]
) -> Iterator[float | None]:
    """Yield how long each deployment took to what its own change says of its recovery."""
    deployed, _ = deployments_of(facts, definition)
    columns = facts.changes.columns
    ends = {"rolled_back": columns.rolled_back, "recorded": columns.recovered}
    asked = [name for name in definition.recovered_by if name in ends]
    rounded = ROUNDINGS[definition.round_each]
    for index in indices:
        here = deployed.change_indices[index]
        name = next((name for name in asked if ends[name][here] != NO_TIME), None)
        if name is None:
            yield None
            continue
        change = deployed.change(index)
        # It is there: the column says so.
        end = cast(
            "Moment", change.rolled_back_at if name == "rolled_back" else change.recovered_at
        )
        value, _, _ = difference(deployed.moment(index), end)
        if early(value):
            value = 0
        yield rounded(value) / _MICROSECONDS if value >= 0 else None


# --- lead times -----------------------------------------------------------------------------------

_OF_LEAD_TIMES: Final[dict[str, Type]] = {"deployed_at": "time", "lead_time_seconds": "number"}


def _lead_times(facts: Facts, definition: LeadTime, labels: _Names) -> Table:
    """
    Return one row for each lead time, in order of deployment: a commit that came into production.

    Arguments are those of `lead_time`, and the rows are exactly what it counts.

    The columns:
        id: The commit; with `unit` the change or the pull request.
        deployment: The change that brought it into production.
        service: The services of that change, joined by ", "; "(none)" without any.
        deployed_at: When it did, in UTC; of an uncertain moment the midpoint.
        day, week, month, quarter, year: Of deployed_at in `time_zone`: 2026-03-06, 2026-W10,
            2026-03, 2026-Q1, 2026.
        lead_time_seconds: From the commit (or what `start` says) to deployed_at.
        label:<name>: As of `deployments`, of the change that brought it.

    Raises:
        InvalidValue: An argument that is not allowed; groups or buckets, which `figures` has.
    """
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
    columns: _Columns = {
        "id": [member.id for _, member in pairs],
        "deployment": [deployed.id(index) for index, _ in pairs],
        "service": joined_texts(services),
        "deployed_at": at,
        **Days(definition.time_zone).period_columns(at),
        "lead_time_seconds": [member.value for _, member in pairs],
        **label_columns([deployed.change(index) for index, _ in pairs], labels),
    }
    return Table(columns, _OF_LEAD_TIMES, services)


# --- incidents ------------------------------------------------------------------------------------

_OF_INCIDENTS: Final[dict[str, Type]] = {
    "detected_at": "time",
    "resolved_at": "time",
    "acknowledged_at": "time",
    "restore_seconds": "number",
    "open_seconds": "number",
    "observed": "truth",
}


def _incidents(facts: Facts, definition: TimeToRestore, labels: _Names) -> Table:
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
        day, week, month, quarter, year: Of resolved_at in `time_zone` (2026-03-06, 2026-W10,
            2026-03, 2026-Q1, 2026): a time to restore is counted when it ends. None where
            resolved_at is.
        detected_day, detected_week, detected_month, detected_quarter, detected_year: The same of
            detected_at.
        restore_seconds: As `time_to_restore` measures it; None where that leaves it out, as it
            does with what is still open.
        acknowledged_at: In UTC; of an uncertain moment the midpoint. None where nobody said.
        open_seconds: Of what is not over, how long it has lasted so far; else None.
        observed: Whether its end was seen. Survival libraries take `restore_seconds` where it was
            and `open_seconds` where it was not.
        cause_tags: Of its reviews, joined by ", "; "(none)" without any.
        mark:<name>: A column for each milestone of the team's own that a row has: when it was first
            reached, in UTC; None where it was not.
        label:<name>: A column for each label that a row has; None where one does not. With
            `labels=("team", "tier")` for these labels and no others, in this order, so that the
            columns are the same whatever the log holds.

    Raises:
        InvalidValue: An argument that is not allowed; groups or buckets, which `figures` has;
            a value for each spell, since a row is an incident; another moment than the last
            resolution to place it, since `day` is that of this one.
    """
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
    days = Days(definition.time_zone)
    columns: _Columns = {
        "id": [row.id for row in rows],
        "service": joined_texts(services),
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
        "cause_tags": joined_texts([row.cause_tags or (NONE_GIVEN,) for row in rows]),
        **(marks := _marks_of(rows)),
        **label_columns(rows, labels),
    }
    types: dict[str, Type] = {**_OF_INCIDENTS, **dict.fromkeys(marks, "time")}
    return Table(columns, types, services)


def _marks_of(rows: Sequence[IncidentFacts]) -> dict[str, Sequence[datetime | None]]:
    """Return, for each milestone of the team's own, when each row first reached it."""
    names = sorted({name for row in rows for name in row.milestones})

    def first(row: IncidentFacts, name: str) -> datetime | None:
        at = next(iter(row.milestones.get(name, ())), None)
        return None if at is None else utc(at)

    return {f"mark:{name}": [first(row, name) for row in rows] for name in names}


# --- links ----------------------------------------------------------------------------------------

_OF_LINKS: Final[dict[str, Type]] = {
    "inferred": "truth",
    "known": "truth",
    "fails": "truth",
    "recovers": "truth",
    "reworks": "truth",
    "resolved_at": "time",
    "resolved_us": "some whole",
}
_LINK_COLUMNS: Final = (
    *("link", "change", "incident", "repair", "inferred", "rule", "known"),
    *("fails", "recovers", "reworks", "resolved_at", "resolved_us"),
)
_JOINED: Final[tuple[tuple[str, Any, str], ...]] = (
    ("per", "change", "what is joined is a deployment"),
    ("failures", "each", "which failure follows which is known in one log only"),
    ("look_back", None, "which success came before is known in one log only"),
    ("round_each", "none", "engines round in ways of their own"),
)
"""What a definition must choose whose links can be joined, and why."""


def _links(facts: Facts, definition: FailedDeploymentRecovery, _: _Names) -> Table:
    """
    Return one row for each link that says something of a deployment, in this log or in another.

    Arguments are those of `deployments`; give both the same. A change is named by its id, so the
    rows of several ledgers can stand below each other, and `figures(deployments, links=...)` joins
    them: a deployment fails by the incident of another ledger, and recovers with it, as it does in
    `Facts.joined`.

    The columns:
        link: "caused" (the incident is laid to the change), "fixed" (the change is rework), or
            "repaired" (another change names it as repaired).
        change: The one of which it says something.
        incident, repair: Which incident or which change says so; None where it is the other.
        inferred: False where somebody stated it; else `rule` says how it was inferred, among the
            deployments of this log. rule: else "stated".
        known: Whether this log has the change.
        fails, reworks: Whether the link makes the change a failure, or rework.
        recovers: Whether the change recovers only when the incident is resolved.
        resolved_at: When the incident was, in UTC; of an uncertain moment the midpoint. None where
            it is not, or where there is none. resolved_us: The same in microseconds since 1970.

    Raises:
        InvalidValue: An argument that is not allowed, or one by which a deployment depends on
            others of its log (`per`, `failures`, `look_back`, "next_success"), rounds, or has
            recovered before its incidents are resolved.
    """
    for name, value, why in _JOINED:
        if getattr(definition, name) != value:
            raise InvalidValue(name, getattr(definition, name), f"{value!r}: {why}")
    by = definition.recovered_by
    if "next_success" in by or "incident" in by[1:]:
        allowed = "incident first, and rolled_back or recorded after it"
        raise InvalidValue("recovered_by", by, allowed)
    rows = [
        *_caused(facts, definition),
        *_fixed(facts, _same(ReworkRate, DeploymentChoices, definition)),
        *(_repaired(facts) if "repaired" in definition.failed_by else ()),
    ]
    cells = zip(*rows, strict=True) if rows else [()] * len(_LINK_COLUMNS)
    return Table(dict(zip(_LINK_COLUMNS, cells, strict=True)), _OF_LINKS)


def _caused(facts: Facts, definition: FailedDeploymentRecovery) -> Iterator[tuple[Value, ...]]:
    attributed, _ = causes_of(facts, definition)
    fails, recovers = "incident" in definition.failed_by, "incident" in definition.recovered_by
    for cause, index in zip(attributed, attributed.incidents, strict=True):
        at = facts.incidents[index].resolved_at
        yield (
            *("caused", cause.change, cause.incident, None),
            *(cause.inferred, cause.rule, cause.known, fails, recovers, False),
            *((None, None) if at is None else (utc(at), instant_of(at))),
        )


def _fixed(facts: Facts, definition: ReworkRate) -> Iterator[tuple[Value, ...]]:
    for row, changes, why in fixes_of(facts, definition):
        for change in changes if why is None else ():
            known = facts.changes.index_of(change) is not None
            yield (
                *("fixed", change, row.id, None),
                *(False, "stated", known, False, False, True),
                *(None, None),
            )


def _repaired(facts: Facts) -> Iterator[tuple[Value, ...]]:
    for change, repair in repairs_of(facts).items():
        known = facts.changes.index_of(change) is not None
        yield (
            *("repaired", change, None, repair),
            *(False, "stated", known, True, False, False),
            *(None, None),
        )


deployments = _table_function(FailedDeploymentRecovery, _deployments)
lead_times = _table_function(LeadTime, _lead_times)
incidents = _table_function(TimeToRestore, _incidents)
links = _table_function(FailedDeploymentRecovery, _links)
