"""
Rows of all kinds of tables: CSV, workbooks, JSON, JSON lines, frames, lists of mappings.

    table = read_table("incidents.csv")
    table.said                       # "semicolons, Windows-1252"
    for row in table:
        row.line, row.cells, row.raw

Everything is read once, at the call; a table can then be gone through as often as one likes, and
gives the same rows each time. A CSV file is decoded and its header read at the call, and its rows
come from the file as they are asked for: a file that was changed since is refused. What comes
through a pipe, or is packed, is kept in a temporary file. What has types (a workbook, JSON, a
frame) is turned into text at the call and kept there likewise, so memory stays flat but for JSON
documents and workbooks, whose size is limited.

What a table is about is not known here: cells are text, and nothing is judged.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final, NamedTuple, cast

import msgspec

from imcm.domain.vocabulary import checked_number, is_mapping
from imcm.errors import InvalidValue
from imcm.files import checked_path
from imcm.interchange.table_bytes import (
    Content,
    Label,
    Limits,
    OnDisk,
    gunzipped,
    kept,
    kept_file,
    listed_members,
    refused,
    temporary,
    unpacked,
    write,
)
from imcm.interchange.table_cells import Cells, Columns, canonical
from imcm.interchange.table_frames import frame_rows, is_frame
from imcm.interchange.table_json import document_rows, is_lines, line_rows
from imcm.interchange.table_text import Text, checked_delimiter, checked_encoding, records
from imcm.interchange.table_workbook import is_workbook, workbook_rows

__all__ = ["Limits", "Table", "TableRow", "read_table"]


_NOTHING: Final[Mapping[str, frozenset[str]]] = MappingProxyType({})


class TableRow(NamedTuple):
    """
    One row.

    Attributes:
        line: Where it stands: the line of a text on which it begins, the row of a workbook, else
            which one it is, counted from 1.
        cells: Its cells as text, one for each of the columns; "" is what is not there.
        raw: What it was read from, for a hash: of CSV the bytes of its lines without the last line
            end, else the cells that are not empty as one JSON object in the order of their names.
        wrong: What is wrong with its shape, "" for nothing; then its cells are as they came.
    """

    line: int
    cells: Sequence[str]
    raw: bytes
    wrong: str = ""


class Table:
    """
    Rows under a header. Made by `read_table`.

    Attributes:
        columns: The names as they are written, in order, each once. One without a name is called
            by its position, "column 3".
        said: What was found out about it, in words for a report.
        name: What errors call it: its path, or what it was given as.
        again: Names that several columns of it have: their cells are joined.
        numbers: Columns whose cells all are numbers by their type, as in a frame; none in CSV.
        mixed: Columns in which such numbers stand beside texts, and up to 100 of these.
    """

    def __init__(
        self,
        columns: Sequence[str],
        said: Sequence[str],
        label: Label,
        rows: Callable[[], Iterator[TableRow]],
        again: Iterable[str] = (),
        numbers: Iterable[str] = (),
        mixed: Mapping[str, frozenset[str]] = _NOTHING,
    ) -> None:
        self.columns = tuple(columns)
        self.again = frozenset(again)
        self.numbers = frozenset(numbers) - self.again
        self.mixed = mixed
        self.said = ", ".join(said)
        self.name = label.name
        self._label = label
        self._rows = rows

    def __repr__(self) -> str:
        return f"<Table {self.name}: {len(self.columns)} columns; {self.said}>"

    def place(self, line: int) -> str:
        """Return where a row stands, as errors say it: "incidents.csv:7"."""
        return self._label.place(line)

    def __iter__(self) -> Iterator[TableRow]:
        """
        Yield the rows that are not blank.

        Raises:
            ImportRefusedError: A row has more cells than the header, or fewer, or is no CSV; or the
                file was changed since it was first read.
        """
        for row in self.each():
            if row.wrong:
                raise refused(self._label, row.line, row.wrong)
            yield row

    def each(self) -> Iterator[TableRow]:
        """
        Yield the rows that are not blank, those whose shape is wrong as well: they say it.

        Raises:
            ImportRefusedError: As when a table is gone through, but not for numbers of cells.
        """
        yield from self._rows()  # a generator, so that the table is kept while it runs


_STANDARD_INPUT: Final = "-"
_OLD_OFFICE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_WORKBOOKS: Final = frozenset({".xlsx", ".xlsm"})
_JSON: Final = frozenset({".json", ".jsonl", ".ndjson"})
_TEXTS: Final = frozenset({".csv", ".tsv", ".txt"})
_TABLES: Final = _WORKBOOKS | _JSON | _TEXTS
_OTHERS: Final = {
    ".xls": "it is a workbook of an old Excel; save it as .xlsx",
    ".xlsb": "it is a binary workbook; save it as .xlsx",
    ".ods": "it is a workbook of another kind; save it as .xlsx or CSV",
    ".parquet": "it is Parquet; read it with pandas, polars or duckdb and give the frame",
}


_row: Final = msgspec.json.Decoder(dict[str, str]).decode


# `given` is any object: it may be of a library that need not be installed.
def read_table(
    given: object,
    *,
    name: str = "incidents",
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    header: int | None = None,
    member: str | None = None,
    limits: Limits | None = None,
) -> Table:
    """
    Read a table of any kind.

    What it is is told by its content, and where that leaves it open by the end of its name.

    Args:
        given: A path; "-", which is standard input; a file open for reading, bytes or text; bytes;
            a list of mappings; a frame of pandas or polars, a relation of duckdb, a table of
            pyarrow. Files are CSV, .json, .jsonl, .ndjson, .xlsx (extra `workbooks`), each also in
            .gz or .zip.
        name: What it is called by errors where it has no path.
        encoding: That of a CSV text. Without it: UTF-8, or UTF-16 by its mark, or Windows-1252
            where it can't be UTF-8 and can be that; `said` says which.
        delimiter: Of a CSV text: "," ";" "|" or a tab. Without it the header and the first rows
            tell.
        sheet: The sheet of a workbook; without it the first visible one that is not empty.
        header: The line of a CSV text, or the row of a sheet, in which the header stands, counted
            from 1: what is above it is passed over, and so are blank ones below that. Without it
            the header is the first that is not blank.
        member: The file in a .zip; needed where several of them are tables.
        limits: How large what is unpacked, a document, a row and a cell may be.

    Raises:
        ImportRefusedError: It can't be read; the message names the file, the line and what to do.
        InvalidValue: An argument is wrong, or a value is of a kind that has no text.
        MissingExtraError: It is a workbook, and the extra is not installed.
    """
    bounds = Limits() if limits is None else limits
    if not isinstance(bounds, Limits):
        raise InvalidValue("limits", limits, "give Limits(...)")
    for argument, value in (("name", name), ("sheet", sheet), ("member", member)):
        if not (value is None and argument != "name") and not (isinstance(value, str) and value):
            raise InvalidValue(argument, value, "give a text")
    if header is not None and checked_number("header", header) < 1:
        raise InvalidValue("header", header, "a line from 1 on")
    asked = _Asked(checked_encoding(encoding), checked_delimiter(delimiter), sheet, header, member)
    with ExitStack() as stack:
        table = _Reading(name, bounds, asked, stack).table(given)
        # What is kept for a table goes when the table goes.
        weakref.finalize(table, stack.pop_all().close)
    return table


class _Asked(NamedTuple):
    """What was asked for by name, and so must fit what is there."""

    encoding: str | None
    delimiter: str | None
    sheet: str | None
    header: int | None
    member: str | None

    def only(self, what: str, *allowed: str) -> None:
        """Refuse what says nothing of a thing of this kind: it would be left out in silence."""
        for argument, value in self._asdict().items():
            if value is not None and argument not in allowed:
                raise InvalidValue(argument, value, f"leave it out: {what} has none")


class _Reading:
    """One reading of one table: what it is called, its limits, what it was found to be."""

    def __init__(self, name: str, limits: Limits, asked: _Asked, stack: ExitStack) -> None:
        self._name = name
        self._limits = limits
        self._asked = asked
        self._stack = stack
        self._said: list[str] = []

    # --- what is given ---

    def table(self, given: object) -> Table:
        """Return the table of whatever was given."""
        if isinstance(given, str) and given == _STANDARD_INPUT:
            called = "standard input"
            file: Any = sys.stdin  # Any: None where a process has none
            if file is None:
                raise refused(Label(called, "line"), 0, "there is none")
            return self._of_file(getattr(file, "buffer", file), called, "")
        if isinstance(given, (str, Path)):
            return self._of_path(checked_path(self._name, given))
        if isinstance(given, (bytes, bytearray, memoryview)):
            return self._of_content(kept(bytes(cast("bytes", given))), self._name, "")
        if is_frame(given):
            self._asked.only("a frame")
            label = Label(self._name, "row")
            engine, names, rows = frame_rows(label, given)
            self._said.append(f"a frame of {engine}")
            return self._of_rows(label, names, enumerate(rows, 1))
        if callable(getattr(given, "read", None)):
            path = getattr(given, "name", None)
            known = path if isinstance(path, str) and path else ""
            return self._of_file(given, known or self._name, Path(known).name)
        if isinstance(given, Sequence):
            self._asked.only("a list")
            self._said.append("a list")
            label = Label(self._name, "row")
            items = cast("Sequence[object]", given)
            return self._of_mappings(label, enumerate(items, 1))
        raise InvalidValue(
            self._name,
            given,
            'give a path, "-", an open file, bytes, a list of mappings, or a frame',
        )

    def _of_path(self, path: Path) -> Table:
        label = Label(str(path), "line")
        return self._of_content(OnDisk(label, path), str(path), path.name)

    # Any: whatever has a `read`.
    def _of_file(self, file: Any, called: str, file_name: str) -> Table:
        label = Label(called, "line")
        content, is_text = kept_file(label, self._name, file, self._limits, self._stack)
        if is_text:
            if self._asked.encoding is not None:
                allowed = "leave it out: the file was opened as text, so it is decoded already"
                raise InvalidValue("encoding", self._asked.encoding, allowed)
            if content.size:
                self._asked = self._asked._replace(encoding="utf-8")
        return self._of_content(content, called, file_name)

    # --- what is in it ---

    def _of_content(self, content: Content, name: str, file_name: str, depth: int = 0) -> Table:
        label = Label(name, "line")
        head = content.head()
        suffix = Path(file_name.lower()).suffix
        if not head:
            raise refused(label, 0, "it is empty; its first row must be the header")
        if head.startswith((_GZIP, *_ZIP)):
            if head.startswith(_GZIP) or not is_workbook(label, content, self._limits):
                if depth:
                    raise refused(label, 0, "it is packed twice; unpack it once and give that")
                return self._of_packed(label, content, file_name)
            self._asked.only("a workbook", "sheet", "header", *(["member"] if depth else []))
            label = Label(name, "row")
            sheet, above = self._asked.sheet, self._asked.header or 1
            said, names, rows = workbook_rows(label, content, sheet, above, self._limits)
            self._said.extend(said)
            return self._of_rows(label, names, rows)
        if head.startswith(_OLD_OFFICE):
            why = "it is a workbook of an old Excel, or one with a password; save it as plain .xlsx"
            raise refused(label, 0, why)
        if suffix in _OTHERS:
            raise refused(label, 0, _OTHERS[suffix])
        if suffix in _WORKBOOKS:
            raise refused(label, 0, "it is no workbook, though its name says so; save it again")
        if suffix in {".gz", ".zip"}:
            raise refused(label, 0, "it is not packed, though its name says so; mend its name")
        packed = ["member"] if depth and self._asked.member is not None else []
        is_asked = self._asked.delimiter is not None  # only CSV has one
        if suffix in _JSON or (
            not is_asked
            and suffix not in _TEXTS
            and head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{")
        ):
            return self._of_json(label, content, suffix, packed)
        self._asked.only("CSV", "encoding", "delimiter", "header", *packed)
        return self._of_text(label, content)

    def _of_packed(self, label: Label, content: Content, file_name: str) -> Table:
        if content.head().startswith(_GZIP):
            if self._asked.member is not None:
                raise InvalidValue("member", self._asked.member, "leave it out: gzip has none")
            inner = gunzipped(label, content, self._limits, self._stack)
            self._said.append("unpacked from gzip")
            name = file_name[:-3] if file_name.lower().endswith(".gz") else ""
            return self._of_content(inner, label.name, name, 1)
        member = self._asked.member
        names = listed_members(label, content, self._limits)
        tables = [each for each in names if Path(each.lower()).suffix in _TABLES]
        tables = tables or (names if len(names) == 1 else [])
        told = ", ".join(repr(each[:80]) for each in names[:10]) + (", ..." if names[10:] else "")
        if member is None:
            if len(tables) != 1:
                why = "more than one table" if tables else "no table"
                text = f'{why} is in it; name one with member="...": {told or "it is empty"}'
                raise refused(label, 0, text)
            member = tables[0]
        elif member not in names:
            raise InvalidValue("member", member, f"what is in {label.name}: {told or 'nothing'}")
        inner = unpacked(label, content, member, self._limits, self._stack)
        self._said.append(f"{member!r} of a zip archive")
        return self._of_content(inner, f"{label.name}/{member}", Path(member).name, 1)

    def _of_json(self, label: Label, content: Content, suffix: str, packed: list[str]) -> Table:
        text = self._asked.encoding
        if text not in {None, "utf-8"}:
            raise InvalidValue("encoding", text, "leave it out: JSON is UTF-8")
        self._asked._replace(encoding=None).only("JSON", *packed)
        if suffix in {".jsonl", ".ndjson"} or is_lines(content, self._limits):
            self._said.append("JSON lines")
            return self._of_mappings(label, line_rows(label, content, self._limits))
        label = Label(label.name, "item")
        where, rows = document_rows(label, content, self._limits)
        self._said.append(f"JSON: the list {where!r}" if where else "JSON: a list")
        return self._of_mappings(label, rows)

    # --- rows ---

    def _of_text(self, label: Label, content: Content) -> Table:
        asked, limits = self._asked, self._limits
        text = Text.found_out(
            label, content, asked.encoding, asked.delimiter, asked.header or 1, limits
        )
        self._said.extend(text.said)
        rows = records(label, content, text, limits)
        first = next(rows, None)
        rows.close()
        if first is None:
            raise refused(label, 0, "it is empty; its first row must be the header")
        columns = Columns(label, first.line, first.cells, self._limits)
        self._said.extend(columns.said)

        def each() -> Iterator[TableRow]:
            width = len(columns.written)
            lines = records(label, content, text, limits)
            next(lines, None)
            for line, cells, raw in lines:
                if len(cells) == width:
                    yield TableRow(line, columns.row(cells), raw)
                else:
                    more = "an unquoted delimiter?" if len(cells) > width else "cut off?"
                    why = f"it has {len(cells)} cells where the header has {width}; {more}"
                    yield TableRow(line, cells, raw, why)

        return Table(columns.names, self._said, label, each, columns.again)

    def _of_rows(
        self, label: Label, names: Sequence[object], rows: Iterable[tuple[int, Sequence[object]]]
    ) -> Table:
        """Return the table of rows whose columns are known, and whose values have types."""
        cells = Cells(label, self._limits)
        header = [cells.text(0, "", each) for each in names]
        columns = Columns(label, 0, header, self._limits)
        self._said.extend(columns.said)

        def named() -> Iterator[tuple[int, dict[str, str]]]:
            for line, values in rows:
                texts = [
                    cells.text(line, name, value)
                    for name, value in zip(columns.written, values, strict=True)
                ]
                yield line, dict(zip(columns.names, columns.row(texts), strict=True))

        content = self._kept_rows(label, named())
        return Table(
            columns.names,
            self._said,
            label,
            _read_again(content, columns.names),
            columns.again,
            cells.numbers(),
            cells.mixed(),
        )

    def _of_mappings(self, label: Label, rows: Iterable[tuple[int, object]]) -> Table:
        """Return the table of mappings: its columns are all that any of them has."""
        cells = Cells(label, self._limits)

        def flat() -> Iterator[tuple[int, dict[str, str]]]:
            for line, value in rows:
                if not is_mapping(value):
                    what = f"it is {type(value).__name__}, not an object with names"
                    raise refused(label, line, what)
                yield line, cells.flat(line, value)

        content = self._kept_rows(label, flat())
        names = cells.columns()
        rows_again = _read_again(content, names)
        return Table(
            names, self._said, label, rows_again, numbers=cells.numbers(), mixed=cells.mixed()
        )

    def _kept_rows(self, label: Label, rows: Iterable[tuple[int, dict[str, str]]]) -> Content:
        """Return rows as lines of a file of ours: a number, a blank, the cells as JSON."""
        file: IO[bytes] = temporary(self._stack)
        count = 0
        for line, row in rows:
            there = {name: text for name, text in row.items() if text}
            if there:
                write(label, file, b"%d %b\n" % (line, canonical(there)))
                count += 1
        if not count:
            self._said.append("no rows")
        return Content(file)


def _read_again(content: Content, names: Sequence[str]) -> Callable[[], Iterator[TableRow]]:
    def each() -> Iterator[TableRow]:
        with content.open() as lines:
            for written in lines:
                line, _, raw = written[:-1].partition(b" ")
                get = _row(raw).get
                yield TableRow(int(line), tuple([get(name, "") for name in names]), raw)

    return each
