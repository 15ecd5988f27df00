"""
A ledger made of the rows of another: there whole, or not at all.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from imcm.codec.rows import StoredEvent
from imcm.errors import LedgerNotEmptyError, StoreError
from imcm.files import reserved
from imcm.ledger.bringing_in import IMPORT_BATCH
from imcm.ledger.store import AppendConflict, SQLiteStore, Store


def refuse_existing(path: Path) -> None:
    """
    Refuse what is there; a link is something, also one that leads nowhere.

    What SQLite left beside a file that is gone would be read as the newest part of the new one.
    """
    for suffix in ("", *_SQLITE_FILES):
        file = path.with_name(path.name + suffix)
        if os.path.lexists(file):
            raise LedgerNotEmptyError(f"{file} exists already; restore into a new file")


def restore_file(path: Path, rows: Iterator[StoredEvent]) -> None:
    """
    Make a ledger of rows, which is there whole or not at all.

    Only with the turn to write *path*: then what an earlier try left behind is nobody's.
    """
    filling = path.with_name(f"{path.name}.restoring")
    _unlinked(filling)
    reserved(filling)
    try:
        store = SQLiteStore(filling)
        try:
            _fill(store, rows)
        finally:
            store.close()
        refuse_existing(path)
        try:
            filling.rename(path)
        except OSError as error:
            raise StoreError(f"{path} can't be restored: {error.strerror}") from None
    finally:
        _unlinked(filling)


_SQLITE_FILES: Final = ("-wal", "-shm", "-journal")


def _unlinked(path: Path) -> None:
    for suffix in ("", *_SQLITE_FILES):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _fill(store: Store, rows: Iterator[StoredEvent]) -> None:
    while batch := list(itertools.islice(rows, IMPORT_BATCH)):
        try:
            store.insert(batch)
        except AppendConflict as error:
            raise stored_twice(error) from None


def stored_twice(error: AppendConflict) -> StoreError:
    return StoreError(f"the export holds the same version of a stream twice: {error}")
