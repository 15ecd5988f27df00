"""
Tables: the rows of one kind in the order of their ids, and in columns what figures ask of them.

A hundred thousand rows are larger than any processor's cache, and visiting each of them for one
field costs more than all the arithmetic of a figure. So what nearly every figure asks stands in
columns of plain numbers, filled in one pass, and a row is made when somebody looks at it.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import compress, groupby, pairwise
from operator import attrgetter
from typing import Any, ClassVar, Final, Generic, NamedTuple, Self, TypeVar, overload

from imcm.domain.change_events import ChangeStatus
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.vocabulary import (
    ChangeType,
    Commit,
    Kind,
    Mode,
    Moment,
    Outcome,
    Verdict,
    is_list,
)
from imcm.errors import InvalidValue
from imcm.projections.facts.instants import EPOCH, MICROSECOND
from imcm.projections.facts.rows import ChangeFacts, IncidentFacts
from imcm.projections.statistics.samples import are_floats

Row = TypeVar("Row", IncidentFacts, ChangeFacts)
T = TypeVar("T")

NO_TIME: Final = -(1 << 63)
"""In a column of times: there is none, or nobody knows it."""

UNSURE: Final = NO_TIME + 1
"""In a column of times: it lies between two others. Whatever is larger is an exact time."""

Services = tuple[str, ...]

OUTCOMES: Final = (None, *Outcome)
COMPLETED: Final = OUTCOMES.index(Outcome.COMPLETED)
FAILED: Final = OUTCOMES.index(Outcome.FAILED)
ROLLED_BACK: Final = OUTCOMES.index(Outcome.ROLLED_BACK)
UNKNOWN: Final = OUTCOMES.index(Outcome.UNKNOWN)


_OTHERS: Final = bytes([1, *bytes(255)])


def where(flags: bytearray) -> Sequence[int]:
    """Return the places at which a flag is set, in order."""
    count = len(flags)
    return range(count) if flags.count(1) == count else list(compress(range(count), flags))


def where_not(flags: bytearray) -> Sequence[int]:
    """Return the places at which a flag is not set, in order."""
    return () if flags.count(1) == len(flags) else where(flags.translate(_OTHERS))


def in_order(times: Sequence[int]) -> list[int]:
    """Return the places of times in their order, those of equal ones in the order given."""
    keys: Sequence[float] = list(map(float, times)) if are_floats(times) else times
    return sorted(range(len(times)), key=keys.__getitem__)


def _times(moments: Iterable[Moment | None]) -> list[int]:
    return [
        NO_TIME
        if at is None
        else (at - EPOCH) // MICROSECOND
        if isinstance(at, datetime)
        else UNSURE
        for at in moments
    ]


def _in_pieces(
    fields: Callable[[Any], tuple[Any, ...]], rows: Sequence[Any]
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield some fields of a few rows at a time, each field by itself: they stay in the cache."""
    for first in range(0, len(rows), _AT_ONCE):
        yield list(zip(*map(fields, rows[first : first + _AT_ONCE]), strict=True))


_AT_ONCE: Final = 500


class IncidentColumns(NamedTuple):
    """
    What figures ask of incidents.

    Attributes:
        counted: 1 for what nearly all are: real, in production, and nobody took it back.
        plain: 1 where it is one stretch between a detection and a resolution, both exact.
        merged: 1 where others are merged into it: what each of them says is in its row.
        verdicts: What was said about causes and repairs, by the change; nothing of most.
        detected, resolved: The times, in microseconds since 1970, or NO_TIME, or UNSURE; the last
            resolution of those that were open more than once.
        services: Which of the lists of services, as `Table.services` has them.
    """

    counted: bytearray
    plain: bytearray
    merged: bytearray
    verdicts: list[Mapping[str, Verdict]]
    detected: array[int]
    resolved: array[int]
    services: array[int]

    def __repr__(self) -> str:
        """Return what they are, and of how many."""
        return f"<{type(self).__name__} of {len(self.counted):,}>"


class ChangeColumns(NamedTuple):
    """
    What figures ask of changes.

    Attributes:
        counted: 1 for what nearly all are: deployed to production at an exact time, no roll back.
        outcome: The place of its outcome among OUTCOMES.
        odd: 1 where it is an emergency, unplanned, or repairs another.
        deployed, rolled_back, recovered: The times, as with incidents.
        load: How many commits it brought; 255 for more.
        commit, committed: The id of its one commit, and when it was committed; None and NO_TIME
            where it brought none, or several.
        services: As with incidents.
    """

    counted: bytearray
    outcome: bytearray
    odd: bytearray
    deployed: array[int]
    rolled_back: array[int]
    recovered: array[int]
    committed: array[int]
    load: bytearray
    commit: list[str | None]
    services: array[int]

    def __repr__(self) -> str:
        """Return what they are, and of how many."""
        return f"<{type(self).__name__} of {len(self.counted):,}>"


Columns = TypeVar("Columns", IncidentColumns, ChangeColumns)


class OneByOne(Sequence[T]):
    """A sequence whose members are made one by one, when somebody looks at them."""

    __slots__ = ()

    @abstractmethod
    def _one(self, place: int) -> T:
        """Return the member at a place, which is there."""

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        places = range(len(self))[place]
        return self._one(places) if isinstance(places, int) else tuple(map(self._one, places))

    def __iter__(self) -> Iterator[T]:
        return map(self._one, range(len(self)))


class Table(OneByOne[Row], Generic[Row, Columns]):
    """
    The rows of one kind in the order of their ids; it equals the tuple of them.

    Attributes:
        ids: The ids in order.
        services: The different lists of services there are.
    """

    row: ClassVar[Any]
    """The class of its rows."""

    __slots__ = ("_columns", "_make", "_material", "_numbers", "_shared", "ids", "services")

    def __init__(
        self,
        ids: list[str] | None = None,
        material: list[Any] | None = None,
        make: Callable[[Any], Row] | None = None,
        columns: Columns | None = None,
        services: list[Services] | None = None,
    ) -> None:
        """
        Take rows in the order of their ids.

        Args:
            material: Rows, or what *make* makes them of.
            columns: The columns, where they are known already, with the *services* they name.
        """
        self.ids: list[str] = [] if ids is None else ids
        # Any: what a row is made of is for `make` alone to know.
        self._material: list[Any] = [] if material is None else material
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

    def _one(self, place: int) -> Row:
        found: Row = self._material[place]
        if self._make is not None and found.__class__ is not self.row:
            found = self._material[place] = self._make(found)
        return found

    def __len__(self) -> int:
        return len(self._material)

    def __eq__(self, other: object) -> bool:
        return self[:] == (other[:] if isinstance(other, Table) else other)

    __hash__ = None  # type: ignore[assignment]  # rows hold mappings

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self):,}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of, (self[:],)

    def get(self, id_: str) -> Row | None:
        """Return a row by its id; None where there is none."""
        place = self.place(id_)
        return None if place is None else self._one(place)

    def place(self, id_: str) -> int | None:
        """Return where a row stands, by its id; None where there is none."""
        place = bisect_left(self.ids, id_)
        return place if self.ids[place : place + 1] == [id_] else None

    # --- columns ----------------------------------------------------------------------------------

    @property
    def columns(self) -> Columns:
        """The columns; they must never be changed. Those of rows given by hand are filled now."""
        if self._columns is None:
            self._columns = self._filled(self._material)
        return self._columns

    def fill(self) -> None:
        """Fill the columns, where they are not filled yet."""
        self._columns = self.columns

    @abstractmethod
    def _filled(self, material: Sequence[Any]) -> Columns:
        """Return the columns of rows, or of what has the fields of rows."""

    def number(self, services: Services) -> int:
        """Return the place of a list of services among those there are."""
        numbers = self._numbers
        found = numbers.get(services)
        if found is None:
            found = numbers[services] = len(self.services)
            self.services.append(services)
        return found

    # --- changes ----------------------------------------------------------------------------------

    def put(self, rows: Mapping[str, Any]) -> None:
        """Put rows, or what they are made of, in their places: new ones and others."""
        if not rows:
            return
        ids = sorted(rows)
        if not self.ids:
            self.ids, self._material = ids, [rows[id_] for id_ in ids]
            self._columns, self._shared = None, False
            return
        known: list[int] = []
        new: list[int] = []
        places = [bisect_left(self.ids, id_) for id_ in ids]
        for at, (place, id_) in enumerate(zip(places, ids, strict=True)):
            (known if self.ids[place : place + 1] == [id_] else new).append(at)
        # The new ones first, so that those which come together are one piece.
        order = [*new, *known]
        ids = [ids[at] for at in order]
        material = [rows[id_] for id_ in ids]
        # Any: columns are lists, arrays and bytes, which are put together alike.
        pairs: list[tuple[Any, Any]] = [(self.ids, ids), (self._material, material)]
        if self._columns is not None:
            old: Any = self._columns
            filled: Any = self._filled(material)
            pairs += zip(old, filled, strict=True)
        pieces = _pieces([places[at] for at in new])
        behind = [place for place, first, last in pieces for _ in range(first, last)]
        moved = [places[at] + bisect_right(behind, places[at]) for at in known]
        put = [self._put(mine, theirs, pieces, moved) for mine, theirs in pairs]
        self.ids, self._material = put[:2]
        if self._columns is not None:
            self._columns = type(self._columns)._make(put[2:])
        self._shared = False

    def _put(self, mine: Any, theirs: Any, pieces: Sequence[_Piece], moved: Iterable[int]) -> Any:
        """Return a column with other values in it: the new ones in pieces, and known ones."""
        column = mine
        if pieces:
            column, begin = mine[:0], 0
            for place, first, last in pieces:
                column += mine[begin:place]
                column += theirs[first:last]
                begin = place
            column += mine[begin:]
        elif self._shared:
            column = mine[:]
        for at, place in enumerate(moved, start=pieces[-1][2] if pieces else 0):
            column[place] = theirs[at]
        return column

    def with_rows(self, rows: Mapping[str, Row]) -> Self:
        """Return a table that stays as this one is now, but for some rows that are others."""
        copy = type(self)(self.ids, self._material, self._make, self.columns)
        # Shared, since lists of services are only added to.
        copy.services, copy._numbers = self.services, self._numbers
        # The rest is, too: whichever is changed first takes a copy.
        self._shared = copy._shared = True
        copy.put(rows)
        return copy


_Piece = tuple[int, int, int]
"""Where new ones come in between old ones, and which: from the first up to the last."""


def _pieces(places: Sequence[int]) -> list[_Piece]:
    """Return in pieces what comes in at these places, which are in order."""
    pieces: list[_Piece] = []
    first = 0
    for place, some in groupby(places):
        last = first + sum(1 for _ in some)
        pieces.append((place, first, last))
        first = last
    return pieces


_INCIDENT: Final = attrgetter(
    "status",
    "services",
    "environment",
    "mode",
    "detected_at",
    "spells",
    "verdicts",
    "merged_into",
    "members",
    "dismissed",
)
_CHANGE: Final = attrgetter(
    "status",
    "type",
    "kind",
    "services",
    "environment",
    "unplanned",
    "repairs",
    "deployed_at",
    "rolled_back_at",
    "recovered_at",
    "commits",
    "outcome",
)


class IncidentTable(Table[IncidentFacts, IncidentColumns]):
    """All incidents."""

    row: ClassVar[Any] = IncidentFacts
    __slots__ = ()

    def _filled(self, material: Sequence[Any]) -> IncidentColumns:
        flags = bytearray(), bytearray(), bytearray()
        columns = IncidentColumns(*flags, [], array("q"), array("q"), array("q"))
        real, nothing = Mode.REAL, IncidentStatus.NOTHING
        for fields in _in_pieces(_INCIDENT, material):
            statuses, services, environments, modes, found, spells, verdicts = fields[:7]
            merged, members, out = fields[7:]
            detected = _times(found)
            resolved = _times(told[-1].resolved if told else None for told in spells)
            columns.counted.extend(
                mode is real
                and into is None
                and dismissed is None
                and environment is None
                and status is not nothing
                and bool(told)
                for status, environment, mode, told, into, dismissed in zip(
                    statuses, environments, modes, spells, merged, out, strict=True
                )
            )
            columns.plain.extend(
                start > UNSURE and end > UNSURE and len(told) == 1
                for start, end, told in zip(detected, resolved, spells, strict=True)
            )
            columns.merged.extend(map(bool, members))
            columns.verdicts.extend(verdicts)
            columns.detected.extend(detected)
            columns.resolved.extend(resolved)
            columns.services.extend(map(self.number, services))
        return columns


class ChangeTable(Table[ChangeFacts, ChangeColumns]):
    """All changes."""

    row: ClassVar[Any] = ChangeFacts
    __slots__ = ()

    def _filled(self, material: Sequence[Any]) -> ChangeColumns:
        columns = ChangeColumns(
            bytearray(),
            bytearray(),
            bytearray(),
            *(array("q"), array("q"), array("q"), array("q")),
            bytearray(),
            [],
            array("q"),
        )
        nothing, rollback, emergency = ChangeStatus.NOTHING, Kind.ROLLBACK, ChangeType.EMERGENCY
        # An enum is hashed and compared by functions of Python: nearly all are found without.
        completed = Outcome.COMPLETED
        for fields in _in_pieces(_CHANGE, material):
            statuses, types, kinds, services, environments, unplanned, repairs = fields[:7]
            at, back, again, loads, outcomes = fields[7:]
            deployed = _times(at)
            columns.counted.extend(
                time > UNSURE
                and environment is None
                and kind is not rollback
                and status is not nothing
                for time, environment, kind, status in zip(
                    deployed, environments, kinds, statuses, strict=True
                )
            )
            columns.outcome.extend(
                COMPLETED if outcome is completed else OUTCOMES.index(outcome)
                for outcome in outcomes
            )
            columns.odd.extend(
                type_ is emergency or bool(of_itself) or of is not None
                for type_, of_itself, of in zip(types, unplanned, repairs, strict=True)
            )
            columns.deployed.extend(deployed)
            columns.rolled_back.extend(_times(back))
            columns.recovered.extend(_times(again))
            alone = [load[0] if len(load) == 1 else _NO_COMMIT for load in loads]
            columns.committed.extend(_times(commit.committed_at for commit in alone))
            columns.load.extend(min(len(load), 255) for load in loads)
            columns.commit.extend(None if one is _NO_COMMIT else one.id for one in alone)
            columns.services.extend(map(self.number, services))
        return columns


_NO_COMMIT: Final = Commit(id="none")
