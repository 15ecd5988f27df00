"""The decision trail of one change: who asked, who voted, and did duties stay apart."""

import json
from datetime import timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcm.domain import change as domain
from imcm.domain.change_events import (
    ChangeApproved,
    ChangeApprovedRetroactively,
    ChangeCompleted,
    ChangeFailed,
    ChangePlanned,
    ChangeRejected,
    ChangeRevised,
    ChangeStarted,
    ChangeStatus,
    ChangeSubmitted,
    CommitsRecorded,
    FreezeOverridden,
    RetroactiveApprovalRefused,
    StepRefusedRecorded,
    Template,
)
from imcm.domain.corrections import (
    DurationStated,
    EnvironmentCorrected,
    EventVoided,
    MomentCorrected,
    ServicesCorrected,
    WordsRedacted,
)
from imcm.domain.policy import Policy
from imcm.domain.recorded import Source, Unread
from imcm.domain.vocabulary import (
    Authority,
    ChangeType,
    Commit,
    HoldReason,
    Kind,
    PolicyRef,
    Result,
    Risk,
    StatedDuration,
    Window,
)
from imcm.errors import InvalidValue, NaiveTimeError, StepRefused, UnknownIdError
from imcm.projections.facts.fold import facts
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.histories.decisions import (
    Altered,
    Decision,
    DecisionTrail,
    Finding,
    Question,
    Ruling,
    decision_trail,
)
from projections.log import at, between, change, detected, incident, log, planned, resolved

TWO = Policy(name="two eyes more", version="7", approvals=2)
ALL = tuple(Question)


def take(name, hours, by, **arguments):
    """Return a step of a change that is still to be given its state."""

    def step(state):
        return getattr(domain, name)(state, by=by, at=at(hours), **arguments)

    return step


def steps(id, *taken):
    """Return the stream of a change that took these steps through the domain."""
    state = domain.INITIAL
    for step in taken:
        for event in step(state):
            state = domain.evolve(state, event)
    return f"change:{id}", state.past


def plan(hours=0, by="lena", **fields):
    given = {"title": "Basket 5.4", "risk": Risk.LOW, "rollback_plan": "deploy 5.3", **fields}
    return take("plan", hours, by, services=fields.pop("services", ("pay",)), **given)


def submit(hours=1, by="lena", **fields):
    return take("submit", hours, by, **fields)


def approve(hours=2, by="mia", **fields):
    return take("approve", hours, by, **fields)


def start(hours=4, by="ci", **fields):
    return take("start", hours, by, **fields)


def complete(hours=5, by="ci"):
    return take("complete", hours, by)


def voided_all_the_same(hours, version, status):
    """Void what the step refuses to void: other writers may have."""
    event = EventVoided(at=at(hours), by="ann", version=version, status=status, why="a slip")
    return lambda _: (event,)


def void(hours, version, by="ann"):
    return take("void", hours, by, version=version, why="a slip")


def correct(hours, version, field, was, now):
    names = {"version": version, "field": field, "was": was, "now": now}
    return take("correct", hours, "ann", why="the minutes say so", **names)


def revise(hours, by="lena", **fields):
    return take("revise", hours, by, why="the window moved", **fields)


def emergency(hours=0, by="lena"):
    return plan(hours, by, type=ChangeType.EMERGENCY, incident="INC-1")


IN_PRODUCTION = (plan(), submit(), approve(), start(), complete())


def trail(*taken, **arguments):
    """Return the trail of a change that took these steps, recorded the moment they happened."""
    stream = steps("CHG-1", *taken)
    return decision_trail(on_time(stream), "CHG-1", **arguments)


def on_time(stream):
    """Return the log of one stream, each event recorded at its own moment."""
    times = {position: event.at for position, event in enumerate(stream[1], start=1)}
    return log(stream, recorded=times)


def of_events(*events, **arguments):
    """Return the trail of a change with these very events, all recorded much later."""
    return decision_trail(log(change("CHG-1", *events)), "CHG-1", **arguments)


def ruled(found):
    """Return the verdict on each question."""
    return {one.question: one.verdict for one in found.findings}


def broken(found):
    return [one.question for one in found.findings if one.verdict is Ruling.BROKEN]


def unknown(found):
    return [one.question for one in found.findings if one.verdict is Ruling.UNKNOWN]


def words(found):
    return [one.what for one in found.decisions]


class TestTheTrail:
    def test_who_asked_who_voted_and_who_brought_it_in(self):
        found = trail(plan(requested_by="olaf"), *IN_PRODUCTION[1:])

        assert "olaf" == found.requested_by
        assert ("lena",) == found.planned_by
        assert ("lena",) == found.submitted_by
        assert ("mia",) == found.approved_by
        assert ("ci",) == found.implemented_by
        assert ["planned", "submitted", "approved", "started", "completed"] == words(found)

    def test_whoever_planned_it_asked_for_it_where_nobody_else_did(self):
        assert "lena" == trail(plan()).requested_by

    def test_a_vote_carries_what_it_was_given_to_and_under_which_policy(self):
        vote = trail(plan(), submit(policy=TWO), approve(why="looks safe", policy=TWO)).decisions[2]

        assert (
            Decision(
                what="approved",
                type="VoteGiven",
                at=at(2),
                by="mia",
                recorded_at=at(2),
                position=3,
                version=3,
                record="record 3",
                event=vote.event,
                content=1,
                authority=Authority.PEER,
                policy=PolicyRef(name="two eyes more", version="7", said="1 of 2 votes"),
                votes=1,
                quorum=2,
                quorum_met=False,
                why="looks safe",
                counts=True,
            )
            == vote
        )

    def test_the_vote_that_meets_the_quorum_says_so(self):
        first, second = trail(
            plan(), submit(), approve(policy=TWO), approve(3, "bob", policy=TWO)
        ).decisions[2:]

        assert (False, True) == (first.quorum_met, second.quorum_met)
        assert ((1, 2), (2, 2)) == ((first.votes, first.quorum), (second.votes, second.quorum))

    def test_a_submission_and_a_rejection_speak_of_the_content_as_it_was(self):
        found = trail(plan(), revise(1), submit(2), take("reject", 3, "mia", why="too risky"))

        assert [1, 2, 2, 2] == [one.content for one in found.decisions]

    def test_a_template_approves_beforehand(self):
        recipe = Template(name="restart", version="3", sha256="ab")
        found = trail(plan(type=ChangeType.STANDARD), submit(template=recipe), start(), complete())

        assert ["planned", "pre-approved", "started", "completed"] == words(found)
        assert recipe == found.decisions[1].template
        assert "approved by template" == found.decisions[1].policy.said
        assert "pre-approved by template restart 3" == found.finding(Question.QUORUM).reason
        assert [] == broken(found) + unknown(found)

    def test_what_was_decided_besides_is_there_and_commits_are_not(self):
        window = Window(start=at(3), end=at(9))
        found = trail(
            plan(window=window),
            submit(),
            approve(),
            take("schedule", 2.5, "lena", window=window),
            take("hold", 2.6, "lena", reason=HoldReason.VENDOR, why="no disks"),
            take("release", 2.7, "lena"),
            start(commits=[Commit(id="c1")], rollout_plan=(5, 100)),
            take("advance_rollout", 4.1, "ci", percent=5),
            take("pause_rollout", 4.2, "ci"),
            take("advance_rollout", 4.3, "ci", percent=100),
            complete(),
            take("validate", 6, "ci", check="smoke", passed=True),
            take("recover", 7, "ci"),
            take("roll_back", 8, "ci"),
            take("close", 9, "lena", result=Result.UNSUCCESSFUL),
        )

        assert [
            "planned",
            "submitted",
            "approved",
            "scheduled",
            "put on hold",
            "released",
            "started",
            "rollout advanced",
            "rollout paused",
            "rollout advanced",
            "completed",
            "validated",
            "recovered",
            "rolled back",
            "closed",
        ] == words(found)
        assert ("ci",) == found.implemented_by
        assert 8 not in [one.version for one in found.decisions]

    def test_a_correction_of_what_is_no_decision_is_none_either(self):
        told = DurationStated(
            at=None, by="desk", what=StatedDuration.TIME_TO_RESTORE, microseconds=1
        )
        commits = CommitsRecorded(at=at(1), by="ci", commits=(Commit(id="c1"),))
        gone = EventVoided(at=at(2), by="ann", version=2, status="draft", why="a slip")

        assert ["planned"] == words(of_events(planned(), commits, told, gone))

    def test_events_it_has_no_word_for_are_named_by_their_type(self):
        newer = Unread(type="ChangeSung", state=b"{}", why="unknown type")
        redacted = WordsRedacted(at=at(3), by="ann", versions=(1,), reason="a name")

        found = of_events(planned(), newer, redacted)

        assert ["planned", "ChangeSung", "words redacted"] == words(found)
        assert "a name" == found.decisions[2].why
        assert (None, "", None) == (
            found.decisions[1].at,
            found.decisions[1].by,
            found.decisions[1].counts,
        )

    def test_the_source_of_an_imported_event_is_named(self):
        entries = [
            one._replace(source=Source(name="desk"))
            for one in log(change("CHG-1", planned(imported=True)))
        ]

        (one,) = decision_trail(entries, "CHG-1").decisions

        assert ("desk", True) == (one.source, one.imported)

    def test_other_changes_and_incidents_are_not_in_it(self):
        story = log(
            incident("CHG-1", detected(0)), steps("CHG-2", plan()), steps("CHG-1", plan(), submit())
        )

        found = decision_trail(story, "CHG-1")

        assert [3, 4] == [one.position for one in found.decisions]
        assert 4 == found.log_position

    def test_it_is_in_log_order_whatever_the_moments_say(self):
        found = of_events(
            planned(5), ChangeSubmitted(at=at(1), by="cia"), ChangeRejected(at=None, by="b")
        )

        assert [1, 2, 3] == [one.position for one in found.decisions]

    def test_nothing_is_cut_by_its_moment(self):
        early = log(change("CHG-1", planned(0), ChangeSubmitted(at=at(90_000), by="cia")))

        assert 2 == len(decision_trail(early, "CHG-1").decisions)

    def test_what_was_redacted_says_so(self):
        revised = ChangeRevised(at=at(1), by="bob", risk=Risk.HIGH)
        first, second = log(change("CHG-1", planned(risk=Risk.LOW), revised))

        found = decision_trail([first, second._replace(redacted=True)], "CHG-1")

        assert [False, True] == [one.redacted for one in found.decisions]
        assert "[words redacted]" in found.explain()
        assert Altered(field="risk", was=Risk.LOW, now=Risk.HIGH) in found.decisions[1].altered


class TestKnowledge:
    @pytest.mark.parametrize("known_at", [3, at(2)])
    def test_only_what_was_known_is_in_it(self, known_at):
        found = trail(*IN_PRODUCTION, known_at=known_at)

        assert ["planned", "submitted", "approved"] == words(found)
        assert (known_at, 3, ()) == (found.known_at, found.log_position, found.implemented_by)

    def test_a_vote_stood_before_it_was_voided(self):
        story = (plan(), submit(), approve(), void(3, 3))

        assert [True, False] == [
            trail(*story, known_at=position).decisions[2].counts for position in (3, 4)
        ]

    @pytest.mark.parametrize("id", ["CHG-2", "INC-1", ""])
    def test_there_must_be_such_a_change(self, id):
        with pytest.raises(UnknownIdError, match="no change"):
            decision_trail(log(incident("INC-1", detected(0)), steps("CHG-1", plan())), id)

    def test_it_must_be_in_the_part_that_is_read(self):
        with pytest.raises(UnknownIdError, match="no change 'CHG-1'"):
            trail(plan(), known_at=0)

    def test_a_naive_time_is_refused(self):
        with pytest.raises(NaiveTimeError):
            trail(plan(), known_at=at(1).replace(tzinfo=None))

    def test_what_is_no_point_of_knowledge_is_refused(self):
        with pytest.raises(InvalidValue):
            trail(plan(), known_at="yesterday")

    def test_a_log_can_be_read_once_from_a_stream(self):
        story = on_time(steps("CHG-1", *IN_PRODUCTION))

        assert decision_trail(story, "CHG-1") == decision_trail(iter(story), "CHG-1")


class TestWhatBecomesOfApprovals:
    def test_a_revision_voids_them_and_says_what_it_changed(self):
        found = trail(
            plan(),
            submit(),
            approve(),
            revise(3, "olaf", risk=Risk.HIGH, monitoring_plan="watch errors", title="Basket 5.5"),
        )

        (revision,) = found.revisions
        assert ((3,), 4) == (revision.voids, revision.position)
        assert (
            Altered(field="risk", was=Risk.LOW, now=Risk.HIGH),
            Altered(field="has_monitoring_plan", was=False, now=True),
            Altered(field="title", was="Basket 5.4", now="Basket 5.5"),
            Altered(field="monitoring_plan", was="", now="watch errors"),
        ) == revision.altered
        vote = found.decisions[2]
        assert (False, 4, None) == (vote.counts, vote.lapsed_by, vote.voided_by)
        assert () == found.approved_by
        assert ("lena", "olaf") == found.planned_by

    def test_words_that_are_not_given_or_given_again_are_not_altered(self):
        found = trail(
            plan(),
            revise(1, kind=Kind.DEPLOYMENT, title="Basket 5.4"),
            revise(2, risk=Risk.LOW, description="new"),
        )

        assert [(), (Altered(field="description", was="", now="new"),)] == [
            one.altered for one in found.revisions
        ]

    def test_a_revision_is_compared_with_what_stood_when_it_was_recorded(self):
        """A correction moved it to another service, not the revision; nor a later correction."""

        def moved(hours, was, now):
            # As an earlier version recorded it, which corrected content before the start.
            one = ServicesCorrected(
                at=at(hours), by="ann", version=1, field="services", was=(was,), now=(now,)
            )
            return lambda _: (one,)

        found = trail(
            plan(),
            moved(1, "pay", "search"),
            revise(2, services=("mail",)),
            moved(3, "search", "chat"),
        )

        (revision,) = found.revisions
        assert (Altered(field="services", was=("search",), now=("mail",)),) == revision.altered

    def test_a_revision_of_nothing_tells_all_it_says(self):
        revised = ChangeRevised(at=at(1), by="b", kind=Kind.DEPLOYMENT, title="new", imported=True)

        (revision,) = of_events(revised).revisions

        assert Altered(field="kind", was=None, now=Kind.DEPLOYMENT) in revision.altered
        assert Altered(field="title", was="", now="new") in revision.altered

    def test_a_rejection_voids_them(self):
        found = trail(
            plan(),
            submit(),
            approve(policy=TWO),
            take("reject", 3, "bob", why="too risky"),
            submit(4),
            approve(5, "bob"),
        )

        assert (3,) == found.decisions[3].voids
        assert [(False, 4), (True, None)] == [
            (one.counts, one.lapsed_by) for one in found.decisions if one.what == "approved"
        ]
        assert ("bob",) == found.approved_by

    def test_a_voided_vote_is_struck_through(self):
        found = trail(plan(), submit(), approve(), void(3, 3))

        vote, strike = found.decisions[2:]
        assert (4, False, None) == (vote.voided_by, vote.counts, vote.lapsed_by)
        assert ("voided", 3, "a slip", ()) == (strike.what, strike.edits, strike.why, strike.voids)
        assert () == found.approved_by

    def test_votes_for_a_revision_that_is_voided_end_with_it(self):
        found = trail(plan(), submit(), revise(2), approve(3), void(4, 3))

        assert (3, False, 5) == (
            found.decisions[3].content,
            found.decisions[3].counts,
            found.decisions[3].lapsed_by,
        )
        assert (4,) == found.decisions[4].voids

    def test_votes_before_a_revision_that_is_voided_count_again(self):
        found = trail(plan(), submit(), approve(policy=TWO), revise(3), void(4, 4))

        vote, revision, _ = found.decisions[2:]
        assert (True, None) == (vote.counts, vote.lapsed_by)
        assert ((3,), 5) == (revision.voids, revision.voided_by)

    def test_an_approval_of_content_that_is_not_there_never_counted(self):
        vote = ChangeApproved(at=at(2), by="mia", content=9, votes=1, quorum=1)

        assert (False, None) == (
            (one := of_events(planned(), vote).decisions[1]).counts,
            one.lapsed_by,
        )

    def test_an_imported_approval_is_a_moment_and_no_vote(self):
        vote = ChangeApproved(at=at(2), by="desk", imported=True)

        one = of_events(planned(imported=True), vote).decisions[1]

        assert (None, None, None, None, False) == (
            one.content,
            one.votes,
            one.quorum,
            one.quorum_met,
            one.counts,
        )

    def test_a_corrected_moment_is_marked_and_told(self):
        found = trail(
            plan(),
            submit(),
            approve(),
            correct(6, 3, "at", at(2), at(1.5)),
        )

        vote, correction = found.decisions[2:]
        assert (at(1.5), (4,)) == (vote.at, vote.corrected_by)
        assert ("corrected", 3, (Altered(field="at", was=at(2), now=at(1.5)),)) == (
            correction.what,
            correction.edits,
            correction.altered,
        )


class TestSeparationOfDuties:
    def test_it_holds_where_all_are_different_people(self):
        found = trail(*IN_PRODUCTION)

        expected = dict.fromkeys(ALL, Ruling.HELD)
        assert {**expected, Question.SETTLED: Ruling.NOTHING} == ruled(found)
        assert Ruling.HELD is found.separation_of_duties
        assert (
            Finding(
                question=Question.REQUESTER,
                verdict=Ruling.HELD,
                reason="asked for by lena, approved by mia",
                positions=(1, 3),
            )
            == found.findings[0]
        )

    def test_a_draft_has_broken_nothing_yet(self):
        expected = dict.fromkeys(ALL, Ruling.NOTHING)
        assert {**expected, Question.ALLOWED: Ruling.HELD} == ruled(trail(plan()))

    @pytest.mark.parametrize("spelling", ["cia", "CIA"])
    def test_the_requester_in_any_spelling_breaks_it(self, spelling):
        vote = ChangeApproved(at=at(2), by=spelling, content=1, votes=1, quorum=1)
        found = of_events(planned(requested_by="cia"), vote)

        assert (Ruling.BROKEN, f"{spelling} asked for it and approved it", (1, 2)) == (
            (one := found.finding(Question.REQUESTER)).verdict,
            one.reason,
            one.positions,
        )
        assert Ruling.BROKEN is found.separation_of_duties

    def test_whoever_wrote_it_is_another_question_than_whoever_asked(self):
        vote = ChangeApproved(at=at(2), by="cia", content=1, votes=1, quorum=1)

        found = of_events(planned(requested_by="olaf"), vote)

        assert [Question.PLANNER] == broken(found)

    def test_whoever_submitted_it_may_not_have_approved_it(self):
        found = of_events(
            planned(),
            ChangeSubmitted(at=at(1), by="bob"),
            ChangeApproved(at=at(2), by="bob", content=1, votes=1, quorum=1),
        )

        assert [Question.SUBMITTER] == broken(found)

    def test_whoever_revises_it_after_a_vote_ends_that_vote(self):
        found = trail(plan(), submit(), approve(), revise(3, "mia"), submit(4), approve(5, "bob"))

        assert [] == broken(found)

    def test_whoever_implements_it_may_not_have_approved_it(self):
        found = trail(plan(), submit(), approve(), start(by="MIA"), complete())

        assert [Question.IMPLEMENTER] == broken(found)
        assert Ruling.BROKEN is found.separation_of_duties
        assert (3, 4) == found.finding(Question.IMPLEMENTER).positions

    def test_an_approval_that_no_longer_counts_bars_nobody_from_implementing(self):
        found = trail(
            plan(), submit(), approve(policy=TWO), revise(3), approve(3.5, "bob"), start(by="mia")
        )

        assert [] == broken(found)

    def test_whoever_implements_an_emergency_may_not_approve_it_afterwards(self):
        found = trail(emergency(), submit(), start(), take("approve_retroactively", 6, "ci"))

        assert Question.IMPLEMENTER in broken(found)
        assert ("ci",) == found.approved_by

    def test_failing_and_advancing_are_implementing_and_taking_back_is_not(self):
        failed = ChangeFailed(at=at(5), by="tom", reached_production=True)
        found = of_events(planned(), ChangeStarted(at=at(4), by="ci"), failed)

        assert ("ci", "tom") == found.implemented_by

    def test_a_voided_vote_breaks_nothing(self):
        found = of_events(
            planned(),
            ChangeApproved(at=at(2), by="cia", content=1, votes=1, quorum=1),
            EventVoided(at=at(3), by="ann", version=2, status="submitted", why="a slip"),
        )

        assert Ruling.NOTHING is found.separation_of_duties

    def test_what_is_voided_was_done_by_nobody(self):
        found = trail(plan(), void(1, 1))

        assert (None, ()) == (found.requested_by, found.planned_by)

    def test_where_nobody_implemented_it_yet(self):
        reason = trail(plan(), submit(), approve()).finding(Question.IMPLEMENTER).reason

        assert "nobody implemented it" == reason


class TestImportedHistory:
    IMPORTED = (
        planned(0, imported=True),
        ChangeApproved(at=at(2), by="cia", imported=True, status=None),
        ChangeStarted(at=at(3), by="cia", imported=True),
        ChangeCompleted(at=at(4), by="cia", imported=True),
    )

    def test_whoever_brought_it_in_is_not_taken_for_whoever_did_it(self):
        found = of_events(*self.IMPORTED)

        assert Ruling.UNKNOWN is found.separation_of_duties
        assert (None, (), (), ()) == (
            found.requested_by,
            found.planned_by,
            found.implemented_by,
            found.approved_by,
        )
        assert list(ALL) == unknown(found)

    def test_a_requester_that_is_named_can_be_seen_to_have_approved_it(self):
        found = of_events(attrs.evolve(self.IMPORTED[0], requested_by="CIA"), *self.IMPORTED[1:])

        assert [Question.REQUESTER] == broken(found)
        assert "CIA" == found.requested_by

    def test_who_approved_it_is_not_known_where_only_the_requester_is(self):
        reasons = {
            of_events(planned(imported=True, requested_by="olaf"), *more)
            .finding(Question.REQUESTER)
            .reason
            for more in ((), self.IMPORTED[1:])
        }

        assert {"the log does not say who approved it"} == reasons

    def test_moments_can_show_that_approval_came_too_late(self):
        late = attrs.evolve(self.IMPORTED[1], at=at(9))

        found = of_events(self.IMPORTED[0], late, *self.IMPORTED[2:])

        assert Question.BEFORE in broken(found)
        assert f"approved at {at(9)}, went in at {at(3)}" == found.finding(Question.BEFORE).reason

    def test_a_live_vote_on_an_imported_change_is_somebodys(self):
        found = trail_of_imported_plan()

        assert ("mia",) == found.approved_by
        assert Ruling.UNKNOWN is found.finding(Question.REQUESTER).verdict
        assert Ruling.HELD is found.finding(Question.IMPLEMENTER).verdict
        assert Ruling.HELD is found.finding(Question.QUORUM).verdict


def trail_of_imported_plan():
    return of_events(
        planned(0, imported=True),
        ChangeApproved(at=at(2), by="mia", content=1, votes=1, quorum=1),
        ChangeStarted(at=at(3), by="ci"),
    )


class TestQuorumAndOrder:
    def test_nothing_has_gone_in_yet(self):
        found = trail(plan(), submit(), approve(policy=TWO))

        assert "nothing has gone in; 1 of 2 votes for its content stand" == (
            found.finding(Question.QUORUM).reason
        )
        assert Ruling.NOTHING is found.finding(Question.BEFORE).verdict

    def test_a_vote_voided_later_takes_the_quorum_away(self):
        found = trail(
            plan(),
            submit(),
            approve(policy=TWO),
            approve(3, "bob", policy=TWO),
            voided_all_the_same(3.5, 3, "approved"),
            start(),
        )

        assert [Question.QUORUM] == broken(found)
        assert "1 of 2 votes for its content stand" == found.finding(Question.QUORUM).reason
        assert (4, 6) == found.finding(Question.QUORUM).positions

    def test_two_votes_of_one_person_are_one(self):
        votes = [
            ChangeApproved(at=at(2), by=by, content=1, votes=n, quorum=2)
            for n, by in enumerate(("mia", "MIA"), start=1)
        ]
        found = of_events(planned(), *votes, ChangeStarted(at=at(3), by="ci"))

        assert Question.QUORUM in broken(found)

    def test_what_was_approved_is_voided_after_it_went_in(self):
        found = trail(
            plan(),
            revise(0.5),
            submit(),
            approve(),
            start(),
            voided_all_the_same(5, 2, "implementing"),
        )

        assert [Question.QUORUM, Question.BEFORE] == broken(found)
        assert "no vote for its content stands" == found.finding(Question.QUORUM).reason
        assert "no approval of what went in stands" == found.finding(Question.BEFORE).reason

    def test_what_a_revision_says_later_does_not_touch_what_went_in(self):
        """A change that went in can't be revised; history that says so is taken as it is."""
        revised = ChangeRevised(at=at(9), by="x", status=None)
        found = of_events(
            planned(),
            ChangeApproved(at=at(2), by="mia", content=1, votes=1, quorum=1),
            ChangeStarted(at=at(3), by="ci"),
            revised,
        )

        assert Ruling.HELD is found.finding(Question.QUORUM).verdict

    @pytest.mark.parametrize(
        ("approved_at", "verdict"),
        [
            (2, Ruling.HELD),
            (3, Ruling.HELD),
            (3.5, Ruling.BROKEN),
            (between(2, 3.5), Ruling.HELD),
            (between(3.5, 4), Ruling.BROKEN),
        ],
    )
    def test_an_approval_told_to_lie_after_the_start(self, approved_at, verdict):
        vote = ChangeApproved(at=at(approved_at), by="mia", content=1, votes=1, quorum=1)
        stream = change("CHG-1", planned(), vote, ChangeStarted(at=at(3), by="ci"))

        found = decision_trail(log(stream, recorded={1: 0, 2: 3, 3: 3}), "CHG-1")

        assert verdict is found.finding(Question.BEFORE).verdict

    def test_an_approval_that_the_log_took_only_after_the_start(self):
        stream = steps("CHG-1", *IN_PRODUCTION)

        found = decision_trail(log(stream, recorded={1: 0, 2: 4.5, 3: 4.5, 4: 4.6, 5: 5}), "CHG-1")

        assert (Ruling.UNKNOWN, (3, 4)) == (
            (one := found.finding(Question.BEFORE)).verdict,
            one.positions,
        )
        assert f"the approval was recorded only at {at(4.5)}, went in at {at(4)}" == one.reason

    def test_a_moment_that_nobody_knows_shows_nothing(self):
        vote = ChangeApproved(at=at(2), by="mia", content=1, votes=1, quorum=1)
        found = of_events(planned(), vote, ChangeStarted(at=None, by="ci"))

        assert "approved at" in found.finding(Question.BEFORE).reason
        assert found.finding(Question.BEFORE).reason.endswith("went in at an unknown time")

    @pytest.mark.parametrize(("reached", "went"), [(True, True), (False, False), (None, False)])
    def test_what_failed_went_in_where_something_reached_production(self, reached, went):
        failed = ChangeFailed(at=at(3), by="ci", reached_production=reached)

        assert went is (Question.QUORUM in broken(of_events(planned(), failed)))


class TestOutstanding:
    EMERGENCY = (emergency(), submit(), start(), complete())

    def test_an_emergency_may_start_unapproved_and_that_stays_visible(self):
        found = trail(*self.EMERGENCY)

        assert found.decisions[2].outstanding
        assert [Question.SETTLED] == broken(found)
        assert "an emergency may go in before" in found.finding(Question.QUORUM).reason
        assert "its approval is outstanding" == found.finding(Question.SETTLED).reason

    def test_approved_afterwards(self):
        found = trail(*self.EMERGENCY, take("approve_retroactively", 6, "mia"))

        assert [] == broken(found)
        assert (Ruling.HELD, "approved afterwards", (5,)) == (
            (one := found.finding(Question.SETTLED)).verdict,
            one.reason,
            one.positions,
        )
        assert ("approved afterwards", True, ("mia",)) == (
            found.decisions[-1].what,
            found.decisions[-1].counts,
            found.approved_by,
        )

    def test_an_approval_afterwards_that_was_voided_does_not_count(self):
        found = trail(*self.EMERGENCY, take("approve_retroactively", 6, "mia"), void(7, 5))

        assert (False, ()) == (found.decisions[4].counts, found.approved_by)
        assert Question.SETTLED in broken(found)

    def test_a_refusal_stays_visible(self):
        found = trail(*self.EMERGENCY, take("refuse_retroactively", 6, "mia", why="no need"))

        assert "refused afterwards" == found.decisions[-1].what
        assert "refused afterwards" == found.finding(Question.SETTLED).reason

    def test_a_refusal_is_not_undone_by_an_approval(self):
        found = of_events(
            planned(),
            ChangeStarted(at=at(1), by="ci", outstanding=True),
            RetroactiveApprovalRefused(at=at(2), by="mia"),
            ChangeApprovedRetroactively(at=at(3), by="bob"),
        )

        assert (Ruling.BROKEN, (3, 4)) == (
            (one := found.finding(Question.SETTLED)).verdict,
            one.positions,
        )

    def test_what_was_found_in_production(self):
        found = trail(take("observe", 3, "ann", title="a new rule"))

        assert ["found in production"] == words(found)
        assert ("requested", True) == (
            found.decisions[0].unauthorised,
            found.decisions[0].outstanding,
        )
        assert [Question.QUORUM, Question.BEFORE, Question.SETTLED, Question.ALLOWED] == broken(
            found
        )
        assert [Question.REQUESTER, Question.IMPLEMENTER] == unknown(found)
        assert "the log does not say who implemented it" == (
            found.finding(Question.IMPLEMENTER).reason
        )

    def test_somebody_asked_for_what_was_planned_and_found_in_production(self):
        found = trail(plan(), take("observe", 3, "ann"), take("approve_retroactively", 4, "mia"))

        assert Ruling.HELD is found.finding(Question.REQUESTER).verdict
        assert Ruling.UNKNOWN is found.finding(Question.IMPLEMENTER).verdict

    def test_nobody_planned_what_was_only_found(self):
        found = trail(
            take("observe", 3, "ann", title="a new rule"), take("approve_retroactively", 4, "mia")
        )

        assert "nobody planned or revised it" == found.finding(Question.PLANNER).reason

    def test_what_a_guard_would_have_refused_is_told(self):
        found = trail(
            *IN_PRODUCTION[:4], take("hold", 4.5, "ann", reason=HoldReason.VENDOR), complete()
        )

        assert [Question.SETTLED, Question.ALLOWED] == broken(found)
        assert "not on hold" == found.decisions[-1].unauthorised
        assert ("these would have: not on hold", (6,)) == (
            (one := found.finding(Question.ALLOWED)).reason,
            one.positions,
        )

    def test_an_unauthorised_check_leaves_no_approval_outstanding(self):
        found = trail(
            *IN_PRODUCTION,
            take("hold", 5.5, "ann", reason=HoldReason.VENDOR),
            take("validate", 6, "ci", check="smoke", passed=True),
        )

        assert [Question.ALLOWED] == broken(found)


class TestTold:
    STORY = (
        plan(),
        submit(),
        approve(why="looks safe"),
        revise(3, "olaf", risk=Risk.HIGH),
        submit(3.1, "olaf"),
        approve(3.5, "bob"),
        start(),
        void(6, 7),
    )

    def test_says_as_what_somebody_voted(self):
        text = trail(plan(), submit(), approve(authority="cab")).explain()
        assert "approved by mia as cab: 1 of 1 votes" in text

    def test_for_a_person(self):
        text = trail(*self.STORY).explain()

        for line in (
            "decisions on change CHG-1, known at the end of the log (log position 8)",
            "  asked for by lena",
            "  planned by lena, olaf",
            "  approved by bob",
            "  implemented by nobody named",
            "  position 3, version 3: approved by mia: 1 of 1 votes for content 1, "
            "policy default 1 said: 1 of 1 votes [no longer counts since position 4]",
            f"    at {at(2)}, recorded at {at(2)}",
            "    why: looks safe",
            "    risk: was low, is high",
            "    voids the approvals at position 3",
            "  position 8, version 8: voided by ann: version 7",
            "  separation of duties: held",
            "  held: the requester did not approve it: asked for by lena, approved by mia, bob",
        ):
            assert line in text.splitlines()
        assert "[struck through at position 8]" in text

    def test_every_mark_is_told(self):
        vague = ChangeStarted(at=between(1, 2), by="ci", outstanding=True, imported=True)
        moved = MomentCorrected(
            at=at(3), by="ann", version=2, field="at", was=vague.at, now=between(1, 3), why=""
        )
        seen = domain.ChangeObserved(at=None, by="ann", unauthorised="approved")

        text = of_events(planned(), vague, moved, seen, known_at=4).explain()

        assert "known at 4" in text
        assert "[approval outstanding] [imported] [corrected at position 3]" in text
        assert "[unauthorised: approved]" in text
        assert f"at {at(1)} to {at(3)}, recorded" in text
        assert "at an unknown time, recorded" in text

    def test_as_plain_values(self):
        window = Window(start=at(3), end=at(9))
        found = trail(
            plan(window=window),
            submit(),
            approve(),
            revise(3, window=Window(start=at(4), end=at(9))),
        )

        told = json.loads(json.dumps(found.as_dict()))

        assert "held" == told["separation_of_duties"]
        assert [1, 2, 3, 4] == [one["position"] for one in told["decisions"]]
        assert {"name": "default", "version": "1", "said": "1 of 1 votes"} == (
            told["decisions"][2]["policy"]
        )
        assert {"start": at(3).isoformat(), "end": at(9).isoformat()} == (
            told["decisions"][3]["altered"][0]["was"]
        )
        assert "event" not in told["decisions"][0]
        assert [question.value for question in Question] == [
            one["question"] for one in told["findings"]
        ]

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (None, None),
            (3, 3),
            ("text", "text"),
            (Risk.LOW, "low"),
            (at(1), at(1).isoformat()),
            (timedelta(minutes=1), 60.0),
            ({"a": (1, Risk.LOW)}, {"a": [1, "low"]}),
            (between(1, 2), {"earliest": at(1).isoformat(), "latest": at(2).isoformat()}),
        ],
    )
    def test_plain(self, value, expected):
        assert expected == jsonable(value)
        assert type(expected) is type(jsonable(value))


# --- laws -----------------------------------------------------------------------------------------

ANY_STEP = st.sampled_from(
    [
        submit(1),
        submit(1, "olaf"),
        approve(2, policy=TWO),
        approve(2, "bob", policy=TWO),
        approve(2, "olaf"),
        revise(2, "olaf", risk=Risk.HIGH),
        revise(2),
        take("reject", 2, "bob", why="no"),
        start(3),
        start(3, "mia"),
        complete(4),
        take("observe", 4, "ann"),
        take("approve_retroactively", 5, "mia"),
        take("refuse_retroactively", 5, "bob", why="no"),
        take("hold", 2, "ann", reason=HoldReason.VENDOR),
        void(6, 2),
        void(6, 3),
        void(6, 4),
        void(6, 5),
    ]
)
KINDS = st.sampled_from([plan(), emergency(), plan(requested_by="olaf")])


def told_by(first, more):
    """Return a stream of those of the steps that were not refused."""
    state = domain.INITIAL
    for step in (first, *more):
        try:
            events = step(state)
        except StepRefused:
            continue
        for event in events:
            state = domain.evolve(state, event)
    return "change:CHG-1", state


@given(KINDS, st.lists(ANY_STEP, max_size=12), st.data())
def test_a_trail_holds_only_what_was_known_and_is_that_of_the_prefix(first, more, data):
    name, state = told_by(first, more)
    story = log((name, state.past))
    known_at = data.draw(st.integers(1, len(story)))

    found = decision_trail(story, "CHG-1", known_at=known_at)

    positions = [one.position for one in found.decisions]
    positions += [p for one in found.decisions for p in (*one.voids, *one.corrected_by)]
    positions += [p for one in found.findings for p in one.positions]
    assert max(positions) <= known_at == found.log_position
    assert attrs.evolve(found, known_at=None) == decision_trail(story[:known_at], "CHG-1")


@given(KINDS, st.lists(ANY_STEP, max_size=14))
def test_the_votes_that_count_are_those_the_domain_counts(first, more):
    name, state = told_by(first, more)

    found = decision_trail(log((name, state.past)), "CHG-1")

    counting = [one for one in found.decisions if one.what == "approved" and one.counts]
    assert state.voters == {one.by for one in counting}
    for one in found.decisions:
        if one.what == "approved" and not one.counts:
            assert one.voided_by is not None or one.lapsed_by is not None


@given(KINDS, st.lists(ANY_STEP, max_size=14))
def test_what_went_through_the_domain_keeps_those_apart_whom_it_bars(first, more):
    name, state = told_by(first, more)

    found = decision_trail(log((name, state.past)), "CHG-1")

    barred = (Question.REQUESTER, Question.PLANNER, Question.SUBMITTER)
    assert Ruling.BROKEN not in {found.finding(question).verdict for question in barred}
    if state.outstanding:
        assert Question.SETTLED in broken(found)
    assert len(ALL) == len(found.findings)
    assert isinstance(found, DecisionTrail)
    json.dumps(found.as_dict())
    found.explain()


def test_a_status_is_what_makes_a_vote_say_that_the_quorum_was_met():
    vote = ChangeApproved(at=at(2), by="mia", content=1, votes=1, quorum=1, status=None)
    met = attrs.evolve(vote, status=ChangeStatus.APPROVED)

    assert [False, True] == [
        of_events(planned(), one).decisions[1].quorum_met for one in (vote, met)
    ]


def test_a_plan_is_told_with_its_type():
    given_ = ChangePlanned(at=at(0), by="cia", type=ChangeType.NORMAL)

    assert "ChangePlanned" == of_events(given_).decisions[0].type


def test_rows_of_facts_are_told_by_their_fields():
    found = jsonable(facts(log(incident("INC-1", detected(1), resolved(2)))).incidents[0])
    assert ("INC-1", "resolved") == (found["id"], found["status"])
    assert [True] == [spell["over"] for spell in found["spells"]]


def test_corrections_that_no_step_gives_have_no_effect():
    """A forged row may speak of what votes and words depend on."""
    vote = domain.ChangeApproved(at=at(1), by="mia", content=1, votes=1, quorum=1)

    def says(version, field, now):
        return EnvironmentCorrected(at=at(2), by="ann", version=version, field=field, now=now)

    story = change(
        "CHG-1",
        planned(title="Basket"),
        vote,
        says(2, "no such field", "x"),
        says(1, "title", "Basket 5"),
        says(2, "content", 9),
        domain.ChangeRevised(at=at(3), by="lena", title="Basket 6"),
    )

    found = decision_trail(log(story), "CHG-1").decisions

    assert [(), (), (), (), (), (2,)] == [one.voids for one in found]
    assert Altered(field="title", was="Basket", now="Basket 6") in found[-1].altered


def test_a_line_says_what_a_step_was_about():
    story = (
        *(plan(), submit(), approve(), take("start", 3, "ann", rollout_plan=(5, 100))),
        take("advance_rollout", 3, "ci", percent=5),
        take("validate", 3, "ci", check="smoke", passed=False),
    )
    text = trail(*story).explain()
    assert "rollout advanced to 5 % by ci" in text
    assert "validated smoke, which failed, by ci" in text
    closed = trail(
        *(plan(), submit(), approve(), start(), complete()),
        take("close", 5, "ann", result="successful"),
    )
    assert "closed as successful by ann" in closed.explain()
    refused = StepRefusedRecorded(at=at(1), by="eve", step="start", guard="freeze")
    freed = FreezeOverridden(
        at=at(1), by="mia", freeze="the sale", since=at(1), until=at(2), why="so"
    )
    told = of_events(planned(), refused, freed).explain()
    assert "refused a step: start (guard freeze), asked by eve" in told
    assert 'freeze overridden "the sale" by mia' in told
