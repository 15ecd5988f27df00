"""
What a document is made of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

import attrs

from imcm.errors import InvalidValue

Tone: TypeAlias = Literal["good", "fair", "poor", "bad", "struck"]
"""How a word is meant: shown as a colour besides what it says, and never instead of it."""

Kind: TypeAlias = Literal["text", "number", "time"]


@attrs.frozen
class Word:
    """Text of a cell that is meant well or badly, or is struck through."""

    text: str
    tone: Tone


Cell: TypeAlias = str | int | float | datetime | Word | None
"""What stands in a table: text, a number, an aware time, or nothing (None)."""


@attrs.frozen(kw_only=True)
class Column:
    """
    A column of a table.

    Attributes:
        name: What stands above it.
        kind: "text", "number" or "time": what its cells are, besides None.
        unit: Of its numbers: "h", "%"; "" where the name says it.
        wide: Whether a terminal shows it only when asked for all columns.
    """

    name: str
    kind: Kind = "text"
    unit: str = ""
    wide: bool = False

    @property
    def head(self) -> str:
        """Its name with the unit: "lead time (h)"."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@attrs.frozen(kw_only=True)
class Table:
    """
    Rows of cells under named columns.

    Attributes:
        title: What it is a table of; unique within its document, since it names a sheet.
        columns: Its columns.
        rows: A cell for each column in each row.
        more: How many rows there are besides these.
    """

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]
    more: int = 0

    def __attrs_post_init__(self) -> None:
        """Refuse a row that has not as many cells as there are columns."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InvalidValue("rows", len(row), f"{len(self.columns)} cells in each row")


@attrs.frozen
class Heading:
    """A heading: level 2 for a part of the document, 3 for a part of that."""

    text: str
    level: Literal[2, 3] = 2


@attrs.frozen
class Paragraph:
    """Sentences."""

    text: str


@attrs.frozen
class Items:
    """A list of short texts."""

    texts: tuple[str, ...]


Block: TypeAlias = Heading | Paragraph | Items | Table


@attrs.frozen(kw_only=True)
class Document:
    """
    What is to be shown, whatever shows it.

    Attributes:
        title: What it is.
        blocks: Its headings, paragraphs, lists and tables, in order.
    """

    title: str
    blocks: tuple[Block, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        """Its tables, in order."""
        return tuple(block for block in self.blocks if isinstance(block, Table))


def narrowed(document: Document) -> Document:
    """Return a document without the columns that are shown only when asked for."""
    blocks = (_narrowed(each) if isinstance(each, Table) else each for each in document.blocks)
    return attrs.evolve(document, blocks=tuple(blocks))


def _narrowed(table: Table) -> Table:
    kept = [number for number, column in enumerate(table.columns) if not column.wide]
    return attrs.evolve(
        table,
        columns=tuple(table.columns[number] for number in kept),
        rows=[tuple(row[number] for number in kept) for row in table.rows],
    )


# --- cells for people -----------------------------------------------------------------------------


def number_text(value: float) -> str:
    """
    Return a number for a person: whole ones in full, others with three digits that count.

    >>> [number_text(value) for value in (1234567, 1234.56, 12.345, 0.5, 0.01234, 2.0)]
    ['1,234,567', '1,235', '12.3', '0.500', '0.0123', '2.00']
    """
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "undefined"
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-6:
        return f"{value:.2e}"
    if size >= 99.95:
        return f"{value:,.0f}"
    places = 2 - math.floor(math.log10(size))
    text = f"{value:.{places}f}"
    # Rounding up may bring a digit more: 9.999 is 10.0, not 10.00.
    return f"{value:.{places - 1}f}" if round(size, places) >= 10.0 ** (3 - places) else text


def time_text(moment: datetime) -> str:
    """
    Return an aware time for a person, to the minute, or to the second where it has any.

    >>> from datetime import datetime, timedelta, timezone
    >>> time_text(datetime(2026, 3, 6, 17, 40, tzinfo=timezone.utc))
    '2026-03-06 17:40Z'
    >>> time_text(datetime(2026, 3, 6, 17, 40, 5, tzinfo=timezone(timedelta(hours=1))))
    '2026-03-06 17:40:05+01:00'
    """
    clock = moment.isoformat(" ", "seconds" if moment.second or moment.microsecond else "minutes")
    return f"{clock[:-6]}Z" if moment.utcoffset() == timedelta() else clock


def cell_text(cell: Cell) -> str:
    """Return what a cell says to a person, its signs as they are; "" for nothing."""
    match cell:
        case None:
            return ""
        case Word():
            return cell.text
        case datetime():
            return time_text(cell)
        case int() | float():
            return number_text(cell)
        case str():
            return cell


def spreadsheet_time(moment: datetime) -> str:
    """Return an aware time as spreadsheets know times: in UTC, since they know no zones."""
    try:
        return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    except OverflowError:  # the first or the last hours there are, told in another offset
        return moment.isoformat()
