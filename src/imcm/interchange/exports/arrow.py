"""
Parquet and Arrow: facts and the log as typed tables, for DuckDB, polars, pandas and warehouses.

    write_parquet(ledger, "tables")               # a folder: incidents.parquet, changes.parquet ...
    write_table(ledger, "log", file, form="arrow")  # one table as an Arrow file
    arrow_table(ledger, "incidents")              # as a table of pyarrow

What the tables are says `tables`. Times are timestamps in microseconds with the zone UTC, labels
are a map of texts, several texts are a list; a table without rows has its types as well. Each file
says in its metadata which ledger it is of, and up to which position of the log.

Rows are written some thousands at a time, so the log takes no more memory than they do; facts take
what incidents and changes take. Needs `pip install 'imcm[arrow]'`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from imcm.domain.vocabulary import is_mapping
from imcm.errors import InvalidValue, MissingExtraError
from imcm.files import checked_output
from imcm.interchange.exports.standing_log import checked_reader
from imcm.interchange.exports.tables import TABLES, Row, TableShape, log_rows, rows_of, shape_of
from imcm.interchange.exports.targets import Ends, folder_to_write
from imcm.ledger.reading import LedgerReader
from imcm.projections.facts.fold import Facts

__all__ = ["FORMS", "arrow_table", "write_arrow", "write_parquet", "write_table"]

Form = Literal["parquet", "arrow"]
FORMS: Final[Mapping[str, bytes]] = {"parquet": b"PAR1", "arrow": b"ARROW1"}
"""Each form, with the bytes that such a file begins with."""

_BATCH: Final = 20_000
"""Rows that are written at once."""

_MARK: Final = b"imcm.table"


def arrow_table(
    ledger: LedgerReader,
    table: str,
    *,
    as_of: datetime | None = None,
    known_at: int | datetime | None = None,
    words: bool = True,
) -> Any:
    """
    Return one table as a `pyarrow.Table`.

    Any: pyarrow need not be installed.

    Args:
        ledger: What is told.
        table: Which one: a name of `tables.TABLES`.
        as_of: World facts later than this are cut; see `imcm.facts`. Not of the log.
        known_at: A position, or a time T for the longest prefix in which nothing was recorded
            after T. None takes the whole log.
        words: False leaves free text and names out, which only the log has.

    Raises:
        InvalidValue: There is no such table.
        MissingExtraError: pyarrow is not installed.
    """
    told = _Told(ledger, as_of=as_of, known_at=known_at, words=words)
    shape = shape_of(table)
    schema = told.schema(shape)
    return told.arrow.Table.from_batches(list(told.batches(shape)), schema=schema)


def write_table(
    ledger: LedgerReader,
    table: str,
    file: BinaryIO,
    *,
    form: Form = "parquet",
    as_of: datetime | None = None,
    known_at: int | datetime | None = None,
    words: bool = True,
) -> int:
    """
    Write one table as a Parquet or an Arrow file, and return how many rows it has.

    Args:
        ledger: What is told.
        table: Which one: a name of `tables.TABLES`.
        file: Open for writing bytes.
        form: "parquet", or "arrow" (the file format of Arrow, also called Feather 2).
        as_of, known_at, words: As of `arrow_table`.

    Raises:
        InvalidValue: There is no such table, or no such form.
        MissingExtraError: pyarrow is not installed.
    """
    checked_output(file)
    checked = _checked_form(form)
    told = _Told(ledger, as_of=as_of, known_at=known_at, words=words)
    return told.write(shape_of(table), file, checked)


def write_parquet(
    ledger: LedgerReader,
    folder: str | Path,
    *,
    as_of: datetime | None = None,
    known_at: int | datetime | None = None,
    words: bool = True,
) -> dict[str, int]:
    """
    Write all tables as Parquet files into a folder, and return how many rows each has.

    The folder is there once all of it is. One that holds such an export is replaced.

    Args:
        ledger: What is told.
        folder: Where they shall be.
        as_of, known_at, words: As of `arrow_table`.

    Raises:
        InvalidValue: Something else is there already.
        MissingExtraError: pyarrow is not installed.
        StoreError: It can't be written.
    """
    told = _Told(ledger, as_of=as_of, known_at=known_at, words=words)
    return told.write_all(folder, "parquet")


def write_arrow(
    ledger: LedgerReader,
    folder: str | Path,
    *,
    as_of: datetime | None = None,
    known_at: int | datetime | None = None,
    words: bool = True,
) -> dict[str, int]:
    """
    Write all tables as Arrow files into a folder, as `write_parquet` does.

    Args:
        ledger: What is told.
        folder: Where they shall be.
        as_of, known_at, words: As of `arrow_table`.
    """
    told = _Told(ledger, as_of=as_of, known_at=known_at, words=words)
    return told.write_all(folder, "arrow")


def is_table(form: Form, file: Ends) -> bool:
    """Say whether a file is a table that was written here in this form."""
    # Its schema, and with it what is said of the file, stands at an end of it.
    is_ours = _MARK in file.begin or _MARK in file.end
    return file.begin.startswith(FORMS[_checked_form(form)]) and is_ours


def _is_named(form: Form, file: Ends) -> bool:
    table, _, ending = file.name.partition(".")
    return table in TABLES and ending == form and is_table(form, file)


def _checked_form(form: object) -> Form:
    if isinstance(form, str):  # asked of a text only: what else there is may refuse to be compared
        if form == "parquet":
            return "parquet"
        if form == "arrow":
            return "arrow"
    raise InvalidValue("form", form, f"one of {', '.join(FORMS)}")


# --- what is told ---------------------------------------------------------------------------------


class _Told:
    """The tables of one ledger, in the types of pyarrow."""

    def __init__(
        self,
        ledger: LedgerReader,
        *,
        as_of: datetime | None,
        known_at: int | datetime | None,
        words: bool,
    ) -> None:
        self._ledger = checked_reader(ledger)
        self.arrow = _arrow()
        self._words = words
        self._as_of = as_of
        # One position for all tables, whatever is recorded meanwhile.
        self._position = ledger.position_at(known_at)
        self._facts: Facts | None = None

    def schema(self, shape: TableShape) -> Any:
        """Return the columns of a table, with what is said of the whole file."""
        arrow = self.arrow
        text = arrow.string()
        types = {
            "text": text,
            "whole": arrow.int64(),
            "number": arrow.float64(),
            "truth": arrow.bool_(),
            "time": arrow.timestamp("us", tz="UTC"),
            "texts": arrow.list_(text),
            "labels": arrow.map_(text, text),
        }
        fields = [arrow.field(column.name, types[column.type]) for column in shape.columns]
        return arrow.schema(
            fields,
            metadata={
                _MARK: shape.name.encode(),
                b"imcm.ledger": self._ledger.ledger_id.encode(),
                b"imcm.log_position": str(self._position).encode(),
            },
        )

    def batches(self, shape: TableShape) -> Iterator[Any]:
        """Yield the rows of a table, some at a time."""
        schema = self.schema(shape)
        rows = iter(self._rows(shape))
        while some := list(islice(rows, _BATCH)):
            columns = [
                self.arrow.array(map(_plain, cells), type=field.type)
                for cells, field in zip(zip(*some, strict=True), schema, strict=True)
            ]
            yield self.arrow.RecordBatch.from_arrays(columns, schema=schema)

    def _rows(self, shape: TableShape) -> Iterable[Row]:
        if shape.name == "log":
            return log_rows(self._ledger, known_at=self._position, words=self._words)
        if self._facts is None:
            self._facts = self._ledger.facts(as_of=self._as_of, known_at=self._position)
        return rows_of(self._facts, shape.name)

    def write(self, shape: TableShape, file: BinaryIO, form: Form) -> int:
        """Write one table, and return how many rows it has."""
        schema = self.schema(shape)
        count = 0
        with self._writer(file, schema, form) as writer:
            for batch in self.batches(shape):
                writer.write_batch(batch)
                count += batch.num_rows
        return count

    def _writer(self, file: BinaryIO, schema: Any, form: Form) -> Any:
        if form == "parquet":
            parquet = import_module("pyarrow.parquet")
            return parquet.ParquetWriter(file, schema, compression="zstd")
        return import_module("pyarrow.ipc").new_file(file, schema)

    def write_all(self, folder: str | Path, form: Form) -> dict[str, int]:
        """Write all tables into a folder, and return how many rows each has."""
        counts: dict[str, int] = {}
        kind = f"a folder of such tables (*.{form})"
        with folder_to_write(folder, kind, partial(_is_named, form)) as made:
            for name, shape in TABLES.items():
                with (made / f"{name}.{form}").open("wb") as file:
                    counts[name] = self.write(shape, file, form)
        return counts


def _plain(cell: object) -> object:
    """Return a cell as pyarrow takes it: a map as its pairs."""
    return list(cell.items()) if is_mapping(cell) else cell


def _arrow() -> Any:
    # Any: a module that need not be installed.
    try:
        return import_module("pyarrow")
    except ImportError:
        raise MissingExtraError("Parquet and Arrow", "arrow") from None
