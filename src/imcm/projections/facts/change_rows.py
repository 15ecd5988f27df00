"""
The row of a change, told event by event, in the way of `incident_rows`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any, Final, cast

from imcm.domain.change_events import ChangeStatus
from imcm.domain.vocabulary import Commit, Moment, Outcome, Result, Window, latest
from imcm.projections.facts.rows import (
    ChangeFacts,
    RolloutStep,
    one_for_all,
    own,
    released,
    waiting,
)

# Any: what tells facts may be leaner than the event itself, and a list holds fields of all types.
Told = list[Any]

_FIELDS: Final = ChangeFacts._fields
(
    _ID,
    _STATUS,
    _TYPE,
    _KIND,
    _SERVICES,
    _ENVIRONMENT,
    _LABELS,
    _RISK,
    _VERSION,
    _WINDOW,
    _IMPORTED,
    _UNPLANNED,
    _HAS_ROLLBACK_PLAN,
    _HAS_MONITORING_PLAN,
    _HAS_TEST_PLAN,
    _REQUESTED_BY,
    _APPROVED_BY,
    _INCIDENT,
    _REPAIRS,
    _PLANNED_AT,
    _SUBMITTED_AT,
    _APPROVED_AT,
    _STARTED_AT,
    _DEPLOYED_AT,
    _ENDED_AT,
    _ROLLED_BACK_AT,
    _RECOVERED_AT,
    _VALIDATED_AT,
    _CLOSED_AT,
    _REACHED_PRODUCTION,
    _ROLLOUT,
    _HOLDS,
    _COMMITS,
    _OUTCOME,
    _RESULT,
    _AUTHORISATION,
    _UNAUTHORISED,
    _STATED,
    _EDITS,
    _LATE,
    _BACKDATED,
    _SOURCE_CLOCK_BACK,
    _SOURCES_DISAGREE,
    _POSITIONS,
) = range(len(_FIELDS))
_COMPLETED_AT: Final = len(_FIELDS)
"""Behind the fields: its first known completion, or observation."""
_FIRST_SHARE_AT: Final = len(_FIELDS) + 1
"""When the first share of users had it."""
_REACHED_AT: Final = len(_FIELDS) + 2
"""When it was first said to be in production by what is no completion."""
_SHARED: Final = len(_FIELDS) + 3
"""Whether a share of users had it."""
_PLACES: Final = len(_FIELDS) + 4
"""Where each commit stands among those told so far, by its id; None until somebody asks."""

# Until an event says it, whether it was imported and how it was authorised is not told.
_UNTOLD: Final[dict[str, Any]] = {"imported": None, "authorisation": None}
_DEFAULTS: Final[dict[str, Any]] = ChangeFacts._field_defaults
_BLANK: Final[Told] = [
    "",
    *({"status": ChangeStatus.NOTHING} | _DEFAULTS | _UNTOLD).values(),
    None,
    None,
    None,
    False,
    None,
]

# What `_make` does but for counting the fields, in a third of the time.
_new: Final = cast("Any", tuple).__new__
_row: Final[Callable[[Told], ChangeFacts]] = partial(_new, ChangeFacts)


def begun(id_: str, positions: array[int]) -> Told:
    """Return what is told of a change of which nothing is told yet."""
    told: Told = _BLANK.copy()
    told[_ID] = id_
    told[_POSITIONS] = positions
    return told


Beside = tuple[Moment | None, Moment | None, Moment | None, bool]
"""What is told besides the row."""


def beside(told: Told) -> Beside | None:
    """Return what is told besides the row; None where both together are not all that is told."""
    untold = told[_IMPORTED] is None or told[_AUTHORISATION] is None
    if untold:
        return None
    return told[_COMPLETED_AT], told[_FIRST_SHARE_AT], told[_REACHED_AT], told[_SHARED]


def resumed(row: ChangeFacts, beside: Beside, positions: array[int]) -> Told:
    """Return what was told when a row was made, and `beside` with it."""
    told: Told = [*row, *beside, None]
    told[_POSITIONS] = positions
    return told


_HOUR: Final = timedelta(hours=1)


def backdated(told: Told, event: Any, stamp: datetime) -> bool:
    """
    Say whether an event was recorded after the window that it is told to have happened in.

    More than an hour later, and live: history from elsewhere is always recorded later.
    """
    window: Window | None = told[_WINDOW]
    if window is None or event.imported or stamp < window.end or event.at is None:
        return False
    last = latest(event.at)
    return window.start <= last < window.end and last < stamp - _HOUR


def row(told: Told) -> ChangeFacts:
    """Return the row of what is told so far."""
    fields = told[:_COMPLETED_AT]
    fields[_POSITIONS] = tuple(fields[_POSITIONS])
    fields[_IMPORTED] = bool(fields[_IMPORTED])
    if fields[_COMMITS]:
        fields[_COMMITS] = tuple(map(_commit, fields[_COMMITS]))
    if fields[_APPROVED_BY].__class__ is list:
        fields[_APPROVED_BY] = one_for_all(tuple(fields[_APPROVED_BY]))
    if fields[_ROLLOUT]:
        fields[_ROLLOUT] = tuple(fields[_ROLLOUT])
    if fields[_HOLDS]:
        fields[_HOLDS] = tuple(fields[_HOLDS])
    if fields[_UNAUTHORISED]:
        fields[_UNAUTHORISED] = tuple(fields[_UNAUTHORISED])
    fields[_AUTHORISATION] = fields[_AUTHORISATION] or "not asked"
    return _row(fields)


def _commit(told: Any) -> Commit:
    """Return a commit, of which what tells facts may be leaner, too."""
    if isinstance(told, Commit):
        return told
    return Commit(
        id=told.id,
        authored_at=told.authored_at,
        committed_at=told.committed_at,
        pull_request=told.pull_request,
        opened_at=told.opened_at,
        merged_at=told.merged_at,
    )


def _first_of(one: Moment | None, other: Moment | None) -> Moment | None:
    return other if one is None else one


# --- event by event -------------------------------------------------------------------------------


def _said_no(told: Told, guard: str) -> None:
    """Note a guard that would have said no, each once."""
    if guard:
        guards = told[_UNAUTHORISED]
        if guards.__class__ is not dict:
            guards = told[_UNAUTHORISED] = dict.fromkeys(guards)
        guards[guard] = None


_PLAN: Final = attrgetter(
    "type",
    "kind",
    "services",
    "environment",
    "labels",
    "risk",
    "version",
    "window",
    "imported",
    "unplanned",
    "has_rollback_plan",
    "has_monitoring_plan",
    "has_test_plan",
)
"""What a plan says, in the order of the row."""


def _planned(told: Told, event: Any) -> None:
    told[_TYPE:_REQUESTED_BY] = _PLAN(event)
    told[_SERVICES] = one_for_all(event.services)
    imported = told[_IMPORTED]
    told[_REQUESTED_BY] = event.requested_by or (None if imported else event.by)
    told[_INCIDENT] = event.incident
    told[_REPAIRS] = event.repairs
    told[_PLANNED_AT] = event.at
    _authorised(told, "unknown" if imported else "not asked")
    told[_STATUS] = event.status or told[_STATUS]


_OUTSTANDING: Final = "outstanding"
"""What ends only with a ruling, or a revision before the start: no vote makes up for it."""


def _unless(imported: bool, told: Told, word: str) -> str:
    """Return the authorisation after an event; imported history says nothing about it."""
    return str(told[_AUTHORISATION] or "unknown") if imported else word


def _revised(told: Told, event: Any) -> None:
    told[_KIND] = event.kind
    told[_SERVICES] = event.services
    told[_RISK] = event.risk
    told[_WINDOW] = event.window
    told[_INCIDENT] = event.incident
    told[_HAS_ROLLBACK_PLAN] = event.has_rollback_plan
    told[_HAS_MONITORING_PLAN] = event.has_monitoring_plan
    told[_HAS_TEST_PLAN] = event.has_test_plan
    _not_asked(told, event)


def _rescoped(told: Told, event: Any) -> None:
    told[_ENVIRONMENT] = event.environment
    told[_LABELS] = event.labels
    _not_asked(told, event)


def _corrected_after_approval(told: Told, event: Any) -> None:
    _said_no(told, event.unauthorised)
    told[_AUTHORISATION] = _OUTSTANDING


def _rejected(told: Told, event: Any) -> None:
    before = told[_AUTHORISATION]
    _not_asked(told, event)
    if before == _OUTSTANDING:
        told[_AUTHORISATION] = before


def _not_asked(told: Told, event: Any) -> None:
    told[_APPROVED_AT] = None
    told[_AUTHORISATION] = _unless(event.imported, told, "not asked")
    told[_APPROVED_BY] = ()
    told[_STATUS] = event.status or told[_STATUS]


def _submitted(told: Told, event: Any) -> None:
    told[_SUBMITTED_AT] = event.at
    if event.template is not None:
        told[_APPROVED_AT] = event.at
        _authorised(told, _unless(event.imported, told, "pre-approved"))
    told[_STATUS] = event.status or told[_STATUS]


def _authorised(told: Told, word: str) -> None:
    if told[_AUTHORISATION] != _OUTSTANDING:
        told[_AUTHORISATION] = word


def _approved(told: Told, event: Any) -> None:
    if told[_APPROVED_BY]:
        own(told, _APPROVED_BY).append(event.by)
    else:
        told[_APPROVED_BY] = one_for_all((event.by,))
    if event.imported:
        told[_APPROVED_AT] = event.at
    elif event.status is ChangeStatus.APPROVED:
        told[_APPROVED_AT] = event.at
        _authorised(told, "approved")
    told[_STATUS] = event.status or told[_STATUS]


def _approved_afterwards(told: Told, event: Any) -> None:
    told[_AUTHORISATION] = "approved afterwards"


def _refused_afterwards(told: Told, event: Any) -> None:
    told[_AUTHORISATION] = "refused afterwards"


def _scheduled(told: Told, event: Any) -> None:
    told[_WINDOW] = event.window


def _held(told: Told, event: Any) -> None:
    waiting(told, _HOLDS, event)


def _released(told: Told, event: Any) -> None:
    released(told, _HOLDS, event.at)


def _started(told: Told, event: Any) -> None:
    told[_STARTED_AT] = event.at
    told[_VERSION] = event.version or told[_VERSION]
    if event.outstanding:
        told[_AUTHORISATION] = _OUTSTANDING
    told[_STATUS] = event.status or told[_STATUS]


def _commits(told: Told, event: Any) -> None:
    if told[_COMMITS] or len(event.commits) > 1:
        commits, places = own(told, _COMMITS), told[_PLACES]
        if places is None:
            places = told[_PLACES] = {commit.id: at for at, commit in enumerate(commits)}
        for commit in event.commits:
            at = places.setdefault(commit.id, len(commits))
            commits[at : at + 1] = (commit,)
    else:
        told[_COMMITS] = event.commits


def _deployed(told: Told) -> None:
    """Note when it came into production: at its completion, else with the first share of users."""
    deployed_at = told[_COMPLETED_AT]
    if deployed_at is None:
        deployed_at = _first_of(told[_FIRST_SHARE_AT], told[_REACHED_AT])
    told[_DEPLOYED_AT] = deployed_at


def _advanced(told: Told, event: Any) -> None:
    own(told, _ROLLOUT).append(RolloutStep(at=event.at, percent=event.percent))
    told[_REACHED_PRODUCTION] = True
    if event.percent > 0 and not told[_SHARED]:
        told[_FIRST_SHARE_AT], told[_SHARED] = event.at, True
        _deployed(told)


def _ended(told: Told, event: Any, outcome: Outcome, reached: bool | None) -> None:
    told[_ENDED_AT] = event.at
    told[_OUTCOME] = outcome
    # What once reached production has reached it, whatever a later event says of itself.
    told[_REACHED_PRODUCTION] = True if told[_REACHED_PRODUCTION] else reached
    told[_STATUS] = event.status or told[_STATUS]
    if event.unauthorised:
        _said_no(told, event.unauthorised)
        told[_AUTHORISATION] = _OUTSTANDING


def _completed(told: Told, event: Any) -> None:
    _ended(told, event, Outcome.COMPLETED, reached=True)
    told[_COMPLETED_AT] = _first_of(told[_COMPLETED_AT], event.at)
    _deployed(told)
    told[_VERSION] = event.version or told[_VERSION]


def _in_production(told: Told, event: Any) -> None:
    if told[_OUTCOME] is None:
        told[_OUTCOME], told[_ENDED_AT] = Outcome.UNKNOWN, event.at
    told[_REACHED_PRODUCTION] = True
    told[_REACHED_AT] = _first_of(told[_REACHED_AT], event.at)
    told[_STATUS] = event.status or told[_STATUS]
    told[_VERSION] = event.version or told[_VERSION]
    _deployed(told)


def _failed(told: Told, event: Any) -> None:
    _ended(told, event, Outcome.FAILED, event.reached_production)
    if event.reached_production:
        told[_REACHED_AT] = _first_of(told[_REACHED_AT], event.at)
        _deployed(told)


def _paused(told: Told, event: Any) -> None:
    _said_no(told, event.unauthorised)


def _aborted(told: Told, event: Any) -> None:
    _ended(told, event, Outcome.FAILED, reached=event.percent > 0)


def _rolled_back(told: Told, event: Any) -> None:
    _ended(told, event, Outcome.ROLLED_BACK, event.reached_production)
    told[_ROLLED_BACK_AT] = event.at
    if event.reached_production:
        told[_REACHED_AT] = _first_of(told[_REACHED_AT], event.at)
        _deployed(told)


def _recovered(told: Told, event: Any) -> None:
    told[_RECOVERED_AT] = _first_of(told[_RECOVERED_AT], event.at)
    _said_no(told, event.unauthorised)


def _validated(told: Told, event: Any) -> None:
    told[_VALIDATED_AT] = event.at if event.status is ChangeStatus.VALIDATED else None
    if event.passed and told[_OUTCOME] is not None:
        told[_OUTCOME] = told[_OUTCOME].settled_by(Result.SUCCESSFUL)
    told[_STATUS] = event.status or told[_STATUS]
    _said_no(told, event.unauthorised)


def _closed(told: Told, event: Any) -> None:
    told[_CLOSED_AT] = event.at
    told[_RESULT] = event.result
    told[_OUTCOME] = told[_OUTCOME] and told[_OUTCOME].settled_by(event.result)
    told[_STATUS] = event.status or told[_STATUS]


def _cancelled(told: Told, event: Any) -> None:
    told[_CLOSED_AT] = event.at
    told[_STATUS] = event.status or told[_STATUS]


def _observed(told: Told, event: Any) -> None:
    told[_TYPE] = event.type
    told[_KIND] = told[_KIND] or event.kind
    told[_SERVICES] = told[_SERVICES] or event.services
    told[_ENVIRONMENT] = told[_ENVIRONMENT] or event.environment
    told[_LABELS] = told[_LABELS] or event.labels
    told[_IMPORTED] = event.imported if told[_IMPORTED] is None else told[_IMPORTED]
    before = told[_OUTCOME]
    _completed(told, event)
    told[_OUTCOME] = before or Outcome.UNKNOWN
    told[_AUTHORISATION] = "unknown" if event.imported else _OUTSTANDING


def _stated(told: Told, event: Any) -> None:
    told[_STATED] = {**told[_STATED], event.what: event.microseconds}


TELLING: Final[Mapping[str, Callable[[Told, Any], None]]] = {
    "ChangePlanned": _planned,
    "ChangeRevised": _revised,
    "ChangeRescoped": _rescoped,
    "ContentCorrectedAfterApproval": _corrected_after_approval,
    "ChangeSubmitted": _submitted,
    "ChangeApproved": _approved,
    "ChangeRejected": _rejected,
    "ChangeApprovedRetroactively": _approved_afterwards,
    "RetroactiveApprovalRefused": _refused_afterwards,
    "ChangeScheduled": _scheduled,
    "ChangeHeld": _held,
    "ChangeReleased": _released,
    "ChangeStarted": _started,
    "CommitsRecorded": _commits,
    "RolloutAdvanced": _advanced,
    "ChangeCompleted": _completed,
    "ChangeDeployed": _in_production,
    "ChangeFailed": _failed,
    "RolloutAborted": _aborted,
    "ChangeRolledBack": _rolled_back,
    "ChangeRecovered": _recovered,
    "ChangeValidated": _validated,
    "ChangeClosed": _closed,
    "ChangeCancelled": _cancelled,
    "ChangeObserved": _observed,
    "RolloutPaused": _paused,
    "DurationStated": _stated,
}
"""How an event of what stands is told, by the name of its type; others change no row."""
