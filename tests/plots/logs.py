"""
Small logs whose numbers are known.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from imcm import Ledger, Risk, Verdict, change, incident

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday


def restored(*hours: float, title: str = "Slow", service: str = "search") -> Ledger:
    """Return a ledger of incidents that took so long, one a day; below 0: still open."""
    ledger = Ledger.in_memory(clock=lambda: NOON + timedelta(days=len(hours) + 120))
    with ledger.transaction() as tx:
        for number, each in enumerate(hours):
            id_, at = f"INC-{number}", NOON + timedelta(days=number)
            tx.record(id_, incident.detect, by="ana", at=at, title=title, services=[service])
            if each >= 0:
                tx.record(id_, incident.resolve, by="ana", at=at + timedelta(hours=each))
    return ledger


def deployed(outcomes: Iterable[tuple[str, bool]]) -> Ledger:
    """Return a ledger of deployments, one a day: of which service, and whether it failed."""
    outcomes = list(outcomes)
    ledger = Ledger.in_memory(clock=lambda: NOON + timedelta(days=len(outcomes) + 120))
    with ledger.transaction() as tx:
        for number, (service, failed) in enumerate(outcomes):
            at = NOON + timedelta(days=number)
            mine = {"by": "ana", "at": at}
            tx.record(f"CHG-{number}", change.observe, title="v", services=[service], **mine)
            if failed:
                id_ = f"INC-{number}"
                tx.record(id_, incident.detect, title="It fails", services=[service], **mine)
                link = {"change": f"CHG-{number}", "verdict": Verdict.CAUSED}
                tx.record(id_, incident.link_change, **link, **mine)
                tx.record(id_, incident.resolve, by="ana", at=at + timedelta(hours=1))
    return ledger


def planned(count: int) -> Ledger:
    """Return a ledger of planned changes that were approved, one a day; every third one failed."""
    ledger = Ledger.in_memory(clock=lambda: NOON + timedelta(days=count + 120))
    plan = {"risk": Risk.LOW, "rollback_plan": "back", "title": "v", "services": ["a"]}
    with ledger.transaction() as tx:
        for number in range(count):
            id_, at = f"CHG-{number}", NOON + timedelta(days=number)
            tx.record(id_, change.plan, by="ana", at=at - timedelta(hours=2), **plan)
            tx.record(id_, change.submit, by="ana", at=at - timedelta(hours=2))
            tx.record(id_, change.approve, by="mia", at=at - timedelta(hours=1))
            tx.record(id_, change.start, by="ana", at=at)
            tx.record(id_, change.complete, by="ana", at=at + timedelta(minutes=5))
            if number % 3 == 0:
                mine = {"by": "ana", "at": at + timedelta(minutes=9)}
                fails = {"title": "It fails", "services": ["a"]}
                tx.record(f"INC-{number}", incident.detect, **fails, **mine)
                link = {"change": id_, "verdict": Verdict.CAUSED}
                tx.record(f"INC-{number}", incident.link_change, **link, **mine)
    return ledger
