"""
The tools of a ledger, served to one client over the Model Context Protocol on standard streams.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from imcm.agents.answers import WHOSE_WORDS
from imcm.agents.reading import Plain, Session
from imcm.agents.steps import Act
from imcm.agents.toolbox import Tool, call_tool, refusal
from imcm.errors import MissingExtraError

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

INSTRUCTIONS: Final = (
    "A ledger of incidents and changes. Call about first; next_steps says of one incident or "
    "change what can be done and why the rest can't. Times need an offset. A tool that records "
    "takes a key: give the same one when a call is made again. A refusal is an answer: do what it "
    "says, or ask a person. " + WHOSE_WORDS
)


def serve(session: Session, tools: Mapping[str, Tool]) -> None:
    """
    Serve the tools that are on to the client at the other end of standard input and output.

    It returns when the client closes its end. One call is worked on at a time.

    Raises:
        MissingExtraError: The extra `mcp` is not installed.
    """
    try:
        import anyio
        from mcp.server.stdio import stdio_server
    except ImportError:
        raise MissingExtraError("serving a ledger to agents", "mcp") from None
    server = mcp_server(session, tools)

    async def run() -> None:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    anyio.run(run)


# Any: what the library keeps for a server's lifetime, which is nothing here.
def mcp_server(session: Session, tools: Mapping[str, Tool]) -> Server[Any]:
    """Return a server of the protocol that offers the tools that are on, whatever carries it."""
    from importlib.metadata import version

    import anyio
    import mcp_types as types
    from mcp.server.lowlevel import Server

    offered = [
        types.Tool(
            name=name,
            description=tool.description,
            input_schema=tool.schema,
            annotations=types.ToolAnnotations(
                read_only_hint=tool.act is Act.READ,
                destructive_hint=False,  # nothing is ever overwritten
                idempotent_hint=True,  # under its key, or since it only reads
                open_world_hint=False,
            ),
        )
        for name, tool in tools.items()
        if name in session.tools
    ]
    turns = anyio.CapacityLimiter(1)

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=offered)

    async def call(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        work = partial(_worked, session, tools, params.name, params.arguments or {})
        failed, content = await anyio.to_thread.run_sync(work, limiter=turns)
        text = types.TextContent(type="text", text=json.dumps(content, ensure_ascii=True))
        return types.CallToolResult(content=[text], structured_content=content, is_error=failed)

    return Server(
        "imcm",
        version=version("imcm"),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call,
    )


def _worked(
    session: Session, tools: Mapping[str, Tool], name: str, given: Mapping[str, Any]
) -> tuple[bool, Plain]:
    """Return whether a call failed, and what is answered: no error leaves it as a traceback."""
    try:
        return False, call_tool(session, tools, name, given)
    except Exception as error:
        return True, refusal(error)
