"""
The events of a change: what is stored for ever.

Names of classes and fields are the storage format: add, never rename.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias

import attrs

from imcm.domain.corrections import (
    CommitsCorrected,
    Correctable,
    DomainEvent,
    DurationStated,
    EnvironmentCorrected,
    EventVoided,
    KindCorrected,
    LabelsCorrected,
    MomentCorrected,
    ReferenceAdded,
    ResultCorrected,
    ServicesCorrected,
    SourceReinstated,
    SourceSaid,
    SourceWithdrew,
    WordsRedacted,
)
from imcm.domain.vocabulary import (
    Actor,
    Authority,
    ChangeType,
    Commit,
    Counts,
    HoldReason,
    Kind,
    Moment,
    PolicyRef,
    Result,
    Risk,
    Window,
    aware,
)


class ChangeStatus(StrEnum):
    """Where a change stands. *Ended* are closed and cancelled."""

    NOTHING = "nothing"  # there is none of that id yet
    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    IMPLEMENTING = "implementing"
    IMPLEMENTED = "implemented"
    VALIDATED = "validated"
    CLOSED = "closed"
    CANCELLED = "cancelled"


@attrs.frozen(kw_only=True)
class Template:
    """
    A named, versioned recipe that a standard change follows; the embedding tool keeps them.

    Attributes:
        sha256: Hash of the recipe's text, so that what was approved can be shown later.
        name, version: How people refer to it.
    """

    name: str
    version: str
    sha256: str


# --- events ---------------------------------------------------------------------------------------
# Class and field names are the storage format: add, never rename. A field left out of a stored
# event means its default, so a default is always the empty value of its type (a status apart,
# which is always written). `WORDS` names the fields that can be redacted. A `status` is the one
# after the event, None where the event left it as it was. A moment is None only in imported
# history, where the source does not say when.


@attrs.frozen(kw_only=True, repr=False)
class ChangePlanned(DomainEvent):
    """
    Somebody wants to bring something in.

    Attributes:
        requested_by: Who asks for it, where that is not who planned it.
        incident: The incident an emergency ends.
        repairs: An earlier change that this one repairs.
        version: What is brought in, where a source says so with the plan.
        unplanned: A source says that this was no planned work.
        has_rollback_plan, has_monitoring_plan, has_test_plan: Facts; the plans are words.
    """

    WORDS: ClassVar[tuple[str, ...]] = (
        "title",
        "description",
        "rollback_plan",
        "monitoring_plan",
        "test_plan",
    )
    at: Moment | None = attrs.field(validator=aware)
    by: str
    type: ChangeType
    kind: Kind | None = None
    services: tuple[str, ...] = ()
    environment: str | None = None
    labels: Mapping[str, str] = attrs.field(factory=dict[str, str])
    risk: Risk | None = None
    window: Window | None = None
    requested_by: str | None = None
    incident: str | None = None
    repairs: str | None = None
    version: str | None = None
    unplanned: bool = False
    has_rollback_plan: bool = False
    has_monitoring_plan: bool = False
    has_test_plan: bool = False
    title: str = ""
    description: str = ""
    rollback_plan: str = ""
    monitoring_plan: str = ""
    test_plan: str = ""
    status: ChangeStatus = ChangeStatus.DRAFT
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeRevised(DomainEvent):
    """
    The content under approval is another one; every earlier approval is void.

    The facts are the whole content after the revision; words not given are as they were.
    """

    WORDS: ClassVar[tuple[str, ...]] = (
        "why",
        "title",
        "description",
        "rollback_plan",
        "monitoring_plan",
        "test_plan",
    )
    at: Moment | None = attrs.field(validator=aware)
    by: str
    kind: Kind | None = None
    services: tuple[str, ...] = ()
    risk: Risk | None = None
    window: Window | None = None
    incident: str | None = None
    has_rollback_plan: bool = False
    has_monitoring_plan: bool = False
    has_test_plan: bool = False
    why: str = ""
    title: str = ""
    description: str = ""
    rollback_plan: str = ""
    monitoring_plan: str = ""
    test_plan: str = ""
    status: ChangeStatus | None = ChangeStatus.DRAFT
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeRescoped(DomainEvent):
    """
    Where it goes, or its labels, are others than were under approval; every approval is void.

    Both are told as they are from now on, with a revision of other content or without one.
    """

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    environment: str | None = None
    labels: Mapping[str, str] = attrs.field(factory=dict[str, str])
    why: str = ""
    status: ChangeStatus | None = ChangeStatus.DRAFT
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeReworded(DomainEvent):
    """It is told in other words; the content, and the votes for it, are as they were."""

    WORDS: ClassVar[tuple[str, ...]] = ("title", "description")
    at: Moment | None = attrs.field(validator=aware)
    by: str
    title: str = ""
    description: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ContentCorrectedAfterApproval(DomainEvent):
    """
    The correction that comes with it says that other content went in than was approved.

    It stands in front of its correction, in one record: so none is recorded without it.

    Attributes:
        version: Version of that correction.
        unauthorised: The guard that says no to it.
    """

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    unauthorised: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeSubmitted(DomainEvent):
    """It is put up for approval; a standard change is approved by its template."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    template: Template | None = None
    policy: PolicyRef | None = None
    evidence_position: int | None = None
    status: ChangeStatus | None = ChangeStatus.SUBMITTED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeApproved(DomainEvent):
    """
    One person's vote for it.

    Attributes:
        content: Version of the event that holds the content voted on.
        votes, quorum: Votes for this content with this one, and how many it needs.
    """

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    authority: Authority | None = None
    content: int = 0
    votes: int = 0
    quorum: int = 0
    policy: PolicyRef | None = None
    why: str = ""
    status: ChangeStatus | None = ChangeStatus.APPROVED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class VoteGiven(DomainEvent):
    """
    One person's vote for it, which may lapse.

    Attributes:
        actor: What the policy says that the id stands for.
        valid_until: From then on it does not count any more.
        content: Version of the event that holds the content voted on.
        votes, quorum: Votes that count for this content with this one, and how many it needs.
    """

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    authority: Authority | None = None
    actor: Actor | None = None
    valid_until: Moment | None = attrs.field(default=None, validator=aware)
    content: int = 0
    votes: int = 0
    quorum: int = 0
    policy: PolicyRef | None = None
    why: str = ""
    status: ChangeStatus | None = None
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class StepRefusedRecorded(DomainEvent):
    """
    A step was asked for and refused; kept where whoever asked wanted it to be.

    Attributes:
        step: Its name, such as "start".
        guard: The guard that said no; *why*, its reason.
        policy: Under which rules, and what they said.
        canary, baseline: The counts by which a rollout was refused to go on for good: a verdict
            that later looks do not take back.
    """

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    step: str
    guard: str
    policy: PolicyRef | None = None
    canary: Counts | None = None
    baseline: Counts | None = None
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeRejected(DomainEvent):
    """It is sent back; every approval so far is void."""

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    why: str = ""
    status: ChangeStatus | None = ChangeStatus.DRAFT
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeApprovedRetroactively(DomainEvent):
    """What went in without approval is approved afterwards."""

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    authority: Authority | None = None
    actor: Actor | None = None
    policy: PolicyRef | None = None
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class RetroactiveApprovalRefused(DomainEvent):
    """What went in without approval should not have; that stays visible."""

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    authority: Authority | None = None
    actor: Actor | None = None
    policy: PolicyRef | None = None
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeScheduled(DomainEvent):
    """When it is to be done, inside what was approved."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    window: Window
    policy: PolicyRef | None = None
    evidence_position: int | None = None
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class FreezeOverridden(DomainEvent):
    """
    Somebody lets it start in a freeze, and says why.

    Attributes:
        freeze: Its name in the policy.
        since, until: The stretch that it holds for: it lets nothing start in another one.
    """

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    freeze: str
    since: Moment = attrs.field(validator=aware)
    until: Moment = attrs.field(validator=aware)
    actor: Actor | None = None
    why: str = ""
    policy: PolicyRef | None = None
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeHeld(DomainEvent):
    """It waits; asking steps are refused until it is released."""

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    reason: HoldReason
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeReleased(DomainEvent):
    """The wait is over."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeStarted(DomainEvent):
    """
    Work in production begins.

    Attributes:
        run: Reference of the pipeline run or the job; *version* is what it brings in.
        rollout_plan: Percentages planned, rising to 100; empty = straight to everyone.
        outstanding: It went in without approval, which is still to be given or refused.
    """

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    run: str | None = None
    version: str | None = None
    rollout_plan: tuple[float, ...] = ()
    outstanding: bool = False
    policy: PolicyRef | None = None
    evidence_position: int | None = None
    status: ChangeStatus | None = ChangeStatus.IMPLEMENTING
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class CommitsRecorded(DomainEvent):
    """These commits travel with the change."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    commits: tuple[Commit, ...]
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeObserved(DomainEvent):
    """
    It was found in production without anybody having asked.

    Attributes:
        unauthorised: The guard that would have said no.
    """

    WORDS: ClassVar[tuple[str, ...]] = ("title",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    kind: Kind | None = None
    services: tuple[str, ...] = ()
    environment: str | None = None
    labels: Mapping[str, str] = attrs.field(factory=dict[str, str])
    version: str | None = None
    title: str = ""
    type: ChangeType = ChangeType.OBSERVED
    unauthorised: str = ""
    outstanding: bool = False
    status: ChangeStatus | None = ChangeStatus.IMPLEMENTED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class RolloutAdvanced(DomainEvent):
    """A larger share of users gets it, judged by what was seen so far."""

    WORDS: ClassVar[tuple[str, ...]] = ("note",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    percent: float
    canary: Counts | None = None
    baseline: Counts | None = None
    policy: PolicyRef | None = None
    note: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class RolloutPaused(DomainEvent):
    """The share stays where it is until somebody has looked."""

    WORDS: ClassVar[tuple[str, ...]] = ("note",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    percent: float
    canary: Counts | None = None
    baseline: Counts | None = None
    unauthorised: str = ""
    note: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class RolloutAborted(DomainEvent):
    """It goes no further; the percentage reached is kept."""

    WORDS: ClassVar[tuple[str, ...]] = ("note",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    percent: float
    canary: Counts | None = None
    baseline: Counts | None = None
    unauthorised: str = ""
    note: str = ""
    status: ChangeStatus | None = ChangeStatus.IMPLEMENTED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeCompleted(DomainEvent):
    """The work is over, and it is in production."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: str | None = None
    unauthorised: str = ""
    status: ChangeStatus | None = ChangeStatus.IMPLEMENTED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeDeployed(DomainEvent):
    """
    It came into production, and the source that tells it does not say how it went.

    Only history from elsewhere has it. Its outcome is unknown until a completion, a failure or a
    roll back is told, a passed validation, or a close with a result.

    Attributes:
        unauthorised: The guard that would have said no, where it waited for its approval here.
    """

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: str | None = None
    unauthorised: str = ""
    status: ChangeStatus | None = ChangeStatus.IMPLEMENTED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeFailed(DomainEvent):
    """
    The work is over, and it did not work.

    Attributes:
        reached_production: Whether anything of it got there; None = a source does not say.
    """

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    reached_production: bool | None = None
    unauthorised: str = ""
    why: str = ""
    status: ChangeStatus | None = ChangeStatus.IMPLEMENTED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeRolledBack(DomainEvent):
    """It was taken out again, at its own time."""

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    incident: str | None = None
    reached_production: bool | None = None
    unauthorised: str = ""
    why: str = ""
    status: ChangeStatus | None = ChangeStatus.IMPLEMENTED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeRecovered(DomainEvent):
    """Service was good again after a failure that had no incident."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    unauthorised: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeValidated(DomainEvent):
    """A check was made: a smoke test, a dashboard."""

    WORDS: ClassVar[tuple[str, ...]] = ("evidence",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    check: str
    passed: bool
    unauthorised: str = ""
    evidence: str = ""
    status: ChangeStatus | None = ChangeStatus.VALIDATED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeClosed(DomainEvent):
    """Results are documented."""

    WORDS: ClassVar[tuple[str, ...]] = ("notes",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    result: Result | None = None
    actor: Actor | None = None
    notes: str = ""
    status: ChangeStatus | None = ChangeStatus.CLOSED
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ChangeCancelled(DomainEvent):
    """It will not be done."""

    WORDS: ClassVar[tuple[str, ...]] = ("why",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    why: str = ""
    status: ChangeStatus = ChangeStatus.CANCELLED
    imported: bool = False


ChangeFact: TypeAlias = (
    ChangePlanned
    | ChangeRevised
    | ChangeRescoped
    | ChangeReworded
    | ContentCorrectedAfterApproval
    | ChangeSubmitted
    | ChangeApproved
    | VoteGiven
    | StepRefusedRecorded
    | ChangeRejected
    | ChangeApprovedRetroactively
    | RetroactiveApprovalRefused
    | ChangeScheduled
    | FreezeOverridden
    | ChangeHeld
    | ChangeReleased
    | ChangeStarted
    | CommitsRecorded
    | ChangeObserved
    | RolloutAdvanced
    | RolloutPaused
    | RolloutAborted
    | ChangeCompleted
    | ChangeDeployed
    | ChangeFailed
    | ChangeRolledBack
    | ChangeRecovered
    | ChangeValidated
    | ChangeClosed
    | ChangeCancelled
    | ReferenceAdded
    | SourceSaid
    | SourceWithdrew
    | SourceReinstated
    | DurationStated
    | WordsRedacted
)
ChangeEvent: TypeAlias = (
    ChangeFact
    | MomentCorrected
    | ServicesCorrected
    | KindCorrected
    | LabelsCorrected
    | EnvironmentCorrected
    | ResultCorrected
    | CommitsCorrected
    | EventVoided
)

_AT: Final = {"at": MomentCorrected}
CONTENT: Final = {
    "at": MomentCorrected,
    "kind": KindCorrected,
    "services": ServicesCorrected,
    "environment": EnvironmentCorrected,
    "labels": LabelsCorrected,
}
CORRECTABLE: Final[Correctable] = {
    # What figures are told by can be corrected once the work has begun, and is marked where it was
    # under approval; risk, window and plans are content that no figure needs.
    ChangePlanned: CONTENT,
    ChangeObserved: CONTENT,
    ChangeClosed: {"at": MomentCorrected, "result": ResultCorrected},
    CommitsRecorded: {"commits": CommitsCorrected},
    ChangeRevised: {"at": MomentCorrected, "kind": KindCorrected, "services": ServicesCorrected},
    ChangeRescoped: {
        "at": MomentCorrected,
        "environment": EnvironmentCorrected,
        "labels": LabelsCorrected,
    },
    ChangeReworded: _AT,
    ContentCorrectedAfterApproval: _AT,
    ChangeSubmitted: _AT,
    ChangeApproved: _AT,
    VoteGiven: _AT,
    StepRefusedRecorded: _AT,
    ChangeRejected: _AT,
    ChangeApprovedRetroactively: _AT,
    RetroactiveApprovalRefused: _AT,
    ChangeScheduled: _AT,
    FreezeOverridden: _AT,
    ChangeHeld: _AT,
    ChangeReleased: _AT,
    ChangeStarted: _AT,
    RolloutAdvanced: _AT,
    RolloutPaused: _AT,
    RolloutAborted: _AT,
    ChangeCompleted: _AT,
    ChangeDeployed: _AT,
    ChangeFailed: _AT,
    ChangeRolledBack: _AT,
    ChangeRecovered: _AT,
    ChangeValidated: _AT,
    ChangeCancelled: _AT,
    ReferenceAdded: _AT,
}
