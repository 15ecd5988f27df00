"""Argo CD: what our template sends, with the traps of applications and their syncs."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given

from any_json import OPTIONS, payloads, reads_or_refuses
from imcm.domain.vocabulary import Commit, Kind
from imcm.errors import InvalidValue
from imcm.interchange.formats import argocd, format_named, payloads_of
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening

FORMAT = format_named("argocd")
READ = FORMAT.read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)
SHA = "89b43bfc4a0cd5e0d9d4f2b4b1c3a1f6a1b2c3d4"


def application(phase="Succeeded", **more):
    return {
        "kind": "Application",
        "metadata": {"name": "shop", "namespace": "argocd", "labels": {"team": "web"}},
        "spec": {
            "project": "default",
            "destination": {"name": None, "namespace": "shop-prod"},
            "source": {"repoURL": "https://git.example/deploy"},
            "sources": [],
        },
        "status": {
            "sync": {"status": "Synced"},
            "health": {"status": "Progressing"},
            "operationState": {
                "phase": phase,
                "message": "successfully synced (all tasks run)",
                "startedAt": "2026-03-06T12:00:00Z",
                "finishedAt": None if phase == "Running" else "2026-03-06T12:02:00Z",
                "operation": {"initiatedBy": {"username": "ann", "automated": None}},
                "syncResult": {"revision": SHA, "revisions": None},
                **more,
            },
        },
    }


def test_a_sync_is_a_change():
    [said] = READ(application()).statements
    assert (said.kind, said.id, said.status) == (
        "change",
        "argocd/shop@20260306T120000Z",
        "Succeeded",
    )
    assert said.happened == (
        Happening("started", NOON, "ann"),
        Happening("deployed", NOON.replace(minute=2)),
    )
    assert dict(said.facts) == {
        "title": "successfully synced (all tasks run)",
        "status": "successful",
        "kind": Kind.DEPLOYMENT,
        "services": ("shop",),
        "version": SHA,
        "requested_by": "ann",
        "commits": (Commit(id=SHA),),
        "labels": {
            "team": "web",
            "application_project": "default",
            "repository": "https://git.example/deploy",
            "health": "Progressing",
        },
    }


@pytest.mark.parametrize(
    ("phase", "what"),
    [
        ("Running", None),
        ("Terminating", None),
        ("Succeeded", "deployed"),
        ("Failed", "failed"),
        ("Error", "failed"),
    ],
)
def test_what_each_phase_says_happened(phase, what):
    read = READ(application(phase))
    [said] = read.statements
    assert [each.what for each in said.happened[1:]] == ([what] if what else [])
    assert read.dropped == ()


def test_start_and_end_are_of_one_change_and_the_same_revision_again_is_another():
    running = READ(application("Running", syncResult=None)).statements[0]
    done = READ(application()).statements[0]
    again = READ(application(startedAt="2026-03-07T12:00:00Z")).statements[0]
    assert running.id == done.id != again.id


def test_a_degraded_application_is_no_failed_change():
    degraded = application()
    degraded["status"]["health"] = {"status": "Degraded"}
    [said] = READ(degraded).statements
    assert [each.what for each in said.happened] == ["started", "deployed"]
    assert said.facts["labels"]["health"] == "Degraded"


def test_several_sources_have_several_revisions_and_a_chart_is_no_commit():
    several = application(syncResult={"revision": "", "revisions": [SHA, "1.2.3"]})
    several["spec"]["sources"] = [
        {"repoURL": "https://a.example"},
        {"repoURL": "https://b.example"},
    ]
    [said] = READ(several).statements
    assert said.facts["version"] == f"{SHA}, 1.2.3"
    assert said.facts["commits"] == (Commit(id=SHA),)
    assert said.facts["labels"]["repository"] == "https://a.example, https://b.example"


def test_an_automated_sync_is_of_nobody():
    [said] = READ(application(operation={"initiatedBy": {"automated": True}})).statements
    assert said.happened[0].by is None
    assert said.facts["labels"]["automated"] == "true"


def test_service_and_environment_have_the_names_that_the_options_give():
    options = Options(
        values={"service": {"shop": "checkout"}, "environment": {"shop-prod": "production"}}
    )
    [said] = READ(application(), options).statements
    assert (said.facts["services"], said.facts["environment"]) == (("checkout",), "production")


def test_an_application_that_was_never_synced_tells_nothing():
    never = application()
    never["status"] = {}
    read = READ(never)
    assert (read.statements, len(read.dropped)) == ((), 1)


def test_a_list_of_applications_is_read_one_by_one():
    assert len(list(payloads_of({"items": [application(), application()]}, FORMAT))) == 2


@pytest.mark.parametrize("payload", [{}, {"kind": "Rollout", "metadata": {}}, {"metadata": {}}])
def test_what_can_not_be_told_apart_is_refused(payload):
    with pytest.raises(InvalidValue):
        READ(payload)


def test_the_template_sends_what_is_read():
    text = argocd.notification()
    body = text[text.index('"kind": "Application"') :]
    names = set(re.findall(r'"(\w+)":', body))

    def told(value):
        if isinstance(value, dict):
            for name, inner in value.items():
                yield name
                yield from told(inner) if name != "labels" else ()
        elif isinstance(value, list):
            for each in value:
                yield from told(each)

    assert names == set(told(application())) | {"repoURL"}
    assert body.count("{{") == body.count("}}")
    assert "trigger.on-imcm-sync" in text


@given(payloads([application(), application("Running")]), OPTIONS)
def test_anything_is_read_or_refused(payload, options):
    reads_or_refuses(READ, payload, options)
