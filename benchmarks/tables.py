"""
Tables as a source: CSV files of incidents and changes, and a log with one row for each state.

    python benchmarks/run.py --only csv_vs_bring_in log_vs_bring_in csv_again
"""

from __future__ import annotations

import csv
import gc
import itertools
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from imcm import History, Ledger
from imcm.interchange.csv_files import ImportReport, import_csv

START = datetime(2024, 1, 1, tzinfo=UTC)
AGAIN = 40_000
"""Rows of the file that is imported again."""

MAPPING: dict[str, Any] = {
    "incidents": {"columns": {"Number": "id", "Opened": "detected_at",
                              "Answered": "acknowledged_at", "Solved": "resolved_at",
                              "Priority": ["severity", "severity_name"],
                              "Service": "service", "Summary": "title", "Group": "label:team"}},
    "changes": {"columns": {"Number": "id", "Started": "started_at", "Done": "deployed_at",
                            "Result": "status", "Service": "service", "Summary": "title"}},
    "values": {"severity": {"1 - Critical": "P1", "2 - High": "P2", "3 - Low": "P3"},
               "status": {"OK": "successful", "Failed": "failed"}},
}  # fmt: skip
LOG: dict[str, Any] = {
    "incidents": {"kind": "log", "columns": {"Number": "id", "Updated": "updated_at",
                                             "State": "status", "Priority": "severity",
                                             "Service": "service", "Group": "label:team"}},
    "values": {"severity": MAPPING["values"]["severity"],
               "status": {"New": "open", "Waiting": "held:customer", "Solved": "resolved",
                          "Done": "closed"}},
}  # fmt: skip
PRIORITIES = ("1 - Critical", "2 - High", "3 - Low", "3 - Low")
STATES = ("New", "New", "Waiting", "New", "Solved", "Done")
"""What becomes of an incident, one row each."""


def put(path: Path, header: list[str], rows: Iterator[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(header)
        out.writerows(rows)
    return path


def text(moment: datetime) -> str:
    return moment.isoformat(" ", "seconds")


def incidents(path: Path, count: int) -> Path:
    def rows() -> Iterator[list[str]]:
        for number in range(count):
            at = START + timedelta(minutes=7 * number)
            yield [
                f"INC{number:07}", text(at), text(at + timedelta(minutes=4)),
                text(at + timedelta(minutes=30 + number % 99)), PRIORITIES[number % 4],
                f"service-{number % 50}", "Errors above 5 %", f"team-{number % 20}",
            ]  # fmt: skip

    columns = MAPPING["incidents"]["columns"]
    return put(path, [*columns], rows())


def changes(path: Path, count: int) -> Path:
    def rows() -> Iterator[list[str]]:
        for number in range(count):
            at = START + timedelta(minutes=7 * number)
            yield [
                f"CHG{number:07}", text(at), text(at + timedelta(minutes=12)),
                "Failed" if number % 17 == 0 else "OK", f"service-{number % 50}",
                "Another version",
            ]  # fmt: skip

    return put(path, [*MAPPING["changes"]["columns"]], rows())


def states(path: Path, count: int) -> Path:
    """Write an audit log of so many rows, in the order of the incidents."""

    def rows() -> Iterator[list[str]]:
        for number in range(count // len(STATES)):
            at = START + timedelta(minutes=7 * number)
            for place, state in enumerate(STATES):
                worse = number % 9 == 0 and place > 1
                yield [
                    f"INC{number:07}", text(at + timedelta(minutes=20 * place)), state,
                    "1 - Critical" if worse else PRIORITIES[1 + number % 3],
                    f"service-{number % 50}", f"team-{number % 20}",
                ]  # fmt: skip

    return put(path, [*LOG["incidents"]["columns"]], rows())


def timed(what: Callable[[], object]) -> float:
    gc.collect()
    begun = time.perf_counter()
    what()
    return time.perf_counter() - begun


def measure_tables(folder: Path, events: int) -> dict[str, Any]:
    """A first import, against bringing in the events it makes; and the same files once more."""
    count = max(1, min(events, 200_000) // 8)
    fresh = (folder / f"table-{number}.db" for number in itertools.count())
    both = {
        "incidents": incidents(folder / "incidents.csv", count),
        "changes": changes(folder / "changes.csv", count),
    }
    log = states(folder / "log.csv", count * len(STATES))
    again = incidents(folder / "again.csv", min(AGAIN, 4 * count))
    found: dict[str, Any] = {
        "csv_vs_bring_in": measured(fresh, lambda book: import_csv(
            book, **both, mapping=MAPPING, source="tool")),
        "log_vs_bring_in": measured(fresh, lambda book: import_csv(
            book, incidents=log, mapping=LOG, source="tool")),
    }  # fmt: skip
    with Ledger(next(fresh)) as book:
        reports: list[ImportReport] = []

        def once() -> None:
            reports.append(import_csv(book, incidents=again, mapping=MAPPING, source="tool"))

        first, *others = (timed(once) for _ in range(4))
        assert [report.events for report in reports[1:]] == [0, 0, 0]
        rows = reports[0].rows_read
        found["csv_again"] = {
            "seconds": min(others),
            "baseline_seconds": first,
            "ratio": min(others) / first,
            "beside": {"rows": rows, "rows per second": round(rows / min(others))},
        }
    return found


def measured(fresh: Iterator[Path], imported: Callable[[Ledger], ImportReport]) -> dict[str, Any]:
    """Return how long an import takes beside bringing in the events that it makes."""
    with Ledger(next(fresh)) as book:
        report = imported(book)
        by_stream: dict[str, list[Any]] = {}
        for each in book.replay():
            if each.kind in {"incident", "change"}:
                by_stream.setdefault(each.stream, []).append((each.event, each.source))
        histories = [
            History(stream=stream, events=tuple(pairs)) for stream, pairs in by_stream.items()
        ]

    def imported_once() -> float:
        with Ledger(next(fresh)) as book:
            return timed(lambda: imported(book))

    def brought_in() -> float:
        with Ledger(next(fresh)) as book:
            return timed(lambda: book.bring_in(histories))

    pairs = [(brought_in(), imported_once()) for _ in range(3)]
    brought, seconds = (min(each) for each in zip(*pairs, strict=True))
    return {
        "ratio": seconds / brought,
        "seconds": seconds,
        "baseline_seconds": brought,
        "beside": {
            "rows": report.rows_read,
            "events": report.events,
            "rows per second": round(report.rows_read / seconds),
        },
    }
