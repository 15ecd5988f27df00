"""
Views of incidents and changes, made of their facts and of what facts leave out.

`views_of` makes those of a whole log; a read model makes each when something of it was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, Unread
from imcm.domain.vocabulary import HoldReason, Moment, highest
from imcm.errors import InvalidValue
from imcm.projections.boards.details import (
    ChangeDetails,
    Details,
    IncidentDetails,
    details_of,
)
from imcm.projections.boards.views import ChangeView, IncidentView
from imcm.projections.facts.fold import ChangeFacts, FactsFold, IncidentFacts

__all__ = [
    "END",
    "Extent",
    "change_values",
    "incident_values",
    "read_stream",
    "view_of",
    "view_of_stream",
    "views_of",
]

END: Final = datetime.max.replace(tzinfo=UTC)
"""A board shows all that was recorded, also what is said to happen a little later than now."""


class Extent:
    """Of one stream: how many events, where in the log, and when the last was recorded."""

    __slots__ = ("first", "last", "recorded_at", "unread", "version")

    def __init__(self) -> None:
        self.first = self.last = self.version = self.unread = 0
        self.recorded_at: datetime | None = None

    def add(self, version: int, position: int, recorded_at: datetime) -> None:
        """Take one more event of the stream."""
        self.first = self.first or position
        self.last, self.version, self.recorded_at = position, version, recorded_at


def view_of(
    facts: IncidentFacts | ChangeFacts, details: Details, extent: Extent
) -> IncidentView | ChangeView:
    """
    Return what stands of one incident or change.

    Args:
        facts: Its row, by itself: merges not followed, nothing cut.
        details: What its row leaves out.
        extent: Which part of the log it was made of.
    """
    if isinstance(facts, IncidentFacts):
        assert isinstance(details, IncidentDetails)
        values = incident_values(facts, details, extent)
        return IncidentView(**dict(zip(_INCIDENT_FIELDS, values, strict=True)))
    assert isinstance(details, ChangeDetails)
    values = change_values(facts, details, extent)
    return ChangeView(**dict(zip(_CHANGE_FIELDS, values, strict=True)))


_INCIDENT_FIELDS: Final = tuple(field.name for field in attrs.fields(IncidentView))
_CHANGE_FIELDS: Final = tuple(field.name for field in attrs.fields(ChangeView))


def incident_values(
    facts: IncidentFacts, details: IncidentDetails, extent: Extent
) -> tuple[Any, ...]:
    """
    Return the values of the view of an incident in the order of its fields.

    For who needs no object of it: a row of a table is made of these. Any: of each field's type.
    """
    reason, held = _hold(facts)
    return (
        facts.id,
        details.title,
        facts.status,
        facts.severity_last,
        facts.severity_last_name,  # severity_name
        highest(facts.severity_highest, details.inherited),
        facts.services,
        facts.environment,
        facts.labels,
        facts.symptom,
        facts.channel,
        facts.monitor,
        facts.mode,
        facts.impact,
        facts.impact_started_at,
        facts.detected_at,
        facts.declared_at,
        facts.acknowledged_at,
        facts.triaged_at,
        facts.mitigated_at,
        facts.resolved_at,
        facts.closed_at,
        facts.reopenings,
        reason,  # on_hold
        held,  # held_since
        tuple(details.roles.values()) if details.roles else (),
        details.update,  # last_update
        details.updates,
        details.made_attempts(),
        facts.verdicts,
        facts.dismissed,
        facts.withdrawn,
        facts.merged_into,
        tuple(details.merged),
        facts.parent,
        facts.related,
        facts.milestones,
        tuple(details.references.values()) if details.references else (),
        tuple(details.problems),
        details.made_actions(facts.id, facts.services),
        0 < details.resolutions <= facts.reviewed,
        details.reviewed_at,
        facts.cause_tags,
        tuple(details.causes),
        facts.imported,
        extent.unread,
        extent.version,
        extent.recorded_at,  # last_recorded_at
        extent.first,  # first_position
        extent.last,  # last_position
    )


def change_values(facts: ChangeFacts, details: ChangeDetails, extent: Extent) -> tuple[Any, ...]:
    """Return the values of the view of a change in the order of its fields, likewise."""
    reason, held = _hold(facts)
    step = facts.rollout[-1] if facts.rollout else None
    return (
        facts.id,
        details.title,
        details.description,
        facts.status,
        facts.type,
        facts.kind,
        facts.risk,
        facts.services,
        facts.environment,
        facts.labels,
        facts.version,  # deployed_version
        facts.window,
        facts.requested_by,
        details.planned_by,
        facts.incident,
        facts.repairs,
        details.template,
        details.rollback_plan,
        details.monitoring_plan,
        details.test_plan,
        facts.has_rollback_plan,
        facts.has_monitoring_plan,
        facts.has_test_plan,
        tuple(details.votes.values()) if details.votes else (),
        details.quorum,
        details.rejected_why,
        facts.withdrawn,
        facts.authorisation,
        facts.unauthorised,
        facts.planned_at,
        facts.submitted_at,
        facts.approved_at,
        facts.started_at,
        facts.deployed_at,
        facts.ended_at,
        facts.rolled_back_at,
        facts.recovered_at,
        facts.validated_at,
        facts.closed_at,
        facts.reached_production,
        facts.outcome,
        facts.result,
        None if step is None else step.percent,
        None if step is None else step.at,  # percent_since
        details.paused,
        facts.rollout,
        reason,  # on_hold
        held,  # held_since
        facts.commits,
        tuple(details.references.values()) if details.references else (),
        facts.imported,
        extent.unread,
        extent.version,
        extent.recorded_at,  # last_recorded_at
        extent.first,  # first_position
        extent.last,  # last_position
    )


def _hold(facts: IncidentFacts | ChangeFacts) -> tuple[HoldReason | None, Moment | None]:
    """Return why it waits for somebody else, and since when; None for both where it does not."""
    hold = facts.holds[-1] if facts.holds else None
    return (None, None) if hold is None or hold.released is not None else (hold.reason, hold.held)


def view_of_stream(events: Iterable[Recorded]) -> IncidentView | ChangeView:
    """
    Return what stands of one incident or change after all *events* of its stream.

    Raises:
        InvalidValue: There are no events, or of more than one stream.
    """
    return view_of(*read_stream(events))


def read_stream(
    events: Iterable[Recorded],
) -> tuple[IncidentFacts | ChangeFacts, Details, Extent]:
    """
    Return what a view is made of, after all *events* of one stream.

    Raises:
        InvalidValue: There are no events, or of more than one stream.
    """
    events = list(events)
    if len({recorded.stream for recorded in events}) != 1:
        raise InvalidValue("events", events, "give the events of one stream")
    fold, extent = FactsFold(), Extent()
    fold.add_all(events)
    facts = fold.facts(as_of=END)
    row: Any = next(iter(facts.incidents or facts.changes))  # Any: of which kind, its stream says
    for recorded in events:
        extent.add(recorded.version, recorded.position, recorded.recorded_at)
        extent.unread += isinstance(recorded.event, Unread)
    return row, details_of(events[0].kind, events), extent


def views_of(log: Iterable[Recorded]) -> Iterator[IncidentView | ChangeView]:
    """Yield what stands of each incident and change of a log, in the order they came up in it."""
    streams: dict[str, list[Recorded]] = {}
    for recorded in log:
        if recorded.kind in {INCIDENT, CHANGE}:
            streams.setdefault(recorded.stream, []).append(recorded)
    return map(view_of_stream, streams.values())
