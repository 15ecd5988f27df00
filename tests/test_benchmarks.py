"""
The benchmarks run from end to end, and say what they measured against. Never how fast it was.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

KEYS = {
    "replay_vs_fetch",
    "replay_vs_stock",
    "record_vs_insert",
    "record_vs_stock",
    "import_vs_insert",
    "follow_catch_up",
    "cold_open",
    "metrics_100k",
    "attribution_100k",
    "memory",
    "import_time",
    "growth",
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
    printed = run("run.py", "--events", 2000, "--folder", tmp_path, "--json", results)
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
