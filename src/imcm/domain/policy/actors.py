"""
What the ids of those who act stand for: people, services, agents.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from imcm.domain.policy.scope import checked_people
from imcm.domain.vocabulary import Actor, checked_member, folded, is_mapping
from imcm.errors import InvalidValue


class AgentStep(StrEnum):
    """What an agent may not do unless the policy says so; `close` is to close as successful."""

    APPROVE = "approve"
    CLOSE = "close"
    OVERRIDE_FREEZE = "override_freeze"


_NARROWEST: Final = (Actor.AGENT, Actor.SERVICE, Actor.PERSON)
"""What a pattern says of an id where several do: the one that lets it do least."""


def checked_actors(value: object) -> Mapping[Actor, tuple[str, ...]]:
    """
    Return which ids, and patterns with "*", stand for what.

    Raises:
        InvalidValue: It is no such mapping, or an id stands for two things.
    """
    if not is_mapping(value):
        raise InvalidValue("actors", value, 'ids by what they are: {"agent": ["bot-*"]}')
    actors = {
        checked_member("actors", actor, Actor): checked_people(f"actors.{actor}", ids)
        for actor, ids in value.items()
    }
    known: dict[str, Actor] = {}
    for actor, ids in actors.items():
        for id_ in ids:
            other = known.setdefault(folded(id_), actor)
            if other is not actor:
                allowed = f"each id once; it is a {other.value}, too"
                raise InvalidValue(f"actors.{actor.value}", id_, allowed)
    return MappingProxyType(dict(sorted(actors.items())))


def actor_of(actors: Mapping[Actor, tuple[str, ...]], id_: str) -> Actor | None:
    """Return what an id stands for: as its own name says, else as a pattern does; or None."""
    name = folded(id_)
    for actor, ids in actors.items():
        if name in map(folded, ids):
            return actor
    for actor in _NARROWEST:
        if any(_fits(folded(pattern), name) for pattern in actors.get(actor, ())):
            return actor
    return None


@lru_cache(maxsize=256)
def _parts(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.split("*"))


def _fits(pattern: str, name: str) -> bool:
    """Say whether a pattern fits: "*" is any text, nothing else stands for anything but itself."""
    first, *rest = _parts(pattern)
    if not rest:
        return False
    last = rest.pop()
    if not (name.startswith(first) and name.endswith(last)):
        return False
    place, end = len(first), len(name) - len(last)
    for part in rest:
        at = name.find(part, place, max(place, end))
        if at < 0:
            return False
        place = at + len(part)
    return place <= end
