"""
What figures over the Parquet tables of several ledgers cost, by engine.

    python benchmarks/cluster.py --ledgers 50 --rows 100000 --engine spark

Makes the tables of one ledger with so many incidents and changes by the core, writes them, and
writes those of the other ledgers as the same ones under other ids, a little later; every tenth link
names a change of the next ledger. Then it computes all figures once as a whole and once by service
and month, and prints what it took as JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars
from metrics import held

from imcm import frames

TABLES = ("deployments", "lead_times", "incidents", "links")
IDS = {"deployments": ("id",), "lead_times": ("id", "deployment"), "incidents": ("id",)}
SECONDS = {
    "deployments": "own_recovery_seconds",
    "lead_times": "lead_time_seconds",
    "incidents": "restore_seconds",
}


def timed(
    what: Callable[[], Any], clock: Callable[[], float] = time.perf_counter
) -> tuple[float, Any]:
    began = clock()
    result = what()
    return round(clock() - began, 2), result


def write(folder: Path, ledgers: int, rows: int) -> dict[str, Any]:
    """Write the tables of all ledgers, and return what those of the first one took."""
    known = held(rows)
    for name in TABLES:
        (folder / name).mkdir()

    def first() -> dict[str, polars.DataFrame]:
        made: dict[str, polars.DataFrame] = {}
        for name in TABLES:
            table = getattr(frames, name)(known, time_zone="Europe/London", labels=())
            if name != "links":
                table = table.by_service()
            made[name] = table.to_frame("polars")
            made[name].write_parquet(folder / name / "0.parquet")
        return made

    seconds, made = timed(first, time.process_time)
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    for ledger in range(ledgers):
        for name, frame in made.items():
            moved(frame, name, ledger, ledgers).write_parquet(folder / name / f"{ledger}.parquet")
    return {
        "deployments of a ledger": len(made["deployments"]),
        "links of a ledger": len(made["links"]),
        "CPU seconds for its tables": seconds,
        "bytes for a deployment, all tables": round(size / len(made["deployments"])),
    }


def moved(frame: polars.DataFrame, name: str, ledger: int, ledgers: int) -> polars.DataFrame:
    """Return a table under the ids of another ledger, with other durations."""
    if name != "links":
        ids = [
            polars.format("{}/{}", polars.lit(ledger), column).alias(column)
            for column in (*IDS[name], "service")
        ]
        return frame.with_columns(*ids, polars.col(SECONDS[name]) + ledger / 1000)
    row = polars.int_range(polars.len())
    owner = polars.when(row % 10 == 0).then((ledger + 1) % ledgers).otherwise(ledger)
    return frame.with_columns(polars.format("{}/{}", owner, polars.col("change")).alias("change"))


def reader(engine: str, folder: Path, after: ExitStack) -> Callable[[str], Any]:
    """Return what gives a table of all ledgers to an engine; what it leaves is done afterwards."""
    if engine == "polars":
        polars.Config.set_engine_affinity("streaming")
        return lambda name: polars.scan_parquet(folder / name / "*.parquet")
    if engine == "duckdb":
        import duckdb

        return lambda name: duckdb.read_parquet(str(folder / name / "*.parquet"))
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local-cluster[2,1,3072]").appName("imcm")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.executor.memory": "2g",
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "8",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    after.callback(session.stop)
    session.sparkContext.setLogLevel("ERROR")
    return lambda name: session.read.parquet(str(folder / name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledgers", type=int, default=10)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--engine", choices=("polars", "duckdb", "spark"), default="spark")
    given = parser.parse_args()
    with TemporaryDirectory() as name, ExitStack() as after:
        folder = Path(name)
        told = write(folder, given.ledgers, given.rows)
        read = reader(given.engine, folder, after)
        tables = {name: read(name) for name in TABLES}
        whole, row = timed(lambda: frames.figures(**tables).rows()[0])
        parts, table = timed(lambda: frames.figures(**tables, by=("service", "month")))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        json.dumps(
            {
                "engine": given.engine,
                "ledgers": given.ledgers,
                **told,
                "deployments": row["deployments"],
                "seconds for the whole": whole,
                "seconds by service and month": parts,
                "groups": len(table),
                "megabytes of the Python process": peak,
                "change failure rate": row["change_failure_rate"],
            }
        )
    )


if __name__ == "__main__":
    main()
