"""
JSON documents and JSON lines as mappings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from imcm.interchange.table_bytes import Content, Label, Limits, refused

_BOM: Final = b"\xef\xbb\xbf"
_BLANKS: Final = b" \t\r\n"
_DEEPEST: Final = 3
"""How many objects deep a list of rows is looked for: {"data": {"issues": [...]}}."""

_any: Final = msgspec.json.Decoder().decode
_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_ERRORS: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def is_lines(content: Content, limits: Limits) -> bool:
    """Say whether the first two lines that are not blank are each an object of their own."""
    with content.open() as file:
        found = 0
        while found < 2:
            line = file.readline(limits.row + 1)
            if not line or len(line) > limits.row:
                return False
            text = line.removeprefix(_BOM).strip(_BLANKS)
            if not text:
                continue
            if not text.startswith(b"{") or not text.endswith(b"}"):
                return False
            try:
                _object(text)
            except _ERRORS:
                return False
            found += 1
    return True


def _value(label: Label, line: int, text: Any) -> Any:
    # Any: JSON may tell anything.
    try:
        return _any(text)
    except _ERRORS as error:
        raise refused(label, line, f"it is not JSON: {error}") from None


def line_rows(label: Label, content: Content, limits: Limits) -> Iterator[tuple[int, object]]:
    """
    Yield what each line tells, with its number.

    Raises:
        ImportRefusedError: A line is too long or no JSON.
    """
    with content.open() as file:
        number = 0
        while line := file.readline(limits.row + 1):
            number += 1
            if len(line) > limits.row:
                why = f"it is longer than {limits.row:,} bytes, which is not read"
                raise refused(label, number, why)
            text = (line.removeprefix(_BOM) if number == 1 else line).strip(_BLANKS)
            if text:
                yield number, _value(label, number, text)


def document_rows(
    label: Label, content: Content, limits: Limits
) -> tuple[str, Iterator[tuple[int, object]]]:
    """
    Return the list of objects in a document: where it stands, and what each of them tells.

    Raises:
        ImportRefusedError: It is too large, no JSON, or has no such list, or several.
    """
    if content.size > limits.document:
        why = (
            f"it has {content.size:,} bytes; a document of at most {limits.document:,} is read. "
            "JSON lines have no such limit"
        )
        raise refused(label, 0, why)
    with content.open() as file:
        data = file.read().removeprefix(_BOM).strip(_BLANKS)
    where, items = "", data
    if data.startswith(b"{"):
        lists = _lists(label, data, "", _DEEPEST)
        full = {name: items for name, items in lists.items() if items}
        if len(full or lists) != 1:
            told = ", ".join(repr(name[:60]) for name in [*lists][:10])
            what = f"several lists of objects: {told}" if lists else "no list of objects"
            raise refused(label, 0, f"it has {what}; give the list alone, or JSON lines")
        where, rows = next(iter((full or lists).items()))
    else:
        rows = _parsed(label, items, _list)
    # The text of a row goes as soon as the row was told.
    rows.reverse()

    def each() -> Iterator[tuple[int, object]]:
        number = 0
        while rows:
            number += 1
            yield number, _value(label, number, rows.pop())

    return where, each()


def _parsed(label: Label, data: Any, read: Any) -> Any:
    # Any: the decoders above say what comes out.
    try:
        return read(data)
    except _ERRORS as error:
        raise refused(label, 0, f"it is not JSON that holds rows: {error}") from None


def _lists(label: Label, data: Any, before: str, depth: int) -> dict[str, list[Any]]:
    """Return the lists of objects in an object; where it has none, those in its objects."""
    found: dict[str, list[Any]] = {}
    objects: dict[str, Any] = {}
    for name, value in _parsed(label, data, _object).items():
        text = bytes(value)
        if text.startswith(b"["):
            items = _parsed(label, value, _list)
            if not items or bytes(items[0]).startswith(b"{"):
                found[before + name] = items
        elif text.startswith(b"{"):
            objects[before + name] = value
    if not found and depth > 1:
        for name, value in objects.items():
            found |= _lists(label, value, f"{name}.", depth - 1)
    return found
