"""
Calendars: freezes and maintenance windows out of iCalendar files and of the holidays of a country,
and planned changes as an iCalendar file for people to subscribe to.

    freeze = read_calendar(
        "freezes.ics", name="year end", only="change freeze", since=..., until=...,
        time_zone="Europe/London",
    )
    policy = attrs.evolve(policy, version="2026-11", freezes=(*policy.freezes, freeze))

What recurs is expanded here, by `icalendar`, `recurring_ical_events` and `holidays`, into windows
with their dates: these stand in the policy that a ledger adopts, so no decision rests on a file or
on the version of a library. What lies outside the period that was asked for is in no window: read a
calendar again, and adopt the policy anew, before it ends.

Nothing is fetched. Needs `pip install 'imcm[calendars]'`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final, overload
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import attrs

from imcm.domain.change_events import ChangeStatus
from imcm.domain.policy.freezes import Freeze, MaintenanceWindow
from imcm.domain.vocabulary import Window, checked_id, checked_time, checked_words, is_list
from imcm.domain.zones import local_instant
from imcm.errors import InvalidValue, MissingExtraError, shown
from imcm.files import checked_output
from imcm.interchange.calendar_files import Happening, happenings, libraries, read_bytes
from imcm.interchange.calendar_zones import checked_zone
from imcm.plain import joined, plain
from imcm.projections.boards.views import ChangeView
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.figures.units import SHAPE

__all__ = [
    "CalendarEvent",
    "CalendarEvents",
    "LeftOut",
    "calendar_events",
    "holiday_events",
    "holidays_in",
    "read_calendar",
    "write_calendar",
]

# --- what a calendar says -------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class CalendarEvent:
    """
    An event of a calendar, once.

    Attributes:
        window: When it is, in UTC.
        title: What it is called there; anybody may have written it.
        uid: By which it is known in its file; "" where it has none, and of a holiday.
        all_day: Whether the calendar tells it in days.
    """

    window: Window
    title: str
    uid: str = ""
    all_day: bool = False

    def __str__(self) -> str:
        return plain(f"{_span(self.window.start, self.window.end)} {self.title}".rstrip())


@attrs.frozen(kw_only=True)
class LeftOut:
    """
    An event of a calendar that is no window.

    Attributes:
        start: When it begins or was to begin, in UTC.
        title, uid: As for `CalendarEvent`.
        why: "it is cancelled" or "it has no length".
    """

    start: datetime
    title: str
    uid: str
    why: str

    def __str__(self) -> str:
        return plain(f"left out: {self.start.isoformat()} {self.title}: {self.why}")


@attrs.frozen(kw_only=True)
class CalendarEvents:
    """
    What a calendar has in a period, and what of it was left out.

    Attributes:
        source: What the calendar is called.
        since, until: The period, in UTC; what meets it is there as a whole.
        events: In the order in which they begin.
        left_out: Those that are cancelled or have no length.
    """

    source: str
    since: datetime
    until: datetime
    events: tuple[CalendarEvent, ...]
    left_out: tuple[LeftOut, ...] = ()

    def __len__(self) -> int:
        return len(self.events)

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows of all events, each once, in order."""
        return tuple(dict.fromkeys(event.window for event in self.events))

    def as_freeze(
        self,
        name: str,
        *,
        services: Iterable[str] = (),
        environments: Iterable[str] = (),
        labels: Mapping[str, str] | None = None,
        override_by: Iterable[str] = (),
    ) -> Freeze:
        """
        Return a freeze at these times.

        Args:
            name, services, environments, labels, override_by: As for `Freeze`.

        Raises:
            InvalidValue: There is no event, or one of the arguments is not as described.
        """
        self._refuse_none()
        return Freeze(
            name=name, times=self.windows, services=services, environments=environments,
            labels={} if labels is None else labels, override_by=override_by,
        )  # fmt: skip

    def as_maintenance(
        self,
        name: str,
        *,
        services: Iterable[str] = (),
        environments: Iterable[str] = (),
        labels: Mapping[str, str] | None = None,
    ) -> MaintenanceWindow:
        """
        Return maintenance windows at these times.

        Args:
            name, services, environments, labels: As for `MaintenanceWindow`.

        Raises:
            InvalidValue: There is no event, or one of the arguments is not as described.
        """
        self._refuse_none()
        return MaintenanceWindow(
            name=name, times=self.windows, services=services, environments=environments,
            labels={} if labels is None else labels,
        )  # fmt: skip

    def _refuse_none(self) -> None:
        if not self.events:
            asked = _span(self.since, self.until)
            allowed = f"a calendar with an event that meets {asked} and is as asked for"
            raise InvalidValue("calendar", plain(self.source), allowed)

    def explain(self) -> str:
        """Return a line for each event, and for each that was left out."""
        head = f"{self.source}, {_span(self.since, self.until)}: {len(self.events):,}"
        return joined([head, *self.events, *self.left_out])

    def __str__(self) -> str:
        return self.explain()

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {"shape": SHAPE, **jsonable(self)}


def _span(start: datetime, end: datetime) -> str:
    return f"{start.isoformat(timespec='minutes')} to {end.isoformat(timespec='minutes')}"


_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2200


def _period(since: object, until: object) -> tuple[datetime, datetime]:
    """Return a period in UTC."""
    begin, end = (
        checked_time(name, value).astimezone(UTC)
        for name, value in (("since", since), ("until", until))
    )
    for name, value in (("since", begin), ("until", end)):
        if not _FIRST_YEAR <= value.year < _LAST_YEAR:
            raise InvalidValue(name, value, f"a time from {_FIRST_YEAR} to {_LAST_YEAR}")
    if end <= begin:
        raise InvalidValue("until", end, f"a time after since, {begin}")
    return begin, end


def _optional_zone(value: object) -> ZoneInfo | None:
    return None if value is None else checked_zone("time_zone", value)


def _collected(
    source: str, since: datetime, until: datetime, happened: Iterable[Happening]
) -> CalendarEvents:
    events: list[CalendarEvent] = []
    left_out: list[LeftOut] = []
    for each in happened:
        if each.left_out:
            left_out.append(
                LeftOut(start=each.start, title=each.title, uid=each.uid, why=each.left_out)
            )
        else:
            window = Window(start=each.start, end=each.end)
            events.append(
                CalendarEvent(window=window, title=each.title, uid=each.uid, all_day=each.all_day)
            )
    return CalendarEvents(
        source=source, since=since, until=until, events=tuple(events), left_out=tuple(left_out)
    )


# --- iCalendar files ------------------------------------------------------------------------------


def calendar_events(
    source: str | Path | bytes,
    *,
    since: datetime,
    until: datetime,
    time_zone: str | None = None,
    only: str | None = None,
) -> CalendarEvents:
    """
    Return the events of an iCalendar file (RFC 5545) that meet [*since*, *until*), each time anew.

    Of an event that comes again its rules (RRULE, RDATE, EXDATE) and what stands for single times
    of it (RECURRENCE-ID) are expanded by the clock of its own zone, so that a freeze from 16:00
    begins at 16:00 in summer and in winter. It lasts as long by that clock where its end is told
    (DTEND), where RFC 5545 would have it last as much time; by its DURATION it lasts days of the
    calendar and then time. A time that comes twice is the first of them, and one that is skipped is
    read by the offset before the gap (RFC 5545, 3.3.5); `Weekly` differs in ends that come twice
    and in what is skipped.

    Cancelled events and those without length are left out, which the answer says. Whether an event
    is shown as free (TRANSP) says nothing on changes: it counts, as calendars write it of every
    event that is told in days. So does a tentative one.

    Args:
        source: The path of a file, or its content as bytes; at most 5,000,000 of them.
        since, until: Aware times, from 1900 to 2199.
        time_zone: The IANA zone of what the file tells in none: days, and times without a zone.
            Without it the X-WR-TIMEZONE of the file is taken, and with neither they are refused.
        only: Text: only events with it in their title, or as one of their categories, whatever the
            case. What is wrong with others is not looked at.

    Raises:
        InvalidValue: It can't be read or is no such file; an event is not as RFC 5545 has it; or
            there are more than 10,000, or rules that take a million steps. It names the event.
        NaiveTimeError: A time without a zone.
        MissingExtraError: The extra `calendars` is not installed.
    """
    begin, end = _period(since, until)
    home = _optional_zone(time_zone)
    text = None if only is None else _folded_text(only)
    called, data = read_bytes("source", source)

    def wanted(title: str, categories: Iterable[str]) -> bool:
        return text is None or text in title.casefold() or text in categories

    happened = happenings(called, data, since=begin, until=end, home=home, wanted=wanted)
    return _collected(called, begin, end, happened)


def _folded_text(only: object) -> str:
    text = checked_words("only", only).strip().casefold()
    if not text:
        raise InvalidValue("only", only, "a text, or None for all events")
    return text


@overload
def read_calendar(
    source: str | Path | bytes,
    *,
    name: str,
    since: datetime,
    until: datetime,
    kind: type[Freeze] = ...,
    services: Iterable[str] = ...,
    environments: Iterable[str] = ...,
    labels: Mapping[str, str] | None = ...,
    override_by: Iterable[str] = ...,
    time_zone: str | None = ...,
    only: str | None = ...,
) -> Freeze: ...


@overload
def read_calendar(
    source: str | Path | bytes,
    *,
    name: str,
    since: datetime,
    until: datetime,
    kind: type[MaintenanceWindow],
    services: Iterable[str] = ...,
    environments: Iterable[str] = ...,
    labels: Mapping[str, str] | None = ...,
    override_by: Iterable[str] = ...,
    time_zone: str | None = ...,
    only: str | None = ...,
) -> MaintenanceWindow: ...


def read_calendar(
    source: str | Path | bytes,
    *,
    name: str,
    since: datetime,
    until: datetime,
    kind: type[Freeze] | type[MaintenanceWindow] = Freeze,
    services: Iterable[str] = (),
    environments: Iterable[str] = (),
    labels: Mapping[str, str] | None = None,
    override_by: Iterable[str] = (),
    time_zone: str | None = None,
    only: str | None = None,
) -> Freeze | MaintenanceWindow:
    """
    Return a freeze, or maintenance windows, at the times of the events of an iCalendar file.

    What was left out is not told here; `calendar_events` does.

    Args:
        source, since, until, time_zone, only: As for `calendar_events`.
        name, services, environments, labels: As for `Freeze`.
        kind: `Freeze` or `MaintenanceWindow`.
        override_by: As for `Freeze`; a maintenance window has none.

    Raises:
        InvalidValue: As for `calendar_events`; also where no event meets the period.
        NaiveTimeError: A time without a zone.
        MissingExtraError: The extra `calendars` is not installed.
    """
    if kind is not Freeze and kind is not MaintenanceWindow:
        raise InvalidValue("kind", kind, "Freeze or MaintenanceWindow")
    events = calendar_events(source, since=since, until=until, time_zone=time_zone, only=only)
    if kind is Freeze:
        return events.as_freeze(
            name, services=services, environments=environments, labels=labels,
            override_by=override_by,
        )  # fmt: skip
    if not is_list(override_by) or tuple(override_by):
        raise InvalidValue("override_by", override_by, "nobody: only a freeze is overridden")
    return events.as_maintenance(name, services=services, environments=environments, labels=labels)


# --- holidays -------------------------------------------------------------------------------------


def holiday_events(
    country: str,
    *,
    time_zone: str,
    years: int | Iterable[int] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    subdivision: str | None = None,
) -> CalendarEvents:
    """
    Return the public holidays of a country, from each local midnight to the next.

    A day on which the clock changes has 23 or 25 hours. A holiday that is kept on another day, as
    when it falls on a Sunday, is there as the package `holidays` has it; half days and bank days
    that are no public holidays are not.

    Args:
        country: Its ISO 3166 code, such as "GB".
        time_zone: The IANA zone in which the days are meant.
        years: A year or some, from 1900 to 2199.
        since, until: Aware times: the days that meet [*since*, *until*), in the place of *years*.
        subdivision: A part of the country, such as "SCT", by its ISO 3166-2 code; without it only
            what is a holiday in all of the country.

    Raises:
        InvalidValue: The package knows no such country or part, or an argument is not as described.
        NaiveTimeError: A time without a zone.
        MissingExtraError: The extra `calendars` is not installed.
    """
    home = checked_zone("time_zone", time_zone)
    asked = () if years is None else _years(years)
    if asked:
        if since is not None or until is not None:
            raise InvalidValue("years", years, "years, or since and until, not both")
        begin = local_instant(date(asked[0], 1, 1), time(), home, last=False)
        end = local_instant(date(asked[-1], 12, 31), None, home, last=False)
    else:
        if since is None or until is None:
            raise InvalidValue("years", None, "give years, or both since and until")
        begin, end = _period(since, until)
    days = _holidays(country, subdivision, range(begin.year - 1, end.year + 2))
    happened: list[Happening] = []
    for day, title in sorted(days.items()):
        start = local_instant(day, time(), home, last=False)
        last = local_instant(day, None, home, last=False)
        if start < end and begin < last and (not asked or day.year in asked):
            happened.append(Happening(start, last, title, "", all_day=True, left_out=""))
    part = f" {subdivision}" if subdivision else ""
    return _collected(f"public holidays of {country}{part}", begin, end, happened)


def _years(value: object) -> tuple[int, ...]:
    """Return years, in order; at least one."""
    given: list[object] = list(value) if is_list(value) else [value]
    years = {year for year in given if type(year) is int and _FIRST_YEAR <= year < _LAST_YEAR}
    if not given or not all(type(each) is int and each in years for each in given):
        raise InvalidValue("years", value, f"years from {_FIRST_YEAR} to {_LAST_YEAR - 1}")
    return tuple(sorted(years))


def _holidays(country: object, subdivision: object, years: range) -> Mapping[date, str]:
    """Return the days and what they are called."""
    try:
        package: Any = import_module("holidays")
    except ImportError:
        raise MissingExtraError("holidays of a country", "calendars") from None
    countries: Mapping[str, list[str]] = package.list_supported_countries()
    if not isinstance(country, str) or country not in countries:
        near = get_close_matches(str(country).upper(), countries) if _is_short(country) else []
        hint = f"; near are {', '.join(near)}" if near else ""
        raise InvalidValue("country", country, f'an ISO 3166 code, such as "GB"{hint}')
    parts = countries[country]
    if subdivision is not None and (not isinstance(subdivision, str) or subdivision not in parts):
        allowed = f"one of {', '.join(parts)}" if parts else "None: it is known as a whole only"
        raise InvalidValue("subdivision", subdivision, allowed)
    try:
        told = package.country_holidays(country, subdiv=subdivision, years=years, expand=False)
        return {day: str(title) for day, title in told.items()}
    except Exception as error:
        allowed = f"a country whose holidays the package `holidays` can tell: {shown(error)}"
        raise InvalidValue("country", country, allowed) from None


def _is_short(value: object) -> bool:
    return isinstance(value, str) and len(value) < 10


def holidays_in(
    country: str,
    *,
    time_zone: str,
    name: str = "public holidays",
    years: int | Iterable[int] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    subdivision: str | None = None,
    services: Iterable[str] = (),
    environments: Iterable[str] = (),
    labels: Mapping[str, str] | None = None,
    override_by: Iterable[str] = (),
) -> Freeze:
    """
    Return a freeze on the public holidays of a country.

    Args:
        country, time_zone, years, since, until, subdivision: As for `holiday_events`, which also
            tells what each day is called.
        name, services, environments, labels, override_by: As for `Freeze`.

    Raises:
        InvalidValue: As for `holiday_events`; also where there is no holiday in the period.
        NaiveTimeError: A time without a zone.
        MissingExtraError: The extra `calendars` is not installed.
    """
    events = holiday_events(
        country, time_zone=time_zone, years=years, since=since, until=until,
        subdivision=subdivision,
    )  # fmt: skip
    return events.as_freeze(
        name, services=services, environments=environments, labels=labels, override_by=override_by
    )


# --- writing --------------------------------------------------------------------------------------

_UIDS: Final = UUID("6b0d6a3e-0f5c-5c0a-9d0e-5d6d6a1f7c11")
"""The name space of the UIDs that are written; never changed."""

_STATUS: Final = {
    ChangeStatus.DRAFT: "TENTATIVE",
    ChangeStatus.SUBMITTED: "TENTATIVE",
    ChangeStatus.CANCELLED: "CANCELLED",
}
"""Of every other change the window stands: CONFIRMED."""


def write_calendar(
    changes: Iterable[ChangeView],
    file: BinaryIO,
    *,
    at: datetime,
    freezes: Iterable[Freeze | MaintenanceWindow] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    title: str = "Changes",
    origin: str = "imcm",
) -> int:
    """
    Write the windows of changes, and freezes, as an iCalendar file (RFC 5545); return how many.

        views.calendar(since, until)  # gives the changes

    Each has a UID that stays, so that a program that reads the file again updates what it has; a
    change that is recorded on has a higher SEQUENCE. It is shown as free time (TRANSP), with its
    category: `change`, `freeze` or `maintenance`. A change that is not approved yet is tentative.
    Times are UTC, to the second: a start is rounded down and an end up. The same arguments give
    the same bytes.

    Args:
        changes: What is planned; those without a window are passed over.
        file: Open for writing bytes.
        at: The DTSTAMP of freezes, and of changes of which the ledger does not say when they were
            recorded: an aware time, such as that of the export.
        freezes: Freezes and maintenance windows, such as `(*policy.freezes, *policy.maintenance)`;
            each stretch of them that meets [*since*, *until*) is written, as a whole.
        since, until: Aware times, from 1900 to 2199; needed for freezes alone.
        title: What programs call the calendar.
        origin: What tells UIDs of two ledgers apart, such as a host name.

    Raises:
        InvalidValue: One of the arguments is not as described.
        NaiveTimeError: A time without a zone.
        MissingExtraError: The extra `calendars` is not installed.
    """
    checked_output(file)
    stamp = checked_time("at", at)
    origin, title = checked_id("origin", origin), checked_words("title", title)
    entries = [*_changes(changes, stamp, origin), *_freezes(freezes, since, until, stamp, origin)]
    icalendar, _ = libraries("writing an iCalendar file")
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//imcm//calendars//EN")
    calendar.add("version", "2.0")
    calendar.add("name", plain(title))
    calendar.add("x-wr-calname", plain(title))
    for entry in entries:
        event = icalendar.Event()
        for name, value in entry.items():
            event.add(name, value)
        calendar.add_component(event)
    file.write(calendar.to_ical())
    return len(entries)


def _changes(changes: object, at: datetime, origin: str) -> Iterator[dict[str, object]]:
    """Yield the properties of each change with a window."""
    given: Iterable[object] = changes if is_list(changes) else [changes]
    for view in given:
        if not isinstance(view, ChangeView):
            raise InvalidValue("changes", view, "a list of ChangeView, as views.calendar gives it")
        if view.window is None or view.status is ChangeStatus.NOTHING:
            continue
        about = {
            "Services": ", ".join(view.services),
            "Environment": view.environment or "",
            "Type": view.type.value,
            "Risk": "" if view.risk is None else view.risk.value,
            "Status": view.status.value,
        }
        yield {
            **_entry(f"change {view.id}", view.window, view.last_recorded_at or at, origin),
            "summary": plain(f"{view.id}: {view.title}" if view.title else view.id),
            "description": joined(f"{name}: {text}" for name, text in about.items() if text),
            "categories": ["change"],
            "status": _STATUS.get(view.status, "CONFIRMED"),
            "sequence": view.version,
        }


def _freezes(
    freezes: object, since: object, until: object, at: datetime, origin: str
) -> Iterator[dict[str, object]]:
    """Yield the properties of each stretch of freezes and maintenance windows in a period."""
    given: list[object] = list(freezes) if is_list(freezes) else [freezes]
    if not given:
        return
    begin, end = _period(since, until)
    for each in given:
        if not isinstance(each, (Freeze, MaintenanceWindow)):
            raise InvalidValue("freezes", each, "a list of Freeze and MaintenanceWindow")
        kind = "freeze" if isinstance(each, Freeze) else "maintenance"
        about = {
            "Services": ", ".join(each.services),
            "Environments": ", ".join(each.environments),
            "Labels": ", ".join(f"{name}={text}" for name, text in each.labels.items()),
        }
        for window in each.windows(begin, end):
            start = window.start.isoformat()
            yield {
                **_entry(f"{kind} {start} {each.name}", window, at, origin),
                "summary": plain(f"{kind.capitalize()}: {each.name}"),
                "description": joined(f"{name}: {text}" for name, text in about.items() if text),
                "categories": [kind],
                "status": "CONFIRMED",
            }


def _entry(identity: str, window: Window, at: datetime, origin: str) -> dict[str, object]:
    """Return what every entry has; the same identity and origin have the same UID for ever."""
    start, end = window.start.astimezone(UTC), window.end.astimezone(UTC)
    if end.microsecond:
        end = end.replace(microsecond=0) + timedelta(seconds=1)
    return {
        "uid": str(uuid5(_UIDS, f"{origin}\n{identity}")),
        "dtstamp": at.astimezone(UTC).replace(microsecond=0),
        "dtstart": start.replace(microsecond=0),
        "dtend": end,
        "transp": "TRANSPARENT",
    }
