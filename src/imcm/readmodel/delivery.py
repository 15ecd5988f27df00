"""
Effects that can't be taken back, delivered at least once.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from inspect import isawaitable, iscoroutinefunction
from pathlib import Path
from typing import Literal

from imcm.codec.decoding import decode
from imcm.codec.rows import StoredEvent
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, kind_and_id
from imcm.domain.vocabulary import checked_function
from imcm.errors import InvalidValue
from imcm.ledger.reading import LedgerReader
from imcm.ledger.waiting import checked_kinds, checked_seconds, checked_stop
from imcm.readmodel.follower import Follower

__all__ = ["adeliver", "deliver"]


class _Delivered:
    """A model that keeps only how far it is, and does something for each event."""

    name = "delivered 1"

    def __init__(self, effect: Callable[[Recorded], object], kinds: frozenset[str]) -> None:
        self._effect = effect
        self._kinds = kinds

    def create(self, connection: sqlite3.Connection) -> None:
        pass

    def resume(self, connection: sqlite3.Connection, position: int) -> None:
        pass

    def apply(self, connection: sqlite3.Connection, rows: Sequence[StoredEvent]) -> None:
        for row in rows:
            if kind_and_id(row.stream)[0] in self._kinds:
                self._effect(decode(row))

    def save(self, connection: sqlite3.Connection, *, more: bool) -> None:
        pass


def deliver(
    ledger: LedgerReader,
    path: str | Path,
    effect: Callable[[Recorded], object],
    *,
    begin: int | Literal["now"] = 0,
    kinds: Iterable[str] = (INCIDENT, CHANGE),
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
        path: The file that says how far it is; made where it is not there.
        begin: Where a new file begins: behind the event at this position, or "now", behind what
            there is. Default: with the first event of the ledger.
        kinds: Of what events are delivered: "incident", "change", or both. Those of the ledger
            itself, which are about keys and identity, are in neither.
        every: Seconds to wait before looking again when there was nothing new. In PostgreSQL an
            append wakes it, and it looks by itself after a minute, or after *every* if longer.
        stop: Set it, from any thread or from the effect itself, to end.
        effect: What is called with each event.

    Raises:
        StoreError: The event delivered last is not in the log any more: it is another log, or was
            altered. Nothing is delivered again on its own; look, then name a new file.
    """
    every, stop = checked_seconds("every", every), checked_stop(stop)
    checked_function("effect", effect)
    if iscoroutinefunction(effect):
        allowed = "a function that is done when it returns; with asyncio use imcm.adeliver"
        raise InvalidValue("effect", effect, allowed)

    def unless_stopped(recorded: Recorded) -> None:
        if stop.is_set():
            raise _Stopped
        effect(recorded)

    model = _Delivered(unless_stopped, checked_kinds(kinds))
    follower = Follower(path, ledger, model, batch=1, rebuild=False, begin=begin)
    with follower, suppress(_Stopped):
        for _ in follower.run(every=every, stop=stop):
            pass


async def adeliver(
    ledger: LedgerReader,
    path: str | Path,
    effect: Callable[[Recorded], Awaitable[object]],
    *,
    begin: int | Literal["now"] = 0,
    kinds: Iterable[str] = (INCIDENT, CHANGE),
    every: float = 1.0,
) -> None:
    """
    Await *effect* with each recorded event, in log order, at least once: `deliver` for asyncio.

        async def announce(recorded):
            await chat.post(f"{recorded.id}: {recorded.event}")

        await imcm.adeliver(ledger, "announced.db", announce, begin="now")

    The log is read in a thread; effects run in the loop, one at a time. It ends with the task: an
    effect that runs when that is cancelled is waited for, so it is not delivered again.

    Args:
        effect: An async function; what it awaits should have a time limit of its own.
        ledger, path, begin, kinds, every: As for `deliver`.

    Raises:
        InvalidValue: What *effect* returns can't be awaited.
        StoreError: As for `deliver`.
    """
    import asyncio  # who does not deliver so does not load it

    checked_function("effect", effect)
    loop = asyncio.get_running_loop()
    stop = threading.Event()

    async def awaited(recorded: Recorded) -> None:
        given: object = effect(recorded)
        if not isawaitable(given):
            allowed = "an async function; one that is done when it returns goes with imcm.deliver"
            raise InvalidValue("effect", effect, allowed)
        await given

    def wait(recorded: Recorded) -> None:
        asyncio.run_coroutine_threadsafe(awaited(recorded), loop).result()

    deliveries = asyncio.to_thread(
        deliver, ledger, path, wait, begin=begin, kinds=kinds, every=every, stop=stop
    )
    running = asyncio.ensure_future(deliveries)
    try:
        await asyncio.shield(running)
    finally:
        stop.set()
        await asyncio.wait([running])
        running.exception()  # who is cancelled is told of no other error


class _Stopped(Exception):
    """The delivery was stopped between two events."""
