"""
Outages of services: downtime, availability, time between failures, and what users felt.

An incident is down from one moment to another, in each stretch it was open. The outages of a
service are the *union* of those stretches: where two incidents overlap or touch, time is counted
once. Everything is whole microseconds inside; figures are in seconds or shares.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import ClassVar, Final, NamedTuple, TypeAlias

import attrs

from imcm.domain.incident import OPEN
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.vocabulary import Between, Moment, earliest, latest, midpoint
from imcm.errors import InvalidValue
from imcm.projections.facts.fold import Facts, IncidentFacts, Spell
from imcm.projections.facts.instants import FIRST, instant, moment_of
from imcm.projections.figures.bounds import inside
from imcm.projections.figures.definition import Definition, given_time, names
from imcm.projections.figures.durations import SLACK, Missing, early_notes
from imcm.projections.figures.figure import STILL_OPEN, Figure, Included, LeftOut
from imcm.projections.figures.function import began, figure_function, unread_notes
from imcm.projections.figures.groups import with_groups
from imcm.projections.figures.lazy import LazySequence
from imcm.projections.figures.periods import buckets
from imcm.projections.figures.population import groups_of, incident_matches, why_incident_out
from imcm.projections.figures.units import SECONDS, SHARE, elapsed, shown
from imcm.projections.figures.windows import Period

CUSTOMER_SECONDS: Final = "customer seconds"
SECOND: Final = 1_000_000

STARTS: Final = ("detected", "impact_started", "declared")
ENDS: Final = ("resolved", "mitigated", "closed")

Pair: TypeAlias = tuple[int, int]


# --- definitions ----------------------------------------------------------------------------------


def _observed_from(value: object) -> datetime | None:
    return None if value is None else given_time("observed_from", value)


@attrs.frozen(kw_only=True, repr=False)
class Outages(Definition):
    """
    When a service was down, as far as its incidents say.

    Attributes:
        start, end: A moment, or a list of which the first that is present counts. A start is
            detected (default), impact_started or declared; an end is resolved (default),
            mitigated or closed.
        observed_from: From when on incidents were recorded; nothing is said of the time before it,
            and a window that begins earlier is cut there. None: the whole window was observed; a
            note says where it begins before the first moment that the log tells of.
    """

    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"start": STARTS, "end": ENDS}

    start: tuple[str, ...] = attrs.field(default=("detected",), converter=names)
    end: tuple[str, ...] = attrs.field(default=("resolved",), converter=names)
    observed_from: datetime | None = attrs.field(default=None, converter=_observed_from)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        for name in ("start", "end"):
            if not getattr(self, name):
                raise InvalidValue(name, (), "at least one moment")

    def _need_window(self) -> None:
        if self.window is None:
            raise InvalidValue(
                "window", None, f"{self.NAME} is about a stretch of time: give (start, end)"
            )


@attrs.frozen(kw_only=True, repr=False)
class Downtime(Outages):
    """
    For how long at least one incident was open, in seconds.

    The union of the stretches in which the incidents counted were open, cut to the window: where
    several overlap or touch, time counts once. Over several services the whole is the union, too:
    the time in which any of them was down; `group_by="service"` gives each by itself.

    Every stretch of a reopened incident counts by itself, from the reopening; a relapse after
    mitigation goes on with its stretch. Of merged incidents each one's stretches count for the
    services that it names itself. An incident still open lasts to `as_of`. One without a start or
    end, or whose end is before its start, is left out and named; up to a minute before it lasted no
    time, and a note says how many did. `bounds` of the window matter only for incidents without
    length.

    0 is a measurement: the window was observed and nothing was open. Undefined where nothing was
    observed: a log without incidents and changes, or a window that begins at or after `as_of`. A
    window that goes on after `as_of` is measured up to it, and a note says so.

    The bounds are the smallest union (latest starts to earliest ends) and the largest (earliest
    starts to latest ends) of the incidents counted.

    `included` has the seconds each incident was open in the window, overlaps with others not taken
    off; so it can add up to more. `counts` has the outages, overlapping and touching ones merged,
    and how many incidents are still open.

    Where both `services` and `group_by="service"` are given, each of those services has a row, also
    the one without incidents, and no other has. A note names those the log never mentions.

    Attributes:
        start, end: A moment, or a list of which the first that is present counts. A start is
            detected (default), impact_started or declared; an end is resolved (default),
            mitigated or closed. The start of a later stretch is its reopening.
    """

    NAME: ClassVar[str] = "downtime"


@attrs.frozen(kw_only=True, repr=False)
class Availability(Outages):
    """
    The share of a window in which no incident was open: 1 - downtime / length, from 0 to 1.

    Downtime is as in `downtime`: a union, so over several services this is the share in which
    none of them was down. The length is that of the instants, so a month in which the clock went
    forward is an hour shorter. `severities=("P1", "P2")` counts only the worse ones.

    It is the time-based availability of Site Reliability Engineering (Beyer et al., 2016, chapter
    3), uptime / (uptime + downtime), with incidents standing for downtime: it says nothing of
    what no incident was opened for, and takes a time before the log began for one without outages
    unless `observed_from` says since when it was watched; a note says so.

    Undefined where nothing was observed: a log without incidents and changes, or a window that
    begins at or after `as_of`. A window that goes on after `as_of` is cut there: the share is one
    of the observed part only, and a note says so. The bounds are those of downtime, turned round.

    Attributes:
        window: (start, end), both aware; required.
        start, end: As in `downtime`.

    Raises:
        InvalidValue: There is no window.
    """

    NAME: ClassVar[str] = "availability"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._need_window()


@attrs.frozen(kw_only=True, repr=False)
class TimeBetweenFailures(Outages):
    """
    MTBF: (length of the window - downtime) / number of merged outages, in seconds.

    Downtime is as in `downtime`; overlapping and touching incidents are one outage. It is the
    *operating* time between failures of reliability work (IEC 60050-192), not the time from one
    start to the next, which is longer by the mean outage. An outage that began before the window
    counts in it, so one that spans two buckets counts in both.

    Undefined without an outage (a window without failures says only that the figure is long), and
    where nothing was observed. A window that goes on after `as_of` is cut there, and a note says
    so. There are bounds only where the number of outages is the same however uncertain moments are
    read: a shorter outage can split a merged one in two, and then the figure does not follow
    downtime. `n` is the number of incidents, `counts` has that of outages.

    Attributes:
        window: (start, end), both aware; required.
        start, end: As in `downtime`.

    Raises:
        InvalidValue: There is no window.
    """

    NAME: ClassVar[str] = "time between failures"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._need_window()


@attrs.frozen(kw_only=True, repr=False)
class UserImpact(Outages):
    """
    Customers hit times the time they were hit, in customer seconds.

    For each incident whose number of customers is known: that number (the last one told) times
    the seconds its stretches lasted in the window, as in `downtime`. Incidents add up, also where
    they overlap: whether their customers are the same ones is not known. So 10 customers hit by
    two incidents for the same hour are 20 customer hours, or the hour of 20 customers. Merged
    incidents are one: at any time the largest number counts that one of those open then has.

    Incidents without a known number are not guessed: they add nothing, are counted ("incidents
    without known customers"), named in `left_out` as missing(customers), and make the figure a
    lower bound. A share of customers is no number. `n` and `included` are those with one.

    `counts` also has "downtime seconds", the union over all of them, with or without a number, as
    whole seconds rounded down; `downtime` with the same arguments has it exactly.

    0 where the window was observed and nothing was open in it. Undefined where nothing was
    observed, and where the customers of no incident are known.

    Attributes:
        start, end: As in `downtime`.
    """

    NAME: ClassVar[str] = "user impact"


# --- one incident ---------------------------------------------------------------------------------

_MOMENTS: Final = {
    "detected": "detected_at",
    "impact_started": "impact_started_at",
    "declared": "declared_at",
}


class Stretch(NamedTuple):
    """
    One stretch in which an incident was open, in microseconds since 1970 in UTC.

    *shortest* and *longest* are its readings: latest start to earliest end (which can be the
    wrong way round: it need not have lasted at all), earliest start to latest end. *customers* is
    the number hit in it; None where nobody said so.
    """

    row: IncidentFacts
    start: Moment
    pair: Pair
    shortest: Pair
    longest: Pair
    uncertain: bool
    still_open: bool
    groups: tuple[str, ...]
    customers: int | None
    early: bool = False


def _first_present(source: object, names: Iterable[str]) -> Moment | None:
    moments: Iterator[Moment | None] = (getattr(source, name) for name in names)
    return next((moment for moment in moments if moment is not None), None)


def _goes_on(row: IncidentFacts, definition: Outages) -> bool:
    """Say whether an incident without an end is not over, rather than over at an unknown time."""
    if row.status is IncidentStatus.MITIGATED and "mitigated" in definition.end:
        return False
    return row.status in OPEN


def stretches_of(
    row: IncidentFacts, definition: Outages, as_of: datetime
) -> Iterator[Stretch | Missing]:
    """
    Yield the stretches in which one incident was open, or why one of them can't be told.

    Where others are merged into it these are the stretches of each of them, for what it names.
    """
    for member in row.members or (row,):
        asked = not row.members or (bool(member.spells) and _asked_of(member, definition))
        if asked:
            yield from _stretches(row, member, definition, as_of)


def _asked_of(member: IncidentFacts, definition: Outages) -> bool:
    """Say whether a merged incident is of one of the services asked for."""
    return definition.services is None or not set(definition.services).isdisjoint(member.services)


def _stretches(
    row: IncidentFacts, member: IncidentFacts, definition: Outages, as_of: datetime
) -> Iterator[Stretch | Missing]:
    """Yield the stretches of one incident, or of one of those that *row* stands for."""
    groups = groups_of(member if definition.group_by == "service" else row, definition)
    customers = None if member.impact is None else member.impact.customers
    spells = member.spells or (Spell(),)
    for number, spell in enumerate(spells):
        if number == 0:
            start = _first_present(member, (_MOMENTS[name] for name in definition.start))
        else:
            start = spell.started
        end = _first_present(spell, definition.end)
        still_open = end is None and number == len(spells) - 1 and _goes_on(member, definition)
        if start is None:
            what = "reopened" if number else definition.start[0]
            yield Missing(row.id, f"missing({what})", None, end, groups, row.positions)
            continue
        if still_open:
            end = as_of
        if end is None:
            reason = f"missing({definition.end[0]})"
            yield Missing(row.id, reason, start, None, groups, row.positions)
        elif (length := elapsed(midpoint(start), midpoint(end))) < -SLACK:
            yield Missing(row.id, "negative", start, end, groups, row.positions)
        else:
            pair = instant(midpoint(start)), max(instant(midpoint(start)), instant(midpoint(end)))
            shortest = longest = pair
            uncertain = isinstance(start, Between) or isinstance(end, Between)
            if uncertain:
                shortest = instant(latest(start)), instant(earliest(end))
                longest = instant(earliest(start)), instant(latest(end))
            stretch = Stretch(
                *(row, start, pair, shortest, longest, uncertain, still_open, groups, customers)
            )
            yield stretch._replace(early=True) if length < 0 else stretch


# --- unions ---------------------------------------------------------------------------------------


class Cover(NamedTuple):
    """What a number of stretches come to together: the time they cover, in how many pieces."""

    time: int
    pieces: int


def cover(pairs: Iterable[Pair]) -> Cover:
    """
    Return the time that (start, end) pairs cover together, in their unit.

    Order does not matter. Pairs that overlap or touch are one piece; a pair without length covers
    nothing, and is a piece where it is by itself.
    """
    time = pieces = 0
    reached: int | None = None
    for start, end in sorted(pairs):
        if reached is None or reached < start:
            pieces += 1
            reached = start
        if reached < end:
            time += end - reached
            reached = end
    return Cover(time, pieces)


Weighed: TypeAlias = tuple[int, int, int]
"""A stretch of time, from its start to its end, and what it weighs."""

_ENDLESS: Final = 1 << 63
"""A time after all others."""


def weigh(stretches: Iterable[Weighed]) -> int:
    """Return the time that stretches cover together, each moment times the most it weighs."""
    total = reached = 0
    heaviest: list[tuple[int, int]] = []  # less its weight, and where it ends, of those begun
    for start, end, weight in (*sorted(stretches), (_ENDLESS, _ENDLESS, 0)):
        while heaviest and reached < start:
            most, over = heaviest[0]
            if over <= reached:
                heappop(heaviest)
                continue
            upto = min(over, start)
            total -= most * (upto - reached)
            reached = upto
        reached = start
        heappush(heaviest, (-weight, end))
    return total


def _cut(pair: Pair, low: int, high: int) -> Pair | None:
    """Return the part of a pair that lies in a period; None where there is none."""
    start, end = max(pair[0], low), min(pair[1], high)
    if start < end or (start == end and pair[0] == pair[1]):
        return start, end
    return None


# --- one window -----------------------------------------------------------------------------------

_BEGINNING: Final = instant(datetime.min.replace(tzinfo=UTC))


class _Counted(NamedTuple):
    """What counts in one window: incidents with their stretches, and what the window is."""

    by_incident: Mapping[str, tuple[IncidentFacts, Sequence[Stretch]]]
    low: int
    high: int
    uncertain: int

    def pairs(self, of: Callable[[Stretch], Pair], id_: str | None = None) -> list[Pair]:
        """Return one reading of all stretches, or of one incident's, cut to the window."""
        rows = self.by_incident.values() if id_ is None else (self.by_incident[id_],)
        cut = (
            _cut(of(stretch), self.low, self.high) for _, stretches in rows for stretch in stretches
        )
        return [pair for pair in cut if pair is not None]

    def cover(self, of: Callable[[Stretch], Pair], id_: str | None = None) -> Cover:
        return cover(self.pairs(of, id_))

    def customer_time(self, of: Callable[[Stretch], Pair], id_: str) -> int:
        """Return one reading of an incident's time, times the customers hit in it."""
        weighed = [
            (*pair, stretch.customers)
            for stretch in self.by_incident[id_][1]
            if stretch.customers is not None
            and (pair := _cut(of(stretch), self.low, self.high)) is not None
        ]
        return weigh(weighed)

    @property
    def length(self) -> int:
        return self.high - self.low


def _middle(stretch: Stretch) -> Pair:
    return stretch.pair


def _shortest(stretch: Stretch) -> Pair:
    return stretch.shortest


def _longest(stretch: Stretch) -> Pair:
    return stretch.longest


class _Answer(NamedTuple):
    """What one kind of figure makes of what was counted."""

    value: float | None
    reason: str | None = None
    extremes: tuple[float, float] | None = None
    counts: Mapping[str, int] = {}
    left_out: tuple[LeftOut, ...] = ()
    included: Mapping[str, int] | None = None  # microseconds, times customers; None: downtime
    notes: tuple[str, ...] = ()


def _downtime(counted: _Counted) -> _Answer:
    def seconds(of: Callable[[Stretch], Pair]) -> float:
        return counted.cover(of).time / SECOND

    extremes = (seconds(_shortest), seconds(_longest)) if counted.uncertain else None
    return _Answer(seconds(_middle), extremes=extremes)


def _availability(counted: _Counted) -> _Answer:
    def share(of: Callable[[Stretch], Pair]) -> float:
        return (counted.length - counted.cover(of).time) / counted.length

    extremes = (share(_longest), share(_shortest)) if counted.uncertain else None
    return _Answer(share(_middle), extremes=extremes)


def _between_failures(counted: _Counted) -> _Answer:
    def mean(down: Cover) -> float:
        return (counted.length - down.time) / (SECOND * down.pieces)

    down = counted.cover(_middle)
    if not down.pieces:
        return _Answer(None, "no outage")
    extremes = None
    if counted.uncertain:
        # Growing stretches never splits an outage, so a number of outages that is the same at
        # both ends is the same in between; a stretch that may not have been at all, or not in
        # the window, leaves the number open.
        shortest = counted.pairs(_shortest)
        least, most = cover(shortest), counted.cover(_longest)
        if len(shortest) == len(counted.pairs(_middle)) and least.pieces == most.pieces:
            extremes = mean(most), mean(least)
    return _Answer(mean(down), extremes=extremes)


def _user_impact(counted: _Counted) -> _Answer:
    known: list[str] = []
    unknown: list[LeftOut] = []
    for row, stretches in counted.by_incident.values():
        if all(stretch.customers is None for stretch in stretches):
            reason = "missing(customers)"
            unknown.append(LeftOut(id=row.id, reason=reason, positions=row.positions))
        else:
            known.append(row.id)

    def total(of: Callable[[Stretch], Pair]) -> int:
        return sum(counted.customer_time(of, id_) for id_ in known)

    down = counted.cover(_middle).time
    notes = [f"downtime of all of them together: {shown(down / SECOND, SECONDS)}"]
    if unknown:
        notes.append(f"a lower bound: the customers of {len(unknown)} are not known")
    nobody = bool(unknown) and not known
    extremes = None
    if counted.uncertain and not nobody:
        extremes = total(_shortest) / SECOND, total(_longest) / SECOND
    return _Answer(
        value=None if nobody else total(_middle) / SECOND,
        reason=f"the customers of none of {len(unknown)} are known" if nobody else None,
        extremes=extremes,
        counts={
            "incidents without known customers": len(unknown),
            "downtime seconds": down // SECOND,
        },
        left_out=tuple(unknown),
        included={id_: counted.customer_time(_middle, id_) for id_ in known},
        notes=tuple(notes),
    )


_Ask = Callable[[_Counted], _Answer]


# --- the figure -----------------------------------------------------------------------------------


def _in(stretch: Stretch, window: Period | None, definition: Definition) -> bool:
    if window is None:
        return True
    if stretch.pair[0] == stretch.pair[1]:
        return inside(stretch.start, window, definition.bounds)
    return _cut(stretch.pair, instant(window[0]), instant(window[1])) is not None


def _missing_in(missing: Missing, window: Period | None, definition: Definition) -> bool:
    """Say whether something left out belongs to a window; without any moment it may to each."""
    moments = [moment for moment in (missing.start, missing.end) if moment is not None]
    return not moments or any(inside(moment, window, definition.bounds) for moment in moments)


def _summary(
    stretches: Iterable[Stretch | Missing],
    facts: Facts,
    definition: Outages,
    unit: str,
    ask: _Ask,
    window: Period | None,
) -> Figure:
    by_incident: dict[str, tuple[IncidentFacts, list[Stretch]]] = {}
    out: list[LeftOut] = []
    for stretch in stretches:
        if isinstance(stretch, Missing):
            if _missing_in(stretch, window, definition):
                out.append(
                    LeftOut(id=stretch.id, reason=stretch.reason, positions=stretch.positions)
                )
        elif _in(stretch, window, definition):
            by_incident.setdefault(stretch.row.id, (stretch.row, []))[1].append(stretch)
    low = _BEGINNING if window is None else instant(window[0])
    since = definition.observed_from
    if since is not None:
        low = max(low, instant(since))
    observed = low if facts.as_of is None else instant(facts.as_of)
    high = observed if window is None else min(observed, instant(window[1]))
    uncertain = sum(any(s.uncertain for s in many) for _, many in by_incident.values())
    counted = _Counted(by_incident, low, high, uncertain)
    early = sum(stretch.early for _, many in by_incident.values() for stretch in many)
    notes = (*unread_notes(facts), *early_notes(early))
    if facts.empty:
        answer = _Answer(None, "nothing was recorded")
    elif low < high:
        answer = ask(counted)
        if window is not None:
            notes += _before_the_log(facts, definition, window)
        if window is not None and observed + 1 < instant(window[1]):
            notes += (f"observed up to {facts.as_of} only; the window goes on to {window[1]}",)
    elif window is not None and since is not None and instant(window[1]) <= instant(since):
        answer = _Answer(None, f"not observed before {since}")
    elif observed <= low:
        answer = _Answer(None, "the window begins at or after as_of")
    else:  # a day that its zone left out, or a window of one instant
        answer = _Answer(None, "the period has no length")
    zero = answer.value is None and definition.empty == "zero"
    return Figure(
        name=type(definition).NAME,
        value=0.0 if zero else answer.value,
        reason=None if zero else answer.reason,
        unit=unit,
        n=len(by_incident) if answer.included is None else len(answer.included),
        definition=definition,
        window=window,
        as_of=facts.as_of,
        known_at=facts.known_at,
        log_position=facts.log_position,
        mark=facts.mark,
        bounds=answer.extremes,
        uncertain=uncertain,
        included=_included(counted, answer),
        left_out=LazySequence.of(sorted((*out, *answer.left_out), key=lambda entry: entry.id)),
        counts={
            "outages": counted.cover(_middle).pieces,
            STILL_OPEN: sum(any(s.still_open for s in many) for _, many in by_incident.values()),
            **answer.counts,
        },
        notes=(*notes, *answer.notes),
    )


def _before_the_log(facts: Facts, definition: Outages, window: Period) -> tuple[str, ...]:
    """Return the note on a window that begins before anything the log tells of."""
    since = definition.observed_from
    if since is not None:
        cut = instant(window[0]) < instant(since)
        return (f"observed from {since} only; the window begins {window[0]}",) if cut else ()
    first = began(facts)
    if first is None or instant(first) <= instant(window[0]):
        return ()
    text = f"the window begins {window[0]}, before the first moment of the log, {first}"
    return (f"{text}: nothing was recorded until then, which is taken as up; see observed_from",)


def _included(counted: _Counted, answer: _Answer) -> LazySequence[Included]:
    included: list[Included] = []
    for id_, (row, stretches) in counted.by_incident.items():
        if answer.included is None:
            value = counted.cover(_middle, id_).time
        elif id_ in answer.included:
            value = answer.included[id_]
        else:
            continue
        why = [f"{len(stretches)} stretches"] if len(stretches) > 1 else []
        why += [STILL_OPEN] if any(stretch.still_open for stretch in stretches) else []
        included.append(
            Included(id=id_, value=value / SECOND, why="; ".join(why), positions=row.positions)
        )
    return LazySequence.of(sorted(included, key=lambda entry: (entry.value, entry.id)))


def _by_period(
    stretches: Sequence[Stretch | Missing], periods: Sequence[Period]
) -> list[list[Stretch | Missing]]:
    """Return, for each period, what may belong to it; they are in order and do not overlap."""
    starts = [instant(start) for start, _ in periods]
    ends = [instant(end) for _, end in periods]
    shared: list[list[Stretch | Missing]] = [[] for _ in periods]
    for stretch in stretches:
        if isinstance(stretch, Missing):
            touched = range(len(periods))
        else:
            touched = range(
                bisect_left(ends, stretch.pair[0]), bisect_right(starts, stretch.pair[1])
            )
        for index in touched:
            shared[index].append(stretch)
    return shared


def _figure(facts: Facts, definition: Outages, unit: str, ask: _Ask) -> Figure:
    """Compute a figure over the outages of all incidents the definition takes."""
    stretches: list[Stretch | Missing] = []
    out: list[LeftOut] = []
    moments: list[datetime] = []
    as_of = facts.as_of or FIRST  # where there is none, there are no rows
    for row in facts.incidents:
        if not incident_matches(row, definition):
            continue
        why = why_incident_out(row, definition)
        if why is not None:
            # Merged and dismissed incidents have no place in time, so every window names them.
            out.append(LeftOut(id=row.id, reason=why, positions=row.positions))
        else:
            stretches += stretches_of(row, definition, as_of)
    for stretch in stretches:
        if isinstance(stretch, Stretch):
            moments += (moment_of(stretch.pair[0]), moment_of(stretch.pair[1]))
    periods = list(buckets(definition, moments))
    names = _groups(stretches, definition)
    members: dict[str | None, Sequence[Stretch | Missing]] = {None: stretches}
    for name in names:
        members[name] = [stretch for stretch in stretches if name in stretch.groups]
    shared = {name: _by_period(some, periods) for name, some in members.items()}

    def figure(name: str | None, number: int | None) -> Figure:
        window = definition.window if number is None else periods[number]
        some = members.get(name, ())
        if number is not None and name in shared:
            some = shared[name][number]
        part = _summary(some, facts, definition, unit, ask, window)
        return attrs.evolve(part, group=name)

    whole = figure(None, None)
    out += whole.left_out
    whole = attrs.evolve(whole, left_out=LazySequence.of(sorted(out, key=lambda entry: entry.id)))
    return with_groups(facts, whole, names, periods, figure)


def _groups(stretches: Iterable[Stretch | Missing], definition: Definition) -> list[str]:
    """Return the groups that have a row; asked for some services, those have one and no other."""
    if definition.group_by == "service" and definition.services is not None:
        return sorted(set(definition.services))
    return sorted({name for stretch in stretches for name in stretch.groups})


def _measure_downtime(facts: Facts, definition: Downtime) -> Figure:
    return _figure(facts, definition, SECONDS, _downtime)


def _measure_availability(facts: Facts, definition: Availability) -> Figure:
    return _figure(facts, definition, SHARE, _availability)


def _measure_between_failures(facts: Facts, definition: TimeBetweenFailures) -> Figure:
    return _figure(facts, definition, SECONDS, _between_failures)


def _measure_user_impact(facts: Facts, definition: UserImpact) -> Figure:
    return _figure(facts, definition, CUSTOMER_SECONDS, _user_impact)


downtime = figure_function(Downtime, _measure_downtime)
availability = figure_function(Availability, _measure_availability)
time_between_failures = figure_function(TimeBetweenFailures, _measure_between_failures)
user_impact = figure_function(UserImpact, _measure_user_impact)
