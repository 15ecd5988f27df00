"""
Where an export is written: a file or a folder that is there whole or not at all.

What is there already is replaced where it is an export of the same kind, and is never touched where
it is something else: a slip of the name must not cost a ledger.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from imcm.errors import InvalidValue, StoreError
from imcm.files import checked_path, new_file, replaced

__all__ = ["Ends", "file_to_write", "folder_to_write"]

_LOOKED_AT: Final = 65_536


class Ends(NamedTuple):
    """
    What of a file is looked at to see of what kind it is.

    Attributes:
        name: Its name, without folders.
        begin: Its first bytes.
        end: Its last bytes.
    """

    name: str
    begin: bytes
    end: bytes


def _ends_of(path: Path) -> Ends:
    with path.open("rb") as file:
        begin = file.read(_LOOKED_AT)
        file.seek(max(0, path.stat().st_size - _LOOKED_AT))
        return Ends(path.name, begin, file.read(_LOOKED_AT))


@contextmanager
def file_to_write(
    path: str | Path, kind: str, is_same: Callable[[Ends], bool]
) -> Generator[BinaryIO]:
    """
    Give a file to write that has its name once it is whole.

    Args:
        path: Where it shall be.
        kind: What it is, as an error calls it: "an export of CDEvents".
        is_same: Says of what is there whether it is of that kind. A file without anything in it is
            replaced, too.

    Raises:
        InvalidValue: There is something else already.
        StoreError: It can't be written.
    """
    where = checked_path("out", path)
    if not os.path.lexists(where):
        with new_file(where) as file:
            yield file
        return
    _refuse_other(where, kind, is_same)
    with replaced(where) as file:
        yield file


def _refuse_other(path: Path, kind: str, is_same: Callable[[Ends], bool]) -> None:
    try:
        ends = _ends_of(path) if path.is_file() else None
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}") from None
    if ends is None or (ends.begin and not is_same(ends)):
        raise InvalidValue("out", str(path), f"a new file, or {kind} to be replaced")


@contextmanager
def folder_to_write(
    path: str | Path, kind: str, is_same: Callable[[Ends], bool]
) -> Generator[Path]:
    """
    Give a folder to write files into that has its name once all of them are there.

    Args:
        path: Where it shall be.
        kind: What it is, as an error calls it.
        is_same: Says of a file that is there whether it is of such an export. A folder in which
            all are is replaced, and so is one without any.

    Raises:
        InvalidValue: There is something else already.
        StoreError: It can't be written.
    """
    where = checked_path("out", path)
    there = os.path.lexists(where)
    if there:
        _refuse_other_folder(where, kind, is_same)
        where = Path(os.path.realpath(where))
    mark = os.urandom(8).hex()
    aside, old = (where.with_name(f".imcm-{mark}.{end}") for end in ("part", "old"))
    try:
        aside.mkdir()
        yield aside
        for made in aside.iterdir():
            _settled(made)
        if there:
            where.rename(old)
        try:
            aside.rename(where)
        except OSError:
            if there:
                old.rename(where)
            raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise StoreError(f"{path} can't be written: {why}") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    if there:
        shutil.rmtree(old, ignore_errors=True)


def _settled(path: Path) -> None:
    """Have what was written of a file be on the disk before its folder gets its name."""
    opened = os.open(path, os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _refuse_other_folder(path: Path, kind: str, is_same: Callable[[Ends], bool]) -> None:
    allowed = f"a new folder, or {kind} to be replaced"
    if not path.is_dir():
        raise InvalidValue("out", str(path), allowed)
    try:
        for each in path.iterdir():
            is_file = each.is_file() and not each.is_symlink()
            if not is_file or not is_same(_ends_of(each)):
                raise InvalidValue("out", str(path), f"{allowed}; it holds {each.name}")
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}") from None
