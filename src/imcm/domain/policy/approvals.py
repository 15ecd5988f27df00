"""
How many votes a change takes, and of whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import attrs

from imcm.domain.policy.scope import Content, checked_content, checked_environments, concerns
from imcm.domain.vocabulary import (
    NOTHING_TOLD,
    Authority,
    ChangeType,
    Kind,
    Risk,
    checked_labels,
    checked_member,
    checked_number,
    checked_services,
    is_list,
    is_mapping,
)
from imcm.errors import InvalidValue

M = TypeVar("M", bound=StrEnum)


class Quorum(NamedTuple):
    """
    What an approval takes.

    Attributes:
        votes: How many, of different people.
        of: Of them, how many in a capacity.
    """

    votes: int = 1
    of: Mapping[Authority, int] = NOTHING_TOLD

    def joined(self, other: Quorum) -> Quorum:
        """Return what it takes where both are asked for."""
        if not isinstance(other, Quorum):
            raise InvalidValue("other", other, "give a Quorum(votes=2)")
        capacities = dict.fromkeys((*self.of, *other.of))
        of = {name: max(self.of.get(name, 0), other.of.get(name, 0)) for name in capacities}
        return Quorum(max(self.votes, other.votes, sum(of.values())), of)

    def missing(self, given: Iterable[Authority]) -> str:
        """
        Return what is missing yet, in words; "" where nothing is.

        Args:
            given: The capacity of each vote.
        """
        capacities = members_of("given", given, Authority, once=False)
        lacks = [
            f"{count - capacities.count(authority)} as {authority.value}"
            for authority, count in self.of.items()
            if capacities.count(authority) < count
        ]
        more = self.votes - len(capacities)
        return " and ".join([f"{more} more", *lacks] if more > 0 else lacks)


def members_of(name: str, value: object, members: type[M], *, once: bool = True) -> tuple[M, ...]:
    """Return a list of members of an enumeration as a tuple, each once unless told otherwise."""
    if not is_list(value):
        raise InvalidValue(name, value, f"a list of {', '.join(members)}")
    found = tuple(checked_member(name, each, members) for each in value)
    return tuple(dict.fromkeys(found)) if once else found


def _types(value: object) -> tuple[ChangeType, ...]:
    return members_of("types", value, ChangeType)


def _risks(value: object) -> tuple[Risk, ...]:
    return members_of("risks", value, Risk)


def _kinds(value: object) -> tuple[Kind, ...]:
    return members_of("kinds", value, Kind)


def _counts(value: object) -> Mapping[Authority, int]:
    if not is_mapping(value):
        raise InvalidValue("of", value, 'how many in which capacity, such as {"cab": 1}')
    counts = {
        checked_member("of", authority, Authority): at_least_one(f"of.{authority}", count)
        for authority, count in value.items()
    }
    return MappingProxyType(dict(sorted(counts.items())))


def at_least_one(name: str, value: object) -> int:
    number = checked_number(name, value)
    if number < 1:
        raise InvalidValue(name, value, "at least one vote")
    return number


@attrs.frozen(kw_only=True)
class ApprovalRule:
    """
    How many votes a change takes, and of whom: "two, one of them of the CAB".

    Attributes:
        votes: How many, of different people.
        of: Of them, how many in a capacity.
        types: Which changes it is about: those of one of these types, *risks*, *kinds*, that touch
            one of these *services*, are in one of these *environments* and have all *labels*.
            What is empty leaves nothing out; where no types are given it is about normal changes.
            A standard change is approved by its template.
        risks, kinds, services, environments, labels: See *types*.

    Raises:
        InvalidValue: One of them is not as described, or more votes are asked of some capacity
            than in all.
    """

    votes: int = 1
    of: Mapping[Authority, int] = attrs.field(factory=dict[Authority, int], converter=_counts)
    types: tuple[ChangeType, ...] = attrs.field(default=(ChangeType.NORMAL,), converter=_types)
    risks: tuple[Risk, ...] = attrs.field(default=(), converter=_risks)
    kinds: tuple[Kind, ...] = attrs.field(default=(), converter=_kinds)
    services: tuple[str, ...] = attrs.field(default=(), converter=checked_services)
    environments: tuple[str, ...] = attrs.field(default=(), converter=checked_environments)
    labels: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=checked_labels)

    def __attrs_post_init__(self) -> None:
        at_least_one("votes", self.votes)
        if ChangeType.STANDARD in self.types:
            allowed = "other types: a standard change is approved by its template"
            raise InvalidValue("types", "standard", allowed)
        if sum(self.of.values()) > self.votes:
            raise InvalidValue("votes", self.votes, f"at least {sum(self.of.values())}: see of")

    def __hash__(self) -> int:
        """Hash how many it asks for, of which types."""
        return hash((self.votes, self.types, self.risks, self.services))

    def is_about(self, content: Content) -> bool:
        """Say whether it is about such a change; see `types`."""
        content = checked_content(content)
        return (
            (not self.types or content.type in self.types)
            and (not self.risks or content.risk in self.risks)
            and (not self.kinds or content.kind in self.kinds)
            and concerns(self, content)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON and TOML, without what is as it is by default."""
        plain: dict[str, Any] = {"votes": self.votes, "types": list(self.types)}
        if self.of:
            plain["of"] = dict(self.of)
        for name in ("risks", "kinds", "services", "environments"):
            if getattr(self, name):
                plain[name] = list(getattr(self, name))
        if self.labels:
            plain["labels"] = dict(self.labels)
        return plain
