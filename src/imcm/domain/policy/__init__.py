"""
Policy: the rules a team chooses, as data that the steps consult.

A policy never changes what happened. It answers the asking steps (submit, approve, schedule,
start, advance_rollout) and the close of an incident, and the event keeps which policy was asked
and what it said.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import attrs

from imcm.domain.vocabulary import (
    Authority,
    ChangeType,
    PolicyRef,
    Severity,
    checked_id,
    checked_member,
    checked_number,
    checked_text,
    is_list,
)
from imcm.errors import InvalidValue


@attrs.frozen(kw_only=True)
class Policy:
    """
    What a team asks before a change may start and before an incident may be closed.

    Attributes:
        name, version: How decisions taken under this policy refer to it.
        approvals: Votes a normal change needs. One person has one vote, and whoever asked for,
            planned, revised or submitted the change has none.
        authorities: In which capacity a vote counts.
        review_for: Severities whose incidents need a post-incident review before they close.
    """

    name: str = "default"
    version: str = "1"
    approvals: int = 1
    authorities: frozenset[Authority] = frozenset(Authority)
    review_for: frozenset[Severity] = frozenset({Severity.P1, Severity.P2})

    def __attrs_post_init__(self) -> None:
        checked_id("policy.name", self.name)
        checked_id("policy.version", self.version)
        if checked_number("approvals", self.approvals) < 1:
            raise InvalidValue("approvals", self.approvals, "at least one approval is needed")
        if not _are_members("authorities", self.authorities, Authority):
            raise InvalidValue("authorities", self.authorities, "at least one authority")
        _are_members("review_for", self.review_for, Severity)

    def quorum(self, *, type: ChangeType) -> int:
        """Return how many votes a change of this type needs; an emergency takes one approver."""
        return 1 if type is ChangeType.EMERGENCY else self.approvals

    def said(self, verdict: str) -> PolicyRef:
        """Return the reference that an event keeps of a decision under this policy."""
        return PolicyRef(
            name=self.name, version=self.version, said=checked_text("verdict", verdict)
        )


def _are_members(name: str, value: object, members: type[StrEnum]) -> bool:
    """Say whether there is one; refuse what is none of *members*."""
    if not is_list(value) or not hasattr(value, "__len__"):
        raise InvalidValue(name, value, f"a set of {', '.join(members)}")
    return bool([checked_member(name, one, members) for one in value])


def checked_policy(value: object) -> Policy:
    """
    Return *value* if it is a policy.

    Raises:
        InvalidValue: It is not.
    """
    if not isinstance(value, Policy):
        raise InvalidValue("policy", value, "give a Policy, as in Policy(approvals=2)")
    return value


DEFAULT_POLICY: Final = Policy()
"""One approval, never by the requester; P1 and P2 need a review before they close."""
