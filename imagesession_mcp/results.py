"""
Results of tools that return pictures: a short text with paths, ids and costs, a preview, a link.

The text is JSON with the keys that `openai-image-mcp` returned, and a few more. No result contains
a picture in full, and no text contains image data.
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

import imagesession
from imagesession.errors import ImageSessionError, InvalidImageError
from imagesession_mcp.errors import to_payload
from imagesession_mcp.tasks import Generated

Payload: TypeAlias = dict[str, Any]
_MAX_TEXT = 240
_MAX_FINDINGS = 8
_BOTH = Annotations(audience=["user", "assistant"], priority=0.9)
# Some clients load what is linked for the assistant into its context.
_USER = Annotations(audience=["user"], priority=0.5)
_PREVIEW_SIDE = 512
# One link beside a batch would mislead, and ten would be long.
_MAX_LINKS = 4
# More at once would only slow each other down.
_THREADS = ThreadPoolExecutor(2, "previews")
_PRODUCT = ("product_description", "background_type", "angle", "lighting")
_ASSET = ("asset_type", "theme", "style_preset", "size_preset")


def uri_of(image_id: str) -> str:
    """
    Return the URI of a picture's resource.
    """
    return f"imagesession://images/{image_id}"


async def build_result(
    generated: Generated,
    *,
    generation_id: str,
    preview_bytes: int,
    batch: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> CallToolResult:
    """
    Return the result of a call that generated.

    Args:
        generated: The pictures, with an error in the place of each that failed.
        generation_id: The task's id.
        preview_bytes: The most that all previews may weigh together; 0 for none.
        batch: Whether several pictures were asked for.
        extra: What the result says beside what the pictures know of themselves.
    """
    images = [image for image in generated if not isinstance(image, ImageSessionError)]
    payload = _batch_payload(generated) if batch else image_payload(images[0])
    payload |= {"generation_id": generation_id, **(extra or {})}
    content: list[ContentBlock] = [TextContent(type="text", text=dumps_compact(payload))]
    share = preview_bytes // max(1, len(images))
    for image in images:
        content += await preview(image, share)
    content += [link(image) for image in images[:_MAX_LINKS]]
    return CallToolResult(content=content, is_error=not images)


def pending_result(generation_id: str, stage: str) -> CallToolResult:
    """
    Return the result of a call that waited long enough: how to come back for the picture.
    """
    payload = {
        "success": True,
        "status": "running",
        "generation_id": generation_id,
        "stage": stage,
        "next": "The picture is still being made, and is kept when it is done. Call get_generation "
        f"with generation_id {generation_id!r} for it; do not ask for it anew, which would be paid "
        "for again. cancel_generation stops it.",
    }
    return CallToolResult(content=[TextContent(type="text", text=dumps_compact(payload))])


async def preview(
    image: imagesession.AsyncSavedImage, max_bytes: int, max_side: int = _PREVIEW_SIDE
) -> list[ContentBlock]:
    """
    Return a small copy of a picture; nothing if it cannot be drawn, or no bytes are allowed.
    """
    if max_bytes <= 0:
        return []
    try:
        small = await asyncio.get_running_loop().run_in_executor(
            _THREADS, functools.partial(image.preview, max_side=max_side, max_bytes=max_bytes)
        )
    except InvalidImageError:
        return []  # its file was moved away; the rest of the result is not lost
    if small is None:
        return []
    data = base64.b64encode(small.data).decode("ascii")
    return [ImageContent(type="image", data=data, mime_type=small.mime_type, annotations=_BOTH)]


def link(image: imagesession.AsyncSavedImage) -> ResourceLink:
    """
    Return a link to the whole picture.
    """
    return ResourceLink(
        type="resource_link",
        uri=uri_of(image.id),
        name=image.path.name,
        mime_type=mime_type_of(image),
        size=None if image.format == "svg" else image.record.bytes,
        annotations=_USER,
    )


def mime_type_of(image: imagesession.AsyncSavedImage) -> str:
    """
    Return the media type of a picture's resource: an SVG is read as what it draws.
    """
    return "image/png" if image.format == "svg" else image.mime_type


def image_payload(image: imagesession.AsyncSavedImage) -> Payload:
    """
    Return what `openai-image-mcp` returned for a picture, and a few facts more.
    """
    turn = image.turn
    payload: Payload = {
        "success": True,
        "image_path": str(image.path),
        "image_id": image.id,
        "uri": uri_of(image.id),
        "image_generation_id": image.record.call_id,
        "size": "x".join(map(str, image.size)),
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
        "session_context": _session_context(image),
        **_kind_payload(image),
    }
    if turn.text:
        payload["model_said"] = short(turn.text)
    if image.session_id is None:
        payload |= {"single_shot": True, "temporary_session_id": None}
    return payload


def _session_context(image: imagesession.AsyncSavedImage) -> Payload | None:
    turn = image.turn
    if turn.session is None:
        return None
    return {"branch": turn.branch, "turn": turn.depth, "context": turn.context}


def _kind_payload(image: imagesession.AsyncSavedImage) -> Payload:
    """
    Return what only pictures of this kind have: the parameters of a preset, the findings.
    """
    parameters = image.turn.parameters
    match image.kind:
        case "product":
            description = short(parameters.get("description", ""))
            return {"product_description": description, **_picked(parameters, _PRODUCT[1:])}
        case "ui_asset":
            summary = f"{parameters.get('theme')} {parameters.get('asset_type')}"
            return {
                **_picked(parameters, _ASSET),
                "ui_asset_summary": f"{summary}: {short(image.turn.label)}",
            }
        case "improvement":
            findings = parameters.get("findings", ())[:_MAX_FINDINGS]
            return {
                "improvement_goals": short(parameters.get("improvement_goals", "")),
                "preserved_elements": short(parameters.get("preserve_elements", "")),
                "analysis_summary": short(parameters.get("summary", "")),
                "findings": [
                    {name: short(str(value), 100) for name, value in finding.items()}
                    for finding in findings
                ],
            }
        case _:
            return {}


def _picked(parameters: Mapping[str, Any], names: Sequence[str]) -> Payload:
    return {name: parameters[name] for name in names if name in parameters}


def _batch_payload(generated: Generated) -> Payload:
    """
    Return the payload of a batch: that of each picture, or its error in its place.
    """
    items = [
        to_payload(image) if isinstance(image, ImageSessionError) else image_payload(image)
        for image in generated
    ]
    made = [item for item in items if item["success"]]
    return {
        # If nothing was made, the batch has the first error, with all of them in `results`.
        **({} if made else items[0]),
        "success": len(made) == len(items),
        **(_picked(made[0], _PRODUCT) if made else {}),
        "batch_count": len(items),
        "results": [_without(item, _PRODUCT) for item in items],
        "summary": f"{len(made)} of {len(items)} pictures were made.",
    }


def _without(payload: Payload, names: Sequence[str]) -> Payload:
    return {name: value for name, value in payload.items() if name not in names}


def short(text: str, length: int = _MAX_TEXT) -> str:
    """
    Return a text, or its beginning.
    """
    return text if len(text) <= length else text[: length - 1] + "…"


def dumps_compact(payload: object) -> str:
    """
    Write JSON in one line.
    """
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> str:
    return value.as_posix() if isinstance(value, Path) else str(value)
