"""
Lead time for changes: from a commit to its deployment.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import ClassVar, NamedTuple

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
from imcm.projections.facts import ChangeFacts, Facts
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


class _Brought(NamedTuple):
    """What one deployment brought: an id, its commits, and the deployment it counts at."""

    id: str
    commits: Sequence[Commit]
    at: Deployment
    positions: tuple[int, ...]


def measure_lead_time(facts: Facts, definition: LeadTime) -> Figure:
    """Compute lead time for changes."""
    found, out = deployments(facts, definition)
    measured = _measured(_brought(found, definition), definition)
    shape = Shape(statistic=definition.statistic, in_window="end", round_each=definition.round_each)
    return with_parts(measured, out, facts, definition, shape)


# --- what arrives where ---------------------------------------------------------------------------


def _failed(row: ChangeFacts) -> bool:
    return row.outcome is Outcome.FAILED or row.outcome is Outcome.ROLLED_BACK


def _order(one: Deployment) -> tuple[datetime, str]:
    return one.at, one.change.id


def _left_out(id_: str, reason: str, at: Deployment) -> Missing:
    return Missing(id_, reason, None, at.change.deployed_at, at.groups, at.change.positions)


def _brought(found: Sequence[Deployment], definition: LeadTime) -> Iterator[_Brought | Missing]:
    """Yield what counts, deployment by deployment, and what does not, with the reason."""
    each = definition.unit == "commit"
    landings = _landings(found, definition)
    carried: dict[str, list[Deployment]] = {}  # what came into production with a later deployment
    for one, landed in zip(found, landings, strict=True):
        if landed is not None and landed is not one and one.change.commits:
            carried.setdefault(landed.change.id, []).append(one)
    commits_seen: dict[str, str] = {}
    requests_seen: dict[str, str] = {}
    for one, landed in zip(found, landings, strict=True):
        row = one.change
        id_ = row.id
        if landed is not one:
            if not row.commits:
                yield _left_out(id_, "no commits", one)
            elif landed is None:
                yield _left_out(id_, "failed, and no successful deployment followed", one)
            continue
        commits: Iterable[Commit] = row.commits
        positions = row.positions
        if id_ in carried:
            # Its own come last, so that they stand where a failed attempt named the same ones.
            load = [*carried[id_], one]
            brought = {commit.id: commit for member in load for commit in member.change.commits}
            commits = brought.values()
            positions = tuple(sorted(p for member in load for p in member.change.positions))
        if not commits:
            yield _left_out(id_, "no commits", one)
        new: list[Commit] = []
        for commit in commits:
            name = commit.id
            first = commits_seen.setdefault(name, id_)
            if first != id_:
                yield _left_out(name, f"brought by {first} before", one)
            elif each:
                yield _Brought(name, (commit,), one, positions)
            else:
                new.append(commit)
        if definition.unit == "pull_request":
            yield from _requests(new, one, positions, requests_seen)
        elif new:
            yield _Brought(id_, new, one, positions)


def _requests(
    commits: Iterable[Commit], at: Deployment, positions: tuple[int, ...], seen: dict[str, str]
) -> Iterator[_Brought | Missing]:
    requests: dict[str, list[Commit]] = {}
    for commit in commits:
        if commit.pull_request is None:
            yield _left_out(commit.id, "no pull request", at)
        else:
            requests.setdefault(commit.pull_request, []).append(commit)
    for name, members in requests.items():
        first = seen.setdefault(name, at.change.id)
        if first == at.change.id:
            yield _Brought(name, members, at, positions)
        else:
            yield _left_out(name, f"brought by {first} before", at)


def _landings(found: Sequence[Deployment], definition: LeadTime) -> Sequence[Deployment | None]:
    """Return, for each deployment, the one its commits came into production with."""
    if not definition.roll_forward:
        return found
    good: dict[str, list[Deployment]] = {}
    for one in found:
        row = one.change
        # A roll back that is counted as a deployment takes commits out; it brings none back in.
        if row.outcome is Outcome.COMPLETED and row.kind is not Kind.ROLLBACK:
            for service in row.services or ("",):
                good.setdefault(service, []).append(one)
    return [_next(one, good) if _failed(one.change) else one for one in found]


def _next(one: Deployment, good: Mapping[str, Sequence[Deployment]]) -> Deployment | None:
    """Return the next successful deployment of a service of it."""
    following: list[Deployment] = []
    for service in one.change.services or ("",):
        members = good.get(service, ())
        place = bisect_right(members, _order(one), key=_order)
        following += members[place : place + 1]
    return min(following, key=_order, default=None)


# --- how long it took -----------------------------------------------------------------------------


def _measured(brought: Iterable[_Brought | Missing], definition: LeadTime) -> Durations:
    measured = Durations()
    made = attrgetter(f"{definition.start}_at")
    rounded = ROUNDINGS[definition.round_each]
    shortest = {"leave_out": 0, "leave_out_zero_too": 1}.get(definition.negative)
    for one in brought:
        if isinstance(one, Missing):
            measured.others.append(one)
            continue
        id_, commits, at, positions = one
        row, deployed, uncertain, groups = at
        end: Moment = row.deployed_at or deployed
        times: list[datetime] = [time for time in map(made, commits) if time is not None]
        if not times:
            missing = f"missing({definition.start})"
            measured.others.append(Missing(id_, missing, None, end, groups, positions))
            continue
        start = times[0] if len(times) == 1 else min(times, key=utc)
        value = elapsed(start, deployed)
        if shortest is not None and value < shortest:
            reason = "negative" if value else "zero"
            measured.others.append(Missing(id_, reason, start, end, groups, positions))
        elif not uncertain:
            measured.exact(id_, rounded(value), start, deployed, positions, groups)
        else:
            low, high = elapsed(start, earliest(end)), elapsed(start, latest(end))
            if shortest is not None:
                low = max(low, 0)
            ends = rounded(value), rounded(low), rounded(high)
            span = Span(id_, *ends, True, True, start, end, groups, positions)
            measured.others.append(span)
    return measured


lead_time = figure_function(LeadTime, measure_lead_time)
