"""
Commands that write a ledger out: whole, or as other tools take it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import typer

from imcm.cli.common import (
    AsOf,
    KnownAt,
    LedgerPath,
    Zone,
    is_shown,
    json_lines,
    known_at_of,
    moment,
    say,
    standard_output,
)
from imcm.errors import InvalidValue
from imcm.files import new_file
from imcm.interchange import jsonl
from imcm.interchange.exports.targets import Ends, file_to_write
from imcm.ledger.reading import LedgerReader

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
export_app = typer.Typer(no_args_is_help=True, help="Write the log out, also for other tools.")
app.add_typer(export_app, name="export")

Out = Annotated[
    str, typer.Option("--out", help="File to write; - is standard output.", metavar="FILE")
]
Folder = Annotated[
    str, typer.Option("--out", help="Folder to write, or FILE with --table.", metavar="FOLDER")
]
Words = Annotated[bool, typer.Option("--words/--no-words", help="Leave free text and names out.")]
Ids = Annotated[list[str], typer.Argument(help="Incidents and changes.")]


@export_app.command("jsonl")
def export_jsonl(
    ledger: LedgerPath,
    to: Annotated[
        Path | None,
        typer.Option("--to", "--out", help="File to write; standard output if absent, or -."),
    ] = None,
    words: Words = True,
) -> None:
    """
    Write the log, one recorded event a line, byte for byte as it is stored.

    On a terminal signs that it would obey are escaped, so what is copied from there is not a log.
    """
    with LedgerReader(ledger) as book:
        if to is None or to == Path("-"):
            jsonl.write(book.rows(), json_lines(), words=words)
            return
        with new_file(to) as file:
            count = jsonl.write(book.rows(), file, words=words)
    say(f"{count:,} events written to {to}")


@export_app.command("cdevents")
def export_cdevents(
    ledger: LedgerPath,
    out: Out = "-",
    source: Annotated[
        str | None, typer.Option(help="The source of all events: a URI reference.")
    ] = None,
    environment: Annotated[
        str, typer.Option(help="The environment of what names none.")
    ] = "production",
    known_at: KnownAt = None,
    tz: Zone = "UTC",
    words: Words = True,
) -> None:
    """Write incidents and deployments as CDEvents 0.5, one CloudEvent a line."""
    from imcm.interchange.exports.cdevents import is_cdevents, write_cdevents

    with LedgerReader(ledger) as book:
        known = known_at_of(known_at, tz, book)
        with _target(out, "an export of CDEvents", is_cdevents) as file:
            done = write_cdevents(
                book, file, source=source, environment=environment, known_at=known, words=words
            )
    _tell(f"{done.events:,} events", out)
    if out != "-":
        for reason, count in done.left_out.items():
            say(f"left out: {count:,} {reason}")


@export_app.command("ocel")
def export_ocel(
    ledger: LedgerPath,
    out: Out = "-",
    known_at: KnownAt = None,
    tz: Zone = "UTC",
    words: Words = True,
) -> None:
    """Write the log as an object-centric event log: OCEL 2.0 in JSON, for process mining."""
    from imcm.interchange.exports.ocel import is_ocel, write_ocel

    with LedgerReader(ledger) as book:
        known = known_at_of(known_at, tz, book)
        with _target(out, "an OCEL log", is_ocel) as file:
            done = write_ocel(book, file, known_at=known, words=words)
    _tell(f"{done.events:,} events", out)


Table = Annotated[str | None, typer.Option(help="Only this table, into a file: incidents, log...")]


@export_app.command("parquet")
def export_parquet(
    ledger: LedgerPath,
    out: Folder,
    table: Table = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    tz: Zone = "UTC",
    words: Words = True,
) -> None:
    """Write facts and the log as tables: a folder of Parquet files, or one of them."""
    _export_tables("parquet", ledger, out, table, as_of, known_at, tz, words=words)


@export_app.command("arrow")
def export_arrow(
    ledger: LedgerPath,
    out: Folder,
    table: Table = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    tz: Zone = "UTC",
    words: Words = True,
) -> None:
    """Write facts and the log as tables: a folder of Arrow files, or one of them."""
    _export_tables("arrow", ledger, out, table, as_of, known_at, tz, words=words)


def _export_tables(
    form: Literal["parquet", "arrow"],
    ledger: Path,
    out: str,
    table: str | None,
    as_of: str | None,
    known_at: str | None,
    tz: str,
    *,
    words: bool,
) -> None:
    from imcm.interchange.exports.arrow import is_table, write_arrow, write_parquet, write_table

    with LedgerReader(ledger) as book:
        asked: dict[str, Any] = {
            "as_of": moment("--as-of", as_of, tz),
            "known_at": known_at_of(known_at, tz, book),
            "words": words,
        }
        if table is None:
            write = write_parquet if form == "parquet" else write_arrow
            _tell_tables(write(book, _folder(out), **asked), out)
            return
        if out == "-" and is_shown():
            raise InvalidValue("--out", out, "a file, or a pipe: no terminal can show it")
        kind = f"such a table (.{form})"
        with _target(out, kind, lambda file: is_table(form, file), is_binary=True) as file:
            count = write_table(book, table, file, form=form, **asked)
    _tell(f"{count:,} rows", out)


@export_app.command("csv")
def export_csv(
    ledger: LedgerPath,
    out: Folder,
    table: Table = None,
    bom: Annotated[
        bool, typer.Option("--bom", help="Begin with the mark by which Excel knows UTF-8.")
    ] = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    tz: Zone = "UTC",
) -> None:
    """Write facts for spreadsheets: a folder of CSV files, or one of them."""
    from imcm.interchange.exports.csv_tables import (
        CSV_TABLES,
        is_csv,
        write_csv,
        write_csv_folder,
    )

    if table is not None and table not in CSV_TABLES:
        raise InvalidValue("--table", table, f"one of {', '.join(CSV_TABLES)}")
    with LedgerReader(ledger) as book:
        known = known_at_of(known_at, tz, book)
        facts = book.facts(as_of=moment("--as-of", as_of, tz), known_at=known)
    if table is None:
        _tell_tables(write_csv_folder(facts, _folder(out), bom=bom), out)
        return
    with _target(out, "a CSV file of this table", lambda file: is_csv(table, file)) as file:
        count = write_csv(facts, table, file, bom=bom)
    _tell(f"{count:,} rows", out)


@export_app.command("markdown")
def export_markdown(
    ids: Ids,
    ledger: LedgerPath,
    out: Out = "-",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    tz: Zone = "UTC",
) -> None:
    """Write the timeline of incidents and changes as a Markdown document."""
    from imcm.interchange.exports.timelines import is_timeline_markdown, timeline_markdown

    told = _timeline(ids, ledger, as_of, known_at, tz)
    with _target(out, "a timeline in Markdown", is_timeline_markdown) as file:
        file.write(timeline_markdown(told).encode())
    _tell(f"{len(told.entries):,} entries", out)


@export_app.command("json")
def export_json(
    ids: Ids,
    ledger: LedgerPath,
    out: Out = "-",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    tz: Zone = "UTC",
) -> None:
    """Write the timeline of incidents and changes as JSON."""
    from imcm.interchange.exports.timelines import is_timeline_json, timeline_json

    told = _timeline(ids, ledger, as_of, known_at, tz)
    with _target(out, "a timeline in JSON", is_timeline_json) as file:
        file.write(timeline_json(told))
    _tell(f"{len(told.entries):,} entries", out)


def _timeline(
    ids: list[str], ledger: Path, as_of: str | None, known_at: str | None, tz: str
) -> Any:
    from imcm.interchange.exports.timelines import timeline_of

    with LedgerReader(ledger) as book:
        known = known_at_of(known_at, tz, book)
        return timeline_of(book, ids, as_of=moment("--as-of", as_of, tz), known_at=known)


# --- where it goes --------------------------------------------------------------------------------


@contextmanager
def _target(
    out: str, kind: str, is_same: Callable[[Ends], bool], *, is_binary: bool = False
) -> Generator[BinaryIO]:
    """Give standard output, or a file that is there once it is whole."""
    if out == "-":
        yield standard_output() if is_binary else json_lines()
        return
    with file_to_write(out, kind, is_same) as file:
        yield file


def _folder(out: str) -> str:
    if out == "-":
        raise InvalidValue("--out", out, "a folder; name one --table to have it in a pipe")
    return out


def _tell(what: str, out: str) -> None:
    if out != "-":
        say(f"{what} written to {out}")


def _tell_tables(counts: dict[str, int], out: str) -> None:
    _tell(", ".join(f"{count:,} {table}" for table, count in counts.items()), out)
