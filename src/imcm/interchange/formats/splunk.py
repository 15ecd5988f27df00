"""
Splunk Enterprise and Splunk Cloud, the webhook of an alert action.

What its fields mean is told by the Splunk documentation ("Use a webhook alert action"). The payload
is fixed: the first row of the result, and which search it was. It has no time of its own: an
incident is detected at `result._time` where the search returns it, else the statement names no
moment, and it counts from its receipt. Nothing ever says that it is over: somebody resolves it, or
another source does.

Each run of a search that triggers is an incident, by its `sid`; with `refires="reopens"` all runs
of a search are one, by app and `search_name`, where it has a name. An alert that triggers once for
each result sends several payloads of one `sid`; what they differ in is their row alone, so they are
one incident.

The fields of the row are kept as labels, except for those of Splunk's own whose names begin with an
underscore; service and environment are looked for among them (`app` beside the row is the Splunk
app, and no service). The row may say a `severity`; the severity of the alert itself is not sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import INCIDENT
from imcm.domain.vocabulary import Channel, Moment
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload, told
from imcm.interchange.statements import Happening, Read, Statement, read_of

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "critical": "P1",
        "high": "P2",
        "medium": "P3",
        "low": "P4",
        "informational": "P4",
        "info": "P4",
    }
)
"""The urgencies of Splunk Enterprise Security; a search may return any other word."""

_SHORT: Final = 200


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    run = of.required("sid")
    search, app = of.id("search_name"), of.id("app")
    row = of.part("result")
    fields = _fields(of, row)
    if of.options.refires == "reopens" and search is not None:
        id_ = search if app is None else f"{app}/{search}"
    else:
        id_ = run
    at = _time(row)
    word = fields.get("severity")
    service = of.first(fields, options.service_label)
    facts = {
        "title": search,
        "channel": Channel.MONITORING,
        "monitor": search,
        "severity": row.word("severity", word, SEVERITIES),
        "severity_name": word,
        "services": None if service is None else (service,),
        "environment": of.first(fields, options.environment_label),
        "labels": told({**fields, "splunk_app": app, "splunk_owner": of.text("owner")}),
        "references": told({"alert": of.text("results_link")}),
    }
    said = Statement(
        kind=INCIDENT,
        id=id_,
        facts=of.usable(INCIDENT, facts),
        happened=() if at is None else (Happening("detected", at),),
        delivery=run,
        texts=row.texts,
    )
    return read_of([said], of.drops)


def _time(row: Payload) -> Moment | None:
    text = row.text("_time")
    if text is not None and re.fullmatch(r"[0-9]+(\.[0-9]+)?", text, re.ASCII):
        return row.epoch("_time", unit=timedelta(seconds=1))
    return row.moment("_time", fact="detected_at")


def _fields(of: Payload, row: Payload) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, text in of.labels("result").items():
        if name == "_raw":
            row.drop(name, text, "the text of the event stays in Splunk")
        elif name.startswith("_"):
            continue
        elif len(text) > _SHORT:
            row.drop(name, text, f"longer than the {_SHORT} characters of a label")
        else:
            fields[name] = text
    return fields


SPLUNK: Final = Format(
    name="splunk",
    title="Splunk: webhook of an alert action",
    source="splunk",
    order="receipt",
    statuses={
        "(triggered)": "detected at result._time where the search returns it, else not said when"
    },
    severities=SEVERITIES,
    words=("severity",),
    statements=_statements,
)
