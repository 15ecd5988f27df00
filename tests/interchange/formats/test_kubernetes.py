"""Kubernetes Events and Pods: samples of their documented shapes, with their traps."""

from datetime import UTC, datetime

import pytest

from garbled import survives
from imcm.domain.vocabulary import Channel, Severity, Symptom
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named, payloads_of
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening, Statement

KUBERNETES = format_named("kubernetes")
READ = KUBERNETES.read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)
UID = "5b1c1a4e-0d5e-4b7c-9f0a-1f6e1c2d3e4f"
ABOUT = {"kind": "Pod", "namespace": "shop", "name": "checkout-7d9f8", "uid": "pod-uid"}
BACK_OFF = "Back-off restarting failed container checkout in pod checkout-7d9f8"


def core_event(**more):
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"uid": UID, "name": "x", "creationTimestamp": "2026-03-06T12:00:00Z"},
        "involvedObject": ABOUT,
        "type": "Warning",
        "reason": "BackOff",
        "message": BACK_OFF,
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": "2026-03-06T12:00:00Z",
        "lastTimestamp": "2026-03-06T12:30:00Z",
        "count": 7,
        "eventTime": None,
        "reportingComponent": "",
        **more,
    }


def new_event(**more):
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"uid": UID, "name": "x", "creationTimestamp": "2026-03-06T12:00:00Z"},
        "regarding": ABOUT,
        "type": "Warning",
        "reason": "FailedScheduling",
        "note": "0/3 nodes are available: 3 Insufficient memory.",
        "eventTime": "2026-03-06T12:00:00.250000Z",
        "series": {"count": 4, "lastObservedTime": "2026-03-06T12:30:00.000000Z"},
        "reportingController": "default-scheduler",
        "deprecatedFirstTimestamp": None,
        "deprecatedLastTimestamp": None,
        **more,
    }


def ended(reason, at="2026-03-06T12:00:00Z"):
    return {"terminated": {"reason": reason, "exitCode": 137, "finishedAt": at}}


WAITS = {"waiting": {"reason": "CrashLoopBackOff"}}
RUNS = {"running": {"startedAt": "2026-03-06T12:05:00Z"}}


def pod(*containers, ready=None, **status):
    conditions = [{"type": "PodScheduled", "status": "True"}]
    if ready is not None:
        conditions.append({"type": "Ready", "status": "True", "lastTransitionTime": ready})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "uid": "pod-uid",
            "namespace": "shop",
            "name": "checkout-7d9f8",
            "labels": {"app.kubernetes.io/name": "checkout", "env": "prod"},
        },
        "status": {
            "phase": "Running",
            "conditions": conditions,
            "containerStatuses": list(containers),
            **status,
        },
    }


def container(state, last=None, **more):
    return {"name": "web", "state": state, "lastState": last or {}, "restartCount": 4, **more}


# --- events ---------------------------------------------------------------------------------------


def test_a_warning_of_core_v1_is_an_incident_that_was_detected():
    read = READ(core_event())
    assert read.dropped == ()
    assert read.statements == (
        Statement(
            kind="incident",
            id=UID,
            facts={
                "title": "BackOff: Pod shop/checkout-7d9f8",
                "symptom": Symptom.CRASH_LOOP,
                "channel": Channel.MONITORING,
                "monitor": "kubelet",
                "labels": {
                    "object_kind": "Pod",
                    "namespace": "shop",
                    "object_name": "checkout-7d9f8",
                    "reason": "BackOff",
                },
            },
            happened=(Happening("detected", NOON),),
            said_at=NOON.replace(minute=30),
            status="Warning",
        ),
    )


def test_a_warning_of_events_v1_has_another_shape_and_says_the_same():
    [said] = READ(new_event()).statements
    assert (said.id, said.facts["title"]) == (UID, "FailedScheduling: Pod shop/checkout-7d9f8")
    assert (said.facts["monitor"], said.facts["symptom"]) == ("default-scheduler", Symptom.MEMORY)
    assert said.happened == (Happening("detected", NOON.replace(microsecond=250_000)),)
    assert said.said_at == NOON.replace(minute=30)


def test_what_happens_again_raises_a_count_and_says_nothing_new():
    [one] = READ(core_event()).statements
    [again] = READ(core_event(count=8, lastTimestamp="2026-03-06T12:31:00Z")).statements
    assert (one.id, one.facts, one.happened) == (again.id, again.facts, again.happened)


@pytest.mark.parametrize(
    ("more", "at"),
    [
        ({"firstTimestamp": None, "eventTime": "2026-03-06T11:00:00.5Z"}, (11, 500_000)),
        ({"firstTimestamp": None}, (12, 0)),
        ({"firstTimestamp": "0001-01-01T00:00:00Z", "eventTime": "2026-03-06T10:00:00Z"}, (10, 0)),
    ],
)
def test_the_first_time_may_be_null(more, at):
    [said] = READ(core_event(**more)).statements
    assert said.happened[0].at == NOON.replace(hour=at[0], microsecond=at[1])


def test_a_time_that_nobody_tells_is_left_out():
    read = READ(core_event(firstTimestamp=None, lastTimestamp=None, metadata={"uid": UID}))
    assert read.statements[0].happened == ()
    assert [each.what for each in read.dropped] == ["eventTime"]


def test_what_is_no_warning_is_no_incident():
    read = READ(core_event(type="Normal", reason="Pulled"))
    assert (read.statements, read.dropped[0].what, read.dropped[0].value) == (
        (),
        "type",
        "Normal",
    )


@pytest.mark.parametrize(
    ("reason", "message", "symptom"),
    [
        ("BackOff", BACK_OFF, Symptom.CRASH_LOOP),
        ("BackOff", 'Back-off pulling image "x"', None),
        ("OOMKilling", "Memory cgroup out of memory", Symptom.MEMORY),
        ("FailedScheduling", "3 Insufficient cpu.", Symptom.CPU),
        ("FailedScheduling", "1 Insufficient cpu, 2 Insufficient memory.", None),
        ("FailedScheduling", "3 node(s) had untolerated taint", None),
        ("FreeDiskSpaceFailed", "", Symptom.DISK),
        ("Unhealthy", "Readiness probe failed", None),
    ],
)
def test_symptoms(reason, message, symptom):
    [said] = READ(core_event(reason=reason, message=message)).statements
    assert said.facts.get("symptom") == symptom


def test_the_options_say_what_names_the_service_and_what_a_reason_weighs():
    options = Options(
        service_label=("object_name",),
        environment_label=("namespace",),
        values={"severity": {"backoff": "P3"}},
    )
    [said] = READ(core_event(), options).statements
    assert (said.facts["services"], said.facts["environment"]) == (("checkout-7d9f8",), "shop")
    assert (said.facts["severity"], said.facts["severity_name"]) == (Severity.P3, "BackOff")


def test_lists_and_watches():
    listed = {"kind": "List", "items": [core_event(), new_event()]}
    assert len(list(payloads_of(listed, KUBERNETES))) == 2
    assert (
        READ({"type": "MODIFIED", "object": core_event()}).statements
        == READ(core_event()).statements
    )
    for type_ in ("DELETED", "BOOKMARK"):
        read = READ({"type": type_, "object": core_event()})
        assert (read.statements, read.dropped[0].value) == ((), type_)


# --- pods -----------------------------------------------------------------------------------------


def test_a_crash_loop_is_one_incident_of_its_container():
    read = READ(pod(container(WAITS, ended("Error"), ready=False)))
    assert read.dropped == ()
    assert read.statements == (
        Statement(
            kind="incident",
            id="pod-uid/web",
            facts={
                "title": "CrashLoopBackOff: Pod shop/checkout-7d9f8",
                "symptom": Symptom.CRASH_LOOP,
                "channel": Channel.MONITORING,
                "monitor": "kubelet",
                "services": ("checkout",),
                "environment": "prod",
                "labels": {
                    "app.kubernetes.io/name": "checkout",
                    "env": "prod",
                    "object_kind": "Pod",
                    "namespace": "shop",
                    "object_name": "checkout-7d9f8",
                    "reason": "CrashLoopBackOff",
                    "container": "web",
                },
            },
            happened=(Happening("detected", NOON),),
            status="CrashLoopBackOff",
        ),
    )
    [again] = READ(
        pod(container(WAITS, ended("Error", "2026-03-06T12:09:00Z"), restartCount=5))
    ).statements
    assert again.id == "pod-uid/web"


@pytest.mark.parametrize(
    ("state", "last", "status"),
    [
        (ended("OOMKilled"), None, "OOMKilled"),
        (WAITS, ended("OOMKilled"), "CrashLoopBackOff"),
        (RUNS, ended("OOMKilled"), "OOMKilled"),
    ],
)
def test_what_was_ended_for_its_memory(state, last, status):
    [said] = READ(pod(container(state, last))).statements
    assert (said.facts["symptom"], said.status) == (Symptom.MEMORY, status)
    assert said.happened == (Happening("detected", NOON),)


@pytest.mark.parametrize(
    ("state", "ready", "since", "over"),
    [
        (RUNS, True, "2026-03-06T12:06:00Z", True),
        (RUNS, False, "2026-03-06T12:06:00Z", False),
        (RUNS, True, "2026-03-06T11:00:00Z", False),
        (RUNS, True, None, False),
        (WAITS, True, "2026-03-06T12:06:00Z", False),
    ],
)
def test_it_is_over_when_the_pod_is_ready_again(state, ready, since, over):
    one = container(state, ended("OOMKilled"), ready=ready)
    [said] = READ(pod(one, ready=since)).statements
    expected = (Happening("resolved", NOON.replace(minute=6)),) if over else ()
    assert said.happened[1:] == expected


def test_each_container_counts_and_those_of_the_start_too():
    first = {**container(WAITS, ended("Error")), "name": "migrate"}
    both = pod(container(WAITS, ended("Error")), initContainerStatuses=[first])
    assert [each.id for each in READ(both).statements] == ["pod-uid/migrate", "pod-uid/web"]


def test_a_pod_that_is_well_tells_nothing_and_one_without_a_time_no_moment():
    read = READ(pod(container(RUNS, ended("Completed"), ready=True)))
    assert (read.statements, [each.value for each in read.dropped]) == ((), ["Running"])
    read = READ(pod(container(WAITS)))
    assert read.statements[0].happened == ()
    assert [each.what for each in read.dropped] == ["status.containerStatuses[0].lastState"]


@pytest.mark.parametrize(
    "payload",
    [{}, {"kind": "Service"}, core_event(metadata={}), {"status": {}}, {"type": "ADDED"}],
)
def test_what_is_neither_is_refused(payload):
    with pytest.raises(InvalidValue, match=r"kind|uid"):
        READ(payload)


def test_whatever_arrives_is_answered():
    one = container(RUNS, ended("OOMKilled"), ready=True)
    samples = [core_event(), new_event(), pod(one, ready="2026-03-06T12:06:00Z")]
    survives(READ, [*samples, {"type": "ADDED", "object": core_event()}])


def test_an_event_of_an_older_component_is_detected_when_it_was_made():
    old = core_event(firstTimestamp=None, lastTimestamp=None, eventTime=None)
    [said] = READ(old).statements
    assert (said.happened, said.said_at) == ((Happening("detected", NOON),), NOON)


def test_a_crash_loop_said_by_its_reason_alone():
    [said] = READ(core_event(reason="CrashLoopBackOff", message="")).statements
    assert said.facts["symptom"] is Symptom.CRASH_LOOP
