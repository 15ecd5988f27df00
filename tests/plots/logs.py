"""
Small logs whose numbers are known.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from imcm import Ledger, Verdict, change, incident

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
