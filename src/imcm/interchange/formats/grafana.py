"""
Grafana Alerting, the webhook contact point.

What its fields mean is told by the Grafana documentation ("Configure the webhook notifier"). The
payload is that of Alertmanager with more: each alert is an incident, by its fingerprint and the
time since which it fires, and `refires="reopens"` does what it does there. What is said of the
group (`state`, "alerting" or "ok", and `status`) is of no alert: each has its own.

Kept are the addresses of the alert, its dashboard, panel and runbook. The values that it fired by
(`values`, `valueString`) change with every message and say nothing of the incident; `silenceURL`
only opens a form. An alert that fires because its data is missing or can't be queried
(DatasourceNoData, DatasourceError) is one of the rule that it names. The message of "Test contact
point" tells of nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from imcm.interchange.formats import Format
from imcm.interchange.formats.alertmanager import (
    SEVERITIES,
    STATUSES,
    alert_statement,
    alerts_of,
)
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Read, Statement, read_of

_LINKS: Final[Mapping[str, str]] = MappingProxyType(
    {"alert": "generatorURL", "dashboard": "dashboardURL", "panel": "panelURL"}
)
_TEST: Final = ("TestAlert", "Grafana")
"""Under which `alertname` and `instance` a contact point is tried."""


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    if of.raw("alerts") in (None, []):
        why = "no alerts: there is nothing to tell"
        if of.raw("ruleId") is not None:
            why = "this is the webhook of legacy alerting, which Grafana 11 has no more"
        of.drop("alerts", of.raw("alerts"), why)
    common = of.labels("commonLabels"), of.labels("commonAnnotations")
    said: list[Statement | None] = []
    for alert in alerts_of(of):
        labels = {**common[0], **alert.labels("labels")}
        if (labels.get("alertname"), labels.get("instance")) == _TEST:
            alert.drop((), labels["alertname"], "a test of the contact point")
            continue
        said.append(_of_its_rule(alert, alert_statement(alert, *common, links=_LINKS), labels))
    return read_of([each for each in said if each], of.drops)


def _of_its_rule(
    alert: Payload, said: Statement | None, labels: Mapping[str, str]
) -> Statement | None:
    rule = labels.get("rulename")
    if said is None or rule is None:
        return said
    monitor = alert.usable(said.kind, {"monitor": rule})
    return attrs.evolve(said, facts={**said.facts, **monitor})


GRAFANA: Final = Format(
    name="grafana",
    title="Grafana Alerting: webhook contact point",
    source="grafana",
    order="time",
    statuses=STATUSES,
    severities=SEVERITIES,
    words=("severity",),
    statements=_statements,
)
