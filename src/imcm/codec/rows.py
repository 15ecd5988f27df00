"""
Stored rows, and the names of the types of events.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, get_args, get_type_hints

import msgspec

from imcm.domain.change_events import ChangeEvent
from imcm.domain.incident_events import IncidentEvent
from imcm.domain.recorded import KeyClaimed, KeyUsed, LedgerOpened, RulesAdopted
from imcm.domain.vocabulary import is_list
from imcm.errors import ImcmError, InvalidValue, StoreError

FORMAT: Final = 1
"""The version of the stored format this release writes, and the newest it reads."""


class StoredEvent(NamedTuple):
    """One event as a store keeps it; *state* is the exact bytes."""

    position: int
    stream: str
    version: int
    type: str
    state: bytes


StoredTuple = tuple[int, str, int, str, bytes]
"""The same as a plain tuple, which is made faster."""


def checked_rows(rows: object) -> Iterator[StoredEvent]:
    """
    Yield stored rows: what every call asks that is given the rows of a log.

    Raises:
        InvalidValue: They are no rows, or one holds something else than a row does.
    """
    if not is_list(rows):
        raise InvalidValue("rows", rows, _WANTED_ROWS)
    for row in rows:
        yield checked_row(row)


def checked_row(row: object) -> StoredEvent:
    """Return *row* if it is one, with values of the right types."""
    if not isinstance(row, StoredEvent) or tuple(map(type, row)) != _ROW_TYPES:
        raise InvalidValue("row", row, _WANTED_ROWS)
    return row


_ROW_TYPES: Final = (int, str, int, str, bytes)
_WANTED_ROWS: Final = "give stored rows, such as ledger.rows()"


LEDGER_EVENTS: Final = (LedgerOpened, KeyClaimed, KeyUsed, RulesAdopted)
"""Events that are neither of incidents nor of changes."""

EVENT_TYPES: Final[Mapping[str, type]] = {
    cls.__name__: cls for cls in (*get_args(IncidentEvent), *get_args(ChangeEvent), *LEDGER_EVENTS)
}
"""Every stored type name this release can read. Names are ours: files can move."""


def word_fields(cls: type) -> tuple[str, ...]:
    return getattr(cls, "WORDS", ())


hints_of: Final = functools.cache(get_type_hints)
"""What the fields of a class want, which takes long to find out."""


def keyed_hash(salt: str, payload: str) -> str:
    import hmac  # it takes long to load, and few events need it

    return hmac.digest(bytes.fromhex(salt), payload.encode(), "sha256").hex()


SALT_BYTES: Final = 16


# --- decoding -------------------------------------------------------------------------------------

UNREADABLE: Final = (msgspec.DecodeError, ImcmError, UnicodeDecodeError, RecursionError)
"""What decoding raises of what this version can't read, its bytes being ours or not."""


def damaged_row(row: StoredEvent, why: str) -> StoreError:
    return StoreError(
        f"position {row.position} ({row.stream} version {row.version}, {row.type}) is not a "
        f"stored event: {why}"
    )
