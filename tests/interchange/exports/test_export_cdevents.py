"""CDEvents: what the specification asks for, what is linked, what stays the same, what is gone."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import exported
from exported import HOSTILE, LOGS, SECRET, minutes
from imcm import Ledger, LedgerReader, Severity, change, incident
from imcm.errors import InvalidValue, NaiveTimeError
from imcm.interchange.exports.cdevents import SPEC, TYPES, is_cdevents, write_cdevents
from imcm.interchange.exports.targets import Ends
from imcm.interchange.formats import format_named

READ = format_named("cdevents").read
CONTEXT = {"specversion", "id", "source", "type", "timestamp", "schemaUri", "chainId", "links"}
CONTENT = {
    "incident.detected": {"description", "environment", "service", "artifactId"},
    "incident.reported": {"description", "environment", "service", "artifactId", "ticketURI"},
    "incident.resolved": {"description", "environment", "service", "artifactId"},
    "service.deployed": {"environment", "artifactId"},
    "service.rolledback": {"environment", "artifactId"},
    "change.created": {"description", "repository"},
    "change.merged": {"description", "repository"},
}
REQUIRED = {
    "incident.detected": {"environment"},
    "incident.reported": {"environment", "ticketURI"},
    "incident.resolved": {"environment"},
    "service.deployed": {"environment", "artifactId"},
    "service.rolledback": {"environment", "artifactId"},
    "change.created": set(),
    "change.merged": set(),
}
URI = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def written(ledger, **options):
    file = io.BytesIO()
    done = write_cdevents(ledger, file, **options)
    lines = file.getvalue().splitlines(keepends=True)
    assert all(line.endswith(b"\n") for line in lines)
    assert done.events == len(lines)
    return [json.loads(line) for line in lines], done


def is_text(value):
    return isinstance(value, str) and value != ""


def check(event):
    """Hold one event against the rules of the specification and of its CloudEvents binding."""
    data = event["data"]
    assert set(event) == {"specversion", "id", "source", "type", "subject", "time",
                          "datacontenttype", "data"}  # fmt: skip
    assert set(data) <= {"context", "subject", "customData", "customDataContentType"}
    context, subject = data["context"], data["subject"]
    assert event["specversion"] == "1.0"
    assert context["specversion"] == SPEC == "0.5.0"
    for outer, inner in (("id", "id"), ("source", "source"), ("type", "type"),
                         ("time", "timestamp")):  # fmt: skip
        assert event[outer] == context[inner]
        assert is_text(context[inner])
    assert event["subject"] == subject["id"]
    assert set(context) <= CONTEXT
    assert URI.fullmatch(context["source"])
    assert RFC3339.fullmatch(context["timestamp"])
    name = context["type"].removeprefix("dev.cdevents.")
    kind = ".".join(name.split(".")[:2])
    assert name == f"{kind}.{TYPES[kind]}"
    assert set(subject) <= {"id", "source", "content"}
    assert is_text(subject["id"])
    content = subject["content"]
    assert REQUIRED[kind] <= set(content) <= CONTENT[kind]
    for reference in ("environment", "service", "repository"):
        if reference in content:
            assert set(content[reference]) == {"id"}
            assert is_text(content[reference]["id"])
    for text in ("description", "artifactId"):
        assert text not in content or is_text(content[text])
    if "artifactId" in content:
        assert content["artifactId"].startswith("pkg:")
    if "ticketURI" in content:
        assert re.fullmatch(f"[A-Za-z][A-Za-z0-9+.-]*:{URI.pattern}", content["ticketURI"])
    assert isinstance(data["customData"], dict)
    for link in context.get("links", []):
        if link["linkType"] == "RELATION":
            assert set(link) == {"linkType", "linkKind", "target"}
            assert is_text(link["linkKind"])
            assert is_text(link["target"]["contextId"])
        else:
            assert link["linkType"] == "PATH"
            assert set(link) == {"linkType", "from"}
            assert is_text(link["from"]["contextId"])
    return kind


@pytest.fixture
def ledger(tmp_path):
    with exported.told(tmp_path / "ledger.db") as made:
        yield made


def by_type(events):
    found = {}
    for event in events:
        found.setdefault(check(event), []).append(event)
    return found


def test_what_is_told_of_incidents_and_deployments(ledger):
    """Each event is valid; corrected moments, severities, services and links are in it."""
    events, done = written(ledger)
    found = by_type(events)
    assert {kind: len(some) for kind, some in found.items()} == {
        "change.created": 1, "change.merged": 1, "service.deployed": 1, "service.rolledback": 2,
        "incident.detected": 3, "incident.reported": 1, "incident.resolved": 2,
    }  # fmt: skip
    [deployed] = found["service.deployed"]
    assert deployed["subject"] == "checkout"
    assert deployed["data"]["subject"]["content"]["artifactId"] == "pkg:generic/checkout@5.4"
    assert deployed["data"]["customData"]["services"] == ["checkout", "=cart"]
    taken_out, back = found["service.rolledback"]
    assert taken_out["data"]["context"]["links"] == [
        {"linkType": "PATH", "from": {"contextId": deployed["id"]}}
    ]
    detected = next(e for e in found["incident.detected"] if e["subject"] == "INC-1")
    custom = detected["data"]["customData"]
    assert detected["time"] == "2026-03-06T12:04:00Z"
    assert custom["between"] == ["2026-03-06T12:03:00Z", "2026-03-06T12:05:00Z"]
    assert (custom["severity"], custom["labels"]) == ("P1", {"@team": HOSTILE[6]})
    assert detected["data"]["subject"]["content"]["description"] == HOSTILE[4]
    assert detected["data"]["context"]["links"] == [
        {"linkType": "RELATION", "linkKind": "CAUSE", "target": {"contextId": deployed["id"]}}
    ]
    resolved = next(e for e in found["incident.resolved"] if e["subject"] == "INC-1")
    assert resolved["time"] == "2026-03-06T13:01:00Z"  # as corrected
    assert resolved["data"]["context"]["links"][0]["target"] == {"contextId": back["id"]}
    [reported] = found["incident.reported"]
    assert reported["data"]["subject"]["content"]["ticketURI"] == "https://t.example/7?a=%C3%BC%7Cb"
    assert reported["time"] == "2026-03-06T12:06:00Z"
    assert done.left_out == {
        "a change of kind configuration that deploys no service": 1,
        "a change without a service": 1,
        "at an unknown time": 1,
        "voided": 1,
    }


def test_ids_are_unique_and_stay(ledger, tmp_path):
    """The same event has the same id: written again, earlier, and from a copy of the ledger."""
    events, _ = written(ledger)
    ids = [event["id"] for event in events]
    assert len(set(ids)) == len(ids)
    assert written(ledger)[0] == events
    with Ledger.restored(tmp_path / "copy.db", ledger.rows()) as copy:
        assert [event["id"] for event in written(copy)[0]] == ids
    earlier, _ = written(ledger, known_at=minutes(64))
    assert 0 < len(earlier) < len(events)
    assert {event["id"] for event in earlier} <= set(ids)


def test_our_own_format_reads_it_back(ledger):
    """Nothing is dropped but what is of source code; moments, severities, services are there."""
    events, _ = written(ledger)
    said = []
    for event in events:
        read = READ(event)
        is_code = ".change." in event["type"]
        assert bool(read.dropped) == is_code
        said += read.statements
    incidents = {}
    for statement in said:
        if statement.kind == "incident":
            incidents.setdefault(statement.id.rpartition("/")[2], []).append(statement)
    facts = {row.id: row for row in ledger.facts().incidents}
    one = incidents["INC-1"]
    happened = {h.what: h.at for statement in one for h in statement.happened}
    assert happened == {"detected": minutes(4), "resolved": facts["INC-1"].alone.resolved_at}
    assert {statement.facts.get("severity") for statement in one} == {Severity.P1}
    assert {statement.facts["services"] for statement in one} == {("checkout",)}
    changes = [statement for statement in said if statement.kind == "change"]
    assert [s.facts["kind"].value for s in changes] == ["deployment", "rollback", "rollback"]
    assert {statement.delivery for statement in said} <= {event["id"] for event in events}


@pytest.mark.parametrize("name", LOGS)
def test_every_golden_log(name, tmp_path):
    """Events of every type that there ever was: what comes out is valid and is read back."""
    with exported.golden(name, tmp_path / "ledger.db") as ledger:
        events, _ = written(ledger)
        for event in events:
            check(event)
            assert READ(event).statements
        for event in written(ledger, words=False)[0]:
            assert "description" not in event["data"]["subject"]["content"]


def test_golden_file(tmp_path, golden_file):
    """The file of a golden log is as it was."""
    with exported.golden("v0.1-merges", tmp_path / "ledger.db") as ledger:
        file = io.BytesIO()
        write_cdevents(ledger, file)
    golden_file("merges.cdevents.jsonl", file.getvalue())


def test_redacted_words_stay_gone(ledger):
    """What was taken out is nowhere, also not when an earlier state is asked for."""
    for known_at in (None, minutes(68)):
        assert SECRET not in json.dumps(written(ledger, known_at=known_at)[0])


def test_an_empty_ledger(tmp_path):
    """Nothing is an empty file."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert written(ledger) == ([], (0, {}))
        assert written(ledger, known_at=0) == ([], (0, {}))


def test_the_sdk_of_cloudevents_takes_it(ledger):
    """The envelope has what that library asks for."""
    pytest.importorskip("cloudevents")
    from cloudevents.v1.http import from_json

    for event in written(ledger)[0]:
        taken = from_json(json.dumps(event))
        assert taken["id"] == event["id"]
        assert taken.data == event["data"]


def test_what_is_refused(ledger):
    """Arguments that can't be right are named."""
    for options in ({"source": ""}, {"source": "a b"}, {"environment": ""}, {"known_at": "x"}):
        with pytest.raises(InvalidValue):
            written(ledger, **options)
    with pytest.raises(NaiveTimeError):
        written(ledger, known_at=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(InvalidValue):
        write_cdevents(ledger, "a file")
    with pytest.raises(InvalidValue):
        write_cdevents("a ledger", io.BytesIO())
    assert written(ledger, source="https://imcm.example/x")[0][0]["source"].startswith("https")


def test_it_knows_its_own_files(ledger):
    """What was written is known again, and nothing else is."""
    file = io.BytesIO()
    write_cdevents(ledger, file)
    assert is_cdevents(Ends("x", file.getvalue(), b""))
    for other in (b"{}", b"SQLite format 3\0", b'{"specversion":"1.0","id":"1"}\n'):
        assert not is_cdevents(Ends("x", other, other))


def test_reading_only(ledger, tmp_path):
    """A reader is enough, and changes nothing."""
    ledger.close()
    before = (tmp_path / "ledger.db").read_bytes()
    with LedgerReader(tmp_path / "ledger.db") as reader:
        assert written(reader)[0]
    assert before == (tmp_path / "ledger.db").read_bytes()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    title=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
    seconds=st.lists(st.integers(0, 10**6), min_size=2, max_size=2, unique=True),
    severity=st.sampled_from(Severity),
)
def test_what_is_lossless_comes_back(title, seconds, severity):
    """Of an incident the id, moments, title and severity survive being written and read."""
    first, last = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=s) for s in sorted(seconds))
    with Ledger.in_memory() as ledger:
        try:
            ledger.record("INC-1", incident.detect, by="a", at=first, title=title)
        except InvalidValue:
            return  # blank
        ledger.record("INC-1", incident.triage, by="a", at=first, severity=severity)
        ledger.record("INC-1", incident.resolve, by="a", at=last)
        ledger.record("CHG-1", change.observe, by="a", at=last, title=title, services=["web"])
        events, _ = written(ledger)
    said = [statement for event in events for statement in READ(event).statements]
    detected, resolved, deployed = said
    assert detected.happened[0].at == first
    assert resolved.happened[0].at == deployed.happened[0].at == last
    assert detected.facts["severity"] == severity
    assert events[0]["data"]["subject"]["content"]["description"] == title
