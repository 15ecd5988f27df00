"""Durations of incidents, against worked examples. Times are hours after `START`."""

from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from imcm.domain.change_events import ChangePlanned
from imcm.domain.incident_events import (
    IncidentAcknowledged,
    IncidentClosed,
    IncidentDetected,
    IncidentHeld,
    IncidentMitigated,
    IncidentReopened,
    IncidentResolved,
    IncidentStatus,
    IncidentTriaged,
)
from imcm.domain.recorded import Unread
from imcm.domain.vocabulary import (
    Between,
    ChangeType,
    Channel,
    HoldReason,
    Mode,
    Severity,
    StatedDuration,
)
from imcm.errors import InvalidValue
from imcm.projections.facts.fold import facts
from imcm.projections.figures.clock import BusinessHours
from imcm.projections.figures.restore import (
    MILESTONES,
    STARTS,
    TimeToRestore,
    mean_time_to_restore,
    time_to_acknowledge,
    time_to_detect,
    time_to_mitigate,
    time_to_repair,
    time_to_restore,
)
from projections.log import (
    HOUR,
    START,
    acknowledged,
    at,
    between,
    caused_by,
    closed,
    corrected,
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
    seconds,
    severity_changed,
    stated,
    take,
    triaged,
    unmerged,
    voided,
)

PENDING = {"pending": 1}
NEWER = Unread(type="IncidentSung", state=b"{}", why="unknown type")
KAPLAN_MEIER = "Kaplan-Meier median, open ones censored"
RESTRICTED = "restricted mean up to the longest, open ones censored"


def lasting(*hours):
    """Return one incident for each duration: all detected at START, resolved so much later."""
    stories = (incident(f"INC-{n}", detected(0), resolved(h)) for n, h in enumerate(hours, start=1))
    return log(*stories, now=1000)


def counted(figure):
    """Return who was counted, with hours."""
    return [(one.id, one.value / HOUR) for one in figure.included]


def left_out(figure):
    return [(one.id, one.reason) for one in figure.left_out]


# --- from one moment to another -------------------------------------------------------------------

MOMENTS = {
    "cause_deployed": -1,
    "cause_deployed_or_detected": -1,  # the earlier of -1 and 1
    "impact_started": 0,
    "detected": 1,
    "declared": 2,
    "acknowledged": 3,
    "triaged": 4,
    "mitigated": 6,
    "resolved": 9,
    "closed": 13,
}

WHOLE_STORY = log(
    incident(
        "INC-1",
        detected(1, impact_started_at=at(0)),
        declared(2),
        acknowledged(3),
        triaged(4),
        mitigated(6),
        caused_by("CHG-1", 7),
        resolved(9),
        closed(13),
    ),
    deployment("CHG-1", -1),
)


@pytest.mark.parametrize(
    ("start", "end"), [pair for pair in product(STARTS, MILESTONES) if pair[0] != pair[1]]
)
def test_every_pair_of_moments_is_the_time_from_one_to_the_other(start, end):
    figure = time_to_restore(WHOLE_STORY, start=start, end=end)

    hours = MOMENTS[end] - MOMENTS[start]
    if hours < 0:
        assert (None, 0, {"negative": 1}) == (figure.value, figure.n, figure.why_left_out())
    else:
        assert (seconds(hours), 1, {}) == (figure.value, figure.n, figure.why_left_out())


@pytest.mark.parametrize(
    ("function", "name", "hours"),
    [
        (time_to_detect, "time to detect", 1),  # 0 to 1
        (time_to_acknowledge, "time to acknowledge", 2),  # 1 to 3
        (time_to_mitigate, "time to mitigate", 5),  # 1 to 6
        (time_to_restore, "time to restore", 8),  # 1 to 9
        (mean_time_to_restore, "mean time to restore", 8),
    ],
)
def test_each_named_duration_has_its_own_default_moments(function, name, hours):
    figure = function(WHOLE_STORY)

    assert (name, seconds(hours), "seconds") == (figure.name, figure.value, figure.unit)


def test_of_a_list_of_moments_the_first_present_counts():
    story = log(incident("INC-1", detected(0), mitigated(2), resolved(5)))

    assert seconds(2) == time_to_restore(story, end=("closed", "mitigated", "resolved")).value
    assert seconds(5) == time_to_restore(story, start=("impact_started", "detected")).value


def test_a_list_of_ends_may_hold_an_acknowledgement_beside_a_mitigation():
    story = log(incident("INC-1", detected(0), acknowledged(2)), now=24)

    assert seconds(2) == time_to_restore(story, end=("mitigated", "acknowledged")).value
    assert [("INC-1", "pending")] == left_out(time_to_restore(story, end=("closed", "triaged")))


@pytest.mark.parametrize(
    ("acknowledged_at", "rule", "hours"),
    [
        (2, "each", [2.0, 3.0]),  # 0 to 2 and 10 to 13
        (12, "each", [5.0, 2.0]),  # 0 to 5 and 10 to 12
        (2, "open_time", [5.0]),
        (12, "last", [12.0]),
        (12, "first", [5.0]),
    ],
)
def test_what_comes_only_once_ends_the_spell_in_which_it_came(acknowledged_at, rule, hours):
    """Acknowledged, else resolved: spells from 0 to 5 and from 10 to 13."""
    steps = [detected(0), resolved(5), reopened(10), resolved(13)]
    steps.insert(1 if acknowledged_at < 5 else 3, acknowledged(acknowledged_at))

    figure = time_to_restore(
        log(incident("INC-1", *steps)), end=("acknowledged", "resolved"), reopened=rule
    )

    assert sorted(hours) == [value for _, value in counted(figure)]


def test_the_earliest_deployment_of_several_causes_counts():
    story = log(
        incident("INC-1", detected(5), caused_by("CHG-2", 6), caused_by("CHG-1", 6), resolved(8)),
        deployment("CHG-1", 2),
        deployment("CHG-2", 4),
    )

    assert seconds(6) == time_to_restore(story, start="cause_deployed").value  # 2 to 8


def test_a_cause_that_was_never_deployed_gives_no_start():
    story = log(
        incident("INC-1", detected(5), caused_by("CHG-1", 6), resolved(8)),
        ("change:CHG-1", (ChangePlanned(at=at(1), by="cia", type=ChangeType.NORMAL),)),
    )

    figure = time_to_restore(story, start="cause_deployed")

    assert [("INC-1", "missing(cause_deployed)")] == left_out(figure)
    both = time_to_restore(story, start="cause_deployed_or_detected")
    assert seconds(3) == both.value  # detection, 5 to 8


def test_the_earlier_of_cause_and_detection_may_be_the_detection():
    story = log(
        incident("INC-1", detected(5), caused_by("CHG-1", 6), resolved(8)), deployment("CHG-1", 7)
    )

    assert seconds(3) == time_to_restore(story, start="cause_deployed_or_detected").value


def test_a_merged_incident_hands_its_cause_to_the_target():
    story = log(
        incident("INC-1", detected(4), resolved(8)),
        incident("INC-2", detected(5), caused_by("CHG-1", 6), merged_into("INC-1", 6)),
        deployment("CHG-1", 1),
    )

    figure = time_to_restore(story, start="cause_deployed")

    assert [("INC-1", 7.0)] == counted(figure)  # 1 to 8
    assert [("INC-2", "merged into INC-1")] == left_out(figure)


# --- statistics -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statistic", "hours"),
    [
        ("median", 3.0),  # halfway between 2 and 4
        ("median_low", 2.0),
        ("mean", 4.0),  # 16 / 4
        ("p90", 7.5),  # place 0.9 * 3 = 2.7: 4 + 0.7 * (9 - 4)
        ("p95", 8.25),  # place 2.85: 4 + 0.85 * 5
        ("max", 9.0),
        ("sum", 16.0),
    ],
)
def test_each_statistic_of_1_2_4_and_9_hours(statistic, hours):
    figure = time_to_restore(lasting(4, 1, 9, 2), statistic=statistic)

    assert (seconds(hours), 4) == (figure.value, figure.n)


def test_the_geometric_mean_is_the_root_of_the_product():
    figure = time_to_restore(lasting(1, 4, 2, 2), statistic="geometric_mean")

    # (1 * 4 * 2 * 2) ** (1 / 4) = 16 ** (1 / 4) = 2
    assert pytest.approx(seconds(2)) == figure.value


def test_the_median_of_an_odd_count_is_the_middle_one():
    assert seconds(2) == time_to_restore(lasting(9, 2, 1)).value


def test_the_other_statistics_stand_beside_the_chosen_one():
    figure = time_to_restore(lasting(4, 1, 9, 2), statistic="mean")

    expected = {
        "median": seconds(3),
        "p90": seconds(7.5),
        "p95": seconds(8.25),
        "max": seconds(9),
        KAPLAN_MEIER: seconds(2),  # nobody is censored: half are over at the second
        RESTRICTED: seconds(4),  # the plain mean
    }
    assert expected == pytest.approx(figure.beside)


@pytest.mark.parametrize(
    ("hours", "level", "bounds"),
    [
        ((1, 2, 3, 4, 5, 6), 0.95, (1, 6)),  # 1 - 2 / 2**6 = 0.969
        ((1, 2, 3, 4, 5), 0.95, (None, None)),  # 1 - 2 / 2**5 = 0.938
        ((1, 2, 3, 4, 5), 0.9, (1, 5)),
    ],
)
def test_the_interval_of_the_median_is_exact(hours, level, bounds):
    figure = time_to_restore(lasting(*hours), level=level)

    expected = tuple(None if b is None else seconds(b) for b in bounds)
    assert expected == (figure.interval.low, figure.interval.high)
    assert level == figure.interval.level


def test_the_interval_of_the_mean_is_students():
    figure = mean_time_to_restore(lasting(21, 23))

    # mean 22, s = sqrt(2), s / sqrt(n) = 1; t(0.95, 1) = 12.7062
    assert pytest.approx(seconds(22 - 12.7062), rel=1e-5) == figure.interval.low
    assert pytest.approx(seconds(22 + 12.7062), rel=1e-5) == figure.interval.high


def test_the_interval_of_the_mean_ends_at_no_time():
    figure = mean_time_to_restore(lasting(1, 3))

    assert figure.interval.low == 0
    assert pytest.approx(seconds(2 + 12.7062), rel=1e-5) == figure.interval.high


@pytest.mark.parametrize("statistic", ["p90", "p95"])
def test_a_high_percentile_has_a_lower_bound_before_it_has_an_upper_one(statistic):
    figure = time_to_restore(lasting(1, 2), statistic=statistic)

    # Neither of two values lies below the 90th (95th) percentile with 0.1**2 = 0.01 (0.0025),
    # under the 0.025 of one side; both do with 0.81 (0.9025), far above it.
    assert (seconds(1), None) == (figure.interval.low, figure.interval.high)


@pytest.mark.parametrize("statistic", ["max", "sum", "geometric_mean"])
def test_a_statistic_without_a_known_interval_has_none(statistic):
    assert time_to_restore(lasting(1, 2, 3), statistic=statistic).interval is None


# --- reopened -------------------------------------------------------------------------------------

TWICE_REOPENED = (
    detected(0),
    resolved(2),
    reopened(5),
    resolved(6),
    reopened(10),
)

RULES = {
    "last": [13.0],  # 0 to 13
    "first": [2.0],  # 0 to 2
    "open_time": [6.0],  # 2 + 1 + 3
    "each": [1.0, 2.0, 3.0],
}


@pytest.mark.parametrize("rule", RULES)
def test_what_a_reopened_incident_counts_is_a_choice(rule):
    figure = time_to_restore(log(incident("INC-1", *TWICE_REOPENED, resolved(13))), reopened=rule)

    assert RULES[rule] == [hours for _, hours in counted(figure)]
    assert () == figure.left_out


@pytest.mark.parametrize(
    ("rule", "hours", "why", "longest"),
    [
        ("last", [], PENDING, 24.0),  # 0 to 24
        ("first", [2.0], {}, 2.0),
        ("open_time", [], PENDING, 17.0),  # 2 + 1 + 14
    ],
)
def test_an_incident_reopened_and_still_open_is_censored(rule, hours, why, longest):
    figure = time_to_restore(log(incident("INC-1", *TWICE_REOPENED), now=24), reopened=rule)

    assert hours == [value for _, value in counted(figure)]
    assert why == figure.why_left_out()
    assert seconds(longest) == figure.beside[RESTRICTED]  # a single row: all of it


def test_of_each_spell_the_ended_ones_count_and_the_last_is_pending():
    figure = time_to_restore(log(incident("INC-1", *TWICE_REOPENED), now=24), reopened="each")

    assert [1.0, 2.0] == [value for _, value in counted(figure)]
    assert PENDING == figure.why_left_out()


def test_of_each_spell_the_open_one_lasted_from_its_own_start():
    figure = time_to_restore(log(incident("INC-1", *TWICE_REOPENED), now=24), reopened="each")

    # 1 and 2 ended, 14 (10 to 24) censored: 1 + 2/3 * 1 + 1/3 * 12
    assert pytest.approx(seconds(1 + 2 / 3 + 4)) == figure.beside[RESTRICTED]


@pytest.mark.parametrize(
    ("rule", "hours"), [("last", [7.0]), ("first", [1.0]), ("open_time", [3.0]), ("each", [1, 2])]
)
def test_mitigations_are_counted_by_spell(rule, hours):
    """Spells 0 to 2 and 5 to 9, mitigated at 1 and at 7."""
    story = (detected(0), mitigated(1), resolved(2), reopened(5), mitigated(7), resolved(9))

    figure = time_to_mitigate(log(incident("INC-1", *story)), reopened=rule)

    assert hours == [value for _, value in counted(figure)]


@pytest.mark.parametrize(
    ("rule", "hours"), [("last", [8.0]), ("first", [3.0]), ("open_time", [6.0]), ("each", [3, 3])]
)
def test_closes_are_counted_by_spell(rule, hours):
    """Spells from 0 and from 5, closed at 3 and at 8."""
    first = (detected(0), triaged(1), resolved(2), closed(3))

    figure = time_to_restore(
        log(incident("INC-1", *first, reopened(5), resolved(6), closed(8))),
        end="closed",
        reopened=rule,
    )

    assert hours == [value for _, value in counted(figure)]


def test_a_relapse_is_no_new_spell_and_the_last_mitigation_counts():
    story = log(incident("INC-1", detected(0), mitigated(1), reopened(2), mitigated(4)), now=24)

    for rule in RULES:
        assert [("INC-1", 4.0)] == counted(time_to_mitigate(story, reopened=rule))


def test_a_relapse_that_lasts_is_pending():
    story = log(incident("INC-1", detected(0), mitigated(1), reopened(2)), now=24)

    assert [("INC-1", "pending")] == left_out(time_to_mitigate(story))


def closed_unresolved(*more):
    """An import that closes at 3 without a resolution, and goes on at 5."""
    return imported(
        "INC-1",
        IncidentDetected(at=at(0), by="desk", services=("pay",)),
        IncidentClosed(at=at(3), by="desk"),
        IncidentReopened(at=at(5), by="desk", began=IncidentStatus.CLOSED),
        *more,
    )


@pytest.mark.parametrize(
    ("rule", "hours", "why"),
    [
        ("last", [6.0], {}),
        ("first", [], {"missing(resolved)": 1}),
        ("open_time", [], {"missing(resolved)": 1}),
        ("each", [1.0], {"missing(resolved)": 1}),  # 5 to 6; the first stretch is named
    ],
)
def test_a_spell_without_its_end_is_missing_only_where_it_counts(rule, hours, why):
    story = log(closed_unresolved(IncidentResolved(at=at(6), by="desk")))

    figure = time_to_restore(story, reopened=rule)

    assert (hours, why) == ([value for _, value in counted(figure)], figure.why_left_out())


def test_the_first_end_is_missing_though_a_later_spell_is_open():
    figure = time_to_restore(log(closed_unresolved(), now=24), reopened="first")

    assert {"missing(resolved)": 1} == figure.why_left_out()


@pytest.mark.parametrize("rule", ["each", "open_time"])
def test_a_spell_without_its_end_is_named_while_a_later_one_is_open(rule):
    figure = time_to_restore(log(closed_unresolved(), now=24), reopened=rule)

    assert "missing(resolved)" in figure.why_left_out()


@pytest.mark.parametrize("rule", ["each", "open_time"])
def test_a_spell_that_began_nobody_knows_when_is_missing(rule):
    story = imported(
        "INC-1",
        IncidentDetected(at=at(0), by="desk"),
        IncidentResolved(at=at(2), by="desk"),
        IncidentReopened(at=None, by="desk", began=IncidentStatus.RESOLVED),
    )

    figure = time_to_restore(log(story, now=24), reopened=rule)

    hours = [2.0] if rule == "each" else []
    assert hours == [value for _, value in counted(figure)]
    assert {"missing(resolved)": 1} == figure.why_left_out()


def test_resolved_then_dismissed_then_reopened_is_open():
    story = incident("INC-1", detected(0), resolved(1), dismissed(2), reopened(3))

    figure = time_to_restore(log(story, now=24))

    assert (0, PENDING) == (figure.n, figure.why_left_out())


# --- what is missing ------------------------------------------------------------------------------

ACKNOWLEDGEMENTS = log(
    incident("INC-1", detected(0), acknowledged(0.5), resolved(2)),
    incident("INC-2", detected(0), resolved(3)),
    incident("INC-3", detected(0)),
    now=24,
)


@pytest.mark.parametrize(
    ("rule", "hours", "why", "restricted"),
    [
        # 0.5 ended, 24 open: 0.5 + 1/2 * 23.5
        ("leave_out", [0.5], {"missing(acknowledged)": 1, "pending": 1}, 12.25),
        # 0.5 and 3 ended, 24 open: 0.5 + 2/3 * 2.5 + 1/3 * 21
        ("resolution_counts", [0.5, 3.0], PENDING, 0.5 + 5 / 3 + 7),
    ],
)
def test_never_acknowledged_is_a_choice(rule, hours, why, restricted):
    figure = time_to_acknowledge(ACKNOWLEDGEMENTS, missing=rule)

    assert hours == [value for _, value in counted(figure)]
    assert why == figure.why_left_out()
    assert pytest.approx(seconds(restricted)) == figure.beside[RESTRICTED]


def test_never_acknowledged_can_be_censored_at_its_end():
    figure = time_to_acknowledge(ACKNOWLEDGEMENTS, missing="censor")

    assert [("INC-1", 0.5)] == counted(figure)
    # 0.5 ended, 3 and 24 censored: S stays at 2/3, so no median; 0.5 + 2/3 * 23.5
    assert figure.beside[KAPLAN_MEIER] is None
    assert pytest.approx(seconds(0.5 + 47 / 3)) == figure.beside[RESTRICTED]
    assert ["INC-2", "INC-3"] == [one.id for one in figure.left_out]


def test_what_was_over_in_march_is_not_pending_in_april():
    april = (datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC))
    story = log(incident("INC-1", detected(0), resolved(3)))

    assert () == time_to_acknowledge(story, missing="censor", window=april).left_out


def test_what_was_censored_at_its_end_is_missing_and_placed_by_it():
    story = log(incident("INC-1", detected(0), resolved(3)))

    figure = time_to_acknowledge(story, missing="censor", window=(at(2), at(4)))

    assert [("INC-1", "missing(acknowledged)")] == left_out(figure)
    assert (None, "all are censored") == (figure.value, figure.reason)
    assert [("INC-1", 3 * HOUR)] == [(one.id, one.value) for one in figure.censored]
    assert () == time_to_acknowledge(story, missing="censor", window=(at(0), at(2))).left_out
    begun = {"missing": "censor", "in_window": "start"}
    assert 1 == len(time_to_acknowledge(story, **begun, window=(at(0), at(2))).left_out)
    assert () == time_to_acknowledge(story, **begun, window=(at(2), at(4))).left_out


def test_an_open_incident_mitigated_at_an_unknown_time_is_missing_it_and_not_pending():
    story = imported(
        "INC-1", IncidentDetected(at=at(0), by="desk"), IncidentMitigated(at=None, by="desk")
    )

    assert [("INC-1", "missing(mitigated)")] == left_out(time_to_mitigate(log(story)))
    assert [("INC-1", "pending")] == left_out(time_to_restore(log(story)))


def test_one_negative_stretch_is_not_made_up_for_by_another():
    story = imported(
        "INC-1",
        IncidentDetected(at=at(3), by="desk"),
        IncidentResolved(at=at(2), by="desk"),
        IncidentReopened(at=at(4), by="desk", began=IncidentStatus.RESOLVED),
        IncidentResolved(at=at(9), by="desk"),
    )

    figure = time_to_restore(log(story), reopened="open_time")

    assert [("INC-1", "negative")] == left_out(figure)


def test_a_spell_that_ended_and_began_nobody_knows_when_is_missing_its_reopening():
    story = imported(
        "INC-1",
        IncidentDetected(at=at(0), by="desk"),
        IncidentResolved(at=at(2), by="desk"),
        IncidentReopened(at=None, by="desk", began=IncidentStatus.RESOLVED),
        IncidentResolved(at=at(9), by="desk"),
    )

    figure = time_to_restore(log(story), reopened="each")

    assert [("INC-1", 2.0)] == counted(figure)
    assert [("INC-1", "missing(reopened)")] == left_out(figure)


def test_a_close_stands_in_for_a_resolution_nobody_recorded():
    story = imported(
        "INC-1",
        IncidentDetected(at=at(0), by="desk"),
        IncidentClosed(at=at(4), by="desk"),
    )

    assert seconds(4) == time_to_acknowledge(log(story), missing="resolution_counts").value
    nothing_over = imported(
        "INC-1", IncidentDetected(at=at(0), by="desk"), IncidentResolved(at=None, by="desk")
    )
    for rule in ("resolution_counts", "censor"):
        figure = time_to_acknowledge(log(nothing_over), missing=rule)
        assert [("INC-1", "missing(acknowledged)")] == left_out(figure)


def test_an_unknown_start_is_left_out_and_counted():
    story = log(
        incident("INC-1", detected(1, impact_started_at=at(0)), resolved(2)),
        incident("INC-2", detected(1), resolved(2)),
    )

    figure = time_to_detect(story)

    assert [("INC-1", 1.0)] == counted(figure)
    assert [("INC-2", "missing(impact_started)")] == left_out(figure)


def test_a_negative_duration_is_left_out_and_named():
    story = imported(
        "INC-1", IncidentDetected(at=at(5), by="desk"), IncidentResolved(at=at(2), by="desk")
    )

    figure = time_to_restore(log(story))

    assert (None, 0) == (figure.value, figure.n)
    assert "nothing to count, 1 left out: 1 negative" == figure.reason
    assert [("INC-1", "negative")] == left_out(figure)


def test_a_closed_incident_without_resolution_is_missing_it():
    story = imported(
        "INC-1", IncidentDetected(at=at(5), by="desk"), IncidentClosed(at=at(9), by="desk")
    )

    assert [("INC-1", "missing(resolved)")] == left_out(time_to_restore(log(story)))


def test_what_has_no_end_is_placed_by_its_start():
    story = imported(
        "INC-1", IncidentDetected(at=at(5), by="desk"), IncidentClosed(at=at(9), by="desk")
    )

    assert 1 == len(time_to_restore(log(story), window=(at(0), at(6))).left_out)
    assert 0 == len(time_to_restore(log(story), window=(at(6), at(24))).left_out)


def test_an_incident_without_any_known_moment_is_named_in_every_window():
    story = imported(
        "INC-1", IncidentDetected(at=None, by="desk"), IncidentResolved(at=None, by="desk")
    )

    figure = time_to_restore(log(story), window=(at(0), at(24)))

    assert [("INC-1", "missing(detected)")] == left_out(figure)


def test_an_open_incident_triaged_at_an_unknown_time_is_missing_it_and_not_pending():
    story = imported(
        "INC-1",
        IncidentDetected(at=at(0), by="desk"),
        IncidentTriaged(at=None, by="desk", severity=Severity.P2),
    )

    assert [("INC-1", "missing(triaged)")] == left_out(time_to_restore(log(story), end="triaged"))


def test_without_values_it_is_undefined_unless_told_to_be_zero():
    for nothing in (log(), lasting()):
        assert (None, "nothing to count") == (
            time_to_restore(nothing).value,
            time_to_restore(nothing).reason,
        )
    zero = time_to_restore(log(), empty="zero")
    assert (0.0, None, 0) == (zero.value, zero.reason, zero.n)


TWICE = log(
    incident(
        "INC-1",
        detected(0),
        acknowledged(1),
        triaged(1),
        mitigated(2),
        resolved(5),
        reopened(6),
        mitigated(10),
        resolved(11),
    )
)


@pytest.mark.parametrize(
    ("given_", "hours_"),
    [
        ({"start": "mitigated"}, [9]),
        ({"start": "mitigated", "reopened": "first"}, [3]),
        ({"start": "mitigated", "reopened": "each"}, [1, 3]),
        ({"start": "mitigated", "reopened": "open_time"}, [4]),
        ({"start": ["mitigated", "detected"], "reopened": "each"}, [1, 3]),
        ({"start": "acknowledged", "reopened": "each"}, [4, 5]),
        ({"start": "mitigated", "end": "closed"}, []),
    ],
)
def test_a_duration_may_start_with_what_can_come_again(given_, hours_):
    figure = time_to_restore(TWICE, **given_)
    assert [hour * HOUR for hour in hours_] == [one.value for one in figure.included]


def test_a_stretch_without_its_start_is_left_out_and_named():
    story = log(
        incident("INC-1", detected(0), resolved(2), reopened(3), mitigated(4), resolved(6)),
        incident("INC-2", detected(0), resolved(2)),
    )
    each = time_to_restore(story, start="mitigated", reopened="each")
    assert [2 * HOUR] == [one.value for one in each.included]
    missing = [("INC-1", "missing(mitigated)"), ("INC-2", "missing(mitigated)")]
    assert missing == left_out(each)
    assert missing == left_out(time_to_restore(story, start="mitigated", reopened="first"))
    assert missing[1:] == left_out(time_to_restore(story, start="mitigated"))


def test_detection_and_the_start_of_impact_can_be_ends():
    story = log(incident("INC-1", detected(2, impact_started_at=at(1)), declared(3), resolved(4)))
    for start, end, hours_ in (("impact_started", "declared", 2), ("declared", "resolved", 1)):
        assert hours_ * HOUR == time_to_restore(story, start=start, end=end).value
    lost = time_to_restore(story, start="detected", end="impact_started")
    assert [("INC-1", "negative")] == left_out(lost)


def test_time_to_repair_is_from_acknowledgement_or_as_the_source_stated_it():
    repair = stated(90, StatedDuration.TIME_TO_REPAIR)
    given_ = (IncidentDetected(at=at(0), by="d"), IncidentResolved(at=at(1), by="d"))
    story = log(imported("INC-1", *given_, stated(600), repair))
    assert 90.0 == time_to_repair(story, source="stated").value
    assert 600.0 == time_to_restore(story, source="stated").value
    moments = log(incident("INC-1", detected(0), acknowledged(1), resolved(4)))
    assert 3 * HOUR == time_to_repair(moments).value


def backwards(id, seconds_, **fields):
    """Return an incident whose resolution is told so many seconds before its detection."""
    end = START + timedelta(seconds=-seconds_)
    return imported(
        id, IncidentDetected(at=START, by="d", **fields), IncidentResolved(at=end, by="d")
    )


def test_what_ended_up_to_a_minute_before_it_began_counts_as_nothing():
    story = log(backwards("INC-1", 60), backwards("INC-2", 0.5), backwards("INC-3", 60.000001))
    note = "2 end up to 60 s before the start, and count as 0"
    for more in ({}, {"clock": "business", "calendar": OFFICE}, {"round_each": "minute_down"}):
        figure = time_to_restore(story, **more)
        assert {"INC-1": 0.0, "INC-2": 0.0} == {one.id: one.value for one in figure.included}
        assert (0.0, (note,), [("INC-3", "negative")]) == (
            figure.value,
            figure.notes,
            left_out(figure),
        )
    (group,) = time_to_restore(log(backwards("INC-1", 5)), group_by="severity").groups
    assert ("1 ends up to 60 s before the start, and counts as 0",) == group.notes


def test_an_uncertain_end_a_little_before_the_start_has_bounds_from_nothing():
    end = Between(earliest=START - timedelta(seconds=50), latest=START + timedelta(seconds=10))
    story = imported("INC-1", IncidentDetected(at=START, by="d"), IncidentResolved(at=end, by="d"))
    figure = time_to_restore(log(story))
    assert (0.0, (0.0, 10.0), 1) == (figure.value, figure.bounds, figure.uncertain)


def test_a_stated_duration_a_little_below_nothing_counts_as_nothing():
    given_ = (IncidentDetected(at=at(0), by="d"), IncidentResolved(at=at(1), by="d"))
    story = log(
        imported("INC-1", *given_, stated(-60)),
        imported("INC-2", *given_, stated(-61)),
        imported("INC-3", *given_, stated(2)),
    )
    figure = time_to_restore(story, source="stated")
    assert {"INC-1": 0.0, "INC-3": 2.0} == {one.id: one.value for one in figure.included}
    assert [("INC-2", "negative")] == left_out(figure)
    assert 1 == len(figure.notes)


def test_the_reason_for_no_number_is_true_of_all_that_was_left_out():
    never = [
        imported(
            f"INC-{n}", IncidentDetected(at=at(0), by="desk"), IncidentClosed(at=at(5), by="d")
        )
        for n in range(3)
    ]
    waiting = [incident(f"INC-{n}", detected(0)) for n in (7, 8)]
    noise = incident("INC-9", detected(0), dismissed(1))

    def reason(*streams):
        return time_to_acknowledge(log(*streams)).reason

    assert "all are still open" == reason(*waiting)
    told = "nothing to count, 6 left out: 3 missing(acknowledged), 2 still open, "
    assert told + "1 dismissed (false_positive)" == reason(*never, *waiting, noise)
    many = [incident(f"INC-{n}", detected(0), merged_into(f"INC-X{n}")) for n in range(12)]
    told = ", ".join(f"1 merged into INC-X{n}" for n in (0, 1, 10, 11, 2, 3, 4, 5, 6, 7))
    assert f"nothing to count, 12 left out: {told}, 2 for other reasons" == reason(*many)


def test_when_all_are_open_it_says_so():
    figure = time_to_restore(log(incident("INC-1", detected(0)), now=24))

    assert (None, "all are still open", 0) == (figure.value, figure.reason, figure.n)
    assert [("INC-1", "pending")] == left_out(figure)
    assert figure.beside[KAPLAN_MEIER] is None
    assert seconds(24) == figure.beside[RESTRICTED]  # open all of the 24 hours


def test_what_is_not_over_is_there_with_what_it_came_to_so_far():
    story = log(incident("INC-1", detected(4)), incident("INC-2", detected(20)), now=24)

    figure = time_to_restore(story)

    assert [("INC-2", 4.0), ("INC-1", 20.0)] == [
        (one.id, one.value / HOUR) for one in figure.censored
    ]
    assert [("INC-1", "pending"), ("INC-2", "pending")] == left_out(figure)


NIGHT = (  # clocks go forward from 1 to 2 o'clock: these are one hour apart
    datetime(2026, 3, 29, 0, 30, tzinfo=ZoneInfo("Europe/London")),
    datetime(2026, 3, 29, 2, 30, tzinfo=ZoneInfo("Europe/London")),
)


def test_a_change_of_clocks_lengthens_no_incident():
    assert (
        seconds(1)
        == time_to_restore(log(incident("INC-1", detected(NIGHT[0]), resolved(NIGHT[1])))).value
    )


def test_a_change_of_clocks_lengthens_no_imported_incident():
    story = imported(
        "INC-1",
        IncidentDetected(at=NIGHT[0], by="desk"),
        IncidentResolved(at=NIGHT[1], by="desk"),
    )

    assert seconds(1) == time_to_restore(log(story)).value


def test_open_for_no_time_at_all_has_no_restricted_mean():
    figure = time_to_restore(log(incident("INC-1", detected(0)), now=0))

    assert RESTRICTED not in figure.beside


def test_a_geometric_mean_needs_durations_above_zero():
    figure = time_to_restore(lasting(0, 2), statistic="geometric_mean")

    assert (None, "a geometric mean needs durations above 0") == (figure.value, figure.reason)
    assert 2 == figure.n


def test_open_ones_are_counted_up_to_as_of():
    story = log(incident("INC-1", detected(0), resolved(10)), now=24)

    figure = time_to_restore(facts(story, as_of=at(6)))

    assert [("INC-1", "pending")] == left_out(figure)
    assert seconds(6) == figure.beside[RESTRICTED]
    assert at(6) == figure.as_of


# --- what the source says -------------------------------------------------------------------------


def with_stated(*more):
    return imported(
        "INC-1",
        IncidentDetected(at=at(0), by="desk"),
        IncidentAcknowledged(at=at(1), by="desk"),
        IncidentResolved(at=at(2), by="desk"),
        *more,
    )


def test_a_stated_duration_counts_where_it_is_asked_for():
    story = log(with_stated(stated(5400)))

    assert seconds(2) == time_to_restore(story).value
    assert 5400.0 == time_to_restore(story, source="stated").value


def test_without_a_stated_duration_there_is_none():
    figure = time_to_restore(log(with_stated()), source="stated")

    assert [("INC-1", "missing(stated duration)")] == left_out(figure)


@pytest.mark.parametrize("function", [time_to_acknowledge, time_to_detect, time_to_mitigate])
def test_a_stated_time_to_restore_is_no_other_duration(function):
    with pytest.raises(InvalidValue, match="only times to restore") as error:
        function(log(with_stated(stated(5400))), source="stated")

    assert "source" == error.value.name


def test_the_mean_time_to_restore_is_one_too():
    assert 5400.0 == mean_time_to_restore(log(with_stated(stated(5400))), source="stated").value


def test_a_stated_duration_that_nothing_places_is_in_no_period_and_says_so():
    story = log(
        imported(
            "INC-1",
            IncidentDetected(at=None, by="desk"),
            IncidentResolved(at=None, by="desk"),
            stated(60),
        )
    )

    assert 60.0 == time_to_restore(story, source="stated").value
    figure = time_to_restore(story, source="stated", window=(at(0), at(24)))
    assert [("INC-1", "no known moment places it in a period")] == left_out(figure)


def test_stated_durations_are_rounded_too():
    story = log(with_stated(stated(5400)))

    assert 3600.0 == time_to_restore(story, source="stated", round_each="hour_down").value


def test_a_negative_stated_duration_is_left_out():
    figure = time_to_restore(log(with_stated(stated(-61))), source="stated")

    assert [("INC-1", "negative")] == left_out(figure)


# --- rounding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "rounded"),
    [("none", 5370), ("hour_down", 3600), ("minute_down", 5340), ("minute_up", 5400)],
)
def test_each_duration_can_be_rounded_before_the_statistic(rule, rounded):
    """1 h 29 min 30 s is 5,370 s."""
    figure = time_to_restore(lasting(5370 / 3600), round_each=rule)

    assert rounded == figure.value


def test_whole_minutes_are_not_rounded_up():
    assert 5400 == time_to_restore(lasting(1.5), round_each="minute_up").value


# --- windows --------------------------------------------------------------------------------------

AROUND = log(
    incident("ends in it", detected(-1), resolved(1)),
    incident("starts in it", detected(23), resolved(25)),
    incident("both", detected(2), resolved(3)),
    incident("around it", detected(-2), resolved(26)),
)


@pytest.mark.parametrize(
    ("rule", "ids"),
    [
        ("end", ["both", "ends in it"]),
        ("start", ["both", "starts in it"]),
        ("either", ["both", "ends in it", "starts in it"]),
    ],
)
def test_which_moment_places_an_incident_is_a_choice(rule, ids):
    figure = time_to_restore(AROUND, window=(at(0), at(24)), in_window=rule)

    assert ids == sorted(one.id for one in figure.included)
    assert () == figure.left_out  # those outside are not in question


@pytest.mark.parametrize(
    ("bounds", "ids"),
    [
        ("[)", ["on the start", "within"]),
        ("[]", ["on the end", "on the start", "within"]),
        ("(]", ["on the end", "within"]),
        ("()", ["within"]),
    ],
)
def test_moments_on_the_very_edges(bounds, ids):
    story = log(
        incident("on the start", detected(-1), resolved(0)),
        incident("within", detected(-1), resolved(5)),
        incident("on the end", detected(-1), resolved(10)),
    )

    figure = time_to_restore(story, window=(at(0), at(10)), bounds=bounds)

    assert ids == sorted(one.id for one in figure.included)


def test_an_open_incident_is_pending_in_every_period_it_has_begun_before_the_end_of():
    story = log(incident("INC-1", detected(5)), now=100)

    pending = [("INC-1", "pending")]
    assert pending == left_out(time_to_restore(story, window=(at(0), at(10))))
    assert pending == left_out(time_to_restore(story, window=(at(50), at(60))))
    assert [] == left_out(time_to_restore(story, window=(at(0), at(5))))
    # Placed by its start it belongs to one period only.
    assert pending == left_out(time_to_restore(story, window=(at(0), at(10)), in_window="start"))
    assert [] == left_out(time_to_restore(story, window=(at(50), at(60)), in_window="start"))


def test_an_open_incident_that_began_on_a_closed_end_is_in():
    story = log(incident("INC-1", detected(5)), now=100)

    figure = time_to_restore(story, window=(at(0), at(5)), bounds="[]")

    assert [("INC-1", "pending")] == left_out(figure)


# --- who is left out ------------------------------------------------------------------------------


def test_everyone_left_out_is_named_with_the_reason():
    story = log(
        incident("INC-1", detected(0), resolved(1)),
        incident("dismissed", detected(0), dismissed(1)),
        incident("drill", detected(0, mode=Mode.DRILL), resolved(1)),
        incident("merged", detected(0), merged_into("INC-1")),
        incident("open", detected(0)),
        incident("staging", detected(0, environment="staging"), resolved(1)),
        incident("test", detected(0, mode=Mode.TEST), resolved(1)),
        incident("voided", detected(0), voided(1, 1)),
        now=24,
    )

    figure = time_to_restore(story)

    assert ["INC-1"] == [one.id for one in figure.included]
    assert [
        ("dismissed", "dismissed (false_positive)"),
        ("drill", "is a drill"),
        ("merged", "merged into INC-1"),
        ("open", "pending"),
        ("staging", "environment staging"),
        ("test", "is a test"),
        ("voided", "voided, or later than as_of"),
    ] == left_out(figure)


def test_an_incident_reopened_after_its_dismissal_counts_again():
    story = log(incident("INC-1", detected(0), dismissed(1), reopened(2), resolved(3)))

    assert [("INC-1", 3.0)] == counted(time_to_restore(story))


def test_an_unmerged_incident_counts_again():
    story = log(incident("INC-1", detected(0), merged_into("INC-2"), unmerged(2), resolved(3)))

    assert [("INC-1", 3.0)] == counted(time_to_restore(story))


@pytest.mark.parametrize(
    ("environment", "counts"),
    [(None, True), ("prod", True), ("LIVE", True), ("Production", True), ("staging", False)],
)
def test_production_goes_by_several_names(environment, counts):
    story = log(incident("INC-1", detected(0, environment=environment), resolved(1)))

    assert int(counts) == time_to_restore(story).n


@pytest.mark.parametrize(
    ("environments", "ids"),
    [
        (("staging",), ["staging"]),
        (("production",), ["named", "unnamed"]),
        ("PRODUCTION", ["named", "unnamed"]),
        ("*", ["named", "staging", "unnamed"]),
    ],
)
def test_other_environments_count_where_they_are_asked_for(environments, ids):
    story = log(
        incident("unnamed", detected(0), resolved(1)),
        incident("named", detected(0, environment="production"), resolved(1)),
        incident("staging", detected(0, environment="staging"), resolved(1)),
    )

    figure = time_to_restore(story, environments=environments)

    assert ids == sorted(one.id for one in figure.included)


def test_an_unnamed_environment_left_out_is_called_production():
    figure = time_to_restore(lasting(1), environments=("staging",))

    assert [("INC-1", "environment production")] == left_out(figure)


@pytest.mark.parametrize(("rule", "severity"), [("last", "P2"), ("highest", "P1"), ("first", "P3")])
def test_which_severity_counts_is_a_choice(rule, severity):
    story = log(
        incident(
            "INC-1",
            detected(0),
            triaged(1, Severity.P3),
            severity_changed(2, Severity.P1),
            severity_changed(3, Severity.P2),
            resolved(4),
        ),
        incident("never triaged", detected(0), resolved(4)),
    )

    figure = time_to_restore(story, severity=rule, severities=[severity])

    assert ["INC-1"] == [one.id for one in figure.included]
    assert () == figure.left_out  # a filter takes them out of question
    groups = time_to_restore(story, severity=rule, group_by="severity").groups
    assert ["(none)", severity] == [group.group for group in groups]


def test_filters_by_service_and_label():
    story = log(
        incident("INC-1", detected(0, labels={"team": "core", "tier": "1"}), resolved(1)),
        incident("INC-2", detected(0, services=("search",)), resolved(2)),
    )

    assert [("INC-2", 2.0)] == counted(time_to_restore(story, services="search"))
    assert [("INC-1", 1.0)] == counted(time_to_restore(story, labels={"team": "core"}))
    assert [] == counted(time_to_restore(story, labels={"team": "core", "tier": "2"}))


# --- groups ---------------------------------------------------------------------------------------


def test_several_services_count_in_each_group_and_once_in_the_whole():
    story = log(
        incident("INC-1", detected(0), resolved(1)),
        incident("INC-2", detected(0, services=("pay", "search")), resolved(3)),
        incident("INC-3", detected(0, services=("search",)), resolved(5)),
        incident("INC-4", detected(0, services=()), resolved(7)),
    )

    figure = time_to_restore(story, group_by="service")

    assert (seconds(4), 4) == (figure.value, figure.n)  # of 1, 3, 5, 7
    assert [
        ("(none)", seconds(7), 1),
        ("pay", seconds(2), 2),  # of 1 and 3
        ("search", seconds(4), 2),  # of 3 and 5
    ] == [(group.group, group.value, group.n) for group in figure.groups]


@pytest.mark.parametrize(
    ("by", "names"),
    [("label:team", ["(none)", "core"]), ("channel", ["(none)", "user"]), ("kind", ["(none)"])],
)
def test_groups_by_what_an_incident_carries(by, names):
    story = log(
        incident("INC-1", detected(0, labels={"team": "core"}), resolved(1)),
        incident("INC-2", detected(0, channel=Channel.USER), resolved(3)),
    )

    assert names == [group.group for group in time_to_restore(story, group_by=by).groups]


def test_groups_have_buckets_of_their_own():
    story = log(
        incident("INC-1", detected(0), resolved(1)),
        incident("INC-2", detected(0, services=("search",)), resolved(25)),
    )

    figure = time_to_restore(story, group_by="service", bucket_by="day", window=(at(-9), at(39)))

    assert [1, 1] == [bucket.n for bucket in figure.buckets]
    assert {"pay": [1, 0], "search": [0, 1]} == {
        group.group: [bucket.n for bucket in group.buckets] for group in figure.groups
    }


# --- uncertain moments ----------------------------------------------------------------------------


def uncertain(*, statistic="median"):
    """One of 4 h (3 to 5, by its start), one of exactly 10 h."""
    return time_to_restore(
        log(
            incident("INC-1", detected(between(0, 2)), resolved(5)),
            incident("INC-2", detected(0), resolved(10)),
        ),
        statistic=statistic,
    )


@pytest.mark.parametrize(
    ("statistic", "value", "low", "high"),
    [
        ("mean", 7, 6.5, 7.5),
        ("sum", 14, 13, 15),
        ("median_low", 4, 3, 5),
        ("max", 10, 10, 10),
        ("p90", 9.4, 9.3, 9.5),  # 4 + 0.9 * 6; 3 + 0.9 * 7; 5 + 0.9 * 5
    ],
)
def test_bounds_are_the_smallest_and_largest_reading(statistic, value, low, high):
    figure = uncertain(statistic=statistic)

    assert pytest.approx(seconds(value)) == figure.value
    assert pytest.approx((seconds(low), seconds(high))) == figure.bounds
    assert 1 == figure.uncertain


def test_exact_moments_have_no_bounds():
    figure = time_to_restore(lasting(1, 2))

    assert (None, 0) == (figure.bounds, figure.uncertain)


def test_a_reading_that_would_be_negative_counts_as_nothing():
    """From somewhere in 0 to 2, placed at 1, to 1.5: half an hour, between none and 1.5."""
    story = log(incident("INC-1", detected(between(0, 2)), resolved(1.5)))

    assert (0.0, seconds(1.5)) == time_to_restore(story).bounds
    geometric = time_to_restore(story, statistic="geometric_mean")
    assert geometric.bounds is None  # of a duration of 0 there is none


def test_an_uncertain_end_is_placed_by_its_midpoint():
    story = log(incident("INC-1", detected(0), resolved(between(9, 13))))

    assert 0 == time_to_restore(story, window=(at(0), at(11))).n
    assert 1 == time_to_restore(story, window=(at(11), at(20))).n


def test_both_ends_uncertain_widen_the_bounds_by_both():
    story = log(incident("INC-1", detected(between(0, 2)), resolved(between(5, 9))))

    figure = time_to_restore(story)

    assert seconds(6) == figure.value  # 1 to 7
    assert (seconds(3), seconds(9)) == figure.bounds  # 2 to 5, 0 to 9


# --- what was corrected, what was not read --------------------------------------------------------


def test_a_corrected_moment_counts_as_corrected():
    story = incident("INC-1", detected(0), resolved(2), corrected(5, 2, "at", at(2), at(3)))

    figure = time_to_restore(log(story))

    assert [("INC-1", 3.0)] == counted(figure)
    assert (1, 2, 3) == figure.included[0].positions


def test_events_of_a_newer_version_are_counted_and_named():
    story = log(incident("INC-1", detected(0), resolved(2)))
    unread = story[-1]._replace(version=3, position=3, event=NEWER)

    figure = time_to_restore([*story, unread])

    assert ("events of a newer version were not read: 1 IncidentSung",) == figure.notes
    assert seconds(2) == figure.value


def test_the_start_of_these_stories_is_a_monday():
    assert datetime(2026, 3, 2, 9, tzinfo=UTC) == START
    assert 0 == START.weekday()


# --- business clocks ------------------------------------------------------------------------------

WEEK = dict.fromkeys(range(5), ("09:00", "17:00"))
OFFICE = BusinessHours(hours=WEEK)


def at_work(*steps, calendar=OFFICE, now=1000, **arguments):
    """Return the figure by the business clock; START is a Monday, 9:00."""
    story = log(incident("INC-1", *steps), now=now)
    return time_to_restore(story, clock="business", calendar=calendar, **arguments)


def held(hours):
    return take("hold", hours, reason=HoldReason.VENDOR)


def released(hours):
    return take("release", hours)


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        (0, 2, 2.0),  # Monday 9 to 11
        (7, 25, 2.0),  # Monday 16 to Tuesday 10: one hour each
        (10, 12, 0.0),  # Monday 19 to 21: nobody works
        (0, 7 * 24, 40.0),  # a whole week
        (103, 168.5, 1.5),  # Friday 16 to Monday 9:30
    ],
)
def test_only_working_hours_count(start, end, hours):
    assert seconds(hours) == at_work(detected(start), resolved(end)).value


def test_nobody_works_on_a_holiday():
    calendar = BusinessHours(hours=WEEK, holidays=["2026-03-03"])

    # Monday 16 to Wednesday 10, without Tuesday
    assert seconds(2) == at_work(detected(7), resolved(49), calendar=calendar).value
    assert seconds(10) == at_work(detected(7), resolved(49)).value


def test_a_wait_for_somebody_else_stops_the_clock():
    """Monday 9 to Tuesday 11 is 10 hours; held from Monday 15 to Tuesday 10, which is 3."""
    story = (detected(0), held(6), released(25), resolved(26))

    assert seconds(7) == at_work(*story).value
    assert seconds(26) == time_to_restore(log(incident("INC-1", *story)), calendar=OFFICE).value


def test_an_open_incident_is_censored_at_the_hours_worked_so_far():
    """From Monday 16 to Wednesday 10, held since Tuesday 15: 1 + 6."""
    figure = at_work(detected(7), held(30), now=49)

    assert [("INC-1", 7 * HOUR)] == [(one.id, one.value) for one in figure.censored]
    assert [("INC-1", "pending")] == left_out(figure)


def test_each_spell_has_its_own_hours():
    story = (detected(6), resolved(7), reopened(10), resolved(26))

    assert [1.0, 2.0] == [h for _, h in counted(at_work(*story, reopened="each"))]
    assert seconds(3) == at_work(*story, reopened="open_time").value
    assert seconds(4) == at_work(*story, reopened="last").value  # Monday 15 to Tuesday 11


@pytest.mark.parametrize(
    ("day", "hours"),
    [(29, 23.0), (28, 24.0)],  # clocks go forward on Sunday, 29 March 2026
)
def test_a_day_has_the_hours_it_has(day, hours):
    always = BusinessHours(
        hours=dict.fromkeys(range(7), ("00:00", "24:00")), time_zone="Europe/London"
    )
    london = ZoneInfo("Europe/London")
    start, end = (datetime(2026, 3, d, tzinfo=london) for d in (day, day + 1))

    assert seconds(hours) == at_work(detected(start), resolved(end), calendar=always).value


def test_office_hours_keep_to_the_wall_over_a_change_of_clocks():
    """Friday 16:00 to Monday 10:00 in London is one hour each, though 10:00 is 9:00 UTC."""
    calendar = BusinessHours(hours=WEEK, time_zone="Europe/London")
    start, end = datetime(2026, 3, 27, 16, tzinfo=UTC), datetime(2026, 3, 30, 9, tzinfo=UTC)

    assert seconds(2) == at_work(detected(start), resolved(end), calendar=calendar).value
    assert seconds(1) == at_work(detected(start), resolved(end)).value  # 9:00 to 17:00 UTC


def test_bounds_are_of_the_hours_worked():
    """From Monday 15 or 17 or later, placed at 16, to Tuesday 9 or 11, placed at 10."""
    figure = at_work(detected(between(6, 8)), resolved(between(24, 26)))

    assert seconds(2) == figure.value
    assert (0.0, seconds(4)) == figure.bounds
    narrow = at_work(detected(between(0, 2)), resolved(between(1, 3)))
    assert (seconds(1), (0.0, seconds(3))) == (narrow.value, narrow.bounds)


def test_what_is_negative_is_judged_by_the_wall():
    """From Monday 20 back to 19 nobody works at all."""
    story = imported(
        "INC-1", IncidentDetected(at=at(11), by="desk"), IncidentResolved(at=at(10), by="desk")
    )

    figure = time_to_restore(log(story), clock="business", calendar=OFFICE)

    assert [("INC-1", "negative")] == left_out(figure)


def test_waits_that_began_nobody_knows_when_are_counted():
    story = log(
        imported(
            "INC-1",
            IncidentDetected(at=at(0), by="desk"),
            IncidentHeld(at=None, by="desk", reason=HoldReason.VENDOR),
            IncidentResolved(at=at(3), by="desk"),
        )
    )

    figure = time_to_restore(story, clock="business", calendar=OFFICE)

    assert seconds(3) == figure.value
    assert ("waits that began nobody knows when, and stopped no clock: 1",) == figure.notes
    assert () == time_to_restore(story).notes


def test_hours_worked_are_rounded_like_any_duration():
    figure = at_work(detected(0), resolved(25.75), round_each="hour_down")

    assert seconds(9) == figure.value  # 8 and 1.75


def test_a_definition_with_a_calendar_survives_being_written_and_read():
    calendar = BusinessHours(hours=WEEK, holidays=["2026-12-25"], time_zone="Europe/London")
    definition = TimeToRestore(clock="business", calendar=calendar)

    assert calendar.as_dict() == definition.as_dict()["calendar"]
    assert definition == TimeToRestore.from_json(definition.to_json())
    assert definition == TimeToRestore(clock="business", calendar=calendar.as_dict())
    assert "Europe/London" in definition.shown()["calendar"]


def test_a_business_clock_needs_a_calendar():
    with pytest.raises(InvalidValue, match="needs the working hours") as error:
        TimeToRestore(clock="business")

    assert "calendar" == error.value.name
