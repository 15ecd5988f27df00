"""
Deployment frequency, and the rework rate: how often is deployed, and how much of it is repair.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import date
from itertools import compress, repeat
from operator import sub
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

import attrs

from imcm.domain.vocabulary import ChangeType, Verdict
from imcm.errors import InvalidValue
from imcm.projections.facts.columns import COMPLETED, UNKNOWN, indices_set
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts
from imcm.projections.facts.instants import MICROSECOND, instant, moment_of
from imcm.projections.facts.merges import said
from imcm.projections.figures.days import day_of, midnight, next_midnight
from imcm.projections.figures.definition import names
from imcm.projections.figures.deployments import (
    Deployed,
    Deployments,
    DeploymentsByGroup,
    deployments,
    unknown_notes,
    unknown_outcomes,
)
from imcm.projections.figures.failures import FailedBy, failures
from imcm.projections.figures.figure import Figure, Included, LeftOut
from imcm.projections.figures.function import figure_function, unread_notes
from imcm.projections.figures.groups import with_groups
from imcm.projections.figures.lazy import LazySequence
from imcm.projections.figures.periods import buckets
from imcm.projections.figures.population import why_incident_out
from imcm.projections.figures.units import SHARE, utc, zone
from imcm.projections.figures.windows import Period
from imcm.projections.statistics import intervals, quantiles, samples
from imcm.projections.statistics.rates import poisson_interval

_DAY: Final = 86_400_000_000


# --- deployment frequency -------------------------------------------------------------------------


@attrs.frozen(kw_only=True, repr=False)
class DeploymentFrequency(FailedBy):
    """
    How often is deployed: deployments per day or week, or what else `per` says.

    No deployment in a window that has begun is a measured 0. Undefined are a log that holds no
    change at all (nobody told it of any), a window (or a bucket) that has not begun at `as_of` or
    is one instant long, and no deployments at all without a window. A window that is not over at
    `as_of` is taken up to then, and a note says so. Without a window the time from the first
    deployment's day to the last one's is taken, in whole days of the zone, for every group alike.
    Days are those of the zone: one of 23 or 25 hours is one day.

    Attributes:
        count: Which deployments: "all" (default), "successful" (completed), or "not_failed"
            (without a sign of `failed_by`).
        per: "day" (default), "week" (seven days), "window" (the plain count), "deployment_day"
            (days on which something was deployed, in each calendar week that the time touches,
            empty weeks counted as 0), or "floor_of_bucket_mean" (the mean count of the calendar
            buckets of `bucket_by`, rounded down).
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
    deployed, out = deployments(facts, definition)
    indices, dropped_indices, reasons = _split(facts, deployed, definition)
    counted = DeploymentsByGroup(deployed, indices, definition.bounds)
    dropped = DeploymentsByGroup(deployed, dropped_indices, definition.bounds)
    home = zone(definition.time_zone)
    full_days = _full_days(deployed, indices, home)
    days = _days(deployed.at, home)
    periods: list[Period] = []
    if definition.window is not None or full_days is not None:
        periods = list(buckets(attrs.evolve(definition, window=definition.window or full_days), ()))

    def figure(name: str | None, number: int | None) -> Figure:
        window = definition.window if number is None else periods[number]
        span = full_days if window is None else window
        if definition.window is not None and window is not None:
            span = _up_to(window, facts)
        members = counted.inside(name, window)
        others = dropped.inside(name, window)
        left_out = LazySequence(lambda: _passed_over(deployed, others, reasons))
        dates = set(days if len(members) == len(days) else map(days.__getitem__, members))
        part = _frequency(deployed, members, dates, facts, definition, window, span)
        return attrs.evolve(part, group=name, left_out=left_out)

    whole = figure(None, None)
    passed_over = whole.left_out
    left_out = LazySequence(lambda: sorted([*out, *passed_over], key=lambda entry: entry.id))
    notes = failures(facts, definition).notes if definition.count == "not_failed" else ()
    if definition.count != "all":
        notes += unknown_outcomes(deployed, definition)
    whole = attrs.evolve(whole, left_out=left_out, notes=(*whole.notes, *notes))
    return with_groups(facts, whole, sorted({*counted.names, *dropped.names}), periods, figure)


def _included(deployed: Deployed, counted: Iterable[int]) -> Iterator[Included]:
    for index in counted:
        row = deployed.change(index)
        yield Included(row.id, 1.0, "", row.positions)


def _passed_over(
    deployed: Deployed, others: Iterable[int], reasons: Callable[[int], str]
) -> Iterator[LeftOut]:
    for index in others:
        row = deployed.change(index)
        yield LeftOut(row.id, reasons(index), row.positions)


def _split(
    facts: Facts, deployed: Deployed, definition: DeploymentFrequency
) -> tuple[Sequence[int], Sequence[int], Callable[[int], str]]:
    """Return the indices of deployments that count, of those that do not, and why each does not."""
    every, outcomes = range(len(deployed)), deployed.outcomes

    def why(index: int) -> str:
        if definition.count == "not_failed":
            return "failed"
        return "outcome unknown" if outcomes[index] == UNKNOWN else "not successful"

    if definition.count == "all":
        return every, (), why
    if definition.count == "not_failed":
        bad = list(failures(facts, definition).failed.indices)
    else:
        bad = [index for index, outcome in enumerate(outcomes) if outcome != COMPLETED]
    return sorted(set(every).difference(bad)), bad, why


def _full_days(deployed: Deployed, indices: Sequence[int], home: ZoneInfo) -> Period | None:
    """Return the days from the first deployment to the last; None without any."""
    if not indices:
        return None
    first, last = (_day(deployed.at[index], home) for index in (indices[0], indices[-1]))
    return midnight(first, home), next_midnight(last, home)


def _day(at: int, home: ZoneInfo) -> date:
    """Return the day of a zone on which an instant lies."""
    return day_of(moment_of(at), home)


def _up_to(window: Period, facts: Facts) -> Period | None:
    """Return the part of a window that has passed; None where it has not begun, or nothing is."""
    as_of = facts.as_of
    if as_of is None or not facts.changes or as_of <= window[0]:
        return None
    return window[0], min(window[1], as_of)


def _days_between(span: Period, home: ZoneInfo) -> float:
    """Return how many days of a zone a stretch of time is; a day of 23 or 25 hours is one."""
    parts: list[float] = []
    days: list[int] = []
    for moment in span:
        day = day_of(moment, home)
        begins, ends = midnight(day, home), next_midnight(day, home)
        parts.append((utc(moment) - begins) / (ends - begins))
        days.append(day.toordinal())
    return (days[1] - days[0]) + (parts[1] - parts[0])


def _days(times: Sequence[int], home: ZoneInfo) -> list[date]:
    """Return the day of a zone on which each of these instants lies; they are in order."""
    days: list[date] = []
    while len(days) < len(times):
        index = len(days)
        day = _day(times[index], home)
        # All up to the next midnight are of that day, however many they are.
        following = bisect_left(times, instant(next_midnight(day, home)), lo=index + 1)
        days += repeat(day, following - index)
    return days


def _median_gap(times: Sequence[int]) -> float | None:
    """Return the median time between neighbours, in microseconds."""
    gaps = list(map(sub, times[1:], times))
    samples.sort(gaps)
    # Of what is in order the median needs only the middle.
    return quantiles.median(gaps[(len(gaps) - 1) // 2 : len(gaps) // 2 + 1])


def _frequency(
    deployed: Deployed,
    counted: Sequence[int],
    dates: Set[date],
    facts: Facts,
    definition: DeploymentFrequency,
    window: Period | None,
    span: Period | None,
) -> Figure:
    home = zone(definition.time_zone)
    n = len(counted)
    times = deployed.at if n == len(deployed) else [deployed.at[index] for index in counted]
    value: float | None = None
    reason: str | None = None
    interval = None
    notes = unread_notes(facts)
    between = _median_gap(times)
    beside: dict[str, float | None] = {}
    of_all_time = window is None and bool(facts.changes)
    days = 0.0 if span is None else _days_between(span, home)
    if span is not None and (days or definition.per == "window"):
        value, interval = _spread(n, dates, definition, span, days)
        if days:
            beside = {
                "deployments per day": n / days,
                "deployments per week": 7 * n / days,
                "days with a deployment per week": 7 * len(dates) / days,
            }
        if window is not None and window[1] - span[1] > MICROSECOND:
            notes = (*notes, f"the window is not over: taken up to {span[1]}")
    elif definition.empty == "zero" or (of_all_time and definition.per == "window"):
        value = 0.0
    elif span is not None:  # one instant, or a day that its zone left out
        reason = "the period has no length"
    else:
        ahead = window is not None and bool(facts.changes)
        reason = "the window has not begun" if ahead else "no deployments"
        if not facts.changes and not facts.empty:
            reason = "the log holds no change"
    return Figure(
        name=type(definition).NAME,
        value=value,
        reason=reason,
        unit=UNITS[definition.per],
        n=n,
        definition=definition,
        window=window,
        as_of=facts.as_of,
        known_at=facts.known_at,
        log_position=facts.log_position,
        mark=facts.mark,
        interval=interval,
        uncertain=len(deployed.uncertain.intersection(counted)) if deployed.uncertain else 0,
        included=LazySequence(lambda: _included(deployed, counted)),
        beside={
            **beside,
            "median days between deployments": None if between is None else between / _DAY,
        },
        counts={"days with a deployment": len(dates)},
        notes=notes,
    )


def _spread(
    n: int, dates: Iterable[date], definition: DeploymentFrequency, span: Period, days: float
) -> tuple[float | None, intervals.Interval | None]:
    if definition.per == "window":
        return float(n), None
    if definition.per in {"day", "week"}:
        scale = days if definition.per == "day" else days / 7
        return n / scale, poisson_interval(n, scale, level=definition.level)
    if definition.per == "deployment_day":
        counts = _days_by_week(dates, definition, span)
        if definition.statistic == "median":
            return quantiles.median(counts), None
        return quantiles.mean(counts), None
    periods = list(buckets(attrs.evolve(definition, window=span), ()))
    return float(n // len(periods)), None


def _days_by_week(
    dates: Iterable[date], definition: DeploymentFrequency, span: Period
) -> list[int]:
    """Return the number of days with a deployment of each calendar week, empty ones too."""
    home = zone(definition.time_zone)
    offset = 1 if definition.week_starts == "monday" else 0

    def week(day: date) -> int:
        return (day.toordinal() - offset) // 7  # day 1 of year 1 was a Monday

    first = week(day_of(span[0], home))
    last = week(day_of(utc(span[1]) - MICROSECOND, home))
    counts = dict.fromkeys(range(first, last + 1), 0)
    for day in dates:
        # A window that is closed at its end can reach into one more week.
        counts[week(day)] = counts.get(week(day), 0) + 1
    return list(counts.values())


def days_of(figure: Figure) -> float | None:
    """
    Return how many days a figure of deployments per day, or per week, was taken over.

    None where it is undefined, or counts per something else.
    """
    scale = {"per day": 1, "per week": 7}.get(figure.unit)
    if scale is None or figure.value is None:
        return None
    if figure.value:
        return figure.n / figure.value * scale
    if figure.window is None or figure.as_of is None:
        return None
    start, end = figure.window
    return _days_between((start, min(end, figure.as_of)), zone(figure.time_zone)) or None


deployment_frequency = figure_function(DeploymentFrequency, measure_frequency)


# --- rework rate ----------------------------------------------------------------------------------

REWORK_BY: Final = ("emergency", "fixed")


@attrs.frozen(kw_only=True, repr=False)
class ReworkRate(Deployments):
    """
    Deployments made because of a production incident, as a share (0 to 1) of all deployments.

    In the DORA reports since 2024. Undefined, not 0, without deployments. The `fixed` verdicts of
    incidents that do not count (dismissed, drill, test, merged) are left out and listed.

    Attributes:
        rework_by: What makes a deployment rework: "emergency" (its type), "fixed" (an incident
            says that it fixed it), and "unplanned", not a default (its source says so).
    """

    NAME: ClassVar[str] = "rework rate"
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"rework_by": (*REWORK_BY, "unplanned")}
    rework_by: tuple[str, ...] = attrs.field(default=REWORK_BY, converter=names)


def _fixed(
    facts: Facts, deployed: Deployed, definition: ReworkRate
) -> tuple[Mapping[int, Sequence[str]], list[LeftOut], tuple[str, ...]]:
    """
    Return the incidents each deployment fixed, and those whose word on it does not count.

    With them comes the note on those that name no change of the log.
    """
    fixed: dict[int, list[str]] = {}
    out: list[LeftOut] = []
    unknown: list[str] = []
    count = 0
    for row, named, why in fixes_of(facts, definition):
        known = [change for id_ in named if (change := facts.changes.index_of(id_)) is not None]
        changes = [
            deployment
            for change in known
            if (deployment := deployed.deployment_indices[change]) >= 0
        ]
        if why is None:
            count += len(named)
            unknown += (id_ for id_ in named if facts.changes.index_of(id_) is None)
            for change in changes:
                fixed.setdefault(change, []).append(row.id)
        elif changes:
            out.append(LeftOut(id=row.id, reason=why, positions=row.positions))
    return fixed, out, unknown_notes("fixes", count, unknown)


def fixes_of(
    facts: Facts, definition: ReworkRate
) -> Iterator[tuple[IncidentFacts, Sequence[str], str | None]]:
    """Yield the incidents that name changes as their fix, the names, and why one doesn't count."""
    if "fixed" not in definition.rework_by:
        return
    verdicts, merged = facts.incidents.columns.verdicts, facts.incidents.columns.merged
    for index in compress(range(len(verdicts)), verdicts):
        if not merged[index] and Verdict.FIXED not in verdicts[index].values():
            continue
        row = facts.incidents[index]
        yield row, said(row, Verdict.FIXED), why_incident_out(row, definition)


def _signs(row: ChangeFacts, fixed: Iterable[str], definition: ReworkRate) -> list[str]:
    signs: list[str] = []
    if row.type is ChangeType.EMERGENCY and "emergency" in definition.rework_by:
        signs.append(f"emergency for {row.incident}" if row.incident else "emergency")
    signs += (f"fixed {incident}" for incident in fixed)
    if row.unplanned and "unplanned" in definition.rework_by:
        signs.append("unplanned")
    return signs


def measure_rework(facts: Facts, definition: ReworkRate) -> Figure:
    """Compute the rework rate."""
    deployed, out = deployments(facts, definition)
    fixed, disregarded, notes = _fixed(facts, deployed, definition)
    odd = indices_set(facts.changes.columns.rework)
    may_be = {
        *fixed,
        *(deployment for index in odd if (deployment := deployed.deployment_indices[index]) >= 0),
    }
    signs = {
        index: reasons
        for index in may_be
        if (reasons := _signs(deployed.change(index), fixed.get(index, ()), definition))
    }
    counted = DeploymentsByGroup(deployed, range(len(deployed)), definition.bounds)
    ends = [moment_of(at) for at in (*deployed.at[:1], *deployed.at[-1:])]
    periods = list(buckets(definition, ends))

    def included_of(members: Iterable[int]) -> Iterator[Included]:
        for index in members:
            mine, row = signs.get(index, ()), deployed.change(index)
            yield Included(row.id, 1.0 if mine else 0.0, "; ".join(mine), row.positions)

    def figure(name: str | None, number: int | None) -> Figure:
        window = definition.window if number is None else periods[number]
        members = counted.inside(name, window)
        n, count = len(members), len(signs.keys() & members)
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
            mark=facts.mark,
            interval=intervals.wilson(count, n, level=definition.level) if n else None,
            uncertain=len(deployed.uncertain.intersection(members)) if deployed.uncertain else 0,
            included=LazySequence(lambda: included_of(members)),
            counts={"rework": count},
            notes=unread_notes(facts),
            group=name,
        )

    left_out = LazySequence(
        lambda: sorted([*out, *disregarded], key=lambda entry: (entry.id, entry.reason))
    )
    whole = figure(None, None)
    if not signs and len(deployed):
        wanted = " or ".join(map(_SIGNS.__getitem__, definition.rework_by))
        notes += (f"no deployment of the whole log {wanted}: 0 may be that nobody says so",)
    whole = attrs.evolve(whole, left_out=left_out, notes=(*whole.notes, *notes))
    return with_groups(facts, whole, counted.names, periods, figure)


_SIGNS: Final = {
    "emergency": "is an emergency",
    "fixed": "fixed an incident",
    "unplanned": "is unplanned",
}


rework_rate = figure_function(ReworkRate, measure_rework)
