"""
What a policy asks for, and what an event keeps of it.
"""

import pytest

from imcm.domain.policy import DEFAULT_POLICY, Policy
from imcm.domain.vocabulary import Authority, ChangeType, PolicyRef, Severity
from imcm.errors import InvalidValue


class TestDefaultPolicy:
    def test_one_approval_and_a_review_for_the_worst_two(self):
        assert DEFAULT_POLICY.approvals == 1
        assert frozenset({Severity.P1, Severity.P2}) == DEFAULT_POLICY.review_for
        assert frozenset(Authority) == DEFAULT_POLICY.authorities


class TestQuorum:
    @pytest.mark.parametrize("type", [t for t in ChangeType if t is not ChangeType.EMERGENCY])
    def test_is_what_the_policy_says(self, type):
        assert Policy(approvals=3).quorum(type=type) == 3

    def test_an_emergency_takes_one(self):
        assert Policy(approvals=3).quorum(type=ChangeType.EMERGENCY) == 1


class TestChecks:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("approvals", 0),
            ("approvals", -1),
            ("authorities", frozenset()),
            ("name", ""),
            ("version", " 1"),
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
