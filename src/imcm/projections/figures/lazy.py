"""
Sequences that are made when somebody first looks at them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

from imcm.gc_pause import gc_paused

T = TypeVar("T")
Member = TypeVar("Member")


class LazySequence(Sequence[T]):
    """
    A list that is made when somebody first looks at it, and equals the tuple of its members.

    A figure of a hundred thousand incidents would spend most of its time on telling who they are,
    which most readers ask of few figures. Its repr never makes it, and never shows the members.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Iterable[T]]) -> None:
        self._make: Callable[[], Iterable[T]] | None = make
        self._made: tuple[T, ...] = ()

    @staticmethod
    def of(members: Iterable[Member]) -> LazySequence[Member]:
        """Return the list of members that are there already."""
        made = LazySequence(lambda: members)
        made._all()
        return made

    def _all(self) -> tuple[T, ...]:
        if self._make is not None:
            with gc_paused():
                self._made = tuple(self._make())
            self._make = None
        return self._made

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        return self._all()[index]

    def __iter__(self) -> Iterator[T]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        return self._all() == (other[:] if isinstance(other, LazySequence) else other)

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        size = ", not made yet" if self._make is not None else f" of {len(self._made):,}"
        return f"<{type(self).__name__}{size}>"

    def __reduce__(self) -> tuple[Callable[..., LazySequence[Any]], tuple[tuple[T, ...]]]:
        return LazySequence.of, (self._all(),)  # a copy elsewhere holds what was counted, not how
