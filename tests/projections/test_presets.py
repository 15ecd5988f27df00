"""Each preset against numbers computed by hand; see two_services.py for the log."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from imcm.domain.change_events import ChangeCancelled, ChangeRolledBack
from imcm.domain.vocabulary import Kind
from imcm.errors import InvalidValue
from imcm.projections.facts.fold import facts
from imcm.projections.figures.failures import ChangeFailureRate
from imcm.projections.figures.frequency import DeploymentFrequency
from imcm.projections.figures.restore import TimeToRestore
from imcm.projections.reports.dora import dora_report
from imcm.projections.reports.presets import METRICS, PRESETS, Preset, preset_of
from projections.log import (
    HOUR,
    at,
    caused_by,
    change,
    cleared_of,
    closed,
    deployment,
    detected,
    incident,
    log,
    planned,
    resolved,
    triaged,
)
from projections.two_services import LOG, SHOP, WINDOW, commit, deployed

FACTS = facts(LOG)
MINUTE = 60.0

WORKED = {
    # Of D1 to D6 these failed: D1 (incidents), D4 (rolled back), D6 (outcome).
    ("dora", "change_failure_rate"): (3 / 6, 6),
    # 1, 1, 2 h 30 s, 3.5 and 10 h; I6 is open, I7 ended before.
    ("dora", "restore"): (2 * HOUR + 30, 5),
    # 1 h, 2 h 30 s, 6 h, 10 h; c5 never came into production.
    ("dora", "lead_time"): ((2 * HOUR + 30 + 6 * HOUR) / 2, 4),
    ("dora", "deployment_frequency"): (6 / 28, 6),
    # D1 until I2 was resolved, 5.5 h; D4 until rolled back, 3 h; D6 never recovered.
    ("dora", "recovery"): (4.25 * HOUR, 2),
    ("dora", "rework_rate"): (1 / 6, 6),
    # Of D1, D2, D3, D5 these failed: D1 (I1, I2 and I3), D3 (I4), D5 (I6). D2 is not strictly
    # before I3, D0 of I5 lies before the window, and before I7 there is nothing.
    ("devlake", "change_failure_rate"): (3 / 4, 4),
    ("devlake", "restore"): (2 * HOUR, 5),
    # p1 121 min, p2 from its first commit 600 min, p3 60 min.
    ("devlake", "lead_time"): (121 * MINUTE, 3),
    # Days with a successful one per week from Monday: 2, 1, 1, 0.
    ("devlake", "deployment_frequency"): (1.0, 4),
    # D1 until I3 was resolved, 25 h; D3 until I4 was, 11 h; D5 waits for I6.
    ("devlake", "recovery"): (18 * HOUR, 2),
    # D1 (I1, I2), D2 (I3, at its instant), D3 (I4), D6 (I6); D0 of I5 is not in the window.
    ("middleware", "change_failure_rate"): (4 / 6, 6),
    ("middleware", "restore"): ((1 + 1 + 2 + 3.5 + 10) * HOUR / 5 + 6, 5),
    ("middleware", "lead_time"): ((2 * HOUR + 30 + 10 * HOUR + HOUR) / 3, 3),
    # Six in four weeks are 1.5, rounded down.
    ("middleware", "deployment_frequency"): (1.0, 6),
    # Two incidents stated of D1, none of D2, D3, D5.
    ("four_keys", "change_failure_rate"): (2 / 4, 4),
    # Whole hours to the close: I1 4 and I2 6 from D1, I3 2, I4 11 (11.5), I5 237 from D0.
    ("four_keys", "restore"): (6 * HOUR, 5),
    # 60, 120, 360, 600 minutes.
    ("four_keys", "lead_time"): (240 * MINUTE, 4),
    # Weeks from Sunday the 1st: 2, 1, 1, 0, 0.
    ("four_keys", "deployment_frequency"): (1.0, 4),
    # I1 to I6, whatever caused them, for six deployments.
    ("gitlab", "change_failure_rate"): (6 / 6, 6),
    # To the close: 2, 2, 3, 4, 11.5 h.
    ("gitlab", "restore"): (3 * HOUR, 5),
    # From the merge: 0.5, 1, 4 h.
    ("gitlab", "lead_time"): (HOUR, 3),
    ("gitlab", "deployment_frequency"): (6 / 28, 6),
    # pay 3 incidents of 4 deployments, shop 3 of 2.
    ("pelorus", "change_failure_rate"): ((3 / 4 + 3 / 2) / 2, 6),
    # pay 1, 2 h 30 s, 3.5 h; shop 1, 10 h.
    ("pelorus", "restore"): ((6.5 * HOUR / 3 + 10 + 5.5 * HOUR) / 2, 5),
    # pay 1 h, 2 h 30 s; shop 6, 10 h.
    ("pelorus", "lead_time"): ((1.5 * HOUR + 15 + 8 * HOUR) / 2, 4),
    ("pelorus", "deployment_frequency"): (6.0, 6),
    # D3, whose predecessor's version came back with D5, and D4, rolled back.
    ("datadog", "change_failure_rate"): (2 / 6, 6),
    # D3 until D5, 168 h; D4 until its roll back, 3 h.
    ("datadog", "restore"): (85.5 * HOUR, 2),
    ("datadog", "lead_time"): ((2 * HOUR + 30 + 6 * HOUR) / 2, 4),
    ("datadog", "deployment_frequency"): (6.0, 6),
}


@pytest.mark.parametrize(("preset", "metric"), WORKED)
def test_a_preset_by_hand(preset, metric):
    """The preset's number and what it is computed from are those worked out on paper."""
    value, n = WORKED[preset, metric]
    figure = dora_report(FACTS, preset=preset, window=WINDOW).figures[metric]
    assert (pytest.approx(value, rel=1e-12), n) == (figure.value, figure.n)


def test_every_preset_is_worked_out():
    """No preset is without a worked example of its four own metrics."""
    four = ("change_failure_rate", "restore", "lead_time", "deployment_frequency")
    assert {(name, metric) for name in PRESETS for metric in four} <= WORKED.keys()


def rate(streams, preset, window=None):
    return dora_report(log(*streams), preset=preset, window=window).change_failure_rate.value


def test_several_incidents_of_one_deployment():
    """Three incidents fail their deployment once, except where pairs or incidents are counted."""
    streams = [
        deployment("D1", 0),
        deployment("D2", 10),
        *(incident(f"I{i}", detected(i), caused_by("D1", i), resolved(9)) for i in (1, 2, 3)),
    ]
    found = {name: rate(streams, name) for name in PRESETS}
    expected = {
        "dora": 0.5,
        "devlake": 0.5,
        "middleware": 0.5,
        "four_keys": 1.5,
        "gitlab": 1.5,
        "pelorus": 1.5,
        "datadog": 0.0,
    }
    assert expected == found


def test_an_incident_at_the_instant_of_a_deployment():
    """Strictly before means the deployment before; at or before means this one."""
    streams = [deployment("D1", 0), deployment("D2", 10), incident("I1", detected(10))]
    for preset, failed in (("devlake", "D1"), ("middleware", "D2")):
        figure = dora_report(log(*streams), preset=preset).change_failure_rate
        assert [failed] == [one.id for one in figure.included if one.value]


def test_an_incident_before_the_first_deployment():
    """It is laid to nothing, and where incidents are divided by deployments it counts still."""
    streams = [incident("I1", detected(-1), resolved(0)), deployment("D1", 1)]
    assert [0.0, 0.0, 1.0] == [rate(streams, n) for n in ("devlake", "middleware", "gitlab")]
    figure = dora_report(log(*streams), preset="devlake").change_failure_rate
    assert {"no deployment to lay it to": 1} == figure.why_left_out()


def test_a_cause_outside_the_window():
    """Laid to any age, an incident fails nothing in the window; laid within it, nothing at all."""
    streams = [deployment("D1", -100), incident("I1", detected(1)), deployment("D2", 5)]
    window = (at(0), at(24))
    devlake = dora_report(log(*streams), preset="devlake", window=window).change_failure_rate
    assert (0.0, {}) == (devlake.value, devlake.why_left_out())
    middleware = dora_report(log(*streams), preset="middleware", window=window)
    assert {"no deployment to lay it to": 1} == middleware.change_failure_rate.why_left_out()


def test_an_unresolved_incident_is_in_no_tools_duration():
    """Still open, it is listed and censored, whatever the preset."""
    streams = [deployment("D1", 0), incident("I1", detected(1), caused_by("D1", 1))]
    for preset in PRESETS:
        figure = dora_report(log(*streams), preset=preset).restore
        waiting = [] if preset == "datadog" else ["I1"]
        assert (None, waiting) == (figure.value, [one.id for one in figure.censored])


def test_tools_that_know_no_stated_causes_infer_them_all():
    """What somebody stated, and what somebody dismissed, is nothing to them."""
    streams = [
        deployment("D1", 0),
        deployment("D2", 10),
        incident("I1", detected(20), caused_by("D1", 21), resolved(22)),
        incident("I2", detected(20), cleared_of("D2", 21), resolved(22)),
    ]
    for preset, failed in (("dora", ["D1"]), ("devlake", ["D2"]), ("middleware", ["D2"])):
        report = dora_report(log(*streams), preset=preset)
        rate_ = report.change_failure_rate
        assert failed == [one.id for one in rate_.included if one.value]
        assert (preset != "dora") == rate_.counts["failed by inferred cause only"]
    whys = {one.why for one in rate_.included}
    assert {"", "incident I1 (inferred); incident I2 (inferred)"} == whys


def test_what_was_never_closed_ends_with_its_resolution():
    """Four Keys and GitLab both take the close where there is one."""
    streams = [
        deployment("D1", 0),
        incident("I1", detected(0), triaged(0), resolved(2)),
        incident("I2", detected(0), triaged(0), resolved(3), closed(6)),
        incident("I3", detected(0), triaged(0), resolved(7)),
    ]
    found = {n: dora_report(log(*streams), preset=n).restore for n in ("four_keys", "gitlab")}
    assert {"four_keys": (6 * HOUR, 3), "gitlab": (6 * HOUR, 3)} == {
        name: (figure.value, figure.n) for name, figure in found.items()
    }


def test_two_services_interleaved():
    """Project-wide, a deployment of one service pays for an incident of the other."""
    streams = [
        deployment("D1", 0, **SHOP),
        deployment("D2", 1),
        deployment("D3", 20),
        incident("I1", detected(2, **SHOP), resolved(3)),
    ]
    for preset in ("devlake", "middleware"):
        figure = dora_report(log(*streams), preset=preset).change_failure_rate
        assert ["D2"] == [one.id for one in figure.included if one.value]


def test_failed_and_cancelled_deployments():
    """A cancelled change is no deployment anywhere; one rolled back leaves DevLake's rate."""
    streams = [
        deployment("D1", 0),
        change("D2", planned(1), ChangeCancelled(at=at(2), by="ann")),
        deployment("D3", 4, ChangeRolledBack(at=at(5), by="ci")),
    ]
    found = {
        name: dora_report(log(*streams), preset=name).change_failure_rate.n for name in PRESETS
    }
    assert {**dict.fromkeys(PRESETS, 2), "devlake": 1, "four_keys": 1} == found


def test_a_roll_back_that_is_a_change_of_its_own_counts_for_the_tools():
    """The defaults take it as part of what it takes back; the tools see one more deployment."""
    streams = [deployment("D1", 0), deployment("R1", 1, kind=Kind.ROLLBACK)]
    found = {
        name: dora_report(log(*streams), preset=name).deployment_frequency.n for name in PRESETS
    }
    assert {**dict.fromkeys(PRESETS, 2), "dora": 1} == found


def test_versions_that_come_back():
    """Of versions 1, 2, 3, 1 the second failed, and recovers with the next good deployment."""
    versions = enumerate(("1", "2", "3", "1"))
    streams = [deployment(f"D{i}", 10 * i, version=version) for i, version in versions]
    report = dora_report(log(*streams), preset="datadog")
    assert ["D1"] == [one.id for one in report.change_failure_rate.included if one.value]
    assert (10 * HOUR, 1 / 4) == (report.restore.value, report.change_failure_rate.value)


def test_even_counts():
    """Of two durations the median is their middle, the lower median the shorter one."""
    streams = [
        incident("I1", detected(0), triaged(0), resolved(1), closed(2)),
        incident("I2", detected(0), triaged(0), resolved(3), closed(6)),
    ]
    found = {name: dora_report(log(*streams), preset=name).restore.value for name in PRESETS}
    expected = {
        "dora": 2 * HOUR,
        "devlake": HOUR,
        "middleware": 2 * HOUR,
        "four_keys": 4 * HOUR,
        "gitlab": 4 * HOUR,
        "pelorus": 2 * HOUR,
        "datadog": None,
    }
    assert expected == found


def test_an_empty_month_and_a_year_without_deployments():
    """Nothing deployed is undefined, and 0 only where the tool says 0; the count is 0."""
    year = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    for preset in PRESETS:
        report = dora_report(LOG, preset=preset, window=year, bucket_by="month")
        rate = report.change_failure_rate
        nothing = 0.0 if preset == "middleware" else None
        assert (nothing, 12) == (rate.value, len(rate.buckets))
        assert {nothing} == {month.value for month in rate.buckets}
        assert (0.0, 0) == (report.deployment_frequency.value, report.deployment_frequency.n)
        assert () == report.bands["lead_time"]


def test_across_midnight_and_a_change_of_the_clocks():
    """A deployment's day and week are those of the zone, and durations are of instants."""
    london = ZoneInfo("Europe/London")  # clocks go forward on Sunday 29 March 2026, at 1:00
    window = (
        datetime(2026, 3, 23, tzinfo=london),
        datetime(2026, 4, 6, tzinfo=london),
    )
    streams = [
        # Friday the 27th and, in London as in UTC, the minute before midnight.
        deployment("D1", datetime(2026, 3, 27, 23, 59, tzinfo=UTC)),
        # 23:30 in UTC on Sunday is already Monday the 30th in London.
        deployment("D2", datetime(2026, 3, 29, 23, 30, tzinfo=UTC)),
        deployment("D3", datetime(2026, 3, 31, 12, 0, tzinfo=UTC)),
        incident(
            "I1",
            detected(datetime(2026, 3, 29, 0, 30, tzinfo=london)),
            resolved(datetime(2026, 3, 29, 2, 30, tzinfo=london)),
        ),
    ]
    found = {
        name: dora_report(
            log(*streams), preset="devlake", window=window, time_zone=name, bucket_by="week"
        )
        for name in ("Europe/London", "UTC")
    }
    days = {
        name: [part.n for part in one.deployment_frequency.buckets] for name, one in found.items()
    }
    assert {"Europe/London": [1, 2], "UTC": [2, 1]} == days
    assert {HOUR} == {one.restore.value for one in found.values()}  # though the clock says two


def test_weeks_from_sunday():
    """A deployment on a Sunday counts in the week it begins for one tool, it ends for another."""
    window = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 15, tzinfo=UTC))
    days = (3, 5, 8)  # Tuesday, Thursday, Sunday
    streams = [deployment(f"D{d}", datetime(2026, 3, d, 12, tzinfo=UTC)) for d in days]
    found = {
        name: dora_report(log(*streams), preset=name, window=window).deployment_frequency.value
        for name in ("four_keys", "devlake")
    }
    # Sundays 1 and 8: 2 and 1 days. Mondays 23 February, 2 and 9 March: 0, 3 and 0.
    assert {"four_keys": 1.5, "devlake": 0.0} == found


def test_middleware_takes_the_buckets_it_is_given():
    """Weeks are only what it takes when nothing is said."""
    figure = dora_report(FACTS, preset="middleware", window=WINDOW, bucket_by="day")
    assert (0.0, "day") == (
        figure.deployment_frequency.value,
        figure.deployment_frequency.definition.bucket_by,
    )


def test_lead_times_of_nothing_are_dropped_by_four_keys():
    """A commit at the instant of its deployment is 0 by default and nobody's there."""
    streams = [deployed("D1", 0, commit("c1", 0), commit("c2", 1))]
    found = {name: dora_report(log(*streams), preset=name).lead_time for name in PRESETS}
    assert (0.5 * HOUR, 2) == (found["dora"].value, found["dora"].n)
    assert (HOUR, {"zero": 1}) == (found["four_keys"].value, found["four_keys"].why_left_out())


# --- presets as values ----------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_definition_survives_json(preset):
    """Written as JSON and read back, each definition is the same."""
    for metric in METRICS:
        definition = getattr(preset, metric)
        assert definition == type(definition).from_json(definition.to_json())
    assert preset.as_dict() == json.loads(json.dumps(preset.as_dict()))


def test_presets_are_bundles_of_arguments():
    """What a preset gives can be written by hand, and computes the same."""
    arguments = PRESETS["devlake"].arguments("change_failure_rate")
    expected = {
        "rollbacks": "count",
        "attribution": "latest_before",
        "stated": "ignore",
        "scope": "global",
        "candidates": "successful",
        "failed_by": ["incident"],
        "denominator": "successful",
    }
    assert expected == arguments
    assert PRESETS["devlake"].change_failure_rate == ChangeFailureRate(**arguments)


def test_the_defaults_are_the_defaults():
    """The preset named dora gives no argument at all."""
    assert {metric: {} for metric in METRICS} == {
        metric: PRESETS["dora"].arguments(metric) for metric in METRICS
    }
    assert (TimeToRestore(), DeploymentFrequency()) == (
        PRESETS["dora"].restore,
        PRESETS["dora"].deployment_frequency,
    )


def test_a_preset_explains_itself():
    """Name, paragraph, and each metric with what is not a default."""
    told = PRESETS["datadog"].explain()
    assert told.startswith("datadog: Datadog")
    assert "recovered_by = rolled_back + next_success" in told
    assert "  rework_rate, rework rate: all defaults" in told


def test_names_are_the_keys():
    """Presets are found by their name, and each says something about itself."""
    assert list(PRESETS) == [one.name for one in PRESETS.values()]
    assert all(len(one.about) > 100 for one in PRESETS.values())
    assert PRESETS["gitlab"] is preset_of("gitlab")
    mine = Preset(name="mine", about="ours")
    assert mine is preset_of(mine)


def test_unknown_presets_and_metrics_name_those_there_are():
    """An unknown name is an error that lists the known ones."""
    with pytest.raises(InvalidValue, match="dora, devlake, middleware, four_keys, gitlab"):
        preset_of("jira")
    with pytest.raises(InvalidValue, match="deployment_frequency, lead_time"):
        PRESETS["dora"].arguments("mttr")


@pytest.mark.parametrize(
    ("preset", "metric", "expected"),
    [
        ("middleware", "change_failure_rate", ("window", "window", "zero")),
        ("four_keys", "restore", ("median", "hour_down", "sunday")),
        ("four_keys", "lead_time", ("leave_out_zero_too", "minute_down", "median")),
        ("four_keys", "deployment_frequency", ("successful", "deployment_day", "sunday")),
        ("pelorus", "lead_time", ("service", "unweighted", "mean")),
        ("devlake", "restore", ("median_low", "minute_down", "end")),
    ],
)
def test_arguments_that_the_small_log_does_not_tell_apart(preset, metric, expected):
    """What moves no number of the worked examples is written down here instead."""
    names = {
        ("middleware", "change_failure_rate"): ("candidates_in", "incidents_in", "empty"),
        ("four_keys", "restore"): ("statistic", "round_each", "week_starts"),
        ("four_keys", "lead_time"): ("negative", "round_each", "statistic"),
        ("four_keys", "deployment_frequency"): ("count", "per", "week_starts"),
        ("pelorus", "lead_time"): ("group_by", "whole", "statistic"),
        ("devlake", "restore"): ("statistic", "round_each", "in_window"),
    }[preset, metric]
    definition = getattr(PRESETS[preset], metric)
    assert expected == tuple(getattr(definition, name) for name in names)
