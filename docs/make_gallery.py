"""
Draw every picture there is to a folder, from a log that is made up here and is the same each time.

    python docs/make_gallery.py FOLDER [svg|png]
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import imcm
from imcm import (
    CanaryPlan,
    Commit,
    Counts,
    Freeze,
    Ledger,
    Look,
    Result,
    Risk,
    Severity,
    Verdict,
    Weekly,
    change,
    change_failure_rate,
    compare,
    dora_report,
    incident,
    plots,
    restated,
    side_by_side,
    time_to_restore,
    timeline,
)
from imcm.demo import StoryClock, tell

START: Final = datetime(2025, 9, 1, 9, tzinfo=UTC)
SERVICES: Final = ("checkout", "search", "login", "catalogue", "billing")
RISKS: Final = {"checkout": 0.22, "search": 0.08, "login": 0.05, "catalogue": 0.12, "billing": 0.15}
FREEZES: Final = (
    Freeze(
        name="end of the year",
        times=imcm.Window(start=START + timedelta(days=110), end=START + timedelta(days=126)),
    ),
    Freeze(
        name="weekend", times=Weekly(start="Fri 18:00", end="Mon 06:00", time_zone="Europe/London")
    ),
)


class Clock:
    """A clock that the story sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """Return the time of the story."""
        return self.now


def made_up(days: int = 300, seed: int = 7) -> Ledger:
    """Return a ledger of ten months of five services, in memory."""
    draw, clock = random.Random(seed), Clock()  # noqa: S311 - repeatable, not secret
    ledger = Ledger.in_memory(clock=clock)
    number = 0
    with ledger.transaction() as tx:
        for day in range(days):
            morning = START + timedelta(days=day)
            if morning.weekday() >= 5 or 110 <= day < 126:
                continue
            for service in draw.sample(SERVICES, draw.choice((0, 1, 1, 2, 3))):
                number += 1
                at = morning + timedelta(minutes=draw.randrange(480))
                _deployment(tx, draw, number, service, at, shorter=0.6 if day > 180 else 1.0)
            clock.now = morning + timedelta(days=9)
    return ledger


def _deployment(
    tx: Any, draw: random.Random, number: int, service: str, at: datetime, *, shorter: float
) -> None:
    id_ = f"CHG-{number}"
    lena: dict[str, Any] = {"by": "lena", "at": at - timedelta(hours=3)}
    plan = {"risk": Risk.LOW, "rollback_plan": "the version before"}
    tx.record(id_, change.plan, title=f"{service} {number}", services=[service], **plan, **lena)
    tx.record(id_, change.submit, **lena)
    tx.record(id_, change.approve, by="mia", at=at - timedelta(hours=2))
    commit = Commit(
        id=f"{number:07x}", committed_at=at - timedelta(hours=draw.lognormvariate(2, 1))
    )
    work: dict[str, Any] = {"by": "pipeline", "at": at - timedelta(minutes=10)}
    tx.record(id_, change.start, version=f"{number}.0", commits=[commit], **work)
    tx.record(id_, change.complete, by="pipeline", at=at)
    tx.record(
        id_,
        change.close,
        by="lena",
        at=at + timedelta(hours=draw.uniform(2, 20)),
        result=Result.SUCCESSFUL,
    )
    if draw.random() >= RISKS[service]:
        return
    detected = at + timedelta(minutes=draw.randrange(5, 90))
    lasted = timedelta(minutes=shorter * draw.lognormvariate(4.4, 1.1))
    ana = {"by": "ana", "at": detected}
    incident_id = f"INC-{number}"
    tx.record(incident_id, incident.detect, title=f"{service} fails", services=[service], **ana)
    severity = draw.choice((Severity.P1, Severity.P2, Severity.P3))
    tx.record(incident_id, incident.triage, severity=severity, **ana)
    tx.record(incident_id, incident.link_change, change=id_, verdict=Verdict.CAUSED, **ana)
    if draw.random() < 0.9:
        tx.record(incident_id, incident.mitigate, by="ana", at=detected + 0.7 * lasted)
        tx.record(incident_id, incident.resolve, by="ana", at=detected + lasted)


def story() -> Ledger:
    """Return the ledger of `imcm demo`: one bad Friday evening and what came after."""
    clock = StoryClock()
    ledger = Ledger.in_memory(clock=clock)
    tell(ledger, clock, heard=lambda _: None)
    return ledger


def corrected() -> imcm.Restatement:
    """Return what moved a published figure: corrections, late reports and a dismissal."""
    clock = Clock()
    ledger = Ledger.in_memory(clock=clock)
    clock.now = datetime(2026, 4, 1, tzinfo=UTC)
    noon = datetime(2026, 1, 7, 12, tzinfo=UTC)
    for day, hours in enumerate((1, 2, 2, 3, 5, 8, 11)):
        by_ana: dict[str, Any] = {"by": "ana"}
        id_, at = f"INC-{day}", noon + timedelta(days=7 * day)
        ledger.record(id_, incident.detect, at=at, title="Slow", services=["search"], **by_ana)
        ledger.record(id_, incident.resolve, at=at + timedelta(hours=hours), **by_ana)
    quarter = "2026-Q1"
    published = time_to_restore(ledger.replay(), window=quarter, statistic="mean")
    later = noon + timedelta(days=90)
    clock.now = later
    for day, hours in ((0, 4), (3, -1), (5, 2)):
        clock.now += timedelta(days=3)
        at = noon + timedelta(days=7 * day)
        ledger.record(
            f"INC-{day}",
            incident.correct,
            by="ben",
            at=later,
            version=1,
            field="at",
            was=at,
            now=at - timedelta(hours=hours),
            why="the graphs say so",
        )
    with ledger.transaction() as tx:
        late = {"by": "omar", "at": noon + timedelta(days=20)}
        tx.record("INC-30", incident.detect, title="Nobody looked", services=["search"], **late)
        tx.record("INC-30", incident.resolve, by="omar", at=noon + timedelta(days=20, hours=30))
    ledger.record("INC-6", incident.void, by="ben", at=later, version=2, why="it went on")
    as_of = published.as_of
    assert as_of is not None
    return restated(
        ledger.replay(),
        lambda known: time_to_restore(known, window=quarter, statistic="mean"),
        known_at_a=published,
        as_of=later,
    )


def looks(seed: int = 3) -> list[Look]:
    """Return what was seen of a canary that gets worse with each stage."""
    draw, seen = random.Random(seed), []  # noqa: S311 - repeatable, not secret
    for percent, count, rate in ((5, 8, 0.001), (25, 8, 0.0012), (50, 8, 0.0022)):
        for _ in range(count):
            canary, baseline = 400 * percent, 400 * (100 - percent)
            seen.append(
                Look(
                    canary=Counts(requests=canary, errors=_errors(draw, canary, rate)),
                    baseline=Counts(requests=baseline, errors=_errors(draw, baseline, 0.001)),
                    percent=percent,
                )
            )
    return seen


def _errors(draw: random.Random, requests: int, rate: float) -> int:
    mean = requests * rate
    return max(0, round(draw.gauss(mean, mean**0.5)))


def pictures() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield each picture: its name, and what draws it."""
    ledger, friday = made_up(), story()
    log, facts = list(ledger.replay()), ledger.facts()
    monthly = dora_report(facts, bucket_by="month", group_by="service")
    half = START + timedelta(days=180)
    before, after = (
        time_to_restore(facts, window=window)
        for window in ((START, half), (half, START + timedelta(days=300)))
    )
    shares = [
        change_failure_rate(facts, window=window)
        for window in ((START, half), (half, START + timedelta(days=300)))
    ]
    march = (START + timedelta(days=2), START + timedelta(days=9))
    bad = max(facts.incidents, key=lambda row: len(row.positions)).id
    yield "survival", time_to_restore(facts).plot
    yield "survival-by-service", lambda: plots.survival(time_to_restore(facts, group_by="service"))
    yield "over-time", lambda: monthly.plot("over_time")
    yield "over-time-restore", lambda: monthly.plot("over_time", metric="restore")
    yield "report", lambda: monthly.plot("all")
    yield "report-without-periods", lambda: dora_report(facts, group_by="service").plot("all")
    yield "over-days", lambda: plots.over_time(change_failure_rate(facts, bucket_by="day"))
    yield "groups", lambda: monthly.plot("groups")
    yield "groups-restore", lambda: monthly.plot("groups", metric="restore")
    yield "side-by-side", side_by_side(facts).plot
    yield "side-by-side-restore", side_by_side(facts, metric="restore").plot
    yield "before-and-after", compare(before, after).plot
    yield "before-and-after-shares", compare(*shares).plot
    fridays = Freeze(name="Friday", times=Weekly(start="Fri 00:00", end="Mon 06:00"))
    policy = imcm.Policy(name="no Fridays", freezes=[fridays])
    yield "what-if", imcm.what_if(log, policy).plot
    yield "restatement", corrected().plot
    yield "calibration", imcm.calibration(facts, every="month").plot
    yield "calendar", lambda: plots.calendar(facts, freezes=FREEZES, time_zone="Europe/London")
    yield "incident", friday.timeline("INC-204", linked=False).plot
    yield "change", friday.timeline("CHG-1050", linked=False).plot
    yield "incident-and-changes", friday.timeline("INC-204").plot
    yield "service-demo", lambda: timeline(friday.replay(), service="checkout").plot("lanes")
    yield "service", lambda: timeline(log, service="checkout", window=march).plot("lanes")
    yield "services", lambda: timeline(log, window=march).plot("lanes")
    yield "one-incident", ledger.timeline(bad).plot
    yield "canary", lambda: plots.canary(looks(), CanaryPlan())


def main(folder: str, form: str = "svg") -> None:
    """Draw all pictures to a folder."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, draw in pictures():
        drawn = draw()
        # Of several panels each is in the whole picture.
        figure = (drawn[0] if isinstance(drawn, tuple) else drawn).figure
        # Without a date and with ids that are the same each time, so are the files.
        with matplotlib.rc_context({"svg.hashsalt": name}):
            figure.savefig(
                Path(folder) / f"{name}.{form}",
                dpi=110,
                bbox_inches="tight",
                metadata={"Date": None} if form == "svg" else None,
            )
        pyplot.close(figure)


if __name__ == "__main__":
    main(*sys.argv[1:])
