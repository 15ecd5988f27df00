"""
Views of incidents and changes, made of their facts and of what facts leave out.

`views_of` makes those of a whole log; a read model makes each when something of it was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, Unread
from imcm.domain.vocabulary import highest
from imcm.errors import InvalidValue
from imcm.projections.boards.details import (
    ChangeDetails,
    Details,
    IncidentDetails,
    details_of,
)
from imcm.projections.boards.views import ChangeView, IncidentView
from imcm.projections.facts.fold import ChangeFacts, FactsFold, IncidentFacts

__all__ = ["END", "Extent", "read_stream", "view_of", "view_of_stream", "views_of"]

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
    common: dict[str, Any] = {
        "id": facts.id,
        "status": facts.status,
        "services": facts.services,
        "environment": facts.environment,
        "labels": facts.labels,
        "imported": facts.imported,
        "title": details.title,
        "references": tuple(details.references.values()),
        "unread": extent.unread,
        "version": extent.version,
        "last_recorded_at": extent.recorded_at,
        "first_position": extent.first,
        "last_position": extent.last,
    }
    if facts.holds and facts.holds[-1].released is None:
        common |= {"on_hold": facts.holds[-1].reason, "held_since": facts.holds[-1].held}
    if isinstance(facts, IncidentFacts):
        assert isinstance(details, IncidentDetails)
        return _incident(facts, details, common)
    assert isinstance(details, ChangeDetails)
    return _change(facts, details, common)


def _incident(
    facts: IncidentFacts, details: IncidentDetails, common: dict[str, Any]
) -> IncidentView:
    return IncidentView(
        **common,
        severity=facts.severity_last,
        severity_name=facts.severity_last_name,
        severity_highest=highest(facts.severity_highest, details.inherited),
        symptom=facts.symptom,
        channel=facts.channel,
        monitor=facts.monitor,
        mode=facts.mode,
        impact=facts.impact,
        impact_started_at=facts.impact_started_at,
        detected_at=facts.detected_at,
        declared_at=facts.declared_at,
        acknowledged_at=facts.acknowledged_at,
        triaged_at=facts.triaged_at,
        mitigated_at=facts.mitigated_at,
        resolved_at=facts.resolved_at,
        closed_at=facts.closed_at,
        reopenings=facts.reopenings,
        roles=tuple(details.roles.values()),
        last_update=details.update,
        updates=details.updates,
        attempts=details.made_attempts(),
        verdicts=facts.verdicts,
        dismissed=facts.dismissed,
        withdrawn=facts.withdrawn,
        merged_into=facts.merged_into,
        parent=facts.parent,
        related=facts.related,
        milestones=facts.milestones,
        problems=tuple(details.problems),
        actions=details.made_actions(facts.id, facts.services),
        merged=tuple(details.merged),
        reviewed=0 < details.resolutions <= facts.reviewed,
        reviewed_at=details.reviewed_at,
        cause_tags=facts.cause_tags,
        causes=tuple(details.causes),
    )


def _change(facts: ChangeFacts, details: ChangeDetails, common: dict[str, Any]) -> ChangeView:
    return ChangeView(
        **common,
        description=details.description,
        type=facts.type,
        kind=facts.kind,
        risk=facts.risk,
        deployed_version=facts.version,
        window=facts.window,
        requested_by=facts.requested_by,
        planned_by=details.planned_by,
        incident=facts.incident,
        repairs=facts.repairs,
        template=details.template,
        rollback_plan=details.rollback_plan,
        monitoring_plan=details.monitoring_plan,
        test_plan=details.test_plan,
        has_rollback_plan=facts.has_rollback_plan,
        has_monitoring_plan=facts.has_monitoring_plan,
        has_test_plan=facts.has_test_plan,
        votes=tuple(details.votes.values()),
        quorum=details.quorum,
        rejected_why=details.rejected_why,
        withdrawn=facts.withdrawn,
        authorisation=facts.authorisation,
        unauthorised=facts.unauthorised,
        planned_at=facts.planned_at,
        submitted_at=facts.submitted_at,
        approved_at=facts.approved_at,
        started_at=facts.started_at,
        deployed_at=facts.deployed_at,
        ended_at=facts.ended_at,
        rolled_back_at=facts.rolled_back_at,
        recovered_at=facts.recovered_at,
        validated_at=facts.validated_at,
        closed_at=facts.closed_at,
        reached_production=facts.reached_production,
        outcome=facts.outcome,
        result=facts.result,
        percent=facts.rollout[-1].percent if facts.rollout else None,
        percent_since=facts.rollout[-1].at if facts.rollout else None,
        paused=details.paused,
        rollout=facts.rollout,
        commits=facts.commits,
    )


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
