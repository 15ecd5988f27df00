"""
How many votes a change takes, and of whom.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import attrs

from imcm.domain.policy.scope import Scope
from imcm.domain.vocabulary import (
    NOTHING_TOLD,
    ChangeType,
    checked_id,
    checked_number,
    is_list,
    is_mapping,
)
from imcm.errors import InvalidValue


class Quorum(NamedTuple):
    """
    What an approval takes.

    Attributes:
        votes: How many, of different people.
        of: Of them, how many in a capacity, or of a group.
    """

    votes: int = 1
    of: Mapping[str, int] = NOTHING_TOLD

    def joined(self, other: Quorum) -> Quorum:
        """Return what it takes where both are asked for."""
        if not isinstance(other, Quorum):
            raise InvalidValue("other", other, "give a Quorum(votes=2)")
        capacities = dict.fromkeys((*self.of, *other.of))
        of = {name: max(self.of.get(name, 0), other.of.get(name, 0)) for name in capacities}
        return Quorum(max(self.votes, other.votes, sum(of.values())), of)

    def missing(self, given: Iterable[Collection[str]]) -> str:
        """
        Return what is missing yet, in words, each vote once; "" where nothing is.

        Args:
            given: For each vote, in which capacity it is and of which groups: names. Who is of two
                groups counts for both.
        """
        votes = [_names(each) for each in (given if is_list(given) else [given])]
        counts = {name: sum(name in names for names in votes) for name in self.of}
        lacks = {n: count - counts[n] for n, count in self.of.items() if counts[n] < count}
        words = [f"{count} as {name}" for name, count in lacks.items()]
        more = self.votes - len(votes) - sum(lacks.values())
        return " and ".join([f"{more} more", *words] if more > 0 else words)


def _names(value: object) -> frozenset[str]:
    if not is_list(value) or not all(isinstance(name, str) for name in value):
        raise InvalidValue("given", value, 'for each vote, names of capacities: {"peer"}')
    return frozenset(value)


def _counts(value: object) -> Mapping[str, int]:
    if not is_mapping(value):
        raise InvalidValue("of", value, 'how many in which capacity, such as {"cab": 1}')
    counts = {
        str(checked_id("of", name)): at_least_one(f"of.{name}", count)
        for name, count in value.items()
    }
    return MappingProxyType(dict(sorted(counts.items())))


def at_least_one(name: str, value: object, of: str = "vote") -> int:
    """Return *value* if it is a whole number above 0."""
    number = checked_number(name, value)
    if number < 1:
        raise InvalidValue(name, value, f"at least one {of}")
    return number


@attrs.frozen(kw_only=True)
class ApprovalRule(Scope):
    """
    How many votes a change takes, and of whom: "two, one of them of the CAB".

    Attributes:
        votes: How many, of different people.
        of: Of them, how many in a capacity, or of a group of the policy.
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
    of: Mapping[str, int] = attrs.field(factory=dict[str, int], converter=_counts)

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

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON and TOML, without what is as it is by default."""
        plain: dict[str, Any] = {"votes": self.votes, "types": list(self.types)}
        if self.of:
            plain["of"] = dict(self.of)
        return {**plain, **self.scope_as_dict()}
