"""
What all importers share: names and values of other tools turned into ours, and times read.

Nothing is guessed here. A value that can't be read is refused with `InvalidValue`, which names
the column, the value and what is allowed; importers turn that into a `Problem` of a row.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import EnumMeta, StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import attrs

from imcm.domain.vocabulary import (
    A_MARK,
    MARK,
    Between,
    Moment,
    checked_id,
    checked_milestone,
    checked_moment,
    checked_text,
    earliest,
    is_list,
    is_mapping,
    latest,
)
from imcm.domain.zones import known_zone
from imcm.errors import InvalidValue
from imcm.interchange.made_columns import Made, read_made
from imcm.interchange.ready_mappings import mapping_file
from imcm.interchange.statements import REFERS
from imcm.interchange.toml_files import read_toml
from imcm.plain import excerpt

E = TypeVar("E", bound=StrEnum)

LABEL: Final = "label:"
"""Before a name in a mapping: the column becomes the label of that name."""

OF_OTHER: Final = re.compile(r"(?P<source>[a-z][a-z0-9_.-]*):(?P<id>[^/:].*)", re.ASCII)
"""An id of another tool, "github:42"; an address such as https://... is none."""

# --- problems -------------------------------------------------------------------------------------

_SHOWN: Final = 200
_TOLD: Final = 40
"""So much of a value stands in one line: a time with its offset is shorter."""


def _cut(text: str) -> str:
    return text[:_SHOWN]


@attrs.frozen(kw_only=True)
class Problem:
    """
    Why one row can't be imported.

    Attributes:
        file: The file as it was named.
        line: The line on which the row begins, from 1.
        column: The column as the file calls it; "" where it is the row as a whole.
        value: What stands there, cut after 200 characters.
        why: What is wrong with it, or what is allowed.
    """

    file: str
    line: int
    column: str
    value: str = attrs.field(converter=_cut)
    why: str

    def __str__(self) -> str:
        what = f"{self.column}: {excerpt(self.value, _TOLD)!r}: " if self.column else ""
        return f"{self.file}:{self.line}: {what}{self.why}"


# --- times ----------------------------------------------------------------------------------------

_ISO: Final = re.compile(
    r"(?:\d{4}-\d\d-\d\d|\d{8})[T ]\d\d:?\d\d(?::?\d\d(?:[.,]\d+)?)?(Z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_PROBE: Final = datetime(2023, 11, 25, 13, 47, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTED: Final = {
    "epoch seconds": timedelta(seconds=1),
    "epoch milliseconds": timedelta(milliseconds=1),
}
"""Formats of times that count from 1970 on, and what they count."""
_COUNT: Final = re.compile(r"(\d{1,15})(?:\.(\d{1,9})0*)?", re.ASCII)
_REMEMBERED: Final = 50_000
_NEVER: Final = 1
"""The year of 0001-01-01, by which some tools say "not yet"."""


def zone_named(name: str, value: str) -> zoneinfo.ZoneInfo:
    """
    Return the time zone of an IANA name such as "Europe/London".

    Raises:
        InvalidValue: There is no such zone on this machine.
    """
    checked_text(name, value)
    known = known_zone(value)
    if known is None:
        allowed = 'give an IANA name such as "Europe/London" (where zones are missing altogether: '
        raise InvalidValue(name, value, f"{allowed}pip install tzdata)")
    return known


def _checked_format(_: object, __: object, formats: tuple[str, ...]) -> None:
    if not isinstance(formats, tuple):
        raise InvalidValue("time_format", formats, "give a strptime format, or several")
    for given in formats:
        checked_text("time_format", given)
        if given in _COUNTED:
            continue
        try:
            told = datetime.strptime(_PROBE.strftime(given), given)  # noqa: DTZ007 (any format)
            enough = told.replace(tzinfo=UTC) == _PROBE and "%Z" not in given
        except (ValueError, re.error):  # the latter where a directive is there twice
            enough = False
        if not enough:
            allowed = (
                "it must tell year, month, day, hour and minute, as %Y-%m-%d %H:%M does; %Z is "
                f"ambiguous, use %z or name the zone; or {' or '.join(_COUNTED)}"
            )
            raise InvalidValue("time_format", given, allowed)


_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_WORD: Final = re.compile(r"[^\W\d_]+\.?")


def _checked_months(_: object, __: object, months: tuple[str, ...]) -> None:
    allowed = 'the names of the twelve months in their order: ["Jan", "Feb", "M\u00e4r", ...]'
    if not isinstance(months, tuple) or not all(isinstance(name, str) for name in months):
        raise InvalidValue("months", months, allowed)
    names = {name.casefold() for name in months}
    if months and (len(months) != len(_MONTHS) or len(names) != len(_MONTHS) or "" in names):
        raise InvalidValue("months", list(months), allowed)


@attrs.frozen(kw_only=True)
class TimeRules:
    """
    How the times of one input are read.

    Attributes:
        zone: Whose clock a time without UTC offset was read from; None refuses such times.
        formats: `strptime` formats, or "epoch seconds" and "epoch milliseconds" for numbers that
            count from 1970 on. Where there are some, they come first; of ISO 8601, what has an
            offset or a `T` before its clock counts besides, as cells that are times by their type
            are written.
        months: How the twelve months are called in the texts, in their order: `%b` reads them,
            with or without a point behind, in any case. None where they are English.
    """

    zone: zoneinfo.ZoneInfo | None = None
    formats: tuple[str, ...] = attrs.field(default=(), validator=_checked_format)
    months: tuple[str, ...] = attrs.field(default=(), validator=_checked_months)
    # The same minute stands in many rows of a log.
    _read_before: dict[str, Moment | None] = attrs.field(
        factory=dict[str, Moment | None], init=False, eq=False, repr=False
    )

    def moment(self, name: str, text: str) -> Moment | None:
        """
        Return the moment *text* tells, its offset kept; None for 0001-01-01, which is "never".

        `earliest/latest` is an uncertain moment. So is a local time that came twice because the
        clock was put back: it may be either. Digits finer than microseconds are cut off.

        Raises:
            InvalidValue: It is no time, has no offset and no zone is known, is a local time that
                never came because the clock was put forward, or has two readings.
        """
        before = self._read_before
        if checked_text(name, text) in before:
            return before[text]
        if len(before) >= _REMEMBERED:
            before.clear()
        moment = before[text] = self._moment(name, text)
        return moment

    def _moment(self, name: str, text: str) -> Moment | None:
        single = self._read(name, text)
        if single is not None:
            return self._placed(name, text, single)
        parts = text.split("/")
        half, odd = divmod(len(parts), 2)
        if odd:  # one slash more than the two times have of their own
            raise InvalidValue(name, text, self._allowed())
        first, last = (self._part(name, "/".join(side)) for side in (parts[:half], parts[half:]))
        if last is None or first is None:
            raise InvalidValue(name, text, "0001-01-01 means never; it can't bound a moment")
        if latest(last) < earliest(first):
            raise InvalidValue(name, text, "the latest time must not be before the earliest")
        return Between(earliest=earliest(first), latest=latest(last))

    def time(self, name: str, text: str) -> datetime | None:
        """
        Return *text* as `moment` does, where only a certain time can be kept.

        Raises:
            InvalidValue: Also where the time is uncertain.
        """
        moment = self.moment(name, text)
        if isinstance(moment, Between):
            raise InvalidValue(
                name,
                text,
                "this may be two times, and only a certain one can be kept here; give its offset",
            )
        return moment

    def _part(self, name: str, text: str) -> Moment | None:
        single = self._read(name, text.strip())
        if single is None:
            raise InvalidValue(name, text, self._allowed())
        return self._placed(name, text, single)

    def _allowed(self) -> str:
        ways = "a date and a time in ISO 8601, as 2024-05-01T09:30:00Z"
        if self.formats:
            formats = ", ".join(repr(given) for given in self.formats)
            ways = f"a time in the format {formats}, or in ISO 8601 with an offset or a T"
        return f"give {ways}; an uncertain one as earliest/latest"

    def _read(self, name: str, text: str) -> datetime | None:
        """Return the one reading of *text*, naive where it has no offset; None: it is no time."""
        if self.months:
            text = _WORD.sub(self._in_english, text)
        readings: set[datetime] = set()
        for given in self.formats:
            try:
                if given in _COUNTED:
                    counted = _counted(text, _COUNTED[given])
                    readings |= set() if counted is None else {counted}
                    continue
                readings.add(datetime.strptime(text, given))  # noqa: DTZ007 (zone comes later)
            except ValueError:
                continue
        if len(readings) > 1:  # as texts: some have an offset and some have none
            told = " or ".join(sorted(map(str, readings)))
            raise InvalidValue(name, text, f"the formats given read it differently: {told}")
        if readings:
            return readings.pop()
        upper = text.upper()
        found = _ISO.fullmatch(upper)
        if found is None or (self.formats and found[1] is None and "T" not in upper):
            return None
        try:
            return datetime.fromisoformat(upper)
        except ValueError as error:
            raise InvalidValue(name, text, f"there is no such time: {error}") from None

    def _in_english(self, word: re.Match[str]) -> str:
        """Return a month as `%b` reads it, and any other word as it is."""
        called = word[0].casefold()
        for month, name in zip(_MONTHS, self.months, strict=True):
            if called.removesuffix(".") == name.casefold().removesuffix("."):
                return month
        return word[0]

    def _placed(self, name: str, text: str, read: datetime) -> Moment | None:
        if read.year == _NEVER:
            return None
        if read.tzinfo is UTC:
            return read
        if read.tzinfo is not None:
            return checked_moment(name, _in_utc(name, text, read))
        if self.zone is None:
            raise InvalidValue(
                name,
                text,
                "it has no UTC offset; say which clock it was read from, for example with "
                'tz="Europe/London"',
            )
        first = _in_utc(name, text, read.replace(tzinfo=self.zone, fold=0))
        second = first.replace(fold=1)
        if first.utcoffset() == second.utcoffset():
            return checked_moment(name, first)
        if first.astimezone(UTC) > second.astimezone(UTC):
            raise InvalidValue(
                name,
                text,
                f"this local time never came in {self.zone.key}, where the clock was put forward "
                "over it; give it with its UTC offset",
            )
        return checked_moment(name, Between(earliest=first, latest=second))


def _counted(text: str, unit: timedelta) -> datetime | None:
    """Return the time of a number that counts from 1970 on; None where it is no such number."""
    found = _COUNT.fullmatch(text)
    if found is None:
        return None
    parts = Decimal(f"{found[1]}.{found[2] or 0}") * (unit // timedelta(microseconds=1))
    try:
        return _EPOCH + timedelta(microseconds=int(parts))
    except OverflowError:
        return None


def _in_utc(name: str, text: str, read: datetime) -> datetime:
    """Return *read* if it is a time in UTC as well: the last hours of 9999 are not in the west."""
    try:
        read.astimezone(UTC)
    except OverflowError:
        raise InvalidValue(name, text, "a time of the years 1 to 9999 in UTC") from None
    return read


# --- values ---------------------------------------------------------------------------------------


def member(name: str, text: str, members: type[E]) -> E:
    """Return *text* as a member of a closed list, whatever its case."""
    if not isinstance(members, EnumMeta):
        raise InvalidValue("members", members, "give an enumeration")
    found: E | None = _by_word(members).get(checked_text(name, text).casefold())
    if found is None:
        raise InvalidValue(name, text, f"one of {', '.join(members)}; other words need a mapping")
    return found


@cache
def _by_word(members: type[StrEnum]) -> Mapping[str, Any]:
    """Return the members of a closed list by their values, case-folded."""
    return {one.value.casefold(): one for one in members}


def truth(name: str, text: str) -> bool:
    """Return True for "true" and False for "false", whatever their case."""
    try:
        return {"true": True, "false": False}[checked_text(name, text).casefold()]
    except KeyError:
        raise InvalidValue(name, text, "true or false; other words need a mapping") from None


def count(name: str, text: str) -> int:
    """Return a whole number of 0 or more, written in plain digits."""
    if not re.fullmatch(r"[0-9]{1,18}", checked_text(name, text)):
        raise InvalidValue(name, text, "a whole number in plain digits, as 1200")
    return int(text)


_NUMBER: Final = re.compile(
    r"(?P<number>\d{1,12}(?:[.,]\d{1,12}){0,4})(?: ?(?P<unit>[A-Z]+))?", re.ASCII
)
_EITHER: Final = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
"""One sign and three digits behind it: a fraction, or thousands."""
_PLAIN: Final = re.compile(r"\d+(?:[.,]\d+)?", re.ASCII)
_GROUPED: Final = {
    ".": re.compile(r"(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?", re.ASCII),
    ",": re.compile(r"(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d+)?", re.ASCII),
}
"""Numbers by the sign that stands before their fraction; the other one parts thousands."""
_CLOCK: Final = re.compile(
    r"(?P<hours>\d{1,9}):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d(?:\.\d+)?)", re.ASCII
)
_PERIOD: Final = re.compile(
    r"P(?=.*\d)(?:(?P<weeks>\d{1,9})W)?(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?"
    r"(?:(?P<seconds>\d{1,12}(?:[.,]\d+)?)S)?)?",
    re.ASCII,
)
_UNIT: Final = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_UNIT_WORDS: Final[Mapping[str, str]] = {
    **{unit.upper(): unit for unit in _UNIT},
    **{unit.upper().removesuffix("S"): unit for unit in _UNIT},
    "W": "weeks",
    "D": "days",
    "H": "hours",
    "HR": "hours",
    "HRS": "hours",
    "MIN": "minutes",
    "MINS": "minutes",
    "S": "seconds",
    "SEC": "seconds",
    "SECS": "seconds",
}
UNITS: Final = tuple(_UNIT)
"""Units that a mapping can give to the numbers of a column."""


def number(name: str, text: str, decimal: str | None = None) -> Decimal:
    """
    Return a number of 0 or more, with or without a fraction.

    Args:
        decimal: The sign before the fraction, "." or ","; the other one parts thousands, in groups
            of three. None takes a number with one sign at most, and refuses those that it could
            make a thousand times as great: "2.880".

    Raises:
        InvalidValue: It is no such number, or may be two.
    """
    if decimal is not None and not (isinstance(decimal, str) and decimal in _GROUPED):
        raise InvalidValue("decimal", decimal, 'one of ".", ","')
    checked_text(name, text)
    says = 'the mapping says which sign stands before the fraction: decimal = "," or decimal = "."'
    if decimal is None:
        if _EITHER.fullmatch(text):
            whole, sign, rest = re.split("([.,])", text)
            why = f"it is {whole} and a fraction, or {whole}{rest} with {sign!r} between thousands"
            raise InvalidValue(name, text, f"{why}; a number with one reading, or {says}")
        if not _PLAIN.fullmatch(text):
            raise InvalidValue(
                name, text, f"a number as 1.5 or 1,5; where thousands are parted, {says}"
            )
        return Decimal(text.replace(",", "."))
    if not _GROUPED[decimal].fullmatch(text):
        other = "," if decimal == "." else "."
        allowed = f"{decimal!r} before the fraction, and {other!r} between thousands"
        raise InvalidValue(name, text, f"a number as the mapping says it: {allowed}")
    return Decimal(
        text.translate({ord(","): ".", ord("."): ""}) if decimal == "," else text.replace(",", "")
    )


def duration(name: str, text: str, unit: str | None = None, decimal: str | None = None) -> int:
    """
    Return a duration in microseconds (finer digits are rounded).

    It is told with its unit ("90 min", "1.5 h", "5400 s"), as a clock counts ("1:30:00"), or in ISO
    8601 ("PT1H30M", "P2DT4H", a day being 24 hours; years and months have no fixed length). A
    number alone is in the unit of its column: half the tools write minutes, the others seconds.

    Args:
        unit: That of numbers alone, one of `UNITS`; None refuses them.
        decimal: The sign before the fraction of a number, as `number` takes it.

    Raises:
        InvalidValue: It is none of these, or its number may be two: "2.880".
    """
    written = checked_text(name, text).upper()
    if unit is not None and not (isinstance(unit, str) and unit in UNITS):
        raise InvalidValue("unit", unit, f"one of {', '.join(UNITS)}")
    found = _NUMBER.fullmatch(written)
    if found is not None:
        of = unit if found["unit"] is None else _UNIT_WORDS.get(found["unit"])
        if of is not None:
            return _microseconds(name, text, number(name, found["number"], decimal) * _UNIT[of])
        if found["unit"] is None:
            allowed = (
                f'with its unit, as "{found["number"]} minutes", or a mapping that says it: '
                f'[units] {name} = "minutes"'
            )
            raise InvalidValue(name, text, allowed)
    for pattern in (_CLOCK, _PERIOD):
        found = pattern.fullmatch(written)
        if found is not None:
            parts = found.groupdict(default="0")
            seconds = sum(Decimal(parts[part].replace(",", ".")) * _UNIT[part] for part in parts)
            return _microseconds(name, text, Decimal(seconds))
    raise InvalidValue(name, text, 'a unit ("90 min"), a clock count (1:30:00), ISO 8601 (PT1H30M)')


_LONGEST: Final = 36_525 * 86_400


def _microseconds(name: str, text: str, seconds: Decimal) -> int:
    if seconds > _LONGEST:
        raise InvalidValue(name, text, "at most a hundred years")
    return round(seconds * 1_000_000)


# --- the mapping file -----------------------------------------------------------------------------


SEPARATORS: Final = (";",)
"""What stands between several in one cell, where no mapping says otherwise."""

_CAN_SEPARATE: Final = (";", ",", "|", "/", "+", "&", "\n")


@attrs.frozen(kw_only=True)
class Translation:
    """
    How another tool's names and values become ours. The empty one changes nothing.

    Attributes:
        columns: Table ("incidents") to their column to ours, several where it stands for several,
            none for one to leave out: "label:<name>" keeps it as the label of that name,
            "mark:<name>" is when a milestone of the team's own was reached.
        values: Our column to their value, case-folded, to ours; "" for absent.
        absent: Values that mean absent in every column.
        tz: IANA name of the zone of times without offset.
        time_formats: `strptime` formats of their times.
        units: Our column of durations to the unit of numbers alone in it.
        decimal: The sign before the fraction of durations' numbers, "." or ","; None: not said.
        refs: Our column of ids to the tool whose ids they are, where it is another one.
        complete: The files are the whole list of their source.
        empty_removes: A label whose column is there and whose cell is empty is gone; so are causes,
            fixes and services.
        made: Table to our columns that are made of several of theirs, or of none, and how.
        logs: Tables whose rows are states over time, the same id in many of them.
        final: Our columns of such a table that hold in every row what was known at the end.
        encoding, delimiter: Those of a CSV text, where they are not to be found out.
        sheets: Table to the sheet of a workbook in which it is.
        headers: Table to the line, or row, of its header, where that is not the first.
        separators: What stands between several services, causes or fixes in one cell.
        months: Names of the twelve months in times, where they are not English.
        optional: A column that the mapping names need not be in the table.
        own_values: Table to values as above that are meant in that table alone.
    """

    columns: Mapping[str, Mapping[str, tuple[str, ...]]] = attrs.field(
        factory=dict[str, Mapping[str, tuple[str, ...]]]
    )
    values: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict[str, Mapping[str, str]])
    absent: frozenset[str] = frozenset()
    tz: str | None = None
    time_formats: tuple[str, ...] = ()
    units: Mapping[str, str] = attrs.field(factory=dict[str, str])
    decimal: str | None = None
    refs: Mapping[str, str] = attrs.field(factory=dict[str, str])
    complete: bool = False
    empty_removes: bool = False
    made: Mapping[str, Mapping[str, Made]] = attrs.field(factory=dict[str, Mapping[str, Made]])
    logs: frozenset[str] = frozenset()
    final: frozenset[str] = frozenset()
    encoding: str | None = None
    delimiter: str | None = None
    sheets: Mapping[str, str] = attrs.field(factory=dict[str, str])
    headers: Mapping[str, int] = attrs.field(factory=dict[str, int])
    separators: tuple[str, ...] = SEPARATORS
    months: tuple[str, ...] = ()
    optional: bool = False
    own_values: Mapping[str, Mapping[str, Mapping[str, str]]] = attrs.field(
        factory=dict[str, Mapping[str, Mapping[str, str]]]
    )

    def of(self, table: str) -> Translation:
        """Return how names and values of one table become ours: its own values come first."""
        own = self.own_values.get(table)
        if not own:
            return self
        values = {**self.values}
        for column, words in own.items():
            values[column] = {**self.values.get(column, {}), **words}
        return attrs.evolve(self, values=values, own_values={})

    def value(self, column: str, text: str) -> str:
        """Return what *text* in our *column* means to us; "" where it means absent."""
        text = text.strip()
        if not text:
            return ""
        values = self.values.get(column, {})
        mapped = values.get(_folded(text)) if values else None
        if mapped is not None:
            return mapped
        return "" if text in self.absent else values.get(ELSE, text)


def _folded(text: str) -> str:
    """Return a value as it is compared: in any case, and with plain blanks for those of a sheet."""
    return text.replace("\N{NO-BREAK SPACE}", " ").casefold()


def read_mapping(
    path: str | Path | Mapping[str, Any],
    *,
    tables: Mapping[str, Collection[str]],
    closed: Mapping[str, Iterable[str]],
) -> Translation:
    """
    Read a mapping from a TOML file, or from what such a file tells.

    Args:
        path: The file, or the name of a mapping that ships; or its tables, as a mapping of
            mappings. Any: its parts are checked here.
        tables: Name of each table of columns and the names that are ours in it.
        closed: Our columns whose values are a closed list, and that list.

    Raises:
        InvalidValue: It can't be read, is no TOML, or holds a key, a column or a value that is
            not known; the message names the key and what is allowed.
    """
    for name, lists in (("tables", tables), ("closed", closed)):
        if not is_mapping(lists) or not all(is_list(names) for names in lists.values()):
            raise InvalidValue(name, lists, "give a mapping of names to lists of names")
    where, told = _given(path)
    _known(where, told, (*tables, "values", *_SETTINGS))
    ours = {column for columns in tables.values() for column in columns}
    columns: dict[str, Mapping[str, tuple[str, ...]]] = {}
    made: dict[str, Mapping[str, Made]] = {}
    own_values: dict[str, Mapping[str, Mapping[str, str]]] = {}
    logs: set[str] = set()
    sheets: dict[str, str] = {}
    headers: dict[str, int] = {}
    for name in tables:
        table = _table(name, told.get(name, {}))
        _known(name, table, ("columns", "made", "kind", "values", "sheet", "header"))
        if "sheet" in table:
            sheets[name] = _text(f"{name}.sheet", table["sheet"])
        if "header" in table:
            headers[name] = _line(f"{name}.header", table["header"])
        kind = _text(f"{name}.kind", table.get("kind", "rows"))
        if kind not in {"rows", "log"}:
            raise InvalidValue(f"{name}.kind", kind, '"rows" or "log"')
        logs |= {name} if kind == "log" else set()
        seen: set[str] = set()
        columns[name] = _columns(f"{name}.columns", table.get("columns", {}), tables[name], seen)
        if "made" in table:
            made[name] = _made_columns(f"{name}.made", table["made"], tables[name], seen)
        if "values" in table:
            own_values[name] = _all_values(f"{name}.values", table["values"], tables[name], closed)
    values = _all_values("values", told.get("values", {}), ours, closed)
    tz = None if told.get("tz") is None else _text("tz", told["tz"])
    if tz is not None:
        zone_named("tz", tz)
    formats = tuple(_texts("time_formats", told.get("time_formats", [])))
    months = tuple(_texts("months", told.get("months", [])))
    TimeRules(formats=formats, months=months)  # refuses a format that tells too little
    separators = tuple(_texts("separators", told.get("separators", list(SEPARATORS))))
    for each in separators:
        if each not in _CAN_SEPARATE:
            raise InvalidValue("separators", each, f"of {' '.join(map(repr, _CAN_SEPARATE))}")
    absent = frozenset(text.strip() for text in _texts("absent", told.get("absent", [])))
    units = _chosen("units", told.get("units", {}), ours & {*DURATIONS})
    for column, unit in units.items():
        if unit not in UNITS:
            raise InvalidValue(f"units.{column}", unit, f"one of {', '.join(UNITS)}")
    decimal = None if told.get("decimal") is None else _text("decimal", told["decimal"])
    if decimal is not None and decimal not in _GROUPED:
        raise InvalidValue("decimal", decimal, 'one of ".", ","')
    refs = _chosen("refs", told.get("refs", {}), ours & {*REFERS, OF_A_COMMIT})
    for column, source in refs.items():
        if "/" in checked_id(f"refs.{column}", source):
            raise InvalidValue(f"refs.{column}", source, "the name of a tool, without slash")
    return Translation(
        columns=columns,
        values=values,
        own_values=own_values,
        optional=_yes_or_no("optional", told.get("optional", False)),
        absent=absent,
        tz=tz,
        time_formats=formats,
        units=units,
        decimal=decimal,
        refs=refs,
        complete=_yes_or_no("complete", told.get("complete", False)),
        empty_removes=_yes_or_no("empty_removes", told.get("empty_removes", False)),
        made=made,
        logs=frozenset(logs),
        final=frozenset(_final(told.get("final", []), ours)),
        encoding=None if told.get("encoding") is None else _text("encoding", told["encoding"]),
        delimiter=None if told.get("delimiter") is None else _text("delimiter", told["delimiter"]),
        sheets=sheets,
        headers=headers,
        separators=separators,
        months=months,
    )


OF_A_COMMIT: Final = "change_id"
"""The column of commits that names their change."""


def _line(where: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidValue(where, value, "a number from 1 on, without quotes")
    return value


BLANK: Final = "?"
"""A value that is yet to be filled in: no closed list has it, so a mapping with it is refused."""

ELSE: Final = "*"
"""Among the values of a column: all that are not named, and that are not ours already."""


def _final(told: object, ours: Collection[str]) -> Iterator[str]:
    for name in _texts("final", told):
        if name not in ours and not name.startswith(LABEL):
            raise InvalidValue("final", name, f'"{LABEL}<name>", or {", ".join(sorted(ours))}')
        yield name


def _given(mapping: Any) -> tuple[str, Mapping[str, object]]:
    """Return how errors call a mapping, and what it tells."""
    if is_mapping(mapping):
        return "mapping", _table("mapping", _plain("mapping", mapping))
    told = read_toml("mapping", mapping_file(mapping))
    return str(mapping), told


_DEEPEST: Final = 5


def _plain(where: str, value: object, depth: int = 0) -> object:
    """Return what somebody gave as a file would tell it: tables and lists of plain values."""
    if depth > _DEEPEST:
        raise InvalidValue(where, "nested deeper", f"at most {_DEEPEST} tables in each other")
    if is_mapping(value):
        keys = [checked_text(where, key) for key in value]
        return {key: _plain(f"{where}.{key}", value[key], depth + 1) for key in keys}
    if not isinstance(value, str) and is_list(value):
        return [_plain(where, each, depth + 1) for each in value]
    return value


_SETTINGS: Final = (
    *("tz", "time_formats", "absent", "units", "refs", "complete", "empty_removes", "final"),
    *("encoding", "delimiter", "optional", "decimal", "separators", "months"),
)


def _yes_or_no(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue(name, value, "true or false, without quotes")
    return value


DURATIONS: Final = ("stated_time_to_restore", "stated_time_to_repair")
"""Columns of durations."""


def _chosen(where: str, told: object, ours: Collection[str]) -> dict[str, str]:
    """Return a table of our columns and a text for each."""
    given = _table(where, told)
    _known(where, given, sorted(ours))
    return {column: _text(f"{where}.{column}", value) for column, value in given.items()}


def _known(where: str, told: Iterable[str], allowed: Iterable[str]) -> None:
    for key in told:
        if key not in allowed:
            raise InvalidValue(where, excerpt(key), f"one of {', '.join(allowed)}")


def _table(where: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InvalidValue(where, value, f"write it as a table: [{where}]")
    return cast("dict[str, object]", value)


def _text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValue(where, value, "write it as text, in quotes")
    return value


def _texts(where: str, value: object) -> list[str]:
    if not isinstance(value, list):
        raise InvalidValue(where, value, 'write it as a list of texts, as ["?", "-"]')
    return [_text(where, one) for one in cast("list[object]", value)]


def _columns(
    where: str, told: object, ours: Collection[str], seen: set[str]
) -> dict[str, tuple[str, ...]]:
    columns: dict[str, tuple[str, ...]] = {}
    for theirs, value in _table(where, told).items():
        here = f"{where}.{theirs!r}"
        names = _texts(here, value) if is_list(value) else [_text(here, value)]
        for name in filter(None, names):
            _target(here, name, ours, seen)
        if theirs.strip() in columns:
            raise InvalidValue(where, theirs, "the column is there twice, but for blanks")
        columns[theirs.strip()] = tuple(filter(None, names))
    return columns


def _target(here: str, name: str, ours: Collection[str], seen: set[str]) -> str:
    """Return the name of what a column stands for, which no other one stands for."""
    if name.startswith(LABEL):
        checked_id(here, name.removeprefix(LABEL))
    elif name.startswith(MARK) and A_MARK in ours and name != A_MARK:
        checked_milestone(here, name.removeprefix(MARK))
    elif name not in ours or name == A_MARK:
        allowed = f'"" to leave it out, "{LABEL}<name>" for a label, or {", ".join(ours)}'
        raise InvalidValue(here, name, allowed)
    if name in seen:
        raise InvalidValue(here, name, "another column is mapped to it")
    seen.add(name)
    return name


def _made_columns(
    where: str, told: object, ours: Collection[str], seen: set[str]
) -> dict[str, Made]:
    made = read_made(where, told, lambda here, name: _target(here, name, ours, seen))
    for name, each in made.items():
        if each.how == "between" and name not in DURATIONS:
            allowed = f"only {', '.join(DURATIONS)} can be between two times"
            raise InvalidValue(f"{where}.{name}", each.how, allowed)
        if each.how == "after" and not name.endswith("_at"):
            allowed = "only a moment, such as acknowledged_at, can be after another one"
            raise InvalidValue(f"{where}.{name}", each.how, allowed)
    return made


def _all_values(
    where: str, told: object, ours: Collection[str], closed: Mapping[str, Iterable[str]]
) -> dict[str, Mapping[str, str]]:
    given = _table(where, told)
    _known(where, given, sorted(ours))
    return {
        column: _values(f"{where}.{column}", words, closed.get(column))
        for column, words in given.items()
    }


def _values(where: str, told: object, members: Iterable[str] | None) -> dict[str, str]:
    known = None if members is None else {one.casefold() for one in members}
    given = _table(where, told)
    # What is ours already needs no mapping, also where everything else is something.
    values = {one: one for one in known or ()} if ELSE in given else {}
    own = set(values)
    for theirs, value in given.items():
        ours = _text(f"{where}.{theirs!r}", value).strip()
        if ours and known is not None and ours.casefold() not in known:
            allowed = f'"" for absent, or one of {", ".join(members or ())}'
            raise InvalidValue(f"{where}.{theirs!r}", ours, allowed)
        key = _folded(theirs.strip())
        if key in own:
            own.discard(key)
            values[key] = ours
        elif values.setdefault(key, ours) != ours:
            raise InvalidValue(
                f"{where}.{theirs!r}", ours, f"{theirs!r} in another case means {values[key]!r}"
            )
    return values
