"""
The envelope: what the ledger knows of an event besides the event itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, NamedTuple, Self, TypeAlias

import attrs

from imcm.domain.change_events import ChangeEvent
from imcm.domain.incident_events import IncidentEvent
from imcm.domain.vocabulary import aware_time, checked_number, checked_text, checked_time, is_list
from imcm.errors import InvalidValue

INCIDENT: Final = "incident"
CHANGE: Final = "change"


def stream_of(kind: str, id_: str) -> str:
    """Return the name of the stream of one incident or change: "incident:INC-7"."""
    return f"{kind}:{id_}"


def kind_and_id(stream: str) -> tuple[str, str]:
    """Return the kind and the id that a stream's name is made of; an id may hold colons itself."""
    kind, _, id_ = stream.partition(":")
    return kind, id_


@attrs.frozen(kw_only=True)
class Source:
    """
    Where an event came from, when it was not recorded by hand.

    Attributes:
        name: The source's name, for example "servicenow" or "alertmanager".
        id: The record's id in the source, where it differs from ours.
        recorded_at: When the source took the fact (its own clock), where it says so.
        status: The source's own word for the status, as given.
        sequence: Its place among all that the source says of this record, where it numbers that.
        delivery: The source's own id of the delivery that told it.
        sha256: SHA-256 of the raw payload, lower-case hexadecimal, as it is given. A ledger keeps
            it as *keyed*; read back it is there only in events of ledgers from before that.
        ledger: Id of the ledger it was appended from, where it was recorded in another one first.
        keyed: HMAC-SHA256 of *sha256* under the salt of the event's words, so that nobody can
            guess the payload once they were taken out; made by the ledger, not given. Whether it
            is of a payload, `imcm.audit.is_of_payload` tells.
    """

    name: str
    id: str | None = None
    recorded_at: datetime | None = None
    status: str | None = None
    sequence: int | None = None
    delivery: str | None = None
    sha256: str | None = None
    ledger: str | None = None
    keyed: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.recorded_at is not None:
            aware_time("source.recorded_at", self.recorded_at)


@attrs.frozen(kw_only=True)
class LedgerOpened:
    """The first row of every ledger: its identity and the format it is written in."""

    ledger_id: str
    format: int


@attrs.frozen(kw_only=True)
class KeyClaimed:
    """
    An idempotency key was used, as earlier versions recorded it; `KeyUsed` is recorded now.

    Attributes:
        asked: SHA-256 of the step and its arguments.
        recorded: The (stream, version) pairs recorded under the key, possibly none.
    """

    asked: str
    recorded: tuple[tuple[str, int], ...] = ()


@attrs.frozen(kw_only=True)
class KeyUsed:
    """
    An idempotency key was used: a delivery that comes again records nothing.

    Attributes:
        steps: What was asked: (stream, name of the step), in order.
        arguments: HMAC-SHA256 of the other arguments without words, under the salt of the row.
        recorded: The (stream, version) pairs recorded under the key, possibly none.
    """

    steps: tuple[tuple[str, str], ...]
    arguments: str
    recorded: tuple[tuple[str, int], ...] = ()


@attrs.frozen(kw_only=True)
class RulesAdopted:
    """
    A team's rules are in force from here on, for every process; the newest of a kind is.

    Which stood when is told by the order of the log and by when it was recorded.

    Attributes:
        kind: "policy" or "severity_scale".
        name, version: What decisions call them.
        text: All of them, as JSON.
        sha256: Of the text.
        by: Who adopted them.
    """

    kind: str
    name: str
    version: str
    text: str
    sha256: str
    by: str


@attrs.frozen(kw_only=True)
class Unread:
    """
    An event this version cannot read: of an unknown type, or of a shape it does not know.

    It is kept as it is: listed, replayed, exported, and counted by every figure.

    Attributes:
        type: The stored type name.
        state: The stored bytes.
        why: What could not be read.
    """

    type: str
    state: bytes
    why: str


Event: TypeAlias = IncidentEvent | ChangeEvent
Stored: TypeAlias = Event | LedgerOpened | KeyClaimed | KeyUsed | RulesAdopted | Unread


class Recorded(NamedTuple):
    """
    One event as it stands in the log.

    Attributes:
        stream: Kind and id of what it happened to: "incident:INC-7", "change:CHG-3".
        version: Its number in the stream: 1, 2, 3 ... without gaps.
        position: Its place in the log. Later events have greater ones; there may be gaps.
        recorded_at: When the ledger took it, in UTC, by the ledger's clock.
        record: Id of the call that recorded it; all events of one call share it.
        source: Where it came from; None when recorded directly.
        event: What happened.
        redacted: Whether its words were taken out (their fields are then empty).
    """

    stream: str
    version: int
    position: int
    recorded_at: datetime
    record: str
    source: Source | None
    event: Stored
    redacted: bool = False

    @property
    def kind(self) -> str:
        """The part of the stream before the colon: "incident", "change", or the ledger's own."""
        return kind_and_id(self.stream)[0]

    @property
    def id(self) -> str:
        """The id by which people know the incident or the change."""
        return kind_and_id(self.stream)[1]


class LogMark(NamedTuple):
    """
    Which log something was read from, and how far.

    A position alone says nothing once a log was renumbered, cut or exchanged for another. The leaf
    finds that, where it concerns this event; that everything before it is as it was, only an
    anchor proves.

    Attributes:
        ledger: The id of the ledger.
        position: Of the last event that was read.
        events: How many events there are up to it.
        leaf: Of that event in the Merkle tree of the log, in hexadecimal; see docs/audit.md.
    """

    ledger: str
    position: int
    events: int
    leaf: str


class Recording(tuple[Recorded, ...]):
    """
    What a call recorded: a tuple of events.

    Attributes:
        repeated: Whether it is what an earlier call recorded under the same key, and nothing was
            recorded now.
        notes: What the caller should know: ids that were named and are not in the ledger, with
            what is near. They are recorded all the same: the other tool may come later.
    """

    repeated: bool
    notes: tuple[str, ...]

    def __new__(
        cls,
        recorded: Iterable[Recorded] = (),
        *,
        repeated: bool = False,
        notes: Iterable[str] = (),
    ) -> Self:
        """Return the events, with what is to be said of them."""
        made = super().__new__(cls, checked_log(recorded))
        made.repeated = repeated
        if not is_list(notes):
            raise InvalidValue("notes", notes, "give a list of texts")
        made.notes = tuple(checked_text("notes", note) for note in notes)
        return made


def checked_log(log: object) -> Iterator[Recorded]:
    """
    Yield recorded events: what every call asks that is given a log.

    Raises:
        InvalidValue: It is no log, or holds something else.
    """
    if not is_list(log):
        raise InvalidValue("log", log, _A_LOG)
    for recorded in log:
        if not isinstance(recorded, Recorded):
            raise InvalidValue("log", recorded, _A_LOG)
        yield recorded


_A_LOG: Final = "give recorded events, such as ledger.replay()"


def checked_known_at(value: object) -> int | datetime | None:
    """
    Return what `known_at` says: a position, a time as `checked_time` does, or None.

    Raises:
        NaiveTimeError: A time without a zone.
        InvalidValue: It is neither a position nor a time.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        return checked_time("known_at", value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue("known_at", value, "give a log position or an aware datetime")
    return checked_position("known_at", value)


LARGEST: Final = (1 << 63) - 1
"""The greatest position there can be."""


def checked_position(name: str, value: object) -> int:
    """
    Return *value* if it can be asked for as a position in a log.

    Raises:
        InvalidValue: It is no whole number, or one that no log can have.
    """
    position = checked_number(name, value)
    if not -LARGEST <= position <= LARGEST:
        raise InvalidValue(name, value, f"a log position is at most {LARGEST:,}")
    return position


def known(log: Iterable[Recorded], known_at: int | datetime | None = None) -> Iterator[Recorded]:
    """
    Yield the part of *log* that was known at *known_at*: always a prefix of it.

    Args:
        log: Recorded events in log order.
        known_at: A position (that one included), or a time T: the longest prefix in which no
            event was recorded after T. None takes the whole log.

    Raises:
        NaiveTimeError: A time without a zone.
        InvalidValue: It is no log, or holds something else.
    """
    known_at, log = checked_known_at(known_at), checked_log(log)
    if known_at is None:
        yield from log
    elif isinstance(known_at, datetime):
        for recorded in log:
            if recorded.recorded_at > known_at:
                return
            yield recorded
    else:
        for recorded in log:
            if recorded.position > known_at:
                return
            yield recorded


def as_source_knew(log: Iterable[Recorded]) -> list[Recorded]:
    """
    Return the same events in the order, and with the stamps, of the sources they came from.

    An event whose provenance says when the source took it (`Source.recorded_at`) gets that
    stamp; any other keeps the ledger's. Events of one stream keep their order even where the
    source's clock went back; the stamps themselves are never altered. Positions are counted
    anew from 1, so that `known_at` and every projection work on the result as on any log.

    Args:
        log: Recorded events in log order.
    """
    newest: dict[str, datetime] = {}
    keyed: list[tuple[datetime, int, Recorded]] = []
    for order, recorded in enumerate(checked_log(log)):
        source = recorded.source
        stamp = recorded.recorded_at
        if source is not None and source.recorded_at is not None:
            stamp = source.recorded_at
        place = max(stamp, newest.get(recorded.stream, stamp))
        newest[recorded.stream] = place
        keyed.append((place, order, recorded._replace(recorded_at=stamp)))
    keyed.sort(key=lambda item: item[:2])
    return [
        recorded._replace(position=position)
        for position, (_, _, recorded) in enumerate(keyed, start=1)
    ]
