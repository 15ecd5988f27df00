"""
Files that are there whole or not at all, and turns between processes that write the same one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imcm.errors import InvalidValue, StoreError

__all__ = ["checked_path", "locked", "new_file", "replaced", "reserved", "settled"]


def checked_path(name: str, value: object) -> Path:
    """
    Return *value* as a path.

    Raises:
        InvalidValue: It is none, or no file can have that name.
    """
    if not isinstance(value, (str, Path)):
        raise InvalidValue(name, value, "give a path: text, or a Path")
    if value == "":
        raise InvalidValue(name, value, "give a path: this one has no name")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise InvalidValue(name, str(value), "no file can have that name") from None
    if "\x00" in str(value):
        raise InvalidValue(name, str(value), "a path holds no NUL")
    return Path(value)


def checked_output(file: object) -> None:
    """
    Refuse what bytes can't be written to.

    Raises:
        InvalidValue: It is no file that is open for writing.
    """
    if not callable(getattr(file, "write", None)):
        raise InvalidValue("file", file, "give a file that is open for writing bytes")


@contextmanager
def new_file(path: Path, *, mode: int = 0o666) -> Generator[BinaryIO]:
    """
    Give a file to write that is there as a whole or not at all, and never in another's place.

    It is written aside, in the same folder, and gets its name when all of it is on the disk.

    Args:
        path: Where it shall be.
        mode: Who may read and write it, before the umask.

    Raises:
        StoreError: There is something already, or it can't be written.
    """
    if os.path.lexists(path):
        raise _taken_already(path)
    aside = path.with_name(f".imcm-{os.urandom(8).hex()}.part")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(aside)  # unlike a rename, never over what came meanwhile
        except FileExistsError:
            raise _taken_already(path) from None
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}:
                raise
            aside.rename(path)  # a file system without links
    except (OSError, ValueError) as error:
        raise _cannot("be written", path, error) from None
    finally:
        with contextlib.suppress(OSError, ValueError):
            aside.unlink()


def _taken_already(path: Path) -> StoreError:
    return StoreError(f"{path} exists already; name a new file")


def reserved(path: Path) -> None:
    """
    Make an empty file that only its owner can read and write, where there is nothing yet.

    A link counts as something, also one that leads nowhere: what is written must not land where
    somebody else's link points to.

    Raises:
        StoreError: There is something, or it can't be made.
    """
    if not made_private(path):
        raise _taken_already(path)


def made_private(path: Path) -> bool:
    """
    Make an empty file that only its owner can read and write, and leave what is there.

    Returns:
        Whether it was made.

    Raises:
        StoreError: It can't be made.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    except (OSError, ValueError) as error:
        raise _cannot("be made", path, error) from None
    return True


def _cannot(what: str, path: Path, error: OSError | ValueError) -> StoreError:
    why = getattr(error, "strerror", None) or error
    return StoreError(f"{path} can't {what}: {why}")


@contextmanager
def replaced(path: Path) -> Generator[BinaryIO]:
    """
    Give a file to write that takes the place of *path* once it is whole and on the disk.

    Until then, and where anything fails, *path* stays as it is. A link is followed: what it leads
    to is replaced.

    Raises:
        StoreError: It can't be written, for example because the disk is full.
    """
    target = Path(os.path.realpath(path))
    aside = target.with_name(f".{target.name[:100]}.{os.urandom(8).hex()}")
    reserved(aside)
    try:
        try:
            with aside.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileNotFoundError):
                aside.chmod(target.stat().st_mode & 0o777)
            aside.replace(target)
            settled(target.parent)
        except OSError as error:
            raise _cannot("be written", path, error) from None
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def settled(folder: Path) -> None:
    """Have the name of a file be as safe on the disk as what is in it."""
    if sys.platform != "win32":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


@contextmanager
def locked(path: Path, *, wait: float) -> Generator[None]:
    """
    Hold the turn of writing *path*; others, also in other processes, wait until it is given back.

    The turn is a lock on a file beside it, with `.lock` behind its name. It ends with the process
    that holds it, however that ends.

    Args:
        wait: Seconds to wait for somebody else's turn to end.

    Raises:
        StoreError: Somebody else's turn did not end, or the lock can't be made.
    """
    lock = path.with_name(path.name + ".lock")
    give_up = time.monotonic() + wait
    while (held := _taken(lock)) is None:
        if time.monotonic() > give_up:
            raise StoreError(f"somebody else is writing {path}; try again when {lock} is gone")
        time.sleep(random.uniform(0.005, 0.02))  # noqa: S311 (no secret)
    try:
        yield
    finally:
        # The name goes first, while nobody else can hold the lock: whoever waits for it looks
        # whether what was locked is still what the name means.
        lock.unlink(missing_ok=True)
        os.close(held)


def _taken(lock: Path) -> int | None:
    """Return the open lock file, locked; None where somebody else has it."""
    try:
        if sys.platform == "win32":
            return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        import fcntl

        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        opened = os.open(lock, flags, 0o600)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine, named = os.fstat(opened), lock.stat()
            if (mine.st_ino, mine.st_dev) == (named.st_ino, named.st_dev):
                return opened
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(opened)
            raise
        os.close(opened)
    except FileExistsError:
        return None
    except (OSError, ValueError) as error:
        raise _cannot("be locked", lock, error) from None
    return None
