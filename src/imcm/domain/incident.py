"""
An incident, from detection to the end of its review.

    (nothing) --detect--> detected --triage--> triaged --attempt_mitigation--> mitigating
    detected | triaged | mitigating --mitigate--> mitigated
    detected | triaged | mitigating | mitigated --resolve--> resolved --close--> closed
    mitigated | resolved | closed --reopen--> mitigating
    any of these --dismiss--> dismissed --reopen--> triaged or detected
    any of these --merge--> merged --unmerge--> what it was

The file reads in one order: events, state, evolve, the table, the steps. `STEPS` is the one
place that says which step is possible when, and why not.

Args:
    by: Id of who, or what, does it: a person or a tool, such as "ana" or "prometheus".
    at: When it happened in the world, with a time zone; `Between(earliest=..., latest=...)` where
        that is all that is known. It may lie in the past, but not before the first moment of the
        incident, and at most five minutes after the ledger's clock.
    why: The reason, in words; where it is required, not blank.
    change: Id of the change, such as "CHG-3"; it need not be in the ledger yet.
    number: Which one: its number, counted from 1.
    policy: The team's rules. A ledger that adopted some has them, and none is given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, get_args

import attrs

from imcm.documents.shown import checked_most, html_of
from imcm.domain.corrections import (
    CORRECTIONS,
    EDIT_CLASSES,
    VOID_GUARDS,
    CorrectableValue,
    DurationStated,
    EventVoided,
    ReferenceAdded,
    SeverityCorrected,
    SourceReinstated,
    SourceSaid,
    SourceWithdrew,
    WordsRedacted,
    correction,
    correction_guards,
    past_standing,
    reference,
    voided,
)
from imcm.domain.growing import FEW, frozen, thawed, told, untold
from imcm.domain.imported import decided_before, news, place_after, status_after, with_status
from imcm.domain.incident_events import (
    CORRECTABLE,
    ActionAdded,
    ActionCompleted,
    ActionDropped,
    ActionRevised,
    AttemptConcluded,
    ImpactUpdated,
    IncidentAbsorbed,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentDeclared,
    IncidentDescribed,
    IncidentDetected,
    IncidentDismissed,
    IncidentEvent,
    IncidentFact,
    IncidentHeld,
    IncidentMerged,
    IncidentMitigated,
    IncidentRelated,
    IncidentReleased,
    IncidentReopened,
    IncidentResolved,
    IncidentSeparated,
    IncidentStatus,
    IncidentTriaged,
    IncidentUnmerged,
    IncidentUnrelated,
    MilestoneMarked,
    MitigationAttempted,
    ProblemLinked,
    ReviewRecorded,
    RoleAssigned,
    RoleReleased,
    SeverityChanged,
    SeverityInherited,
    UpdatePosted,
    VerdictGiven,
)
from imcm.domain.lifecycle import (
    Answers,
    Ask,
    Guard,
    Rule,
    answers,
    before_first,
    changed,
    checked_events,
    checked_state,
    confirmed,
    first_moment,
    incomplete,
    quickly_replaced,
    records,
    require,
    strange_event,
    tried,
)
from imcm.domain.policy import DEFAULT_POLICY, Policy, checked_policy
from imcm.domain.severity import SeverityScale, checked_scale, rated
from imcm.domain.vocabulary import (
    NOTHING_TOLD,
    SEVERITY_RANK,
    AttemptResult,
    Audience,
    Channel,
    DismissalReason,
    HoldReason,
    Impact,
    MitigationKind,
    Mode,
    Moment,
    Relation,
    Role,
    Severity,
    Symptom,
    Verdict,
    changed_labels,
    checked_id,
    checked_impact,
    checked_labels,
    checked_member,
    checked_milestone,
    checked_moment,
    checked_number,
    checked_services,
    checked_tags,
    checked_text,
    checked_words,
    folded,
    highest,
    is_list,
    is_mapping,
    known_id,
    optional_id,
    optional_known_id,
    optional_moment,
    required_words,
)
from imcm.errors import InvalidValue

if TYPE_CHECKING:
    from imcm.documents.structure import Document

Status = IncidentStatus

OPEN: Final = frozenset({Status.DETECTED, Status.TRIAGED, Status.MITIGATING, Status.MITIGATED})

# --- state ----------------------------------------------------------------------------------------


@quickly_replaced
class Incident(NamedTuple):
    """
    What a step needs to know of an incident in order to decide, and no more.

    Attributes:
        past: All events of the stream, oldest first: a version is a place in it, from 1.
        first: The first of all moments that stand, or may be; None where none is known.
        held: The worst severity it ever held by itself.
        highest: The worst that it or one of those merged into it ever held.
        before_merge: What it was before it was merged.
        attempts, concluded: Numbers of the mitigations tried; which of them have a result.
        resolutions, reviewed: How many times it was resolved; how many of them a review covers.
        actions: Number of each action item and whether it is still open.
        relations: What it is to other incidents, by their ids; *parent* is the one that it is a
            child of.
        status: Where it stands.
        declared, acknowledged, triaged: Whether that was said.
        severity, severity_name: What stands; the name is that of the team's own scale.
        impact, impact_started: Who is hit; whether it is known since when.
        on_hold: What it waits for; None where it does not.
        reopenings, relapses: How many times it was reopened after its end; after mitigation.
        reviews: How many there are.
        roles: Who holds which role, people in the form in which ids are compared.
        problems, references: Ids of problem records; addresses of what was referred to.
        verdicts: The last verdict on each change, by its id.
        merged_into, absorbed: What it is merged into; the ids of those merged into it.
    """

    status: IncidentStatus = Status.NOTHING
    past: tuple[IncidentEvent, ...] = ()
    first: datetime | None = None
    declared: bool = False
    acknowledged: bool = False
    triaged: bool = False
    severity: Severity | None = None
    severity_name: str | None = None
    held: Severity | None = None
    highest: Severity | None = None
    impact: Impact | None = None
    impact_started: bool = False
    on_hold: HoldReason | None = None
    attempts: frozenset[int] = frozenset()
    concluded: Mapping[int, AttemptResult] = NOTHING_TOLD
    resolutions: int = 0
    reopenings: int = 0
    relapses: int = 0
    reviews: int = 0
    reviewed: int = 0
    roles: frozenset[tuple[Role, str]] = frozenset()
    problems: frozenset[str] = frozenset()
    references: frozenset[str] = frozenset()
    verdicts: Mapping[str, Verdict] = NOTHING_TOLD
    actions: Mapping[int, bool] = NOTHING_TOLD
    relations: Mapping[str, Relation] = NOTHING_TOLD
    parent: str | None = None
    merged_into: str | None = None
    before_merge: IncidentStatus = Status.NOTHING
    absorbed: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        """Show what stands, and of the past only how long it is."""
        fields = {**self._asdict(), "past": f"<{len(self.past)} events>"}
        told = (f"{n}={v!s}" if n == "past" else f"{n}={v!r}" for n, v in fields.items())
        return f"Incident({', '.join(told)})"

    def document(self, *, most: int | None = None) -> Document:
        """Return what stands as a document; of the past only how long it is."""
        checked_most(most)  # of fields there are few
        from imcm.documents.fields import fields_document

        title = f"incident, {self.status.value}, after {len(self.past):,} events"
        return fields_document(title, self, leave_out=("past",))

    def _repr_html_(self) -> str:
        """Return what stands for a notebook, every text escaped."""
        return html_of(self)


INITIAL: Final = Incident()

# --- evolve ---------------------------------------------------------------------------------------


def evolve(incident: Incident, event: IncidentEvent) -> Incident:
    """Return the incident as it is after *event*: it copies, and never refuses."""
    past = (*checked_state("incident", incident, Incident).past, event)
    if event.__class__ in EDIT_CLASSES:
        # These change what stood before them: what stands is told again from the start, so
        # `_next` needs to know of none of them.
        return fold(past)
    after = _next(incident, event)  # type: ignore[arg-type]  # all others tell facts
    return after._replace(past=past, first=first_moment(after.first, (event.at,)))


def fold(events: Iterable[IncidentEvent]) -> Incident:
    """Return the incident as it is after all *events* of its stream, oldest first."""
    past = checked_events("events", events)
    few = len(past) <= FEW
    incident = INITIAL if few else thawed(INITIAL)
    stands: Mapping[int, IncidentFact] = past_standing(past)
    for event in stands.values():
        incident = _next(incident, event)
    first = first_moment(incident.first, [event.at for event in stands.values()])
    incident = incident._replace(past=past, first=first)
    return incident if few else frozen(incident)


TRIAGED_FROM: Final = {Status.DETECTED: Status.TRIAGED}
"""What a triage that left a later status as it was means once that status is voided."""


def _status_after(status: IncidentStatus, event: IncidentEvent) -> IncidentStatus:
    if isinstance(event, IncidentTriaged):
        return event.status or TRIAGED_FROM.get(status, status)
    return status_after(status, event)


def _next(incident: Incident, event: IncidentFact) -> Incident:
    match event:
        case IncidentDetected():
            more = (event.impact_started_at, event.declared_at)
            return incident._replace(
                status=event.status,
                first=first_moment(incident.first, more),
                declared=event.declared_at is not None,
                impact_started=event.impact_started_at is not None,
            )
        case IncidentAcknowledged():
            return incident._replace(acknowledged=True)
        case IncidentTriaged():
            return incident._replace(
                status=_status_after(incident.status, event),
                triaged=True,
                severity=event.severity,
                severity_name=event.severity_name,
                held=highest(incident.held, event.severity),
                highest=highest(incident.highest, event.severity),
                impact=event.impact or incident.impact,
            )
        case MitigationAttempted():
            return incident._replace(
                status=event.status or incident.status,
                attempts=incident.attempts | {event.number},
            )
        case AttemptConcluded():
            concluded = told(incident.concluded, event.number, event.result)
            return incident._replace(concluded=concluded)
        case IncidentMitigated() | IncidentClosed():
            return incident._replace(status=event.status or incident.status)
        case IncidentResolved():
            return incident._replace(
                status=event.status or incident.status,
                on_hold=None,
                resolutions=incident.resolutions + 1,
            )
        case IncidentReopened():
            return incident._replace(
                status=event.status,
                reopenings=max(incident.reopenings, event.number),
                relapses=max(incident.relapses, event.relapse),
            )
        case (
            UpdatePosted()
            | DurationStated()
            | WordsRedacted()
            | IncidentDescribed()
            | ActionRevised()
            | MilestoneMarked()
            | SourceSaid()
            | SourceWithdrew()
            | SourceReinstated()
        ):
            return incident
        case ReferenceAdded():
            return incident._replace(references=incident.references | {event.address})
        case IncidentRelated():
            relations, parent = incident.relations, incident.parent
            if event.kind is Relation.CHILD_OF:
                if parent is not None:
                    relations = untold(relations, parent)  # the last one said stands
                parent = event.other
            elif parent == event.other:
                parent = None
            return incident._replace(
                relations=told(relations, event.other, event.kind), parent=parent
            )
        case IncidentUnrelated():
            return incident._replace(
                relations=untold(incident.relations, event.other),
                parent=None if incident.parent == event.other else incident.parent,
            )
        case SeverityChanged():
            return incident._replace(
                severity=event.severity,
                severity_name=event.severity_name,
                held=highest(incident.held, event.severity),
                highest=highest(incident.highest, event.severity),
            )
        case VerdictGiven():
            verdicts = told(incident.verdicts, event.change, event.verdict)
            return incident._replace(verdicts=verdicts)
        case IncidentDeclared():
            return incident._replace(declared=True)
        case ImpactUpdated():
            return incident._replace(
                first=first_moment(incident.first, (event.impact_started_at,)),
                impact=event.impact or incident.impact,
                impact_started=incident.impact_started or event.impact_started_at is not None,
            )
        case IncidentHeld():
            return incident._replace(on_hold=event.reason)
        case IncidentReleased():
            return incident._replace(on_hold=None)
        case RoleAssigned():
            return incident._replace(roles=incident.roles | {(event.role, folded(event.person))})
        case RoleReleased():
            return incident._replace(roles=incident.roles - {(event.role, folded(event.person))})
        case ProblemLinked():
            return incident._replace(problems=incident.problems | {event.problem})
        case ReviewRecorded():
            return incident._replace(reviews=event.number, reviewed=event.covers)
        case ActionAdded():
            return incident._replace(actions=told(incident.actions, event.number, True))
        case ActionCompleted() | ActionDropped():
            return incident._replace(actions=told(incident.actions, event.number, False))
        case IncidentDismissed():
            return incident._replace(status=event.status, on_hold=None)
        case IncidentMerged():
            return incident._replace(
                status=event.status,
                merged_into=event.into,
                before_merge=incident.status,
            )
        case IncidentUnmerged():
            return incident._replace(status=event.status, merged_into=None)
        case IncidentAbsorbed():
            return incident._replace(absorbed=incident.absorbed | {event.merged})
        case IncidentSeparated():
            return incident._replace(absorbed=incident.absorbed - {event.merged})
        case SeverityInherited():
            return incident._replace(highest=highest(incident.held, event.severity))
        case _:
            raise strange_event(event, "incident")


# --- the table ------------------------------------------------------------------------------------

_Ask: TypeAlias = Ask[Incident]


def _not_before_first(incident: Incident, ask: _Ask) -> str | None:
    if not before_first(ask.at, incident.first, incident.past):
        return None
    return (
        f"at={ask.at} lies before the incident's first moment, {incident.first}; if that moment is "
        "wrong, correct it first"
    )


def _never_triaged(incident: Incident, _: _Ask) -> str | None:
    return (
        "it was triaged before; use change_severity or update_impact" if incident.triaged else None
    )


def _triaged(incident: Incident, _: _Ask) -> str | None:
    return None if incident.triaged else "it was never triaged; triage it first"


def _attempt_exists(incident: Incident, ask: _Ask) -> str | None:
    if ask.number in incident.attempts:
        return None
    known = ", ".join(map(str, sorted(incident.attempts))) or "none"
    return f"there is no attempt {ask.number}; numbers so far: {known}"


def _action_exists(incident: Incident, ask: _Ask) -> str | None:
    if ask.number in incident.actions:
        return None
    known = ", ".join(map(str, incident.actions)) or "none"
    return f"there is no action {ask.number}; numbers so far: {known}"


def _reviewed(incident: Incident, ask: _Ask) -> str | None:
    if incident.highest not in ask.policy.review_for or incident.reviewed >= incident.resolutions:
        return None
    if incident.reviews:
        return (
            "it was reopened after its review; record_review once more (it may be short) before "
            "it closes"
        )
    return f"its highest severity was {incident.highest}, which needs a review; record_review first"


def _target_is_another(_: Incident, ask: _Ask) -> str | None:
    return "an incident can't be merged into itself" if ask.id == ask.into else None


def _target_stands(_: Incident, ask: _Ask) -> str | None:
    target = INITIAL if ask.other is None else ask.other
    if target.status is Status.NOTHING:
        return f"the target {ask.into} does not exist"
    if target.status in {Status.MERGED, Status.DISMISSED}:
        return f"the target {ask.into} is {target.status.value}; name the incident that stands"
    return None


def _of_one_stream(incident: Incident, ask: _Ask) -> str | None:
    event = incident.past[(ask.version or 1) - 1]
    return (
        "it stands in two streams; use merge or unmerge" if isinstance(event, _TWO_SIDED) else None
    )


_TWO_SIDED: Final = (
    IncidentMerged,
    IncidentAbsorbed,
    IncidentUnmerged,
    IncidentSeparated,
    SeverityInherited,
)
"""What `Ledger.merge` and `Ledger.unmerge` record, in two streams or more."""


def _out_of_what_it_is_in(incident: Incident, ask: _Ask) -> str | None:
    if ask.out_of is None or ask.out_of == incident.merged_into:
        return None
    return f"it is merged into {incident.merged_into}, not {ask.out_of}"


def _described_since(incident: Incident, ask: _Ask) -> str | None:
    """A correction of what was said anew since would stand in the log and change nothing."""
    field, version = ask.field or "", ask.version or 0
    stands: Mapping[int, IncidentFact] = past_standing(incident.past)
    if not isinstance(stands.get(version), (IncidentDetected, IncidentDescribed)):
        return None
    for later in reversed(list(stands)):
        event = stands[later]
        if later > version and isinstance(event, IncidentDescribed) and getattr(event, field, None):
            return f"version {later} says its {field} since; describe it again, or correct that"
    return None


def _another_one(_: Incident, ask: _Ask) -> str | None:
    return "an incident can't be related to itself" if ask.id == ask.to else None


def _one_parent(incident: Incident, ask: _Ask) -> str | None:
    parent = incident.parent
    if ask.kind is not Relation.CHILD_OF or parent in {None, ask.to}:
        return None
    return f"it is a child of {parent} already; unrelate that first"


def _no_circle(_: Incident, ask: _Ask) -> str | None:
    if ask.kind is not Relation.CHILD_OF or ask.id not in (ask.above or ()):
        return None
    return f"{ask.to} is itself part of {ask.id}, as its child or further down"


def _brings_no_parent(incident: Incident, ask: _Ask) -> str | None:
    event = incident.past[(ask.version or 1) - 1]
    if not isinstance(event, (IncidentRelated, IncidentUnrelated)):
        return None
    void = EventVoided(at=event.at, by=event.by, version=ask.version or 1, status="")
    parent = fold((*incident.past, void)).parent
    if parent in {None, incident.parent}:
        return None
    return f"without it, it would be a child of {parent} again; use relate, which asks who is above"


def _named_so(incident: Incident, ask: _Ask) -> str | None:
    """What stands may have another name of the same rank than the caller knows."""
    target = past_standing(incident.past)[ask.version or 0]
    stands = getattr(target, "severity_name", None)
    if ask.was_name is None or stands in {None, ask.was_name}:
        return None
    return (
        f"the severity of version {ask.version} stands at {stands}, not {ask.was_name}; read it "
        "again and correct that"
    )


_NAMED = Guard(name="was is its name", why_not=_named_so, needs=("version",))
_DESCRIBED = Guard(name="said last", why_not=_described_since, needs=("version", "field"))
_exists, *_others = VOID_GUARDS
_ONE_STREAM = Guard(name="is one stream's", why_not=_of_one_stream, needs=("version",))
_NO_PARENT = Guard(name="brings no parent", why_not=_brings_no_parent, needs=("version",))
_VOID_GUARDS = (_exists, _ONE_STREAM, *_others, _NO_PARENT)

_SAME = "same"
_HAPPENED = frozenset(Status) - {Status.NOTHING}
_STANDING = _HAPPENED - {Status.MERGED}
_FIRST = Guard(name="not before the first moment", why_not=_not_before_first, needs=("at",))
_HAS_ATTEMPT = Guard(name="attempt exists", why_not=_attempt_exists, needs=("number",))
_HAS_ACTION = Guard(name="action exists", why_not=_action_exists, needs=("number",))
_WAS_TRIAGED = Guard(name="triaged before", why_not=_triaged)


def _row(begins: Iterable[IncidentStatus], ends: str, *guards: Guard[Incident]) -> Rule[Incident]:
    return Rule(begins=frozenset(begins), ends=ends, guards=(*guards, _FIRST))


_BEFORE_MITIGATED = (Status.DETECTED, Status.TRIAGED, Status.MITIGATING)

STEPS: Final[Mapping[str, Rule[Incident]]] = {
    "detect": Rule(begins=frozenset({Status.NOTHING}), ends="detected"),
    "declare": _row(OPEN, _SAME),
    "acknowledge": _row(OPEN, _SAME),
    "triage": _row(
        (*OPEN, Status.RESOLVED),
        "triaged from detected, else same",
        Guard(name="never triaged", why_not=_never_triaged),
    ),
    "dismiss": _row((*OPEN, Status.RESOLVED, Status.CLOSED), "dismissed"),
    "attempt_mitigation": _row(_BEFORE_MITIGATED, "mitigating"),
    "conclude_attempt": _row(_STANDING, _SAME, _HAS_ATTEMPT),
    "mitigate": _row(_BEFORE_MITIGATED, "mitigated"),
    "resolve": _row(OPEN, "resolved"),
    "reopen": _row(
        (Status.MITIGATED, Status.RESOLVED, Status.CLOSED, Status.DISMISSED),
        "mitigating; from dismissed: triaged if it was, else detected",
    ),
    "hold": _row(OPEN, _SAME),
    "release": _row(OPEN, _SAME),
    "change_severity": _row(OPEN, _SAME, _WAS_TRIAGED),
    "assign_role": _row(_STANDING, _SAME),
    "release_role": _row(_STANDING, _SAME),
    "update_impact": _row(_STANDING, _SAME),
    "post_update": _row(_STANDING, _SAME),
    "link_problem": _row(_STANDING, _SAME),
    "describe": _row(_STANDING, _SAME),
    "refer": _row(_STANDING, _SAME),
    "mark": _row(_STANDING, _SAME),
    "relate": _row(
        _STANDING,
        _SAME,
        Guard(name="another incident", why_not=_another_one, needs=("id", "to")),
        Guard(name="one parent", why_not=_one_parent, needs=("to", "kind")),
        Guard(name="no circle", why_not=_no_circle, needs=("id", "to", "kind", "above")),
    ),
    "unrelate": _row(_STANDING, _SAME),
    "link_change": _row(_STANDING, _SAME),
    "dismiss_link": _row(_STANDING, _SAME),
    "record_review": _row((Status.RESOLVED, Status.CLOSED), _SAME),
    "add_action": _row(_STANDING, _SAME),
    "revise_action": _row(_STANDING, _SAME, _HAS_ACTION),
    "complete_action": _row(_HAPPENED, _SAME, _HAS_ACTION),
    "drop_action": _row(_HAPPENED, _SAME, _HAS_ACTION),
    "close": _row(
        (Status.RESOLVED,),
        "closed",
        _WAS_TRIAGED,
        Guard(name="reviewed", why_not=_reviewed),
    ),
    "merge": _row(
        _STANDING,
        "merged",
        Guard(name="target is another", why_not=_target_is_another, needs=("id", "into")),
        Guard(name="target stands", why_not=_target_stands, needs=("into", "other")),
    ),
    "unmerge": _row(
        (Status.MERGED,),
        "what it was",
        Guard(name="out of what it is in", why_not=_out_of_what_it_is_in),
    ),
    "correct": Rule(
        begins=_HAPPENED,
        ends=_SAME,
        guards=(*correction_guards(CORRECTABLE), _NAMED, _DESCRIBED),
    ),
    "void": Rule(begins=_HAPPENED, ends="what stands without it", guards=_VOID_GUARDS),
}


def next_steps(
    incident: Incident,
    *,
    by: str | None = None,
    at: Moment | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> Answers:
    """
    Return, for each step, whether it is possible now; and if not, which guard says no and why.

    A guard that needs an argument that was not given answers "depends on" it. Where *by* and *at*
    are all that a step needs, it is tried: the answer says what it would record and where the
    status would be, and one that would record nothing is not possible.

    Args:
        incident: As `ledger.incident(id)` gives it.
        by: Who would do it; None asks nothing that depends on it.
        at: When; None likewise.
        policy: Under which rules.
    """
    incident = checked_state("incident", incident, Incident)
    by, at = optional_id("by", by), optional_moment("at", at)
    ask: _Ask = Ask(by=by, at=at, policy=checked_policy(policy))
    given = {"by": by, "at": at, "policy": ask.policy}
    known = {name: value for name, value in given.items() if value is not None}
    asked = answers(STEPS, incident, ask)
    return Answers(tried(asked, globals().__getitem__, evolve, incident, known))


def _require(
    incident: Incident,
    step: str,
    *,
    by: str,
    at: Moment,
    policy: Policy = DEFAULT_POLICY,
    number: int | None = None,
    id: str | None = None,
    into: str | None = None,
    other: Incident | None = None,
    out_of: str | None = None,
    version: int | None = None,
    field: str | None = None,
    was: object = None,
    now: object = None,
    to: str | None = None,
    kind: Relation | None = None,
    above: tuple[str, ...] | None = None,
    was_name: str | None = None,
) -> tuple[str, Moment]:
    """Let the step go on or refuse it; return who and when in the form events keep."""
    incident = checked_state("incident", incident, Incident)
    by, at, policy = checked_id("by", by), checked_moment("at", at), checked_policy(policy)
    version = None if version is None else checked_number("version", version)
    field = None if field is None else checked_text("field", field)
    number = None if number is None else checked_number("number", number)
    ask: _Ask = Ask(
        by=by,
        at=at,
        policy=policy,
        number=number,
        id=id,
        into=into,
        other=other,
        out_of=out_of,
        version=version,
        field=field,
        was=was,
        now=now,
        to=to,
        kind=kind,
        above=above,
        was_name=was_name,
    )
    require(STEPS, step, incident, ask)
    return by, at


# --- steps ----------------------------------------------------------------------------------------
# A step is a pure function: the state as it is, and what is asked, to the events that follow.
# It returns () where nothing needs to change. Arguments shared by several stand at the head of the
# file. All raise StepRefused where the table or a guard says no, InvalidValue for an argument that
# can't be right, NaiveTimeError for a naive time.


def detect(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    title: str,
    services: Iterable[str] = (),
    symptom: Symptom | None = None,
    channel: Channel | None = None,
    monitor: str | None = None,
    mode: Mode = Mode.REAL,
    environment: str | None = None,
    labels: Mapping[str, str] | None = None,
    impact_started_at: Moment | None = None,
    declared_at: Moment | None = None,
) -> tuple[IncidentEvent, ...]:
    """
    Something was noticed: the first step of every incident.

    Args:
        title: What people call it.
        services: The services concerned; None known yet is allowed.
        monitor: Which monitor noticed it, for example "prometheus".
        environment: As the tool names it; None means production.
        impact_started_at: When users were first hit, where that is known already.
        declared_at: When somebody declared it, where that was before or at detection.
        symptom: What was seen to be wrong, where that is known.
        channel: How it was noticed.
        mode: Whether it is real: a drill or a test counts in no figure.
        labels: Facts of your own, name to text, which figures can filter and group by.
    """
    by, at = _require(incident, "detect", by=by, at=at)
    return (
        IncidentDetected(
            at=at,
            by=by,
            title=required_words("title", title),
            services=checked_services(services),
            symptom=None if symptom is None else checked_member("symptom", symptom, Symptom),
            channel=None if channel is None else checked_member("channel", channel, Channel),
            monitor=optional_id("monitor", monitor),
            mode=checked_member("mode", mode, Mode),
            environment=optional_id("environment", environment),
            labels=checked_labels({} if labels is None else labels),
            impact_started_at=optional_moment("impact_started_at", impact_started_at),
            declared_at=optional_moment("declared_at", declared_at),
        ),
    )


def declare(incident: Incident, *, by: str, at: Moment) -> tuple[IncidentEvent, ...]:
    """Say that this is an incident. Once declared, declaring again changes nothing."""
    by, at = _require(incident, "declare", by=by, at=at)
    return () if incident.declared else (IncidentDeclared(at=at, by=by),)


def acknowledge(incident: Incident, *, by: str, at: Moment) -> tuple[IncidentEvent, ...]:
    """Take it. The first time counts; later ones, also after a reopening, change nothing."""
    by, at = _require(incident, "acknowledge", by=by, at=at)
    return () if incident.acknowledged else (IncidentAcknowledged(at=at, by=by),)


def triage(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    severity: Severity | str | None = None,
    impact: Impact | None = None,
    impact_level: str | None = None,
    urgency: str | None = None,
    scale: SeverityScale | None = None,
) -> tuple[IncidentEvent, ...]:
    """
    It is real, this severe, and these are hit. Once; afterwards see `change_severity`.

    Args:
        severity: A rank; or, with a scale, a name of the team's own. None takes what the matrix of
            the scale proposes.
        impact_level, urgency: In the words of that matrix. What it proposes for them is recorded
            beside what was chosen.
        scale: The team's own names; a ledger gives the one that it was opened with.
        impact: Who is hit, as far as known.

    Raises:
        InvalidValue: There is no such severity, or neither it nor what the matrix needs is given.
    """
    by, at = _require(incident, "triage", by=by, at=at)
    scale = checked_scale(scale)
    proposed = _proposed(scale, impact_level, urgency)
    if severity is None and proposed is None:
        allowed = "give it, or impact_level and urgency, for which a scale's matrix proposes it"
        raise InvalidValue("severity", severity, allowed)
    rank, name = rated("severity", proposed if severity is None else severity, scale)
    status = Status.TRIAGED if incident.status is Status.DETECTED else incident.status
    return (
        IncidentTriaged(
            at=at,
            by=by,
            severity=rank,
            severity_name=name,
            severity_proposed=proposed,
            impact=checked_impact("impact", impact),
            status=changed(incident.status, status),
        ),
    )


def _proposed(
    scale: SeverityScale | None, impact_level: str | None, urgency: str | None
) -> str | None:
    if impact_level is None and urgency is None:
        return None
    if scale is None:
        allowed = "give the scale whose matrix it is for, or the severity alone"
        raise InvalidValue("scale", scale, allowed)
    return scale.proposed(impact_level=impact_level or "", urgency=urgency or "")


def dismiss(
    incident: Incident, *, by: str, at: Moment, reason: DismissalReason, why: str = ""
) -> tuple[IncidentEvent, ...]:
    """
    It was no incident. It leaves every figure, which says so. A duplicate here: see `merge`.

    Args:
        reason: Why it was none.
    """
    by, at = _require(incident, "dismiss", by=by, at=at)
    reason = checked_member("reason", reason, DismissalReason)
    return (IncidentDismissed(at=at, by=by, reason=reason, why=checked_words("why", why)),)


def attempt_mitigation(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    kind: MitigationKind,
    change: str | None = None,
    note: str = "",
) -> tuple[IncidentEvent, ...]:
    """
    Try something. Attempts are numbered from 1; tell what each did with `conclude_attempt`.

    Args:
        change: Id of the change that a roll back takes back or that a hotfix is.
        kind: What is tried.
        note: More about it, in words.
    """
    by, at = _require(incident, "attempt_mitigation", by=by, at=at)
    return (
        MitigationAttempted(
            at=at,
            by=by,
            number=_unused(incident.past, MitigationAttempted),
            kind=checked_member("kind", kind, MitigationKind),
            change=optional_known_id("change", change),
            note=checked_words("note", note),
            status=changed(incident.status, Status.MITIGATING),
        ),
    )


_InSeries: TypeAlias = MitigationAttempted | ActionAdded | ReviewRecorded | MilestoneMarked
_Numbered: TypeAlias = type[MitigationAttempted] | type[ActionAdded] | type[ReviewRecorded]
_IN_SERIES: Final = (MitigationAttempted, ActionAdded, ReviewRecorded, MilestoneMarked)


def _unused(past: Iterable[IncidentEvent], kind: _Numbered) -> int:
    """Return the next number of its kind; those of voided events are never given again."""
    numbers = (event.number for event in past if isinstance(event, kind))
    return max(numbers, default=0) + 1


def conclude_attempt(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    number: int,
    result: AttemptResult,
    evidence: str = "",
) -> tuple[IncidentEvent, ...]:
    """
    Say what attempt *number* did. Saying the same again changes nothing.

    Args:
        number: Which attempt, counted from 1.
        result: What it did.
        evidence: What shows that, in words.
    """
    by, at = _require(incident, "conclude_attempt", by=by, at=at, number=number)
    result = checked_member("result", result, AttemptResult)
    if incident.concluded.get(number) is result:
        return ()
    evidence = checked_words("evidence", evidence)
    return (AttemptConcluded(at=at, by=by, number=number, result=result, evidence=evidence),)


def mitigate(incident: Incident, *, by: str, at: Moment) -> tuple[IncidentEvent, ...]:
    """Users are no longer hurt. Full restoration is `resolve`."""
    by, at = _require(incident, "mitigate", by=by, at=at)
    return (IncidentMitigated(at=at, by=by),)


def resolve(incident: Incident, *, by: str, at: Moment) -> tuple[IncidentEvent, ...]:
    """Service is fully restored. Steps that were skipped stay absent; nothing is invented."""
    by, at = _require(incident, "resolve", by=by, at=at)
    return (IncidentResolved(at=at, by=by),)


def reopen(incident: Incident, *, by: str, at: Moment, why: str) -> tuple[IncidentEvent, ...]:
    """
    It is not over, or it was an incident after all. Earlier resolutions stay in the record.

    From resolved and closed it is a reopening and numbered; from mitigated a relapse, counted
    apart; a dismissed incident goes back to triaged if it was, else to detected.
    """
    by, at = _require(incident, "reopen", by=by, at=at)
    return (_reopening(incident, at=at, by=by, why=required_words("why", why), imported=False),)


def _reopening(
    incident: Incident, *, at: Moment | None, by: str, why: str, imported: bool
) -> IncidentReopened:
    number = relapse = 0
    status = Status.MITIGATING
    if incident.status is Status.DISMISSED:
        status = Status.TRIAGED if incident.triaged else Status.DETECTED
    elif incident.status is Status.MITIGATED:
        relapse = incident.relapses + 1
    else:
        number = incident.reopenings + 1
    return IncidentReopened(
        at=at,
        by=by,
        began=incident.status,
        number=number,
        relapse=relapse,
        why=why,
        status=status,
        imported=imported,
    )


def hold(
    incident: Incident, *, by: str, at: Moment, reason: HoldReason, why: str = ""
) -> tuple[IncidentEvent, ...]:
    """
    Wait for somebody else. Only business clocks stop. The same reason again: no change.

    Args:
        reason: What it waits for.
    """
    by, at = _require(incident, "hold", by=by, at=at)
    reason = checked_member("reason", reason, HoldReason)
    if incident.on_hold is reason:
        return ()
    return (IncidentHeld(at=at, by=by, reason=reason, why=checked_words("why", why)),)


def release(incident: Incident, *, by: str, at: Moment) -> tuple[IncidentEvent, ...]:
    """End the wait. Without a hold it changes nothing."""
    by, at = _require(incident, "release", by=by, at=at)
    return () if incident.on_hold is None else (IncidentReleased(at=at, by=by),)


def change_severity(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    severity: Severity | str,
    why: str,
    scale: SeverityScale | None = None,
) -> tuple[IncidentEvent, ...]:
    """
    It became more or less severe. A severity that was wrong from the start: see `correct`.

    Args:
        severity, scale: As in `triage`. Another name of the same rank is a change, too.
    """
    by, at = _require(incident, "change_severity", by=by, at=at)
    rank, name = rated("severity", severity, checked_scale(scale))
    why = required_words("why", why)
    if incident.severity is rank and name in {None, incident.severity_name}:
        return ()
    return (SeverityChanged(at=at, by=by, severity=rank, severity_name=name, why=why),)


def assign_role(
    incident: Incident, *, by: str, at: Moment, role: Role, person: str
) -> tuple[IncidentEvent, ...]:
    """
    A person takes a role. Holding it already changes nothing.

    An incident has one commander: whoever was it until then gives it up in the same record.

    Args:
        role: Which role.
        person: The person's id.
    """
    by, at = _require(incident, "assign_role", by=by, at=at)
    role, person = checked_member("role", role, Role), checked_id("person", person)
    if (role, folded(person)) in incident.roles:
        return ()
    before = _holders(incident, role) if role is Role.INCIDENT_COMMANDER else ()
    return (
        *(RoleReleased(at=at, by=by, role=role, person=one) for one in before),
        RoleAssigned(at=at, by=by, role=role, person=person),
    )


def _holders(incident: Incident, role: Role) -> tuple[str, ...]:
    """Return who holds a role, each as they were named when they took it."""
    found: dict[str, str] = {}
    stands: Mapping[int, IncidentFact] = past_standing(incident.past)
    for event in stands.values():
        if isinstance(event, RoleAssigned) and (role, folded(event.person)) in incident.roles:
            found[folded(event.person)] = event.person
    return tuple(person for key, person in found.items() if (role, key) in incident.roles)


def release_role(
    incident: Incident, *, by: str, at: Moment, role: Role, person: str
) -> tuple[IncidentEvent, ...]:
    """
    A person gives a role up. Not holding it changes nothing.

    Args:
        role: Which role.
        person: The person's id.
    """
    by, at = _require(incident, "release_role", by=by, at=at)
    role, person = checked_member("role", role, Role), checked_id("person", person)
    if (role, folded(person)) not in incident.roles:
        return ()
    return (RoleReleased(at=at, by=by, role=role, person=person),)


def update_impact(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    impact: Impact | None = None,
    impact_started_at: Moment | None = None,
) -> tuple[IncidentEvent, ...]:
    """
    Say who is hit as known now, or since when, where that was not known before.

    Args:
        impact: All of it as known now: it stands in the place of what was said before.
        impact_started_at: When users were first hit.

    Raises:
        InvalidValue: Neither is given, or the start of the impact is known already (`correct` it).
    """
    by, at = _require(incident, "update_impact", by=by, at=at)
    impact = checked_impact("impact", impact)
    started = optional_moment("impact_started_at", impact_started_at)
    if started is not None and incident.impact_started:
        raise InvalidValue("impact_started_at", started, "it is recorded already; use correct")
    if started is None and impact is None:
        raise InvalidValue("impact", impact, "give the impact, or when it started, or both")
    if started is None and impact == incident.impact:
        return ()
    return (ImpactUpdated(at=at, by=by, impact=impact, impact_started_at=started),)


def post_update(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    text: str,
    audience: Audience = Audience.INTERNAL,
) -> tuple[IncidentEvent, ...]:
    """
    Tell colleagues, or the public, how it stands.

    Args:
        text: What is told.
        audience: Who it is for.
    """
    by, at = _require(incident, "post_update", by=by, at=at)
    audience = checked_member("audience", audience, Audience)
    return (UpdatePosted(at=at, by=by, audience=audience, text=required_words("text", text)),)


def link_problem(
    incident: Incident, *, by: str, at: Moment, problem: str
) -> tuple[IncidentEvent, ...]:
    """
    Refer to the problem record elsewhere that deals with the permanent fix.

    Args:
        problem: Id of the record elsewhere, such as "PRB-12".
    """
    by, at = _require(incident, "link_problem", by=by, at=at)
    problem = checked_id("problem", problem)
    return () if problem in incident.problems else (ProblemLinked(at=at, by=by, problem=problem),)


def describe(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    title: str = "",
    services: Iterable[str] = (),
    symptom: Symptom | None = None,
    labels: Mapping[str, str | None] = NOTHING_TOLD,
) -> tuple[IncidentEvent, ...]:
    """
    Say what was learned after detection. What is not given stays, and what stands is not repeated.

    What was recorded wrongly is corrected instead (see `correct`), which says so.

    Args:
        services: All of them, in the place of those that stood.
        labels: Those that are other now; None takes one away.
        title: What people call it now.
        symptom: What turned out to be wrong.

    Raises:
        InvalidValue: Nothing is given.
    """
    by, at = _require(incident, "describe", by=by, at=at)
    words, chosen = checked_words("title", title), checked_services(services)
    symptom = None if symptom is None else checked_member("symptom", symptom, Symptom)
    said = changed_labels(labels)
    if not words.strip() and not chosen and symptom is None and not said:
        allowed = "give what is known now: title, services, symptom or labels"
        raise InvalidValue("title", title, allowed)
    stood = _described(incident.past)
    other = {name: text for name, text in said.items() if stood.labels.get(name) != text}
    event = IncidentDescribed(
        at=at,
        by=by,
        title="" if words == stood.title else words,
        services=() if chosen == stood.services else chosen,
        symptom=None if symptom is stood.symptom else symptom,
        labels=other,
    )
    says = event.title or event.services or event.symptom or event.labels
    return (event,) if says else ()


class _Description(NamedTuple):
    title: str = ""
    services: tuple[str, ...] = ()
    symptom: Symptom | None = None
    labels: Mapping[str, str | None] = NOTHING_TOLD


def _described(past: Iterable[IncidentEvent]) -> _Description:
    """Return what stands of an incident's description."""
    found = _Description()
    for event in past_standing(past).values():
        if isinstance(event, (IncidentDetected, IncidentDescribed)):
            found = _Description(
                title=event.title or found.title,
                services=event.services or found.services,
                symptom=event.symptom or found.symptom,
                labels={**found.labels, **event.labels},
            )
    return found


def refer(
    incident: Incident, *, by: str, at: Moment, kind: str, address: str, title: str = ""
) -> tuple[IncidentEvent, ...]:
    """
    Refer to something elsewhere that belongs to it. The same address again changes nothing.

    Args:
        kind: What it is, in a word: ticket, dashboard, channel, runbook, document.
        address: Where it stands: a URL, or the key of a ticket; one line.
        title: What to show in its place.
    """
    by, at = _require(incident, "refer", by=by, at=at)
    event = reference(at=at, by=by, kind=kind, address=address, title=title)
    return () if event.address in incident.references else (event,)


def mark(incident: Incident, *, by: str, at: Moment, name: str) -> tuple[IncidentEvent, ...]:
    """
    A milestone of the team's own was reached. Marked again it is another one, numbered.

    Durations can start or end at it, as `"mark:vendor called"`. The same name at the same moment
    changes nothing.

    Args:
        name: What the team calls it; none of the milestones that have steps.
    """
    by, at = _require(incident, "mark", by=by, at=at)
    name = checked_milestone("name", name)
    number = 1
    stands: Mapping[int, IncidentFact] = past_standing(incident.past)
    for version, event in enumerate(incident.past, start=1):
        if isinstance(event, MilestoneMarked) and event.name == name:
            number = event.number + 1
            there = stands.get(version)
            if there is not None and there.at == at:
                return ()
    return (MilestoneMarked(at=at, by=by, number=number, name=name),)


def relate(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    id: str,
    to: str,
    kind: Relation,
    above: Collection[str],
) -> tuple[IncidentEvent, ...]:
    """
    Say what it is to another incident. `Ledger.relate` knows the ids that this step needs.

    It has one relation to each other incident, the last one said, and is the child of one alone.
    Figures count each of them once, as without.

    Args:
        id: This incident's id; *to* is that of the other.
        above: What *to* is a child of, and that one, and so on: none of them can be a child of this
            incident.
    """
    id, to = known_id("id", id), known_id("to", to)
    kind = checked_member("kind", kind, Relation)
    if not is_list(above) or is_mapping(above):
        raise InvalidValue("above", above, "give a list of ids, as Ledger.relate does")
    upwards = tuple(known_id("above", one) for one in above)
    by, at = _require(incident, "relate", by=by, at=at, id=id, to=to, kind=kind, above=upwards)
    if incident.relations.get(to) is kind:
        return ()
    return (IncidentRelated(at=at, by=by, other=to, kind=kind),)


def unrelate(incident: Incident, *, by: str, at: Moment, to: str) -> tuple[IncidentEvent, ...]:
    """
    It has nothing to do with another incident. Where it has none, this changes nothing.

    Args:
        to: Id of the other incident.
    """
    by, at = _require(incident, "unrelate", by=by, at=at)
    kind = incident.relations.get(known_id("to", to))
    return () if kind is None else (IncidentUnrelated(at=at, by=by, other=to, kind=kind),)


def link_change(
    incident: Incident, *, by: str, at: Moment, change: str, verdict: Verdict, why: str = ""
) -> tuple[IncidentEvent, ...]:
    """
    State what a change has to do with this incident: it caused it, fixed it, or is suspected.

    The last verdict on a change stands; earlier ones stay in the record.

    Args:
        verdict: What it has to do with it; not DISMISSED, for which there is `dismiss_link`.
    """
    by, at = _require(incident, "link_change", by=by, at=at)
    verdict = checked_member("verdict", verdict, Verdict)
    if verdict is Verdict.DISMISSED:
        raise InvalidValue(
            "verdict", verdict.value, "use dismiss_link to say that it has nothing to do"
        )
    return _verdict(incident, at=at, by=by, change=change, verdict=verdict, why=why)


def dismiss_link(
    incident: Incident, *, by: str, at: Moment, change: str, why: str
) -> tuple[IncidentEvent, ...]:
    """State that a change has nothing to do with this incident; it is then never inferred again."""
    by, at = _require(incident, "dismiss_link", by=by, at=at)
    why = required_words("why", why)
    return _verdict(incident, at=at, by=by, change=change, verdict=Verdict.DISMISSED, why=why)


def _verdict(
    incident: Incident, *, at: Moment, by: str, change: str, verdict: Verdict, why: str
) -> tuple[IncidentEvent, ...]:
    change, why = known_id("change", change), checked_words("why", why)
    if incident.verdicts.get(change) is verdict:
        return ()
    return (VerdictGiven(at=at, by=by, change=change, verdict=verdict, why=why),)


def record_review(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    what_happened: str,
    causes: Sequence[str] = (),
    cause_tags: Sequence[str] = (),
) -> tuple[IncidentEvent, ...]:
    """
    Record the post-incident review. It covers the resolutions before it.

    Args:
        what_happened: The story, blameless.
        causes: The contributing causes, as many as there were. Prevention: `add_action`.
        cause_tags: The same in words of a list that the team keeps, so that what recurs can be
            counted: `group_by="cause_tag"`. They are facts, which no redaction takes out.
    """
    by, at = _require(incident, "record_review", by=by, at=at)
    if not is_list(causes) or is_mapping(causes):
        raise InvalidValue("causes", causes, 'give a list, for example ["no canary"]')
    return (
        ReviewRecorded(
            at=at,
            by=by,
            number=_unused(incident.past, ReviewRecorded),
            covers=incident.resolutions,
            what_happened=required_words("what_happened", what_happened),
            causes=tuple(required_words("causes", cause) for cause in causes),
            cause_tags=checked_tags("cause_tags", cause_tags),
        ),
    )


def add_action(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    text: str,
    owner: str | None = None,
    due: date | None = None,
) -> tuple[IncidentEvent, ...]:
    """
    Add something to do so that it does not happen again. Actions are numbered from 1.

    Args:
        due: A calendar day, not a time.
        text: What is to be done.
        owner: Id of who sees to it.
    """
    by, at = _require(incident, "add_action", by=by, at=at)
    due = _checked_day("due", due)
    return (
        ActionAdded(
            at=at,
            by=by,
            number=_unused(incident.past, ActionAdded),
            owner=optional_id("owner", owner),
            due=due,
            text=required_words("text", text),
        ),
    )


def _checked_day(name: str, value: object) -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise InvalidValue(name, value, "give a date, for example date(2026, 3, 31)")


def revise_action(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    number: int,
    owner: str | None = None,
    due: date | None = None,
    text: str = "",
) -> tuple[IncidentEvent, ...]:
    """
    Give action *number* another owner, day or text. What is not given stays as it was.

    Args:
        owner: Id of who sees to it now.
        due: The calendar day by which it is to be done now.
        text: What is to be done now.

    Raises:
        InvalidValue: Nothing is given.
    """
    by, at = _require(incident, "revise_action", by=by, at=at, number=number)
    owner, due = optional_id("owner", owner), _checked_day("due", due)
    text = checked_words("text", text)
    if owner is None and due is None and not text.strip():
        raise InvalidValue("owner", owner, "give what is other now: owner, due or text")
    stood_owner, stood_due, stood_text = _action(incident.past, number)
    event = ActionRevised(
        at=at,
        by=by,
        number=number,
        owner=None if owner == stood_owner else owner,
        due=None if due == stood_due else due,
        text="" if text == stood_text else text,
    )
    return (event,) if event.owner or event.due or event.text else ()


def _action(past: Iterable[IncidentEvent], number: int) -> tuple[str | None, date | None, str]:
    """Return the owner, the day and the text of an action as they stand."""
    owner: str | None = None
    due: date | None = None
    text = ""
    for event in past_standing(past).values():
        if isinstance(event, (ActionAdded, ActionRevised)) and event.number == number:
            owner, due, text = event.owner or owner, event.due or due, event.text or text
    return owner, due, text


def complete_action(
    incident: Incident, *, by: str, at: Moment, number: int, change: str | None = None
) -> tuple[IncidentEvent, ...]:
    """
    Action *number* is done, by *change* if a change did it. An ended action changes nothing.

    Args:
        change: Id of the change that did it.
    """
    by, at = _require(incident, "complete_action", by=by, at=at, number=number)
    change = optional_known_id("change", change)
    if not incident.actions[number]:
        return ()
    return (ActionCompleted(at=at, by=by, number=number, change=change),)


def drop_action(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    number: int,
    why: str,
    change: str | None = None,
) -> tuple[IncidentEvent, ...]:
    """
    Action *number* will not be done. An ended action changes nothing.

    Args:
        change: Id of the change that it has to do with.
    """
    by, at = _require(incident, "drop_action", by=by, at=at, number=number)
    why, change = required_words("why", why), optional_known_id("change", change)
    if not incident.actions[number]:
        return ()
    return (ActionDropped(at=at, by=by, number=number, change=change, why=why),)


def close(
    incident: Incident, *, by: str, at: Moment, policy: Policy = DEFAULT_POLICY
) -> tuple[IncidentEvent, ...]:
    """Nothing more is to be done. Refused while never triaged or a needed review is missing."""
    by, at = _require(incident, "close", by=by, at=at, policy=policy)
    return (IncidentClosed(at=at, by=by),)


def merge(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    id: str,
    into: str,
    into_state: Incident,
    why: str = "",
) -> tuple[IncidentEvent, ...]:
    """
    It is the same as another incident. `Ledger.merge` writes both sides in one record.

    Args:
        id: This incident's id; *into* is the one that goes on for both, in *into_state*.
    """
    id, into = known_id("id", id), known_id("into", into)
    checked_state("into_state", into_state, Incident)
    by, at = _require(incident, "merge", by=by, at=at, id=id, into=into, other=into_state)
    return (IncidentMerged(at=at, by=by, into=into, why=checked_words("why", why)),)


def absorb(
    incident: Incident, *, by: str, at: Moment, merged: str, merged_state: Incident = INITIAL
) -> tuple[IncidentEvent, ...]:
    """
    The target's side of `merge`, written in the same record.

    Where *merged* held a higher severity than the target and all that are merged into it, that
    follows: so a review which the higher one asks for is asked of the target.

    Args:
        merged: The id of what is merged into it; *merged_state* is its state.
    """
    by, at = checked_id("by", by), checked_moment("at", at)
    merged = known_id("merged", merged)
    incident = checked_state("incident", incident, Incident)
    if merged in incident.absorbed:
        return ()
    brought = _brought(checked_state("merged_state", merged_state, Incident))
    now = highest(incident.highest, brought)
    absorbed = IncidentAbsorbed(at=at, by=by, merged=merged)
    return (absorbed, *_inherited(incident, now, by=by, at=at, merged=merged))


def unmerge(
    incident: Incident, *, by: str, at: Moment, why: str, out_of: str | None = None
) -> tuple[IncidentEvent, ...]:
    """
    The merge was wrong: everything is as before. `Ledger.unmerge` writes both sides.

    Args:
        out_of: The incident it is believed to be merged into; refused where it is another.
    """
    out_of = optional_known_id("out_of", out_of)
    by, at = _require(incident, "unmerge", by=by, at=at, out_of=out_of)
    return (
        IncidentUnmerged(
            at=at,
            by=by,
            out_of=str(incident.merged_into),
            status=incident.before_merge,
            why=required_words("why", why),
        ),
    )


def separate(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    merged: str,
    members: Mapping[str, Incident] = NOTHING_TOLD,
) -> tuple[IncidentEvent, ...]:
    """
    The target's side of `unmerge`, written in the same record.

    Where the highest severity was that of *merged*, the highest one that stands without it
    follows: of the target by itself, and of those still merged into it. None where none is left.

    Args:
        members: Those still merged into it, by their ids.
    """
    by, at = checked_id("by", by), checked_moment("at", at)
    merged = known_id("merged", merged)
    incident = checked_state("incident", incident, Incident)
    if merged not in incident.absorbed:
        return ()
    separated = IncidentSeparated(at=at, by=by, merged=merged)
    return (separated, *inherit(incident, by=by, at=at, merged=merged, members=members))


def inherit(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    merged: str,
    members: Mapping[str, Incident] = NOTHING_TOLD,
) -> tuple[IncidentEvent, ...]:
    """
    Another severity is the highest, since it changed in *merged*, which is merged into this one.

    Written in the record of `unmerge` on the incidents that its target is merged into itself. It
    changes nothing where the highest severity stays the same.

    Args:
        members: All that are merged into it, by their ids.
    """
    by, at = checked_id("by", by), checked_moment("at", at)
    incident = checked_state("incident", incident, Incident)
    if not is_mapping(members):
        raise InvalidValue("members", members, "give their states by their ids")
    now = highest_held(incident, members.values())
    return _inherited(incident, now, by=by, at=at, merged=known_id("merged", merged))


def highest_held(incident: Incident, members: Iterable[Incident]) -> Severity | None:
    """Return the highest severity that an incident or one of those merged into it held."""
    incident = checked_state("incident", incident, Incident)
    given = [checked_state("incident", one, Incident) for one in checked_events("members", members)]
    return highest(incident.held, *map(_brought, given))


def _brought(merged: Incident) -> Severity | None:
    """Return the severity that a merged incident brings; what was dismissed was no incident."""
    ended = merged.before_merge if merged.status is Status.MERGED else merged.status
    return None if ended is Status.DISMISSED else merged.highest


def _inherited(
    incident: Incident, now: Severity | None, *, by: str, at: Moment, merged: str
) -> tuple[IncidentEvent, ...]:
    if now == incident.highest:
        return ()
    return (SeverityInherited(at=at, by=by, severity=now, merged=merged),)


def correct(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    version: int,
    field: str,
    was: CorrectableValue,
    now: CorrectableValue,
    why: str,
    scale: SeverityScale | None = None,
) -> tuple[IncidentEvent, ...]:
    """
    A fact was recorded wrongly. The event stays; what stands is *now*.

    Args:
        version: Which event of the stream recorded the fact; *field* is its field (`CORRECTABLE`).
        was: What stands, as the caller knows it; refused when something else does.
        scale: With one, a severity is given by its name, as in `triage`.
        now: What stands from now on: a value of the kind that the field has.
    """
    version, field = checked_number("version", version), checked_text("field", field)
    why = required_words("why", why)
    scale, severity_name, was_name = checked_scale(scale), None, None
    if field == "severity" and scale is not None:
        if isinstance(was, str) and was in scale.levels:
            was_name, was = str(was), scale.levels[was]
        elif isinstance(was, str) and was not in SEVERITY_RANK:
            scale.rated("was", was)  # which says what there is
        if now is not None:
            now, severity_name = scale.rated("now", now)
    by, at = _require(
        incident,
        "correct",
        by=by,
        at=at,
        version=version,
        field=field,
        was=was,
        now=now,
        was_name=was_name,
    )
    return correction(  # type: ignore[return-value]  # only classes in CORRECTABLE come back
        past_standing(incident.past),
        CORRECTABLE,
        version=version,
        field=field,
        now=now,
        at=at,
        by=by,
        why=why,
        severity_name=severity_name,
    )


def void(
    incident: Incident, *, by: str, at: Moment, version: int, why: str
) -> tuple[IncidentEvent, ...]:
    """
    An event never happened: it leaves facts and figures, and is struck through in timelines.

    Of the events that changed the status only the last can be voided, again and again.

    Args:
        version: Which event of the stream, counted from 1.
    """
    version, why = checked_number("version", version), required_words("why", why)
    by, at = _require(incident, "void", by=by, at=at, version=version)
    event = voided(incident.past, at=at, by=by, version=version, why=why)
    if event is None:
        return ()
    after_it = fold((*incident.past, event))
    return (attrs.evolve(event, status=after_it.status.value),)


# --- imported history -----------------------------------------------------------------------------

_PROGRESS: Final = {status: rank for rank, status in enumerate(Status)}
INCIDENT_EVENTS: Final = frozenset(get_args(IncidentEvent))
"""The classes of all events that an incident's stream can hold."""

_NEED_A_STATE: Final = (IncidentReopened, ReviewRecorded)


def bring_in(
    incident: Incident, *, events: Sequence[IncidentEvent], decided: bool = False
) -> tuple[tuple[int, IncidentEvent], ...]:
    """
    Record history from elsewhere: any subset of the moments, in any order.

    Every event must be marked `imported`. Statuses and numbers are set here: the status that
    results is the furthest milestone given, and steps the source skipped stay absent. What
    stands already is not recorded again; a value that changed in the source becomes a
    correction, so the same history can be brought in again and again.

    Args:
        decided: What is new of it was found before (`imcm.interchange.deciding`): all of it is.

    Returns:
        What follows, each with the place in *events* of the one it comes from.

    Raises:
        StepRefused: No event says what was detected, or a fact that can't be corrected changed.
        InvalidValue: An event is none of an incident, or not marked as imported.
    """
    incident = checked_state("incident", incident, Incident)
    events = checked_events("events", events)
    result: list[tuple[int, IncidentEvent]] = []
    numbers = _Numbers(incident.past)
    past = list(incident.past)
    known = len(past)  # how much of it the state knows: few events ask more than the status
    status = incident.status
    first = (IncidentDetected,)
    found: Iterable[tuple[int, IncidentEvent]] = (
        decided_before(events, INCIDENT_EVENTS)
        if decided
        else news(incident.past, events, CORRECTABLE, first=first, known=INCIDENT_EVENTS)
    )
    for place, event in found:
        if isinstance(event, EventVoided):
            incident = fold([*past, event])
            past.append(attrs.evolve(event, status=incident.status.value))
            known, status = len(past), incident.status
            result.append((place, past[-1]))
            continue
        if isinstance(event, _NEED_A_STATE):
            incident = thawed(incident)  # it is asked here and given to nobody
            for one in past[known:]:
                if one.__class__ not in EDIT_CLASSES:
                    incident = _next(incident, one)  # type: ignore[arg-type]  # it is a fact
            known = len(past)
        settled = _settled(incident, status, numbers, event)
        past.append(settled)
        if settled.__class__ not in EDIT_CLASSES:
            status = _status_after(status, settled)
        result.append((place, settled))
    return tuple(result)


class _Numbers:
    """The numbers that attempts, actions, reviews and milestones have, and had in the source."""

    def __init__(self, past: Iterable[IncidentEvent]) -> None:
        self._highest: dict[tuple[type, str], int] = {}
        self._renumbered: dict[tuple[type, int], int] = {}
        for event in past:
            if isinstance(event, _IN_SERIES):
                series = self._series(event)
                self._highest[series] = max(event.number, self._highest.get(series, 0))

    @staticmethod
    def _series(event: _InSeries) -> tuple[type, str]:
        """Return what an event is numbered within: its type; of milestones each name by itself."""
        return type(event), event.name if isinstance(event, MilestoneMarked) else ""

    def given(self, event: _InSeries) -> int:
        """Return the number an imported event gets; what speaks of it follows."""
        series = self._series(event)
        number = self._highest[series] = self._highest.get(series, 0) + 1
        self._renumbered[series[0], event.number] = number
        return number

    def of(self, kind: _Numbered, number: int) -> int:
        """Return the number here of what has this one in the source."""
        return self._renumbered.get((kind, number), number)


def _settled(
    incident: Incident,
    status: IncidentStatus,
    numbers: _Numbers,
    event: IncidentEvent,
) -> IncidentEvent:
    """
    Return an imported event with the status and the number it gets in this stream.

    Args:
        incident: As it stands before it, where the event needs that; older before all others.
        numbers: The numbers given before it.
    """
    match event:
        case IncidentReopened():
            return _reopening(incident, at=event.at, by=event.by, why=event.why, imported=True)
        case IncidentTriaged() | IncidentMitigated() | IncidentResolved() | IncidentClosed():
            return with_status(event, _further(status, event.status))
        case MitigationAttempted():
            number = numbers.given(event)
            return attrs.evolve(event, number=number, status=_further(status, event.status))
        case ActionAdded() | MilestoneMarked():
            return attrs.evolve(event, number=numbers.given(event))
        case AttemptConcluded():
            number = numbers.of(MitigationAttempted, event.number)
            return attrs.evolve(event, number=number)
        case ActionRevised() | ActionCompleted() | ActionDropped():
            number = numbers.of(ActionAdded, event.number)
            return attrs.evolve(event, number=number)
        case ReviewRecorded():
            number = numbers.given(event)
            return attrs.evolve(event, number=number, covers=incident.resolutions)
        case _:
            return event


def _further(status: IncidentStatus, milestone: IncidentStatus | None) -> IncidentStatus | None:
    after = place_after(status, milestone or status, _PROGRESS)
    return changed(status, after)


# --- events, whoever's step made them -------------------------------------------------------------


@records("link_change")
def _again_verdict(
    incident: Incident, *, by: str, at: Moment, change: str, verdict: Verdict, why: str
) -> tuple[IncidentEvent, ...]:
    if verdict is Verdict.DISMISSED:
        return dismiss_link(incident, by=by, at=at, change=change, why=why)
    return link_change(incident, by=by, at=at, change=change, verdict=verdict, why=why)


@records("triage")
def _again_triaged(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    severity: Severity,
    severity_name: str | None,
    severity_proposed: str | None,
    impact: Impact | None,
    scale: SeverityScale | None,
) -> tuple[IncidentEvent, ...]:
    told = severity_name or severity
    events = triage(incident, by=by, at=at, severity=told, impact=impact, scale=scale)
    if severity_proposed is None:
        return events
    # For what it was proposed is not kept: only that the scale has such a name.
    _, proposed = rated("severity_proposed", severity_proposed, scale)
    return tuple(
        attrs.evolve(event, severity_proposed=proposed)
        for event in events
        if isinstance(event, IncidentTriaged)
    )


@records("change_severity")
def _again_severity(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    severity: Severity,
    severity_name: str | None,
    why: str,
    scale: SeverityScale | None,
) -> tuple[IncidentEvent, ...]:
    told = severity_name or severity
    return change_severity(incident, by=by, at=at, severity=told, why=why, scale=scale)


@records("unrelate")
def _again_unrelated(
    incident: Incident, *, by: str, at: Moment, other: str
) -> tuple[IncidentEvent, ...]:
    return unrelate(incident, by=by, at=at, to=other)


@records("correct")
def _again_severity_corrected(
    incident: Incident,
    *,
    by: str,
    at: Moment,
    version: int,
    field: str,
    was: Severity | None,
    now: Severity | None,
    severity_name: str | None,
    why: str,
    scale: SeverityScale | None,
) -> tuple[IncidentEvent, ...]:
    told = now if severity_name is None else severity_name
    return correct(
        incident,
        by=by,
        at=at,
        version=version,
        field=field,
        was=was,
        now=told,
        why=why,
        scale=scale,
    )


_RECORDED_BY: Final[Mapping[type, Callable[..., tuple[IncidentEvent, ...]]]] = {
    IncidentDetected: detect,
    IncidentDeclared: declare,
    IncidentAcknowledged: acknowledge,
    IncidentTriaged: _again_triaged,
    IncidentDismissed: dismiss,
    MitigationAttempted: attempt_mitigation,
    AttemptConcluded: conclude_attempt,
    IncidentMitigated: mitigate,
    IncidentResolved: resolve,
    IncidentReopened: reopen,
    IncidentHeld: hold,
    IncidentReleased: release,
    SeverityChanged: _again_severity,
    RoleAssigned: assign_role,
    RoleReleased: release_role,
    ImpactUpdated: update_impact,
    UpdatePosted: post_update,
    ProblemLinked: link_problem,
    VerdictGiven: _again_verdict,
    ReviewRecorded: record_review,
    ActionAdded: add_action,
    ActionRevised: revise_action,
    IncidentDescribed: describe,
    ReferenceAdded: refer,
    MilestoneMarked: mark,
    IncidentUnrelated: _again_unrelated,
    ActionCompleted: complete_action,
    ActionDropped: drop_action,
    IncidentClosed: close,
    EventVoided: void,
    **dict.fromkeys(CORRECTIONS, correct),
    SeverityCorrected: _again_severity_corrected,
}
"""By which step the events of a type are recorded; what is not here has another door."""


def confirm(
    incident: Incident,
    event: IncidentEvent,
    *,
    policy: Policy = DEFAULT_POLICY,
    scale: SeverityScale | None = None,
) -> None:
    """
    Let an event that a step of somebody's own made be recorded, or refuse it.

    Guards belong to events, whoever's step made them. See `lifecycle.confirmed`.

    Raises:
        StepRefused: A guard says no, or what the event says does not follow.
        InvalidValue: It is no event of an incident that a step can record.
    """
    rules = {"policy": checked_policy(policy), "scale": checked_scale(scale)}
    confirmed(_RECORDED_BY, "incident", incident, event, **rules)
    commander = Role.INCIDENT_COMMANDER
    if (
        isinstance(event, RoleAssigned)
        and event.role is commander
        and _holders(incident, commander)
    ):
        raise incomplete("assign_role", "whoever was commander gives it up first")
