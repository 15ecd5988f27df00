"""
Things with fields as documents: what stands of them, without what nobody said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any, Final

import attrs

from imcm.documents.structure import Cell, Column, Document, Table, time_text

_MOST: Final = 10
_UNSAID: Final = (None, "", False, (), 0)


def fields_document(title: str, value: object, *, leave_out: Collection[str] = ()) -> Document:
    """
    Return what a thing with fields says as a table with a line for each of them.

    Args:
        title: What it is, in a line.
        value: A named tuple or a class of attrs. Fields that say nothing are left out.
        leave_out: Names of fields that are no use to a person.
    """
    rows = [
        (name.replace("_", " "), value_cell(each))
        for name, each in _fields(value)
        if name not in leave_out and not _says_nothing(each)
    ]
    table = Table(title=title, columns=(Column(name="field"), Column(name="says")), rows=rows)
    return Document(title=title, blocks=(table,))


def rows_table(
    title: str, columns: Sequence[Column], rows: Iterable[Sequence[object]], *, total: int
) -> Table:
    """
    Return things as a table, whatever kind of value each of their fields has.

    Args:
        title: What they are.
        columns: The columns.
        rows: A value for each column, of those that are shown.
        total: How many there are in all.
    """
    shown = [tuple(map(value_cell, row)) for row in rows]
    return Table(title=title, columns=tuple(columns), rows=shown, more=max(0, total - len(shown)))


def value_cell(value: object) -> Cell:
    """Return any value as a cell: numbers and times as they are, all else in words."""
    if isinstance(value, (datetime, float)) or (
        isinstance(value, int) and not isinstance(value, (bool, Enum))
    ):
        return value
    return None if value is None else value_text(value)


def value_text(value: object) -> str:
    """Return any value in words: of many a few, of things with fields those that say something."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Enum():
            return str(value.value)
        case str():
            return value
        case datetime():
            return time_text(value)
        case date():
            return value.isoformat()
        case timedelta():
            return str(value)
        case Mapping():
            return _few(_pairs(value))
        case _ if fields := _fields(value):
            texts = [value_text(each) for _, each in fields if not _says_nothing(each)]
            return " ".join(texts)
        case tuple() | list() | set() | frozenset():
            return _few(_members(value))
        case _:
            return str(value)


def _pairs(value: Any) -> list[str]:
    # Any, here and below: names and values of every kind.
    return [f"{value_text(name)}: {value_text(each)}" for name, each in value.items()]


def _members(value: Any) -> list[str]:
    texts = [value_text(each) for each in value]
    return texts if isinstance(value, (tuple, list)) else sorted(texts)


def _few(texts: Sequence[str]) -> str:
    text = ", ".join(texts[:_MOST])
    return text if len(texts) <= _MOST else f"{text}, ... and {len(texts) - _MOST:,} more"


def _fields(value: object) -> list[tuple[str, Any]]:
    # Any: fields are as varied as the things that have them.
    named: Any = getattr(value, "_fields", None)
    if named is not None:
        return [(name, getattr(value, name)) for name in named]
    kind: type[Any] = type(value)
    if attrs.has(kind):
        return [(field.name, getattr(value, field.name)) for field in attrs.fields(kind)]
    return []


def _says_nothing(value: Any) -> bool:
    return value in _UNSAID or (hasattr(value, "__len__") and not len(value))
