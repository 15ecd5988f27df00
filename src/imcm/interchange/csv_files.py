"""
The plain CSV door: incidents, changes and commits from a spreadsheet or another tool's export.

    report = import_csv(ledger, incidents="incidents.csv", changes="changes.csv", tz="Europe/Oslo")

Files are read twice: first everything is checked, then it is recorded. docs/import.md tells what
each column means and what is assumed where a file is silent.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from imcm.domain import change as changes_
from imcm.domain import incident as incidents_
from imcm.domain.change import Change
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
    CommitsRecorded,
)
from imcm.domain.corrections import DurationStated, past_standing
from imcm.domain.incident import Incident
from imcm.domain.incident_events import (
    IncidentAbsorbed,
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
from imcm.domain.recorded import CHANGE, INCIDENT, Event, Source
from imcm.domain.vocabulary import (
    A_MARK,
    MARK,
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
    checked_function,
    checked_id,
    checked_milestone,
    checked_services,
    checked_words,
    is_list,
    known_id,
)
from imcm.errors import (
    ImcmError,
    ImportRefusedError,
    InvalidValue,
    StepRefused,
    UnknownIdError,
)
from imcm.files import checked_path
from imcm.interchange.mapping import (
    LABEL,
    Problem,
    TimeRules,
    Translation,
    count,
    duration,
    member,
    read_mapping,
    truth,
    zone_named,
)
from imcm.ledger.bringing_in import History
from imcm.ledger.recording import Ledger
from imcm.plain import excerpt, plain

T = TypeVar("T")

# --- the contract ---------------------------------------------------------------------------------

_INCIDENT_MOMENTS: Final = (
    "impact_started_at",
    "detected_at",
    "declared_at",
    "acknowledged_at",
    "mitigated_at",
    "resolved_at",
    "closed_at",
)

INCIDENT_COLUMNS: Final = (
    "id",
    "service",
    "environment",
    "title",
    "symptom",
    "severity",
    "mode",
    *_INCIDENT_MOMENTS,
    "customers",
    "caused_by",
    "fixed_by",
    "dismissed",
    "merged_into",
    "stated_time_to_restore",
    "stated_time_to_repair",
    "severity_name",
    "child_of",
    "recurrence_of",
    A_MARK,
)
CHANGE_COLUMNS: Final = (
    "id",
    "service",
    "environment",
    "title",
    "type",
    "kind",
    "risk",
    "version",
    "requested_by",
    "status",
    "requested_at",
    "approved_at",
    "started_at",
    "deployed_at",
    "rolled_back_at",
    "recovered_at",
    "closed_at",
    "fixes_incident",
    "repairs",
    "planned",
)
COMMIT_COLUMNS: Final = (
    "change_id",
    "commit_id",
    "authored_at",
    "committed_at",
    "pull_request",
    "opened_at",
    "merged_at",
)

TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "incidents": INCIDENT_COLUMNS,
    "changes": CHANGE_COLUMNS,
    "commits": COMMIT_COLUMNS,
}

_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "incidents": ("id",),
    "changes": ("id",),
    "commits": ("change_id", "commit_id"),
}

_STATUSES: Final = ("successful", "failed", "rolled_back", "cancelled", "not_deployed")

CLOSED: Final[Mapping[str, tuple[str, ...]]] = {
    "severity": tuple(Severity),
    "symptom": tuple(Symptom),
    "mode": tuple(Mode),
    "dismissed": tuple(DismissalReason),
    "type": tuple(ChangeType),
    "kind": tuple(Kind),
    "risk": tuple(Risk),
    "status": _STATUSES,
    "planned": ("true", "false"),
}
"""Columns whose values are a closed list, and that list."""


@attrs.frozen(kw_only=True)
class CsvOptions:
    """
    How the files of one import are read.

    Attributes:
        source: The tool the files come from. Every id and every reference then begins with it:
            "INC1" of "servicenow" is "servicenow/INC1". None keeps ids as they are.
        times: How times are read.
        translation: How other names and values become ours.
    """

    source: str | None = None
    times: TimeRules = attrs.field(factory=TimeRules)
    translation: Translation = attrs.field(factory=Translation)

    @property
    def by(self) -> str:
        """Who the imported events say recorded them: the source, else "import"."""
        return self.source or "import"

    @property
    def prefix(self) -> str:
        """What every id begins with."""
        return f"{self.source}/" if self.source else ""


def csv_options(
    *,
    source: str | None = None,
    tz: str | None = None,
    time_format: str | Sequence[str] | None = None,
    mapping: str | Path | None = None,
) -> CsvOptions:
    """
    Return options from the words a caller has for them.

    Args:
        source: See `CsvOptions`. It can't hold a slash, which ends it in ids.
        tz: IANA name of the zone of times without offset; overrides the mapping's.
        time_format: One or several `strptime` formats; override the mapping's.
        mapping: A TOML file that renames columns and values.

    Raises:
        InvalidValue: One of them can't be right.
    """
    if source is not None and "/" in checked_id("source", source):
        raise InvalidValue("source", source, "a name without slash, which ends it in ids")
    translation = (
        Translation() if mapping is None else read_mapping(mapping, tables=TABLES, closed=CLOSED)
    )
    tz = translation.tz if tz is None else tz
    formats = (time_format,) if isinstance(time_format, str) else time_format
    if formats is not None and not is_list(formats):
        raise InvalidValue("time_format", formats, "give a strptime format, or several")
    times = TimeRules(
        zone=None if tz is None else zone_named("tz", tz),
        formats=tuple(formats or ()) or translation.time_formats,
    )
    return CsvOptions(source=source, times=times, translation=translation)


# --- a file as rows -------------------------------------------------------------------------------

_BOM: Final = b"\xef\xbb\xbf"
_FOREIGN: Final = (b"\xff\xfe", b"\xfe\xff")
_OTHER_SEPARATORS: Final = (";", "\t", "|")


def _refused(path: Path, line: int, why: str) -> ImportRefusedError:
    return ImportRefusedError(f"{path}:{line}: {why}; nothing was recorded")


def _cells(path: Path) -> Iterator[tuple[int, list[str], bytes]]:
    """Yield (first line, cells, raw bytes) of each row that is not blank, the header included."""
    raw: list[bytes] = []

    def lines() -> Iterator[str]:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1 and line.startswith(_FOREIGN):
                    raise _refused(path, 1, "it is UTF-16; save it as UTF-8")
                if b"\0" in line:
                    raise _refused(path, number, "it holds a NUL byte, so it is no CSV text")
                content = line.removeprefix(_BOM) if number == 1 else line
                try:
                    text = content.decode()
                except UnicodeDecodeError as error:
                    found = content[error.start : error.start + 1].hex()
                    why = f"byte 0x{found} is not UTF-8; save the file as UTF-8"
                    raise _refused(path, number, why) from None
                raw.append(content)
                yield text

    begin = 1
    reader = csv.reader(lines(), strict=True)
    try:
        for cells in reader:
            if cells:
                yield begin, [cell.strip() for cell in cells], b"".join(raw).rstrip(b"\r\n")
            begin = reader.line_num + 1
            raw.clear()
    except csv.Error as error:
        why = (
            "a quote is opened here and never closed"
            if "unexpected end" in str(error) or "field limit" in str(error)
            else f"it is no CSV: {error}"
        )
        raise _refused(path, begin, why) from None
    except OSError as error:
        raise ImportRefusedError(f"{path} can't be read: {error.strerror}") from None


@attrs.frozen(kw_only=True)
class _Header:
    """Where in a row each column stands."""

    ours: Mapping[str, int]
    labels: Mapping[str, int]
    theirs: tuple[str, ...]


def _header(
    path: Path, table: str, line: int, cells: Sequence[str], options: CsvOptions
) -> _Header:
    renamed = options.translation.columns.get(table, {})
    if len(cells) == 1:
        other = next((mark for mark in _OTHER_SEPARATORS if mark in cells[0]), None)
        if other is not None:
            raise _refused(
                path, line, f"its columns are separated by {other!r}; save it with commas"
            )
    times = Counter(cells)
    for theirs, targets in renamed.items():
        if targets and theirs not in times:
            why = f"the mapping names a column {theirs!r}; the file has {_shown(cells)}"
            raise _refused(path, line, why)
    ours: dict[str, int] = {}
    labels: dict[str, int] = {}
    for place, theirs in enumerate(cells):
        if not theirs:
            raise _refused(path, line, f"column {place + 1} has no name")
        if times[theirs] > 1 and not renamed.get(theirs, (theirs,)):
            raise _refused(path, line, f"the column {excerpt(theirs)!r} is there twice")
        # What the mapping leaves out stands for nothing.
        for target in renamed.get(theirs, (_default(table, theirs),)):
            into = labels if target.startswith(LABEL) else ours
            name = target.removeprefix(LABEL)
            if name in into or times[theirs] > 1:
                why = f"is there twice, or stands for {excerpt(name)}, as another one does"
                raise _refused(path, line, f"the column {excerpt(theirs)!r} {why}")
            into[name] = place
            try:
                if into is labels:
                    checked_id("label", name)
                elif name.startswith(MARK):
                    checked_milestone("milestone", name.removeprefix(MARK))
            except InvalidValue as error:
                why = f"the column {excerpt(theirs)!r} can't be a {error.name}: {error.allowed}"
                raise _refused(path, line, why) from None
    missing = [name for name in _REQUIRED[table] if name not in ours]
    if missing:
        why = (
            f"there is no column {missing[0]!r}; the first row must be the header, and it is "
            f"{_shown(cells)}"
        )
        raise _refused(path, line, why)
    return _Header(ours=ours, labels=dict(sorted(labels.items())), theirs=tuple(cells))


def _default(table: str, theirs: str) -> str:
    """Return what a column stands for that no mapping renames: what nobody knows is a label."""
    if theirs.casefold() in TABLES[table] and theirs.casefold() != A_MARK:
        return theirs.casefold()
    if theirs.startswith(MARK) and theirs != MARK and A_MARK in TABLES[table]:
        return theirs
    return LABEL + theirs


def _shown(cells: Sequence[str]) -> str:
    """Return what stands in a row, for an error: a little of it, since it may be any file."""
    return excerpt(", ".join(cells))


class _Row:
    """One row under its header: gives values by our names, and gathers what is wrong with them."""

    def __init__(
        self, path: Path, header: _Header, line: int, cells: Sequence[str], options: CsvOptions
    ) -> None:
        self.line = line
        self.cells = cells
        self.problems: list[Problem] = []
        self._path = path
        self.header = header
        self._options = options
        self._places = header.ours
        self.fits = len(cells) == len(header.theirs)
        if not self.fits:
            more = "an unquoted comma?" if len(cells) > len(header.theirs) else "cut off?"
            self.wrong(
                "", f"it has {len(cells)} cells where the header has {len(header.theirs)}; {more}"
            )

    def raw(self, name: str) -> str:
        """Return what stands in our column *name*, untouched; "" where there is no such column."""
        place = self._places.get(name)
        return "" if place is None else self.cells[place]

    def text(self, name: str) -> str:
        """Return what it means to us; "" for absent."""
        return self._options.translation.value(name, self.raw(name))

    def wrong(self, name: str, why: str) -> None:
        """Note what is wrong with one column, or with the row."""
        place = self._places.get(name)
        self.problems.append(
            Problem(
                file=str(self._path),
                line=self.line,
                column=name if place is None else self.header.theirs[place],
                value="" if place is None else self.cells[place],
                why=why,
            )
        )

    def get(self, name: str, read: Callable[[str, str], T]) -> T | None:
        """Return the value of one column; None where it is absent or wrong."""
        # Most columns are absent from most files, and this runs for each column of each row.
        text = self.text(name) if name in self._places else ""
        if not text:
            return None
        try:
            return read(name, text)
        except InvalidValue as error:
            self.wrong(name, error.allowed)
            return None

    def moment(self, name: str) -> Moment | None:
        """Return a moment, which may be uncertain."""
        return self.get(name, self._options.times.moment)

    def words(self, name: str) -> str:
        """Return free text."""
        return self.get(name, checked_words) or ""

    def reference(self, name: str) -> str | None:
        """Return an id with the source's prefix."""
        return self.get(name, lambda n, text: known_id(n, self._options.prefix + text))

    def several(self, name: str, prefix: str = "") -> tuple[str, ...]:
        """Return ids with `;` between, each once."""

        def read(_: str, text: str) -> tuple[str, ...]:
            told = (self._options.translation.value(name, part) for part in text.split(";"))
            return checked_services([prefix + part for part in told if part])

        return self.get(name, read) or ()

    def references(self, name: str) -> tuple[str, ...]:
        """Return ids with the source's prefix, `;` between."""
        return self.several(name, self._options.prefix)

    def labels(self) -> dict[str, str]:
        """Return what stands in the columns that are labels, by the column's name."""
        labels: dict[str, str] = {}
        for name, place in self.header.labels.items():
            text = self.cells[place]
            if text and text not in self._options.translation.absent:
                try:
                    labels[name] = checked_words(name, text)
                except InvalidValue as error:
                    self.wrong(name, error.allowed)
        return labels

    def marks(self) -> Iterator[tuple[str, Moment]]:
        """Yield the milestones of the team's own that have a moment, by their names."""
        for column in self._places:
            if column.startswith(MARK):
                at = self.moment(column)
                if at is not None:
                    yield column.removeprefix(MARK), at

    def source(self, raw: bytes, id_: str, status: str) -> Source:
        """Return where the row comes from."""
        options = self._options
        return Source(
            name=options.source or "csv",
            id=id_ if options.source else None,
            status=status or None,
            sha256=hashlib.sha256(raw).hexdigest(),
        )


def _table(given: str | Path, table: str, options: CsvOptions) -> Iterator[tuple[_Row, bytes]]:
    path = checked_path(table, given)
    if not isinstance(options, CsvOptions):
        raise InvalidValue("options", options, "give what csv_options returns")
    try:
        there, readable = path.exists(), path.is_file()
    except OSError as error:  # a name too long, for one
        raise ImportRefusedError(f"{path} can't be read: {error.strerror}") from None
    if not there:
        raise ImportRefusedError(f"there is no file {path}; nothing was recorded")
    if not readable:
        raise ImportRefusedError(f"{path} is not a file that can be read twice; give a CSV file")
    rows = _cells(path)
    first = next(rows, None)
    if first is None:
        raise ImportRefusedError(f"{path} is empty; its first row must be the header")
    header = _header(path, table, first[0], first[1], options)
    for line, cells, raw in rows:
        yield _Row(path, header, line, cells, options), raw


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
    for row, raw in _table(path, "incidents", options):
        yield _read(row, raw, _incident, options)


def read_changes(path: str | Path, options: CsvOptions) -> Iterator[ReadRow]:
    """Yield the rows of a CSV file of changes, as `read_incidents` does."""
    for row, raw in _table(path, "changes", options):
        yield _read(row, raw, _change, options)


def read_commits(path: str | Path, options: CsvOptions) -> Iterator[ReadCommit]:
    """Yield the rows of a CSV file of commits, as `read_incidents` does."""
    for row, raw in _table(path, "commits", options):
        yield _commit(row, raw, options)


def _read(
    row: _Row,
    raw: bytes,
    events_of: Callable[[_Row, str], tuple[Event, ...]],
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


def _required(row: _Row, name: str, prefix: str) -> str | None:
    if not row.text(name):
        row.wrong(name, "it is empty, and every row needs it")
    return row.get(name, lambda n, text: checked_id(n, prefix + text))


def _incident(row: _Row, by: str) -> tuple[IncidentEvent, ...]:
    told: dict[str, Any] = {"at": None, "by": by, "imported": True}
    moments = {name: row.moment(name) for name in _INCIDENT_MOMENTS}
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
        microseconds = row.get(f"stated_{what.value}", duration)
        if microseconds is not None:
            events.append(DurationStated(**told, what=what, microseconds=microseconds))
    into = row.reference("merged_into")
    if into is not None:
        events.append(IncidentMerged(**told, into=into))
    if not row.problems and not any(moments.values()):
        row.wrong("", f"it has no moment; give at least one of {', '.join(_INCIDENT_MOMENTS)}")
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


def _change(row: _Row, by: str) -> tuple[ChangeEvent, ...]:
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
    if text.casefold() not in _STATUSES:
        allowed = f"one of {', '.join(_STATUSES)}; other words need a mapping"
        raise InvalidValue(name, text, allowed)
    return text.casefold()


_NOT_OBSERVED: Final = ("requested_at", "requested_by", "risk", "fixes_incident", "repairs")


def _begun(
    row: _Row, by: str, moments: Mapping[str, Moment | None]
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


def _commit(row: _Row, raw: bytes, options: CsvOptions) -> ReadCommit:
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


# --- the first pass: everything is checked --------------------------------------------------------

PROBLEMS_KEPT: Final = 1_000
"""How many problems a report names; the others are only counted."""

_NAMED_IN_MESSAGE: Final = 5


@attrs.frozen(kw_only=True)
class ImportReport:
    """
    What an import did.

    Attributes:
        histories: Incidents and changes given to the ledger.
        events: Events recorded: 0 where everything stood there already.
        rows_read: Rows of all files, headers and blank lines apart.
        rows_imported: Those whose content now stands in the ledger, equal repeats included.
        rows_refused: The others.
        problems: Why, in the order found; at most 1,000 are named.
        problems_found: How many there are.
    """

    histories: int
    events: int
    rows_read: int
    rows_imported: int
    rows_refused: int
    problems: tuple[Problem, ...]
    problems_found: int

    def __repr__(self) -> str:
        """Return the counts in one line; what the problems are is in `problems`."""
        return (
            f"<ImportReport: {self.rows_imported:,} of {self.rows_read:,} rows imported, "
            f"{self.histories:,} histories, {self.events:,} events, "
            f"{self.problems_found:,} problems>"
        )


class _Survey:
    """
    What the first pass learned of one file.

    It keeps a number per row and no row: the line by id, with a hash of the cells beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self.good = 0
        self.refused: set[str] = set()
        self._seen: dict[str, int] = {}
        self._stamp = _stamp_of(path)

    def unchanged(self) -> bool:
        """Say whether the file is still as it was when the survey began."""
        return self._stamp == _stamp_of(self.path)

    def repeats(self, key: str, line: int, cells: tuple[str, ...]) -> int | None:
        """Note a row; return None for a new key, 0 for an equal row, else the differing line."""
        digest = hash(cells) & _HASH
        packed = self._seen.setdefault(key, line << 64 | digest)
        if packed == line << 64 | digest:
            return None
        return 0 if packed & _HASH == digest else packed >> 64

    def holds(self, key: str) -> bool:
        """Say whether a good row has this key."""
        return key in self._seen and key not in self.refused

    def line(self, key: str) -> int:
        """Return the line of the first row with this key."""
        return self._seen[key] >> 64


_HASH: Final = (1 << 64) - 1


def _stamp_of(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


class _Check:
    """The first pass over all files, and what the second needs of it."""

    def __init__(self, ledger: Ledger, options: CsvOptions) -> None:
        self.ledger = ledger
        self.options = options
        self.found = 0
        self.problems: list[Problem] = []
        self.surveys: dict[str, _Survey] = {}
        self.merges: dict[str, tuple[str, Source]] = {}
        self._targets: dict[str, tuple[bool, str | None] | ImcmError] = {}
        self.commits: dict[str, list[bytes]] = {}
        self.repeats: dict[str, int] = {}
        self.commit_header = _Header(ours={}, labels={}, theirs=())
        self._is_new = len(list(islice(ledger.rows(), 2))) < 2  # a ledger begins with its own row

    def problem(self, problem: Problem) -> None:
        """Count one problem, and keep it while they are few."""
        self.found += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(problem)

    def rows(self, table: str, path: Path, kind: str, rows: Iterable[ReadRow]) -> None:
        """Check incidents or changes."""
        survey = self.surveys[table] = _Survey(path)
        for row in rows:
            survey.rows += 1
            problems = [*row.problems]
            if row.id is not None:
                other = survey.repeats(row.id, row.line, row.cells)
                if other:
                    problems.append(_of(survey, row, f"line {other} has this id with other values"))
                elif other is None and not problems:
                    why = self._why_not(kind, row)
                    problems += [_of(survey, row, why)] if why else []
                if problems:
                    survey.refused.add(row.id)
                elif row.merged_into is not None:
                    self.merges[row.id] = (row.merged_into, row.source)
            for problem in problems:
                self.problem(problem)

    def _why_not(self, kind: str, row: ReadRow) -> str | None:
        """Return why the ledger can't take *row*, given what it holds already."""
        id_ = row.id or ""
        try:
            events: Any = row.events
            if kind == INCIDENT:
                incident = self._incident(id_)
                if incident is None:
                    return None
                into = incident.merged_into
                if row.merged_into is not None and into not in (None, row.merged_into):
                    return f"the ledger holds it as merged into {into}; unmerge it first"
                incidents_.bring_in(incident, events=events)
                return None
            change = self._change(id_)
            if change is None:
                return None
            changes_.bring_in(change, events=events)
        except StepRefused as refused:
            return refused.why
        except ImcmError as error:
            return str(error)
        return _taken_back(change, row)

    def _incident(self, id_: str) -> Incident | None:
        try:
            return None if self._is_new else self.ledger.incident(id_)
        except UnknownIdError:
            return None

    def _change(self, id_: str) -> Change | None:
        try:
            return None if self._is_new else self.ledger.change(id_)
        except UnknownIdError:
            return None

    def settle_merges(self) -> None:
        """Refuse merges into what is not there or goes in a circle, until all others hold."""
        survey = self.surveys["incidents"]
        merges = {i: into for i, (into, _) in self.merges.items() if survey.holds(i)}
        sources: dict[str, list[str]] = {}
        for id_, into in merges.items():
            sources.setdefault(into, []).append(id_)
        # All are asked in the order of the file. Where one is refused, those that were merged into
        # it are asked again: in the same round where they come later in the file, else in the next.
        order = {id_: place for place, id_ in enumerate(merges)}
        ids = list(merges)
        circles = self._circles(merges)
        asked = [(0, place) for place in range(len(ids))]
        heapify(asked)
        while asked:
            turn, place = heappop(asked)
            id_ = ids[place]
            why = self._no_merge(survey, id_, merges, circles) if id_ in merges else None
            if why is None:
                continue
            into = merges.pop(id_)
            if id_ in circles and self._into(id_) is None:
                circles[id_].clear()  # it is cut here
            survey.refused.add(id_)
            for other in sources.get(id_, ()):
                heappush(asked, (turn + (order[other] < place), order[other]))
            self.problem(
                Problem(
                    file=str(survey.path),
                    line=survey.line(id_),
                    column="merged_into",
                    value=into,
                    why=why,
                )
            )
        self.merges = {id_: self.merges[id_] for id_ in merges}

    def _no_merge(
        self,
        survey: _Survey,
        id_: str,
        merges: Mapping[str, str],
        circles: Mapping[str, set[str]],
    ) -> str | None:
        try:
            if not survey.holds(merges[id_]) and not self._held(merges[id_])[0]:
                return "there is no such incident to import, nor one in the ledger"
        except ImcmError as error:
            return str(error)
        if id_ in circles.get(id_, ()):
            return "the merges go in a circle, so that no incident goes on for the others"
        return None

    def _circles(self, merges: Mapping[str, str]) -> dict[str, set[str]]:
        """Return, for each incident whose merges lead back to it, all those on the way."""
        circles: dict[str, set[str]] = {}
        been: set[str] = set()
        for id_ in merges:
            way: dict[str, None] = {}
            at: str | None = id_
            while at is not None and at not in been:
                been.add(at)
                way[at] = None
                at = merges[at] if at in merges else self._into(at)
            if at is not None and at in way:
                turning = list(way)
                circle = set(turning[turning.index(at) :])
                circles |= dict.fromkeys(circle, circle)
        return circles

    def _into(self, id_: str) -> str | None:
        """Return what the ledger holds an incident as merged into; None also where it can't say."""
        try:
            return self._held(id_)[1]
        except ImcmError:
            return None  # whoever is merged into that one is refused for it

    def _held(self, id_: str) -> tuple[bool, str | None]:
        """Say whether the ledger holds an incident, and merged into what; it is read once."""
        if id_ not in self._targets:
            try:
                incident = self._incident(id_)
                into = None if incident is None else incident.merged_into
                self._targets[id_] = (incident is not None, into)
            except ImcmError as error:
                self._targets[id_] = error
        found = self._targets[id_]
        if isinstance(found, ImcmError):
            raise found
        return found

    def commit_rows(self, path: Path) -> None:
        """Check commits, and gather the rows of each change."""
        survey = self.surveys["commits"] = _Survey(path)
        there: dict[str, bool] = {}
        for told, raw in _table(path, "commits", self.options):
            row = _commit(told, raw, self.options)
            self.commit_header = told.header
            survey.rows += 1
            problems = [*row.problems]
            if row.change is not None and row.id is not None:
                key = _key(row.change, row.id)
                other = survey.repeats(key, row.line, row.cells)
                if row.change not in there:
                    there[row.change] = self._there(row.change)
                if other:
                    why = f"line {other} has this commit with other values"
                    problems.append(_of(survey, row, why))
                elif not there[row.change]:
                    why = f"its change {row.change} is neither in the files nor in the ledger"
                    problems.append(_of(survey, row, why))
                elif other is None:
                    self.commits.setdefault(row.change, []).append(row.raw)
                else:
                    self.repeats[key] = self.repeats.get(key, 0) + 1
                if problems:
                    survey.refused.add(key)
            for problem in problems:
                self.problem(problem)

    def commits_of(self, change: str) -> list[tuple[Event, Source | None]]:
        """Return the commits of one change as one event, read again from their rows."""
        rows = self.commits.pop(change, [])
        good: dict[str, tuple[Commit, bytes]] = {}
        original = ""
        for raw in rows:
            survey = self.surveys["commits"]
            cells = [c.strip() for c in next(csv.reader(io.StringIO(raw.decode(), newline="")))]
            row = _Row(survey.path, self.commit_header, 0, cells, self.options)
            original = row.raw("change_id")
            commit = _commit(row, raw, self.options).commit
            if commit is not None and survey.holds(_key(change, commit.id)):
                good[commit.id] = (commit, raw)
                survey.good += 1 + self.repeats.get(_key(change, commit.id), 0)
        if not good:
            return []
        # In the order of their ids, so that rows in another order are the same commits.
        commits, raws = zip(*(good[id_] for id_ in sorted(good)), strict=True)
        options = self.options
        source = Source(
            name=options.source or "csv",
            id=original if options.source else None,
            sha256=hashlib.sha256(b"\n".join(raws)).hexdigest(),
        )
        event = CommitsRecorded(at=None, by=options.by, commits=commits, imported=True)
        return [(event, source)]

    def _there(self, id_: str) -> bool:
        survey = self.surveys.get("changes")
        if survey is not None and survey.holds(id_):
            return True
        try:
            return self._change(id_) is not None
        except ImcmError:
            return False


def _key(change: str, commit: str) -> str:
    return f"{change}\0{commit}"


def _of(survey: _Survey, row: ReadRow | ReadCommit, why: str) -> Problem:
    """Return a problem of the row as a whole, found by its id."""
    column, value = ("change_id", row.change) if isinstance(row, ReadCommit) else ("id", row.id)
    return Problem(file=str(survey.path), line=row.line, column=column, value=value or "", why=why)


def _taken_back(change: Change, row: ReadRow) -> str | None:
    """Return why a status can't go back: what an earlier import said of it still stands."""
    given = {type(event) for event in row.events}
    ends: set[type] = {ChangeFailed, ChangeRolledBack}
    for version, event in past_standing(change.past).items():
        if not isinstance(event, (ChangeFailed, ChangeRolledBack, ChangeCancelled)):
            continue
        if not event.imported:
            continue
        still = {ChangeCancelled} if isinstance(event, ChangeCancelled) else ends
        if row.source.status and not given & still:
            return (
                f"the ledger holds {type(event).__name__} (version {version}) from an earlier "
                f"import, and the file says {row.source.status!r} now; void that event first"
            )
    return None


# --- the second pass: it is recorded --------------------------------------------------------------


def import_csv(
    ledger: Ledger,
    *,
    incidents: str | Path | None = None,
    changes: str | Path | None = None,
    commits: str | Path | None = None,
    source: str | None = None,
    tz: str | None = None,
    time_format: str | Sequence[str] | None = None,
    mapping: str | Path | None = None,
    keep_going: bool = False,
    progress: Callable[[int], object] | None = None,
) -> ImportReport:
    """
    Record the history that CSV files tell.

    Everything is checked before anything is recorded. What stands already is not recorded again,
    a changed value becomes a correction, and an interrupted import can simply be run again.

    Args:
        incidents, changes, commits: The files; at least one.
        source: The tool they come from, put before every id; see `CsvOptions`.
        tz: IANA name of the zone of times without UTC offset; without it they are refused.
        time_format: `strptime` formats of times that are not ISO 8601.
        mapping: A TOML file that renames columns and values.
        keep_going: Import the good rows and report the bad ones, instead of recording nothing.
        progress: Called with the number of incidents and changes recorded so far.

    Raises:
        ImportRefusedError: A file can't be read, or rows are bad and `keep_going` is False.
        InvalidValue: An option or the mapping can't be right.
        StoreError, ConflictError: The ledger failed, or somebody else recorded the same ids
            meanwhile; what was recorded before that stands, and running again adds the rest.
    """
    if incidents is None and changes is None and commits is None:
        raise InvalidValue("files", None, "give at least one of incidents, changes, commits")
    if not isinstance(ledger, Ledger):
        raise InvalidValue("ledger", ledger, "give a Ledger")
    if progress is not None:
        checked_function("progress", progress)
    options = csv_options(source=source, tz=tz, time_format=time_format, mapping=mapping)
    check = _Check(ledger, options)
    if incidents is not None:
        path = checked_path("incidents", incidents)
        check.rows("incidents", path, INCIDENT, read_incidents(path, options))
        check.settle_merges()
    if changes is not None:
        path = checked_path("changes", changes)
        check.rows("changes", path, CHANGE, read_changes(path, options))
    if commits is not None:
        check.commit_rows(checked_path("commits", commits))
    read = sum(survey.rows for survey in check.surveys.values())
    if check.found and not keep_going:
        raise _refused_rows(check.problems, check.found, read)
    for survey in check.surveys.values():
        if not survey.unchanged():
            raise ImportRefusedError(f"{survey.path} was changed while it was read; run it again")
    histories, events = ledger.bring_in(_histories(check), progress=progress)
    imported = sum(survey.good for survey in check.surveys.values())
    return ImportReport(
        histories=histories,
        events=events,
        rows_read=read,
        rows_imported=imported,
        rows_refused=read - imported,
        problems=tuple(check.problems),
        problems_found=check.found,
    )


def _refused_rows(problems: Sequence[Problem], found: int, rows: int) -> ImportRefusedError:
    named = [plain(problem) for problem in problems[:_NAMED_IN_MESSAGE]]
    if found > len(named):
        named.append(f"and {found - len(named):,} more")
    return ImportRefusedError(
        f"{found:,} problem(s) in {rows:,} rows; nothing was recorded; correct them, or import "
        "the other rows with keep_going=True (--keep-going):",
        tuple(named),
    )


def _histories(check: _Check) -> Iterator[History]:
    options = check.options
    absorbed: dict[str, list[tuple[Event, Source | None]]] = {}
    for id_, (into, source) in check.merges.items():
        event = IncidentAbsorbed(at=None, by=options.by, merged=id_, imported=True)
        absorbed.setdefault(into, []).append((event, source))
    survey = check.surveys.get("incidents")
    if survey is not None:
        for row in _good(survey, read_incidents(survey.path, options)):
            yield _history(INCIDENT, row.id, [*_told(row), *absorbed.pop(row.id or "", ())])
    for into, told in absorbed.items():  # their targets are in the ledger only
        yield _history(INCIDENT, into, told)
    survey = check.surveys.get("changes")
    if survey is not None:
        for row in _good(survey, read_changes(survey.path, options)):
            yield _history(CHANGE, row.id, [*_told(row), *check.commits_of(row.id or "")])
    for change in list(check.commits):  # so are their changes
        yield _history(CHANGE, change, check.commits_of(change))


def _history(kind: str, id_: str | None, events: Iterable[tuple[Event, Source | None]]) -> History:
    return History(stream=f"{kind}:{id_}", events=tuple(events))


def _told(row: ReadRow) -> Iterator[tuple[Event, Source | None]]:
    for event in row.events:
        yield event, row.source


def _good(survey: _Survey, rows: Iterable[ReadRow]) -> Iterator[ReadRow]:
    for row in rows:
        if row.id is not None and survey.holds(row.id):
            survey.good += 1  # an equal repeat is good too, but it is not recorded again
            if survey.line(row.id) == row.line:
                yield row
