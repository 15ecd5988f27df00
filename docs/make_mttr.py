"""
Write the tables of docs/mttr.md: one log under the definitions of many tools.

    python docs/make_mttr.py [FOLDER]

The first table is of a log that is made up here, the same each time. The second is of the public
logs in FOLDER (as the examples read them); without it, it stays as it is.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from imcm import (
    PRESETS,
    Commit,
    Facts,
    Figure,
    Ledger,
    Verdict,
    change,
    dora_report,
    from_frames,
    incident,
    time_to_restore,
)
from imcm.projections.figures.units import shown

PAGE: Final = Path(__file__).with_name("mttr.md")
START: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
METRICS: Final = ("restore", "change_failure_rate", "lead_time", "deployment_frequency")

READINGS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("median, from detection to the last resolution", {}),
    ("median, to the first resolution", {"reopened": "first"}),
    ("median, the hours it was open", {"reopened": "open_time"}),
    ("median, as the source's own field says", {"source": "stated"}),
    ("median, to its close", {"end": "closed"}),
    ("mean, from detection to the last resolution", {"statistic": "mean"}),
    ("p90, from detection to the last resolution", {"statistic": "p90"}),
)
"""One question, asked in seven ways."""


def shop() -> Facts:
    """Return the facts of a quarter of a shop: ninety deployments, and what broke."""
    dice = random.Random(7)  # noqa: S311 (no secret)
    now = START
    ledger = Ledger.in_memory(clock=lambda: now)

    def record(id: str, step: Callable[..., Any], at: datetime, by: str, **said: Any) -> None:
        nonlocal now
        now = max(now, at)
        ledger.record(id, step, by=by, at=at, **said)

    number = 0
    for day in range(90):
        id, at = f"CHG-{day}", START + timedelta(days=day, minutes=dice.randrange(300))
        services = [dice.choice(("checkout", "search", "login"))]
        plan = {"title": "x", "risk": "low", "rollback_plan": "x", "services": services}
        commit = Commit(
            id=f"{day:040x}",
            committed_at=at - timedelta(hours=dice.lognormvariate(2.5, 1)),
        )
        record(id, change.plan, at, "lena", **plan)
        record(id, change.submit, at, "lena")
        record(id, change.approve, at, "mia")
        record(id, change.start, at, "ci", version=f"5.{day}", commits=[commit])
        if day % 23 == 11:
            record(id, change.fail, at, "ci", reached_production=True)
        else:
            record(id, change.complete, at + timedelta(minutes=9), "ci")
        if dice.random() >= 0.22:
            continue
        number += 1
        name, found_at = f"INC-{number}", at + timedelta(minutes=dice.randrange(20, 900))
        record(name, incident.detect, found_at, "ana", title="x", services=services)
        if dice.random() < 0.55:
            cause = {"change": id, "verdict": Verdict.CAUSED}
            record(name, incident.link_change, found_at, "ana", **cause)
        end = found_at + timedelta(hours=dice.lognormvariate(0.6, 1.3))
        record(name, incident.resolve, end, "ana")
        if dice.random() < 0.2:
            record(name, incident.reopen, end + timedelta(hours=2), "ana", why="it is back")
            record(name, incident.resolve, end + timedelta(hours=9), "ana")
    return ledger.facts()


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(figure: Figure | None) -> str:
    """Return a value with its count; a dash where there is no such figure, or nothing to count."""
    if figure is None or figure.value is None:
        return "-"
    return f"{shown(figure.value, figure.unit)} ({figure.n:,})"


def disagreement(known: Facts, metrics: Iterable[str]) -> str:
    """Return one line for each preset: the same log, counted as that tool counts."""
    names = list(metrics)
    rows = [
        [f"`{preset}`", *(cell(dora_report(known, preset=preset, year=None).figures.get(name))
                          for name in names)]
        for preset in PRESETS
    ]  # fmt: skip
    return table(["counted as", *(name.replace("_", " ") for name in names)], rows)


def readings(known: Facts) -> str:
    """Return one line for each way to ask how long it took."""
    return table(
        ["reading", "value (incidents)"],
        [[name, cell(time_to_restore(known, **asked))] for name, asked in READINGS],
    )


def real(folder: Path) -> str:
    """Return the tables of the ServiceNow log that examples/servicenow_log.toml reads."""
    mapping = Path(__file__).parents[1] / "examples" / "servicenow_log.toml"
    log = folder / "uci_servicenow_incidents/incident_event_log.zip"
    known = from_frames(incidents=log, mapping=mapping)
    return f"{disagreement(known, ['restore'])}\n\n{readings(known)}"


def parts(folder: Path | None) -> Iterator[tuple[str, str]]:
    """Yield the name of each table that is made, and the table."""
    known = shop()
    yield "shop", disagreement(known, METRICS)
    yield "shop readings", readings(known)
    if folder is not None:
        yield "real", real(folder)


def page(folder: Path | None = None) -> str:
    """Return the page with its tables made anew."""
    text = PAGE.read_text(encoding="utf-8")
    for name, made in parts(folder):
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
        text, replaced = re.subn(pattern, f"{begin}\n\n{made}\n\n{end}", text, flags=re.S)
        assert replaced == 1, name
    return text


if __name__ == "__main__":
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    PAGE.write_text(page(given), encoding="utf-8")
