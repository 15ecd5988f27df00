"""
CDEvents 0.5, each as a CloudEvent in structured JSON, one a line.

    {"specversion":"1.0","id":"...","source":"/imcm/...","type":
     "dev.cdevents.incident.detected.0.3.0","subject":"INC-7","time":"2026-03-06T17:02:00Z","data":
     {"context":{...},"subject":{...},...}}

What the specification has a word for, and no more, by events as they stand (corrected, voided ones
left out), in log order:

- `incident.detected`; `incident.reported` of one that was declared and has a ticket, which the
  specification asks for; `incident.resolved`, once for each time it was.
- `service.deployed` of changes that deploy a service, once, when they came into production;
  `service.rolledback` of changes that roll one back, and of those that were rolled back. The
  subject is the first service of the change.
- `change.created` and `change.merged` of the pull requests that a change brought: a change there
  is one of source code, and a change of ours is none.

`context.id` is made of the ledger's id and of the place of our event in its stream: it is the same
whenever it is written, also from a restored copy. What caused an incident, and what fixed it, are
links to the deployments; what else is known goes into `customData`, by names of our own: there
every event has what stands of its incident or change, so that whoever reads one knows how it ended,
and our own format `cdevents` makes the same figures of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, BinaryIO, Final, NamedTuple
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import msgspec

from imcm.domain import change_events as c
from imcm.domain import incident_events as i
from imcm.domain.corrections import ReferenceAdded
from imcm.domain.recorded import INCIDENT, Recorded
from imcm.domain.vocabulary import (
    Between,
    Kind,
    Moment,
    Verdict,
    checked_id,
    checked_text,
    earliest,
    latest,
)
from imcm.errors import InvalidValue
from imcm.files import checked_output
from imcm.interchange.exports.standing_log import StandingLog, checked_reader
from imcm.interchange.exports.targets import Ends
from imcm.ledger.reading import LedgerReader
from imcm.projections.facts.fold import Facts
from imcm.projections.facts.rows import ChangeFacts, IncidentFacts
from imcm.projections.figures.units import utc

__all__ = ["SPEC", "TYPES", "write_cdevents"]

SPEC: Final = "0.5.0"
"""The version of the specification that is written."""

TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "incident.detected": "0.3.0",
        "incident.reported": "0.3.0",
        "incident.resolved": "0.3.0",
        "service.deployed": "0.3.0",
        "service.rolledback": "0.3.0",
        "change.created": "0.4.0",
        "change.merged": "0.3.0",
    }
)
"""What is written, each with the version that its type has in that specification."""

_IN: Final = (c.ChangeCompleted, c.ChangeDeployed, c.ChangeObserved)
"""Events with which a change is in production."""

_REACHED: Final = (c.RolloutAdvanced, c.ChangeFailed, c.RolloutAborted, c.ChangeRolledBack)
"""Events that may say so besides, of a change of which no other does."""

_WRITTEN: Final = frozenset(
    cls.__name__
    for cls in (
        *(i.IncidentDetected, i.IncidentDeclared, i.IncidentResolved),
        *(*_IN, *_REACHED, c.CommitsRecorded),
    )
)
_TITLED: Final = (i.IncidentDescribed, c.ChangePlanned, c.ChangeObserved, c.ChangeReworded)
_KEPT: Final = frozenset(cls.__name__ for cls in (*_IN, *_REACHED, *_TITLED, ReferenceAdded))
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_RESERVED: Final = ":/?#[]@!$&'()*+,;=%~"
_json: Final = msgspec.json.Encoder(enc_hook=str).encode


class Written(NamedTuple):
    """
    What an export wrote.

    Attributes:
        events: How many.
        left_out: What has no place in the format: how many for each reason.
    """

    events: int
    left_out: Mapping[str, int]


def write_cdevents(
    ledger: LedgerReader,
    file: BinaryIO,
    *,
    source: str | None = None,
    environment: str = "production",
    known_at: int | datetime | None = None,
    words: bool = True,
) -> Written:
    """
    Write a ledger as CDEvents, one CloudEvent a line, and return how many and what was left out.

    Memory grows with incidents and changes, not with events.

    Args:
        ledger: What is written.
        file: Open for writing bytes.
        source: The `source` of all events, a URI reference; the id of the ledger if absent.
        environment: What stands as the environment where none was told: the specification asks for
            one, and figures take what names none for production.
        known_at: A position, or a time T for the longest prefix in which nothing was recorded
            after T. None takes the whole log.
        words: False leaves titles out.

    Raises:
        InvalidValue: An argument can't be right.
        NaiveTimeError: A time without a zone.
    """
    ledger = checked_reader(ledger)
    checked_output(file)
    made = _Made(
        ledger,
        _checked_source(source, ledger.ledger_id),
        checked_id("environment", environment),
        known_at,
        words=words,
    )
    count = 0
    for event in made.events():
        file.write(_json(event) + b"\n")
        count += 1
    return Written(count, dict(sorted(made.left_out.items())))


def is_cdevents(file: Ends) -> bool:
    """Say whether a file is what `write_cdevents` writes."""
    line = file.begin.partition(b"\n")[0]
    return line.startswith(b'{"specversion":"1.0","id":"') and b'"type":"dev.cdevents.' in line


def _checked_source(source: str | None, ledger_id: str) -> str:
    if source is None:
        return f"/{quote(ledger_id)}"
    told = checked_text("source", source)
    if not told or quote(told, safe=_RESERVED, errors="replace") != told:
        raise InvalidValue("source", source, "a URI reference, such as /teams/web or https://...")
    return told


class _Made:
    """The CDEvents of one ledger."""

    def __init__(
        self,
        ledger: LedgerReader,
        source: str,
        environment: str,
        known_at: int | datetime | None,
        *,
        words: bool,
    ) -> None:
        self._log = StandingLog(ledger, known_at=known_at, words=words, keep=_KEPT)
        self._facts: Facts = ledger.facts(known_at=self._log.position)
        self._source = source
        self._environment = environment
        self._ids = uuid5(NAMESPACE_URL, f"imcm:{ledger.ledger_id}")
        self.left_out = self._log.left_out
        self._titles: dict[str, str] = {}
        self._tickets: dict[str, str] = {}
        self._deployed: dict[str, Recorded] = {}
        for recorded in self._log.kept:
            self._keep(recorded)

    def _keep(self, recorded: Recorded) -> None:
        event: Any = recorded.event
        if isinstance(event, _TITLED) and event.title:
            self._titles[recorded.stream] = event.title
        if isinstance(event, ReferenceAdded):
            is_uri = _URI.fullmatch(event.address) is not None
            if recorded.kind == INCIDENT and event.kind == "ticket" and is_uri:
                address = quote(event.address, safe=_RESERVED)
                self._tickets.setdefault(recorded.id, address)
        elif isinstance(event, (*_IN, *_REACHED)):
            self._keep_deployed(recorded)

    def _keep_deployed(self, recorded: Recorded) -> None:
        """Keep the event with which a change came in: the first that says when, of the best."""
        row, before = self._facts.changes.get(recorded.id), self._deployed.get(recorded.id)
        if before is not None and _rank(recorded) >= _rank(before):
            return
        if isinstance(recorded.event, _IN) or (row is not None and _brings_in(recorded, row)):
            self._deployed[recorded.id] = recorded

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the CloudEvents in log order."""
        for recorded in self._log.events(_WRITTEN.__contains__):
            event = recorded.event
            if recorded.kind == INCIDENT:
                yield from self._of_incident(recorded, event)
            elif isinstance(event, c.CommitsRecorded):
                yield from self._of_commits(recorded, event)
            else:
                yield from self._of_change(recorded, event)

    # --- incidents --------------------------------------------------------------------------------

    def _of_incident(self, recorded: Recorded, event: Any) -> Iterator[dict[str, Any]]:
        row = self._facts.incidents.get(recorded.id)
        if row is None:
            return
        row = row.alone
        if isinstance(event, i.IncidentDetected):
            yield from self._incident("detected", recorded, row, event.at)
            if event.declared_at is not None:
                yield from self._reported(recorded, row, event.declared_at)
        elif isinstance(event, i.IncidentDeclared):
            yield from self._reported(recorded, row, event.at)
        else:
            yield from self._incident("resolved", recorded, row, event.at)

    def _reported(
        self, recorded: Recorded, row: IncidentFacts, at: Moment | None
    ) -> Iterator[dict[str, Any]]:
        if recorded.id in self._tickets:
            yield from self._incident("reported", recorded, row, at)
        else:
            self.left_out["declared, without a ticket"] += 1

    def _incident(
        self, predicate: str, recorded: Recorded, row: IncidentFacts, at: Moment | None
    ) -> Iterator[dict[str, Any]]:
        service = {"id": row.services[0]} if row.services else None
        content = {
            "description": self._title(recorded) if predicate != "resolved" else None,
            "environment": {"id": row.environment or self._environment},
            "service": service,
            "ticketURI": self._tickets[recorded.id] if predicate == "reported" else None,
        }
        severity = row.severity_highest
        custom = {
            "severity": None if severity is None else severity.value,
            "severityName": row.severity_highest_name,
            "mode": row.mode.value,
            "channel": row.channel,
            "symptom": row.symptom,
            "causeTags": row.cause_tags,
            "verdicts": [
                {"change": change, "verdict": verdict.value}
                for change, verdict in sorted(row.verdicts.items())
            ],
            "mergedInto": row.merged_into,
            "dismissed": row.dismissed,
            "monitor": row.monitor,
            "customers": None if row.impact is None else row.impact.customers,
            "related": [
                {"incident": other, "relation": relation.value}
                for other, relation in sorted(row.related.items())
            ],
            "stated": {what.value: length for what, length in sorted(row.stated.items())},
            "detectedAt": _moment(row.detected_at),
            "impactStartedAt": _moment(row.impact_started_at),
            "declaredAt": _moment(row.declared_at),
            "acknowledgedAt": _moment(row.acknowledged_at),
            "spells": [
                _filled(
                    {
                        "started": _moment(spell.started),
                        "mitigated": _moment(spell.mitigated),
                        "resolved": _moment(spell.resolved),
                        "closed": _moment(spell.closed),
                    }
                )
                for spell in row.spells
            ],
        }
        kinds = {"detected": (Verdict.CAUSED, "CAUSE"), "resolved": (Verdict.FIXED, "FIX")}
        links: list[dict[str, Any]] = []
        if predicate in kinds:
            verdict, kind = kinds[predicate]
            links = [
                {"linkType": "RELATION", "linkKind": kind, "target": {"contextId": target}}
                for change, told in sorted(row.verdicts.items())
                if told is verdict and (target := self._deployment_id(change)) is not None
            ]
        yield from self._cdevent(
            f"incident.{predicate}", recorded, recorded.id, at, content, row, custom, links
        )

    def _title(self, recorded: Recorded) -> str | None:
        event: Any = recorded.event
        return self._titles.get(recorded.stream) or getattr(event, "title", None) or None

    # --- changes ----------------------------------------------------------------------------------

    def _of_change(self, recorded: Recorded, event: Any) -> Iterator[dict[str, Any]]:
        row = self._facts.changes.get(recorded.id)
        if row is None:
            return
        came = self._deployed.get(recorded.id)
        if came is not None and came.version == recorded.version:
            at = event.at if isinstance(event, _IN) else row.deployed_at
            yield from self._service(_predicate(row), recorded, row, at)
        if not isinstance(event, c.ChangeRolledBack):
            return
        if event.reached_production is False:
            self.left_out["rolled back before anything reached production"] += 1
        else:
            predicate = None if _predicate(row) is None else "rolledback"
            yield from self._service(predicate, recorded, row, event.at, taken_out=event)

    def _service(
        self,
        predicate: str | None,
        recorded: Recorded,
        row: ChangeFacts,
        at: Moment | None,
        *,
        taken_out: c.ChangeRolledBack | None = None,
    ) -> Iterator[dict[str, Any]]:
        if predicate is None:
            self.left_out[f"a change of kind {row.kind} that deploys no service"] += 1
            return
        if not row.services:
            self.left_out["a change without a service"] += 1
            return
        service = row.services[0]
        content = {
            "environment": {"id": row.environment or self._environment},
            # What it was rolled back to, nobody says.
            "artifactId": _purl(service, None if taken_out else row.version),
        }
        custom = {
            "title": self._titles.get(recorded.stream),
            "type": row.type.value,
            "kind": row.kind,
            "risk": row.risk,
            "artifactVersion": row.version,
            "outcome": row.outcome,
            "result": row.result,
            "authorisation": row.authorisation,
            "commits": [
                _filled({name: _told(getattr(commit, field)) for field, name in _OF_COMMIT.items()})
                for commit in row.commits
            ],
            "incident": (taken_out and taken_out.incident) or row.incident,
            "fixesIncident": row.incident,
            "repairs": row.repairs,
            "unplanned": row.unplanned or None,
            "reachedProduction": row.reached_production,
            **{name: _moment(getattr(row, field)) for field, name in _OF_CHANGE.items()},
        }
        before = self._deployment_id(recorded.id) if taken_out else None
        links = [] if before is None else [{"linkType": "PATH", "from": {"contextId": before}}]
        part = () if taken_out else _part(recorded)
        yield from self._cdevent(
            f"service.{predicate}", recorded, service, at, content, row, custom, links, part
        )

    def _deployment_id(self, change: str) -> str | None:
        """Return the id of the event with which a change came in, where that is written."""
        recorded, row = self._deployed.get(change), self._facts.changes.get(change)
        if recorded is None or row is None or not row.services:
            return None
        event: Any = recorded.event
        at = event.at if isinstance(event, _IN) else row.deployed_at
        if _predicate(row) is None or at is None:
            return None
        return self._id(recorded, *_part(recorded))

    def _of_commits(self, recorded: Recorded, event: c.CommitsRecorded) -> Iterator[dict[str, Any]]:
        row = self._facts.changes.get(recorded.id)
        if row is None:
            return
        requests = {commit.pull_request: commit for commit in event.commits if commit.pull_request}
        repository = row.labels.get("repository")
        content = {"repository": {"id": repository} if repository else None}
        for request, commit in requests.items():
            commits = [one.id for one in event.commits if one.pull_request == request]
            custom = {"commits": commits}
            for predicate, at in (("created", commit.opened_at), ("merged", commit.merged_at)):
                if at is not None:
                    yield from self._cdevent(
                        f"change.{predicate}", recorded, request, at, content, row, custom, []
                    )

    # --- what all of them have --------------------------------------------------------------------

    def _id(self, recorded: Recorded, *part: str) -> str:
        # As JSON, since an id may hold any sign that could part them. Of what type the event is
        # written is not in it: that may be corrected.
        return str(uuid5(self._ids, _json([recorded.stream, recorded.version, *part]).decode()))

    def _cdevent(
        self,
        type_: str,
        recorded: Recorded,
        subject: str,
        at: Moment | None,
        content: Mapping[str, Any],
        row: IncidentFacts | ChangeFacts,
        custom: Mapping[str, Any],
        links: list[dict[str, Any]],
        part: tuple[str, ...] = (),
    ) -> Iterator[dict[str, Any]]:
        """Yield one event as a CloudEvent; none where nobody knows when it was."""
        if at is None:
            self.left_out["at an unknown time"] += 1
            return
        # What one event of ours tells besides: of pull requests, that it was declared.
        is_beside = type_.startswith("change.") or (
            type_ == "incident.reported" and isinstance(recorded.event, i.IncidentDetected)
        )
        id_ = self._id(recorded, *((type_, subject) if is_beside else part))
        full, time = f"dev.cdevents.{type_}.{TYPES[type_]}", _time(utc(at))
        event: Any = recorded.event
        source = recorded.source
        own = {
            "kind": recorded.kind,
            "id": recorded.id,
            "event": event.__class__.__name__,
            "version": recorded.version,
            "recordedAt": _time(utc(recorded.recorded_at)),
            "by": event.by,
            "between": _moment(at) if isinstance(at, Between) else None,
            "environment": row.environment,
            "services": row.services,
            "labels": dict(sorted(row.labels.items())),
            "position": max(row.positions),
            "withdrawn": row.withdrawn or None,
            "imported": True if event.imported else None,
            "toldBy": None if source is None else _filled({"name": source.name, "id": source.id}),
        }
        # What we call a kind of change must not take the place of what kind of thing it is.
        about = {("changeKind" if name == "kind" else name): of for name, of in custom.items()}
        context: dict[str, Any] = {
            "specversion": SPEC,
            "id": id_,
            "source": self._source,
            "type": full,
            "timestamp": time,
        }
        if links:
            context["links"] = links
        yield {
            "specversion": "1.0",
            "id": id_,
            "source": self._source,
            "type": full,
            "subject": subject,
            "time": time,
            "datacontenttype": "application/cdevents+json",
            "data": {
                "context": context,
                "subject": {"id": subject, "content": _filled(content)},
                "customData": _filled(own | about),
                "customDataContentType": "application/json",
            },
        }


_OF_CHANGE: Final[Mapping[str, str]] = {
    "planned_at": "requestedAt",
    "started_at": "startedAt",
    "deployed_at": "deployedAt",
    "ended_at": "endedAt",
    "rolled_back_at": "rolledBackAt",
    "recovered_at": "recoveredAt",
    "closed_at": "closedAt",
}
_OF_COMMIT: Final[Mapping[str, str]] = {
    "id": "id",
    "authored_at": "authoredAt",
    "committed_at": "committedAt",
    "pull_request": "pullRequest",
    "opened_at": "openedAt",
    "merged_at": "mergedAt",
}
"""How moments of a change, and a commit, stand in customData."""


def _rank(recorded: Recorded) -> tuple[bool, bool]:
    """Return how well an event tells that a change came in, the best first."""
    event: Any = recorded.event
    is_in = isinstance(event, _IN)
    return not is_in, is_in and event.at is None


def _brings_in(recorded: Recorded, row: ChangeFacts) -> bool:
    """Say whether an event is what a change came in with, where nothing else tells that."""
    event: Any = recorded.event
    if row.deployed_at is None:
        return False
    if isinstance(event, (c.RolloutAdvanced, c.RolloutAborted)):
        return event.percent > 0
    return bool(event.reached_production)


def _part(recorded: Recorded) -> tuple[str, ...]:
    """Return what tells the deployment from what else is written of the same event of ours."""
    return () if isinstance(recorded.event, _IN) else ("deployed",)


def _moment(at: Moment | None) -> str | list[str] | None:
    """Return a moment as customData has it: a time, or both ends of where it lies."""
    if isinstance(at, Between):
        return [_time(utc(end)) for end in (earliest(at), latest(at))]
    return None if at is None else _time(utc(at))


def _told(value: str | datetime | None) -> str | None:
    return _time(utc(value)) if isinstance(value, datetime) else value


def _predicate(row: ChangeFacts) -> str | None:
    """Return what a service is by a change that came in; None where no service is deployed."""
    if row.kind is Kind.ROLLBACK:
        return "rolledback"
    return "deployed" if row.kind in {None, Kind.DEPLOYMENT} else None


def _purl(service: str, version: str | None) -> str:
    """Return the package that was deployed: what the version says, if it says that itself."""
    if version is not None and version.startswith("pkg:"):
        return version
    named = f"pkg:generic/{quote(service, safe='')}"
    return named if version is None else f"{named}@{quote(version, safe='')}"


def _time(time: datetime) -> str:
    return f"{time.replace(tzinfo=None).isoformat()}Z"


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what there is of some values: what is empty is not told."""
    return {name: value for name, value in values.items() if value not in (None, (), [], {}, "")}
