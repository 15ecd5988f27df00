"""
Deployments, which of them failed, and which incidents they caused.

A deployment is a change that came into production. It failed when it needed immediate
intervention; which signs of that count is a choice of the definition, and so is what happens to
an incident whose cause nobody stated.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
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
    Members,
    Period,
    buckets,
    change_matches,
    figure_function,
    groups_of,
    in_environment,
    incident_matches,
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


def deployments(facts: Facts, definition: Deployments) -> tuple[list[Deployment], list[LeftOut]]:
    """Return all deployments the definition takes, in order of time and id, and what is none."""
    return _deployments(
        (row for row in facts.changes if change_matches(row, definition)), definition
    )


def _deployments(
    rows: Iterable[ChangeFacts], definition: Deployments
) -> tuple[list[Deployment], list[LeftOut]]:
    found: list[Deployment] = []
    out: list[LeftOut] = []
    for row in rows:
        why = why_no_deployment(row, definition)
        at = row.deployed_at
        if why is not None or at is None:
            reason = why or "missing(deployed)"
            out.append(LeftOut(id=row.id, reason=reason, positions=row.positions))
        else:
            uncertain = not isinstance(at, datetime)
            found.append(Deployment(row, utc(at), uncertain, groups_of(row, definition)))
    found.sort(key=lambda one: (one.at, one.change.id))
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


def causes(
    facts: Facts, found: Sequence[Deployment], definition: Attribution
) -> tuple[list[Cause], list[LeftOut]]:
    """
    Return which incidents are laid to which changes, and which incidents are laid to none.

    Causes are inferred among all deployments, so that a filter of the definition never moves an
    incident to another change; *found* are those it reports. Of the filters only severities
    decide which incidents can fail a change; those left out are named where all filters take
    them. Costs a sort and one binary search for each incident and service.
    """
    window = definition.window
    result: list[Cause] = []
    out: list[LeftOut] = []
    infer = definition.attribution != "stated"
    live = _Candidates(_all_deployments(facts, found, definition), definition) if infer else None
    for row in facts.incidents:
        if not severity_matches(row, definition):
            continue
        reason = why_incident_out(row, definition)
        if reason is None:
            if definition.incidents_in == "window" and not inside(
                row.detected_at, window, definition.bounds
            ):
                continue
            stated = [id_ for id_, verdict in row.verdicts.items() if verdict is Verdict.CAUSED]
            if stated or live is None:
                result += (Cause(row, id_, False) for id_ in sorted(stated))
                continue
            laid = live.to(row)
            result += (Cause(row, id_, True) for id_ in laid)
            if laid:
                continue
            reason = "no deployment to lay it to"
        if incident_matches(row, definition):
            out.append(LeftOut(id=row.id, reason=reason, positions=row.positions))
    return result, out


def _all_deployments(
    facts: Facts, found: Sequence[Deployment], definition: Deployments
) -> Sequence[Deployment]:
    """Return all deployments there are; *found* are those that the filters take."""
    if definition.services is None and definition.kinds is None and definition.labels is None:
        return found
    return _deployments(facts.changes, definition)[0]


class _Candidates:
    """Deployments an incident can be laid to, by what it must share with them, in order of time."""

    def __init__(self, found: Iterable[Deployment], definition: Attribution) -> None:
        self._definition = definition
        self._times: dict[str, list[datetime]] = {}
        self._ids: dict[str, list[str]] = {}
        for one in found:
            if definition.candidates == "successful" and not one.successful:
                continue
            if definition.candidates_in == "window" and not inside(
                one.at, definition.window, definition.bounds
            ):
                continue
            for key in _scope_keys(one.change, definition.scope):
                self._times.setdefault(key, []).append(one.at)
                self._ids.setdefault(key, []).append(one.change.id)

    def to(self, row: IncidentFacts) -> list[str]:
        """Return the ids of the changes an incident is laid to: one, or none, or two at an edge."""
        if row.detected_at is None:
            return []
        at = utc(row.detected_at)
        rule = self._definition.attribution
        last = self._latest(row, at, strict=rule == "latest_before")
        if last is None:
            return []
        closed = rule == "between_releases" and self._definition.release_ends == "closed"
        if closed and last[0] == at:
            before = self._latest(row, at, strict=True)
            if before is not None:
                return sorted((before[1], last[1]))
        return [last[1]]

    def _latest(
        self, row: IncidentFacts, at: datetime, *, strict: bool
    ) -> tuple[datetime, str] | None:
        """Return the latest candidate before an instant (or at it, unless *strict*)."""
        keys = _scope_keys(row, self._definition.scope)
        found = (self._latest_of(key, row, at, strict=strict) for key in keys)
        return max((one for one in found if one is not None), default=None)

    def _latest_of(
        self, key: str, row: IncidentFacts, at: datetime, *, strict: bool
    ) -> tuple[datetime, str] | None:
        times, ids = self._times.get(key, []), self._ids.get(key, [])
        longest = self._definition.max_age
        place = (bisect_left if strict else bisect_right)(times, at) - 1
        while place >= 0 and (longest is None or at - times[place] <= longest):
            if row.verdicts.get(ids[place]) is not Verdict.DISMISSED:
                return times[place], ids[place]
            place -= 1
        return None


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


class Failure(NamedTuple):
    """A deployment with the signs that it failed and the incidents laid to it; none: it did not."""

    deployment: Deployment
    signs: tuple[str, ...]
    incidents: tuple[IncidentFacts, ...]
    inferred: bool


def failures(
    facts: Facts, found: Sequence[Deployment], definition: FailedBy
) -> tuple[list[Failure], list[LeftOut]]:
    """Return every deployment with its signs of failure, in the order of *found*."""
    laid, out = causes(facts, found, definition)
    by_change: dict[str, list[Cause]] = {}
    for cause in laid:
        by_change.setdefault(cause.change, []).append(cause)
    repaired = {
        row.repairs: row.id
        for row in facts.changes
        if row.repairs is not None and row.repairs != row.id
    }
    returned: Mapping[str, str] = {}
    if "version_returned" in definition.failed_by:
        returned = _versions_returned(_all_deployments(facts, found, definition))
    result: list[Failure] = []
    for one in found:
        row = one.change
        mine = by_change.get(row.id, []) if "incident" in definition.failed_by else []
        signs = [f"incident {c.incident.id}{' (inferred)' if c.inferred else ''}" for c in mine]
        if row.outcome is Outcome.ROLLED_BACK and "rolled_back" in definition.failed_by:
            signs.append("rolled back")
        if row.outcome is Outcome.FAILED and "failed" in definition.failed_by:
            signs.append("outcome failed")
        if row.id in repaired and "repaired" in definition.failed_by:
            signs.append(f"repaired by {repaired[row.id]}")
        if row.id in returned:
            signs.append(f"version {returned[row.id]} deployed again")
        inferred = bool(mine) and len(signs) == len(mine) and all(c.inferred for c in mine)
        incidents = tuple(c.incident for c in mine)
        result.append(Failure(one, tuple(signs), incidents, inferred))
    return result, out


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


def _in_denominator(one: Failure, definition: ChangeFailureRate) -> bool:
    row = one.deployment.change
    if definition.denominator == "successful":
        return one.deployment.successful
    if definition.denominator == "successful_or_failed":
        return row.outcome in {Outcome.COMPLETED, Outcome.FAILED}
    if definition.denominator == "evaluated":
        return row.result is not None or bool(one.signs)
    return True


def change_failures(facts: Facts, definition: ChangeFailureRate) -> Figure:
    """Compute the change failure rate."""
    found, out = deployments(facts, definition)
    judged, unlaid = failures(facts, found, definition)
    judged = [one for one in judged if _in_denominator(one, definition)]
    incidents: list[IncidentFacts] = []
    if definition.numerator == "incidents":
        incidents = [
            row
            for row in facts.incidents
            if incident_matches(row, definition) and why_incident_out(row, definition) is None
        ]
    moments = [one.deployment.at for one in judged]
    moments += [utc(row.detected_at) for row in incidents if row.detected_at is not None]
    periods = list(buckets(definition, moments))
    deployed = Members(
        judged, lambda one: one.deployment.groups, periods, lambda one: (one.deployment.at,)
    )
    detected = Members(
        incidents,
        lambda row: groups_of(row, definition),
        periods,
        lambda row: () if row.detected_at is None else (row.detected_at,),
    )

    def figure(name: str | None, window: Period | None) -> Figure:
        part = _rate(
            deployed.of(name, window), detected.of(name, window), facts, definition, window
        )
        return attrs.evolve(part, group=name)

    groups = sorted({*deployed.names, *detected.names})
    left_out = tuple(sorted([*out, *unlaid], key=lambda one: (one.id, one.reason)))
    whole = attrs.evolve(figure(None, definition.window), left_out=left_out)
    return with_groups(whole, groups, periods, figure)


def _rate(
    members: Iterable[Failure],
    incidents: Iterable[IncidentFacts],
    facts: Facts,
    definition: ChangeFailureRate,
    window: Period | None,
) -> Figure:
    counted = [one for one in members if inside(one.deployment.at, window, definition.bounds)]
    failed = [one for one in counted if one.signs]
    n = len(counted)
    if definition.numerator == "changes":
        count = len(failed)
    elif definition.numerator == "links":
        count = sum(len(one.incidents) for one in failed)
    else:
        count = sum(inside(row.detected_at, window, definition.bounds) for row in incidents)
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
        uncertain=sum(one.deployment.uncertain for one in counted),
        included=tuple(
            Included(
                id=one.deployment.change.id,
                value=1.0 if one.signs else 0.0,
                why="; ".join(one.signs),
                positions=one.deployment.change.positions,
            )
            for one in counted
        ),
        counts={
            definition.numerator if definition.numerator != "changes" else "failed": count,
            "failed by inferred cause only": sum(one.inferred for one in failed),
        },
        notes=unread_notes(facts),
    )


change_failure_rate = figure_function(ChangeFailureRate, change_failures)
