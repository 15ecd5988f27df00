"""
The command line run in this process: as `python -m imcm` runs it, with its streams captured.
"""

from __future__ import annotations

import os
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

ENVIRONMENT = {"COLUMNS": "160", "NO_COLOR": "1"}


class Ran(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def run_here(*words: str | Path, encoding: str = "utf-8", **environment: str) -> Ran:
    """Run one command line with this encoding of its output and these environment variables."""
    from imcm.cli import run

    out, err = BytesIO(), BytesIO()
    with (
        patch.dict(os.environ, ENVIRONMENT | environment),
        redirect_stdout(TextIOWrapper(out, encoding=encoding, newline="\n")) as told,
        redirect_stderr(TextIOWrapper(err, encoding=encoding, newline="\n")) as complained,
    ):
        status = run([str(word) for word in words])
        told.detach()
        complained.detach()
    return Ran(status, *(held.getvalue().decode(encoding) for held in (out, err)))


def subcommands(command):
    """Return the commands of a group by their names; none of a command that is none."""
    listed = getattr(command, "list_commands", None)
    return (
        {} if listed is None else {name: command.get_command(None, name) for name in listed(None)}
    )
