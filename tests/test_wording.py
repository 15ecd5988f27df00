"""How events read: each type has a line of its own, and no line loses its words."""

from datetime import UTC, date, datetime, timedelta
from typing import get_args

import attrs
import pytest

from imcm.domain import change as c
from imcm.domain import corrections as k
from imcm.domain import incident as i
from imcm.domain.change_events import ChangeEvent, Template
from imcm.domain.incident_events import IncidentEvent, IncidentStatus
from imcm.domain.recorded import Unread
from imcm.domain.vocabulary import (
    AttemptResult,
    Audience,
    Authority,
    Between,
    ChangeType,
    Channel,
    Commit,
    Counts,
    Degree,
    DismissalReason,
    HoldReason,
    Impact,
    MitigationKind,
    Mode,
    Relation,
    Result,
    Role,
    ServiceImpact,
    Severity,
    StatedDuration,
    Verdict,
    Window,
)
from imcm.projections.histories.timeline import Entry
from imcm.wording import entry_line, event_line, moment_text

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
EVENTS = tuple(dict.fromkeys((*get_args(IncidentEvent), *get_args(ChangeEvent))))

# What an event must be given besides who and when; enough to make one of each type.
REQUIRED = {
    c.StepRefusedRecorded: {"step": "start", "guard": "freeze"},
    i.IncidentDismissed: {"reason": DismissalReason.EXPECTED},
    i.MitigationAttempted: {"number": 1, "kind": MitigationKind.ROLL_BACK},
    i.AttemptConcluded: {"number": 1, "result": AttemptResult.NO_EFFECT},
    i.IncidentReopened: {"began": IncidentStatus.RESOLVED, "number": 1},
    i.IncidentHeld: {"reason": HoldReason.VENDOR},
    i.SeverityChanged: {"severity": Severity.P1},
    i.RoleAssigned: {"role": Role.INCIDENT_COMMANDER, "person": "bob"},
    i.RoleReleased: {"role": Role.SCRIBE, "person": "bob"},
    i.UpdatePosted: {"audience": Audience.PUBLIC},
    i.ProblemLinked: {"problem": "PRB-1"},
    i.ActionRevised: {"number": 1, "owner": "ben"},
    i.MilestoneMarked: {"number": 2, "name": "vendor called"},
    i.IncidentRelated: {"other": "INC-2", "kind": Relation.CHILD_OF},
    i.IncidentUnrelated: {"other": "INC-2", "kind": Relation.RELATED},
    i.IncidentDescribed: {"title": "all of it", "labels": {"team": None}},
    k.ReferenceAdded: {"kind": "ticket", "address": "OPS-7"},
    i.VerdictGiven: {"change": "CHG-1", "verdict": Verdict.CAUSED},
    i.ReviewRecorded: {"number": 1},
    i.ActionAdded: {"number": 1},
    i.ActionCompleted: {"number": 1},
    i.ActionDropped: {"number": 1},
    i.IncidentMerged: {"into": "INC-2"},
    i.IncidentAbsorbed: {"merged": "INC-3"},
    i.IncidentUnmerged: {"out_of": "INC-2", "status": IncidentStatus.TRIAGED},
    i.IncidentSeparated: {"merged": "INC-3"},
    i.SeverityInherited: {"merged": "INC-3", "severity": Severity.P1},
    k.DurationStated: {"what": StatedDuration.TIME_TO_RESTORE, "microseconds": 5_400_000_000},
    k.EventVoided: {"version": 2, "status": "detected"},
    k.WordsRedacted: {"versions": (1, 4)},
    c.ChangePlanned: {"type": ChangeType.NORMAL},
    c.ContentCorrectedAfterApproval: {"version": 7},
    c.ChangeScheduled: {"window": Window(start=NOON, end=NOON + timedelta(hours=1))},
    c.FreezeOverridden: {"freeze": "weekend", "since": NOON, "until": NOON + timedelta(hours=1)},
    c.ChangeHeld: {"reason": HoldReason.CUSTOMER},
    c.CommitsRecorded: {"commits": (Commit(id="a1"),)},
    c.RolloutAdvanced: {"percent": 5.0},
    c.RolloutPaused: {"percent": 5.0},
    c.RolloutAborted: {"percent": 5.0},
    c.ChangeValidated: {"check": "smoke", "passed": False},
    **{cls: {"version": 2, "field": "at"} for cls in k.CORRECTIONS},
}


def made(cls, **fields):
    return cls(**{"at": NOON, "by": "ann", **REQUIRED.get(cls, {}), **fields})


@pytest.mark.parametrize("cls", EVENTS)
def test_every_event_has_a_line_of_its_own(cls):
    line = event_line(made(cls))

    assert line.strip()
    assert cls.__name__ not in line
    assert "\n" not in line


@pytest.mark.parametrize("cls", EVENTS)
def test_no_line_shows_the_insides_of_a_value(cls):
    line = event_line(made(cls))

    assert not [word for word in ("None", "(earliest", "datetime", "<", "_") if word in line]


def test_no_severity_is_left_where_the_only_one_was_that_of_another():
    line = event_line(i.SeverityInherited(at=NOON, by="ann", merged="INC-3"))

    assert "the highest severity is now not told, by INC-3" == line


@pytest.mark.parametrize(("cls", "name"), [(cls, name) for cls in EVENTS for name in cls.WORDS])
def test_no_line_loses_its_words(cls, name):
    several = name == "causes"
    words = ("the disk was full", "no alert") if several else "the disk was full"

    line = event_line(made(cls, **{name: words}))

    assert all(word in line for word in (words if several else (words,)))


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            made(
                i.IncidentDetected,
                title="pay is down",
                services=("pay", "search"),
                channel=Channel.MONITORING,
                monitor="prometheus",
            ),
            "detected by prometheus on pay, search: pay is down",
        ),
        (made(i.IncidentDetected, channel=Channel.USER), "detected by user"),
        (made(i.IncidentDetected), "detected"),
        (made(i.IncidentDetected, imported=True), "detected (imported)"),
        (made(i.IncidentTriaged), "triaged as without severity"),
        (
            made(
                i.IncidentTriaged,
                severity=Severity.P1,
                impact=Impact(
                    services=(ServiceImpact(service="pay", degree=Degree.DOWN),),
                    customers=1200,
                    share=0.25,
                ),
            ),
            "triaged as P1: pay down, 1,200 customers, 25% of customers",
        ),
        (made(i.MitigationAttempted), "attempt 1: roll back"),
        (
            made(i.MitigationAttempted, change="CHG-1", note="to v2"),
            "attempt 1: roll back with CHG-1: to v2",
        ),
        (made(i.AttemptConcluded), "attempt 1: no effect"),
        (made(i.IncidentReopened, why="again"), "reopened: again"),
        (made(i.IncidentReopened, number=0, relapse=1), "relapsed"),
        (made(i.RoleAssigned), "bob is incident commander"),
        (made(i.RoleReleased), "bob is no longer scribe"),
        (
            made(i.ImpactUpdated, impact=Impact(customers=3), impact_started_at=NOON),
            "impact: 3 customers, since Mon 2026-03-02 12:00 +0000",
        ),
        (made(i.ImpactUpdated, impact=Impact(customers=3)), "impact: 3 customers"),
        (made(i.UpdatePosted, text="on it"), "public update: on it"),
        (
            made(i.ReviewRecorded, what_happened="it fell", causes=("wind", "rain")),
            "review 1: it fell Causes: wind; rain",
        ),
        (
            made(i.ActionAdded, owner="bob", due=date(2026, 4, 1), text="add an alert"),
            "action 1 (bob), due 2026-04-01: add an alert",
        ),
        (made(i.ActionCompleted, change="CHG-1"), "action 1 done by CHG-1"),
        (made(i.ActionCompleted), "action 1 done"),
        (made(k.DurationStated), "the source states time to restore: 1 h 30 min"),
        (made(k.EventVoided, why="a slip"), "version 2 never happened: a slip"),
        (
            made(k.WordsRedacted, reason="a customer was named"),
            "words of version 1, 4 taken out: a customer was named",
        ),
        (
            made(c.ChangePlanned, title="v3", services=("pay",)),
            "normal change planned on pay: v3 (no rollback plan, no monitoring plan)",
        ),
        (
            made(c.ChangePlanned, has_rollback_plan=True, has_monitoring_plan=True),
            "normal change planned",
        ),
        (made(c.ChangePlanned, imported=True), "normal change planned (imported)"),
        (
            made(c.ChangeSubmitted, template=Template(name="restart", version="3", sha256="0")),
            "submitted by template restart",
        ),
        (made(c.ChangeSubmitted), "submitted"),
        (made(c.ChangeApproved, votes=1, quorum=2, why="fine"), "approved (1 of 2 votes): fine"),
        (made(c.ChangeApproved), "approved"),
        (
            made(
                c.VoteGiven,
                votes=1,
                quorum=1,
                valid_until=NOON,
                authority=Authority.CAB,
                why="fine",
            ),
            "approved as cab (1 of 1 votes), valid until Mon 2026-03-02 12:00 +0000: fine",
        ),
        (
            made(c.StepRefusedRecorded),
            "start was refused by the guard freeze",
        ),
        (
            made(c.ChangeScheduled),
            "scheduled for Mon 2026-03-02 12:00 +0000 to Mon 2026-03-02 13:00 +0000",
        ),
        (
            made(c.FreezeOverridden, why="the fair begins"),
            "freeze weekend overridden until Mon 2026-03-02 13:00 +0000: the fair begins",
        ),
        (
            made(c.ChangeStarted, version="v3", outstanding=True),
            "started v3, approval outstanding",
        ),
        (made(c.ChangeStarted), "started"),
        (made(c.CommitsRecorded), "1 commit travels with it"),
        (
            made(c.CommitsRecorded, commits=(Commit(id="a1"), Commit(id="b2"))),
            "2 commits travel with it",
        ),
        (
            made(c.ChangeObserved, version="v3", title="a patch", unauthorised="requested"),
            "found in production v3: a patch [unauthorised: requested]",
        ),
        (made(c.ChangeObserved), "found in production"),
        (made(c.RolloutAdvanced, note="calm"), "rolled out to 5 %: calm"),
        (
            made(
                c.RolloutAdvanced,
                canary=Counts(requests=1000, errors=2),
                baseline=Counts(requests=9000, errors=9),
            ),
            "rolled out to 5 % (canary 2 errors in 1,000 requests, "
            "baseline 9 errors in 9,000 requests)",
        ),
        (made(c.ChangeCompleted, version="v3"), "completed v3"),
        (made(c.ChangeRolledBack, incident="INC-1", why="errors"), "rolled back for INC-1: errors"),
        (made(c.ChangeRolledBack), "rolled back"),
        (made(c.ChangeValidated, passed=True), "check smoke passed"),
        (made(c.ChangeValidated, evidence="red"), "check smoke failed: red"),
        (
            made(c.ChangeClosed, result=Result.SUCCESSFUL_WITH_ISSUES, notes="slow"),
            "closed as successful with issues: slow",
        ),
        (made(c.ChangeClosed), "closed"),
        (
            Unread(type="IncidentSung", state=b"{}", why="unknown type"),
            "IncidentSung (not read: unknown type)",
        ),
    ],
)
def test_an_event_reads_as_a_line(event, line):
    assert line == event_line(event)


def test_what_is_no_event_of_an_incident_or_a_change_is_told_by_its_type():
    assert "object" == event_line(object())


def test_an_incident_reopened_after_its_dismissal_did_not_relapse():
    event = made(i.IncidentReopened, began=IncidentStatus.DISMISSED, number=0)

    assert "reopened" == event_line(event)


def test_a_monitor_is_told_without_a_channel_too():
    assert "detected by prometheus" == event_line(made(i.IncidentDetected, monitor="prometheus"))


def test_a_plan_is_told_with_its_words():
    event = made(
        c.ChangePlanned,
        title="v3",
        description="new checkout",
        has_rollback_plan=True,
        rollback_plan="back to v2",
    )

    assert (
        "normal change planned: v3; description: new checkout; rollback plan: back to v2 "
        "(no monitoring plan)" == event_line(event)
    )


def test_a_revision_is_told_with_what_is_new():
    event = made(c.ChangeRevised, why="too risky", title="v3 behind a flag", test_plan="a canary")

    assert "revised: too risky; title: v3 behind a flag; test plan: a canary" == event_line(event)


# --- corrections ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            made(k.MomentCorrected, was=NOON, now=NOON + timedelta(minutes=5)),
            "was Mon 2026-03-02 12:00 +0000, is Mon 2026-03-02 12:05 +0000",
        ),
        (made(k.MomentCorrected, now=NOON), "was not known, is Mon 2026-03-02 12:00 +0000"),
        (
            made(
                k.MomentCorrected,
                was=Between(earliest=NOON, latest=NOON + timedelta(hours=1)),
                now=NOON,
            ),
            "was Mon 2026-03-02 12:00 +0000 to Mon 2026-03-02 13:00 +0000, "
            "is Mon 2026-03-02 12:00 +0000",
        ),
        (made(k.SeverityCorrected, was=Severity.P1, now=Severity.P2), "was P1, is P2"),
        (
            made(k.ImpactCorrected, was=Impact(customers=3), now=Impact(share=0.5)),
            "was 3 customers, is 50% of customers",
        ),
        (made(k.ServicesCorrected, was=("pay",), now=("pay", "web")), "was pay, is pay, web"),
        (made(k.ServicesCorrected, now=("pay",)), "was not known, is pay"),
        (made(k.ModeCorrected, was=Mode.REAL, now=Mode.DRILL), "was real, is drill"),
        (made(k.EnvironmentCorrected, now="staging"), "was not known, is staging"),
    ],
)
def test_a_correction_tells_what_was_and_what_is(event, said):
    assert f"corrected at of version 2: {said}" == event_line(event)


def test_a_correction_tells_why():
    event = made(k.SeverityCorrected, was=Severity.P1, now=Severity.P2, why="misread")

    assert "corrected at of version 2: was P1, is P2 (misread)" == event_line(event)


def test_a_correction_of_labels_tells_their_values():
    line = event_line(made(k.LabelsCorrected, was={"team": "core"}, now={"team": "web"}))

    assert "core" in line
    assert "web" in line


def test_a_correction_of_labels_that_were_not_there_says_so():
    assert "was not known" in event_line(made(k.LabelsCorrected, now={"team": "web"}))


def test_a_correction_of_commits_tells_their_ids():
    line = event_line(made(k.CommitsCorrected, was=(Commit(id="a1"),), now=(Commit(id="b2"),)))

    assert "corrected at of version 2: was a1, is b2" == line


# --- moments and entries --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (None, "at an unknown time"),
        (NOON, "Mon 2026-03-02 12:00 +0000"),
        (datetime.fromisoformat("2026-03-02T12:00-03:30"), "Mon 2026-03-02 12:00 -0330"),
        (
            Between(earliest=NOON, latest=NOON + timedelta(days=1)),
            "Mon 2026-03-02 12:00 +0000 to Tue 2026-03-03 12:00 +0000",
        ),
    ],
)
def test_a_moment_is_told_in_the_offset_it_was_given(moment, text):
    assert text == moment_text(moment)


def entry(**fields):
    return Entry(
        at=NOON,
        kind="incident",
        id="INC-1",
        what="IncidentClosed",
        event=made(i.IncidentClosed),
        by="ann",
        recorded_at=NOON,
        position=1,
        version=1,
        record="R",
        **fields,
    )


def test_an_entry_says_that_it_was_corrected():
    assert "closed" == entry_line(entry())
    assert "closed [corrected]" == entry_line(entry(corrected_by=(2,)))


def test_an_entry_says_that_it_was_voided():
    assert "closed [voided]" == entry_line(entry(voided_by=2))
    assert "closed [corrected] [voided]" == entry_line(entry(corrected_by=(2,), voided_by=3))


def test_events_of_this_test_are_all_made_with_what_they_need():
    assert all(attrs.has(cls) for cls in EVENTS)
    assert set(REQUIRED) <= set(EVENTS)
