"""
Lead time for changes: from a commit to its deployment.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Final, NamedTuple

import attrs

from imcm.domain.vocabulary import Commit, Kind, Moment, Outcome, earliest, latest, midpoint
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
from imcm.projections.figure import Figure, figure_function, microseconds


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
    spans = [
        one if isinstance(one, Missing) else _span(one, definition)
        for one in _brought(found, definition)
    ]
    shape = Shape(statistic=definition.statistic, in_window="end", round_each=definition.round_each)
    return with_parts(spans, out, facts, definition, shape)


# --- what arrives where ---------------------------------------------------------------------------

_FAILED: Final = frozenset({Outcome.FAILED, Outcome.ROLLED_BACK})


def _order(one: Deployment) -> tuple[datetime, str]:
    return one.at, one.change.id


def _left_out(id_: str, reason: str, at: Deployment) -> Missing:
    return Missing(id_, reason, None, at.change.deployed_at, at.groups, at.change.positions)


def _brought(found: Sequence[Deployment], definition: LeadTime) -> Iterator[_Brought | Missing]:
    """Yield what counts, deployment by deployment, and what does not, with the reason."""
    landings = _landings(found, definition)
    loads: dict[str, list[Deployment]] = {}
    for one, landed in zip(found, landings, strict=True):
        if landed is not None and (one.change.commits or landed is one):
            loads.setdefault(landed.change.id, []).append(one)
    commits_seen: dict[str, str] = {}
    requests_seen: dict[str, str] = {}
    for one, landed in zip(found, landings, strict=True):
        id_ = one.change.id
        # Its own come last, so that they stand where a failed attempt named the same ones.
        load = loads.get(id_, ())
        commits = {commit.id: commit for member in load for commit in member.change.commits}
        if landed is not one:
            if not one.change.commits:
                yield _left_out(id_, "no commits", one)
            elif landed is None:
                yield _left_out(id_, "failed, and no successful deployment followed", one)
            continue
        if not commits:
            yield _left_out(id_, "no commits", one)
        new: list[Commit] = []
        for commit in commits.values():
            first = commits_seen.setdefault(commit.id, id_)
            if first == id_:
                new.append(commit)
            else:
                yield _left_out(commit.id, f"brought by {first} before", one)
        positions = one.change.positions
        if len(load) > 1:
            positions = tuple(sorted(p for member in load for p in member.change.positions))
        if definition.unit == "commit":
            for commit in new:
                yield _Brought(commit.id, (commit,), one, positions)
        elif definition.unit == "pull_request":
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


def _landings(found: Sequence[Deployment], definition: LeadTime) -> list[Deployment | None]:
    """Return, for each deployment, the one its commits came into production with."""
    if not definition.roll_forward:
        return list(found)
    good: dict[str, list[Deployment]] = {}
    for one in found:
        # A roll back that is counted as a deployment takes commits out; it brings none back in.
        if one.successful and one.change.kind is not Kind.ROLLBACK:
            for service in one.change.services or ("",):
                good.setdefault(service, []).append(one)
    return [_next(one, good) if one.change.outcome in _FAILED else one for one in found]


def _next(one: Deployment, good: Mapping[str, Sequence[Deployment]]) -> Deployment | None:
    """Return the next successful deployment of a service of it."""
    following: list[Deployment] = []
    for service in one.change.services or ("",):
        members = good.get(service, ())
        place = bisect_right(members, _order(one), key=_order)
        following += members[place : place + 1]
    return min(following, key=_order, default=None)


# --- how long it took -----------------------------------------------------------------------------


def _span(brought: _Brought, definition: LeadTime) -> Span | Missing:
    id_, commits, at, positions = brought
    field = f"{definition.start}_at"
    end: Moment = at.change.deployed_at or at.at
    times = [time for commit in commits if (time := getattr(commit, field)) is not None]
    if not times:
        return Missing(id_, f"missing({definition.start})", None, end, at.groups, positions)
    # Through UTC: two times of one zone would be subtracted by their wall clocks.
    start: datetime = min(time.astimezone(UTC) for time in times)
    value = low = high = microseconds(midpoint(end).astimezone(UTC) - start)
    if at.uncertain:
        low = microseconds(earliest(end).astimezone(UTC) - start)
        high = microseconds(latest(end).astimezone(UTC) - start)
    if definition.negative != "include":
        if value < 0 or (value == 0 and definition.negative == "leave_out_zero_too"):
            reason = "negative" if value else "zero"
            return Missing(id_, reason, start, end, at.groups, positions)
        low = max(low, 0)
    rounded = ROUNDINGS[definition.round_each]
    value, low, high = rounded(value), rounded(low), rounded(high)
    return Span(id_, value, low, high, True, at.uncertain, start, end, at.groups, positions)


lead_time = figure_function(LeadTime, measure_lead_time)
