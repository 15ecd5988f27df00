"""
The whole log as JSON lines: one recorded event a line, lossless to the byte.

A line is `{"stream":"...","version":1,"type":"...","state":` + the stored bytes as they are +
`}`. A state that can't stand in a line (compressed, encrypted, not one line of JSON) goes as
base64 in `"state64"` instead. There is one way to write a log, so what is read and written again
is the same file, events of unknown type included.

    with open("log.jsonl", "wb") as file:
        write(ledger.rows(), file)
    with open("log.jsonl", "rb") as file:
        restored = Ledger.restored("copy.db", read(file))
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from typing import Annotated, BinaryIO, Final

import msgspec

from imcm.codec.rows import StoredEvent, checked_rows
from imcm.domain.vocabulary import is_list, is_mapping
from imcm.errors import InvalidValue, MalformedLineError, StoreError
from imcm.files import checked_output
from imcm.plain import quoted_briefly
from imcm.verifier import redact, split_words

_ABSENT: Final = msgspec.Raw(b"")
_Name = Annotated[str, msgspec.Meta(min_length=1)]
_Number = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    stream: _Name
    version: _Number
    type: _Name
    state: msgspec.Raw = _ABSENT
    state64: str = ""


class _Words(msgspec.Struct):
    words: msgspec.Raw = _ABSENT


_json: Final = msgspec.json.Encoder().encode
_line: Final = msgspec.json.Decoder(_Line)
_words: Final = msgspec.json.Decoder(_Words)
_raw: Final = msgspec.json.Decoder(msgspec.Raw)


def write(rows: Iterable[StoredEvent], file: BinaryIO, *, words: bool = True) -> int:
    """
    Write rows as JSON lines, in the order given, and return how many.

    Args:
        rows: For example `ledger.rows()`.
        file: Open for writing bytes.
        words: False leaves free text and names out from the start: in their place stands their
            SHA-256, so that every proof over the log still holds. Facts stay byte for byte.

    Raises:
        StoreError: Words are to be left out of a state in which they can't be told apart.
    """
    checked_output(file)
    count = 0
    for row in checked_rows(rows):
        file.write(_written(row if words else row._replace(state=_without_words(row))))
        count += 1
    return count


def _written(row: StoredEvent) -> bytes:
    name, state = b"state", row.state
    if not _stands_in_a_line(state):
        name, state = b"state64", b'"' + b64encode(state) + b'"'
    return b'{"stream":%b,"version":%d,"type":%b,"%b":%b}\n' % (
        _json(row.stream),
        row.version,
        _json(row.type),
        name,
        state,
    )


def _stands_in_a_line(state: bytes) -> bool:
    """Say whether *state* is one JSON object with no line break and no blank around it."""
    if not state.startswith(b"{") or not state.endswith(b"}") or b"\n" in state or b"\r" in state:
        return False
    try:
        state.decode()
        _raw.decode(state)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return False
    return True


def _without_words(row: StoredEvent) -> bytes:
    state = row.state
    where = f"{row.stream} version {row.version}: words can't be left out of it, because"
    if not _stands_in_a_line(state):
        raise StoreError(f"{where} its state is not plain JSON; export it with words")
    _, words = split_words(state)
    if bytes(_words.decode(state).words) != words:
        # Rather no export than one in which words are left by mistake.
        raise StoreError(f"{where} they are not the last member of its state")
    return redact(state)


def read(file: Iterable[bytes]) -> Iterator[StoredEvent]:
    """
    Yield the rows of an export; the position of each is the number of its line.

    Lines are read as they are asked for, and the bytes of each state are taken as they stand.
    That lines are missing at the end can be seen only if the cut is inside a line: compare the
    count, or verify the log against a checkpoint.

    Args:
        file: Open for reading bytes.

    Raises:
        MalformedLineError: A line is not what an export writes (no JSON, not UTF-8, a member
            missing, too many, or written in another way), is cut off, or repeats or skips a
            version of its stream; or there is no line at all.
    """
    if not is_list(file) or is_mapping(file):
        raise InvalidValue("file", file, _LINES)
    versions: dict[str, int] = {}
    number = 0
    for number, line in enumerate(file, start=1):
        row = _row(number, line)
        last = versions.get(row.stream, 0)
        if row.version <= last:
            raise MalformedLineError(
                number, f"version {row.version} of {row.stream} comes again after {last}"
            )
        if row.version != last + 1:
            raise MalformedLineError(
                number, f"{row.stream} has version {row.version} where {last + 1} belongs"
            )
        versions[row.stream] = row.version
        yield row
    if not number:
        raise MalformedLineError(1, "the file is empty; an export has at least one line")


_LINES: Final = "give a file that is open for reading bytes"


def _row(number: int, line: bytes) -> StoredEvent:
    if not isinstance(line, bytes):
        raise InvalidValue("file", line, _LINES)
    if not line.endswith(b"\n"):
        raise MalformedLineError(number, "it is cut off: it has no line end; get the whole file")
    try:
        line.decode()
        told = _line.decode(line)
        state = bytes(told.state) or b64decode(told.state64, validate=True)
    except UnicodeDecodeError as error:
        raise MalformedLineError(number, f"it is not UTF-8: {error.reason}") from None
    except binascii.Error as error:
        raise MalformedLineError(number, f"its state64 is not base64: {error}") from None
    except msgspec.ValidationError as error:
        why = quoted_briefly(str(error), line.decode())
        raise MalformedLineError(number, f"it is no recorded event: {why}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedLineError(number, f"it is not JSON: {error}") from None
    if not state:
        raise MalformedLineError(number, "it has no state")
    row = StoredEvent(number, told.stream, told.version, told.type, state)
    if _written(row) != line:
        # Also what a lenient reader would take silently: a member twice, blanks, another order.
        raise MalformedLineError(
            number,
            'an export writes it in another way: {"stream":...,"version":...,"type":...,'
            '"state":...}, no blank between, one line feed at the end; get the file as exported',
        )
    return row
