"""
The benchmarks run from end to end, and say what they measured against. Never how fast it was.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

KEYS = {
    "replay_vs_fetch",
    "replay_vs_stock",
    "record_vs_insert",
    "record_vs_stock",
    "import_vs_insert",
    "csv_vs_bring_in",
    "log_vs_bring_in",
    "csv_again",
    "follow_catch_up",
    "cold_open",
    "metrics_100k",
    "report_by_month",
    "attribution_100k",
    "conflicts_100k",
    "what_if_100k",
    "frozen_100k",
    "next_free_100k",
    "risk_100k",
    "git_100k",
    "receiver",
    "memory",
    "import_time",
    "growth",
}


COMMANDS = {
    "start of a process": [
        "python -c pass",
        "python -c 'import imcm'",
        "imcm --version",
        "imcm next, of a small ledger",
    ],
    "report": [
        "imcm report",
        "imcm report --by service",
        "imcm report --bucket month",
        "imcm report --by service --bucket month",
        "imcm report --compare, half a year with the one before",
        "imcm report --json",
        "imcm report --side-by-side restore",
        "imcm report --side-by-side change_failure_rate",
        "imcm report --views, the first time",
        "imcm report --views, nothing new",
        "imcm report --views, 1,000 new events",
    ],
    "timeline and audit": [
        "imcm timeline ID, an incident of 11 events",
        "imcm audit replay ID, an incident of 11 events",
        "imcm audit trail ID",
        "imcm audit verify",
        "imcm audit anomalies",
        "imcm audit diff, of the later half",
    ],
    "import and export": [
        "imcm import csv, 200 incidents and 200 changes",
        "imcm import csv, the same files again",
        "imcm export jsonl",
        "imcm import jsonl",
    ],
}


def run(script: str, *arguments: object) -> str:
    ran = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == ran.returncode, ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_every_figure_has_a_ratio_and_names_its_baseline(tmp_path: Path) -> None:
    """A tiny run of everything; the page and the picture are made from its results."""
    results = tmp_path / "results.json"
    printed = run(
        "run.py", "--events", 2000, "--folder", tmp_path, "--json", results, "--only", *sorted(KEYS)
    )
    told = json.loads(results.read_text(encoding="utf-8"))
    assert KEYS == told["results"].keys() | told["missing"].keys()
    assert {"cpu", "cores", "python", "sqlite", "packages", "date", "events"} <= told.keys()
    assert "bytes per event in the file" in told["beside"]
    for key, result in told["results"].items():
        assert result["ratio"] > 0, key
        assert min(result["seconds"], result["baseline_seconds"]) > 0, key
        assert result["baseline"], key
        assert result["goal"], key
        assert f"{result['baseline']}\n" in printed, key
    assert [results] == list(tmp_path.iterdir())  # the logs are gone

    page = tmp_path / "performance.md"
    run("page.py", results, "--to", page)
    text = page.read_text(encoding="utf-8")
    assert [] == [key for key in KEYS if f"| `{key}` |" not in text]

    if importlib.util.find_spec("matplotlib"):
        pictures = [tmp_path / "one.svg", tmp_path / "two.svg"]
        for picture in pictures:
            run("picture.py", results, "--to", picture)
        one, two = (picture.read_bytes() for picture in pictures)
        assert one == two


@pytest.mark.slow
def test_one_figure_can_be_asked_for(tmp_path: Path) -> None:
    """Nothing else is measured then."""
    results = tmp_path / "results.json"
    run("run.py", "--events", 500, "--only", "replay_vs_fetch", "--json", results)
    told = json.loads(results.read_text(encoding="utf-8"))
    assert ["replay_vs_fetch"] == list(told["results"])


@pytest.mark.slow
def test_whole_commands_are_timed_in_processes_of_their_own(tmp_path: Path) -> None:
    """Nothing else is measured then; their section of the page is written, the rest of it stays."""
    results, page = tmp_path / "results.json", tmp_path / "performance.md"
    words = ("--only", "whole_commands", "--folder", tmp_path, "--json", results)
    printed = run("run.py", "--events", 2000, *words)
    told = json.loads(results.read_text(encoding="utf-8"))
    assert {} == told["results"]
    assert [results] == list(tmp_path.iterdir())  # the logs are gone
    whole = told["whole_commands"]
    assert 2000 == whole["log"]["events"]
    assert 0 < whole["log"]["touched again"] < 0.1
    assert whole["baseline_seconds"] > 0
    # A small difference of two times: on a busy machine it may come out below 0.
    assert isinstance(whole["start"], float)
    assert f"{whole['baseline']}\n" in printed
    found: dict[str, list[str]] = {}
    for one in whole["commands"]:
        found.setdefault(one["group"], []).append(one["command"])
        assert one["least"] <= one["seconds"] <= one["most"], one
        assert one["megabytes"] > 1, one
        assert one["ratio"] == one["seconds"] / whole["baseline_seconds"], one
    assert COMMANDS == found
    # A command holds its own memory, not that of the benchmark which started it.
    start, package, version, *_ = (one["megabytes"] for one in whole["commands"])
    assert start <= package < version
    for one in whole["beside"]:
        assert min(one["seconds"], one["baseline_seconds"], one["ratio"]) > 0, one
        assert f"{one['baseline']}\n" in printed, one
    refused = whole["beside"][1]["beside"]["calls refused since others kept recording"]
    assert 0 <= refused < 60

    page.write_text("# Performance\n\nAs it was.\n\n## Whole commands\n\nOld.\n")
    run("page.py", results, "--to", page)
    once = page.read_text(encoding="utf-8")
    assert once.startswith("# Performance\n\nAs it was.\n\n## Whole commands\n\nEach is")
    run("page.py", results, "--to", page)
    assert once == page.read_text(encoding="utf-8")
    for command in itertools.chain(*COMMANDS.values()):
        name, comma, remark = command.partition(",")
        assert f"| `{name}`{comma}{remark} |" in once
    page.unlink()
    run("page.py", results, "--to", page)
    assert page.read_text(encoding="utf-8").startswith("## Whole commands\n")


def test_streams_are_touched_again_in_the_order_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions have no gap, no time goes back, and one stream in twenty is touched after months."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    logs = importlib.import_module("logs")
    told = list(logs.lived(20_000))
    assert 20_000 == len(told)
    assert told == list(logs.lived(20_000))
    times = [event.at for _, _, event in told]
    assert sorted(times) == times
    streams: dict[str, list[Any]] = {}
    for stream, version, event in told:
        streams.setdefault(stream, []).append(event)
        assert len(streams[stream]) == version
    again = [
        stream
        for stream, events in streams.items()
        if any((b.at - a.at).days >= logs.LATER[0] for a, b in itertools.pairwise(events))
    ]
    assert 0.04 < len(again) / len(streams) < 0.06
    late = {type(streams[stream][-1]).__name__ for stream in again}
    assert late >= {
        "ActionCompleted",
        "ChangeRolledBack",
        "ChangeValidated",
        "EventVoided",
        "IncidentResolved",
        "MomentCorrected",
        "ServicesCorrected",
        "VerdictGiven",
    }
    assert 100 == len(streams[f"incident:{logs.LONG}"])
