"""
Pictures, sessions and the guide as resources, and the ids that complete themselves.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from imagesession import AsyncSavedImage
from imagesession_mcp import guide, results, views
from imagesession_mcp.calls import Call
from imagesession_mcp.state import current_studio

_SESSIONS = 50
_HINTS = 100
_IMAGE = re.compile(r"imagesession://images/([^/]+)")


async def mime_type_of(uri: str) -> str | None:
    """
    Return the media type of a picture that is read as a resource; None for all else.
    """
    found = _IMAGE.fullmatch(uri)
    return None if found is None else results.mime_type_of(await _image(found[1]))


async def image_bytes(image_id: str) -> bytes:
    """
    The picture's file, to the byte. Of an SVG, which could run, what it draws as PNG.
    """
    image = await _image(image_id)
    if image.format == "svg":
        return await asyncio.to_thread(image.as_png)
    return await asyncio.to_thread(lambda: image.bytes)


async def image_metadata(image_id: str) -> str:
    """
    All that is recorded of a picture.
    """
    image = await _image(image_id)
    return results.compact(await asyncio.to_thread(lambda: image.metadata))


async def sessions() -> str:
    """
    The latest sessions.
    """
    latest = (await current_studio().sessions.list())[:_SESSIONS]
    rows = [views.session_row(await one.status()) for one in latest]
    return results.compact([row.model_dump(mode="json") for row in rows])


async def session(session_id: str) -> str:
    """
    Where a session stands, and how it grew, turn by turn.
    """
    found = await Call.now().session(session_id)
    status = views.status_view(await found.status()).model_dump(mode="json")
    return results.compact({**status, **views.tree_view(await found.tree())})


async def complete(
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    context: CompletionContext | None,
) -> Completion | None:
    """
    Complete the ids of pictures and sessions.
    """
    del ref, context
    match argument.name:
        case "image_id":
            images = await current_studio().images.list(limit=_HINTS)
            return _fitting((one.id for one in images), argument.value)
        case "session_id":
            found = await current_studio().sessions.list()
            return _fitting((one.id for one in found), argument.value)
        case _:
            return None


async def _image(image_id: str) -> AsyncSavedImage:
    return await Call.now().image(image_id)


def _fitting(ids: Iterable[str], beginning: str) -> Completion:
    fitting = [one for one in ids if one.startswith(beginning.upper())]
    return Completion(values=fitting[:_HINTS], total=len(fitting), has_more=len(fitting) > _HINTS)


def add_resources(server: MCPServer[Any]) -> None:
    """
    Add all resources to a server.
    """

    async def read_guide() -> str:
        return guide.write(await server.list_tools())

    table = (
        ("guide", read_guide, "The guide to these tools", "text/markdown"),
        ("sessions", sessions, "The latest sessions", "application/json"),
        ("sessions/{session_id}", session, "A session, turn by turn", "application/json"),
        ("images/{image_id}", image_bytes, "A picture's file", "application/octet-stream"),
        ("images/{image_id}/metadata", image_metadata, "A picture's record", "application/json"),
    )
    for path, read, title, mime_type in table:
        server.resource(
            f"imagesession://{path}",
            name=path.replace("/", "_").replace("{", "").replace("}", ""),
            title=title,
            description=title + ".",
            mime_type=mime_type,
        )(read)
