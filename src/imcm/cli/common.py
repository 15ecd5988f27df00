"""What all commands share: how they print, how they fail, and how moments are given."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, ParamSpec, TypeVar

import msgspec

from imcm.errors import ImcmError, InvalidValue, MissingExtraError, UnknownIdError

try:
    import typer
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
except ImportError as error:
    raise SystemExit(str(MissingExtraError("the command line", "cli"))) from error

from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.ledger import LedgerReader
from imcm.projections.figure import zone
from imcm.projections.timeline import Entry
from imcm.telling import told_entry, told_moment

out: Final = Console(highlight=False, soft_wrap=True)
err: Final = Console(stderr=True, highlight=False, soft_wrap=True)

LedgerPath = Annotated[
    Path, typer.Option("--ledger", help="The ledger file.", envvar="IMCM_LEDGER")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

P = ParamSpec("P")
R = TypeVar("R")


def fail(message: str) -> NoReturn:
    """Say on standard error what is wrong, and end with status 1."""
    err.print(f"imcm: {escape(message)}")
    raise typer.Exit(1)


def one_line(command: Callable[P, R]) -> Callable[P, R]:
    """Turn our errors into one line on standard error and exit status 1."""

    @functools.wraps(command)
    def guarded(*args: P.args, **arguments: P.kwargs) -> R:
        try:
            return command(*args, **arguments)
        except ImcmError as error:
            fail(str(error))
        except BrokenPipeError:
            raise typer.Exit(0) from None  # the reader of our output had enough

    return guarded


def print_json(value: object) -> None:
    """Print a value as JSON on standard output; what is no finite number is null there."""
    told = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2)
    sys.stdout.write(f"{told.decode()}\n")


@contextmanager
def progress_bar(what: str, total: int | None = None) -> Generator[Callable[[int], None]]:
    """Show a bar on standard error while something long goes on, where that is a terminal."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def opened(path: Path) -> Generator[Any]:
    """Open a file for reading bytes; a file that can't be read is refused in one line."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidValue("file", str(path), f"a readable file ({error.strerror})") from None
    with file:
        yield file


def moment(name: str, text: str | None, tz: str) -> datetime | None:
    """Read a moment given on the command line; without an offset it is told in --tz."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValue(name, text, "an ISO 8601 date or time: 2026-03-06T17:40") from None
    return found if found.utcoffset() is not None else found.replace(tzinfo=zone(tz))


def known_at_of(text: str | None, tz: str) -> int | datetime | None:
    """Read a log position or a moment."""
    return int(text) if text is not None and text.isdigit() else moment("--known-at", text, tz)


KnownAt = Annotated[str | None, typer.Option("--known-at", help="A log position, or a time.")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="Facts up to this time in the world.")]
Zone = Annotated[str, typer.Option("--tz", help="IANA zone of days, and of times without offset.")]


def window_of(start: str | None, end: str | None, tz: str) -> tuple[datetime, datetime] | None:
    """Read a period given by its two ends; None where neither is given."""
    if start is None and end is None:
        return None
    first, last = moment("--from", start, tz), moment("--to", end, tz)
    if first is None or last is None:
        raise typer.BadParameter("give both --from and --to, or neither")
    if last <= first:
        raise InvalidValue("--to", end, f"a moment after --from, {start}")
    return first, last


def named(book: LedgerReader, id: str | None) -> dict[str, str]:
    """
    Return the kind and the id of what is meant; nothing where nothing was named.

    Raises:
        UnknownIdError: There is none.
    """
    if id is None:
        return {}
    kind, _, name = id.partition(":")
    if kind in {INCIDENT, CHANGE} and name and book.history(id):
        return {kind: name}
    kinds = [kind for kind in (INCIDENT, CHANGE) if book.history(f"{kind}:{id}")]
    if not kinds:
        raise UnknownIdError("incident or change", id)
    if len(kinds) > 1:
        allowed = f"incident:{id} or change:{id}, since there are both"
        raise InvalidValue("id", id, allowed)
    return {kinds[0]: id}


def entry_dict(entry: Entry) -> dict[str, Any]:
    """Return an entry of a timeline or a replay as plain values for JSON."""
    return {
        "at": None if entry.at is None else told_moment(entry.at),
        "kind": entry.kind,
        "id": entry.id,
        "what": entry.what,
        "by": entry.by,
        "told": told_entry(entry),
        "recorded_at": entry.recorded_at.isoformat(),
        "position": entry.position,
        "version": entry.version,
        "record": entry.record,
        "source": entry.source,
        "corrected_by": list(entry.corrected_by),
        "voided_by": entry.voided_by,
    }
