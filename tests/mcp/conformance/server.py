"""
The server with the additional tools and documents that the conformance suite needs.

    python -m tests.mcp.conformance.server PORT LIBRARY stateless|sessions
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import mcp.types as t
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import MCPServer

from imagesession_mcp.http import build_asgi_app, build_authenticated_server, run_uvicorn
from imagesession_mcp.settings import Settings
from tests.mcp.conformance.documents import add_documents
from tests.mcp.conformance.elicitation import add_elicitation
from tests.mcp.conformance.tools import add_tools


async def _nothing(_: ServerRequestContext[Any, Any], __: object) -> t.EmptyResult:
    return t.EmptyResult()


def _add_legacy_methods(server: MCPServer[Any]) -> None:
    """
    Add the methods of protocol 2025-11-25 that 2026-07-28 no longer has.
    """
    low = server._lowlevel_server  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - it has no other door to these
    low.add_request_handler("logging/setLevel", t.SetLevelRequestParams, _nothing)
    low.add_request_handler("resources/subscribe", t.SubscribeRequestParams, _nothing)
    low.add_request_handler("resources/unsubscribe", t.UnsubscribeRequestParams, _nothing)


async def main(port: str, library: str, kind: str) -> None:
    """
    Serve until terminated.

    Args:
        port: The port on this computer.
        library: An empty folder.
        kind: `stateless` (the default) or `sessions`, in which the server can send requests.
    """
    settings = Settings(library=Path(library), offline=True, http=True, port=int(port))
    server = build_authenticated_server(settings)
    add_tools(server)
    add_elicitation(server)
    add_documents(server)
    _add_legacy_methods(server)
    await run_uvicorn(build_asgi_app(server, settings, stateless=kind == "stateless"), settings)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
