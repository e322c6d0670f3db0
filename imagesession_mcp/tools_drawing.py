"""
The tools that draw. Each is its signature, its description, and one verb of the library.
"""

from __future__ import annotations

from typing import Any

from mcp.types import CallToolResult

from imagesession import AsyncSavedImage
from imagesession_mcp import arguments as given
from imagesession_mcp.arguments import chosen
from imagesession_mcp.calls import Call, Named, Place, draw, intent_of
from imagesession_mcp.state import Ctx
from imagesession_mcp.works import Drawn, Work


async def generate_image_in_session(
    ctx: Ctx,
    *,
    session_id: given.SessionId,
    prompt: given.Prompt,
    reference_image_path: given.ReferencePath = None,
    mask_image_path: given.Mask = None,
    quality: given.Quality = "auto",
    size: given.Size = "auto",
    background: given.Background = "auto",
    reference_images: given.References = None,
    branch: given.Branch = "main",
    reopen: given.Reopen = False,
    options: given.MoreOptions = None,
    partial_images: given.Partials = 0,
    request_id: given.RequestId = None,
    preview: given.WithPreview = True,
) -> CallToolResult:
    """
    Make the next picture of a session: the model knows what came before, so 'warmer light' refines
    the last picture. Use it for every step of a project of several pictures. Bills one picture;
    estimate_cost tells how much beforehand, the result what it was.
    """
    call = Call.now()
    asked = chosen(quality=quality, size=size, background=background, more=options)

    async def make(work: Work) -> Drawn:
        session = await call.session(session_id, branch, reopen=reopen)
        named = (reference_image_path, *(reference_images or ()))
        references = await call.pictures(named, "reference_image_path")
        mask = await call.maybe_picture(mask_image_path, "mask_image_path")
        return await _generate(session, work, prompt, references, mask, partial_images, asked)

    return await draw(ctx, call, make, request_id=request_id, preview=preview)


async def generate_image(
    ctx: Ctx,
    *,
    prompt: given.Prompt,
    session_id: given.InSession = None,
    model: given.Model = "auto",
    quality: given.Quality = "auto",
    size: given.Size = "auto",
    background: given.Background = "auto",
    use_case: given.UseCase = "general",
    reference_images: given.References = None,
    branch: given.Branch = "main",
    options: given.MoreOptions = None,
    partial_images: given.Partials = 0,
    request_id: given.RequestId = None,
    preview: given.WithPreview = True,
) -> CallToolResult:
    """
    Make a single picture that needs no conversation. Use it for quick, unrelated pictures;
    promote_image_to_session goes on from one later. With session_id it is the next picture there.
    Bills one picture; estimate_cost tells how much beforehand, the result what it was.
    """
    del use_case  # is taken so that older callers need not change
    call = Call.now()
    asked = chosen(quality=quality, size=size, background=background, model=model, more=options)

    async def make(work: Work) -> Drawn:
        place = await call.place(session_id, branch)
        references = await call.pictures(reference_images or (), "reference_images")
        return await _generate(place, work, prompt, references, None, partial_images, asked)

    return await draw(ctx, call, make, request_id=request_id, preview=preview)


async def edit_image(
    ctx: Ctx,
    *,
    prompt: given.Prompt,
    image_path: given.MaybeImage = None,
    session_id: given.InSession = None,
    mask_path: given.Mask = None,
    quality: given.Quality = "auto",
    size: given.Size = "auto",
    background: given.Background = "auto",
    reference_images: given.References = None,
    markup_path: given.Markup = None,
    fit: given.Fit = False,
    keep_outside: given.KeepOutside = False,
    branch: given.Branch = "main",
    options: given.MoreOptions = None,
    request_id: given.RequestId = None,
    preview: given.WithPreview = True,
) -> CallToolResult:
    """
    Change an existing picture: all of it, or what a mask opens. Use it for pictures from files and
    for masks; in a session, generate_image_in_session changes the last picture in plain words.
    Bills one picture; estimate_cost tells how much beforehand, the result what it was.
    """
    call = Call.now()
    asked = chosen(quality=quality, size=size, background=background, more=options)

    async def make(work: Work) -> Drawn:
        place = await call.place(session_id, branch)
        image = await call.maybe_picture(image_path, "image_path")
        changed = await place.edit(
            prompt,
            image=image,
            mask=await call.maybe_picture(mask_path, "mask_path"),
            markup=await call.maybe_picture(markup_path, "markup_path"),
            reference=await call.pictures(reference_images or (), "reference_images"),
            fit=fit,
            keep_outside=keep_outside,
            intent_id=intent_of(work.id),
            on_progress=work.watch,
            **asked,
        )
        work.extra = _original(image, image_path)
        return (changed,)

    return await draw(ctx, call, make, request_id=request_id, preview=preview)


async def generate_product_image(
    ctx: Ctx,
    *,
    product_description: given.ProductDescription,
    session_id: given.InSession = None,
    background_type: given.BackgroundType = "white",
    angle: given.Angle = "front",
    lighting: given.Lighting = "studio",
    batch_count: given.Count = 1,
    quality: given.Quality = "auto",
    size: given.Size = "auto",
    reference_images: given.References = None,
    branch: given.Branch = "main",
    options: given.MoreOptions = None,
    request_id: given.RequestId = None,
    preview: given.WithPreview = True,
) -> CallToolResult:
    """
    Make product photographs with a proven prompt around the description, several takes at once if
    wanted. Each take stands in `results`, or its error does. Bills batch_count pictures;
    estimate_cost tells how much one costs.
    """
    call = Call.now()
    asked = chosen(quality=quality, size=size, more=options)

    async def make(work: Work) -> Drawn:
        place = await call.place(session_id, branch)
        choices = {"background_type": background_type, "angle": angle, "lighting": lighting}
        taken = await place.preset(
            "product",
            product_description,
            params=choices,
            reference=await call.pictures(reference_images or (), "reference_images"),
            n=batch_count,
            intent_id=intent_of(work.id),
            on_progress=work.watch,
            **asked,
        )
        return taken.items

    return await draw(ctx, call, make, request_id=request_id, preview=preview, batch=True)


async def generate_ui_asset(
    ctx: Ctx,
    *,
    asset_type: given.AssetType,
    description: given.AssetDescription,
    session_id: given.InSession = None,
    theme: given.Theme = "modern",
    style_preset: given.StylePreset = "flat",
    size_preset: given.SizePreset = "standard",
    quality: given.Quality = "auto",
    reference_images: given.References = None,
    branch: given.Branch = "main",
    options: given.MoreOptions = None,
    request_id: given.RequestId = None,
    preview: given.WithPreview = True,
) -> CallToolResult:
    """
    Make an icon, illustration, background, hero or button for a user interface. Use one session_id
    for a whole set, so that its parts match. Bills one picture; estimate_cost tells how much
    beforehand, the result what it was.
    """
    call = Call.now()
    asked = chosen(quality=quality, more=options)

    async def make(work: Work) -> Drawn:
        place = await call.place(session_id, branch)
        choices = {"theme": theme, "style_preset": style_preset, "size_preset": size_preset}
        drawn = await place.preset(
            "ui_asset",
            description,
            params={"asset_type": asset_type, **choices},
            reference=await call.pictures(reference_images or (), "reference_images"),
            n=None,
            intent_id=intent_of(work.id),
            on_progress=work.watch,
            **asked,
        )
        return (drawn,)

    return await draw(ctx, call, make, request_id=request_id, preview=preview)


async def analyze_and_improve_image(
    ctx: Ctx,
    *,
    improvement_goals: given.Goals,
    image_path: given.MaybeImage = None,
    session_id: given.InSession = None,
    preserve_elements: given.Preserve = None,
    quality: given.Quality = "auto",
    size: given.Size = "auto",
    branch: given.Branch = "main",
    options: given.MoreOptions = None,
    request_id: given.RequestId = None,
    preview: given.WithPreview = True,
) -> CallToolResult:
    """
    Have a model look at a picture, then mend what it found: the result tells the findings and the
    new picture. Use it when the goal is clear and the way is not. Bills a look and one picture;
    analyze_image looks alone.
    """
    call = Call.now()
    asked = chosen(quality=quality, size=size, more=options)

    async def make(work: Work) -> Drawn:
        place = await call.place(session_id, branch)
        image = await call.maybe_picture(image_path, "image_path")
        improved = await place.improve(
            improvement_goals,
            image=image,
            preserve_elements=preserve_elements or "",
            intent_id=intent_of(work.id),
            on_progress=work.watch,
            **asked,
        )
        work.extra = _original(image, image_path)
        return (improved.image,)

    return await draw(ctx, call, make, request_id=request_id, preview=preview)


async def _generate(  # noqa: PLR0917 - what two tools say to one verb
    place: Place,
    work: Work,
    prompt: str,
    references: list[Named],
    mask: Named | None,
    partial_images: int,
    asked: dict[str, Any],
) -> Drawn:
    """
    Generate a picture, with unfinished ones on the way if they are wanted.
    """
    named: dict[str, Any] = {
        **asked,
        "intent_id": intent_of(work.id),
        "on_progress": work.watch,
    }
    if not partial_images:
        return (await place.generate(prompt, reference=references, mask=mask, **named),)
    events = place.stream(
        prompt, partial_images=partial_images, reference=references, mask=mask, **named
    )
    return tuple([one async for one in events if isinstance(one, AsyncSavedImage)])


def _original(image: Named | None, named: str | None) -> dict[str, Any]:
    if isinstance(image, AsyncSavedImage):
        return {"original_image_path": str(image.path), "original_image_id": image.id}
    return {} if named is None else {"original_image_path": named}
