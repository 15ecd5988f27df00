"""Who edited what, and whom that favours; and what no step edits. Times are hours after `START`."""

from datetime import timedelta

import pytest

from imcm.domain.change_events import (
    ChangeApproved,
    ChangeApprovedRetroactively,
    ChangeClosed,
    ChangeCompleted,
    ChangeFailed,
    ChangeObserved,
    ChangeRejected,
    ChangeRolledBack,
    ChangeStarted,
    ChangeSubmitted,
    ChangeValidated,
    CommitsRecorded,
    RetroactiveApprovalRefused,
)
from imcm.domain.corrections import (
    DurationStated,
    EnvironmentCorrected,
    EventVoided,
    ImpactCorrected,
    ModeCorrected,
    MomentCorrected,
    ResultCorrected,
    ServicesCorrected,
    SeverityCorrected,
)
from imcm.domain.incident_events import (
    IncidentAcknowledged,
    IncidentDetected,
    IncidentMerged,
    IncidentReopened,
    IncidentResolved,
    IncidentStatus,
    IncidentTriaged,
)
from imcm.domain.recorded import Unread
from imcm.domain.vocabulary import (
    Between,
    Commit,
    Impact,
    Mode,
    Result,
    Severity,
    Verdict,
)
from imcm.projections.facts.edits import Edit
from imcm.projections.facts.fold import facts
from imcm.projections.histories.anomalies import Oddity, anomalies
from imcm.projections.histories.decisions import Question, Ruling, decision_trail
from imcm.projections.histories.timeline import timeline
from projections.log import (
    acknowledged,
    at,
    caused_by,
    deployment,
    detected,
    incident,
    log,
    planned,
    reopened,
    resolved,
)

DETECTED = IncidentDetected(at=at(1), by="ana")
RESOLVED = IncidentResolved(at=at(4), by="ben")
MINUTE = timedelta(minutes=1)


def moved(version, was, now, by="ana", field="at", **more):
    return MomentCorrected(at=at(9), by=by, version=version, field=field, was=was, now=now, **more)


def odd(*streams):
    return [(one.oddity, one.detail) for one in anomalies(log(*streams))]


def of_incident(*events):
    return [oddity for oddity, _ in odd(("incident:INC-1", events))]


def of_change(*events):
    return [oddity for oddity, _ in odd(("change:CHG-1", events))]


class TestInOnesOwnFavour:
    @pytest.mark.parametrize(
        ("edit", "favours"),
        [
            (moved(2, at(4), at(3)), True),
            (moved(2, at(4), at(5)), False),
            (moved(2, at(4), at(4) - MINUTE), False),  # as clocks differ
            (moved(2, at(4), at(3), by="BEN"), True),
            (moved(2, at(4), at(3), by="eve"), False),  # who had no part in it
            (moved(2, at(4), at(3), imported=True), False),  # what a source says now
            (moved(2, at(4), Between(earliest=at(3), latest=at(4))), False),
            (moved(2, at(4), Between(earliest=at(2), latest=at(3))), True),
            (moved(1, at(1), at(2)), True),
            (moved(1, at(1), at(0)), False),
            (moved(1, None, at(0.5), field="impact_started_at"), False),
        ],
    )
    def test_the_moments_of_an_incident(self, edit, favours):
        expected = [Oddity.IN_OWN_FAVOUR] if favours else []
        assert expected == of_incident(DETECTED, RESOLVED, edit)

    @pytest.mark.parametrize(
        ("kind", "field", "was", "now", "favours"),
        [
            (SeverityCorrected, "severity", Severity.P1, Severity.P3, True),
            (SeverityCorrected, "severity", Severity.P3, Severity.P1, False),
            (ImpactCorrected, "impact", Impact(customers=9), Impact(customers=2), True),
            (ImpactCorrected, "impact", Impact(customers=9), None, True),
            (ImpactCorrected, "impact", None, Impact(customers=9), False),
        ],
    )
    def test_how_bad_it_was(self, kind, field, was, now, favours):
        triaged = IncidentTriaged(at=at(2), by="ana", **{field: was})
        edit = kind(at=at(9), by="ana", version=2, field=field, was=was, now=now)
        expected = [Oddity.IN_OWN_FAVOUR] if favours else []
        assert expected == of_incident(DETECTED, triaged, edit)

    @pytest.mark.parametrize(
        ("kind", "field", "now", "favours"),
        [
            (ModeCorrected, "mode", Mode.DRILL, True),
            (EnvironmentCorrected, "environment", "test", True),
            (EnvironmentCorrected, "environment", "Prod", False),
            (ServicesCorrected, "services", ("web",), False),
        ],
    )
    def test_whether_it_counts(self, kind, field, now, favours):
        was = getattr(DETECTED, field)
        edit = kind(at=at(9), by="ana", version=1, field=field, was=was, now=now)
        expected = [Oddity.IN_OWN_FAVOUR] if favours else []
        assert expected == of_incident(DETECTED, edit)

    def test_of_a_chain_each_is_judged_by_what_stood_before_it(self):
        """Whatever a row says that was; a correction back is in nobody's favour."""
        edits = (moved(2, at(4), at(2)), moved(2, at(9), at(3)), moved(2, at(3), at(2.5)))
        [row] = facts(log(("incident:INC-1", (DETECTED, RESOLVED, *edits)))).incidents
        assert [True, False, True] == [edit.in_own_favour for edit in row.edits]
        assert row.edits[0] == Edit("ana", 2, "IncidentResolved", "ben", "at", in_own_favour=True)

    def test_whoever_asked_for_a_change_took_part_in_it(self):
        events = (
            planned(0, requested_by="lena"),
            ChangeSubmitted(at=at(1), by="cia"),
            ChangeApproved(at=at(3), by="mia", content=1, votes=1, quorum=1),
            ChangeStarted(at=at(2), by="ci"),
        )
        assert [Oddity.APPROVED_AFTER] == of_change(*events)
        told = odd(("change:CHG-1", (*events, moved(4, at(2), at(3.5), by="lena"))))
        detail = "at of version 4 (ChangeStarted by ci), by lena"
        assert [(Oddity.IN_OWN_FAVOUR, detail)] == told

    def test_a_result(self):
        closed = ChangeClosed(at=at(3), by="cia", result=Result.UNSUCCESSFUL)
        edit = ResultCorrected(
            at=at(9),
            by="cia",
            version=3,
            field="result",
            was=Result.UNSUCCESSFUL,
            now=Result.SUCCESSFUL,
        )
        done = ChangeCompleted(at=at(2), by="ci")
        assert [Oddity.IN_OWN_FAVOUR] == of_change(planned(0), done, closed, edit)

    def test_as_facts_are_read_from_a_ledger_too(self):
        """Kept and put away, a row keeps its edits."""
        story = log(("incident:INC-1", (DETECTED, RESOLVED, moved(2, at(4), at(3)))))
        assert facts(story).incidents[0].edits == facts(story[:3]).incidents[0].edits != ()


class TestUndone:
    REJECTED = ChangeRejected(at=at(2), by="mia", why="unsafe")

    def void(self, version, by):
        return EventVoided(at=at(9), by=by, version=version, status="submitted", why="x")

    @pytest.mark.parametrize(
        ("event", "by", "undone"),
        [
            (REJECTED, "zed", True),
            (REJECTED, "MIA", False),  # whose it is may take it back
            (ChangeObserved(at=at(2), by="scanner", outstanding=True), "cia", True),
            (ChangeFailed(at=at(2), by="ci", unauthorised="not on hold"), "cia", True),
            (ChangeStarted(at=at(2), by="ci", outstanding=True), "cia", True),
            (ChangeStarted(at=at(2), by="ci", outstanding=True), "ci", True),  # whose it is, too
            (ChangeRolledBack(at=at(2), by="zoe"), "ci", True),
            (ChangeFailed(at=at(2), by="zoe"), "ci", True),
            (ChangeValidated(at=at(2), by="zoe", check="smoke", passed=False), "ci", True),
            (ChangeValidated(at=at(2), by="zoe", check="smoke", passed=True), "ci", False),
            (ChangeStarted(at=at(2), by="ci"), "cia", False),
            (ChangeApproved(at=at(2), by="mia", imported=True), "cia", False),
        ],
    )
    def test_what_is_voided(self, event, by, undone):
        expected = [Oddity.UNDONE] if undone else []
        assert expected == of_change(planned(0), event, self.void(2, by))

    def test_of_an_incident(self):
        """Its cause, and that it came back."""
        verdict = caused_by("CHG-1")
        [told] = log(incident("INC-1", detected(1), verdict))[1:]
        again = IncidentReopened(
            at=at(5),
            by="ben",
            why="again",
            number=1,
            began=IncidentStatus.RESOLVED,
            status=IncidentStatus.MITIGATING,
        )
        known = deployment("CHG-1", 0)
        for event in (told.event, again):
            events = (DETECTED, RESOLVED, event)
            voided = (*events, EventVoided(at=at(9), by="ops", version=3, status="", why="x"))
            assert [] == odd(("incident:INC-1", events), known)
            assert [Oddity.UNDONE] == [one for one, _ in odd(("incident:INC-1", voided), known)]

    def test_of_ones_own_failure(self):
        """It may have been a slip; it makes the change look better all the same."""
        failed = ChangeFailed(at=at(2), by="ops")
        told = odd(("change:CHG-1", (planned(0), failed, self.void(2, "OPS"))))
        assert [(Oddity.IN_OWN_FAVOUR, "void of version 2 (ChangeFailed by ops), by OPS")] == told

    def test_a_void_of_nothing_is_none(self):
        assert [] == of_change(planned(0), self.void(9, "zed"))

    def test_the_trail_does_not_say_that_it_held(self):
        """What answers a question only since something was voided answers nothing."""
        seen = ChangeObserved(at=at(1), by="scanner", outstanding=True, unauthorised="approved")
        story = log(("change:CHG-1", (planned(0), seen, self.void(2, "cia"))))
        found = decision_trail(story, "CHG-1")
        for question in (Question.QUORUM, Question.BEFORE, Question.ALLOWED):
            assert (Ruling.UNKNOWN, True) == (
                found.finding(question).verdict,
                "voided: position 2" in found.finding(question).reason,
            )

    def test_the_trail_names_a_voided_rejection(self):
        story = log(
            (
                "change:CHG-1",
                (
                    planned(0),
                    ChangeSubmitted(at=at(1), by="cia"),
                    self.REJECTED,
                    self.void(3, "zed"),
                    ChangeApproved(at=at(3), by="zed", content=1, votes=1, quorum=1),
                    ChangeStarted(at=at(4), by="ci"),
                ),
            )
        )
        one = decision_trail(story, "CHG-1").finding(Question.QUORUM)
        assert Ruling.UNKNOWN is one.verdict
        assert one.reason.endswith("a rejection was voided: position 3")
        assert 3 in one.positions
        own = story[3]._replace(event=self.void(3, "MIA"))  # whose it was took it back
        one = decision_trail([*story[:3], own, *story[4:]], "CHG-1").finding(Question.QUORUM)
        assert Ruling.HELD is one.verdict

    def test_what_had_gone_in_unapproved_is_not_forgotten(self):
        """Voided, approved, and done once more: it went in before it was approved all the same."""
        events = (
            planned(0),
            ChangeSubmitted(at=at(1), by="cia"),
            ChangeStarted(at=at(2), by="ops", outstanding=True),
            self.void(3, "ops"),
            ChangeApproved(at=at(3), by="mia", content=1, votes=1, quorum=1),
            ChangeStarted(at=at(4), by="ops"),
        )
        story = log(("change:CHG-1", events), recorded={n: n - 1 for n in range(1, 7)})
        found = decision_trail(story, "CHG-1")
        for question in (Question.QUORUM, Question.BEFORE):
            assert (Ruling.UNKNOWN, True) == (
                found.finding(question).verdict,
                "voided: position 3" in found.finding(question).reason,
            )

    @pytest.mark.parametrize(("by", "ruling"), [("zoe", Ruling.UNKNOWN), ("mia", Ruling.HELD)])
    def test_a_refusal_that_was_voided(self, by, ruling):
        events = (
            planned(0),
            ChangeObserved(at=at(1), by="scanner", outstanding=True),
            RetroactiveApprovalRefused(at=at(2), by="mia", why="no"),
            self.void(3, by),
            ChangeApprovedRetroactively(at=at(3), by="zoe", why="fine"),
        )
        one = decision_trail(log(("change:CHG-1", events)), "CHG-1").finding(Question.SETTLED)
        assert ruling is one.verdict

    def test_a_quorum_of_ids_that_read_alike(self):
        votes = [
            ChangeApproved(at=at(2), by=by, content=1, votes=n, quorum=2)
            for n, by in enumerate(("mia", "m\u0456a"), start=1)
        ]
        started = ChangeStarted(at=at(4), by="ops")
        events = (planned(0), ChangeSubmitted(at=at(1), by="cia"), *votes, started)
        story = log(("change:CHG-1", events), now=4)
        one = decision_trail(story, "CHG-1").finding(Question.QUORUM)
        assert (Ruling.UNKNOWN, True) == (one.verdict, "read alike" in one.reason)
        assert [Oddity.READ_ALIKE] == of_change(*events)

    def test_nor_where_a_start_was_moved_behind_its_approval(self):
        events = (
            planned(0),
            ChangeSubmitted(at=at(1), by="cia"),
            ChangeApproved(at=at(3), by="mia", content=1, votes=1, quorum=1),
            ChangeStarted(at=at(2), by="ci"),
        )
        before = decision_trail(log(("change:CHG-1", events), recorded={3: 3, 4: 4}), "CHG-1")
        assert Ruling.BROKEN is before.finding(Question.BEFORE).verdict
        edited = (*events, moved(4, at(2), at(3.5), by="lena"))
        after = decision_trail(log(("change:CHG-1", edited), recorded={3: 3, 4: 4}), "CHG-1")
        one = after.finding(Question.BEFORE)
        assert Ruling.UNKNOWN is one.verdict
        assert one.reason.endswith("corrected at position 5")
        harmless = (*events[:3], ChangeStarted(at=at(4), by="ci"), moved(4, at(4), at(5)))
        story = log(("change:CHG-1", harmless), recorded={3: 3, 4: 4})
        assert Ruling.HELD is decision_trail(story, "CHG-1").finding(Question.BEFORE).verdict


class TestWhatNoStepEdits:
    @pytest.mark.parametrize(
        "field", ["__class__", "by", "status", "title", "content", "mode", "self", "imported"]
    )
    @pytest.mark.parametrize("first", [DETECTED, planned(0)], ids=["incident", "change"])
    def test_a_forged_correction_has_no_effect(self, first, field):
        """It breaks nothing, and the fact stands as it was recorded."""
        name = "incident:X" if first is DETECTED else "change:X"
        story = log((name, (first, moved(1, at(0), at(1), field=field))))
        one, two = facts(story[:1], as_of=at(9)), facts(story, as_of=at(9))
        for rows, others in ((one.incidents, two.incidents), (one.changes, two.changes)):
            stood = [row._replace(positions=(), edits=()) for row in rows]
            assert stood == [row._replace(positions=(), edits=()) for row in others]
        assert anomalies(story) == ()
        assert len(timeline(story)) == 2


class TestOtherOddities:
    def test_links_to_what_is_not_known(self):
        story = (
            incident("INC-1", detected(1), caused_by("CHG-1"), caused_by("CHG 9, CHG-1")),
            deployment("CHG-1", 0, incident="INC-7", repairs="CHG-7"),
            incident("INC-2", detected(1)),
            (
                "incident:INC-3",
                (DETECTED, IncidentMerged(at=at(2), by="sn", into="INC-8", imported=True)),
            ),
        )
        assert [
            (Oddity.UNKNOWN_LINK, 'caused by "CHG 9, CHG-1"'),
            (Oddity.UNKNOWN_LINK, "merged into INC-8"),
            (Oddity.UNKNOWN_LINK, "for INC-7"),
            (Oddity.UNKNOWN_LINK, "repairs CHG-7"),
        ] == odd(*story)
        assert Verdict.CAUSED in facts(log(*story)).incidents[0].verdicts.values()

    def test_acknowledged_a_year_late(self):
        late = IncidentAcknowledged(at=at(9_000), by="ben")
        assert [
            (Oddity.END_BEFORE_START, f"resolved at {at(4)} before acknowledged at {at(9_000)}")
        ] == odd(("incident:INC-1", (DETECTED, late, RESOLVED)))

    @pytest.mark.parametrize(("declared", "order"), [(0.5, True), (2, False), (5, True)])
    def test_declared_between_detection_and_resolution(self, declared, order):
        told = IncidentDetected(at=at(1), by="ana", declared_at=at(declared))
        assert ([Oddity.END_BEFORE_START] if order else []) == of_incident(told, RESOLVED)

    def test_acknowledged_only_after_it_was_reopened_is_in_order(self):
        assert [] == odd(
            incident("INC-1", detected(1), resolved(2), reopened(3), acknowledged(4), resolved(5))
        )

    def test_a_commit_after_its_deployment(self):
        def brought(hours):
            return CommitsRecorded(
                at=at(0), by="ci", commits=(Commit(id="a1", committed_at=at(hours)),)
            )

        assert [] == odd(deployment("CHG-1", 5, brought(5.01)))
        assert [(Oddity.NEGATIVE_LEAD, f"a1 committed at {at(6)}, deployed at {at(5)}")] == odd(
            deployment("CHG-1", 5, brought(6))
        )

    @pytest.mark.parametrize("approver", ["l\u0435na", "1ena", "\u029fena"])
    def test_ids_that_read_alike(self, approver):
        events = (
            planned(0, requested_by="lena"),
            ChangeApproved(at=at(2), by=approver, content=1, votes=1, quorum=1),
        )
        assert [Oddity.READ_ALIKE] == of_change(*events)
        one = decision_trail(log(("change:CHG-1", events)), "CHG-1").finding(Question.REQUESTER)
        assert (Ruling.UNKNOWN, True) == (one.verdict, "read alike" in one.reason)

    def test_what_can_not_be_read_is_named_once_for_each_type(self):
        unread = Unread(type="IncidentReopenedX", state=b"", why="")
        assert [(Oddity.UNREAD, "2 of type IncidentReopenedX")] == odd(
            ("incident:INC-1", (DETECTED, unread, unread))
        )

    def test_reopened_without_an_end(self):
        again = IncidentReopened(
            at=at(3),
            by="sn",
            why="",
            number=1,
            began=IncidentStatus.RESOLVED,
            status=IncidentStatus.MITIGATING,
            imported=True,
        )
        assert [Oddity.REOPENED_OPEN] == of_incident(DETECTED, again)

    def test_a_stated_duration_that_one_reading_fits_is_none(self):
        told = DurationStated(
            at=None, by="sn", what="time_to_restore", microseconds=3_600_000_000, imported=True
        )
        unsure = IncidentResolved(at=Between(earliest=at(2), latest=at(9)), by="ben")
        assert [] == of_incident(DETECTED, unsure, told)
        assert [Oddity.STATED_DIFFERS] == of_incident(DETECTED, RESOLVED, told)
