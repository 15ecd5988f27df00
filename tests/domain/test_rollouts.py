"""Progressive rollouts under a policy: steps, bake times, checks, canaries."""

import pytest

from domain.examples import approved, at, planned, started, submitted
from imcm import testing
from imcm.domain import change
from imcm.domain.change_events import ChangeValidated, RolloutAdvanced, RolloutPaused
from imcm.domain.lifecycle import Ask
from imcm.domain.policy import Policy
from imcm.domain.policy.judging import CanaryPlan
from imcm.domain.policy.rollouts import RolloutRule
from imcm.domain.vocabulary import Between, Counts
from imcm.errors import InvalidValue, StepRefused

BEFORE = (planned(), submitted(), approved())
PLAN = (5.0, 25.0, 100.0)
RUNNING = (*BEFORE, started(3, rollout_plan=PLAN))
BROUGHT_IN = (planned(imported=True), started(3, rollout_plan=PLAN, imported=True))


def policy(**rule):
    return Policy(name="slowly", rollouts=[RolloutRule(**rule)])


def advanced(hours, percent, **fields):
    return RolloutAdvanced(at=at(hours), by="ci", percent=percent, **fields)


def checked(hours, passed=True, check="smoke", **fields):
    return ChangeValidated(at=at(hours), by="ci", check=check, passed=passed, status=None, **fields)


def advance(*events, percent, hours, policy=None, **more):
    given = {} if policy is None else {"policy": policy}
    return testing.given(*events).when(
        change.advance_rollout, by="ci", at=at(hours), percent=percent, **given, **more
    )


class TestSteps:
    @pytest.mark.parametrize(
        ("so_far", "percent", "guard"),
        [
            ((), 5, None),
            ((), 3, None),  # smaller steps are nobody's harm
            ((), 25, "no step skipped"),
            ((5,), 25, None),
            ((5,), 100, "no step skipped"),
            ((5, 25), 100, None),
            ((5, 25), 25, "only up"),
            ((5, 25), 5, "only up"),
        ],
    )
    def test_of_the_plan_are_taken_one_by_one(self, so_far, percent, guard):
        events = (*RUNNING, *(advanced(4 + n, each) for n, each in enumerate(so_far)))
        asked = advance(*events, percent=percent, hours=9)
        if guard is None:
            assert asked.events[0].percent == percent
        else:
            asked.then_refused(guard=guard)

    def test_without_a_plan_are_any(self):
        assert advance(*BEFORE, started(3), percent=60, hours=4).events

    def test_that_are_told_go_on_from_there(self):
        state = change.fold((*RUNNING, advanced(4, 5)))
        assert (state.percent, state.stage_since, state.rollout_plan) == (5, at(4), PLAN)


class TestTheFirstStep:
    POLICY = policy(first=5)

    def start(self, plan, policy=POLICY, **content):
        return testing.given(planned(**content), submitted(), approved()).when(
            change.start, by="ann", at=at(3), policy=policy, rollout_plan=plan
        )

    def test_is_as_small_as_asked(self):
        assert self.start((5, 100)).events
        assert self.start((1, 5, 100)).events
        for plan in ((), (10, 100), (100,)):
            why = self.start(plan).then_refused(guard="rollout plan").why
            assert "it goes to 5 % at most at first; give rollout_plan=, such as (5, 100)" in why

    def test_is_the_smallest_of_all_rules_that_are_about_it(self):
        both = Policy(
            name="two",
            rollouts=[RolloutRule(first=20), RolloutRule(first=1, risks=["high"])],
        )
        assert self.start((20, 100), both).events
        self.start((20, 100), both, risk="high").then_refused(guard="rollout plan")

    def test_is_asked_beforehand(self):
        [answer] = [
            each
            for each in change.next_steps(
                change.fold(BEFORE), by="ann", at=at(3), policy=self.POLICY
            )
            if each.step == "start"
        ]
        assert (answer.possible, answer.why) == (None, "depends on rollout_plan")


class TestBakeTime:
    POLICY = policy(bake="30 minutes")

    def test_passes_before_the_next_step(self):
        events = (*RUNNING, advanced(4, 5))
        early = advance(*events, percent=25, hours=4.49, policy=self.POLICY)
        why = early.then_refused(guard="bake time").why
        assert why == f"at 5 % since {at(4)}, it is watched until {at(4.5)}"
        assert advance(*events, percent=25, hours=4.5, policy=self.POLICY).events

    def test_does_not_pass_before_anybody_has_it(self):
        assert advance(*RUNNING, percent=5, hours=3, policy=self.POLICY).events

    def test_begins_where_an_uncertain_step_ended(self):
        unsure = RolloutAdvanced(at=Between(earliest=at(4), latest=at(5)), by="ci", percent=5.0)
        for hours, guard in ((5.4, "bake time"), (5.5, None)):
            asked = advance(*RUNNING, unsure, percent=25, hours=hours, policy=self.POLICY)
            assert asked.events if guard is None else asked.then_refused(guard=guard)

    def test_of_a_step_that_nobody_dates_is_not_known(self):
        undated = RolloutAdvanced(at=None, by="ci", percent=5.0, imported=True)
        asked = advance(*BROUGHT_IN, undated, percent=25, hours=9, policy=self.POLICY)
        assert "not known since when" in asked.then_refused(guard="bake time").why


class TestChecks:
    POLICY = policy(checks=["smoke", "load"], fresh_for="1 hour")
    AT_5 = (*RUNNING, advanced(4, 5))

    @pytest.mark.parametrize(
        ("checks", "hours", "why"),
        [
            ((), 5, "the check 'smoke' is missing"),
            ((checked(4.5),), 5, "the check 'load' is missing"),
            ((checked(4.5), checked(4.6, check="load", passed=False)), 5, "'load' failed"),
            ((checked(4.5), checked(4.6, check="load")), 5, None),
            ((checked(4.5), checked(4.6, check="load")), 5.55, "'smoke' passed at"),
            ((checked(4.5), checked(4.6, check="load"), checked(4.7, passed=False)), 5, "failed"),
            (
                (
                    checked(4.5, check="load", passed=False),
                    checked(4.6, check="load"),
                    checked(4.6),
                ),
                5,
                None,
            ),
        ],
    )
    def test_have_to_have_passed_lately(self, checks, hours, why):
        asked = advance(*self.AT_5, *checks, percent=25, hours=hours, policy=self.POLICY)
        if why is None:
            assert asked.events
        else:
            assert why in asked.then_refused(guard="checks").why

    def test_of_the_step_before_are_stale(self):
        events = (*RUNNING, advanced(4, 5), checked(4.1), advanced(4.2, 25))
        asked = advance(*events, percent=100, hours=4.3, policy=policy(checks=["smoke"]))
        assert "before this step; run it again" in asked.then_refused(guard="checks").why

    def test_that_nobody_dates_are_stale(self):
        undated = ChangeValidated(
            at=None, by="ci", check="smoke", passed=True, status=None, imported=True
        )
        events = (*BROUGHT_IN, advanced(4, 5, imported=True), undated)
        asked = advance(*events, percent=25, hours=5, policy=policy(checks=["smoke"]))
        assert "nobody knows when" in asked.then_refused(guard="checks").why

    def test_and_steps_of_a_source_move_nothing_of_what_is_judged_here(self):
        passed = checked(4.5, imported=True)
        asked = advance(*self.AT_5, passed, percent=25, hours=5, policy=policy(checks=["smoke"]))
        assert "missing" in asked.then_refused(guard="checks").why
        further = (
            *RUNNING,
            advanced(4, 25, imported=True),
            RolloutPaused(at=at(5), by="ci", percent=25.0, imported=True),
        )
        state = change.fold(further)
        assert (state.percent, state.paused) == (0, False)

    def test_are_told_while_the_work_goes_on(self):
        [event] = (
            testing.given(*self.AT_5)
            .when(change.validate, by="ci", at=at(4.5), check="smoke", passed=True)
            .events
        )
        assert event == checked(4.5)


SMALL = CanaryPlan(requests=200, bake="10 minutes")
BASELINE = Counts(requests=800_000, errors=800)
GOOD = {"canary": Counts(requests=200_000, errors=200), "baseline": BASELINE}
BAD = {"canary": Counts(requests=200_000, errors=4_000), "baseline": BASELINE}


class TestCanaries:
    POLICY = policy(canary=SMALL)
    AT_5 = (*RUNNING, advanced(4, 5))

    def test_have_to_be_counted(self):
        for counts in ({}, {"canary": Counts(requests=5, errors=0)}):
            asked = advance(*self.AT_5, percent=25, hours=5, policy=self.POLICY, **counts)
            assert "give what it was judged by" in asked.then_refused(guard="canary").why

    def test_that_are_as_good_go_on_and_the_event_says_why(self):
        [event] = advance(*self.AT_5, percent=25, hours=5, policy=self.POLICY, **GOOD).events
        assert event.policy.said.startswith("may advance; canary: ")
        assert event.canary == GOOD["canary"]

    def test_that_fail_more_often_do_not(self):
        asked = advance(*self.AT_5, percent=25, hours=5, policy=self.POLICY, **BAD)
        assert "abort: the canary fails more often" in asked.then_refused(guard="canary").why

    def test_that_failed_once_do_not_go_on_later_either(self):
        bad = RolloutPaused(at=at(4.5), by="ci", percent=5.0, **BAD)
        asked = advance(*self.AT_5, bad, percent=25, hours=9, policy=self.POLICY, **GOOD)
        assert "abort: " in asked.then_refused(guard="canary").why

    def test_are_held_without_traffic_or_before_the_time(self):
        none = {"canary": Counts(requests=0, errors=0), "baseline": Counts(requests=0, errors=0)}
        asked = advance(*self.AT_5, percent=25, hours=5, policy=self.POLICY, **none)
        assert "hold: " in asked.then_refused(guard="canary").why
        asked = advance(*self.AT_5, percent=25, hours=4.1, policy=self.POLICY, **GOOD)
        assert "hold: " in asked.then_refused(guard="canary").why

    def test_before_the_first_step_there_is_none(self):
        assert advance(*RUNNING, percent=5, hours=3.1, policy=self.POLICY).events

    def test_steps_of_ones_own_are_asked_the_same(self):
        state = change.fold(self.AT_5)
        [event] = advance(*self.AT_5, percent=25, hours=5, policy=self.POLICY, **GOOD).events
        change.confirm(state, event, policy=self.POLICY)
        [uncounted] = advance(*self.AT_5, percent=25, hours=5).events
        with pytest.raises(StepRefused, match="canary"):
            change.confirm(state, uncounted, policy=self.POLICY)

    def test_are_asked_beforehand(self):
        [guard] = [g for g in change.STEPS["advance_rollout"].guards if g.name == "canary"]
        state, ask = change.fold(self.AT_5), Ask(at=at(5), policy=self.POLICY)
        assert guard.missing(state, ask) == ["canary", "baseline"]
        assert guard.missing(change.fold(RUNNING), ask) == []


class TestRules:
    @pytest.mark.parametrize(
        ("name", "fields"),
        [
            ("first", {}),
            ("first", {"first": 0}),
            ("first", {"first": 100}),
            ("first", {"first": True}),
            ("bake", {"bake": "soon"}),
            ("checks", {"checks": "smoke"}),
            ("fresh_for", {"bake": "1 hour", "fresh_for": "1 hour"}),
            ("canary", {"canary": 5}),
            ("canary.metrics", {"canary": {"metrics": ["errors", "timeouts"]}}),
            ("canary.alpha", {"canary": {"alpha": 2}}),
            ("canary.alhpa", {"canary": {"alhpa": 0.1}}),
        ],
    )
    def test_of_no_meaning_are_refused(self, name, fields):
        with pytest.raises(InvalidValue, match=name.replace(".", r"\.")):
            Policy.from_dict({"name": "x", "rollouts": [fields]})

    def test_are_what_their_tables_say(self):
        rules = [
            RolloutRule(first=5, bake="30 minutes", services=["pay"]),
            RolloutRule(checks=["smoke"], fresh_for="1 hour", canary=CanaryPlan(alpha=0.01)),
        ]
        mine = Policy(name="x", rollouts=rules)
        again = Policy.from_dict(mine.as_dict())
        assert again == mine
        assert {*again.rollouts} == {*rules}
        text = mine.explain()
        assert "rollouts of normal changes on pay: 5 % at most at first" in text
        assert "after smoke passed in the last 1 hour" in text
        assert "a false alarm in 1 % of rollouts at most" in text

    def test_are_rules_and_nothing_else(self):
        with pytest.raises(InvalidValue, match="rollouts"):
            Policy(rollouts=[{"first": 5}])
