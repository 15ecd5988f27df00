"""PagerDuty's webhooks and incident rows: samples of their documented shape, with their traps."""

from datetime import UTC, datetime

import pytest

from garbled import survives
from imcm import Ledger, facts, record_statements
from imcm.domain.vocabulary import Severity
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named, payloads_of
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening, Statement

PAGERDUTY = format_named("pagerduty")
READ = PAGERDUTY.read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)
ONE = NOON.replace(hour=13)


def reference(kind, id_, summary):
    return {"id": id_, "type": f"{kind}_reference", "summary": summary}


def incident(**more):
    return {
        "id": "PGR0VU2",
        "type": "incident",
        "html_url": "https://acme.pagerduty.example/incidents/PGR0VU2",
        "number": 2,
        "status": "triggered",
        "incident_key": "d3640fbd",
        "created_at": "2026-03-06T12:00:00Z",
        "title": "Checkout is down",
        "service": reference("service", "PF9KMXH", "Checkout"),
        "assignees": [reference("user", "PTUXL6G", "Zoe")],
        "escalation_policy": reference("escalation_policy", "PUS0KTE", "Default"),
        "teams": [reference("team", "PFCVPS0", "Web"), reference("team", "PFCVPS1", "Pay")],
        "priority": reference("priority", "PSO75BM", "P1"),
        "urgency": "high",
        "conference_bridge": None,
        "resolve_reason": None,
        **more,
    }


FACTS = {
    "title": "Checkout is down",
    "severity": Severity.P1,
    "severity_name": "P1",
    "services": ("Checkout",),
    "labels": {
        "number": "2",
        "incident_key": "d3640fbd",
        "urgency": "high",
        "escalation_policy": "Default",
        "team": "Web, Pay",
    },
    "references": {"incident": "https://acme.pagerduty.example/incidents/PGR0VU2"},
}


def event(kind, data, **more):
    return {
        "event": {
            "id": "01CBRDG",
            "event_type": f"incident.{kind}",
            "resource_type": "incident",
            "occurred_at": "2026-03-06T13:00:00.000Z",
            "agent": reference("user", "PLH1HKV", "Ann"),
            "client": None,
            "data": data,
            **more,
        }
    }


def row(**more):
    one = incident()
    del one["number"], one["assignees"], one["conference_bridge"]
    return {
        **one,
        "incident_number": 2,
        "acknowledgements": [],
        "assignments": [],
        "last_status_change_at": "2026-03-06T13:00:00Z",
        "log_entries": [],
        **more,
    }


def entry(kind, at, who="PLH1HKV"):
    return {
        "type": f"{kind}_log_entry",
        "created_at": f"2026-03-06T{at}:00Z",
        "agent": reference("user", who, "Ann"),
    }


# --- webhooks -------------------------------------------------------------------------------------


def test_an_event_tells_what_happened_by_whom():
    read = READ(event("acknowledged", incident(status="acknowledged")))
    assert read.dropped == ()
    assert read.statements == (
        Statement(
            kind="incident",
            id="PGR0VU2",
            facts=FACTS,
            happened=(Happening("detected", NOON), Happening("acknowledged", ONE, "PLH1HKV")),
            said_at=ONE,
            delivery="01CBRDG",
            status="acknowledged",
        ),
    )


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("triggered", []),
        ("acknowledged", ["acknowledged"]),
        ("resolved", ["resolved"]),
        ("reopened", ["reopened"]),
        ("priority_updated", []),
        ("reassigned", []),
        ("escalated", []),
        ("delegated", []),
        ("unacknowledged", []),
        ("of_next_year", []),
    ],
)
def test_events(kind, what):
    [said] = READ(event(kind, incident())).statements
    assert [each.what for each in said.happened] == ["detected", *what]
    assert all(each.at == ONE for each in said.happened[1:])


def test_nobody_may_have_done_it():
    [said] = READ(event("resolved", incident(), agent=None)).statements
    assert said.happened[1] == Happening("resolved", ONE)


def test_a_trigger_without_a_creation_is_detected_when_it_occurred():
    [said] = READ(event("triggered", incident(created_at=None))).statements
    assert said.happened == (Happening("detected", ONE),)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("annotated", {"type": "incident_note", "incident": {"id": "PGR0VU2"}, "content": "x"}),
        ("status_update_published", {"type": "incident_status_update", "message": "x"}),
        ("responder.added", {"type": "incident_responder", "state": "pending"}),
        ("role.assigned", {"type": "incident_role_assignment"}),
    ],
)
def test_what_an_event_is_about_says_its_data_and_not_its_resource(kind, data):
    read = READ(event(kind, {"id": "P2LA89X", **data}))
    assert read.statements == ()
    assert (read.dropped[0].what, data["type"] in read.dropped[0].why) == (
        "event.event_type",
        True,
    )


def test_services_pings_and_older_webhooks_tell_nothing():
    ping = {"event": {"event_type": "pagey.ping", "data": {"message": "Hi", "type": "ping"}}}
    service = {"event": {"event_type": "service.updated", "data": {"type": "service", "id": "P"}}}
    for payload in (ping, service, {"messages": [{"event": "incident.trigger"}]}):
        read = READ(payload)
        assert (read.statements, len(read.dropped)) == ((), 1)


def test_a_merged_incident_is_merged_and_not_resolved():
    reason = {"type": "merge_resolve_reason", "incident": reference("incident", "PMAIN01", "x")}
    read = READ(event("resolved", incident(status="resolved", resolve_reason=reason)))
    [said] = read.statements
    assert (said.facts["merged_into"], len(said.happened)) == ("PMAIN01", 1)
    assert "PMAIN01" in read.dropped[0].why
    [said] = READ(row(status="resolved", resolve_reason=reason)).statements
    assert (said.facts["merged_into"], "resolved_at" in said.facts) == ("PMAIN01", False)


def test_a_lapsed_acknowledgement_is_listed():
    assert "lapsed" in READ(event("unacknowledged", incident())).dropped[0].why


# --- rows -----------------------------------------------------------------------------------------


def test_a_row_is_how_the_incident_stands():
    [said] = READ(row()).statements
    assert said == Statement(
        kind="incident",
        id="PGR0VU2",
        facts={**FACTS, "detected_at": NOON, "resolved_at": None},
        said_at=ONE,
        status="triggered",
    )
    assert READ({"incident": row()}).statements == (said,)
    assert list(payloads_of({"incidents": [row()]}, PAGERDUTY)) == [row()]


@pytest.mark.parametrize(
    ("more", "at"),
    [
        ({"status": "resolved"}, ONE),
        ({"status": "resolved", "resolved_at": "2026-03-06T12:30:00Z"}, NOON.replace(minute=30)),
        ({"status": "acknowledged", "resolved_at": None}, None),
    ],
)
def test_when_a_row_was_resolved(more, at):
    [said] = READ(row(**more)).statements
    assert said.facts["resolved_at"] == at


def test_a_row_is_said_when_it_was_updated():
    [said] = READ(row(updated_at="2026-03-06T14:00:00Z")).statements
    assert said.said_at == NOON.replace(hour=14)


def test_the_first_acknowledgement_counts_also_where_the_row_has_emptied_them():
    acks = [
        {"at": "2026-03-06T12:20:00Z", "acknowledger": reference("user", "PB", "Bo")},
        {"at": "2026-03-06T12:10:00Z", "acknowledger": reference("user", "PA", "Ann")},
    ]
    [said] = READ(row(status="acknowledged", acknowledgements=acks)).statements
    assert said.happened == (Happening("acknowledged", NOON.replace(minute=10), "PA"),)
    log = [entry("resolve", "12:30"), entry("acknowledge", "12:05"), entry("trigger", "12:00")]
    [said] = READ(row(status="resolved", log_entries=log)).statements
    assert [each.at for each in said.happened] == [NOON.replace(minute=5)]
    # A log that does not go back to the trigger may have lost the first one.
    [said] = READ(row(status="resolved", log_entries=log[:2])).statements
    assert said.happened == ()


def log_entry(kind, clock, id_="R1"):
    return {
        "id": id_,
        "type": f"{kind}_log_entry",
        "created_at": f"2026-03-06T{clock}:00Z",
        "agent": reference("user", "PA", "Ann"),
        "incident": reference("incident", "PGR0VU2", "[#2] Checkout is down"),
    }


def test_log_entries_tell_who_acknowledged_and_when():
    """Alone, as a page, and after a row that has only the acknowledgement that stands now."""
    said = Happening("acknowledged", NOON.replace(minute=5), "PA")
    entries = [log_entry("acknowledge", "12:05"), log_entry("resolve", "12:30")]
    [one] = READ(entries[0]).statements
    assert (one.id, one.happened, one.facts) == ("PGR0VU2", (said,), {})
    page = READ({"log_entries": entries, "more": False})
    assert page.statements == (one,)
    assert [each.value for each in page.dropped] == ["resolve_log_entry"]
    acks = [{"at": "2026-03-06T12:20:00Z", "acknowledger": reference("user", "PB", "Bo")}]
    told = READ(row(status="acknowledged", acknowledgements=acks)).statements
    for order in ((told, page.statements), (page.statements, told)):
        with Ledger.in_memory() as ledger:
            for _ in range(2):
                for some in order:
                    record_statements(ledger, some, source="pagerduty")
            [found] = facts(ledger.replay()).incidents
            assert (found.acknowledged_at, found.detected_at) == (said.at, NOON)


def test_a_row_that_comes_again_says_nothing_new():
    acks = [{"at": "2026-03-06T12:20:00Z", "acknowledger": reference("user", "PB", "Bo")}]
    told = READ(row(status="acknowledged", acknowledgements=acks)).statements
    with Ledger.in_memory() as ledger:
        taken = [record_statements(ledger, told, source="pd").events for _ in range(3)]
    assert taken[0] > 0
    assert taken[1:] == [0, 0]


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("P1", "P1"), ("P4", "P4"), ("P5", "P4"), ("SEV-1", "P1"), ("sev2", "P2"), ("SEV5", "P4")],
)
def test_severities(theirs, ours):
    [said] = READ(row(priority=reference("priority", "P", theirs))).statements
    assert (said.facts["severity"], said.facts["severity_name"]) == (ours, theirs)


def test_the_urgency_is_no_severity_unless_the_options_say_so():
    [said] = READ(row(priority=None)).statements
    assert "severity" not in said.facts
    options = Options(values={"severity": {"high": "P2"}})
    [said] = READ(row(priority=None), options).statements
    assert (said.facts["severity"], said.facts["severity_name"]) == (Severity.P2, "high")
    [said] = READ(row(), options).statements
    assert said.facts["severity"] is Severity.P1


def test_what_does_not_fit_is_listed():
    read = READ(row(priority=reference("priority", "P", "Blocker"), status="snoozed"))
    assert [each.what for each in read.dropped] == ["status", "severity"]
    read = READ(event("resolved", incident(), occurred_at=None))
    assert [each.what for each in read.dropped] == ["event.occurred_at"]
    assert read.statements[0].happened == (Happening("detected", NOON),)


@pytest.mark.parametrize("payload", [{}, {"incident": {}}, event("resolved", {"type": "incident"})])
def test_without_an_id_nothing_can_be_told(payload):
    with pytest.raises(InvalidValue, match="id"):
        READ(payload)


def test_whatever_arrives_is_answered():
    log = [entry("acknowledge", "12:05"), entry("trigger", "12:00")]
    reason = {"type": "merge_resolve_reason", "incident": reference("incident", "PMAIN01", "x")}
    samples = [
        event("resolved", incident(resolve_reason=reason)),
        row(status="resolved", log_entries=log, resolve_reason=reason),
        row(acknowledgements=[{"at": "2026-03-06T12:20:00Z", "acknowledger": {"id": "PB"}}]),
    ]
    survives(READ, samples)
