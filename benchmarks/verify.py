"""
How long checking a whole ledger against its anchors takes, and how much memory.

    python benchmarks/verify.py [--rows N] [--json FILE]

The time is printed as a ratio to the least that could show a change at all, measured in the same
run on the same file: reading every row in log order and chaining SHA-256 over the states. Seconds
are printed beside it and hold for this machine only. Memory is the most the process held at once,
measured in a process of its own for each size, so that it can be seen not to grow with the log
(on Linux only: nothing else tells it without a package).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from imcm import verifier

_TYPES = ("IncidentDetected", "IncidentAcknowledged", "UpdateAdded", "IncidentResolved")
_ROW = tuple[str, int, str, bytes]


def _state(chance: random.Random, number: int) -> bytes:
    facts = (
        f'"at":"2026-03-02T12:{number // 60 % 60:02}:{number % 60:02}+01:00","by":"u{number % 97}"'
        f',"mode":"real","services":["checkout","basket-{number % 13}"],"severity":"s{number % 4}",'
        '"status":"detected"'
    )
    head = (
        f'{{"format":1,"record":"{chance.getrandbits(128):032x}",'
        f'"recorded_at":"2026-03-02T12:00:00.{number % 10**6:06}Z","event":{{{facts}}}'
    )
    if number % 2:
        return f"{head}}}".encode()
    told = "the queue of the basket grew, and nobody had an eye on it: " + "x" * (number % 90)
    salt = f"{chance.getrandbits(128):032x}"
    return f'{head},"words":{{"salt":"{salt}","title":"{told}","text":"as above"}}}}'.encode()


def build(path: Path, rows: int) -> list[verifier.Checkpoint]:
    """Write a ledger of *rows* rows, streams interleaved, and return ten anchors of it."""
    chance = random.Random(7)
    origin = "imcm/benchmark"
    opened = f'{{"format":1,"event":{{"ledger_id":"{origin}","format":1}}}}'.encode()
    frontier = verifier.Frontier()
    anchors: list[verifier.Checkpoint] = []
    versions: dict[str, int] = {}
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(
        "CREATE TABLE stored_events (originator_id TEXT, originator_version INTEGER, topic TEXT, "
        "state BLOB, PRIMARY KEY (originator_id, originator_version))"
    )
    connection.execute("BEGIN")

    def made(number: int) -> _ROW:
        if not number:
            return "ledger:self", 1, "LedgerOpened", opened
        stream = f"incident:INC-{max(0, number // 8 - chance.randrange(40)):08}"
        versions[stream] = version = versions.get(stream, 0) + 1
        return stream, version, _TYPES[version % 4], _state(chance, number)

    step = max(1, rows // 10)
    for begin in range(0, rows, step):
        batch = [made(number) for number in range(begin, min(begin + step, rows))]
        connection.executemany("INSERT INTO stored_events VALUES (?, ?, ?, ?)", batch)
        frontier.extend(verifier.leaf_hashes((0, *row) for row in batch))
        anchors.append(verifier.Checkpoint(origin, frontier.size, frontier.root()))
    connection.execute("COMMIT")
    connection.close()
    return anchors


def chain(path: Path) -> float:
    """Return the seconds a chain of SHA-256 over all states takes."""
    begun = time.perf_counter()
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    h = b""
    for _, _, _, _, state in connection.execute(
        "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events "
        "ORDER BY rowid"
    ):
        h = hashlib.sha256(h + state).digest()
    connection.close()
    return time.perf_counter() - begun


def checked(path: Path, anchors: list[verifier.Checkpoint]) -> float:
    """Return the seconds that checking the file takes."""
    begun = time.perf_counter()
    verdict = verifier.verify_file(path, anchors)
    assert verdict.outcome == verifier.OK, verdict
    return time.perf_counter() - begun


def spilled(path: Path, anchors: list[verifier.Checkpoint]) -> float:
    """Return the seconds it takes where the store can't tell streams in order."""
    begun = time.perf_counter()
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    rows = connection.execute(
        "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events "
        "ORDER BY rowid"
    )
    assert verifier.verify(rows, anchors).outcome == verifier.OK
    connection.close()
    return time.perf_counter() - begun


def memory(path: Path, notes: Path) -> int:
    """Return the kilobytes that a process of its own holds at most while it checks the file."""
    ran = subprocess.run(
        [sys.executable, __file__, "--measure", str(path), str(notes)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(ran.stdout)


def measure(path: Path, notes: Path) -> int:
    """Check the file and return the most kilobytes this process has held."""
    anchors = verifier.read_anchors(notes.read_text(encoding="utf-8"))
    assert verifier.verify_file(path, anchors).outcome == verifier.OK
    # Not getrusage: there a child begins with what its parent held.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.measure:
        print(measure(*told.measure))
        return
    answers: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in (told.rows // 10, told.rows):
            path, notes = Path(folder, f"{rows}.db"), Path(folder, f"{rows}.txt")
            anchors = build(path, rows)
            notes.write_text("".join(anchor.note() for anchor in anchors), encoding="utf-8")
            chain(path)  # the file is in memory from here on
            # Other work disturbs; the fastest of three is nearest to what it takes.
            bare = min(chain(path) for _ in range(3))
            whole = min(checked(path, anchors) for _ in range(3))
            sorting = spilled(path, anchors)
            held = memory(path, notes)
            print(
                f"{rows:>9} rows: chain {bare:.2f} s, verify {whole:.2f} s, ratio "
                f"{whole / bare:.2f}; with a temporary file {sorting / bare:.2f}; "
                f"{held / 1024:.0f} MB"
            )
            answers.append(
                {"rows": rows, "chain": bare, "verify": whole, "spilled": sorting, "kb": held}
            )
    if told.json:
        told.json.write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
