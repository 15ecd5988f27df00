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
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, Source, known
from imcm.domain.vocabulary import Between, Moment, latest
from imcm.errors import NaiveTimeError, StoreError
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
    "Made",
    "Read",
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

_SELDOM: Final = _NO_FACTS | _EDITS | _MORE_MOMENTS.keys() | {"Unread"}


_FIRST: Final = datetime.min.replace(tzinfo=UTC)


class Made(NamedTuple):
    """
    A row as it was made, and when it can be given again without making it anew.

    Attributes:
        row: The row, merges not yet followed.
        as_of: The time it was made for.
        whole: Nothing of it was cut, so it is the same for every later `as_of`.
        unfounded: Positions of its corrections and voids whose target is not in the log read.
    """

    row: IncidentFacts | ChangeFacts
    as_of: datetime
    whole: bool
    unfounded: tuple[int, ...] = ()

    def stands(self, as_of: datetime) -> bool:
        """Say whether the row is the one of that time."""
        return self.as_of == as_of or (self.whole and self.as_of <= as_of)


class Read(NamedTuple):
    """What a fold knows of the log besides the rows; it goes on from here."""

    position: int
    events: int
    newest: datetime
    last: datetime
    unread: dict[str, int]
    clock_back: list[int]
    gaps: list[int]


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
        self.made: Made | None = None

    def told(self, as_of: datetime) -> Made:
        """Return the row as it stood at a time, the same one as before where nothing is new."""
        made = self.made
        if made is None or not made.stands(as_of):
            made = self.made = self._row(as_of)
        return made

    def _row(self, as_of: datetime) -> Made:
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
        unfounded = [at for at, edit in self.edits if not self.holds(edit.version)]
        return Made(make(stands, as_of, known_), as_of, whole, tuple(unfounded))

    def tells(self, moment: Moment, stamp: datetime, version: int) -> None:
        """Note a moment that is spoken of; one after the time it was recorded is an anomaly."""
        last = latest(moment)
        self.latest = max(self.latest, last)
        if last > stamp and version not in self.late:
            self.late = (*self.late, version)

    def holds(self, version: int) -> bool:
        """Say whether a version is that of a fact in the part of the log that was read."""
        return 1 <= version <= self.last and not any(version in some for some in self.absent)


_NEW: Final = _Stream("", "")
"""Stands for a stream of which nothing was recorded before."""


class FactsFold:
    """
    Takes recorded events one by one, in log order, and gives the rows at any time.

    The same fold serves a replay and a follower: `facts` is this with the whole log added. Rows of
    what has not changed are given again, so that being up to date costs what is new.

    Args:
        load: Where rows are kept (`keep`), gives a fold that has taken the events of one stream,
            up to a position, when a row has to be made anew.
    """

    def __init__(self, load: Callable[[str, int], FactsFold] | None = None) -> None:
        self._load = load
        self._streams: dict[str, _Stream | None] = {}
        self._of: dict[str, dict[str, _Stream | Made]] = {INCIDENT: {}, CHANGE: {}}
        self._order: dict[str, list[str]] = {INCIDENT: [], CHANGE: []}
        self._edited: dict[tuple[str, str], _Stream | Made] = {}
        # Kept only where somebody asks for it: it is a step more for each event.
        self._touched: dict[str, _Stream] | None = None if load is None else {}
        self._unread: dict[str, int] = {}
        self._position = 0
        self._events = 0
        self._newest = _FIRST
        self._last = _FIRST
        self._clock_back: list[int] = []
        self._gaps: list[int] = []

    # --- rows that were made before ---------------------------------------------------------------

    @property
    def read(self) -> Read:
        """What is known of the log besides the rows."""
        return Read(
            self._position,
            self._events,
            self._newest,
            self._last,
            dict(self._unread),
            list(self._clock_back),
            list(self._gaps),
        )

    def keep(self, read: Read, rows: Iterable[Made]) -> None:
        """Go on from what another fold had read, and from rows it had made."""
        self._position, self._events, self._newest, self._last = read[:4]
        self._unread = dict(read.unread)
        self._clock_back, self._gaps = list(read.clock_back), list(read.gaps)
        # Of streams that are awake here the other fold may have read more, though no row changed.
        for stream in self._streams.values():
            if stream is not None and stream.made is not None:
                self._of[stream.kind][stream.id] = stream.made
        self._streams = {}
        incidents, changes = self._of[INCIDENT], self._of[CHANGE]
        for made in rows:
            row = made.row
            kind, mine = (
                (INCIDENT, incidents) if isinstance(row, IncidentFacts) else (CHANGE, changes)
            )
            mine[row.id] = self._edited[kind, row.id] = made
            if not made.unfounded:
                del self._edited[kind, row.id]

    def touched(self) -> list[Made]:
        """Return the rows of what was added since this was last asked, as of the newest stamp."""
        touched = self._touched or {}
        self._touched = {}
        return [stream.told(self._newest) for stream in touched.values()]

    def _awake(self, kind: str, id_: str) -> _Stream:
        """Return a kept stream with its events, up to what was read."""
        name = f"{kind}:{id_}"
        if self._load is None:
            raise StoreError(f"the events of {name} are needed, and nothing loads them")
        loaded = self._load(name, self._position)
        stream = loaded._streams.get(name)
        if stream is None:
            raise StoreError(f"{name} was kept, and is not in the log any more")
        self._streams[name] = self._of[kind][id_] = stream
        if stream.edits:
            self._edited[kind, id_] = stream
        return stream

    # --- events -----------------------------------------------------------------------------------

    def add(self, recorded: Recorded) -> None:
        """Take one more event."""
        name, version, position, stamp, _, source, event, _ = recorded
        self.take(name, version, position, stamp, source, event)

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
        stream = self._streams.get(name, _NEW)
        if stream is _NEW:
            stream = self._begun(name)
        self._position = position
        self._events += 1
        if stamp < self._last:
            self._clock_back.append(position)
        elif stamp > self._newest:
            self._newest = stamp
        self._last = stamp
        if stream is None:
            return  # one of the ledger's own rows
        if version != stream.last + 1:
            self._gaps.append(position)
            stream.absent.append(range(stream.last + 1, version))
        stream.last = version
        type_ = event.__class__.__name__
        if source is not None and type_ != "Unread":
            _note_source(stream, event, source.name, source.recorded_at)
        if type_ in _SELDOM and not self._told_otherwise(stream, version, position, stamp, event):
            return
        stream.events[version] = event
        at = event.at
        if at is not None:
            if at.__class__ is Between or at > stamp:
                stream.tells(at, stamp, version)
            elif at > stream.latest:
                stream.latest = at
        stream.positions.append(position)
        stream.made = None
        if self._touched is not None:
            self._touched[name] = stream

    def _told_otherwise(
        self, stream: _Stream, version: int, position: int, stamp: datetime, event: Any
    ) -> bool:
        """Take an event that is no plain fact; say whether it is one besides."""
        type_ = event.__class__.__name__
        if type_ == "Unread":
            stream.absent.append(range(version, version + 1))
            self._unread[event.type] = self._unread.get(event.type, 0) + 1
            self._touch(stream)
            return False
        if type_ in _EDITS:
            self._edit(stream, version, position, stamp, event)
            return False
        if type_ in _NO_FACTS:
            if stream.edits:
                self._touch(stream)  # it may be what one of them speaks of
            return bool(getattr(event, "unauthorised", ""))
        for moment in (getattr(event, field) for field in _MORE_MOMENTS[type_]):
            if moment is not None:
                stream.tells(moment, stamp, version)
        return True

    def _begun(self, name: str) -> _Stream | None:
        kind, _, id_ = name.partition(":")
        mine = self._of.get(kind)
        if mine is None:
            self._streams[name] = None
            return None
        if id_ in mine:
            return self._awake(kind, id_)
        stream = self._streams[name] = mine[id_] = _Stream(kind, id_)
        self._touch(stream)
        return stream

    def _edit(
        self, stream: _Stream, version: int, position: int, stamp: datetime, event: Any
    ) -> None:
        if isinstance(event, MomentCorrected) and event.now is not None:
            stream.tells(event.now, stamp, version)
        stream.absent.append(range(version, version + 1))
        stream.edits.append((position, event))
        stream.positions.append(position)
        self._edited[stream.kind, stream.id] = stream
        self._touch(stream)

    def _touch(self, stream: _Stream) -> None:
        stream.made = None
        if self._touched is not None:
            self._touched[f"{stream.kind}:{stream.id}"] = stream

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
            unfounded=() if cut is None else tuple(sorted(self._unfounded(cut))),
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
        rows: dict[str, Any] = {}
        for id_ in order:
            one = streams[id_]
            if isinstance(one, Made) and not one.stands(as_of):
                one = self._awake(kind, id_)
            rows[id_] = (one if isinstance(one, Made) else one.told(as_of)).row
        return rows

    def _unfounded(self, as_of: datetime) -> Iterator[int]:
        for one in self._edited.values():
            yield from (one if isinstance(one, Made) else one.told(as_of)).unfounded


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
