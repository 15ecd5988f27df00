"""
What a policy asks for, and what an event keeps of it.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest

from imcm.domain.policy import DEFAULT_POLICY, ApprovalRule, Content, Policy, Quorum
from imcm.domain.policy.freezes import Freeze, MaintenanceWindow, Weekly
from imcm.domain.vocabulary import (
    Authority,
    ChangeType,
    Kind,
    PolicyRef,
    Risk,
    Severity,
    Window,
)
from imcm.errors import InvalidValue

WEEKLY = Weekly(start="Fri 16:00", end="Mon 08:00")
WEEKEND = Freeze(name="weekend", times=WEEKLY)


def at(hours):
    return datetime(2026, 3, 2, 9, 0, tzinfo=UTC) + timedelta(hours=hours)


class TestDefaultPolicy:
    def test_one_approval_and_a_review_for_the_worst_two(self):
        assert DEFAULT_POLICY.approvals == 1
        assert frozenset({Severity.P1, Severity.P2}) == DEFAULT_POLICY.review_for
        assert frozenset(Authority) == DEFAULT_POLICY.authorities


CAB, OWNER, PEER = Authority.CAB, Authority.SERVICE_OWNER, Authority.PEER


class TestQuorum:
    @pytest.mark.parametrize("type", [t for t in ChangeType if t is not ChangeType.EMERGENCY])
    def test_is_what_the_policy_says(self, type):
        assert Policy(approvals=3).quorum(Content(type=type)) == Quorum(3)

    def test_an_emergency_takes_one(self):
        assert Policy(approvals=3).quorum(Content(type=ChangeType.EMERGENCY)) == Quorum(1)

    def test_is_what_every_rule_that_is_about_a_change_asks(self):
        policy = Policy(
            rules=[
                ApprovalRule(votes=2, risks=["high"]),
                ApprovalRule(votes=2, of={"cab": 1}, services=["pay"]),
                ApprovalRule(votes=3, of={"cab": 2, "service_owner": 1}, labels={"pci": "yes"}),
                ApprovalRule(votes=4, types=["emergency"]),
            ]
        )
        asked = {
            (): Quorum(1),
            ("risk",): Quorum(2),
            ("services",): Quorum(2, {CAB: 1}),
            ("risk", "services"): Quorum(2, {CAB: 1}),
            ("services", "labels"): Quorum(3, {CAB: 2, OWNER: 1}),
        }
        told = {"risk": Risk.HIGH, "services": ("web", "pay"), "labels": {"pci": "yes", "a": "b"}}
        for names, quorum in asked.items():
            assert quorum == policy.quorum(Content(**{name: told[name] for name in names}))
        assert policy.quorum(Content(type=ChangeType.EMERGENCY, **told)) == Quorum(4)

    def test_of_several_rules_is_enough_for_all_they_ask_of_different_capacities(self):
        rules = [ApprovalRule(votes=1, of={"cab": 1}), ApprovalRule(of={"service_owner": 1})]
        assert Policy(rules=rules).quorum(Content()) == Quorum(2, {CAB: 1, OWNER: 1})

    @pytest.mark.parametrize(
        ("given", "missing"),
        [
            ([], "2 more and 1 as cab"),
            ([PEER], "1 more and 1 as cab"),
            ([PEER, PEER, PEER], "1 as cab"),
            ([CAB, PEER], "1 more"),
            ([CAB, PEER, OWNER], ""),
            ([CAB, CAB, CAB, CAB], ""),
        ],
    )
    def test_says_what_is_missing(self, given, missing):
        assert missing == Quorum(3, {CAB: 1}).missing([{each} for each in given])

    def test_is_joined_with_another_one_alone(self):
        with pytest.raises(InvalidValue, match="give a Quorum"):
            Quorum().joined(2)


class TestRules:
    @pytest.mark.parametrize(
        ("asked", "content"),
        [
            ({"kinds": ["schema"]}, {"kind": Kind.SCHEMA}),
            ({"environments": ["production"]}, {}),
            ({"environments": ["live"]}, {"environment": "PROD"}),
            ({"environments": ["Staging"]}, {"environment": "staging"}),
            ({"types": ["observed", "emergency"]}, {"type": ChangeType.EMERGENCY}),
            ({"services": ["PAY"]}, {"services": ("web", "pay")}),
            ({"types": [], "risks": ["low"]}, {"type": ChangeType.EMERGENCY, "risk": Risk.LOW}),
        ],
    )
    def test_are_about_what_they_name(self, asked, content):
        others = [
            Content(),
            Content(kind=Kind.SCALING, environment="test"),
            Content(type=ChangeType.OBSERVED, environment="staging two"),
        ]
        rule = ApprovalRule(**asked)
        assert rule.is_about(Content(**content))
        assert not all(rule.is_about(other) for other in others)

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("votes", {"votes": 0}),
            ("votes", {"votes": 1, "of": {"cab": 2}}),
            ("of", {"of": {"cab": 0}}),
            ("of", {"of": ["cab"]}),
            ("of", {"of": {"": 1}}),
            ("types", {"types": "normal"}),
            ("types", {"types": ["usual"]}),
            ("types", {"types": ["standard"]}),
            ("risks", {"risks": ["extreme"]}),
            ("kinds", {"kinds": 7}),
            ("services", {"services": "pay"}),
            ("environments", {"environments": "live"}),
            ("labels", {"labels": ["pci"]}),
        ],
    )
    def test_refuse_what_can_not_be_right(self, name, told):
        with pytest.raises(InvalidValue, match=name):
            ApprovalRule(**told)

    def test_of_a_capacity_that_does_not_count_are_refused(self):
        rule = ApprovalRule(votes=2, of={"cab": 2})
        with pytest.raises(InvalidValue, match="a capacity that counts, or a group: peer"):
            Policy(authorities=["peer"], rules=[rule])
        with pytest.raises(InvalidValue, match="as many as there are: cab"):
            Policy(members={"cab": ["mia"]}, rules=[rule])
        assert Policy(members={"cab": ["mia", "sam"]}, rules=[rule]).rules == (rule,)

    def test_are_hashable(self):
        rule = ApprovalRule(votes=2, of={"cab": 1}, labels={"a": "b"})
        policy = Policy(rules=[rule], members={"cab": ["mia"]})
        again = Policy(rules=[rule], members={"cab": ["mia"]})
        assert {rule: 1, policy: 2} == {ApprovalRule(votes=2, of={"cab": 1}, labels={"a": "b"}): 1,
                                        again: 2}  # fmt: skip


class TestMembers:
    def test_are_who_may_vote_as_what_however_they_are_spelt(self):
        policy = Policy(members={"cab": ["Mia", "sam"]})
        assert policy.may_vote_as(CAB, "mia")
        assert not policy.may_vote_as(CAB, "ann")
        assert policy.may_vote_as(OWNER, "ann")

    def test_are_kept_in_the_order_given_each_once(self):
        assert Policy(stewards=["ann", "bea", "ANN"]).stewards == ("ann", "bea")

    @pytest.mark.parametrize("members", [["cab"], {"board": ["mia"]}, {"cab": "mia"}, {"cab": [7]}])
    def test_refuse_what_can_not_be_right(self, members):
        with pytest.raises(InvalidValue, match="members"):
            Policy(members=members)


class TestAsTables:
    def test_a_policy_is_what_its_tables_tell(self):
        policy = Policy(
            name="strict",
            version="2026-11",
            approvals=2,
            authorities=["cab", "peer"],
            review_for=["P1"],
            rules=[
                ApprovalRule(
                    votes=3, of={"cab": 1}, risks=["high"], labels={"a": "b"}, kinds=["schema"]
                ),
                ApprovalRule(types=[]),
            ],
            members={"cab": ["mia", "sam"]},
            freezes=[
                Freeze(
                    name="weekend",
                    times=[
                        Weekly(start="Fri 16:00", end="Mon 08:00", time_zone="Europe/London"),
                        Window(start=at(1), end=at(2)),
                    ],
                    services=["pay"],
                    environments=["live"],
                    labels={"pci": "yes"},
                    override_by=["mia"],
                ),
                Freeze(name="sale", times=Window(start=at(1), end=at(2))),
            ],
            maintenance=[
                MaintenanceWindow(name="nights", times=Weekly(start="Tue 22:00", end="Tue 24:00"))
            ],
            stewards=["mia"],
            approvers_may_start=False,
        )
        plain = policy.as_dict()
        assert Policy.from_dict(json.loads(json.dumps(plain))) == policy
        assert Policy.from_dict(DEFAULT_POLICY.as_dict()) == DEFAULT_POLICY

    @pytest.mark.parametrize(
        ("plain", "message"),
        [
            (7, "a mapping"),
            ({"aprovals": 2}, "near: approvals"),
            ({"colour": 2}, "one of name, version"),
            ({"rules": [{"vote": 2}]}, r"rules\[1\].vote.*near: votes"),
            ({"rules": [{}, {"votes": 0}]}, r"rules\[2\].votes: 0 .*at least one vote"),
            ({"rules": 2}, "a list of tables"),
            ({"freezes": [{"name": "x"}]}, r"freezes\[1\].weekly: .*give weekly, windows or both"),
            ({"freezes": [{"name": "x", "times": []}]}, "one of weekly, windows, name"),
            (
                {"freezes": [{"weekly": [{"start": "Fri 16:00", "end": "Mon 08:00"}]}]},
                r"freezes\[1\].name",
            ),
            ({"freezes": [{"name": "x", "weekly": [{"start": "Fri 16:00"}]}]}, "weekly.end"),
            ({"freezes": [{"name": "x", "windows": [{"start": "now", "end": "then"}]}]}, "windows"),
            ({"freezes": [{"name": "x", "windows": [{"start": 1, "end": 2}]}]}, "start"),
            ({"freezes": ["x"]}, "a list of tables"),
            ({"maintenance": [{"name": "x", "windows": 3}]}, "windows"),
        ],
    )
    def test_of_what_is_none_says_what_is_wrong(self, plain, message):
        with pytest.raises(InvalidValue, match=message):
            Policy.from_dict(plain)

    def test_of_a_freeze_that_is_no_table(self):
        with pytest.raises(InvalidValue, match=r"freeze.weekly"):
            Freeze.from_dict("weekend")


class TestChecks:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("approvals", 0),
            ("approvals", -1),
            ("authorities", frozenset()),
            ("name", ""),
            ("version", " 1"),
            ("review_for", ["P9"]),
            ("rules", [{"votes": 2}]),
            ("rules", "strict"),
            ("freezes", "weekend"),
            ("freezes", [7]),
            ("freezes", [WEEKEND, WEEKEND]),
            ("maintenance", [WEEKEND]),
            ("stewards", "mia"),
            ("approvers_may_start", "no"),
        ],
    )
    def test_refuses_what_can_not_be_right(self, name, value):
        with pytest.raises(InvalidValue, match=name):
            Policy(**{name: value})


class TestSaid:
    def test_names_the_policy_and_its_version(self):
        policy = Policy(name="strict", version="2026-03")

        expected = PolicyRef(name="strict", version="2026-03", said="2 of 3 votes")
        assert expected == policy.said("2 of 3 votes")
