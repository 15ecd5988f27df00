"""
Notifications of what is appended to a ledger in PostgreSQL, for those who follow it.

A notification only wakes: what is new is read from the log, behind the position that was read
last. So one that is lost, comes twice or comes for nothing costs time and never an event.
"""

from __future__ import annotations

import atexit
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any, Final

Wake = Callable[[bool], None]
"""Wakes one who follows; the argument says whether a notification came, or it is to look anyway."""

_PAUSES: Final = 0.1, 60.0
"""Seconds between two tries to connect, at first and at most."""

_PATIENCE: Final = 1.0
"""Seconds to wait for the thread to end; only one that is just connecting takes longer."""


class Listener:
    """
    Listens for all who follow by one store, with one connection that one thread holds.

    Both are there while anybody follows, however many do, and gone with the last of them.

    Args:
        connect: Returns a connection of its own that listens and is in no transaction.
        payloads: What notifications say that concern this ledger; others on the channel are of
            ledgers in other schemas.
    """

    def __init__(self, connect: Callable[[], Any], payloads: frozenset[bytes]) -> None:
        self._connect = connect
        self._payloads = payloads
        # One that may be taken again: a follower can be let go of by the garbage collector, and
        # so removed, while the same thread is at work here.
        self._lock = threading.RLock()
        self._wakes: list[Wake] = []
        self._session: _Session | None = None
        self._open = True
        self._pid = os.getpid()

    @property
    def listening(self) -> bool:
        """Whether a notification would arrive now."""
        session = self._session
        return session is not None and session.listening

    def add(self, wake: Wake) -> None:
        """Have somebody woken from now on, and once as soon as it listens."""
        if os.getpid() != self._pid:  # a fork has neither the thread nor a use for it
            return
        with self._lock:
            if wake in self._wakes:
                return
            self._wakes.append(wake)
            if self._session is None and self._open:
                self._session = _Session(self._connect, self._payloads, self._tell)
            elif self.listening or not self._open:
                wake(False)

    def remove(self, wake: Wake, *, wait: bool = True) -> None:
        """
        Have somebody woken no more.

        Args:
            wait: Whether to return when nothing is left of the connection, if it was the last one.
        """
        if os.getpid() != self._pid:
            return
        with self._lock:
            if wake in self._wakes:
                self._wakes.remove(wake)
            session = None if self._wakes else self._session
            if session is not None:
                self._session = None
        if session is not None:
            session.end(wait=wait)

    def renew(self) -> None:
        """Connect anew: the server may be another one."""
        session = self._session
        if session is not None:
            session.renew()

    def close(self) -> None:
        """End it, and wake all so that they see that the ledger is closed."""
        with self._lock:
            self._open = False
            session, self._session = self._session, None
        if session is not None:
            session.end(wait=True)
        self._tell(False)

    def _tell(self, notified: bool) -> None:
        with self._lock:
            for wake in list(self._wakes):
                wake(notified)


class _Session:
    """The thread that listens, again and again, until it is ended."""

    def __init__(
        self, connect: Callable[[], Any], payloads: frozenset[bytes], tell: Callable[[bool], None]
    ) -> None:
        self.listening = False
        self._connect = connect
        self._payloads = payloads
        self._tell = tell
        self._pid = os.getpid()
        self._ended = False
        self._renewed = False
        # A byte wakes the thread, so that it need not look by itself whether it is to end.
        self._bell, self._heard = socket.socketpair()
        self._heard.setblocking(False)
        # A daemon: a follower that nobody ended must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="imcm-listener", daemon=True)
        self._thread.start()
        atexit.register(self.end)

    def end(self, *, wait: bool = True) -> None:
        """Have it end; the thread itself closes what it holds."""
        if os.getpid() != self._pid:
            return
        atexit.unregister(self.end)
        self._ended = True
        self._ring()
        # A follower can be let go of by the garbage collector, in whichever thread that runs.
        if wait and self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)

    def renew(self) -> None:
        """Have it connect anew."""
        self._renewed = True
        self._ring()

    def _ring(self) -> None:
        with suppress(OSError):  # the thread has ended
            self._bell.send(b"\0")

    def _run(self) -> None:
        with self._bell, self._heard, selectors.DefaultSelector() as selector:
            selector.register(self._heard, selectors.EVENT_READ)
            pause, most = _PAUSES
            while not self._ended:
                self._renewed = False
                begun = time.monotonic()
                # What is wrong is not told here: whoever looks for what is new is told by that.
                # On a standby, which can't listen, nothing is; they look by themselves.
                with suppress(Exception), closing(self._connect()) as connection:
                    self._listen(connection, selector)
                if self.listening:
                    self.listening = False
                    self._tell(False)
                if time.monotonic() - begun > pause:
                    pause = _PAUSES[0]
                if not (self._ended or self._renewed):
                    selector.select(pause)
                    self._hear()
                    pause = min(2 * pause, most)

    def _listen(self, connection: Any, selector: selectors.BaseSelector) -> None:
        server = connection.pgconn
        watched = selector.register(connection.fileno(), selectors.EVENT_READ)
        try:
            self.listening = True
            self._tell(False)  # nothing told of what was appended before
            while not (self._ended or self._renewed):
                selector.select()
                self._hear()
                server.consume_input()
                ours = False
                while notification := server.notifies():
                    ours = ours or notification.extra in self._payloads
                if ours:
                    self._tell(True)
        finally:
            selector.unregister(watched.fileobj)

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            self._heard.recv(1024)
