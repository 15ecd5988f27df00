"""
Lead time for changes: from a commit to its deployment.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import compress
from operator import attrgetter, sub
from typing import ClassVar, Final

import attrs

from imcm.domain.change_events import ChangeStatus
from imcm.domain.vocabulary import Between, Commit, Kind, Moment, Outcome, earliest, latest
from imcm.projections.facts.columns import COMPLETED, NO_TIME, UNKNOWN, indices_unset
from imcm.projections.facts.fold import Facts
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
            brought by that one. False counts them where they were first tried, and those of what
            was no deployment nowhere.
        negative: Deployed before it was made (a clock was wrong): "leave_out" (default, listed),
            "include", or "leave_out_zero_too". Unless they are included, those of up to a minute
            below 0 count as 0, and a note says how many did.
        statistic, round_each: As for durations of incidents.
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
    found, out = deployments(facts, definition)
    measured = Durations()
    _Arrivals(measured, definition).bring(found, _undelivered(facts, definition))
    shape = Shape(statistic=definition.statistic, in_window="end", round_each=definition.round_each)
    figure = with_parts(measured, out, facts, definition, shape)
    # Only where they roll forward it asks which deployment succeeded.
    notes = unknown_outcomes(found, definition) if definition.roll_forward else ()
    return attrs.evolve(figure, notes=(*figure.notes, *notes))


# --- what arrives where ---------------------------------------------------------------------------


def _landings(found: Deployed, definition: LeadTime) -> dict[int, int | None]:
    """
    Return where the deployments stand whose commits came into production with another one.

    With each stands the place of that other one; None where there is none.
    """
    if not definition.roll_forward:
        return {}
    outcomes, services = found.outcomes, found.services
    landings: dict[int, int | None] = {}
    following: dict[str, int] = {}  # the next successful deployment of each service
    brings = definition.rollbacks == "leave_out"
    for place in reversed(range(len(found))):
        outcome = outcomes[place]
        if outcome == COMPLETED:
            # A roll back that counts as a deployment takes commits out; it brings none back in.
            if brings or found.change(place).kind is not Kind.ROLLBACK:
                for service in services[place]:
                    following[service] = place
        elif outcome and outcome != UNKNOWN:
            theirs = [following[service] for service in services[place] if service in following]
            landings[place] = min(theirs, default=None)
    return dict(sorted(landings.items()))


def _undelivered(facts: Facts, definition: LeadTime) -> list[Deployment]:
    """
    Return the changes with commits that were given up before they came into production.

    They are no deployments. Each has the time at which it ended, and they come in that order.
    """
    if not definition.roll_forward:
        return []
    told = facts.changes.columns
    found: list[Deployment] = []
    odd = indices_unset(told.counted)
    for place in compress(odd, map(told.load.__getitem__, odd)):
        row = facts.changes[place]
        ended = row.outcome not in (None, Outcome.UNKNOWN)
        given_up = ended or row.status is ChangeStatus.CANCELLED
        if row.deployed_at is not None or not given_up or row.kind is Kind.ROLLBACK:
            continue
        at = row.ended_at or row.closed_at
        if at is None or not in_environment(row.environment, definition):
            continue
        if change_matches(row, definition):
            uncertain = isinstance(at, Between)
            found.append(Deployment(row, utc(at), uncertain, groups_of(row, definition)))
    return sorted(found, key=lambda one: (one.at, one.change.id))


def _landings_of(
    undelivered: Iterable[Deployment], found: Deployed, definition: LeadTime
) -> dict[int, list[Deployment]]:
    """Return what came into production later, by the place of the deployment that brought it."""
    brings = definition.rollbacks == "leave_out"
    successes = found.by_service(
        place
        for place, outcome in enumerate(found.outcomes)
        if outcome == COMPLETED and (brings or found.change(place).kind is not Kind.ROLLBACK)
    )
    landed: dict[int, list[Deployment]] = {}
    for one in undelivered:
        own = instant(one.at), one.change.id
        theirs: list[int] = []
        for service in one.change.services or ("",):
            members = successes.get(service, ())
            place = bisect_right(members, own, key=lambda here: (found.at[here], found.id(here)))
            theirs += members[place : place + 1]
        if theirs:
            landed.setdefault(min(theirs), []).append(one)
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

    def _leave_out(self, id_: str, reason: str, at: Deployment) -> None:
        row = at.change
        missing = Missing(id_, reason, None, row.deployed_at, at.groups, row.positions)
        self._measured.others.append(missing)

    def bring(self, found: Deployed, undelivered: Sequence[Deployment]) -> None:
        """
        Measure what counts, deployment by deployment; leave out what does not, with why.

        Args:
            undelivered: Changes that are no deployments, and whose commits came with a later one.
        """
        landings = _landings(found, self._definition)
        late: Mapping[int, list[Deployment]] = {}
        if undelivered:
            late = _landings_of(undelivered, found, self._definition)
        carried: dict[int, list[int]] = {}  # what came with a later deployment
        for place, landed in landings.items():
            if landed is not None and found.loads[place]:
                carried.setdefault(landed, []).append(place)
        seen: dict[str, str] = {}
        for place in self._take_plain(found, landings, carried, late):
            if place not in landings:
                others = [found[one] for one in carried.get(place, ())]
                if place in late:
                    others += late[place]
                    others.sort(key=lambda one: (one.at, one.change.id))
                self._bring(found[place], others, seen)
            elif not found.loads[place]:
                self._leave_out(found.id(place), "no commits", found[place])
            elif landings[place] is None:
                reason = "failed, and no successful deployment followed"
                self._leave_out(found.id(place), reason, found[place])

    def _take_plain(
        self,
        found: Deployed,
        landings: Mapping[int, int | None],
        carried: Mapping[int, Sequence[int]],
        late: Mapping[int, Sequence[Deployment]],
    ) -> Iterable[int]:
        """
        Measure what nearly all are, and return the places of the others.

        Each brought one commit, which came with it, or with one that followed, and the times of
        both are exact. Where a deployment carried others, all of them are plain, or none.
        """
        definition = self._definition
        every = range(len(found))
        if definition.unit != "commit" or definition.round_each != "none":
            return every
        if late or self._come_twice(found):
            return every
        at, starts = found.at, self._starts(found)
        values = list(map(sub, at, starts))
        least = -_LONGEST if self._shortest is None else self._shortest
        alone = {*landings, *carried, *found.uncertain}
        plain: Sequence[int] = every
        if alone or min(values, default=least) < least or min(starts, default=0) == NO_TIME:
            plain = [
                place
                for place, value in enumerate(values)
                if least <= value <= _LONGEST and place not in alone
            ]
            values = [values[place] for place in plain]
        brought = list(plain)
        for landed, others in carried.items():
            load = [*others, landed]
            theirs = [at[landed] - starts[place] for place in load]
            if landed not in found.uncertain and least <= min(theirs) and max(theirs) <= _LONGEST:
                brought += load
                values += theirs

        def arrived(here: int) -> int:
            landed = landings.get(brought[here])
            return brought[here] if landed is None else landed

        def who(here: int) -> Who:
            load = [*carried.get(arrived(here), ()), arrived(here)]
            behind = (position for place in load for position in found.change(place).positions)
            return found.change(brought[here]).commits[0].id, tuple(sorted(behind))

        ends = [at[place] for place in plain]
        ends += (at[arrived(here)] for here in range(len(plain), len(brought)))
        self._measured.whole = Columns(
            values=values,
            starts=[starts[place] for place in brought],
            ends=ends,
            who=who,
            groups=lambda here: found.groups_of(arrived(here)),
        )
        return () if len(brought) == len(found) else sorted(set(every).difference(brought))

    def _come_twice(self, found: Deployed) -> bool:
        """Say whether a commit was brought by two deployments: it counts where it came first."""
        names = found.commits()
        return len(set(names)) < len(names)

    def _starts(self, found: Deployed) -> Sequence[int]:
        """Return the instants from which those run that brought one commit; NO_TIME of others."""
        if self._definition.start == "committed":
            return found.committed
        starts: list[int] = []
        for place, load in enumerate(found.loads):
            start = self._made(found.change(place).commits[0]) if load == 1 else None
            starts.append(NO_TIME if start is None else instant(start))
        return starts

    def _bring(self, one: Deployment, carried: Sequence[Deployment], seen: dict[str, str]) -> None:
        """Measure what one deployment brought, and what came with it of failed ones before."""
        unit, id_ = self._definition.unit, one.change.id
        commits: Iterable[Commit] = one.change.commits
        positions = one.change.positions
        if carried:
            # Its own come last, so that they stand where a failed attempt named the same ones.
            load = [*carried, one]
            brought = {commit.id: commit for member in load for commit in member.change.commits}
            commits = brought.values()
            positions = tuple(sorted(p for member in load for p in member.change.positions))
        if not commits:
            self._leave_out(id_, "no commits", one)
        new: list[Commit] = []
        for commit in commits:
            name = commit.id
            first = seen.setdefault(name, id_)
            if first != id_:
                self._leave_out(name, f"brought by {first} before", one)
            elif unit == "commit":
                self._take(name, (commit,), one, positions)
            else:
                new.append(commit)
        if unit == "pull_request":
            self._take_requests(new, one, positions)
        elif new:
            self._take(id_, new, one, positions)

    def _take_requests(
        self, commits: Iterable[Commit], at: Deployment, positions: tuple[int, ...]
    ) -> None:
        requests: dict[str, list[Commit]] = {}
        for commit in commits:
            if commit.pull_request is None:
                self._leave_out(commit.id, "no pull request", at)
            else:
                requests.setdefault(commit.pull_request, []).append(commit)
        for name, members in requests.items():
            first = self._requests.setdefault(name, at.change.id)
            if first == at.change.id:
                self._take(name, members, at, positions)
            else:
                self._leave_out(name, f"brought by {first} before", at)

    def _take(
        self, id_: str, commits: Sequence[Commit], at: Deployment, positions: tuple[int, ...]
    ) -> None:
        """Measure how long one thing took to its deployment."""
        row, deployed, uncertain, groups = at
        start = self._made(commits[0])
        if len(commits) > 1:
            times = [time for time in map(self._made, commits) if time is not None]
            start = min(times, key=utc, default=None)
        if start is None:
            reason = f"missing({self._definition.start})"
        else:
            value = elapsed(start, deployed)
            before = self._shortest is not None and early(value)
            if before:
                value = 0
            if self._shortest is None or value >= self._shortest:
                rounded = self._rounded(value)
                if uncertain or before:
                    span = self._span(id_, rounded, start, at, positions, before)
                    self._measured.others.append(span)
                else:
                    begun, ended = instant(start), instant(deployed)
                    taken = Exact(rounded, begun, ended, lambda: (id_, positions), groups)
                    self._measured.exact.append(taken)
                return
            reason = "negative" if value else "zero"
        end: Moment = row.deployed_at or deployed
        missing = Missing(id_, reason, start, end, groups, positions)
        self._measured.others.append(missing)

    def _span(
        self,
        id_: str,
        value: int,
        start: datetime,
        at: Deployment,
        positions: tuple[int, ...],
        before: bool,
    ) -> Span:
        """Return what lies between a commit and a deployment that is known only roughly, or was
        told to have come a little before it.
        """
        end: Moment = at.change.deployed_at or at.at
        low, high = elapsed(start, earliest(end)), elapsed(start, latest(end))
        if self._shortest is not None:
            low, high = max(low, 0), max(high, 0)
        low, high = self._rounded(low), self._rounded(high)
        uncertain, groups = at.uncertain, at.groups
        span = Span(id_, value, low, high, True, uncertain, start, end, groups, positions)
        return span._replace(early=True) if before else span


lead_time = figure_function(LeadTime, measure_lead_time)
