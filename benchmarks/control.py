"""
What change control is asked of: a log of changes with another policy, and freezes out of calendars.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import logs

from imcm import ApprovalRule, Freeze, PlanRule, Policy, Weekly
from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import Window

LONDON = "Europe/London"

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2028, 1, 1, tzinfo=UTC)
"""The two years in which windows and freezes lie."""

WEEKEND = Freeze(name="weekend", times=Weekly(start="Fri 16:00", end="Mon 08:00", time_zone=LONDON))

STRICTER = Policy(
    name="stricter",
    rules=[ApprovalRule(votes=2, services=[f"service-{n}" for n in range(5)])],
    plans=[PlanRule(needs=["monitoring_plan"], services=[f"service-{n}" for n in range(3, 9)])],
    freezes=[WEEKEND],
)
"""No change from Friday on, two votes for some services, a plan for how others are watched."""

FIFTH = 5
"""One change in so many has an incident, that names the change which caused it."""


def recorded(rows: int) -> tuple[Recorded, ...]:
    """Return a log of *rows* changes and a fifth as many incidents, decided by the real steps."""
    chance = random.Random(7)
    stamp = logs.START + timedelta(days=3650)
    told: list[logs.Told] = []
    for number in range(rows):
        told += logs.change_told(number, chance)
        if number % FIFTH == 0:
            told += logs.incident_told(number, chance)
    return tuple(
        Recorded(stream, version, position, stamp, "r", None, event)
        for position, (stream, version, event) in enumerate(told, start=1)
    )


def windows(rows: int) -> list[Window]:
    """Return so many windows in two years, each of an hour or of four, in no order."""
    chance = random.Random(7)
    quarter = timedelta(minutes=15)
    quarters = (END - BEGIN) // quarter
    starts = (BEGIN + quarter * chance.randrange(quarters) for _ in range(rows))
    return [Window(start=at, end=at + timedelta(hours=chance.choice((1, 4)))) for at in starts]


RELEASES = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//releases//EN
BEGIN:VEVENT
UID:night@example.com
SUMMARY:Nightly jobs
DTSTART;TZID=Europe/London:20260101T013000
DTEND;TZID=Europe/London:20260101T023000
RRULE:FREQ=DAILY
EXDATE;TZID=Europe/London:20261225T013000,20271225T013000
END:VEVENT
BEGIN:VEVENT
UID:night@example.com
SUMMARY:Nightly jobs of a leap into summer
RECURRENCE-ID;TZID=Europe/London:20260329T013000
DTSTART;TZID=Europe/London:20260329T033000
DTEND;TZID=Europe/London:20260329T053000
END:VEVENT
BEGIN:VEVENT
UID:books@example.com
SUMMARY:Books are closed
DTSTART;TZID=America/New_York:20260130T180000
DTEND;TZID=America/New_York:20260131T060000
RRULE:FREQ=MONTHLY;BYDAY=-1FR,-1MO
END:VEVENT
BEGIN:VEVENT
UID:sprint@example.com
SUMMARY:Reviews
DTSTART;TZID=Asia/Kolkata:20260107T140000
DURATION:PT3H
RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=WE
END:VEVENT
END:VCALENDAR
"""
"""A file with recurrences of RFC 5545: rules, exceptions, one that is moved, three zones."""


def freezes() -> dict[str, Freeze]:
    """Return freezes of four kinds, by what they are; two need the extra `calendars`."""
    year_ends = [
        Window(start=datetime(y, 12, 20, 17, tzinfo=UTC), end=datetime(y + 1, 1, 3, tzinfo=UTC))
        for y in (2025, 2026, 2027)
    ]
    found = {"every week": WEEKEND, "once": Freeze(name="year end", times=year_ends)}
    if all(map(importlib.util.find_spec, ("holidays", "icalendar", "recurring_ical_events"))):
        from imcm.interchange.calendars import holidays_in, read_calendar

        period = {"since": BEGIN, "until": END}
        found["holidays"] = holidays_in("GB", time_zone=LONDON, **period)
        found["iCalendar file"] = read_calendar(RELEASES.encode(), name="releases", **period)
    return found


def frozen(given: Iterable[Window], by: Iterable[Freeze]) -> int:
    """Return how many windows meet one of some freezes; each freeze is asked of each window."""
    rules = tuple(by)
    count = 0
    for window in given:
        met = [freeze.met_by(window.start, window.end) for freeze in rules]
        count += any(stretch is not None for stretch in met)
    return count
