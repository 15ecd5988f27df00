"""
Opsgenie, and the alerts of Jira Service Management, which are its heirs: the webhook, and exported
rows of alerts and of incidents.

What the fields mean is told by the Opsgenie documentation ("Alert action data", Alert API, Incident
API). Three shapes are recognised: a webhook has `action` and `alert`; a row of the Incident API has
`impactStartDate` or `impactedServices`; any other row is one of the Alert API. A list or a single
one may stand under `data`, as the APIs answer.

A webhook tells one action on an alert, at `alert.updatedAt`. That counts nanoseconds and
`alert.createdAt` milliseconds; rows write both in ISO 8601. The incident is the alert's id: its
`alias` is a key only while it is open, and comes again afterwards. An alert knows open and closed
alone: one that was closed is resolved. An acknowledgement that is taken back is none that ends.

A row of an alert tells in its `report` after how many milliseconds it was acknowledged and closed,
and by whom; where it was closed and nothing says when, no moment is said. A row of an incident was
declared when it was created; the end of its impact is its resolution once it is resolved, and its
mitigation while it is open. That it was closed has no time of its own.

Priorities P1 to P5 are severities; P5 is P4. `details` are labels, and service and environment are
looked for among them; responders and owners are no facts of an incident, and are not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import INCIDENT
from imcm.domain.vocabulary import is_mapping
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload, told
from imcm.interchange.statements import Happening, Read, Statement, read_of

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {"p1": "P1", "p2": "P2", "p3": "P3", "p4": "P4", "p5": "P4"}
)

_MILLISECOND: Final = timedelta(milliseconds=1)
_MICROSECOND: Final = timedelta(microseconds=1)

_HAPPENINGS: Final[Mapping[str, str]] = MappingProxyType(
    {"acknowledge": "acknowledged", "close": "resolved"}
)
_SAYING_LITTLE: Final = frozenset(
    {"create", "delete", "assignownership", "takeownership", "addteam", "addrecipient", "addnote"}
    | {"addresponder", "addtags", "removetags", "adddetails", "removedetails", "escalate"}
    | {"escalatenext", "snooze", "snoozeended", "updatepriority", "updatemessage"}
    | {"updatedescription"}
)
"""Actions by which nothing happened that an incident keeps, beside what its fields say now."""


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    if of.raw("action") is not None or of.raw("alert") is not None:
        said = _action(of, of.part("alert"))
    else:
        row = of.part("data") if isinstance(of.raw("data"), Mapping) else of
        declared = row.raw("impactStartDate"), row.raw("impactedServices")
        said = _alert(row) if declared == (None, None) else _incident(row)
    return read_of([said], of.drops)


# --- webhooks -------------------------------------------------------------------------------------


def _action(of: Payload, alert: Payload) -> Statement:
    id_ = alert.required("alertId")
    action = of.text("action") or ""
    word = action.casefold()
    created = alert.epoch("createdAt", unit=_MILLISECOND)
    updated = alert.epoch("updatedAt", unit=_MICROSECOND, parts=1000)
    happened = [] if created is None else [Happening("detected", created)]
    what = _HAPPENINGS.get(word)
    if what is not None and updated is not None:
        happened.append(Happening(what, updated, alert.id("username")))
    elif what is not None:
        alert.drop("updatedAt", alert.raw("updatedAt"), f"nothing says when it was {what}")
    elif word == "unacknowledge":
        of.drop("action", action, "an acknowledgement was taken back; the first one counts")
    elif word not in _SAYING_LITTLE:
        of.drop("action", action, "not known; what the alert says beside it is taken")
    return Statement(
        kind=INCIDENT,
        id=id_,
        facts=alert.usable(INCIDENT, _shared(alert)),
        happened=tuple(happened),
        said_at=updated,
        status=action,
        gone=word == "delete",
    )


# --- rows -----------------------------------------------------------------------------------------


def _alert(row: Payload) -> Statement:
    id_ = row.required("id")
    status = row.text("status") or ""
    created = row.time("createdAt")
    closed: datetime | None = None
    if status == "closed":
        closed = _after(row, created, "closeTime")
        if closed is None:
            row.drop("status", status, "nothing says when it was closed")
    elif status != "open":
        row.drop("status", status, "open or closed")
    facts = {
        **_shared(row),
        "detected_at": created,
        "acknowledged_at": _after(row, created, "ackTime"),
        "acknowledged_by": row.id("report", "acknowledgedBy"),
        "resolved_at": closed,
    }
    none = ("resolved_at",) if status == "open" else ()
    return _row(row, id_, status, row.usable(INCIDENT, facts, none=none))


def _after(row: Payload, created: datetime | None, field: str) -> datetime | None:
    length = row.number("report", field)
    if length is None or created is None:
        return None
    try:
        return created + length * _MILLISECOND
    except OverflowError:
        row.drop(("report", field), length, "milliseconds since it was created")
        return None


def _incident(row: Payload) -> Statement:
    id_ = row.required("id")
    status = row.text("status") or ""
    created = row.moment("createdAt", fact="declared_at")
    detected = row.moment("impactDetectDate", fact="detected_at")
    ended = row.moment("impactEndDate", fact="resolved_at")
    over = status in {"resolved", "closed"}
    if not over and status != "open":
        row.drop("status", status, "open, resolved or closed")
    if over and ended is None:
        row.drop("status", status, "no impactEndDate: nothing says when it was resolved")
    facts = {
        **_shared(row),
        "impact_started_at": row.moment("impactStartDate", fact="impact_started_at"),
        "detected_at": created if detected is None else detected,
        "declared_at": created,
        "mitigated_at": None if over else ended,
        "resolved_at": ended if over else None,
    }
    services = _texts(row, "impactedServices")
    if services:
        facts["services"] = tuple(services)
    none = ("resolved_at",) if status == "open" else ()
    return _row(row, id_, status, row.usable(INCIDENT, facts, none=none))


def _row(row: Payload, id_: str, status: str, facts: Mapping[str, Any]) -> Statement:
    return Statement(
        kind=INCIDENT,
        id=id_,
        facts=facts,
        said_at=row.time("updatedAt"),
        status=status,
        texts={name: text for name, text in row.texts.items() if name in facts},
    )


# --- what all of them tell ------------------------------------------------------------------------


def _shared(of: Payload) -> dict[str, object]:
    details = {**of.labels("extraProperties"), **of.labels("details")}
    word = of.text("priority")
    service = of.first(details, of.options.service_label)
    return {
        "title": of.text("message"),
        "severity": of.word("severity", word, SEVERITIES),
        "severity_name": word,
        "services": None if service is None else (service,),
        "environment": of.first(details, of.options.environment_label),
        "labels": told(
            {
                **details,
                "alias": of.text("alias"),
                "number": of.text("tinyId"),
                "entity": of.text("entity"),
                "team": _joined(of, "teams") or of.text("ownerTeam"),
                "tags": _joined(of, "tags"),
            }
        ),
        "references": told({"incident": of.text("links", "web")}),
    }


def _joined(of: Payload, field: str) -> str | None:
    return ", ".join(_texts(of, field)) or None


def _texts(of: Payload, field: str) -> list[str]:
    """Return the texts of a list, or the ids of its objects."""
    if is_mapping(of.raw(field, 0)):
        return [id_ for each in of.parts(field) for id_ in [each.text("id")] if id_]
    return of.each_text(field)


OPSGENIE: Final = Format(
    name="opsgenie",
    title="Opsgenie and Jira Service Management alerts: webhook, alert and incident rows",
    source="opsgenie",
    order="time",
    statuses={
        "Create": "detected at createdAt",
        "Acknowledge": "acknowledged at updatedAt",
        "Close": "resolved at updatedAt",
        "Delete": "gone from the source",
        "closed (alert)": "resolved at createdAt and report.closeTime",
        "open (incident)": "declared at createdAt; mitigated at impactEndDate where it has one",
        "resolved, closed (incident)": "resolved at impactEndDate",
    },
    severities=SEVERITIES,
    listed_in=("data",),
    words=("severity",),
    statements=_statements,
)
