"""
Commands that bring logs in, and copy them: import, backup.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import attrs
import typer
from typer.core import TyperGroup

from imcm.cli.common import (
    AsJson,
    LedgerPath,
    complain,
    opened,
    print_json,
    progress_bar,
    say,
    show,
)
from imcm.errors import ImportRefusedError
from imcm.files import new_file
from imcm.interchange import jsonl
from imcm.interchange.formats import FORMATS, format_named
from imcm.ledger.reading import LedgerReader
from imcm.ledger.recording import Ledger
from imcm.plain import count_of

if TYPE_CHECKING:  # each command loads what it reads with
    from imcm.interchange.csv_check import ImportReport
    from imcm.interchange.git import Pending
    from imcm.interchange.git_import import GitReport
    from imcm.interchange.payload_files import Bad, OfPayload
    from imcm.interchange.statements import Dropped, Statement
    from imcm.interchange.suggesting import TableName
    from imcm.interchange.taking_in import Taken

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


class _Imports(TyperGroup):
    """The commands of `imcm import`: one for each format besides those that have their own."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all that can be imported. Any: a context of the library."""
        own = [name for name in super().list_commands(ctx) if name != _BY_FORMAT]
        return [*own, *FORMATS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; None where there is none of that name. Any: as above."""
        if cmd_name not in FORMATS:
            return None if cmd_name == _BY_FORMAT else super().get_command(ctx, cmd_name)
        command = copy(super().get_command(ctx, _BY_FORMAT))
        if command is not None:
            command.name = cmd_name
            command.help = f"{format_named(cmd_name).title}."
            command.short_help = None
        return command


_BY_FORMAT: Final = "any-format"

import_app = typer.Typer(
    cls=_Imports, no_args_is_help=True, help="Bring history in.", rich_markup_mode=None
)
app.add_typer(import_app, name="import")


# --- import ---------------------------------------------------------------------------------------

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be recorded; record nothing.")
]
Complete = Annotated[
    bool, typer.Option("--complete", help="All that the source has: withdraw what is gone.")
]
ConfirmWithdrawals = Annotated[
    bool, typer.Option("--confirm-withdrawals", help="Also where that is more than a tenth.")
]
Zone = Annotated[str | None, typer.Option(help="IANA zone of times without an offset.")]


class _TableName(StrEnum):
    INCIDENTS = "incidents"
    CHANGES = "changes"
    COMMITS = "commits"


@import_app.command("csv")
def import_csv(
    ledger: Annotated[
        Path | None, typer.Option(help="The ledger file.", envvar="IMCM_LEDGER")
    ] = None,
    incidents: Annotated[str | None, typer.Option(help="Table of incidents; - is input.")] = None,
    changes: Annotated[str | None, typer.Option(help="Table of changes.")] = None,
    commits: Annotated[str | None, typer.Option(help="Table of commits.")] = None,
    source: Annotated[str | None, typer.Option(help="Name of the tool it comes from.")] = None,
    tz: Zone = None,
    time_format: Annotated[
        list[str] | None, typer.Option(help="A strptime format; may be given again.")
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="TOML file that renames columns and values, or servicenow, jira, ..."),
    ] = None,
    suggest: Annotated[
        str | None,
        typer.Option(help="Write a first mapping for this table, or print a ready one by name."),
    ] = None,
    table: Annotated[
        _TableName | None, typer.Option("--as", help="With --suggest: what its rows are.")
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(help="With --suggest: the sheet of a workbook.")
    ] = None,
    header: Annotated[
        int | None, typer.Option(help="With --suggest: the row in which the header stands, from 1.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --suggest: a new file, instead of the output.")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Import the good rows, list the bad ones.")
    ] = False,
    complete: Complete = False,
    confirm_withdrawals: ConfirmWithdrawals = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Import incidents, changes and commits from CSV files; run it again after a change."""
    if suggest is not None:
        if incidents is not None or changes is not None or commits is not None:
            raise typer.BadParameter("--suggest takes the table itself, and records nothing")
        if mapping is not None:
            raise typer.BadParameter("--suggest writes a mapping, and takes none")
        _suggest(suggest, None if table is None else table.value, sheet, header, out)
        return
    if not (table is None and sheet is None and header is None and out is None):
        raise typer.BadParameter(
            "--as, --sheet, --header and --out go with --suggest; an import reads sheet and header "
            "from its --mapping"
        )
    if ledger is None:
        raise typer.BadParameter("Missing option '--ledger'.")
    from imcm.interchange import csv_files

    if incidents is None and changes is None and commits is None:
        raise typer.BadParameter("give at least one of --incidents, --changes, --commits")
    with _for_import(ledger) as book, progress_bar("importing") as progress:
        report = csv_files.import_csv(
            book,
            incidents=incidents,
            changes=changes,
            commits=commits,
            source=source,
            tz=tz,
            time_format=time_format,
            mapping=mapping,
            keep_going=keep_going,
            complete=complete,
            confirm_withdrawals=confirm_withdrawals,
            dry_run=dry_run,
            progress=progress,
        )
    if as_json:
        print_json(attrs.asdict(report))
    else:
        _say_imported(report)
    if report.problems:
        raise typer.Exit(1)


def _suggest(
    given: str, table: TableName | None, sheet: str | None, header: int | None, out: Path | None
) -> None:
    """Write a first mapping for a table; or a ready one, where a bare name is that of one."""
    from imcm.interchange.ready_mappings import ready_mapping, ready_mappings
    from imcm.interchange.suggesting import suggest_mapping

    if given in ready_mappings() and not Path(given).is_file():
        if not (table is None and sheet is None and header is None):
            raise typer.BadParameter("--as, --sheet and --header are of a file; this is ready")
        text = ready_mapping(given)
    else:
        text = suggest_mapping(given, table=table, sheet=sheet, header=header)
    if out is None:
        say(*text.removesuffix("\n").split("\n"))
    else:
        with new_file(out) as file:
            file.write(text.encode())
        say(f"written to {out}")


def _say_imported(report: ImportReport) -> None:
    from imcm.interchange.csv_check import paste_lines

    would = " (nothing was recorded: a dry run)" if report.dry_run else ""
    say(
        f"{report.rows_imported:,} of {report.rows_read:,} rows imported: "
        f"{report.histories:,} incidents and changes, {report.events:,} new events{would}"
    )
    counts = (
        (report.new, "new"),
        (report.known, "known"),
        (report.corrected, "corrections"),
        (report.taken_back, "taken back"),
        (report.superseded, "older than what stands"),
        (report.withdrawn, "withdrawn"),
        (report.reinstated, "there again"),
        (report.rows_refused, "rows refused"),
    )
    say(", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing")
    if report.unknown_named:
        count, some = len(report.unknown_named), _first(report.unknown_named)
        say(f"{count:,} of {report.named:,} ids that rows name are not known: {some}")
    for problem in report.problems:
        complain(problem)
    if report.problems_found > len(report.problems):
        complain(f"... and {report.problems_found - len(report.problems):,} more")
    for line in paste_lines(report.outside):
        complain(line)


@import_app.command(_BY_FORMAT)
def import_format(
    ctx: typer.Context,
    files: Annotated[
        list[str], typer.Argument(help="JSON, or JSON lines; also .gz; - is standard input.")
    ],
    ledger: LedgerPath,
    source: Annotated[
        str | None, typer.Option(help="Its name here, before every id; by default the format's.")
    ] = None,
    tz: Zone = None,
    options: Annotated[
        Path | None, typer.Option(help="TOML: what words mean ([values.severity]), labels, tz.")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Import what can be read, list the rest.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Record what payloads say: what is new, what changed, what was taken back."""
    from imcm.interchange.payload_files import read_files
    from imcm.interchange.payloads import read_options
    from imcm.interchange.taking_in import record_statements

    made = format_named(str(ctx.info_name))
    known = read_options(options, tz=tz)
    read = _Reading(read_files(files, made, known))
    statements: Iterable[Statement] = read if keep_going else list(read)
    if read.bad and not keep_going:
        raise ImportRefusedError(
            f"{len(read.bad):,} of {read.payloads:,} payloads can't be read; nothing was recorded; "
            "--keep-going imports the others:",
            tuple(map(str, read.bad[:_SHOWN])),
        )
    with _for_import(ledger) as book, progress_bar("importing") as progress:
        taken = record_statements(
            book, statements, source=source or made.source, dry_run=dry_run, progress=progress
        )
    if as_json:
        plain = {**attrs.asdict(taken), "payloads": read.payloads}
        plain["dropped"] = [{**key._asdict(), "count": n} for key, n in read.dropped.items()]
        print_json({**plain, "bad": [str(bad) for bad in read.bad], "dry_run": dry_run})
    else:
        _say_taken(taken, f"{count_of(read.payloads, 'payload')}, ", dry_run=dry_run)
        for bad in read.bad[:_SHOWN]:
            complain(bad)
        _say_dropped(read.dropped)
    if read.bad or taken.refused:
        raise typer.Exit(1)


_SHOWN: Final = 5


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


class _Reading:
    """Statements as they are read, with what did not become one."""

    def __init__(self, of_payloads: Iterable[OfPayload]) -> None:
        self._of_payloads = of_payloads
        self.payloads = 0
        self.bad: list[Bad] = []
        self.dropped: Counter[Dropped] = Counter()

    def __iter__(self) -> Iterator[Statement]:
        for each in self._of_payloads:
            self.payloads += 1
            if each.bad is not None:
                self.bad.append(each.bad)
            places = (drop._replace(what=_PLACES.sub("[]", drop.what)) for drop in each.dropped)
            self.dropped.update(places)
            yield from each.statements


_PLACES: Final = re.compile(r"\[\d+\]")


def _say_taken(taken: Taken, before: str = "", *, dry_run: bool) -> None:
    would = "would record " if dry_run else ""
    say(f"{before}{count_of(taken.statements, 'statement')}: {would}{taken}")
    if taken.unknown_named:
        say(f"named and not known: {_first(taken.unknown_named)}")
    for left in taken.left[:_SHOWN]:
        complain(f"left as it was: {left.fact} of {left.stream}, now {left.value!r}: {left.why}")
    for refused in taken.refused[:_SHOWN]:
        complain(f"refused: {refused.why}")


def _say_dropped(drops: Counter[Dropped]) -> None:
    for drop, count in drops.most_common(_SHOWN):
        times = "" if count == 1 else f", {count:,} times"
        complain(f"left out{times}: {drop.what} {drop.value!r}: {drop.why}")
    rest = len(drops) - _SHOWN
    if rest > 0:
        complain(f"... and {rest:,} more that were left out; --json lists all")


@contextmanager
def _for_import(path: Path) -> Generator[Ledger]:
    """Open a ledger to import into; one that was made for that and got nothing is taken away."""
    new = not path.exists()
    empty = False
    try:
        with Ledger(path) as book:
            try:
                yield book
            finally:
                empty = new and len(list(itertools.islice(book.rows(), 2))) == 1
    finally:
        if empty:
            _remove_ledger(path)


@import_app.command("git")
def import_git(
    repository: Annotated[Path, typer.Argument(help="A repository, or a folder in one.")],
    ledger: LedgerPath,
    by: Annotated[
        str, typer.Option(help="What a deployment is: tags, merges or commits (to the branch).")
    ] = "tags",
    branch: Annotated[str | None, typer.Option(help="The branch; by default what is out.")] = None,
    tags: Annotated[str, typer.Option(help='Which tags, as a glob: "v*".')] = "*",
    since: Annotated[str | None, typer.Option(help="Only what came after this tag or sha.")] = None,
    service: Annotated[list[str] | None, typer.Option(help="Of which services it is.")] = None,
    source: Annotated[str, typer.Option(help="Its name here, before every id.")] = "git",
    complete: Complete = False,
    confirm_withdrawals: ConfirmWithdrawals = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Record tags, merges or commits of a repository as changes, with their commits."""
    from imcm.interchange.git_import import import_git as import_repository

    given: Any = {"by": by}  # a name that the library checks
    with _for_import(ledger) as book, progress_bar("importing") as progress:
        report = import_repository(
            book,
            repository,
            branch=branch,
            tags=tags,
            since=since,
            services=service or (),
            source=source,
            complete=complete,
            confirm_withdrawals=confirm_withdrawals,
            dry_run=dry_run,
            progress=progress,
            **given,
        )
    if as_json:
        print_json(_plain_git(report))
    else:
        _say_taken(report.taken, dry_run=dry_run)
        if by == "commits":
            say(_NO_LEAD_TIME)
        _say_pending(report.pending, source, by)
        _say_gone(report)
        _say_dropped(Counter(report.dropped))
    if report.taken.refused:
        raise typer.Exit(1)


def _plain_git(report: GitReport) -> dict[str, Any]:
    return {
        **attrs.asdict(report.taken),
        "pending": None if report.pending is None else attrs.asdict(report.pending),
        "gone": list(report.gone),
        "complete": report.complete,
        "dropped": [drop._asdict() for drop in report.dropped],
        "dry_run": report.dry_run,
    }


def _say_pending(pending: Pending | None, source: str, by: str) -> None:
    if pending is None or not pending.commits:
        return
    what, one = by.removesuffix("s"), pending.commits == 1
    text = (
        f"{count_of(pending.commits, 'commit')} on {pending.branch} "
        f"{'belongs' if one else 'belong'} to no change yet, since no {what} holds "
        f"{'it' if one else 'them'}"
    )
    if pending.reverts:
        text += f"; reverts among them: {len(pending.reverts):,}"
        ids = [f"{source}/{name}" for name in pending.takes_back]
        text += f"; with the next {what} will have failed: {_first(ids)}" if ids else ""
    say(text)


def _say_gone(report: GitReport) -> None:
    if not report.gone:
        return
    count = f"{count_of(len(report.gone), 'change')} that this source told before"
    is_ = "is" if len(report.gone) == 1 else "are"
    if report.complete:
        done = "to be withdrawn" if report.dry_run else "withdrawn"
        say(f"{count} {is_} in the repository no more, and {done}: {_first(report.gone)}")
    else:
        say(
            f"{count} {is_} not among those read now, and {'counts' if is_ == 'is' else 'count'} "
            f"as before: {_first(report.gone)}; where they were deleted, --complete withdraws them"
        )


_NO_LEAD_TIME: Final = (
    "by commits, a commit straight to the branch is its own deployment: its lead time is 0 by "
    "construction; --by tags or merges measures one"
)


@app.command("formats")
def formats(as_json: AsJson = False) -> None:
    """List the formats that `imcm import` takes, each in one line."""
    from imcm.interchange.ready_mappings import ready_mappings

    rows = [(name, *about) for name, about in _OWN.items()]
    rows += [
        (f"csv --mapping {name}", _OWN["csv"][0], what) for name, what in ready_mappings().items()
    ]
    for name in FORMATS:
        made = format_named(name)
        rows.append((name, made.order, made.title))
    rows.sort()
    if as_json:
        print_json([dict(zip(("name", "order", "what"), row, strict=True)) for row in rows])
    else:
        show(("format", "ordered by", "what"), rows, whole=("format", "ordered by"))


_OWN: Final[Mapping[str, tuple[str, str]]] = {
    "csv": ("receipt", "tables of incidents, changes and commits, with a mapping"),
    "git": ("receipt", "a git repository: tags, merges or commits to a branch as changes"),
    "jsonl": ("number", "a whole log that imcm wrote"),
}


def _remove_ledger(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@import_app.command("jsonl")
def import_jsonl(
    file: Annotated[Path, typer.Argument(help="A log exported as JSONL.")],
    ledger: LedgerPath,
    append: Annotated[
        bool, typer.Option("--append", help="Into a filled ledger, as imported history.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Restore an exported log into a new ledger, or append it to one as imported history."""
    with opened(file) as lines:
        if append:
            with Ledger(ledger) as book:
                count = book.append_rows(jsonl.read(lines))
        else:
            with Ledger.restored(ledger, jsonl.read(lines)) as book:
                count = sum(1 for _ in book.rows())
    if as_json:
        print_json({"events": count})
    else:
        say(f"{count:,} events in {ledger}")


@app.command()
def backup(ledger: LedgerPath, to: Annotated[Path, typer.Option(help="The new file.")]) -> None:
    """Copy a ledger, its newest events included, while others may be recording in it."""
    with LedgerReader(ledger) as book:
        book.backup(to)
    say(f"copied to {to}")
