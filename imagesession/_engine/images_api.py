"""
The Images API: one picture for one prompt, nothing remembered.

For servers that do not speak Responses, and for what only this API takes. Its reply has no id to
ask for again, so a lost one stays lost: it is asked for at most once.

Source: https://developers.openai.com/api/reference/resources/images
"""

from __future__ import annotations

import attrs

from imagesession._domain.image_header import MIME_TYPES, SUFFIXES

from .http import FilePart, HttpRequest, HttpResponse
from .outcomes import ResponseOutcome, read_images_object
from .payloads import Item, PreparedRequest, image_reference, image_tool_params
from .responses import read_body
from .store import InputImage

GENERATIONS, EDITS = "/images/generations", "/images/edits"
# Only generations take it: the form of an edit has no such field.
_NOT_FOR_EDITS = frozenset({"moderation"})
_NOT_FOR_GENERATIONS = frozenset({"input_fidelity"})


def create_image(
    prepared: PreparedRequest, pictures: tuple[InputImage, ...], words: str, timeout: float
) -> HttpRequest:
    """
    Build the request: an edit where there are pictures, else a generation.

    Args:
        prepared: What is wanted.
        pictures: What goes along; the one that is changed comes first.
        words: The whole prompt.
        timeout: Seconds in all after which the answer counts as lost.
    """
    return HttpRequest(
        method="POST",
        path=EDITS if pictures else GENERATIONS,
        body=_body(prepared, words, edits=bool(pictures)),
        files=_parts(prepared, pictures),
        timeout=timeout,
    )


def create_image_json(prepared: PreparedRequest) -> Item:
    """
    Write a request that names its pictures by ids instead of bringing them along, as the line of a
    batch has it.

    Args:
        prepared: What is wanted; what the provider does not hold goes along within the text.

    Source: https://developers.openai.com/api/reference/resources/images/methods/edit (images, mask)
    """
    body = _body(prepared, prepared.turn.prompt, edits=bool(prepared.references))
    if prepared.references:
        body["images"] = [
            image_reference(picture, prepared.files) for picture in prepared.references
        ]
    if prepared.mask is not None:
        body["mask"] = image_reference(prepared.mask, prepared.files)
    return body


def _body(prepared: PreparedRequest, words: str, *, edits: bool) -> Item:
    options = image_tool_params(prepared.turn.options)
    body: Item = {**options, "model": prepared.image_model, "prompt": words, "n": 1}
    left_out = _NOT_FOR_EDITS if edits else _NOT_FOR_GENERATIONS
    return {name: value for name, value in body.items() if name not in left_out}


def _parts(prepared: PreparedRequest, pictures: tuple[InputImage, ...]) -> tuple[FilePart, ...]:
    field = "image" if len(pictures) == 1 else "image[]"
    extra = (("mask", prepared.mask), ("markup", prepared.markup))
    return (
        *(_part(field, picture) for picture in pictures),
        *(_part(name, picture) for name, picture in extra if picture is not None),
    )


def _part(field: str, picture: InputImage) -> FilePart:
    kind = picture.facts.format
    return FilePart(
        field=field,
        name=f"{field.removesuffix('[]')}{SUFFIXES[kind]}",
        mime=MIME_TYPES[kind],
        data=picture.data,
    )


def parse_images_response(reply: HttpResponse) -> ResponseOutcome:
    """
    Read the reply, whether it is an object or events.

    Raises:
        ImageSessionError: HTTP calls it an error, or it is no reply of this API.
    """
    return attrs.evolve(read_body(reply, read_images_object), used_mainline=False)
