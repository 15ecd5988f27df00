"""
Tools that record: one of every step of an incident and of a change, made from the step itself.

A step's signature and docstring are the tool's, so a new step or argument is a tool at once. What
kind of act each step is stands in `ACTS`, by hand: whoever adds a step has to say whether an agent
does such a thing when nobody named it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType, ModuleType
from typing import Any, Final

import msgspec

from imcm.agents.answers import answered
from imcm.agents.reading import Plain, Session, context_of
from imcm.agents.schemas import Function, arguments_of
from imcm.docstrings import Docstring, parsed
from imcm.domain import change, incident
from imcm.domain.lifecycle import parameters
from imcm.domain.policy import Policy
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, Recording, Unread
from imcm.domain.vocabulary import Actor, is_list, is_mapping
from imcm.errors import KeyReusedError, StepRefused
from imcm.ledger.recording import Ledger
from imcm.ledger.transactions import Once


class Act(StrEnum):
    """What somebody does who calls a tool."""

    READ = "read"
    PROPOSE = "propose"  # asks others to decide
    TELL = "tell"  # says what happened, or what was done
    LINK = "link"  # says what belongs to what
    DECIDE = "decide"  # a vote, a ruling, an override; that a change goes in, is taken out or ends
    EDIT = "edit"  # rewords, ends, takes back or joins what somebody else may have made


GIVEN_TO_AGENTS: Final = frozenset({Act.PROPOSE, Act.TELL, Act.LINK})
"""What agents may do where writing is allowed; everything else has to be named."""

_INCIDENT: Final[Mapping[Act, str]] = {
    Act.TELL: "detect declare acknowledge triage attempt_mitigation conclude_attempt mitigate "
    "resolve reopen hold release change_severity assign_role update_impact post_update mark "
    "record_review complete_action",
    Act.PROPOSE: "add_action",
    Act.LINK: "link_problem refer relate link_change",
    Act.DECIDE: "dismiss close",
    Act.EDIT: "describe release_role revise_action drop_action unrelate dismiss_link merge unmerge "
    "void",
}
_CHANGE: Final[Mapping[Act, str]] = {
    Act.PROPOSE: "plan submit schedule",
    Act.TELL: "hold release observe advance_rollout pause_rollout complete fail recover validate",
    Act.LINK: "refer",
    Act.DECIDE: "approve reject approve_retroactively refuse_retroactively override_freeze start "
    "abort_rollout roll_back cancel close",
    Act.EDIT: "revise reword void",
}
ACTS: Final[Mapping[str, Act]] = MappingProxyType(
    {
        f"{kind}_{step}": act
        for kind, acts in ((INCIDENT, _INCIDENT), (CHANGE, _CHANGE))
        for act, steps in acts.items()
        for step in steps.split()
    }
)
"""Which act each step is, by the name of its tool."""

LEFT_OUT: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(
        ("incident_correct", "change_correct"),
        "the values of a correction are of many types; what an agent told wrongly it voids, and "
        "tells again",
    )
)
"""Steps that are no tools, and why."""

_MODULES: Final[Mapping[str, ModuleType]] = {INCIDENT: incident, CHANGE: change}

_SUPPLIED: Final = frozenset(
    {"by", "id", "policy", "also", "scale", "context", "above", "into_state", "out_of"}
)
"""Arguments that are no agent's to give: who it is, the rules in force, what other streams say."""

_PREFIXES: Final[Mapping[str, str]] = {INCIDENT: "INC-", CHANGE: "CHG-"}

_MEANINGS: Final = {
    "key": "Your own id of this call: repeated under it, it records nothing new.",
    "id": "The incident or the change, such as INC-7.",
    "new": "Its id; the next number that is free behind `prefix` if absent.",
    "prefix": "What stands before the number of a new id.",
    "at": "When it happened: ISO 8601 with its offset, or earliest and latest; now if absent.",
    "into": "The incident that goes on for both.",
    "to": "The other incident.",
}
_WHERE: Final[Mapping[str, str]] = {"nothing": "not there yet"}


def step_names() -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of every step that is a tool."""
    for kind, module in _MODULES.items():
        for step in module.STEPS:
            if f"{kind}_{step}" not in LEFT_OUT:
                yield kind, step


def step_arguments(kind: str, step: str) -> type[msgspec.Struct]:
    """Return the arguments of a step's tool: those of the step, its id, and a key."""
    function: Function = getattr(_MODULES[kind], step)
    is_first = _is_first(kind, step)
    more: dict[str, tuple[Any, str]] = {
        "key": (str, _MEANINGS["key"]),
        "id": (str, _MEANINGS["new" if is_first else "id"]),
    }
    if is_first:
        more["prefix"] = (str, f"{_MEANINGS['prefix']} {_PREFIXES[kind]} if absent.")
    shared = parsed(_MODULES[kind].__doc__)
    args = {names: text for names, text in shared.args.items() if names != ("at",)}
    args["at",] = _MEANINGS["at"]
    own = parsed(function.__doc__)
    if f"{kind}_{step}" in _DOORS:
        own = Docstring(args={("into",): _MEANINGS["into"], ("to",): _MEANINGS["to"]})
    return arguments_of(
        f"{kind}_{step}",
        function,
        meanings=(own, Docstring(args=args)),
        hidden=_SUPPLIED,
        optional={"at", "id", "prefix"} if is_first else {"at"},
        more=more,
    )


def step_meaning(kind: str, step: str) -> str:
    """Return in words what a step records, and from which statuses it is possible."""
    module = _MODULES[kind]
    rule = module.STEPS[step]
    said = " ".join(parsed(getattr(module, step).__doc__).paragraphs)
    begins = sorted(_WHERE.get(status.value, status.value) for status in rule.begins)
    return f"{said} Possible where the {kind} is {', '.join(begins)}."


def _is_first(kind: str, step: str) -> bool:
    return {status.value for status in _MODULES[kind].STEPS[step].begins} == {"nothing"} or (
        (kind, step) == (CHANGE, "observe")
    )


def why_no_agent(policy: Policy | None, id: str) -> str | None:
    """Return why nothing is recorded for an id as that of an agent; None where it is."""
    actor = None if policy is None else policy.actor_of(id)
    if actor is Actor.AGENT:
        return None
    who = "nothing that it names" if actor is None else f"a {actor.value}"
    under = (
        "no policy was adopted in this ledger"
        if policy is None
        else f"under policy {policy.name} {policy.version} {id!r} is {who}"
    )
    return f'{under}; adopt one that says so: actors = {{"agent": ["{id}"]}}'


def record_step(session: Session, kind: str, step: str, arguments: Mapping[str, Any]) -> Plain:
    """
    Record one step for the agent, under its key, and return what was recorded.

    The policy in force judges it as it judges everybody; that the policy has the id as an agent's
    is asked first, so nothing is ever recorded for an agent that nobody made one.

    Raises:
        StepRefused: A guard said no; nothing was recorded.
        KeyReusedError: The key came before with other arguments.
        ImcmError: As `Ledger.record`.
    """
    ledger = session.ledger
    name = f"{kind}_{step}"
    assert isinstance(ledger, Ledger), "no tool that records is on where a ledger is only read"
    why = why_no_agent(ledger.rules().policy, session.agent)
    if why is not None:
        raise StepRefused(name, "actor", why)
    given = dict(arguments)
    once = ledger.once(source_of_agent(session.agent), given.pop("key"))
    id_ = given.pop("id", None)
    prefix = given.pop("prefix", _PREFIXES[kind])
    given.setdefault("at", ledger.now())
    given["by"] = session.agent
    function: Function = getattr(_MODULES[kind], step)
    if id_ is None:
        recording = once.record_new(prefix, function, **given)
    elif name in _DOORS:
        recording = _DOORS[name](once, id_, given)
    else:
        if "context" in parameters(function):
            asked = {n: given[n] for n in ("window", "template") if n in given}
            context = context_of(session, id_, **asked)
            given |= {} if context is None else {"context": context}
        recording = once.record(id_, function, **given)
    others = list(_unlike(recording, arguments)) if recording.repeated else []
    if others:
        raise KeyReusedError(
            f"the first call under this key gave another {', '.join(others)}: that stands, and "
            "nothing was recorded now; another call takes another key",
            tuple(recording),
        )
    return _recorded(recording)


def _unlike(recording: Recording, given: Mapping[str, Any]) -> Iterator[str]:
    """Yield which arguments of a call that was repeated are others than those of the first."""
    for name, value in given.items():
        # Of words that were taken out nobody can say whether they are the same.
        stand = [
            _alike(getattr(each.event, name))
            for each in recording
            if not each.redacted and hasattr(each.event, name)
        ]
        asked = _alike(value)
        if asked is not None and stand and asked not in stand:
            yield name


def _alike(value: object) -> object:
    """Return texts, numbers and times so that what means the same is equal; None of all else."""
    if isinstance(value, str):
        return " ".join(str(value).split())
    if isinstance(value, (int, float, datetime)):
        return value
    if is_list(value) and not is_mapping(value):
        return frozenset(map(_alike, value))
    return None


_DOORS: Final[Mapping[str, Callable[[Once, str, Mapping[str, Any]], Recording]]] = {
    "incident_merge": lambda once, id_, given: once.merge(id_, **given),
    "incident_unmerge": lambda once, id_, given: once.unmerge(id_, **given),
    "incident_relate": lambda once, id_, given: once.relate(id_, **given),
}
"""Steps that two streams take together, which the ledger has a call of its own for."""


def source_of_agent(id: str) -> str:
    """Return the source that what an agent records keeps, by which its keys are its own."""
    return f"{Actor.AGENT.value}:{id}"


def _recorded(recording: Recording) -> Plain:
    return answered(
        {
            "repeated": recording.repeated,
            "recorded": rows_of(recording),
            "notes": list(recording.notes),
        }
    )


def rows_of(events: Iterable[Recorded]) -> list[Plain]:
    """Return which events were recorded and where they stand, as plain JSON."""
    return [
        {
            "kind": each.stream.partition(":")[0],
            "id": each.id,
            "event": each.event.type
            if isinstance(each.event, Unread)
            else type(each.event).__name__,
            "version": each.version,
            "log_position": each.position,
            "recorded_at": each.recorded_at.isoformat(),
        }
        for each in events
    ]
