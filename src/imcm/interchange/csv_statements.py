"""
Rows as statements: what a row of each table says.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import attrs

from imcm.domain.vocabulary import (
    ChangeType,
    Commit,
    DismissalReason,
    Kind,
    Mode,
    Moment,
    Relation,
    Risk,
    Severity,
    Symptom,
    Window,
    checked_id,
    checked_words,
    earliest,
)
from imcm.errors import InvalidValue
from imcm.interchange.csv_contract import (
    CHANGE_MOMENTS,
    INCIDENT_MOMENTS,
    INCIDENT_STATUSES,
    OPEN,
    STATUSES,
    CsvOptions,
)
from imcm.interchange.csv_table import Header, Row, Rows
from imcm.interchange.mapping import OF_A_COMMIT, SEPARATORS, Problem, count, member, truth
from imcm.interchange.statements import REFERS, Happening, Statement, checked_before

__all__ = [
    "ReadCommit",
    "ReadRow",
    "read_changes",
    "read_commits",
    "read_incidents",
]

# --- rows as they are read ------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ReadRow:
    """
    One row of incidents or changes, read.

    Attributes:
        line: On which it begins, from 1.
        id: The id in the ledger; None where it can't be read.
        statement: What it says; None where something is wrong with it. Ids of others in it are
            those of the ledger.
        problems: What is wrong with it.
        payload: What its hash is made of: the row, and what it was read by.
    """

    line: int
    id: str | None
    statement: Statement | None
    problems: tuple[Problem, ...]
    payload: bytes


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
        payload: What its hash is made of, as of a `ReadRow`. The commits of a change are told by
            one event: its payload is that of the first of them, and a line end and the row of each
            other behind it, in the order of their ids.
        raw: The row alone.
        cells: What stands in it, for telling equal rows.
    """

    line: int
    change: str | None
    id: str | None
    commit: Commit | None
    problems: tuple[Problem, ...]
    payload: bytes
    raw: bytes
    cells: tuple[str, ...]


def read_incidents(given: object, options: CsvOptions) -> Iterator[ReadRow]:
    """
    Yield the rows of a table of incidents, bad ones with their problems.

    Args:
        given: A path, or whatever else `imcm.interchange.tables.read_table` reads.
        options: How they are read.

    Raises:
        ImportRefusedError: The file as a whole can't be read.
    """
    yield from _read(given, "incidents", options)


def read_changes(given: object, options: CsvOptions) -> Iterator[ReadRow]:
    """Yield the rows of a table of changes, as `read_incidents` does."""
    yield from _read(given, "changes", options)


def read_commits(given: object, options: CsvOptions) -> Iterator[ReadCommit]:
    """Yield the rows of a table of commits, as `read_incidents` does."""
    rows = Rows(given, "commits", options)
    context = read_by("commits", rows.header, options)
    for row, raw in rows:
        yield commit_of(row, raw, context, options)


def _read(given: object, table: str, options: CsvOptions) -> Iterator[ReadRow]:
    rows = Rows(given, table, options)
    reading = Reading(table, rows.header, options)
    for row, raw in rows:
        payload = reading.by + raw
        id_ = id_of(row, options)
        told = reading.statement(row, hashlib.sha256(payload).hexdigest())
        yield ReadRow(
            line=row.line,
            id=id_,
            statement=told if id_ is not None and not row.problems else None,
            problems=tuple(row.problems),
            payload=payload,
        )


EMPTIED: Final = ("caused_by", "fixed_by", "service")
"""Columns of lists whose empty cell takes away what was said, where the mapping says so."""

READING: Final = 2
"""Of this importer: a greater number where it reads the same row otherwise than it did."""


def read_by(table: str, header: Header, options: CsvOptions) -> bytes:
    """
    Return what a row is read by, as text before it: importer, header and mapping, as one hash.

    A row of which this and its bytes are the same says the same.
    """
    by = options.translation
    told: dict[str, Any] = {
        "table": table,
        "header": header.theirs,
        "source": options.source,
        "zone": None if options.times.zone is None else options.times.zone.key,
        "formats": options.times.formats,
        "columns": by.columns.get(table, {}),
        "values": by.values,
        "absent": sorted(by.absent),
        "units": by.units,
        "refs": by.refs,
        "empty_removes": EMPTIED if by.empty_removes else False,
    }
    more: dict[str, Any] = {
        "made": {name: attrs.astuple(how) for name, how in by.made.get(table, {}).items()},
        "log": table in by.logs,
        "final": sorted(by.final),
    }
    if by.decimal is not None:
        told["decimal"] = by.decimal
    if by.separators != SEPARATORS:
        told["separators"] = by.separators
    if by.months:
        told["months"] = by.months
    if any(more.values()):  # a mapping without them reads as before, and so does its hash
        told |= more
    text = json.dumps(told, sort_keys=True, default=dict)
    return b"csv %d %s\n" % (READING, hashlib.sha256(text.encode()).hexdigest().encode())


def id_of(row: Row, options: CsvOptions) -> str | None:
    """Return the id in the ledger of what a row is about; None where it can't be read."""
    return _required(row, "id", options.prefix) if row.fits else None


def _required(row: Row, name: str, prefix: str) -> str | None:
    text = row.text(name)
    if not text:
        row.wrong(name, "it is empty, and every row needs it")
        return None
    try:
        return checked_id(name, prefix + text)
    except InvalidValue as error:
        row.wrong(name, error.allowed)
        return None


# --- what a row says ------------------------------------------------------------------------------

_Reader = Callable[[Row, str], Any]
"""Reads one column of a row. Any: a value as `FACTS` has it."""


class _Column:
    """
    A column of ours that a table has.

    Attributes:
        name: Its name; *fact*, the one that it tells; *place*, where it stands.
        read: What reads it.
        known: What was read of it, by what stands there: most cells stand in many rows.
    """

    def __init__(self, name: str, fact: str, read: _Reader, place: int) -> None:
        self.name = name
        self.fact = fact
        self.read = read
        self.place = place
        self.known: dict[str, Any] = {}

    def value(self, row: Row) -> Any:
        """Return its value; None where it is absent or wrong. Any: as `FACTS` has it."""
        text = row.cells[self.place]
        try:
            return self.known[text]
        except KeyError:
            problems = len(row.problems)
            value = self.read(row, self.name)
            if len(self.known) < _KEPT and len(row.problems) == problems:
                self.known[text] = value
            return value


_SECONDS: Final = re.compile(r"\d:\d\d:\d\d|\d{9}", re.ASCII)
"""What shows that a time is told to the second: on a clock, or counted from 1970 on."""

_KEPT: Final = 1_000
"""Values that are kept of a column: enough for whatever is no moment and no title."""


class Reading:
    """
    How the rows of one table are read.

    Attributes:
        by: What a row is read by, as text before it: importer, header and mapping, as one hash. A
            row of which this and its bytes are the same says the same.
        refers: Columns that name others, of those that the table has, and what reads each.
    """

    def __init__(self, table: str, header: Header, options: CsvOptions) -> None:
        self._is_incident = table == "incidents"
        readers = _INCIDENT if self._is_incident else _CHANGE
        held = [column for column in readers if column in header.ours]
        self.refers = tuple((column, readers[column][1]) for column in held if column in REFERS)
        self._columns = [_Column(column, *readers[column], header.ours[column]) for column in held]
        self._updated = "updated_at" in header.ours
        timed = {*INCIDENT_MOMENTS, *CHANGE_MOMENTS, "reopened_at", "updated_at"}
        self._timed = [at for name, at in header.ours.items() if name in timed]
        self._emptied = EMPTIED if options.translation.empty_removes else ()
        self.by = read_by(table, header, options)

    def statement(self, row: Row, sha256: str, *, of_log: str | None = None) -> Statement | None:
        """
        Return what a row says; None where something is wrong with it.

        Args:
            of_log: Of the last row of a log, the id: the rows before it have the moments.
        """
        if not row.fits:
            return None
        facts: dict[str, Any] = {}
        for column in self._columns:
            value = column.value(row)
            if value is not None and value != ():
                facts[column.fact] = value
            elif column.name in self._emptied and of_log is None and not row.text(column.name):
                facts[column.fact] = ()
        labels = row.labels()
        if labels:
            facts["labels"] = labels
        happened: list[Happening] = []
        if self._is_incident:
            _incident(row, facts, happened, alone=of_log is None)
        else:
            _change(row, facts)
        said_at = row.get("updated_at", row.options.times.time) if self._updated else None
        if row.problems:
            return None
        return checked_before(
            kind="incident" if self._is_incident else "change",
            id=row.raw("id") if of_log is None else of_log,
            facts=facts,
            happened=tuple(happened),
            said_at=said_at,
            status=_status_of(row, labels),
            sha256=sha256,
            to_minutes=not any(_SECONDS.search(row.cells[at]) for at in self._timed),
        )


def _status_of(row: Row, labels: Mapping[str, str | None]) -> str:
    """Return the source's own word: of the column, or of a label that is called so."""
    told = row.raw("status")
    if not told and labels:
        told = (
            next((text for name, text in labels.items() if name.casefold() == "status"), "") or ""
        )
    return told


Refers = Sequence[tuple[str, _Reader]]
"""Columns that name others, and what reads each."""


def _by(read: Callable[[str, str], Any]) -> _Reader:
    return lambda row, column: row.get(column, read)


def _of(members: Any) -> _Reader:
    return _by(partial(_member, members))


def _member(members: Any, name: str, text: str) -> Any:
    return member(name, text, members)


def word(words: tuple[str, ...], name: str, text: str) -> str:
    """Return a word of a closed list, whatever its case."""
    if text.casefold() not in words:
        allowed = f"one of {', '.join(words)}; other words need a mapping"
        raise InvalidValue(name, text, allowed)
    return text.casefold()


_BOTH: Final[Mapping[str, tuple[str, _Reader]]] = {
    "title": ("title", _by(checked_words)),
    "service": ("services", Row.several),
    "environment": ("environment", _by(checked_id)),
}

_INCIDENT: Final[Mapping[str, tuple[str, _Reader]]] = {
    **{name: (name, Row.moment) for name in INCIDENT_MOMENTS},
    **_BOTH,
    "symptom": ("symptom", _of(Symptom)),
    "mode": ("mode", _of(Mode)),
    "severity": ("severity", _of(Severity)),
    "customers": ("customers", _by(count)),
    "severity_name": ("severity_name", _by(checked_id)),
    "caused_by": ("caused_by", Row.references),
    "fixed_by": ("fixed_by", Row.references),
    "child_of": ("child_of", Row.reference),
    "recurrence_of": ("recurrence_of", Row.reference),
    "dismissed": ("dismissed", _of(DismissalReason)),
    "stated_time_to_restore": ("stated_time_to_restore", Row.duration),
    "stated_time_to_repair": ("stated_time_to_repair", Row.duration),
    "merged_into": ("merged_into", Row.reference),
    "acknowledged_by": ("acknowledged_by", _by(checked_id)),
    "commander": ("commander", _by(checked_id)),
    "reviewed_at": ("reviewed_at", Row.moment),
}


def _incident(row: Row, facts: dict[str, Any], happened: list[Happening], *, alone: bool) -> None:
    marks = dict(row.marks())
    if marks:
        facts["marks"] = marks
    if facts.get("severity") is None:
        facts.pop("severity_name", None)
    elif facts.get("severity_name") in {*Severity} - {facts["severity"]}:
        row.wrong("severity_name", f"it is a rank, and another one than {facts['severity']}")
    if "acknowledged_at" not in facts:
        facts.pop("acknowledged_by", None)
    if "caused_by" in facts and "fixed_by" in facts:
        for both in sorted({*facts["caused_by"]} & {*facts["fixed_by"]}):
            why = f"{both} is in caused_by too; only one verdict on a change can stand"
            row.wrong("fixed_by", why)
    related: dict[str, str] = {}
    for relation in (Relation.CHILD_OF.value, Relation.RECURRENCE_OF.value):
        other = facts.get(relation)
        if other is None:
            continue
        if other == row.reference("id"):
            row.wrong(relation, "an incident can't be related to itself")
        if other in related:
            row.wrong(relation, f"it is {related[other]} too; one relation to each can stand")
        related[other] = relation
    if "merged_into" in facts and facts["merged_into"] == row.reference("id"):
        row.wrong("merged_into", "an incident can't be merged into itself")
    if alone and not row.problems and not any(name in facts for name in INCIDENT_MOMENTS):
        row.wrong("", f"it has no moment; give at least one of {', '.join(INCIDENT_MOMENTS)}")
    if "status" in row.header.ours or "reopened_at" in row.header.ours:
        _spells(row, facts, happened)


def _spells(row: Row, facts: dict[str, Any], happened: list[Happening]) -> None:
    """Tell what was over and came again from what is over, or is not."""
    status = row.get("status", partial(word, INCIDENT_STATUSES))
    reopened = row.moments("reopened_at")
    happened += [Happening("reopened", at) for at in reopened]
    last = max(map(earliest, reopened), default=None)
    for name in ("mitigated_at", "resolved_at", "closed_at"):
        at: Moment | None = facts.get(name)
        if at is not None and last is not None and earliest(at) < last:
            happened.append(Happening(name.removesuffix("_at"), at))  # of what was reopened since
            del facts[name]
            at = None
        if status in OPEN and name != "mitigated_at":
            if at is not None:
                row.wrong(
                    name,
                    f"its status says {status}; both can't be: leave it empty, or say in "
                    "reopened_at when it was reopened",
                )
            facts[name] = None


_CHANGE: Final[Mapping[str, tuple[str, _Reader]]] = {
    "status": ("status", _by(partial(word, STATUSES))),
    **{name: (name, Row.moment) for name in CHANGE_MOMENTS},
    "type": ("type", _of(ChangeType)),
    "planned": ("planned", _by(truth)),
    **_BOTH,
    "kind": ("kind", _of(Kind)),
    "version": ("version", _by(checked_id)),
    "risk": ("risk", _of(Risk)),
    "requested_by": ("requested_by", _by(checked_id)),
    "fixes_incident": ("fixes_incident", Row.reference),
    "repairs": ("repairs", Row.reference),
    "approved_by": ("approved_by", _by(checked_id)),
    "implemented_by": ("implemented_by", _by(checked_id)),
}

_NOT_OBSERVED: Final = (
    *("requested_at", "requested_by", "risk", "fixes_incident", "repairs"),
    *("planned_start", "planned_end"),
)


def _change(row: Row, facts: dict[str, Any]) -> None:
    status = facts.get("status")
    if status in {"cancelled", "not_deployed"} and "deployed_at" in facts:
        row.wrong("deployed_at", f"its status says {status}; both can't be")
    if facts.get("type") is ChangeType.OBSERVED:
        for name in _NOT_OBSERVED:
            if row.text(name):
                row.wrong(name, "an observed change is one that nobody asked for; it has none")
        if facts.get("planned"):
            row.wrong("planned", "an observed change is one that nobody planned")
    if "planned_start" in row.header.ours or "planned_end" in row.header.ours:
        window = _window(row)
        if window is not None:
            facts["window"] = window


def _window(row: Row) -> Window | None:
    """Return for when it was planned, where the row says it."""
    names = ("planned_start", "planned_end")
    problems = len(row.problems)
    start, end = (row.get(name, row.options.times.time) for name in names)
    if len(row.problems) > problems or (start is None and end is None):
        return None
    if start is None or end is None:
        one, other = names if end is None else reversed(names)
        row.wrong(other, f"it is empty, and {one} needs it")
        return None
    try:
        return Window(start=start, end=end)
    except InvalidValue as error:
        row.wrong("planned_end", error.allowed)
        return None


def commit_of(row: Row, raw: bytes, context: bytes, options: CsvOptions) -> ReadCommit:
    """Return a row of commits."""
    change: str | None = None
    id_: str | None = None
    commit: Commit | None = None
    if row.fits:
        given = row.text(OF_A_COMMIT)
        change = row.reference(OF_A_COMMIT) if given else _required(row, OF_A_COMMIT, "")
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
        payload=context + raw,
        raw=raw,
        cells=tuple(row.cells),
    )
