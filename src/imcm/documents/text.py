"""
Documents as plain text, for a terminal, a pipe or a mail.

No cell is ever broken over two lines, and none is cut. Where a table is too wide, its widest texts
stand below their rows with the name of their column.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple
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
_SHORT: Final = 12

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
    document: Document, *, width: int | None = WIDTH, wide: bool = False, colour: bool = False
) -> str:
    """
    Return a document as text, nothing of which a terminal obeys but the colours asked for.

    Args:
        document: What is shown.
        width: How wide lines may be, in columns of a terminal; None for as wide as they are, so
            that each row is one line.
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


def _wrapped(text: str, width: int | None, first: str, later: str) -> list[str]:
    if width is None:
        return [f"{first}{plain(text)}"]
    lines = textwrap.wrap(
        plain(text),
        max(width, 20),
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [first.rstrip()]


class _Layout(NamedTuple):
    """
    How the columns of a table lie in lines of some width.

    Attributes:
        widths: How wide each column is.
        below: Columns whose texts stand below their rows.
        spilling: The last column, where only its longer texts stand below; None where it fits.
    """

    widths: tuple[int, ...]
    below: frozenset[int]
    spilling: int | None = None


def _table(table: Table, *, width: int | None, wide: bool, colour: bool) -> list[str]:
    if not table.rows:
        return [f"{_line(table.title)}: none"]
    shown = [n for n, column in enumerate(table.columns) if wide or not column.wide]
    columns = [table.columns[n] for n in shown]
    cells = [[row[n] for n in shown] for row in table.rows]
    texts = [[plain(cell_text(cell)) for cell in row] for row in cells]
    heads = [plain(column.name) for column in columns]
    units = [plain(column.unit) for column in columns]
    widths = [
        max(columns_of(text) for text in (head, unit, *each))
        for head, unit, each in zip(heads, units, zip(*texts, strict=True), strict=True)
    ]
    layout = _Layout(tuple(widths), frozenset())
    if not wide and width is not None:
        layout = _laid_out(columns, heads, widths, width)
    beside = [n for n in range(len(columns)) if n not in layout.below]

    def line(row: Sequence[str], own: Sequence[Cell] | None) -> str:
        parts = [
            _set(row[n], layout.widths[n], columns[n], None if own is None else own[n], colour)
            for n in beside
        ]
        return (" " * _GAP).join(parts).rstrip()

    bold, end = (_BOLD, _PLAIN_AGAIN) if colour else ("", "")
    lines = [_line(table.title)] if table.title else []
    lines.append(f"{bold}{line(heads, None)}{end}")
    # The unit has a line of its own in the head, so that a column is no wider than its numbers.
    if any(units):
        lines.append(line(units, None))
    for row, own in zip(texts, cells, strict=True):
        inline = list(row)
        if columns_of(row[0]) > layout.widths[0]:
            lines.append(row[0])
            inline[0] = ""
        below = [n for n in sorted(layout.below) if row[n]]
        last = layout.spilling
        if last is not None and columns_of(row[last]) > layout.widths[last]:
            inline[last] = ""
            below.append(last)
        lines.append(line(inline, own))
        for n in below:
            lines += _wrapped(f"{heads[n]}: {row[n]}", width, "    ", "      ")
    if table.more:
        lines.append(f"... and {table.more:,} more")
    return lines


def _laid_out(
    columns: Sequence[Column], heads: Sequence[str], widths: Sequence[int], width: int
) -> _Layout:
    """
    Return a layout in which a row fits, as far as numbers and times let it.

    The widest texts go below their rows; of the last column only those that have no room. A first
    column that is too wide has its long texts on a line of their own.
    """
    laid = list(widths)
    below: set[int] = set()
    last = len(columns) - 1
    spilling: int | None = None
    while _total(laid, below) > width:
        movable = [
            n
            for n, column in enumerate(columns)
            if n and n not in below and n != spilling and column.kind == "text"
            and laid[n] > _SHORT
        ]  # fmt: skip
        if not movable:
            break
        widest = max(movable, key=lambda n: laid[n])
        room = laid[last] - (_total(laid, below) - width)
        if widest == last and room >= max(columns_of(heads[last]), _SHORT):
            laid[last], spilling = room, last
        else:
            below.add(widest)
    over = _total(laid, below) - width
    if over > 0 and columns[0].kind == "text":
        laid[0] = max(columns_of(heads[0]), _SHORT, laid[0] - over)
    return _Layout(tuple(laid), frozenset(below), spilling)


def _total(widths: Sequence[int], below: Collection[int]) -> int:
    beside = [width for n, width in enumerate(widths) if n not in below]
    return sum(beside) + _GAP * (len(beside) - 1)


def _set(text: str, width: int, column: Column, own: Cell, colour: bool) -> str:
    space = " " * (width - columns_of(text))
    if colour and isinstance(own, Word) and text:
        text = f"{_COLOURS[own.tone]}{text}{_PLAIN_AGAIN}"
    return space + text if column.kind == "number" else text + space


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a line takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if category(c) in {"Mn", "Me", "Cf"} else 2 if east_asian_width(c) in "WF" else 1
        for c in text
    )
