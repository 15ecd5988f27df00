"""
Boards as documents: pages of incidents, changes and what else is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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


def _columns(*names: str, times: Collection[str] = ()) -> tuple[Column, ...]:
    return tuple(Column(name=name, kind="time" if name in times else "text") for name in names)


def _incident(view: IncidentView) -> tuple[object, ...]:
    severity = view.severity_name or view.severity
    head = (view.id, severity, view.status, view.detected_at)
    return (*head, view.services, view.commander, view.title)


def _change(view: ChangeView) -> tuple[object, ...]:
    head = (view.id, view.type, view.status, view.planned_at)
    return (*head, view.services, view.risk, view.title)


def _action(item: ActionItem) -> tuple[object, ...]:
    return item.incident, str(item.number), item.status, item.due, item.owner, item.text


def _approval(waiting: Approval) -> tuple[object, ...]:
    head = (waiting.change.id, waiting.waits_for, waiting.since, waiting.missing)
    return (*head, waiting.possible, waiting.why, waiting.change.title)


def _ready(ready: Ready) -> tuple[object, ...]:
    why = "; ".join(f"{guard}: {reason}" for guard, reason in ready.refusals)
    return ready.change.id, ready.may_start, why, ready.opens_at, ready.change.title


def _live(live: LiveVersion) -> tuple[object, ...]:
    head = (live.service, live.environment, live.version)
    return (*head, live.change, live.since, live.status)


def _match(match: Match) -> tuple[object, ...]:
    return match.kind, match.id, match.status, match.services, match.title


def _any(row: object) -> tuple[object, ...]:
    return (str(row),)


_SHAPES: Final[Mapping[type[Any], _Shape]] = {
    IncidentView: _Shape(
        "incidents",
        _columns("id", "severity", "status", "detected", "services", "commander", "title",
                 times=("detected",)),
        _incident,
    ),
    ChangeView: _Shape(
        "changes",
        _columns("id", "type", "status", "planned", "services", "risk", "title",
                 times=("planned",)),
        _change,
    ),
    ActionItem: _Shape(
        "action items",
        _columns("incident", "number", "status", "due", "owner", "text"),
        _action,
    ),
    Approval: _Shape(
        "approvals",
        _columns("change", "waits for", "since", "missing", "possible", "why", "title",
                 times=("since",)),
        _approval,
    ),
    Ready: _Shape(
        "approved changes",
        _columns("change", "may start", "why not", "opens", "title", times=("opens",)),
        _ready,
    ),
    LiveVersion: _Shape(
        "live versions",
        _columns("service", "environment", "version", "change", "since", "status",
                 times=("since",)),
        _live,
    ),
    Match: _Shape("matches", _columns("kind", "id", "status", "services", "title"), _match),
}  # fmt: skip

_OTHER: Final = _Shape("rows", _columns("row"), _any)


def page_document(rows: Sequence[object], *, total: int, most: int | None = None) -> Document:
    """
    Return rows of a board as a document of one table.

    Args:
        rows: All of one kind.
        total: How many there are, on other pages, too.
        most: How many rows are shown; None for all that are given.
    """
    shape = _SHAPES.get(type(rows[0]), _OTHER) if rows else _OTHER
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
