"""
The command line: a few lines over the library for each command.

Reading commands open the ledger read-only; only `demo`, `import`, `receive` and `backup` create
one.
Exit status: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted; one line on standard error
says what is wrong and what to do.

What a command needs is loaded when it is called: most need little, and people wait for the start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from imcm.cli.common import guarded, say

HOMES: Final[Mapping[str, str]] = {
    "demo": "imcm.cli.demo",
    "import": "imcm.cli.files",
    "formats": "imcm.cli.files",
    "export": "imcm.cli.exports",
    "backup": "imcm.cli.files",
    "receive": "imcm.cli.receive",
    "dead-letters": "imcm.cli.receive",
    "timeline": "imcm.cli.steps",
    "list": "imcm.cli.boards",
    "search": "imcm.cli.boards",
    "show": "imcm.cli.boards",
    "next": "imcm.cli.steps",
    "gate": "imcm.cli.policy",
    "policy": "imcm.cli.policy",
    "what-if": "imcm.cli.policy",
    "risk": "imcm.cli.policy",
    "duties": "imcm.cli.policy",
    "mcp": "imcm.cli.mcp",
    "report": "imcm.cli.reports",
    "page": "imcm.cli.page",
    "review": "imcm.cli.review",
    "audit": "imcm.cli.audit",
}
"""Which file has a command, in the order in which help lists them."""


class Commands(TyperGroup):
    """All commands, each loaded with its file when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands. Any: a context of the library that reads commands."""
        return list(HOMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; None where there is none of that name. Any: as above."""
        home = HOMES.get(cmd_name)
        if home is None:
            return None
        group: Any = get_group(import_module(home).app)  # a group also where it is one command
        return group.commands[cmd_name]


app = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        say(f"imcm {metadata.version('imcm')}")
        raise typer.Exit


@app.callback(help=(__doc__ or "").rpartition("\n\n")[0])
def _top(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Take what stands before the command."""


def run(words: Sequence[str]) -> int:
    """Run the command line that *words* are, without the program's name; return its exit status."""

    def command() -> None:
        top = get_command(app)
        with top.make_context("imcm", list(words)) as context:
            top.invoke(context)

    return guarded(command)


def main() -> None:
    """Run the command line of this process, or answer a shell that wants to complete it."""
    if os.environ.get("_IMCM_COMPLETE"):
        get_command(app).main(prog_name="imcm")
    sys.exit(run(sys.argv[1:]))
