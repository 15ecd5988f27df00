"""How whoever follows a log waits: how often it looks again, and what ends it."""

from __future__ import annotations

import threading
from typing import Any

from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.domain.vocabulary import checked_text, is_list, is_number
from imcm.errors import InvalidValue


def checked_seconds(name: str, value: object) -> float:
    """
    Return *value* if so many seconds can be waited.

    Raises:
        InvalidValue: It is no number from 0 on, or longer than any thread can wait.
    """
    if not is_number(value) or not 0 <= value <= threading.TIMEOUT_MAX:
        allowed = f"a number of seconds from 0 to {threading.TIMEOUT_MAX:,.0f}"
        raise InvalidValue(name, value, allowed)
    return value


def checked_kinds(value: object) -> frozenset[str]:
    """
    Return of which kinds events are wanted.

    Raises:
        InvalidValue: It is no list of "incident" and "change".
    """
    allowed = 'a list of "incident" and "change"'
    if isinstance(value, str) or not is_list(value):
        raise InvalidValue("kinds", value, allowed)
    kinds = frozenset(checked_text("kinds", kind) for kind in value)
    if not kinds or not kinds <= {INCIDENT, CHANGE}:
        raise InvalidValue("kinds", sorted(kinds), allowed)
    return kinds


def checked_stop(value: object) -> threading.Event:
    """
    Return what ends the waiting; a new event, which nobody sets, for None.

    An event of `multiprocessing` will do as well.

    Raises:
        InvalidValue: It is no event.
    """
    if value is None:
        return threading.Event()
    stop: Any = value
    if not callable(getattr(stop, "is_set", None)) or not callable(getattr(stop, "wait", None)):
        raise InvalidValue("stop", value, "give a threading.Event")
    event: threading.Event = stop
    return event
