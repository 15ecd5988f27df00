"""
The collections of a state, which grow with the events of its stream.

A state never changes, so what an event adds to a collection makes another one. While a whole stream
is folded this would copy all that is there for each event; so a fold begins with collections that
are its own (`thawed`), which take in what is joined to them, and fixes them once, at its end
(`frozen`). No state with collections of its own is ever given away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from imcm.domain.vocabulary import NOTHING_TOLD

FEW: Final = 32
"""Up to so many events, copying collections takes less time than having some of one's own."""

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class _Set(set[Any]):
    """A set that is a fold's own: what is joined to it is put into it."""

    __slots__ = ()

    def __or__(self, more: Any) -> Any:
        self.update(more)
        return self

    def __sub__(self, less: Any) -> Any:
        self.difference_update(less)
        return self


class _Dict(dict[Any, Any]):
    """A mapping that is a fold's own."""

    __slots__ = ()


# Any below: a set of a fold's own is given where the state says that it is frozen.


def told(some: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    """Return a mapping that tells this, too; what is told last of a key stands."""
    mine: Any = some
    if mine.__class__ is _Dict:
        mine[key] = value
        return some
    return {**some, key: value}


def untold(some: Mapping[K, V], key: K) -> Mapping[K, V]:
    """Return a mapping that tells nothing of a key any more."""
    mine: Any = some
    if mine.__class__ is _Dict:
        mine.pop(key, None)
        return some
    return {one: value for one, value in some.items() if one != key} or NOTHING_TOLD


def emptied(some: Mapping[K, V]) -> Mapping[K, V]:
    """Return a mapping with nothing in it, a fold's own where the one before was."""
    kind: Any = some.__class__
    made: Mapping[K, V] = kind() if kind is _Dict else NOTHING_TOLD
    return made


def thawed(state: T) -> T:
    """Return a state, which is a named tuple, with collections that only one fold has."""
    # Any: that it is a named tuple can't be said of a type.
    named: Any = state
    made: T = named._make(map(_own, named))
    return made


def frozen(state: T) -> T:
    """Return a state with its collections as they are now, never to change."""
    named: Any = state
    made: T = named._make(map(_fixed, named))
    return made


def _own(value: Any) -> Any:
    if value.__class__ is frozenset:
        return _Set(value)
    return _Dict(value) if value.__class__ is dict else value


def _fixed(value: Any) -> Any:
    if value.__class__ is _Set:
        return frozenset(value)
    if value.__class__ is _Dict:
        return dict(value) if value else NOTHING_TOLD
    return value
