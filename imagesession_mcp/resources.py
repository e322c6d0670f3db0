"""
Images, sessions and the guide as resources, the completion of ids, and prompts that start the
common workflows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import PromptArgument
from mcp.types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
    Tool,
)

from imagesession_mcp import payloads
from imagesession_mcp.context import CallContext
from imagesession_mcp.texts import read_table, read_text

_MAX_SESSIONS = 50
_MAX_COMPLETIONS = 100


def render_guide(tools: Sequence[Tool]) -> str:
    """
    Return the guide as Markdown, with the first sentence of each tool's description.
    """
    text = read_text("guide.md")
    sentences = {tool.name: (tool.description or "").partition(". ")[0] for tool in tools}
    tool_list = (f"- `{name}`: {sentence.rstrip('.')}." for name, sentence in sentences.items())
    return text.replace("{tools}", "\n".join(tool_list))


async def image_bytes(image_id: str) -> bytes:
    """
    The image's file, unchanged. An SVG, which could run scripts, is rendered as PNG.
    """
    image = await CallContext.from_request().image(image_id)
    if image.format == "svg":
        return await asyncio.to_thread(image.as_png)
    return await asyncio.to_thread(lambda: image.bytes)


async def image_metadata(image_id: str) -> str:
    """
    All recorded metadata of an image.
    """
    image = await CallContext.from_request().image(image_id)
    metadata = await asyncio.to_thread(lambda: image.metadata)
    return payloads.dumps_compact({**metadata, **payloads.untrusted(image.turn)})


async def sessions() -> str:
    """
    The latest sessions.
    """
    latest = await CallContext.from_request().studio.sessions.list(limit=_MAX_SESSIONS)
    return payloads.dumps_compact(
        [payloads.session_row(await session.status()) for session in latest]
    )


async def session(session_id: str) -> str:
    """
    A session's status and its turns.
    """
    opened = await CallContext.from_request().session(session_id)
    turns = [
        {
            "turn_id": turn.id,
            "parent": turn.parent,
            "branch": turn.branch,
            "status": turn.status,
            "prompt": payloads.shorten(turn.prompt),
            "images": [payloads.uri_of(image.id) for image in turn.images],
            **payloads.untrusted(turn),
        }
        for turn in (await opened.tree()).turns.values()
    ]
    return payloads.dumps_compact(
        {**payloads.status_payload(await opened.status()), "turns": turns}
    )


async def complete(
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    context: CompletionContext | None,
) -> Completion | None:
    """
    Complete the ids of images and sessions.
    """
    del ref, context
    studio = CallContext.from_request().studio
    if argument.name == "image_id":
        images = await studio.images.list(limit=_MAX_COMPLETIONS)
        ids = [payloads.short_id(image.id) for image in images]
    elif argument.name == "session_id":
        ids = [session.id for session in await studio.sessions.list()]
    else:
        return None
    matching = [each for each in ids if each.startswith(argument.value.upper())]
    values = matching[:_MAX_COMPLETIONS]
    return Completion(values=values, total=len(matching), has_more=len(matching) > len(values))


def add_resources(server: MCPServer[Any]) -> None:
    """
    Add all resources to a server.
    """

    async def read_guide() -> str:
        return render_guide(await server.list_tools())

    table = (
        ("guide", read_guide, "The guide to these tools", "text/markdown"),
        ("sessions", sessions, "The latest sessions", "application/json"),
        ("sessions/{session_id}", session, "A session, turn by turn", "application/json"),
        ("images/{image_id}", image_bytes, "An image's file", "application/octet-stream"),
        ("images/{image_id}/metadata", image_metadata, "An image's record", "application/json"),
    )
    for path, read, title, mime_type in table:
        server.resource(
            f"imagesession://{path}",
            name=path.replace("/", "_").replace("{", "").replace("}", ""),
            title=title,
            description=title + ".",
            mime_type=mime_type,
        )(read)


def add_prompts(server: MCPServer[Any]) -> None:
    """
    Add all prompts to a server.
    """
    for name, facts in read_table("prompts.toml").items():
        argument = PromptArgument(name=facts["argument"], description=facts["about"], required=True)
        prompt = Prompt(
            name=name,
            title=facts["title"],
            description=facts["description"],
            arguments=[argument],
            fn=facts["text"].format,
            context_kwarg=None,
        )
        server.add_prompt(prompt)
