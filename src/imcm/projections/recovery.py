"""
Failed deployment recovery time: from the deployment that failed until service was good again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Final

import attrs

from imcm.domain.incident import OPEN
from imcm.domain.vocabulary import Between, Moment, Outcome, midpoint
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
from imcm.projections.facts import Facts
from imcm.projections.failures import Failed, FailedBy, Judged, causes, deployments, failures
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


class _Successes:
    """Successful deployments of each service, in order of time and id."""

    def __init__(self, judged: Judged) -> None:
        found, failed = judged.deployments, judged.failed.places
        self._services = found.column("services")
        self._deployed = found.column("deployed_at")
        ids, outcomes = found.ids, found.column("outcome")
        self._of = found.by_service(
            place
            for place, outcome in enumerate(outcomes)
            if outcome is Outcome.COMPLETED and ids[place] not in failed
        )

    def after(self, place: int) -> Moment | None:
        """Return when the last of its services was next deployed well; None while one was not."""
        found: list[int] = []
        services = self._services[place] or ("",)
        for service in services:
            members = self._of.get(service, [])
            following = bisect_right(members, place)
            found += members[following : following + 1]
        return None if len(found) < len(services) else self._deployed[max(found)]

    def before(self, place: int) -> Moment | None:
        """Return when one of its services was last deployed well."""
        found: list[int] = []
        for service in self._services[place] or ("",):
            members = self._of.get(service, [])
            found += members[: bisect_left(members, place)][-1:]
        return self._deployed[max(found)] if found else None


def _later_in_runs(judged: Judged) -> Iterator[str]:
    """Yield the ids of failed deployments all of whose services had failed just before."""
    failing: dict[str, bool] = {}
    found = judged.deployments
    for id_, services in zip(found.ids, found.column("services"), strict=True):
        names_ = services or ("",)
        failed = id_ in judged.failed.places
        if failed and all(failing.get(service, False) for service in names_):
            yield id_
        failing.update((service, failed) for service in names_)


# --- one failed deployment ------------------------------------------------------------------------


class _Recoveries:
    """
    Measures recoveries, one by one.

    Attributes:
        measured: What came of them.
        deployed: The change that each value is about.
    """

    def __init__(self, facts: Facts, judged: Judged, definition: FailedDeploymentRecovery) -> None:
        self.measured = Durations()
        self.deployed: dict[str, str] = {}
        self._facts = facts
        self._found = found = judged.deployments
        self._definition = definition
        self._rounded = ROUNDINGS[definition.round_each]
        self._judged = judged
        self._moments = {
            "rolled_back": found.column("rolled_back_at"),
            "recorded": found.column("recovered_at"),
        }
        self._deployed_at = found.column("deployed_at")
        self._spells = facts.of_incidents("spells")

    @cached_property
    def _successes(self) -> _Successes:
        """Made where the definition asks for them."""
        return _Successes(self._judged)

    def leave_out(self, id_: str, reason: str, place: int) -> None:
        """Note a failed deployment that has no recovery under the definition."""
        found = self._found
        at, groups = self._deployed_at[place], found.groups_of(place)
        missing = Missing(id_, reason, at, None, groups, found.column("positions")[place])
        self.measured.others.append(missing)

    def measure(
        self,
        id_: str,
        place: int,
        incidents: Sequence[int],
        groups: tuple[str, ...],
        positions: tuple[int, ...],
    ) -> None:
        """
        Measure one recovery, or say why there is none.

        Args:
            place: Of the deployment that failed.
            incidents: The places of those that its recovery ends.
        """
        self.deployed[id_] = self._found.ids[place]
        deployed: Any = self._deployed_at[place]
        start: Moment = deployed
        if self._definition.look_back == "last_success":
            start = self._successes.before(place) or start
        end = self._end(place, incidents)
        over = end is not None
        if end is None:
            statuses = self._facts.of_incidents("status")
            if not any(statuses[one] in OPEN for one in incidents):
                missing = Missing(id_, "missing(recovery)", deployed, None, groups, positions)
                self.measured.others.append(missing)
                return
            # Where there is a deployment, there is an as_of.
            end = self._facts.as_of or self._found.at[place]
        value, low, high = difference(start, end)
        if value < 0:
            missing = Missing(id_, "negative", deployed, end, groups, positions)
            self.measured.others.append(missing)
            return
        # Its deployment places it, also where the time runs from a deployment before.
        exactly = isinstance(deployed, datetime) and not isinstance(start, Between)
        if over and exactly and isinstance(end, datetime):
            exact = id_, self._rounded(value), deployed, end, positions, groups
            self.measured.exact.append(exact)
            return
        uncertain = isinstance(start, Between) or isinstance(end, Between)
        value, low, high = map(self._rounded, (value, low, high))
        ended = end if over else None
        self.measured.others.append(
            Span(id_, value, low, high, over, uncertain, deployed, ended, groups, positions)
        )

    def _end(self, place: int, incidents: Sequence[int]) -> Moment | None:
        """Return the first of the ends asked for that is present."""
        for name in self._definition.recovered_by:
            end: Moment | None
            if name == "incident":
                end = self._all_resolved(incidents)
            elif name in self._moments:
                end = self._moments[name][place]
            else:
                end = self._successes.after(place)
            if end is not None:
                return end
        return None

    def _all_resolved(self, incidents: Sequence[int]) -> Moment | None:
        """Return the last resolution; None where there is none, or one is not resolved."""
        resolutions: list[Moment] = []
        for one in incidents:
            spells = self._spells[one]
            resolved: Moment | None = spells[-1].resolved if spells else None
            if resolved is None:
                return None
            resolutions.append(resolved)
        return (
            resolutions[0]
            if len(resolutions) == 1
            else max(resolutions, key=midpoint, default=None)
        )


# --- the figure -----------------------------------------------------------------------------------


def recover(facts: Facts, definition: FailedDeploymentRecovery) -> Figure:
    """Compute failed deployment recovery time."""
    found, out = deployments(facts, definition)
    judged = failures(facts, definition)
    laid, _ = causes(facts, definition)
    recoveries = _Recoveries(facts, judged, definition)
    later: set[str] = set()
    if definition.failures == "first_of_run":
        later.update(_later_in_runs(judged))
    positions = found.column("positions")
    ids, positions_of = facts.of_incidents("id"), facts.of_incidents("positions")
    seen: set[int] = set()
    for id_, place in judged.failed.places.items():
        if id_ in later:
            recoveries.leave_out(id_, "failed again, in a run that counts once", place)
            continue
        incidents = laid.incidents_of(id_)
        groups = found.groups_of(place)
        if definition.per == "change":
            recoveries.measure(id_, place, incidents, groups, positions[place])
            continue
        if not incidents:
            recoveries.leave_out(id_, "no incident", place)
        for one in incidents:
            if one in seen:
                continue
            seen.add(one)
            if definition.group_by in OF_INCIDENTS:
                groups = groups_of(facts.incidents[one], definition)
            both = tuple(sorted(positions[place] + positions_of[one]))
            recoveries.measure(ids[one], place, (one,), groups, both)
    shape = Shape(
        statistic=definition.statistic,
        in_window=definition.in_window,
        round_each=definition.round_each,
    )
    left_out = [*out, *judged.unlaid]
    figure = with_parts(recoveries.measured, left_out, facts, definition, shape)
    return _marked(figure, recoveries.deployed, judged.failed)


def _marked(figure: Figure, deployed: Mapping[str, str], failed: Failed) -> Figure:
    """Return the figure with the signs of failure told, and those only inferred counted apart."""
    inferred = 0
    if failed.inferred:
        inferred = sum(deployed[one.id] in failed.inferred for one in figure.included)

    def told(some: Iterable[Included]) -> Iterator[Included]:
        for one in some:
            why = "; ".join(failed.signs(deployed[one.id]))
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
