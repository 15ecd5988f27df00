"""
What a table is read from, as bytes: files, pipes, what is packed in gzip or zip, with limits.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, NamedTuple, cast

import attrs

from imcm.errors import ImcmError, ImportRefusedError, InvalidValue

CHUNK: Final = 1 << 20
_IN_MEMORY: Final = 8 << 20
"""Bytes that are kept in memory; more go into a temporary file."""


def _positive(_: object, attribute: Any, value: object) -> None:
    # Any: attrs' own description of a field.
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 62:
        raise InvalidValue(attribute.name, value, "a whole number above 0")


@attrs.frozen(kw_only=True)
class Limits:
    """
    How much a table may hold. There is no limit of rows, nor of a plain file.

    Attributes:
        unpacked: Bytes that come out of gzip or zip, or through a pipe.
        ratio: How many times as large as what is packed; counted from 16 MB unpacked on.
        document: Bytes of one JSON document, and of an unpacked workbook: they are read whole.
        members: Files in one archive.
        columns: Columns, in a header or of all rows together.
        cell: Characters in a cell.
        row: Characters of one row as it is written.
        depth: How deep objects in JSON become columns of their own; deeper ones stay JSON.
        sheet_cells: Cells of a sheet, empty ones within its bounds included.
    """

    unpacked: int = attrs.field(default=2 << 30, validator=_positive)
    ratio: int = attrs.field(default=200, validator=_positive)
    document: int = attrs.field(default=256 << 20, validator=_positive)
    members: int = attrs.field(default=1_000, validator=_positive)
    columns: int = attrs.field(default=10_000, validator=_positive)
    cell: int = attrs.field(default=1_000_000, validator=_positive)
    row: int = attrs.field(default=16_000_000, validator=_positive)
    depth: int = attrs.field(default=8, validator=_positive)
    sheet_cells: int = attrs.field(default=20_000_000, validator=_positive)


class Label(NamedTuple):
    """What errors call a table, and what its rows are counted as: "line", "row" or "item"."""

    name: str
    unit: str

    def place(self, line: int) -> str:
        """Return how errors say where a row stands; the table itself for 0."""
        if not line:
            return self.name
        return f"{self.name}:{line}" if self.unit == "line" else f"{self.name} {self.unit} {line}"


def refused(label: Label, line: int, why: str) -> ImportRefusedError:
    """Return the error that names the table, the line where there is one, and what to do."""
    return ImportRefusedError(f"{label.place(line)}: {why}; nothing was recorded")


# --- content --------------------------------------------------------------------------------------


class _Part(io.RawIOBase):
    """A reader of a file of ours that has its own place in it, so that several may read it."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        if begin is None:
            begin = self._file.seek(0, os.SEEK_END)
        self._at = max(0, begin + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    # Any: a buffer of whatever class.
    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._at)
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class Content:
    """Bytes that are kept: each `open` reads them from the beginning."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)

    @contextmanager
    def open(self) -> Generator[BinaryIO]:
        """Give a reader from the beginning on."""
        with io.BufferedReader(_Part(self._file), CHUNK) as file:
            yield file

    def head(self) -> bytes:
        """Return how it begins."""
        with self.open() as file:
            return file.read(64)


class OnDisk(Content):
    """A file that is opened for each reading, and must then be the same as it was at first."""

    def __init__(self, label: Label, path: Path) -> None:
        self._label = label
        self._path = path
        self._state: tuple[int, ...] | None = None
        with self._opened() as file:
            state = os.fstat(file.fileno())
        self._state = _state(state)
        self.size = state.st_size

    def _opened(self) -> BinaryIO:
        label = self._label
        # Not waiting: a pipe that nobody writes to would wait for ever where it is opened.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            number = os.open(self._path, flags)
        except FileNotFoundError:
            raise ImportRefusedError(
                f"there is no file {label.name}; nothing was recorded"
            ) from None
        except IsADirectoryError:  # Windows says PermissionError
            raise _no_file(label) from None
        except OSError as error:
            if error.errno in {errno.ENXIO, errno.ENODEV}:  # a socket
                raise _no_file(label) from None
            raise refused(label, 0, f"it can't be read: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise _no_file(label)
        return os.fdopen(number, "rb", CHUNK)

    @contextmanager
    def open(self) -> Generator[BinaryIO]:
        """
        Give a reader from the beginning on.

        Raises:
            ImportRefusedError: It can't be read, or was changed since it was first opened.
        """
        with self._opened() as file:
            number = file.fileno()
            self._check(number)
            try:
                yield file
                # A reader that closes what it has read looks at the file once more by itself.
                if not file.closed:
                    self._check(number)
            except OSError as error:
                if error.errno is None:  # not the system's: gzip says so of what is damaged
                    raise
                raise refused(self._label, 0, f"it can't be read: {error.strerror}") from None

    def _check(self, number: int) -> None:
        if self._state is not None and _state(os.fstat(number)) != self._state:
            raise refused(self._label, 0, "it was changed while it was read; read it again")


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _no_file(label: Label) -> ImportRefusedError:
    why = 'it is no file but a directory, a pipe or a device; give a file, or pipe it in as "-"'
    return refused(label, 0, why)


def kept(data: bytes) -> Content:
    """Return bytes as content."""
    return Content(io.BytesIO(data))


def temporary(stack: ExitStack) -> IO[bytes]:
    """Return a file of ours, in memory while it is small, that goes with the stack."""
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 the stack closes it
    stack.callback(file.close)
    return file


# Any: whatever has a `read`.
def kept_file(
    label: Label, name: str, file: Any, limits: Limits, stack: ExitStack
) -> tuple[Content, bool]:
    """
    Read an open file to its end, once, and return its content, and whether it was of text.

    Raises:
        ImportRefusedError: It can't be read, or gives more than is taken.
        InvalidValue: What it gives is neither bytes nor text.
    """
    if _is_nothing(label, file):
        return kept(b""), False
    out = temporary(stack)
    is_text = False
    size = 0
    while True:
        try:
            data = file.read(CHUNK)
        except UnicodeDecodeError as error:
            found = error.object[error.start : error.start + 1].hex()
            why = (
                f"byte 0x{found} is not {error.encoding}, as which it was opened; open it as bytes"
            )
            raise refused(label, 0, why) from None
        except (OSError, ValueError) as error:  # closed, open for writing, a disk that fails
            why = getattr(error, "strerror", None) or str(error)
            raise refused(label, 0, f"it can't be read: {why}") from None
        if isinstance(data, str):
            is_text = True
            try:
                data = data.encode()
            except UnicodeEncodeError:
                why = "it holds text that is no Unicode; open it as bytes"
                raise refused(label, 0, why) from None
        if not isinstance(data, bytes):
            raise InvalidValue(name, data, "give a file that is open for reading bytes or text")
        if not data:
            return Content(out), is_text
        size += len(data)
        if size > limits.unpacked:
            why = f"more than {limits.unpacked:,} bytes came; give the path of a file"
            raise refused(label, 0, why)
        write(label, out, data)


def write(label: Label, out: IO[bytes], data: bytes) -> None:
    """
    Write to a file of ours.

    Raises:
        ImportRefusedError: The folder of temporary files is full, or there is none.
    """
    try:
        out.write(data)
    except OSError as error:
        why = f"there is no room for it among temporary files: {error.strerror}"
        raise refused(label, 0, why) from None


def _is_nothing(label: Label, file: Any) -> bool:
    """Say whether it is the device that gives nothing; others that never end are refused."""
    try:
        state = os.fstat(file.fileno())
    except (OSError, ValueError, AttributeError, TypeError, OverflowError):
        return False  # no file of the system
    if stat.S_ISDIR(state.st_mode):
        raise _no_file(label)
    if not stat.S_ISCHR(state.st_mode) and not stat.S_ISBLK(state.st_mode):
        return False
    null = Path(os.devnull)
    if null.exists() and getattr(null.stat(), "st_rdev", -1) == state.st_rdev:
        return True
    if not os.isatty(file.fileno()):
        raise refused(label, 0, "it is a device, which may never end; give a file")
    return False


# --- packed ---------------------------------------------------------------------------------------

_SMALL: Final = 16 << 20
"""Bytes up to which nobody asks how well they were packed."""


def _unpacked(
    label: Label, source: IO[bytes], packed: int, limits: Limits, stack: ExitStack
) -> Content:
    out = temporary(stack)
    _copy(label, source, out, packed, limits.unpacked, limits)
    return Content(out)


def _copy(
    label: Label, source: IO[bytes], out: IO[bytes], packed: int, most: int, limits: Limits
) -> int:
    size = 0
    while data := source.read(CHUNK):
        size += len(data)
        if size > most or (size > _SMALL and size > limits.ratio * packed):
            why = (
                f"it unpacks to more than {most:,} bytes"
                if size > most
                else f"it unpacks to more than {limits.ratio} times its size"
            )
            raise refused(label, 0, f"{why}, which is not taken; unpack it and give the file")
        write(label, out, data)
    return size


def gunzipped(label: Label, content: Content, limits: Limits, stack: ExitStack) -> Content:
    """
    Return what is packed in gzip.

    Raises:
        ImportRefusedError: It is damaged, cut off, or unpacks to too much.
    """
    try:
        with content.open() as file, gzip.GzipFile(fileobj=file) as source:
            return _unpacked(label, cast("IO[bytes]", source), content.size, limits, stack)
    except (gzip.BadGzipFile, zlib.error, EOFError, struct.error) as error:
        raise refused(label, 0, f"it is no whole gzip file: {error}; get it again") from None


@contextmanager
def archive_of(label: Label, content: Content, limits: Limits) -> Generator[zipfile.ZipFile]:
    """
    Give a zip archive whose list of files is small enough.

    Raises:
        ImportRefusedError: It is none, or holds too much; also from what is done with it.
    """
    try:
        with content.open() as file:
            _check_listing(label, file, content.size, limits)
            with zipfile.ZipFile(file) as archive:
                _check_members(label, len(archive.infolist()), limits)
                yield archive
    except ImcmError:
        raise
    except Exception as error:  # of a damaged one zipfile raises whatever its fields lead to
        raise refused(label, 0, f"it is no whole zip file: {error}; get it again") from None


_END: Final = b"PK\x05\x06"
_LISTED: Final = 4_096
"""Bytes that one file takes in the list of an archive, at most."""


def _check_listing(label: Label, file: BinaryIO, size: int, limits: Limits) -> None:
    """Refuse a list of files that is too large before it is read: all of it is, at once."""
    file.seek(max(0, size - 65_557))
    tail = file.read()
    at = tail.rfind(_END)
    listing = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    if listing == 0xFFFFFFFF or tail[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
        begin = tail.rfind(b"PK\x06\x06")
        listing = int.from_bytes(tail[begin + 40 : begin + 48], "little") if begin >= 0 else 0
    file.seek(0)
    _check_members(label, listing // _LISTED, limits)


def _check_members(label: Label, count: int, limits: Limits) -> None:
    if count > limits.members:
        why = f"more than {limits.members:,} files are in it; give the table alone"
        raise refused(label, 0, why)


def listed_members(label: Label, content: Content, limits: Limits) -> list[str]:
    """Return the names of the files in an archive, but not of what a system puts beside them."""
    with archive_of(label, content, limits) as archive:
        return [
            each.filename
            for each in archive.infolist()
            if not each.is_dir()
            and not each.filename.startswith("__MACOSX/")
            and not each.filename.rpartition("/")[2].startswith(".")
        ]


def unpacked(
    label: Label, content: Content, member: str, limits: Limits, stack: ExitStack
) -> Content:
    """
    Return one file of an archive.

    Raises:
        ImportRefusedError: It is damaged, has a password, is packed in a way that is not read, or
            unpacks to too much.
    """
    with archive_of(label, content, limits) as archive:
        info = archive.getinfo(member)
        with _member(label, archive, info) as source:
            return _unpacked(label, source, info.compress_size, limits, stack)


def _member(label: Label, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    if info.flag_bits & 1:
        raise refused(label, 0, "it has a password; unpack it and give the file")
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise refused(label, 0, "it is packed in a rare way; unpack it and give the file")
    return archive.open(info)


def repacked(label: Label, content: Content, limits: Limits) -> tuple[bytes, dict[str, bytes]]:
    """
    Return an archive once more, plain and as its list says it is, and its files by name.

    What another reader makes of an odd archive is not known; of this one it is.

    Raises:
        ImportRefusedError: As for one file; all of them together are a document.
    """
    files: dict[str, bytes] = {}
    left = limits.document
    with archive_of(label, content, limits) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            if info.filename in files:
                raise refused(label, 0, "a file is in it twice; save it again")
            out = io.BytesIO()
            with _member(label, archive, info) as source:
                left -= _copy(label, source, out, info.compress_size, left, limits)
            files[info.filename] = out.getvalue()
        again = io.BytesIO()
        with zipfile.ZipFile(again, "w", zipfile.ZIP_STORED) as plain:
            for name, data in files.items():
                plain.writestr(zipfile.ZipInfo(name), data)
    return again.getvalue(), files
