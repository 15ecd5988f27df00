"""
Failed deployment recovery time: from the deployment that failed until service was good again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import ClassVar, Final

import attrs

from imcm.domain.incident import OPEN
from imcm.domain.vocabulary import Between, Moment, is_among, midpoint
from imcm.errors import InvalidValue
from imcm.projections.facts.columns import COMPLETED, NO_TIME, UNSURE
from imcm.projections.facts.fold import Facts
from imcm.projections.facts.instants import moment_of
from imcm.projections.figures.attribution import causes_of
from imcm.projections.figures.definition import names
from imcm.projections.figures.deployments import deployments, unknown_outcomes
from imcm.projections.figures.durations import (
    IN_WINDOW,
    ROUNDINGS,
    STATISTICS,
    Columns,
    Durations,
    Missing,
    Shape,
    Span,
    Who,
    difference,
    early,
    with_parts,
)
from imcm.projections.figures.failures import Classified, Failed, FailedBy, failures
from imcm.projections.figures.figure import Figure, Included, Population
from imcm.projections.figures.function import figure_function
from imcm.projections.figures.lazy import LazySequence
from imcm.projections.figures.population import groups_of

RECOVERED_BY: Final = ("incident", "rolled_back", "recorded")
OF_INCIDENTS: Final = frozenset({"severity", "severity_name", "cause_tag", "channel"})
"""What only an incident has; no change can be grouped by it."""


@attrs.frozen(kw_only=True, repr=False)
class FailedDeploymentRecovery(FailedBy):
    """
    From a failed deployment to its recovery, in seconds, over the failed deployments.

    Known as "failed deployment recovery time" since the DORA report of 2023. By default the
    failed deployments that came in within the window count, the same ones that the change
    failure rate counts. One that has not recovered waits (it is censored) while an incident laid
    to it is open, and else misses its recovery; both are left out, and listed. Undefined without
    any recovery. What recovered up to a minute before it was deployed counts as 0, and a note says
    how many did.

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
        look_back: From where the time runs. None (default): from the failed deployment itself.
            "last_success": from the last successful deployment of one of its services before it,
            where there is one, so that the time in which the service was good counts, too.
        in_window: What places it in a period: its deployment ("start", the default), its
            recovery ("end"), or either.
        statistic: Which one number is made of all; p90 and p95 are of type 7.
        round_each: How each duration is rounded before the statistic.
    """

    NAME: ClassVar[str] = "failed deployment recovery time"
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "recovered_by": (*RECOVERED_BY, "next_success"),
        "per": ("change", "incident"),
        "failures": ("each", "first_of_run"),
        "statistic": tuple(STATISTICS),
        "in_window": IN_WINDOW,
        "round_each": tuple(ROUNDINGS),
    }
    recovered_by: tuple[str, ...] = attrs.field(default=RECOVERED_BY, converter=names)
    per: str = "change"
    failures: str = "each"
    look_back: str | None = None
    statistic: str = "median"
    in_window: str = "start"
    round_each: str = "none"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if not self.recovered_by:
            raise InvalidValue("recovered_by", (), "at least one way to recover")
        if not is_among(self.look_back, (None, "last_success")):
            allowed = "None (from the failed deployment) or last_success"
            raise InvalidValue("look_back", self.look_back, allowed)


# --- what came before and after -------------------------------------------------------------------


class _Successes:
    """Successful deployments of each service, in order of time and id."""

    def __init__(self, classified: Classified) -> None:
        deployed, failed = classified.deployments, classified.failed
        self._deployed = deployed
        self._of = deployed.by_service(
            [index for index in deployed.ended(COMPLETED) if index not in failed]
        )

    def after(self, index: int) -> Moment | None:
        """Return when the last of its services was next deployed well; None while one was not."""
        next_successes: list[int] = []
        (services,) = self._deployed.services((index,))
        for service in services:
            members = self._of.get(service, [])
            following = bisect_right(members, index)
            next_successes += members[following : following + 1]
        return (
            None
            if len(next_successes) < len(services)
            else self._deployed.moment(max(next_successes))
        )

    def before(self, index: int) -> Moment | None:
        """Return when one of its services was last deployed well."""
        last_successes: list[int] = []
        for service in chain.from_iterable(self._deployed.services((index,))):
            members = self._of.get(service, [])
            last_successes += members[: bisect_left(members, index)][-1:]
        return self._deployed.moment(max(last_successes)) if last_successes else None


def _later_in_runs(classified: Classified) -> Iterator[int]:
    """Yield the indices of failed deployments all of whose services had failed just before."""
    failing: dict[str, bool] = {}
    deployed = classified.deployments
    for index, services in enumerate(deployed.services(range(len(deployed)))):
        failed = index in classified.failed
        if failed and all(failing.get(service, False) for service in services):
            yield index
        failing.update((service, failed) for service in services)


# --- one failed deployment ------------------------------------------------------------------------


class _Recoveries:
    """
    Measures recoveries, one by one.

    Attributes:
        others: What came of those that are not plainly over, between two exact times.
    """

    def __init__(
        self, facts: Facts, classified: Classified, definition: FailedDeploymentRecovery
    ) -> None:
        self.others: list[Span | Missing] = []
        self._facts = facts
        self._classified = classified
        self._deployed = classified.deployments
        self._definition = definition
        self._rounded = ROUNDINGS[definition.round_each]
        self._begins_there = definition.look_back is None
        self._incidents = facts.incidents
        self._resolved = facts.incidents.columns.resolved
        columns = facts.changes.columns
        self._moments = {"rolled_back": columns.rolled_back, "recorded": columns.recovered}
        self._values: list[int] = []
        self._ends: list[int] = []
        self._indices: list[int] = []  # of the deployments that failed
        self._whose: list[int | None] = []  # of the incidents, where it is their recovery
        self._of_others: dict[str, int] = {}

    @cached_property
    def _successes(self) -> _Successes:
        """Made where the definition asks for them."""
        return _Successes(self._classified)

    def leave_out(self, reason: str, index: int) -> None:
        """Note a failed deployment that has no recovery under the definition."""
        row, at = self._deployed.change(index), self._deployed.moment(index)
        groups = self._deployed.groups_of(index)
        self.others.append(Missing(row.id, reason, at, None, groups, row.positions))

    def measure(self, index: int, incidents: Sequence[int], whose: int | None = None) -> None:
        """
        Measure one recovery, or say why there is none.

        Args:
            index: Of the deployment that failed.
            incidents: The indices of those that its recovery ends.
            whose: The index of the incident where it is its recovery, and not the deployment's.
        """
        if self._begins_there and index not in self._deployed.uncertain:
            end = self._exact_end(index, incidents)
            value = end - self._deployed.at[index]
            if value >= 0:
                self._values.append(self._rounded(value))
                self._ends.append(end)
                self._indices.append(index)
                self._whose.append(whose)
                return
        recovery = self._recovery(index, incidents, whose)
        self._of_others[recovery.id] = index
        self.others.append(recovery)

    def durations(self) -> Durations:
        """Return all that was measured."""
        deployed, indices = self._deployed, self._indices
        bulk = Columns(
            count=len(indices),
            values=self._values,
            starts=lambda: [deployed.at[index] for index in indices],
            ends=lambda: self._ends,
            who=lambda here: self._who(indices[here], self._whose[here]),
            groups=lambda here: self._groups(indices[here], self._whose[here]),
        )
        measured = Durations(bulk)
        measured.others = self.others
        return measured

    @cached_property
    def index_by_id(self) -> Mapping[str, int]:
        """The indices of the deployments that the values are about, by the ids of those."""
        pairs = zip(self._indices, self._whose, strict=True)
        return {self._id(index, whose): index for index, whose in pairs} | self._of_others

    def _id(self, index: int, whose: int | None) -> str:
        return self._deployed.id(index) if whose is None else self._incidents.ids[whose]

    def _who(self, index: int, whose: int | None) -> Who:
        positions = self._deployed.change(index).positions
        if whose is not None:
            positions = tuple(sorted(positions + self._incidents[whose].positions))
        return self._id(index, whose), positions

    def _groups(self, index: int, whose: int | None) -> tuple[str, ...]:
        if whose is not None and self._definition.group_by in OF_INCIDENTS:
            return groups_of(self._incidents[whose], self._definition)
        return self._deployed.groups_of(index)

    def _exact_end(self, index: int, incidents: Sequence[int]) -> int:
        """Return the end where it is plainly there and exact, as nearly all are; else NO_TIME."""
        for name in self._definition.recovered_by:
            if name == "incident":
                if not incidents:
                    continue
                ends = [self._resolved[incident] for incident in incidents]
            elif name == "next_success":
                return NO_TIME
            else:
                ends = [self._moments[name][self._deployed.change_indices[index]]]
            if min(ends) > UNSURE:
                return max(ends)
            if UNSURE in ends:
                return NO_TIME
        return NO_TIME

    def _recovery(self, index: int, incidents: Sequence[int], whose: int | None) -> Span | Missing:
        """Return one recovery, whatever is told of it, or why there is none."""
        id_, positions = self._who(index, whose)
        groups = self._groups(index, whose)
        deployed_at = self._deployed.moment(index)
        start: Moment = deployed_at
        if self._definition.look_back == "last_success":
            start = self._successes.before(index) or start
        end = self._end(index, incidents)
        over = end is not None
        if end is None:
            if not any(self._incidents[incident].status in OPEN for incident in incidents):
                return Missing(id_, "missing(recovery)", deployed_at, None, groups, positions)
            # Where there is a deployment, there is an as_of.
            end = self._facts.as_of or moment_of(self._deployed.at[index])
        value, low, high = difference(start, end)
        before = early(value)
        if before:
            value, low, high = 0, 0, max(0, high)
        elif value < 0:
            return Missing(id_, "negative", deployed_at, end, groups, positions)
        # Its deployment places it, also where the time runs from a deployment before.
        uncertain = isinstance(start, Between) or isinstance(end, Between)
        value, low, high = map(self._rounded, (value, low, high))
        ended = end if over else None
        span = Span(id_, value, low, high, over, uncertain, deployed_at, ended, groups, positions)
        return span._replace(early=True) if before else span

    def _end(self, index: int, incidents: Sequence[int]) -> Moment | None:
        """Return the first of the ends asked for that is present."""
        change = self._deployed.change(index)
        for name in self._definition.recovered_by:
            end: Moment | None
            if name == "incident":
                end = self._all_resolved(incidents)
            elif name == "next_success":
                end = self._successes.after(index)
            else:
                end = change.rolled_back_at if name == "rolled_back" else change.recovered_at
            if end is not None:
                return end
        return None

    def _all_resolved(self, incidents: Sequence[int]) -> Moment | None:
        """Return the last resolution; None where there is none, or one is not resolved."""
        resolutions: list[Moment] = []
        for incident in incidents:
            resolved = self._incidents[incident].resolved_at
            if resolved is None:
                return None
            resolutions.append(resolved)
        return max(resolutions, key=midpoint, default=None)


# --- the figure -----------------------------------------------------------------------------------


def recover(facts: Facts, definition: FailedDeploymentRecovery) -> Figure:
    """Compute failed deployment recovery time."""
    deployed, out = deployments(facts, definition)
    classified = failures(facts, definition)
    attributed, _ = causes_of(facts, definition)
    recoveries = _Recoveries(facts, classified, definition)
    later: set[int] = set()
    if definition.failures == "first_of_run":
        later.update(_later_in_runs(classified))
    seen: set[int] = set()
    for index in classified.failed.indices:
        if index in later:
            recoveries.leave_out("failed again, in a run that counts once", index)
            continue
        incidents = attributed.incidents_of(deployed.change_indices[index])
        if definition.per == "change":
            recoveries.measure(index, incidents)
            continue
        if not incidents:
            recoveries.leave_out("no incident", index)
        for incident in incidents:
            if incident not in seen:
                seen.add(incident)
                recoveries.measure(index, (incident,), incident)
    shape = Shape(
        statistic=definition.statistic,
        in_window=definition.in_window,
        round_each=definition.round_each,
    )
    left_out = [*out, *classified.unattributed]
    figure = with_parts(recoveries.durations(), left_out, facts, definition, shape)
    notes = classified.notes
    if "next_success" in definition.recovered_by or definition.look_back is not None:
        notes += unknown_outcomes(classified.deployments, definition)
    figure = attrs.evolve(figure, notes=(*figure.notes, *notes))
    return _marked(figure, recoveries, classified.failed)


def _marked(figure: Figure, recoveries: _Recoveries, failed: Failed) -> Figure:
    """Return the figure with the signs of failure told, and those only inferred counted apart."""
    inferred = 0
    if failed.inferred:
        inferred = sum(
            recoveries.index_by_id[entry.id] in failed.inferred for entry in figure.included
        )

    def with_signs(entries: Iterable[Included]) -> Iterator[Included]:
        for entry in entries:
            why = "; ".join(failed.signs(recoveries.index_by_id[entry.id]))
            yield Included(id=entry.id, value=entry.value, why=why, positions=entry.positions)

    return attrs.evolve(
        figure,
        included=Population(lambda: with_signs(figure.included), figure.values),
        censored=LazySequence(lambda: with_signs(figure.censored)),
        counts={**figure.counts, "failed by inferred cause only": inferred},
        groups=tuple(_marked(group, recoveries, failed) for group in figure.groups),
        buckets=tuple(_marked(bucket, recoveries, failed) for bucket in figure.buckets),
    )


failed_deployment_recovery_time = figure_function(
    FailedDeploymentRecovery, recover, name="failed_deployment_recovery_time"
)
