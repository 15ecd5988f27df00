"""
Argo Rollouts: what our notification template sends, and Rollout objects.

imcm brings the template, argo-rollouts-notification.yaml beside this module, which `notification()`
returns. Its body has the shape of a Rollout, so `kubectl get rollout -o json` is read too. What the
fields mean is told by argoproj/argo-rollouts (pkg/apis/rollouts/v1alpha1/types.go).

**Each revision of a Rollout is one change**: its uid and the revision that Argo Rollouts counts in
an annotation; where that is missing, its generation, which also counts scaling. A roll back is a
new revision. It started when it ceased to be complete, was deployed when it became `Completed`, and
failed when it was aborted or made no progress in time. A pause is a step like any other.

A status is of the generation that it says it observed. Argo Rollouts sends notifications that still
carry the status of the generation before: its moments are of another change, and left out. No
object says who did something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

from imcm.domain.recorded import CHANGE
from imcm.domain.vocabulary import Kind
from imcm.errors import InvalidValue
from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options, Payload
from imcm.interchange.statements import Happening, Read, Statement

_REVISION: Final = "rollout.argoproj.io/revision"


def notification() -> str:
    """Return the ConfigMap by which Argo Rollouts sends what this format reads."""
    return (
        files("imcm.interchange.formats")
        .joinpath("argo-rollouts-notification.yaml")
        .read_text(encoding="utf-8")
    )


def _statements(payload: Mapping[str, Any], options: Options) -> Read:
    of = Payload(payload, options)
    if of.text("kind") not in {None, "Rollout"} or of.raw("metadata") is None:
        raise InvalidValue("payload", of.text("kind") or "", "what our template sends")
    uid = of.required("metadata", "uid")
    revision = of.text("metadata", "annotations", _REVISION)
    generation = of.text("metadata", "generation")
    if revision is None and generation is None:
        of.drop("metadata.generation", "", "nobody can say which rollout it is")
        return Read((), tuple(of.drops))
    status = of.part("status")
    observed = status.text("observedGeneration")
    happened: list[Happening] = []
    if observed is not None and generation is not None and observed != generation:
        status.drop("observedGeneration", observed, f"a status of before generation {generation}")
    else:
        happened = list(_happened(status))
    name = of.text("metadata", "name")
    service = None if name is None else of.options.word("service", name, {})
    service = name if service is None else service
    labels = of.labels("metadata", "labels")
    for label, place in (
        ("namespace", ("metadata", "namespace")),
        ("step", ("status", "currentStepIndex")),
        ("promote_full", ("status", "promoteFull")),
    ):
        text = of.text(*place)
        if text is not None and text != "false":
            labels[label] = text
    images = [each.text("image") for each in of.parts("spec", "template", "spec", "containers")]
    facts = {
        "title": name,
        "kind": Kind.DEPLOYMENT,
        "services": (service,) if service else None,
        "environment": of.options.word("environment", of.text("metadata", "namespace") or "", {})
        or of.first(labels, options.environment_label),
        "version": ", ".join(image for image in images if image) or status.text("currentPodHash"),
        "labels": labels,
    }
    times = [one.time("lastUpdateTime") for one in status.parts("conditions")]
    said = [at for at in (status.time("abortedAt"), *times) if at is not None]
    return Read(
        (
            Statement(
                kind=CHANGE,
                id=f"{uid}@{revision}" if revision else f"{uid}@generation-{generation}",
                facts=of.usable(CHANGE, facts),
                happened=tuple(happened),
                said_at=max(said, default=None),
                status=status.text("phase") or "",
            ),
        ),
        tuple(of.drops),
    )


def _happened(status: Payload) -> Iterator[Happening]:
    aborted = status.time("abortedAt") if status.raw("abort") is True else None
    if aborted is not None:
        yield Happening("failed", aborted)
    elif status.raw("abort") is True:
        status.drop("abortedAt", status.raw("abortedAt"), "nobody can say when it was aborted")
    for condition in status.parts("conditions"):
        what = (condition.text("type"), condition.text("status"))
        at = condition.time("lastTransitionTime")
        if at is None:
            continue
        if what == ("Completed", "False"):
            yield Happening("started", at)
        elif what == ("Completed", "True") and aborted is None:
            yield Happening("deployed", at)
        elif (
            what == ("Progressing", "False")
            and condition.text("reason") == "ProgressDeadlineExceeded"
            and aborted is None
        ):
            yield Happening("failed", at)


ARGO_ROLLOUTS: Final = Format(
    name="argo-rollouts",
    title="Argo Rollouts: revisions of rollouts, by our notification template",
    source="argo-rollouts",
    order="time",
    statuses={
        "Completed: False": "started at lastTransitionTime",
        "Completed: True": "deployed at lastTransitionTime",
        "abort": "failed at abortedAt",
        "ProgressDeadlineExceeded": "failed at lastTransitionTime",
        "Paused": "nothing: a step like any other",
    },
    listed_in=("items",),
    verdicts=True,
    words=("environment", "service"),
    statements=_statements,
)
