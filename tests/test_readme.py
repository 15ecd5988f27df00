"""
The README and the pages in docs are run as a reader would run them: each Python block by itself and
again, and each page from its top to its end, commands exactly as printed. So is every help text.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from commands import subcommands
from imcm import Ledger, Risk, Verdict, change, incident, verifier
from imcm.interchange import jsonl

ROOT = Path(__file__).parents[1]
PAGES = {page.name: page for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN_FILE = re.compile(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)

RUN = ("imcm ", "python3 verifier.py ")
"""How a command begins that is run exactly as printed."""

NOT_RUN = {
    "python3 -m venv ": "makes an environment and fetches packages: there is no network here",
    "grafana cli ": "fetches a plugin for a server that is not here",
    "datasette ": "serves until it is stopped, and is not here",
    "gh api ": "fetches pages of GitHub's API: there is no network here",
    "for offset in ": "fetches pages of PagerDuty's API",
    "repo=octo/": "names a repository of GitHub for the lines below it",
    "python benchmarks/": "takes an hour; test_benchmarks.py runs the same on a tiny log",
}
"""How any other command of the pages begins, and why it is not run here."""


def text_of(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block of a page."""
    return BLOCK.findall(text_of(page))


def is_script(language: str, code: str) -> bool:
    """
    Say whether a block is a script.

    Sessions with a prompt are doctests, run by the test of what they are about, and what needs a
    cluster is run by the test of that.
    """
    return language == "python" and not code.startswith((">>>", "from pyspark"))


def scripts() -> list[Any]:
    return [
        pytest.param(code, id=f"{page}-{number}")
        for page in PAGES
        for number, (language, code) in enumerate(blocks(page), start=1)
        if is_script(language, code)
    ]


def commands(block: str) -> list[str]:
    """Return the commands of a block of shell, each with all its lines."""
    found: list[str] = []
    for line in block.splitlines(keepends=True):
        if found and not is_complete(found[-1]):
            found[-1] += line
        elif line.strip():
            found.append(line)
    return found


def is_complete(command: str) -> bool:
    """Say whether no quote is open and no line goes on, as the shell itself sees it."""
    if command.endswith("\\\n"):
        return False
    seen = subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False)
    return not seen.returncode


def promised(code: str) -> list[str]:
    """Return what the comments behind print calls say will be printed."""
    return re.findall(r"^ *print\(.*\) *# ([^\s,]+?)[,:]?(?:\s|$)", code, re.MULTILINE)


def runs(code: str, folder: Path) -> str:
    """
    Run a Python block: it succeeds, silently on standard error, and prints what it says.

    Returns what it prints.
    """
    script = folder / "block.py"
    script.write_text(code, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, str(script)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert "" == ran.stderr
    assert 0 == ran.returncode
    lines = iter(ran.stdout.splitlines())
    for value in promised(code):
        assert any(is_told(line, value) for line in lines), f"{value} is not in {ran.stdout}"
    return ran.stdout


def is_told(line: str, value: str) -> bool:
    return line.startswith(value) and line[len(value) : len(value) + 1] in {"", " ", ":", ","}


# --- Python ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", scripts())
def test_python_block_runs_twice_and_prints_what_it_says(code: str, tmp_path: Path) -> None:
    """A reader who runs a block again, in the same folder, sees the same."""
    for _ in range(2):
        runs(code, tmp_path)


def test_the_readme_promises_numbers() -> None:
    """The first block ends on numbers, and the check above would see another one."""
    first = BLOCK.search(text_of("README.md").split("## Use it")[1])
    assert first is not None
    assert ["2700.0", "1.0"] == promised(first[2])
    assert ["{'pending'"] == promised("    print(why)  # {'pending': 1}: it is still open\n")
    assert is_told("{'pending': 1}", "{'pending'")
    assert not is_told("2700.05", "2700.0")


# --- whole pages ----------------------------------------------------------------------------------

MARCH = datetime(2026, 3, 6, 17, 40, tzinfo=UTC)

INCIDENTS_CSV = """\
id,service,title,severity,detected_at,resolved_at,caused_by
INC-1,checkout,Checkout is down,P1,2026-02-01T09:10:00Z,2026-02-01T10:25:00Z,CHG-2
"""
CHANGES_CSV = """\
id,service,type,status,deployed_at,rolled_back_at
CHG-2,checkout,normal,rolled_back,2026-02-01T09:00:00Z,2026-02-01T10:20:00Z
"""
COMMITS_CSV = """\
change_id,commit_id,authored_at,committed_at
CHG-2,4f2a91c,2026-01-30T15:00:00Z,2026-01-30T15:05:00Z
"""


def readme_folder(folder: Path) -> None:
    """The export it reads; the ledger is made by its first block."""
    (folder / "incidents.csv").write_text(INCIDENTS_CSV)
    (folder / "changes.csv").write_text(CHANGES_CSV)
    (folder / "commits.csv").write_text(COMMITS_CSV)
    shutil.copy(verifier.__file__, folder / "verifier.py")


def audit_folder(folder: Path) -> None:
    """A ledger filled in the spring of 2026, its export, and the verifier."""
    now = MARCH

    def told(id: str, step: Callable[..., Any], by: str, days: float, **said: Any) -> None:
        nonlocal now
        now = MARCH + timedelta(days=days)
        ledger.record(id, step, by=by, at=now, **said)

    with Ledger(folder / "ledger.db", clock=lambda: now) as ledger:
        told("CHG-1", change.plan, "lena", 0, title="Basket 5.4", risk=Risk.LOW,
             services=["checkout"], rollback_plan="redeploy 5.3")  # fmt: skip
        told("CHG-1", change.submit, "lena", 0)
        told("CHG-1", change.approve, "mia", 0.1)
        told("CHG-1", change.start, "pipeline", 0.2)
        told("CHG-1", change.complete, "pipeline", 0.3)
        told("INC-7", incident.detect, "prometheus", 0.5, title="Checkout fails")
        told("INC-7", incident.resolve, "ana", 0.6)
        told("INC-7", incident.link_change, "ana", 4, change="CHG-1", verdict=Verdict.CAUSED)
        told("INC-7", incident.correct, "ben", 33, version=1, field="at", why="the graphs show it",
             was=MARCH + timedelta(days=0.5), now=MARCH + timedelta(days=0.4))  # fmt: skip
        with (folder / "log.jsonl").open("wb") as file:
            jsonl.write(ledger.rows(), file)
    shutil.copy(verifier.__file__, folder / "verifier.py")


def import_folder(folder: Path) -> None:
    """The files that the page itself shows."""
    for name, shown in SHOWN_FILE.findall(text_of("import.md")):
        (folder / name).write_text(shown, encoding="utf-8")


def receiver_folder(folder: Path) -> None:
    """The settings that the page itself shows."""
    pytest.importorskip("starlette", reason="the receiver is an extra")
    for name, shown in SHOWN_FILE.findall(text_of("receiver.md")):
        (folder / name).write_text(shown, encoding="utf-8")


def formats_folder(folder: Path) -> None:
    """Deliveries, exports and pages of the tools that are named, and a repository with a tag."""
    alert = {"status": "firing", "fingerprint": "c0ffee", "startsAt": "2026-03-06T12:00:00Z",
             "labels": {"alertname": "HighErrors", "severity": "page"}}  # fmt: skip
    with gzip.open(folder / "deliveries.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({"version": "4", "alerts": [alert]}) + "\n")
    row = {"sys_id": "1", "number": "INC1", "state": "2", "opened_at": "2026-03-06 12:00:00",
           "sys_updated_on": "2026-03-06 12:00:00"}  # fmt: skip
    (folder / "incidents.json").write_text(json.dumps({"result": [row]}), encoding="utf-8")
    shown = {"id": "Q1", "status": "resolved", "created_at": "2026-03-06T12:00:00Z"}
    acknowledged = {"type": "acknowledge_log_entry", "created_at": "2026-03-06T12:05:00Z",
                    "incident": {"id": "Q1"}}  # fmt: skip
    status = {"state": "success", "created_at": "2026-03-06T12:00:00Z"}
    for name, told in (
        ("pages.json", {"incidents": [shown]}),
        ("log.json", {"log_entries": [acknowledged]}),
        ("deployments.jsonl", {"id": 1, "statuses": [status]}),
    ):
        (folder / name).write_text(json.dumps(told), encoding="utf-8")
    for words in (
        ("init", "--quiet"),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-m", "one"),
        ("tag", "v1"),
    ):
        subprocess.run(["git", *words], cwd=folder, capture_output=True, check=True)


def verifier_folder(folder: Path) -> None:
    """The verifier, copied out."""
    shutil.copy(verifier.__file__, folder / "verifier.py")


def workbook_folder(folder: Path) -> None:
    """An export of a workbook, and one of its changes."""
    (folder / "workbook.csv").write_text(
        "Nr;Title;Priority;Detected;Resolved\n"
        "4711;Kasse steht;Critical;05.03.2026 09:10;05.03.2026 10:25\n"
    )
    (folder / "changes.csv").write_text("id;Title;Deployed\nC1;Basket;2026-03-05T09:00Z\n")


def empty_folder(_: Path) -> None:
    """Leave the folder as it is: the page's own blocks make all there is."""


ASSUMED = {
    "README.md": readme_folder,
    "agents.md": empty_folder,
    "audit.md": audit_folder,
    "documents.md": empty_folder,
    "command-line.md": workbook_folder,
    "export.md": empty_folder,
    "formats.md": formats_folder,
    "import.md": import_folder,
    "page.md": empty_folder,
    "quarter.md": verifier_folder,
    "receiver.md": receiver_folder,
    "tutorial.md": empty_folder,
    "views.md": empty_folder,
}
"""What is there before a page's first command, for each page that has one to be run."""

SHOWN = {"quarter.md", "tutorial.md"}
"""Pages whose blocks of text are lines of what was printed before them."""

NAMED = re.findall(r'"([A-Z_]+)"', text_of("receiver.md"))
SET = dict.fromkeys(NAMED, "a-secret-of-a-test")
"""Variables that the pages name, which whoever reads them has set."""


def environment(folder: Path) -> dict[str, str]:
    """Return an environment where `imcm` and `python3` are those that run this test."""
    folder.mkdir()
    for name, words in (("imcm", "-m imcm"), ("python3", "")):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        program.chmod(0o755)
    return os.environ | SET | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("page", ASSUMED)
def test_the_page_runs_from_top_to_end_as_printed(page: str, tmp_path: Path) -> None:
    """Every block in one folder, in the order of the page; each command does what it is for."""
    pytest.importorskip("typer", reason="the command line is an extra")
    around = environment(tmp_path / "bin")
    folder = tmp_path / "reader"
    folder.mkdir()
    ASSUMED[page](folder)
    printed: list[str] = []
    for language, code in blocks(page):
        if is_script(language, code):
            printed += runs(code, folder).splitlines()
        if language == "text" and page in SHOWN:
            assert [] == [line for line in code.splitlines() if line not in printed]
        for command in commands(code) if language == "sh" else ():
            if command.startswith(RUN):
                ran = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", command],
                    cwd=folder, env=around, capture_output=True, text=True, check=False,
                )  # fmt: skip
                assert (command, "", 0) == (command, ran.stderr, ran.returncode), ran.stdout
                printed += ran.stdout.splitlines()
                assert not re.search("nothing (was recorded|happened) there", ran.stdout), command


def test_no_command_of_the_pages_is_passed_over() -> None:
    """Each is run, or is on the short list of those that are not, which holds no other."""
    shown = {
        page: [c for language, code in blocks(page) if language == "sh" for c in commands(code)]
        for page in PAGES
    }
    assert set(ASSUMED) == {page for page, found in shown.items() if any(map(is_run, found))}
    others = [c for found in shown.values() for c in found if not is_run(c)]
    assert set(NOT_RUN) == {start for c in others for start in NOT_RUN if c.startswith(start)}
    assert [] == [c for c in others if not c.startswith(tuple(NOT_RUN))]
    languages = {language for page in PAGES for language, _ in blocks(page)}
    assert languages <= {"python", "sh", "csv", "toml", "json", "sql", "text", "yaml"}


def is_run(command: str) -> bool:
    return command.startswith(RUN)


def test_commands_are_told_apart() -> None:
    """A command has all its lines; the next one begins where the shell says so."""
    assert ["a \\\n  --b\n", "c 'd\n\ne'\n", "f  # g's\n"] == commands(
        "a \\\n  --b\n\nc 'd\n\ne'\nf  # g's\n"
    )


def test_the_readme_has_the_two_commands() -> None:
    """Two shell commands set everything up by themselves: one to see it, one to test it."""
    found = [
        code.strip()
        for language, code in blocks("README.md")
        if language == "sh" and "venv" in code
    ]
    assert 2 == len(found)
    assert found[0].endswith("imcm demo")
    assert "-m pytest" in found[1]


# --- commands named in passing, and their help ----------------------------------------------------


def all_commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the words of each command there is, and the command."""
    pytest.importorskip("typer", reason="the command line is an extra")
    from typer.main import get_command

    from imcm.cli import app

    waiting: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    for words, command in waiting:
        yield words, command
        waiting += [((*words, name), one) for name, one in subcommands(command).items()]


def test_every_command_named_in_a_text_is_a_command() -> None:
    """Between backticks, in pages and in the program's own texts: the command, and its options."""
    there = dict(all_commands())
    texts = [*PAGES.values(), *ROOT.glob("*.md"), *(ROOT / "src").rglob("*.py")]
    named = {
        span
        for text in texts
        for span in re.findall(r"`imcm ([^`<]+)`", text.read_text(encoding="utf-8"))
    }
    assert len(named) >= 10
    for span in named:
        words = span.split()
        length = next(n for n in range(len(words), -1, -1) if tuple(words[:n]) in there)
        command = there[tuple(words[:length])]
        takes = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= takes | {"--help"}, span
        assert not subcommands(command) or length == len(words) or (
            words[length].startswith("--")
        ), span  # fmt: skip


def test_every_help_fits_eighty_columns() -> None:
    """`--help` of each command, and of the copyable verifier: no error, and no line too long."""
    from commands import run_here

    asked = 0
    for words, _ in all_commands():
        ran = run_here(*words, "--help", COLUMNS="80")
        assert (words, 0, "") == (words, ran.returncode, ran.stderr)
        assert ran.stdout.startswith(" ".join(("Usage: imcm", *words)))
        assert [] == [line for line in ran.stdout.splitlines() if len(line) > 80]
        asked += 1
    assert asked >= 20
    alone = subprocess.run(
        [sys.executable, verifier.__file__, "--help"],
        env=os.environ | {"COLUMNS": "80"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "" == alone.stderr
    assert [] == [line for line in alone.stdout.splitlines() if len(line) > 80]
