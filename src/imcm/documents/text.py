"""
Documents as plain text, for a terminal, a pipe or a mail.

No cell is ever broken over two lines. Where a table is too wide, its widest texts stand below
their row; what still does not fit is cut in its middle, and `wide` shows everything.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final
from unicodedata import category, east_asian_width

from imcm.documents.structure import (
    Cell,
    Column,
    Document,
    Heading,
    Items,
    Paragraph,
    Table,
    Word,
    cell_text,
)
from imcm.plain import plain

WIDTH: Final = 80
"""How wide text is where nobody says otherwise."""

_GAP: Final = 2
_LONG: Final = 24
_SHORTEST: Final = 6

_COLOURS: Final[Mapping[str, str]] = {
    "good": "\x1b[32m",
    "fair": "\x1b[36m",
    "poor": "\x1b[33m",
    "bad": "\x1b[31m",
    "struck": "\x1b[9m",
}
_PLAIN_AGAIN: Final = "\x1b[0m"
_BOLD: Final = "\x1b[1m"


def plain_text(
    document: Document, *, width: int = WIDTH, wide: bool = False, colour: bool = False
) -> str:
    """
    Return a document as text, nothing of which a terminal obeys but the colours asked for.

    Args:
        document: What is shown.
        width: How wide lines may be, in columns of a terminal.
        wide: Whether every column is there in full, however wide lines become.
        colour: Whether words that are meant well or badly are coloured, and heads bold.
    """
    bold = _BOLD if colour else ""
    end = _PLAIN_AGAIN if colour else ""
    parts = [[f"{bold}{_line(document.title)}{end}"]]
    for block in document.blocks:
        match block:
            case Heading():
                parts.append([f"{bold}{_line(block.text)}{end}"])
            case Paragraph():
                parts.append(_wrapped(block.text, width, "", ""))
            case Items():
                parts.append([line for t in block.texts for line in _wrapped(t, width, "- ", "  ")])
            case Table():
                parts.append(_table(block, width=width, wide=wide, colour=colour))
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _line(text: str) -> str:
    return plain(text)


def _wrapped(text: str, width: int, first: str, later: str) -> list[str]:
    lines = textwrap.wrap(
        plain(text),
        max(width, 20),
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [first.rstrip()]


def _table(table: Table, *, width: int, wide: bool, colour: bool) -> list[str]:
    if not table.rows:
        return [f"{_line(table.title)}: none"]
    shown = [n for n, column in enumerate(table.columns) if wide or not column.wide]
    columns = [table.columns[n] for n in shown]
    cells = [[row[n] for n in shown] for row in table.rows]
    texts = [[plain(cell_text(cell)) for cell in row] for row in cells]
    # The unit has a line of its own in the head, so that a column is no wider than its numbers.
    has_units = any(column.unit for column in columns)
    heads = [plain(column.name) for column in columns]
    units = [plain(column.unit) for column in columns]
    widths = [
        max(columns_of(text) for text in (head, unit, *each))
        for head, unit, each in zip(heads, units, zip(*texts, strict=True), strict=True)
    ]
    below = () if wide else _below(columns, widths, width)
    if not wide:
        _narrow(columns, widths, below, width)
    beside = [n for n in range(len(columns)) if n not in below]

    def line(row: Sequence[str], own: Sequence[Cell] | None) -> str:
        parts = [
            _set(row[n], widths[n], columns[n], None if own is None else own[n], colour)
            for n in beside
        ]
        return (" " * _GAP).join(parts).rstrip()

    bold, end = (_BOLD, _PLAIN_AGAIN) if colour else ("", "")
    lines = [_line(table.title)] if table.title else []
    lines.append(f"{bold}{line(heads, None)}{end}")
    if has_units:
        lines.append(line(units, None))
    for row, own in zip(texts, cells, strict=True):
        lines.append(line(row, own))
        for n in below:
            if row[n]:
                lines += _wrapped(f"{heads[n]}: {row[n]}", width, "    ", "      ")
    if table.more:
        lines.append(f"... and {table.more:,} more")
    return lines


def _below(columns: Sequence[Column], widths: Sequence[int], width: int) -> tuple[int, ...]:
    """Return which texts stand below their rows, since the table is too wide and they are long."""
    below: list[int] = []
    while _total(widths, below) > width:
        movable = [
            n
            for n, column in enumerate(columns)
            if n and n not in below and column.kind == "text" and widths[n] > _LONG
        ]
        if not movable:
            break
        below.append(max(movable, key=lambda n: widths[n]))
    return tuple(sorted(below))


def _narrow(columns: Sequence[Column], widths: list[int], below: Sequence[int], width: int) -> None:
    """Make texts narrower, the widest first, until a row fits; numbers and times stay whole."""
    while (over := _total(widths, below) - width) > 0:
        texts = [
            n
            for n, column in enumerate(columns)
            if n not in below and column.kind == "text" and widths[n] > _SHORTEST
        ]
        if not texts:
            return
        widest = max(texts, key=lambda n: widths[n])
        widths[widest] = max(_SHORTEST, widths[widest] - over)


def _total(widths: Sequence[int], below: Sequence[int]) -> int:
    beside = [width for n, width in enumerate(widths) if n not in below]
    return sum(beside) + _GAP * (len(beside) - 1)


def _set(text: str, width: int, column: Column, own: Cell, colour: bool) -> str:
    text = _cut(text, width)
    space = " " * (width - columns_of(text))
    if colour and isinstance(own, Word):
        text = f"{_COLOURS[own.tone]}{text}{_PLAIN_AGAIN}"
    return space + text if column.kind == "number" else text + space


def _cut(text: str, width: int) -> str:
    """Return text that is no wider than that: of what is longer the beginning and the end."""
    if columns_of(text) <= width:
        return text
    head = _taken(text, width // 2)
    tail = _taken(text[::-1], width - 1 - columns_of(head))[::-1]
    return f"{head}…{tail}"


def _taken(text: str, width: int) -> str:
    taken, used = "", 0
    for c in text:
        used += columns_of(c)
        if used > width:
            break
        taken += c
    return taken


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a line takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if category(c) in {"Mn", "Me", "Cf"} else 2 if east_asian_width(c) in "WF" else 1
        for c in text
    )
