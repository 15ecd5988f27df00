"""
Documents as Excel workbooks: a sheet for the text, and one for each table.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from importlib import import_module
from io import BytesIO
from typing import Any, Final

from imcm.documents.structure import (
    Cell,
    Column,
    Document,
    Heading,
    Items,
    Paragraph,
    Table,
    cell_text,
    number_text,
)
from imcm.errors import MissingExtraError
from imcm.plain import plain

_LONGEST: Final = 32_767
"""How many signs a cell of a workbook holds."""

_WIDEST: Final = 60
_NO_SHEET_NAME: Final = re.compile(r"[\[\]:*?/\\']")
_FIRST_YEAR: Final = 1901
"""Workbooks count days from 1900 on, with a day too many in its February."""

_MADE: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - a workbook has no zones
"""Stands where a workbook says when it was made: the same document is the same bytes."""


def workbook_of(document: Document) -> bytes:
    """
    Return a document as a workbook (.xlsx): numbers are numbers, times are in UTC, and text is
    text whatever it begins with.

    Raises:
        MissingExtraError: xlsxwriter is not installed.
    """
    try:
        # Any: a library without types.
        xlsxwriter: Any = import_module("xlsxwriter")
    except ImportError:
        raise MissingExtraError("a workbook", "workbooks") from None
    file = BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book: Any = xlsxwriter.Workbook(file, options)
    book.set_properties({"title": _cut(plain(document.title), 200), "created": _MADE})
    formats: dict[str, Any] = {
        "head": book.add_format({"bold": True, "bottom": 1}),
        "title": book.add_format({"bold": True, "font_size": 14}),
        "text": book.add_format({"text_wrap": True, "valign": "top"}),
        "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss", "valign": "top"}),
        "whole": book.add_format({"num_format": "#,##0", "valign": "top"}),
        "number": book.add_format({"valign": "top"}),
    }
    names: set[str] = set()
    tables = document.tables
    if len(tables) != len(document.blocks):
        _write_text(book.add_worksheet(_sheet_name("document", names)), document, formats)
    for table in tables:
        _write_table(book.add_worksheet(_sheet_name(table.title, names)), table, formats)
    book.close()
    return file.getvalue()


def _sheet_name(title: str, taken: set[str]) -> str:
    """Return a name that a sheet can have and no other one has, whatever its case."""
    name = _cut(_NO_SHEET_NAME.sub(" ", plain(title)).strip(), 31).strip() or "table"
    if name.casefold() == "history":  # Excel keeps that one for itself
        name = "history of it"
    number = 1
    tried = name
    while tried.casefold() in taken:
        number += 1
        tried = f"{_cut(name, 30 - len(str(number)))} {number}"
    taken.add(tried.casefold())
    return tried


def _write_text(sheet: Any, document: Document, formats: dict[str, Any]) -> None:
    sheet.set_column(0, 0, 100)
    sheet.write_string(0, 0, _text(document.title), formats["title"])
    line = 1
    for block in document.blocks:
        match block:
            case Heading():
                sheet.write_string(line + 1, 0, _text(block.text), formats["head"])
                line += 2
            case Paragraph():
                sheet.write_string(line, 0, _text(block.text), formats["text"])
                line += 1
            case Items():
                for text in block.texts:
                    sheet.write_string(line, 0, _text(text), formats["text"])
                    line += 1
            case Table():
                rows = f"{number_text(len(block.rows) + block.more)} rows"
                sheet.write_string(line, 0, _text(f"{block.title}: {rows}"), formats["text"])
                line += 1


def _write_table(sheet: Any, table: Table, formats: dict[str, Any]) -> None:
    for number, column in enumerate(table.columns):
        head = f"{column.name} (UTC)" if column.kind == "time" else column.head
        sheet.write_string(0, number, _text(head), formats["head"])
        sheet.set_column(number, number, _width(column, table, number))
    for line, row in enumerate(table.rows, start=1):
        for number, cell in enumerate(row):
            _write_cell(sheet, line, number, cell, formats)
    if table.more:
        line = len(table.rows) + 1
        sheet.write_string(line, 0, f"... and {table.more:,} more", formats["text"])
    sheet.freeze_panes(1, 0)


def _width(column: Column, table: Table, number: int) -> int:
    if column.kind == "time":
        return 20
    texts = (len(cell_text(row[number])) for row in table.rows[:200])
    return min(_WIDEST, max([len(column.head), *texts]) + 2)


def _write_cell(sheet: Any, line: int, number: int, cell: Cell, formats: dict[str, Any]) -> None:
    match cell:
        case None:
            return
        case datetime():
            moment = cell.astimezone(UTC) if _FIRST_YEAR < cell.year < 9999 else None
            if moment is None:
                sheet.write_string(line, number, cell.isoformat(), formats["text"])
            else:
                sheet.write_datetime(line, number, moment.replace(tzinfo=None), formats["time"])
        case int() if abs(cell) < 10**15:
            sheet.write_number(line, number, cell, formats["whole"])
        case float() if math.isfinite(cell):
            sheet.write_number(line, number, cell, formats["number"])
        case _:
            sheet.write_string(line, number, _text(cell_text(cell)), formats["text"])


def _text(text: str) -> str:
    shown = plain(text)
    return shown if _cut(shown, _LONGEST) == shown else f"{_cut(shown, _LONGEST - 3)}..."


def _cut(text: str, longest: int) -> str:
    """Return the beginning of a text, as long as workbooks count: signs beyond 65,535 are two."""
    return text.encode("utf-16-le")[: 2 * longest].decode("utf-16-le", errors="ignore")
