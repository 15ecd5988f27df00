"""
Lead time for changes: from a commit to its deployment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple

import attrs

from imcm.domain.vocabulary import Commit, Outcome
from imcm.projections.durations import (
    ROUNDINGS,
    STATISTICS,
    Missing,
    Shape,
    Span,
    with_parts,
)
from imcm.projections.facts import Facts
from imcm.projections.failures import Deployment, Deployments, deployments
from imcm.projections.figure import Figure, LeftOut, figure_function, microseconds


@attrs.frozen(kw_only=True)
class LeadTime(Deployments):
    """
    From a commit to the deployment that brought it into production.

    A commit counts once, at its first deployment that did not fail. Deployments without commits
    are left out.

    Attributes:
        start: "committed" (default), "authored", or "opened" or "merged" of its pull request.
        unit: What counts: each "commit" (default), each "change" by its first commit, or each
            "pull_request" by its first commit.
        roll_forward: Commits of a deployment that failed or was rolled back are in production
            only with the next successful deployment of the service (True); False counts them
            where they were first tried.
        negative: Deployed before it was made (a clock was wrong): "leave_out" (default, listed),
            "include", or "leave_out_zero_too".
        statistic, round_each: As for durations of incidents. The deployment places a commit in a
            period.
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
    commits: tuple[Commit, ...]
    at: Deployment


def measure_lead_time(facts: Facts, definition: LeadTime) -> Figure:
    """Compute lead time for changes."""
    found, out = deployments(facts, definition)
    spans = [_span(brought, definition) for brought in _brought(found, definition, out)]
    shape = Shape(statistic=definition.statistic, in_window="end", round_each=definition.round_each)
    return with_parts(spans, out, facts, definition, shape)


def _brought(
    found: Sequence[Deployment], definition: LeadTime, out: list[LeftOut]
) -> Iterator[_Brought]:
    good: dict[str, list[Deployment]] = {}
    for one in found:
        if one.successful:
            for service in one.change.services or ("",):
                good.setdefault(service, []).append(one)
    seen: dict[str, str] = {}
    for one in found:
        row = one.change
        if not row.commits:
            out.append(LeftOut(id=row.id, reason="no commits", positions=row.positions))
            continue
        landed = one
        if definition.roll_forward and row.outcome in {Outcome.FAILED, Outcome.ROLLED_BACK}:
            following = _next(one, good)
            if following is None:
                reason = "failed, and no successful deployment followed"
                out.append(LeftOut(id=row.id, reason=reason, positions=row.positions))
                continue
            landed = following
        new = tuple(
            commit for commit in row.commits if seen.setdefault(commit.id, row.id) == row.id
        )
        for commit in row.commits:
            if seen[commit.id] != row.id:
                reason = f"brought by {seen[commit.id]} before"
                out.append(LeftOut(id=commit.id, reason=reason, positions=row.positions))
        yield from _units(new, landed, definition)


def _units(
    commits: tuple[Commit, ...], landed: Deployment, definition: LeadTime
) -> Iterator[_Brought]:
    if definition.unit == "commit":
        for commit in commits:
            yield _Brought(commit.id, (commit,), landed)
    elif definition.unit == "change":
        if commits:
            yield _Brought(landed.change.id, commits, landed)
    else:
        requests: dict[str, list[Commit]] = {}
        for commit in commits:
            requests.setdefault(commit.pull_request or commit.id, []).append(commit)
        for name, members in requests.items():
            yield _Brought(name, tuple(members), landed)


def _next(one: Deployment, good: Mapping[str, Sequence[Deployment]]) -> Deployment | None:
    """Return the next successful deployment of a service of it."""
    following: list[Deployment] = []
    for service in one.change.services or ("",):
        members = good.get(service, ())
        place = bisect_left(members, (one.at, one.change.id), key=lambda d: (d.at, d.change.id))
        following += members[place : place + 1]
    return min(following, key=lambda d: (d.at, d.change.id), default=None)


def _span(brought: _Brought, definition: LeadTime) -> Span | Missing:
    groups, positions = brought.at.groups, brought.at.change.positions
    field = f"{definition.start}_at"
    times: list[datetime] = [
        time for commit in brought.commits if (time := getattr(commit, field)) is not None
    ]
    end = brought.at.at
    if not times:
        reason = f"missing({definition.start})"
        return Missing(brought.id, reason, None, end, groups, positions)
    start = min(times)
    value = microseconds(end - start)
    too_small = value < 0 or (value == 0 and definition.negative == "leave_out_zero_too")
    if too_small and definition.negative != "include":
        reason = "negative" if value else "zero"
        return Missing(brought.id, reason, start, end, groups, positions)
    value = ROUNDINGS[definition.round_each](value)
    uncertain = brought.at.uncertain
    low = high = value
    return Span(brought.id, value, low, high, True, uncertain, start, end, groups, positions)


lead_time = figure_function(LeadTime, measure_lead_time)
