"""
The tools that look up images, generations, costs and help.
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
    View an image, scaled down for any client. Use it when a result had no preview, or to see an
    older image again. Costs nothing.
    """
    image = await CallContext.from_request().image(image_id)
    payload = {"success": True, "image_id": image.id, "image_path": str(image.path)}
    preview = await results.preview(image, _VIEW_BYTES, max_side)
    if not preview:
        payload["note"] = (
            f"No preview can be made; read the resource {results.uri_of(image.id)} instead."
        )
    text = TextContent(type="text", text=results.dumps_compact(payload))
    return CallToolResult(content=[text, *preview])


async def list_images(
    *,
    session_id: params.OptionalSession = None,
    kind: Annotated[
        params.OptionalText,
        Field(
            description="Only images of this kind: general, product, ui_asset, edit, improvement, "
            "variation, batch, import or promotion."
        ),
    ] = None,
    text: Annotated[
        params.OptionalText, Field(description="Only images whose prompt contains this text.")
    ] = None,
    since: Annotated[
        params.OptionalText, Field(description="Only images of this day or later: '2026-11-24'.")
    ] = None,
    until: Annotated[
        params.OptionalText, Field(description="Only images of this day or earlier.")
    ] = None,
    limit: params.Limit = 20,
    before: Annotated[
        params.OptionalText,
        Field(description="Only images older than the one with this image_id."),
    ] = None,
) -> schemas.ImagesOutput:
    """
    Find saved images, the latest first, with their ids, paths and prompts. Costs nothing.
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
    Get an image that was not ready when its call returned: waits for it, and returns the result of
    that call. Works after a restart of the server, too. Costs nothing.
    """
    call = CallContext.from_request()
    task = call.state.tasks.find(call.principal, generation_id)
    if task is not None:
        return await call.result_or_handle(ctx, task, preview=preview)
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
    Cancel a running generation. Work done until then may still be billed. Cancelling the call
    alone does not stop its generation; this tool does.
    """
    call = CallContext.from_request()
    task = call.state.tasks.find(call.principal, generation_id)
    if task is None:
        await get_generation(ctx, generation_id=generation_id, preview=False)
        return await _cancel_output(call, generation_id, "completed", "It was finished already.")
    for turn_id in await pending_turns(call.studio, generation_id):
        await call.studio.requests.cancel(turn_id)
    await task.cancel(_CANCEL_TIMEOUT)
    if not task.is_done:
        return await _cancel_output(call, generation_id, "running", "It is being stopped.")
    try:
        task.result()
    except ToolCallError as error:
        return await _cancel_output(call, generation_id, "cancelled", error.message)
    except ImageSessionError as error:
        return await _cancel_output(call, generation_id, "failed", error.message)
    return await _cancel_output(call, generation_id, "completed", "It was finished already.")


async def _cancel_output(
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
    prompt: Annotated[str, Field(description="The prompt.")] = "",
    session_id: params.OptionalSession = None,
    quality: params.Quality = "auto",
    size: params.Size = "auto",
    background: params.Background = "auto",
    model: params.Model = "auto",
    image_path: params.OptionalImage = None,
    reference_images: params.References = None,
    count: Annotated[int, Field(description="The number of such images.")] = 1,
    branch: params.Branch = "main",
    options: params.Options = None,
) -> schemas.EstimateOutput:
    """
    Estimate what an image could cost, in US dollars: a lower and an upper bound, and the
    assumptions. Naming quality and size narrows the range. Costs nothing.
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
    return schemas.estimate_output(estimate)


async def analyze_image(
    ctx: Ctx,
    *,
    image_path: params.OptionalImage = None,
    goals: Annotated[str, Field(description="What the image should become, if known.")] = "",
    session_id: params.OptionalSession = None,
    model: params.Model = "auto",
    branch: params.Branch = "main",
) -> schemas.AnalysisOutput:
    """
    Have a model analyze an image and say what could be better, without changing it. Bills one
    analysis, which costs far less than an image.
    """
    call = CallContext.from_request()
    target = await call.session_or_studio(session_id, branch)
    image = await call.resolve_optional_image(image_path, "image_path")
    analysis = target.analyze(image, goals=goals, model=None if model == "auto" else model)
    return schemas.analysis_output(await with_progress(ctx, analysis, "analyzing"))


async def get_usage_guide(ctx: Ctx) -> schemas.GuideOutput:
    """
    Read how to use these tools: which to call for what, workflows, options, models, errors. Costs
    nothing.
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
    Get the server's statistics: sessions, images, today's costs and budget, and running
    generations. Costs nothing.
    """
    call = CallContext.from_request()
    running = [task.id for task in call.state.tasks.of(call.principal) if not task.is_done]
    stats = await call.studio.stats()
    return schemas.stats_output(stats, call.state.settings.daily_budget, running)
