"""
The row of a change in progress, to which its events are applied in the way of `incident_rows`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Self, cast

from imcm.domain.change_events import ChangeStatus
from imcm.domain.vocabulary import (
    NOTHING_TOLD,
    ChangeType,
    Commit,
    Kind,
    Moment,
    Outcome,
    Result,
    Risk,
    StatedDuration,
    Window,
    latest,
)
from imcm.projections.facts.edits import Edit
from imcm.projections.facts.rows import (
    ChangeFacts,
    Hold,
    RolloutStep,
    interned,
    owned,
    with_hold,
    with_release,
)

# Members of an enum are looked up slowly, and these are needed for each change.
_NOTHING: Final = ChangeStatus.NOTHING
_NORMAL: Final = ChangeType.NORMAL

# What `_make` does but for counting the fields, in a third of the time.
_new: Final = cast("Any", tuple).__new__
_facts: Final[Callable[[tuple[Any, ...]], ChangeFacts]] = partial(_new, ChangeFacts)

Carried = tuple[Moment | None, Moment | None, Moment | None, bool]
"""What a change in progress carries besides its row: three moments, and whether it was shared."""


class ChangeSoFar:
    """
    The row of a change in progress: its fields as the events applied so far leave them.

    Attributes:
        imported, authorisation: None until an event says it.
        completed_at: Its first known completion, or observation.
        first_share_at: When the first share of users had it.
        reached_at: When it was first said to be in production by what is no completion.
        shared: Whether a share of users had it.
        commit_index: Where each commit stands among those so far, by its id; None until somebody
            asks.
    """

    # Slots, since there are as many of these as there are changes.
    __slots__ = (
        *ChangeFacts._fields,
        *("completed_at", "first_share_at", "reached_at", "shared", "commit_index"),
    )

    def __init__(self, id_: str, positions: array[int]) -> None:
        """Begin with a change of which nothing is known; *positions* is shared, and grows."""
        self.id = id_
        self.status: ChangeStatus = _NOTHING
        self.type: ChangeType = _NORMAL
        self.kind: Kind | None = None
        self.services: tuple[str, ...] = ()
        self.environment: str | None = None
        self.labels: Mapping[str, str] = NOTHING_TOLD
        self.risk: Risk | None = None
        self.version: str | None = None
        self.window: Window | None = None
        self.imported: bool | None = None
        self.unplanned: bool = False
        self.withdrawn: bool = False
        self.has_rollback_plan: bool = False
        self.has_monitoring_plan: bool = False
        self.has_test_plan: bool = False
        self.requested_by: str | None = None
        self.approved_by: Sequence[str] = ()
        self.incident: str | None = None
        self.repairs: str | None = None
        self.planned_at: Moment | None = None
        self.submitted_at: Moment | None = None
        self.approved_at: Moment | None = None
        self.started_at: Moment | None = None
        self.deployed_at: Moment | None = None
        self.ended_at: Moment | None = None
        self.rolled_back_at: Moment | None = None
        self.recovered_at: Moment | None = None
        self.validated_at: Moment | None = None
        self.closed_at: Moment | None = None
        self.reached_production: bool | None = None
        self.rollout: Sequence[RolloutStep] = ()
        self.holds: Sequence[Hold] = ()
        # Any: a commit may come leaner than its class.
        self.commits: Sequence[Any] = ()
        self.outcome: Outcome | None = None
        self.result: Result | None = None
        self.authorisation: str | None = None
        self.unauthorised: tuple[str, ...] | dict[str, None] = ()
        self.stated: Mapping[StatedDuration, int] = NOTHING_TOLD
        self.edits: tuple[Edit, ...] = ()
        self.late: tuple[int, ...] = ()
        self.backdated: tuple[int, ...] = ()
        self.source_clock_back: bool = False
        self.sources_disagree: bool = False
        self.positions = positions
        self.completed_at: Moment | None = None
        self.first_share_at: Moment | None = None
        self.reached_at: Moment | None = None
        self.shared: bool = False
        self.commit_index: dict[str, int] | None = None

    @classmethod
    def restored(cls, facts: ChangeFacts, carried: Carried, positions: array[int]) -> Self:
        """Return what a row was made of; *positions* are those of the row, to be added to."""
        row = cls(facts.id, positions)
        for name, value in zip(facts._fields[:-1], facts, strict=False):
            setattr(row, name, value)
        row.completed_at, row.first_share_at, row.reached_at, row.shared = carried
        return row

    def carried(self) -> Carried | None:
        """Return what is carried besides the row; None where the two are not all there is."""
        if self.imported is None or self.authorisation is None:
            return None
        return self.completed_at, self.first_share_at, self.reached_at, self.shared

    def facts(self) -> ChangeFacts:
        """Return the row: what stands so far, and whatever is applied later."""
        approved_by = self.approved_by
        return _facts(
            (  # in the order of the row; what is empty, as most of it is, is no call
                self.id,
                self.status,
                self.type,
                self.kind,
                self.services,
                self.environment,
                self.labels,
                self.risk,
                self.version,
                self.window,
                bool(self.imported),
                self.unplanned,
                self.withdrawn,
                self.has_rollback_plan,
                self.has_monitoring_plan,
                self.has_test_plan,
                self.requested_by,
                approved_by if isinstance(approved_by, tuple) else interned(tuple(approved_by)),
                self.incident,
                self.repairs,
                self.planned_at,
                self.submitted_at,
                self.approved_at,
                self.started_at,
                self.deployed_at,
                self.ended_at,
                self.rolled_back_at,
                self.recovered_at,
                self.validated_at,
                self.closed_at,
                self.reached_production,
                self.rollout and tuple(self.rollout),
                self.holds and tuple(self.holds),
                self.commits and tuple(map(_commit, self.commits)),
                self.outcome,
                self.result,
                self.authorisation or "not asked",
                self.unauthorised and tuple(self.unauthorised),
                self.stated,
                self.edits,
                self.late,
                self.backdated,
                self.source_clock_back,
                self.sources_disagree,
                tuple(self.positions),
            )
        )


_HOUR: Final = timedelta(hours=1)


# Any: an event, or a commit in it, may come leaner than its class.
def backdated(row: ChangeSoFar, event: Any, stamp: datetime) -> bool:
    """
    Say whether an event was recorded after the window that it is told to have happened in.

    More than an hour later, and live: history from elsewhere is always recorded later.
    """
    window = row.window
    if window is None or event.imported or stamp < window.end or event.at is None:
        return False
    last = latest(event.at)
    return window.start <= last < window.end and last < stamp - _HOUR


def _commit(commit: Any) -> Commit:
    """Return a commit as its class has it."""
    if isinstance(commit, Commit):
        return commit
    return Commit(
        id=commit.id,
        authored_at=commit.authored_at,
        committed_at=commit.committed_at,
        pull_request=commit.pull_request,
        opened_at=commit.opened_at,
        merged_at=commit.merged_at,
    )


# --- event by event -------------------------------------------------------------------------------


def _first_known(known: Moment | None, new: Moment | None) -> Moment | None:
    return new if known is None else known


def _said_no(row: ChangeSoFar, guard: str) -> None:
    """Note a guard that would have said no, each once."""
    if guard:
        guards = row.unauthorised
        if not isinstance(guards, dict):
            row.unauthorised = guards = dict.fromkeys(guards)
        guards[guard] = None


def _planned(row: ChangeSoFar, event: Any) -> None:
    imported = event.imported
    row.type = event.type
    row.kind = event.kind
    row.services = interned(event.services)
    row.environment = event.environment
    row.labels = event.labels
    row.risk = event.risk
    row.version = event.version
    row.window = event.window
    row.imported = imported
    row.unplanned = event.unplanned
    row.has_rollback_plan = event.has_rollback_plan
    row.has_monitoring_plan = event.has_monitoring_plan
    row.has_test_plan = event.has_test_plan
    row.requested_by = event.requested_by or (None if imported else event.by)
    row.incident = event.incident
    row.repairs = event.repairs
    row.planned_at = event.at
    _authorise(row, "unknown" if imported else "not asked")
    row.status = event.status or row.status


_OUTSTANDING: Final = "outstanding"
"""What ends only with a ruling, or a revision before the start: no vote makes up for it."""


def _unless(imported: bool, row: ChangeSoFar, word: str) -> str:
    """Return the authorisation after an event; imported history says nothing about it."""
    return str(row.authorisation or "unknown") if imported else word


def _revised(row: ChangeSoFar, event: Any) -> None:
    row.kind = event.kind
    row.services = event.services
    row.risk = event.risk
    row.window = event.window
    row.incident = event.incident
    row.has_rollback_plan = event.has_rollback_plan
    row.has_monitoring_plan = event.has_monitoring_plan
    row.has_test_plan = event.has_test_plan
    _not_asked(row, event)


def _rescoped(row: ChangeSoFar, event: Any) -> None:
    row.environment = event.environment
    row.labels = event.labels
    _not_asked(row, event)


def _corrected_after_approval(row: ChangeSoFar, event: Any) -> None:
    _said_no(row, event.unauthorised)
    row.authorisation = _OUTSTANDING


def _rejected(row: ChangeSoFar, event: Any) -> None:
    before = row.authorisation
    _not_asked(row, event)
    if before == _OUTSTANDING:
        row.authorisation = before


def _not_asked(row: ChangeSoFar, event: Any) -> None:
    row.approved_at = None
    row.authorisation = _unless(event.imported, row, "not asked")
    row.approved_by = ()
    row.status = event.status or row.status


def _submitted(row: ChangeSoFar, event: Any) -> None:
    row.submitted_at = event.at
    if event.template is not None:
        row.approved_at = event.at
        _authorise(row, _unless(event.imported, row, "pre-approved"))
    row.status = event.status or row.status


def _authorise(row: ChangeSoFar, word: str) -> None:
    if row.authorisation != _OUTSTANDING:
        row.authorisation = word


def _approved(row: ChangeSoFar, event: Any) -> None:
    if row.approved_by:
        row.approved_by = names = owned(row.approved_by)
        names.append(event.by)
    else:
        row.approved_by = interned((event.by,))
    if event.imported:
        row.approved_at = event.at
    elif event.status is ChangeStatus.APPROVED:
        row.approved_at = event.at
        _authorise(row, "approved")
    row.status = event.status or row.status


def _approved_afterwards(row: ChangeSoFar, event: Any) -> None:
    _ruled(row, event, "approved afterwards")


def _refused_afterwards(row: ChangeSoFar, event: Any) -> None:
    _ruled(row, event, "refused afterwards")


def _ruled(row: ChangeSoFar, event: Any, word: str) -> None:
    # Nobody elsewhere rules on what began here.
    if row.imported or not event.imported:
        row.authorisation = word


def _scheduled(row: ChangeSoFar, event: Any) -> None:
    row.window = event.window


def _held(row: ChangeSoFar, event: Any) -> None:
    row.holds = with_hold(row.holds, event)


def _released(row: ChangeSoFar, event: Any) -> None:
    row.holds = with_release(row.holds, event.at)


def _started(row: ChangeSoFar, event: Any) -> None:
    row.started_at = event.at
    row.version = event.version or row.version
    if event.outstanding:
        row.authorisation = _OUTSTANDING
    row.status = event.status or row.status


def _commits(row: ChangeSoFar, event: Any) -> None:
    if row.commits or len(event.commits) > 1:
        row.commits = commits = owned(row.commits)
        index = row.commit_index
        if index is None:
            index = row.commit_index = {commit.id: at for at, commit in enumerate(commits)}
        for commit in event.commits:
            at = index.setdefault(commit.id, len(commits))
            commits[at : at + 1] = (commit,)
    else:
        row.commits = event.commits


def _set_deployed(row: ChangeSoFar) -> None:
    """Set when it came into production: at its completion, else with the first share of users."""
    deployed_at = row.completed_at
    if deployed_at is None:
        deployed_at = _first_known(row.first_share_at, row.reached_at)
    row.deployed_at = deployed_at


def _advanced(row: ChangeSoFar, event: Any) -> None:
    row.rollout = rollout = owned(row.rollout)
    rollout.append(RolloutStep(at=event.at, percent=event.percent))
    row.reached_production = True
    if event.percent > 0 and not row.shared:
        row.first_share_at, row.shared = event.at, True
        _set_deployed(row)


def _end(row: ChangeSoFar, event: Any, outcome: Outcome, reached: bool | None) -> None:
    row.ended_at = event.at
    row.outcome = outcome
    # What once reached production has reached it, whatever a later event says of itself.
    row.reached_production = True if row.reached_production else reached
    row.status = event.status or row.status
    _told_past(row, event.unauthorised)


def _told_past(row: ChangeSoFar, guard: str) -> None:
    """Note that something was told past a guard, on which somebody has to rule."""
    if guard:
        _said_no(row, guard)
        row.authorisation = _OUTSTANDING


def _completed(row: ChangeSoFar, event: Any) -> None:
    _end(row, event, Outcome.COMPLETED, reached=True)
    row.completed_at = _first_known(row.completed_at, event.at)
    _set_deployed(row)
    row.version = event.version or row.version


def _in_production(row: ChangeSoFar, event: Any) -> None:
    if row.outcome is None:
        row.outcome, row.ended_at = Outcome.UNKNOWN, event.at
    row.reached_production = True
    row.reached_at = _first_known(row.reached_at, event.at)
    row.status = event.status or row.status
    row.version = event.version or row.version
    _told_past(row, event.unauthorised)
    _set_deployed(row)


def _failed(row: ChangeSoFar, event: Any) -> None:
    _end(row, event, Outcome.FAILED, event.reached_production)
    if event.reached_production:
        row.reached_at = _first_known(row.reached_at, event.at)
        _set_deployed(row)


def _paused(row: ChangeSoFar, event: Any) -> None:
    _said_no(row, event.unauthorised)


def _aborted(row: ChangeSoFar, event: Any) -> None:
    _end(row, event, Outcome.FAILED, reached=event.percent > 0)


def _rolled_back(row: ChangeSoFar, event: Any) -> None:
    _end(row, event, Outcome.ROLLED_BACK, event.reached_production)
    row.rolled_back_at = event.at
    if event.reached_production:
        row.reached_at = _first_known(row.reached_at, event.at)
        _set_deployed(row)


def _recovered(row: ChangeSoFar, event: Any) -> None:
    row.recovered_at = _first_known(row.recovered_at, event.at)
    _said_no(row, event.unauthorised)


def _validated(row: ChangeSoFar, event: Any) -> None:
    row.validated_at = event.at if event.status is ChangeStatus.VALIDATED else None
    if event.passed and row.outcome is not None:
        row.outcome = row.outcome.settled_by(Result.SUCCESSFUL)
    row.status = event.status or row.status
    _said_no(row, event.unauthorised)


def _closed(row: ChangeSoFar, event: Any) -> None:
    row.closed_at = event.at
    row.result = event.result
    row.outcome = row.outcome and row.outcome.settled_by(event.result)
    row.status = event.status or row.status


def _cancelled(row: ChangeSoFar, event: Any) -> None:
    row.closed_at = event.at
    row.status = event.status or row.status


def _observed(row: ChangeSoFar, event: Any) -> None:
    told_here = event.imported and row.imported is False
    row.type = row.type if told_here else event.type
    row.kind = row.kind or event.kind
    row.services = row.services or event.services
    row.environment = row.environment or event.environment
    row.labels = row.labels or event.labels
    row.imported = event.imported if row.imported is None else row.imported
    before = row.outcome
    _completed(row, event)
    row.outcome = before or Outcome.UNKNOWN
    if told_here:  # what a source found authorises nothing, and settles nothing
        row.authorisation = _OUTSTANDING if event.outstanding else row.authorisation
    else:
        row.authorisation = "unknown" if event.imported else _OUTSTANDING


def _stated(row: ChangeSoFar, event: Any) -> None:
    row.stated = {**row.stated, event.what: event.microseconds}


def _withdrew(row: ChangeSoFar, _: Any) -> None:
    row.withdrawn = True


def _reinstated(row: ChangeSoFar, _: Any) -> None:
    row.withdrawn = False


APPLY: Final[Mapping[str, Callable[[ChangeSoFar, Any], None]]] = {
    "ChangePlanned": _planned,
    "SourceWithdrew": _withdrew,
    "SourceReinstated": _reinstated,
    "ChangeRevised": _revised,
    "ChangeRescoped": _rescoped,
    "ContentCorrectedAfterApproval": _corrected_after_approval,
    "ChangeSubmitted": _submitted,
    "ChangeApproved": _approved,
    "VoteGiven": _approved,
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
"""How an event is applied to the row so far, by the name of its type; others change no row."""
