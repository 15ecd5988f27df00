"""
Facts: one frozen row for each incident and each change, the table every figure is computed from.

A row says what stands: corrections and voids applied, cut at `as_of` in world time and at
`known_at` in the order of knowledge, merges followed to their last target. Words (titles, notes)
are no facts and are not in a row.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeVar

import attrs

from imcm.domain.corrections import CORRECTIONS, EDITS, MomentCorrected, standing
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, Source, Unread, known
from imcm.domain.vocabulary import Between, Moment, latest
from imcm.errors import NaiveTimeError
from imcm.projections.rows import (
    ChangeFacts,
    Hold,
    IncidentFacts,
    RolloutStep,
    Spell,
    change_row,
    happened,
    incident_row,
    is_statement,
    merges_followed,
)

__all__ = [
    "ChangeFacts",
    "Facts",
    "FactsFold",
    "Hold",
    "IncidentFacts",
    "RolloutStep",
    "Spell",
    "facts",
    "is_statement",
]

T = TypeVar("T")

KEPT: Final = 16


@attrs.frozen(kw_only=True)
class Facts:
    """
    All rows, with what they were made from.

    Attributes:
        incidents, changes: Sorted by id.
        as_of: World facts later than this are not in the rows.
        known_at: What was asked for: a position, a time, or None for the whole log.
        log_position: Position of the last event read; 0 for an empty log.
        events: How many events were read.
        unread: Type name to count of events this version can't read.
        clock_back: Positions at which the ledger's own stamps went back.
        gaps: Positions at which an incident's or a change's version is not the one that follows
            the version before it in the log read: a number is missing, or comes again.
        unfounded: Positions of corrections and voids whose target is not in the log read.
    """

    incidents: tuple[IncidentFacts, ...] = ()
    changes: tuple[ChangeFacts, ...] = ()
    as_of: datetime | None = None
    known_at: int | datetime | None = None
    log_position: int = 0
    events: int = 0
    unread: Mapping[str, int] = attrs.field(factory=dict[str, int])
    clock_back: tuple[int, ...] = ()
    gaps: tuple[int, ...] = ()
    unfounded: tuple[int, ...] = ()
    _kept: dict[Hashable, Any] = attrs.field(
        init=False, factory=dict[Hashable, Any], eq=False, repr=False
    )

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """
        Return what *make* gives, made once: figures of one report share what they are made of.

        Only the last few things are kept. What is kept must never be changed.
        """
        kept = self._kept
        if key not in kept:
            while len(kept) >= KEPT:
                kept.pop(next(iter(kept)), None)
            kept[key] = make()
        found: T = kept[key]
        return found


# --- the fold -------------------------------------------------------------------------------------

_NO_FACTS: Final = frozenset(
    {
        "UpdatePosted",
        "RoleAssigned",
        "RoleReleased",
        "ProblemLinked",
        "AttemptConcluded",
        "ActionAdded",
        "ActionCompleted",
        "ActionDropped",
        "RolloutPaused",
        "WordsRedacted",
    }
)
"""Events no row needs. Leaving them out keeps memory at the facts, however long a log is."""

_EDITS: Final = frozenset(cls.__name__ for cls in EDITS)

_MORE_MOMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "IncidentDetected": ("impact_started_at", "declared_at"),
    "ImpactUpdated": ("impact_started_at",),
}
"""Moments that an event tells besides its own, which `as_of` cuts, too."""

_SELDOM: Final = _NO_FACTS | _EDITS | _MORE_MOMENTS.keys()


class _Made(NamedTuple):
    """A row as it was made, and when it can be given again without making it anew."""

    row: IncidentFacts | ChangeFacts
    as_of: datetime
    whole: bool
    """Nothing of it was cut, so it is the same for every later `as_of`."""


class _Stream:
    """What was recorded of one incident or change, as far as rows need it."""

    __slots__ = (
        "absent",
        "clock_back",
        "disagree",
        "edits",
        "events",
        "id",
        "kind",
        "last",
        "late",
        "latest",
        "made",
        "positions",
        "source",
        "stamp",
    )

    def __init__(self, kind: str, id_: str) -> None:
        self.kind = kind
        self.id = id_
        self.events: dict[int, Any] = {}
        self.edits: list[tuple[int, Any]] = []
        self.absent: list[range] = []  # versions that are no facts: edits, unread, not in the log
        self.last = 0
        self.positions: list[int] = []
        self.latest = _FIRST  # the last moment that anything here speaks of
        self.late: tuple[int, ...] = ()
        self.source: str | None = None
        self.stamp: datetime | None = None
        self.clock_back = False
        self.disagree = False
        self.made: _Made | None = None

    def row(self, as_of: datetime) -> IncidentFacts | ChangeFacts:
        """Return the row as it stood at a time, the same one as before where nothing is new."""
        made = self.made
        if made is None or not (made.as_of == as_of or (made.whole and made.as_of <= as_of)):
            made = self.made = self._row(as_of)
        return made.row

    def _row(self, as_of: datetime) -> _Made:
        events = self.events
        if self.edits:
            events = standing(events, [edit for _, edit in self.edits])
        whole = self.latest <= as_of
        stands = events.values() if whole else happened(events.values(), as_of)
        known_: dict[str, Any] = {"id": self.id, "positions": tuple(self.positions)}
        if self.late:
            known_["late"] = self.late
        if self.clock_back:
            known_["source_clock_back"] = True
        if self.disagree:
            known_["sources_disagree"] = True
        make = incident_row if self.kind == INCIDENT else change_row
        return _Made(make(stands, as_of, known_), as_of, whole)

    def tells(self, moment: Moment, stamp: datetime, version: int) -> None:
        """Note a moment that is spoken of; one after the time it was recorded is an anomaly."""
        last = latest(moment)
        self.latest = max(self.latest, last)
        if last > stamp and version not in self.late:
            self.late = (*self.late, version)

    def holds(self, version: int) -> bool:
        """Say whether a version is that of a fact in the part of the log that was read."""
        return 1 <= version <= self.last and not any(version in some for some in self.absent)


_FIRST: Final = datetime.min.replace(tzinfo=UTC)


class FactsFold:
    """
    Takes recorded events one by one, in log order, and gives the rows at any time.

    The same fold serves a replay and a follower: `facts` is this with the whole log added. Rows of
    what has not changed are given again, so that being up to date costs what is new.
    """

    def __init__(self) -> None:
        self._streams: dict[str, _Stream | None] = {}
        self._of: dict[str, dict[str, _Stream]] = {INCIDENT: {}, CHANGE: {}}
        self._order: dict[str, list[str]] = {INCIDENT: [], CHANGE: []}
        self._edited: dict[tuple[str, str], _Stream] = {}
        self._unread: dict[str, int] = {}
        self._position = 0
        self._events = 0
        self._newest = _FIRST
        self._last = _FIRST
        self._clock_back: list[int] = []
        self._gaps: list[int] = []

    def add(self, recorded: Recorded) -> None:
        """Take one more event."""
        name, version, position, stamp, _, source, event, _ = recorded
        if isinstance(event, Unread):
            self.unread(name, version, position, stamp, event.type)
        else:
            self.take(name, version, position, stamp, source, event)

    def unread(self, name: str, version: int, position: int, stamp: datetime, type: str) -> None:
        """Take one more event that can't be read."""
        stream = self._seen(name, version, position, stamp)
        if stream is not None:
            stream.absent.append(range(version, version + 1))
            self._unread[type] = self._unread.get(type, 0) + 1

    def _seen(self, name: str, version: int, position: int, stamp: datetime) -> _Stream | None:
        """Note one more event, and return the stream it is of; None for the ledger's own rows."""
        self._position = position
        self._events += 1
        if stamp >= self._last:
            self._newest = max(self._newest, stamp)
        else:
            self._clock_back.append(position)
        self._last = stamp
        try:
            stream = self._streams[name]
        except KeyError:
            stream = self._begun(name)
        if stream is not None:
            last = stream.last
            if version != last + 1:
                self._gaps.append(position)
                stream.absent.append(range(last + 1, version))
            stream.last = version
        return stream

    def _begun(self, name: str) -> _Stream | None:
        kind, _, id_ = name.partition(":")
        stream = _Stream(kind, id_) if kind in self._of else None
        self._streams[name] = stream
        if stream is not None:
            self._of[kind][id_] = stream
        return stream

    def take(
        self,
        name: str,
        version: int,
        position: int,
        stamp: datetime,
        source: Source | None,
        event: Any,
    ) -> None:
        """
        Take one more event, told apart by its type name.

        Any: what tells facts may be leaner than the event itself; edits are the real ones.
        """
        stream = self._seen(name, version, position, stamp)
        if stream is None:
            return
        if source is not None:
            _note_source(stream, event, source.name, source.recorded_at)
        type_ = event.__class__.__name__
        if type_ in _SELDOM:
            if type_ in _EDITS:
                self._edit(stream, version, position, stamp, event)
                return
            if type_ in _NO_FACTS:
                if not getattr(event, "unauthorised", ""):
                    return
            else:
                for moment in (getattr(event, field) for field in _MORE_MOMENTS[type_]):
                    if moment is not None:
                        stream.tells(moment, stamp, version)
        stream.events[version] = event
        at = event.at
        if at is not None:
            if at.__class__ is Between or at > stamp:
                stream.tells(at, stamp, version)
            elif at > stream.latest:
                stream.latest = at
        stream.positions.append(position)
        stream.made = None

    def _edit(
        self, stream: _Stream, version: int, position: int, stamp: datetime, event: Any
    ) -> None:
        if isinstance(event, MomentCorrected) and event.now is not None:
            stream.tells(event.now, stamp, version)
        stream.absent.append(range(version, version + 1))
        stream.edits.append((position, event))
        stream.positions.append(position)
        stream.made = None
        self._edited[stream.kind, stream.id] = stream

    def facts(
        self, *, as_of: datetime | None = None, known_at: int | datetime | None = None
    ) -> Facts:
        """
        Return the rows of everything added so far.

        Args:
            as_of: See `Facts`; None means the newest stamp among the events added.
            known_at: Kept in the result; whoever adds events decides where to stop.
        """
        if as_of is not None and as_of.utcoffset() is None:
            raise NaiveTimeError("as_of", as_of)
        cut = as_of
        if cut is None and self._events:
            cut = self._newest
        incidents: dict[str, Any] = {}
        changes: dict[str, Any] = {}
        if cut is not None:
            incidents, changes = self._rows(INCIDENT, cut), self._rows(CHANGE, cut)
            merged = [id_ for id_, row in incidents.items() if row.merged_into is not None]
            if merged:
                incidents.update(merges_followed(incidents, merged))
        return Facts(
            incidents=tuple(incidents.values()),
            changes=tuple(changes.values()),
            as_of=cut,
            known_at=known_at,
            log_position=self._position,
            events=self._events,
            unread=dict(sorted(self._unread.items())),
            clock_back=tuple(self._clock_back),
            gaps=tuple(self._gaps),
            unfounded=tuple(sorted(self._unfounded())),
        )

    def _rows(self, kind: str, as_of: datetime) -> dict[str, Any]:
        """Return the rows of one kind by id, in the order of their ids."""
        streams, order = self._of[kind], self._order[kind]
        new = len(streams) - len(order)
        if new > 100:
            self._order[kind] = order = sorted(streams)
        elif new:
            # The newest streams are the last ones; a few are put in their places.
            for id_ in list(streams)[-new:]:
                insort(order, id_)
        return {id_: streams[id_].row(as_of) for id_ in order}

    def _unfounded(self) -> Iterator[int]:
        for stream in self._edited.values():
            for position, edit in stream.edits:
                if not stream.holds(edit.version):
                    yield position


def _note_source(stream: _Stream, event: object, name: str, recorded_at: datetime | None) -> None:
    if stream.source is None:
        stream.source = name
    elif stream.source != name and isinstance(event, CORRECTIONS):
        stream.disagree = True
    if recorded_at is not None:
        if stream.stamp is not None and recorded_at < stream.stamp:
            stream.clock_back = True
        stream.stamp = recorded_at


def facts(
    log: Iterable[Recorded],
    *,
    as_of: datetime | None = None,
    known_at: int | datetime | None = None,
) -> Facts:
    """
    Return one row per incident and per change, as they stand.

    Args:
        log: Recorded events in log order: a ledger's `replay()`, or any list of them.
        as_of: World facts (moments and steps) later than this are cut, by their time as
            corrected; that instant itself is in. Statements (corrections, voids, verdicts,
            dismissals, merges, reviews) always hold once recorded. Default: the newest stamp
            in the part of the log that was known.
        known_at: A position, or a time T for the longest prefix in which nothing was recorded
            after T. Default: the whole log.

    Raises:
        NaiveTimeError: A time without a zone.
    """
    fold = FactsFold()
    add = fold.add
    for recorded in known(log, known_at):
        add(recorded)
    return fold.facts(as_of=as_of, known_at=known_at)
