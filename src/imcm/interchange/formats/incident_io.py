"""
incident.io: webhooks, and incident objects of its API.

The fields are those of the API's second version (docs.incident.io/api-reference, the tag Webhooks;
object examples in incident-io/sdk-python). A webhook names its event in `event_type`, and holds its
object under that very name. Each object of an incident is a snapshot, said at its `updated_at`; the
incident is its `id`, since its reference may be read anew.

Moments are the incident's own timestamps, by their names: a team may rename them and add others,
which `values.timestamp` maps ("Service back" to "resolved"); those not known are marks. Who reports
an incident has noticed it at the latest by then, so where no timestamp says when it was detected,
it was when it was reported, and else when it was created; not so for a retrospective one, which is
created long after. What a status means is its category, since its name is a team's own. While
that is open, timestamps of an earlier end count no more. Where no timestamp tells an end, the event
of the new status does, and so does the event of a step back.

Of a private incident only the id is told, and nothing can be said with it. Follow-ups, actions,
memberships, post-mortem documents and alerts are no facts of an incident, and listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import INCIDENT
from imcm.domain.vocabulary import Mode, Moment
from imcm.interchange.formats import Format
from imcm.interchange.formats.telling import NO_INCIDENT, Told, is_spoken_of
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Read, Statement

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {"critical": "P1", "major": "P2", "minor": "P3"}
)
"""The names an organisation begins with; their ranks depend on how many it has."""

STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "triage": "open",
        "live": "open; Fixed at is mitigated_at",
        "paused": "open",
        "learning": "resolved, at Resolved at",
        "closed": "resolved, and closed at Closed at",
        "declined": "dismissed: a false positive",
        "canceled": "dismissed: a false positive",
        "merged": "dismissed: a duplicate, since it is not told of which",
    }
)
TIMESTAMPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "impact started": "impact_started",
        "detected": "detected",
        "reported": "declared",
        "accepted": "acknowledged",
        "acknowledged": "acknowledged",
        "fixed": "mitigated",
        "mitigated": "mitigated",
        "resolved": "resolved",
        "closed": "closed",
        "last activity": "",
    }
)
"""What a timestamp is to us, by its name without a last " at"."""

MODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "standard": Mode.REAL,
        "retrospective": Mode.REAL,
        "test": Mode.TEST,
        "tutorial": Mode.TEST,
    }
)
_OPEN: Final = frozenset({"triage", "live", "paused"})
_ENDED: Final = frozenset({"learning", "closed"})
_MOMENTS: Final = frozenset(TIMESTAMPS.values()) - {""}
_LINKS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "incident": ("permalink",),
        "call": ("call_url",),
        "channel": ("slack_channel_url",),
        "review": ("postmortem_document_url",),
        "ticket": ("external_issue_reference", "issue_permalink"),
    }
)


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    statement = _told(of)
    return Read((statement,) if statement else (), tuple(of.drops))


def _told(of: Payload) -> Statement | None:
    event = of.text("event_type")
    if event is None:
        return _incident(of.part("incident") if is_spoken_of(of, "incident") else of)
    private, _, what = event.partition(".")
    if private == "private_incident":
        of.drop(event, of.raw(event, "id"), "of what is private only the id is told")
    elif "incident_status_updated" in what:
        body = of.part(event)
        new, old = (body.text(f"{which}_status", "category") for which in ("new", "previous"))
        return _incident(body.part("incident"), was=old, became=new)
    elif private == "public_incident" and what.startswith("incident_"):
        return _incident(of.part(event))
    else:
        of.drop("event_type", event, "no fact of an incident has a place for it")
    return None


def _incident(of: Payload, *, was: str | None = None, became: str | None = None) -> Statement:
    told = Told(of, INCIDENT)
    id_ = of.required("id")
    updated = of.moment("updated_at")
    category = of.text("incident_status", "category") or became
    mode = of.word("mode", of.text("mode"), MODES)
    told.put("title", of.text("name"))
    told.put("mode", mode)
    told.severity(of.text("severity", "name"), SEVERITIES)
    _timestamps(told)
    retrospective = of.text("mode") == "retrospective"
    if not retrospective and told.facts.get("declared_at") is None:
        told.put("declared_at", of.moment("created_at"))
    if told.facts.get("detected_at") is None:
        told.put("detected_at", told.facts.get("declared_at"))
    if category in _OPEN:
        if was in _ENDED and told.facts.get("resolved_at") is None:
            told.facts.pop("resolved_at", None)  # nor did a timestamp tell the end
            told.happen("reopened", updated)
        told.still_open(category, "resolved_at", "closed_at")
        told.nothing("dismissed")
    elif category in _ENDED:
        if category == "learning":
            told.still_open(category, "closed_at")
        told.nothing("dismissed")
        _ended(told, category, updated if became == category else None)
    elif category is not None:
        told.dismissed(category, NO_INCIDENT)
    told.put("commander", _lead(of))
    told.label("reference", of.id("reference"))
    told.label("type", of.text("incident_type", "name"))
    told.label("visibility", of.text("visibility"))
    _custom_fields(told)
    for kind, path in _LINKS.items():
        told.add("references", kind, of.text(*path))
    return told.statement(id_, said_at=updated, status=category)


def _timestamps(told: Told) -> None:
    for place in told.of.parts("incident_timestamp_values"):
        name = place.text("incident_timestamp", "name")
        if name is None:
            place.drop("incident_timestamp", place.raw(), "it has no name")
            continue
        short = name.casefold().removesuffix(" at").strip()
        given = told.of.options.word("timestamp", name, {})
        word = told.of.options.word("timestamp", short, TIMESTAMPS) if given is None else given
        if word in _MOMENTS:
            _moment(told, f"{word}_at", place)
        elif word is None:
            told.add("marks", name, place.moment("value", "value"))
        elif word:
            told.of.drop("timestamp", word, f"one of {', '.join(sorted(_MOMENTS))}")


def _moment(told: Told, fact: str, place: Payload) -> None:
    if is_spoken_of(place, "value", "value"):
        told.moment(fact, "value", "value", of=place)
    elif place.raw("value") is None:
        told.facts.setdefault(fact, None)  # it is listed, and nobody has set it


def _ended(told: Told, category: str, at: Moment | None) -> None:
    """Where no timestamp tells an end that an event told of, that event does."""
    ends = ("resolved",) if category == "learning" else ("resolved", "closed")
    for end in ends:
        if told.facts.get(f"{end}_at") is None:
            told.facts.pop(f"{end}_at", None)
            told.happen(end, at)


def _lead(of: Payload) -> str | None:
    for assigned in of.parts("incident_role_assignments"):
        if assigned.text("role", "role_type") == "lead":
            return assigned.id("assignee", "email") or assigned.id("assignee", "id")
    return None


def _custom_fields(told: Told) -> None:
    options = told.of.options
    services: list[str] = []
    names = {*options.service_label, "services", "affected services", "affected service"}
    spoken_of = False
    for entry in told.of.parts("custom_field_entries"):
        name = entry.id("custom_field", "name")
        texts = [text for value in entry.parts("values") for text in _values(value)]
        if name is None:
            continue
        if name.casefold() in names:
            spoken_of = True
            services += texts
        elif name.casefold() in options.environment_label:
            told.environment(texts)
        else:
            told.label(name, ", ".join(texts) or None, empty=True)
    told.services(services, spoken_of=spoken_of)


def _values(value: Payload) -> Iterator[str]:
    for path in (
        ("value_catalog_entry", "name"),
        ("value_option", "value"),
        ("value_text",),
        ("value_numeric",),
        ("value_link",),
        ("value_timestamp",),
    ):
        text = value.text(*path)
        if text is not None:
            yield text
            return


INCIDENT_IO: Final = Format(
    name="incident-io",
    title="incident.io: webhooks, and incidents of its API",
    source="incident.io",
    order="time",
    statuses=STATUSES,
    severities=SEVERITIES,
    listed_in=("incidents",),
    words=("dismissed", "mode", "severity", "timestamp"),
    statements=_statements,
)
