"""
Policy: the rules a team chooses, as data that the steps consult.

A policy never changes what happened. It answers the asking steps (submit, approve, schedule,
start, advance_rollout) and the close of an incident, and the event keeps which policy was asked
and what it said.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from imcm.domain.policy.approvals import ApprovalRule, Quorum, at_least_one, members_of
from imcm.domain.policy.scope import Content, checked_content, checked_people, is_among_people
from imcm.domain.policy.tables import made, tables
from imcm.domain.vocabulary import (
    Authority,
    ChangeType,
    PolicyRef,
    Severity,
    checked_id,
    checked_member,
    checked_text,
    is_list,
    is_mapping,
)
from imcm.errors import InvalidValue

if TYPE_CHECKING:
    from imcm.domain.policy.freezes import Freeze, MaintenanceWindow

__all__ = ["DEFAULT_POLICY", "ApprovalRule", "Content", "Policy", "Quorum", "checked_policy"]


def _rules(value: object) -> tuple[ApprovalRule, ...]:
    given: list[object] = list(value) if is_list(value) else [None]
    for each in given:
        if not isinstance(each, ApprovalRule):
            raise InvalidValue("rules", each, "a list of ApprovalRule(votes=2, ...)")
    return tuple(each for each in given if isinstance(each, ApprovalRule))


def _freezes(value: object) -> tuple[Freeze, ...]:
    if is_list(value) and not value:
        return ()  # who has none does not load what knows zones
    from imcm.domain.policy.freezes import Freeze, listed

    return listed("freezes", value, Freeze)


def _maintenance(value: object) -> tuple[MaintenanceWindow, ...]:
    if is_list(value) and not value:
        return ()
    from imcm.domain.policy.freezes import MaintenanceWindow, listed

    return listed("maintenance", value, MaintenanceWindow)


def _capacities(value: object) -> Mapping[Authority, tuple[str, ...]]:
    if not is_mapping(value):
        raise InvalidValue("members", value, 'who is what, such as {"cab": ["mia", "sam"]}')
    told = {
        checked_member("members", authority, Authority): checked_people("members", people)
        for authority, people in value.items()
    }
    return MappingProxyType(dict(sorted(told.items())))


def _stewards(value: object) -> tuple[str, ...]:
    return checked_people("stewards", value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue("approvers_may_start", value, "true or false")
    return value


_MORE: Final = ("rules", "members", "freezes", "maintenance", "stewards")


@attrs.frozen(kw_only=True)
class Policy:
    """
    What a team asks before a change may start and before an incident may be closed.

        Policy(
            name="strict",
            rules=[ApprovalRule(votes=2, of={"cab": 1}, risks=["high"])],
            members={"cab": ["mia", "sam"]},
            freezes=[Freeze(name="weekend", times=Weekly(start="Fri 16:00", end="Mon 08:00"))],
        )

    Attributes:
        name, version: How decisions taken under this policy refer to it.
        approvals: Votes a normal change needs at least. One person has one vote, and whoever asked
            for, planned, revised or submitted the change has none.
        authorities: In which capacity a vote counts.
        review_for: Severities whose incidents need a post-incident review before they close.
        rules: More that some changes need: what each rule that is about a change asks for.
        members: Who may vote in a capacity; of one that is not there, whoever says so.
        freezes: When nothing may start.
        maintenance: When changes may start; those that none of them is about, at any time.
        stewards: Who may adopt another policy in its place; nobody named means anybody.
        approvers_may_start: Whether who voted for a change may start it, too.

    Raises:
        InvalidValue: One of them is not as described.
    """

    name: str = "default"
    version: str = "1"
    approvals: int = 1
    authorities: frozenset[Authority] = frozenset(Authority)
    review_for: frozenset[Severity] = frozenset({Severity.P1, Severity.P2})
    rules: tuple[ApprovalRule, ...] = attrs.field(default=(), converter=_rules)
    members: Mapping[Authority, tuple[str, ...]] = attrs.field(
        factory=dict[Authority, tuple[str, ...]], converter=_capacities
    )
    freezes: tuple[Freeze, ...] = attrs.field(default=(), converter=_freezes)
    maintenance: tuple[MaintenanceWindow, ...] = attrs.field(default=(), converter=_maintenance)
    stewards: tuple[str, ...] = attrs.field(default=(), converter=_stewards)
    approvers_may_start: bool = attrs.field(default=True, converter=_flag)

    def __attrs_post_init__(self) -> None:
        checked_id("policy.name", self.name)
        checked_id("policy.version", self.version)
        at_least_one("approvals", self.approvals)
        authorities = members_of("authorities", self.authorities, Authority)
        if not authorities:
            raise InvalidValue("authorities", self.authorities, "at least one authority")
        reviewed = members_of("review_for", self.review_for, Severity)
        object.__setattr__(self, "authorities", frozenset(authorities))
        object.__setattr__(self, "review_for", frozenset(reviewed))
        for rule in self.rules:
            for authority, count in rule.of.items():
                if authority not in self.authorities:
                    allowed = f"a capacity that counts: {', '.join(sorted(self.authorities))}"
                    raise InvalidValue("rules.of", authority.value, allowed)
                if len(self.members.get(authority, (None,) * count)) < count:
                    allowed = f"at most as many as there are members: {authority.value}"
                    raise InvalidValue("rules.of", count, allowed)

    def __hash__(self) -> int:
        """Hash what decisions call it."""
        return hash((self.name, self.version))

    def quorum(self, content: Content) -> Quorum:
        """Return what the approval of such a change takes; an emergency takes one approver."""
        content = checked_content(content)
        quorum = Quorum(1 if content.type is ChangeType.EMERGENCY else self.approvals)
        for rule in self.rules:
            if rule.is_about(content):
                quorum = quorum.joined(Quorum(rule.votes, rule.of))
        return quorum

    def may_vote_as(self, authority: Authority, person: str) -> bool:
        """Say whether somebody may vote in a capacity."""
        people = self.members.get(checked_member("authority", authority, Authority))
        return people is None or is_among_people(checked_id("person", person), people)

    def said(self, verdict: str) -> PolicyRef:
        """Return the reference that an event keeps of a decision under this policy."""
        return PolicyRef(
            name=self.name, version=self.version, said=checked_text("verdict", verdict)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON and TOML; `from_dict` reads them back."""
        plain: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "approvals": self.approvals,
            "authorities": sorted(self.authorities),
            "review_for": sorted(self.review_for),
            "rules": [rule.as_dict() for rule in self.rules],
            "members": {authority: list(people) for authority, people in self.members.items()},
            "freezes": [freeze.as_dict() for freeze in self.freezes],
            "maintenance": [window.as_dict() for window in self.maintenance],
            "stewards": list(self.stewards),
        }
        plain = {name: value for name, value in plain.items() if value or name not in _MORE}
        if not self.approvers_may_start:
            plain["approvers_may_start"] = False
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """
        Return the policy that a mapping tells, as a TOML file of it does.

        Raises:
            InvalidValue: A part is unknown or not as described.
        """
        if not is_mapping(plain):
            raise InvalidValue("policy", plain, "a mapping, as as_dict gives it")
        given = dict(plain)
        given["rules"] = [
            made(ApprovalRule, f"rules[{place}]", each)
            for place, each in enumerate(tables("rules", given.get("rules", ())), start=1)
        ]
        for name in ("freezes", "maintenance"):
            if name in given:
                from imcm.domain.policy.freezes import Freeze, MaintenanceWindow

                kind = Freeze if name == "freezes" else MaintenanceWindow
                given[name] = [
                    kind.from_dict(each, f"{name}[{place}]")
                    for place, each in enumerate(tables(name, given[name]), start=1)
                ]
        return made(cls, "policy", given)


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
