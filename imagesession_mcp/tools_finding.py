"""
The tools that find: pictures, generations, prices, help.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from mcp.types import CallToolResult, TextContent
from pydantic import Field

import imagesession
from imagesession.errors import ImageSessionError
from imagesession_mcp import arguments as given
from imagesession_mcp import guide, results, views
from imagesession_mcp.arguments import chosen
from imagesession_mcp.calls import (
    STILL_PENDING,
    Call,
    answer,
    kept,
    patiently,
    settle,
    turns_pending,
)
from imagesession_mcp.errors import RefusedCallError
from imagesession_mcp.state import Ctx

_VIEW_BYTES = 75_000
_STOPPING = 12.0


async def view_image(
    *,
    image_id: given.ImageId,
    max_side: Annotated[
        int, Field(description="The longer edge in pixels, at most.", ge=64, le=2048)
    ] = 768,
) -> CallToolResult:
    """
    Look at a picture: it comes small enough for any client. Use it when a result came without its
    preview, or to see an older picture again. Costs nothing.
    """
    image = await Call.now().image(image_id)
    told = {"success": True, "image_id": image.id, "image_path": str(image.path)}
    shown = await results.previews(image, _VIEW_BYTES, max_side)
    if not shown:
        told["note"] = (
            f"It cannot be shown as pixels; the resource {results.uri_of(image.id)} is it."
        )
    return CallToolResult(content=[TextContent(type="text", text=results.compact(told)), *shown])


async def list_images(
    *,
    session_id: given.InSession = None,
    kind: Annotated[
        given.MaybeText,
        Field(
            description="Only those made for this: general, product, ui_asset, edit, improvement, "
            "variation, batch, import or promotion."
        ),
    ] = None,
    text: Annotated[
        given.MaybeText, Field(description="Only those whose prompt holds this text.")
    ] = None,
    since: Annotated[
        given.MaybeText, Field(description="Only those of this day or later: '2026-11-24'.")
    ] = None,
    until: Annotated[
        given.MaybeText, Field(description="Only those of this day or before.")
    ] = None,
    limit: given.Limit = 20,
    before: Annotated[
        given.MaybeText, Field(description="Only those older than the picture of this image_id.")
    ] = None,
) -> views.ImagesView:
    """
    Find pictures that were made, the latest first, with their ids, paths and prompts. Costs
    nothing.
    """
    call = Call.now()
    wanted = (await call.session(session_id)).id if session_id else None
    images = await call.studio.images.list(
        session=wanted,
        kind=kind,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the library checks it
        text=text,
        since=since,
        until=until,
        limit=limit,
        before=before,
    )
    return views.ImagesView(
        images=[views.image_row(one) for one in images],
        before=images[-1].id if len(images) == limit else None,
    )


async def get_generation(
    ctx: Ctx, *, generation_id: given.GenerationId, preview: given.WithPreview = True
) -> CallToolResult:
    """
    Come back for a picture that was not ready when its call returned: waits for it, and returns it
    as that call would have. Works after the server was started anew, too. Costs nothing.
    """
    call = Call.now()
    work = call.state.works.find(call.owner, generation_id)
    if work is not None:
        return await answer(ctx, call, work, preview=preview)
    looking = settle(call.studio, generation_id, call.state.settings.wait_seconds)
    try:
        await patiently(ctx, looking, "looking it up")
    except RefusedCallError as error:
        if error.code == STILL_PENDING:
            return results.hand_over(generation_id, "of an earlier run, not settled yet")
        raise
    found = await kept(call.studio, generation_id)
    if not found:
        known = [one.id for one in call.state.works.of(call.owner)][:10]
        raise RefusedCallError(
            "generation_not_found",
            f"There is no generation {generation_id!r}, or it ended without a picture before the "
            "server was last started. list_images finds pictures.",
            {"available_generations": known},
        )
    return await results.show(
        found,
        generation_id=generation_id,
        preview_bytes=call.state.settings.preview_bytes if preview else 0,
        batch="takes" in found[0].turn.parameters,
    )


async def cancel_generation(ctx: Ctx, *, generation_id: given.GenerationId) -> views.CancelledView:
    """
    Stop a picture that is being made and is no longer wanted. What was drawn until then may still
    be billed. Ending a call does not stop its picture; this does.
    """
    call = Call.now()
    work = call.state.works.find(call.owner, generation_id)
    if work is None:
        await get_generation(ctx, generation_id=generation_id, preview=False)
        return await _cancelled(call, generation_id, "completed", "It was finished already.")
    for turn_id, _ in await turns_pending(call.studio, generation_id):
        await call.studio.requests.cancel(turn_id)
    if work.task is not None and not work.task.done():
        work.task.cancel()
        await asyncio.wait({work.task}, timeout=_STOPPING)
    try:
        work.result()
    except RefusedCallError as error:
        return await _cancelled(call, generation_id, "cancelled", error.message)
    except asyncio.InvalidStateError:
        return await _cancelled(call, generation_id, "running", "It is being stopped.")
    except ImageSessionError as error:
        return await _cancelled(call, generation_id, "failed", error.message)
    return await _cancelled(call, generation_id, "completed", "It was finished already.")


async def _cancelled(
    call: Call, generation_id: str, status: str, message: str
) -> views.CancelledView:
    return views.CancelledView(
        generation_id=generation_id,
        status=status,
        image_ids=[one.id for one in await kept(call.studio, generation_id)],
        message=message,
    )


async def estimate_cost(
    *,
    prompt: Annotated[str, Field(description="What would be asked.")] = "",
    session_id: given.InSession = None,
    quality: given.Quality = "auto",
    size: given.Size = "auto",
    background: given.Background = "auto",
    model: given.Model = "auto",
    image_path: given.MaybeImage = None,
    reference_images: given.References = None,
    count: Annotated[int, Field(description="How many such pictures.")] = 1,
    branch: given.Branch = "main",
    options: given.MoreOptions = None,
) -> views.EstimateView:
    """
    Tell what a picture could cost before it is asked for, in US dollars: the least, the most, and
    what that rests on. Naming quality and size narrows it. Costs nothing.
    """
    call = Call.now()
    asked = chosen(quality=quality, size=size, background=background, model=model, more=options)
    place = await call.place(session_id, branch)
    estimate = await place.estimate(
        prompt,
        image=await call.maybe_picture(image_path, "image_path"),
        reference=await call.pictures(reference_images or (), "reference_images"),
        n=count,
        **asked,
    )
    return views.estimate_view(estimate)


async def analyze_image(
    ctx: Ctx,
    *,
    image_path: given.MaybeImage = None,
    goals: Annotated[str, Field(description="What the picture is to be, if that matters.")] = "",
    session_id: given.InSession = None,
    model: given.Model = "auto",
    branch: given.Branch = "main",
) -> views.AnalysisView:
    """
    Have a model look at a picture and tell what could be better, without changing it. Bills one
    look, which costs far less than a picture.
    """
    call = Call.now()
    place = await call.place(session_id, branch)
    image = await call.maybe_picture(image_path, "image_path")
    looking = place.analyze(image, goals=goals, model=None if model == "auto" else model)
    found = await patiently(ctx, looking, "looking")
    return views.analysis_view(found)


async def get_usage_guide(ctx: Ctx) -> views.GuideView:
    """
    Read how these tools are best used: which to call for what, workflows, options, models, errors.
    Costs nothing.
    """
    tools = await ctx.mcp_server.list_tools()
    return views.GuideView(
        version=imagesession.__version__,
        architecture="sessions kept on disk, over OpenAI's Responses API",
        guide_content=guide.write(tools),
        last_updated=guide.DATED,
        total_tools=len(tools),
        key_features=guide.FEATURES,
        quick_start=guide.QUICK_START,
    )


async def get_server_stats() -> views.StatsView:
    """
    Tell how the server stands: sessions, pictures, what was spent today and what may be, and what
    is being made right now. Costs nothing.
    """
    call = Call.now()
    running = [one.id for one in call.state.works.of(call.owner) if not one.is_done]
    return views.stats_view(await call.studio.stats(), call.state.settings.daily_budget, running)
