"""
Prometheus Alertmanager, webhook version 4.

What its fields mean is told by prometheus/alertmanager (docs/configuration.md and
template/template.go). A payload tells of a group of alerts; each alert is an incident: its
fingerprint, and the time since which it fires. What is sent again says nothing new. One that fires
anew after it was resolved has another start, and is another incident; with the option
`refires="reopens"` the fingerprint alone is the incident, and each start after a resolution a
reopening. Neither depends on what arrived before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import INCIDENT
from imcm.domain.vocabulary import Channel
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Happening, Read, Statement

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {"critical": "P1", "page": "P1", "error": "P2", "warning": "P3", "info": "P4", "none": ""}
)
"""What most alert rules write under `severity`; nothing prescribes it."""


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    lost = of.number("truncatedAlerts")
    if lost:
        of.drop("truncatedAlerts", lost, "alerts that Alertmanager left out of this payload")
    return Read(
        tuple(each for alert in of.parts("alerts") for each in [_alert(of, alert)] if each),
        tuple(of.drops),
    )


def _alert(of: Payload, alert: Payload) -> Statement | None:
    labels = {**of.labels("commonLabels"), **alert.labels("labels")}
    notes = {**of.labels("commonAnnotations"), **alert.labels("annotations")}
    started = alert.time("startsAt")
    if started is None:
        alert.drop("startsAt", alert.raw("startsAt"), "nobody can say which firing it is")
        return None
    happened = [Happening("detected", started)]
    status = alert.text("status") or ""
    ended = alert.time("endsAt")
    if status == "resolved" and ended is not None:
        happened.append(Happening("resolved", ended))
    elif status not in {"firing", "resolved"}:
        alert.drop("status", status, "firing or resolved")
    word = labels.get("severity")
    options = of.options
    facts: dict[str, Any] = {
        "title": notes.get("summary") or labels.get("alertname"),
        "channel": Channel.MONITORING,
        "monitor": labels.get("alertname"),
        "severity": alert.word("severity", word, SEVERITIES),
        "severity_name": word,
        "services": _one(alert.first(labels, options.service_label)),
        "environment": alert.first(labels, options.environment_label),
        "labels": labels,
    }
    link = alert.text("generatorURL")
    if link is not None:
        facts["references"] = {"alert": link}
    return Statement(
        kind=INCIDENT,
        id=firing_id(alert.required("fingerprint"), started, options),
        facts={name: value for name, value in facts.items() if value is not None},
        happened=tuple(happened),
        status=status,
    )


def firing_id(alert: str, started: datetime, options: Options) -> str:
    """Return the id of an incident of an alert: each start is one, or all of them are."""
    if options.refires == "reopens":
        return alert
    return f"{alert}@{started.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _one(name: str | None) -> tuple[str, ...] | None:
    return None if name is None else (name,)


ALERTMANAGER: Final = Format(
    name="alertmanager",
    title="Prometheus Alertmanager: webhook, version 4",
    source="alertmanager",
    order="time",
    statuses={"firing": "detected at startsAt", "resolved": "resolved at endsAt"},
    severities=SEVERITIES,
    statements=_statements,
)
