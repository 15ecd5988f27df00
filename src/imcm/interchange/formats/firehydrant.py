"""
FireHydrant: incidents and change events of its webhooks and its API.

What is sent is described under docs.firehydrant.com/docs/webhooks, the objects in the models of
firehydrant/firehydrant-typescript-sdk. A webhook says no kind of event and no time: it holds the
incident as it stands, so what arrives last counts. The incident is its `id`.

Moments are its milestones, which newer payloads list by the phases of a lifecycle. One that is not
among them was not reached, and one that lies behind the current milestone is reached no more. A
milestone that was reached several times counts from the last time for an end, from the first for
the others. Milestones of a team's own are marks. Where none says when it was detected, it was when
it was opened. An archived incident is gone.

Of the severities that FireHydrant begins with, GAMEDAY is a drill, and MAINTENANCE and UNSET none.
A change event becomes a change. It has no status: it began when it starts and was in production
when it ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.domain.vocabulary import Mode, Moment
from imcm.interchange.formats import Format
from imcm.interchange.formats.telling import Told, in_order, is_spoken_of, texts_of
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Read, Statement

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sev0": "P1",
        "sev1": "P1",
        "sev2": "P2",
        "sev3": "P3",
        "sev4": "P4",
        "sev5": "P4",
        "unset": "",
        "maintenance": "",
        "gameday": "",
    }
)
MILESTONES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "started": "impact_started_at",
        "detected": "detected_at",
        "acknowledged": "acknowledged_at",
        "mitigated": "mitigated_at",
        "resolved": "resolved_at",
        "postmortem_completed": "reviewed_at",
        "retrospective_completed": "reviewed_at",
        "closed": "closed_at",
    }
)
"""What a milestone is to us; the others are marks."""

STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "started": "impact_started_at",
        "detected": "detected_at",
        "acknowledged": "acknowledged_at",
        "investigating": "a mark",
        "identified": "a mark",
        "mitigated": "mitigated_at",
        "resolved": "resolved_at",
        "postmortem_started": "a mark, resolved",
        "postmortem_completed": "reviewed_at",
        "closed": "closed_at",
    }
)
_ORDER: Final = ("started", "detected", "acknowledged", "investigating", "identified")
_ENDS: Final = ("mitigated_at", "resolved_at", "reviewed_at", "closed_at")
_COMMANDERS: Final = frozenset({"commander", "incident commander"})


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    statement = _told(of.part("data") if is_spoken_of(of, "data") else of)
    return Read((statement,) if statement else (), tuple(of.drops))


def _told(data: Payload) -> Statement | None:
    if is_spoken_of(data, "change_event"):
        return _change(data.part("change_event"))
    if is_spoken_of(data, "incident"):
        return _incident(data.part("incident"))
    if is_spoken_of(data, "current_milestone") or is_spoken_of(data, "milestones"):
        return _incident(data)
    data.drop((), ", ".join(map(str, data.raw())), "neither an incident nor a change event")
    return None


def _incident(of: Payload) -> Statement:
    told = Told(of, INCIDENT)
    id_ = of.required("id")
    current = of.text("current_milestone")
    severity = of.text("severity")
    told.put("title", of.text("name"))
    told.put("mode", Mode.DRILL if (severity or "").casefold() == "gameday" else Mode.REAL)
    told.severity(severity, SEVERITIES)
    told.put("customers", of.number("customers_impacted") or None)
    _milestones(told, current)
    created = of.moment("created_at")
    told.put("declared_at", created)
    if told.facts.get("detected_at") is None:
        told.put("detected_at", created)
    if told.facts.get("impact_started_at") is None:
        told.moment("impact_started_at", "started_at")
    told.put("commander", _commander(of))
    told.services(
        [*_names(of, "services"), *_impacted(of, "service")],
        spoken_of=is_spoken_of(of, "services") or is_spoken_of(of, "impacts"),
    )
    told.environment(
        list(dict.fromkeys([*_names(of, "environments"), *_impacted(of, "environment")]))
    )
    for name, text in of.labels("labels").items():
        told.label(name, text)
    told.label("number", of.text("number"))
    told.label("priority", of.text("priority"))
    told.label("tags", ", ".join(texts_of(of, "tag_list")) or None)
    told.label("functionalities", ", ".join(_names(of, "functionalities")) or None)
    told.add("references", "incident", of.text("incident_url"))
    told.add("references", "status page", of.text("private_status_page_url"))
    told.add("references", "channel", of.text("channel_reference"))
    tasks = sum(1 for role in of.parts("role_assignments") for _ in role.parts("tasks"))
    if tasks:
        of.drop("role_assignments", f"{tasks} tasks", "no fact of an incident has a place for them")
    return told.statement(id_, status=current, gone=of.moment("discarded_at") is not None)


def _milestones(told: Told, current: str | None) -> None:
    of = told.of
    if not (is_spoken_of(of, "milestones") or is_spoken_of(of, "lifecycle_phases")):
        return
    reached = list(of.parts("milestones")) or [
        each for phase in of.parts("lifecycle_phases") for each in phase.parts("milestones")
    ]
    found: list[tuple[Moment, str]] = []
    for each in reached:
        kind, at = each.text("type") or each.text("slug"), each.moment("occurred_at")
        if kind is not None and at is not None:
            found.append((at, kind))
    for known in dict.fromkeys(MILESTONES.values()):
        told.nothing(known)
    times: list[tuple[Moment, str]] = in_order((at, (at, kind)) for at, kind in found)
    for at, kind in times:
        fact = MILESTONES.get(kind)
        if fact is None:
            told.add("marks", kind.replace("_", " "), at)
        elif fact in _ENDS or told.facts[fact] is None:
            told.put(fact, at)
    if current in _ORDER:
        told.still_open(current, *_ENDS)
    elif current == "mitigated":
        told.still_open(current, *_ENDS[1:])
    elif current == "resolved":
        told.still_open(current, "closed_at")


def _commander(of: Payload) -> str | None:
    for role in of.parts("role_assignments"):
        name = (role.text("incident_role", "name") or "").casefold()
        if name in _COMMANDERS and role.text("status") in {None, "active"}:
            return role.id("user", "email") or role.id("user", "id")
    return None


def _names(of: Payload, *path: str) -> Iterator[str]:
    for each in of.parts(*path):
        name = each.id("name")
        if name is not None:
            yield name


def _impacted(of: Payload, kind: str) -> Iterator[str]:
    for each in of.parts("impacts"):
        name = each.id("impact", "name") if each.text("type") == kind else None
        if name is not None:
            yield name


def _change(of: Payload) -> Statement:
    told = Told(of, CHANGE)
    told.put("title", of.text("summary"))
    told.put("requested_at", of.moment("created_at"))
    told.moment("started_at", "starts_at")
    told.moment("deployed_at", "ends_at")
    told.services(_names(of, "services"), spoken_of=is_spoken_of(of, "services"))
    told.environment(list(_names(of, "environments")))
    for name, text in of.labels("labels").items():
        told.label(name, text)
    for author in of.parts("authors"):
        told.put("implemented_by", author.id("email") or author.id("name"))
        break
    return told.statement(of.required("id"), said_at=of.moment("updated_at"))


FIREHYDRANT: Final = Format(
    name="firehydrant",
    title="FireHydrant: incidents and change events of its webhooks and its API",
    source="firehydrant",
    order="receipt",
    statuses=STATUSES,
    severities=SEVERITIES,
    listed_in=("data",),
    words=("severity",),
    statements=_statements,
)
