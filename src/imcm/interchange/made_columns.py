"""
Columns that no single column of a table holds: made of several, or of none.

    [incidents.made]
    id = {join = ["Project", "Nr"], with = "-"}
    resolved_at = {first = ["Solved", "Closed"]}
    environment = {always = "production"}
    stated_time_to_restore = {between = ["Opened", "Solved"]}
    acknowledged_at = {after = ["Opened", "Seconds to answer"]}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, cast

import attrs

from imcm.domain.vocabulary import is_list, is_mapping
from imcm.errors import InvalidValue

LINE: Final = "#line"
"""Among the columns that are joined: on which line the row begins."""

_HOW: Final = ("first", "join", "always", "between", "after")
_SECONDS: Final = re.compile(r"\d{1,10}(?:\.\d{1,9})?", re.ASCII)

Time: TypeAlias = Callable[[str, str], datetime | None]
"""Reads a time: its name and its text; raises InvalidValue where it is none."""


PAIRS: Final = {
    "between": "where it begins, and where it ends",
    "after": "where it begins, and how many seconds it takes",
}
"""Ways that need two columns, both of them there."""


@attrs.frozen(kw_only=True)
class Made:
    """
    How the cell of one column is made.

    Attributes:
        how: "first" takes the first of some columns whose text means something; where none does,
            the first that is not empty. "join" puts several after
            each other: a title or a label of what there is; everything else is empty where a part
            is missing. "always" is the same in every row. "between" is the duration from one time
            to another, in seconds, and "after" the time so many seconds after another; empty where
            one is missing.
        of: The columns it is made of, as the table calls them; LINE is the line of the row.
        text: What stands between joined parts; or what it always is.
    """

    how: Literal["first", "join", "always", "between", "after"]
    of: tuple[str, ...] = ()
    text: str = ""

    def cell(
        self,
        parts: Sequence[str],
        absent: Collection[str],
        time: Time,
        *,
        loose: bool,
        means: Callable[[str], str],
    ) -> str:
        """
        Return the cell.

        Args:
            parts: What stands in the columns of *of*.
            absent: What means that there is nothing.
            time: Reads a time.
            loose: It is joined of what there is.
            means: Returns what a text means in the column that is made; "" where it means absent.

        Raises:
            InvalidValue: A time can't be read, or the end is before the beginning.
        """
        if self.how == "always":
            return self.text
        there = ["" if part in absent else part for part in parts]
        if self.how == "first":
            told = [*filter(None, there)]
            return next(filter(means, told), told[0] if told else "")
        if self.how == "join":
            return self.text.join(filter(None, there)) if loose or all(there) else ""
        pairs = zip(self.of, there, strict=True)
        if self.how == "after":
            return self._after(there, time)
        begin, end = (time(name, text) if text else None for name, text in pairs)
        if begin is None or end is None:
            return ""
        seconds = (end - begin).total_seconds()
        if seconds < 0:
            raise InvalidValue(self.of[1], there[1], f"it is before {self.of[0]}: {there[0]}")
        return f"{seconds:f} s"

    def _after(self, parts: Sequence[str], time: Time) -> str:
        """Return the time of the first part and the seconds of the second; "" where one is none."""
        begin = time(self.of[0], parts[0]) if parts[0] else None
        if begin is None or not parts[1]:
            return ""
        if not _SECONDS.fullmatch(parts[1]):
            raise InvalidValue(self.of[1], parts[1], "a number of seconds, as 90 or 90.5")
        try:
            return (begin + timedelta(seconds=float(parts[1]))).isoformat()
        except OverflowError:
            raise InvalidValue(self.of[1], parts[1], "a time of the years 1 to 9999") from None


def read_made(where: str, told: object, allowed: Callable[[str, str], str]) -> dict[str, Made]:
    """
    Return how columns are made, by our names, of what a mapping tells.

    Args:
        where: How errors call the table.
        allowed: Returns the name of ours that a key names, or raises; it is given where, and it.

    Raises:
        InvalidValue: It is not as described.
    """
    if not is_mapping(told):
        raise InvalidValue(where, told, f"write it as a table: [{where}]")
    return {
        allowed(f"{where}.{name!r}", name): _made(f"{where}.{name}", how)
        for name, how in cast("Mapping[str, object]", told).items()
    }


def _made(where: str, told: object) -> Made:
    ways = '{first = ["A", "B"]}, {join = ["A", "B"], with = "-"}, {always = "text"}, '
    ways += '{between = ["begin", "end"]} or {after = ["begin", "seconds"]}'
    if not is_mapping(told):
        raise InvalidValue(where, told, ways)
    given: Mapping[str, Any] = told
    named = [how for how in _HOW if how in given]
    extra = set(given) - {*named, *(["with"] if named == ["join"] else [])}
    if len(named) != 1 or extra:
        raise InvalidValue(where, ", ".join(map(str, given)), ways)
    how = cast("Literal['first', 'join', 'always', 'between', 'after']", named[0])
    value, between = given[how], given.get("with", "")
    if how == "always":
        if not isinstance(value, str) or not value.strip():
            raise InvalidValue(where, value, "a text that is not empty")
        return Made(how=how, text=value.strip())
    if not is_list(value) or not all(isinstance(each, str) and each.strip() for each in value):
        raise InvalidValue(where, value, 'the names of columns, as ["A", "B"]')
    of = tuple(each.strip() for each in cast("Sequence[str]", value))
    if len(of) < 2 and of != (LINE,):
        raise InvalidValue(where, value, "at least two columns; one is renamed under columns")
    if how in PAIRS and len(of) != 2:
        raise InvalidValue(where, value, f"two columns: {PAIRS[how]}")
    if LINE in of and how != "join":
        raise InvalidValue(where, LINE, "columns; the line can only be joined")
    if not isinstance(between, str):
        raise InvalidValue(where, between, "a text")
    return Made(how=how, of=of, text=between)
