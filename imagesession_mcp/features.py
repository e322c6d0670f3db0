"""
What a server offers: its tools, resources and prompts, and words that help when one goes wrong.

It takes some hundred milliseconds to load, and is not needed to say hello.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attrs
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

from imagesession.errors import ImageSessionError, NotFoundError
from imagesession_mcp.calls import asked
from imagesession_mcp.errors import RefusedCallError, describe, refuse
from imagesession_mcp.prompts import add_prompts
from imagesession_mcp.resources import add_resources, mime_type_of
from imagesession_mcp.tools import NAMES, add_tools, slim

CallTool: TypeAlias = Callable[..., Awaitable[CallToolResult | InputRequiredResult]]
ListTools: TypeAlias = Callable[[], Awaitable[list[Tool]]]
ReadResource: TypeAlias = Callable[
    ..., Awaitable[Iterable[ReadResourceContents] | InputRequiredResult]
]
# Longer than any; it takes time to compare what is not.
_NAME_LENGTH = 80


@attrs.frozen
class Features:
    """
    What a server offers, used as MCPServer does, and what goes wrong told in one place for all.

    Attributes:
        known: The arguments that each tool has.
    """

    known: Mapping[str, tuple[str, ...]]

    async def call_tool(
        self,
        plain: CallTool,
        name: str,
        arguments: dict[str, Any],
        context: Context[Any, Any] | None,
    ) -> CallToolResult | InputRequiredResult:
        """
        Call a tool by its name. Whatever it raises is told in its result.
        """
        token = asked.set(_spelled(name, arguments))
        try:
            if name in NAMES:
                self._check_names(name, arguments)
            return await plain(name, arguments, context)
        except RefusedCallError as error:
            return refuse(error)
        except UnexpectedToolError as error:
            return refuse(_cause(error))
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                return refuse(error.__cause__)
            if str(error) == f"Unknown tool: {name}":
                return refuse(_no_tool(name))
            raise
        finally:
            asked.reset(token)

    async def list_tools(self, plain: ListTools) -> list[Tool]:
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
            for tool in await plain()
        ]

    async def read_resource(
        self, plain: ReadResource, uri: AnyUrl | str, context: Context[Any, Any] | None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """
        Read a resource by its URI, as what it is.
        """
        try:
            contents = await plain(uri, context)
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
        known = self.known[name]
        for argument in arguments:
            if argument not in known:
                near, hint = _nearest(argument, known)
                raise RefusedCallError(
                    "invalid_parameters",
                    f"{name} has no argument {argument[:40]!r}.{hint} "
                    f"It takes: {', '.join(known)}.",
                    {"nearest": near},
                )


def add_features(server: MCPServer[Any]) -> Features:
    """
    Add everything to a server.
    """
    add_tools(server)
    add_resources(server)
    add_prompts(server)
    tools = server._tool_manager.list_tools()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - tells without waiting
    return Features({tool.name: tuple(tool.parameters.get("properties", {})) for tool in tools})


def _no_tool(name: str) -> RefusedCallError:
    near, hint = _nearest(name, sorted(NAMES))
    return RefusedCallError(
        "tool_not_found",
        f"There is no tool {name[:40]!r}.{hint} tools/list names all that there are.",
        {"nearest": near},
    )


def _nearest(name: str, known: Iterable[str]) -> tuple[list[str], str]:
    """
    Return the name that is spelled most alike, if any is, and the question whether it was meant.
    """
    near = difflib.get_close_matches(name[:_NAME_LENGTH], list(known), n=1)
    return near, f" Did you mean {near[0]!r}?" if near else ""


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
