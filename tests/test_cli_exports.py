"""`imcm export`: where it writes, what it never writes over, and what is in a pipe."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

import pytest

import exported
from commands import run_here
from exported import SECRET
from imcm.errors import InvalidValue, StoreError
from imcm.interchange.exports.targets import file_to_write, folder_to_write

pytest.importorskip("typer", reason="the command line is an extra")
HAS_ARROW = find_spec("pyarrow") is not None
FILES = [
    ("cdevents",),
    ("ocel",),
    ("csv", "--table", "incidents"),
    ("markdown", "INC-1"),
    ("json", "INC-1", "CHG-1"),
]
BINARY = [("parquet", "--table", "log"), ("arrow", "--table", "spells")] if HAS_ARROW else []
FOLDERS = [("csv",), *([("parquet",), ("arrow",)] if HAS_ARROW else [])]


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger.db"
    exported.told(path).close()
    return path


def export(ledger, *words):
    return run_here("export", *words, "--ledger", ledger)


def contents(path):
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files}


@pytest.mark.parametrize("words", [*FILES, *BINARY, *FOLDERS], ids=" ".join)
def test_it_replaces_its_own_and_nothing_else(words, ledger, tmp_path):
    """Once more is the same; the ledger, a folder and other files are never written over."""
    out = tmp_path / "made"
    first = export(ledger, *words, "--out", out)
    assert (first.returncode, first.stderr) == (0, "")
    before = contents(out)
    assert export(ledger, *words, "--out", out).returncode == 0
    assert contents(out).keys() == before.keys()
    if words not in BINARY and words not in FOLDERS[1:]:
        assert contents(out) == before
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    note = tmp_path / "note.txt"
    note.write_text("mine")
    for other in (ledger, full, note):
        kept = contents(other)
        refused = export(ledger, *words, "--out", other)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert str(other) in refused.stderr
        assert contents(other) == kept
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("words", FILES, ids=" ".join)
def test_standard_output_is_the_file(words, ledger, tmp_path):
    """What goes into a pipe is what a file has, and nothing beside it."""
    out = tmp_path / "made"
    export(ledger, *words, "--out", out)
    piped = export(ledger, *words, "--out", "-")
    assert piped.stdout.encode() == out.read_bytes()
    assert piped.stderr == ""
    assert SECRET not in piped.stdout


@pytest.mark.parametrize("words", BINARY, ids=" ".join)
def test_a_table_in_a_pipe(words, ledger):
    """Bytes go as they are; without --table there is no one file to be piped."""
    import pyarrow as pa
    import pyarrow.ipc
    import pyarrow.parquet

    command = [sys.executable, "-m", "imcm", "export", *words, "--ledger", str(ledger)]
    ran = subprocess.run([*command, "--out", "-"], capture_output=True, check=True)
    read = pa.parquet.read_table if words[0] == "parquet" else _read_arrow
    assert read(io.BytesIO(ran.stdout)).num_rows > 0
    refused = export(ledger, words[0], "--out", "-")
    assert refused.returncode == 1
    assert "--table" in refused.stderr
    with patch.dict(os.environ, {"FORCE_COLOR": "1"}):
        refused = export(ledger, *words, "--out", "-")
    assert refused.returncode == 1


def _read_arrow(file):
    import pyarrow.ipc as ipc

    return ipc.open_file(file).read_all()


def test_what_is_left_out_is_told(ledger, tmp_path):
    """Beside a file, by its reason; of a pipe nothing is said."""
    told = export(ledger, "cdevents", "--out", tmp_path / "made").stdout
    assert "left out: 1 a change without a service" in told
    assert told.splitlines()[0].startswith("11 events written to ")


def test_known_at_words_and_arguments(ledger, tmp_path):
    """Options reach the exports; what can't be is one line that names it."""
    few = export(ledger, "cdevents", "--known-at", "5", "--no-words").stdout.splitlines()
    many = export(ledger, "cdevents").stdout.splitlines()
    assert 0 < len(few) < len(many)
    assert all("description" not in json.loads(x)["data"]["subject"]["content"] for x in few)
    assert "\ufeff" == export(ledger, "csv", "--table", "causes", "--bom", "--out", "-").stdout[0]
    for words in (
        ("cdevents", "--source", "a b"),
        ("csv", "--table", "log", "--out", "x"),
        ("csv", "--out", "-"),
        ("markdown", "INC-77"),
        ("json", "INC-1", "--known-at", "999999"),
        ("ocel", "--known-at", "yesterday"),
    ):
        ran = export(ledger, *words)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.count("\n") == 1


def test_jsonl_takes_out_as_well(ledger, tmp_path):
    """The whole log goes to a new file only; - is standard output."""
    out = tmp_path / "log.jsonl"
    assert export(ledger, "jsonl", "--out", out).returncode == 0
    assert export(ledger, "jsonl", "--out", "-").stdout.encode() == out.read_bytes()
    assert export(ledger, "jsonl", "--to", out).returncode == 1


def test_figures_as_csv(ledger):
    """The report as CSV has a row for each figure, and nothing else."""
    ran = run_here("report", "--ledger", ledger, "--format", "csv", "--by", "service")
    assert ran.returncode == 0
    head, *rows = ran.stdout.splitlines()
    assert head.startswith('"figure","group","period","from (UTC)"')
    assert len(rows) > 7
    assert any('"\'=cart"' in row for row in rows)
    assert run_here("report", "--ledger", ledger, "--format", "csv", "--json").returncode == 2


# --- files and folders ----------------------------------------------------------------------------


def half_written_file(path):
    with file_to_write(path, "x", lambda _: True) as file:
        file.write(b"half")
        raise RuntimeError


def half_written_folder(path):
    with folder_to_write(path, "x", lambda _: True) as folder:
        (folder / "new").write_bytes(b"half")
        raise RuntimeError


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    """What fails half-way leaves what was there, and nothing beside it."""
    path = tmp_path / "made"
    for before in (None, b"old"):
        if before is not None:
            path.write_bytes(before)
        with pytest.raises(RuntimeError):
            half_written_file(path)
        assert [p.name for p in tmp_path.iterdir()] == ([] if before is None else ["made"])
    assert path.read_bytes() == b"old"


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    """What fails half-way leaves the folder that was there, and nothing beside it."""
    path = tmp_path / "made"
    for before in (False, True):
        if before:
            path.mkdir()
            (path / "old").write_bytes(b"old")
        with pytest.raises(RuntimeError):
            half_written_folder(path)
        assert [p.name for p in tmp_path.iterdir()] == (["made"] if before else [])
    with folder_to_write(path, "x", lambda _: True) as folder:
        (folder / "new").write_bytes(b"new")
    assert contents(path) == {"new": b"new"}
    assert [p.name for p in tmp_path.iterdir()] == ["made"]


def test_links_and_devices(tmp_path):
    """A link that leads nowhere, a device and a file that is no folder are refused."""
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(tmp_path / "nowhere")
    file.write_bytes(b"x")
    for path in (link, Path("/dev/null")):
        with pytest.raises(InvalidValue), file_to_write(path, "x", lambda _: True):
            pass
    for path in (link, file):
        with pytest.raises(InvalidValue), folder_to_write(path, "x", lambda _: True):
            pass
    with pytest.raises(StoreError), file_to_write(tmp_path / "a" / "b", "x", lambda _: True):
        pass
    with pytest.raises(StoreError), folder_to_write(tmp_path / "a" / "b", "x", lambda _: True):
        pass


@pytest.mark.skipif(os.name == "nt", reason="modes of files are those of POSIX")
def test_the_mode_of_a_file_stays(tmp_path):
    """Who may read what is replaced is who may read what takes its place."""
    path = tmp_path / "made"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with file_to_write(path, "x", lambda _: True) as file:
        file.write(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
