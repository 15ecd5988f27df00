"""
ServiceNow: incidents, changes, and the audit log of both, as rows of its Table API.

The fields are those of the tables incident, change_request and sys_audit, told by
ServiceNow/ServiceNowDocs (c_TableAPI.md, change-management-api.md, the state models of both).
Whatever the row, the thing is its `sys_id` (`documentkey` in the audit log), in one source for all
three formats, so that `caused_by` and `rfc` of an incident name a change.

**Times.** A `value` is UTC; a `display_value` is in the zone of whoever asked, and of no use where
the value stands beside it. A row that was asked for with sysparm_display_value=all has both; one
with false has values; one with true shows words where the others have codes ("In Progress"), and
then its times are of that zone: give it by `tz`, without it such a row is refused. Services, teams
and people are called as they are displayed, where that is there, else by their sys_id: ask for all.

**Order.** Rows count by `sys_updated_on`; `sys_mod_count` is told beside it, but ServiceNow itself
warns that it is not reliable.

**Incidents.** `opened_at` is the detection. State 1 New, 2 In Progress and 3 On Hold (4 and 5 of
older instances) are open, and moments of an end that a reopening left there count no more; 6 is
resolved, 7 closed, 8 cancelled: a false positive, which `values.dismissed` may change. When
somebody acknowledged, a row does not tell; `work_start` is a mark. The severity comes from the
priority. `calendar_stc` are the seconds to the resolution, as ServiceNow states them.

**Changes.** The window is `start_date` to `end_date`; `work_start` to `work_end` is when it was
done, and the latter when it was in production. State 4 is cancelled, at `closed_at`. How it went is
the close code. `unauthorized` makes it one that was observed.

**Audit log.** A row is a field that changed: of the state it tells what happened, by the new code
and the old one; of others what stands since. Moments that a field of its own holds too
(`resolved_at`, `work_start`) are told by the state alone. Where the state is another field, name
it: values.field {"state": "incident_state"}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import attrs

from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.domain.vocabulary import ChangeType, Channel, Kind, Moment, Risk, is_mapping
from imcm.interchange.formats import Format
from imcm.interchange.formats.telling import NO_INCIDENT, Told, is_spoken_of
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Read, Statement

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "1": "P1",
        "2": "P2",
        "3": "P3",
        "4": "P4",
        "5": "P4",
        "1 - critical": "P1",
        "2 - high": "P2",
        "3 - moderate": "P3",
        "4 - low": "P4",
        "5 - planning": "P4",
        "critical": "P1",
        "high": "P2",
        "moderate": "P3",
        "low": "P4",
        "planning": "P4",
    }
)
INCIDENT_STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "1": "open",
        "2": "acknowledged",
        "3": "open",
        "4": "open",
        "5": "open",
        "6": "resolved",
        "7": "closed",
        "8": "cancelled",
        "new": "open",
        "in progress": "acknowledged",
        "active": "acknowledged",
        "on hold": "open",
        "awaiting problem": "open",
        "awaiting user info": "open",
        "awaiting evidence": "open",
        "resolved": "resolved",
        "closed": "closed",
        "canceled": "cancelled",
        "cancelled": "cancelled",
    }
)
"""What a state of an incident is to us, by its code and its name; `values.status` comes first."""

CHANGE_STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "-5": "open",
        "-4": "open",
        "-3": "open",
        "-2": "open",
        "-1": "started",
        "0": "deployed",
        "3": "closed",
        "4": "cancelled",
        "new": "open",
        "assess": "open",
        "authorize": "open",
        "scheduled": "open",
        "implement": "started",
        "review": "deployed",
        "closed": "closed",
        "canceled": "cancelled",
        "cancelled": "cancelled",
    }
)
TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "standard": ChangeType.STANDARD,
        "normal": ChangeType.NORMAL,
        "emergency": ChangeType.EMERGENCY,
    }
)
RISKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "1": Risk.HIGH,
        "2": Risk.HIGH,
        "3": Risk.MODERATE,
        "4": Risk.LOW,
        "5": Risk.LOW,
        "very high": Risk.HIGH,
        "high": Risk.HIGH,
        "moderate": Risk.MODERATE,
        "low": Risk.LOW,
        "none": "",
    }
)
OUTCOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "successful": "successful",
        "successful_issues": "successful",
        "successful with issues": "successful",
        "unsuccessful": "failed",
        "backed_out": "rolled_back",
        "backed out": "rolled_back",
    }
)
"""How a change went, by its close code."""

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {"other": Kind.OTHER, "firewall": Kind.FIREWALL, "deployment": Kind.DEPLOYMENT}
)
"""By category, which is a list of each instance's own: what else there is, `values.kind` says."""

CHANNELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "phone": Channel.USER,
        "email": Channel.USER,
        "self-service": Channel.USER,
        "chat": Channel.USER,
        "walk-in": Channel.USER,
        "virtual_agent": Channel.USER,
        "virtual agent": Channel.USER,
        "monitoring": Channel.MONITORING,
        "event management": Channel.MONITORING,
        "alert": Channel.MONITORING,
    }
)
"""By contact_type."""

_INCIDENT_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "number": "number",
        "team": "assignment_group",
        "assigned to": "assigned_to",
        "category": "category",
        "impact": "impact",
        "urgency": "urgency",
        "problem": "problem_id",
        "close code": "close_code",
        "reopened": "reopen_count",
        "made sla": "made_sla",
    }
)
_CHANGE_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "number": "number",
        "team": "assignment_group",
        "category": "category",
        "model": "chg_model",
        "phase": "phase",
        "priority": "priority",
        "impact": "impact",
        "close code": "close_code",
        "review": "review_status",
        "conflicts": "conflict_status",
        "on hold": "on_hold",
        "outside maintenance schedule": "outside_maintenance_schedule",
        "production system": "production_system",
        "cab required": "cab_required",
        "cab date": "cab_date",
        "template": "std_change_producer_version",
    }
)
_LONG: Final = (
    "justification",
    "implementation_plan",
    "risk_impact_analysis",
    "backout_plan",
    "test_plan",
    "close_notes",
)
_CODED: Final = ("state", "incident_state", "priority", "impact", "urgency")
_CODE: Final = re.compile(r"-?\d{1,9}", re.ASCII)
_SYS_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_UTC: Final = ZoneInfo("UTC")


class _Row:
    """A row, of which each field is a value, a displayed text, or both."""

    def __init__(self, payload: Mapping[str, Any], options: Options) -> None:
        given = Payload(payload, options)
        inner = given.part("result") if is_mapping(given.raw("result")) else given
        values: Mapping[str, Any] = inner.raw()
        displayed = any(_is_word(values.get(name)) for name in _CODED) or any(
            is_mapping(value) and "display_value" in value and "value" not in value
            for value in values.values()
        )
        zoned = options if displayed else attrs.evolve(options, tz=_UTC)
        self.of = Payload(values, zoned, drops=given.drops)
        self.options = options

    def path(self, name: str) -> tuple[str, ...]:
        """Return where the value of a field is."""
        if not is_mapping(self.of.raw(name)):
            return (name,)
        return (name, "value" if is_spoken_of(self.of, name, "value") else "display_value")

    def value(self, name: str) -> str | None:
        return self.of.text(*self.path(name))

    def shown(self, name: str) -> str | None:
        """Return how a field is displayed, else its value."""
        shown = None
        if is_mapping(self.of.raw(name)):
            shown = self.of.text(name, "display_value")
        return shown or self.value(name)

    def name(self, name: str) -> str | None:
        """Return the displayed text, if it can be an id."""
        inner = Payload({name: self.shown(name)}, self.options, drops=self.of.drops)
        return inner.id(name)

    def moment(self, name: str, told: Told | None = None, fact: str = "") -> Moment | None:
        path = self.path(name)
        if told is None:
            return self.of.moment(*path)
        return told.moment(fact, *path)

    def refers(self, name: str, told: Told, fact: str, *, many: bool = False) -> None:
        """Put the id of what a field refers to: None where it is empty."""
        if not is_spoken_of(self.of, name):
            return
        id_ = self.value(name)
        link = self.of.text(name, "link") if is_mapping(self.of.raw(name)) else None
        if id_ is not None and not is_spoken_of(self.of, name, "value") and link is not None:
            id_ = link.rpartition("/")[2]  # only the number is displayed beside it
        if id_ is None:
            told.nothing(fact)
        elif _SYS_ID.fullmatch(id_) is None:
            told.of.drop(name, id_, "a sys_id belongs there: ask for values, not for what is shown")
        else:
            told.put(fact, (id_,) if many else id_)

    def status(self, ours: Mapping[str, str]) -> str | None:
        """Return what the state is to us."""
        for name in ("state", "incident_state"):
            code, shown = self.value(name), self.shown(name)
            if code is not None:
                given = None if shown is None else self.options.word("status", shown, {})
                return self.of.word("status", code, ours) if given is None else given or None
        return None

    def labels(self, told: Told, names: Mapping[str, str]) -> None:
        for label, name in names.items():
            told.label(label, self.shown(name), empty=is_spoken_of(self.of, name))

    def common(self, told: Told) -> None:
        told.put("title", self.value("short_description"))
        fields = [name for name in ("business_service", "cmdb_ci") if is_spoken_of(self.of, name)]
        named = [self.name(name) for name in fields]
        told.services([name for name in named if name is not None][:1], spoken_of=bool(fields))
        for name in told.of.options.environment_label:
            for field in (name, f"u_{name}"):
                if "environment" not in told.facts:
                    told.put("environment", self.name(field))

    def statement(self, told: Told) -> Statement:
        return told.statement(
            self.of.required(*self.path("sys_id")),
            said_at=self.moment("sys_updated_on"),
            sequence=self.of.number(*self.path("sys_mod_count")),
            status=self.shown("state") or self.shown("incident_state"),
        )

    def is_of(self, table: str) -> bool:
        """Say whether the row is of a table, as far as it tells; list one that is not."""
        named = self.value("sys_class_name")
        if named is None or named.casefold().replace(" ", "_") == table:
            return True
        self.of.drop("sys_class_name", named, f"a row of {table} belongs here")
        return False


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and _CODE.fullmatch(value) is None


# --- incidents ------------------------------------------------------------------------------------


def _incidents(payload: Mapping[str, Any], options: Options) -> Read:
    row = _Row(payload, options)
    told = [_incident(row)] if row.is_of("incident") else []
    return Read(tuple(told), tuple(row.of.drops))


def _incident(row: _Row) -> Statement:
    of = row.of
    told = Told(of, INCIDENT)
    row.common(told)
    status = row.status(INCIDENT_STATES)
    priority, shown = row.value("priority"), row.shown("priority")
    told.severity(_mapped(of, "severity", priority, shown), SEVERITIES, name=shown)
    told.put("channel", of.word("channel", row.value("contact_type"), CHANNELS))
    row.moment("opened_at", told, "detected_at")
    ends = (
        row.moment("resolved_at", told, "resolved_at"),
        row.moment("closed_at", told, "closed_at"),
    )
    if status in {"resolved", "closed"} and not any(ends):
        of.drop("state", row.shown("state") or status, "it is not said when: no resolved_at")
    told.add("marks", "work started", row.moment("work_start"))
    if status in {"open", "acknowledged"}:
        told.still_open(row.shown("state") or status, "resolved_at", "closed_at")
    elif status == "resolved":
        told.still_open(status, "closed_at")
    if status is not None:
        told.dismissed(_ended_as(row) if status == "cancelled" else None, NO_INCIDENT)
    row.refers("caused_by", told, "caused_by", many=True)
    row.refers("rfc", told, "fixed_by", many=True)
    row.refers("parent_incident", told, "child_of")
    seconds = of.number(*row.path("calendar_stc"))
    told.put("stated_time_to_restore", None if seconds is None else seconds * 1_000_000)
    row.labels(told, _INCIDENT_LABELS)
    return row.statement(told)


def _ended_as(row: _Row) -> str:
    """Return the word for a cancelled incident: its close code, if that is one we know."""
    code = row.shown("close_code")
    known = None if code is None else row.options.word("dismissed", code, NO_INCIDENT)
    return "canceled" if code is None or known is None else code


def _mapped(of: Payload, fact: str, code: str | None, shown: str | None) -> str | None:
    """Return the code of something, or what is shown, where the options say what that means."""
    given = None if shown is None else of.options.word(fact, shown, {})
    return code if given is None else shown


# --- changes --------------------------------------------------------------------------------------


def _changes(payload: Mapping[str, Any], options: Options) -> Read:
    row = _Row(payload, options)
    told = [_change(row)] if row.is_of("change_request") else []
    return Read(tuple(told), tuple(row.of.drops))


def _change(row: _Row) -> Statement:
    of = row.of
    told = Told(of, CHANGE)
    row.common(told)
    status = row.status(CHANGE_STATES)
    observed = (row.value("unauthorized") or "").casefold() == "true"
    told.put("type", ChangeType.OBSERVED if observed else of.word("type", row.value("type"), TYPES))
    category = row.value("category")
    told.put("kind", of.word("kind", category, KINDS))
    told.put("risk", of.word("risk", row.value("risk"), RISKS))
    told.put("requested_by", row.name("requested_by"))
    told.put("requested_at", row.moment("opened_at") or row.moment("sys_created_on"))
    told.window(row.moment("start_date"), row.moment("end_date"))
    row.moment("work_start", told, "started_at")
    row.moment("work_end", told, "deployed_at")
    told.put("implemented_by", row.name("assigned_to"))
    approval = (row.value("approval") or "").casefold()
    if approval == "approved":
        row.moment("approval_set", told, "approved_at")
    elif approval:
        told.nothing("approved_at")
    if status == "cancelled":
        row.moment("closed_at", told, "cancelled_at")
        told.put("status", "cancelled")
    else:
        closed_at = row.moment("closed_at", told, "closed_at")
        if status == "closed" and closed_at is None:
            of.drop("state", row.shown("state") or status, "it is not said when: no closed_at")
        told.put("status", of.word("outcome", row.value("close_code"), OUTCOMES))
        if status is not None and status != "closed":
            told.still_open(row.shown("state") or status, "closed_at")
    row.labels(told, _CHANGE_LABELS)
    for name in _LONG:
        text = row.value(name)
        if text is not None:
            of.drop(name, text, "no fact of a change has a place for it")
    return row.statement(told)


# --- the audit log --------------------------------------------------------------------------------

_TABLES: Final[Mapping[str, Literal["incident", "change"]]] = MappingProxyType(
    {"incident": INCIDENT, "change_request": CHANGE}
)
_ENDED: Final = frozenset({"resolved", "closed", "cancelled"})
_BY_STATE: Final = frozenset({"resolved_at", "closed_at", "work_start", "work_end"})
_LABELS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        INCIDENT: {field: label for label, field in _INCIDENT_LABELS.items()},
        CHANGE: {field: label for label, field in _CHANGE_LABELS.items()},
    }
)
"""The labels of each by their fields."""


def _audit(payload: Mapping[str, Any], options: Options) -> Read:
    row = _Row(payload, options)
    table = (row.value("tablename") or "").casefold()
    kind = _TABLES.get(table)
    if kind is None:
        row.of.drop("tablename", table, f"one of {', '.join(_TABLES)}")
        return Read((), tuple(row.of.drops))
    id_ = row.of.required(*row.path("documentkey"))
    told = Told(row.of, kind)
    status = _changed(row, told)
    statements: Iterable[Statement] = ()
    if told.facts or told.happened:
        statements = (
            told.statement(
                id_,
                said_at=row.moment("sys_created_on"),
                delivery=row.of.id(*row.path("sys_id")),
                status=status,
            ),
        )
    return Read(tuple(statements), tuple(row.of.drops))


def _changed(row: _Row, told: Told) -> str | None:
    of = row.of
    field = row.value("fieldname") or ""
    new, old = row.value("newvalue"), row.value("oldvalue")
    state = of.options.values.get("field", {}).get("state", "state")
    if field == state:
        _state(row, told, old, new)
        return new
    if field in {"state", "incident_state"}:
        of.drop("fieldname", field, f"{state} tells the same")
    elif field in _BY_STATE:
        of.drop("fieldname", field, "the state tells when")
    elif field == "short_description":
        told.put("title", new)
    elif field == "business_service":
        told.services([of.id(*row.path("newvalue"))])
    elif field in _LABELS[told.kind]:
        told.label(_LABELS[told.kind][field], new, empty=True)
        if field == "category" and told.kind == CHANGE:
            told.put("kind", of.word("kind", new, KINDS))
        if field == "close_code" and told.kind == CHANGE:
            told.put("status", of.word("outcome", new, OUTCOMES))
    elif told.kind == INCIDENT:
        _incident_field(row, told, field, new)
    else:
        _change_field(row, told, field, new)
    return None


def _state(row: _Row, told: Told, old: str | None, new: str | None) -> None:
    at, by = row.moment("sys_created_on"), row.of.id(*row.path("user"))
    ours = INCIDENT_STATES if told.kind == INCIDENT else CHANGE_STATES
    now = row.of.word("status", new, ours)
    before = None if old is None else row.options.word("status", old, ours)
    if now is None:
        return
    if told.kind == CHANGE:
        if now != "open":
            told.happen(now, at, by)
        return
    if before in _ENDED and now not in _ENDED:
        told.happen("reopened", at, by)
        if before == "cancelled":
            told.nothing("dismissed")
    elif now == "cancelled":
        told.dismissed("canceled", NO_INCIDENT)
    elif now != "open":
        told.happen(now, at, by)


def _incident_field(row: _Row, told: Told, field: str, new: str | None) -> None:
    if field == "priority":
        told.severity(new, SEVERITIES)
    elif field == "opened_at":
        row.moment("newvalue", told, "detected_at")
    elif field == "contact_type":
        told.put("channel", row.of.word("channel", new, CHANNELS))
    elif field in {"caused_by", "rfc"}:
        row.refers("newvalue", told, "caused_by" if field == "caused_by" else "fixed_by", many=True)
    elif field == "parent_incident":
        row.refers("newvalue", told, "child_of")
    else:
        row.of.drop("fieldname", field, "no fact of an incident has a place for it")


def _change_field(row: _Row, told: Told, field: str, new: str | None) -> None:
    if field == "approval":
        if (new or "").casefold() == "approved":
            told.happen("approved", row.moment("sys_created_on"), row.of.id(*row.path("user")))
        else:
            row.of.drop("fieldname", f"{field}: {new}", "what is told of it is when it is approved")
    elif field == "risk":
        told.put("risk", row.of.word("risk", new, RISKS))
    elif field == "type":
        told.put("type", row.of.word("type", new, TYPES))
    elif field == "requested_by":
        told.put("requested_by", row.of.id(*row.path("newvalue")))
    elif field == "assigned_to":
        told.put("implemented_by", row.of.id(*row.path("newvalue")))
    elif field in {"start_date", "end_date"}:
        row.of.drop(
            "fieldname", field, "a window needs its other end; the row of the change has it"
        )
    else:
        row.of.drop("fieldname", field, "no fact of a change has a place for it")


_INCIDENT_STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "1 New": "open",
        "2 In Progress": "open; in the audit log acknowledged",
        "3 On Hold": "open",
        "6 Resolved": "resolved, at resolved_at",
        "7 Closed": "closed, at closed_at",
        "8 Canceled": "dismissed: a false positive",
    }
)
_CHANGE_STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "-5 New": "planned",
        "-4 Assess": "planned",
        "-3 Authorize": "planned",
        "-2 Scheduled": "planned",
        "-1 Implement": "started, at work_start",
        "0 Review": "deployed, at work_end",
        "3 Closed": "closed, at closed_at; the close code says how it went",
        "4 Canceled": "cancelled, at closed_at",
    }
)

_WORDS: Final = ("channel", "dismissed", "kind", "outcome", "risk", "severity", "status", "type")

SERVICENOW_INCIDENTS: Final = Format(
    name="servicenow-incidents",
    title="ServiceNow: rows of the table incident (Table API)",
    source="servicenow",
    order="time",
    statuses=_INCIDENT_STATUSES,
    severities=SEVERITIES,
    listed_in=("result", "records"),
    words=_WORDS,
    fields=("state",),
    statements=_incidents,
)
SERVICENOW_CHANGES: Final = Format(
    name="servicenow-changes",
    title="ServiceNow: rows of the table change_request (Table API)",
    source="servicenow",
    order="time",
    statuses=_CHANGE_STATUSES,
    listed_in=("result", "records"),
    words=_WORDS,
    fields=("state",),
    statements=_changes,
)
SERVICENOW_AUDIT: Final = Format(
    name="servicenow-audit",
    title="ServiceNow: the audit log of incidents and changes (table sys_audit)",
    source="servicenow",
    order="time",
    statuses={
        **{f"incident {state}": what for state, what in _INCIDENT_STATUSES.items()},
        **{f"change {state}": what for state, what in _CHANGE_STATUSES.items()},
    },
    severities=SEVERITIES,
    listed_in=("result", "records"),
    words=_WORDS,
    fields=("state",),
    statements=_audit,
)
