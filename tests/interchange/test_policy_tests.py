"""Tests of a policy that stand beside it, and the schema of its file."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import attrs
import pytest

from imcm import (
    CanaryPlan,
    Freeze,
    InvalidValue,
    MaintenanceWindow,
    NaiveTimeError,
    Policy,
    PolicyTest,
    RolloutRule,
    Weekly,
    Window,
    policy_schema,
    read_policy_tests,
    run_policy_tests,
    strict_policy,
)
from imcm.domain.policy import AgentStep, ApprovalRule, ApprovedTemplate, PlanRule
from imcm.interchange.toml_files import STRICT

FRIDAY = datetime(2026, 3, 6, 17, 0, tzinfo=UTC)
TUESDAY = datetime(2026, 3, 10, 10, 0, tzinfo=UTC)
WEEKEND = Freeze(
    name="weekend", times=Weekly(start="Fri 16:00", end="Mon 08:00"), override_by=["zoe"]
)


def answer(policy, **told):
    """Return what a policy says to one test: the step that was refused, and the guard."""
    [outcome] = run_policy_tests(policy, [PolicyTest(**{"name": "t", "at": TUESDAY, **told})])
    return outcome.step, outcome.refused_by


def file(tmp_path, text):
    path = tmp_path / "tests.toml"
    path.write_text(text, encoding="utf-8")
    return path


# --- each step ------------------------------------------------------------------------------------


class TestEachStep:
    POLICY = Policy(
        name="p",
        plans=[PlanRule(needs=["test_plan"], risks=["high"])],
        rules=[ApprovalRule(votes=2, of={"cab": 1}, risks=["high"])],
        members={"cab": ["mia"]},
        valid_for="14 days",
        freezes=[WEEKEND],
        templates=[ApprovedTemplate(name="restart", version="3", max_failures=2)],
        refuse_conflicts=True,
        approvers_may_start=False,
        actors={"agent": ["bot-*"]},
    )
    BOB = ({"by": "bob"},)

    @pytest.mark.parametrize(
        ("told", "answered"),
        [
            ({"step": "submit"}, ("", "")),
            ({"step": "submit", "change": {"risk": "high"}}, ("submit", "plans")),
            ({"step": "submit", "change": {"risk": "high", "test_plan": "x"}}, ("", "")),
            ({"step": "submit", "change": {"rollback_plan": ""}}, ("submit", "plans")),
            ({"step": "approve", "votes": BOB}, ("", "")),
            ({"step": "approve", "votes": ({"by": "requester"},)},
             ("approve", "separation of duties")),
            ({"step": "approve", "votes": ({"by": "bot-1"},)}, ("approve", "actor")),
            ({"votes": BOB}, ("", "")),
            ({}, ("start", "approved")),
            ({"votes": BOB, "by": "bob"}, ("start", "separation of duties")),
            ({"votes": ({"by": "bob", "at": TUESDAY - timedelta(days=15)},)},
             ("start", "vote lapsed")),
            ({"votes": ({"by": "bob", "at": TUESDAY - timedelta(days=13), "why": "ok"},)},
             ("", "")),
            ({"change": {"risk": "high", "test_plan": "x"}, "votes": (*BOB, {"by": "eve"})},
             ("start", "approved")),
            ({"change": {"risk": "high", "test_plan": "x"},
              "votes": (*BOB, {"by": "mia", "authority": "cab"})}, ("", "")),
            ({"at": FRIDAY, "votes": BOB}, ("start", "freeze")),
            ({"at": FRIDAY, "votes": BOB, "override": {"freeze": "weekend", "by": "zoe"}},
             ("", "")),
            ({"at": FRIDAY, "votes": BOB, "step": "override_freeze",
              "override": {"freeze": "weekend", "by": "ann"}}, ("override_freeze", "freeze")),
            ({"votes": BOB, "conflicts": ("CHG-7",)}, ("start", "conflicts")),
            ({"votes": BOB, "step": "schedule",
              "window": Window(start=TUESDAY, end=TUESDAY + timedelta(hours=1))}, ("", "")),
            ({"votes": BOB, "step": "schedule", "conflicts": ("CHG-7",),
              "window": Window(start=TUESDAY, end=TUESDAY + timedelta(hours=1))},
             ("schedule", "conflicts")),
            ({"votes": BOB,
              "window": Window(start=TUESDAY, end=TUESDAY + timedelta(hours=1))}, ("", "")),
            ({"votes": BOB,
              "window": {"start": TUESDAY + timedelta(days=1), "end": TUESDAY + timedelta(days=2)}},
             None),
            ({"change": {"type": "standard"}, "template": {"name": "restart", "version": "3"}},
             ("", "")),
            ({"change": {"type": "standard"}, "template": {"name": "restart", "version": "2"}},
             ("submit", "template")),
            ({"change": {"type": "standard"}, "template": {"name": "restart", "version": "3"},
              "template_failures": 2}, ("submit", "template failures")),
            ({"votes": BOB, "step": "close", "by": "ci"}, ("", "")),
            ({"votes": BOB, "step": "close", "by": "bot-1"}, ("close", "actor")),
            ({"votes": BOB, "step": "close", "by": "bot-1", "result": "cancelled"}, None),
            ({"at": FRIDAY, "change": {"type": "emergency", "incident": "INC-1"}}, ("", "")),
        ],
    )  # fmt: skip
    def test_is_played_as_people_take_it(self, told, answered):
        if answered is None:
            with pytest.raises(InvalidValue):
                answer(self.POLICY, **told)
        else:
            assert answer(self.POLICY, **told) == answered

    SLOW = Policy(
        name="slow",
        rollouts=[RolloutRule(first=5, bake="30 minutes", checks=["smoke"], fresh_for="1 hour")],
        plans=[PlanRule(references=["ticket"])],
    )
    TOLD: ClassVar = {
        "references": ({"kind": "ticket", "address": "OPS-7"},),
        "votes": BOB,
        "rollout_plan": (5, 100),
    }

    @staticmethod
    def reached(percent, minutes, **fields):
        return {"percent": percent, "at": TUESDAY + timedelta(minutes=minutes), **fields}

    @staticmethod
    def checked(minutes, passed=True):
        return {"check": "smoke", "passed": passed, "at": TUESDAY + timedelta(minutes=minutes)}

    @pytest.mark.parametrize(
        ("told", "answered"),
        [
            ({"references": (), "step": "submit"}, ("submit", "plans")),
            ({"step": "submit"}, ("", "")),
            ({"rollout_plan": ()}, ("start", "rollout plan")),
            ({}, ("", "")),
            ({"step": "advance_rollout", "rollout": ((5, 0),)}, ("", "")),
            ({"step": "advance_rollout", "rollout": ((5, 0), (100, 20)), "checks": ((10,),)},
             ("advance_rollout", "bake time")),
            ({"step": "advance_rollout", "rollout": ((5, 0), (100, 40)), "checks": ((10,),)},
             ("", "")),
            ({"step": "advance_rollout", "rollout": ((5, 0), (100, 40)), "checks": ((50,),)},
             ("advance_rollout", "checks")),
            ({"step": "advance_rollout", "rollout": ((5, 0), (100, 40)),
              "checks": ((10,), (20, False))}, ("advance_rollout", "checks")),
            ({"step": "advance_rollout", "rollout": ((5, 0), (100, 99)), "checks": ((10,),)},
             ("advance_rollout", "checks")),
            ({"step": "advance_rollout", "rollout": ((100, 0),)},
             ("advance_rollout", "no step skipped")),
            ({"step": "close", "at": TUESDAY + timedelta(hours=2), "rollout": ((5, 0), (100, 40)),
              "checks": ((10,),)}, ("", "")),
            ({"step": "close", "at": TUESDAY + timedelta(hours=2), "started": TUESDAY,
              "rollout": ((5, 10),)}, ("complete", "rolled out")),
        ],
    )  # fmt: skip
    def test_of_a_rollout_has_the_times_of_its_shares_and_checks(self, told, answered):
        given = {**self.TOLD, **told}
        given["rollout"] = [self.reached(*each) for each in given.get("rollout", ())]
        given["checks"] = [self.checked(*each) for each in given.get("checks", ())]
        assert answer(self.SLOW, **given) == answered

    def test_counts_of_a_share_are_tables(self):
        counts = {"canary": {"requests": 9, "errors": 9}, "baseline": {"requests": 9, "errors": 0}}
        policy = Policy(name="seen", rollouts=[RolloutRule(first=5, canary=CanaryPlan())])
        told = {"votes": self.BOB, "rollout_plan": (5, 100), "step": "advance_rollout"}
        reached = [self.reached(5, 0), self.reached(100, 60)]
        assert answer(policy, **told, rollout=reached) == ("advance_rollout", "canary")
        seen = [self.reached(5, 0), self.reached(100, 60, **counts)]
        [outcome] = run_policy_tests(
            policy, [PolicyTest(name="t", at=TUESDAY, **told, rollout=seen)]
        )
        assert (outcome.refused_by, "needs canary=" in outcome.why) == ("canary", False)

    def test_takes_the_window_of_a_plan_as_a_table(self):
        policy = Policy(name="p", plans=[PlanRule(needs=["window"])])
        window = {"start": TUESDAY - timedelta(hours=1), "end": TUESDAY + timedelta(hours=1)}
        votes = ({"by": "bob"},)
        assert answer(policy, votes=votes, change={"window": window}) == ("", "")
        assert answer(policy, votes=votes, change={"window": Window(**window)}) == ("", "")
        assert answer(policy, votes=votes) == ("submit", "plans")

    def test_a_vote_may_be_older_than_the_hours_before(self):
        policy = Policy(name="p", valid_for="1 hour")
        assert answer(policy, votes=({"by": "bob"},)) == ("start", "vote lapsed")
        late = {"by": "bob", "at": TUESDAY - timedelta(minutes=30)}
        assert answer(policy, votes=(late,)) == ("", "")


# --- outcomes -------------------------------------------------------------------------------------


class TestOutcomes:
    def test_say_what_was_expected_and_what_came(self):
        tests = [
            PolicyTest(name="good", at=TUESDAY, votes=({"by": "bob"},)),
            PolicyTest(name="bad", at=FRIDAY, votes=({"by": "bob"},)),
            PolicyTest(name="meant", at=FRIDAY, votes=({"by": "bob"},), refused_by="freeze"),
            PolicyTest(name="other", at=TUESDAY, refused_by="freeze"),
        ]
        outcomes = run_policy_tests(Policy(name="p", freezes=[WEEKEND]), tests)
        assert [each.passed for each in outcomes] == [True, False, True, False]
        good, bad, meant, other = map(str, outcomes)
        assert good == "passed  good: expected allowed; allowed"
        assert bad.startswith("FAILED  bad: expected allowed; start is refused by freeze: ")
        assert meant.startswith("passed  meant: expected freeze; start is refused by freeze: ")
        assert other.startswith("FAILED  other: expected freeze; start is refused by approved: ")
        plain = outcomes[1].as_dict()
        assert plain == json.loads(json.dumps(plain))
        assert {**plain, "why": ""} == {
            "name": "bad", "passed": False, "expected": "", "step": "start",
            "refused_by": "freeze", "why": "",
        }  # fmt: skip

    def test_a_step_before_that_which_is_asked_about_fails_the_test(self):
        votes = ({"by": "requester"},)
        refused = "separation of duties"
        of_a_vote = PolicyTest(name="t", at=TUESDAY, votes=votes, refused_by=refused)
        [outcome] = run_policy_tests(Policy(), [of_a_vote])
        assert (outcome.step, outcome.refused_by) == ("approve", refused)


# --- what is refused ------------------------------------------------------------------------------

ONE = '[[tests]]\nname = "t"\nat = 2026-03-10T10:00:00Z\n'


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("line", "named"),
        [
            ("chnge = {}", "tests[1].chnge: {} is not allowed; .*near: change"),
            ("change = {titel = 'x'}", "tests[1].change.titel: .*near: title"),
            ("change = {policy = 'x'}", "tests[1].change.policy"),
            ("change = 5", "tests[1].change: 5 is not allowed; a table"),
            ("change = {window = {start = 5}}", "tests[1].change.window.end"),
            ("votes = [{bye = 'bob'}]", "tests[1].votes.bye: .*near: by"),
            ("votes = [{authority = 'cab'}]", "tests[1].votes.by: None"),
            ("votes = ['bob']", "tests[1].votes: .*a list of tables"),
            ("votes = [{by = 'bob', at = 5}]", "tests[1].votes.at: 5"),
            ("votes = [{by = 'bob', at = 2026-03-06T17:00:00}]", "votes.at: .*time zone"),
            ("votes = [{by = 'bob', at = 0001-01-01T00:00:00Z}]", "votes.at: .*the year 2"),
            ("override = {freze = 'x'}", "tests[1].override.freze: .*near: freeze"),
            ("override = 'weekend'", "tests[1].override: .*a table"),
            ("template = {nam = 'x'}", "tests[1].template.nam: .*near: name"),
            ("template = {name = 'x'}", "tests[1].template.version: None"),
            ("window = 5", "tests[1].window: 5 .*a table with start and end"),
            ("window = {start = 2026-03-10T10:00:00Z}", "tests[1].window.end"),
            ("conflicts = 'CHG-7'", "tests[1].conflicts"),
            ("references = [{knd = 'ticket'}]", "tests[1].references.knd: .*near: kind"),
            ("started = 5", "tests[1].started: 5"),
            ("rollout_plan = 5", "tests[1].rollout_plan: 5"),
            ("rollout = [{percent = 5}]", "tests[1].rollout.at: None"),
            (
                "rollout = [{at = 2026-03-10T10:00:00Z, canary = {errors = 1}}]",
                "tests[1].rollout.canary",
            ),
            ("checks = [{check = 'smoke'}]", "tests[1].checks.at: None"),
            ("step = 'advance_rollout'", "tests[1].rollout: .*the last one"),
            ("template_failures = -1", "tests[1].template_failures: -1"),
            ("step = 'strat'", "tests[1].step: 'strat'"),
            ("step = ['start']", "tests[1].step"),
            ("by = ''", "tests[1].by"),
            ("result = 'perfect'", "tests[1].result: 'perfect'"),
            ("refused_by = 'freze'", "tests[1].refused_by: 'freze' .*near: freeze"),
            ("refused_by = ['freeze']", "tests[1].refused_by"),
        ],
    )
    def test_is_named_with_what_is_allowed(self, tmp_path, line, named):
        pattern = named.replace("[", r"\[").replace("]", r"\]").replace("{}", r"\{\}")
        with pytest.raises(InvalidValue, match=pattern):
            read_policy_tests(file(tmp_path, f"{ONE}{line}\n"))

    def test_a_time_without_a_zone_is(self, tmp_path):
        with pytest.raises(InvalidValue, match="time zone"):
            read_policy_tests(file(tmp_path, '[[tests]]\nname = "t"\nat = 2026-03-10T10:00:00\n'))
        with pytest.raises(NaiveTimeError):
            PolicyTest(name="t", at=TUESDAY.replace(tzinfo=None))

    @pytest.mark.parametrize("text", ["", "tests = []", 'name = "x"', "tests = 5", "tests = [1]"])
    def test_a_file_without_tests_is(self, tmp_path, text):
        with pytest.raises(InvalidValue, match="tests"):
            read_policy_tests(file(tmp_path, text))

    def test_what_a_step_does_not_take_names_the_test(self):
        test = PolicyTest(name="odd", at=TUESDAY, change={"kind": "moon"})
        with pytest.raises(InvalidValue, match=r"tests\.odd: kind: 'moon'"):
            run_policy_tests(Policy(), [test])

    @pytest.mark.parametrize("tests", [None, 5, "tests", {}, [5], PolicyTest(name="t", at=TUESDAY)])
    def test_what_is_no_list_of_tests_is(self, tests):
        with pytest.raises(InvalidValue, match="PolicyTest"):
            run_policy_tests(Policy(), tests)


# --- the policy that is shipped -------------------------------------------------------------------


class TestTheStrictPolicy:
    def test_passes_its_own_tests(self):
        outcomes = run_policy_tests(strict_policy(), read_policy_tests(STRICT))
        assert [str(each) for each in outcomes if not each.passed] == []
        assert len(outcomes) >= 7
        assert {each.refused_by for each in outcomes} >= {"", "freeze", "plans", "approved"}

    def test_the_default_policy_does_not(self):
        outcomes = run_policy_tests(Policy(), read_policy_tests(STRICT))
        assert {each.test.name for each in outcomes if not each.passed} == {
            "nothing starts on a Friday evening",
            "high risk says how it is tested and watched",
            "high risk takes a vote of the CAB",
            "a vote is not good for ever",
            "who votes does not start it",
        }


# --- the schema -----------------------------------------------------------------------------------

EVERYTHING = Policy(
    name="everything",
    version="7",
    approvals=2,
    authorities=["peer", "cab"],
    review_for=["P1"],
    rules=[ApprovalRule(votes=2, of={"cab": 1, "dba": 1}, risks=["high"], kinds=["schema"])],
    members={"cab": ["mia"]},
    groups={"dba": ["sam"]},
    plans=[PlanRule(needs=["risk"], references=["ticket"], labels={"a": "b"})],
    templates=[
        ApprovedTemplate(name="restart", version="3", sha256="0" * 64, services=["web"]),
        ApprovedTemplate(name="old", version="1", retired=True, max_failures=2, within="9 days"),
    ],
    rollouts=[
        RolloutRule(first=5, bake="10 minutes", checks=["smoke"], fresh_for="1 hour",
                    canary=CanaryPlan(), environments=["production"]),
        RolloutRule(canary=CanaryPlan(tolerated_ratio=None)),
    ],
    valid_for="14 days",
    ruling_due="3 days",
    actors={"person": ["*"], "service": ["ci"], "agent": ["bot-*"]},
    agents_may=["close"],
    freezes=[
        attrs.evolve(WEEKEND, services=["web"], labels={"a": "b"}),
        Freeze(name="sale", times=Window(start=FRIDAY, end=TUESDAY)),
    ],
    maintenance=[MaintenanceWindow(name="nights", times=Weekly(start="Mon 22:00", end="Tue 04:00",
                                                               time_zone="Europe/London"))],
    refuse_conflicts=True,
    stewards=["mia"],
    approvers_may_start=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema", reason="an extra of the tests")
    schema = json.loads(json.dumps(policy_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


class TestTheSchema:
    def test_takes_the_strict_policy(self, validator):
        told = tomllib.loads(STRICT.read_text(encoding="utf-8"))
        assert list(validator.iter_errors(json.loads(json.dumps(told, default=str)))) == []

    @pytest.mark.parametrize(
        "policy",
        [
            EVERYTHING,
            Policy(name="p"),
            Policy(name="p", actors={"person": ["*"]}, people_decide=True),
        ],
    )
    def test_takes_what_a_policy_says_of_itself(self, validator, policy):
        plain = json.loads(json.dumps(policy.as_dict()))
        assert Policy.from_dict(plain) == policy
        assert list(validator.iter_errors(plain)) == []

    def test_everything_leaves_nothing_out(self):
        said = set(EVERYTHING.as_dict())
        assert said | {"people_decide"} == {field.name for field in attrs.fields(Policy)}

    @pytest.mark.parametrize(
        "wrong",
        [
            {"nam": "x"},
            {"colour": "red"},
            {"approvals": 0},
            {"valid_for": "for ever"},
            {"rules": [{"vote": 2}]},
            {"plans": [{"needs": ["luck"]}]},
            {"templates": [{"name": "x"}]},
            {"rollouts": [{"firts": 5}]},
            {"rollouts": [{"first": 100}]},
            {"rollouts": [{"canary": {"alhpa": 0.1}}]},
            {"freezes": [{"name": "x"}]},
            {"freezes": [{"name": "x", "weekly": [{"start": "Fri", "end": "Mon 08:00"}]}]},
            {"maintenance": [{"name": "x", "windows": [], "override_by": ["zoe"]}]},
            {"members": {"dba": ["sam"]}},
            {"agents_may": ["start"]},
        ],
    )
    def test_refuses_what_the_reader_refuses(self, validator, wrong):
        assert list(validator.iter_errors({"name": "x", **wrong})) != []
        with pytest.raises(InvalidValue):
            Policy.from_dict({"name": "x", **wrong})

    @pytest.mark.parametrize(
        ("cls", "path"),
        [
            (Policy, ()),
            (ApprovalRule, ("rules", "items")),
            (PlanRule, ("plans", "items")),
            (ApprovedTemplate, ("templates", "items")),
            (RolloutRule, ("rollouts", "items")),
            (CanaryPlan, ("rollouts", "items", "properties", "canary")),
            (Freeze, ("freezes", "items")),
            (MaintenanceWindow, ("maintenance", "items")),
            (Weekly, ("freezes", "items", "properties", "weekly", "items")),
        ],
    )
    def test_has_every_field_and_says_what_it_means(self, cls, path):
        schema = policy_schema()
        for key in ("properties", *path)[: len(path) + 1] if path else ():
            schema = schema[key]
        fields = {field.name for field in attrs.fields(cls) if field.init}
        fields -= {"times"}  # in a file: weekly, windows
        if cls is ApprovedTemplate:
            fields -= {"types"}  # always standard ones
        assert set(schema["properties"]) - {"tests", "weekly", "windows"} == fields
        assert schema["additionalProperties"] is False
        if cls is Policy:
            assert [] == [
                key for key, of in schema["properties"].items() if "description" not in of
            ]

    def test_steps_of_agents_are_those_there_are(self):
        items = policy_schema()["properties"]["agents_may"]["items"]
        assert items["enum"] == [step.value for step in AgentStep]
