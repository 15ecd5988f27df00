"""
Sheets of a workbook (.xlsx) as rows, by the extra `workbooks`.

The library that reads them takes a sheet as one block of all cells within its bounds, and each
cell with its own copy of its text. A small file can have bounds and texts that no memory holds, so
both are counted before it is asked.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from importlib import import_module
from typing import Any, Final
from xml.parsers import expat

from imcm.errors import InvalidValue, MissingExtraError
from imcm.interchange.table_bytes import (
    Content,
    Label,
    Limits,
    archive_of,
    refused,
    repacked,
)

_WORKBOOK: Final = "xl/workbook.xml"

_PLACE: Final = re.compile(rb"""\br\s*=\s*["']\s*([A-Za-z]*)([0-9]+)\s*["']""")
_ROW_TAG: Final = re.compile(rb"<(?:[\w.-]+:)?row[\s/>]")
_ROW_WITH: Final = re.compile(rb"<(?:[\w.-]+:)?row\s[^<>]*?\br\s*=")
_CELL_TAG: Final = re.compile(rb"<(?:[\w.-]+:)?c[\s/>]")
_CELL_WITH: Final = re.compile(rb"<(?:[\w.-]+:)?c\s[^<>]*?\br\s*=")
_VALUE: Final = re.compile(rb"<(?:[\w.-]+:)?v(?:\s[^<>]*)?>\s*([0-9]{1,9})")
_MOST_MERGED: Final = 1_000_000


def is_workbook(label: Label, content: Content, limits: Limits) -> bool:
    """Say whether what is in a zip archive is a workbook."""
    with archive_of(label, content, limits) as archive:
        return any(name.lower() == _WORKBOOK for name in archive.namelist())


def _library() -> Any:
    # Any: a module that need not be installed.
    try:
        return import_module("python_calamine")
    except ImportError:
        raise MissingExtraError("reading a workbook", "workbooks") from None


def workbook_rows(
    label: Label, content: Content, sheet: str | None, header: int, limits: Limits
) -> tuple[list[str], Sequence[object], Iterator[tuple[int, Sequence[object]]]]:
    """
    Return what was found in a workbook in words, the header of a sheet, and its rows.

    The header is the first row that is not blank, from the row *header* on.

    Raises:
        ImportRefusedError: It is damaged, too large, or has no such sheet or no table in it.
        MissingExtraError: The extra is not installed.
    """
    library = _library()
    data, files = repacked(label, content, limits)
    _check(label, files, limits)
    del files
    book = _asked(label, lambda: library.load_workbook(io.BytesIO(data)))
    kinds = library.SheetTypeEnum, library.SheetVisibleEnum
    sheets = [each for each in book.sheets_metadata if each.typ == kinds[0].WorkSheet]
    names = [each.name for each in sheets]
    told = ", ".join(repr(name[:60]) for name in names[:10])
    if sheet is not None:
        if sheet not in names:
            raise InvalidValue("sheet", sheet, f"a sheet of {label.name}: {told or 'it has none'}")
        wanted = [sheet]
    else:
        wanted = [each.name for each in sheets if each.visible == kinds[1].Visible]
    for name in wanted:
        found = _asked(label, lambda name=name: book.get_sheet_by_name(name))
        if found.start is None:
            continue
        rows = _Sheet(label, found)
        names_of = rows.header(header)
        if names_of is not None:
            said = [_said(names, name, asked=sheet is not None), *rows.said]
            return said, names_of, rows.rows()
    empty = (
        f"no sheet that is shown holds a row (there are {told})"
        if sheet is None
        else f"the sheet {sheet!r} is empty"
    )
    raise refused(label, 0, f"{empty}; its first row must be the header")


def _said(names: list[str], name: str, *, asked: bool) -> str:
    count = f"{len(names)} sheets" if len(names) > 1 else "1 sheet"
    if asked or len(names) == 1:
        return f"a workbook, {count}: {name!r}"
    which = "the first, " if names[0] == name else ""
    others = [repr(each[:60]) for each in names if each != name]
    more = f" and {len(others) - 9} more" if len(others) > 9 else ""
    return f"a workbook, {count}: {which}{name!r}, not {', '.join(others[:9])}{more}"


def _asked(label: Label, ask: Any) -> Any:
    # Any: what the library gives.
    try:
        return ask()
    except Exception as error:
        why = f"it is no workbook that can be read: {str(error)[:200]}; save it again as .xlsx"
        raise refused(label, 0, why) from None
    except BaseException as error:
        # The library is not of Python: what it did not expect comes as no Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise refused(label, 0, "it is no workbook that can be read; save it again") from None


class _Sheet:
    """One sheet: its header is the first row that is not blank."""

    def __init__(self, label: Label, sheet: Any) -> None:
        self._label = label
        self._sheet = sheet
        self.said: list[str] = []
        self._first = 0  # the row of the header, counted from 1
        self._timed: set[int] = set()
        self._kept: list[int] = []
        self._merged = self._merges()

    def _merges(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Return, for each cell below the first one of merged rows, where its value stands."""
        # Any: what the library gives.
        ranges: list[Any] = [*(_asked(self._label, lambda: self._sheet.merged_cell_ranges) or ())]
        (top, left), (bottom, right) = self._sheet.start, self._sheet.end
        found: dict[tuple[int, int], tuple[int, int]] = {}
        for (from_row, from_column), (to_row, _) in ranges:
            if not (top <= from_row <= bottom and left <= from_column <= right):
                continue
            last = min(to_row, bottom)
            if len(found) + last - from_row > _MOST_MERGED:
                raise refused(self._label, 0, "too many cells are merged; unmerge them")
            for row in range(from_row + 1, last + 1):
                found[row, from_column - left] = (from_row, from_column - left)
        return found

    def _numbered(self, *, fill: bool = False) -> Iterator[tuple[int, list[Any]]]:
        rows = _asked(self._label, self._sheet.iter_rows)
        number = -1
        values: dict[tuple[int, int], Any] = {}
        holders = {*self._merged.values()}
        while True:
            row = _asked(self._label, lambda: next(rows, None))
            if row is None:
                return
            number += 1
            if fill and self._merged:
                row = list(row)
                for place in range(len(row)):
                    if (number, place) in holders:
                        values[number, place] = row[place]
                    held = self._merged.get((number, place))
                    if held is not None and held[0] >= self._first:
                        row[place] = values.get(held, row[place])
            yield number + 1, row

    def header(self, begin: int) -> list[Any] | None:
        """Return the header, from a row on, without columns that are empty all the way down."""
        header: list[Any] | None = None
        used: set[int] = set()
        for number, row in self._numbered():
            if number < begin:
                continue
            there = [place for place, value in enumerate(row) if not _is_blank(value)]
            if header is None:
                if not there:
                    continue
                header, self._first = row, number
            used.update(there)
            # A day and a midnight look the same to the library: the column tells them apart.
            self._timed.update([place for place in there if isinstance(row[place], datetime)])
        if header is None:
            return None
        self._kept = sorted(used)
        # The header is counted from 1 and merged cells from 0: below it are those from it on.
        if any(row >= self._first for row, _ in self._merged.values()):
            self.said.append("merged cells: their value stands in each of their rows")
        return [header[place] for place in self._kept]

    def rows(self) -> Iterator[tuple[int, Sequence[object]]]:
        """Yield the rows below the header."""
        for number, row in self._numbered(fill=True):
            if number > self._first:
                yield number, [self._value(place, row[place]) for place in self._kept]

    def _value(self, place: int, value: Any) -> Any:
        if place in self._timed and type(value) is date:
            return datetime.combine(value, time())
        return value


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


# --- what a workbook would take -------------------------------------------------------------------


def _check(label: Label, files: dict[str, bytes], limits: Limits) -> None:
    """
    Refuse bounds and texts that would not fit into memory.

    Raises:
        ImportRefusedError: They would not, or the parts are not as a workbook's are written.
    """
    lengths: list[int] | None = None
    strings = [data for name, data in files.items() if name.lower().endswith("sharedstrings.xml")]
    longest = max(map(len, strings), default=0)
    for name, data in files.items():
        if not _CELL_TAG.search(data):
            continue
        if not data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<") or b"<!DOCTYPE" in data:
            raise refused(label, 0, f"{name[:60]!r} in it is no plain XML; save it again")
        cells = sum(1 for _ in _CELL_TAG.finditer(data))
        height, width = _bounds(data, cells)
        if height * width > limits.sheet_cells:
            why = (
                f"a sheet has bounds of {height:,} rows and {width:,} columns; at most "
                f"{limits.sheet_cells:,} cells are read. Delete empty rows and columns, or save CSV"
            )
            raise refused(label, 0, why)
        if cells * longest > limits.document:
            if lengths is None:
                lengths = [length for data in strings for length in _lengths(label, data)]
            if _text(data, lengths) > 4 * limits.document:
                why = f"the texts of a sheet have more than {4 * limits.document:,} bytes; save CSV"
                raise refused(label, 0, why)


def _bounds(data: bytes, cells: int) -> tuple[int, int]:
    """Return how many rows and columns a sheet can have: never fewer than it has."""
    height = width = 0
    columns: set[bytes] = set()
    for found in _PLACE.finditer(data):
        letters, digits = found.groups()
        # What is longer is no place in any sheet; whatever a reader makes of it, it is refused.
        columns.add(letters[:12])
        height = max(height, int(digits[:12]))
    for letters in columns:
        column = 0
        for letter in letters.upper():
            column = column * 26 + letter - 64
        width = max(width, column)
    # Those that do not say where they are come after the one before.
    height += sum(1 for _ in _ROW_TAG.finditer(data)) - sum(1 for _ in _ROW_WITH.finditer(data))
    width += cells - sum(1 for _ in _CELL_WITH.finditer(data))
    return max(height, 1), max(width, 1)


def _lengths(label: Label, data: bytes) -> list[int]:
    """Return how long each of the shared texts is at most, in bytes."""
    lengths: list[int] = []
    begin = 0
    parser = expat.ParserCreate()

    def opened(name: str, _: dict[str, str]) -> None:
        nonlocal begin
        if name.rpartition(":")[2] == "si":
            begin = parser.CurrentByteIndex

    def closed(name: str) -> None:
        if name.rpartition(":")[2] == "si":
            lengths.append(parser.CurrentByteIndex - begin)

    def declared(*_: object) -> None:
        raise refused(label, 0, "its texts are no plain XML; save it again")

    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    parser.StartDoctypeDeclHandler = declared
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise refused(label, 0, f"its texts are damaged: {error}; save it again") from None
    return lengths


def _text(data: bytes, lengths: list[int]) -> int:
    """Return how many bytes of shared text a sheet names at most."""
    count = len(lengths)
    total = 0
    for found in _VALUE.finditer(data):
        index = int(found[1])
        if index < count:
            total += lengths[index]
    return total
