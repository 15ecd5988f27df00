"""
Statuspage: webhooks, incidents and scheduled maintenances of its API, and whole lists of them.

The fields are those of Statuspage's API (developer.statuspage.io; the model Incident in
alissonlinneker/statuspage-php-sdk) and of its webhooks (support.atlassian.com/statuspage, "Enable
webhook notifications"). An incident is its `id`. It tells its updates, newest first as a rule, so
they are put in order here. Each that begins a status is a statement: it happened at `display_at`,
which whoever posts it may set back, and was said at `created_at`. Further updates under the same
status say nothing new. Title, severity and the like are one more statement, said at `updated_at`.

It was detected with its first update. `monitoring` is mitigated; a step back from there, or from
resolved, is a reopening. `identified` is a mark. `postmortem` is no status of ours: its
`postmortem_published_at` is the review. Only where an incident comes without its updates the
moments it has itself count: `started_at` or `created_at` (not of one that was filled in
afterwards), `monitoring_at`, `resolved_at`.

A scheduled maintenance is a change with a window: in_progress is started, verifying is deployed,
completed is closed (and deployed, where nothing was verified). Whether it went well nobody says.
Updates of components are listed: a component's status is no incident. So is the history of a page
that is made for display (history.json), whose times have no year and no zone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.domain.vocabulary import Moment
from imcm.interchange.formats import Format
from imcm.interchange.formats.telling import Told, in_order, is_spoken_of, listed
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Read, Statement

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {"critical": "P1", "major": "P2", "minor": "P3", "none": "P4", "maintenance": ""}
)
"""By impact; the one that was set by hand (impact_override) counts before the one worked out."""

STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "investigating": "detected, if it is the first; open again, if it comes after an end",
        "identified": "a mark",
        "monitoring": "mitigated",
        "resolved": "resolved",
        "postmortem": "resolved already; postmortem_published_at is reviewed_at",
        "scheduled": "a change that is planned",
        "in_progress": "a change that is started",
        "verifying": "a change that is deployed",
        "completed": "a change that is closed, and deployed if it was not verified",
    }
)
_RANKS: Final = MappingProxyType(
    {"investigating": 0, "identified": 0, "monitoring": 1, "resolved": 2}
)
_MAINTENANCE: Final = frozenset({"scheduled", "in_progress", "verifying", "completed"})
_LISTS: Final = ("incidents", "scheduled_maintenances")


class _Update(NamedTuple):
    id: str | None
    status: str
    at: Moment
    said_at: Moment | None
    of: Payload


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    return Read(tuple(_told(of)), tuple(of.drops))


def _told(of: Payload) -> Iterator[Statement]:
    lists = [name for name in _LISTS if listed(of, name) is not None]
    if lists:
        for name in lists:
            for each in of.parts(name):
                if each.id("id") is None:
                    each.drop("id", each.raw("id"), "nobody can say which one it is")
                else:
                    yield from _one(each)
    elif is_spoken_of(of, "incident"):
        yield from _one(of.part("incident"))
    elif is_spoken_of(of, "component_update") or is_spoken_of(of, "component"):
        component = of.text("component", "name")
        of.drop("component_update", component, "the status of a component is no incident")
    elif is_spoken_of(of, "months"):
        of.drop("months", "", "made for display; give the incidents of the API")
    else:
        yield from _one(of)


def _one(of: Payload) -> Iterator[Statement]:
    status = of.text("status") or ""
    maintenance = status in _MAINTENANCE or of.text("impact") == "maintenance"
    yield from _change(of, status) if maintenance else _incident(of, status)


def _incident(of: Payload, status: str) -> Iterator[Statement]:
    id_ = of.required("id")
    told = Told(of, INCIDENT)
    updates = _updates(of)
    best = -1
    for place, update in enumerate(updates):
        one = Told(update.of, INCIDENT)
        rank = _RANKS.get(update.status)
        if place == 0:
            one.happen("detected", update.at)
        if rank is None:
            if update.status != "postmortem":
                update.of.drop("status", update.status, f"not known ({', '.join(_RANKS)})")
        elif place and rank < best and best > 0:
            one.happen("reopened", update.at)
        if rank is not None and rank != best:
            if rank > 0:
                one.happen("mitigated" if rank == 1 else "resolved", update.at)
            best = rank
        if update.status == "identified":
            one.add("marks", "identified", update.at)
        if one.happened or one.facts:
            yield one.statement(
                id_, said_at=update.said_at, delivery=update.id, status=update.status
            )
    if not updates:
        _moments(told)
    told.moment("reviewed_at", "postmortem_published_at")
    told.severity(of.text("impact_override") or of.text("impact"), SEVERITIES)
    yield from _rest(told, id_, status)


def _moments(told: Told) -> None:
    """Put the moments of an incident that comes without its updates."""
    started = told.of.moment("started_at")
    if started is None and told.of.truth("backfilled") is not True:
        started = told.of.moment("created_at")
    told.put("detected_at", started)
    told.moment("mitigated_at", "monitoring_at")
    told.moment("resolved_at", "resolved_at")


def _change(of: Payload, status: str) -> Iterator[Statement]:
    id_ = of.required("id")
    told = Told(of, CHANGE)
    seen: set[str] = set()
    for update in _updates(of):
        one = Told(update.of, CHANGE)
        if update.status not in _MAINTENANCE:
            update.of.drop("status", update.status, "no status of a maintenance")
        if update.status == "in_progress" and "in_progress" not in seen:
            one.happen("started", update.at)
        if update.status in {"verifying", "completed"} and not seen & {"verifying", "completed"}:
            one.happen("deployed", update.at)
        if update.status == "completed" and "completed" not in seen:
            one.happen("closed", update.at)
        seen.add(update.status)
        if one.happened:
            yield one.statement(
                id_, said_at=update.said_at, delivery=update.id, status=update.status
            )
    told.put("planned", True)
    told.window(of.moment("scheduled_for"), of.moment("scheduled_until"))
    told.put("requested_at", of.moment("created_at"))
    if not seen and status == "completed":
        told.moment("closed_at", "resolved_at")
        told.put("deployed_at", told.facts.get("closed_at"))
    yield from _rest(told, id_, status)


def _rest(told: Told, id: str, status: str) -> Iterator[Statement]:
    of = told.of
    told.put("title", of.text("name"))
    told.services(
        (component.id("name") for component in of.parts("components")),
        spoken_of=is_spoken_of(of, "components"),
    )
    told.label("page", of.text("page_id"))
    told.add("references", "status page", of.text("shortlink"))
    if of.raw("metadata"):
        of.drop("metadata", of.raw("metadata"), "data of one's own, of any form")
    yield told.statement(id, said_at=of.moment("updated_at"), status=status)


def _updates(of: Payload) -> list[_Update]:
    """Return the updates, the oldest first; of two at one time the one that was said first."""
    found: list[tuple[Moment, _Update]] = []
    for each in of.parts("incident_updates"):
        status, said_at = each.text("status"), each.moment("created_at")
        at = each.moment("display_at") or said_at
        if status is None or at is None:
            each.drop((), each.raw("id"), "an update has a status and a time")
            continue
        found.append((at, _Update(each.id("id"), status, at, said_at, each)))
    found.reverse()
    by_said = in_order((update.said_at or at, (at, update)) for at, update in found)
    ordered: list[_Update] = in_order(by_said)
    return ordered


STATUSPAGE: Final = Format(
    name="statuspage",
    title="Statuspage: webhooks, incidents and scheduled maintenances of its API",
    source="statuspage",
    order="time",
    statuses=STATUSES,
    severities=SEVERITIES,
    words=("severity",),
    statements=_statements,
)
