"""
Payloads from outside, read with care: JSON with limits, times, words of other tools.

A `Payload` gives what stands at a place of nested data, in the form that a fact needs; what is
there and can't be used is listed, never guessed and never left out silently.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any, Final, TypeGuard, TypeVar
from zoneinfo import ZoneInfo

import attrs
import msgspec

from imcm.domain.policy.tables import refuse_others
from imcm.domain.vocabulary import (
    Moment,
    checked_id,
    checked_text,
    is_among,
    is_list,
    is_mapping,
)
from imcm.errors import InvalidValue
from imcm.interchange.mapping import TimeRules, zone_named
from imcm.interchange.statements import FACTS, Check, Dropped, dropped
from imcm.interchange.toml_files import read_toml

LARGEST: Final = 8_000_000
"""Bytes that one payload has at most."""

DEEPEST: Final = 64
"""How deep its lists and mappings are nested at most."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def json_of(raw: bytes, *, largest: int = LARGEST) -> Any:
    """
    Return what a JSON text tells. Any: a payload may tell anything.

    Raises:
        InvalidValue: It is larger or deeper nested than is taken, or no JSON.
    """
    if len(raw) > largest:
        raise InvalidValue("payload", f"{len(raw):,} bytes", f"at most {largest:,}")
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        shown = raw[:40].decode(errors="replace") + ("..." if len(raw) > 40 else "")
        raise InvalidValue("payload", shown, f"it has to be JSON, and is not: {error}") from None
    if _depth(value) > DEEPEST:
        raise InvalidValue("payload", "nested deeper", f"at most {DEEPEST} lists and mappings")
    return value


def _depth(value: object) -> int:
    deepest = 0
    level: list[Any] = [value]
    while level:
        deepest += 1
        if deepest > DEEPEST + 1:
            break
        level = [
            inner
            for each in level
            for inner in (each.values() if is_mapping(each) else each if _is_array(each) else ())
        ]
    return deepest - 1


def _is_array(value: object) -> TypeGuard[list[Any]]:
    """Say whether it is what JSON calls an array."""
    return isinstance(value, list)


def _some_of(words: Iterable[str], at_most: int = 12) -> str:
    """Return words for a person to read: those with letters first, and how many more there are."""
    listed = sorted(words, key=lambda word: (not any(map(str.isalpha, word)), word))
    more = len(listed) - at_most
    return ", ".join(listed[:at_most]) + (f" and {more} more" if more > 0 else "")


def _zone(value: object) -> ZoneInfo | None:
    if value is None or isinstance(value, ZoneInfo):
        return value
    return zone_named("tz", checked_text("tz", value))


def _values(value: object) -> Mapping[str, Mapping[str, str]]:
    allowed = '{"severity": {"critical": "P1"}}: ours by theirs, by fact'
    if not is_mapping(value):
        raise InvalidValue("values", value, allowed)
    made: dict[str, Mapping[str, str]] = {}
    for fact, words in value.items():
        if not is_mapping(words):
            raise InvalidValue("values", words, allowed)
        pairs = {checked_text(fact, a).casefold(): checked_text(fact, b) for a, b in words.items()}
        made[checked_text("values", fact)] = MappingProxyType(pairs)
    return MappingProxyType(made)


def _names(value: object) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not is_list(listed) or not all(isinstance(name, str) for name in listed):
        raise InvalidValue("labels", value, 'names of labels, such as ["service", "app"]')
    return tuple(listed)


def _refires(value: object) -> str:
    if value not in {"new", "reopens"}:
        raise InvalidValue("refires", value, '"new" or "reopens"')
    return str(value)


@attrs.frozen(kw_only=True)
class Options:
    """
    How payloads of one source are read.

    Attributes:
        tz: IANA name of the zone of times without UTC offset; without it they are refused.
        values: Our words by theirs, by fact: {"severity": {"critical": "P1"}}; "" means absent.
            They come before what a format takes by itself.
        service_label: Of formats whose alerts have labels: which of them name the service, the
            first one there counts.
        environment_label: Which of them name the environment.
        refires: What an alert is that fires again after it was resolved: a "new" incident, or the
            same, which "reopens". So for formats that say since when an alert fires.
    """

    tz: ZoneInfo | None = attrs.field(default=None, converter=_zone)
    values: Mapping[str, Mapping[str, str]] = attrs.field(
        factory=dict[str, Mapping[str, str]], converter=_values
    )
    service_label: tuple[str, ...] = attrs.field(
        default=("service", "app", "application", "job"), converter=_names
    )
    environment_label: tuple[str, ...] = attrs.field(
        default=("environment", "env"), converter=_names
    )
    refires: str = attrs.field(default="new", converter=_refires)

    def word(self, fact: str, text: str, ours: Mapping[str, str]) -> str | None:
        """Return our word for theirs; "" where it means absent, None where it is not known."""
        theirs = text.strip().casefold()
        given = self.values.get(fact, {}).get(theirs)
        return ours.get(theirs) if given is None else given


DEFAULT: Final = Options()


def read_options(path: str | FilePath | None, *, tz: str | None = None) -> Options:
    """
    Return the options that a TOML file tells: its keys are the arguments of `Options`.

        tz = "Europe/Oslo"
        refires = "reopens"
        service_label = ["app"]

        [values.severity]
        critical = "P1"

    Args:
        path: The file; None for the options by default.
        tz: The zone, before that of the file.

    Raises:
        InvalidValue: It can't be read, or holds something else.
    """
    told = {} if path is None else read_toml("options", path)
    known = [field.name for field in attrs.fields(Options)]
    refuse_others("options", told, known)
    return Options(**{**told, **({} if tz is None else {"tz": tz})})


Path = tuple[str | int, ...]

T = TypeVar("T")


class Payload:
    """
    Nested data of a source, asked place by place.

    What is absent is None: a key that is not there, null, an empty text. What is there and can't
    be used is None too, and stands in `dropped`.
    """

    def __init__(
        self,
        value: object,
        options: Options = DEFAULT,
        *,
        at: Path = (),
        drops: list[Dropped] | None = None,
    ) -> None:
        if not is_mapping(value):
            raise InvalidValue(_name(at) or "payload", _kind(value), "a JSON object")
        self._value = value
        self._at = at
        self.options = options
        self._times = TimeRules(zone=options.tz)
        self.drops: list[Dropped] = [] if drops is None else drops
        self.texts: dict[str, str] = {}

    # --- places ---

    def raw(self, *path: str | int) -> Any:
        """Return what stands at a place as it is; None where there is nothing. Any: it may be."""
        value: Any = self._value
        for step in path:
            if isinstance(step, int):
                value = value[step] if _is_array(value) and step < len(value) else None
            else:
                value = value.get(step) if is_mapping(value) else None
        return value

    def names(self) -> tuple[str, ...]:
        """Return the names of what stands here, also of what is null."""
        return tuple(name for name in self._value if isinstance(name, str))

    def part(self, *path: str | int) -> Payload:
        """Return the object at a place, an empty one where there is none."""
        value = self.raw(*path)
        if is_mapping(value):
            return self._inner(value, path)
        if value is not None:
            self.drop(path, value, "an object belongs there")
        return self._inner({}, path)

    def parts(self, *path: str | int) -> Iterator[Payload]:
        """Yield the objects of the list at a place."""
        value = self.raw(*path)
        if value is None:
            return
        if not _is_array(value):
            self.drop(path, value, "a list belongs there")
            return
        for place, each in enumerate(value):
            if is_mapping(each):
                yield self._inner(each, (*path, place))
            else:
                self.drop((*path, place), each, "an object belongs there")

    def _inner(self, value: object, path: Path) -> Payload:
        return Payload(value, self.options, at=(*self._at, *path), drops=self.drops)

    def drop(self, path: Path | str, value: object, why: str) -> None:
        """List something that is left out, with its reason."""
        path = (path,) if isinstance(path, str) else path
        left_out = dropped(_name((*self._at, *path)), value, why)
        if left_out not in self.drops:  # a place may be asked for more than once
            self.drops.append(left_out)

    # --- values ---

    def text(self, *path: str | int) -> str | None:
        """Return a text, or a number as text; blanks around it do not count."""
        value = self.raw(*path)
        if value is None or isinstance(value, bool):
            return None if value is None else str(value).lower()
        if isinstance(value, (int, float)):
            return f"{value:d}" if isinstance(value, int) else repr(value)
        if not isinstance(value, str):
            self.drop(path, value, "a text belongs there")
            return None
        return value.strip() or None

    def each_text(self, *path: str | int) -> list[str]:
        """Return the texts of the list at a place; none where there is no list."""
        value = self.raw(*path)
        if value is None:
            return []
        if not _is_array(value):
            self.drop(path, value, "a list belongs there")
            return []
        places = range(len(value))
        return [text for place in places if (text := self.text(*path, place)) is not None]

    def id(self, *path: str | int) -> str | None:
        """Return a text that can be an id."""
        text = self.text(*path)
        if text is None:
            return None
        try:
            return checked_id(_name(path), text)
        except InvalidValue as error:
            self.drop(path, text, error.allowed)
            return None

    def required(self, *path: str | int) -> str:
        """
        Return an id without which nothing can be said.

        Raises:
            InvalidValue: It is not there, or can't be one.
        """
        return checked_id(_name((*self._at, *path)), self.text(*path) or "")

    def truth(self, *path: str | int) -> bool | None:
        """Return True or False, also where a tool writes them as text."""
        value = self.raw(*path)
        if isinstance(value, bool) or value is None:
            return value
        found = {"true": True, "false": False}.get(str(value).strip().casefold())
        if found is None:
            self.drop(path, value, "true or false")
        return found

    def number(self, *path: str | int) -> int | None:
        """Return a whole number of 0 or more, also where a tool writes it as text."""
        value = self.raw(*path)
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()):
            value = int(value)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
            self.drop(path, value, "a whole number")
            return None
        return value

    def moment(self, *path: str | int, fact: str | None = None) -> Moment | None:
        """
        Return a time in ISO 8601; None where it is absent: "0001-01-01..." too, by which tools
        that are written in Go say "not yet".

        Args:
            fact: Of which fact it is, to keep how it was written where its zone was not.

        Raises:
            InvalidValue: It is a time without UTC offset, and the options name no zone.
        """
        text = self.text(*path)
        if text is None:
            return None
        fitted = _fitted(text)
        if fitted is None:
            self.drop(path, text, "a time in ISO 8601 belongs there")
            return None
        naive = _OFFSET.search(fitted) is None
        if naive and self.options.tz is None:
            name = _name((*self._at, *path))
            allowed = 'it has no UTC offset; say which clock it is of: tz="Europe/London", or --tz'
            raise InvalidValue(name, text, allowed)
        try:
            moment = self._times.moment(_name(path), fitted)
        except InvalidValue as error:
            self.drop(path, text, error.allowed)
            return None
        if naive and fact is not None and moment is not None:
            self.texts[fact] = text
        return moment

    def time(self, *path: str | int) -> datetime | None:
        """Return a time that is certain; None likewise."""
        moment = self.moment(*path)
        if moment is None or isinstance(moment, datetime):
            return moment
        self.drop(path, self.raw(*path), "it came twice, when the clock was put back")
        return None

    def epoch(self, *path: str | int, unit: timedelta, parts: int = 1) -> datetime | None:
        """
        Return a time that is counted from 1970 on, in units of this length; 0 is absent.

        Args:
            unit: What is counted.
            parts: Into how many parts each unit is cut: nanoseconds are the 1000th parts of
                microseconds, of which no length can be told otherwise.
        """
        value = self.raw(*path)
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}(\.[0-9]{1,9})?", value.strip()):
            value = float(value) if "." in value else int(value)
        if value is None or is_among(value, ("", 0)):
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
            self.drop(path, value, "a number that counts from 1970 on")
            return None
        try:
            return _EPOCH + unit * value // parts
        except OverflowError:
            self.drop(path, value, "a time of the years 1 to 9999")
            return None

    def word(self, fact: str, text: str | None, ours: Mapping[str, str]) -> str | None:
        """
        Return our word for theirs; None where it is absent or not known, which is listed.

        Args:
            ours: What the format takes by itself: our words by theirs, in small letters.
        """
        if text is None:
            return None
        word = self.options.word(fact, text, ours)
        if word is None:
            known = _some_of({*ours, *self.options.values.get(fact, {})})
            self.drop(fact, text, f"not known ({known}); say what it means under values.{fact}")
        return word or None

    def first(self, labels: Mapping[str, str], names: Sequence[str]) -> str | None:
        """Return the first of some labels that is there."""
        return next((labels[name] for name in names if labels.get(name)), None)

    def labels(self, *path: str | int) -> dict[str, str]:
        """Return the texts of the object at a place, by name; what is none is left out, listed."""
        inner = self.part(*path)
        return told({name: inner.text(name) for name in inner.names()})

    # --- facts ---

    def usable(
        self, kind: str, facts: Mapping[str, Any], *, none: Collection[str] = ()
    ) -> dict[str, Any]:
        """
        Return the facts that can stand; what can't be right is left out, listed.

        Args:
            kind: Of an "incident" or a "change".
            facts: Values by name; None is left out, and so is an empty list or mapping.
            none: The facts of which None says that there is none.
        """
        kept: dict[str, Any] = {}
        for name, value in facts.items():
            check = FACTS[kind][name]
            if value is None:
                if name in none:
                    kept[name] = None
            elif is_mapping(value):  # one label that can't be kept takes no other with it
                fit = {
                    key: inner
                    for key, inner in value.items()
                    if self._fits(check, f"{name}.{key}", {key: inner}, inner)
                }
                if fit:
                    kept[name] = fit
            elif value != () and self._fits(check, name, value, value):
                kept[name] = value
        return kept

    def _fits(self, check: Check, name: str, value: object, shown: object) -> bool:
        try:
            check(name, value)
        except InvalidValue as error:
            self.drop(name, shown, error.allowed)
            return False
        return True


_OFFSET: Final = re.compile(r"(Z|[+-]\d\d(:?\d\d)?)$", re.ASCII | re.IGNORECASE)
_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)


def _fitted(text: str) -> str | None:
    """Return a time in the form that is read: GitLab writes a blank before the offset."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    day, clock, offset = found.groups()
    return f"{day}T{clock}{'Z' if (offset or '').upper() == 'UTC' else offset or ''}"


def told(values: Mapping[str, T | None]) -> dict[str, T]:
    """Return what is there of some values by name, without what is None."""
    return {name: value for name, value in values.items() if value is not None}


def _finite(value: float) -> bool:
    return isinstance(value, int) or math.isfinite(value)


def _name(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(
        "."
    )


def _kind(value: object) -> str:
    return "null" if value is None else "a list" if is_list(value) else type(value).__name__
