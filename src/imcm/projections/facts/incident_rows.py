"""
The row of an incident, told event by event.

What is told so far is a list with the fields of the row in their places.
What grows with the events (positions, spells, waits, verdicts) is put into values of its own, which
are copied when a row is made, so a row stays as it was; other values are never changed in place.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Final, cast

from imcm.domain.incident import OPEN, TRIAGED_FROM
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.vocabulary import NOTHING_TOLD, Moment, Relation, highest
from imcm.projections.facts.rows import (
    IncidentFacts,
    Spell,
    in_order_of_time,
    one_for_all,
    own,
    released,
    waiting,
)

# Any: what tells facts may be leaner than the event itself, and a list holds fields of all types.
Told = list[Any]

_FIELDS: Final = IncidentFacts._fields
(
    _ID,
    _STATUS,
    _SERVICES,
    _ENVIRONMENT,
    _LABELS,
    _SYMPTOM,
    _CHANNEL,
    _MONITOR,
    _MODE,
    _IMPORTED,
    _IMPACT_STARTED_AT,
    _DETECTED_AT,
    _DECLARED_AT,
    _ACKNOWLEDGED_AT,
    _TRIAGED_AT,
    _TRIAGED,
    _SPELLS,
    _RELAPSES,
    _HOLDS,
    _SEVERITY_FIRST,
    _SEVERITY_LAST,
    _SEVERITY_HIGHEST,
    _SEVERITY_FIRST_NAME,
    _SEVERITY_LAST_NAME,
    _SEVERITY_HIGHEST_NAME,
    _IMPACT,
    _VERDICTS,
    _MERGED_INTO,
    _BEFORE_MERGE,
    _MERGED,
    _RELATED,
    _PARENT,
    _MILESTONES,
    _CAUSE_TAGS,
    _MEMBERS,
    _DISMISSED,
    _STATED,
    _REVIEWED,
    _EDITS,
    _LATE,
    _SOURCE_CLOCK_BACK,
    _SOURCES_DISAGREE,
    _POSITIONS,
) = range(len(_FIELDS))

_GROWING: Final = (_VERDICTS, _RELATED, _MILESTONES)
"""Mappings of what is told so far, which are its own: a row gets a copy."""

_NOTHING: Final = IncidentStatus.NOTHING
_DEFAULTS: Final[dict[str, Any]] = IncidentFacts._field_defaults
_BLANK: Final[Told] = ["", *({"status": _NOTHING} | _DEFAULTS).values()]

# What `_make` does but for counting the fields, in a third of the time.
_new: Final = cast("Any", tuple).__new__
_spell: Final[Callable[[tuple[Any, ...]], Spell]] = partial(_new, Spell)
_row: Final[Callable[[Told], IncidentFacts]] = partial(_new, IncidentFacts)


def begun(id_: str, positions: array[int]) -> Told:
    """Return what is told of an incident of which nothing is told yet."""
    told: Told = _BLANK.copy()
    told[_ID] = id_
    told[_POSITIONS] = positions
    return told


Beside = tuple[()]
"""What is told besides the row: nothing."""


def beside(told: Told) -> Beside | None:
    """Return what is told besides the row; None where both together are not all that is told."""
    return () if told[_SPELLS] else None


def resumed(row: IncidentFacts, beside: Beside, positions: array[int]) -> Told:
    """Return what was told when a row was made, and `beside` with it."""
    told: Told = [*row, *beside]
    told[_POSITIONS] = positions
    for place in _GROWING:
        told[place] = dict(told[place]) if told[place] else NOTHING_TOLD
    return told


def row(told: Told) -> IncidentFacts:
    """Return the row of what is told so far."""
    fields = told.copy()
    fields[_POSITIONS] = tuple(fields[_POSITIONS])
    if not fields[_SPELLS]:
        # Statements hold for every as_of, but nothing can be said of what had not been detected.
        fields[_STATUS] = _NOTHING
    elif fields[_SPELLS].__class__ is list:
        fields[_SPELLS] = tuple(fields[_SPELLS])
    if fields[_HOLDS]:
        fields[_HOLDS] = tuple(fields[_HOLDS])
    for place in _GROWING:
        if fields[place] is not NOTHING_TOLD:
            fields[place] = fields[place].copy()
    if fields[_MILESTONES]:
        fields[_MILESTONES] = {
            name: in_order_of_time(at) for name, at in fields[_MILESTONES].items()
        }
    if fields[_CAUSE_TAGS]:
        fields[_CAUSE_TAGS] = tuple(fields[_CAUSE_TAGS])
    return _row(fields)


_NOTHING_WAITS: Final = frozenset(IncidentStatus) - OPEN - {IncidentStatus.MERGED}
"""Statuses in which nothing waits any more; after a merge it may go on waiting."""


# --- event by event -------------------------------------------------------------------------------


def _stands_at(told: Told, status: IncidentStatus | None, at: Moment | None) -> None:
    """Note the status after an event that tells one; None leaves it as it was."""
    if status is not None and status is not told[_STATUS]:
        told[_STATUS] = status
        if told[_HOLDS] and status in _NOTHING_WAITS:
            released(told, _HOLDS, at)


_DETECTION: Final = attrgetter(
    "services",
    "environment",
    "labels",
    "symptom",
    "channel",
    "monitor",
    "mode",
    "imported",
    "impact_started_at",
    "at",
    "declared_at",
)
"""What a detection says, in the order of the row."""


def _detected(told: Told, event: Any) -> None:
    told[_SERVICES:_ACKNOWLEDGED_AT] = _DETECTION(event)
    told[_SERVICES] = one_for_all(event.services)
    at = event.at
    told[_SPELLS] = (_spell((at, None, None, None, False)),)
    _stands_at(told, event.status, at)


def _described(told: Told, event: Any) -> None:
    if event.services:
        told[_SERVICES] = one_for_all(event.services)
    if event.symptom is not None:
        told[_SYMPTOM] = event.symptom
    if event.labels:
        labels = {**told[_LABELS], **event.labels}
        told[_LABELS] = {name: text for name, text in sorted(labels.items()) if text is not None}


def _current(told: Told) -> Spell:
    """Return the current spell."""
    spells: Sequence[Spell] = told[_SPELLS]
    return spells[-1] if spells else Spell()


def _goes_on(told: Told, spell: Spell) -> None:
    """Put what the current spell is now in its place; nearly all incidents have only one."""
    if len(told[_SPELLS]) > 1:
        own(told, _SPELLS)[-1] = spell
    else:
        told[_SPELLS] = (spell,)


def _mitigated(told: Told, event: Any) -> None:
    started, _, resolved, closed, over = _current(told)
    at = event.at
    _goes_on(told, _spell((started, at, resolved, closed, over)))
    _stands_at(told, event.status, at)


def _resolved(told: Told, event: Any) -> None:
    started, mitigated, _, closed, _ = _current(told)
    at = event.at
    _goes_on(told, _spell((started, mitigated, at, closed, True)))
    _stands_at(told, event.status, at)


def _closed(told: Told, event: Any) -> None:
    started, mitigated, resolved, _, _ = _current(told)
    at = event.at
    _goes_on(told, _spell((started, mitigated, resolved, at, True)))
    _stands_at(told, event.status, at)


def _acknowledged(told: Told, event: Any) -> None:
    if told[_ACKNOWLEDGED_AT] is None:
        told[_ACKNOWLEDGED_AT] = event.at


def _attempted(told: Told, event: Any) -> None:
    _stands_at(told, event.status, event.at)


def _severity(told: Told, event: Any) -> None:
    severity, name = event.severity, event.severity_name
    if told[_SEVERITY_FIRST] is None:
        told[_SEVERITY_FIRST], told[_SEVERITY_FIRST_NAME] = severity, name
    if highest(told[_SEVERITY_HIGHEST], severity) is severity:
        told[_SEVERITY_HIGHEST], told[_SEVERITY_HIGHEST_NAME] = severity, name
    told[_SEVERITY_LAST], told[_SEVERITY_LAST_NAME] = severity, name


def _triaged(told: Told, event: Any) -> None:
    told[_TRIAGED] = True
    if told[_TRIAGED_AT] is None:
        told[_TRIAGED_AT] = event.at
    told[_IMPACT] = event.impact or told[_IMPACT]
    if event.severity is not None:
        _severity(told, event)
    _stands_at(told, event.status or TRIAGED_FROM.get(told[_STATUS]), event.at)


def _own(told: Told, place: int) -> dict[str, Any]:
    """Return a mapping of what is told so far, to be put into."""
    if told[place] is NOTHING_TOLD:
        told[place] = {}
    mine: dict[str, Any] = told[place]
    return mine


def _verdict_given(told: Told, event: Any) -> None:
    _own(told, _VERDICTS)[event.change] = event.verdict


def _related(told: Told, event: Any) -> None:
    mine = _own(told, _RELATED)
    if event.kind is Relation.CHILD_OF:
        mine.pop(told[_PARENT], None)  # the last one said stands
        told[_PARENT] = event.other
    elif told[_PARENT] == event.other:
        told[_PARENT] = None
    mine[event.other] = event.kind


def _unrelated(told: Told, event: Any) -> None:
    _own(told, _RELATED).pop(event.other, None)
    if told[_PARENT] == event.other:
        told[_PARENT] = None


def _marked(told: Told, event: Any) -> None:
    mine = _own(told, _MILESTONES)
    moments = mine.get(event.name, ())
    if moments.__class__ is not list:
        moments = mine[event.name] = list(moments)
    moments.append(event.at)


def _reopened(told: Told, event: Any) -> None:
    if event.relapse:
        told[_RELAPSES] += 1
        started, _, resolved, closed, over = _current(told)
        _goes_on(told, _spell((started, None, resolved, closed, over)))
    elif event.number or (told[_SPELLS] and told[_SPELLS][-1].over):
        own(told, _SPELLS).append(Spell(started=event.at))
    told[_DISMISSED] = None
    after = event.status
    if event.began is IncidentStatus.DISMISSED:
        after = IncidentStatus.TRIAGED if told[_TRIAGED] else IncidentStatus.DETECTED
    _stands_at(told, after, event.at)


def _declared(told: Told, event: Any) -> None:
    if told[_DECLARED_AT] is None:
        told[_DECLARED_AT] = event.at


def _impact_updated(told: Told, event: Any) -> None:
    told[_IMPACT] = event.impact or told[_IMPACT]
    if told[_IMPACT_STARTED_AT] is None:
        told[_IMPACT_STARTED_AT] = event.impact_started_at


def _held(told: Told, event: Any) -> None:
    waiting(told, _HOLDS, event)


def _released(told: Told, event: Any) -> None:
    released(told, _HOLDS, event.at)


def _dismissed(told: Told, event: Any) -> None:
    told[_DISMISSED] = event.reason
    _stands_at(told, event.status, event.at)


def _merged(told: Told, event: Any) -> None:
    if told[_MERGED_INTO] is None:
        told[_BEFORE_MERGE] = told[_STATUS]
    told[_MERGED_INTO] = event.into
    _stands_at(told, event.status, event.at)


def _unmerged(told: Told, event: Any) -> None:
    before = told[_BEFORE_MERGE]
    told[_MERGED_INTO] = told[_BEFORE_MERGE] = None
    _stands_at(told, before, event.at)


def _reviewed(told: Told, event: Any) -> None:
    told[_REVIEWED] = event.covers
    if event.cause_tags:
        if told[_CAUSE_TAGS].__class__ is not dict:
            told[_CAUSE_TAGS] = dict.fromkeys(told[_CAUSE_TAGS])
        told[_CAUSE_TAGS].update(dict.fromkeys(event.cause_tags))


def _stated(told: Told, event: Any) -> None:
    told[_STATED] = {**told[_STATED], event.what: event.microseconds}


TELLING: Final[Mapping[str, Callable[[Told, Any], None]]] = {
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
}
"""How an event of what stands is told, by the name of its type; others change no row."""
