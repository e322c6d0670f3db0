"""
The tools that look up images, generations, costs and help.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from mcp.types import CallToolResult
from pydantic import Field

import imagesession
from imagesession.errors import ImageSessionError
from imagesession_mcp import payloads, results
from imagesession_mcp.context import CallContext
from imagesession_mcp.errors import ToolCallError
from imagesession_mcp.payloads import Payload
from imagesession_mcp.resources import render_guide
from imagesession_mcp.tasks import GenerationTask
from imagesession_mcp.texts import read_table
from imagesession_mcp.tools import params
from imagesession_mcp.tools.params import build_options

# The most bytes of a view of this size.
_VIEW_BYTES = 75_000
_VIEW_SIDE = 768
_MAX_UPLOAD = 10_000_000
_CANCEL_TIMEOUT = 12.0
_SAME_IN_STATS = ("library", "active_sessions", "total_sessions", "session_timeout_hours")


async def upload_image(
    call: CallContext,
    *,
    data: str,
    prompt: params.OptionalText = None,
) -> Payload:
    """
    Add an image of your own to the library, when the server cannot read its file. Costs nothing.
    """
    if len(data) > _MAX_UPLOAD * 4 // 3 + 100:
        raise ToolCallError(
            "invalid_input_image",
            f"data has more than {_MAX_UPLOAD / 1e6:.0f} MB. Make the image smaller.",
        )
    # As a URL of its own content, it can be nothing else, such as the path of a file.
    url = data if data.startswith("data:") else f"data:;base64,{data}"
    image = await call.studio.images.import_file(url, prompt=prompt)
    return {**payloads.image_row(image), "image_path": payloads.path_of(image)}


async def view_image(
    call: CallContext,
    *,
    image_id: str,
    max_side: Annotated[int, Field(ge=64, le=2048)] = _VIEW_SIDE,
) -> CallToolResult:
    """
    View a saved image, as large as you ask, with its path; over HTTP also with an address that
    serves the whole file for ten minutes. Costs nothing.
    """
    image = await call.image(image_id)
    # As many bytes for each pixel, at any size.
    max_bytes = max(_VIEW_BYTES, round(_VIEW_BYTES * (max_side / _VIEW_SIDE) ** 2))
    shown = await results.preview(image, max_bytes, max_side)
    payload = {**payloads.image_row(image), "image_path": payloads.path_of(image)}
    if not shown:
        payload["note"] = f"It cannot be shown; its resource is {payloads.uri_of(image.id)}."
    if (downloads := call.state.downloads) and call.ctx and call.ctx.headers:
        payload["download_url"] = downloads.make(call.ctx.headers, call.principal, image.id)
    # The image comes first, because some frameworks pass on only the first block.
    return CallToolResult(content=[*shown, *results.text_result(payload).content])


async def list_images(
    call: CallContext,
    *,
    session_id: params.OptionalText = None,
    kind: params.OptionalText = None,
    text: params.OptionalText = None,
    since: params.OptionalText = None,
    until: params.OptionalText = None,
    starred: bool | None = None,
    tags: list[str] | None = None,
    deleted: bool = False,
    limit: params.Limit = 20,
    before: params.OptionalText = None,
    detailed: bool = False,
) -> Payload:
    """
    Find saved images, the latest first. Costs nothing.
    """
    session = await call.session(session_id) if session_id else None
    images = await call.studio.images.list(
        session=None if session is None else session.id,
        kind=kind,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the library checks it
        text=text,
        since=since,
        until=until,
        starred=starred,
        tags=tags or (),
        deleted=deleted,
        limit=limit,
        before=(await call.image(before)).id if before else None,
    )
    return {
        "images": [payloads.image_row(image, detailed=detailed) for image in images],
        "before": payloads.short_id(images[-1].id) if len(images) == limit else None,
    }


async def mark_image(
    call: CallContext,
    *,
    image_id: str,
    starred: bool | None = None,
    tags: list[str] | None = None,
    deleted: bool | None = None,
) -> Payload:
    """
    Star or tag an image, which list_images finds it by, or put it into the library's bin, which
    only people empty; its session goes on from the turn before. Costs nothing.
    """
    if deleted is False:
        await call.studio.images.restore(image_id)
    image = await call.image(image_id)
    if starred is not None:
        await (image.star() if starred else image.unstar())
    if tags is not None:
        kept = {tag.strip().casefold() for tag in tags}
        await image.tag(*tags)
        await image.untag(*(tag for tag in image.tags if tag.casefold() not in kept))
    if deleted:
        await image.delete()
    return {
        "image_id": payloads.short_id(image.id),
        "starred": image.starred,
        "tags": image.tags,
        "deleted": bool(deleted),
    }


async def get_generation(call: CallContext, *, generation_id: str) -> CallToolResult:
    """
    Get an image that was not ready when its call returned: waits for it, also after a restart of
    the server. Costs nothing.
    """
    task = call.state.tasks.find(call.principal, generation_id)
    if task is not None:
        return await call.result_or_handle(task, {})
    settings = call.state.settings
    settling = call.settle(generation_id, settings.wait_seconds)
    if not await call.with_progress(settling, "checking for the result"):
        return results.pending_result(generation_id, "of an earlier run, not settled yet", {})
    saved = await call.find_saved(generation_id)
    if not saved:
        known_ids = [task.id for task in call.state.tasks.of(call.principal)][:10]
        raise ToolCallError(
            "generation_not_found",
            f"There is no generation {generation_id!r}, or it ended without an image before the "
            "server was last started. list_images finds saved images.",
            {"available_generations": known_ids},
        )
    is_batch = "takes" in saved[0].turn.parameters
    return await results.build_result(tuple(saved), settings, batch=is_batch, extra={})


async def cancel_generation(call: CallContext, *, generation_id: str) -> Payload:
    """
    Stop a running generation, which cancelling its call does not. Work done until then may still
    be billed.
    """
    task = call.state.tasks.find(call.principal, generation_id)
    if task is None:
        await get_generation(call, generation_id=generation_id)
    elif not task.work.done():
        for turn_id in await call.pending_turns(generation_id):
            await call.studio.requests.cancel(turn_id)
        task.work.cancel()
        await asyncio.wait({task.work}, timeout=_CANCEL_TIMEOUT)
    status, message = _outcome(task)
    saved = await call.find_saved(generation_id)
    return {
        "generation_id": generation_id,
        "status": status,
        "image_ids": [payloads.short_id(image.id) for image in saved],
        "message": message,
    }


def _outcome(task: GenerationTask | None) -> tuple[str, str]:
    if task is not None and not task.work.done():
        return "running", "It is being stopped."
    try:
        if task is not None:
            task.result()
    except ToolCallError as error:
        return "cancelled", error.message
    except ImageSessionError as error:
        return "failed", error.message
    return "completed", "It was finished already."


async def estimate_cost(
    call: CallContext,
    *,
    prompt: str = "",
    session_id: params.OptionalText = None,
    quality: params.Quality = "auto",
    size: str = "auto",
    background: params.Background = "auto",
    model: str = "auto",
    image_path: params.OptionalText = None,
    reference_images: params.References = None,
    count: int = 1,
    branch: str = "main",
    options: params.Options = None,
) -> Payload:
    """
    Estimate what an image could cost, in US dollars: two bounds and the assumptions. Naming
    quality and size narrows the range. Costs nothing.
    """
    target = await call.session_or_studio(session_id, branch)
    estimate = await target.estimate(
        prompt,
        image=await call.resolve_image(image_path, "image_path"),
        references=await call.resolve_images(reference_images, "reference_images"),
        n=count,
        **build_options(options, quality=quality, size=size, background=background, model=model),
    )
    return {
        "low_usd": estimate.low,
        "high_usd": estimate.high,
        "grounds": list(estimate.assumptions),
    }


async def get_usage_guide(call: CallContext) -> Payload:
    """
    Read how to use these tools: workflows, options, models, errors. Costs nothing.
    """
    assert call.ctx is not None  # noqa: S101 - a tool is called in a request
    tools = await call.ctx.mcp_server.list_tools()
    return {
        **read_table("guide.toml"),
        "version": imagesession.__version__,
        "guide_content": render_guide(tools),
        "total_tools": len(tools),
    }


async def get_server_stats(call: CallContext) -> Payload:
    """
    Get the server's sessions, images, today's costs and budget, and running generations. Costs
    nothing.
    """
    running = [task.id for task in call.state.tasks.of(call.principal) if not task.work.done()]
    stats = await call.studio.stats()
    return {
        "server_version": stats.version,
        "api_type": stats.provider,
        "max_sessions": stats.max_active_sessions,
        "total_images_generated": stats.total_images,
        **payloads.select(stats, *_SAME_IN_STATS),
        "models_in_use": list(stats.models_in_use),
        "spent_today_usd": round(stats.spent_today, 5),
        "spent_usd": round(stats.spent, 5),
        "daily_budget_usd": call.state.settings.budget_of(call.principal),
        "running_generations": running,
    }
