"""
Payloads in files: JSON texts, one a line or one behind the other; also packed by gzip.

Each text is a payload, a page of them as an API gives it, or a list of payloads or of pages.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from imcm.errors import ImportRefusedError, InvalidValue
from imcm.files import checked_path
from imcm.interchange.formats import Format, payloads_of
from imcm.interchange.payloads import DEFAULT, LARGEST, Options, json_of
from imcm.interchange.statements import Dropped, Statement, sha256_of

LARGEST_FILE: Final = 1_000_000_000
"""Bytes that a file of payloads has at most, unpacked."""

_WHOLE: Final = 200_000_000
"""Bytes of a file that is one JSON text: it is read whole."""

_NOTHING: Final = "nothing was recorded"

_MARKS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[][{}]', re.DOTALL)
"""What tells where a JSON text ends: whole strings, in which no bracket counts, and brackets."""


class Bad(NamedTuple):
    """
    A payload that could not be read.

    Attributes:
        where: The file and the line, or the place in its list.
        why: What is wrong with it.
    """

    where: str
    why: str

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.where}: {self.why}"


class OfPayload(NamedTuple):
    """
    What one payload of a file says.

    Attributes:
        where: The file and the line, or the place in its list.
        statements: What was read.
        dropped: What of it did not fit.
        bad: Why it could not be read; None where it could.
    """

    where: str
    statements: tuple[Statement, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    bad: Bad | None = None


def read_files(
    paths: Iterable[str | Path], made: Format, options: Options = DEFAULT
) -> Iterator[OfPayload]:
    """
    Yield what the payloads of some files say, in their order.

    Args:
        paths: Files of JSON, of JSON lines, of JSON texts one behind the other, or of these packed
            by gzip (`.gz`); "-" is the standard input.
        made: The format they are of.
        options: How they are read.

    Raises:
        ImportRefusedError: A file can't be read, is no JSON, or is too large.
        InvalidValue: The options say what the format never asks.
    """
    made.check(options)
    for path in paths:
        for where, payload, digest in _payloads(path, made):
            if isinstance(payload, Bad):
                yield OfPayload(where, bad=payload)
                continue
            try:
                read = made.read(payload, options)
            except InvalidValue as error:
                yield OfPayload(where, bad=Bad(where, str(error)))
                continue
            told = tuple(each.with_digest(digest) for each in read.statements)
            yield OfPayload(where, told, read.dropped)


def _payloads(given: str | Path, made: Format) -> Iterator[tuple[str, Any, str]]:
    if str(given) == "-":
        yield from _of_stream("standard input", sys.stdin.buffer, made)
        return
    path = checked_path("files", given)
    try:
        if not path.is_file():
            what = "is not a file" if path.exists() else "is not there"
            raise ImportRefusedError(f"{path} {what}; {_NOTHING}")
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from _of_stream(str(path), file, made)  # type: ignore[arg-type]
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise ImportRefusedError(f"{path} can't be read: {why}") from None


def _of_stream(name: str, file: BinaryIO, made: Format) -> Iterator[tuple[str, Any, str]]:
    """Yield each payload with where it stands, and the hash of its text."""
    first = file.readline(LARGEST + 1)
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ImportRefusedError(f"{name} is UTF-16; JSON is UTF-8: save it so; {_NOTHING}")
    first = first.removeprefix(codecs.BOM_UTF8)
    blank = 0
    while first and not first.strip():
        first, blank = file.readline(LARGEST + 1), blank + 1
    if not first:
        raise ImportRefusedError(f"{name} is empty; {_NOTHING}")
    if _is_whole(first):
        yield from _of_lines(name, blank, first, file, made)
        return
    rest = file.read(_WHOLE + 1)
    if len(rest) > _WHOLE:
        raise ImportRefusedError(f"{name} is one JSON text of more than {_WHOLE:,} bytes")
    whole = first + rest
    try:
        value = json_of(whole, largest=_WHOLE + LARGEST)
    except InvalidValue as error:
        if _is_cut(first) and b"\n" in rest:
            yield from _of_lines(name, blank, first, io.BytesIO(rest), made)
            return
        texts = _texts(whole)
        if len(texts) == 1:
            raise _no_json(name, error) from None
        yield from _of_texts(name, texts, made)
        return
    yield from _each(name, value, whole, made)


def _no_json(name: str, error: InvalidValue) -> ImportRefusedError:
    return ImportRefusedError(f"{name} is neither JSON nor JSON lines: {error.allowed}; {_NOTHING}")


def _texts(whole: bytes) -> list[bytes]:
    """Return the texts that stand one behind the other, each to the bracket that ends it."""
    texts: list[bytes] = []
    begin = depth = 0
    for found in _MARKS.finditer(whole):
        mark = found[0]
        depth += 1 if mark in b"[{" else -1 if mark in b"]}" else 0
        if not depth and mark in b"]}":
            texts.append(whole[begin : found.end()])
            begin = found.end()
    rest = whole[begin:]
    return [*texts, rest] if rest.strip() or not texts else texts


def _of_texts(name: str, texts: Iterable[bytes], made: Format) -> Iterator[tuple[str, Any, str]]:
    """Yield each payload of several texts; of a file in which one is none nothing is read."""
    values: list[tuple[str, Any, bytes]] = []
    for number, text in enumerate(texts, start=1):
        where = f"{name} (text {number})"
        try:
            values.append((where, json_of(text, largest=_WHOLE + LARGEST), text))
        except InvalidValue as error:
            raise _no_json(where, error) from None
    for where, value, text in values:
        yield from _each(where, value, text, made)


def _is_whole(line: bytes) -> bool:
    """Say whether one line is a JSON text by itself."""
    try:
        json_of(line)
    except InvalidValue:
        return False
    return True


def _of_lines(
    name: str, before: int, line: bytes, file: BinaryIO, made: Format
) -> Iterator[tuple[str, Any, str]]:
    number, size = before, 0
    while line:
        number += 1
        where = f"{name}:{number}"
        length = len(line) + (_skipped(file) if _is_cut(line) else 0)
        size += length
        if size > LARGEST_FILE:
            raise ImportRefusedError(f"{name} has more than {LARGEST_FILE:,} bytes")
        if _is_cut(line):
            yield where, Bad(where, f"a line of {length:,} bytes; at most {LARGEST:,}"), ""
        elif line.strip():
            try:
                value = json_of(line)
            except InvalidValue as error:
                yield where, Bad(where, str(error)), ""
            else:
                yield from _each(where, value, line, made)
        line = file.readline(LARGEST + 1)


def _is_cut(line: bytes) -> bool:
    """Say whether a line is longer than what was read of it."""
    return len(line) > LARGEST and not line.endswith(b"\n")


def _skipped(file: BinaryIO) -> int:
    """Leave the rest of a line out, and return how many bytes that was."""
    size = 0
    while part := file.readline(LARGEST):
        size += len(part)
        if part.endswith(b"\n"):
            break
    return size


def _each(where: str, value: object, raw: bytes, made: Format) -> Iterator[tuple[str, Any, str]]:
    digest = sha256_of(raw.strip())
    several = list(payloads_of(value, made))
    for place, payload in enumerate(several, start=1):
        named = where if len(several) == 1 else f"{where} [{place}]"
        yield named, payload, digest if len(several) == 1 else sha256_of(f"{digest} {place}")
