"""
A ledger with enough in it for a page: three months of five services, and titles that mean harm.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from imcm import (
    Commit,
    Ledger,
    MitigationKind,
    Risk,
    Role,
    Severity,
    Verdict,
    change,
    incident,
)

BEGAN = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
SERVICES = ("checkout", "search", "login", "catalogue", "a-service-with-a-rather-long-name")
WEIGHTS = (6, 4, 3, 2, 1)

HOSTILE = (
    "<script>document.title = 'owned'</script>",
    "<img src=x onerror=\"document.title = 'owned'\">",
    "</title></style></script></svg><b onclick=alert(1)>bold</b>",
    "{{ 7 * 7 }} {% raw %} ${7*7} javascript:alert(1)",
    "'\"><a href='https://example.org/'>here</a>",
    "\u202egnihton si siht\u202c \x1b[31mred\x1b[0m \u200bhidden",
    '=HYPERLINK("https://example.org/","x")',
)
"""What a title, a name or a note may be, as anybody writes them."""


class Clock:
    """A clock that is set by hand, so that a log is the same to the byte each time it is made."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now


def sample_ledger(path: Path | None = None, *, seed: int = 7, changes: int = 120) -> Ledger:
    """Return a ledger with that many changes, of which some caused incidents."""
    draw = random.Random(seed)
    clock = Clock()
    ledger = Ledger.in_memory(clock=clock) if path is None else Ledger(path, clock=clock)
    number = 0
    end = BEGAN + timedelta(days=90)
    with ledger.transaction(source="sample", key="changes") as story:

        def tell(id_, step, at, by="ana", **said):
            clock.now = max(clock.now, at)
            story.record(id_, step, by=by, at=at, **said)

        for count in range(1, changes + 1):
            at = BEGAN + timedelta(minutes=count * (90 * 24 * 60 // changes))
            [service] = draw.choices(SERVICES, WEIGHTS)
            id_ = f"CHG-{count:04}"
            tell(id_, change.plan, at, "lena", title=f"{service} {count}", services=[service],
                 risk=Risk.LOW, rollback_plan="the version before")  # fmt: skip
            tell(id_, change.submit, at, "lena")
            tell(id_, change.approve, at + timedelta(minutes=5), "mia")
            commits = [
                Commit(
                    id=f"{count:07x}", committed_at=at - timedelta(hours=draw.expovariate(1 / 20))
                )
            ]
            tell(id_, change.start, at + timedelta(minutes=10), "pipeline", commits=commits)
            done = at + timedelta(minutes=20)
            tell(id_, change.complete, done, "pipeline", version=f"{service} {count}")
            if draw.random() > 0.2:
                continue
            number += 1
            seen = done + timedelta(minutes=draw.expovariate(1 / 40))
            name = f"INC-{number:03}"
            title = HOSTILE[number - 1] if number <= len(HOSTILE) else f"{service} answers late"
            tell(name, incident.detect, seen, "prometheus", title=title, services=[service],
                 impact_started_at=seen - timedelta(minutes=4))  # fmt: skip
            tell(
                name, incident.acknowledge, seen + timedelta(minutes=draw.expovariate(1 / 6)), "ana"
            )
            severity = draw.choice(list(Severity))
            tell(name, incident.triage, seen + timedelta(minutes=8), "ana", severity=severity)
            tell(name, incident.assign_role, seen + timedelta(minutes=8), "ana",
                 role=Role.INCIDENT_COMMANDER, person="ana")  # fmt: skip
            tell(name, incident.link_change, seen + timedelta(minutes=9), "ana", change=id_,
                 verdict=Verdict.CAUSED)  # fmt: skip
            tell(name, incident.attempt_mitigation, seen + timedelta(minutes=10), "ana",
                 kind=MitigationKind.RESTART, note=title)  # fmt: skip
            over = seen + timedelta(minutes=12 + draw.lognormvariate(4, 1.1))
            if over > end or number % 9 == 0:
                continue
            tell(name, incident.mitigate, over - timedelta(minutes=2), "ana")
            tell(name, incident.resolve, over, "ana")
            if number % 3 == 0:
                tell(name, incident.record_review, over + timedelta(hours=1), "mia",
                     what_happened="not tried under load", causes=["no load test"])  # fmt: skip
                tell(name, incident.add_action, over + timedelta(hours=1), "mia",
                     text=f"a load test, for {title}", owner="lena",
                     due=date(2026, 3, 1) + timedelta(days=number))  # fmt: skip
        clock.now = max(clock.now, end)
        story.record("INC-OPEN", incident.detect, by="ana", at=end - timedelta(hours=3),
                     title="Search finds nothing", services=["search"])  # fmt: skip
    return ledger
