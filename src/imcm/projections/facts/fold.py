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
from imcm.domain.corrections import CORRECTIONS, EDITS, EventVoided, MomentCorrected, standing
from imcm.domain.incident_events import IncidentEvent
from imcm.domain.recorded import CHANGE, INCIDENT, LogMark, Recorded, Unread, known
from imcm.domain.vocabulary import (
    NOTHING_TOLD,
    Between,
    Moment,
    checked_time,
    is_list,
    latest,
    optional_time,
)
from imcm.errors import InvalidValue, StoreError
from imcm.plain import count_of, plain
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
    "LogCursor",
    "Notes",
    "RawEvent",
    "RolloutStep",
    "Snapshot",
    "Spell",
    "StoredRows",
    "facts",
    "is_statement",
]

T = TypeVar("T")

_MEMOS: Final = 16


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
    _memos: dict[Hashable, Any] = attrs.field(
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
            incidents=_joined_rows("incident", [part.incidents for part in given]),
            changes=_joined_rows("change", [part.changes for part in given]),
            as_of=as_of,
            events=sum(part.events for part in given),
            unread=dict(sorted(unread.items())),
        )

    def __repr__(self) -> str:
        """Return in one line how many rows there are, and what they were made from."""
        incidents, changes = len(self.incidents), len(self.changes)
        rows = f"{count_of(incidents, 'incident')} and {count_of(changes, 'change')}"
        line = f"facts of {rows} as of {self.as_of}, log position {self.log_position:,}"
        unread = sum(self.unread.values())
        return f"{line}, {count_of(unread, 'event')} not read" if unread else line

    @property
    def empty(self) -> bool:
        """Whether nothing of any incident or change was read; a ledger's own rows are neither."""
        return not self.incidents and not self.changes

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """
        Return what *make* gives, made once: figures of one report share what they are made of.

        Only the last few things are kept. What is kept must never be changed.
        """
        memos = self._memos
        if key not in memos:
            while len(memos) >= _MEMOS:
                memos.pop(next(iter(memos)), None)
            memos[key] = make()
        value: T = memos[key]
        return value


def _joined_rows(kind: str, tables: Iterable[Iterable[Any]]) -> Any:
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
        "SourceSaid",
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


# Any: it may be leaner than a recorded event; edits are the real ones.
RawEvent = tuple[str, int, int, str, Any]
"""Stream, version, position, name of its type, and what has `recorded_at`, `source` and `event`."""


class LogCursor(NamedTuple):
    """How far a fold has read the log, and what it knows of it besides the rows."""

    position: int
    events: int
    newest: datetime
    last: datetime
    unread: dict[str, int]
    clock_back: list[int]
    gaps: list[int]


class Snapshot(NamedTuple):
    """
    One incident or change as a fold can store it, to go on with it later.

    Attributes:
        row: Its row, merges not yet followed.
        carried: What its row so far carries besides; None where its events are needed to go on.
        last: Its last version.
        latest: The last moment that anything of it speaks of.
        source, stamp: What the last event of another tool said of itself.
        as_of: The time the row was made for.
        unfounded: Positions of its corrections and voids whose target is not in the log read.
    """

    row: IncidentFacts | ChangeFacts
    carried: tuple[Any, ...] | None
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


class StoredRows(NamedTuple):
    """
    All rows of one kind as they were stored, to be loaded one by one where they are needed.

    Attributes:
        table: The rows, merges not yet followed, which are loaded when they are looked at.
        notes: What is seldom said of them.
        snapshot_at: Loads the snapshot of one by its index in the table.
    """

    table: IncidentTable | ChangeTable
    notes: Notes
    snapshot_at: Callable[[int], Snapshot]


class _Versions:
    """Versions of a stream, as stretches apart from each other, in order."""

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __contains__(self, version: int) -> bool:
        index = bisect_right(self._starts, version) - 1
        return index >= 0 and version < self._ends[index]

    def add(self, start: int, end: int) -> None:
        """Add those from *start* up to *end*, which is not one of them; none where it is less."""
        if start >= end:
            return
        first = bisect_left(self._ends, start)
        behind = bisect_right(self._starts, end)
        if first < behind:  # it meets others, and they become one
            start, end = min(start, self._starts[first]), max(end, self._ends[behind - 1])
        self._starts[first:behind], self._ends[first:behind] = (start,), (end,)


class _Exceptions:
    """What is rare in a stream: most have nothing of it, and so hold none of these."""

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
        *("apply", "events", "exceptions", "id", "kind", "known", "last", "latest", "positions"),
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
        self.stale = False  # whether something was applied that its row does not say yet
        self.exceptions: _Exceptions | None = None

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot; the events are not there."""
        row = snapshot.row
        self.positions.extend(row.positions)
        if snapshot.carried is not None:
            self.so_far = self.row_class.restored(row, snapshot.carried, self.positions)
        self.last, self.latest = snapshot.last, snapshot.latest
        source = snapshot.source
        if row.late or row.source_clock_back or row.sources_disagree or source is not None:
            exceptions = self.ensure_exceptions()
            exceptions.source, exceptions.stamp = source, snapshot.stamp
            exceptions.late = dict.fromkeys(row.late)
            exceptions.clock_back = row.source_clock_back
            exceptions.disagree = row.sources_disagree
        if isinstance(row, ChangeFacts) and row.backdated:
            self.ensure_exceptions().backdated = dict.fromkeys(row.backdated)

    def ensure_exceptions(self) -> _Exceptions:
        """Return the exceptions of the stream, to which one is to be added."""
        if self.exceptions is None:
            self.exceptions = _Exceptions()
        return self.exceptions

    def row(self, as_of: datetime) -> IncidentFacts | ChangeFacts:
        """Return the row as it stood at a time; its events must be there where it needs them."""
        so_far = self._refolded(as_of) if self.needs_events(as_of) else self.so_far
        row: IncidentFacts | ChangeFacts = so_far.facts()
        exceptions = self.exceptions
        if exceptions is None:
            return row
        if exceptions.late or exceptions.clock_back or exceptions.disagree:
            row = row._replace(
                late=tuple(exceptions.late),
                source_clock_back=exceptions.clock_back,
                sources_disagree=exceptions.disagree,
            )
        if exceptions.edits:
            edits = (edit for _, edit in exceptions.edits)
            row = row._replace(edits=edits_of(self.events or {}, edits))
        if exceptions.backdated and isinstance(row, ChangeFacts):
            row = row._replace(backdated=tuple(exceptions.backdated))
        return row

    def _refolded(self, as_of: datetime) -> Any:
        """Return the row so far of what stood at a time, its events applied anew."""
        events: Mapping[int, Any] = self.events or {}
        if self.exceptions is not None:
            edits = [edit for _, edit in self.exceptions.edits]
            events = _of_content_that_stands(standing(events, edits), edits)
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
        return self.exceptions is not None and bool(self.exceptions.edits)

    def needs_events(self, as_of: datetime) -> bool:
        """Say whether the row so far is not what stood at a time."""
        return self.latest > as_of or self.edited

    def unfounded(self) -> tuple[int, ...]:
        """Return the positions of the edits whose target is not in the part of the log read."""
        exceptions = self.exceptions
        if exceptions is None:
            return ()
        absent = exceptions.absent
        return tuple(at for at, edit in exceptions.edits if not self._holds(edit.version, absent))

    def _holds(self, version: int, absent: _Versions) -> bool:
        """Say whether a version is that of a fact in the part of the log that was read."""
        return 1 <= version <= self.last and version not in absent

    def note_moment(self, moment: Moment, stamp: datetime, version: int) -> None:
        """Note a moment that an event speaks of; one after its stamp is an anomaly."""
        last = latest(moment)
        self.latest = max(self.latest, last)
        if last > stamp:
            self.ensure_exceptions().late[version] = None


# Any: an event may come leaner than its class.
def _of_content_that_stands(events: Mapping[int, Any], edits: Iterable[Any]) -> Mapping[int, Any]:
    """Return events without the votes for content that never was: it was voided."""
    voided = {edit.version for edit in edits if isinstance(edit, EventVoided)}
    if not voided:
        return events
    return {
        version: event
        for version, event in events.items()
        if getattr(event, "content", None) not in voided or event.imported
    }


_NEW: Final = _Stream(INCIDENT, "")
"""Stands for a stream of which nothing was recorded before."""


class _Rows:
    """The rows of one kind, as they stood at one time."""

    def __init__(self, table: IncidentTable | ChangeTable) -> None:
        self.as_of = _FIRST
        self.table = table
        # Ids of rows that a later time may show otherwise, with the times they were made for.
        self.cut: dict[str, datetime] = {}
        self.were_cut: set[str] = set()  # those whose snapshots are of rows that were cut
        self.unfounded: dict[str, tuple[int, ...]] = {}
        # Snapshots to which nothing was applied since: one by one, and those of the stored rows.
        self._snapshots: dict[str, Snapshot] = {}
        self._stored: tuple[Sequence[str], Callable[[int], Snapshot]] | None = None
        self._superseded: set[str] = set()  # ids of stored rows whose snapshot does not count

    def start(self, stored: StoredRows) -> None:
        """Start with stored rows."""
        self.table = stored.table
        self.cut, self.unfounded, _ = stored.notes
        self.were_cut = set(self.cut)
        self._stored = stored.table.ids, stored.snapshot_at

    def restore(self, snapshot: Snapshot) -> None:
        """Take a snapshot, instead of what there was of its incident or change."""
        id_ = snapshot.row.id
        self._snapshots[id_] = snapshot
        self._superseded.add(id_)
        if not snapshot.whole:
            self.were_cut.add(id_)

    def pop(self, id_: str) -> Snapshot | None:
        """Return a snapshot and let go of it: events come after it. None where there is none."""
        snapshot = self._snapshots.pop(id_, None)
        if snapshot is None and self._stored is not None and id_ not in self._superseded:
            ids, snapshot_at = self._stored
            index = bisect_left(ids, id_)
            if ids[index : index + 1] == [id_]:
                snapshot = snapshot_at(index)
                self._superseded.add(id_)
        return snapshot

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield all snapshots there are."""
        yield from self._snapshots.values()
        if self._stored is not None:
            ids, snapshot_at = self._stored
            for index, id_ in enumerate(ids):
                if id_ not in self._superseded:
                    yield snapshot_at(index)


class FactsFold:
    """
    Applies recorded events one by one, in log order, and gives the rows at any time.

    The same fold serves a replay and a follower: `facts` is this with the whole log applied. A row
    so far goes on from event to event, so that being up to date costs what is new. The events
    themselves are needed again only where some were corrected or voided, or lie later than the
    time that is asked for.

    Args:
        load: Gives a fold to which the events of some streams were applied, each up to a version,
            and which holds them; asked where they are needed again. Without it all are held.
        snapshots: Whether snapshots are taken (`changed`) and gone on from (`restore`).
    """

    def __init__(
        self,
        load: Callable[[Mapping[str, int]], FactsFold] | None = None,
        *,
        snapshots: bool = False,
    ) -> None:
        self._load = load
        self._streams: dict[str, _Stream | None] = {}
        self._rows = {
            INCIDENT: _Rows(IncidentTable(make=IncidentSoFar.facts)),
            CHANGE: _Rows(ChangeTable(make=ChangeSoFar.facts)),
        }
        # Whether nothing is applied any more: rows so far can stand in a table for rows.
        self._closing = False
        self._stale: dict[str, list[_Stream]] = {INCIDENT: [], CHANGE: []}
        self._merged: dict[str, str] = {}
        # Kept only where somebody asks for it: it is a step more for each event.
        self._changed: dict[str, _Stream] | None = {} if snapshots else None
        self._unread: dict[str, int] = {}
        self._position = 0
        self._events = 0
        self._newest = _FIRST
        self._last = _FIRST
        self._clock_back: list[int] = []
        self._gaps: list[int] = []

    # --- snapshots --------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """The position of the last event applied; 0 where there is none."""
        return self._position

    @property
    def cursor(self) -> LogCursor:
        """How far the log was read, and what is known of it besides the rows."""
        return LogCursor(
            self._position,
            self._events,
            self._newest,
            self._last,
            dict(self._unread),
            list(self._clock_back),
            list(self._gaps),
        )

    def start(self, cursor: LogCursor, stored: Mapping[str, StoredRows]) -> None:
        """Go on, with nothing applied yet, from where another fold was when it stored its rows."""
        self._move_to(cursor)
        for kind, theirs in stored.items():
            self._rows[kind].start(theirs)
            self._rows[kind].as_of = self._newest
            self._merged.update(dict.fromkeys(theirs.notes.merged, ""))

    def to_store(
        self, changed: Iterable[Snapshot] = ()
    ) -> tuple[Mapping[str, tuple[IncidentTable | ChangeTable, Notes]], list[Snapshot]]:
        """
        Return all rows as they stand, and new snapshots of those that were cut in theirs.

        Args:
            changed: What `changed` just gave, with nothing applied since: those rows are made.
        """
        as_of = self._newest
        made: dict[str, dict[str, Any]] = {kind: {} for kind in self._rows}
        for snapshot in changed:
            made[snapshot.kind][snapshot.row.id] = snapshot.row
        tables: dict[str, tuple[IncidentTable | ChangeTable, Notes]] = {}
        renewed: list[Snapshot] = []
        for kind, mine in self._rows.items():
            self._bring_to(kind, as_of, made[kind])
            streams = [self._stream(kind, id_) for id_ in sorted(mine.were_cut)]
            mine.were_cut = set()
            self._fetch(self._needing(streams, as_of))
            renewed += (self._snapshot(stream, as_of) for stream in streams)
            merged = frozenset(self._merged) if kind == INCIDENT else frozenset[str]()
            tables[kind] = mine.table, Notes(mine.cut, mine.unfounded, merged)
        return tables, renewed

    def _move_to(self, cursor: LogCursor) -> None:
        self._position, self._events, self._newest, self._last = cursor[:4]
        self._unread = dict(cursor.unread)
        self._clock_back, self._gaps = list(cursor.clock_back), list(cursor.gaps)

    def restore(self, cursor: LogCursor, snapshots: Iterable[Snapshot]) -> None:
        """Go on from where another fold was, and from the snapshots it took."""
        self._move_to(cursor)
        new: dict[str, dict[str, Any]] = {INCIDENT: {}, CHANGE: {}}
        for snapshot in snapshots:
            row, kind = snapshot.row, snapshot.kind
            self._streams.pop(f"{kind}:{row.id}", None)
            self._rows[kind].restore(snapshot)
            new[kind][row.id] = row
            cut = None if snapshot.whole else snapshot.as_of
            self._note(kind, row, cut, snapshot.unfounded)
        for kind, rows in new.items():
            mine = self._rows[kind]
            mine.as_of = max(mine.as_of, self._newest)
            self._stale[kind] = [stream for stream in self._stale[kind] if stream.id not in rows]
            mine.table.put(rows)

    def changed(self) -> list[Snapshot]:
        """Return snapshots of those to which something was applied since this was last asked."""
        changed, as_of = self._changed or {}, self._newest
        self._changed = {}
        self._fetch(self._needing(changed.values(), as_of))
        return [self._snapshot(stream, as_of) for stream in changed.values()]

    def _snapshot(self, stream: _Stream, as_of: datetime) -> Snapshot:
        row = stream.row(as_of)
        exceptions = stream.exceptions
        if exceptions is None and stream.latest <= as_of:  # as with most
            carried = stream.so_far.carried()
            return Snapshot(row, carried, stream.last, stream.latest, None, None, as_of, ())
        if stream.latest > as_of:
            self._rows[stream.kind].were_cut.add(stream.id)
        carried = None if stream.needs_events(as_of) else stream.so_far.carried()
        return Snapshot(
            row,
            carried,
            stream.last,
            stream.latest,
            None if exceptions is None else exceptions.source,
            None if exceptions is None else exceptions.stamp,
            as_of,
            stream.unfounded(),
        )

    # --- events -----------------------------------------------------------------------------------

    def add(self, recorded: Recorded) -> None:
        """Apply one more event."""
        self.add_all((recorded,))

    def add_all(self, log: Iterable[Recorded]) -> None:
        """Apply events in log order."""
        names = _TYPES
        self.apply(
            (
                recorded.stream,
                recorded.version,
                recorded.position,
                names.get(recorded.event.__class__, _STRANGE),
                recorded,
            )
            for recorded in log
        )

    def apply(self, raw_events: Iterable[RawEvent]) -> None:
        """Apply events in log order, each told apart by the name of its type."""
        streams, changed = self._streams, self._changed
        position, newest, last, events = self._position, self._newest, self._last, self._events
        try:
            for name, version, position, type_, recorded in raw_events:
                stamp, event = recorded.recorded_at, recorded.event
                events += 1
                if stamp < last:
                    self._clock_back.append(position)
                    newest = max(newest, last)
                last = stamp
                stream = streams.get(name, _NEW)
                if stream is _NEW:
                    stream = self._started(name)
                if stream is None:
                    continue  # one of the ledger's own rows
                if version != stream.last + 1:
                    self._gaps.append(position)
                    stream.ensure_exceptions().absent.add(stream.last + 1, version)
                stream.last = version
                if changed is not None:
                    changed[name] = stream
                source = recorded.source
                if type_ not in stream.known:
                    self._not_read(stream, version, event)
                    continue
                if source is not None:
                    exceptions = stream.ensure_exceptions()
                    _note_source(exceptions, event, source.name, source.recorded_at)
                if type_ in _SELDOM and not self._apply_seldom(
                    stream, version, position, stamp, type_, event
                ):
                    continue
                at = event.at
                if at is not None:
                    if at.__class__ is Between or at > stamp:
                        stream.note_moment(at, stamp, version)
                    elif at > stream.latest:
                        stream.latest = at
                if type_ in _IN_WINDOW and backdated(stream.so_far, event, stamp):
                    stream.ensure_exceptions().backdated[version] = None
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

    def _apply_seldom(
        self,
        stream: _Stream,
        version: int,
        position: int,
        stamp: datetime,
        type_: str,
        event: Any,
    ) -> bool:
        """Apply an event that is no plain fact; say whether it is one besides."""
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
                stream.note_moment(moment, stamp, version)
        return True

    def _not_read(self, stream: _Stream, version: int, event: Any) -> None:
        """Count an event that can't be read, or is none of what its stream is of."""
        name = event.type if isinstance(event, Unread) else event.__class__.__name__
        stream.ensure_exceptions().absent.add(version, version + 1)
        self._unread[name] = self._unread.get(name, 0) + 1
        self._set_stale(stream)

    def _started(self, name: str) -> _Stream | None:
        """Return a stream with which to go on, or begin; None for the ledger's own."""
        kind, _, id_ = name.partition(":")
        mine = self._rows.get(kind)
        if mine is None:
            self._streams[name] = None
            return None
        snapshot = mine.pop(id_)
        if snapshot is not None:
            return self._restored(kind, snapshot)
        stream = self._streams[name] = _Stream(kind, id_)
        if self._load is None:
            stream.events = {}
        self._set_stale(stream)
        return stream

    def _restored(self, kind: str, snapshot: Snapshot) -> _Stream:
        """Return a stream that goes on from a snapshot."""
        stream = _Stream(kind, snapshot.row.id)
        stream.restore(snapshot)
        self._streams[f"{kind}:{stream.id}"] = stream
        if snapshot.carried is None:
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
        theirs = self._load({name: stream.last for name, stream in wanted.items()})._streams
        loaded = {name: stream for name in wanted if (stream := theirs.get(name)) is not None}
        for name, stream in wanted.items():
            if name not in loaded:
                raise StoreError(f"{name} was kept, and is not in the log any more")
            stream.events = loaded[name].events
            known = loaded[name].exceptions
            if known is not None:
                exceptions = stream.ensure_exceptions()
                exceptions.absent = known.absent
                exceptions.edits = exceptions.edits or known.edits
        return loaded

    def _needing(self, streams: Iterable[_Stream], as_of: datetime) -> list[_Stream]:
        """Return the streams whose rows at a time need events that are not held."""
        return [
            stream for stream in streams if stream.events is None and stream.needs_events(as_of)
        ]

    def _edit(
        self, stream: _Stream, version: int, position: int, stamp: datetime, event: Any
    ) -> None:
        if isinstance(event, MomentCorrected) and event.now is not None:
            stream.note_moment(event.now, stamp, version)
        exceptions = stream.ensure_exceptions()
        exceptions.absent.add(version, version + 1)
        exceptions.edits.append((position, event))
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

    def _bring_to(self, kind: str, as_of: datetime, made: Mapping[str, Any] = NOTHING_TOLD) -> None:
        """
        Bring the rows of one kind to what stood at a time.

        Args:
            made: By their ids rows that stand as they were at that time already.
        """
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
            if plainly and stream.exceptions is None and stream.latest <= as_of:
                so_far = stream.so_far
                if not incidents or so_far.merged_into is None:
                    new[stream.id] = so_far
                    continue
            row: Any = made.get(stream.id) or stream.row(as_of)
            new[stream.id] = row
            cut = as_of if stream.latest > as_of else None
            merged = incidents and row.merged_into is not None
            if noted or merged or cut is not None or stream.edited:
                self._note(kind, row, cut, stream.unfounded())
        mine.table.put(new)

    def _all_later(self, kind: str, as_of: datetime) -> list[_Stream]:
        """Return all streams that may have another row at an earlier time, or have none yet."""
        snapshots = self._rows[kind].snapshots()
        for id_ in [s.row.id for s in snapshots if s.latest > as_of or not s.whole]:
            self._stream(kind, id_)
        streams = self._streams.values()
        return [stream for stream in streams if stream is not None and stream.kind == kind]

    def _stream(self, kind: str, id_: str) -> _Stream:
        """Return a stream there is, restored where there is but a snapshot of it."""
        snapshot = self._rows[kind].pop(id_)
        if snapshot is not None:
            return self._restored(kind, snapshot)
        stream = self._streams[f"{kind}:{id_}"]
        assert stream is not None  # the ledger's own rows have no kind
        return stream

    def closed(
        self, *, as_of: datetime | None = None, known_at: int | datetime | None = None
    ) -> Facts:
        """Return what `facts` does, and let go of the streams: nothing can be applied after."""
        self._streams, self._closing = {}, True
        return self.facts(as_of=as_of, known_at=known_at)

    def facts(
        self, *, as_of: datetime | None = None, known_at: int | datetime | None = None
    ) -> Facts:
        """
        Return the rows of everything applied so far.

        Args:
            as_of: See `Facts`; None means the newest stamp among the events applied.
            known_at: Kept in the result; whoever applies events decides where to stop.
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


def _note_source(
    exceptions: _Exceptions, event: object, name: str, recorded_at: datetime | None
) -> None:
    if exceptions.source is None:
        exceptions.source = name
    elif exceptions.source != name:  # whose stamps are of another clock
        exceptions.disagree = exceptions.disagree or isinstance(event, CORRECTIONS)
        return
    if recorded_at is not None:
        if exceptions.stamp is not None and recorded_at < exceptions.stamp:
            exceptions.clock_back = True
        exceptions.stamp = recorded_at


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
    made = fold.closed(as_of=as_of, known_at=known_at)
    mark_at: Callable[..., LogMark | None] | None = getattr(log, "mark_at", None)
    if mark_at is None or not made.events:
        return made
    return attrs.evolve(made, mark=mark_at(made.log_position, events=made.events))
