"""
Deployment frequency, and the rework rate: how often is deployed, and how much of it is repair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import ClassVar, Final

import attrs

from imcm.domain.vocabulary import ChangeType, Verdict
from imcm.errors import InvalidValue
from imcm.projections import statistics
from imcm.projections.facts import Facts
from imcm.projections.failures import Deployment, Deployments, FailedBy, deployments, failures
from imcm.projections.figure import (
    SHARE,
    Figure,
    Included,
    LeftOut,
    Period,
    buckets,
    figure_function,
    inside,
    microseconds,
    unread_notes,
    why_incident_out,
    with_groups,
    zone,
)

_DAY: Final = 86_400_000_000


def _names(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


# --- deployment frequency -------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class DeploymentFrequency(FailedBy):
    """
    How often is deployed.

    Without a window the time from the first deployment's day to the last one's is taken, in
    whole days of the zone. A window that is not over at `as_of` is taken up to then.

    Attributes:
        count: Which deployments: "all" (default), "successful", or "not_failed" (`failed_by`).
        per: "day" (default), "week", "window" (the plain count), "deployment_day" (days on which
            something was deployed, in each calendar week), or "floor_of_bucket_mean" (the mean
            count of the calendar buckets of `bucket_by`, rounded down).
        statistic: For "deployment_day": "mean" (default) or "median" over the calendar weeks.
    """

    NAME: ClassVar[str] = "deployment frequency"
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "count": ("all", "successful", "not_failed"),
        "per": ("day", "week", "window", "deployment_day", "floor_of_bucket_mean"),
        "statistic": ("mean", "median"),
    }
    count: str = "all"
    per: str = "day"
    statistic: str = "mean"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.per == "floor_of_bucket_mean" and self.bucket_by is None:
            raise InvalidValue("per", self.per, "it is a mean over buckets: give bucket_by= too")


UNITS: Final = {
    "day": "per day",
    "week": "per week",
    "window": "count",
    "deployment_day": "deployment days per week",
    "floor_of_bucket_mean": "per bucket",
}


def measure_frequency(facts: Facts, definition: DeploymentFrequency) -> Figure:
    """Compute deployment frequency."""
    found, out = deployments(facts, definition)
    if definition.count == "successful":
        found, out = _split(found, out, lambda one: one.successful, "not successful")
    elif definition.count == "not_failed":
        judged, _ = failures(facts, found, definition)
        failed = {one.deployment.change.id for one in judged if one.signs}
        found, out = _split(found, out, lambda one: one.change.id not in failed, "failed")
    periods = list(buckets(definition, (one.at for one in found)))

    def figure(name: str | None, window: Period | None) -> Figure:
        members = found if name is None else [one for one in found if name in one.groups]
        return attrs.evolve(_frequency(members, facts, definition, window), group=name)

    names = sorted({name for one in found for name in one.groups})
    whole = attrs.evolve(figure(None, definition.window), left_out=tuple(out))
    return with_groups(whole, names, periods, figure)


def _split(
    found: Iterable[Deployment],
    out: Sequence[LeftOut],
    keep: Callable[[Deployment], bool],
    reason: str,
) -> tuple[list[Deployment], list[LeftOut]]:
    kept: list[Deployment] = []
    left = list(out)
    for one in found:
        if keep(one):
            kept.append(one)
        else:
            row = one.change
            left.append(LeftOut(id=row.id, reason=reason, positions=row.positions))
    return kept, left


def _span_of(
    members: Sequence[Deployment],
    definition: DeploymentFrequency,
    window: Period | None,
    as_of: datetime,
) -> Period | None:
    """Return the stretch of time a count is spread over; None where there is none."""
    if window is not None:
        end = min(window[1], as_of) if as_of > window[0] else window[1]
        return window[0], end
    if not members:
        return None
    home = zone(definition.time_zone)
    first, last = members[0].at.astimezone(home), members[-1].at.astimezone(home)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    following = last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return midnight, following


def _frequency(
    members: Iterable[Deployment],
    facts: Facts,
    definition: DeploymentFrequency,
    window: Period | None,
) -> Figure:
    counted = [one for one in members if inside(one.at, window, definition.bounds)]
    span = None
    if facts.as_of is not None:
        span = _span_of(counted, definition, window, facts.as_of)
    n = len(counted)
    days = 0.0 if span is None else microseconds(span[1] - span[0]) / _DAY
    value: float | None = None
    interval = None
    if definition.per == "window":
        value = float(n)
    elif span is not None and days > 0:
        value, interval = _spread(counted, definition, span, days)
    between = [microseconds(b.at - a.at) for a, b in pairwise(counted)]
    middle = statistics.median(between)
    beside: dict[str, float | None] = {}
    if days > 0:
        beside = {
            "deployments per day": n / days,
            "deployments per week": 7 * n / days,
            "days with a deployment per week": 7 * len(_days(counted, definition)) / days,
        }
    return Figure(
        name=type(definition).NAME,
        value=value,
        reason=None if value is not None else "no time to spread the deployments over",
        unit=UNITS[definition.per],
        n=n,
        definition=definition,
        window=window,
        as_of=facts.as_of,
        known_at=facts.known_at,
        log_position=facts.log_position,
        interval=interval,
        uncertain=sum(one.uncertain for one in counted),
        included=tuple(
            Included(id=one.change.id, value=1.0, positions=one.change.positions) for one in counted
        ),
        beside={
            **beside,
            "median days between deployments": None if middle is None else middle / _DAY,
        },
        counts={"days with a deployment": len(_days(counted, definition))},
        notes=unread_notes(facts),
    )


def _days(members: Iterable[Deployment], definition: DeploymentFrequency) -> set[date]:
    home = zone(definition.time_zone)
    return {one.at.astimezone(home).date() for one in members}


def _spread(
    counted: Sequence[Deployment], definition: DeploymentFrequency, span: Period, days: float
) -> tuple[float | None, statistics.Interval | None]:
    n = len(counted)
    if definition.per in {"day", "week"}:
        scale = days if definition.per == "day" else days / 7
        return n / scale, _poisson(n, scale, definition.level)
    by: str | int | None = "week" if definition.per == "deployment_day" else definition.bucket_by
    calendar = attrs.evolve(definition, window=span, bucket_by=by)
    periods = list(buckets(calendar, ()))
    parts = [[one for one in counted if inside(one.at, period, "[)")] for period in periods]
    if definition.per == "deployment_day":
        counts = [len(_days(part, definition)) for part in parts]
        middle = statistics.median(counts) if definition.statistic == "median" else None
        return (middle if definition.statistic == "median" else statistics.mean(counts)), None
    return float(math.floor(n / len(periods))), None


def _poisson(n: int, scale: float, level: float) -> statistics.Interval:
    """Byar's approximation to the exact Poisson limits (Breslow and Day 1987, section 2.3)."""
    z = statistics.critical_z(level)
    low = n * (1 - 1 / (9 * n) - z / (3 * math.sqrt(n))) ** 3 if n else 0.0
    m = n + 1
    high = m * (1 - 1 / (9 * m) + z / (3 * math.sqrt(m))) ** 3
    method = "Byar's approximation for Poisson counts"
    return statistics.Interval(
        low=max(0.0, low) / scale, high=high / scale, level=level, method=method
    )


deployment_frequency = figure_function(DeploymentFrequency, measure_frequency)


# --- rework rate ----------------------------------------------------------------------------------

REWORK_BY: Final = ("emergency", "fixed")


@attrs.frozen(kw_only=True)
class ReworkRate(Deployments):
    """
    Deployments made because of a production incident, as a share of all deployments.

    In the DORA reports since 2024.

    Attributes:
        rework_by: What makes a deployment rework: "emergency" (its type), "fixed" (an incident
            says that it fixed it), and "unplanned", not a default (its source says so).
    """

    NAME: ClassVar[str] = "rework rate"
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"rework_by": (*REWORK_BY, "unplanned")}
    rework_by: tuple[str, ...] = attrs.field(default=REWORK_BY, converter=_names)


def measure_rework(facts: Facts, definition: ReworkRate) -> Figure:
    """Compute the rework rate."""
    found, out = deployments(facts, definition)
    fixed: dict[str, str] = {}
    for row in facts.incidents:
        if why_incident_out(row, definition) is None:
            for change, verdict in row.verdicts.items():
                if verdict is Verdict.FIXED:
                    fixed[change] = row.id
    periods = list(buckets(definition, (one.at for one in found)))

    def why(one: Deployment) -> str:
        row, signs = one.change, []
        if row.type is ChangeType.EMERGENCY and "emergency" in definition.rework_by:
            signs.append(f"emergency{f' for {row.incident}' if row.incident else ''}")
        if row.id in fixed and "fixed" in definition.rework_by:
            signs.append(f"fixed {fixed[row.id]}")
        if row.unplanned and "unplanned" in definition.rework_by:
            signs.append("unplanned")
        return "; ".join(signs)

    def figure(name: str | None, window: Period | None) -> Figure:
        members = [
            one
            for one in found
            if (name is None or name in one.groups) and inside(one.at, window, definition.bounds)
        ]
        signs = [why(one) for one in members]
        n, count = len(members), sum(map(bool, signs))
        value = count / n if n else (0.0 if definition.empty == "zero" else None)
        return Figure(
            name=type(definition).NAME,
            value=value,
            reason="no deployments" if value is None else None,
            unit=SHARE,
            n=n,
            definition=definition,
            window=window,
            as_of=facts.as_of,
            known_at=facts.known_at,
            log_position=facts.log_position,
            interval=statistics.wilson(count, n, level=definition.level) if n else None,
            uncertain=sum(one.uncertain for one in members),
            included=tuple(
                Included(
                    id=one.change.id,
                    value=1.0 if sign else 0.0,
                    why=sign,
                    positions=one.change.positions,
                )
                for one, sign in zip(members, signs, strict=True)
            ),
            counts={"rework": count},
            notes=unread_notes(facts),
            group=name,
        )

    names = sorted({name for one in found for name in one.groups})
    whole = attrs.evolve(figure(None, definition.window), left_out=tuple(out))
    return with_groups(whole, names, periods, figure)


rework_rate = figure_function(ReworkRate, measure_rework)
