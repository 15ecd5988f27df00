"""
Effects that can't be taken back, delivered at least once.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from imcm.codec.decoding import decode
from imcm.codec.rows import StoredEvent
from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import checked_function
from imcm.ledger.reading import LedgerReader
from imcm.ledger.waiting import checked_seconds, checked_stop
from imcm.readmodel.follower import Follower

__all__ = [
    "deliver",
]


# --- other effects --------------------------------------------------------------------------------


class _Delivered:
    """A model that keeps only how far it is, and does something for each event."""

    name = "delivered 1"

    def __init__(self, effect: Callable[[Recorded], object]) -> None:
        self._effect = effect

    def create(self, connection: sqlite3.Connection) -> None:
        pass

    def resume(self, connection: sqlite3.Connection, position: int) -> None:
        pass

    def apply(self, connection: sqlite3.Connection, rows: Sequence[StoredEvent]) -> None:
        for row in rows:
            self._effect(decode(row))


def deliver(
    ledger: LedgerReader,
    path: str | Path,
    effect: Callable[[Recorded], object],
    *,
    every: float = 1.0,
    stop: threading.Event | None = None,
) -> None:
    """
    Call *effect* with each recorded event, in log order, at least once, until it is stopped.

    How far it is, is kept in a file, so it goes on where it was. After a crash between the effect
    and the note of it the event comes again: tell it by its `position` or its `record` id. One
    process at a time delivers with the same file; others wait. An error of the effect ends it, and
    the event comes again the next time.

    Args:
        ledger: What to follow.
        path: The file that says how far it is; made where it is not there, beginning with the
            first event of the ledger.
        every: Seconds to wait before looking again when there was nothing new.
        stop: Set it, from any thread or from the effect itself, to end.
        effect: What is called with each event.

    Raises:
        StoreError: The event delivered last is not in the log any more: it is another log, or was
            altered. Nothing is delivered again on its own; look, then name a new file.
    """
    every, stop = checked_seconds("every", every), checked_stop(stop)
    checked_function("effect", effect)

    def unless_stopped(recorded: Recorded) -> None:
        if stop.is_set():
            raise _Stopped
        effect(recorded)

    model = _Delivered(unless_stopped)
    with Follower(path, ledger, model, batch=1, rebuild=False) as follower, suppress(_Stopped):
        for _ in follower.run(every=every, stop=stop):
            pass


class _Stopped(Exception):
    """The delivery was stopped between two events."""
