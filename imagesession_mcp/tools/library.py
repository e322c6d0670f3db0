"""
The tools that find: pictures, generations, prices, help.
"""

from __future__ import annotations

from typing import Annotated

from mcp.types import CallToolResult, TextContent
from pydantic import Field

import imagesession
from imagesession.errors import ImageSessionError
from imagesession_mcp import guide, results, schemas
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

_VIEW_BYTES = 75_000
_CANCEL_TIMEOUT = 12.0


async def view_image(
    *,
    image_id: params.ImageId,
    max_side: Annotated[
        int, Field(description="The longer edge in pixels, at most.", ge=64, le=2048)
    ] = 768,
) -> CallToolResult:
    """
    Look at a picture: it comes small enough for any client. Use it when a result came without its
    preview, or to see an older picture again. Costs nothing.
    """
    image = await CallContext.from_request().image(image_id)
    payload = {"success": True, "image_id": image.id, "image_path": str(image.path)}
    preview = await results.preview(image, _VIEW_BYTES, max_side)
    if not preview:
        payload["note"] = (
            f"It cannot be shown as pixels; the resource {results.uri_of(image.id)} is it."
        )
    text = TextContent(type="text", text=results.dumps_compact(payload))
    return CallToolResult(content=[text, *preview])


async def list_images(
    *,
    session_id: params.OptionalSession = None,
    kind: Annotated[
        params.OptionalText,
        Field(
            description="Only those made for this: general, product, ui_asset, edit, improvement, "
            "variation, batch, import or promotion."
        ),
    ] = None,
    text: Annotated[
        params.OptionalText, Field(description="Only those whose prompt holds this text.")
    ] = None,
    since: Annotated[
        params.OptionalText, Field(description="Only those of this day or later: '2026-11-24'.")
    ] = None,
    until: Annotated[
        params.OptionalText, Field(description="Only those of this day or before.")
    ] = None,
    limit: params.Limit = 20,
    before: Annotated[
        params.OptionalText,
        Field(description="Only those older than the picture of this image_id."),
    ] = None,
) -> schemas.ImagesOutput:
    """
    Find pictures that were made, the latest first, with their ids, paths and prompts. Costs
    nothing.
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
        before=before,
    )
    return schemas.ImagesOutput(
        images=[schemas.image_row(image) for image in images],
        before=images[-1].id if len(images) == limit else None,
    )


async def get_generation(
    ctx: Ctx, *, generation_id: params.GenerationId, preview: params.Preview = True
) -> CallToolResult:
    """
    Come back for a picture that was not ready when its call returned: waits for it, and returns it
    as that call would have. Works after the server was started anew, too. Costs nothing.
    """
    call = CallContext.from_request()
    task = call.state.tasks.find(call.principal, generation_id)
    if task is not None:
        return await call.result_or_handle(ctx, task, preview=preview)
    settings = call.state.settings
    settled = wait_until_settled(call.studio, generation_id, settings.wait_seconds)
    try:
        await with_progress(ctx, settled, "looking it up")
    except ToolCallError as error:
        if error.code == STILL_PENDING:
            return results.pending_result(generation_id, "of an earlier run, not settled yet")
        raise
    saved = await find_saved(call.studio, generation_id)
    if not saved:
        known = [task.id for task in call.state.tasks.of(call.principal)][:10]
        raise ToolCallError(
            "generation_not_found",
            f"There is no generation {generation_id!r}, or it ended without a picture before the "
            "server was last started. list_images finds pictures.",
            {"available_generations": known},
        )
    return await results.build_result(
        saved,
        generation_id=generation_id,
        preview_bytes=settings.preview_bytes if preview else 0,
        batch="takes" in saved[0].turn.parameters,
    )


async def cancel_generation(
    ctx: Ctx, *, generation_id: params.GenerationId
) -> schemas.CancelledOutput:
    """
    Stop a picture that is being made and is no longer wanted. What was drawn until then may still
    be billed. Ending a call does not stop its picture; this does.
    """
    call = CallContext.from_request()
    task = call.state.tasks.find(call.principal, generation_id)
    if task is None:
        await get_generation(ctx, generation_id=generation_id, preview=False)
        return await _cancelled(call, generation_id, "completed", "It was finished already.")
    for turn_id in await pending_turns(call.studio, generation_id):
        await call.studio.requests.cancel(turn_id)
    await task.cancel(_CANCEL_TIMEOUT)
    if not task.is_done:
        return await _cancelled(call, generation_id, "running", "It is being stopped.")
    try:
        task.result()
    except ToolCallError as error:
        return await _cancelled(call, generation_id, "cancelled", error.message)
    except ImageSessionError as error:
        return await _cancelled(call, generation_id, "failed", error.message)
    return await _cancelled(call, generation_id, "completed", "It was finished already.")


async def _cancelled(
    call: CallContext, generation_id: str, status: str, message: str
) -> schemas.CancelledOutput:
    return schemas.CancelledOutput(
        generation_id=generation_id,
        status=status,
        image_ids=[image.id for image in await find_saved(call.studio, generation_id)],
        message=message,
    )


async def estimate_cost(
    *,
    prompt: Annotated[str, Field(description="What would be asked.")] = "",
    session_id: params.OptionalSession = None,
    quality: params.Quality = "auto",
    size: params.Size = "auto",
    background: params.Background = "auto",
    model: params.Model = "auto",
    image_path: params.OptionalImage = None,
    reference_images: params.References = None,
    count: Annotated[int, Field(description="How many such pictures.")] = 1,
    branch: params.Branch = "main",
    options: params.Options = None,
) -> schemas.EstimateOutput:
    """
    Tell what a picture could cost before it is asked for, in US dollars: the least, the most, and
    what that rests on. Naming quality and size narrows it. Costs nothing.
    """
    call = CallContext.from_request()
    chosen = build_options(
        quality=quality, size=size, background=background, model=model, more=options
    )
    target = await call.session_or_studio(session_id, branch)
    estimate = await target.estimate(
        prompt,
        image=await call.resolve_optional_image(image_path, "image_path"),
        references=await call.resolve_images(reference_images, "reference_images"),
        n=count,
        **chosen,
    )
    return schemas.estimate_output(estimate)


async def analyze_image(
    ctx: Ctx,
    *,
    image_path: params.OptionalImage = None,
    goals: Annotated[str, Field(description="What the picture is to be, if that matters.")] = "",
    session_id: params.OptionalSession = None,
    model: params.Model = "auto",
    branch: params.Branch = "main",
) -> schemas.AnalysisOutput:
    """
    Have a model look at a picture and tell what could be better, without changing it. Bills one
    look, which costs far less than a picture.
    """
    call = CallContext.from_request()
    target = await call.session_or_studio(session_id, branch)
    image = await call.resolve_optional_image(image_path, "image_path")
    analysis = target.analyze(image, goals=goals, model=None if model == "auto" else model)
    return schemas.analysis_output(await with_progress(ctx, analysis, "analyzing"))


async def get_usage_guide(ctx: Ctx) -> schemas.GuideOutput:
    """
    Read how these tools are best used: which to call for what, workflows, options, models, errors.
    Costs nothing.
    """
    tools = await ctx.mcp_server.list_tools()
    return schemas.GuideOutput(
        version=imagesession.__version__,
        architecture="sessions kept on disk, over OpenAI's Responses API",
        guide_content=guide.render(tools),
        last_updated=guide.LAST_UPDATED,
        total_tools=len(tools),
        key_features=guide.FEATURES,
        quick_start=guide.QUICK_START,
    )


async def get_server_stats() -> schemas.StatsOutput:
    """
    Tell how the server stands: sessions, pictures, what was spent today and what may be, and what
    is being made right now. Costs nothing.
    """
    call = CallContext.from_request()
    running = [task.id for task in call.state.tasks.of(call.principal) if not task.is_done]
    stats = await call.studio.stats()
    return schemas.stats_output(stats, call.state.settings.daily_budget, running)
