"""Rootly: webhooks and API objects of their documented shape, with their traps."""

from datetime import datetime

import pytest

from imcm.domain.vocabulary import DismissalReason, Mode, Severity, Window
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named
from imcm.interchange.payloads import Options
from odd_payloads import reads_or_refuses

FORMAT = format_named("rootly")
READ = FORMAT.read


def at(clock):
    return datetime.fromisoformat(f"2026-03-06T{clock}:00+00:00")


def incident(**more):
    return {
        "id": "d9b6",
        "sequential_id": 7,
        "slug": "checkout-is-down",
        "title": "Checkout is down",
        "kind": "normal",
        "status": "started",
        "severity": {"id": "s", "name": "SEV0", "severity": "critical"},
        "services": [{"id": "p", "name": "pay", "slug": "pay"}],
        "environments": [{"id": "e", "name": "Production"}],
        "groups": [{"name": "Core"}],
        "labels": [{"key": "region", "value": "eu"}],
        "url": "https://rootly.example/account/incidents/7",
        "created_at": "2026-03-06T04:00:00.000-08:00",
        "started_at": "2026-03-06T03:50:00.000-08:00",
        "detected_at": None,
        "acknowledged_at": None,
        "mitigated_at": None,
        "resolved_at": None,
        "updated_at": "2026-03-06T04:00:00.000-08:00",
        **more,
    }


def hook(what="incident.updated", **more):
    event = {"id": "ev-1", "type": what, "issued_at": "2026-03-06T05:00:00.546-08:00"}
    return {"event": event, "data": incident(**more)}


def told(what="incident.updated", **more):
    return READ(hook(what, **more)).statements[0]


def test_a_webhook_shows_the_incident_as_it_stood():
    said = told("incident.created")
    assert (said.kind, said.id, said.status, said.delivery) == (
        "incident",
        "d9b6",
        "started",
        "ev-1",
    )
    assert said.said_at == at("13:00").replace(microsecond=546000)
    assert dict(said.facts) == {
        "mode": Mode.REAL,
        "severity": Severity.P1,
        "severity_name": "SEV0",
        "impact_started_at": at("11:50"),
        "detected_at": at("12:00"),
        "acknowledged_at": None,
        "mitigated_at": None,
        "resolved_at": None,
        "declared_at": at("12:00"),
        "dismissed": None,
        "title": "Checkout is down",
        "services": ("pay",),
        "environment": "Production",
        "labels": {"region": "eu", "number": "7", "team": "Core"},
        "references": {"incident": "https://rootly.example/account/incidents/7"},
    }


def test_what_is_absent_is_not_spoken_of_and_what_is_empty_is_none():
    payload = hook()
    del payload["data"]["resolved_at"]
    facts = READ(payload).statements[0].facts
    assert ("resolved_at" in facts, facts["mitigated_at"]) == (False, None)


def test_one_that_is_reopened_has_no_end():
    facts = told(status="started", resolved_at="2026-03-06T12:30:00Z").facts
    assert facts["resolved_at"] is None
    facts = told(status="mitigated", mitigated_at="2026-03-06T12:20:00Z").facts
    assert facts["mitigated_at"] == at("12:20")
    facts = told(status="resolved", resolved_at="2026-03-06T12:30:00Z").facts
    assert facts["resolved_at"] == at("12:30")


def test_one_that_is_resolved_is_not_closed():
    times = {"resolved_at": "2026-03-06T12:30:00Z", "closed_at": "2026-03-06T12:40:00Z"}
    assert told(status="resolved", **times).facts["closed_at"] is None
    assert told(status="closed", **times).facts["closed_at"] == at("12:40")


def test_cancelled_is_dismissed_and_deleted_is_gone():
    cancelled = hook("incident.cancelled", status="cancelled")
    assert READ(cancelled).statements[0].facts["dismissed"] is DismissalReason.FALSE_POSITIVE
    options = Options(values={"dismissed": {"cancelled": "expected"}})
    assert READ(cancelled, options).statements[0].facts["dismissed"] is DismissalReason.EXPECTED
    assert told("incident.deleted").gone
    assert not told().gone


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("normal", "real"),
        ("normal_sub", "real"),
        ("test", "test"),
        ("test_sub", "test"),
        ("example", "test"),
        ("backfilled", "real"),
    ],
)
def test_each_kind(kind, mode):
    facts = told(kind=kind, parent_incident_id="d000").facts
    assert (facts["mode"], facts["child_of"]) == (mode, "d000")
    assert ("declared_at" in facts) == (kind != "backfilled")


def test_a_scheduled_maintenance_is_a_change_with_a_window():
    planned = {
        "kind": "scheduled",
        "status": "scheduled",
        "scheduled_for": "2026-03-07T12:00:00Z",
        "scheduled_until": "2026-03-07T13:00:00Z",
        "started_at": "2026-03-07T12:00:00Z",
    }
    said = told("incident.scheduled.created", **planned)
    assert (said.kind, said.status) == ("change", "scheduled")
    noon = datetime.fromisoformat("2026-03-07T12:00:00+00:00")
    assert said.facts["window"] == Window(start=noon, end=noon.replace(hour=13))
    assert (said.facts["planned"], "started_at" in said.facts) == (True, False)
    done = told(
        "incident.scheduled.completed",
        **{**planned, "status": "completed", "resolved_at": "2026-03-07T12:40:00Z"},
    )
    assert done.facts["started_at"] == noon
    assert done.facts["deployed_at"] == noon.replace(minute=40)
    assert told("incident.scheduled.deleted", **planned).gone
    cancelled = told("incident.scheduled.updated", **{**planned, "status": "cancelled"})
    assert cancelled.facts["status"] == "cancelled"


@pytest.mark.parametrize(
    ("given", "severity", "name"),
    [
        ("sev1", "P2", "sev1"),
        ({"name": "Sev 2", "severity": "medium"}, "P3", "Sev 2"),
        ({"data": {"attributes": {"name": "SEV3", "severity": "low"}}}, "P4", "SEV3"),
        ({"name": "high"}, "P2", "high"),
        ("odd", None, "odd"),
        (None, None, None),
    ],
)
def test_each_form_of_severity(given, severity, name):
    facts = told(severity=given).facts
    assert (facts.get("severity"), facts.get("severity_name")) == (severity, name)


def test_a_published_review_is_one_of_its_incident():
    payload = hook("incident_post_mortem.published")
    payload["data"] = {"id": "pm", "incident_id": "d9b6", "published_at": "2026-03-09T12:00:00Z"}
    [said] = READ(payload).statements
    assert said.id == "d9b6"
    assert dict(said.facts) == {"reviewed_at": at("12:00").replace(day=9)}
    payload["data"] = {"id": "pm"}
    assert [each.what for each in READ(payload).dropped] == ["data.incident_id"]


@pytest.mark.parametrize("what", ["alert.created", "pulse.created", "incident_event.created"])
def test_what_is_no_incident_is_listed(what):
    read = READ({"event": {"id": "e", "type": what}, "data": {"id": "a"}})
    assert (read.statements, read.dropped[0].value) == ((), what)


def test_the_api_gives_the_same_in_attributes():
    fields = incident(services={"data": [{"id": "p", "attributes": {"name": "pay"}}]})
    del fields["id"]
    [said] = READ({"data": {"id": "d9b6", "type": "incidents", "attributes": fields}}).statements
    assert (said.id, said.said_at, said.facts["services"]) == ("d9b6", at("12:00"), ("pay",))


def test_one_without_id_is_refused():
    with pytest.raises(InvalidValue, match="id"):
        READ(hook(id=""))


def test_anything_is_read_or_refused():
    reads_or_refuses(READ, [hook(), hook("incident.scheduled.updated", status="in_progress")])
