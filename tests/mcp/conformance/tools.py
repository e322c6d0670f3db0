"""
Tools that the conformance suite calls, each as the suite describes it.

https://github.com/modelcontextprotocol/conformance
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import mcp.types as t
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer, require_client_extension
from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent
from pydantic import Field

from imagesession.testing import tiny_image
from imagesession_mcp.tasks_extension import TasksExtension

Ctx = Context[Any, Any]
PNG = base64.b64encode(tiny_image("png")).decode()
WAV = base64.b64encode(
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0"
).decode()
SCHEMA = json.loads((Path(__file__).parent / "schema.json").read_text("utf-8"))
_STEP = 0.05


def _embedded(uri: str, text: str, mime_type: str = "text/plain") -> t.EmbeddedResource:
    contents = t.TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return t.EmbeddedResource(type="resource", resource=contents)


async def simple_text() -> str:
    """
    Return a text.
    """
    return "This is a simple text response for testing."


async def image_content() -> list[ContentBlock]:
    """
    Return an image.
    """
    return [ImageContent(type="image", data=PNG, mime_type="image/png")]


async def audio_content() -> list[ContentBlock]:
    """
    Return audio.
    """
    return [t.AudioContent(type="audio", data=WAV, mime_type="audio/wav")]


async def embedded_resource() -> list[ContentBlock]:
    """
    Return a resource.
    """
    return [_embedded("test://embedded-resource", "This is an embedded resource content.")]


async def multiple_content_types() -> list[ContentBlock]:
    """
    Return a text, an image and a resource.
    """
    return [
        TextContent(type="text", text="Multiple content types test:"),
        ImageContent(type="image", data=PNG, mime_type="image/png"),
        _embedded("test://mixed-content-resource", '{"value": 123}', "application/json"),
    ]


async def tool_with_logging(ctx: Ctx) -> str:
    """
    Send log messages while it runs; clients that did not request logs get none.
    """
    for words in ("execution started", "processing data", "execution completed"):
        sent, to = f"Tool {words}", ctx.request_id
        await ctx.session.send_log_message("info", sent, related_request_id=to)  # pyright: ignore[reportDeprecated] - the suite asks for it
        await asyncio.sleep(_STEP)
    return "Tool with logging executed successfully"


async def tool_with_progress(ctx: Ctx) -> str:
    """
    Report progress while it runs.
    """
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(_STEP)
    return "Tool with progress executed successfully"


async def error_handling() -> str:
    """
    Fail.
    """
    raise RuntimeError("This tool intentionally returns an error for testing")


async def reconnection(ctx: Ctx) -> str:
    """
    Close the stream during a call, and continue.
    """
    await ctx.close_sse_stream()
    await asyncio.sleep(_STEP * 4)
    return "Reconnection test completed"


async def missing_capability(ctx: Ctx) -> str:
    """
    Require a capability that a client may lack.
    """
    if ctx.client_capabilities is None or ctx.client_capabilities.sampling is None:
        data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(t.MISSING_REQUIRED_CLIENT_CAPABILITY, "It needs sampling.", data)
    return "It has sampling"


async def x_mcp_header(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
) -> str:
    """
    Accept an argument that is repeated in a header.
    """
    return f"Region {region}"


async def json_schema(name: str = "") -> str:
    """
    Have a schema with all features of JSON Schema 2020-12, from schema.json.
    """
    return f"Hello {name}"


async def trigger_tool_change(ctx: Ctx) -> str:
    """
    Notify that the list of tools has changed.
    """
    await ctx.notify_tools_changed()
    return "changed"


async def trigger_prompt_change(ctx: Ctx) -> str:
    """
    Notify that the list of prompts has changed.
    """
    await ctx.notify_prompts_changed()
    return "changed"


async def greet(name: str) -> str:
    """
    Return at once.
    """
    return f"Hello, {name}!"


async def slow_compute(seconds: float = 1, label: str = "") -> str:
    """
    Sleep for some seconds.
    """
    await asyncio.sleep(seconds)
    return f"{label or 'It'} took {seconds} s"


async def failing_job(ctx: Ctx) -> CallToolResult:
    """
    Fail after a second; only for clients that support tasks.
    """
    require_client_extension(ctx.request_context, TasksExtension.identifier)
    await asyncio.sleep(1)
    return CallToolResult(content=[TextContent(type="text", text="It failed.")], is_error=True)


async def protocol_error_job() -> str:
    """
    Fail with a protocol error after a second.
    """
    await asyncio.sleep(1)
    raise MCPError(t.INTERNAL_ERROR, "It went wrong.")


async def confirm_delete(filename: str) -> str:
    """
    Return after a second; unlike the suite's own, it elicits nothing.
    """
    await asyncio.sleep(1)
    return f"{filename} stays"


TOOLS: dict[str, Callable[..., Any]] = {
    "test_simple_text": simple_text,
    "test_image_content": image_content,
    "test_audio_content": audio_content,
    "test_embedded_resource": embedded_resource,
    "test_multiple_content_types": multiple_content_types,
    "test_tool_with_logging": tool_with_logging,
    "test_logging_tool": tool_with_logging,
    "test_tool_with_progress": tool_with_progress,
    "test_error_handling": error_handling,
    "test_reconnection": reconnection,
    "test_missing_capability": missing_capability,
    "test_x_mcp_header": x_mcp_header,
    "test_trigger_tool_change": trigger_tool_change,
    "test_trigger_prompt_change": trigger_prompt_change,
    "json_schema_2020_12_tool": json_schema,
    "greet": greet,
    "slow_compute": slow_compute,
    "failing_job": failing_job,
    "protocol_error_job": protocol_error_job,
    "confirm_delete": confirm_delete,
}


async def with_schema(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """
    Give one tool the schema that the suite expects, which no signature produces.
    """
    result = await call_next(ctx)
    if ctx.method == "tools/list" and isinstance(result, dict):
        for tool in result["tools"]:
            if tool["name"] == "json_schema_2020_12_tool":
                tool["inputSchema"] = SCHEMA
    return result


def add_tools(server: MCPServer[Any]) -> None:
    """
    Add the tools to a server.
    """
    for name, function in TOOLS.items():
        server.add_tool(function, name=name)
    server.middleware.append(with_schema)
