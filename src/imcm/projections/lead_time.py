"""
Lead time for changes: from a commit to its deployment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import ClassVar

import attrs

from imcm.domain.vocabulary import Commit, Kind, Moment, Outcome, earliest, latest
from imcm.projections.durations import (
    ROUNDINGS,
    STATISTICS,
    Columns,
    Durations,
    Missing,
    Shape,
    Span,
    with_parts,
)
from imcm.projections.facts import Facts
from imcm.projections.failures import Deployed, Deployment, Deployments, deployments
from imcm.projections.figure import Figure, elapsed, elapsed_each, figure_function, utc


@attrs.frozen(kw_only=True)
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
        roll_forward: Commits of a deployment that failed or was rolled back are in production
            only with the next successful deployment of one of its services, by time and id
            (True), and count as brought by that one; False counts them where they were first
            tried.
        negative: Deployed before it was made (a clock was wrong): "leave_out" (default, listed),
            "include", or "leave_out_zero_too".
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
    _Arrivals(measured, definition).bring(found)
    shape = Shape(statistic=definition.statistic, in_window="end", round_each=definition.round_each)
    return with_parts(measured, out, facts, definition, shape)


# --- what arrives where ---------------------------------------------------------------------------


def _landings(found: Deployed, definition: LeadTime) -> dict[int, int | None]:
    """
    Return where the deployments stand whose commits came into production with another one.

    With each stands the place of that other one; None where there is none.
    """
    if not definition.roll_forward:
        return {}
    outcomes, kinds = found.column("outcome"), found.column("kind")
    services = found.column("services")
    landings: dict[int, int | None] = {}
    following: dict[str, int] = {}  # the next successful deployment of each service
    for place in reversed(range(len(found))):
        outcome = outcomes[place]
        if outcome is Outcome.COMPLETED:
            # A roll back that counts as a deployment takes commits out; it brings none back in.
            if kinds[place] is not Kind.ROLLBACK:
                for service in services[place] or ("",):
                    following[service] = place
        elif outcome is Outcome.FAILED or outcome is Outcome.ROLLED_BACK:
            theirs = (following.get(service) for service in services[place] or ("",))
            landings[place] = min((one for one in theirs if one is not None), default=None)
    return dict(sorted(landings.items()))


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

    def bring(self, found: Deployed) -> None:
        """Measure what counts, deployment by deployment; leave out what does not, with why."""
        landings = _landings(found, self._definition)
        carried: dict[int, list[Deployment]] = {}  # what came with a later deployment
        loads = found.column("commits")
        for place, landed in landings.items():
            if landed is not None and loads[place]:
                carried.setdefault(landed, []).append(found[place])
        seen: dict[str, str] = {}
        for place in self._take_plain(found, carried.keys() | landings.keys()):
            if place not in landings:
                self._bring(found[place], carried.get(place, ()), seen)
            elif not loads[place]:
                self._leave_out(found.ids[place], "no commits", found[place])
            elif landings[place] is None:
                reason = "failed, and no successful deployment followed"
                self._leave_out(found.ids[place], reason, found[place])

    def _take_plain(self, found: Deployed, special: Collection[int]) -> Iterable[int]:
        """
        Measure what nearly all are, and return the places of the others.

        It brought one commit, which came with it and with no other, and both are of exact times.
        """
        definition = self._definition
        every = range(len(found))
        if definition.unit != "commit" or definition.round_each != "none":
            return every
        loads = found.column("commits")
        names = [commit.id for load in loads for commit in load]
        if len(set(names)) < len(names):
            return every  # a commit that comes twice counts where it came first
        special = found.uncertain.union(special)
        made, at = self._made, found.at
        plain = [
            (place, start)
            for place, load in enumerate(loads)
            if len(load) == 1 and place not in special and (start := made(load[0])) is not None
        ]
        values = elapsed_each([start for _, start in plain], [at[place] for place, _ in plain])
        least = self._shortest
        if least is not None and min(values, default=least) < least:
            plain = [one for one, value in zip(plain, values, strict=True) if value >= least]
            values = [value for value in values if value >= least]
        places = [place for place, _ in plain]
        positions = found.column("positions")
        self._measured.whole = Columns(
            ids=[loads[place][0].id for place in places],
            values=values,
            starts=[start for _, start in plain],
            ends=[at[place] for place in places],
            positions=[positions[place] for place in places],
            groups=[()] * len(places)
            if found.groups is None
            else [found.groups[place] for place in places],
        )
        return () if len(places) == len(found) else sorted(set(every).difference(places))

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
            if self._shortest is None or value >= self._shortest:
                rounded = self._rounded(value)
                if uncertain:
                    span = self._span(id_, rounded, start, at, positions)
                    self._measured.others.append(span)
                else:
                    taken = id_, rounded, start, deployed, positions, groups
                    self._measured.exact.append(taken)
                return
            reason = "negative" if value else "zero"
        end: Moment = row.deployed_at or deployed
        missing = Missing(id_, reason, start, end, groups, positions)
        self._measured.others.append(missing)

    def _span(
        self, id_: str, value: int, start: datetime, at: Deployment, positions: tuple[int, ...]
    ) -> Span:
        """Return what lies between a commit and a deployment that is known only roughly."""
        end: Moment = at.change.deployed_at or at.at
        low, high = elapsed(start, earliest(end)), elapsed(start, latest(end))
        if self._shortest is not None:
            low = max(low, 0)
        low, high = self._rounded(low), self._rounded(high)
        return Span(id_, value, low, high, True, True, start, end, at.groups, positions)


lead_time = figure_function(LeadTime, measure_lead_time)
