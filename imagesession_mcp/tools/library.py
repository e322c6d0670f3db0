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
from imagesession_mcp import guide, payloads, results, safe_files
from imagesession_mcp.app_state import Ctx
from imagesession_mcp.context import (
    STILL_PENDING,
    CallContext,
    find_saved,
    pending_turns,
    wait_until_settled,
    with_progress,
)
from imagesession_mcp.errors import ToolCallError
from imagesession_mcp.tools import params
from imagesession_mcp.tools.params import build_options

# The most bytes of a view of this size.
_VIEW_BYTES = 75_000
_VIEW_SIDE = 768
_CANCEL_TIMEOUT = 12.0


async def upload_image(
    *,
    data: Annotated[str, Field(description="The file in base64, at most 10 MB.")],
    prompt: Annotated[params.OptionalText, Field(description="What it shows.")] = None,
) -> CallToolResult:
    """
    Add an image of your own to the library, when the server cannot read its file. Costs nothing.
    """
    studio = CallContext.from_request().studio
    content = await asyncio.to_thread(safe_files.decode_upload, data)
    image = await studio.images.import_file(content, prompt=prompt)
    return results.text_result(results.view_payload(image, shown=True))


async def view_image(
    ctx: Ctx,
    *,
    image_id: params.ImageId,
    max_side: Annotated[
        int, Field(description="The longer edge in pixels, at most.", ge=64, le=2048)
    ] = 768,
) -> CallToolResult:
    """
    View a saved image, as large as you ask, with its path; over HTTP also with an address that
    serves the whole file for ten minutes. Costs nothing.
    """
    call = CallContext.from_request()
    image = await call.image(image_id)
    shown = await results.preview(image, _view_bytes(max_side), max_side)
    # The image comes first, because some frameworks pass on only the first block.
    payload = results.view_payload(image, shown=bool(shown))
    if call.state.downloads and ctx.headers:
        address = call.state.downloads.make(ctx.headers, call.principal, image.id)
        payload["download_url"] = address
    text = results.text_result(payload)
    return CallToolResult(content=[*shown, *text.content])


def _view_bytes(max_side: int) -> int:
    """
    Return how many bytes a view may have: as many for each pixel, at any size.
    """
    return max(_VIEW_BYTES, round(_VIEW_BYTES * (max_side / _VIEW_SIDE) ** 2))


async def list_images(
    *,
    session_id: Annotated[
        params.OptionalText, Field(description="Only images of that session.")
    ] = None,
    kind: Annotated[
        params.OptionalText,
        Field(
            description="general, product, ui_asset, edit, improvement, variation, batch, import "
            "or promotion."
        ),
    ] = None,
    text: Annotated[params.OptionalText, Field(description="Contained in the prompt.")] = None,
    since: Annotated[
        params.OptionalText, Field(description="The first day, as '2026-11-24'.")
    ] = None,
    until: Annotated[params.OptionalText, Field(description="The last day.")] = None,
    limit: params.Limit = 20,
    before: Annotated[
        params.OptionalText, Field(description="Continues after the image of that image_id.")
    ] = None,
    detailed: Annotated[
        bool, Field(description="Adds paths, kinds, sessions, days and costs.")
    ] = False,
) -> CallToolResult:
    """
    Find saved images, the latest first. Costs nothing.
    """
    call = CallContext.from_request()
    session = await call.session(session_id) if session_id else None
    images = await call.studio.images.list(
        session=None if session is None else session.id,
        kind=kind,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the library checks it
        text=text,
        since=since,
        until=until,
        limit=limit,
        before=(await call.image(before)).id if before else None,
    )
    payload = {
        "success": True,
        "images": [payloads.image_row(image, detailed=detailed) for image in images],
        "before": results.short_id(images[-1].id) if len(images) == limit else None,
    }
    return results.text_result(payload)


async def get_generation(ctx: Ctx, *, generation_id: params.GenerationId) -> CallToolResult:
    """
    Get an image that was not ready when its call returned: waits for it, also after a restart of
    the server. Costs nothing.
    """
    call = CallContext.from_request()
    task = call.state.tasks.find(call.principal, generation_id)
    if task is not None:
        return await call.result_or_handle(ctx, task)
    settings = call.state.settings
    settled = wait_until_settled(call.studio, generation_id, settings.wait_seconds)
    try:
        await with_progress(ctx, settled, "checking for the result")
    except ToolCallError as error:
        if error.code == STILL_PENDING:
            return results.pending_result(generation_id, "of an earlier run, not settled yet")
        raise
    saved = await find_saved(call.studio, generation_id)
    if not saved:
        known_ids = [task.id for task in call.state.tasks.of(call.principal)][:10]
        raise ToolCallError(
            "generation_not_found",
            f"There is no generation {generation_id!r}, or it ended without an image before the "
            "server was last started. list_images finds saved images.",
            {"available_generations": known_ids},
        )
    is_batch = "takes" in saved[0].turn.parameters
    return await results.build_result(saved, settings, batch=is_batch)


async def cancel_generation(ctx: Ctx, *, generation_id: params.GenerationId) -> CallToolResult:
    """
    Stop a running generation, which cancelling its call does not. Work done until then may still
    be billed.
    """
    call = CallContext.from_request()
    task = call.state.tasks.find(call.principal, generation_id)
    if task is None:
        await get_generation(ctx, generation_id=generation_id)
        return await _cancel_result(call, generation_id, "completed", "It was finished already.")
    for turn_id in await pending_turns(call.studio, generation_id):
        await call.studio.requests.cancel(turn_id)
    await task.cancel(_CANCEL_TIMEOUT)
    if not task.is_done:
        return await _cancel_result(call, generation_id, "running", "It is being stopped.")
    try:
        task.result()
    except ToolCallError as error:
        return await _cancel_result(call, generation_id, "cancelled", error.message)
    except ImageSessionError as error:
        return await _cancel_result(call, generation_id, "failed", error.message)
    return await _cancel_result(call, generation_id, "completed", "It was finished already.")


async def _cancel_result(
    call: CallContext, generation_id: str, status: str, message: str
) -> CallToolResult:
    saved = await find_saved(call.studio, generation_id)
    return results.text_result(
        {
            "success": True,
            "generation_id": generation_id,
            "status": status,
            "image_ids": [results.short_id(image.id) for image in saved],
            "message": message,
        }
    )


async def estimate_cost(
    *,
    prompt: Annotated[str, Field(description="Its prompt.")] = "",
    session_id: params.OptionalSession = None,
    quality: params.Quality = "auto",
    size: params.Size = "auto",
    background: params.Background = "auto",
    model: params.Model = "auto",
    image_path: params.OptionalImage = None,
    reference_images: params.References = None,
    count: Annotated[int, Field(description="How many such images.")] = 1,
    branch: params.Branch = "main",
    options: params.Options = None,
) -> CallToolResult:
    """
    Estimate what an image could cost, in US dollars: two bounds and the assumptions. Naming
    quality and size narrows the range. Costs nothing.
    """
    call = CallContext.from_request()
    chosen_options = build_options(
        quality=quality, size=size, background=background, model=model, more=options
    )
    target = await call.session_or_studio(session_id, branch)
    estimate = await target.estimate(
        prompt,
        image=await call.resolve_optional_image(image_path, "image_path"),
        references=await call.resolve_images(reference_images, "reference_images"),
        n=count,
        **chosen_options,
    )
    return results.text_result(payloads.estimate_payload(estimate))


async def get_usage_guide(ctx: Ctx) -> CallToolResult:
    """
    Read how to use these tools: workflows, options, models, errors. Costs nothing.
    """
    tools = await ctx.mcp_server.list_tools()
    return results.text_result(
        {
            "success": True,
            "version": imagesession.__version__,
            "architecture": "sessions kept on disk, over OpenAI's Responses API",
            "guide_content": guide.render(tools),
            "last_updated": guide.LAST_UPDATED,
            "total_tools": len(tools),
            "key_features": guide.FEATURES,
            "quick_start": guide.QUICK_START,
        }
    )


async def get_server_stats() -> CallToolResult:
    """
    Get the server's sessions, images, today's costs and budget, and running generations. Costs
    nothing.
    """
    call = CallContext.from_request()
    running = [task.id for task in call.state.tasks.of(call.principal) if not task.is_done]
    stats = payloads.stats_payload(await call.studio.stats())
    settings = call.state.settings.for_principal(call.principal)
    budget = {"daily_budget_usd": settings.daily_budget}
    return results.text_result({**stats, **budget, "running_generations": running})
