"""
Durations of incidents: time to detect, to acknowledge, to mitigate and to restore.

A duration runs from one moment of an incident to another. It is counted once both are known;
an incident that is still open is *censored*: it is in the Kaplan-Meier figures printed beside the
plain ones and left out of those, which therefore flatter. Durations are whole microseconds
inside; figures are in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final, NamedTuple

import attrs

from imcm.domain.incident import OPEN
from imcm.domain.vocabulary import (
    Between,
    Moment,
    StatedDuration,
    Verdict,
    earliest,
    latest,
    midpoint,
)
from imcm.errors import InvalidValue
from imcm.projections import statistics
from imcm.projections.facts import Facts, IncidentFacts, Spell
from imcm.projections.figure import (
    SECONDS,
    Definition,
    Figure,
    Included,
    LeftOut,
    buckets,
    figure_function,
    groups_of,
    incident_matches,
    inside,
    microseconds,
    why_incident_out,
)
from imcm.projections.survival import kaplan_meier

STARTS: Final = (
    "detected",
    "impact_started",
    "declared",
    "acknowledged",
    "triaged",
    "cause_deployed",
    "cause_deployed_or_detected",
)
ENDS: Final = ("detected", "declared", "acknowledged", "triaged", "mitigated", "resolved", "closed")
SPELL_ENDS: Final = frozenset({"mitigated", "resolved", "closed"})

Values = Sequence[float]
STATISTICS: Final[Mapping[str, Callable[[Values], float | None]]] = {
    "median": statistics.median,
    "median_low": statistics.median_low,
    "mean": statistics.mean,
    "p90": lambda values: statistics.percentile(values, 0.9),
    "p95": lambda values: statistics.percentile(values, 0.95),
    "max": lambda values: max(values, default=None),
    "geometric_mean": statistics.geometric_mean,
    "sum": lambda values: sum(values) if values else None,
}

_HOUR, _MINUTE = 3_600_000_000, 60_000_000
ROUNDINGS: Final[Mapping[str, Callable[[int], int]]] = {
    "none": lambda value: value,
    "hour_down": lambda value: value // _HOUR * _HOUR,
    "minute_down": lambda value: value // _MINUTE * _MINUTE,
    "minute_up": lambda value: -(-value // _MINUTE) * _MINUTE,
}


def _names(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(kw_only=True)
class IncidentDuration(Definition):
    """
    How long something took, over incidents.

    Attributes:
        start, end: A moment, or a list of which the first that is present counts.
        statistic: median (default), median_low, mean, p90, p95 (both type 7), max,
            geometric_mean, sum.
        reopened: For ends that can come again: "last" (first start to last end), "first" (to the
            first end), "open_time" (sum of the stretches it was open), "each" (every stretch
            counts by itself).
        missing: Never acknowledged: "leave_out", "resolution_counts" (its end counts instead) or
            "censor" (it waited at least until it was over).
        source: "moments", or "stated" for the durations the source itself gave.
        in_window: Which moment places an incident in a period: "end", "start" or "either".
        round_each: "none", "hour_down", "minute_down" or "minute_up", before the statistic.
    """

    NAME: ClassVar[str] = "incident duration"
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "start": STARTS,
        "end": ENDS,
        "statistic": tuple(STATISTICS),
        "reopened": ("last", "first", "open_time", "each"),
        "missing": ("leave_out", "resolution_counts", "censor"),
        "source": ("moments", "stated"),
        "in_window": ("end", "start", "either"),
        "round_each": tuple(ROUNDINGS),
    }

    start: tuple[str, ...] = attrs.field(default=("detected",), converter=_names)
    end: tuple[str, ...] = attrs.field(default=("resolved",), converter=_names)
    statistic: str = "median"
    reopened: str = "last"
    missing: str = "leave_out"
    source: str = "moments"
    in_window: str = "end"
    round_each: str = "none"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        for name in ("start", "end"):
            if not getattr(self, name):
                raise InvalidValue(name, (), "at least one moment")
        if set(self.start) & set(self.end):
            raise InvalidValue("start", self.start, f"another moment than the end, {self.end}")


@attrs.frozen(kw_only=True)
class TimeToDetect(IncidentDuration):
    """From the start of the impact to detection. An unknown start is left out and counted."""

    NAME: ClassVar[str] = "time to detect"
    start: tuple[str, ...] = attrs.field(default=("impact_started",), converter=_names)
    end: tuple[str, ...] = attrs.field(default=("detected",), converter=_names)


@attrs.frozen(kw_only=True)
class TimeToAcknowledge(IncidentDuration):
    """From detection to the first acknowledgement."""

    NAME: ClassVar[str] = "time to acknowledge"
    end: tuple[str, ...] = attrs.field(default=("acknowledged",), converter=_names)


@attrs.frozen(kw_only=True)
class TimeToMitigate(IncidentDuration):
    """From detection until users were no longer hurt."""

    NAME: ClassVar[str] = "time to mitigate"
    end: tuple[str, ...] = attrs.field(default=("mitigated",), converter=_names)


@attrs.frozen(kw_only=True)
class TimeToRestore(IncidentDuration):
    """From detection until service was fully restored."""

    NAME: ClassVar[str] = "time to restore"


@attrs.frozen(kw_only=True)
class MeanTimeToRestore(IncidentDuration):
    """MTTR in the plain sense: the mean of the times to restore."""

    NAME: ClassVar[str] = "mean time to restore"
    statistic: str = "mean"


# --- one incident ---------------------------------------------------------------------------------


class Span(NamedTuple):
    """
    One duration as it counts: microseconds, and how it is read at its shortest and longest.

    *observed* is False for one that is not over: it lasted at least so long.
    """

    id: str
    value: int
    low: int
    high: int
    observed: bool
    uncertain: bool
    start: Moment | None
    end: Moment | None
    groups: tuple[str, ...]
    positions: tuple[int, ...]


class Missing(NamedTuple):
    """An incident without the duration asked for."""

    id: str
    reason: str
    start: Moment | None
    end: Moment | None
    groups: tuple[str, ...]
    positions: tuple[int, ...]


_MOMENTS: Final = {
    "detected": "detected_at",
    "impact_started": "impact_started_at",
    "declared": "declared_at",
    "acknowledged": "acknowledged_at",
    "triaged": "triaged_at",
    "mitigated": "mitigated_at",
    "resolved": "resolved_at",
    "closed": "closed_at",
}


def causes_deployed(facts: Facts) -> dict[str, Moment]:
    """Return, by incident id, when the first change stated to have caused it was deployed."""
    deployed = {row.id: row.deployed_at for row in facts.changes}
    found: dict[str, Moment] = {}
    for row in facts.incidents:
        moments = [
            moment
            for change, verdict in row.verdicts.items()
            if verdict is Verdict.CAUSED and (moment := deployed.get(change)) is not None
        ]
        if moments:
            found[row.id] = min(moments, key=midpoint)
    return found


def _moment(row: IncidentFacts, name: str, causes: Mapping[str, Moment]) -> Moment | None:
    if name == "cause_deployed":
        return causes.get(row.id)
    if name == "cause_deployed_or_detected":
        both = [m for m in (causes.get(row.id), row.detected_at) if m is not None]
        return min(both, key=midpoint, default=None)
    found: Moment | None = getattr(row, _MOMENTS[name])
    return found


def _first_present(
    row: IncidentFacts, names: Iterable[str], causes: Mapping[str, Moment]
) -> Moment | None:
    return next((m for name in names if (m := _moment(row, name, causes)) is not None), None)


def _spell_end(spell: Spell, names: Iterable[str]) -> Moment | None:
    moments: Iterator[Moment | None] = (getattr(spell, name) for name in names)
    return next((moment for moment in moments if moment is not None), None)


def _difference(start: Moment, end: Moment) -> tuple[int, int, int]:
    """Return the duration between two moments, and its shortest and longest reading."""
    value = microseconds(midpoint(end) - midpoint(start))
    if not isinstance(start, Between) and not isinstance(end, Between):
        return value, value, value
    low = microseconds(earliest(end) - latest(start))
    high = microseconds(latest(end) - earliest(start))
    return value, max(0, low), high


def spans_of(
    row: IncidentFacts,
    definition: IncidentDuration,
    causes: Mapping[str, Moment],
    as_of: datetime,
) -> Iterator[Span | Missing]:
    """Yield the durations of one incident, or why it has none."""
    groups = groups_of(row, definition)
    if definition.source == "stated":
        yield _stated(row, groups)
        return
    start = _first_present(row, definition.start, causes)
    spelled = not SPELL_ENDS.isdisjoint(definition.end)
    ends = [_spell_end(s, definition.end) for s in row.spells] if spelled else []
    if not spelled or not ends:
        ends = [_first_present(row, definition.end, causes)]
    is_open = row.status in OPEN

    def missing(reason: str, end: Moment | None = None) -> Missing:
        return Missing(row.id, reason, start, end, groups, row.positions)

    def span(pairs: Sequence[tuple[Moment, Moment]], *, observed: bool) -> Span | Missing:
        parts = [_difference(a, b) for a, b in pairs]
        value, low, high = (sum(column) for column in zip(*parts, strict=True))
        if value < 0:
            return missing("negative", pairs[-1][1])
        value, low, high = (ROUNDINGS[definition.round_each](v) for v in (value, low, high))
        uncertain = any(isinstance(m, Between) for pair in pairs for m in pair)
        end = pairs[-1][1] if observed else None
        return Span(
            row.id, value, low, high, observed, uncertain, start, end, groups, row.positions
        )

    if start is None:
        yield missing(f"missing({definition.start[0]})", ends[-1])
        return
    if not spelled and ends[0] is None:
        yield _never(row, definition, start, span, missing, as_of)
        return
    starts = [start, *(spell.started for spell in row.spells[1:])]
    if definition.reopened == "first":
        chosen = [(start, ends[0])]
    elif definition.reopened == "last" or not spelled:
        chosen = [(start, ends[-1])]
    else:
        chosen = list(zip(starts, ends, strict=True))  # type: ignore[arg-type]
    last_open = is_open and chosen[-1][1] is None and len(chosen) in {1, len(ends)}
    if definition.reopened == "first" and len(ends) > 1:
        last_open = False
    complete = [(a, b) for a, b in chosen if a is not None and b is not None]
    if definition.reopened == "each":
        for pair in complete:
            yield span([pair], observed=True)
    elif len(complete) == len(chosen):
        yield span(complete, observed=True)
        return
    if last_open and chosen[-1][0] is not None:
        yield span([*complete, (chosen[-1][0], as_of)], observed=False)
    elif len(complete) < len(chosen):
        yield missing(f"missing({definition.end[0]})")


def _never(
    row: IncidentFacts,
    definition: IncidentDuration,
    start: Moment,
    span: Callable[..., Span | Missing],
    missing: Callable[..., Missing],
    as_of: datetime,
) -> Span | Missing:
    """Answer for a moment that comes once and did not come, such as an acknowledgement."""
    over = row.resolved_at or row.closed_at
    if definition.missing == "resolution_counts" and over is not None:
        return span([(start, over)], observed=True)
    if row.status in OPEN:
        return span([(start, as_of)], observed=False)
    if definition.missing == "censor" and over is not None:
        return span([(start, over)], observed=False)
    return missing(f"missing({definition.end[0]})", over)


def _stated(row: IncidentFacts, groups: tuple[str, ...]) -> Span | Missing:
    value = row.stated.get(StatedDuration.TIME_TO_RESTORE)
    end = row.resolved_at or row.closed_at
    start = row.detected_at
    if value is None:
        reason = "missing(stated duration)"
        return Missing(row.id, reason, start, end, groups, row.positions)
    return Span(row.id, value, value, value, True, False, start, end, groups, row.positions)


# --- the figure -----------------------------------------------------------------------------------


def _placed(one: Span | Missing, definition: IncidentDuration) -> Moment | None:
    """Return the moment that places a duration in a period; what is open has no end."""
    return one.start if definition.in_window == "start" else one.end or one.start


def _in(
    one: Span | Missing, window: tuple[datetime, datetime] | None, definition: IncidentDuration
) -> bool:
    if window is None:
        return True
    bounds = definition.bounds
    if isinstance(one, Span) and not one.observed and definition.in_window != "start":
        # Not over: it belongs to every period that it has begun before the end of.
        return one.start is not None and midpoint(one.start) < window[1]
    if definition.in_window == "either":
        return inside(one.start, window, bounds) or inside(one.end, window, bounds)
    return inside(_placed(one, definition), window, bounds)


def measure(facts: Facts, definition: IncidentDuration) -> Figure:
    """Compute a duration over all incidents the definition takes."""
    found: list[Span | Missing] = []
    out: list[LeftOut] = []
    causes: Mapping[str, Moment] = {}
    if any(name.startswith("cause_deployed") for name in definition.start):
        causes = causes_deployed(facts)
    for row in facts.incidents:
        if not incident_matches(row, definition):
            continue
        why = why_incident_out(row, definition)
        if why is not None:
            # Merged and dismissed incidents have no place in time, so every window names them.
            out.append(LeftOut(id=row.id, reason=why, positions=row.positions))
        elif facts.as_of is not None:
            found += spans_of(row, definition, causes, facts.as_of)
    return _with_parts(found, out, facts, definition)


def _with_parts(
    found: list[Span | Missing],
    out: list[LeftOut],
    facts: Facts,
    definition: IncidentDuration,
) -> Figure:
    placed = [midpoint(m) for one in found if (m := _placed(one, definition)) is not None]
    periods = list(buckets(definition, placed))
    whole = _summary(found, out, facts, definition, definition.window)
    names = sorted({name for one in found for name in one.groups})
    groups: list[Figure] = []
    for name in names:
        members = [one for one in found if name in one.groups]
        group = _summary(members, [], facts, definition, definition.window)
        parts = tuple(_summary(members, [], facts, definition, period) for period in periods)
        groups.append(attrs.evolve(group, group=name, buckets=parts))
    return attrs.evolve(
        whole,
        groups=tuple(groups),
        buckets=tuple(_summary(found, [], facts, definition, period) for period in periods),
    )


def _summary(
    found: Iterable[Span | Missing],
    out: list[LeftOut],
    facts: Facts,
    definition: IncidentDuration,
    window: tuple[datetime, datetime] | None,
) -> Figure:
    inside_ = [one for one in found if _in(one, window, definition)]
    spans = sorted(
        (one for one in inside_ if isinstance(one, Span) and one.observed),
        key=lambda one: (one.value, one.id),
    )
    waiting = [one for one in inside_ if isinstance(one, Span) and not one.observed]
    left_out = [
        *out,
        *(
            LeftOut(id=one.id, reason=one.reason, positions=one.positions)
            for one in inside_
            if isinstance(one, Missing)
        ),
        *(LeftOut(id=one.id, reason="pending", positions=one.positions) for one in waiting),
    ]
    values = [one.value for one in spans]
    statistic = STATISTICS[definition.statistic]
    value = _seconds(statistic(values))
    reason = None
    if value is None:
        if definition.empty == "zero":
            value = 0.0
        else:
            reason = _why_none(values, waiting)
    uncertain = sum(one.uncertain for one in spans)
    return Figure(
        name=type(definition).NAME,
        value=value,
        reason=reason,
        unit=SECONDS,
        n=len(values),
        definition=definition,
        window=window,
        as_of=facts.as_of,
        known_at=facts.known_at,
        log_position=facts.log_position,
        interval=_interval(values, definition),
        bounds=_bounds(spans, statistic) if uncertain else None,
        uncertain=uncertain,
        included=tuple(
            Included(id=one.id, value=one.value / 1e6, positions=one.positions) for one in spans
        ),
        left_out=tuple(sorted(left_out, key=lambda one: one.id)),
        beside=_beside(values, waiting, definition),
        notes=_notes(facts),
    )


def _why_none(values: Sequence[int], waiting: Sequence[Span]) -> str:
    if values:
        return "a geometric mean needs durations above 0"
    return "all are still open" if waiting else "nothing to count"


def _seconds(microseconds_: float | None) -> float | None:
    return None if microseconds_ is None else microseconds_ / 1e6


def _interval(values: Sequence[int], definition: IncidentDuration) -> statistics.Interval | None:
    level = definition.level
    if definition.statistic in {"median", "median_low"}:
        found = statistics.median_interval(values, level=level)
    elif definition.statistic in {"p90", "p95"}:
        q = 0.9 if definition.statistic == "p90" else 0.95
        found = statistics.quantile_interval(values, q, level=level)
    elif definition.statistic == "mean":
        found = statistics.mean_interval(values, level=level)
    else:
        return None
    return attrs.evolve(found, low=_seconds(found.low), high=_seconds(found.high))


def _bounds(
    spans: Sequence[Span], statistic: Callable[[Values], float | None]
) -> tuple[float, float] | None:
    """Every statistic here grows with each duration, so the extremes are at all lows, all highs."""
    low = _seconds(statistic(sorted(one.low for one in spans)))
    high = _seconds(statistic(sorted(one.high for one in spans)))
    return None if low is None or high is None else (low, high)


def _beside(
    values: Sequence[int], waiting: Sequence[Span], definition: IncidentDuration
) -> dict[str, float | None]:
    beside: dict[str, float | None] = {
        name: _seconds(STATISTICS[name](values))
        for name in ("median", "mean", "p90", "p95", "max")
        if name != definition.statistic
    }
    if values or waiting:
        durations = [*values, *(one.value for one in waiting)]
        observed = [True] * len(values) + [False] * len(waiting)
        curve = kaplan_meier(durations, observed, level=definition.level)
        beside["Kaplan-Meier median, open ones censored"] = _seconds(curve.median)
        horizon = max(durations)
        if horizon > 0:
            name = "restricted mean up to the longest, open ones censored"
            beside[name] = _seconds(curve.restricted_mean(horizon).value)
    return beside


def _notes(facts: Facts) -> tuple[str, ...]:
    if not facts.unread:
        return ()
    names = ", ".join(f"{count} {name}" for name, count in facts.unread.items())
    return (f"events of a newer version were not read: {names}",)


time_to_detect = figure_function(TimeToDetect, measure)
time_to_acknowledge = figure_function(TimeToAcknowledge, measure)
time_to_mitigate = figure_function(TimeToMitigate, measure)
time_to_restore = figure_function(TimeToRestore, measure)
mean_time_to_restore = figure_function(MeanTimeToRestore, measure)
