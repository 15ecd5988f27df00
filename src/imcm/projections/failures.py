"""
Deployments, which of them failed, and which incidents they caused.

A deployment is a change that came into production. It failed when it needed immediate
intervention; which signs of that count is a choice of the definition, and so is what happens to
an incident whose cause nobody stated.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import ClassVar, Final, NamedTuple

import attrs

from imcm.domain.change import ChangeStatus
from imcm.domain.vocabulary import Kind, Outcome, Verdict
from imcm.errors import InvalidValue
from imcm.projections.facts import ChangeFacts, Facts, IncidentFacts
from imcm.projections.figure import (
    SHARE,
    Definition,
    Figure,
    Included,
    LeftOut,
    Listed,
    Members,
    Period,
    buckets,
    change_matches,
    choices,
    figure_function,
    groups_of,
    in_environment,
    incident_matches,
    incidents_of,
    inside,
    is_label,
    names,
    severity_matches,
    unread_notes,
    utc,
    why_incident_out,
    with_groups,
)
from imcm.projections.statistics import wilson

FAILED_BY: Final = ("incident", "rolled_back", "failed", "repaired")
"""The signs of failure that count unless told otherwise."""


# --- deployments ----------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Deployments(Definition):
    """
    Which changes are deployments.

    Attributes:
        rollbacks: A change of kind rollback is no deployment ("leave_out", the default): the roll
            back is part of the change it takes back. "count" makes it one, as most tools do.
    """

    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"rollbacks": ("leave_out", "count")}
    rollbacks: str = "leave_out"


class Deployment(NamedTuple):
    """One deployment: its change, when it came into production, and the groups it counts in."""

    change: ChangeFacts
    at: datetime
    uncertain: bool
    groups: tuple[str, ...]

    @property
    def successful(self) -> bool:
        """Whether the work ended completed (what happened later is another question)."""
        return self.change.outcome is Outcome.COMPLETED


def why_no_deployment(row: ChangeFacts, definition: Deployments) -> str | None:
    """Return why a change is no deployment under the definition, or None where it is one."""
    if row.status is ChangeStatus.NOTHING:
        return "never happened (voided, or later than as_of)"
    if not in_environment(row.environment, definition):
        return f"environment {row.environment or 'production'}"
    if row.kind is Kind.ROLLBACK and definition.rollbacks == "leave_out":
        return "is a roll back of another change"
    if row.deployed_at is None:
        if row.outcome is None:
            return f"not deployed ({row.status.value})"
        return "reached nothing" if row.reached_production is False else "missing(deployed)"
    return None


Found = tuple[Sequence[Deployment], Sequence[LeftOut]]


def deployments(facts: Facts, definition: Deployments) -> Found:
    """Return all deployments the definition takes, in order of time and id, and what is none."""
    key = ("deployments", *choices(definition, Deployments))
    return facts.kept(key, lambda: _deployments(facts.changes, definition))


def _all_deployments(facts: Facts, definition: Deployments) -> Sequence[Deployment]:
    """Return all deployments there are, whatever the definition's filters report of them."""
    return deployments(facts, attrs.evolve(definition, services=None, kinds=None, labels=None))[0]


def _deployments(rows: Iterable[ChangeFacts], definition: Deployments) -> Found:
    found: list[Deployment] = []
    out: list[LeftOut] = []
    filtered = {definition.services, definition.kinds} != {None} or bool(definition.labels)
    grouped = definition.group_by is not None
    plain = in_environment(None, definition) and not filtered and not grouped
    made = Deployment._make  # takes half as long as the constructor
    for row in rows:
        at = row.deployed_at
        if (
            plain
            and isinstance(at, datetime)
            and row.environment is None
            and row.kind is not Kind.ROLLBACK
            and row.status is not ChangeStatus.NOTHING
        ):
            found.append(made((row, utc(at), False, ())))  # as nearly all are
            continue
        if filtered and not change_matches(row, definition):
            continue
        why = why_no_deployment(row, definition)
        if why is not None or at is None:
            out.append(LeftOut(row.id, why or "missing(deployed)", row.positions))
            continue
        groups = groups_of(row, definition) if grouped else ()
        uncertain = not isinstance(at, datetime)
        found.append(made((row, utc(at), uncertain, groups)))
    found.sort(key=itemgetter(1))  # stable, and the rows come in the order of their ids
    return found, out


# --- which incidents they caused ------------------------------------------------------------------


def _age(value: object) -> timedelta | None:
    if value is None:
        return None
    age = value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            age = timedelta(seconds=value)
        except (ValueError, OverflowError):
            age = None  # not a number, or more than there can be
    if not isinstance(age, timedelta) or age <= timedelta():
        raise InvalidValue("max_age", value, "a time above 0: a timedelta, or seconds")
    return age


ATTRIBUTIONS: Final = ("stated", "latest_before", "latest_at_or_before", "between_releases")


@attrs.frozen(kw_only=True)
class Attribution(Deployments):
    """
    Which deployment an incident is laid to.

    A stated verdict always wins. Where there is none, the definition may infer one; a link that
    somebody dismissed is never inferred, and inferred ones are marked and counted apart.

    Attributes:
        attribution: "stated" (default: only what somebody stated), "latest_before" the detection
            of the incident, "latest_at_or_before" it, or "between_releases" (the release that
            was live: from its own instant up to the next one's; `release_ends` closes that end).
            All deployments are candidates, whatever the definition's filters report of them.
        release_ends: "open" or "closed": whether an incident at the very instant of a release
            is laid to the one that was live until then, too.
        scope: What an incident and a deployment must share: "service" (default), "label:<name>",
            or "global".
        max_age: Longest time from deployment to detection; None for any. Seconds or timedelta.
        candidates: Which deployments can be inferred: "all" or "successful".
        candidates_in: Whether they must lie in the window: "any" or "window".
        incidents_in: Whether incidents must: "any" (default) or "window".
    """

    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "attribution": ATTRIBUTIONS,
        "release_ends": ("open", "closed"),
        "candidates": ("all", "successful"),
        "candidates_in": ("any", "window"),
        "incidents_in": ("any", "window"),
    }
    attribution: str = "stated"
    release_ends: str = "open"
    scope: str = "service"
    max_age: timedelta | None = attrs.field(default=None, converter=_age)
    candidates: str = "all"
    candidates_in: str = "any"
    incidents_in: str = "any"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.scope not in ("service", "global") and not is_label(self.scope):
            raise InvalidValue("scope", self.scope, "service, global, or label:<name>")


class Cause(NamedTuple):
    """An incident laid to a change, stated by somebody or inferred."""

    incident: IncidentFacts
    change: str
    inferred: bool


def causes(facts: Facts, definition: Attribution) -> tuple[Sequence[Cause], Sequence[LeftOut]]:
    """
    Return which incidents are laid to which changes, and which incidents are laid to none.

    Causes are inferred among all deployments, so that a filter of the definition never moves an
    incident to another change. Of the filters only severities decide which incidents can fail a
    change; those left out are named where all filters take them. Costs a sort and one binary
    search for each incident and service.
    """
    return facts.kept(
        ("causes", *choices(definition, Attribution)), lambda: _causes(facts, definition)
    )


def _causes(facts: Facts, definition: Attribution) -> tuple[list[Cause], list[LeftOut]]:
    window = definition.window if definition.incidents_in == "window" else None
    result: list[Cause] = []
    out: list[LeftOut] = []
    made = Cause._make
    live = None
    if definition.attribution != "stated":
        live = _Candidates(_all_deployments(facts, definition), definition)
    rows: Iterable[IncidentFacts] = facts.incidents
    narrow = definition.services is not None or bool(definition.labels)
    if not narrow:
        rows, others = incidents_of(facts, definition)
        out += others
    for row in rows:
        if narrow and not severity_matches(row, definition):
            continue
        reason = why_incident_out(row, definition) if narrow else None
        if reason is None:
            if window is not None and not inside(row.detected_at, window, definition.bounds):
                continue
            verdicts = row.verdicts
            if verdicts and Verdict.CAUSED in verdicts.values():
                stated = [id_ for id_, verdict in verdicts.items() if verdict is Verdict.CAUSED]
                result += (Cause(row, id_, False) for id_ in sorted(stated))
                continue
            if live is None:
                continue
            laid = live.to(row)
            if laid:
                for id_ in laid:
                    result.append(made((row, id_, True)))
                continue
            reason = "no deployment to lay it to"
        if incident_matches(row, definition):
            out.append(LeftOut(id=row.id, reason=reason, positions=row.positions))
    return result, out


_Side = Callable[[Sequence[datetime], datetime], int]


class _Candidates:
    """Deployments an incident can be laid to, by what it must share with them, in order of time."""

    def __init__(self, found: Iterable[Deployment], definition: Attribution) -> None:
        rule = definition.attribution
        self._side: _Side = bisect_left if rule == "latest_before" else bisect_right
        self._closed = rule == "between_releases" and definition.release_ends == "closed"
        self._scope = definition.scope
        self._longest = definition.max_age
        self._of: dict[str, tuple[list[datetime], list[str]]] = {}
        if definition.candidates == "successful":
            found = (one for one in found if one.successful)
        if definition.candidates_in == "window" and definition.window is not None:
            window, bounds = definition.window, definition.bounds
            found = (one for one in found if inside(one.at, window, bounds))
        for row, at, _, _ in found:
            for key in _scope_keys(row, self._scope):
                times, ids = self._of.setdefault(key, ([], []))
                times.append(at)
                ids.append(row.id)

    def to(self, row: IncidentFacts) -> Sequence[str]:
        """Return the ids of the changes an incident is laid to: one, or none, or two at an edge."""
        if row.detected_at is None:
            return ()
        at = utc(row.detected_at)
        last = self._latest(row, at, self._side)
        if last is None:
            return ()
        if self._closed and last[0] == at:
            before = self._latest(row, at, bisect_left)
            if before is not None:
                return sorted((before[1], last[1]))
        return last[1:]

    def _latest(self, row: IncidentFacts, at: datetime, side: _Side) -> tuple[datetime, str] | None:
        """Return the latest candidate before an instant, or at it, as the *side* says."""
        best: tuple[datetime, str] | None = None
        verdicts, longest = row.verdicts, self._longest
        for key in _scope_keys(row, self._scope):
            if key not in self._of:
                continue
            times, ids = self._of[key]
            place = side(times, at) - 1
            while place >= 0 and (longest is None or at - times[place] <= longest):
                id_ = ids[place]
                if verdicts and verdicts.get(id_) is Verdict.DISMISSED:
                    place -= 1
                    continue
                found = times[place], id_
                if best is None or found > best:
                    best = found
                break
        return best


def _scope_keys(row: IncidentFacts | ChangeFacts, scope: str) -> tuple[str, ...]:
    if scope == "global":
        return ("",)
    if scope == "service":
        return row.services
    value = row.labels.get(scope.removeprefix("label:"))
    return () if value is None else (value,)


# --- change failure rate --------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class FailedBy(Attribution):
    """
    Which deployments failed.

    Attributes:
        failed_by: The signs of failure that count: "incident" (one with a `caused` verdict),
            "rolled_back", "failed" (outcome), "repaired" (another change names it as repaired);
            and "version_returned", not a default: where an earlier version is deployed again,
            the deployment that had replaced it failed (versions 1, 2, 3, 1 mark 2).
    """

    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "failed_by": (*FAILED_BY, "version_returned")
    }
    failed_by: tuple[str, ...] = attrs.field(default=FAILED_BY, converter=names)


@attrs.frozen(kw_only=True)
class ChangeFailureRate(FailedBy):
    """
    Failed deployments as a share of all deployments in the window.

    A change that caused four incidents failed once. Undefined, not 0, without deployments.

    Attributes:
        numerator: "changes" (default: failed deployments), "links" (pairs of an incident and a
            deployment it is laid to), or "incidents" (all incidents detected in the window,
            whatever caused them). The last two exist to reproduce other tools and may exceed 1.
        denominator: "all" (default), "successful", "successful_or_failed", or "evaluated".
    """

    NAME: ClassVar[str] = "change failure rate"
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "numerator": ("changes", "incidents", "links"),
        "denominator": ("all", "successful", "successful_or_failed", "evaluated"),
    }
    numerator: str = "changes"
    denominator: str = "all"


DIVIDES: Final = "divides only"
"""Why a deployment is included where the numerator counts incidents."""


class Failure(NamedTuple):
    """A deployment that failed: the incidents laid to it, and the other signs of it."""

    deployment: Deployment
    causes: Sequence[Cause]
    others: tuple[str, ...]

    @property
    def signs(self) -> tuple[str, ...]:
        """All signs, as a person reads them."""
        return (*(f"incident {one.incident.id}{_marked(one)}" for one in self.causes), *self.others)

    @property
    def inferred(self) -> bool:
        """Whether nothing but inferred causes says so."""
        return not self.others and all(one.inferred for one in self.causes)


def _marked(cause: Cause) -> str:
    return " (inferred)" if cause.inferred else ""


class Judged(NamedTuple):
    """
    All deployments the definition takes, in order of time, and the failures among them.

    With them come the incidents that are laid to none.
    """

    deployments: Sequence[Deployment]
    failed: Mapping[str, Failure]
    unlaid: Sequence[LeftOut]


def failures(facts: Facts, definition: FailedBy) -> Judged:
    """Return the deployments the definition takes with the failures among them, by change id."""
    key = ("failures", *choices(definition, FailedBy))
    return facts.kept(key, lambda: _failures(facts, definition))


def _failures(facts: Facts, definition: FailedBy) -> Judged:
    found, _ = deployments(facts, definition)
    laid, unlaid = causes(facts, definition)
    by = definition.failed_by
    by_change: dict[str, list[Cause]] = {}
    if "incident" in by:
        for cause in laid:
            by_change.setdefault(cause.change, []).append(cause)
    others: dict[str, list[str]] = {}
    # An enum is hashed by a function of Python, so outcomes are compared and not looked up.
    rolled_back = Outcome.ROLLED_BACK if "rolled_back" in by else None
    failed_ = Outcome.FAILED if "failed" in by else None
    for one in found:
        outcome = one[0].outcome
        if outcome is not None and (outcome is rolled_back or outcome is failed_):
            sign = "rolled back" if outcome is rolled_back else "outcome failed"
            others[one[0].id] = [sign]
    if "repaired" in by:
        repaired = {
            row.repairs: row.id
            for row in facts.changes
            if row.repairs is not None and row.repairs != row.id
        }
        for id_, repair in repaired.items():
            others.setdefault(id_, []).append(f"repaired by {repair}")
    if "version_returned" in by:
        for id_, version in _versions_returned(_all_deployments(facts, definition)).items():
            others.setdefault(id_, []).append(f"version {version} deployed again")
    failed: dict[str, Failure] = {}
    for one in found if by_change or others else ():
        id_ = one[0].id
        if id_ in by_change or id_ in others:
            signs = tuple(others.get(id_, ()))
            failed[id_] = Failure(one, by_change.get(id_, ()), signs)
    return Judged(found, failed, unlaid)


def _versions_returned(found: Sequence[Deployment]) -> dict[str, str]:
    """Return the deployments that were undone by deploying what they had replaced, by change id."""
    marked: dict[str, str] = {}
    live: dict[str, list[str]] = {}  # ids of what was deployed to a service, in order of time
    newest: dict[tuple[str, str], int] = {}  # the last place of a version among them
    for one in found:
        version = one.change.version
        if version is None:
            continue
        for service in one.change.services or ("",):
            earlier = live.setdefault(service, [])
            replaced_by = newest.get((service, version), len(earlier)) + 1
            if replaced_by < len(earlier):
                marked[earlier[replaced_by]] = version
            newest[service, version] = len(earlier)
            earlier.append(one.change.id)
    return marked


def _in_denominator(one: Deployment, judged: Judged, definition: ChangeFailureRate) -> bool:
    row = one.change
    if definition.denominator == "successful":
        return one.successful
    if definition.denominator == "successful_or_failed":
        return row.outcome in {Outcome.COMPLETED, Outcome.FAILED}
    return row.result is not None or row.id in judged.failed  # "evaluated"


def _passed_over(
    found: Iterable[Deployment], divisors: Iterable[Deployment], definition: ChangeFailureRate
) -> list[LeftOut]:
    """Return the deployments of the window that are not in the denominator."""
    counted = {one.change.id for one in divisors}
    reason = f"not in its denominator ({definition.denominator})"
    return [
        LeftOut(one.change.id, reason, one.change.positions)
        for one in found
        if one.change.id not in counted and inside(one.at, definition.window, definition.bounds)
    ]


def change_failures(facts: Facts, definition: ChangeFailureRate) -> Figure:
    """Compute the change failure rate."""
    _, out = deployments(facts, definition)
    judged = failures(facts, definition)
    divisors, passed_over = judged.deployments, list[LeftOut]()
    if definition.denominator != "all":
        divisors = [one for one in divisors if _in_denominator(one, judged, definition)]
        passed_over = _passed_over(judged.deployments, divisors, definition)
    incidents: Sequence[IncidentFacts] = ()
    if definition.numerator == "incidents":
        incidents, _ = incidents_of(facts, definition)
    moments = [one.at for one in divisors]
    moments += [utc(row.detected_at) for row in incidents if row.detected_at is not None]
    periods = list(buckets(definition, moments))
    grouped = definition.group_by is not None
    deployed = Members(
        divisors,
        (lambda one: one.groups) if grouped else None,
        periods,
        lambda one: (one.at,),
    )
    detected = Members(
        incidents,
        (lambda row: groups_of(row, definition)) if grouped else None,
        periods,
        lambda row: () if row.detected_at is None else (row.detected_at,),
    )

    def figure(name: str | None, window: Period | None) -> Figure:
        members, found = deployed.of(name, window), detected.of(name, window)
        part = _rate(members, judged.failed, found, facts, definition, window)
        return attrs.evolve(part, group=name)

    groups = sorted({*deployed.names, *detected.names})
    left_out = Listed(
        lambda: sorted([*out, *passed_over, *judged.unlaid], key=lambda one: (one.id, one.reason))
    )
    whole = attrs.evolve(figure(None, definition.window), left_out=left_out)
    return with_groups(whole, groups, periods, figure)


def _rate(
    members: Sequence[Deployment],
    failed_ones: Mapping[str, Failure],
    incidents: Iterable[IncidentFacts],
    facts: Facts,
    definition: ChangeFailureRate,
    window: Period | None,
) -> Figure:
    counted = members
    if window is not None:
        counted = [one for one in members if inside(one.at, window, definition.bounds)]
    failed = [failed_ones[id_] for one in counted if (id_ := one.change.id) in failed_ones]
    n = len(counted)
    if definition.numerator == "changes":
        count = len(failed)
    elif definition.numerator == "links":
        count = sum(len(one.causes) for one in failed)
    else:
        incidents = [row for row in incidents if inside(row.detected_at, window, definition.bounds)]
        count = len(incidents)
    value = count / n if n else None
    if value is None and definition.empty == "zero":
        value = 0.0
    interval = None
    if definition.numerator == "changes" and n:
        interval = wilson(count, n, level=definition.level)
    return Figure(
        name=type(definition).NAME,
        value=value,
        reason="no deployments" if value is None else None,
        unit=SHARE,
        n=n,
        definition=definition,
        window=window,
        as_of=facts.as_of,
        known_at=facts.known_at,
        log_position=facts.log_position,
        interval=interval,
        uncertain=sum([one.uncertain for one in counted]),
        included=Listed(lambda: _included(counted, failed_ones, incidents, definition)),
        counts={
            definition.numerator if definition.numerator != "changes" else "failed": count,
            "failed by inferred cause only": sum([one.inferred for one in failed]),
        },
        notes=unread_notes(facts),
    )


def _included(
    counted: Iterable[Deployment],
    failed: Mapping[str, Failure],
    incidents: Iterable[IncidentFacts],
    definition: ChangeFailureRate,
) -> Iterator[Included]:
    """Yield what each one adds to the numerator; deployments are the denominator besides."""
    if definition.numerator == "incidents":
        for one in counted:
            yield Included(one.change.id, 0.0, DIVIDES, one.change.positions)
        for row in incidents:
            yield Included(row.id, 1.0, "whatever caused it", row.positions)
        return
    for one in counted:
        failure = failed.get(one.change.id)
        value = 0.0
        if failure is not None:
            value = float(len(failure.causes)) if definition.numerator == "links" else 1.0
        why = "" if failure is None else "; ".join(failure.signs)
        yield Included(one.change.id, value, why, one.change.positions)


change_failure_rate = figure_function(ChangeFailureRate, change_failures)
