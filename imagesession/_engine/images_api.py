"""
The Images API: one image for one prompt, without context.

It is used for servers without the Responses API, and for options that only this API takes. Its
reply has no id to poll by, so a lost reply stays lost, and a request is sent at most once.

Source: https://developers.openai.com/api/reference/resources/images
"""

from __future__ import annotations

import attrs

from imagesession._domain.image_header import MIME_TYPES, SUFFIXES

from .http import FilePart, HttpRequest, HttpResponse
from .outcomes import ResponseOutcome, read_images_object
from .payloads import Item, PreparedRequest, image_reference, image_tool_params
from .pixels import InputImage
from .responses import read_body

GENERATIONS, EDITS = "/images/generations", "/images/edits"
# The form of an edit has no such field.
_NOT_FOR_EDITS = frozenset({"moderation"})
_NOT_FOR_GENERATIONS = frozenset({"input_fidelity"})


def create_image(
    prepared: PreparedRequest, images: tuple[InputImage, ...], prompt: str, timeout: float
) -> HttpRequest:
    """
    Build the request: an edit if there are images, else a generation.

    Args:
        prepared: The request.
        images: The input images; the one to edit comes first.
        prompt: The whole prompt.
        timeout: Seconds in all after which the reply counts as lost.
    """
    return HttpRequest(
        method="POST",
        path=EDITS if images else GENERATIONS,
        body=_body(prepared, prompt, edits=bool(images)),
        files=_parts(prepared, images),
        timeout=timeout,
    )


def create_image_json(prepared: PreparedRequest) -> Item:
    """
    Build the body for a line of a batch, which refers to its images by file ids.

    Args:
        prepared: The request; images that are not uploaded are sent as data URLs.

    Source: https://developers.openai.com/api/reference/resources/images/methods/edit (images, mask)
    """
    body = _body(prepared, prepared.turn.prompt, edits=bool(prepared.references))
    if prepared.references:
        body["images"] = [image_reference(image, prepared.files) for image in prepared.references]
    if prepared.mask is not None:
        body["mask"] = image_reference(prepared.mask, prepared.files)
    return body


def _body(prepared: PreparedRequest, prompt: str, *, edits: bool) -> Item:
    options = image_tool_params(prepared.turn.options)
    body: Item = {**options, "model": prepared.image_model, "prompt": prompt, "n": 1}
    left_out = _NOT_FOR_EDITS if edits else _NOT_FOR_GENERATIONS
    return {name: value for name, value in body.items() if name not in left_out}


def _parts(prepared: PreparedRequest, images: tuple[InputImage, ...]) -> tuple[FilePart, ...]:
    field = "image" if len(images) == 1 else "image[]"
    extra = (("mask", prepared.mask), ("markup", prepared.markup))
    return (
        *(_part(field, image) for image in images),
        *(_part(name, image) for name, image in extra if image is not None),
    )


def _part(field: str, image: InputImage) -> FilePart:
    kind = image.facts.format
    return FilePart(
        field=field,
        name=f"{field.removesuffix('[]')}{SUFFIXES[kind]}",
        mime=MIME_TYPES[kind],
        data=image.data,
    )


def parse_images_response(reply: HttpResponse) -> ResponseOutcome:
    """
    Parse a reply, which is an object or events.

    Raises:
        ImageSessionError: The HTTP status is an error, or the body is not of this API.
    """
    return attrs.evolve(read_body(reply, read_images_object), used_mainline=False)
