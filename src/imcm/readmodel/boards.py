"""
Boards, kept: one row for each incident, change and action item, as SQL tables.

The tables are public (docs/views.md): boards are asked of them, and other tools read them. What a
row holds is told by `imcm.projections.boards`; it is made anew when something of it was recorded.
Words are only in these rows; those that a redaction took out of the log are gone from them with the
next event that is applied, which is the redaction itself.
"""

from __future__ import annotations

import hashlib
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import chain, islice, repeat
from typing import Any, Final, NamedTuple

import attrs

from imcm.codec.rows import (
    EVENT_TYPES,
    hints_of,
)
from imcm.domain.change_events import ChangeStatus
from imcm.domain.corrections import WordsRedacted
from imcm.domain.incident import OPEN
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, Unread, kind_and_id, stream_of
from imcm.domain.vocabulary import (
    AttemptResult,
    Authority,
    Degree,
    MitigationKind,
    Relation,
    Role,
    Verdict,
    folded,
)
from imcm.ledger import LedgerReader
from imcm.projections.boards.assembly import (
    Extent,
    change_values,
    incident_values,
    read_stream,
)
from imcm.projections.boards.details import (
    DETAILS,
    REAPPLIED,
    ChangeDetails,
    Details,
    IncidentDetails,
)
from imcm.projections.boards.views import ENDED, ActionItem, ChangeView, IncidentView
from imcm.projections.facts.fold import ChangeFacts, IncidentFacts, RawEvent, Snapshot
from imcm.projections.figures.definition import Definition
from imcm.projections.figures.deployments import Deployments, why_no_deployment
from imcm.projections.figures.population import in_environment, why_incident_out
from imcm.projections.histories.timeline import LINKS, named_by
from imcm.readmodel.columns import Columns, seal

__all__ = [
    "ACTIONS",
    "CHANGES",
    "INCIDENTS",
    "MORE",
    "SCHEMA",
    "TABLES",
    "VIEWS",
    "WORDED",
    "BoardsModel",
    "put_rows",
    "searchable",
]

RENAMED: Final = {"references": "refs"}
"""What can't be the name of a column without quotes, and how it is called instead."""

INCIDENTS: Final = Columns(
    IncidentView, frozenset({"actions"}), spread=("impact", "last_update"), names=RENAMED
)
CHANGES: Final = Columns(ChangeView, spread=("window",), names=RENAMED)
ACTIONS: Final = Columns(ActionItem, frozenset({"services"}))

HELD: Final = 50_000
"""Streams whose details are held, so that the next event of one need not read it all again."""


class Told(NamedTuple):
    """
    A column that is there besides the fields, or one of an SQL view.

    Attributes:
        type: Of the column, in SQL.
        holds: What values it has, in words; "" where `sql` is a column that says so itself.
        means: What they mean; "" where that column says so itself.
        sql: What it is in terms of the tables; "" where it is written.
    """

    type: str
    holds: str
    means: str
    sql: str = ""


_SEARCHED: Final = Told(
    "TEXT", "text", "What `search` looks through, in lower case, line by line. Not for others."
)
_SEAL: Final = Told("INTEGER", "whole number", "A checksum of the row. Not for others.")

MORE: Final[Mapping[str, Mapping[str, Told]]] = {
    "incident": {
        "is_open": Told("INTEGER", "0 or 1", "Not over: detected, triaged, mitigating, mitigated."),
        "is_counted": Told(
            "INTEGER",
            "0 or 1",
            "Figures count it unless they are told otherwise: it is real, hit production, and is "
            "neither dismissed, merged into another, voided nor withdrawn by its source.",
        ),
        "commander": Told("TEXT", "text", "Who leads it now; NULL where nobody does."),
        "people": Told("TEXT", "text", "Whoever holds a role now, in lower case, line by line."),
        "searched": _SEARCHED,
        "seal": _SEAL,
    },
    "change": {
        "is_ended": Told("INTEGER", "0 or 1", "Nothing more is to come: closed or cancelled."),
        "is_production": Told(
            "INTEGER",
            "0 or 1",
            "Its environment is production: it names none, or one of its usual names.",
        ),
        "is_deployment": Told(
            "INTEGER",
            "0 or 1",
            "Figures count it as a deployment unless they are told otherwise: it reached "
            "production, and is no roll back of another change.",
        ),
        "searched": _SEARCHED,
        "seal": _SEAL,
    },
    "action": {"seal": _SEAL},
}
"""The columns that the tables have besides the fields of their views, in their order."""

_KEYS: Final = {"incident": '"id"', "change": '"id"', "action": '"incident", "number"'}
_COLUMNS: Final[Mapping[str, Columns[Any]]] = {
    "incident": INCIDENTS,
    "change": CHANGES,
    "action": ACTIONS,
}


def _table(name: str) -> str:
    more = (f'"{column}" {told.type}' for column, told in MORE[name].items())
    return ", ".join([_COLUMNS[name].definition, *more, f"PRIMARY KEY ({_KEYS[name]})"])


TABLES: Final[Mapping[str, str]] = {name: _table(name) for name in _COLUMNS}
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


class SqlView(NamedTuple):
    """
    An SQL view: what a row of it is, its columns, and where they come from.
    """

    says: str
    columns: Mapping[str, Told]
    source: str

    def definition(self, name: str) -> str:
        """Return the statement that makes it."""
        columns = (
            # Only a column of a table has a type of its own; a tool would have to guess others.
            f'{told.sql if told.sql.startswith(_OF_TABLES) else _typed(told)} AS "{column}"'
            for column, told in self.columns.items()
        )
        return f"CREATE VIEW {name} AS SELECT {', '.join(columns)} FROM {self.source}"


_OF_TABLES: Final = ("incident.", "change.")


def _typed(told: Told) -> str:
    return f"CAST({told.sql} AS {told.type})"


def _column(name: str) -> Told:
    """Return a column of a view that is one of a table."""
    table, _, column = name.partition(".")
    columns = {one.name: one.type for one in _COLUMNS[table].columns}
    return Told(columns[column], "", "", name)


def _part(path: str, holds: str, means: str, type_: str = "TEXT") -> Told:
    """Return a column that is a part of the JSON objects of a list."""
    return Told(type_, holds, means, f"json_extract(item.value, '{path}')")


def _moment(path: str, means: str) -> Told:
    """Return a column that is a moment in JSON, where an uncertain one is an object."""
    first, last = (f"json_extract(item.value, {path} || '.{end}')" for end in _ENDS)
    sql = f"coalesce({first} || '/' || {last}, json_extract(item.value, {path}))"
    return Told("TEXT", "moment", means, sql)


_ENDS: Final = ("earliest", "latest")


def _each(table: str, column: str) -> str:
    return f"{table}, json_each({table}.{column}) AS item"


def _instant(column: str, at: int = 1) -> str:
    """Return SQL for a time in microseconds since 1970: the one at some place in a text."""
    seconds = f"strftime('%s', substr({column}, {at}, 27))"
    return f"({seconds} * 1000000 + substr({column}, {at + 20}, 6))"


def _midpoint(column: str) -> str:
    """Return SQL for the instant that stands for an uncertain moment, as figures take it."""
    first, last = _instant(column), _instant(column, 29)
    return f"{first} + ({last} - {first}) / 2"


def _certain_or(column: str, certain: str, uncertain: str) -> str:
    return f"CASE instr({column}, '/') WHEN 0 THEN {certain} ELSE {uncertain} END"


def _order(column: str) -> str:
    """Return SQL by which moments come in the order that figures take them in."""
    return _certain_or(column, _instant(column), _midpoint(column))


def _month(column: str) -> str:
    """Return SQL for the month in UTC in which figures place a moment."""
    month = f"strftime('%Y-%m', ({_midpoint(column)}) / 1000000, 'unixepoch')"
    return _certain_or(column, f"substr({column}, 1, 7)", month)


def _counts(table: str, column: str, where: str, **counts: str) -> str:
    """Return SQL for what the rows of a table add to the months of one of their moments."""
    added = ", ".join(f"{counts.get(name, '0')} AS {name}" for name in _N)
    return (
        f"SELECT {_month(column)} AS month, {added} FROM {table} "
        f"WHERE {where} AND {column} IS NOT NULL"
    )


_N: Final = ("deployments", "failed", "rolled_back", "detected", "resolved")


def _count(name: str, means: str) -> Told:
    return Told("INTEGER", "whole number", means, f"sum(counts.{name})")


_INCIDENT: Final = _column("incident.id")._replace(means="The incident.")
_CHANGE: Final = _column("change.id")._replace(means="The change.")
_NUMBER: Final = "Which of them it is, from 1."
_SERVICE: Final = Told("TEXT", "text", "One of its services.", "item.value")
_LABEL: Final = {
    "name": Told("TEXT", "text", "The name of a label.", "item.key"),
    "value": Told("TEXT", "text", "Its value.", "item.value"),
}
_REFERENCE: Final = {
    "kind": _part("$.kind", "text", "What it is: a ticket, a dashboard, a runbook."),
    "address": _part("$.address", "text", "Where it is."),
    "title": _part("$.title", "text", "Its title; empty where none was given."),
}


def _values(kind: type[Enum]) -> str:
    return ", ".join(f"`{member.value}`" for member in kind)


VIEWS: Final[Mapping[str, SqlView]] = {
    "incident_service": SqlView(
        "A service that an incident hit.",
        {"incident": _INCIDENT, "service": _SERVICE},
        _each("incident", "services"),
    ),
    "incident_label": SqlView(
        "A label of an incident.",
        {"incident": _INCIDENT, **_LABEL},
        _each("incident", "labels"),
    ),
    "impact_service": SqlView(
        "A service with how badly an incident hits it, where that was said.",
        {
            "incident": _INCIDENT,
            "service": _part("$.service", "text", "The service."),
            "degree": _part("$.degree", _values(Degree), "How badly it is hit."),
        },
        _each("incident", "impact_services"),
    ),
    "role": SqlView(
        "A role that somebody holds in an incident now.",
        {
            "incident": _INCIDENT,
            "role": _part("$.role", _values(Role), "Which one."),
            "person": _part("$.person", "text", "Who."),
            "since": _moment("'$.since'", "Since when."),
        },
        _each("incident", "roles"),
    ),
    "attempt": SqlView(
        "Something that was tried so that users are no longer hurt.",
        {
            "incident": _INCIDENT,
            "number": _part("$.number", "whole number", _NUMBER, "INTEGER"),
            "kind": _part("$.kind", _values(MitigationKind), "What was tried."),
            "at": _moment("'$.at'", "When."),
            "person": _part("$.by", "text", "Who did it."),
            "change": _part("$.change", "text", "The change it was, where it was one."),
            "note": _part("$.note", "text", "What was said of it; empty where nothing was."),
            "result": _part(
                "$.result", _values(AttemptResult), "What came of it; NULL where nobody said yet."
            ),
        },
        _each("incident", "attempts"),
    ),
    "link": SqlView(
        "What is said of a change in connection with an incident.",
        {
            "incident": _INCIDENT,
            "change": Told("TEXT", "text", "The change.", "item.key"),
            "verdict": Told("TEXT", _values(Verdict), "What the last verdict says.", "item.value"),
        },
        _each("incident", "verdicts"),
    ),
    "relation": SqlView(
        "What an incident is to another one.",
        {
            "incident": _INCIDENT,
            "other": Told("TEXT", "text", "The other incident.", "item.key"),
            "relation": Told("TEXT", _values(Relation), "What it is to that.", "item.value"),
        },
        _each("incident", "related"),
    ),
    "milestone": SqlView(
        "A milestone of the team's own that an incident reached, as often as it was.",
        {
            "incident": _INCIDENT,
            "name": Told("TEXT", "text", "What the team calls it.", "item.key"),
            "number": Told("INTEGER", "whole number", _NUMBER, "reached.key + 1"),
            "at": _moment("reached.fullkey", "When; NULL where nobody said."),
        },
        f"{_each('incident', 'milestones')}, json_each(item.value) AS reached",
    ),
    "cause_tag": SqlView(
        "A cause of an incident in the words of the team's list, by all its reviews.",
        {"incident": _INCIDENT, "tag": Told("TEXT", "text", "The word.", "item.value")},
        _each("incident", "cause_tags"),
    ),
    "incident_reference": SqlView(
        "Something elsewhere that belongs to an incident.",
        {"incident": _INCIDENT, **_REFERENCE},
        _each("incident", "refs"),
    ),
    "change_service": SqlView(
        "A service that a change changes.",
        {"change": _CHANGE, "service": _SERVICE},
        _each("change", "services"),
    ),
    "change_label": SqlView(
        "A label of a change.", {"change": _CHANGE, **_LABEL}, _each("change", "labels")
    ),
    "change_commit": SqlView(
        "A commit that travels with a change.",
        {
            "change": _CHANGE,
            "commit_id": _part("$.id", "text", "Its own id."),
            "authored_at": _part("$.authored_at", "time", "When it was written."),
            "committed_at": _part("$.committed_at", "time", "When it entered the branch."),
            "pull_request": _part("$.pull_request", "text", "The request it came with."),
            "opened_at": _part("$.opened_at", "time", "When that was opened."),
            "merged_at": _part("$.merged_at", "time", "When that was merged."),
        },
        _each("change", "commits"),
    ),
    "change_reference": SqlView(
        "Something elsewhere that belongs to a change.",
        {"change": _CHANGE, **_REFERENCE},
        _each("change", "refs"),
    ),
    "vote": SqlView(
        "An approval of the content of a change as it stands.",
        {
            "change": _CHANGE,
            "person": _part("$.by", "text", "Whose it is."),
            "authority": _part("$.authority", _values(Authority), "As what they gave it."),
            "at": _moment("'$.at'", "When."),
            "why": _part("$.why", "text", "What they said; empty where nothing."),
        },
        _each("change", "votes"),
    ),
    "waiting": SqlView(
        "A change that waits for a vote, or for a ruling afterwards, as `approvals()` has them.",
        {
            "change": _CHANGE,
            "waits_for": Told(
                "TEXT",
                "`approval`, `ruling`",
                "What it waits for; a ruling where it went in without an approval.",
                "CASE change.status WHEN 'submitted' THEN 'approval' ELSE 'ruling' END",
            ),
            "since": Told(
                "TEXT",
                "moment",
                "Since its submission, or since what went in was over.",
                "CASE change.status WHEN 'submitted' THEN change.submitted_at ELSE "
                "coalesce(change.ended_at, change.deployed_at, change.started_at) END",
            ),
        },
        "change WHERE change.status = 'submitted' OR change.authorisation = 'outstanding'",
    ),
    "rollout_step": SqlView(
        "A step of a rollout.",
        {
            "change": _CHANGE,
            "number": Told("INTEGER", "whole number", _NUMBER, "item.key + 1"),
            "at": _moment("'$[0]'", "From when on."),
            "percent": _part("$[1]", "number", "The share of users, 0 to 100.", "REAL"),
        },
        _each("change", "rollout"),
    ),
    "deployment": SqlView(
        "A service that a change came into production or into another environment with; a change "
        "without services has one row without one.",
        {
            "change": _CHANGE,
            "service": _SERVICE._replace(means="One of its services; NULL where it has none."),
            "environment": _column("change.environment"),
            "deployed_version": _column("change.deployed_version"),
            "deployed_at": _column("change.deployed_at"),
            "rolled_back_at": _column("change.rolled_back_at"),
            "outcome": _column("change.outcome"),
            "is_deployment": MORE["change"]["is_deployment"]._replace(sql="change.is_deployment"),
        },
        "change LEFT JOIN json_each(change.services) AS item "
        "WHERE change.deployed_at IS NOT NULL AND change.status <> 'nothing'",
    ),
    "live": SqlView(
        "What of a service is in production now, as `live()` has it: what was deployed last and "
        "not rolled back.",
        {
            "service": Told("TEXT", "text", "The service.", "newest.service"),
            "deployed_version": Told(
                "TEXT",
                "text",
                "What its change called it; NULL where it said nothing.",
                "newest.deployed_version",
            ),
            "change": Told("TEXT", "text", "The change that brought it in.", "newest.id"),
            "deployed_at": Told("TEXT", "moment", "When that was.", "newest.deployed_at"),
            "status": Told(
                "TEXT",
                _values(ChangeStatus),
                "Where that change stands: a rollout may still be on its way.",
                "newest.status",
            ),
            "percent": Told(
                "REAL",
                "number",
                "The share of users it reached, 0 to 100; NULL where it was no rollout.",
                "newest.percent",
            ),
        },
        "(SELECT item.value AS service, change.*, row_number() OVER (PARTITION BY item.value "
        f"ORDER BY {_order('change.deployed_at')} DESC, change.first_position DESC) AS place "
        f"FROM {_each('change', 'services')} WHERE change.is_production "
        "AND change.deployed_at IS NOT NULL AND change.rolled_back_at IS NULL) AS newest "
        "WHERE newest.place = 1",
    ),
    "dora_by_month": SqlView(
        "How many there were in a calendar month in UTC. Months without any have no row.",
        {
            "month": Told("TEXT", 'month, "2026-03"', "The month.", "counts.month"),
            "deployments": _count(
                "deployments", "Deployments that reached production in it (`is_deployment`)."
            ),
            "deployments_failed": _count(
                "failed", "Those of them whose work ended as `failed`, by now."
            ),
            "deployments_rolled_back": _count(
                "rolled_back", "Those of them that were rolled back, by now."
            ),
            "incidents_detected": _count(
                "detected", "Incidents that were detected in it (`is_counted`)."
            ),
            "incidents_resolved": _count(
                "resolved", "Incidents that were resolved in it, for the last time."
            ),
        },
        "("
        + " UNION ALL ".join(
            (
                _counts(
                    "change",
                    "deployed_at",
                    "is_deployment",
                    deployments="1",
                    failed="outcome IS 'failed'",
                    rolled_back="(outcome IS 'rolled_back' OR rolled_back_at IS NOT NULL)",
                ),
                _counts("incident", "detected_at", "is_counted", detected="1"),
                _counts("incident", "resolved_at", "is_counted", resolved="1"),
            )
        )
        + ") AS counts GROUP BY counts.month ORDER BY counts.month",
    ),
}
"""The SQL views by their names: what is JSON in the tables, row by row, and what is often asked."""

_NAMED: Final = (
    "CREATE TABLE named (name TEXT, stream TEXT, PRIMARY KEY (name, stream)) WITHOUT ROWID"
)
"""By which streams each is named: what a timeline is read by. Not for others."""

_NAMING: Final = frozenset(
    name for name, cls in EVENT_TYPES.items() if not hints_of(cls).keys().isdisjoint(LINKS)
)
"""The types of events that name another incident or change; no correction changes whom."""

_STATEMENTS: Final = (
    _NAMED,
    *(f"CREATE TABLE {name} ({columns})" for name, columns in TABLES.items()),
    *_INDEXES,
    *(view.definition(name) for name, view in VIEWS.items()),
)

SCHEMA: Final = hashlib.sha256("\n".join(_STATEMENTS).encode()).hexdigest()[:16]
"""Which tables and views these are: a file with others is made again."""

_NEW: Final[Mapping[str, Callable[[], Details]]] = {
    INCIDENT: IncidentDetails,
    CHANGE: ChangeDetails,
}


Read = tuple[IncidentFacts | ChangeFacts, Details, Extent]
"""What the rows of one incident or change are made of, as `view_of` takes it."""

AT_ONCE: Final = 500
"""So many rows are made at once, column by column: they stay in a processor's cache."""

_NAMES: Final = {name: (*columns.names, *MORE[name]) for name, columns in _COLUMNS.items()}
"""The columns of the tables in their order, the checksum last."""


def put_rows(connection: sqlite3.Connection, read: Iterable[Read], prefix: str = "") -> None:
    """
    Write the rows of incidents and changes in place of those that are there.

    Args:
        prefix: Of the names of the tables; nothing for those that are kept.
    """
    read = iter(read)
    while some := list(islice(read, AT_ONCE)):
        incidents: list[tuple[Any, ...]] = []
        changes: list[tuple[Any, ...]] = []
        of_incidents: list[list[Any]] = []
        of_changes: list[list[Any]] = []
        actions: list[ActionItem] = []
        for facts, details, extent in some:
            if isinstance(facts, IncidentFacts):
                assert isinstance(details, IncidentDetails)
                values = incident_values(facts, details, extent)
                items: tuple[ActionItem, ...] = values[_ACTIONS]
                incidents.append(values)
                of_incidents.append(_more_of_incident(facts, details, items))
                actions += items
            else:
                assert isinstance(details, ChangeDetails)
                changes.append(change_values(facts, details, extent))
                of_changes.append(_more_of_change(facts, details))
        ids = [values[:1] for values in incidents]
        connection.executemany(f"DELETE FROM {prefix}action WHERE incident = ?", ids)
        _insert(connection, prefix, "incident", incidents, of_incidents)
        _insert(connection, prefix, "change", changes, of_changes)
        _insert(connection, prefix, "action", map(ACTIONS.values, actions), [])


_ACTIONS: Final = [field.name for field in attrs.fields(IncidentView)].index("actions")


def _insert(
    connection: sqlite3.Connection,
    prefix: str,
    name: str,
    views: Iterable[tuple[Any, ...]],
    more: Sequence[Sequence[Any]],
) -> None:
    """
    Insert rows of one table, or put them in place of those with their keys.

    Args:
        views: The values of the fields of their views.
        more: For each of them, what its row has besides.
    """
    views = list(views)
    if not views:
        return
    written = _COLUMNS[name].write(views)
    written += zip(*more, strict=True)
    whole = zip(*(repeat(None) if one is None else one for one in written), strict=False)
    seals = [seal(row) for row in islice(whole, len(views))]
    # What is NULL in all of them is not named: to bind it takes half as long as all the rest.
    named = [
        (column, values)
        for column, values in zip(_NAMES[name], (*written, seals), strict=True)
        if values is not None
    ]
    names = ", ".join(f'"{column}"' for column, _ in named)
    places = ", ".join("?" * len(named))
    connection.executemany(
        f"INSERT OR REPLACE INTO {prefix}{name} ({names}) VALUES ({places})",
        zip(*(values for _, values in named), strict=True),
    )


def _more_of_incident(
    facts: IncidentFacts, details: IncidentDetails, actions: Iterable[ActionItem]
) -> list[Any]:
    """Return what the row of an incident has to be asked for by, in the order of `MORE`."""
    roles = details.roles.values()
    people = list(dict.fromkeys(held.person for held in roles))
    commander = next((held.person for held in roles if held.role is _COMMANDER), None)
    named = [facts.id, details.title, *facts.services, *facts.labels.values(), *people]
    named += [text for item in details.references.values() for text in (item.address, item.title)]
    named += [text for action in actions for text in (action.text, action.owner or "")]
    named += [*details.problems, *facts.milestones, *details.causes, *facts.cause_tags]
    if details.update is not None:
        named.append(details.update.text)
    listed = "\n".join(map(folded, people)) or None
    counted = why_incident_out(facts, _USUAL) is None
    return [int(facts.status in OPEN), int(counted), commander, listed, _searched(named)]


def _more_of_change(facts: ChangeFacts, details: ChangeDetails) -> list[Any]:
    """Return what the row of a change has to be asked for by, likewise."""
    named = [facts.id, details.title, details.description, *facts.services]
    named += [*facts.labels.values(), facts.requested_by or "", details.planned_by or ""]
    named.append(facts.version or "")
    named += [vote.by for vote in details.votes.values()]
    named += [text for item in details.references.values() for text in (item.address, item.title)]
    named += [commit.id for commit in facts.commits]
    deployed = why_no_deployment(facts, _DEPLOYMENTS) is None
    production = in_environment(facts.environment, _DEPLOYMENTS)
    return [int(facts.status in ENDED), int(production), int(deployed), _searched(named)]


_COMMANDER: Final = Role.INCIDENT_COMMANDER
_USUAL: Final = Definition()
_DEPLOYMENTS: Final = Deployments()


def searchable(text: str) -> str:
    """Return text as it is compared in a search: no case, and letters composed."""
    return unicodedata.normalize("NFC", text.casefold())


def _searched(texts: Iterable[str]) -> str:
    """Return what a search looks through, each text ended by a line feed; the id comes first."""
    texts = list(filter(None, texts))
    # All at once, which changes no letter at the edge of a line, unless a text has several lines.
    found = searchable("\n".join(texts)).split("\n")
    if len(found) != len(texts):
        found = list(map(searchable, texts))
    return "\n".join((*dict.fromkeys(found), ""))


WORDED: Final = frozenset(chain.from_iterable(DETAILS.values()))
"""The types of events whose words are wanted, with their facts."""

_REREAD: Final = REAPPLIED | {Unread.__name__}
"""After an event of these the rows of its stream are made of all its events."""

_TOLD: Final = {
    kind: {name: (steps.get(name), name in _NAMING) for name in {*steps, *_NAMING, *_REREAD}}
    for kind, steps in DETAILS.items()
}
"""By kinds and types of events: what applies one, and whether it names another stream."""


class _Held:
    """What is held of one stream, to go on from."""

    __slots__ = ("details", "extent", "told")

    def __init__(self, kind: str, details: Details, extent: Extent) -> None:
        self.told = _TOLD[kind]
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
        self._last: dict[str, RawEvent] = {}
        self._named: dict[tuple[str, str], None] = {}
        self.erases = False
        """Whether words were taken out that may still stand somewhere in the file."""

    def forget(self) -> None:
        """Let go of what was applied and perhaps not committed."""
        self._held, self._reread, self._last, self._named = {}, set(), {}, {}

    @staticmethod
    def create(connection: sqlite3.Connection) -> None:
        """Make the empty tables."""
        for statement in _STATEMENTS:
            connection.execute(statement)

    def apply(self, events: Iterable[RawEvent]) -> None:
        """Apply the next events, with the words of those in `WORDED`; nothing is written yet."""
        held, last, reread = self._held, self._last, self._reread
        for raw in events:
            stream, version, position, type_, facts = raw
            mine = held.get(stream)
            if mine is None:
                kind, _ = kind_and_id(stream)
                new = _NEW.get(kind)
                if new is None:
                    continue
                mine = held[stream] = _Held(kind, new(), Extent())
                mine.extent.first = position
                if version != 1:
                    reread.add(stream)
            last[stream] = raw
            told = mine.told.get(type_)
            if told is None:
                continue
            step, names = told
            if type_ in _REREAD:
                reread.add(stream)
                self.erases = self.erases or type_ == WordsRedacted.__name__
                continue
            event = facts.event
            if step is not None and stream not in reread:
                words = getattr(facts, "words", None)
                if words is None:  # which can't be read
                    reread.add(stream)
                else:
                    mine.details.version = version
                    step(mine.details, event, words)
            if names:
                for other in named_by(event):
                    self._named[other, stream] = None

    def save(
        self, connection: sqlite3.Connection, changed: Iterable[Snapshot], unread: bool
    ) -> None:
        """
        Write the rows of what changed.

        Args:
            changed: The facts of each of them.
            unread: Whether any event could not be read: then what is held may be other.
        """
        put_rows(connection, self._read(changed, unread))
        connection.executemany("INSERT OR IGNORE INTO named VALUES (?, ?)", sorted(self._named))
        self._last, self._reread, self._named = {}, set(), {}
        # All at once: each search for the first one would go through those that were deleted.
        for stream in list(islice(self._held, max(0, len(self._held) - HELD))):
            del self._held[stream]

    def _read(self, changed: Iterable[Snapshot], unread: bool) -> Iterator[Read]:
        again: dict[str, int] = {}
        for snapshot in changed:
            stream = stream_of(snapshot.kind, snapshot.row.id)
            if unread or not snapshot.whole or stream in self._reread:
                again[stream] = self._last[stream][2]
                continue
            _, version, position, _, last = self._last[stream]
            held = self._held[stream]
            held.extent.add(version, position, last.recorded_at)
            yield snapshot.row, held.details, held.extent
        for stream, events in self._events_of(again).items():
            facts, details, extent = read_stream(events)
            self._held[stream] = _Held(kind_and_id(stream)[0], details, extent)
            yield facts, details, extent

    def reread(self, streams: Mapping[str, int]) -> Iterator[Read]:
        """Yield what the rows of streams are made of, each up to a position, from their events."""
        return map(read_stream, self._events_of(streams).values())

    def _events_of(self, streams: Mapping[str, int]) -> dict[str, list[Recorded]]:
        if not streams:
            return {}
        events: dict[str, list[Recorded]] = {}
        for recorded in self._ledger.events_of(streams, upto=max(streams.values())):
            if recorded.position <= streams[recorded.stream]:
                events.setdefault(recorded.stream, []).append(recorded)
        return events
