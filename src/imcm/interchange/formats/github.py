"""
GitHub: webhooks, and the rows of its deployments API.

What the fields mean is told by docs.github.com (Webhook events and payloads; REST: deployments) and
by octokit/webhooks. A webhook names its event in a header only, so an event is recognised by the
shape of its payload; one who has the header gives {"event": name, "payload": {...}}, where
"delivery" is its id.

**One deployment is one change.** These speak of changes:

- `deployment` and `deployment_status`: the change is the deployment, by its id. A deployment alone
  is a request; its statuses tell what happened, each at its own time, so they may come in any order
  and again. `inactive` is said of a deployment that a newer one replaced, and is no roll back.
- `deployment_review` approves a deployment, and names only its run and environment: with
  {"event": "deployment_review", "payload": {...}, "deployment": 42} it is an approval of
  deployment 42, otherwise it is listed as left out. It was given between `since` and the moment
  at which the run last changed: which of the two, nothing says.
- `release`, `workflow_run` and `pull_request` tell of the same work once more, and are no changes
  by themselves. Who deploys by one of them and has no deployments says so:
  values = {"kind": {"release": "deployment"}}, or "workflow:Deploy to production" for the runs of
  that workflow, or "pull_request". A release counts when it is published and is neither a draft nor
  a prerelease; a run for itself and once for each attempt, since a re-run keeps its id; a pull
  request when it is merged.

`github-deployments` reads the rows of the deployments API, each with its list of `statuses`, and
with `commits` (as of a comparison) and `pull_requests` (as of a commit) where whoever collects them
has joined them: these give the commits of the deployment their times. Ids are the same as those of
the webhooks.

`issues` speaks of an incident if one of the issue's labels says so: "incident", or a label that
values = {"label": {"outage": "incident"}} names. An issue is a snapshot: it was detected when it
was opened, also where the label came later, and is resolved when it was closed as completed;
reopened it has no end. Closed as `duplicate` it is dismissed; other reasons are no guess: closed,
with the reason listed. One that lost the label, was deleted or moved is gone. Labels also give
severity ("P1", "sev2", "severity:high"), services and environment ("service:checkout", "env/prod").

The service of a change is its repository, unless values = {"service": {"octo/shop": "checkout"}}
names another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.domain.vocabulary import Between, Commit
from imcm.errors import InvalidValue
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Happening, Read, Statement

STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "pending": "",
        "queued": "",
        "waiting": "",
        "in_progress": "started",
        "success": "deployed",
        "failure": "failed",
        "error": "failed",
        "inactive": "",
    }
)
"""What each state of a deployment says happened."""

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "deploy": "deployment",
        "deploy:migrations": "schema",
        "rollback": "rollback",
        "release": "",
        "pull_request": "",
    }
)
"""What is changed, by the task of a deployment. Any text may stand there."""

SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        f"{before}{word}": rank
        for before in ("", "severity:", "severity/", "severity: ", "priority:", "priority/")
        for word, rank in {
            **{f"{letter}{number}": f"P{number}" for letter in ("p", "sev", "sev-") for number in
               range(1, 5)},
            **({"critical": "P1", "high": "P2", "medium": "P3", "low": "P4"} if before else {}),
        }.items()
    }
)  # fmt: skip
"""Labels that tell a severity; nothing prescribes them."""

_LABELS: Final[Mapping[str, str]] = MappingProxyType({"incident": "incident"})
_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {"completed": "", "reopened": "", "duplicate": "duplicate"}
)
_RESULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "success": "deployed",
        "failure": "failed",
        "timed_out": "failed",
        "startup_failure": "failed",
        "cancelled": "cancelled",
        "neutral": "",
        "skipped": "",
        "stale": "",
        "action_required": "",
    }
)
_SHA: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.IGNORECASE)
_VERSION: Final = re.compile(r"\D{0,20}\d+(\.\d+)+.*")
_READ: Final = (
    "deployment", "deployment_status", "deployment_review", "issues", "ping", "pull_request",
    "release", "workflow_run",
)  # fmt: skip


# --- which event it is ----------------------------------------------------------------------------


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    outer = Payload(payload, options)
    event, inner, deployment, delivery = None, outer, None, None
    if isinstance(payload.get("event"), str) and isinstance(payload.get("payload"), Mapping):
        event = outer.id("event")
        deployment, delivery = outer.id("deployment"), outer.id("delivery")
        inner = Payload(payload["payload"], options, drops=outer.drops)
    event = event or _event_of(inner)
    said: Statement | None = None
    match event:
        case "deployment" | "deployment_status":
            said = _deployed(inner, inner.part("deployment"), delivery)
        case "deployment_review":
            said = _reviewed(inner, deployment, delivery)
        case "workflow_run":
            said = _ran(inner, delivery)
        case "release":
            said = _released(inner, delivery)
        case "pull_request":
            said = _merged(inner, delivery)
        case "issues":
            said = _issue(inner, delivery)
        case "ping":
            inner.drop("", inner.text("zen") or "ping", "a ping: the webhook has been set up")
        case _:
            inner.drop("event", event or "", f"not read; these are: {', '.join(_READ)}")
    return Read(() if said is None else (said,), tuple(outer.drops))


def _event_of(of: Payload) -> str:
    """Return the event that a payload is of, by its shape."""
    there = {name for name in of.names() if of.raw(name) is not None}
    if "zen" in there or ("hook" in there and "action" not in there):
        return "ping"
    if "workflow_run" in there and there & {"since", "reviewers", "approver", "requestor"}:
        return "deployment_review"
    # What else carries one of the things below beside what it is about.
    others = {"workflow_job", "comment", "review", "thread", "deployment_callback_url"}
    if there & others:
        return "/".join(sorted(there & others))
    if "deployment_status" in there:
        return "deployment_status"
    if "deployment" in there:
        return "deployment"
    for name, event in (
        ("workflow_run", "workflow_run"),
        ("check_run", "check_run"),
        ("check_suite", "check_suite"),
        ("release", "release"),
        ("issue", "issues"),
        ("pull_request", "pull_request"),
    ):
        if name in there:
            return event
    if there & {"action", "repository", "organization", "sender", "installation", "enterprise"}:
        return "another event"
    raise InvalidValue("payload", ", ".join(sorted(there))[:200], f"one of {', '.join(_READ)}")


# --- changes --------------------------------------------------------------------------------------


def _deployed(of: Payload, deployment: Payload, delivery: str | None) -> Statement:
    status = of.part("deployment_status") if of.raw("deployment_status") is not None else None
    facts = _deployment_facts(of, deployment)
    statuses = () if status is None else (status,)
    happened = tuple(each for one in statuses for each in _happening(one))
    last = status or deployment
    if status is not None:
        facts["environment"] = status.text("environment") or facts["environment"]
        link = status.text("log_url") or status.text("target_url")
        facts["references"] |= {"run": link} if link else {}
    return Statement(
        kind=CHANGE,
        id=deployment.required("id"),
        facts=of.usable(CHANGE, facts),
        happened=happened,
        said_at=last.time("created_at") if status else deployment.time("updated_at"),
        delivery=delivery,
        status=(status.text("state") if status else None) or "",
    )


def _happening(status: Payload) -> Iterator[Happening]:
    word = status.text("state")
    what = status.word("status", word, STATES)
    if what is None:
        return
    at = status.moment("created_at")
    if at is None:
        status.drop("created_at", status.raw("created_at"), f"nobody can say when it was {word}")
    elif what not in {"started", "deployed", "failed", "rolled_back", "cancelled", "recovered"}:
        status.drop("state", what, "started, deployed, failed, rolled_back, recovered or cancelled")
    else:
        yield Happening(what, at, status.id("creator", "login"))


def _deployment_facts(of: Payload, deployment: Payload) -> dict[str, Any]:
    sha, ref = deployment.text("sha"), deployment.text("ref")
    labels = {"repository": of.text("repository", "full_name"), "ref": ref}
    if deployment.truth("transient_environment"):
        labels["transient_environment"] = "true"
    api = deployment.text("url")
    return {
        "title": deployment.text("description"),
        "kind": deployment.word("kind", deployment.text("task"), KINDS),
        "services": _service(of),
        "environment": deployment.text("environment"),
        "version": ref if ref and _VERSION.fullmatch(ref) else sha,
        "requested_by": deployment.id("creator", "login"),
        "requested_at": deployment.moment("created_at"),
        "commits": (Commit(id=sha),) if sha and _SHA.fullmatch(sha) else None,
        "labels": _there(labels),
        "references": {"deployment": api} if api else {},
    }


def _reviewed(of: Payload, deployment: str | None, delivery: str | None) -> Statement | None:
    action = of.text("action") or ""
    run = of.part("workflow_run")
    if action != "approved":
        why = "rejected: the deployment's own status tells it" if action == "rejected" else (
            "only an approval approves"
        )  # fmt: skip
        of.drop("action", action, why)
        return None
    if deployment is None:
        of.drop(
            "workflow_run.id",
            run.text("id") or "",
            "an approval that names no deployment, only its run; give it with "
            '{"event": "deployment_review", "payload": ..., "deployment": id}',
        )
        return None
    since, changed = of.time("since"), run.time("updated_at")
    if since is None:
        of.drop("since", of.raw("since"), "nobody can say when it was approved")
        return None
    # Nothing says whether `since` is when it was asked for or given; the run changed at the latest.
    at = Between(earliest=since, latest=changed) if changed and changed > since else since
    by = of.id("approver", "login") or of.id("sender", "login")
    return Statement(
        kind=CHANGE,
        id=deployment,
        happened=(Happening("approved", at, by),),
        said_at=changed or since,
        delivery=delivery,
        status=action,
    )


def _ran(of: Payload, delivery: str | None) -> Statement | None:
    run = of.part("workflow_run")
    name = of.text("workflow", "name") or run.text("name") or ""
    kind = of.options.word("kind", f"workflow:{name}", {})
    if not kind:
        run.drop("name", name, f'no deployment, unless values.kind says "workflow:{name}" is one')
        return None
    attempt = run.number("run_attempt") or 1
    happened: list[Happening] = []
    started = run.moment("run_started_at") or run.moment("created_at")
    by = run.id("triggering_actor", "login") or run.id("actor", "login")
    if started is not None:
        happened.append(Happening("started", started, by))
    word = run.text("conclusion")
    what, ended = run.word("status", word, _RESULTS), run.moment("updated_at")
    if what in {"deployed", "failed", "cancelled"} and ended is not None:
        happened.append(Happening(what, ended))
    head = run.part("head_commit")
    sha = run.text("head_sha") or head.text("id")
    link = run.text("html_url")
    facts = {
        "title": run.text("display_title") or name or None,
        "kind": kind,
        "services": _service(of),
        "version": sha,
        "requested_by": by,
        "status": "not_deployed" if word in {"skipped", "stale"} else None,
        "commits": _one_commit(sha, committed_at=head.time("timestamp")),
        "labels": _there(
            {"repository": of.text("repository", "full_name"), "ref": run.text("head_branch")}
        ),
        "references": {"run": link} if link else None,
    }
    return Statement(
        kind=CHANGE,
        id=f"run/{run.required('id')}/{attempt}",
        facts=of.usable(CHANGE, facts),
        happened=tuple(happened),
        said_at=run.time("updated_at"),
        delivery=delivery,
        status=word or run.text("status") or "",
    )


def _released(of: Payload, delivery: str | None) -> Statement | None:
    release = of.part("release")
    kind = of.options.word("kind", "release", KINDS)
    published = release.moment("published_at")
    tag = release.text("tag_name")
    if not kind:
        release.drop("tag_name", tag or "", "no deployment, unless values.kind says a release is")
        return None
    gone = of.text("action") in {"deleted", "unpublished"}
    unready = release.truth("draft") or release.truth("prerelease") or published is None
    if unready and not gone:
        release.drop("tag_name", tag or "", "a draft or a prerelease is no release")
        return None
    link, target = release.text("html_url"), release.text("target_commitish")
    facts = {
        "title": release.text("name") or tag,
        "kind": kind,
        "services": _service(of),
        "version": tag,
        "requested_by": release.id("author", "login"),
        "requested_at": release.moment("created_at"),
        "deployed_at": published,
        "commits": _one_commit(target),
        "labels": _there({"repository": of.text("repository", "full_name")}),
        "references": {"release": link} if link else None,
    }
    return Statement(
        kind=CHANGE,
        id=f"release/{release.required('id')}",
        facts=of.usable(CHANGE, facts),
        said_at=release.time("updated_at"),
        delivery=delivery,
        status=of.text("action") or "",
        gone=gone,
    )


def _merged(of: Payload, delivery: str | None) -> Statement | None:
    request = of.part("pull_request")
    kind = of.options.word("kind", "pull_request", KINDS)
    number = request.text("number") or of.text("number") or ""
    if not kind:
        request.drop("number", number, "no deployment, unless values.kind says a pull_request is")
        return None
    merged = request.moment("merged_at")
    if merged is None:
        request.drop("merged_at", "", f"pull request {number} is not merged")
        return None
    name, link = _numbered(of, request), request.text("html_url")
    opened, certain = request.time("created_at"), request.time("merged_at")
    facts = {
        "title": request.text("title"),
        "kind": kind,
        "services": _service(of),
        "version": request.text("merge_commit_sha"),
        "requested_by": request.id("user", "login"),
        "implemented_by": request.id("merged_by", "login"),
        "requested_at": request.moment("created_at"),
        "deployed_at": merged,
        "commits": _one_commit(
            request.text("merge_commit_sha"),
            pull_request=name,
            opened_at=opened,
            merged_at=certain,
        ),
        "labels": _there({"repository": of.text("repository", "full_name")}),
        "references": {"pull_request": link} if link else None,
    }
    return Statement(
        kind=CHANGE,
        id=name,
        facts=of.usable(CHANGE, facts),
        said_at=request.time("updated_at"),
        delivery=delivery,
        status="merged",
    )


def _service(of: Payload) -> tuple[str, ...] | None:
    """Return the repository as the service, or what the options call it."""
    name = of.text("repository", "full_name")
    said = None if name is None else of.options.word("service", name, {})
    service = of.text("repository", "name") if said is None else said
    return (service,) if service else None


def _one_commit(sha: str | None, **more: Any) -> tuple[Commit, ...] | None:
    return (Commit(id=sha, **more),) if sha and _SHA.fullmatch(sha) else None


def _there(labels: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in labels.items() if text is not None}


# --- incidents ------------------------------------------------------------------------------------


def _issue(of: Payload, delivery: str | None) -> Statement | None:
    issue = of.part("issue")
    action = of.text("action") or ""
    names = [name for name in (each.text("name") for each in issue.parts("labels")) if name]
    lost = of.text("label", "name") if action == "unlabeled" else None
    is_one = any(_says_incident(of, name) for name in names)
    if not is_one and not (lost and _says_incident(of, lost)):
        issue.drop(
            "number", issue.text("number") or "", "no label of it says that it is an incident"
        )
        return None
    closed = issue.moment("closed_at")
    reason = issue.text("state_reason") if closed is not None else None
    dismissed = issue.word("dismissed", reason, _REASONS)
    # A reason that nobody has given a meaning is an end, and no resolution.
    resolved = reason in {None, "completed", "reopened"}
    known = [name for name in names if of.options.word("severity", name, SEVERITIES)]
    known.sort(key=lambda name: of.options.word("severity", name, SEVERITIES) or "")
    for other in known[1:]:
        issue.drop("labels", other, f"{known[0]} is the severity")
    named = known[0] if known else None
    link = issue.text("html_url")
    labels = {
        "repository": of.text("repository", "full_name"),
        "author": issue.text("user", "login"),
    }
    assigned = ", ".join(a for a in (p.text("login") for p in issue.parts("assignees")) if a)
    facts = {
        "title": issue.text("title"),
        "severity": issue.word("severity", named, SEVERITIES),
        "severity_name": named,
        "services": tuple(_named(names, of.options.service_label)) or _mapped(of),
        "environment": next(_named(names, of.options.environment_label), None),
        "detected_at": issue.moment("created_at"),
        "resolved_at": closed if resolved else None,
        "closed_at": None if resolved else closed,
        "dismissed": dismissed,
        "labels": _there(
            {**labels, "labels": ", ".join(names) or None, "assigned": assigned or None}
        ),
        "references": {"issue": link} if link else None,
    }
    speaks = "closed_at" in issue.names()
    none = ("resolved_at", "closed_at", "dismissed") if speaks else ()
    return Statement(
        kind=INCIDENT,
        id=_numbered(of, issue),
        facts=of.usable(INCIDENT, facts, none=none),
        said_at=issue.time("updated_at"),
        delivery=delivery,
        status=" ".join(word for word in (issue.text("state"), reason) if word),
        gone=not is_one or action in {"deleted", "transferred"},
    )


def _says_incident(of: Payload, label: str) -> bool:
    return of.options.word("label", label, _LABELS) == "incident"


def _numbered(of: Payload, thing: Payload) -> str:
    """Return what people write: octo/shop#12."""
    repository = of.text("repository", "full_name") or _repository(thing)
    number = thing.required("number")
    return f"{repository}#{number}" if repository else number


def _named(labels: list[str], names: tuple[str, ...]) -> Iterator[str]:
    """Yield what stands behind some names in labels: service:checkout, service/checkout."""
    for label in labels:
        found = re.fullmatch(r"([^:/=]+)[:/=]\s*(.+)", label)
        if found and found[1].strip().casefold() in names:
            yield found[2].strip()


def _mapped(of: Payload) -> tuple[str, ...] | None:
    name = of.options.word("service", of.text("repository", "full_name") or "", {})
    return (name,) if name else None


# --- rows of the deployments API ------------------------------------------------------------------


def _rows(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    facts = _deployment_facts(of, of)
    if of.raw("repository") is None:
        place = _repository(of)
        if place:
            facts["labels"] |= {"repository": place}
            renamed = options.word("service", place, {})
            service = place.rpartition("/")[2] if renamed is None else renamed
            facts["services"] = (service,) if service else None
    statuses = tuple(of.parts("statuses"))
    happened = [each for status in statuses for each in _happening(status)]
    if of.raw("statuses") is None:
        of.drop("statuses", "", "a row without its statuses tells no more than the request")
    times = [(at, status) for status in statuses if (at := status.time("created_at"))]
    newest = max(times, key=lambda each: each[0], default=(None, None))
    facts["commits"] = tuple(_commits(of)) or facts["commits"]
    said = [at for at in (of.time("updated_at"), newest[0]) if at]
    return Read(
        (
            Statement(
                kind=CHANGE,
                id=of.required("id"),
                facts=of.usable(CHANGE, facts),
                happened=tuple(happened),
                said_at=max(said, default=None),
                status=(newest[1].text("state") if newest[1] else None) or "",
            ),
        ),
        tuple(of.drops),
    )


def _request_id(place: str | None, request: Payload | None) -> str | None:
    number = None if request is None else request.id("number")
    return f"{place}#{number}" if place and number else number


def _repository(of: Payload) -> str | None:
    """Return owner/name out of the address that the API gives of it."""
    found = re.search(r"/repos/([^/]+/[^/]+)", of.text("repository_url") or of.text("url") or "")
    return found and found[1]


def _commits(of: Payload) -> Iterator[Commit]:
    requests = {
        sha: request
        for request in of.parts("pull_requests")
        if (sha := request.text("merge_commit_sha"))
    }
    seen: set[str] = set()
    place = of.text("repository", "full_name") or _repository(of)
    rows = [(row, row.text("sha")) for row in of.parts("commits")]
    own = of.text("sha")
    if own not in {sha for _, sha in rows}:
        rows.append((of.part("commit"), own))
    for row, sha in rows:
        if sha is None or not _SHA.fullmatch(sha) or sha in seen:
            continue
        seen.add(sha)
        request = requests.get(sha)
        yield Commit(
            id=sha,
            authored_at=row.time("commit", "author", "date"),
            committed_at=row.time("commit", "committer", "date"),
            pull_request=_request_id(place, request),
            opened_at=None if request is None else request.time("created_at"),
            merged_at=None if request is None else request.time("merged_at"),
        )


_STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "pending, queued, waiting": "nothing has happened yet",
        "in_progress": "started at created_at of the status",
        "success": "deployed at created_at of the status",
        "failure, error": "failed at created_at of the status",
        "inactive": "nothing: a newer deployment took its place, which is no roll back",
    }
)

_WORDS: Final = ("dismissed", "kind", "label", "service", "severity", "status")

GITHUB: Final = Format(
    name="github",
    title="GitHub: webhooks of deployments, reviews, issues, and of releases, runs, pull requests",
    source="github",
    order="time",
    statuses={
        **_STATUSES,
        "approved (a review)": "approved, where the deployment is given",
        "issue: open": "detected at created_at; no end",
        "issue: closed, completed": "resolved at closed_at",
        "issue: closed, duplicate": "dismissed",
        "issue: closed, not_planned": "closed at closed_at, not resolved",
    },
    severities=SEVERITIES,
    verdicts=True,
    words=_WORDS,
    statements=_statements,
)

GITHUB_DEPLOYMENTS: Final = Format(
    name="github-deployments",
    title="GitHub: rows of the deployments API, each with its statuses",
    source="github",
    order="time",
    statuses=_STATUSES,
    listed_in=("deployments",),
    verdicts=True,
    words=_WORDS,
    statements=_rows,
)
