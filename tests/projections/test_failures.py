"""Change failure rate and attribution, against worked examples. Times are hours after `START`."""

from datetime import UTC, datetime, timedelta

import pytest

from imcm.domain.change_events import (
    ChangeCancelled,
    ChangeClosed,
    ChangeFailed,
    ChangeRolledBack,
    RolloutAborted,
    RolloutAdvanced,
)
from imcm.domain.corrections import EventVoided, MomentCorrected
from imcm.domain.incident_events import IncidentDetected, VerdictGiven
from imcm.domain.recorded import Unread
from imcm.domain.vocabulary import ChangeType, Kind, Mode, Outcome, Result, Risk, Verdict
from imcm.errors import InvalidValue
from imcm.projections.facts.fold import facts
from imcm.projections.figures.attribution import causes
from imcm.projections.figures.deployments import Deployments, deployments
from imcm.projections.figures.failures import ChangeFailureRate, change_failure_rate
from imcm.projections.figures.frequency import deployment_frequency, rework_rate
from imcm.projections.figures.recovery import failed_deployment_recovery_time
from imcm.projections.figures.restore import time_to_restore
from projections.log import (
    at,
    between,
    caused_by,
    change,
    cleared_of,
    deployment,
    detected,
    dismissed,
    imported,
    incident,
    log,
    merged_into,
    planned,
    resolved,
    take,
    triaged,
    unmerged,
    voided,
)

NEWER = Unread(type="ChangeSung", state=b"{}", why="unknown type")


def fixed_by(id, hours):
    return take("link_change", hours, change=id, verdict=Verdict.FIXED)


def rolled_back(hours, *, reached_production=True):
    return ChangeRolledBack(at=at(hours), by="ci", reached_production=reached_production)


def failed(hours, *, reached_production=True):
    return ChangeFailed(at=at(hours), by="ci", reached_production=reached_production)


def documented(hours, result=Result.SUCCESSFUL):
    return ChangeClosed(at=at(hours), by="ci", result=result)


def failures_of(figure):
    """Return the ids of the deployments that failed."""
    return [one.id for one in figure.included if one.value == 1.0]


def left_out(figure):
    return [(one.id, one.reason) for one in figure.left_out]


def laid(log_, **definition):
    """Return which incident is laid to which change, by the definition."""
    return [(cause.incident, cause.change) for cause in causes(log_, **definition)]


# --- what a failure is ----------------------------------------------------------------------------

FOUR_FAILURES = log(
    deployment("by incident", 1),
    deployment("fine, a repair", 2, repairs="repaired"),
    deployment("repaired", 3),
    deployment("rolled back", 4, rolled_back(5)),
    change("work failed", planned(5), failed(6)),
    incident("INC-1", detected(7), caused_by("by incident", 8)),
)


@pytest.mark.parametrize(
    ("failed_by", "ids"),
    [
        ("incident", ["by incident"]),
        ("rolled_back", ["rolled back"]),
        ("failed", ["work failed"]),
        ("repaired", ["repaired"]),
        (("incident", "failed"), ["by incident", "work failed"]),
        ((), []),
        (
            ("incident", "rolled_back", "failed", "repaired"),
            ["by incident", "repaired", "rolled back", "work failed"],
        ),
    ],
)
def test_each_sign_of_failure_can_be_switched(failed_by, ids):
    figure = change_failure_rate(FOUR_FAILURES, failed_by=failed_by)

    assert ids == failures_of(figure)
    assert (len(ids) / 5, 5) == (figure.value, figure.n)
    assert {"failed": len(ids), "failed by inferred cause only": 0} == figure.counts


def test_why_a_change_failed_is_told():
    figure = change_failure_rate(FOUR_FAILURES)

    assert {
        "by incident": "incident INC-1",
        "fine, a repair": "",
        "repaired": "repaired by fine, a repair",
        "rolled back": "rolled back",
        "work failed": "outcome failed",
    } == {one.id: one.why for one in figure.included}


def test_a_change_that_caused_four_incidents_failed_once():
    story = log(
        deployment("CHG-1", 1),
        deployment("CHG-2", 2),
        *(incident(f"INC-{n}", detected(3), caused_by("CHG-1", 4)) for n in range(4)),
    )

    figure = change_failure_rate(story)

    assert (0.5, 2, 1) == (figure.value, figure.n, figure.counts["failed"])


def test_without_deployments_the_rate_is_undefined():
    figure = change_failure_rate(log())

    assert (None, "no deployments", 0) == (figure.value, figure.reason, figure.n)
    assert figure.interval is None
    zero = change_failure_rate(log(), empty="zero")
    assert (0.0, None, 0) == (zero.value, zero.reason, zero.n)


def test_the_rate_has_wilsons_interval():
    story = log(
        *(deployment(f"CHG-{n}", n) for n in (1, 2, 3)), deployment("CHG-4", 4, rolled_back(5))
    )

    figure = change_failure_rate(story)

    # p = 1/4, n = 4, z = 1.95996, z * z = 3.84146:
    # centre (0.25 + 3.84146 / 8) / (1 + 3.84146 / 4) = 0.37247
    # half   1.95996 * sqrt(0.1875 / 4 + 3.84146 / 64) / 1.96036 = 0.32689
    assert "Wilson score" == figure.interval.method
    assert pytest.approx((0.04559, 0.69936), abs=1e-5) == (
        figure.interval.low,
        figure.interval.high,
    )


def test_only_another_change_repairs_a_change():
    assert [] == failures_of(change_failure_rate(log(deployment("CHG-1", 1, repairs="CHG-1"))))


def test_of_two_repairs_one_is_named_and_the_change_failed_once():
    story = log(
        deployment("CHG-1", 1),
        deployment("CHG-2", 2, repairs="CHG-1"),
        deployment("CHG-3", 3, repairs="CHG-1"),
    )

    assert "repaired by CHG-3" == change_failure_rate(story).included[0].why


# --- numerators and denominators ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numerator", "value", "name"),
    [("changes", 2 / 3, "failed"), ("incidents", 4 / 3, "incidents"), ("links", 5 / 3, "links")],
)
def test_other_numerators_may_exceed_one(numerator, value, name):
    """CHG-1 caused four incidents, CHG-2 one of the same, CHG-3 none: five links."""
    story = log(
        deployment("CHG-1", 1),
        deployment("CHG-2", 2),
        deployment("CHG-3", 3),
        incident("INC-1", detected(4), caused_by("CHG-1", 5)),
        incident("INC-2", detected(4), caused_by("CHG-1", 5)),
        incident("INC-3", detected(4), caused_by("CHG-1", 5)),
        incident("INC-4", detected(4), caused_by("CHG-1", 5), caused_by("CHG-2", 5)),
    )

    figure = change_failure_rate(story, numerator=numerator)

    assert (value, 3) == (figure.value, figure.n)
    assert name in figure.counts
    assert (numerator == "changes") == (figure.interval is not None)


def test_the_numerator_of_incidents_takes_all_detected_in_the_window_whatever_caused_them():
    story = log(
        deployment("CHG-1", 1),
        incident("INC-1", detected(2), caused_by("CHG-1", 3)),
        incident("INC-2", detected(4, services=("search",))),
        incident("INC-3", detected(4, mode=Mode.DRILL)),
        incident("INC-4", detected(10), caused_by("CHG-1", 11)),
    )
    definition = {"numerator": "incidents", "window": (at(0), at(10))}

    assert 2.0 == change_failure_rate(story, **definition).value  # INC-1 and INC-2 / CHG-1
    assert 1.0 == change_failure_rate(story, **definition, services="pay").value
    groups = change_failure_rate(story, **definition, group_by="service").groups
    assert [("pay", 1.0, 1), ("search", None, 0)] == [(g.group, g.value, g.n) for g in groups]


@pytest.mark.parametrize(
    ("versions", "marked"),
    [
        ("1231", ["CHG-2"]),  # 1 comes back: what had replaced it failed
        ("1212", ["CHG-2", "CHG-3"]),
        ("12131", ["CHG-2", "CHG-4"]),  # each time the one that came after it
        ("1123", []),
        ("1?1", []),  # nobody knows what was there in between
        ("11", []),
    ],
)
def test_a_version_that_returns_marks_what_had_replaced_it(versions, marked):
    story = log(
        *(
            deployment(f"CHG-{n}", n, version=None if version == "?" else version)
            for n, version in enumerate(versions, start=1)
        )
    )

    figure = change_failure_rate(story, failed_by="version_returned")

    assert marked == failures_of(figure)
    assert [] == failures_of(change_failure_rate(story))  # not unless it is asked for


def test_a_version_returns_to_its_own_service_only():
    story = log(
        deployment("CHG-1", 1, version="1"),
        deployment("CHG-2", 2, version="2", services=("search",)),
        deployment("CHG-3", 3, version="1", services=("search",)),
        deployment("CHG-4", 4, version="3", services=()),
        deployment("CHG-5", 5, version="4", services=()),
        deployment("CHG-6", 6, version="3", services=()),
    )

    figure = change_failure_rate(story, failed_by="version_returned")

    assert ["CHG-5"] == failures_of(figure)
    assert "version 3 deployed again" == figure.included[4].why


@pytest.mark.parametrize(
    ("denominator", "failures", "n"),
    [
        ("all", 3, 5),
        ("successful", 1, 3),  # A, D, E were completed
        ("successful_or_failed", 2, 4),  # all but C
        ("evaluated", 3, 4),  # D was neither closed nor seen to fail
    ],
)
def test_what_the_rate_is_a_share_of_is_a_choice(denominator, failures, n):
    story = log(
        deployment("A", 1),
        change("B", planned(1), failed(2)),
        deployment("C", 3, rolled_back(4)),
        deployment("D", 5),
        deployment("E", 6, documented(7)),
        incident("INC-1", detected(8), caused_by("A", 9)),
    )

    figure = change_failure_rate(story, denominator=denominator)

    assert (failures / n, n) == (figure.value, figure.n)


# --- what a deployment is -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rollbacks", "n", "out"),
    [("leave_out", 1, [("CHG-2", "is a roll back of another change")]), ("count", 2, [])],
)
def test_whether_a_roll_back_is_a_deployment_is_a_choice(rollbacks, n, out):
    story = log(deployment("CHG-1", 1), deployment("CHG-2", 2, kind=Kind.ROLLBACK))

    figure = change_failure_rate(story, rollbacks=rollbacks)

    assert (n, out) == (figure.n, left_out(figure))


def test_kinds_can_be_restricted_to_deployments():
    story = log(deployment("CHG-1", 1), deployment("CHG-2", 2, kind=Kind.FIREWALL))

    figure = change_failure_rate(story, kinds=["deployment"])

    assert (["CHG-1"], ()) == ([one.id for one in figure.included], figure.left_out)


def test_what_is_no_deployment_is_listed_with_the_reason():
    aborted = RolloutAborted(at=at(4), by="ci", percent=0.0)
    cancelled = ChangeCancelled(at=at(4), by="cia")
    void = EventVoided(at=at(4), by="cia", version=1, status="nothing", why="a slip")
    story = log(
        change("aborted at 0 %", planned(1), aborted),
        change("cancelled", planned(1), cancelled),
        change("draft", planned(1)),
        deployment("elsewhere", 2, environment="staging"),
        change("reached nobody", planned(1), failed(2, reached_production=False)),
        deployment("some time", None),
        change("voided", planned(1), void),
    )

    figure = change_failure_rate(story)

    assert 0 == figure.n
    assert [
        ("aborted at 0 %", "reached nothing"),
        ("cancelled", "not deployed (cancelled)"),
        ("draft", "not deployed (draft)"),
        ("elsewhere", "environment staging"),
        ("reached nobody", "reached nothing"),
        ("some time", "missing(deployed)"),
        ("voided", "voided, or later than as_of"),
    ] == left_out(figure)


def test_a_failure_of_which_nobody_said_whether_it_reached_production_is_missing_that():
    story = log(change("CHG-1", planned(1), failed(2, reached_production=None)))

    assert [("CHG-1", "missing(deployed)")] == left_out(change_failure_rate(story))


def test_a_rollout_is_deployed_at_its_first_share_and_fails_when_aborted():
    story = log(
        change(
            "CHG-1",
            planned(0),
            RolloutAdvanced(at=at(2), by="ci", percent=5.0),
            RolloutAborted(at=at(3), by="ci", percent=5.0),
        )
    )

    figure = change_failure_rate(story, window=(at(2), at(3)))

    assert (1.0, ["CHG-1"]) == (figure.value, failures_of(figure))


def test_environments_are_a_choice():
    story = log(deployment("CHG-1", 1), deployment("CHG-2", 2, environment="staging"))

    assert ["CHG-2"] == [
        one.id for one in change_failure_rate(story, environments="staging").included
    ]
    assert 2 == change_failure_rate(story, environments="*").n


def test_a_deployment_is_successful_when_its_work_was_completed():
    rows = facts(log(deployment("CHG-1", 1), deployment("CHG-2", 2, rolled_back(3))))

    found, out = deployments(rows, Deployments())

    assert [("CHG-1", True), ("CHG-2", False)] == [(d.change.id, d.successful) for d in found]
    assert Outcome.ROLLED_BACK is found[1].change.outcome
    assert [] == out
    assert ["CHG-2"] == [d.change.id for d in found[-1:]]
    with pytest.raises(IndexError):
        found[2]


def test_what_is_laid_to_changes_is_a_sequence():
    rows = facts(log(deployment("CHG-1", 1), incident("INC-1", detected(2), caused_by("CHG-1", 3))))

    found = causes(rows)

    assert (1, "CHG-1", False) == (len(found), found[0].change, found[-1].inferred)
    assert list(found) == list(found[:5])
    assert "<Attributed: 1 stated, 0 inferred>" == repr(found)
    with pytest.raises(IndexError):
        found[1]


def test_the_links_say_by_which_rule_and_whether_the_change_is_known():
    story = log(
        deployment("CHG-1", 1),
        deployment("CHG-2", 10),
        incident("INC-1", detected(11), caused_by("CHG-1", 12)),
        incident("INC-2", detected(5)),
        incident("INC-3", detected(5), caused_by("CHG-9", 6)),
    )
    stated_ = [
        ("INC-1", "CHG-1", False, "stated", True),
        ("INC-3", "CHG-9", False, "stated", False),
    ]

    assert stated_ == list(causes(story))
    by_rule = [("INC-2", "CHG-1", True, "latest_before", True)]
    assert [*stated_, *by_rule] == list(causes(story, attribution="latest_before"))
    unheard = causes(story, attribution="latest_before", stated="ignore")
    assert [("INC-1", "CHG-2"), ("INC-2", "CHG-1"), ("INC-3", "CHG-1")] == [
        (one.incident, one.change) for one in unheard
    ]
    with pytest.raises(InvalidValue, match="attribution"):
        causes(story, attribution="guessed")


NAMELESS = log(
    deployment("CHG-1", 1),
    incident("INC-1", detected(2), caused_by("CHG-1", 3), resolved(4)),
    incident("INC-2", detected(2), caused_by("CHG-7", 3), caused_by("CHG-9", 3), resolved(4)),
    incident("INC-3", detected(2), caused_by("CHG-9", 3), resolved(4)),
    incident("INC-4", detected(2), caused_by("CHG-5", 3), dismissed(4)),
    incident("INC-5", detected(2), fixed_by("CHG-8", 3), resolved(4)),
    incident("INC-6", detected(2), fixed_by("CHG-1", 3), resolved(4)),
)


@pytest.mark.parametrize(
    ("figure", "arguments"),
    [
        (change_failure_rate, {}),
        (change_failure_rate, {"numerator": "links", "group_by": "service"}),
        (failed_deployment_recovery_time, {}),
        (deployment_frequency, {"count": "not_failed"}),
        (time_to_restore, {"start": "cause_deployed"}),
        (time_to_restore, {"start": ["declared", "cause_deployed_or_detected"]}),
    ],
)
def test_stated_causes_that_name_no_change_are_counted_in_a_note(figure, arguments):
    note = "3 of 4 causes name no known change: CHG-7, CHG-9"
    assert (note,) == figure(NAMELESS, **arguments).notes


@pytest.mark.parametrize(
    ("figure", "arguments"),
    [
        (change_failure_rate, {"failed_by": "rolled_back"}),
        (change_failure_rate, {"numerator": "incidents"}),
        (change_failure_rate, {"attribution": "latest_before", "stated": "ignore"}),
        (deployment_frequency, {}),
        (time_to_restore, {}),
        (rework_rate, {"rework_by": "emergency"}),
    ],
)
def test_what_causes_do_not_move_says_nothing_of_them(figure, arguments):
    notes = figure(NAMELESS, **arguments).notes
    assert not [note for note in notes if "cause" in note or "names no" in note]


def test_fixes_that_name_no_change_are_counted_in_a_note():
    assert "1 of 2 fixes names no known change: CHG-8" in rework_rate(NAMELESS).notes


def test_what_filters_do_not_take_is_not_named_where_nothing_is_there_to_lay_it_to():
    story = log(
        deployment("CHG-1", 10),
        incident("INC-1", detected(2)),
        incident("INC-2", detected(2, services=("web",))),
    )

    figure = change_failure_rate(story, attribution="latest_before", services="pay")

    assert [("INC-1", "no deployment to lay it to")] == left_out(figure)


# --- windows, groups, buckets ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "ids"),
    [
        ("[)", ["CHG-1", "CHG-5"]),
        ("[]", ["CHG-1", "CHG-5", "CHG-9"]),
        ("(]", ["CHG-5", "CHG-9"]),
        ("()", ["CHG-5"]),
    ],
)
def test_deployments_on_the_very_edges_of_the_window(bounds, ids):
    story = log(*(deployment(f"CHG-{hour}", hour) for hour in (0, 1, 5, 9, 10)))

    figure = change_failure_rate(story, window=(at(1), at(9)), bounds=bounds)

    assert ids == [one.id for one in figure.included]


def test_an_incident_after_the_window_still_fails_a_change_inside_it():
    story = log(deployment("CHG-1", 1), incident("INC-1", detected(50), caused_by("CHG-1", 51)))

    assert 1.0 == change_failure_rate(story, window=(at(0), at(10))).value


def test_what_is_known_later_is_not_known_before():
    story = log(deployment("CHG-1", 1), incident("INC-1", detected(5), caused_by("CHG-1", 6)))

    assert 0.0 == change_failure_rate(facts(story, known_at=3)).value  # without the verdict
    assert 1.0 == change_failure_rate(facts(story, known_at=4)).value


def test_months_without_deployments_are_present_and_undefined():
    story = log(deployment("CHG-1", 0), deployment("CHG-2", 24 * 60, rolled_back(24 * 61)))

    # 2026-03-02 and, 60 days later, 2026-05-01.
    figure = change_failure_rate(story, bucket_by="month")

    assert [(0.0, 1, None), (None, 0, "no deployments"), (1.0, 1, None)] == [
        (bucket.value, bucket.n, bucket.reason) for bucket in figure.buckets
    ]
    april = (datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC))
    assert april == figure.buckets[1].window


@pytest.mark.parametrize("bounds", ["[)", "(]"])
def test_half_open_buckets_add_up_to_the_whole(bounds):
    story = log(*(deployment(f"CHG-{hour}", hour) for hour in (15, 16, 39)))  # 15 is midnight

    figure = change_failure_rate(story, window=(at(-9), at(39)), bounds=bounds, bucket_by="day")

    assert figure.n == sum(bucket.n for bucket in figure.buckets)


@pytest.mark.parametrize("bounds", ["[]", "()"])
def test_buckets_add_up_to_the_whole_whatever_the_bounds(bounds):
    story = log(*(deployment(f"CHG-{hour}", hour) for hour in (15, 16, 39)))  # 15 is midnight

    figure = change_failure_rate(story, window=(at(-9), at(39)), bounds=bounds, bucket_by="day")

    assert figure.n == sum(bucket.n for bucket in figure.buckets)


def test_several_services_count_in_each_group_and_once_in_the_whole():
    story = log(
        deployment("CHG-1", 1, services=("pay", "search")),
        deployment("CHG-2", 2, rolled_back(3)),
        deployment("CHG-3", 4, services=("search",)),
        deployment("CHG-4", 5, services=()),
    )

    figure = change_failure_rate(story, group_by="service", bucket_by="day")

    assert (0.25, 4) == (figure.value, figure.n)
    assert [("(none)", 0.0, 1), ("pay", 0.5, 2), ("search", 0.0, 2)] == [
        (group.group, group.value, group.n) for group in figure.groups
    ]
    assert [1, 2, 2] == [group.buckets[0].n for group in figure.groups]


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("type", ["emergency", "normal"]),
        ("kind", ["deployment", "schema"]),
        ("risk", ["(none)", "high"]),
        ("label:team", ["(none)", "core"]),
        ("severity", ["(none)"]),
    ],
)
def test_groups_by_what_a_change_carries(by, names):
    story = log(
        deployment("CHG-1", 1, type=ChangeType.EMERGENCY, labels={"team": "core"}),
        deployment("CHG-2", 2, kind=Kind.SCHEMA, risk=Risk.HIGH),
    )

    assert names == [group.group for group in change_failure_rate(story, group_by=by).groups]


def test_an_uncertain_deployment_is_placed_by_its_midpoint_and_counted_so():
    story = log(deployment("CHG-1", between(2, 6)))

    assert 0 == change_failure_rate(story, window=(at(0), at(4))).n
    figure = change_failure_rate(story, window=(at(4), at(8)))
    assert (1, 1) == (figure.n, figure.uncertain)


# --- attribution ----------------------------------------------------------------------------------

RULES = {
    "before": {"attribution": "latest_before"},
    "at or before": {"attribution": "latest_at_or_before"},
    "between, open": {"attribution": "between_releases"},
    "between, closed": {"attribution": "between_releases", "release_ends": "closed"},
}


@pytest.mark.parametrize(
    ("rule", "hours", "laid_to"),
    [
        ("before", 0.5, []),
        ("at or before", 0.5, []),
        ("between, open", 0.5, []),
        ("between, closed", 0.5, []),
        ("before", 1, []),
        ("at or before", 1, ["CHG-1"]),
        ("between, open", 1, ["CHG-1"]),
        ("between, closed", 1, ["CHG-1"]),
        ("before", 3, ["CHG-1"]),
        ("at or before", 3, ["CHG-1"]),
        ("between, open", 3, ["CHG-1"]),
        ("between, closed", 3, ["CHG-1"]),
        ("before", 5, ["CHG-1"]),
        ("at or before", 5, ["CHG-2"]),
        ("between, open", 5, ["CHG-2"]),
        ("between, closed", 5, ["CHG-1", "CHG-2"]),
        ("before", 6, ["CHG-2"]),
        ("at or before", 6, ["CHG-2"]),
        ("between, open", 6, ["CHG-2"]),
        ("between, closed", 6, ["CHG-2"]),
    ],
)
def test_an_incident_is_laid_to_a_release_of_1_or_5_o_clock(rule, hours, laid_to):
    story = log(deployment("CHG-1", 1), deployment("CHG-2", 5), incident("INC-1", detected(hours)))

    assert laid_to == [change for _, change in laid(story, **RULES[rule])]


def test_nothing_is_inferred_unless_asked_for():
    story = log(deployment("CHG-1", 1), incident("INC-1", detected(2)))

    figure = change_failure_rate(story)

    assert (0.0, ()) == (figure.value, figure.left_out)


def test_inferred_causes_are_marked_and_counted_apart():
    story = log(
        deployment("CHG-1", 1),
        deployment("CHG-2", 3),
        deployment("CHG-3", 5, rolled_back(9)),
        incident("INC-1", detected(2)),
        incident("INC-2", detected(4), caused_by("CHG-2", 5)),
        incident("INC-3", detected(6)),
    )

    figure = change_failure_rate(story, attribution="latest_before")

    assert [
        "incident INC-1 (inferred)",
        "incident INC-2",
        "incident INC-3 (inferred); rolled back",
    ] == [one.why for one in figure.included]
    assert {"failed": 3, "failed by inferred cause only": 1} == figure.counts


def test_an_incident_nothing_precedes_is_listed():
    story = log(deployment("CHG-1", 5), incident("INC-1", detected(2)))

    figure = change_failure_rate(story, attribution="latest_before")

    assert [("INC-1", "no deployment to lay it to")] == left_out(figure)


def interleaved(*, services, hours):
    return log(
        deployment("pay 1", 1),
        deployment("search 2", 2, services=("search",)),
        deployment("pay 3", 3),
        deployment("search 4", 4, services=("search",)),
        incident("INC-1", detected(hours, services=services)),
    )


@pytest.mark.parametrize(
    ("scope", "services", "hours", "laid_to"),
    [
        ("service", ("pay",), 2.5, ["pay 1"]),
        ("service", ("search",), 3.5, ["search 2"]),
        ("service", ("pay", "search"), 3.5, ["pay 3"]),  # the newest of both
        ("service", ("mail",), 9, []),
        ("service", (), 9, []),
        ("global", ("pay",), 2.5, ["search 2"]),
        ("global", (), 9, ["search 4"]),
    ],
)
def test_two_services_interleaved(scope, services, hours, laid_to):
    story = interleaved(services=services, hours=hours)

    assert laid_to == [
        change for _, change in laid(story, attribution="latest_before", scope=scope)
    ]


def test_closed_ends_lay_an_incident_to_two_releases_at_an_edge_only():
    story = interleaved(services=("pay", "search"), hours=3.5)

    definition = {"attribution": "between_releases"}
    assert [("INC-1", "pay 3")] == laid(story, **definition)
    assert [("INC-1", "pay 3")] == laid(story, **definition, release_ends="closed")


@pytest.mark.parametrize(
    ("hours", "laid_to"), [(4, ["pay 3", "search 4"]), (2, ["pay 1", "search 2"]), (1, ["pay 1"])]
)
def test_at_an_edge_closed_ends_lay_to_what_was_live_until_then_too(hours, laid_to):
    story = interleaved(services=("pay", "search"), hours=hours)

    found = laid(story, attribution="between_releases", release_ends="closed")

    assert laid_to == [change for _, change in found]


def test_a_label_can_be_what_they_must_share():
    story = log(
        deployment("CHG-1", 1, labels={"team": "core"}),
        deployment("CHG-2", 2, labels={"team": "web"}),
        deployment("CHG-3", 3),
        incident("INC-1", detected(4, labels={"team": "core"})),
        incident("INC-2", detected(4)),
    )

    assert [("INC-1", "CHG-1")] == laid(story, attribution="latest_before", scope="label:team")


@pytest.mark.parametrize(
    ("max_age", "laid_to"),
    [
        (timedelta(hours=2), ["CHG-1"]),
        (7200, ["CHG-1"]),
        (timedelta(hours=2) - timedelta(microseconds=1), []),
        (None, ["CHG-1"]),
    ],
)
def test_a_deployment_can_be_too_long_ago(max_age, laid_to):
    story = log(deployment("CHG-1", 1), incident("INC-1", detected(3)))

    assert laid_to == [c for _, c in laid(story, attribution="latest_before", max_age=max_age)]


@pytest.mark.parametrize("max_age", [0, -1, True, "2 h", timedelta()])
def test_an_age_is_a_time_above_zero(max_age):
    with pytest.raises(InvalidValue, match="a time above 0") as error:
        ChangeFailureRate(max_age=max_age)

    assert "max_age" == error.value.name


@pytest.mark.parametrize(("candidates", "laid_to"), [("all", "CHG-2"), ("successful", "CHG-1")])
def test_only_successful_deployments_can_be_candidates(candidates, laid_to):
    story = log(
        deployment("CHG-1", 1),
        change("CHG-2", planned(1), failed(2)),
        incident("INC-1", detected(3)),
    )

    found = laid(story, attribution="latest_before", candidates=candidates)

    assert [("INC-1", laid_to)] == found


@pytest.mark.parametrize(("where", "laid_to"), [("any", ["CHG-1"]), ("window", [])])
def test_candidates_may_have_to_lie_in_the_window(where, laid_to):
    story = log(deployment("CHG-1", 1), deployment("CHG-2", 5), incident("INC-1", detected(3)))

    found = laid(story, attribution="latest_before", candidates_in=where, window=(at(2), at(10)))

    assert laid_to == [change for _, change in found]


@pytest.mark.parametrize(("where", "value"), [("any", 1.0), ("window", 0.0)])
def test_incidents_may_have_to_lie_in_the_window(where, value):
    story = log(deployment("CHG-1", 5), incident("INC-1", detected(12), caused_by("CHG-1", 13)))

    figure = change_failure_rate(story, incidents_in=where, window=(at(0), at(10)))

    assert (value, ()) == (figure.value, figure.left_out)


def test_stated_verdicts_win_over_the_latest_deployment():
    story = log(
        deployment("CHG-1", 1),
        deployment("CHG-2", 2),
        incident("INC-1", detected(3), caused_by("CHG-1", 4)),
    )

    assert [("INC-1", "CHG-1")] == laid(story, attribution="latest_before")


@pytest.mark.parametrize("verdict", [Verdict.SUSPECTED, Verdict.FIXED])
def test_a_suspicion_or_a_fix_is_no_stated_cause(verdict):
    story = log(
        deployment("CHG-1", 1),
        deployment("CHG-2", 2),
        incident("INC-1", detected(3), take("link_change", 4, change="CHG-1", verdict=verdict)),
    )

    assert [] == laid(story)
    assert [("INC-1", "CHG-2")] == laid(story, attribution="latest_before")


def test_the_last_verdict_on_a_change_stands():
    story = log(
        deployment("CHG-1", 1),
        incident("INC-1", detected(3), caused_by("CHG-1", 4), cleared_of("CHG-1", 5)),
    )

    assert [] == laid(story)


@pytest.mark.parametrize("rule", RULES)
def test_a_dismissed_link_is_never_inferred_again(rule):
    story = log(
        deployment("CHG-1", 1),
        deployment("CHG-2", 2),
        incident("INC-1", detected(3), cleared_of("CHG-2", 4)),
    )

    assert [("INC-1", "CHG-1")] == laid(story, **RULES[rule])


def test_when_every_link_was_dismissed_nothing_is_inferred():
    story = log(deployment("CHG-1", 1), incident("INC-1", detected(3), cleared_of("CHG-1", 4)))

    assert [] == laid(story, attribution="latest_before")


def test_a_detection_at_an_unknown_time_is_laid_to_nothing():
    story = log(
        deployment("CHG-1", 1),
        imported("INC-1", IncidentDetected(at=None, by="desk", services=("pay",))),
    )

    figure = change_failure_rate(story, attribution="latest_before")

    assert [("INC-1", "no deployment to lay it to")] == left_out(figure)


def test_an_uncertain_detection_is_laid_by_its_midpoint():
    story = log(
        deployment("CHG-1", 1), deployment("CHG-2", 5), incident("INC-1", detected(between(2, 7)))
    )

    assert [("INC-1", "CHG-1")] == laid(story, attribution="latest_before")  # 4.5


def test_of_deployments_at_one_instant_the_greatest_id_is_taken():
    story = log(deployment("CHG-2", 1), deployment("CHG-1", 1), incident("INC-1", detected(2)))

    assert [("INC-1", "CHG-2")] == laid(story, attribution="latest_before")


def test_of_two_services_deployed_at_one_instant_the_greatest_id_is_taken_too():
    story = log(
        deployment("CHG-2", 1),
        deployment("CHG-1", 1, services=("search",)),
        incident("INC-1", detected(2, services=("pay", "search"))),
    )

    assert [("INC-1", "CHG-2")] == laid(story, attribution="latest_before")


def test_a_change_with_a_stated_and_an_inferred_cause_did_not_fail_by_inference_only():
    story = log(
        deployment("CHG-1", 1),
        incident("INC-1", detected(2)),
        incident("INC-2", detected(3), caused_by("CHG-1", 4)),
    )

    figure = change_failure_rate(story, attribution="latest_before")

    assert ["incident INC-1 (inferred); incident INC-2"] == [one.why for one in figure.included]
    assert {"failed": 1, "failed by inferred cause only": 0} == figure.counts


def test_a_cause_that_was_never_deployed_fails_nothing_else():
    story = log(deployment("CHG-1", 1), incident("INC-1", detected(3), caused_by("CHG-9", 4)))

    assert 0.0 == change_failure_rate(story, attribution="latest_before").value


# --- which incidents fail a change ----------------------------------------------------------------

CAUSED = caused_by("CHG-1", 4)


@pytest.mark.parametrize(
    ("steps", "value", "reason"),
    [
        ((detected(3), CAUSED), 1.0, None),
        ((detected(3), CAUSED, dismissed(5)), 0.0, "dismissed (false_positive)"),
        ((detected(3, mode=Mode.DRILL), CAUSED), 0.0, "is a drill"),
        ((detected(3, mode=Mode.TEST), CAUSED), 0.0, "is a test"),
        ((detected(3, environment="staging"), CAUSED), 0.0, "environment staging"),
        ((detected(3), CAUSED, voided(6, 2)), 0.0, None),
        ((detected(3), CAUSED, merged_into("INC-9", 5)), 0.0, "merged into INC-9"),
        ((detected(3), CAUSED, merged_into("INC-9", 5), unmerged(6)), 1.0, None),
    ],
)
def test_verdicts_of_incidents_that_do_not_count_fail_nothing(steps, value, reason):
    figure = change_failure_rate(log(deployment("CHG-1", 1), incident("INC-1", *steps)))

    assert value == figure.value
    assert ([] if reason is None else [("INC-1", reason)]) == left_out(figure)


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ((detected(2),), 1.0),
        ((detected(2), cleared_of("CHG-1", 5)), 0.0),  # its own verdict wins
        ((detected(2), dismissed(5)), 0.0),
    ],
)
def test_the_verdicts_of_a_merged_incident_pass_to_its_target(target, value):
    story = log(
        deployment("CHG-1", 1),
        incident("INC-1", detected(3), CAUSED, merged_into("INC-2", 5)),
        incident("INC-2", *target),
    )

    figure = change_failure_rate(story)

    assert value == figure.value
    assert ("INC-1", "merged into INC-2") in left_out(figure)


def test_verdicts_pass_along_a_chain_of_merges():
    story = log(
        deployment("CHG-1", 1),
        incident("INC-1", detected(3), CAUSED, merged_into("INC-2", 5)),
        incident("INC-2", detected(3), merged_into("INC-3", 5)),
        incident("INC-3", detected(3)),
    )

    figure = change_failure_rate(story)

    assert ["incident INC-3"] == [one.why for one in figure.included]
    assert [("INC-1", "merged into INC-3"), ("INC-2", "merged into INC-3")] == left_out(figure)


def test_a_verdict_of_an_import_counts_as_one_told_live():
    story = log(
        deployment("CHG-1", 1),
        imported(
            "INC-1",
            IncidentDetected(at=at(3), by="desk"),
            VerdictGiven(at=None, by="desk", change="CHG-1", verdict=Verdict.CAUSED),
        ),
    )

    assert 1.0 == change_failure_rate(story).value


def test_only_incidents_of_the_severities_asked_for_fail_a_change():
    story = log(
        deployment("CHG-1", 1), incident("INC-1", detected(3), triaged(3), CAUSED, resolved(9))
    )

    assert 1.0 == change_failure_rate(story, severities=["P2"]).value
    assert 0.0 == change_failure_rate(story, severities=["P1"]).value


def test_filters_by_service_and_label_take_the_others_out_of_question():
    story = log(
        deployment("CHG-1", 1, labels={"team": "core"}),
        deployment("CHG-2", 2, services=("search",)),
        change("CHG-3", planned(1, services=("search",))),
    )

    for arguments in ({"services": "pay"}, {"labels": {"team": "core"}}):
        figure = change_failure_rate(story, **arguments)
        assert ["CHG-1"] == [one.id for one in figure.included]
        assert () == figure.left_out


def test_an_incident_of_another_service_is_no_part_of_this_services_figure():
    alone = change_failure_rate(log(deployment("CHG-1", 1)), services="pay")
    with_other = change_failure_rate(
        log(
            deployment("CHG-1", 1),
            incident("INC-1", detected(3, services=("search",), mode=Mode.DRILL)),
        ),
        services="pay",
    )

    assert alone.left_out == with_other.left_out


def test_a_filter_does_not_move_an_incident_to_another_change():
    """The latest release of all is of search: pay has nothing to do with it."""
    story = log(
        deployment("CHG-1", 1),
        deployment("CHG-2", 2, services=("search",)),
        incident("INC-1", detected(3)),
    )
    definition = {"attribution": "latest_before", "scope": "global"}

    groups = change_failure_rate(story, **definition, group_by="service").groups
    assert {"pay": 0.0, "search": 1.0} == {group.group: group.value for group in groups}
    assert 0.0 == change_failure_rate(story, **definition, services="pay").value


@pytest.mark.parametrize(
    "arguments", [{"kinds": ["deployment"]}, {"labels": {"team": "core"}}, {"services": "pay"}]
)
def test_what_a_filter_does_not_report_can_be_the_cause_still(arguments):
    story = log(
        deployment("CHG-1", 1, labels={"team": "core"}),
        deployment("CHG-2", 2, services=("pay", "search"), kind=Kind.FIREWALL),
        incident("INC-1", detected(3, labels={"team": "core"})),
    )

    figure = change_failure_rate(story, attribution="latest_before", **arguments)

    failed_ = ["CHG-2"] if "services" in arguments else []
    assert (failed_, ()) == (failures_of(figure), figure.left_out)


def test_an_incident_of_another_service_fails_the_change_that_is_stated_to_have_caused_it():
    story = log(
        deployment("CHG-1", 1), incident("INC-1", detected(3, services=("search",)), CAUSED)
    )

    assert 1.0 == change_failure_rate(story, services="pay").value
    assert 1.0 == change_failure_rate(story, group_by="service").groups[0].value


def test_a_version_that_returned_in_another_service_marks_what_it_replaced():
    story = log(
        deployment("CHG-1", 1, version="1", services=("search",)),
        deployment("CHG-2", 2, version="2", services=("pay", "search")),
        deployment("CHG-3", 3, version="1", services=("search",)),
    )

    figure = change_failure_rate(story, failed_by="version_returned", services="pay")

    assert ["CHG-2"] == failures_of(figure)


def test_incidents_are_counted_in_the_period_of_their_detection():
    story = log(
        deployment("CHG-1", 0),
        deployment("CHG-2", 16),
        incident("INC-1", detected(1)),
        incident("INC-2", detected(17)),
        incident("INC-3", detected(18)),
        imported("INC-4", IncidentDetected(at=None, by="desk")),
    )

    figure = change_failure_rate(story, numerator="incidents", bucket_by="day")

    assert [1.0, 2.0] == [bucket.value for bucket in figure.buckets]


def test_events_of_a_newer_version_are_counted_and_named():
    story = log(deployment("CHG-1", 1))

    figure = change_failure_rate([*story, story[-1]._replace(version=3, position=3, event=NEWER)])

    assert ("events of a newer version were not read: 1 ChangeSung",) == figure.notes


def test_a_corrected_completion_moves_the_deployment():
    moved = MomentCorrected(
        at=at(9), by="ann", version=2, field="at", was=at(1), now=at(5), why="misread"
    )
    story = log(deployment("CHG-1", 1, moved))

    assert 0 == change_failure_rate(story, window=(at(0), at(2))).n
    assert 1 == change_failure_rate(story, window=(at(4), at(6))).n


# --- what is counted gives the figure -------------------------------------------------------------


@pytest.mark.parametrize("numerator", ["changes", "links", "incidents"])
@pytest.mark.parametrize("denominator", ["all", "successful", "successful_or_failed", "evaluated"])
def test_the_rate_is_what_its_own_list_adds_up_to(numerator, denominator):
    story = log(
        deployment("CHG-1", 1),
        deployment("CHG-2", 2),
        deployment("CHG-3", 3, rolled_back(3.5)),
        incident("INC-1", detected(4), caused_by("CHG-1", 8)),
        incident("INC-2", detected(5), caused_by("CHG-1", 8)),
        incident("INC-3", detected(6), caused_by("CHG-3", 8)),
        incident("INC-4", detected(7)),
    )
    figure = change_failure_rate(story, numerator=numerator, denominator=denominator)
    deployments_ = [one for one in figure.included if one.id.startswith("CHG")]
    assert figure.n == len(deployments_)
    assert figure.value == sum(one.value for one in figure.included) / len(deployments_)
    named = {one.id for one in figure.left_out} | {one.id for one in deployments_}
    assert {"CHG-1", "CHG-2", "CHG-3"} == named
