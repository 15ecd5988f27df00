"""
The rules that a ledger has adopted: which are in force, for every process that records.

Adopted rules are events like others, in a stream for each kind; the newest of it is in force.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from imcm.codec.decoding import decode
from imcm.codec.rows import StoredEvent
from imcm.domain.lifecycle import parameters
from imcm.domain.policy import DEFAULT_POLICY, Policy
from imcm.domain.policy.context import Context
from imcm.domain.policy.scope import is_named, named_people
from imcm.domain.recorded import RulesAdopted
from imcm.domain.severity import SeverityScale
from imcm.domain.vocabulary import checked_text, folded
from imcm.errors import ImcmError, InvalidValue, StepRefused, StoreError, UnreadEventError
from imcm.plain import plain

if TYPE_CHECKING:
    from imcm.domain.policy.conflicts import Dependencies

POLICY: Final = "policy"
SCALE: Final = "severity_scale"
DEPENDENCIES: Final = "dependencies"
JUDGING: Final = (f"rules:{POLICY}", f"rules:{SCALE}")
"""Streams of the rules that steps are judged by, read whenever something is recorded."""
STREAMS: Final = (*JUDGING, f"rules:{DEPENDENCIES}")


def _dependencies(plain: Mapping[str, Any]) -> Any:
    from imcm.domain.policy.conflicts import Dependencies  # few ledgers have adopted some

    return Dependencies.from_dict(plain)


_KINDS: Final[Mapping[type, str]] = {Policy: POLICY, SeverityScale: SCALE}
_READ: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    POLICY: Policy.from_dict,
    SCALE: SeverityScale.from_dict,
    DEPENDENCIES: _dependencies,
}


class Rules(NamedTuple):
    """
    The rules that are in force; see `Ledger.adopt`.

    Attributes:
        policy: The policy in force; None where none was adopted.
        scale: The severity scale in force; None where none was adopted.
        dependencies: Which service depends on which; None where none were adopted.
        policies: All policies that were adopted so far, oldest first.
    """

    policy: Policy | None = None
    scale: SeverityScale | None = None
    policies: tuple[RulesAdopted, ...] = ()
    dependencies: Dependencies | None = None

    def policy_called(self, name: str, version: str) -> Policy | None:
        """Return the policy of a name and a version, where it was adopted."""
        checked_text("name", name)
        checked_text("version", version)
        for event in self.policies:
            if (event.name, event.version) == (name, version):
                policy: Policy = _read(event)
                return policy
        return None


def kind_of(rules: object) -> str:
    """
    Return of which kind rules are, which names their stream.

    Raises:
        InvalidValue: They are none that can be adopted.
    """
    kind = _KINDS.get(type(rules))
    if kind is None:
        from imcm.domain.policy.conflicts import Dependencies

        kind = DEPENDENCIES if isinstance(rules, Dependencies) else None
    if kind is None:
        raise InvalidValue("rules", rules, "give a Policy, a SeverityScale or Dependencies")
    return kind


def adoption(rules: Policy | SeverityScale | Dependencies, by: str) -> RulesAdopted:
    """Return the event that adopts rules, their whole text in it."""
    text = msgspec.json.encode(rules.as_dict()).decode()
    return RulesAdopted(
        kind=kind_of(rules),
        name=rules.name,
        version=rules.version,
        text=text,
        sha256=_hash_of(text),
        by=by,
    )


def _hash_of(text: str) -> str:
    from hashlib import sha256  # it takes long to load, and few ledgers have adopted rules

    return sha256(text.encode()).hexdigest()


def is_as_adopted(event: RulesAdopted) -> bool:
    """Say whether the text of rules is the one whose hash was recorded with it."""
    return _hash_of(event.text) == event.sha256


def refuse_adoption(event: RulesAdopted, before: Sequence[RulesAdopted], in_force: Rules) -> None:
    """
    Refuse rules that somebody may not adopt, or whose name means others already.

    Raises:
        StepRefused: So it is; the guard is "stewards" or "name".
    """
    stream = f"rules:{event.kind}"
    policy = in_force.policy or DEFAULT_POLICY
    if policy.stewards and not is_named(event.by, policy.stewards, policy.groups):
        who = named_people(policy.stewards, policy.groups)
        why = f"{plain(event.by)!r} may not adopt rules; who may: {who}"
        raise StepRefused("adopt", "stewards", why, stream=stream)
    for earlier in before:
        names = [(folded(each.name), folded(each.version)) for each in (earlier, event)]
        same = names[0] == names[1]
        if same and earlier.sha256 != event.sha256:
            why = (
                f"{plain(event.name)} {plain(event.version)} was adopted with other content; give "
                "it another version"
            )
            raise StepRefused("adopt", "name", why, stream=stream)


def adopted(rows: Sequence[StoredEvent]) -> list[RulesAdopted]:
    """
    Return what was adopted in a stream of rules.

    Raises:
        UnreadEventError: This version can't read it.
    """
    events = [decode(row).event for row in rows]
    if not all(isinstance(event, RulesAdopted) for event in events):
        raise UnreadEventError(f"{rows[0].stream} can't be read by this version; update imcm")
    return [event for event in events if isinstance(event, RulesAdopted)]


def in_force(by_stream: Mapping[str, Sequence[StoredEvent]]) -> Rules:
    """
    Return the rules in force, of the rows of their streams.

    Raises:
        UnreadEventError: This version can't read them.
    """
    if not by_stream:
        return Rules()
    policies, scales, maps = (adopted(by_stream.get(stream, ())) for stream in STREAMS)
    return Rules(
        _read(policies[-1]) if policies else None,
        _read(scales[-1]) if scales else None,
        tuple(policies),
        _read(maps[-1]) if maps else None,
    )


def _read(event: RulesAdopted) -> Any:
    """Return adopted rules. Any: of which class they are, their kind says."""
    return _read_text(event.kind, event.text, event.sha256)


_UNREADABLE: Final = (
    *(ImcmError, msgspec.MsgspecError, LookupError, ValueError, TypeError),
    RecursionError,  # of a thousand brackets
)


@lru_cache(maxsize=64)
def _read_text(kind: str, text: str, hashed: str) -> Any:
    if _hash_of(text) != hashed:
        message = f"the rules in force (rules:{plain(kind)}) are not those that were adopted"
        raise StoreError(f"{message}: their text was altered; restore a backup")
    try:
        return _READ[kind](msgspec.json.decode(text))
    except _UNREADABLE as error:
        raise UnreadEventError(
            f"the rules in force (rules:{plain(kind)}) can't be read by this version: {error}; "
            "update imcm"
        ) from None


def given_to(
    step: Callable[..., object], arguments: Mapping[str, object], rules: Rules, state: object
) -> dict[str, object]:
    """
    Return the rules in force that a step takes and was not given.

    Args:
        state: That of the incident or change, which may have been submitted under others.

    Raises:
        InvalidValue: It was given others.
    """
    given: dict[str, object] = {}
    for name, mine in (("policy", rules.policy), ("scale", rules.scale)):
        if mine is None:
            continue
        if name in arguments:
            other = arguments[name]
            if other.__class__ is not mine.__class__ or other != mine:
                allowed = f"what is in force, {mine.name} {mine.version}, which needs not be given"
                raise InvalidValue(name, other, allowed)
        elif name in parameters(step):
            given[name] = mine
    if "also" in arguments and "also" in parameters(step):
        allowed = "nothing: a ledger knows under which policy a change was submitted"
        raise InvalidValue("also", arguments["also"], allowed)
    also = submitted_under(state, rules)
    if also is not None and "also" in parameters(step):
        given["also"] = also
    return given


def submitted_under(state: object, rules: Rules) -> Policy | None:
    """Return the policy that a change was submitted under, where it is not the one in force."""
    under = getattr(state, "submitted_under", None)
    in_force_now = rules.policy and (rules.policy.name, rules.policy.version)
    if not rules.policies or under is None or under == in_force_now:
        return None
    return rules.policy_called(*under)


def rules_of(
    arguments: Mapping[str, object], rules: Rules, state: object, *, scaled: bool
) -> dict[str, object]:
    """
    Return what a call goes by: the rules it was given, else those in force, and its context.

    Args:
        state: That of the incident or change, which may have been submitted under others.
        scaled: Whether it is a step of an incident, which knows severities.
    """
    policy = arguments.get("policy", rules.policy)
    going_by: dict[str, object] = {
        "policy": policy if isinstance(policy, Policy) else DEFAULT_POLICY
    }
    if scaled:
        scale = arguments.get("scale", rules.scale)
        going_by["scale"] = scale if isinstance(scale, SeverityScale) else None
    else:
        context = arguments.get("context")
        going_by["context"] = context if isinstance(context, Context) else None
        going_by["also"] = submitted_under(state, rules)
    return going_by
