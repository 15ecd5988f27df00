"""
Time to restore by priority, from the audit log of one ServiceNow instance (UCI data set 498).

    python examples/servicenow_log.py PATH [LEDGER]

PATH is incident_event_log.zip (or the CSV in it). Every audit row becomes events of imported
history in a ledger, stamped with when ServiceNow took the row. The columns `resolved_at` and
`closed_at` hold the final value on every row: the first is recorded as what the source stated, the
second as a correction of the last close, both learned with the incident's last row and not before.
"""

from __future__ import annotations

import csv
import io
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from imcm import History, Ledger, Source, facts
from imcm.domain.corrections import DurationStated, MomentCorrected
from imcm.domain.incident_events import (
    IncidentClosed,
    IncidentDetected,
    IncidentEvent,
    IncidentHeld,
    IncidentReleased,
    IncidentReopened,
    IncidentResolved,
    IncidentStatus,
    IncidentTriaged,
    SeverityChanged,
)
from imcm.domain.vocabulary import HoldReason, Severity, StatedDuration
from imcm.projections.figures.restore import time_to_restore

Row = dict[str, str]
HOLDS = {
    "Awaiting User Info": HoldReason.CUSTOMER,
    "Awaiting Problem": HoldReason.PROBLEM,
    "Awaiting Vendor": HoldReason.VENDOR,
    "Awaiting Evidence": HoldReason.OTHER,
}
PRIORITIES = {"1": Severity.P1, "2": Severity.P2, "3": Severity.P3, "4": Severity.P4}
NAMES = {"P1": "Critical", "P2": "High", "P3": "Moderate", "P4": "Low"}


def rows(path: Path) -> Iterator[Row]:
    """Yield the audit rows in file order: the only order there is within a minute."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as raw:
            yield from csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
    else:
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def moment(text: str) -> datetime | None:
    """Read 3/3/2016 14:05 as 3 March, in UTC (the zone is unknown); "?" is absent."""
    if text == "?":
        return None
    return datetime.strptime(text, "%d/%m/%Y %H:%M").replace(tzinfo=UTC)


def history(number: str, group: list[Row]) -> History:
    """Turn one incident's audit rows into events, each stamped with when its row was taken."""
    told: list[tuple[IncidentEvent, Source]] = []
    by = "servicenow"
    state, priority = "", ""
    for row in group:
        stamp = moment(row["sys_updated_at"])
        source = Source(name=by, id=number, recorded_at=stamp, status=row["incident_state"])

        def tell(event_type: Any, source: Source = source, **facts: Any) -> None:
            facts.setdefault("at", source.recorded_at)
            told.append((event_type(by=by, imported=True, **facts), source))

        if not told:
            labels = {"category": row["category"], "location": row["location"]}
            service = () if row["cmdb_ci"] == "?" else (row["cmdb_ci"],)
            tell(IncidentDetected, at=moment(row["opened_at"]), services=service, labels=labels)
        severity = PRIORITIES[row["priority"][0]]
        if not priority:
            tell(IncidentTriaged, at=None, severity=severity)
        elif priority != row["priority"]:
            tell(SeverityChanged, severity=severity)
        new = row["incident_state"]
        if new != state:
            if state in HOLDS and new not in HOLDS:
                tell(IncidentReleased)
            if new in HOLDS:
                tell(IncidentHeld, reason=HOLDS[new])
            if state in {"Resolved", "Closed"} and not (state == "Resolved" and new == "Closed"):
                began = IncidentStatus(state.lower())
                tell(IncidentReopened, began=began)
            if new == "Resolved":
                tell(IncidentResolved)
            if new == "Closed":
                tell(IncidentClosed)
        state, priority = new, row["priority"]
    closes = [place for place, (e, _) in enumerate(told) if isinstance(e, IncidentClosed)]
    closed = moment(group[-1]["closed_at"])
    if closes and closed is not None and told[closes[-1]][0].at != closed:
        was = told[closes[-1]][0].at
        tell(MomentCorrected, version=closes[-1] + 1, field="at", was=was, now=closed)
    opened, resolved = moment(group[-1]["opened_at"]), moment(group[-1]["resolved_at"])
    if opened is not None and resolved is not None:
        microseconds = int((resolved - opened).total_seconds()) * 1_000_000
        tell(DurationStated, what=StatedDuration.TIME_TO_RESTORE, microseconds=microseconds)
    return History(stream=f"incident:servicenow/{number}", events=tuple(told))


def histories(path: Path) -> Iterator[History]:
    """Yield one history for each incident; its rows stand together in the file."""
    for number, group in groupby(rows(path), key=lambda row: row["number"]):
        yield history(number, list(group))


def main(path: Path, ledger_path: Path) -> None:
    with Ledger(ledger_path) as ledger:
        count, recorded = ledger.bring_in(histories(path))
        print(f"{count:,} incidents, {recorded:,} events recorded in {ledger_path.name}")
        known = facts(ledger.replay(words=False))

    print("\nTime to resolve from opened_at, in hours:")
    print(f"{'reading':34}{'n':>8}{'mean':>12}{'median':>12}{'p90':>12}")
    for name, arguments in {
        "exported resolved_at": {"source": "stated"},
        "first entry into Resolved": {"reopened": "first"},
        "last entry into Resolved": {"reopened": "last"},
    }.items():
        figure = time_to_restore(known, **arguments)  # type: ignore[arg-type]
        hours = [x / 3600 for x in (figure.beside["mean"], figure.value, figure.beside["p90"]) if x]
        print(f"{name:34}{figure.n:8,}" + "".join(f"{x:12.4f}" for x in hours))

    print("\nBy last priority, exported field:")
    stated = time_to_restore(known, source="stated", group_by="severity")
    for group in stated.groups:
        mean, median = (group.beside["mean"] or 0) / 3600, (group.value or 0) / 3600
        print(f"{NAMES[group.group or '']:34}{group.n:8,}{mean:12.4f}{median:12.4f}")

    print("\nHow the last reading is defined, and whom it leaves out:")
    print(time_to_restore(known).explain())


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit("usage: python examples/servicenow_log.py PATH [LEDGER]")
    if len(sys.argv) == 3:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(sys.argv[1]), Path(folder) / "servicenow.db")
