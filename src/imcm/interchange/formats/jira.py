"""
Jira: issues with their changelog, as incidents, and changes of Jira Service Management.

The fields are those of Jira's REST API (developer.atlassian.com/cloud/jira; rows of issues and
changelogs in apache/incubator-devlake, backend/plugins/jira/e2e/raw_tables) and of its webhooks;
approvals those of Jira Service Management (rest/servicedeskapi/request/{key}/approval).

**An issue is its key**, "OPS-7": people write it, links and every export of Jira have it. A key
changes when the issue moves to another project; the changelog says which it had, so what stands
under a former key, or under the issue's number, goes on there.

**What happened** stands in the changelog. Every team has a workflow of its own, so what a status is
to us is a mapping: `values.status`, before the statuses with which Jira begins (`INCIDENT_STATUSES`
and `CHANGE_STATUSES`). A status that nobody mapped is listed and tells nothing. An incident that
goes from an end back to what is none is reopened. An issue without changelog (expand=changelog was
not asked for) is a snapshot: then `resolutiondate` counts, which otherwise is left to the
changelog. Where a changelog came in part, that is listed. A webhook tells the one step that it was
sent for.

**Facts** are said at `updated`. Each priority that an incident had before is a statement of its own
at the time it was changed, so that the highest is not lost.

**Fields of one's own**, above all planned start and end, risk and approvals of a change, have
other ids on each site: `values.field` names them, as in
{"field": {"planned_start": "customfield_10050"}}; without that they are found by their names where
the issue brings those along (expand=names). `FIELDS` says which there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.domain.vocabulary import ChangeType, DismissalReason, Moment, Risk, is_mapping
from imcm.interchange.formats import Format
from imcm.interchange.formats.telling import (
    NO_INCIDENT,
    Told,
    in_order,
    is_spoken_of,
    listed,
    texts_of,
)
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Read, Statement

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "highest": "P1",
        "high": "P2",
        "medium": "P3",
        "low": "P4",
        "lowest": "P4",
        "blocker": "P1",
        "critical": "P1",
        "major": "P2",
        "minor": "P3",
        "trivial": "P4",
        "p1": "P1",
        "p2": "P2",
        "p3": "P3",
        "p4": "P4",
        "p5": "P4",
    }
)
INCIDENT_STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "open": "open",
        "to do": "open",
        "backlog": "open",
        "new": "open",
        "reopened": "open",
        "waiting for support": "open",
        "in progress": "acknowledged",
        "work in progress": "acknowledged",
        "investigating": "acknowledged",
        "pending": "open",
        "waiting for customer": "open",
        "mitigated": "mitigated",
        "monitoring": "mitigated",
        "resolved": "resolved",
        "completed": "resolved",
        "done": "resolved",
        "closed": "closed",
        "canceled": "cancelled",
        "cancelled": "cancelled",
    }
)
"""What a status of an incident is: open, acknowledged, mitigated, resolved, closed or cancelled."""

CHANGE_STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "open": "open",
        "to do": "open",
        "planning": "open",
        "review": "open",
        "peer review": "open",
        "awaiting approval": "open",
        "authorize": "open",
        "awaiting implementation": "approved",
        "implementing": "started",
        "in progress": "started",
        "completed": "deployed",
        "done": "deployed",
        "failed": "failed",
        "rolled back": "rolled_back",
        "closed": "closed",
        "declined": "cancelled",
        "canceled": "cancelled",
        "cancelled": "cancelled",
    }
)
"""What a status of a change is: open, or what happened when it was reached."""

TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "standard": ChangeType.STANDARD,
        "normal": ChangeType.NORMAL,
        "emergency": ChangeType.EMERGENCY,
    }
)
RISKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "low": Risk.LOW,
        "medium": Risk.MODERATE,
        "moderate": Risk.MODERATE,
        "high": Risk.HIGH,
        "very high": Risk.HIGH,
        "critical": Risk.HIGH,
    }
)
OUTCOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "successful": "successful",
        "success": "successful",
        "failed": "failed",
        "unsuccessful": "failed",
        "rolled back": "rolled_back",
        "cancelled": "cancelled",
        "canceled": "cancelled",
    }
)
FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "planned_start": ("planned start", "change start date"),
        "planned_end": ("planned end", "change completion date"),
        "risk": ("change risk", "risk"),
        "type": ("change type",),
        "outcome": ("change outcome", "outcome"),
        "kind": ("change kind",),
        "approvals": ("approvals",),
        "services": ("affected services", "services", "service"),
        "environment": ("environment",),
        "impact_started": ("impact start", "impact started"),
        "detected": ("detected", "detected at"),
        "severity": ("severity",),
    }
)
"""Fields that `values.field` may name, and the names by which they are found without it."""

_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **NO_INCIDENT,
        "cannot reproduce": DismissalReason.FALSE_POSITIVE,
        "not an incident": DismissalReason.FALSE_POSITIVE,
    }
)
_MILLISECOND: Final = timedelta(milliseconds=1)
_RANKS: Final = MappingProxyType(
    {"open": 0, "acknowledged": 0, "mitigated": 1, "resolved": 2, "closed": 3, "cancelled": 3}
)
_CHANGE_ENDS: Final = frozenset({"deployed", "failed", "rolled_back", "cancelled", "closed"})
_CAUSES: Final = "is caused by"
_DUPLICATES: Final = "duplicates"


class _Step(NamedTuple):
    at: Moment
    by: str | None
    id: str | None
    field: str
    before: str | None
    after: str | None


class _Issue:
    """An issue, alone or out of a webhook."""

    def __init__(self, payload: Mapping[str, Any], options: Options) -> None:
        self.hook = Payload(payload, options)
        self.is_hook = is_spoken_of(self.hook, "issue")
        self.of = self.hook.part("issue") if self.is_hook else self.hook
        number = self.of.id("id")
        self.id = self.of.id("key") or self.of.required("id")
        self.fields = self.of.part("fields")
        self.steps = self._steps()
        former = [step.before for step in reversed(self.steps) if step.field == "key"]
        self.aliases: dict[str, tuple[str, ...]] = {}
        self._name(self.id, *former, number)
        self.has_log = self.is_hook or is_spoken_of(self.of, "changelog")

    def _steps(self) -> list[_Step]:
        found: list[tuple[Moment, _Step]] = []
        for history in self.of.parts("changelog", "histories"):
            at = history.moment("created")
            if at is None:
                history.drop("created", history.raw("created"), "nobody can say when that was")
                continue
            found += self._items(history, at, _person(history, "author"), history.text("id"))
        log = self.of.part("changelog")
        total, there = log.number("total"), listed(log, "histories")
        if total is not None and there is not None and total > len(there):
            log.drop("total", f"{len(there)} of {total}", "steps that are not in this payload")
        if self.is_hook and is_spoken_of(self.hook, "changelog"):
            at = self.hook.epoch("timestamp", unit=_MILLISECOND) or self.fields.moment("updated")
            log = self.hook.part("changelog")
            if at is not None:
                found += self._items(log, at, _person(self.hook, "user"), log.text("id"))
        steps: list[_Step] = in_order(found)
        return steps

    @staticmethod
    def _items(
        history: Payload, at: Moment, by: str | None, id_: str | None
    ) -> Iterator[tuple[Moment, _Step]]:
        for item in history.parts("items"):
            field = (item.text("field") or "").casefold()
            yield at, _Step(at, by, id_, field, item.text("fromString"), item.text("toString"))

    def _name(self, id_: str, *others: str | None) -> None:
        """Note by which ids an issue is named besides the one that is used."""
        self.aliases[id_] = tuple(each for each in others if each is not None and each != id_)

    def linked(self, link: Payload, which: str) -> str | None:
        """Return the id of the issue at an end of a link, as that issue itself is named."""
        number = link.id(which, "id")
        id_ = link.id(which, "key") or number
        if id_ is not None:
            self._name(id_, number)
        return id_

    def field(self, name: str) -> tuple[str, str] | None:
        """Return where a field of one's own is; None where nobody said so."""
        named = self.of.options.values.get("field", {}).get(name)
        if named is None:
            names = self.of.raw("names")
            for id_, text in names.items() if is_mapping(names) else ():
                if isinstance(text, str) and text.strip().casefold() in FIELDS[name]:
                    named = str(id_)
        if named is None and name == "environment" and is_spoken_of(self.fields, name):
            named = name  # a field of every issue
        return None if named is None else ("fields", named)

    def texts(self, name: str) -> list[str]:
        """Return what a field of one's own holds: one text or option, or several."""
        path = self.field(name)
        value = None if path is None else self.of.raw(*path)
        if path is None or value is None:
            return []
        paths: list[tuple[str | int, ...]] = [path]
        several = listed(self.of, *path)
        if several is not None:
            paths = [(*path, place) for place in range(len(several))]
        return [text for each in paths for text in [self._text(*each)] if text is not None]

    def _text(self, *path: str | int) -> str | None:
        value = self.of.raw(*path)
        if not is_mapping(value):
            return self.of.text(*path)
        key = next((key for key in ("value", "name", "displayName", "id") if key in value), None)
        return None if key is None else self.of.text(*path, key)

    def one(self, name: str) -> str | None:
        found = self.texts(name)
        return found[0] if found else None

    def moment(self, told: Told, fact: str, name: str) -> None:
        path = self.field(name)
        if path is not None:
            told.moment(fact, *path)

    def common(self, told: Told) -> None:
        fields = self.fields
        told.put("title", fields.text("summary"))
        services = self.texts("services") or [
            name for part in fields.parts("components") for name in [part.id("name")] if name
        ]
        spoken_of = is_spoken_of(fields, "components") or self.field("services") is not None
        told.services(services, spoken_of=spoken_of)
        told.environment(self.texts("environment"))
        told.label("key", self.of.text("key"))
        told.label("project", fields.text("project", "key"))
        told.label("type", fields.text("issuetype", "name"))
        told.label("assignee", _person(fields, "assignee"), empty=is_spoken_of(fields, "assignee"))
        told.label("resolution", fields.text("resolution", "name"))
        joined = ";".join(texts_of(fields, "labels"))  # as a table joins columns of one name
        told.label("labels", joined or None, empty=is_spoken_of(fields, "labels"))
        if self.is_hook or self.of.text("key") is None:
            told.add("references", "issue", self.of.text("self"))
        else:
            told.add("references", "issue", _browse(self.of.text("self"), self.of.text("key")))

    def before(self, told: Told, at: Moment) -> Statement:
        """Return what was told of it at an earlier time."""
        return told.statement(self.id, said_at=at, aliases=self.named)

    @property
    def named(self) -> Mapping[str, tuple[str, ...]]:
        """The ids of what its statements name, by the ids that are used; those with others."""
        return {id_: others for id_, others in self.aliases.items() if others}

    def statement(self, told: Told) -> Statement:
        said_at = self.fields.moment("updated")
        if said_at is None and self.is_hook:
            said_at = self.hook.epoch("timestamp", unit=_MILLISECOND)
        return told.statement(
            self.id,
            said_at=said_at,
            status=self.fields.text("status", "name"),
            gone=self.hook.text("webhookEvent") == "jira:issue_deleted",
            aliases=self.named,
        )


def _browse(address: str | None, key: str | None) -> str | None:
    """Return where people see an issue, from the address at which programs do."""
    site, found, _ = (address or "").partition("/rest/api/")
    return f"{site}/browse/{key}" if found else address


def _person(of: Payload, *path: str | int) -> str | None:
    if not is_mapping(of.raw(*path)):
        return None
    for name in ("accountId", "name", "key", "emailAddress"):
        found = of.id(*path, name)
        if found is not None:
            return found
    return None


# --- incidents ------------------------------------------------------------------------------------


def _incidents(payload: Mapping[str, Any], options: Options) -> Read:
    issue = _Issue(payload, options)
    statements = [*_priorities(issue), _incident(issue)]
    return Read(tuple(statements), tuple(issue.hook.drops))


def _incident(issue: _Issue) -> Statement:
    of, fields = issue.of, issue.fields
    told = Told(of, INCIDENT)
    if issue.field("detected") is not None:
        issue.moment(told, "detected_at", "detected")
        told.put("declared_at", fields.moment("created"))
    if told.facts.get("detected_at") is None:
        told.facts.pop("detected_at", None)
        told.happen("detected", fields.moment("created"), _person(fields, "reporter"))
    issue.common(told)
    issue.moment(told, "impact_started_at", "impact_started")
    if is_spoken_of(fields, "priority") or issue.field("severity") is not None:
        told.severity(issue.one("severity") or fields.text("priority", "name"), SEVERITIES)
    _incident_steps(issue, told)
    if not issue.has_log:
        told.moment("resolved_at", "fields", "resolutiondate")
    status = fields.text("status", "name")
    meaning = None if status is None else of.options.word("status", status, INCIDENT_STATUSES)
    if not issue.has_log and meaning is not None and _RANKS.get(meaning, 9) < 2:
        told.still_open(status or "", "resolved_at")
    _ends(issue, told, meaning)
    return issue.statement(told)


def _incident_steps(issue: _Issue, told: Told) -> None:
    unknown: set[str] = set()
    rank = 0
    for step in issue.steps:
        if step.field != "status":
            continue
        before, after = (
            _meaning(issue, text, INCIDENT_STATUSES, unknown) for text in (step.before, step.after)
        )
        rank = rank if before is None else _RANKS.get(before, rank)
        if after is None:
            continue
        now = _RANKS.get(after)
        if now is None:
            issue.of.drop("status", after, f"one of {', '.join(_RANKS)}")
            continue
        if rank > 0 and now < min(rank, 2):
            told.happen("reopened", step.at, step.by)
            if after == "mitigated":
                told.happen(after, step.at, step.by)
        elif (now > rank and after != "cancelled") or (after == "acknowledged" != before):
            told.happen(after, step.at, step.by)
        elif rank > now:
            issue.of.drop("status", f"{step.before} to {step.after}", "ended before, and still is")
        rank = now


def _meaning(
    issue: _Issue, text: str | None, ours: Mapping[str, str], unknown: set[str]
) -> str | None:
    """Return what a status is to us; one that nobody mapped is listed once."""
    if text is None or text.casefold() in unknown:
        return None
    if issue.of.options.word("status", text, ours) is None:
        unknown.add(text.casefold())
    return issue.of.word("status", text, ours)


def _ends(issue: _Issue, told: Told, meaning: str | None) -> None:
    """Put what ends an incident as none, and what its links say."""
    resolution = issue.fields.text("resolution", "name")
    known = None if resolution is None else issue.of.options.word("dismissed", resolution, _REASONS)
    word = resolution if known else "canceled" if meaning == "cancelled" else None
    merged: str | None = None
    causes: list[str] = []
    for link in issue.fields.parts("issuelinks"):
        outward, inward = link.text("type", "outward"), link.text("type", "inward")
        if inward == _CAUSES and is_spoken_of(link, "inwardIssue"):
            kind = (link.text("inwardIssue", "fields", "issuetype", "name") or "").casefold()
            if "change" in kind or "deployment" in kind:
                causes += [id_ for id_ in [issue.linked(link, "inwardIssue")] if id_ is not None]
                continue
        if outward == _DUPLICATES and is_spoken_of(link, "outwardIssue"):
            merged = issue.linked(link, "outwardIssue")
            if merged is not None and known == DismissalReason.DUPLICATE:
                continue
        other = link.text("outwardIssue", "key") or link.text("inwardIssue", "key")
        link.drop("type", f"{outward} / {inward}: {other}", "no fact has a place for this link")
    if is_spoken_of(issue.fields, "issuelinks"):
        told.put("caused_by", tuple(causes))
    if known == DismissalReason.DUPLICATE and merged is not None:
        told.put("merged_into", merged)
    elif is_spoken_of(issue.fields, "resolution") or meaning is not None:
        told.dismissed(word, _REASONS)


def _priorities(issue: _Issue) -> Iterator[Statement]:
    """Yield the severities there were before: the first from the start on, each when it came."""
    changes = [step for step in issue.steps if step.field == "priority"]
    if issue.field("severity") is not None or issue.is_hook:
        return
    created = issue.fields.moment("created")
    firsts = [(created, changes[0].before)] if changes else []
    for at, word in [*firsts, *((step.at, step.after) for step in changes[:-1])]:
        told = Told(issue.of, INCIDENT)
        told.severity(word, SEVERITIES)
        if told.facts and at is not None:
            yield issue.before(told, at)


# --- changes --------------------------------------------------------------------------------------


def _changes(payload: Mapping[str, Any], options: Options) -> Read:
    issue = _Issue(payload, options)
    return Read((_change(issue),), tuple(issue.hook.drops))


def _change(issue: _Issue) -> Statement:
    of, fields = issue.of, issue.fields
    told = Told(of, CHANGE)
    issue.common(told)
    told.put("requested_at", fields.moment("created"))
    told.put("requested_by", _person(fields, "reporter"))
    told.put("implemented_by", _person(fields, "assignee"))
    told.put("risk", of.word("risk", issue.one("risk"), RISKS))
    told.put("type", of.word("type", issue.one("type"), TYPES))
    told.put("kind", of.word("kind", issue.one("kind"), {}))
    told.put("status", of.word("outcome", issue.one("outcome"), OUTCOMES))
    _planned(issue, told)
    approved = _approvals(issue, told)
    unknown: set[str] = set()
    for step in issue.steps:
        if step.field != "status":
            continue
        what = _meaning(issue, step.after, CHANGE_STATUSES, unknown)
        if what is None or what == "open" or (what == "approved" and approved):
            continue
        told.happen(what, step.at, step.by)
    if not issue.has_log:
        _ended_at(issue, told)
    return issue.statement(told)


def _ended_at(issue: _Issue, told: Told) -> None:
    """Put when a change without changelog ended, as what its status says that it ended."""
    status = issue.fields.text("status", "name")
    what = issue.of.word("status", status, CHANGE_STATUSES)
    fact = f"{what}_at" if what in _CHANGE_ENDS else "closed_at"
    told.moment(fact, "fields", "resolutiondate")
    if what in {"open", "approved", "started"}:
        told.still_open(status or "", "closed_at")


def _planned(issue: _Issue, told: Told) -> None:
    start, end = issue.field("planned_start"), issue.field("planned_end")
    if start is None or end is None:
        missing = "planned_start" if start is None else "planned_end"
        issue.of.drop("window", None, f"say under values.field which field is {missing}")
        return
    told.window(issue.of.moment(*start), issue.of.moment(*end))


def _approvals(issue: _Issue, told: Told) -> bool:
    """Put what approvals decided; say whether they tell when it was approved."""
    path = issue.field("approvals")
    found = False
    for approval in issue.of.parts(*path) if path is not None else ():
        decision = (approval.text("finalDecision") or "").casefold()
        told.label("approval", decision or None)
        if decision != "approved":
            continue
        who = [
            person
            for each in approval.parts("approvers")
            if (each.text("approverDecision") or "").casefold() == "approved"
            for person in [_person(each, "approver")]
            if person is not None
        ]
        at = _date(approval, "completedDate")
        if at is None:
            approval.drop("completedDate", approval.raw("completedDate"), "when is not told")
            continue
        found = True
        told.happen("approved", at, who[0] if len(who) == 1 else None)
        if len(who) > 1:
            told.label("approved by", ", ".join(who))
    return found


def _date(of: Payload, name: str) -> Moment | None:
    if not is_mapping(of.raw(name)):
        return of.moment(name)
    return of.epoch(name, "epochMillis", unit=_MILLISECOND) or of.moment(name, "iso8601")


def _told_as(statuses: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({status: f"{what}, unless mapped" for status, what in statuses.items()})


_WORDS: Final = ("dismissed", "kind", "outcome", "risk", "severity", "status", "type")

JIRA: Final = Format(
    name="jira",
    title="Jira: issues with their changelog, as incidents",
    source="jira",
    order="time",
    statuses=_told_as(INCIDENT_STATUSES),
    severities=SEVERITIES,
    listed_in=("issues", "values"),
    words=_WORDS,
    fields=tuple(FIELDS),
    statements=_incidents,
)
JIRA_CHANGES: Final = Format(
    name="jira-changes",
    title="Jira Service Management: changes, with planned window, risk and approvals",
    source="jira",
    order="time",
    statuses=_told_as(CHANGE_STATUSES),
    listed_in=("issues", "values"),
    words=_WORDS,
    fields=tuple(FIELDS),
    statements=_changes,
)
