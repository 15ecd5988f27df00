"""Working time against days counted by hand, and what must hold for all calendars."""

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.domain.vocabulary import Between, HoldReason
from imcm.errors import InvalidValue, NaiveTimeError
from imcm.projections.facts.fold import Hold
from imcm.projections.facts.instants import instant, moment_of
from imcm.projections.figures.clock import BusinessHours, running

HOUR = 3_600_000_000
NINE_TO_FIVE = (("09:00", "17:00"),)
ALL_DAY = (("00:00", "24:00"),)
OFFICE = (NINE_TO_FIVE,) * 5 + ((), ())
ALWAYS = (ALL_DAY,) * 7
LONDON = BusinessHours(hours=OFFICE, time_zone="Europe/London", name="London office")


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def hold(held, released, reason=HoldReason.VENDOR):
    return Hold(held=held, released=released, reason=reason)


def every_day(*ranges, zone):
    return BusinessHours(hours=(ranges,) * 7, time_zone=zone)


def hours_on(day, *ranges, zone):
    """Return the working hours of one local day, when every day has these ranges."""
    home = ZoneInfo(zone)
    only = {date.fromisoformat(day).weekday(): ranges}
    calendar = BusinessHours(hours=only, time_zone=zone)
    noon = datetime.combine(date.fromisoformat(day), time(12), tzinfo=home).astimezone(UTC)
    three_days = timedelta(days=3)
    return calendar.microseconds(noon - three_days, noon + three_days) / HOUR


# --- plain weeks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        (utc(2026, 1, 5, 9), utc(2026, 1, 5, 17), 8),  # a Monday
        (utc(2026, 1, 5), utc(2026, 1, 6), 8),
        (utc(2026, 1, 5, 8), utc(2026, 1, 5, 9), 0),
        (utc(2026, 1, 5, 8), utc(2026, 1, 5, 10), 1),
        (utc(2026, 1, 5, 16), utc(2026, 1, 5, 20), 1),
        (utc(2026, 1, 5, 16), utc(2026, 1, 6, 10), 2),
        (utc(2026, 1, 9, 16), utc(2026, 1, 12, 10), 2),  # over a weekend
        (utc(2026, 1, 10), utc(2026, 1, 12), 0),  # a weekend
        (utc(2026, 1, 5), utc(2026, 1, 12), 40),
        (utc(2026, 1, 5, 12), utc(2026, 1, 5, 12), 0),
        (utc(2025, 12, 29), utc(2026, 1, 5), 40),  # over a new year
        (utc(2024, 1, 1), utc(2026, 12, 28), 156 * 40),  # three years of whole weeks
    ],
)
def test_office_hours_are_those_a_person_counts(start, end, hours):
    calendar = BusinessHours(hours=OFFICE)

    assert hours * HOUR == calendar.microseconds(start, end)
    assert -hours * HOUR == calendar.microseconds(end, start)


def test_a_single_microsecond_of_work_is_counted():
    closing = utc(2026, 1, 5, 17)

    assert 1 == LONDON.microseconds(
        closing - timedelta(microseconds=1), closing + timedelta(hours=9)
    )


def test_holidays_do_not_count():
    calendar = BusinessHours(hours=OFFICE, holidays=["2026-01-07", date(2026, 1, 10)])

    assert 32 * HOUR == calendar.microseconds(utc(2026, 1, 5), utc(2026, 1, 12))


def test_a_holiday_is_a_local_day():
    """In Auckland the seventh begins at 11:00 UTC on the sixth."""
    calendar = BusinessHours(hours=ALWAYS, holidays=["2026-01-07"], time_zone="Pacific/Auckland")

    free = utc(2026, 1, 6, 11), utc(2026, 1, 7, 11)
    assert 0 == calendar.microseconds(*free)
    assert [(utc(2026, 1, 6), free[0]), (free[1], utc(2026, 1, 8))] == list(
        calendar.intervals(utc(2026, 1, 6), utc(2026, 1, 8))
    )


def test_a_day_can_have_several_ranges_down_to_seconds():
    calendar = BusinessHours(hours={0: [("13:00", "17:30"), ("08:15:30", "12:00")]})

    expected = (4 * 3600 + 30 * 60 + 3 * 3600 + 44 * 60 + 30) * 1_000_000
    assert expected == calendar.microseconds(utc(2026, 1, 5), utc(2026, 1, 6))


def test_round_the_clock_is_the_wall_clock():
    calendar = every_day(*ALL_DAY, zone="America/St_Johns")
    start, end = utc(2005, 3, 1, 1, 2, 3, 4), utc(2012, 8, 9, 10, 11, 12, 13)

    assert instant(end) - instant(start) == calendar.microseconds(start, end)
    assert [(start, end)] == list(calendar.intervals(start, end))


def test_instants_are_exact_where_both_times_are_of_one_zone():
    """Subtracting the two clock times would say 24 hours."""
    home = ZoneInfo("Europe/London")
    start, end = datetime(2026, 3, 28, 12, tzinfo=home), datetime(2026, 3, 29, 12, tzinfo=home)

    assert 23 * HOUR == instant(end) - instant(start)
    assert 23 * HOUR == running(start, end, (), None)
    assert 23 * HOUR == every_day(*ALL_DAY, zone="UTC").microseconds(start, end)


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), datetime(1, 1, 1, tzinfo=UTC)),
        (
            datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=14))),
            datetime.max.replace(tzinfo=UTC),
        ),
        (utc(2026, 1, 5), utc(2026, 1, 5)),
    ],
)
def test_an_instant_that_utc_can_not_tell_is_the_first_or_last_that_it_can(moment, told):
    assert told == moment_of(instant(moment))


# --- days on which clocks change ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "whole", "office"),
    [
        ("Europe/London", "2026-03-29", 23, 8),
        ("Europe/London", "2026-10-25", 25, 8),
        ("Europe/London", "2026-10-26", 24, 8),
        ("America/New_York", "2026-03-08", 23, 8),
        ("America/New_York", "2026-11-01", 25, 8),
        ("Australia/Lord_Howe", "2026-04-05", 24.5, 8),
        ("Australia/Lord_Howe", "2026-10-04", 23.5, 8),
        ("Pacific/Apia", "2011-12-29", 24, 8),
        ("Pacific/Apia", "2011-12-30", 0, 0),  # there was no such day
        ("Pacific/Apia", "2011-12-31", 24, 8),
        # Of days gone by: what a government decides of those to come changes.
        ("America/Havana", "2024-03-09", 24, 8),
        ("America/Havana", "2024-03-10", 23, 8),  # midnight itself is skipped
        ("America/Havana", "2024-11-02", 24, 8),
        ("America/Havana", "2024-11-03", 25, 8),  # midnight comes twice
        ("America/St_Johns", "2006-10-28", 24, 8),
        ("America/St_Johns", "2006-10-29", 25, 8),  # at 00:01 back to 23:01 of the day before
        ("Asia/Kathmandu", "2026-03-29", 24, 8),
        ("Pacific/Kiritimati", "2026-03-29", 24, 8),
        ("Etc/GMT+12", "2026-03-29", 24, 8),
    ],
)
def test_a_day_has_the_hours_it_really_had(zone, day, whole, office):
    assert whole == hours_on(day, *ALL_DAY, zone=zone)
    assert office == hours_on(day, *NINE_TO_FIVE, zone=zone)


@pytest.mark.parametrize(
    ("day", "range_", "hours"),
    [
        ("2026-03-29", ("00:30", "01:30"), 0.5),  # ends in the gap: at its end, 02:00
        ("2026-03-29", ("01:30", "03:00"), 1),  # starts in the gap: at its end
        ("2026-03-29", ("01:15", "01:45"), 0),  # lies in the gap
        ("2026-03-29", ("00:00", "03:00"), 2),
        ("2026-03-29", ("01:00", "02:00"), 0),
        ("2026-10-25", ("00:30", "01:30"), 2),  # ends at the second 01:30
        ("2026-10-25", ("01:30", "03:00"), 2.5),  # starts at the first 01:30
        ("2026-10-25", ("01:15", "01:45"), 1.5),
        ("2026-10-25", ("00:00", "03:00"), 4),
        ("2026-10-25", ("01:00", "02:00"), 2),
    ],
)
def test_a_range_that_meets_a_change_of_the_clock_in_london(day, range_, hours):
    assert hours == hours_on(day, range_, zone="Europe/London")


def test_two_ranges_of_a_repeated_hour_share_time_once():
    """01:00 to 01:20 ends at the second 01:20, and 01:40 to 02:00 starts at the first 01:40."""
    ranges = ("01:00", "01:20"), ("01:40", "02:00")

    assert 2 == hours_on("2026-10-25", *ranges, zone="Europe/London")


def test_a_repeated_hour_that_goes_over_midnight_counts_once():
    """From 22:00 the clock runs two hours to 00:00, one more to 00:00 again, and six to 06:00."""
    calendar = BusinessHours(
        hours={5: ("22:00", "23:45"), 6: ("00:00", "06:00")}, time_zone="America/St_Johns"
    )

    evening = utc(2006, 10, 29, 0, 30)  # 22:00 at -2:30
    assert [(evening, evening + timedelta(hours=9))] == list(
        calendar.intervals(evening - timedelta(hours=9), evening + timedelta(hours=20))
    )


def test_the_end_of_a_day_does_not_cut_short_an_hour_that_is_repeated_after_it():
    """The second range ends at the first midnight, before the second 23:45 ends the first one."""
    ranges = ("22:00", "23:45"), ("23:50", "24:00")

    assert 2.75 == hours_on("2006-10-28", *ranges, zone="America/St_Johns")


@pytest.mark.parametrize(
    ("zone", "opens"),
    [
        ("Pacific/Kiritimati", utc(2026, 1, 4, 19)),
        ("Pacific/Chatham", utc(2026, 1, 4, 19, 15)),
        ("Asia/Kathmandu", utc(2026, 1, 5, 3, 15)),
        ("UTC", utc(2026, 1, 5, 9)),
        ("America/Los_Angeles", utc(2026, 1, 5, 17)),
        ("Pacific/Pago_Pago", utc(2026, 1, 5, 20)),
    ],
)
def test_monday_begins_when_it_is_nine_in_the_zone(zone, opens):
    calendar = BusinessHours(hours={0: NINE_TO_FIVE}, time_zone=zone)

    assert [(opens, opens + timedelta(hours=8))] == list(
        calendar.intervals(utc(2026, 1, 2), utc(2026, 1, 8))
    )


# --- stretches ------------------------------------------------------------------------------------


def test_stretches_are_cut_at_both_ends():
    found = LONDON.intervals(utc(2026, 7, 3, 12), utc(2026, 7, 6, 8, 30))  # 09:00 is 08:00 UTC

    assert [
        (utc(2026, 7, 3, 12), utc(2026, 7, 3, 16)),
        (utc(2026, 7, 6, 8), utc(2026, 7, 6, 8, 30)),
    ] == list(found)


def test_stretches_are_in_utc_wherever_they_are_asked_from():
    tokyo = ZoneInfo("Asia/Tokyo")
    found = list(LONDON.intervals(datetime(2026, 1, 5, tzinfo=tokyo), utc(2026, 1, 6)))

    assert [(utc(2026, 1, 5, 9), utc(2026, 1, 5, 17))] == found
    assert {UTC} == {moment.tzinfo for pair in found for moment in pair}


@pytest.mark.parametrize("end", [utc(2026, 1, 5, 12), utc(2026, 1, 4), utc(2026, 1, 5, 11, 59)])
def test_there_are_no_stretches_where_the_end_is_not_after_the_start(end):
    assert [] == list(LONDON.intervals(utc(2026, 1, 5, 12), end))


def test_a_stretch_over_the_new_year_is_one():
    start, end = utc(2025, 12, 31, 20), utc(2026, 1, 1, 4)

    assert [(start, end)] == list(every_day(*ALL_DAY, zone="UTC").intervals(start, end))


def test_ranges_that_touch_are_one_stretch():
    calendar = BusinessHours(hours={0: [("09:00", "12:00"), ("12:00", "17:00")]})

    assert [(utc(2026, 1, 5, 9), utc(2026, 1, 5, 17))] == list(
        calendar.intervals(utc(2026, 1, 5), utc(2026, 1, 6))
    )


# --- a plain value --------------------------------------------------------------------------------


def test_the_same_calendar_given_otherwise_is_equal():
    other = BusinessHours(
        hours={str(day): [["09:00:00", "17:00"]] for day in range(5)},
        time_zone="Europe/London",
        name="London office",
    )

    assert LONDON == other
    assert hash(LONDON) == hash(other)
    assert {LONDON: 1} == {other: 1}


def test_order_and_repetition_of_what_is_given_do_not_matter():
    one = BusinessHours(
        hours={0: [("13:00", "17:00"), ("09:00", "12:00")]}, holidays=["2026-12-25", "2026-01-01"]
    )
    other = BusinessHours(
        hours={0: [("09:00", "12:00"), ("13:00", "17:00")]},
        holidays=[date(2026, 1, 1), "2026-12-25", "2026-01-01"],
    )

    assert one == other
    assert (date(2026, 1, 1), date(2026, 12, 25)) == one.holidays


@pytest.mark.parametrize(
    "change",
    [
        {"hours": {0: ("09:00", "17:00")}},
        {"holidays": ["2026-12-25"]},
        {"time_zone": "Europe/Dublin"},
        {"name": "Dublin office"},
    ],
)
def test_calendars_that_differ_in_anything_are_not_equal(change):
    given = {"hours": OFFICE, "time_zone": "Europe/London", "name": "London office"}

    assert LONDON == BusinessHours(**given)
    assert LONDON != BusinessHours(**(given | change))


def test_a_calendar_is_written_as_plain_values_and_read_back():
    calendar = BusinessHours(hours={0: ("09:00", "24:00")}, holidays=["2026-12-25"])

    plain = {
        "name": "business hours",
        "time_zone": "UTC",
        "hours": [[["09:00", "24:00"]], [], [], [], [], [], []],
        "holidays": ["2026-12-25"],
    }
    assert plain == calendar.as_dict()
    assert calendar == BusinessHours.from_dict(json.loads(json.dumps(plain)))


@pytest.mark.parametrize(
    ("plain", "name"),
    [
        ([], "calendar"),
        ({}, "hours"),
        ({"time_zone": "UTC"}, "hours"),
        ({"hours": OFFICE, "colour": "red"}, "colour"),
        ({"hours": OFFICE, "time_zone": "Mars/Olympus"}, "time_zone"),
    ],
)
def test_what_as_dict_never_wrote_is_refused(plain, name):
    with pytest.raises(InvalidValue) as caught:
        BusinessHours.from_dict(plain)

    assert name == caught.value.name


@pytest.mark.parametrize(
    ("hours", "name", "value"),
    [
        ("09:00-17:00", "hours", "09:00-17:00"),
        (None, "hours", None),
        (OFFICE[:6], "hours", OFFICE[:6]),
        (((),) * 7, "hours", ((),) * 7),
        ({}, "hours", {}),
        ({7: NINE_TO_FIVE}, "hours", 7),
        ({"monday": NINE_TO_FIVE}, "hours", "monday"),
        ({0: NINE_TO_FIVE, "0": ()}, "hours", "0"),
        ({0: "09:00"}, "hours[0]", "09:00"),
        ({0: None}, "hours[0]", None),
        ({0: [1]}, "hours[0]", 1),
        ({0: ["09:00", "12:00", "17:00"]}, "hours[0]", ["09:00", "12:00", "17:00"]),
        ({1: [("9:00", "17:00")]}, "hours[1]", "9:00"),
        ({1: [("09:00", "24:01")]}, "hours[1]", "24:01"),
        ({1: [("09:00", "17:00\n")]}, "hours[1]", "17:00\n"),
        ({1: [(time(9), time(17))]}, "hours[1]", time(9)),
        ({1: [("17:00", "09:00")]}, "hours[1]", ("17:00", "09:00")),
        ({1: [("09:00", "09:00:00")]}, "hours[1]", ("09:00", "09:00")),
        ({1: [("24:00", "24:00")]}, "hours[1]", ("24:00", "24:00")),
        (
            {1: [("12:00", "17:00"), ("09:00", "12:01")]},
            "hours[1]",
            (("09:00", "12:01"), ("12:00", "17:00")),
        ),
    ],
)
def test_hours_that_are_none_are_refused(hours, name, value):
    with pytest.raises(InvalidValue) as caught:
        BusinessHours(hours=hours)

    assert (name, value) == (caught.value.name, caught.value.value)
    assert caught.value.allowed


@pytest.mark.parametrize(
    ("holidays", "value"),
    [
        ("2026-12-25", "2026-12-25"),
        (["25 December"], "25 December"),
        ([utc(2026, 12, 25)], utc(2026, 12, 25)),
        ([20261225], 20261225),
    ],
)
def test_holidays_that_are_none_are_refused(holidays, value):
    with pytest.raises(InvalidValue) as caught:
        BusinessHours(hours=OFFICE, holidays=holidays)

    assert ("holidays", value) == (caught.value.name, caught.value.value)


@pytest.mark.parametrize(
    "given", [{"time_zone": "Europe/Atlantis"}, {"time_zone": None}, {"name": 7}]
)
def test_a_zone_that_is_not_there_and_a_name_that_is_no_text_are_refused(given):
    with pytest.raises(InvalidValue) as caught:
        BusinessHours(hours=OFFICE, **given)

    assert [caught.value.name] == list(given)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (utc(2026, 1, 5).replace(tzinfo=None), NaiveTimeError),
        ("2026-01-05", InvalidValue),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), InvalidValue),
        (datetime.max.replace(tzinfo=UTC), InvalidValue),
    ],
)
def test_a_time_that_can_not_be_placed_is_refused_by_name(place, value, error):
    times = [utc(2026, 1, 5), utc(2026, 1, 6)]
    times[place] = value
    asked = (
        lambda: LONDON.microseconds(*times),
        lambda: list(LONDON.intervals(*times)),
        lambda: running(*times, (), LONDON),
    )
    for ask in asked:
        with pytest.raises(error) as caught:
            ask()
        assert (["start", "end"][place], value) == (caught.value.name, caught.value.value)


def test_the_first_and_the_last_year_can_be_measured():
    calendar = every_day(*ALL_DAY, zone="Pacific/Kiritimati")

    for year in (3, 9997):
        assert 24 * HOUR == calendar.microseconds(utc(year, 1, 1), utc(year, 1, 2))
        assert 24 * HOUR == calendar.microseconds(utc(year, 12, 30), utc(year, 12, 31))


# --- waiting --------------------------------------------------------------------------------------

MONDAY = utc(2026, 1, 5)


def on_monday(hour):
    return MONDAY + timedelta(hours=hour)


@pytest.mark.parametrize(
    ("holds", "hours"),
    [
        ([], 8),
        ([(10, 12)], 6),
        ([(7, 9)], 8),  # before work
        ([(8, 10)], 7),
        ([(16, 20)], 7),
        ([(9, 17)], 0),
        ([(-40, 100)], 0),  # longer than the stretch measured
        ([(10, 12), (14, 15)], 5),
        ([(10, 13), (12, 14)], 4),  # overlapping: once
        ([(10, 14), (11, 12)], 4),  # nested
        ([(14, 15), (10, 12)], 5),  # in no order
        ([(10, 10)], 8),
        ([(12, 10)], 8),  # released before it began
        ([(15, None)], 6),  # still waiting
        ([(None, 12)], 8),  # nobody knows since when
        ([(None, None), (10, 12)], 6),
        ([(30, 40)], 8),  # the day after
    ],
)
def test_a_hold_stops_the_clock_of_a_calendar_only(holds, hours):
    calendar = BusinessHours(hours=OFFICE)
    waits = [hold(*(None if hour is None else on_monday(hour) for hour in pair)) for pair in holds]

    assert hours * HOUR == running(MONDAY, on_monday(24), waits, calendar)
    assert -hours * HOUR == running(on_monday(24), MONDAY, waits, calendar)
    assert 24 * HOUR == running(MONDAY, on_monday(24), waits, None)
    assert -24 * HOUR == running(on_monday(24), MONDAY, waits, None)


def test_an_uncertain_hold_is_placed_by_its_midpoints():
    waits = [
        hold(
            Between(earliest=on_monday(9), latest=on_monday(11)),
            Between(earliest=on_monday(11), latest=on_monday(15)),
        )
    ]

    assert 5 * HOUR == running(MONDAY, on_monday(24), waits, BusinessHours(hours=OFFICE))


@pytest.mark.parametrize("calendar", [None, LONDON])
@pytest.mark.parametrize("name", ["start", "end"])
def test_a_clock_is_not_started_at_a_naive_time(calendar, name):
    naive = utc(2026, 1, 5).replace(tzinfo=None)
    times = {"start": utc(2026, 1, 5), "end": utc(2026, 1, 6), name: naive}

    with pytest.raises(NaiveTimeError) as caught:
        running(times["start"], times["end"], (), calendar)

    assert name == caught.value.name


# --- what must always hold ------------------------------------------------------------------------

ZONES = (
    "UTC",
    "Europe/London",
    "America/New_York",
    "America/Havana",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
)
MARKS = st.lists(st.integers(0, 96), min_size=2, max_size=6, unique=True).filter(
    lambda marks: len(marks) % 2 == 0
)


def clock_time(quarter):
    return f"{quarter // 4:02}:{quarter % 4 * 15:02}"


@st.composite
def calendars(draw):
    week = []
    for _ in range(7):
        marks = [clock_time(mark) for mark in sorted(draw(st.just([]) | MARKS))]
        week.append(tuple(zip(marks[::2], marks[1::2], strict=True)))
    week[draw(st.integers(0, 6))] = (("00:30", "02:30"), ("08:00", "24:00"))
    days = st.dates(date(2011, 12, 1), date(2012, 12, 31))
    holidays = draw(st.lists(days, max_size=5))
    return BusinessHours(hours=week, holidays=holidays, time_zone=draw(st.sampled_from(ZONES)))


def moments(first, last, zones):
    return st.datetimes(first.replace(tzinfo=None), last.replace(tzinfo=None), timezones=zones)


MOMENTS = moments(utc(2011, 12, 20), utc(2012, 11, 30), st.just(UTC)) | moments(
    utc(2011, 12, 28), utc(2012, 1, 3), st.sampled_from(ZONES).map(ZoneInfo)
)


@settings(max_examples=50, deadline=None)
@given(calendars(), MOMENTS, MOMENTS, MOMENTS)
def test_working_time_adds_up_and_turns_round_and_is_never_more_than_time(calendar, a, b, c):
    spent = calendar.microseconds

    assert spent(a, c) == spent(a, b) + spent(b, c)
    assert spent(a, b) == -spent(b, a)
    assert 0 == spent(a, a)
    wall = instant(b) - instant(a)
    assert min(0, wall) <= spent(a, b) <= max(0, wall)


@settings(max_examples=50, deadline=None)
@given(calendars(), MOMENTS, MOMENTS)
def test_stretches_are_in_order_apart_and_come_to_the_working_time(calendar, a, b):
    found = list(calendar.intervals(a, b))

    edges = [instant(moment) for pair in found for moment in pair]
    assert sorted(set(edges)) == edges
    assert all(instant(a) <= edge <= instant(b) for edge in edges)
    total = sum(instant(end) - instant(start) for start, end in found)
    assert total == max(0, calendar.microseconds(a, b))


@settings(max_examples=50, deadline=None)
@given(calendars(), MOMENTS, MOMENTS)
def test_where_no_clock_changes_it_is_the_sum_over_days(calendar, a, b):
    """Counted day by day, the slow way."""
    plain = BusinessHours(hours=calendar.hours, holidays=calendar.holidays)
    low, high = sorted((a.astimezone(UTC), b.astimezone(UTC)))
    total = timedelta()
    midnight = datetime.combine(low.date(), time(), tzinfo=UTC)
    while midnight < high:
        if midnight.date() not in calendar.holidays:
            for pair in calendar.hours[midnight.weekday()]:
                start, end = (
                    midnight + timedelta(hours=int(text[:2]), minutes=int(text[3:]))
                    for text in pair
                )
                total += max(timedelta(), min(end, high) - max(start, low))
        midnight += timedelta(days=1)

    assert total == timedelta(microseconds=plain.microseconds(low, high))


HOLDS = st.builds(
    hold,
    st.none() | MOMENTS,
    st.none() | MOMENTS,
    st.sampled_from(HoldReason),
)


@settings(max_examples=50, deadline=None)
@given(calendars(), MOMENTS, MOMENTS, st.lists(HOLDS, max_size=5), st.randoms())
def test_holds_only_ever_take_time_off_and_their_order_does_not_matter(calendar, a, b, holds, any_):
    low, high = sorted((a, b), key=instant)
    shuffled = list(holds)
    any_.shuffle(shuffled)

    spent = running(low, high, holds, calendar)
    assert 0 <= spent <= calendar.microseconds(low, high)
    assert spent == running(low, high, shuffled, calendar)
    assert -spent == running(high, low, holds, calendar)
    assert spent <= running(low, high, holds[1:], calendar)
    assert spent == running(low, high, holds + holds, calendar)
