"""
Extend an image beyond its edges: choose the canvas, and turn the call into an edit with a mask.
"""

from __future__ import annotations

from typing import Any

import attrs

from imagesession._domain.options import GenerateOptions
from imagesession._domain.sizes import canvas_size
from imagesession._domain.wording import quote
from imagesession.errors import InvalidImageError, InvalidOptionError

from .effects import PixelCall, Workflow
from .input_images import load_input_image
from .prepare import resolve_options
from .request import GenerateRequest, StudioConfig, image_model
from .sessions import BranchHead

OUTPAINT_PROMPT = (
    "Continue the picture beyond its present edges, in the same style, light and perspective."
)
_SIDES = ("center", "left", "right", "top", "bottom")
ANCHORS = (*_SIDES, "top-left", "top-right", "bottom-left", "bottom-right")


def to_edit(
    request: GenerateRequest,
    to: Any,  # noqa: ANN401 - whatever the caller passed
    anchor: str,
    config: StudioConfig,
    branch_head: BranchHead | None,
) -> Workflow[GenerateRequest]:
    if anchor not in ANCHORS:
        raise InvalidOptionError(
            f"anchor={quote(anchor)} is not one of {', '.join(map(repr, ANCHORS))}.",
            "anchor",
            anchor,
            ANCHORS,
        )
    last = branch_head.head.images[-1] if branch_head and branch_head.head else None
    if request.image is None and last is None:
        raise InvalidImageError("There is no image to extend. Pass one as the first argument.")
    image = yield from load_input_image(last if request.image is None else request.image)
    model = config.catalogue.find(
        image_model(resolve_options(request.choices, config, branch_head), config)
    )
    wanted = GenerateOptions().updated({"size": to}).size
    before = image.facts.width, image.facts.height
    width, height = canvas_size(wanted, before, model.sizes if model else None)
    canvas, mask = yield from PixelCall(
        lambda pixels: pixels.extend_canvas(image, (width, height), anchor, fill=":" in wanted)
    )
    return attrs.evolve(
        request,
        prompt=request.prompt or OUTPAINT_PROMPT,
        image=canvas,
        mask=mask.data,
        choices={**request.choices, "size": f"{width}x{height}"},
        parameters={"outpaint_to": wanted, "anchor": anchor},
        preserve_unmasked=True,
        edits=True,
        kind="edit",
    )
