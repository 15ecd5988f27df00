"""
Tools that only read: boards, one incident or change, its timeline, figures, what can be done next.

Each is a function; its signature and its docstring are what a client is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from inspect import signature
from typing import Any, Final, Literal, Protocol

import attrs

from imcm.agents.answers import answered, paged
from imcm.domain.change_events import ChangeStatus
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.lifecycle import Answer
from imcm.domain.policy.context import Context
from imcm.domain.recorded import CHANGE, kind_and_id, stream_of
from imcm.domain.vocabulary import Authority, Severity
from imcm.errors import InvalidValue
from imcm.ledger.reading import LedgerReader
from imcm.projections.figures import (
    availability,
    failures,
    frequency,
    lead_time,
    recovery,
    restore,
)
from imcm.projections.figures.figure import Figure
from imcm.projections.reports.dora import dora_report
from imcm.readmodel.views import Page, Views

Plain = dict[str, Any]
"""A JSON object. Any: its values are whatever JSON has."""

MOST_ROWS: Final = 100
"""Rows of one page at most."""


@attrs.frozen(kw_only=True)
class Session:
    """
    What the tools of one agent work on.

    Attributes:
        ledger: The ledger; where no tool records, only a reader of it.
        views: What stands now of it.
        agent: The agent's id, under which it records and asks what it may do.
        tools: Names of the tools that are on.
        clock: Gives the time now.
    """

    ledger: LedgerReader
    views: Views
    agent: str
    tools: frozenset[str] = frozenset()
    clock: Callable[[], datetime] = attrs.field(default=lambda: datetime.now(UTC))


class _Row(Protocol):
    def as_dict(self) -> Plain: ...


def _board(page: Page[Any], offset: int) -> Plain:
    rows: Iterable[_Row] = page
    return paged(
        (row.as_dict() for row in rows), total=page.total, offset=offset, position=page.position
    )


def _limit(limit: int) -> int:
    if not 1 <= limit <= MOST_ROWS:
        raise InvalidValue("limit", limit, f"1 to {MOST_ROWS}; offset has the next page")
    return limit


def about(session: Session) -> Plain:
    """
    Say which ledger this is, who this agent is by the policy in force, and which tools are on.

    Call it first.
    """
    rules = session.ledger.rules()
    policy = rules.policy
    actor = None if policy is None else policy.actor_of(session.agent)
    return answered(
        {
            "ledger": session.ledger.ledger_id,
            "log_position": session.ledger.position_at(),
            "now": session.clock().isoformat(),
            "agent": session.agent,
            "kind": None if actor is None else actor.value,
            "policy": None if policy is None else {"name": policy.name, "version": policy.version},
            "agents_may": [] if policy is None else [step.value for step in policy.agents_may],
            "tools": sorted(session.tools),
        }
    )


def incidents(
    session: Session,
    *,
    status: list[IncidentStatus] | Literal["open", "all"] = "open",
    severity: list[Severity] | None = None,
    service: str | None = None,
    labels: dict[str, str] | None = None,
    person: str | None = None,
    order: Literal["severity", "oldest", "newest", "recent", "id"] = "severity",
    limit: int = 20,
    offset: int = 0,
    known_at: int | datetime | None = None,
) -> Plain:
    """
    List incidents, the open ones and the worst first unless asked otherwise.

    Args:
        status: "open", "all", or some statuses.
        severity: Only these.
        service: Only those that hit it.
        labels: Only those with all of these labels.
        person: Only those in which this person has a role.
        order: "recent" has first what something was recorded of last.
        limit: At most so many, 100 at most.
        offset: After so many: `next_offset` of the page before.
        known_at: As it was known at a log position, or at a time with its offset.
    """
    page = session.views.incidents(
        status=status,
        severity=severity,
        service=service,
        labels=labels,
        person=person,
        order=order,
        limit=_limit(limit),
        offset=offset,
        known_at=known_at,
    )
    return _board(page, offset)


def changes(
    session: Session,
    *,
    status: list[ChangeStatus] | Literal["current", "deploying", "all"] = "current",
    service: str | None = None,
    labels: dict[str, str] | None = None,
    person: str | None = None,
    unauthorised: bool | None = None,
    order: Literal["window", "oldest", "newest", "recent", "id"] = "oldest",
    limit: int = 20,
    offset: int = 0,
    known_at: int | datetime | None = None,
) -> Plain:
    """
    List changes, those that are not over unless asked otherwise.

    Args:
        status: "current" (not over), "deploying" (going in now), "all", or some statuses.
        service: Only those of this service.
        labels: Only those with all of these labels.
        person: Only those that this person planned or asked for.
        unauthorised: Only those that a guard would have said no to, or only the others.
        order: "window" is that of the planned beginning.
        limit: At most so many, 100 at most.
        offset: After so many: `next_offset` of the page before.
        known_at: As it was known at a log position, or at a time with its offset.
    """
    page = session.views.changes(
        status=status,
        service=service,
        labels=labels,
        person=person,
        unauthorised=unauthorised,
        order=order,
        limit=_limit(limit),
        offset=offset,
        known_at=known_at,
    )
    return _board(page, offset)


def actions(
    session: Session,
    *,
    status: Literal["open", "overdue", "done", "dropped", "all"] = "open",
    owner: str | None = None,
    incident: str | None = None,
    service: str | None = None,
    limit: int = 20,
    offset: int = 0,
) -> Plain:
    """
    List action items of reviews, the most urgent first.

    Args:
        status: "overdue" are open ones whose day is over.
        owner: Only this person's.
        incident: Only those of this incident.
        service: Only those of incidents that hit it.
        limit: At most so many, 100 at most.
        offset: After so many: `next_offset` of the page before.
    """
    page = session.views.actions(
        status=status,
        owner=owner,
        incident=incident,
        service=service,
        limit=_limit(limit),
        offset=offset,
    )
    return _board(page, offset)


def approvals(
    session: Session,
    *,
    by: str | None = None,
    service: str | None = None,
    limit: int = 20,
    offset: int = 0,
) -> Plain:
    """
    List the changes that wait for a vote, or for a ruling after they went in, the oldest first.

    Args:
        by: Whose turn is asked for: each row says whether that person may, and what says no.
        service: Only those of this service.
        limit: At most so many, 100 at most.
        offset: After so many: `next_offset` of the page before.
    """
    page = session.views.approvals(by=by, service=service, limit=_limit(limit), offset=offset)
    return _board(page, offset)


def ready(
    session: Session,
    *,
    service: str | None = None,
    limit: int = 20,
    offset: int = 0,
) -> Plain:
    """
    List what is approved: whether this agent may start it now, and every reason why not.

    Args:
        service: Only changes of this service.
        limit: At most so many, 100 at most.
        offset: After so many: `next_offset` of the page before.
    """
    page = session.views.ready(
        by=session.agent, service=service, limit=_limit(limit), offset=offset
    )
    return _board(page, offset)


def calendar(
    session: Session,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    service: str | None = None,
    limit: int = 20,
    offset: int = 0,
) -> Plain:
    """
    List the changes that are planned into a period, in the order of their windows.

    Args:
        start: Its beginning, with an offset; now if absent.
        end: Its end, which is not in it; a week after the beginning if absent.
        service: Only those of this service.
        limit: At most so many, 100 at most.
        offset: After so many: `next_offset` of the page before.
    """
    first = session.clock() if start is None else start
    try:
        last = first + timedelta(days=7) if end is None else end
    except OverflowError:
        raise InvalidValue("start", start, "a time with a week after it") from None
    page = session.views.calendar(first, last, service=service)
    some = page[offset : offset + _limit(limit)] if offset >= 0 else ()
    return paged(
        (view.as_dict() for view in some), total=page.total, offset=offset, position=page.position
    )


def live(session: Session, *, service: str | None = None, environment: str | None = None) -> Plain:
    """
    List which version of each service is live, since when, and by which change.

    Args:
        service: Only this one.
        environment: Production if absent.
    """
    page = session.views.live(service=service, environment=environment)
    return _board(page, 0)


def search(session: Session, *, text: str, limit: int = 20, offset: int = 0) -> Plain:
    """
    Find incidents and changes in which all words of a text stand, in any case.

    Args:
        text: One or several words, or parts of words; an id that is the text comes first.
        limit: At most so many, 100 at most.
        offset: After so many: `next_offset` of the page before.
    """
    page = session.views.search(text, limit=_limit(limit), offset=offset)
    return _board(page, offset)


def show(session: Session, *, id: str, known_at: int | datetime | None = None) -> Plain:
    """
    Return everything that stands of one incident or change.

    Args:
        id: Its id, "INC-7"; with its kind in front, "incident:7", where there are both.
        known_at: As it was known at a log position, or at a time with its offset.
    """
    kind, name = kind_and_id(session.ledger.stream_of(id))
    one_of_kind = session.views.change if kind == CHANGE else session.views.incident
    return answered({"kind": kind, kind: one_of_kind(name, known_at=known_at).as_dict()})


def timeline(
    session: Session,
    *,
    id: str,
    linked: bool = True,
    limit: int = 50,
    offset: int = 0,
    known_at: int | datetime | None = None,
) -> Plain:
    """
    Return what happened to one incident or change, in order of time.

    Args:
        id: Its id, "INC-7"; with its kind in front where there is an incident and a change of it.
        linked: Whether what it names, or what names it, is told, too.
        limit: At most so many entries, 100 at most.
        offset: After so many: `next_offset` of the page before.
        known_at: As it was known at a log position, or at a time with its offset.
    """
    if offset < 0:
        raise InvalidValue("offset", offset, "0 or more")
    entries = session.views.timeline(id, linked=linked, known_at=known_at)
    some = entries[offset : offset + _limit(limit)]
    position = session.ledger.position_at(known_at)
    return paged(
        (entry.as_dict() for entry in some), total=len(entries), offset=offset, position=position
    )


def next_steps(session: Session, *, id: str, authority: Authority | None = None) -> Plain:
    """
    Say what this agent can do next with an incident or a change, and of the rest, why not.

    What is possible comes first, then what depends on something, then the rest. `tool` is the
    tool that does it, null where that is off here. `possible` is null where it depends on what
    stands in `needs`.

    Args:
        id: Its id, "INC-7"; with its kind in front where there is an incident and a change of it.
        authority: In which capacity a vote would be given.
    """
    stream = session.ledger.stream_of(id)
    kind, name = kind_and_id(stream)
    answers = session.ledger.next_steps(
        stream,
        by=session.agent,
        at=session.clock(),
        authority=authority,
        context=context_of(session, name) if kind == CHANGE else None,
    )
    first = sorted(answers, key=lambda a: (a.possible is False, a.possible is None))
    steps = [_answer(session, kind, answer) for answer in first]
    return answered({"kind": kind, "id": name, "steps": steps})


def _answer(session: Session, kind: str, answer: Answer) -> Plain:
    tool = f"{kind}_{answer.step}"
    return {
        "step": answer.step,
        "tool": tool if tool in session.tools else None,
        "possible": answer.possible,
        "guard": answer.guard,
        "why": answer.why,
        "needs": [name for name in answer.needs if name not in {"by", "at"}],
        "records": list(answer.records),
        "status": answer.status,
    }


def context_of(session: Session, id: str, **asked: Any) -> Context | None:
    """
    Return what a step of a change needs of other streams; None where no rule asks for it.

    Args:
        id: The change.
        asked: What `Views.context` takes besides. Any: it checks them.
    """
    policy = session.ledger.rules().policy
    wanted = policy is not None and (policy.refuse_conflicts or asked.get("template") is not None)
    if not wanted or not session.ledger.history(stream_of(CHANGE, id)):
        return None
    return session.views.context(id, **asked)


FigureName = Literal[
    "time_to_detect",
    "time_to_acknowledge",
    "time_to_mitigate",
    "time_to_restore",
    "time_to_repair",
    "mean_time_to_restore",
    "deployment_frequency",
    "lead_time",
    "change_failure_rate",
    "failed_deployment_recovery_time",
    "rework_rate",
    "downtime",
    "availability",
    "time_between_failures",
    "user_impact",
]
FIGURES: Final[Mapping[FigureName, Callable[..., Figure]]] = {
    "time_to_detect": restore.time_to_detect,
    "time_to_acknowledge": restore.time_to_acknowledge,
    "time_to_mitigate": restore.time_to_mitigate,
    "time_to_restore": restore.time_to_restore,
    "time_to_repair": restore.time_to_repair,
    "mean_time_to_restore": restore.mean_time_to_restore,
    "deployment_frequency": frequency.deployment_frequency,
    "lead_time": lead_time.lead_time,
    "change_failure_rate": failures.change_failure_rate,
    "failed_deployment_recovery_time": recovery.failed_deployment_recovery_time,
    "rework_rate": frequency.rework_rate,
    "downtime": availability.downtime,
    "availability": availability.availability,
    "time_between_failures": availability.time_between_failures,
    "user_impact": availability.user_impact,
}


def figure(
    session: Session,
    *,
    name: FigureName,
    window: str | None = None,
    group_by: str | None = None,
    bucket_by: str | int | None = None,
    time_zone: str = "UTC",
    settings: dict[str, Any] | None = None,
) -> Plain:
    """
    Return one figure with its interval, and in words what it counts and what it leaves out.

    Quote `explanation` with a number: without its definition it means nothing.

    Args:
        name: Which one.
        window: The period: "2026-Q1", "2026-03", "2026-03-01/2026-03-15", "last quarter"; all time
            if absent.
        group_by: service, severity, channel, type, kind, risk ..., or "label:team".
        bucket_by: Periods inside the window: day, week, month, quarter, year, or so many days.
        time_zone: IANA zone of days and months.
        settings: More arguments of the figure, as {"statistic": "mean"}; a wrong one is answered
            with those there are.
    """
    compute = FIGURES[name]
    common = _period(window, group_by, bucket_by, time_zone)
    takes = [argument for argument in signature(compute).parameters if argument != "log"]
    for argument, value in (settings or {}).items():
        if argument not in takes:
            raise InvalidValue(argument, value, f"{name} takes {', '.join(takes)}")
    made = compute(session.views.facts(), **{**(settings or {}), **common})
    return answered({"figure": made.as_dict(), "explanation": made.explain().splitlines()})


def report(
    session: Session,
    *,
    window: str | None = None,
    group_by: str | None = None,
    bucket_by: str | int | None = None,
    time_zone: str = "UTC",
    preset: str = "dora",
    year: int = 2024,
) -> Plain:
    """
    Return the DORA metrics with intervals and performance bands, and in words what each counts.

    Args:
        window: The period: "2026-Q1", "2026-03", "2026-03-01/2026-03-15", "last quarter"; all time
            if absent.
        group_by: service, severity, channel, type, kind, risk ..., or "label:team".
        bucket_by: Periods inside the window: day, week, month, quarter, year, or so many days.
        time_zone: IANA zone of days and months.
        preset: As which tool counts: dora, devlake, middleware, four_keys, gitlab, ...
        year: Performance bands of this report year.
    """
    asked = _period(window, group_by, bucket_by, time_zone)
    made = dora_report(session.views.facts(), preset=preset, year=year, **asked)
    return answered({"report": made.as_dict(), "explanation": made.explain().splitlines()})


def _period(
    window: str | None, group_by: str | None, bucket_by: str | int | None, time_zone: str
) -> dict[str, Any]:
    return {
        "window": window, "group_by": group_by, "bucket_by": bucket_by, "time_zone": time_zone
    }  # fmt: skip


READING: Final[Sequence[Callable[..., Plain]]] = (
    about, incidents, changes, actions, approvals, ready, calendar, live, search, show, timeline,
    next_steps, figure, report,
)  # fmt: skip
"""All tools that only read, in the order in which they are listed."""
