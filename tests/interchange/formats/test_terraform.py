"""Terraform's notifications and plans: samples of their documented shape, with their traps."""

from datetime import UTC, datetime

import pytest
from hypothesis import given

from any_json import OPTIONS, payloads, reads_or_refuses
from imcm.domain.vocabulary import Kind
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named
from imcm.interchange.formats.terraform import STATUSES
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening

READ = format_named("terraform").read
PLAN = format_named("terraform-plan").read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


def notified(status="applied", trigger="run:completed", **more):
    return {
        "payload_version": 1,
        "notification_configuration_id": "nc-1",
        "run_url": "https://app.terraform.io/app/acme/shop-prod/runs/run-7x",
        "run_id": "run-7x",
        "run_message": "Wider pool",
        "run_created_at": "2026-03-06T12:00:00.000Z",
        "run_created_by": "ann",
        "workspace_id": "ws-1",
        "workspace_name": "shop-prod",
        "organization_name": "acme",
        "notifications": [
            {
                "message": "Run Applied",
                "trigger": trigger,
                "run_status": status,
                "run_updated_at": "2026-03-06T12:05:00.000Z",
                "run_updated_by": "bea",
            }
        ],
        **more,
    }


TEST_MESSAGE = notified(
    run_id=None,
    run_created_at=None,
    notifications=[{"message": "Verification", "trigger": "verification", "run_status": None}],
)


def resource(type_, *actions, **more):
    return {
        "address": f"{type_}.this",
        "type": type_,
        "change": {"actions": list(actions), "before": {"password": "secret"}, "after": {}},
        **more,
    }


def plan(*resources, **more):
    return {
        "run_id": "run-7x",
        "plan": {
            "format_version": "1.2",
            "timestamp": "2026-03-06T12:01:00Z",
            "resource_changes": list(resources),
            **more,
        },
    }


def test_a_run_is_a_change_and_a_notification_tells_an_event():
    [said] = READ(notified()).statements
    at = NOON.replace(minute=5)
    assert (said.kind, said.id, said.status, said.said_at) == ("change", "run-7x", "applied", at)
    assert said.happened == (Happening("deployed", at, "bea"),)
    assert dict(said.facts) == {
        "title": "Wider pool",
        "services": ("shop-prod",),
        "requested_by": "ann",
        "requested_at": NOON,
        "labels": {"organization": "acme", "workspace": "shop-prod"},
        "references": {"run": "https://app.terraform.io/app/acme/shop-prod/runs/run-7x"},
    }


@pytest.mark.parametrize(("status", "what"), STATUSES.items())
def test_what_each_status_says_happened(status, what):
    read = READ(notified(status))
    [said] = read.statements
    if what == "not_deployed":
        assert (said.happened, said.facts["status"]) == ((), "not_deployed")
    else:
        assert [each.what for each in said.happened] == ([what] if what else [])
    assert read.dropped == ()


def test_completed_with_nothing_to_apply_is_no_deployment():
    [said] = READ(notified("planned_and_finished", "run:completed")).statements
    assert (said.happened, said.facts["status"]) == ((), "not_deployed")


def test_what_needs_attention_is_not_approved():
    [said] = READ(notified("planned", "run:needs_attention")).statements
    assert said.happened == ()


def test_the_message_that_tests_a_configuration_tells_nothing():
    read = READ(TEST_MESSAGE)
    assert (read.statements, [each.value for each in read.dropped]) == ((), ["verification"])
    read = READ(notified(payload_version=2))
    assert (read.statements, [each.what for each in read.dropped]) == ((), ["payload_version"])


def test_what_does_not_fit_is_listed():
    read = READ(notified("melted"))
    assert [(each.what, each.value) for each in read.dropped] == [
        ("notifications[0].status", "melted")
    ]


def test_service_and_environment_have_the_names_that_the_options_give():
    options = Options(
        values={"service": {"shop-prod": "shop"}, "environment": {"shop-prod": "production"}}
    )
    [said] = READ(notified(), options).statements
    assert (said.facts["services"], said.facts["environment"]) == (("shop",), "production")


@pytest.mark.parametrize("payload", [{}, notified(run_id=None), notified(run_id="")])
def test_what_can_not_be_told_apart_is_refused(payload):
    with pytest.raises(InvalidValue, match="run_id"):
        READ(payload)


def test_a_plan_tells_kind_and_size_of_the_run_that_is_given():
    said = PLAN(
        plan(
            resource("aws_security_group", "update"),
            resource("aws_security_group_rule", "delete", "create"),
            resource("aws_instance", "no-op"),
            resource("aws_ami", "read", mode="data"),
        )
    ).statements[0]
    assert (said.id, said.said_at, said.happened) == ("run-7x", NOON.replace(minute=1), ())
    assert dict(said.facts) == {
        "kind": Kind.FIREWALL,
        "labels": {
            "resources_changed": "2",
            "resources_replaced": "1",
            "resources_updated": "1",
        },
    }


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("google_compute_firewall", Kind.FIREWALL),
        ("aws_autoscaling_group", Kind.SCALING),
        ("postgresql_schema", Kind.SCHEMA),
        ("launchdarkly_feature_flag", Kind.FEATURE_FLAG),
        ("aws_instance", Kind.CONFIGURATION),
    ],
)
def test_the_kind_of_a_resource(type_, kind):
    assert PLAN(plan(resource(type_, "create"))).statements[0].facts["kind"] is kind


def test_of_several_kinds_none_is_taken():
    read = PLAN(plan(resource("aws_security_group", "create"), resource("aws_instance", "delete")))
    assert "kind" not in read.statements[0].facts
    assert [each.value for each in read.dropped] == ["configuration, firewall"]
    options = Options(values={"kind": {"aws_instance": "firewall"}})
    assert PLAN(plan(resource("aws_instance", "create")), options).statements[0].facts["kind"] is (
        Kind.FIREWALL
    )


def test_a_plan_without_changes_changes_nothing_and_no_value_is_kept():
    assert PLAN(plan()).statements[0].facts["labels"] == {"resources_changed": "0"}
    read = PLAN(plan(resource("aws_instance", "melt"), resource("aws_db", "create")))
    assert "secret" not in repr(read)
    assert [each.what for each in read.dropped] == ["plan.resource_changes[0].change.actions"]
    read = PLAN({"run_id": "run-7x", "plan": {"format_version": "1.2"}})
    assert (read.statements, len(read.dropped)) == ((), 1)


def test_a_plan_alone_has_no_id():
    with pytest.raises(InvalidValue, match="run_id"):
        PLAN(plan()["plan"])


@given(payloads([notified(), TEST_MESSAGE]), OPTIONS)
def test_any_notification_is_read_or_refused(payload, options):
    reads_or_refuses(READ, payload, options)


@given(payloads([plan(resource("aws_waf", "create"))]), OPTIONS)
def test_any_plan_is_read_or_refused(payload, options):
    reads_or_refuses(PLAN, payload, options)
