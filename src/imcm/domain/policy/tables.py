"""
Rules told by tables, as TOML and JSON have them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    for key in plain:
        if key not in fields:
            near = get_close_matches(str(key), fields, n=1)
            hint = f"; near: {near[0]}" if near else ""
            raise InvalidValue(f"{name}.{key}", plain[key], f"one of {', '.join(fields)}{hint}")
    missing = [key for key, field in fields.items() if field.default is attrs.NOTHING]
    for key in missing:
        if key not in plain:
            raise InvalidValue(f"{name}.{key}", None, "it has to be told")
    return cls(**plain)
