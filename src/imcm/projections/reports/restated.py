"""
A published figure, what is known today, and because of which events they differ.

Log position is the only order of knowledge: what was known at a point is a prefix of the log. The
effect of an event is the change of the value when it is added in log order, so the effects of all
events between two points add up to the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Any

import attrs

from imcm.documents.shown import Shown, checked_most
from imcm.domain.corrections import CORRECTIONS
from imcm.domain.incident_events import VerdictGiven
from imcm.domain.recorded import LogMark, Recorded, Unread, checked_log, known
from imcm.domain.vocabulary import checked_function, optional_time
from imcm.errors import InvalidValue
from imcm.plain import joined, plain, quoted
from imcm.projections.facts.fold import Facts, FactsFold
from imcm.projections.figures.drawing import drawn
from imcm.projections.figures.excerpt import SOME, excerpt
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.figures.lazy import LazySequence
from imcm.projections.figures.units import SHAPE, shown

if TYPE_CHECKING:
    from imcm.documents.structure import Document
    from imcm.projections.figures.drawing import Axes

__all__ = ["Added", "Effect", "Restatement", "restated"]


@attrs.frozen(kw_only=True)
class Added:
    """
    One event that became known between the two points.

    Attributes:
        position: Its log position.
        stream: Of what it tells, such as "incident:INC-7".
        version: Which event of its stream it is.
        type: Its type name.
        by: Id of who, or what, told it; "" where the event can't be read.
        why: The reason given, in words; "" where none was, or the words were taken out.
        field: What it corrects, or on which change it gives a verdict; "" where it does neither.
        was, now: The value of the field before and since; None where the event does not say, or
            nothing stood there.
    """

    position: int
    stream: str
    version: int
    type: str
    by: str = ""
    why: str = ""
    field: str = ""
    was: object = None
    now: object = None

    def said(self) -> str:
        """Return in words who told it, what it was and is, and why; "" where nobody knows."""
        fact = ""
        if self.field:
            was = "" if self.was is None else f"was {jsonable(self.was)}, "
            now = "not known" if self.now is None else jsonable(self.now)
            fact = f"{self.field} {was}is {now}"
        what = f"{fact} ({self.why})" if fact and self.why else fact or self.why
        return plain(": ".join(filter(None, (quoted(self.by) if self.by else "", what))))


@attrs.frozen(kw_only=True)
class Effect:
    """
    One record that changed the value: the events of one call, which were recorded together.

    Attributes:
        record: Id of the call.
        recorded_at: When the ledger took its first event.
        events: Its events, in log order; of a record that the earlier point of knowledge cut in
            two, those after it.
        value_before, value_after: The value without and with them; None is undefined.
        effect: value_after - value_before, as an exact fraction of the two floats; None where one
            of them is undefined.
    """

    record: str
    recorded_at: datetime
    events: Sequence[Added]
    value_before: float | None
    value_after: float | None
    effect: Fraction | None

    def __repr__(self) -> str:
        """Return in one line which record it is, and what it did to the value."""
        values = f"{self.value_before} to {self.value_after}"
        return f"<Effect of record {self.record!r}, {len(self.events):,} events: {values}>"

    @property
    def positions(self) -> tuple[int, ...]:
        """The log positions of its events."""
        return tuple(event.position for event in self.events)


@attrs.frozen(kw_only=True)
class Restatement(Shown):
    """
    A figure at two points of knowledge, and what happened to it between them.

    Attributes:
        before, after: The figure as known at the earlier and at the later point, both `as_of` the
            same time.
        changes: The records that changed the value, in log order.
        events: How many events became known between the two points.
        without_effect: How many of them are in records that did not change the value.
    """

    before: Figure
    after: Figure
    changes: Sequence[Effect] = ()
    events: int = 0
    without_effect: int = 0

    def __repr__(self) -> str:
        """Return both values in one line, and how many records made the difference."""
        records = f"{len(self.changes):,} records changed it"
        return f"{self._head()}; {records}, {self.events:,} events between"

    def document(self, *, most: int | None = None) -> Document:
        """Return it as a document; see `imcm.documents`. *most* rows a table; None for all."""
        from imcm.projections.reports.display import (
            restatement_document,  # which knows this class, too
        )

        return restatement_document(self, most=checked_most(most))

    def _head(self) -> str:
        before, after = (shown(f.value, self.after.unit) for f in (self.before, self.after))
        return f"{self.after.name}, restated: {before} became {after}"

    @property
    def exact_difference(self) -> Fraction | None:
        """The later value minus the earlier, as an exact fraction; None where one is undefined."""
        return _difference(self.before.value, self.after.value)

    @property
    def difference(self) -> float | None:
        """The later value minus the earlier, in the unit of the figure; None likewise."""
        return _rounded(self.exact_difference)

    @property
    def across_undefined(self) -> Fraction | None:
        """
        The part of the difference that no single record has.

        0 unless the value was undefined for a while: going there and coming back have no effect
        of their own. The effects and this always add up to `exact_difference`, exactly; None
        where that is.
        """
        total = self.exact_difference
        if total is None:
            return None
        return total - sum(
            (change.effect for change in self.changes if change.effect is not None), Fraction()
        )

    def explain(self) -> str:
        """
        Return, for a person, both values and the records that changed the first one.

        Of many records those are told that changed it most; all of them are in `changes`.
        """
        unit = self.after.unit
        lines = [
            self._head(),
            f"  before: {_side(self.before)}",
            f"  after: {_side(self.after)}",
            f"  as of {self.after.as_of}",
            f"  difference: {shown(self.difference, unit)}",
            f"  events between: {self.events:,}; without effect: {self.without_effect:,}",
        ]
        for change in _most(self.changes):
            values = " to ".join(shown(v, unit) for v in (change.value_before, change.value_after))
            effect = shown(_rounded(change.effect), unit)
            lines.append(
                f"  from {values}, effect {effect}: record {change.record} of {change.recorded_at}"
            )
            lines += excerpt(change.events, _added, indent="    ")
        more = len(self.changes) - SOME
        if more > 0:
            lines.append(f"  ... and {more:,} more records, which changed it less")
        rest = self.across_undefined
        if rest:
            lines.append(f"  across undefined values: {shown(float(rest), unit)}")
        return joined(lines)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """
        Draw what moved the figure since it was published; see `imcm.plots.restatement`.

        Args:
            ax: Axes of matplotlib to draw into; None makes new ones.

        Raises:
            MissingExtraError: The extra `plot` is not installed.
        """
        return drawn(self, ax=ax)

    def as_dict(self, *, population: bool = False) -> dict[str, Any]:
        """
        Return the restatement as plain values for JSON; docs/json.md says what its keys mean.

        Every effect is there twice: as a number, rounded, and exactly as the text of a fraction.

        Args:
            population: True gives the lists of who both figures counted, which are None otherwise.
        """
        return {
            "shape": SHAPE,
            "before": self.before.as_dict(population=population),
            "after": self.after.as_dict(population=population),
            "difference": self.difference,
            "exact_difference": _text(self.exact_difference),
            "across_undefined": _text(self.across_undefined),
            "events": self.events,
            "without_effect": self.without_effect,
            "changes": [
                {
                    "record": change.record,
                    "recorded_at": change.recorded_at.isoformat(),
                    "events": [jsonable(event) for event in change.events],
                    "value_before": change.value_before,
                    "value_after": change.value_after,
                    "effect": _rounded(change.effect),
                    "exact_effect": _text(change.effect),
                }
                for change in self.changes
            ],
        }


def _most(changes: Sequence[Effect]) -> list[Effect]:
    """Return the records that changed the value most, in log order; first of all to undefined."""

    def size(index: int) -> tuple[bool, Fraction]:
        effect = changes[index].effect
        return effect is None, Fraction() if effect is None else abs(effect)

    largest = sorted(range(len(changes)), key=size, reverse=True)[:SOME]
    return [changes[index] for index in sorted(largest)]


def _added(event: Added) -> Iterator[str]:
    said = event.said()
    yield f"    position {event.position}: {event.type} of {event.stream}{said and f', {said}'}"


def restated(
    log: Iterable[Recorded],
    figure_of: Callable[[Facts], Figure],
    *,
    known_at_a: int | datetime | Figure,
    known_at_b: int | datetime | None = None,
    as_of: datetime | None = None,
) -> Restatement:
    """
    Return a figure as known at one point, as known at a later one, and why they differ.

    Events of one record (one call) that follow each other in the log are added together, as they
    were recorded: an effect belongs to the record and names its events. Values are floats, and a
    float is an exact fraction, so effects are differences of fractions: added up they give the
    difference without any rounding. Undefined values have no effect; see `across_undefined`.

    Reads the log once. Costs one computation of all facts and of the figure for each record
    between the two points; none is replayed from the start.

    Args:
        log: Recorded events in log order: a ledger's `replay()`, which can tell whether it is the
            log of a published figure, or any list of them, which can't.
        figure_of: What to compute, for example `lambda facts: time_to_restore(facts,
            window=quarter)`. A pure function.
        known_at_a: The earlier point: the figure as it was published, which knows how far it read;
            or a position or a time, see `imcm.facts`.
        known_at_b: The later one; None is the end of the log.
        as_of: World facts later than this are cut on both sides, so that only knowledge differs.
            None is that of the published figure, where one is given, else the newest
            `recorded_at` in the part known at b. To repeat the digits of a figure that was
            published, give its own `as_of`.

    Raises:
        InvalidValue: The later point lies before the earlier, or one is no position and no time;
            or the published figure is not of this log, the log was renumbered since, or *figure_of*
            computes another one.
        NaiveTimeError: A time without a zone.
    """
    published: Figure | None = None
    as_of = optional_time("as_of", as_of)
    checked_function("figure_of", figure_of)
    if isinstance(known_at_a, Figure):
        published = known_at_a
        _refuse_other_log(published, log)
        as_of = published.as_of if as_of is None else as_of
        known_at_a = published.log_position
    read = list(checked_log(log))
    n_a, n_b = points(read, known_at_a, known_at_b)
    if as_of is None:
        as_of = newest(read[:n_b])
    fold = FactsFold()
    fold.add_all(read[:n_a])
    before = figure_of(fold.facts(as_of=as_of, known_at=known_at_a))
    if published is not None and as_of == published.as_of:
        _refuse_other_figure(published, before)
    value, changes, without_effect = before.value, list[Effect](), 0
    for events in _records(read[n_a:n_b]):
        fold.add_all(events)
        position = events[-1].position
        following = figure_of(fold.facts(as_of=as_of, known_at=position)).value
        if following == value:
            without_effect += len(events)
        else:
            changes.append(_effect(events, value, following))
        value = following
    return Restatement(
        before=before,
        after=figure_of(fold.facts(as_of=as_of, known_at=known_at_b)),
        changes=LazySequence.of(changes),
        events=n_b - n_a,
        without_effect=without_effect,
    )


def _refuse_other_log(published: Figure, log: object) -> None:
    """Refuse a figure that was read from another log, as far as the log can tell."""
    mark_at: Callable[..., LogMark | None] | None = getattr(log, "mark_at", None)
    if published.mark is None or mark_at is None:
        return
    there = mark_at(published.mark.position)
    if there != published.mark:
        text = f"position {published.mark.position} of {published.mark.ledger}"
        if there is not None and there.ledger != published.mark.ledger:
            allowed = f"a figure of this log, which is {there.ledger}"
        else:
            allowed = (
                "a figure of this log: another event stands there now, or another number of them "
                "before it; the log was renumbered or altered, and an audit says more"
            )
        raise InvalidValue("known_at_a", text, allowed)


def _refuse_other_figure(published: Figure, again: Figure) -> None:
    """Refuse what computes another figure than the published one, or another value of it."""
    expected = (published.name, published.definition, published.value)
    if expected == (again.name, again.definition, again.value):
        return
    if expected[:2] != (again.name, again.definition):
        allowed = f"what computes the published figure, {published.name}, as it was defined"
        raise InvalidValue("figure_of", again.name, allowed)
    allowed = (
        f"what gives the published value, {published.value}, from the log as it was known then; "
        "give the facts it was computed from the same filters, or look with an audit"
    )
    raise InvalidValue("figure_of", again.value, allowed)


def points(
    log: Sequence[Recorded], known_at_a: int | datetime, known_at_b: int | datetime | None
) -> tuple[int, int]:
    """
    Return how many events of a log were known at each of two points of knowledge.

    Raises:
        InvalidValue: The later point lies before the earlier, or one is no position and no time.
        NaiveTimeError: A time without a zone.
    """
    n_a = sum(1 for _ in known(log, known_at_a))
    n_b = sum(1 for _ in known(log, known_at_b))
    if n_b < n_a or _earlier(known_at_b, known_at_a):
        allowed = f"the later point of knowledge must not lie before the earlier, {known_at_a}"
        raise InvalidValue("known_at_b", known_at_b, allowed)
    return n_a, n_b


def newest(log: Iterable[Recorded]) -> datetime | None:
    """Return when the newest event was recorded; None where there is none."""
    return max((recorded.recorded_at for recorded in log), default=None)


def _earlier(b: int | datetime | None, a: int | datetime) -> bool:
    """Say whether two points of the same kind are in the wrong order, whatever the log holds."""
    if isinstance(a, datetime):
        return isinstance(b, datetime) and b < a
    return isinstance(b, int) and b < a


def _records(log: Iterable[Recorded]) -> Iterator[list[Recorded]]:
    for _, events in groupby(log, key=lambda recorded: recorded.record):
        yield list(events)


def _effect(events: list[Recorded], before: float | None, after: float | None) -> Effect:
    return Effect(
        record=events[0].record,
        recorded_at=events[0].recorded_at,
        events=LazySequence.of(_added_by(recorded) for recorded in events),
        value_before=before,
        value_after=after,
        effect=_difference(before, after),
    )


def _added_by(recorded: Recorded) -> Added:
    """Return what is told of one event: where it stands, who told it, and why."""
    event: Any = recorded.event  # Any: what an event carries depends on its class.
    field, was, now = "", None, None
    if type(event) in CORRECTIONS:
        field, was, now = event.field, event.was, event.now
    elif isinstance(event, VerdictGiven):
        field, now = f"verdict on change {quoted(event.change)}", event.verdict
    return Added(
        position=recorded.position,
        stream=recorded.stream,
        version=recorded.version,
        type=event.type if isinstance(event, Unread) else type(event).__name__,
        by=getattr(event, "by", ""),
        why="" if isinstance(event, Unread) else getattr(event, "why", ""),
        field=field,
        was=was,
        now=now,
    )


def _difference(before: float | None, after: float | None) -> Fraction | None:
    return None if before is None or after is None else Fraction(after) - Fraction(before)


def _rounded(exact: Fraction | None) -> float | None:
    return None if exact is None else float(exact)


def _text(exact: Fraction | None) -> str | None:
    return None if exact is None else str(exact)


def _side(figure: Figure) -> str:
    known_at = "the end of the log" if figure.known_at is None else figure.known_at
    value = shown(figure.value, figure.unit)
    return f"{value}, n = {figure.n:,}, known at {known_at} (log position {figure.log_position})"
