"""
CSV for spreadsheets: facts, and figures.

    with open("incidents.csv", "wb") as file:
        write_csv(ledger.facts(), "incidents", file)

RFC 4180: commas, quotes doubled, CR LF; UTF-8, with a mark for Excel where it is asked for. Numbers
are numbers, times are "2026-03-06 17:40:00" in UTC, which spreadsheets know as times (they know no
zones), truth is TRUE or FALSE. Every text is in quotes and goes through `imcm.plain.cell`: nothing
of it is a formula. What can't be told to a spreadsheet: that an id of digits is no number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from imcm.domain.vocabulary import is_list, is_mapping
from imcm.errors import InvalidValue
from imcm.files import checked_output
from imcm.interchange.exports.tables import TABLES, Row, TableShape, rows_of, shape_of
from imcm.interchange.exports.targets import Ends, folder_to_write
from imcm.plain import cell
from imcm.projections.facts.fold import Facts
from imcm.projections.figures.display import bucket_text, statistic_of
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.units import utc

__all__ = ["CSV_TABLES", "write_csv", "write_csv_folder", "write_figures_csv"]

CSV_TABLES: Final = tuple(name for name in TABLES if name != "log")
"""The tables that are written as CSV: those of facts."""

_MARK: Final = b"\xef\xbb\xbf"

_FIGURES: Final = (
    "figure",
    "group",
    "period",
    "from (UTC)",
    "to (UTC)",
    "value",
    "unit",
    "statistic",
    "n",
    "low",
    "high",
    "level",
    "interval method",
    "reason",
    "left out",
    "uncertain",
    "as of (UTC)",
    "log position",
)


def write_csv(facts: Facts, table: str, file: BinaryIO, *, bom: bool = False) -> int:
    """
    Write one table of facts as CSV, and return how many rows it has without its head.

    Args:
        facts: What stands.
        table: Which one: a name of `CSV_TABLES`.
        file: Open for writing bytes.
        bom: Whether it begins with the mark by which Excel knows UTF-8.

    Raises:
        InvalidValue: There is no such table.
    """
    rows = rows_of(facts, table)
    head = [column.name for column in shape_of(table).columns]
    return _written(head, rows, file, bom=bom)


def write_csv_folder(facts: Facts, folder: str | Path, *, bom: bool = False) -> dict[str, int]:
    """
    Write all tables of facts as CSV files into a folder, and return how many rows each has.

    The folder is there once all of it is. One that holds such an export is replaced.

    Args:
        facts: What stands.
        folder: Where they shall be.
        bom: As of `write_csv`.

    Raises:
        InvalidValue: Something else is there already.
        StoreError: It can't be written.
    """
    counts: dict[str, int] = {}
    if not isinstance(facts, Facts):
        raise InvalidValue("facts", facts, "facts, such as ledger.facts()")
    with folder_to_write(folder, "a folder of such tables (*.csv)", _is_named) as made:
        for name in CSV_TABLES:
            with (made / f"{name}.csv").open("wb") as file:
                counts[name] = write_csv(facts, name, file, bom=bom)
    return counts


def write_figures_csv(
    figures: Mapping[str, Figure] | Iterable[Figure], file: BinaryIO, *, bom: bool = False
) -> int:
    """
    Write figures as CSV: a row for each, and one for each of its groups and periods.

    Args:
        figures: Such as `dora_report(...).figures`, or a list.
        file: Open for writing bytes.
        bom: As of `write_csv`.

    Raises:
        InvalidValue: Something is no figure.
    """
    given: Any = figures.values() if is_mapping(figures) else figures
    if not is_list(given):
        raise InvalidValue("figures", figures, "figures, such as dora_report(...).figures")
    listed = list(given)
    for each in listed:
        if not isinstance(each, Figure):
            raise InvalidValue("figures", each, "figures, such as dora_report(...).figures")
    rows = (_figure(part, period) for each in listed for part, period in _parts(each))
    return _written(_FIGURES, rows, file, bom=bom)


def is_csv(table: str, file: Ends) -> bool:
    """
    Say whether a file is a table of facts that was written here.

    Args:
        table: Which table.
        file: What is looked at of it.
    """
    return file.begin.removeprefix(_MARK).startswith(_head_of(shape_of(table)))


def _is_named(file: Ends) -> bool:
    table, _, ending = file.name.partition(".")
    return table in CSV_TABLES and ending == "csv" and is_csv(table, file)


def _head_of(shape: TableShape) -> bytes:
    return _line([column.name for column in shape.columns])


def _parts(figure: Figure) -> Iterator[tuple[Figure, str | None]]:
    """Yield a figure and its groups, each with its periods behind it, which have a name."""
    for whole in (figure, *figure.groups):
        yield whole, None
        for period in whole.buckets:
            yield period, bucket_text(period)


def _figure(figure: Figure, period: str | None) -> Row:
    start, end = (None, None) if figure.window is None else map(utc, figure.window)
    interval = figure.interval
    return (
        figure.name,
        figure.group,
        period,
        start,
        end,
        figure.value,
        figure.unit,
        statistic_of(figure),
        figure.n,
        None if interval is None else interval.low,
        None if interval is None else interval.high,
        None if interval is None else interval.level,
        None if interval is None else interval.method,
        figure.reason,
        len(figure.left_out),
        figure.uncertain,
        None if figure.as_of is None else utc(figure.as_of),
        figure.log_position,
    )


# --- cells ----------------------------------------------------------------------------------------


def _written(head: Iterable[str], rows: Iterable[Row], file: BinaryIO, *, bom: bool) -> int:
    checked_output(file)
    file.write((_MARK if bom else b"") + _line(head))
    count = 0
    for row in rows:
        file.write(_line(row))
        count += 1
    return count


def _line(cells: Iterable[Any]) -> bytes:
    # Not by the csv module: from 3.12 on it could quote all text and leave empty what is not there.
    # What is no character, which only a damaged log holds, must not end an export half-way.
    return (",".join(map(_cell, cells)) + "\r\n").encode("utf-8", "backslashreplace")


def _cell(value: Any) -> str:
    """Return one cell as it stands in the file."""
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ")
    if is_mapping(value):
        return _text(json.dumps(dict(value), ensure_ascii=False))
    return _text(value if isinstance(value, str) else ", ".join(value))


def _text(text: str) -> str:
    shown = cell(text).replace('"', '""')
    return f'"{shown}"'
