"""incident.io: webhooks and API objects of their documented shape, with their traps."""

from datetime import UTC, datetime

import pytest

from imcm.domain.vocabulary import DismissalReason, Mode, Severity
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named, payloads_of
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening
from odd_payloads import reads_or_refuses

FORMAT = format_named("incident-io")
READ = FORMAT.read


def at(clock):
    return datetime.fromisoformat(f"2026-03-06T{clock}:00+00:00")


def stamp(name, clock=None):
    value = None if clock is None else {"value": f"2026-03-06T{clock}:00Z"}
    told = {"incident_timestamp": {"id": "01T", "name": name, "rank": 1}}
    return told if value is None else {**told, "value": value}


def incident(*stamps, category="live", **more):
    return {
        "id": "01FDAG4SAP5TYPT98WGR2N7W91",
        "reference": "INC-123",
        "name": "Checkout is down",
        "mode": "standard",
        "visibility": "public",
        "created_at": "2026-03-06T12:00:00Z",
        "updated_at": "2026-03-06T13:00:00Z",
        "incident_status": {"id": "01S", "name": "Our own word", "category": category, "rank": 4},
        "severity": {"id": "01V", "name": "Major", "rank": 2},
        "incident_type": {"id": "01Y", "name": "Production outage"},
        "permalink": "https://app.incident.example/incidents/123",
        "incident_role_assignments": [
            {"role": {"name": "Scribe", "role_type": "custom"}, "assignee": {"email": "a@x"}},
            {"role": {"name": "Lead", "role_type": "lead"}, "assignee": {"email": "zoe@x.io"}},
        ],
        "custom_field_entries": [
            {
                "custom_field": {"name": "Affected services"},
                "values": [{"value_catalog_entry": {"name": "pay"}}, {"value_text": "cart"}],
            },
            {"custom_field": {"name": "Team"}, "values": [{"value_option": {"value": "Core"}}]},
            {"custom_field": {"name": "Region"}, "values": []},
            {"custom_field": {"name": "Env"}, "values": [{"value_option": {"value": "prod"}}]},
        ],
        "incident_timestamp_values": list(stamps),
        **more,
    }


def event(name, body):
    return {"event_type": name, name: body}


CREATED = "public_incident.incident_created_v2"
UPDATED = "public_incident.incident_updated_v2"
STATUS = "public_incident.incident_status_updated_v2"


def facts(*stamps, **more):
    [said] = READ(event(UPDATED, incident(*stamps, **more))).statements
    return said.facts


def test_the_object_stands_under_the_name_of_its_event():
    stamps = [stamp("Impact started", "11:50"), stamp("Reported at", "11:58"), stamp("Fixed at")]
    [said] = READ(event(CREATED, incident(*stamps))).statements
    assert (said.kind, said.id, said.status) == ("incident", "01FDAG4SAP5TYPT98WGR2N7W91", "live")
    assert (said.said_at, said.happened) == (at("13:00"), ())
    assert dict(said.facts) == {
        "title": "Checkout is down",
        "mode": Mode.REAL,
        "severity": Severity.P2,
        "severity_name": "Major",
        "impact_started_at": at("11:50"),
        "declared_at": at("11:58"),
        "detected_at": at("11:58"),
        "mitigated_at": None,
        "dismissed": None,
        "commander": "zoe@x.io",
        "services": ("pay", "cart"),
        "environment": "prod",
        "labels": {
            "reference": "INC-123",
            "type": "Production outage",
            "visibility": "public",
            "Team": "Core",
            "Region": None,
        },
        "references": {"incident": "https://app.incident.example/incidents/123"},
    }


def test_timestamps_of_ones_own_are_marks_or_mapped():
    own = stamp("Service back", "12:30")
    assert facts(own)["marks"] == {"Service back": at("12:30")}
    options = Options(values={"timestamp": {"Service back": "mitigated"}})
    [said] = READ(event(UPDATED, incident(own)), options).statements
    assert said.facts["mitigated_at"] == at("12:30")
    wrong = Options(values={"timestamp": {"Service back": "gone"}})
    assert READ(event(UPDATED, incident(own)), wrong).dropped[0].value == "gone"
    assert "marks" not in facts(stamp("Last activity", "12:59"))


def test_what_was_detected_counts_before_what_was_reported():
    told = facts(stamp("Detected at", "11:40"), stamp("Reported at", "11:58"))
    assert (told["detected_at"], told["declared_at"]) == (at("11:40"), at("11:58"))


def test_a_retrospective_incident_is_created_long_after_and_a_test_is_one():
    told = facts(mode="retrospective")
    assert ("detected_at" in told, "declared_at" in told, told["mode"]) == (False, False, Mode.REAL)
    assert facts(mode="tutorial")["mode"] is Mode.TEST


def test_moments_of_an_earlier_end_do_not_count_while_it_is_open():
    read = READ(event(UPDATED, incident(stamp("Resolved at", "12:30"), category="live")))
    assert read.statements[0].facts["resolved_at"] is None
    assert [each.what for each in read.dropped] == [f"{UPDATED}.resolved_at"]
    told = facts(stamp("Resolved at", "12:30"), stamp("Closed at", "12:40"), category="closed")
    assert (told["resolved_at"], told["closed_at"]) == (at("12:30"), at("12:40"))


def test_a_status_event_tells_an_end_only_where_no_timestamp_does():
    def status_event(*stamps):
        body = {
            "incident": incident(*stamps, category="learning"),
            "new_status": {"category": "learning"},
            "previous_status": {"category": "live"},
        }
        [said] = READ(event(STATUS, body)).statements
        return said.happened, "resolved_at" in said.facts

    assert status_event() == ((Happening("resolved", at("13:00")),), False)
    assert status_event(stamp("Resolved at")) == ((Happening("resolved", at("13:00")),), False)
    assert status_event(stamp("Resolved at", "12:30")) == ((), True)
    assert "resolved_at" not in facts(category="learning")


def test_a_step_back_is_told_by_the_timestamp_that_counts_no_more_or_by_the_event():
    def back(*stamps):
        body = {
            "incident": incident(*stamps, category="live"),
            "new_status": {"category": "live"},
            "previous_status": {"category": "closed"},
        }
        [said] = READ(event(STATUS, body)).statements
        return said.happened, said.facts.get("resolved_at", "not spoken of")

    reopened = (Happening("reopened", at("13:00")),)
    assert back() == back(stamp("Resolved at")) == (reopened, "not spoken of")
    assert back(stamp("Resolved at", "12:30")) == ((), None)
    told = facts(stamp("Closed at", "12:40"), category="learning")
    assert told["closed_at"] is None


@pytest.mark.parametrize(
    ("category", "reason"),
    [
        ("declined", DismissalReason.FALSE_POSITIVE),
        ("canceled", DismissalReason.FALSE_POSITIVE),
        ("merged", DismissalReason.DUPLICATE),
        ("triage", None),
        ("paused", None),
        ("live", None),
        ("learning", None),
        ("closed", None),
    ],
)
def test_each_category(category, reason):
    assert facts(category=category)["dismissed"] == reason
    assert category in FORMAT.statuses


@pytest.mark.parametrize(
    ("word", "severity"), [("Critical", "P1"), ("major", "P2"), ("Minor", "P3"), ("Sev 9", None)]
)
def test_each_severity(word, severity):
    read = READ(event(UPDATED, incident(severity={"name": word})))
    assert read.statements[0].facts.get("severity") == severity
    assert [each.value for each in read.dropped] == ([] if severity else [word])


def test_of_what_is_private_only_the_id_is_told():
    name = "private_incident.incident_created_v2"
    read = READ(event(name, {"id": "01FDAG"}))
    assert read.statements == ()
    assert [(each.what, each.value) for each in read.dropped] == [(name, "01FDAG")]


@pytest.mark.parametrize(
    "name",
    [
        "public_incident.follow_up_created_v2",
        "public_incident.action_updated_v1",
        "public_incident.postmortem_document_status_updated_v1",
        "public_alert.alert_created_v1",
    ],
)
def test_what_is_no_fact_of_an_incident_is_listed(name):
    read = READ(event(name, {"id": "01A", "incident_id": "01FDAG", "title": "Fix it"}))
    assert read.statements == ()
    assert [(each.what, each.value) for each in read.dropped] == [("event_type", name)]


def test_the_api_gives_the_same_objects_alone_and_in_lists():
    [said] = READ(event(CREATED, incident())).statements
    listed = {"incidents": [incident(), incident(id="01OTHER")], "pagination_meta": {}}
    assert READ(incident()).statements == READ({"incident": incident()}).statements == (said,)
    ids = [READ(each).statements[0].id for each in payloads_of(listed, FORMAT)]
    assert ids == [said.id, "01OTHER"]


def test_an_incident_without_id_and_a_time_without_zone_are_refused():
    with pytest.raises(InvalidValue, match="id"):
        READ(event(CREATED, {"name": "x"}))
    with pytest.raises(InvalidValue, match="no UTC offset"):
        READ(incident(updated_at="2026-03-06T13:00:00"))
    [said] = READ(incident(updated_at="2026-03-06T13:00:00"), Options(tz="UTC")).statements
    assert said.said_at.astimezone(UTC) == at("13:00")


def test_anything_is_read_or_refused():
    stamps = [stamp("Fixed at", "12:10"), stamp("Own", "12:20")]
    body = {"incident": incident(*stamps), "new_status": {"category": "closed"}}
    reads_or_refuses(READ, [event(CREATED, incident(*stamps)), event(STATUS, body)])
