"""Opsgenie's webhook and rows: samples of their documented shape, with their traps."""

from datetime import UTC, datetime, timedelta

import pytest

from garbled import survives
from imcm.domain.vocabulary import Severity
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named, payloads_of
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening, Statement

OPSGENIE = format_named("opsgenie")
READ = OPSGENIE.read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)
CREATED = 1_772_798_400_104
UPDATED = 1_772_798_460_166_002_456
ID = "052652ac-5d1c-464a-812a-7dd18bbfba8c"


def sent(action="Create", **more):
    return {
        "source": {"name": "web", "type": "API"},
        "alert": {
            "alertId": ID,
            "alias": "checkout-down",
            "tinyId": "23",
            "message": "Checkout is down",
            "tags": ["checkout", "web"],
            "teams": ["team1"],
            "recipients": ["zoe"],
            "priority": "P2",
            "source": "zoe@example.org",
            "username": "zoe@example.org",
            "createdAt": CREATED,
            "updatedAt": UPDATED,
            "details": {"service": "checkout", "env": "prod"},
            "entity": "",
            **more,
        },
        "action": action,
        "integrationId": "37c8f316",
        "integrationName": "imcm",
    }


def alert_row(**more):
    return {
        "id": ID,
        "tinyId": "23",
        "alias": "checkout-down",
        "message": "Checkout is down",
        "status": "closed",
        "acknowledged": True,
        "tags": [],
        "count": 3,
        "createdAt": "2026-03-06T12:00:00Z",
        "updatedAt": "2026-03-06T14:00:00.49Z",
        "priority": "P5",
        "responders": [{"type": "team", "id": "c0259fb8"}],
        "report": {"ackTime": 60_000, "closeTime": 90_500, "acknowledgedBy": "zoe@example.org"},
        **more,
    }


def incident_row(**more):
    return {
        "id": "3f84e009",
        "message": "Checkout is down",
        "impactedServices": ["695bce3d", "another"],
        "tinyId": "1",
        "status": "resolved",
        "tags": [],
        "createdAt": "2026-03-06T12:05:00Z",
        "updatedAt": "2026-03-06T13:00:00.49Z",
        "priority": "P1",
        "ownerTeam": "",
        "responders": [],
        "extraProperties": {},
        "links": {"web": "https://acme.opsgenie.example/3f84e009", "api": "https://api.example"},
        "impactStartDate": "2026-03-06T12:00:00Z",
        "impactEndDate": "2026-03-06T13:00:00Z",
        **more,
    }


# --- webhooks -------------------------------------------------------------------------------------


def test_creation_counts_milliseconds_and_updates_count_nanoseconds():
    read = READ(sent())
    assert read.dropped == ()
    assert read.statements == (
        Statement(
            kind="incident",
            id=ID,
            facts={
                "title": "Checkout is down",
                "severity": Severity.P2,
                "severity_name": "P2",
                "services": ("checkout",),
                "environment": "prod",
                "labels": {
                    "service": "checkout",
                    "env": "prod",
                    "alias": "checkout-down",
                    "number": "23",
                    "team": "team1",
                    "tags": "checkout, web",
                },
            },
            happened=(Happening("detected", NOON.replace(microsecond=104_000)),),
            said_at=NOON.replace(minute=1, microsecond=166_002),
            status="Create",
        ),
    )


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("Create", None),
        ("Acknowledge", "acknowledged"),
        ("Close", "resolved"),
        ("UnAcknowledge", None),
        ("AddNote", None),
        ("UpdatePriority", None),
        ("Escalate", None),
    ],
)
def test_actions(action, what):
    read = READ(sent(action))
    [said] = read.statements
    at = NOON.replace(minute=1, microsecond=166_002)
    expected = [] if what is None else [Happening(what, at, "zoe@example.org")]
    assert list(said.happened[1:]) == expected
    assert [each.what for each in read.dropped] == ["action"] * (action == "UnAcknowledge")


def test_a_deleted_alert_is_gone_from_its_source():
    assert [READ(sent(action)).statements[0].gone for action in ("Delete", "Close")] == [
        True,
        False,
    ]


def test_an_alias_that_comes_again_is_another_incident():
    [one] = READ(sent()).statements
    [other] = READ(sent(alertId="another")).statements
    assert one.facts["labels"]["alias"] == other.facts["labels"]["alias"]
    assert one.id != other.id


def test_an_unknown_action_and_one_without_a_time_are_listed():
    read = READ(sent("Juggle"))
    assert [(each.what, each.value) for each in read.dropped] == [("action", "Juggle")]
    read = READ(sent("Close", updatedAt=0, priority="P9"))
    assert [each.what for each in read.dropped] == ["alert.updatedAt", "alert.severity"]
    assert [each.what for each in read.statements[0].happened] == ["detected"]


@pytest.mark.parametrize("rank", range(1, 6))
def test_severities(rank):
    [said] = READ(sent(priority=f"P{rank}")).statements
    assert (said.facts["severity"], said.facts["severity_name"]) == (f"P{min(rank, 4)}", f"P{rank}")


# --- rows -----------------------------------------------------------------------------------------


def test_a_row_of_an_alert_tells_after_how_long():
    [said] = READ(alert_row()).statements
    assert said == Statement(
        kind="incident",
        id=ID,
        facts={
            "title": "Checkout is down",
            "severity": Severity.P4,
            "severity_name": "P5",
            "labels": {"alias": "checkout-down", "number": "23"},
            "detected_at": NOON,
            "acknowledged_at": NOON + timedelta(minutes=1),
            "acknowledged_by": "zoe@example.org",
            "resolved_at": NOON + timedelta(seconds=90.5),
        },
        said_at=NOON.replace(hour=14, microsecond=490_000),
        status="closed",
    )
    assert READ({"data": alert_row(), "took": 0.1}).statements == (said,)
    assert list(payloads_of({"data": [alert_row()]}, OPSGENIE)) == [alert_row()]


def test_an_open_alert_has_no_end_and_a_closed_one_may_not_say_when():
    [said] = READ(alert_row(status="open", report=None)).statements
    assert said.facts["resolved_at"] is None
    read = READ(alert_row(report={}))
    assert "resolved_at" not in read.statements[0].facts
    assert [(each.what, each.value) for each in read.dropped] == [("status", "closed")]
    read = READ(alert_row(report={"closeTime": 1 << 62}))
    assert [each.what for each in read.dropped] == ["report.closeTime", "status"]


def test_teams_may_be_objects():
    [said] = READ(alert_row(teams=[{"id": "a"}, {"id": "b"}])).statements
    assert said.facts["labels"]["team"] == "a, b"


def test_a_row_of_an_incident_tells_its_impact():
    [said] = READ(incident_row()).statements
    assert said == Statement(
        kind="incident",
        id="3f84e009",
        facts={
            "title": "Checkout is down",
            "severity": Severity.P1,
            "severity_name": "P1",
            "services": ("695bce3d", "another"),
            "labels": {"number": "1"},
            "references": {"incident": "https://acme.opsgenie.example/3f84e009"},
            "impact_started_at": NOON,
            "detected_at": NOON.replace(minute=5),
            "declared_at": NOON.replace(minute=5),
            "resolved_at": NOON.replace(hour=13),
        },
        said_at=NOON.replace(hour=13, microsecond=490_000),
        status="resolved",
    )


def test_the_end_of_the_impact_mitigates_an_open_incident_and_resolves_no_other():
    detected = "2026-03-06T12:02:00Z"
    [said] = READ(incident_row(status="open", impactDetectDate=detected)).statements
    facts = said.facts
    assert (facts["detected_at"], facts["mitigated_at"], facts["resolved_at"]) == (
        NOON.replace(minute=2),
        NOON.replace(hour=13),
        None,
    )
    read = READ(incident_row(status="closed", impactEndDate=None))
    assert "resolved_at" not in read.statements[0].facts
    assert [each.what for each in read.dropped] == ["status"]


def test_a_time_without_a_zone_is_refused_unless_one_is_given():
    naive = incident_row(impactStartDate="2026-03-06T13:00:00")
    with pytest.raises(InvalidValue, match="no UTC offset"):
        READ(naive)
    [said] = READ(naive, Options(tz="Europe/Oslo")).statements
    assert said.texts == {"impact_started_at": "2026-03-06T13:00:00"}


@pytest.mark.parametrize("payload", [{}, {"action": "Create"}, {"data": {}}])
def test_without_an_id_nothing_can_be_told(payload):
    with pytest.raises(InvalidValue, match=r"id|alertId"):
        READ(payload)


def test_whatever_arrives_is_answered():
    survives(READ, [sent("Close"), alert_row(), incident_row()])


@pytest.mark.parametrize("row", [alert_row(status="muted"), incident_row(status="muted")])
def test_a_status_that_is_not_known_is_listed_and_ends_nothing(row):
    read = READ(row)
    assert [(each.what, each.value) for each in read.dropped] == [("status", "muted")]
    assert "resolved_at" not in read.statements[0].facts
