"""
Long streams: one for each dimension in which an incident or a change can grow.
"""

from datetime import timedelta

from imcm.domain import change as change_
from imcm.domain import incident as incident_
from imcm.domain.change_events import (
    ChangeApproved,
    ChangeHeld,
    ChangePlanned,
    ChangeRejected,
    ChangeReleased,
    ChangeRevised,
    ChangeStarted,
    ChangeSubmitted,
    ChangeValidated,
    CommitsRecorded,
    RolloutAdvanced,
    RolloutPaused,
)
from imcm.domain.corrections import (
    CommitsCorrected,
    DurationStated,
    EventVoided,
    MomentCorrected,
    WordsRedacted,
)
from imcm.domain.incident_events import (
    ActionAdded,
    ActionCompleted,
    AttemptConcluded,
    IncidentAbsorbed,
    IncidentDetected,
    IncidentHeld,
    IncidentMitigated,
    IncidentRelated,
    IncidentReleased,
    IncidentReopened,
    IncidentResolved,
    IncidentStatus,
    IncidentUnrelated,
    MilestoneMarked,
    MitigationAttempted,
    ProblemLinked,
    ReviewRecorded,
    RoleAssigned,
    RoleReleased,
    SeverityChanged,
    SeverityInherited,
    UpdatePosted,
    VerdictGiven,
)
from imcm.domain.recorded import Recorded, Unread
from imcm.domain.vocabulary import (
    AttemptResult,
    Audience,
    ChangeType,
    Commit,
    HoldReason,
    MitigationKind,
    Relation,
    Role,
    Severity,
    StatedDuration,
    Verdict,
)
from projections.log import at
from work import Number, Word

LATER = at(100_000)


def told(cls, hours=1, **fields):
    return cls(at=at(hours), by="ann", **fields)


def detected(**fields):
    return told(IncidentDetected, 0, services=("pay",), **fields)


def planned(**fields):
    return told(ChangePlanned, 0, type=ChangeType.NORMAL, services=("pay",), **fields)


def commits(number):
    return (Commit(id=f"c{number}", committed_at=at(0)),)


def moved(version):
    return told(MomentCorrected, 2, version=version, field="at", was=at(1), now=at(0.5))


# --- the dimensions -------------------------------------------------------------------------------
# Each is given a size and gives about so many events of one stream.


def each(first, *made):
    """Return a dimension: for each number, the events made of it, after the first event."""
    return lambda n: [first(), *(one(k) for k in range(1, n + 1) for one in made)]


def after(facts, *made):
    """Return a dimension: so many facts first, then for each number what is made of it."""
    return lambda n: [*facts(n), *(one(k) for k in range(1, n + 1) for one in made)]


resolutions = (
    lambda k: told(IncidentResolved, k),
    lambda k: told(IncidentReopened, k, began=IncidentStatus.RESOLVED, number=k),
)
posted = each(detected, lambda k: told(UpdatePosted, audience=Audience.INTERNAL, text="so far"))
voted = each(
    planned,
    lambda k: ChangeApproved(at=at(1), by=f"p{k}", content=1, votes=k, quorum=9, status=None),
)
revised = each(planned, lambda k: told(ChangeRevised, why="more", title=f"title {k}"))

INCIDENTS = {
    "links": each(
        detected, lambda k: told(VerdictGiven, change=f"C{k}", verdict=Verdict.SUSPECTED)
    ),
    "links said anew": each(
        detected,
        lambda k: told(VerdictGiven, change=f"C{k}", verdict=Verdict.SUSPECTED),
        lambda k: told(VerdictGiven, change=f"C{k // 2}", verdict=Verdict.CAUSED),
    ),
    "relations": each(
        detected, lambda k: told(IncidentRelated, other=f"I{k}", kind=Relation.RELATED)
    ),
    "relations taken back": each(
        detected,
        lambda k: told(IncidentRelated, other=f"I{k}", kind=Relation.RELATED),
        lambda k: told(IncidentUnrelated, other=f"I{k // 2}", kind=Relation.RELATED),
    ),
    "parents": each(
        detected,
        lambda k: told(IncidentRelated, other=f"I{k}", kind=Relation.CHILD_OF),
        lambda k: told(IncidentRelated, other=f"R{k}", kind=Relation.RELATED),
    ),
    "milestones": each(detected, lambda k: told(MilestoneMarked, k, name=f"m{k}", number=1)),
    "milestones of one name": each(
        detected, lambda k: told(MilestoneMarked, k, name="called", number=k)
    ),
    "tags of causes": each(
        detected, lambda k: told(ReviewRecorded, k, number=k, cause_tags=(f"t{k}", "all"))
    ),
    "names of severities": each(
        detected, lambda k: told(SeverityChanged, severity=Severity.P1, severity_name=f"s{k}")
    ),
    "holds": each(
        detected,
        lambda k: told(IncidentHeld, k, reason=HoldReason.VENDOR),
        lambda k: told(IncidentReleased, k),
    ),
    "waits one after the other": each(
        detected, lambda k: told(IncidentHeld, k, reason=HoldReason.VENDOR)
    ),
    "spells": each(detected, *resolutions),
    "relapses after spells": after(
        each(detected, *resolutions),
        lambda k: told(IncidentMitigated, k),
        lambda k: told(IncidentReopened, k, began=IncidentStatus.MITIGATED, relapse=k),
    ),
    "roles": each(detected, lambda k: told(RoleAssigned, role=Role.SCRIBE, person=f"p{k}")),
    "roles taken back": after(
        each(detected, lambda k: told(RoleAssigned, role=Role.SCRIBE, person=f"p{k}")),
        lambda k: told(RoleReleased, role=Role.SCRIBE, person=f"p{k}"),
    ),
    "actions": each(
        detected,
        lambda k: told(ActionAdded, number=k, text="alert on it"),
        lambda k: told(ActionCompleted, number=k),
    ),
    "attempts": each(
        detected,
        lambda k: told(MitigationAttempted, number=k, kind=MitigationKind.RESTART),
        lambda k: told(AttemptConcluded, number=k, result=AttemptResult.NO_EFFECT),
    ),
    "reviews": each(
        detected,
        lambda k: told(IncidentResolved, k),
        lambda k: told(ReviewRecorded, number=k, covers=k, what_happened="it broke"),
    ),
    "problems": each(detected, lambda k: told(ProblemLinked, problem=f"P{k}")),
    "severities": each(detected, lambda k: told(SeverityChanged, severity=list(Severity)[k % 4])),
    "absorbed": each(detected, lambda k: told(IncidentAbsorbed, merged=f"I{k}")),
    "severities inherited": each(
        detected,
        lambda k: told(SeverityInherited, severity=list(Severity)[k % 4], merged=f"I{k}"),
    ),
    "stated": each(
        detected,
        lambda k: told(DurationStated, what=StatedDuration.TIME_TO_REPAIR, microseconds=k),
    ),
    "late": each(detected, lambda k: told(IncidentMitigated, 200_000 + k)),
    "unread": each(detected, lambda k: Unread(type="X", state=b"", why="new")),
    "corrections of one": each(detected, lambda k: moved(1)),
    "corrections": after(posted, moved),
    "corrections of nothing": each(detected, lambda k: moved(10_000 + k)),
    "voids": after(posted, lambda k: told(EventVoided, version=k + 1, status="detected")),
    "voided links": each(
        detected,
        lambda k: told(VerdictGiven, change="C1", verdict=Verdict.SUSPECTED),
        lambda k: told(EventVoided, version=2 * k, status="detected"),
    ),
    "redactions": each(detected, lambda k: told(WordsRedacted, versions=(1,))),
}
CHANGES = {
    "rollout steps": each(planned, lambda k: told(RolloutAdvanced, k, percent=k / 100_000)),
    "checks": each(planned, lambda k: told(ChangeValidated, check=f"check {k}", passed=True)),
    "commits": each(planned, lambda k: told(CommitsRecorded, commits=commits(k))),
    "voters": voted,
    "voters after a rejection": each(
        planned,
        lambda k: (
            told(ChangeRejected)
            if k == 1
            else ChangeApproved(at=at(1), by=f"p{k}", content=1, votes=k, quorum=9, status=None)
        ),
    ),
    "submitters": each(planned, lambda k: ChangeSubmitted(at=at(1), by=f"p{k}", status=None)),
    "revisions": revised,
    "revisions without words": each(planned, lambda k: told(ChangeRevised, why="more")),
    "rejections": each(planned, lambda k: told(ChangeRejected)),
    "guards": each(
        planned, lambda k: told(RolloutPaused, percent=1.0, unauthorised=Word(f"guard {k}"))
    ),
    "holds": each(
        planned,
        lambda k: told(ChangeHeld, k, reason=HoldReason.VENDOR),
        lambda k: told(ChangeReleased, k),
    ),
    "work by those who approved it": after(voted, lambda k: ChangeStarted(at=at(2), by=f"p{k}")),
    "work by one who approved it often": each(
        planned,
        lambda k: ChangeApproved(at=at(1), by="bea", content=1, votes=1, quorum=1, status=None),
        lambda k: ChangeStarted(at=at(2), by="bea"),
    ),
    "corrections": after(voted, moved),
    "corrections of commits": after(
        each(planned, lambda k: told(CommitsRecorded, commits=commits(k))),
        lambda k: told(
            CommitsCorrected, version=k + 1, field="commits", was=commits(k), now=commits(-k)
        ),
    ),
    "voided votes": after(voted, lambda k: told(EventVoided, version=k + 1, status="draft")),
    "voided revisions": after(revised, lambda k: told(EventVoided, version=k + 1, status="draft")),
    "revisions taken back at once": each(
        planned,
        lambda k: told(ChangeRevised, why="more"),
        lambda k: told(EventVoided, version=2 * k, status="draft"),
    ),
}
STREAMS = [("incident", name) for name in INCIDENTS] + [("change", name) for name in CHANGES]
DIMENSIONS = {"incident": INCIDENTS, "change": CHANGES}
MODULES = {"incident": incident_, "change": change_}


def stream(kind, name, n):
    """Return one stream as a log, numbered by numbers of which comparing is work."""
    events = DIMENSIONS[kind][name](n)
    return [
        Recorded(f"{kind}:X", Number(v), v, LATER + timedelta(seconds=v), f"r{v}", None, event)
        for v, event in enumerate(events, start=1)
    ]


def readable(kind, name, n):
    """Return the events that a step can decide on: all that are no unread ones."""
    return [one for one in DIMENSIONS[kind][name](n) if not isinstance(one, Unread)]
