"""
Prometheus Alertmanager, webhook version 4.

What its fields mean is told by prometheus/alertmanager (docs/configuration.md and
template/template.go). A payload tells of a group of alerts; each alert is an incident: its
fingerprint, and the time since which it fires. What is sent again says nothing new. One that fires
anew after it was resolved has another start, and is another incident; with the option
`refires="reopens"` the fingerprint alone is the incident, and each start after a resolution a
reopening. Neither depends on what arrived before.

Probes from outside (the blackbox exporter and the like) come this way too. An alert is noticed by a
synthetic check where it has a label `probe`, or its `job` begins with "blackbox" or "probe/", which
is how the exporter's own examples and the Prometheus operator name such jobs; every other one by
monitoring. The job of a prober is not the service that it looks at, and is not taken for one: give
the alert a label `service`, or say `service_label=("instance",)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import INCIDENT
from imcm.domain.vocabulary import Channel
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload, told
from imcm.interchange.statements import Happening, Read, Statement, read_of

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {"critical": "P1", "page": "P1", "error": "P2", "warning": "P3", "info": "P4", "none": ""}
)
"""What most alert rules write under `severity`; nothing prescribes it."""

STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {"firing": "detected at startsAt", "resolved": "resolved at endsAt"}
)

_PROBERS: Final = ("blackbox", "probe/")

LINKS: Final[Mapping[str, str]] = MappingProxyType({"alert": "generatorURL"})
"""Which addresses of an alert are kept, by their kind."""


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    common = of.labels("commonLabels"), of.labels("commonAnnotations")
    if of.raw("alerts") in (None, []):
        of.drop("alerts", of.raw("alerts"), "no alerts: there is nothing to tell")
    said = (alert_statement(alert, *common) for alert in alerts_of(of))
    return read_of([each for each in said if each], of.drops)


def alerts_of(of: Payload) -> list[Payload]:
    """Return the alerts of a group; what was cut off it is listed."""
    lost = of.number("truncatedAlerts")
    if lost:
        of.drop("truncatedAlerts", lost, "alerts that Alertmanager left out of this payload")
    return list(of.parts("alerts"))


def alert_statement(
    alert: Payload,
    common_labels: Mapping[str, str],
    common_notes: Mapping[str, str],
    links: Mapping[str, str] = LINKS,
) -> Statement | None:
    """Return what an alert says; None where nobody can tell which firing it is."""
    labels = {**common_labels, **alert.labels("labels")}
    notes = {**common_notes, **alert.labels("annotations")}
    started = alert.time("startsAt")
    if started is None:
        alert.drop("startsAt", alert.raw("startsAt"), "nobody can say which firing it is")
        return None
    happened = [Happening("detected", started)]
    status = alert.text("status") or ""
    ended = alert.time("endsAt")
    if status == "resolved" and ended is not None:
        happened.append(Happening("resolved", ended))
    elif status not in STATUSES:
        alert.drop("status", status, "firing or resolved")
    word = labels.get("severity")
    options = alert.options
    probed = _is_probed(labels)
    service = alert.first(_without_prober(labels), options.service_label)
    facts = {
        "title": notes.get("summary") or labels.get("alertname"),
        "channel": Channel.SYNTHETIC if probed else Channel.MONITORING,
        "monitor": labels.get("alertname"),
        "severity": alert.word("severity", word, SEVERITIES),
        "severity_name": word,
        "services": None if service is None else (service,),
        "environment": alert.first(labels, options.environment_label),
        "labels": labels,
        "references": told(
            {
                **{kind: alert.text(field) for kind, field in links.items()},
                "runbook": notes.get("runbook_url"),
            }
        ),
    }
    return Statement(
        kind=INCIDENT,
        id=firing_id(alert.required("fingerprint"), started, options),
        facts=alert.usable(INCIDENT, facts),
        happened=tuple(happened),
        status=status,
    )


def firing_id(alert: str, started: datetime, options: Options) -> str:
    """Return the id of an incident of an alert: each start is one, or all of them are."""
    if options.refires == "reopens":
        return alert
    return f"{alert}@{started.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _is_probed(labels: Mapping[str, str]) -> bool:
    return "probe" in labels or labels.get("job", "").startswith(_PROBERS)


def _without_prober(labels: Mapping[str, str]) -> Mapping[str, str]:
    if labels.get("job", "").startswith(_PROBERS):
        return {name: text for name, text in labels.items() if name != "job"}
    return labels


ALERTMANAGER: Final = Format(
    name="alertmanager",
    title="Prometheus Alertmanager: webhook, version 4",
    source="alertmanager",
    order="time",
    statuses=STATUSES,
    severities=SEVERITIES,
    words=("severity",),
    statements=_statements,
)
