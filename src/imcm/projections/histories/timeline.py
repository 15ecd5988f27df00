"""
Timelines: what happened when, as data, of one incident, one change, a service or a period.

Incidents and changes are interleaved by the time things happened, as corrected. Nothing is
hidden: what was voided or corrected later is there and says so. That a source said again what it
had said is nothing that happened, and stands in `replayed` only. Prose is made at the edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import attrs

from imcm.documents.shown import checked_most, html_of
from imcm.domain.change_events import ChangeObserved
from imcm.domain.corrections import EDITS, EventVoided, SourceSaid, standing
from imcm.domain.incident_events import IncidentDescribed
from imcm.domain.recorded import CHANGE, INCIDENT, Event, Recorded, Unread, known, stream_of
from imcm.domain.vocabulary import Moment, checked_text, is_list, optional_time
from imcm.errors import InvalidValue, UnknownIdError
from imcm.projections.facts.fold import is_statement
from imcm.projections.figures.bounds import inside
from imcm.projections.figures.definition import checked_period
from imcm.projections.figures.drawing import drawn
from imcm.projections.figures.units import utc
from imcm.projections.figures.windows import Period

if TYPE_CHECKING:
    from imcm.documents.structure import Document
    from imcm.projections.figures.drawing import Axes


@attrs.frozen(kw_only=True)
class Entry:
    """
    One thing that happened.

    Attributes:
        at: When, as corrected; None where nobody knows.
        kind, id: What it happened to: "incident" or "change", and its id.
        what: The event's type name.
        event: The event with corrections applied (as written where it was voided).
        by: Id of who, or what, did it.
        recorded_at, position, version, record: Where it stands in the log.
        source: Name of where it came from; None when recorded directly.
        corrected_by: Positions of the corrections that changed it.
        voided_by: Position of the void that struck it through; None where it stands.
    """

    at: Moment | None
    kind: str
    id: str
    what: str
    event: Event | Unread
    by: str
    recorded_at: datetime
    position: int
    version: int
    record: str
    source: str | None = None
    corrected_by: tuple[int, ...] = ()
    voided_by: int | None = None

    @property
    def line(self) -> str:
        """What it says, as a line: "triaged as P2", and whether it was corrected since."""
        from imcm.wording import entry_line  # which knows timelines, too

        return entry_line(self)

    def as_dict(self) -> dict[str, Any]:
        """
        Return it as plain values for JSON: times as ISO 8601 text, an uncertain one as its bounds.

        `when` and `told` are for people; the event itself is left out.
        """
        from imcm.projections.figures.jsonable import jsonable
        from imcm.wording import moment_text

        plain: dict[str, Any] = jsonable(self)
        plain["when"] = None if self.at is None else moment_text(self.at)
        plain["told"] = self.line
        return plain


class Timeline(tuple[Entry, ...]):
    """What happened, in order of time: a tuple of entries that shows itself and can be drawn."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return in one line how much happened, and to how many."""
        ids = {(entry.kind, entry.id) for entry in self}
        return f"<timeline of {len(self):,} entries about {len(ids):,} incidents and changes>"

    def document(self, *, most: int | None = None) -> Document:
        """Return it as a document; see `imcm.documents`. *most* rows a table; None for all."""
        from imcm.projections.histories.display import timeline_document

        return timeline_document(self, most=checked_most(most))

    def _repr_html_(self) -> str:
        """Return the first entries for a notebook, and how many more there are."""
        return html_of(self)

    def plot(
        self, kind: str | None = None, *, time_zone: str = "UTC", ax: Axes | None = None
    ) -> Axes:
        """
        Draw it; see `imcm.plots.timeline` and `imcm.plots.lanes`.

        Args:
            kind: "events", a row for each, or "lanes", a lane for each incident and change. None
                takes events where there are at most four incidents and changes.
            time_zone: The IANA zone in which times are labelled.
            ax: Axes of matplotlib to draw into; None makes new ones.

        Raises:
            InvalidValue: There is no such picture, or no such zone.
            MissingExtraError: The extra `plot` is not installed.
        """
        return drawn(self, kind, time_zone=time_zone, ax=ax)


LINKS: Final = ("change", "incident", "merged", "into", "repairs", "other")
"""Fields of events that name another incident or change."""


def timeline(
    log: Iterable[Recorded],
    *,
    incident: str | None = None,
    change: str | None = None,
    service: str | None = None,
    window: Period | str | None = None,
    time_zone: str = "UTC",
    linked: bool = True,
    as_of: datetime | None = None,
    known_at: int | datetime | None = None,
) -> Timeline:
    """
    Return what happened, in order of time; things without a known time come first.

    That a source said again what it had said (`SourceSaid`) is left out: nothing happened then.

    Args:
        log: Recorded events in log order.
        incident, change: Only this one (and, with *linked*, those it names or that name it).
        service: Only incidents and changes of this service, as corrected.
        window: Only what happened in [start, end), or in a period as text ("2026-03"), and, of the
            incidents and changes of which something did, what has no known time: verdicts,
            corrections and other statements.
        time_zone: IANA name of the zone in which a window as text is read.
        linked: Whether the story of one incident or change includes the other side's.
        as_of, known_at: As in `facts`: statements, such as verdicts and corrections, have no place
            in world time, so only `known_at` hides them.

    Raises:
        UnknownIdError: There is no such incident or change in the part of the log that is read.
        NaiveTimeError: A time without a zone.
        InvalidValue: A window that does not end after its start, or no such zone.
    """
    as_of = optional_time("as_of", as_of)
    window = _checked("window", window, time_zone)
    service = None if service is None else checked_text("service", service)
    entries = _by_stream(log, known_at)
    wanted = set(entries)
    if incident is not None or change is not None:
        wanted = _named(entries, incident, change, linked=linked)
    if service is not None:
        wanted &= {name for name, history in entries.items() if service in _services(history)}
    newest = max((e.recorded_at for history in entries.values() for e in history), default=_FIRST)
    cut = utc(as_of or newest)
    selected = [
        entry
        for name in wanted
        for entry in _within([each for each in entries[name] if _had_happened(each, cut)], window)
        if not isinstance(entry.event, SourceSaid)
    ]
    selected.sort(key=_order)
    return Timeline(selected)


def replayed(
    log: Iterable[Recorded],
    *,
    incident: str | None = None,
    change: str | None = None,
    by: str | None = None,
    service: str | None = None,
    what: Iterable[str] | None = None,
    recorded: Period | str | None = None,
    known_at: int | datetime | None = None,
) -> Timeline:
    """
    Return what was recorded, in the order in which it became known.

    Args:
        log: Recorded events in log order.
        incident, change: Only this one, and nothing that is linked to it.
        by: Only what this person or tool told.
        service: Only incidents and changes of this service, as corrected.
        what: Only events of these type names.
        recorded: Only what the ledger took in [start, end), by its own clock, or in a period as
            text, in UTC.
        known_at: As in `facts`: what is recorded later is not there, its corrections neither.

    Raises:
        UnknownIdError: There is no such incident or change in the part of the log that is read.
        NaiveTimeError: A time without a zone.
        InvalidValue: A period that does not end after its start.
    """
    by = None if by is None else checked_text("by", by)
    service = None if service is None else checked_text("service", service)
    entries = _by_stream(log, known_at)
    wanted = set(entries)
    if incident is not None or change is not None:
        wanted = _named(entries, incident, change, linked=False)
    if service is not None:
        wanted &= {name for name, history in entries.items() if service in _services(history)}
    period = _checked("recorded", recorded, "UTC")
    types = None if what is None else _texts("what", what)
    selected = [
        entry
        for name in wanted
        for entry in entries[name]
        if (by is None or entry.by == by)
        and (types is None or entry.what in types)
        and inside(entry.recorded_at, period, "[)")
    ]
    return Timeline(sorted(selected, key=lambda entry: entry.position))


def _texts(name: str, value: object) -> frozenset[str]:
    if not is_list(value):
        raise InvalidValue(name, value, "give a list of texts")
    return frozenset(checked_text(name, text) for text in value)


def _checked(name: str, window: Period | str | None, time_zone: str) -> Period | None:
    period = checked_period(name, window, time_zone=time_zone)
    if period is None:
        return None
    if utc(period[1]) <= utc(period[0]):
        raise InvalidValue(name, period, "its end must be after its start")
    return utc(period[0]), utc(period[1])


def _by_stream(log: Iterable[Recorded], known_at: int | datetime | None) -> dict[str, list[Entry]]:
    streams: dict[str, list[Recorded]] = {}
    for recorded in known(log, known_at):
        if recorded.kind in {INCIDENT, CHANGE}:
            streams.setdefault(recorded.stream, []).append(recorded)
    return {name: _entries(stream) for name, stream in streams.items()}


_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def _within(history: list[Entry], window: Period | None) -> list[Entry]:
    """Return what happened in a window, and, if anything did, what has no known time."""
    if window is None or not any(inside(entry.at, window, "[)") for entry in history):
        return history if window is None else []
    return [entry for entry in history if entry.at is None or inside(entry.at, window, "[)")]


def _had_happened(entry: Entry, as_of: datetime) -> bool:
    if entry.at is None or isinstance(entry.event, EDITS) or is_statement(entry.event):
        return True
    return utc(entry.at) <= as_of


def _order(entry: Entry) -> tuple[datetime, int]:
    return _FIRST if entry.at is None else utc(entry.at), entry.position


def _named(
    entries: Mapping[str, list[Entry]], incident: str | None, change: str | None, *, linked: bool
) -> set[str]:
    wanted: set[str] = set()
    for kind, id_ in ((INCIDENT, incident), (CHANGE, change)):
        if id_ is not None:
            name = stream_of(kind, checked_text(kind, id_))
            if name not in entries:
                raise UnknownIdError(kind, id_)
            wanted.add(name)
    if linked:
        pairs = [
            (name, other)
            for name, history in entries.items()
            for other in {other for entry in history for other in named_by(entry.event)}
        ]
        first = frozenset(wanted)
        for name, other in pairs:
            if name in first and other in entries:
                wanted.add(other)
            if other in first:
                wanted.add(name)
    return wanted


def links_of(event: object) -> Iterator[tuple[str, str, str]]:
    """Yield what an event names: by which field, the kind and the id."""
    for field in LINKS:
        other = getattr(event, field, None)
        if isinstance(other, str):
            yield field, CHANGE if field in {"change", "repairs"} else INCIDENT, other


def named_by(event: object) -> Iterator[str]:
    """Yield the streams that an event links its own to."""
    for _, kind, other in links_of(event):
        yield stream_of(kind, other)


def _services(history: Iterable[Entry]) -> tuple[str, ...]:
    services: tuple[str, ...] = ()
    for entry in history:
        given = getattr(entry.event, "services", None)
        if given is None or entry.voided_by is not None:
            continue
        if not given and isinstance(entry.event, IncidentDescribed):
            continue  # it says nothing of them
        # A plan is content, an observation only says where something was seen.
        services = (services or given) if isinstance(entry.event, ChangeObserved) else given
    return services


def _entries(stream: list[Recorded]) -> list[Entry]:
    events: dict[int, Any] = {r.version: r.event for r in stream}
    edits = [r for r in stream if isinstance(r.event, EDITS)]
    facts = {v: e for v, e in events.items() if not isinstance(e, (*EDITS, Unread))}
    stands = standing(facts, [r.event for r in edits])
    corrections: dict[int, list[int]] = {}
    voids: dict[int, int] = {}
    for recorded in edits:
        edit: Any = recorded.event
        if isinstance(edit, EventVoided):
            voids.setdefault(edit.version, recorded.position)
        else:
            corrections.setdefault(edit.version, []).append(recorded.position)
    result: list[Entry] = []
    for recorded in stream:
        event = stands.get(recorded.version, recorded.event)
        result.append(
            Entry(
                at=getattr(event, "at", None),
                kind=recorded.kind,
                id=recorded.id,
                what=event.type if isinstance(event, Unread) else type(event).__name__,
                event=event,
                by=getattr(event, "by", ""),
                recorded_at=recorded.recorded_at,
                position=recorded.position,
                version=recorded.version,
                record=recorded.record,
                source=None if recorded.source is None else recorded.source.name,
                corrected_by=tuple(corrections.get(recorded.version, ())),
                voided_by=voids.get(recorded.version),
            )
        )
    return result
