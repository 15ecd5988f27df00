"""
The command line, run as people run it: as a process of its own, on real files.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("typer", reason="the command line is an extra")

INCIDENTS = """id,service,title,severity,detected_at,acknowledged_at,resolved_at,caused_by,team
INC-1,checkout,Payments fail,P1,2026-03-02T10:00Z,2026-03-02T10:05Z,2026-03-02T11:00Z,CHG-1,core
INC-2,search,Slow,P3,2026-03-03T10:00:00Z,,2026-03-03T13:00:00Z,,web
"""
CHANGES = """id,service,title,type,status,deployed_at
CHG-1,checkout,Basket,normal,successful,2026-03-02T09:30:00Z
CHG-2,search,Index,normal,successful,2026-03-03T09:30:00Z
"""


def imcm(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "160", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "imcm", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    (tmp_path / "incidents.csv").write_text(INCIDENTS)
    (tmp_path / "changes.csv").write_text(CHANGES)
    path = tmp_path / "ledger.db"
    ran = imcm(
        "import", "csv", "--ledger", path, "--incidents", tmp_path / "incidents.csv",
        "--changes", tmp_path / "changes.csv",
    )  # fmt: skip
    assert ran.stderr == ""
    assert ran.stdout.startswith("4 of 4 rows imported")
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_demo_tells_the_story() -> None:
    """The demo prints the joint timeline and the figures."""
    ran = imcm("demo")
    assert (ran.returncode, ran.stderr) == (0, "")
    for words in (
        "refused (plans)",
        "CHG-1041",
        "no rollback plan, no monitoring plan",
        "triaged as P1",
        "emergency change planned",
        "rolled out to 5 %",
        "rolled out to 100 %",
        "restored, from detection",
        "85.0",
        "25 %",
        "in the freeze 'weekend', which ends at",
        "overridden by lead-mia, started in it: customers ask where their money is",
        "1 of 3 deployments stopped or delayed",
    ):
        assert words in ran.stdout


def test_demo_as_json_holds_the_figures(tmp_path: Path) -> None:
    """The same as data; and --ledger keeps the story in a file that reads like any other."""
    kept = tmp_path / "story.db"
    ran = imcm("demo", "--json", "--ledger", kept)
    told = json.loads(ran.stdout)
    assert [figure["value"] for figure in told["figures"]] == [6360.0, 5100.0, 4440.0, 1 / 4]
    again = imcm("timeline", "INC-204", "--ledger", kept, "--json")
    assert told["timeline"] == json.loads(again.stdout)
    assert imcm("demo", "--ledger", kept).returncode == 1


def test_report_prints_the_figures(ledger: Path) -> None:
    """Time to restore is the median of 1 h and 3 h; one of two deployments failed."""
    before = digest(ledger)
    told = json.loads(imcm("report", "--ledger", ledger, "--json").stdout)
    figures = {figure["name"]: figure for figure in told["figures"]}
    assert figures["time to restore"]["value"] == 7200.0
    assert figures["change failure rate"]["value"] == 0.5
    assert figures["time to acknowledge"]["value"] == 300.0
    text = imcm("report", "--ledger", ledger, "--by", "label:team")
    assert "time to restore       2.00  h" in text.stdout
    assert "core" in text.stdout
    assert "definition:" in imcm("report", "--ledger", ledger, "--explain").stdout
    assert before == digest(ledger)


KEYS = (
    "shape", "preset", "year", "figures", "bands", "interval_bands", "compared", "side_by_side",
    "notes", "as_of", "log_position", "incidents", "changes",
)  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--population",),
        ("--from", "2026-03-03", "--to", "2026-03-04", "--compare", "2026-03-02/2026-03-03"),
        ("--side-by-side", "restore"),
        ("--side-by-side", "restore", "--population"),
    ],
)
def test_report_as_json_has_one_shape(ledger: Path, words: tuple[str, ...]) -> None:
    """The same keys whatever is asked for; populations are null unless they are."""
    ran = imcm("report", "--ledger", ledger, "--json", *words)
    told = json.loads(ran.stdout)
    assert list(KEYS) == list(told)
    assert (1, 2, 2, 13) == tuple(
        told[name] for name in ("shape", "incidents", "changes", "log_position")
    )
    side = "--side-by-side" in words
    assert (side, 0 if side else 8) == (told["side_by_side"] is not None, len(told["figures"]))
    assert (4 if "--compare" in words else 0) == len(told["compared"])
    figures = told["side_by_side"]["figures"].values() if side else told["figures"]
    for figure in figures:
        for name in ("included", "left_out", "censored"):
            assert ("--population" in words) is isinstance(figure[name], list)


def test_populations_are_for_json(ledger: Path) -> None:
    """A table lists nobody, so an option to list everybody is wrong usage there."""
    assert 2 == imcm("report", "--ledger", ledger, "--population").returncode


def test_a_histogram_asks_for_values_and_for_nobody() -> None:
    """A line of blocks of the durations, without telling whose they are."""
    from imcm.projections.figures.figure import Figure, Population
    from imcm.projections.figures.restore import TimeToRestore
    from imcm.projections.reports.display import distribution

    def told(*values: float, unit: str = "seconds", value: float = 1.0) -> str:
        def nobody() -> list[object]:
            raise AssertionError("the histogram asked who they are")

        figure = Figure(
            name="time to restore",
            value=value,
            unit=unit,
            n=len(values),
            definition=TimeToRestore(),
            included=Population(nobody, lambda: values),  # type: ignore[arg-type,return-value]
        )
        return distribution(figure)

    assert "█          █" == told(1.0, 4096.0)
    assert "▄          █" == told(0.0, 1.0, 4096.0, 4096.0)
    assert "█           " == told(2.0, 2.0)
    assert ["", "", ""] == [told(), told(2.0), told(1.0, 2.0, unit="count")]
    assert "██████░░░░░░" == told(unit="share", value=0.5)


def test_report_as_another_tool_counts(ledger: Path) -> None:
    """--preset and --set change the definition, which is printed with the figure."""
    words = ("report", "--ledger", ledger, "--preset", "gitlab", "--set", "restore.statistic=mean")
    told = json.loads(imcm(*words, "--json").stdout)
    figures = {figure["name"]: figure for figure in told["figures"]}
    assert "incidents" == figures["change failure rate"]["definition"]["numerator"]
    assert "mean" == figures["time to restore"]["definition"]["statistic"]
    assert 1.0 == figures["change failure rate"]["value"]  # two incidents, two deployments


def test_report_by_month_has_its_empty_months(ledger: Path) -> None:
    """--bucket month: February is there, though nothing happened in it."""
    words = ("--from", "2026-02-01", "--to", "2026-04-01", "--bucket", "month")
    told = json.loads(imcm("report", "--ledger", ledger, *words, "--json").stdout)
    rate = next(figure for figure in told["figures"] if figure["name"] == "change failure rate")
    assert [(None, 0), (0.5, 2)] == [(b["value"], b["n"]) for b in rate["buckets"]]
    text = imcm("report", "--ledger", ledger, *words).stdout
    rows = text.partition("by period")[2].splitlines()
    assert ["2026-02", "0"] in [row.split() for row in rows]


def test_side_by_side_says_why(ledger: Path) -> None:
    """One metric under every preset, with the arguments and the ids that make the difference."""
    text = imcm("report", "--ledger", ledger, "--side-by-side", "change_failure_rate").stdout
    assert "devlake: " in text
    assert "dora and devlake" in text
    assert "INC-2" in text  # laid to CHG-2 by inference, which dora does not do


def test_periods_are_compared(ledger: Path) -> None:
    """--compare prints what two periods show, with a warning where they show nothing."""
    words = ("--from", "2026-03-03", "--to", "2026-03-04", "--compare", "2026-03-02/2026-03-03")
    told = json.loads(imcm("report", "--ledger", ledger, *words, "--json").stdout)
    restore = next(c for c in told["compared"] if c["name"] == "time to restore")
    assert 7200.0 == restore["difference"]
    assert any("30" in warning for warning in restore["warnings"])
    assert "no difference" in imcm("report", "--ledger", ledger, *words).stdout


def test_report_of_a_period(ledger: Path) -> None:
    """--from and --to cut a window, told in --tz where they have no offset."""
    told = json.loads(
        imcm(
            "report", "--ledger", ledger, "--from", "2026-03-03", "--to", "2026-03-04",
            "--tz", "Europe/London", "--json",
        ).stdout
    )  # fmt: skip
    restore = next(figure for figure in told["figures"] if figure["name"] == "time to restore")
    assert (restore["value"], restore["n"]) == (10800.0, 1)


def test_a_period_can_be_said_in_words_or_by_one_end(ledger: Path) -> None:
    """As in a notebook."""

    def figures(*words: object) -> object:
        ran = imcm("report", "--ledger", ledger, "--json", *words)
        assert ran.returncode == 0, ran.stderr
        told = json.loads(ran.stdout)["figures"]
        return [(one["name"], one["value"], one["n"]) for one in told]

    whole = figures("--from", "2026-01-01", "--to", "2026-04-01")
    assert whole == figures("--window", "2026-Q1")
    assert figures("--from", "2026-01-01") == figures("--from", "2026-01-01", "--to", "9999-01-01")
    ran = imcm("report", "--ledger", ledger, "--window", "2026-Q1", "--to", "2026-04-01")
    assert (ran.returncode, "--window goes without --from and --to" in ran.stderr) == (2, True)
    ran = imcm("report", "--ledger", ledger, "--window", "last mouth")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "window: 'last mouth' is not allowed" in ran.stderr
    words = imcm("report", "--ledger", ledger, "--window", "2026-03", "--compare", "2026-02")
    told = imcm("report", "--ledger", ledger, "--window", "2026-03", "--compare",
                "2026-02-01/2026-03-01")  # fmt: skip
    assert (0, told.stdout) == (words.returncode, words.stdout)


def test_timeline_shows_both_sides(ledger: Path) -> None:
    """The change that caused an incident stands in its timeline."""
    ran = imcm("timeline", "INC-1", "--ledger", ledger)
    assert ran.returncode == 0
    assert ran.stdout.index("CHG-1") < ran.stdout.index("resolved: service is restored")


def test_moments_are_shown_in_the_zone_that_is_named(tmp_path: Path) -> None:
    """With --tz in that zone, texts included; without it each as it was told."""
    kept = tmp_path / "story.db"
    imcm("demo", "--ledger", kept)
    words = ("--ledger", kept, "--tz", "Asia/Tokyo")
    for command in (("timeline",), ("audit", "replay"), ("audit", "trail")):
        what = "CHG-1041" if command[-1] == "trail" else "INC-204"
        told = imcm(*command, what, "--ledger", kept).stdout
        moved = imcm(*command, what, *words).stdout
        assert "+0900" not in told
        assert "+0900" in moved.replace("+09:00", "+0900")
        assert len(told.splitlines()) == len(moved.splitlines())
    assert "recorded 2026-03-07 03:20:03 +0900" in imcm("audit", "replay", *words).stdout
    corrected = imcm("timeline", "INC-204", *words).stdout
    assert "corrected impact_started_at of version 13: was Sat 2026-03-07 03:07 +0900" in corrected
    [entry, *_] = json.loads(imcm("timeline", "INC-204", *words, "--json").stdout)
    assert "Sat 2026-03-07 02:40 +0900" == entry["when"]
    assert "2026-03-07T02:40:00+09:00" == entry["at"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands(shell: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "imcm"],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "_IMCM_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": "imcm audit re",
            "COMP_WORDS": "imcm audit re",
            "COMP_CWORD": "2",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        },
    )
    assert "replay" in ran.stdout
    assert "redact" in ran.stdout
    assert "verify" not in ran.stdout


def test_next_says_what_is_possible_and_why_not(ledger: Path) -> None:
    """Each step with its answer, and the guard that says no."""
    told = json.loads(imcm("next", "INC-1", "--ledger", ledger, "--json").stdout)
    answers = {answer["step"]: answer for answer in told["incident"]}
    assert answers["resolve"]["possible"] is False
    assert answers["resolve"]["guard"] == "status"
    assert answers["reopen"]["possible"] is True  # now, since no other time was given
    early = json.loads(
        imcm("next", "INC-1", "--ledger", ledger, "--at", "2020-01-01", "--json").stdout
    )
    [reopen] = [answer for answer in early["incident"] if answer["step"] == "reopen"]
    assert (False, "not before the first moment") == (reopen["possible"], reopen["guard"])
    assert "reviewed" in imcm("next", "INC-1", "--ledger", ledger).stdout


def test_export_and_restore_are_lossless(ledger: Path, tmp_path: Path) -> None:
    """export, import, export gives the same bytes, and the same figures."""
    first, copy, second = tmp_path / "a.jsonl", tmp_path / "copy.db", tmp_path / "b.jsonl"
    assert imcm("export", "jsonl", "--ledger", ledger, "--to", first).returncode == 0
    assert imcm("import", "jsonl", first, "--ledger", copy).returncode == 0
    assert imcm("export", "jsonl", "--ledger", copy, "--to", second).returncode == 0
    assert first.read_bytes() == second.read_bytes()
    assert imcm("export", "jsonl", "--ledger", ledger).stdout.encode() == first.read_bytes()
    assert b"Payments fail" in first.read_bytes()
    wordless = imcm("export", "jsonl", "--ledger", ledger, "--no-words").stdout
    assert "Payments fail" not in wordless


def test_append_marks_history_as_imported(ledger: Path, tmp_path: Path) -> None:
    """A log appended to a filled ledger comes in once."""
    story, exported = tmp_path / "story.db", tmp_path / "story.jsonl"
    imcm("demo", "--ledger", story)
    imcm("export", "jsonl", "--ledger", story, "--to", exported)
    first = json.loads(
        imcm("import", "jsonl", exported, "--ledger", ledger, "--append", "--json").stdout
    )
    assert first["events"] == 48
    again = json.loads(
        imcm("import", "jsonl", exported, "--ledger", ledger, "--append", "--json").stdout
    )
    assert again["events"] == 0


def test_backup_copies(ledger: Path, tmp_path: Path) -> None:
    """A backup is a ledger with the same figures."""
    copy = tmp_path / "backup.db"
    assert imcm("backup", "--ledger", ledger, "--to", copy).returncode == 0
    one, two = (json.loads(imcm("report", "--ledger", p, "--json").stdout) for p in (ledger, copy))
    assert one == two


def test_import_again_adds_nothing_and_a_changed_value_corrects(
    ledger: Path, tmp_path: Path
) -> None:
    """The second import of the same file adds nothing; a changed time becomes a correction."""
    file = tmp_path / "incidents.csv"
    same = imcm("import", "csv", "--ledger", ledger, "--incidents", file)
    assert "0 new events" in same.stdout
    file.write_text(INCIDENTS.replace("2026-03-02T11:00Z", "2026-03-02T12:00Z"))
    changed = imcm("import", "csv", "--ledger", ledger, "--incidents", file)
    assert "1 new events" in changed.stdout
    told = json.loads(imcm("report", "--ledger", ledger, "--json").stdout)
    restore = next(figure for figure in told["figures"] if figure["name"] == "time to restore")
    assert restore["value"] == 9000.0


def test_a_dry_run_of_an_import_says_what_would_be(ledger: Path, tmp_path: Path) -> None:
    """Nothing is recorded, and no ledger is made for it."""
    file, before = tmp_path / "incidents.csv", digest(ledger)
    file.write_text(INCIDENTS.replace("2026-03-02T11:00Z", "2026-03-02T12:00Z"))
    words = ("import", "csv", "--incidents", file, "--dry-run", "--ledger")
    ran = imcm(*words, ledger)
    assert "1 new events (nothing was recorded: a dry run)" in ran.stdout
    assert "1 corrections" in ran.stdout
    assert digest(ledger) == before
    told = json.loads(imcm(*words, tmp_path / "new.db", "--json").stdout)
    assert (told["dry_run"], told["events"] > 0) == (True, True)
    assert not (tmp_path / "new.db").exists()


def test_what_is_gone_from_a_complete_file_is_withdrawn_once_it_is_confirmed(
    ledger: Path, tmp_path: Path
) -> None:
    file = tmp_path / "incidents.csv"
    file.write_text("".join(INCIDENTS.splitlines(keepends=True)[:2]))
    words = ("import", "csv", "--incidents", file, "--ledger", ledger, "--complete")
    refused = imcm(*words)
    assert refused.returncode != 0
    assert "--confirm-withdrawals" in refused.stderr
    ran = imcm(*words, "--confirm-withdrawals")
    assert "1 withdrawn" in ran.stdout


def test_a_table_may_come_through_a_pipe(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "imcm", "import", "csv", "--incidents", "-",
         "--ledger", tmp_path / "l.db"],
        input="id;detected_at\n1;2024-05-01T09:00Z\n", text=True, capture_output=True, check=True,
    )  # fmt: skip
    assert "1 of 1 rows imported" in ran.stdout


BAD = {
    "a misspelt path": (("report", "--ledger", "lodger.db"), "there is no ledger at lodger.db"),
    "a directory": (("report", "--ledger", "."), "is a directory"),
    "an empty file": (("timeline", "--ledger", "empty.db"), "is empty"),
    "not a database": (("next", "INC-1", "--ledger", "text.db"), "not an SQLite database"),
    "an unknown id": (("timeline", "INC-9", "--ledger", "ledger.db"), "'INC-9'"),
    "an unknown id for next": (("next", "INC-9", "--ledger", "ledger.db"), "'INC-9'"),
    "an unknown zone": (("report", "--ledger", "ledger.db", "--tz", "Mars/Base"), "Mars/Base"),
    "an unknown group": (("report", "--ledger", "ledger.db", "--by", "moon"), "'moon'"),
    "an unknown preset": (("report", "--ledger", "ledger.db", "--preset", "moon"), "devlake"),
    "an unknown argument": (("report", "--ledger", "ledger.db", "--set", "moon=1"), "'moon'"),
    "an argument without a value": (("report", "--ledger", "ledger.db", "--set", "moon"), "--set"),
    "a wrong choice": (
        ("report", "--ledger", "ledger.db", "--set", "reopened=never"),
        "open_time",
    ),
    "no time": (("report", "--ledger", "ledger.db", "--as-of", "soon"), "'soon'"),
    "an inverted window": (
        ("report", "--ledger", "ledger.db", "--from", "2026-03-04", "--to", "2026-03-03"),
        "--to",
    ),
    "a missing import": (
        ("import", "csv", "--ledger", "new.db", "--incidents", "missing.csv"),
        "missing.csv",
    ),
    "an import of no log": (("import", "jsonl", "text.db", "--ledger", "new.db"), "line 1"),
    "a naive time": (
        ("import", "csv", "--ledger", "new.db", "--incidents", "naive.csv"),
        "2026-03-02 10:00",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_input_is_one_line_that_says_what_to_do(name: str, ledger: Path) -> None:
    """Exit status 1, one line on standard error, nothing created and nothing changed."""
    folder = ledger.parent
    (folder / "empty.db").touch()
    (folder / "text.db").write_text("hello\n")
    (folder / "naive.csv").write_text("id,detected_at\nINC-1,2026-03-02 10:00\n")
    before = digest(ledger)
    there = sorted(path.name for path in folder.iterdir())
    words, message = BAD[name]
    ran = imcm(*words, cwd=folder)
    assert ran.returncode == 1
    assert message in ran.stderr
    assert ran.stderr.startswith("imcm: ")
    assert len(ran.stderr.splitlines()) == (2 if "naive" in name else 1)
    assert ran.stdout == ""
    assert before == digest(ledger)
    left = {p.name for p in folder.iterdir()} - set(there)
    assert {name for name in left if not name.startswith("ledger.db-")} == set()


@pytest.mark.parametrize(
    "words", [("report",), ("report", "--ledger", "x", "--wrong"), ("nothing",), ("import", "csv")]
)
def test_wrong_usage_has_status_2(words: tuple[str, ...]) -> None:
    """A missing or unknown option is wrong usage."""
    assert imcm(*words).returncode == 2


@pytest.mark.parametrize(
    ("words", "near"),
    [(("lst",), "list"), (("import", "alertmanagr"), "alertmanager"), (("zzzz",), "")],
)
def test_a_command_that_is_spelt_nearly_so_is_named(words: tuple[str, ...], near: str) -> None:
    ran = imcm(*words)
    assert (f"; near: {near};" in ran.stderr) is bool(near)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)


def test_bad_rows_are_listed_and_the_rest_is_imported_when_told_to(tmp_path: Path) -> None:
    """With --keep-going the good rows are imported, the bad one is named with its line."""
    file = tmp_path / "incidents.csv"
    file.write_text(INCIDENTS + "INC-3,search,Broken,P1,yesterday,,,,web\n")
    refused = imcm("import", "csv", "--ledger", tmp_path / "l.db", "--incidents", file)
    assert refused.returncode == 1
    assert not (tmp_path / "l.db").exists()
    ran = imcm("import", "csv", "--ledger", tmp_path / "l.db", "--incidents", file, "--keep-going")
    assert ran.returncode == 1
    assert "2 of 3 rows imported" in ran.stdout
    assert "yesterday" in ran.stderr
    assert "4" in ran.stderr


@pytest.mark.parametrize("name", ["typer", "rich"])
def test_without_its_packages_it_says_which_extra_brings_them(name):
    hidden = f"import sys; sys.modules[{name!r}] = None; from imcm.__main__ import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, check=False
    )
    told = "imcm: the command line needs an optional package: pip install 'imcm[cli]'\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", told)
