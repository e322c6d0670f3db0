"""
The tools that generate images. Each resolves the images and session that the call names, starts a
method of the library as a task, and waits for it.
"""

from __future__ import annotations

from typing import Annotated, Any

from mcp.types import CallToolResult
from pydantic import Field

import imagesession
from imagesession_mcp import payloads, results
from imagesession_mcp.app_state import Ctx
from imagesession_mcp.context import CallContext, InputImage, with_progress
from imagesession_mcp.tasks import Generation, GenerationTask
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
    request_id: params.RequestId = None,
) -> CallToolResult:
    """
    Make the next image of a session: the model knows the earlier turns, so 'warmer light' refines
    the last image. Use it for every step of a project of several images. Bills one image.
    """
    call = CallContext.from_request()
    chosen = build_options(quality=quality, size=size, background=background, more=options)

    async def prepare(task: GenerationTask) -> Generation:
        session = await call.session(session_id, branch, reopen=reopen)
        names = (reference_image_path, *(reference_images or ()))
        return session.generate(
            prompt,
            references=await call.resolve_images(names, "reference_images"),
            mask=await call.resolve_optional_image(mask_image_path, "mask_image_path"),
            **task.arguments,
            **chosen,
        )

    return await call.generate(ctx, request_id, prepare)


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
    request_id: params.RequestId = None,
) -> CallToolResult:
    """
    Make a single image without a session. Use it for quick, unrelated images;
    promote_image_to_session continues from one later. Bills one image.
    """
    del use_case  # accepted so that callers of openai-image-mcp need not change
    call = CallContext.from_request()
    chosen = build_options(
        quality=quality, size=size, background=background, model=model, more=options
    )

    async def prepare(task: GenerationTask) -> Generation:
        target = await call.session_or_studio(session_id, branch)
        references = await call.resolve_images(reference_images, "reference_images")
        return target.generate(prompt, references=references, **task.arguments, **chosen)

    return await call.generate(ctx, request_id, prepare)


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
) -> CallToolResult:
    """
    Edit an existing image: all of it, or the area of a mask. Use it for files and for masks; in a
    session, generate_image_in_session changes the last image by a prompt alone. Bills one image.
    """
    call = CallContext.from_request()
    chosen = build_options(quality=quality, size=size, background=background, more=options)

    async def prepare(task: GenerationTask) -> Generation:
        target = await call.session_or_studio(session_id, branch)
        image = await call.resolve_optional_image(image_path, "image_path")
        task.extra = _original_image(image, image_path)
        return target.edit(
            prompt,
            image=image,
            mask=await call.resolve_optional_image(mask_path, "mask_path"),
            markup=await call.resolve_optional_image(markup_path, "markup_path"),
            references=await call.resolve_images(reference_images, "reference_images"),
            resize_mask=resize_mask,
            preserve_unmasked=preserve_unmasked,
            **task.arguments,
            **chosen,
        )

    return await call.generate(ctx, request_id, prepare)


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
) -> CallToolResult:
    """
    Make product photographs with a tested prompt template, several variations at once if
    requested: `results` has each image or its error. Bills batch_count images.
    """
    call = CallContext.from_request()
    chosen = build_options(quality=quality, size=size, more=options)

    async def prepare(task: GenerationTask) -> Generation:
        target = await call.session_or_studio(session_id, branch)
        return target.preset(
            "product",
            product_description,
            params={"background_type": background_type, "angle": angle, "lighting": lighting},
            references=await call.resolve_images(reference_images, "reference_images"),
            n=batch_count,
            **task.arguments,
            **chosen,
        )

    return await call.generate(ctx, request_id, prepare, batch=True)


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
) -> CallToolResult:
    """
    Make an icon, illustration, background, hero or button for a user interface. Use one session_id
    for a whole set, so that its parts match. Bills one image.
    """
    call = CallContext.from_request()
    chosen = build_options(quality=quality, more=options)
    parameters = {
        "asset_type": asset_type,
        "theme": theme,
        "style_preset": style_preset,
        "size_preset": size_preset,
    }

    async def prepare(task: GenerationTask) -> Generation:
        target = await call.session_or_studio(session_id, branch)
        references = await call.resolve_images(reference_images, "reference_images")
        return target.preset(
            "ui_asset",
            description,
            params=parameters,
            references=references,
            n=None,
            **task.arguments,
            **chosen,
        )

    return await call.generate(ctx, request_id, prepare)


async def analyze_and_improve_image(
    ctx: Ctx,
    *,
    improvement_goals: params.Goals,
    image_path: params.OptionalImage = None,
    session_id: params.OptionalSession = None,
    preserve_elements: params.PreserveElements = None,
    analyze_only: Annotated[
        bool, Field(description="Returns the findings without a new image, for far less.")
    ] = False,
    quality: params.Quality = "auto",
    size: params.Size = "auto",
    branch: params.Branch = "main",
    options: params.Options = None,
    request_id: params.RequestId = None,
) -> CallToolResult:
    """
    Have a model analyze an image, then fix what it found: the result has the findings and the new
    image. Use it when the goal is clear but the changes are not. Bills an analysis and one image.
    """
    call = CallContext.from_request()
    chosen = build_options(quality=quality, size=size, more=options)
    if analyze_only:
        target = await call.session_or_studio(session_id, branch)
        image = await call.resolve_optional_image(image_path, "image_path")
        analysis = target.analyze(image, goals=improvement_goals, model=chosen.get("model"))
        found = await with_progress(ctx, analysis, "analyzing")
        return results.text_result(payloads.analysis_payload(found))

    async def prepare(task: GenerationTask) -> Generation:
        target = await call.session_or_studio(session_id, branch)
        image = await call.resolve_optional_image(image_path, "image_path")
        task.extra = _original_image(image, image_path)
        return target.improve(
            improvement_goals,
            image=image,
            preserve_elements=preserve_elements or "",
            **task.arguments,
            **chosen,
        )

    return await call.generate(ctx, request_id, prepare)


def _original_image(image: InputImage | None, image_path: str | None) -> dict[str, Any]:
    if isinstance(image, imagesession.AsyncSavedImage):
        return {
            "original_image_path": results.path_of(image),
            "original_image_id": results.short_id(image.id),
        }
    return {} if image_path is None else {"original_image_path": image_path}
