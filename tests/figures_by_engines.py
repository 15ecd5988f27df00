"""
Logs made at random, of one ledger and of several, and the figures of the core that engines must say
the same of.
"""

from __future__ import annotations

import math

from hypothesis import strategies as st

from imcm import (
    Facts,
    change_failure_rate,
    deployment_frequency,
    facts,
    failed_deployment_recovery_time,
    frames,
    lead_time,
    rework_rate,
    time_to_restore,
)
from imcm.domain.change_events import (
    ChangeCompleted,
    ChangeFailed,
    ChangeRecovered,
    ChangeRolledBack,
    CommitsRecorded,
)
from imcm.domain.vocabulary import ChangeType, Commit, Verdict
from projections.log import (
    at,
    between,
    change,
    detected,
    dismissed,
    incident,
    log,
    planned,
    resolved,
    take,
    triaged,
)

CORE = {
    "deployments_per_day": deployment_frequency,
    "change_failure_rate": change_failure_rate,
    "rework_rate": rework_rate,
    "median_recovery_seconds": failed_deployment_recovery_time,
    "median_lead_time_seconds": lead_time,
    "median_restore_seconds": time_to_restore,
}
COUNTS = {
    "deployments": deployment_frequency,
    "lead_times": lead_time,
    "restored": time_to_restore,
}


def same(one, other):
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-12, abs_tol=0)


def assert_agree(row, figures):
    """The row of one group is what the core's figures say."""
    for name, figure in figures.items():
        wanted = figure.n if name in COUNTS else figure.value
        assert same(wanted, row[name]), (name, wanted, row[name])


def whole(known, **arguments):
    return {name: f(known, **arguments) for name, f in (CORE | COUNTS).items()}


SERVICES = (("pay",), ("search",), ("pay", "search"), ())
hours = st.integers(0, 60 * 24)
types = st.sampled_from([ChangeType.NORMAL, ChangeType.EMERGENCY])


CUT = at(10_000)
"""The time up to which all ledgers are read."""


@st.composite
def deployed(draw, name, services, commits, others=()):
    """
    Draw a change: completed, at a time known or not, failed in production, or rolled back.

    Perhaps it repairs one of some others, and perhaps it tells its own recovery.
    """
    when = draw(hours)
    repairs = draw(st.sampled_from([None, None, *others]))
    events = [planned(when - 1, services=draw(services), type=draw(types), repairs=repairs)]
    load = draw(st.lists(st.sampled_from(commits), max_size=2, unique_by=lambda one: one.id))
    if load:
        events.append(CommitsRecorded(at=at(when - 0.5), by="ci", commits=tuple(load)))
    end = draw(st.sampled_from(["completed", "roughly", "failed", "rolled back"]))
    if end == "failed":
        events.append(ChangeFailed(at=at(when), by="ci", reached_production=True))
        if draw(st.booleans()):
            events.append(ChangeRecovered(at=at(when + draw(st.integers(0, 99)) / 7), by="ci"))
    else:
        moment = between(when, when + draw(st.integers(1, 30))) if end == "roughly" else at(when)
        events.append(ChangeCompleted(at=moment, by="ci"))
    if end == "rolled back":
        later = at(when + draw(st.integers(0, 99)) / 7)
        events.append(ChangeRolledBack(at=later, by="ci", reached_production=True))
    return change(name, *events)


def linked(change, verdict, hours):
    return take("link_change", hours, change=change, verdict=verdict)


@st.composite
def hurt(draw, name, services, changes=()):
    """Draw an incident, over or not, that perhaps says something of some changes."""
    began, took = draw(hours), draw(st.none() | st.integers(0, 700))
    moment = between(began, began + draw(st.integers(1, 9))) if draw(st.booleans()) else at(began)
    steps = [detected(moment, services=draw(services))]
    latest = began + 10
    if draw(st.booleans()):
        steps.append(triaged(latest))
    said = draw(st.lists(st.sampled_from(changes), max_size=3, unique=True)) if changes else ()
    for other in said:
        verdict = draw(st.sampled_from([Verdict.CAUSED, Verdict.CAUSED, Verdict.FIXED]))
        steps.append(linked(other, verdict, latest))
    if took is not None:
        steps.append(resolved(latest + took / 7))
    elif draw(st.booleans()):
        steps.append(dismissed(latest))
    return incident(name, *steps)


@st.composite
def streams(draw, ledger="", everything=None):
    """Draw what a ledger holds; its services and commits are its own, its links go anywhere."""
    # What has no service follows what has none, in whatever ledger it is.
    some = SERVICES if everything is None else SERVICES[:-1]
    services = st.sampled_from([tuple(f"{ledger}{name}" for name in names) for names in some])
    commits = [Commit(id=f"{ledger}c{n}", committed_at=at(draw(hours) / 3)) for n in range(6)]
    most = 7 if everything is None else 4
    names = [f"{ledger}CHG-{n}" for n in range(draw(st.integers(0, most)))]
    others = names if everything is None else everything
    drawn = [draw(deployed(name, services, commits, others)) for name in names]
    hurting = [f"{ledger}INC-{n}" for n in range(draw(st.integers(0, most)))]
    return drawn + [draw(hurt(name, services, others)) for name in hurting]


@st.composite
def logs(draw):
    """Draw the facts of one ledger."""
    return facts(log(*draw(streams())), as_of=CUT)


LEDGERS = ("pay/", "web/", "eu/")


@st.composite
def several(draw):
    """Draw the facts of several ledgers, whose incidents and repairs name changes of all."""
    everything = [f"{ledger}CHG-{n}" for ledger in LEDGERS for n in range(4)]
    return [facts(log(*draw(streams(name, everything))), as_of=CUT) for name in LEDGERS]


def joined(parts):
    """Return the facts of several ledgers as the core joins them."""
    return Facts.joined(parts, as_of=CUT)


TABLES = ("deployments", "lead_times", "incidents", "links")


def tables(known, **arguments):
    """Return the tables of one ledger, links aside."""
    return {name: getattr(frames, name)(known, **arguments) for name in TABLES[:3]}
