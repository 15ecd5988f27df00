"""Alertmanager's webhook, version 4: samples of its documented shape, with its traps."""

from datetime import UTC, datetime

import pytest

from garbled import survives
from imcm.domain.vocabulary import Channel, Severity
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening

READ = format_named("alertmanager").read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


def alert(**more):
    return {
        "status": "firing",
        "labels": {"alertname": "HighErrors", "severity": "page", "service": "pay"},
        "annotations": {"summary": "Payments fail"},
        "startsAt": "2026-03-06T12:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://prometheus.example/graph",
        "fingerprint": "c0ffee",
        **more,
    }


def group(*alerts, **more):
    return {
        "version": "4",
        "groupKey": '{}:{alertname="HighErrors"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "imcm",
        "groupLabels": {"alertname": "HighErrors"},
        "commonLabels": {"env": "prod"},
        "commonAnnotations": {},
        "externalURL": "https://alertmanager.example",
        "alerts": list(alerts),
        **more,
    }


def test_a_firing_alert_is_an_incident_that_was_detected():
    [said] = READ(group(alert())).statements
    assert (said.kind, said.id, said.status) == ("incident", "c0ffee@20260306T120000Z", "firing")
    assert said.happened == (Happening("detected", NOON.replace(microsecond=123456)),)
    assert dict(said.facts) == {
        "title": "Payments fail",
        "channel": Channel.MONITORING,
        "monitor": "HighErrors",
        "severity": Severity.P1,
        "severity_name": "page",
        "services": ("pay",),
        "environment": "prod",
        "labels": {"alertname": "HighErrors", "env": "prod", "severity": "page", "service": "pay"},
        "references": {"alert": "https://prometheus.example/graph"},
    }


def test_the_end_while_it_fires_is_no_end_and_a_resolved_one_has_one():
    ended = alert(status="resolved", endsAt="2026-03-06T12:30:00Z")
    [said] = READ(group(ended, status="resolved")).statements
    assert said.happened[1] == Happening("resolved", NOON.replace(minute=30))
    [said] = READ(group(alert(status="resolved"))).statements
    assert [each.what for each in said.happened] == ["detected"]


def test_each_alert_has_its_own_status_whatever_that_of_the_group():
    one, other = READ(
        group(alert(), alert(fingerprint="b", status="resolved", endsAt="2026-03-06T13:00:00Z"))
    ).statements
    assert (one.status, other.status) == ("firing", "resolved")


def test_one_that_fires_anew_is_another_incident_or_a_reopening():
    again = alert(startsAt="2026-03-07T12:00:00Z")
    assert [s.id for s in READ(group(alert(), again)).statements] == [
        "c0ffee@20260306T120000Z",
        "c0ffee@20260307T120000Z",
    ]
    same = READ(group(alert(), again), Options(refires="reopens")).statements
    assert {s.id for s in same} == {"c0ffee"}


def test_what_does_not_fit_is_listed():
    odd = alert(labels={"severity": "sev9"}, annotations={"summary": 5}, startsAt="yesterday")
    read = READ(group(odd, alert(labels={"severity": "sev9"}), truncatedAlerts=3, alerts_x=1))
    assert len(read.statements) == 1
    assert [(each.what, each.value) for each in read.dropped] == [
        ("truncatedAlerts", "3"),
        ("alerts[0].startsAt", "yesterday"),
        ("alerts[0].startsAt", "yesterday"),
        ("alerts[1].severity", "sev9"),
    ]
    options = Options(values={"severity": {"SEV9": "P4", "page": ""}})
    [said] = READ(group(alert(labels={"severity": "sev9"})), options).statements
    assert said.facts["severity"] is Severity.P4
    [said] = READ(group(alert()), options).statements
    assert ("severity" in said.facts, said.facts["severity_name"]) == (False, "page")


@pytest.mark.parametrize(
    ("payload", "named"),
    [([], "payload"), (group(alert(fingerprint="")), "fingerprint")],
)
def test_what_can_not_be_told_apart_is_refused(payload, named):
    with pytest.raises(InvalidValue, match=named):
        READ(payload)


def test_a_time_without_a_zone_is_refused_unless_one_is_given():
    naive = group(alert(startsAt="2026-03-06 13:00:00"))
    with pytest.raises(InvalidValue, match="no UTC offset"):
        READ(naive)
    [said] = READ(naive, Options(tz="Europe/Oslo")).statements
    assert said.happened[0].at == NOON


@pytest.mark.parametrize(
    ("labels", "channel", "services"),
    [
        ({"job": "blackbox", "instance": "https://pay.example"}, Channel.SYNTHETIC, None),
        ({"job": "blackbox-http", "service": "pay"}, Channel.SYNTHETIC, ("pay",)),
        ({"job": "probe/web/pay"}, Channel.SYNTHETIC, None),
        ({"job": "pay", "probe": "Oslo"}, Channel.SYNTHETIC, ("pay",)),
        ({"job": "pay"}, Channel.MONITORING, ("pay",)),
        ({"job": "probes"}, Channel.MONITORING, ("probes",)),
    ],
)
def test_a_probe_from_outside_is_a_synthetic_check_and_its_job_no_service(
    labels, channel, services
):
    [said] = READ(group(alert(labels={"alertname": "ProbeFailed", **labels}))).statements
    assert (said.facts["channel"], said.facts.get("services")) == (channel, services)
    by_target = Options(service_label=("instance", "service", "job"))
    [said] = READ(group(alert(labels=labels)), by_target).statements
    assert said.facts.get("services") == (
        (labels["instance"],) if "instance" in labels else services
    )


def test_one_label_or_address_that_can_not_be_kept_does_not_take_the_alert_with_it():
    odd = alert(
        labels={"alertname": "A", "": "nameless", "bad\x00": "x", "ok": "y"},
        annotations={"runbook_url": "https://runbooks.example/a"},
        generatorURL="https://prometheus.example/" + "x" * 400,
    )
    read = READ(group(odd))
    [said] = read.statements
    assert said.facts["labels"] == {"alertname": "A", "env": "prod", "ok": "y"}
    assert set(said.facts["references"]) == {"alert", "runbook"}
    assert len(read.dropped) == 2


def test_a_group_without_alerts_says_so():
    assert [each.what for each in READ(group()).dropped] == ["alerts"]
    assert [each.what for each in READ({}).dropped] == ["alerts"]


def test_an_uncertain_start_is_listed():
    read = READ(group(alert(startsAt="2026-10-25T01:30:00")), Options(tz="Europe/London"))
    assert read.statements == ()
    assert "came twice" in read.dropped[0].why


def test_whatever_arrives_is_answered():
    survives(READ, [group(alert(), alert(status="resolved", endsAt="2026-03-06T13:00:00Z"))])


def test_a_status_that_is_not_known_is_listed_and_ends_nothing():
    read = READ(group(alert(status="paused", endsAt="2026-03-06T13:00:00Z")))
    assert [(each.what, each.value) for each in read.dropped] == [("alerts[0].status", "paused")]
    assert [each.what for each in read.statements[0].happened] == ["detected"]
