"""
A deploy gate in a pipeline: nothing starts without somebody else's vote, and a canary decides.

    python examples/deploy_pipeline.py

The pipeline and the person who votes are two processes on one ledger. Four deployments: one goes
well, one is taken back when errors rise, one is turned down, and one is an emergency, which may
start before anybody votes and is ruled on afterwards. Then what the figures say of them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import imcm
from imcm import ChangeStatus, ChangeType, Commit, Counts, Ledger, Risk, change, incident

PIPELINE = "pipeline"
HOUR = timedelta(hours=1)
SHARES = (5, 25, 100)
LIVE = Counts(requests=20_000, errors=20)  # what the version that is live does meanwhile


def vote(path: Path, person: str) -> None:
    """Be the person who looks at the board of approvals and decides."""
    with Ledger(path) as ledger, imcm.views(ledger) as board:
        for _ in board.run(every=0.05):  # once, and then whenever any process recorded something
            for waiting in board.approvals(by=person):
                if not waiting.possible:
                    continue  # it is not theirs to decide: the board says why
                id, at = waiting.change.id, ledger.now()
                if waiting.waits_for == "ruling":
                    ledger.record(id, change.approve_retroactively, by=person, at=at)
                elif waiting.change.risk is Risk.HIGH:
                    ledger.record(id, change.reject, by=person, at=at, why="not on a Friday")
                else:
                    ledger.record(id, change.approve, by=person, at=at)


class Pipeline:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.board = imcm.views(ledger)

    def record(self, id: str, step: Callable[..., Any], **told: object) -> None:
        """Record what the pipeline does, now."""
        self.ledger.record(id, step, by=PIPELINE, at=self.ledger.now(), **told)

    def may_start(self, id: str, *, patience: float = 30) -> bool:
        """Wait until it may start; False where it was sent back, or nobody came in time."""
        said, until = "", time.monotonic() + patience
        while time.monotonic() < until:
            answers = {a.step: a for a in self.ledger.next_steps(id, by=PIPELINE)}
            start = answers["start"]
            if start.possible:
                return True
            if self.ledger.change(id).status is ChangeStatus.DRAFT:
                print(f"  {id} was sent back:", self.board.change(id).rejected_why)
                return False
            if start.why != said:
                print(f"  {id} may not start ({start.guard}): {start.why}")
                said = start.why
            time.sleep(0.05)  # asked again and again: a window opens without a new record
        return False

    def plan(self, id: str, version: str, risk: Risk) -> None:
        # Under a key, so that a pipeline that is run again does not plan it a second time.
        with self.ledger.transaction(source=PIPELINE, key=f"plan {id}") as tx:
            tx.record(
                id,
                change.plan,
                by=PIPELINE,
                at=self.ledger.now(),
                requested_by="lena",  # who pushed it: she may not be the one who votes for it
                title=f"Basket {version}",
                services=["checkout"],
                risk=risk,
                rollback_plan="put back the version before",
                monitoring_plan="errors of the canary beside those of the rest",
            )
            tx.record(id, change.submit, by=PIPELINE, at=self.ledger.now())
        for row in self.board.approvals(by="lena"):
            print(f"  {row.change.id} waits for {row.waits_for}; lena may not give it: {row.why}")

    def deploy(self, id: str, version: str, errors_at: Callable[[float], int]) -> None:
        """Give it to more and more users, as long as it does about as well as what was there."""
        now = self.ledger.now()
        commits = [Commit(id=f"{version}-{n}", committed_at=now - n * HOUR) for n in (2, 5)]
        self.record(id, change.start, version=version, commits=commits, rollout_plan=SHARES)
        judged: dict[str, Counts] = {}  # by what: it is recorded with each decision
        for percent in SHARES:
            self.record(id, change.advance_rollout, percent=percent, **judged)
            canary = Counts(requests=1000, errors=errors_at(percent))
            judged = {"canary": canary, "baseline": LIVE}
            print(f"  {id} at {percent} %: {canary.errors} errors in {canary.requests} requests")
            if canary.errors / canary.requests > 5 * LIVE.errors / LIVE.requests:
                self.record(id, change.abort_rollout, **judged)
                self.record(id, change.roll_back, why="the canary has too many errors")
                self.record(id, change.close, result="unsuccessful")
                print(f"  {id} was rolled back")
                return
        self.record(id, change.complete)
        self.record(id, change.validate, check="smoke test", passed=True)
        self.record(id, change.close, result="successful")
        print(f"  {id} is live")

    def emergency(self, id: str, version: str, ends: str) -> None:
        """Bring in what ends an incident. Whoever would have voted rules on it afterwards."""
        who: dict[str, Any] = {"by": PIPELINE, "at": self.ledger.now()}
        told: dict[str, Any] = {"title": "A new certificate", "services": ["checkout"], **who}
        with self.ledger.transaction() as tx:  # all at once: it waits for nobody
            tx.record(id, change.plan, type=ChangeType.EMERGENCY, incident=ends, **told)
            tx.record(id, change.submit, **who)
            tx.record(id, change.start, version=version, **who)
        self.record(id, change.complete)
        self.record(ends, incident.link_change, change=id, verdict="fixed")
        self.record(ends, incident.resolve)
        while self.board.approvals().total:
            time.sleep(0.05)
        print(f"  {id} started without a vote, and was {self.board.change(id).authorisation}")
        self.record(id, change.close, result="successful")


def run(path: Path) -> None:
    voter = get_context("spawn").Process(target=vote, args=(path, "mia"), daemon=True)
    with Ledger(path) as ledger:
        voter.start()
        pipeline = Pipeline(ledger)
        for id, version, risk, errors in (
            ("CHG-1", "5.4", Risk.LOW, lambda percent: 1),
            ("CHG-2", "5.5", Risk.MODERATE, lambda percent: 1 if percent < 25 else 40),
            ("CHG-3", "6.0", Risk.HIGH, lambda percent: 1),
        ):
            print(f"{id}, Basket {version}")
            pipeline.plan(id, version, risk)
            if pipeline.may_start(id):
                pipeline.deploy(id, version, errors)

        print("CHG-4, an emergency")
        pipeline.record("INC-1", incident.detect, title="An old certificate", services=["checkout"])
        pipeline.emergency("CHG-4", "5.4.1", ends="INC-1")
        voter.terminate()

        print("\nWhat the figures say")
        facts = pipeline.board.facts()
        for figure in (imcm.lead_time(facts), imcm.change_failure_rate(facts)):
            print(" ", figure)
        for live in pipeline.board.live():
            print(f"  live: {live.service} {live.version} by {live.change}, after {live.replaced}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder) / "ledger.db")
