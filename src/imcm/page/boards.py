"""
Boards of a page: what stood at its position of the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from imcm.domain.change_events import ChangeStatus
from imcm.page.parts import (
    Cell,
    Column,
    Known,
    Period,
    Section,
    Table,
    minute_text,
    name_text,
    severity_text,
)
from imcm.projections.boards.views import ActionItem, ChangeView, IncidentView
from imcm.projections.facts.instants import FIRST
from imcm.projections.figures.days import day_of
from imcm.projections.figures.units import utc

__all__ = ["ACTION_COLUMNS", "action_row", "boards_section"]


NOT_OVER: Final = (
    ChangeStatus.DRAFT,
    ChangeStatus.SUBMITTED,
    ChangeStatus.APPROVED,
    ChangeStatus.IMPLEMENTING,
)
"""Statuses of changes whose work is still to come, or goes on; many sources never close any."""


def boards_section(known: Known, window: Period | None = None) -> Section:
    """
    Return what stood at the position of the page: open incidents, changes, actions, versions.

    Args:
        window: The period of the page. Where it is over, a sentence says that this is not of it.
    """
    asked: dict[str, Any] = {"service": known.asked.service, "known_at": known.position}
    limit = known.asked.limit
    incidents = known.views.incidents(limit=limit, **asked)
    changes = known.views.changes(limit=limit, status=NOT_OVER, **asked)
    actions = known.views.actions(limit=limit, **asked)
    tables = (
        _open_incidents(known, incidents, incidents.total),
        _current_changes(known, changes, changes.total),
        _open_actions(known, actions, actions.total),
        _live(known),
    )
    filled = tuple(table for table in tables if table.rows)
    empty = [table.caption.lower() for table in tables if not table.rows]
    words = [_as_of(known, window)]
    if empty:
        words.append(f"Nothing of these: {', '.join(empty)}.")
    return Section(id="boards", title="What stands", words=tuple(words), tables=filled)


def _as_of(known: Known, window: Period | None) -> str:
    """Return a sentence that says when all this stood so."""
    as_of = known.facts.as_of
    if as_of is None:
        return "As of the beginning: nothing is recorded yet."
    sentence = f"As of {minute_text(as_of, known.home)}"
    if window is not None and utc(window[1]) <= utc(as_of):
        sentence += f", not as of the end of the period, {minute_text(window[1], known.home)}"
    return sentence + "."


def _open_incidents(known: Known, views: Sequence[IncidentView], total: int) -> Table:
    columns = (
        *(Column("id"), Column("title"), Column("severity"), Column("services")),
        *(Column("status"), Column("commander"), Column("open since", True)),
    )
    rows = tuple(
        (
            Cell(view.id),
            Cell(view.title),
            Cell(severity_text(view)),
            Cell(", ".join(view.services)),
            Cell(name_text(view.status)),
            Cell(view.commander or ""),
            known.when(view.detected_at),
        )
        for view in views
    )
    return Table(
        id="open-incidents",
        caption="Open incidents",
        columns=columns,
        rows=rows,
        total=total,
        elsewhere="imcm list incidents lists all",
    )


def _current_changes(known: Known, views: Sequence[ChangeView], total: int) -> Table:
    columns = (
        *(Column("id"), Column("title"), Column("services"), Column("risk"), Column("status")),
        *(Column("authorised"), Column("planned for", True)),
    )
    rows = tuple(
        (
            Cell(view.id),
            Cell(view.title),
            Cell(", ".join(view.services)),
            Cell("" if view.risk is None else view.risk.value),
            Cell(name_text(view.status)),
            Cell(view.authorisation),
            known.when(None if view.window is None else view.window.start),
        )
        for view in views
    )
    return Table(
        id="current-changes",
        caption="Changes that are not over",
        columns=columns,
        rows=rows,
        total=total,
        elsewhere="imcm list changes lists all",
    )


def _open_actions(known: Known, items: Sequence[ActionItem], total: int) -> Table:
    return Table(
        id="open-actions",
        caption="Open action items",
        columns=ACTION_COLUMNS,
        rows=tuple(action_row(known, item) for item in items),
        total=total,
        elsewhere="imcm list actions lists all",
    )


ACTION_COLUMNS: Final = (
    *(Column("incident"), Column("number", True), Column("what"), Column("owner")),
    *(Column("due", True), Column("status")),
)


def action_row(known: Known, item: ActionItem) -> tuple[Cell, ...]:
    today = None if known.facts.as_of is None else day_of(known.facts.as_of, known.home)
    overdue = today is not None and item.overdue(today)
    return (
        Cell(item.incident),
        Cell(f"{item.number}", float(item.number)),
        Cell(item.text),
        Cell(item.owner or ""),
        _day_cell(item.due),
        Cell("overdue" if overdue else item.status),
    )


def _day_cell(day: date | None) -> Cell:
    return Cell("") if day is None else Cell(day.isoformat(), float(day.toordinal()))


def _live(known: Known) -> Table:
    columns = (
        *(Column("service"), Column("version"), Column("change"), Column("since", True)),
        *(Column("came by"), Column("before")),
    )
    at = known.facts.as_of or FIRST
    live = known.views.live(service=known.asked.service, at=at, known_at=known.position)
    rows = tuple(
        (
            Cell(version.service),
            Cell(version.version or "not told"),
            Cell(version.change),
            known.when(version.since),
            Cell(
                "deployment"
                if version.by_rollback_of is None
                else f"roll back of {version.by_rollback_of}"
            ),
            Cell(version.replaced_version or version.replaced or ""),
        )
        for version in live[: known.asked.limit]
    )
    return Table(
        id="live",
        caption="Live in production",
        columns=columns,
        rows=rows,
        total=live.total,
        elsewhere="imcm list live lists all",
    )
