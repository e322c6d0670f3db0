"""
The server: the methods of imagesession as MCP tools, with resources and prompts.

No module here imports the library's classes by name. imagesession imports a name when it is first
used, so the server can answer `initialize` sooner.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import (
    ResourceError,
    ResourceNotFoundError,
    UnexpectedResourceError,
)
from mcp.types import CallToolResult, Icon, InputRequiredResult
from pydantic import AnyUrl

import imagesession
from imagesession.errors import NotFoundError
from imagesession_mcp.app_state import AppState, OpenStudio, app_state, open_studio
from imagesession_mcp.context import IMAGE_URI, CallContext
from imagesession_mcp.downloads import DownloadAddresses
from imagesession_mcp.errors import ToolCallError, to_payload
from imagesession_mcp.resources import add_prompts, add_resources, complete
from imagesession_mcp.results import error_result, mime_type_of
from imagesession_mcp.settings import Settings
from imagesession_mcp.texts import read_text
from imagesession_mcp.tools import TOOLS, unknown_tool


class Server(MCPServer[AppState]):
    """
    An `MCPServer` whose errors have a message, a code, and suggestions. While it runs, it has a
    state.
    """

    state: AppState | None = None

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[AppState, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """
        Call a tool by its name; for an unknown one, the error names the nearest.
        """
        if self._tool_manager.get_tool(name) is None:
            return error_result(unknown_tool(name))
        return await super().call_tool(name, arguments, context)

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[AppState, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """
        Read a resource by its URI; an image has its own media type.
        """
        try:
            contents = await super().read_resource(uri, context)
            if isinstance(contents, InputRequiredResult) or not IMAGE_URI.fullmatch(str(uri)):
                return contents
            mime_type = mime_type_of(await CallContext.from_request().image(str(uri)))
        except UnexpectedResourceError as error:
            raise _resource_error(error.__cause__ or error) from error
        return [ReadResourceContents(part.content, mime_type, part.meta) for part in contents]


def build_server(
    settings: Settings,
    *,
    open: OpenStudio = open_studio,
    downloads: DownloadAddresses | None = None,
    **arguments: Any,  # noqa: ANN401 - MCPServer's own
) -> Server:
    """
    Build a server. Tests pass a function that opens studios with their own provider; more arguments
    go to `MCPServer`: `auth`, `token_verifier`, `extensions`.
    """

    @asynccontextmanager
    async def lifespan(_: MCPServer[AppState]) -> AsyncGenerator[AppState, None]:
        server.state = state = AppState(settings, open, downloads=downloads)
        state.start()
        try:
            yield state
        finally:
            server.state = None
            await state.close()

    icon = f"data:image/svg+xml,{quote(read_text('icon.svg'))}"
    server = Server(
        "imagesession",
        title="imagesession",
        description="Makes images in conversation with OpenAI's models.",
        instructions=read_text("instructions.md").strip(),
        version=imagesession.__version__,
        # Of the server, once: an icon for each tool would fill the contexts of agents.
        icons=[Icon(src=icon, mime_type="image/svg+xml")],
        log_level="WARNING",
        tools=list(TOOLS),
        lifespan=lifespan,
        middleware=[_with_state],
        **arguments,
    )
    add_resources(server)
    add_prompts(server)
    server.completion()(complete)  # type: ignore[no-untyped-call] # the SDK's own is untyped
    return server


async def _with_state(
    ctx: ServerRequestContext[AppState, Any], call_next: CallNext
) -> HandlerResult:
    """
    Set the server's state for the request; not all of the SDK's handlers get its context.
    """
    app_state.set(ctx.lifespan_context)
    return await call_next(ctx)


def _resource_error(error: BaseException | None) -> ResourceError:
    if isinstance(error, (ToolCallError, NotFoundError)):
        return ResourceNotFoundError(str(error))
    return ResourceError(to_payload(error)["error"])
