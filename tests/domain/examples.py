"""
What the tests of the domain share: times, and events with everything but the point left out.

Every builder here takes the fields of its event by keyword; what is not given is plain.
"""

from datetime import UTC, datetime, timedelta

from imcm.domain.change_events import (
    ChangeCompleted,
    ChangePlanned,
    ChangeStarted,
    ChangeStatus,
    ChangeSubmitted,
    ContentCorrectedAfterApproval,
    VoteGiven,
)
from imcm.domain.incident_events import (
    IncidentClosed,
    IncidentDetected,
    IncidentDismissed,
    IncidentMerged,
    IncidentMitigated,
    IncidentReopened,
    IncidentResolved,
    IncidentStatus,
    IncidentTriaged,
    MitigationAttempted,
    ReviewRecorded,
)
from imcm.domain.policy import DEFAULT_POLICY
from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import (
    Authority,
    ChangeType,
    DismissalReason,
    Kind,
    MitigationKind,
    Risk,
    Severity,
    Window,
)

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday morning


def at(hours):
    """Return the time so many hours after START."""
    return START + timedelta(hours=hours)


def window(start, end):
    return Window(start=at(start), end=at(end))


def said(verdict, policy=DEFAULT_POLICY):
    """Return what an event keeps of a decision under *policy*."""
    return policy.said(verdict)


# --- incidents ------------------------------------------------------------------------------------


def detected(hours=0, **fields):
    return IncidentDetected(**{"at": at(hours), "by": "ann", "title": "payments down", **fields})


def triaged(hours=1, severity=Severity.P3, **fields):
    return IncidentTriaged(**{"at": at(hours), "by": "ann", "severity": severity, **fields})


def attempted(hours=2, number=1, **fields):
    kind = MitigationKind.RESTART
    return MitigationAttempted(
        **{"at": at(hours), "by": "ann", "number": number, "kind": kind, **fields}
    )


def mitigated(hours=3, **fields):
    return IncidentMitigated(**{"at": at(hours), "by": "ann", **fields})


def resolved(hours=4, **fields):
    return IncidentResolved(**{"at": at(hours), "by": "ann", **fields})


def reviewed(hours=5, number=1, covers=1, **fields):
    return ReviewRecorded(
        **{
            "at": at(hours),
            "by": "ann",
            "number": number,
            "covers": covers,
            "what_happened": "a table was locked",
            **fields,
        }
    )


def closed(hours=6, **fields):
    return IncidentClosed(**{"at": at(hours), "by": "ann", **fields})


def dismissed(hours=2, **fields):
    reason = DismissalReason.FALSE_POSITIVE
    return IncidentDismissed(**{"at": at(hours), "by": "ann", "reason": reason, **fields})


def reopened(hours=7, began=IncidentStatus.RESOLVED, number=1, **fields):
    return IncidentReopened(
        **{
            "at": at(hours),
            "by": "ann",
            "began": began,
            "number": number,
            "why": "errors are back",
            **fields,
        }
    )


def merged(hours=2, into="INC-2", **fields):
    return IncidentMerged(**{"at": at(hours), "by": "ann", "into": into, **fields})


# --- changes --------------------------------------------------------------------------------------


def planned(hours=0, **fields):
    """A normal change, ready to be submitted, planned by ann."""
    return ChangePlanned(
        **{
            "at": at(hours),
            "by": "ann",
            "type": ChangeType.NORMAL,
            "kind": Kind.DEPLOYMENT,
            "risk": Risk.LOW,
            "has_rollback_plan": True,
            "title": "new checkout",
            "rollback_plan": "deploy the version before",
            **fields,
        }
    )


def emergency(hours=0, **fields):
    return planned(
        hours,
        **{
            "type": ChangeType.EMERGENCY,
            "incident": "INC-1",
            "risk": None,
            "has_rollback_plan": False,
            "rollback_plan": "",
            **fields,
        },
    )


def submitted(hours=1, **fields):
    return ChangeSubmitted(
        **{"at": at(hours), "by": "ann", "policy": said("may be submitted"), **fields}
    )


def approved(hours=2, by="bea", **fields):
    return VoteGiven(
        **{
            "at": at(hours),
            "by": by,
            "authority": Authority.PEER,
            "content": 1,
            "votes": 1,
            "quorum": 1,
            "policy": said("1 of 1 votes"),
            "status": ChangeStatus.APPROVED,
            **fields,
        }
    )


def started(hours=3, **fields):
    return ChangeStarted(**{"at": at(hours), "by": "ann", "policy": said("may start"), **fields})


def started_unapproved(hours=3, **fields):
    said_so = said("an emergency may start unapproved")
    return started(hours, **{"outstanding": True, "policy": said_so, **fields})


def completed(hours=4, **fields):
    return ChangeCompleted(**{"at": at(hours), "by": "ann", **fields})


def mark(version, hours=9, **fields):
    return ContentCorrectedAfterApproval(
        **{
            "at": at(hours),
            "by": "ann",
            "version": version,
            "unauthorised": "content as approved",
            **fields,
        }
    )


IN_PRODUCTION = (planned(), submitted(), approved(), started(), completed())
UNDER_WAY = IN_PRODUCTION[:-1]
VOTE = None  # a vote below the quorum leaves the status as it was
"""The status a vote keeps when the quorum is not reached."""

# --- logs -----------------------------------------------------------------------------------------


LATER = at(1000)


def log(*entries, recorded_at=LATER, source=None):
    """
    Return a log of (stream, event) pairs, or (stream, event, recorded_at), in this order.

    Unless told otherwise everything is recorded long after it happened, a second apart.
    """
    versions = {}
    result = []
    for position, (stream, event, *stamp) in enumerate(entries, start=1):
        versions[stream] = versions.get(stream, 0) + 1
        result.append(
            Recorded(
                stream=stream,
                version=versions[stream],
                position=position,
                recorded_at=stamp[0] if stamp else recorded_at + timedelta(seconds=position),
                record=f"record-{position}",
                source=source,
                event=event,
            )
        )
    return result


def of(stream, *events, **more):
    """Return the log of one stream."""
    return log(*((stream, event) for event in events), **more)
