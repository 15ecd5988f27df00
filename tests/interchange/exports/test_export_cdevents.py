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
from imcm import (
    ChangeType,
    Commit,
    Kind,
    Ledger,
    LedgerReader,
    Mode,
    Severity,
    Verdict,
    change,
    dora_report,
    incident,
    record_statements,
)
from imcm.domain.vocabulary import DismissalReason, Outcome, Result
from imcm.errors import InvalidValue, NaiveTimeError
from imcm.interchange.exports.cdevents import SPEC, TYPES, is_cdevents, write_cdevents
from imcm.interchange.exports.targets import Ends
from imcm.interchange.formats import format_named
from imcm.interchange.statements import Statement

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
    alone = facts["INC-1"].alone
    for statement in one:
        assert statement.facts["detected_at"] == alone.detected_at  # with both ends
        assert statement.facts["resolved_at"] == alone.resolved_at
        assert statement.facts["severity"] is Severity.P1
        assert statement.facts["services"] == ("checkout",)
        assert [id_.rpartition("/")[2] for id_ in statement.facts["caused_by"]] == ["CHG-1"]
    changes = [statement for statement in said if statement.kind == "change"]
    assert [s.id.rpartition("/")[2] for s in changes] == ["CHG-1", "CHG-1", "CHG-3"]
    assert [s.facts["kind"].value for s in changes] == ["deployment", "deployment", "rollback"]
    assert {s.facts["status"] for s in changes[:2]} == {"rolled_back"}
    assert [commit.id for commit in changes[0].facts["commits"]] == ["4f2a91c", "5f2a91c"]
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
    assert detected.facts["detected_at"] == first
    assert resolved.facts["resolved_at"] == deployed.facts["deployed_at"] == last
    assert detected.facts["severity"] == severity
    assert deployed.facts["title"] == title.strip()
    assert events[0]["data"]["subject"]["content"]["description"] == title


# --- out and back ---------------------------------------------------------------------------------


def figures(ledger, **asked):
    """Return all figures of the report, whole and in groups, and which deployments failed."""
    report = dora_report(ledger.facts(), window=(minutes(-100), minutes(9_500)), **asked)
    return {
        name: (figure.value, figure.n, figure.interval,
               {one.group: (one.value, one.n) for one in figure.groups})
        for name, figure in report.figures.items()
    }  # fmt: skip


def back(ledger, into, **options):
    """Write a ledger, and record what is read of it in another one."""
    events, _ = written(ledger, **options)
    said = [each for event in events for each in READ(event).statements]
    return record_statements(into, said, source="cdevents")


def every_end():
    """Return a ledger of changes that ended in every way there is, and of incidents after them."""
    ledger = Ledger.in_memory(clock=lambda: minutes(10_000))
    at = 0

    def tell(id_, step, **said):
        nonlocal at
        at += 7
        ledger.record(id_, step, by="ana", at=minutes(at), **said)

    def begin(id_, *, commits=True, **said):
        commit = Commit(id=f"c-{id_}", committed_at=minutes(at - 30), pull_request="1",
                        opened_at=minutes(at - 60), merged_at=minutes(at - 20))  # fmt: skip
        tell(id_, change.plan, title=f"Title of {id_}", services=["web", "pay"],
             **{"type": ChangeType.EMERGENCY, "incident": "INC-1", **said})  # fmt: skip
        tell(id_, change.submit)
        tell(id_, change.start, commits=[commit] if commits else [], version="5")

    begin("done")
    tell("done", change.complete)
    tell("done", change.validate, check="smoke", passed=True)
    tell("done", change.close, result=Result.SUCCESSFUL)
    begin("taken-out", kind=Kind.DEPLOYMENT)
    tell("taken-out", change.complete)
    tell("taken-out", change.roll_back, why="errors")
    tell("taken-out", change.close, result=Result.UNSUCCESSFUL)
    begin("failed-there")
    tell("failed-there", change.fail, reached_production=True, why="half of it")
    tell("failed-there", change.recover)
    begin("failed-before", commits=False)  # of what has no event, the commits have none either
    tell("failed-before", change.fail, reached_production=False, why="no build")
    begin("rolled-back-only")
    tell("rolled-back-only", change.roll_back, reached_production=True, why="errors")
    begin("canary")
    tell("canary", change.advance_rollout, percent=10)
    tell("canary", change.abort_rollout, note="slow")
    tell("seen", change.observe, services=["web"], title="Somebody did it")
    tell("never", change.plan, title="Not yet", services=["web"])
    tell("never", change.cancel, why="no")
    begin("repair", repairs="done")
    tell("repair", change.complete)
    tell("back", change.observe, title="Back", services=["web"], kind=Kind.ROLLBACK)
    tell("INC-1", incident.detect, title="Down", services=["web"], environment="production")
    tell("INC-1", incident.acknowledge)
    tell("INC-1", incident.triage, severity=Severity.P2)
    tell("INC-1", incident.mitigate)
    tell("INC-1", incident.resolve)
    tell("INC-1", incident.reopen, why="again")
    tell("INC-1", incident.resolve)
    tell("INC-1", incident.link_change, change="done", verdict=Verdict.CAUSED)
    tell("INC-1", incident.link_change, change="repair", verdict=Verdict.FIXED)
    tell("INC-2", incident.detect, title="Same", services=["pay"])
    ledger.merge("INC-2", into="INC-1", by="ana", at=minutes(at))
    tell("INC-3", incident.detect, title="Nothing", services=["pay"])
    tell("INC-3", incident.dismiss, reason=DismissalReason.FALSE_POSITIVE)
    tell("INC-4", incident.detect, title="A drill", services=["pay"], mode=Mode.DRILL)
    tell("INC-4", incident.resolve)
    tell("INC-5", incident.detect, title="Goes on", services=["pay"])
    return ledger


def test_figures_are_the_same_out_and_back():
    """Of changes that ended in every way; twice it is the same; each has its own id."""
    with every_end() as ledger, Ledger.in_memory() as copy:
        back(ledger, copy)
        for asked in ({}, {"group_by": "service"}):
            assert figures(copy, **asked) == figures(ledger, **asked)
        assert figures(copy)["change_failure_rate"][0] > 0
        assert back(ledger, copy).events == 0
        where = f"cdevents//{ledger.ledger_id}/"
        there = {row.id: row for row in copy.facts().changes}
        assert {f"{where}{id_}" for id_ in ("done", "taken-out", "canary", "back")} <= set(there)
        assert there[f"{where}taken-out"].outcome is Outcome.ROLLED_BACK
        assert there[f"{where}repair"].repairs == f"{where}done"
        rows = {row.id: row for row in ledger.facts().changes}
        for row in there.values():
            own = rows[row.id.removeprefix(where)]
            assert (row.outcome, row.deployed_at, row.commits) == (
                own.outcome, own.deployed_at, own.commits,
            )  # fmt: skip
        one = copy.facts().incidents.get(f"{where}INC-1")
        theirs = ledger.facts().incidents.get("INC-1")
        assert (one.spells, one.acknowledged_at) == (theirs.spells, theirs.acknowledged_at)
        assert one.merged == (f"{where}INC-2",)


def test_what_was_said_since_is_corrected():
    """A later file is later, whichever is read last; a verdict that was taken back is none."""
    with every_end() as ledger, Ledger.in_memory() as copy, Ledger.in_memory() as other:
        first, _ = written(ledger)
        back(ledger, copy)
        ledger.record("INC-1", incident.dismiss_link, by="ana", at=minutes(9_000), change="done",
                      why="another one")  # fmt: skip
        ledger.record("seen", change.roll_back, by="ana", at=minutes(9_001), why="errors")
        ledger.record("INC-5", incident.resolve, by="ana", at=minutes(9_002))
        back(ledger, copy)
        assert figures(copy) == figures(ledger)
        back(ledger, other)
        for into in (copy, other):
            older = [each for event in first for each in READ(event).statements]
            record_statements(into, older, source="cdevents")
            assert figures(into) == figures(ledger)


@pytest.mark.parametrize("name", LOGS)
def test_golden_logs_out_and_back(name, tmp_path):
    """Whatever was recorded is read back; of what has no event in it, the export says so."""
    with exported.golden(name, tmp_path / "ledger.db") as ledger, Ledger.in_memory() as copy:
        taken = back(ledger, copy)
        assert taken.refused == ()
        _, done = written(ledger)
        if not any("service" in why or "unknown" in why for why in done.left_out):
            assert figures(copy)["change_failure_rate"] == figures(ledger)["change_failure_rate"]


def test_a_file_of_an_earlier_version_is_refused_by_name(ledger):
    """It has verdicts and outcomes in a form that tells too little; foreign ones are read."""
    event = next(each for each in written(ledger)[0] if "incident.detected" in each["type"])
    del event["data"]["customData"]["position"]
    with pytest.raises(InvalidValue, match="export it again"):
        READ(event)
    event["data"]["customData"] = {"kind": "change"}
    assert READ(event).statements


outcomes = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["successful", "failed", "rolled_back", "not_deployed"]),
        "deployed_at": st.integers(0, 50).map(minutes),
        "rolled_back_at": st.integers(50, 90).map(minutes),
        "recovered_at": st.integers(90, 99).map(minutes),
        "closed_at": st.integers(100, 110).map(minutes),
        "type": st.sampled_from(ChangeType),
        "planned": st.booleans(),
        "repairs": st.sampled_from(["C0", "C1"]),
        "environment": st.sampled_from(["production", "staging"]),
        "kind": st.sampled_from([Kind.DEPLOYMENT, Kind.ROLLBACK]),
    },
)
courses = st.fixed_dictionaries(
    {"detected_at": st.integers(0, 60).map(minutes)},
    optional={
        "acknowledged_at": st.integers(60, 70).map(minutes),
        "mitigated_at": st.integers(70, 80).map(minutes),
        "resolved_at": st.integers(80, 90).map(minutes),
        "closed_at": st.integers(90, 99).map(minutes),
        "severity": st.sampled_from(Severity),
        "mode": st.sampled_from(Mode),
        "dismissed": st.sampled_from(DismissalReason),
        "caused_by": st.lists(st.sampled_from(["C0", "C1", "C2"]), max_size=2),
        "fixed_by": st.lists(st.sampled_from(["C0", "C2"]), max_size=1),
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(outcomes, max_size=4), incidents=st.lists(courses, max_size=3))
def test_any_history_out_and_back(changes, incidents):
    """Of whatever a source says of deployments and incidents the figures are the same."""
    told = [
        Statement(kind="change", id=f"C{n}", facts={"services": ["web"], **facts})
        for n, facts in enumerate(changes)
        if facts.get("repairs") != f"C{n}"
    ] + [
        Statement(kind="incident", id=f"I{n}", facts={"services": ["web"], **facts})
        for n, facts in enumerate(incidents)
    ]  # fmt: skip
    # What never came into production is told by no event, so there has to be something that did.
    done = {"services": ["web"], "status": "successful", "deployed_at": minutes(10)}
    told.append(Statement(kind="change", id="C9", facts=done))
    with Ledger.in_memory() as ledger, Ledger.in_memory() as copy:
        record_statements(ledger, told, source="tool")
        back(ledger, copy)
        assert figures(copy) == figures(ledger)
