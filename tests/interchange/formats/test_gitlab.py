"""GitLab's deployment hook and rows: samples of their documented shape, with their traps."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given

from any_json import OPTIONS, payloads, reads_or_refuses
from imcm.domain.vocabulary import Commit, Kind
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named
from imcm.interchange.formats.gitlab import STATUSES
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening

READ = format_named("gitlab").read
SHA = "279484c09fbe69ededfced8c1bb6e6d24616b468"
CHANGED = datetime(2026, 3, 6, 14, 25, 15, tzinfo=timezone(timedelta(hours=8)))
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


def hook(status="success", **more):
    return {
        "object_kind": "deployment",
        "status": status,
        "status_changed_at": "2026-03-06 14:25:15 +0800",
        "deployment_id": 15,
        "deployable_id": 796,
        "deployable_url": "https://gitlab.example/shop/web/-/jobs/796",
        "environment": "production",
        "environment_tier": "production",
        "environment_slug": "production",
        "project": {"id": 30, "name": "Web", "path_with_namespace": "shop/web"},
        "short_sha": SHA[:8],
        "ref": "main",
        "user": {"id": 1, "name": "Ann", "username": "ann", "email": "[REDACTED]"},
        "commit_url": f"https://gitlab.example/shop/web/-/commit/{SHA}",
        "commit_title": "Vouchers",
        **more,
    }


def row(status="success", **more):
    return {
        "id": 15,
        "iid": 2,
        "ref": "main",
        "sha": SHA,
        "created_at": "2026-03-06T12:00:00.000Z",
        "updated_at": "2026-03-06T13:00:00.000Z",
        "status": status,
        "user": {"id": 1, "username": "ann"},
        "environment": {"id": 9, "name": "production", "tier": "production"},
        "deployable": {
            "id": 796,
            "status": "success",
            "started_at": "2026-03-06T12:05:00.000Z",
            "finished_at": "2026-03-06T12:10:00.000Z",
            "commit": {"id": SHA, "title": "Vouchers", "created_at": "2026-03-06T12:30:00+02:00"},
            "pipeline": {"id": 36, "web_url": "https://gitlab.example/shop/web/-/pipelines/36"},
            "project": {"ci_job_token_scope_enabled": False},
        },
        **more,
    }


SAMPLES = [hook(), row(), row(deployable=None, approvals=[])]


def test_the_hook_tells_what_happened_at_a_time_that_is_not_quite_iso():
    [said] = READ(hook()).statements
    assert (said.kind, said.id, said.status, said.said_at) == ("change", "15", "success", CHANGED)
    assert said.happened == (Happening("deployed", CHANGED, "ann"),)
    assert dict(said.facts) == {
        "title": "Vouchers",
        "status": "successful",
        "kind": Kind.DEPLOYMENT,
        "services": ("web",),
        "environment": "production",
        "version": SHA,
        "commits": (Commit(id=SHA),),
        "labels": {"project": "shop/web", "ref": "main", "environment_tier": "production"},
        "references": {
            "job": "https://gitlab.example/shop/web/-/jobs/796",
            "commit": f"https://gitlab.example/shop/web/-/commit/{SHA}",
        },
    }


@pytest.mark.parametrize(("status", "what"), STATUSES.items())
def test_what_each_status_says_happened(status, what):
    read = READ(hook(status))
    [said] = read.statements
    if what == "not_deployed":
        assert (said.happened, said.facts["status"]) == ((), "not_deployed")
    else:
        assert said.happened == ((Happening(what, CHANGED, "ann"),) if what else ())
    assert read.dropped == ()


def test_a_short_sha_is_a_version_and_no_commit():
    [said] = READ(hook(commit_url="")).statements
    assert (said.facts["version"], "commits" in said.facts) == (SHA[:8], False)


def test_a_row_says_how_the_deployment_stands_under_the_same_id():
    [said] = READ(row()).statements
    assert (said.id, said.said_at, said.happened) == ("15", NOON.replace(hour=13), ())
    assert dict(said.facts) == {
        "title": "Vouchers",
        "kind": Kind.DEPLOYMENT,
        "services": ("web",),
        "environment": "production",
        "version": SHA,
        "requested_by": "ann",
        "requested_at": NOON,
        "started_at": NOON.replace(minute=5),
        "deployed_at": NOON.replace(minute=10),
        "failed_at": None,
        "cancelled_at": None,
        "rolled_back_at": None,
        "commits": (Commit(id=SHA, committed_at=NOON.replace(hour=10, minute=30)),),
        "labels": {"ref": "main", "environment_tier": "production"},
        "references": {"pipeline": "https://gitlab.example/shop/web/-/pipelines/36"},
    }


@pytest.mark.parametrize(
    ("status", "ended"),
    [("failed", "failed_at"), ("canceled", "cancelled_at"), ("running", None), ("blocked", None)],
)
def test_of_a_row_one_end_counts(status, ended):
    facts = READ(row(status)).statements[0].facts
    names = ("deployed_at", "failed_at", "cancelled_at", "rolled_back_at")
    assert [name for name in names if facts[name] is not None] == ([ended] if ended else [])


def test_a_deployment_without_a_job_ended_when_its_row_last_changed():
    facts = READ(row(deployable=None)).statements[0].facts
    assert (facts["deployed_at"], "started_at" in facts) == (NOON.replace(hour=13), False)


def test_an_approval_counts_when_none_is_missing():
    approvals = [
        {"user": {"username": who}, "status": status, "created_at": f"2026-03-06T12:0{n}:00Z"}
        for n, who, status in ((2, "bea", "approved"), (1, "cem", "approved"), (3, "d", "rejected"))
    ]
    read = READ(row(approvals=approvals, pending_approval_count=0))
    facts = read.statements[0].facts
    assert (facts["approved_at"], facts["approved_by"]) == (NOON.replace(minute=2), "bea")
    assert [(each.what, each.value) for each in read.dropped] == [("approvals", "cem")]
    facts = READ(row(approvals=approvals, pending_approval_count=1)).statements[0].facts
    assert "approved_at" not in facts


def test_what_does_not_fit_is_listed():
    read = READ(hook("melted", status_changed_at="soon"))
    assert read.statements[0].happened == ()
    assert [(each.what, each.value) for each in read.dropped] == [
        ("status", "melted"),
        ("status_changed_at", "soon"),
    ]
    read = READ({"object_kind": "push", "ref": "main"})
    assert (read.statements, [each.what for each in read.dropped]) == ((), ["object_kind"])


def test_words_of_the_options_count_first():
    options = Options(values={"status": {"success": ""}, "service": {"shop/web": "checkout"}})
    [said] = READ(hook(), options).statements
    assert (said.happened, said.facts["services"]) == ((), ("checkout",))
    [said] = READ(row(), options).statements
    assert said.facts["services"] == ("checkout",)


@pytest.mark.parametrize("payload", [{}, {"id": 1}, hook(deployment_id=None), {"status": "x"}])
def test_what_can_not_be_told_apart_is_refused(payload):
    with pytest.raises(InvalidValue):
        READ(payload)


def test_a_time_without_a_zone_is_refused_unless_one_is_given():
    naive = hook(status_changed_at="2026-03-06 13:00:00")
    with pytest.raises(InvalidValue, match="no UTC offset"):
        READ(naive)
    [said] = READ(naive, Options(tz="Europe/Oslo")).statements
    assert said.happened[0].at == NOON


@given(payloads(SAMPLES), OPTIONS)
def test_anything_is_read_or_refused(payload, options):
    reads_or_refuses(READ, payload, options)
