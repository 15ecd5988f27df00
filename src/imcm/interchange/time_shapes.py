"""
In which format times are written, found out by trying formats against all of them.

A day and a month that could be swapped are told apart only where some value can be read in one way
alone: nothing is guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from typing import Final, NamedTuple

from imcm.errors import InvalidValue
from imcm.interchange.mapping import TimeRules, zone_named

_DATES: Final = (
    *("%d.%m.%Y", "%d.%m.%y"),
    *("%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%Y/%m/%d"),
    *("%d-%m-%Y", "%m-%d-%Y", "%Y-%m-%d"),
    *("%d/%b/%y", "%d/%b/%Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y"),
    *("%b %d, %Y", "%B %d, %Y"),
)
_CLOCKS: Final = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
_BETWEEN: Final = (" ", ", ", "T")
_PROBES: Final = (datetime(2003, 11, 25, 13, 47, 51), datetime(2003, 5, 2, 1, 7, 5))  # noqa: DTZ001
_DAY_FIRST: Final = re.compile(r"%d(?P<sign>[/-])%m")
_MONTH_FIRST: Final = re.compile(r"%m(?P<sign>[/-])%d")
_ISO_OFFSET: Final = re.compile(
    r"\d{4}-?\d\d-?\d\d[T ]\d\d:?\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)", re.ASCII | re.IGNORECASE
)
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?", re.ASCII)
_EPOCHS: Final = {10: "epoch seconds", 13: "epoch milliseconds"}
_EPOCH_FIRST: Final = ("9", "1", "2")
"""With what such numbers begin, of the years 1998 to 2065."""
_KEPT: Final = 3
_LONGEST: Final = 60


def _shape(text: str) -> str:
    """Return how a text looks: each run of digits as 9, each run of letters as A."""
    return re.sub(r"[^\W\d_]+", "A", re.sub(r"\d+", "9", text))


def _by_shape() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for date in _DATES:
        for between in _BETWEEN:
            for clock in _CLOCKS:
                given = f"{date}{between}{clock}"
                for probe in _PROBES:
                    found.setdefault(_shape(probe.strftime(given)), {})[given] = None
    return {shape: tuple(formats) for shape, formats in found.items()}


_DATES_ALONE: Final = frozenset(
    _shape(probe.strftime(date)) for date in _DATES for probe in _PROBES
)


class Found(NamedTuple):
    """
    How times are written.

    Attributes:
        formats: What `time_formats` needs so that they are read; none where all are ISO 8601.
        unsure: Pairs of formats that read all values of some kind: a day first and a month first.
        naive: How many have no offset; *read*, how many could be a time at all.
        wrong: The first few that are no time; *wrongs*, how many; *dates*, how many of them are a
            date without a time.
    """

    formats: tuple[str, ...]
    unsure: tuple[tuple[str, ...], ...]
    naive: int
    read: int
    wrong: tuple[str, ...]
    wrongs: int
    dates: int


class Times:
    """The times of a table, as they come."""

    _formats: dict[str, tuple[str, ...]] | None = None

    def __init__(self) -> None:
        if Times._formats is None:
            Times._formats = _by_shape()
        self._candidates = Times._formats
        self._alive: dict[str, tuple[str, ...]] = {}
        self._epochs: Counter[str] = Counter()
        self._iso: Counter[str] = Counter()
        self._wrong: dict[str, None] = {}
        self._counts: Counter[str] = Counter()

    def add(self, text: str) -> bool:
        """Take one more, and say whether it can be a time."""
        kind = self._kind(text)
        self._counts[kind] += 1
        if kind in {"wrong", "date"} and len(self._wrong) < _KEPT:
            self._wrong[text] = None
        return kind not in {"wrong", "date"}

    def _kind(self, text: str) -> str:
        if len(text) > _LONGEST:
            return "wrong"
        sides = text.split("/") if _ISO_OFFSET.fullmatch(text) and "/" in text else [text]
        if all(_ISO_OFFSET.fullmatch(side) and _readable(side) for side in sides):
            return "offset"
        if text.isascii() and text.isdigit() and text[0] in _EPOCH_FIRST and len(text) in _EPOCHS:
            self._epochs[_EPOCHS[len(text)]] += 1
            return "epoch"
        if _ISO.fullmatch(text):
            if not _readable(text):
                return "wrong"
            if text.startswith("0001"):
                return "offset"  # never
            self._iso[_iso_format(text)] += 1
            return "naive"
        shape = _shape(text)
        known = self._alive.get(shape) or self._candidates.get(shape, ())
        alive = tuple(given for given in known if _fits(text, given))
        if not alive:  # of another order than those before it: both are kept, and told as unsure
            alive = tuple(each for each in self._candidates.get(shape, ()) if _fits(text, each))
            if not alive:
                return "date" if shape in _DATES_ALONE else "wrong"
            self._alive[shape] = tuple(dict.fromkeys((*known, *alive)))
            return "naive"
        self._alive[shape] = alive
        return "naive"

    def found(self) -> Found:
        """Return how they are written, all of them together."""
        orders = {_order(alive[0]) for alive in self._alive.values() if len(alive) == 1} - {""}
        formats: dict[str, None] = dict.fromkeys(sorted(self._epochs))
        unsure: dict[tuple[str, ...], None] = {}
        for alive in (each for _, each in sorted(self._alive.items())):
            # What one kind of value shows holds for others with the same sign between.
            fitting = [given for given in alive if _order(given) in orders] or [*alive]
            if len({_order(given) for given in fitting}) == 1:  # what they read is the same
                formats |= dict.fromkeys(fitting)
            else:
                unsure[tuple(fitting)] = None
        if formats or unsure:
            formats |= dict.fromkeys(sorted(self._iso))
        counts = self._counts
        return Found(
            formats=tuple(formats),
            unsure=tuple(unsure),
            naive=counts["naive"],
            read=counts["naive"] + counts["offset"] + counts["epoch"],
            wrong=tuple(self._wrong),
            wrongs=counts["wrong"] + counts["date"],
            dates=counts["date"],
        )


def _order(given: str) -> str:
    for order, pattern in (("day", _DAY_FIRST), ("month", _MONTH_FIRST)):
        found = pattern.search(given)
        if found is not None:
            return f"{order}{found['sign']}"
    return ""


def _iso_format(text: str) -> str:
    given = f"%Y-%m-%d{text[10]}%H:%M"
    if len(text) > len("2024-05-01 09:30"):
        given += ":%S"
    if "." in text:
        given += ".%f"
    return given


def _fits(text: str, given: str) -> bool:
    try:
        datetime.strptime(text, given)  # noqa: DTZ007 (it is only tried)
    except ValueError:
        return False
    return True


_ANY_ZONE: Final = TimeRules(zone=zone_named("zone", "UTC"))


def _readable(text: str) -> bool:
    try:
        _ANY_ZONE.moment("time", text)
    except InvalidValue:
        return False
    return True
