"""Names, values, times and durations of other tools, read or refused."""

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcm.domain.vocabulary import Between, Severity
from imcm.errors import InvalidValue
from imcm.interchange.mapping import (
    Problem,
    TimeRules,
    Translation,
    count,
    duration,
    member,
    read_mapping,
    truth,
    zone_named,
)

NEW_YORK = TimeRules(zone=zone_named("tz", "America/New_York"))
PLAIN = TimeRules()


def offset(hours):
    return timezone(timedelta(hours=hours))


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2024-05-01T09:30:00Z", datetime(2024, 5, 1, 9, 30, tzinfo=UTC)),
            ("2024-05-01t09:30:00z", datetime(2024, 5, 1, 9, 30, tzinfo=UTC)),
            ("2024-05-01 09:30+02:00", datetime(2024, 5, 1, 9, 30, tzinfo=offset(2))),
            ("2024-05-01T09:30:00-05", datetime(2024, 5, 1, 9, 30, tzinfo=offset(-5))),
            ("20240501T093000Z", datetime(2024, 5, 1, 9, 30, tzinfo=UTC)),
            ("2024-05-01T09:30:00,5Z", datetime(2024, 5, 1, 9, 30, 0, 500_000, tzinfo=UTC)),
            ("2024-05-01T09:30:00.1234567Z", datetime(2024, 5, 1, 9, 30, 0, 123456, tzinfo=UTC)),
            ("0001-01-01T00:00:00Z", None),
            ("0001-01-01 00:00:00", None),
            (
                "2024-05-01T09:30Z/2024-05-01T10:00Z",
                Between(
                    earliest=datetime(2024, 5, 1, 9, 30, tzinfo=UTC),
                    latest=datetime(2024, 5, 1, 10, tzinfo=UTC),
                ),
            ),
        ],
    )
    def test_reads(self, text, expected):
        """ISO 8601 with its offset kept, uncertain moments, and "never"."""
        assert expected == PLAIN.moment("detected_at", text)

    def test_keeps_the_offset(self):
        """What the wall clock said is kept."""
        told = PLAIN.moment("detected_at", "2024-05-01T09:30+02:00")
        assert told.utcoffset() == timedelta(hours=2)

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("2024-05-01T09:30:00", "no UTC offset"),
            ("2024-05-01", "date and a time"),
            ("2024-05-01Z", "date and a time"),
            ("2024-W18-3T09:30Z", "date and a time"),
            ("2024-05-01x09:30Z", "date and a time"),
            ("2024-05-01T09:30:00+00:19:32", "date and a time"),
            ("2024-02-30T09:30Z", "no such time"),
            ("2024-05-01T25:30Z", "no such time"),
            ("yesterday", "date and a time"),
            ("null", "date and a time"),
            ("1714555800", "date and a time"),
            ("٢٠٢٤-05-01T09:30Z", "date and a time"),
            ("2024-05-01T09:30Z/", "date and a time"),
            ("/2024-05-01T09:30Z", "date and a time"),
            ("2024-05-01T09:30Z/x/2024-05-01T09:30Z", "date and a time"),
            ("0001-01-01T00:00Z/2024-05-01T09:30Z", "means never"),
            ("2024-05-01T09:30Z/2024-05-01T09:29Z", "before the earliest"),
        ],
    )
    def test_refuses(self, text, why):
        """What is no time, or has no zone, is refused with what to do."""
        with pytest.raises(InvalidValue, match=why):
            PLAIN.moment("detected_at", text)

    def test_a_naive_time_with_a_zone(self):
        """A naive time is of the zone given, with the offset of that day."""
        winter = NEW_YORK.moment("at", "2024-01-10 12:00")
        summer = NEW_YORK.moment("at", "2024-07-10 12:00")
        assert winter == datetime(2024, 1, 10, 17, tzinfo=UTC)
        assert summer == datetime(2024, 7, 10, 16, tzinfo=UTC)
        assert summer.tzinfo == offset(-4)

    def test_a_local_time_that_never_came(self):
        """02:30 on the night the clock goes forward is refused."""
        with pytest.raises(InvalidValue, match="never came in America/New_York"):
            NEW_YORK.moment("at", "2024-03-10T02:30")

    @pytest.mark.parametrize("text", ["2024-03-10T01:59:59", "2024-03-10T03:00"])
    def test_around_the_gap(self, text):
        """The times next to the gap are certain."""
        assert isinstance(NEW_YORK.moment("at", text), datetime)

    def test_a_local_time_that_came_twice(self):
        """01:30 on the night the clock goes back is either of two times."""
        expected = Between(
            earliest=datetime(2024, 11, 3, 5, 30, tzinfo=UTC),
            latest=datetime(2024, 11, 3, 6, 30, tzinfo=UTC),
        )
        told = NEW_YORK.moment("at", "2024-11-03T01:30")
        assert expected == told
        assert told.earliest.tzinfo == offset(-4)
        assert told.latest.tzinfo == offset(-5)

    @pytest.mark.parametrize("text", ["2024-11-03T00:59:59", "2024-11-03T02:00"])
    def test_around_the_fold(self, text):
        """The times next to the repeated hour are certain."""
        assert isinstance(NEW_YORK.moment("at", text), datetime)

    def test_an_offset_beats_the_zone(self):
        """A time that says its offset needs no zone, in the repeated hour too."""
        expected = datetime(2024, 11, 3, 6, 30, tzinfo=UTC)
        assert expected == NEW_YORK.moment("at", "2024-11-03T01:30-05:00")

    def test_bounds_that_came_twice(self):
        """Of bounds that are uncertain themselves the outermost readings count."""
        told = NEW_YORK.moment("at", "2024-11-03T01:00/2024-11-03T01:30")
        assert told.earliest == datetime(2024, 11, 3, 5, tzinfo=UTC)
        assert told.latest == datetime(2024, 11, 3, 6, 30, tzinfo=UTC)

    def test_an_offset_of_seconds_cannot_be_kept(self):
        """Local mean time, before zones, is refused rather than moved."""
        with pytest.raises(InvalidValue, match="whole minutes"):
            NEW_YORK.moment("at", "1800-01-01T00:00")

    def test_only_certain_times(self):
        """Where no uncertain moment can be kept, one is refused."""
        assert datetime(2024, 1, 10, 17, tzinfo=UTC) == NEW_YORK.time("at", "2024-01-10 12:00")
        with pytest.raises(InvalidValue, match="two times"):
            NEW_YORK.time("at", "2024-11-03T01:30")

    @given(st.datetimes(timezones=st.sampled_from([UTC, offset(5.5), offset(-11)])))
    def test_any_time_comes_back(self, moment):
        """What isoformat writes is read as the same time."""
        told = PLAIN.moment("at", moment.isoformat())
        assert told == (None if moment.year == 1 else moment)

    @given(st.text())
    def test_any_text_is_read_or_refused(self, text):
        """No text ends in another error than ours."""
        for rules in (PLAIN, NEW_YORK, TimeRules(formats=("%d/%m/%Y %H:%M",))):
            try:
                rules.moment("at", text)
            except InvalidValue:
                continue

    def test_zones(self):
        """A zone that is none is refused."""
        for bad in ("Mars/Olympus", "../etc/passwd", "", "/abs"):
            with pytest.raises(InvalidValue, match="IANA"):
                zone_named("tz", bad)


class TestTimesThatCount:
    @pytest.mark.parametrize(
        ("given", "text", "when"),
        [
            ("epoch seconds", "1709640000", datetime(2024, 3, 5, 12, tzinfo=UTC)),
            ("epoch seconds", "1709640000.25", datetime(2024, 3, 5, 12, 0, 0, 250_000, UTC)),
            ("epoch milliseconds", "1709640000001", datetime(2024, 3, 5, 12, 0, 0, 1000, UTC)),
            ("epoch seconds", "0", datetime(1970, 1, 1, tzinfo=UTC)),
            ("epoch seconds", "2024-03-05T12:00Z", datetime(2024, 3, 5, 12, tzinfo=UTC)),
        ],
    )
    def test_reads(self, given, text, when):
        assert when == TimeRules(formats=(given,)).moment("at", text)

    @pytest.mark.parametrize("text", ["-1", "1e9", "999999999999999", "17096400x", ""])
    def test_refuses(self, text):
        with pytest.raises(InvalidValue):
            TimeRules(formats=("epoch seconds",)).moment("at", text)

    def test_one_of_two_readings_is_no_guess(self):
        rules = TimeRules(formats=("epoch seconds", "epoch milliseconds"))
        with pytest.raises(InvalidValue, match="read it differently"):
            rules.moment("at", "1709640000")

    def test_the_same_text_is_read_the_same_again(self):
        rules = TimeRules(formats=("epoch seconds",))
        assert rules.moment("at", "1709640000") == rules.moment("at", "1709640000")
        for _ in range(2):
            with pytest.raises(InvalidValue):
                rules.moment("at", "soon")


class TestFormats:
    DAY_FIRST = TimeRules(formats=("%d/%m/%Y %H:%M",), zone=zone_named("tz", "UTC"))

    def test_reads(self):
        """A format given is read, in the zone given."""
        expected = datetime(2024, 3, 14, 9, 30, tzinfo=UTC)
        assert expected == self.DAY_FIRST.moment("at", "14/03/2024 09:30")

    def test_offsets(self):
        """%z gives the offset."""
        rules = TimeRules(formats=("%Y-%m-%d %H:%M:%S %z",))
        expected = datetime(2022, 8, 5, 6, 25, 15, tzinfo=UTC)
        assert expected == rules.moment("at", "2022-08-05 14:25:15 +0800")

    def test_never(self):
        """The year 1 means never in any format."""
        assert self.DAY_FIRST.moment("at", "01/01/0001 00:00") is None

    def test_uncertain(self):
        """The slash in the middle divides, however many the times have."""
        told = self.DAY_FIRST.moment("at", "14/03/2024 09:30/14/03/2024 10:30")
        assert told.latest - told.earliest == timedelta(hours=1)

    def test_iso_with_offset_goes_on_counting(self):
        """Beside formats ISO 8601 counts where it says its offset or has a T, and only there."""
        expected = datetime(2024, 3, 14, 9, 30, tzinfo=UTC)
        assert expected == self.DAY_FIRST.moment("at", "2024-03-14T09:30Z")
        with pytest.raises(InvalidValue, match="%d/%m/%Y"):
            self.DAY_FIRST.moment("at", "2024-03-14 09:30")

    def test_several_that_disagree(self):
        """Where two formats read a value differently, neither is chosen."""
        rules = TimeRules(
            formats=("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"), zone=zone_named("tz", "UTC")
        )
        expected = datetime(2024, 3, 14, 9, 30, tzinfo=UTC)
        assert expected == rules.moment("at", "14/03/2024 09:30")
        with pytest.raises(InvalidValue, match="differently"):
            rules.moment("at", "04/03/2024 09:30")
        assert rules.moment("at", "04/04/2024 09:30") is not None

    @pytest.mark.parametrize(
        "bad", ["%d/%m/%Y", "%H:%M", "%Y-%m-%d %I:%M", "%Y-%m-%d %H:%M %Z", "", "%Q", "%j %H:%M"]
    )
    def test_refuses_formats_that_tell_too_little(self, bad):
        """A format without year, month, day, hour or minute would invent them."""
        with pytest.raises(InvalidValue, match="time_format"):
            TimeRules(formats=(bad,))


class TestValues:
    def test_member(self):
        """A closed list is read in any case; anything else is refused with the list."""
        assert member("severity", "p1", Severity) is Severity.P1
        with pytest.raises(InvalidValue, match="one of P1, P2, P3, P4; other words need a mapping"):
            member("severity", "SEV1", Severity)

    def test_truth(self):
        """True and false, in any case, and no other words."""
        assert truth("planned", "TRUE")
        assert not truth("planned", "False")
        with pytest.raises(InvalidValue, match="true or false"):
            truth("planned", "yes")

    def test_count(self):
        """Plain digits only."""
        assert count("customers", "1200") == 1200
        for bad in ("-1", "1,200", "1.0", "1e3", "٣", "many", "9" * 19):
            with pytest.raises(InvalidValue, match="whole number"):
                count("customers", bad)

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("5400 s", 5400),
            ("0 sec", 0),
            ("0.5 seconds", 0.5),
            ("0.0000004s", 0),
            ("90 min", 5400),
            ("90 Minutes", 5400),
            ("1.5 h", 5400),
            ("1h", 3600),
            ("2 days", 172_800),
            ("1 week", 604_800),
            ("1:30:00", 5400),
            ("100:00:00.25", 360_000.25),
            ("PT1H30M", 5400),
            ("pt90m", 5400),
            ("P2DT4H", 187_200),
            ("P1W", 604_800),
            ("PT0.5S", 0.5),
            ("PT0,5S", 0.5),
            ("P1D", 86_400),
        ],
    )
    def test_durations(self, text, seconds):
        """A number with its unit, a clock count, or ISO 8601."""
        assert round(seconds * 1_000_000) == duration("stated", text)

    @pytest.mark.parametrize(
        ("unit", "seconds"), [("seconds", 180), ("minutes", 10_800), ("hours", 648_000)]
    )
    def test_a_number_alone_is_in_the_unit_of_its_column(self, unit, seconds):
        assert duration("stated", "180", unit) == seconds * 1_000_000
        assert duration("stated", "3 min", unit) == 180 * 1_000_000
        with pytest.raises(InvalidValue, match=r"\[units\] stated = \"minutes\""):
            duration("stated", "180")
        with pytest.raises(InvalidValue, match="one of weeks, days"):
            duration("stated", "180", "fortnights")

    @pytest.mark.parametrize(
        ("text", "decimal", "seconds"),
        [
            ("1.5", None, 90),
            ("1,5", None, 90),
            ("0.125", None, 7.5),
            ("2880", None, 172_800),
            ("1234.567", None, 74_074.02),
            ("2.880", ",", 172_800),
            ("2.880", ".", 172.8),
            ("2,880", ",", 172.8),
            ("2,880", ".", 172_800),
            ("1.234.567,5 s", ",", 1_234_567.5),
            ("1,234,567.5 s", ".", 1_234_567.5),
        ],
    )
    def test_the_sign_before_a_fraction(self, text, decimal, seconds):
        """What has one reading is read; of the rest the mapping says which sign it is."""
        assert duration("stated", text, "minutes", decimal) == round(seconds * 1_000_000)

    @pytest.mark.parametrize("text", ["2.880", "2,880", "1.500 h"])
    def test_a_fraction_that_may_be_thousands_is_refused(self, text):
        with pytest.raises(InvalidValue, match=r'2880|1500.*decimal = "," or decimal = "\."'):
            duration("stated", text, "minutes")

    @pytest.mark.parametrize(
        ("text", "decimal"),
        [("1.5", ","), ("1,5", "."), ("12.34.567", ","), ("1.234,5", None), ("1.234.567", None)],
    )
    def test_a_number_that_is_written_otherwise_is_refused(self, text, decimal):
        with pytest.raises(InvalidValue, match="a number as"):
            duration("stated", text, "minutes", decimal)

    def test_refuses_another_sign_before_fractions(self):
        for call in (
            lambda: duration("stated", "5", "minutes", ";"),
            lambda: read_mapping({"decimal": ";"}, tables={}, closed={}),
        ):
            with pytest.raises(InvalidValue, match=r'one of "\.", ","'):
                call()

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "P",
            "PT",
            "P1DT",
            "P1M",
            "P1Y",
            "-5",
            "-PT5M",
            "1:30",
            "1:60:00",
            "1 x",
            "5e3",
            "T1H",
        ],
    )
    def test_refuses_durations(self, text):
        """What is not clearly a fixed length of time is refused."""
        with pytest.raises(InvalidValue, match="ISO 8601"):
            duration("stated", text)

    @pytest.mark.parametrize("text", ["P999999999W", "999999999999 days", "999999999:00:00"])
    def test_refuses_durations_of_more_than_a_hundred_years(self, text):
        """Nobody means them, and no ledger could keep them."""
        with pytest.raises(InvalidValue, match="a hundred years"):
            duration("stated", text)

    def test_translation(self):
        """A mapped value wins over the words for absent; blanks and case don't count."""
        told = Translation(
            values={"severity": {"sev1": "P1", "-": "P4", "?": ""}}, absent=frozenset({"-", "null"})
        )
        pairs = [(" SEV1 ", "P1"), ("-", "P4"), ("?", ""), ("null", ""), ("", ""), ("x", "x")]
        for text, expected in pairs:
            assert expected == told.value("severity", text)
        assert told.value("title", "-") == ""

    def test_problem(self):
        """A problem reads as one line, its value cut."""
        problem = Problem(file="a.csv", line=3, column="id", value="x" * 300, why="too long")
        assert str(problem) == f"a.csv:3: id: '{'x' * 40}...': too long"
        assert "x" * 200 == problem.value
        assert str(Problem(file="a.csv", line=3, column="", value="", why="no")) == "a.csv:3: no"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


TABLES = {"things": ("id", "colour", "at"), "parts": ("id",)}


def mapping(path, text):
    path.write_text(text, encoding="utf-8")
    return read_mapping(path, tables=TABLES, closed={"colour": Colour})


class TestMappingFile:
    def test_reads(self, tmp_path):
        """Columns, values, words for absent, zone and formats."""
        told = mapping(
            tmp_path / "m.toml",
            """
            tz = "Europe/Oslo"
            time_formats = ["%d.%m.%Y %H:%M"]
            absent = ["?", " - "]
            [things.columns]
            "Number " = "id"
            "Notes" = ""
            "Group" = "label:team"
            [values.colour]
            "Rouge" = "RED"
            "ROUGE" = "RED"
            "none" = ""
            [values.at]
            "n/a" = ""
            """,
        )
        expected = Translation(
            columns={
                "things": {"Number": ("id",), "Notes": (), "Group": ("label:team",)},
                "parts": {},
            },
            values={"colour": {"rouge": "RED", "none": ""}, "at": {"n/a": ""}},
            absent=frozenset({"?", "-"}),
            tz="Europe/Oslo",
            time_formats=("%d.%m.%Y %H:%M",),
        )
        assert expected == told

    def test_empty(self, tmp_path):
        """An empty mapping changes nothing."""
        told = mapping(tmp_path / "m.toml", "")
        assert told.value("colour", "x") == "x"

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("x", "no TOML"),
            ('a = "b"', "'a' is not allowed; one of things, parts, values, tz"),
            ("tz = 5", "as text"),
            ('tz = "Mars"', "IANA"),
            ('time_formats = "x"', "list of texts"),
            ("time_formats = [1]", "as text"),
            ('time_formats = ["%H"]', "year, month"),
            ('absent = "x"', "list of texts"),
            ("things = 1", "as a table"),
            ("[things.cols]", "'cols' is not allowed; one of columns"),
            ("[things]\ncolumns = 1", "as a table"),
            ('[things.columns]\n"A" = 1', "as text"),
            ('[things.columns]\n"A" = "color"', "'color' is not allowed; .* id, colour, at"),
            ('[things.columns]\n"A" = "label:"', "1 to 200"),
            ('[things.columns]\n"A" = "id"\n"B" = "id"', "another column"),
            ('[things.columns]\n"A" = "id"\n"A " = ""', "twice"),
            ('[things.columns]\n"A" = "id"\n"A" = "at"', "no TOML"),
            ("values = 1", "as a table"),
            ("[values.size]", "'size' is not allowed; one of at, colour, id"),
            ("[values]\ncolour = 1", "as a table"),
            ('[values.colour]\n"x" = "green"', "'green' is not allowed; .* red, blue"),
            ('[values.colour]\n"x" = 1', "as text"),
            ('[values.colour]\n"x" = "red"\n"X" = "blue"', "in another case"),
        ],
    )
    def test_refuses(self, tmp_path, text, why):
        """Every mistake names its key and what is allowed."""
        with pytest.raises(InvalidValue, match=why):
            mapping(tmp_path / "m.toml", text)

    def test_unreadable(self, tmp_path):
        """No file, a folder, or not UTF-8."""
        for path in (tmp_path / "none.toml", tmp_path):
            with pytest.raises(InvalidValue, match="can't be read"):
                read_mapping(path, tables=TABLES, closed={})
        (tmp_path / "m.toml").write_bytes(b'a = "\xe9"')
        with pytest.raises(InvalidValue, match="UTF-8"):
            read_mapping(tmp_path / "m.toml", tables=TABLES, closed={})
