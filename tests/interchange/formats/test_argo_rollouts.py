"""Argo Rollouts: what our template sends, with the traps of Rollout objects."""

from datetime import UTC, datetime

import pytest
from hypothesis import given

from any_json import OPTIONS, payloads, reads_or_refuses
from imcm.domain.vocabulary import Kind
from imcm.errors import InvalidValue
from imcm.interchange.formats import argo_rollouts, format_named
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening

READ = format_named("argo-rollouts").read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


def condition(type_, status, minute, reason=""):
    at = f"2026-03-06T12:{minute:02}:00Z"
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "lastTransitionTime": at,
        "lastUpdateTime": at,
    }


def rollout(*conditions, metadata=None, **status):
    return {
        "kind": "Rollout",
        "metadata": {
            "name": "shop",
            "namespace": "prod",
            "uid": "0a1b",
            "generation": 12,
            "labels": {"team": "web"},
            "annotations": {"rollout.argoproj.io/revision": "4"},
            **(metadata or {}),
        },
        "spec": {"template": {"spec": {"containers": [{"image": "shop:1.4"}]}}},
        "status": {
            "phase": "Progressing",
            "message": "more replicas need to be updated",
            "observedGeneration": "12",
            "currentStepIndex": 2,
            "abort": False,
            "abortedAt": None,
            "promoteFull": False,
            "stableRS": "6c5",
            "currentPodHash": "7d8",
            "conditions": list(conditions),
            **status,
        },
    }


STARTED = condition("Completed", "False", 0, "RolloutNotCompleted")
DONE = condition("Completed", "True", 9, "RolloutCompleted")
LATE = condition("Progressing", "False", 8, "ProgressDeadlineExceeded")


def test_a_revision_of_a_rollout_is_a_change():
    [said] = READ(rollout(STARTED)).statements
    assert (said.kind, said.id, said.status, said.said_at) == (
        "change",
        "0a1b@4",
        "Progressing",
        NOON,
    )
    assert said.happened == (Happening("started", NOON),)
    assert dict(said.facts) == {
        "title": "shop",
        "kind": Kind.DEPLOYMENT,
        "services": ("shop",),
        "version": "shop:1.4",
        "labels": {"team": "web", "namespace": "prod", "step": "2"},
    }


@pytest.mark.parametrize(
    ("payload", "happened"),
    [
        (rollout(DONE), [Happening("deployed", NOON.replace(minute=9))]),
        (rollout(STARTED, LATE), [Happening("started", NOON),
                                  Happening("failed", NOON.replace(minute=8))]),
        (rollout(STARTED, abort=True, abortedAt="2026-03-06T12:07:00Z"),
         [Happening("failed", NOON.replace(minute=7)), Happening("started", NOON)]),
        (rollout(DONE, LATE, abort=True, abortedAt="2026-03-06T12:07:00Z"),
         [Happening("failed", NOON.replace(minute=7))]),
        (rollout(condition("Paused", "True", 3), phase="Paused"), []),
    ],
)  # fmt: skip
def test_what_the_conditions_say_happened(payload, happened):
    assert list(READ(payload).statements[0].happened) == happened


def test_a_status_of_the_generation_before_tells_nothing_that_happened():
    read = READ(rollout(DONE, observedGeneration="11"))
    assert read.statements[0].happened == ()
    assert [each.what for each in read.dropped] == ["status.observedGeneration"]


def test_scaling_is_no_new_change_where_the_revision_is_told():
    scaled = rollout(DONE, metadata={"generation": 13}, observedGeneration="13")
    assert READ(scaled).statements[0].id == READ(rollout(DONE)).statements[0].id
    bare = rollout(DONE, metadata={"annotations": None})
    assert READ(bare).statements[0].id == "0a1b@generation-12"
    read = READ(rollout(metadata={"annotations": None, "generation": None}))
    assert (read.statements, len(read.dropped)) == ((), 1)


def test_an_abort_without_a_time_is_listed():
    read = READ(rollout(abort=True))
    assert [each.what for each in read.dropped] == ["status.abortedAt"]


def test_service_and_environment_have_the_names_that_the_options_give():
    options = Options(values={"service": {"shop": "web"}, "environment": {"prod": "production"}})
    [said] = READ(rollout(), options).statements
    assert (said.facts["services"], said.facts["environment"]) == (("web",), "production")


@pytest.mark.parametrize(
    "payload", [{}, {"kind": "Pod", "metadata": {"uid": "x"}}, rollout(metadata={"uid": ""})]
)
def test_what_can_not_be_told_apart_is_refused(payload):
    with pytest.raises(InvalidValue):
        READ(payload)


def test_the_template_sends_what_is_read():
    text = argo_rollouts.notification()
    for holder in ("metadata", "status"):
        for name in rollout()[holder]:
            assert f'"{name}":' in text, name
    assert text.count("{{") == text.count("}}")


@given(payloads([rollout(STARTED), rollout(DONE, abort=True)]), OPTIONS)
def test_anything_is_read_or_refused(payload, options):
    reads_or_refuses(READ, payload, options)
