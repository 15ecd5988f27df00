"""
Rows: what stands of one incident or one change, and how it is made from its events.

Events are told apart by their type names, which are the storage format. So a row can be made of
the events themselves, or of the leaner form in which the codec gives them where only facts count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from imcm.domain.change import ChangeStatus
from imcm.domain.incident import OPEN, TRIAGED_FROM, IncidentStatus
from imcm.domain.vocabulary import (
    NOTHING_TOLD,
    ChangeType,
    Channel,
    Commit,
    DismissalReason,
    HoldReason,
    Impact,
    Kind,
    Mode,
    Moment,
    Outcome,
    Result,
    Risk,
    Severity,
    StatedDuration,
    Symptom,
    Verdict,
    Window,
    highest,
    midpoint,
)

# --- rows -----------------------------------------------------------------------------------------


class Spell(NamedTuple):
    """
    One stretch for which an incident was open.

    Attributes:
        started: When it began: detection for the first spell, the reopening for later ones.
        mitigated: The last time in this spell that users were no longer hurt.
        resolved: When service was restored; None while the spell goes on.
        closed: When it was closed after that.
    """

    started: Moment | None = None
    mitigated: Moment | None = None
    resolved: Moment | None = None
    closed: Moment | None = None
    over: bool = False


class Hold(NamedTuple):
    """One wait for somebody else; *released* is None while it lasts."""

    held: Moment | None
    released: Moment | None
    reason: HoldReason


class IncidentFacts(NamedTuple):
    """
    What stands of one incident.

    Attributes:
        id: Its id; *services*, *environment*, *labels* as recorded or corrected.
        status: Where it stands at `as_of`; NOTHING where its detection was voided or lies later.
        spells: The stretches it was open, in order; more than one after reopenings.
        severity_first, severity_last, severity_highest: Of those that stand.
        verdicts: Change id to the last verdict on it, those of merged incidents included.
        merged_into: The last target of its chain of merges; *merged* are those merged into it.
        stated: Durations the source itself gave, in microseconds.
        reviewed: How many of its resolutions a review covers.
        late: Versions of events whose moment lies after the time they were recorded.
        source_clock_back: The source's stamps went back within this stream.
        sources_disagree: A second source gave another value than the first.
        positions: Log positions of the events this row was made from.
    """

    id: str
    status: IncidentStatus
    services: tuple[str, ...] = ()
    environment: str | None = None
    labels: Mapping[str, str] = NOTHING_TOLD
    symptom: Symptom | None = None
    channel: Channel | None = None
    monitor: str | None = None
    mode: Mode = Mode.REAL
    imported: bool = False
    impact_started_at: Moment | None = None
    detected_at: Moment | None = None
    declared_at: Moment | None = None
    acknowledged_at: Moment | None = None
    triaged_at: Moment | None = None
    triaged: bool = False
    spells: tuple[Spell, ...] = ()
    relapses: int = 0
    holds: tuple[Hold, ...] = ()
    severity_first: Severity | None = None
    severity_last: Severity | None = None
    severity_highest: Severity | None = None
    impact: Impact | None = None
    verdicts: Mapping[str, Verdict] = NOTHING_TOLD
    merged_into: str | None = None
    merged: tuple[str, ...] = ()
    dismissed: DismissalReason | None = None
    stated: Mapping[StatedDuration, int] = NOTHING_TOLD
    reviewed: int = 0
    late: tuple[int, ...] = ()
    source_clock_back: bool = False
    sources_disagree: bool = False
    positions: tuple[int, ...] = ()

    @property
    def mitigated_at(self) -> Moment | None:
        """When users were last no longer hurt; None while they are, or where nobody said so."""
        return self.spells[-1].mitigated if self.spells else None

    @property
    def resolved_at(self) -> Moment | None:
        """When service was last restored; None while it is not."""
        return self.spells[-1].resolved if self.spells else None

    @property
    def closed_at(self) -> Moment | None:
        """When it was last closed; None while it is not."""
        return self.spells[-1].closed if self.spells else None

    @property
    def reopenings(self) -> int:
        """How many times it was reopened after it was over."""
        return max(0, len(self.spells) - 1)


class RolloutStep(NamedTuple):
    """One step of a rollout: the share of users from then on."""

    at: Moment | None
    percent: float


class ChangeFacts(NamedTuple):
    """
    What stands of one change.

    Attributes:
        deployed_at: When it came into production: at its completion (or observation), else at the
            first rollout step above 0 %, else at the failure or roll back where something of it
            reached production. None: it is no deployment.
        reached_production: False where it is known that nothing of it got there.
        authorisation: "approved", "pre-approved", "approved afterwards", "refused afterwards",
            "outstanding", "not asked" (never got that far), or "unknown" for imported history.
        unauthorised: Guards that would have said no to what was told, each once.
        outcome: How the work ended; *result* is what the close said.
        positions: Log positions of the events this row was made from.
    """

    id: str
    status: ChangeStatus
    type: ChangeType = ChangeType.NORMAL
    kind: Kind | None = None
    services: tuple[str, ...] = ()
    environment: str | None = None
    labels: Mapping[str, str] = NOTHING_TOLD
    risk: Risk | None = None
    version: str | None = None
    window: Window | None = None
    imported: bool = False
    unplanned: bool = False
    has_rollback_plan: bool = False
    has_monitoring_plan: bool = False
    has_test_plan: bool = False
    requested_by: str | None = None
    approved_by: tuple[str, ...] = ()
    incident: str | None = None
    repairs: str | None = None
    planned_at: Moment | None = None
    submitted_at: Moment | None = None
    approved_at: Moment | None = None
    started_at: Moment | None = None
    deployed_at: Moment | None = None
    ended_at: Moment | None = None
    rolled_back_at: Moment | None = None
    recovered_at: Moment | None = None
    validated_at: Moment | None = None
    closed_at: Moment | None = None
    reached_production: bool | None = None
    rollout: tuple[RolloutStep, ...] = ()
    holds: tuple[Hold, ...] = ()
    commits: tuple[Commit, ...] = ()
    outcome: Outcome | None = None
    result: Result | None = None
    authorisation: str = "not asked"
    unauthorised: tuple[str, ...] = ()
    stated: Mapping[StatedDuration, int] = NOTHING_TOLD
    late: tuple[int, ...] = ()
    source_clock_back: bool = False
    sources_disagree: bool = False
    positions: tuple[int, ...] = ()


# --- what stands ----------------------------------------------------------------------------------

_STATEMENTS: Final = frozenset(
    {
        "VerdictGiven",
        "IncidentDismissed",
        "IncidentMerged",
        "IncidentUnmerged",
        "IncidentAbsorbed",
        "IncidentSeparated",
        "ReviewRecorded",
        "DurationStated",
    }
)
"""Statements about the world: they have no place in world time, so `as_of` does not cut them."""


def is_statement(event: Any) -> bool:
    """Say whether an event is a statement about the world, which `as_of` does not cut."""
    name = event.__class__.__name__
    if name == "IncidentReopened":
        # Of a dismissal: it takes a statement back.
        return bool(event.began is IncidentStatus.DISMISSED)
    return name in _STATEMENTS


def happened(events: Iterable[Any], as_of: datetime) -> Iterator[Any]:
    """Yield those of a stream's events that had happened at *as_of*."""
    for event in events:
        at = event.at
        if at is None or midpoint(at) <= as_of or is_statement(event):
            yield event


def _until(moment: Moment | None, as_of: datetime) -> Moment | None:
    return None if moment is None or midpoint(moment) > as_of else moment


# --- an incident ----------------------------------------------------------------------------------

_INCIDENT: Final[dict[str, Any]] = (
    dict.fromkeys(IncidentFacts._fields) | IncidentFacts._field_defaults
)
_CHANGE: Final[dict[str, Any]] = dict.fromkeys(ChangeFacts._fields) | ChangeFacts._field_defaults

_ENDS: Final = {"IncidentMitigated": 1, "IncidentResolved": 2, "IncidentClosed": 3}
_OVER: Final = 4
"""The places of a spell's fields, while it is being told."""


def incident_row(events: Iterable[Any], as_of: datetime, known: dict[str, Any]) -> IncidentFacts:
    """
    Return the row of an incident.

    Args:
        events: What stands of its stream and had happened, in order.
        known: Fields of the row that are known of the stream and not of its events, its id first.
    """
    row: dict[str, Any] = _INCIDENT | known
    status = before = IncidentStatus.NOTHING
    spells: list[list[Any]] = []
    severities: list[Severity] = []
    holds: list[Hold] = []
    verdicts: dict[str, Verdict] = {}
    stated: dict[StatedDuration, int] = {}
    for event in events:
        after: IncidentStatus | None = getattr(event, "status", None)
        match event.__class__.__name__:
            case "IncidentDetected":
                row["services"] = event.services
                row["environment"] = event.environment
                row["labels"] = event.labels
                row["symptom"] = event.symptom
                row["channel"] = event.channel
                row["monitor"] = event.monitor
                row["mode"] = event.mode
                row["imported"] = event.imported
                row["impact_started_at"] = _until(event.impact_started_at, as_of)
                row["detected_at"] = event.at
                row["declared_at"] = _until(event.declared_at, as_of)
                spells = [[event.at, None, None, None, False]]
            case "IncidentResolved" | "IncidentMitigated" | "IncidentClosed" as name:
                spell = _current(spells)
                spell[_ENDS[name]] = event.at
                if name != "IncidentMitigated":
                    spell[_OVER] = True
            case "IncidentAcknowledged":
                if row["acknowledged_at"] is None:
                    row["acknowledged_at"] = event.at
            case "IncidentTriaged":
                row["triaged"] = True
                if row["triaged_at"] is None:
                    row["triaged_at"] = event.at
                row["impact"] = event.impact or row["impact"]
                if event.severity is not None:
                    severities.append(event.severity)
                after = after or TRIAGED_FROM.get(status, status)
            case "SeverityChanged":
                severities.append(event.severity)
            case "VerdictGiven":
                verdicts[event.change] = event.verdict
            case "IncidentReopened":
                if event.began is IncidentStatus.DISMISSED:
                    after = IncidentStatus.TRIAGED if row["triaged"] else IncidentStatus.DETECTED
                if event.relapse:
                    row["relapses"] += 1
                    _current(spells)[_ENDS["IncidentMitigated"]] = None
                elif event.number or (spells and spells[-1][_OVER]):
                    spells.append([event.at, None, None, None, False])
                row["dismissed"] = None
            case "IncidentDeclared":
                if row["declared_at"] is None:
                    row["declared_at"] = event.at
            case "ImpactUpdated":
                row["impact"] = event.impact or row["impact"]
                if row["impact_started_at"] is None:
                    row["impact_started_at"] = _until(event.impact_started_at, as_of)
            case "IncidentHeld":
                _release(holds, event.at)
                holds.append(Hold(held=event.at, released=None, reason=event.reason))
            case "IncidentReleased":
                _release(holds, event.at)
            case "IncidentDismissed":
                row["dismissed"] = event.reason
            case "IncidentMerged":
                before = status
                row["merged_into"] = event.into
            case "IncidentUnmerged":
                after = before
                row["merged_into"] = None
            case "ReviewRecorded":
                row["reviewed"] = event.covers
            case "DurationStated":
                stated[event.what] = event.microseconds
            case _:
                pass  # attempts, and the other side of a merge, change only the status
        if after is not None and after is not status:
            if holds and after in _NOTHING_WAITS:
                _release(holds, event.at)
            status = after
    # Statements hold for every as_of, but nothing can be said of what had not been detected.
    row["status"] = status if spells else IncidentStatus.NOTHING
    row["spells"] = tuple(map(Spell._make, spells))
    if holds:
        row["holds"] = tuple(holds)
    if severities:
        row["severity_first"], row["severity_last"] = severities[0], severities[-1]
        row["severity_highest"] = highest(*severities)
    if verdicts:
        row["verdicts"] = verdicts
    if stated:
        row["stated"] = stated
    return IncidentFacts._make(row.values())


_NOTHING_WAITS: Final = frozenset(IncidentStatus) - OPEN - {IncidentStatus.MERGED}
"""Statuses in which nothing waits any more; after a merge it may go on waiting."""


def _current(spells: list[list[Any]]) -> list[Any]:
    if not spells:
        spells.append([None, None, None, None, False])
    return spells[-1]


def _release(holds: list[Hold], at: Moment | None) -> None:
    if holds and holds[-1].released is None:
        holds[-1] = holds[-1]._replace(released=at)


def merges_followed(
    rows: Mapping[str, IncidentFacts], merged: Iterable[str]
) -> dict[str, IncidentFacts]:
    """
    Return the rows that merges change: each merged one, and the last target of its chain.

    Args:
        merged: The ids of the rows that are merged into another.
    """
    members: dict[str, list[IncidentFacts]] = {}
    changed: dict[str, IncidentFacts] = {}
    for id_ in merged:
        last = _last_target(rows, rows[id_])
        members.setdefault(last, []).append(rows[id_])
        changed[id_] = rows[id_]._replace(merged_into=last)
    for target, theirs in members.items():
        if target not in rows:
            continue  # imported history may name what is not there
        theirs.sort(key=lambda member: member.id)
        verdicts: dict[str, Verdict] = {}
        for member in theirs:
            verdicts.update(member.verdicts)
        row = changed.get(target, rows[target])
        changed[target] = row._replace(
            merged=tuple(member.id for member in theirs),
            verdicts={**verdicts, **row.verdicts},  # its own win
        )
    return changed


def _last_target(rows: Mapping[str, IncidentFacts], row: IncidentFacts) -> str:
    seen = {row.id}
    while row.merged_into is not None:
        target = rows.get(row.merged_into)
        if target is None or target.id in seen:
            return row.merged_into  # imported history may name what is not there, or a circle
        seen.add(target.id)
        row = target
    return row.id


# --- a change -------------------------------------------------------------------------------------


def change_row(events: Iterable[Any], as_of: datetime, known: dict[str, Any]) -> ChangeFacts:
    """Return the row of a change; the arguments are those of `incident_row`."""
    row: dict[str, Any] = _CHANGE | known
    row["imported"] = row["authorisation"] = None  # until an event says it
    status = ChangeStatus.NOTHING
    rollout: list[RolloutStep] = []
    holds: list[Hold] = []
    commits: dict[str, Commit] = {}
    unauthorised: dict[str, None] = {}
    voters: list[str] = []
    stated: dict[StatedDuration, int] = {}
    completed: list[Moment | None] = []
    reached_at: Moment | None = None
    for event in events:
        match event.__class__.__name__:
            case "ChangePlanned":
                row["type"] = event.type
                row["kind"] = event.kind
                row["services"] = event.services
                row["environment"] = event.environment
                row["labels"] = event.labels
                row["risk"] = event.risk
                row["version"] = event.version
                row["window"] = event.window
                row["imported"] = event.imported
                row["unplanned"] = event.unplanned
                row["has_rollback_plan"] = event.has_rollback_plan
                row["has_monitoring_plan"] = event.has_monitoring_plan
                row["has_test_plan"] = event.has_test_plan
                row["requested_by"] = event.requested_by or (None if event.imported else event.by)
                row["incident"] = event.incident
                row["repairs"] = event.repairs
                row["planned_at"] = event.at
                row["authorisation"] = "unknown" if event.imported else "not asked"
            case "ChangeRevised":
                row["kind"] = event.kind
                row["services"] = event.services
                row["risk"] = event.risk
                row["window"] = event.window
                row["incident"] = event.incident
                row["has_rollback_plan"] = event.has_rollback_plan
                row["has_monitoring_plan"] = event.has_monitoring_plan
                row["has_test_plan"] = event.has_test_plan
                row["approved_at"] = None
                row["authorisation"] = _unless(event.imported, row, "not asked")
                voters.clear()
            case "ChangeSubmitted":
                row["submitted_at"] = event.at
                if event.template is not None:
                    word = _unless(event.imported, row, "pre-approved")
                    row["approved_at"], row["authorisation"] = event.at, word
            case "ChangeApproved":
                voters.append(event.by)
                if event.imported:
                    row["approved_at"] = event.at
                elif event.status is ChangeStatus.APPROVED:
                    row["approved_at"], row["authorisation"] = event.at, "approved"
            case "ChangeRejected":
                word = _unless(event.imported, row, "not asked")
                row["approved_at"], row["authorisation"] = None, word
                voters.clear()
            case "ChangeStarted":
                row["started_at"] = event.at
                row["version"] = event.version or row["version"]
                if event.outstanding:
                    row["authorisation"] = "outstanding"
            case "CommitsRecorded":
                commits.update((commit.id, commit) for commit in event.commits)
            case "RolloutAdvanced":
                rollout.append(RolloutStep(at=event.at, percent=event.percent))
                row["reached_production"] = True
            case "ChangeCompleted":
                completed.append(event.at)
                row["ended_at"], row["outcome"] = event.at, Outcome.COMPLETED
                row["reached_production"] = True
                row["version"] = event.version or row["version"]
            case "ChangeFailed":
                row["ended_at"], row["outcome"] = event.at, Outcome.FAILED
                row["reached_production"] = _reached(row, event.reached_production)
                reached_at = _first_of(reached_at, event.at if event.reached_production else None)
            case "RolloutAborted":
                row["ended_at"], row["outcome"] = event.at, Outcome.FAILED
                row["reached_production"] = _reached(row, event.percent > 0)
            case "ChangeRolledBack":
                row["rolled_back_at"] = row["ended_at"] = event.at
                row["outcome"] = Outcome.ROLLED_BACK
                row["reached_production"] = _reached(row, event.reached_production)
                reached_at = _first_of(reached_at, event.at if event.reached_production else None)
            case "ChangeRecovered":
                row["recovered_at"] = _first_of(row["recovered_at"], event.at)
            case "ChangeValidated":
                row["validated_at"] = event.at if event.status is ChangeStatus.VALIDATED else None
            case "ChangeClosed":
                row["closed_at"], row["result"] = event.at, event.result
            case "ChangeCancelled":
                row["closed_at"] = event.at
            case "ChangeApprovedRetroactively":
                row["authorisation"] = "approved afterwards"
            case "RetroactiveApprovalRefused":
                row["authorisation"] = "refused afterwards"
            case "ChangeObserved":
                _observed(row, event)
                completed.append(event.at)
            case "ChangeScheduled":
                row["window"] = event.window
            case "ChangeHeld":
                _release(holds, event.at)
                holds.append(Hold(held=event.at, released=None, reason=event.reason))
            case "ChangeReleased":
                _release(holds, event.at)
            case "DurationStated":
                stated[event.what] = event.microseconds
            case _:
                pass  # a pause changes no row
        said_no = getattr(event, "unauthorised", "")
        if said_no:
            unauthorised[said_no] = None
        status = getattr(event, "status", None) or status
    first_share = next((step.at for step in rollout if step.percent > 0), None)
    known_completion = next((at for at in completed if at is not None), None)
    row["status"] = status
    row["imported"] = bool(row["imported"])
    row["authorisation"] = row["authorisation"] or "not asked"
    row["deployed_at"] = _first_of(known_completion, _first_of(first_share, reached_at))
    row["approved_by"] = tuple(voters)
    for name, several in (("rollout", rollout), ("holds", holds), ("unauthorised", unauthorised)):
        if several:
            row[name] = tuple(several)
    if commits:
        row["commits"] = tuple(commits.values())
    if stated:
        row["stated"] = stated
    return ChangeFacts._make(row.values())


def _first_of(one: Moment | None, other: Moment | None) -> Moment | None:
    return other if one is None else one


def _unless(imported: bool, row: Mapping[str, Any], word: str) -> str:
    """Return the authorisation after an event; imported history says nothing about it."""
    return str(row["authorisation"] or "unknown") if imported else word


def _reached(row: Mapping[str, Any], said: bool | None) -> bool | None:
    """What once reached production has reached it, whatever a later event says of itself."""
    return True if row["reached_production"] else said


def _observed(row: dict[str, Any], event: Any) -> None:
    row["type"] = event.type
    row["kind"] = row["kind"] or event.kind
    row["services"] = row["services"] or event.services
    row["environment"] = row["environment"] or event.environment
    row["labels"] = row["labels"] or event.labels
    row["version"] = event.version or row["version"]
    row["imported"] = event.imported if row["imported"] is None else row["imported"]
    row["ended_at"] = event.at
    row["outcome"] = Outcome.COMPLETED
    row["reached_production"] = True
    row["authorisation"] = "unknown" if event.imported else "outstanding"
