"""
Excerpts: a few of many, and how many more there are.

What a result says of itself to a person stays small however much it counts; all of it is in its
attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from reprlib import Repr
from typing import Final, TypeVar

T = TypeVar("T")

FEW: Final = 3
"""How many ids are named for one reason."""

SOME: Final = 10
"""How many lines a list has, before the one that says how many more there are."""

_SHORT: Final = Repr()
_SHORT.maxstring = 60
_SHORT.maxother = 100  # an aware time


def short(value: object) -> str:
    """Return a value as it stands in a repr: text in quotes and escaped; only a few of many."""
    return _SHORT.repr(value)


def named(names: Sequence[str], most: int = FEW) -> str:
    """Return a few names, and how many more there are: "a, b, c, ... and 1,203 more"."""
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text}, ... and {len(names) - most:,} more"


def near(name: str, names: Iterable[str]) -> list[str]:
    """Return a few of the names that look like another one, the likest first."""
    plain: dict[str, list[str]] = {}
    for candidate in sorted(names):
        plain.setdefault(candidate.casefold(), []).append(candidate)
    matches = get_close_matches(name.casefold(), plain, n=FEW, cutoff=0.6)
    return [candidate for likest in matches for candidate in plain[likest]][:FEW]


def one_of(value: object, allowed: Iterable[str]) -> str:
    """Return, for a refused choice, what there is to choose from, and what is near it."""
    there_are = list(map(str, allowed))
    likest = near(value, there_are) if isinstance(value, str) else []
    text = f"one of {', '.join(there_are)}"
    return f"{text}; near it: {', '.join(likest)}" if likest else text


def excerpt(
    things: Sequence[T],
    lines_of: Callable[[T], Iterable[str]],
    *,
    indent: str = "",
    most: int = SOME,
    what: str = "more",
) -> Iterator[str]:
    """
    Yield the lines of the first few things, and one that says how many more there are.

    Args:
        lines_of: Gives the lines of one.
        indent: Stands before the last line.
        what: They are, in that line: "... and 1,203 more reasons".
    """
    for thing in things[:most]:
        yield from lines_of(thing)
    if len(things) > most:
        yield f"{indent}... and {len(things) - most:,} {what}"
