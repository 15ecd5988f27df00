"""
Rows: what stands of one incident or one change.

How events are applied to them stands in `incident_rows` and `change_rows`. Events are told apart by
their type names, which are the storage format. So a row can be made of the events themselves, or of
the leaner form in which the codec gives them where only facts count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from imcm.documents.shown import checked_most, html_of
from imcm.domain.change_events import ChangeStatus
from imcm.domain.corrections import replaced
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.vocabulary import (
    NOTHING_TOLD,
    Between,
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
    Relation,
    Result,
    Risk,
    Severity,
    StatedDuration,
    Symptom,
    Verdict,
    Window,
    earliest,
    latest,
    midpoint,
)
from imcm.plain import quoted
from imcm.projections.facts.edits import Edit

if TYPE_CHECKING:
    from imcm.documents.structure import Document

T = TypeVar("T")

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
    """One wait for somebody else, from *held* on; *released* is None while it lasts."""

    held: Moment | None
    released: Moment | None
    reason: HoldReason


class IncidentFacts(NamedTuple):
    """
    What stands of one incident; where others are merged into it, of all of them as one.

    Attributes:
        id: Its id; *services*, *environment*, *labels* as recorded or corrected.
        status: Where it stands at `as_of`; NOTHING where its detection was voided or lies later.
        spells: The stretches it was open, in order; more than one after reopenings, and where
            merged incidents were open at times that do not meet.
        severity_first, severity_last, severity_highest: Of those that stand.
        severity_first_name, severity_last_name, severity_highest_name: What the team's own scale
            called them, None without one. Several names may have one rank: that of the highest is
            the one last said.
        verdicts: Change id to the last verdict on it, those of merged incidents included.
        merged_into: The last target of its chain of merges; *merged* are those merged into it.
        related: What it is to other incidents, by their ids; *parent* is the one that it is a child
            of.
        milestones: Of the team's own milestones, when each was reached, as often as it was, in
            order of time; last those of which nobody knows when.
        cause_tags: Those of all its reviews, each once.
        before_merge: The status it had when it was merged; None where it is not merged.
        members: Where others are merged into it: each of them by itself, as it stands within the
            whole, this one first (`merges`). Empty of all others.
        stated: Durations the source itself gave, in microseconds.
        reviewed: How many of its resolutions a review covers.
        withdrawn: Its source has it no more: it is in no figure.
        edits: Corrections and voids that were recorded live, in log order.
        late: Versions of events whose moment lies after the time they were recorded.
        source_clock_back: What its first source says stands in the log out of the order of that
            source's own stamps: it came late, or its clock went back.
        sources_disagree: A second source gave another value than the first.
        positions: Log positions of the events this row was made from.
        symptom, channel, monitor, mode, impact: As recorded or corrected; the last said.
        imported: Whether it is history from elsewhere.
        impact_started_at, detected_at, declared_at, acknowledged_at, triaged_at: When each was
            first so; None where nobody knows, or it was not.
        triaged: Whether it was, at whatever time.
        relapses: How many times it was reopened after mitigation.
        holds: Its waits for somebody else, in order.
        dismissed: Why it was no incident; None where it was one.
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
    severity_first_name: str | None = None
    severity_last_name: str | None = None
    severity_highest_name: str | None = None
    impact: Impact | None = None
    verdicts: Mapping[str, Verdict] = NOTHING_TOLD
    merged_into: str | None = None
    before_merge: IncidentStatus | None = None
    merged: tuple[str, ...] = ()
    related: Mapping[str, Relation] = NOTHING_TOLD
    parent: str | None = None
    milestones: Mapping[str, tuple[Moment | None, ...]] = NOTHING_TOLD
    cause_tags: tuple[str, ...] = ()
    members: tuple[IncidentFacts, ...] = ()
    dismissed: DismissalReason | None = None
    stated: Mapping[StatedDuration, int] = NOTHING_TOLD
    reviewed: int = 0
    withdrawn: bool = False
    edits: tuple[Edit, ...] = ()
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
    def alone(self) -> IncidentFacts:
        """What stands of it by itself, whatever is merged into it."""
        return self.members[0] if self.members else self

    @property
    def reopenings(self) -> int:
        """How many times it was reopened after it was over."""
        return max(0, len(self.spells) - 1)

    def __repr__(self) -> str:
        """Return what stands of it in one line."""
        return row_line("incident", self)

    def document(self, *, most: int | None = None) -> Document:
        """Return what stands of it as a document; see `imcm.documents`."""
        checked_most(most)  # of fields there are few
        from imcm.documents.fields import fields_document

        return fields_document(repr(self), self, leave_out=_FOR_MACHINES)

    def _repr_html_(self) -> str:
        """Return what stands of it for a notebook, every text escaped."""
        return html_of(self)


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
            "outstanding" (something of it still waits for a ruling), "not asked"
            (never got that far), or "unknown" for imported history.
        unauthorised: Guards that would have said no to what was told, each once.
        outcome: How the work ended; *result* is what the close said.
        edits: As with incidents.
        backdated: Versions of starts, completions and observations told to have happened in the
            window that stood, and recorded after it, more than an hour later.
        positions: Log positions of the events this row was made from.
        id, status: Its id; where it stands at `as_of`.
        type, kind, services, environment, labels, risk, window, incident, repairs: As planned,
            revised and corrected; *window* is the scheduled one, where it was scheduled.
        version: What it brings in, the last said.
        imported: Whether it is history from elsewhere.
        unplanned: Whether a source says that this was no planned work.
        withdrawn: Its source has it no more: it is in no figure.
        has_rollback_plan, has_monitoring_plan, has_test_plan: Whether there is one.
        requested_by, approved_by: Ids of who asked for it, and of those who approved its content
            before it went in.
        planned_at, submitted_at, approved_at, started_at, ended_at, rolled_back_at, recovered_at,
            validated_at, closed_at: When each was so; None where nobody knows, or it was not.
        rollout: The steps of its rollout, in order.
        holds: Its waits for somebody else, in order.
        commits: Those it brings, each once.
        stated, late, source_clock_back, sources_disagree: As with incidents.
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
    withdrawn: bool = False
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
    edits: tuple[Edit, ...] = ()
    late: tuple[int, ...] = ()
    backdated: tuple[int, ...] = ()
    source_clock_back: bool = False
    sources_disagree: bool = False
    positions: tuple[int, ...] = ()

    def __repr__(self) -> str:
        """Return what stands of it in one line."""
        return row_line("change", self)

    def document(self, *, most: int | None = None) -> Document:
        """Return what stands of it as a document; see `imcm.documents`."""
        checked_most(most)  # of fields there are few
        from imcm.documents.fields import fields_document

        return fields_document(repr(self), self, leave_out=_FOR_MACHINES)

    def _repr_html_(self) -> str:
        """Return what stands of it for a notebook, every text escaped."""
        return html_of(self)


_FOR_MACHINES: Final = ("positions", "members", "edits")


def row_line(kind: str, row: IncidentFacts | ChangeFacts) -> str:
    """Return what stands of an incident or a change in one line, as its repr."""
    parts = [row.status.value]
    if isinstance(row, IncidentFacts) and row.severity_last is not None:
        parts.append(row.severity_last.value)
    if row.services:
        parts.append(f"on {', '.join(map(quoted, row.services))}")
    return f"<{kind} {quoted(row.id)} {', '.join(parts)}; {len(row.positions):,} events>"


# --- what stands ----------------------------------------------------------------------------------

_STATEMENTS: Final = frozenset(
    {
        "VerdictGiven",
        "IncidentDismissed",
        "IncidentMerged",
        "IncidentUnmerged",
        "IncidentAbsorbed",
        "IncidentSeparated",
        "SeverityInherited",
        "ReviewRecorded",
        "DurationStated",
        "IncidentDescribed",
        "ReferenceAdded",
        "SourceSaid",
        "SourceWithdrew",
        "SourceReinstated",
        "IncidentRelated",
        "IncidentUnrelated",
        "ContentCorrectedAfterApproval",
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


MORE_MOMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "IncidentDetected": ("impact_started_at", "declared_at"),
    "ImpactUpdated": ("impact_started_at",),
}
"""Moments that an event tells besides its own, which `as_of` cuts, too."""


def happened(events: Iterable[Any], as_of: datetime) -> Iterator[Any]:
    """Yield those of a stream's events that had happened at *as_of*, without later moments."""
    for event in events:
        at = event.at
        if at is None or midpoint(at) <= as_of or is_statement(event):
            later = {
                name: None
                for name in MORE_MOMENTS.get(event.__class__.__name__, ())
                if (moment := getattr(event, name)) is not None and midpoint(moment) > as_of
            }
            yield replaced(event, **later) if later else event


@lru_cache(maxsize=1024)
def interned(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names as they were first given: of services and people there are few, of rows many."""
    return names


def in_order_of_time(moments: Sequence[Moment | None]) -> tuple[Moment | None, ...]:
    """
    Return when something had come once, twice, and so on: the moments given, in order of time.

    Where uncertain ones overlap, which of them came first is not known: the first lies between the
    first that any of them can have been and the first by which one of them must have been. Those
    of which nobody knows when come last.
    """
    known = [moment for moment in moments if moment is not None]
    ends = zip(sorted(map(earliest, known)), sorted(map(latest, known)), strict=True)
    nobody_knows = (None for moment in moments if moment is None)
    return (
        *(low if low == high else Between(earliest=low, latest=high) for low, high in ends),
        *nobody_knows,
    )


# --- what grows -----------------------------------------------------------------------------------
# A row in progress holds what grows (spells, waits, rollout steps) as a tuple, which a row may hold
# as well, or as a list of its own. It becomes a list when something is put into it, so that the
# next event finds one and copies nothing; a row made of it gets a tuple.


def owned(values: Sequence[T]) -> list[T]:
    """Return what grows in a row in progress as a list of its own, to be put into."""
    return values if isinstance(values, list) else list(values)


def with_hold(holds: Sequence[Hold], event: Any) -> list[Hold]:
    """Return waits with the one that an event begins; the one before it is over."""
    own = owned(with_release(holds, event.at))
    own.append(Hold(held=event.at, released=None, reason=event.reason))
    return own


def with_release(holds: Sequence[Hold], at: Moment | None) -> Sequence[Hold]:
    """Return waits of which the last ended at that moment, where it had not ended before."""
    if not holds or holds[-1].released is not None:
        return holds
    own = owned(holds)
    own[-1] = holds[-1]._replace(released=at)
    return own
