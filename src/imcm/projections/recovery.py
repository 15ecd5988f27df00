"""
Failed deployment recovery time: from the deployment that failed until service was good again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

import attrs

from imcm.domain.incident import OPEN
from imcm.domain.vocabulary import Between, Moment, midpoint
from imcm.errors import InvalidValue
from imcm.projections.durations import (
    IN_WINDOW,
    ROUNDINGS,
    STATISTICS,
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
    deployments,
    failures,
)
from imcm.projections.figure import Figure, figure_function

RECOVERED_BY: Final = ("incident", "rolled_back", "recorded")


def _names(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(kw_only=True)
class FailedDeploymentRecovery(FailedBy):
    """
    From a failed deployment to its recovery, over the failed deployments.

    Known as "failed deployment recovery time" since the DORA report of 2023. By default the
    failed deployments that came in within the window count, the same ones that the change
    failure rate counts.

    Attributes:
        recovered_by: What ends it, the first that is present: "incident" (the last resolution of
            those it caused), "rolled_back", "recorded" (`recover`), "next_success" (the next
            successful deployment of the service). Only ("rolled_back",): time to roll back.
        per: "change" (default: one value for each failed deployment) or "incident" (one for each
            incident it caused).
        failures: "each", or "first_of_run": of failed deployments that follow each other in one
            service only the first counts.
        look_back: "none": it begins with the failed deployment; "last_success": with the last
            successful deployment of the service before it.
        statistic, in_window, round_each: As for durations of incidents.
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
    recovered_by: tuple[str, ...] = attrs.field(default=RECOVERED_BY, converter=_names)
    per: str = "change"
    failures: str = "each"
    look_back: str = "none"
    statistic: str = "median"
    in_window: str = "start"
    round_each: str = "none"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if not self.recovered_by:
            raise InvalidValue("recovered_by", (), "at least one way to recover")


class _Successes:
    """Successful deployments of each service, in order of time."""

    def __init__(self, judged: Iterable[Failure]) -> None:
        self._of: dict[str, list[datetime]] = {}
        for one in judged:
            if not one.signs:
                for service in one.deployment.change.services or ("",):
                    self._of.setdefault(service, []).append(one.deployment.at)

    def after(self, one: Deployment) -> datetime | None:
        """Return when one of its services was next deployed without failing."""
        found = []
        for service in one.change.services or ("",):
            times = self._of.get(service, [])
            found += times[bisect_right(times, one.at) :][:1]
        return min(found, default=None)

    def before(self, one: Deployment) -> datetime | None:
        """Return when one of its services was last deployed without failing."""
        found = []
        for service in one.change.services or ("",):
            times = self._of.get(service, [])
            place = bisect_left(times, one.at)
            found += times[:place][-1:]
        return max(found, default=None)


def _firsts_of_runs(judged: Iterable[Failure]) -> Iterator[Failure]:
    """Yield the failed deployments whose service had not failed just before."""
    failing: dict[str, bool] = {}
    for one in judged:
        services = one.deployment.change.services or ("",)
        run = all(failing.get(service, False) for service in services)
        for service in services:
            failing[service] = bool(one.signs)
        if one.signs and not run:
            yield one


def recover(facts: Facts, definition: FailedDeploymentRecovery) -> Figure:
    """Compute failed deployment recovery time."""
    found, out = deployments(facts, definition)
    judged, _ = failures(facts, found, definition)
    failed = [one for one in judged if one.signs]
    if definition.failures == "first_of_run":
        failed = list(_firsts_of_runs(judged))
    successes = _Successes(judged)
    spans: list[Span | Missing] = []
    for one in failed:
        start: Moment | None = one.deployment.change.deployed_at
        if definition.look_back == "last_success":
            start = successes.before(one.deployment) or start
        if start is None or facts.as_of is None:
            continue  # a deployment has its moment, and facts of a log that is not empty have one
        if definition.per == "incident":
            as_of = facts.as_of
            spans += (
                _span(one, start, row.resolved_at, [row], as_of, definition)
                for row in one.incidents
            )
        else:
            end = _end(one, definition, successes)
            spans.append(_span(one, start, end, one.incidents, facts.as_of, definition))
    shape = Shape(
        statistic=definition.statistic,
        in_window=definition.in_window,
        round_each=definition.round_each,
    )
    return with_parts(spans, out, facts, definition, shape)


def _end(one: Failure, definition: FailedDeploymentRecovery, good: _Successes) -> Moment | None:
    row = one.deployment.change
    resolutions = [incident.resolved_at for incident in one.incidents]
    last = None
    if resolutions and None not in resolutions:
        last = max((m for m in resolutions if m is not None), key=midpoint)
    ends = {
        "incident": last,
        "rolled_back": row.rolled_back_at,
        "recorded": row.recovered_at,
        "next_success": good.after(one.deployment),
    }
    return next((ends[name] for name in definition.recovered_by if ends[name] is not None), None)


def _span(
    one: Failure,
    start: Moment,
    end: Moment | None,
    incidents: Sequence[IncidentFacts],
    as_of: datetime,
    definition: FailedDeploymentRecovery,
) -> Span | Missing:
    row, groups = one.deployment.change, one.deployment.groups
    observed = end is not None
    if end is None:
        if not any(incident.status in OPEN for incident in incidents):
            reason = "missing(recovery)"
            return Missing(row.id, reason, start, None, groups, row.positions)
        end = as_of
    value, low, high = difference(start, end)
    if value < 0:
        return Missing(row.id, "negative", start, end, groups, row.positions)
    value, low, high = (ROUNDINGS[definition.round_each](v) for v in (value, low, high))
    uncertain = isinstance(start, Between) or isinstance(end, Between)
    ended = end if observed else None
    return Span(row.id, value, low, high, observed, uncertain, start, ended, groups, row.positions)


failed_deployment_recovery_time = figure_function(FailedDeploymentRecovery, recover)
