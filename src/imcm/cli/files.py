"""
Commands that bring logs in, and copy them: import, backup.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import attrs
import typer

from imcm.cli.common import (
    AsJson,
    LedgerPath,
    complain,
    opened,
    print_json,
    progress_bar,
    say,
)
from imcm.errors import ImcmError
from imcm.interchange import csv_files, jsonl
from imcm.ledger.reading import LedgerReader
from imcm.ledger.recording import Ledger

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


import_app = typer.Typer(no_args_is_help=True, help="Bring history in.")
app.add_typer(import_app, name="import")


# --- import ---------------------------------------------------------------------------------------


@import_app.command("csv")
def import_csv(
    ledger: LedgerPath,
    incidents: Annotated[Path | None, typer.Option(help="CSV file of incidents.")] = None,
    changes: Annotated[Path | None, typer.Option(help="CSV file of changes.")] = None,
    commits: Annotated[Path | None, typer.Option(help="CSV file of commits.")] = None,
    source: Annotated[str | None, typer.Option(help="Name of the tool it comes from.")] = None,
    tz: Annotated[str | None, typer.Option(help="IANA zone of times without an offset.")] = None,
    time_format: Annotated[
        list[str] | None, typer.Option(help="A strptime format; may be given again.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="TOML file that renames columns and values.")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Import the good rows, list the bad ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import incidents, changes and commits from CSV files; run it again after a change."""
    if incidents is None and changes is None and commits is None:
        raise typer.BadParameter("give at least one of --incidents, --changes, --commits")
    new = not ledger.exists()
    with Ledger(ledger) as book, progress_bar("importing") as progress:
        try:
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
                progress=progress,
            )
        except ImcmError:
            if new and len(list(itertools.islice(book.rows(), 2))) == 1:
                book.close()
                _remove_ledger(ledger)  # made a moment ago for this import, and still empty
            raise
    if as_json:
        print_json(attrs.asdict(report))
    else:
        say(
            f"{report.rows_imported:,} of {report.rows_read:,} rows imported: "
            f"{report.histories:,} incidents and changes, {report.events:,} new events"
        )
        if report.unknown_named:
            count, some = len(report.unknown_named), ", ".join(report.unknown_named[:5])
            more = ", ..." if count > 5 else ""
            say(f"{count:,} of {report.named:,} ids that rows name are not known: {some}{more}")
        for problem in report.problems:
            complain(problem)
        if report.problems_found > len(report.problems):
            complain(f"... and {report.problems_found - len(report.problems):,} more")
    if report.problems:
        raise typer.Exit(1)


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
