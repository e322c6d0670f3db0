"""
The tools that generate images. Each resolves the images and session that the call names, starts a
method of the library as a task, and waits for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from mcp.types import CallToolResult

import imagesession
from imagesession_mcp.app_state import Ctx
from imagesession_mcp.context import CallContext, InputImage, SessionOrStudio
from imagesession_mcp.tasks import GenerationTask
from imagesession_mcp.tools import params
from imagesession_mcp.tools.params import build_options


async def generate_image_in_session(
    ctx: Ctx,
    *,
    session_id: params.SessionId,
    prompt: params.Prompt,
    reference_image_path: params.ReferencePath = None,
    mask_image_path: params.Mask = None,
    quality: params.Quality = "auto",
    size: params.Size = "auto",
    background: params.Background = "auto",
    reference_images: params.References = None,
    branch: params.Branch = "main",
    reopen: params.Reopen = False,
    options: params.Options = None,
    partial_images: params.PartialImages = 0,
    request_id: params.RequestId = None,
    preview: params.Preview = True,
) -> CallToolResult:
    """
    Make the next image of a session: the model knows the earlier turns, so 'warmer light' refines
    the last image. Use it for every step of a project of several images. Bills one image;
    estimate_cost returns the cost beforehand, the result the actual cost.
    """
    call = CallContext.from_request()
    chosen_options = build_options(quality=quality, size=size, background=background, more=options)
    task = call.task(ctx, request_id)
    if not task.is_started:
        session = await call.session(session_id, branch, reopen=reopen)
        references = (reference_image_path, *(reference_images or ()))
        generation = _generate(
            session,
            task,
            prompt,
            references=await call.resolve_images(references, "reference_image_path"),
            mask=await call.resolve_optional_image(mask_image_path, "mask_image_path"),
            partial_images=partial_images,
            options=chosen_options,
        )
        task = call.state.tasks.start(task, generation)
    return await call.result_or_handle(ctx, task, preview=preview)


async def generate_image(
    ctx: Ctx,
    *,
    prompt: params.Prompt,
    session_id: params.OptionalSession = None,
    model: params.Model = "auto",
    quality: params.Quality = "auto",
    size: params.Size = "auto",
    background: params.Background = "auto",
    use_case: params.UseCase = "general",
    reference_images: params.References = None,
    branch: params.Branch = "main",
    options: params.Options = None,
    partial_images: params.PartialImages = 0,
    request_id: params.RequestId = None,
    preview: params.Preview = True,
) -> CallToolResult:
    """
    Make a single image without a session. Use it for quick, unrelated images;
    promote_image_to_session can continue from one later. With session_id it is the session's next
    image. Bills one image; estimate_cost returns the cost beforehand, the result the actual cost.
    """
    del use_case  # accepted so that callers of openai-image-mcp need not change
    call = CallContext.from_request()
    chosen_options = build_options(
        quality=quality, size=size, background=background, model=model, more=options
    )
    task = call.task(ctx, request_id)
    if not task.is_started:
        target = await call.session_or_studio(session_id, branch)
        generation = _generate(
            target,
            task,
            prompt,
            references=await call.resolve_images(reference_images, "reference_images"),
            partial_images=partial_images,
            options=chosen_options,
        )
        task = call.state.tasks.start(task, generation)
    return await call.result_or_handle(ctx, task, preview=preview)


async def edit_image(
    ctx: Ctx,
    *,
    prompt: params.Prompt,
    image_path: params.OptionalImage = None,
    session_id: params.OptionalSession = None,
    mask_path: params.Mask = None,
    quality: params.Quality = "auto",
    size: params.Size = "auto",
    background: params.Background = "auto",
    reference_images: params.References = None,
    markup_path: params.Markup = None,
    resize_mask: params.ResizeMask = False,
    preserve_unmasked: params.PreserveUnmasked = False,
    branch: params.Branch = "main",
    options: params.Options = None,
    request_id: params.RequestId = None,
    preview: params.Preview = True,
) -> CallToolResult:
    """
    Edit an existing image: all of it, or the area of a mask. Use it for images from files and for
    masks; in a session, generate_image_in_session changes the last image by a prompt alone.
    Bills one image; estimate_cost returns the cost beforehand, the result the actual cost.
    """
    call = CallContext.from_request()
    chosen_options = build_options(quality=quality, size=size, background=background, more=options)
    task = call.task(ctx, request_id)
    if not task.is_started:
        target = await call.session_or_studio(session_id, branch)
        image = await call.resolve_optional_image(image_path, "image_path")
        generation = target.edit(
            prompt,
            image=image,
            mask=await call.resolve_optional_image(mask_path, "mask_path"),
            markup=await call.resolve_optional_image(markup_path, "markup_path"),
            references=await call.resolve_images(reference_images, "reference_images"),
            resize_mask=resize_mask,
            preserve_unmasked=preserve_unmasked,
            idempotency_key=task.key,
            on_progress=task.on_progress,
            **chosen_options,
        )
        task.extra = _original_image(image, image_path)
        task = call.state.tasks.start(task, generation)
    return await call.result_or_handle(ctx, task, preview=preview)


async def generate_product_image(
    ctx: Ctx,
    *,
    product_description: params.ProductDescription,
    session_id: params.OptionalSession = None,
    background_type: params.BackgroundType = "white",
    angle: params.Angle = "front",
    lighting: params.Lighting = "studio",
    batch_count: params.BatchCount = 1,
    quality: params.Quality = "auto",
    size: params.Size = "auto",
    reference_images: params.References = None,
    branch: params.Branch = "main",
    options: params.Options = None,
    request_id: params.RequestId = None,
    preview: params.Preview = True,
) -> CallToolResult:
    """
    Make product photographs with a tested prompt template, several variations at once if
    requested. `results` has each image or its error. Bills batch_count images; estimate_cost
    returns the cost of one.
    """
    call = CallContext.from_request()
    chosen_options = build_options(quality=quality, size=size, more=options)
    task = call.task(ctx, request_id, batch=True)
    if not task.is_started:
        target = await call.session_or_studio(session_id, branch)
        generation = target.preset(
            "product",
            product_description,
            params={"background_type": background_type, "angle": angle, "lighting": lighting},
            references=await call.resolve_images(reference_images, "reference_images"),
            n=batch_count,
            idempotency_key=task.key,
            on_progress=task.on_progress,
            **chosen_options,
        )
        task = call.state.tasks.start(task, generation)
    return await call.result_or_handle(ctx, task, preview=preview)


async def generate_ui_asset(
    ctx: Ctx,
    *,
    asset_type: params.AssetType,
    description: params.AssetDescription,
    session_id: params.OptionalSession = None,
    theme: params.Theme = "modern",
    style_preset: params.StylePreset = "flat",
    size_preset: params.SizePreset = "standard",
    quality: params.Quality = "auto",
    reference_images: params.References = None,
    branch: params.Branch = "main",
    options: params.Options = None,
    request_id: params.RequestId = None,
    preview: params.Preview = True,
) -> CallToolResult:
    """
    Make an icon, illustration, background, hero or button for a user interface. Use one session_id
    for a whole set, so that its parts match. Bills one image; estimate_cost returns the cost
    beforehand, the result the actual cost.
    """
    call = CallContext.from_request()
    chosen_options = build_options(quality=quality, more=options)
    task = call.task(ctx, request_id)
    if not task.is_started:
        target = await call.session_or_studio(session_id, branch)
        generation = target.preset(
            "ui_asset",
            description,
            params={
                "asset_type": asset_type,
                "theme": theme,
                "style_preset": style_preset,
                "size_preset": size_preset,
            },
            references=await call.resolve_images(reference_images, "reference_images"),
            n=None,
            idempotency_key=task.key,
            on_progress=task.on_progress,
            **chosen_options,
        )
        task = call.state.tasks.start(task, generation)
    return await call.result_or_handle(ctx, task, preview=preview)


async def analyze_and_improve_image(
    ctx: Ctx,
    *,
    improvement_goals: params.Goals,
    image_path: params.OptionalImage = None,
    session_id: params.OptionalSession = None,
    preserve_elements: params.PreserveElements = None,
    quality: params.Quality = "auto",
    size: params.Size = "auto",
    branch: params.Branch = "main",
    options: params.Options = None,
    request_id: params.RequestId = None,
    preview: params.Preview = True,
) -> CallToolResult:
    """
    Have a model analyze an image, then fix what it found: the result has the findings and the new
    image. Use it when the goal is clear but the changes are not. Bills an analysis and one image;
    analyze_image only analyzes.
    """
    call = CallContext.from_request()
    chosen_options = build_options(quality=quality, size=size, more=options)
    task = call.task(ctx, request_id)
    if not task.is_started:
        target = await call.session_or_studio(session_id, branch)
        image = await call.resolve_optional_image(image_path, "image_path")
        generation = target.improve(
            improvement_goals,
            image=image,
            preserve_elements=preserve_elements or "",
            idempotency_key=task.key,
            on_progress=task.on_progress,
            **chosen_options,
        )
        task.extra = _original_image(image, image_path)
        task = call.state.tasks.start(task, generation)
    return await call.result_or_handle(ctx, task, preview=preview)


async def _generate(
    target: SessionOrStudio,
    task: GenerationTask,
    prompt: str,
    *,
    references: list[InputImage],
    mask: InputImage | None = None,
    partial_images: int,
    options: dict[str, Any],
) -> imagesession.AsyncSavedImage:
    """
    Generate an image, with partial images if the call requests any.
    """
    arguments: dict[str, Any] = {
        **options,
        "references": references,
        "mask": mask,
        "idempotency_key": task.key,
        "on_progress": task.on_progress,
    }
    if not partial_images:
        return await target.generate(prompt, **arguments)
    return await _saved_image(target.stream(prompt, partial_images=partial_images, **arguments))


async def _saved_image(events: AsyncIterator[object]) -> imagesession.AsyncSavedImage:
    """
    Return the final image of a stream; its partial images are reported as progress.
    """
    saved = [event async for event in events if isinstance(event, imagesession.AsyncSavedImage)]
    return saved[-1]


def _original_image(image: InputImage | None, image_path: str | None) -> dict[str, Any]:
    if isinstance(image, imagesession.AsyncSavedImage):
        return {"original_image_path": str(image.path), "original_image_id": image.id}
    return {} if image_path is None else {"original_image_path": image_path}
