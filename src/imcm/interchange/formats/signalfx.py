"""
Splunk Observability Cloud (SignalFx), the webhook of a detector.

What its fields mean is told by the Splunk Observability documentation ("Send alert notifications to
a webhook"). `incidentId` is the incident: an alert and its clearing have the same. The body is a
template that each customer may edit: whatever it leaves out is not spoken of, and without
`incidentId` nothing can be told. What is retried for 24 hours may come late or twice; both say the
same again.

An alert is over in three ways, and only "ok" says that the signal is good again. "Manually
resolved" is a person's word that it is, and is taken as that; "stopped" says that the detector no
more looks (it was edited or deleted): the source closes the alert, and nobody resolved anything.
`statusExtended` tells them apart where `status` does not. The title is the rule's name, since that
of the message ("Back to normal: ...") changes when it clears.

The dimensions of the inputs are labels; service and environment are looked for among them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import INCIDENT
from imcm.domain.vocabulary import Channel
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload, told
from imcm.interchange.statements import Happening, Read, Statement, read_of

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {"critical": "P1", "major": "P2", "minor": "P3", "warning": "P4", "info": "P4"}
)
"""The five that Splunk Observability has."""

_HAPPENINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "anomalous": "detected",
        "ok": "resolved",
        "manually resolved": "resolved",
        "stopped": "closed",
    }
)


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    id_ = of.required("incidentId")
    field = "statusExtended" if of.text("statusExtended") else "status"
    status = of.text(field) or ""
    what = _HAPPENINGS.get(status.casefold().replace("_", " "))
    if what is None:
        of.drop(field, status, ", ".join(_HAPPENINGS))
    at = _time(of)
    if at is None:
        of.drop("timestamp", of.raw("timestamp"), "nothing says when: the moment is left out")
    labels = _dimensions(of)
    word = of.text("severity")
    service = of.first(labels, options.service_label)
    detector = of.text("detector")
    facts = {
        "title": of.text("rule") or detector,
        "channel": Channel.MONITORING,
        "monitor": detector,
        "severity": of.word("severity", word, SEVERITIES),
        "severity_name": word,
        "services": None if service is None else (service,),
        "environment": of.first(labels, options.environment_label),
        "labels": labels,
        "references": told({"alert": of.text("detectorUrl"), "runbook": of.text("runbookUrl")}),
    }
    said = Statement(
        kind=INCIDENT,
        id=id_,
        facts=of.usable(INCIDENT, facts),
        happened=() if what is None or at is None else (Happening(what, at),),
        said_at=at,
        status=status,
    )
    return read_of([said], of.drops)


def _time(of: Payload) -> Any:
    for field in ("timestamp", "timestampISO8601"):
        text = of.text(field)
        if text is not None and re.fullmatch(r"[0-9]+", text, re.ASCII):
            return of.epoch(field, unit=timedelta(milliseconds=1))
        at = of.time(field)
        if at is not None:
            return at
    return None


def _dimensions(of: Payload) -> dict[str, str]:
    """Return the dimensions of all inputs; where two inputs differ, the first one counts."""
    found = of.labels("dimensions")
    inputs = of.part("inputs")
    for name in of.raw("inputs") if isinstance(of.raw("inputs"), Mapping) else ():
        if isinstance(inputs.raw(name), Mapping):
            for dimension, text in inputs.labels(name, "key").items():
                found.setdefault(dimension, text)
    return found


SIGNALFX: Final = Format(
    name="signalfx",
    title="Splunk Observability Cloud (SignalFx): webhook of a detector",
    source="signalfx",
    order="time",
    statuses={
        "anomalous": "detected at timestamp",
        "ok": "resolved at timestamp: the signal is good again",
        "manually resolved": "resolved at timestamp, by the word of a person",
        "stopped": "closed at timestamp: the detector looks no more; nothing was resolved",
    },
    severities=SEVERITIES,
    words=("severity",),
    statements=_statements,
)
