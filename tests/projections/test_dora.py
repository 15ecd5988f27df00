"""The five metrics together, and presets side by side; see two_services.py for the log."""

import json
from datetime import datetime

import attrs
import pytest

from imcm.domain.change_events import ChangeRolledBack
from imcm.domain.vocabulary import Kind
from imcm.errors import InvalidValue, NaiveTimeError
from imcm.projections.facts.fold import facts
from imcm.projections.figures.clock import BusinessHours
from imcm.projections.figures.failures import ChangeFailureRate, change_failure_rate
from imcm.projections.figures.frequency import deployment_frequency, rework_rate
from imcm.projections.figures.lead_time import lead_time
from imcm.projections.figures.recovery import (
    FailedDeploymentRecovery,
    failed_deployment_recovery_time,
)
from imcm.projections.figures.restore import TimeToRestore, time_to_restore
from imcm.projections.reports.dora import Row, _level, dora_report, side_by_side
from imcm.projections.reports.presets import METRICS, PRESETS, Preset
from projections.log import (
    HOUR,
    at,
    caused_by,
    deployment,
    detected,
    incident,
    log,
    reopened,
    resolved,
)
from projections.two_services import LOG, WINDOW

FACTS = facts(LOG)


def report(**arguments):
    return dora_report(FACTS, **{"window": WINDOW, **arguments})


# --- the report -----------------------------------------------------------------------------------


class TestReport:
    def test_the_figures_are_those_of_the_functions(self):
        """Nothing is computed another way than by each metric's own function."""
        found = report()
        assert {
            "deployment_frequency": deployment_frequency(FACTS, window=WINDOW),
            "lead_time": lead_time(FACTS, window=WINDOW),
            "change_failure_rate": change_failure_rate(FACTS, window=WINDOW),
            "recovery": failed_deployment_recovery_time(FACTS, window=WINDOW),
            "rework_rate": rework_rate(FACTS, window=WINDOW),
            "restore": time_to_restore(FACTS, window=WINDOW),
        } == found.figures

    def test_facts_and_a_log_give_the_same(self):
        """A log is read to its end."""
        assert report() == dora_report(iter(LOG), window=WINDOW)

    def test_it_is_frozen(self):
        """A report does not change."""
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            report().year = 2023

    def test_common_arguments_reach_every_figure(self):
        """What all definitions have is given once."""
        common = {
            "bounds": "[]",
            "time_zone": "Europe/London",
            "environments": ("production",),
            "services": ("shop",),
            "severities": ("P1", "P2"),
            "kinds": ("deployment",),
            "labels": {"team": "core"},
            "group_by": "service",
            "bucket_by": "week",
            "level": 0.9,
        }
        for preset in PRESETS:
            for figure in report(preset=preset, **common).figures.values():
                for name, value in common.items():
                    assert value == getattr(figure.definition, name)

    def test_services_narrow_every_figure(self):
        """Only shop: D2 and D4, of which D4 was rolled back; I3 and I4."""
        found = report(services=("shop",))
        assert (2, 0.5) == (found.deployment_frequency.n, found.change_failure_rate.value)
        assert (2, 5.5 * HOUR) == (found.restore.n, found.restore.value)

    def test_an_empty_log(self):
        """Nothing is undefined, and has no band."""
        found = dora_report([])
        assert {None} == {figure.value for figure in found.figures.values()}
        assert {()} == set(found.bands.values())
        [said] = found.notes
        assert said.startswith("without a window everything in the log counts: all figures; days ")

    def test_a_preset_of_ones_own(self):
        """A preset may be given as a value."""
        mine = Preset(
            name="ours", about="ours", change_failure_rate=ChangeFailureRate(failed_by="incident")
        )
        found = report(preset=mine)
        assert ("ours", 1 / 6) == (found.preset, found.change_failure_rate.value)

    def test_unknown_presets(self):
        """A wrong name is answered with the right ones."""
        with pytest.raises(InvalidValue, match="one of dora, devlake"):
            report(preset="jenkins")

    def test_a_naive_window(self):
        """A time without a zone keeps its own error."""
        with pytest.raises(NaiveTimeError, match="window start"):
            dora_report([], window=(datetime(2026, 1, 1), datetime(2026, 2, 1)))  # noqa: DTZ001
        with pytest.raises(NaiveTimeError, match="window start"):
            dora_report([], overrides={"window": (datetime(2026, 1, 1), WINDOW[1])})  # noqa: DTZ001

    def test_a_common_argument_that_cannot_be(self):
        """The definition's own message stands where the argument is no override."""
        with pytest.raises(InvalidValue, match=r"^bucket_by: 'fortnight'"):
            report(bucket_by="fortnight")


class TestOverrides:
    def test_an_override_goes_to_every_figure_that_has_it(self):
        """Statistic: the four durations have one, and so has frequency."""
        found = report(overrides={"statistic": "mean"})
        told = {
            name: getattr(figure.definition, "statistic", None)
            for name, figure in found.figures.items()
        }
        without = dict.fromkeys(("change_failure_rate", "rework_rate"))
        assert {**dict.fromkeys(METRICS, "mean"), **without} == told

    def test_an_override_of_one_figure_wins(self):
        """In whatever order they are written."""
        for overrides in (
            {"restore.statistic": "max", "statistic": "mean"},
            {"statistic": "mean", "restore.statistic": "max"},
        ):
            found = report(overrides=overrides)
            assert 10 * HOUR == found.restore.value
            assert "mean" == found.lead_time.definition.statistic

    def test_an_override_wins_over_a_common_argument(self):
        """The window of one figure may be another one; the note names the one without."""
        found = report(overrides={"lead_time.window": None})
        assert found.lead_time.window is None
        assert WINDOW == found.restore.window
        assert "without a window everything in the log counts: lead_time" in found.notes

    def test_unknown_names_are_answered_with_the_known(self):
        """Without a metric, all arguments; with one, its own."""
        with pytest.raises(InvalidValue, match=r"overrides: 'statistics'.*one of window, bounds"):
            report(overrides={"statistics": "mean"})
        with pytest.raises(InvalidValue, match=r"restore has window, bounds.*round_each"):
            report(overrides={"restore.failed_by": ("incident",)})
        with pytest.raises(InvalidValue, match="the metric being one of deployment_frequency"):
            report(overrides={"mttr.statistic": "mean"})
        with pytest.raises(InvalidValue, match="overrides: 3 is not allowed"):
            report(overrides={3: "mean"})
        with pytest.raises(InvalidValue, match="give a mapping"):
            report(overrides=["statistic"])

    def test_a_value_that_one_figure_cannot_take_names_the_figure(self):
        """Lead time can start at the merge, time to restore cannot."""
        with pytest.raises(InvalidValue) as caught:
            report(overrides={"start": "merged"})
        assert "overrides[restore.start]" == caught.value.name
        assert "write <metric>.start to override one metric only" in str(caught.value)
        with pytest.raises(InvalidValue) as caught:
            report(overrides={"restore.start": "merged"})
        assert "override one metric only" not in str(caught.value)
        assert (
            "merged" == report(overrides={"lead_time.start": "merged"}).lead_time.definition.start
        )


class TestBands:
    def test_by_year(self):
        """Six in 28 days, 4 h, a half failed; since 2023 recovery is asked for, not restore."""
        expected = {
            "deployment_frequency": ("high",),
            "lead_time": ("elite",),
            "change_failure_rate": ("worse than low",),
            "recovery": ("high", "medium"),
            "rework_rate": (),
            "restore": (),
        }
        found = report()
        assert expected == found.bands
        assert (
            "rework_rate has no band: no report has bands for it",
            "restore has no band: the report of 2024 speaks of failed deployment recovery time",
        ) == found.notes

    def test_before_2023_restore_is_asked_for(self):
        """And recovery has no band then."""
        found = report(year=2019)
        assert ((), ("high", "medium")) == (found.bands["recovery"], found.bands["restore"])
        assert "recovery has no band: the report of 2019 speaks of time to restore" in found.notes

    def test_what_a_preset_calls_restore_may_be_recovery(self):
        """The band goes by what is measured, not by its name."""
        assert ("medium",) == report(preset="datadog", year=2023).bands["restore"]

    def test_an_interval_that_spans_several_bands_says_so(self):
        """One failure of forty is elite by its value; its interval goes on to 12.9 %."""
        failed = incident("I1", detected(2), caused_by("D1", 3), resolved(4))
        found = dora_report(log(*(deployment(f"D{n}", n) for n in range(1, 41)), failed))
        assert ("elite",) == found.bands["change_failure_rate"]
        spans = ("elite", "high", "medium")
        assert spans == found.interval_bands["change_failure_rate"]
        assert list(spans) == found.as_dict()["interval_bands"]["change_failure_rate"]
        line = (
            "change_failure_rate: 2.5 %, n = 40, performance level: elite; "
            "its interval reaches elite, high, medium"
        )
        assert line in found.explain()
        assert () == found.interval_bands["rework_rate"]
        assert () == dora_report(log(failed), year=None).interval_bands["restore"]
        weekly = dora_report(
            log(*(deployment(f"D{n}", 24 * n) for n in range(1, 41)), failed),
            overrides={"deployment_frequency.per": "week"},
        )
        assert ("elite", "high") == weekly.interval_bands["deployment_frequency"]

    def test_no_bands_asked_for(self):
        """Year None names none and needs no notes."""
        found = report(year=None)
        assert ({()}, ()) == (set(found.bands.values()), found.notes)
        assert "no bands" in found.explain()

    @pytest.mark.parametrize("year", [2020, 2022, 2025])
    def test_a_year_without_bands(self, year):
        """It is refused before anything is computed."""
        with pytest.raises(InvalidValue, match="2018, 2019, 2021, 2023, 2024"):
            dora_report(iter(()), year=year)

    def test_units_the_bands_do_not_speak_of(self):
        """Counts, deployment days and incidents per deployment get no level, and a note why."""
        reasons = {
            "devlake": "not deployment days per week",
            "middleware": "not per bucket",
            "pelorus": "not count",
        }
        for preset, reason in reasons.items():
            found = report(preset=preset)
            assert () == found.bands["deployment_frequency"]
            assert any(reason in note for note in found.notes)
        for preset, what in (("four_keys", "links"), ("gitlab", "incidents")):
            found = report(preset=preset)
            assert () == found.bands["change_failure_rate"]
            note = f"bands speak of failed deployments, not of {what}"
            assert f"change_failure_rate has no band: {note}" in found.notes

    def test_per_week_is_told_per_day(self):
        """One in 30 days is exactly once per month, told per week or per day."""
        month = (at(0), at(24 * 30))
        streams = log(deployment("D1", 1))
        for per in ("day", "week"):
            overrides = {"deployment_frequency.per": per}
            found = dora_report(streams, window=month, overrides=overrides, year=2019)
            assert ("medium",) == found.bands["deployment_frequency"]

    def test_an_unweighted_frequency_per_week(self):
        """The mean of groups is told per day by a division."""
        overrides = {
            "deployment_frequency.per": "week",
            "deployment_frequency.whole": "unweighted",
            "deployment_frequency.group_by": "service",
        }
        found = report(overrides=overrides)
        assert pytest.approx(3 / 4) == found.deployment_frequency.value
        assert ("medium",) == found.bands["deployment_frequency"]

    def test_working_hours_have_no_band(self):
        """A day of eight hours is not the day that the reports mean."""
        office = BusinessHours(hours={day: [("09:00", "17:00")] for day in range(5)})
        overrides = {"restore.clock": "business", "restore.calendar": office}
        found = report(overrides=overrides, year=2019)
        assert () == found.bands["restore"]
        reason = "bands speak of all hours of a day, not of working hours"
        assert f"restore has no band: {reason}" in found.notes

    def test_a_sum_and_a_negative_median_have_no_band(self):
        """A band is of one duration, and of none below 0."""
        assert () == report(overrides={"lead_time.statistic": "sum"}).bands["lead_time"]
        below = attrs.evolve(report().lead_time, value=-HOUR)
        assert ((), "it is below 0", ()) == _level("lead_time", below, 2024)


class TestTelling:
    def test_explain(self):
        """The six numbers with their levels come first, then every figure with its definition."""
        told = report().explain()
        head, *parts = told.split("\n\n")
        level, reaches = "performance level:", "; its interval reaches"
        assert [
            "DORA metrics, preset dora, bands of 2024",
            f"  deployment_frequency: 0.214 per day, n = 6, {level} high{reaches} high, medium",
            "  lead_time: 4 h 15 s, n = 4, performance level: elite",
            f"  change_failure_rate: 50 %, n = 6, {level} worse than low{reaches} "
            "high, medium, low, worse than low",
            "  recovery: 4 h 15 min, n = 2, performance level: high and medium",
            "  rework_rate: 16.67 %, n = 6",
            "  restore: 2 h 30 s, n = 5",
        ] == head.split("\n")[:7]
        assert 6 == len(parts)
        assert all("  definition:" in part for part in parts)

    def test_explain_says_why_a_number_is_undefined(self):
        """An undefined figure carries its reason into the summary."""
        assert "change_failure_rate: undefined (no deployments), n = 0" in dora_report([]).explain()

    @pytest.mark.parametrize("preset", PRESETS)
    def test_as_dict_is_json(self, preset):
        """Plain values, with and without the lists of who was counted."""
        found = report(preset=preset, group_by="service", bucket_by="week")
        plain = found.as_dict()
        assert list(METRICS) == list(json.loads(json.dumps(plain))["figures"])
        assert found.figures["restore"].as_dict() == plain["figures"]["restore"]
        assert plain["figures"]["restore"]["included"] is None
        assert (preset, 2024) == (plain["preset"], plain["year"])
        full = found.as_dict(population=True)
        assert found.restore.as_dict(population=True) == full["figures"]["restore"]

    def test_rows(self):
        """The whole, its weeks, each group, and the weeks of each group, as one table."""
        rows = report(bucket_by="week", group_by="service").rows()
        failures = [row for row in rows if row.figure == "change_failure_rate"]
        whole = report().change_failure_rate.interval
        assert (
            Row("change_failure_rate", None, None, 0.5, "share", 6, whole.low, whole.high)
            == failures[0]
        )
        weeks = [f"2026-03-{day:02}T00:00:00+00:00" for day in (2, 9, 16, 23)]
        assert [
            (None, None, 0.5, 6),
            *zip([None] * 4, weeks, [0.5, 0.5, 0.5, None], [2, 2, 2, 0], strict=True),
            ("pay", None, 0.5, 4),
            *zip(["pay"] * 4, weeks, [1.0, 0.0, 0.5, None], [1, 1, 2, 0], strict=True),
            ("shop", None, 0.5, 2),
            *zip(["shop"] * 4, weeks, [0.0, 1.0, None, None], [1, 1, 0, 0], strict=True),
        ] == [(row.group, row.bucket_start, row.value, row.n) for row in failures]
        assert list(METRICS) == list(dict.fromkeys(row.figure for row in rows))

    def test_rows_tell_starts_in_the_zone(self):
        """A day begins at midnight where it is."""
        rows = report(bucket_by="month", time_zone="Asia/Kolkata").rows()
        starts = {row.bucket_start for row in rows if row.bucket_start}
        assert {"2026-03-02T05:30:00+05:30"} == starts


def test_a_part_without_a_window_has_no_start():
    """A figure made by hand may lack it; its row then has no start."""
    found = report(bucket_by="week")
    bare = attrs.evolve(found.restore, buckets=(attrs.evolve(found.restore, window=None),))
    rows = attrs.evolve(found, restore=bare).rows()
    assert [None, None] == [row.bucket_start for row in rows if row.figure == "restore"]


# --- side by side ---------------------------------------------------------------------------------


def compared(*presets, metric="change_failure_rate", streams=FACTS, window=WINDOW, **arguments):
    found = side_by_side(streams, presets=presets, metric=metric, window=window, **arguments)
    return found.differences[0]


def only(members):
    return {(one.kind, one.id): (one.values, one.reason) for one in members}


def changed(difference):
    return {one.id: (one.values, one.why) for one in difference.changed}


class TestSideBySide:
    def test_every_preset_is_set_beside_the_defaults(self):
        """By default all of them, each against dora."""
        found = side_by_side(FACTS, window=WINDOW)
        assert list(PRESETS) == list(found.figures)
        assert [("dora", name) for name in PRESETS if name != "dora"] == [
            (one.one, one.other) for one in found.differences
        ]
        for name, figure in found.figures.items():
            assert report(preset=name).change_failure_rate == figure

    def test_each_pair(self):
        """Against nothing means each with each, once."""
        found = side_by_side(FACTS, presets=("dora", "gitlab", "pelorus"), against=None)
        assert [("dora", "gitlab"), ("dora", "pelorus"), ("gitlab", "pelorus")] == [
            (one.one, one.other) for one in found.differences
        ]
        assert found.differences[2] is found.between("gitlab", "pelorus")

    def test_the_one_compared_with_comes_first(self):
        """It is added where it is missing, and stands first in every pair."""
        found = side_by_side(FACTS, presets=("gitlab",), window=WINDOW)
        assert ["dora", "gitlab"] == list(found.figures)
        found = side_by_side(FACTS, presets=("gitlab", "dora"), window=WINDOW)
        assert ("dora", "gitlab") == (found.differences[0].one, found.differences[0].other)

    def test_devlake_and_the_defaults(self):
        """D4 and D6 leave the rate; D3 and D5 fail by incidents laid to them."""
        found = compared("dora", "devlake")
        reason = "not in its denominator (successful)"
        assert {("change", "D4"): ((1.0,), reason), ("change", "D6"): ((1.0,), reason)} == only(
            found.only_one
        )
        assert () == found.only_other
        assert {
            "D3": (((0.0,), (1.0,)), ("", "incident I4 (inferred)")),
            "D5": (((0.0,), (1.0,)), ("", "incident I6 (inferred)")),
        } == changed(found)
        others = {"rollbacks", "attribution", "stated", "scope", "candidates", "failed_by"}
        assert {*others, "denominator"} == set(found.arguments)
        assert ("stated", "latest_before") == found.arguments["attribution"]

    def test_links_weigh_a_deployment_by_its_incidents(self):
        """D1 counts twice in Four Keys: I1 and I2."""
        found = compared("dora", "four_keys")
        why = "incident I1; incident I2"
        assert {"D1": (((1.0,), (2.0,)), (why, why))} == changed(found)
        assert {("change", "D4"), ("change", "D6")} == only(found.only_one).keys()

    def test_incidents_are_counted_whatever_caused_them(self):
        """GitLab's deployments only divide; its incidents are no deployments of the defaults."""
        found = compared("dora", "gitlab")
        reason = "not in its population: it counts by change"
        assert only(found.only_other)["incident", "I6"] == ((1.0,), reason)
        assert {f"I{i}" for i in range(1, 7)} == {one.id for one in found.only_other}
        assert {"D1", "D4", "D6"} == changed(found).keys()
        assert ((1.0,), (0.0,)) == changed(found)["D4"][0]
        assert ("rolled back", "divides only") == changed(found)["D4"][1]

    def test_the_reason_is_the_one_that_the_other_gives(self):
        """An incident that DevLake can lay to nothing, and a drill."""
        streams = log(
            deployment("D1", 5),
            incident("I1", detected(1), resolved(2)),
        )
        found = compared("gitlab", "devlake", streams=streams, against="gitlab", window=None)
        assert {("incident", "I1"): ((1.0,), "no deployment to lay it to")} == only(found.only_one)

    def test_roll_backs_of_their_own(self):
        """The tools count them, and the defaults say why they do not."""
        streams = log(deployment("D1", 0), deployment("R1", 1, kind=Kind.ROLLBACK))
        found = compared(
            "dora", "gitlab", metric="deployment_frequency", streams=streams, window=None
        )
        assert {("change", "R1"): ((1.0,), "is a roll back of another change")} == only(
            found.only_other
        )
        assert {"rollbacks": ("leave_out", "count")} == dict(found.arguments)

    def test_restore_by_incident_and_by_deployment(self):
        """Datadog counts failed deployments; one figure has arguments the other has not."""
        found = compared("dora", "datadog", metric="restore")
        assert {("incident", f"I{i}") for i in range(1, 6)} == only(found.only_one).keys()
        assert {("change", "D3"), ("change", "D4")} == only(found.only_other).keys()
        reason = "not in its population: it counts by incident"
        assert ((168 * HOUR,), reason) == only(found.only_other)["change", "D3"]
        assert ("(no such argument)", ["rolled_back", "next_success"]) == (
            found.arguments["recovered_by"]
        )
        assert ("time to restore", "failed deployment recovery time") == found.arguments["figure"]

    def test_restore_with_other_values(self):
        """Whole hours from the cause to the close, against exact ones from detection."""
        found = compared("dora", "four_keys", metric="restore")
        assert (((10 * HOUR,), (11 * HOUR,)), ("", "")) == changed(found)["I4"]
        assert {"I1", "I2", "I3", "I4", "I5"} == changed(found).keys()
        assert ((), ()) == (found.only_one, found.only_other)

    def test_an_open_incident_against_one_that_is_resolved_but_not_closed(self):
        """Who waits for the close says so."""
        streams = log(incident("I1", detected(0), resolved(2)))
        waits = Preset(name="waits", about="", restore=TimeToRestore(end="closed"))
        sides = side_by_side(streams, presets=[waits], metric="restore")
        found = sides.between("dora", "waits")
        assert {("incident", "I1"): ((2 * HOUR,), "missing(closed)")} == only(found.only_one)

    def test_what_the_other_does_not_even_look_at(self):
        """Where the other has nothing at all, there is no kind to name."""
        streams = log(
            deployment("D1", 0), incident("I1", detected(1), caused_by("D1", 1), resolved(2))
        )
        found = compared("dora", "datadog", metric="restore", streams=streams, window=None)
        assert {("incident", "I1"): ((HOUR,), "not in its population")} == only(found.only_one)

    def test_lead_time_of_commits_and_of_pull_requests(self):
        """Ids of another kind are of another population."""
        found = compared("dora", "gitlab", metric="lead_time")
        assert {("commit", f"c{i}") for i in range(1, 5)} == only(found.only_one).keys()
        assert {("pull request", f"p{i}") for i in range(1, 4)} == only(found.only_other).keys()

    def test_a_definition_that_counts_an_incident_twice(self):
        """Every stretch counts by itself: both values are told."""
        streams = log(incident("I1", detected(0), resolved(1), reopened(4), resolved(6)))
        mine = Preset(
            name="stretches",
            about="each",
            restore=attrs.evolve(PRESETS["dora"].restore, reopened="each"),
        )
        found = compared("dora", mine, metric="restore", streams=streams, window=None)
        assert {"I1": (((6 * HOUR,), (HOUR, 2 * HOUR)), ("", ""))} == changed(found)
        assert "    incident I1: 6 h in dora, 1 h + 2 h in stretches" in found.explain()

    def test_recovery_per_incident_is_of_incidents(self):
        """Its ids are those of incidents, so they can be set beside time to restore."""
        mine = Preset(name="mine", about="ours", restore=FailedDeploymentRecovery(per="incident"))
        found = compared("dora", mine, metric="restore")
        assert {("incident", "I3"), ("incident", "I4"), ("incident", "I5")} == only(
            found.only_one
        ).keys()
        assert {"I1", "I2"} == changed(found).keys()

    def test_windows_of_their_own(self):
        """What lies in one window only is not blamed on the denominator."""
        mine = Preset(
            name="mine",
            about="ours",
            change_failure_rate=ChangeFailureRate(
                window=(at(100), at(10_000)), denominator="successful"
            ),
        )
        found = compared("dora", mine, window=None)
        reasons = {one.id: one.reason for one in found.only_one}
        assert ("not in its population", "not in its denominator (successful)") == (
            reasons["D1"],
            reasons["D4"],
        )

    def test_nothing_differs(self):
        """Two names for one definition."""
        mine = Preset(name="mine", about="ours")
        assert "dora and mine\n  nothing differs" == compared("dora", mine).explain()

    def test_explain(self):
        """The numbers, then for each pair the arguments, who is missing where and why."""
        told = side_by_side(FACTS, presets=("dora", "devlake"), window=WINDOW).explain()
        assert told.startswith(
            "change_failure_rate\n  dora: 50 %, n = 6\n  devlake: 75 %, n = 4\n\ndora and devlake"
        )
        for line in (
            "  attribution: stated in dora, latest_before in devlake",
            "  failed_by: incident + rolled_back + failed + repaired in dora, incident in devlake",
            "  only in dora: 2",
            "    2 not in devlake: not in its denominator (successful)",
            "      change D4: 1 (rolled back)",
            "  in both, with other values: 2",
            "    change D3: 0 in dora, 1 (incident I4 (inferred)) in devlake",
        ):
            assert line in told.split("\n")

    def test_explain_of_what_needs_no_reason(self):
        """A commit is counted because it is there."""
        told = compared("dora", "gitlab", metric="lead_time").explain()
        assert "      pull request p1: 1 h\n" in told

    def test_as_dict_is_json(self):
        """Plain values, with and without populations."""
        found = side_by_side(FACTS, window=WINDOW, metric="restore")
        plain, full = (found.as_dict(population=whether) for whether in (False, True))
        assert (plain, full) == (json.loads(json.dumps(plain)), json.loads(json.dumps(full)))
        assert ("restore", list(PRESETS)) == (plain["metric"], list(plain["figures"]))
        assert plain["figures"]["dora"]["included"] is None
        difference, listed = plain["differences"][0], full["differences"][0]
        assert "I1" == listed["changed"][0]["id"]
        assert difference.keys() == listed.keys()
        for name in ("only_one", "only_other", "changed"):
            assert (None, len(listed[name])) == (difference[name], difference["counts"][name])
        assert len(listed["only_one"]) == sum(difference["why_only_one"].values())

    def test_common_arguments(self):
        """They go to every preset alike."""
        found = side_by_side(FACTS, window=WINDOW, services=("shop",), metric="lead_time")
        assert {("shop",)} == {one.definition.services for one in found.figures.values()}
        assert {"lead_time": 2} == {"lead_time": found.figures["dora"].n}

    def test_what_cannot_be_compared(self):
        """Unknown metrics and presets, a name twice, and a pair that was not asked for."""
        with pytest.raises(InvalidValue, match="change_failure_rate, restore, lead_time, depl"):
            side_by_side(FACTS, metric="rework_rate")
        with pytest.raises(InvalidValue, match="one of dora, devlake"):
            side_by_side(FACTS, presets=("dora", "jira"))
        with pytest.raises(InvalidValue, match="one of dora, devlake"):
            side_by_side(FACTS, against="jira")
        with pytest.raises(InvalidValue, match="each name once"):
            side_by_side(FACTS, presets=("dora", Preset(name="dora", about="mine")))
        found = side_by_side(FACTS, presets=("gitlab",))
        with pytest.raises(InvalidValue, match="one of dora, gitlab"):
            found.between("gitlab", "pelorus")
        with pytest.raises(InvalidValue, match="one of none"):
            side_by_side(FACTS, presets=("dora",)).between("dora", "gitlab")


def test_the_effects_add_up():
    """What is told of a rate is enough to get from one number to the other."""
    found = side_by_side(FACTS, window=WINDOW, presets=("dora", "devlake"))
    one, other = (found.figures[name] for name in ("dora", "devlake"))
    difference = found.between("dora", "devlake")
    failed = one.value * one.n
    failed -= sum(sum(member.values) for member in difference.only_one)
    failed += sum(sum(both.values[1]) - sum(both.values[0]) for both in difference.changed)
    assert other.value == failed / (one.n - len(difference.only_one))


def test_a_roll_back_recorded_on_the_change_is_the_remedy_that_counts():
    """Datadog's order: its own roll back first, then the next deployment that did not fail."""
    streams = log(
        deployment("D1", 0, ChangeRolledBack(at=at(2), by="ci")),
        deployment("D2", 1),
        deployment("D3", 10),
    )
    figure = dora_report(streams, preset="datadog").restore
    assert [("D1", 2 * HOUR)] == [(one.id, one.value) for one in figure.included]
