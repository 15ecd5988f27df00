"""
Failed deployment recovery time: from the deployment that failed until service was good again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
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
from imcm.projections.figures.failures import Failed, FailedBy, Judged, failures
from imcm.projections.figures.figure import Figure, Included, Population
from imcm.projections.figures.function import figure_function
from imcm.projections.figures.lazy import Listed
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
        statistic, round_each: As for durations of incidents.
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

    def __init__(self, judged: Judged) -> None:
        found, failed = judged.deployments, judged.failed
        self._found = found
        self._services = found.services
        self._of = found.by_service(
            place
            for place, outcome in enumerate(found.outcomes)
            if outcome == COMPLETED and place not in failed
        )

    def after(self, place: int) -> Moment | None:
        """Return when the last of its services was next deployed well; None while one was not."""
        found: list[int] = []
        services = self._services[place]
        for service in services:
            members = self._of.get(service, [])
            following = bisect_right(members, place)
            found += members[following : following + 1]
        return None if len(found) < len(services) else self._found.moment(max(found))

    def before(self, place: int) -> Moment | None:
        """Return when one of its services was last deployed well."""
        found: list[int] = []
        for service in self._services[place]:
            members = self._of.get(service, [])
            found += members[: bisect_left(members, place)][-1:]
        return self._found.moment(max(found)) if found else None


def _later_in_runs(judged: Judged) -> Iterator[int]:
    """Yield the places of failed deployments all of whose services had failed just before."""
    failing: dict[str, bool] = {}
    found = judged.deployments
    for place, services in enumerate(found.services):
        failed = place in judged.failed
        if failed and all(failing.get(service, False) for service in services):
            yield place
        failing.update((service, failed) for service in services)


# --- one failed deployment ------------------------------------------------------------------------


class _Recoveries:
    """
    Measures recoveries, one by one.

    Attributes:
        others: What came of those that are not plainly over, between two exact times.
    """

    def __init__(self, facts: Facts, judged: Judged, definition: FailedDeploymentRecovery) -> None:
        self.others: list[Span | Missing] = []
        self._facts = facts
        self._judged = judged
        self._found = judged.deployments
        self._definition = definition
        self._rounded = ROUNDINGS[definition.round_each]
        self._begins_there = definition.look_back is None
        self._incidents = facts.incidents
        self._resolved = facts.incidents.columns.resolved
        told = facts.changes.columns
        self._moments = {"rolled_back": told.rolled_back, "recorded": told.recovered}
        self._values: list[int] = []
        self._ends: list[int] = []
        self._places: list[int] = []  # of the deployments that failed
        self._whose: list[int | None] = []  # of the incidents, where it is their recovery
        self._of_others: dict[str, int] = {}

    @cached_property
    def _successes(self) -> _Successes:
        """Made where the definition asks for them."""
        return _Successes(self._judged)

    def leave_out(self, reason: str, place: int) -> None:
        """Note a failed deployment that has no recovery under the definition."""
        row, at = self._found.change(place), self._found.moment(place)
        groups = self._found.groups_of(place)
        self.others.append(Missing(row.id, reason, at, None, groups, row.positions))

    def measure(self, place: int, incidents: Sequence[int], whose: int | None = None) -> None:
        """
        Measure one recovery, or say why there is none.

        Args:
            place: Of the deployment that failed.
            incidents: The places of those that its recovery ends.
            whose: The place of the incident where it is its recovery, and not the deployment's.
        """
        if self._begins_there and place not in self._found.uncertain:
            end = self._exact_end(place, incidents)
            value = end - self._found.at[place]
            if value >= 0:
                self._values.append(self._rounded(value))
                self._ends.append(end)
                self._places.append(place)
                self._whose.append(whose)
                return
        told = self._told(place, incidents, whose)
        self._of_others[told.id] = place
        self.others.append(told)

    def durations(self) -> Durations:
        """Return all that was measured."""
        found, places = self._found, self._places
        whole = Columns(
            values=self._values,
            starts=[found.at[place] for place in places],
            ends=self._ends,
            who=lambda here: self._who(places[here], self._whose[here]),
            groups=lambda here: self._groups(places[here], self._whose[here]),
        )
        measured = Durations(whole)
        measured.others = self.others
        return measured

    @cached_property
    def deployed(self) -> Mapping[str, int]:
        """The places of the deployments that the values are about, by the ids of those."""
        pairs = zip(self._places, self._whose, strict=True)
        return {self._id(place, whose): place for place, whose in pairs} | self._of_others

    def _id(self, place: int, whose: int | None) -> str:
        return self._found.id(place) if whose is None else self._incidents.ids[whose]

    def _who(self, place: int, whose: int | None) -> Who:
        positions = self._found.change(place).positions
        if whose is not None:
            positions = tuple(sorted(positions + self._incidents[whose].positions))
        return self._id(place, whose), positions

    def _groups(self, place: int, whose: int | None) -> tuple[str, ...]:
        if whose is not None and self._definition.group_by in OF_INCIDENTS:
            return groups_of(self._incidents[whose], self._definition)
        return self._found.groups_of(place)

    def _exact_end(self, place: int, incidents: Sequence[int]) -> int:
        """Return the end where it is plainly there and exact, as nearly all are; else NO_TIME."""
        for name in self._definition.recovered_by:
            if name == "incident":
                if not incidents:
                    continue
                ends = [self._resolved[one] for one in incidents]
            elif name == "next_success":
                return NO_TIME
            else:
                ends = [self._moments[name][self._found.places[place]]]
            if UNSURE in ends:
                return NO_TIME
            if NO_TIME not in ends:
                return max(ends)
        return NO_TIME

    def _told(self, place: int, incidents: Sequence[int], whose: int | None) -> Span | Missing:
        """Return one recovery, whatever is told of it, or why there is none."""
        id_, positions = self._who(place, whose)
        groups = self._groups(place, whose)
        deployed = self._found.moment(place)
        start: Moment = deployed
        if self._definition.look_back == "last_success":
            start = self._successes.before(place) or start
        end = self._end(place, incidents)
        over = end is not None
        if end is None:
            if not any(self._incidents[one].status in OPEN for one in incidents):
                return Missing(id_, "missing(recovery)", deployed, None, groups, positions)
            # Where there is a deployment, there is an as_of.
            end = self._facts.as_of or moment_of(self._found.at[place])
        value, low, high = difference(start, end)
        before = early(value)
        if before:
            value, low, high = 0, 0, max(0, high)
        elif value < 0:
            return Missing(id_, "negative", deployed, end, groups, positions)
        # Its deployment places it, also where the time runs from a deployment before.
        uncertain = isinstance(start, Between) or isinstance(end, Between)
        value, low, high = map(self._rounded, (value, low, high))
        ended = end if over else None
        span = Span(id_, value, low, high, over, uncertain, deployed, ended, groups, positions)
        return span._replace(early=True) if before else span

    def _end(self, place: int, incidents: Sequence[int]) -> Moment | None:
        """Return the first of the ends asked for that is present."""
        change = self._found.change(place)
        for name in self._definition.recovered_by:
            end: Moment | None
            if name == "incident":
                end = self._all_resolved(incidents)
            elif name == "next_success":
                end = self._successes.after(place)
            else:
                end = change.rolled_back_at if name == "rolled_back" else change.recovered_at
            if end is not None:
                return end
        return None

    def _all_resolved(self, incidents: Sequence[int]) -> Moment | None:
        """Return the last resolution; None where there is none, or one is not resolved."""
        resolutions: list[Moment] = []
        for one in incidents:
            resolved = self._incidents[one].resolved_at
            if resolved is None:
                return None
            resolutions.append(resolved)
        return max(resolutions, key=midpoint, default=None)


# --- the figure -----------------------------------------------------------------------------------


def recover(facts: Facts, definition: FailedDeploymentRecovery) -> Figure:
    """Compute failed deployment recovery time."""
    found, out = deployments(facts, definition)
    judged = failures(facts, definition)
    laid, _ = causes_of(facts, definition)
    recoveries = _Recoveries(facts, judged, definition)
    later: set[int] = set()
    if definition.failures == "first_of_run":
        later.update(_later_in_runs(judged))
    seen: set[int] = set()
    for place in judged.failed.places:
        if place in later:
            recoveries.leave_out("failed again, in a run that counts once", place)
            continue
        incidents = laid.incidents_of(found.places[place])
        if definition.per == "change":
            recoveries.measure(place, incidents)
            continue
        if not incidents:
            recoveries.leave_out("no incident", place)
        for one in incidents:
            if one not in seen:
                seen.add(one)
                recoveries.measure(place, (one,), one)
    shape = Shape(
        statistic=definition.statistic,
        in_window=definition.in_window,
        round_each=definition.round_each,
    )
    left_out = [*out, *judged.unlaid]
    figure = with_parts(recoveries.durations(), left_out, facts, definition, shape)
    notes = judged.notes
    if "next_success" in definition.recovered_by or definition.look_back is not None:
        notes += unknown_outcomes(judged.deployments, definition)
    figure = attrs.evolve(figure, notes=(*figure.notes, *notes))
    return _marked(figure, recoveries, judged.failed)


def _marked(figure: Figure, recoveries: _Recoveries, failed: Failed) -> Figure:
    """Return the figure with the signs of failure told, and those only inferred counted apart."""
    inferred = 0
    if failed.inferred:
        inferred = sum(recoveries.deployed[one.id] in failed.inferred for one in figure.included)

    def told(some: Iterable[Included]) -> Iterator[Included]:
        for one in some:
            why = "; ".join(failed.signs(recoveries.deployed[one.id]))
            yield Included(id=one.id, value=one.value, why=why, positions=one.positions)

    return attrs.evolve(
        figure,
        included=Population(lambda: told(figure.included), figure.values),
        censored=Listed(lambda: told(figure.censored)),
        counts={**figure.counts, "failed by inferred cause only": inferred},
        groups=tuple(_marked(group, recoveries, failed) for group in figure.groups),
        buckets=tuple(_marked(bucket, recoveries, failed) for bucket in figure.buckets),
    )


failed_deployment_recovery_time = figure_function(FailedDeploymentRecovery, recover)
