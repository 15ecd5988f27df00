"""
PagerDuty change events: as a tool sends them to the Events API, and as the REST API prints them.

What the fields mean is told by PagerDuty/developer-docs (docs/events-API-v2/03-Change-Events.md). A
change event says that something was changed at its `timestamp`: a change that reached production
then, of which nobody says how it went, who asked, or where.

What is sent has no id. Its id is the SHA-256 of what it says (summary, source, timestamp, details,
links), so that the same event sent again is the same change; without a timestamp two events of the
same words can't be told apart, which is listed. A row of `GET /change_events` has an id of its own,
which is another: take one of the two as a source. `routing_key` is a secret, and is kept nowhere.

The details are labels; service and environment are looked for among them, since `source` is often
the name of a build machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from imcm.domain.recorded import CHANGE
from imcm.errors import InvalidValue
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload, told
from imcm.interchange.statements import Happening, Read, Statement, read_of


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    if of.raw("change_event") is not None:
        of = of.part("change_event")
    sent = of.raw("payload") is not None
    body = of.part("payload") if sent else of
    if sent:
        if body.text("summary") is None:
            raise InvalidValue("payload.summary", body.raw("summary"), "a change event has one")
        id_ = _id(of, body)
    else:
        id_ = of.required("id")
    at = body.moment("timestamp", fact="deployed_at")
    if at is None:
        why = "nothing says when"
        if sent:
            why += "; another event of the same words would be the same change"
        body.drop("timestamp", body.raw("timestamp"), why)
    labels = body.labels("custom_details")
    names = [each.text("summary") or each.text("id") for each in of.parts("services")]
    found = of.first(labels, options.service_label)
    facts = {
        "title": body.text("summary"),
        "services": tuple(name for name in names if name) or (None if found is None else (found,)),
        "environment": of.first(labels, options.environment_label),
        "labels": told({**labels, "source": body.text("source")}),
        "references": _links(of),
    }
    said = Statement(
        kind=CHANGE,
        id=id_,
        facts=of.usable(CHANGE, facts),
        happened=() if at is None else (Happening("deployed", at),),
        texts=body.texts,
    )
    return read_of([said], of.drops)


def _id(of: Payload, body: Payload) -> str:
    content = {
        **{name: body.raw(name) for name in ("summary", "source", "timestamp", "custom_details")},
        "links": of.raw("links"),
    }
    written = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()


def _links(of: Payload) -> dict[str, str]:
    links: dict[str, str] = {}
    for each in of.parts("links"):
        address = each.text("href")
        if address is not None:
            links["link" if not links else f"link {len(links) + 1}"] = address
    return links


PAGERDUTY_CHANGES: Final = Format(
    name="pagerduty-changes",
    title="PagerDuty: change events",
    source="pagerduty-changes",
    order="receipt",
    statuses={"(sent)": "deployed at timestamp; how it went is not known"},
    listed_in=("change_events",),
    statements=_statements,
)
