"""
The command line as a maker of documents: forms, widths, colours, periods, comparisons.
"""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

from commands import run_here as imcm
from imcm import Ledger, Risk, Verdict, change, incident

pytest.importorskip("typer", reason="the command line is an extra")

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory) -> Path:
    """Give a ledger of half a year: two services, a deployment every other day, some that fail."""
    path = tmp_path_factory.mktemp("documents") / "ledger.db"
    now = START

    def clock() -> datetime:
        return now

    with Ledger(path, clock=clock) as book:
        for number in range(80):
            now = START + timedelta(days=2 * number + 1)
            at = now - timedelta(hours=10)
            service = "payments-and-invoices" if number % 3 else "pay"
            id = f"CHG-{number}"
            book.record(id, change.plan, by="lena", at=at, title="Basket", services=[service],
                        risk=Risk.LOW, rollback_plan="back", labels={"team": "core"})  # fmt: skip
            book.record(id, change.submit, by="lena", at=at)
            book.record(id, change.approve, by="mia", at=at)
            book.record(id, change.start, by="bot", at=at)
            book.record(id, change.complete, by="bot", at=at)
            if number % 4:
                continue
            name = f"INC-{number}"
            later = at + timedelta(minutes=10)
            book.record(name, incident.detect, by="prom", at=later, title="Down",
                        services=[service])  # fmt: skip
            book.record(name, incident.link_change, by="ana", at=later, change=id,
                        verdict=Verdict.CAUSED)  # fmt: skip
            end = later + timedelta(minutes=13 * (1 + number % 7))
            book.record(name, incident.resolve, by="ana", at=end)
    anchors = path.with_name("anchors.txt")
    assert imcm("audit", "checkpoint", "--ledger", path, "--anchors", anchors).returncode == 0
    return path


# --- tables in the terminal -----------------------------------------------------------------------

REPORTS = (
    (),
    ("--by", "service"),
    ("--by", "label:team", "--bucket", "month"),
    ("--bucket", "week", "--window", "2026-Q1"),
    ("--window", "2026-Q2", "--compare", "previous"),
)


@pytest.mark.parametrize("words", REPORTS, ids=str)
def test_a_report_fits_in_80_columns(ledger, words):
    """No line is longer, no number is broken, and units stand in the heads."""
    text = imcm("report", "--ledger", ledger, *words, FORCE_COLOR="1", COLUMNS="80").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines[3].split() == ["figure", "value", "unit", "from", "to", "n", "band", "of", "2024"]
    assert lines[4].split() == ["95", "%", "95", "%"]
    first = [line.split()[0] for line in lines[5:13]]
    assert first == [
        "deployments",
        "lead",
        "change",
        "deployment",
        "rework",
        "time",
        "time",
        "time",
    ]


def test_one_line_for_each_group(ledger):
    """A group has all its figures in one line, under heads with units."""
    lines = imcm("report", "--ledger", ledger, "--by", "service").stdout.splitlines()
    start = lines.index("by group")
    assert lines[start + 1].split() == [
        "group", "deploys", "lead", "time", "failed", "recovery", "rework", "restore",
    ]  # fmt: skip
    assert lines[start + 2].split() == ["/day", "s", "%", "min", "%", "min"]
    rows = [line.split() for line in lines[start + 3 : start + 5]]
    assert [row[0] for row in rows] == ["pay", "payments-and-invoices"]
    values = json.loads(imcm("report", "--ledger", ledger, "--by", "service", "--json").stdout)
    rate = next(f for f in values["figures"] if f["name"] == "change failure rate")
    shown = {row[0]: float(row[2]) for row in rows}
    for group in rate["groups"]:
        assert shown[group["group"]] == pytest.approx(100 * group["value"], rel=0.005)


def test_periods_have_their_names(ledger):
    """A month is 2026-02, a week 2026-W06, a quarter 2026-Q1, also where the window cuts it."""
    for bucket, names in (
        ("month", ["2026-01", "2026-02"]),
        ("quarter", ["2026-Q1"]),
        ("year", ["2026"]),
        ("week", ["2026-W03", "2026-W04", "2026-W05"]),
        ("day", ["2026-01-12", "2026-01-13"]),
        ("14", ["2026-01-12", "2026-01-26"]),
    ):
        words = ("--bucket", bucket, "--from", "2026-01-12", "--to", "2026-02-09")
        text = imcm("report", "--ledger", ledger, *words).stdout
        table = text.partition("by period")[2]
        told = [line.split()[0] for line in table.splitlines() if line.startswith("2026")]
        assert told[: len(names)] == names, bucket


def test_wide_shows_all_of_it(ledger):
    """Intervals, numbers of values and distributions of each are there, in one line each."""
    lines = imcm("report", "--ledger", ledger, "--by", "service", "--wide").stdout.splitlines()
    heads = next(line for line in lines if line.startswith("group"))
    assert "restore low" in heads
    assert "restore n" in heads
    assert "acknowl." in heads
    assert "distribution" in next(line for line in lines if line.startswith("figure "))
    assert max(map(len, lines)) > 200


def test_a_terminal_shows_colours_and_words(ledger):
    """A band has its colour and its word; NO_COLOR leaves the word; a pipe has no colour."""
    on_screen = {"FORCE_COLOR": "1", "COLUMNS": "80"}
    coloured = imcm("report", "--ledger", ledger, **on_screen, NO_COLOR="").stdout
    assert re.search(r"\x1b\[3[1-6]m(?:elite|high|medium|low)", coloured)
    without = imcm("report", "--ledger", ledger, **on_screen).stdout
    assert without == re.sub(r"\x1b\[\d+m", "", coloured)
    assert re.search(r"(?:elite|high|medium|low), \w+ to \w+", without)
    assert "\x1b" not in imcm("report", "--ledger", ledger, NO_COLOR="").stdout


def test_a_pipe_has_each_row_in_one_line(ledger):
    """For grep and diff: a timeline of a review is a line for each thing that happened."""
    lines = imcm("review", "INC-4", "--ledger", ledger).stdout.splitlines()
    assert sum(line.startswith("2026-01-") for line in lines) == 8
    assert max(map(len, lines)) > 80


def test_undefined_figures_say_why(ledger):
    """An empty cell of a value has its reason below the table."""
    text = imcm("report", "--ledger", ledger, "--window", "2025-01").stdout
    assert re.search(r"^- change failure rate is undefined: ", text, re.MULTILINE)


# --- periods --------------------------------------------------------------------------------------


def test_the_last_quarter(ledger):
    """It is relative to the end of the log, and short for the words."""
    short = imcm("report", "--ledger", ledger, "--last-quarter").stdout
    assert short == imcm("report", "--ledger", ledger, "--window", "last quarter").stdout
    assert short.startswith("DORA metrics, 2026-01-01 to 2026-04-01 (UTC)")
    assert imcm("report", "--ledger", ledger, "--last-quarter", "--window", "2026").returncode == 2


@pytest.mark.parametrize(
    ("window", "tz", "before"),
    [
        ("2026-Q2", "UTC", "2026-Q1"),
        ("2026-03", "Europe/Berlin", "2026-02"),
        ("2026-W10", "Europe/Berlin", "2026-W09"),
        ("2026-W14", "Europe/Berlin", "2026-W13"),  # clocks change in between
        ("2026-03-10/2026-03-13", "UTC", "2026-03-07/2026-03-10"),
        ("2026", "UTC", "2025"),
    ],
)
def test_the_period_before(ledger, window, tz, before):
    """The period before a month is a month, before a week a week, also over a change of clocks."""
    words = ("report", "--ledger", ledger, "--window", window, "--tz", tz)
    previous = imcm(*words, "--compare", "previous", "--json")
    named = imcm(*words, "--compare", before, "--json") if "/" not in before else None
    assert previous.returncode == 0
    if named is not None:
        assert previous.stdout == named.stdout
    else:
        compared = json.loads(previous.stdout)["compared"]
        starts = {c["a"]["window"][0][:10] for c in compared}
        assert starts <= {"2026-03-07"}


def test_what_can_be_compared_is_a_table(ledger):
    """Before, now, the difference with its interval and unit, and the verdict in words."""
    text = imcm("report", "--ledger", ledger, "--window", "2026-Q2", "--compare", "previous").stdout
    lines = text.splitlines()
    start = lines.index("change failure rate, compared")
    assert lines[start + 1].split()[:3] == ["before", "n", "now"]
    assert lines[start + 2].split() == ["%", "%", "points", "95", "%", "95", "%"]
    assert "before: 2026-01-01 to 2026-04-01; now: 2026-04-01 to 2026-07-01" in text
    none = imcm("report", "--ledger", ledger, "--window", "2026-01", "--compare", "previous").stdout
    assert "time to restore is not compared: it is undefined in the earlier" in none


def test_a_period_without_ends_has_none_before(ledger):
    ran = imcm("report", "--ledger", ledger, "--compare", "previous")
    assert ran.returncode == 2
    assert "needs a period with both its ends" in ran.stderr
    first = ("--from", "0001-01-02", "--to", "0001-03-01")
    assert imcm("report", "--ledger", ledger, *first, "--compare", "previous").returncode == 1


# --- forms ----------------------------------------------------------------------------------------

COMMANDS = {
    "report": ("report", "--by", "service"),
    "report side by side": ("report", "--side-by-side", "restore"),
    "timeline": ("timeline", "INC-4"),
    "timeline of a service": ("timeline", "--service", "pay"),
    "duties": ("duties",),
    "review": ("review", "INC-4"),
    "trail": ("audit", "trail", "CHG-4"),
    "diff": ("audit", "diff", "--known-at", "2026-03-31", "--details"),
    "anomalies": ("audit", "anomalies"),
    "verify": ("audit", "verify", "--anchors", "anchors.txt"),
    "audit report": ("audit", "report", "--window", "2026-02", "--anchors", "anchors.txt"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_form_of_every_command(ledger, name, monkeypatch):
    """Every form of each can be read back; --json is short for --format json."""
    monkeypatch.chdir(ledger.parent)
    words = (*COMMANDS[name], "--ledger", ledger)
    assert imcm(*words).returncode == 0
    markdown = imcm(*words, "--format", "md")
    assert markdown.stdout.startswith("# ")
    assert "\n|---" in markdown.stdout or name == "anomalies"
    html = imcm(*words, "--format", "html").stdout
    assert html.startswith("<!DOCTYPE html>")
    assert "<table>" in html or name == "anomalies"
    assert json.loads(imcm(*words, "--format", "json").stdout) is not None
    assert imcm(*words, "--format", "json").stdout == imcm(*words, "--json").stdout
    if name == "report side by side":
        assert imcm(*words, "--format", "csv").returncode == 2
    else:
        rows = list(csv.reader(StringIO(imcm(*words, "--format", "csv").stdout)))
        assert len(rows) > 1 or name == "anomalies"
        assert len({len(row) for row in rows if row}) == 1
    ran = imcm(*words, "--format", "xlsx", encoding="latin-1")
    book = CalamineWorkbook.from_filelike(BytesIO(ran.stdout.encode("latin-1")))
    assert book.sheet_names
    assert imcm(*words, "--json", "--format", "md").returncode == 2


def test_what_does_not_go_together(ledger):
    """A workbook on a screen, explanations in another form than text, a table of duties as HTML."""
    on_screen = imcm("report", "--ledger", ledger, "--format", "xlsx", FORCE_COLOR="1")
    assert on_screen.returncode == 2
    assert "send it to a file" in on_screen.stderr
    for words in (
        ("report", "--explain", "--format", "md"),
        ("report", "--population"),
        ("report", "--format", "csv", "--compare", "2026-01"),
        ("duties", "--table", "--format", "html"),
        ("report", "--format", "pdf"),
    ):
        assert imcm(*words, "--ledger", ledger).returncode == 2, words
    explained = imcm("report", "--ledger", ledger, "--explain", "--window", "2026-Q2",
                     "--compare", "2026-Q1")  # fmt: skip
    assert "definition:" in explained.stdout
    assert "read p-values against" in explained.stdout
