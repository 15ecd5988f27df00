"""
Rows as histories: what a row of each table says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from imcm.domain.change_events import (
    ChangeApproved,
    ChangeCancelled,
    ChangeClosed,
    ChangeCompleted,
    ChangeDeployed,
    ChangeEvent,
    ChangeFailed,
    ChangeObserved,
    ChangePlanned,
    ChangeRecovered,
    ChangeRolledBack,
    ChangeStarted,
)
from imcm.domain.corrections import DurationStated
from imcm.domain.incident_events import (
    IncidentAcknowledged,
    IncidentClosed,
    IncidentDetected,
    IncidentDismissed,
    IncidentEvent,
    IncidentMerged,
    IncidentMitigated,
    IncidentRelated,
    IncidentResolved,
    IncidentTriaged,
    MilestoneMarked,
    VerdictGiven,
)
from imcm.domain.recorded import Event, Source
from imcm.domain.vocabulary import (
    ChangeType,
    Commit,
    DismissalReason,
    Impact,
    Kind,
    Mode,
    Moment,
    Relation,
    Result,
    Risk,
    Severity,
    StatedDuration,
    Symptom,
    Verdict,
    checked_id,
)
from imcm.errors import InvalidValue
from imcm.interchange.csv_contract import CHANGE_COLUMNS, INCIDENT_MOMENTS, STATUSES, CsvOptions
from imcm.interchange.csv_table import Row, table_of
from imcm.interchange.mapping import Problem, count, member, truth

__all__ = [
    "ReadCommit",
    "ReadRow",
    "read_changes",
    "read_commits",
    "read_incidents",
]

# --- rows as histories ----------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ReadRow:
    """
    One row of incidents or changes, read.

    Attributes:
        line: On which it begins, from 1.
        id: The id in the ledger; None where it can't be read.
        events: What it says, as imported events; () where something is wrong with it.
        source: Where it comes from.
        problems: What is wrong with it.
        merged_into: Id of the incident this one was merged into.
        cells: What stands in it, for telling equal rows.
    """

    line: int
    id: str | None
    events: tuple[Event, ...]
    source: Source
    problems: tuple[Problem, ...]
    merged_into: str | None
    cells: tuple[str, ...]


@attrs.frozen(kw_only=True)
class ReadCommit:
    """
    One row of commits, read.

    Attributes:
        line: On which it begins, from 1.
        change: Id of its change in the ledger; None where it can't be read.
        id: The commit's id; None where it can't be read.
        commit: None where something is wrong with it.
        problems: What is wrong with it.
        raw: The bytes of the row, without the line end.
        cells: What stands in it, for telling equal rows.
    """

    line: int
    change: str | None
    id: str | None
    commit: Commit | None
    problems: tuple[Problem, ...]
    raw: bytes
    cells: tuple[str, ...]


def read_incidents(path: str | Path, options: CsvOptions) -> Iterator[ReadRow]:
    """
    Yield the rows of a CSV file of incidents, bad ones with their problems.

    Raises:
        ImportRefusedError: The file as a whole can't be read.
    """
    for row, raw in table_of(path, "incidents", options):
        yield _read(row, raw, _incident, options)


def read_changes(path: str | Path, options: CsvOptions) -> Iterator[ReadRow]:
    """Yield the rows of a CSV file of changes, as `read_incidents` does."""
    for row, raw in table_of(path, "changes", options):
        yield _read(row, raw, _change, options)


def read_commits(path: str | Path, options: CsvOptions) -> Iterator[ReadCommit]:
    """Yield the rows of a CSV file of commits, as `read_incidents` does."""
    for row, raw in table_of(path, "commits", options):
        yield commit_of(row, raw, options)


def _read(
    row: Row,
    raw: bytes,
    events_of: Callable[[Row, str], tuple[Event, ...]],
    options: CsvOptions,
) -> ReadRow:
    id_: str | None = None
    events: tuple[Event, ...] = ()
    status = merged_into = ""
    if row.fits:
        id_ = _required(row, "id", options.prefix)
        events = events_of(row, options.by)
        labels = {name.casefold(): text for name, text in row.labels().items()}
        status = row.raw("status") or labels.get("status", "")
        merged_into = next((e.into for e in events if isinstance(e, IncidentMerged)), "")
        if merged_into and merged_into == id_:
            row.wrong("merged_into", "an incident can't be merged into itself")
    return ReadRow(
        line=row.line,
        id=id_,
        events=() if row.problems else events,
        source=row.source(raw, row.raw("id") if row.fits else "", status),
        problems=tuple(row.problems),
        merged_into=merged_into or None,
        cells=tuple(row.cells),
    )


def _required(row: Row, name: str, prefix: str) -> str | None:
    if not row.text(name):
        row.wrong(name, "it is empty, and every row needs it")
    return row.get(name, lambda n, text: checked_id(n, prefix + text))


def _incident(row: Row, by: str) -> tuple[IncidentEvent, ...]:
    told: dict[str, Any] = {"at": None, "by": by, "imported": True}
    moments = {name: row.moment(name) for name in INCIDENT_MOMENTS}
    events: list[IncidentEvent] = [
        IncidentDetected(
            by=by,
            imported=True,
            at=moments["detected_at"],
            impact_started_at=moments["impact_started_at"],
            declared_at=moments["declared_at"],
            title=row.words("title"),
            services=row.several("service"),
            symptom=row.get("symptom", lambda n, text: member(n, text, Symptom)),
            mode=row.get("mode", lambda n, text: member(n, text, Mode)) or Mode.REAL,
            environment=row.get("environment", checked_id),
            labels=row.labels(),
        )
    ]
    severity = row.get("severity", lambda n, text: member(n, text, Severity))
    customers = row.get("customers", count)
    if severity is not None or customers is not None:
        impact = None if customers is None else Impact(customers=customers)
        name = row.get("severity_name", checked_id) if severity is not None else None
        if name in set(Severity) - {severity}:
            row.wrong("severity_name", f"it is a rank, and another one than {severity}")
        events.append(IncidentTriaged(**told, severity=severity, severity_name=name, impact=impact))
    for name, milestone in _MILESTONES.items():
        if moments[name] is not None:
            events.append(milestone(at=moments[name], by=by, imported=True))
    caused, fixed = row.references("caused_by"), row.references("fixed_by")
    for both in sorted({*caused} & {*fixed}):
        row.wrong("fixed_by", f"{both} is in caused_by too; only one verdict on a change can stand")
    for verdict, ids in ((Verdict.CAUSED, caused), (Verdict.FIXED, fixed)):
        events += [VerdictGiven(**told, change=id_, verdict=verdict) for id_ in ids]
    for mark, at in row.marks():
        events.append(MilestoneMarked(by=by, imported=True, at=at, number=1, name=mark))
    related: dict[str, str] = {}
    for relation in (Relation.CHILD_OF, Relation.RECURRENCE_OF):
        other = row.reference(relation.value)
        if other is not None and other == row.reference("id"):
            row.wrong(relation.value, "an incident can't be related to itself")
        if other is not None and other in related:
            row.wrong(relation.value, f"it is {related[other]} too; one relation to each can stand")
        if other is not None:
            related[other] = relation.value
            events.append(IncidentRelated(**told, other=other, kind=relation))
    reason = row.get("dismissed", lambda n, text: member(n, text, DismissalReason))
    if reason is not None:
        events.append(IncidentDismissed(**told, reason=reason))
    for what in StatedDuration:
        microseconds = row.duration(f"stated_{what.value}")
        if microseconds is not None:
            events.append(DurationStated(**told, what=what, microseconds=microseconds))
    into = row.reference("merged_into")
    if into is not None:
        events.append(IncidentMerged(**told, into=into))
    if not row.problems and not any(moments.values()):
        row.wrong("", f"it has no moment; give at least one of {', '.join(INCIDENT_MOMENTS)}")
    return tuple(events)


_MILESTONES: Final[
    Mapping[
        str,
        type[IncidentAcknowledged]
        | type[IncidentMitigated]
        | type[IncidentResolved]
        | type[IncidentClosed],
    ]
] = {
    "acknowledged_at": IncidentAcknowledged,
    "mitigated_at": IncidentMitigated,
    "resolved_at": IncidentResolved,
    "closed_at": IncidentClosed,
}


def _change(row: Row, by: str) -> tuple[ChangeEvent, ...]:
    told: dict[str, Any] = {"by": by, "imported": True}
    status = row.get("status", _status)
    moments = {name: row.moment(name) for name in _CHANGE_MOMENTS}
    deployed_at = moments["deployed_at"]
    if status in {"cancelled", "not_deployed"} and deployed_at is not None:
        row.wrong("deployed_at", f"its status says {status}; both can't be")
    first = _begun(row, by, moments)
    events: list[ChangeEvent] = [first]
    if moments["approved_at"] is not None:
        events.append(ChangeApproved(**told, at=moments["approved_at"]))
    if moments["started_at"] is not None:
        events.append(ChangeStarted(**told, at=moments["started_at"]))
    reached = True if deployed_at is not None else None
    said = status is not None or moments["rolled_back_at"] is not None
    if status == "successful" or (reached and said and isinstance(first, ChangePlanned)):
        events.append(ChangeCompleted(**told, at=deployed_at))
    elif reached and isinstance(first, ChangePlanned):
        events.append(ChangeDeployed(**told, at=deployed_at))
    if status == "failed":
        events.append(ChangeFailed(**told, at=None, reached_production=reached))
    elif status == "not_deployed":
        events.append(ChangeFailed(**told, at=None, reached_production=False))
    elif status == "cancelled":
        events.append(ChangeCancelled(**told, at=moments["closed_at"]))
    if status == "rolled_back" or moments["rolled_back_at"] is not None:
        rolled_back_at = moments["rolled_back_at"]
        events.append(ChangeRolledBack(**told, at=rolled_back_at, reached_production=reached))
    if moments["recovered_at"] is not None:
        events.append(ChangeRecovered(**told, at=moments["recovered_at"]))
    if moments["closed_at"] is not None and status != "cancelled":
        result = _RESULTS.get(status or "")
        events.append(ChangeClosed(**told, at=moments["closed_at"], result=result))
    return tuple(events)


_CHANGE_MOMENTS: Final = tuple(name for name in CHANGE_COLUMNS if name.endswith("_at"))

_RESULTS: Final[Mapping[str, Result]] = {
    "successful": Result.SUCCESSFUL,
    "failed": Result.UNSUCCESSFUL,
    "rolled_back": Result.UNSUCCESSFUL,
    "not_deployed": Result.UNSUCCESSFUL,
}


def _status(name: str, text: str) -> str:
    if text.casefold() not in STATUSES:
        allowed = f"one of {', '.join(STATUSES)}; other words need a mapping"
        raise InvalidValue(name, text, allowed)
    return text.casefold()


_NOT_OBSERVED: Final = ("requested_at", "requested_by", "risk", "fixes_incident", "repairs")


def _begun(
    row: Row, by: str, moments: Mapping[str, Moment | None]
) -> ChangePlanned | ChangeObserved:
    """Return how the change begins: planned, or found in production."""
    type_ = row.get("type", lambda n, text: member(n, text, ChangeType)) or ChangeType.NORMAL
    planned = row.get("planned", truth)
    content: dict[str, Any] = {
        "by": by,
        "imported": True,
        "title": row.words("title"),
        "kind": row.get("kind", lambda n, text: member(n, text, Kind)),
        "services": row.several("service"),
        "environment": row.get("environment", checked_id),
        "labels": row.labels(),
        "version": row.get("version", checked_id),
    }
    if type_ is ChangeType.OBSERVED:
        for name in _NOT_OBSERVED:
            if row.text(name):
                row.wrong(name, "an observed change is one that nobody asked for; it has none")
        if planned:
            row.wrong("planned", "an observed change is one that nobody planned")
        return ChangeObserved(**content, at=moments["deployed_at"])
    return ChangePlanned(
        **content,
        at=moments["requested_at"],
        type=type_,
        risk=row.get("risk", lambda n, text: member(n, text, Risk)),
        requested_by=row.get("requested_by", checked_id),
        incident=row.reference("fixes_incident"),
        repairs=row.reference("repairs"),
        unplanned=planned is False,
    )


def commit_of(row: Row, raw: bytes, options: CsvOptions) -> ReadCommit:
    change: str | None = None
    id_: str | None = None
    commit: Commit | None = None
    if row.fits:
        change = _required(row, "change_id", options.prefix)
        id_ = _required(row, "commit_id", "")
        commit = Commit(
            id=id_ or "",
            pull_request=row.get("pull_request", checked_id),
            **{
                name: row.get(name, options.times.time)
                for name in ("authored_at", "committed_at", "opened_at", "merged_at")
            },
        )
    return ReadCommit(
        line=row.line,
        change=change,
        id=id_,
        commit=None if row.problems else commit,
        problems=tuple(row.problems),
        raw=raw,
        cells=tuple(row.cells),
    )
