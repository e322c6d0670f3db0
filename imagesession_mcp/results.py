"""
Results of tools: a short text, and for images a small preview. No result contains a full-size
image, and no text contains image data.
"""

from __future__ import annotations

import asyncio
import base64
import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from mcp.types import (
    Annotations,
    CallToolResult,
    ContentBlock,
    ImageContent,
    ResourceLink,
    TextContent,
)

import imagesession
from imagesession.errors import ImageSessionError, InvalidImageError
from imagesession_mcp.errors import to_payload
from imagesession_mcp.payloads import Payload, batch_payload, dumps_compact, image_payload, uri_of
from imagesession_mcp.settings import Settings
from imagesession_mcp.tasks import Generated

_FOR_BOTH = Annotations(audience=["user", "assistant"], priority=0.9)
# Some clients load resources that are linked for the assistant into its context.
_FOR_USER = Annotations(audience=["user"], priority=0.5)
_PREVIEW_SIDE = 512
# At most this many links for a batch, to keep results short.
_MAX_LINKS = 4
# More threads would only slow each other down.
_THREADS = ThreadPoolExecutor(2, "previews")


def text_result(payload: Payload, *content: ContentBlock) -> CallToolResult:
    """
    Return a result with a payload, and what may follow it.
    """
    text = TextContent(type="text", text=dumps_compact({"success": True, **payload}))
    return CallToolResult(content=[text, *content])


def error_result(error: Exception) -> CallToolResult:
    """
    Return the tool result for an error.
    """
    # Without structured content: clients would check it against the schema of a success.
    result = text_result(to_payload(error))
    result.is_error = True
    return result


async def build_result(
    generated: Generated, settings: Settings, *, batch: bool, extra: Payload
) -> CallToolResult:
    """
    Return the result of a generating call, for several images if it is a batch.
    """
    images = [image for image in generated if not isinstance(image, ImageSessionError)]
    payload = batch_payload(generated) if batch else image_payload(images[0])
    content: list[ContentBlock] = []
    preview_share = settings.preview_bytes // max(1, len(images))
    for image in images:
        content += await preview(image, preview_share)
    if settings.links:
        content += [link(image) for image in images[:_MAX_LINKS]]
    result = text_result({**payload, **extra}, *content)
    if settings.image_first:
        result.content = [*content, result.content[0]]
    result.is_error = not images
    return result


def pending_result(generation_id: str, stage: str, note: Payload) -> CallToolResult:
    """
    Return the result of a call whose time is up, with the handle for get_generation.
    """
    next_step = (
        "The image is still being generated, and is saved when done. Call get_generation with "
        f"generation_id {generation_id!r} to get it; cancel_generation stops it."
    )
    handle = {"status": "running", "generation_id": generation_id, "stage": stage}
    return text_result({**handle, "next": next_step, **note})


async def preview(
    image: imagesession.AsyncSavedImage, max_bytes: int, max_side: int = _PREVIEW_SIDE
) -> list[ContentBlock]:
    """
    Return a preview of an image; nothing if it cannot be made, or no bytes are allowed.
    """
    if max_bytes <= 0:
        return []
    try:
        small = await asyncio.get_running_loop().run_in_executor(
            _THREADS, functools.partial(image.preview, max_side=max_side, max_bytes=max_bytes)
        )
    except InvalidImageError:
        return []  # the file is missing; the rest of the result is still useful
    if small is None:
        return []
    data = base64.b64encode(small.data).decode("ascii")
    return [ImageContent(type="image", data=data, mime_type=small.mime_type, annotations=_FOR_BOTH)]


def link(image: imagesession.AsyncSavedImage) -> ResourceLink:
    """
    Return a link to the full-size image.
    """
    return ResourceLink(
        type="resource_link",
        uri=uri_of(image.id),
        name=PurePosixPath(image.record.file).name,
        mime_type=mime_type_of(image),
        size=None if image.format == "svg" else image.record.bytes,
        annotations=_FOR_USER,
    )


def mime_type_of(image: imagesession.AsyncSavedImage) -> str:
    """
    Return the media type of an image resource; an SVG is served as PNG.
    """
    return "image/png" if image.format == "svg" else image.mime_type
