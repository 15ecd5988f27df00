"""
Lead time for changes: from a commit to its deployment.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain, compress
from operator import attrgetter, sub
from typing import ClassVar, Final

import attrs

from imcm.domain.change_events import ChangeStatus
from imcm.domain.vocabulary import Between, Commit, Kind, Moment, Outcome, earliest, latest
from imcm.projections.facts.columns import (
    COMPLETED,
    FAILED,
    NO_TIME,
    ROLLED_BACK,
    indices_set,
    indices_unset,
    take,
)
from imcm.projections.facts.fold import ChangeFacts, Facts
from imcm.projections.facts.instants import instant
from imcm.projections.figures.deployments import (
    Deployed,
    Deployment,
    Deployments,
    deployments,
    unknown_outcomes,
)
from imcm.projections.figures.durations import (
    ROUNDINGS,
    STATISTICS,
    Columns,
    Durations,
    Exact,
    Missing,
    Shape,
    Span,
    Who,
    early,
    with_parts,
)
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.function import figure_function
from imcm.projections.figures.population import change_matches, groups_of, in_environment
from imcm.projections.figures.units import elapsed, utc

_LONGEST: Final = -NO_TIME // 2
"""No two times are so far from each other; what is not known lies farther from all."""

_TRIED: Final = (FAILED, ROLLED_BACK)
"""How the work of deployments ended that brought nothing in for good."""


@attrs.frozen(kw_only=True, repr=False)
class LeadTime(Deployments):
    """
    From a commit to the deployment that brought it into production, in seconds.

    A commit counts once, at the first deployment that brought it, which places it in a period
    and in groups; later ones are listed. Deployments without commits are left out, and so is what
    lacks the moment it starts from. Undefined where nothing is left to count.

    Attributes:
        start: "committed" (default), "authored", or "opened" or "merged" of its pull request.
        unit: What counts: each "commit" (default); each "change" by the first of the commits it
            brought; or each "pull_request" by the first of its commits, at the first deployment
            that brought one of them (commits without a pull request are left out).
        roll_forward: Commits of a deployment that failed or was rolled back, and those of a change
            that was aborted, cancelled or reached nothing, are in production only with the next
            successful deployment of one of its services, by time and id (True), and count as
            brought by that one. Where nobody says when one was given up, it is the latest moment
            that is known of it. False counts them where they were first tried, and those of what
            was no deployment nowhere.
        negative: Deployed before it was made (a clock was wrong): "leave_out" (default, listed),
            "include", or "leave_out_zero_too". Unless they are included, those of up to a minute
            below 0 count as 0, and a note says how many did.
        statistic: Which one number is made of all; p90 and p95 are of type 7.
        round_each: How each duration is rounded before the statistic.
    """

    NAME: ClassVar[str] = "lead time for changes"
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "start": ("committed", "authored", "opened", "merged"),
        "unit": ("commit", "change", "pull_request"),
        "negative": ("leave_out", "include", "leave_out_zero_too"),
        "statistic": tuple(STATISTICS),
        "round_each": tuple(ROUNDINGS),
    }
    start: str = "committed"
    unit: str = "commit"
    roll_forward: bool = True
    negative: str = "leave_out"
    statistic: str = "median"
    round_each: str = "none"


def measure_lead_time(facts: Facts, definition: LeadTime) -> Figure:
    """Compute lead time for changes."""
    deployed, out = deployments(facts, definition)
    measured = Durations()
    _Arrivals(measured, definition).bring(deployed, _undelivered(facts, definition))
    shape = Shape(statistic=definition.statistic, in_window="end", round_each=definition.round_each)
    figure = with_parts(measured, out, facts, definition, shape)
    # Only where they roll forward it asks which deployment succeeded.
    notes = unknown_outcomes(deployed, definition) if definition.roll_forward else ()
    if figure.value == 0:
        exact = measured.columns().values
        if exact and exact.count(0) * 2 >= len(exact):
            notes += (f"0 of most: {definition.start} and deployed are one moment in the log",)
    return attrs.evolve(figure, notes=(*figure.notes, *notes))


# --- what arrives where ---------------------------------------------------------------------------


def _successes(deployed: Deployed, definition: LeadTime) -> Mapping[str, Sequence[int]]:
    """Return the indices of the deployments that bring commits in for good, by service."""
    completed = deployed.ended(COMPLETED)
    if definition.rollbacks == "count":
        # A roll back that counts as a deployment takes commits out; it brings none back in.
        completed = [
            index for index in completed if deployed.change(index).kind is not Kind.ROLLBACK
        ]
    return deployed.by_service(completed)


def _landings(deployed: Deployed, definition: LeadTime) -> dict[int, int | None]:
    """
    Return the indices of deployments whose commits came into production with another one.

    With each stands the index of that other one; None where there is none.
    """
    tried = deployed.ended(*_TRIED) if definition.roll_forward else ()
    landings: dict[int, int | None] = {}
    if not tried:
        return landings
    successes = _successes(deployed, definition)
    for index, services in zip(tried, deployed.services(tried), strict=True):
        theirs: list[int] = []
        for service in services:
            members = successes.get(service, ())
            following = bisect_right(members, index)
            theirs += members[following : following + 1]
        landings[index] = min(theirs, default=None)
    return landings


def _undelivered(facts: Facts, definition: LeadTime) -> list[Deployment]:
    """
    Return the changes with commits that were given up before they came into production.

    They are no deployments. Each has the time at which it ended, and they come in that order.
    """
    if not definition.roll_forward:
        return []
    columns = facts.changes.columns
    undelivered: list[Deployment] = []
    odd = indices_unset(columns.counted)
    for index in compress(odd, map(columns.load.__getitem__, odd)):
        row = facts.changes[index]
        ended = row.outcome not in (None, Outcome.UNKNOWN)
        given_up = ended or row.status is ChangeStatus.CANCELLED
        if row.deployed_at is not None or not given_up or row.kind is Kind.ROLLBACK:
            continue
        at = row.ended_at or row.closed_at or _last_known(row)
        if at is None or not in_environment(row.environment, definition):
            continue
        if change_matches(row, definition):
            uncertain = isinstance(at, Between)
            undelivered.append(Deployment(row, utc(at), uncertain, groups_of(row, definition)))
    return sorted(undelivered, key=lambda deployment: (deployment.at, deployment.change.id))


def _last_known(row: ChangeFacts) -> Moment | None:
    """Return the latest moment known of a change that was given up without one; None for none."""
    moments = [row.started_at, row.approved_at, row.submitted_at, row.planned_at]
    for commit in row.commits:
        moments += (commit.committed_at, commit.authored_at)
    return max((at for at in moments if at is not None), key=earliest, default=None)


def _landings_of(
    undelivered: Iterable[Deployment], deployed: Deployed, definition: LeadTime
) -> dict[int, list[Deployment]]:
    """Return what came into production later, by the index of the deployment that brought it."""
    successes = _successes(deployed, definition)
    landed: dict[int, list[Deployment]] = {}
    for deployment in undelivered:
        own = instant(deployment.at), deployment.change.id
        theirs: list[int] = []
        for service in deployment.change.services or ("",):
            members = successes.get(service, ())
            index = bisect_right(
                members, own, key=lambda here: (deployed.at[here], deployed.id(here))
            )
            theirs += members[index : index + 1]
        if theirs:
            landed.setdefault(min(theirs), []).append(deployment)
    return landed


class _Arrivals:
    """Goes through deployments in order and measures what each brought, once."""

    def __init__(self, measured: Durations, definition: LeadTime) -> None:
        self._measured = measured
        self._definition = definition
        self._made = attrgetter(f"{definition.start}_at")
        self._rounded = ROUNDINGS[definition.round_each]
        self._shortest = {"leave_out": 0, "leave_out_zero_too": 1}.get(definition.negative)
        self._requests: dict[str, str] = {}

    def _leave_out(self, id_: str, reason: str, deployment: Deployment) -> None:
        row = deployment.change
        missing = Missing(id_, reason, None, row.deployed_at, deployment.groups, row.positions)
        self._measured.others.append(missing)

    def bring(self, deployed: Deployed, undelivered: Sequence[Deployment]) -> None:
        """
        Measure what counts, deployment by deployment; leave out what does not, with why.

        Args:
            undelivered: Changes that are no deployments, and whose commits came with a later one.
        """
        landings = _landings(deployed, self._definition)
        late: Mapping[int, list[Deployment]] = {}
        if undelivered:
            late = _landings_of(undelivered, deployed, self._definition)
        carried: dict[int, list[int]] = {}  # what came with a later deployment
        for index, landed in landings.items():
            if landed is not None and deployed.loads[index]:
                carried.setdefault(landed, []).append(index)
        seen: dict[str, str] = {}
        for index in self._take_plain(deployed, landings, carried, late):
            if index not in landings:
                others = [deployed[earlier] for earlier in carried.get(index, ())]
                if index in late:
                    others += late[index]
                    others.sort(key=lambda deployment: (deployment.at, deployment.change.id))
                self._bring(deployed[index], others, seen)
            elif not deployed.loads[index]:
                self._leave_out(deployed.id(index), "no commits", deployed[index])
            elif landings[index] is None:
                reason = "failed, and no successful deployment followed"
                self._leave_out(deployed.id(index), reason, deployed[index])

    def _take_plain(
        self,
        deployed: Deployed,
        landings: Mapping[int, int | None],
        carried: Mapping[int, Sequence[int]],
        late: Mapping[int, Sequence[Deployment]],
    ) -> Iterable[int]:
        """
        Measure what nearly all are, and return the indices of the others.

        Each brought one commit, which came with it, or with one that followed, and the times of
        both are exact. Where a deployment carried others, all of them are plain, or none.
        """
        definition = self._definition
        every = range(len(deployed))
        if definition.unit != "commit" or definition.round_each != "none":
            return every
        if late or self._come_twice(deployed):
            return every
        at, starts = deployed.at, self._starts(deployed)
        values = list(map(sub, at, starts))
        least = -_LONGEST if self._shortest is None else self._shortest
        taken = bytearray(b"\1") * len(values)
        if values and not least <= min(values) <= max(values) <= _LONGEST:
            taken = bytearray(least <= value <= _LONGEST for value in values)
        for index in chain(landings, carried, deployed.uncertain):
            taken[index] = 0
        plain = indices_set(taken)
        values = list(compress(values, taken))
        brought = list(plain)
        for landed, others in carried.items():
            load = [*others, landed]
            theirs = [at[landed] - starts[index] for index in load]
            if (
                landed not in deployed.uncertain
                and least <= min(theirs)
                and max(theirs) <= _LONGEST
            ):
                brought += load
                values += theirs
                for index in load:
                    taken[index] = 1

        def arrived(here: int) -> int:
            landed = landings.get(brought[here])
            return brought[here] if landed is None else landed

        def who(here: int) -> Who:
            load = [*carried.get(arrived(here), ()), arrived(here)]
            behind = (position for index in load for position in deployed.change(index).positions)
            return deployed.change(brought[here]).commits[0].id, tuple(sorted(behind))

        def arrivals() -> list[int]:
            return [*plain, *map(arrived, range(len(plain), len(brought)))]

        self._measured.bulk = Columns(
            count=len(values),
            values=values,
            starts=lambda: take(starts, brought),
            ends=lambda: take(at, arrivals()),
            who=who,
            groups=(take(deployed.groups, arrivals()) if deployed.groups else ()).__getitem__,
        )
        return indices_unset(taken)

    def _come_twice(self, deployed: Deployed) -> bool:
        """Say whether a commit was brought by two deployments: it counts where it came first."""
        names = deployed.commits()
        return len(set(names)) < len(names)

    def _starts(self, deployed: Deployed) -> Sequence[int]:
        """Return the instants from which those run that brought one commit; NO_TIME of others."""
        if self._definition.start == "committed":
            return deployed.committed
        starts: list[int] = []
        for index, load in enumerate(deployed.loads):
            start = self._made(deployed.change(index).commits[0]) if load == 1 else None
            starts.append(NO_TIME if start is None else instant(start))
        return starts

    def _bring(
        self, deployment: Deployment, carried: Sequence[Deployment], seen: dict[str, str]
    ) -> None:
        """Measure what one deployment brought, and what came with it of failed ones before."""
        unit, id_ = self._definition.unit, deployment.change.id
        commits: Iterable[Commit] = deployment.change.commits
        positions = deployment.change.positions
        if carried:
            # Its own come last, so that they stand where a failed attempt named the same ones.
            load = [*carried, deployment]
            brought = {commit.id: commit for member in load for commit in member.change.commits}
            commits = brought.values()
            positions = tuple(sorted(p for member in load for p in member.change.positions))
        if not commits:
            self._leave_out(id_, "no commits", deployment)
        new: list[Commit] = []
        for commit in commits:
            name = commit.id
            first = seen.setdefault(name, id_)
            if first != id_:
                self._leave_out(name, f"brought by {first} before", deployment)
            elif unit == "commit":
                self._take(name, (commit,), deployment, positions)
            else:
                new.append(commit)
        if unit == "pull_request":
            self._take_requests(new, deployment, positions)
        elif new:
            self._take(id_, new, deployment, positions)

    def _take_requests(
        self, commits: Iterable[Commit], deployment: Deployment, positions: tuple[int, ...]
    ) -> None:
        requests: dict[str, list[Commit]] = {}
        for commit in commits:
            if commit.pull_request is None:
                self._leave_out(commit.id, "no pull request", deployment)
            else:
                requests.setdefault(commit.pull_request, []).append(commit)
        for name, members in requests.items():
            first = self._requests.setdefault(name, deployment.change.id)
            if first == deployment.change.id:
                self._take(name, members, deployment, positions)
            else:
                self._leave_out(name, f"brought by {first} before", deployment)

    def _take(
        self,
        id_: str,
        commits: Sequence[Commit],
        deployment: Deployment,
        positions: tuple[int, ...],
    ) -> None:
        """Measure how long one thing took to its deployment."""
        row, deployed_at, uncertain, groups = deployment
        start = self._made(commits[0])
        if len(commits) > 1:
            times = [time for time in map(self._made, commits) if time is not None]
            start = min(times, key=utc, default=None)
        if start is None:
            reason = f"missing({self._definition.start})"
        else:
            value = elapsed(start, deployed_at)
            before = self._shortest is not None and early(value)
            if before:
                value = 0
            if self._shortest is None or value >= self._shortest:
                rounded = self._rounded(value)
                if uncertain or before:
                    span = self._span(id_, rounded, start, deployment, positions, before)
                    self._measured.others.append(span)
                else:
                    started, finished = instant(start), instant(deployed_at)
                    taken = Exact(rounded, started, finished, lambda: (id_, positions), groups)
                    self._measured.exact.append(taken)
                return
            reason = "negative" if value else "zero"
        end: Moment = row.deployed_at or deployed_at
        missing = Missing(id_, reason, start, end, groups, positions)
        self._measured.others.append(missing)

    def _span(
        self,
        id_: str,
        value: int,
        start: datetime,
        deployment: Deployment,
        positions: tuple[int, ...],
        before: bool,
    ) -> Span:
        """Return what lies between a commit and a deployment that is known only roughly, or was
        told to have come a little before it.
        """
        end: Moment = deployment.change.deployed_at or deployment.at
        low, high = elapsed(start, earliest(end)), elapsed(start, latest(end))
        if self._shortest is not None:
            low, high = max(low, 0), max(high, 0)
        low, high = self._rounded(low), self._rounded(high)
        uncertain, groups = deployment.uncertain, deployment.groups
        span = Span(id_, value, low, high, True, uncertain, start, end, groups, positions)
        return span._replace(early=True) if before else span


lead_time = figure_function(LeadTime, measure_lead_time)
