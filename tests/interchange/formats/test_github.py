"""GitHub's webhooks and deployment rows: samples of their documented shape, with their traps."""

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given

from any_json import OPTIONS, payloads, reads_or_refuses
from imcm.domain.vocabulary import Between, Commit, Kind, Severity
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named, payloads_of
from imcm.interchange.formats.github import SEVERITIES, STATES
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening

READ = format_named("github").read
ROW = format_named("github-deployments").read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)
SHA = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
REPOSITORY = {"id": 5, "name": "shop", "full_name": "octo/shop"}


def at(minutes):
    return NOON + timedelta(minutes=minutes)


def text(minutes):
    return at(minutes).isoformat().replace("+00:00", "Z")


def deployment(**more):
    return {
        "url": "https://api.github.com/repos/octo/shop/deployments/42",
        "id": 42,
        "sha": SHA,
        "ref": "main",
        "task": "deploy",
        "payload": {},
        "original_environment": "staging",
        "environment": "production",
        "description": "Cart with vouchers",
        "creator": {"login": "ann", "id": 1},
        "created_at": text(0),
        "updated_at": text(1),
        "repository_url": "https://api.github.com/repos/octo/shop",
        "transient_environment": False,
        **more,
    }


def requested(**more):
    return {
        "action": "created",
        "deployment": deployment(**more),
        "workflow": None,
        "workflow_run": {"id": 7, "run_attempt": 1},
        "repository": REPOSITORY,
        "sender": {"login": "ann"},
    }


def status(state="success", minutes=5, **more):
    return {
        "id": 900,
        "state": state,
        "environment": "production",
        "creator": {"login": "pipeline[bot]"},
        "created_at": text(minutes),
        "updated_at": text(minutes),
        "target_url": "",
        "log_url": "https://github.example/runs/9",
        **more,
    }


def told(state="success", minutes=5, **more):
    return {**requested(), "deployment_status": status(state, minutes, **more)}


def review(action="approved", **more):
    return {
        "action": action,
        "approver": {"login": "bea"},
        "comment": "go",
        "reviewers": [{"type": "User", "reviewer": {"login": "bea"}}],
        "since": text(2),
        "workflow_job_runs": [{"id": 1, "environment": "production"}],
        "workflow_run": {"id": 7, "run_attempt": 1, "updated_at": text(2)},
        "repository": REPOSITORY,
        "sender": {"login": "bea"},
        **more,
    }


def run(**more):
    return {
        "action": "completed",
        "workflow": {"id": 3, "name": "Ship"},
        "workflow_run": {
            "id": 7,
            "name": "Ship",
            "run_attempt": 1,
            "run_started_at": text(0),
            "created_at": text(0),
            "updated_at": text(9),
            "status": "completed",
            "conclusion": "success",
            "head_branch": "main",
            "head_sha": SHA,
            "head_commit": {"id": SHA, "timestamp": text(-30)},
            "triggering_actor": {"login": "ann"},
            "html_url": "https://github.example/runs/7",
            **more,
        },
        "repository": REPOSITORY,
        "sender": {"login": "ann"},
    }


def release(action="published", **more):
    return {
        "action": action,
        "release": {
            "id": 77,
            "tag_name": "v1.2.0",
            "name": "Vouchers",
            "target_commitish": "main",
            "draft": False,
            "prerelease": False,
            "created_at": text(0),
            "published_at": text(3),
            "author": {"login": "ann"},
            "html_url": "https://github.example/releases/77",
            **more,
        },
        "repository": REPOSITORY,
        "sender": {"login": "ann"},
    }


def pull(**more):
    return {
        "action": "closed",
        "number": 12,
        "pull_request": {
            "number": 12,
            "title": "Vouchers",
            "user": {"login": "ann"},
            "merged_by": {"login": "bea"},
            "created_at": text(-60),
            "updated_at": text(0),
            "merged_at": text(0),
            "merge_commit_sha": SHA,
            "html_url": "https://github.example/pull/12",
            **more,
        },
        "repository": REPOSITORY,
        "sender": {"login": "bea"},
    }


def issue(action="opened", labels=("incident", "P1"), lost=None, **more):
    payload = {
        "action": action,
        "issue": {
            "id": 73464126,
            "number": 3,
            "title": "Checkout is down",
            "user": {"login": "ann"},
            "labels": [{"id": 1, "name": name} for name in labels],
            "state": "open",
            "state_reason": None,
            "assignees": [{"login": "bea"}],
            "created_at": text(0),
            "updated_at": text(20),
            "closed_at": None,
            "html_url": "https://github.example/issues/3",
            **more,
        },
        "repository": REPOSITORY,
        "sender": {"login": "ann"},
    }
    if lost is not None:
        payload["label"] = {"name": lost}
    return payload


PING = {"zen": "Keep it logically awesome.", "hook_id": 1, "hook": {}, "repository": REPOSITORY}
SAMPLES = [
    requested(),
    told(),
    review(),
    run(),
    release(),
    pull(),
    issue(),
    issue(state="closed", state_reason="completed", closed_at=text(20)),
    PING,
    {"event": "deployment_review", "payload": review(), "deployment": 42, "delivery": "d-1"},
]
ALL = Options(
    values={
        "kind": {"release": "deployment", "workflow:Ship": "deployment", "pull_request": "other"}
    }
)


# --- deployments ----------------------------------------------------------------------------------


def test_a_deployment_is_a_request_for_a_change():
    [said] = READ(requested()).statements
    assert (said.kind, said.id, said.happened, said.said_at) == ("change", "42", (), at(1))
    assert dict(said.facts) == {
        "title": "Cart with vouchers",
        "kind": Kind.DEPLOYMENT,
        "services": ("shop",),
        "environment": "production",
        "version": SHA,
        "requested_by": "ann",
        "requested_at": NOON,
        "commits": (Commit(id=SHA),),
        "labels": {"repository": "octo/shop", "ref": "main"},
        "references": {"deployment": "https://api.github.com/repos/octo/shop/deployments/42"},
    }


def test_a_tag_is_the_version_and_the_task_the_kind():
    [said] = READ(requested(ref="v1.4.2", task="deploy:migrations")).statements
    assert (said.facts["version"], said.facts["kind"]) == ("v1.4.2", Kind.SCHEMA)
    read = READ(requested(task="polish"))
    assert "kind" not in read.statements[0].facts
    assert [(each.what, each.value) for each in read.dropped] == [("deployment.kind", "polish")]


@pytest.mark.parametrize(("state", "what"), STATES.items())
def test_what_each_state_says_happened(state, what):
    read = READ(told(state))
    [said] = read.statements
    assert (said.id, said.status, said.said_at) == ("42", state, at(5))
    assert said.happened == ((Happening(what, at(5), "pipeline[bot]"),) if what else ())
    assert read.dropped == ()


def test_an_inactive_deployment_is_replaced_and_not_rolled_back():
    [said] = READ(told("inactive")).statements
    assert said.happened == ()
    assert "status" not in said.facts


def test_all_statuses_of_a_deployment_are_of_one_change_in_whatever_order():
    states = [("success", 5), ("in_progress", 2), ("inactive", 90), ("success", 5)]
    said = [READ(told(state, minutes)).statements[0] for state, minutes in states]
    assert {each.id for each in said} == {"42"}
    assert {each for one in said for each in one.happened} == {
        Happening("started", at(2), "pipeline[bot]"),
        Happening("deployed", at(5), "pipeline[bot]"),
    }


def test_a_state_that_is_not_known_and_a_status_without_a_time_are_listed():
    read = READ(told("melted"))
    assert [each.what for each in read.dropped] == ["deployment_status.status"]
    read = READ(told(created_at=None))
    assert read.statements[0].happened == ()
    assert [each.what for each in read.dropped] == ["deployment_status.created_at"]


def test_the_event_can_be_named_and_the_delivery_given():
    [said] = READ(
        {"event": "deployment_status", "payload": told(), "delivery": "72d3162e"}
    ).statements
    assert (said.delivery, said.happened[0].what) == ("72d3162e", "deployed")


def test_other_events_with_a_deployment_in_them_tell_nothing():
    for extra in ({"workflow_job": {"id": 1}}, {"deployment_callback_url": "x", "event": "push"}):
        read = READ({**requested(), **extra})
        assert (read.statements, [each.what for each in read.dropped]) == ((), ["event"])


def test_a_service_has_the_name_that_the_options_give():
    options = Options(values={"service": {"octo/shop": "checkout"}})
    assert READ(requested(), options).statements[0].facts["services"] == ("checkout",)


# --- reviews --------------------------------------------------------------------------------------


def test_a_review_approves_the_deployment_that_is_given_with_it():
    given_ = {"event": "deployment_review", "payload": review(), "deployment": 42}
    [said] = READ(given_).statements
    assert (said.id, said.facts) == ("42", {})
    assert said.happened == (Happening("approved", at(2), "bea"),)
    given_["payload"]["workflow_run"]["updated_at"] = text(4)
    [said] = READ(given_).statements
    assert said.happened[0].at == Between(earliest=at(2), latest=at(4))


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (review(), "workflow_run.id"),
        (review("rejected"), "action"),
        (review("requested", requestor={"login": "ann"}, environment="production"), "action"),
    ],
)
def test_a_review_that_names_no_deployment_or_approves_nothing_is_listed(payload, what):
    read = READ(payload)
    assert (read.statements, [each.what for each in read.dropped]) == ((), [what])


# --- releases, runs, pull requests ----------------------------------------------------------------


@pytest.mark.parametrize("payload", [run(), release(), pull()])
def test_what_tells_of_a_deployment_once_more_is_no_change_unless_said_so(payload):
    read = READ(payload)
    assert read.statements == ()
    assert "values.kind" in read.dropped[0].why


def test_a_release_counts_when_it_is_published():
    [said] = READ(release(), ALL).statements
    assert (said.id, said.facts["deployed_at"], said.facts["version"]) == (
        "release/77",
        at(3),
        "v1.2.0",
    )
    for more in ({"draft": True, "published_at": None}, {"prerelease": True}):
        read = READ(release(**more), ALL)
        assert (read.statements, len(read.dropped)) == ((), 1)
    assert READ(release("released"), ALL).statements[0].id == "release/77"
    assert READ(release("unpublished", draft=True), ALL).statements[0].gone
    assert READ(release("deleted"), ALL).statements[0].gone


def test_each_attempt_of_a_run_is_a_change():
    said = [READ(run(run_attempt=n, conclusion=c), ALL).statements[0]
            for n, c in ((1, "failure"), (2, "success"))]  # fmt: skip
    assert [(each.id, each.happened[1].what) for each in said] == [
        ("run/7/1", "failed"),
        ("run/7/2", "deployed"),
    ]
    assert said[0].facts["commits"] == (Commit(id=SHA, committed_at=at(-30)),)
    [said] = READ(run(conclusion=None), ALL).statements
    assert said.happened == (Happening("started", NOON, "ann"),)
    assert READ({**run(), "workflow": {"name": "Lint"}}, ALL).statements == ()


def test_a_pull_request_counts_when_it_is_merged():
    [said] = READ(pull(), ALL).statements
    assert (said.id, said.facts["kind"]) == ("octo/shop#12", Kind.OTHER)
    assert said.facts["commits"] == (
        Commit(id=SHA, pull_request="octo/shop#12", opened_at=at(-60), merged_at=NOON),
    )
    assert READ(pull(merged_at=None), ALL).statements == ()


# --- issues ---------------------------------------------------------------------------------------


def test_an_issue_with_the_label_is_an_incident_since_it_was_opened():
    payload = issue("labeled", ("incident", "sev2", "service:pay", "env/prod"), lost="incident")
    [said] = READ(payload).statements
    assert (said.kind, said.id, said.said_at, said.gone) == (
        "incident",
        "octo/shop#3",
        at(20),
        False,
    )
    assert dict(said.facts) == {
        "title": "Checkout is down",
        "severity": Severity.P2,
        "severity_name": "sev2",
        "services": ("pay",),
        "environment": "prod",
        "detected_at": NOON,
        "resolved_at": None,
        "closed_at": None,
        "dismissed": None,
        "labels": {
            "repository": "octo/shop",
            "author": "ann",
            "labels": "incident, sev2, service:pay, env/prod",
            "assigned": "bea",
        },
        "references": {"issue": "https://github.example/issues/3"},
    }


@pytest.mark.parametrize(
    ("reason", "facts"),
    [
        ("completed", {"resolved_at": at(20), "closed_at": None, "dismissed": None}),
        (None, {"resolved_at": at(20), "closed_at": None, "dismissed": None}),
        ("duplicate", {"resolved_at": None, "closed_at": at(20), "dismissed": "duplicate"}),
        ("not_planned", {"resolved_at": None, "closed_at": at(20), "dismissed": None}),
    ],
)
def test_how_an_issue_ends(reason, facts):
    read = READ(issue("closed", state="closed", state_reason=reason, closed_at=text(20)))
    assert {name: read.statements[0].facts[name] for name in facts} == facts
    assert [each.value for each in read.dropped] == (
        ["not_planned"] if reason == "not_planned" else []
    )


def test_a_reopened_issue_has_no_end():
    [said] = READ(issue("reopened", state_reason="reopened")).statements
    assert said.facts["resolved_at"] is None


def test_an_issue_without_the_label_is_none_and_one_that_lost_it_is_gone():
    read = READ(issue(labels=("bug",)))
    assert (read.statements, len(read.dropped)) == ((), 1)
    assert READ(issue("unlabeled", ("P1",), lost="incident")).statements[0].gone
    assert not READ(issue("unlabeled", ("incident",), lost="P1")).statements[0].gone
    assert READ(issue("deleted")).statements[0].gone
    options = Options(values={"label": {"Outage": "incident", "incident": ""}})
    assert READ(issue(labels=("outage",)), options).statements[0].id == "octo/shop#3"
    assert READ(issue(), options).statements == ()


@pytest.mark.parametrize(("word", "rank"), SEVERITIES.items())
def test_labels_that_tell_a_severity(word, rank):
    [said] = READ(issue(labels=("incident", word.upper()))).statements
    assert said.facts["severity"] == rank


def test_of_two_severities_the_worse_counts_and_the_other_is_listed():
    read = READ(issue(labels=("P3", "incident", "P1")))
    assert read.statements[0].facts["severity"] is Severity.P1
    assert [each.value for each in read.dropped] == ["P3"]


# --- rows -----------------------------------------------------------------------------------------


def test_a_row_tells_with_its_statuses_what_the_webhooks_tell():
    row = {**deployment(), "statuses": [status("inactive", 90), status(), status("in_progress", 2)]}
    [said] = ROW(row).statements
    assert (said.id, said.status, said.said_at) == ("42", "inactive", at(90))
    assert said.happened == (
        Happening("deployed", at(5), "pipeline[bot]"),
        Happening("started", at(2), "pipeline[bot]"),
    )
    [hook] = READ(requested()).statements
    assert said.facts == {**hook.facts, "status": "successful"}


def test_commits_and_pull_requests_of_a_row_give_the_commits_their_times():
    other = "0" * 40
    row = {
        **deployment(),
        "statuses": [],
        "commits": [
            {"sha": each, "commit": {"author": {"date": text(-9)}, "committer": {"date": text(-8)}}}
            for each in (other, SHA)
        ],
        "pull_requests": [pull()["pull_request"]],
    }
    [said] = ROW(row).statements
    first, second = said.facts["commits"]
    assert first == Commit(id=other, authored_at=at(-9), committed_at=at(-8))
    assert (second.pull_request, second.opened_at, second.merged_at) == (
        "octo/shop#12",
        at(-60),
        NOON,
    )


def test_a_row_without_statuses_says_so():
    read = ROW(deployment())
    assert [each.what for each in read.dropped] == ["statuses"]
    assert list(payloads_of([1, 2], format_named("github-deployments"))) == [1, 2]


# --- what does not fit ----------------------------------------------------------------------------


def test_a_ping_and_another_event_tell_nothing():
    for payload in (PING, {"action": "created", "star": {}, "repository": REPOSITORY}):
        read = READ(payload)
        assert (read.statements, len(read.dropped)) == ((), 1)


@pytest.mark.parametrize(
    ("payload", "named"), [({}, "payload"), ({"a": 1}, "payload"), (requested(id=None), "id")]
)
def test_what_can_not_be_told_apart_is_refused(payload, named):
    with pytest.raises(InvalidValue, match=named):
        READ(payload)


def test_a_time_without_a_zone_is_refused_unless_one_is_given():
    naive = requested(created_at="2026-03-06 13:00:00")
    with pytest.raises(InvalidValue, match="no UTC offset"):
        READ(naive)
    [said] = READ(naive, Options(tz="Europe/Oslo")).statements
    assert said.facts["requested_at"] == NOON


@given(payloads(SAMPLES), OPTIONS)
def test_anything_is_read_or_refused(payload, options):
    reads_or_refuses(READ, payload, options)
    reads_or_refuses(READ, payload, Options(tz="UTC", values={"kind": dict(ALL.values["kind"])}))


@given(payloads([{**deployment(), "statuses": [status()], "commits": [{"sha": SHA}]}]), OPTIONS)
def test_any_row_is_read_or_refused(payload, options):
    reads_or_refuses(ROW, payload, options)


# --- real payloads --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not there to install @octokit/webhooks-examples")
    place = tmp_path_factory.mktemp("octokit")
    (place / "package.json").write_text("{}")
    asked = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    try:
        subprocess.run(
            [*asked, "@octokit/webhooks-examples@7"],
            cwd=place,
            check=True,
            capture_output=True,
            timeout=60,
            env={**os.environ, "npm_config_cache": str(place / "cache")},
        )
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"@octokit/webhooks-examples can't be installed: {error}")
    index = place / "node_modules/@octokit/webhooks-examples/api.github.com/index.json"
    return json.loads(index.read_text(encoding="utf-8"))


def test_real_payloads_are_recognised_and_read(examples):
    ours = {
        "deployment": 1,
        "deployment_status": 1,
        "deployment_review": 0,
        "workflow_run": 0,
        "release": 0,
        "issues": 0,
        "pull_request": 0,
        "ping": 0,
    }
    for event in examples:
        for payload in event["examples"]:
            read = READ(payload)
            if event["name"] in ours:
                assert read == READ({"event": event["name"], "payload": payload})
                assert len(read.statements) == ours[event["name"]], event["name"]
                assert bool(read.dropped) is not bool(read.statements)
            else:
                assert (read.statements, [each.what for each in read.dropped]) == ((), ["event"])


def test_real_payloads_are_read_where_each_of_them_counts(examples):
    found = {event["name"]: event["examples"] for event in examples}
    names = {run["workflow"]["name"] for run in found["workflow_run"]}
    kinds = {f"workflow:{name}": "deployment" for name in names}
    options = Options(
        values={
            "kind": {**kinds, "release": "deployment", "pull_request": "deployment"},
            "label": {"bug": "incident"},
        }
    )
    for payload in found["workflow_run"]:
        [said] = READ(payload, options).statements
        assert said.id == f"run/{payload['workflow_run']['id']}/" + str(
            payload["workflow_run"].get("run_attempt", 1)
        )
    for payload in found["release"]:
        assert len(READ(payload, options).statements) == (not payload["release"]["prerelease"])
    for payload in found["issues"]:
        labels = {label["name"] for label in payload["issue"].get("labels", [])}
        lost = payload["action"] == "unlabeled" and payload["label"]["name"] == "bug"
        assert len(READ(payload, options).statements) == ("bug" in labels or lost)
    for payload in found["pull_request"]:
        merged = payload["pull_request"]["merged_at"] is not None
        assert len(READ(payload, options).statements) == merged
