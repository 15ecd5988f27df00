"""
CDEvents 0.4 and 0.5: incidents, services, tickets and code changes.

What the fields mean is told by cdevents/spec. An event is read as it is, or as the `data` of a
CloudEvent in structured JSON. It tells what happened at `context.timestamp`, in whatever order it
arrives; `context.id` is the delivery.

- `incident.detected`: an incident was detected; `incident.reported`: it was declared; a ticket for
  it stands in `ticketURI`. `incident.resolved`: it was resolved; its description tells how, and is
  no title. The specification has no severity, no acknowledgement and no mitigation; a severity is
  taken from `customData.severity`, where somebody puts it.
- `service.deployed` and `service.upgraded` are changes: **the event is the change**, by its id,
  since a deployment has no id there, and its subject is the service. `service.rolledback` is a
  change of kind rollback; which deployment it ended, nothing says. `service.removed` is a change
  of kind other. `service.published` deploys nothing.
- `change.*` speaks of a change of source code, such as a pull request. Merged is not deployed, so
  these are left out, listed; who deploys by merging says values = {"kind": {"change":
  "deployment"}}: created is when it was requested, merged when it was deployed, abandoned when it
  was cancelled. Reviewed does not say that it was approved.
- `ticket.*` speaks of an incident if `ticketType` is "incident", or what values = {"type":
  {"outage": "incident"}} names: created, it was detected; closed as completed, it was resolved;
  closed for another reason, it was closed.

The id of a subject is unique in its source only; so an incident is "source/id" where the source is
told ("/monitoring/prod1/incident-7").

**What `imcm export cdevents` wrote** is told by its customData, which has all that stands of an
incident or a change in every event of it: moments, outcome, verdicts, commits. So each is one
snapshot of that incident or change by its own id ("/<id of the ledger>/CHG-7"), whatever its type:
a change that was rolled back is one change. Of two the later one counts, by `position`, the
place in that ledger's log up to which it was told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.domain.vocabulary import Between, Commit, Kind, Moment, is_mapping
from imcm.errors import InvalidValue
from imcm.interchange.formats import Format
from imcm.interchange.formats.telling import Told, listed
from imcm.interchange.mapping import OF_OTHER
from imcm.interchange.payloads import Options, Payload, json_of
from imcm.interchange.statements import FACTS, Happening, Read, Statement

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{f"p{number}": f"P{number}" for number in range(1, 5)},
        **{f"sev{number}": f"P{number}" for number in range(1, 5)},
        "critical": "P1",
        "high": "P2",
        "medium": "P3",
        "low": "P4",
    }
)
"""What stands in customData.severity, or as the priority of a ticket; nothing prescribes it."""

SERVICES: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "deployed": Kind.DEPLOYMENT,
        "upgraded": Kind.DEPLOYMENT,
        "rolledback": Kind.ROLLBACK,
        "removed": Kind.OTHER,
    }
)
"""Of which kind the change is, by what is told of a service."""

_TYPE: Final = re.compile(r"dev\.cdevents\.([a-z]+)\.([a-z]+)\.\d+\.\d+\.\d+(-\S+)?")
_TYPES: Final[Mapping[str, str]] = MappingProxyType({"incident": "incident"})
_RESOLUTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"completed": "", "done": "", "fixed": "", "resolved": "", "duplicate": "duplicate"}
)


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    outer = Payload(payload, options)
    of = _inner(outer)
    type_ = of.text("context", "type") or ""
    found = _TYPE.fullmatch(type_)
    if found is None:
        raise InvalidValue("context.type", type_, "a CDEvents type: dev.cdevents.incident....")
    subject, predicate = found[1], found[2]
    custom = of.part("customData") if is_mapping(of.raw("customData")) else None
    if custom is not None and _is_of_ours(custom):
        own = _own(of, custom, subject, predicate)
        return Read(() if own is None else (own,), tuple(of.drops))
    at = of.moment("context", "timestamp")
    said: Statement | None = None
    if at is None:
        of.drop("context.timestamp", of.raw("context", "timestamp"), "nobody can say when")
    else:
        match subject:
            case "incident":
                said = _incident(of, predicate, at)
            case "service":
                said = _service(of, predicate, at)
            case "change":
                said = _change(of, predicate, at)
            case "ticket":
                said = _ticket(of, predicate, at)
            case _:
                of.drop("context.type", type_, "not read: incident, service, change, ticket are")
    return Read(() if said is None else (said,), tuple(of.drops))


def _inner(outer: Payload) -> Payload:
    """Return the event itself, also out of a CloudEvent."""
    if outer.raw("context") is not None:
        return outer
    data = outer.raw("data")
    if isinstance(data, str):  # JSON that was written as text
        try:
            data = json_of(data.encode("utf-8", "replace"))
        except (InvalidValue, msgspec.MsgspecError):
            data = None
    if not is_mapping(data):
        raise InvalidValue("payload", ", ".join(outer.names())[:200], "a CDEvent, or one in `data`")
    return Payload(data, outer.options, drops=outer.drops)


# --- what all of them tell ------------------------------------------------------------------------


def _id(of: Payload) -> str:
    source = of.text("subject", "source") or of.text("context", "source")
    id_ = of.required("subject", "id")
    return f"{source.rstrip('/')}/{id_}" if source else id_


def _facts(of: Payload) -> dict[str, Any]:
    content = of.part("subject", "content")
    service, artifact = content.id("service", "id"), content.text("artifactId")
    source = of.text("context", "source")
    labels = {
        "source": source,
        "chain": of.text("context", "chainId"),
        "artifact": artifact,
        "repository": content.text("repository", "id"),
    }
    return {
        "services": (service,) if service else None,
        "environment": content.text("environment", "id"),
        "labels": {name: text for name, text in labels.items() if text is not None},
    }


def _statement(
    of: Payload,
    kind: Any,
    id_: str,
    status: str,
    facts: dict[str, Any],
    happened: tuple[Happening, ...] = (),
) -> Statement:
    return Statement(
        kind=kind,
        id=id_,
        facts=of.usable(kind, facts),
        happened=happened,
        said_at=of.time("context", "timestamp"),
        delivery=of.id("context", "id"),
        status=status,
    )


# --- what another ledger of ours wrote ------------------------------------------------------------

_OWN: Final = frozenset({"kind", "id", "event", "version", "recordedAt"})
"""What customData has in every event that a ledger of ours wrote."""

_STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {"completed": "successful", "failed": "failed", "rolled_back": "rolled_back"}
)
_MOMENTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        INCIDENT: {
            "detected_at": "detectedAt",
            "impact_started_at": "impactStartedAt",
            "declared_at": "declaredAt",
            "acknowledged_at": "acknowledgedAt",
        },
        CHANGE: {
            "requested_at": "requestedAt",
            "started_at": "startedAt",
            "deployed_at": "deployedAt",
            "rolled_back_at": "rolledBackAt",
            "recovered_at": "recoveredAt",
            "closed_at": "closedAt",
        },
    }
)
_WORDS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        INCIDENT: {
            "severity": "severity",
            "severity_name": "severityName",
            "mode": "mode",
            "channel": "channel",
            "symptom": "symptom",
            "monitor": "monitor",
            "dismissed": "dismissed",
        },
        CHANGE: {
            "title": "title",
            "type": "type",
            "kind": "changeKind",
            "risk": "risk",
            "version": "artifactVersion",
        },
    }
)
_TAKEN_BACK: Final = frozenset({"dismissed", "merged_into", "fixes_incident", "repairs"})
"""Facts that are said to be none where they are absent."""


def _is_of_ours(custom: Payload) -> bool:
    return set(custom.names()) >= _OWN and custom.raw("kind") in (INCIDENT, CHANGE)


def _own(of: Payload, custom: Payload, subject: str, predicate: str) -> Statement | None:
    """Return what stands of an incident or a change in the ledger that wrote an event."""
    kind = custom.text("kind")
    position = custom.number("position")
    if subject == "change":
        of.drop("context.type", f"change.{predicate}", "its commits stand with the deployment")
        return None
    if position is None:
        why = "written by an earlier version, without how it ended: export it again"
        raise InvalidValue("customData.position", None, why)
    source = (of.text("context", "source") or "").rstrip("/")
    told = Told(custom, INCIDENT if kind == INCIDENT else CHANGE)
    for fact, name in _WORDS[told.kind].items():
        told.put(fact, custom.text(name))
    for fact, name in _MOMENTS[told.kind].items():
        at = _moment_of(custom, name)
        if at is None or not told.put(fact, at):
            told.nothing(fact)
    told.services(custom.each_text("services"))
    told.put("environment", custom.text("environment"))
    told.put("labels", custom.labels("labels"))
    if told.kind == INCIDENT:
        _own_incident(of, custom, told, source)
    else:
        _own_change(custom, told, source)
    for fact in _TAKEN_BACK & FACTS[told.kind].keys() - told.facts.keys():
        told.nothing(fact)
    return told.statement(
        f"{source}/{custom.required('id')}",
        said_at=custom.time("recordedAt"),
        sequence=position,
        delivery=of.id("context", "id"),
        status=custom.text("outcome") or predicate,
        gone=custom.truth("withdrawn") is True,
    )


def _own_incident(of: Payload, custom: Payload, told: Told, source: str) -> None:
    content = of.part("subject", "content")
    told.put("title", content.text("description"))
    ticket = content.text("ticketURI")
    told.put("references", {"ticket": ticket} if ticket else None)
    told.put("customers", custom.number("customers"))
    for what in ("time_to_restore", "time_to_repair"):
        told.put(f"stated_{what}", custom.number("stated", what))
    verdicts: dict[str, list[str]] = {"caused": [], "fixed": []}
    for each in custom.parts("verdicts"):
        verdict = each.text("verdict") or ""
        change = _reference(each, "change", source)
        if change is not None and verdict in verdicts:
            verdicts[verdict].append(change)
        elif change is not None:
            each.drop("verdict", verdict, "a source says what caused or fixed it, and no more")
    for verdict, ids in verdicts.items():
        told.put(f"{verdict}_by", tuple(ids))
    told.put("merged_into", _reference(custom, "mergedInto", source))
    for each in custom.parts("related"):
        relation = each.text("relation")
        if relation in {"child_of", "recurrence_of"}:
            told.put(relation, _reference(each, "incident", source))
    spells = list(custom.parts("spells"))
    for number, spell in enumerate(spells, start=1):
        if number > 1:
            told.happen("reopened", _moment_of(spell, "started"))
        for what in ("mitigated", "resolved", "closed"):
            at = _moment_of(spell, what)
            if number < len(spells):
                told.happen(what, at)
            elif at is None or not told.put(f"{what}_at", at):
                told.nothing(f"{what}_at")


def _own_change(custom: Payload, told: Told, source: str) -> None:
    outcome = custom.text("outcome")
    status = _STATUSES.get(outcome or "")
    if status in {"failed", "rolled_back"} and custom.truth("reachedProduction") is False:
        status = "not_deployed"
        told.nothing("rolled_back_at")
    failed_at = _moment_of(custom, "endedAt") if outcome == "failed" else None
    for fact, value in (("status", status), ("failed_at", failed_at)):
        if not told.put(fact, value):
            told.nothing(fact)
    told.put("planned", False if custom.truth("unplanned") else None)
    told.put("fixes_incident", _reference(custom, "fixesIncident", source))
    told.put("repairs", _reference(custom, "repairs", source))
    commits = [
        Commit(
            id=commit.required("id"),
            authored_at=commit.time("authoredAt"),
            committed_at=commit.time("committedAt"),
            pull_request=commit.text("pullRequest"),
            opened_at=commit.time("openedAt"),
            merged_at=commit.time("mergedAt"),
        )
        for commit in custom.parts("commits")
    ]
    told.put("commits", tuple(commits) or None)


def _reference(of: Payload, name: str, source: str) -> str | None:
    """Return the id of something in the ledger that wrote it, as it stands here."""
    id_ = of.id(name)
    if id_ is None:
        return None
    whole = f"{source}/{id_}"
    if OF_OTHER.fullmatch(whole):
        of.drop(name, id_, f"{source} reads as the name of another tool here; export with --source")
        return None
    return whole


def _moment_of(of: Payload, name: str) -> Moment | None:
    """Return a moment: a time, or where it lies between two."""
    if listed(of, name) is None:
        return of.moment(name)
    first, last = of.time(name, 0), of.time(name, 1)
    if first is None or last is None or last < first:
        of.drop(name, of.raw(name), "two times, the earlier one first")
        return None
    return Between(earliest=first, latest=last)


# --- each of them ---------------------------------------------------------------------------------


def _incident(of: Payload, predicate: str, at: Moment) -> Statement | None:
    facts = _facts(of)
    content = of.part("subject", "content")
    words, severity = content.text("description"), of.text("customData", "severity")
    if isinstance(of.raw("customData"), Mapping):
        facts |= {"severity": of.word("severity", severity, SEVERITIES), "severity_name": severity}
    happened: tuple[Happening, ...] = ()
    match predicate:
        case "detected":
            facts["title"] = words
            happened = (Happening("detected", at),)
        case "reported":
            facts |= {"title": words, "declared_at": at}
            ticket = content.text("ticketURI")
            facts["references"] = {"ticket": ticket} if ticket else None
        case "resolved":
            facts["labels"] |= {"resolution": words} if words else {}
            happened = (Happening("resolved", at),)
        case _:
            of.drop("context.type", predicate, "detected, reported or resolved")
            return None
    return _statement(of, INCIDENT, _id(of), predicate, facts, happened)


def _service(of: Payload, predicate: str, at: Moment) -> Statement | None:
    kind = SERVICES.get(predicate)
    if kind is None:
        of.drop("context.type", f"service.{predicate}", "it deploys nothing")
        return None
    facts = _facts(of)
    name = of.required("subject", "id")
    facts |= {
        "title": f"{name} {predicate}" if kind is not Kind.DEPLOYMENT else None,
        "kind": kind,
        "services": (name,),
        "version": facts["labels"].pop("artifact", None),
    }
    id_ = of.required("context", "id")
    return _statement(of, CHANGE, id_, predicate, facts, (Happening("deployed", at),))


def _change(of: Payload, predicate: str, at: Moment) -> Statement | None:
    kind = of.options.word("kind", "change", {})
    if not kind:
        of.drop(
            "context.type",
            f"change.{predicate}",
            "a change of code is none of production, unless values.kind says what a change is",
        )
        return None
    facts = _facts(of)
    content = of.part("subject", "content")
    repository = content.id("repository", "id")
    named = of.options.word("service", repository or "", {})
    service = repository if named is None else named
    facts |= {
        "kind": kind,
        "title": content.text("description"),
        "services": (service,) if service else None,
    }
    happened: tuple[Happening, ...] = ()
    match predicate:
        case "created":
            facts["requested_at"] = at
        case "merged":
            happened = (Happening("deployed", at),)
        case "abandoned":
            happened = (Happening("cancelled", at),)
        case _:  # updated, reviewed: something is told of it, and no moment of ours
            pass
    return _statement(of, CHANGE, _id(of), predicate, facts, happened)


def _ticket(of: Payload, predicate: str, at: Moment) -> Statement | None:
    content = of.part("subject", "content")
    type_ = content.text("ticketType")
    if of.options.word("type", type_ or "", _TYPES) != "incident":
        content.drop("ticketType", type_ or "", "no incident, unless values.type says it is")
        return None
    facts = _facts(of)
    priority, link = content.text("priority"), content.text("uri")
    for label, name in (("team", "group"), ("creator", "creator"), ("milestone", "milestone")):
        text = content.text(name)
        facts["labels"] |= {label: text} if text else {}
    assigned = ", ".join(content.each_text("assignees"))
    facts["labels"] |= {"assigned": assigned} if assigned else {}
    facts |= {
        "title": content.text("summary"),
        "severity": content.word("severity", priority, SEVERITIES),
        "severity_name": priority,
        "references": {"ticket": link} if link else None,
    }
    by = content.id("updatedBy")
    happened: tuple[Happening, ...] = ()
    resolution = content.text("resolution") if predicate == "closed" else None
    if predicate == "created":
        happened = (Happening("detected", at),)
    elif predicate == "closed":
        dismissed = content.word("dismissed", resolution, _RESOLUTIONS)
        done = resolution is None or of.options.word("dismissed", resolution, _RESOLUTIONS) == ""
        facts["dismissed"] = dismissed
        happened = (Happening("resolved" if done else "closed", at, by),)
    status = f"{predicate} {resolution}" if resolution else predicate
    return _statement(of, INCIDENT, _id(of), status, facts, happened)


CDEVENTS: Final = Format(
    name="cdevents",
    title="CDEvents 0.4 and 0.5: incidents, services, tickets, changes; also as CloudEvents",
    source="cdevents",
    order="time",
    statuses={
        "incident.detected": "detected at the timestamp",
        "incident.reported": "declared at the timestamp",
        "incident.resolved": "resolved at the timestamp",
        "service.deployed, service.upgraded": "deployed at the timestamp",
        "service.rolledback": "a change of kind rollback, deployed at the timestamp",
        "service.removed": "a change of kind other, deployed at the timestamp",
        "ticket.created": "detected at the timestamp, of a ticket that is an incident",
        "ticket.closed": "resolved at the timestamp; closed, where its resolution is another",
        "any, written by `imcm export cdevents`": "what stands of the incident or change there",
    },
    severities=SEVERITIES,
    words=("dismissed", "kind", "service", "severity", "type"),
    statements=_statements,
)
