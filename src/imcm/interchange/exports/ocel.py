"""
OCEL 2.0 in JSON: the log as object-centric event log, for process mining.

Objects are incidents, changes, services and people (and tools: whoever did something); events are
those of the log, as they stand: corrected, without those that were voided. An event has its own
facts as attributes, and a relation to each object that it names, with a qualifier that says as
what: the incident or the change that it is of, its services, "by" whom it was, the change that a
verdict speaks of ("caused", "fixed"), who took a role ("incident_commander").

Between objects stand what is known at the end: the services of an incident or a change, verdicts,
relations and merges of incidents, which change repairs which. A severity is an attribute with all
its values, each from when it was given.

    pm4py.read_ocel2_json("log.ocel.json")

An event needs a time there: where nobody knows when it was, it is that of its recording, and the
attribute "time is of" says so. Of an uncertain one it is the midpoint, as in figures, with the
bounds as attributes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from enum import Enum
from types import UnionType
from typing import Any, BinaryIO, Final, Union, get_args, get_origin

import attrs
import msgspec

from imcm.codec.rows import hints_of, word_fields
from imcm.domain.corrections import EDITS, WordsRedacted
from imcm.domain.incident_events import SeverityInherited
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded
from imcm.domain.vocabulary import (
    Between,
    Impact,
    Severity,
    checked_flag,
    earliest,
    is_list,
    latest,
)
from imcm.files import checked_output
from imcm.interchange.exports.cdevents import Written
from imcm.interchange.exports.standing_log import StandingLog, checked_reader
from imcm.interchange.exports.targets import Ends
from imcm.ledger.reading import LedgerReader
from imcm.projections.facts.fold import Facts
from imcm.projections.facts.rows import ChangeFacts, IncidentFacts
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.figures.units import utc
from imcm.projections.histories.timeline import LINKS, links_of

__all__ = ["write_ocel"]

_SERVICE: Final = "service"
_PERSON: Final = "person"
_ALWAYS: Final = "1970-01-01T00:00:00Z"
"""The time of an attribute that has one value only, as the specification has it."""

_BEGIN: Final = b'{"events":['
_PEOPLE: Final = {"by": "by", "person": "", "owner": "owner", "requested_by": "requested by"}
"""Fields that name somebody, each with its qualifier; "" is the role that is given."""

_NAMED: Final = frozenset({*LINKS, *_PEOPLE, "at", "services"})
"""Fields that are told as relations, or as the time, and as no attribute."""

_OF_THE_TIME: Final = (
    ("time is of", "string"),
    ("earliest", "time"),
    ("latest", "time"),
    ("imported from", "string"),
)
_OBJECTS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    INCIDENT: (
        ("severity", "string"),
        ("environment", "string"),
        ("mode", "string"),
        ("symptom", "string"),
        ("channel", "string"),
        ("status", "string"),
        ("dismissed", "string"),
        ("labels", "string"),
    ),
    CHANGE: (
        ("type", "string"),
        ("kind", "string"),
        ("risk", "string"),
        ("environment", "string"),
        ("version", "string"),
        ("status", "string"),
        ("outcome", "string"),
        ("result", "string"),
        ("authorisation", "string"),
        ("labels", "string"),
    ),
    _SERVICE: (),
    _PERSON: (),
}
"""The types of objects, each with the attributes it has."""

_LEFT_OUT: Final = frozenset({*(cls.__name__ for cls in EDITS), WordsRedacted.__name__})
_json: Final = msgspec.json.Encoder(enc_hook=str).encode


def write_ocel(
    ledger: LedgerReader,
    file: BinaryIO,
    *,
    known_at: int | datetime | None = None,
    words: bool = True,
) -> Written:
    """
    Write a ledger as an OCEL 2.0 log in JSON, and return how many events and what was left out.

    Memory grows with incidents and changes, not with events.

    Args:
        ledger: What is written.
        file: Open for writing bytes.
        known_at: A position, or a time T for the longest prefix in which nothing was recorded
            after T. None takes the whole log.
        words: False leaves free text and names out.

    Raises:
        InvalidValue: An argument can't be right.
        NaiveTimeError: A time without a zone.
    """
    ledger = checked_reader(ledger)
    checked_output(file)
    checked_flag("words", words)
    log = StandingLog(ledger, known_at=known_at, words=words)
    made = _Made(ledger.facts(known_at=log.position), words=words)
    file.write(_BEGIN)
    count = _write_list(file, map(made.event, log.events(lambda name: name not in _LEFT_OUT)))
    file.write(b'\n],"objects":[')
    _write_list(file, made.objects())
    file.write(b'\n],"eventTypes":[')
    _write_list(file, (_type(name, made.types[name]) for name in sorted(made.types)))
    file.write(b'\n],"objectTypes":[')
    _write_list(file, (_type(name, dict(attributes)) for name, attributes in _OBJECTS.items()))
    file.write(b"\n]}\n")
    edits = {"a correction or a void, told in what it is of": log.edits} if log.edits else {}
    return Written(count, dict(sorted({**log.left_out, **edits}.items())))


def _write_list(file: BinaryIO, items: Iterable[object]) -> int:
    """Write what stands between the brackets of a list, and return how many that are."""
    count = 0
    for item in items:
        file.write((b",\n" if count else b"\n") + _json(item))
        count += 1
    return count


def is_ocel(file: Ends) -> bool:
    """Say whether a file is what `write_ocel` writes."""
    return file.begin.startswith(_BEGIN + b"\n")


def _type(name: str, attributes: Mapping[str, str]) -> dict[str, Any]:
    listed = [{"name": each, "type": type_} for each, type_ in attributes.items()]
    return {"name": name, "attributes": listed}


class _Made:
    """The events and the objects of one log."""

    def __init__(self, facts: Facts, *, words: bool) -> None:
        self._facts = facts
        self._words = words
        self._severities: dict[str, list[tuple[datetime, str]]] = {}
        self._ids: dict[tuple[str, str], None] = {}
        self.types: dict[str, dict[str, str]] = {}

    # --- events -----------------------------------------------------------------------------------

    def event(self, recorded: Recorded) -> dict[str, Any]:
        """Return one event, and note which objects it names."""
        event: Any = recorded.event
        name = event.__class__.__name__
        fields = _fields(event.__class__, words=self._words)
        types = {field: type_ for field, type_ in fields if field not in _NAMED}
        self.types.setdefault(name, types | dict(_OF_THE_TIME))
        time = utc(recorded.recorded_at if event.at is None else event.at)
        severity = getattr(event, "severity", None)
        # One that is inherited is of those merged into it.
        if isinstance(severity, Severity) and not isinstance(event, SeverityInherited):
            self._severities.setdefault(recorded.id, []).append((time, severity.value))
        attributes = [
            {"name": field, "value": told}
            for field, type_ in types.items()
            if (told := _value(getattr(event, field), type_)) is not None
        ]
        if event.at is None:
            attributes.append({"name": "time is of", "value": "recording"})
        elif isinstance(event.at, Between):
            ends = ("earliest", earliest(event.at)), ("latest", latest(event.at))
            attributes += [{"name": end, "value": _time(utc(at))} for end, at in ends]
        if recorded.source is not None:
            attributes.append({"name": "imported from", "value": recorded.source.name})
        relations = dict.fromkeys(self._relations(recorded, event))
        return {
            "id": f"{recorded.stream}/{recorded.version}",
            "type": name,
            "time": _time(time),
            "attributes": attributes,
            "relationships": [
                {"objectId": self._object(kind, id_), "qualifier": qualifier}
                for kind, id_, qualifier in relations
            ],
        }

    def _relations(self, recorded: Recorded, event: Any) -> Iterator[tuple[str, str, str]]:
        """Yield the objects that an event names: the type, the id, and as what."""
        yield recorded.kind, recorded.id, recorded.kind
        for field, qualifier in _PEOPLE.items():
            person = getattr(event, field, None)
            if isinstance(person, str):
                role = getattr(event, "role", None)
                yield _PERSON, person, qualifier or getattr(role, "value", field)
        for service in _texts(getattr(event, "services", ())):
            yield _SERVICE, service, "service"
        impact = getattr(event, "impact", None)
        if isinstance(impact, Impact):
            for affected in impact.services:
                yield _SERVICE, affected.service, affected.degree.value
        for field, kind, other in links_of(event):
            how = getattr(event, "verdict", None) or (
                getattr(event, "kind", None) if field == "other" else None
            )
            yield kind, other, getattr(how, "value", field)

    def _object(self, kind: str, id_: str) -> str:
        self._ids.setdefault((kind, id_))
        return _object_id(kind, id_)

    # --- objects ----------------------------------------------------------------------------------

    def objects(self) -> Iterator[dict[str, Any]]:
        """Yield all objects: those there are rows of, and those that were only named."""
        for incident in self._facts.incidents:
            yield self._incident(incident.alone)
        for change in self._facts.changes:
            yield self._change(change)
        rows: Any = {INCIDENT: self._facts.incidents, CHANGE: self._facts.changes}
        for kind, id_ in self._ids:
            if kind not in rows or rows[kind].index_of(id_) is None:
                yield _told(kind, id_, [], [])

    def _incident(self, row: IncidentFacts) -> dict[str, Any]:
        related = [
            *((_SERVICE, service, "affects") for service in row.services),
            *((CHANGE, change, verdict.value) for change, verdict in row.verdicts.items()),
            *((INCIDENT, other, relation.value) for other, relation in row.related.items()),
        ]
        if row.merged_into is not None:
            related.append((INCIDENT, row.merged_into, "merged into"))
        severities = self._severities.get(row.id, [])
        attributes = [
            {"name": "severity", "time": _time(at), "value": told}
            for at, told in sorted(severities)
        ]
        return self._of_row(INCIDENT, row, attributes, related)

    def _change(self, row: ChangeFacts) -> dict[str, Any]:
        related = [(_SERVICE, service, "changes") for service in row.services]
        for kind, other, qualifier in (
            (CHANGE, row.repairs, "repairs"),
            (INCIDENT, row.incident, "because of"),
            (_PERSON, row.requested_by, "requested by"),
        ):
            if other is not None:
                related.append((kind, other, qualifier))
        return self._of_row(CHANGE, row, [], related)

    def _of_row(
        self,
        kind: str,
        row: IncidentFacts | ChangeFacts,
        attributes: list[dict[str, Any]],
        related: Iterable[tuple[str, str, str]],
    ) -> dict[str, Any]:
        for name, type_ in _OBJECTS[kind]:
            told = None if name == "severity" else _value(getattr(row, name), type_)
            if told is not None:
                attributes.append({"name": name, "time": _ALWAYS, "value": told})
        relations = [
            {"objectId": self._object(of, id_), "qualifier": qualifier}
            for of, id_, qualifier in dict.fromkeys(related)
        ]
        return _told(kind, row.id, attributes, relations)


def _told(
    kind: str, id_: str, attributes: list[dict[str, Any]], relations: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "id": _object_id(kind, id_),
        "type": kind,
        "attributes": attributes,
        "relationships": relations,
    }


def _object_id(kind: str, id_: str) -> str:
    """Return the id of an object: with its type, since a person may be called like a service."""
    return f"{kind}:{id_}"


# --- attributes -----------------------------------------------------------------------------------


@functools.cache
def _fields(cls: type, *, words: bool) -> tuple[tuple[str, str], ...]:
    """Return the fields of an event, each with the type that its attribute has."""
    hints = hints_of(cls)
    left_out = () if words else word_fields(cls)
    names = (field.name for field in attrs.fields(cls))
    return tuple((name, _type_of(hints[name])) for name in names if name not in left_out)


def _type_of(hint: Any) -> str:
    choices = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    plain = [choice for choice in choices if choice is not type(None)]
    if datetime in plain:
        return "time"  # of an uncertain one, its midpoint
    types = {bool: "boolean", int: "integer", float: "float"}
    return types.get(plain[0], "string") if len(plain) == 1 else "string"


def _value(value: Any, type_: str) -> Any:
    """Return a value as an attribute has it; None for what is not there."""
    if value is None or value in ("", (), {}):
        return None
    if type_ == "time":
        return _time(utc(value))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, date):
        return value.isoformat()
    return _json(jsonable(value)).decode()


def _texts(value: Any) -> Iterator[str]:
    if is_list(value):
        yield from (item for item in value if isinstance(item, str))


def _time(time: datetime) -> str:
    return f"{time.replace(tzinfo=None).isoformat()}Z"
