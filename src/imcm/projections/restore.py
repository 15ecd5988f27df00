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
from typing import ClassVar, Final

import attrs

from imcm.domain.incident import OPEN
from imcm.domain.vocabulary import (
    Between,
    Moment,
    StatedDuration,
    Verdict,
    midpoint,
)
from imcm.errors import InvalidValue
from imcm.projections.durations import (
    IN_WINDOW,
    ROUNDINGS,
    STATISTICS,
    Missing,
    Shape,
    Span,
    difference,
    with_parts,
)
from imcm.projections.facts import Facts, IncidentFacts, Spell
from imcm.projections.figure import (
    Definition,
    Figure,
    LeftOut,
    figure_function,
    groups_of,
    incident_matches,
    why_incident_out,
)

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
        "in_window": IN_WINDOW,
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
        parts = [difference(a, b) for a, b in pairs]
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
    shape = Shape(
        statistic=definition.statistic,
        in_window=definition.in_window,
        round_each=definition.round_each,
    )
    return with_parts(found, out, facts, definition, shape)


time_to_detect = figure_function(TimeToDetect, measure)
time_to_acknowledge = figure_function(TimeToAcknowledge, measure)
time_to_mitigate = figure_function(TimeToMitigate, measure)
time_to_restore = figure_function(TimeToRestore, measure)
mean_time_to_restore = figure_function(MeanTimeToRestore, measure)
