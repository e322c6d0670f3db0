"""
The tools that generate images. Each resolves the images and session that the call names, and
returns a method of the library with its arguments, which is then run as a task.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import imagesession
from imagesession_mcp import payloads
from imagesession_mcp.context import CallContext, InputImage
from imagesession_mcp.payloads import Payload
from imagesession_mcp.tasks import Generation
from imagesession_mcp.tools import params
from imagesession_mcp.tools.params import build_options


async def generate_image_in_session(
    call: CallContext,
    *,
    session_id: str,
    prompt: str,
    reference_image_path: params.OptionalText = None,
    mask_image_path: params.OptionalText = None,
    quality: params.Quality = "auto",
    size: str = "auto",
    background: params.Background = "auto",
    reference_images: params.References = None,
    branch: str = "main",
    reopen: bool = False,
    options: params.Options = None,
) -> Generation:
    """
    Make the next image of a session: the model knows the earlier turns, so 'warmer light' refines
    the last image. Use it for every step of a project of several images. Bills one image.
    """
    session = await call.session(session_id, branch, reopen=reopen)
    names = (reference_image_path, *(reference_images or ()))
    return partial(
        session.generate,
        prompt,
        references=await call.resolve_images(names, "reference_images"),
        mask=await call.resolve_image(mask_image_path, "mask_image_path"),
        **build_options(options, quality=quality, size=size, background=background),
    )


async def generate_image(
    call: CallContext,
    *,
    prompt: str,
    session_id: params.OptionalText = None,
    model: str = "auto",
    quality: params.Quality = "auto",
    size: str = "auto",
    background: params.Background = "auto",
    use_case: str = "general",
    reference_images: params.References = None,
    branch: str = "main",
    options: params.Options = None,
) -> Generation:
    """
    Make a single image without a session. Use it for quick, unrelated images;
    promote_image_to_session continues from one later. Bills one image.
    """
    del use_case  # accepted so that callers of openai-image-mcp need not change
    target = await call.session_or_studio(session_id, branch)
    return partial(
        target.generate,
        prompt,
        references=await call.resolve_images(reference_images, "reference_images"),
        **build_options(options, quality=quality, size=size, background=background, model=model),
    )


async def edit_image(
    call: CallContext,
    *,
    prompt: str,
    image_path: params.OptionalText = None,
    session_id: params.OptionalText = None,
    mask_path: params.OptionalText = None,
    quality: params.Quality = "auto",
    size: str = "auto",
    background: params.Background = "auto",
    reference_images: params.References = None,
    markup_path: params.OptionalText = None,
    resize_mask: bool = False,
    preserve_unmasked: bool = False,
    branch: str = "main",
    options: params.Options = None,
) -> Generation:
    """
    Edit an existing image: all of it, or the area of a mask. Use it for files and for masks; in a
    session, generate_image_in_session changes the last image by a prompt alone. Bills one image.
    """
    target = await call.session_or_studio(session_id, branch)
    image = await call.resolve_image(image_path, "image_path")
    call.extra.update(_original_image(image, image_path))
    return partial(
        target.edit,
        prompt,
        image=image,
        mask=await call.resolve_image(mask_path, "mask_path"),
        markup=await call.resolve_image(markup_path, "markup_path"),
        references=await call.resolve_images(reference_images, "reference_images"),
        resize_mask=resize_mask,
        preserve_unmasked=preserve_unmasked,
        **build_options(options, quality=quality, size=size, background=background),
    )


async def generate_product_image(
    call: CallContext,
    *,
    product_description: str,
    session_id: params.OptionalText = None,
    background_type: params.BackgroundType = "white",
    angle: params.Angle = "front",
    lighting: params.Lighting = "studio",
    batch_count: int = 1,
    quality: params.Quality = "auto",
    size: str = "auto",
    reference_images: params.References = None,
    branch: str = "main",
    options: params.Options = None,
) -> Generation:
    """
    Make product photographs with a tested prompt template, several variations at once if
    requested: `results` has each image or its error. Bills batch_count images.
    """
    target = await call.session_or_studio(session_id, branch)
    return partial(
        target.preset,
        "product",
        product_description,
        params={"background_type": background_type, "angle": angle, "lighting": lighting},
        references=await call.resolve_images(reference_images, "reference_images"),
        n=batch_count,
        **build_options(options, quality=quality, size=size),
    )


async def generate_ui_asset(
    call: CallContext,
    *,
    asset_type: params.AssetType,
    description: str,
    session_id: params.OptionalText = None,
    theme: params.Theme = "modern",
    style_preset: params.StylePreset = "flat",
    size_preset: params.SizePreset = "standard",
    quality: params.Quality = "auto",
    reference_images: params.References = None,
    branch: str = "main",
    options: params.Options = None,
) -> Generation:
    """
    Make an icon, illustration, background, hero or button for a user interface. Use one session_id
    for a whole set, so that its parts match. Bills one image.
    """
    target = await call.session_or_studio(session_id, branch)
    return partial(
        target.preset,
        "ui_asset",
        description,
        params={
            "asset_type": asset_type,
            "theme": theme,
            "style_preset": style_preset,
            "size_preset": size_preset,
        },
        references=await call.resolve_images(reference_images, "reference_images"),
        **build_options(options, quality=quality),
    )


async def analyze_and_improve_image(
    call: CallContext,
    *,
    improvement_goals: str,
    image_path: params.OptionalText = None,
    session_id: params.OptionalText = None,
    preserve_elements: params.OptionalText = None,
    analyze_only: bool = False,
    quality: params.Quality = "auto",
    size: str = "auto",
    branch: str = "main",
    options: params.Options = None,
) -> Generation | Payload:
    """
    Have a model analyze an image, then fix what it found: the result has the findings and the new
    image. Use it when the goal is clear but the changes are not. Bills an analysis and one image.
    """
    chosen = build_options(options, quality=quality, size=size)
    target = await call.session_or_studio(session_id, branch)
    image = await call.resolve_image(image_path, "image_path")
    if analyze_only:
        analysis = target.analyze(image, goals=improvement_goals, model=chosen.get("model"))
        found = await call.with_progress(analysis, "analyzing")
        names = ("issue", "where", "severity", "remedy")
        return {
            "summary": found.summary,
            "findings": [
                {name: getattr(finding, name) for name in names} for finding in found.findings
            ],
            "cost_usd": payloads.dollars(found.turn.cost),
        }
    call.extra.update(_original_image(image, image_path))
    return partial(
        target.improve,
        improvement_goals,
        image=image,
        preserve_elements=preserve_elements or "",
        **chosen,
    )


def _original_image(image: InputImage | None, image_path: str | None) -> dict[str, Any]:
    if isinstance(image, imagesession.AsyncSavedImage):
        return {
            "original_image_path": payloads.path_of(image),
            "original_image_id": payloads.short_id(image.id),
        }
    return {} if image_path is None else {"original_image_path": image_path}
