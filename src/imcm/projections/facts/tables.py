"""
Tables: the rows of one kind in the order of their ids, and in columns what figures ask of them.

A hundred thousand rows are larger than any processor's cache, and visiting each of them for one
field costs more than all the arithmetic of a figure. So what nearly every figure asks stands in
columns of plain numbers, filled in one pass, and a row is made when somebody looks at it.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

from imcm.domain.vocabulary import is_list
from imcm.errors import InvalidValue
from imcm.projections.facts.columns import (
    ChangeColumns,
    IncidentColumns,
    Services,
    change_columns,
    incident_columns,
    searchsorted,
    take,
)
from imcm.projections.facts.rows import ChangeFacts, IncidentFacts

Row = TypeVar("Row", IncidentFacts, ChangeFacts)
T = TypeVar("T")

Columns = TypeVar("Columns", IncidentColumns, ChangeColumns)


class IndexedSequence(Sequence[T]):
    """A sequence whose members are made one by one, when somebody looks at them."""

    __slots__ = ()

    @abstractmethod
    def _item(self, index: int, /) -> T:
        """Return the member at an index, which is not negative and not too large."""

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        indices = range(len(self))[index]
        return self._item(indices) if isinstance(indices, int) else tuple(map(self._item, indices))

    def __iter__(self) -> Iterator[T]:
        return map(self._item, range(len(self)))


class Table(IndexedSequence[Row], Generic[Row, Columns]):
    """
    The rows of one kind in the order of their ids; it equals the tuple of them.

    Attributes:
        ids: The ids in order.
        services: The different lists of services there are.
    """

    row: ClassVar[Any]
    """The class of its rows."""

    __slots__ = ("_columns", "_make", "_numbers", "_shared", "_stored", "ids", "services")

    def __init__(
        self,
        ids: list[str] | None = None,
        stored: list[Any] | None = None,
        make: Callable[[Any], Row] | None = None,
        columns: Columns | None = None,
        services: list[Services] | None = None,
    ) -> None:
        """
        Take rows in the order of their ids.

        Args:
            stored: Rows, or what *make* makes them of.
            columns: The columns, where they are known already, with the *services* they name.
        """
        self.ids: list[str] = [] if ids is None else ids
        # Any: what a row is made of is for `make` alone to know.
        self._stored: list[Any] = [] if stored is None else stored
        self._make: Callable[[Any], Row] | None = make
        self.services: list[Services] = [] if services is None else services
        self._numbers = {of: number for number, of in enumerate(self.services)}
        self._columns: Columns | None = columns
        self._shared = False  # whether another table holds the same lists

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Self:
        """
        Return the table of some rows, which come in the order of their ids.

        Raises:
            InvalidValue: Something is no such row, out of order, or there twice.
        """
        if isinstance(rows, cls):
            return rows
        # Any: untrusted, and of which of the two its class says.
        given: list[Any] = list(rows) if is_list(rows) else [rows]
        for row in given:
            if not isinstance(row, cls.row):
                raise InvalidValue("rows", row, f"give rows of {cls.row.__name__}")
        ids = [row.id for row in given]
        for before, id_ in pairwise(ids):
            if not before < id_:
                raise InvalidValue("rows", id_, "rows come in the order of their ids, each once")
        return cls(ids, given)

    # --- rows -------------------------------------------------------------------------------------

    def _item(self, index: int, /) -> Row:
        row: Row = self._stored[index]
        if self._make is not None and row.__class__ is not self.row:
            row = self._stored[index] = self._make(row)
        return row

    def __len__(self) -> int:
        return len(self._stored)

    def __eq__(self, other: object) -> bool:
        return self[:] == (other[:] if isinstance(other, Table) else other)

    __hash__ = None  # type: ignore[assignment]  # rows hold mappings

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self):,}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of, (self[:],)

    def get(self, id_: str) -> Row | None:
        """Return a row by its id; None where there is none."""
        index = self.index_of(id_)
        return None if index is None else self._item(index)

    def index_of(self, id_: str) -> int | None:
        """Return the index of a row by its id; None where there is none."""
        index = bisect_left(self.ids, id_)
        return index if self.ids[index : index + 1] == [id_] else None

    # --- columns ----------------------------------------------------------------------------------

    @property
    def columns(self) -> Columns:
        """The columns; they must never be changed. Those of rows given by hand are filled now."""
        if self._columns is None:
            self._columns = self._filled(self._stored)
        return self._columns

    def fill(self) -> None:
        """Fill the columns, where they are not filled yet."""
        self._columns = self.columns

    @abstractmethod
    def _filled(self, rows: Sequence[Any]) -> Columns:
        """Return the columns of rows, or of what has the fields of rows."""

    def number(self, services: Services) -> int:
        """Return the number of a list of services: its index in those there are."""
        numbers = self._numbers
        number = numbers.get(services)
        if number is None:
            number = numbers[services] = len(self.services)
            self.services.append(services)
        return number

    # --- changes ----------------------------------------------------------------------------------

    def put(self, rows: Mapping[str, Any]) -> None:
        """Put rows, or what they are made of, where they belong: new ones and others."""
        if not rows:
            return
        ids = sorted(rows)
        if not self.ids:
            self.ids, self._stored = ids, [rows[id_] for id_ in ids]
            self._columns, self._shared = None, False
            return
        known: list[int] = []
        new: list[int] = []
        indices = searchsorted(self.ids, ids)
        for at, (index, id_) in enumerate(zip(indices, ids, strict=True)):
            (known if self.ids[index : index + 1] == [id_] else new).append(at)
        # The new ones first, so that those which come together are one piece.
        ids = take(ids, [*new, *known])
        stored = [rows[id_] for id_ in ids]
        # Any: columns are lists, arrays and bytes, which are put together alike.
        pairs: list[tuple[Any, Any]] = [(self.ids, ids), (self._stored, stored)]
        if self._columns is not None:
            old: Any = self._columns
            filled: Any = self._filled(stored)
            pairs += zip(old, filled, strict=True)
        pieces = _pieces(take(indices, new))
        behind = [index for index, first, last in pieces for _ in range(first, last)]
        moved = [index + bisect_right(behind, index) for index in take(indices, known)]
        put = [self._put(mine, theirs, pieces, moved) for mine, theirs in pairs]
        self.ids, self._stored = put[:2]
        if self._columns is not None:
            self._columns = type(self._columns)._make(put[2:])
        self._shared = False

    def _put(self, mine: Any, theirs: Any, pieces: Sequence[_Piece], moved: Iterable[int]) -> Any:
        """Return a column with other values in it: the new ones in pieces, and known ones."""
        column = mine
        if pieces:
            column, begin = mine[:0], 0
            for index, first, last in pieces:
                column += mine[begin:index]
                column += theirs[first:last]
                begin = index
            column += mine[begin:]
        elif self._shared:
            column = mine[:]
        for at, index in enumerate(moved, start=pieces[-1][2] if pieces else 0):
            column[index] = theirs[at]
        return column

    def with_rows(self, rows: Mapping[str, Row]) -> Self:
        """Return a table that stays as this one is now, but for some rows that are others."""
        copy = type(self)(self.ids, self._stored, self._make, self.columns)
        # Shared, since lists of services are only added to.
        copy.services, copy._numbers = self.services, self._numbers
        # The rest is, too: whichever is changed first takes a copy.
        self._shared = copy._shared = True
        copy.put(rows)
        return copy


_Piece = tuple[int, int, int]
"""Where new ones come in between old ones, and which: from the first up to the last."""


def _pieces(indices: Sequence[int]) -> list[_Piece]:
    """Return in pieces what comes in at these indices, which are in order."""
    pieces: list[_Piece] = []
    first = 0
    for index, some in groupby(indices):
        last = first + sum(1 for _ in some)
        pieces.append((index, first, last))
        first = last
    return pieces


class IncidentTable(Table[IncidentFacts, IncidentColumns]):
    """All incidents."""

    row: ClassVar[Any] = IncidentFacts
    __slots__ = ()

    def _filled(self, rows: Sequence[Any]) -> IncidentColumns:
        return incident_columns(rows, self.number)


class ChangeTable(Table[ChangeFacts, ChangeColumns]):
    """All changes."""

    row: ClassVar[Any] = ChangeFacts
    __slots__ = ()

    def _filled(self, rows: Sequence[Any]) -> ChangeColumns:
        return change_columns(rows, self.number)
