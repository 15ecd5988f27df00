"""Upptime's issues: samples of the shape in which GitHub gives them, with their traps."""

from datetime import UTC, datetime

import pytest

from garbled import survives
from imcm.domain.vocabulary import Channel, Symptom
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named
from imcm.interchange.statements import Statement

READ = format_named("upptime").read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


def issue(*labels, **more):
    return {
        "number": 12,
        "title": "🛑 Shop Front is down",
        "body": "In [`abc1234`](https://github.com/acme/status/commit/abc1234), Shop Front "
        "(https://shop.example) was **down**:\n- HTTP code: 503\n- Response time: 12 ms\n",
        "state": "open",
        "labels": [{"id": 1, "name": name} for name in labels or ("status", "shop-front")],
        "created_at": "2026-03-06T12:00:00Z",
        "updated_at": "2026-03-06T13:00:00Z",
        "closed_at": None,
        "state_reason": None,
        "user": {"login": "acme-bot"},
        "repository_url": "https://api.github.com/repos/acme/status",
        "html_url": "https://github.com/acme/status/issues/12",
        **more,
    }


CLOSED = {"state": "closed", "closed_at": "2026-03-06T12:40:00Z", "state_reason": "completed"}


def test_an_issue_is_how_an_incident_stands():
    read = READ(issue())
    assert read.dropped == ()
    assert read.statements == (
        Statement(
            kind="incident",
            id="acme/status#12",
            facts={
                "title": "🛑 Shop Front is down",
                "symptom": Symptom.SITE_DOWN,
                "channel": Channel.SYNTHETIC,
                "monitor": "upptime",
                "services": ("shop-front",),
                "labels": {"http_code": "503"},
                "references": {"issue": "https://github.com/acme/status/issues/12"},
                "detected_at": NOON,
                "resolved_at": None,
            },
            said_at=NOON.replace(hour=13),
            status="open",
        ),
    )


def test_a_closed_one_is_resolved_and_one_that_is_opened_again_has_no_end():
    [said] = READ(issue(**CLOSED)).statements
    assert (said.facts["resolved_at"], said.status) == (NOON.replace(minute=40), "closed")
    [said] = READ(issue(closed_at=None, state_reason="reopened")).statements
    assert said.facts["resolved_at"] is None


def test_one_closed_for_another_reason_says_so():
    read = READ(issue(**{**CLOSED, "state_reason": "not_planned"}))
    assert read.statements[0].facts["resolved_at"] == NOON.replace(minute=40)
    assert [each.what for each in read.dropped] == ["state_reason"]


@pytest.mark.parametrize(
    ("labels", "title", "services", "symptom"),
    [
        (("status", "shop-front"), "🛑 Shop Front is down", ("shop-front",), Symptom.SITE_DOWN),
        (
            ("web", "shop-front", "status"),
            "⚠️ Shop Front has degraded performance",
            ("shop-front",),
            Symptom.LATENCY,
        ),
        # Renamed since: the name makes another label, and Upptime goes by the label.
        (("status", "shop-front"), "🛑 Shop is down", ("shop-front",), Symptom.SITE_DOWN),
        (("status", "api", "web"), "Payments are slow", ("api", "web"), None),
        (("status",), "Something is up", None, None),
    ],
)
def test_the_site_is_the_label(labels, title, services, symptom):
    [said] = READ(issue(*labels, title=title)).statements
    assert (said.facts.get("services"), said.facts.get("symptom")) == (services, symptom)
    assert ("channel" in said.facts) == (symptom is not None)


def test_labels_may_be_texts():
    [said] = READ(issue(labels=["status", "shop-front"])).statements
    assert said.facts["services"] == ("shop-front",)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (issue("bug"), "no label status"),
        (issue("status", "maintenance"), "planned maintenance"),
        (issue(pull_request={"url": "https://api.example"}), "a pull request"),
        ({"zen": "Keep it logically awesome.", "hook_id": 1}, "a ping"),
    ],
)
def test_what_is_no_incident_is_listed(payload, why):
    read = READ(payload)
    assert (read.statements, why in read.dropped[0].why) == ((), True)


def test_a_webhook_tells_the_same_and_what_is_gone():
    plain = READ(issue()).statements
    assert READ({"action": "opened", "issue": issue()}).statements == plain
    status = {"name": "status"}
    for event in (
        {"action": "deleted", "issue": issue()},
        {"action": "transferred", "issue": issue()},
        {"action": "unlabeled", "label": status, "issue": issue("shop-front")},
    ):
        [said] = READ(event).statements
        assert (said.id, said.gone) == ("acme/status#12", True)
    [said] = READ({"action": "unlabeled", "label": {"name": "x"}, "issue": issue()}).statements
    assert not said.gone


@pytest.mark.parametrize(
    ("more", "named"),
    [({"number": None}, "number"), ({"repository_url": "", "html_url": "x"}, "html_url")],
)
def test_what_can_not_be_told_apart_is_refused(more, named):
    with pytest.raises(InvalidValue, match=named):
        READ(issue(**more))
    [said] = READ(issue(repository_url=None)).statements
    assert said.id == "acme/status#12"


def test_whatever_arrives_is_answered():
    survives(READ, [issue(**CLOSED), {"action": "deleted", "issue": issue()}])
