"""Each of the closed list of anomalies once, and none where nothing is odd."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import attrs
import pytest

from imcm import Between, Commit, InvalidValue, dora_report, time_to_restore
from imcm.domain.change_events import (
    ChangeApproved,
    ChangeApprovedRetroactively,
    ChangeClosed,
    ChangeCompleted,
    ChangePlanned,
    ChangeRolledBack,
    ChangeStarted,
    ChangeSubmitted,
    CommitsRecorded,
    RetroactiveApprovalRefused,
)
from imcm.domain.corrections import MomentCorrected
from imcm.domain.incident import INITIAL, detect
from imcm.domain.incident_events import (
    IncidentClosed,
    IncidentDetected,
    IncidentMitigated,
    IncidentResolved,
    IncidentTriaged,
)
from imcm.domain.recorded import Recorded, Source
from imcm.domain.vocabulary import Severity
from imcm.projections.facts.fold import facts
from imcm.projections.histories.anomalies import Anomaly, Oddity, anomalies
from projections.log import (
    acknowledged,
    at,
    between,
    change,
    closed,
    deployment,
    detected,
    dismissed,
    imported,
    incident,
    log,
    mitigated,
    planned,
    reopened,
    resolved,
    stated,
    take,
    triaged,
)


def found(log_):
    """Return of each anomaly the id and what it is."""
    return [(one.id, one.oddity) for one in anomalies(log_)]


def brought_in(*events):
    """Return a log of one imported incident, detected at 1."""
    return log(imported("INC-1", IncidentDetected(at=at(1), by="desk"), *events))


TRIAGED = IncidentTriaged(at=at(1), by="desk", severity=Severity.P2)
RESOLVED = IncidentResolved(at=at(4), by="desk")
CLOSED = IncidentClosed(at=at(5), by="desk")


def test_a_clean_log_has_none():
    story = log(
        incident(
            "INC-1",
            detected(1, impact_started_at=at(0)),
            acknowledged(2),
            triaged(3, severity=Severity.P3),
            mitigated(4),
            reopened(5),
            mitigated(6),
            resolved(7),
            closed(8),
            reopened(9),
            resolved(10),
            closed(11),
        ),
        incident("INC-2", detected(1), dismissed(2)),
        incident("INC-3", detected(1)),
        change(
            "CHG-1",
            planned(0),
            ChangeSubmitted(at=at(1), by="cia"),
            ChangeApproved(at=at(2), by="bob"),
            ChangeStarted(at=at(3), by="ci"),
            ChangeCompleted(at=at(4), by="ci"),
            ChangeClosed(at=at(5), by="cia"),
        ),
        imported("INC-4", IncidentDetected(at=at(1), by="desk"), TRIAGED, RESOLVED, CLOSED),
    )

    assert () == anomalies(story)
    assert () == anomalies(facts(story))
    assert () == anomalies([])


def test_a_moment_before_the_one_that_it_follows():
    one, other = anomalies(brought_in(IncidentResolved(at=at(0), by="desk"), TRIAGED))
    assert f"resolved at {at(0)} before opened at {at(1)}" == other.detail

    assert (
        Anomaly(
            kind="incident",
            id="INC-1",
            oddity=Oddity.END_BEFORE_START,
            detail=f"resolved at {at(0)} before triaged at {at(1)}",
            positions=(1, 2, 3),
        )
        == one
    )


@pytest.mark.parametrize(
    ("mitigated_at", "odd"),
    [(5, True), (between(3, 6), False), (between(4.5, 6), True), (None, False)],
)
def test_an_uncertain_moment_is_odd_only_where_no_reading_is_in_order(mitigated_at, odd):
    story = brought_in(TRIAGED, IncidentMitigated(at=at(mitigated_at), by="desk"), RESOLVED)

    assert ([("INC-1", Oddity.END_BEFORE_START)] if odd else []) == found(story)


def test_an_acknowledgement_before_detection():
    story = log(
        incident("INC-1", detected(1, impact_started_at=at(0)), acknowledged(0.5), triaged(2))
    )

    assert [("INC-1", Oddity.END_BEFORE_START)] == found(story)


@pytest.mark.parametrize(
    ("events", "word"),
    [
        ((RESOLVED,), "resolved"),
        ((IncidentMitigated(at=at(5), by="desk"),), "mitigated"),
    ],
)
def test_a_milestone_before_the_impact_started(events, word):
    began = IncidentDetected(at=at(9), by="desk", impact_started_at=at(8))
    story = log(imported("INC-1", began, TRIAGED, *events))

    details = [a.detail for a in anomalies(story) if a.oddity is Oddity.BEFORE_IMPACT]
    assert [f"triaged at {at(1)}", f"{word} at {events[0].at}"] == details


def test_closed_without_a_resolution():
    assert [("INC-1", Oddity.CLOSED_UNRESOLVED)] == found(brought_in(TRIAGED, CLOSED))


def test_a_moment_after_the_time_it_was_recorded():
    story = log(incident("INC-1", detected(1), acknowledged(9)), now=5)

    (one,) = anomalies(story)

    assert (Oddity.AFTER_RECORDING, "version 2") == (one.oddity, one.detail)


def test_a_status_that_was_skipped():
    """The source has no such status: that is said once, however many there are."""
    assert [("self", Oddity.SKIPPED_STATUS)] == found(brought_in(RESOLVED))
    assert [("self", Oddity.SKIPPED_STATUS)] == found(
        brought_in(IncidentMitigated(at=at(2), by="desk"))
    )
    assert [] == found(brought_in())  # it is not that far
    begun = IncidentDetected(at=at(1), by="desk")
    [one] = anomalies(log(*(imported(f"INC-{n:02}", begun, RESOLVED) for n in range(12))))
    assert one.detail.startswith("triaged, by 12 that a source told without it: INC-00, INC-01,")
    assert one.detail.endswith("INC-09, ... and 2 more")


def test_a_live_incident_that_clears_by_itself_skips_nothing():
    assert [] == found(log(incident("INC-1", detected(1), resolved(2))))


def test_a_change_that_was_closed_without_having_been_implemented():
    story = log(change("CHG-1", planned(0), ChangeClosed(at=at(1), by="cia")))

    (one,) = anomalies(story)

    detail = "implemented, by 1 that a source told without it: CHG-1"
    assert ("ledger", "self", Oddity.SKIPPED_STATUS, detail) == (
        one.kind,
        one.id,
        one.oddity,
        one.detail,
    )


def test_sources_that_disagree():
    desk, mail = Source(name="desk"), Source(name="mail")
    story = brought_in(TRIAGED, RESOLVED)
    correction = MomentCorrected(
        at=at(6), by="mail", version=3, field="at", was=at(4), now=at(5), imported=True
    )
    given_ = [recorded._replace(source=desk) for recorded in story]

    disagreeing = story[0]._replace(version=4, position=4, event=correction, source=mail)
    assert [("INC-1", Oddity.SOURCES_DISAGREE)] == found([*given_, disagreeing])
    assert [] == found([*given_, disagreeing._replace(source=desk)])


@pytest.mark.parametrize(
    ("seconds", "odd"), [(10_800, False), (10_859.999, False), (10_860, True), (10_740, True)]
)
def test_a_stated_duration_that_differs_by_a_minute_or_more(seconds, odd):
    """From 1 to 4: three hours are 10,800 s."""
    story = brought_in(TRIAGED, RESOLVED, stated(seconds))

    assert ([("INC-1", Oddity.STATED_DIFFERS)] if odd else []) == found(story)


def test_what_a_source_states_and_what_the_moments_say_is_told():
    (one,) = anomalies(brought_in(TRIAGED, RESOLVED, stated(60)))

    assert "stated 60 s, by the moments 10800 s" == one.detail


def test_a_stated_duration_without_moments_to_compare_it_with_is_not_odd():
    assert [] == found(brought_in(TRIAGED, stated(60)))


def test_approved_by_the_one_who_asked_for_it_under_any_spelling():
    story = log(change("CHG-1", planned(0), ChangeApproved(at=at(1), by="CIA")))

    (one,) = anomalies(story)

    assert (Oddity.SELF_APPROVED, "cia") == (one.oddity, one.detail)


def test_somebody_else_may_have_asked_for_it():
    story = log(
        change("CHG-1", planned(0, requested_by="bob"), ChangeApproved(at=at(1), by="cia")),
        change("CHG-2", planned(0, requested_by="bob"), ChangeApproved(at=at(1), by="bob")),
    )

    assert [("CHG-2", Oddity.SELF_APPROVED)] == found(story)


UNAPPROVED = (
    planned(0),
    ChangeStarted(at=at(1), by="ci", outstanding=True),
    ChangeCompleted(at=at(2), by="ci"),
)


@pytest.mark.parametrize(
    ("ruling", "detail"),
    [
        ((), "outstanding"),
        ((RetroactiveApprovalRefused(at=at(3), by="bob"),), "refused afterwards"),
    ],
)
def test_in_production_without_approval(ruling, detail):
    odd = anomalies(log(change("CHG-1", *UNAPPROVED, *ruling)))

    assert [(Oddity.UNAPPROVED, detail)] == [(one.oddity, one.detail) for one in odd]


def test_approved_when_it_had_gone_in():
    ruling = ChangeApprovedRetroactively(at=at(3), by="bob")

    (one,) = anomalies(log(change("CHG-1", *UNAPPROVED, ruling)))

    assert (Oddity.APPROVED_AFTER, "approved afterwards") == (one.oddity, one.detail)


@pytest.mark.parametrize(
    ("approved_at", "detail"),
    [
        (2, None),
        (3, None),  # at the very moment of the start
        (3.5, f"approved at {at(3.5)}, started at {at(3)}"),
        (9, f"approved at {at(9)}, started at {at(3)}"),
        (between(2.5, 3.5), None),
        (between(3.5, 4), f"approved at {between(3.5, 4)}, started at {at(3)}"),
    ],
)
def test_an_approval_whose_moment_lies_after_the_start(approved_at, detail):
    story = log(
        change(
            "CHG-1",
            planned(0),
            ChangeApproved(at=at(approved_at), by="bob"),
            ChangeStarted(at=at(3), by="ci"),
            ChangeCompleted(at=at(4), by="ci"),
        )
    )

    expected = [] if detail is None else [(Oddity.APPROVED_AFTER, detail)]
    assert expected == [(one.oddity, one.detail) for one in anomalies(story)]


def test_an_approval_after_the_deployment_where_no_start_is_known():
    approved = ChangeApproved(at=at(5), by="bob", imported=True)
    started = ChangeStarted(at=None, by="ci", imported=True)
    story = log(
        change("CHG-1", planned(0), approved, ChangeCompleted(at=at(4), by="ci")),
        change("CHG-2", planned(0), approved, started),  # nobody knows when it went in
    )

    assert [("CHG-1", Oddity.APPROVED_AFTER, f"approved at {at(5)}, deployed at {at(4)}")] == [
        (one.id, one.oddity, one.detail) for one in anomalies(story)
    ]


def test_a_version_that_is_missing_or_comes_again():
    whole = log(incident("INC-1", detected(0), acknowledged(1), triaged(2)))
    first, second, third = whole

    assert () == anomalies(whole)
    assert [("self", Oddity.GAP, (3,))] == [
        (one.id, one.oddity, one.positions) for one in anomalies([first, third])
    ]
    assert [(3,)] == [
        one.positions for one in anomalies([first, second, second._replace(position=3)])
    ]


def test_the_ledgers_clock_comes_before_its_gaps():
    first, second = log(
        incident("INC-1", detected(0)), incident("INC-2", detected(0)), recorded={1: 9, 2: 8}
    )

    story = [first._replace(version=2), second]

    assert [Oddity.CLOCK_BACK, Oddity.GAP] == [one.oddity for one in anomalies(story)]


def test_the_ledgers_clock_going_back():
    story = log(
        incident("INC-1", detected(0)), incident("INC-2", detected(0)), recorded={1: 9, 2: 8}
    )

    (one,) = anomalies(story)

    assert ("ledger", Oddity.CLOCK_BACK, (2,)) == (one.kind, one.oddity, one.positions)


def test_a_sources_clock_going_back():
    first, second = log(incident("INC-1", detected(0), acknowledged(1)))
    stamps = [
        recorded._replace(source=Source(name="desk", recorded_at=at(9) - timedelta(hours=n)))
        for n, recorded in enumerate((first, second))
    ]

    assert [("INC-1", Oddity.OUT_OF_ORDER)] == found(stamps)


def test_two_sources_have_two_clocks():
    first, second = log(incident("INC-1", detected(0), acknowledged(1)))
    stamps = [
        recorded._replace(source=Source(name=name, recorded_at=at(9) - timedelta(hours=n)))
        for n, (name, recorded) in enumerate([("desk", first), ("pager", second)])
    ]

    assert [] == found(stamps)


def test_moments_of_a_change_out_of_order():
    story = log(
        change(
            "CHG-1",
            planned(5),
            ChangeStarted(at=at(4), by="ci"),
            ChangeCompleted(at=at(3), by="ci"),
        )
    )

    assert [
        f"started at {at(4)} before planned at {at(5)}",
        f"deployed at {at(3)} before started at {at(4)}",
    ] == [one.detail for one in anomalies(story)]


def test_a_closed_change_may_be_rolled_back():
    taken_out = ChangeRolledBack(at=at(3), by="ci", reached_production=True)
    story = log(deployment("CHG-1", 1, ChangeClosed(at=at(2), by="cia"), taken_out))

    assert [] == found(story)


def test_closed_again_before_it_was_rolled_back_is_odd():
    taken_out = ChangeRolledBack(at=at(3), by="ci", reached_production=True)
    story = log(deployment("CHG-1", 1, taken_out, ChangeClosed(at=at(2), by="cia")))

    assert [("CHG-1", Oddity.END_BEFORE_START)] == found(story)


def test_a_close_before_the_deployment_is_odd_whatever_came_after():
    taken_out = ChangeRolledBack(at=at(3), by="ci", reached_production=True)
    story = log(deployment("CHG-1", 1, ChangeClosed(at=at(0.5), by="cia"), taken_out))

    assert [f"closed at {at(0.5)} before deployed at {at(1)}"] == [
        one.detail for one in anomalies(story)
    ]


def test_resolved_dismissed_reopened_and_mitigated_is_in_order():
    story = log(
        incident("INC-1", detected(0), resolved(1), dismissed(2), reopened(3), mitigated(4))
    )

    assert [] == found(story)


def test_incidents_come_first():
    story = log(
        incident("INC-1", detected(7)), incident("INC-2", detected(0)), recorded={1: 6, 2: 5}
    )

    assert ["INC-1", "self"] == [one.id for one in anomalies(story)]


def test_a_repeated_hour_is_no_disorder():
    """From 1:45 in summer time to 1:15 in winter time is half an hour."""
    london = ZoneInfo("Europe/London")
    story = log(
        imported(
            "INC-1",
            IncidentDetected(at=datetime(2026, 10, 25, 1, 45, tzinfo=london), by="desk"),
            IncidentTriaged(at=None, by="desk", severity=Severity.P2),
            IncidentResolved(at=datetime(2026, 10, 25, 1, 15, fold=1, tzinfo=london), by="desk"),
            stated(1800),
        )
    )

    assert [] == found(story)


@pytest.mark.parametrize(
    ("severity", "more", "odd"),
    [
        (Severity.P1, (), True),
        (Severity.P2, (), True),
        (Severity.P3, (), False),
        (Severity.P1, (take("record_review", 4, what_happened="it fell"),), False),
    ],
)
def test_a_grave_incident_closed_without_review_is_odd(severity, more, odd):
    """A policy may have waived it; the log does not say so, and it is looked at."""
    steps = (detected(1), triaged(2, severity=severity), resolved(3), *more)
    story = log(incident("INC-1", *steps, closed(5)))
    found = [one.oddity for one in anomalies(story)]
    assert ([Oddity.UNREVIEWED] if odd else []) == found


@pytest.mark.parametrize("name", ["impact_started_at", "declared_at"])
def test_every_moment_of_a_detection_may_lie_in_the_future(name):
    told = IncidentDetected(at=at(1), by="a", services=("pay",), **{name: at(50)})
    story = log(("incident:INC-1", (told,)), now=2)
    assert [Oddity.AFTER_RECORDING] == [one.oddity for one in anomalies(story)]


def test_a_moment_corrected_into_the_future_is_odd():
    told = IncidentDetected(at=at(1), by="a", services=("pay",))
    mended = MomentCorrected(at=at(2), by="b", version=1, field="at", was=at(1), now=at(90))
    story = log(("incident:INC-1", (told, mended)), now=3)
    assert Oddity.AFTER_RECORDING in [one.oddity for one in anomalies(story)]


def test_an_imported_plan_says_nothing_of_who_asked():
    """Its `by` is the importer's name; that it approved as well says nothing."""
    plan = attrs.evolve(planned(0, imported=True), by="servicenow")
    vote = ChangeApproved(at=at(1), by="servicenow", imported=True)
    found = [one.oddity for one in anomalies(log(change("CHG-1", plan, vote)))]
    assert Oddity.SELF_APPROVED not in found


def test_the_tests_above_hold_the_whole_closed_list():
    assert {
        "source told out of order",
        "end before start",
        "milestone before impact start",
        "closed without resolution",
        "moment after recorded_at",
        "skipped status",
        "sources disagree",
        "stated duration differs from the moments",
        "approved by its requester",
        "in production without approval",
        "clock going back",
        "approved after the fact",
        "moment that UTC can't tell",
        "gap in versions",
        "closed without review",
        "outside its window",
        "backdated into a window",
        "content corrected after approval",
        "ids that read alike",
        "names what is not known",
        "reopened without an end before it",
        "corrected in one's own favour",
        "decision or finding voided",
        "lead time below zero",
        "events that can't be read",
    } == set(Oddity)


NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
EARLY = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
LATE = datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=14)))


class TestMomentsThatUTCCanNotTell:
    """Refused where they come in; an old log that holds one is read, and every figure answers."""

    @pytest.mark.parametrize("moment", [EARLY, LATE, Between(earliest=EARLY, latest=NOON)])
    def test_are_refused_at_the_door(self, moment):
        with pytest.raises(InvalidValue, match="a time that can be told in UTC"):
            detect(INITIAL, by="ana", at=moment, title="x")

    @pytest.mark.parametrize("moment", [EARLY.replace(tzinfo=UTC), LATE.replace(tzinfo=UTC)])
    def test_the_first_and_last_hours_of_utc_are_no_such_moments(self, moment):
        told = IncidentDetected(at=NOON, by="ana", title="x", impact_started_at=moment)
        story = log(("incident:INC-1", (told,)))
        assert Oddity.UNUSABLE not in [one.oddity for one in anomalies(story)]

    @pytest.mark.parametrize("moment", [EARLY, LATE, Between(earliest=EARLY, latest=NOON)])
    def test_in_an_old_log_are_named_and_break_no_figure(self, moment):
        detected = IncidentDetected(at=NOON, by="ana", title="x", impact_started_at=moment)
        resolved = IncidentResolved(at=NOON + timedelta(hours=1), by="ana")
        at = moment.earliest if isinstance(moment, Between) else moment
        commits = CommitsRecorded(at=NOON, by="ci", commits=(Commit(id="a", committed_at=at),))
        planned = ChangePlanned(at=NOON, by="lena", title="v2", type="normal")
        events = [
            ("incident:INC-1", 1, detected),
            ("incident:INC-1", 2, resolved),
            ("change:CHG-1", 1, planned),
            ("change:CHG-1", 2, commits),
            ("change:CHG-1", 3, ChangeCompleted(at=NOON, by="ci")),
        ]
        log = [
            Recorded(stream, version, position, NOON + timedelta(hours=2), "r", None, event)
            for position, (stream, version, event) in enumerate(events, start=1)
        ]
        known = facts(log)
        for figure in dora_report(known).figures.values():
            assert figure.explain()
        assert time_to_restore(known, start="impact_started").explain()
        named = [(one.id, one.detail) for one in anomalies(known) if one.oddity is Oddity.UNUSABLE]
        # What lies behind `as_of` is in no row; that it lies after its recording is named instead.
        late = [one.id for one in anomalies(known) if one.oddity is Oddity.AFTER_RECORDING]
        expected = [] if moment is LATE else [("INC-1", "impact_started_at")]
        assert [*expected, ("CHG-1", "commits")] == named
        assert (["INC-1"] if moment is LATE else []) == late
