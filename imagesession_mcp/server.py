"""
The server: imagesession's verbs as MCP tools.

It says hello before it has loaded what it offers, which takes as long again: clients wait for the
one, and seldom for the other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import (
    CallToolResult,
    Completion,
    CompletionArgument,
    CompletionContext,
    InputRequiredResult,
    PromptReference,
    ResourceTemplateReference,
    Tool,
)
from pydantic import AnyUrl

import imagesession
from imagesession_mcp.lifespan import Lifespan, living
from imagesession_mcp.settings import Settings

if TYPE_CHECKING:
    from imagesession_mcp.features import Features
    from imagesession_mcp.state import OpenStudio

INSTRUCTIONS = (
    "Makes, edits and refines pictures with OpenAI's models, in sessions that remember. For more "
    "than one picture start with create_image_session and go on with generate_image_in_session; "
    "for a single one call generate_image. Name pictures by image_id. If a result says "
    '"status":"running", call get_generation for the picture instead of asking for it anew. '
    "get_usage_guide tells more."
)
# What a server answers that has nothing loaded.
_GREETINGS = frozenset({"initialize", "server/discover", "ping"})
_LOADING = threading.Lock()


class Server(MCPServer[Lifespan]):
    """
    An `MCPServer` that loads what it offers when that is asked for, or while nothing is.
    """

    _features: Features | None = None

    def load(self) -> Features:
        """
        Return what it offers, loaded the first time; threads may call it at once.
        """
        with _LOADING:
            if self._features is None:
                from imagesession_mcp.features import add_features  # noqa: PLC0415 - see above

                self._features = add_features(self)
            return self._features

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Lifespan, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """
        Call a tool by its name. Whatever it raises is told in its result.
        """
        return await self.load().call_tool(super().call_tool, name, arguments, context)

    async def list_tools(self) -> list[Tool]:
        """
        List the tools, their schemas as short as they can be.
        """
        return await self.load().list_tools(super().list_tools)

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Lifespan, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """
        Read a resource by its URI, as what it is.
        """
        return await self.load().read_resource(super().read_resource, uri, context)


def build_server(
    settings: Settings,
    *,
    open: OpenStudio | None = None,
    **passed: Any,  # noqa: ANN401 - what MCPServer takes
) -> Server:
    """
    Make a server.

    Args:
        settings: What the person decided.
        open: Opens the studios, as tests do it over a provider of their own; None for the usual.
        **passed: What `MCPServer` takes beside, such as `auth`, `token_verifier`, `extensions`.
    """

    def lifespan(_: MCPServer[Lifespan]) -> AbstractAsyncContextManager[Lifespan]:
        return living(server.load, settings, open)

    passed.setdefault("log_level", "WARNING")
    server = Server(
        "imagesession",
        title="imagesession",
        description="Makes pictures in conversation with OpenAI's models.",
        instructions=INSTRUCTIONS,
        version=imagesession.__version__,
        lifespan=lifespan,
        middleware=[_greet_first],
        **passed,
    )
    # Here, for clients are told in the greeting whether there are completions.
    server.completion()(_complete)  # type: ignore[no-untyped-call] # the SDK's own is untyped
    return server


async def _greet_first(
    ctx: ServerRequestContext[Lifespan, Any], call_next: CallNext
) -> HandlerResult:
    """
    Let all requests but greetings wait until everything is loaded.
    """
    if ctx.request_id is not None and ctx.method not in _GREETINGS:
        await ctx.lifespan_context.ready()
    return await call_next(ctx)


async def _complete(
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    context: CompletionContext | None,
) -> Completion | None:
    from imagesession_mcp.resources import complete  # noqa: PLC0415 - loaded by now

    return await complete(ref, argument, context)
