"""
Durations of incidents: time to detect, to acknowledge, to mitigate and to restore.

A duration runs from one moment of an incident to another. It is counted once both are known;
an incident that is still open is *censored*: it is in the Kaplan-Meier figures printed beside the
plain ones and left out of those, which therefore flatter. Durations are whole microseconds
inside; figures are in seconds.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import compress
from operator import sub
from typing import Any, ClassVar, Final, NamedTuple

import attrs

from imcm.domain.incident import OPEN
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.vocabulary import (
    A_MARK,
    MARK,
    MILESTONES,
    Between,
    Moment,
    StatedDuration,
    Verdict,
    earliest,
    is_mapping,
    latest,
)
from imcm.errors import InvalidValue
from imcm.projections.facts.columns import (
    IncidentColumns,
    indices_set,
    is_exact,
    is_none,
    logical_and,
    logical_not,
    mask_of,
    take,
)
from imcm.projections.facts.fold import Facts, IncidentFacts, Spell
from imcm.projections.figures.clock import BusinessHours, running
from imcm.projections.figures.definition import Definition, is_mark, names
from imcm.projections.figures.deployments import unknown_notes
from imcm.projections.figures.durations import (
    IN_WINDOW,
    PENDING,
    ROUNDINGS,
    SLACK,
    STATISTICS,
    Columns,
    Durations,
    Missing,
    MissingColumns,
    Shape,
    Span,
    Who,
    difference,
    early,
    with_parts,
)
from imcm.projections.figures.figure import Figure, LeftOut
from imcm.projections.figures.function import figure_function
from imcm.projections.figures.population import groups_at, groups_of, indices_of_incidents
from imcm.projections.figures.units import utc

STARTS: Final = (*MILESTONES, "cause_deployed", "cause_deployed_or_detected")
SPELL_ENDS: Final = frozenset({"mitigated", "resolved", "closed"})


def _calendar(value: Any) -> Any:
    return BusinessHours.from_dict(value) if is_mapping(value) else value


@attrs.frozen(kw_only=True, repr=False)
class IncidentDuration(Definition):
    """
    How long something took, over incidents.

    In seconds. What is still open has no duration yet and is left out as "pending"; undefined where
    nothing is left to count. What ended up to a minute before it began counts as 0, since clocks
    differ, and a note says how many did; what ended earlier still is left out as "negative".

    Attributes:
        start, end: A milestone (impact_started, detected, declared, acknowledged, triaged,
            mitigated, resolved, closed), or a list of which the first that is present counts. A
            start is also cause_deployed, or cause_deployed_or_detected, the earlier of both. One
            that can come again starts with its first stretch, or each stretch where each counts.
            "mark:vendor called" is the first milestone of that name of the team's own (`mark`), in
            order of time, "mark:vendor called#2" the second; where each stretch counts by itself,
            the first that came in it.
        statistic: Which one number is made of all: median (default), median_low, mean, p90, p95
            (both type 7), max, min, geometric_mean, sum.
        reopened: For ends that can come again: "last" (first start to last end), "first" (to the
            first end), "open_time" (sum of the stretches it was open), "each" (every stretch
            counts by itself).
        missing: Of what is over and never came to the end asked for, such as an acknowledgement:
            "leave_out", "resolution_counts" (when it was over counts instead) or "censor" (it
            waited at least until it was over).
        source: "moments", or "stated" for the durations the source itself gave, which are times to
            restore and times to repair: of the choices above only the statistic applies to them,
            and no clock.
        in_window: Which moment places an incident in a period: "end", "start", "either", or "both"
            (what is not over lies where it started).
        round_each: How each duration is rounded before the statistic: "none", "hour_down",
            "minute_down" or "minute_up".
        clock: "wall" (default), or "business" for the working hours of the *calendar*, waits for
            somebody else taken off. What is negative is judged by the wall.
        calendar: The working hours, as `BusinessHours` or the mapping its `as_dict` gives.
    """

    NAME: ClassVar[str] = "incident duration"
    STATED: ClassVar[StatedDuration | None] = None
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "start": (*STARTS, A_MARK),
        "end": (*MILESTONES, A_MARK),
        "statistic": tuple(STATISTICS),
        "reopened": ("last", "first", "open_time", "each"),
        "missing": ("leave_out", "resolution_counts", "censor"),
        "source": ("moments", "stated"),
        "in_window": IN_WINDOW,
        "round_each": tuple(ROUNDINGS),
        "clock": ("wall", "business"),
    }

    start: tuple[str, ...] = attrs.field(default=("detected",), converter=names)
    end: tuple[str, ...] = attrs.field(default=("resolved",), converter=names)
    statistic: str = "median"
    reopened: str = "last"
    missing: str = "leave_out"
    source: str = "moments"
    in_window: str = "end"
    round_each: str = "none"
    clock: str = "wall"
    calendar: BusinessHours | None = attrs.field(default=None, converter=_calendar)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        for name in ("start", "end"):
            if not getattr(self, name):
                raise InvalidValue(name, (), "at least one moment")
        if set(self.start) & set(self.end):
            raise InvalidValue("start", self.start, f"another moment than the end, {self.end}")
        if self.source == "stated" and self.STATED is None:
            raise InvalidValue(
                "source", self.source, "only times to restore and to repair are stated by sources"
            )
        calendar: Any = self.calendar
        if calendar is None and self.clock == "business":
            raise InvalidValue("calendar", None, "a business clock needs the working hours")
        if calendar is not None and not isinstance(calendar, BusinessHours):
            raise InvalidValue("calendar", calendar, "give BusinessHours, or its as_dict()")


@attrs.frozen(kw_only=True, repr=False)
class TimeToDetect(IncidentDuration):
    """From the start of the impact to detection. An unknown start is left out and counted."""

    NAME: ClassVar[str] = "time to detect"
    start: tuple[str, ...] = attrs.field(default=("impact_started",), converter=names)
    end: tuple[str, ...] = attrs.field(default=("detected",), converter=names)


@attrs.frozen(kw_only=True, repr=False)
class TimeToAcknowledge(IncidentDuration):
    """From detection to the first acknowledgement."""

    NAME: ClassVar[str] = "time to acknowledge"
    end: tuple[str, ...] = attrs.field(default=("acknowledged",), converter=names)


@attrs.frozen(kw_only=True, repr=False)
class TimeToMitigate(IncidentDuration):
    """From detection until users were no longer hurt."""

    NAME: ClassVar[str] = "time to mitigate"
    end: tuple[str, ...] = attrs.field(default=("mitigated",), converter=names)


@attrs.frozen(kw_only=True, repr=False)
class TimeToRestore(IncidentDuration):
    """From detection until service was fully restored."""

    NAME: ClassVar[str] = "time to restore"
    STATED: ClassVar[StatedDuration | None] = StatedDuration.TIME_TO_RESTORE


@attrs.frozen(kw_only=True, repr=False)
class TimeToRepair(IncidentDuration):
    """
    From acknowledgement, with which somebody begins to work on it, until service was restored.

    `source="stated"` takes the time to repair that the source itself gave.
    """

    NAME: ClassVar[str] = "time to repair"
    STATED: ClassVar[StatedDuration | None] = StatedDuration.TIME_TO_REPAIR
    start: tuple[str, ...] = attrs.field(default=("acknowledged",), converter=names)


@attrs.frozen(kw_only=True, repr=False)
class MeanTimeToRestore(IncidentDuration):
    """MTTR in the plain sense: the mean of the times to restore."""

    NAME: ClassVar[str] = "mean time to restore"
    STATED: ClassVar[StatedDuration | None] = StatedDuration.TIME_TO_RESTORE
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
    first_deployed: dict[str, Moment] = {}
    for row in facts.incidents:
        moments = [
            moment
            for change, verdict in row.verdicts.items()
            if verdict is Verdict.CAUSED and (moment := deployed.get(change)) is not None
        ]
        if moments:
            first_deployed[row.id] = min(moments, key=utc)
    return first_deployed


def _moment(row: IncidentFacts, name: str, causes: Mapping[str, Moment]) -> Moment | None:
    if name == "cause_deployed":
        return causes.get(row.id)
    if name == "cause_deployed_or_detected":
        both = [m for m in (causes.get(row.id), row.detected_at) if m is not None]
        return min(both, key=utc, default=None)
    if is_mark(name):
        return next(iter(_marked(row, name)), None)
    moment: Moment | None = getattr(row, _MOMENTS[name])
    return moment


def _marked(row: IncidentFacts, mark: str) -> tuple[Moment | None, ...]:
    """Return the moments of a milestone of the team's own, from the one asked for on."""
    name = mark.removeprefix(MARK)
    moments = row.milestones.get(name)
    if moments is None:
        name, _, number = name.rpartition("#")
        if _NUMBER.fullmatch(number):
            return row.milestones.get(name, ())[int(number) - 1 :]
    return moments or ()


_NUMBER: Final = re.compile("[1-9][0-9]{0,5}", re.ASCII)


def _first_present(
    row: IncidentFacts, wanted: Iterable[str], causes: Mapping[str, Moment]
) -> Moment | None:
    return next((m for name in wanted if (m := _moment(row, name, causes)) is not None), None)


def _ends(
    row: IncidentFacts, wanted: Sequence[str], causes: Mapping[str, Moment]
) -> list[Moment | None]:
    """Return the end of each spell; what comes only once ends the spell in which it came."""
    if SPELL_ENDS.isdisjoint(wanted) or not row.spells:
        return [_first_present(row, wanted, causes)]
    ends: list[Moment | None] = []
    for index, spell in enumerate(row.spells):
        moments: Iterator[Moment | None] = (
            getattr(spell, name) if name in SPELL_ENDS else _once(row, name, index)
            for name in wanted
        )
        ends.append(next((moment for moment in moments if moment is not None), None))
    return ends


def _starts(
    row: IncidentFacts, wanted: Sequence[str], causes: Mapping[str, Moment]
) -> list[Moment | None]:
    """Return the start of each spell: of later ones its reopening, or what came in it."""
    once = [name for name in wanted if name not in SPELL_ENDS]
    starts: list[Moment | None] = []
    for index, spell in enumerate(row.spells or (Spell(),)):
        moments: list[Moment | None]
        if index == 0:
            moments = [
                getattr(spell, name) if name in SPELL_ENDS else _moment(row, name, causes)
                for name in wanted
            ]
        else:
            moments = [getattr(spell, name) for name in wanted if name in SPELL_ENDS]
            moments += [_once(row, name, index) for name in once if is_mark(name)]
            moments += [spell.started] if once else []
        starts.append(next((moment for moment in moments if moment is not None), None))
    return starts


def _once(row: IncidentFacts, name: str, index: int) -> Moment | None:
    """Return a moment that comes once, or the first of several, that came in that spell."""
    reopenings = [spell.started for spell in row.spells[1:]]
    for moment in _marked(row, name) if is_mark(name) else (_moment(row, name, {}),):
        if moment is not None:
            came_in = sum(at is not None and utc(at) <= utc(moment) for at in reopenings)
            if came_in == index:
                return moment
    return None


def _came_unseen(row: IncidentFacts, wanted: Sequence[str]) -> bool:
    """Say whether one of these ends is known to have come, nobody knows when."""
    return (
        "detected" in wanted
        or ("triaged" in wanted and row.triaged)
        or ("mitigated" in wanted and row.status is IncidentStatus.MITIGATED)
        or any(is_mark(name) and _marked(row, name) for name in wanted)
    )


class _Stretch(NamedTuple):
    """One stretch of an incident; one that goes on has no end and may last up to `as_of`."""

    start: Moment | None
    end: Moment | None
    goes_on: bool


def spans_of(
    row: IncidentFacts,
    definition: IncidentDuration,
    causes: Mapping[str, Moment],
    as_of: datetime,
) -> Iterator[Span | Missing]:
    """Yield the durations of one incident, or why it has none."""
    groups = groups_of(row, definition)
    if definition.source == "stated":
        yield _stated(row, definition, groups)
        return
    starts = _starts(row, definition.start, causes)
    start = starts[0]
    if SPELL_ENDS.issuperset(definition.start) and definition.reopened != "first":
        start = next((moment for moment in starts if moment is not None), None)
    ends = _ends(row, definition.end, causes)
    if start is None:
        reason = f"missing({definition.start[0]})"
        yield Missing(row.id, reason, start, ends[-1], groups, row.positions)
        return
    goes_on = row.status in OPEN and not _came_unseen(row, definition.end)
    if len(ends) == 1:
        if ends[0] is None and SPELL_ENDS.isdisjoint(definition.end):
            yield _never(row, definition, start, groups, as_of, goes_on=goes_on)
        else:
            yield _span(row, definition, [_Stretch(start, ends[0], goes_on)], groups, as_of)
        return
    if definition.reopened == "first":
        yield _span(row, definition, [_Stretch(start, ends[0], False)], groups, as_of)
    elif definition.reopened == "last":
        yield _span(row, definition, [_Stretch(start, ends[-1], goes_on)], groups, as_of)
    else:
        last = len(ends) - 1
        stretches = [
            _Stretch(a, b, goes_on and index == last)
            for index, (a, b) in enumerate(zip(starts, ends, strict=True))
        ]
        if definition.reopened == "each":
            for stretch in stretches:
                yield _span(row, definition, [stretch], groups, as_of)
        else:
            yield _span(row, definition, stretches, groups, as_of)


def _span(
    row: IncidentFacts,
    definition: IncidentDuration,
    stretches: Sequence[_Stretch],
    groups: tuple[str, ...],
    as_of: datetime,
    censored: str | None = None,
) -> Span | Missing:
    """
    Return the length of all stretches together, or why there is none.

    Args:
        censored: Why they ended without having come to their end; None where they did.
    """
    start, end = stretches[0].start, stretches[-1].end
    value = low = high = 0
    uncertain = ends_early = False
    for started, ended, goes_on in stretches:
        over = as_of if ended is None and goes_on else ended
        if started is None or over is None:
            again = "reopened"
            if SPELL_ENDS.issuperset(definition.start):
                again = definition.start[0]
            what = again if ended is not None else definition.end[0]
            return Missing(row.id, f"missing({what})", start, end, groups, row.positions)
        lengths = difference(started, over)
        before = early(lengths[0])
        if lengths[0] < 0 and not before:
            return Missing(row.id, "negative", start, over, groups, row.positions)
        uncertain = uncertain or isinstance(started, Between) or isinstance(over, Between)
        if definition.clock == "business":
            lengths = _at_work(row, started, over, definition.calendar)
        if before:
            ends_early = True
            lengths = 0, 0, max(0, lengths[2])
        value, low, high = value + lengths[0], low + lengths[1], high + lengths[2]
    if definition.round_each != "none":
        value, low, high = (ROUNDINGS[definition.round_each](v) for v in (value, low, high))
    observed = end is not None and censored is None
    why = censored or PENDING
    positions = row.positions
    span = Span(row.id, value, low, high, observed, uncertain, start, end, groups, positions, why)
    return span._replace(early=True) if ends_early else span


def _at_work(
    row: IncidentFacts, start: Moment, end: Moment, calendar: BusinessHours | None
) -> tuple[int, int, int]:
    """Return the working time between two moments, and its shortest and longest reading."""
    value = running(utc(start), utc(end), row.holds, calendar)
    if not isinstance(start, Between) and not isinstance(end, Between):
        return value, value, value
    low = running(utc(latest(start)), utc(earliest(end)), row.holds, calendar)
    high = running(utc(earliest(start)), utc(latest(end)), row.holds, calendar)
    return value, max(0, low), high


def _never(
    row: IncidentFacts,
    definition: IncidentDuration,
    start: Moment,
    groups: tuple[str, ...],
    as_of: datetime,
    *,
    goes_on: bool,
) -> Span | Missing:
    """Answer for a moment that comes once and did not come, such as an acknowledgement."""
    missing = f"missing({definition.end[0]})"
    over = row.resolved_at or row.closed_at
    if over is None or definition.missing == "leave_out" or _came_unseen(row, definition.end):
        if goes_on:
            return _span(row, definition, [_Stretch(start, None, True)], groups, as_of)
        return Missing(row.id, missing, start, over, groups, row.positions)
    censored = missing if definition.missing == "censor" else None
    return _span(row, definition, [_Stretch(start, over, False)], groups, as_of, censored)


def _stated(
    row: IncidentFacts, definition: IncidentDuration, groups: tuple[str, ...]
) -> Span | Missing:
    value = None if definition.STATED is None else row.stated.get(definition.STATED)
    start, end = row.detected_at, row.resolved_at or row.closed_at
    if value is None or value < -SLACK:
        reason = "missing(stated duration)" if value is None else "negative"
        return Missing(row.id, reason, start, end, groups, row.positions)
    before = early(value)
    value = ROUNDINGS[definition.round_each](max(0, value))
    span = Span(row.id, value, value, value, True, False, start, end, groups, row.positions)
    return span._replace(early=True) if before else span


# --- the figure -----------------------------------------------------------------------------------


_PLAIN: Final = {
    "start": ("detected",),
    "source": "moments",
    "clock": "wall",
    "round_each": "none",
}


_PLAIN_ENDS: Final = frozenset({("resolved",), ("acknowledged",), ("mitigated",)})


def _is_plain(definition: IncidentDuration) -> bool:
    """Say whether nearly every incident is one stretch between two exact times."""
    plainly = all(getattr(definition, name) == value for name, value in _PLAIN.items())
    return plainly and definition.end in _PLAIN_ENDS


def _durations(
    facts: Facts, definition: IncidentDuration, as_of: datetime
) -> tuple[Durations, Sequence[LeftOut]]:
    indices, out = indices_of_incidents(facts, definition)
    causes: Mapping[str, Moment] = {}
    if _needs_causes(definition):
        causes = causes_deployed(facts)
    durations = Durations()
    if _is_plain(definition):
        durations, indices = _plain(facts, indices, definition)
    for index in indices:
        durations.others += spans_of(facts.incidents[index], definition, causes, as_of)
    return durations, out


def _plain(
    facts: Facts, indices: Sequence[int], definition: IncidentDuration
) -> tuple[Durations, Sequence[int]]:
    """Return what is plain from the columns, as nearly all is, and where the rest stands."""
    columns = facts.incidents.columns
    starts = columns.detected
    ends: array[int] = getattr(columns, definition.end[0])
    counted = mask_of(indices, len(starts))
    started = logical_and(counted, is_exact(starts))
    if definition.reopened != "last" and definition.end != ("acknowledged",):
        # Of what was open again it is not the last time alone that says how long that was.
        started = logical_and(started, columns.once)
    taken = logical_and(started, is_exact(ends))
    values = list(map(sub, compress(ends, taken), compress(starts, taken)))
    if min(values, default=0) < 0:
        # What is negative is told one by one.
        for index, value in zip(indices_set(taken), values, strict=True):
            taken[index] = value >= 0
        values = [value for value in values if value >= 0]
    never = logical_and(started, _never_came(columns, definition))

    def stretches(mask: bytearray) -> dict[str, Any]:
        mine = indices_set(mask)

        def who(here: int) -> Who:
            row = facts.incidents[mine[here]]
            return row.id, row.positions

        return {
            "count": len(mine),
            "starts": lambda: take(starts, mine),
            "who": who,
            "groups": groups_at(facts.incidents, mine, definition).__getitem__,
        }

    def at(times: Sequence[int], mask: bytearray) -> Callable[[], Sequence[int]]:
        return lambda: list(compress(times, mask))

    # What was never acknowledged was over with its resolution; of the mitigation nothing is known.
    over_at = at(columns.resolved, never) if definition.end == ("acknowledged",) else None
    reason = f"missing({definition.end[0]})"
    return Durations(
        Columns(values=values, ends=at(ends, taken), **stretches(taken)),
        [MissingColumns(reason=reason, ends=over_at, **stretches(never))],
    ), indices_set(logical_and(counted, logical_not(taken), logical_not(never)))


def _never_came(columns: IncidentColumns, definition: IncidentDuration) -> bytearray:
    """Return flags that are set where an incident is plainly over without the end asked for."""
    never = logical_and(logical_not(columns.open), is_none(getattr(columns, definition.end[0])))
    if definition.end != ("acknowledged",):
        return never
    if definition.missing != "leave_out":
        return bytearray(len(never))
    return logical_and(never, is_exact(columns.resolved))


def measure(facts: Facts, definition: IncidentDuration) -> Figure:
    """Compute a duration over all incidents the definition takes."""
    durations = Durations()
    out: Sequence[LeftOut] = ()
    if facts.as_of is not None:  # an empty log has none
        durations, out = _durations(facts, definition, facts.as_of)
    shape = Shape(
        statistic=definition.statistic,
        in_window=definition.in_window,
        round_each=definition.round_each,
    )
    figure = with_parts(durations, out, facts, definition, shape)
    if _needs_causes(definition):
        figure = attrs.evolve(figure, notes=(*figure.notes, *_unknown_causes(facts, definition)))
    if definition.clock == "business":
        figure = attrs.evolve(figure, notes=(*figure.notes, *_waits_passed_over(facts, figure)))
    return figure


def _needs_causes(definition: IncidentDuration) -> bool:
    return any(name.startswith("cause_deployed") for name in definition.start)


def _unknown_causes(facts: Facts, definition: IncidentDuration) -> tuple[str, ...]:
    """Return the note on causes of the incidents counted that name no change of the log."""
    indices, _ = indices_of_incidents(facts, definition)
    verdicts = facts.incidents.columns.verdicts
    stated = [
        change
        for index in indices
        for change, verdict in verdicts[index].items()
        if verdict is Verdict.CAUSED
    ]
    unknown = (change for change in stated if facts.changes.index_of(change) is None)
    return unknown_notes("causes", len(stated), unknown)


def _waits_passed_over(facts: Facts, figure: Figure) -> Iterator[str]:
    ids = {entry.id for entry in (*figure.included, *figure.censored)}
    rows = (row for row in facts.incidents if row.id in ids)
    count = sum(hold.held is None for row in rows for hold in row.holds)
    if count:
        yield f"waits that began nobody knows when, and stopped no clock: {count}"


time_to_detect = figure_function(TimeToDetect, measure)
time_to_acknowledge = figure_function(TimeToAcknowledge, measure)
time_to_mitigate = figure_function(TimeToMitigate, measure)
time_to_restore = figure_function(TimeToRestore, measure)
time_to_repair = figure_function(TimeToRepair, measure)
mean_time_to_restore = figure_function(MeanTimeToRestore, measure)
