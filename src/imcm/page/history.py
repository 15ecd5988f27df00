"""
Tables of what there was in a period: incidents, changes, and what happened step by step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from imcm.domain.change_events import ChangeStatus
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, kind_and_id, stream_of
from imcm.domain.vocabulary import Verdict
from imcm.page.parts import (
    NEVER,
    Cell,
    Column,
    Known,
    Period,
    Row,
    Table,
    name_text,
    severity_text,
)
from imcm.page.pictures import begun
from imcm.projections.boards.assembly import view_of_stream
from imcm.projections.boards.views import ChangeView, IncidentView
from imcm.projections.facts.fold import ChangeFacts, IncidentFacts
from imcm.projections.facts.instants import FIRST, LAST
from imcm.projections.figures.units import (
    SECONDS,
    instant_of,
    shown,
    utc,
)
from imcm.projections.histories.timeline import Entry, timeline
from imcm.wording import entry_line

__all__ = [
    "change_table",
    "changes_in",
    "entries_table",
    "incident_table",
    "incidents_in",
    "timeline_table",
]


def _is_of(row: Row, service: str | None) -> bool:
    return service is None or service in row.services


def incidents_in(known: Known, window: Period | None) -> list[IncidentFacts]:
    """Return the incidents that were open at some time of a period, the newest first."""
    rows = known.facts.incidents
    columns = rows.columns
    first, last = (-NEVER, NEVER) if window is None else map(instant_of, window)
    picked: list[IncidentFacts] = []
    for index, (detected, resolved) in enumerate(
        zip(columns.detected, columns.resolved, strict=True)
    ):
        if abs(detected) < NEVER and detected >= last:
            continue
        if abs(resolved) < NEVER and resolved < first:
            continue
        row = rows[index]
        if row.status is IncidentStatus.NOTHING or not _is_of(row, known.asked.service):
            continue
        if window is not None and row.detected_at is None:
            continue  # nobody knows when it was
        picked.append(row)
    picked.sort(key=lambda row: (begun(row), row.id), reverse=True)
    return picked


def changes_in(known: Known, window: Period | None) -> list[ChangeFacts]:
    """Return the changes that went in, or were planned to, in a period, the newest first."""
    first, last = (FIRST, LAST) if window is None else map(utc, window)
    picked: list[tuple[datetime, str, ChangeFacts]] = []
    for row in known.facts.changes:
        moment = row.deployed_at or row.started_at or row.planned_at
        at = FIRST if moment is None else utc(moment)
        inside = first <= at < last or window is None
        if inside and row.status is not ChangeStatus.NOTHING and _is_of(row, known.asked.service):
            picked.append((at, row.id, row))
    picked.sort(key=lambda item: item[:2], reverse=True)
    return [row for _, _, row in picked]


def _views(known: Known, kind: str, rows: Iterable[Row]) -> dict[str, IncidentView | ChangeView]:
    """Return what stands of some incidents or changes, words included, by their ids."""
    # Not asked for one by one: a log may hold ids that nobody could give.
    streams: dict[str, list[Recorded]] = {stream_of(kind, row.id): [] for row in rows}
    for recorded in known.ledger.events_of(streams, upto=known.position):
        streams[recorded.stream].append(recorded)
    return {kind_and_id(name)[1]: view_of_stream(events) for name, events in streams.items()}


def incident_table(
    known: Known,
    rows: Sequence[IncidentFacts],
    total: int,
    restore: Mapping[str, float],
    why: Mapping[str, str],
) -> Table:
    columns = (
        *(Column("id"), Column("title"), Column("severity"), Column("services")),
        *(Column("status"), Column("detected", True), Column("restored", True)),
        *(Column("time to restore", True), Column("caused by")),
    )
    lines: list[tuple[Cell, ...]] = []
    views = _views(known, INCIDENT, rows)
    for row in rows:
        view = views[row.id]
        assert isinstance(view, IncidentView)
        lasted = restore.get(row.id)
        not_counted = f"not counted: {why[row.id]}" if row.id in why else ""
        caused_by = [id_ for id_, verdict in row.verdicts.items() if verdict is Verdict.CAUSED]
        lines.append(
            (
                Cell(row.id),
                Cell(view.title),
                Cell(severity_text(view)),
                Cell(", ".join(row.services)),
                Cell(name_text(row.status)),
                known.when(row.detected_at),
                known.when(row.resolved_at),
                Cell(not_counted if lasted is None else shown(lasted, SECONDS), lasted),
                Cell(", ".join(sorted(caused_by))),
            )
        )
    return Table(
        id="incidents",
        caption="Incidents",
        columns=columns,
        rows=tuple(lines),
        total=total,
        elsewhere="imcm list incidents --status all lists all",
    )


def change_table(known: Known, rows: Sequence[ChangeFacts], total: int) -> Table:
    columns = (
        *(Column("id"), Column("title"), Column("services"), Column("risk")),
        *(Column("status"), Column("outcome"), Column("went in", True), Column("authorised")),
    )
    lines: list[tuple[Cell, ...]] = []
    views = _views(known, CHANGE, rows)
    for row in rows:
        view = views[row.id]
        lines.append(
            (
                Cell(row.id),
                Cell(view.title),
                Cell(", ".join(row.services)),
                Cell("" if row.risk is None else row.risk.value),
                Cell(name_text(row.status)),
                Cell("" if row.outcome is None else name_text(row.outcome)),
                known.when(row.deployed_at),
                Cell(row.authorisation),
            )
        )
    return Table(
        id="changes",
        caption="Changes",
        columns=columns,
        rows=tuple(lines),
        total=total,
        elsewhere="imcm list changes --status all lists all",
    )


def entries_table(
    known: Known,
    incidents: Iterable[IncidentFacts],
    changes: Iterable[ChangeFacts],
    window: Period | None,
) -> Table:
    """Return what happened to some incidents and changes in a period, step by step."""
    streams = [stream_of(INCIDENT, row.id) for row in incidents]
    streams += [stream_of(CHANGE, row.id) for row in changes]
    log = known.ledger.events_of(streams, upto=known.position)
    entries = timeline(log, window=window, as_of=known.facts.as_of)
    return timeline_table(known, entries, "Timeline")


def timeline_table(known: Known, entries: Sequence[Entry], caption: str) -> Table:
    columns = (
        *(Column("when", True), Column("id"), Column("who"), Column("what")),
        *(Column("recorded", True), Column("log position", True)),
    )
    newest = entries[-known.asked.limit :]
    rows = tuple(
        (
            known.when(entry.at) if entry.at is not None else Cell("at an unknown time"),
            Cell(entry.id),
            Cell(entry.by),
            Cell(entry_line(entry)),
            known.when(entry.recorded_at),
            Cell(f"{entry.position:,}", float(entry.position)),
        )
        for entry in newest
    )
    return Table(
        id="timeline",
        caption=caption,
        columns=columns,
        rows=rows,
        total=len(entries),
        elsewhere="these are the newest; imcm timeline lists all",
    )
