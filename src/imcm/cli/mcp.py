"""
The command that serves a ledger to an automated responder.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imcm.cli.common import NoViews, ViewsFile, show
from imcm.domain.vocabulary import Actor, known_id
from imcm.errors import InvalidValue
from imcm.ledger.reading import LedgerReader

if TYPE_CHECKING:
    from imcm.agents.toolbox import Tool

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("mcp")
def mcp(
    ledger: Annotated[
        Path | None, typer.Option(help="The ledger file.", envvar="IMCM_LEDGER")
    ] = None,
    as_: Annotated[
        str | None, typer.Option("--as", help="Who calls the tools: agent:<id>.")
    ] = None,
    allow_writes: Annotated[
        bool, typer.Option("--allow-writes", help="Tools that propose, tell and link, too.")
    ] = False,
    tool: Annotated[
        list[str] | None, typer.Option("--tool", help="This tool, too; may be given again.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="Not this tool; may be given again.")
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List all tools, and which would be on; then end.")
    ] = False,
    views: ViewsFile = None,
    no_views: NoViews = False,
) -> None:
    """Serve a ledger to an agent over the Model Context Protocol, on standard streams."""
    from imcm.agents.toolbox import all_tools, chosen

    tools = all_tools()
    on = chosen(tools, allow_writes=allow_writes, also=tool or (), without=without or ())
    if list_:
        _list(tools, on)
        return
    if ledger is None or as_ is None:
        raise typer.BadParameter("give --ledger and --as, or --list")
    agent = _agent(as_)
    from imcm.agents.reading import Session
    from imcm.agents.server import serve
    from imcm.agents.steps import Act, why_no_agent
    from imcm.cli.boards import opened_views

    with ExitStack() as stack:
        book = stack.enter_context(LedgerReader(ledger))
        if any(tools[name].act is not Act.READ for name in on):
            why = why_no_agent(book.rules().policy, agent)
            if why is not None:
                raise InvalidValue("--as", as_, f"an agent, to record anything: {why}")
            from imcm.ledger.recording import Ledger

            # It is there: it was just read. What an agent is refused is kept, as what it does.
            book = stack.enter_context(Ledger(ledger, record_refusals=True))
        now = stack.enter_context(opened_views(book, ledger, views, no_views))
        serve(Session(ledger=book, views=now, agent=agent, tools=on, clock=book.now), tools)


def _agent(text: str) -> str:
    """Return the id of an agent, without what kind it is."""
    kind, _, id_ = text.partition(":")
    if kind != Actor.AGENT.value or not id_:
        raise InvalidValue("--as", text, "agent:<id>, such as agent:responder")
    return known_id("--as", id_)


def _list(tools: Mapping[str, Tool], on: frozenset[str]) -> None:
    """Print every tool: what somebody does who calls it, and whether it would be on."""
    rows = [
        (name, tool.act.value, "on" if name in on else "off", tool.meaning.partition(".")[0])
        for name, tool in tools.items()
    ]
    show(("tool", "act", "on", "what"), rows, whole=("tool", "act", "on"))
