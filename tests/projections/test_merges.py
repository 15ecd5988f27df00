"""
Merging loses nothing and invents nothing: one case for each rule, with exact values.

Times are hours: A is detected at 0, B at half past, A is merged into B, and B is resolved at 1,
unless a case says otherwise.
"""

from functools import partial
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcm.domain.incident import Status
from imcm.domain.incident_events import (
    IncidentDetected,
    IncidentMerged,
    IncidentMitigated,
    IncidentResolved,
    IncidentStatus,
    IncidentTriaged,
)
from imcm.domain.vocabulary import (
    Degree,
    HoldReason,
    Impact,
    Mode,
    ServiceImpact,
    Severity,
    Symptom,
    Verdict,
)
from imcm.projections.facts.fold import FactsFold, Spell, facts
from imcm.projections.figures.availability import availability, downtime, user_impact
from imcm.projections.figures.failures import change_failure_rate
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.frequency import rework_rate
from imcm.projections.figures.recovery import failed_deployment_recovery_time
from imcm.projections.figures.restore import (
    time_to_acknowledge,
    time_to_detect,
    time_to_mitigate,
    time_to_restore,
)
from imcm.projections.histories.anomalies import Oddity, anomalies
from imcm.projections.reports.restated import restated
from projections.log import (
    HOUR,
    acknowledged,
    at,
    between,
    caused_by,
    cleared_of,
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
    stated,
    take,
    triaged,
    unmerged,
)

DAY = (at(-24), at(48))
A = (detected(0), merged_into("B", 0.75))
B = (detected(0.5), resolved(1))


def two(a=A, b=B, *more, **fields):
    return log(incident("A", *a), incident("B", *b), *more, **fields)


def rows(story, **cut):
    return {row.id: row for row in facts(story, **cut).incidents}


def spells(row):
    """Return the starts and ends of what it was open, in hours."""
    return [
        tuple(None if moment is None else (moment - at(0)).total_seconds() / HOUR for moment in one)
        for one in ((spell.started, spell.resolved) for spell in row.spells)
    ]


def hit(customers, *services, hours=0.6, **fields):
    impact = Impact(
        customers=customers,
        services=tuple(ServiceImpact(service=name, degree=degree) for name, degree in services),
    )
    return take("update_impact", hours, impact=impact, **fields)


def fixed_by(change, hours=1):
    return take("link_change", hours, change=change, verdict=Verdict.FIXED)


def by_group(figure):
    return {group.group: group.value for group in figure.groups}


def left_out(figure):
    return {one.id: one.reason for one in figure.left_out}


class TestTheThreeThatWereWrong:
    def test_the_whole_lasts_from_its_earliest_member_on(self):
        figure = time_to_restore(two())

        assert (3600.0, 1) == (figure.value, figure.n)
        assert {"A": "merged into B"} == left_out(figure)

    def test_downtime_of_a_service_is_what_each_member_says_of_it(self):
        story = two(
            (detected(0, services=("api",)), merged_into("B", 0.75)),
            (detected(0.5, services=("web",)), resolved(1)),
        )
        figure = downtime(story, group_by="service")

        assert {"api": 3600.0, "web": 1800.0} == by_group(figure)
        assert 3600.0 == figure.value
        assert [3600.0, 1800.0, 3600.0] == [
            downtime(story, services=asked).value for asked in (["api"], ["web"], ["api", "web"])
        ]

    def test_the_highest_severity_is_the_highest_that_one_held(self):
        story = two(
            (detected(0), triaged(0.1, Severity.P1), merged_into("B", 0.75)),
            (detected(0.5), triaged(0.6, Severity.P4), resolved(1)),
        )
        row = rows(story)["B"]

        assert ("P4", "P4", "P1") == (row.severity_first, row.severity_last, row.severity_highest)
        for which, severity in (("first", "P4"), ("last", "P4"), ("highest", "P1")):
            asked = partial(time_to_restore, story, severity=which)
            assert {severity: 3600.0} == by_group(asked(group_by="severity"))
            assert 3600.0 == asked(severities=[severity]).value


class TestMoments:
    @pytest.mark.parametrize(
        ("name", "a", "b", "expected"),
        [
            ("impact_started_at", {"impact_started_at": at(-1)}, {}, at(-1)),
            ("impact_started_at", {}, {"impact_started_at": at(0.2)}, at(0.2)),
            (
                "impact_started_at",
                {"impact_started_at": at(-0.5)},
                {"impact_started_at": between(-3, 1)},
                between(-3, 1),
            ),
            ("declared_at", {"declared_at": at(0)}, {"declared_at": at(0.5)}, at(0)),
            ("declared_at", {}, {"declared_at": at(0.5)}, at(0.5)),
        ],
        ids=["of one", "of the target", "uncertain", "of both", "declared: of the target"],
    )
    def test_the_earliest_counts(self, name, a, b, expected):
        story = two((detected(0, **a), merged_into("B", 0.75)), (detected(0.5, **b), resolved(1)))

        assert expected == getattr(rows(story)["B"], name)

    def test_of_acknowledgement_declaration_and_triage_too(self):
        row = rows(
            two(
                (detected(0), declared(0.1), triaged(0.3), merged_into("B", 0.75)),
                (detected(0.5), acknowledged(0.6), triaged(0.7), resolved(1)),
            )
        )["B"]

        assert (at(0), at(0.1), at(0.6)) == (row.detected_at, row.declared_at, row.acknowledged_at)
        assert (True, at(0.3)) == (row.triaged, row.triaged_at)

    def test_durations_start_at_them(self):
        story = two(
            (detected(0, impact_started_at=at(-1)), acknowledged(0.25), merged_into("B", 0.75))
        )

        assert (HOUR, HOUR / 4) == (time_to_detect(story).value, time_to_acknowledge(story).value)


class TestTimesItWasOpen:
    """The union of the members' own, one that was open at the merge until the target's end."""

    @pytest.mark.parametrize(
        ("a", "b", "expected"),
        [
            (A, B, [(0, 1)]),
            ((detected(0), resolved(0.2), merged_into("B", 0.75)), B, [(0, 0.2), (0.5, 1)]),
            ((detected(0), resolved(0.5), merged_into("B", 0.75)), B, [(0, 1)]),
            ((detected(0), resolved(2), merged_into("B", 3)), B, [(0, 2)]),
            ((detected(0.7), merged_into("B", 0.75)), B, [(0.5, 1)]),
            (A, (detected(0.5),), [(0, None)]),
            (A, (detected(0.5), resolved(1), reopened(3), resolved(4)), [(0, 1), (3, 4)]),
            (
                (detected(2), merged_into("B", 2.5)),
                (detected(0.5), resolved(1), reopened(3), resolved(4)),
                [(0.5, 1), (2, 4)],
            ),
            ((detected(2), merged_into("B", 2.5)), B, [(0.5, 1)]),
            (
                (detected(0), resolved(0.1), reopened(0.2), resolved(0.3), merged_into("B", 0.75)),
                B,
                [(0, 0.1), (0.2, 0.3), (0.5, 1)],
            ),
            (
                (detected(0), resolved(0.1), reopened(0.2), merged_into("B", 0.75)),
                B,
                [(0, 0.1), (0.2, 1)],
            ),
        ],
        ids=[
            "open at the merge",
            "over before the target began",
            "over when the target began",
            "over after the target",
            "within the target's",
            "the target goes on",
            "the target was reopened",
            "begun in a gap, up to the next end",
            "begun when all was over",
            "reopened itself, and over",
            "reopened itself, and open",
        ],
    )
    def test_union(self, a, b, expected):
        row = rows(two(a, b))["B"]

        assert expected == spells(row)
        assert len(expected) - 1 == row.reopenings

    GAP = two((detected(0), resolved(0.2), merged_into("B", 0.75)))

    @pytest.mark.parametrize(
        ("reopened", "values"),
        [("last", [1]), ("first", [0.2]), ("open_time", [0.7]), ("each", [0.2, 0.5])],
    )
    def test_a_gap_is_a_reopening_so_the_argument_decides(self, reopened, values):
        figure = time_to_restore(self.GAP, reopened=reopened)

        assert [pytest.approx(value * HOUR) for value in values] == list(figure.values())

    def test_downtime_leaves_the_gap_out(self):
        figure = downtime(self.GAP)

        assert (0.7 * HOUR, 2) == (pytest.approx(figure.value), figure.counts["outages"])

    def test_overlapping_members_count_once(self):
        figure = downtime(two())

        assert (3600.0, 1, 1) == (figure.value, figure.n, figure.counts["outages"])
        assert [("B", 3600.0)] == [(one.id, one.value) for one in figure.included]

    def test_one_that_goes_on_is_still_open(self):
        figure = downtime(facts(two(A, (detected(0.5),)), as_of=at(2)))

        assert (2 * HOUR, 1) == (figure.value, figure.counts["still open"])

    def test_mitigated_is_when_nobody_was_hurt_any_more(self):
        """Of each the target's mitigation is its own, where it had none and began before that."""
        story = two(A, (detected(0.5), mitigated(0.9), resolved(1)))
        assert 0.9 * HOUR == pytest.approx(time_to_mitigate(story).value)

        hurt = two((detected(0), resolved(0.8), merged_into("B", 0.9)), (*B[:1], mitigated(0.7)))
        assert None is rows(hurt)["B"].mitigated_at

        before = (detected(0), mitigated(0.2), merged_into("B", 0.75))
        assert None is rows(two(before))["B"].mitigated_at
        over = (detected(0), resolved(0.2), merged_into("B", 0.75))
        late = rows(two(over, (detected(0.1), mitigated(0.9), resolved(1))))["B"]
        assert at(0.9) == late.mitigated_at

    def test_a_mitigation_before_one_began_is_none_of_it(self):
        row = rows(two((detected(0.9), merged_into("B", 0.95)), (*B[:1], mitigated(0.6), B[1])))[
            "B"
        ]

        assert (at(0.6), None) == (row.alone.mitigated_at, row.members[1].mitigated_at)
        assert None is row.mitigated_at

    def test_closed_is_the_last_close_of_all(self):
        ended = (detected(0), triaged(0.1), resolved(0.6), closed(3), merged_into("B", 4))
        row = rows(two(ended, (detected(0.5), triaged(0.6), resolved(1), closed(2))))["B"]

        assert (at(1), at(3)) == (row.resolved_at, row.closed_at)

    def test_what_nobody_knows_stays_unknown(self):
        """Imported, and resolved nobody knows when: what comes after is a spell of its own."""
        a = imported(
            "A",
            IncidentDetected(at=at(0), by="x"),
            IncidentResolved(at=None, by="x"),
            IncidentMerged(at=None, by="x", into="B"),
        )
        row = rows(log(a, incident("B", *B)))["B"]

        assert [(0, None), (0.5, 1)] == spells(row)
        assert (True, True) == tuple(spell.over for spell in row.spells)
        assert {"B": "missing(resolved)"} == {
            id_: why
            for id_, why in left_out(downtime(log(a, incident("B", *B)))).items()
            if id_ == "B"
        }

    def test_where_one_end_within_the_others_is_unknown_so_is_the_end_of_all(self):
        a = imported(
            "A",
            IncidentDetected(at=at(0.7), by="x"),
            IncidentResolved(at=None, by="x"),
            IncidentMerged(at=None, by="x", into="B"),
        )

        assert (Spell(at(0.5), None, None, None, True),) == rows(log(a, incident("B", *B)))[
            "B"
        ].spells

    @pytest.mark.parametrize(
        ("events", "expected"),
        [
            ((IncidentDetected(at=None, by="x"),), [(0.5, 1)]),
            (
                (IncidentDetected(at=None, by="x"), IncidentResolved(at=None, by="x")),
                [(None, None), (0.5, 1)],
            ),
            (
                (IncidentDetected(at=None, by="x"), IncidentResolved(at=at(0.2), by="x")),
                [(None, 0.2), (0.5, 1)],
            ),
            (
                (IncidentDetected(at=None, by="x"), IncidentMitigated(at=at(0.2), by="x")),
                [(0.5, 1)],
            ),
        ],
        ids=["open", "over", "resolved", "mitigated"],
    )
    def test_a_detection_nobody_knows(self, events, expected):
        a = imported("A", *events, IncidentMerged(at=None, by="x", into="B"))
        row = rows(log(a, incident("B", *B)))["B"]

        assert expected == spells(row)
        assert at(0.5) == row.detected_at

    def test_one_that_its_source_ended_after_the_merge_keeps_that_end(self):
        told = {"by": "x"}
        a = imported(
            "A",
            IncidentDetected(at=at(0), **told),
            IncidentMerged(at=None, into="B", **told),
            IncidentResolved(at=at(0.25), **told),
        )
        story = log(a, incident("B", detected(0.5)))
        row = rows(story)["B"]

        assert [(0, 0.25), (0.5, None)] == spells(row)
        assert IncidentStatus.RESOLVED is row.members[1].status
        assert "missing(closed)" in [one.reason for one in downtime(story, end="closed").left_out]

    def test_both_of_which_nothing_is_known(self):
        a, b = (
            imported(id_, IncidentDetected(at=None, by="x"), *more)
            for id_, more in (("A", [IncidentMerged(at=None, by="x", into="B")]), ("B", []))
        )

        assert [(None, None)] == spells(rows(log(a, b))["B"])


class TestAsOf:
    """The whole exists from its earliest member on."""

    STORY = two(
        (
            detected(0, services=("api",), symptom=Symptom.ERRORS),
            triaged(0.1, Severity.P2),
            merged_into("B", 0.75),
        ),
        (detected(0.5, services=("web",)), triaged(0.6, Severity.P3), resolved(1)),
    )

    def test_before_the_target_was_detected_its_id_stands_for_it(self):
        found = rows(self.STORY, as_of=at(0.25))
        row = found["B"]

        assert ("B", IncidentStatus.TRIAGED, at(0)) == (row.id, row.status, row.detected_at)
        assert (("api",), "P2", Symptom.ERRORS) == (row.services, row.severity_last, row.symptom)
        assert [(0, None)] == spells(row)
        assert ("B", ("A",)) == (found["A"].merged_into, row.merged)

    def test_so_figures_count_it(self):
        figure = time_to_restore(facts(self.STORY, as_of=at(0.25)))

        assert (1, {"A": "merged into B", "B": "pending"}) == (
            figure.counts["still open"],
            left_out(figure),
        )
        assert HOUR / 4 == downtime(facts(self.STORY, as_of=at(0.25))).value

    def test_before_the_merged_was_detected_the_target_is_by_itself(self):
        story = two((detected(0.7), merged_into("B", 0.75)))
        row = rows(story, as_of=at(0.6))["B"]

        assert [(0.5, None)] == spells(row)
        assert ("A", IncidentStatus.NOTHING) == (row.members[1].id, row.members[1].status)

    def test_before_anybody_detected_anything_there_is_none(self):
        row = rows(self.STORY, as_of=at(-1))["B"]

        assert (IncidentStatus.NOTHING, ("A",), ()) == (row.status, row.merged, row.members)

    def test_of_several_the_one_that_is_not_over_says_the_status(self):
        story = log(
            incident("A", detected(0), triaged(0.1), resolved(0.2), merged_into("C", 3)),
            incident("B", detected(0.1), acknowledged(0.15), merged_into("C", 3)),
            incident("C", detected(2), resolved(4)),
        )
        row = rows(story, as_of=at(1))["C"]

        assert (IncidentStatus.DETECTED, [(0, None)]) == (row.status, spells(row))
        assert (IncidentStatus.RESOLVED, [(0, 4)]) == (
            rows(story)["C"].status,
            spells(rows(story)["C"]),
        )

    def test_what_is_merged_into_one_not_yet_there_lasts_until_the_end_of_the_last(self):
        story = log(
            incident("A", detected(0), merged_into("B", 3)),
            incident("B", detected(2), merged_into("C", 4)),
            incident("C", detected(0.5), resolved(1)),
        )

        assert [(0, 1)] == spells(rows(story, as_of=at(1.5))["C"])


class TestWhatElseIsUnited:
    def test_services_the_targets_first(self):
        story = log(
            incident("A", detected(0, services=("x", "b")), merged_into("C", 1)),
            incident("B", detected(0, services=("a", "x")), merged_into("C", 1)),
            incident("C", detected(0, services=("web", "a"))),
        )

        assert ("web", "a", "x", "b") == rows(story)["C"].services

    def test_customers_are_the_largest_number_said(self):
        a = (detected(0), hit(100, ("api", Degree.AT_RISK), ("db", Degree.DOWN)), A[1])
        b = (*B[:1], hit(40, ("api", Degree.DOWN)), B[1])
        told = rows(two(a, b))["B"].impact

        assert 100 == told.customers
        assert [("api", Degree.DOWN), ("db", Degree.DOWN)] == [
            (one.service, one.degree) for one in told.services
        ]
        assert 100 == rows(two(a))["B"].impact.customers

    @pytest.mark.parametrize(
        ("a", "b", "hours"),
        [
            (100, 40, 100),
            (40, 100, 70),
            (100, None, 100),
            (None, 40, 20),
        ],
        ids=["more before", "more later", "of one alone", "of the target alone"],
    )
    def test_customers_times_time_is_the_most_said_at_each_time(self, a, b, hours):
        impacts = [[] if many is None else [hit(many)] for many in (a, b)]
        figure = user_impact(two((A[0], *impacts[0], A[1]), (B[0], *impacts[1], B[1])))

        assert hours * HOUR == figure.value
        assert [("B", hours * HOUR)] == [(one.id, one.value) for one in figure.included]

    def test_customers_where_times_do_not_meet(self):
        a = (detected(0), hit(10, hours=0.1), resolved(0.25), merged_into("B", 0.75))
        figure = user_impact(two(a, (B[0], hit(4), B[1])))

        assert 4.5 * HOUR == figure.value

    def test_nobody_said_how_many(self):
        figure = user_impact(two())

        assert {"A": "merged into B", "B": "missing(customers)"} == left_out(figure)

    @pytest.mark.parametrize(
        ("a", "b", "expected"),
        [
            ("staging", "live", "live"),
            ("live", "staging", "live"),
            (None, "staging", None),
            ("test", "staging", "staging"),
        ],
    )
    def test_production_if_one_is(self, a, b, expected):
        story = two((detected(0, environment=a), A[1]), (detected(0.5, environment=b), resolved(1)))

        assert expected == rows(story)["B"].environment
        assert (None if expected == "staging" else HOUR) == time_to_restore(story).value

    @pytest.mark.parametrize(
        ("a", "b", "expected"),
        [
            (Mode.REAL, Mode.DRILL, Mode.REAL),
            (Mode.DRILL, Mode.REAL, Mode.REAL),
            (Mode.DRILL, Mode.TEST, Mode.TEST),
        ],
    )
    def test_real_if_one_is(self, a, b, expected):
        story = two((detected(0, mode=a), A[1]), (detected(0.5, mode=b), resolved(1)))

        assert expected is rows(story)["B"].mode
        assert (HOUR if expected is Mode.REAL else None) == time_to_restore(story).value

    def test_labels_the_targets_and_those_it_lacks(self):
        story = two(
            (detected(0, labels={"team": "core", "tier": "1"}), A[1]),
            (detected(0.5, labels={"team": "web"}), resolved(1)),
        )

        assert {"team": "web", "tier": "1"} == rows(story)["B"].labels
        assert HOUR == time_to_restore(story, labels={"tier": "1", "team": "web"}).value

    def test_waits_relapses_reviews_and_symptom_are_the_targets(self):
        held = take("hold", 0.2, reason=HoldReason.VENDOR)
        a = (
            *(detected(0, symptom=Symptom.DISK), mitigated(0.1), reopened(0.15), held),
            *(resolved(0.3), take("record_review", 0.4, what_happened="x"), merged_into("B", 0.75)),
        )
        row = rows(two(a, (detected(0.5, symptom=Symptom.CPU), resolved(1))))["B"]

        assert (Symptom.CPU, 0, (), 0) == (row.symptom, row.relapses, row.holds, row.reviewed)

    def test_severities_after_a_change(self):
        a = (detected(0), triaged(0.1, Severity.P3), severity_changed(0.2, Severity.P2), A[1])
        b = (B[0], triaged(0.6, Severity.P4), severity_changed(0.7, Severity.P3), B[1])
        row = rows(two(a, b))["B"]

        assert ("P4", "P3", "P2") == (row.severity_first, row.severity_last, row.severity_highest)

    def test_positions_are_those_of_all(self):
        row = rows(two())["B"]

        assert ((1, 2, 3, 4), (3, 4)) == (row.positions, row.alone.positions)


class TestCauses:
    """Stated or inferred for each by itself, then united; the target's word wins."""

    DEPLOYED = (
        deployment("CHG-1", -2, services=("api",)),
        deployment("CHG-2", -1, services=("web",)),
    )

    def story(self, a=(), b=(), *more, api=("api",), web=("web",)):
        return two(
            (detected(0, services=api), *a, merged_into("B", 0.75)),
            (detected(0.5, services=web), *b, resolved(1)),
            *(more or self.DEPLOYED),
        )

    def failed(self, story, **fields):
        figure = change_failure_rate(story, **fields)
        return {one.id: one.why for one in figure.included if one.value}

    @pytest.mark.parametrize(
        ("a", "b", "expected"),
        [
            ([caused_by("CHG-1")], [], {"CHG-1"}),
            ([caused_by("CHG-1")], [caused_by("CHG-2")], {"CHG-1", "CHG-2"}),
            ([caused_by("CHG-1")], [cleared_of("CHG-1")], set()),
            ([cleared_of("CHG-1")], [caused_by("CHG-1")], {"CHG-1"}),
        ],
        ids=["of one", "of both", "the target says no", "the target says yes"],
    )
    def test_stated(self, a, b, expected):
        found = self.failed(self.story(a, b))

        assert dict.fromkeys(expected, "incident B") == found

    def test_one_merged_says_no_for_itself_alone(self):
        story = log(
            incident("A", detected(0), caused_by("CHG-1"), merged_into("M", 2)),
            incident("C", detected(0), cleared_of("CHG-1"), merged_into("M", 2)),
            incident("M", detected(0), resolved(3)),
            self.DEPLOYED[0],
        )

        assert {"CHG-1": "incident M"} == self.failed(story)

    LATEST: ClassVar = {"attribution": "latest_before"}

    def test_each_is_laid_by_its_own_services_and_its_own_detection(self):
        more = (*self.DEPLOYED, deployment("CHG-3", 0.25, services=("api",)))
        before = change_failure_rate(
            log(
                incident("A", detected(0, services=("api",))),
                incident("B", detected(0.5, services=("web",)), resolved(1)),
                *more,
            ),
            **self.LATEST,
        )
        after = change_failure_rate(self.story((), (), *more), **self.LATEST)

        assert before.value == after.value == 2 / 3
        assert {"CHG-1": "incident B (inferred)", "CHG-2": "incident B (inferred)"} == self.failed(
            self.story((), (), *more), **self.LATEST
        )

    def test_one_stated_does_not_stop_another_from_being_inferred(self):
        found = self.failed(self.story([caused_by("CHG-9")], []), **self.LATEST)
        assert {"CHG-2": "incident B (inferred)"} == found
        found = self.failed(self.story([], [caused_by("CHG-2")]), **self.LATEST)
        assert {"CHG-1": "incident B (inferred)", "CHG-2": "incident B"} == found

    def test_what_is_stated_and_inferred_counts_once_as_stated(self):
        story = self.story([], [caused_by("CHG-1")])
        links = change_failure_rate(story, numerator="links", **self.LATEST)

        assert {"CHG-1": "incident B"} == self.failed(story, **self.LATEST)
        assert 1 == links.counts["links"]

    def test_what_the_target_was_cleared_of_is_not_inferred(self):
        assert {"CHG-2": "incident B (inferred)"} == self.failed(
            self.story([], [cleared_of("CHG-1")]), **self.LATEST
        )

    def test_both_inferred_of_one_change_is_one_link(self):
        story = self.story(web=("api",))

        assert 1 == change_failure_rate(story, numerator="links", **self.LATEST).counts["links"]

    def test_one_that_is_laid_to_none_is_named(self):
        story = self.story(api=("x",), web=("y",))
        figure = change_failure_rate(story, **self.LATEST)

        assert {"A": "merged into B", "B": "no deployment to lay it to"} == left_out(figure)
        stated = self.story([caused_by("CHG-1")], api=("x",), web=("y",))
        assert {"A": "merged into B"} == left_out(change_failure_rate(stated, **self.LATEST))

    @pytest.mark.parametrize(
        ("window", "expected"),
        [
            ((at(-9), at(0.25)), {"CHG-1": "incident B"}),
            ((at(-1), at(0.6)), {"CHG-2": "incident B (inferred)"}),
            ((at(-9), at(9)), {"CHG-1": "incident B", "CHG-2": "incident B (inferred)"}),
            ((at(-9), at(-0.5)), {}),
        ],
    )
    def test_incidents_in_the_window_are_those_members_that_are(self, window, expected):
        story = self.story([caused_by("CHG-1")])

        assert expected == self.failed(story, incidents_in="window", window=window, **self.LATEST)

    def test_one_placed_by_an_uncertain_detection(self):
        story = two(
            (detected(0, services=("api",)), merged_into("B", 0.75)),
            (detected(between(0.4, 0.6), services=("web",)), resolved(1)),
            *self.DEPLOYED,
        )

        assert ["CHG-1", "CHG-2"] == sorted(self.failed(story, **self.LATEST))

    def test_recovery_is_when_all_was_over(self):
        story = self.story([caused_by("CHG-1")])

        assert 3 * HOUR == failed_deployment_recovery_time(story).value

    def test_a_change_that_fixed_one_is_rework_whatever_another_says_of_it(self):
        story = log(
            incident("A", detected(0), caused_by("CHG-1"), merged_into("M", 2)),
            incident("C", detected(0), fixed_by("CHG-1"), merged_into("M", 2)),
            incident("M", detected(0), resolved(3)),
            deployment("CHG-1", -2),
        )
        figure = rework_rate(story)

        assert (1.0, ["fixed M"]) == (figure.value, [one.why for one in figure.included])
        assert {"CHG-1": "incident M"} == self.failed(story)

    def test_what_is_fixed_by_one(self):
        assert 0.5 == rework_rate(self.story([fixed_by("CHG-1")])).value


class TestDismissed:
    def test_with_the_target_all_are_left_out_each_named(self):
        story = two(A, (detected(0.5), dismissed(1)))
        figure = time_to_restore(story)

        assert {"A": "merged into B", "B": "dismissed (false_positive)"} == left_out(figure)
        assert 0.0 == downtime(story, window=DAY).value

    def test_one_that_was_none_adds_nothing(self):
        """It was dismissed before it was merged, and fails no change either."""
        a = (
            detected(0, services=("x",)),
            triaged(0.1, Severity.P1),
            caused_by("CHG-1"),
            dismissed(0.2),
            merged_into("B", 2),
        )
        story = two(a, B, deployment("CHG-1", -2))
        row = rows(story)["B"]

        assert (at(0.5), ("pay",), None, {}) == (
            *(row.detected_at, row.services, row.severity_highest, row.verdicts),
        )
        assert (("A",), ()) == (row.merged, row.members)
        assert HOUR / 2 == time_to_restore(story).value
        assert 0.0 == change_failure_rate(story).value

    def test_nor_does_what_had_been_merged_into_it(self):
        story = log(
            incident("A", detected(0), merged_into("B", 1)),
            incident("B", detected(0), dismissed(1.5), merged_into("C", 2)),
            incident("C", detected(1), resolved(3)),
        )

        assert (at(1), ("A", "B")) == (rows(story)["C"].detected_at, rows(story)["C"].merged)


class TestChainsAndStars:
    def test_a_chain_of_three(self):
        story = log(
            incident("A", detected(0, services=("a",)), merged_into("B", 0.6)),
            incident("B", detected(0.5, services=("b",)), resolved(0.7), merged_into("C", 2)),
            incident("C", detected(1, services=("c",)), resolved(3)),
        )
        found = rows(story)

        assert ["C", "C", None] == [row.merged_into for row in found.values()]
        assert [(0, 0.7), (1, 3)] == spells(found["C"])
        assert {"a": 0.7 * HOUR, "b": 0.2 * HOUR, "c": 2 * HOUR} == {
            name: pytest.approx(value)
            for name, value in by_group(downtime(story, group_by="service")).items()
        }
        assert {"A": "merged into C", "B": "merged into C"} == left_out(time_to_restore(story))

    def test_a_star(self):
        story = log(
            *(
                incident(f"A{n}", detected(n / 10, services=(f"s{n}",)), merged_into("B", 1))
                for n in range(5)
            ),
            incident("B", detected(0.5), resolved(2)),
        )
        row = rows(story)["B"]

        assert ("pay", "s0", "s1", "s2", "s3", "s4") == row.services
        assert ["B", "A0", "A1", "A2", "A3", "A4"] == [one.id for one in row.members]
        assert (2 * HOUR, 2 * HOUR) == (time_to_restore(story).value, downtime(story).value)

    def test_a_circle_ends_and_nobody_is_in_a_figure(self):
        told = {"by": "x", "imported": True}
        story = log(
            *(
                imported(
                    one,
                    IncidentDetected(at=at(0), by="x"),
                    IncidentMerged(at=None, into=other, **told),
                )
                for one, other in (("A", "B"), ("B", "A"), ("C", "A"))
            )
        )

        assert {"A": "merged into A", "B": "merged into B", "C": "merged into A"} == left_out(
            time_to_restore(story)
        )
        assert ("A", "C") == rows(story)["A"].merged

    def test_a_target_that_is_not_there_is_named(self):
        story = log(
            imported(
                "A", IncidentDetected(at=at(0), by="x"), IncidentMerged(at=None, by="x", into="Z")
            )
        )

        assert {"A": "merged into Z"} == left_out(time_to_restore(story))


class TestTakenBack:
    A = (
        *(detected(0, services=("api",), labels={"tier": "1"}, impact_started_at=at(-1)),),
        *(acknowledged(0.1), triaged(0.2, Severity.P1), hit(9), caused_by("CHG-1")),
    )
    B = (detected(0.5, services=("web",)), triaged(0.6, Severity.P4))
    END = (resolved(1),)

    def test_everything_is_as_before_to_the_value(self):
        more = (deployment("CHG-1", -2, services=("api",)),)
        plain = two(self.A, (*self.B, *self.END), *more)
        back = two((*self.A, merged_into("B", 0.75), unmerged(3)), (*self.B, *self.END), *more)
        for story in (plain, back):
            for row in facts(story).incidents:
                assert ((), (), None) == (row.merged, row.members, row.before_merge)
        one, other = (
            [row._replace(positions=()) for row in facts(story).incidents]
            for story in (plain, back)
        )
        assert one == other
        for figure in (time_to_restore, downtime, change_failure_rate, user_impact, time_to_detect):
            was, now = (figure(story, group_by="service") for story in (plain, back))
            assert (was.value, by_group(was)) == (now.value, by_group(now))

    def test_one_link_of_a_chain(self):
        story = log(
            incident("A", detected(0), merged_into("B", 1)),
            incident("B", detected(0.5), merged_into("C", 2), unmerged(3), resolved(4)),
            incident("C", detected(2), resolved(5)),
        )

        assert [(0, 4)] == spells(rows(story)["B"])
        assert [(2, 5)] == spells(rows(story)["C"])


class TestKnowledge:
    STORY = log(
        *(incident("A", detected(0, services=("api",))), incident("B", *B)),
        *(("incident:A", (IncidentMerged(at=at(0.75), by="x", into="B"),)),),
    )

    def story(self):
        """A is merged last of all, at position 4."""
        *before, merge = self.STORY
        return [*before, merge._replace(version=2)]

    def test_known_at_hides_the_merge(self):
        assert [1800.0, 3600.0] == [
            time_to_restore(facts(self.story(), known_at=position)).value for position in (3, 4)
        ]

    def test_restated_the_effects_add_up(self):
        found = restated(
            self.story(), lambda known: time_to_restore(known, statistic="sum"), known_at_a=2
        )

        assert (None, 3600.0) == (found.before.value, found.after.value)
        later = restated(
            self.story(), lambda known: time_to_restore(known, statistic="sum"), known_at_a=3
        )
        assert (1800.0, 3600.0, 1800) == (later.before.value, later.after.value, later.difference)
        assert later.exact_difference == sum(one.effect for one in later.changes)
        assert ["IncidentMerged"] == [event.type for event in later.changes[0].events]

    def test_at_every_position_a_fold_says_what_the_prefix_says(self):
        story = TestCauses().story([caused_by("CHG-1")])
        fold = FactsFold()
        for end, recorded in enumerate(story, start=1):
            fold.add(recorded)
            assert facts(story[:end]) == fold.facts()
            for moment in (at(0.25), at(0.6), at(2)):
                assert facts(story[:end], as_of=moment) == fold.facts(as_of=moment)


class TestColumns:
    @pytest.mark.parametrize("moment", [at(0.25), at(0.6), at(9)])
    def test_what_columns_say_is_what_rows_say(self, moment):
        """Services are told apart by groups, which goes row by row."""
        story = TestCauses().story(
            [caused_by("CHG-1")], [], *TestCauses.DEPLOYED, incident("Z", detected(0), resolved(1))
        )
        for figure in (time_to_restore, change_failure_rate, failed_deployment_recovery_time):
            plain: Figure = figure(facts(story, as_of=moment))
            slow: Figure = figure(facts(story, as_of=moment), environments=["*"])
            assert (plain.value, plain.n, plain.counts) == (slow.value, slow.n, slow.counts)

    def test_a_merged_one_is_marked(self):
        told = facts(two()).incidents.columns

        assert ([0, 1], [0, 1], [1, 1]) == (list(told.merged), list(told.counted), list(told.once))


class TestAnomalies:
    def test_each_is_asked_by_itself(self):
        """A stated duration is of the one whose source states it."""
        told = {"by": "x"}
        story = log(
            imported(
                "A",
                IncidentDetected(at=at(0), **told),
                IncidentTriaged(at=at(0), severity=None, **told),
                IncidentMerged(at=None, into="B", **told),
            ),
            imported(
                "B",
                IncidentDetected(at=at(0.5), **told),
                IncidentTriaged(at=at(0.5), severity=None, **told),
                IncidentResolved(at=at(1), **told),
                stated(HOUR / 2),
            ),
        )

        assert () == anomalies(story)

    def test_the_highest_of_all_needed_a_review(self):
        story = two(
            (detected(0), triaged(0.1, Severity.P1), A[1]),
            (detected(0.5), triaged(0.6, Severity.P4), resolved(1), closed(2)),
        )

        assert [("B", Oddity.UNREVIEWED)] == [(one.id, one.oddity) for one in anomalies(story)]


def test_availability_of_each_service():
    story = two(
        (detected(0, services=("api",)), A[1]), (detected(0.5, services=("web",)), resolved(1))
    )
    figure = availability(story, window=(at(0), at(2)), group_by="service")

    assert (0.5, {"api": 0.5, "web": 0.75}) == (figure.value, by_group(figure))


MEMBERS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 9), st.sampled_from("xyz"), st.integers(-1, 3)),
    min_size=2,
    max_size=6,
)
"""When each was detected, how long it was open, of which service, and into which it is merged."""


@given(MEMBERS)
def test_what_was_over_before_it_was_merged_is_as_long_and_fails_as_much(members):
    """Whoever is merged into whom, in chains and stars: time, by service, and failed changes."""
    deployed = [
        deployment(f"CHG-{name}{n}", n, services=(name,)) for name in "xyz" for n in (-1, 9)
    ]

    def story(*, merging):
        return log(
            *(
                incident(
                    f"INC-{n}",
                    *(detected(start, services=(name,)), resolved(start + length)),
                    *([merged_into(f"INC-{into}", 99)] if merging and 0 <= into < n else []),
                )
                for n, (start, length, name, into) in enumerate(members)
            ),
            *deployed,
        )

    apart, together = story(merging=False), story(merging=True)
    for services in (None, ["x"], ["y"], ["z"]):
        assert (
            downtime(apart, services=services).value == downtime(together, services=services).value
        )
    one, other = (
        change_failure_rate(log_, attribution="latest_at_or_before") for log_ in (apart, together)
    )
    assert [(o.id, o.value) for o in one.included] == [(o.id, o.value) for o in other.included]


def test_a_second_merge_of_one_that_is_merged_changes_only_where_to():
    twice = (
        IncidentMerged(at=at(hours), by="x", into=into) for hours, into in ((1, "Y"), (2, "Z"))
    )
    _, events = incident("A", detected(0))
    row = rows(log(("incident:A", (*events, *twice))))["A"]

    assert ("Z", Status.DETECTED) == (row.merged_into, row.before_merge)
