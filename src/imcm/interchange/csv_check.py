"""
The first pass of an import: everything is checked.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from itertools import islice
from pathlib import Path
from typing import Any, Final

import attrs

from imcm.domain import change as changes_
from imcm.domain import incident as incidents_
from imcm.domain.change import Change
from imcm.domain.change_events import (
    ChangeCancelled,
    ChangeFailed,
    ChangeRolledBack,
    CommitsRecorded,
)
from imcm.domain.corrections import past_standing
from imcm.domain.incident import Incident
from imcm.domain.recorded import INCIDENT, Event, Source
from imcm.domain.vocabulary import Commit
from imcm.errors import ImcmError, StepRefused, UnknownIdError
from imcm.interchange.csv_contract import CsvOptions
from imcm.interchange.csv_histories import ReadCommit, ReadRow, commit_of
from imcm.interchange.csv_table import Header, Row, table_of
from imcm.interchange.mapping import Problem
from imcm.ledger.calls import streams_named
from imcm.ledger.recording import Ledger

__all__ = [
    "PROBLEMS_KEPT",
    "ImportReport",
]

# --- the first pass: everything is checked --------------------------------------------------------

PROBLEMS_KEPT: Final = 1_000
"""How many problems a report names; the others are only counted."""

NAMED_IN_MESSAGE: Final = 5


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
        named: How many other incidents and changes the rows name: as causes, fixes, repairs, ...
        unknown_named: Those of them that are not in the ledger, in the order of their ids.
    """

    histories: int
    events: int
    rows_read: int
    rows_imported: int
    rows_refused: int
    problems: tuple[Problem, ...]
    problems_found: int
    named: int = 0
    unknown_named: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the counts in one line; what the problems are is in `problems`."""
        return (
            f"<ImportReport: {self.rows_imported:,} of {self.rows_read:,} rows imported, "
            f"{self.histories:,} histories, {self.events:,} events, "
            f"{self.problems_found:,} problems>"
        )


class Survey:
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


class Check:
    """The first pass over all files, and what the second needs of it."""

    def __init__(self, ledger: Ledger, options: CsvOptions) -> None:
        self.ledger = ledger
        self.options = options
        self.found = 0
        self.problems: list[Problem] = []
        self.surveys: dict[str, Survey] = {}
        self.named: set[str] = set()
        self.merges: dict[str, tuple[str, Source]] = {}
        self._targets: dict[str, tuple[bool, str | None] | ImcmError] = {}
        self.commits: dict[str, list[bytes]] = {}
        self.repeats: dict[str, int] = {}
        self.commit_header = Header(ours={}, labels={}, theirs=())
        self._is_new = len(list(islice(ledger.rows(), 2))) < 2  # a ledger begins with its own row

    def problem(self, problem: Problem) -> None:
        """Count one problem, and keep it while they are few."""
        self.found += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(problem)

    def rows(self, table: str, path: Path, kind: str, rows: Iterable[ReadRow]) -> None:
        """Check incidents or changes."""
        survey = self.surveys[table] = Survey(path)
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
                if not problems and other is None:
                    self.named.update(name for event in row.events for name in streams_named(event))
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
        survey: Survey,
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
        survey = self.surveys["commits"] = Survey(path)
        there: dict[str, bool] = {}
        for told, raw in table_of(path, "commits", self.options):
            row = commit_of(told, raw, self.options)
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
            row = Row(survey.path, self.commit_header, 0, cells, self.options)
            original = row.raw("change_id")
            commit = commit_of(row, raw, self.options).commit
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


def _of(survey: Survey, row: ReadRow | ReadCommit, why: str) -> Problem:
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
