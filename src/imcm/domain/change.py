"""
A change, from its plan to its close.

    (nothing) --plan--> draft --submit--> submitted --approve--> approved --start--> implementing
    draft --submit (standard)--> approved          submitted --start (emergency)--> implementing
    implementing --complete | fail | roll_back | abort_rollout--> implemented
    implemented --validate--> validated            implemented | validated --close--> closed
    draft | submitted | approved --cancel--> cancelled
    (nothing) | draft | submitted | approved | cancelled --observe--> implemented

*Asking* steps (submit, approve, schedule, start, advance_rollout) can be refused by policy and
hold. *Telling* steps record what production did; they are never refused by those, and what was
not allowed is marked `unauthorised` with the guard that said no.

The file reads in one order: events, state, evolve, the table, the steps.

Args:
    by: Id of who, or what, does it: a person or a tool, such as "lena" or "pipeline". One person
        has one vote, however the id is spelt.
    at: When it happened in the world, with a time zone; `Between(earliest=..., latest=...)` where
        that is all that is known. It may lie in the past, but not before the first moment of the
        change, and at most five minutes after the ledger's clock.
    why: The reason, in words; where it is required, not blank.
    note: More about it, in words.
    policy: The team's rules. A ledger that adopted some has them, and none is given.
    also: The policy that it was submitted under, where another one is in force by now: then what
        both ask for is needed. A ledger that adopted rules gives it.
    context: What `views.context(id, ...)` gathers of other streams, where the policy asks for it.
    canary, baseline: What it was judged by: requests and errors with it, and without it.
    authority: In which capacity somebody decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import MAXYEAR, UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, get_args

import attrs

from imcm.documents.shown import checked_most, html_of
from imcm.domain.change_events import (
    CONTENT,
    CORRECTABLE,
    ChangeApproved,
    ChangeApprovedRetroactively,
    ChangeCancelled,
    ChangeClosed,
    ChangeCompleted,
    ChangeDeployed,
    ChangeEvent,
    ChangeFact,
    ChangeFailed,
    ChangeHeld,
    ChangeObserved,
    ChangePlanned,
    ChangeRecovered,
    ChangeRejected,
    ChangeReleased,
    ChangeRescoped,
    ChangeRevised,
    ChangeReworded,
    ChangeRolledBack,
    ChangeScheduled,
    ChangeStarted,
    ChangeStatus,
    ChangeSubmitted,
    ChangeValidated,
    CommitsRecorded,
    ContentCorrectedAfterApproval,
    FreezeOverridden,
    RetroactiveApprovalRefused,
    RolloutAborted,
    RolloutAdvanced,
    RolloutPaused,
    StepRefusedRecorded,
    Template,
    VoteGiven,
)
from imcm.domain.corrections import (
    CORRECTIONS,
    EDIT_CLASSES,
    EDITS,
    VOID_GUARDS,
    CorrectableValue,
    DurationStated,
    EventVoided,
    ReferenceAdded,
    SourceReinstated,
    SourceSaid,
    SourceWithdrew,
    WordsRedacted,
    correction,
    correction_guards,
    past_standing,
    reference,
    replaced,
    voided,
)
from imcm.domain.growing import FEW, emptied, frozen, thawed, told
from imcm.domain.imported import (
    corrected,
    decided_before,
    news,
    place_after,
    relabelled,
    status_after,
    with_status,
)
from imcm.domain.lifecycle import (
    Answers,
    Ask,
    Guard,
    Rule,
    answers,
    before_first,
    changed,
    checked_events,
    checked_state,
    confirmed,
    first_moment,
    incomplete,
    quickly_replaced,
    require,
    strange_event,
    tried,
)
from imcm.domain.policy import (
    DEFAULT_POLICY,
    AgentStep,
    Content,
    Policy,
    Quorum,
    checked_policy,
)
from imcm.domain.policy.context import Context, checked_context
from imcm.domain.policy.plans import PlanPart
from imcm.domain.policy.scope import named_people
from imcm.domain.vocabulary import (
    NOTHING_TOLD,
    Actor,
    Authority,
    ChangeType,
    Commit,
    Counts,
    HoldReason,
    Kind,
    Moment,
    Outcome,
    Result,
    Risk,
    Window,
    checked_commits,
    checked_counts,
    checked_flag,
    checked_id,
    checked_labels,
    checked_member,
    checked_moment,
    checked_number,
    checked_services,
    checked_text,
    checked_time,
    checked_window,
    checked_words,
    earliest,
    folded,
    is_list,
    latest,
    optional_id,
    optional_known_id,
    optional_moment,
    required_words,
    says_something,
    time_after,
)
from imcm.errors import InvalidValue

if TYPE_CHECKING:
    from imcm.documents.structure import Document
    from imcm.domain.policy.freezes import Freeze, MaintenanceWindow
    from imcm.domain.policy.judging import CanaryPlan, CanaryVerdict
    from imcm.domain.policy.rollouts import RolloutRule

Status = ChangeStatus


# --- state ----------------------------------------------------------------------------------------


class VoteHeld(NamedTuple):
    """A vote that somebody gave, which may have lapsed since; *version* is that of its event."""

    authority: Authority
    at: Moment | None = None
    until: datetime | None = None  # as the vote itself says; a policy may let it lapse earlier
    version: int = 0


class Checked(NamedTuple):
    """The latest result of a check, and when it was told."""

    passed: bool
    at: Moment | None = None


class Seen(NamedTuple):
    """What was counted at one step of a rollout: with the change, and without it."""

    percent: float
    canary: Counts
    baseline: Counts


class Override(NamedTuple):
    """A stretch of a freeze in which a change may start, by whose word, under which rules."""

    since: datetime
    until: datetime
    by: str
    policy: tuple[str, str] | None = None


@quickly_replaced
class Change(NamedTuple):
    """
    What a step needs to know of a change in order to decide, and no more.

    Attributes:
        past: All events of the stream, oldest first: a version is a place in it, from 1.
        first: The first of all moments that stand, or may be; None where none is known.
        content: Version of the event that holds the content as it stands.
        barred: Folded ids of those who asked for, planned, revised or submitted it.
        votes: The votes for the content as it is, by folded ids; some may have lapsed.
        other_content: Its content was corrected after it was asked to be approved, by a source or
            after the work began, and not revised since.
        rejected: It was rejected once; such an emergency needs approval before it starts.
        within: The approved window that the work began in; None where it has none, or began
            before it was approved.
        percent: Share of users reached by a rollout; None where there is no rollout.
        outstanding: Something about it went past its approval: it went in without, a guard would
            have said no to how it ended, or other content was approved. Nobody has ruled on it yet.
        checks: The latest result of each check, and when it was told.
        status: Where it stands.
        type, kind, services, environment, labels, risk, incident, window: As planned, revised and
            corrected.
        has_rollback_plan, has_monitoring_plan, has_test_plan: Whether there is one.
        scheduled: The window it is scheduled for.
        on_hold: What it waits for; None where it does not.
        rollout_plan: The steps of it that were planned, in percent.
        stage_since: When the step that it is at began: at its start, or when it went up; the later
            time where that was corrected.
        looks: What each step was judged by, by version: errors with it and without it, and at
            which percent.
        paused: Whether its rollout is.
        commits: Ids of the commits that it brings.
        outcome: How the work ended; None while it has not.
        ruled: Whether somebody ruled on what was outstanding.
        recovered: Whether service was said to be good again.
        references: Addresses of what was referred to, and of which kind each is.
        overridden: Which stretches of each freeze are overridden, by its name.
        lived: Whether something of it was recorded here, and not only brought in.
        submitted_under: Name and version of the policy it was submitted under; None where it was
            not, or nobody knows.
    """

    status: ChangeStatus = Status.NOTHING
    past: tuple[ChangeEvent, ...] = ()
    first: datetime | None = None
    content: int = 0
    type: ChangeType = ChangeType.NORMAL
    kind: Kind | None = None
    services: tuple[str, ...] = ()
    environment: str | None = None
    labels: Mapping[str, str] = NOTHING_TOLD
    risk: Risk | None = None
    incident: str | None = None
    has_rollback_plan: bool = False
    has_monitoring_plan: bool = False
    has_test_plan: bool = False
    window: Window | None = None
    scheduled: Window | None = None
    barred: frozenset[str] = frozenset()
    votes: Mapping[str, VoteHeld] = NOTHING_TOLD
    other_content: bool = False
    rejected: bool = False
    on_hold: HoldReason | None = None
    within: Window | None = None
    percent: float | None = None
    rollout_plan: tuple[float, ...] = ()
    stage_since: Moment | None = None
    looks: Mapping[int, Seen] = NOTHING_TOLD
    paused: bool = False
    commits: frozenset[str] = frozenset()
    outcome: Outcome | None = None
    outstanding: bool = False
    ruled: bool = False
    recovered: bool = False
    checks: Mapping[str, Checked] = NOTHING_TOLD
    references: Mapping[str, str] = NOTHING_TOLD
    overridden: Mapping[str, tuple[Override, ...]] = NOTHING_TOLD
    lived: bool = False
    submitted_under: tuple[str, str] | None = None

    @property
    def voters(self) -> frozenset[str]:
        """Folded ids of those who approved the content as it is, also where that lapsed."""
        return frozenset(self.votes)

    def __repr__(self) -> str:
        """Show what stands, and of the past only how long it is."""
        fields = {**self._asdict(), "past": f"<{len(self.past)} events>"}
        told = (f"{n}={v!s}" if n == "past" else f"{n}={v!r}" for n, v in fields.items())
        return f"Change({', '.join(told)})"

    def document(self, *, most: int | None = None) -> Document:
        """Return what stands as a document; of the past only how long it is."""
        checked_most(most)  # of fields there are few
        from imcm.documents.fields import fields_document

        title = f"change, {self.status.value}, after {len(self.past):,} events"
        return fields_document(title, self, leave_out=("past",))

    def _repr_html_(self) -> str:
        """Return what stands for a notebook, every text escaped."""
        return html_of(self)


INITIAL: Final = Change()

# --- evolve ---------------------------------------------------------------------------------------


def evolve(change: Change, event: ChangeEvent) -> Change:
    """Return the change as it is after *event*: it copies, and never refuses."""
    past = (*checked_state("change", change, Change).past, event)
    if event.__class__ in EDIT_CLASSES:
        # These change what stood before them: what stands is told again from the start, so
        # `_next` needs to know of none of them.
        return fold(past)
    after = _next(change, event, len(past))  # type: ignore[arg-type]  # all others tell facts
    first = first_moment(change.first, _moments((event,)))
    return after._replace(past=past, first=first)


def fold(events: Iterable[ChangeEvent]) -> Change:
    """Return the change as it is after all *events* of its stream, oldest first."""
    past = checked_events("events", events)
    few = len(past) <= FEW
    change = INITIAL if few else thawed(INITIAL)
    stands: Mapping[int, ChangeFact] = past_standing(past)
    for version, event in stands.items():
        change = _next(change, event, version)
    if len(stands) < len(past):
        change = _despite_edits(change, past, stands)
    first = first_moment(None, _moments(stands.values()))
    change = change._replace(past=past, first=first)
    return change if few else frozen(change)


def _despite_edits(change: Change, past: Sequence[Any], stands: Mapping[int, ChangeFact]) -> Change:
    """
    Return a state in which what was voided or corrected opens no door.

    Who once asked for, planned, revised or submitted it stays barred, though that was voided; and
    the step that a rollout is at began no earlier, and a check was made no later, than was first
    said. Any: events of all kinds.
    """
    asked = (*_CONTENT_EVENTS, ChangeSubmitted)
    gone = [
        event
        for version, event in enumerate(past, start=1)
        if version not in stands and isinstance(event, asked) and not event.imported
    ]
    people = _people(*(who for event in gone for who in (event.by, _requester(event))))
    barred = change.barred | people
    since = change.stage_since
    if since is not None:
        stages = (ChangeStarted, RolloutAdvanced)
        last = max((v for v, event in stands.items() if isinstance(event, stages)), default=0)
        written: Moment | None = past[last - 1].at if last else None
        if written is not None and latest(written) > latest(since):
            since = written
    return change._replace(
        barred=frozenset(barred), stage_since=since, checks=_as_first_dated(change, past, stands)
    )


def _as_first_dated(
    change: Change, past: Sequence[Any], stands: Mapping[int, ChangeFact]
) -> Mapping[str, Checked]:
    """Return the checks, none of which is younger than it was first said to be."""
    checks = change.checks
    for version, event in stands.items():
        if isinstance(event, ChangeValidated) and event.check in checks:
            written: Moment | None = past[version - 1].at
            told_at = checks[event.check].at
            if written is None or told_at is None or event.at != told_at:
                continue
            if earliest(written) < earliest(told_at):
                checks = told(checks, event.check, Checked(checks[event.check].passed, written))
    return checks


def _requester(event: ChangeEvent) -> str | None:
    return event.requested_by if isinstance(event, ChangePlanned) else None


def _moments(events: Iterable[Any]) -> Iterator[Moment | None]:
    """Yield when what happened did; what was refused did not. Any: events of all kinds."""
    for event in events:
        if not isinstance(event, StepRefusedRecorded):
            yield event.at


def _people(*people: str | None) -> frozenset[str]:
    return frozenset(folded(person) for person in people if person is not None)


def _approved(change: Change, event: ChangeApproved | VoteGiven, version: int) -> Change:
    """
    Return the change after one more approval.

    An imported approval is a moment and no vote. A vote for content that was voided since is none.
    """
    if event.imported:
        return change._replace(status=event.status or change.status)
    if event.content != change.content:
        return change
    until = None if isinstance(event, ChangeApproved) else event.valid_until
    ends = None if until is None else earliest(until)
    held = VoteHeld(event.authority or Authority.PEER, event.at, ends, version)
    votes = told(change.votes, folded(event.by), held)
    return change._replace(status=event.status or change.status, votes=votes, lived=True)


def _told(
    change: Change,
    event: ChangeCompleted | ChangeDeployed | ChangeFailed | RolloutAborted | ChangeRolledBack,
    *,
    outcome: Outcome,
) -> Change:
    return change._replace(
        status=event.status or change.status,
        outcome=outcome,
        outstanding=change.outstanding or bool(event.unauthorised),
    )


def _looked(
    change: Change, event: RolloutAdvanced | RolloutPaused | StepRefusedRecorded, version: int
) -> Change:
    if event.canary is None or event.baseline is None:
        return change
    look = Seen(change.percent or 0.0, event.canary, event.baseline)
    return change._replace(looks=told(change.looks, version, look))


def _next(change: Change, event: ChangeFact, version: int) -> Change:
    match event:
        case ChangePlanned():
            return change._replace(
                status=event.status,
                content=version,
                lived=not event.imported,
                type=event.type,
                kind=event.kind,
                services=event.services,
                environment=event.environment,
                labels=event.labels,
                risk=event.risk,
                incident=event.incident,
                window=event.window,
                has_rollback_plan=event.has_rollback_plan,
                has_monitoring_plan=event.has_monitoring_plan,
                has_test_plan=event.has_test_plan,
                barred=change.barred | _people(event.by, event.requested_by),
            )
        case ChangeRevised():
            return change._replace(
                status=event.status or change.status,
                content=version,
                kind=event.kind,
                services=event.services,
                risk=event.risk,
                incident=event.incident,
                window=event.window,
                scheduled=None,
                has_rollback_plan=event.has_rollback_plan,
                has_monitoring_plan=event.has_monitoring_plan,
                has_test_plan=event.has_test_plan,
                barred=change.barred | _people(event.by),
                votes=emptied(change.votes),
                overridden=emptied(change.overridden),
                outstanding=change.outstanding and event.imported,
                other_content=change.other_content and event.imported,
                lived=change.lived or not event.imported,
            )
        case ChangeRescoped():
            return change._replace(
                status=event.status or change.status,
                content=version,
                environment=event.environment,
                labels=event.labels,
                barred=change.barred | _people(event.by),
                votes=emptied(change.votes),
                overridden=emptied(change.overridden),
                outstanding=change.outstanding and event.imported,
                other_content=change.other_content and event.imported,
                lived=change.lived or not event.imported,
            )
        case ContentCorrectedAfterApproval():
            return change._replace(outstanding=True, other_content=True)
        case ChangeSubmitted():
            if event.imported and change.lived:
                # Nobody elsewhere says under which rules it was put up here.
                return change._replace(status=event.status or change.status)
            under = event.policy
            return change._replace(
                status=event.status or change.status,
                barred=change.barred | _people(event.by),
                submitted_under=None if under is None else (under.name, under.version),
                lived=change.lived or not event.imported,
            )
        case ChangeApproved() | VoteGiven():
            return _approved(change, event, version)
        case ChangeRejected():
            return change._replace(
                status=event.status or change.status,
                votes=emptied(change.votes),
                rejected=True,
            )
        case ChangeStarted():
            return change._replace(
                status=event.status or change.status,
                outstanding=change.outstanding or event.outstanding,
                lived=change.lived or not event.imported,
                within=None if event.outstanding else change.scheduled or change.window,
                percent=0.0 if event.rollout_plan else None,
                rollout_plan=event.rollout_plan,
                stage_since=event.at,
            )
        case CommitsRecorded():
            return change._replace(commits=change.commits | {c.id for c in event.commits})
        case RolloutAdvanced() | RolloutPaused() if event.imported and change.lived:
            return change  # what a source says of it takes no step of what is judged here
        case RolloutAdvanced():
            looked = _looked(change, event, version)
            return looked._replace(percent=event.percent, stage_since=event.at, paused=False)
        case ChangeCompleted():
            return _told(change, event, outcome=Outcome.COMPLETED)
        case ChangeDeployed():
            return _told(change, event, outcome=change.outcome or Outcome.UNKNOWN)
        case ChangeFailed() | RolloutAborted():
            return _told(change, event, outcome=Outcome.FAILED)
        case ChangeRolledBack():
            return _told(change, event, outcome=Outcome.ROLLED_BACK)
        case ChangeValidated() if (
            event.imported and change.lived and change.status is Status.IMPLEMENTING
        ):
            return change  # nor does it pass a check that the next step waits for
        case ChangeValidated():
            checks = told(change.checks, event.check, Checked(event.passed, event.at))
            outcome = change.outcome
            if event.passed and outcome is not None:
                outcome = outcome.settled_by(Result.SUCCESSFUL)
            return change._replace(
                status=event.status or change.status, checks=checks, outcome=outcome
            )
        case ChangeClosed():
            return change._replace(
                status=event.status or change.status,
                outcome=change.outcome and change.outcome.settled_by(event.result),
            )
        case ChangeCancelled():
            return change._replace(status=event.status or change.status)
        case ChangeApprovedRetroactively() | RetroactiveApprovalRefused():
            if event.imported and change.lived:
                return change  # nobody elsewhere rules on what is judged here
            return change._replace(outstanding=False, ruled=True)
        case ChangeScheduled():
            return change._replace(scheduled=event.window)
        case FreezeOverridden():
            if event.imported:
                return change  # history lets nothing through that is still to come
            rules = event.policy
            named = None if rules is None else (rules.name, rules.version)
            mine = Override(earliest(event.since), latest(event.until), event.by, named)
            before = change.overridden.get(event.freeze, ())
            overridden = told(change.overridden, event.freeze, (*before, mine))
            return change._replace(overridden=overridden)
        case ChangeHeld():
            return change._replace(on_hold=event.reason)
        case ChangeReleased():
            return change._replace(on_hold=None)
        case ChangeObserved():
            return change._replace(
                status=event.status or change.status,
                type=change.type if event.imported and change.lived else event.type,
                kind=change.kind or event.kind,
                services=change.services or event.services,
                environment=change.environment or event.environment,
                labels=change.labels or event.labels,
                outcome=change.outcome or Outcome.UNKNOWN,
                outstanding=event.outstanding or (change.outstanding and event.imported),
                lived=change.lived or not event.imported,
            )
        case RolloutPaused():
            return _looked(change, event, version)._replace(paused=True)
        case ChangeRecovered():
            return change._replace(recovered=True)
        case ReferenceAdded():
            return change._replace(references=told(change.references, event.address, event.kind))
        case StepRefusedRecorded():
            return _looked(change, event, version)  # what it was refused for stays so
        case (
            ChangeReworded()
            | DurationStated()
            | WordsRedacted()
            | SourceSaid()
            | SourceWithdrew()
            | SourceReinstated()
        ):
            return change
        case _:
            raise strange_event(event, "change")


# --- the table ------------------------------------------------------------------------------------

_Ask: TypeAlias = Ask[Change]


def _not_before_first(change: Change, ask: _Ask) -> str | None:
    if not before_first(ask.at, change.first, change.past):
        return None
    return (
        f"at={ask.at} lies before the change's first moment, {change.first}; if that moment is "
        "wrong, correct it first"
    )


def _not_held(change: Change, _: _Ask) -> str | None:
    if change.on_hold is None:
        return None
    return f"it is on hold (waiting for {change.on_hold.value}); release it first"


def _has_plans(change: Change, ask: _Ask) -> str | None:
    there = _said_by_plan(change)
    normal = change.type is ChangeType.NORMAL
    lacks = [part.value for part in _NORMAL_NEEDS if normal and part not in there]
    why = f"a normal change needs {' and '.join(lacks)}; revise it" if lacks else ""
    content, kinds = content_of(change), set(change.references.values())
    rules = [rule for rule in ask.policy.plans if rule.is_about(content)]
    lacks = [part for rule in rules for part in rule.missing(there, kinds) if part not in lacks]
    if not lacks:
        return why or None
    under = f"under policy {ask.policy.name} {ask.policy.version}"
    all_of_it = " and ".join(dict.fromkeys(lacks))
    return (
        f"{why}{'; ' if why else ''}{under} it needs {all_of_it}; revise it, or refer to what it "
        "lacks"
    )


def _has_plans_to_vote_on(change: Change, ask: _Ask) -> str | None:
    """What was revised since it was submitted has to say what it had to say then."""
    stands = past_standing(change.past).items()
    submitted = [v for v, each in stands if isinstance(each, ChangeSubmitted) and not each.imported]
    if submitted and change.content < max(submitted):
        return None
    return _has_plans(change, ask)


_NORMAL_NEEDS: Final = (PlanPart.ROLLBACK_PLAN, PlanPart.RISK)


def _said_by_plan(change: Change) -> set[PlanPart]:
    said = {
        PlanPart.ROLLBACK_PLAN: change.has_rollback_plan,
        PlanPart.MONITORING_PLAN: change.has_monitoring_plan,
        PlanPart.TEST_PLAN: change.has_test_plan,
        PlanPart.RISK: change.risk is not None,
        PlanPart.WINDOW: change.window is not None,
        PlanPart.SERVICES: bool(change.services),
    }
    return {part for part, there in said.items() if there}


def _has_template(change: Change, ask: _Ask) -> str | None:
    if change.type is not ChangeType.STANDARD:
        return None
    if ask.template is None:
        return "a standard change is approved by its template; give template=Template(...)"
    if not ask.policy.templates:
        return None
    name, version = ask.template.name, ask.template.version
    under = f"under policy {ask.policy.name} {ask.policy.version}"
    approved = ask.policy.template(name, version)
    if approved is None or (approved.sha256 and approved.sha256 != ask.template.sha256):
        known = ", ".join(f"{one.name} {one.version}" for one in ask.policy.templates)
        text = "of that text" if approved else "of that name and version"
        return f"{under} no template {name!r} {version!r} {text} is approved; there are: {known}"
    if approved.retired:
        return f"{under} the template {name!r} {version!r} is retired"
    if not approved.is_about(content_of(change)):
        return f"{under} the template {name!r} {version!r} is not about such a change"
    return None


def _template_needed(change: Change, _: _Ask) -> tuple[str, ...]:
    return ("template",) if change.type is ChangeType.STANDARD else ()


def _template_holds(change: Change, ask: _Ask) -> str | None:
    """A template that failed too often is approved no more; how often, context says."""
    if change.type is not ChangeType.STANDARD or ask.template is None:
        return None
    approved = ask.policy.template(ask.template.name, ask.template.version)
    if approved is None or approved.max_failures is None:
        return None
    failures = None if ask.context is None else ask.context.template_failures
    of_another = ask.context is not None and folded(ask.context.template) not in {
        "",
        folded(ask.template.name),
    }
    if failures is None or of_another:
        return "it needs context= of how often the template failed; views.context gathers it"
    if failures < approved.max_failures:
        return None
    return (
        f"{failures} changes by the template {approved.name!r} failed, and {approved.max_failures} "
        "end its approval; plan a normal change, or mend it and have it adopted anew"
    )


def _has_incident(change: Change, _: _Ask) -> str | None:
    if change.type is not ChangeType.EMERGENCY or change.incident is not None:
        return None
    return "an emergency must name its incident; revise it with incident="


def _not_involved(change: Change, ask: _Ask) -> str | None:
    if ask.by is None or folded(ask.by) not in change.barred:
        return None
    return f"{ask.by!r} asked for, planned, revised or submitted it; somebody else must decide"


def _decides(step: AgentStep) -> Callable[[Change, _Ask], str | None]:
    """Return the guard of a step that not everything with an id may take."""

    def why_not(_: Change, ask: _Ask) -> str | None:
        policies = (ask.policy,) if ask.also is None else (ask.policy, ask.also)
        for policy in policies:
            if ask.by is None or policy.may_decide(ask.by, step):
                continue
            actor = policy.actor_of(ask.by)
            what = "nobody that is named, and"
            if actor is not None:
                what = f"a kind of id: {actor.value}, which"
            under = f"under policy {policy.name} {policy.version}"
            return f"{under} {ask.by!r} is {what} may not {_MAY[step]}"
        return None

    return why_not


_MAY: Final = {
    AgentStep.APPROVE: "approve or rule on it",
    AgentStep.CLOSE: "close it as successful",
    AgentStep.OVERRIDE_FREEZE: "override a freeze",
}


def _actor_needed(_: Change, ask: _Ask) -> tuple[str, ...]:
    return ("by",) if ask.policy.actors else ()


def _closes_well(change: Change, ask: _Ask) -> str | None:
    why_not = _decides(AgentStep.CLOSE)
    return None if ask.result is Result.UNSUCCESSFUL else why_not(change, ask)


def _agent_edits_its_own(change: Change, ask: _Ask) -> str | None:
    """An agent takes back, and corrects, only what it told itself; and no end that it may not."""
    target, by = change.past[(ask.version or 1) - 1], ask.by or ""
    for policy in _asking(ask):
        if policy.actor_of(by) is not Actor.AGENT:
            continue
        if folded(target.by) != folded(by):
            return f"{by!r} is an agent, which edits only what it told itself"
        if ask.field == "result" and not policy.may_decide(by, AgentStep.CLOSE):
            return f"{by!r} is an agent, which may not {_MAY[AgentStep.CLOSE]}"
    return None


def _closer_needed(change: Change, ask: _Ask) -> tuple[str, ...]:
    return ("by", "result") if _actor_needed(change, ask) else ()


# --- votes ---


def _ends_at(change: Change, vote: VoteHeld, policy: Policy) -> datetime | None:
    """
    Return from when on a vote counts no more: as it says itself, and as a policy has it.

    By the time it was first said to have been given: a correction makes no vote younger.
    """
    ends = [] if vote.until is None else [vote.until]
    if policy.valid_for is not None:
        given = [] if vote.at is None else [vote.at]
        if 0 < vote.version <= len(change.past):
            written: Moment | None = change.past[vote.version - 1].at
            given += [] if written is None else [written]
        ends += [_later(at, policy.valid_for) for at in given]
    return min(ends, default=None)


def _later(moment: Moment, length: timedelta) -> datetime:
    """Return a time after a moment, or the last one there is."""
    return time_after(earliest(moment), length) or datetime.max.replace(tzinfo=UTC)


def _lapsed(change: Change, at: Moment, policies: Iterable[Policy]) -> dict[str, datetime]:
    """
    Return who gave the votes that have lapsed at a time, and when each did.

    A later vote, voided or not, tells that time went on: what lapsed before it is not revived by an
    earlier *at*.
    """
    given = (each for each in change.past if isinstance(each, ChangeApproved | VoteGiven))
    # By when they were at the earliest: an uncertain one may have been any time since.
    past = (earliest(each.at) for each in given if each.at and not each.imported)
    now = max([latest(at), *past])
    asking = tuple(policies)
    lapsed: dict[str, datetime] = {}
    for person, vote in change.votes.items():
        ends = [end for policy in asking if (end := _ends_at(change, vote, policy)) is not None]
        if ends and min(ends) <= now:
            lapsed[person] = min(ends)
    return lapsed


def _missing(
    change: Change, votes: Mapping[str, VoteHeld], policies: Sequence[Policy]
) -> tuple[Quorum, str]:
    """Return what the approval takes under all policies, and what of it some votes lack."""
    content = content_of(change)
    # Who revised it since, and voided that again, is an author all the same.
    votes = {person: vote for person, vote in votes.items() if person not in change.barred}
    quorum = policies[0].quorum(content)
    for policy in policies[1:]:
        quorum = quorum.joined(policy.quorum(content))
    lacks = [quorum.missing(_capacities(each, votes)) for each in policies]
    return quorum, next(filter(None, lacks), "")


def _missing_at(change: Change, at: Moment, policies: Sequence[Policy]) -> tuple[Quorum, str]:
    """Return what `_missing` does, of the votes that have not lapsed at a time."""
    lapsed = _lapsed(change, at, policies)
    votes = {person: vote for person, vote in change.votes.items() if person not in lapsed}
    return _missing(change, votes, policies)


def _of_votes(quorum: Quorum) -> str:
    return f"of {quorum.votes} vote{'' if quorum.votes == 1 else 's'}"


def _capacities(policy: Policy, votes: Mapping[str, VoteHeld]) -> list[frozenset[str]]:
    """Return as what votes count under a policy, of those who may vote under it."""
    return [
        policy.capacities(vote.authority, person)
        for person, vote in votes.items()
        if policy.may_decide(person, AgentStep.APPROVE)
    ]


def _asking(ask: _Ask) -> tuple[Policy, ...]:
    return (ask.policy,) if ask.also is None else (ask.policy, ask.also)


def _votes_stand(change: Change, ask: _Ask) -> str | None:
    """What was approved may start while enough of its votes count; an emergency may anyway."""
    if change.type is ChangeType.EMERGENCY and not change.rejected:
        return None
    return _votes_lapsed(change, ask)


def _votes_lapsed(change: Change, ask: _Ask) -> str | None:
    """Return what is missing where votes have lapsed; None where the approval stands."""
    if change.status is not Status.APPROVED or ask.at is None:
        return None
    lapsed = _lapsed(change, ask.at, _asking(ask))
    authors = sorted(change.barred & set(change.votes))
    if not lapsed and not authors:
        return None
    votes = {person: vote for person, vote in change.votes.items() if person not in lapsed}
    _, missing = _missing(change, votes, _asking(ask))
    if not missing:
        return None
    if not lapsed:
        return (
            f"{authors[0]!r} voted for it and has revised it since, so that vote does not count; "
            f"missing: {missing}; have it approved again"
        )
    last = max(lapsed, key=lapsed.__getitem__)
    return (
        f"votes have lapsed, that of {last!r} at {lapsed[last]}; missing: {missing}; have it "
        "approved again"
    )


def _may_be_voted_on(change: Change, ask: _Ask) -> str | None:
    """What is approved is voted on again only where a vote has lapsed."""
    if change.status is not Status.APPROVED or _votes_lapsed(change, ask) is not None:
        return None
    if not _can_lapse(change, ask):
        return "it is approved, and its votes do not lapse"
    if ask.at is None or _lapsed(change, ask.at, _asking(ask)):
        return None
    return f"it is approved, and no vote has lapsed at {ask.at}"


def _can_lapse(change: Change, ask: _Ask) -> bool:
    votes = change.votes.values()
    return any(
        _ends_at(change, vote, policy) is not None for policy in _asking(ask) for vote in votes
    )


def _lapse_needed(change: Change, ask: _Ask) -> tuple[str, ...]:
    approved = change.status is Status.APPROVED
    return ("at",) if approved and _can_lapse(change, ask) else ()


# --- other changes at the same time ---


def _no_conflict(window: Window | None, change: Change, ask: _Ask) -> str | None:
    if not ask.policy.refuse_conflicts or change.type is ChangeType.EMERGENCY:
        return None
    context = ask.context
    if context is None or context.window != window or context.content != change.content:
        what = "context=" if context is None else "context= of this content and this window"
        return f"it needs {what} of what else is planned; views.context gathers it"
    if not context.conflicts:
        return None
    others = ", ".join(context.conflicts)
    return (
        f"it conflicts with {others}; take a window outside theirs (schedule, or revise where that "
        "is not in the approved one)"
    )


def _scheduled_alone(change: Change, ask: _Ask) -> str | None:
    return None if ask.window is None else _no_conflict(ask.window, change, ask)


def _starts_alone(change: Change, ask: _Ask) -> str | None:
    return _no_conflict(change.scheduled or change.window, change, ask)


def _scheduling_needed(change: Change, ask: _Ask) -> tuple[str, ...]:
    return ("window", *_context_needed(change, ask))


def _context_needed(change: Change, ask: _Ask) -> tuple[str, ...]:
    needed = ask.policy.refuse_conflicts and change.type is not ChangeType.EMERGENCY
    return ("context",) if needed else ()


def _counts_as_approved(change: Change, ask: _Ask) -> str | None:
    if change.status is Status.APPROVED:
        return None
    if change.type is not ChangeType.EMERGENCY:
        asking = _asking(ask)
        quorum, lacks = _missing(change, change.votes, asking)
        missing = f" ({_of_votes(quorum)}, missing: {lacks})" if lacks else ""
        return f"it is not approved{missing}; only an emergency may start before"
    if change.rejected:
        return "this emergency was rejected once, so it needs approval before it starts"
    return None


def _inside_approved(change: Change, ask: _Ask) -> str | None:
    if change.window is None or ask.window is None or change.window.contains(ask.window):
        return None
    return (
        f"it was put up for {change.window.start} to {change.window.end}; a window outside that "
        "is other content: use revise"
    )


def _approved_window(change: Change) -> Window | None:
    """Return the window that is approved; what is not approved has none to be inside of."""
    return (change.scheduled or change.window) if change.status is Status.APPROVED else None


def _starts_inside(change: Change, ask: _Ask) -> str | None:
    window = _approved_window(change)
    if window is None or ask.at is None:
        return None
    if earliest(ask.at) >= window.start and latest(ask.at) < window.end:
        return None
    return (
        f"at={ask.at} lies, or may lie, outside the approved window, {window.start} to "
        f"{window.end}; schedule it anew inside what was approved, or use revise and have the new "
        "window approved"
    )


def _start_needed(change: Change, _: _Ask) -> tuple[str, ...]:
    return () if _approved_window(change) is None else ("at",)


def _completes_inside(change: Change, ask: _Ask) -> str | None:
    if change.within is None or ask.at is None or latest(ask.at) <= change.within.end:
        return None
    ended = change.within.end
    return f"at={ask.at} lies, or may lie, after the approved window, which ended at {ended}"


def _in_rollout(change: Change, _: _Ask) -> str | None:
    if change.percent is not None:
        return None
    return "no rollout is going on; start with rollout_plan= or advance_rollout first, or use fail"


def _only_up(change: Change, ask: _Ask) -> str | None:
    percent = ask.percent or 0.0
    if (change.percent or 0.0) < percent <= 100:
        return None
    return f"a rollout only goes up, to 100 at most: it is at {change.percent or 0:g} %"


def _skips_no_step(change: Change, ask: _Ask) -> str | None:
    so_far = change.percent or 0.0
    planned = next((step for step in change.rollout_plan if step > so_far), None)
    if planned is None or ask.percent is None or ask.percent <= planned:
        return None
    return f"the next step of its rollout plan is {planned:g} %; go there first"


def _rules_of_rollout(change: Change, policy: Policy) -> list[RolloutRule]:
    """Return what a policy asks of the rollout of such a change."""
    content = content_of(change) if policy.rollouts else None
    return [rule for rule in policy.rollouts if content is not None and rule.is_about(content)]


def _starts_small(change: Change, ask: _Ask) -> str | None:
    if ask.rollout_plan is None:
        return None
    shares = [each.first for each in _rules_of_rollout(change, ask.policy) if each.first]
    if not shares or (ask.rollout_plan and ask.rollout_plan[0] <= min(shares)):
        return None
    return (
        f"under policy {ask.policy.name} it goes to {min(shares):g} % at most at first; give "
        f"rollout_plan=, such as ({min(shares):g}, 100)"
    )


def _plan_needed(change: Change, ask: _Ask) -> tuple[str, ...]:
    first = any(each.first for each in _rules_of_rollout(change, ask.policy))
    return ("rollout_plan",) if first else ()


def _is_at_work(change: Change) -> bool:
    """Say whether some users have it already: before the first step nothing is to be seen."""
    return bool(change.percent)


def _has_baked(change: Change, ask: _Ask) -> str | None:
    if not _is_at_work(change) or ask.at is None:
        return None
    bakes = [each.bake for each in _rules_of_rollout(change, ask.policy) if each.bake]
    if not bakes:
        return None
    since = change.stage_since
    if since is None:
        return "it is not known since when it is at this step; correct that moment first"
    until = _later(latest(since), max(bakes))
    if earliest(ask.at) >= until:
        return None
    return f"at {change.percent:g} % since {latest(since)}, it is watched until {until}"


def _has_passed_checks(change: Change, ask: _Ask) -> str | None:
    if not _is_at_work(change) or ask.at is None:
        return None
    for rule in _rules_of_rollout(change, ask.policy):
        for check in rule.checks:
            result = change.checks.get(check)
            if result is None:
                return f"the check {check!r} is missing; validate tells its result"
            if not result.passed:
                return f"the check {check!r} failed; abort, or let it pass first"
            old = _is_stale(result, change, ask.at, rule.fresh_for)
            if old:
                return f"the check {check!r} passed {old}; run it again"
    return None


def _is_stale(
    result: Checked, change: Change, at: Moment, fresh_for: timedelta | None
) -> str | None:
    if result.at is None:
        return "nobody knows when"
    since = change.stage_since
    if since is not None and earliest(result.at) < latest(since):
        return f"at {result.at}, before this step"
    if fresh_for is not None and _later(result.at, fresh_for) < latest(at):
        return f"at {result.at}, too long ago"
    return None


def _canary_is_good(change: Change, ask: _Ask) -> str | None:
    if not _is_at_work(change) or ask.at is None:
        return None
    for rule in _rules_of_rollout(change, ask.policy):
        if rule.canary is not None:
            why = _judged(change, ask, rule.canary)
            if why is not None:
                return why
    return None


def _judged(change: Change, ask: _Ask, plan: CanaryPlan) -> str | None:
    """Return why a canary is not promoted by what all its steps have counted so far."""
    from imcm.domain.policy.judging import RolloutDecision

    if ask.canary is None or ask.baseline is None:
        return "give what it was judged by at this step: canary= and baseline="
    verdict = _verdict(change, ask, plan)
    if verdict.decision is RolloutDecision.PROMOTE:
        return None
    if verdict.decision is RolloutDecision.HOLD:
        return (
            f"{verdict.decision.value}: {verdict.reason}; nothing of this is kept: next time give "
            "all that was counted since the step, or keep it with pause_rollout"
        )
    return f"{CANARY_ABORTS}{verdict.reason}; say so with abort_rollout or roll_back"


CANARY_ABORTS: Final = "abort: "
"""How a refusal of a canary that has to be aborted begins."""


def _verdict(change: Change, ask: _Ask, plan: CanaryPlan) -> CanaryVerdict:
    from imcm.domain.policy.judging import Look, judge

    assert ask.canary is not None  # or nobody would have asked
    assert ask.baseline is not None
    assert ask.at is not None
    here = Seen(change.percent or 0.0, ask.canary, ask.baseline)
    looks = [
        Look(canary=each.canary, baseline=each.baseline, percent=each.percent)
        for each in (*change.looks.values(), here)
        if each.percent
    ]
    since = change.stage_since
    baked = None if since is None else max(earliest(ask.at) - latest(since), timedelta())
    return judge(looks, plan, baked=baked)


def _canary_said(change: Change, ask: _Ask) -> Iterator[str]:
    """Yield what the judgement of a canary that is promoted rests on."""
    for rule in _rules_of_rollout(change, ask.policy):
        if rule.canary is not None and _is_at_work(change):
            yield f"canary: {_verdict(change, ask, rule.canary).reason}"


def _rollout_needs(change: Change, ask: _Ask) -> tuple[str, ...]:
    asked = _is_at_work(change) and _rules_of_rollout(change, ask.policy)
    return ("at",) if asked else ()


def _canary_needs(change: Change, ask: _Ask) -> tuple[str, ...]:
    asked = any(each.canary is not None for each in _rules_of_rollout(change, ask.policy))
    return ("at", "canary", "baseline") if asked and _is_at_work(change) else ()


def _content_is_as_approved(change: Change, _: _Ask) -> str | None:
    if change.type is ChangeType.EMERGENCY or not change.other_content:
        return None
    return (
        "its content was corrected after it was asked to be approved; revise it, and have what "
        "stands approved"
    )


def _rolled_out(change: Change, _: _Ask) -> str | None:
    if change.percent is None or change.percent >= 100:
        return None
    return f"its rollout is at {change.percent:g} %; advance it to 100, or abort it"


def _needs_ruling(change: Change, _: _Ask) -> str | None:
    if change.outstanding or change.ruled:
        return None
    return "it went in with approval; there is nothing to approve afterwards"


_MAY_CLOSE_WELL: Final = (Outcome.COMPLETED, Outcome.UNKNOWN)


def _result_fits(change: Change, ask: _Ask) -> str | None:
    if change.outcome in _MAY_CLOSE_WELL or ask.result is Result.UNSUCCESSFUL:
        return None
    word = change.outcome.value if change.outcome else "without outcome"
    return f"its outcome is {word}; such a change closes as unsuccessful"


def content_of(change: Change) -> Content:
    """Return what of a change says which rules of a policy are about it."""
    change = checked_state("change", change, Change)
    return Content(
        type=change.type,
        kind=change.kind,
        risk=change.risk,
        services=change.services,
        environment=change.environment,
        labels=change.labels,
    )


def _voted_in_a_capacity_that_counts(change: Change, ask: _Ask) -> str | None:
    if ask.authority is None:
        return None
    held = None if ask.by is None else change.votes.get(folded(ask.by))
    if held is not None and _stands(change, ask):
        if held.authority is ask.authority:
            return None  # a second vote changes nothing
        return (
            f"{ask.by!r} has voted as {held.authority.value} (version {held.version}), and a "
            f"person has one vote; void that one to vote as {ask.authority.value}"
        )
    refused = _capacity_refused(ask, ask.policy)
    return refused if ask.also is None or refused else _capacity_refused(ask, ask.also)


def _stands(change: Change, ask: _Ask) -> bool:
    """Say whether the vote that somebody gave counts yet."""
    return ask.at is None or folded(ask.by or "") not in _lapsed(change, ask.at, _asking(ask))


def _capacity_refused(ask: _Ask, policy: Policy) -> str | None:
    """Return why a policy does not let somebody act in a capacity; None where it does."""
    under = f"under policy {policy.name} {policy.version}"
    if ask.authority is None:
        return None
    if ask.authority not in policy.authorities:
        return f"{under} votes count from: {', '.join(sorted(policy.authorities))}"
    if ask.by is None or policy.may_vote_as(ask.authority, ask.by):
        return None
    return f"{under} {ask.by!r} may not vote as {ask.authority.value}"


def _ruled_in_a_capacity_that_is_theirs(_: Change, ask: _Ask) -> str | None:
    return _capacity_refused(ask, ask.policy)


def _authority_needed(_: Change, ask: _Ask) -> tuple[str, ...]:
    any_counts = ask.policy.authorities >= frozenset(Authority)
    return () if any_counts and not ask.policy.members else ("authority", "by")


def _behind(moment: Moment) -> datetime:
    """Return the first instant behind all that a moment may be, or the last one there is."""
    last = latest(moment)
    return last + timedelta(microseconds=1) if last.year < MAXYEAR else last


def _not_frozen(change: Change, ask: _Ask) -> str | None:
    """An emergency is let through. What counts is any time that an uncertain one may be."""
    if ask.at is None or change.type is ChangeType.EMERGENCY:
        return None
    met = tuple(_freezes_met(change, ask.policy, earliest(ask.at), _behind(ask.at)))
    if not met:
        return None
    lies = " and ".join(
        f"the freeze {freeze.name!r}, which ends at {window.end}" for freeze, window in met
    )
    opens = opens_despite_freezes(change, latest(ask.at), policy=ask.policy)
    last = max(window.end for _, window in met)
    then = "" if opens is None or opens <= last else f" (and others hold until {opens})"
    groups = ask.policy.groups
    may = (named_people(freeze.override_by, groups) or "anybody" for freeze, _ in met)
    who = ", and ".join(f"{each} may" for each in dict.fromkeys(may))
    how = "override_freeze" if len(met) == 1 else "override_freeze of each"
    return f"at={ask.at} lies in {lies}{then}; wait for that, or {how} with a reason, which {who}"


def opens_despite_freezes(change: Change, at: datetime, *, policy: Policy) -> datetime | None:
    """Return from when on no freeze holds that is not overridden; None where that is too far."""
    change, at = checked_state("change", change, Change), checked_time("at", at)
    policy = checked_policy(policy)
    for _ in range(_FREEZES_IN_A_ROW):
        ends = [window.end for _, window in _freezes_met(change, policy, at, _behind(at))]
        if not ends:
            return at
        at = max(ends)
    return None


_FREEZES_IN_A_ROW: Final = 100


def _freezes_met(
    change: Change, policy: Policy, start: datetime, end: datetime
) -> Iterator[tuple[Freeze, Window]]:
    """Yield the freezes that [*start*, *end*) meets and that are not overridden."""
    content = content_of(change)
    for freeze in policy.freezes:
        if freeze.is_about(content):
            met = _met_and_not_overridden(change, freeze, start, end, policy)
            if met is not None:
                yield freeze, met


def _met_and_not_overridden(
    change: Change, freeze: Freeze, begin: datetime, end: datetime, policy: Policy
) -> Window | None:
    """Return a stretch that is met, and in which nobody who may lets the change start."""
    overrides = change.overridden.get(freeze.name, ())
    while begin < end:
        met = freeze.met_by(begin, end)
        if met is None:
            return None
        first = max(begin, met.start)
        until = max(
            (
                override.until
                for override in overrides
                if override.since <= first < override.until
                and freeze.may_override(override.by, policy.groups)
                and override.policy in {None, (policy.name, policy.version)}
            ),
            default=None,
        )
        if until is None:
            return met
        begin = until
    return None


def _maintenance_of(change: Change, policy: Policy) -> list[MaintenanceWindow]:
    """Return the maintenance windows that are about a change."""
    content = content_of(change)
    return [window for window in policy.maintenance if window.is_about(content)]


def _in_maintenance(change: Change, ask: _Ask) -> str | None:
    if ask.at is None or change.type is ChangeType.EMERGENCY:
        return None
    about = _maintenance_of(change, ask.policy)
    first, behind = earliest(ask.at), _behind(ask.at)
    if not about or any(each.holds_throughout(first, behind) for each in about):
        return None
    names = ", ".join(repr(each.name) for each in about)
    upcoming = [each.next_window(latest(ask.at)) for each in about]
    begins = min((window.start for window in upcoming if window is not None), default=None)
    opens = f"; the next begins at {begins}" if begins is not None else ""
    return f"at={ask.at} lies in no maintenance window ({names}){opens}"


def _scheduled_clear(change: Change, ask: _Ask) -> str | None:
    """A window that meets a freeze, or leaves a maintenance window, is for no start."""
    if ask.window is None or change.type is ChangeType.EMERGENCY:
        return None
    start, end = ask.window.start, ask.window.end
    for freeze, met in _freezes_met(change, ask.policy, start, end):
        return (
            f"the freeze {freeze.name!r} lies in it, until {met.end}; take a window outside it, or "
            "override_freeze with a reason"
        )
    about = _maintenance_of(change, ask.policy)
    if about and not any(each.holds_throughout(start, end) for each in about):
        names = ", ".join(repr(each.name) for each in about)
        return f"it lies in no maintenance window ({names}) as a whole"
    return None


def _starts_what_others_approved(change: Change, ask: _Ask) -> str | None:
    if ask.policy.approvers_may_start or ask.by is None or folded(ask.by) not in change.votes:
        return None
    return f"{ask.by!r} voted for it; under policy {ask.policy.name} somebody else starts it"


def _starter_needed(change: Change, ask: _Ask) -> tuple[str, ...]:
    return () if ask.policy.approvers_may_start or not change.votes else ("by",)


def _when_needed(_: Change, ask: _Ask) -> tuple[str, ...]:
    return ("at",) if ask.policy.freezes or ask.policy.maintenance else ()


def _known_freeze(change: Change, ask: _Ask) -> str | None:
    if ask.freeze is None or ask.at is None:
        return None
    names = [freeze.name for freeze in ask.policy.freezes if freeze.is_about(content_of(change))]
    freeze = next((each for each in ask.policy.freezes if each.name == ask.freeze), None)
    if freeze is None or freeze.name not in names:
        named = ", ".join(map(repr, names)) or "none"
        return f"no freeze {ask.freeze!r} is about it; under {ask.policy.name} there are: {named}"
    if freeze.next_window(latest(ask.at)) is None:
        return f"the freeze {freeze.name!r} holds neither at {ask.at} nor later"
    groups = ask.policy.groups
    if ask.by is not None and not freeze.may_override(ask.by, groups):
        people = named_people(freeze.override_by, groups)
        return f"{ask.by!r} may not override the freeze {freeze.name!r}; who may: {people}"
    return None


_CONTENT_EVENTS: Final = (ChangePlanned, ChangeRevised, ChangeRescoped)
_CONTENT_FIELDS: Final = frozenset(CONTENT) - {"at"}
"""What is under approval and can be corrected."""


def _content_has_started(change: Change, ask: _Ask) -> str | None:
    if change.status not in _BEFORE_START or ask.field not in _CONTENT_FIELDS:
        return None
    stands = past_standing(change.past)
    version, field = ask.version or 0, ask.field or ""
    target = stands.get(version)
    if not isinstance(target, _CONTENT_EVENTS) or not hasattr(target, field):
        return None
    now: Any = ask.now  # what it can be is for the correction to say
    told = correction(
        stands, CORRECTABLE, version=version, field=field, now=now, at=None, by="", why=""
    )
    if not told:
        return None  # it stands already
    return (
        f"{ask.field} is content under approval, which is not corrected before the start: use "
        f"revise with {ask.field}=, which voids the approvals so far"
    )


def _decided_by_others(change: Change, ask: _Ask) -> str | None:
    """Whoever may not decide on it may not undo what was decided, or marked, either."""
    target = change.past[(ask.version or 1) - 1]
    decided = isinstance(target, _DECISIONS) and not target.imported
    marked = getattr(target, "unauthorised", "") or getattr(target, "outstanding", False)
    return _not_involved(change, ask) if decided or marked else None


_DECISIONS: Final = (
    ChangeApproved,
    VoteGiven,
    ChangeRejected,
    ChangeApprovedRetroactively,
    RetroactiveApprovalRefused,
    FreezeOverridden,
)


def _evidence_stands(change: Change, ask: _Ask) -> str | None:
    """Whoever told what speaks against going on does not take it back alone."""
    target = change.past[(ask.version or 1) - 1]
    if isinstance(target, StepRefusedRecorded):
        return "a refusal that was kept is not voided"
    if isinstance(target, ChangeStarted | RolloutAdvanced) and (told := _told_of(change, ask)):
        return f"version {told} tells how it went since; a rollout is aborted, not begun anew"
    if ask.by is None or folded(ask.by) != folded(target.by) or getattr(target, "imported", False):
        return None
    failed = isinstance(target, ChangeFailed | RolloutAborted | ChangeRolledBack)
    failed = failed or (isinstance(target, ChangeValidated) and not target.passed)
    looked = isinstance(target, RolloutAdvanced | RolloutPaused) and target.canary is not None
    marked = getattr(target, "unauthorised", "") or getattr(target, "outstanding", False)
    if not (failed or looked or marked):
        return None
    return f"{ask.by!r} told it, and it speaks against going on; somebody else must void it"


def _told_of(change: Change, ask: _Ask) -> int:
    """Return the version of counts, or of a failed check, told after a step; 0 where none is."""
    for version, event in past_standing(change.past).items():
        if version > (ask.version or 0) and not getattr(event, "imported", False):
            looked = isinstance(event, RolloutAdvanced | RolloutPaused | RolloutAborted)
            if looked and event.canary is not None:
                return version
            if isinstance(event, ChangeValidated) and not event.passed:
                return version
    return 0


def _put_up_with(change: Change, ask: _Ask) -> str | None:
    """What was submitted is revised, and not voided: who votes has to see it as it was put up."""
    target = change.past[(ask.version or 1) - 1]
    if getattr(target, "imported", False):
        return None
    if not isinstance(target, ChangeRevised | ChangeRescoped | ReferenceAdded):
        return None
    # Also one that was voided since: votes were given to what it put up.
    submitted = [
        version
        for version, each in enumerate(change.past, start=1)
        if isinstance(each, ChangeSubmitted) and not each.imported
    ]
    if submitted and max(submitted) > (ask.version or 0):
        return f"it was put up with it, at version {max(submitted)}; revise it"
    is_first = not isinstance(target, ReferenceAdded) and (ask.version or 0) < change.content
    if is_first and change.status is not Status.DRAFT:
        return f"version {change.content} came after it; void that first"
    return None


def _mark_stands(change: Change, ask: _Ask) -> str | None:
    if not isinstance(change.past[(ask.version or 1) - 1], ContentCorrectedAfterApproval):
        return None
    return (
        "it marks a correction, which can't be voided either; approve_retroactively or "
        "refuse_retroactively rules on it"
    )


def _approval_stands(change: Change, ask: _Ask) -> str | None:
    """A vote, or the content voted on, can't be voided while the approval rests on it."""
    version = ask.version or 0
    if version not in past_standing(change.past) or change.status in {
        Status.DRAFT,
        Status.SUBMITTED,
    }:
        return None
    target = change.past[version - 1]
    if isinstance(target, FreezeOverridden) and change.status not in _BEFORE_START:
        return f"it started on version {version}, which overrides a freeze; void the start first"
    is_content = isinstance(target, _CONTENT_EVENTS)
    # Which votes the quorum took depends on the policy, so it rests on all that counted.
    counted = (
        isinstance(target, ChangeApproved | VoteGiven)
        and not target.imported
        and target.content == change.content
    )
    if not is_content and not counted:
        return None
    event = EventVoided(at=None, by="", version=version, status="")
    if change.status is not fold((*change.past, event)).status:
        return None
    if is_content:
        return f"version {version} is content that was approved; void what came of it first"
    return f"the approval rests on version {version}; void what came of it first"


_VOID_GUARDS = (
    *VOID_GUARDS,
    Guard(name="separation of duties", why_not=_decided_by_others, needs=("version", "by")),
    Guard(name="actor", why_not=_agent_edits_its_own, needs=("version", "by")),
    Guard(name="evidence stands", why_not=_evidence_stands, needs=("version", "by")),
    Guard(name="mark stands", why_not=_mark_stands, needs=("version",)),
    Guard(name="content stands", why_not=_put_up_with, needs=("version",)),
    Guard(name="approval stands", why_not=_approval_stands, needs=("version",)),
)
_FACT_EXISTS, _IS_CORRECTABLE, _WAS_STANDS = correction_guards(CORRECTABLE)
_CORRECT_GUARDS = (
    _FACT_EXISTS,
    _IS_CORRECTABLE,
    Guard(name="actor", why_not=_agent_edits_its_own, needs=("version", "by", "field")),
    Guard(name="started", why_not=_content_has_started, needs=("version", "field")),
    _WAS_STANDS,
)

_SAME = "same"
_HAPPENED = frozenset(Status) - {Status.NOTHING}
_ENDED = frozenset({Status.CLOSED, Status.CANCELLED})
_BEFORE_START = (Status.DRAFT, Status.SUBMITTED, Status.APPROVED)
_AFTER_WORK = (Status.IMPLEMENTED, Status.VALIDATED, Status.CLOSED)

_FIRST = Guard(name="not before the first moment", why_not=_not_before_first, needs=("at",))
_NOT_HELD = Guard(name="not on hold", why_not=_not_held)
_NOT_INVOLVED = Guard(name="separation of duties", why_not=_not_involved, needs=("by",))
_ACTOR = Guard(name="actor", why_not=_decides(AgentStep.APPROVE), needs=_actor_needed)
_VOTES_STAND = Guard(name="vote lapsed", why_not=_votes_stand, needs=_lapse_needed)
_NEEDS_RULING = Guard(name="approval outstanding", why_not=_needs_ruling)
_RULES_AS = Guard(
    name="authority", why_not=_ruled_in_a_capacity_that_is_theirs, needs=_authority_needed
)
_APPROVED = Guard(name="approved", why_not=_counts_as_approved)
_INSIDE = "inside the window"
_STARTS_INSIDE = Guard(name=_INSIDE, why_not=_starts_inside, needs=_start_needed)
_COMPLETES_INSIDE = Guard(name=_INSIDE, why_not=_completes_inside)
_STARTS_SMALL = Guard(name="rollout plan", why_not=_starts_small, needs=_plan_needed)
_ROLLED_OUT = Guard(name="rolled out", why_not=_rolled_out)
_IN_ROLLOUT = Guard(name="rollout", why_not=_in_rollout)
_NOT_FROZEN = Guard(name="freeze", why_not=_not_frozen, needs=_when_needed)
_IN_MAINTENANCE = Guard(name="maintenance window", why_not=_in_maintenance, needs=_when_needed)


def _row(begins: Iterable[ChangeStatus], ends: str, *guards: Guard[Change]) -> Rule[Change]:
    return Rule(begins=frozenset(begins), ends=ends, guards=(*guards, _FIRST))


STEPS: Final[Mapping[str, Rule[Change]]] = {
    "plan": Rule(begins=frozenset({Status.NOTHING}), ends="draft"),
    "revise": _row(_BEFORE_START, "draft from approved, else same"),
    "reword": _row(_HAPPENED - _ENDED, _SAME),
    "refer": _row(_HAPPENED, _SAME),
    "submit": _row(
        (Status.DRAFT,),
        "submitted; standard: approved",
        Guard(name="plans", why_not=_has_plans),
        Guard(name="template", why_not=_has_template, needs=_template_needed),
        Guard(name="template failures", why_not=_template_holds, needs=_template_needed),
        Guard(name="incident", why_not=_has_incident),
        _NOT_HELD,
    ),
    "approve": _row(
        (Status.SUBMITTED, Status.APPROVED),
        "submitted, or approved at the quorum",
        Guard(name="vote lapsed", why_not=_may_be_voted_on, needs=_lapse_needed),
        _NOT_INVOLVED,
        _ACTOR,
        Guard(name="plans", why_not=_has_plans_to_vote_on),
        Guard(name="authority", why_not=_voted_in_a_capacity_that_counts, needs=_authority_needed),
        _NOT_HELD,
    ),
    "reject": _row((Status.SUBMITTED,), "draft"),
    "approve_retroactively": _row(
        (Status.IMPLEMENTING, *_AFTER_WORK), _SAME, _NEEDS_RULING, _NOT_INVOLVED, _ACTOR, _RULES_AS
    ),
    "refuse_retroactively": _row(
        (Status.IMPLEMENTING, *_AFTER_WORK), _SAME, _NEEDS_RULING, _NOT_INVOLVED, _ACTOR, _RULES_AS
    ),
    "schedule": _row(
        (Status.SUBMITTED, Status.APPROVED),
        _SAME,
        Guard(name="inside the approved window", why_not=_inside_approved, needs=("window",)),
        Guard(name="freeze", why_not=_scheduled_clear, needs=("window",)),
        Guard(name="conflicts", why_not=_scheduled_alone, needs=_scheduling_needed),
        _NOT_HELD,
    ),
    "override_freeze": _row(
        (Status.SUBMITTED, Status.APPROVED),
        _SAME,
        Guard(name="freeze", why_not=_known_freeze, needs=("freeze", "at", "by")),
        _NOT_INVOLVED,
        Guard(name="actor", why_not=_decides(AgentStep.OVERRIDE_FREEZE), needs=_actor_needed),
    ),
    "hold": _row(_HAPPENED - _ENDED, _SAME),
    "release": _row(_HAPPENED - _ENDED, _SAME),
    "start": _row(
        (Status.SUBMITTED, Status.APPROVED),
        "implementing",
        _APPROVED,
        Guard(name="content as approved", why_not=_content_is_as_approved),
        _VOTES_STAND,
        Guard(
            name="separation of duties",
            why_not=_starts_what_others_approved,
            needs=_starter_needed,
        ),
        _STARTS_INSIDE,
        _NOT_FROZEN,
        _IN_MAINTENANCE,
        Guard(name="conflicts", why_not=_starts_alone, needs=_context_needed),
        _STARTS_SMALL,
        _NOT_HELD,
    ),
    "observe": _row((Status.NOTHING, *_BEFORE_START, Status.CANCELLED), "implemented"),
    "advance_rollout": _row(
        (Status.IMPLEMENTING,),
        _SAME,
        Guard(name="only up", why_not=_only_up, needs=("percent",)),
        Guard(name="no step skipped", why_not=_skips_no_step, needs=("percent",)),
        Guard(name="bake time", why_not=_has_baked, needs=_rollout_needs),
        Guard(name="checks", why_not=_has_passed_checks, needs=_rollout_needs),
        Guard(name="canary", why_not=_canary_is_good, needs=_canary_needs),
        _NOT_HELD,
    ),
    "pause_rollout": _row((Status.IMPLEMENTING,), _SAME, _IN_ROLLOUT),
    "abort_rollout": _row((Status.IMPLEMENTING,), "implemented", _IN_ROLLOUT),
    "complete": _row((Status.IMPLEMENTING,), "implemented", _ROLLED_OUT),
    "fail": _row((Status.IMPLEMENTING,), "implemented"),
    "roll_back": _row((Status.IMPLEMENTING, *_AFTER_WORK), "implemented"),
    "recover": _row(_AFTER_WORK, _SAME),
    "validate": _row(
        (Status.IMPLEMENTING, Status.IMPLEMENTED, Status.VALIDATED),
        "validated if all checks passed, else implemented; implementing: same",
    ),
    "close": _row(
        (Status.IMPLEMENTED, Status.VALIDATED),
        "closed",
        Guard(name="result fits the outcome", why_not=_result_fits, needs=("result",)),
        Guard(name="actor", why_not=_closes_well, needs=_closer_needed),
    ),
    "cancel": _row(_BEFORE_START, "cancelled"),
    "correct": Rule(begins=_HAPPENED, ends=_SAME, guards=_CORRECT_GUARDS),
    "void": Rule(begins=_HAPPENED, ends="what stands without it", guards=_VOID_GUARDS),
}

ASKING: Final = frozenset(
    {"submit", "approve", "schedule", "override_freeze", "start", "advance_rollout"}
)
"""Steps that ask whether something may be done; a policy and a hold can refuse them."""

_ADVISORY: Final = (_NOT_HELD,)
"""Guards that mark a telling step as unauthorised instead of refusing it."""
_ADVISORY_AT_THE_END: Final = (_COMPLETES_INSIDE, _NOT_HELD)
"""The same of `complete`. What went wrong is taken out again whatever the window says."""
_ADVISORY_UNSTARTED: Final = (
    _VOTES_STAND,
    _STARTS_INSIDE,
    _NOT_FROZEN,
    _IN_MAINTENANCE,
    _NOT_HELD,
)
"""The same of `observe` where it was approved and nobody started it: what `start` would ask."""


def next_steps(
    change: Change,
    *,
    by: str | None = None,
    at: Moment | None = None,
    authority: Authority | None = None,
    policy: Policy = DEFAULT_POLICY,
    also: Policy | None = None,
    context: Context | None = None,
) -> Answers:
    """
    Return, for each step, whether it is possible now; and if not, which guard says no and why.

    A guard that needs an argument that was not given answers "depends on" it. Where *by* and *at*
    are all that a step needs, it is tried: the answer says what it would record and where the
    status would be, and one that would record nothing is not possible.

    Args:
        by: Who would do it; *at*, when; *authority*, in which capacity they would vote.
        policy: Under which rules; *also*, those that it was submitted under.
        context: What other streams say; see `views.context`.
        change: As `ledger.change(id)` gives it.
    """
    change = checked_state("change", change, Change)
    by, at = optional_id("by", by), optional_moment("at", at)
    capacity = None if authority is None else checked_member("authority", authority, Authority)
    both = None if also is None else checked_policy(also)
    context = checked_context(context)
    ask: _Ask = Ask(
        by=by,
        at=at,
        policy=checked_policy(policy),
        authority=capacity,
        also=both,
        context=context,
    )
    given: dict[str, object] = {"by": by, "at": at, "policy": ask.policy, "authority": capacity}
    given |= {"also": both, "context": context}
    known = {name: value for name, value in given.items() if value is not None}
    asked = answers(STEPS, change, ask)
    return Answers(tried(asked, globals().__getitem__, evolve, change, known))


class Refusal(NamedTuple):
    """One guard that says no, and why."""

    guard: str
    why: str


def start_refusals(
    change: Change,
    *,
    by: str | None = None,
    at: Moment,
    policy: Policy = DEFAULT_POLICY,
    also: Policy | None = None,
    context: Context | None = None,
    rollout_plan: Sequence[float] | None = None,
    anew: bool = False,
) -> tuple[Refusal, ...]:
    """
    Return every reason for which it may not start at a time; () where it may.

    `start` names the first of them.

    Args:
        by: Who would start it; without that, nobody is asked whether they may.
        rollout_plan: The steps it would go up by, () for at once; None where that is not asked
            about: see `first_share`.
        anew: Whether it is judged by the policy from its beginning: its votes are counted and its
            plans read as if it had been submitted and approved under it, too.
        change: As `ledger.change(id)` gives it.
    """
    change = checked_state("change", change, Change)
    both = None if also is None else checked_policy(also)
    ask: _Ask = Ask(
        by=optional_id("by", by),
        at=checked_moment("at", at),
        policy=checked_policy(policy),
        also=both,
        context=checked_context(context),
        rollout_plan=None if rollout_plan is None else _checked_plan(rollout_plan),
    )
    if anew:  # as if what let it through had been given under this policy
        under = (ask.policy.name, ask.policy.version)
        change = change._replace(
            overridden={
                name: tuple(each._replace(policy=under) for each in overrides)
                for name, overrides in change.overridden.items()
            }
        )
    over = _starts_from(change, ask)
    if over is not None:
        return (Refusal("status", over),)  # what else says no does not matter any more
    return tuple(
        Refusal(guard.name, why)
        for guard in (*STEPS["start"].guards, *(_JUDGED_BEFORE if anew else ()))
        if (why := guard.why_not(change, ask)) is not None
    )


def votes_missing(
    change: Change,
    at: Moment,
    *,
    policy: Policy = DEFAULT_POLICY,
    also: Policy | None = None,
) -> str:
    """
    Return what its approval lacks at a time, in words: "1 more and 1 as cab"; "" where nothing is.

    Votes that have lapsed by then do not count. "", too, where no vote is waited for.

    Args:
        change: As `ledger.change(id)` gives it.
        at: The moment that is asked about.

    Raises:
        InvalidValue: An argument is not as described.
    """
    change, at = checked_state("change", change, Change), checked_moment("at", at)
    asking = (checked_policy(policy),) if also is None else (policy, checked_policy(also))
    if change.status not in {Status.SUBMITTED, Status.APPROVED}:
        return ""
    return _missing_at(change, at, asking)[1]


def votes_until(
    change: Change, *, policy: Policy = DEFAULT_POLICY, also: Policy | None = None
) -> datetime | None:
    """
    Return from when on too few of its votes count for it to start; None where none of them lapses.

    Args:
        change: As `ledger.change(id)` gives it; None is returned of what is not approved, too.
    """
    change = checked_state("change", change, Change)
    asking = (checked_policy(policy),) if also is None else (policy, checked_policy(also))
    if change.status is not Status.APPROVED:
        return None
    ends: dict[datetime, set[str]] = {}
    for person, vote in change.votes.items():
        of_vote = [end for each in asking if (end := _ends_at(change, vote, each)) is not None]
        if of_vote:
            ends.setdefault(min(of_vote), set()).add(person)
    standing = dict(change.votes)
    for end in sorted(ends):
        standing = {name: vote for name, vote in standing.items() if name not in ends[end]}
        if _missing(change, standing, asking)[1]:
            return end
    return None


def opens_at(
    change: Change,
    at: Moment,
    *,
    refusals: Iterable[Refusal],
    policy: Policy = DEFAULT_POLICY,
    also: Policy | None = None,
) -> datetime | None:
    """
    Return from when on it may start, where time alone is in its way; None where more is, or less.

    That is: inside its window, outside of freezes that are not overridden, inside maintenance
    windows, and before its votes lapse.

    Args:
        at: The moment that was asked about.
        refusals: What `start_refusals` said of it.

    Raises:
        InvalidValue: An argument is not as described.
    """
    change, at = checked_state("change", change, Change), latest(checked_moment("at", at))
    if not is_list(refusals) or not all(isinstance(each, Refusal) for each in refusals):
        raise InvalidValue("refusals", refusals, "what start_refusals says")
    guards = {each.guard for each in refusals}
    if not guards or not guards <= OF_TIME:
        return None
    policy, window = checked_policy(policy), change.scheduled or change.window
    since = at if window is None else max(at, window.start)
    if policy.maintenance:
        opens = policy.opens_at(content_of(change), since)
    else:
        opens = opens_despite_freezes(change, since, policy=policy)
    ends = [votes_until(change, policy=policy, also=also), None if window is None else window.end]
    if opens is None or any(end is not None and opens >= end for end in ends):
        return None
    return opens


OF_TIME: Final = frozenset({_NOT_FROZEN.name, _IN_MAINTENANCE.name, _INSIDE})
"""Guards that time alone satisfies."""


def first_share(change: Change, *, policy: Policy = DEFAULT_POLICY) -> float | None:
    """
    Return the share of users, in percent, that its rollout has to begin with at most.

    None where it may go to everybody at once. Such a change starts with a `rollout_plan`.

    Args:
        change: As `ledger.change(id)` gives it.
    """
    rules = _rules_of_rollout(checked_state("change", change, Change), checked_policy(policy))
    return min((rule.first for rule in rules if rule.first is not None), default=None)


def gate(
    change: Change,
    *,
    by: str,
    at: Moment,
    policy: Policy = DEFAULT_POLICY,
    also: Policy | None = None,
    context: Context | None = None,
) -> tuple[ChangeEvent, ...]:
    """
    Ask whether it may start, as a pipeline does before it does anything; nothing is recorded.

    In a ledger that keeps refusals, one is kept. `start_refusals` has all reasons at once.
    """
    _require(change, "start", by=by, at=at, policy=policy, also=also, context=context)
    return ()


def _starts_from(change: Change, _: _Ask) -> str | None:
    if change.status in {Status.SUBMITTED, Status.APPROVED}:
        return None
    return f"its status is {change.status.value}"


def _votes_suffice(change: Change, ask: _Ask) -> str | None:
    """Say what votes are missing under a policy, of what was approved or waits to be."""
    if change.type in {ChangeType.STANDARD, ChangeType.EMERGENCY} or ask.at is None:
        return None
    if change.status is Status.APPROVED and not _is_approved_here(change):
        return None  # what only a source says was approved has no votes to count
    quorum, missing = _missing_at(change, ask.at, _asking(ask))
    return f"{_of_votes(quorum)}, missing: {missing}" if missing else None


_JUDGED_BEFORE = (
    Guard(name="quorum", why_not=_votes_suffice),
    Guard(name="plans", why_not=_has_plans),
)


def _require(
    change: Change,
    step: str,
    *,
    by: str,
    at: Moment,
    policy: Policy = DEFAULT_POLICY,
    percent: float | None = None,
    window: Window | None = None,
    result: Result | None = None,
    template: Template | None = None,
    authority: Authority | None = None,
    version: int | None = None,
    field: str | None = None,
    was: object = None,
    now: object = None,
    freeze: str | None = None,
    also: Policy | None = None,
    context: Context | None = None,
    rollout_plan: tuple[float, ...] | None = None,
    canary: Counts | None = None,
    baseline: Counts | None = None,
) -> tuple[str, Moment]:
    """Let the step go on or refuse it; return who and when in the form events keep."""
    change = checked_state("change", change, Change)
    by, at, policy = checked_id("by", by), checked_moment("at", at), checked_policy(policy)
    version = None if version is None else checked_number("version", version)
    field = None if field is None else checked_text("field", field)
    ask: _Ask = Ask(
        by=by,
        at=at,
        policy=policy,
        percent=percent,
        window=window,
        result=result,
        template=template,
        authority=authority,
        version=version,
        field=field,
        was=was,
        now=now,
        freeze=freeze,
        also=None if also is None else checked_policy(also),
        context=checked_context(context),
        rollout_plan=rollout_plan,
        canary=canary,
        baseline=baseline,
    )
    require(STEPS, step, change, ask)
    return by, at


def _unauthorised(
    change: Change,
    *,
    by: str,
    at: Moment,
    guards: Sequence[Guard[Change]] = _ADVISORY,
    policy: Policy = DEFAULT_POLICY,
) -> str:
    """Return the name of the first guard that would have refused a telling step, or ""."""
    return _first_to_refuse(guards, change, Ask(by=by, at=at, policy=policy))


def _first_to_refuse(guards: Iterable[Guard[Change]], change: Change, ask: _Ask) -> str:
    return next((guard.name for guard in guards if guard.why_not(change, ask)), "")


# --- steps ----------------------------------------------------------------------------------------
# A step is a pure function: the state as it is, and what is asked, to the events that follow.
# It returns () where nothing needs to change. Arguments shared by several stand at the head of the
# file. All raise StepRefused where the table or a guard says no, InvalidValue for an argument that
# can't be right, NaiveTimeError for a naive time.


def plan(
    change: Change,
    *,
    by: str,
    at: Moment,
    title: str,
    type: ChangeType = ChangeType.NORMAL,
    kind: Kind = Kind.DEPLOYMENT,
    services: Iterable[str] = (),
    environment: str | None = None,
    labels: Mapping[str, str] | None = None,
    risk: Risk | None = None,
    window: Window | None = None,
    requested_by: str | None = None,
    incident: str | None = None,
    repairs: str | None = None,
    description: str = "",
    rollback_plan: str = "",
    monitoring_plan: str = "",
    test_plan: str = "",
) -> tuple[ChangeEvent, ...]:
    """
    Say what is to be brought in: the first step of every change that is asked for.

    Args:
        type: By which path; observed changes are recorded with `observe`.
        environment: As the tool names it; None means production.
        window: When it is planned for; part of the content that is approved.
        requested_by: Who asks for it, where that is not *by*.
        incident: The incident that an emergency ends.
        repairs: An earlier change that this one repairs, which thereby failed.
        title: What people call it.
        kind: What is being changed.
        services: The services concerned.
        labels: Facts of your own, name to text, which figures can filter and group by.
        risk: How likely and how bad a failure would be; a normal change needs it before it is
            submitted.
        description: What it is, in words.
        rollback_plan: How to take it out again; a normal change needs it before it is submitted.
        monitoring_plan, test_plan: How it is watched, and how it is tested.
    """
    by, at = _require(change, "plan", by=by, at=at)
    type = checked_member("type", type, ChangeType)
    if type is ChangeType.OBSERVED:
        raise InvalidValue("type", type.value, "use observe for what was found in production")
    return (
        ChangePlanned(
            at=at,
            by=by,
            type=type,
            kind=checked_member("kind", kind, Kind),
            services=checked_services(services),
            environment=optional_id("environment", environment),
            labels=checked_labels({} if labels is None else labels),
            risk=None if risk is None else checked_member("risk", risk, Risk),
            window=checked_window("window", window),
            requested_by=optional_id("requested_by", requested_by),
            incident=optional_known_id("incident", incident),
            repairs=optional_known_id("repairs", repairs),
            title=required_words("title", title),
            description=checked_words("description", description),
            rollback_plan=checked_words("rollback_plan", rollback_plan),
            monitoring_plan=checked_words("monitoring_plan", monitoring_plan),
            test_plan=checked_words("test_plan", test_plan),
            has_rollback_plan=says_something("rollback_plan", rollback_plan),
            has_monitoring_plan=says_something("monitoring_plan", monitoring_plan),
            has_test_plan=says_something("test_plan", test_plan),
        ),
    )


def revise(
    change: Change,
    *,
    by: str,
    at: Moment,
    why: str,
    title: str = "",
    kind: Kind | None = None,
    services: Iterable[str] = (),
    environment: str | None = None,
    labels: Mapping[str, str] | None = None,
    risk: Risk | None = None,
    window: Window | None = None,
    incident: str | None = None,
    description: str = "",
    rollback_plan: str = "",
    monitoring_plan: str = "",
    test_plan: str = "",
) -> tuple[ChangeEvent, ...]:
    """
    Change the content under approval. What is not given stays; every approval so far is void.

    An approved change goes back to draft and must be submitted again. With title and description
    alone it is the words that change: it records what `reword` does, and the votes are kept. With
    *why* alone it is what lies behind the record, such as the code under review, that is another:
    the votes are void then, too.

    Args:
        labels: All labels from now on; {} takes them away.
        title, description: Its words from now on.
        kind, services, environment, risk, window, incident: As in `plan`; of services all of them,
            in the place of those that stood.
        rollback_plan, monitoring_plan, test_plan: The plans from now on.
    """
    by, at = _require(change, "revise", by=by, at=at)
    why, names = required_words("why", why), checked_services(services)
    title, description = checked_words("title", title), checked_words("description", description)
    rollback_plan = checked_words("rollback_plan", rollback_plan)
    monitoring_plan = checked_words("monitoring_plan", monitoring_plan)
    test_plan = checked_words("test_plan", test_plan)
    where = optional_id("environment", environment) or change.environment
    marked = change.labels if labels is None else checked_labels(labels)
    plans = rollback_plan or monitoring_plan or test_plan
    named = kind or names or risk or window or incident or plans
    rescoped = where != change.environment or marked != change.labels
    words_alone = bool(title or description) and not named
    revised = bool(named) or not (words_alone or environment is not None or labels is not None)
    after = changed(
        change.status, Status.DRAFT if change.status is Status.APPROVED else change.status
    )
    result: list[ChangeEvent] = []
    if words_alone:
        result.append(ChangeReworded(at=at, by=by, title=title, description=description))
    if revised:
        result.append(
            ChangeRevised(
                at=at,
                by=by,
                kind=change.kind if kind is None else checked_member("kind", kind, Kind),
                services=names or change.services,
                risk=change.risk if risk is None else checked_member("risk", risk, Risk),
                window=checked_window("window", window) or change.window,
                incident=optional_known_id("incident", incident) or change.incident,
                has_rollback_plan=change.has_rollback_plan
                or says_something("rollback_plan", rollback_plan),
                has_monitoring_plan=change.has_monitoring_plan
                or says_something("monitoring_plan", monitoring_plan),
                has_test_plan=change.has_test_plan or says_something("test_plan", test_plan),
                why=why,
                title=title,
                description=description,
                rollback_plan=rollback_plan,
                monitoring_plan=monitoring_plan,
                test_plan=test_plan,
                status=after,
            )
        )
    if rescoped:
        status = None if revised else after
        result.append(
            ChangeRescoped(at=at, by=by, environment=where, labels=marked, why=why, status=status)
        )
    return tuple(result)


def reword(
    change: Change, *, by: str, at: Moment, title: str = "", description: str = ""
) -> tuple[ChangeEvent, ...]:
    """
    Tell it in other words. What is not given stays; the votes for its content are kept.

    The plans are content and no words of this kind: use `revise` for them.

    Args:
        title, description: Its words from now on; one of them at least.
    """
    by, at = _require(change, "reword", by=by, at=at)
    title, description = checked_words("title", title), checked_words("description", description)
    if not (title or description):
        raise InvalidValue("title", title, "give title= or description=, or both")
    return (ChangeReworded(at=at, by=by, title=title, description=description),)


def refer(
    change: Change, *, by: str, at: Moment, kind: str, address: str, title: str = ""
) -> tuple[ChangeEvent, ...]:
    """
    Refer to something elsewhere that belongs to it. The same address again changes nothing.

    Args:
        kind: What it is, in a word: ticket, dashboard, channel, runbook, document.
        address: Where it stands: a URL, or the key of a ticket; one line.
        title: What to show in its place.
    """
    by, at = _require(change, "refer", by=by, at=at)
    event = reference(at=at, by=by, kind=kind, address=address, title=title)
    return () if event.address in change.references else (event,)


def submit(
    change: Change,
    *,
    by: str,
    at: Moment,
    template: Template | None = None,
    context: Context | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> tuple[ChangeEvent, ...]:
    """
    Put it up for approval. A standard change is approved at once, by its template.

    Args:
        template: Which recipe a standard change follows; refused for other types.
    """
    if template is not None and not isinstance(template, Template):
        raise InvalidValue("template", template, "give Template(name=, version=, sha256=)")
    by, at = _require(
        change, "submit", by=by, at=at, policy=policy, template=template, context=context
    )
    standard = change.type is ChangeType.STANDARD
    if template is not None and not standard:
        raise InvalidValue(
            "template", template.name, f"a {change.type.value} change has no template"
        )
    said = "approved by template" if standard else "may be submitted"
    return (
        ChangeSubmitted(
            at=at,
            by=by,
            template=template,
            policy=policy.said(said),
            evidence_position=_position_of(context) if standard else None,
            status=Status.APPROVED if standard else Status.SUBMITTED,
        ),
    )


def _position_of(context: Context | None) -> int | None:
    return None if context is None else context.position


def approve(
    change: Change,
    *,
    by: str,
    at: Moment,
    authority: Authority = Authority.PEER,
    why: str = "",
    policy: Policy = DEFAULT_POLICY,
    also: Policy | None = None,
) -> tuple[ChangeEvent, ...]:
    """
    Vote for it. One person has one vote, under whatever spelling; a second changes nothing.

    Where the policy lets votes lapse, it says until when this one counts; a new one can be given
    then, also to what is approved already.

    Args:
        authority: In which capacity; the policy says which of them count, and who may.

    Raises:
        StepRefused: Also for whoever asked for, planned, revised or submitted it.
    """
    authority = checked_member("authority", authority, Authority)
    by, at = _require(
        change, "approve", by=by, at=at, policy=policy, authority=authority, also=also
    )
    asking = (policy,) if also is None else (policy, also)
    lapsed = _lapsed(change, at, asking)
    if folded(by) in change.votes and folded(by) not in lapsed:
        return ()
    mine = VoteHeld(authority, at)
    standing = {person: vote for person, vote in change.votes.items() if person not in lapsed}
    quorum, missing = _missing(change, {**standing, folded(by): mine}, asking)
    counting = len(_capacities(policy, standing)) + 1
    said = f"{counting} of {quorum.votes} votes"
    if also is not None:
        said = f"{said}, as asked under {also.name} {also.version}, too"
    ends = [end for each in asking if (end := _ends_at(change, mine, each)) is not None]
    return (
        VoteGiven(
            at=at,
            by=by,
            authority=authority,
            actor=policy.actor_of(by),
            valid_until=min(ends, default=None),
            content=change.content,
            votes=counting,
            quorum=quorum.votes,
            policy=policy.said(f"{said}; missing: {missing}" if quorum.of and missing else said),
            why=checked_words("why", why),
            status=None if missing else changed(change.status, Status.APPROVED),
        ),
    )


def reject(change: Change, *, by: str, at: Moment, why: str) -> tuple[ChangeEvent, ...]:
    """Send it back to draft. Approvals so far are void."""
    by, at = _require(change, "reject", by=by, at=at)
    return (ChangeRejected(at=at, by=by, why=required_words("why", why)),)


def approve_retroactively(
    change: Change,
    *,
    by: str,
    at: Moment,
    authority: Authority = Authority.PEER,
    why: str = "",
    policy: Policy = DEFAULT_POLICY,
) -> tuple[ChangeEvent, ...]:
    """
    Approve what went in without approval. Once ruled on, approving again changes nothing.

    One person rules, in a capacity that the policy lets them have; no quorum is asked for.
    """
    authority = checked_member("authority", authority, Authority)
    by, at = _require(
        change, "approve_retroactively", by=by, at=at, policy=policy, authority=authority
    )
    why = checked_words("why", why)
    if not change.outstanding:
        return ()
    said = policy.said("approved afterwards")
    return (
        ChangeApprovedRetroactively(
            at=at, by=by, authority=authority, actor=policy.actor_of(by), why=why, policy=said
        ),
    )


def refuse_retroactively(
    change: Change,
    *,
    by: str,
    at: Moment,
    why: str,
    authority: Authority = Authority.PEER,
    policy: Policy = DEFAULT_POLICY,
) -> tuple[ChangeEvent, ...]:
    """Rule that what went in without approval should not have. That stays visible for ever."""
    authority = checked_member("authority", authority, Authority)
    by, at = _require(
        change, "refuse_retroactively", by=by, at=at, policy=policy, authority=authority
    )
    why = required_words("why", why)
    if not change.outstanding:
        return ()
    said = policy.said("refused afterwards")
    return (
        RetroactiveApprovalRefused(
            at=at, by=by, authority=authority, actor=policy.actor_of(by), why=why, policy=said
        ),
    )


def schedule(
    change: Change,
    *,
    by: str,
    at: Moment,
    window: Window,
    context: Context | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> tuple[ChangeEvent, ...]:
    """
    Say when it is to be done, inside the window that is (or is to be) approved.

    Args:
        window: When the work is to be done.
    """
    checked = checked_window("window", window)
    if checked is None:
        raise InvalidValue("window", None, "give Window(start=..., end=...)")
    by, at = _require(
        change, "schedule", by=by, at=at, window=checked, policy=policy, context=context
    )
    if change.scheduled == checked:
        return ()
    return (
        ChangeScheduled(
            at=at,
            by=by,
            window=checked,
            policy=policy.said("may be scheduled"),
            evidence_position=_position_of(context),
        ),
    )


def override_freeze(
    change: Change,
    *,
    by: str,
    at: Moment,
    freeze: str,
    why: str,
    policy: Policy = DEFAULT_POLICY,
) -> tuple[ChangeEvent, ...]:
    """
    Let it start in a freeze, or be scheduled in one: in the stretch of it that holds or comes next.

    Whoever asked for, planned, revised or submitted the change may not, nor whom the freeze does
    not name. Overridden already, it changes nothing.

    Args:
        freeze: Its name in the policy.
        why: The reason, in words.
    """
    name, why = checked_id("freeze", freeze), required_words("why", why)
    by, at = _require(change, "override_freeze", by=by, at=at, policy=policy, freeze=name)
    known = next(each for each in policy.freezes if each.name == name)
    window = known.next_window(latest(at))
    assert window is not None  # or a guard had said no
    if _met_and_not_overridden(change, known, window.start, window.end, policy) is None:
        return ()
    until = f"overridden until {window.end}"
    return (
        FreezeOverridden(
            at=at,
            by=by,
            freeze=name,
            since=window.start,
            until=window.end,
            actor=policy.actor_of(by),
            why=why,
            policy=policy.said(until),
        ),
    )


def hold(
    change: Change, *, by: str, at: Moment, reason: HoldReason, why: str = ""
) -> tuple[ChangeEvent, ...]:
    """
    Let it wait: asking steps are refused until it is released. Same reason: no change.

    Args:
        reason: What it waits for.
    """
    by, at = _require(change, "hold", by=by, at=at)
    reason = checked_member("reason", reason, HoldReason)
    if change.on_hold is reason:
        return ()
    return (ChangeHeld(at=at, by=by, reason=reason, why=checked_words("why", why)),)


def release(change: Change, *, by: str, at: Moment) -> tuple[ChangeEvent, ...]:
    """End the wait. Without a hold it changes nothing."""
    by, at = _require(change, "release", by=by, at=at)
    return () if change.on_hold is None else (ChangeReleased(at=at, by=by),)


def start(
    change: Change,
    *,
    by: str,
    at: Moment,
    run: str | None = None,
    version: str | None = None,
    commits: Iterable[Commit] = (),
    rollout_plan: Sequence[float] = (),
    context: Context | None = None,
    policy: Policy = DEFAULT_POLICY,
    also: Policy | None = None,
) -> tuple[ChangeEvent, ...]:
    """
    Begin the work in production. An emergency may begin before it is approved.

    What is approved begins inside its window, the scheduled one where there is one. An emergency
    that begins before it is approved has no approved window yet, so none refuses it. What only a
    source says was approved begins too, and is outstanding: nobody voted on it here.

    Args:
        run: Reference of the pipeline run or the job.
        version: What it brings in.
        commits: The commits it brings in, for lead time.
        rollout_plan: Percentages of users, rising, the last one 100: (5, 25, 100).
    """
    shares = _checked_plan(rollout_plan)
    by, at = _require(
        change,
        "start",
        by=by,
        at=at,
        policy=policy,
        context=context,
        also=also,
        rollout_plan=shares,
    )
    approved = change.status is Status.APPROVED
    lapsed = _votes_lapsed(change, Ask(at=at, policy=policy, also=also))
    here = approved and _is_approved_here(change) and not lapsed
    if here:
        said = "may start"
    elif lapsed:
        said = "an emergency may start though votes have lapsed"
    elif approved:
        said = "approved elsewhere, by no vote of this ledger"
    else:
        said = "an emergency may start unapproved"
    said = "; ".join((said, *_frozen_now(change, at, policy)))
    started = ChangeStarted(
        at=at,
        by=by,
        run=optional_id("run", run),
        version=optional_id("version", version),
        rollout_plan=shares,
        outstanding=not here,
        policy=policy.said(said),
        evidence_position=_position_of(context),
    )
    return (started, *_commits(change, at=at, by=by, commits=commits))


def _checked_plan(rollout_plan: object) -> tuple[float, ...]:
    if not is_list(rollout_plan):
        raise InvalidValue("rollout_plan", rollout_plan, "percentages rising to 100")
    shares = tuple(_checked_percent("rollout_plan", share) for share in rollout_plan)
    if shares and (list(shares) != sorted(set(shares)) or shares[-1] != 100):
        raise InvalidValue("rollout_plan", rollout_plan, "percentages rising to 100")
    return shares


def _frozen_now(change: Change, at: Moment, policy: Policy) -> Iterator[str]:
    """Yield in which freezes it starts, overridden or as an emergency."""
    content = content_of(change)
    for freeze in policy.freezes:
        if freeze.is_about(content) and freeze.window_at(latest(at)) is not None:
            how = ", overridden" if freeze.name in change.overridden else ""
            how = how or (", as an emergency" if change.type is ChangeType.EMERGENCY else "")
            yield f"in the freeze {freeze.name!r}{how}"


def _is_approved_here(change: Change) -> bool:
    """Say whether the approval that stands was given live, and not told by a source."""
    stands: Mapping[int, ChangeFact] = past_standing(change.past)
    told = [one for one in stands.values() if getattr(one, "status", None) is Status.APPROVED]
    return bool(told) and not told[-1].imported


def _checked_percent(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 100:
        raise InvalidValue(name, value, "a percentage is a number above 0 and up to 100")
    return float(value)


def _commits(
    change: Change, *, at: Moment, by: str, commits: Iterable[Commit]
) -> tuple[ChangeEvent, ...]:
    new = tuple(c for c in checked_commits(commits) if c.id not in change.commits)
    return (CommitsRecorded(at=at, by=by, commits=new),) if new else ()


def observe(
    change: Change,
    *,
    by: str,
    at: Moment,
    title: str = "",
    kind: Kind | None = None,
    services: Iterable[str] = (),
    environment: str | None = None,
    labels: Mapping[str, str] | None = None,
    version: str | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> tuple[ChangeEvent, ...]:
    """
    Record what was found in production without a request, or without having been started.

    It is unauthorised, and stands for review. Nothing about it is passed off as planned.

    Args:
        at: When it went into production, as far as known.
        title, kind, services, environment, labels: Only for a change that was never planned.
        version: What was found there.
    """
    by, at = _require(change, "observe", by=by, at=at, policy=policy)
    new = change.status is Status.NOTHING
    names = checked_services(services)
    content = (("title", title), ("kind", kind), ("services", names), ("labels", labels))
    for name, value in (*content, ("environment", environment)):
        if value and not new:
            raise InvalidValue(name, value, "it was planned with its own; leave this out")
    return (
        ChangeObserved(
            at=at,
            by=by,
            title=required_words("title", title) if new else "",
            kind=None if kind is None else checked_member("kind", kind, Kind),
            services=names,
            environment=optional_id("environment", environment),
            labels=checked_labels({} if labels is None else labels),
            version=optional_id("version", version),
            type=ChangeType.OBSERVED if new else change.type,
            unauthorised="requested" if new else _guard_that_said_no(change, by, at, policy),
            outstanding=True,
        ),
    )


def _guard_that_said_no(change: Change, by: str, at: Moment, policy: Policy) -> str:
    """Name what was missing when a planned change was found in production without a start."""
    if change.status is Status.APPROVED:
        guards = _ADVISORY_UNSTARTED
        return _unauthorised(change, by=by, at=at, guards=guards, policy=policy) or "started"
    return "status" if change.status is Status.CANCELLED else "approved"


def advance_rollout(
    change: Change,
    *,
    by: str,
    at: Moment,
    percent: float,
    canary: Counts | None = None,
    baseline: Counts | None = None,
    note: str = "",
    policy: Policy = DEFAULT_POLICY,
) -> tuple[ChangeEvent, ...]:
    """
    Give it to a larger share of users. It ends a pause.

    Args:
        percent: The share of users from now on, above 0 and up to 100; it only goes up, and not
            past the next step of the plan.
        canary, baseline: What was counted since the last step, and no running totals.
    """
    percent = _checked_percent("percent", percent)
    canary, baseline = checked_counts("canary", canary), checked_counts("baseline", baseline)
    by, at = _require(
        change,
        "advance_rollout",
        by=by,
        at=at,
        percent=percent,
        policy=policy,
        canary=canary,
        baseline=baseline,
    )
    ask: _Ask = Ask(at=at, policy=policy, canary=canary, baseline=baseline)
    # What runs when a freeze begins may finish, and it is said that it does.
    freezes = policy.frozen_at(content_of(change), latest(at)) if policy.freezes else ()
    met = [f"in the freeze {freeze.name!r}" for freeze in freezes]
    return (
        RolloutAdvanced(
            at=at,
            by=by,
            percent=percent,
            canary=canary,
            baseline=baseline,
            policy=policy.said("; ".join(("may advance", *_canary_said(change, ask), *met))),
            note=checked_words("note", note),
        ),
    )


def pause_rollout(
    change: Change,
    *,
    by: str,
    at: Moment,
    canary: Counts | None = None,
    baseline: Counts | None = None,
    note: str = "",
) -> tuple[ChangeEvent, ...]:
    """Keep the share where it is. Pausing a paused rollout keeps what was counted, if anything."""
    by, at = _require(change, "pause_rollout", by=by, at=at)
    note = checked_words("note", note)
    if change.paused and (canary is None or baseline is None):
        return ()  # counts are kept, also of a rollout that waits already
    return (
        RolloutPaused(
            at=at,
            by=by,
            percent=change.percent or 0.0,
            canary=checked_counts("canary", canary),
            baseline=checked_counts("baseline", baseline),
            unauthorised=_unauthorised(change, by=by, at=at),
            note=note,
        ),
    )


def abort_rollout(
    change: Change,
    *,
    by: str,
    at: Moment,
    canary: Counts | None = None,
    baseline: Counts | None = None,
    note: str = "",
) -> tuple[ChangeEvent, ...]:
    """End the work where the rollout stands. The outcome is failed; the share reached is kept."""
    by, at = _require(change, "abort_rollout", by=by, at=at)
    return (
        RolloutAborted(
            at=at,
            by=by,
            percent=change.percent or 0.0,
            canary=checked_counts("canary", canary),
            baseline=checked_counts("baseline", baseline),
            unauthorised=_unauthorised(change, by=by, at=at),
            note=checked_words("note", note),
        ),
    )


def complete(
    change: Change,
    *,
    by: str,
    at: Moment,
    version: str | None = None,
    commits: Iterable[Commit] = (),
) -> tuple[ChangeEvent, ...]:
    """
    The work is over and in production: the moment of deployment. A rollout must be at 100 %.

    After the end of the approved window it is recorded and marked as unauthorised.

    Args:
        version: What it brought in, where `start` did not say.
        commits: The commits it brought in, where `start` did not say.
    """
    by, at = _require(change, "complete", by=by, at=at)
    completed = ChangeCompleted(
        at=at,
        by=by,
        version=optional_id("version", version),
        unauthorised=_unauthorised(change, by=by, at=at, guards=_ADVISORY_AT_THE_END),
    )
    return (*_commits(change, at=at, by=by, commits=commits), completed)


def fail(
    change: Change, *, by: str, at: Moment, reached_production: bool, why: str = ""
) -> tuple[ChangeEvent, ...]:
    """
    The work is over and did not work.

    Args:
        reached_production: Whether anything of it got there: else it was no deployment.
    """
    by, at = _require(change, "fail", by=by, at=at)
    return (
        ChangeFailed(
            at=at,
            by=by,
            reached_production=checked_flag("reached_production", reached_production),
            unauthorised=_unauthorised(change, by=by, at=at),
            why=checked_words("why", why),
        ),
    )


def roll_back(
    change: Change,
    *,
    by: str,
    at: Moment,
    incident: str | None = None,
    reached_production: bool = True,
    why: str = "",
) -> tuple[ChangeEvent, ...]:
    """
    It was taken out again. A closed change must be closed again, and not as successful.

    Args:
        incident: The incident it was rolled back for.
        reached_production: False where the work was taken back before anybody got it.
    """
    by, at = _require(change, "roll_back", by=by, at=at)
    return (
        ChangeRolledBack(
            at=at,
            by=by,
            incident=optional_known_id("incident", incident),
            reached_production=checked_flag("reached_production", reached_production),
            unauthorised=_unauthorised(change, by=by, at=at),
            why=checked_words("why", why),
            status=changed(change.status, Status.IMPLEMENTED),
        ),
    )


def recover(change: Change, *, by: str, at: Moment) -> tuple[ChangeEvent, ...]:
    """Service was good again after a failure that had no incident. The first time counts."""
    by, at = _require(change, "recover", by=by, at=at)
    if change.recovered:
        return ()
    return (ChangeRecovered(at=at, by=by, unauthorised=_unauthorised(change, by=by, at=at)),)


def validate(
    change: Change, *, by: str, at: Moment, check: str, passed: bool, evidence: str = ""
) -> tuple[ChangeEvent, ...]:
    """
    Tell a check's result. Validated is what passed the latest run of every check.

    While the work goes on, such as between two steps of a rollout, the status stays.

    Args:
        check: Which check: an id, such as "smoke test".
        passed: Whether it passed.
        evidence: What shows that, in words.
    """
    by, at = _require(change, "validate", by=by, at=at)
    check, passed = checked_id("check", check), checked_flag("passed", passed)
    checks = {**change.checks, check: Checked(passed, at)}
    over = change.status is not Status.IMPLEMENTING
    well = all(each.passed for each in checks.values())
    return (
        ChangeValidated(
            at=at,
            by=by,
            check=check,
            passed=passed,
            unauthorised=_unauthorised(change, by=by, at=at),
            evidence=checked_words("evidence", evidence),
            status=(
                changed(change.status, Status.VALIDATED if well else Status.IMPLEMENTED)
                if over
                else None
            ),
        ),
    )


def close(
    change: Change,
    *,
    by: str,
    at: Moment,
    result: Result,
    notes: str = "",
    policy: Policy = DEFAULT_POLICY,
) -> tuple[ChangeEvent, ...]:
    """
    Document the result. What failed or was rolled back closes as unsuccessful.

    Args:
        result: How it went, all in all.
        notes: What was learned, in words.
    """
    result = checked_member("result", result, Result)
    by, at = _require(change, "close", by=by, at=at, result=result, policy=policy)
    notes = checked_words("notes", notes)
    return (ChangeClosed(at=at, by=by, result=result, actor=policy.actor_of(by), notes=notes),)


def cancel(change: Change, *, by: str, at: Moment, why: str) -> tuple[ChangeEvent, ...]:
    """It will not be done."""
    by, at = _require(change, "cancel", by=by, at=at)
    return (ChangeCancelled(at=at, by=by, why=required_words("why", why)),)


def correct(
    change: Change,
    *,
    by: str,
    at: Moment,
    version: int,
    field: str,
    was: CorrectableValue,
    now: CorrectableValue,
    why: str,
    policy: Policy = DEFAULT_POLICY,
) -> tuple[ChangeEvent, ...]:
    """
    A fact was recorded wrongly. The event stays; what stands is *now*.

    Content under approval (kind, services, environment, labels) is corrected only after the start.
    What then stands was not approved: the correction is marked, and outstanding until ruled on.

    Args:
        version: Which event of the stream recorded the fact; *field* is its field (`CORRECTABLE`).
        was: What stands, as the caller knows it; refused when something else does.
        now: What stands from now on: a value of the kind that the field has.
    """
    version, field = checked_number("version", version), checked_text("field", field)
    why = required_words("why", why)
    by, at = _require(
        change,
        "correct",
        by=by,
        at=at,
        version=version,
        field=field,
        was=was,
        now=now,
        policy=policy,
    )
    # Only classes in CORRECTABLE come back.
    made: tuple[ChangeEvent, ...] = correction(  # type: ignore[assignment]
        past_standing(change.past),
        CORRECTABLE,
        version=version,
        field=field,
        now=now,
        at=at,
        by=by,
        why=why,
    )
    return tuple(event for one in made for event in _with_mark(change, one))


_DECIDED: Final = (*_CONTENT_EVENTS, ChangeSubmitted, *_DECISIONS)
"""Events that asked for approval, or gave it; what is imported of them decides nothing."""


def _ends_approval(change: Change, event: ChangeEvent) -> bool:
    """Say whether a correction changes content that was asked to be approved here, or was."""
    if getattr(event, "field", "") not in _CONTENT_FIELDS:
        return False
    if not _decided_live(past_standing(change.past)):
        return False
    return _content(change) != _content(fold((*change.past, event)))


def _decided_live(stands: Mapping[int, ChangeFact]) -> bool:
    return any(isinstance(one, _DECIDED) and not one.imported for one in stands.values())


def _content(change: Change) -> tuple[object, ...]:
    return change.kind, change.services, change.environment, change.labels


def _with_mark(change: Change, event: ChangeEvent) -> tuple[ChangeEvent, ...]:
    """Return a correction, with the mark in front of it where it changes what was approved."""
    if not _ends_approval(change, event):
        return (event,)
    return (_mark(change, at=event.at, by=event.by, imported=event.imported), event)


def _mark(
    change: Change, *, at: Moment | None, by: str, imported: bool = False
) -> ContentCorrectedAfterApproval:
    return ContentCorrectedAfterApproval(
        at=at,
        by=by,
        version=len(change.past) + 2,  # this one stands between
        unauthorised="content as approved",
        imported=imported,
    )


def void(
    change: Change,
    *,
    by: str,
    at: Moment,
    version: int,
    why: str,
    policy: Policy = DEFAULT_POLICY,
) -> tuple[ChangeEvent, ...]:
    """
    An event never happened: it leaves facts and figures, and is struck through in timelines.

    Of the events that changed the status only the last can be voided, again and again. A vote, or
    the content voted on, can't be while the approval that rests on it stands.

    Args:
        version: Which event of the stream, counted from 1.
    """
    version, why = checked_number("version", version), required_words("why", why)
    by, at = _require(change, "void", by=by, at=at, version=version, policy=policy)
    event = voided(change.past, at=at, by=by, version=version, why=why)
    if event is None:
        return ()
    after_it = fold((*change.past, event))
    return (attrs.evolve(event, status=after_it.status.value),)


# --- imported history -----------------------------------------------------------------------------

_PROGRESS: Final = {status: rank for rank, status in enumerate(Status)}
CHANGE_EVENTS: Final = frozenset(get_args(ChangeEvent))
"""The classes of all events that a change's stream can hold."""


def bring_in(
    change: Change,
    *,
    events: Sequence[ChangeEvent],
    policy: Policy = DEFAULT_POLICY,
    also: Policy | None = None,
    decided: bool = False,
) -> tuple[tuple[int, ChangeEvent], ...]:
    """
    Record history from elsewhere: any subset of the moments, in any order.

    Every event must be marked `imported`. Statuses are set here: the status that results is the
    furthest milestone given, and steps the source skipped stay absent. What stands already is
    not recorded again; a value that changed in the source becomes a correction. An imported
    approval is a moment, not a vote: the authorisation of imported changes is unknown, and a live
    start that follows one is outstanding until somebody rules on it.

    A change whose content was recorded or decided on live is not planned or revised by a source:
    what that says of kind, services, environment and labels becomes a correction, which is
    marked, also before the start. What it says of type, risk, window and plans has no correction,
    and is left out: they stay as they were put up for approval. So is for when it says that it is
    scheduled, and whether it waits. That it went in is recorded whatever the policy says, and
    marked where a start here would have been refused.

    `ChangeDeployed` says that it came into production, and not how it went. Where an earlier import
    said it completed, that stands, and only its moment is compared.

    Args:
        policy, also: Those in force, and that it was submitted under: by them is marked what went
            in unasked for.
        decided: What is new of it was found before (`imcm.interchange.deciding`): all of it is.
            What a source takes back of a change that lives here stays.

    Returns:
        What follows, each with the place in *events* of the one it comes from.

    Raises:
        StepRefused: No event says what was planned, or a fact that can't be corrected changed.
        InvalidValue: An event is none of a change, or not marked as imported.
    """
    change = checked_state("change", change, Change)
    events = checked_events("events", events)
    if not decided:
        events = _as_told_before(change.past, events)
    result: list[tuple[int, ChangeEvent]] = []
    past = list(change.past)
    status = change.status  # all that is asked of the change: no state is made for each event
    first = (ChangePlanned, ChangeObserved)
    # Where all was imported, no content waits for its approval and none can be laid against it.
    lived = not all(getattr(one, "imported", False) for one in past)
    guards = _mark_guards(change, checked_policy(policy), also)
    found: Iterable[tuple[int, ChangeEvent]] = (
        decided_before(events, CHANGE_EVENTS)
        if decided
        else news(
            change.past,
            events,
            CORRECTABLE,
            first=first,
            known=CHANGE_EVENTS,
            hears_again=lived,  # or one void would hide for good what went in unasked for
        )
    )
    for place, event in found:
        if isinstance(event, EventVoided):
            if not change.lived:
                status = fold([*past, event]).status
                past.append(attrs.evolve(event, status=status.value))
                result.append((place, past[-1]))
            continue
        for one in _content_said(past, event) if lived else (event,):
            placed = one
            if _is_of_here(change, one, of=events[place]):
                continue
            if change.lived and isinstance(one, ChangeApproved | ChangeSubmitted):
                placed = with_status(one, None)  # history authorises nothing still to come
            elif change.lived and _moves_what_has_not_ended(one, status):
                placed = with_status(one, None)  # the work goes on here, or has not begun
            elif isinstance(one, _MILESTONES):
                after = place_after(status, one.status or status, _PROGRESS)
                placed = with_status(one, changed(status, after))
            placed = _marked_unasked(placed, guards)
            marked: tuple[ChangeEvent, ...] = (placed,)
            if lived and getattr(placed, "field", "") in _CONTENT_FIELDS:
                marked = _with_mark(fold(past), placed)
            past += marked
            if placed.__class__ not in EDIT_CLASSES:
                status = status_after(status, placed)
            result += ((place, new) for new in marked)
    return tuple(result)


def _moves_what_has_not_ended(event: ChangeEvent, status: Status) -> bool:
    """Say whether a source ends what is at work here, or has not begun."""
    if isinstance(event, ChangeValidated):
        return status in {*_BEFORE_START, Status.IMPLEMENTING}
    return isinstance(event, ChangeClosed) and status in _BEFORE_START


def _as_told_before(
    past: Sequence[ChangeEvent], events: tuple[ChangeEvent, ...]
) -> tuple[ChangeEvent, ...]:
    """Return events with a deployment as the completion that an earlier import made of it."""
    if not any(isinstance(event, ChangeDeployed) for event in events):
        return events
    stands: Mapping[int, ChangeFact] = past_standing(past)
    if not any(isinstance(one, ChangeCompleted) and one.imported for one in stands.values()):
        return events
    return tuple(_completion(one) if isinstance(one, ChangeDeployed) else one for one in events)


def _completion(event: ChangeDeployed) -> ChangeCompleted:
    return ChangeCompleted(at=event.at, by=event.by, version=event.version, imported=event.imported)


def _content_said(past: Sequence[ChangeEvent], event: ChangeEvent) -> Iterator[ChangeEvent]:
    """Yield an event of a source; of content put up or decided on live, the corrections."""
    if not past or not isinstance(event, _CONTENT_EVENTS):
        yield event
        return
    stands: Mapping[int, ChangeFact] = past_standing(past)
    planned = {v: one for v, one in stands.items() if isinstance(one, _CONTENT_EVENTS)}
    found = {v: one for v, one in stands.items() if isinstance(one, ChangeObserved)}
    content = planned or found
    if not content or (content[max(content)].imported and not _decided_live(stands)):
        yield event
        return
    edits: list[Any] = [one for one in past if isinstance(one, CORRECTIONS)]
    said = {one.field: one.now for one in edits if one.imported}
    for field in sorted(_CONTENT_FIELDS):
        value = getattr(event, field, None)
        holder = max((v for v, one in content.items() if hasattr(one, field)), default=0)
        if not value or not holder or said.get(field) == value:
            continue  # it says nothing, or nothing else than it said before
        given: Any = event
        if field == "labels":
            labels = relabelled(past, stands, holder, event)
            if labels is None:
                continue
            given = replaced(given, labels=labels)
        # Only classes in CORRECTABLE come back.
        yield from corrected(  # type: ignore[misc]
            stands,
            CORRECTABLE,
            version=holder,
            field=field,
            written=past[holder - 1],
            given=given,
            why="the source has it otherwise",
        )


_NOT_FROM_ELSEWHERE: Final = (
    *(ChangeScheduled, ChangeHeld, ChangeReleased, RolloutAdvanced, RolloutPaused),
    *(VoteGiven, ChangeRejected, ChangeApprovedRetroactively, RetroactiveApprovalRefused),
)
"""What steps here go by, and no source says of a change that lives here."""


def _is_of_here(change: Change, event: Any, of: object) -> bool:
    """
    Say whether a source says what only steps here say of a change that lives here.

    So are its corrections of what was told here, but of content, which are marked; and that it went
    well where it failed here.

    Args:
        of: What the source said, of which the event comes.
    """
    if not change.lived:
        return False
    if isinstance(of, EDITS) and getattr(of, "field", "") not in _CONTENT_FIELDS:
        target = change.past[event.version - 1 : event.version]
        return not (target and getattr(target[0], "imported", False))
    began = change.status not in {Status.NOTHING, *_BEFORE_START, Status.CANCELLED}
    if began and isinstance(event, ChangeStarted | ChangeObserved | ChangeCancelled):
        return True
    well = isinstance(event, ChangeCompleted | ChangeDeployed)
    well = well or (isinstance(event, ChangeClosed) and event.result is Result.SUCCESSFUL)
    if well and change.outcome in {Outcome.FAILED, Outcome.ROLLED_BACK}:
        return True
    return isinstance(event, _NOT_FROM_ELSEWHERE)


def _mark_guards(
    change: Change, policy: Policy, also: Policy | None
) -> Callable[[Moment | None], str]:
    """Return the function that names the guard by which a start at a time is unasked for."""

    def refused_by(*guards: Guard[Change]) -> Callable[[Moment | None], str]:
        def guard_at(at: Moment | None) -> str:
            # Who does not say by which steps it went up brought it to everybody at once.
            ask: _Ask = Ask(at=at, policy=policy, also=also, rollout_plan=())
            refused = _first_to_refuse(guards, change, ask)
            return refused or ("" if at is not None else _asks_when(change, ask))

        return guard_at

    if change.lived and change.status is Status.IMPLEMENTING:
        return refused_by(_ROLLED_OUT, *_ADVISORY_AT_THE_END)
    if not change.lived or change.status not in {*_BEFORE_START, Status.CANCELLED}:
        return lambda _: ""
    if not (change.status is Status.APPROVED and _is_approved_here(change)):
        return lambda _: "approved"
    if change.other_content and change.type is not ChangeType.EMERGENCY:
        return lambda _: "content as approved"
    return refused_by(*_ADVISORY_UNSTARTED, _STARTS_SMALL)


def _asks_when(change: Change, ask: _Ask) -> str:
    """Return the first guard that an unknown moment may have gone around; "" for none."""
    if _approved_window(change) is not None:
        return _INSIDE
    if _lapse_needed(change, ask):
        return "vote lapsed"
    if change.type is ChangeType.EMERGENCY:
        return ""
    content = content_of(change)
    if any(each.is_about(content) for each in ask.policy.freezes):
        return "freeze"
    maintained = any(each.is_about(content) for each in ask.policy.maintenance)
    return "maintenance window" if maintained else ""


def _marked_unasked(event: Any, guard_at: Callable[[Moment | None], str]) -> Any:
    """
    Return what a source says of a change that was not to start here, marked where it went in.

    Any: an event of whatever kind.
    """
    if isinstance(event, ChangeStarted | ChangeObserved):
        return attrs.evolve(event, outstanding=True) if guard_at(event.at) else event
    ends = (ChangeCompleted, ChangeDeployed, ChangeFailed, RolloutAborted, ChangeRolledBack)
    if isinstance(event, ends):
        guard = guard_at(event.at)
        return attrs.evolve(event, unauthorised=guard) if guard else event
    return event


_MILESTONES: Final = (
    ChangeRevised,
    ChangeRescoped,
    ChangeSubmitted,
    ChangeApproved,
    ChangeRejected,
    ChangeStarted,
    ChangeObserved,
    ChangeCompleted,
    ChangeDeployed,
    ChangeFailed,
    RolloutAborted,
    ChangeRolledBack,
    ChangeValidated,
    ChangeClosed,
)

# --- events, whoever's step made them -------------------------------------------------------------


def _again_commits(
    change: Change, *, by: str, at: Moment, commits: Iterable[Commit]
) -> tuple[ChangeEvent, ...]:
    """Say again which commits travel along, while the work goes on: `start` and `complete` do."""
    _require(change, "fail", by=by, at=at)
    return _commits(change, at=at, by=by, commits=commits)


def _again_mark(change: Change, *, by: str, at: Moment) -> tuple[ChangeEvent, ...]:
    """Say again that content is corrected after the start; `correct` does, in front of it."""
    by, at = checked_id("by", by), checked_moment("at", at)
    return (
        () if change.status in {Status.NOTHING, *_BEFORE_START} else (_mark(change, at=at, by=by),)
    )


_RECORDED_BY: Final[Mapping[type, Callable[..., tuple[ChangeEvent, ...]]]] = {
    ChangePlanned: plan,
    ChangeRevised: revise,
    ChangeRescoped: revise,
    ChangeReworded: reword,
    ReferenceAdded: refer,
    ContentCorrectedAfterApproval: _again_mark,
    ChangeSubmitted: submit,
    VoteGiven: approve,
    ChangeRejected: reject,
    ChangeApprovedRetroactively: approve_retroactively,
    RetroactiveApprovalRefused: refuse_retroactively,
    ChangeScheduled: schedule,
    FreezeOverridden: override_freeze,
    ChangeHeld: hold,
    ChangeReleased: release,
    ChangeStarted: start,
    CommitsRecorded: _again_commits,
    ChangeObserved: observe,
    RolloutAdvanced: advance_rollout,
    RolloutPaused: pause_rollout,
    RolloutAborted: abort_rollout,
    ChangeCompleted: complete,
    ChangeFailed: fail,
    ChangeRolledBack: roll_back,
    ChangeRecovered: recover,
    ChangeValidated: validate,
    ChangeClosed: close,
    ChangeCancelled: cancel,
    EventVoided: void,
    **dict.fromkeys(CORRECTIONS, correct),
}
"""By which step the events of a type are recorded; what is not here has another door."""


def confirm(
    change: Change,
    event: ChangeEvent,
    *,
    policy: Policy = DEFAULT_POLICY,
    also: Policy | None = None,
    context: Context | None = None,
) -> None:
    """
    Let an event that a step of somebody's own made be recorded, or refuse it.

    Guards belong to events: a vote is a vote whoever's step made it. See `lifecycle.confirmed`.

    Raises:
        StepRefused: A guard says no, or what the event says does not follow.
        InvalidValue: It is no event of a change that a step can record.
    """
    both = None if also is None else checked_policy(also)
    rules = {"policy": checked_policy(policy), "also": both, "context": checked_context(context)}
    confirmed(_RECORDED_BY, "change", change, event, **rules)
    if _ends_approval(change, event) and not _is_marked(change):
        raise incomplete("correct", "content is corrected after its approval")


def _is_marked(change: Change) -> bool:
    """Say whether the last event is the mark of the correction that comes next."""
    last, next_one = change.past[-1], len(change.past) + 1
    return isinstance(last, ContentCorrectedAfterApproval) and last.version == next_one
