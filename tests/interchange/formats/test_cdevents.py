"""CDEvents: samples of their documented shape, with their traps."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given

from any_json import OPTIONS, payloads, reads_or_refuses
from garbled import survives
from imcm.domain.vocabulary import Kind, Severity
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening

READ = format_named("cdevents").read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


def event(what, id_="incident-7", content=None, version="0.3.0", **more):
    return {
        "context": {
            "specversion": "0.5.1",
            "id": "271069a8",
            "chainId": "4c8cb7dd",
            "source": "/monitoring/prod1",
            "type": f"dev.cdevents.{what}.{version}",
            "timestamp": "2026-03-06T12:00:00Z",
            "links": [],
        },
        "subject": {
            "id": id_,
            "source": "/monitoring/prod1",
            "content": {
                "environment": {"id": "prod1", "source": "/iaas/geo1"},
                "service": {"id": "shop", "source": "/cluster"},
                "artifactId": "pkg:oci/shop@1.4",
                **(content or {}),
            },
        },
        **more,
    }


DETECTED = event("incident.detected", content={"description": "Slow answers"})
DEPLOYED = event("service.deployed", "shop")
TICKET = event(
    "ticket.closed",
    "ticket-1",
    {
        "summary": "Checkout is down",
        "ticketType": "incident",
        "group": "web",
        "creator": "ann",
        "assignees": ["bea", "cem"],
        "priority": "high",
        "uri": "https://tickets.example/1",
        "resolution": "completed",
        "updatedBy": "bea",
    },
    version="0.2.0",
)


def test_an_incident_that_was_detected():
    [said] = READ(DETECTED).statements
    assert (said.kind, said.id, said.status) == (
        "incident",
        "/monitoring/prod1/incident-7",
        "detected",
    )
    assert (said.said_at, said.delivery) == (NOON, "271069a8")
    assert said.happened == (Happening("detected", NOON),)
    assert dict(said.facts) == {
        "title": "Slow answers",
        "services": ("shop",),
        "environment": "prod1",
        "labels": {
            "source": "/monitoring/prod1",
            "chain": "4c8cb7dd",
            "artifact": "pkg:oci/shop@1.4",
        },
    }


def test_reported_is_declared_and_names_its_ticket():
    content = {"description": "Slow", "ticketURI": "https://tickets.example/345"}
    [said] = READ(event("incident.reported", content=content)).statements
    assert (said.happened, said.facts["declared_at"]) == ((), NOON)
    assert said.facts["references"] == {"ticket": "https://tickets.example/345"}


def test_how_it_was_resolved_is_no_title():
    [said] = READ(event("incident.resolved", content={"description": "Fast again"})).statements
    assert said.happened == (Happening("resolved", NOON),)
    assert "title" not in said.facts
    assert said.facts["labels"]["resolution"] == "Fast again"


def test_a_severity_is_taken_from_custom_data_where_it_is_put():
    [said] = READ({**DETECTED, "customData": {"severity": "Critical"}}).statements
    assert (said.facts["severity"], said.facts["severity_name"]) == (Severity.P1, "Critical")
    read = READ({**DETECTED, "customData": {"severity": "odd"}})
    assert [(each.what, each.value) for each in read.dropped] == [("severity", "odd")]
    assert READ({**DETECTED, "customData": "<xml/>"}).dropped == ()


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("deployed", Kind.DEPLOYMENT),
        ("upgraded", Kind.DEPLOYMENT),
        ("rolledback", Kind.ROLLBACK),
        ("removed", Kind.OTHER),
    ],
)
def test_what_is_told_of_a_service_is_a_change_by_the_id_of_the_event(what, kind):
    [said] = READ(event(f"service.{what}", "shop")).statements
    assert (said.kind, said.id) == ("change", "271069a8")
    assert said.happened == (Happening("deployed", NOON),)
    assert (said.facts["kind"], said.facts["services"]) == (kind, ("shop",))
    assert said.facts["version"] == "pkg:oci/shop@1.4"


def test_a_change_of_code_is_none_of_production_unless_the_options_say_so():
    read = READ(event("change.merged", "42"))
    assert (read.statements, [each.value for each in read.dropped]) == ((), ["change.merged"])
    options = Options(values={"kind": {"change": "deployment"}})
    content = {"repository": {"id": "octo/shop"}}
    said = {
        what: READ(event(f"change.{what}", "42", content), options).statements[0]
        for what in ("created", "updated", "reviewed", "merged", "abandoned")
    }
    assert {each.id for each in said.values()} == {"/monitoring/prod1/42"}
    assert said["created"].facts["requested_at"] == NOON
    assert said["created"].facts["services"] == ("octo/shop",)
    assert {what: [each.what for each in one.happened] for what, one in said.items()} == {
        "created": [],
        "updated": [],
        "reviewed": [],
        "merged": ["deployed"],
        "abandoned": ["cancelled"],
    }


def test_a_ticket_that_is_an_incident():
    [said] = READ(TICKET).statements
    assert (said.kind, said.id, said.status) == (
        "incident",
        "/monitoring/prod1/ticket-1",
        "closed completed",
    )
    assert said.happened == (Happening("resolved", NOON, "bea"),)
    assert said.facts["severity"] is Severity.P2
    assert said.facts["labels"]["assigned"] == "bea, cem"
    assert said.facts["references"] == {"ticket": "https://tickets.example/1"}


@pytest.mark.parametrize(
    ("resolution", "what", "dismissed"),
    [(None, "resolved", None), ("duplicate", "closed", "duplicate"), ("wontfix", "closed", None)],
)
def test_how_a_ticket_is_closed(resolution, what, dismissed):
    content = {**TICKET["subject"]["content"], "resolution": resolution}
    [said] = READ(event("ticket.closed", content=content)).statements
    assert [each.what for each in said.happened] == [what]
    assert said.facts.get("dismissed") == dismissed


def test_other_tickets_are_none_unless_the_options_say_so():
    task = event("ticket.created", content={"ticketType": "task", "summary": "x"})
    assert READ(task).statements == ()
    [said] = READ(task, Options(values={"type": {"task": "incident"}})).statements
    assert said.happened == (Happening("detected", NOON),)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_cloud_event_is_unwrapped(as_text):
    wrapped = {
        "specversion": "1.0",
        "id": "271069a8",
        "source": "/monitoring/prod1",
        "type": DETECTED["context"]["type"],
        "time": "2026-03-06T12:00:00Z",
        "datacontenttype": "application/json",
        "data": json.dumps(DETECTED) if as_text else DETECTED,
    }
    assert READ(wrapped) == READ(DETECTED)


def test_the_versions_that_are_read():
    old = event("incident.detected", version="0.2.0")
    old["context"]["version"] = old["context"].pop("specversion")
    assert len(READ(old).statements) == 1
    assert len(READ(event("incident.detected", version="0.3.0-draft")).statements) == 1


def test_incidents_of_two_sources_are_two():
    other = event("incident.detected")
    other["subject"]["source"] = "/monitoring/prod2"
    assert READ(other).statements[0].id != READ(DETECTED).statements[0].id
    bare = event("incident.detected")
    del bare["subject"]["source"]
    assert READ(bare).statements[0].id == READ(DETECTED).statements[0].id


@pytest.mark.parametrize(
    "what", ["build.finished", "environment.created", "service.published", "incident.melted"]
)
def test_what_does_not_fit_is_listed(what):
    read = READ(event(what))
    assert (read.statements, [each.what for each in read.dropped]) == ((), ["context.type"])


def test_an_event_without_a_time_is_listed():
    late = event("incident.detected")
    late["context"]["timestamp"] = None
    assert [each.what for each in READ(late).dropped] == ["context.timestamp"]


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"data": "no json"},
        {"data_base64": "e30="},
        event("incident.detected", ""),
        {"context": {"type": "com.example.thing"}},
    ],
)
def test_what_can_not_be_told_apart_is_refused(payload):
    with pytest.raises(InvalidValue):
        READ(payload)


def test_a_time_without_a_zone_is_refused_unless_one_is_given():
    naive = event("incident.detected")
    naive["context"]["timestamp"] = "2026-03-06T13:00:00"
    with pytest.raises(InvalidValue, match="no UTC offset"):
        READ(naive)
    [said] = READ(naive, Options(tz="Europe/Oslo")).statements
    assert said.happened[0].at == NOON


@given(payloads([DETECTED, DEPLOYED, TICKET, {"data": DETECTED}]), OPTIONS)
def test_anything_is_read_or_refused(payload, options):
    reads_or_refuses(READ, payload, options)


OWN_INCIDENT = event(
    "incident.resolved",
    "INC-7",
    customData={
        "kind": "incident", "id": "INC-7", "event": "IncidentResolved", "version": 5,
        "recordedAt": "2026-03-06T12:01:00Z", "position": 9, "severity": "P2", "mode": "real",
        "services": ["shop", "pay"], "labels": {"team": "web"}, "customers": 7,
        "detectedAt": ["2026-03-06T11:00:00Z", "2026-03-06T11:05:00Z"],
        "spells": [
            {"started": "2026-03-06T11:00:00Z", "resolved": "2026-03-06T11:20:00Z"},
            {"started": "2026-03-06T11:30:00Z", "resolved": "2026-03-06T12:00:00Z"},
        ],
        "verdicts": [
            {"change": "CHG-7", "verdict": "caused"}, {"change": "CHG-8", "verdict": "suspected"},
        ],
        "related": [{"incident": "INC-1", "relation": "child_of"}],
        "stated": {"time_to_restore": 3600000000},
    },
)  # fmt: skip
OWN_CHANGE = event(
    "service.rolledback",
    "shop",
    customData={
        "kind": "change", "id": "CHG-7", "event": "ChangeRolledBack", "version": 4,
        "recordedAt": "2026-03-06T12:01:00Z", "position": 8, "type": "normal", "title": "Basket",
        "changeKind": "deployment", "outcome": "rolled_back", "reachedProduction": True,
        "deployedAt": "2026-03-06T11:00:00Z", "rolledBackAt": "2026-03-06T12:00:00Z",
        "commits": [{"id": "4f2a", "committedAt": "2026-03-06T10:00:00Z"}], "repairs": "CHG-1",
    },
)  # fmt: skip


def test_what_another_ledger_wrote_is_told_by_its_custom_data():
    read = READ(OWN_INCIDENT)
    [said] = read.statements
    assert (said.id, said.sequence) == ("/monitoring/prod1/INC-7", 9)
    assert said.facts["caused_by"] == ("/monitoring/prod1/CHG-7",)
    assert said.facts["child_of"] == "/monitoring/prod1/INC-1"
    assert [each.what for each in said.happened] == ["resolved", "reopened"]
    assert said.facts["resolved_at"] == NOON
    assert [each.value for each in read.dropped] == ["suspected"]
    [said] = READ(OWN_CHANGE).statements
    assert (said.id, said.facts["status"]) == ("/monitoring/prod1/CHG-7", "rolled_back")
    assert (said.facts["title"], said.facts["repairs"]) == ("Basket", "/monitoring/prod1/CHG-1")


def test_a_source_that_reads_as_a_tool_leaves_its_references_out():
    odd = json.loads(json.dumps(OWN_INCIDENT).replace("/monitoring/prod1", "urn:team:web"))
    read = READ(odd)
    assert read.statements[0].id == "urn:team:web/INC-7"
    assert read.statements[0].facts["caused_by"] == ()
    assert {each.value for each in read.dropped} == {"CHG-7", "CHG-8", "INC-1"}


def test_whatever_another_ledger_wrote_is_answered():
    survives(READ, [OWN_INCIDENT, OWN_CHANGE])
