"""
Documents as data: CSV and JSON, with numbers as they are and not as people read them.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from io import StringIO
from typing import Any, Final

from imcm.documents.structure import (
    Cell,
    Column,
    Document,
    Heading,
    Items,
    Paragraph,
    Table,
    Word,
    spreadsheet_time,
)
from imcm.plain import cell as inert

SHAPE: Final = 1
"""The version of the shape that a document has as JSON."""


def csv_of(document: Document) -> str:
    """
    Return a document as CSV, comma and quotes as RFC 4180 has them.

    A document of one table is that table under its head. Of any other each line begins with the
    part it belongs to and what it is ("text", "head" or "row"), and has as many cells as the
    longest. Times are in UTC, and no cell is a formula.
    """
    text = StringIO(newline="")
    writer = csv.writer(text)
    tables = document.tables
    if len(tables) == 1 and len(document.blocks) == 1:
        [table] = tables
        writer.writerow([inert(_head(column)) for column in table.columns])
        writer.writerows([_csv(cell) for cell in row] for row in table.rows)
        return text.getvalue()
    lines = list(_lines(document))
    longest = max(map(len, lines))
    writer.writerows([*line, *[""] * (longest - len(line))] for line in lines)
    return text.getvalue()


def _head(column: Column) -> str:
    return f"{column.name} (UTC)" if column.kind == "time" else column.head


def _lines(document: Document) -> Iterator[Sequence[str | int | float]]:
    part = inert(document.title)
    yield ["part", "kind", "content"]
    yield [part, "text", inert(document.title)]
    for block in document.blocks:
        match block:
            case Heading():
                part = inert(block.text)
            case Paragraph():
                yield [part, "text", inert(block.text)]
            case Items():
                yield from ([part, "text", inert(text)] for text in block.texts)
            case Table():
                name = inert(block.title) or part
                yield [name, "head", *(inert(_head(column)) for column in block.columns)]
                yield from ([name, "row", *map(_csv, row)] for row in block.rows)
                if block.more:
                    yield [name, "text", f"... and {block.more:,} more"]


def _csv(cell: Cell) -> str | int | float:
    match cell:
        case None:
            return ""
        case Word():
            return inert(cell.text)
        case datetime():
            return spreadsheet_time(cell)
        case str():
            return inert(cell)
        case float() if not math.isfinite(cell):
            return ""
        case int() | float():
            return cell


def json_value(document: Document) -> dict[str, Any]:
    """
    Return a document as plain values for JSON; docs/documents.md says what its keys mean.

    Text is as it is. Times are ISO 8601 text, what is no finite number is None.
    """
    return {
        "document": document.title,
        "shape": SHAPE,
        "blocks": [_block(block) for block in document.blocks],
    }


def _block(block: Heading | Paragraph | Items | Table) -> Mapping[str, Any]:
    match block:
        case Heading():
            return {"kind": "heading", "level": block.level, "text": block.text}
        case Paragraph():
            return {"kind": "paragraph", "text": block.text}
        case Items():
            return {"kind": "items", "texts": list(block.texts)}
        case Table():
            return {
                "kind": "table",
                "title": block.title,
                "columns": [
                    {"name": column.name, "kind": column.kind, "unit": column.unit}
                    for column in block.columns
                ],
                "rows": [[_json(cell) for cell in row] for row in block.rows],
                "more": block.more,
            }


def _json(cell: Cell) -> str | int | float | None:
    match cell:
        case Word():
            return cell.text
        case datetime():
            return cell.isoformat()
        case float() if not math.isfinite(cell):
            return None
        case _:
            return cell


def json_of(document: Document) -> str:
    """Return a document as JSON text, of signs that nobody's terminal obeys."""
    return json.dumps(json_value(document), indent=2) + "\n"
