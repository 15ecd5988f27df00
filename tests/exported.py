"""
A ledger to be exported: hostile words, corrections, a void, a redaction, uncertain moments, merges,
history without moments; the same ids and stamps whenever it is told.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from imcm import (
    Between,
    ChangeType,
    Commit,
    Kind,
    Ledger,
    Mode,
    Severity,
    Source,
    Verdict,
    change,
    incident,
)
from imcm.domain.change_events import ChangeDeployed, ChangePlanned
from imcm.domain.incident_events import IncidentDetected, IncidentResolved
from imcm.interchange import jsonl
from imcm.ledger.bringing_in import History

GOLDEN = Path(__file__).parent / "golden"
T0 = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)
HOSTILE = (
    '=cmd|"/c calc"!A1',
    " \t@SUM(A1)",
    "\uff1dHYPERLINK(0)",
    "a;=1+1",
    "<script>alert(1)</script> [x](javascript:alert(1)) ![i](//e.example/i.png)",
    "| cell | `code` ~~no~~ **b** @octocat #7 https://e.example www.e.example :smile: $x$ {{x}}",
    "one\r\ntwo\u2028three\x1b]0;x\x07\u202egnp.exe",
    'quote " and \\ back, \x01 one, \U0001f469\u200d\U0001f4bb',
    "</td></tr>&lt;&#x3c;\n\n# head\n- [ ] x",
)
SECRET = "Jane Doe, 12 High Street"


def minutes(count: float) -> datetime:
    return T0 + timedelta(minutes=count)


def told(path: Path) -> Ledger:
    """Return a ledger of all that is hard to export."""
    now = T0
    clock = lambda: now  # noqa: E731
    ledger = Ledger(path, clock=clock)

    def tell(id_, step, at, by="ana", **said):
        nonlocal now
        now = max(now, minutes(at))
        ledger.record(id_, step, by=by, at=minutes(at), **said)

    commits = [
        Commit(id="4f2a91c", authored_at=minutes(-90), committed_at=minutes(-80),
               pull_request="42", opened_at=minutes(-70), merged_at=minutes(-60)),
        Commit(id="5f2a91c", pull_request="42", opened_at=minutes(-70), merged_at=minutes(-60)),
    ]  # fmt: skip
    labels = {"repository": "shop/web", "team": HOSTILE[1]}
    tell("CHG-1", change.plan, 0, title=HOSTILE[0], services=["checkout", "=cart"], labels=labels,
         type=ChangeType.EMERGENCY, incident="INC-1", kind=Kind.DEPLOYMENT)  # fmt: skip
    tell("CHG-1", change.submit, 0)
    tell("CHG-1", change.start, 1, by="pipeline", commits=commits, version="5.4")
    tell("CHG-1", change.complete, 2, by="pipeline")
    tell("CHG-1", change.roll_back, 50, why=HOSTILE[5])
    tell("CHG-2", change.observe, 60, title="Config", services=["checkout"],
         kind=Kind.CONFIGURATION)  # fmt: skip
    tell("CHG-3", change.observe, 62, title="Fix", services=["checkout"], kind=Kind.ROLLBACK)
    now = minutes(63)
    detected = Between(earliest=minutes(3), latest=minutes(5))
    ledger.record("INC-1", incident.detect, by="prometheus", at=detected, title=HOSTILE[4],
                  services=["checkout"], environment="prod", declared_at=minutes(6),
                  labels={"@team": HOSTILE[6]})  # fmt: skip
    tell("INC-1", incident.triage, 7, severity=Severity.P3)
    tell("INC-1", incident.change_severity, 8, severity=Severity.P1, why="worse")
    tell("INC-1", incident.refer, 9, kind="ticket", address="https://t.example/7?a=ü|b")
    tell("INC-1", incident.link_change, 64, change="CHG-1", verdict=Verdict.CAUSED, why=HOSTILE[8])
    tell("INC-1", incident.link_change, 64, change="CHG-3", verdict=Verdict.FIXED)
    tell("INC-1", incident.resolve, 65)
    tell("INC-1", incident.correct, 66, version=7, field="at", was=minutes(65), now=minutes(61),
         why="the graphs show it")  # fmt: skip
    tell("INC-2", incident.detect, 67, title=SECRET, mode=Mode.DRILL)
    tell("INC-2", incident.resolve, 68)
    tell("INC-2", incident.void, 69, version=2, why="not yet")
    ledger.redact("incident:INC-2", by="ana", at=minutes(69), reason="a name")
    tell("INC-3", incident.detect, 70, title=HOSTILE[7])
    ledger.merge("INC-3", into="INC-1", by="ana", at=minutes(70))
    tool = Source(name="tool", id="=9")
    ledger.bring_in(
        [
            History(
                stream="incident:INC-9",
                events=(
                    (IncidentDetected(at=None, by="tool", title="Old", imported=True), tool),
                    (IncidentResolved(at=minutes(-9), by="tool", imported=True), tool),
                ),
            ),
            History(
                stream="change:CHG-9",
                events=(
                    (
                        ChangePlanned(at=None, by="tool", type=ChangeType.NORMAL, imported=True),
                        tool,
                    ),
                    (ChangeDeployed(at=minutes(-8), by="tool", imported=True), tool),
                ),
            ),
        ]
    )
    return ledger


def golden(name: str, path: Path) -> Ledger:
    """Return the ledger of a golden log."""
    with (GOLDEN / f"{name}.jsonl").open("rb") as file:
        return Ledger.restored(path, jsonl.read(file))


LOGS = tuple(sorted(path.stem for path in GOLDEN.glob("*.jsonl")))
