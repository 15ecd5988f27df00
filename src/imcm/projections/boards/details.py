"""
What rows of facts leave out and boards show: titles, roles, actions, updates, votes.

One stream at a time, event by event. A correction, a void or a redaction changes what was there
before it: then the stream is applied once more from its start, as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from imcm.domain.corrections import EDITS, WordsRedacted, standing
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, Unread
from imcm.domain.vocabulary import Severity, folded
from imcm.projections.boards.views import ActionItem, Attempt, Reference, RoleHeld, Update, Vote

__all__ = ["DETAILS", "REAPPLIED", "ChangeDetails", "Details", "IncidentDetails", "details_of"]


class IncidentDetails:
    """
    What is known so far of an incident besides its facts.

    Attributes:
        version: Of the event that is applied.
    """

    __slots__ = (
        *(
            "actions",
            "attempts",
            "causes",
            "inherited",
            "merged",
            "problems",
            "references",
            "resolutions",
        ),
        *("reviewed_at", "roles", "title", "update", "updates", "version"),
    )

    def __init__(self) -> None:
        self.version = 0
        self.title = ""
        self.roles: dict[tuple[str, str], RoleHeld] = {}
        self.update: Update | None = None
        self.updates = 0
        self.attempts: dict[int, dict[str, Any]] = {}
        self.references: dict[str, Reference] = {}
        self.problems: dict[str, None] = {}
        self.actions: dict[int, dict[str, Any]] = {}
        self.reviewed_at: Any = None
        self.causes: dict[str, None] = {}
        self.merged: dict[str, None] = {}
        self.resolutions = 0
        self.inherited: Severity | None = None

    def made_attempts(self) -> tuple[Attempt, ...]:
        """Return the attempts, the first one first."""
        if not self.attempts:
            return ()
        return tuple(Attempt(**self.attempts[number]) for number in sorted(self.attempts))

    def made_actions(self, incident: str, services: tuple[str, ...]) -> tuple[ActionItem, ...]:
        """Return the action items, the first one first."""
        if not self.actions:
            return ()
        return tuple(
            ActionItem(incident=incident, services=services, **self.actions[number])
            for number in sorted(self.actions)
        )


class ChangeDetails:
    """
    What is known so far of a change besides its facts.

    Attributes:
        version: Of the event that is applied; *content*: of the content that is voted on.
    """

    __slots__ = (
        *(
            "content",
            "description",
            "monitoring_plan",
            "paused",
            "planned_by",
            "quorum",
            "references",
        ),
        *("rejected_why", "rollback_plan", "template", "test_plan", "title", "version"),
        "votes",
    )

    def __init__(self) -> None:
        self.version = self.content = 0
        self.title = self.description = ""
        self.rollback_plan = self.monitoring_plan = self.test_plan = ""
        self.planned_by: str | None = None
        self.template: str | None = None
        self.votes: dict[str, Vote] = {}
        self.quorum: int | None = None
        self.rejected_why = ""
        self.paused = False
        self.references: dict[str, Reference] = {}


Details = IncidentDetails | ChangeDetails


# --- incidents ------------------------------------------------------------------------------------
# Any: events are told apart by the names of their types, as in `facts`. A function takes the event
# and what has its words, which may be kept apart from it.


def _titled(incident: Any, event: Any, words: Any) -> None:
    incident.title = words.title or incident.title


def _role_assigned(incident: IncidentDetails, event: Any, _words: Any) -> None:
    key = event.role, folded(event.person)
    held = RoleHeld(role=event.role, person=event.person, since=event.at)
    incident.roles.setdefault(key, held)


def _role_released(incident: IncidentDetails, event: Any, _words: Any) -> None:
    incident.roles.pop((event.role, folded(event.person)), None)


def _update_posted(incident: IncidentDetails, event: Any, words: Any) -> None:
    incident.updates += 1
    incident.update = Update(at=event.at, by=event.by, audience=event.audience, text=words.text)


def _attempted(incident: IncidentDetails, event: Any, words: Any) -> None:
    incident.attempts[event.number] = {
        "number": event.number,
        "kind": event.kind,
        "at": event.at,
        "by": event.by,
        "change": event.change,
        "note": words.note,
    }


def _attempt_concluded(incident: IncidentDetails, event: Any, _words: Any) -> None:
    attempt = incident.attempts.get(event.number)
    if attempt is not None:
        attempt["result"] = event.result


def _referred(item: Any, event: Any, words: Any) -> None:
    item.references[event.address] = Reference(
        kind=event.kind, address=event.address, title=words.title
    )


def _problem_linked(incident: IncidentDetails, event: Any, _words: Any) -> None:
    incident.problems[event.problem] = None


def _absorbed(incident: IncidentDetails, event: Any, _words: Any) -> None:
    incident.merged[event.merged] = None


def _separated(incident: IncidentDetails, event: Any, _words: Any) -> None:
    incident.merged.pop(event.merged, None)


def _inherited(incident: IncidentDetails, event: Any, _words: Any) -> None:
    incident.inherited = event.severity


def _resolved(incident: IncidentDetails, _: Any, _words: Any) -> None:
    incident.resolutions += 1


def _reviewed(incident: IncidentDetails, event: Any, words: Any) -> None:
    incident.reviewed_at = event.at
    incident.causes.update(dict.fromkeys(words.causes))


def _action_added(incident: IncidentDetails, event: Any, words: Any) -> None:
    incident.actions[event.number] = {
        "number": event.number,
        "text": words.text,
        "owner": event.owner,
        "due": event.due,
        "added_at": event.at,
    }


def _action_revised(incident: IncidentDetails, event: Any, words: Any) -> None:
    action = incident.actions.get(event.number)
    if action is not None:
        given = {"text": words.text, "owner": event.owner, "due": event.due}
        action.update({name: value for name, value in given.items() if value})


def _action_over(status: str) -> Callable[[IncidentDetails, Any, Any], None]:
    moment = {"done": "completed_at", "dropped": "dropped_at"}[status]

    def over(incident: IncidentDetails, event: Any, _words: Any) -> None:
        action = incident.actions.get(event.number)
        if action is not None:
            action.update({"status": status, moment: event.at, "change": event.change})

    return over


# --- changes --------------------------------------------------------------------------------------


def _planned(change: ChangeDetails, event: Any, words: Any) -> None:
    change.planned_by = event.by
    _content(change, event, words)


def _content(change: ChangeDetails, event: Any, words: Any) -> None:
    """Take the words of the content; what a revision does not say stays, as its flags do."""
    change.content = change.version
    change.title = words.title or change.title
    change.description = words.description or change.description
    if words.rollback_plan or not event.has_rollback_plan:
        change.rollback_plan = words.rollback_plan
    if words.monitoring_plan or not event.has_monitoring_plan:
        change.monitoring_plan = words.monitoring_plan
    if words.test_plan or not event.has_test_plan:
        change.test_plan = words.test_plan


def _revised(change: ChangeDetails, event: Any, words: Any) -> None:
    _content(change, event, words)
    change.votes = {}


def _rescoped(change: ChangeDetails, _: Any, _words: Any) -> None:
    change.content = change.version
    change.votes = {}


def _reworded(change: ChangeDetails, event: Any, words: Any) -> None:
    change.title = words.title or change.title
    change.description = words.description or change.description


def _observed(change: ChangeDetails, event: Any, words: Any) -> None:
    change.title = change.title or words.title


def _submitted(change: ChangeDetails, event: Any, _words: Any) -> None:
    change.template = None if event.template is None else event.template.name


def _approved(change: ChangeDetails, event: Any, words: Any) -> None:
    if event.content != change.content and not event.imported:
        return  # what it was for was voided since
    until = getattr(event, "valid_until", None)
    vote = Vote(
        by=event.by, authority=event.authority, at=event.at, why=words.why, valid_until=until
    )
    change.votes[folded(event.by)] = vote
    change.quorum = event.quorum or change.quorum


def _rejected(change: ChangeDetails, event: Any, words: Any) -> None:
    change.votes = {}
    change.rejected_why = words.why


def _advanced(change: ChangeDetails, _: Any, _words: Any) -> None:
    change.paused = False


def _paused(change: ChangeDetails, _: Any, _words: Any) -> None:
    change.paused = True


DETAILS: Final[Mapping[str, Mapping[str, Callable[[Any, Any, Any], None]]]] = {
    INCIDENT: {
        "IncidentDetected": _titled,
        "IncidentDescribed": _titled,
        "RoleAssigned": _role_assigned,
        "RoleReleased": _role_released,
        "UpdatePosted": _update_posted,
        "MitigationAttempted": _attempted,
        "AttemptConcluded": _attempt_concluded,
        "ReferenceAdded": _referred,
        "ProblemLinked": _problem_linked,
        "IncidentAbsorbed": _absorbed,
        "IncidentSeparated": _separated,
        "IncidentResolved": _resolved,
        "SeverityInherited": _inherited,
        "ReviewRecorded": _reviewed,
        "ActionAdded": _action_added,
        "ActionRevised": _action_revised,
        "ActionCompleted": _action_over("done"),
        "ActionDropped": _action_over("dropped"),
    },
    CHANGE: {
        "ChangePlanned": _planned,
        "ChangeRevised": _revised,
        "ChangeRescoped": _rescoped,
        "ChangeReworded": _reworded,
        "ChangeObserved": _observed,
        "ChangeSubmitted": _submitted,
        "ChangeApproved": _approved,
        "VoteGiven": _approved,
        "ChangeRejected": _rejected,
        "RolloutAdvanced": _advanced,
        "RolloutPaused": _paused,
        "ReferenceAdded": _referred,
    },
}
"""How an event of what stands is applied, by the name of its type; others say nothing of these."""

REAPPLIED: Final = frozenset(cls.__name__ for cls in (*EDITS, WordsRedacted))
"""Types after which a stream is applied again from its start: what stood before is other now."""


def details_of(kind: str, events: Iterable[Recorded]) -> Details:
    """Return the details of one stream as they stand after all its *events*."""
    facts: dict[int, Any] = {}
    edits: list[Any] = []
    for recorded in events:
        event = recorded.event
        if isinstance(event, EDITS):
            edits.append(event)
        elif not isinstance(event, Unread):
            facts[recorded.version] = event
    # Any: what is applied to it goes by its kind.
    details: Any = IncidentDetails() if kind == INCIDENT else ChangeDetails()
    apply = DETAILS[kind]
    for version, event in (standing(facts, edits) if edits else facts).items():
        step = apply.get(type(event).__name__)
        if step is not None:
            details.version = version
            step(details, event, event)
    made: Details = details
    return made
