"""
The examples: two on the real logs they were made for, where those are present, and those that run
by themselves, with several processes or over sockets.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from imcm import LedgerReader, as_source_knew, facts, time_to_restore

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("IMCM_REAL_DATA", ROOT.parent / "shared" / "data"))
SERVICENOW = DATA / "uci_servicenow_incidents" / "incident_event_log.zip"
WIKIMEDIA = DATA / "wikimedia_config_changes" / "changes.csv.gz"

real_data = pytest.mark.real_data


def run(example: str, data: Path, ledger: Path) -> str:
    if not data.exists():
        pytest.skip(f"real data is not here: {data.name}")
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / example), str(data), str(ledger)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.fixture(scope="module")
def servicenow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that one command made, with a mapping and no code."""
    if not SERVICENOW.exists():
        pytest.skip(f"real data is not here: {SERVICENOW.name}")
    ledger = tmp_path_factory.mktemp("servicenow") / "ledger.db"
    command = (
        *(sys.executable, "-m", "imcm", "import", "csv", "--ledger", str(ledger)),
        *("--incidents", str(SERVICENOW), "--source", "servicenow"),
        *("--mapping", str(ROOT / "examples" / "servicenow_log.toml")),
    )
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "141,712 of 141,712 rows imported: 24,918 incidents" in ran.stdout
    return ledger


@real_data
@pytest.mark.parametrize(
    ("reading", "figures"),
    [
        ({"source": "stated"}, [23_362, 178.1716, 22.1, 381.5483]),
        ({"reopened": "first"}, [24_905, 162.9236, 13.8833, 350.65]),
        ({"reopened": "last"}, [24_905, 165.4087, 15.15, 357.6233]),
    ],
)
def test_servicenow_figures(
    servicenow: Path, reading: dict[str, Any], figures: list[float]
) -> None:
    """The figures computed with another tool from the same file, to the last digit printed."""
    with LedgerReader(servicenow) as ledger:
        figure = time_to_restore(ledger.facts(), **reading)
    seconds = (figure.beside["mean"], figure.value, figure.beside["p90"])
    assert figures == [figure.n, *(round((each or 0) / 3600, 4) for each in seconds)]


@real_data
def test_servicenow_figures_by_priority(servicenow: Path) -> None:
    with LedgerReader(servicenow) as ledger:
        figure = time_to_restore(ledger.facts(), source="stated", group_by="severity")
    assert {
        "P1": (270, 266.084, 80.2417),
        "P2": (408, 152.4566, 38.2333),
        "P3": (22_010, 174.354, 21.55),
        "P4": (674, 283.1855, 5.0167),
    } == {
        each.group: (
            each.n,
            *(round((value or 0) / 3600, 4) for value in (each.beside["mean"], each.value)),
        )
        for each in figure.groups
    }


@real_data
def test_servicenow_log_in_the_ledger(servicenow: Path) -> None:
    """Reopenings and the time to close agree, and the exported column is not known beforehand."""
    with LedgerReader(servicenow) as ledger:
        log = list(ledger.replay(words=False))
    known = facts(log)
    reopened = [row.reopenings for row in known.incidents if row.reopenings]
    assert (len(reopened), sum(reopened), max(reopened)) == (275, 331, 8)
    closing = time_to_restore(known, end="closed", statistic="mean")
    assert (closing.n, round((closing.value or 0) / 3600, 4)) == (24_918, 315.3286)
    assert round((closing.beside["median"] or 0) / 3600, 4) == 145.8667
    changed = [r for r in known.incidents if r.severity_first is not r.severity_last]
    assert 383 >= len(changed) > 300
    before = facts(as_source_knew(log), known_at=datetime(2016, 3, 5, 11, 59, tzinfo=UTC))
    first = next(row for row in before.incidents if row.id == "servicenow/INC0000045")
    assert first.stated == {}  # its last row is of 12:00 that day
    after = facts(as_source_knew(log), known_at=datetime(2016, 3, 5, 12, 0, tzinfo=UTC))
    first = next(row for row in after.incidents if row.id == "servicenow/INC0000045")
    assert list(first.stated.values()) == [36_780_000_000]


@real_data
def test_wikimedia_figures(tmp_path: Path) -> None:
    """30,522 changes, 2,497 failed, and the figures of three single years."""
    text = run("config_changes.py", WIKIMEDIA, tmp_path / "ledger.db")
    for line in (
        "30,522 changes, 2,497 failed, 8.181 %",
        "median 1.1958, mean 260.7252, p90 122.1953, max 68,639.89",
        "with the negative ones: median 0.3013, mean 147.89",
        "without those a minute or more below 0: median 0.3025, mean 147.93",
        "2025: 1,910 changes, 95 failed, 4.9738 %, median 0.7722 h",
        "2024: 1,617 changes, 75 failed, 4.6382 %, median 0.7728 h",
        "2018: 3,278 changes, 674 failed, 20.5613 %",
    ):
        assert line in text


@pytest.mark.parametrize("example", ["config_changes.py"])
def test_an_example_without_a_path_says_how_to_call_it(example: str) -> None:
    """Wrong usage is one line."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / example)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("usage: ")


def shown(example: str) -> str:
    """Return what an example shows that needs no arguments."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / example)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_incident_bot() -> None:
    """Two processes, one ledger: one number for one alert, retries record nothing, boards agree."""
    text = shown("incident_bot.py")
    ids = text.splitlines()[1].split()
    assert ids[0] == ids[1]
    assert sorted(ids[1:]) == ["INC-1", "INC-2", "INC-3"]
    number, _, slow, empty = ids
    for line in (
        f"{number}/close +409 .*'guard': 'reviewed'",
        f"{number}/close +200 .*IncidentClosed",
        f"{empty}/merge +200 .*'IncidentMerged', 'IncidentAbsorbed'",
        f"{slow}/triage +400 .*severity: 'P9' is not allowed",
        f"{slow}/mitigate +400 .*give a time zone",
        "INC-33/mitigate +404 .*near: INC-3",
        rf"/incidents\?service=checkout +{slow} detected Basket is slow \['{empty}'\]",
        f"/actions/overdue +{number} An alert on the pool ben ",
        "/approvals.by=lena +approval False 'lena' asked for",
        "/approvals.by=mia +approval True",
        "/live +checkout 5.4 CHG-1",
        f"/search.q=pool +incident {number} ",
        f"{number} has 13 events, is closed, led by ana",
        "time to restore: .* seconds, of 1",
    ):
        assert re.search(f"^    {line}", text, re.MULTILINE), line
    announced = text.split("Announced")[1]
    for line in (f"{number} detected by prometheus: Payments fail", f"{number} IncidentClosed"):
        assert announced.count(line) == 1


def test_deploy_pipeline() -> None:
    """One goes live, one is rolled back, one is sent back, one is ruled on afterwards."""
    text = shown("deploy_pipeline.py")
    for line in (
        "CHG-1 at 100 %: 1 errors in 1000 requests",
        "CHG-1 is live",
        "CHG-2 at 25 %: 40 errors in 1000 requests",
        "CHG-2 was rolled back",
        "CHG-3 was sent back: not on a Friday",
        "CHG-4 started without a vote, and was approved afterwards",
        "lead time for changes 3 h 30 min, median of 4",
        "change failure rate 33.33 % [6.149 %, 79.23 %], n = 3",
        "live: checkout 5.4.1 by CHG-4, after CHG-1",
    ):
        assert f"  {line}\n" in text


def test_webhook_receiver() -> None:
    """What is theirs is recorded once; what is not is refused; what nobody can read is kept."""
    pytest.importorskip("uvicorn", reason="the receiver is an extra")
    text = shown("webhook_receiver.py")
    for line in (
        "an alert that fires: 200 recorded",
        "the same again: 200 known",
        "what nobody can read: 200 dead_letter",
        "signed with the secret before: 200 known",
        "signed by somebody else: 401 refused",
        "1 incidents, 1 changes",
        'imcm_receiver_deliveries_total{source="github",result="refused"} 1',
        "alertmanager/c2f8a1@20260201T091000Z: resolved, checkout",
        "github/42: implemented, checkout",
        "time to restore 45 min, median of 1",
        "0 are left",
    ):
        assert f"  {line}\n" in text
