"""Splunk Observability's detector webhook: samples of its documented shape, with its traps."""

from datetime import UTC, datetime

import pytest

from garbled import survives
from imcm.domain.vocabulary import Channel, Severity
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening, Statement

READ = format_named("signalfx").read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


def sent(**more):
    return {
        "detector": "Checkout latency",
        "detectorId": "DabcAAAAYAA",
        "detectorUrl": "https://app.us1.signalfx.com/#/detector/DabcAAAAYAA",
        "rule": "Slower than a second",
        "severity": "Major",
        "status": "anomalous",
        "statusExtended": "anomalous",
        "eventType": "DabcAAAAYAA_rule1",
        "incidentId": "EaaaAAAAcAA",
        "timestamp": "2026-03-06T12:00:00Z",
        "messageTitle": "Major Alert: Slower than a second (Checkout latency)",
        "description": "the value of latency is above 1",
        "runbookUrl": "",
        "inputs": {
            "A": {
                "value": "1.4",
                "fragment": "data('latency')",
                "key": {"service": "checkout", "environment": "prod"},
            },
            "_S1": {"value": "1", "fragment": "threshold(1)"},
        },
        **more,
    }


def test_an_alert_is_an_incident_that_was_detected():
    read = READ(sent())
    assert read.dropped == ()
    assert read.statements == (
        Statement(
            kind="incident",
            id="EaaaAAAAcAA",
            facts={
                "title": "Slower than a second",
                "channel": Channel.MONITORING,
                "monitor": "Checkout latency",
                "severity": Severity.P2,
                "severity_name": "Major",
                "services": ("checkout",),
                "environment": "prod",
                "labels": {"service": "checkout", "environment": "prod"},
                "references": {"alert": "https://app.us1.signalfx.com/#/detector/DabcAAAAYAA"},
            },
            happened=(Happening("detected", NOON),),
            said_at=NOON,
            status="anomalous",
        ),
    )


@pytest.mark.parametrize(
    ("status", "extended", "what"),
    [
        ("anomalous", "anomalous", "detected"),
        ("ok", "ok", "resolved"),
        ("ok", "manually resolved", "resolved"),
        ("ok", "stopped", "closed"),
        ("manually resolved", None, "resolved"),
        ("stopped", None, "closed"),
        ("OK", "", "resolved"),
        ("OK", "MANUALLY_RESOLVED", "resolved"),
    ],
)
def test_only_ok_says_that_the_signal_is_good_and_stopped_resolves_nothing(status, extended, what):
    [said] = READ(sent(status=status, statusExtended=extended)).statements
    assert said.happened == (Happening(what, NOON),)
    assert said.status == (extended or status)


def test_its_clearing_is_of_the_same_incident_and_keeps_the_title():
    clear = sent(status="ok", statusExtended="ok", messageTitle="Back to normal: Slower ...")
    [said] = READ(clear).statements
    assert (said.id, said.facts["title"]) == ("EaaaAAAAcAA", "Slower than a second")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("Critical", "P1"), ("Major", "P2"), ("Minor", "P3"), ("Warning", "P4"), ("Info", "P4")],
)
def test_severities(theirs, ours):
    [said] = READ(sent(severity=theirs)).statements
    assert (said.facts["severity"], said.facts["severity_name"]) == (ours, theirs)


def test_a_template_may_leave_out_nearly_everything():
    read = READ({"incidentId": "E1", "status": "anomalous", "timestamp": 1772798400000})
    assert read.statements == (
        Statement(
            kind="incident",
            id="E1",
            facts={"channel": Channel.MONITORING},
            happened=(Happening("detected", NOON),),
            said_at=NOON,
            status="anomalous",
        ),
    )
    with pytest.raises(InvalidValue, match="incidentId"):
        READ({"status": "anomalous"})


def test_what_does_not_fit_is_listed():
    odd = sent(status="muted", statusExtended=None, severity="Sev0", timestamp="Fri, 6 Mar 2026")
    read = READ(odd)
    assert read.statements[0].happened == ()
    assert [each.what for each in read.dropped] == [
        "status",
        "timestamp",
        "timestamp",
        "severity",
    ]
    [said] = READ(odd, Options(values={"severity": {"sev0": "P1"}})).statements
    assert said.facts["severity"] is Severity.P1


def test_whatever_arrives_is_answered():
    survives(READ, [sent(), sent(timestamp=1772798400000, dimensions={"host": "a"})])
