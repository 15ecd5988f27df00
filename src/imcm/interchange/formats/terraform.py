"""
Terraform: notifications of runs (HCP Terraform, Terraform Enterprise), and plans.

What the fields mean is told by developer.hashicorp.com (Notification configurations API; JSON
output format).

`terraform` reads notifications, payload version 1. A run is a change, by its `run_id`; each of its
notifications tells an event, at `run_updated_at`. **Completed is not applied**: a run is completed
too when it planned and found nothing to apply, so `run_status` decides. `needs_attention` waits for
an approval; who gives it is not told, only who last updated the run. The message that tests a
configuration has no run, and says nothing.

`terraform-plan` reads what `terraform show -json` prints: the kind and the size of a change that is
told of elsewhere. **A plan has no id**, so whoever has it says whose it is: {"run_id": "run-7x",
"plan": {...}}. With the ids of runs its facts join what the notifications say. The kind is told
where all resources that change are of one; the size stands in labels. No address and no value of a
resource is kept: values may be secrets.

The service of a run is its workspace, unless values = {"service": {"shop-prod": "shop"}} names
another; values = {"environment": {"shop-prod": "production"}} names a workspace's environment.
Without it a change is taken for production.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import CHANGE
from imcm.errors import InvalidValue
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Happening, Read, Statement

STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "applied": "deployed",
        "errored": "failed",
        "applying": "started",
        "canceled": "cancelled",
        "force_canceled": "cancelled",
        "discarded": "cancelled",
        "planned_and_finished": "not_deployed",
        "planned_and_saved": "not_deployed",
        "policy_soft_failed": "not_deployed",
        **dict.fromkeys(
            (
                "pending",
                "fetching",
                "fetching_completed",
                "queuing",
                "plan_queued",
                "planning",
                "planned",
                "cost_estimating",
                "cost_estimated",
                "policy_checking",
                "policy_override",
                "policy_checked",
                "pre_plan_running",
                "pre_plan_completed",
                "post_plan_running",
                "post_plan_completed",
                "post_plan_awaiting_decision",
                "pre_apply_running",
                "pre_apply_completed",
                "confirmed",
                "apply_queued",
                "queuing_apply",
            ),
            "",
        ),
    }
)
"""What each status of a run says happened."""

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "security_group": "firewall",
        "firewall": "firewall",
        "network_acl": "firewall",
        "waf": "firewall",
        "network_policy": "firewall",
        "autoscaling": "scaling",
        "autoscaler": "scaling",
        "appautoscaling": "scaling",
        "schema": "schema",
        "postgresql_table": "schema",
        "bigquery_table": "schema",
        "snowflake_table": "schema",
        "feature_flag": "feature_flag",
    }
)
"""What is changed, by what stands in the type of a resource; whatever else: configuration."""

_HAPPEN: Final = ("started", "deployed", "failed", "cancelled", "rolled_back", "recovered")


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    version = of.number("payload_version")
    if version not in {None, 1}:
        of.drop("payload_version", version, "no notification of a run; version 1 is")
        return Read((), tuple(of.drops))
    notifications = tuple(of.parts("notifications"))
    if any(each.text("trigger") == "verification" for each in notifications):
        of.drop("notifications", "verification", "a test of the configuration")
        return Read((), tuple(of.drops))
    happened: list[Happening] = []
    times: list[datetime] = []
    facts, word = _facts(of), ""
    for each in notifications:
        word = each.text("run_status") or ""
        what = each.word("status", word or None, STATUSES)
        at, certain = each.moment("run_updated_at"), each.time("run_updated_at")
        if certain is not None:
            times.append(certain)
        if what == "not_deployed":
            facts["status"] = what
        elif what in _HAPPEN and at is not None:
            happened.append(Happening(what, at, each.id("run_updated_by")))
        elif what in _HAPPEN:
            each.drop("run_updated_at", each.raw("run_updated_at"), f"nobody can say when: {word}")
    return Read(
        (
            Statement(
                kind=CHANGE,
                id=of.required("run_id"),
                facts=of.usable(CHANGE, facts),
                happened=tuple(happened),
                said_at=max(times, default=None),
                status=word,
            ),
        ),
        tuple(of.drops),
    )


def _facts(of: Payload) -> dict[str, Any]:
    workspace, link = of.text("workspace_name"), of.text("run_url")
    service = None if workspace is None else of.options.word("service", workspace, {})
    service = workspace if service is None else service
    labels = {
        "organization": of.text("organization_name"),
        "workspace": workspace,
    }
    return {
        "title": of.text("run_message"),
        "services": (service,) if service else None,
        "environment": of.options.word("environment", workspace or "", {}) or None,
        "requested_by": of.id("run_created_by"),
        "requested_at": of.moment("run_created_at"),
        "labels": {name: text for name, text in labels.items() if text is not None},
        "references": {"run": link} if link else None,
    }


# --- plans ----------------------------------------------------------------------------------------


def _plan(payload: Mapping[str, Any], options: Options) -> Read:
    outer = Payload(payload, options)
    if outer.raw("run_id") is None:
        raise InvalidValue("run_id", None, 'whose plan it is: {"run_id": "run-7x", "plan": {...}}')
    of = outer.part("plan")
    counts: Counter[str] = Counter()
    kinds: set[str] = set()
    for resource in of.parts("resource_changes"):
        done = _done(resource)
        if done is None:
            continue
        counts[done] += 1
        kinds.add(_kind(resource))
    if not counts and of.raw("resource_changes") is None:
        of.drop("resource_changes", "", "no plan: it names no changes")
        return Read((), tuple(of.drops))
    if len(kinds) > 1:
        of.drop("resource_changes", ", ".join(sorted(kinds)), "of several kinds; none is the one")
    labels = {f"resources_{done}": str(number) for done, number in sorted(counts.items())}
    facts = {
        "kind": next(iter(kinds)) if len(kinds) == 1 else None,
        "labels": {**labels, "resources_changed": str(counts.total())},
    }
    return Read(
        (
            Statement(
                kind=CHANGE,
                id=outer.required("run_id"),
                facts=of.usable(CHANGE, facts),
                said_at=of.time("timestamp"),
            ),
        ),
        tuple(of.drops),
    )


def _done(resource: Payload) -> str | None:
    """Return what is planned for a resource; None where nothing of it changes."""
    actions = sorted(resource.each_text("change", "actions"))
    match actions:
        case ["create", "delete"]:
            return "replaced"
        case ["create"]:
            return "created"
        case ["update"]:
            return "updated"
        case ["delete"]:
            return "deleted"
        case ["forget"] | ["no-op"] | ["read"]:
            return None
        case _:
            resource.drop("change.actions", actions, "no actions that are known")
            return None


def _kind(resource: Payload) -> str:
    type_ = resource.text("type") or ""
    given = resource.options.word("kind", type_, {})
    if given:
        return given
    found = (kind for part, kind in KINDS.items() if re.search(rf"(^|_){part}", type_))
    return next(found, "configuration")


_WORDS: Final = ("environment", "kind", "service", "status")

TERRAFORM: Final = Format(
    name="terraform",
    title="Terraform: notifications of runs (HCP Terraform, Terraform Enterprise)",
    source="terraform",
    order="time",
    statuses={
        "applying": "started at run_updated_at",
        "applied": "deployed at run_updated_at",
        "errored": "failed at run_updated_at",
        "canceled, force_canceled, discarded": "cancelled at run_updated_at",
        "planned_and_finished, planned_and_saved, policy_soft_failed": "not deployed",
    },
    words=_WORDS,
    statements=_statements,
)

TERRAFORM_PLAN: Final = Format(
    name="terraform-plan",
    title="Terraform: a plan (terraform show -json) with the id of its run",
    source="terraform",
    order="time",
    statuses={"planned": "nothing yet: a plan tells what would change, and of what kind it is"},
    words=_WORDS,
    statements=_plan,
)
