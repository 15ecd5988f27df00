"""
Facts, kept: the rows and the columns that figures are made of.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain
from typing import Any, Final, cast, get_type_hints
from zlib import crc32

import msgspec

from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.domain.vocabulary import NOTHING_TOLD, Verdict
from imcm.errors import StoreError
from imcm.ledger.facts import loaded
from imcm.ledger.reading import LedgerReader
from imcm.projections.facts import change_rows, incident_rows
from imcm.projections.facts.columns import ChangeColumns, IncidentColumns
from imcm.projections.facts.fold import (
    ChangeFacts,
    FactsFold,
    IncidentFacts,
    LogCursor,
    Notes,
    RawEvent,
    Snapshot,
    StoredRows,
)
from imcm.projections.facts.tables import ChangeTable, IncidentTable
from imcm.readmodel.columns import MALFORMED

__all__ = [
    "FactsModel",
]


# --- facts, kept ----------------------------------------------------------------------------------

_encode: Final = msgspec.msgpack.Encoder().encode
_ROWS: Final[dict[str, Any]] = {INCIDENT: IncidentFacts, CHANGE: ChangeFacts}
_CARRIED: Final[dict[str, Any]] = {INCIDENT: incident_rows.Carried, CHANGE: change_rows.Carried}
_TABLES: Final[dict[str, Any]] = {INCIDENT: IncidentTable, CHANGE: ChangeTable}
_COLUMNS: Final[dict[str, Any]] = {INCIDENT: IncidentColumns, CHANGE: ChangeColumns}
_KEPT: Final[dict[str, Any]] = get_type_hints(Snapshot)

LOOSE: Final = 2_000
"""So many rows are kept one by one before they are packed, and a sixteenth of all of them."""

PIECE: Final = 50_000
"""Rows that are packed together."""


def _decoder(kind: str) -> Callable[[bytes | memoryview], Snapshot]:
    """Return what reads the rows of one kind as they were put away."""
    types = _KEPT | {"row": _ROWS[kind], "carried": _CARRIED[kind] | None}
    # Any: a tuple type made of what is given.
    told: Any = tuple[tuple(types.values())]  # type: ignore[misc]
    decode_ = msgspec.msgpack.Decoder(told).decode
    return lambda kept: Snapshot._make(decode_(kept))


_kept_of: Final = {kind: _decoder(kind) for kind in _ROWS}
_read_of: Final = msgspec.msgpack.Decoder(tuple[int, int, LogCursor])
"""How many rows are kept one by one, how many are packed, and what else the fold knows."""


class _Head(msgspec.Struct, array_like=True):
    """What is packed besides the rows: up to which position, how many, what their columns name."""

    position: int
    rows: int
    services: list[tuple[str, ...]]
    notes: Notes


class _Piece(msgspec.Struct, array_like=True):
    """
    What is packed beside some rows, which stand one behind the other.

    Attributes:
        ids: Their ids.
        ends, checksums: Where each of them ends, and its checksum.
        columns: Their columns, those of numbers as bytes.
    """

    ids: list[str]
    ends: bytes
    checksums: bytes
    columns: msgspec.Raw


_head_of: Final = msgspec.msgpack.Decoder(_Head)
_piece_of: Final = msgspec.msgpack.Decoder(_Piece)


_LISTS: Final[dict[str, Any]] = {
    "verdicts": dict[int, dict[str, Verdict]],
    "commit": list[str | None],
}
"""How columns are stored that are not of numbers; of mappings those that there are."""


def _columns_decoder(kind: str) -> Callable[[msgspec.Raw], Any]:
    types = [_LISTS.get(name, bytes) for name in _COLUMNS[kind]._fields]
    told: Any = tuple[tuple(types)]  # type: ignore[misc]  # made of what is given
    return msgspec.msgpack.Decoder(told).decode


_columns_of: Final = {kind: _columns_decoder(kind) for kind in _COLUMNS}


def _stored(column: Any) -> Any:
    """Return a column as it is stored."""
    if isinstance(column, array):
        return column.tobytes()
    if column and not isinstance(column, bytearray) and isinstance(column[0], Mapping):
        return {place: value for place, value in enumerate(column) if value}
    return column


def _extended(column: Any, stored: Any, count: int) -> None:
    """Put the next *count* values behind those of a column."""
    if isinstance(column, array):
        column.frombytes(stored)
    elif isinstance(stored, dict):
        found = cast("dict[int, Any]", stored)
        first = len(column)
        column += [NOTHING_TOLD] * count
        for place, value in found.items():
            column[first + place] = value
    else:
        column += stored


def _sealed(data: bytes, *names: object) -> bytes:
    """Return data with a checksum in front, of it and of what it is stored as."""
    return _checksum(data, names) + data


def _checksum(data: bytes | memoryview, names: tuple[object, ...]) -> bytes:
    return crc32(data, crc32(repr(names).encode())).to_bytes(4, "big")


def _unsealed(sealed: bytes, *names: object) -> memoryview:
    """
    Return data that was sealed.

    A page of a disk goes bad, a copy is cut: what is read then may be in every form right, and
    other facts. It is no proof, as the leaves of the log are.

    Raises:
        ValueError: It is not what was sealed.
    """
    data = memoryview(sealed)[4:]  # they are many megabytes, which nobody copies
    if sealed[:4] != _checksum(data, names):
        raise ValueError("a checksum does not fit")
    return data


@contextmanager
def _readable() -> Generator[None]:
    """Say of kept facts that can't be read what to do."""
    try:
        yield
    except MALFORMED as error:
        raise StoreError(
            f"kept facts can't be read ({error}): their file is damaged; it is derived: "
            "delete it, and they are made again"
        ) from error


class _Blobs:
    """
    Rows as they were put away, one behind the other, each to be found by its place.

    Most of the bytes of a file are theirs, and few of them are looked at: each is held against its
    checksum when it is.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._ends: list[array[int]] = []
        self._checksums: list[array[int]] = []

    def add(self, kept: bytes, piece: _Piece) -> None:
        """Add the rows of the next piece."""
        ends, checksums = array("q"), array("Q")
        ends.frombytes(piece.ends)
        checksums.frombytes(piece.checksums)
        if not len(ends) == len(checksums) == len(piece.ids):
            raise ValueError(f"{len(ends)} ends of {len(piece.ids)} rows")
        self._pieces.append(kept)
        self._ends.append(ends)
        self._checksums.append(checksums)

    def __getitem__(self, place: int) -> bytes:
        number, at = divmod(place, PIECE)
        ends = self._ends[number]
        row = self._pieces[number][ends[at - 1] if at else 0 : ends[at]]
        if crc32(row) != self._checksums[number][at]:
            raise ValueError("a checksum does not fit")
        return row


def _put(told: object, whose: str) -> bytes:
    """
    Return something as it is put away.

    Args:
        whose: What it is of, for an error.

    Raises:
        StoreError: It has a moment that can't be told in UTC, which only old logs and damaged ones
            hold.
    """
    try:
        return _encode(told)
    except OverflowError:
        message = f"{whose} has a moment that can't be told in UTC"
        raise StoreError(f"{message}: it is not kept; correct it, or use ledger.facts()") from None


def _put_row(one: Snapshot) -> tuple[str, str, bytes]:
    """Return of which kind and whose a row is, and the row as it is put away."""
    kind, id_ = one.kind, one.row.id
    return kind, id_, _put(one, f"{kind} {id_}")


class FactsModel:
    """
    One row for each incident and change, as the fold made it, and what else the fold knows.

    Most rows are packed, many in one piece, with the columns that figures are made of: a process
    that opens them reads the columns, and unpacks a row when somebody looks at it. What changed
    since stands beside them row by row.
    """

    def __init__(self, ledger: LedgerReader) -> None:
        named = (*_ROWS.values(), *_COLUMNS.values(), Snapshot)
        fields = "/".join(" ".join(row._fields) for row in named)
        # It changes with the fields of a row, with a new version of what makes rows, and with the
        # order in which a machine writes the bytes of a number.
        told = f"{fields}/{sys.byteorder}/{PIECE}"
        self.name = f"facts 7 {hashlib.sha256(told.encode()).hexdigest()[:16]}"
        self._ledger = ledger
        self._packed = 0
        self._loose = 0  # at most: what changed twice is counted twice
        self.fold = self._new()

    def _new(self) -> FactsFold:
        return FactsFold(self._load, snapshots=True)

    def _load(self, streams: Mapping[str, int]) -> FactsFold:
        return loaded(chain.from_iterable(map(self._ledger.rows_of, streams)), streams)

    def forget(self) -> None:
        """Let go of what was taken and perhaps not committed; it is read again."""
        self._packed = self._loose = 0
        self.fold = self._new()

    def create(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "CREATE TABLE facts (kind TEXT, id TEXT, position INTEGER, kept BLOB, "
            "PRIMARY KEY (kind, id)) WITHOUT ROWID"
        )
        connection.execute("CREATE TABLE read (one INTEGER PRIMARY KEY, told BLOB)")
        connection.execute(
            "CREATE TABLE packed (kind TEXT, number INTEGER, told BLOB, kept BLOB, "
            "PRIMARY KEY (kind, number))"
        )
        self.forget()

    # --- reading ----------------------------------------------------------------------------------

    def resume(self, connection: sqlite3.Connection, position: int) -> None:
        if self.fold.position != position:
            with _readable():
                self._read(connection, position)

    def _read(self, connection: sqlite3.Connection, position: int) -> None:
        mine = self.fold.position
        heads = {
            kind: _head_of.decode(_unsealed(told, kind, 0))
            for kind, told in connection.execute("SELECT kind, told FROM packed WHERE number = 0")
        }
        packed_at = max((head.position for head in heads.values()), default=0)
        # It was made again from nothing by another process, or packed with what is new here.
        if mine > position or packed_at > mine:
            self.forget()
            mine = 0
        known = self._known(connection, position)
        if known is None:
            return
        loose, together, read = known
        packed_rows = sum(head.rows for head in heads.values())
        if packed_rows != together:
            raise ValueError(f"{packed_rows} rows are packed, where {together} belong")
        [there] = connection.execute("SELECT count(*) FROM facts").fetchone()
        if there != loose:
            raise ValueError(f"{there} rows stand beside what is packed, where {loose} belong")
        anew = mine == 0
        if anew:
            packed = {kind: self._unpacked(connection, kind, head) for kind, head in heads.items()}
            self.fold.start(read, packed)
            self._packed = packed_rows
            mine = packed_at
        found = connection.execute(
            "SELECT kind, id, position, kept FROM facts WHERE position > ?", (mine,)
        )
        kept = [
            _kept_of[kind](_unsealed(one, kind, id_, position))
            for kind, id_, position, one in found
        ]
        if anew and len(kept) != loose:  # one of them seems to be older than what is packed
            raise ValueError(f"{len(kept)} rows are newer than what is packed, not {loose}")
        self._loose += len(kept)
        self.fold.restore(read, kept)

    @staticmethod
    def _known(connection: sqlite3.Connection, position: int) -> tuple[int, int, LogCursor] | None:
        (told,) = connection.execute("SELECT told FROM read").fetchone() or (None,)
        if told is not None:
            return _read_of.decode(_unsealed(told, position))
        if position:
            raise ValueError("how far the log was read does not stand there")
        return None

    def clock_back(self, connection: sqlite3.Connection, position: int) -> bool:
        """Say whether the stamps of the log ever go back, up to a position that was reached."""
        with _readable():
            known = self._known(connection, position)
        return known is not None and bool(known[2].clock_back)

    def _unpacked(self, connection: sqlite3.Connection, kind: str, head: _Head) -> StoredRows:
        """Return what is packed of one kind; each row stays as it is until somebody looks."""
        ids: list[str] = []
        columns = _TABLES[kind]().columns
        blobs = _Blobs()
        for piece, rows in self._pieces(connection, kind):
            ids += piece.ids
            blobs.add(rows, piece)
            for column, stored in zip(columns, _columns_of[kind](piece.columns), strict=True):
                _extended(column, stored, len(piece.ids))
                if len(column) != len(ids):
                    raise ValueError(f"{len(column)} values in a column of {len(ids)} rows")

        if len(ids) != head.rows:
            raise ValueError(f"{len(ids)} rows are packed, where {head.rows} belong")

        def kept(place: int) -> Snapshot:
            with _readable():
                return _kept_of[kind](blobs[place])

        def row(place: int) -> Any:
            return kept(place).row

        places = list(range(len(ids)))
        table = _TABLES[kind](ids, places, row, columns, head.services)
        return StoredRows(table, head.notes, kept)

    def _pieces(self, connection: sqlite3.Connection, kind: str) -> Iterator[tuple[_Piece, bytes]]:
        """Yield what is packed beside some rows, and these."""
        statement = (
            "SELECT number, told, kept FROM packed WHERE kind = ? AND number > 0 ORDER BY number"
        )
        for number, told, kept in connection.execute(statement, (kind,)):
            yield _piece_of.decode(_unsealed(told, kind, number)), kept

    # --- writing ----------------------------------------------------------------------------------

    def apply(self, events: Iterable[RawEvent]) -> None:
        """Apply the next events; nothing is written yet."""
        self.fold.apply(events)

    def save(self, connection: sqlite3.Connection, *, more: bool) -> list[Snapshot]:
        """
        Write what changed, and return it.

        Args:
            more: Whether more is to come at once: packing would only be done again.
        """
        changed = self.fold.changed()
        loose = self._loose + len(changed)
        if not more and loose > LOOSE + self._packed // 16:
            self._pack(connection, changed)
        else:
            self._put_away(connection, changed)
            self._loose = loose
        [loose] = connection.execute("SELECT count(*) FROM facts").fetchone()
        read = _sealed(_put((loose, self._packed, self.fold.cursor), "the log"), self.fold.position)
        connection.execute("INSERT OR REPLACE INTO read VALUES (1, ?)", (read,))
        return changed

    def _put_away(self, connection: sqlite3.Connection, some: Iterable[Snapshot]) -> None:
        position = self.fold.position
        connection.executemany(
            "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)",
            [
                (kind, id_, position, _sealed(kept, kind, id_, position))
                # In the order of their keys, so that no page is written twice.
                for kind, id_, kept in sorted(map(_put_row, some))
            ],
        )

    def _pack(self, connection: sqlite3.Connection, changed: Sequence[Snapshot]) -> None:
        """Pack all rows, those that changed and are not written yet too, with their columns."""
        together, renewed = self.fold.to_store(changed)
        new: dict[str, dict[str, bytes]] = {kind: {} for kind in together}
        for kind, id_, put in map(_put_row, chain(changed, renewed)):
            new[kind][id_] = put
        for kind, (table, notes) in together.items():
            statement = "SELECT id, position, kept FROM facts WHERE kind = ?"
            loose: dict[str, bytes | memoryview] = {}
            with _readable():
                for id_, position, sealed in connection.execute(statement, (kind,)):
                    loose[id_] = _unsealed(sealed, kind, id_, position)
            loose.update(new[kind])
            before: dict[str, bytes] = {}
            for piece, rows in self._pieces(connection, kind):
                blobs = _Blobs()
                blobs.add(rows, piece)
                before.update((id_, blobs[at]) for at, id_ in enumerate(piece.ids))
            filled = table.columns  # which names services
            head = _Head(self.fold.position, len(table), table.services, notes)
            told = [(_encode(head), b"")]
            for first in range(0, len(table), PIECE):
                ids = table.ids[first : first + PIECE]
                stored = [loose.get(id_) or before[id_] for id_ in ids]
                columns = [_stored(column[first : first + PIECE]) for column in filled]
                ends = array("q", accumulate(map(len, stored)))
                checksums = array("Q", map(crc32, stored))
                raw = msgspec.Raw(_encode(columns))
                piece = _Piece(ids, ends.tobytes(), checksums.tobytes(), raw)
                told.append((_encode(piece), b"".join(stored)))
            connection.execute("DELETE FROM packed WHERE kind = ?", (kind,))
            connection.executemany(
                "INSERT INTO packed VALUES (?, ?, ?, ?)",
                [
                    (kind, number, _sealed(one, kind, number), rows)
                    for number, (one, rows) in enumerate(told)
                ],
            )
        connection.execute("DELETE FROM facts")
        self._packed = sum(len(table) for table, _ in together.values())
        self._loose = 0
