"""
Results as plain values, for JSON.
"""

from __future__ import annotations

from datetime import date, timedelta
from enum import Enum
from typing import Any

import attrs

from imcm.domain.vocabulary import is_list, is_mapping


def jsonable(value: object) -> Any:
    """
    Return *value* as plain values for JSON: times and days as ISO 8601 text, durations in seconds.

    Any: what comes out is as varied as what goes in. Whole events are left out of what holds them.
    """
    # An enumeration first: its members are text as well.
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):  # a time is one, too
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    named: Any = getattr(value, "_asdict", None)
    if named is not None:
        value = named()
    if is_mapping(value):
        return {str(name): jsonable(item) for name, item in value.items()}
    if is_list(value):
        return [jsonable(item) for item in value]
    kind: type[Any] = type(value)
    if attrs.has(kind):
        fields = [field.name for field in attrs.fields(kind) if field.name != "event"]
        return {name: jsonable(getattr(value, name)) for name in fields}
    return value
