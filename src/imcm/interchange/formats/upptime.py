"""
Upptime, by the issues of its status repository: rows of the GitHub REST API, and `issues` webhooks.

Upptime (upptime/uptime-monitor, src/update.ts) opens an issue with the labels `status` and that of
the site when a site is down or slow, and closes it when the site is back. Each such issue is an
incident, `owner/repository#number`: how it stands, by its `updated_at`. One that is opened by hand
with these labels is one too, which is how Upptime shows what no check finds. A site may never come
back: its issue stays open, and so does the incident. One that is opened again says that there is no
end (any more).

The site is the label beside `status`; among several (a site's tags are labels as well) the one that
its name in the title makes. Names of sites repeat and change, and labels are what Upptime itself
goes by. Issues without the label `status`, planned maintenance and pull requests are no incidents.
An issue that loses the label, is deleted or moved is gone. Comments and the text are not kept, save
the HTTP code.

The commits of the repository tell the same outages; take one of the two, not both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from imcm.domain.recorded import INCIDENT
from imcm.domain.vocabulary import Channel, Symptom, is_mapping
from imcm.errors import InvalidValue
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload, told
from imcm.interchange.statements import Read, Statement, read_of

_STATUS: Final = "status"
_MAINTENANCE: Final = "maintenance"
_TITLES: Final = (
    (re.compile(r"(?:🛑\s*)?(.+) is down"), Symptom.SITE_DOWN),
    (re.compile(r"(?:⚠️?\s*)?(.+) has degraded performance"), Symptom.LATENCY),
)
_CODE: Final = re.compile(r"^- HTTP code: ([0-9]{1,3})\s*$", re.MULTILINE | re.ASCII)
_REPOSITORY: Final = re.compile(r"https?://[^/]+/(?:repos/)?([^/]+/[^/]+?)(?:/issues/.*)?")


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    if of.raw("zen") is not None and of.raw("issue") is None:
        of.drop("zen", of.raw("zen"), "a ping")
        return read_of([], of.drops)
    sent = of.raw("issue") is not None
    issue = of.part("issue") if sent else of
    said = _issue(issue, _is_gone(of) if sent else False)
    return read_of([] if said is None else [said], of.drops)


def _issue(issue: Payload, gone: bool) -> Statement | None:
    labels = _labels(issue)
    why = _no_incident(issue, labels, gone)
    if why:
        issue.drop((), issue.raw("title"), why)
        return None
    title = issue.text("title") or ""
    site, symptom = _told_by(title)
    code = _CODE.search(issue.text("body") or "")
    is_open = issue.text("state") == "open"
    if issue.text("state_reason") in {"not_planned", "duplicate"}:
        why = "closed without having come back? it is taken for resolved then"
        issue.drop("state_reason", issue.raw("state_reason"), why)
    facts = {
        "title": title or None,
        "symptom": symptom,
        "channel": None if symptom is None else Channel.SYNTHETIC,
        "monitor": None if symptom is None else "upptime",
        "services": _services(labels, site),
        "labels": told({"http_code": None if code is None else code[1]}),
        "references": told({"issue": issue.text("html_url")}),
        "detected_at": issue.time("created_at"),
        "resolved_at": None if is_open else issue.time("closed_at"),
    }
    return Statement(
        kind=INCIDENT,
        id=_id(issue),
        facts=issue.usable(INCIDENT, facts, none=("resolved_at",) if is_open else ()),
        said_at=issue.time("updated_at"),
        status=issue.text("state") or "",
        gone=gone,
    )


def _no_incident(issue: Payload, labels: list[str], gone: bool) -> str:
    if issue.raw("pull_request") is not None:
        return "a pull request"
    if _MAINTENANCE in labels:
        return "planned maintenance"
    if _STATUS not in labels and not gone:
        return f"it has no label {_STATUS}"
    return ""


def _is_gone(of: Payload) -> bool:
    action = of.text("action")
    lost = action == "unlabeled" and of.text("label", "name") == _STATUS
    return lost or action in {"deleted", "transferred"}


def _id(issue: Payload) -> str:
    """
    Return `owner/repository#number`.

    Raises:
        InvalidValue: The issue has no number, or nothing says of which repository it is.
    """
    number = issue.number("number")
    if number is None:
        raise InvalidValue("number", issue.raw("number"), "the number of an issue")
    for field in ("repository_url", "html_url"):
        found = _REPOSITORY.fullmatch(issue.text(field) or "")
        if found is not None:
            return f"{found[1]}#{number}"
    raise InvalidValue("html_url", issue.raw("html_url"), "the address of an issue on GitHub")


def _labels(issue: Payload) -> list[str]:
    if is_mapping(issue.raw("labels", 0)):
        return [name for each in issue.parts("labels") for name in [each.text("name")] if name]
    return issue.each_text("labels")


def _told_by(title: str) -> tuple[str | None, Symptom | None]:
    for form, symptom in _TITLES:
        found = form.fullmatch(title)
        if found is not None:
            return found[1], symptom
    return None, None


def _services(labels: list[str], site: str | None) -> tuple[str, ...] | None:
    others = [label for label in labels if label != _STATUS]
    named = [label for label in others if site is not None and label == _slug(site)]
    return tuple(named or others) or None


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")


UPPTIME: Final = Format(
    name="upptime",
    title="Upptime: issues of its status repository",
    source="upptime",
    order="time",
    statuses={
        "open": "detected at created_at, without an end",
        "closed": "resolved at closed_at",
        "deleted, transferred, label status taken away": "gone from the source",
    },
    listed_in=("items",),
    statements=_statements,
)
