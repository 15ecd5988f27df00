"""Pauses of the garbage collector, where very many values are made and no cycles among them."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Generator[None]:
    """
    Keep the garbage collector from walking all there is again and again while values are made.

    Where there are no cycles among them, there is nothing to find.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
