"""DevLake's incoming webhook: samples of its documented shape, with its traps."""

from datetime import UTC, datetime

import pytest
from hypothesis import given

from any_json import OPTIONS, payloads, reads_or_refuses
from imcm.domain.vocabulary import Commit, Kind, Severity
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named
from imcm.interchange.formats.devlake import SEVERITIES
from imcm.interchange.payloads import Options

READ = format_named("devlake").read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)
SHA = "015e3d3b480e417aede5a1293bd61de9b0fd051d"


def deployment(**more):
    return {
        "id": "deploy-7",
        "displayTitle": "Vouchers",
        "name": "deploy to production",
        "result": "SUCCESS",
        "environment": "PRODUCTION",
        "url": "https://ci.example/7",
        "createdDate": "2026-03-06T12:00:00+00:00",
        "startedDate": "2026-03-06T12:01:00+00:00",
        "finishedDate": "2026-03-06T12:05:00+00:00",
        "deploymentCommits": [
            {"repoUrl": "https://git.example/shop.git", "refName": "v1.4", "commitSha": SHA}
        ],
        **more,
    }


OLD = {
    "pipeline_id": "p-1",
    "repo_url": "https://git.example/shop",
    "commit_sha": SHA,
    "ref_name": "main",
    "create_time": "2026-03-06T12:00:00+00:00",
    "start_time": "2026-03-06T12:01:00+00:00",
    "end_time": "2026-03-06T12:05:00+00:00",
}


def issue(**more):
    return {
        "url": "https://tickets.example/DLK-1",
        "issueKey": "DLK-1",
        "title": "Checkout is down",
        "description": "",
        "type": "INCIDENT",
        "status": "IN_PROGRESS",
        "originalStatus": "in review",
        "createdDate": "2026-03-06T12:00:00+00:00",
        "updatedDate": "2026-03-06T12:30:00+00:00",
        "resolutionDate": None,
        "priority": "",
        "severity": "high",
        "component": "checkout",
        "creatorName": "Ann",
        "assigneeName": "",
        "parentIssueKey": "",
        **more,
    }


def test_a_deployment_is_a_change():
    [said] = READ(deployment()).statements
    assert (said.kind, said.id, said.status, said.said_at) == (
        "change",
        "deploy-7",
        "SUCCESS",
        None,
    )
    assert dict(said.facts) == {
        "title": "Vouchers",
        "kind": Kind.DEPLOYMENT,
        "services": ("shop",),
        "environment": "PRODUCTION",
        "version": "v1.4",
        "requested_at": NOON,
        "started_at": NOON.replace(minute=1),
        "deployed_at": NOON.replace(minute=5),
        "failed_at": None,
        "cancelled_at": None,
        "commits": (Commit(id=SHA),),
        "labels": {"repository": "https://git.example/shop.git"},
        "references": {"deployment": "https://ci.example/7"},
    }


@pytest.mark.parametrize(
    ("result", "ended"),
    [
        ("SUCCESS", "deployed_at"),
        ("", "deployed_at"),
        ("FAILURE", "failed_at"),
        ("ABORT", "cancelled_at"),
        ("MANUAL", None),
    ],
)
def test_what_each_result_ends(result, ended):
    read = READ(deployment(result=result))
    facts = read.statements[0].facts
    names = ("deployed_at", "failed_at", "cancelled_at")
    assert [name for name in names if facts[name]] == ([ended] if ended else [])
    assert [each.value for each in read.dropped] == ([] if ended else ["MANUAL"])


def test_one_that_has_not_finished_has_no_end_whatever_the_time_is_now():
    facts = READ(deployment(finishedDate=None, result=None)).statements[0].facts
    assert facts["deployed_at"] is None
    absent = deployment()
    del absent["finishedDate"], absent["result"]
    assert "deployed_at" not in READ(absent).statements[0].facts


def test_names_of_older_versions_are_read():
    [said] = READ(OLD).statements
    assert said.id == "p-1"
    assert said.facts["deployed_at"] == NOON.replace(minute=5)
    assert (said.facts["version"], said.facts["environment"]) == ("main", "PRODUCTION")
    [said] = READ({**OLD, "pipeline_id": ""}).statements
    assert said.id == f"https://git.example/shop:{SHA}"


def test_several_commits_are_of_one_deployment():
    other = {"repoUrl": "https://git.example/cart", "refName": "v1.4", "commitSha": "0" * 40}
    several = deployment()
    several["deploymentCommits"].append(other)
    facts = READ(several).statements[0].facts
    assert (facts["services"], facts["version"]) == (("shop", "cart"), "v1.4")
    assert facts["commits"] == (Commit(id=SHA), Commit(id="0" * 40))
    options = Options(values={"service": {"https://git.example/cart": ""}})
    assert READ(several, options).statements[0].facts["services"] == ("shop",)


def test_an_issue_of_that_type_is_an_incident():
    [said] = READ(issue()).statements
    assert (said.kind, said.id, said.status) == ("incident", "DLK-1", "in review")
    assert said.said_at == NOON.replace(minute=30)
    assert dict(said.facts) == {
        "title": "Checkout is down",
        "severity": Severity.P2,
        "severity_name": "high",
        "services": ("checkout",),
        "detected_at": NOON,
        "resolved_at": None,
        "labels": {"type": "INCIDENT", "creator": "Ann"},
        "references": {"ticket": "https://tickets.example/DLK-1"},
    }


def test_how_an_issue_ends():
    done = issue(status="DONE", resolutionDate="2026-03-06T12:20:00Z")
    assert READ(done).statements[0].facts["resolved_at"] == NOON.replace(minute=20)
    read = READ(issue(status="DONE"))
    assert "resolved_at" not in read.statements[0].facts
    assert [each.what for each in read.dropped] == ["resolutionDate"]
    read = READ(issue(resolutionDate="2026-03-06T12:20:00Z"))
    assert read.statements[0].facts["resolved_at"] is None
    assert [each.what for each in read.dropped] == ["resolutionDate"]


def test_other_issues_are_none_unless_the_options_say_so():
    read = READ(issue(type="BUG"))
    assert (read.statements, [each.value for each in read.dropped]) == ((), ["BUG"])
    options = Options(values={"type": {"bug": "incident"}})
    assert READ(issue(type="BUG"), options).statements[0].id == "DLK-1"


@pytest.mark.parametrize(("word", "rank"), SEVERITIES.items())
def test_severities(word, rank):
    assert READ(issue(severity=word.upper())).statements[0].facts["severity"] == rank
    facts = READ(issue(severity="", priority=word)).statements[0].facts
    assert (facts["severity"], facts["severity_name"]) == (rank, word)


def test_a_severity_that_is_not_known_is_listed():
    read = READ(issue(severity="odd"))
    assert "severity" not in read.statements[0].facts
    assert [(each.what, each.value) for each in read.dropped] == [("severity", "odd")]


@pytest.mark.parametrize("payload", [{}, {"title": "x"}, issue(issueKey=""), deployment(id="")])
def test_what_can_not_be_told_apart_is_refused(payload):
    if payload.get("deploymentCommits"):
        payload = {**payload, "deploymentCommits": []}
    with pytest.raises(InvalidValue):
        READ(payload)


def test_a_time_without_a_zone_is_refused_unless_one_is_given():
    naive = issue(createdDate="2026-03-06 13:00:00")
    with pytest.raises(InvalidValue, match="no UTC offset"):
        READ(naive)
    [said] = READ(naive, Options(tz="Europe/Oslo")).statements
    assert said.facts["detected_at"] == NOON
    assert said.texts == {"detected_at": "2026-03-06 13:00:00"}


@given(payloads([deployment(), OLD, issue()]), OPTIONS)
def test_anything_is_read_or_refused(payload, options):
    reads_or_refuses(READ, payload, options)
