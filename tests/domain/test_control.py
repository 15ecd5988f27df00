"""
What a policy asks besides votes: whose they are, how long they count, plans, templates, conflicts.
"""

import json
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.examples import approved, at, completed, emergency, planned, started, submitted, window
from imcm import testing
from imcm.domain import change
from imcm.domain.change_events import (
    ChangeApproved,
    ChangeApprovedRetroactively,
    ChangeClosed,
    ChangeCompleted,
    ChangeStatus,
    StepRefusedRecorded,
    Template,
)
from imcm.domain.corrections import MomentCorrected, ReferenceAdded
from imcm.domain.policy import (
    AgentStep,
    ApprovalRule,
    ApprovedTemplate,
    Content,
    PlanRule,
    Policy,
)
from imcm.domain.policy.context import Context
from imcm.domain.policy.freezes import Freeze, MaintenanceWindow, Weekly
from imcm.domain.policy.plans import PlanPart
from imcm.domain.vocabulary import (
    Actor,
    Authority,
    Between,
    ChangeType,
    Kind,
    Result,
    Risk,
    Window,
)
from imcm.errors import InvalidValue, StepRefused

HOUR = timedelta(hours=1)
TEN = Policy(name="ten hours", valid_for="10 hours")
WAITS = (planned(), submitted())


def asked(*events):
    return testing.given(*events)


def vote(*events, by="bea", hours=2, policy=TEN, **more):
    return asked(*events).when(change.approve, by=by, at=at(hours), policy=policy, **more)


def voted(*events, **more):
    """Return some events and the vote that follows."""
    return (*events, *vote(*events, **more).events)


class TestLengths:
    @pytest.mark.parametrize(
        ("text", "length", "again"),
        [
            ("14 days", timedelta(days=14), "14 days"),
            ("1 day", timedelta(days=1), "1 day"),
            ("48 hours", timedelta(days=2), "2 days"),
            ("2 weeks", timedelta(days=14), "14 days"),
            ("90 minutes", 90 * timedelta(minutes=1), "90 minutes"),
            (timedelta(hours=36), timedelta(hours=36), "36 hours"),
        ],
    )
    def test_are_text_or_a_timedelta(self, text, length, again):
        policy = Policy(valid_for=text, ruling_due=text)
        assert (policy.valid_for, policy.ruling_due) == (length, length)
        assert policy.as_dict()["valid_for"] == again == policy.as_dict()["ruling_due"]
        assert Policy.from_dict(policy.as_dict()) == policy

    @pytest.mark.parametrize(
        "length",
        [
            *(
                "14",
                "0 days",
                "-1 day",
                "1.5 hours",
                "1 month",
                "14  days",
                "٣ days",
                "99999999 days",
            ),
            *(
                14,
                True,
                timedelta(),
                timedelta(seconds=90),
                timedelta(days=99_999),
                ["1 day"],
                b"1",
            ),
        ],
    )
    def test_of_no_meaning_are_refused(self, length):
        for name in ("valid_for", "ruling_due"):
            with pytest.raises(InvalidValue, match=rf"{name}.*14 days"):
                Policy(**{name: length})


class TestVotesThatLapse:
    def test_say_until_when_they_count(self):
        [event] = vote(*WAITS).events
        assert event.valid_until == at(12)
        assert change.fold((*WAITS, event)).votes["bea"].until == at(12)

    def test_count_until_then(self):
        approved_ = voted(*WAITS)
        asked(*approved_).when(change.start, by="ann", at=at(11.99), policy=TEN).then(
            started(11.99, policy=TEN.said("may start"))
        )
        refused = asked(*approved_).when(change.start, by="ann", at=at(12), policy=TEN)
        why = refused.then_refused(guard="vote lapsed").why
        assert f"that of 'bea' at {at(12)}; missing: 1 more" in why

    def test_also_under_a_policy_that_lets_none_lapse(self):
        refused = asked(*voted(*WAITS)).when(change.start, by="ann", at=at(12))
        refused.then_refused(guard="vote lapsed")

    def test_that_were_to_count_for_ever_lapse_under_the_policy_now_in_force(self):
        plain = voted(*WAITS, policy=Policy())
        assert plain[-1].valid_until is None
        asked(*plain).when(change.start, by="ann", at=at(999)).then(started(999))
        refused = asked(*plain).when(change.start, by="ann", at=at(12), policy=TEN)
        refused.then_refused(guard="vote lapsed")
        of_before = asked(*WAITS, approved(2)).when(change.start, by="ann", at=at(12), policy=TEN)
        of_before.then_refused(guard="vote lapsed")

    def test_do_not_matter_where_enough_others_count(self):
        two = Policy(name="two", approvals=2, valid_for="10 hours")
        one = Policy(name="one", approvals=1, valid_for="10 hours")
        both = voted(*voted(*WAITS, policy=two), by="dan", hours=5, policy=two)
        assert both[-1].status is ChangeStatus.APPROVED
        asked(*both).when(change.start, by="ann", at=at(13), policy=two).then_refused(
            guard="vote lapsed"
        )
        [event] = asked(*both).when(change.start, by="ann", at=at(13), policy=one).events
        assert not event.outstanding
        [more] = vote(*both, by="eve", hours=13, policy=one).events  # one of them may be renewed
        assert (more.status, more.votes) == (None, 2)

    def test_can_be_given_again_then_by_the_same_person_and_not_before(self):
        once = voted(*WAITS)
        vote(*once, hours=11).then_refused(guard="vote lapsed")
        vote(*once, hours=11, by="dan").then_refused(guard="vote lapsed")
        [again] = vote(*once, hours=20).events
        assert (again.status, again.votes, again.valid_until) == (None, 1, at(30))
        asked(*once, again).when(change.start, by="ann", at=at(21), policy=TEN).then(
            started(21, policy=TEN.said("may start"))
        )

    def test_a_clock_that_goes_back_does_not_revive_one(self):
        two = Policy(name="two", approvals=2, valid_for="10 hours")
        story = voted(*voted(*WAITS, policy=two), by="dan", hours=3, policy=two)
        story = voted(*story, by="eve", hours=14, policy=two)  # both have lapsed by then
        refused = asked(*story).when(change.start, by="ann", at=at(4), policy=two)
        assert "missing: 1 more" in refused.then_refused(guard="vote lapsed").why

    def test_while_it_waits_count_no_more_either(self):
        two = Policy(name="two", approvals=2, valid_for="10 hours")
        first = voted(*WAITS, policy=two)
        [late] = vote(*first, by="dan", hours=13, policy=two).events
        assert (late.votes, late.status) == (1, None)
        [same] = vote(*first, hours=13, policy=two).events
        assert (same.votes, same.valid_until) == (1, at(23))

    def test_the_stricter_of_two_policies_says_until_when(self):
        [event] = vote(*WAITS, also=Policy(name="before", valid_for="1 hour")).events
        assert event.valid_until == at(3)
        story = (*WAITS, event)
        refused = asked(*story).when(
            change.start, by="ann", at=at(4), policy=Policy(), also=Policy(approvals=1)
        )
        refused.then_refused(guard="vote lapsed")

    def test_at_an_uncertain_time_lapse_at_the_earliest_and_are_asked_at_the_latest(self):
        unsure = Between(earliest=at(2), latest=at(4))
        [event] = asked(*WAITS).when(change.approve, by="bea", at=unsure, policy=TEN).events
        assert event.valid_until == at(12)
        start = Between(earliest=at(11), latest=at(12))
        refused = asked(*WAITS, event).when(change.start, by="ann", at=start, policy=TEN)
        refused.then_refused(guard="vote lapsed")

    def test_at_the_end_of_all_times_count_until_there(self):
        end = datetime(9999, 12, 31, 20, tzinfo=UTC)
        [event] = asked(*WAITS).when(change.approve, by="bea", at=end, policy=TEN).events
        assert event.valid_until == datetime.max.replace(tzinfo=UTC)

    def test_whose_moment_is_corrected_are_not_valid_for_longer(self):
        story = voted(*WAITS)
        moved = MomentCorrected(
            at=at(30), by="zoe", version=3, field="at", was=at(2), now=at(29), why="typo"
        )
        refused = asked(*story, moved).when(change.start, by="ann", at=at(31), policy=TEN)
        refused.then_refused(guard="vote lapsed")

    def test_an_emergency_starts_unapproved_then(self):
        story = voted(emergency(), submitted())
        [event] = asked(*story).when(change.start, by="ann", at=at(13), policy=TEN).events
        assert event.outstanding
        assert event.policy.said == "an emergency may start though votes have lapsed"
        rejected = voted(
            emergency(),
            submitted(),
            *asked(emergency(), submitted())
            .when(change.reject, by="bea", at=at(1.5), why="no")
            .events,
            submitted(1.7),
        )
        refused = asked(*rejected).when(change.start, by="ann", at=at(13), policy=TEN)
        refused.then_refused(guard="vote lapsed")

    def test_what_is_found_in_production_after_is_marked(self):
        [event] = (
            asked(*voted(*WAITS)).when(change.observe, by="cmdb", at=at(13), policy=TEN).events
        )
        assert (event.unauthorised, event.outstanding) == ("vote lapsed", True)

    def test_are_asked_beforehand(self):
        state = change.fold(voted(*WAITS))
        answers = {
            (answer.step, answer.possible, answer.guard)
            for hours in (None, 3, 13)
            for answer in change.next_steps(
                state, by="dan", at=None if hours is None else at(hours), policy=TEN
            )
            if answer.step in {"approve", "start"}
        }
        assert answers == {
            ("start", None, "vote lapsed"),
            ("approve", None, "vote lapsed"),
            ("start", True, ""),
            ("approve", False, "vote lapsed"),
            ("start", False, "vote lapsed"),
            ("approve", True, ""),
        }

    def test_given_again_are_not_voided_under_the_start_that_rests_on_them(self):
        story = voted(*voted(*WAITS), hours=20)
        for events in (story, (*story, started(21))):
            refused = asked(*events).when(change.void, by="zoe", at=at(22), version=4, why="x")
            refused.then_refused(guard="approval stands")


PEOPLE = {"person": ["*"], "agent": ["bot-*", "Responder"], "service": ["pipeline", "*-svc"]}
BY_PEOPLE = Policy(name="people", actors=PEOPLE, people_decide=True)


class TestActors:
    @pytest.mark.parametrize(
        ("id_", "actor"),
        [
            ("mia", Actor.PERSON),
            ("bot-7", Actor.AGENT),
            ("BOT-7", Actor.AGENT),
            ("bot-pay-svc", Actor.AGENT),  # of two patterns, what may do less
            ("responder", Actor.AGENT),
            ("responder2", Actor.PERSON),
            ("Pipeline", Actor.SERVICE),
            ("pay-svc", Actor.SERVICE),
        ],
    )
    def test_are_what_the_policy_says(self, id_, actor):
        assert BY_PEOPLE.actor_of(id_) is actor

    def test_a_name_of_its_own_is_stronger_than_a_pattern(self):
        policy = Policy(actors={"agent": ["bot-*"], "person": ["bot-mia"]})
        assert policy.actor_of("bot-mia") is Actor.PERSON
        assert policy.actor_of("mia") is None
        assert Policy().actor_of("mia") is None

    @given(st.lists(st.text("ab", max_size=2), min_size=2, max_size=4), st.text("ab", max_size=6))
    def test_a_pattern_is_its_texts_in_order(self, texts, name):
        """Against all ways to cut a name."""
        pattern = "*".join(texts)
        if not name or not pattern.strip("*"):
            return

        def fits(texts, rest):
            head, *more = texts
            if not more:
                return rest == head
            return rest.startswith(head) and any(
                fits(more, rest[cut:]) for cut in range(len(head), len(rest) + 1)
            )

        policy = Policy(actors={"agent": [pattern]})
        assert fits(texts, name) == (policy.actor_of(name) is Actor.AGENT)

    @pytest.mark.parametrize(
        ("name", "fields"),
        [
            ("actors", {"actors": ["mia"]}),
            ("actors", {"actors": {"robot": ["mia"]}}),
            ("actors", {"actors": {"agent": "mia"}}),
            ("actors.service", {"actors": {"agent": ["Mia"], "service": ["mia"]}}),
            ("actors", {"people_decide": True}),
            ("people_decide", {"people_decide": 1}),
            ("agents_may", {"agents_may": ["start"]}),
            ("agents_may", {**BY_PEOPLE.as_dict(), "agents_may": ["close"]}),
            ("refuse_conflicts", {"refuse_conflicts": "yes"}),
        ],
    )
    def test_of_no_meaning_are_refused(self, name, fields):
        with pytest.raises(InvalidValue, match=name):
            Policy(**fields)

    def test_that_are_no_people_do_not_vote_where_people_decide(self):
        for by, what in (("pipeline", "a kind of id: service"), ("bot-1", "a kind of id: agent")):
            why = vote(*WAITS, by=by, policy=BY_PEOPLE).then_refused(guard="actor").why
            assert what in why
        named = Policy(name="named", actors={"person": ["mia"]}, people_decide=True)
        why = vote(*WAITS, by="zoe", policy=named).then_refused(guard="actor").why
        assert why == (
            "under policy named 1 'zoe' is nobody that is named, and may not approve or rule on it"
        )
        [event] = vote(*WAITS, by="mia", policy=named).events
        assert event.actor is Actor.PERSON

    def test_an_agent_does_not_approve_close_well_or_override_unless_it_may(self):
        agents = {"actors": {"agent": ["bot"]}}
        sale = Freeze(name="sale", times=Window(start=at(3), end=at(9)))
        lax = Policy(name="lax", **agents, agents_may=list(AgentStep), freezes=[sale])
        strict = Policy(name="strict", **agents, freezes=[sale])
        story = (*WAITS, approved())
        over = {"freeze": "sale", "why": "the fair", "at": at(4)}
        done = (*story, started(), completed())
        well, badly = {"result": "successful"}, {"result": "unsuccessful"}
        late = (emergency(), submitted(), started(outstanding=True))
        for events, step, more in (
            (WAITS, change.approve, {"at": at(2)}),
            (story, change.override_freeze, over),
            (done, change.close, {**well, "at": at(5)}),
            (late, change.approve_retroactively, {"at": at(5)}),
            (late, change.refuse_retroactively, {"at": at(5), "why": "no"}),
        ):
            asked(*events).when(step, by="bot", policy=strict, **more).then_refused(guard="actor")
            [event] = asked(*events).when(step, by="bot", policy=lax, **more).events
            assert event.actor is Actor.AGENT
        [event] = asked(*done).when(change.close, by="bot", at=at(5), policy=strict, **badly).events
        assert event == ChangeClosed(
            at=at(5), by="bot", result=Result.UNSUCCESSFUL, actor=Actor.AGENT
        )
        [event] = (
            asked(*done).when(change.close, by="ci", at=at(5), policy=BY_PEOPLE, **well).events
        )
        assert event.actor is Actor.PERSON

    def test_a_vote_given_before_counts_for_nothing_where_its_actor_may_not(self):
        """Under a stricter policy that counts, a service's earlier vote is none."""
        two = Policy(name="people", approvals=2, actors=PEOPLE, people_decide=True)
        first = voted(*WAITS, by="pipeline", policy=Policy(approvals=2))
        [event] = vote(*first, by="mia", policy=two).events
        assert (event.votes, event.status) == (1, None)

    def test_who_is_asked_is_told_beforehand(self):
        [answer] = [
            answer
            for answer in change.next_steps(change.fold(WAITS), at=at(2), policy=BY_PEOPLE)
            if answer.step == "approve"
        ]
        assert (answer.possible, answer.why) == (None, "depends on by")


class TestGroups:
    POLICY = Policy(
        name="groups",
        groups={"DBA": ["mia", "Sam"], "payments team": ["dan", "mia"]},
        rules=[ApprovalRule(votes=2, of={"dba": 1, "payments team": 1}, kinds=["schema"])],
    )
    SCHEMA = (planned(kind=Kind.SCHEMA), submitted())

    def test_count_by_who_is_in_them_whatever_the_capacity(self):
        first = voted(*self.SCHEMA, by="sam", policy=self.POLICY)
        assert first[-1].policy.said == "1 of 2 votes; missing: 1 as payments team"
        [event] = vote(*first, by="DAN", policy=self.POLICY).events
        assert event.status is ChangeStatus.APPROVED

    def test_who_is_of_two_counts_for_both(self):
        first = voted(*self.SCHEMA, by="mia", policy=self.POLICY)
        [event] = vote(*first, by="zoe", policy=self.POLICY).events
        assert event.status is ChangeStatus.APPROVED

    @pytest.mark.parametrize(
        "groups",
        [["dba"], {"dba": "mia"}, {"cab": ["mia"]}, {"CAB": ["mia"]}, {"a": ["x"], "A": ["y"]}],
    )
    def test_of_no_meaning_are_refused(self, groups):
        with pytest.raises(InvalidValue, match="groups"):
            Policy(groups=groups)

    def test_that_are_too_small_or_not_there_are_refused(self):
        rule = ApprovalRule(votes=2, of={"dba": 2})
        with pytest.raises(InvalidValue, match="at most as many as there are: dba"):
            Policy(groups={"dba": ["mia"]}, rules=[rule])
        with pytest.raises(InvalidValue, match="near: dba"):
            Policy(groups={"dba": ["mia"]}, rules=[ApprovalRule(of={"dbs": 1})])

    @given(
        st.lists(
            st.tuples(st.sampled_from("abcdef"), st.sampled_from(Authority)),
            max_size=6,
            unique_by=lambda vote: vote[0],
        ),
        st.integers(1, 4),
        st.fixed_dictionaries(
            {}, optional={"cab": st.integers(1, 2), "peer": st.integers(1, 2), "g": st.just(1)}
        ),
        st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3),
    )
    def test_a_quorum_is_what_an_independent_count_says(self, votes, number, of, group):
        if sum(of.values()) > number:
            return
        policy = Policy(
            rules=[ApprovalRule(votes=number, of=of)],
            groups={"g": sorted(group)},
            members={"cab": ["a", "b"]},
        )
        state, last = change.fold(WAITS), None
        for person, authority in votes:
            try:
                made = change.approve(
                    state, by=person, at=at(2), authority=authority, policy=policy
                )
            except StepRefused:
                continue
            for last in made:
                state = change.evolve(state, last)
        counted = [(p, a) for p, a in votes if a is not Authority.CAB or p in "ab"]
        ever = False
        for upto in range(1, len(counted) + 1):
            some = counted[:upto]
            enough = len(some) >= number and all(
                sum(p in group if name == "g" else a == name for p, a in some) >= count
                for name, count in of.items()
            )
            ever = ever or enough
        assert ever == (state.status is ChangeStatus.APPROVED)


class TestPlans:
    RULES = Policy(
        name="plans",
        plans=[
            PlanRule(needs=["monitoring_plan", "test_plan"], risks=["high"]),
            PlanRule(references=["Ticket"], types=["standard", "emergency"]),
            PlanRule(needs=["window", "services"], labels={"pci": "yes"}),
        ],
    )

    def submit(self, *events, **more):
        return asked(*events).when(change.submit, by="ann", at=at(1), policy=self.RULES, **more)

    def test_say_what_is_asked(self):
        high = planned(risk=Risk.HIGH, has_monitoring_plan=True)
        why = self.submit(high).then_refused(guard="plans").why
        assert (
            why == "under policy plans 1 it needs test_plan; revise it, or refer to what it lacks"
        )
        assert self.submit(attrs.evolve(high, has_test_plan=True)).events

    def test_say_all_that_is_missing_at_once(self):
        pci = planned(risk=Risk.HIGH, labels={"pci": "yes"}, services=(), has_rollback_plan=False)
        assert self.submit(pci).then_refused(guard="plans").why == (
            "a normal change needs rollback_plan; revise it; under policy plans 1 it needs "
            "monitoring_plan and test_plan and window and services; revise it, or refer to what "
            "it lacks"
        )

    def test_by_kinds_of_references(self):
        fix = emergency()
        assert "a reference of kind 'Ticket'" in self.submit(fix).then_refused(guard="plans").why
        ticket = ReferenceAdded(at=at(0.5), by="ann", kind="ticket", address="OPS-7")
        assert self.submit(fix, ticket).events

    def test_by_labels(self):
        pci = planned(labels={"pci": "yes"}, services=(), window=None)
        assert "window and services" in self.submit(pci).then_refused(guard="plans").why
        assert self.submit(attrs.evolve(pci, services=("pay",), window=window(9, 10))).events

    def test_of_others_are_as_before(self):
        assert self.submit(planned(risk=Risk.LOW)).events
        why = self.submit(planned(risk=None)).then_refused(guard="plans").why
        assert why == "a normal change needs risk; revise it"

    def test_missing_parts_are_named_as_arguments(self):
        rule = PlanRule(needs=list(PlanPart), references=["ticket"])
        assert rule.missing([], []) == [*map(str, PlanPart), "a reference of kind 'ticket'"]
        assert rule.missing(list(PlanPart), ["TICKET"]) == []
        for name, asked in (("there", (5, [])), ("there", ([1], [])), ("references", ([], "x"))):
            with pytest.raises(InvalidValue, match=name):
                rule.missing(*asked)

    @pytest.mark.parametrize(
        ("name", "fields"),
        [
            ("needs", {}),
            ("needs", {"needs": ["title"]}),
            ("needs", {"needs": "risk"}),
            ("references", {"references": "ticket"}),
            ("risks", {"needs": ["risk"], "risks": ["huge"]}),
        ],
    )
    def test_of_no_meaning_are_refused(self, name, fields):
        with pytest.raises(InvalidValue, match=name):
            PlanRule(**fields)
        with pytest.raises(InvalidValue, match=rf"plans\[1\]\.{name}"):
            Policy.from_dict({"name": "x", "plans": [fields]})


RESTART = ApprovedTemplate(
    name="restart", version="3", sha256="ab" * 32, services=["web", "pay"], max_failures=2
)
OLD = ApprovedTemplate(name="restart", version="2", retired=True)
ANY = ApprovedTemplate(name="scale", version="1")


class TestTemplates:
    POLICY = Policy(name="recipes", templates=[RESTART, OLD, ANY])
    STANDARD = planned(type=ChangeType.STANDARD, services=("web",), risk=None)

    def submit(self, name="restart", version="3", sha256="ab" * 32, change_=STANDARD, **more):
        template = Template(name=name, version=version, sha256=sha256)
        policy = more.pop("policy", self.POLICY)
        return asked(change_).when(
            change.submit, by="ann", at=at(1), template=template, policy=policy, **more
        )

    def failures(self, count):
        return Context(position=77, content=1, template_failures=count)

    def test_approve_what_follows_them(self):
        [event] = self.submit(context=self.failures(1)).events
        assert (event.status, event.evidence_position) == ("approved", 77)
        [event] = self.submit("scale", "1").events
        assert (event.status, event.evidence_position) == ("approved", None)

    @pytest.mark.parametrize(
        ("given_", "why"),
        [
            ({"name": "reboot"}, "no template 'reboot' '3' of that name and version is approved"),
            ({"version": "4"}, "there are: restart 3, restart 2, scale 1"),
            ({"sha256": "cd" * 32}, "no template 'restart' '3' of that text"),
            ({"version": "2"}, "is retired"),
            (
                {"change_": attrs.evolve(STANDARD, services=("web", "search"))},
                "is not about such a change",
            ),
        ],
    )
    def test_of_another_kind_are_refused(self, given_, why):
        refused = self.submit(**given_, context=self.failures(0))
        assert why in refused.then_refused(guard="template").why

    def test_that_failed_too_often_approve_no_more(self):
        why = self.submit(context=self.failures(2)).then_refused(guard="template failures").why
        assert "2 changes by the template 'restart' failed, and 2 end its approval" in why

    def test_whose_failures_nobody_counted_are_refused(self):
        for context in (None, Context(position=1)):
            refused = self.submit(context=context).then_refused(guard="template failures")
            assert "needs context=" in refused.why

    def test_where_none_are_named_any_approves(self):
        assert self.submit("whatever", "9", policy=Policy()).events

    @pytest.mark.parametrize(
        ("name", "fields"),
        [
            ("name", {"name": ""}),
            ("version", {"version": " "}),
            ("sha256", {"sha256": "AB" * 32}),
            ("sha256", {"sha256": 7}),
            ("retired", {"retired": "yes"}),
            ("max_failures", {"max_failures": 0}),
            ("max_failures", {"max_failures": True}),
            ("within", {"within": "a while"}),
            ("types", {"types": ["emergency"]}),
        ],
    )
    def test_of_no_meaning_are_refused(self, name, fields):
        plain = {"name": "restart", "version": "3", **fields}
        with pytest.raises(InvalidValue, match=name):
            Policy.from_dict({"name": "x", "templates": [plain]})

    def test_have_each_name_and_version_once(self):
        with pytest.raises(InvalidValue, match="each name and version once"):
            Policy(templates=[RESTART, attrs.evolve(RESTART, sha256="", retired=True)])
        assert {RESTART: 1}[RESTART] == 1

    def test_are_found_by_name_and_version(self):
        assert self.POLICY.template("restart", "2") is OLD
        assert self.POLICY.template("restart", "9") is None


class TestConflicts:
    POLICY = Policy(name="alone", refuse_conflicts=True)
    WINDOW = window(9, 10)
    STORY = (planned(window=WINDOW), submitted(), approved())

    def context(self, *conflicts, **more):
        return Context(
            **{"position": 7, "content": 1, "window": self.WINDOW, **more}, conflicts=conflicts
        )

    def start(self, context, *events, hours=9):
        return asked(*(events or self.STORY)).when(
            change.start, by="ann", at=at(hours), policy=self.POLICY, context=context
        )

    def schedule(self, context, *events):
        return asked(*(events or self.STORY)).when(
            change.schedule,
            by="ann",
            at=at(3),
            window=self.WINDOW,
            policy=self.POLICY,
            context=context,
        )

    def test_are_refused_by_name(self):
        for asking in (self.start, self.schedule):
            why = asking(self.context("CHG-7", "CHG-9")).then_refused(guard="conflicts").why
            assert "it conflicts with CHG-7, CHG-9" in why
            [event] = asking(self.context()).events
            assert event.evidence_position == 7

    @pytest.mark.parametrize(
        "other", [None, {"content": 2}, {"window": None}, {"window": window(9, 11)}]
    )
    def test_that_nobody_looked_for_are_refused(self, other):
        context = None if other is None else self.context(**other)
        for asking in (self.start, self.schedule):
            assert "needs context=" in asking(context).then_refused(guard="conflicts").why

    def test_do_not_stop_an_emergency(self):
        assert self.start(None, emergency(), submitted(), hours=3).events

    def test_of_a_change_without_window_are_those_of_now(self):
        story = (planned(), submitted(), approved())
        assert self.start(self.context(window=None), *story, hours=3).events
        self.start(self.context("CHG-7", window=None), *story, hours=3).then_refused(
            guard="conflicts"
        )

    def test_are_asked_for_beforehand(self):
        state = change.fold(self.STORY)
        told = {
            answer.step: (answer.possible, answer.why)
            for answer in change.next_steps(state, by="ann", at=at(9), policy=self.POLICY)
        }
        assert told["start"] == (None, "depends on context")
        told = {
            answer.step: answer.possible
            for answer in change.next_steps(
                state, by="ann", at=at(9), policy=self.POLICY, context=self.context("CHG-7")
            )
        }
        assert told["start"] is False

    @pytest.mark.parametrize(
        ("name", "fields"),
        [
            ("position", {"position": -1}),
            ("position", {"position": True}),
            ("content", {"content": "1"}),
            ("window", {"window": "now"}),
            ("conflicts", {"conflicts": "CHG-7"}),
            ("template_failures", {"template_failures": -1}),
        ],
    )
    def test_of_no_meaning_are_refused(self, name, fields):
        with pytest.raises(InvalidValue, match=name):
            Context(**{"position": 1, **fields})

    def test_what_is_no_context_is_refused(self):
        for step in (change.start, change.schedule):
            more = {"window": self.WINDOW} if step is change.schedule else {}
            with pytest.raises(InvalidValue, match="context"):
                step(change.fold(self.STORY), by="ann", at=at(9), context={"position": 1}, **more)


class TestVotesUntil:
    def test_asks_those_that_lapse_and_keeps_those_that_do_not(self):
        both = attrs.evolve(TEN, approvals=2)
        story = voted(*voted(*WAITS, policy=both), by="zoe", policy=Policy(approvals=2))
        state = change.fold(story)
        assert change.votes_until(state, policy=Policy(approvals=2)) is not None
        assert change.votes_until(state, policy=Policy(approvals=1)) is None


class TestVotesMissing:
    def test_are_those_that_lack_in_which_capacity_at_that_time(self):
        asks = attrs.evolve(TEN, rules=[ApprovalRule(votes=2, of={"cab": 1})])
        waits = change.fold(WAITS)
        assert change.votes_missing(waits, at(2), policy=asks) == "1 more and 1 as cab"
        state = change.fold(voted(*WAITS, policy=asks))
        assert change.votes_missing(state, at(3), policy=asks) == "1 as cab"
        assert change.votes_missing(state, at(300), policy=asks) == "1 more and 1 as cab"
        assert change.votes_missing(state, at(3)) == ""
        assert change.votes_missing(state, at(3), also=asks) == "1 as cab"
        assert change.votes_missing(change.fold([planned()]), at(3), policy=asks) == ""


class TestOpensAt:
    SALE = Freeze(name="sale", times=Window(start=at(3), end=at(9)))
    PEAK = Freeze(name="peak", times=Window(start=at(8), end=at(12)))

    def opens(self, policy, *, hours=4, story=None):
        state = change.fold(voted(*WAITS, policy=Policy()) if story is None else story)
        refusals = change.start_refusals(state, at=at(hours), policy=policy)
        return change.opens_at(state, at(hours), refusals=refusals, policy=policy)

    def test_is_behind_freezes_that_follow_each_other(self):
        assert self.opens(Policy(freezes=[self.SALE])) == at(9)
        assert self.opens(Policy(freezes=[self.SALE, self.PEAK])) == at(12)

    def test_is_inside_maintenance(self):
        night = MaintenanceWindow(name="night", times=Window(start=at(20), end=at(22)))
        assert self.opens(Policy(maintenance=[night], freezes=[self.SALE])) == at(20)

    def test_is_not_known_where_more_is_missing_or_nothing(self):
        assert self.opens(Policy()) is None
        assert self.opens(Policy(freezes=[self.SALE]), story=WAITS) is None
        lapsing = Policy(valid_for="5 hours", freezes=[self.SALE])
        assert self.opens(lapsing) is None
        never = Freeze(name="ever", times=[Window(start=at(n), end=at(n + 1)) for n in range(150)])
        assert change.opens_despite_freezes(
            change.fold(voted(*WAITS, policy=Policy())), at(0), policy=Policy(freezes=[never])
        ) in {None, at(150)}

    def test_of_what_is_wrong_is_refused(self):
        with pytest.raises(InvalidValue, match="refusals"):
            change.opens_at(
                change.fold(voted(*WAITS, policy=Policy())), at(1), refusals=[("freeze", "x")]
            )


class TestAgentsEdit:
    POLICY = Policy(actors={"agent": ["bot"]})

    def test_what_they_told_themselves(self):
        story = (*voted(*WAITS), attrs.evolve(started(3), by="bot"))
        told = {"field": "at", "was": at(3), "now": at(3.5), "why": "x"}
        asked_ = asked(*story).when(
            change.correct, by="bot", at=at(4), version=len(story), policy=self.POLICY, **told
        )
        assert len(asked_.events) == 1


class TestFrozen:
    SALE = Freeze(name="sale", times=Window(start=at(3), end=at(9)), override_by=["mia"])
    PEAK = Freeze(name="peak", times=Window(start=at(8), end=at(12)), services=["pay"])
    POLICY = Policy(freezes=[SALE, PEAK])

    def test_says_until_when_and_what_is_let_through(self):
        frozen = self.POLICY.frozen(at(8), Content(services=("pay",)))
        assert (frozen.freezes, frozen.opens_at) == (("sale", "peak"), at(12))
        assert (frozen.override_by, frozen.by_anybody, frozen.open) == (("mia",), True, False)
        text = str(self.POLICY.frozen(at(4)))
        assert text == (
            f"frozen at {at(4)} until {at(9)} (sale); let through: emergencies, and what mia "
            "lets through"
        )
        assert self.POLICY.frozen(at(4)).as_dict()["opens_at"] == at(9).isoformat()

    def test_outside_of_all_it_is_open(self):
        frozen = self.POLICY.frozen(at(9))
        assert frozen.open
        assert str(frozen) == f"open at {at(9)}"
        assert frozen.as_dict()["open"] is True

    def test_without_a_maintenance_window_it_is_not(self):
        night = MaintenanceWindow(name="night", times=Window(start=at(3), end=at(4)))
        frozen = Policy(maintenance=[night]).frozen(at(5))
        assert (frozen.open, frozen.opens_at, frozen.freezes) == (False, None, ())
        assert "(no maintenance window); let through: emergencies" in str(frozen)
        assert frozen.as_dict()["opens_at"] is None

    def test_a_step_of_a_rollout_in_one_says_so(self):
        running = (planned(), submitted(), approved(), started(2))
        [event] = (
            asked(*running)
            .when(change.advance_rollout, by="ci", at=at(4), percent=5, policy=self.POLICY)
            .events
        )
        assert event.policy.said == "may advance; in the freeze 'sale'"


class TestWhatIsRefused:
    def test_is_no_moment_of_the_change_and_changes_nothing(self):
        refused = StepRefusedRecorded(at=at(-99), by="ann", step="start", guard="freeze")
        before, after = change.fold(WAITS), change.fold((*WAITS, refused))
        assert before == after._replace(past=before.past)
        assert change.evolve(before, refused) == after

    def test_is_recorded_by_no_step(self):
        refused = StepRefusedRecorded(at=at(2), by="ann", step="start", guard="freeze")
        with pytest.raises(InvalidValue, match="record_refusals"):
            change.confirm(change.fold(WAITS), refused)


class TestAWholePolicy:
    EVERYTHING = Policy(
        name="everything",
        version="7",
        approvals=2,
        authorities=["peer", "cab"],
        review_for=["P1"],
        rules=[ApprovalRule(votes=2, of={"cab": 1, "dba": 1}, risks=["high"])],
        members={"cab": ["mia"]},
        groups={"dba": ["sam"]},
        plans=[
            PlanRule(needs=["risk"], references=["ticket"], kinds=["schema"], labels={"a": "b"})
        ],
        templates=[RESTART, OLD],
        valid_for="14 days",
        ruling_due="3 days",
        actors={"person": ["*"], "agent": ["bot-*"]},
        agents_may=["close"],
        refuse_conflicts=True,
        stewards=["mia"],
        approvers_may_start=False,
    )

    def test_is_what_its_tables_say(self):
        plain = json.loads(json.dumps(self.EVERYTHING.as_dict()))
        assert Policy.from_dict(plain) == self.EVERYTHING
        people = Policy(name="p", actors={"person": ["*"]}, people_decide=True)
        assert Policy.from_dict(people.as_dict()) == people

    def test_what_it_has_by_default_is_not_written(self):
        assert set(Policy().as_dict()) == {
            *("name", "version", "approvals", "authorities", "review_for"),
        }

    def test_is_hashable_by_its_parts(self):
        assert {*self.EVERYTHING.plans, *self.EVERYTHING.rules, *self.EVERYTHING.templates}

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("rules", {"rules": [PlanRule(needs=["risk"])]}),
            ("plans", {"plans": [ApprovalRule()]}),
            ("templates", {"templates": "restart"}),
        ],
    )
    def test_lists_are_of_their_kind(self, name, told):
        with pytest.raises(InvalidValue, match=name):
            Policy(**told)


def test_rulings_of_a_source_in_older_logs_settle_nothing_here():
    live = (emergency(), submitted(), attrs.evolve(started(3), outstanding=True))
    ruling = ChangeApprovedRetroactively(at=at(4), by="sn", imported=True)
    assert change.fold((*live, ruling)).outstanding


def test_what_only_a_source_says_was_approved_has_no_votes_to_count():
    said = ChangeApproved(at=at(2), by="sn", imported=True)
    state = change.fold((planned(imported=True), said))
    refusals = change.start_refusals(state, at=at(3), policy=Policy(approvals=2), anew=True)
    assert "approved" not in [guard for guard, _ in refusals]


NIGHTS = Weekly(start="Mon 22:00", end="Tue 04:00")


class TestWhatIsUnknown:
    """A moment that no source tells goes around whatever asks when it was."""

    @pytest.mark.parametrize(
        ("policy", "kind", "guard"),
        [
            ({}, "normal", ""),
            ({"maintenance": [MaintenanceWindow(name="m", times=NIGHTS)]}, "normal",
             "maintenance window"),
            ({"freezes": [Freeze(name="f", times=NIGHTS)]}, "normal", "freeze"),
            ({"freezes": [Freeze(name="f", times=NIGHTS)]}, "emergency", ""),
        ],
    )  # fmt: skip
    def test_is_marked_by_what_asks(self, policy, kind, guard):
        rules = Policy(**policy)
        first = emergency() if kind == "emergency" else planned()
        state = change.fold(voted(first, submitted(1), policy=Policy()))
        done = ChangeCompleted(at=None, by="snow", imported=True)
        [(_, event)] = change.bring_in(state, events=[done], policy=rules)
        assert event.unauthorised == guard


class TestVotedOnAgain:
    def test_without_a_time_what_is_approved_may_be(self):
        state = change.fold(voted(*WAITS, policy=TEN))
        answers = {each.step: each for each in change.next_steps(state, by="zoe", policy=TEN)}
        assert answers["approve"].guard == "vote lapsed"
        assert answers["approve"].possible is None


class TestQuorumThatCanBeReached:
    def test_of_rules_and_of_all(self):
        members = {"cab": ["a", "b"], "peer": ["b", "c"], "service_owner": ["d"]}
        assert Policy(members=members, approvals=4, rules=[ApprovalRule(votes=4)])
        for more in ({"approvals": 5}, {"rules": [ApprovalRule(votes=5)]}):
            with pytest.raises(InvalidValue, match="at most 4"):
                Policy(members=members, **more)
