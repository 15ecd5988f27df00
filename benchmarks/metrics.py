"""
How long figures take from facts already held: 100,000 incidents and 100,000 changes.

    python benchmarks/metrics.py [--rows N] [--json FILE]

Each figure is printed as a ratio to one baseline measured in the same run: sorting the same number
of durations and taking their median and mean with the standard library alone, which is what the
bare number costs. Seconds are printed beside it and hold for this machine only.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics as bare
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs

from imcm import facts
from imcm.domain.change_events import (
    ChangeCompleted,
    ChangePlanned,
    ChangeRolledBack,
    CommitsRecorded,
)
from imcm.domain.incident_events import (
    IncidentAcknowledged,
    IncidentDetected,
    IncidentResolved,
    VerdictGiven,
)
from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import ChangeType, Commit, Kind, Verdict
from imcm.projections.facts.fold import Facts
from imcm.projections.figures.failures import change_failure_rate
from imcm.projections.figures.frequency import deployment_frequency, rework_rate
from imcm.projections.figures.lead_time import lead_time
from imcm.projections.figures.recovery import failed_deployment_recovery_time
from imcm.projections.figures.restore import time_to_restore
from imcm.projections.reports.dora import dora_report

START = datetime(2024, 1, 1, tzinfo=UTC)

EVERY = timedelta(minutes=7)
"""How long after one change and one incident the next begin."""


def held(rows: int, *, services: int = 50, every: timedelta = EVERY) -> Facts:
    """Return facts of *rows* incidents and *rows* changes of so many services, seeded."""
    chance = random.Random(7)
    log: list[Recorded] = []

    def tell(stream: str, *events: object) -> None:
        for version, event in enumerate(events, start=1):
            at = START + timedelta(days=900)
            log.append(Recorded(stream, version, len(log) + 1, at, "r", None, event))  # type: ignore[arg-type]

    for n in range(rows):
        at = START + every * n
        service = (f"service-{n % services}",)
        commit = Commit(id=f"c{n}", committed_at=at - timedelta(minutes=chance.randrange(9_000)))
        told: list[object] = [
            ChangePlanned(
                at=at, by="a", type=ChangeType.NORMAL, kind=Kind.DEPLOYMENT, services=service
            ),
            CommitsRecorded(at=at, by="a", commits=(commit,)),
            ChangeCompleted(at=at, by="a"),
        ]
        if n % 17 == 0:
            later = at + timedelta(minutes=30)
            told.append(ChangeRolledBack(at=later, by="a", reached_production=True))
        tell(f"change:{n}", *told)
        seconds = int(chance.lognormvariate(8.5, 1.2))
        found = at + timedelta(minutes=3)
        events: list[object] = [
            IncidentDetected(at=found, by="m", services=service),
            IncidentAcknowledged(at=found + timedelta(minutes=2), by="a"),
        ]
        if n % 10 == 0:
            events.append(VerdictGiven(at=found, by="a", change=str(n), verdict=Verdict.CAUSED))
        events.append(IncidentResolved(at=found + timedelta(seconds=seconds), by="a"))
        tell(f"incident:{n}", *events)
    return facts(log)


def fastest(what: Callable[[Facts], object], known: Facts, times: int = 3) -> float:
    """Return the CPU seconds of the fastest of a few runs, each on facts that keep nothing yet."""
    best = float("inf")
    for _ in range(times):
        fresh = attrs.evolve(known)
        begin = time.process_time()
        what(fresh)
        best = min(best, time.process_time() - begin)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    known = held(asked.rows)
    values = [one.value for one in time_to_restore(known).included]
    random.Random(7).shuffle(values)
    baseline = fastest(lambda _: (sorted(values), bare.median(values), bare.fmean(values)), known)
    figures: dict[str, Callable[[Facts], object]] = {
        "time to restore": time_to_restore,
        "change failure rate": change_failure_rate,
        "change failure rate, causes inferred": lambda known: change_failure_rate(
            known, attribution="latest_before"
        ),
        "failed deployment recovery time": failed_deployment_recovery_time,
        "deployment frequency": deployment_frequency,
        "rework rate": rework_rate,
        "lead time": lead_time,
        "all six as one report": dora_report,
    }
    print(f"{asked.rows:,} incidents and changes, Python {platform.python_version()}")
    print(f"baseline, the bare median and mean: {baseline:.3f} s\n")
    results = {}
    for name, figure in figures.items():
        seconds = fastest(figure, known)
        results[name] = {"seconds": seconds, "times baseline": seconds / baseline}
        print(f"{name:40}{seconds:8.3f} s{seconds / baseline:8.1f} times the baseline")
    if asked.json:
        asked.json.write_text(json.dumps({"baseline": baseline, **results}, indent=2))


if __name__ == "__main__":
    sys.exit(main())
