"""
Kubernetes: Events of core/v1 and of events.k8s.io/v1, and the status of Pods.

What the fields mean is told by kubernetes/api (core/v1/types.go, events/v1/types.go). Objects of a
list (`items`) and of a watch ({"type": "MODIFIED", "object": ...}) are recognised by what they
have: an Event its `involvedObject` or `regarding`, a Pod its `status.containerStatuses`.

**Events.** An Event of type Warning is an incident, its `metadata.uid`. What happens again raises
its count and says nothing new; an Event of that sort comes anew only after the old one is gone,
which is after about an hour. It is detected at `firstTimestamp`, or where that is null at
`eventTime`. No Event ever says that something is over, and that it is no more kept does not either:
resolve such incidents by hand, or take them as hints. Events of type Normal are none.

**Pods.** Each container that is in a crash loop, or was ended for using too much memory, is an
incident: the Pod's uid and the container's name, and not the restart, so that a crash loop is one.
It is detected when the container ended (`finishedAt`), and resolved when the Pod became ready again
(`lastTransitionTime` of its condition Ready) after that. A container without a readiness probe is
ready as soon as it runs, between two crashes too: then each crash is a reopening. A Pod has no time
of its own, and counts from when it is received. Pods that are well tell nothing.

Service and environment are looked for among the labels of the object, and among `namespace`,
`object_kind`, `object_name`, `reason` and `container`, which are labels here; a Pod's
`app.kubernetes.io/name` names the service where nothing else does. What a reason weighs say the
options: `values.severity` = {"OOMKilled": "P2"}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from imcm.domain.recorded import INCIDENT
from imcm.domain.vocabulary import Channel, Symptom
from imcm.errors import InvalidValue
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload, told
from imcm.interchange.statements import Happening, Read, Statement, read_of

_CRASH_LOOP: Final = "CrashLoopBackOff"
_OUT_OF_MEMORY: Final = "OOMKilled"
_APP: Final = "app.kubernetes.io/name"


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    watched = of.text("type")
    if watched is not None and isinstance(of.raw("object"), Mapping):
        if watched == "DELETED":
            of.drop("type", watched, "that it is no more kept is no end of what it told")
            return read_of([], of.drops)
        if watched in {"BOOKMARK", "ERROR"}:
            of.drop("type", watched, "no object of its own")
            return read_of([], of.drops)
        of = of.part("object")
    if of.raw("involvedObject") is not None or of.raw("regarding") is not None:
        said = list(_event(of))
    elif isinstance(of.raw("status"), Mapping):
        said = list(_pod(of))
    else:
        allowed = "an Event (involvedObject or regarding) or a Pod (status)"
        raise InvalidValue("kind", of.raw("kind"), allowed)
    return read_of(said, of.drops)


# --- events ---------------------------------------------------------------------------------------


def _event(event: Payload) -> Iterator[Statement]:
    id_ = event.required("metadata", "uid")
    kind = event.text("type")
    reason = event.text("reason")
    if kind != "Warning":
        event.drop("type", kind, f"{reason or 'an Event'} is no Warning")
        return
    about = event.part("involvedObject" if event.raw("involvedObject") is not None else "regarding")
    first = _first(event, "firstTimestamp", "deprecatedFirstTimestamp", "eventTime")
    if first is None:
        first = event.time("metadata", "creationTimestamp")
    if first is None:
        event.drop("eventTime", event.raw("eventTime"), "nothing says when it happened")
    last = event.time("series", "lastObservedTime")
    if last is None:
        last = _first(event, "lastTimestamp", "deprecatedLastTimestamp")
    labels = {
        **event.labels("metadata", "labels"),
        **_object(about.text("kind"), about.text("namespace"), about.text("name"), reason),
    }
    message = event.text("message") or event.text("note") or ""
    yield Statement(
        kind=INCIDENT,
        id=id_,
        facts=event.usable(
            INCIDENT,
            {
                **_shared(event, labels, reason),
                "symptom": _symptom(reason or "", message),
                "monitor": event.text("reportingController")
                or event.text("reportingComponent")
                or event.text("source", "component")
                or event.text("deprecatedSource", "component"),
            },
        ),
        happened=() if first is None else (Happening("detected", first),),
        said_at=last if last is not None else first,
        status=kind,
    )


def _first(event: Payload, *fields: str) -> datetime | None:
    for field in fields:
        at = event.time(field)
        if at is not None:
            return at
    return None


def _symptom(reason: str, message: str) -> Symptom | None:
    """Return what was wrong where the reason, or its plain words, leave no doubt."""
    match reason:
        case "CrashLoopBackOff":
            return Symptom.CRASH_LOOP
        case "BackOff":  # of images that can't be pulled, too
            return Symptom.CRASH_LOOP if "restarting failed container" in message else None
        case "OOMKilling" | "OOMKilled" | "SystemOOM":
            return Symptom.MEMORY
        case "FreeDiskSpaceFailed" | "ImageGCFailed":
            return Symptom.DISK
        case "FailedScheduling":
            lacks_cpu, lacks_memory = (
                "Insufficient cpu" in message,
                "Insufficient memory" in message,
            )
            if lacks_cpu != lacks_memory:
                return Symptom.CPU if lacks_cpu else Symptom.MEMORY
            return None
        case _:
            return None


# --- pods -----------------------------------------------------------------------------------------


def _pod(pod: Payload) -> Iterator[Statement]:
    uid = pod.required("metadata", "uid")
    ready_at = _ready_since(pod)
    ill = False
    for field in ("initContainerStatuses", "containerStatuses"):
        for container in pod.parts("status", field):
            said = _container(pod, uid, container, ready_at)
            if said is not None:
                ill = True
                yield said
    if not ill:
        pod.drop("status", pod.text("status", "phase"), "no container in a crash loop or OOMKilled")


def _container(
    pod: Payload, uid: str, container: Payload, ready_at: datetime | None
) -> Statement | None:
    ended = container.part("state", "terminated")
    if ended.text("reason") is None:
        ended = container.part("lastState", "terminated")
    out_of_memory = ended.text("reason") == _OUT_OF_MEMORY
    loops = container.text("state", "waiting", "reason") == _CRASH_LOOP
    if not (out_of_memory or loops):
        return None
    reason = _OUT_OF_MEMORY if out_of_memory else _CRASH_LOOP
    name = container.required("name")
    at = ended.time("finishedAt")
    happened: list[Happening] = []
    if at is None:
        container.drop("lastState", container.raw("lastState"), "nothing says when it ended")
    else:
        happened.append(Happening("detected", at))
        runs = container.raw("state", "running") is not None
        if runs and container.truth("ready") and ready_at is not None and ready_at >= at:
            happened.append(Happening("resolved", ready_at))
    labels = {
        **pod.labels("metadata", "labels"),
        **_object("Pod", pod.text("metadata", "namespace"), pod.text("metadata", "name"), reason),
        "container": name,
    }
    return Statement(
        kind=INCIDENT,
        id=f"{uid}/{name}",
        facts=pod.usable(
            INCIDENT,
            {
                **_shared(pod, labels, reason),
                "symptom": Symptom.MEMORY if out_of_memory else Symptom.CRASH_LOOP,
                "monitor": "kubelet",
            },
        ),
        happened=tuple(happened),
        status=_CRASH_LOOP if loops else reason,
    )


def _ready_since(pod: Payload) -> datetime | None:
    for condition in pod.parts("status", "conditions"):
        if (condition.text("type"), condition.text("status")) == ("Ready", "True"):
            return condition.time("lastTransitionTime")
    return None


# --- what both tell -------------------------------------------------------------------------------


def _object(
    kind: str | None, namespace: str | None, name: str | None, reason: str | None
) -> dict[str, str]:
    return told(
        {"object_kind": kind, "namespace": namespace, "object_name": name, "reason": reason}
    )


def _shared(of: Payload, labels: Mapping[str, str], reason: str | None) -> dict[str, object]:
    place = "/".join(labels[each] for each in ("namespace", "object_name") if each in labels)
    about = " ".join(each for each in (labels.get("object_kind"), place) if each)
    title = ": ".join(each for each in (reason, about) if each)
    service = of.first(labels, (*of.options.service_label, _APP))
    weight = None if reason is None else of.options.word("severity", reason, {})
    return {
        "title": title or None,
        "channel": Channel.MONITORING,
        "severity": weight or None,
        "severity_name": reason if weight else None,
        "services": None if service is None else (service,),
        "environment": of.first(labels, of.options.environment_label),
        "labels": labels,
    }


KUBERNETES: Final = Format(
    name="kubernetes",
    title="Kubernetes: Events (core/v1, events.k8s.io/v1) and the status of Pods",
    source="kubernetes",
    order="time",
    statuses={
        "Warning": "detected at firstTimestamp, else eventTime; nothing says that it is over",
        "Normal": "no incident",
        "CrashLoopBackOff": "detected at finishedAt of the container",
        "OOMKilled": "detected at finishedAt of the container",
        "Ready": "resolved at lastTransitionTime of the Pod's condition, where that is later",
    },
    words=("severity",),
    statements=_statements,
    listed_in=("items",),
)
