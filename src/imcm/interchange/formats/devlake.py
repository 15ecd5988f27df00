"""
Apache DevLake: what is posted to its incoming webhook, deployments and issues.

What the fields mean is told by apache/incubator-devlake (backend/plugins/webhook/api) and its docs
(Plugins, Incoming Webhook). What a pipeline posts to DevLake can be given here as it is: names in
camelCase, and those in snake_case of older versions.

A deployment is a change by its `id` (`pipeline_id` before; without it the repository and the
commit, as DevLake has it). It is a snapshot without a time of its own, so what arrives last counts.
As DevLake has it, a finished deployment without `result` was successful, and one without
`environment` is of production. DevLake takes the time of receipt for a `finishedDate` that is not
there; here it is absent. The commits name no times.

An issue is an incident if its `type` is INCIDENT, or what values = {"type": {"BUG": "incident"}}
names; others are listed as left out. It is a snapshot as of `updatedDate`. It was detected at
`createdDate` and resolved at `resolutionDate`, if its status is DONE.

The service of a deployment is what the address of its repository ends with, unless
values = {"service": {"https://git.example/shop": "checkout"}} names another; that of an incident
is its `component`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.domain.vocabulary import Commit, Kind
from imcm.errors import InvalidValue
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Read, Statement

RESULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "success": "deployed_at",
        "failure": "failed_at",
        "failed": "failed_at",
        "abort": "cancelled_at",
    }
)
"""Of which moment `finishedDate` is the time, by the result."""

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{f"p{number}": f"P{number}" for number in range(1, 5)},
        **{f"sev{number}": f"P{number}" for number in range(1, 5)},
        "critical": "P1",
        "high": "P2",
        "medium": "P3",
        "low": "P4",
    }
)
"""What is written under `severity`, or else `priority`; nothing prescribes it."""

STATUSES: Final = ("TODO", "IN_PROGRESS", "DONE")
_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"incident": "incident", "bug": "", "requirement": ""}
)
_OLD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "id": "pipeline_id",
        "createdDate": "create_time",
        "startedDate": "start_time",
        "finishedDate": "end_time",
        "displayTitle": "name",
    }
)
_SHA: Final = re.compile(r"[0-9a-f]{7,64}", re.IGNORECASE)


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    if {"issueKey", "issue_key"} & set(of.names()):
        said = _issue(of)
    elif {"deploymentCommits", "deployment_commits", "commitSha", "commit_sha", "repoUrl",
          "repo_url", "pipeline_id", "startedDate", "start_time"} & set(of.names()):  # fmt: skip
        said = _deployment(of)
    else:
        raise InvalidValue("payload", ", ".join(of.names())[:200], "a deployment or an issue")
    return Read(() if said is None else (said,), tuple(of.drops))


def _there(of: Payload, name: str) -> str:
    """Return under which of its names a field stands."""
    snake = re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
    names = (name, snake, _OLD.get(name, snake))
    return next((each for each in names if of.raw(each) not in (None, "")), name)


def _spoken(of: Payload, name: str) -> bool:
    snake = re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
    return bool({name, snake, _OLD.get(name, snake)} & set(of.names()))


# --- deployments ----------------------------------------------------------------------------------


def _deployment(of: Payload) -> Statement:
    commits = [
        *of.parts(_there(of, "deploymentCommits")),
        *([of] if of.raw(_there(of, "commitSha")) is not None else []),
    ]
    repositories = [each.text(_there(each, "repoUrl")) for each in commits]
    shas = [each.text(_there(each, "commitSha")) for each in commits]
    finished = of.moment(_there(of, "finishedDate"), fact="deployed_at")
    result = of.text(_there(of, "result"))
    word = "SUCCESS" if result is None and finished is not None else result
    ended = of.word("status", word, RESULTS)
    ends = dict.fromkeys(("deployed_at", "failed_at", "cancelled_at"))
    if ended is not None and ended not in ends:
        of.drop("result", ended, f"one of {', '.join(ends)}")
    moments: dict[str, Any] = {name: finished if name == ended else None for name in ends}
    id_ = of.id(_there(of, "id"))
    if id_ is None and commits and repositories[0] and shas[0]:
        id_ = f"{repositories[0]}:{shas[0]}"
    names = [each.text(_there(each, "refName")) for each in commits]
    found = dict.fromkeys(sha for sha in shas if sha and _SHA.fullmatch(sha))
    link = of.text("url")
    facts = {
        "title": of.text(_there(of, "displayTitle")) or of.text("name"),
        "kind": Kind.DEPLOYMENT,
        "services": tuple(_services(of, repositories)),
        "environment": of.text("environment") or "PRODUCTION",
        "version": ", ".join(dict.fromkeys(name for name in names if name))
        or ", ".join(found)
        or None,
        "requested_at": of.moment(_there(of, "createdDate"), fact="requested_at"),
        "started_at": of.moment(_there(of, "startedDate"), fact="started_at"),
        **moments,
        "commits": tuple(Commit(id=sha) for sha in found),
        "labels": {"repository": ", ".join(dict.fromkeys(each for each in repositories if each))}
        if any(repositories)
        else None,
        "references": {"deployment": link} if link else None,
    }
    none = tuple(moments) if _spoken(of, "finishedDate") or ended in ends else ()
    return Statement(
        kind=CHANGE,
        id=of.required(_there(of, "id")) if id_ is None else id_,
        facts=of.usable(CHANGE, facts, none=none),
        status=result or "",
        texts=of.texts,
    )


def _services(of: Payload, repositories: list[str | None]) -> Iterator[str]:
    for address in repositories:
        if address is None:
            continue
        named = of.options.word("service", address, {})
        last = address.rstrip("/").removesuffix(".git").rpartition("/")[2]
        service = last if named is None else named
        if service:
            yield service


# --- issues ---------------------------------------------------------------------------------------


def _issue(of: Payload) -> Statement | None:
    key = of.required(_there(of, "issueKey"))
    type_ = of.text("type")
    if of.options.word("type", type_ or "", _TYPES) != "incident":
        of.drop("type", type_ or "", "no incident, unless values.type says it is")
        return None
    status = of.text("status") or ""
    resolved = of.moment(_there(of, "resolutionDate"), fact="resolved_at")
    if status not in STATUSES:
        of.drop("status", status, f"one of {', '.join(STATUSES)}")
    elif status == "DONE" and resolved is None:
        of.drop("resolutionDate", "", "DONE, and nobody can say since when")
    elif status != "DONE" and resolved is not None:
        of.drop("resolutionDate", resolved, f"the end of an issue that is {status}")
        resolved = None
    severity = of.text("severity") or of.text("priority")
    component, link = of.text("component"), of.text("url")
    parent = of.id(_there(of, "parentIssueKey"))
    labels = {
        "type": type_,
        "assigned": of.text(_there(of, "assigneeName")) or of.text(_there(of, "assigneeId")),
        "creator": of.text(_there(of, "creatorName")) or of.text(_there(of, "creatorId")),
        "parent": parent,
        "epic": of.text(_there(of, "epicKey")),
    }
    facts = {
        "title": of.text("title"),
        "severity": of.word("severity", severity, SEVERITIES),
        "severity_name": severity,
        "services": (component,) if component else None,
        "detected_at": of.moment(_there(of, "createdDate"), fact="detected_at"),
        "resolved_at": resolved,
        "labels": {name: text for name, text in labels.items() if text is not None},
        "references": {"ticket": link} if link else None,
    }
    open_ = status in STATUSES and status != "DONE"
    return Statement(
        kind=INCIDENT,
        id=key,
        facts=of.usable(INCIDENT, facts, none=("resolved_at",) if open_ else ()),
        said_at=of.time(_there(of, "updatedDate")),
        status=of.text(_there(of, "originalStatus")) or status,
        texts=of.texts,
    )


DEVLAKE: Final = Format(
    name="devlake",
    title="Apache DevLake: deployments and issues of its incoming webhook",
    source="devlake",
    order="receipt",
    statuses={
        "SUCCESS, or a finished deployment without result": "deployed at finishedDate",
        "FAILURE": "failed at finishedDate",
        "ABORT": "cancelled at finishedDate",
        "TODO, IN_PROGRESS": "detected at createdDate; no end",
        "DONE": "resolved at resolutionDate",
    },
    severities=SEVERITIES,
    words=("service", "severity", "status", "type"),
    statements=_statements,
)
