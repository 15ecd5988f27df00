"""
Waiting: for others to let go of a SQLite file, and, following a log, for what is recorded next.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.domain.vocabulary import checked_text, is_list, is_number
from imcm.errors import InvalidValue

T = TypeVar("T")


def once_free(call: Callable[[], T], *, seconds: float, pause: tuple[float, float]) -> T:
    """
    Return what a call to SQLite gives, called again and again while others hold the file.

    SQLite's own way of waiting looks ever more seldom, up to ten times a second, so that who has
    waited longest has the worst chance; and some calls don't wait at all. Here all who wait look
    equally often.

    Args:
        seconds: How long to wait for others.
        pause: Seconds between two calls, at least and at most.

    Raises:
        sqlite3.OperationalError: It failed for another reason, or others hold the file still.
    """
    give_up = time.monotonic() + seconds
    while True:
        try:
            return call()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > give_up:
                raise
        time.sleep(random.uniform(*pause))  # noqa: S311 (no secret)


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Say whether a call failed since others hold the file."""
    name: str = getattr(error, "sqlite_errorname", "")
    return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


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
