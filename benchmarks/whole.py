"""
Whole commands, each a real command line in a new process: what somebody waits for who types it.

    python benchmarks/run.py --only whole_commands [--quick] [--json FILE]

The log is that of `logs.lived`: in the order of time, and of its streams one in twenty was touched
again months after it was over. Seconds are by the wall clock, the median of several runs, and what
starting a process takes is not in them; the most memory is that of the command's process. Every
command is a ratio to one baseline, which is run before each of them: a plain Python process that
fetches every row of the whole log with sqlite3.

Two are no commands: comparing two large samples, against sorting them, and many threads of several
processes that record on one incident, against one thread that records as much.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import sqlite3
import statistics as bare
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import logs
import metrics

import imcm
from imcm import Ledger, LedgerReader, incident, time_to_restore
from imcm.codec.rows import StoredEvent
from imcm.errors import ConflictError

FULL = 1_000_000

NEW = 1_000
"""Events that are new when kept facts are brought up to date."""

RUNS, FEWER_RUNS = 5, 3
"""How often a command is run, and how often one that takes `LONG` seconds or more."""

SMALL = 10_000
"""Logs below this say nothing about time: each command is run once."""

LONG = 4.0

COMPARED = 45_000
STEPS = 600
PROCESSES, THREADS = 3, 4

FETCH = """
import sqlite3, sys
connection = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
count = 0
for _ in connection.execute(
    "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events "
    "ORDER BY rowid"
):
    count += 1
print(count)
"""

BASELINE = (
    "fetching the whole log in a plain Python process: sqlite3, in order of rowid, all values"
)


def nothing() -> None:
    """Prepare nothing."""


class Command(NamedTuple):
    """
    A command line to run.

    Attributes:
        group: What it belongs to.
        name: As it is shown.
        words: What follows the interpreter.
        before: What is done before each run, and isn't timed.
    """

    group: str
    name: str
    words: tuple[str, ...]
    before: Callable[[], object] = nothing


class Taken(NamedTuple):
    """What one run took: seconds, and megabytes held at most."""

    seconds: float
    megabytes: float


# --- running commands -----------------------------------------------------------------------------


class Shell:
    """Runs commands of this tree in new processes, with compiled files of their own."""

    def __init__(self, folder: Path) -> None:
        self.output = folder / "output"
        hidden = ("PYTHONDONTWRITEBYTECODE", "IMCM_LEDGER")
        self._environment = {k: v for k, v in os.environ.items() if k not in hidden}
        self._environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
        self._environment["PYTHONPATH"] = str(Path(imcm.__file__).parents[1])

    def run(self, *words: str) -> Taken:
        """Run the interpreter with these arguments."""
        launch = str(Path(__file__).with_name("launch.py"))
        ran = subprocess.run(
            [sys.executable, "-I", "-S", launch, str(self.output), sys.executable, *words],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            env=self._environment,
        )
        if ran.returncode:
            raise SystemExit(f"{' '.join(words)} failed")
        seconds, kilobytes = map(float, ran.stdout.split())
        return Taken(seconds, kilobytes / 1024)

    def imcm(self, *words: str | Path) -> Taken:
        """Run the command line."""
        return self.run("-m", "imcm", *map(str, words))


# --- what they work on ----------------------------------------------------------------------------


def write(path: Path, given: Iterator[StoredEvent]) -> None:
    """Write a ledger of these rows, opened before the first of them."""
    with Ledger(path, clock=lambda: logs.START) as ledger:
        while batch := list(itertools.islice(given, 10_000)):
            ledger._writes.insert(batch)


def unlinked(*paths: Path) -> None:
    """Remove files, and what SQLite keeps beside them."""
    for path in paths:
        for beside in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + beside).unlink(missing_ok=True)


def rows_in(path: Path) -> tuple[int, int]:
    """Return how many rows and how many streams a ledger has, its own left out."""
    connection = sqlite3.connect(path)
    count = "SELECT COUNT(*), COUNT(DISTINCT originator_id) FROM stored_events"
    rows, streams = connection.execute(count).fetchone()
    connection.close()
    return rows - 1, streams - 1


def touched_again(path: Path) -> float:
    """Return the share of streams that have an event sixty days or more after the one before."""
    last: dict[str, datetime] = {}
    found: set[str] = set()
    apart = timedelta(days=logs.LATER[0])
    with LedgerReader(path) as ledger:
        for recorded in ledger.replay():
            before = last.get(recorded.stream, recorded.recorded_at)
            if recorded.recorded_at - before >= apart:
                found.add(recorded.stream)
            last[recorded.stream] = recorded.recorded_at
    return len(found) / len(last)


def write_tables(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write CSV files of *rows* incidents and *rows* changes, as another tool exports them."""
    chance = random.Random(7)
    incidents, changes = folder / "incidents.csv", folder / "changes.csv"
    with (
        incidents.open("w", newline="", encoding="utf-8") as one,
        changes.open("w", newline="", encoding="utf-8") as two,
    ):
        first, second = csv.writer(one), csv.writer(two)
        first.writerow(
            (
                *("id", "service", "title", "severity"),
                *("detected_at", "acknowledged_at", "resolved_at", "caused_by"),
            )
        )
        second.writerow(
            ("id", "service", "type", "status", "started_at", "deployed_at", "rolled_back_at")
        )
        for number in range(rows):
            at = logs.START + logs.EVERY * number
            found = at + timedelta(minutes=3)
            over = found + timedelta(seconds=int(chance.lognormvariate(8.5, 1.2)) + 120)
            failed = number % 17 == 0
            first.writerow(
                (
                    f"INC-{number}",
                    f"service-{number % 50}",
                    "Errors above 5 %",
                    f"P{number % 4 + 1}",
                    found.isoformat(),
                    (found + timedelta(minutes=2)).isoformat(),
                    over.isoformat(),
                    f"CHG-{number}" if number % 10 == 0 else "",
                )
            )
            second.writerow(
                (
                    f"CHG-{number}",
                    f"service-{number % 50}",
                    "normal",
                    "rolled_back" if failed else "successful",
                    (at - timedelta(minutes=9)).isoformat(),
                    at.isoformat(),
                    (at + timedelta(minutes=30)).isoformat() if failed else "",
                )
            )
    return incidents, changes


# --- the commands ---------------------------------------------------------------------------------


def starts(folder: Path) -> Iterator[Command]:
    """Yield what shows the start of a process."""
    group, small = "start of a process", folder / "small.db"
    yield Command(group, "python -c 'import imcm'", ("-c", "import imcm"))
    yield Command(group, "imcm --version", ("-m", "imcm", "--version"))
    yield Command(group, "imcm next, of a small ledger", on(small, "next", "INC-1"))


def on(ledger: Path, *words: str | Path) -> tuple[str, ...]:
    """Return the words of a command on a ledger."""
    return ("-m", "imcm", *map(str, words), "--ledger", str(ledger))


def reports(folder: Path, news: Iterator[list[StoredEvent]]) -> Iterator[Command]:
    """Yield reports of the whole log, and of kept facts of a copy that grows."""
    group, ledger = "report", folder / "ledger.db"
    compared = ("--from", "2024-07-01", "--to", "2025-01-01", "--compare", "2024-01-01/2024-07-01")
    for name, words in {
        "": (),
        "--by service": ("--by", "service"),
        "--bucket month": ("--bucket", "month"),
        "--by service --bucket month": ("--by", "service", "--bucket", "month"),
        "--compare, half a year with the one before": compared,
        "--json": ("--json",),
        "--side-by-side restore": ("--side-by-side", "restore"),
        "--side-by-side change_failure_rate": ("--side-by-side", "change_failure_rate"),
    }.items():
        yield Command(group, f"imcm report {name}".strip(), on(ledger, "report", *words))
    growing, kept = folder / "growing.db", folder / "kept.facts"
    words = on(growing, "report", "--views", kept)

    def grow() -> None:
        with Ledger(growing) as writer:
            writer._writes.insert(next(news))

    yield Command(group, "imcm report --views, the first time", words, lambda: unlinked(kept))
    yield Command(group, "imcm report --views, nothing new", words)
    yield Command(group, f"imcm report --views, {NEW:,} new events", words, grow)


def looks(folder: Path, events: int) -> Iterator[Command]:
    """Yield looks at one stream, and audits of the whole log."""
    group, ledger = "timeline and audit", folder / "ledger.db"
    with LedgerReader(ledger) as reader:
        many = f"an incident of {len(reader.history(f'incident:{logs.LONG}')):,} events"
    for name, words in {
        f"imcm timeline ID, {many}": ("timeline", logs.LONG),
        f"imcm audit replay ID, {many}": ("audit", "replay", logs.LONG),
        "imcm audit trail ID": ("audit", "trail", "CHG-0"),
        "imcm audit verify": ("audit", "verify", "--anchors", folder / "anchors"),
        "imcm audit anomalies": ("audit", "anomalies"),
        "imcm audit diff, of the later half": (
            *("audit", "diff", "--known-at", str(events // 2)),
            *("--known-at", str(events)),
        ),
    }.items():
        yield Command(group, name, on(ledger, *words))


def moves(folder: Path, rows: int) -> Iterator[Command]:
    """Yield imports and exports."""
    group, ledger = "import and export", folder / "ledger.db"
    tables = write_tables(folder, rows)
    filled, restored, lines = (folder / f for f in ("filled.db", "restored.db", "log.jsonl"))
    words = on(
        filled,
        *("import", "csv", "--source", "tool"),
        "--incidents",
        tables[0],
        "--changes",
        tables[1],
    )
    both = f"{rows:,} incidents and {rows:,} changes"
    yield Command(group, f"imcm import csv, {both}", words, lambda: unlinked(filled))
    yield Command(group, "imcm import csv, the same files again", words)
    yield Command(
        group,
        "imcm export jsonl",
        on(ledger, "export", "jsonl", "--to", lines),
        lambda: unlinked(lines),
    )
    yield Command(
        group,
        "imcm import jsonl",
        on(restored, "import", "jsonl", lines),
        lambda: unlinked(restored),
    )


def measured(folder: Path, events: int, say: Callable[..., None]) -> dict[str, Any]:
    """Run all commands, and return what each took."""
    begun = os.getloadavg()
    shell = Shell(folder)
    given = logs.lived_rows(events + NEW * RUNS)
    ledger = folder / "ledger.db"
    say(f"writing a log of {events:,} events in the order of time")
    write(ledger, itertools.islice(given, events))
    news = iter([list(itertools.islice(given, NEW)) for _ in range(RUNS)])
    with sqlite3.connect(ledger) as connection, sqlite3.connect(folder / "growing.db") as copy:
        connection.backup(copy)
    for one in (connection, copy):
        one.close()
    with Ledger(folder / "small.db") as small:
        small.record("INC-1", incident.detect, by="ana", at=datetime.now(UTC), title="Slow")
    shell.imcm("audit", "checkpoint", "--ledger", ledger, "--anchors", folder / "anchors")
    rows, streams = rows_in(ledger)
    log = {"events": rows, "streams": streams, "touched again": touched_again(ledger)}

    fetch = Command("", "the bare fetch", ("-c", FETCH, str(ledger)))
    pass_ = Command("start of a process", "python -c pass", ("-c", "pass"))
    runs = RUNS if events >= SMALL else 1
    took: dict[Command, list[Taken]] = {}
    for one in (pass_, *starts(folder), fetch):
        shell.run(*one.words)  # compiled, and in memory, from here on
        took[one] = repeated(shell, one, RUNS)
    commands = (
        *reports(folder, news),
        *looks(folder, events),
        *moves(folder, max(10, events // 10)),
    )
    for command in commands:
        say(f"  {command.name}")
        took[fetch].append(shell.run(*fetch.words))
        took[command] = repeated(shell, command, runs)
        printed = shell.output.read_text(encoding="utf-8")
        assert printed.strip() or "--to" in command.words, command
    assert rows_in(folder / "restored.db") == (rows, streams)
    start = bare.median(one.seconds for one in took[pass_])
    baseline = bare.median(one.seconds for one in took.pop(fetch)) - start
    return {
        "log": log,
        "start": start,
        "baseline": BASELINE,
        "baseline_seconds": baseline,
        "load": [round(begun[0], 2), round(os.getloadavg()[0], 2)],
        "commands": [result(command, took[command], start, baseline) for command in took],
    }


def repeated(shell: Shell, command: Command, runs: int) -> list[Taken]:
    """Run a command several times, fewer where it takes long."""
    taken: list[Taken] = []
    while len(taken) < (min(runs, FEWER_RUNS) if taken and taken[0].seconds >= LONG else runs):
        command.before()
        taken.append(shell.run(*command.words))
    return taken


def result(command: Command, taken: list[Taken], start: float, baseline: float) -> dict[str, Any]:
    """Return what a command took beyond the start of a process."""
    seconds = [one.seconds - start for one in taken]
    return {
        "group": command.group,
        "command": command.name,
        "runs": len(taken),
        "seconds": bare.median(seconds),
        "least": min(seconds),
        "most": max(seconds),
        "megabytes": max(one.megabytes for one in taken),
        "ratio": bare.median(seconds) / baseline,
    }


# --- beside the commands --------------------------------------------------------------------------


def measure_compare(folder: Path, events: int) -> dict[str, Any]:
    """Compare two samples of durations, against sorting both."""
    each = max(50, events * COMPARED // FULL)
    known = metrics.held(2 * each)
    middle = metrics.START + timedelta(minutes=7 * each)
    first = time_to_restore(known, window=(metrics.START, middle))
    second = time_to_restore(known, window=(middle, middle + (middle - metrics.START) * 2))
    samples = [[one.value for one in figure.included] for figure in (first, second)]
    for sample in samples:
        random.Random(7).shuffle(sample)

    def compared() -> object:
        return imcm.compare(attrs.evolve(first), attrs.evolve(second))

    def sorted_() -> object:
        return [sorted(sample) for sample in samples]

    runs = [(timed(sorted_), timed(compared)) for _ in range(RUNS)]
    bares, ours = zip(*runs, strict=True)
    return {
        "what": "imcm.compare of {:,} with {:,} durations, in process".format(*map(len, samples)),
        "baseline": "sorting both samples",
        "seconds": bare.median(ours),
        "least": min(ours),
        "most": max(ours),
        "baseline_seconds": bare.median(bares),
        "ratio": bare.median(ours) / bare.median(bares),
        "beside": {},
    }


def timed(what: Callable[[], object]) -> float:
    """Return the seconds of one run."""
    begin = time.perf_counter()
    what()
    return time.perf_counter() - begin


def measure_contention(folder: Path, events: int) -> dict[str, Any]:
    """Let many threads of several processes record on one incident, against one that does all."""
    many = PROCESSES * THREADS
    steps = STEPS if events >= FULL else 5 * many
    runs = [
        (together(folder, 1, 1, steps), together(folder, PROCESSES, THREADS, steps))
        for _ in range(FEWER_RUNS)
    ]
    alone, all_ = zip(*runs, strict=True)
    ours, single = (bare.median(one["seconds"] for one in each) for each in (all_, alone))
    return {
        "what": f"{many} threads of {PROCESSES} processes record {steps} steps on one incident",
        "baseline": f"one thread records {steps}",
        "seconds": ours,
        "least": min(one["seconds"] for one in all_),
        "most": max(one["seconds"] for one in all_),
        "baseline_seconds": single,
        "ratio": ours / single,
        "beside": {
            "seconds, longest single call": round(max(one["longest"] for one in all_), 3),
            "seconds, longest of one thread alone": round(max(o["longest"] for o in alone), 3),
            "calls refused since others kept recording": sum(one["refused"] for one in all_),
        },
    }


def together(folder: Path, processes: int, threads: int, steps: int) -> dict[str, float]:
    """Return the seconds until *steps* steps are recorded, begun by all at once."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        path = Path(name, "one.db")
        with Ledger(path) as ledger:
            ledger.record("INC-1", incident.detect, by="ana", at=datetime.now(UTC), title="Slow")
        each = steps // (processes * threads)
        workers = [
            subprocess.Popen(
                [sys.executable, __file__, str(path), str(threads), str(each)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(processes)
        ]
        pipes = [(one.stdin, one.stdout) for one in workers]
        for _, answers in pipes:
            assert answers is not None
            assert answers.readline() == "ready\n"
        begin = time.perf_counter()
        for words, _ in pipes:
            assert words is not None
            words.write("go\n")
            words.flush()
        told = [json.loads(one.communicate()[0]) for one in workers]
        refused = sum(one["refused"] for one in told)
        assert rows_in(path)[0] == 1 + each * processes * threads - refused
    # One clock for all processes of a machine.
    return {
        "seconds": max(one["end"] for one in told) - begin,
        "longest": max(one["longest"] for one in told),
        "refused": refused,
    }


def worker(path: Path, threads: int, steps: int) -> dict[str, float]:
    """Record in several threads once a line is read, and tell of it."""
    calls: list[float] = []
    refused: list[ConflictError] = []

    def record(by: str) -> None:
        for _ in range(steps):
            begin = time.perf_counter()
            try:
                ledger.record(
                    "INC-1", incident.post_update, by=by, at=datetime.now(UTC), text="Still slow."
                )
            except ConflictError as error:
                refused.append(error)
            calls.append(time.perf_counter() - begin)

    with Ledger(path) as ledger:
        each = [threading.Thread(target=record, args=(f"dev-{n}",)) for n in range(threads)]
        print("ready", flush=True)
        sys.stdin.readline()
        for one in each:
            one.start()
        for one in each:
            one.join()
        return {"end": time.perf_counter(), "longest": max(calls), "refused": len(refused)}


# --- shown ----------------------------------------------------------------------------------------


def shown(told: dict[str, Any]) -> Iterator[str]:
    """Yield lines to read."""
    yield f"whole commands, {told['log']['events']:,} events; load {told['load']}"
    yield f"    start of a process: {told['start']:.3f} s, in none of the others"
    yield f"    baseline: {told['baseline_seconds']:.3f} s, {told['baseline']}"
    for one in told["commands"]:
        seconds = f"{one['seconds']:8.3f} s ({one['least']:.3f} to {one['most']:.3f})"
        peak = f"{one['megabytes']:6.0f} MB"
        yield f"    {one['command']:64}{seconds:32}{peak}{one['ratio']:8.2f} times"
    for one in told["beside"]:
        yield f"    {one['what']}: {one['seconds']:.3f} s, {one['ratio']:.2f} times"
        yield f"        {one['baseline_seconds']:.3f} s: {one['baseline']}"
        for name, value in one["beside"].items():
            yield f"        {name}: {value}"


if __name__ == "__main__":
    place, threads_, steps_ = sys.argv[1:]
    print(json.dumps(worker(Path(place), int(threads_), int(steps_))))
