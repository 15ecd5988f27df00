"""
Boards as documents: pages of incidents, changes and what else is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from imcm.documents.fields import fields_document, rows_table
from imcm.documents.structure import Column, Document
from imcm.plain import plain, quoted
from imcm.projections.boards.views import (
    ActionItem,
    Approval,
    ChangeView,
    IncidentView,
    LiveVersion,
    Match,
    Ready,
)


class _Shape(NamedTuple):
    """The columns of a list, and what a row of it has in them. Any: rows are of many kinds."""

    title: str
    columns: tuple[Column, ...]
    row: Callable[[Any], tuple[object, ...]]


def _text(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name=name) for name in names)


_TIME: Final = "time"

_SHAPES: Final[Mapping[type[Any], _Shape]] = {
    IncidentView: _Shape(
        "incidents",
        (*_text("id", "severity", "status"), Column(name="detected", kind=_TIME),
         *_text("services", "commander", "title")),
        lambda each: (each.id, each.severity_name or each.severity, each.status,
                      each.detected_at, each.services, each.commander, each.title),
    ),
    ChangeView: _Shape(
        "changes",
        (*_text("id", "type", "status"), Column(name="planned", kind=_TIME),
         *_text("services", "risk", "title")),
        lambda each: (each.id, each.type, each.status, each.planned_at, each.services,
                      each.risk, each.title),
    ),
    ActionItem: _Shape(
        "action items",
        _text("incident", "number", "status", "due", "owner", "text"),
        lambda each: (each.incident, str(each.number), each.status, each.due, each.owner,
                      each.text),
    ),
    Approval: _Shape(
        "approvals",
        (*_text("change", "waits for"), Column(name="since", kind=_TIME),
         *_text("missing", "possible", "why", "title")),
        lambda each: (each.change.id, each.waits_for, each.since, each.missing, each.possible,
                      each.why, each.change.title),
    ),
    Ready: _Shape(
        "approved changes",
        (*_text("change", "may start", "why not"), Column(name="opens", kind=_TIME),
         *_text("title")),
        lambda each: (each.change.id, each.may_start,
                      "; ".join(f"{guard}: {why}" for guard, why in each.refusals),
                      each.opens_at, each.change.title),
    ),
    LiveVersion: _Shape(
        "live versions",
        (*_text("service", "environment", "version", "change"), Column(name="since", kind=_TIME),
         *_text("status")),
        lambda each: (each.service, each.environment, each.version, each.change, each.since,
                      each.status),
    ),
    Match: _Shape(
        "matches",
        _text("kind", "id", "status", "services", "title"),
        lambda each: (each.kind, each.id, each.status, each.services, each.title),
    ),
}  # fmt: skip


def page_document(rows: Sequence[object], *, total: int, most: int | None = None) -> Document:
    """
    Return rows of a board as a document of one table.

    Args:
        rows: All of one kind.
        total: How many there are, on other pages, too.
        most: How many rows are shown; None for all that are given.
    """
    shape = _SHAPES.get(type(rows[0])) if rows else None
    if shape is None:
        shape = _Shape("rows", _text("row"), lambda each: (str(each),))
    shown = (shape.row(each) for each in rows[:most])
    table = rows_table(shape.title, shape.columns, shown, total=total)
    return Document(title=f"{shape.title}: {total:,}", blocks=(table,))


_FOR_MACHINES: Final = ("version", "first_position", "last_position", "last_recorded_at", "unread")


def view_line(view: IncidentView | ChangeView) -> str:
    """Return what stands of an incident or a change in one line."""
    kind = "incident" if isinstance(view, IncidentView) else "change"
    severity = view.severity if isinstance(view, IncidentView) else None
    parts = [view.status.value, *([severity.value] if severity else ())]
    if view.services:
        parts.append(f"on {', '.join(map(quoted, view.services))}")
    title = f": {plain(view.title)}" if view.title else ""
    return f"{kind} {quoted(view.id)} {', '.join(parts)}{title}"


def view_document(view: IncidentView | ChangeView) -> Document:
    """Return what stands of an incident or a change as a document: fields that say something."""
    return fields_document(view_line(view), view, leave_out=_FOR_MACHINES)
