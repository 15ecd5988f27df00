"""FireHydrant: snapshots with milestones, as its webhooks send them."""

from datetime import datetime

import pytest

from imcm.domain.vocabulary import Mode, Severity
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named, payloads_of
from odd_payloads import reads_or_refuses

FORMAT = format_named("firehydrant")
READ = FORMAT.read


def at(clock):
    return datetime.fromisoformat(f"2026-03-06T{clock}:00+00:00")


def milestone(kind, clock):
    return {"id": f"m-{kind}", "type": kind, "occurred_at": f"2026-03-06T{clock}:00Z"}


REACHED = [
    milestone("started", "11:50"),
    milestone("detected", "11:55"),
    milestone("acknowledged", "12:00"),
    milestone("identified", "12:10"),
    milestone("mitigated", "12:20"),
]


def incident(milestones=REACHED, current="mitigated", **more):
    return {
        "data": {
            "incident": {
                "id": "3f0c",
                "number": 42,
                "name": "Checkout is down",
                "created_at": "2026-03-06T11:56:00Z",
                "started_at": "2026-03-06T11:50:00Z",
                "discarded_at": None,
                "severity": "SEV1",
                "priority": "P2",
                "current_milestone": current,
                "milestones": milestones,
                "customers_impacted": 12,
                "labels": {"region": "eu"},
                "tag_list": ["db", "failover"],
                "incident_url": "https://app.firehydrant.example/incident/42",
                "services": [{"id": "s", "name": "pay"}],
                "environments": [{"id": "e", "name": "production"}],
                "impacts": [
                    {"type": "service", "impact": {"name": "cart"}, "condition": {"name": "Down"}},
                    {"type": "environment", "impact": {"name": "staging"}},
                ],
                "role_assignments": [
                    {
                        "status": "inactive",
                        "incident_role": {"name": "Commander"},
                        "user": {"email": "old@x.io"},
                    },
                    {
                        "status": "active",
                        "incident_role": {"name": "Commander"},
                        "user": {"email": "zoe@x.io"},
                        "tasks": [{"id": "t"}],
                    },
                ],
                **more,
            }
        }
    }


def facts(*args, **more):
    return READ(incident(*args, **more)).statements[0].facts


def test_an_incident_stands_as_its_milestones_say():
    read = READ(incident())
    [said] = read.statements
    assert (said.id, said.status, said.said_at, said.gone) == ("3f0c", "mitigated", None, False)
    assert dict(said.facts) == {
        "title": "Checkout is down",
        "mode": Mode.REAL,
        "severity": Severity.P1,
        "severity_name": "SEV1",
        "customers": 12,
        "impact_started_at": at("11:50"),
        "detected_at": at("11:55"),
        "acknowledged_at": at("12:00"),
        "mitigated_at": at("12:20"),
        "resolved_at": None,
        "reviewed_at": None,
        "closed_at": None,
        "marks": {"identified": at("12:10")},
        "declared_at": at("11:56"),
        "commander": "zoe@x.io",
        "services": ("pay", "cart"),
        "environment": "production",
        "labels": {"region": "eu", "number": "42", "priority": "P2", "tags": "db, failover"},
        "references": {"incident": "https://app.firehydrant.example/incident/42"},
    }
    assert [(each.what, each.value) for each in read.dropped] == [
        ("data.incident.environment", "staging"),
        ("data.incident.role_assignments", "1 tasks"),
    ]
    assert FORMAT.order == "receipt"  # there is neither a kind of event nor a time


def test_a_milestone_behind_the_current_one_is_reached_no_more():
    back = [*REACHED, milestone("resolved", "12:30")]
    read = READ(incident(back, "investigating"))
    told = read.statements[0].facts
    assert (told["mitigated_at"], told["resolved_at"], told["acknowledged_at"]) == (
        None,
        None,
        at("12:00"),
    )
    assert facts(back, "resolved")["resolved_at"] == at("12:30")
    assert facts(back, "mitigated")["resolved_at"] is None
    assert "resolved_at" in {each.what.rpartition(".")[2] for each in read.dropped}


def test_of_milestones_reached_twice_the_last_end_counts_and_the_first_begin():
    twice = [
        milestone("resolved", "14:00"),
        *REACHED,
        milestone("resolved", "12:30"),
        milestone("acknowledged", "13:00"),
    ]
    told = facts(twice, "resolved")
    assert (told["resolved_at"], told["acknowledged_at"]) == (at("14:00"), at("12:00"))


def test_without_milestones_it_was_detected_when_it_was_opened():
    told = facts([], "started")
    assert (told["detected_at"], told["impact_started_at"]) == (at("11:56"), at("11:50"))
    payload = incident()
    del payload["data"]["incident"]["milestones"]
    assert "resolved_at" not in READ(payload).statements[0].facts


def test_milestones_may_stand_in_the_phases_of_a_lifecycle():
    payload = incident(current="resolved")
    body = payload["data"]["incident"]
    listed = [{**each, "slug": each["type"]} for each in body.pop("milestones")]
    for each in listed:
        del each["type"]
    unreached = {"slug": "resolved", "occurred_at": None}
    body["lifecycle_phases"] = [{"type": "started", "milestones": [*listed, unreached]}]
    told = READ(payload).statements[0].facts
    assert (told["mitigated_at"], told["resolved_at"]) == (at("12:20"), None)


def test_one_that_is_resolved_is_not_closed():
    closed = [*REACHED, milestone("resolved", "12:30"), milestone("closed", "12:40")]
    assert facts(closed, "resolved")["closed_at"] is None
    assert facts(closed, "closed")["closed_at"] == at("12:40")


@pytest.mark.parametrize(
    ("word", "severity", "mode"),
    [
        ("SEV0", "P1", "real"),
        ("SEV1", "P1", "real"),
        ("SEV2", "P2", "real"),
        ("SEV3", "P3", "real"),
        ("SEV4", "P4", "real"),
        ("SEV5", "P4", "real"),
        ("UNSET", None, "real"),
        ("MAINTENANCE", None, "real"),
        ("GAMEDAY", None, "drill"),
        ("Odd", None, "real"),
    ],
)
def test_each_severity(word, severity, mode):
    told = facts(severity=word)
    assert (told.get("severity"), told["severity_name"], told["mode"]) == (severity, word, mode)


def test_an_archived_incident_is_gone():
    assert READ(incident(discarded_at="2026-03-07T00:00:00Z")).statements[0].gone


def test_a_change_event_is_a_change():
    change = {
        "id": "c1",
        "summary": "Deploy pay 1.2",
        "created_at": "2026-03-06T11:00:00Z",
        "updated_at": "2026-03-06T11:30:00Z",
        "starts_at": "2026-03-06T11:10:00Z",
        "ends_at": None,
        "services": [{"name": "pay"}],
        "environments": [],
        "labels": {"sha": "abc"},
        "authors": [{"name": "zoe", "email": "zoe@x.io"}],
    }
    [said] = READ({"data": {"change_event": change}}).statements
    assert (said.kind, said.id, said.said_at) == ("change", "c1", at("11:30"))
    assert dict(said.facts) == {
        "title": "Deploy pay 1.2",
        "requested_at": at("11:00"),
        "started_at": at("11:10"),
        "deployed_at": None,
        "services": ("pay",),
        "labels": {"sha": "abc"},
        "implemented_by": "zoe@x.io",
    }


def test_what_is_neither_is_listed_and_what_has_no_id_refused():
    assert [each.value for each in READ({"data": {"alert": {}}}).dropped] == ["alert"]
    with pytest.raises(InvalidValue, match="id"):
        READ({"data": {"incident": {"name": "x"}}})


def test_lists_of_the_api_and_single_incidents():
    alone = incident()["data"]["incident"]
    assert READ(alone).statements[0].id == "3f0c"
    assert len(list(payloads_of({"data": [alone, alone], "pagination": {}}, FORMAT))) == 2


def test_anything_is_read_or_refused():
    reads_or_refuses(READ, [incident(), {"data": {"change_event": {"id": "c", "starts_at": ""}}}])
