"""
Which changes a rule is about, and which people: what all rules of a policy have in common.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

import attrs

from imcm.domain.vocabulary import (
    NOTHING_TOLD,
    PRODUCTION,
    ChangeType,
    Kind,
    Risk,
    checked_id,
    checked_labels,
    checked_member,
    checked_services,
    folded,
    is_list,
)
from imcm.errors import InvalidValue
from imcm.plain import plain

M = TypeVar("M", bound=StrEnum)


class Content(NamedTuple):
    """
    What of a change says which rules are about it; `change.content_of` gives it of a state.

    Attributes:
        type, kind, risk, services, environment, labels: As the change has them.
    """

    type: ChangeType = ChangeType.NORMAL
    kind: Kind | None = None
    risk: Risk | None = None
    services: tuple[str, ...] = ()
    environment: str | None = None
    labels: Mapping[str, str] = NOTHING_TOLD


def are_in(environment: str | None, named: Iterable[str]) -> bool:
    """Say whether an environment is among some; production by any of its names, or by none."""
    names = set(map(folded, named))
    mine = "production" if environment is None else folded(environment)
    return mine in names or (mine in PRODUCTION and not names.isdisjoint(PRODUCTION))


def checked_environments(value: object) -> tuple[str, ...]:
    """Return names of environments as a tuple, each once."""
    return checked_ids("environments", value, '["production"]')


def checked_people(name: str, value: object) -> tuple[str, ...]:
    """Return ids of people as a tuple, each once, however it is spelt."""
    people: dict[str, str] = {}
    for person in checked_ids(name, value, '["mia"]'):
        people.setdefault(folded(person), person)
    return tuple(people.values())


def checked_ids(name: str, value: object, example: str) -> tuple[str, ...]:
    """Return ids as a tuple, each once."""
    if not is_list(value):
        raise InvalidValue(name, value, f"a list of ids, such as {example}")
    return tuple(dict.fromkeys(checked_id(name, each) for each in value))


def is_among_people(person: str, people: Iterable[str]) -> bool:
    """Say whether somebody is one of some people, under whatever spelling."""
    return folded(person) in map(folded, people)


NO_GROUPS: Final[Mapping[str, Collection[str]]] = MappingProxyType({})


def is_named(person: str, names: Iterable[str], groups: Mapping[str, Collection[str]]) -> bool:
    """Say whether somebody is one of those named, or in a group that is."""
    names = tuple(names)
    members = (groups[group] for group in groups if is_among_people(group, names))
    return is_among_people(person, names) or any(is_among_people(person, each) for each in members)


def named_people(names: Iterable[str], groups: Mapping[str, Collection[str]]) -> str:
    """Return those named in words, with who is in a group: "mia, directors (dora, eve)"."""
    by_name = {folded(group): people for group, people in groups.items()}

    def with_people(name: str) -> str:
        people = by_name.get(folded(name))
        return plain(name) if people is None else f"{plain(name)} ({', '.join(map(plain, people))})"

    return ", ".join(map(with_people, names))


def checked_content(value: object) -> Content:
    """Return *value* if it says what a change is about."""
    if not isinstance(value, Content):
        raise InvalidValue("content", value, "give Content(type=..., services=..., ...)")
    return value


def concerns(rule: Any, content: Content) -> bool:
    """
    Say whether a rule's services, environments and labels are those of a change.

    Any: a rule of whatever class that has these three.
    """
    content = checked_content(content)
    touches = not rule.services or not set(map(folded, rule.services)).isdisjoint(
        map(folded, content.services)
    )
    there = not rule.environments or are_in(content.environment, rule.environments)
    return touches and there and rule.labels.items() <= dict(content.labels).items()


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


@attrs.frozen(kw_only=True)
class Scope:
    """
    Which changes a rule is about.

    Attributes:
        types: Those of one of these types, *risks* and *kinds*, that touch one of these *services*,
            are in one of these *environments* and have all *labels*. What is empty leaves nothing
            out; where no types are given it is about normal changes.
        risks, kinds, services, environments, labels: See *types*.

    Raises:
        InvalidValue: One of them is not as described.
    """

    types: tuple[ChangeType, ...] = attrs.field(default=(ChangeType.NORMAL,), converter=_types)
    risks: tuple[Risk, ...] = attrs.field(default=(), converter=_risks)
    kinds: tuple[Kind, ...] = attrs.field(default=(), converter=_kinds)
    services: tuple[str, ...] = attrs.field(default=(), converter=checked_services)
    environments: tuple[str, ...] = attrs.field(default=(), converter=checked_environments)
    labels: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=checked_labels)

    def is_about(self, content: Content) -> bool:
        """Say whether it is about such a change; see `types`."""
        content = checked_content(content)
        return (
            (not self.types or content.type in self.types)
            and (not self.risks or content.risk in self.risks)
            and (not self.kinds or content.kind in self.kinds)
            and concerns(self, content)
        )

    def scope_as_dict(self) -> dict[str, Any]:
        """Return which changes it is about as plain values. Any: lists and mappings of text."""
        scope: dict[str, Any] = {
            name: list(getattr(self, name))
            for name in ("risks", "kinds", "services", "environments")
            if getattr(self, name)
        }
        if self.labels:
            scope["labels"] = dict(self.labels)
        return scope
