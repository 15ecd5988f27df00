"""
What was learned between two moments of knowledge, and which published figures that moved.

A log only grows, so what became known between two points is what stands between them in it: new
incidents and changes, things told late, corrections, voids, merges, verdicts, reopenings, words
taken out. Nothing is judged or left out here; prose is made at the edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import attrs

from imcm.documents.shown import Shown, checked_most
from imcm.domain.corrections import CORRECTIONS, EDITS, EventVoided, WordsRedacted
from imcm.domain.incident_events import (
    IncidentMerged,
    IncidentReopened,
    IncidentUnmerged,
    VerdictGiven,
)
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, Unread, checked_log
from imcm.domain.vocabulary import (
    Moment,
    Verdict,
    checked_function,
    checked_text,
    is_mapping,
    latest,
    optional_time,
)
from imcm.errors import InvalidValue
from imcm.plain import joined, quoted
from imcm.projections.facts.fold import Facts, FactsFold
from imcm.projections.figures.excerpt import excerpt
from imcm.projections.figures.failures import change_failure_rate
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.frequency import deployment_frequency, rework_rate
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.figures.lazy import LazySequence
from imcm.projections.figures.lead_time import lead_time
from imcm.projections.figures.recovery import failed_deployment_recovery_time
from imcm.projections.figures.restore import time_to_restore
from imcm.projections.figures.units import SHAPE, shown, utc
from imcm.projections.reports.restated import Restatement, newest, points, restated

if TYPE_CHECKING:
    from imcm.documents.structure import Document

__all__ = [
    "FIGURES",
    "Corrected",
    "Judged",
    "Late",
    "Learned",
    "Learnt",
    "Merged",
    "Moved",
    "Redacted",
    "Reopened",
    "Voided",
    "learned",
]

FIGURES: Final[Mapping[str, Callable[[Facts], Figure]]] = MappingProxyType(
    {
        "time to restore": time_to_restore,
        "change failure rate": change_failure_rate,
        "deployment frequency": deployment_frequency,
        "lead time": lead_time,
        "failed deployment recovery time": failed_deployment_recovery_time,
        "rework rate": rework_rate,
    }
)
"""The figures that are looked at unless told otherwise, each by its default definition."""


@attrs.frozen(kw_only=True)
class Learnt:
    """
    One event that became known between the two points.

    Attributes:
        kind, id: Of what it tells: "incident" or "change", and its id.
        type: The event's type name.
        at: When it happened, as written; None where it does not say.
        by: Id of who, or what, told it; "" where the event can't be read.
        recorded_at, position, version, record: Where it stands in the log.
        imported: It is history from elsewhere.
    """

    kind: str
    id: str
    type: str
    at: Moment | None
    by: str
    recorded_at: datetime
    position: int
    version: int
    record: str
    imported: bool = False

    @property
    def line(self) -> str:
        """What it says, in one line, without where it stands."""
        return _line(self).partition(": ")[2]


@attrs.frozen(kw_only=True)
class Late(Learnt):
    """Something that had surely happened before the earlier point, told *late* by so much."""

    late: timedelta


@attrs.frozen(kw_only=True)
class Corrected(Learnt):
    """
    A fact was recorded wrongly.

    Attributes:
        of_version, of_type, of_position: Which event of the stream told the fact; type and
            position are None where that event is not in the log read.
        field: Its field; it stood at *was* and is *now*.
        why: The reason given.
    """

    of_version: int
    of_type: str | None
    of_position: int | None
    field: str
    was: object
    now: object
    why: str


@attrs.frozen(kw_only=True)
class Voided(Learnt):
    """An earlier event never happened; the fields say which, as those of `Corrected` do."""

    of_version: int
    of_type: str | None
    of_position: int | None
    why: str


@attrs.frozen(kw_only=True)
class Merged(Learnt):
    """An incident turned out to be the same as *other*, or (*merged* False) not to be it."""

    other: str
    merged: bool
    why: str


@attrs.frozen(kw_only=True)
class Judged(Learnt):
    """
    Somebody stated what a change has to do with an incident.

    Attributes:
        change: The change.
        was: The verdict of this incident on it that stood before; None where there was none.
        now: The verdict given.
        why: The reason given.
    """

    change: str
    was: Verdict | None
    now: Verdict
    why: str


@attrs.frozen(kw_only=True)
class Reopened(Learnt):
    """
    An incident was not over.

    Attributes:
        began: The status it was reopened from.
        number, relapse: Which reopening, or which relapse, it is; 0 for what it is not.
        why: The reason given.
    """

    began: str
    number: int
    relapse: int
    why: str


@attrs.frozen(kw_only=True)
class Redacted(Learnt):
    """Words of earlier events were taken out: of which *versions* of the stream, and why."""

    versions: tuple[int, ...]
    reason: str


@attrs.frozen(kw_only=True)
class Moved:
    """
    One figure at the two points of knowledge, both `as_of` the same time.

    Attributes:
        name: Under which it was asked for.
        before, after: The figure as known at the earlier and at the later point.
        restatement: Which records changed the value; None unless it moved and that was asked for.
    """

    name: str
    before: Figure
    after: Figure
    restatement: Restatement | None = None

    def __repr__(self) -> str:
        """Return both values in one line."""
        before, after = (shown(f.value, self.after.unit) for f in (self.before, self.after))
        text = f"{before} became {after}" if self.moved else f"{after}, as before"
        return f"{self.name}: {text}"

    @property
    def moved(self) -> bool:
        """Whether the value is another one; becoming defined or undefined counts."""
        return self.before.value != self.after.value

    @property
    def difference(self) -> float | None:
        """The later value minus the earlier, in the unit of the figure; None where one is."""
        if self.before.value is None or self.after.value is None:
            return None
        return self.after.value - self.before.value


@attrs.frozen(kw_only=True)
class Learned(Shown):
    """
    What became known between two points, in log order, and the figures at both.

    An event can be in several lists: a verdict told late is in `verdicts` and in `late`.

    Attributes:
        known_at_a, known_at_b: The two points as asked for; b is None for the end of the log.
        as_of: The time at which the figures cut world facts on both sides; None: an empty log.
        position_a, position_b: Position of the last event known at each; 0 where there is none.
        moment_a: What "before the earlier point" means for `late`: the time asked for, or the
            newest stamp up to the position asked for; None where nothing was known.
        events: How many events became known between them; *types* counts them by type name,
            those of unknown types and the ledger's own included.
        incidents, changes: The first event of each that was not known before.
        late: Facts whose moment lies surely before *moment_a*, by how late they were told.
        corrections, voids, merges, verdicts, reopenings, redactions: As their classes say. The
            other side of a merge, in the target's stream, is counted in *types* alone.
        figures: Every figure asked for, whether it moved or not.
    """

    known_at_a: int | datetime
    known_at_b: int | datetime | None = None
    as_of: datetime | None = None
    position_a: int = 0
    position_b: int = 0
    moment_a: datetime | None = None
    events: int = 0
    types: Mapping[str, int] = attrs.field(factory=dict[str, int])
    incidents: Sequence[Learnt] = ()
    changes: Sequence[Learnt] = ()
    late: Sequence[Late] = ()
    corrections: Sequence[Corrected] = ()
    voids: Sequence[Voided] = ()
    merges: Sequence[Merged] = ()
    verdicts: Sequence[Judged] = ()
    reopenings: Sequence[Reopened] = ()
    redactions: Sequence[Redacted] = ()
    figures: tuple[Moved, ...] = ()

    def __repr__(self) -> str:
        """Return in one line how much was learned, and how many figures it moved."""
        counts = [f"{len(pieces):,} {name}" for name, pieces in self.pieces() if pieces]
        moved = f"{len(self.moved)} of {len(self.figures)} figures moved"
        return f"{self._head()}: {self.events:,} events; {', '.join([*counts, moved])}"

    def document(self, *, most: int | None = None) -> Document:
        """Return it as a document; see `imcm.documents`. *most* rows a table; None for all."""
        from imcm.projections.histories.display import (
            learned_document,  # which knows this class, too
        )

        return learned_document(self, most=checked_most(most))

    def _head(self) -> str:
        b = "the end of the log" if self.known_at_b is None else self.known_at_b
        return (
            f"learned between {self.known_at_a} (log position {self.position_a}) and {b} "
            f"(log position {self.position_b})"
        )

    @property
    def moved(self) -> tuple[Moved, ...]:
        """The figures whose value is another one now."""
        return tuple(figure for figure in self.figures if figure.moved)

    def explain(self) -> str:
        """
        Return, for a person, what was learned, a few pieces of each kind, and what moved.

        All pieces are in the lists by their kinds.
        """
        lines = [self._head(), f"  events between: {self.events:,}"]
        for name, pieces in self.pieces():
            if pieces:
                lines.append(f"  {name}: {len(pieces):,}")
                lines += excerpt(pieces, _piece_lines, indent="    ")
        lines.append(f"  figures, as of {self.as_of}:")
        for figure in self.figures:
            unit = figure.after.unit
            if not figure.moved:
                lines.append(f"    {figure!r}")
                continue
            lines.append(f"    {figure!r}, difference {shown(figure.difference, unit)}")
            if figure.restatement is not None:
                lines += [f"      {line}" for line in figure.restatement.explain().splitlines()]
        return joined(lines)

    def as_dict(self, *, population: bool = False) -> dict[str, Any]:
        """
        Return it as plain values for JSON: times as ISO 8601 text, durations in seconds.

        All that was learned is there; docs/json.md says what the keys mean.

        Args:
            population: True gives the lists of who each figure counted, which are None otherwise.
        """
        return {
            "shape": SHAPE,
            "known_at_a": jsonable(self.known_at_a),
            "known_at_b": jsonable(self.known_at_b),
            "as_of": jsonable(self.as_of),
            "position_a": self.position_a,
            "position_b": self.position_b,
            "moment_a": jsonable(self.moment_a),
            "events": self.events,
            "types": dict(self.types),
            **{name.replace(" ", "_"): jsonable(pieces) for name, pieces in self.pieces()},
            "figures": [
                {
                    "name": figure.name,
                    "before": figure.before.as_dict(population=population),
                    "after": figure.after.as_dict(population=population),
                    "difference": figure.difference,
                    "moved": figure.moved,
                    "restatement": None
                    if figure.restatement is None
                    else figure.restatement.as_dict(population=population),
                }
                for figure in self.figures
            ],
        }

    def pieces(self) -> tuple[tuple[str, Sequence[Learnt]], ...]:
        """Return the lists of what was learned, each with its name."""
        return (
            ("incidents", self.incidents),
            ("changes", self.changes),
            ("late", self.late),
            ("corrections", self.corrections),
            ("voids", self.voids),
            ("merges", self.merges),
            ("verdicts", self.verdicts),
            ("reopenings", self.reopenings),
            ("redactions", self.redactions),
        )


def _piece_lines(piece: Learnt) -> Iterator[str]:
    yield f"    {_line(piece)}"


def _line(piece: Learnt) -> str:
    """Return one piece for a person."""
    line = f"position {piece.position}: {piece.kind} {piece.id}"
    match piece:
        case Late():
            return f"{line}: {piece.type}, told {shown(piece.late.total_seconds(), 'seconds')} late"
        case Corrected():
            was, now = jsonable(piece.was), jsonable(piece.now)
            fact = f"{piece.field} of version {piece.of_version}"
            return _and(f"{line}: {fact} was {was}, is {now}, says {quoted(piece.by)}", piece.why)
        case Voided():
            what = f"version {piece.of_version} ({piece.of_type or 'not in this log'})"
            return _and(f"{line}: {what} never happened, says {quoted(piece.by)}", piece.why)
        case Merged():
            word = "is the same as" if piece.merged else "is not the same as"
            return _and(f"{line} {word} {quoted(piece.other)}, says {quoted(piece.by)}", piece.why)
        case Judged():
            was = f", was {piece.was.value}" if piece.was else ""
            what = f"verdict on change {quoted(piece.change)} is {piece.now.value}{was}"
            return _and(f"{line}: {what}, says {quoted(piece.by)}", piece.why)
        case Reopened():
            return _and(f"{line}: reopened from {piece.began} by {quoted(piece.by)}", piece.why)
        case Redacted():
            versions = ", ".join(map(str, piece.versions))
            return _and(
                f"{line}: words of version {versions} taken out by {quoted(piece.by)}", piece.reason
            )
        case _:
            return f"{line}: {piece.type} by {quoted(piece.by) if piece.by else 'nobody named'}"


def _and(line: str, why: str) -> str:
    return f"{line}: {why}" if why else line


def _checked(figures: object) -> Mapping[str, Callable[[Facts], Figure]]:
    if not is_mapping(figures):
        raise InvalidValue("figures", figures, "give a mapping of names to functions of facts")
    return {
        checked_text("figures", name): checked_function(f"figures[{name!r}]", figure_of)
        for name, figure_of in figures.items()
    }


def learned(
    log: Iterable[Recorded],
    *,
    known_at_a: int | datetime,
    known_at_b: int | datetime | None = None,
    as_of: datetime | None = None,
    figures: Mapping[str, Callable[[Facts], Figure]] | None = None,
    details: bool = False,
) -> Learned:
    """
    Return what was learned or corrected between two points of knowledge.

    Reads the log once. Costs all facts and every figure twice; with *details* also one
    computation of all facts and of the figure for each record between the two points, for each
    figure that moved.

    Args:
        log: Recorded events in log order.
        known_at_a: The earlier point: a position or a time; see `imcm.facts`.
        known_at_b: The later one; None is the end of the log.
        as_of: World facts later than this are cut from the figures on both sides, so that only
            knowledge differs. None is the newest `recorded_at` in the part known at b. To repeat
            the digits of a figure that was published, give its own `as_of`.
        figures: What was published: a name and a pure function of facts for each. None takes
            time to restore and the five DORA metrics, an empty mapping none.
        details: Whether each figure that moved is restated, record by record.

    Raises:
        InvalidValue: The later point lies before the earlier, or one is no position and no time.
        NaiveTimeError: A time without a zone.
    """
    read, wanted = list(checked_log(log)), FIGURES if figures is None else _checked(figures)
    as_of = optional_time("as_of", as_of)
    n_a, n_b = points(read, known_at_a, known_at_b)
    if as_of is None:
        as_of = newest(read[:n_b])
    moment_a = known_at_a if isinstance(known_at_a, datetime) else newest(read[:n_a])
    classifier = _Classifier(moment_a)
    fold = FactsFold()
    for recorded in read[:n_a]:
        fold.add(recorded)
        classifier.know(recorded)
    before = fold.facts(as_of=as_of, known_at=known_at_a)
    for recorded in read[n_a:n_b]:
        fold.add(recorded)
        classifier.learn(recorded)
    after = fold.facts(as_of=as_of, known_at=known_at_b)
    moved: list[Moved] = []
    for name, figure_of in wanted.items():
        figure = Moved(name=name, before=figure_of(before), after=figure_of(after))
        if details and figure.moved:
            why = restated(
                read, figure_of, known_at_a=known_at_a, known_at_b=known_at_b, as_of=as_of
            )
            figure = attrs.evolve(figure, restatement=why)
        moved.append(figure)
    return Learned(
        known_at_a=known_at_a,
        known_at_b=known_at_b,
        as_of=as_of,
        position_a=before.log_position,
        position_b=after.log_position,
        moment_a=moment_a,
        events=n_b - n_a,
        types=dict(sorted(classifier.types.items())),
        incidents=LazySequence.of(piece for piece in classifier.new if piece.kind == INCIDENT),
        changes=LazySequence.of(piece for piece in classifier.new if piece.kind == CHANGE),
        late=LazySequence.of(classifier.late),
        corrections=LazySequence.of(classifier.corrections),
        voids=LazySequence.of(classifier.voids),
        merges=LazySequence.of(classifier.merges),
        verdicts=LazySequence.of(classifier.verdicts),
        reopenings=LazySequence.of(classifier.reopenings),
        redactions=LazySequence.of(classifier.redactions),
        figures=tuple(moved),
    )


class _Classifier:
    """Goes through a log in its order; sorts what is learned after the earlier point."""

    def __init__(self, moment_a: datetime | None) -> None:
        self._moment_a = None if moment_a is None else utc(moment_a)
        self._events: dict[str, dict[int, Recorded]] = {}
        self._verdicts: dict[str, dict[int, VerdictGiven]] = {}
        # By stream and change, the versions of verdicts; those voided since are still there.
        self._judging: dict[tuple[str, str], list[int]] = {}
        self.types: dict[str, int] = {}
        self.new: list[Learnt] = []
        self.late: list[Late] = []
        self.corrections: list[Corrected] = []
        self.voids: list[Voided] = []
        self.merges: list[Merged] = []
        self.verdicts: list[Judged] = []
        self.reopenings: list[Reopened] = []
        self.redactions: list[Redacted] = []

    def know(self, recorded: Recorded) -> None:
        """Take one event that was known before."""
        if recorded.kind not in {INCIDENT, CHANGE}:
            return  # the ledger's own rows
        self._events.setdefault(recorded.stream, {})[recorded.version] = recorded
        event = recorded.event
        if isinstance(event, VerdictGiven):
            self._verdicts.setdefault(recorded.stream, {})[recorded.version] = event
            judging = self._judging.setdefault((recorded.stream, event.change), [])
            judging.append(recorded.version)
        elif isinstance(event, EventVoided):
            self._verdicts.get(recorded.stream, {}).pop(event.version, None)

    def learn(self, recorded: Recorded) -> None:
        """Take one event that became known between the two points."""
        name = _type(recorded)
        self.types[name] = self.types.get(name, 0) + 1
        if recorded.kind in {INCIDENT, CHANGE}:
            self._sort(recorded, recorded.event, _common(recorded, recorded.event))
        self.know(recorded)

    def _sort(self, recorded: Recorded, event: Any, common: dict[str, Any]) -> None:
        # Any: what an event carries depends on its class.
        if recorded.stream not in self._events:
            self.new.append(Learnt(**common))
        if type(event) in CORRECTIONS:
            fact = self._fact(recorded.stream, event.version)
            change = {"field": event.field, "was": event.was, "now": event.now}
            self.corrections.append(Corrected(**common, **fact, **change, why=event.why))
            return
        match event:
            case EventVoided():
                fact = self._fact(recorded.stream, event.version)
                self.voids.append(Voided(**common, **fact, why=event.why))
            case WordsRedacted():
                self.redactions.append(
                    Redacted(**common, versions=event.versions, reason=event.reason)
                )
            case IncidentMerged():
                self.merges.append(Merged(**common, other=event.into, merged=True, why=event.why))
            case IncidentUnmerged():
                self.merges.append(
                    Merged(**common, other=event.out_of, merged=False, why=event.why)
                )
            case VerdictGiven():
                self.verdicts.append(
                    Judged(
                        **common,
                        change=event.change,
                        was=self._verdict(recorded.stream, event.change),
                        now=event.verdict,
                        why=event.why,
                    )
                )
            case IncidentReopened():
                self.reopenings.append(
                    Reopened(
                        **common,
                        began=event.began.value,
                        number=event.number,
                        relapse=event.relapse,
                        why=event.why,
                    )
                )
            case _:
                pass
        if type(event) not in _ABOUT_THE_LOG:
            self._note_late(recorded, common)

    def _note_late(self, recorded: Recorded, common: dict[str, Any]) -> None:
        at: Moment | None = common["at"]
        if at is None or self._moment_a is None or utc(latest(at)) >= self._moment_a:
            return
        self.late.append(Late(**common, late=utc(recorded.recorded_at) - utc(at)))

    def _fact(self, stream: str, version: int) -> dict[str, Any]:
        """Return which event a correction or a void speaks of."""
        target = self._events.get(stream, {}).get(version)
        return {
            "of_version": version,
            "of_type": None if target is None else _type(target),
            "of_position": None if target is None else target.position,
        }

    def _verdict(self, stream: str, change: str) -> Verdict | None:
        """Return the verdict of an incident on a change that stands so far."""
        given = self._verdicts.get(stream, {})
        judging = self._judging.get((stream, change), [])
        while judging:
            event = given.get(judging[-1])
            if event is not None and event.change == change:
                return event.verdict
            judging.pop()
        return None


_ABOUT_THE_LOG: Final = frozenset({*EDITS, WordsRedacted})
"""Events that speak of other events: their own time is when somebody spoke, so none is late."""


def _type(recorded: Recorded) -> str:
    event = recorded.event
    return event.type if isinstance(event, Unread) else type(event).__name__


def _common(recorded: Recorded, event: object) -> dict[str, Any]:
    return {
        "kind": recorded.kind,
        "id": recorded.id,
        "type": _type(recorded),
        "at": getattr(event, "at", None),
        "by": getattr(event, "by", ""),
        "recorded_at": recorded.recorded_at,
        "position": recorded.position,
        "version": recorded.version,
        "record": recorded.record,
        "imported": getattr(event, "imported", False),
    }
