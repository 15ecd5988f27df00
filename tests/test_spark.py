"""
A real cluster of Spark, in processes of its own, over Parquet facts of several ledgers.

Its step in the gate installs Java and the extra `spark`; elsewhere it is left out.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import warnings
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

import pytest

from figures_by_engines import (
    CORE,
    COUNTS,
    CUT,
    LEDGERS,
    TABLES,
    assert_agree,
    joined,
    linked,
    same,
    whole,
)
from imcm import facts, frames
from imcm.domain.change_events import (
    ChangeCompleted,
    ChangeFailed,
    ChangeRecovered,
    ChangeRolledBack,
    CommitsRecorded,
)
from imcm.domain.vocabulary import ChangeType, Commit, Verdict
from imcm.errors import InvalidValue
from imcm.frames.days import Days
from projections.log import at, change, detected, incident, log, planned, resolved

pytest.importorskip("pyspark", reason="the extra spark is not installed")
pytestmark = [
    pytest.mark.spark,
    # Of pyspark's own: which pandas it likes, sockets to a JVM that is gone.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
WORKERS = 2
CLUSTER = f"local-cluster[{WORKERS},1,1024]"
DRIVER = "spark.driver.extraJavaOptions"
QUICK = "-XX:TieredStopAtLevel=1"
"""Of a JVM that lives for a minute: what is compiled well is seldom run twice."""


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """
    Give a session on a cluster: a master and two workers, each with an executor in its own process.

    Its time zone is none of those that the tests ask for, and its addresses are this machine's own.
    """
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # It begins when both executors are there.
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
        DRIVER: QUICK,
        "spark.executor.extraJavaOptions": QUICK,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "700m",
        "spark.executor.memory": "700m",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.session.timeZone": "America/Los_Angeles",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        # Its workers keep what executors say in `work` of the installed package: it can't be told.
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        builder = SparkSession.builder.master(CLUSTER).appName("imcm")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()


# --- the ledgers ----------------------------------------------------------------------------------

CHANGES, INCIDENTS = 150, 40


def of_ledger(name, seed):
    """Return the facts of a ledger whose incidents and repairs name changes of all ledgers."""
    drawn = random.Random(seed)
    commits = count()

    def hour(most=24 * 120):
        return drawn.uniform(0, most)

    def named(ledger):
        return f"{ledger}CHG-{drawn.randrange(CHANGES)}"

    def services():
        both = (f"{name}pay", f"{name}search")
        return drawn.choice([both[:1], both[1:], both])

    streams = []
    for number in range(CHANGES):
        when = hour()
        repairs = named(drawn.choice(LEDGERS)) if drawn.random() < 0.05 else None
        kind = drawn.choice([*[ChangeType.NORMAL] * 9, ChangeType.EMERGENCY])
        events = [planned(when - 1, services=services(), type=kind, repairs=repairs)]
        load = [
            Commit(id=f"{name}c{next(commits)}", committed_at=at(when - 0.5 - hour(200)))
            for _ in range(drawn.randrange(3))
        ]
        if load:
            events.append(CommitsRecorded(at=at(when - 0.5), by="ci", commits=tuple(load)))
        fate = drawn.random()
        if fate < 0.08:
            events.append(ChangeFailed(at=at(when), by="ci", reached_production=True))
            events.append(ChangeRecovered(at=at(when + hour(9)), by="ci"))
        else:
            events.append(ChangeCompleted(at=at(when), by="ci"))
        if fate > 0.92:
            back = at(when + hour(9))
            events.append(ChangeRolledBack(at=back, by="ci", reached_production=True))
        streams.append(change(f"{name}CHG-{number}", *events))
    for number in range(INCIDENTS):
        began = hour()
        steps = [detected(began, services=services())]
        steps += [
            linked(named(drawn.choice(LEDGERS)), verdict, began + 1)
            for verdict in drawn.sample([Verdict.CAUSED, Verdict.CAUSED, Verdict.FIXED], 2)
        ]
        if drawn.random() < 0.9:
            steps.append(resolved(began + 1 + hour(90)))
        streams.append(incident(f"{name}INC-{number}", *steps))
    return facts(log(*streams), as_of=CUT)


@pytest.fixture(scope="module")
def parts():
    return [of_ledger(name, seed) for seed, name in enumerate(LEDGERS)]


@pytest.fixture(scope="module")
def parquet(parts, tmp_path_factory):
    """Return a folder with the tables of each ledger: `deployments/pay.parquet` and so on."""
    folder = tmp_path_factory.mktemp("facts")
    for ledger, known in zip(LEDGERS, parts, strict=True):
        for name in TABLES:
            table = getattr(frames, name)(known, time_zone="Europe/London", labels=("team",))
            for kind in (table, table.by_service()) if name != "links" else (table,):
                wide = name if kind is table else f"{name}_by_service"
                (folder / wide).mkdir(exist_ok=True)
                path = folder / wide / f"{ledger.strip('/')}.parquet"
                kind.to_frame("polars").write_parquet(path)
    return folder


@pytest.fixture(scope="module")
def frames_of(spark, parquet):
    def read(by_service=False):
        end = "_by_service" if by_service else ""
        return {
            name: spark.read.parquet(str(Path(parquet) / (name + end * (name != "links"))))
            for name in TABLES
        }

    return read


# --- what is computed -----------------------------------------------------------------------------


def test_it_is_a_cluster(spark):
    """The driver and two executors, and none of them computes in the driver's process."""
    assert CLUSTER == spark.sparkContext.master
    spark.range(100).repartition(WORKERS).count()
    assert WORKERS + 1 == spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size()


def test_the_whole_of_several_ledgers_is_that_of_the_core(frames_of, parts):
    row = frames.figures(**frames_of()).rows()[0]
    assert_agree(row, whole(joined(parts), time_zone="Europe/London"))


def test_links_of_other_ledgers_make_a_difference(frames_of, parts):
    """Without them each ledger knows its own: fewer failures, and other recoveries."""
    each = frames_of()
    links = each.pop("links")
    alone = frames.figures(each["deployments"]).rows()[0]

    together = {name: figure.value for name, figure in whole(joined(parts)).items()}
    assert alone["change_failure_rate"] < together["change_failure_rate"]
    assert alone["rework_rate"] < together["rework_rate"]
    assert alone["median_recovery_seconds"] != together["median_recovery_seconds"]
    assert 0 < links.where("not known and fails").count()


def test_figures_of_services_by_month_are_those_of_the_core(frames_of, parts):
    rows = {
        (row["service"], row["month"]): row
        for row in frames.figures(**frames_of(by_service=True), by=["service", "month"]).rows()
    }
    known = joined(parts)
    compared = 0
    for name, compute in (CORE | COUNTS).items():
        if name == "deployments_per_day":
            continue  # of the whole it is compared above
        told = compute(known, group_by="service", bucket_by="month", time_zone="Europe/London")
        for group in told.groups:
            for part in group.buckets:
                month = Days("Europe/London").period_columns([part.window[0]])["month"][0]
                row = rows.get((group.group, month))
                wanted = part.n if name in COUNTS else part.value
                assert same(wanted, row[name]) if row is not None else not wanted, (name, group)
                compared += row is not None
    assert compared > 150


def test_days_are_a_window_of_the_core(frames_of, parts):
    days = date(2026, 4, 1), date(2026, 4, 30)
    window = "2026-04"
    row = frames.figures(**frames_of(), days=days).rows()[0]
    assert_agree(row, whole(joined(parts), window=window, time_zone="Europe/London"))


def test_a_table_comes_back_from_the_cluster_as_it_went(frames_of, parts):
    """Times, flags, what is missing: the rows of the files are the rows of the tables."""
    wanted = sorted(
        (row for known in parts for row in frames.links(known).rows()),
        key=lambda row: (row["link"], row["change"], row["incident"] or row["repair"]),
    )
    told = frames_of()["links"].toArrow().to_pylist()
    told.sort(key=lambda row: (row["link"], row["change"], row["incident"] or row["repair"]))
    for row in told:
        if row["resolved_at"] is not None:
            row["resolved_at"] = row["resolved_at"].astimezone(UTC)
    assert wanted == told
    assert {True, False} == {row["known"] for row in told}
    assert any(isinstance(row["resolved_at"], datetime) for row in told)


def test_figures_of_nothing_are_undefined(frames_of):
    none = {name: frame.where("1 = 0") for name, frame in frames_of().items()}
    row = frames.figures(**none).rows()[0]
    assert {"deployments": 0, "lead_times": 0, "restored": 0} == {
        name: row[name] for name in COUNTS
    }
    assert {None} == {row[name] for name in CORE}
    assert [] == frames.figures(**none, by="month").rows()


def test_the_page_on_many_ledgers_runs(tmp_path):
    """Each ledger writes its tables, and a session of its own computes what the page says."""
    page = Path(__file__).parents[1] / "docs" / "scaling.md"
    text = page.read_text(encoding="utf-8").split("## Figures on a cluster")[1]
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert [False, True] == ["pyspark" in block for block in blocks]
    settings = "spark.ui.enabled=false", "spark.sql.shuffle.partitions=2", f"{DRIVER}={QUICK}"
    words = ["--master", "local[1]", *(word for one in settings for word in ("--conf", one))]
    around = os.environ | {
        "PYSPARK_SUBMIT_ARGS": " ".join([*words, "pyspark-shell"]),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    for block in blocks:
        ran = subprocess.run(
            [sys.executable, "-c", block],
            cwd=tmp_path, env=around, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert 0 == ran.returncode, ran.stderr
        assert re.findall(r"# ([\d.]+)(?:$|:)", block, re.MULTILINE) == ran.stdout.split()


def test_a_spark_without_an_exact_median_is_refused(frames_of, monkeypatch):
    import pyspark

    monkeypatch.setattr(pyspark, "__version__", "3.3.4")
    with pytest.raises(InvalidValue, match=r"'pyspark 3.3.4' is not allowed; 3.4 or newer"):
        frames.figures(frames_of()["deployments"])


def test_links_must_be_of_the_same_engine(frames_of, parts):
    with pytest.raises(InvalidValue, match="links"):
        frames.figures(frames_of()["deployments"], links=frames.links(parts[0]).to_frame("polars"))
