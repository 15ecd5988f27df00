"""
A log of a million events: replayed into facts in memory that depends on rows, not on events.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from datetime import UTC, datetime, timedelta
from imcm import facts, time_to_restore
from imcm.domain.incident_events import (
    IncidentAcknowledged,
    IncidentDetected,
    IncidentResolved,
    RoleAssigned,
    UpdatePosted,
)
from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import Audience, Role

incidents, updates = int(sys.argv[1]), int(sys.argv[2])
start = datetime(2026, 1, 1, tzinfo=UTC)

def log():
    position = 0
    def recorded(number, version, event):
        nonlocal position
        position += 1
        return Recorded(f"incident:{number}", version, position, event.at, "r", None, event)
    for number in range(incidents):
        at = start + timedelta(minutes=number)
        yield recorded(number, 1, IncidentDetected(at=at, by="m", title="t", services=("s",)))
        yield recorded(number, 2, IncidentAcknowledged(at=at, by="a"))
        for n in range(updates):
            if n % 2:
                event = UpdatePosted(at=at, by="a", audience=Audience.INTERNAL, text="still at it")
            else:
                event = RoleAssigned(at=at, by="a", role=Role.SCRIBE, person=f"p{n}")
            yield recorded(number, 3 + n, event)
        end = at + timedelta(minutes=30)
        yield recorded(number, 3 + updates, IncidentResolved(at=end, by="a"))

figure = time_to_restore(facts(log()))
assert figure.n == incidents and figure.value == 1800.0, figure
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(incidents: int, updates: int) -> int:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(incidents), str(updates)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "" == ran.stderr
    return int(ran.stdout)


@pytest.mark.slow
def test_a_million_events_take_no_more_memory_than_their_incidents() -> None:
    """10,000 incidents with 3 events each, and with 100 each: the same peak but for a tenth."""
    few, many = peak(10_000, 0), peak(10_000, 97)
    assert many < 1.1 * few
