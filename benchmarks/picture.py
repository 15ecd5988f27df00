"""
Draw how replay grows with the log, from the results of a run.

    python benchmarks/picture.py results.json [--to docs/growth.svg]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

DOCS = Path(__file__).parents[1] / "docs"

STYLE = {
    "svg.hashsalt": "imcm",  # the same results make the same bytes
    "svg.fonttype": "path",  # it looks the same wherever it is read
    "font.size": 13,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
}

LINES = (
    ("replay", "replay to facts and figures", "#1f5fa8", "o", "-"),
    ("fetch", "fetching the same rows with sqlite3", "#b3541e", "s", "--"),
)


def short(events: float) -> str:
    """Return a number of events as few characters: 10k, 1M."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if events >= size:
            return f"{events / size:g}{letter}"
    return f"{events:g}"


def in_seconds(seconds: float) -> str:
    """Return seconds to read, in milliseconds where they are few."""
    value, unit = (seconds, "s") if seconds >= 0.9995 else (seconds * 1e3, "ms")
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"


def draw(points: Sequence[dict[str, float]], where: str, target: Path) -> None:
    """Write the picture of *points*, each with events and the seconds of each line."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes = figure.subplots()
        events = [point["events"] for point in points]
        for name, label, colour, marker, style in LINES:
            seconds = [point[name] for point in points]
            axes.plot(events, seconds, style, marker=marker, color=colour, linewidth=2, label=label)
            above = name == "replay"
            for x, y in zip(events, seconds, strict=True):
                axes.annotate(
                    in_seconds(y),
                    (x, y),
                    # Beside the line, which rises from left to right.
                    xytext=(-4, 10) if above else (4, -20),
                    textcoords="offset points",
                    ha="right" if above else "left",
                    color=colour,
                )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(events, [short(count) for count in events])
        axes.minorticks_off()
        axes.margins(0.14, 0.16)
        axes.set_xlabel("events in the log")
        axes.set_ylabel("CPU seconds")
        axes.set_title("Replay and fetch as the log grows", loc="left", fontweight="bold", pad=24)
        axes.text(0, 1.02, where, transform=axes.transAxes, fontsize=11, color="#555555")
        axes.grid(visible=True, color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.legend(loc="upper left", frameon=False)
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})


def main() -> None:
    """Draw the picture of a file of results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0].strip())
    parser.add_argument("results", type=Path)
    parser.add_argument("--to", type=Path, default=DOCS / "growth.svg")
    asked = parser.parse_args()
    told = json.loads(asked.results.read_text(encoding="utf-8"))
    where = f"{told['cpu']}, Python {told['python']}, {told['date']}"
    draw(told["results"]["growth"]["points"], where, asked.to)


if __name__ == "__main__":
    main()
