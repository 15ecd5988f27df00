"""
The row of an incident in progress, to which its events are applied one by one.

What grows with the events (positions, spells, waits, verdicts) is put into values of its own, which
are copied when a row is made, so a row stays as it was; other values are never changed in place.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Self, TypeVar, cast

from imcm.domain.incident import OPEN, TRIAGED_FROM
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.vocabulary import (
    NOTHING_TOLD,
    Channel,
    DismissalReason,
    Impact,
    Mode,
    Moment,
    Relation,
    Severity,
    StatedDuration,
    Symptom,
    Verdict,
    highest,
)
from imcm.projections.facts.edits import Edit
from imcm.projections.facts.rows import (
    Hold,
    IncidentFacts,
    Spell,
    in_order_of_time,
    interned,
    owned,
    with_hold,
    with_release,
)

K = TypeVar("K")
V = TypeVar("V")

# Members of an enum are looked up slowly, and these are needed for each incident.
_NOTHING: Final = IncidentStatus.NOTHING
_REAL: Final = Mode.REAL

# What `_make` does but for counting the fields, in a third of the time.
_new: Final = cast("Any", tuple).__new__
_spell: Final[Callable[[tuple[Any, ...]], Spell]] = partial(_new, Spell)
_facts: Final[Callable[[tuple[Any, ...]], IncidentFacts]] = partial(_new, IncidentFacts)

Carried = tuple[()]
"""What an incident in progress carries besides its row: nothing."""


class IncidentSoFar:
    """The row of an incident in progress: its fields as the events applied so far leave them."""

    # Slots, since there are as many of these as there are incidents.
    __slots__ = IncidentFacts._fields

    def __init__(self, id_: str, positions: array[int]) -> None:
        """Begin with an incident of which nothing is known; *positions* is shared, and grows."""
        self.id = id_
        self.status: IncidentStatus = _NOTHING
        self.services: tuple[str, ...] = ()
        self.environment: str | None = None
        self.labels: Mapping[str, str] = NOTHING_TOLD
        self.symptom: Symptom | None = None
        self.channel: Channel | None = None
        self.monitor: str | None = None
        self.mode: Mode = _REAL
        self.imported: bool = False
        self.impact_started_at: Moment | None = None
        self.detected_at: Moment | None = None
        self.declared_at: Moment | None = None
        self.acknowledged_at: Moment | None = None
        self.triaged_at: Moment | None = None
        self.triaged: bool = False
        self.spells: Sequence[Spell] = ()
        self.relapses: int = 0
        self.holds: Sequence[Hold] = ()
        self.severity_first: Severity | None = None
        self.severity_last: Severity | None = None
        self.severity_highest: Severity | None = None
        self.severity_first_name: str | None = None
        self.severity_last_name: str | None = None
        self.severity_highest_name: str | None = None
        self.impact: Impact | None = None
        self.verdicts: Mapping[str, Verdict] = NOTHING_TOLD
        self.merged_into: str | None = None
        self.before_merge: IncidentStatus | None = None
        self.merged: tuple[str, ...] = ()
        self.related: Mapping[str, Relation] = NOTHING_TOLD
        self.parent: str | None = None
        self.milestones: Mapping[str, Sequence[Moment | None]] = NOTHING_TOLD
        self.cause_tags: tuple[str, ...] | dict[str, None] = ()
        self.members: tuple[IncidentFacts, ...] = ()
        self.dismissed: DismissalReason | None = None
        self.stated: Mapping[StatedDuration, int] = NOTHING_TOLD
        self.reviewed: int = 0
        self.withdrawn: bool = False
        self.edits: tuple[Edit, ...] = ()
        self.late: tuple[int, ...] = ()
        self.source_clock_back: bool = False
        self.sources_disagree: bool = False
        self.positions = positions

    @classmethod
    def restored(cls, facts: IncidentFacts, _carried: Carried, positions: array[int]) -> Self:
        """Return what a row was made of; *positions* are those of the row, to be added to."""
        row = cls(facts.id, positions)
        for name, value in zip(facts._fields[:-1], facts, strict=False):
            setattr(row, name, value)
        row.verdicts = _copy(row.verdicts)
        row.related = _copy(row.related)
        row.milestones = _copy(row.milestones)
        return row

    def carried(self) -> Carried | None:
        """Return what is carried besides the row; None where the two are not all there is."""
        return () if self.spells else None

    def facts(self) -> IncidentFacts:
        """Return the row: what stands so far, and whatever is applied later."""
        milestones = self.milestones
        return _facts(
            (  # in the order of the row; what is empty, as most of it is, is no call
                self.id,
                # Statements hold for every as_of, but nothing can be said of what had not been
                # detected.
                self.status if self.spells else _NOTHING,
                self.services,
                self.environment,
                self.labels,
                self.symptom,
                self.channel,
                self.monitor,
                self.mode,
                self.imported,
                self.impact_started_at,
                self.detected_at,
                self.declared_at,
                self.acknowledged_at,
                self.triaged_at,
                self.triaged,
                tuple(self.spells),
                self.relapses,
                self.holds and tuple(self.holds),
                self.severity_first,
                self.severity_last,
                self.severity_highest,
                self.severity_first_name,
                self.severity_last_name,
                self.severity_highest_name,
                self.impact,
                dict(self.verdicts) if self.verdicts else NOTHING_TOLD,
                self.merged_into,
                self.before_merge,
                self.merged,
                dict(self.related) if self.related else NOTHING_TOLD,
                self.parent,
                {name: in_order_of_time(at) for name, at in milestones.items()}
                if milestones
                else NOTHING_TOLD,
                self.cause_tags and tuple(self.cause_tags),
                self.members,
                self.dismissed,
                self.stated,
                self.reviewed,
                self.withdrawn,
                self.edits,
                self.late,
                self.source_clock_back,
                self.sources_disagree,
                tuple(self.positions),
            )
        )


def _copy(values: Mapping[K, V]) -> Mapping[K, V]:
    """Return a mapping that another one may go on from; of an empty one there is one for all."""
    return dict(values) if values else NOTHING_TOLD


# --- event by event -------------------------------------------------------------------------------

_NOTHING_WAITS: Final = frozenset(IncidentStatus) - OPEN - {IncidentStatus.MERGED}
"""Statuses in which nothing waits any more; after a merge it may go on waiting."""


def _set_status(row: IncidentSoFar, status: IncidentStatus | None, at: Moment | None) -> None:
    """Set the status after an event that tells one; None leaves it as it was."""
    if status is not None and status is not row.status:
        row.status = status
        if row.holds and status in _NOTHING_WAITS:
            row.holds = with_release(row.holds, at)


# Any: an event may come leaner than its class.
def _detected(row: IncidentSoFar, event: Any) -> None:
    at = event.at
    row.services = interned(event.services)
    row.environment = event.environment
    row.labels = event.labels
    row.symptom = event.symptom
    row.channel = event.channel
    row.monitor = event.monitor
    row.mode = event.mode
    row.imported = event.imported
    row.impact_started_at = event.impact_started_at
    row.detected_at = at
    row.declared_at = event.declared_at
    row.spells = (_spell((at, None, None, None, False)),)
    _set_status(row, event.status, at)


def _described(row: IncidentSoFar, event: Any) -> None:
    if event.services:
        row.services = interned(event.services)
    if event.symptom is not None:
        row.symptom = event.symptom
    if event.labels:
        labels = {**row.labels, **event.labels}
        row.labels = {name: text for name, text in sorted(labels.items()) if text is not None}


def _current_spell(row: IncidentSoFar) -> Spell:
    return row.spells[-1] if row.spells else Spell()


def _set_current_spell(row: IncidentSoFar, spell: Spell) -> None:
    """Put what the current spell is now where it was; nearly all incidents have only one."""
    if len(row.spells) > 1:
        row.spells = spells = owned(row.spells)
        spells[-1] = spell
    else:
        row.spells = (spell,)


def _mitigated(row: IncidentSoFar, event: Any) -> None:
    started, _, resolved, closed, over = _current_spell(row)
    at = event.at
    _set_current_spell(row, _spell((started, at, resolved, closed, over)))
    _set_status(row, event.status, at)


def _resolved(row: IncidentSoFar, event: Any) -> None:
    started, mitigated, _, closed, _ = _current_spell(row)
    at = event.at
    _set_current_spell(row, _spell((started, mitigated, at, closed, True)))
    _set_status(row, event.status, at)


def _closed(row: IncidentSoFar, event: Any) -> None:
    started, mitigated, resolved, _, _ = _current_spell(row)
    at = event.at
    _set_current_spell(row, _spell((started, mitigated, resolved, at, True)))
    _set_status(row, event.status, at)


def _acknowledged(row: IncidentSoFar, event: Any) -> None:
    if row.acknowledged_at is None:
        row.acknowledged_at = event.at


def _attempted(row: IncidentSoFar, event: Any) -> None:
    _set_status(row, event.status, event.at)


def _severity(row: IncidentSoFar, event: Any) -> None:
    severity, name = event.severity, event.severity_name
    if row.severity_first is None:
        row.severity_first, row.severity_first_name = severity, name
    if highest(row.severity_highest, severity) is severity:
        row.severity_highest, row.severity_highest_name = severity, name
    row.severity_last, row.severity_last_name = severity, name


def _triaged(row: IncidentSoFar, event: Any) -> None:
    row.triaged = True
    if row.triaged_at is None:
        row.triaged_at = event.at
    row.impact = event.impact or row.impact
    if event.severity is not None:
        _severity(row, event)
    _set_status(row, event.status or TRIAGED_FROM.get(row.status), event.at)


def _own(values: Mapping[K, V]) -> dict[K, V]:
    """Return a mapping of the row in progress, to be put into."""
    own: Any = {} if values is NOTHING_TOLD else values
    return cast("dict[K, V]", own)


def _verdict_given(row: IncidentSoFar, event: Any) -> None:
    row.verdicts = verdicts = _own(row.verdicts)
    verdicts[event.change] = event.verdict


def _related(row: IncidentSoFar, event: Any) -> None:
    row.related = related = _own(row.related)
    if event.kind is Relation.CHILD_OF:
        if row.parent is not None:
            related.pop(row.parent, None)  # the last one said stands
        row.parent = event.other
    elif row.parent == event.other:
        row.parent = None
    related[event.other] = event.kind


def _unrelated(row: IncidentSoFar, event: Any) -> None:
    row.related = related = _own(row.related)
    related.pop(event.other, None)
    if row.parent == event.other:
        row.parent = None


def _marked(row: IncidentSoFar, event: Any) -> None:
    row.milestones = milestones = _own(row.milestones)
    milestones[event.name] = moments = owned(milestones.get(event.name, ()))
    moments.append(event.at)


def _reopened(row: IncidentSoFar, event: Any) -> None:
    if event.relapse:
        row.relapses += 1
        started, _, resolved, closed, over = _current_spell(row)
        _set_current_spell(row, _spell((started, None, resolved, closed, over)))
    elif event.number or (row.spells and row.spells[-1].over):
        row.spells = spells = owned(row.spells)
        spells.append(Spell(started=event.at))
    row.dismissed = None
    after = event.status
    if event.began is IncidentStatus.DISMISSED:
        after = IncidentStatus.TRIAGED if row.triaged else IncidentStatus.DETECTED
    _set_status(row, after, event.at)


def _declared(row: IncidentSoFar, event: Any) -> None:
    if row.declared_at is None:
        row.declared_at = event.at


def _impact_updated(row: IncidentSoFar, event: Any) -> None:
    row.impact = event.impact or row.impact
    if row.impact_started_at is None:
        row.impact_started_at = event.impact_started_at


def _held(row: IncidentSoFar, event: Any) -> None:
    row.holds = with_hold(row.holds, event)


def _released(row: IncidentSoFar, event: Any) -> None:
    row.holds = with_release(row.holds, event.at)


def _dismissed(row: IncidentSoFar, event: Any) -> None:
    row.dismissed = event.reason
    _set_status(row, event.status, event.at)


def _merged(row: IncidentSoFar, event: Any) -> None:
    if row.merged_into is None:
        row.before_merge = row.status
    row.merged_into = event.into
    _set_status(row, event.status, event.at)


def _unmerged(row: IncidentSoFar, event: Any) -> None:
    before = row.before_merge
    row.merged_into = row.before_merge = None
    _set_status(row, before, event.at)


def _reviewed(row: IncidentSoFar, event: Any) -> None:
    row.reviewed = event.covers
    if event.cause_tags:
        tags = row.cause_tags
        if not isinstance(tags, dict):
            row.cause_tags = tags = dict.fromkeys(tags)
        tags.update(dict.fromkeys(event.cause_tags))


def _withdrew(row: IncidentSoFar, _: Any) -> None:
    row.withdrawn = True


def _reinstated(row: IncidentSoFar, _: Any) -> None:
    row.withdrawn = False


def _stated(row: IncidentSoFar, event: Any) -> None:
    row.stated = {**row.stated, event.what: event.microseconds}


APPLY: Final[Mapping[str, Callable[[IncidentSoFar, Any], None]]] = {
    "IncidentDetected": _detected,
    "IncidentMitigated": _mitigated,
    "IncidentResolved": _resolved,
    "IncidentClosed": _closed,
    "IncidentAcknowledged": _acknowledged,
    "IncidentTriaged": _triaged,
    "MitigationAttempted": _attempted,
    "SeverityChanged": _severity,
    "VerdictGiven": _verdict_given,
    "IncidentReopened": _reopened,
    "IncidentDeclared": _declared,
    "ImpactUpdated": _impact_updated,
    "IncidentHeld": _held,
    "IncidentReleased": _released,
    "IncidentDismissed": _dismissed,
    "IncidentMerged": _merged,
    "IncidentUnmerged": _unmerged,
    "ReviewRecorded": _reviewed,
    "DurationStated": _stated,
    "IncidentDescribed": _described,
    "MilestoneMarked": _marked,
    "IncidentRelated": _related,
    "IncidentUnrelated": _unrelated,
    "SourceWithdrew": _withdrew,
    "SourceReinstated": _reinstated,
}
"""How an event is applied to the row so far, by the name of its type; others change no row."""
