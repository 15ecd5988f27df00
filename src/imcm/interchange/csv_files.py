"""
The plain CSV door: incidents, changes and commits from a spreadsheet or another tool's export.

    report = import_csv(ledger, incidents="incidents.csv", changes="changes.csv", tz="Europe/Oslo")

Files are read once, and all of them are decided before anything is recorded. docs/import.md tells
what each column means and what is assumed where a file is silent.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import attrs

from imcm.codec.decoding import envelope_of, is_of_hash
from imcm.codec.rows import EVENT_TYPES, StoredEvent
from imcm.domain.corrections import (
    CORRECTIONS,
    EventVoided,
    SourceReinstated,
    SourceSaid,
    SourceWithdrew,
)
from imcm.domain.incident_events import IncidentMerged, IncidentUnmerged
from imcm.domain.recorded import CHANGE, INCIDENT, Source, kind_and_id, stream_of
from imcm.domain.vocabulary import Commit, checked_function, optional_time
from imcm.errors import (
    ImcmError,
    ImportRefusedError,
    InvalidValue,
    RowsLeftOutWarning,
    StepRefused,
    UnknownIdError,
)
from imcm.interchange.csv_check import (
    ImportReport,
    Merges,
    Problems,
    Survey,
    paste_lines,
)
from imcm.interchange.csv_contract import CsvOptions, csv_options, words_for
from imcm.interchange.csv_log import Log, Story
from imcm.interchange.csv_statements import Reading, Refers, commit_of, id_of, read_by
from imcm.interchange.csv_table import Row, Rows
from imcm.interchange.deciding import Pair, absorptions, additions, is_of, source_of
from imcm.interchange.mapping import Problem
from imcm.interchange.statements import REFERS, Statement, streams_of
from imcm.interchange.withdrawing import BESIDE, refuse_too_many, streams_told
from imcm.ledger.bringing_in import History, Settled
from imcm.ledger.recording import Ledger
from imcm.plain import count_of, plain
from imcm.projections.facts.fold import Facts


def import_csv(
    ledger: Ledger,
    *,
    incidents: object = None,
    changes: object = None,
    commits: object = None,
    source: str | None = None,
    tz: str | None = None,
    time_format: str | Sequence[str] | None = None,
    mapping: str | Path | Mapping[str, Any] | None = None,
    keep_going: bool = False,
    complete: bool = False,
    confirm_withdrawals: bool = False,
    dry_run: bool = False,
    progress: Callable[[int], object] | None = None,
) -> ImportReport:
    """
    Record the history that CSV files tell.

    Everything is decided before anything is recorded. What stands already is not recorded again,
    a changed value becomes a correction, and an interrupted import can simply be run again.

    Args:
        incidents, changes, commits: The tables, at least one: a path, "-" for standard input, an
            open file, a list of mappings, a frame; see `imcm.interchange.tables.read_table`.
        source: The tool they come from, put before every id; see `CsvOptions`.
        tz: IANA name of the zone of times without UTC offset; without it they are refused.
        time_format: `strptime` formats of times that are not ISO 8601.
        mapping: A TOML file that renames columns and values, or what such a file tells.
        keep_going: Import the good rows and report the bad ones, instead of recording nothing.
        complete: The files are the whole list of their source: incidents or changes that it told
            before and that are in them no more are withdrawn.
        confirm_withdrawals: Withdraw also where that is more than a tenth of what stands.
        dry_run: Say what would be recorded, and record nothing.
        progress: Called with the number of incidents and changes decided so far.

    Raises:
        ImportRefusedError: A file can't be read, rows are bad and `keep_going` is False, or too
            much would be withdrawn.
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
    options = csv_options(
        source=source, tz=tz, time_format=time_format, mapping=mapping, complete=complete
    )
    given = {"incidents": incidents, "changes": changes, "commits": commits}
    tables = {kind: Rows(each, kind, options) for kind, each in given.items() if each is not None}
    taking = _Taking(ledger, options, tables, keep_going=keep_going, confirmed=confirm_withdrawals)
    histories, events = ledger.bring_in(
        taking.histories(),
        together=True,
        settle=taking.settle,
        refused=taking.refuse,
        progress=progress,
        dry_run=dry_run,
    )
    return taking.report(histories, events, dry_run=dry_run)


def from_frames(
    *,
    incidents: object = None,
    changes: object = None,
    commits: object = None,
    tz: str | None = None,
    time_format: str | Sequence[str] | None = None,
    mapping: str | Path | Mapping[str, Any] | None = None,
    keep_going: bool = False,
    as_of: datetime | None = None,
) -> Facts:
    """
    Return facts of tables, for figures: what `import_csv` would record, without any ledger.

    Rows are decided by the same rules as in a file, and nothing is kept: to follow what changes,
    and to have an audit, import them into a ledger.

    Args:
        incidents, changes, commits: The tables, at least one: a frame of pandas, polars or duckdb,
            a list of mappings, a path; see `imcm.interchange.tables.read_table`.
        tz: IANA name of the zone of times without UTC offset; without it they are refused.
        time_format: `strptime` formats of times that are not ISO 8601.
        mapping: What renames columns and values: as a TOML file of a mapping, or what it tells,
            such as `{"incidents": {"columns": {"Opened": "detected_at"}}}`.
        keep_going: Leave bad rows out, with a `RowsLeftOutWarning` that names some, instead
            of refusing all of them.
        as_of: World facts later than this are cut; see `imcm.facts`. Give it where a number is to
            stay: what is open grows until now.

    Raises:
        ImportRefusedError: A row can't be right and `keep_going` is False; it names the rows.
        InvalidValue: An option or the mapping can't be right.
        NaiveTimeError: `as_of` has no zone.
    """
    as_of = optional_time("as_of", as_of)
    ledger = Ledger.in_memory()
    report = import_csv(
        ledger,
        incidents=incidents,
        changes=changes,
        commits=commits,
        tz=tz,
        time_format=time_format,
        mapping=mapping,
        keep_going=keep_going,
    )
    if report.rows_refused or report.problems_found:
        some = "; ".join(plain(problem) for problem in report.problems[:_NAMED])
        warnings.warn(
            f"{report.rows_refused:,} of {report.rows_read:,} rows are left out, for "
            f"{count_of(report.problems_found, 'problem')}: {some}",
            RowsLeftOutWarning,
            stacklevel=2,
        )
    return ledger.facts(as_of=as_of)


_NAMED: Final = 5
"""So many problems stand in the warning."""


KINDS: Final[Mapping[str, str]] = {"incidents": INCIDENT, "changes": CHANGE}

_OF_COMMITS: Final = frozenset({"CommitsRecorded", "CommitsCorrected"})
"""Types of events that are told beside what a row of incidents or changes says."""


@attrs.define
class _Commits:
    """The commits of one change, as their file has them."""

    statement: Statement
    keys: tuple[str, ...]
    taken: bool = False


@attrs.define
class _Tally:
    """What was decided of one stream."""

    new: bool = False
    known: bool = True
    corrected: int = 0
    taken_back: int = 0
    superseded: int = 0
    withdrawn: int = 0
    reinstated: int = 0

    def add(self, there: Sequence[Pair], pairs: Sequence[Pair]) -> None:
        if not there and pairs:
            self.new, self.known = True, False
            return
        for event, _ in pairs:
            self.known = self.known and isinstance(event, SourceSaid)
            self.corrected += isinstance(event, CORRECTIONS)
            self.taken_back += isinstance(event, EventVoided)
            self.withdrawn += isinstance(event, SourceWithdrew)
            self.reinstated += isinstance(event, SourceReinstated)


class _Taking:
    """One import: histories out of rows, and what was found of each."""

    def __init__(
        self,
        ledger: Ledger,
        options: CsvOptions,
        tables: Mapping[str, Rows],
        *,
        keep_going: bool,
        confirmed: bool,
    ) -> None:
        self.ledger = ledger
        self.options = options
        self.tables = tables
        self.keep_going = keep_going
        self.confirmed = confirmed
        self.problems = Problems()
        self.surveys = {kind: Survey(rows.table.name) for kind, rows in tables.items()}
        for survey in self.surveys.values():
            self.problems.of_file(survey.file)
        self.commits: dict[str, _Commits] = {}
        self.named: set[str] = set()
        self.tallies: dict[str, _Tally] = {}
        self.merges: Merges | None = None
        self.sources: dict[str, Source] = {}
        self.without_id: dict[str, int] = {}
        self.settled = False

    # --- rows as histories

    def histories(self) -> Iterator[History]:
        """Yield what each row tells; commits are read first, since they go with their changes."""
        if "commits" in self.tables:
            self._read_commits()
        for table, kind in KINDS.items():
            if table in self.tables:
                yield from self._of_table(table, kind)

    def _of_table(self, table: str, kind: str) -> Iterator[History]:
        survey = self.surveys[table]
        if kind == INCIDENT:
            self.merges = Merges(self.ledger, survey)
        rows = self.tables[table]
        options = rows.options
        if table in options.translation.logs:
            yield from self._of_log(Log(rows, table, options), survey)
            return
        reading = Reading(table, rows.header, options)
        hashed = hashlib.sha256(reading.by)
        for row, raw in rows:
            survey.rows += 1
            id_ = id_of(row, options)
            other = None if id_ is None else survey.repeats(id_, row.line, tuple(row.cells))
            if id_ is None:
                self.without_id.setdefault(table, row.line)
                reading.statement(row, "")  # which finds what else is wrong
                self.note(table, row)
            elif other is None:
                digest = hashed.copy()
                digest.update(raw)
                commits = self.commits.get(id_) if kind == CHANGE else None
                sha256 = digest.hexdigest()
                say = _AsRow(reading, row, sha256)
                told = _OfRow(self, say, reading.refers, table, kind, id_, sha256, commits)
                yield History(stream=stream_of(kind, id_), decide=told.decide, known=told.known)
            elif other:
                self.problems.note(
                    Problem(
                        file=survey.file,
                        line=row.line,
                        column="id",
                        value=id_,
                        why=f"line {other} has this id with other values",
                    )
                )
                survey.refused.add(id_)

    def _of_log(self, log: Log, survey: Survey) -> Iterator[History]:
        def note(row: Row, id_: str | None) -> None:
            survey.rows += 1
            if id_ is None:
                self.without_id.setdefault(log.table, row.line)
            else:
                survey.repeats(id_, row.line, ())
                survey.refused |= {id_} if row.problems else set()
            self.note(log.table, row)

        kind = log.kind
        for story in log.stories(note):
            if survey.holds(story.id):
                say, commits = _AsStory(log, story), self.commits.get(story.id)
                told = _OfRow(
                    self, say, log.reading.refers, log.table, kind, story.id, story.sha256,
                    commits if kind == CHANGE else None,
                )  # fmt: skip
                yield History(
                    stream=stream_of(kind, story.id), decide=told.decide, known=told.known
                )

    def note(self, table: str, row: Row) -> None:
        """Note what is wrong with a row of one table."""
        log = table in self.options.translation.logs
        for problem in row.problems:
            self.problems.note(problem)
        for column, value in row.outside:
            self.problems.note_outside(table, column, value, words_for(table, column, log=log))

    def _read_commits(self) -> None:
        """Read commits, and gather those of each change."""
        survey = self.surveys["commits"]
        gathered: dict[str, dict[str, tuple[Commit, bytes, str]]] = {}
        rows = self.tables["commits"]
        options = rows.options
        context = read_by("commits", rows.header, options)
        for row, raw in rows:
            survey.rows += 1
            read = commit_of(row, raw, context, options)
            problems = [*read.problems]
            if read.change is not None and read.id is not None:
                key = _key(read.change, read.id)
                other = survey.repeats(key, row.line, read.cells)
                if other:
                    why = f"line {other} has this commit with other values"
                    problems.append(_of_commit(survey, row.line, read.change, why))
                elif other is None and read.commit is not None:
                    of_it = gathered.setdefault(read.change, {})
                    of_it[read.id] = (read.commit, raw, row.raw("change_id"))
                if problems:
                    survey.refused.add(key)
            for problem in problems:
                self.problems.note(problem)
        for change, of_it in gathered.items():
            # In the order of their ids, so that rows in another order are the same commits.
            good = [of_it[id_] for id_ in sorted(of_it) if survey.holds(_key(change, id_))]
            if good:
                statement = Statement(
                    kind="change",
                    id=good[-1][2],
                    facts={"commits": [commit for commit, _, _ in good]},
                    sha256=hashlib.sha256(
                        context + b"\n".join(raw for _, raw, _ in good)
                    ).hexdigest(),
                )
                keys = tuple(_key(change, commit.id) for commit, _, _ in good)
                self.commits[change] = _Commits(statement, keys)

    # --- what is decided

    def add(
        self, kind: str, stream: str, there: tuple[Pair, ...], statements: Sequence[Statement]
    ) -> Sequence[Pair]:
        """
        Return what statements add to a stream.

        Raises:
            StepRefused: They say something otherwise that can't be changed.
        """
        options = self.options
        found = additions(
            kind,
            there,
            statements,
            source=options.name,
            by=options.by,
            bare=options.source is None,
        )
        for each in found.left:
            raise StepRefused(
                "bring_in",
                "correctable",
                f"{each.name} was {each.before} when first imported and is {each.value} now, "
                "which no correction can change",
            )
        tally = self.tally(stream)
        tally.superseded += found.superseded
        tally.add(there, found.pairs)
        return found.pairs

    def tally(self, stream: str) -> _Tally:
        """Return what was decided of a stream so far."""
        return self.tallies.setdefault(stream, _Tally())

    def name(self, names: Mapping[str, Any]) -> None:
        """Note which others a good row names."""
        self.named.update(streams_of(names))

    def refuse(self, history: History, error: ImcmError) -> None:
        """Refuse the row of a history that can't be recorded."""
        if self.settled and not self.keep_going:
            raise error
        kind, id_ = kind_and_id(history.stream)
        why = error.why if isinstance(error, StepRefused) else str(error)
        survey = self.surveys.get("incidents" if kind == INCIDENT else "changes")
        if survey is not None and survey.holds(id_):
            self.problems.note(survey.wrong(id_, "id", id_, why))
        elif id_ in self.commits:
            self._refuse_commits(id_, why)
        self.tallies.pop(history.stream, None)

    def _refuse_commits(self, change: str, why: str) -> None:
        survey = self.surveys["commits"]
        for key in self.commits[change].keys:
            self.problems.note(survey.wrong(key, "change_id", change, why))

    # --- once all is decided

    def settle(self) -> Settled:
        """
        Return what is left out after all, and what follows from all rows together.

        Raises:
            ImportRefusedError: Rows are bad, or too much would be withdrawn.
        """
        for problem in () if self.merges is None else self.merges.refused():
            self.problems.note(problem)
        late = self._late_commits()
        if self.problems.found and not self.keep_going:
            raise self._refused_rows()
        left_out = [
            stream_of(kind, id_)
            for table, kind in KINDS.items()
            if table in self.surveys
            for id_ in self.surveys[table].refused
        ]
        for stream in left_out:
            self.tallies.pop(stream, None)
        gone = self._gone() if self.options.complete else []
        self.settled = True
        return Settled(left_out, self._following(late, gone))

    def _following(self, late: Sequence[str], gone: Sequence[str]) -> Iterator[History]:
        yield from self._absorbing()
        for change in late:
            stream, statement = stream_of(CHANGE, change), self.commits[change].statement
            yield History(stream=stream, decide=_Saying(self, CHANGE, stream, statement))
        for stream in gone:
            kind, id_ = kind_and_id(stream)
            statement = Statement(
                kind="incident" if kind == INCIDENT else "change",
                id=id_.removeprefix(self.options.prefix),
                gone=True,
            )
            yield History(stream=stream, decide=_Saying(self, kind, stream, statement))

    def _absorbing(self) -> Iterator[History]:
        """Yield of the incidents that go on for others, that they do."""
        into: dict[str, list[str]] = {}
        for id_, other in ({} if self.merges is None else self.merges.into).items():
            into.setdefault(other, []).append(id_)
        for other, merged in into.items():
            stream = stream_of(INCIDENT, other)
            yield History(stream=stream, decide=_Absorbing(self, stream, merged))

    def _late_commits(self) -> list[str]:
        """Return the changes of commits that did not go with their row; refuse those of none."""
        late: list[str] = []
        rows = self.surveys.get("changes")
        for change in self.commits:
            if rows is not None and rows.holds(change):
                continue
            try:
                self.ledger.change(change)
            except UnknownIdError:
                why = f"its change {change} is neither in the files nor in the ledger"
                self._refuse_commits(change, why)
            except ImcmError as error:
                self._refuse_commits(change, str(error))
            else:
                late.append(change)
        return late

    def _gone(self) -> list[str]:
        """
        Return the streams of which the source told, and that are in its files no more.

        Raises:
            ImportRefusedError: They are too many, or it can't be said which they are.
        """
        for table, line in self.without_id.items():
            place = self.tables[table].table.place(line)
            raise ImportRefusedError(
                f"{place}: the id of this row can't be read, so it can't be "
                "said what is gone from a complete file; nothing was recorded"
            )
        surveys = {KINDS[table]: s for table, s in self.surveys.items() if table in KINDS}
        there = streams_told(
            self.ledger, source=self.options.name, prefix=self.options.prefix, kinds=surveys
        )
        gone: list[str] = []
        for stream in there:
            kind, id_ = kind_and_id(stream)
            if not surveys[kind].knows(id_):
                gone.append(stream)
        if not self.confirmed:
            refuse_too_many(
                gone,
                len(there),
                what=f"incidents and changes of {self.options.name}",
                where="in the files",
                same="a file that was cut off",
            )
        return gone

    def _refused_rows(self) -> ImportRefusedError:
        rows = sum(survey.rows for survey in self.surveys.values())
        found = self.problems.found
        named = [plain(problem) for problem in self.problems.named()]
        if found > len(named):
            named.append(f"and {found - len(named):,} more")
        named += paste_lines(self.problems.outside())
        return ImportRefusedError(
            f"{found:,} problem(s) in {rows:,} rows; nothing was recorded; correct them, or import "
            "the other rows with keep_going=True (--keep-going):",
            tuple(named),
        )

    def report(self, histories: int, events: int, *, dry_run: bool) -> ImportReport:
        """Return what was done."""
        read = sum(survey.rows for survey in self.surveys.values())
        imported = sum(survey.good for survey in self.surveys.values())
        unknown = self.ledger.empty_streams(self.named)
        told = self.tallies.values()
        made = {stream for stream, tally in self.tallies.items() if tally.new}
        return ImportReport(
            histories=histories,
            events=events,
            rows_read=read,
            rows_imported=imported,
            rows_refused=read - imported,
            problems=self.problems.kept(),
            problems_found=self.problems.found,
            outside=self.problems.outside(),
            named=len(self.named),
            unknown_named=tuple(
                sorted(kind_and_id(stream)[1] for stream in unknown if stream not in made)
            ),
            new=len(made),
            known=histories - sum(not tally.known for tally in told),
            corrected=sum(tally.corrected for tally in told),
            taken_back=sum(tally.taken_back for tally in told),
            superseded=sum(tally.superseded for tally in told),
            withdrawn=sum(tally.withdrawn for tally in told),
            reinstated=sum(tally.reinstated for tally in told),
            dry_run=dry_run,
            said=tuple(f"{rows.table.name}: {rows.table.said}" for rows in self.tables.values()),
        )


class _AsRow(NamedTuple):
    """What a row says."""

    reading: Reading
    row: Row
    sha256: str

    def said(self, there: Sequence[Pair]) -> tuple[Sequence[Statement], Row]:
        """Return its statement, none where something is wrong with it; and the row."""
        del there  # a row stands by itself
        statement = self.reading.statement(self.row, self.sha256)
        return () if statement is None else (statement,), self.row

    def last(self) -> Row:
        """Return the row."""
        return self.row


class _AsStory(NamedTuple):
    """What all rows of one id say that are states over time."""

    log: Log
    story: Story

    def said(self, there: Sequence[Pair]) -> tuple[Sequence[Statement], Row]:
        """Return their statements, none where something is wrong with one; and the last row."""
        return self.log.statements(self.story, there)

    def last(self) -> Row:
        """Return the last row."""
        return self.log.last(self.story)


class _OfRow:
    """What one row adds to its stream, or all rows of one id."""

    __slots__ = ("commits", "id", "kind", "refers", "say", "sha256", "table", "taking")

    def __init__(
        self,
        taking: _Taking,
        say: _AsRow | _AsStory,
        refers: Refers,
        table: str,
        kind: str,
        id_: str,
        sha256: str,
        commits: _Commits | None,
    ) -> None:
        self.taking = taking
        self.say = say
        self.refers = refers
        self.table = table
        self.kind = kind
        self.id = id_
        self.sha256 = sha256
        self.commits = commits

    def known(self, there: Sequence[StoredEvent]) -> bool:
        """Say whether the source's last word is this very row, read as it is read now."""
        name = self.taking.options.name
        if not _is_last(there, name, self.sha256, of_commits=False):
            return False
        commits = self.commits
        if commits is not None and not _is_last(
            there, name, commits.statement.sha256 or "", of_commits=True
        ):
            return False
        if self.refers:
            row = self.say.last()
            names = {column: read(row, column) for column, read in self.refers if row.raw(column)}
            if names:
                self._told(names)
        return True

    def _told(self, facts: Mapping[str, Any]) -> None:
        """Note which others a row names; the one it was merged into is asked for at the end."""
        taking, into = self.taking, facts.get("merged_into")
        taking.name(facts)
        if into is not None and taking.merges is not None:
            taking.merges.into[self.id] = into

    def decide(self, there: tuple[Pair, ...]) -> Sequence[Pair]:
        """Return what it adds; nothing where something is wrong with it."""
        taking = self.taking
        said, row = self.say.said(there)
        if row.problems or not said:
            taking.surveys[self.table].refused.add(self.id)
            taking.note(self.table, row)
            return ()
        stream = stream_of(self.kind, self.id)
        facts = said[0].facts
        if self.refers:
            facts = {name: each.facts[name] for each in said for name in REFERS & each.facts.keys()}
        into = facts.get("merged_into")
        if into is not None and there:
            said = [_not_merged_again(each, there, into) for each in said]
        if self.commits is not None:
            said = [*said, self.commits.statement]
        pairs = taking.add(self.kind, stream, there, said)
        if self.refers:
            self._told(facts)
        if into is not None:
            bare = taking.options.source is None
            taking.sources[self.id] = source_of(said[0], taking.options.name, bare=bare)
        return pairs


def _not_merged_again(statement: Statement, there: Sequence[Pair], into: str) -> Statement:
    """
    Return a statement without the merge that stands, by whomever.

    Raises:
        StepRefused: It stands otherwise.
    """
    stands: str | None = None
    for event, _ in there:
        if isinstance(event, IncidentMerged):
            stands = event.into
        elif isinstance(event, IncidentUnmerged):
            stands = None
    if stands is None or "merged_into" not in statement.facts:
        return statement
    if stands != into:
        why = f"the ledger holds it as merged into {stands}; unmerge it first"
        raise StepRefused("bring_in", "merged", why)
    return statement.without("merged_into")


class _Saying:
    """What a statement that stands in no row adds to its stream."""

    def __init__(self, taking: _Taking, kind: str, stream: str, statement: Statement) -> None:
        self.taking = taking
        self.kind = kind
        self.stream = stream
        self.statement = statement

    def __call__(self, there: tuple[Pair, ...]) -> Sequence[Pair]:
        return self.taking.add(self.kind, self.stream, there, [self.statement])


class _Absorbing:
    """Which incidents go on in one, of those that their rows say."""

    def __init__(self, taking: _Taking, stream: str, merged: Sequence[str]) -> None:
        self.taking = taking
        self.stream = stream
        self.merged = merged

    def __call__(self, there: tuple[Pair, ...]) -> Sequence[Pair]:
        options, sources = self.taking.options, self.taking.sources
        bare = Source(name=options.name)
        members = ((id_, sources.get(id_, bare)) for id_ in self.merged)
        pairs = absorptions(there, members, options.by)
        self.taking.tally(self.stream).add(there, pairs)
        return pairs


def _is_last(there: Sequence[StoredEvent], name: str, sha256: str, *, of_commits: bool) -> bool:
    """
    Say whether the last that a source told in a stream is of a row with this hash.

    Where an event can't be read, nothing is said of it: half a stream must not decide.
    """
    for row in there:
        if row.type not in EVENT_TYPES:
            return False
    for row in reversed(there):
        if (row.type in _OF_COMMITS) is of_commits and row.type not in BESIDE:
            envelope = envelope_of(row)
            if is_of(envelope.source, name):
                return bool(is_of_hash(envelope, sha256))
    return False


def _key(change: str, commit: str) -> str:
    return f"{change}\0{commit}"


def _of_commit(survey: Survey, line: int, change: str, why: str) -> Problem:
    return Problem(file=survey.file, line=line, column="change_id", value=change, why=why)
