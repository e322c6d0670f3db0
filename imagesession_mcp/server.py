"""
The server: imagesession's verbs as MCP tools.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import (
    ResourceError,
    ResourceNotFoundError,
    ToolError,
    UnexpectedResourceError,
    UnexpectedToolError,
)
from mcp.types import CallToolResult, InputRequiredResult, Tool
from pydantic import AnyUrl, ValidationError

import imagesession
from imagesession.errors import ImageSessionError, NotFoundError
from imagesession_mcp.calls import asked
from imagesession_mcp.errors import RefusedCallError, describe, refuse
from imagesession_mcp.prompts import add_prompts
from imagesession_mcp.resources import add_resources, mime_type_of
from imagesession_mcp.settings import Settings
from imagesession_mcp.state import OpenStudio, State, living, open_studio, serving
from imagesession_mcp.tools import NAMES, add_tools, slim

INSTRUCTIONS = (
    "Makes, edits and refines pictures with OpenAI's models, in sessions that remember. For more "
    "than one picture start with create_image_session and go on with generate_image_in_session; "
    "for a single one call generate_image. Name pictures by image_id. If a result says "
    '"status":"running", call get_generation for the picture instead of asking for it anew. '
    "get_usage_guide tells more."
)


class Server(MCPServer[State]):
    """
    An `MCPServer` that says what went wrong in words that help, in one place for all tools.
    """

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[State, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """
        Call a tool by its name. Whatever it raises is told in its result.
        """
        token = asked.set(_spelled(name, arguments))
        try:
            if name in NAMES:
                self._check_names(name, arguments)
            return await super().call_tool(name, arguments, context)
        except RefusedCallError as error:
            return refuse(error)
        except UnexpectedToolError as error:
            return refuse(_cause(error))
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                return refuse(error.__cause__)
            raise
        finally:
            asked.reset(token)

    async def list_tools(self) -> list[Tool]:
        """
        List the tools, their schemas as short as they can be.
        """
        return [
            tool.model_copy(
                update={
                    "input_schema": slim(tool.input_schema),
                    "output_schema": tool.output_schema and slim(tool.output_schema),
                }
            )
            if tool.name in NAMES
            else tool
            for tool in await super().list_tools()
        ]

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[State, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """
        Read a resource by its URI, as what it is.
        """
        try:
            contents = await super().read_resource(uri, context)
            mime_type = await mime_type_of(str(uri))
        except UnexpectedResourceError as error:
            raise _resource_error(_cause(error)) from error
        if mime_type is None or isinstance(contents, InputRequiredResult):
            return contents
        return [ReadResourceContents(one.content, mime_type, one.meta) for one in contents]

    def _check_names(self, name: str, arguments: Mapping[str, Any]) -> None:
        """
        Refuse arguments that a tool does not have; ignored, they would be paid for all the same.
        """
        tool = self._tool_manager.get_tool(name)
        known = list(tool.parameters.get("properties", {})) if tool else []
        for argument in arguments:
            if argument not in known:
                near = difflib.get_close_matches(argument, known, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise RefusedCallError(
                    "invalid_parameters",
                    f"{name} has no argument {argument[:40]!r}.{hint} "
                    f"It takes: {', '.join(known)}.",
                    {"nearest": near},
                )


def build_server(
    settings: Settings,
    *,
    open: OpenStudio = open_studio,
    **passed: Any,  # noqa: ANN401 - what MCPServer takes
) -> Server:
    """
    Make a server.

    Args:
        settings: What the person decided.
        open: Opens the studios, as tests do it over a provider of their own.
        **passed: What `MCPServer` takes beside, such as `auth`, `token_verifier`, `extensions`.
    """

    def lifespan(_: MCPServer[State]) -> AbstractAsyncContextManager[State]:
        return living(State(settings, open))

    passed.setdefault("log_level", "WARNING")
    server = Server(
        "imagesession",
        title="imagesession",
        description="Makes pictures in conversation with OpenAI's models.",
        instructions=INSTRUCTIONS,
        version=imagesession.__version__,
        lifespan=lifespan,
        middleware=[_remember],
        **passed,
    )
    add_tools(server)
    add_resources(server)
    add_prompts(server)
    return server


async def _remember(ctx: ServerRequestContext[State, Any], call_next: CallNext) -> HandlerResult:
    """
    Let whatever is done for a request find the state, where the SDK hands it no context.
    """
    serving.set(ctx.lifespan_context)
    return await call_next(ctx)


def _spelled(name: str, arguments: Mapping[str, Any]) -> str:
    asked_for = {key: value for key, value in arguments.items() if key != "preview"}
    return name + json.dumps(asked_for, sort_keys=True, default=str)


def _cause(error: Exception) -> Exception:
    """
    Return what went wrong first.
    """
    cause = error.__cause__
    return cause if isinstance(cause, Exception) else error


def _resource_error(error: Exception) -> ResourceError:
    if isinstance(error, (RefusedCallError, NotFoundError)):
        return ResourceNotFoundError(str(error))
    if isinstance(error, ImageSessionError):
        return ResourceError(error.message)
    return ResourceError(describe(error)["error"])
