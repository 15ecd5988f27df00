"""
Frames of pandas, polars, duckdb and pyarrow as rows; none of them is imported to know one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast

from imcm.interchange.table_bytes import Label, refused

_FRAMES: Final = {
    "pandas": frozenset({"DataFrame"}),
    "polars": frozenset({"DataFrame", "LazyFrame"}),
    "duckdb": frozenset({"DuckDBPyRelation"}),
    "pyarrow": frozenset({"Table", "RecordBatch"}),
}
_AT_ONCE: Final = 10_000


def _engine(given: object) -> str:
    """Return whose frame it is, "" for no frame's: also of classes that are made from theirs."""
    for kind in type(given).__mro__:
        library = kind.__module__.partition(".")[0].removeprefix("_")
        if kind.__name__ in _FRAMES.get(library, ()):
            return library
    return ""


def is_frame(given: object) -> bool:
    """Say whether it is a frame of one of the libraries known here."""
    return bool(_engine(given))


# Any: classes of libraries that need not be installed.
def frame_rows(
    label: Label, frame: Any
) -> tuple[str, Sequence[object], Iterable[Sequence[object]]]:
    """
    Return the library of a frame, its columns, and its rows.

    What an index of pandas is named by counts as a column: it was one. One without a name only
    counts the rows.

    Raises:
        ImportRefusedError: The library can't give its rows.
    """
    engine = _engine(frame)
    try:
        names, rows = _READERS[engine](frame)
    except Exception as error:
        raise _failed(label, engine, error) from None
    return engine, names, _told(label, engine, rows)


def _told(
    label: Label, engine: str, rows: Iterator[Sequence[object]]
) -> Iterator[Sequence[object]]:
    while True:
        try:
            row = next(rows, None)
        except Exception as error:
            raise _failed(label, engine, error) from None
        if row is None:
            return
        yield row


def _failed(label: Label, engine: str, error: Exception) -> Exception:
    first = str(error).partition("\n")[0][:200]
    return refused(label, 0, f"{engine} can't give its rows: {type(error).__name__}: {first}")


def _pandas(frame: Any) -> tuple[list[object], Iterator[Sequence[object]]]:
    index = frame.index
    levels = [place for place, name in enumerate(index.names) if name is not None]
    names = [_joined(index.names[place]) for place in levels]
    names += [_joined(name) for name in frame.columns]
    rows = frame.itertuples(index=False, name=None) if len(frame.columns) else (() for _ in index)
    if not levels:
        return names, iter(rows)
    kept = (index.get_level_values(place) for place in levels)
    return names, ((*keys, *row) for keys, row in zip(zip(*kept, strict=True), rows, strict=True))


def _joined(name: Any) -> Any:
    """Return the name of a column; one of several levels has dots between them."""
    if not isinstance(name, tuple):
        return name
    parts = map(str, cast("tuple[object, ...]", name))
    return ".".join(part for part in parts if part)


def _polars(frame: Any) -> tuple[list[object], Iterator[Sequence[object]]]:
    whole = frame.collect() if type(frame).__name__ == "LazyFrame" else frame
    return list(whole.columns), whole.iter_rows()


def _duckdb(relation: Any) -> tuple[list[object], Iterator[Sequence[object]]]:
    def rows() -> Iterator[Sequence[object]]:
        if hasattr(relation, "iter_rows"):  # from version 2 on
            yield from relation.iter_rows()
            return
        done = relation.execute()  # from its beginning, whatever was fetched of it before
        while some := done.fetchmany(_AT_ONCE):
            yield from some

    return list(relation.columns), rows()


def _pyarrow(table: Any) -> tuple[list[object], Iterator[Sequence[object]]]:
    # A batch is sliced as a table is.
    batches = table.to_batches(_AT_ONCE) if hasattr(table, "to_batches") else [table]

    def rows() -> Iterator[Sequence[object]]:
        for batch in batches:
            for begin in range(0, batch.num_rows, _AT_ONCE):
                part = batch.slice(begin, _AT_ONCE)
                yield from zip(*(column.to_pylist() for column in part.columns), strict=True)

    return list(table.schema.names), rows()


_READERS: Final[dict[str, Any]] = {
    "pandas": _pandas,
    "polars": _polars,
    "duckdb": _duckdb,
    "pyarrow": _pyarrow,
}
