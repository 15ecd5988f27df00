"""
The events of an incident: what is stored for ever.

Names of classes and fields are the storage format: add, never rename.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias

import attrs

from imcm.domain.corrections import (
    Correctable,
    DismissalReasonCorrected,
    DomainEvent,
    DurationStated,
    EnvironmentCorrected,
    EventVoided,
    ImpactCorrected,
    LabelsCorrected,
    ModeCorrected,
    MomentCorrected,
    ReferenceAdded,
    ServicesCorrected,
    SeverityCorrected,
    SourceReinstated,
    SourceSaid,
    SourceWithdrew,
    SymptomCorrected,
    WordsRedacted,
)
from imcm.domain.vocabulary import (
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
    aware,
)


class IncidentStatus(StrEnum):
    """Where an incident stands. *Open* are detected, triaged, mitigating and mitigated."""

    NOTHING = "nothing"  # there is none of that id yet
    DETECTED = "detected"
    TRIAGED = "triaged"
    MITIGATING = "mitigating"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    CLOSED = "closed"
    DISMISSED = "dismissed"
    MERGED = "merged"


# --- events ---------------------------------------------------------------------------------------
# Class and field names are the storage format: add, never rename. A field left out of a stored
# event means its default, so a default is always the empty value of its type (a status apart,
# which is always written). `WORDS` names the fields that can be redacted. A `status` is the one
# after the event, None where the event left it as it was. A moment is None only in imported
# history, where the source does not say when.


@attrs.frozen(kw_only=True, repr=False)
class IncidentDetected(DomainEvent):
    """Something was noticed. Impact start and declaration, where known, are other moments."""

    WORDS: ClassVar[tuple[str, ...]] = ("title",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    title: str = ""
    services: tuple[str, ...] = ()
    symptom: Symptom | None = None
    channel: Channel | None = None
    monitor: str | None = None
    mode: Mode = Mode.REAL
    environment: str | None = None
    labels: Mapping[str, str] = attrs.field(factory=dict[str, str])
    impact_started_at: Moment | None = attrs.field(default=None, validator=aware)
    declared_at: Moment | None = attrs.field(default=None, validator=aware)
    status: IncidentStatus = IncidentStatus.DETECTED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentDeclared(DomainEvent):
    """Somebody said: this is an incident."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentAcknowledged(DomainEvent):
    """Somebody has taken it."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentTriaged(DomainEvent):
    """
    It is real, this severe, and these are hit.

    Attributes:
        severity_name: What the team's own scale calls the severity; None without one.
        severity_proposed: The name that the scale's matrix proposed, whatever was chosen.
    """

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    severity: Severity | None = None
    severity_name: str | None = None
    severity_proposed: str | None = None
    impact: Impact | None = None
    status: IncidentStatus | None = IncidentStatus.TRIAGED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentDismissed(DomainEvent):
    """It was no incident after all."""

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    reason: DismissalReason
    why: str = ""
    status: IncidentStatus = IncidentStatus.DISMISSED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class MitigationAttempted(DomainEvent):
    """Something was tried in order to stop users being hurt."""

    WORDS: ClassVar[tuple[str, ...]] = ("note",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    number: int
    kind: MitigationKind
    change: str | None = None
    note: str = ""
    status: IncidentStatus | None = IncidentStatus.MITIGATING
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class AttemptConcluded(DomainEvent):
    """What an attempt did."""

    WORDS: ClassVar[tuple[str, ...]] = ("evidence",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    number: int
    result: AttemptResult
    evidence: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentMitigated(DomainEvent):
    """Users are no longer hurt; service need not be fully restored."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    status: IncidentStatus | None = IncidentStatus.MITIGATED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentResolved(DomainEvent):
    """Service is fully restored."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    status: IncidentStatus | None = IncidentStatus.RESOLVED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentReopened(DomainEvent):
    """
    It is not over.

    Attributes:
        began: The status it was reopened from.
        number: Which reopening this is, from resolved or closed; 0 for the others.
        relapse: Which relapse this is, from mitigated; 0 for the others.
    """

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    began: IncidentStatus
    number: int = 0
    relapse: int = 0
    why: str = ""
    status: IncidentStatus = IncidentStatus.MITIGATING
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentHeld(DomainEvent):
    """Work waits for somebody else. Only business clocks stop."""

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    reason: HoldReason
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentReleased(DomainEvent):
    """The wait is over."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class SeverityChanged(DomainEvent):
    """
    The incident became, or turned out to be, more or less severe.

    Attributes:
        severity_name: As in `IncidentTriaged`; it may change while the rank stays.
    """

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    severity: Severity
    severity_name: str | None = None
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class RoleAssigned(DomainEvent):
    """A person takes a role."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    role: Role
    person: str
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class RoleReleased(DomainEvent):
    """A person gives a role up."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    role: Role
    person: str
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ImpactUpdated(DomainEvent):
    """What is known of who is hit, and since when, has changed."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    impact: Impact | None = None
    impact_started_at: Moment | None = attrs.field(default=None, validator=aware)
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class UpdatePosted(DomainEvent):
    """Something was told to colleagues or to the public."""

    WORDS: ClassVar[tuple[str, ...]] = ("text",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    audience: Audience
    text: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ProblemLinked(DomainEvent):
    """A problem record elsewhere deals with the permanent fix."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    problem: str
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class VerdictGiven(DomainEvent):
    """Somebody stated what a change has to do with this incident; the last verdict stands."""

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    change: str
    verdict: Verdict
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ReviewRecorded(DomainEvent):
    """
    The post-incident review: what happened and why, blameless.

    Attributes:
        number: Which review of this incident it is.
        covers: How many resolutions came before it.
        cause_tags: The causes in words of a list that the team keeps, so that they can be counted.
    """

    WORDS: ClassVar[tuple[str, ...]] = ("what_happened", "causes")
    at: Moment | None = attrs.field(validator=aware)
    by: str
    number: int
    covers: int = 0
    what_happened: str = ""
    causes: tuple[str, ...] = ()
    cause_tags: tuple[str, ...] = ()
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ActionAdded(DomainEvent):
    """Something to do so that it does not happen again."""

    WORDS: ClassVar[tuple[str, ...]] = ("text",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    number: int
    owner: str | None = None
    due: date | None = None
    text: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ActionRevised(DomainEvent):
    """An action item has another owner, day or text; what is not given stays as it was."""

    WORDS: ClassVar[tuple[str, ...]] = ("text",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    number: int
    owner: str | None = None
    due: date | None = None
    text: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentDescribed(DomainEvent):
    """
    What was learned of it after detection; what is not given stays as it was.

    A statement: once recorded it holds for every time that is asked for.

    Attributes:
        labels: Those that are other now; None takes one away.
    """

    WORDS: ClassVar[tuple[str, ...]] = ("title",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    title: str = ""
    services: tuple[str, ...] = ()
    symptom: Symptom | None = None
    labels: Mapping[str, str | None] = attrs.field(factory=dict[str, "str | None"])
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class MilestoneMarked(DomainEvent):
    """
    A milestone of the team's own was reached: vendor called, root cause known.

    Attributes:
        number: The how manieth of this name it is.
    """

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    number: int
    name: str
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentRelated(DomainEvent):
    """
    It is part of another incident, or that one again, or related to it; the last of each stands.

    It is part of one alone, the last one said. A statement: once recorded it holds for every time
    that is asked for.

    Attributes:
        other: The id of the other incident.
        kind: What this one is to the other.
    """

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    other: str
    kind: Relation
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentUnrelated(DomainEvent):
    """
    It has nothing to do with another incident after all.

    Attributes:
        other: The id of the other incident.
        kind: What this one was to the other.
    """

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    other: str
    kind: Relation
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ActionCompleted(DomainEvent):
    """An action item is done, perhaps by a change."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    number: int
    change: str | None = None
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ActionDropped(DomainEvent):
    """An action item will not be done."""

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    number: int
    change: str | None = None
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentClosed(DomainEvent):
    """Nothing more is to be done here."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    status: IncidentStatus | None = IncidentStatus.CLOSED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentMerged(DomainEvent):
    """It turned out to be the same as another incident, which goes on for both."""

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    into: str
    why: str = ""
    status: IncidentStatus = IncidentStatus.MERGED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentAbsorbed(DomainEvent):
    """The other side of a merge: this incident goes on for *merged* too."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    merged: str
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentUnmerged(DomainEvent):
    """The merge was wrong: it is an incident of its own again, as it was."""

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    out_of: str
    status: IncidentStatus
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class IncidentSeparated(DomainEvent):
    """The other side of an unmerge: *merged* stands by itself again."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    merged: str
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class SeverityInherited(DomainEvent):
    """
    By a merge, or by taking one back, the highest severity is another one.

    It stands beside `IncidentAbsorbed` or `IncidentSeparated`. What asks for the highest severity,
    as rules for reviews do, follows it; the severity that the incident has by itself stays.

    Attributes:
        severity: The highest one that it and all that are merged into it held, from here on; None
            where none of them held one.
        merged: The incident by which it changed: merged into this one, or taken out of it.
    """

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    severity: Severity | None = None
    merged: str
    imported: bool = False


IncidentFact: TypeAlias = (
    IncidentDetected
    | IncidentDeclared
    | IncidentAcknowledged
    | IncidentTriaged
    | IncidentDismissed
    | MitigationAttempted
    | AttemptConcluded
    | IncidentMitigated
    | IncidentResolved
    | IncidentReopened
    | IncidentHeld
    | IncidentReleased
    | SeverityChanged
    | RoleAssigned
    | RoleReleased
    | ImpactUpdated
    | UpdatePosted
    | ProblemLinked
    | VerdictGiven
    | ReviewRecorded
    | ActionAdded
    | ActionRevised
    | IncidentDescribed
    | ReferenceAdded
    | SourceSaid
    | SourceWithdrew
    | SourceReinstated
    | MilestoneMarked
    | IncidentRelated
    | IncidentUnrelated
    | ActionCompleted
    | ActionDropped
    | IncidentClosed
    | IncidentMerged
    | IncidentAbsorbed
    | IncidentUnmerged
    | IncidentSeparated
    | SeverityInherited
    | DurationStated
    | WordsRedacted
)
IncidentEvent: TypeAlias = (
    IncidentFact
    | MomentCorrected
    | SeverityCorrected
    | ImpactCorrected
    | ServicesCorrected
    | SymptomCorrected
    | LabelsCorrected
    | EnvironmentCorrected
    | ModeCorrected
    | DismissalReasonCorrected
    | EventVoided
)

_AT: Final = {"at": MomentCorrected}
CORRECTABLE: Final[Correctable] = {
    IncidentDetected: {
        "at": MomentCorrected,
        "impact_started_at": MomentCorrected,
        "declared_at": MomentCorrected,
        "services": ServicesCorrected,
        "symptom": SymptomCorrected,
        "mode": ModeCorrected,
        "environment": EnvironmentCorrected,
        "labels": LabelsCorrected,
    },
    IncidentTriaged: {
        "at": MomentCorrected,
        "severity": SeverityCorrected,
        "impact": ImpactCorrected,
    },
    SeverityChanged: {"at": MomentCorrected, "severity": SeverityCorrected},
    ImpactUpdated: {
        "at": MomentCorrected,
        "impact": ImpactCorrected,
        "impact_started_at": MomentCorrected,
    },
    IncidentDismissed: {"at": MomentCorrected, "reason": DismissalReasonCorrected},
    IncidentDeclared: _AT,
    IncidentAcknowledged: _AT,
    MitigationAttempted: _AT,
    AttemptConcluded: _AT,
    IncidentMitigated: _AT,
    IncidentResolved: _AT,
    IncidentReopened: _AT,
    IncidentHeld: _AT,
    IncidentReleased: _AT,
    RoleAssigned: _AT,
    RoleReleased: _AT,
    UpdatePosted: _AT,
    ProblemLinked: _AT,
    VerdictGiven: _AT,
    ReviewRecorded: _AT,
    ActionAdded: _AT,
    ActionRevised: _AT,
    IncidentDescribed: {
        "at": MomentCorrected,
        "services": ServicesCorrected,
        "symptom": SymptomCorrected,
    },
    ReferenceAdded: _AT,
    MilestoneMarked: _AT,
    IncidentRelated: _AT,
    IncidentUnrelated: _AT,
    ActionCompleted: _AT,
    ActionDropped: _AT,
    IncidentClosed: _AT,
}
