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

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.stdio import stdio_server
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

    Attributes:
        answering: How many requests are being answered.
    """

    answering = 0
    _features: Features | None = None

    @property
    def is_loaded(self) -> bool:
        """
        Whether it has loaded what it offers.
        """
        return self._features is not None

    async def run_stdio_async(
        self, stdin: anyio.AsyncFile[str] | None = None, stdout: anyio.AsyncFile[str] | None = None
    ) -> None:
        """
        Serve one client until it has nothing more to say.

        Args:
            stdin: Gives its messages, line by line; None for the process's own stream.
            stdout: Takes ours.
        """
        async with stdio_server(stdin, stdout) as (heard, said):
            server = self._lowlevel_server
            await server.run(heard, said, server.create_initialization_options())

    async def answer(
        self, ctx: ServerRequestContext[Lifespan, Any], call_next: CallNext
    ) -> HandlerResult:
        """
        Answer a request; all but greetings wait until everything is loaded.
        """
        if ctx.request_id is None:
            return await call_next(ctx)
        self.answering += 1
        try:
            if ctx.method not in _GREETINGS:
                await ctx.lifespan_context.ready()
            return await call_next(ctx)
        finally:
            self.answering -= 1

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
        **passed,
    )
    server.middleware.append(server.answer)
    # Here, for clients are told in the greeting whether there are completions.
    server.completion()(_complete)  # type: ignore[no-untyped-call] # the SDK's own is untyped
    return server


async def _complete(
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    context: CompletionContext | None,
) -> Completion | None:
    from imagesession_mcp.resources import complete  # noqa: PLC0415 - loaded by now

    return await complete(ref, argument, context)
