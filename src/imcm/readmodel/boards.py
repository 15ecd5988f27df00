"""
Boards, kept: one row for each incident, change and action item, as SQL tables.

The tables are public (docs/views.md): boards are asked of them, and other tools read them. What a
row holds is told by `imcm.projections.boards`; it is made anew when something of it was recorded.
Words are only in these rows; those that a redaction took out of the log are gone from them with the
next event that is applied, which is the redaction itself.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from imcm.codec.decoding import decode, stamp_of
from imcm.codec.rows import EVENT_TYPES, StoredEvent
from imcm.domain.corrections import WordsRedacted
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, Unread
from imcm.domain.vocabulary import Window, folded
from imcm.ledger import LedgerReader
from imcm.projections.boards.assembly import Extent, read_stream, view_of, view_of_stream
from imcm.projections.boards.details import (
    DETAILS,
    REAPPLIED,
    ChangeDetails,
    Details,
    IncidentDetails,
)
from imcm.projections.boards.views import ActionItem, ChangeView, IncidentView
from imcm.projections.facts.fold import Snapshot
from imcm.readmodel.columns import Columns, moment_text, sealed

__all__ = [
    "ACTIONS",
    "CHANGES",
    "INCIDENTS",
    "TABLES",
    "BoardsModel",
    "row_of_action",
    "rows_of_view",
    "searchable",
]

INCIDENTS: Final = Columns(IncidentView, frozenset({"actions"}))
CHANGES: Final = Columns(ChangeView)
ACTIONS: Final = Columns(ActionItem, frozenset({"services"}))

HELD: Final = 50_000
"""Streams whose details are held, so that the next event of one need not read it all again."""

TABLES: Final[Mapping[str, str]] = {
    "incident": (
        f'{INCIDENTS.definition}, "is_open" INTEGER, "commander" TEXT, "people" TEXT, '
        '"searched" TEXT, "seal" INTEGER, PRIMARY KEY ("id")'
    ),
    "change": (
        f'{CHANGES.definition}, "is_ended" INTEGER, "window_start" TEXT, "window_end" TEXT, '
        '"searched" TEXT, "seal" INTEGER, PRIMARY KEY ("id")'
    ),
    "action": f'{ACTIONS.definition}, "seal" INTEGER, PRIMARY KEY ("incident", "number")',
}
"""The tables with their columns, as CREATE TABLE takes them."""

_INDEXES: Final = (
    'CREATE INDEX incident_open ON incident ("is_open") WHERE "is_open"',
    'CREATE INDEX incident_last ON incident ("last_position")',
    'CREATE INDEX change_status ON change ("status")',
    'CREATE INDEX change_last ON change ("last_position")',
    'CREATE INDEX change_window ON change ("window_start") WHERE "window_start" IS NOT NULL',
    'CREATE INDEX change_authorisation ON change ("authorisation") '
    "WHERE \"authorisation\" = 'outstanding'",
    'CREATE INDEX action_open ON action ("due") WHERE "status" = \'open\'',
)

_VIEWS: Final = (
    "CREATE VIEW incident_service AS SELECT incident.id AS incident, service.value AS service "
    "FROM incident, json_each(incident.services) AS service",
    "CREATE VIEW incident_label AS SELECT incident.id AS incident, label.key AS name, "
    "label.value AS value FROM incident, json_each(incident.labels) AS label",
    "CREATE VIEW role AS SELECT incident.id AS incident, "
    "json_extract(held.value, '$.role') AS role, "
    "json_extract(held.value, '$.person') AS person, "
    "json_extract(held.value, '$.since') AS since "
    "FROM incident, json_each(incident.roles) AS held",
    "CREATE VIEW link AS SELECT incident.id AS incident, verdict.key AS change, "
    "verdict.value AS verdict FROM incident, json_each(incident.verdicts) AS verdict",
    "CREATE VIEW change_service AS SELECT change.id AS change, service.value AS service "
    "FROM change, json_each(change.services) AS service",
    "CREATE VIEW change_label AS SELECT change.id AS change, label.key AS name, "
    "label.value AS value FROM change, json_each(change.labels) AS label",
    "CREATE VIEW vote AS SELECT change.id AS change, "
    "json_extract(vote.value, '$.by') AS \"by\", "
    "json_extract(vote.value, '$.authority') AS authority, "
    "json_extract(vote.value, '$.at') AS at FROM change, json_each(change.votes) AS vote",
    "CREATE VIEW deployment AS SELECT change.id AS change, service.value AS service, "
    "change.environment AS environment, change.deployed_version AS version, "
    "change.deployed_at AS deployed_at, change.rolled_back_at AS rolled_back_at, "
    "change.outcome AS outcome FROM change, json_each(change.services) AS service "
    "WHERE change.deployed_at IS NOT NULL",
)

_NEW: Final[Mapping[str, Callable[[], Details]]] = {
    INCIDENT: IncidentDetails,
    CHANGE: ChangeDetails,
}


def _insert(table: str, columns: Columns[Any], more: int) -> str:
    """Return the statement that puts a row into a table, in place of the one that is there."""
    marks = ", ".join("?" * (len(columns.names) + more))
    return f"INSERT OR REPLACE INTO {table} VALUES ({marks})"


_PUT: Final = {
    INCIDENT: _insert("incident", INCIDENTS, 5),
    CHANGE: _insert("change", CHANGES, 5),
}
_PUT_ACTION: Final = _insert("action", ACTIONS, 1)


def rows_of_view(view: IncidentView | ChangeView) -> list[Any]:
    """Return the values of a view's row, those that are only there to be asked for at the end."""
    if isinstance(view, IncidentView):
        people = list(dict.fromkeys(held.person for held in view.roles))
        named = [view.id, view.title, *view.services, *view.labels.values(), *people]
        named += [text for item in view.references for text in (item.address, item.title)]
        named += [text for action in view.actions for text in (action.text, action.owner or "")]
        named += [*view.problems, *view.milestones, *view.causes, *view.cause_tags]
        if view.last_update is not None:
            named.append(view.last_update.text)
        listed = "\n".join(map(folded, people)) or None
        more = [int(view.is_open), view.commander, listed, _searched(named)]
        return sealed(INCIDENTS.write(view) + more)
    named = [view.id, view.title, view.description, *view.services, *view.labels.values()]
    named += [view.requested_by or "", view.planned_by or "", view.deployed_version or ""]
    named += [vote.by for vote in view.votes]
    named += [text for item in view.references for text in (item.address, item.title)]
    named += [commit.id for commit in view.commits]
    more = [int(view.is_ended), *_ends(view.window), _searched(named)]
    return sealed(CHANGES.write(view) + more)


def row_of_action(action: ActionItem) -> list[Any]:
    """Return the values of the row of an action item."""
    return sealed(ACTIONS.write(action))


def _ends(window: Window | None) -> tuple[str | None, str | None]:
    return (None, None) if window is None else (moment_text(window.start), moment_text(window.end))


def searchable(text: str) -> str:
    """Return text as it is compared in a search: no case, and letters composed."""
    return unicodedata.normalize("NFC", text.casefold())


def _searched(texts: Iterable[str]) -> str:
    """Return what a search looks through, each text ended by a line feed; the id comes first."""
    return "".join(f"{text}\n" for text in dict.fromkeys(map(searchable, filter(None, texts))))


class _Held:
    """What is held of one stream, to go on from."""

    __slots__ = ("details", "extent")

    def __init__(self, details: Details, extent: Extent) -> None:
        self.details = details
        self.extent = extent


class BoardsModel:
    """
    Keeps the rows of boards current, given the rows of facts that changed.

    Args:
        ledger: Where the events of a stream are read again when its rows can't go on from what
            is held.
    """

    def __init__(self, ledger: LedgerReader) -> None:
        self._ledger = ledger
        self._held: dict[str, _Held] = {}
        self._reread: set[str] = set()
        self._last: dict[str, StoredEvent] = {}
        self.erases = False
        """Whether words were taken out that may still stand somewhere in the file."""

    def forget(self) -> None:
        """Let go of what was applied and perhaps not committed."""
        self._held, self._reread, self._last = {}, set(), {}

    @staticmethod
    def create(connection: sqlite3.Connection) -> None:
        """Make the empty tables."""
        for name, columns in TABLES.items():
            connection.execute(f"CREATE TABLE {name} ({columns})")
        for statement in (*_INDEXES, *_VIEWS):
            connection.execute(statement)

    def apply(self, rows: Sequence[StoredEvent]) -> None:
        """Apply the next events; nothing is written yet."""
        held, last, reread = self._held, self._last, self._reread
        for row in rows:
            stream, type_ = row.stream, row.type
            mine = held.get(stream)
            if mine is None:
                new = _NEW.get(stream.partition(":")[0])
                if new is None:
                    continue
                mine = held[stream] = _Held(new(), Extent())
                if row.version != 1:
                    reread.add(stream)
            last[stream] = row
            extent = mine.extent
            if not extent.first:
                extent.first = row.position
            extent.last, extent.version = row.position, row.version
            if type_ in REAPPLIED or type_ not in EVENT_TYPES:
                reread.add(stream)
                self.erases = self.erases or type_ == WordsRedacted.__name__
                continue
            step = DETAILS[stream.partition(":")[0]].get(type_)
            if step is not None and stream not in reread:
                event = decode(row).event
                if isinstance(event, Unread):
                    reread.add(stream)
                else:
                    mine.details.version = row.version
                    step(mine.details, event)

    def save(
        self, connection: sqlite3.Connection, changed: Iterable[Snapshot], unread: bool
    ) -> None:
        """
        Write the rows of what changed.

        Args:
            changed: The facts of each of them.
            unread: Whether any event could not be read: then what is held may be other.
        """
        views = {INCIDENT: list[list[Any]](), CHANGE: list[list[Any]]()}
        actions: list[list[Any]] = []
        incidents: list[tuple[str]] = []
        for view in self._views(changed, unread):
            if isinstance(view, IncidentView):
                views[INCIDENT].append(rows_of_view(view))
                incidents.append((view.id,))
                actions += map(row_of_action, view.actions)
            else:
                views[CHANGE].append(rows_of_view(view))
        for kind, rows in views.items():
            connection.executemany(_PUT[kind], rows)
        connection.executemany("DELETE FROM action WHERE incident = ?", incidents)
        connection.executemany(_PUT_ACTION, actions)
        self._last, self._reread = {}, set()
        while len(self._held) > HELD:
            del self._held[next(iter(self._held))]

    def _views(
        self, changed: Iterable[Snapshot], unread: bool
    ) -> Iterator[IncidentView | ChangeView]:
        again: dict[str, int] = {}
        for snapshot in changed:
            stream = f"{snapshot.kind}:{snapshot.row.id}"
            if unread or not snapshot.whole or stream in self._reread:
                again[stream] = self._last[stream].position
                continue
            held = self._held[stream]
            held.extent.recorded_at = datetime.fromisoformat(stamp_of(self._last[stream]))
            yield view_of(snapshot.row, held.details, held.extent)
        for stream, events in self._events_of(again).items():
            facts, details, extent = read_stream(events)
            self._held[stream] = _Held(details, extent)
            yield view_of(facts, details, extent)

    def reread(self, streams: Mapping[str, int]) -> Iterator[IncidentView | ChangeView]:
        """Yield the views of streams, each up to a position, made of their events."""
        return map(view_of_stream, self._events_of(streams).values())

    def _events_of(self, streams: Mapping[str, int]) -> dict[str, list[Recorded]]:
        if not streams:
            return {}
        events: dict[str, list[Recorded]] = {}
        for recorded in self._ledger.events_of(streams, upto=max(streams.values())):
            if recorded.position <= streams[recorded.stream]:
                events.setdefault(recorded.stream, []).append(recorded)
        return events
