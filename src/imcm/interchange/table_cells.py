"""
Headers and cells: names that come twice or not at all, values of types as text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from numbers import Number
from pathlib import PurePath
from typing import Any, Final, cast
from uuid import UUID

import msgspec

from imcm.domain.vocabulary import is_mapping
from imcm.errors import ImportRefusedError, InvalidValue
from imcm.interchange.table_bytes import Label, Limits, refused
from imcm.plain import excerpt

SEPARATOR: Final = ";"
_NAMES_TOLD: Final = 5

canonical: Final = msgspec.json.Encoder(order="sorted").encode


# --- headers --------------------------------------------------------------------------------------


class Columns:
    """
    The columns that a header names.

    Attributes:
        written: A name for each cell of the header.
        names: Each of them once.
        again: Those that come more than once.
        said: What was odd about them, in words.
    """

    def __init__(self, label: Label, line: int, cells: Sequence[str], limits: Limits) -> None:
        if len(cells) > limits.columns:
            why = f"it has {len(cells):,} columns; at most {limits.columns:,} are read"
            raise refused(label, line, why)
        taken = {*cells}
        nameless: list[str] = []
        written: list[str] = []
        for number, cell in enumerate(cells, 1):
            name = cell or f"column {number}"
            if not cell:
                while name in taken:
                    name += "'"
                nameless.append(name)
            written.append(name)
        self.written = tuple(written)
        self.names = tuple(dict.fromkeys(written))
        self.said: list[str] = []
        times = {name: count for name, count in Counter(written).items() if count > 1}
        self.again = tuple(times)
        if times:
            told = _told([f"{excerpt(name)!r} ({count} times)" for name, count in times.items()])
            self.said.append(f"columns that come again, joined by {SEPARATOR}: {told}")
        if nameless:
            self.said.append(f"columns without a name: {_told(nameless)}")
        self._of: list[list[int]] | None = None
        if times:
            places: dict[str, list[int]] = {name: [] for name in self.names}
            for place, name in enumerate(written):
                places[name].append(place)
            self._of = list(places.values())

    def row(self, cells: Sequence[str]) -> tuple[str, ...]:
        """Return a cell for each name: the cells of columns that come again are joined."""
        if self._of is None:
            return tuple(cells)
        return tuple(
            [
                cells[places[0]]
                if len(places) == 1
                else SEPARATOR.join([cells[place] for place in places if cells[place]])
                for places in self._of
            ]
        )


def _told(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_TOLD} more" if len(names) > _NAMES_TOLD else ""
    return ", ".join(names[:_NAMES_TOLD]) + more


# --- cells ----------------------------------------------------------------------------------------


_TEXTS: Final = 100
"""So many texts of a column are told apart; more are no few words for "not yet"."""


class Cells:
    """The values of one table as text, and the columns of its mappings as they come."""

    def __init__(self, label: Label, limits: Limits) -> None:
        self._label = label
        self._limits = limits
        self._columns: dict[str, bool] = {}
        self._inner: set[str] = set()
        self._numbers: set[str] = set()
        self._others: dict[str, set[str]] = {}

    def columns(self) -> tuple[str, ...]:
        """
        Return all names so far, in the order they came.

        What is an object in one row and nothing in another has columns of its parts alone.
        """
        return tuple(
            [name for name, told in self._columns.items() if told or name not in self._inner]
        )

    def numbers(self) -> frozenset[str]:
        """Return the names of columns whose cells so far all are numbers by their type."""
        return frozenset(self._numbers - self._others.keys())

    def _is_text(self, name: str, text: str) -> None:
        texts = self._others.setdefault(name, set())
        if len(texts) < _TEXTS:
            texts.add(text)

    def mixed(self) -> dict[str, frozenset[str]]:
        """Return the columns in which numbers by their type stand beside texts, and those texts."""
        mixed = self._numbers & self._others.keys()
        return {name: frozenset(self._others[name]) for name in mixed}

    # --- mappings ---

    def flat(self, line: int, row: Mapping[Any, Any]) -> dict[str, str]:
        """
        Return the cells of a mapping by their columns: objects in it become columns with dots.

        Raises:
            ImportRefusedError: It has too many columns, or a cell that is too long.
            InvalidValue: A value has no text.
        """
        cells: dict[str, str] = {}
        self._flatten(line, cells, "", row, self._limits.depth)
        columns = self._columns
        for name, text in cells.items():
            if text or name not in columns:
                columns[name] = bool(text) or columns.get(name, False)
        if len(columns) > self._limits.columns:
            why = f"there are more than {self._limits.columns:,} columns by now; leave some out"
            raise refused(self._label, line, why)
        return cells

    def _flatten(
        self, line: int, cells: dict[str, str], before: str, row: Mapping[Any, Any], depth: int
    ) -> None:
        for key, value in row.items():
            part = key.strip() if isinstance(key, str) else self.text(line, "a name", key)
            name = before + (part or "(no name)")
            if depth and is_mapping(value) and value:
                self._inner.add(name)
                self._flatten(line, cells, f"{name}.", value, depth - 1)
                continue
            text = self.text(line, name, value)
            was = cells.get(name)
            cells[name] = f"{was}{SEPARATOR}{text}" if was and text else was or text
            if len(cells) > self._limits.columns:
                why = f"it has more than {self._limits.columns:,} columns; leave some out"
                raise refused(self._label, line, why)

    # --- values ---

    def text(self, line: int, name: str, value: object) -> str:
        """
        Return a value as text, in the form that times, durations and numbers are read in.

        Raises:
            ImportRefusedError: It is longer than a cell may be.
            InvalidValue: It is of a kind that has no text.
        """
        if type(value) is str:  # as most are
            text = value.strip()
            if not text.isascii():
                self._check_unicode(line, name, text)
            if text:
                self._is_text(name, text)
        else:
            try:
                text = self._told(value)
            except InvalidValue as error:
                raise InvalidValue(self._place(line, name), value, error.allowed) from None
            except UnicodeError:
                raise InvalidValue(self._place(line, name), value, _UNICODE) from None
            except (ValueError, OverflowError, TypeError, RecursionError) as error:
                allowed = f"give text: it can't be told as such ({excerpt(str(error), 80)})"
                raise InvalidValue(self._place(line, name), value, allowed) from None
            if text:
                if isinstance(value, Number):
                    self._numbers.add(name)
                else:
                    self._is_text(name, text)
        if len(text) > self._limits.cell:
            raise too_long(self._label, line, name, len(text), self._limits)
        return text

    def _place(self, line: int, name: str) -> str:
        return f"{self._label.place(line)}, {excerpt(name, 60)}" if name else self._label.name

    def _check_unicode(self, line: int, name: str, text: str) -> None:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidValue(self._place(line, name), text, _UNICODE) from None

    def _told(self, value: object) -> str:
        value = _plain(value)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            value.encode()
            return str(value).strip()
        if isinstance(value, (int, float, Decimal)):
            return number_text(value)
        for kind, form in _FORMS:
            if isinstance(value, kind):
                told_as: str = form(value)
                return told_as
        if is_mapping(value):
            return _json(value) if value else ""
        if isinstance(value, (list, tuple, set, frozenset)):
            items = [_plain(item) for item in cast("Iterable[object]", value)]
            if any(is_mapping(item) or isinstance(item, (list, tuple, set)) for item in items):
                return _json(items)
            told = [self._told(item) for item in items]
            if isinstance(value, (set, frozenset)):
                told.sort()
            return SEPARATOR.join([text for text in told if text])
        raise InvalidValue("cell", value, "give text, a number, a time, a truth value or a list")


_UNICODE: Final = "give text that is Unicode: it has half of a pair in it"


def too_long(label: Label, line: int, name: str, length: int, limits: Limits) -> ImportRefusedError:
    """Return the error of a cell that is too long."""
    why = (
        f"the cell in {excerpt(name, 60)!r} has {length:,} characters; "
        f"at most {limits.cell:,} are read"
    )
    return refused(label, line, why)


def number_text(value: float | Decimal) -> str:
    """Return a number as text: whole ones without a point; "" for what is no number."""
    if isinstance(value, int):
        return f"{value:d}"
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        # Beyond this repr has an exponent.
        return (
            f"{int(value):d}" if value.is_integer() and abs(value) < 1e16 else float.__repr__(value)
        )
    if value.is_nan():
        return ""
    if not value.is_finite() or abs(value.adjusted()) > 40:
        return str(value)
    return f"{int(value):d}" if value == value.to_integral_value() else f"{value:f}"


def duration_text(value: timedelta) -> str:
    """Return a duration in ISO 8601: PT1H30M."""
    sign = "-" if value < timedelta(0) else ""
    left = abs(value)
    minutes, seconds = divmod(left.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = (
        f"{seconds}.{left.microseconds:06d}".rstrip("0").rstrip(".")
        if left.microseconds
        else (f"{seconds}" if seconds else "")
    )
    clock = (
        (f"{hours}H" if hours else "")
        + (f"{minutes}M" if minutes else "")
        + (f"{parts}S" if parts else "")
    )
    days = f"{left.days}D" if left.days else ""
    if not days and not clock:
        return "PT0S"
    return f"{sign}P{days}{'T' + clock if clock else ''}"


def _datetime_text(value: datetime) -> str:
    # Not the value's own: a Timestamp of pandas writes nanoseconds.
    return datetime.isoformat(value)


def _bytes_text(value: bytes) -> str:
    return value.decode().strip()


# Any: each form is asked only for the class beside it.
_FORMS: Final[tuple[tuple[type, Any], ...]] = (
    (datetime, _datetime_text),
    (date, date.isoformat),
    (timedelta, duration_text),
    (time, time.isoformat),
    (UUID, str),
    (PurePath, str),
    (bytes, _bytes_text),
)

_MISSING: Final = frozenset({"NAType", "NaTType"})
_TOLD_BY_PANDAS: Final = frozenset({"Period", "Interval"})


# Any: of whatever.
def _plain(value: Any) -> Any:
    """Return a value of a library as one of Python's; None for what it calls missing."""
    name: str = type(value).__name__
    module: str = type(value).__module__
    library = module.partition(".")[0]
    if library == "builtins":
        return value
    if isinstance(value, Enum):
        return value.value
    if library == "pandas":
        if name in _MISSING:
            return None
        return str(value) if name in _TOLD_BY_PANDAS else value
    if library == "numpy" and hasattr(value, "dtype"):
        # Finer than microseconds they would become bare numbers.
        if value.dtype.kind in "mM":
            value = value.astype(f"{value.dtype.kind}8[us]")
        return value.tolist()  # of a single value, the value
    return value


def _json(value: Any) -> str:
    """Return what is nested in a cell as JSON."""
    text: bytes = canonical(value)
    return text.decode()
