"""
Rootly: webhooks, and incidents of its API.

Webhooks and statuses are described under docs.rootly.com (configuration/webhooks, event-payloads,
incident-status), fields in the schema of rootlyhq/rootly-go. A webhook holds `event` with its id,
type and `issued_at`, and in `data` the incident as it stood by then: a snapshot, said at
`issued_at`, or at `updated_at` where it comes from the API. The incident is its `id`; slug and
number are for people.

`started_at` is the start of the impact. Where `detected_at` is empty it was detected when it was
created, unless it was filled in afterwards (kind backfilled). Cancelled is dismissed as a false
positive, which `values.dismissed` may change; deleted is gone. Test and example incidents are
tests. A sub-incident is the child of its parent.

Scheduled maintenance is a change with a window: scheduled, in_progress (started), completed
(deployed), cancelled. It is never an incident, and what it shares with one (severity, moments of an
incident) has no place there. Rootly's severities begin at SEV0, so SEV0 is P1 here.
Alerts, pulses, workflow runs and posts to status pages are listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.domain.vocabulary import Mode, Moment, is_mapping
from imcm.interchange.formats import Format
from imcm.interchange.formats.telling import NO_INCIDENT, Told, is_spoken_of, listed
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Read, Statement

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "critical": "P1",
        "high": "P2",
        "medium": "P3",
        "low": "P4",
        "sev0": "P1",
        "sev1": "P2",
        "sev2": "P3",
        "sev3": "P4",
        "sev4": "P4",
    }
)
STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "in_triage": "open",
        "started": "open",
        "detected": "open",
        "acknowledged": "open",
        "mitigated": "mitigated, at mitigated_at",
        "resolved": "resolved, at resolved_at",
        "closed": "closed, at closed_at",
        "cancelled": "dismissed: a false positive; of a maintenance: cancelled",
        "scheduled": "a change that is planned",
        "in_progress": "a change that is started, at started_at",
        "completed": "a change that is deployed, at resolved_at",
    }
)
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "normal": Mode.REAL,
        "backfilled": Mode.REAL,
        "test": Mode.TEST,
        "example": Mode.TEST,
        "tutorial": Mode.TEST,
    }
)
"""The mode of an incident, by its kind without a last "_sub"."""

_OPEN: Final = frozenset({"in_triage", "started", "detected", "acknowledged"})
_ENDS: Final = ("mitigated_at", "resolved_at", "closed_at")
_SCHEDULED: Final = frozenset({"scheduled", "in_progress", "completed"})


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    statement = _told(of)
    return Read((statement,) if statement else (), tuple(of.drops))


def _told(of: Payload) -> Statement | None:
    if not is_spoken_of(of, "event"):
        data = of.part("data") if is_spoken_of(of, "data") else of
        return _thing(data, None, "", None)
    event = of.part("event")
    kind = event.text("type") or ""
    thing, _, happened = kind.partition(".")
    issued, delivery = event.moment("issued_at"), event.id("id")
    if thing == "incident":
        return _thing(of.part("data"), issued, happened, delivery)
    if thing == "incident_post_mortem" and happened == "published":
        return _review(of.part("data"), issued, delivery)
    of.drop("event.type", kind, "no fact of an incident has a place for it")
    return None


def _thing(data: Payload, issued: Moment | None, what: str, delivery: str | None) -> Statement:
    of = data.part("attributes") if is_spoken_of(data, "attributes") else data
    id_ = data.required("id")
    status = of.text("status")
    scheduled = what.startswith("scheduled.") or (of.text("kind") or "").startswith("scheduled")
    told = _change(of, status) if scheduled or status in _SCHEDULED else _incident(of, status)
    told.put("title", of.text("title"))
    told.services(_names(of, "services"), spoken_of=is_spoken_of(of, "services"))
    told.environment(list(_names(of, "environments")))
    labels = of.raw("labels")
    for name, text in (of.labels("labels") if is_mapping(labels) else {}).items():
        told.label(name, text)
    for pair in of.parts("labels") if listed(of, "labels") is not None else ():
        told.label(pair.id("key"), pair.text("value"))
    told.label("number", of.text("sequential_id"))
    told.label("team", ", ".join(_names(of, "groups")) or None)
    told.add("references", "incident", of.text("url"))
    told.add("references", "channel", of.text("slack_channel_url"))
    return told.statement(
        id_,
        said_at=issued or of.moment("updated_at"),
        delivery=delivery,
        status=status,
        gone=what.endswith("deleted") or of.moment("deleted_at") is not None,
    )


def _incident(of: Payload, status: str | None) -> Told:
    told = Told(of, INCIDENT)
    kind = (of.text("kind") or "").removesuffix("_sub")
    told.put("mode", of.word("mode", kind or None, KINDS))
    _severity(told)
    told.moment("impact_started_at", "started_at")
    told.moment("detected_at", "detected_at")
    told.moment("acknowledged_at", "acknowledged_at")
    for end in _ENDS:
        told.moment(end, end)
    created = None if kind == "backfilled" else of.moment("created_at")
    told.put("declared_at", created)
    if told.facts.get("detected_at") is None:
        told.put("detected_at", created)
    if status in _OPEN:
        told.still_open(status, *_ENDS)
    elif status == "mitigated":
        told.still_open(status, *_ENDS[1:])
    elif status == "resolved":
        told.still_open(status, "closed_at")
    if status is not None:
        told.dismissed(status if status == "cancelled" else None, NO_INCIDENT)
    told.put("child_of", of.id("parent_incident_id"))
    return told


def _change(of: Payload, status: str | None) -> Told:
    told = Told(of, CHANGE)
    told.put("planned", True)
    told.window(of.moment("scheduled_for"), of.moment("scheduled_until"))
    told.put("requested_at", of.moment("created_at"))
    if status != "scheduled":
        told.moment("started_at", "started_at")
    told.moment("deployed_at", "resolved_at")
    told.moment("closed_at", "closed_at")
    told.moment("cancelled_at", "cancelled_at")
    if status == "cancelled":
        told.put("status", "cancelled")
    return told


def _review(data: Payload, issued: Moment | None, delivery: str | None) -> Statement | None:
    of = data.part("attributes") if is_spoken_of(data, "attributes") else data
    incident = of.id("incident_id") or of.id("incident", "id")
    if incident is None:
        of.drop("incident_id", None, "nobody can say which incident was reviewed")
        return None
    told = Told(of, INCIDENT)
    told.put("reviewed_at", of.moment("published_at") or issued)
    told.add("references", "review", of.text("url"))
    return told.statement(incident, said_at=issued, delivery=delivery)


def _severity(told: Told) -> None:
    """Put the severity, which is a text, an object, or an object of JSON:API."""
    of, place = told.of, told.of.raw("severity")
    if place is None or isinstance(place, str):
        told.severity(of.text("severity"), SEVERITIES)
        return
    part = _attributes(of.part("severity"))
    name = part.text("name") or part.text("slug")
    rank = part.text("severity")
    known = name is not None and of.options.word("severity", name, {}) is not None
    told.severity(name if known or rank is None else rank, SEVERITIES, name=name)


def _attributes(of: Payload) -> Payload:
    inner = of.part("data") if is_spoken_of(of, "data") else of
    return inner.part("attributes") if is_spoken_of(inner, "attributes") else inner


def _names(of: Payload, name: str) -> Iterator[str]:
    listed = (name, "data") if is_spoken_of(of, name, "data") else (name,)
    for each in of.parts(*listed):
        found = _attributes(each).id("name")
        if found is not None:
            yield found


ROOTLY: Final = Format(
    name="rootly",
    title="Rootly: webhooks, and incidents of its API",
    source="rootly",
    order="time",
    statuses=STATUSES,
    severities=SEVERITIES,
    listed_in=("data",),
    words=("dismissed", "mode", "severity"),
    statements=_statements,
)
