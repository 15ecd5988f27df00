"""
Write docs/performance.md from the results of a run, so that it can't say anything else.

    python benchmarks/page.py results.json [--to docs/performance.md]

What the results hold is written anew. The page has two parts: the figures with goals, and the
section *Whole commands*. A part that the results don't hold stays as the page has it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from run import WHOLE, amount, verdict

DOCS = Path(__file__).parents[1] / "docs"

NOTES: dict[str, str] = {
    "replay_vs_fetch": (
        "Fetching hands over bytes and looks at none of them. The parts of a replay stand below, "
        "under *in seconds*, and beside them two floors. The second fetches, decodes each event, "
        "looks at its version and its times, and makes nothing of it; that alone takes longer than "
        "the goal. To come below it, events would have to be looked at without one Python object "
        "for each. architecture.md tells what was tried."
    ),
    "replay_vs_stock": (
        "Both decode the same history; the replay also makes a row of each incident and change and "
        "computes all figures, which stock eventsourcing is not asked to do here. The second floor "
        "leaves a microsecond or two of the goal for all of that."
    ),
    "record_vs_insert": (
        "The bare insert decides nothing. A step loads its stream, decides, encodes and appends. "
        "How much that weighs depends on the disk: the faster a commit, the larger the ratio."
    ),
    "record_vs_stock": (
        "Most of either is the same commit on the same disk, and the slower it is, the nearer the "
        "ratio comes to 1."
    ),
    "import_vs_insert": (
        "The rows are there already when the bare insert begins. An import looks what stands of "
        "each stream, takes every event through the domain, checks it, and encodes it, which is "
        "most of what is left."
    ),
    "follow_catch_up": (
        "Catching up reads the new events and the rows they belong to, and stores these again."
    ),
    "cold_open": (
        "A new process reads the columns and the bytes of all kept rows, computes the report from "
        "the columns, and unpacks the rows about which something is unusual."
    ),
    "metrics_100k": (
        "The bare numbers know no population. Here each incident and each change is counted or "
        "left out with its reason, and each figure has its interval. Most of it is sorting "
        "deployments and durations, and looking at each of them a few times."
    ),
    "report_by_month": (
        "Each of its figures has a population, an interval and what stands beside it, as the whole "
        "has. The rows are sorted into groups and months once; the rest is a few sums for each."
    ),
    "attribution_100k": (
        "Deployments are sorted once for each service, and each incident costs a binary search."
    ),
    "conflicts_100k": (
        "Sorting compares times and no more. Here services are named by numbers, changes come and "
        "go in the order of time, and each conflict becomes an object that can say why it is one."
    ),
    "what_if_100k": (
        "Each change is folded to what it was when it began, and each guard of a start is asked of "
        "it with the votes and plans it had then; for what is refused, also when it could have "
        "begun."
    ),
    "frozen_100k": (
        "Each window is looked up in each freeze by its time. Of a weekly one the weeks around it "
        "are told, each of them once."
    ),
    "next_free_100k": (
        "Each answer checks its arguments anew and walks the stretches of all freezes up to it."
    ),
    "risk_100k": (
        "Each row is looked at once for its levels, and each different combination of levels a few "
        "times for the estimate."
    ),
    "git_100k": (
        "git reads every commit twice, once for ids and dates and once for messages. The rest is "
        "one number for each commit, and an object for each that is told."
    ),
    "receiver": (
        "Half of a delivery is HTTP, in Python, on the loop of the server; the other half reads "
        "the payload and decides what of it is new, in the thread that records. Both are Python, "
        "so one process does one of them at a time."
    ),
    "memory": "It is what the rows of facts take, each a Python object with its fields.",
    "import_time": (
        "All incident and change events are classes made by attrs when they are imported. It is "
        "paid once for each process."
    ),
    "growth": "Each event takes longer where more rows are held at once.",
}
"""What is said of a goal that is not met."""


def table(results: dict[str, dict[str, Any]], missing: dict[str, str]) -> Iterator[str]:
    """Yield the lines of the table of results."""
    yield "| key | what | against | goal | measured | |"
    yield "|---|---|---|---|---|---|"
    for key, result in results.items():
        measured = amount(result["measured"], result["unit"])
        if result["unit"] in ("s", "MB"):
            measured += f" ({amount(result['ratio'], 'times')})"
        cells = (result["what"], result["baseline"], result["goal"], measured)
        yield f"| `{key}` | {' | '.join(cells)} | {verdict(result['met'])} |"
    for key, why in missing.items():
        yield f"| `{key}` | not measured: {why} | | | | |"


def seconds(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield, for each result, its seconds and what was measured beside it."""
    yield "| key | seconds | its baseline's seconds | beside |"
    yield "|---|---|---|---|"
    for key, result in results.items():
        beside = "; ".join(f"{name}: {number(value)}" for name, value in result["beside"].items())
        pair = f"{result['seconds']:.3g} | {result['baseline_seconds']:.3g}"
        yield f"| `{key}` | {pair} | {beside} |"


def number(value: object) -> str:
    """Return a value to read; whole numbers with their thousands apart."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def machine(told: dict[str, Any]) -> str:
    """Return what was measured on, and when."""
    packages = ", ".join(f"{name} {version}" for name, version in told["packages"].items())
    return (
        f"Machine: {told['cpu']}, {told['cores']} cores, {told['machine']}; Python "
        f"{told['python']}, SQLite {told['sqlite']}, {packages}; {told['date']}."
    )


def goals(told: dict[str, Any]) -> str:
    """Return the part of the page whose figures have goals."""
    results: dict[str, dict[str, Any]] = told["results"]
    lines = [
        "# Performance",
        "",
        "Every figure is a ratio of two things measured in turn, in one run on one machine: the "
        "library, and a named baseline. Ratios travel from machine to machine far better than "
        "seconds, which stand below and hold for this one only. Written by `benchmarks/page.py` "
        "from the results of",
        "",
        "```sh",
        "python benchmarks/run.py --json results.json",
        "python benchmarks/picture.py results.json",
        "python benchmarks/page.py results.json",
        "```",
        "",
        f"on a log of {told['events']:,} events.",
        "",
        machine(told),
        "",
        "## Against the goals",
        "",
        *table(results, told["missing"]),
        "",
        "A time or a size in brackets has its ratio to the baseline beside it.",
        "",
    ]
    if again := told.get("again"):
        names = ", ".join(f"`{key}`" for key in again)
        lines += [f"Measured again after a later change, each with its own baseline: {names}.", ""]
    open_ = [key for key, result in results.items() if result["met"] is False]
    if open_:
        lines += ["## What is not met, and why", ""]
        lines += [f"- `{key}`: {NOTES[key]}" for key in open_]
        lines.append("")
    lines += ["## In seconds", "", *seconds(results), ""]
    lines += [f"- {what}: {number(value)}" for what, value in told["beside"].items()]
    if "growth" in results:
        lines += [
            "",
            "## As the log grows",
            "",
            "![Seconds of a replay and of a bare fetch, for logs of growing length](growth.svg)",
        ]
    return "\n".join(lines) + "\n"


TITLE = "## Whole commands\n"


def whole(told: dict[str, Any]) -> str:
    """Return the part of the page that times command lines."""
    found: dict[str, Any] = told[WHOLE]
    log, start = found["log"], found["start"]
    lines = [
        TITLE,
        "Each is a command line in a new process, run several times by "
        "`python benchmarks/run.py --only whole_commands --json results.json`, on a log of "
        f"{log['events']:,} events in the order of time, of whose {log['streams']:,} incidents "
        f"and changes {log['touched again']:.1%} were touched again two to eight months after "
        "they were over. Seconds are wall time beyond the start of a process (`python -c pass`, "
        f"{start:.3f} s): the median, and the least and the most of the runs. Memory is the most "
        "that any of the runs held. The last column is the ratio to one baseline that was run "
        f"before each command: {found['baseline']}; {found['baseline_seconds']:.2f} s.",
        "",
        machine(told)[:-1]
        + "; load average at the begin {}, at the end {}.".format(*found["load"]),
        "",
        "| command | seconds | least to most | runs | MB | times the bare fetch |",
        "|---|---|---|---|---|---|",
    ]
    group = ""
    for one in found["commands"]:
        if one["group"] != group:
            group = one["group"]
            lines.append(f"| **{group}** | | | | | |")
        command, comma, remark = one["command"].partition(",")
        cells = (
            f"`{command}`{comma}{remark}",
            short(one["seconds"]),
            f"{short(one['least'])} to {short(one['most'])}",
            one["runs"],
            f"{one['megabytes']:,.0f}",
            short(one["ratio"]),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += [
        "",
        "Beside them, each against a baseline of its own, run in turn with it:",
        "",
        "| what | seconds | least to most | its baseline | baseline's seconds | times | beside |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found["beside"]:
        cells = (
            one["what"],
            short(one["seconds"]),
            f"{short(one['least'])} to {short(one['most'])}",
            one["baseline"],
            f"{one['baseline_seconds']:.3g}",
            short(one["ratio"]),
            "; ".join(f"{name}: {number(value)}" for name, value in one["beside"].items()),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def short(value: float) -> str:
    """Return seconds or a ratio in as many digits as they deserve."""
    digits = 2 if abs(value) < 10 else 1
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # + 0.0: never -0.00


def page(told: dict[str, Any], before: str) -> str:
    """Return the whole page: what was measured anew, and what stays of the page *before*."""
    first, title, second = before.partition(TITLE)
    if told["results"]:
        first = goals(told)
    second = whole(told) if WHOLE in told else title + second
    return "\n\n".join(part for each in (first, second) if (part := each.strip("\n"))) + "\n"


def main() -> None:
    """Write the page of a file of results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0].strip())
    parser.add_argument("results", type=Path)
    parser.add_argument("--to", type=Path, default=DOCS / "performance.md")
    asked = parser.parse_args()
    told = json.loads(asked.results.read_text(encoding="utf-8"))
    before = asked.to.read_text(encoding="utf-8") if asked.to.exists() else ""
    asked.to.write_text(page(told, before), encoding="utf-8")


if __name__ == "__main__":
    main()
