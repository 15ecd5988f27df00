"""
Facts: one frozen row for each incident and each change, the table every figure is computed from.

A row says what stands: corrections and voids applied, cut at `as_of` in world time and at
`known_at` in the order of knowledge, merges followed to their last target. Words (titles, notes)
are no facts and are not in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import attrs

from imcm.domain import change as changes
from imcm.domain import incident as incidents
from imcm.domain.change import ChangeStatus
from imcm.domain.corrections import (
    CORRECTIONS,
    EDITS,
    DurationStated,
    MomentCorrected,
    WordsRedacted,
    standing,
)
from imcm.domain.incident import IncidentStatus
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, Unread, known
from imcm.domain.vocabulary import (
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
    latest,
    midpoint,
)
from imcm.errors import NaiveTimeError

# --- rows -----------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Spell:
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


@attrs.frozen(kw_only=True)
class Hold:
    """One wait for somebody else; *released* is None while it lasts."""

    held: Moment | None
    released: Moment | None
    reason: HoldReason


@attrs.frozen(kw_only=True)
class IncidentFacts:
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
    labels: Mapping[str, str] = attrs.field(factory=dict[str, str])
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
    verdicts: Mapping[str, Verdict] = attrs.field(factory=dict[str, Verdict])
    merged_into: str | None = None
    merged: tuple[str, ...] = ()
    dismissed: DismissalReason | None = None
    stated: Mapping[StatedDuration, int] = attrs.field(factory=dict[StatedDuration, int])
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


@attrs.frozen(kw_only=True)
class RolloutStep:
    """One step of a rollout: the share of users from then on."""

    at: Moment | None
    percent: float


@attrs.frozen(kw_only=True)
class ChangeFacts:
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
    labels: Mapping[str, str] = attrs.field(factory=dict[str, str])
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
    stated: Mapping[StatedDuration, int] = attrs.field(factory=dict[StatedDuration, int])
    late: tuple[int, ...] = ()
    source_clock_back: bool = False
    sources_disagree: bool = False
    positions: tuple[int, ...] = ()


T = TypeVar("T")

KEPT: Final = 16


@attrs.frozen(kw_only=True)
class Facts:
    """
    All rows, with what they were made from.

    Attributes:
        incidents, changes: Sorted by id.
        as_of: World facts later than this are not in the rows.
        known_at: What was asked for: a position, a time, or None for the whole log.
        log_position: Position of the last event read; 0 for an empty log.
        events: How many events were read.
        unread: Type name to count of events this version can't read.
        clock_back: Positions at which the ledger's own stamps went back.
        gaps: Positions at which an incident's or a change's version is not the one that follows
            the version before it in the log read: a number is missing, or comes again.
        unfounded: Positions of corrections and voids whose target is not in the log read.
    """

    incidents: tuple[IncidentFacts, ...] = ()
    changes: tuple[ChangeFacts, ...] = ()
    as_of: datetime | None = None
    known_at: int | datetime | None = None
    log_position: int = 0
    events: int = 0
    unread: Mapping[str, int] = attrs.field(factory=dict[str, int])
    clock_back: tuple[int, ...] = ()
    gaps: tuple[int, ...] = ()
    unfounded: tuple[int, ...] = ()
    _kept: dict[Hashable, Any] = attrs.field(
        init=False, factory=dict[Hashable, Any], eq=False, repr=False
    )

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """
        Return what *make* gives, made once: figures of one report share what they are made of.

        Only the last few things are kept. What is kept must never be changed.
        """
        kept = self._kept
        if key not in kept:
            while len(kept) >= KEPT:
                kept.pop(next(iter(kept)), None)
            kept[key] = make()
        found: T = kept[key]
        return found


# --- the fold -------------------------------------------------------------------------------------

_NO_FACTS: Final = (
    incidents.UpdatePosted,
    incidents.RoleAssigned,
    incidents.RoleReleased,
    incidents.ProblemLinked,
    incidents.AttemptConcluded,
    incidents.ActionAdded,
    incidents.ActionCompleted,
    incidents.ActionDropped,
    changes.RolloutPaused,
    WordsRedacted,
)
"""Events no row needs. Leaving them out keeps memory at the facts, however long a log is."""

_STATEMENTS: Final = (
    incidents.VerdictGiven,
    incidents.IncidentDismissed,
    incidents.IncidentMerged,
    incidents.IncidentUnmerged,
    incidents.IncidentAbsorbed,
    incidents.IncidentSeparated,
    incidents.ReviewRecorded,
    DurationStated,
)
"""Statements about the world: they have no place in world time, so `as_of` does not cut them."""


_MORE_MOMENTS: Final = frozenset({incidents.IncidentDetected, incidents.ImpactUpdated})
_MOMENTS: Final = ("impact_started_at", "declared_at")


def _after(moment: Moment | None, stamp: datetime) -> bool:
    """Say whether a moment may lie after the time it was recorded."""
    return moment is not None and latest(moment) > stamp


class _Stream:
    """What was recorded of one incident or change, as far as rows need it."""

    __slots__ = (
        "clock_back",
        "disagree",
        "edits",
        "events",
        "id",
        "kind",
        "last",
        "late",
        "positions",
        "seen",
        "source",
        "stamp",
    )

    def __init__(self, stream: str) -> None:
        self.kind, _, self.id = stream.partition(":")
        self.events: dict[int, Any] = {}
        self.edits: list[tuple[int, Any]] = []
        self.seen = 0
        self.last = 0
        self.positions: list[int] = []
        self.late: tuple[int, ...] = ()
        self.source: str | None = None
        self.stamp: datetime | None = None
        self.clock_back = False
        self.disagree = False


class FactsFold:
    """
    Takes recorded events one by one, in log order, and gives the rows at any time.

    The same fold serves a replay and a follower: `facts` is this with the whole log added.
    """

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self._unread: dict[str, int] = {}
        self._position = 0
        self._events = 0
        self._newest: datetime | None = None
        self._last: datetime | None = None
        self._clock_back: list[int] = []
        self._gaps: list[int] = []

    def add(self, recorded: Recorded) -> None:
        """Take one more event."""
        name, version, position, stamp, _, source, event, _ = recorded
        self._position = position
        self._events += 1
        if self._newest is None or self._newest < stamp:
            self._newest = stamp
        if self._last is not None and stamp < self._last:
            self._clock_back.append(position)
        self._last = stamp
        stream = self._streams.get(name)
        if stream is None:
            kind = name.partition(":")[0]
            if kind not in {INCIDENT, CHANGE}:
                return  # the ledger's own rows
            stream = self._streams[name] = _Stream(name)
        if version != stream.last + 1:
            self._gaps.append(position)
        stream.last = version
        if isinstance(event, Unread):
            self._unread[event.type] = self._unread.get(event.type, 0) + 1
            return
        if source is not None:
            self._note_source(stream, event, source.name, source.recorded_at)
        if isinstance(event, EDITS):
            if isinstance(event, MomentCorrected) and _after(event.now, stamp):
                stream.late = (*stream.late, version)
            stream.edits.append((position, event))
            stream.positions.append(position)
            return
        stream.seen |= 1 << version
        if isinstance(event, _NO_FACTS) and not getattr(event, "unauthorised", ""):
            return
        stream.events[version] = event
        if _after(getattr(event, "at", None), stamp) or (
            event.__class__ in _MORE_MOMENTS
            and any(_after(getattr(event, name, None), stamp) for name in _MOMENTS)
        ):
            stream.late = (*stream.late, version)
        stream.positions.append(position)

    @staticmethod
    def _note_source(
        stream: _Stream, event: object, name: str, recorded_at: datetime | None
    ) -> None:
        if stream.source is None:
            stream.source = name
        elif stream.source != name and isinstance(event, CORRECTIONS):
            stream.disagree = True
        if recorded_at is not None:
            if stream.stamp is not None and recorded_at < stream.stamp:
                stream.clock_back = True
            stream.stamp = recorded_at

    def facts(
        self, *, as_of: datetime | None = None, known_at: int | datetime | None = None
    ) -> Facts:
        """
        Return the rows of everything added so far.

        Args:
            as_of: See `Facts`; None means the newest stamp among the events added.
            known_at: Kept in the result; whoever adds events decides where to stop.
        """
        if as_of is not None and as_of.utcoffset() is None:
            raise NaiveTimeError("as_of", as_of)
        cut = self._newest if as_of is None else as_of
        incident_rows: dict[str, IncidentFacts] = {}
        change_rows: dict[str, ChangeFacts] = {}
        if cut is not None:
            for stream in self._streams.values():
                if stream.kind == INCIDENT:
                    incident_rows[stream.id] = _incident_row(stream, cut)
                else:
                    change_rows[stream.id] = _change_row(stream, cut)
        return Facts(
            incidents=tuple(_merges_followed(incident_rows)),
            changes=tuple(change_rows[id_] for id_ in sorted(change_rows)),
            as_of=cut,
            known_at=known_at,
            log_position=self._position,
            events=self._events,
            unread=dict(sorted(self._unread.items())),
            clock_back=tuple(self._clock_back),
            gaps=tuple(self._gaps),
            unfounded=tuple(sorted(self._unfounded())),
        )

    def _unfounded(self) -> Iterator[int]:
        for stream in self._streams.values():
            for position, edit in stream.edits:
                if edit.version < 1 or not stream.seen >> edit.version & 1:
                    yield position


def facts(
    log: Iterable[Recorded],
    *,
    as_of: datetime | None = None,
    known_at: int | datetime | None = None,
) -> Facts:
    """
    Return one row per incident and per change, as they stand.

    Args:
        log: Recorded events in log order: a ledger's `replay()`, or any list of them.
        as_of: World facts (moments and steps) later than this are cut, by their time as
            corrected; that instant itself is in. Statements (corrections, voids, verdicts,
            dismissals, merges, reviews) always hold once recorded. Default: the newest stamp
            in the part of the log that was known.
        known_at: A position, or a time T for the longest prefix in which nothing was recorded
            after T. Default: the whole log.

    Raises:
        NaiveTimeError: A time without a zone.
    """
    fold = FactsFold()
    add = fold.add
    for recorded in known(log, known_at):
        add(recorded)
    return fold.facts(as_of=as_of, known_at=known_at)


# --- making a row ---------------------------------------------------------------------------------


def _stands(stream: _Stream, as_of: datetime) -> Iterator[tuple[int, Any]]:
    """Yield (version, event) of what stands of a stream and had happened at *as_of*."""
    events = stream.events
    if stream.edits:
        events = standing(events, [edit for _, edit in stream.edits])
    for version, event in events.items():
        at = event.at
        if at is None or midpoint(at) <= as_of or is_statement(event):
            yield version, event


def is_statement(event: object) -> bool:
    """Say whether an event is a statement about the world, which `as_of` does not cut."""
    if isinstance(event, incidents.IncidentReopened):
        return event.began is IncidentStatus.DISMISSED  # it takes a statement back
    return isinstance(event, _STATEMENTS)


def _until(moment: Moment | None, as_of: datetime) -> Moment | None:
    return None if moment is None or midpoint(moment) > as_of else moment


def _first_of(one: Moment | None, other: Moment | None) -> Moment | None:
    return other if one is None else one


def _incident_row(stream: _Stream, as_of: datetime) -> IncidentFacts:
    row: dict[str, Any] = {"id": stream.id}
    status = before = IncidentStatus.NOTHING
    spells: list[Spell] = []
    severities: list[Severity] = []
    holds: list[Hold] = []
    verdicts: dict[str, Verdict] = {}
    stated: dict[StatedDuration, int] = {}
    for _, event in _stands(stream, as_of):
        match event:
            case incidents.IncidentDetected():
                row.update(
                    services=event.services,
                    environment=event.environment,
                    labels=event.labels,
                    symptom=event.symptom,
                    channel=event.channel,
                    monitor=event.monitor,
                    mode=event.mode,
                    imported=event.imported,
                    impact_started_at=_until(event.impact_started_at, as_of),
                    detected_at=event.at,
                    declared_at=_until(event.declared_at, as_of),
                )
                spells = [Spell(started=event.at)]
            case incidents.IncidentAcknowledged():
                row["acknowledged_at"] = _first_of(row.get("acknowledged_at"), event.at)
            case incidents.IncidentTriaged():
                row["triaged"] = True
                row["triaged_at"] = _first_of(row.get("triaged_at"), event.at)
                row["impact"] = event.impact or row.get("impact")
                if event.severity is not None:
                    severities.append(event.severity)
            case incidents.SeverityChanged():
                severities.append(event.severity)
            case incidents.IncidentMitigated():
                spells[-1:] = [attrs.evolve(_current(spells), mitigated=event.at)]
            case incidents.IncidentResolved():
                spells[-1:] = [attrs.evolve(_current(spells), resolved=event.at, over=True)]
            case incidents.IncidentClosed():
                spells[-1:] = [attrs.evolve(_current(spells), closed=event.at, over=True)]
            case incidents.IncidentReopened():
                if event.relapse:
                    row["relapses"] = row.get("relapses", 0) + 1
                    spells[-1:] = [attrs.evolve(_current(spells), mitigated=None)]
                elif event.number or _current(spells).over:
                    spells.append(Spell(started=event.at))
                row["dismissed"] = None
            case incidents.IncidentDeclared():
                row["declared_at"] = _first_of(row.get("declared_at"), event.at)
            case incidents.ImpactUpdated():
                started = _until(event.impact_started_at, as_of)
                row["impact"] = event.impact or row.get("impact")
                row["impact_started_at"] = _first_of(row.get("impact_started_at"), started)
            case incidents.VerdictGiven():
                verdicts[event.change] = event.verdict
            case incidents.IncidentHeld():
                _release(holds, event.at)
                holds.append(Hold(held=event.at, released=None, reason=event.reason))
            case incidents.IncidentReleased():
                _release(holds, event.at)
            case incidents.IncidentDismissed():
                row["dismissed"] = event.reason
            case incidents.IncidentMerged():
                before = status
                row["merged_into"] = event.into
            case incidents.IncidentUnmerged():
                row["merged_into"] = None
            case incidents.ReviewRecorded():
                row["reviewed"] = event.covers
            case DurationStated():
                stated[event.what] = event.microseconds
            case _:
                pass  # attempts, and the other side of a merge, change only the status
        after = _incident_status(event, status, before, triaged=row.get("triaged", False))
        if after is not status and after in _OVER:
            _release(holds, event.at)
        status = after
    # Statements hold for every as_of, but nothing can be said of what had not been detected.
    row["status"] = status if spells else IncidentStatus.NOTHING
    return IncidentFacts(
        **row,
        spells=tuple(spells),
        holds=tuple(holds),
        severity_first=severities[0] if severities else None,
        severity_last=severities[-1] if severities else None,
        severity_highest=highest(*severities),
        verdicts=verdicts,
        stated=stated,
        late=stream.late,
        source_clock_back=stream.clock_back,
        sources_disagree=stream.disagree,
        positions=tuple(stream.positions),
    )


_OVER: Final = frozenset(IncidentStatus) - incidents.OPEN - {IncidentStatus.MERGED}
"""Statuses in which nothing waits any more; after a merge it may go on waiting."""


def _incident_status(
    event: object, status: IncidentStatus, before: IncidentStatus, *, triaged: bool
) -> IncidentStatus:
    """Return the status after an event, told anew where what it was decided on is cut off."""
    if isinstance(event, incidents.IncidentUnmerged):
        return before
    if isinstance(event, incidents.IncidentReopened) and event.began is IncidentStatus.DISMISSED:
        return IncidentStatus.TRIAGED if triaged else IncidentStatus.DETECTED
    if isinstance(event, incidents.IncidentTriaged):
        return event.status or incidents.TRIAGED_FROM.get(status, status)
    return getattr(event, "status", None) or status


def _current(spells: list[Spell]) -> Spell:
    return spells[-1] if spells else Spell()


def _release(holds: list[Hold], at: Moment | None) -> None:
    if holds and holds[-1].released is None:
        holds[-1] = attrs.evolve(holds[-1], released=at)


def _merges_followed(rows: Mapping[str, IncidentFacts]) -> Iterator[IncidentFacts]:
    """Yield the rows sorted by id, merges followed to the last target of each chain."""
    members: dict[str, list[IncidentFacts]] = {}
    last: dict[str, str] = {}
    for row in rows.values():
        if row.merged_into is not None:
            last[row.id] = _last_target(rows, row)
            members.setdefault(last[row.id], []).append(row)
    for id_ in sorted(rows):
        row = rows[id_]
        if id_ in last:
            row = attrs.evolve(row, merged_into=last[id_])
        merged = sorted(members.get(id_, ()), key=lambda member: member.id)
        if merged:
            verdicts: dict[str, Verdict] = {}
            for member in merged:
                verdicts.update(member.verdicts)
            row = attrs.evolve(
                row,
                merged=tuple(member.id for member in merged),
                verdicts={**verdicts, **row.verdicts},  # its own win
            )
        yield row


def _last_target(rows: Mapping[str, IncidentFacts], row: IncidentFacts) -> str:
    seen = {row.id}
    while row.merged_into is not None:
        target = rows.get(row.merged_into)
        if target is None or target.id in seen:
            return row.merged_into  # imported history may name what is not there, or a circle
        seen.add(target.id)
        row = target
    return row.id


def _change_row(stream: _Stream, as_of: datetime) -> ChangeFacts:
    row: dict[str, Any] = {"id": stream.id}
    status = ChangeStatus.NOTHING
    rollout: list[RolloutStep] = []
    holds: list[Hold] = []
    commits: dict[str, Commit] = {}
    unauthorised: dict[str, None] = {}
    voters: list[str] = []
    stated: dict[StatedDuration, int] = {}
    completed: list[Moment | None] = []
    reached_at: Moment | None = None
    for _, event in _stands(stream, as_of):
        match event:
            case changes.ChangePlanned():
                row.update(
                    type=event.type,
                    kind=event.kind,
                    services=event.services,
                    environment=event.environment,
                    labels=event.labels,
                    risk=event.risk,
                    version=event.version,
                    window=event.window,
                    imported=event.imported,
                    unplanned=event.unplanned,
                    has_rollback_plan=event.has_rollback_plan,
                    has_monitoring_plan=event.has_monitoring_plan,
                    has_test_plan=event.has_test_plan,
                    requested_by=event.requested_by or (None if event.imported else event.by),
                    incident=event.incident,
                    repairs=event.repairs,
                    planned_at=event.at,
                    authorisation="unknown" if event.imported else "not asked",
                )
            case changes.ChangeRevised():
                row.update(
                    kind=event.kind,
                    services=event.services,
                    risk=event.risk,
                    window=event.window,
                    incident=event.incident,
                    has_rollback_plan=event.has_rollback_plan,
                    has_monitoring_plan=event.has_monitoring_plan,
                    has_test_plan=event.has_test_plan,
                    approved_at=None,
                    authorisation=_unless(event.imported, row, "not asked"),
                )
                voters.clear()
            case changes.ChangeSubmitted():
                row["submitted_at"] = event.at
                if event.template is not None:
                    word = _unless(event.imported, row, "pre-approved")
                    row.update(approved_at=event.at, authorisation=word)
            case changes.ChangeApproved():
                voters.append(event.by)
                if event.imported:
                    row["approved_at"] = event.at
                elif event.status is ChangeStatus.APPROVED:
                    row.update(approved_at=event.at, authorisation="approved")
            case changes.ChangeRejected():
                word = _unless(event.imported, row, "not asked")
                row.update(approved_at=None, authorisation=word)
                voters.clear()
            case changes.ChangeStarted():
                row["started_at"] = event.at
                row["version"] = event.version or row.get("version")
                if event.outstanding:
                    row["authorisation"] = "outstanding"
            case changes.CommitsRecorded():
                commits.update((commit.id, commit) for commit in event.commits)
            case changes.RolloutAdvanced():
                rollout.append(RolloutStep(at=event.at, percent=event.percent))
                row["reached_production"] = True
            case changes.ChangeCompleted():
                completed.append(event.at)
                row.update(ended_at=event.at, outcome=Outcome.COMPLETED, reached_production=True)
                row["version"] = event.version or row.get("version")
            case changes.ChangeFailed():
                row.update(ended_at=event.at, outcome=Outcome.FAILED)
                row["reached_production"] = _reached(row, event.reached_production)
                reached_at = _first_of(reached_at, event.at if event.reached_production else None)
            case changes.RolloutAborted():
                row.update(ended_at=event.at, outcome=Outcome.FAILED)
                row["reached_production"] = _reached(row, event.percent > 0)
            case changes.ChangeRolledBack():
                row.update(rolled_back_at=event.at, ended_at=event.at, outcome=Outcome.ROLLED_BACK)
                row["reached_production"] = _reached(row, event.reached_production)
                reached_at = _first_of(reached_at, event.at if event.reached_production else None)
            case changes.ChangeRecovered():
                row["recovered_at"] = _first_of(row.get("recovered_at"), event.at)
            case changes.ChangeValidated():
                row["validated_at"] = event.at if event.status is ChangeStatus.VALIDATED else None
            case changes.ChangeClosed():
                row.update(closed_at=event.at, result=event.result)
            case changes.ChangeCancelled():
                row["closed_at"] = event.at
            case changes.ChangeApprovedRetroactively():
                row["authorisation"] = "approved afterwards"
            case changes.RetroactiveApprovalRefused():
                row["authorisation"] = "refused afterwards"
            case changes.ChangeObserved():
                _observed(row, event)
                completed.append(event.at)
            case changes.ChangeScheduled():
                row["window"] = event.window
            case changes.ChangeHeld():
                _release(holds, event.at)
                holds.append(Hold(held=event.at, released=None, reason=event.reason))
            case changes.ChangeReleased():
                _release(holds, event.at)
            case DurationStated():
                stated[event.what] = event.microseconds
            case _:
                pass  # a pause changes no row
        said_no = getattr(event, "unauthorised", "")
        if said_no:
            unauthorised[said_no] = None
        status = getattr(event, "status", None) or status
    first_share = next((step.at for step in rollout if step.percent > 0), None)
    known_completion = next((at for at in completed if at is not None), None)
    return ChangeFacts(
        **row,
        status=status,
        deployed_at=_first_of(known_completion, _first_of(first_share, reached_at)),
        rollout=tuple(rollout),
        holds=tuple(holds),
        commits=tuple(commits.values()),
        unauthorised=tuple(unauthorised),
        approved_by=tuple(voters),
        stated=stated,
        late=stream.late,
        source_clock_back=stream.clock_back,
        sources_disagree=stream.disagree,
        positions=tuple(stream.positions),
    )


def _unless(imported: bool, row: Mapping[str, Any], word: str) -> str:
    """Return the authorisation after an event; imported history says nothing about it."""
    return str(row.get("authorisation", "unknown")) if imported else word


def _reached(row: Mapping[str, Any], said: bool | None) -> bool | None:
    """What once reached production has reached it, whatever a later event says of itself."""
    return True if row.get("reached_production") else said


def _observed(row: dict[str, Any], event: changes.ChangeObserved) -> None:
    row.update(
        type=event.type,
        kind=row.get("kind") or event.kind,
        services=row.get("services") or event.services,
        environment=row.get("environment") or event.environment,
        labels=row.get("labels") or event.labels,
        version=event.version or row.get("version"),
        imported=row.get("imported", event.imported),
        ended_at=event.at,
        outcome=Outcome.COMPLETED,
        reached_production=True,
        authorisation="unknown" if event.imported else "outstanding",
    )
