"""
Rules told by tables, as TOML and JSON have them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar

import attrs

from imcm.domain.vocabulary import is_list, is_mapping, near_hint
from imcm.errors import InvalidValue


def tables(name: str, value: object) -> list[Mapping[str, Any]]:
    """Return a list of tables, each a mapping; Any: of whatever they tell."""
    given: list[object] = list(value) if is_list(value) else [None]
    if not all(map(is_mapping, given)):
        raise InvalidValue(name, value, "a list of tables")
    return [dict(each) for each in given if is_mapping(each)]


Made = TypeVar("Made")


def made(cls: Callable[..., Made], name: str, plain: Mapping[str, Any]) -> Made:
    """
    Return what a table tells of a class. Any: its fields are of any type.

    Args:
        name: How errors call the table.

    Raises:
        InvalidValue: It tells something else, or leaves something out that has to be told.
    """
    every = attrs.fields_dict(cls)  # type: ignore[arg-type]  # a class of attrs
    fields = {key: field for key, field in every.items() if field.init}
    refuse_others(name, plain, fields)
    missing = [key for key, field in fields.items() if field.default is attrs.NOTHING]
    for key in missing:
        if key not in plain:
            raise InvalidValue(f"{name}.{key}", None, "it has to be told")
    try:
        return cls(**plain)
    except InvalidValue as wrong:  # of one of several tables: which one
        allowed = str(wrong).partition(" is not allowed; ")[2]
        at = wrong.name if wrong.name.startswith(f"{name}.") else f"{name}.{wrong.name}"
        raise InvalidValue(at, wrong.value, allowed) from None


def refuse_others(name: str, plain: Mapping[str, Any], known: Collection[str]) -> None:
    """
    Refuse a table that tells what it can't. Any: whatever it tells.

    Raises:
        InvalidValue: One of its keys is none of those that are known.
    """
    for key, value in plain.items():
        if key not in known:
            allowed = f"one of {', '.join(known)}{near_hint(key, known)}"
            raise InvalidValue(f"{name}.{key}", value, allowed)


_UNITS: Final = {
    "week": timedelta(weeks=1),
    "day": timedelta(days=1),
    "hour": timedelta(hours=1),
    "minute": timedelta(minutes=1),
}
_LENGTH: Final = re.compile(rf"([1-9]\d{{0,6}}) ({'|'.join(_UNITS)})s?", re.ASCII)
_LENGTH_ALLOWED: Final = (
    'a length of time in whole minutes, such as "15 minutes", "36 hours" or "14 days" (by the '
    "clock: there are no working days)"
)


def checked_length(name: str, value: object) -> timedelta:
    """
    Return a length of time: a `timedelta` of whole minutes, or text such as "14 days".

    Args:
        name: How errors call it.
    """
    length = value
    if isinstance(value, str):
        match = _LENGTH.fullmatch(value)
        length = int(match[1]) * _UNITS[match[2]] if match else None
    if not isinstance(length, timedelta) or not _HUNDRED_YEARS >= length > timedelta():
        raise InvalidValue(name, value, _LENGTH_ALLOWED)
    if length % _UNITS["minute"]:
        raise InvalidValue(name, value, _LENGTH_ALLOWED)
    return length


_HUNDRED_YEARS: Final = timedelta(days=36_525)


def length_in_words(length: timedelta) -> str:
    """Return a length of time as the text that `checked_length` reads."""
    unit = next(name for name in ("day", "hour", "minute") if not length % _UNITS[name])
    count = length // _UNITS[unit]
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
