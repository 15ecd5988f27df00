"""
Argo CD: what our notification template sends, and Application objects.

Argo CD sends what a template of the operator says, so imcm brings one: argocd-notification.yaml
beside this module, which `notification()` returns. Its body has the shape of an Application; so
`kubectl get application -o json` is read too. What the fields mean is told by argoproj/argo-cd
(docs/operator-manual/notifications, and the Application's specification).

**Each sync is one change**: the application, and the time at which the operation started. A retry
goes on under the same start and is the same change; the same revision again, as in a roll back to
it, is another one. The revision is no part of the id: while a sync runs it may not be told yet, and
which trigger sent it says nothing that the operation does not. It started at `startedAt`, and at
`finishedAt` it was deployed or failed.

A degraded application is no change that failed: health may turn at any time, and whether it makes
an incident, monitoring says. It is kept as a label of the sync. Of an application with several
sources each revision counts; those that are shas of commits are the commits of the change.

The service is the application, unless values = {"service": {"shop-prod": "shop"}} names another;
values = {"environment": {"shop-prod": "production"}} names the environment of an application, a
destination or its namespace; without it a change is taken for production.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import CHANGE
from imcm.domain.vocabulary import Commit, Kind
from imcm.errors import InvalidValue
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Happening, Read, Statement

PHASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "running": "",
        "terminating": "",
        "succeeded": "deployed",
        "failed": "failed",
        "error": "failed",
    }
)
"""What each phase of a sync says happened at its end."""

_SHA: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.IGNORECASE)


def notification() -> str:
    """Return the ConfigMap by which Argo CD sends what this format reads."""
    return (
        files("imcm.interchange.formats")
        .joinpath("argocd-notification.yaml")
        .read_text(encoding="utf-8")
    )


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    if of.raw("metadata") is None or of.text("kind") not in {None, "Application"}:
        raise InvalidValue("payload", of.text("kind") or "", "what our template sends")
    name = of.required("metadata", "name")
    sync = of.part("status", "operationState")
    started = sync.time("startedAt")
    if started is None:
        of.drop("status.operationState.startedAt", sync.raw("startedAt"), "no sync has started")
        return Read((), tuple(of.drops))
    word = sync.text("phase")
    what = sync.word("status", word, PHASES)
    by = sync.id("operation", "initiatedBy", "username")
    happened = [Happening("started", started, by)]
    ended = sync.time("finishedAt")
    if what in {"deployed", "failed"} and ended is not None:
        happened.append(Happening(what, ended))
    revisions = _revisions(sync)
    namespace = of.text("metadata", "namespace")
    application = f"{namespace}/{name}" if namespace else name
    facts = {
        "title": sync.text("message"),
        "kind": Kind.DEPLOYMENT,
        "services": _named(of, "service", name) or (name,),
        "environment": next(iter(_environment(of, name)), None),
        "version": ", ".join(revisions) or None,
        "requested_by": by,
        "commits": tuple(Commit(id=each) for each in revisions if _SHA.fullmatch(each)),
        "labels": _labels(of, sync),
    }
    at = f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    return Read(
        (
            Statement(
                kind=CHANGE,
                id=f"{application}@{at}",
                facts=of.usable(CHANGE, facts),
                happened=tuple(happened),
                said_at=ended or started,
                status=word or "",
            ),
        ),
        tuple(of.drops),
    )


def _revisions(sync: Payload) -> list[str]:
    several = sync.each_text("syncResult", "revisions")
    one = sync.text("syncResult", "revision")
    return list(dict.fromkeys(several)) or ([one] if one else [])


def _labels(of: Payload, sync: Payload) -> dict[str, str]:
    sources = [each.text("repoURL") for each in of.parts("spec", "sources")]
    told = {
        **of.labels("metadata", "labels"),
        "application_project": of.text("spec", "project"),
        "repository": ", ".join(each for each in sources if each)
        or of.text("spec", "source", "repoURL"),
        "health": of.text("status", "health", "status"),
        "automated": "true" if sync.raw("operation", "initiatedBy", "automated") is True else None,
    }
    return {name: text for name, text in told.items() if text is not None}


def _named(of: Payload, fact: str, name: str | None) -> tuple[str, ...]:
    word = of.options.word(fact, name or "", {})
    return (word,) if word else ()


def _environment(of: Payload, name: str) -> tuple[str, ...]:
    to = of.part("spec", "destination")
    names = (name, to.text("name"), to.text("namespace"))
    given = of.first(of.labels("metadata", "labels"), of.options.environment_label)
    mapped = tuple(word for each in names for word in _named(of, "environment", each))
    return mapped or ((given,) if given else ())


ARGOCD: Final = Format(
    name="argocd",
    title="Argo CD: syncs of applications, by our notification template",
    source="argocd",
    order="time",
    statuses={
        "Running, Terminating": "started at startedAt",
        "Succeeded": "deployed at finishedAt",
        "Failed, Error": "failed at finishedAt",
        "Degraded (health)": "nothing; a label",
    },
    listed_in=("items",),
    verdicts=True,
    words=("environment", "service", "status"),
    statements=_statements,
)
