"""
The plain CSV door: incidents, changes and commits from a spreadsheet or another tool's export.

    report = import_csv(ledger, incidents="incidents.csv", changes="changes.csv", tz="Europe/Oslo")

Files are read twice: first everything is checked, then it is recorded. docs/import.md tells what
each column means and what is assumed where a file is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from imcm.domain.incident_events import IncidentAbsorbed
from imcm.domain.recorded import CHANGE, INCIDENT, Event, Source, kind_and_id, stream_of
from imcm.domain.vocabulary import checked_function
from imcm.errors import ImportRefusedError, InvalidValue
from imcm.files import checked_path
from imcm.interchange.csv_check import NAMED_IN_MESSAGE, Check, ImportReport, Survey
from imcm.interchange.csv_contract import csv_options
from imcm.interchange.csv_histories import ReadRow, read_changes, read_incidents
from imcm.interchange.mapping import Problem
from imcm.ledger.bringing_in import History
from imcm.ledger.recording import Ledger
from imcm.plain import plain

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
    check = Check(ledger, options)
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
    unknown = ledger.empty_streams(check.named)
    return ImportReport(
        histories=histories,
        events=events,
        rows_read=read,
        rows_imported=imported,
        rows_refused=read - imported,
        problems=tuple(check.problems),
        problems_found=check.found,
        named=len(check.named),
        unknown_named=tuple(sorted(kind_and_id(stream)[1] for stream in unknown)),
    )


def _refused_rows(problems: Sequence[Problem], found: int, rows: int) -> ImportRefusedError:
    named = [plain(problem) for problem in problems[:NAMED_IN_MESSAGE]]
    if found > len(named):
        named.append(f"and {found - len(named):,} more")
    return ImportRefusedError(
        f"{found:,} problem(s) in {rows:,} rows; nothing was recorded; correct them, or import "
        "the other rows with keep_going=True (--keep-going):",
        tuple(named),
    )


def _histories(check: Check) -> Iterator[History]:
    options = check.options
    absorbed: dict[str, list[tuple[Event, Source | None]]] = {}
    for id_, (into, source) in check.merges.items():
        event = IncidentAbsorbed(at=None, by=options.by, merged=id_, imported=True)
        absorbed.setdefault(into, []).append((event, source))
    survey = check.surveys.get("incidents")
    if survey is not None:
        for row in _good(survey, read_incidents(survey.path, options)):
            id_ = row.id or ""
            yield _history(INCIDENT, id_, [*_told(row), *absorbed.pop(id_, ())])
    for into, told in absorbed.items():  # their targets are in the ledger only
        yield _history(INCIDENT, into, told)
    survey = check.surveys.get("changes")
    if survey is not None:
        for row in _good(survey, read_changes(survey.path, options)):
            id_ = row.id or ""
            yield _history(CHANGE, id_, [*_told(row), *check.commits_of(id_)])
    for change in list(check.commits):  # so are their changes
        yield _history(CHANGE, change, check.commits_of(change))


def _history(kind: str, id_: str, events: Iterable[tuple[Event, Source | None]]) -> History:
    return History(stream=stream_of(kind, id_), events=tuple(events))


def _told(row: ReadRow) -> Iterator[tuple[Event, Source | None]]:
    for event in row.events:
        yield event, row.source


def _good(survey: Survey, rows: Iterable[ReadRow]) -> Iterator[ReadRow]:
    for row in rows:
        if row.id is not None and survey.holds(row.id):
            survey.good += 1  # an equal repeat is good too, but it is not recorded again
            if survey.line(row.id) == row.line:
                yield row
