"""
How pictures are told: a short text with paths, ids and costs, a preview, and a link.

The text is JSON with the keys that `openai-image-mcp` returned, and a few more. No result holds a
picture in full, and no text holds one at all.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

from mcp.types import (
    Annotations,
    CallToolResult,
    ContentBlock,
    ImageContent,
    ResourceLink,
    TextContent,
)

from imagesession import AsyncSavedImage
from imagesession.errors import ImageSessionError, PictureError
from imagesession_mcp.errors import describe
from imagesession_mcp.works import Drawn

Facts: TypeAlias = dict[str, Any]
_WORDS = 240
_FINDINGS = 8
_BOTH = Annotations(audience=["user", "assistant"], priority=0.9)
# Some clients load whatever is linked for the assistant into its context.
_USER = Annotations(audience=["user"], priority=0.5)
_SIDE = 512
# A single link beside a batch would be misleading, and ten would be long.
_LINKS = 4
# More at a time would only hinder each other.
_SHRINKING = ThreadPoolExecutor(2, "previews")
_PRODUCT = ("product_description", "background_type", "angle", "lighting")
_ASSET = ("asset_type", "theme", "style_preset", "size_preset")


def uri_of(image_id: str) -> str:
    """
    Return where a picture's bytes are found as a resource.
    """
    return f"imagesession://images/{image_id}"


async def show(
    drawn: Drawn,
    *,
    generation_id: str,
    preview_bytes: int,
    batch: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> CallToolResult:
    """
    Return the result of a call that drew.

    Args:
        drawn: What came.
        generation_id: What the drawing is called.
        preview_bytes: The most that all previews may weigh together; 0 for none.
        batch: Whether several were asked for.
        extra: What is told beside what the pictures know of themselves.
    """
    images = [one for one in drawn if isinstance(one, AsyncSavedImage)]
    told = _batch(drawn) if batch else tell(images[0])
    told |= {"generation_id": generation_id, **(extra or {})}
    blocks: list[ContentBlock] = [TextContent(type="text", text=compact(told))]
    share = preview_bytes // max(1, len(images))
    for image in images:
        blocks += await previews(image, share)
    blocks += [link(image) for image in images[:_LINKS]]
    return CallToolResult(content=blocks, is_error=not images)


def hand_over(generation_id: str, stage: str) -> CallToolResult:
    """
    Return the result of a call that waited long enough: how to come back for the picture.
    """
    told = {
        "success": True,
        "status": "running",
        "generation_id": generation_id,
        "stage": stage,
        "next": "The picture is still being made, and is kept when it is done. Call get_generation "
        f"with generation_id {generation_id!r} for it; do not ask for it anew, which would be paid "
        "for again. cancel_generation stops it.",
    }
    return CallToolResult(content=[TextContent(type="text", text=compact(told))])


async def previews(
    image: AsyncSavedImage, most_bytes: int, side: int = _SIDE
) -> list[ContentBlock]:
    """
    Return a picture made small, or nothing where it cannot be drawn or there is no room.
    """
    if most_bytes <= 0:
        return []
    try:
        small = await asyncio.get_running_loop().run_in_executor(
            _SHRINKING, functools.partial(image.preview, max_side=side, max_bytes=most_bytes)
        )
    except PictureError:
        return []  # its file was moved away; its facts are still told
    if small is None:
        return []
    data = base64.b64encode(small.data).decode("ascii")
    return [ImageContent(type="image", data=data, mime_type=small.mime_type, annotations=_BOTH)]


def link(image: AsyncSavedImage) -> ResourceLink:
    """
    Return where the whole picture is.
    """
    return ResourceLink(
        type="resource_link",
        uri=uri_of(image.id),
        name=image.path.name,
        mime_type=mime_type_of(image),
        size=None if image.format == "svg" else image.record.bytes,
        annotations=_USER,
    )


def mime_type_of(image: AsyncSavedImage) -> str:
    """
    Return the media type of a picture's resource: an SVG is read as what it draws.
    """
    return "image/png" if image.format == "svg" else image.mime_type


def tell(image: AsyncSavedImage) -> Facts:
    """
    Tell of a picture what callers of `openai-image-mcp` knew of one, and a few facts more.
    """
    turn, width_height = image.turn, "x".join(map(str, image.size))
    told: Facts = {
        "success": True,
        "image_path": str(image.path),
        "image_id": image.id,
        "uri": uri_of(image.id),
        "image_generation_id": image.record.call_id,
        "size": width_height,
        "format": image.format,
        "bytes": image.record.bytes,
        "cost_usd": None if image.cost is None else image.cost.total,
        "original_prompt": short(image.prompt),
        "revised_prompt": short(image.revised_prompt or ""),
        "metadata": {
            "session_id": image.session_id,
            "model": image.model,
            "generation_params": {
                name: getattr(turn.options, name) for name in ("quality", "size", "background")
            },
            "created_at": turn.started.isoformat(timespec="seconds"),
        },
        "session_context": _context(image),
        **_of_kind(image),
    }
    if turn.text:
        told["model_said"] = short(turn.text)
    if image.session_id is None:
        told |= {"single_shot": True, "temporary_session_id": None}
    return told


def _context(image: AsyncSavedImage) -> Facts | None:
    turn = image.turn
    if turn.session is None:
        return None
    return {"branch": turn.branch, "turn": turn.depth, "context": turn.context}


def _of_kind(image: AsyncSavedImage) -> Facts:
    """
    Tell what a verb with a purpose was told.
    """
    known = image.turn.parameters
    match image.kind:
        case "product":
            description = short(known.get("description", ""))
            return {"product_description": description, **_picked(known, _PRODUCT[1:])}
        case "ui_asset":
            picked = _picked(known, _ASSET)
            summary = f"{known.get('theme')} {known.get('asset_type')}"
            return {**picked, "ui_asset_summary": f"{summary}: {short(image.turn.label)}"}
        case "improvement":
            return {
                "improvement_goals": short(known.get("improvement_goals", "")),
                "preserved_elements": short(known.get("preserve_elements", "")),
                "analysis_summary": short(known.get("summary", "")),
                "findings": [_finding(one) for one in known.get("findings", ())[:_FINDINGS]],
            }
        case _:
            return {}


def _picked(known: Mapping[str, Any], names: Sequence[str]) -> Facts:
    return {name: known[name] for name in names if name in known}


def _finding(facts: Mapping[str, Any]) -> Facts:
    return {name: short(str(value), 100) for name, value in facts.items()}


def _batch(drawn: Drawn) -> Facts:
    """
    Tell of a batch: each picture, or its error in its place.
    """
    results = [_item(one) for one in drawn]
    made = sum(one["success"] for one in results)
    nothing: Facts = {}
    first = next((one for one in results if one["success"]), nothing)
    # Nothing made is the first error, with all of them listed.
    failed = nothing if made else results[0]
    return {
        **failed,
        "success": made == len(results),
        **_picked(first, _PRODUCT),
        "batch_count": len(results),
        "results": [_without(one, _PRODUCT) for one in results],
        "summary": f"{made} of {len(results)} pictures were made.",
    }


def _item(one: AsyncSavedImage | ImageSessionError) -> Facts:
    return describe(one) if isinstance(one, ImageSessionError) else tell(one)


def _without(told: Facts, names: Sequence[str]) -> Facts:
    return {name: value for name, value in told.items() if name not in names}


def short(text: str, most: int = _WORDS) -> str:
    """
    Return a text, or its beginning.
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def compact(told: object) -> str:
    """
    Write JSON in one line.
    """
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> str:
    return value.as_posix() if isinstance(value, Path) else str(value)
