"""
Failed deployment recovery time: from the deployment that failed until service was good again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Final, NamedTuple

import attrs

from imcm.domain.incident import OPEN
from imcm.domain.vocabulary import Between, Moment, midpoint
from imcm.errors import InvalidValue
from imcm.projections.durations import (
    IN_WINDOW,
    ROUNDINGS,
    STATISTICS,
    Durations,
    Missing,
    Shape,
    Span,
    difference,
    with_parts,
)
from imcm.projections.facts import Facts, IncidentFacts
from imcm.projections.failures import (
    Deployment,
    FailedBy,
    Failure,
    Judged,
    causes,
    deployments,
    failures,
)
from imcm.projections.figure import Figure, Included, Listed, figure_function, groups_of, names

RECOVERED_BY: Final = ("incident", "rolled_back", "recorded")
OF_INCIDENTS: Final = frozenset({"severity", "channel"})
"""What only an incident has; no change can be grouped by it."""


def _or_none(value: str | None) -> str:
    return "none" if value is None else value


@attrs.frozen(kw_only=True)
class FailedDeploymentRecovery(FailedBy):
    """
    From a failed deployment to its recovery, in seconds, over the failed deployments.

    Known as "failed deployment recovery time" since the DORA report of 2023. By default the
    failed deployments that came in within the window count, the same ones that the change
    failure rate counts. One that has not recovered waits (it is censored) while an incident laid
    to it is open, and else misses its recovery; both are left out, and listed. Undefined without
    any recovery.

    Attributes:
        recovered_by: What ends it, the first that is present: "incident" (the last resolution of
            those laid to it, once all are resolved), "rolled_back", "recorded" (`recover`),
            "next_success" (when each of its services has been deployed again, completed and
            without a sign of failure). Only ("rolled_back",): time to roll back.
        per: "change" (default: one value for each failed deployment) or "incident" (one for each
            incident laid to one, from the first deployment it is laid to, "incident" being its
            own resolution; failed deployments without any are left out).
        failures: "each", or "first_of_run": of failed deployments that follow each other in one
            service only the first counts; one of several services is left out where all of them
            were failing.
        look_back: "none" (or None): it begins with the failed deployment; "last_success": with
            the last successful deployment of one of its services before it, where there is one.
        in_window: What places it in a period: its deployment ("start", the default), its
            recovery ("end"), or either.
        statistic, round_each: As for durations of incidents.
    """

    NAME: ClassVar[str] = "failed deployment recovery time"
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "recovered_by": (*RECOVERED_BY, "next_success"),
        "per": ("change", "incident"),
        "failures": ("each", "first_of_run"),
        "look_back": ("none", "last_success"),
        "statistic": tuple(STATISTICS),
        "in_window": IN_WINDOW,
        "round_each": tuple(ROUNDINGS),
    }
    recovered_by: tuple[str, ...] = attrs.field(default=RECOVERED_BY, converter=names)
    per: str = "change"
    failures: str = "each"
    look_back: str = attrs.field(default="none", converter=_or_none)
    statistic: str = "median"
    in_window: str = "start"
    round_each: str = "none"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if not self.recovered_by:
            raise InvalidValue("recovered_by", (), "at least one way to recover")


# --- what came before and after -------------------------------------------------------------------


def _order(one: Deployment) -> tuple[object, str]:
    return one.at, one.change.id


class _Successes:
    """Successful deployments of each service, in order of time and id."""

    def __init__(self, judged: Judged) -> None:
        self._of: dict[str, list[Deployment]] = {}
        for one in judged.deployments:
            if one.successful and one.change.id not in judged.failed:
                for service in one.change.services or ("",):
                    self._of.setdefault(service, []).append(one)

    def after(self, one: Deployment) -> Moment | None:
        """Return when the last of its services was next deployed well; None while one was not."""
        found: list[Deployment] = []
        services = one.change.services or ("",)
        for service in services:
            members = self._of.get(service, [])
            place = bisect_right(members, _order(one), key=_order)
            found += members[place : place + 1]
        if len(found) < len(services):
            return None
        return max(found, key=_order).change.deployed_at

    def before(self, one: Deployment) -> Moment | None:
        """Return when one of its services was last deployed well."""
        found: list[Deployment] = []
        for service in one.change.services or ("",):
            members = self._of.get(service, [])
            place = bisect_left(members, _order(one), key=_order)
            found += members[:place][-1:]
        return max(found, key=_order).change.deployed_at if found else None


def _later_in_runs(judged: Judged) -> Iterator[str]:
    """Yield the ids of failed deployments all of whose services had failed just before."""
    failing: dict[str, bool] = {}
    for one in judged.deployments:
        services = one.change.services or ("",)
        failed = one.change.id in judged.failed
        if failed and all(failing.get(service, False) for service in services):
            yield one.change.id
        failing.update((service, failed) for service in services)


# --- one failed deployment ------------------------------------------------------------------------


class _Case(NamedTuple):
    """What one value is about: a failed deployment, with the incidents that its recovery ends."""

    id: str
    failure: Failure
    incidents: Sequence[IncidentFacts]
    groups: tuple[str, ...]
    positions: tuple[int, ...]


def _laid(facts: Facts, definition: FailedBy) -> Mapping[str, Sequence[IncidentFacts]]:
    """Return incidents by the change they are laid to, whether or not they count as failures."""
    by_change: dict[str, list[IncidentFacts]] = {}
    for cause in causes(facts, definition)[0]:
        by_change.setdefault(cause.change, []).append(cause.incident)
    return by_change


def _cases(
    failed: Iterable[Failure],
    laid: Mapping[str, Sequence[IncidentFacts]],
    definition: FailedDeploymentRecovery,
) -> Iterator[_Case | Missing]:
    seen: set[str] = set()
    for one in failed:
        row, groups = one.deployment.change, one.deployment.groups
        incidents = laid.get(row.id, ())
        if definition.per == "change":
            yield _Case(row.id, one, incidents, groups, row.positions)
            continue
        if not incidents:
            yield Missing(row.id, "no incident", row.deployed_at, None, groups, row.positions)
        for incident in incidents:
            if incident.id in seen:
                continue
            seen.add(incident.id)
            mine = groups
            if definition.group_by in OF_INCIDENTS:
                mine = groups_of(incident, definition)
            positions = tuple(sorted(row.positions + incident.positions))
            yield _Case(incident.id, one, (incident,), mine, positions)


def _end(case: _Case, definition: FailedDeploymentRecovery, successes: _Successes) -> Moment | None:
    row = case.failure.deployment.change
    resolutions = [incident.resolved_at for incident in case.incidents]
    known = [moment for moment in resolutions if moment is not None]
    all_resolved = len(known) == len(resolutions)
    ends = {
        "incident": max(known, key=midpoint, default=None) if all_resolved else None,
        "rolled_back": row.rolled_back_at,
        "recorded": row.recovered_at,
    }
    if "next_success" in definition.recovered_by:
        ends["next_success"] = successes.after(case.failure.deployment)
    return next((ends[name] for name in definition.recovered_by if ends[name] is not None), None)


def _span(
    case: _Case, facts: Facts, definition: FailedDeploymentRecovery, successes: _Successes
) -> Span | Missing:
    id_, failure, incidents, groups, positions = case
    one = failure.deployment
    deployed: Moment = one.change.deployed_at or one.at
    start = deployed
    if definition.look_back == "last_success":
        start = successes.before(one) or start
    end = _end(case, definition, successes)
    observed = end is not None
    if end is None:
        if not any(incident.status in OPEN for incident in incidents):
            return Missing(id_, "missing(recovery)", deployed, None, groups, positions)
        end = facts.as_of or one.at  # where there is a deployment, there is an as_of
    value, low, high = difference(start, end)
    if value < 0:
        return Missing(id_, "negative", deployed, end, groups, positions)
    value, low, high = (ROUNDINGS[definition.round_each](v) for v in (value, low, high))
    uncertain = isinstance(start, Between) or isinstance(end, Between)
    # Its deployment places it, also where the time runs from a deployment before.
    ended = end if observed else None
    return Span(id_, value, low, high, observed, uncertain, deployed, ended, groups, positions)


# --- the figure -----------------------------------------------------------------------------------


def recover(facts: Facts, definition: FailedDeploymentRecovery) -> Figure:
    """Compute failed deployment recovery time."""
    _, out = deployments(facts, definition)
    judged = failures(facts, definition)
    failed = list(judged.failed.values())
    spans = Durations()
    if definition.failures == "first_of_run":
        later = set(_later_in_runs(judged))
        reason = "failed again, in a run that counts once"
        spans.others += (
            Missing(row.id, reason, row.deployed_at, None, one.deployment.groups, row.positions)
            for one in failed
            if (row := one.deployment.change).id in later
        )
        failed = [one for one in failed if one.deployment.change.id not in later]
    asked = "next_success" in definition.recovered_by or definition.look_back == "last_success"
    successes = _Successes(judged if asked else Judged((), {}, ()))
    judgements: dict[str, Failure] = {}
    for case in _cases(failed, _laid(facts, definition), definition):
        if isinstance(case, Missing):
            spans.others.append(case)
        else:
            spans.others.append(_span(case, facts, definition, successes))
            judgements[case.id] = case.failure
    shape = Shape(
        statistic=definition.statistic,
        in_window=definition.in_window,
        round_each=definition.round_each,
    )
    figure = with_parts(spans, [*out, *judged.unlaid], facts, definition, shape)
    return _marked(figure, judgements)


def _marked(figure: Figure, judgements: Mapping[str, Failure]) -> Figure:
    """Return the figure with the signs of failure told, and those only inferred counted apart."""
    inferred = sum(judgements[one.id].inferred for one in figure.included)
    return attrs.evolve(
        figure,
        included=Listed(lambda: (_told(one, judgements) for one in figure.included)),
        censored=Listed(lambda: (_told(one, judgements) for one in figure.censored)),
        counts={"failed by inferred cause only": inferred},
        groups=tuple(_marked(group, judgements) for group in figure.groups),
        buckets=tuple(_marked(bucket, judgements) for bucket in figure.buckets),
    )


def _told(one: Included, judgements: Mapping[str, Failure]) -> Included:
    why = "; ".join(judgements[one.id].signs)
    return Included(id=one.id, value=one.value, why=why, positions=one.positions)


failed_deployment_recovery_time = figure_function(FailedDeploymentRecovery, recover)
