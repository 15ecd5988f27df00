"""
Lead time for changes: from a commit to its deployment.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import ClassVar

import attrs

from imcm.domain.vocabulary import Commit, Kind, Moment, Outcome, earliest, latest
from imcm.projections.durations import (
    ROUNDINGS,
    STATISTICS,
    Durations,
    Missing,
    Shape,
    Span,
    with_parts,
)
from imcm.projections.facts import Facts
from imcm.projections.failures import Deployment, Deployments, deployments
from imcm.projections.figure import Figure, elapsed, figure_function, utc


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


def _order(one: Deployment) -> tuple[datetime, str]:
    return one.at, one.change.id


def _landings(
    found: Sequence[Deployment], definition: LeadTime
) -> tuple[Sequence[Deployment | None], Sequence[int]]:
    """
    Return, for each deployment, the one its commits came into production with.

    With them come the places of those that came with another one, or with none.
    """
    if not definition.roll_forward:
        return found, ()
    failed = [place for place, one in enumerate(found) if _failed(one.change.outcome)]
    wanted = {name for place in failed for name in found[place].change.services or ("",)}
    good: dict[str, list[Deployment]] = {name: [] for name in wanted}
    for one in found if wanted else ():
        row = one.change
        # A roll back that is counted as a deployment takes commits out; it brings none back in.
        if row.outcome is Outcome.COMPLETED and row.kind is not Kind.ROLLBACK:
            for service in row.services or ("",):
                if service in good:
                    good[service].append(one)
    landings: list[Deployment | None] = list(found)
    for place in failed:
        landings[place] = _next(found[place], good)
    return landings, failed


def _failed(outcome: Outcome | None) -> bool:
    return outcome is Outcome.FAILED or outcome is Outcome.ROLLED_BACK


def _next(one: Deployment, good: Mapping[str, Sequence[Deployment]]) -> Deployment | None:
    """Return the next successful deployment of a service of it."""
    following: list[Deployment] = []
    for service in one.change.services or ("",):
        members = good[service]
        place = bisect_right(members, _order(one), key=_order)
        following += members[place : place + 1]
    return min(following, key=_order, default=None)


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

    def bring(self, found: Sequence[Deployment]) -> None:
        """Measure what counts, deployment by deployment; leave out what does not, with why."""
        unit = self._definition.unit
        landings, moved = _landings(found, self._definition)
        carried: dict[str, list[Deployment]] = {}  # what came with a later deployment
        for place in moved:
            landed = landings[place]
            if landed is not None and found[place].change.commits:
                carried.setdefault(landed.change.id, []).append(found[place])
        seen: dict[str, str] = {}
        plain = unit == "commit" and self._definition.round_each == "none"
        least = -math.inf if self._shortest is None else self._shortest
        made, take = self._made, self._measured.exact.append
        for one, landed in zip(found, landings, strict=True):
            row = one.change
            id_ = row.id
            commits: Iterable[Commit] = row.commits
            if landed is not one:
                if not commits:
                    self._leave_out(id_, "no commits", one)
                elif landed is None:
                    self._leave_out(id_, "failed, and no successful deployment followed", one)
                continue
            positions = row.positions
            if plain and len(row.commits) == 1 and id_ not in carried and not one.uncertain:
                # As nearly all are: one commit, which came with its own deployment.
                name = row.commits[0].id
                start = made(row.commits[0])
                if start is not None and name not in seen:
                    value = elapsed(start, one.at)
                    if value >= least:
                        seen[name] = id_
                        take((name, value, start, one.at, positions, one.groups))
                        continue
            if id_ in carried:
                # Its own come last, so that they stand where a failed attempt named the same ones.
                load = [*carried[id_], one]
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
