"""
Results of tools that return images: a short text with paths, ids and costs, and a preview.

The text is JSON with the keys that `openai-image-mcp` returned, and a few more. No result contains
a full-size image, and no text contains image data.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
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
from imagesession_mcp.settings import Settings
from imagesession_mcp.tasks import Generated

Payload: TypeAlias = dict[str, Any]
_MAX_TEXT = 240
# The agent wrote the prompt itself.
_MAX_PROMPT = 48
_MAX_REVISED = 100
_MAX_FINDINGS = 8
_FOR_BOTH = Annotations(audience=["user", "assistant"], priority=0.9)
# Some clients load resources that are linked for the assistant into its context.
_FOR_USER = Annotations(audience=["user"], priority=0.5)
_PREVIEW_SIDE = 512
# At most this many links for a batch, to keep results short.
_MAX_LINKS = 4
# More threads would only slow each other down.
_THREADS = ThreadPoolExecutor(2, "previews")
_PRODUCT = ("product_description", "background_type", "angle", "lighting")
_ASSET = ("asset_type", "theme", "style_preset", "size_preset")


def short_id(image_id: str) -> str:
    """
    Return the end of an id, which the library takes for the whole one and people can type.
    """
    return image_id[-8:]


def uri_of(image_id: str) -> str:
    """
    Return the URI of an image resource.
    """
    return f"imagesession://images/{short_id(image_id)}"


def text_result(payload: Payload, *content: ContentBlock) -> CallToolResult:
    """
    Return a result with a payload, and what may follow it.
    """
    text = TextContent(type="text", text=dumps_compact(payload))
    return CallToolResult(content=[text, *content])


async def build_result(
    generated: Generated,
    settings: Settings,
    *,
    batch: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> CallToolResult:
    """
    Return the result of a generating call.

    Args:
        generated: The images, with an error in place of each that failed.
        settings: Says how large all previews together may be, and whether links are wanted.
        batch: Whether the call was for several images.
        extra: Further fields of the result.
    """
    images = [image for image in generated if not isinstance(image, ImageSessionError)]
    payload = _batch_payload(generated) if batch else image_payload(images[0])
    content: list[ContentBlock] = []
    preview_share = settings.preview_bytes // max(1, len(images))
    for image in images:
        content += await preview(image, preview_share)
    if settings.links:
        content += [link(image) for image in images[:_MAX_LINKS]]
    result = text_result({**payload, **(extra or {})}, *content)
    result.is_error = not images
    return result


def pending_result(
    generation_id: str, stage: str, note: Mapping[str, str] = MappingProxyType({})
) -> CallToolResult:
    """
    Return the result of a call whose time is up, with the handle for get_generation.
    """
    return text_result(
        {
            "success": True,
            "status": "running",
            "generation_id": generation_id,
            "stage": stage,
            "next": "The image is still being generated, and is saved when done. Call "
            f"get_generation with generation_id {generation_id!r} to get it; cancel_generation "
            "stops it.",
            **note,
        }
    )


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


def view_payload(image: imagesession.AsyncSavedImage, *, shown: bool) -> Payload:
    """
    Return what goes with the view of an image.
    """
    payload: Payload = {
        "success": True,
        "image_id": short_id(image.id),
        "image_path": path_of(image),
        "size": "x".join(map(str, image.size)),
    }
    if not shown:
        payload["note"] = f"It cannot be shown; its resource is {uri_of(image.id)}."
    return payload


def link(image: imagesession.AsyncSavedImage) -> ResourceLink:
    """
    Return a link to the full-size image.
    """
    return ResourceLink(
        type="resource_link",
        uri=uri_of(image.id),
        name=Path(image.record.file).name,
        mime_type=mime_type_of(image),
        size=None if image.format == "svg" else image.record.bytes,
        annotations=_FOR_USER,
    )


def path_of(image: imagesession.AsyncSavedImage) -> str:
    """
    Return the path of an image's file; of one that is not kept on this computer, a URL that is
    valid for an hour.
    """
    url = image.url()
    return str(image.path) if url.startswith("file:") else url


def mime_type_of(image: imagesession.AsyncSavedImage) -> str:
    """
    Return the media type of an image resource; an SVG is served as PNG.
    """
    return "image/png" if image.format == "svg" else image.mime_type


def image_payload(image: imagesession.AsyncSavedImage) -> Payload:
    """
    Return the keys that `openai-image-mcp` returned for an image, and a few more.
    """
    turn = image.turn
    payload: Payload = {
        "success": True,
        "image_path": path_of(image),
        "image_id": short_id(image.id),
        "uri": uri_of(image.id),
        "image_generation_id": image.record.call_id,
        "size": "x".join(map(str, image.size)),
        "cost_usd": dollars(image.cost),
        "original_prompt": shorten(image.prompt, _MAX_PROMPT),
        "revised_prompt": shorten(image.revised_prompt or "", _MAX_REVISED),
        "metadata": {
            "session_id": image.session_id,
            "model": image.model,
            "generation_params": dict(turn.options.changed()),
        },
        "session_context": _session_context(image),
        **_kind_payload(image),
    }
    if turn.text:
        payload["model_said"] = shorten(turn.text)
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
    Return the keys specific to an image's kind, such as preset parameters or findings.
    """
    parameters = image.turn.parameters
    match image.kind:
        case "product":
            description = shorten(parameters.get("description", ""))
            return {"product_description": description, **_select(parameters, _PRODUCT[1:])}
        case "ui_asset":
            summary = f"{parameters.get('theme')} {parameters.get('asset_type')}"
            return {
                **_select(parameters, _ASSET),
                "ui_asset_summary": f"{summary}: {shorten(image.turn.label)}",
            }
        case "improvement":
            findings = parameters.get("findings", ())[:_MAX_FINDINGS]
            return {
                "improvement_goals": shorten(parameters.get("improvement_goals", "")),
                "preserved_elements": shorten(parameters.get("preserve_elements", "")),
                "analysis_summary": shorten(parameters.get("summary", "")),
                "findings": [
                    {name: shorten(str(value), 100) for name, value in finding.items()}
                    for finding in findings
                ],
            }
        case _ if image.turn.mask_coverage is not None:
            return {"mask_coverage": image.turn.mask_coverage}
        case _:
            return {}


def _select(parameters: Mapping[str, Any], names: Sequence[str]) -> Payload:
    return {name: parameters[name] for name in names if name in parameters}


def _batch_payload(generated: Generated) -> Payload:
    """
    Return the payload of a batch, with the payload or error of each image.
    """
    items = [
        to_payload(image) if isinstance(image, ImageSessionError) else image_payload(image)
        for image in generated
    ]
    succeeded = [item for item in items if item["success"]]
    return {
        # If nothing was generated, the batch has the first error, and `results` has all.
        **({} if succeeded else items[0]),
        "success": len(succeeded) == len(items),
        **(_select(succeeded[0], _PRODUCT) if succeeded else {}),
        "batch_count": len(items),
        "results": [_omit(item, _PRODUCT) for item in items],
        "summary": f"{len(succeeded)} of {len(items)} pictures were made.",
    }


def _omit(payload: Payload, names: Sequence[str]) -> Payload:
    return {name: value for name, value in payload.items() if name not in names}


def shorten(text: str, length: int = _MAX_TEXT) -> str:
    """
    Shorten a text to a maximum length.
    """
    return text if len(text) <= length else text[: length - 1] + "…"


def dollars(cost: imagesession.Cost | None) -> float | None:
    """
    Return a cost, rounded to what agents can tell apart; None if it is not known.
    """
    return None if cost is None or cost.total is None else round(cost.total, 5)


def dumps_compact(payload: object) -> str:
    """
    Encode JSON in one line.
    """
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> str:
    return value.as_posix() if isinstance(value, Path) else str(value)
