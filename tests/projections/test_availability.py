"""
Outages against tables worked by hand, and what must hold for all of them.

Times are hours after `START`, a Monday at 09:00 UTC; the window is hours 0 to 100 unless said
otherwise, so that one hour is one hundredth of it.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.domain.change_events import ChangeStatus
from imcm.domain.incident_events import (
    IncidentDetected,
    IncidentMitigated,
    IncidentReopened,
    IncidentResolved,
    IncidentStatus,
)
from imcm.domain.recorded import LedgerOpened, Recorded, Unread
from imcm.domain.vocabulary import Channel, Impact, Mode, Severity
from imcm.errors import InvalidValue
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts, Spell, facts
from imcm.projections.figures.availability import (
    Availability,
    Downtime,
    Outages,
    TimeBetweenFailures,
    UserImpact,
    availability,
    cover,
    downtime,
    time_between_failures,
    user_impact,
)
from imcm.projections.figures.frequency import deployment_frequency
from projections.log import (
    HOUR,
    at,
    between,
    closed,
    declared,
    deployment,
    detected,
    dismissed,
    imported,
    incident,
    log,
    merged_into,
    mitigated,
    reopened,
    resolved,
    severity_changed,
    take,
    triaged,
)

WEEK = (at(0), at(100))
ALL = (downtime, availability, time_between_failures, user_impact)
DEFINITIONS = (Downtime, Availability, TimeBetweenFailures, UserImpact)
NEWER = Unread(type="IncidentSung", state=b"{}", why="unknown type")


def down(*pairs, **fields):
    """Return the row of one incident that was open in these stretches; None: still open."""
    spells = tuple(
        Spell(started=at(start), resolved=at(end), over=end is not None) for start, end in pairs
    )
    given = {
        "id": "INC-1",
        "status": IncidentStatus.DETECTED if pairs[-1][1] is None else IncidentStatus.RESOLVED,
        "services": ("pay",),
        "detected_at": at(pairs[0][0]),
        "spells": spells,
        **fields,
    }
    return IncidentFacts(**given)


def table(*rows, as_of=1000):
    """Return facts of these rows, each with an id of its own, and of one change besides."""
    named = [row._replace(id=f"INC-{n}") for n, row in enumerate(rows, start=1)]
    named.sort(key=lambda row: row.id)
    other = ChangeFacts(id="CHG-1", status=ChangeStatus.DRAFT, planned_at=at(0))
    return Facts(incidents=named, changes=[other], as_of=at(as_of), log_position=len(named))


def one_each(*pairs, **fields):
    return table(*(down(pair) for pair in pairs), **fields)


def hours(figure):
    return None if figure.value is None else figure.value / HOUR


def left_out(figure):
    return [(one.id, one.reason) for one in figure.left_out]


def included(figure):
    return [(one.id, one.value / HOUR) for one in figure.included]


# --- unions ---------------------------------------------------------------------------------------

TABLES = {
    # name: (incidents, hours down, outages)
    "one": ([(10, 12)], 2, 1),
    "apart": ([(10, 12), (20, 25)], 7, 2),
    "overlapping": ([(10, 14), (12, 20)], 10, 1),
    "touching": ([(10, 12), (12, 15)], 5, 1),
    "nested": ([(10, 20), (12, 14)], 10, 1),
    "the same": ([(10, 12), (10, 12)], 2, 1),
    "same start": ([(10, 12), (10, 15)], 5, 1),
    "same end": ([(10, 15), (12, 15)], 5, 1),
    "a chain": ([(10, 13), (12, 15), (14, 17), (30, 31)], 8, 2),
    "in no order": ([(20, 25), (10, 12)], 7, 2),
    "without length": ([(10, 10)], 0, 1),
    "without length inside another": ([(10, 12), (11, 11)], 2, 1),
    "without length at its edge": ([(10, 12), (12, 12)], 2, 1),
    "cut by the start": ([(-5, 3)], 3, 1),
    "cut by the end": ([(98, 130)], 2, 1),
    "longer than the window": ([(-5, 130)], 100, 1),
    "exactly the window": ([(0, 100)], 100, 1),
    "ends where it starts": ([(-5, 0)], 0, 0),
    "starts where it ends": ([(100, 105)], 0, 0),
    "outside": ([(-5, -2), (101, 110)], 0, 0),
    "without length at the start": ([(0, 0)], 0, 1),
    "without length at the end": ([(100, 100)], 0, 0),
    "still open": ([(90, None)], 10, 1),
    "still open and another": ([(90, None), (95, 97), (10, 11)], 11, 2),
    "one microsecond": ([(10, 10 + 1 / 3_600_000_000)], 1 / 3_600_000_000, 1),
    "none": ([], 0, 0),
}


@pytest.mark.parametrize(("pairs", "expected", "outages"), TABLES.values(), ids=TABLES)
def test_downtime_is_the_union_of_the_incidents_in_the_window(pairs, expected, outages):
    figure = downtime(one_each(*pairs), window=WEEK)

    assert pytest.approx(expected, abs=1e-12) == hours(figure)
    assert outages == figure.counts["outages"]
    assert (None, "seconds", WEEK) == (figure.reason, figure.unit, figure.window)


@pytest.mark.parametrize(("pairs", "expected", "outages"), TABLES.values(), ids=TABLES)
def test_availability_is_the_share_without_downtime(pairs, expected, outages):
    figure = availability(one_each(*pairs), window=WEEK)

    assert pytest.approx(1 - expected / 100, abs=1e-15) == figure.value
    assert (outages, "share") == (figure.counts["outages"], figure.unit)


@pytest.mark.parametrize(("pairs", "expected", "outages"), TABLES.values(), ids=TABLES)
def test_time_between_failures_is_time_up_by_merged_outages(pairs, expected, outages):
    figure = time_between_failures(one_each(*pairs), window=WEEK)

    if outages:
        assert pytest.approx((100 - expected) / outages) == hours(figure)
    else:
        assert (None, "no outage") == (figure.value, figure.reason)
    assert (outages, "seconds") == (figure.counts["outages"], figure.unit)


def test_a_cover_is_the_time_and_the_pieces():
    assert (0, 0) == cover([])
    assert (9, 3) == cover([(5, 8), (1, 2), (7, 9), (2, 3), (20, 20), (9, 12)])


def test_a_closed_end_of_the_window_takes_the_incident_without_length_there():
    rows = one_each((100, 100), (0, 0))

    found = {bounds: downtime(rows, window=WEEK, bounds=bounds) for bounds in ("[)", "[]", "(]")}
    assert {"[)": ["INC-2"], "[]": ["INC-1", "INC-2"], "(]": ["INC-1"]} == {
        bounds: [one.id for one in figure.included] for bounds, figure in found.items()
    }


def test_what_was_included_has_its_own_time_and_who_overlapped_adds_up_to_more():
    figure = downtime(one_each((10, 14), (12, 20), (99, 110), (200, 201)), window=WEEK)

    assert 11 == hours(figure)
    assert [("INC-3", 1), ("INC-1", 4), ("INC-2", 8)] == included(figure)
    assert 3 == figure.n
    assert () == figure.left_out


def test_without_a_window_everything_up_to_as_of_counts():
    figure = downtime(one_each((-500, -490), (10, 12), (990, None)))

    assert (22, 3, None) == (hours(figure), figure.n, figure.window)


# --- reopened and still open ----------------------------------------------------------------------


def test_every_stretch_of_a_reopened_incident_counts_by_itself():
    figure = downtime(table(down((10, 12), (20, 25))), window=WEEK)

    assert (7, 1, 2) == (hours(figure), figure.n, figure.counts["outages"])
    assert [("INC-1", 7)] == included(figure)
    assert "2 stretches" == figure.included[0].why


def test_a_reopening_told_from_before_the_resolution_counts_once():
    figure = downtime(table(down((10, 20), (15, 25))), window=WEEK)

    assert (15, 1) == (hours(figure), figure.counts["outages"])
    assert [("INC-1", 15)] == included(figure)


def test_what_is_still_open_lasts_to_as_of():
    figure = downtime(table(down((10, 12), (20, None)), as_of=50), window=WEEK)

    assert (32, 1) == (hours(figure), figure.counts["still open"])
    assert "2 stretches; still open" == figure.included[0].why


def test_a_story_with_a_reopening_counts_both_stretches_up_to_as_of():
    story = log(incident("INC-1", detected(0), resolved(2), reopened(5), triaged(6)), now=9)

    assert (6, 1, 1) == (
        hours(downtime(story)),
        downtime(story).n,
        downtime(story).counts["still open"],
    )
    assert 3 == hours(downtime(facts(story, as_of=at(6)), window=(at(0), at(6))))


def test_a_relapse_after_mitigation_goes_on_with_its_stretch():
    story = log(incident("INC-1", detected(0), mitigated(2), reopened(5), mitigated(7)), now=9)

    assert 7 == hours(downtime(story, end="mitigated"))
    assert 9 == hours(downtime(story))


# --- which moments --------------------------------------------------------------------------------

WHOLE = log(
    incident(
        "INC-1",
        detected(1, impact_started_at=at(0)),
        declared(2),
        triaged(3),
        mitigated(6),
        resolved(9),
        closed(13),
    )
)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, 8),
        ({"start": "impact_started"}, 9),
        ({"start": "declared"}, 7),
        ({"end": "mitigated"}, 5),
        ({"end": "closed"}, 12),
        ({"start": "impact_started", "end": "closed"}, 13),
        ({"start": ("impact_started", "detected"), "end": ("mitigated", "resolved")}, 6),
    ],
)
def test_downtime_runs_from_the_moment_asked_for_to_the_moment_asked_for(choices, expected):
    assert expected == hours(downtime(WHOLE, **choices))


def test_of_a_list_the_first_moment_that_is_present_counts():
    story = log(incident("INC-1", detected(1), resolved(9)))

    figure = downtime(story, start=["impact_started", "detected"], end=["mitigated", "resolved"])
    assert 8 == hours(figure)


@pytest.mark.parametrize(
    ("row", "choices", "reason"),
    [
        (down((1, 2)), {"start": "impact_started"}, "missing(impact_started)"),
        (down((1, 2)), {"start": ("declared", "impact_started")}, "missing(declared)"),
        (down((1, 2)), {"end": "mitigated"}, "missing(mitigated)"),
        (down((1, 2)), {"end": ("closed", "mitigated")}, "missing(closed)"),
        (down((1, None)), {"start": "declared"}, "missing(declared)"),
        (down((1, None), status=IncidentStatus.RESOLVED), {}, "missing(resolved)"),
        (
            down((1, None), status=IncidentStatus.MITIGATED),
            {"end": "mitigated"},
            "missing(mitigated)",
        ),
        (down((1, 2), spells=()), {}, "missing(resolved)"),
        (down((3, 2)), {}, "negative"),
        (down((1, 3), declared_at=at(4)), {"start": "declared"}, "negative"),
    ],
)
def test_what_can_not_be_told_is_left_out_with_the_reason(row, choices, reason):
    for ask in ALL:
        figure = ask(table(row), window=WEEK, **choices)
        assert (0, [("INC-1", reason)]) == (figure.n, left_out(figure))
    assert 0.0 == downtime(table(row), window=WEEK, **choices).value
    assert 1.0 == availability(table(row), window=WEEK, **choices).value


def test_an_incident_mitigated_but_not_resolved_is_still_open():
    assert 99 == hours(
        downtime(table(down((1, None), status=IncidentStatus.MITIGATED)), window=WEEK)
    )


def test_the_stretches_that_are_known_count_where_others_are_not():
    unknown_end = Spell(started=at(10), over=True)
    unknown_start = Spell(resolved=at(40), over=True)
    known = Spell(started=at(50), resolved=at(53), over=True)
    row = down((10, 53), spells=(unknown_end, unknown_start, known))

    figure = downtime(table(row), window=WEEK)
    assert (3, 1) == (hours(figure), figure.n)
    assert [("INC-1", "missing(resolved)"), ("INC-1", "missing(reopened)")] == left_out(figure)


def test_imported_history_without_moments_is_named():
    story = log(
        imported("INC-1", IncidentDetected(at=None, by="desk", title="x")),
        imported(
            "INC-2",
            IncidentDetected(at=at(1), by="desk", title="x"),
            IncidentResolved(at=None, by="desk"),
            IncidentReopened(
                at=None, by="desk", why="again", number=1, began=IncidentStatus.MITIGATING
            ),
            IncidentMitigated(at=at(5), by="desk"),
        ),
    )

    figure = downtime(story, window=WEEK)
    assert [
        ("INC-1", "missing(detected)"),
        ("INC-2", "missing(resolved)"),
        ("INC-2", "missing(reopened)"),
    ] == left_out(figure)


def test_what_is_left_out_belongs_to_the_windows_its_known_moments_lie_in():
    rows = table(
        down((10, None), status=IncidentStatus.RESOLVED),  # resolved, nobody knows when
        down((10, 130), detected_at=None),
        down((130, 50)),
        down((130, 140), detected_at=None),
        down((1, None), detected_at=None),  # no moment at all: it may belong to any
    )

    figure = downtime(rows, window=WEEK)
    assert ["INC-1", "INC-3", "INC-5"] == [one.id for one in figure.left_out]
    later = downtime(rows, window=(at(100), at(200)))
    assert ["INC-2", "INC-3", "INC-4", "INC-5"] == [one.id for one in later.left_out]
    assert 5 == len(downtime(rows).left_out)


# --- who counts -----------------------------------------------------------------------------------


def test_merged_dismissed_drills_tests_and_other_environments_are_left_out_by_name():
    story = log(
        incident("INC-1", detected(0), resolved(2)),
        incident("INC-2", detected(0), merged_into("INC-1")),
        incident("INC-3", detected(0), dismissed(1)),
        incident("INC-4", detected(0, mode=Mode.DRILL), resolved(3)),
        incident("INC-5", detected(0, mode=Mode.TEST), resolved(3)),
        incident("INC-6", detected(0, environment="staging"), resolved(3)),
        incident("INC-7", detected(9), resolved(10)),
    )
    cut = facts(story, as_of=at(8))

    for ask in ALL:
        assert [
            ("INC-2", "merged into INC-1"),
            ("INC-3", "dismissed (false_positive)"),
            ("INC-4", "is a drill"),
            ("INC-5", "is a test"),
            ("INC-6", "environment staging"),
            ("INC-7", "voided, or later than as_of"),
        ] == [one for one in left_out(ask(cut, window=WEEK)) if one[1] != "missing(customers)"]
    assert 2 == hours(downtime(cut, window=WEEK))
    assert 3 == hours(downtime(cut, window=WEEK, environments="staging"))


def test_filters_take_only_what_they_name():
    story = log(
        incident("INC-1", detected(0), triaged(0, Severity.P1), resolved(2)),
        incident("INC-2", detected(5, services=("web",)), triaged(5, Severity.P4), resolved(9)),
        incident(
            "INC-3",
            detected(20, labels={"team": "core"}),
            triaged(20, Severity.P4),
            severity_changed(21, Severity.P2),
            resolved(30),
        ),
    )

    def found(**choices):
        figure = availability(story, window=WEEK, **choices)
        assert () == figure.left_out
        return round(100 * figure.value, 9)

    assert 84 == found()
    assert 88 == found(severities=["P1", "P2"])
    assert 98 == found(severities=["P1", "P2"], severity="first")
    assert 96 == found(services="web")
    assert 90 == found(labels={"team": "core"})


# --- several services -----------------------------------------------------------------------------

SERVICES = table(
    down((10, 20), services=("pay",)),
    down((15, 30), services=("pay", "web")),
    down((25, 27), services=("web",)),
    down((50, 51), services=()),
)


def test_the_whole_is_the_union_over_all_services_and_groups_are_each_by_itself():
    figure = downtime(SERVICES, window=WEEK, group_by="service")

    assert 21 == hours(figure)
    assert {"(none)": 1, "pay": 20, "web": 15} == {g.group: hours(g) for g in figure.groups}
    shares = availability(SERVICES, window=WEEK, group_by="service").groups
    assert {"(none)": 0.99, "pay": 0.8, "web": 0.85} == {g.group: g.value for g in shares}
    between = time_between_failures(SERVICES, window=WEEK, group_by="service").groups
    assert {"(none)": 99, "pay": 80, "web": 85} == {g.group: hours(g) for g in between}


def test_the_whole_can_be_the_unweighted_mean_of_its_groups():
    figure = downtime(SERVICES, window=WEEK, group_by="service", whole="unweighted")

    assert (12, {"from the rows": 21 * HOUR}) == (hours(figure), figure.beside)


def test_services_asked_for_by_name_have_a_row_each_and_no_other_has():
    """A row of pay would be made of what it shares with web alone, and say too little."""
    figure = availability(
        SERVICES, window=WEEK, group_by="service", services=("web", "cart", "web"), bucket_by=2
    )

    assert [("cart", 1.0), ("web", 0.85)] == [(g.group, g.value) for g in figure.groups]
    assert {len(figure.buckets)} == {len(g.buckets) for g in figure.groups}
    note = "no record names the service cart; there are: pay, web"
    assert (note,) == figure.notes
    assert [(note,), ()] == [g.notes for g in figure.groups]


def test_a_service_that_only_a_change_names_is_known():
    story = log(deployment("CHG-1", 1, services=("web",)))

    assert (1.0, ()) == (
        availability(story, window=WEEK, services="web").value,
        availability(story, window=WEEK, services="web").notes,
    )


def test_other_groups_are_those_found():
    rows = table(
        down((10, 20), severity_last=Severity.P1, channel=Channel.USER),
        down((15, 30), labels={"team": "core"}),
    )

    def groups(by):
        figure = downtime(rows, window=WEEK, group_by=by, services="pay")
        return {g.group: hours(g) for g in figure.groups}

    assert {"P1": 10, "(none)": 15} == groups("severity")
    assert {"user": 10, "(none)": 15} == groups("channel")
    assert {"core": 15, "(none)": 10} == groups("label:team")


# --- periods --------------------------------------------------------------------------------------


def test_an_outage_is_shared_out_among_the_periods_it_lasts_through():
    """Days begin at midnight, 15 hours after the first hour."""
    rows = one_each((10, 20), (18, 70), (90, 90))
    figure = downtime(rows, window=WEEK, bucket_by="day")

    assert [5, 24, 24, 7, 0] == [hours(bucket) for bucket in figure.buckets]
    assert [1, 2, 1, 1, 1] == [bucket.n for bucket in figure.buckets]
    assert [1, 1, 1, 1, 1] == [bucket.counts["outages"] for bucket in figure.buckets]
    assert at(15) == figure.buckets[1].window[0]


@pytest.mark.parametrize(
    ("bounds", "counted"),
    [("[)", [0, 1, 0, 0, 0]), ("(]", [1, 0, 0, 0, 0]), ("[]", [0, 1, 0, 0, 0])],
)
def test_an_incident_without_length_at_midnight_is_in_the_period_the_bounds_say(bounds, counted):
    figure = downtime(one_each((15, 15)), window=WEEK, bucket_by="day", bounds=bounds)

    assert counted == [bucket.n for bucket in figure.buckets]


def test_empty_periods_are_present_and_fully_available():
    figure = availability(one_each((40, 41)), window=WEEK, bucket_by=1)

    assert [1, 1 - 1 / 24, 1, 1, 1] == [bucket.value for bucket in figure.buckets]


def test_a_time_between_failures_is_undefined_in_a_period_without_one():
    figure = time_between_failures(one_each((40, 41)), window=WEEK, bucket_by=1)

    assert [None, 23, None, None, None] == [hours(bucket) for bucket in figure.buckets]
    assert "no outage" == figure.buckets[0].reason


def test_groups_have_their_own_periods():
    figure = downtime(SERVICES, window=WEEK, group_by="service", bucket_by=1)

    pay = figure.groups[1]
    assert ("pay", [14, 6, 0, 0, 0]) == (pay.group, [hours(bucket) for bucket in pay.buckets])


def test_without_a_window_periods_run_from_the_first_outage_to_the_last():
    figure = downtime(one_each((10, 20), (60, None), as_of=70), bucket_by="day")

    assert [5, 5, 3, 7] == [hours(bucket) for bucket in figure.buckets]
    assert (at(10), at(15)) == figure.buckets[0].window


def test_left_out_ones_are_named_in_the_periods_of_their_moments():
    rows = table(down((40, 30)), down((1, None), detected_at=None))
    figure = downtime(rows, window=WEEK, bucket_by=1)

    assert [["INC-2"], ["INC-1", "INC-2"], ["INC-2"], ["INC-2"], ["INC-2"]] == [
        [one.id for one in bucket.left_out] for bucket in figure.buckets
    ]


@pytest.mark.parametrize(
    ("zone", "day", "hours_in_it"),
    [
        ("Europe/London", (2026, 3, 29), 23),
        ("America/New_York", (2026, 11, 1), 25),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("Asia/Kathmandu", (2026, 4, 5), 24),
    ],
)
def test_a_day_on_which_clocks_change_has_its_real_length(zone, day, hours_in_it):
    home = ZoneInfo(zone)
    start = datetime(*day, tzinfo=home)
    window = (start, start + timedelta(days=1))  # by the clock of that place
    noon = start.replace(hour=12)
    known = table(down((noon, noon + timedelta(hours=1))), as_of=9000)

    assert (hours_in_it - 1) / hours_in_it == availability(known, window=window).value
    assert hours_in_it - 1 == hours(time_between_failures(known, window=window))
    figure = downtime(table(down((-9000, 9000)), as_of=9000), window=window)
    assert hours_in_it == hours(figure)


def test_the_day_that_samoa_left_out_is_an_empty_period():
    home = ZoneInfo("Pacific/Apia")
    window = (datetime(2011, 12, 29, tzinfo=home), datetime(2012, 1, 1, tzinfo=home))
    row = down((datetime(2011, 1, 1, tzinfo=UTC), datetime(2012, 6, 1, tzinfo=UTC)))

    figure = downtime(table(row), window=window, bucket_by="day", time_zone="Pacific/Apia")
    assert 48 == hours(figure)
    assert [(24, None), (None, "the period has no length"), (24, None)] == [
        (hours(bucket), bucket.reason) for bucket in figure.buckets
    ]


# --- what was observed ----------------------------------------------------------------------------


def test_a_window_that_goes_on_after_as_of_is_measured_up_to_it():
    rows = one_each((10, 14), (30, None), as_of=40)

    assert 14 == hours(downtime(rows, window=WEEK))
    assert 0.65 == availability(rows, window=WEEK).value
    assert 13 == hours(time_between_failures(rows, window=WEEK))
    note = f"observed up to {at(40)} only; the window goes on to {at(100)}"
    for ask in ALL:
        assert note in ask(rows, window=WEEK).notes
        assert note not in ask(rows, window=(at(0), at(40))).notes


def test_periods_after_as_of_are_undefined():
    figure = availability(one_each((10, 14), as_of=30), window=WEEK, bucket_by=1)

    assert [20 / 24, 1, None, None, None] == [bucket.value for bucket in figure.buckets]
    assert "the window begins at or after as_of" == figure.buckets[2].reason


def test_a_window_that_begins_at_as_of_was_not_observed():
    rows = one_each((10, None), as_of=100)

    for ask in ALL:
        figure = ask(rows, window=(at(100), at(200)))
        assert (None, "the window begins at or after as_of") == (figure.value, figure.reason)


def test_an_incident_that_began_this_very_instant_is_counted():
    figure = downtime(one_each((100, None), as_of=100), window=(at(0), at(101)))

    assert (0, 1, 1) == (hours(figure), figure.n, figure.counts["still open"])


def test_of_an_empty_log_nothing_is_known():
    for ask in ALL:
        figure = ask([], window=WEEK, bucket_by=2)
        assert (None, "nothing was recorded", 0) == (figure.value, figure.reason, figure.n)
        assert 3 == len(figure.buckets)
    assert "nothing was recorded" == downtime([]).reason


def test_a_new_ledger_was_never_observed():
    """Its own first row has a stamp, and says nothing of any service."""
    opened = LedgerOpened(ledger_id="ours", format=1)
    own = [Recorded("ledger:self", 1, 1, at(0), "record 1", None, opened)]
    for rows in (facts(own), facts(own, as_of=at(50)), facts([], as_of=at(50))):
        for ask in ALL:
            figure = ask(rows, window=WEEK)
            assert (None, "nothing was recorded", 0) == (figure.value, figure.reason, figure.n)
        rate = deployment_frequency(rows, window=WEEK)
        assert (None, "no deployments") == (rate.value, rate.reason)


def test_a_window_of_one_instant_has_no_length():
    instant = (at(5), at(5))
    figure = downtime(one_each((4, 6)), window=instant, bounds="[]")
    assert (None, "the period has no length") == (figure.value, figure.reason)


def test_nothing_is_zero_only_where_it_is_asked_for():
    for ask in ALL:
        figure = ask([], window=WEEK, empty="zero")
        assert (0.0, None) == (figure.value, figure.reason)


def test_a_log_without_incidents_was_up_all_the_time():
    story = log(deployment("CHG-1", 5))

    assert 0.0 == downtime(story, window=WEEK).value
    assert 1.0 == availability(story, window=WEEK).value
    assert "no outage" == time_between_failures(story, window=WEEK).reason
    assert 0.0 == user_impact(story, window=WEEK).value


# --- users ----------------------------------------------------------------------------------------


def hitting(customers, *pairs, **fields):
    return down(*pairs, impact=Impact(customers=customers), **fields)


def test_user_impact_is_customers_times_time():
    figure = user_impact(table(hitting(10, (10, 12)), hitting(3, (20, 25))), window=WEEK)

    assert (35 * HOUR, "customer seconds", 2) == (figure.value, figure.unit, figure.n)
    assert [("INC-2", 15), ("INC-1", 20)] == included(figure)
    assert 7 * 3600 == figure.counts["downtime seconds"]
    assert ("downtime of all of them together: 7 h",) == figure.notes


def test_customers_of_overlapping_incidents_add_up_and_downtime_does_not():
    figure = user_impact(table(hitting(10, (10, 12)), hitting(10, (11, 13))), window=WEEK)

    assert (40, 3 * 3600) == (hours(figure), figure.counts["downtime seconds"])


def test_the_stretches_of_one_incident_count_once_each_and_are_cut_to_the_window():
    row = hitting(10, (-5, 2), (1, 3), (99, None))

    assert 40 == hours(user_impact(table(row), window=WEEK))


def test_unknown_customers_are_counted_and_not_guessed():
    rows = table(
        hitting(10, (10, 12)),
        down((20, 25)),
        down((30, 31), impact=Impact(share=0.5)),
        hitting(0, (40, 44)),
        down((-9, -8)),
    )
    figure = user_impact(rows, window=WEEK)

    assert (20, 2) == (hours(figure), figure.n)
    assert 2 == figure.counts["incidents without known customers"]
    assert 12 * 3600 == figure.counts["downtime seconds"]
    assert [("INC-2", "missing(customers)"), ("INC-3", "missing(customers)")] == left_out(figure)
    assert "a lower bound: the customers of 2 are not known" == figure.notes[-1]


def test_where_the_customers_of_none_are_known_there_is_no_number():
    figure = user_impact(table(down((20, 25)), down((30, 31))), window=WEEK)

    assert (None, "the customers of none of 2 are known") == (figure.value, figure.reason)
    assert (0, None) == (figure.n, figure.bounds)
    assert 6 * 3600 == figure.counts["downtime seconds"]


def test_the_last_number_told_counts():
    story = log(
        incident(
            "INC-1",
            detected(0),
            take("triage", 1, severity=Severity.P1, impact=Impact(customers=5)),
            take("update_impact", 2, impact=Impact(customers=8)),
            resolved(3),
        )
    )

    assert 24 == hours(user_impact(story))


def test_groups_of_user_impact_are_each_by_itself():
    rows = table(hitting(10, (10, 12), services=("pay", "web")), down((20, 25), services=("web",)))
    figure = user_impact(rows, window=WEEK, group_by="service")

    assert [("pay", 20, 0), ("web", 20, 1)] == [
        (g.group, hours(g), g.counts["incidents without known customers"]) for g in figure.groups
    ]


# --- uncertain moments ----------------------------------------------------------------------------


def test_uncertain_moments_are_placed_at_midpoints_and_bounded_by_all_readings():
    """Ends between 12 and 16: at least 2 hours, at most 6; the other incident covers 15 to 18."""
    rows = one_each((10, between(12, 16)), (15, 18))

    figure = downtime(rows, window=WEEK)
    assert (7, (5 * HOUR, 8 * HOUR), 1) == (hours(figure), figure.bounds, figure.uncertain)
    share = availability(rows, window=WEEK)
    assert (0.93, (0.92, 0.95)) == (share.value, share.bounds)
    between_ = time_between_failures(rows, window=WEEK)
    assert (46.5, None) == (hours(between_), between_.bounds)  # one outage, or two


def test_time_between_failures_has_bounds_where_the_number_of_outages_is_sure():
    figure = time_between_failures(one_each((10, between(12, 16)), (30, 32)), window=WEEK)

    assert (47, (46 * HOUR, 48 * HOUR)) == (hours(figure), figure.bounds)


@pytest.mark.parametrize(
    "pair",
    [
        (between(10, 20), between(14, 24)),  # it may not have lasted at all
        (-10, between(-4, 6)),  # it may have been over before the window
    ],
)
def test_time_between_failures_has_no_bounds_where_an_outage_is_not_sure(pair):
    rows = one_each(pair, (30, 32))

    assert time_between_failures(rows, window=WEEK).bounds is None
    low, high = downtime(rows, window=WEEK).bounds
    assert 2 * HOUR == low
    assert low < high


def test_an_outage_that_may_not_be_is_unsure_also_where_both_extremes_have_as_many():
    """Hours 15.5 to 19 are an outage of their own; the shortest reading has none, and the longest,
    11 to 24, is one with the other."""
    rows = one_each((10, 12), (between(11, 20), between(14, 24)))

    figure = time_between_failures(rows, window=WEEK)
    assert (2, None) == (figure.counts["outages"], figure.bounds)


def test_the_reading_of_both_ends_is_taken():
    figure = downtime(one_each((between(8, 12), between(14, 16))), window=WEEK)

    assert (5, (2 * HOUR, 8 * HOUR)) == (hours(figure), figure.bounds)


def test_no_reading_lasts_beyond_the_window_or_as_of():
    rows = one_each((between(-4, 2), 5), (between(30, 60), None), as_of=50)

    figure = downtime(rows, window=WEEK)
    assert (5 + 1 + 5 - 1, (3 * HOUR, 25 * HOUR)) == (hours(figure), figure.bounds)


def test_customer_time_has_bounds_too():
    rows = table(hitting(10, (10, between(12, 16))), hitting(2, (50, 51)), down((60, 62)))

    figure = user_impact(rows, window=WEEK)
    assert (42, (22 * HOUR, 62 * HOUR)) == (hours(figure), figure.bounds)


def test_uncertain_customers_of_nobody_have_no_bounds():
    figure = user_impact(table(down((10, between(12, 16)))), window=WEEK)

    assert (None, None, 1) == (figure.value, figure.bounds, figure.uncertain)


def test_exact_moments_have_no_bounds():
    for ask in ALL:
        assert ask(one_each((10, 12)), window=WEEK).bounds is None


# --- definitions and explanation ------------------------------------------------------------------


@pytest.mark.parametrize("ask", [availability, time_between_failures])
def test_a_figure_of_a_window_needs_one(ask):
    with pytest.raises(InvalidValue) as caught:
        ask(one_each((10, 12)))

    assert "window" == caught.value.name


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize(
    ("name", "value"),
    [("start", "mitigated"), ("start", ()), ("end", "detected"), ("end", []), ("bounds", "||")],
)
def test_moments_that_can_not_start_or_end_an_outage_are_refused(definition, name, value):
    with pytest.raises(InvalidValue) as caught:
        definition(window=WEEK, **{name: value})

    assert name == caught.value.name


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_definitions_are_written_and_read_back(definition):
    made = definition(window=WEEK, start=["impact_started", "detected"], end="mitigated")

    assert made == definition.from_json(made.to_json())
    assert definition.NAME == made.as_dict()["figure"]
    assert isinstance(made, Outages)


def test_every_figure_explains_itself():
    rows = table(
        hitting(10, (10, between(12, 16))), hitting(1, (20, 21)), down((5, 3), positions=(7,))
    )
    for ask, definition in zip(ALL, DEFINITIONS, strict=True):
        figure = ask(rows, window=WEEK, group_by="service", bucket_by=2)
        text = figure.explain()
        assert definition.NAME == figure.name
        for words in (definition.NAME, "negative", "outages: 2", 'end = ["resolved"]', "window:"):
            assert words in text
        assert (7,) == figure.left_out[0].positions
        plain = figure.as_dict()
        assert [figure.value, 1, 3] == [plain["value"], len(plain["groups"]), len(plain["buckets"])]


def test_a_figure_says_what_it_was_computed_from():
    story = log(incident("INC-1", detected(0), resolved(2)), ("incident:INC-1", (NEWER,)))

    figure = downtime(story)
    assert (3, at(10_000), None) == (figure.log_position, figure.as_of, figure.known_at)
    assert ((1, 2),) == tuple(one.positions for one in figure.included)
    assert ("events of a newer version were not read: 1 IncidentSung",) == figure.notes


# --- what must always hold ------------------------------------------------------------------------

EDGES = st.integers(-20, 120).map(lambda n: n / 4) | st.integers(-40, 140)
ENDS = EDGES | st.builds(lambda a, b: between(min(a, b), max(a, b)), EDGES, EDGES)


@st.composite
def rows(draw):
    start, end = draw(ENDS), draw(ENDS)
    fields = {
        "services": tuple(draw(st.lists(st.sampled_from("abc"), max_size=3, unique=True))),
        "impact": draw(st.none() | st.integers(0, 9).map(lambda n: Impact(customers=n))),
    }
    return down((start, draw(st.sampled_from([end, end, end, None]))), **fields)


LOGS = st.lists(rows(), max_size=8)
UP_TO = st.sampled_from([60, 90, 1000])


@settings(max_examples=60, deadline=None)
@given(LOGS, UP_TO)
def test_a_union_is_at_least_its_longest_and_at_most_the_sum(members, as_of):
    figure = downtime(table(*members, as_of=as_of), window=WEEK)

    own = [one.value for one in figure.included]
    assert max(own, default=0) <= figure.value <= sum(own) + 1e-6
    assert figure.value <= min(as_of, 100) * HOUR
    assert figure.counts["outages"] <= figure.n
    if figure.bounds is not None:
        assert figure.bounds[0] <= figure.value <= figure.bounds[1]


@settings(max_examples=40, deadline=None)
@given(LOGS, UP_TO, st.integers(1, 99))
def test_splitting_the_window_adds_up(members, as_of, cut):
    known = table(*members, as_of=as_of)
    for ask in (downtime, user_impact):
        whole = ask(known, window=WEEK, empty="zero").value
        first = ask(known, window=(at(0), at(cut)), empty="zero").value
        second = ask(known, window=(at(cut), at(100)), empty="zero").value
        assert pytest.approx(whole, abs=1e-6) == first + second
    parts = downtime(known, window=WEEK, bucket_by="day").buckets
    whole = downtime(known, window=WEEK).value
    assert pytest.approx(whole, abs=1e-6) == sum(part.value or 0 for part in parts)


@settings(max_examples=25, deadline=None)
@given(LOGS, st.randoms(use_true_random=False))
def test_the_order_of_incidents_never_matters(members, random):
    shuffled = list(members)
    random.shuffle(shuffled)
    for ask in ALL:
        choices = {"window": WEEK, "group_by": "service", "bucket_by": 1}
        one, two = (ask(table(*rows), **choices) for rows in (members, shuffled))
        assert one.as_dict() == two.as_dict()


@settings(max_examples=40, deadline=None)
@given(LOGS, UP_TO)
def test_the_three_figures_agree_with_each_other(members, as_of):
    known = table(*members, as_of=as_of)
    down_, up, apart = (
        ask(known, window=WEEK) for ask in (downtime, availability, time_between_failures)
    )

    length = min(as_of, 100) * HOUR
    assert pytest.approx(1 - down_.value / length) == up.value
    if apart.value is not None:
        assert pytest.approx(length - down_.value) == apart.value * apart.counts["outages"]
    assert (apart.value is None) == (down_.counts["outages"] == 0)
    for figure in (up, apart):
        if figure.bounds is not None:
            assert figure.bounds[0] <= figure.value <= figure.bounds[1]


@settings(max_examples=60, deadline=None)
@given(LOGS)
def test_a_service_is_never_down_longer_than_all_together(members):
    figure = downtime(table(*members), window=WEEK, group_by="service")

    each = [group.value for group in figure.groups]
    assert max(each, default=0) <= figure.value <= sum(each) + 1e-6


def test_an_outage_that_ended_up_to_a_minute_before_it_began_lasted_no_time():
    rows = table(down((10, 10 - 60 / HOUR)), down((10, 10 - 61 / HOUR)), down((20, 30)))
    figure = downtime(rows, window=WEEK)
    assert (10 * HOUR, 2, [("INC-2", "negative")]) == (figure.value, figure.n, left_out(figure))
    assert ("1 ends up to 60 s before the start, and counts as 0",) == figure.notes
    part = downtime(rows, window=(at(15), at(40)))
    assert () == part.notes


def test_a_window_that_begins_before_the_log_says_so():
    """Availability of a month before the log began is no measurement."""
    story = log(incident("INC-1", detected(30), resolved(40)), incident("INC-2", detected(50)))
    told = f"before the first moment of the log, {at(30)}"

    before = availability(story, window=WEEK, bucket_by="day").buckets[0]
    (note,) = before.notes
    assert told in note
    assert "see observed_from" in note
    assert 1 == len(availability(story, window=WEEK).notes)
    later = availability(facts(story, as_of=at(100)), window=(at(30), at(60)))
    assert (1 / 3, ()) == (later.value, later.notes)


def test_nothing_is_said_of_time_before_the_log_was_kept():
    rows = table(down((10, 30)), down((60, 70)))
    figure = availability(rows, window=WEEK, observed_from=at(20), bucket_by=2)
    assert (0.75, (f"observed from {at(20)} only; the window begins {at(0)}",)) == (
        figure.value,
        figure.notes,
    )
    assert [18 / 28, 38 / 48] == [bucket.value for bucket in figure.buckets[:2]]
    assert 20 * HOUR == downtime(rows, window=WEEK, observed_from=at(20).isoformat()).value
    assert 20 * HOUR == downtime(rows, observed_from=at(20)).value
    gone = availability(rows, window=(at(0), at(20)), observed_from=at(20))
    assert (None, f"not observed before {at(20)}") == (gone.value, gone.reason)
    assert () == availability(rows, window=WEEK, observed_from=at(0)).notes
    with pytest.raises(InvalidValue, match="observed_from"):
        Availability(window=WEEK, observed_from="2026-03-01T10:00")
