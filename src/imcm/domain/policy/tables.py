"""
Rules told by tables, as TOML and JSON have them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

import attrs

from imcm.domain.vocabulary import is_list, is_mapping
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
    fields = attrs.fields_dict(cls)  # type: ignore[arg-type]  # a class of attrs
    refuse_others(name, plain, fields)
    missing = [key for key, field in fields.items() if field.default is attrs.NOTHING]
    for key in missing:
        if key not in plain:
            raise InvalidValue(f"{name}.{key}", None, "it has to be told")
    try:
        return cls(**plain)
    except InvalidValue as wrong:  # of one of several tables: which one
        allowed = str(wrong).partition(" is not allowed; ")[2]
        raise InvalidValue(f"{name}.{wrong.name}", wrong.value, allowed) from None


def refuse_others(name: str, plain: Mapping[str, Any], known: Collection[str]) -> None:
    """
    Refuse a table that tells what it can't. Any: whatever it tells.

    Raises:
        InvalidValue: One of its keys is none of those that are known.
    """
    for key, value in plain.items():
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"; near: {near[0]}" if near else ""
            raise InvalidValue(f"{name}.{key}", value, f"one of {', '.join(known)}{hint}")
