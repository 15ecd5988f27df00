"""Grafana Alerting's webhook: samples of its documented shape, with its traps."""

from datetime import UTC, datetime

from garbled import survives
from imcm.domain.vocabulary import Channel, Severity
from imcm.interchange.formats import format_named
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening, Statement

READ = format_named("grafana").read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


def alert(**more):
    return {
        "status": "firing",
        "labels": {"alertname": "Slow checkout", "severity": "critical", "app": "checkout"},
        "annotations": {"summary": "Checkout is slow", "runbook_url": "https://runbooks.example/c"},
        "startsAt": "2026-03-06T13:00:00+01:00",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://grafana.example/alerting/1/edit",
        "fingerprint": "c6eadffa33fcdf37",
        "silenceURL": "https://grafana.example/alerting/silence/new?" + "m" * 300,
        "dashboardURL": "https://grafana.example/d/1",
        "panelURL": "",
        "values": {"B": 44.2, "C": 1},
        "valueString": "[ var='B' labels={} value=44.2 ]",
        **more,
    }


def group(*alerts, **more):
    return {
        "receiver": "imcm",
        "status": "firing",
        "state": "alerting",
        "orgId": 1,
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {"env": "prod"},
        "commonAnnotations": {},
        "externalURL": "https://grafana.example/",
        "version": "1",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "title": "[FIRING:1]  (Slow checkout)",
        "message": "**Firing** ...",
        **more,
    }


def test_a_firing_alert_is_an_incident_that_was_detected():
    [said] = READ(group(alert())).statements
    assert said == Statement(
        kind="incident",
        id="c6eadffa33fcdf37@20260306T120000Z",
        facts={
            "title": "Checkout is slow",
            "channel": Channel.MONITORING,
            "monitor": "Slow checkout",
            "severity": Severity.P1,
            "severity_name": "critical",
            "services": ("checkout",),
            "environment": "prod",
            "labels": {
                "env": "prod",
                "alertname": "Slow checkout",
                "severity": "critical",
                "app": "checkout",
            },
            "references": {
                "alert": "https://grafana.example/alerting/1/edit",
                "dashboard": "https://grafana.example/d/1",
                "runbook": "https://runbooks.example/c",
            },
        },
        happened=(Happening("detected", NOON),),
        status="firing",
    )


def test_each_alert_counts_and_not_the_state_of_the_group():
    ended = alert(status="resolved", endsAt="2026-03-06T12:30:00Z", fingerprint="b")
    one, other = READ(group(alert(), ended, state="ok", status="resolved")).statements
    assert (one.status, [each.what for each in one.happened]) == ("firing", ["detected"])
    assert other.happened == (
        Happening("detected", NOON),
        Happening("resolved", NOON.replace(minute=30)),
    )


def test_firing_anew_is_another_incident_or_a_reopening():
    again = group(alert(), alert(startsAt="2026-03-07T12:00:00Z"))
    assert len({each.id for each in READ(again).statements}) == 2
    assert len({each.id for each in READ(again, Options(refires="reopens")).statements}) == 1


def test_alerts_that_were_cut_off_are_listed():
    assert [each.what for each in READ(group(alert(), truncatedAlerts=2)).dropped] == [
        "truncatedAlerts"
    ]


def test_missing_data_is_an_alert_of_the_rule():
    labels = {"alertname": "DatasourceNoData", "rulename": "Slow checkout"}
    [said] = READ(group(alert(labels=labels))).statements
    assert said.facts["monitor"] == "Slow checkout"
    assert said.facts["labels"]["alertname"] == "DatasourceNoData"


def test_a_test_and_legacy_alerting_tell_nothing():
    trial = READ(group(alert(labels={"alertname": "TestAlert", "instance": "Grafana"})))
    assert (trial.statements, trial.dropped[0].what, trial.dropped[0].why) == (
        (),
        "alerts[0]",
        "a test of the contact point",
    )
    legacy = READ({"ruleId": 1, "ruleName": "x", "state": "alerting", "evalMatches": []})
    assert legacy.statements == ()
    assert "legacy" in legacy.dropped[0].why


def test_whatever_arrives_is_answered():
    survives(READ, [group(alert(), alert(labels={"alertname": "x", "rulename": "y"}))])
