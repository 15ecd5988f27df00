"""
Which changes a rule is about, and which people: what all rules of a policy have in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from imcm.domain.vocabulary import (
    NOTHING_TOLD,
    PRODUCTION,
    ChangeType,
    Kind,
    Risk,
    checked_id,
    folded,
    is_list,
)
from imcm.errors import InvalidValue


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
    return _ids("environments", value, '["production"]')


def checked_people(name: str, value: object) -> tuple[str, ...]:
    """Return ids of people as a tuple, each once, however it is spelt."""
    people = _ids(name, value, '["mia"]')
    return tuple({folded(person): person for person in reversed(people)}.values())[::-1]


def _ids(name: str, value: object, example: str) -> tuple[str, ...]:
    if not is_list(value):
        raise InvalidValue(name, value, f"a list of ids, such as {example}")
    return tuple(dict.fromkeys(checked_id(name, each) for each in value))


def is_among_people(person: str, people: Iterable[str]) -> bool:
    """Say whether somebody is one of some people, under whatever spelling."""
    return folded(person) in map(folded, people)


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
