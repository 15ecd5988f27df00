"""
LaunchDarkly: webhooks, and the entries of its audit log, which are the same.

What the fields mean is told by launchdarkly.com/docs/api (Webhooks; Audit log). An entry in which a
flag was changed is a change of kind feature_flag, by the entry's `_id`, in production at its
`date`. **They are not delivered in order**: each stands at its own date, whenever it arrives.

The environment stands in the resource, "proj/shop:env/production:flag/new-cart". An entry that
changes a flag in several environments is one change in each: its id, "/" and the environment. What
changes nothing of what users get (names, tags, who maintains it) is listed as left out, and so are
entries that are of no flag.

A flag has no service by itself: values = {"service": {"new-cart": "checkout", "shop": "web"}} names
that of a flag, or of all flags of a project.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from imcm.domain.recorded import CHANGE
from imcm.domain.vocabulary import Kind
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Happening, Read, Statement

NO_CHANGE: Final = frozenset(
    {
        "cloneFlag",
        "createFlag",
        "createFlagLink",
        "deleteFlagLink",
        "updateClientSideFlagAvailability",
        "updateDescription",
        "updateFlagCustomProperties",
        "updateFlagLink",
        "updateIncludeInSnippet",
        "updateMaintainer",
        "updateName",
        "updateTags",
        "updateTemporary",
    }
)
"""Actions after which every user still gets what they got before."""

_RESOURCE: Final = re.compile(
    r"proj/([^:;]+)(?:;[^:]*)?:env/([^:;]+)(?:;[^:]*)?:flag/([^:;]+)(?:;.*)?"
)
_MILLISECOND: Final = timedelta(milliseconds=1)


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    kind = of.text("kind") or ""
    if kind != "flag":
        of.drop("kind", kind, "no flag")
        return Read((), tuple(of.drops))
    id_ = of.required("_id")
    at = of.epoch("date", unit=_MILLISECOND)
    if at is None:
        of.drop("date", of.raw("date"), "nobody can say when the flag was changed")
        return Read((), tuple(of.drops))
    changed = _changed(of)
    return Read(
        tuple(
            Statement(
                kind=CHANGE,
                id=id_ if len(changed) == 1 else f"{id_}/{environment}",
                facts=of.usable(CHANGE, {**_facts(of), **facts}),
                happened=(Happening("deployed", at, _person(of)),),
                said_at=at,
                delivery=id_,
                status=of.text("titleVerb") or "",
            )
            for environment, facts in changed.items()
        ),
        tuple(of.drops),
    )


def _changed(of: Payload) -> dict[str, dict[str, Any]]:
    """Return what is told of each environment in which the flag was changed."""
    actions: dict[tuple[str, str, str], list[str]] = {}
    for access in of.parts("accesses"):
        resource, action = access.text("resource") or "", access.text("action") or ""
        found = _RESOURCE.fullmatch(resource)
        if found is None:
            access.drop("resource", resource, "no flag of one environment")
        elif action in NO_CHANGE:
            access.drop("action", action, "it changes nothing of what users get")
        elif found[2] == "*":
            access.drop("resource", resource, "it names no environment")
        else:
            actions.setdefault((found[2], found[1], found[3]), []).append(action)
    told: dict[str, dict[str, Any]] = {}
    for (environment, project, flag), done in actions.items():
        service = of.options.word("service", flag, {}) or of.options.word("service", project, {})
        told[environment] = {
            "environment": environment,
            "services": (service,) if service else None,
            "labels": {
                "project": project,
                "flag": flag,
                "action": ", ".join(dict.fromkeys(each for each in done if each)),
            },
        }
    return told


def _facts(of: Payload) -> dict[str, Any]:
    words = [of.text("titleVerb"), of.text("name")]
    link = of.text("_links", "site", "href")
    return {
        "title": " ".join(word for word in words if word) or of.text("title"),
        "kind": Kind.FEATURE_FLAG,
        "requested_by": _person(of),
        "references": {"entry": link} if link else None,
    }


def _person(of: Payload) -> str | None:
    return of.id("member", "email") or of.id("member", "_id") or of.id("token", "_id")


LAUNCHDARKLY: Final = Format(
    name="launchdarkly",
    title="LaunchDarkly: webhooks and entries of the audit log, of flags",
    source="launchdarkly",
    order="time",
    statuses={"a flag was changed": "deployed at date"},
    listed_in=("items",),
    words=("service",),
    statements=_statements,
)
