"""
PagerDuty: webhooks of version 3, and incidents and log entries as the REST API prints them.

What the fields mean is told by PagerDuty/developer-docs (docs/webhooks) and by the reference of the
REST API. Each shape is recognised: a webhook has `event`, and tells what happened at `occurred_at`
by `agent`, which may be null; a row of `GET /incidents` (or `{"incident": ...}`) is how the
incident stands; an entry of `GET /log_entries`, or a page of them, tells when an incident was
acknowledged and by whom, and nothing else: the rest is in the row. The incident is `data.id`, `id`
or `incident.id`.

What an event is about says `data.type`, and not `resource_type`: notes, status updates, responders
and services come as events too, and say nothing that is kept of an incident. A delivery may come
twice, with the same `event.id`, and some never come. So each event about an incident says again
when it was created, which is when it was detected.

An incident that was resolved by merging it into another is merged, at whose end nobody knows yet:
its resolution is left out. A lapsed acknowledgement is none that ends: the first one counts.

The severity is the priority ("P1", "SEV-1"), which many accounts do not use; where there is none
and the options say under `values.severity` what an urgency means, the urgency. It is a label
otherwise. A row empties `acknowledgements` when the incident is resolved; its log entries, where
they were asked for (`include[]=log_entries`) and go back to the trigger, still tell the first one.
Whom it is assigned to is no fact of an incident, and is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import INCIDENT
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload, told
from imcm.interchange.statements import Happening, Read, Statement, read_of

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{f"p{rank}": f"P{rank}" for rank in range(1, 5)},
        **{f"sev{rank}": f"P{rank}" for rank in range(1, 5)},
        **{f"sev-{rank}": f"P{rank}" for rank in range(1, 5)},
        **dict.fromkeys(("p5", "sev5", "sev-5"), "P4"),
    }
)
"""The names of priorities that PagerDuty proposes, P1 to P5 and SEV-1 to SEV-5."""

_HAPPENINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "incident.acknowledged": "acknowledged",
        "incident.resolved": "resolved",
        "incident.reopened": "reopened",
    }
)

_MERGED: Final = "merge_resolve_reason"


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    if of.raw("event") is not None:
        said = _event(of.part("event"))
    elif of.raw("messages") is not None:
        of.drop("messages", of.raw("messages"), "webhooks of version 2 have ended; use version 3")
        said = None
    elif _is_entry(of):
        said = _entry(of)
    elif of.raw("log_entries") is not None and _OF_A_ROW.isdisjoint(of.names()):
        return read_of(filter(None, map(_entry, of.parts("log_entries"))), of.drops)
    else:
        said = _row(of.part("incident") if of.raw("incident") is not None else of)
    return read_of([] if said is None else [said], of.drops)


# --- webhooks -------------------------------------------------------------------------------------


def _event(event: Payload) -> Statement | None:
    kind = event.text("event_type") or ""
    data = event.part("data")
    about = data.text("type") or ""
    if about != "incident":
        event.drop("event_type", kind, f"it is about a {about or 'thing of no type'}, not kept")
        return None
    id_ = data.required("id")
    at = event.time("occurred_at")
    created = data.time("created_at")
    if created is None and kind == "incident.triggered":
        created = at
    happened = [] if created is None else [Happening("detected", created)]
    into = _merged_into(data)
    what = _HAPPENINGS.get(kind)
    if at is None:
        event.drop("occurred_at", event.raw("occurred_at"), "nothing says when it happened")
    elif what == "resolved" and into is not None:
        event.drop("event_type", kind, f"merged into {into}: it ends with that one")
    elif what is not None:
        happened.append(Happening(what, at, event.id("agent", "id")))
    elif kind == "incident.unacknowledged":
        event.drop("event_type", kind, "an acknowledgement lapsed; the first one counts")
    return Statement(
        kind=INCIDENT,
        id=id_,
        facts=data.usable(INCIDENT, {**_shared(data), "merged_into": into}),
        happened=tuple(happened),
        said_at=at,
        delivery=event.id("id"),
        status=data.text("status") or "",
    )


# --- rows -----------------------------------------------------------------------------------------


def _row(row: Payload) -> Statement:
    id_ = row.required("id")
    status = row.text("status") or ""
    changed = row.time("last_status_change_at")
    into = _merged_into(row)
    none: tuple[str, ...] = ()
    resolved: datetime | None = None
    if status == "resolved":
        resolved = None if into is not None else row.time("resolved_at") or changed
    elif status in {"triggered", "acknowledged"}:
        none = ("resolved_at",)
    else:
        row.drop("status", status, "triggered, acknowledged or resolved")
    facts = {
        **_shared(row),
        "detected_at": row.moment("created_at", fact="detected_at"),
        "resolved_at": resolved,
        "merged_into": into,
    }
    return Statement(
        kind=INCIDENT,
        id=id_,
        facts=row.usable(INCIDENT, facts, none=none),
        happened=tuple(_acknowledged(row)),
        said_at=row.time("updated_at") or changed,
        status=status,
        texts=row.texts,
    )


def _acknowledged(row: Payload) -> Iterator[Happening]:
    """Yield the first acknowledgement that a row tells: one more beside those told before."""
    log = list(row.parts("log_entries"))
    found: list[tuple[datetime, str | None]] = []
    if any(entry.text("type") == "trigger_log_entry" for entry in log):
        for entry in log:
            at = entry.time("created_at")
            if entry.text("type") == "acknowledge_log_entry" and at is not None:
                found.append((at, entry.id("agent", "id")))
    for each in row.parts("acknowledgements"):
        at = each.time("at")
        if at is not None:
            found.append((at, each.id("acknowledger", "id")))
    if found:
        at, by = min(found, key=lambda first: first[0])
        yield Happening("acknowledged", at, by)


# --- log entries ----------------------------------------------------------------------------------

_ENTRY: Final = "_log_entry"
_OF_A_ROW: Final = frozenset({"id", "incident", "status", "created_at"})
"""What a row of incidents has, which may have log entries of its own; a page of them has none."""


def _is_entry(of: Payload) -> bool:
    kind = of.raw("type")
    return isinstance(kind, str) and kind.removesuffix("_reference").endswith(_ENTRY)


def _entry(entry: Payload) -> Statement | None:
    """Return that an incident was acknowledged; of other entries nothing: the row tells it."""
    kind = entry.text("type") or ""
    if kind.removesuffix("_reference").removesuffix(_ENTRY) != "acknowledge":
        entry.drop("type", kind, f"the row of its incident tells it; read is acknowledge{_ENTRY}")
        return None
    at = entry.time("created_at")
    if at is None:
        entry.drop("created_at", entry.raw("created_at"), "nothing says when it happened")
        return None
    return Statement(
        kind=INCIDENT,
        id=entry.required("incident", "id"),
        happened=(Happening("acknowledged", at, entry.id("agent", "id")),),
        said_at=at,
        delivery=entry.id("id"),
        status="acknowledged",
    )


# --- what all tell --------------------------------------------------------------------------------


def _shared(of: Payload) -> dict[str, object]:
    priority, urgency = of.text("priority", "summary"), of.text("urgency")
    given = of.options.values.get("severity", {})
    by_urgency = urgency if urgency is not None and urgency.casefold() in given else None
    word = priority or by_urgency
    service = of.text("service", "summary") or of.text("service", "id")
    teams = [each.text("summary") or each.text("id") for each in of.parts("teams")]
    return {
        "title": of.text("title"),
        "severity": of.word("severity", word, SEVERITIES),
        "severity_name": word,
        "services": None if service is None else (service,),
        "labels": told(
            {
                "number": of.text("number") or of.text("incident_number"),
                "incident_key": of.text("incident_key"),
                "urgency": urgency,
                "escalation_policy": of.text("escalation_policy", "summary"),
                "team": ", ".join(team for team in teams if team) or None,
            }
        ),
        "references": told(
            {
                "incident": of.text("html_url"),
                "conference": of.text("conference_bridge", "conference_url"),
            }
        ),
    }


def _merged_into(of: Payload) -> str | None:
    if of.text("resolve_reason", "type") != _MERGED:
        return None
    return of.id("resolve_reason", "incident", "id")


PAGERDUTY: Final = Format(
    name="pagerduty",
    title="PagerDuty: webhooks of version 3, incidents and log entries of the REST API",
    source="pagerduty",
    order="time",
    statuses={
        "triggered": "detected at created_at",
        "acknowledged": "acknowledged at occurred_at, or the first of acknowledgements",
        "resolved": "resolved at occurred_at, or resolved_at, else last_status_change_at",
        "resolved (merge_resolve_reason)": "merged into the incident that it names",
        "incident.reopened": "reopened at occurred_at",
        "acknowledge_log_entry": "acknowledged at created_at",
    },
    severities=SEVERITIES,
    listed_in=("incidents",),
    words=("severity",),
    statements=_statements,
)
