"""
Tables: rows with names and types, to be taken to an engine of one's choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from imcm.domain.vocabulary import checked_flag, is_among
from imcm.errors import InvalidValue, MissingExtraError, MissingPackageError
from imcm.files import checked_path, replaced

Value: TypeAlias = str | float | int | bool | datetime | None
"""What a cell holds. Times are in UTC, durations are seconds, None is what is not there."""

Type: TypeAlias = Literal["text", "time", "number", "truth", "whole", "some truth", "some whole"]
"""What a column holds. Some cells of all but "truth" and "whole" may be missing."""

LABEL: Final = "label:"
"""What the name of a column begins with that holds a label."""

_SHOWN: Final = 10
_BACKENDS: Final = ("pandas", "polars", "pyarrow", "duckdb")
_MADE_IN: Final = {"duckdb": ("duckdb", "pyarrow")}
"""A relation of duckdb is made from a table of pyarrow."""

_IN_PANDAS: Final[Mapping[Type, str]] = {
    "time": "datetime64[us, UTC]",
    "number": "float64",
    "truth": "bool",
    "whole": "int64",
    "some truth": "boolean",
    "some whole": "Int64",
}
_SHEET_ROWS: Final = 1_048_576
_CELL: Final = 32_767
_FIRST_YEAR: Final = 1900
"""What a worksheet can hold: so many rows, so much text in a cell, and no time before that year."""


class Table:
    """
    Rows with names and types, to be taken to an engine of one's choice.

    The functions of `imcm.frames` make them. A table never changes, and a table without rows has
    the same columns and types as one with rows.
    """

    def __init__(
        self,
        columns: Mapping[str, Sequence[Value]],
        types: Mapping[str, Type] = MappingProxyType({}),
        services: Sequence[tuple[str, ...]] | None = None,
    ) -> None:
        """
        Take columns of one length.

        Args:
            types: What they hold; those that are not named hold text.
            services: Of each row, where it is of services.
        """
        self._columns = columns
        self._types = types
        self._services = services

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def __repr__(self) -> str:
        return f"<Table of {len(self)} rows: {', '.join(self._columns)}>"

    def rows(self) -> list[dict[str, Value]]:
        """Return each row as a mapping of its own, in the order of the table."""
        names = tuple(self._columns)
        cells = zip(*self._columns.values(), strict=True)
        return [dict(zip(names, row, strict=True)) for row in cells]

    def columns(self) -> dict[str, list[Value]]:
        """Return each column as a list of its own."""
        return {name: list(cells) for name, cells in self._columns.items()}

    def by_service(self) -> Table:
        """
        Return the table with a row for each service of each row, named in `service`.

        What is of several services stands there several times, so figures of its whole count it
        several times; `figures(..., by="service")` counts as the core does with
        `group_by="service"`.

        Raises:
            InvalidValue: It has no services: it is of figures, for example.
        """
        if self._services is None:
            raise InvalidValue("table", self, "a table of deployments, lead times or incidents")
        indices = [index for index, names in enumerate(self._services) for _ in names]
        columns: dict[str, Sequence[Value]] = {
            name: [cells[index] for index in indices] for name, cells in self._columns.items()
        }
        each = [name for names in self._services for name in names]
        columns["service"] = each
        return Table(columns, self._types, [(name,) for name in each])

    # Any: which class it is depends on the backend, none of which need be installed.
    def to_frame(self, backend: str = "pandas", *, aware: bool = True) -> Any:
        """
        Return the table as a frame of that library.

        Times have the zone UTC and microseconds; what is not there is the library's own missing
        value. The type of a column is the same with rows and without.

        Args:
            aware: False gives times in UTC that do not say so, for what knows no zones.
            backend: "pandas", "polars", "pyarrow" (a Table), or "duckdb" (a relation on its
                default connection, made by way of pyarrow).

        Raises:
            InvalidValue: Another backend.
            MissingExtraError, MissingPackageError: What it needs is not installed.
        """
        # Compared, not looked up: what was given may be anything.
        if not is_among(backend, _BACKENDS):
            raise InvalidValue("backend", backend, f"one of {', '.join(_BACKENDS)}")
        checked_flag("aware", aware)
        what = f"to_frame({backend!r})"
        nw = narwhals(what)
        for package in _MADE_IN.get(backend, (backend,)):
            _imported(package, what)
        columns = self._columns if aware else self._without_zones()
        if backend == "pandas":
            return self._in_pandas(columns, aware=aware)
        types = {
            "time": nw.Datetime("us", "UTC") if aware else nw.Datetime("us"),
            "number": nw.Float64(),
            "truth": nw.Boolean(),
            "whole": nw.Int64(),
            "some truth": nw.Boolean(),
            "some whole": nw.Int64(),
        }
        schema = {name: types.get(self._type(name), nw.String()) for name in columns}
        made_in = "pyarrow" if backend == "duckdb" else backend
        frame = nw.from_dict(columns, schema=schema, backend=made_in)
        return frame.lazy("duckdb").to_native() if backend == "duckdb" else frame.to_native()

    def _type(self, name: str) -> Type:
        return self._types.get(name, "text")

    def _without_zones(self) -> Mapping[str, Sequence[Value]]:
        return {
            name: [
                cell.replace(tzinfo=None) if isinstance(cell, datetime) else cell for cell in cells
            ]
            for name, cells in self._columns.items()
        }

    def _in_pandas(self, columns: Mapping[str, Sequence[Value]], *, aware: bool) -> Any:
        # Not by narwhals: as a text, its pandas has "None" for what is not there.
        pandas = import_module("pandas")
        # From pandas 3 on texts have a type, which pandas would not guess of no texts at all.
        text = "object" if pandas.__version__.startswith("2.") else "str"
        types = {"text": text, **_IN_PANDAS}
        if not aware:
            types["time"] = "datetime64[us]"
        return pandas.DataFrame(
            {
                name: pandas.Series(cells, dtype=types[self._type(name)])
                for name, cells in columns.items()
            }
        )

    def to_excel(self, path: str | Path) -> None:
        """
        Write the table as a workbook of one sheet, which is there whole or not at all.

        A worksheet knows no zones: times are in UTC, and their columns say so. Those from before
        1900, which it can't hold, are ISO 8601 text. A text that looks like a formula or a link
        stays text, and one of more than 32,767 characters is cut there and ends in "...".

        Raises:
            InvalidValue: More rows than a worksheet holds, 1,048,575.
            MissingExtraError, MissingPackageError: pandas or xlsxwriter is not installed.
            StoreError: It can't be written.
        """
        if len(self) >= _SHEET_ROWS:
            allowed = f"at most {_SHEET_ROWS - 1:,}, which a worksheet holds"
            raise InvalidValue("rows", len(self), allowed)
        _imported("xlsxwriter", "to_excel")
        pandas = _imported("pandas", "to_excel")
        columns = {
            f"{name} (UTC)" if self._type(name) == "time" else name: pandas.Series(
                list(map(_in_a_sheet, cells)), dtype="object"
            )
            for name, cells in self._columns.items()
        }
        options = {"strings_to_formulas": False, "strings_to_urls": False}
        with replaced(checked_path("path", path)) as file:
            pandas.DataFrame(columns).to_excel(
                file, index=False, engine="xlsxwriter", engine_kwargs={"options": options}
            )

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """
        Return an Arrow stream: what takes one (`polars.DataFrame(table)`) needs no `to_frame`.

        Raises:
            MissingExtraError, MissingPackageError: narwhals or pyarrow is not installed.
        """
        stream: object = self.to_frame("pyarrow").__arrow_c_stream__(requested_schema)
        return stream

    def _repr_html_(self) -> str:
        """Return the first rows for a notebook, every text escaped."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self._columns)
        first = zip(*(cells[:_SHOWN] for cells in self._columns.values()), strict=True)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(_shown(cell))}</td>' for cell in row)}</tr>"
            for row in first
        )
        more = len(self) - _SHOWN
        note = f"<p>and {more:,} more</p>" if more > 0 else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def _shown(cell: Value) -> str:
    if cell is None:
        return ""
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def _in_a_sheet(cell: Value) -> Value:
    if isinstance(cell, str) and len(cell) > _CELL:
        return f"{cell[: _CELL - 3]}..."
    if not isinstance(cell, datetime):
        return cell
    plain = cell.replace(tzinfo=None)
    return plain if plain.year >= _FIRST_YEAR else f"{plain.isoformat()}Z"


def narwhals(what: str) -> Any:
    """
    Return narwhals, for what needs it.

    Any: a module that need not be installed.

    Raises:
        MissingExtraError: It is not.
    """
    try:
        return import_module("narwhals.stable.v2")
    except ImportError:
        raise MissingExtraError(what, "frames") from None


def _imported(package: str, what: str) -> Any:
    # Any: a module that need not be installed.
    try:
        return import_module(package)
    except ImportError:
        if package == "pandas":
            raise MissingExtraError(what, "frames") from None
        raise MissingPackageError(what, package) from None
