"""
Facts as tables, and the log as one: names, types and rows, for whatever writes tables.

- `incidents`, `changes`: a row for each, as figures see it.
- `causes`: which change caused, fixed, is suspected of or was dismissed for which incident.
- `relations`: what incidents are to each other, merges included.
- `spells`: the stretches in which an incident was open.
- `commits`: which commits a change brought.
- `log`: a row for each event, as it is stored.

A moment is the instant that figures count by, in UTC: of an uncertain one the midpoint, with its
bounds under its name in `uncertain`. Facts have no free text and no names that somebody gave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from imcm.codec.decoding import decode, envelope_of
from imcm.codec.rows import StoredEvent
from imcm.domain.recorded import kind_and_id
from imcm.domain.vocabulary import Between, Moment, earliest, latest
from imcm.errors import InvalidValue
from imcm.interchange.exports.standing_log import checked_reader
from imcm.ledger.reading import LedgerReader
from imcm.projections.facts.fold import Facts
from imcm.projections.facts.rows import ChangeFacts, IncidentFacts
from imcm.projections.figures.units import utc

__all__ = ["TABLES", "log_rows", "rows_of", "shape_of"]

Type = Literal["text", "whole", "number", "truth", "time", "texts", "labels"]
Cell: TypeAlias = str | int | float | bool | datetime | tuple[str, ...] | Mapping[str, str] | None
Row: TypeAlias = tuple[Cell, ...]


class Column(NamedTuple):
    """
    One column.

    Attributes:
        name: Its name.
        type: What its cells are: "text", "whole" (a number), "number", "truth", "time" (in UTC),
            "texts" (several), or "labels" (texts by name). Any cell may be None.
    """

    name: str
    type: Type


class TableShape(NamedTuple):
    """
    One table.

    Attributes:
        name: Its name.
        columns: Its columns, in order.
    """

    name: str
    columns: tuple[Column, ...]


# --- what stands in a row -------------------------------------------------------------------------

_Cells = Callable[[Any], Iterable[Row]]


def _instant(moment: Moment | None) -> datetime | None:
    return None if moment is None else utc(moment)


def _scalar(value: Any) -> Cell:
    cell: Cell = value.value if isinstance(value, Enum) else value
    return cell


def bounds_of(moment: Between) -> str:
    """Return the bounds of an uncertain moment as an ISO 8601 interval in UTC."""
    ends = (utc(earliest(moment)), utc(latest(moment)))
    return "/".join(f"{end.replace(tzinfo=None).isoformat()}Z" for end in ends)


def _uncertain(row: Any, names: Iterable[str]) -> dict[str, str]:
    moments = ((name, getattr(row, name)) for name in names)
    return {name: bounds_of(told) for name, told in moments if isinstance(told, Between)}


_OF_INCIDENT: Final[tuple[tuple[str, Type], ...]] = (
    ("id", "text"),
    ("status", "text"),
    ("services", "texts"),
    ("environment", "text"),
    ("severity_first", "text"),
    ("severity_last", "text"),
    ("severity_highest", "text"),
    ("severity_highest_name", "text"),
    ("symptom", "text"),
    ("channel", "text"),
    ("monitor", "text"),
    ("mode", "text"),
    ("imported", "truth"),
    ("impact_started_at", "time"),
    ("detected_at", "time"),
    ("declared_at", "time"),
    ("acknowledged_at", "time"),
    ("triaged_at", "time"),
    ("mitigated_at", "time"),
    ("resolved_at", "time"),
    ("closed_at", "time"),
    ("reopenings", "whole"),
    ("relapses", "whole"),
    ("customers", "whole"),
    ("share_of_customers", "number"),
    ("dismissed", "text"),
    ("merged_into", "text"),
    ("merged", "texts"),
    ("parent", "text"),
    ("cause_tags", "texts"),
    ("reviewed", "whole"),
    ("labels", "labels"),
    ("uncertain", "labels"),
)
_OF_CHANGE: Final[tuple[tuple[str, Type], ...]] = (
    ("id", "text"),
    ("status", "text"),
    ("type", "text"),
    ("kind", "text"),
    ("services", "texts"),
    ("environment", "text"),
    ("risk", "text"),
    ("version", "text"),
    ("imported", "truth"),
    ("unplanned", "truth"),
    ("requested_by", "text"),
    ("approved_by", "texts"),
    ("incident", "text"),
    ("repairs", "text"),
    ("window_start", "time"),
    ("window_end", "time"),
    ("planned_at", "time"),
    ("submitted_at", "time"),
    ("approved_at", "time"),
    ("started_at", "time"),
    ("deployed_at", "time"),
    ("ended_at", "time"),
    ("rolled_back_at", "time"),
    ("recovered_at", "time"),
    ("validated_at", "time"),
    ("closed_at", "time"),
    ("reached_production", "truth"),
    ("outcome", "text"),
    ("result", "text"),
    ("authorisation", "text"),
    ("unauthorised", "texts"),
    ("labels", "labels"),
    ("uncertain", "labels"),
)


def _cells(
    row: Any, columns: Iterable[tuple[str, Type]], other: Mapping[str, Cell]
) -> Iterator[Cell]:
    """Yield the cells of a row of facts: of its fields, or what *other* says of a name."""
    for name, type_ in columns:
        if name in other:
            yield other[name]
            continue
        value: Any = getattr(row, name)
        if type_ == "time":
            yield _instant(value)
        elif type_ == "labels":
            yield dict(sorted(value.items()))
        elif type_ == "texts":
            yield tuple(map(str, value))
        else:
            yield _scalar(value)


def _moments(columns: Iterable[tuple[str, Type]]) -> tuple[str, ...]:
    return tuple(n for n, type_ in columns if type_ == "time" and not n.startswith("window_"))


_INCIDENT_MOMENTS: Final = _moments(_OF_INCIDENT)
_CHANGE_MOMENTS: Final = _moments(_OF_CHANGE)


def _incident(row: IncidentFacts) -> Row:
    impact = row.impact
    other: dict[str, Cell] = {
        "customers": None if impact is None else impact.customers,
        "share_of_customers": None if impact is None else impact.share,
        "uncertain": _uncertain(row, _INCIDENT_MOMENTS),
    }
    return tuple(_cells(row, _OF_INCIDENT, other))


def _change(row: ChangeFacts) -> Row:
    window = row.window
    other: dict[str, Cell] = {
        "window_start": None if window is None else utc(window.start),
        "window_end": None if window is None else utc(window.end),
        "uncertain": _uncertain(row, _CHANGE_MOMENTS),
    }
    return tuple(_cells(row, _OF_CHANGE, other))


def _causes(row: IncidentFacts) -> Iterator[Row]:
    for change, verdict in sorted(row.verdicts.items()):
        yield row.id, change, verdict.value


def _relations(row: IncidentFacts) -> Iterator[Row]:
    for other, relation in sorted(row.related.items()):
        yield row.id, other, relation.value
    if row.merged_into is not None:
        yield row.id, row.merged_into, "merged_into"


_SPELL: Final = ("started", "mitigated", "resolved", "closed")


def _spells(row: IncidentFacts) -> Iterator[Row]:
    for number, spell in enumerate(row.spells, start=1):
        moments = (_instant(getattr(spell, name)) for name in _SPELL)
        yield row.id, number, *moments, spell.over, _uncertain(spell, _SPELL)


_COMMIT: Final = ("authored_at", "committed_at", "opened_at", "merged_at")


def _commits(row: ChangeFacts) -> Iterator[Row]:
    for commit in row.commits:
        moments = (_instant(getattr(commit, name)) for name in _COMMIT)
        yield row.id, commit.id, commit.pull_request, *moments


# --- the log --------------------------------------------------------------------------------------

_LOG: Final[tuple[tuple[str, Type], ...]] = (
    ("position", "whole"),
    ("stream", "text"),
    ("kind", "text"),
    ("id", "text"),
    ("version", "whole"),
    ("type", "text"),
    ("recorded_at", "time"),
    ("at", "time"),
    ("at_bounds", "text"),
    ("by", "text"),
    ("record", "text"),
    ("source", "text"),
    ("source_id", "text"),
    ("source_recorded_at", "time"),
    ("redacted", "truth"),
    ("facts", "text"),
    ("words", "text"),
)


class _Words(msgspec.Struct):
    words: dict[str, msgspec.Raw] = {}  # msgspec gives each its own


_words: Final = msgspec.json.Decoder(_Words)
_json: Final = msgspec.json.Encoder().encode


def log_rows(
    ledger: LedgerReader, *, known_at: int | datetime | None = None, words: bool = True
) -> Iterator[Row]:
    """
    Yield the rows of the table `log`, in log order, as they are asked for.

    Nothing is corrected there: corrections and voids are rows of their own. An event that this
    version can't read has its facts like any other, and no moment.

    Args:
        ledger: Whose log.
        known_at: A position, or a time T for the longest prefix in which nothing was recorded
            after T. None takes the whole log.
        words: False leaves the column `words` empty: free text and names, as JSON.
    """
    ledger = checked_reader(ledger)
    upto = ledger.position_at(known_at)
    return (_log_row(row, words=words) for row in ledger.rows(upto=upto))


def _log_row(row: StoredEvent, *, words: bool) -> Row:
    envelope = envelope_of(row)
    recorded = decode(row, words=False)
    event: Any = recorded.event
    at: Moment | None = getattr(event, "at", None)
    source = recorded.source
    kind, id_ = kind_and_id(row.stream)
    told = _words_of(row.state) if envelope.words else {}
    redacted = "redacted" in told
    kept = words and told and not redacted
    return (
        row.position,
        row.stream,
        kind,
        id_,
        row.version,
        row.type,
        utc(recorded.recorded_at),
        _instant(at),
        bounds_of(at) if isinstance(at, Between) else None,
        getattr(event, "by", None),
        recorded.record,
        None if source is None else source.name,
        None if source is None else source.id,
        _instant(None if source is None else source.recorded_at),
        redacted,
        bytes(envelope.event).decode(),
        _json(told).decode() if kept else None,
    )


def _words_of(state: bytes) -> dict[str, msgspec.Raw]:
    """Return the words of a state without their salt: a hash of what was guessed can't be told."""
    try:
        told = _words.decode(state).words
    except (msgspec.DecodeError, RecursionError):
        return {}
    return {name: text for name, text in told.items() if name != "salt"}


# --- all tables -----------------------------------------------------------------------------------


def _shape(name: str, columns: Iterable[tuple[str, Type]]) -> TableShape:
    return TableShape(name, tuple(Column(*column) for column in columns))


def _times(names: Iterable[str]) -> tuple[tuple[str, Type], ...]:
    return tuple((name, "time") for name in names)


TABLES: Final[Mapping[str, TableShape]] = MappingProxyType(
    {
        "incidents": _shape("incidents", _OF_INCIDENT),
        "changes": _shape("changes", _OF_CHANGE),
        "causes": _shape("causes", (("incident", "text"), ("change", "text"), ("verdict", "text"))),
        "relations": _shape(
            "relations", (("incident", "text"), ("other", "text"), ("relation", "text"))
        ),
        "spells": _shape(
            "spells",
            (
                ("incident", "text"),
                ("number", "whole"),
                *_times(f"{name}_at" for name in _SPELL),
                ("over", "truth"),
                ("uncertain", "labels"),
            ),
        ),
        "commits": _shape(
            "commits",
            (("change", "text"), ("commit", "text"), ("pull_request", "text"), *_times(_COMMIT)),
        ),
        "log": _shape("log", _LOG),
    }
)
"""Every table, by its name."""

_ROWS: Final[Mapping[str, tuple[Literal["incidents", "changes"], _Cells]]] = {
    "incidents": ("incidents", lambda row: (_incident(row),)),
    "changes": ("changes", lambda row: (_change(row),)),
    "causes": ("incidents", _causes),
    "relations": ("incidents", _relations),
    "spells": ("incidents", _spells),
    "commits": ("changes", _commits),
}


def shape_of(table: object) -> TableShape:
    """
    Return a table by its name.

    Raises:
        InvalidValue: There is none of this name.
    """
    if not (isinstance(table, str) and table in TABLES):
        raise InvalidValue("table", table, f"one of {', '.join(TABLES)}")
    return TABLES[table]


def rows_of(facts: Facts, table: str) -> Iterator[Row]:
    """
    Yield the rows of a table of facts, in the order of ids; that of the log is `log_rows`.

    Args:
        facts: What stands.
        table: One of `TABLES` but "log".

    Raises:
        InvalidValue: There is no such table of facts.
    """
    if not isinstance(facts, Facts):
        raise InvalidValue("facts", facts, "facts, such as ledger.facts()")
    if shape_of(table).name not in _ROWS:
        raise InvalidValue("table", table, f"one of {', '.join(_ROWS)}")
    kind, cells = _ROWS[table]
    rows: Any = getattr(facts, kind)
    return (each for row in rows for each in cells(row))
