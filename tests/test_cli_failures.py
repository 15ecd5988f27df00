"""
Odd command lines: each ends soon, with exit status 1 or 2 and one line on standard error.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest

pytest.importorskip("typer", reason="the command line is an extra")

from commands import run_here
from imcm import Ledger, incident
from imcm.cli import common
from imcm.files import new_file

LONG = "x" * 5_000
DIGITS = "9" * 5_000
BAD_BYTE = "\udcff"
"""How a byte of the command line that is not UTF-8 comes in."""

FILES = {
    "empty": b"",
    "garbage": bytes(range(256)) * 20,
    "i.csv": b"id,detected_at\nI-1,2026-01-01T00:00Z\n",
    "nul.csv": b"id,detected_at\n\0\n",
    "passwd": b"root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/false\n",
    "key.pem": b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----\n",
    "secret.toml": b"password_of_the_database = 'hunter2'\n",
    "secret.jsonl": b'{"password_of_the_database":"hunter2"}\n',
    "deep.toml": b"a = " + b"[" * 100_000 + b"]" * 100_000,
    "digits.toml": b"a = " + b"1" * 5_000,
    "deep.json": b"[" * 100_000 + b"]" * 100_000,
    "digits.json": b'[{"a":' + b"1" * 5_000 + b"}]",
    "number.json": b"[1]",
    "object.json": b'{"a":1}',
    "deep.jsonl": b'{"stream":"incident:x","version":1,"type":"X","state":'
    + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a ledger, its anchors, a proof, and files that are none of these."""
    made = tmp_path_factory.mktemp("odd")
    for name, content in FILES.items():
        (made / name).write_bytes(content)
    (made / "dir").mkdir()
    with inside(made):
        assert run_here("demo", "--ledger", "l.db").returncode == 0
        (made / "half.db").write_bytes((made / "l.db").read_bytes()[:5_000])
        assert run_here("audit", "checkpoint", *L, "--anchors", "a.txt").returncode == 0
        assert run_here("audit", "prove", "INC-204", *L, *A, "--to", "p.json").returncode == 0
    return made


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


L = ("--ledger", "l.db")
A = ("--anchors", "a.txt")
NEW = ("--ledger", "new.db")
GOOD = ("import", "csv", "--incidents", "i.csv", *NEW)
NO_LEDGERS = ("dir", "empty", "garbage", "half.db", "i.csv", "no/such/l.db", "", LONG, "/dev/null")
NO_FILES = ("dir", "no", "no/such", "", LONG, "garbage", "/dev/zero")

REFUSED: list[tuple[str, ...]] = [
    *(("report", "--ledger", name) for name in (*NO_LEDGERS, "/dev/zero")),
    *(("timeline", "--ledger", name) for name in NO_LEDGERS),
    *(("page", "new.html", "--ledger", name) for name in NO_LEDGERS),
    *(("page", name, *L) for name in ("dir", "l.db", "garbage", "no/such/p.html", "", LONG)),
    *(("page", "new.html", *L, "--limit", text) for text in ("0", "-1", "5001")),
    *(("page", "new.html", *L, "--service", text) for text in ("", "no", LONG, BAD_BYTE)),
    *(("page", "new.html", *L, "--incident", text) for text in ("", "CHG-1042", LONG, BAD_BYTE)),
    *(("audit", "replay", "--ledger", name) for name in ("dir", "garbage", "half.db", LONG)),
    *(("audit", "guard", "--ledger", name) for name in NO_LEDGERS),
    *(("backup", "--ledger", name, "--to", "new.db") for name in ("dir", "garbage", "no", LONG)),
    *(("export", "jsonl", "--ledger", name, "--to", "new.jsonl") for name in ("dir", "garbage")),
    *((*GOOD[:-1], name) for name in ("dir", "garbage", "i.csv", "no/such/l.db", LONG)),
    *(("demo", "--ledger", name) for name in ("dir", "garbage", "no/such/l.db", LONG)),
    # Numbers and moments.
    *(("report", *L, "--known-at", text) for text in ("²", "٣", DIGITS, "-1", "", "1e3", "NaN")),
    *(("report", *L, "--as-of", text) for text in ("²", DIGITS, "", "9999-12-31T23:59-05:00")),
    ("report", *L, "--known-at", "0001-01-01T00:00+05:00"),
    ("report", *L, "--known-at", "0001-01-01", "--tz", "Asia/Tokyo"),
    ("report", *L, "--from", "0001-01-01", "--to", "9999-12-31", "--tz", "Asia/Tokyo"),
    ("report", *L, "--from", "0001-01-01", "--to", "9999-12-31", "--bucket", "day"),
    ("report", *L, "--from", "0001-01-01", "--to", "9999-12-31", "--bucket", "1"),
    ("timeline", *L, "--from", "x", "--to", "y"),
    ("timeline", *L, "--from", "2026-01-01", "--to", "2026-01-01"),
    *(("report", *L, "--bucket", text) for text in ("0", "99999999999", "²", "-1", "", DIGITS)),
    *(
        ("report", *L, "--tz", text)
        for text in ("../../etc/passwd", "/etc/passwd", "", "Europe", "Mars", LONG, BAD_BYTE)
    ),
    ("audit", "diff", *L, "--known-at", ""),
    ("audit", "diff", *L, "--known-at", "²", "--known-at", "1"),
    ("audit", "anomalies", *L, "--known-at", "x"),
    # Change control.
    *(("list", "calendar", *L, "--ics", name) for name in ("l.db", "dir", "i.csv", "/dev/zero")),
    ("list", "calendar", *L, "--ics", "no/such/x.ics"),
    ("list", "calendar", *L, "--from", "9999-12-30"),
    *(("list", "ready", *L, "--at", text) for text in ("", "x", DIGITS)),
    *(("list", "ready", *L, "--by", text) for text in ("", LONG)),
    *(("list", "overrides", *L, "--by", text) for text in ("", LONG)),
    *(("policy", "check", name) for name in (*NO_FILES, "deep.toml", "digits.toml", "l.db")),
    *(("policy", "explain", name) for name in (*NO_FILES, "secret.toml")),
    *(("policy", "frozen", name) for name in (*NO_FILES, "secret.toml")),
    ("policy", "frozen", "l.db", "--at", "x"),
    *(("policy", "calendar", name) for name in (*NO_FILES, "i.csv", "l.db")),
    *(("policy", "calendar", "--country", text) for text in ("", "XX", LONG)),
    ("policy", "calendar", "--country", "GB", "--since", "9999-12-30"),
    ("policy", "calendar", "--country", "GB", "--since", "2026-01-01", "--until", "2025-01-01"),
    *(("risk", id, *L) for id in ("", "no", LONG, "INC-204", BAD_BYTE)),
    ("risk", "CHG-1042", *L, "--at", "x"),
    *(("what-if", name, *L) for name in ("no", "dir", "secret.toml")),
    *(("duties", *L, "--window", text) for text in ("", "x", DIGITS)),
    ("duties", *L, "--known-at", "x"),
    # Arguments of figures.
    *(("report", *L, "--by", text) for text in ("label:", "", "moon", "service\n")),
    *(
        ("report", *L, "--set", text)
        for text in (
            "", "=", "a", "level=2", "level=NaN", "level=" + "[" * 100_000, "level=" + DIGITS,
            "statistic=[]", "statistic=p999", "restore.statistic=null", "restore.=1", ".x=1",
            "start=1", "window=1", "window=[1,2]", "labels=1", "services=5", "calendar={}",
            "time_zone=5", "severities=[1]", "group_by=1", "group_by={}", "bucket_by=1.5",
            "bucket_by={}", "bounds=[]", "empty={}", "horizon=-1", "figure=x",
        )
    ),
    *(("report", *L, "--year", text) for text in ("99999", "-1")),
    *(("report", *L, "--preset", text) for text in ("", "moon")),
    *(("report", *L, "--side-by-side", text) for text in ("", "moon")),
    *(("report", *L, "--compare", text) for text in ("x", "a/b/c", "2026-01-01/", "/")),
    *(("report", *L, "--views", name) for name in ("dir", "garbage", "no/such", "l.db", LONG)),
    # Ids.
    *(("timeline", text, *L) for text in ("", LONG, "incident:", ":", "a\nb", BAD_BYTE)),
    *(("next", text, *L) for text in ("", LONG, "a:b", BAD_BYTE)),
    *(("audit", "trail", text, *L) for text in ("", "x")),
    *(("audit", "redact", text, *L, "--by", "a", "--reason", "r") for text in ("", BAD_BYTE)),
    ("audit", "redact", "INC-204", *L, "--by", BAD_BYTE, "--reason", "r"),
    ("audit", "redact", "INC-204", *L, "--by", "a", "--reason", "r", "--version", "0"),
    # Files.
    *(("backup", *L, "--to", name) for name in ("dir", "l.db", "no/such", "", LONG, "/dev/full")),
    *(
        ("export", "jsonl", *L, "--to", name)
        for name in ("dir", "l.db", "no/such", "", LONG, "/dev/full")
    ),
    *(("import", "jsonl", name, *NEW) for name in (*NO_FILES, "empty", "deep.jsonl", "key.pem")),
    *(("import", "csv", "--incidents", name, *NEW) for name in (*NO_FILES, "empty", "nul.csv")),
    *((*GOOD, "--mapping", name) for name in (*NO_FILES, "deep.toml", "digits.toml", "key.pem")),
    *((*GOOD, "--tz", text) for text in ("../../etc/passwd", "", "Mars", LONG)),
    *(
        (*GOOD, "--time-format", text)
        for text in ("", "%", "%Q", "%Y", "%Y%Y", "%Y-%m-%d %H:%M %Z", LONG, BAD_BYTE)
    ),
    *((*GOOD, "--source", text) for text in ("", "a/b", "\n", LONG)),
    *(("audit", "verify", *L, "--anchors", name) for name in (*NO_FILES, "key.pem")),
    *(("audit", "verify", "--ledger", name, *A) for name in ("dir", "garbage", "no", LONG)),
    *(("audit", "checkpoint", *L, "--anchors", name) for name in ("dir", "no/such", LONG)),
    ("audit", "checkpoint", *L, "--anchors", "/dev/full"),
    *(("audit", "checkpoint", *L, *A, "--sign", name) for name in (*NO_FILES, "key.pem")),
    *(("audit", "prove", "INC-204", *L, "--anchors", name) for name in NO_FILES),
    *(("audit", "prove", text, *L, *A) for text in ("", "x", LONG)),
    *(("audit", "prove", "INC-204", *L, *A, "--version", text) for text in ("0", "-1", "9" * 30)),
    ("audit", "prove", "INC-204", *L, *A, "--version", "1", "--to", "dir"),
    *(
        ("audit", "check-proof", name, *A)
        for name in (*NO_FILES, "deep.json", "digits.json", "number.json", "object.json", "passwd")
    ),
    *(
        ("audit", "verify", *L, *A, "--key", text)
        for text in ("", "x", "a+b+c", "a+00000000+AAAA", BAD_BYTE, LONG)
    ),
    *(("audit", "key", text, "--to", "new.pem") for text in ("", "a b", "a+b", "\n", BAD_BYTE)),
    *(("audit", "key", "a", "--to", name) for name in ("dir", "no/such", "", LONG)),
]  # fmt: skip

MISUSED: list[tuple[str, ...]] = [
    ("nothing",),
    ("\n",),
    ("--moon",),
    ("report",),
    ("report", *L, "--moon"),
    ("report", *L, "--set"),
    ("report", *L, "--year", "x"),
    ("report", *L, "--year", DIGITS),
    ("report", *L, "--views", "k.db", "--as-of", "2026-01-01"),
    ("timeline", "a", "b", *L),
    ("page", *L),
    ("page", "new.html", *L, "--incident", "INC-204", "--window", "2026"),
    ("page", "new.html", *L, "--from", "2026-01-01", "--window", "2026"),
    ("timeline", *L, "--from", "2026-01-01"),
    ("import", "csv", *NEW),
    ("policy", "calendar"),
    ("policy", "calendar", "i.csv", "--country", "GB"),
    ("gate", "CHG-1042", *L, "--record"),
    ("gate", *L),
    # What can't be answered: 1 is an answer of the gate, "closed".
    *(("policy", "test", name) for name in ("dir", "no", "secret.toml", "i.csv")),
    *(("policy", "diff", "secret.toml", name) for name in ("l.db", "dir", "garbage")),
    ("gate", "CHG-1042", *L, "--at", "x"),
    *(("gate", id, *L) for id in ("", "no", LONG, "INC-204", BAD_BYTE)),
    *(("gate", "CHG-1042", "--ledger", name) for name in ("dir", "garbage", "no")),
    ("list", "calendar", *L, "--json", "--ics", "new.ics"),
    ("what-if", "secret.toml"),
    ("duties", *L, "--window", "2026", "--from", "2026-01-01"),
    ("risk", *L),
    ("audit", "nothing"),
    ("audit", "diff", *L),
    ("audit", "diff", *L, "--known-at", "1", "--known-at", "2", "--known-at", "3"),
    ("audit", "redact", "INC-204", *L, "--by", "a", "--reason", "r", "--version", DIGITS),
]


def shortened(words: tuple[str, ...]) -> str:
    return " ".join(word[:20] for word in words).encode("unicode_escape").decode()


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """Whatever takes more than a minute, /dev/zero read to its end for one, is ended."""
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.mark.parametrize(
    ("words", "status"),
    [*((words, 1) for words in REFUSED), *((words, 2) for words in MISUSED)],
    ids=[shortened(words) for words in (*REFUSED, *MISUSED)],
)
def test_one_line_says_what_is_wrong(folder: Path, words: tuple[str, ...], status: int) -> None:
    """The exit status is that of its kind, nothing is printed, and nothing new is left behind."""
    before = sorted(folder.iterdir())
    with inside(folder):
        ran = run_here(*words)
    left = [path for path in folder.iterdir() if path not in before]
    assert (status, 1, "") == (ran.returncode, ran.stderr.count("\n"), ran.stdout), ran
    assert ran.stderr.startswith("imcm: ")
    assert "Traceback" not in ran.stderr
    assert "bug in imcm" not in ran.stderr
    assert 2_200 > len(ran.stderr)
    assert [] == [path for path in left if not re.search(r"-(wal|shm)$", path.name)]


@pytest.mark.parametrize(
    "words",
    [
        ("import", "csv", "--incidents", "passwd", *NEW),
        ("import", "csv", "--changes", "key.pem", *NEW),
        ("import", "csv", "--commits", "secret.toml", *NEW),
        (*GOOD, "--mapping", "passwd"),
        (*GOOD, "--mapping", "key.pem"),
        (*GOOD, "--mapping", "secret.toml"),
        ("import", "jsonl", "passwd", *NEW),
        ("import", "jsonl", "key.pem", *NEW),
        ("import", "jsonl", "secret.jsonl", *NEW),
        ("audit", "check-proof", "passwd", *A),
        ("audit", "check-proof", "key.pem", *A),
        ("audit", "verify", *L, "--anchors", "passwd"),
        ("audit", "verify", *L, "--anchors", "key.pem"),
        ("audit", "checkpoint", *L, *A, "--sign", "passwd"),
        ("report", "--ledger", "passwd"),
    ],
    ids=shortened,
)
def test_little_of_a_wrong_file_is_shown(folder: Path, words: tuple[str, ...]) -> None:
    """A file taken for another one may hold secrets: at most the first 20 signs come out."""
    with inside(folder):
        ran = run_here(*words)
    assert 1 == ran.returncode
    for content in FILES["passwd"], FILES["secret.toml"], FILES["secret.jsonl"]:
        text = content.decode()
        found = [text[n : n + 21] for n in range(len(text) - 20) if text[n : n + 21] in ran.stderr]
        assert [] == found
    assert "BEGIN" not in ran.stderr
    assert "MC4" not in ran.stderr


# --- the streams of the process -------------------------------------------------------------------


def process(
    folder: Path, redirection: str, *words: str, **environment: str
) -> tuple[int, str, str]:
    """Run the command line as a shell does, with its streams sent elsewhere."""
    ran = subprocess.run(
        ["bash", "-c", f'"$@" {redirection}', "bash", sys.executable, "-m", "imcm", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "", **environment},
        timeout=60,
    )
    return ran.returncode, ran.stdout, ran.stderr


FULL = "imcm: standard output can't be written: No space left on device\n"
CLOSED = "imcm: standard output is closed; send it to /dev/null where nobody reads it\n"


@pytest.mark.parametrize(
    ("redirection", "words", "expected"),
    [
        (">/dev/full", ("report", *L), (1, "", FULL)),
        (">/dev/full", ("audit", "replay", *L, "--json"), (1, "", FULL)),
        (">/dev/full", ("export", "jsonl", *L), (1, "", FULL)),
        (">/dev/full", ("--help",), (1, "", FULL)),
        (">&-", ("report", *L), (1, "", CLOSED)),
        (">&-", ("demo", "--json"), (1, "", CLOSED)),
        (">&- 2>&-", ("report", *L), (1, "", "")),
        ("2>&-", ("report", "--ledger", "no"), (1, "", "")),
        ("2>/dev/full", ("report", "--ledger", "no"), (1, "", "")),
    ],
)
def test_output_that_can_not_be_written(
    folder: Path, redirection: str, words: tuple[str, ...], expected: tuple[int, str, str]
) -> None:
    """One line says so, and nothing comes after it while the interpreter ends."""
    assert expected == process(folder, redirection, *words)


def test_output_that_is_not_buffered_and_can_not_be_written(folder: Path) -> None:
    for words in (("report", *L), ("export", "jsonl", *L)):
        assert (1, "", FULL) == process(folder, ">/dev/full", *words, PYTHONUNBUFFERED="1")


@pytest.mark.parametrize("words", [("export", "jsonl", *L), ("audit", "replay", *L, "--json")])
def test_a_reader_that_had_enough_is_no_failure(folder: Path, words: tuple[str, ...]) -> None:
    """Output to a pipe nobody reads any more ends quietly."""
    status, _, complaint = process(folder, "| head -c 10; exit ${PIPESTATUS[0]}", *words)
    assert (0, "") == (status, complaint)


def test_signs_that_the_output_can_not_show_are_written_out(tmp_path: Path) -> None:
    """In ASCII, text shows them as Python writes them, and JSON as JSON does."""
    with Ledger(tmp_path / "l.db") as book:
        book.record(
            "É-1", incident.detect, by="zoë", at=datetime.now(UTC), title="naïve", services=["a"]
        )
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    status, told, complaint = process(tmp_path, "", "timeline", *L, **ascii_only)
    assert (0, "") == (status, complaint)
    assert "\\xc9-1" in told
    assert "na\\xefve" in told
    status, told, _ = process(tmp_path, "", "timeline", *L, "--json", **ascii_only)
    assert "\\u00c9-1" in told
    status, told, complaint = process(tmp_path, "", "timeline", "ñ", *L, **ascii_only)
    assert (1, "", "imcm: no incident or change '\\xf1' in this log\n") == (status, told, complaint)


def test_interrupted_while_it_loads_is_one_line_too() -> None:
    told = """
import sys
from imcm.__main__ import main


class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "imcm.cli":
            raise KeyboardInterrupt


sys.meta_path.insert(0, Interrupts())
main()
"""
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert (130, "", "imcm: interrupted\n") == (ran.returncode, ran.stdout, ran.stderr)


def test_interrupted_is_one_line(folder: Path) -> None:
    with inside(folder), patch("imcm.cli.reports.LedgerReader", side_effect=KeyboardInterrupt):
        assert (130, "", "imcm: interrupted\n") == run_here("report", *L)


def test_a_bug_is_one_line_that_says_where_it_is(folder: Path) -> None:
    """Only who asks for the traceback gets one."""
    with inside(folder), patch("imcm.cli.steps.named", side_effect=TypeError("a\nb\x1b[31m")):
        ran = run_here("timeline", *L)
        assert (1, "") == (ran.returncode, ran.stdout)
        pattern = (
            r"imcm: this is a bug in imcm \(TypeError: a\\nb\\x1b\[31m\); please report it with "
            r"the command and: cli/steps.py:\d+\n"
        )
        assert re.fullmatch(pattern, ran.stderr)
        ran = run_here("timeline", *L, IMCM_TRACEBACK="1")
        assert 1 == ran.returncode
        assert ran.stderr.startswith("Traceback")
        assert "\x1b" not in ran.stderr


# --- files that are written -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("export", "jsonl", *L, "--to", "new.jsonl"),
        ("audit", "prove", "INC-204", *L, *A, "--version", "1", "--to", "new.json"),
        ("audit", "key", "a", "--to", "new.pem"),
    ],
    ids=shortened,
)
@pytest.mark.parametrize("call", ["fsync", "fdopen"])
def test_a_full_disk_leaves_no_half_file(folder: Path, words: tuple[str, ...], call: str) -> None:
    before = sorted(folder.iterdir())
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with inside(folder), patch.object(os, call, side_effect=full):
        ran = run_here(*words)
    assert (1, "", f"imcm: {words[-1]} can't be written: No space left on device\n") == ran
    assert before == sorted(folder.iterdir())


def test_a_full_disk_leaves_the_anchors_as_they_were(folder: Path) -> None:
    before = (folder / "a.txt").read_bytes()
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with inside(folder), patch.object(os, "fsync", side_effect=full):
        ran = run_here("audit", "checkpoint", *L, *A)
    assert (1, "", "imcm: a.txt can't be written: No space left on device\n") == ran
    assert before == (folder / "a.txt").read_bytes()


@pytest.mark.parametrize("code", [errno.EPERM, errno.EEXIST, errno.EIO])
def test_a_new_file_where_names_can_not_be_linked(tmp_path: Path, code: int) -> None:
    """On a file system without links it is renamed; a file that came meanwhile stays."""
    path = tmp_path / "new"
    with patch.object(os, "link", side_effect=OSError(code, os.strerror(code))):
        status = common.guarded(lambda: written(path))
    assert (0 if code == errno.EPERM else 1) == status
    assert (["new"] if code == errno.EPERM else []) == [one.name for one in tmp_path.iterdir()]


def written(path: Path) -> None:
    with new_file(path) as file:
        file.write(b"all of it")


def test_a_private_key_is_readable_for_its_owner_only(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="keys are an extra")
    assert 0 == run_here("audit", "key", "a", "--to", tmp_path / "k.pem").returncode
    assert 0o600 == (tmp_path / "k.pem").stat().st_mode & 0o777


def test_the_version_is_printed() -> None:
    ran = run_here("--version")
    assert (0, "") == (ran.returncode, ran.stderr)
    assert re.fullmatch(r"imcm \d+\.\d+\.\d+\S*\n", ran.stdout)


def test_without_a_command_its_help_is_shown() -> None:
    ran = run_here()
    assert (2, "") == (ran.returncode, ran.stdout)
    assert ran.stderr.startswith("Usage: imcm")
