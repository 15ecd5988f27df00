"""
Calendar files and holidays as freezes: every trap of local time and of RFC 5545, files as programs
write them, hostile ones, and what is written is read back.
"""

from __future__ import annotations

import io
import random
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from imcm.domain.change_events import ChangeStatus
from imcm.domain.policy import Content, Policy
from imcm.domain.policy.freezes import Freeze, MaintenanceWindow, Weekly
from imcm.domain.vocabulary import Risk, Window
from imcm.domain.zones import local_instant
from imcm.errors import ImcmError, InvalidValue, MissingExtraError, NaiveTimeError
from imcm.interchange import calendar_files, calendar_rules
from imcm.interchange.calendars import (
    CalendarEvents,
    calendar_events,
    holiday_events,
    holidays_in,
    read_calendar,
    write_calendar,
)
from imcm.projections.boards.views import ChangeView

pytest.importorskip("icalendar", reason="calendars are an extra")
pytest.importorskip("recurring_ical_events", reason="calendars are an extra")
pytest.importorskip("holidays", reason="calendars are an extra")

LONDON = "Europe/London"
YEAR = {"since": datetime(2026, 1, 1, tzinfo=UTC), "until": datetime(2027, 1, 1, tzinfo=UTC)}

CUSTOM = """\
BEGIN:VTIMEZONE
TZID:Office time
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""
"""The rules of central Europe, under a name that nobody else has."""


def event(text, uid="1", title="Freeze"):
    return (
        f"BEGIN:VEVENT\nUID:{uid}\nSUMMARY:{title}\nDTSTAMP:20260101T000000Z\n{text}\nEND:VEVENT\n"
    )


def ics(*parts, head=""):
    body = (
        f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n{head}{''.join(parts)}END:VCALENDAR\n"
    )
    return body.replace("\n", "\r\n").encode()


def read(*parts, head="", **more):
    return calendar_events(ics(*parts, head=head), **{**YEAR, **more})


def shown(events: CalendarEvents):
    """Return when each event is, short."""
    return [
        f"{each.window.start:%m-%dT%H:%M} {each.window.end:%m-%dT%H:%M}" for each in events.events
    ]


def windows(*parts, **more):
    return shown(read(*parts, **more))


# --- what RFC 5545 says ---------------------------------------------------------------------------


class TestAnEvent:
    @pytest.mark.parametrize(
        ("text", "when"),
        [
            ("DTSTART:20260306T160000Z\nDTEND:20260306T180000Z", "03-06T16:00 03-06T18:00"),
            ("DTSTART:20260306T160000Z\nDURATION:PT2H", "03-06T16:00 03-06T18:00"),
            ("DTSTART;TZID=Europe/London:20260706T160000\nDURATION:PT2H30M",
             "07-06T15:00 07-06T17:30"),
            ("DTSTART;TZID=Europe/London:20260706T160000\nDTEND;TZID=Asia/Tokyo:20260707T020000",
             "07-06T15:00 07-06T17:00"),
            # The night of the change: a day of the calendar is 23 hours, 24 hours are 24 hours.
            ("DTSTART;TZID=Europe/London:20260328T160000\nDURATION:P1D", "03-28T16:00 03-29T15:00"),
            ("DTSTART;TZID=Europe/London:20260328T160000\nDURATION:PT24H",
             "03-28T16:00 03-29T16:00"),
            ("DTSTART;TZID=Europe/London:20260327T160000\nDURATION:P1DT24H",
             "03-27T16:00 03-29T16:00"),
            ("DTSTART;TZID=Europe/London:20260328T160000\nDURATION:P1W", "03-28T16:00 04-04T15:00"),
            # Skipped: by the offset before the gap. Twice: the first of them.
            ("DTSTART;TZID=Europe/London:20260329T013000\nDURATION:PT1H",
             "03-29T01:30 03-29T02:30"),
            ("DTSTART;TZID=Europe/London:20261025T003000\nDTEND;TZID=Europe/London:20261025T013000",
             "10-24T23:30 10-25T00:30"),
            ("DTSTART;TZID=Europe/London:20261025T003000\nDTEND:20261025T013000Z",
             "10-24T23:30 10-25T01:30"),
            # Lower case, quotes, Z before TZID.
            ("dtstart;tzid=\"Europe/London\":20260706t160000\ndtend:20260706t170000z",
             "07-06T15:00 07-06T17:00"),
            ("DTSTART;TZID=Asia/Tokyo:20260706T160000Z\nDURATION:PT1H", "07-06T16:00 07-06T17:00"),
        ],
    )  # fmt: skip
    def test_is_when_it_says(self, text, when):
        assert [when] == windows(event(text))

    @pytest.mark.parametrize(
        ("text", "when"),
        [
            ("DTSTART;VALUE=DATE:20261224", "12-24T00:00 12-25T00:00"),
            ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227", "12-24T00:00 12-27T00:00"),
            ("DTSTART;VALUE=DATE:20261224\nDURATION:P2D", "12-24T00:00 12-26T00:00"),
            ("DTSTART:20260706", "07-05T23:00 07-06T23:00"),
            ("DTSTART;VALUE=DATE:20260329", "03-29T00:00 03-29T23:00"),  # 23 hours
            ("DTSTART;VALUE=DATE:20261025", "10-24T23:00 10-26T00:00"),  # 25 hours
            ("DTSTART:20260706T160000\nDTEND:20260706T170000", "07-06T15:00 07-06T16:00"),
            ("DTSTART;VALUE=DATE:20260704\nRRULE:FREQ=WEEKLY;COUNT=2",
             "07-03T23:00 07-04T23:00|07-10T23:00 07-11T23:00"),
        ],
    )  # fmt: skip
    def test_that_is_told_in_no_zone_is_in_the_one_that_is_given(self, text, when):
        assert when.split("|") == windows(event(text), time_zone=LONDON)
        assert when.split("|") == windows(event(text), head="X-WR-TIMEZONE:Europe/London\n")
        assert when.split("|") == windows(
            event(text), head="X-WR-TIMEZONE:Asia/Tokyo\n", time_zone=LONDON
        )
        with pytest.raises(InvalidValue, match=r'event "Freeze" .*told in no zone') as refused:
            read(event(text))
        assert "DTSTART" in refused.value.name

    def test_begins_after_a_midnight_that_is_skipped(self):
        """Clocks of Beirut go on at midnight: that day has no first hour."""
        assert ["03-28T22:00 03-29T21:00"] == windows(
            event("DTSTART;VALUE=DATE:20260329"), time_zone="Asia/Beirut"
        )

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("DTSTART:20260306T160000Z", "it has no length"),
            ("DTSTART:20260306T160000Z\nDTEND:20260306T160000Z", "it has no length"),
            ("DTSTART:20260306T160000Z\nDURATION:PT0S", "it has no length"),
            ("DTSTART;VALUE=DATE:20260306\nDTEND;VALUE=DATE:20260306", "it has no length"),
            ("DTSTART:20260306T160000Z\nDURATION:PT1H\nSTATUS:CANCELLED", "it is cancelled"),
            ("DTSTART:20260306T160000Z\nSTATUS:cancelled", "it is cancelled"),
        ],
    )
    def test_without_length_or_cancelled_is_left_out_and_told(self, text, why):
        events = read(event(text), time_zone="UTC")
        assert (0, [why]) == (len(events), [each.why for each in events.left_out])
        assert f"Freeze: {why}" in events.explain()
        with pytest.raises(InvalidValue, match="an event that meets 2026-01-01"):
            events.as_freeze("x")

    def test_of_a_calendar_that_cancels_is_left_out(self):
        text = "DTSTART:20260306T160000Z\nDURATION:PT1H"
        assert [] == windows(event(text), head="METHOD:CANCEL\n")
        assert 1 == len(windows(event(text), head="METHOD:PUBLISH\n"))

    @pytest.mark.parametrize("line", ["TRANSP:TRANSPARENT", "STATUS:TENTATIVE", "CLASS:PRIVATE"])
    def test_that_is_shown_as_free_or_is_not_sure_counts(self, line):
        assert 1 == len(windows(event(f"DTSTART:20260306T160000Z\nDURATION:PT1H\n{line}")))

    def test_that_meets_the_period_is_there_as_a_whole(self):
        parts = (
            event("DTSTART:20251231T000000Z\nDTEND:20260101T000000Z", "1"),
            event("DTSTART:20251231T000000Z\nDTEND:20260101T000001Z", "2"),
            event("DTSTART:20261231T235959Z\nDTEND:20270131T000000Z", "3"),
            event("DTSTART:20270101T000000Z\nDTEND:20270131T000000Z", "4"),
            event("DTSTART:20201231T235959Z\nDTEND:20400131T000000Z", "5"),
        )
        assert ["5", "2", "3"] == [each.uid for each in read(*parts).events]


class TestAnEventThatComesAgain:
    @pytest.mark.parametrize(
        ("text", "when"),
        [
            # 16:00 by the clock in winter and in summer, and to 08:00.
            ("RRULE:FREQ=WEEKLY;COUNT=2",
             ["03-27T16:00 03-30T07:00", "04-03T15:00 04-06T07:00"]),
            ("RRULE:FREQ=WEEKLY;UNTIL=20260403T150000Z",
             ["03-27T16:00 03-30T07:00", "04-03T15:00 04-06T07:00"]),
            ("RRULE:FREQ=WEEKLY;UNTIL=20260403T145959Z", ["03-27T16:00 03-30T07:00"]),
            ("RRULE:FREQ=WEEKLY;UNTIL=20260403T160000",
             ["03-27T16:00 03-30T07:00", "04-03T15:00 04-06T07:00"]),
            # An UNTIL that is a day has that day.
            ("RRULE:FREQ=WEEKLY;UNTIL=20260403",
             ["03-27T16:00 03-30T07:00", "04-03T15:00 04-06T07:00"]),
            ("RRULE:FREQ=WEEKLY;COUNT=3\nEXDATE;TZID=Europe/London:20260403T160000",
             ["03-27T16:00 03-30T07:00", "04-10T15:00 04-13T07:00"]),
            ("RRULE:FREQ=WEEKLY;COUNT=3\nEXDATE:20260403T150000Z,20260410T150000Z",
             ["03-27T16:00 03-30T07:00"]),
            ("RRULE:FREQ=WEEKLY;COUNT=3\nEXDATE;VALUE=DATE:20260403",
             ["03-27T16:00 03-30T07:00", "04-10T15:00 04-13T07:00"]),
            ("RDATE;TZID=Europe/London:20260701T160000,20260801T160000",
             ["03-27T16:00 03-30T07:00", "07-01T15:00 07-04T07:00", "08-01T15:00 08-04T07:00"]),
            ("RDATE;VALUE=PERIOD:20260701T100000Z/PT1H,20260801T100000Z/20260803T100000Z",
             ["03-27T16:00 03-30T07:00", "07-01T10:00 07-01T11:00", "08-01T10:00 08-03T10:00"]),
            ("RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=3",
             ["03-27T16:00 03-30T07:00", "04-24T15:00 04-27T07:00", "05-29T15:00 06-01T07:00"]),
            ("RRULE:FREQ=YEARLY;COUNT=2;", ["03-27T16:00 03-30T07:00"]),
            ("EXDATE;TZID=Europe/London:20260327T160000", []),
        ],
    )  # fmt: skip
    def test_is_told_by_the_clock_of_its_zone(self, text, when):
        first = (
            "DTSTART;TZID=Europe/London:20260327T160000\nDTEND;TZID=Europe/London:20260330T080000"
        )
        assert when == windows(event(f"{first}\n{text}"))

    def test_that_ends_before_a_beginning_that_is_skipped_is_left_out_that_time(self):
        text = "DTSTART;TZID=Europe/London:20260322T013000\nRRULE:FREQ=WEEKLY;COUNT=3"
        events = read(event(f"{text}\nDTEND;TZID=Europe/London:20260322T020000"))
        assert ["03-22T01:30 03-22T02:00", "04-05T00:30 04-05T01:00"] == shown(events)
        assert ["it has no length"] == [each.why for each in events.left_out]

    def test_lasts_as_much_time_as_its_duration_says(self):
        text = "DTSTART;TZID=Europe/London:20260327T160000\nRRULE:FREQ=WEEKLY;COUNT=2"
        assert ["03-27T16:00 03-30T08:00", "04-03T15:00 04-06T07:00"] == windows(
            event(f"{text}\nDURATION:PT64H")
        )
        assert ["03-27T16:00 03-30T07:00", "04-03T15:00 04-06T07:00"] == windows(
            event(f"{text}\nDURATION:P2DT16H")  # the change is on the second day
        )

    def test_began_long_ago(self):
        text = "DTSTART;VALUE=DATE:19801224\nDTEND;VALUE=DATE:19801227\nRRULE:FREQ=YEARLY"
        assert ["12-24T00:00 12-27T00:00"] == windows(event(text), time_zone=LONDON)
        ended = f"{text};UNTIL=20251224"
        assert [] == windows(event(ended), time_zone=LONDON)
        assert ["12-24T00:00 12-27T00:00"] == windows(
            event(ended), time_zone=LONDON, since=datetime(2025, 12, 26, tzinfo=UTC)
        )

    @pytest.mark.parametrize(
        "last", ["20260703", "20260703T000000Z", "20260702T230000Z", "20260703T000000"]
    )
    def test_of_days_has_the_day_of_its_until_however_it_is_written(self, last):
        """Some write the day, some its midnight in UTC, some its local midnight in UTC."""
        text = f"DTSTART;VALUE=DATE:20260701\nRRULE:FREQ=DAILY;UNTIL={last}"
        assert 3 == len(windows(event(text), time_zone=LONDON))

    DAILY = "DTSTART;TZID=Europe/London:20260706T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3"
    MOVED = "DTSTART;TZID=Europe/London:20260907T200000\nDURATION:PT2H\nRECURRENCE-ID"

    @pytest.mark.parametrize(
        "comes_as",
        [
            ";TZID=Europe/London:20260707T100000", ":20260707T090000Z",
            ";TZID=Asia/Tokyo:20260707T180000", ";VALUE=DATE:20260707",
        ],
    )  # fmt: skip
    def test_comes_otherwise_once(self, comes_as):
        moved = event(f"{self.MOVED}{comes_as}")
        for parts in ([event(self.DAILY), moved], [moved, event(self.DAILY)]):
            assert [
                "07-06T09:00 07-06T10:00", "07-08T09:00 07-08T10:00", "09-07T19:00 09-07T21:00",
            ] == windows(*parts)  # fmt: skip

    def test_comes_into_the_period_by_being_moved(self):
        moved = event(f"{self.MOVED};TZID=Europe/London:20260707T100000")
        autumn = {"since": datetime(2026, 9, 1, tzinfo=UTC)}
        assert ["09-07T19:00 09-07T21:00"] == windows(event(self.DAILY), moved, **autumn)
        spring = {"until": datetime(2026, 7, 8, tzinfo=UTC)}
        assert ["07-06T09:00 07-06T10:00"] == windows(event(self.DAILY), moved, **spring)

    def test_is_cancelled_once(self):
        gone = event(f"{self.DAILY}\nSTATUS:CANCELLED".replace("RRULE:FREQ=DAILY;COUNT=3",
                     "RECURRENCE-ID:20260707T090000Z"))  # fmt: skip
        events = read(event(self.DAILY), gone)
        assert ["07-06T09:00 07-06T10:00", "07-08T09:00 07-08T10:00"] == shown(events)
        assert ["it is cancelled"] == [each.why for each in events.left_out]

    def test_is_moved_from_some_time_on(self):
        later = (
            "DTSTART;TZID=Europe/London:20260707T120000\nDURATION:PT2H\n"
            "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/London:20260707T100000"
        )
        assert [
            "07-06T09:00 07-06T10:00", "07-07T11:00 07-07T13:00", "07-08T11:00 07-08T13:00",
        ] == windows(event(self.DAILY), event(later))  # fmt: skip

    def test_is_what_was_made_of_it_last(self):
        old = event(f"{self.DAILY}\nSEQUENCE:1")
        new = event("DTSTART:20260801T100000Z\nDURATION:PT1H\nSEQUENCE:2")
        assert ["08-01T10:00 08-01T11:00"] == windows(old, new) == windows(new, old)
        assert 3 == len(windows(old, old))  # the same twice

    def test_is_no_longer_known_where_two_have_one_uid(self):
        two = [event(f"DTSTART:2026080{day}T100000Z\nDURATION:PT1H") for day in (1, 2)]
        with pytest.raises(InvalidValue, match="a UID of its own"):
            read(*two)
        without = [part.replace("UID:1\n", "") for part in two]
        assert 2 == len(windows(*without))

    def test_of_days_may_name_a_time_of_it_as_a_midnight(self):
        days = event("DTSTART;VALUE=DATE:20260706\nRRULE:FREQ=DAILY;COUNT=3")
        for comes_as in (";TZID=Europe/London:20260707T000000", ":20260706T230000Z",
                         ":20260707T000000Z"):  # fmt: skip
            other = event(f"DTSTART;VALUE=DATE:20260801\nRECURRENCE-ID{comes_as}")
            assert [
                "07-05T23:00 07-06T23:00", "07-07T23:00 07-08T23:00", "07-31T23:00 08-01T23:00",
            ] == windows(days, other, time_zone=LONDON)  # fmt: skip


ZONES = (
    *(LONDON, "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"),
    *("Atlantic/Azores", "UTC"),
)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0))


def how_often(day, at, zone):
    """Return how often a clock shows a time of a day: no time, once, or twice."""
    first = datetime.combine(day, at, tzinfo=ZoneInfo(zone))
    early, late = (first.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return 1 if early == late else 2 if early < late else 0


class TestAWeeklyRule:
    @settings(max_examples=60, deadline=None)
    @given(
        zone=st.sampled_from(ZONES),
        begins=TIMES,
        day=st.integers(0, 6),
        ends=TIMES,
        days=st.integers(0, 7),
    )
    @example(zone=LONDON, begins=time(16), day=4, ends=time(8), days=3)
    @example(zone=LONDON, begins=time(1, 30), day=6, ends=time(2, 30), days=0)
    @example(zone=LONDON, begins=time(1, 30), day=6, ends=time(2), days=0)
    @example(zone="UTC", begins=time(9), day=0, ends=time(9), days=7)
    def test_is_the_weekly_stretch_of_a_policy(self, zone, begins, day, ends, days):
        """
        Except where they differ on purpose, on a night on which clocks change.

        A beginning that is skipped: the calendar goes by the offset before the gap, the policy has
        the first instant after it. An end that comes twice: the first, and the second of them.
        """
        monday = date(2025, 12, 29)
        start = datetime.combine(monday + timedelta(days=day), begins)
        end = datetime.combine(start.date() + timedelta(days=days), ends)
        assume(timedelta() < end - start <= timedelta(days=7))
        text = (
            f"DTSTART;TZID={zone}:{start:%Y%m%dT%H%M%S}\nDTEND;TZID={zone}:{end:%Y%m%dT%H%M%S}\n"
            "RRULE:FREQ=WEEKLY"
        )
        weekly = Weekly(
            start=f"{DAYS[start.weekday()]} {begins:%H:%M}",
            end=f"{DAYS[end.weekday()]} {ends:%H:%M}",
            time_zone=zone,
        )
        since, until = datetime(2026, 1, 12, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
        by_rule = {each.start.date(): each for each in read(event(text), since=since).windows}
        by_policy = {each.start.date(): each for each in weekly.windows(since, until)}
        usual = 0
        for week in range(1, 54):
            first = start + timedelta(weeks=week)
            last = end + timedelta(weeks=week)
            if how_often(first.date(), begins, zone) and 1 == how_often(last.date(), ends, zone):
                at = local_instant(first.date(), begins, ZoneInfo(zone), last=False)
                assert by_policy.get(at.date()) == by_rule.get(at.date())
                usual += 1
        assert usual >= 48

    def test_differs_in_a_gap_and_in_an_end_that_comes_twice(self):
        nights = event(
            "DTSTART;TZID=Europe/London:20260322T003000\nDTEND;TZID=Europe/London:20260322T013000\n"
            "RRULE:FREQ=WEEKLY"
        )
        weekly = Weekly(start="Sun 00:30", end="Sun 01:30", time_zone=LONDON)

        def ends(day):
            around = (day, day + timedelta(days=1))
            [rule] = read(nights, since=around[0], until=around[1]).windows
            [policy] = weekly.windows(*around)
            assert rule.start == policy.start
            return rule.end, policy.end

        spring, autumn = (datetime(2026, *day, 12, tzinfo=UTC) for day in ((3, 28), (10, 24)))
        assert (spring.replace(day=29, hour=1, minute=30), spring.replace(day=29, hour=1)) == ends(
            spring
        )
        assert (
            autumn.replace(day=25, hour=0, minute=30),
            autumn.replace(day=25, hour=1, minute=30),
        ) == ends(autumn)


# --- zones ----------------------------------------------------------------------------------------


class TestAZone:
    @pytest.mark.parametrize(
        ("tzid", "when"),
        [
            ("W. Europe Standard Time", "07-06T14:00"),
            ("GMT Standard Time", "07-06T15:00"),
            ("Eastern Standard Time", "07-06T20:00"),
            ("/mozilla.org/20250101_1/Europe/Berlin", "07-06T14:00"),
            ("/freeassociation.sourceforge.net/America/Argentina/Buenos_Aires", "07-06T19:00"),
            ('"tzone://Microsoft/Utc"', "07-06T16:00"),
            ("UTC", "07-06T16:00"),
            ("Etc/GMT-2", "07-06T14:00"),
        ],
    )
    def test_is_known_by_its_other_names(self, tzid, when):
        [found] = windows(event(f"DTSTART;TZID={tzid}:20260706T160000\nDURATION:PT1H"))
        assert found.startswith(when)

    @pytest.mark.parametrize("month", range(1, 13))
    def test_that_a_file_defines_is_what_it_says(self, month):
        """Under another name it is the same as the one of this machine, changes included."""
        text = f":2026{month:02d}01T160000\nDURATION:PT40M\nRRULE:FREQ=HOURLY;COUNT=744"
        own = read(CUSTOM, event(f"DTSTART;TZID=Office time{text}")).windows
        assert own == read(event(f"DTSTART;TZID=Europe/Berlin{text}")).windows
        assert 700 < len(own)

    def test_of_one_file_is_unknown_to_the_next(self):
        """Two files may mean two things by one name, and one of them may be somebody's trap."""
        text = event("DTSTART;TZID=Office time:20260106T160000\nDURATION:PT1H")
        other = CUSTOM.replace(":+0100", ":+0500").replace(":+0200", ":+0600")
        assert ["01-06T15:00 01-06T16:00"] == windows(CUSTOM, text)
        assert ["01-06T11:00 01-06T12:00"] == windows(other, text)
        with pytest.raises(InvalidValue, match="TZID: 'Office time'"):
            read(text)

    def test_that_this_machine_knows_is_not_redefined_by_a_file(self):
        mine = CUSTOM.replace("Office time", LONDON)
        assert ["01-06T16:00 01-06T17:00"] == windows(
            mine, event("DTSTART;TZID=Europe/London:20260106T160000\nDURATION:PT1H")
        )

    def test_may_be_defined_by_its_changes_one_by_one(self):
        zone = (
            "BEGIN:VTIMEZONE\nTZID:Island\n"
            "BEGIN:STANDARD\nDTSTART:20251026T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+013015\n"
            "RDATE:20261025T030000\nEND:STANDARD\n"
            "BEGIN:DAYLIGHT\nDTSTART:20260329T020000\nTZOFFSETFROM:+013015\nTZOFFSETTO:+0200\n"
            "RRULE:FREQ=YEARLY;UNTIL=20260330T000000Z\nEND:DAYLIGHT\nEND:VTIMEZONE\n"
        )
        text = "DTSTART;TZID=Island:20260101T120015\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;COUNT=12"
        offsets = {
            each.start.month: 12 * 60 - each.start.hour * 60 - each.start.minute
            for each in read(zone, event(text)).windows
        }
        assert {*range(4, 11)} == {month for month, offset in offsets.items() if offset > 110}
        assert [90] == [*{offsets[month] for month in (1, 2, 3, 11, 12)}]

    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            ("BYMONTH=3", "BYMONTH=3;FREQ=DAILY", "each once"),
            ("FREQ=YEARLY", "FREQ=SECONDLY", "steps"),
            ("TZOFFSETTO:+0100", "TZOFFSETTO:+2500", "shorter than a day"),
            ("TZOFFSETTO:+0100", "TZOFFSETTO:one", "an offset such as"),
            ("TZOFFSETTO:+0100\n", "", "an offset such as"),
            ("DTSTART:16010101T030000", "DTSTART:16010101T250000", "that there are"),
            ("BEGIN:STANDARD", "BEGIN:OTHER", "iCalendar file"),
            ("STANDARD", "OTHER", None),
            ("BYMONTH=10", "BYMONTH=2;BYMONTHDAY=30", "some day meets"),
        ],
    )
    def test_that_is_not_defined_rightly_is_refused(self, old, new, says):
        text = event("DTSTART;TZID=Office time:20260106T160000\nDURATION:PT1H")
        if says is None:
            assert 1 == len(windows(CUSTOM.replace(old, new), text))
            says, old, new = "at least one", "DAYLIGHT", "OTHER"
            CUSTOM_ = CUSTOM.replace("STANDARD", "OTHER")
        else:
            CUSTOM_ = CUSTOM
        with pytest.raises(InvalidValue, match=says):
            read(CUSTOM_.replace(old, new), text)
        # It is no matter where nothing is told in it.
        if says != "iCalendar file":
            assert 1 == len(
                windows(CUSTOM_.replace(old, new), event("DTSTART:20260106T160000Z\nDURATION:PT1H"))
            )


# --- which events ---------------------------------------------------------------------------------


class TestOnly:
    PARTS = (
        event("DTSTART:20260306T160000Z\nDURATION:PT1H\nCATEGORIES:Ops,Release\\, big",
              "1", "Dinner"),
        event("DTSTART:20260307T160000Z\nDURATION:PT1H", "2", "Change FREEZE: Black Friday"),
        event("DTSTART:20260308T160000Z\nDURATION:PT1H\nCATEGORIES:X\nCATEGORIES:change freeze",
              "3", "Straße"),
        event("DTSTART:nonsense\nRRULE:FREQ=SECONDLY", "4", "Somebody else's"),
    )  # fmt: skip

    @pytest.mark.parametrize(
        ("only", "uids"),
        [
            ("change freeze", ["2", "3"]),
            (" Change Freeze ", ["2", "3"]),
            ("release, big", ["1"]),
            ("release", []),  # a category is meant as a whole, a title by a part
            ("STRASSE", ["3"]),
            ("dinner", ["1"]),
        ],
    )
    def test_what_is_asked_for_is_there(self, only, uids):
        assert uids == [each.uid for each in read(*self.PARTS, only=only).events]

    def test_all_are_there_without_it_and_have_to_be_right(self):
        with pytest.raises(InvalidValue, match=r"Somebody else's.* \(UID 4\) DTSTART"):
            read(*self.PARTS)

    def test_one_time_that_is_called_otherwise_is_judged_by_itself(self):
        daily = "DTSTART:20260706T090000Z\nDURATION:PT1H"
        parts = (
            event(f"{daily}\nRRULE:FREQ=DAILY;COUNT=3", title="Freeze"),
            event(f"{daily}\nRECURRENCE-ID:20260707T090000Z".replace("0706", "0707", 1),
                  title="Open again"),
        )  # fmt: skip
        assert 2 == len(windows(*parts, only="freeze"))
        assert 1 == len(windows(*parts, only="open"))

    @pytest.mark.parametrize("only", ["", "  ", 5, ["freeze"]])
    def test_has_to_say_something(self, only):
        with pytest.raises(InvalidValue, match="only"):
            read(*self.PARTS, only=only)


# --- files as programs write them -----------------------------------------------------------------

GOOGLE = """\
BEGIN:VCALENDAR
PRODID:-//Google Inc//Google Calendar 70.9054//EN
VERSION:2.0
CALSCALE:GREGORIAN
METHOD:PUBLISH
X-WR-CALNAME:Release calendar
X-WR-TIMEZONE:Europe/London
X-WR-CALDESC:What goes out when
BEGIN:VTIMEZONE
TZID:Europe/London
X-LIC-LOCATION:Europe/London
BEGIN:DAYLIGHT
TZOFFSETFROM:+0000
TZOFFSETTO:+0100
TZNAME:GMT+1
DTSTART:19700329T010000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
BEGIN:STANDARD
TZOFFSETFROM:+0100
TZOFFSETTO:+0000
TZNAME:GMT
DTSTART:19701025T020000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
DTSTART;VALUE=DATE:20261221
DTEND;VALUE=DATE:20270102
DTSTAMP:20260101T090000Z
UID:2h7c0r9k3v@google.com
CREATED:20251203T100000Z
DESCRIPTION:Ask <b>mia</b>\\, please\\nhttps://wiki.example/freeze?a=1;b=2
LAST-MODIFIED:20251203T100000Z
SEQUENCE:0
STATUS:CONFIRMED
SUMMARY:Change freeze: year end
TRANSP:TRANSPARENT
END:VEVENT
BEGIN:VEVENT
DTSTART;TZID=Europe/London:20260306T160000
DTEND;TZID=Europe/London:20260309T080000
RRULE:FREQ=WEEKLY;UNTIL=20260410T225959Z;BYDAY=FR
EXDATE;TZID=Europe/London:20260320T160000
DTSTAMP:20260101T090000Z
ORGANIZER;CN=Release calendar:mailto:c_1@group.calendar.google.com
UID:7q1n5@google.com
CREATED:20251203T100000Z
SEQUENCE:2
STATUS:CONFIRMED
SUMMARY:Change freeze: weekend
TRANSP:OPAQUE
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:This is an event reminder
DURATION:PT5M
REPEAT:2
TRIGGER:-P0DT0H30M0S
END:VALARM
END:VEVENT
BEGIN:VEVENT
DTSTART;TZID=Europe/London:20260403T120000
DTEND;TZID=Europe/London:20260406T080000
RECURRENCE-ID;TZID=Europe/London:20260403T160000
DTSTAMP:20260101T090000Z
UID:7q1n5@google.com
SEQUENCE:3
STATUS:CONFIRMED
SUMMARY:Change freeze: Easter weekend
END:VEVENT
BEGIN:VEVENT
DTSTART:20260310T120000Z
DTEND:20260310T130000Z
DTSTAMP:20260101T090000Z
UID:lunch@google.com
SUMMARY:Lunch
END:VEVENT
END:VCALENDAR
"""

OUTLOOK = """\
BEGIN:VCALENDAR
PRODID:-//Microsoft Corporation//Outlook 16.0 MIMEDIR//EN
VERSION:2.0
METHOD:PUBLISH
X-CALSTART:20260327T150000Z
X-WR-RELCALID:{0000002E-1234-5678-9ABC-DEF012345678}
X-WR-CALNAME:Änderungen
BEGIN:VTIMEZONE
TZID:W. Europe Standard Time
BEGIN:STANDARD
DTSTART:16011028T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010325T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
CLASS:PUBLIC
CREATED:20260102T080000Z
DTEND;TZID="W. Europe Standard Time":20260330T080000
DTSTAMP:20260102T080000Z
DTSTART;TZID="W. Europe Standard Time":20260327T160000
LAST-MODIFIED:20260102T080000Z
PRIORITY:5
RRULE:FREQ=WEEKLY;COUNT=2;INTERVAL=2;BYDAY=FR
SEQUENCE:0
SUMMARY;LANGUAGE=de:Sperre am
  Wochenende
TRANSP:OPAQUE
UID:040000008200E00074C5B7101A82E00800000000
X-MICROSOFT-CDO-BUSYSTATUS:BUSY
X-ALT-DESC;FMTTYPE=text/html:<html><body>BEGIN:VEVENT</body></html>
X-MICROSOFT-DISALLOW-COUNTER:FALSE
BEGIN:VALARM
TRIGGER:-PT15M
ACTION:DISPLAY
DESCRIPTION:Reminder
END:VALARM
END:VEVENT
BEGIN:VEVENT
CLASS:PUBLIC
DTSTART;TZID="(UTC+01:00) Amsterdam, Berlin, Bern, Rome":20260706T200000
DTEND;TZID="(UTC+01:00) Amsterdam, Berlin, Bern, Rome":20260706T220000
DTSTAMP:20260102T080000Z
SUMMARY:Lagerumzug
UID:040000008200E00074C5B7101A82E00800000001
X-MICROSOFT-CDO-BUSYSTATUS:FREE
END:VEVENT
BEGIN:VTIMEZONE
TZID:(UTC+01:00) Amsterdam, Berlin, Bern, Rome
BEGIN:STANDARD
DTSTART:16011028T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010325T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
END:VCALENDAR
"""

APPLE = """\
BEGIN:VCALENDAR
CALSCALE:GREGORIAN
PRODID:-//Apple Inc.//macOS 15.0//EN
VERSION:2.0
X-APPLE-CALENDAR-COLOR:#1BADF8
X-WR-CALNAME:Releases
BEGIN:VTIMEZONE
TZID:America/New_York
BEGIN:DAYLIGHT
DTSTART:20070311T020000
RRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=3
TZNAME:EDT
TZOFFSETFROM:-0500
TZOFFSETTO:-0400
END:DAYLIGHT
BEGIN:STANDARD
DTSTART:20071104T020000
RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11
TZNAME:EST
TZOFFSETFROM:-0400
TZOFFSETTO:-0500
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
CREATED:20260101T000000Z
DTEND;TZID=America/New_York:20260305T230000
DTSTAMP:20260101T000000Z
DTSTART;TZID=America/New_York:20260305T210000
LAST-MODIFIED:20260101T000000Z
RRULE:FREQ=WEEKLY;INTERVAL=1;UNTIL=20260313T035959Z
SEQUENCE:1
SUMMARY:Maintenance
TRANSP:OPAQUE
UID:6A1C2C36-0000-4D1E-9C9B-0123456789AB
X-APPLE-TRAVEL-ADVISORY-BEHAVIOR:AUTOMATIC
END:VEVENT
BEGIN:VEVENT
DTSTAMP:20260101T000000Z
DTSTART;VALUE=DATE:20261126
DURATION:P2D
SUMMARY:Thanksgiving freeze
UID:6A1C2C36-0000-4D1E-9C9B-0123456789AC
X-APPLE-DEFAULT-ALARM:TRUE
END:VEVENT
BEGIN:VTODO
DTSTAMP:20260101T000000Z
SUMMARY:Ask for the freeze
UID:todo
RRULE:nonsense
END:VTODO
END:VCALENDAR
"""


class TestAFileThat:
    def test_google_writes_is_read(self):
        freeze = read_calendar(
            GOOGLE.replace("\n", "\r\n").encode(), name="calendar", only="change freeze", **YEAR
        )
        assert [
            "03-06T16:00 03-09T08:00", "03-13T16:00 03-16T08:00", "03-27T16:00 03-30T07:00",
            "04-03T11:00 04-06T07:00", "04-10T15:00 04-13T07:00", "12-21T00:00 01-02T00:00",
        ] == [
            f"{each.start:%m-%dT%H:%M} {each.end:%m-%dT%H:%M}" for each in freeze.times
        ]  # fmt: skip

    def test_outlook_writes_is_read(self):
        events = calendar_events(OUTLOOK.encode("utf-8-sig"), **YEAR)  # it writes a mark of order
        assert [
            "03-27T15:00 03-30T06:00", "04-10T14:00 04-13T06:00", "07-06T18:00 07-06T20:00",
        ] == shown(events)  # fmt: skip
        assert "Sperre am Wochenende" == events.events[0].title

    def test_apple_writes_is_read(self):
        text = APPLE.encode()
        events = calendar_events(text, time_zone="America/New_York", **YEAR)
        assert [
            "03-06T02:00 03-06T04:00", "03-13T01:00 03-13T03:00", "11-26T05:00 11-28T05:00",
        ] == shown(events)  # fmt: skip
        maintenance = read_calendar(
            text, name="m", kind=MaintenanceWindow, only="maintenance",
            time_zone="America/New_York", services=["checkout"], **YEAR,
        )  # fmt: skip
        assert isinstance(maintenance, MaintenanceWindow)
        assert (2, ("checkout",)) == (len(maintenance.times), maintenance.services)

    @pytest.mark.parametrize("text", [GOOGLE, APPLE])
    def test_is_read_as_the_library_alone_reads_it(self, text):
        """Where zones are of this machine and no night is one of the two: the same instants."""
        import icalendar
        import recurring_ical_events

        def instant(at):
            if isinstance(at, datetime):
                return at.astimezone(UTC)
            return datetime.combine(at, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)

        zone = LONDON if text == GOOGLE else "America/New_York"
        alone = recurring_ical_events.of(icalendar.Calendar.from_ical(text)).between(
            YEAR["since"], YEAR["until"]
        )
        assert sorted((instant(each.start), instant(each.end)) for each in alone) == [
            (each.window.start, each.window.end)
            for each in calendar_events(text.encode(), time_zone=zone, **YEAR).events
        ]

    def test_holds_several_calendars_is_read(self):
        assert 7 + 3 == len(calendar_events((GOOGLE + "\n" + OUTLOOK).encode(), **YEAR).events)


# --- what is refused ------------------------------------------------------------------------------


class TestARefusal:
    START = "DTSTART:20260306T160000Z\n"

    @pytest.mark.parametrize(
        ("text", "name", "says"),
        [
            ("DURATION:PT1H", "DTSTART", "say when it begins"),
            ("DTSTART:20260230T160000Z\nDURATION:PT1H", "DTSTART", "that there are"),
            ("DTSTART:20260301T240000Z\nDURATION:PT1H", "DTSTART", "that there are"),
            ("DTSTART:2026-03-01\nDURATION:PT1H", "DTSTART", "a day such as"),
            ("DTSTART:\nDURATION:PT1H", "DTSTART", "a day such as"),
            (START + "DTSTART:20260307T160000Z", "DTSTART", "one of them"),
            (START + "DTEND:20260305T160000Z", "DTEND", "not before its DTSTART"),
            (START + "DTEND;VALUE=DATE:20260307", "DTEND", "a day where DTSTART is a day"),
            (START + "DTEND:20260307T160000Z\nDURATION:PT1H", "DURATION", "one of DTEND and"),
            (START + "DURATION:-PT1H", "DURATION", "not negative"),
            (START + "DURATION:P1Y", "DURATION", "not negative"),
            (START + "DURATION:P", "DURATION", "not negative"),
            (START + "DURATION:PT", "DURATION", "not negative"),
            ("DTSTART:20260301\nDURATION:PT1H", "DURATION", "of whole days"),
            (START + "SEQUENCE:one", "SEQUENCE", "a whole number"),
            (START + "EXRULE:FREQ=DAILY", "EXRULE", "EXDATE"),
            (START + "RECURRENCE-ID:20260306T160000Z\nRRULE:FREQ=DAILY", "RRULE", "come again"),
            (START + "RECURRENCE-ID;RANGE=THISANDPRIOR:20260306T160000Z", "RANGE", "THISANDFUTURE"),
            (START + "RDATE;VALUE=DATE:20260307", "RDATE", "a day where"),
            (START + "RDATE:20260307T160000Z/20260306T160000Z", "RDATE", "ends after it begins"),
            (START + "EXDATE:soon", "EXDATE", "a day such as"),
            (START + "RRULE:", "RRULE", "FREQ="),
            (START + "RRULE:COUNT=3", "RRULE", "FREQ="),
            (START + "RRULE:FREQ=SOMETIMES", "RRULE", "FREQ="),
            (START + "RRULE:FREQ=DAILY;COUNT", "RRULE COUNT", "from 1 on"),
            (START + "RRULE:FREQ=DAILY;COUNT=-1", "RRULE COUNT", "from 1 on"),
            (START + "RRULE:FREQ=DAILY;COUNT=" + "9" * 5000, "RRULE COUNT", "from 1 on"),
            (START + "RRULE:FREQ=DAILY;INTERVAL=0", "RRULE INTERVAL", "from 1 on"),
            (START + "RRULE:FREQ=DAILY;FREQ=DAILY", "RRULE", "each once"),
            (START + "RRULE:FREQ=DAILY;RSCALE=HEBREW", "RRULE", "each once"),
            (START + "RRULE:FREQ=DAILY;BYEASTER=1", "RRULE", "each once"),
            (START + "RRULE:FREQ=DAILY;BYHOUR=24", "RRULE BYHOUR", "from 0 to 23"),
            (START + "RRULE:FREQ=DAILY;BYMONTH=0", "RRULE BYMONTH", "from 1 to 12"),
            (START + "RRULE:FREQ=DAILY;BYMONTHDAY=1,,2", "RRULE BYMONTHDAY", "from 1 to 31"),
            (START + "RRULE:FREQ=WEEKLY;BYDAY=XX", "RRULE BYDAY", "days such as"),
            (START + "RRULE:FREQ=WEEKLY;WKST=1MO", "RRULE WKST", "a day such as"),
            (START + "RRULE:FREQ=DAILY;UNTIL=soon", "RRULE UNTIL", "a day such as"),
            (START + "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "RRULE", "some day meets"),
            (START + "RRULE:FREQ=DAILY;INTERVAL=7;BYDAY=MO", "RRULE", "some day meets"),
            ("DTSTART;TZID=Mars/Base:20260306T160000", "DTSTART TZID", "an IANA or Windows zone"),
            ("DTSTART;TZID=../../etc/passwd:20260306T160000", "DTSTART TZID", "an IANA or"),
            ("DTSTART;TZID=Asia/Tokyo:00010101T000000\nDURATION:PT1H", "", "OverflowError"),
        ],
    )  # fmt: skip
    def test_names_the_event_and_what_is_allowed(self, text, name, says):
        zone = None if "Mars" in text else LONDON
        with pytest.raises(InvalidValue) as refused:
            read(event(text, "uid-7", "Sale"), time_zone=zone)
        assert refused.value.name.startswith('calendar, event "Sale" (UID uid-7)')
        assert refused.value.name.endswith(name)
        assert says in refused.value.allowed

    def test_shows_nothing_that_a_terminal_obeys(self):
        text = event("DTSTART:x\x1b[2J", title="\\nok: 1\x1b]0;\u202e" + "y" * 500)
        with pytest.raises(InvalidValue) as refused:
            read(text)
        assert not {"\x1b", "\u202e", "\n"} & {*str(refused.value)}
        assert len(refused.value.name) < 200

    @pytest.mark.parametrize(
        "data",
        [
            b"", b"\r\n", b"\xff\xfe", b"x", b"BEGIN:VCALENDAR", b"END:VCALENDAR", b"BEGIN:VEVENT",
            b"BEGIN:VCALENDAR\nEND:VEVENT", b"BEGIN:VCALENDAR\nBEGIN:VCALENDAR", b"BEGIN:\nEND:",
            b"BEGIN:VCALENDAR\n" + b"BEGIN:X\n" * 100_000, b"<?xml version='1.0'?>",
            b"BEGIN:VCALENDAR\nEND:VCALENDAR\nmore", ics(head="CALSCALE:HEBREW\n"),
            ics("BEGIN:VEVENT\nDTSTART\nEND:VEVENT\n"),
            ics("BEGIN:VEVENT\nDTSTART;=:20260101\nEND:VEVENT\n"),
            "BEGIN:VCALENDAR\nEND:VCALENDAR\n".encode("utf-16"),
            b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n",
        ],
    )  # fmt: skip
    def test_of_what_is_no_calendar(self, data):
        with pytest.raises(InvalidValue) as refused:
            calendar_events(data, **YEAR)
        assert "MC4C" not in str(refused.value)

    def test_of_a_file_that_can_not_be_read(self, tmp_path):
        for path in (tmp_path / "none.ics", tmp_path, "", "a\0b", 5, None, "/dev/zero"):
            with pytest.raises(InvalidValue, match="source"):
                calendar_events(path, **YEAR)
        path = tmp_path / "freezes\n.ics"
        path.write_bytes(ics(event("DURATION:PT1H")))
        with pytest.raises(InvalidValue, match=r"^freezes\\n\.ics, event"):
            calendar_events(str(path), **YEAR)
        path.write_bytes(ics(event("DTSTART:20260306T160000Z\nDURATION:PT1H")))
        assert 1 == len(calendar_events(path, **YEAR))

    @pytest.mark.parametrize(
        ("more", "error"),
        [
            ({"since": datetime(2026, 1, 1)}, NaiveTimeError),  # noqa: DTZ001
            ({"since": YEAR["until"]}, InvalidValue),
            ({"since": datetime(1899, 1, 1, tzinfo=UTC)}, InvalidValue),
            ({"until": datetime(2200, 1, 1, tzinfo=UTC)}, InvalidValue),
            ({"until": "2026"}, InvalidValue),
            ({"time_zone": "Mars/Base"}, InvalidValue),
            ({"time_zone": ZoneInfo(LONDON)}, InvalidValue),
        ],
    )
    def test_of_a_period_and_a_zone(self, more, error):
        with pytest.raises(error):
            read(event("DTSTART:20260306T160000Z\nDURATION:PT1H"), **more)

    def test_of_who_may_override_a_maintenance_window(self):
        data = ics(event("DTSTART:20260306T160000Z\nDURATION:PT1H"))
        kept = {"name": "x", **YEAR}
        assert ("mia",) == read_calendar(data, override_by=["mia"], **kept).override_by
        for more in (
            {"kind": MaintenanceWindow, "override_by": ["mia"]},
            {"kind": Weekly},
            {"kind": "freeze"},
            {"override_by": "mia"},
            {"services": "checkout"},
        ):
            with pytest.raises(InvalidValue):
                read_calendar(data, **{**kept, **more})


class TestABomb:
    """What would keep a library busy for ever is refused, by an error that names it."""

    @pytest.mark.parametrize(
        "rule",
        [
            "FREQ=SECONDLY",
            "FREQ=MINUTELY",
            "FREQ=SECONDLY;COUNT=999999999",
            "FREQ=SECONDLY;INTERVAL=59",
            "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
            "FREQ=HOURLY;BYMINUTE=" + ",".join(map(str, range(60))),
            "FREQ=YEARLY;BYHOUR={};BYMINUTE={};BYSECOND={}".format(
                *(",".join(map(str, range(most))) for most in (24, 60, 60))
            ),
            "FREQ=DAILY;BYSETPOS=" + ",".join(map(str, range(1, 367))),
            "FREQ=HOURLY;UNTIL=99991231T235959Z",
            "FREQ=HOURLY",
        ],
    )
    def test_of_a_rule(self, rule):
        with pytest.raises(InvalidValue, match="at most") as refused:
            read(event(f"DTSTART:20100306T160000Z\nDURATION:PT1S\nRRULE:{rule}", title="Bomb"),
                 until=datetime(2030, 1, 1, tzinfo=UTC))  # fmt: skip
        assert 'event "Bomb"' in refused.value.name

    def test_of_many_small_ones(self):
        daily = "DTSTART:20000101T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYYEARDAY=1"
        with pytest.raises(InvalidValue, match="steps"):
            read(*(event(daily, str(number)) for number in range(150)))

    def test_of_many_events(self):
        hourly = "DTSTART:20260101T000000Z\nDURATION:PT1M\nRRULE:FREQ=HOURLY"
        assert 8_760 == len(read(event(hourly)))
        with pytest.raises(InvalidValue, match="at most 10,000 in the period"):
            read(event(hourly), event(hourly, "2"))
        dates = ",".join(f"20260101T{n // 3600:02d}{n // 60 % 60:02d}{n % 60:02d}Z"
                         for n in range(10_001))  # fmt: skip
        further = f"DTSTART:20260101T000000Z\nDURATION:PT1S\nRDATE:{dates}"
        with pytest.raises(InvalidValue, match="at most 10,000"):
            read(event(further))
        with pytest.raises(InvalidValue, match="at most 200,000 signs"):
            read(event(f"{further},{dates}"))
        single = [event("DTSTART:20260101T000000Z\nDTEND:20260102T000000Z", str(n))
                  for n in range(10_001)]  # fmt: skip
        assert 10_000 == len(read(*single[1:]))
        with pytest.raises(InvalidValue, match="10,001 events and more"):
            read(*single)

    def test_of_what_is_moved_again_and_again(self):
        daily = event("DTSTART:20260101T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY")
        moved = [
            event(
                f"DTSTART:{day:%Y%m%d}T010000Z\nDURATION:PT1H\n"
                f"RECURRENCE-ID;RANGE=THISANDFUTURE:{day:%Y%m%d}T000000Z"
            )
            for day in (date(2026, 1, 1) + timedelta(days=n) for n in range(101))
        ]
        assert 365 == len(read(daily, *moved[:50]))
        with pytest.raises(InvalidValue, match="at most"):
            read(daily, *moved)

    def test_of_size(self):
        with pytest.raises(InvalidValue, match="at most 5,000,000 bytes"):
            calendar_events(b" " * (calendar_files.LARGEST + 1), **YEAR)

    def test_of_offsets(self):
        changes = "".join(
            f"BEGIN:STANDARD\nDTSTART:20260101T{n // 60:02d}{n % 60:02d}00\n"
            f"TZOFFSETFROM:+{n // 60:02d}{n % 60:02d}\nTZOFFSETTO:+{n // 60:02d}{n % 60:02d}\n"
            "END:STANDARD\n"
            for n in range(200)
        )
        zone = f"BEGIN:VTIMEZONE\nTZID:Many\n{changes}END:VTIMEZONE\n"
        with pytest.raises(InvalidValue, match="at most 100 offsets"):
            read(zone, event("DTSTART;TZID=Many:20260306T160000\nDURATION:PT1H"))

    @pytest.mark.parametrize("seed", range(150))
    def test_of_a_file_that_was_damaged(self, seed):
        """Whatever becomes of its bytes: it is read, or refused by an error of imcm."""
        chance = random.Random(seed)
        text = chance.choice([GOOGLE, OUTLOOK, APPLE])
        lines = text.splitlines()
        for _ in range(chance.randrange(1, 4)):
            index = chance.randrange(len(lines))
            line = lines[index]
            at = chance.randrange(len(line) + 1)
            lines[index : index + 1] = chance.choice(
                [
                    [],
                    [line, line],
                    [line[:at]],
                    [line[:at] + chance.choice(';:=,"\\\0é9Z-/ ') + line[at:]],
                    [line[:at] + line[at + 1 :]],
                    [chance.choice(lines)],
                    [line.replace("2026", chance.choice(["9999", "0000", "0001", "2038"]))],
                    [line.replace("FREQ=WEEKLY", "FREQ=SECONDLY").replace("YEARLY", "MINUTELY")],
                ]
            )
        try:
            events = calendar_events("\n".join(lines).encode(), time_zone=LONDON, **YEAR)
            str(events)
            events.as_dict()
        except ImcmError as error:
            str(error)


@settings(max_examples=40, deadline=None)
@given(
    freq=st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
    interval=st.integers(1, 4),
    count=st.one_of(st.none(), st.integers(1, 400)),
    until=st.one_of(st.none(), st.dates(date(2024, 1, 1), date(2028, 1, 1))),
    begins=st.dates(date(2020, 1, 1), date(2027, 1, 1)),
)
def test_a_rule_that_is_cut_off_gives_what_it_gave(freq, interval, count, until, begins):
    """What ends with the period has the same occurrences in it as the rule as it stands."""
    from dateutil.rrule import rrulestr

    text = f"FREQ={freq};INTERVAL={interval}"
    text += f";COUNT={count}" if count else f";UNTIL={until:%Y%m%d}T000000" if until else ""
    start, end = datetime.combine(begins, time(10)), datetime.combine(date(2027, 6, 1), time())
    rule = calendar_rules.Rule.read("rule", text)
    assert rule.until == (f"{until:%Y%m%d}T000000" if until and not count else None)
    ends = min(end, datetime.combine(until, time())) if rule.until else end
    cut = rule.within(start, ends, calendar_rules.Budget())
    whole = rrulestr(text, dtstart=start).between(start, end, inc=True)
    found = [] if cut is None else [*calendar_rules.starts_of(cut, start)]
    assert whole == [each for each in found if each <= end]


# --- into a policy --------------------------------------------------------------------------------


class TestAFreeze:
    def test_of_a_calendar_is_one_of_a_policy(self):
        data = ics(
            event("DTSTART;VALUE=DATE:20261221\nDTEND;VALUE=DATE:20270102"),
            event("DTSTART;VALUE=DATE:20261221\nDTEND;VALUE=DATE:20270102", "2", "The same"),
        )
        freeze = read_calendar(
            data, name="year end", services=["checkout"], environments=["production"],
            labels={"team": "core"}, override_by=["mia"], time_zone=LONDON, **YEAR,
        )  # fmt: skip
        assert freeze.times == (
            Window(start=datetime(2026, 12, 21, tzinfo=UTC), end=datetime(2027, 1, 2, tzinfo=UTC)),
        )
        policy = attrs.evolve(Policy(name="strict"), version="2", freezes=(freeze,))
        assert policy == Policy.from_dict(policy.as_dict())
        content = Content(services=("checkout",), labels={"team": "core"})
        assert freeze.is_about(content)
        assert freeze.window_at(datetime(2026, 12, 24, tzinfo=UTC)) == freeze.times[0]

    def test_events_can_be_told(self):
        events = read(event("DTSTART:20260306T160000Z\nDURATION:PT1H", title="Sale\\n\u202e"))
        assert events.explain() == str(events)
        assert [
            "calendar, 2026-01-01T00:00+00:00 to 2027-01-01T00:00+00:00: 1",
            "2026-03-06T16:00+00:00 to 2026-03-06T17:00+00:00 Sale\\n\\u202e",
        ] == events.explain().split("\n")
        told = events.as_dict()
        assert ["shape", "source", "since", "until", "events", "left_out"] == [*told]
        assert "2026-03-06T16:00:00+00:00" == told["events"][0]["window"]["start"]
        assert "Sale\n\u202e" == told["events"][0]["title"]  # data stays what it is


# --- holidays -------------------------------------------------------------------------------------


class TestHolidays:
    def test_are_from_midnight_to_midnight(self):
        freeze = holidays_in("GB", subdivision="ENG", years=2026, time_zone=LONDON)
        assert isinstance(freeze, Freeze)
        assert "public holidays" == freeze.name
        assert Window(
            start=datetime(2026, 4, 2, 23, tzinfo=UTC), end=datetime(2026, 4, 3, 23, tzinfo=UTC)
        ) in freeze.times  # fmt: skip
        assert Window(
            start=datetime(2026, 12, 25, tzinfo=UTC), end=datetime(2026, 12, 26, tzinfo=UTC)
        ) in freeze.times  # fmt: skip

    @pytest.mark.parametrize(
        ("country", "part", "zone", "day", "hours"),
        [
            ("DE", "BB", "Europe/Berlin", date(2024, 3, 31), 23),  # Easter Sunday
            ("AT", None, "Europe/Vienna", date(2025, 10, 26), 25),  # the national day
            ("DE", None, "Europe/Berlin", date(2024, 10, 3), 24),
        ],
    )
    def test_have_as_many_hours_as_the_day(self, country, part, zone, day, hours):
        events = holiday_events(country, subdivision=part, years=day.year, time_zone=zone)
        [window] = [
            each.window for each in events.events
            if each.window.start.astimezone(ZoneInfo(zone)).date() == day
        ]  # fmt: skip
        assert timedelta(hours=hours) == window.end - window.start

    def test_of_a_period_are_those_that_meet_it(self):
        noon = datetime(2026, 12, 25, 12, tzinfo=UTC)
        events = holiday_events("GB", since=noon, until=noon + timedelta(days=10), time_zone=LONDON)
        assert ["Christmas Day", "New Year's Day"] == [
            each.title for each in events.events if "observed" not in each.title
            and "Boxing" not in each.title
        ]  # fmt: skip
        in_auckland = holiday_events(
            "NZ", since=noon - timedelta(days=1, hours=2), until=noon, time_zone="Pacific/Auckland"
        )
        assert "Christmas Day" == in_auckland.events[0].title
        assert 24 == in_auckland.events[0].window.start.day

    def test_of_some_years_are_of_those(self):
        several = holiday_events("FR", years=[2026, 2024, 2026], time_zone="Europe/Paris")
        each = [holiday_events("FR", years=year, time_zone="Europe/Paris") for year in (2024, 2026)]
        assert several.windows == each[0].windows + each[1].windows

    @pytest.mark.parametrize(
        ("more", "says"),
        [
            ({"country": "XX"}, "ISO 3166"),
            ({"country": "gb"}, "near are GB"),
            ({"country": 5}, "ISO 3166"),
            ({"subdivision": "Narnia"}, "ENG"),
            ({"subdivision": 5}, "one of"),
            ({"time_zone": "London"}, "IANA"),
            ({"years": None}, "give years"),
            ({"years": []}, "years from"),
            ({"years": True}, "years from"),
            ({"years": [2026, 2026.0]}, "years from"),
            ({"years": 10**9}, "years from"),
            ({"years": "2026"}, "years from"),
            ({"since": YEAR["since"]}, "not both"),
            ({"years": None, "since": YEAR["since"]}, "give years"),
            ({"years": None, "since": YEAR["until"], "until": YEAR["since"]}, "a time after"),
        ],
    )
    def test_are_refused_where_nobody_knows_them(self, more, says):
        with pytest.raises(InvalidValue, match=says):
            holidays_in(more.pop("country", "GB"), **{"years": 2026, "time_zone": LONDON, **more})

    def test_are_refused_where_there_are_none(self):
        noon = datetime(2026, 7, 8, tzinfo=UTC)
        with pytest.raises(InvalidValue, match="public holidays of GB"):
            holidays_in("GB", since=noon, until=noon + timedelta(days=1), time_zone=LONDON)


# --- writing --------------------------------------------------------------------------------------

NOON = datetime(2026, 3, 6, 12, tzinfo=UTC)


def planned(id_="CHG-1", hours=2, **more):
    window = Window(start=NOON, end=NOON + timedelta(hours=hours))
    given_ = {"title": "Basket 5.5", "status": ChangeStatus.APPROVED, "window": window, **more}
    return ChangeView(id=id_, **given_)


def written(changes=(), **more):
    file = io.BytesIO()
    count = write_calendar(changes, file, **{"at": NOON, **more})
    return count, file.getvalue()


def properties(data):
    """Return the events of a file as icalendar reads them."""
    import icalendar

    return [part for part in icalendar.Calendar.from_ical(data).walk() if part.name == "VEVENT"]


class TestWriting:
    CHANGES = (
        planned(services=("checkout", "search"), risk=Risk.LOW, version=3,
                last_recorded_at=NOON - timedelta(days=1, microseconds=5)),
        planned("CHG-2", 30, title="Ünïcode; a, b\\c\nSTATUS:CANCELLED\x1b " + "é" * 200,
                status=ChangeStatus.SUBMITTED, environment="staging"),
        planned("CHG-3", title="", status=ChangeStatus.CANCELLED),
        planned("CHG-4", window=None),
        planned("CHG-5", window=Window(
            start=datetime(2026, 7, 1, 9, 0, 0, 5, tzinfo=ZoneInfo("Asia/Tokyo")),
            end=datetime(2026, 7, 1, 9, 0, 0, 7, tzinfo=ZoneInfo("Asia/Tokyo")))),
    )  # fmt: skip
    FREEZES = (
        Freeze(name="weekend", times=Weekly(start="Fri 16:00", end="Mon 08:00", time_zone=LONDON)),
        MaintenanceWindow(name="nights", services=["checkout"], labels={"team": "core"},
                          times=Window(start=NOON, end=NOON + timedelta(hours=3))),
    )  # fmt: skip

    def test_what_is_written_is_read_back(self):
        count, data = written(self.CHANGES, freezes=self.FREEZES, **YEAR)
        back = {
            category: calendar_events(data, only=category, **YEAR).windows
            for category in ("change", "freeze", "maintenance")
        }
        assert list(back["freeze"]) == self.FREEZES[0].windows(YEAR["since"], YEAR["until"])
        assert list(back["maintenance"]) == list(self.FREEZES[1].times)
        assert self.CHANGES[0].window in back["change"]
        assert self.CHANGES[1].window in back["change"]
        short = datetime(2026, 7, 1, tzinfo=UTC)
        assert Window(start=short, end=short + timedelta(seconds=1)) in back["change"]
        assert count == 4 + len(back["freeze"]) + 1
        left_out = calendar_events(data, only="change", **YEAR).left_out
        assert [("CHG-3", "it is cancelled")] == [(each.title, each.why) for each in left_out]

    def test_what_is_written_says_what_it_is(self):
        first, second, third, fourth = properties(written(self.CHANGES)[1])
        assert "CHG-1: Basket 5.5" == first["SUMMARY"]
        assert (
            "Services: checkout, search\nType: normal\nRisk: low\nStatus: approved"
            == (first["DESCRIPTION"])
        )
        assert ("CONFIRMED", 3, "TRANSPARENT") == (
            first["STATUS"], first["SEQUENCE"], first["TRANSP"]
        )  # fmt: skip
        assert NOON - timedelta(days=1, seconds=1) == first["DTSTAMP"].dt
        assert ("TENTATIVE", NOON) == (second["STATUS"], second["DTSTAMP"].dt)
        assert second["SUMMARY"].startswith("CHG-2: Ünïcode; a, b\\c\\nSTATUS:CANCELLED\\x1b é")
        assert "Environment: staging" in second["DESCRIPTION"]
        assert ("CHG-3", "CANCELLED") == (third["SUMMARY"], third["STATUS"])
        assert fourth["DTSTART"].to_ical() == b"20260701T000000Z"
        maintenance = properties(written(freezes=self.FREEZES[1:], **YEAR)[1])[0]
        assert "Maintenance: nights" == maintenance["SUMMARY"]
        assert "Services: checkout\nLabels: team=core" == maintenance["DESCRIPTION"]

    def test_what_is_written_is_as_rfc_5545_has_it(self):
        data = written(self.CHANGES, freezes=self.FREEZES, title="Ops\n\x1b", **YEAR)[1]
        assert data.startswith(b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//imcm//")
        assert data.endswith(b"END:VCALENDAR\r\n")
        lines = data.split(b"\r\n")
        assert b"\n" not in b"".join(lines)
        assert not [line for line in lines if len(line) > 75 or b"\x1b" in line]
        for made in properties(data):
            for name in ("UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY"):
                assert name in made
            assert made.errors == []

    def test_the_same_is_written_again(self):
        """And an event has its UID whatever else is asked for, and a UID of its own."""
        once = written(self.CHANGES, freezes=self.FREEZES, **YEAR)
        assert once == written(list(self.CHANGES), freezes=list(self.FREEZES), **YEAR)
        uids = [str(each["UID"]) for each in properties(once[1])]
        assert len(uids) == len({*uids})
        later = {**YEAR, "since": datetime(2026, 6, 1, tzinfo=UTC)}
        some = properties(written(reversed(self.CHANGES), freezes=self.FREEZES, **later)[1])
        assert {str(each["UID"]) for each in some} < {*uids}
        revised = attrs.evolve(self.CHANGES[0], version=9, window=planned(hours=9).window)
        assert uids[0] == properties(written([revised])[1])[0]["UID"]
        assert uids[0] != properties(written([revised], origin="other")[1])[0]["UID"]

    def test_nothing_is_a_calendar_too(self):
        count, data = written()
        assert (0, []) == (count, properties(data))
        assert 0 == len(calendar_events(data, **YEAR))

    @pytest.mark.parametrize(
        "more",
        [
            {"changes": [None]}, {"changes": "CHG-1"}, {"changes": 5},
            {"freezes": FREEZES}, {"freezes": [5], **YEAR}, {"freezes": FREEZES[0]},
            {"freezes": FREEZES, "since": YEAR["since"]}, {"at": "now"}, {"title": 5},
            {"origin": ""}, {"origin": "a\nb"},
        ],
    )  # fmt: skip
    def test_of_what_is_wrong_nothing_is_written(self, more):
        file = io.BytesIO()
        with pytest.raises(InvalidValue):
            write_calendar(more.pop("changes", [planned()]), file, **{"at": NOON, **more})
        assert b"" == file.getvalue()
        with pytest.raises(InvalidValue, match="file"):
            write_calendar([], "calendar.ics", at=NOON)  # type: ignore[arg-type]


# --- the libraries --------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["icalendar", "recurring_ical_events", "holidays"])
def test_without_a_library_the_extra_is_named(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    data = ics(event("DTSTART:20260306T160000Z\nDURATION:PT1H"))
    calls = [lambda: calendar_events(data, **YEAR), written]
    if package == "holidays":
        calls = [lambda: holidays_in("GB", years=2026, time_zone=LONDON)]
    for call in calls:
        with pytest.raises(MissingExtraError, match=r"imcm\[calendars\]"):
            call()


def test_the_libraries_are_loaded_when_they_are_needed() -> None:
    code = (
        "import sys, imcm.interchange.calendars\n"
        "print({'icalendar', 'recurring_ical_events', 'holidays', 'dateutil'} & {*sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "set()\n" == ran.stdout
