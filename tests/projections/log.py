"""
Logs for the tests of projections, written down as stories.

    log(
        incident("INC-1", detected(0), acknowledged(0.1), resolved(2)),
        deployment("CHG-1", 5, services=("pay",)),
        now=24,
    )

Times are hours after `START`; a datetime, a `Between`, or None (imported only) does as well.
Steps of an incident go through the domain, so statuses and numbers are the real ones.
"""

from datetime import UTC, datetime, timedelta

import attrs

from imcm.domain import incident as domain
from imcm.domain.change_events import ChangeCompleted, ChangePlanned
from imcm.domain.corrections import DurationStated
from imcm.domain.policy import Policy
from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import (
    Between,
    ChangeType,
    DismissalReason,
    Kind,
    Severity,
    StatedDuration,
    Verdict,
)

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday morning
HOUR = 3600.0
NO_REVIEWS = Policy(name="no reviews", version="1", review_for=frozenset())


def at(hours):
    """Return the time so many hours after START; what is a moment already, or None, stays."""
    return START + timedelta(hours=hours) if isinstance(hours, (int, float)) else hours


def between(earliest, latest):
    """Return the moment that lies somewhere from one time to another."""
    return Between(earliest=at(earliest), latest=at(latest))


def seconds(value):
    """Return a duration of so many hours as figures tell it."""
    return value * HOUR


# --- streams --------------------------------------------------------------------------------------


def incident(id, *steps):
    """Return the stream of an incident that took these steps."""
    state = domain.INITIAL
    for step in steps:
        for event in step(state):
            state = domain.evolve(state, event)
    return f"incident:{id}", state.past


def imported(id, *events):
    """Return the stream of an incident whose history comes from elsewhere."""
    marked = [attrs.evolve(event, imported=True) for event in events]
    return f"incident:{id}", tuple(e for _, e in domain.bring_in(domain.INITIAL, events=marked))


def change(id, *events):
    """Return the stream of a change with these very events."""
    return f"change:{id}", events


def planned(hours=0, **fields):
    given = {"type": ChangeType.NORMAL, "kind": Kind.DEPLOYMENT, "services": ("pay",), **fields}
    return ChangePlanned(at=at(hours), by="cia", **given)


def deployment(id, hours, *more, **fields):
    """Return a change that was completed at that time, with what came after."""
    completed = ChangeCompleted(at=at(hours), by="ci")
    early = hours - 1 if isinstance(hours, (int, float)) else None
    return change(id, planned(early, **fields), completed, *more)


def log(*streams, now=10_000, recorded=None):
    """
    Return the streams as one log, one after the other, all recorded at *now*.

    *recorded* gives the times of single positions, where a test is about them.
    """
    result = []
    for name, events in streams:
        for version, event in enumerate(events, start=1):
            position = len(result) + 1
            stamp = at((recorded or {}).get(position, now))
            result.append(
                Recorded(name, version, position, stamp, f"record {position}", None, event)
            )
    return result


# --- steps of an incident -------------------------------------------------------------------------


def take(name, hours, /, **arguments):
    """Return a step that is still to be given its incident."""
    given = {"by": "ann", "at": at(hours), **arguments}

    def step(state):
        return getattr(domain, name)(state, **given)

    return step


def detected(hours=0, *, services=("pay",), **fields):
    return take("detect", hours, title="payments down", services=services, **fields)


def acknowledged(hours):
    return take("acknowledge", hours)


def declared(hours):
    return take("declare", hours)


def triaged(hours, severity=Severity.P2):
    return take("triage", hours, severity=severity)


def severity_changed(hours, severity):
    return take("change_severity", hours, severity=severity, why="seen more")


def mitigated(hours):
    return take("mitigate", hours)


def resolved(hours):
    return take("resolve", hours)


def reopened(hours):
    return take("reopen", hours, why="it came back")


def closed(hours):
    return take("close", hours, policy=NO_REVIEWS)


def dismissed(hours, reason=DismissalReason.FALSE_POSITIVE):
    return take("dismiss", hours, reason=reason)


def caused_by(change, hours=1):
    return take("link_change", hours, change=change, verdict=Verdict.CAUSED)


def cleared_of(change, hours=1):
    """Somebody stated that the change has nothing to do with it."""
    return take("dismiss_link", hours, change=change, why="it was the disk")


def merged_into(target, hours=1):
    other = domain.Incident(status=domain.Status.DETECTED)
    return take("merge", hours, id="its own", into=target, into_state=other)


def unmerged(hours):
    return take("unmerge", hours, why="two things after all")


def corrected(hours, version, field, was, now):
    return take("correct", hours, version=version, field=field, was=was, now=now, why="misread")


def voided(hours, version):
    return take("void", hours, version=version, why="a slip")


def stated(value, what=StatedDuration.TIME_TO_RESTORE):
    """A source says itself how many seconds it took."""
    return DurationStated(at=None, by="desk", what=what, microseconds=round(value * 1_000_000))
