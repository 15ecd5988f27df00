"""
What all commands share: how they print, how they fail, and how moments are given.

Everything that is shown goes out through `say`, `complain` and `show`, which let nothing through
that a terminal would obey; data goes out through `print_json` and `export`.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from operator import is_
from pathlib import Path
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    BinaryIO,
    Final,
    Literal,
    NoReturn,
    TextIO,
    TypeVar,
)
from zoneinfo import ZoneInfo

import attrs
import msgspec
import typer
from rich.cells import cell_len

from imcm.domain.recorded import CHANGE, INCIDENT, kind_and_id, stream_of
from imcm.errors import (
    ImcmError,
    ImportRefusedError,
    InvalidValue,
    UnknownIdError,
)
from imcm.ledger.reading import LedgerReader
from imcm.plain import is_plain, joined, plain
from imcm.projections.figures.units import zone

if TYPE_CHECKING:
    from rich.console import Console

    from imcm.documents.structure import Document
    from imcm.projections.histories.timeline import Entry

T = TypeVar("T")

LedgerPath = Annotated[
    Path, typer.Option("--ledger", help="The ledger file.", envvar="IMCM_LEDGER")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


class Format(StrEnum):
    """What a command prints: text for a person, or a document."""

    TEXT = "text"
    MARKDOWN = "md"
    HTML = "html"
    CSV = "csv"
    JSON = "json"
    WORKBOOK = "xlsx"


AsFormat = Annotated[
    Format,
    typer.Option("--format", help="What to print: text, or a document for elsewhere."),
]
AsJsonFormat = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
ViewsFile = Annotated[
    Path | None,
    typer.Option(
        "--views",
        help="Keep what is read in this file: the next command reads only what is new.",
    ),
]
NoViews = Annotated[
    bool, typer.Option("--no-views", help="Read the whole log again; use and keep nothing.")
]

# --- what is shown --------------------------------------------------------------------------------


def _console(*, stderr: bool) -> Console:
    """Return what draws on a terminal, which is loaded only where there is one."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)


def is_terminal(stream: TextIO) -> bool:
    """Say whether somebody looks at a stream, or wants it drawn as if; at a closed one nobody."""
    return not stream.closed and (bool(os.environ.get("FORCE_COLOR")) or stream.isatty())


def is_shown() -> bool:
    """Say whether somebody looks at standard output."""
    return is_terminal(sys.stdout)


@contextmanager
def _written() -> Generator[None]:
    """Tell a full disk beneath standard output from one beneath another file."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output can't be written") from None


def _write(text: str) -> None:
    with _written():
        sys.stdout.write(text)


def say(*lines: object) -> None:
    """Print each of *lines* as one line on standard output, whatever it holds."""
    _write(joined(lines) + "\n")


def flush() -> None:
    """Write out what was printed so far."""
    with _written():
        sys.stdout.flush()


def complain(*lines: object) -> None:
    """Print each of *lines* as one line on standard error, whatever it holds."""
    sys.stderr.write(joined(lines) + "\n")


def show(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Collection[str] = (),
    whole: Collection[str] = (),
    struck: Collection[int] = (),
) -> None:
    """
    Print a table: whole lines for grep and diff, and fitted to the window on a terminal.

    What is too wide for a window stands below its row, with the name of its column: those
    without any value first, then the widest. Cells are parted only where that does not help.

    Args:
        columns: The heads.
        rows: The cells of each line.
        right: Columns whose cells end at one place.
        whole: Columns whose cells are never parted, however small the window is.
        struck: Places of rows whose last cell is struck through where that can be shown.
    """
    cells = [[plain(text) for text in row] for row in rows]
    widths = [max(map(cell_len, texts)) for texts in zip(columns, *cells, strict=True)]
    if not is_shown():
        for row in (columns, *cells):
            padded = [
                _padded(text, width, left=column not in right)
                for column, width, text in zip(columns, widths, row, strict=True)
            ]
            say((" " * _GAP).join(padded).rstrip())
        return
    from rich.table import Table
    from rich.text import Text

    console = _console(stderr=False)
    below = _below(columns, cells, widths, console.width, whole)
    if below:
        _write(_drawn_in_two(console, columns, cells, widths, below, right, struck))
        return
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        side: Literal["left", "right"] = "right" if column in right else "left"
        made.add_column(column, justify=side, overflow="fold", no_wrap=column in whole)
    for index, row in enumerate(cells):
        last = Text(row[-1], style="strike" if index in struck else "")
        made.add_row(*map(Text, row[:-1]), last)
    with console.capture() as held:
        console.print(made)
    _write(held.get())


_GAP: Final = 2


def _below(
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    widths: Sequence[int],
    width: int,
    whole: Collection[str],
) -> frozenset[int]:
    """Return which columns stand below their rows for the rest to fit; none where it never does."""
    movable = [place for place in range(1, len(columns)) if columns[place] not in whole]
    empty = {place for place in movable if not any(row[place] for row in cells)}
    movable.sort(key=lambda place: (place in empty, widths[place], place))  # the last goes first
    below: set[int] = set()
    while sum(widths[n] + _GAP for n in range(len(columns)) if n not in below) - _GAP > width:
        if not movable:
            return frozenset()
        below.add(movable.pop())
    return frozenset(below)


def _drawn_in_two(
    console: Console,
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    widths: Sequence[int],
    below: Collection[int],
    right: Collection[str],
    struck: Collection[int],
) -> str:
    from rich.padding import Padding
    from rich.text import Text

    beside = [place for place in range(len(columns)) if place not in below]

    def line(row: Sequence[str]) -> str:
        padded = (_padded(row[n], widths[n], left=columns[n] not in right) for n in beside)
        return (" " * _GAP).join(padded).rstrip()

    with console.capture() as held:
        console.print(Text(line(columns), style="bold"))
        for index, row in enumerate(cells):
            console.print(Text(line(row)))
            for place in sorted(below):
                if not row[place]:
                    continue
                is_struck = index in struck and place == len(columns) - 1
                text = Text(f"{columns[place]}: ", style="dim")
                text.append(row[place], style="strike" if is_struck else "not dim")
                console.print(Padding(text, (0, 0, 0, 4)), soft_wrap=False)
    return "".join(f"{drawn.rstrip()}\n" for drawn in held.get().splitlines())


def _padded(text: str, width: int, *, left: bool) -> str:
    space = " " * (width - cell_len(text))
    return text + space if left else space + text


def format_of(format: Format, as_json: bool) -> Format:
    """Return what is to be printed; --json is short for --format json."""
    if as_json and format not in {Format.TEXT, Format.JSON}:
        raise typer.BadParameter(f"--json goes without --format {format.value}")
    return Format.JSON if as_json else format


def print_document(
    document: Document, format: Format, *, wide: bool = True, columns: bool = False
) -> None:
    """
    Print a document; as text it is fitted to the window, and coloured where somebody looks.

    Args:
        wide: Whether Markdown and HTML have all columns.
        columns: Whether text has all columns in full, however wide that is.
    """
    if format is Format.TEXT:
        from imcm.documents.text import plain_text

        shown = is_shown()
        # What goes elsewhere has each row in one line, for grep and diff.
        width = _console(stderr=False).width if shown else None
        colour = shown and not os.environ.get("NO_COLOR")
        _write(plain_text(document, width=width, wide=columns, colour=colour))
        return
    from imcm.documents.formats import rendered

    if format is Format.WORKBOOK and is_shown():
        raise typer.BadParameter("a workbook is no text: send it to a file, as in > report.xlsx")
    flush()
    out = standard_output()
    out.write(rendered(document, format.value, wide=wide))
    out.flush()


def write_document(document: Document, format: Format, out: Path | None) -> None:
    """Print a document, or write it to a new file, whose name says in which form."""
    if out is None:
        print_document(document, format)
        return
    from imcm.documents.formats import SUFFIXES, rendered
    from imcm.files import new_file

    form = SUFFIXES.get(out.suffix.casefold()) if format is Format.TEXT else format.value
    if form is None:
        raise InvalidValue("--out", str(out), f"a name that ends in one of {', '.join(SUFFIXES)}")
    with new_file(out) as file:
        file.write(rendered(document, form))
    say(f"written to {out}")


def print_json(value: object) -> None:
    """Print a value as JSON on standard output; what is no finite number is null there."""
    text = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()
    if not (sys.stdout.encoding or "").lower().startswith("utf"):
        text = _NOT_ASCII.sub(lambda m: json.dumps(m[0])[1:-1], text)
    _write(_escaped(text) + "\n")


_NOT_ASCII: Final = re.compile(r"[^\n\x20-\x7e]")


def _escaped(text: str) -> str:
    """Return JSON text with every sign escaped that a terminal would obey or hide: equal JSON."""
    return _NOT_ASCII.sub(lambda m: m[0] if is_plain(m[0]) else json.dumps(m[0])[1:-1], text)


class _JsonLines:
    """Standard output for lines of JSON: as they are, but to a terminal nothing it would obey."""

    def write(self, line: bytes) -> None:
        if is_shown():
            _write(_escaped(line.decode()))
            return
        with _written():
            sys.stdout.buffer.write(line)


def json_lines() -> BinaryIO:
    """Return standard output as a file of bytes that takes whole lines of JSON."""
    sys.stdout.flush()
    lines: Any = _JsonLines()
    out: BinaryIO = lines
    return out


class _Bytes:
    """Standard output for bytes that are no text: as they are, and never closed by who writes."""

    closed = False

    def write(self, some: bytes) -> int:
        with _written():
            sys.stdout.buffer.write(some)
        return len(some)

    def flush(self) -> None:
        with _written():
            sys.stdout.buffer.flush()

    def close(self) -> None:
        """Leave it open: it is not theirs."""


def standard_output() -> BinaryIO:
    """Return standard output as a file of bytes."""
    sys.stdout.flush()
    raw: Any = _Bytes()
    out: BinaryIO = raw
    return out


@contextmanager
def progress_bar(what: str) -> Generator[Callable[[int], None]]:
    """Count on standard error while something long goes on, where that is a terminal."""
    if not is_terminal(sys.stderr):
        yield lambda _done: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn(what, markup=False),
        TextColumn("{task.completed:,}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done: bar.update(task, completed=done)


# --- how a command fails --------------------------------------------------------------------------

_WRONG_USAGE: Final[type[Exception]] = typer.BadParameter.__bases__[0]
"""The class of wrong usage, wherever this version of typer keeps it."""

_LONGEST: Final = 2_000
_CODE: Final = str(Path(__file__).parents[1]) + os.sep


@contextmanager
def unanswered() -> Generator[None]:
    """Exit with 2 where a question can't be answered: 1 is an answer, "no"."""
    try:
        yield
    except (ImcmError, OSError) as error:
        _fault(error if isinstance(error, ImcmError) else f"{error.filename}: {error.strerror}")
        raise typer.Exit(2) from None


def fail(message: object) -> NoReturn:
    """Say on standard error what is wrong, and end with status 1."""
    _fault(message)
    raise typer.Exit(1)


def guarded(command: Callable[[], object]) -> int:
    """
    Run a command and return its exit status; whatever goes wrong is told in one line.

    0: done, or the reader of our output had enough. 1: refused, or failed. 2: wrong usage.
    130: interrupted. What is printed is written out before this returns, so that a full disk
    is noticed here and not when the interpreter ends.
    """
    if _is_closed(sys.stderr):
        sys.stderr = io.StringIO()
    if _is_closed(sys.stdout):
        _fault("standard output is closed; send it to /dev/null where nobody reads it")
        return 1
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # some can't show every sign
    status = _status(command)
    unwritten = _flushed(sys.stdout)
    if unwritten:
        _fault(unwritten)
        status = status or 1
    _flushed(sys.stderr)
    return status


def _is_closed(stream: TextIO | None) -> bool:
    """Say whether the process was started without this stream: Python has none then."""
    return stream is None


def _status(command: Callable[[], object]) -> int:
    try:
        command()
    except typer.Exit as end:
        return end.exit_code
    except _WRONG_USAGE as error:
        _misused(error)
        return 2
    except ImportRefusedError as error:
        _fault(error.summary, *(f"  {row}" for row in error.rows))
    except ImcmError as error:
        _fault(error)
    except BrokenPipeError:
        return 0  # the reader of our output had enough
    except OSError as error:
        what = "reading or writing failed" if error.filename is None else str(error.filename)[:200]
        _fault(_flushed(sys.stdout) or f"{what}: {error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        _fault("interrupted")
        return 130
    except Exception as error:
        if os.environ.get("IMCM_TRACEBACK") == "1":
            complain(*traceback.format_exc().splitlines())
            return 1
        message = f"this is a bug in imcm ({type(error).__name__}: {error})"
        where = _where(error.__traceback__)
        _fault(f"{message[:500]}; please report it with the command and: {where}")
    else:
        return 0
    return 1


def _fault(message: object, *rows: object) -> None:
    """Say what is wrong in one line, and in one more for each row of a file that is."""
    with contextlib.suppress(OSError):  # where nobody can be told, the exit status tells
        complain(f"imcm: {str(message)[:_LONGEST]}", *rows)


def _misused(error: Any) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{error.ctx.get_help()}\n")
        return
    hint = "" if error.ctx is None else f"; see {error.ctx.command_path} --help"
    _fault(f"{error.format_message().rstrip('.')}{_near_command(error)}{hint}")


def _near_command(error: Any) -> str:
    """Return in words which command is spelt nearly as the one given; "" where none is."""
    given = re.match(r"No such command '(.*)'", error.format_message())
    if given is None or error.ctx is None:
        return ""
    from difflib import get_close_matches

    near = get_close_matches(given[1][:99], error.ctx.command.list_commands(error.ctx), n=1)
    return f"; near: {near[0]}" if near else ""


def _flushed(stream: TextIO) -> str:
    """Write out what is left, and return why that can't be done, "" where it can."""
    try:
        stream.flush()
    except OSError as error:
        # What is left goes nowhere, or the interpreter would complain of it at its end.
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        if error.errno != errno.EPIPE:
            return f"standard output can't be written: {error.strerror}"
    return ""


def _where(trace: TracebackType | None) -> str:
    """Return the innermost line of our own code in a traceback."""
    frames = traceback.extract_tb(trace)
    ours = [frame for frame in frames if frame.filename.startswith(_CODE)]
    if not ours:
        return "no line of imcm"
    return f"{ours[-1].filename.removeprefix(_CODE)}:{ours[-1].lineno}"


# --- files ----------------------------------------------------------------------------------------


def refuse_device(path: Path) -> None:
    """Refuse what may have no end, such as /dev/zero."""
    if path.is_char_device():
        raise InvalidValue("file", str(path), "a readable file (a device has no end)")


@contextmanager
def opened(path: Path) -> Generator[Any]:
    """Open a file for reading bytes; a file that can't be read is refused in one line."""
    refuse_device(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidValue("file", str(path), f"a readable file ({error.strerror})") from None
    with file:
        yield file


def later(name: str, first: datetime, length: timedelta) -> datetime:
    """Return the end of a period that nobody said the end of."""
    try:
        return first + length
    except OverflowError:
        raise InvalidValue(name, None, f"the end of the period from {first} on") from None


def moment(name: str, text: str | None, tz: str | None) -> datetime | None:
    """Read a moment given on the command line; without an offset it is told in --tz."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValue(name, text, "an ISO 8601 date or time: 2026-03-06T17:40") from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=zone(tz or "UTC"))
    try:
        parsed.astimezone(UTC)
    except OverflowError:
        raise InvalidValue(name, text, "a time of the years 1 to 9999 in UTC as well") from None
    return parsed


def number_of(text: str) -> int | None:
    """Return the whole number that plain digits are; None where it is something else."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def named_values(
    option: str, given: Iterable[str] | None, example: str
) -> Generator[tuple[str, str]]:
    """
    Yield the name and the value of each time an option was given.

    Raises:
        InvalidValue: It is no name=value.
    """
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise InvalidValue(option, text, f"name=value, for example {example}")
        yield name, value


def known_at_of(
    text: str | None, tz: str | None, book: LedgerReader, *, option: str = "--known-at"
) -> int | datetime | None:
    """
    Read a log position or a moment, as an option gives it.

    A position at which nothing stands is refused: what was published names an event, so this is
    not the log it was read from, or it was mistyped.
    """
    position = None if text is None else number_of(text)
    if position is None:
        return moment(option, text, tz)
    if position and book.mark_at(position) is None:
        raise InvalidValue(option, position, "no event of this ledger stands there")
    return position


KnownAt = Annotated[str | None, typer.Option("--known-at", help="A log position, or a time.")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="Facts up to this time in the world.")]
PeriodStart = Annotated[str | None, typer.Option("--from", help="First moment.")]
PeriodEnd = Annotated[str | None, typer.Option("--to", help="First moment after the period.")]
PeriodText = Annotated[
    str | None,
    typer.Option("--window", help='The period in words: 2026-Q1, 2026-03, "last quarter", ...'),
]
NewDocument = Annotated[
    Path | None,
    typer.Option("--out", help="A new file; .md, .html, .csv, .json, .xlsx or .txt."),
]
Zone = Annotated[str, typer.Option("--tz", help="IANA zone of days, and of times without offset.")]
ShownIn = Annotated[
    str | None,
    typer.Option(
        "--tz",
        help="IANA zone of times without offset, and to show moments in; else as they were told.",
    ),
]


def in_zone(value: T, tz: str | None) -> T:
    """Return a value with its moments told in a zone; None leaves them as they were told."""
    if tz is None:
        return value
    moved: T = _moved(value, zone(tz))
    return moved


def _moved(value: Any, home: ZoneInfo) -> Any:
    """Return a value in which every time is the same instant, told in a zone."""
    if isinstance(value, datetime):
        try:
            time = value.astimezone(home)
            # With a fixed offset, as events keep it.
            return time.replace(tzinfo=timezone(time.utcoffset() or timedelta()))
        except OverflowError:  # at the edge of the calendar: there is no such time there
            return value
    if attrs.has(value.__class__):
        fields = [a.name for a in attrs.fields(value.__class__)]
        values = {name: getattr(value, name) for name in fields}
        moved = {name: _moved(item, home) for name, item in values.items()}
        other = {name: item for name, item in moved.items() if item is not values[name]}
        return attrs.evolve(value, **other) if other else value
    if issubclass(value.__class__, tuple):
        return _moved_all(value, home)
    return value


def _moved_all(values: tuple[Any, ...], home: ZoneInfo) -> tuple[Any, ...]:
    moved = [_moved(item, home) for item in values]
    if all(map(is_, values, moved)):
        return values
    make: Callable[[Iterable[Any]], tuple[Any, ...]] = getattr(values, "_make", tuple)
    return make(moved)


def window_of(
    start: str | None, end: str | None, tz: str | None
) -> tuple[datetime, datetime] | None:
    """Read a period given by its two ends; None where neither is given."""
    if start is None and end is None:
        return None
    first, last = moment("--from", start, tz), moment("--to", end, tz)
    if first is None or last is None:
        raise typer.BadParameter("give both --from and --to, or neither")
    if last <= first:
        raise InvalidValue("--to", end, f"a moment after --from, {start}")
    return first, last


def period_of(
    text: str | None, start: str | None, end: str | None, tz: str
) -> str | tuple[datetime, datetime] | None:
    """Return a period given in words or by its two ends; None where neither is given."""
    if text is None:
        return window_of(start, end, tz)
    if start is not None or end is not None:
        raise typer.BadParameter("--window goes without --from and --to")
    return text


def open_period_of(
    text: str | None, start: str | None, end: str | None, tz: str
) -> str | tuple[datetime | None, datetime | None] | None:
    """Return a period as `period_of` does, of which one end may be open."""
    if text is not None or (start is None) == (end is None):
        return period_of(text, start, end, tz)
    return moment("--from", start, tz), moment("--to", end, tz)


def _is_text(id: str) -> bool:
    """Say whether *id* can be stored at all: bytes that are no UTF-8 come as something else."""
    return not any(map(_SURROGATE.match, id))


_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def kinds_of(book: LedgerReader, id: str) -> list[str]:
    """
    Return which of an incident and a change there is with this id.

    Raises:
        UnknownIdError: There is none.
    """
    kinds = [
        kind for kind in (INCIDENT, CHANGE) if _is_text(id) and book.history(stream_of(kind, id))
    ]
    if not kinds:
        if not _is_text(id):
            raise UnknownIdError("incident or change", id)
        book.stream_of(id)  # which says what is near
    return kinds


def named(book: LedgerReader, id: str | None) -> dict[str, str]:
    """
    Return the kind and the id of what is meant; nothing where nothing was named.

    Raises:
        UnknownIdError: There is none.
    """
    if id is None:
        return {}
    if not _is_text(id):
        raise UnknownIdError("incident or change", id)
    kind, name = kind_and_id(book.stream_of(id))
    return {kind: name}


def print_timeline(entries: Sequence[Entry]) -> None:
    """Print what happened, entry by entry; what was voided is struck through."""
    from imcm.wording import entry_line, moment_text

    rows = [(moment_text(e.at), e.id, e.by, entry_line(e)) for e in entries]
    struck = {index for index, entry in enumerate(entries) if entry.voided_by is not None}
    show(("when", "id", "who", "what"), rows, whole=("when", "id", "who"), struck=struck)
