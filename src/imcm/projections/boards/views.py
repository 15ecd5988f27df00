"""
What boards show: an incident, a change, an action item, as they stand, words included.

Moments are aware times, or `Between` where only bounds are known; None where nobody said. Ages are
counted from the midpoint of an uncertain moment, as figures do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import attrs

from imcm.documents.shown import Shown, checked_most
from imcm.domain.change import OF_TIME, Refusal
from imcm.domain.change_events import ChangeStatus
from imcm.domain.incident import OPEN
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.vocabulary import (
    NOTHING_TOLD,
    AttemptResult,
    Audience,
    Authority,
    ChangeType,
    Channel,
    Commit,
    DismissalReason,
    HoldReason,
    Impact,
    Kind,
    MitigationKind,
    Mode,
    Moment,
    Outcome,
    Relation,
    Result,
    Risk,
    Role,
    Severity,
    Symptom,
    Verdict,
    Window,
    checked_time,
)
from imcm.projections.facts.rows import RolloutStep
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.figures.units import utc

if TYPE_CHECKING:
    from imcm.documents.structure import Document

__all__ = [
    "ENDED",
    "ActionItem",
    "Approval",
    "Attempt",
    "ChangeView",
    "IncidentView",
    "LiveVersion",
    "Match",
    "Ready",
    "Reference",
    "RoleHeld",
    "Update",
    "Vote",
]


@attrs.frozen(kw_only=True)
class RoleHeld:
    """A role that somebody holds now, and since when."""

    role: Role
    person: str
    since: Moment | None = None


@attrs.frozen(kw_only=True)
class Update:
    """
    The last thing that was told to colleagues or to the public.

    Attributes:
        at: When something was last told.
        by: Who told it.
        audience: Whom it was told.
        text: What was told; "" where it was taken out.
    """

    at: Moment | None
    by: str
    audience: Audience
    text: str = ""


@attrs.frozen(kw_only=True)
class Attempt:
    """Something that was tried so that users are no longer hurt; *result* None while it runs."""

    number: int
    kind: MitigationKind
    at: Moment | None
    by: str
    change: str | None = None
    note: str = ""
    result: AttemptResult | None = None


@attrs.frozen(kw_only=True)
class Reference:
    """Something elsewhere that belongs to it: a ticket, a dashboard, a runbook."""

    kind: str
    address: str
    title: str = ""


@attrs.frozen(kw_only=True)
class Vote:
    """
    One person's approval of the content as it stands.

    Attributes:
        by: Who gave it.
        authority: In which capacity; None where nobody said.
        at: When.
        why: In their words; "" where it was taken out.
        valid_until: From when on it counts no more; None where it does not lapse.
    """

    by: str
    authority: Authority | None
    at: Moment | None
    why: str = ""
    valid_until: Moment | None = None


@attrs.frozen(kw_only=True)
class ActionItem:
    """
    Something to do so that an incident does not happen again.

    Attributes:
        incident: The incident it comes from.
        number: Which of its action items it is, from 1.
        text: What is to be done; "" where it was taken out.
        owner: Who is to do it; None where nobody was named.
        due: The day by which it is to be done; None where nobody said.
        added_at: When it was added.
        completed_at: When it was done; None where it is not.
        dropped_at: When it was given up; None where it was not.
        status: "open", "done" or "dropped".
        change: The change it was done by, where one was named.
        services: Those that its incident hit.
    """

    incident: str
    number: int
    text: str = ""
    owner: str | None = None
    due: date | None = None
    added_at: Moment | None = None
    completed_at: Moment | None = None
    dropped_at: Moment | None = None
    status: str = "open"
    change: str | None = None
    services: tuple[str, ...] = ()

    def overdue(self, today: date) -> bool:
        """Say whether it is open, and its day is over."""
        return self.status == "open" and self.due is not None and self.due < today

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        plain: dict[str, Any] = jsonable(self)
        return plain


ENDED: Final = frozenset({ChangeStatus.CLOSED, ChangeStatus.CANCELLED})
"""Statuses of a change of which nothing more is to come."""


def _age(since: Moment | None, now: datetime) -> timedelta | None:
    """Return the time since a moment; None where it is not known."""
    return None if since is None else checked_time("now", now) - utc(since)


@attrs.frozen(kw_only=True)
class IncidentView(Shown):
    """
    Everything that stands of one incident, corrections applied, words included.

    Attributes:
        id: Its id, without "incident:".
        title: What it is called; "" where nothing was given, or it was taken out.
        status: Where it stands. *Open* are detected, triaged, mitigating and mitigated. Nothing is
            what was only recorded by mistake, and voided.
        severity: The one it has now; None where nobody gave one.
        severity_name: What the team's scale calls that.
        severity_highest: The worst that it, or an incident merged into it, ever had.
        services: Those it hit.
        environment: Where it is, as the team calls it; None means production.
        labels: Names and values, as recorded or corrected.
        symptom: What was seen of it.
        channel: How it was noticed.
        monitor: Which monitor noticed it.
        mode: Whether it is real, or only tried.
        impact: Who is hit, as far as was said.
        impact_started_at: Since when users were hit.
        detected_at: When it was noticed first.
        declared_at: When it was first called an incident.
        acknowledged_at: When somebody first took it on.
        triaged_at: When it was first given its severity.
        mitigated_at: When users were last no longer hurt; None while they are, or nobody said.
        resolved_at: When service was last restored; None while it is not.
        closed_at: When it was last closed; None while it is not.
        reopenings: How many times it was reopened after it was over.
        on_hold: Why work waits for somebody else; None where it does not.
        held_since: Since when it waits.
        roles: Who holds which role now, in the order in which they took them.
        last_update: The last thing that was told to colleagues or to the public.
        updates: How many such things were told.
        attempts: What was tried so that users are no longer hurt, the first one first.
        verdicts: By the ids of changes, what the last verdict on each says.
        dismissed: Why it was no incident after all; None where it was one.
        withdrawn: Its source has it no more: it is in no figure.
        merged_into: The incident that it is merged into: ask there. None where it is in none.
        merged: The incidents that are merged into this one.
        parent: The incident that it is a child of.
        related: What it is to other incidents, by their ids.
        milestones: When each of the team's own was reached, as often as it was.
        references: What belongs to it elsewhere: tickets, dashboards, runbooks.
        problems: The problem records it is linked to.
        actions: Its action items, the first one first.
        reviewed: Whether a review covers its last resolution; False where it was never resolved.
        reviewed_at: When the last review was.
        cause_tags: The causes that its reviews found, in words of the team's list.
        causes: The causes that its reviews found, in words of their own.
        imported: Whether it is history from elsewhere.
        unread: How many of its events this version can't read: what stands may be other.
        version: How many events were recorded of it.
        last_recorded_at: When the ledger recorded the last of them, in UTC.
        first_position: Where in the log the first of them stands.
        last_position: Where in the log the last of them stands.
    """

    id: str
    title: str = ""
    status: IncidentStatus = IncidentStatus.NOTHING
    severity: Severity | None = None
    severity_name: str | None = None
    severity_highest: Severity | None = None
    services: tuple[str, ...] = ()
    environment: str | None = None
    labels: Mapping[str, str] = NOTHING_TOLD
    symptom: Symptom | None = None
    channel: Channel | None = None
    monitor: str | None = None
    mode: Mode = Mode.REAL
    impact: Impact | None = None
    impact_started_at: Moment | None = None
    detected_at: Moment | None = None
    declared_at: Moment | None = None
    acknowledged_at: Moment | None = None
    triaged_at: Moment | None = None
    mitigated_at: Moment | None = None
    resolved_at: Moment | None = None
    closed_at: Moment | None = None
    reopenings: int = 0
    on_hold: HoldReason | None = None
    held_since: Moment | None = None
    roles: tuple[RoleHeld, ...] = ()
    last_update: Update | None = None
    updates: int = 0
    attempts: tuple[Attempt, ...] = ()
    verdicts: Mapping[str, Verdict] = NOTHING_TOLD
    dismissed: DismissalReason | None = None
    withdrawn: bool = False
    merged_into: str | None = None
    merged: tuple[str, ...] = ()
    parent: str | None = None
    related: Mapping[str, Relation] = NOTHING_TOLD
    milestones: Mapping[str, tuple[Moment | None, ...]] = NOTHING_TOLD
    references: tuple[Reference, ...] = ()
    problems: tuple[str, ...] = ()
    actions: tuple[ActionItem, ...] = ()
    reviewed: bool = False
    reviewed_at: Moment | None = None
    cause_tags: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    imported: bool = False
    unread: int = 0
    version: int = 0
    last_recorded_at: datetime | None = None
    first_position: int = 0
    last_position: int = 0

    def __repr__(self) -> str:
        """Return what stands of it in one line."""
        from imcm.projections.boards.display import view_line  # which knows this class, too

        return f"<{view_line(self)}>"

    def document(self, *, most: int | None = None) -> Document:
        """Return what stands of it as a document; see `imcm.documents`."""
        from imcm.projections.boards.display import view_document

        checked_most(most)  # of fields there are few
        return view_document(self)

    @property
    def is_open(self) -> bool:
        """Whether it is not over: detected, triaged, mitigating or mitigated."""
        return self.status in OPEN

    @property
    def commander(self) -> str | None:
        """Who leads it; None where nobody does."""
        return next(
            (held.person for held in self.roles if held.role is Role.INCIDENT_COMMANDER), None
        )

    @property
    def suspected(self) -> tuple[str, ...]:
        """The changes that are suspected, or confirmed, to have caused it."""
        wanted = {Verdict.SUSPECTED, Verdict.CAUSED}
        return tuple(change for change, verdict in self.verdicts.items() if verdict in wanted)

    @property
    def open_actions(self) -> int:
        """How many of its action items are open."""
        return sum(action.status == "open" for action in self.actions)

    def age(self, now: datetime) -> timedelta | None:
        """Return the time since it was detected; None where nobody knows when that was."""
        return _age(self.detected_at, now)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        plain: dict[str, Any] = jsonable(self)
        return plain | {"commander": self.commander, "suspected": list(self.suspected)}


@attrs.frozen(kw_only=True)
class ChangeView(Shown):
    """
    Everything that stands of one change, corrections applied, words included.

    Attributes:
        id: Its id, without "change:".
        title: What it is called; "" where nothing was given, or it was taken out.
        description: What it does; "" as with the title.
        status: Where it stands. *Ended* are closed and cancelled. Nothing is what was only recorded
            by mistake, and voided.
        type: By which rules it is authorised; observed is what nobody had asked for.
        kind: What is being changed.
        risk: What it is rated.
        services: Those it changes.
        environment: Where, as the team calls it; None means production.
        labels: Names and values, as recorded or corrected.
        deployed_version: What of its services it brings in.
        window: When it is planned or scheduled for; None where nobody said.
        requested_by: Who asked for it.
        planned_by: Who planned it.
        incident: The incident it is for.
        repairs: The earlier change that it repairs.
        template: The name of the recipe that a standard change follows.
        rollback_plan: How to take it back; "" where nothing was given, or it was taken out.
        monitoring_plan: What is watched meanwhile; "" as with the roll back.
        test_plan: How it was or will be tested; "" as with the roll back.
        has_rollback_plan: Whether a way to take it back was given, also where it was taken out.
        has_monitoring_plan: Whether it was given what is watched.
        has_test_plan: Whether it was given how it is tested.
        votes: The approvals of the content as it stands; of earlier content they are void.
        quorum: How many the last vote needed; None where there was none.
        rejected_why: Why it was last sent back; "" where it was not, or nobody said.
        withdrawn: Its source has it no more: it is in no figure.
        authorisation: "approved", "pre-approved", "approved afterwards", "refused afterwards",
            "outstanding", "not asked" or "unknown", as in facts.
        unauthorised: Guards that would have said no to what was done, each once.
        planned_at: When it was planned.
        submitted_at: When it was last submitted for approval.
        approved_at: When it was approved; None where it was not, or its content is another one now.
        started_at: When the work began.
        deployed_at: When it came into production, or into the environment that it is for.
        ended_at: When the work was over: completed, failed, aborted or rolled back.
        rolled_back_at: When it was taken back.
        recovered_at: When service was back after it had failed.
        validated_at: When it was found to do what it should.
        closed_at: When it was closed.
        reached_production: False where it is known that nothing of it got there; None where nobody
            said.
        outcome: How the work ended; unknown where it is in production and nobody said.
        result: What its close said of it.
        percent: The share of users that a rollout reached so far, 0 to 100; None where there is
            none.
        percent_since: Since when it is that share.
        paused: Whether the rollout waits.
        rollout: All of its steps.
        on_hold: Why it waits for somebody else; None where it does not.
        held_since: Since when it waits.
        commits: What travels with it.
        references: What belongs to it elsewhere: tickets, dashboards, runbooks.
        imported: Whether it is history from elsewhere.
        unread: How many of its events this version can't read: what stands may be other.
        version: How many events were recorded of it.
        last_recorded_at: When the ledger recorded the last of them, in UTC.
        first_position: Where in the log the first of them stands.
        last_position: Where in the log the last of them stands.
    """

    id: str
    title: str = ""
    description: str = ""
    status: ChangeStatus = ChangeStatus.NOTHING
    type: ChangeType = ChangeType.NORMAL
    kind: Kind | None = None
    risk: Risk | None = None
    services: tuple[str, ...] = ()
    environment: str | None = None
    labels: Mapping[str, str] = NOTHING_TOLD
    deployed_version: str | None = None
    window: Window | None = None
    requested_by: str | None = None
    planned_by: str | None = None
    incident: str | None = None
    repairs: str | None = None
    template: str | None = None
    rollback_plan: str = ""
    monitoring_plan: str = ""
    test_plan: str = ""
    has_rollback_plan: bool = False
    has_monitoring_plan: bool = False
    has_test_plan: bool = False
    votes: tuple[Vote, ...] = ()
    quorum: int | None = None
    rejected_why: str = ""
    withdrawn: bool = False
    authorisation: str = "not asked"
    unauthorised: tuple[str, ...] = ()
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
    outcome: Outcome | None = None
    result: Result | None = None
    percent: float | None = None
    percent_since: Moment | None = None
    paused: bool = False
    rollout: tuple[RolloutStep, ...] = ()
    on_hold: HoldReason | None = None
    held_since: Moment | None = None
    commits: tuple[Commit, ...] = ()
    references: tuple[Reference, ...] = ()
    imported: bool = False
    unread: int = 0
    version: int = 0
    last_recorded_at: datetime | None = None
    first_position: int = 0
    last_position: int = 0

    def __repr__(self) -> str:
        """Return what stands of it in one line."""
        from imcm.projections.boards.display import view_line  # which knows this class, too

        return f"<{view_line(self)}>"

    def document(self, *, most: int | None = None) -> Document:
        """Return what stands of it as a document; see `imcm.documents`."""
        from imcm.projections.boards.display import view_document

        checked_most(most)  # of fields there are few
        return view_document(self)

    @property
    def is_ended(self) -> bool:
        """Whether nothing more is to come: closed or cancelled."""
        return self.status in ENDED

    def age(self, now: datetime) -> timedelta | None:
        """Return the time since it was planned; None where nobody knows when that was."""
        return _age(self.planned_at, now)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        plain: dict[str, Any] = jsonable(self)
        return plain


@attrs.frozen(kw_only=True)
class Approval:
    """
    A change that waits for a vote or for a ruling, and whether somebody may give it.

    Attributes:
        change: The change that waits.
        waits_for: "approval", or "ruling" where it went in without one.
        since: From when it waits: its submission, or the end of what went in.
        possible: Whether the person asked for may give it; None where nobody was asked for.
        capacities: In which capacities that person may.
        guard, why: What says no to that person, and why; "" where nothing does.
        due: By when a ruling has to be given, as the policy says; None where nobody does.
        counting: How many of its votes count; 0 for a ruling.
        missing: What the approval still lacks, in words: "1 more and 1 as cab"; "" for a ruling.
        votes_until: When the first of the votes that count lapses; None where none does.
    """

    change: ChangeView
    waits_for: str
    since: Moment | None = None
    due: datetime | None = None
    counting: int = 0
    missing: str = ""
    votes_until: datetime | None = None
    possible: bool | None = None
    capacities: tuple[Authority, ...] = ()
    guard: str = ""
    why: str = ""

    def age(self, now: datetime) -> timedelta | None:
        """Return how long it has waited; None where nobody knows since when."""
        return _age(self.since, now)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        plain: dict[str, Any] = jsonable(self)
        return plain


@attrs.frozen(kw_only=True)
class Ready:
    """
    A change that is approved, or an emergency that may start before, and whether it may now.

    Attributes:
        change: The change.
        refusals: Every guard that says no, and why; () where it may start.
        opens_at: When it may start, where time alone is missing: inside its window, outside of
            freezes, in maintenance; None where it may now, something else is missing, or that time
            does not come.
        votes_until: From when on too few of its votes count; None where none of them lapses.
    """

    change: ChangeView
    refusals: tuple[Refusal, ...] = ()
    opens_at: datetime | None = None
    votes_until: datetime | None = None

    @property
    def may_start(self) -> bool:
        """Whether it may start."""
        return not self.refusals

    @property
    def stuck(self) -> bool:
        """Whether time alone is in its way, and as it stands that time never comes."""
        guards = {guard for guard, _ in self.refusals}
        return bool(guards) and guards <= OF_TIME and self.opens_at is None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        plain: dict[str, Any] = jsonable(self)
        return {**plain, "may_start": self.may_start, "stuck": self.stuck}


@attrs.frozen(kw_only=True)
class LiveVersion:
    """
    What of one service is in production at a time.

    Attributes:
        service, environment: Of what, and where; None is production that nobody named.
        version: What its change called it; None where it said none.
        change: The change that brought it in.
        since: From when it is live: its deployment, or the roll back of the one after it.
        by_rollback_of: The change whose roll back brought it back; None where it was deployed.
        replaced: The change whose version was live before it, and *replaced_version* that; None
            where none is known.
        status: Where its change stands: a rollout may still be on its way to everybody.
        percent: The share of users it reached; None where it was no rollout.
    """

    service: str
    environment: str | None
    version: str | None
    change: str
    since: Moment | None
    by_rollback_of: str | None = None
    replaced: str | None = None
    replaced_version: str | None = None
    status: ChangeStatus = ChangeStatus.NOTHING
    percent: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        plain: dict[str, Any] = jsonable(self)
        return plain


@attrs.frozen(kw_only=True)
class Match:
    """
    An incident or a change in which something asked for was found.

    Attributes:
        kind: "incident" or "change".
        id, title, status, services: Its own.
    """

    kind: str
    id: str
    title: str = ""
    status: str = ""
    services: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        plain: dict[str, Any] = jsonable(self)
        return plain
