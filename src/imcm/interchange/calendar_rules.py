"""
Recurrence rules of iCalendar (RFC 5545, 3.3.10), looked at before a library expands them.

Whoever may write into a calendar writes these rules. One that comes every second, or one that is
never met, would keep a library busy for hours, so each is read part by part, and how far it goes is
known before it is gone through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from importlib import import_module
from itertools import islice
from typing import Any, Final

import attrs

from imcm.errors import InvalidValue

__all__ = ["Budget", "Rule", "starts_of"]

MOST_STEPS: Final = 1_000_000
"""Steps that the rules of one file take together at most; each takes a few microseconds."""

MOST_TIMES: Final = 10_000
"""Events that are taken out of one file at most, each time that one comes again counted."""

_UNITS: Final = {
    "SECONDLY": timedelta(seconds=1),
    "MINUTELY": timedelta(minutes=1),
    "HOURLY": timedelta(hours=1),
    **dict.fromkeys(("DAILY", "WEEKLY", "MONTHLY", "YEARLY"), timedelta(days=1)),
}
"""How far a step goes; whatever is rarer is looked for day by day."""

_RANGES: Final[Mapping[str, tuple[int, int, bool]]] = {
    "BYSECOND": (0, 59, False),
    "BYMINUTE": (0, 59, False),
    "BYHOUR": (0, 23, False),
    "BYMONTHDAY": (1, 31, True),
    "BYYEARDAY": (1, 366, True),
    "BYWEEKNO": (1, 53, True),
    "BYMONTH": (1, 12, False),
    "BYSETPOS": (1, 366, True),
}
"""The least and the greatest number of each part, and whether it may count from the end."""

_DAY: Final = re.compile(r"(?:[+-]?[1-9][0-9]?)?(?:MO|TU|WE|TH|FR|SA|SU)")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,9}")
_PARTS: Final = ("FREQ", "UNTIL", "COUNT", "INTERVAL", "BYDAY", "WKST", *_RANGES)


class Budget:
    """
    How much the recurrences of one file may still take.

    Args:
        steps: Steps in going through rules.
        times: Times at which events come again in the period.
    """

    def __init__(self, steps: int = MOST_STEPS, times: int = MOST_TIMES) -> None:
        self._most_steps = self._steps = steps
        self._most_times = self._times = times

    def spend(self, place: str, text: str, steps: int) -> None:
        """
        Take steps for a rule.

        Raises:
            InvalidValue: So many are not left.
        """
        self._steps -= steps
        if self._steps < 0:
            allowed = (
                f"rules that take at most {self._most_steps:,} steps in all, from their beginnings "
                "to the end of the period; let it come less often, or begin later"
            )
            raise InvalidValue(place, text, allowed)

    def take(self, place: str, times: Iterable[object]) -> None:
        """
        Take times at which an event comes again; no more are looked at than are left.

        Raises:
            InvalidValue: So many are not left.
        """
        self._times -= sum(1 for _ in islice(times, self._times + 1))
        if self._times < 0:
            allowed = f"at most {self._most_times:,} in the period; ask for less of it"
            raise InvalidValue(place, "an event that comes so often", allowed)


@attrs.frozen
class Rule:
    """
    A recurrence rule whose parts are known to be right, each by itself.

    Attributes:
        place: How errors call it.
        text: As it stands in the file.
        parts: Its parts by their names, both in capitals.
    """

    place: str
    text: str
    parts: Mapping[str, str]

    @classmethod
    def read(cls, place: str, text: str) -> Rule:
        """
        Return the rule that a text tells.

        Raises:
            InvalidValue: A part is unknown, comes twice, or is not as RFC 5545 has it.
        """
        parts: dict[str, str] = {}
        for part in filter(None, text.upper().replace(" ", "").split(";")):
            name, _, value = part.partition("=")
            if name not in _PARTS or name in parts:
                allowed = f"parts such as FREQ=WEEKLY, each once, of {', '.join(_PARTS)}"
                raise InvalidValue(place, part, allowed)
            parts[name] = value
        if parts.get("FREQ") not in _UNITS:
            raise InvalidValue(place, text, f"FREQ= with one of {', '.join(_UNITS)}")
        for name, value in parts.items():
            _check(place, name, value)
        return cls(place, text, parts)

    @property
    def until(self) -> str | None:
        """What UNTIL says; None where the rule has none."""
        return self.parts.get("UNTIL")

    def within(self, start: datetime, until: datetime, budget: Budget) -> str | None:
        """
        Return the rule as text that gives the same occurrences up to a time, and ends there.

        All times are local, without a zone.

        Args:
            start: When the first occurrence begins.
            until: The end of what is asked for, or what UNTIL says where that comes first.
            budget: What the steps are taken of.

        Returns:
            None where no occurrence begins by then.

        Raises:
            InvalidValue: It takes more steps than are left, or nothing ever meets it.
        """
        if until < start:
            return None
        budget.spend(self.place, self.text, self._steps(start, until))
        parts = {name: self.parts[name] for name in self.parts if name not in {"UNTIL", "COUNT"}}
        if self._is_never_met(parts, start):
            raise InvalidValue(self.place, self.text, "a rule that some day meets")
        ending = {**parts, "UNTIL": f"{until:%Y%m%dT%H%M%S}".zfill(15)}
        if "COUNT" in self.parts:
            # No rule has both, so whichever comes first is found out here.
            count = int(self.parts["COUNT"])
            if sum(1 for _ in islice(starts_of(_text(ending), start), count)) == count:
                ending = {**parts, "COUNT": str(count)}
        return _text(ending)

    def _steps(self, start: datetime, until: datetime) -> int:
        """Return how many steps a library takes at most to go through it."""
        lists = {name: value.count(",") + 1 for name, value in self.parts.items()}
        unit = _UNITS[self.parts["FREQ"]]
        steps = (until - start) // (unit * int(self.parts.get("INTERVAL", 1))) + 366
        if self.parts["FREQ"] not in {"SECONDLY", "MINUTELY", "HOURLY"}:
            steps = (until - start) // unit + 366  # days are gone through, whatever the interval
            steps *= lists.get("BYHOUR", 1)
        if self.parts["FREQ"] not in {"SECONDLY", "MINUTELY"}:
            steps *= lists.get("BYMINUTE", 1)
        if self.parts["FREQ"] != "SECONDLY":
            steps *= lists.get("BYSECOND", 1)
        return steps * lists.get("BYSETPOS", 1)

    def _is_never_met(self, parts: Mapping[str, str], start: datetime) -> bool:
        """
        Say whether nothing meets it, as no day is 30 February.

        A library would look until the year 9999. The Gregorian calendar comes again every 400
        years, days of the week included, so it is looked through near its end instead.
        """
        if not any(name.startswith("BY") for name in parts):
            return False
        later = start.replace(year=start.year + max(0, 9599 - start.year) // 400 * 400)
        return next(starts_of(_text(parts), later), None) is None


def _check(place: str, name: str, value: str) -> None:
    """Refuse a part of a rule that is not as RFC 5545 has it."""
    values = value.split(",")
    if name == "BYDAY":
        right, allowed = all(map(_DAY.fullmatch, values)), "days such as MO,WE or -1FR"
    elif name == "WKST":
        right, allowed = _DAY.fullmatch(value) is not None and len(value) == 2, "a day such as MO"
    elif name in {"COUNT", "INTERVAL"}:
        right, allowed = _is_number(value) and int(value) > 0, "a whole number from 1 on"
    elif name in _RANGES:
        least, most, backwards = _RANGES[name]
        right = all(
            _is_number(each) and least <= (abs(int(each)) if backwards else int(each)) <= most
            for each in values
        )
        allowed = f"numbers from {least} to {most}"
    else:
        return  # FREQ was looked at, and UNTIL is a time
    if not right:
        raise InvalidValue(f"{place} {name}", value, allowed)


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _text(parts: Mapping[str, str]) -> str:
    return ";".join(f"{name}={value}" for name, value in parts.items())


def starts_of(text: str, start: datetime) -> Iterator[datetime]:
    """
    Go through the occurrences of a rule, by the library that `recurring_ical_events` uses for it.

    Args:
        text: What `Rule.within` returned.
        start: When the first of them begins, without a zone.
    """
    rrulestr: Any = import_module("dateutil.rrule").rrulestr
    starts: Iterator[datetime] = iter(rrulestr(text, dtstart=start))
    return starts
