"""
Events of iCalendar files (RFC 5545), expanded to instants.

Lines and values are read by `icalendar`, recurrences are expanded by `recurring_ical_events`, both
in local times without a zone; which instants those are is decided here, by zones of the file or of
this machine. So nothing of a file is kept by a library, and what a file says wrongly is an error
that names the event, never an event less.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import attrs

from imcm.domain.zones import local_instant
from imcm.errors import ImcmError, InvalidValue, MissingExtraError
from imcm.files import checked_path
from imcm.interchange.calendar_rules import MOST_TIMES, Budget, Rule, starts_of
from imcm.interchange.calendar_zones import Onset, defined_zone, named_zone
from imcm.plain import excerpt, plain

__all__ = ["Happening", "happenings", "libraries", "read_bytes"]

LARGEST: Final = 5_000_000
"""Bytes that a calendar file has at most."""

LONGEST: Final = 200_000
"""Characters that a property has at most."""

_MOST_MOVED: Final = 100
"""How often one event may be moved from some time on (RANGE=THISANDFUTURE)."""

_SLACK: Final = timedelta(days=3)
"""Local times of two zones are less than this apart."""

_ONCE: Final = ("UID", "STATUS", "SEQUENCE", "DTSTART", "DTEND", "DURATION", "RECURRENCE-ID")
"""What an event has no second time: which of the two would hold?"""

_LINES: Final = frozenset(
    (
        *_ONCE,
        *("METHOD", "CALSCALE", "X-WR-TIMEZONE", "SUMMARY", "CATEGORIES"),
        *("RRULE", "EXRULE", "RDATE", "EXDATE", "TZID", "TZOFFSETFROM", "TZOFFSETTO"),
    )
)
"""The properties that are read; what else stands in a file may be anything."""


class Happening(NamedTuple):
    """
    An event of a file, once.

    Attributes:
        start, end: In UTC.
        title, uid: Its SUMMARY and UID, as they stand there.
        all_day: Whether days are told, not times.
        left_out: Why it is not to be taken; "" where it is.
    """

    start: datetime
    end: datetime
    title: str
    uid: str
    all_day: bool
    left_out: str


# --- bytes, lines, components ---------------------------------------------------------------------


def libraries(what: str) -> tuple[Any, Any]:
    """
    Return `icalendar` and `recurring_ical_events`. Any: modules that need not be installed.

    Raises:
        MissingExtraError: They are not installed.
    """
    try:
        return import_module("icalendar"), import_module("recurring_ical_events")
    except ImportError:
        raise MissingExtraError(what, "calendars") from None


def read_bytes(name: str, source: object) -> tuple[str, bytes]:
    """
    Return how errors call a calendar, and what it holds.

    Args:
        name: What the argument is called.
        source: The path of a file, or its content as bytes.

    Raises:
        InvalidValue: It can't be read, or is too large.
    """
    called, data = "calendar", source
    if not isinstance(source, bytes):
        path = checked_path(name, source)
        called = excerpt(plain(path.name), 60)
        data = _content(name, path)
    assert isinstance(data, bytes)
    if len(data) > LARGEST:
        raise InvalidValue(name, called, f"at most {LARGEST:,} bytes")
    return called, data


def _content(name: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)  # a device may have no end
    except OSError as error:
        raise InvalidValue(name, str(path), f"it can't be read: {error.strerror}") from None


class _Line(NamedTuple):
    """A property: its name in capitals, its TZID, all its parameters, and its value twice."""

    name: str
    zone: str | None
    params: Mapping[str, object]
    value: str
    raw: str


@attrs.define
class _Component:
    """A component of a file with the properties that are read, and what stands in it."""

    kind: str
    lines: list[_Line] = attrs.field(factory=list[_Line])
    parts: list[_Component] = attrs.field(factory=list["_Component"])

    def all(self, name: str) -> list[_Line]:
        return [line for line in self.lines if line.name == name]

    def text(self, name: str) -> str:
        return next((line.value for line in self.lines if line.name == name), "")


@contextmanager
def _ours(place: str, value: str) -> Generator[None]:
    """Turn whatever a library raises into an error of ours."""
    try:
        yield
    except ImcmError:
        raise
    except Exception as error:
        why = excerpt(" ".join(plain(error).split()), 100)
        allowed = f"it can't be read as RFC 5545 has it: {type(error).__name__} {why}".rstrip()
        raise InvalidValue(place, value, allowed) from None


def _components(called: str, data: bytes) -> list[_Component]:
    """Return the calendars of a file."""
    allowed = "an iCalendar file (.ics): UTF-8, from BEGIN:VCALENDAR to END:VCALENDAR"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidValue(called, "bytes that are no UTF-8", allowed) from None
    contentlines: Any = import_module("icalendar.parser").Contentlines
    # One line after another: older versions of the library take long over thousands of empty lines.
    text = "\n".join(filter(None, re.split("\r?\n", text)))
    top = _Component("")
    open_: list[_Component] = [top]
    for line in contentlines.from_ical(text):
        name = re.split("[:;]", line, maxsplit=1)[0].strip().upper()
        if name in {"BEGIN", "END"}:
            kind = line.partition(":")[2].strip().upper()
            if name == "BEGIN" and (kind == "VCALENDAR") == (len(open_) == 1) and len(open_) < 6:
                open_.append(_Component(kind))
                open_[-2].parts.append(open_[-1])
            elif name == "END" and open_[-1].kind == kind != "":
                open_.pop()
            else:
                raise InvalidValue(called, excerpt(line), allowed)
        elif len(open_) == 1 and line.strip():
            raise InvalidValue(called, excerpt(line), allowed)
        elif name in _LINES:
            if len(line) > LONGEST:
                raise InvalidValue(f"{called} {name}", excerpt(line), f"at most {LONGEST:,} signs")
            open_[-1].lines.append(_line(called, name, line))
    if len(open_) > 1 or not top.parts:
        raise InvalidValue(called, "a file that is cut off, or holds no calendar", allowed)
    return top.parts


def _line(called: str, name: str, line: Any) -> _Line:
    """Return a property; Any: a line of the library's."""
    with _ours(called, excerpt(line, 60)):
        _, params, value = line.parts()
        zone = params.get("TZID")
        zone = None if zone is None else str(zone)
        raw = _BEFORE_VALUE.sub("", line, count=1)
        return _Line(name, zone, params, value.strip(), raw)


_BEFORE_VALUE: Final = re.compile(r'^[^:"]*(?:"[^"]*"[^:"]*)*:')
_COMMA: Final = re.compile(r"(?<!\\),")


# --- times ----------------------------------------------------------------------------------------


class _Stamp(NamedTuple):
    """A day or a local time, and the zone that it is told in."""

    wall: date | datetime
    zone: ZoneInfo

    @property
    def is_day(self) -> bool:
        return not isinstance(self.wall, datetime)

    @property
    def instant(self) -> datetime:
        """
        The instant, in UTC: of a day, its first.

        A time that comes twice is the first of them, one that is skipped is read by the offset
        before the gap (RFC 5545, 3.3.5).
        """
        if isinstance(self.wall, datetime):
            return self.wall.replace(tzinfo=self.zone).astimezone(UTC)
        return local_instant(self.wall, time(), self.zone, last=False)

    def seen_in(self, zone: ZoneInfo) -> date | datetime:
        """Return what a clock in another zone shows then; a day stays that day."""
        if self.is_day or zone is self.zone:
            return self.wall
        return self.instant.astimezone(zone).replace(tzinfo=None)


def _as_time(wall: date | datetime) -> datetime:
    return wall if isinstance(wall, datetime) else datetime.combine(wall, time())


_STAMP: Final = re.compile(r"([0-9]{8})(?:T([0-9]{6})(Z?))?")
_DURATION: Final = re.compile(
    r"\+?P(?:([0-9]{1,5})W)?(?:([0-9]{1,6})D)?"
    r"(?:T(?=.)(?:([0-9]{1,7})H)?(?:([0-9]{1,8})M)?(?:([0-9]{1,9})S)?)?(?<=[WDHMS])"
)
_OFFSET: Final = re.compile(r"([+-])([0-9]{2})([0-5][0-9])([0-5][0-9])?")


class _Length(NamedTuple):
    """How long: days of the calendar, and then so much time."""

    days: int
    rest: timedelta


def _length(place: str, text: str) -> _Length:
    match = _DURATION.fullmatch(text.upper())
    if match is None:
        raise InvalidValue(place, text, "a duration that is not negative, such as PT8H or P1D")
    weeks, days, hours, minutes, seconds = (int(each or 0) for each in match.groups())
    return _Length(7 * weeks + days, timedelta(hours=hours, minutes=minutes, seconds=seconds))


class _Zones:
    """
    The zones of one calendar, by the names it gives them.

    Args:
        called: How errors call the file.
        calendar: The calendar.
        given: The zone of what is told in none, as whoever reads it says.
        until: Up to when definitions are needed, in UTC.
        budget: What the steps of the rules by which they change are taken of.
    """

    def __init__(
        self,
        called: str,
        calendar: _Component,
        given: ZoneInfo | None,
        until: datetime,
        budget: Budget,
    ) -> None:
        self._budget = budget
        self._called = called
        self._until = until
        self._definitions = {
            part.text("TZID"): part for part in calendar.parts if part.kind == "VTIMEZONE"
        }
        self._known: dict[str, ZoneInfo] = {}
        self._utc = self.named(called, "UTC")
        self._given = given
        self._own = calendar.text("X-WR-TIMEZONE")

    def named(self, place: str, tzid: str) -> ZoneInfo:
        """Return the zone of a name: as this machine knows it, else as the file defines it."""
        zone = self._known.get(tzid) or named_zone(tzid)
        if zone is None and tzid in self._definitions:
            zone = self._defined(tzid, self._definitions[tzid])
        if zone is None:
            allowed = "an IANA or Windows zone, or one that a VTIMEZONE of the file defines"
            raise InvalidValue(f"{place} TZID", excerpt(tzid, 60), allowed)
        self._known[tzid] = zone
        return zone

    def stamp(
        self, place: str, text: str, tzid: str | None, beside: _Stamp | None = None
    ) -> _Stamp:
        """
        Return a day or a time of the file.

        Args:
            place: How errors call it.
            text: As it stands there.
            tzid: Its TZID, if it has one.
            beside: A time of the same event, whose zone holds where none is told.
        """
        at = _local(place, text)
        wall = at if "T" in text.upper() else at.date()
        if text.upper().endswith("Z"):
            return _Stamp(wall, self._utc)
        if tzid and wall is at:
            return _Stamp(wall, self.named(place, tzid))
        if beside is not None:
            return _Stamp(wall, beside.zone)
        if self._given is None and not self._own:
            allowed = 'time_zone="Europe/London" or the like: it is told in no zone'
            raise InvalidValue(place, text, allowed)
        return _Stamp(wall, self._given or self.named(place, self._own))

    def _defined(self, tzid: str, definition: _Component) -> ZoneInfo:
        place = f"{self._called}, VTIMEZONE {excerpt(plain(tzid), 60)}"
        onsets = [
            onset
            for part in definition.parts
            if part.kind in {"STANDARD", "DAYLIGHT"}
            for onset in self._onsets(place, part)
        ]
        if not onsets:
            raise InvalidValue(place, "no STANDARD and no DAYLIGHT", "at least one of them")
        with _ours(place, tzid):
            return defined_zone(tzid, onsets)

    def _onsets(self, place: str, part: _Component) -> Iterator[Onset]:
        before, after = (
            _offset(f"{place} {name}", part.text(name)) for name in ("TZOFFSETFROM", "TZOFFSETTO")
        )
        begins = _local(f"{place} DTSTART", part.text("DTSTART"))
        yield Onset(begins, before, after)
        for line in part.all("RDATE"):
            for each in line.value.split(","):
                yield Onset(_local(f"{place} RDATE", each.partition("/")[0]), before, after)
        for line in part.all("RRULE"):
            rule = Rule.read(f"{place} RRULE", line.value)
            # A year more, since an offset holds until the next one.
            until = self._until.replace(tzinfo=None) + timedelta(days=400)
            if rule.until is not None:
                ends = _local(f"{place} UNTIL", rule.until.removesuffix("Z"))
                until = min(until, ends + before if rule.until.endswith("Z") else ends)
            first = begins
            if begins < _EPOCH and _is_of_every_year(rule):
                # Windows begins them in 1601, which would be gone through for each of them.
                first = datetime.combine(_EPOCH, begins.time())
            with _ours(rule.place, rule.text):
                text = rule.within(first, until, self._budget)
                for at in starts_of(text, first) if text else ():
                    yield Onset(at, before, after)


_EPOCH: Final = datetime.combine(date(1970, 1, 1), time())


def _is_of_every_year(rule: Rule) -> bool:
    """Say whether a rule is of days of every year that it names itself, whenever it begins."""
    parts = {*rule.parts} - {"UNTIL", "WKST"}
    return rule.parts["FREQ"] == "YEARLY" and parts in (
        {"FREQ", "BYMONTH", "BYDAY"},
        {"FREQ", "BYMONTH", "BYMONTHDAY"},
        {"FREQ", "BYMONTH", "BYMONTHDAY", "BYDAY"},
    )


def _offset(place: str, text: str) -> timedelta:
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise InvalidValue(place, text, "an offset such as +0100")
    hours, minutes, seconds = (int(each or 0) for each in match.groups()[1:])
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return -offset if match[1] == "-" else offset


def _local(place: str, text: str) -> datetime:
    """Return a day or a time that is told without a zone; a day is its midnight."""
    match = _STAMP.fullmatch(text.upper())
    if match is None:
        raise InvalidValue(place, text, "a day such as 20261224, or a time such as 20261224T160000")
    try:
        return datetime.fromisoformat(f"{match[1]}T{match[2] or '000000'}")
    except ValueError:
        raise InvalidValue(place, text, "a day and a time that there are") from None


# --- events ---------------------------------------------------------------------------------------


@attrs.frozen
class _Event:
    """
    A VEVENT: an event that may come again, or one time that it comes otherwise.

    Attributes:
        place: How errors call it.
        begins, ends: As told; None where `length` is told.
        length: Its DURATION; None where its end is told.
        rules, also, never: Its RRULEs, RDATEs (each with its end where that is told) and EXDATEs.
        comes_as: The time of the series that it is in the place of.
        moves: Whether it is in the place of all later ones, too.
    """

    place: str
    uid: str
    title: str
    categories: frozenset[str]
    cancelled: bool
    sequence: int
    begins: _Stamp
    ends: _Stamp | None
    length: _Length | None
    rules: tuple[Rule, ...] = ()
    also: tuple[tuple[_Stamp, _Stamp | _Length | None], ...] = ()
    never: tuple[_Stamp, ...] = ()
    comes_as: _Stamp | None = None
    moves: bool = False

    @property
    def end(self) -> datetime:
        """When it ends the first time, in UTC."""
        if self.ends is not None:
            return self.ends.instant
        return _after(self.begins, self.length or _NOTHING)

    def lasts(self, zone: ZoneInfo) -> timedelta:
        """Return how long it takes by a clock on a wall of a zone."""
        return _lasts(self.begins, self.ends or self.length, zone)


def _after(begins: _Stamp, length: _Length) -> datetime:
    """Return the instant a while later: days are counted on the calendar, the rest is time."""
    later = _Stamp(begins.wall + timedelta(days=length.days), begins.zone)
    return later.instant + length.rest


def _read_event(place: str, part: _Component, zones: _Zones, *, cancelled: bool) -> _Event:
    """Return a VEVENT whose properties fit each other."""
    for name in _ONCE:
        if len(part.all(name)) > 1:
            raise InvalidValue(f"{place} {name}", part.all(name)[1].value, "one of them")
    if part.all("EXRULE"):
        allowed = "EXDATE: RFC 5545 has no EXRULE, and its times would not be left out"
        raise InvalidValue(f"{place} EXRULE", part.text("EXRULE"), allowed)

    def stamps(
        name: str, beside: _Stamp | None, values: Callable[[str], list[str]]
    ) -> list[_Stamp]:
        return [
            zones.stamp(f"{place} {name}", each.strip(), line.zone, beside)
            for line in part.all(name)
            for each in values(line.value)
        ]

    def stamp(name: str, beside: _Stamp | None = None) -> _Stamp | None:
        return next(iter(stamps(name, beside, lambda value: [value])), None)

    begins = stamp("DTSTART")
    if begins is None:
        raise InvalidValue(f"{place} DTSTART", None, "say when it begins")
    ends = stamp("DTEND", begins)
    length = None
    if part.all("DURATION"):
        length = _length(f"{place} DURATION", part.text("DURATION"))
        if ends is not None or (begins.is_day and length.rest):
            allowed = "one of DTEND and DURATION, of whole days where DTSTART is a day"
            raise InvalidValue(f"{place} DURATION", part.text("DURATION"), allowed)
    elif ends is None and begins.is_day:
        length = _Length(1, timedelta())
    if ends is not None and ends.is_day != begins.is_day:
        allowed = "a day where DTSTART is a day, a time where it is a time"
        raise InvalidValue(f"{place} DTEND", part.text("DTEND"), allowed)
    if ends is not None and ends.instant < begins.instant:
        allowed = f"not before its DTSTART, {part.text('DTSTART')}"
        raise InvalidValue(f"{place} DTEND", part.text("DTEND"), allowed)
    sequence = part.text("SEQUENCE") or "0"
    if re.fullmatch("[0-9]{1,10}", sequence) is None:
        raise InvalidValue(f"{place} SEQUENCE", sequence, "a whole number")
    comes_as = stamp("RECURRENCE-ID", begins)
    if comes_as is not None and (part.all("RRULE") or part.all("RDATE")):
        allowed = "none, or no RECURRENCE-ID: what stands for one time does not come again"
        rule = part.text("RRULE") or part.text("RDATE")
        raise InvalidValue(f"{place} RRULE", rule, allowed)
    scope = next((line.params.get("RANGE") for line in part.all("RECURRENCE-ID")), None)
    if scope is not None and str(scope).upper() != "THISANDFUTURE":
        allowed = "THISANDFUTURE, or no RANGE"
        raise InvalidValue(f"{place} RANGE", str(scope), allowed)
    also = [
        _read_also(f"{place} RDATE", each.strip(), line.zone, zones, begins)
        for line in part.all("RDATE")
        for each in line.value.split(",")
    ]
    return _Event(
        place=place,
        uid=part.text("UID"),
        title=part.text("SUMMARY"),
        categories=_categories(part),
        cancelled=cancelled or part.text("STATUS").upper() == "CANCELLED",
        sequence=int(sequence),
        begins=begins,
        ends=ends,
        length=length,
        rules=tuple(Rule.read(f"{place} RRULE", line.value) for line in part.all("RRULE")),
        also=tuple(also),
        never=tuple(stamps("EXDATE", begins, lambda value: value.split(","))),
        comes_as=comes_as,
        moves=scope is not None,
    )


def _read_also(
    place: str, text: str, tzid: str | None, zones: _Zones, begins: _Stamp
) -> tuple[_Stamp, _Stamp | _Length | None]:
    """Return a further time of an event, with its end where it is told (a PERIOD)."""
    start, _, end = text.partition("/")
    stamp = zones.stamp(place, start, tzid, begins)
    if stamp.is_day != begins.is_day or (end and stamp.is_day):
        raise InvalidValue(place, text, "a day where DTSTART is a day, a time where it is a time")
    if not end:
        return stamp, None
    if end.upper().startswith(("P", "+", "-")):
        return stamp, _length(place, end)
    last = zones.stamp(place, end, tzid, begins)
    if last.is_day or last.instant < stamp.instant:
        raise InvalidValue(place, text, "a period that ends after it begins")
    return stamp, last


def _categories(part: _Component) -> frozenset[str]:
    return frozenset(
        each.replace("\\", "").strip().casefold()
        for line in part.all("CATEGORIES")
        for each in _COMMA.split(line.raw)
    )


def _place(called: str, part: _Component) -> str:
    """Return how errors call an event: the file, its title and its UID."""
    title, uid = (excerpt(plain(part.text(name)), 60) for name in ("SUMMARY", "UID"))
    return f'{called}, event "{title}"' + (f" (UID {uid})" if uid else "")


# --- expanding ------------------------------------------------------------------------------------


def happenings(
    called: str,
    data: bytes,
    *,
    since: datetime,
    until: datetime,
    home: ZoneInfo | None,
    wanted: Callable[[str, Iterable[str]], bool],
) -> list[Happening]:
    """
    Return what happens in [*since*, *until*) by an iCalendar file, in order.

    Args:
        called: How errors call the file.
        data: What it holds.
        since, until: In UTC.
        home: The zone of days, and of times without one.
        wanted: Says of a title and of categories, folded, whether such an event is asked for.

    Raises:
        InvalidValue: It is no such file, or an event that is asked for is not as RFC 5545 has it,
            or there are too many.
        MissingExtraError: The libraries are not installed.
    """
    libraries("reading an iCalendar file")
    series: dict[str, list[_Event]] = {}
    for_zones, budget = Budget(), Budget()
    for number, calendar in enumerate(_components(called, data), start=1):
        if calendar.text("CALSCALE").upper() not in {"", "GREGORIAN"}:
            raise InvalidValue(f"{called} CALSCALE", calendar.text("CALSCALE"), "GREGORIAN")
        zones = _Zones(called, calendar, home, until, for_zones)
        cancelled = calendar.text("METHOD").upper() == "CANCEL"
        for uid, parts in _by_uid(calendar, number).items():
            if any(wanted(part.text("SUMMARY"), _categories(part)) for part in parts):
                for part in parts:
                    place = _place(called, part)
                    with _ours(place, "what it says"):
                        event = _read_event(place, part, zones, cancelled=cancelled)
                    series.setdefault(uid, []).append(event)
    happened: list[Happening] = []
    for events in series.values():
        with _ours(events[0].place, "what it says"):
            for event, start, end in _expanded(events, since, until, budget):
                left_out = "it is cancelled" if event.cancelled else ""
                if end <= start:  # before it, where clocks skip its beginning
                    left_out = left_out or "it has no length"
                meets = start < until and (since < end or since <= start)
                if meets and wanted(event.title, event.categories):
                    all_day = event.begins.is_day
                    happened.append(
                        Happening(start, end, event.title, event.uid, all_day, left_out)
                    )
        if len(happened) > MOST_TIMES:
            allowed = f"at most {MOST_TIMES:,} in the period; ask for less of it"
            raise InvalidValue(called, f"{len(happened):,} events and more", allowed)
    return sorted(happened, key=attrgetter("start", "end", "title", "uid"))


def _by_uid(calendar: _Component, number: int) -> dict[str, list[_Component]]:
    """Return the events of a calendar; without a UID, which must not be, each is its own."""
    events: dict[str, list[_Component]] = {}
    for index, part in enumerate(calendar.parts):
        if part.kind == "VEVENT":
            uid = part.text("UID")
            events.setdefault(uid or f"\0{number} {index}", []).append(part)
    return events


def _latest(events: list[_Event]) -> _Event | None:
    """
    Return the one of several that stands, which is the last that was made of the same event.

    Raises:
        InvalidValue: Nobody can say which one that is.
    """
    if not events:
        return None
    latest = max(events, key=attrgetter("sequence"))
    if any(each != latest for each in events if each.sequence == latest.sequence):
        allowed = "a UID of its own for each event, or a higher SEQUENCE for the one that stands"
        raise InvalidValue(f"{latest.place} UID", latest.uid, allowed)
    return latest


def _expanded(
    events: list[_Event], since: datetime, until: datetime, budget: Budget
) -> Iterator[tuple[_Event, datetime, datetime]]:
    """Yield each time that an event comes near a period, with its beginning and its end in UTC."""
    master = _latest([event for event in events if event.comes_as is None])
    others: dict[datetime, list[_Event]] = {}
    for event in events:
        if event.comes_as is not None:
            others.setdefault(event.comes_as.instant, []).append(event)
    overrides = [event for event in map(_latest, others.values()) if event is not None]
    if master is None or not (overrides or master.rules or master.also or master.never):
        for each in (master, *overrides):
            if each is not None:
                yield each, each.begins.instant, each.end
        return
    zone = master.begins.zone
    further = {stamp.seen_in(zone): (stamp, last) for stamp, last in master.also}
    begin, end = (at.astimezone(zone).replace(tzinfo=None) for at in (since, until))
    for event, wall in _starts(master, overrides, begin - _SLACK, end + _SLACK, budget):
        if wall == event.begins.seen_in(zone):
            yield event, event.begins.instant, event.end
            continue
        begins, last = further.get(wall, (_Stamp(wall, zone), None))
        if isinstance(last, _Stamp):
            ends = last.instant
        elif last is not None or event.length is not None:
            ends = _after(begins, last or event.length or _NOTHING)
        else:
            ends = _Stamp(wall + event.lasts(zone), zone).instant
        yield event, begins.instant, ends


def _starts(
    master: _Event, overrides: list[_Event], begin: datetime, end: datetime, budget: Budget
) -> Iterator[tuple[_Event, date | datetime]]:
    """
    Yield the local times at which a series begins, and the event that each is of.

    Args:
        master: The series.
        overrides: What comes otherwise than it says.
        begin, end: Local times in the zone of the series, between which it is asked for.
        budget: What the steps of its rules are taken of.
    """
    icalendar, recurring = libraries("reading an iCalendar file")
    zone, first = master.begins.zone, _as_time(master.begins.wall)
    events = [master, *overrides]
    shifts = [_shift(event, master) for event in overrides if event.moves]
    if len(shifts) > _MOST_MOVED:
        allowed = f"at most {_MOST_MOVED} times: end it, and begin another one"
        raise InvalidValue(f"{master.place} RANGE", "moved again and again", allowed)
    periods = [_lasts(stamp, last, zone) for stamp, last in master.also]
    longest = max(*(event.lasts(zone) for event in events), *periods, timedelta())
    earliest = begin - longest - max([timedelta(), *shifts])
    latest = end - min([timedelta(), *shifts])
    calendar = icalendar.Calendar()
    for number, event in enumerate(events):
        made = icalendar.Event()
        own = event.begins.seen_in(zone)
        made.add("uid", "series")
        made.add("x-imcm-number", str(number))
        made.add("dtstart", own)
        # Long enough to be found by any of its times; when each really ends is known here.
        made.add("dtend", own + longest + timedelta(days=1))
        if event.comes_as is not None:
            made.add("recurrence-id", _replaced(event.comes_as, master))
            if event.moves:
                made["recurrence-id"].params["RANGE"] = "THISANDFUTURE"
        calendar.add_component(made)
    series = calendar.subcomponents[0]
    for rule in master.rules:
        ends = _end_of(rule, master, latest)
        text = rule.within(first, ends, budget) if earliest <= ends else None
        if text is not None:
            budget.take(rule.place, (at for at in starts_of(text, first) if at >= earliest))
            series.add("rrule", icalendar.vRecur.from_ical(text))
    if master.also:
        further = [stamp.seen_in(zone) for stamp, _ in master.also]
        budget.take(master.place, (at for at in map(_as_time, further) if earliest <= at <= latest))
        series.add("rdate", further)
    if master.never:
        series.add("exdate", [stamp.seen_in(zone) for stamp in master.never])
    for made in recurring.CalendarQuery(calendar).between(begin, end):
        yield events[int(str(made["X-IMCM-NUMBER"]))], made["DTSTART"].dt


def _shift(event: _Event, master: _Event) -> timedelta:
    """Return how much later a moved event begins than the time that it is in the place of."""
    assert event.comes_as is not None
    own = _as_time(event.begins.seen_in(master.begins.zone))
    return own - _as_time(_replaced(event.comes_as, master))


def _lasts(begins: _Stamp, last: _Stamp | _Length | None, zone: ZoneInfo) -> timedelta:
    """Return how long a period takes by a clock on a wall of a zone."""
    if isinstance(last, _Stamp):
        return _as_time(last.seen_in(zone)) - _as_time(begins.seen_in(zone))
    return timedelta(days=last.days) + last.rest if last is not None else timedelta()


def _replaced(comes_as: _Stamp, master: _Event) -> date | datetime:
    """
    Return which time of a series is meant, as it is told in that series.

    RFC 5545 has a day for a series of days and a time for one of times; some write the other.
    """
    wall = comes_as.seen_in(master.begins.zone)
    if master.begins.is_day and isinstance(wall, datetime):
        return wall.date() if wall.time() == time() else _as_time(comes_as.wall).date()
    if isinstance(master.begins.wall, datetime) and not isinstance(wall, datetime):
        return datetime.combine(wall, master.begins.wall.time())
    return wall


def _end_of(rule: Rule, master: _Event, end: datetime) -> datetime:
    """
    Return until when a rule is to be gone through, by the clock of its series.

    An UNTIL that is a day has all of that day.
    """
    if rule.until is None:
        return end
    text = rule.until.removesuffix("Z")
    last = _local(f"{rule.place} UNTIL", text)
    if "T" not in text:
        last += timedelta(days=1, seconds=-1)
    if rule.until.endswith("Z") and last.year < _FOR_EVER:
        here = last.replace(tzinfo=UTC).astimezone(master.begins.zone).replace(tzinfo=None)
        # Of a series of days some write the last day as its midnight in UTC.
        is_day = master.begins.is_day and last.time() == time()
        last = max(here, last) if is_day else here
    return min(last, end)


_FOR_EVER: Final = 9990
_NOTHING: Final = _Length(0, timedelta())
