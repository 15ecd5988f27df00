"""
A receiver of webhooks: durable deliveries over real sockets, against steps recorded in a loop.

    python benchmarks/run.py --only receiver

The server is a process of its own (`imcm receive`); this one is all the senders.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from imcm import Ledger, LedgerReader, incident

SENDERS = 32
"""Connections that are kept open, each with one delivery after the other."""

STEPS = 600
ROUNDS = 3

START = datetime(2026, 1, 1, tzinfo=UTC)

TOKEN = "a-token-of-the-benchmark"

SETTINGS = """\
dead_letters = "dead-letters.jsonl"
[sources.alertmanager]
format = "alertmanager"
secrets = ["IMCM_BENCHMARK_TOKEN"]
"""


def alert(number: int) -> bytes:
    """Return a delivery as Alertmanager sends it: a group of one new alert."""
    labels = {"alertname": "CheckoutFails", "severity": "critical", "service": f"s{number % 20}",
              "instance": f"10.0.0.{number % 250}:9100", "job": "node"}  # fmt: skip
    return json.dumps(
        {
            "version": "4",
            "groupKey": f"{{}}:{{alertname={number}}}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "imcm",
            "groupLabels": {"alertname": "CheckoutFails"},
            "commonLabels": labels,
            "commonAnnotations": {"summary": "Checkout fails for more than 5 % of requests"},
            "externalURL": "http://alertmanager.example.org",
            "alerts": [
                {
                    "status": "firing",
                    "labels": labels,
                    "annotations": {},
                    "startsAt": (START + timedelta(seconds=number)).isoformat(),
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://prometheus.example.org/graph?g0.expr=up",
                    "fingerprint": f"{number:016x}",
                }
            ],
        }
    ).encode()


def requested(number: int) -> bytes:
    """Return the whole request of a delivery."""
    body = alert(number)
    head = (
        "POST /alertmanager HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def sender(port: int, numbers: Iterator[int], count: list[int]) -> None:
    """Send one delivery after the other, each when the one before is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in numbers:
        writer.write(requested(number))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        count[0] += 1
    writer.close()


async def sent(port: int, numbers: range, senders: int) -> float:
    """Send so many deliveries from so many senders; return the seconds it took."""
    waiting, count = iter(numbers), [0]
    begin = time.perf_counter()
    await asyncio.gather(*(sender(port, waiting, count) for _ in range(senders)))
    seconds = time.perf_counter() - begin
    assert count == [len(numbers)]
    return seconds


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, Path]]:
    """Run `imcm receive` on a free port."""
    (folder / "sources.toml").write_text(SETTINGS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ledger = folder / "received.db"
    words = ["--ledger", str(ledger), "--config", str(folder / "sources.toml")]
    command = [sys.executable, "-m", "imcm", "receive", *words, "--port", str(port)]
    process = subprocess.Popen(
        command,
        env={**os.environ, "IMCM_BENCHMARK_TOKEN": TOKEN},
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            assert process.poll() is None, "imcm receive ended by itself"
            time.sleep(0.1)
        yield port, ledger
    finally:
        process.terminate()
        process.wait(60)


def recorded(ledger: Ledger, begin: int, steps: int) -> float:
    """Record so many detections, one step each; return the seconds it took."""
    at = time.perf_counter()
    for number in range(begin, begin + steps):
        ledger.record(
            f"INC-{number}", incident.detect, by="prometheus", at=START, title="Checkout fails"
        )
    return time.perf_counter() - at


def measure_receiver(folder: Path, events: int) -> dict[str, Any]:
    """Deliveries a second that are durable when they are answered, and steps a second."""
    folder = folder / "receiver"
    folder.mkdir()
    steps = max(50, min(STEPS, events // 50))
    best = {"record": float("inf"), "many": float("inf"), "one": float("inf")}
    with Ledger(folder / "recorded.db") as ledger, serving(folder) as (port, received):
        asyncio.run(sent(port, range(20), 2))
        number = 20
        for turn in range(ROUNDS):
            best["record"] = min(best["record"], recorded(ledger, turn * steps, steps))
            for name, senders in (("many", SENDERS), ("one", 1)):
                seconds = asyncio.run(sent(port, range(number, number + steps), senders))
                best[name] = min(best[name], seconds)
                number += steps
        with LedgerReader(received) as reader:
            there = len(reader.facts().incidents)
        url = f"http://127.0.0.1:{port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            told = answer.read().decode()
    assert there == number, (there, number)
    commits = int(told.partition("\nimcm_receiver_commits_total ")[2].split("\n")[0])
    return {
        "ratio": best["many"] / best["record"],
        "seconds": best["many"] / steps,
        "baseline_seconds": best["record"] / steps,
        "beside": {
            "deliveries a second": round(steps / best["many"]),
            "steps a second": round(steps / best["record"]),
            "senders": SENDERS,
            "deliveries a second, one sender": round(steps / best["one"]),
            "deliveries for each commit, all rounds": round(number / commits, 1),
        },
    }
