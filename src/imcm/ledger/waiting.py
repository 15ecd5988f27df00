"""
Waiting: for others to let go of a SQLite file, and, following a log, for what is recorded next.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.domain.vocabulary import checked_text, is_list, is_number
from imcm.errors import InvalidValue

if TYPE_CHECKING:
    from types import TracebackType

    from imcm.ledger.notifications import Listener

T = TypeVar("T")

LOOK_ANYWAY: Final = 60.0
"""Seconds after which somebody who is told of what is new looks without having been told."""

_LOOK_AT_STOP: Final = 0.1
"""Seconds between two looks at whether to stop: nobody can wait for two things at once."""


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


class _Patience:
    """
    How long somebody who follows a log waits for more when nobody wakes them.

    Where the store tells of what is appended, that is long. But a notification need not come: the
    server may be one that is none any more, a pool of connections may stand in between, or a row
    may have been put in by somebody who notifies nobody. Who finds something without having been
    told looks as often as elsewhere, until a notification comes.
    """

    def __init__(self, listener: Listener | None, every: float) -> None:
        self._listener = listener
        self._every = every
        self._notified = False  # a notification came since the last wait ended
        self._unnotified = False  # something was found that no notification told of
        self._trusting = False
        self._overslept = False  # the last wait was a long one, and ended by itself

    def _seconds(self, *, is_new: bool) -> float:
        """Return how long to wait at most; *is_new* says whether there was anything new."""
        if is_new and self._overslept:
            self._unnotified = True
        listening = self._listener is not None and self._listener.listening
        self._trusting = listening and not self._unnotified
        return max(self._every, LOOK_ANYWAY) if self._trusting else self._every

    def _waited(self, *, woken: bool) -> None:
        self._overslept = self._trusting and not woken
        if self._notified:
            self._notified = self._unnotified = False


class Waiter(_Patience):
    """
    Waits for what is recorded next, in a thread that follows a log.

    What is new is only found by looking: each time it has waited, look behind the position that
    was read last. Close it at the end.

    Args:
        listener: What tells of appends; None where nothing does.
        every: Seconds to wait where nothing does.
    """

    def __init__(self, listener: Listener | None, every: float) -> None:
        super().__init__(listener, every)
        self._woken = threading.Event()

    def wait(self, stop: threading.Event, *, is_new: bool) -> None:
        """
        Return when it is time to look, or when *stop* is set.

        Args:
            stop: Ends the waiting.
            is_new: Whether there was anything new since it waited last.
        """
        if self._listener is None:
            stop.wait(self._every)
            return
        self._listener.add(self._wake)
        end = time.monotonic() + self._seconds(is_new=is_new)
        woken = False
        while not (woken or stop.is_set()):
            left = end - time.monotonic()
            woken = self._woken.wait(min(max(left, 0), _LOOK_AT_STOP))
            if left <= 0:
                break
        self._woken.clear()
        self._waited(woken=woken)

    def _wake(self, notified: bool) -> None:
        self._notified = self._notified or notified
        self._woken.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._listener is not None:
            self._listener.remove(self._wake)


class AsyncWaiter(_Patience):
    """Waits as `Waiter` does, in a task: no thread is held meanwhile, however many wait."""

    def __init__(self, listener: Listener | None, every: float) -> None:
        import asyncio  # who does not follow so does not load it

        super().__init__(listener, every)
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()

    async def wait(self, *, is_new: bool) -> None:
        """Return when it is time to look; *is_new* as for `Waiter.wait`."""
        import asyncio

        if self._listener is None:
            await asyncio.sleep(self._every)
            return
        self._listener.add(self._wake)
        woken = True
        try:
            async with asyncio.timeout(self._seconds(is_new=is_new)):
                await self._woken.wait()
        except TimeoutError:
            woken = False
        self._woken.clear()
        self._waited(woken=woken)

    def _wake(self, notified: bool) -> None:
        self._notified = self._notified or notified
        with suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(self._woken.set)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._listener is not None:
            self._listener.remove(self._wake, wait=False)  # the loop must not wait for a thread
