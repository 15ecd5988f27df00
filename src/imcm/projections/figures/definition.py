"""
What every definition of a figure has in common.

A *definition* is a value: all the choices behind a figure, with their defaults. It can be
compared, printed, written as JSON and read back.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Final, Self, TypeGuard, cast
from zoneinfo import ZoneInfo

import attrs

from imcm.domain.vocabulary import (
    A_MARK,
    MARK,
    Kind,
    Severity,
    checked_text,
    checked_time,
    is_among,
    is_list,
    is_mapping,
)
from imcm.errors import InvalidValue
from imcm.projections.facts.instants import FIRST, LAST
from imcm.projections.figures.bounds import instants
from imcm.projections.figures.days import midnight
from imcm.projections.figures.excerpt import one_of, short
from imcm.projections.figures.units import zone
from imcm.projections.figures.windows import FORMS, Period, Relative, days_of, relative

ANY: Final = "*"
"""In a filter: everything, whatever its name."""


def json_value(value: object) -> Any:
    as_dict = getattr(value, "as_dict", None)
    if as_dict is not None:
        return as_dict()
    if isinstance(value, (datetime, date)):
        return None if value in (FIRST, LAST) else value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if is_list(value) and not is_mapping(value):
        return [json_value(item) for item in value]
    if is_mapping(value):
        return {str(key): json_value(item) for key, item in value.items()}
    return value


# --- definitions ----------------------------------------------------------------------------------


def names(value: Any) -> Any:
    """
    Return a name, or a list of them, as a tuple: the converter of every such argument.

    Anything else stays as it is, and is refused by the definition, which knows the name.
    """
    if isinstance(value, str):
        return (value,)
    return tuple(value) if is_list(value) else value


def some_texts(value: Any) -> Any:
    given = (value,) if isinstance(value, str) else value
    if not is_list(given):
        return given
    # An enumeration's member as its text; what is none is refused, where the name is known.
    return tuple(str(item) if isinstance(item, str) else item for item in given)


def _window(value: object) -> Any:
    """Return a window as its two ends, one of which may be open; text stays as it is."""
    if value is None or isinstance(value, (str, Relative)):
        return value
    start, end = _two_ends("window", value, FORMS)
    if start is None and end is None:
        raise InvalidValue("window", value, "one end at least, or None for all time")
    # With a fixed offset it is compared as an instant, and equals itself when it is read back.
    first = FIRST if start is None else given_time("window start", start)
    return first, LAST if end is None else given_time("window end", end)


def checked_period(
    name: str, value: object, *, time_zone: str = "UTC"
) -> tuple[datetime, datetime] | None:
    """
    Return *value* as (start, end) with fixed offsets, None for None; times may be ISO 8601 text.

    A text is read as windows of figures are ("2026-Q1"), in an IANA zone, but for one that is
    relative to something.

    Raises:
        NaiveTimeError: One of them has no zone.
        InvalidValue: It is none.
    """
    home = zone(time_zone)
    if value is None:
        return None
    if isinstance(value, str):
        written = _written(value, home)
        if isinstance(written, Relative):
            raise InvalidValue(name, value, 'a fixed period, such as "2026-Q1"')
        return written
    start, end = _two_ends(name, value, "give (start, end), both aware")
    return given_time(f"{name} start", start), given_time(f"{name} end", end)


def _two_ends(name: str, value: object, allowed: str) -> tuple[object, object]:
    ends = tuple(value) if is_list(value) and not is_mapping(value) else ()
    if len(ends) != 2:
        raise InvalidValue(name, value, allowed)
    return ends[0], ends[1]


def _written(text: str, home: ZoneInfo) -> Period | Relative:
    """Return the window that a text means in a zone."""
    window = relative(text.strip())
    if window is not None:
        return window
    ends: list[datetime] = []
    parts = text.split("/")
    for part in parts:
        days = days_of(part.strip())
        if days is not None:
            ends += (midnight(day, home) for day in days)
        elif len(parts) == 2:
            ends += (given_time("window", part.strip()),) * 2
    if not ends or len(parts) > 2:
        raise InvalidValue("window", text, FORMS)
    return (ends[0], ends[1]) if len(parts) == 1 else (ends[0], ends[2])


def given_time(name: str, value: object) -> datetime:
    """Return a time given as such or as text, with a fixed offset; refuse one without a zone."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidValue(name, value, "an ISO 8601 time with its offset") from None
    return checked_time(name, value)


def _labels(value: object) -> Mapping[str, str] | None:
    if value is None:
        return None
    if not is_mapping(value):
        raise InvalidValue("labels", value, 'give a mapping, for example {"team": "core"}')
    return {
        checked_text("labels", name): checked_text("labels", text) for name, text in value.items()
    }


MOST_DAYS: Final = (date.max - date.min).days
MOST_BUCKETS: Final = 40_000
"""More periods than about this many are refused: one wrong date could ask for millions of days."""

BUCKETS: Final = ("day", "week", "month", "quarter", "year")
GROUPS: Final = (
    *("service", "severity", "severity_name", "cause_tag", "channel", "type", "kind", "risk"),
)
BOUNDS: Final = ("[)", "[]", "(]", "()")


@attrs.frozen(kw_only=True)
class Definition:
    """
    The choices every figure has. Each figure's own definition adds its own.

    Attributes:
        window: (start, end), both aware; None takes everything. One of the ends may be None: the
            start is then the first moment that the log tells of, and the end is `as_of`, both of
            them inside. As text: a period of the calendar in the time zone ("2026", "2026-Q1",
            "2026-03", "2026-W09", "2026-03-05"), from the start of one to that of another
            ("2026-03-05/2026-03-12"), or the last whole week, month, quarter or year before
            `as_of` ("last quarter"). A figure's own definition has the two ends that came of it.
        bounds: Which ends of the window belong to it, "[)" being the start only.
        time_zone: The IANA zone in which days, weeks, months and years begin.
        environments: Names that count; no name counts as production. "*" takes all.
        services: Only what concerns one of these; one name, or several; None takes all.
        severities: Only incidents of these ranks, "P1" to "P4"; None takes all.
        kinds: Only changes of these kinds; None takes all.
        labels: Only what carries all of these labels.
        severity: Which of the severities an incident held counts: last, highest or first.
        group_by: "service", "severity", "severity_name" (what the team's own scale called it, else
            the rank), "cause_tag" (of reviews), "channel", "type", "kind", "risk", or
            "label:<name>".
        bucket_by: "day", "week" (ISO, from Monday), "month", "quarter", "year", or a number of
            days; empty ones are present.
        week_starts: On which day weeks begin, of buckets and of "last week".
        anchor: For buckets of n days: whether they are counted from the window's "start" or "end".
        whole: What the figure of all groups together is: computed from the "rows" (default), or the
            "unweighted" mean of the group figures, which weighs a small group like a large one.
        empty: What nothing is: "none" (undefined, the default) or "zero".
        level: Confidence level of intervals, above 0 and below 1.
    """

    NAME: ClassVar[str] = ""
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "bounds": BOUNDS,
        "severity": ("last", "highest", "first"),
        "week_starts": ("monday", "sunday"),
        "anchor": ("start", "end"),
        "whole": ("rows", "unweighted"),
        "empty": ("none", "zero"),
    }

    window: Period | None = attrs.field(default=None, converter=_window)
    bounds: str = "[)"
    time_zone: str = "UTC"
    environments: tuple[str, ...] | None = attrs.field(default=None, converter=some_texts)
    services: tuple[str, ...] | None = attrs.field(default=None, converter=some_texts)
    severities: tuple[str, ...] | None = attrs.field(default=None, converter=some_texts)
    kinds: tuple[str, ...] | None = attrs.field(default=None, converter=some_texts)
    labels: Mapping[str, str] | None = attrs.field(default=None, converter=_labels)
    severity: str = "last"
    group_by: str | None = None
    bucket_by: str | int | None = None
    week_starts: str = "monday"
    anchor: str = "start"
    whole: str = "rows"
    empty: str = "none"
    level: float = 0.95

    def __attrs_post_init__(self) -> None:
        self._check_choices()
        self._check_filters()
        self._check_parts()
        home, window = zone(self.time_zone), self.window
        if isinstance(window, str):
            object.__setattr__(self, "window", _written(window, home))
        if self.window is not None and not instants(self.window, self.bounds):
            allowed = 'its end must be after its start, or at it where bounds="[]"'
            raise InvalidValue("window", json_value(self.window), allowed)
        level: Any = self.level
        if not isinstance(level, (int, float)) or not 0 < level < 1:
            raise InvalidValue("level", level, "a confidence level lies between 0 and 1")

    def _check_choices(self) -> None:
        choices: dict[str, tuple[str, ...]] = {}
        for cls in reversed(type(self).__mro__):
            choices |= cls.__dict__.get("CHOICES", {})
        several = {a.name for a in attrs.fields(type(self)) if isinstance(a.default, tuple)}
        for name in (a.name for a in attrs.fields(type(self)) if isinstance(a.default, bool)):
            if not isinstance(getattr(self, name), bool):
                raise InvalidValue(name, getattr(self, name), "give True or False")
        for name, allowed in choices.items():
            value: Any = getattr(self, name)
            given: Iterable[Any] = value if name in several and is_list(value) else (value,)
            for choice in given:
                if not is_among(choice, allowed) and not (A_MARK in allowed and is_mark(choice)):
                    raise InvalidValue(name, choice, one_of(choice, allowed))

    def _check_filters(self) -> None:
        for name in ("environments", "services", "severities", "kinds"):
            value: Any = getattr(self, name)
            if value is not None and not isinstance(value, tuple):
                raise InvalidValue(name, value, "give a list of names")
            for item in cast("tuple[object, ...]", value or ()):
                checked_text(name, item)
        closed: tuple[tuple[str, type[Severity] | type[Kind]], ...]
        closed = ("severities", Severity), ("kinds", Kind)
        for name, allowed in closed:
            for item in getattr(self, name) or ():
                if item not in list(allowed):
                    raise InvalidValue(name, item, one_of(item, allowed))

    def _check_parts(self) -> None:
        by: Any = self.bucket_by
        if isinstance(by, int) and (isinstance(by, bool) or not 1 <= by <= MOST_DAYS):
            raise InvalidValue(
                "bucket_by", by, f"a number of days is 1 or more, up to {MOST_DAYS:,}"
            )
        if by is not None and not isinstance(by, int) and not is_among(by, BUCKETS):
            allowed = f"one of {', '.join(BUCKETS)}, or a number of days"
            raise InvalidValue("bucket_by", by, allowed)
        group: Any = self.group_by
        if not is_among(group, (None, *GROUPS)) and not is_label(group):
            raise InvalidValue("group_by", group, one_of(group, (*GROUPS, "or label:<name>")))
        if self.whole == "unweighted" and group is None:
            raise InvalidValue("whole", self.whole, "it is the mean of groups: give group_by= too")

    def __repr__(self) -> str:
        """Return it as it is made, without what is left at its default."""
        arguments = ", ".join(f"{name}={short(value)}" for name, value in self.chosen().items())
        return f"{type(self).__name__}({arguments})"

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return every choice at its default, by name, as an instance would hold it."""
        return {
            a.name: a.default if a.converter is None else a.converter(a.default)
            for a in attrs.fields(cls)
        }

    def chosen(self) -> dict[str, Any]:
        """Return the choices that are not the default, by name."""
        given = ((name, getattr(self, name), value) for name, value in self.defaults().items())
        return {name: value for name, value, default in given if value != default}

    def _choices(self) -> dict[str, Any]:
        return {a.name: json_value(getattr(self, a.name)) for a in attrs.fields(type(self))}

    def as_dict(self) -> dict[str, Any]:
        """Return all choices as plain values; `from_dict` of the same class reads them back."""
        return {"figure": type(self).NAME, **self._choices()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """
        Return the definition that `as_dict` wrote.

        Raises:
            InvalidValue: It is of another figure, or holds an argument there is not.
        """
        if not is_mapping(plain):
            raise InvalidValue("definition", plain, "a mapping written by as_dict")
        given = dict(plain)
        figure = given.pop("figure", cls.NAME)
        if figure != cls.NAME:
            raise InvalidValue("figure", figure, f"this reads definitions of {cls.NAME!r}")
        names = [a.name for a in attrs.fields(cls)]
        for name, value in given.items():
            if name not in names:
                raise InvalidValue(str(name), value, f"an argument of it: {', '.join(names)}")
        return cls(**given)

    def to_json(self) -> str:
        """Return the definition as one line of JSON."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the definition that `to_json` wrote."""
        try:
            plain: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidValue("definition", text, f"JSON written by to_json: {error}") from None
        if not is_mapping(plain):
            raise InvalidValue("definition", text, "a JSON object written by to_json")
        return cls.from_dict(plain)

    def shown(self) -> dict[str, str]:
        """Return every choice as text, in the order of the documentation."""
        return {name: json.dumps(value) for name, value in self._choices().items()}


def choices(definition: Definition, cls: type[Definition]) -> Iterator[Hashable]:
    """Yield what a definition chooses of the arguments that *cls* has, to tell choices apart."""
    for field in attrs.fields(cls):
        value = getattr(definition, field.name)
        yield tuple(sorted(value.items())) if is_mapping(value) else value


LABEL: Final = "label:"


def is_label(value: object) -> TypeGuard[str]:
    """Say whether a choice is "label:" with the name of a label."""
    return isinstance(value, str) and value.startswith(LABEL) and value != LABEL


def is_mark(value: object) -> TypeGuard[str]:
    """Say whether a choice is "mark:" with the name of a milestone."""
    return isinstance(value, str) and value.startswith(MARK) and value != MARK
