"""
The small values: ids, times, windows, words, labels, commits, and who is the same person.
"""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.examples import START, at, window
from imcm.domain.incident_events import IncidentMitigated
from imcm.domain.vocabulary import (
    LONGEST_ID,
    LONGEST_WORDS,
    Between,
    Commit,
    Counts,
    Degree,
    Impact,
    ServiceImpact,
    Severity,
    Window,
    checked_commits,
    checked_id,
    checked_impact,
    checked_labels,
    checked_member,
    checked_moment,
    checked_services,
    checked_window,
    checked_words,
    earliest,
    folded,
    highest,
    latest,
    midpoint,
    optional_id,
    optional_moment,
    reads_as,
    required_words,
    surely_before,
)
from imcm.errors import InvalidValue, NaiveTimeError

NAIVE = START.replace(tzinfo=None)
AROUND = Between(earliest=at(-1), latest=at(1))


class NoOffset(tzinfo):
    """A zone that does not say how far it is from UTC."""

    def utcoffset(self, _):
        return None


class TestIds:
    @pytest.mark.parametrize(
        "value",
        ["INC-7", "a", "a" * LONGEST_ID, "two words", "größe", "\u00e9", "数据库", "a/b:c", "🙂"],
    )
    def test_keeps_what_can_be_an_id(self, value):
        assert value == checked_id("by", value)

    @pytest.mark.parametrize(
        ("value", "because"),
        [
            (None, "text"),
            (7, "text"),
            (b"ann", "text"),
            ("", "1 to 200"),
            ("a" * (LONGEST_ID + 1), "1 to 200"),
            (" ann", "blank"),
            ("ann\n", "blank"),
            ("\u00a0ann", "blank"),
            ("   ", "blank"),
            ("an\x00n", "control"),
            ("an\tn", "control"),
            ("an\x7fn", "control"),
            ("an\u2028n", "control"),
            ("an\ud800n", "control"),
            ("e\u0301", "NFC"),
            ("\u212b", "NFC"),
        ],
    )
    def test_refuses_what_can_not(self, value, because):
        with pytest.raises(InvalidValue, match="by: ") as refused:
            checked_id("by", value)

        assert because in refused.value.allowed

    @pytest.mark.parametrize("value", ["an\u200bn", "\u202enna", "a\u2066nn"])
    def test_refuses_what_a_screen_hides_or_reorders_and_tells_how_it_reads(self, value):
        with pytest.raises(InvalidValue, match="no invisible or reordering signs") as refused:
            checked_id("by", value)

        assert value not in str(refused.value)

    def test_shows_the_form_it_should_be_written_in(self):
        with pytest.raises(InvalidValue, match="'\u00e9'"):
            checked_id("by", "e\u0301")

    def test_none_is_no_id_but_may_be_left_out(self):
        assert optional_id("owner", None) is None
        assert optional_id("owner", "ann") == "ann"

    def test_a_long_value_is_shown_shortened(self):
        with pytest.raises(InvalidValue) as refused:
            checked_id("by", "a" * 10_000)

        assert len(str(refused.value)) < 250


class TestPeople:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("ann", "ANN"),
            ("Straße", "STRASSE"),
            ("\u00e9va", "E\u0301va"),
            ("ﬁn", "FIN"),
            ("\u0130", "i\u0307"),
            ("ana maria", "ana  maria"),
            ("ana maria", "Ana\u00a0Maria"),
            ("ana-maria", "ana\u2010maria"),
        ],
    )
    def test_one_person_under_two_spellings(self, one, other):
        assert folded(one) == folded(other)

    @pytest.mark.parametrize(("one", "other"), [("ann", "anna"), ("ann", "anñ"), ("a b", "ab")])
    def test_two_people(self, one, other):
        assert folded(one) != folded(other)

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(st.text(max_size=8))
    def test_folding_again_changes_nothing(self, person):
        assert folded(person) == folded(folded(person))

    @pytest.mark.parametrize(
        ("one", "other", "alike"),
        [
            ("lena", "l\u0435na", True),
            ("lena", "1ENA", True),
            ("lena", "\u029fena", True),
            ("bob0", "B\u043ebo", True),
            ("ali", "al\u0131", True),
            ("bill", "bi\u0049l", True),
            ("Iena", "lena", True),
            ("lena", "lana", False),
            ("lena", "léna", False),
        ],
    )
    def test_ids_that_read_alike(self, one, other, alike):
        """They are two people all the same."""
        assert alike is (reads_as(one) == reads_as(other))
        assert folded(one) != folded(other)


class TestMoments:
    def test_a_naive_time_is_refused(self):
        with pytest.raises(NaiveTimeError, match="ZoneInfo"):
            checked_moment("at", NAIVE)

    def test_a_zone_without_offset_is_naive(self):
        with pytest.raises(NaiveTimeError):
            checked_moment("at", NAIVE.replace(tzinfo=NoOffset()))

    @pytest.mark.parametrize("value", [None, 5, "2026-03-02T09:00:00Z", START.date()])
    def test_only_a_datetime_is_a_time(self, value):
        with pytest.raises(InvalidValue, match="Between"):
            checked_moment("at", value)

    def test_the_offset_that_was_given_is_kept(self):
        given_ = START.astimezone(timezone(timedelta(hours=5, minutes=30)))

        kept = checked_moment("at", given_)

        assert kept.isoformat() == "2026-03-02T14:30:00+05:30"

    def test_a_named_zone_becomes_the_offset_it_had_then(self):
        london = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/London"))

        kept = checked_moment("at", london)

        assert timezone(timedelta(hours=1)) == kept.tzinfo
        assert london == kept

    @pytest.mark.parametrize(("fold", "offset"), [(0, 1), (1, 0)])
    def test_a_repeated_hour_is_told_apart(self, fold, offset):
        twice = datetime(2026, 10, 25, 1, 30, fold=fold, tzinfo=ZoneInfo("Europe/London"))

        kept = checked_moment("at", twice)

        assert (timedelta(hours=offset), 0) == (kept.utcoffset(), kept.fold)

    @pytest.mark.parametrize("offset", [timedelta(seconds=30), timedelta(minutes=-1, seconds=-15)])
    def test_seconds_in_an_offset_are_refused(self, offset):
        with pytest.raises(InvalidValue, match="whole minutes"):
            checked_moment("at", NAIVE.replace(tzinfo=timezone(offset)))

    def test_an_uncertain_moment_is_checked_at_both_ends(self):
        assert AROUND == checked_moment("at", AROUND)
        bad = Between(earliest=START.replace(tzinfo=timezone(timedelta(seconds=1))), latest=at(9))
        with pytest.raises(InvalidValue, match=r"at\.earliest"):
            checked_moment("at", bad)

    def test_none_may_be_left_out(self):
        assert optional_moment("at", None) is None
        assert optional_moment("at", START) == START

    def test_an_event_refuses_a_naive_time_whoever_makes_it(self):
        with pytest.raises(NaiveTimeError, match="at: "):
            IncidentMitigated(at=NAIVE, by="ann")

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.datetimes(), st.integers(-14 * 60, 14 * 60))
    def test_the_instant_never_moves(self, value, minutes):
        aware = value.replace(tzinfo=timezone(timedelta(minutes=minutes)))

        assert aware == checked_moment("at", aware)


class TestBetween:
    def test_the_ends_may_be_equal(self):
        assert midpoint(Between(earliest=START, latest=START)) == START

    def test_the_latest_is_not_before_the_earliest(self):
        with pytest.raises(InvalidValue, match="latest: "):
            Between(earliest=at(1), latest=at(0))

    @pytest.mark.parametrize("name", ["earliest", "latest"])
    def test_both_ends_have_a_zone(self, name):
        with pytest.raises(NaiveTimeError, match=name):
            Between(**{"earliest": at(0), "latest": at(1), name: NAIVE})

    def test_earliest_and_latest_of_any_moment(self):
        assert (at(-1), at(1)) == (earliest(AROUND), latest(AROUND))
        assert (START, START) == (earliest(START), latest(START))

    def test_the_midpoint_stands_for_it(self):
        assert midpoint(AROUND) == START
        assert midpoint(START) == START

    def test_an_odd_width_rounds_down_to_the_microsecond(self):
        odd = Between(earliest=START, latest=START + timedelta(microseconds=3))

        assert START + timedelta(microseconds=1) == midpoint(odd)

    @pytest.mark.parametrize(
        ("one", "other", "expected"),
        [
            (at(0), at(1), True),
            (at(1), at(1), False),
            (AROUND, at(2), True),
            (AROUND, at(1), False),
            (AROUND, at(0.5), False),
            (at(-2), AROUND, True),
            (at(-1), AROUND, False),
        ],
    )
    def test_surely_before_holds_however_both_are_read(self, one, other, expected):
        assert surely_before(one, other) is expected


class TestWindows:
    def test_the_end_is_after_the_start(self):
        for end in (at(0), at(-1)):
            with pytest.raises(InvalidValue, match="end: "):
                Window(start=at(0), end=end)

    @pytest.mark.parametrize("name", ["start", "end"])
    def test_both_ends_have_a_zone(self, name):
        with pytest.raises(NaiveTimeError, match=name):
            Window(**{"start": at(0), "end": at(1), name: NAIVE})

    @pytest.mark.parametrize(
        ("other", "inside", "shared"),
        [
            (window(0, 4), True, True),
            (window(1, 3), True, True),
            (window(-1, 3), False, True),
            (window(1, 5), False, True),
            (window(4, 5), False, False),
            (window(-2, 0), False, False),
            (window(9, 10), False, False),
        ],
        ids=["equal", "within", "early", "late", "back to back", "before it", "apart"],
    )
    def test_contains_and_overlaps(self, other, inside, shared):
        whole = window(0, 4)

        assert (inside, shared) == (whole.contains(other), whole.overlaps(other))
        assert shared == other.overlaps(whole)

    def test_offsets_are_fixed(self):
        london = ZoneInfo("Europe/London")
        given_ = Window(start=at(0).astimezone(london), end=at(1).astimezone(london))

        kept = checked_window("window", given_)

        assert UTC == kept.start.tzinfo
        assert given_ == kept

    def test_none_stays_none_and_what_is_none_is_refused(self):
        assert checked_window("window", None) is None
        with pytest.raises(InvalidValue, match="window: "):
            checked_window("window", (at(0), at(1)))


class TestServicesAndLabels:
    def test_each_service_once_in_the_order_given(self):
        assert ("b", "a") == checked_services(["b", "a", "b"])
        assert ("a",) == checked_services(iter(["a"]))

    @pytest.mark.parametrize("value", ["payments", None, 5, [""], [None], b"payments"])
    def test_services_are_a_list_of_names(self, value):
        with pytest.raises(InvalidValue, match="services: "):
            checked_services(value)

    def test_labels_are_sorted_by_name_and_copied(self):
        labels = {"team": "core", "project": ""}

        kept = checked_labels(labels)

        assert [("project", ""), ("team", "core")] == list(kept.items())
        assert kept is not labels

    @pytest.mark.parametrize(
        "value", [None, "team", [("team", "core")], {"": "core"}, {3: "core"}, {" team": "x"}]
    )
    def test_labels_are_a_mapping_with_names(self, value):
        with pytest.raises(InvalidValue, match="labels: "):
            checked_labels(value)

    def test_a_label_is_text(self):
        with pytest.raises(InvalidValue, match="team"):
            checked_labels({"team": 3})


class TestWords:
    @pytest.mark.parametrize("value", ["", "a", "two\nlines\t", "x" * LONGEST_WORDS, "🙂"])
    def test_keeps_what_can_be_stored(self, value):
        assert value == checked_words("why", value)

    @pytest.mark.parametrize("value", [None, 3, b"x", "a\x00b", "\ud800", "x" * 100_001])
    def test_refuses_what_can_not(self, value):
        with pytest.raises(InvalidValue, match="why: "):
            checked_words("why", value)

    @pytest.mark.parametrize("value", ["", " ", "\n\t"])
    def test_required_words_say_something(self, value):
        with pytest.raises(InvalidValue, match="few words"):
            required_words("why", value)


class TestMembers:
    def test_the_stored_word_is_taken_too(self):
        assert checked_member("severity", "P1", Severity) is Severity.P1
        assert checked_member("severity", Severity.P1, Severity) is Severity.P1

    @pytest.mark.parametrize("value", [None, "p1", 1, [], "SEV1"])
    def test_all_allowed_words_are_named(self, value):
        with pytest.raises(InvalidValue) as refused:
            checked_member("severity", value, Severity)

        assert refused.value.allowed == "one of P1, P2, P3, P4"

    def test_highest_is_the_worst(self):
        assert highest(Severity.P3, None, Severity.P1, Severity.P2) is Severity.P1
        assert highest(None) is None
        assert highest() is None


class TestImpacts:
    @pytest.mark.parametrize("share", [0, 0.5, 1])
    def test_a_share_is_from_0_to_1(self, share):
        assert share == checked_impact("impact", Impact(share=share, customers=0)).share

    @pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
    def test_no_other_number_is_a_share(self, share):
        with pytest.raises(InvalidValue, match="share: "):
            Impact(share=share)

    def test_no_fewer_customers_than_none(self):
        with pytest.raises(InvalidValue, match="customers: "):
            Impact(customers=-1)

    def test_none_is_no_impact_and_no_mistake(self):
        assert checked_impact("impact", None) is None
        with pytest.raises(InvalidValue, match="impact: "):
            checked_impact("impact", "everyone")

    @pytest.mark.parametrize(
        "services",
        [
            (ServiceImpact(service="payments", degree="awful"),),
            (ServiceImpact(service="", degree=Degree.DOWN),),
            (ServiceImpact(service="payments", degree=Degree.DOWN),) * 2,
            "payments",
        ],
        ids=["degree", "service", "twice", "text"],
    )
    def test_each_service_once_with_its_degree(self, services):
        with pytest.raises(InvalidValue):
            checked_impact("impact", Impact(services=services))


class TestCommits:
    def test_times_get_fixed_offsets_in_the_order_given(self):
        london = ZoneInfo("Europe/London")
        first = Commit(
            id="b2",
            pull_request="PR-7",
            authored_at=at(0).astimezone(london),
            committed_at=at(1).astimezone(london),
            opened_at=at(2).astimezone(london),
            merged_at=at(3).astimezone(london),
        )

        kept = checked_commits([first, Commit(id="a1")])

        assert (first, Commit(id="a1")) == kept
        assert {UTC} == {
            kept[0].authored_at.tzinfo,
            kept[0].committed_at.tzinfo,
            kept[0].opened_at.tzinfo,
            kept[0].merged_at.tzinfo,
        }

    @pytest.mark.parametrize(
        "value",
        [
            "a1",
            None,
            [{"id": "a1"}],
            [Commit(id="")],
            [Commit(id="a1"), Commit(id="a1")],
            [Commit(id="a1", pull_request="")],
            [Commit(id="a1", merged_at=START.replace(tzinfo=timezone(timedelta(seconds=9))))],
        ],
        ids=["text", "none", "mapping", "no id", "twice", "request", "offset"],
    )
    def test_refuses_what_can_not_be_right(self, value):
        with pytest.raises(InvalidValue, match="commits"):
            checked_commits(value)

    @pytest.mark.parametrize("name", ["authored_at", "committed_at", "opened_at", "merged_at"])
    def test_a_naive_time_is_refused_when_it_is_made(self, name):
        with pytest.raises(NaiveTimeError, match=name):
            Commit(id="a1", **{name: NAIVE})


class TestCounts:
    def test_no_more_errors_than_requests(self):
        assert Counts(requests=3, errors=3).errors == 3
        for requests, errors in ((3, 4), (3, -1), (-1, -1)):
            with pytest.raises(InvalidValue, match="errors: "):
                Counts(requests=requests, errors=errors)
