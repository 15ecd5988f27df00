"""
GitLab: the deployment hook, and the rows of the deployments API.

What the fields mean is told by docs.gitlab.com (Webhook events, "Deployment events"; API,
"Deployments"). A deployment is a change, by its id; the hook calls it `deployment_id`, the row
`id`, and they are the same.

The hook tells an event: the status that the deployment took at `status_changed_at`, by `user`. It
is sent at each change of the status, in whatever order it arrives. A row is a snapshot: it says
when the job of the deployment started and finished; for one made through the API, which has no
job, the moment of the row's last change counts as its end. An approval counts once no more of them
are pending, at the time of the last one.

The service is the project, unless values = {"service": {"shop/web": "checkout"}} names another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import CHANGE
from imcm.domain.vocabulary import Commit, Kind
from imcm.errors import InvalidValue
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Happening, Read, Statement

STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "created": "",
        "blocked": "",
        "running": "started",
        "success": "deployed",
        "failed": "failed",
        "canceled": "cancelled",
        "skipped": "not_deployed",
    }
)
"""What each status says happened."""

_SHA: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.IGNORECASE)
_HAPPEN: Final = ("started", "deployed", "failed", "cancelled", "rolled_back")


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    kind = of.text("object_kind")
    if kind == "deployment":
        return Read((_hook(of),), tuple(of.drops))
    if kind is not None:
        of.drop("object_kind", kind, "only the deployment hook is read")
        return Read((), tuple(of.drops))
    if of.raw("id") is None or of.raw("environment") is None:
        raise InvalidValue("payload", ", ".join(of.names())[:200], "a deployment hook or a row")
    return Read((_row(of),), tuple(of.drops))


def _hook(of: Payload) -> Statement:
    word = of.text("status")
    what = of.word("status", word, STATUSES)
    at = of.moment("status_changed_at")
    happened: tuple[Happening, ...] = ()
    if what in _HAPPEN and at is not None:
        happened = (Happening(what, at, of.id("user", "username")),)
    elif what in _HAPPEN:
        of.drop("status_changed_at", of.raw("status_changed_at"), f"nobody can say when: {word}")
    project = of.part("project")
    # Only the address of the commit has the whole sha.
    sha = (of.text("commit_url") or "").rpartition("/")[2]
    ref = of.text("ref")
    facts = {
        "title": of.text("commit_title"),
        "kind": Kind.DEPLOYMENT,
        "services": _service(project, "path_with_namespace"),
        "environment": of.text("environment"),
        "version": sha if _SHA.fullmatch(sha) else of.text("short_sha"),
        "status": "not_deployed" if what == "not_deployed" else None,
        "commits": (Commit(id=sha),) if _SHA.fullmatch(sha) else None,
        "labels": _there(
            {
                "project": project.text("path_with_namespace"),
                "ref": ref,
                "environment_tier": of.text("environment_tier"),
            }
        ),
        "references": _there({"job": of.text("deployable_url"), "commit": of.text("commit_url")}),
    }
    return Statement(
        kind=CHANGE,
        id=of.required("deployment_id"),
        facts=of.usable(CHANGE, facts),
        happened=happened,
        said_at=of.time("status_changed_at"),
        status=word or "",
    )


def _row(of: Payload) -> Statement:
    word = of.text("status")
    what = of.word("status", word, STATUSES)
    job = of.part("deployable")
    ended = job.moment("finished_at") or (
        of.moment("updated_at") if of.raw("deployable") is None else None
    )
    commit = job.part("commit")
    sha = of.text("sha") or commit.text("id")
    project = job.part("project")
    approved_at, approved_by = _approval(of)
    by = of.id("user", "username") or job.id("user", "username")
    moments: dict[str, Any] = {
        "started_at": job.moment("started_at"),
        "deployed_at": ended if what == "deployed" else None,
        "failed_at": ended if what == "failed" else None,
        "cancelled_at": ended if what == "cancelled" else None,
        "rolled_back_at": ended if what == "rolled_back" else None,
    }
    place = of.part("environment") if isinstance(of.raw("environment"), Mapping) else None
    facts: dict[str, Any] = {
        "title": commit.text("title"),
        "kind": Kind.DEPLOYMENT,
        "services": _service(project, "path_with_namespace") or _of_address(job),
        "environment": of.text("environment") if place is None else place.text("name"),
        "version": sha,
        "requested_by": by,
        "requested_at": of.moment("created_at"),
        "approved_at": approved_at,
        "approved_by": approved_by,
        "status": "not_deployed" if what == "not_deployed" else None,
        **moments,
        "commits": (
            (
                Commit(
                    id=sha,
                    authored_at=commit.time("authored_date"),
                    committed_at=commit.time("committed_date") or commit.time("created_at"),
                ),
            )
            if sha and _SHA.fullmatch(sha)
            else None
        ),
        "labels": _there(
            {"ref": of.text("ref"), "environment_tier": place.text("tier") if place else None}
        ),
        "references": _there(
            {"job": job.text("web_url"), "pipeline": job.text("pipeline", "web_url")}
        ),
    }
    # What has a status that is known has none of the ends that this status is not.
    none = tuple(moments) if what is not None or word in STATUSES else ()
    if of.raw("deployable") is None:
        none = tuple(name for name in none if name != "started_at")
    return Statement(
        kind=CHANGE,
        id=of.required("id"),
        facts=of.usable(CHANGE, facts, none=none),
        said_at=of.time("updated_at"),
        status=word or "",
    )


def _approval(of: Payload) -> tuple[Any, str | None]:
    """Return when and by whom a deployment was approved, None while approvals are missing."""
    given = [
        (at, one.id("user", "username"), one.moment("created_at"))
        for one in of.parts("approvals")
        if one.text("status") == "approved" and (at := one.time("created_at"))
    ]
    if not given or of.number("pending_approval_count"):
        return None, None
    given.sort(key=lambda each: each[0])
    for _, by, _ in given[:-1]:
        of.drop("approvals", by or "", "an approval before the last one")
    return given[-1][2], given[-1][1]


def _service(project: Payload, *path: str) -> tuple[str, ...] | None:
    place = project.text(*path)
    if place is None:
        return None
    renamed = project.options.word("service", place, {})
    service = place.rpartition("/")[2] if renamed is None else renamed
    return (service,) if service else None


def _of_address(job: Payload) -> tuple[str, ...] | None:
    """Return the service of the project that the address of a pipeline or a job is of."""
    link = job.text("pipeline", "web_url") or job.text("web_url") or ""
    found = re.match(r"[a-z]+://[^/]+/(.+?)/(?:-/)?(?:pipelines|jobs|builds)/", link)
    if found is None:
        return None
    return _service(Payload({"path": found[1]}, job.options, drops=job.drops), "path")


def _there(texts: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text is not None}


GITLAB: Final = Format(
    name="gitlab",
    title="GitLab: deployment hook, and rows of the deployments API",
    source="gitlab",
    order="time",
    statuses={
        "created, blocked": "nothing has happened yet",
        "running": "started",
        "success": "deployed",
        "failed": "failed",
        "canceled": "cancelled",
        "skipped": "not deployed",
    },
    verdicts=True,
    words=("service", "status"),
    statements=_statements,
)
