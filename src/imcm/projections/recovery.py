"""
Failed deployment recovery time: from the deployment that failed until service was good again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    Failed,
    FailedBy,
    Judged,
    causes,
    deployments,
    failures,
)
from imcm.projections.figure import Figure, Included, Listed, figure_function, groups_of, names, utc

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

    def __init__(self, judged: Judged | None) -> None:
        self._of: dict[str, list[Deployment]] = {}
        if judged is None:
            return
        failed = judged.failed.ids
        for one in judged.deployments:
            if one.successful and one.change.id not in failed:
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
    deployment: Deployment
    incidents: Sequence[IncidentFacts]
    groups: tuple[str, ...]
    positions: tuple[int, ...]


def _cases(
    failed: Iterable[Deployment],
    laid: Callable[[str], Sequence[IncidentFacts]],
    definition: FailedDeploymentRecovery,
) -> Iterator[_Case | Missing]:
    seen: set[str] = set()
    by_change = definition.per == "change"
    for one in failed:
        row, groups = one.change, one.groups
        incidents = laid(row.id)
        if by_change:
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


def _all_resolved(incidents: Sequence[IncidentFacts]) -> Moment | None:
    """Return the last resolution; None where there is none, or one is not resolved."""
    if len(incidents) == 1:
        return incidents[0].resolved_at
    resolutions = [incident.resolved_at for incident in incidents]
    known = [moment for moment in resolutions if moment is not None]
    return max(known, key=midpoint, default=None) if len(known) == len(resolutions) else None


def _end(case: _Case, definition: FailedDeploymentRecovery, successes: _Successes) -> Moment | None:
    """Return the first of the ends asked for that is present."""
    row = case.deployment.change
    for name in definition.recovered_by:
        if name == "incident":
            end = _all_resolved(case.incidents)
        elif name == "rolled_back":
            end = row.rolled_back_at
        elif name == "recorded":
            end = row.recovered_at
        else:
            end = successes.after(case.deployment)
        if end is not None:
            return end
    return None


def _measure(
    case: _Case,
    measured: Durations,
    facts: Facts,
    definition: FailedDeploymentRecovery,
    successes: _Successes,
) -> None:
    """Measure one recovery, or say why it has none."""
    id_, one, incidents, groups, positions = case
    deployed: Moment = one.change.deployed_at or one.at
    start = deployed
    if definition.look_back == "last_success":
        start = successes.before(one) or start
    end = _end(case, definition, successes)
    observed = end is not None
    if end is None:
        if not any(incident.status in OPEN for incident in incidents):
            missing = Missing(id_, "missing(recovery)", deployed, None, groups, positions)
            measured.others.append(missing)
            return
        end = facts.as_of or one.at  # where there is a deployment, there is an as_of
    value, low, high = difference(start, end)
    if value < 0:
        measured.others.append(Missing(id_, "negative", deployed, end, groups, positions))
        return
    rounded = ROUNDINGS[definition.round_each]
    # Its deployment places it, also where the time runs from a deployment before.
    moments = (start, end, deployed)
    if observed and not any(isinstance(moment, Between) for moment in moments):
        exact = id_, rounded(value), one.at, utc(end), positions, groups
        measured.exact.append(exact)
        return
    uncertain = isinstance(start, Between) or isinstance(end, Between)
    ended = end if observed else None
    value, low, high = map(rounded, (value, low, high))
    measured.others.append(
        Span(id_, value, low, high, observed, uncertain, deployed, ended, groups, positions)
    )


# --- the figure -----------------------------------------------------------------------------------


def recover(facts: Facts, definition: FailedDeploymentRecovery) -> Figure:
    """Compute failed deployment recovery time."""
    found, out = deployments(facts, definition)
    judged = failures(facts, definition)
    failed = [found[judged.failed.place(id_)] for id_ in judged.failed]
    measured = Durations()
    if definition.failures == "first_of_run":
        later = set(_later_in_runs(judged))
        reason = "failed again, in a run that counts once"
        measured.others += (
            Missing(row.id, reason, row.deployed_at, None, one.groups, row.positions)
            for one in failed
            if (row := one.change).id in later
        )
        failed = [one for one in failed if one.change.id not in later]
    asked = "next_success" in definition.recovered_by or definition.look_back == "last_success"
    successes = _Successes(judged if asked else None)
    laid, _ = causes(facts, definition)
    deployed: dict[str, str] = {}  # the change that each value is about
    for case in _cases(failed, laid.incidents_of, definition):
        if isinstance(case, Missing):
            measured.others.append(case)
        else:
            _measure(case, measured, facts, definition, successes)
            deployed[case.id] = case.deployment.change.id
    shape = Shape(
        statistic=definition.statistic,
        in_window=definition.in_window,
        round_each=definition.round_each,
    )
    figure = with_parts(measured, [*out, *judged.unlaid], facts, definition, shape)
    return _marked(figure, deployed, judged.failed)


def _marked(figure: Figure, deployed: Mapping[str, str], failed: Failed) -> Figure:
    """Return the figure with the signs of failure told, and those only inferred counted apart."""
    inferred = 0
    if failed.inferred:
        inferred = sum(deployed[one.id] in failed.inferred for one in figure.included)

    def told(some: Iterable[Included]) -> Iterator[Included]:
        for one in some:
            why = "; ".join(failed[deployed[one.id]].signs)
            yield Included(id=one.id, value=one.value, why=why, positions=one.positions)

    return attrs.evolve(
        figure,
        included=Listed(lambda: told(figure.included)),
        censored=Listed(lambda: told(figure.censored)),
        counts={"failed by inferred cause only": inferred},
        groups=tuple(_marked(group, deployed, failed) for group in figure.groups),
        buckets=tuple(_marked(bucket, deployed, failed) for bucket in figure.buckets),
    )


failed_deployment_recovery_time = figure_function(FailedDeploymentRecovery, recover)
