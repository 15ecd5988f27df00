"""
Facts: one frozen row for each incident and each change, the table every figure is computed from.

A row says what stands: corrections and voids applied, cut at `as_of` in world time and at
`known_at` in the order of knowledge, merges followed to their last target. Words (titles, notes)
are no facts and are not in a row.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, pairwise
from operator import attrgetter
from typing import Any, Final, NamedTuple, Self, TypeVar, get_args

import attrs

from imcm.domain.change_events import ChangeEvent
from imcm.domain.corrections import CORRECTIONS, EDITS, MomentCorrected, standing
from imcm.domain.incident_events import IncidentEvent
from imcm.domain.recorded import CHANGE, INCIDENT, LogMark, Recorded, Unread, known
from imcm.domain.vocabulary import (
    Between,
    Moment,
    checked_time,
    is_list,
    latest,
    optional_time,
)
from imcm.errors import InvalidValue, StoreError
from imcm.plain import plain
from imcm.projections.facts import change_rows, incident_rows
from imcm.projections.facts.change_rows import ChangeSoFar, backdated
from imcm.projections.facts.edits import edits_of
from imcm.projections.facts.incident_rows import IncidentSoFar
from imcm.projections.facts.merges import merges_followed
from imcm.projections.facts.rows import (
    MORE_MOMENTS,
    ChangeFacts,
    Hold,
    IncidentFacts,
    RolloutStep,
    Spell,
    happened,
    is_statement,
)
from imcm.projections.facts.tables import ChangeTable, IncidentTable

__all__ = [
    "ChangeFacts",
    "Facts",
    "FactsFold",
    "Hold",
    "IncidentFacts",
    "Kept",
    "Read",
    "RolloutStep",
    "Spell",
    "facts",
    "is_statement",
]

T = TypeVar("T")

KEPT: Final = 16


def _incidents(rows: Iterable[IncidentFacts]) -> IncidentTable:
    return IncidentTable.of(rows)


def _changes(rows: Iterable[ChangeFacts]) -> ChangeTable:
    return ChangeTable.of(rows)


def _as_of(value: object) -> datetime | None:
    return optional_time("as_of", value)


@attrs.frozen(kw_only=True)
class Facts:
    """
    All rows, with what they were made from.

    Attributes:
        incidents, changes: Sorted by id, each row made when it is looked at.
        as_of: World facts later than this are not in the rows.
        known_at: What was asked for: a position, a time, or None for the whole log.
        log_position: Position of the last event read; 0 for an empty log.
        mark: Which ledger that is a position of, and which event stands there; None for a plain
            list of events, which does not say.
        events: How many events were read.
        unread: Type name to count of events this version can't read.
        clock_back: Positions at which the ledger's own stamps went back.
        gaps: Positions at which an incident's or a change's version is not the one that follows
            the version before it in the log read: a number is missing, or comes again.
        unfounded: Positions of corrections and voids whose target is not in the log read.

    Raises:
        InvalidValue: There are rows and no `as_of`: without it no figure knows how far they go. Or
            rows are not in the order of their ids, each once.
        NaiveTimeError: `as_of` has no time zone.
    """

    incidents: IncidentTable = attrs.field(factory=IncidentTable, converter=_incidents)
    changes: ChangeTable = attrs.field(factory=ChangeTable, converter=_changes)
    as_of: datetime | None = attrs.field(default=None, converter=_as_of)
    known_at: int | datetime | None = None
    log_position: int = 0
    events: int = 0
    unread: Mapping[str, int] = attrs.field(factory=dict[str, int])
    clock_back: tuple[int, ...] = ()
    gaps: tuple[int, ...] = ()
    unfounded: tuple[int, ...] = ()
    mark: LogMark | None = attrs.field(default=None, eq=False)
    _kept: dict[Hashable, Any] = attrs.field(
        init=False, factory=dict[Hashable, Any], eq=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        if self.as_of is None and not self.empty:
            raise InvalidValue("as_of", None, "give the time up to which the rows tell")

    @classmethod
    def joined(cls, parts: Iterable[Facts], *, as_of: datetime) -> Self:
        """
        Return the facts of several ledgers as those of one.

        What a row says of positions is of its own ledger, and so are `clock_back`, `gaps` and
        `unfounded`, which the result has none of: look at them in each part. Events are counted
        together, unread ones too. The result has no log position and is of no one log.

        Args:
            parts: The facts of each ledger, all made with `as_of=` this time.
            as_of: World facts later than this are in no row.

        Raises:
            InvalidValue: A part was made for another time, or the same incident or change is in
                two of them: its history is then in neither.
            NaiveTimeError: *as_of* has no time zone.
        """
        as_of = checked_time("as_of", as_of)
        given: list[Any] = list(parts) if is_list(parts) else [parts]  # Any: untrusted
        unread: Counter[str] = Counter()
        for part in given:
            if not isinstance(part, Facts):
                raise InvalidValue("parts", part, "give facts, such as ledger.facts(as_of=...)")
            if part.as_of != as_of and not part.empty:
                allowed = f"make each part with as_of={as_of.isoformat()}"
                raise InvalidValue("parts", f"one as of {part.as_of}", allowed)
            unread.update(part.unread)
        return cls(
            incidents=_in_one("incident", [part.incidents for part in given]),
            changes=_in_one("change", [part.changes for part in given]),
            as_of=as_of,
            events=sum(part.events for part in given),
            unread=dict(sorted(unread.items())),
        )

    def __repr__(self) -> str:
        """Return in one line how many rows there are, and what they were made from."""
        rows = f"{len(self.incidents):,} incidents and {len(self.changes):,} changes"
        line = f"facts of {rows} as of {self.as_of}, log position {self.log_position:,}"
        unread = sum(self.unread.values())
        return f"{line}, {unread:,} events not read" if unread else line

    @property
    def empty(self) -> bool:
        """Whether nothing of any incident or change was read; a ledger's own rows are neither."""
        return not self.incidents and not self.changes

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


def _in_one(kind: str, tables: Iterable[Iterable[Any]]) -> Any:
    """
    Return the rows of several tables of one kind in the order of their ids.

    Any: of which kind they are, the caller knows.
    """
    rows = sorted(chain.from_iterable(tables), key=attrgetter("id"))
    for before, row in pairwise(rows):
        if before.id == row.id:
            allowed = f"each {kind} in one part; give the ids of each ledger a prefix of its own"
            raise InvalidValue("parts", f"two with {kind} {plain(row.id)}", allowed)
    return rows


# --- the fold -------------------------------------------------------------------------------------

_NO_FACTS: Final = frozenset(
    {
        "UpdatePosted",
        "RoleAssigned",
        "RoleReleased",
        "ProblemLinked",
        "AttemptConcluded",
        "ActionAdded",
        "ActionRevised",
        "ReferenceAdded",
        "ActionCompleted",
        "ActionDropped",
        # The rows of those that are merged say which severity each of them held.
        "SeverityInherited",
        "RolloutPaused",
        "ChangeReworded",
        "WordsRedacted",
    }
)
"""Events no row needs. Leaving them out keeps memory at the facts, however long a log is."""

_IN_WINDOW: Final = frozenset({"ChangeStarted", "ChangeCompleted", "ChangeObserved"})
"""Events that say when the work was done, which is to be inside the approved window."""

_EDITS: Final = frozenset(cls.__name__ for cls in EDITS)
_SELDOM: Final = _NO_FACTS | _EDITS | MORE_MOMENTS.keys()

_KNOWN: Final = {
    kind: frozenset(cls.__name__ for cls in get_args(events))
    for kind, events in ((INCIDENT, IncidentEvent), (CHANGE, ChangeEvent))
}
"""Names of the events there are of each kind; any other one in a stream can't be read."""

_TYPES: Final = {cls: cls.__name__ for cls in (*get_args(IncidentEvent), *get_args(ChangeEvent))}
_STRANGE: Final = ""
"""Stands for the name of what is no event of ours, whatever its class is called."""

_FIRST: Final = datetime.min.replace(tzinfo=UTC)


# Any: what tells facts may be leaner than a recorded event; edits are the real ones.
Taken = tuple[str, int, int, str, Any]
"""Stream, version, position, name of its type, and what has `recorded_at`, `source` and `event`."""


class Read(NamedTuple):
    """What a fold knows of the log besides the rows; it goes on from here."""

    position: int
    events: int
    newest: datetime
    last: datetime
    unread: dict[str, int]
    clock_back: list[int]
    gaps: list[int]


class Kept(NamedTuple):
    """
    One incident or change as a fold can put it away, to go on with it later.

    Attributes:
        row: Its row, merges not yet followed.
        beside: What else is told of it so far; None where its events are needed to go on.
        last: Its last version.
        latest: The last moment that anything of it speaks of.
        source, stamp: What the last event of another tool said of itself.
        as_of: The time the row was made for.
        unfounded: Positions of its corrections and voids whose target is not in the log read.
    """

    row: IncidentFacts | ChangeFacts
    beside: tuple[Any, ...] | None
    last: int
    latest: datetime
    source: str | None
    stamp: datetime | None
    as_of: datetime
    unfounded: tuple[int, ...]

    @property
    def kind(self) -> str:
        """What it is: an incident or a change."""
        return INCIDENT if isinstance(self.row, IncidentFacts) else CHANGE

    @property
    def whole(self) -> bool:
        """Whether nothing of the row was cut: it is the same for every later time."""
        return self.latest <= self.as_of


class Notes(NamedTuple):
    """
    What is seldom said of the rows of one kind.

    Attributes:
        cut: The ids of rows that a later time may show otherwise, with the times they are for.
        unfounded: By their ids the positions of corrections and voids without their target.
        merged: The ids of incidents that are merged into another.
    """

    cut: dict[str, datetime]
    unfounded: dict[str, tuple[int, ...]]
    merged: frozenset[str]


class Packed(NamedTuple):
    """
    All that was put away of one kind, to be unpacked one by one where it is needed.

    Attributes:
        table: The rows, merges not yet followed, which are unpacked when they are looked at.
        notes: What is seldom said of them.
        kept: Unpacks one by its place in the table.
    """

    table: IncidentTable | ChangeTable
    notes: Notes
    kept: Callable[[int], Kept]


class _Versions:
    """Versions of a stream, as stretches apart from each other, in order."""

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __contains__(self, version: int) -> bool:
        place = bisect_right(self._starts, version) - 1
        return place >= 0 and version < self._ends[place]

    def add(self, start: int, end: int) -> None:
        """Add those from *start* up to *end*, which is not one of them; none where it is less."""
        if start >= end:
            return
        first = bisect_left(self._ends, start)
        behind = bisect_right(self._starts, end)
        if first < behind:  # it meets others, and they become one
            start, end = min(start, self._starts[first]), max(end, self._ends[behind - 1])
        self._starts[first:behind], self._ends[first:behind] = (start,), (end,)


class _Odd:
    """What is seldom said of a stream."""

    __slots__ = (
        *("absent", "backdated", "clock_back", "disagree", "edits", "late", "source"),
        "stamp",
    )

    def __init__(self) -> None:
        self.edits: list[tuple[int, Any]] = []
        self.absent = _Versions()  # those that are no facts: edits, unread, gaps
        self.late: dict[int, None] = {}
        self.backdated: dict[int, None] = {}
        self.source: str | None = None
        self.stamp: datetime | None = None
        self.clock_back = False
        self.disagree = False


Apply = Mapping[str, Callable[[Any, Any], None]]
"""How events are applied to a row so far, by the names of their types."""


# Any: a class, whose methods have the same names in both.
_SO_FAR: Final[Mapping[str, tuple[Any, Apply]]] = {
    INCIDENT: (IncidentSoFar, incident_rows.APPLY),
    CHANGE: (ChangeSoFar, change_rows.APPLY),
}


class _Stream:
    """What was recorded of one incident or change, as far as its row needs it."""

    # One class for both kinds: where a fold takes events of both in turn, Python finds the fields
    # of one class far faster than those of two.
    __slots__ = (
        *("apply", "events", "id", "kind", "known", "last", "latest", "odd", "positions"),
        *("row_class", "so_far", "stale"),
    )

    def __init__(self, kind: str, id_: str) -> None:
        self.kind = kind
        self.id = id_
        self.row_class, self.apply = _SO_FAR[kind]
        self.known = _KNOWN[kind]
        self.positions = array("q")  # a quarter of what a list of numbers holds
        self.so_far: Any = self.row_class(id_, self.positions)
        self.events: dict[int, Any] | None = None  # held only where they may be needed once more
        self.last = 0
        self.latest = _FIRST  # the last moment that anything here speaks of
        self.stale = False  # whether it was told something that its row does not say yet
        self.odd: _Odd | None = None

    def resume(self, kept: Kept) -> None:
        """Go on from what was put away; the events are not there."""
        row = kept.row
        self.positions.extend(row.positions)
        if kept.beside is not None:
            self.so_far = self.row_class.restored(row, kept.beside, self.positions)
        self.last, self.latest = kept.last, kept.latest
        if row.late or row.source_clock_back or row.sources_disagree or kept.source is not None:
            odd = self.oddly()
            odd.source, odd.stamp, odd.late = kept.source, kept.stamp, dict.fromkeys(row.late)
            odd.clock_back, odd.disagree = row.source_clock_back, row.sources_disagree
        if isinstance(row, ChangeFacts) and row.backdated:
            self.oddly().backdated = dict.fromkeys(row.backdated)

    def oddly(self) -> _Odd:
        """Return what is seldom said, to be said now."""
        if self.odd is None:
            self.odd = _Odd()
        return self.odd

    def row(self, as_of: datetime) -> IncidentFacts | ChangeFacts:
        """Return the row as it stood at a time; its events must be there where it needs them."""
        so_far = self._refolded(as_of) if self.needs_events(as_of) else self.so_far
        row: IncidentFacts | ChangeFacts = so_far.facts()
        odd = self.odd
        if odd is not None and (odd.late or odd.clock_back or odd.disagree):
            row = row._replace(
                late=tuple(odd.late),
                source_clock_back=odd.clock_back,
                sources_disagree=odd.disagree,
            )
        if odd is not None and odd.edits:
            row = row._replace(edits=edits_of(self.events or {}, (e for _, e in odd.edits)))
        if odd is not None and odd.backdated and isinstance(row, ChangeFacts):
            row = row._replace(backdated=tuple(odd.backdated))
        return row

    def _refolded(self, as_of: datetime) -> Any:
        """Return the row so far of what stood at a time, its events applied anew."""
        events: Mapping[int, Any] = self.events or {}
        if self.odd is not None:
            events = standing(events, [edit for _, edit in self.odd.edits])
        stands: Iterable[Any] = events.values()
        if self.latest > as_of:
            stands = happened(stands, as_of)
        so_far = self.row_class(self.id, self.positions)
        for event in stands:
            apply = self.apply.get(event.__class__.__name__)
            if apply is not None:
                apply(so_far, event)
        return so_far

    @property
    def edited(self) -> bool:
        """Whether something of it was corrected or voided."""
        return self.odd is not None and bool(self.odd.edits)

    def needs_events(self, as_of: datetime) -> bool:
        """Say whether what is told event by event is not what stood at a time."""
        return self.latest > as_of or self.edited

    def unfounded(self) -> tuple[int, ...]:
        """Return the positions of the edits whose target is not in the part of the log read."""
        odd = self.odd
        if odd is None:
            return ()
        return tuple(at for at, edit in odd.edits if not self._holds(edit.version, odd.absent))

    def _holds(self, version: int, absent: _Versions) -> bool:
        """Say whether a version is that of a fact in the part of the log that was read."""
        return 1 <= version <= self.last and version not in absent

    def tells(self, moment: Moment, stamp: datetime, version: int) -> None:
        """Note a moment that is spoken of; one after the time it was recorded is an anomaly."""
        last = latest(moment)
        self.latest = max(self.latest, last)
        if last > stamp:
            self.oddly().late[version] = None


_NEW: Final = _Stream(INCIDENT, "")
"""Stands for a stream of which nothing was recorded before."""


class _Rows:
    """The rows of one kind, as they stood at one time."""

    def __init__(self, table: IncidentTable | ChangeTable) -> None:
        self.as_of = _FIRST
        self.table = table
        # Ids of rows that a later time may show otherwise, with the times they were made for.
        self.cut: dict[str, datetime] = {}
        self.were_cut: set[str] = set()  # those that were put away so
        self.unfounded: dict[str, tuple[int, ...]] = {}
        # Those put away, of which nothing more was told: one by one, and packed.
        self._kept: dict[str, Kept] = {}
        self._packed: tuple[Sequence[str], Callable[[int], Kept]] | None = None
        self._unpacked: set[str] = set()

    def begin(self, packed: Packed) -> None:
        """Begin with what is packed."""
        self.table = packed.table
        self.cut, self.unfounded, _ = packed.notes
        self.were_cut = set(self.cut)
        self._packed = packed.table.ids, packed.kept

    def keep(self, one: Kept) -> None:
        """Take one that was put away, instead of what there was of it."""
        self._kept[one.row.id] = one
        self._unpacked.add(one.row.id)
        if not one.whole:
            self.were_cut.add(one.row.id)

    def take_out(self, id_: str) -> Kept | None:
        """Return one that was put away, which it is not any more; None where it is not."""
        found = self._kept.pop(id_, None)
        if found is None and self._packed is not None and id_ not in self._unpacked:
            ids, kept = self._packed
            place = bisect_left(ids, id_)
            if ids[place : place + 1] == [id_]:
                found = kept(place)
                self._unpacked.add(id_)
        return found

    def put_away(self) -> Iterator[Kept]:
        """Yield all that are put away."""
        yield from self._kept.values()
        if self._packed is not None:
            ids, kept = self._packed
            yield from (kept(at) for at, id_ in enumerate(ids) if id_ not in self._unpacked)


class FactsFold:
    """
    Takes recorded events one by one, in log order, and gives the rows at any time.

    The same fold serves a replay and a follower: `facts` is this with the whole log added. What is
    told of a row goes on from event to event, so that being up to date costs what is new. The
    events themselves are needed again only where some were corrected or voided, or lie later than
    the time that is asked for.

    Args:
        load: Gives a fold that has taken the events of some streams, each up to a version, and
            holds them; asked where they are needed again. Without it all events are held.
        keeps: Whether rows are put away (`touched`) and gone on with (`keep`).
    """

    def __init__(
        self, load: Callable[[Mapping[str, int]], FactsFold] | None = None, *, keeps: bool = False
    ) -> None:
        self._load = load
        self._streams: dict[str, _Stream | None] = {}
        self._rows = {
            INCIDENT: _Rows(IncidentTable(make=IncidentSoFar.facts)),
            CHANGE: _Rows(ChangeTable(make=ChangeSoFar.facts)),
        }
        self._closing = False  # whether nothing is told any more, and lists can be kept for rows
        self._stale: dict[str, list[_Stream]] = {INCIDENT: [], CHANGE: []}
        self._merged: dict[str, str] = {}
        # Kept only where somebody asks for it: it is a step more for each event.
        self._touched: dict[str, _Stream] | None = {} if keeps else None
        self._unread: dict[str, int] = {}
        self._position = 0
        self._events = 0
        self._newest = _FIRST
        self._last = _FIRST
        self._clock_back: list[int] = []
        self._gaps: list[int] = []

    # --- rows that are put away -------------------------------------------------------------------

    @property
    def position(self) -> int:
        """The position of the last event taken; 0 where there is none."""
        return self._position

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

    def begin(self, read: Read, packed: Mapping[str, Packed]) -> None:
        """Go on, with nothing taken yet, from what another fold had read and put together."""
        self._go_on(read)
        for kind, theirs in packed.items():
            self._rows[kind].begin(theirs)
            self._rows[kind].as_of = self._newest
            self._merged.update(dict.fromkeys(theirs.notes.merged, ""))

    def put_together(
        self,
    ) -> tuple[Mapping[str, tuple[IncidentTable | ChangeTable, Notes]], list[Kept]]:
        """Return all rows as they stand, and anew what was put away while something was cut."""
        as_of = self._newest
        together: dict[str, tuple[IncidentTable | ChangeTable, Notes]] = {}
        renewed: list[Kept] = []
        for kind, mine in self._rows.items():
            self._bring_to(kind, as_of)
            streams = [self._stream(kind, id_) for id_ in sorted(mine.were_cut)]
            mine.were_cut = set()
            self._fetch(self._needing(streams, as_of))
            renewed += (self._put_away(stream, as_of) for stream in streams)
            merged = frozenset(self._merged) if kind == INCIDENT else frozenset[str]()
            together[kind] = mine.table, Notes(mine.cut, mine.unfounded, merged)
        return together, renewed

    def _go_on(self, read: Read) -> None:
        self._position, self._events, self._newest, self._last = read[:4]
        self._unread = dict(read.unread)
        self._clock_back, self._gaps = list(read.clock_back), list(read.gaps)

    def keep(self, read: Read, rows: Iterable[Kept]) -> None:
        """Go on from what another fold had read, and from what it put away."""
        self._go_on(read)
        new: dict[str, dict[str, Any]] = {INCIDENT: {}, CHANGE: {}}
        for one in rows:
            row, kind = one.row, one.kind
            self._streams.pop(f"{kind}:{row.id}", None)
            self._rows[kind].keep(one)
            new[kind][row.id] = row
            self._note(kind, row, None if one.whole else one.as_of, one.unfounded)
        for kind, found in new.items():
            mine = self._rows[kind]
            mine.as_of = max(mine.as_of, self._newest)
            self._stale[kind] = [one for one in self._stale[kind] if one.id not in found]
            mine.table.put(found)

    def touched(self) -> list[Kept]:
        """Return what was added to since this was last asked, to be put away."""
        touched, as_of = self._touched or {}, self._newest
        self._touched = {}
        self._fetch(self._needing(touched.values(), as_of))
        return [self._put_away(stream, as_of) for stream in touched.values()]

    def _put_away(self, stream: _Stream, as_of: datetime) -> Kept:
        if stream.latest > as_of:
            self._rows[stream.kind].were_cut.add(stream.id)
        row = stream.row(as_of)
        beside: tuple[Any, ...] | None = None
        if not stream.needs_events(as_of):
            beside = stream.so_far.carried()
        odd = stream.odd
        return Kept(
            row,
            beside,
            stream.last,
            stream.latest,
            None if odd is None else odd.source,
            None if odd is None else odd.stamp,
            as_of,
            stream.unfounded(),
        )

    # --- events -----------------------------------------------------------------------------------

    def add(self, recorded: Recorded) -> None:
        """Take one more event."""
        self.add_all((recorded,))

    def add_all(self, log: Iterable[Recorded]) -> None:
        """Take events in log order."""
        names = _TYPES
        self.take(
            (one.stream, one.version, one.position, names.get(one.event.__class__, _STRANGE), one)
            for one in log
        )

    def take(self, told: Iterable[Taken]) -> None:
        """Take events in log order, each told apart by the name of its type."""
        streams, touched = self._streams, self._touched
        position, newest, last, events = self._position, self._newest, self._last, self._events
        try:
            for name, version, position, type_, recorded in told:
                stamp, event = recorded.recorded_at, recorded.event
                events += 1
                if stamp < last:
                    self._clock_back.append(position)
                    newest = max(newest, last)
                last = stamp
                stream = streams.get(name, _NEW)
                if stream is _NEW:
                    stream = self._begun(name)
                if stream is None:
                    continue  # one of the ledger's own rows
                if version != stream.last + 1:
                    self._gaps.append(position)
                    stream.oddly().absent.add(stream.last + 1, version)
                stream.last = version
                if touched is not None:
                    touched[name] = stream
                source = recorded.source
                if type_ not in stream.known:
                    self._not_read(stream, version, event)
                    continue
                if source is not None:
                    _note_source(stream.oddly(), event, source.name, source.recorded_at)
                if type_ in _SELDOM and not self._told_otherwise(
                    stream, version, position, stamp, type_, event
                ):
                    continue
                at = event.at
                if at is not None:
                    if at.__class__ is Between or at > stamp:
                        stream.tells(at, stamp, version)
                    elif at > stream.latest:
                        stream.latest = at
                if type_ in _IN_WINDOW and backdated(stream.so_far, event, stamp):
                    stream.oddly().backdated[version] = None
                stream.positions.append(position)
                if stream.events is not None:
                    stream.events[version] = event
                apply = stream.apply.get(type_)
                if apply is not None:
                    apply(stream.so_far, event)
                if not stream.stale:
                    self._set_stale(stream)
        finally:
            self._position, self._newest, self._last = position, max(newest, last), last
            self._events = events

    def _told_otherwise(
        self,
        stream: _Stream,
        version: int,
        position: int,
        stamp: datetime,
        type_: str,
        event: Any,
    ) -> bool:
        """Take an event that is no plain fact; say whether it is one besides."""
        if type_ in _EDITS:
            self._edit(stream, version, position, stamp, event)
            return False
        if type_ in _NO_FACTS:
            if stream.edited:
                self._set_stale(stream)  # it may be what one of them speaks of
            return bool(getattr(event, "unauthorised", ""))
        for name in MORE_MOMENTS[type_]:
            moment = getattr(event, name)
            if moment is not None:
                stream.tells(moment, stamp, version)
        return True

    def _not_read(self, stream: _Stream, version: int, event: Any) -> None:
        """Take an event that can't be read, or is none of what its stream is of."""
        name = event.type if isinstance(event, Unread) else event.__class__.__name__
        stream.oddly().absent.add(version, version + 1)
        self._unread[name] = self._unread.get(name, 0) + 1
        self._set_stale(stream)

    def _begun(self, name: str) -> _Stream | None:
        kind, _, id_ = name.partition(":")
        mine = self._rows.get(kind)
        if mine is None:
            self._streams[name] = None
            return None
        kept = mine.take_out(id_)
        if kept is not None:
            return self._awake(kind, kept)
        stream = self._streams[name] = _Stream(kind, id_)
        if self._load is None:
            stream.events = {}
        self._set_stale(stream)
        return stream

    def _awake(self, kind: str, kept: Kept) -> _Stream:
        """Go on with a stream that was put away."""
        stream = _Stream(kind, kept.row.id)
        stream.resume(kept)
        self._streams[f"{kind}:{stream.id}"] = stream
        if kept.beside is None:
            (loaded,) = self._fetch([stream]).values()
            stream.so_far, stream.positions = loaded.so_far, loaded.positions
        return stream

    def _fetch(self, streams: Iterable[_Stream]) -> dict[str, _Stream]:
        """Load the events of streams up to what was read of them, and hold them from here on."""
        wanted = {f"{stream.kind}:{stream.id}": stream for stream in streams}
        if not wanted:
            return {}
        if self._load is None:
            raise StoreError(f"the events of {min(wanted)} are needed, and nothing loads them")
        found = self._load({name: stream.last for name, stream in wanted.items()})._streams
        loaded = {name: one for name in wanted if (one := found.get(name)) is not None}
        for name, stream in wanted.items():
            if name not in loaded:
                raise StoreError(f"{name} was kept, and is not in the log any more")
            stream.events = loaded[name].events
            theirs = loaded[name].odd
            if theirs is not None:
                odd = stream.oddly()
                odd.absent, odd.edits = theirs.absent, odd.edits or theirs.edits
        return loaded

    def _needing(self, streams: Iterable[_Stream], as_of: datetime) -> list[_Stream]:
        """Return the streams whose rows at a time need events that are not held."""
        return [one for one in streams if one.events is None and one.needs_events(as_of)]

    def _edit(
        self, stream: _Stream, version: int, position: int, stamp: datetime, event: Any
    ) -> None:
        if isinstance(event, MomentCorrected) and event.now is not None:
            stream.tells(event.now, stamp, version)
        odd = stream.oddly()
        odd.absent.add(version, version + 1)
        odd.edits.append((position, event))
        stream.positions.append(position)
        self._set_stale(stream)

    def _set_stale(self, stream: _Stream) -> None:
        if not stream.stale:
            stream.stale = True
            self._stale[stream.kind].append(stream)

    # --- rows -------------------------------------------------------------------------------------

    def _note(self, kind: str, row: Any, cut: datetime | None, unfounded: tuple[int, ...]) -> None:
        """Note what is seldom said of a row, or that it is not said any more."""
        mine, id_ = self._rows[kind], row.id
        _noted(mine.cut, id_, cut)
        _noted(mine.unfounded, id_, unfounded)
        if kind == INCIDENT:
            _noted(self._merged, id_, row.merged_into)

    def _bring_to(self, kind: str, as_of: datetime) -> None:
        """Bring the rows of one kind to what stood at a time."""
        mine = self._rows[kind]
        stale, self._stale[kind] = self._stale[kind], []
        if as_of < mine.as_of:
            stale = self._all_later(kind, as_of)
        elif mine.cut:
            have = {stream.id for stream in stale}
            others = [id_ for id_, at in mine.cut.items() if at != as_of and id_ not in have]
            stale += [self._stream(kind, id_) for id_ in others]
        mine.as_of = as_of
        self._fetch(self._needing(stale, as_of))
        new: dict[str, Any] = {}
        noted = bool(mine.cut or mine.unfounded or self._merged)
        plainly = self._closing and not noted
        incidents = kind == INCIDENT
        stale.reverse()
        while stale:
            # Each is taken off, so that one which nobody needs any more is gone with its row made.
            stream = stale.pop()
            stream.stale = False
            if plainly and stream.odd is None and stream.latest <= as_of:
                so_far = stream.so_far
                if not incidents or so_far.merged_into is None:
                    new[stream.id] = so_far
                    continue
            row: Any = stream.row(as_of)
            new[stream.id] = row
            cut = as_of if stream.latest > as_of else None
            merged = incidents and row.merged_into is not None
            if noted or merged or cut is not None or stream.edited:
                self._note(kind, row, cut, stream.unfounded())
        mine.table.put(new)

    def _all_later(self, kind: str, as_of: datetime) -> list[_Stream]:
        """Return all streams that may have another row at an earlier time, or have none yet."""
        away = self._rows[kind].put_away()
        for id_ in [one.row.id for one in away if one.latest > as_of or not one.whole]:
            self._stream(kind, id_)
        return [one for one in self._streams.values() if one is not None and one.kind == kind]

    def _stream(self, kind: str, id_: str) -> _Stream:
        """Return a stream there is, awake."""
        kept = self._rows[kind].take_out(id_)
        if kept is not None:
            return self._awake(kind, kept)
        stream = self._streams[f"{kind}:{id_}"]
        assert stream is not None  # the ledger's own rows have no kind
        return stream

    def closed(
        self, *, as_of: datetime | None = None, known_at: int | datetime | None = None
    ) -> Facts:
        """Return what `facts` does, and let go of what it was told: nothing can be added after."""
        self._streams, self._closing = {}, True
        return self.facts(as_of=as_of, known_at=known_at)

    def facts(
        self, *, as_of: datetime | None = None, known_at: int | datetime | None = None
    ) -> Facts:
        """
        Return the rows of everything added so far.

        Args:
            as_of: See `Facts`; None means the newest stamp among the events added.
            known_at: Kept in the result; whoever adds events decides where to stop.
        """
        cut = optional_time("as_of", as_of)
        if cut is None and self._events:
            cut = self._newest
        incidents, changes = IncidentTable(), ChangeTable()
        unfounded: list[int] = []
        if cut is not None:
            for kind, mine in self._rows.items():
                self._bring_to(kind, cut)
                for positions in mine.unfounded.values():
                    unfounded += positions
            # Any: which table it is, its kind says.
            tables: Any = [mine.table for mine in self._rows.values()]
            incidents, changes = tables
            merged = [row for id_ in self._merged if (row := incidents.get(id_)) is not None]
            followed = merges_followed(incidents.get, merged)
            if self._closing:
                incidents.put(followed)
                incidents.fill()
                changes.fill()
            else:
                incidents, changes = incidents.with_rows(followed), changes.with_rows({})
        return Facts(
            incidents=incidents,
            changes=changes,
            as_of=cut,
            known_at=known_at,
            log_position=self._position,
            events=self._events,
            unread=dict(sorted(self._unread.items())),
            clock_back=tuple(self._clock_back),
            gaps=tuple(self._gaps),
            unfounded=tuple(sorted(unfounded)),
        )


def _noted(notes: dict[str, T], id_: str, said: T | None) -> None:
    if said:
        notes[id_] = said
    else:
        notes.pop(id_, None)


def _note_source(odd: _Odd, event: object, name: str, recorded_at: datetime | None) -> None:
    if odd.source is None:
        odd.source = name
    elif odd.source != name and isinstance(event, CORRECTIONS):
        odd.disagree = True
    if recorded_at is not None:
        if odd.stamp is not None and recorded_at < odd.stamp:
            odd.clock_back = True
        odd.stamp = recorded_at


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
    fold.add_all(known(log, known_at))
    found = fold.closed(as_of=as_of, known_at=known_at)
    mark_at: Callable[..., LogMark | None] | None = getattr(log, "mark_at", None)
    if mark_at is None or not found.events:
        return found
    return attrs.evolve(found, mark=mark_at(found.log_position, events=found.events))
